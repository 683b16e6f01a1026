"""Proof in exact integers, by code that has never seen a solver."""
