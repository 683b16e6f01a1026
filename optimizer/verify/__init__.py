"""
A published night, stated a second time and compared with its own tables and record.

The statement is SQL, written from the documentation and run by DuckDB. Parts that SQL
cannot express are restated here in plain numpy. No module that builds, solves,
certifies or explains a night is imported, so that a fault there is found.
"""
