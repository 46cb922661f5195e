"""Events as log lines on standard error: for people, or as JSON lines. structlog renders them; nothing here decides what happens."""

import contextlib
import sys
from collections.abc import Generator, MutableMapping
from dataclasses import asdict
from typing import Any, Literal

from ..core import events
from ..core.redaction import redact, visible

Format = Literal["console", "json"]


def _safe(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """No secret, and nothing that a terminal would obey, in any value of a line."""
    return {name: visible(redact(value)) if isinstance(value, str) else value for name, value in entry.items()}


@contextlib.contextmanager
def logging_events(how: Format | None) -> Generator[None]:
    """Render every event for as long as the block lasts; None: no logs, and structlog is not even loaded."""
    if how is None:
        yield
        return
    import structlog

    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    render = (
        structlog.processors.JSONRenderer()
        if how == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr), processors=[structlog.processors.add_log_level, stamp, _safe, render]
    )

    def told(event: events.Event) -> None:
        say = logger.warning if isinstance(event, events.Warned) else logger.info
        say(event.name, **asdict(event))

    with events.listen(told):
        yield
