"""What the rooms agree on, so that none of them has to know another."""
