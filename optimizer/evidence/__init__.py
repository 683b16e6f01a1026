"""What was published when, as a chain of hashes, and proofs for one order."""
