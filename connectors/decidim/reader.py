"""Reading Decidim: spaces first, then every component by the cheapest complete way of its release.

0.32 tells when a component last changed, so an unchanged one costs nothing; before, a light sweep finds what moved. Comments are read
where something moved, from the site's own open-data file where that still speaks for them; what no date shows is read again in time.
docs/explanation/performance.md has what each way costs.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, cast

from ...core.identity import Ref, split_ref
from ...core.records import Space
from ..contract.errors import ConnectorError, Interface, Malformed, NotFound, Throttled
from ..contract.reading import Context, Due, Item, Page, Probe, PullRequest
from ..contract.values import flat, identity, inside
from .api import Api, doubtful
from .capabilities import capabilities, strategy, warnings
from .comments import KINDS, CommentReader, Counted
from .component_pull import CLOSED, ComponentPull
from .dialects import (
    ROOTS,
    VERSION,
    Dialect,
    light_selection,
    parts_document,
    parts_selection,
    spaces_document,
)
from .languages import Languages
from .mapping import Mapper, component_path
from .open_data import OpenData
from .presence import Presence
from .probing import probe
from .pull_state import PullState
from .revisit import Revisit, taxonomies
from .settings import DecidimSettings

_LAST = {"Proposals": "proposals", "Debates": "debates", "Budgets": "budgets"}


class DecidimReader:
    """Reads one organization; implements `connectors.contract.Reader`, `CanConfirm` and `CanRevisit`."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = cast(DecidimSettings, context.settings)
        self.api = Api(context, self.settings)
        self._pull: DecidimPull | None = None

    async def probe(self) -> Probe:
        """What answers there: four requests, one more where the configuration names no languages."""
        found = await probe(self.api)
        offered = found.locales()
        told = None if self.settings.locales else await self.api.language()
        language = told if told in offered else None
        locales = self.settings.locales or _first_of(language, offered)
        facts = {"dialect": found.dialect.to_facts(), "roots": list(found.roots), "language": language}
        facts["offered"] = offered
        return Probe(
            platform="decidim",
            version=found.version,
            dialect=found.dialect.name,
            title=found.title,
            locales=locales,
            capabilities=capabilities(found.dialect, self.settings),
            strategy=strategy(found.dialect, self.settings),
            warnings=warnings(found.dialect, found.version, self.settings, offered),
            facts=facts,
        )

    async def discover(self, probe: Probe) -> Sequence[Space]:
        """All public spaces and their components."""
        dialect = Dialect(**probe.facts["dialect"])
        data, _ = await self.api.ask(spaces_document(dialect, probe.facts["roots"]))
        tree = SpaceTree(Mapper(self.context, dialect), data, probe.facts["roots"])
        return [r for item in tree.items for r in (item.build() if item.build else ()) if isinstance(r, Space)]

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        """Everything that is public and may have changed."""
        self._pull = DecidimPull(self, request)
        async for page in self._pull.pages():
            yield page

    async def still_there(self, refs: Sequence[Ref]) -> Mapping[Ref, bool | None]:
        """Ask for single records, or for the list that would hold them; what cannot be asked for cannot be told."""
        if self._pull is None:
            return dict.fromkeys(refs)
        pull = self._pull
        return await Presence(pull.state, pull.tree(), pull.languages, pull.deleted_comments).of(refs)

    async def revisit(self, request: PullRequest, due: Sequence[Due]) -> AsyncIterator[Page]:
        """Read again, whole, what was confirmed longest ago."""
        if self._pull is None:
            return
        async for page in self._pull.revisit(due):
            yield page


class SpaceTree:
    """The spaces of one answer: items for the store, and the components with their addresses."""

    def __init__(
        self,
        mapper: Mapper,
        data: Mapping[str, Any],
        roots: Sequence[str],
        closed: Collection[str] = (),
        errors: Sequence[Any] = (),
    ) -> None:
        """`closed`: components that do not answer, listed or not; they are left out, and those still listed are `self.closed`."""
        self.items: list[Item] = []
        self.closed: set[str] = set()
        self.components: dict[str, dict[str, Any]] = {}
        self.unsure = False
        """Whether something in these lists was answered with an error, or is nothing one knows: what is not listed may be there."""
        for root in roots:
            listed = data.get(root)
            if listed is None and doubtful(errors, root):
                self.unsure = True
                continue
            if not isinstance(listed, list):
                raise Malformed(f"{root}: the answer holds no such list")
            for place, space in enumerate(listed):
                own = identity(space)
                if own is None:
                    self.unsure = self.unsure or space is not None or doubtful(errors, root, place)
                    if space is not None:
                        mapper.unread.add(root)
                    continue
                kind = ROOTS[root]
                slug = str(space.get("slug") or (f"i-{own}" if kind == "initiative" else ""))
                path = component_path(kind, slug, "0", "x")
                address = path.split("/f/")[0] if path else None
                kept = {"id": own, "title": space.get("title"), "type": space.get("type"), "path": address}
                self.items += mapper.many(kind, [kept], lambda each, kind=kind: mapper.simple_item(kind, each))
                active = [str(inside(step, "id")) for step in flat(space.get("steps")) if inside(step, "active")]
                components = space.get("components")
                if not isinstance(components, list):
                    self.unsure = True
                for at, component in enumerate(flat(components)):
                    number = identity(component)
                    if number is None:
                        self.unsure = (
                            self.unsure or component is not None or doubtful(errors, root, place, "components", at)
                        )
                        if component is not None:
                            mapper.unread.add(f"components of {kind}/{own}")
                        continue
                    if number in closed:
                        self.closed.add(number)
                        continue
                    self._component(mapper, component, f"{kind}/{own}", slug, ",".join(active))

    def _component(self, mapper: Mapper, component: Mapping[str, Any], space: Ref, slug: str, step: str) -> None:
        own, manifest = str(component["id"]), str(component.get("__typename"))
        last = _LAST.get(manifest, "")
        path = component_path(split_ref(space)[0], slug, own, last)
        kept = {"id": own, "name": component.get("name"), "type": manifest, "parent": space}
        kept["path"] = path.rsplit(f"/{last}/", 1)[0] if path and last else None
        self.items += mapper.many("component", [kept], lambda each: mapper.simple_item("component", each))
        moved = component.get("updatedAt")
        # A step that becomes active shows or hides votes, and moves no component.
        gate = f"{moved}|{step}" if moved is not None else None
        self.components[own] = {"type": manifest, "path": path, "gate": gate, "space": space}


class DecidimPull:
    """One pull: what it knows along the way."""

    def __init__(self, reader: DecidimReader, request: PullRequest) -> None:
        self.reader = reader
        self.api = reader.api
        self.request = request
        self.stored = request.stored
        self.dialect = Dialect(**request.probe.facts["dialect"])
        self.mapper = Mapper(reader.context, self.dialect)
        self.languages = Languages(reader.api, _likeliest(request.probe))
        self.open_data = OpenData(self.api, self.dialect, self.stored)
        self.counted = {kind: Counted(kind, self.stored) for kind in KINDS.values()}
        names = reader.context.keep_names
        self.state = PullState(
            self.api, request, self.dialect, self.mapper, names, self.open_data, self.counted, self._alive
        )
        self.components: dict[str, dict[str, Any]] = {}
        self.wanted: list[str] = []
        self._tree: SpaceTree | None = None
        self._comment_readers: dict[str, CommentReader] = {}

    async def pages(self) -> AsyncIterator[Page]:
        """Spaces, components, comments."""
        ride = self._ride()
        tree, data, errors = await self._listed(ride)
        self._tree, self.components = tree, tree.components
        if ride and ride not in tree.components:
            ride = None
        self.wanted = await self._wanted()
        closed = sorted(tree.closed, key=int)
        memory: dict[str, Any] = {"first_component": self._first()}
        if closed != (self.stored.memory(CLOSED) or []):
            memory[CLOSED] = closed
        # What is back after it was closed moved no date: what was in it went with it and is read anew.
        known = set(await self.stored.tokens("spaces"))
        gates = (f"gate@component/{own}" for own in self.wanted if f"component/{own}" not in known)
        memory.update((gate, None) for gate in gates if self.stored.memory(gate) is not None)
        told = None
        if tree.unsure:
            told = "spaces: a list of spaces or components was answered with an error; what is not in it was not marked as gone"
        before = bool(self.stored.memory("unknown@spaces"))
        if tree.unsure or before:
            memory["unknown@spaces"] = tree.unsure
        yield Page(
            "spaces",
            self._spaces(tree),
            complete=not tree.unsure,
            memory=memory,
            note=None if before else told,
            failed=told if before else None,
        )
        if self.dialect.likes and (self.request.full or self.stored.memory("taxonomies") is None):
            async for page in self._taxonomies():
                yield page
        proposals = [own for own in self.wanted if self.components[own]["type"] == "Proposals"]
        if proposals:
            anew = not self.dialect.checked and await self._unknown(proposals)
            async for page in self.open_data.second_source(full=self.request.full, done=self.request.done, anew=anew):
                yield page
        for own in self.wanted:
            pull = ComponentPull(self.state, own, self.components[own], page=(data, errors) if own == ride else None)
            async for page in pull.pages():
                yield page
        if self.reader.settings.comments:
            for manifest, kind in KINDS.items():
                if any(self.components[own]["type"] == manifest for own in self.wanted):
                    archive = self.open_data.zip_comments if kind == "proposal" else None
                    async for page in self._comments(kind).pages(archive):
                        yield page
        learned, unread = self.open_data.learned(), self.mapper.unread.note()
        if learned or unread:
            yield Page("open-data", memory=learned, note=unread)

    async def revisit(self, due: Sequence[Due]) -> AsyncIterator[Page]:
        """What waits longest, in the components that this pull read."""
        async for page in Revisit(self.state, self.components, self._comments, self.wanted).pages(due):
            yield page

    def deleted_comments(self) -> Collection[str]:
        """Comments that are known to be deleted although this release shows them."""
        return {own for kind in KINDS.values() for own in self._comments(kind).unflagged.ids}

    def tree(self) -> "SpaceTree | None":
        """The spaces as this pull saw them, if it came so far."""
        return self._tree

    async def _listed(self, ride: str | None) -> "tuple[SpaceTree, dict[str, Any], list[Any]]":
        """All spaces with their components, without those that are listed and do not answer."""
        roots: list[str] = list(self.request.probe.facts["roots"])
        kept: list[str] = list(self.stored.memory(CLOSED) or ())
        first, rest = kept[: self.dialect.aliases], kept[self.dialect.aliases :]
        riding = [light_selection(self.dialect, ride, None)] if ride else []
        document = spaces_document(self.dialect, roots, " ".join([*riding, parts_selection(first)]))
        data, errors = await self.api.ask(document)
        none = all(data.get(root) is None for root in roots)
        for root in roots:
            # One kind of space that the server fails on hides no other.
            if data.get(root) is None and (none or not doubtful(errors, root)):
                raise Interface(f"{root} could not be listed any more")
        closed = {own for position, own in enumerate(first) if data.get(f"x{position}") is None}
        for start in range(0, len(rest), self.dialect.aliases):
            part = rest[start : start + self.dialect.aliases]
            answered, _ = await self.api.ask(parts_document(part))
            closed |= {own for position, own in enumerate(part) if answered.get(f"x{position}") is None}
        return SpaceTree(self.mapper, data, roots, closed, errors), data, errors

    async def _taxonomies(self) -> AsyncIterator[Page]:
        try:
            items = await taxonomies(self.state)
        except (Throttled, Interface):
            raise
        except ConnectorError as error:
            await self._alive(error)
            yield Page("taxonomies", failed=f"the list of taxonomies could not be read: {error.message}")
            return
        if items is not None:
            yield Page("taxonomies", items, complete=True, memory={"taxonomies": True})

    async def _unknown(self, components: Sequence[str]) -> bool:
        """Whether of one of them nothing is stored."""
        for own in components:
            if not await self.stored.tokens(f"proposals@component/{own}"):
                return True
        return False

    def _comments(self, kind: str) -> CommentReader:
        if kind not in self._comment_readers:
            self._comment_readers[kind] = CommentReader(
                self.api,
                self.mapper,
                self.dialect,
                self.counted[kind],
                self.components,
                self.languages,
                self._alive,
                all_of_it=not self.request.spaces,
            )
        return self._comment_readers[kind]

    async def _alive(self, error: ConnectorError) -> None:
        """Raises the error again where the site answers nothing at all, or wants to be left alone."""
        if isinstance(error, Throttled | Interface):
            raise error
        try:
            await self.api.ask(VERSION)
        except ConnectorError:
            raise error from None

    async def _wanted(self) -> list[str]:
        """The components of this run: all, or those that the request or else the configuration names.

        Raises:
            NotFound: something is named that the site does not list, and never did as far as is known.
        """
        asked = set(self.request.spaces) or set(self.reader.settings.spaces)
        if not asked:
            return list(self.components)
        there = {f"component/{own}" for own in self.components} | {c["space"] for c in self.components.values()}
        unknown = asked - there - {item.ref for item in self._tree.items} if self._tree else set[Ref]()
        if unknown:
            # What was closed since is no mistake of the configuration.
            unknown -= set(await self.stored.tokens("spaces"))
        if unknown:
            raise NotFound(
                f"{', '.join(sorted(unknown))}: no such space or component is public there",
                hint="`civicsync discover` prints them",
            )
        return [own for own, c in self.components.items() if f"component/{own}" in asked or c["space"] in asked]

    def _spaces(self, tree: "SpaceTree") -> list[Item]:
        """The spaces to keep: those that the configuration names, with what is in them, and what they are in."""
        if not self.reader.settings.spaces:
            return tree.items
        kept = {f"component/{own}" for own in self.wanted} | {self.components[own]["space"] for own in self.wanted}
        return [item for item in tree.items if item.ref in kept or item.ref in self.reader.settings.spaces]

    def _first(self) -> str | None:
        return next((own for own in self.wanted if self.components[own]["type"] == "Proposals"), None)

    def _ride(self) -> str | None:
        """Which component's first light page rides along with the spaces: saves one request of a light sweep."""
        first = self.stored.memory("first_component")
        if self.dialect.timestamps or self.request.full or not first or self.request.spaces:
            return None
        return str(first) if self.stored.cursor(f"proposals@component/{first}") is None else None


def _likeliest(probe: Probe) -> list[str]:
    """The languages to ask in: the site's own before what the configuration names, which may be none of them."""
    language = probe.facts.get("language")
    return [*([language] if language else []), *probe.facts.get("offered", ()), *probe.locales, "en"]


def _first_of(language: str | None, locales: list[str]) -> list[str]:
    return locales if language not in locales else [language, *(each for each in locales if each != language)]
