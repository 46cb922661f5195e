"""What people take away as files: one module a format, one registry of them (`formats`)."""
