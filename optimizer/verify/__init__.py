"""
A published night, stated a second time and held against what it says of itself.

The statement is SQL, written from the documentation and run by DuckDB; what SQL cannot
say is restated here in plain numpy. Nothing of what builds, solves, certifies or
explains a night is imported: a fault there must show.
"""
