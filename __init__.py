"""Joins CONSUL Democracy, Decidim and Your Priorities: one database of what citizens asked for, and copies between them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app.api import (
        Database,
        Project,
        connect,
        load,
        plan,
        plan_async,
        publish,
        publish_async,
        pull,
        pull_async,
    )
    from .config import Config, ConfigError
    from .core.schema.database import DatabaseError
    from .sync.publish.outcome import RouteOutcome
    from .sync.pull.run import PullOutcome

    __version__: str

__all__ = [
    "Config",
    "ConfigError",
    "Database",
    "DatabaseError",
    "Project",
    "PullOutcome",
    "RouteOutcome",
    "__version__",
    "connect",
    "load",
    "plan",
    "plan_async",
    "publish",
    "publish_async",
    "pull",
    "pull_async",
]

_ELSEWHERE = {
    "Config": "config",
    "ConfigError": "config",
    "DatabaseError": "core.schema.database",
    "PullOutcome": "sync.pull.run",
    "RouteOutcome": "sync.publish.outcome",
}


def __getattr__(name: str) -> Any:
    """Everything is imported when it is asked for: the program imports this package too, and answers at once."""
    if name == "__version__":
        from importlib.metadata import version

        return version("civicsync")
    if name in __all__:
        from importlib import import_module

        return getattr(import_module(f".{_ELSEWHERE.get(name, 'app.api')}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
