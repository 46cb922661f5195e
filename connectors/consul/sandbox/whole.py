"""What the parts of the sandbox know of the whole: its tables, its switches, and what its pages share."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from .interface import Interface
from .model import Database, Row
from .session import Sessions


class Whole(Protocol):
    """One CONSUL installation, as its parts see it."""

    archive_months: int
    clock: Callable[[], datetime]
    database: Database
    dialect: str
    edit_limit: int
    enabled: tuple[str, ...]
    interface: Interface
    locale: str
    lockable: bool
    mail_server: bool
    maps: bool
    processes: dict[str, str | None]
    sessions: Sessions
    site: str
    code: str
    translation_interface: bool
    verification: bool

    def archived(self, row: Row) -> bool: ...
    @property
    def buttons_are_forms(self) -> bool: ...
    @property
    def checked_locale(self) -> str: ...
    def change(self, op: str, **arguments: Any) -> Any: ...
    def charge(self, seconds: float) -> None: ...
    def list_item(self, row: Row, locale: str) -> str: ...
    def listed(self, params: dict[str, Any]) -> list[Row]: ...
    def mail(self, why: str, row: Row) -> None: ...
    def newer_than(self, release: str) -> bool: ...
    def next_proposal(self, *, peek: bool = False) -> int: ...
    def next_translation(self) -> int: ...
    def proposal_path(self, row: Row, locale: str) -> str: ...
    def user_path(self, user: Row) -> str: ...
