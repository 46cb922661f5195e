"""What the parts of the sandbox know of the whole: its tables, who asks, and its switches."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from .model import Database
from .reading import Reading


class Whole(Protocol):
    """One Your Priorities instance, as its parts see it."""

    clock: Callable[[], datetime]
    database: Database
    emails: int
    named: Any
    """The changes that happen without a request (`changes.Changes`); moderators and workers make them too."""
    page_instead: bool
    reading: Reading
    sessions: dict[str, int | None]

    @property
    def lists_empty(self) -> bool: ...
    @lists_empty.setter
    def lists_empty(self, value: bool) -> None: ...
