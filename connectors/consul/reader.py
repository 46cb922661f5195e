"""Reading CONSUL: light sweeps first, whole records only of what is new or changed, comments where their number changed.

What moves no counter (an edited text, a tag, a milestone, an author who went private; docs/platforms/consul.md 10b) is found when its
record is read again, because it was not read whole for longest. Content is never taken from `user{publicProposals}`, which shows what
was moderated away (docs/platforms/consul.md 4.3).
"""

from collections.abc import AsyncIterator, Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

from ...core.identity import Ref, split_ref
from ...core.items import Refs
from ...core.records import Space
from ...core.store.change_tokens import ChangeTokens, by_id
from ..contract.errors import ConnectorError, Malformed, NotFound, Unreachable
from ..contract.reading import Context, Due, Item, Page, Probe, PullRequest
from ..contract.values import Progress, identity, inside
from .api import Api, Spoiled, of_this_alone
from .capabilities import capabilities, strategy, warnings
from .comments import DUE, CommentReader, Target, counts_in
from .dialects import (
    ANSWERED,
    B_RECORDS,
    DIALECTS,
    TAGGED,
    Dialect,
    Shape,
    extras_document,
    ids_per_request,
    pages_document,
)
from .drafts import JUDGED, Drafts
from .extras import Extras
from .light_sweep import Light, LightSweep, Rows
from .mapping import KIND, Mapper, counters_in, identifier, nodes, page_of
from .settings import ConsulSettings

COLLECTION = {kind: collection for collection, kind in KIND.items()} | {
    "geozone": "geozones",
    "budget": "budgets",
    "vote": "votes",
}
_HOMES = {"section/proposals": "proposals", "section/debates": "debates"}
_REREAD_SHARE = 0.3
"""Above this share of new or changed rows, reading whole pages is cheaper than asking for single rows."""
_BROKEN = "the server fails on it; it is left as it was, and everything else was read"


class ConsulReader:
    """Reads one CONSUL installation; implements `connectors.contract.Reader`, `CanConfirm` and `CanRevisit`."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = cast(ConsulSettings, context.settings)
        self.api = Api(context, self.settings)
        self._facts: Mapping[str, Any] = {}
        self._pull: ConsulPull | None = None

    async def probe(self) -> Probe:
        """What answers there. Costs about five requests."""
        release, features = await self.api.release()
        dialect = await self.api.dialect()
        start, offered = await self.api.languages()
        language = self.api.locale or start
        data = await self._extras(dialect)
        asked = ("tags", "milestones", "budgets") if "budgets" in dialect.collections else ("tags",)
        # What the server fails on here may be there all the same: it is asked for with every row, which only costs more.
        untold = [part for part in asked if not isinstance(data.get(part), dict)]
        budgets = [own for node in nodes(data.get("budgets"), dialect) if (own := identity(node)) is not None]
        if inside(data, "budgets", "pageInfo", "hasNextPage"):
            budgets = list((await LightSweep(self.api, dialect, None).sweep({"budgets": len(budgets)}))["budgets"])
        facts = {
            "dialect": dialect.name,
            "language": language,
            "tags": "tags" in untold or bool(nodes(data.get("tags"), dialect)),
            "milestones": "milestones" in untold or bool(nodes(data.get("milestones"), dialect)),
            "budgets": budgets,
        }
        return Probe(
            platform="consul",
            version=release,
            dialect=dialect.name,
            title="",
            locales=self.settings.locales or ([language] if language else []),
            capabilities=capabilities(dialect, features, self.settings),
            strategy=strategy(dialect),
            warnings=[
                *warnings(dialect, budgets, offered, self.settings),
                *(
                    f"the server fails when it is asked for its {part}; they are looked for in every pull"
                    for part in untold
                ),
            ],
            facts=facts,
        )

    async def _extras(self, dialect: Dialect) -> dict[str, Any]:
        """Whether the site has tags and milestones, and its budgets: what is not told is left out, or null.

        Raises:
            ConnectorError: the interface answers nothing at all.
        """
        try:
            return await self.api.ask(extras_document(dialect), dialect)
        except (Spoiled, Unreachable) as error:
            await self.api.is_up(dialect)
            return error.data if isinstance(error, Spoiled) else {}

    async def discover(self, probe: Probe) -> Sequence[Space]:
        """The sections and published budgets."""
        dialect = DIALECTS[probe.facts["dialect"]]
        spaces = list(_SECTIONS)
        if "budgets" in dialect.collections:
            rows = (await LightSweep(self.api, dialect, None).sweep({"budgets": 0}))["budgets"]
            mapper = Mapper(self.context, probe.facts.get("language") or "und")
            for node in rows.values():
                spaces += [r for r in mapper.build({**node, "collection": "budgets"}) if isinstance(r, Space)]
        return spaces

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        """Light sweep, changed records, comments; everything when `request.full`."""
        self._facts = request.probe.facts
        self._pull = ConsulPull(self, DIALECTS[self._facts["dialect"]], request)
        async for page in self._pull.pages():
            yield page

    async def revisit(self, request: PullRequest, due: Sequence[Due]) -> AsyncIterator[Page]:
        """Read again what was not read whole for longest, and ask a few drafts whether they are public now."""
        if self._pull is None:
            self._facts = request.probe.facts
            self._pull = ConsulPull(self, DIALECTS[self._facts["dialect"]], request)
        async for page in self._pull.revisit(due):
            yield page

    async def still_there(self, refs: Sequence[Ref]) -> Mapping[Ref, bool | None]:
        """Ask for single records (docs/platforms/consul.md 10: a 404 is hidden, deleted or never there).

        Drafts and their comments are not there for us, though the interface shows them. Investments are asked for below any published
        budget (docs/platforms/consul.md 10b); where none that was known is public any more, its investments are not either.
        """
        dialect = DIALECTS[self._facts["dialect"]]
        by_collection: dict[str, list[str]] = {}
        for each in refs:
            kind, own = split_ref(each)
            by_collection.setdefault(COLLECTION.get(kind, ""), []).append(own)
        found: dict[Ref, bool | None] = dict.fromkeys(refs)
        for collection, ids in by_collection.items():
            if collection:
                kind = next(kind for kind, name in COLLECTION.items() if name == collection)
                there = await self._there(dialect, collection, ids)
                found.update({f"{kind}/{own}": answer for own, answer in there.items()})
        return found

    async def _there(self, dialect: Dialect, collection: str, ids: Sequence[str]) -> Mapping[str, bool | None]:
        drafts = self._pull.drafts if self._pull is not None else ()
        budget = None
        if collection == "investments":
            budget, closed = await self._any_budget(dialect)
            if budget is None:
                return dict.fromkeys(ids, False if closed else None)
        if dialect.name == "B" and collection in {"comments", "votes"}:
            # Its single look-ups show what is not public as well (docs/platforms/consul.md 4.1); its lists are one statement.
            sweep = LightSweep(self.api, dialect, None)
            rows = (await sweep.sweep({collection: self._about(collection)}))[collection]
            absent = None if sweep.holes.get(collection) or sweep.nameless.get(collection) else False
            return {own: True if own in rows else absent for own in ids}
        shape = Shape(collection, light=True)
        if collection == "comments":
            shape = Shape(collection, only=("commentableId", "commentableType"))
        rows = await self.api.by_id(dialect, shape, ids, budget)
        found: dict[str, bool | None] = {own: node is not None for own, node in rows.items()}
        for own, node in rows.items():
            on_proposal = node is not None and node.get("commentableType") == "Proposal"
            if (collection == "proposals" and own in drafts) or (
                on_proposal and node is not None and str(node.get("commentableId")) in drafts
            ):
                found[own] = False
        return found

    def _about(self, collection: str) -> int:
        """How many comments or votes there are, by what this run has seen."""
        if self._pull is None:
            return 0
        if collection == "comments":
            return sum(counts_in(self._pull.light).values())
        return len(self._pull.seen.get(collection, ()))

    async def _any_budget(self, dialect: Dialect) -> tuple[str | None, bool]:
        """Any published budget; None: there is none, and whether each that was known said so itself (an empty list proves nothing)."""
        listed = (await LightSweep(self.api, dialect, None).sweep({"budgets": 0}))["budgets"]
        if listed:
            return next(iter(listed)), False
        known = sorted(self._pull.once if self._pull is not None else ())
        asked = await self.api.by_id(dialect, Shape("budgets", only=("phase",)), known)
        there = next((own for own, node in asked.items() if node is not None), None)
        return there, bool(known) and len(asked) == len(known)


class ConsulPull:
    """One pull: what it knows along the way."""

    def __init__(self, reader: ConsulReader, dialect: Dialect, request: PullRequest) -> None:
        facts = request.probe.facts
        self.reader = reader
        self.api = reader.api
        self.dialect = dialect
        self.request = request
        self.stored = request.stored
        self.budgets: list[str] = [str(own) for own in self.stored.memory("budgets") or facts.get("budgets") or ()]
        if request.full:
            self.budgets = [str(own) for own in facts.get("budgets") or ()]
        self.mapper = self._mapper()
        self.sweep = LightSweep(self.api, dialect, self.budgets[0] if self.budgets else None)
        self.collections = [c for c in ("proposals", "debates", "investments") if c in dialect.collections]
        self.wanted = frozenset(request.spaces) or frozenset(reader.settings.spaces)
        """The spaces that are read; none named: all."""
        self.names = reader.context.keep_names
        self.extras = Extras(self.api, dialect, reader.settings.locales)
        include = reader.settings.drafts == "include"
        self.drafts = Drafts(self.api, self.stored, reader.context.clock.now(), include=include)
        self.seen: dict[str, ChangeTokens] = {}
        self.known: Mapping[str, Mapping[str, str]] = {}
        """What was stored before, by collection and id."""
        self.published: Container[str] = ()
        self.light = Light()
        self.rehomed = False
        self.closed = False
        """Whether none of the budgets that `spaces` names is published now."""

    def _mapper(self) -> Mapper:
        facts = self.request.probe.facts
        return Mapper(self.reader.context, facts.get("language") or "und", _one(self.budgets))

    async def pages(self) -> AsyncIterator[Page]:
        """All pages of this pull."""
        self.api.broken.clear()
        await self._choose()
        yield Page("sections", [_section_item(space) for space in _SECTIONS], complete=True)
        known = self.known = {name: by_id(await self.stored.tokens(name)) for name in self.collections}
        self.published = known.get("proposals", ())
        done = self.request.done
        open_ = [name for name in self.collections if name not in done]
        small = [name for name in ("geozones", "budgets") if name in self.dialect.collections and name not in done]
        if self.wanted and "investments" not in self.collections and "budgets" in small:
            small.remove("budgets")
        read_all = {n for n in open_ if self.request.full or self.stored.cursor(n) is not None}
        read_all |= {n for n in open_ if not known[n] and not self.stored.memory(f"read@{n}")}
        if not self.budgets:
            read_all.discard("investments")
        resumed = {name for name in read_all if self.stored.cursor(name) is not None}
        if "proposals" in read_all and not self.drafts.include:
            async for page in self._part("proposals", self._sort_out(known["proposals"])):
                yield page
        for name in self.collections:
            if name in read_all:
                async for page in self._part(name, self._records(name, len(known[name]))):
                    yield page
        for name in resumed:
            known[name] = by_id(await self.stored.tokens(name))
        expected: dict[str, AbstractSet[str]] = {name: (self.seen.get(name) or known[name]).keys() for name in open_}
        if "proposals" in expected and self.drafts.asked:
            expected["proposals"] |= self.drafts.asked.keys()
        light = self.light = await self._settled({**expected, **{name: set[str]() for name in small}}, known)
        for name, why in light.failed.items():
            yield Page(name, failed=f"{name} could not be read: {why}")
        for name in [each for each in small if each in light.rows]:
            items = self.mapper.items(name, light.rows[name].values())
            memory = {"budgets_known": sorted(self.once | set(self.budgets), key=int)} if name == "budgets" else {}
            yield Page(name, items, complete=name in light.settled, memory=memory, failed=_holes(name, light))
        open_ = [name for name in open_ if name in light.rows]
        comments = self._comments()
        due = comments.due(light, known)
        if due:
            # The new numbers are stored with the rows, before their threads are read: a run that is killed between forgets nothing.
            every = dict.fromkeys((*due, *comments.unseen(light)))
            yield Page("comments", memory={DUE: [list(each) for each in every]})
        for name in open_:
            trusted = self.seen.get(name, ChangeTokens()) if name in read_all and name not in resumed else None
            async for page in self._part(name, self._changed(name, light, known[name], trusted)):
                yield page
        async for page in self._part("comments", comments.pages(light, known)):
            yield page
        if self.reader.settings.votes and self.dialect.name != "A" and "votes" not in done:
            async for page in self._part("votes", self._records("votes", 0)):
                yield page
        yield Page("sections", note=self.mapper.unread.note())
        for each in sorted(self.api.broken):
            yield Page("sections", failed=f"{each}: {_BROKEN}")

    async def _part(self, name: str, pages: AsyncIterator[Page]) -> AsyncIterator[Page]:
        """A part of the pull; where it cannot be read, and the site answers all the same, it is named, and the rest is read."""
        try:
            async for page in pages:
                yield page
        except (Malformed, NotFound, Unreachable) as error:
            await self._alive(error)
            yield Page(name, failed=f"{name} could not be read: {error.message}")

    async def _alive(self, error: ConnectorError) -> None:
        """Raises the error where the site answers nothing at all."""
        try:
            await self.api.is_up(self.dialect)
        except ConnectorError:
            raise error from None

    async def _choose(self) -> None:
        """Only the spaces that are asked for.

        Raises:
            NotFound: there is no such space here.
        """
        if not self.wanted:
            return
        named = {each.removeprefix("budget/") for each in self.wanted if each.startswith("budget/")}
        if named and "budgets" in self.dialect.collections:
            await self._refresh_budgets()
        # One that was published once is no mistake: what lay in it is not public any more.
        unknown = self.wanted - _HOMES.keys() - {f"budget/{own}" for own in (*self.budgets, *self.once)}
        if unknown:
            raise NotFound(
                f"there is no space {', '.join(sorted(unknown))} here",
                hint="`civicsync discover` names those there are",
            )
        if not named.isdisjoint(self.budgets) and not named.issuperset(self.budgets):
            raise NotFound(
                f"the interface does not tell which of {len(self.budgets)} budgets an investment belongs to",
                hint="name all published budgets in `spaces`, or none",
            )
        if named.isdisjoint(self.budgets):
            self.closed = True
            self._use_budgets([])
        chosen = {_HOMES.get(each, "investments") for each in self.wanted}
        self.collections = [name for name in self.collections if name in chosen]

    @property
    def once(self) -> set[str]:
        """The budgets that were published in any run."""
        return {str(own) for own in self.stored.memory("budgets_known") or ()}

    async def _refresh_budgets(self) -> None:
        rows = (await LightSweep(self.api, self.dialect, None).sweep({"budgets": len(self.budgets)}))["budgets"]
        self._use_budgets(list(rows))

    def _use_budgets(self, budgets: list[str]) -> None:
        before, self.budgets = _one(self.budgets), budgets
        self.sweep.budget = budgets[0] if budgets else None
        if before != _one(budgets):
            # Investments get their budget only where there is no other one.
            self.mapper, self.rehomed = self._mapper(), True

    async def _settled(self, expected: Mapping[str, AbstractSet[str]], known: Mapping[str, Mapping[str, str]]) -> Light:
        """The light sweep; where the budget that investments were asked below is not published any more, below another one."""
        asked = {n: ids for n, ids in expected.items() if n != "investments" or self.sweep.budget is not None}
        try:
            light = await self.sweep.settle(asked)
        except NotFound as error:
            if "investments" not in asked:
                raise
            await self._alive(error)
            await self._refresh_budgets()
            asked = {n: ids for n, ids in asked.items() if n != "investments" or self.sweep.budget is not None}
            light = await self._singly(asked)
        except (Malformed, Unreachable) as error:
            await self._alive(error)
            light = await self._singly(asked)
        if "budgets" in light.rows and not self.closed:
            self._use_budgets(list(light.rows["budgets"]))
        if "investments" in expected and "investments" not in light.rows:
            more = Light({"investments": ChangeTokens()}, {"investments"})
            if self.sweep.budget is not None:
                more = await self._singly({"investments": known["investments"].keys()})
            if "investments" not in light.failed:
                light.update(more)
        return light

    async def _singly(self, expected: Mapping[str, AbstractSet[str]]) -> Light:
        """Each collection in a light sweep of its own: one that breaks hides no other.

        Raises:
            ConnectorError: none of them could be read.
        """
        light = Light()
        failure: ConnectorError | None = None
        for name, ids in expected.items():
            try:
                light.update(await self.sweep.settle({name: ids}))
            except (Malformed, NotFound, Unreachable) as error:
                await self._alive(error)
                light.failed[name] = error.message
                failure = error
        if failure is not None and not light.rows:
            raise failure
        return light

    def _comments(self) -> CommentReader:
        return CommentReader(
            self.api,
            self.dialect,
            self.mapper,
            self.request,
            self.sweep,
            self.names,
            self.drafts,
            self.collections,
        )

    def _shape(self, name: str, *, surely: bool = False) -> Shape:
        """What is asked of whole records; `surely`: tags and milestones also where the site had none when it was probed."""
        facts = self.request.probe.facts
        tags = name in TAGGED and self.reader.settings.tags and (surely or bool(facts.get("tags")))
        milestones = name in ANSWERED and self.dialect.name == "C" and (surely or bool(facts.get("milestones")))
        return Shape(name, tags=tags, milestones=milestones, names=self.names)

    async def _sort_out(self, known: Mapping[str, str]) -> AsyncIterator[Page]:
        """Before everything is read: which proposals are drafts. What an interrupted run found out is not asked again."""
        # As many as one request may hold: empty pages cost nothing, finding out how many there are would.
        size = max(len(known), self.dialect.light_pages * (self.dialect.page or 1) - 1)
        marks = {own: str(mark) for own, mark in (await self.sweep.sweep({"proposals": size}))["proposals"].items()}
        await self.drafts.judge(marks, known, recheck=self.request.full and not self.drafts.trusted)
        memory = {**self.drafts.memory(), "not_drafts": sorted(self.drafts.shown, key=int)}
        yield Page("proposals", memory=memory, total=len(marks))

    async def _records(self, name: str, expected: int) -> AsyncIterator[Page]:
        """Whole records page by page. The order may change meanwhile, so this alone claims nothing."""
        shape = self._shape(name)
        rows = self.dialect.page or B_RECORDS
        pages = shape.pages_per_request(self.dialect)
        cursor = self.stored.cursor(name)
        offset = int(cursor["offset"]) if cursor else 0
        seen, short = self.seen.setdefault(name, ChangeTokens()), set[str]()
        progress = Progress(name)
        goes_on = not (cursor and cursor.get("ended"))
        while goes_on:
            data = await self._page_of_records(shape, offset, rows, pages)
            if data is None:
                yield Page(
                    name, note=f"{name}: the server fails on a page of the list; its rows are asked for one by one"
                )
                return
            found, goes_on = self._answered(name, data, pages)
            ids = [identifier(row) for row in found]
            progress.page(new=not all(own in seen or own in short for own in ids), goes_on=goes_on)
            items = await self._items(name, found)
            offset += pages * rows
            kept = await self._public(name, items)
            seen.update((each.partition("/")[2], item.token or "") for each, item in items.items())
            short.update(own for own in ids if own not in seen)
            memory = self.drafts.memory() if name == "proposals" and len(kept) < len(items) else {}
            ends = name == "votes" and not goes_on
            at: dict[str, Any] = {"offset": offset, "ended": not goes_on}
            yield Page(name, kept, next=at, total=expected or None, memory=memory, complete=ends)
            del data, found, items, kept  # not both this page and the next in memory

    async def _page_of_records(self, shape: Shape, offset: int, rows: int, pages: int) -> dict[str, Any] | None:
        """One request of whole records; None: one of them breaks it, though the interface answers."""
        parts = [(f"p{i}", shape, offset + i * rows, rows) for i in range(pages)]
        try:
            return await self.api.pages(pages_document(self.dialect, parts, self.sweep.budget), self.dialect)
        except NotFound:
            if shape.collection != "investments":
                raise
            await self._refresh_budgets()
            if self.sweep.budget is None:
                return {f"p{i}": {"investments": {"nodes": []}} for i in range(pages)}
            return await self.api.pages(pages_document(self.dialect, parts, self.sweep.budget), self.dialect)
        except Unreachable as error:
            votes = shape.collection == "votes"
            if votes or not of_this_alone(error) or not await self.api.is_up(self.dialect):
                raise
            return None

    def _answered(self, name: str, data: Mapping[str, Any], pages: int) -> tuple[list[dict[str, Any]], bool]:
        """The rows of an answer, and whether there are more."""
        found: list[dict[str, Any]] = []
        goes_on = True
        for i in range(pages):
            connection = data.get(f"p{i}")
            page = page_of(
                inside(connection, "investments") if name == "investments" else connection, self.dialect, name
            )
            found += page.rows
            goes_on = page.goes_on
            if not goes_on:
                break
        return found, goes_on

    async def _items(self, name: str, found: Sequence[dict[str, Any]]) -> dict[Ref, Item]:
        """The rows as items, after what only a second question tells was added."""
        for row in found:
            # A site that has no tag or milestone at all is not asked for them, and says the same as one that answers none.
            if name in TAGGED and self.reader.settings.tags:
                row.setdefault("tags", {"nodes": []})
            if name in ANSWERED and self.dialect.name == "C":
                row.setdefault("milestones", {"nodes": []})
        short = await self.extras.add(name, found, self.sweep.budget)
        if short:
            # What is known of it would go with what was not told; of one that is new a part is better than nothing.
            known = self.known.get(name)
            new = short.difference(known) if known is not None else set[str]()
            found = [row for row in found if (own := identifier(row)) not in short or own in new]
        return {item.ref: item for item in self.mapper.items(name, found)}

    async def _changed(
        self, name: str, light: Light, known: Mapping[str, str], trusted: ChangeTokens | None
    ) -> AsyncIterator[Page]:
        """The rows that the light sweep shows as new or changed, then the claim that these are all."""
        rows = light.rows[name]
        marks: Mapping[str, str] = rows
        again = name == "investments" and self.rehomed
        if trusted is not None and not again:
            wanted = [own for own in rows if own not in trusted]
        else:
            drafts = self._unchanged_drafts(marks) if name == "proposals" else set[str]()
            wanted = [own for own, mark in rows.items() if (again or known.get(own) != mark) and own not in drafts]
        if trusted is None and known and len(wanted) > _REREAD_SHARE * len(rows) and len(wanted) > 100:
            async for page in self._records(name, len(rows)):
                yield page
            wanted = [own for own in rows if own not in self.seen[name]]
        read = set[str]()
        for start in range(0, len(wanted), 200):
            part = wanted[start : start + 200]
            if name == "proposals":
                await self.drafts.judge({own: marks[own] for own in part}, self.published)
                part = [own for own in part if own not in self.drafts]
            items = await self._single(name, part, rows, surely=False)
            read |= {split_ref(item.ref)[1] for item in items}
            yield Page(name, items, total=len(rows))
        yield self._end(name, light, trusted, read | (self.seen.get(name) or ChangeTokens()).keys())

    async def _single(self, name: str, ids: Sequence[str], rows: Rows, *, surely: bool) -> list[Item]:
        """Whole records by id. What is gone meanwhile leaves the rows of the light sweep."""
        found = await self.api.by_id(self.dialect, self._shape(name, surely=surely), ids, self.sweep.budget)
        for gone in (own for own, node in found.items() if node is None):
            rows.pop(gone, None)
        return list((await self._items(name, [node for node in found.values() if node is not None])).values())

    def _end(self, name: str, light: Light, trusted: ChangeTokens | None, read: AbstractSet[str]) -> Page:
        """The claim that these are all. What was not read whole in this run is there, but not confirmed: its text may be another one."""
        rows = light.rows[name]
        kind, drafts = KIND[name], self.drafts.asked.keys() if name == "proposals" else frozenset[str]()
        if name == "proposals" and name in light.settled:
            for own in [own for own in drafts if own not in rows]:
                del self.drafts.asked[own]
        # Counters that moved after the record was read.
        items = [
            Item(f"{kind}/{own}", counters=counters_in(name, mark), token=mark)
            for own, mark in ((own, rows.get(own)) for own in trusted or ())
            if mark is not None and own not in drafts and (trusted or {}).get(own) != mark
        ]
        pending = {split_ref(each)[1] for each in self.stored.pending(name)}
        unread = {own: None for own in rows if own not in read and own not in pending}
        note, failed = None, _holes(name, light)
        if name not in light.settled and failed is None:
            note = f"{name}: the list kept changing; what is missing is judged next time"
        memory: dict[str, Any] = {f"read@{name}": True}
        if name == "proposals":
            note = " ".join(filter(None, (note, self.drafts.note()))) or None
            memory |= self.drafts.memory() | {"not_drafts": []}
            # What is taken in without being judged is judged once drafts are excluded.
            judged = not self.drafts.include
            memory |= {JUDGED: judged} if trusted is not None and not self.drafts.waiting else {}
        if name == "investments":
            memory["budgets"] = self.budgets
        present = Refs(kind, {own: None for own in rows if own not in unread}.keys(), without=drafts)
        return Page(
            name,
            items,
            present=present,
            silent=Refs(kind, unread.keys(), without=drafts),
            complete=name in light.settled,
            total=len(rows),
            memory=memory,
            note=note,
            failed=failed,
        )

    def _unchanged_drafts(self, marks: Mapping[str, str]) -> set[str]:
        """Drafts that nothing happened to since; a few of them are asked again in every run."""
        if self.request.full:
            return set()
        return {own for own in self.drafts.asked if marks.get(own, "").startswith("0|")}

    async def _public(self, name: str, items: Mapping[Ref, Item]) -> list[Item]:
        """Leave out drafts; rows that came since these were told apart are judged now."""
        if name != "proposals":
            return list(items.values())
        fresh = {
            own: item.token or ""
            for own, item in ((split_ref(ref)[1], item) for ref, item in items.items())
            if own not in self.drafts and own not in self.drafts.shown
        }
        await self.drafts.judge(fresh, self.published)
        return [item for ref, item in items.items() if split_ref(ref)[1] not in self.drafts]

    # What waited longest ------------------------------------------------------------------------------------------------

    async def revisit(self, due: Sequence[Due]) -> AsyncIterator[Page]:
        """Batches of what is due, each as old as its oldest member; and drafts that may be public by now."""
        if "proposals" in self.light.rows and self.drafts.asked:
            async for page in self._part("proposals", self._drafts_again()):
                yield page
        comments = self._comments()
        counts = counts_in(self.light)
        for collection, batch in self._batches(due):
            if collection == "comments":
                targets = {split_ref(each.ref)[1]: _target(each.target) for each in batch}
                async for page in self._part(collection, comments.revisit(targets, counts)):
                    yield page
                continue
            if self.dialect.name == "A" and self.reader.settings.tags:
                continue
            async for page in self._part(collection, self._again(collection, batch)):
                yield page
        if self.dialect.name == "A" and self.reader.settings.tags:
            # A nested list costs as much below one row as below fifty (docs/platforms/consul.md 3.3).
            for collection in self.collections:
                waiting = {each.ref for each in due if COLLECTION.get(split_ref(each.ref)[0]) == collection}
                async for page in self._part(collection, self._through_list(collection, waiting)):
                    yield page
        if self.api.broken:
            yield Page("sections", failed=f"{', '.join(sorted(self.api.broken))}: {_BROKEN}")

    async def _again(self, name: str, batch: Sequence[Due]) -> AsyncIterator[Page]:
        rows = self.light.rows[name]
        ids = [own for each in batch if (own := split_ref(each.ref)[1]) in rows]
        items = await self._single(name, ids, rows, surely=True)
        shown = {item.ref for item in items} | self.api.broken
        yield Page(name, items, absent=[each.ref for each in batch if each.ref not in shown])

    async def _through_list(self, name: str, waiting: set[Ref]) -> AsyncIterator[Page]:
        """Pages of the list, from where the last run stopped, until all that is due was shown, at most once round."""
        shape, rows = self._shape(name, surely=True), self.dialect.page or B_RECORDS
        offset = int(self.stored.memory(f"revisit@{name}") or 0)
        for _ in range(len(self.light.rows.get(name, ())) // rows + 2):
            data = await self._page_of_records(shape, offset, rows, 1) if waiting else None
            if data is None:
                return
            found, goes_on = self._answered(name, data, 1)
            items = await self._public(name, await self._items(name, found))
            waiting -= {item.ref for item in items}
            offset = offset + rows if goes_on else 0
            yield Page(name, items, memory={f"revisit@{name}": offset})

    async def _drafts_again(self) -> AsyncIterator[Page]:
        published = await self.drafts.again()
        items: list[Item] = []
        if published:
            items = await self._single("proposals", published, self.light.rows["proposals"], surely=True)
        threads = {t: n for t, n in counts_in(self.light).items() if t[0] == "proposals" and t[1] in published}
        comments = self._comments()
        comments.left = [each for each in comments.waiting() if each not in threads]
        waiting = {DUE: [list(each) for each in (*comments.left, *threads)]} if threads else {}
        yield Page("proposals", items, memory=self.drafts.memory() | waiting)
        if threads:
            async for page in comments.threads(threads, set()):
                yield page
            yield Page("comments", memory=comments.still_due())

    def _batches(self, due: Sequence[Due]) -> list[tuple[str, list[Due]]]:
        """As many as fit into a request each, oldest first. What no light sweep of this run showed is judged without."""
        waiting: dict[str, list[Due]] = {}
        batches: list[tuple[str, list[Due]]] = []
        for each in due:
            collection = COLLECTION.get(split_ref(each.ref)[0], "")
            target = _target(each.target)
            if collection == "comments":
                if target is None or target[0] not in self.collections:
                    continue
            elif collection not in self.collections or split_ref(each.ref)[1] not in self.light.rows.get(
                collection, ()
            ):
                continue
            batch = waiting.get(collection)
            if batch is None or len(batch) >= self._at_once(collection):
                batch = waiting[collection] = []
                batches.append((collection, batch))
            batch.append(each)
        return batches

    def _at_once(self, collection: str) -> int:
        return ids_per_request(self.dialect, self._shape(collection, surely=True))


def _holes(name: str, light: Light) -> str | None:
    """What is said of rows that the server fails on."""
    count = light.holes.get(name, 0)
    return (
        f"{name}: the server fails on {count} of them, and does not say on which; nothing of it was marked as gone"
        if count
        else None
    )


def _target(ref: Ref | None) -> Target | None:
    kind, own = split_ref(ref) if ref else ("", "")
    return (COLLECTION[kind], own) if kind in COLLECTION else None


_SECTIONS = (
    Space(
        kind="section",
        id="proposals",
        names={"en": "Citizen proposals", "nl": "Burgervoorstellen"},
        native_type="proposals",
    ),
    Space(kind="section", id="debates", names={"en": "Debates", "nl": "Debatten"}, native_type="debates"),
)


def _section_item(space: Space) -> Item:
    return Item(space.ref, digest=b"section-1".ljust(16), build=lambda: [space])


def _one(budgets: Sequence[str]) -> str | None:
    return budgets[0] if len(budgets) == 1 else None
