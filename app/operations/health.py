"""Is this process alive, and does it do its work: what `/health`, `/ready` and the service manager's watchdog are told.

Alive: the loop has turned lately. A database that is away does not make it dead: it comes back by itself, and killing the process would
not help. Ready: it has started, it is not about to stop, and the database answers.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from ...core.clock import Clock
from ...core.schema.database import HEAD
from ...core.schema.failures import DatabaseError

LATE = 60.0
"""Seconds after which a loop that has not turned is stuck."""


@dataclass(slots=True)
class Health:
    """What is known of this process; set by the loop, read by any thread."""

    clock: Clock
    ask: Callable[[], None]
    """Asks the database; raises where it does not answer."""
    late: float = LATE
    started: bool = False
    stopping: bool = False
    _beat: float = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._beat = self.clock.monotonic()

    def beat(self) -> None:
        """The loop has turned."""
        self._beat = self.clock.monotonic()

    def alive(self) -> str:
        """Why it counts as dead; empty while it lives."""
        since = self.clock.monotonic() - self._beat
        return f"the loop has not turned for {since:.0f} seconds" if since > self.late else ""

    def unready(self) -> str:
        """Why it does not do its work now; empty while it does."""
        if not self.started:
            return "starting"
        if self.stopping:
            return "stopping"
        with self._lock:  # however many ask at once, the database is asked by one
            try:
                self.ask()
            except (SQLAlchemyError, DatabaseError, OSError) as error:
                return f"the database does not answer ({type(error).__name__})"
        return self.alive()


def asking(engine: Engine) -> Callable[[], None]:
    """A question to the database that costs nothing, and tells that its schema is the one of this release."""

    def ask() -> None:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if found != HEAD:
            raise DatabaseError(f"the schema is {found}, not {HEAD}")

    return ask
