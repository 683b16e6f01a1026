"""Simple methods for comparison: minimum cost flow, and greedy."""
