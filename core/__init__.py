"""The vocabulary: records, tables, identity, text, privacy, the store. Knows no platform and no network."""
