"""What is left out of a record before it is stored: what is older than the configuration keeps, and what is to be masked.

Only where the configuration asks for it; without, nothing of this is in the way of a pull.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..masking import WORDS, Masker
from .rows import Built


@dataclass(slots=True)
class Intake:
    """The rules of one instance. `comments`, `votes`: how old what is stored may be; None: however old."""

    masker: Masker | None = None
    comments: timedelta | None = None
    votes: timedelta | None = None
    masked: Counter[str] = field(default_factory=Counter[str])

    def takes(self, built: Built, table: str, now: datetime) -> bool:
        """Change the rows of a record as the rules say; False: it is not to be stored at all."""
        if table == "vote":
            return not _older(built.main.get("cast_at"), self.votes, now)
        if table == "comment" and _older(built.main.get("created_at"), self.comments, now):
            built.main.update(html="", plain="", author=None)
            built.authors.clear()
        if self.masker is not None:
            self._mask(built, table)
        return True

    def raw(self, value: Any) -> Any:
        """What quarantine keeps of a record."""
        return value if self.masker is None else self.masker.value(value)

    def notes(self) -> list[str]:
        """What the run should tell."""
        if not self.masked:
            return []
        found = ", ".join(f"{count} {WORDS[kind]}" for kind, count in sorted(self.masked.items()))
        return [f"masked in texts before they were stored: {found}"]

    def _mask(self, built: Built, table: str) -> None:
        masker = self.masker
        if masker is None or table not in {"proposal", "comment"}:
            return
        masker.counts.clear()
        for row in built.texts or ([built.main] if table == "comment" else []):
            row["html"], row["plain"] = masker.both(row["html"], row["plain"])
            if row.get("title"):
                row["title"] = masker.text(row["title"])
        for row in built.attachments:
            row["title"] = masker.value(row["title"])
        self.masked.update(masker.counts)
        if table == "proposal" and built.main.get("title"):
            built.main["title"] = masker.text(built.main["title"])


def _older(moment: datetime | None, keep: timedelta | None, now: datetime) -> bool:
    return keep is not None and moment is not None and moment < now - keep
