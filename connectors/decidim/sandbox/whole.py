"""What the parts of the sandbox know of the whole: its tables, its release, and what they share."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ...testing.sandbox.city import City
from .accounts import Accounts
from .model import Database, Proposal


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that a real server works (docs/explanation/performance.md): per proposal of a page, single proposal, comment, gate."""

    light: float
    record: float
    single: float
    comment: float
    gate: float


class Whole(Protocol):
    """One organization, as its parts see it."""

    about: dict[str, Any]
    accounts: Accounts
    city: City
    clock: Callable[[], datetime]
    costs: Costs
    database: Database
    files: dict[str, bytes]
    """Open data, as it was made last."""
    host: str
    """Under which name the site was called last: the host of its own links."""
    line: str
    locales: tuple[str, ...]
    next_id: int
    rng: random.Random
    version: str
    private: bool
    writing: Any
    """The way in for both forms and mutations."""

    @property
    def checked(self) -> bool: ...
    @property
    def spoken(self) -> str: ...
    def address_of(self, row: Proposal) -> str: ...
    def charge(self, seconds: float) -> None: ...
    def export_open_data(self) -> None: ...
    def leak(self, locale: str) -> None: ...
    def is_public(self, row: Proposal) -> bool: ...
    def person_id(self, nickname: str) -> int | None: ...
    def person_nickname(self, own: int) -> str: ...
    def touch(self, row: Proposal) -> None: ...


class Organization(Protocol):
    """The GraphQL of one organization, as mutations and discussions see it."""

    sandbox: Whole
    at: int
    """Where its release stands among all lines."""
    checked: bool
    line: str
    roots: frozenset[int]

    @property
    def taxonomies(self) -> frozenset[int]: ...

    version: str

    def author(self, row: Any, _arguments: Any, _context: Any) -> Any: ...
    def gone(self, name: str, why: str) -> Any: ...
