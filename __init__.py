"""Joins CONSUL Democracy, Decidim and Your Priorities: one database of what citizens asked for, and copies between them."""
