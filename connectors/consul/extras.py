"""What CONSUL is asked a second time, by number, because it would be too dear for every row: reasons, and other languages.

* why a proposal was retired: `retiredExplanation` alone costs the server more than all other fields of a row, so it is asked only of
  rows that are retired (docs/platforms/consul.md 7);
* all tags and milestones of the few rows that have as many as every row is asked for: neither list has an order, so that what lies
  behind it may be the newest (docs/platforms/consul.md 10b);
* texts in further languages: one language is answered at a time, with a fallback to any other, so a text counts as a translation
  only where it differs from the main one (docs/platforms/consul.md 4.5).
"""

from collections.abc import Sequence
from typing import Any

from ..contract.values import inside
from .api import Api
from .dialects import SHORT, SINGULAR, TEXTS, Dialect, Shape
from .mapping import TRANSLATIONS, listed


class Extras:
    """Completes the nodes of one pull."""

    def __init__(self, api: Api, dialect: Dialect, locales: Sequence[str]) -> None:
        self.api = api
        self.dialect = dialect
        self.locales = list(dict.fromkeys(locales))[1:]
        self._short: set[str] = set()

    async def add(self, name: str, rows: Sequence[dict[str, Any]], budget: str | None = None) -> set[str]:
        """Put into the nodes what only a second question tells, and what came without order into one.

        Returns the numbers of those that the server fails on when it is asked: such a node says less than it should.
        """
        self._short = set()
        for part, most in SHORT.items():
            if self.dialect.page is not None and not self.dialect.snake:
                await self._complete(name, part, [row for row in rows if len(listed(row.get(part))) >= most], budget)
            for row in rows:
                if part in row:
                    row[part] = {"nodes": sorted(listed(row[part]), key=lambda each: str(each.get("id")))}
        if name == "proposals":
            await self._explain([row for row in rows if row.get("retiredAt")])
        if name in TEXTS and not (name == "investments" and budget is None):
            for locale in self.locales:
                await self._translate(name, rows, locale, budget)
        return self._short

    async def _complete(self, name: str, part: str, rows: Sequence[dict[str, Any]], budget: str | None) -> None:
        waiting, after = list(rows), 0
        every: dict[str, dict[str, dict[str, Any]]] = {str(row.get("id")): {} for row in rows}
        while waiting:
            found = await self._ask(Shape(name, part=part, after=after), waiting, budget)
            still = set[str]()
            for own, node in found.items():
                before = len(every[own])
                every[own].update((str(each.get("id")), each) for each in listed(node.get(part)))
                still |= {own} if len(every[own]) == before else set()
            waiting = [row for row in waiting if inside(found.get(str(row.get("id"))), part, "pageInfo", "hasNextPage")]
            # A list that says it goes on and brings nothing new is not asked for ever.
            endless = [str(row.get("id")) for row in waiting if str(row.get("id")) in still]
            self.api.broken.update(f"{SINGULAR[name]}/{own}" for own in endless)
            self._short.update(endless)
            waiting = [row for row in waiting if str(row.get("id")) not in still]
            after += self.dialect.page or 0
        for row in rows:
            own = every[str(row.get("id"))]
            own |= {str(each.get("id")): each for each in listed(row[part])}
            row[part] = {"nodes": list(own.values())}

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
        self._short.update(own for own in ids if own not in found)
        return {own: node for own, node in found.items() if node is not None}
