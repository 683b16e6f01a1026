"""What the parts of a night agree on, so that none of them has to know another."""
