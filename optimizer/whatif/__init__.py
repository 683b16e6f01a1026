"""Studies of a night: it is solved again with something changed, from its prices."""
