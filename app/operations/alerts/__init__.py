"""Bringing notices to people: the channels, the feed, and what keeps both going."""
