"""How fast each stage is, and against whom: see README.md in this folder."""
