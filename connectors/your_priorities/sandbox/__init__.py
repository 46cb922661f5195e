"""A Your Priorities in memory, as strict as the real one (docs/platforms/your-priorities.md 9)."""

from .web import YourPrioritiesSandbox

__all__ = ["YourPrioritiesSandbox"]
