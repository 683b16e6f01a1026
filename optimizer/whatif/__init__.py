"""Studies of a night: it is solved again with a change, starting from its prices."""
