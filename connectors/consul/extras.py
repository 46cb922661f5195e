"""What CONSUL is asked a second time, by number, because it would be too dear for every row: reasons, and other languages.

* why a proposal was retired: `retiredExplanation` alone costs the server more than all other fields of a row, so it is asked only of
  rows that are retired (docs/platforms/consul.md 7);
* texts in further languages: one language is answered at a time, with a fallback to any other, so a text counts as a translation
  only where it differs from the main one (docs/platforms/consul.md 4.5).
"""

from collections.abc import Sequence
from typing import Any

from .api import Api
from .dialects import TEXTS, Dialect, Shape
from .mapping import TRANSLATIONS


class Extras:
    """Completes the nodes of one pull."""

    def __init__(self, api: Api, dialect: Dialect, locales: Sequence[str]) -> None:
        self.api = api
        self.dialect = dialect
        self.locales = list(dict.fromkeys(locales))[1:]

    async def add(self, name: str, rows: Sequence[dict[str, Any]], budget: str | None = None) -> None:
        """Put into the nodes what only a second question tells."""
        if name == "proposals":
            await self._explain([row for row in rows if row.get("retiredAt")])
        if name in TEXTS and not (name == "investments" and budget is None):
            for locale in self.locales:
                await self._translate(name, rows, locale, budget)

    async def _explain(self, rows: Sequence[dict[str, Any]]) -> None:
        found = await self._ask(Shape("proposals", only=("retiredExplanation",)), rows, None)
        for row in rows:
            row["retiredExplanation"] = found.get(str(row.get("id")), {}).get("retiredExplanation")

    async def _translate(self, name: str, rows: Sequence[dict[str, Any]], locale: str, budget: str | None) -> None:
        main, self.api.locale = self.api.locale, locale
        try:
            found = await self._ask(Shape(name, only=TEXTS[name]), rows, budget)
        finally:
            self.api.locale = main
        for row in rows:
            other = found.get(str(row.get("id")))
            if other is not None and any(other.get(field) != row.get(field) for field in TEXTS[name]):
                row.setdefault(TRANSLATIONS, {})[locale] = {field: other.get(field) for field in TEXTS[name]}

    async def _ask(self, shape: Shape, rows: Sequence[dict[str, Any]], budget: str | None) -> dict[str, dict[str, Any]]:
        ids = [str(row["id"]) for row in rows if row.get("id") is not None]
        if not ids:
            return {}
        found = await self.api.by_id(self.dialect, shape, ids, budget)
        return {own: node for own, node in found.items() if node is not None}
