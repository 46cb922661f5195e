"""CONSUL's comments: all of them from the flat list at first and in a full run, else whole threads where their number changed.

The flat list is the cheapest (docs/explanation/performance.md). A thread that is read whole is evidence: what is stored there and not
shown is asked for. What moves no number (one hidden and another written, a vote, an edit) is found when its comment is due again.
"""

from collections.abc import AsyncIterator, Container, Mapping, Sequence
from typing import Any

from ...core.identity import Ref, split_ref
from ..contract.errors import Malformed, NotFound, Unreachable
from ..contract.reading import Item, Page, PullRequest
from ..contract.values import Progress, inside, whole
from .api import Api, Spoiled, of_this_alone
from .dialects import B_RECORDS, Dialect, Shape, comments_of_document, pages_document, targets_per_request
from .light_sweep import Light, LightSweep
from .mapping import KIND, Mapper, identifier, page_of

SCOPE = "comments"
DUE = "threads_due"
"""The memory of threads whose number changed and that were not read yet: their new number is stored before they are."""
_AT_ONCE = 50
"""Pages of one thread that are asked for before it is known whether they are there: 1,250 comments."""
GIVEN_UP = 3
"""So many threads in a row that the server fails on: then it is no single one."""
Target = tuple[str, str]
"""Collection and id of what is commented."""
_COLLECTION = {"Proposal": "proposals", "Debate": "debates", "Budget::Investment": "investments"}


class CommentReader:
    """The comments of one pull: of these collections, except those of drafts, which are not ours."""

    def __init__(
        self,
        api: Api,
        dialect: Dialect,
        mapper: Mapper,
        request: PullRequest,
        sweep: LightSweep,
        names: bool,
        drafts: Container[str],
        collections: Sequence[str],
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
        self.collections = collections
        self.found: dict[Target, int] = {}
        self.others: set[str] = set()
        """Comments of drafts and polls, by id."""
        self.failed = False
        self.unsure = False
        """Whether the list of all comments kept changing, or has holes: then none is missing."""
        self.holes = 0
        self.left: list[Target] = []
        """Threads that the server failed on, or that this run does not come to: they are due still."""

    async def pages(self, light: Light, known: Mapping[str, Mapping[str, str]]) -> AsyncIterator[Page]:
        """All pages of comments. `known` are the tokens of the pull before, by collection and id."""
        if SCOPE in self.request.done:
            return
        # Of collections that an interrupted run had finished there is no light sweep, but what it wrote.
        finished = {name: marks for name, marks in known.items() if name in self.request.done}
        counts = known_counts(finished) | counts_in(light)
        self.left = self.unseen(light)
        cursor = self.stored.cursor(SCOPE)
        # What an interrupted run found changed is not known any more, so the run that continues it reads all.
        everything = self.full or bool(finished)
        if everything or cursor is not None or not self.stored.memory("comments_read"):
            ids = {split_ref(each)[1] for each in await self.request.seen(SCOPE)} if cursor else set[str]()
            first = not self.stored.memory("comments_read")
            if not (cursor and cursor.get("ended")):
                async for page in self._flat(int(cursor["offset"]) if cursor else 0, sum(counts.values()), ids):
                    yield page
            if cursor is None and not self.failed:
                short = {
                    target: count
                    for target, count in counts.items()
                    if self.found.get(target, 0) < count and self._is_ours(target)
                }
                async for page in self.threads(short, ids):
                    yield page
            present: set[str] = set()
            if not first or self.failed:
                present = await self._ids(ids | self.others)
                async for page in self._lost(sorted(present - ids - self.others)):
                    yield page
            refs = [f"comment/{own}" for own in present - self.others]
            failed = f"comments: the server fails on {self.holes} of them" if self.holes else None
            memory = {"comments_read": True, **self.still_due()}
            yield Page(SCOPE, present=refs, complete=not self.unsure, memory=memory, failed=failed)
            return
        moved = {target: counts.get(target, 0) for target in self.due(light, known)}
        try:
            async for page in self.threads(moved, set()):
                yield page
        except (NotFound, Unreachable, Malformed):
            if self.left:
                yield Page(SCOPE, memory=self.still_due())
            raise
        if moved:
            yield Page(SCOPE, memory=self.still_due())

    def still_due(self) -> dict[str, Any]:
        """The memory of what was not read."""
        return {DUE: [list(each) for each in self.left]}

    def due(self, light: Light, known: Mapping[str, Mapping[str, str]]) -> list[Target]:
        """The threads with more or fewer comments than before, and those that an earlier run had left."""
        before, counts = known_counts(known), counts_in(light)
        moved = [target for target in before | counts if before.get(target, 0) != counts.get(target, 0)]
        every = dict.fromkeys((*self.waiting(), *moved))
        return [target for target in every if target[1] in light.rows.get(target[0], ()) and self._is_ours(target)]

    def waiting(self) -> list[Target]:
        """The threads that an earlier run had left."""
        return [(str(name), str(own)) for name, own in self.stored.memory(DUE) or ()]

    def unseen(self, light: Light) -> list[Target]:
        """Those of them that this run cannot tell anything of: their list was not read, or does not show all."""
        rows, settled = light.rows, light.settled
        return [each for each in self.waiting() if each[0] not in settled and each[1] not in rows.get(each[0], ())]

    async def _flat(self, offset: int, expected: int, ids: set[str]) -> AsyncIterator[Page]:
        shape = Shape("comments", names=self.names)
        rows = self.dialect.page or B_RECORDS
        pages = shape.pages_per_request(self.dialect)
        goes_on, progress = True, Progress(SCOPE)
        while goes_on:
            parts = [(f"p{i}", shape, offset + i * rows, rows) for i in range(pages)]
            try:
                data = await self.api.pages(pages_document(self.dialect, parts), self.dialect)
            except Unreachable as error:
                if not of_this_alone(error) or not await self.api.is_up(self.dialect):
                    raise
                # One row breaks its page (docs/platforms/consul.md 5); what is left is asked for by id.
                self.failed = True
                return
            items: dict[str, Item] = {}
            for i in range(pages):
                page = page_of(data.get(f"p{i}"), self.dialect, SCOPE)
                before = len(ids) + len(self.others)
                for node in page.rows:
                    self._take(node, items, ids)
                goes_on = page.goes_on
                progress.page(new=len(ids) + len(self.others) > before, goes_on=goes_on)
                if not goes_on:
                    break
            offset += pages * rows
            yield Page(
                SCOPE, list(items.values()), next={"offset": offset, "ended": not goes_on}, total=expected or None
            )

    async def threads(self, targets: Mapping[Target, int], ids: set[str]) -> AsyncIterator[Page]:
        """Whole threads, with how many comments each should have. Those that were surely read whole are named so."""
        size = targets_per_request(self.dialect)
        waiting = [target for target in targets if target[0] != "investments" or self.sweep.budget is not None]
        again, nameless, in_a_row = set[Target](), set[Target](), 0
        while waiting:
            batch: list[tuple[str, str, int]] = []
            asked: list[Target] = []
            while waiting and (not batch or len(batch) + len(self._offsets(targets[waiting[0]])) <= size):
                target = waiting.pop(0)
                asked.append(target)
                batch += [(*target, offset) for offset in self._offsets(targets[target])]
            try:
                shown, single = await self._asked(batch, size, anonymous=not nameless.isdisjoint(asked))
            except (NotFound, Unreachable, Malformed) as error:
                # One of them went meanwhile, or holds a comment whose author is really gone (docs/platforms/consul.md 4.2).
                if not of_this_alone(error) or not await self.api.is_up(self.dialect):
                    raise
                if len(asked) == 1 and error.status != 404:
                    if asked[0] in nameless:
                        in_a_row += 1
                        if in_a_row == GIVEN_UP:
                            # Then it is no single one. If it was all the same, the next run does not begin with these.
                            self.left = [*waiting, *self.left, asked[0]]
                            raise
                        self.api.broken.add(f"{KIND[asked[0][0]]}/{asked[0][1]}")
                        self.left.append(asked[0])
                        continue
                    nameless.add(asked[0])
                    waiting.insert(0, asked[0])
                    size = 1
                elif len(asked) > 1:
                    half = len(asked) // 2
                    waiting = [*asked[:half], *asked[half:], *waiting]
                    size = max(1, min(size, half))
                continue
            in_a_row = 0
            items: dict[str, Item] = {}
            whole: list[Ref] = []
            for target in asked:
                own = shown.get(target, {})
                for node in own.values():
                    self._take(node, items, ids, untold=frozenset({"author"}) if target in nameless else frozenset())
                # Pages are several statements, and rows move between them (docs/platforms/consul.md 3.2).
                if target in single or len(own) >= targets[target]:
                    whole.append(f"{KIND[target[0]]}/{target[1]}")
                elif target not in again:
                    again.add(target)
                    waiting.append(target)
            yield Page(SCOPE, list(items.values()), whole_of=whole)

    def _offsets(self, count: int) -> list[int]:
        """Where the pages of a thread begin that are asked for at once. What goes on behind them is followed: a number that the platform
        claims is no reason to write down as many pages."""
        page = self.dialect.page
        return [0] if page is None else list(range(0, min(max(count, 1), _AT_ONCE * page), page))

    async def _asked(
        self, batch: Sequence[tuple[str, str, int]], size: int, *, anonymous: bool
    ) -> tuple[dict[Target, dict[str, dict[str, Any]]], set[Target]]:
        """The comments of these threads by id, and which threads came in one piece."""
        shown: dict[Target, dict[str, dict[str, Any]]] = {}
        pieces: dict[Target, int] = {}
        progress: dict[Target, Progress] = {}
        rest = list(batch)
        while rest:
            now, rest = rest[:size], rest[size:]
            document = comments_of_document(self.dialect, now, self.names, self.sweep.budget, anonymous=anonymous)
            data = await self.api.ask(document, self.dialect)
            for position, (collection, own, offset) in enumerate(now):
                target = (collection, own)
                answer = data.get(f"t{position}")
                answer = answer if collection != "investments" else inside(answer, "investment")
                thread = shown.setdefault(target, {})
                page = page_of(inside(answer, "comments"), self.dialect, f"comments of {KIND[collection]}/{own}")
                # A thread with a hole in it was not read in one piece.
                pieces[target] = pieces.get(target, 0) + 1 + page.holes + page.nameless
                before = len(thread)
                thread.update((identifier(node), node) for node in page.rows)
                following = offset + (self.dialect.page or 0)
                goes_on = page.goes_on
                told = progress.setdefault(target, Progress(f"comments of {KIND[collection]}/{own}"))
                told.page(new=len(thread) > before, goes_on=goes_on)
                if goes_on and following > offset and (collection, own, following) not in batch:
                    rest.append((collection, own, following))
        return shown, {target for target, count in pieces.items() if count == 1}

    async def _ids(self, seen: set[str]) -> set[str]:
        """Every id there is: a light sweep, repeated until it agrees with what was read or with itself."""
        light = await self.sweep.settle({SCOPE: seen})
        self.unsure = SCOPE not in light.settled
        self.holes = light.holes.get(SCOPE, 0)
        return set(light.rows[SCOPE])

    async def _lost(self, lost: Sequence[str]) -> AsyncIterator[Page]:
        """Comments that moved between the pages while the flat list was read."""
        for start in range(0, len(lost), 200):
            yield Page(SCOPE, list((await self._by_id(lost[start : start + 200]))[0].values()))

    async def _by_id(self, ids: Sequence[str]) -> tuple[dict[str, Item], list[str]]:
        """Single comments as items, and those that are gone."""
        found = await self.api.by_id(self.dialect, Shape(SCOPE, names=self.names), ids)
        items: dict[str, Item] = {}
        for node in found.values():
            if node is not None:
                self._take(node, items, set())
        return items, [own for own, node in found.items() if node is None]

    async def revisit(self, due: Mapping[str, Target | None], counts: Mapping[Target, int]) -> AsyncIterator[Page]:
        """These comments again, with what they hang on. Where one is gone its thread is read whole: another may have come instead."""
        try:
            data = await self.api.one_by_one(self.dialect, Shape(SCOPE, names=self.names), list(due))
            gone = [own for own, node in data.items() if node is None]
        except (NotFound, Unreachable, Spoiled) as error:
            if not of_this_alone(error):
                raise
            # Which of them? A light sweep of all ids tells it in a request or two; halving the batch would take many.
            light = await self.sweep.settle({SCOPE: set()}, {SCOPE: sum(counts.values())})
            # Where the list itself has holes nothing that it does not show is gone.
            there = light.rows[SCOPE].keys() if SCOPE in light.settled else due.keys()
            data = await self.api.by_id(
                self.dialect, Shape(SCOPE, names=self.names), [own for own in due if own in there]
            )
            gone = [own for own in due if own not in there or (own in data and data[own] is None)]
        items: dict[str, Item] = {}
        for node in data.values():
            if node is not None:
                self._take(node, items, set())
        absent = [f"comment/{own}" for own in gone] + [f"comment/{own}" for own in self.others if own in due]
        # In one page: the run may end after any, and which threads these are would be forgotten.
        whole: list[Ref] = []
        threads = dict.fromkeys(target for own in gone if (target := due[own]) is not None and self._is_ours(target))
        async for page in self.threads({target: counts[target] for target in threads if target in counts}, set()):
            items.update((split_ref(item.ref)[1], item) for item in page.items)
            whole += page.whole_of
        yield Page(SCOPE, list(items.values()), absent=absent, whole_of=whole)

    def _is_ours(self, target: Target) -> bool:
        return target[0] in self.collections and not (target[0] == "proposals" and target[1] in self.drafts)

    def _take(
        self, node: dict[str, Any], items: dict[str, Item], ids: set[str], untold: frozenset[str] = frozenset()
    ) -> None:
        own, collection = identifier(node), _COLLECTION.get(str(node.get("commentableType")))
        target = (collection or "", str(node.get("commentableId")))
        if collection is None or (collection == "proposals" and target[1] in self.drafts):
            self.others.add(own)  # comments on polls and on drafts: neither is pulled
            return
        if own not in ids:
            ids.add(own)
            self.found[target] = self.found.get(target, 0) + 1
        if collection in self.collections:
            items.update((own, item) for item in self.mapper.items(SCOPE, [node], untold))


def counts_in(light: Light) -> dict[Target, int]:
    """How many comments each has that has any, by a light sweep."""
    return known_counts({name: light.rows[name] for name in KIND if name != SCOPE and name in light.rows})


def known_counts(known: Mapping[str, Mapping[str, str]]) -> dict[Target, int]:
    """How many comments each has that has any."""
    counts: dict[Target, int] = {}
    for name, tokens in known.items():
        position = 0 if name == "investments" else 1
        for own, mark in tokens.items():
            written = mark.split("|")[position]
            # Most have none.
            if written != "0" and (count := whole(written)):
                counts[name, own] = count
    return counts
