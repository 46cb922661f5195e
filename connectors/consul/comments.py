"""CONSUL's comments: all of them from the flat list at first and once a day, then only where their number changed.

The flat list is the cheapest (docs/explanation/performance.md); nested lists are asked only for single proposals.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from ...core.identity import split_ref
from ..contract.errors import Malformed, NotFound
from ..contract.reading import Item, Page, PullRequest
from .api import Api
from .dialects import B_RECORDS, Dialect, Shape, comments_of_document, pages_document, targets_per_request
from .light_sweep import Light, LightSweep
from .mapping import KIND, Mapper, identifier, nodes

SCOPE = "comments"


class CommentReader:
    """The comments of one pull."""

    def __init__(
        self,
        api: Api,
        dialect: Dialect,
        mapper: Mapper,
        request: PullRequest,
        sweep: LightSweep,
        names: bool,
        drafts: set[str],
    ) -> None:
        self.api = api
        self.dialect = dialect
        self.mapper = mapper
        self.request = request
        self.stored = request.stored
        self.full = request.full
        self.sweep = sweep
        self.names = names
        self.drafts = drafts
        self.found: dict[tuple[str, str], int] = {}

    async def pages(self, light: Light, known: Mapping[str, Mapping[str, str]]) -> AsyncIterator[Page]:
        """All pages of comments. `known` are the tokens of the pull before, by collection and id."""
        if SCOPE in self.request.done:
            return
        # Of collections that an interrupted run had finished there is no light sweep, but what it wrote.
        finished = {name: marks for name, marks in known.items() if name in self.request.done}
        counts = _known_counts(finished) | _counts(light)
        cursor = self.stored.cursor(SCOPE)
        # What an interrupted run found changed is not known any more, so the run that continues it reads all.
        everything = self.full or bool(finished)
        if everything or cursor is not None or not self.stored.memory("comments_read"):
            ids = {split_ref(each)[1] for each in await self.request.seen(SCOPE)} if cursor else set[str]()
            first = not self.stored.memory("comments_read")
            if not (cursor and cursor.get("ended")):
                async for page in self._flat(int(cursor["offset"]) if cursor else 0, sum(counts.values()), ids):
                    yield page
            if cursor is None:
                short = [target for target, count in counts.items() if self.found.get(target, 0) < count]
                async for page in self._of(short, ids):
                    yield page
            present: set[str] = set()
            if not first:
                present = await self._ids(ids)
                async for page in self._lost(sorted(present - ids)):
                    yield page
            refs = [f"comment/{own}" for own in present]
            yield Page(SCOPE, present=refs, complete=True, memory={"comments_read": True})
            return
        before = _known_counts(known)
        drafts = {("proposals", own) for own in self.drafts}
        moved = [
            target
            for target in before | counts
            if before.get(target, 0) != counts.get(target, 0) and target[1] in light.rows.get(target[0], ())
        ]
        changed = [target for target in moved if target not in drafts]
        async for page in self._of(changed, set()):
            yield page
        fewer = any(before.get(target, 0) > counts.get(target, 0) for target in moved)
        if fewer or self.stored.pending(SCOPE):
            present = await self._ids(set())
            yield Page(SCOPE, present=[f"comment/{own}" for own in present], complete=True)

    async def _flat(self, offset: int, expected: int, ids: set[str]) -> AsyncIterator[Page]:
        shape = Shape("comments", names=self.names)
        rows = self.dialect.page or B_RECORDS
        pages = shape.pages_per_request(self.dialect)
        goes_on = True
        while goes_on:
            parts = [(f"p{i}", shape, offset + i * rows, rows) for i in range(pages)]
            data = await self.api.ask(pages_document(self.dialect, parts), self.dialect)
            items: dict[str, Item] = {}
            for i in range(pages):
                connection = data.get(f"p{i}")
                if not isinstance(connection, dict):
                    raise Malformed("comments: the answer holds no such list")
                for node in nodes(connection, self.dialect):
                    self._take(node, items, ids)
                goes_on = bool((connection.get("pageInfo") or {}).get("hasNextPage"))
                if not goes_on:
                    break
            offset += pages * rows
            yield Page(
                SCOPE, list(items.values()), next={"offset": offset, "ended": not goes_on}, total=expected or None
            )

    async def _of(self, targets: Sequence[tuple[str, str]], ids: set[str]) -> AsyncIterator[Page]:
        waiting = [(collection, own, 0) for collection, own in targets if collection != "investments"]
        size = targets_per_request(self.dialect)
        while waiting:
            batch, waiting = waiting[:size], waiting[size:]
            try:
                data = await self.api.ask(comments_of_document(self.dialect, batch, self.names), self.dialect)
            except NotFound:
                if len(batch) > 1:
                    half = len(batch) // 2
                    waiting = [*waiting, *batch[:half]]
                    waiting = [*batch[half:], *waiting]
                    size = max(1, half)
                continue
            items: dict[str, Item] = {}
            for position, (collection, own, offset) in enumerate(batch):
                connection = ((data.get(f"t{position}") or {}).get("comments")) or {}
                for node in nodes(connection, self.dialect):
                    self._take(node, items, ids)
                if (connection.get("pageInfo") or {}).get("hasNextPage"):
                    waiting.insert(0, (collection, own, offset + (self.dialect.page or 100)))
            yield Page(SCOPE, list(items.values()))

    async def _ids(self, seen: set[str]) -> set[str]:
        """Every id there is: a light sweep, repeated until it agrees with what was read or with itself."""
        return set((await self.sweep.settle({"comments": seen})).rows["comments"])

    async def _lost(self, lost: Sequence[str]) -> AsyncIterator[Page]:
        """Comments that moved between the pages while the flat list was read."""
        for start in range(0, len(lost), 200):
            found = await self.api.by_id(self.dialect, Shape("comments", names=self.names), lost[start : start + 200])
            items: dict[str, Item] = {}
            for node in found.values():
                if node is not None:
                    self._take(node, items, set())
            yield Page(SCOPE, list(items.values()))

    def _take(self, node: dict[str, Any], items: dict[str, Item], ids: set[str]) -> None:
        item = self.mapper.item("comments", node)
        if str(node.get("commentableType")) not in {"Proposal", "Debate", "Budget::Investment"}:
            return  # comments on polls: polls are not pulled
        own = identifier(node)
        items[own] = item
        if own not in ids:
            ids.add(own)
            kind = {"Proposal": "proposals", "Debate": "debates"}.get(str(node.get("commentableType")), "investments")
            target = (kind, str(node.get("commentableId")))
            self.found[target] = self.found.get(target, 0) + 1


def _counts(light: Light) -> dict[tuple[str, str], int]:
    return _known_counts({name: light.rows[name] for name in KIND if name != "comments" and name in light.rows})


def _known_counts(known: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], int]:
    """How many comments each has that has any."""
    counts: dict[tuple[str, str], int] = {}
    for name, tokens in known.items():
        position = 0 if name == "investments" else 1
        for own, mark in tokens.items():
            part = mark.split("|")[position]
            if part != "0" and part.isdigit():
                counts[name, own] = int(part)
    return counts
