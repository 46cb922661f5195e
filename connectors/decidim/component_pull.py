"""The proposals, projects and debates of one Decidim component."""

import re
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...core.identity import Ref, split_ref
from ..contract.errors import ConnectorError, EndlessList, Interface, Malformed, Throttled
from ..contract.reading import Item, Page
from ..contract.values import Progress, flat, identity, inside
from .api import HIDDEN, doubtful
from .comments import KINDS
from .dialects import PAGE, budgets_document, by_id_document, debates_document, light_document, record_document
from .mapping import emended, token
from .pull_state import PullState

CLOSED = "closed_components"
"""The name of the memory of components that are listed and do not answer."""
_NAMED = 5
_GIVEN_UP = 3
"""So many proposals in a row that the server fails on: then it is no single one."""
_PAGES_ON = 3
"""So many pages are looked through for one proposal."""
_CURSOR = re.compile(r"[A-Za-z0-9_=-]{1,100}")
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
        self.gate: Any = None
        """What tells that nothing moved, as it was when the sweep began."""
        self.space: Ref = f"component/{own}"
        self.path = str(component["path"] or "")
        self.names = pull.names
        self.known: set[str] = set()
        self.unsure: set[str] = set()
        """What was asked for singly and answered by an error: whether it is there nobody knows."""
        self.broken: list[Ref] = []
        """What the server fails on, asked alone."""
        self._in_a_row = 0
        self.unknown = 0
        """Rows of the lists that were null beside an error: which they are, and whether they are hidden, nobody knows."""
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
            yield Page(self.scope, failed=f"{self.space} could not be read, the rest was: {error.message}")

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
            left = self.stored.memory(self._left)
            if left:
                async for page in self._again(scope, left):
                    yield page
            return
        # A sweep that goes on where another run left it knows what moved since that began by the gate of its beginning.
        cursor = self.stored.cursor(scope)
        self.gate = cursor.get("gate") if cursor else gate
        last: Page | None = None
        async for page in reader(scope):
            if last is not None:
                yield last
            last = page
        if last is not None:
            whole = gate is not None and last.complete
            yield replace(last, memory={**last.memory, memory: self.gate}) if whole else last

    @property
    def _left(self) -> str:
        """The name of the memory of what the server failed on: no gate shows that it can be read again."""
        return f"broken@{self.space}"

    async def _again(self, scope: str, left: Sequence[str]) -> AsyncIterator[Page]:
        """What an earlier run could not read, while nothing else moved."""
        await self._begin(scope)
        items = await self.single(left)
        shown = {item.ref for item in items}
        gone = [ref for own in left if (ref := f"proposal/{own}") not in shown and own not in self.unsure]
        memory = {self._left: [split_ref(each)[1] for each in self.broken], **self.pull.counted[self.kind].back()}
        yield Page(scope, items, absent=gone, memory=memory, failed=self.failed())

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
            memory = {**back, **self.pull.open_data.told()}
            yield Page(scope, items, total=len(public), memory=memory, failed=self.failed())
        # A light page shows neither authors nor categories: that it is there is not said of what was missing only.
        missing = {each.partition("/")[2] for each in self.stored.pending(scope)}
        back = [f"proposal/{own}" for own in public if own in missing and own not in read]
        quiet = [f"proposal/{own}" for own in public if own not in missing and own not in read and own not in changed]
        quiet += (each for each in self.broken if each not in back)
        memory = self.pull.counted[self.kind].back()
        yield self._last(Page(scope, present=back, silent=quiet, complete=True, total=len(public), memory=memory))

    async def single(self, ids: Sequence[str]) -> list[Item]:
        """Whole proposals by their ids, at most as many as a request may name: those that are shown."""
        return self._items(await self._one_by_one(ids))

    async def _one_by_one(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Whole proposals by their ids. One that the server fails on hides no other: it is asked alone, and named in `broken`."""
        size = self.dialect.aliases
        parts = deque(ids[start : start + size] for start in range(0, len(ids), size))
        nodes: list[dict[str, Any]] = []
        while parts:
            part = parts.popleft()
            try:
                nodes += await self._asked_for(part)
            except (Throttled, Interface):
                raise
            except ConnectorError as error:
                await self.pull.alive(error)
                if len(part) > 1:
                    half = len(part) // 2
                    parts.extendleft((part[half:], part[:half]))
                    continue
                self._in_a_row += 1
                if self._in_a_row == _GIVEN_UP:
                    raise  # then it is no single one
                self.unsure.add(part[0])
                self.broken.append(f"proposal/{part[0]}")
                continue
            self._in_a_row = 0
        return nodes

    def failed(self) -> str | None:
        """What to say of what the server fails on."""
        if not self.broken:
            return None
        more = f" and {len(self.broken) - _NAMED} more" if len(self.broken) > _NAMED else ""
        return f"{', '.join(self.broken[:_NAMED])}{more} of {self.space} could not be read; the next run asks again"

    async def _asked_for(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        data, errors = await self.api.ask(by_id_document(self.dialect, self.own, ids, names=self.names))
        answered = self._answered(data, errors)
        nodes: list[dict[str, Any]] = []
        for position, own in enumerate(ids):
            node: Any = answered.get(f"r{position}")
            if identity(node) == own:
                # Unchecked releases answer for what a moderator hid as if it were there.
                if own not in self.pull.open_data.hidden:
                    nodes.append(node)
            elif node is not None or doubtful(errors, "component", f"r{position}"):
                self.unsure.add(own)
        return nodes

    async def _light(self) -> AsyncIterator[dict[str, dict[str, Any]]]:
        after: str | None = None
        seen, progress = set[str](), Progress(f"proposals of {self.space}")
        ready = self.ready
        while True:
            data, errors = (
                ready if ready is not None else await self.api.ask(light_document(self.dialect, self.own, after))
            )
            ready = None
            page = self._page(self._answered(data, errors), "proposals", errors)
            found = {str(node["id"]): node for node in page["nodes"]}
            yield found
            after = self._further(page, after, progress, new=not found.keys() <= seen)
            seen |= found.keys()
            if after is None:
                return

    async def _records(self, scope: str, expected: int) -> AsyncIterator[Page]:
        """Whole proposals in the order of their ids: new ones come at the end, so only a removal can shift a page."""
        cursor = self.stored.cursor(scope)
        after: str | None = cursor["after"] if cursor else None
        if cursor:
            await self._remember(scope)
        seen, progress, told = set[str](), Progress(f"proposals of {self.space}"), 0
        while True:
            page = await self._record_page(after)
            if page["nodes"] and not self.known:
                self.pull.open_data.must_tell()
            items = self._items(page["nodes"])
            ids = {str(node["id"]) for node in page["nodes"]} | set(page["hidden"])
            further = self._further(page, after, progress, new=not ids <= seen)
            seen |= ids
            after = page["pageInfo"].get("endCursor") or after
            memory = {**self.pull.counted[self.kind].back(), **self.pull.open_data.told()}
            done = further is None
            following = {"after": after, "gate": self.gate}
            # What could not be read is there all the same.
            more: dict[str, Any] = {"silent": self.broken[told:], "failed": self.failed()} if self.broken[told:] else {}
            told = len(self.broken)
            read = Page(scope, items, next=following, complete=done, total=expected or None, memory=memory, **more)
            yield self._last(read) if done else read
            if done:
                return

    async def _record_page(self, after: str | None) -> dict[str, Any]:
        try:
            data, errors = await self.api.ask(record_document(self.dialect, self.own, after, names=self.names))
            page = self._page(self._answered(data, errors), "proposals", errors)
        except (Throttled, Interface):
            raise
        except ConnectorError as error:
            await self.pull.alive(error)
            # One of its rows may be what the server fails on: a light page names them.
            data, errors = await self.api.ask(light_document(self.dialect, self.own, after))
            page = self._page(self._answered(data, errors), "proposals", errors)
            page["nodes"] = await self._one_by_one([str(node["id"]) for node in page["nodes"]])
        hidden = {str(node["id"]) for node in page["nodes"]}
        hidden = {own for own in hidden if own in self.pull.open_data.hidden}
        return {**page, "nodes": [n for n in page["nodes"] if str(n["id"]) not in hidden], "hidden": hidden}

    def _last(self, page: Page) -> Page:
        """The last page of a list. Nothing is missing where rows could not be read; that is told, and makes the run fail when it stays."""
        name, scope = f"unknown@{page.scope}", page.scope
        if self.broken or self.stored.memory(self._left):
            page = replace(page, memory={**page.memory, self._left: [split_ref(each)[1] for each in self.broken]})
        before = bool(self.stored.memory(name))
        if not self.unknown:
            return replace(page, memory={**page.memory, name: False}) if before else page
        told = f"{scope}: {self.unknown} could not be read, the platform answers with an error; nothing of it was marked as gone"
        # Begun anew next time: where the sweep stands is of no use to the next one.
        loud = {"failed": told} if before else {"note": told}
        following = None if page.next is None else {}
        return replace(page, complete=False, next=following, memory={**page.memory, name: True}, **loud)

    async def around(self, own: str, place: int) -> list[Item]:
        """The page of whole proposals in which one stands, or would stand. `place`: how many with a lower id are stored.

        Offsets are cursors (docs/platforms/decidim.md 1.5); hidden proposals keep their slots, so it stands there or a little later.
        """
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
        return self.mapper.many("proposal", nodes, self._item)

    def _item(self, node: dict[str, Any]) -> Item:
        self._count(node)
        return self.mapper.item("proposal", node, self.path, self.space, self.pull.open_data.amendments)

    def _count(self, node: Mapping[str, Any]) -> None:
        self.pull.counted[self.kind].see(self.own, node, self.known)

    def _others(self, nodes: Sequence[Any], path: str, space: Ref) -> list[Item]:
        return self.mapper.many(self.kind, nodes, lambda node: self._other(node, path, space))

    def _other(self, node: dict[str, Any], path: str, space: Ref) -> Item:
        self._count(node)
        return self.mapper.item(self.kind, node, path, space, {})

    async def _budgets(self, scope: str) -> AsyncIterator[Page]:
        await self._begin(scope)
        spaces: list[Item] = []
        items: list[Item] = []
        shut_out, after = False, None
        seen, progress = set[str](), Progress(f"budgets of {self.space}")
        while True:
            data, errors = await self.api.ask(budgets_document(self.dialect, self.own, after))
            page = self._page(self._answered(data, errors), "budgets", errors)
            for budget in page["nodes"]:
                own = str(budget["id"])
                kept = {"id": own, "title": budget.get("title"), "type": "Decidim::Budgets::Budget"}
                kept |= {"parent": self.space, "total_budget": budget.get("total_budget")}
                kept["path"] = f"{self.path}{own}" if self.path else None
                spaces += self.mapper.many("budget", [kept], lambda each: self.mapper.simple_item("budget", each))
                path = f"{self.path}{own}/projects/" if self.path else ""
                projects = budget.get("projects")
                # 0.28.6 shows projects to signed-in people only, as a list of nulls to others; elsewhere a null is a hidden one
                # (docs/platforms/decidim.md 1.4).
                listed = flat(projects)
                shut = self.dialect.release < (0, 29) and any(project is None for project in listed)
                shut_out = shut_out or not isinstance(projects, list) or shut
                # Where a project is null beside an error, the path names the budget's place in the list, or no place at all.
                at = page["places"][own]
                for place, project in enumerate(listed):
                    odd = project is not None and identity(project) is None
                    self.unknown += odd or (
                        project is None and doubtful(errors, "component", "budgets", "nodes", at, "projects", place)
                    )
                items += self._others([p for p in listed if p is not None], path, f"budget/{own}")
            ids = {str(budget["id"]) for budget in page["nodes"]}
            after = self._further(page, after, progress, new=not ids <= seen)
            seen |= ids
            if after is None:
                break
        if not self.unknown:
            self.pull.whole_lists.add(f"budget@{self.own}")
        if not shut_out and not self.unknown:
            self.pull.whole_lists.add(f"project@{self.own}")
        self.pull.shown.update(item.ref for item in (*spaces, *items))
        yield Page(f"budgets_of@{self.space}", spaces, complete=not self.unknown)
        note = f"{self.space}: the site shows its projects to signed-in people only" if shut_out else None
        memory = self.pull.counted[self.kind].back()
        yield self._last(Page(scope, items, complete=not shut_out, note=note, memory=memory))

    async def _debates(self, scope: str) -> AsyncIterator[Page]:
        await self._begin(scope)
        async for items, last in self.debate_pages():
            read = Page(scope, items, complete=last, memory=self.pull.counted[self.kind].back())
            yield self._last(read) if last else read

    async def debate_pages(self) -> AsyncIterator[tuple[list[Item], bool]]:
        """All debates, a page at a time, and whether it is the last one."""
        after: str | None = None
        seen, progress = set[str](), Progress(f"debates of {self.space}")
        while True:
            data, errors = await self.api.ask(debates_document(self.dialect, self.own, after, names=self.names))
            page = self._page(self._answered(data, errors), "debates", errors)
            items = self._others(page["nodes"], self.path, self.space)
            ids = {str(node["id"]) for node in page["nodes"]}
            after = self._further(page, after, progress, new=not ids <= seen)
            seen |= ids
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

    def _page(self, answered: Mapping[str, Any], name: str, errors: Sequence[Any]) -> dict[str, Any]:
        """The rows of a page that are shown, and where each stands; what is null beside an error is counted as `unknown`."""
        page = answered.get(name)
        listed = inside(page, "nodes")
        if not isinstance(listed, list):
            raise Malformed(f"component {self.own}: the answer holds no list of {name}")
        places: dict[str, int] = {}
        nodes: list[dict[str, Any]] = []
        for place, node in enumerate(listed):
            own = identity(node)
            if own is not None:
                places[own] = place
                nodes.append(node)
            elif node is not None:
                self.mapper.unread.add(f"{name} of {self.space}")
                self.unknown += 1
            elif doubtful(errors, "component", name, "nodes", place):
                self.unknown += 1
        info = inside(page, "pageInfo")
        return {
            "nodes": nodes,
            "places": places,
            "pageInfo": info if isinstance(info, dict) else {},
            "empty": not listed,
        }

    def _further(self, page: Mapping[str, Any], after: str | None, progress: Progress, *, new: bool) -> str | None:
        """Where the next page begins; None after the last one. `new`: this one showed something that none before it did.

        Raises:
            EndlessList: it would begin where this one did, or the pages bring nothing new.
        """
        if page["pageInfo"].get("hasNextPage") is not True:
            return None
        following = page["pageInfo"].get("endCursor")
        if not isinstance(following, str) or not _CURSOR.fullmatch(following) or following == after or page["empty"]:
            raise EndlessList(progress.what)
        # Hidden rows keep their places in the list: a page of them alone is new as well, as long as its cursor moves.
        progress.page(new=new or not page["nodes"], goes_on=True, cursor=following)
        return following


class Closed(Exception):
    """A component answers null although it is listed; the message says so."""


def is_closed(errors: Sequence[Any]) -> bool:
    """Whether a component is null as what may not be seen is: silently, or with the one code for it (docs/platforms/decidim.md 1.4)."""
    return all(inside(each, "extensions", "code") in HIDDEN for each in errors)


def _cursor(place: int) -> str:
    return urlsafe_b64encode(str(place).encode()).decode().rstrip("=")
