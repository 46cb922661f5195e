"""Measurements and demonstrations; nothing here is part of the installed package."""
