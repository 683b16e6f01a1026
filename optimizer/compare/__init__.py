"""Nights held against each other, and against rules."""
