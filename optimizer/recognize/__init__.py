"""A user's own tables recognised, and a configuration proposed that reads them."""
