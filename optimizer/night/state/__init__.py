"""State that nights hand on to each other: a database derived from the folders."""
