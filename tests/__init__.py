"""The tests: importable, so that they can share what is in ``tests.support``."""
