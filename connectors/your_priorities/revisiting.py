"""Reading again what was confirmed longest ago: a thread, a feed, a post, a group at a time, each with one request.

Edits, blocks and answers of arguments, and votes on them, are told by nothing but the list of all arguments of their post
(docs/platforms/your-priorities.md 4.3); the lists, feeds and pages of a light run confirm the rest.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from ...core.identity import Ref, split_ref
from ..contract.errors import ConnectorError, Malformed, NotAllowed, Unreachable
from ..contract.reading import Due, Page, Stored
from ..contract.values import identity
from . import dialects
from .api import Api, table
from .comments import points
from .feed import feed_of
from .group_state import Seen, change_token, read_at
from .mapping import Mapper, flags, hides_debate
from .presence import Presence, categories


class Again:
    """One run's second look."""

    def __init__(self, api: Api, mapper: Mapper, seen: Seen, groups: frozenset[str]) -> None:
        """`groups`: every group of the instance that is pulled."""
        self.api = api
        self.mapper = mapper
        self.seen = seen
        self.groups = groups
        self._done: set[Ref] = set()
        self._in_a_row = 0

    async def pages(self, due: Sequence[Due], stored: Stored) -> AsyncIterator[Page]:
        """A page for each question, in the order of `due`."""
        for each in due:
            group = each.scope.partition("@group/")[2]
            whole = self._whole(each)
            untold = f"group/{group}" in self.seen.untold or each.ref in self.seen.untold
            if whole in self._done or untold:
                continue
            self._done.add(whole)
            await self.seen.recall(stored, [group] if group else [])
            try:
                page = await self._page(each, group, due)
                self._in_a_row = 0
            except (Malformed, NotAllowed, Unreachable) as error:
                page = await self._failed(each, error)
            if page is not None:
                yield page

    @staticmethod
    def _whole(each: Due) -> str:
        """What is read at once with it."""
        kind = split_ref(each.ref)[0]
        if kind in {"point", "status_change"}:
            return f"{kind} {each.target}"
        return each.scope if kind == "category" else each.ref

    async def _failed(self, each: Due, error: ConnectorError) -> Page:
        """The server fails on this one, which stays the one that waits longest: it must not keep the others waiting."""
        self._in_a_row += 1
        await self.api.alone(error, self._in_a_row)
        return Page(each.scope, failed=f"{each.ref} could not be read again: {error.message}")

    async def _page(self, each: Due, group: str, due: Sequence[Due]) -> Page | None:
        kind, own = split_ref(each.ref)
        match kind:
            case "proposal":
                return await self._post(each, own)
            case "point":
                return await self._points(each, group)
            case "status_change":
                return await self._answers(each)
            case "category":
                return await self._categories(each, group, due)
            case "group" | "community" | "domain":
                return await self._space(each, kind, own)
            case _:
                return None

    async def _gone(self, each: Due, about: Ref) -> Page | None:
        """What is due is gone if what it is, or hangs on, is; else nothing is told."""
        there = await Presence(self.api, self.mapper, self.seen).of(about)
        return Page(each.scope, absent=[each.ref]) if there is False else None

    async def _post(self, each: Due, own: str) -> Page | None:
        answer = await self.api.asked(dialects.post(own))
        if answer is None:
            return await self._gone(each, each.ref)
        node = table(answer, f"post {own}")
        # Moved to another group that is pulled, it belongs there.
        here = str(node.get("group_id"))
        scope = f"posts@group/{here}" if here in self.groups else each.scope
        if identity(node) != own:
            raise Malformed(f"post {own}: another one was answered", status=200)
        if here not in self.groups and await Presence(self.api, self.mapper, self.seen).of(each.ref) is not True:
            return await self._gone(each, each.ref)
        token = change_token(node.get("counter_points"), read_at(each.token) if scope == each.scope else "")
        return Page(scope, self.mapper.many("proposal", [node], lambda one: self.mapper.post(one, token)))

    async def _points(self, each: Due, group: str) -> Page | None:
        if each.target is None:
            return None
        configuration = self.seen.flags.get(group)
        if configuration is None:
            page = await self.api.asked(dialects.group(group))
            if page is None:
                return None
            configuration = self.seen.flags[group] = flags(table(page, each.scope).get("group"))
        if hides_debate(configuration):
            return Page(each.scope, whole_of=[each.target])
        found = await points(self.api, split_ref(each.target)[1])
        if found is None:
            return await self._gone(each, each.target)
        items = self.mapper.many("point", found, lambda one: self.mapper.point(one, configuration))
        self.seen.post_of.update((split_ref(item.ref)[1], item.token) for item in items if item.token is not None)
        return Page(each.scope, items, whole_of=[each.target] if not found.holes else ())

    async def _answers(self, each: Due) -> Page | None:
        if each.target is None:
            return None
        listed = await feed_of(self.api, split_ref(each.target)[1])
        if listed is None:
            return await self._gone(each, each.target)
        self.seen.told_of[split_ref(each.ref)[1]] = split_ref(each.target)[1]
        items = self.mapper.many("status_change", listed, self.mapper.status_change)
        return Page(each.scope, items, whole_of=[each.target] if not listed.holes else ())

    async def _categories(self, each: Due, group: str, due: Sequence[Due]) -> Page | None:
        answer = await self.api.asked(dialects.group(group))
        if answer is None:
            return await self._gone(each, f"group/{group}")
        listed = categories(answer, group)
        items = self.mapper.many("category", listed, lambda one: self.mapper.category(one, group))
        shown = {item.ref for item in items}
        absent = [d.ref for d in due if d.scope == each.scope and d.ref not in shown] if not listed.holes else []
        return Page(each.scope, items, absent=absent)

    async def _space(self, each: Due, kind: str, own: str) -> Page | None:
        if kind == "group":
            answer: Any = await self.api.asked(dialects.group(own))
            node = None if answer is None else table(answer, each.ref).get("group")
        else:
            node = await self.api.asked(dialects.community(own) if kind == "community" else dialects.domain(own))
        if node is None:
            return await self._gone(each, each.ref)
        if identity(node) != own:
            raise Malformed(f"{each.ref}: another one was answered", status=200)
        return Page(each.scope, self.mapper.spaces(kind, [node]))
