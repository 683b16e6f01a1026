"""The pages of the desk, one module each: what is read, and what is shown of it."""
