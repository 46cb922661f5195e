"""Values as the sandbox's interface writes them, and fields that are only known from recordings (docs/platforms/decidim.md 1.6)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from .model import Component, Proposal, Translated, any_text

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


class Guarded(Sequence[Any]):
    """Rows of a page with hidden ones as null; only the rows that are shown are looked at."""

    def __init__(self, rows: Sequence[Proposal], guard: Callable[[Proposal], Any]) -> None:
        self._rows = rows
        self._guard = guard

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._guard(row) for row in self._rows[index]]
        return self._guard(self._rows[index])


def recorded_budget(name: str) -> Callable[..., Any]:
    return lambda b, _a, _c: b[0].extra.get("budgets", {}).get(str(b[1]), {}).get(name)


def lost(row: Any) -> bool:
    """Whether a recorded row has an author whom nobody may see: deleted or blocked."""
    extra = getattr(row, "extra", {})
    return (
        "author" in extra and extra["author"] is None and not (extra.get("official") or extra.get("createdInMeeting"))
    )


def recorded_field(name: str) -> Callable[..., Any]:
    """A field as it was recorded; None where nothing was."""
    return lambda row, _arguments, _context: row.extra.get(name)


def type_of(value: Any) -> str:
    if isinstance(value, Component):
        return value.kind
    return value.get("__typename", "User") if isinstance(value, dict) else value.typename


def translations(text: Translated, arguments: Mapping[str, Any], _context: Any) -> list[dict[str, Any]]:
    wanted = arguments.get("locales")
    if isinstance(text.get("translations"), list):
        return [each for each in text["translations"] if wanted is None or each.get("locale") in wanted]
    return [
        {"locale": locale, "text": value, "machineTranslated": machine}
        for locale, (value, machine) in sorted(text.items())
        if wanted is None or locale in wanted
    ]


def stamp(moment: datetime | None) -> str | None:
    """A time with the organization's offset, to the second."""
    return None if moment is None else moment.astimezone(AMSTERDAM).isoformat(timespec="seconds")


def main_title(row: Proposal, locale: str) -> str:
    """A title as the unified schema shows it first."""
    return any_text(row.title, locale) or ""
