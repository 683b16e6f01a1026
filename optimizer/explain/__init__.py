"""From numbers back to names: what was decided, why, and by how much."""
