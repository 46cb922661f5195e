"""Pulling one group: its page, its lists, its feed, its arguments, and then the claim that this was all.

The posts' sweep has two phases in its cursor: `lists`, then `points`. What is remembered per post is `<number of arguments>|<number
when they were last read>`, so that a run killed in between reads on where it stood.
"""

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from ...core.identity import split_ref
from ..contract.reading import Cursor, Item, Page, PullRequest
from . import dialects
from .api import rows, table
from .feed import Feed
from .lists import Lists
from .mapping import flags, hides_debate

if TYPE_CHECKING:
    from .reader import YourPrioritiesReader

BATCH_POSTS = 20
BATCH_POINTS = 200


def change_token(counter: Any, read: str) -> str:
    """The token of a post: its number of arguments, and that number when they were last read."""
    return f"{counter if isinstance(counter, int) else ''}|{read}"


def read_at(token: str | None) -> str:
    """The number of arguments when they were last read; empty: never."""
    return (token or "").partition("|")[2]


class GroupPull:
    """One pull of one group. `readable` is False once the group itself answered 401."""

    def __init__(self, reader: "YourPrioritiesReader", request: PullRequest, own: str, groups: frozenset[str]) -> None:
        """`groups`: every group of the instance that is pulled, in this run or another."""
        self.reader = reader
        self.api = reader.api
        self.mapper = reader.mapper
        self.request = request
        self.stored = request.stored
        self.own = own
        self.groups = groups
        self.scope = f"posts@group/{own}"
        self.points_scope = f"points@group/{own}"
        self.readable = True
        self.known: dict[str, str] = {}
        self.late: set[str] = set()
        """Posts that came (back) into this group after they were made: their official texts are in the feed's past."""
        self.settled = True

    async def pages(self) -> AsyncIterator[Page]:
        """All pages of this group."""
        answer = await self.api.maybe(dialects.group(self.own))
        if answer is None:
            self.readable = False
            note = f"group/{self.own} may not be read (closed, deleted or never there); what was read earlier is kept"
            yield Page("spaces", note=note)
            return
        node = table(answer, f"group/{self.own}")
        group = table(node.get("group"), f"group/{self.own}")
        yield Page("spaces", [self.mapper.space("group", group)])
        yield self._categories(group)
        kind = dialects.group_type(group)
        if kind in {"folder", "link"} and not group.get("counter_posts"):
            yield Page("spaces", done=[f"group/{self.own}"])
            return
        hidden = hides_debate(flags(group))
        async for page in self._posts(group, hidden, only_open=node.get("hasNonOpenPosts") is False):
            yield page

    async def remember(self) -> None:
        """Know the posts and arguments of a group that the run before, which this one continues, had read to its end."""
        self.reader.group_of.update((split_ref(r)[1], self.own) for r in await self.stored.tokens(self.scope))
        points = await self.stored.tokens(self.points_scope)
        self.reader.post_of.update((split_ref(each)[1], post) for each, post in points.items())

    def _categories(self, group: Mapping[str, Any]) -> Page:
        listed = [one for one in rows(group.get("Categories", []), f"group/{self.own}") if not one.get("deleted")]
        items = [self.mapper.category(one, self.own) for one in listed]
        self.reader.categories.update(split_ref(item.ref)[1] for item in items)
        return Page(f"categories@group/{self.own}", items, complete=True)

    async def _posts(self, group: Mapping[str, Any], hidden: bool, *, only_open: bool) -> AsyncIterator[Page]:
        cursor = self.stored.cursor(self.scope) or {}
        tokens = await self.stored.tokens(self.scope)
        self.known = {split_ref(each)[1]: token for each, token in tokens.items()}
        self.reader.group_of.update(dict.fromkeys(self.known, self.own))
        self.late = set(cursor.get("late") or ())
        self.settled = bool(cursor.get("settled", True))
        resumed = cursor.get("phase") == "points"
        if not resumed:
            lists = Lists(self, only_open=only_open, total=group.get("counter_posts"))
            async for page in lists.pages(cursor):
                yield page
        feed = Feed(self, again=self.request.full and not resumed)
        async for page in feed.pages():
            yield page
        if hidden:
            yield Page(self.scope, complete=self.settled, done=[f"group/{self.own}"])
            return
        unread: set[str] = set()
        done: list[str] = []
        async for page in self._points(flags(group), unread, done):
            yield page
        yield Page(self.scope, complete=self.settled)
        # Read again: what this run read is among it, but only what was left unread is claimed without having been seen.
        present, complete = [f"point/{own}" for own in done], self.settled and not unread
        yield Page(self.points_scope, present=present, complete=complete, done=[f"group/{self.own}"])

    def cursor(self) -> Cursor:
        """Where the posts' sweep stands once its lists are read."""
        return {"phase": "points", "settled": self.settled, "late": sorted(self.late)}

    async def _points(self, configuration: Mapping[str, Any], unread: set[str], done: list[str]) -> AsyncIterator[Page]:
        """Read the arguments that must be read; put into `done` those that are known to be there without reading."""
        tokens = {split_ref(r)[1]: t for r, t in (await self.stored.tokens(self.scope)).items()}
        comments: dict[str, list[str]] = {}
        for each, post in (await self.stored.tokens(self.points_scope)).items():
            own = split_ref(each)[1]
            comments.setdefault(post, []).append(own)
            self.reader.post_of[own] = post
        cursor = self.stored.cursor(self.points_scope) or {}
        everything = bool(cursor.get("all", self.request.full))
        after = int(cursor.get("after", 0))
        earlier: set[str] = set(cursor.get("read") or ())
        due = sorted(
            (own for own, token in tokens.items() if self._due(token, bool(comments.get(own)), everything)), key=int
        )
        work = [own for own in due if int(own) > after and own not in earlier]
        read = set(due) | earlier
        items: list[Item] = []
        batch: list[str] = []
        for position, own in enumerate(work):
            found = await self.reader.points(own)
            if found is None:
                unread.add(own)
            else:
                items += [self.mapper.point(one, configuration) for one in found]
                batch.append(own)
            if len(batch) < BATCH_POSTS and len(items) < BATCH_POINTS and position < len(work) - 1:
                continue
            earlier.update(batch)
            for item in items:
                self.reader.post_of[split_ref(item.ref)[1]] = str(item.token)
            at: Cursor = {"all": True, "after": int(own)} if everything else {"read": sorted(earlier)}
            yield Page(self.points_scope, items, next=at)
            yield Page(self.scope, [self._read(one, tokens[one]) for one in batch], next=self.cursor())
            items, batch = [], []
        done += [own for post, listed in comments.items() if post not in read or post in unread for own in listed]

    def _due(self, token: str, stored: bool, everything: bool) -> bool:
        counter, _, read = token.partition("|")
        if everything and (stored or counter not in {"", "0"}):
            return True
        return counter != read and (stored or counter != "0" or bool(read))

    def _read(self, own: str, token: str) -> Item:
        return Item(f"proposal/{own}", token=mark_read(token))

    def item(self, node: Mapping[str, Any]) -> Item:
        """A post as an item, with what is remembered of its arguments."""
        own = str(node.get("id"))
        self.reader.group_of[own] = self.own
        return self.mapper.post(node, change_token(node.get("counter_points"), read_at(self.known.get(own))))

    async def single(self, own: str) -> Mapping[str, Any] | None:
        """One post asked for alone; None when it is not there, or belongs to another group that is pulled."""
        answer = await self.api.maybe(dialects.post(own))
        if answer is None:
            return None
        node = table(answer, f"post {own}")
        group = str(node.get("group_id"))
        return node if group == self.own or group not in self.groups else None


def mark_read(token: str) -> str:
    """The token of a post whose arguments were just read."""
    counter = token.partition("|")[0]
    return f"{counter}|{counter}"
