"""Pulling one group: its page, its lists, its feed, its arguments, and then the claim that this was all.

The posts' sweep has two phases in its cursor: `lists`, then `points`.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from ...core.identity import split_ref
from ..contract.reading import Page
from . import dialects
from .api import rows, table
from .comments import CommentReader
from .feed import Feed
from .group_state import GroupState
from .lists import Lists
from .mapping import flags, hides_debate


class GroupPull:
    """One pull of one group. `readable` is False once the group itself answered 401."""

    def __init__(self, group: GroupState) -> None:
        self.group = group
        self.readable = True

    async def pages(self) -> AsyncIterator[Page]:
        """All pages of this group."""
        answer = await self.group.api.maybe(dialects.group(self.group.own))
        if answer is None:
            self.readable = False
            note = f"group/{self.group.own} may not be read (closed, deleted or never there); what was read earlier is kept"
            yield Page("spaces", note=note)
            return
        node = table(answer, f"group/{self.group.own}")
        page = table(node.get("group"), f"group/{self.group.own}")
        yield Page("spaces", [self.group.mapper.space("group", page)])
        yield self._categories(page)
        kind = dialects.group_type(page)
        if kind in {"folder", "link"} and not page.get("counter_posts"):
            yield Page("spaces", done=[f"group/{self.group.own}"])
            return
        hidden = hides_debate(flags(page))
        async for each in self._posts(page, hidden, only_open=node.get("hasNonOpenPosts") is False):
            yield each

    async def remember(self) -> None:
        """Know the posts and arguments of a group that the run before, which this one continues, had read to its end."""
        self.group.seen.group_of.update(
            (split_ref(r)[1], self.group.own) for r in await self.group.stored.tokens(self.group.scope)
        )
        points = await self.group.stored.tokens(self.group.points_scope)
        self.group.seen.post_of.update((split_ref(each)[1], post) for each, post in points.items())

    def _categories(self, node: Mapping[str, Any]) -> Page:
        listed = [one for one in rows(node.get("Categories", []), f"group/{self.group.own}") if not one.get("deleted")]
        items = [self.group.mapper.category(one, self.group.own) for one in listed]
        self.group.seen.categories.update(split_ref(item.ref)[1] for item in items)
        return Page(f"categories@group/{self.group.own}", items, complete=True)

    async def _posts(self, node: Mapping[str, Any], hidden: bool, *, only_open: bool) -> AsyncIterator[Page]:
        cursor = self.group.stored.cursor(self.group.scope) or {}
        tokens = await self.group.stored.tokens(self.group.scope)
        self.group.known = {split_ref(each)[1]: token for each, token in tokens.items()}
        self.group.seen.group_of.update(dict.fromkeys(self.group.known, self.group.own))
        self.group.late = set(cursor.get("late") or ())
        self.group.settled = bool(cursor.get("settled", True))
        resumed = cursor.get("phase") == "points"
        if not resumed:
            lists = Lists(self.group, only_open=only_open, total=node.get("counter_posts"))
            async for page in lists.pages(cursor):
                yield page
        feed = Feed(self.group, again=self.group.request.full and not resumed)
        async for page in feed.pages():
            yield page
        if hidden:
            yield Page(self.group.scope, complete=self.group.settled, done=[f"group/{self.group.own}"])
            return
        comments = CommentReader(self.group)
        async for page in comments.pages(flags(node)):
            yield page
        yield Page(self.group.scope, complete=self.group.settled)
        # Read again: what this run read is among it, but only what was left unread is claimed without having been seen.
        present, complete = [f"point/{own}" for own in comments.untouched], self.group.settled and not comments.unread
        yield Page(self.group.points_scope, present=present, complete=complete, done=[f"group/{self.group.own}"])
