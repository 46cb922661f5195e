"""Searching titles and texts of proposals, in all languages; the index follows the texts (`refresh`), and what was erased is not in it."""

from .find import Facet, Found, Hit, search
from .index import Refreshed, SearchError, refresh, scrub

__all__ = ["Facet", "Found", "Hit", "Refreshed", "SearchError", "refresh", "scrub", "search"]
