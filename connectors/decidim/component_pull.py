"""The proposals, projects and debates of one Decidim component."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...core.identity import Ref
from ..contract.errors import ConnectorError, Interface, Malformed, Throttled
from ..contract.reading import Item, Page
from .comments import KINDS
from .dialects import PAGE, budgets_document, by_id_document, debates_document, light_document, record_document
from .mapping import emended, token
from .pull_state import PullState

CLOSED = "closed_components"
"""The name of the memory of components that are listed and do not answer."""
_PAGES_ON = 3
"""So many pages are looked through for one proposal."""
_REREAD_SHARE = 0.2
"""Above this share of changed rows, reading whole pages is cheaper than single rows."""


class ComponentPull:
    """One component in one pull."""

    def __init__(self, pull: PullState, own: str, component: Mapping[str, Any], page: Any = None) -> None:
        self.pull = pull
        self.api = pull.api
        self.stored = pull.stored
        self.dialect = pull.dialect
        self.mapper = pull.mapper
        self.own = own
        self.component = component
        self.ready = page
        self.space: Ref = f"component/{own}"
        self.path = str(component["path"] or "")
        self.names = pull.names
        self.known: set[str] = set()
        self.kind = KINDS.get(str(component["type"]), "")

    @property
    def scope(self) -> str:
        """What its rows are swept as."""
        return f"{str(self.component['type']).lower()}@{self.space}"

    async def pages(self) -> AsyncIterator[Page]:
        """All pages of this component; none when its gate did not move. What is broken or closed is told, and hides nothing else.

        Raises:
            Throttled, or what else is wrong with the site as a whole.
        """
        if self.kind not in self.pull.counted:
            return
        try:
            async for page in self._pages():
                yield page
        except Closed as closed:
            yield self.closed(closed)
        except (Throttled, Interface):
            raise
        except ConnectorError as error:
            await self.pull.alive(error)
            yield Page(self.scope, note=f"{self.space} could not be read, the rest was: {error.message}")

    def closed(self, closed: "Closed") -> Page:
        """That it is not public any more, and what is in it with it; from now on it is asked beside the spaces."""
        memory = {CLOSED: sorted({*(self.stored.memory(CLOSED) or ()), self.own}, key=int)}
        return Page("spaces", absent=[self.space], memory=memory, note=str(closed))

    async def _pages(self) -> AsyncIterator[Page]:
        scope, counted = self.scope, self.pull.counted[self.kind]
        reader = {"proposal": self._proposals, "project": self._budgets, "debate": self._debates}[self.kind]
        # Nothing that happens to projects moves their component (docs/platforms/decidim.md 2).
        gate = self.component["gate"] if self.kind != "project" else None
        memory = f"gate@{self.space}"
        settled = gate is not None and self.stored.memory(memory) == gate and self.stored.cursor(scope) is None
        if scope in self.pull.request.done and (gate is None or settled) and self.dialect.checked:
            await self._remember(scope)
            return
        if settled and not self.pull.request.full and not self.stored.pending(scope):
            if self.stored.memory(counted.due):
                # Whose comments a run that failed had not come to yet.
                await self._remember(scope)
            return
        last: Page | None = None
        async for page in reader(scope):
            if last is not None:
                yield last
            last = page
        if last is not None:
            yield replace(last, memory={**last.memory, memory: gate}) if gate is not None and last.complete else last

    async def _remember(self, scope: str) -> None:
        """What the process that this pull continues knew of the rows it had read."""
        self.pull.counted[self.kind].remember(self.own, await self.stored.tokens(scope))

    async def _begin(self, scope: str) -> dict[Ref, str]:
        """What is stored of this component, before it is read."""
        tokens = dict(await self.stored.tokens(scope))
        self.known = {each.partition("/")[2] for each in tokens}
        return tokens

    async def _proposals(self, scope: str) -> AsyncIterator[Page]:
        tokens = await self._begin(scope)
        everything = (
            self.pull.request.full or not tokens or self.stored.cursor(scope) is not None or self.dialect.timestamps
        )
        if everything:
            async for page in self._records(scope, len(tokens)):
                yield page
            return
        rows: dict[str, dict[str, Any]] = {}
        async for found in self._light():
            rows.update(found)
        public = {own: node for own, node in rows.items() if own not in self.pull.open_data.hidden}
        changed = [own for own, node in public.items() if tokens.get(f"proposal/{own}") != token(node)]
        if len(changed) > max(PAGE, _REREAD_SHARE * len(rows)):
            async for page in self._records(scope, len(rows)):
                yield page
            return
        for node in public.values():
            self._count(node)
        read: set[str] = set()
        for start in range(0, len(changed), self.dialect.aliases):
            items = await self.single(changed[start : start + self.dialect.aliases])
            read.update(item.ref.partition("/")[2] for item in items)
            back = self.pull.counted[self.kind].back()
            yield Page(scope, items, total=len(public), memory={**back, **self.pull.open_data.told()})
        # A light page shows neither authors nor categories: that it is there is not said of what was missing only.
        missing = {each.partition("/")[2] for each in self.stored.pending(scope)}
        back = [f"proposal/{own}" for own in public if own in missing and own not in read]
        quiet = [f"proposal/{own}" for own in public if own not in missing and own not in read and own not in changed]
        memory = self.pull.counted[self.kind].back()
        yield Page(scope, present=back, silent=quiet, complete=True, total=len(public), memory=memory)

    async def single(self, ids: Sequence[str]) -> list[Item]:
        """Whole proposals by their ids, at most as many as a request may name: those that are shown."""
        data, errors = await self.api.ask(by_id_document(self.dialect, self.own, ids, names=self.names))
        answered = self._answered(data, errors)
        nodes = [node for position in range(len(ids)) if (node := answered.get(f"r{position}")) is not None]
        return self._items(nodes)

    async def _light(self) -> AsyncIterator[dict[str, dict[str, Any]]]:
        after: str | None = None
        ready = self.ready
        while True:
            data, errors = (
                ready if ready is not None else await self.api.ask(light_document(self.dialect, self.own, after))
            )
            ready = None
            page = self._page(self._answered(data, errors), "proposals")
            yield {str(node["id"]): node for node in page["nodes"] if node is not None}
            after = self._further(page, after)
            if after is None:
                return

    async def _records(self, scope: str, expected: int) -> AsyncIterator[Page]:
        """Whole proposals in the order of their ids: new ones come at the end, so only a removal can shift a page."""
        cursor = self.stored.cursor(scope)
        after: str | None = cursor["after"] if cursor else None
        if cursor:
            await self._remember(scope)
        while True:
            page = await self._record_page(after)
            if page["nodes"] and not self.known:
                self.pull.open_data.must_tell()
            items = self._items(page["nodes"])
            further = self._further(page, after)
            after = page["pageInfo"].get("endCursor") or after
            memory = {**self.pull.counted[self.kind].back(), **self.pull.open_data.told()}
            done = further is None
            yield Page(scope, items, next={"after": after}, complete=done, total=expected or None, memory=memory)
            if done:
                return

    async def _record_page(self, after: str | None) -> dict[str, Any]:
        data, errors = await self.api.ask(record_document(self.dialect, self.own, after, names=self.names))
        page = self._page(self._answered(data, errors), "proposals")
        hidden = self.pull.open_data.hidden
        return {**page, "nodes": [n for n in page["nodes"] if n is not None and str(n.get("id")) not in hidden]}

    async def around(self, own: str, known: Collection[str]) -> list[Item]:
        """The page of whole proposals in which one stands, or would stand. `known`: the ids that are stored.

        Offsets are cursors (docs/platforms/decidim.md 1.5); hidden proposals keep their slots, so it stands there or a little later.
        """
        place = sum(int(each) < int(own) for each in known)
        for _ in range(_PAGES_ON):
            page = await self._record_page(_cursor(place) if place else None)
            ids = [int(node["id"]) for node in page["nodes"]]
            if not page["pageInfo"].get("hasNextPage") or (ids and ids[-1] >= int(own)):
                return self._items(page["nodes"])
            place += PAGE
        return []

    def _items(self, nodes: Sequence[dict[str, Any]]) -> list[Item]:
        """Whole proposals; what amends others of them is learned first."""
        self.pull.open_data.learn(emended(nodes))
        return [self._item(node) for node in nodes]

    def _item(self, node: dict[str, Any]) -> Item:
        self._count(node)
        return self.mapper.item("proposal", node, self.path, self.space, self.pull.open_data.amendments)

    def _count(self, node: Mapping[str, Any]) -> None:
        self.pull.counted[self.kind].see(self.own, node, self.known)

    def _other(self, node: dict[str, Any], path: str, space: Ref) -> Item:
        self._count(node)
        return self.mapper.item(self.kind, node, path, space, {})

    async def _budgets(self, scope: str) -> AsyncIterator[Page]:
        await self._begin(scope)
        spaces: list[Item] = []
        items: list[Item] = []
        doubtful, after = False, None
        while True:
            data, errors = await self.api.ask(budgets_document(self.dialect, self.own, after))
            page = self._page(self._answered(data, errors), "budgets")
            for budget in page["nodes"]:
                if budget is None:
                    continue
                own = str(budget["id"])
                kept = {"id": own, "title": budget.get("title"), "type": "Decidim::Budgets::Budget"}
                kept |= {"parent": self.space, "total_budget": budget.get("total_budget")}
                kept["path"] = f"{self.path}{own}" if self.path else None
                spaces.append(self.mapper.simple_item("budget", kept))
                path = f"{self.path}{own}/projects/" if self.path else ""
                projects = budget.get("projects")
                # 0.28.6 shows projects to signed-in people only, as a list of nulls to others; elsewhere a null is a hidden one
                # (docs/platforms/decidim.md 1.4).
                shut = self.dialect.release < (0, 29) and any(project is None for project in projects or ())
                doubtful = doubtful or projects is None or shut
                items += [self._other(p, path, f"budget/{own}") for p in projects or () if p is not None]
            after = self._further(page, after)
            if after is None:
                break
        self.pull.whole_lists.add(f"budget@{self.own}")
        if not doubtful:
            self.pull.whole_lists.add(f"project@{self.own}")
        self.pull.shown.update(item.ref for item in (*spaces, *items))
        yield Page(f"budgets_of@{self.space}", spaces, complete=True)
        note = f"{self.space}: the site shows its projects to signed-in people only" if doubtful else None
        yield Page(scope, items, complete=not doubtful, note=note, memory=self.pull.counted[self.kind].back())

    async def _debates(self, scope: str) -> AsyncIterator[Page]:
        await self._begin(scope)
        async for items, last in self.debate_pages():
            yield Page(scope, items, complete=last, memory=self.pull.counted[self.kind].back())

    async def debate_pages(self) -> AsyncIterator[tuple[list[Item], bool]]:
        """All debates, a page at a time, and whether it is the last one."""
        after: str | None = None
        while True:
            data, errors = await self.api.ask(debates_document(self.dialect, self.own, after, names=self.names))
            page = self._page(self._answered(data, errors), "debates")
            items = [self._other(n, self.path, self.space) for n in page["nodes"] if n is not None]
            after = self._further(page, after)
            yield items, after is None
            if after is None:
                return

    def _answered(self, data: Mapping[str, Any], errors: Sequence[Any]) -> dict[str, Any]:
        found = data.get("component")
        if isinstance(found, dict):
            return found
        if is_closed(errors):
            raise Closed(f"{self.space} is listed and does not answer: unpublished, made private or in the trash")
        raise Malformed(f"component {self.own}: the answer holds nothing but errors")

    def _page(self, answered: Mapping[str, Any], name: str) -> dict[str, Any]:
        page = answered.get(name)
        if not isinstance(page, dict) or not isinstance(page.get("nodes"), list):
            raise Malformed(f"component {self.own}: the answer holds no list of {name}")
        return {"nodes": page["nodes"], "pageInfo": page.get("pageInfo") or {}}

    def _further(self, page: Mapping[str, Any], after: str | None) -> str | None:
        """Where the next page begins; None after the last one.

        Raises:
            Malformed: it would begin where this one did.
        """
        if not page["pageInfo"].get("hasNextPage"):
            return None
        following = page["pageInfo"].get("endCursor")
        if not following or following == after:
            raise Malformed(f"component {self.own}: its pages do not move on")
        return str(following)


class Closed(Exception):
    """A component answers null although it is listed; the message says so."""


def is_closed(errors: Sequence[Any]) -> bool:
    """Whether a component is null as what may not be seen is: silently, or with the one code for it (docs/platforms/decidim.md 1.4)."""
    codes = [(each.get("extensions") or {}).get("code") for each in errors if isinstance(each, dict)]
    return all(code in {"UNAUTHORIZED_OBJECT_ERROR", "NOT_FOUND_ERROR"} for code in codes)


def _cursor(place: int) -> str:
    return urlsafe_b64encode(str(place).encode()).decode().rstrip("=")
