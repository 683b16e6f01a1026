"""Nights compared with each other, and checked against rules."""
