"""A Decidim in memory, as strict as the real one (docs/platforms/decidim.md 9)."""

from .web import DecidimSandbox

__all__ = ["DecidimSandbox"]
