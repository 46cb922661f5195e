"""Pulling one group: its page, its lists, its feed, its arguments, and then the claim that this was all.

The posts' sweep has two phases in its cursor: `lists`, then `points`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from ...core.identity import split_ref
from ..contract.errors import ConnectorError, Malformed, NotAllowed, NotFound, Unreachable
from ..contract.reading import Page
from ..contract.values import identity
from . import dialects
from .api import table
from .comments import CommentReader
from .feed import Feed
from .group_state import COMMUNITIES, GroupState
from .lists import Lists
from .mapping import flags, hides_debate
from .presence import Presence, categories


class GroupPull:
    """One pull of one group. `readable` is False once the group itself answered 401."""

    def __init__(self, group: GroupState, presence: Presence, *, known: bool, named: bool) -> None:
        """`known`: the group is stored; `named`: the admin wants it read. Of others that are closed nobody need hear."""
        self.group = group
        self.presence = presence
        self.known = known or named
        self.named = named
        self.readable = True
        self.closed = False
        """Whether it was closed or deleted by its admin: an answer, and no lost permission."""

    async def pages(self) -> AsyncIterator[Page]:
        """All pages of this group."""
        answer = await self.group.api.asked(dialects.group(self.group.own))
        if answer is None:
            yield await self._refused()
            return
        node = table(answer, f"group/{self.group.own}")
        page = table(node.get("group"), f"group/{self.group.own}")
        self.group.seen.flags[self.group.own] = flags(page)
        if identity(page) != self.group.own:
            raise Malformed(f"group/{self.group.own}: another one was answered", status=200)
        yield Page("spaces", self.group.mapper.spaces("group", [page]), memory=self._placed(page))
        yield self._categories(page)
        kind = dialects.group_type(page)
        if kind in {"folder", "link"} and not page.get("counter_posts"):
            yield Page("spaces", done=[f"group/{self.group.own}"])
            return
        hidden = hides_debate(flags(page))
        async for each in self._posts(page, hidden, only_open=node.get("hasNonOpenPosts") is False):
            yield each

    async def _refused(self) -> Page:
        """A page for a group that does not show itself: closed or deleted where its community answers, else nobody knows."""
        group, ref = self.group, f"group/{self.group.own}"
        self.readable = False
        self.closed = await self.presence.refused_group(group.own) is False if self.known else False
        if self.closed:
            note = f"{ref} is closed or deleted, and its community is there: what was read of it is not public any more"
            return Page("spaces", absent=[ref], note=note)
        group.seen.untold.add(ref)
        told = f"{ref} may not be read (closed, deleted or never there); what was read earlier is kept"
        return Page("spaces", failed=told) if self.named else Page("spaces", note=told)

    def _placed(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """What is to be remembered of where this group is, if that is new."""
        seen, own = self.group.seen, self.group.own
        remembered = self.group.stored.memory(COMMUNITIES) or {}
        above = identity(node, "community_id")
        if above is not None:
            seen.community_of[own] = str(above)
        if above is None or remembered.get(own) == str(above):
            return {}
        return {COMMUNITIES: dict(sorted(seen.community_of.items()))}

    def _categories(self, node: Mapping[str, Any]) -> Page:
        listed = categories({"group": node}, self.group.own)
        items = self.group.mapper.many("category", listed, lambda one: self.group.mapper.category(one, self.group.own))
        self.group.mapper.missed("categories", listed.holes)
        self.group.seen.group_of_category.update((split_ref(item.ref)[1], self.group.own) for item in items)
        return Page(f"categories@group/{self.group.own}", items, complete=not listed.holes)

    async def _posts(self, node: Mapping[str, Any], hidden: bool, *, only_open: bool) -> AsyncIterator[Page]:
        cursor = self.group.stored.cursor(self.group.scope) or {}
        tokens = await self.group.stored.tokens(self.group.scope)
        self.group.known = {split_ref(each)[1]: token for each, token in tokens.items()}
        self.group.seen.group_of.update(dict.fromkeys(self.group.known, self.group.own))
        self.group.late = set(cursor.get("late") or ())
        self.group.settled = bool(cursor.get("settled", True))
        self.group.hidden = hidden
        resumed = cursor.get("phase") == "points"
        if not cursor and not tokens and node.get("counter_posts"):
            # Nothing of it is there (any more): open again, it tells its past again.
            told = f"answers@group/{self.group.own}"
            if (self.group.stored.memory(told) or {}).get("newest"):
                yield Page(told, memory={told: {}})
        if not resumed:
            lists = Lists(self.group, only_open=only_open, total=node.get("counter_posts"))
            async for page in lists.pages(cursor):
                yield page
        feed = Feed(self.group, again=self.group.request.full and not resumed)
        failure: ConnectorError | None = None
        try:
            async for page in feed.pages():
                yield page
        except (Malformed, NotAllowed, NotFound, Unreachable) as error:
            await self.group.api.alone(error)
            failure = error  # what it says of the feed it says of nothing else
        done = [f"group/{self.group.own}"] if failure is None else []
        if hidden:
            if await self.group.stored.tokens(self.group.points_scope):
                yield Page(self.group.points_scope, complete=True)
            yield Page(self.group.scope, complete=self.group.settled, done=done)
        else:
            async for page in self._arguments(flags(node), done):
                yield page
        if failure is not None:
            raise failure

    async def _arguments(self, configuration: Mapping[str, Any], done: Sequence[str]) -> AsyncIterator[Page]:
        comments = CommentReader(self.group)
        async for page in comments.pages(configuration):
            yield page
        yield Page(self.group.scope, complete=self.group.settled)
        # Of what was not asked nothing is claimed, neither that it is there nor that it is not.
        silent = [f"point/{own}" for own in comments.untouched]
        yield Page(self.group.points_scope, silent=silent, complete=self.group.settled, done=done)
