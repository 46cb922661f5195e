"""Reading CONSUL: light sweeps first, whole records only of what is new or changed, comments where their number changed.

A daily full pull reads every record again, because an edited text moves no counter (docs/platforms/consul.md 7). Content is never taken
from `user{publicProposals}`, which shows what was moderated away (docs/platforms/consul.md 4.3).
"""

from collections.abc import AsyncIterator, Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

from ...core.identity import Ref, split_ref
from ...core.items import Refs
from ...core.records import Space
from ...core.store.change_tokens import ChangeTokens, by_id
from ..contract.errors import Interface, Malformed
from ..contract.reading import Context, Item, Page, Probe, PullRequest
from .api import Api
from .capabilities import capabilities, strategy, warnings
from .comments import CommentReader
from .dialects import B_RECORDS, DIALECTS, Dialect, Shape, extras_document, pages_document
from .extras import Extras
from .light_sweep import Light, LightSweep
from .mapping import KIND, Mapper, counters_in, identifier, nodes
from .settings import ConsulSettings

COLLECTION = {kind: collection for collection, kind in KIND.items()} | {"geozone": "geozones", "budget": "budgets"}
_REREAD_SHARE = 0.3
"""Above this share of new or changed rows, reading whole pages is cheaper than asking for single rows."""


class ConsulReader:
    """Reads one CONSUL installation; implements `connectors.contract.Reader` and `Confirms`."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = cast(ConsulSettings, context.settings)
        self.api = Api(context, self.settings)
        self._facts: Mapping[str, Any] = {}

    async def probe(self) -> Probe:
        """What answers there. Costs about five requests."""
        release, features = await self.api.release()
        dialect = await self.api.dialect()
        language = self.api.locale or await self.api.language()
        data = await self.api.ask(extras_document(dialect), dialect)
        budgets = [identifier(node) for node in nodes(data.get("budgets"), dialect)]
        facts = {
            "dialect": dialect.name,
            "language": language,
            "tags": bool(nodes(data.get("tags"), dialect)),
            "milestones": bool(nodes(data.get("milestones"), dialect)),
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
            warnings=warnings(dialect, budgets),
            facts=facts,
        )

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
        dialect = DIALECTS[self._facts["dialect"]]
        pull = ConsulPull(self, dialect, request)
        async for page in pull.pages():
            yield page

    async def still_there(self, refs: Sequence[Ref]) -> Mapping[Ref, bool | None]:
        """Ask for single records (docs/platforms/consul.md 10: a 404 is hidden, deleted or never there)."""
        dialect = DIALECTS[self._facts["dialect"]]
        budget = _one(self._facts)
        by_collection: dict[str, list[str]] = {}
        for each in refs:
            kind, own = split_ref(each)
            by_collection.setdefault(COLLECTION.get(kind, ""), []).append(own)
        found: dict[Ref, bool | None] = {}
        for collection, ids in by_collection.items():
            if collection == "" or (collection == "investments" and budget is None):
                found.update({f"{KIND.get(collection, '')}/{own}": None for own in ids})
                continue
            rows = await self.api.by_id(dialect, Shape(collection, light=True), ids, budget)
            kind = next(kind for kind, name in COLLECTION.items() if name == collection)
            found.update({f"{kind}/{own}": row is not None for own, row in rows.items()})
        return found


class ConsulPull:
    """One pull: what it knows along the way."""

    def __init__(self, reader: ConsulReader, dialect: Dialect, request: PullRequest) -> None:
        facts = request.probe.facts
        self.reader = reader
        self.api = reader.api
        self.dialect = dialect
        self.request = request
        self.stored = request.stored
        self.budget = _one(facts)
        self.mapper = Mapper(reader.context, facts.get("language") or "und", self.budget)
        self.sweep = LightSweep(self.api, dialect, (facts.get("budgets") or [None])[0])
        self.collections = [c for c in ("proposals", "debates", "investments") if c in dialect.collections]
        if not facts.get("budgets") and "investments" in self.collections:
            self.collections.remove("investments")
        if request.spaces:
            homes = {"section/proposals": "proposals", "section/debates": "debates"}
            asked = {homes.get(each, "investments" if each.startswith("budget/") else "") for each in request.spaces}
            self.collections = [name for name in self.collections if name in asked]
        self.names = reader.context.keep_names
        self.extras = Extras(self.api, dialect, reader.settings.locales)
        self.drafts: set[str] = set(self.stored.memory("drafts") or ())
        self.seen: dict[str, ChangeTokens] = {}
        self.published: Container[str] = ()
        self.lists: dict[bool, tuple[set[str], int | None]] = {}

    async def pages(self) -> AsyncIterator[Page]:
        """All pages of this pull."""
        yield Page("sections", [_section_item(space) for space in _SECTIONS], complete=True)
        known = {name: by_id(await self.stored.tokens(name)) for name in self.collections}
        self.published = known.get("proposals", ())
        done = self.request.done
        open_ = [name for name in self.collections if name not in done]
        small = [name for name in ("geozones", "budgets") if name in self.dialect.collections and name not in done]
        read_all = {n for n in open_ if self.request.full or self.stored.cursor(n) is not None}
        read_all |= {n for n in open_ if not known[n] and not self.stored.memory(f"read@{n}")}
        resumed = {name for name in read_all if self.stored.cursor(name) is not None}
        for name in self.collections:
            if name in read_all:
                async for page in self._records(name, len(known[name])):
                    yield page
        for name in resumed:
            known[name] = by_id(await self.stored.tokens(name))
        expected: dict[str, AbstractSet[str]] = {name: (self.seen.get(name) or known[name]).keys() for name in open_}
        if "proposals" in expected and self.drafts:
            expected["proposals"] |= self.drafts
        light = await self.sweep.settle({**expected, **{name: set[str]() for name in small}})
        self._check_budgets(light)
        for name in small:
            items = [self.mapper.item(name, node) for node in light.rows[name].values()]
            yield Page(name, items, complete=True)
        for name in open_:
            trusted = self.seen.get(name, ChangeTokens()) if name in read_all and name not in resumed else None
            async for page in self._changed(name, light, known[name], trusted):
                yield page
        comments = CommentReader(self.api, self.dialect, self.mapper, self.request, self.sweep, self.names, self.drafts)
        async for page in comments.pages(light, known):
            yield page
        if self.reader.settings.votes and self.dialect.name != "A" and "votes" not in done:
            async for page in self._records("votes", 0):
                yield page

    def _check_budgets(self, light: Light) -> None:
        if "budgets" in light.rows and set(light.rows["budgets"]) != set(self.request.probe.facts.get("budgets") or ()):
            raise Interface("other budgets are published than when the instance was probed")

    def _shape(self, name: str) -> Shape:
        facts = self.request.probe.facts
        extra = name == "proposals"
        tags = extra and self.reader.settings.tags and bool(facts.get("tags"))
        milestones = extra and bool(facts.get("milestones"))
        return Shape(name, tags=tags, milestones=milestones, names=self.names)

    async def _records(self, name: str, expected: int) -> AsyncIterator[Page]:
        """Whole records page by page. The order may change meanwhile, so this alone claims nothing."""
        shape = self._shape(name)
        rows = self.dialect.page or B_RECORDS
        pages = shape.pages_per_request(self.dialect)
        cursor = self.stored.cursor(name)
        offset = int(cursor["offset"]) if cursor else 0
        for archived, (listed, page) in ((cursor or {}).get("lists") or {}).items():
            self.lists[archived == "archived"] = ({str(own) for own in listed}, page)
        seen = self.seen.setdefault(name, ChangeTokens())
        goes_on = not (cursor and cursor.get("ended"))
        while goes_on:
            parts = [(f"p{i}", shape, offset + i * rows, rows) for i in range(pages)]
            budget = self.sweep.budget
            data = await self.api.ask(pages_document(self.dialect, parts, budget), self.dialect)
            found, goes_on = self._answered(name, data, pages)
            items = await self._items(name, found)
            offset += pages * rows
            kept = await self._public(name, list(items.values()))
            seen.update((each.partition("/")[2], item.token or "") for each, item in items.items())
            memory = {"drafts": sorted(self.drafts, key=int)} if name == "proposals" and len(kept) < len(items) else {}
            ends = name == "votes" and not goes_on
            at: dict[str, Any] = {"offset": offset, "ended": not goes_on}
            if name == "proposals" and self.lists:
                # What was read of the public list need not be read again by a run that goes on from here.
                at["lists"] = {
                    "archived" if old else "current": (sorted(map(int, listed)), page)
                    for old, (listed, page) in self.lists.items()
                }
            yield Page(name, kept, next=at, total=expected or None, memory=memory, complete=ends)
            del data, found, items, kept  # not both this page and the next in memory

    def _answered(self, name: str, data: Mapping[str, Any], pages: int) -> tuple[list[dict[str, Any]], bool]:
        """The rows of an answer, and whether there are more."""
        found: list[dict[str, Any]] = []
        goes_on = True
        for i in range(pages):
            connection = data.get(f"p{i}")
            connection = (connection or {}).get("investments") if name == "investments" else connection
            if not isinstance(connection, dict):
                raise Malformed(f"{name}: the answer holds no such list")
            found += nodes(connection, self.dialect)
            goes_on = bool((connection.get("pageInfo") or {}).get("hasNextPage"))
            if not goes_on:
                break
        return found, goes_on

    async def _items(self, name: str, found: Sequence[dict[str, Any]]) -> dict[Ref, Item]:
        """The rows as items, after what only a second question tells was added."""
        await self.extras.add(name, found, self.sweep.budget)
        return {item.ref: item for item in (self.mapper.item(name, node) for node in found)}

    async def _changed(
        self, name: str, light: Light, known: Mapping[str, str], trusted: ChangeTokens | None
    ) -> AsyncIterator[Page]:
        """The rows that the light sweep shows as new or changed, then the claim that these are all."""
        rows = light.rows[name]
        marks: Mapping[str, str] = rows
        if trusted is not None:
            wanted = [own for own in rows if own not in trusted]
        else:
            drafts = self._unchanged_drafts(marks)
            wanted = [own for own, mark in rows.items() if known.get(own) != mark and own not in drafts]
        if trusted is None and known and len(wanted) > _REREAD_SHARE * len(rows) and len(wanted) > 100:
            async for page in self._records(name, len(rows)):
                yield page
            wanted = [own for own in rows if own not in self.seen[name]]
        for start in range(0, len(wanted), 200):
            part = wanted[start : start + 200]
            found = await self.api.by_id(self.dialect, self._shape(name), part, self.sweep.budget)
            there = await self._items(name, [node for node in found.values() if node is not None])
            items = list(there.values())
            for gone in (own for own, node in found.items() if node is None):
                rows.pop(gone, None)
            yield Page(name, await self._public(name, items), total=len(rows))
        kind = KIND[name]
        drafts = self.drafts if name == "proposals" else set[str]()
        present = Refs(kind, rows.keys(), without=drafts)
        # Counters that moved after the record was read.
        items = [
            self._counted(name, own, marks[own])
            for own, mark in (trusted or {}).items()
            if own not in drafts and rows.get(own, mark) != mark
        ]
        note = None if name in light.settled else f"{name}: the list kept changing; what is missing is judged next time"
        memory: dict[str, Any] = {f"read@{name}": True}
        if name == "proposals":
            memory["drafts"] = sorted(self.drafts, key=int)
        yield Page(
            name, items, present=present, complete=name in light.settled, total=len(present), memory=memory, note=note
        )

    def _counted(self, name: str, own: str, mark: str) -> Item:
        return Item(f"{KIND[name]}/{own}", counters=counters_in(name, mark), token=mark)

    def _unchanged_drafts(self, marks: Mapping[str, str]) -> set[str]:
        """Drafts that nothing happened to since; they are looked up again in a full pull."""
        if self.request.full:
            return set()
        return {own for own in self.drafts if marks.get(own, "").startswith("0|")}

    async def _public(self, name: str, items: list[Item]) -> list[Item]:
        """Leave out drafts: proposals without any support that the public list does not show (docs/platforms/consul.md 7)."""
        if name != "proposals" or self.reader.settings.drafts == "include":
            return items
        doubtful = {
            split_ref(item.ref)[1]
            for item in items
            if item.counters is not None
            and item.counters.supports == 0
            and not item.kept().get("retiredAt")
            and split_ref(item.ref)[1] not in self.published
        }
        old = {own for item in items if (own := split_ref(item.ref)[1]) in doubtful and self._archived(item)}
        unlisted = (
            doubtful - await self._listed(doubtful - old, archived=False) - await self._listed(old, archived=True)
        )
        for item in items:
            own = split_ref(item.ref)[1]
            (self.drafts.add if own in unlisted else self.drafts.discard)(own)
        return [item for item in items if split_ref(item.ref)[1] not in unlisted]

    async def _listed(self, wanted: set[str], *, archived: bool) -> set[str]:
        """Which of these the public list shows; read no further than needed, and once per pull."""
        seen, page = self.lists.get(archived, (set[str](), 0))
        while page is not None and not wanted <= seen:
            page += 1
            ids = await self.api.listed(page, archived=archived)
            if ids is None:
                return wanted
            seen |= ids
            self.lists[archived] = (seen, page if ids else None)
            page = self.lists[archived][1]
        return wanted & seen

    def _archived(self, item: Item) -> bool:
        """Older than a year: only the list of the archive shows it."""
        created = str(item.kept().get("publicCreatedAt") or "")[:10]
        return (
            created
            < self.reader.context.clock.now().replace(year=self.reader.context.clock.now().year - 1).date().isoformat()
        )


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


def _one(facts: Mapping[str, Any]) -> str | None:
    budgets = facts.get("budgets") or []
    return budgets[0] if len(budgets) == 1 else None
