"""What one export is asked to do, and what it did."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Literal

from ..columns import View
from .catalogue import Catalogue
from .snapshot import BATCH, Snapshot

Language = Literal["en", "nl"]
Progress = Callable[[str, int], None]
"""Told the name of a view and how many of its rows are written, every few thousand of them."""


class ExportError(Exception):
    """An export that cannot be made; the message says what is wanted and the way out."""


class ExportUsage(ExportError):
    """What was asked for makes no sense: another view, another path, a key of the configuration that is missing."""


def _silent(_view: str, _rows: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Job:
    """One export. Times are UTC but where a spreadsheet of a locale is asked for: those are in `zone`, for spreadsheets know no zones."""

    snapshot: Snapshot
    views: tuple[View, ...]
    language: Language = "en"
    excel: str | None = None
    """A locale such as `nl`: CSV as its Excel opens it."""
    zone: tzinfo = UTC
    staff: bool = False
    """Whether views that are not public may be in what is made to be published."""
    catalogue: Catalogue = field(default_factory=Catalogue)
    now: datetime = field(default_factory=lambda: datetime(1970, 1, 1, tzinfo=UTC))
    progress: Progress = _silent

    @property
    def private(self) -> bool:
        """Whether anything in it is for staff only; its files are then for their owner only."""
        return not all(view.public for view in self.views)

    def batches(self, view: View, sql: str, size: int = BATCH) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a view, with progress told."""
        told = 0
        for batch in self.snapshot.batches(sql, size):
            yield batch
            told += len(batch)
            self.progress(view.name, told)


@dataclass(slots=True)
class Written:
    """What was written: rows by view, files, and what a person should know about it."""

    files: list[Path] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, view: str, rows: int) -> None:
        """Count the rows of a view."""
        self.rows[view] = self.rows.get(view, 0) + rows
