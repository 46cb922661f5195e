"""What people take away: columns, search, exports, reports, duplicates, privacy. Reads the database; knows no platform and no network."""
