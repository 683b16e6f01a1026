"""The network class: price, screen, fix, balance, prove; the gap is 0."""
