"""Plain methods to hold ours against: minimum cost flow, and greedy."""
