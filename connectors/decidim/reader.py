"""Reading Decidim: spaces first, then every component by the cheapest complete way of its release.

0.32 tells when a component last changed, so an unchanged one costs nothing; before, a light sweep finds what moved. Comments come from
the site's own open-data file where it offers one, else proposal by proposal. docs/explanation/performance.md has what each way costs.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

from ...core.identity import Ref, split_ref
from ...core.records import Space
from ..contract.errors import Interface
from ..contract.reading import Context, Page, Probe, PullRequest
from .api import Api
from .capabilities import capabilities, strategy, warnings
from .comment_trees import CommentTrees
from .comments import KINDS, CommentReader, Counted, shown
from .component_pull import ComponentPull
from .dialects import (
    ROOTS,
    Dialect,
    by_id_document,
    light_selection,
    spaces_document,
)
from .mapping import Mapper, component_path
from .open_data import OpenData
from .probing import probe
from .pull_state import PullState
from .settings import DecidimSettings

_LAST = {"Proposals": "proposals", "Debates": "debates", "Budgets": "budgets"}


class DecidimReader:
    """Reads one organization; implements `connectors.contract.Reader` and `Confirms`."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = cast(DecidimSettings, context.settings)
        self.api = Api(context, self.settings)
        self._pull: DecidimPull | None = None

    async def probe(self) -> Probe:
        """What answers there: four requests, one more where the configuration names no languages."""
        found = await probe(self.api)
        locales = self.settings.locales or _first_of(await self.api.language(), found.locales())
        facts = {"dialect": found.dialect.to_facts(), "roots": list(found.roots)}
        return Probe(
            platform="decidim",
            version=found.version,
            dialect=found.dialect.name,
            title=found.title,
            locales=locales,
            capabilities=capabilities(found.dialect, self.settings),
            strategy=strategy(found.dialect, self.settings),
            warnings=warnings(found.dialect, found.version, self.settings),
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
        """Ask for single proposals; whatever belongs to a component that does not answer cannot be told."""
        if self._pull is None:
            return dict.fromkeys(refs)
        return await self._pull.still_there(refs)


class SpaceTree:
    """The spaces of one answer: items for the store, and the components with their addresses."""

    def __init__(self, mapper: Mapper, data: Mapping[str, Any], roots: Sequence[str]) -> None:
        self.items: list[Any] = []
        self.components: dict[str, dict[str, Any]] = {}
        for root in roots:
            for space in data.get(root) or ():
                if space is None:
                    continue
                kind = ROOTS[root]
                own, slug = (
                    str(space["id"]),
                    str(space.get("slug") or (f"i-{space['id']}" if kind == "initiative" else "")),
                )
                path = component_path(kind, slug, "0", "x")
                address = path.split("/f/")[0] if path else None
                kept = {"id": own, "title": space.get("title"), "type": space.get("type"), "path": address}
                self.items.append(mapper.simple_item(kind, kept))
                for component in space.get("components") or ():
                    if component is not None:
                        self._component(mapper, component, kind, own, slug)

    def _component(self, mapper: Mapper, component: Mapping[str, Any], kind: str, space: str, slug: str) -> None:
        own, manifest = str(component["id"]), str(component.get("__typename"))
        last = _LAST.get(manifest, "")
        path = component_path(kind, slug, own, last)
        kept = {"id": own, "name": component.get("name"), "type": manifest, "parent": f"{kind}/{space}"}
        kept["path"] = path.rsplit(f"/{last}/", 1)[0] if path and last else None
        self.items.append(mapper.simple_item("component", kept))
        self.components[own] = {
            "type": manifest,
            "path": path,
            "gate": component.get("updatedAt"),
            "space": f"{kind}/{space}",
        }


class DecidimPull:
    """One pull: what it knows along the way."""

    def __init__(self, reader: DecidimReader, request: PullRequest) -> None:
        self.reader = reader
        self.api = reader.api
        self.request = request
        self.stored = request.stored
        self.dialect = Dialect(**request.probe.facts["dialect"])
        self.mapper = Mapper(reader.context, self.dialect)
        self.locale = next(iter(request.probe.locales), "en")
        self.open_data = OpenData(self.api, self.dialect, self.stored)
        self.counted = {kind: Counted(kind, self.stored) for kind in KINDS.values()}
        self.components: dict[str, dict[str, Any]] = {}

    async def pages(self) -> AsyncIterator[Page]:
        """Spaces, components, comments."""
        roots: list[str] = list(self.request.probe.facts["roots"])
        ride = self._ride()
        selection = light_selection(self.dialect, ride, None) if ride else ""
        data, errors = await self.api.ask(spaces_document(self.dialect, roots, selection))
        for root in roots:
            if data.get(root) is None:
                raise Interface(f"{root} could not be listed any more")
        tree = SpaceTree(self.mapper, data, roots)
        self.components = tree.components
        if ride and ride not in tree.components:
            ride = None
        yield Page("spaces", tree.items, complete=True, memory={"first_component": self._first()})
        wanted = self._wanted()
        if any(c["type"] == "Proposals" for c in self.components.values()):
            async for page in self.open_data.second_source(full=self.request.full, done=self.request.done):
                yield page
        names = self.reader.context.keep_names
        state = PullState(self.api, self.request, self.dialect, self.mapper, names, self.open_data, self.counted)
        for own in wanted:
            component = self.components[own]
            pull = ComponentPull(state, own, component, page=(data, errors) if own == ride else None)
            async for page in pull.pages():
                yield page
        if self.reader.settings.comments:
            for manifest, kind in KINDS.items():
                if any(self.components[own]["type"] == manifest for own in wanted):
                    async for page in self._comments(kind, whole=len(wanted) == len(self.components)):
                        yield page
        learned = self.open_data.learned()
        if learned:
            yield Page("open-data", memory=learned)

    async def _comments(self, kind: str, *, whole: bool) -> AsyncIterator[Page]:
        comments = CommentReader(self.api, self.mapper, self.dialect, self.counted[kind], self.components, self.locale)
        archive = self.open_data.zip_comments if kind == "proposal" else None
        async for page in comments.pages(archive, full=self.request.full, whole=whole):
            yield page

    def _wanted(self) -> list[str]:
        asked = self.request.spaces
        if not asked:
            return list(self.components)
        return [own for own, c in self.components.items() if f"component/{own}" in asked or c["space"] in asked]

    def _first(self) -> str | None:
        return next((own for own, c in self.components.items() if c["type"] == "Proposals"), None)

    def _ride(self) -> str | None:
        """Which component's first light page rides along with the spaces: saves one request of a light sweep."""
        first = self.stored.memory("first_component")
        if self.dialect.timestamps or self.request.full or not first or self.request.spaces:
            return None
        return str(first) if self.stored.cursor(f"proposals@component/{first}") is None else None

    async def still_there(self, refs: Sequence[Ref]) -> Mapping[Ref, bool | None]:
        """True, False or cannot tell, by reference."""
        found: dict[Ref, bool | None] = dict.fromkeys(refs)
        waiting = [each for each in refs if split_ref(each)[0] == "proposal"]
        for own, component in self.components.items():
            if component["type"] != "Proposals":
                continue
            here = [
                each
                for each in waiting
                if each in self.counted["proposal"].members.get(own, ()) or len(self.components) == 1
            ]
            candidates = here or waiting
            for start in range(0, len(candidates), self.dialect.aliases):
                batch = candidates[start : start + self.dialect.aliases]
                ids = [split_ref(each)[1] for each in batch]
                data, _ = await self.api.ask(by_id_document(self.dialect, own, ids, names=False, light=True))
                answered = data.get("component")
                if not isinstance(answered, dict):
                    continue
                for position, each in enumerate(batch):
                    hidden = split_ref(each)[1] in self.open_data.hidden
                    there = answered.get(f"r{position}") is not None and not hidden
                    found[each] = True if there else (found[each] or False)
        comments = [own for kind, own in map(split_ref, refs) if kind == "comment"]
        readable = await shown(CommentTrees(self.api, self.dialect, self.locale), self.stored, comments)
        for each in refs:
            kind, own = split_ref(each)
            if kind in {"process", "assembly", "conference", "initiative", "component", "budget", "project", "debate"}:
                # These lists came whole and without an error in this very pull.
                found[each] = False
            elif kind == "comment":
                found[each] = own in readable
            elif kind in {"taxonomy", "category", "scope"}:
                found[each] = None
        return found


def _first_of(language: str | None, locales: list[str]) -> list[str]:
    return locales if language not in locales else [language, *(each for each in locales if each != language)]
