"""The proposals, projects and debates of one Decidim component."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from ...core.identity import Ref
from ..contract.errors import Malformed, NotAllowed
from ..contract.reading import Item, Page
from .comments import KINDS
from .dialects import PAGE, budgets_document, by_id_document, debates_document, light_document, record_document
from .mapping import token
from .pull_state import PullState

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

    async def pages(self) -> AsyncIterator[Page]:
        """All pages of this component; none when its gate did not move."""
        readers = {"Proposals": self._proposals, "Budgets": self._budgets, "Debates": self._debates}
        reader = readers.get(str(self.component["type"]))
        if reader is None:
            return
        scope = f"{str(self.component['type']).lower()}@{self.space}"
        gate = self.component["gate"]
        memory = f"gate@{self.space}"
        settled = gate is not None and self.stored.memory(memory) == gate and self.stored.cursor(scope) is None
        if scope in self.pull.request.done and (gate is None or settled) and self.dialect.checked:
            await self._remember(scope)
            return
        if settled and not self.pull.request.full and not self.stored.pending(scope):
            if self.kind != "proposal":
                # Whose comments a run that failed had not come to yet.
                await self._remember(scope)
            return
        last: Page | None = None
        async for page in reader(scope):
            if last is not None:
                yield last
            last = page
        if last is not None:
            yield Page(
                last.scope,
                last.items,
                present=last.present,
                next=last.next,
                complete=last.complete,
                memory={**last.memory, memory: gate} if gate is not None and last.complete else last.memory,
                total=last.total,
                note=last.note,
            )

    async def _remember(self, scope: str) -> dict[Ref, str]:
        """What the process that this pull continues knew of the rows it had read."""
        tokens = dict(await self.stored.tokens(scope))
        if not scope.startswith("budgets_of@"):
            self.pull.counted[self.kind].remember(self.own, tokens)
        return tokens

    async def _begin(self, scope: str) -> dict[Ref, str]:
        """What is stored of this component, before it is read."""
        tokens = dict(await self.stored.tokens(scope))
        self.pull.counted[self.kind].members[self.own] = set(tokens)
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
        for start in range(0, len(changed), self.dialect.aliases):
            part = changed[start : start + self.dialect.aliases]
            data, _ = await self.api.ask(by_id_document(self.dialect, self.own, part, names=self.names))
            answered = self._answered(data)
            nodes = [node for position in range(len(part)) if (node := answered.get(f"r{position}")) is not None]
            items = [self._item(node) for node in nodes]
            yield Page(scope, items, total=len(public), memory=self.pull.counted[self.kind].back())
        for node in public.values():
            self._count(node)
        yield Page(scope, present=[f"proposal/{own}" for own in public], complete=True, total=len(public))

    async def _light(self) -> AsyncIterator[dict[str, dict[str, Any]]]:
        after: str | None = None
        ready = self.ready
        while True:
            data, _ = ready if ready is not None else await self.api.ask(light_document(self.dialect, self.own, after))
            ready = None
            page = self._page(self._answered(data), "proposals")
            yield {str(node["id"]): node for node in page["nodes"] if node is not None}
            after = page["pageInfo"].get("endCursor")
            if not page["pageInfo"].get("hasNextPage"):
                return

    async def _records(self, scope: str, expected: int) -> AsyncIterator[Page]:
        """Whole proposals in the order of their ids: new ones come at the end, so only a removal can shift a page."""
        cursor = self.stored.cursor(scope)
        after: str | None = cursor["after"] if cursor else None
        if cursor:
            self.pull.counted[self.kind].before |= self.known
            await self._remember(scope)
        hidden = self.pull.open_data.hidden
        while True:
            data, _ = await self.api.ask(record_document(self.dialect, self.own, after, names=self.names))
            page = self._page(self._answered(data), "proposals")
            nodes = [node for node in page["nodes"] if node is not None and str(node.get("id")) not in hidden]
            items = [self._item(node) for node in nodes]
            after = page["pageInfo"].get("endCursor") or after
            goes_on = bool(page["pageInfo"].get("hasNextPage"))
            back = self.pull.counted[self.kind].back()
            yield Page(scope, items, next={"after": after}, complete=not goes_on, total=expected or None, memory=back)
            if not goes_on:
                return

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
        data, _ = await self.api.ask(budgets_document(self.dialect, self.own))
        budgets = [b for b in self._page(self._answered(data), "budgets", paged=False)["nodes"] if b is not None]
        spaces: list[Item] = []
        items: list[Item] = []
        doubtful = False
        for budget in budgets:
            own = str(budget["id"])
            kept = {"id": own, "title": budget.get("title"), "type": "Decidim::Budgets::Budget", "parent": self.space}
            kept |= {"total_budget": budget.get("total_budget"), "path": f"{self.path}{own}" if self.path else None}
            spaces.append(self.mapper.simple_item("budget", kept))
            path = f"{self.path}{own}/projects/" if self.path else ""
            projects = budget.get("projects") or []
            # 0.28.6 shows projects to signed-in people only, as a list of nulls to others (docs/platforms/decidim.md 1.4).
            doubtful = doubtful or any(project is None for project in projects)
            items += [self._other(p, path, f"budget/{own}") for p in projects if p is not None]
        yield Page(f"budgets_of@{self.space}", spaces, complete=True)
        note = f"{self.space}: the site shows its projects to signed-in people only" if doubtful else None
        yield Page(scope, items, complete=not doubtful, note=note, memory=self.pull.counted[self.kind].back())

    async def _debates(self, scope: str) -> AsyncIterator[Page]:
        await self._begin(scope)
        after: str | None = None
        while True:
            document = debates_document(self.dialect, self.own, after, names=self.names)
            page = self._page(self._answered((await self.api.ask(document))[0]), "debates")
            items = [self._other(n, self.path, self.space) for n in page["nodes"] if n is not None]
            after = page["pageInfo"].get("endCursor")
            goes_on = bool(page["pageInfo"].get("hasNextPage"))
            yield Page(scope, items, complete=not goes_on, memory=self.pull.counted[self.kind].back())
            if not goes_on:
                return

    def _answered(self, data: Mapping[str, Any]) -> dict[str, Any]:
        found = data.get("component")
        if not isinstance(found, dict):
            raise NotAllowed(
                f"component {self.own} does not answer any more",
                hint="it was listed a moment ago: was it unpublished or made private just now? The next run will tell",
            )
        return found

    def _page(self, answered: Mapping[str, Any], name: str, *, paged: bool = True) -> dict[str, Any]:
        page = answered.get(name)
        if not isinstance(page, dict) or not isinstance(page.get("nodes"), list):
            raise Malformed(f"component {self.own}: the answer holds no list of {name}")
        return page if not paged else {"nodes": page["nodes"], "pageInfo": page.get("pageInfo") or {}}
