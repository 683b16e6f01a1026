"""What nights leave to each other: a database that follows the folders."""
