"""What an admin writes: YAML read into validated settings, with errors that name file, line and column."""
