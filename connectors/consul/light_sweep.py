"""Light sweeps: every id with what changes when something happens to it, in as few requests as possible.

CONSUL's pages have no order (docs/platforms/consul.md 3.2): a row that is touched between two pages may be seen twice or not at
all. So many pages go into one request, and the sweep is repeated until two in a row saw the same ids.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from ...core.store.change_tokens import ChangeTokens
from ..contract.errors import TooLarge, Unreachable
from ..contract.values import Progress, inside
from .api import Api
from .dialects import Dialect, Shape, pages_document
from .mapping import KIND, identifier, page_of, token

Rows = MutableMapping[str, Any]
"""By id: the token of a row that has one, which holds its counters; else the row itself."""
MAX_SWEEPS = 8
WHOLE = 20_000
"""More rows than this are not asked for at once, whatever a dialect allows: neither side should hold them all."""

_PART = 5_000
"""How many are asked for instead, also where more came than one answer may be: how many there are is not known at first."""


@dataclass(slots=True)
class Light:
    """What the sweeps saw, by collection and id. `settled`: two sweeps agreed, or one agreed with what was known."""

    rows: dict[str, Rows] = field(default_factory=dict[str, Rows])
    settled: set[str] = field(default_factory=set[str])
    holes: dict[str, int] = field(default_factory=dict[str, int])
    """How many rows of a collection the server fails on, or shows without a number: which they are nobody knows, so none is missing."""
    failed: dict[str, str] = field(default_factory=dict[str, str])
    """Collections that could not be swept at all, and why."""

    def update(self, other: "Light") -> None:
        """With what another sweep saw."""
        self.rows |= other.rows
        self.settled |= other.settled
        self.holes |= other.holes
        self.failed |= other.failed


class LightSweep:
    """Sweeps collections of one instance."""

    def __init__(self, api: Api, dialect: Dialect, budget: str | None) -> None:
        self.api = api
        self.dialect = dialect
        self.budget = budget
        self._paged: set[str] = set()
        self.holes: dict[str, int] = {}
        """Of the last sweep, by collection: rows that the server fails on."""
        self.nameless: dict[str, int] = {}
        """And rows without a number."""

    async def settle(self, expected: Mapping[str, AbstractSet[str]], sizes: Mapping[str, int] | None = None) -> Light:
        """Sweep these collections until each saw the same ids twice in a row.

        Args:
            expected: the ids known before.
            sizes: how many rows there are by what else is known, where no ids are.
        """
        light = Light()
        last: dict[str, AbstractSet[str]] = dict(expected)
        open_: list[str] = list(expected)
        for _ in range(MAX_SWEEPS):
            if not open_:
                break
            about = sizes or {}
            rows = await self.sweep(
                {name: max(len(light.rows.get(name, ())), len(last[name]), about.get(name, 0)) for name in open_}
            )
            for name in list(open_):
                seen = rows[name].keys()
                # One page is one SQL statement: a consistent picture by itself.
                at_once = name not in self._paged or len(seen) < (self.dialect.page or _PART)
                if seen == last[name] or at_once:
                    light.settled.add(name)
                    light.rows[name] = rows[name]
                    open_.remove(name)
                else:
                    light.rows.setdefault(name, _empty(name)).update(rows[name])
                last[name] = seen
                light.holes[name] = self.holes.get(name, 0)
                if light.holes[name] or self.nameless.get(name):
                    light.settled.discard(name)
        return light

    async def sweep(self, sizes: Mapping[str, int]) -> dict[str, Rows]:
        """One sweep; `sizes` are the numbers of rows to expect."""
        found: dict[str, Rows] = {name: _empty(name) for name in sizes}
        self.holes, self.nameless = {}, {}
        progress = {name: Progress(name) for name in sizes}
        page = self.dialect.page or _PART
        self._paged = {name for name, size in sizes.items() if self.dialect.page is not None or size > WHOLE}
        self._paged |= self.api.too_large.intersection(sizes)
        whole = [name for name in sizes if name not in self._paged]
        if whole:
            parts = [(name, Shape(name, light=True), 0, None) for name in whole]
            try:
                data = await self.api.pages(pages_document(self.dialect, parts, self.budget), self.dialect)
            except (TooLarge, Unreachable) as error:
                if isinstance(error, Unreachable) and error.status != 504:
                    raise
                # Too much for one answer, or for the time that a gateway gives one. Which of them it is nobody knows; a small one costs a
                # request more.
                self.api.too_large.update(whole)
                self._paged.update(whole)
            else:
                for name in whole:
                    self._take(found[name], data, name, name)
        sizes = {name: size for name, size in sizes.items() if name in self._paged}
        offsets = [(name, at) for name, size in sizes.items() for at in range(0, size + 1, page)]
        more = {name: (size // page + 1) * page for name, size in sizes.items()}
        while offsets:
            batch, offsets = offsets[: self.dialect.light_pages], offsets[self.dialect.light_pages :]
            parts = [(f"p{i}", Shape(name, light=True), at, page) for i, (name, at) in enumerate(batch)]
            data = await self.api.pages(pages_document(self.dialect, parts, self.budget), self.dialect)
            for i, (name, at) in enumerate(batch):
                before = len(found[name])
                goes_on = self._take(found[name], data, f"p{i}", name)
                progress[name].page(new=len(found[name]) > before, goes_on=goes_on)
                if goes_on and at + page >= more[name]:
                    # More than expected: as many pages again as were read, so that a surprise costs few requests.
                    ahead = min(self.dialect.light_pages, max(1, more[name] // page))
                    offsets += [(name, more[name] + i * page) for i in range(ahead)]
                    more[name] += ahead * page
        return found

    def _take(self, rows: Rows, data: Mapping[str, Any], alias: str, name: str) -> bool:
        connection = data.get(alias)
        if name == "investments":
            connection = inside(connection, "investments")
        page = page_of(connection, self.dialect, name)
        self.holes[name] = self.holes.get(name, 0) + page.holes
        self.nameless[name] = self.nameless.get(name, 0) + page.nameless
        for node in page.rows:
            mark: Any = node
            if name in KIND:
                mark = "" if name == "comments" else token(name, node)
            rows[identifier(node)] = mark
        return page.goes_on


def _empty(name: str) -> Rows:
    return ChangeTokens() if name in KIND else {}


def requests_for(dialect: Dialect, sizes: Sequence[int]) -> int:
    """How many requests a light sweep of so many rows takes."""
    if dialect.page is None:
        return 1
    pages = sum(size // dialect.page + 1 for size in sizes)
    return -(-pages // dialect.light_pages)
