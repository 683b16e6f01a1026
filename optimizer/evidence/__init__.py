"""A chain of hashes of what was published and when, and proofs for single orders."""
