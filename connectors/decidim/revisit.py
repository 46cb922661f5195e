"""Reading again what was confirmed longest ago, whole and in the cheapest batches (`connectors.contract.CanRevisit`).

What no date and no light page shows comes this way: likes, taxonomies, authors who were deleted, threads that could not be read.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from ...core.identity import Ref, split_ref
from ..contract.errors import ConnectorError, Interface, Throttled
from ..contract.reading import Due, Item, Page
from ..contract.values import flat, identity, inside
from .comments import SCOPES, CommentReader
from .component_pull import Closed, ComponentPull
from .dialects import Dialect, taxonomies_document
from .pull_state import PullState

_TYPES = {"proposal": "Proposals", "debate": "Debates", "project": "Budgets"}


class _Rows:
    """The proposals of a component that wait for being asked, found without going through all of them for each question."""

    def __init__(self, stored: set[str], waiting: Mapping[Ref, Due]) -> None:
        """`stored`: the ids of all that are stored there."""
        self.stored = stored
        self._numbers = sorted(map(int, stored))
        self._listed = [ref for ref in waiting if ref.startswith("proposal/") and split_ref(ref)[1] in stored]
        self._sorted = sorted((int(split_ref(ref)[1]), ref) for ref in self._listed)
        self.left = len(self._listed)
        """How many of them wait at most."""

    def before(self, own: str) -> int:
        """How many stored ones have a lower id."""
        return bisect_left(self._numbers, int(own))

    def all(self, waiting: Mapping[Ref, Due]) -> list[Ref]:
        """All that wait still, in the order in which they are due."""
        return [ref for ref in self._listed if ref in waiting]

    def between(self, low: int, high: int, waiting: Mapping[Ref, Due]) -> list[Ref]:
        """Those with an id from `low` to `high`."""
        start, end = bisect_left(self._sorted, (low, "")), bisect_left(self._sorted, (high + 1, ""))
        return [ref for _, ref in self._sorted[start:end] if ref in waiting]


class Revisit:
    """One round of questions, after the pages of a pull."""

    def __init__(
        self,
        state: PullState,
        components: Mapping[str, Mapping[str, Any]],
        comments: Callable[[str], CommentReader],
        wanted: Sequence[str],
    ) -> None:
        """`comments` gives the reader of a kind's comments; `wanted` are the components that this pull reads."""
        self.state = state
        self.stored = state.stored
        self.dialect: Dialect = state.dialect
        self.components = components
        self.comments = comments
        self.wanted = wanted
        self._homes: dict[str, dict[str, str]] = {}
        self._rows: dict[str, _Rows] = {}
        self._hanging: dict[tuple[str, str], deque[tuple[str, list[Ref]]]] = {}
        """By scope and component: what threads hang on, with what of them is due."""

    async def pages(self, due: Sequence[Due]) -> AsyncIterator[Page]:
        """What is due, in its order: each question takes along what else it can answer."""
        waiting = {each.ref: each for each in due}
        async for page in self._open():
            yield page
        for each in due:
            if each.ref not in waiting:
                continue
            kind = split_ref(each.ref)[0]
            ask = {"proposal": self._proposals, "debate": self._debates, "comment": self._threads}.get(kind)
            if kind == "taxonomy" and self.dialect.likes:
                ask = self._taxonomies
            if ask is None:
                # Spaces, budgets and projects are read in every run; what came inside something else is as old as that.
                continue
            try:
                async for page in ask(each, waiting):
                    yield page
            except (Throttled, Interface):
                raise
            except Closed as closed:
                home = await self._home(kind, split_ref(each.ref)[1])
                if home is not None:
                    self.wanted = [own for own in self.wanted if own != home]
                    self._homes.clear()
                    self._rows.clear()
                    self._hanging.clear()
                    yield ComponentPull(self.state, home, self.components[home]).closed(closed)
            except ConnectorError as error:
                await self.state.alive(error)
                yield Page(each.scope, failed=f"{each.ref} could not be asked for again: {error.message}")
            waiting.pop(each.ref, None)

    async def _home(self, kind: str, own: str) -> str | None:
        """The component in which something is stored; None where that is not read, or closed."""
        if kind not in self._homes:
            self._homes[kind] = {}
            for component in self.wanted:
                if self.components[component]["type"] == _TYPES[kind]:
                    scope = f"{_TYPES[kind].lower()}@component/{component}"
                    tokens = await self.stored.tokens(scope)
                    counted = self.state.counted[kind]
                    for each, mark in tokens.items():
                        row = split_ref(each)[1]
                        self._homes[kind][row] = component
                        if row not in counted.rows:
                            counted.remember(component, {each: mark})
        return self._homes[kind].get(own)

    async def _proposals(self, first: Due, waiting: dict[Ref, Due]) -> AsyncIterator[Page]:
        home = await self._home("proposal", split_ref(first.ref)[1])
        if home is None:
            return
        pull = ComponentPull(self.state, home, self.components[home])
        if home not in self._rows:
            stored = {own for own, component in self._homes["proposal"].items() if component == home}
            self._rows[home] = _Rows(stored, waiting)
        rows = self._rows[home]
        pull.known = rows.stored
        own = split_ref(first.ref)[1]
        if rows.left > 2 * self.dialect.aliases:
            items = await pull.around(own, rows.before(own))
            ids = [int(split_ref(item.ref)[1]) for item in items]
            asked = rows.between(min([int(own), *ids]), max([int(own), *ids]), waiting)
        else:
            others = [ref for ref in rows.all(waiting) if ref != first.ref]
            asked = [first.ref, *others][: self.dialect.aliases]
            items = await pull.single([split_ref(ref)[1] for ref in asked])
        for ref in asked:
            waiting.pop(ref, None)
        rows.left -= len(asked)
        shown = {item.ref for item in items}
        memory = self.state.open_data.told()
        gone = (
            [ref for ref in asked if ref not in shown and split_ref(ref)[1] not in pull.unsure]
            if not pull.unknown
            else []
        )
        yield Page(pull.scope, items, absent=gone, memory=memory)

    async def _debates(self, first: Due, waiting: dict[Ref, Due]) -> AsyncIterator[Page]:
        home = await self._home("debate", split_ref(first.ref)[1])
        if home is None:
            return
        pull = ComponentPull(self.state, home, self.components[home])
        stored = {own for own, component in self._homes["debate"].items() if component == home}
        pull.known = stored
        shown: set[Ref] = set()
        async for items, last in pull.debate_pages():
            shown.update(item.ref for item in items)
            here = [ref for ref in waiting if ref.startswith("debate/") and split_ref(ref)[1] in stored]
            # The list was read to its end: what it did not show is not in it.
            absent = [ref for ref in here if ref not in shown] if last and not pull.unknown else []
            for ref in here:
                if last or ref in shown:
                    waiting.pop(ref, None)
            yield Page(pull.scope, items, absent=absent)

    async def _threads(self, first: Due, waiting: dict[Ref, Due]) -> AsyncIterator[Page]:
        kind = split_ref(first.target)[0] if first.target else ""
        if kind not in _TYPES:
            return
        home = await self._home(kind, split_ref(str(first.target))[1])
        if home is None:
            return
        if (first.scope, home) not in self._hanging:
            self._hanging[first.scope, home] = self._listed(first.scope, kind, home, waiting)
        listed = self._hanging[first.scope, home]
        targets: list[str] = []
        while listed and len(targets) < self.dialect.aliases:
            own, refs = listed.popleft()
            due = [ref for ref in refs if waiting.pop(ref, None) is not None]
            if due:
                targets.append(own)
        comments = self.comments(kind)
        told = len(comments.broken)
        async for page in comments.threads(targets):
            yield page
        if len(comments.broken) > told:
            yield Page(first.scope, failed=comments.failed())

    def _listed(self, scope: str, kind: str, home: str, waiting: Mapping[Ref, Due]) -> deque[tuple[str, list[Ref]]]:
        """What comments of a scope hang on in a component, in the order in which it is due, with what of it is."""
        found: dict[str, list[Ref]] = {}
        for each in waiting.values():
            if each.target is None or not each.target.startswith(f"{kind}/") or each.scope != scope:
                continue
            own = split_ref(each.target)[1]
            if self._homes[kind].get(own) == home:
                found.setdefault(own, []).append(each.ref)
        return deque(found.items())

    async def _open(self) -> AsyncIterator[Page]:
        """The threads that could not be read whole, a few at a time: perhaps they can by now."""
        for kind in SCOPES:
            left = list(self.stored.memory(f"threads_open@{kind}") or ())[: self.dialect.aliases]
            left = [own for own in left if await self._home(kind, own) is not None]
            if left:
                async for page in self.comments(kind).threads(left):
                    yield page

    async def _taxonomies(self, first: Due, waiting: dict[Ref, Due]) -> AsyncIterator[Page]:
        items = await taxonomies(self.state)
        if items is None:
            return
        shown = {item.ref for item in items}
        here = [ref for ref, each in waiting.items() if each.scope == first.scope]
        for ref in here:
            waiting.pop(ref)
        yield Page(first.scope, items, absent=[ref for ref in here if ref not in shown])


async def taxonomies(state: PullState) -> list[Item] | None:
    """All taxonomies of the organization with their parents (0.31 and later); None where the site does not list them."""
    data, _ = await state.api.ask(taxonomies_document())
    listed = inside(data, "organization", "taxonomies")
    if not isinstance(listed, list):
        return None
    items: list[Item] = []
    waiting: list[tuple[Any, Ref | None]] = [(node, None) for node in listed]
    while waiting:
        node, parent = waiting.pop(0)
        own = identity(node)
        if own is None:
            return None  # a list with something in it of which nobody knows what it is proves no absence
        kept = {"id": own, "name": node.get("name"), "parent": parent}
        items += state.mapper.many("taxonomy", [kept], lambda each: state.mapper.simple_item("taxonomy", each))
        waiting += [(each, f"taxonomy/{own}") for each in flat(node.get("children")) if each]
    return items
