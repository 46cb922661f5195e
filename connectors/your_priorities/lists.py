"""Walking a group's four lists by offset, and being sure that nothing slipped between two pages.

`oldest` appends new posts at the end, so only something that leaves moves what was not read yet: then the total shrinks, or the
number of different posts is not the total, and the walk begins again (docs/platforms/your-priorities.md 4.3). What a list should have
shown and did not is asked for by its number.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from ..contract.errors import Malformed, NotAllowed
from ..contract.reading import Cursor, Item, Page
from . import dialects
from .api import rows, table
from .group_state import GroupState

WALKS = 3
DOUBTS = 3
"""So many posts that are there, ordinary, and in no list: then the lists are not to be believed."""
ASK = 25
"""So many posts in a row that are gone: then the rest of a long list of missing ones is not asked for singly."""


class Lists:
    """The lists of one group in one pull."""

    def __init__(self, group: GroupState, *, only_open: bool, total: Any) -> None:
        """`only_open`: the group page says that there is nothing in the other three lists."""
        self.group = group
        self.order = str(group.request.probe.facts.get("order") or "oldest")
        self.statuses = dialects.STATUSES[:1] if only_open else dialects.STATUSES
        self.total = total if isinstance(total, int) else None
        self.seen: set[str] = set()
        self.calm = True
        newest = (group.stored.memory(f"answers@group/{group.own}") or {}).get("newest")
        self.newest = newest if isinstance(newest, str) else None

    async def pages(self, cursor: Cursor) -> AsyncIterator[Page]:
        """One or more walks, then what no list showed."""
        resumed = bool(cursor)
        for walk in range(WALKS):
            self.calm = True
            async for page in self._walk(cursor, walk):
                yield page
            if self.calm:
                break
            cursor, resumed = {}, False
        self.group.settled = self.calm
        found: list[Item] = []
        if not resumed:
            found = await self._unlisted()
        note = (
            None if self.calm else f"{self.group.scope}: the lists kept changing; what is missing is judged next time"
        )
        yield Page(self.group.scope, found, next=self.group.cursor(), note=note)

    async def _walk(self, cursor: Cursor, walk: int) -> AsyncIterator[Page]:
        start = str(cursor.get("status") or self.statuses[0])
        statuses = self.statuses[self.statuses.index(start) :] if start in self.statuses else self.statuses
        for status in statuses:
            resumed = status == cursor.get("status")
            offset = int(cursor.get("offset", 0)) if resumed else 0
            distinct = int(cursor.get("distinct", 0)) if resumed else 0
            high = int(cursor.get("high", 0)) if resumed else 0
            here: set[str] = set()
            goes_on = True
            while goes_on:
                posts, total = await self._page(status, offset, walk)
                offset += len(posts)
                high = max(high, total)
                goes_on = len(posts) >= dialects.PAGE and offset < total
                ids = {str(post.get("id")) for post in posts}
                here |= ids
                if total < high or (not goes_on and distinct + len(here) != total):
                    self.calm = False
                at = {
                    "phase": "lists",
                    "status": status,
                    "offset": offset,
                    "distinct": distinct + len(here),
                    "high": high,
                    "late": sorted(self.group.late),
                }
                fresh = [self._item(post) for post in posts if str(post.get("id")) not in self.seen]
                self.seen |= ids
                if posts:
                    yield Page(self.group.scope, fresh, next=at, total=self.total)

    async def _page(self, status: str, offset: int, walk: int) -> tuple[list[Any], int]:
        path = dialects.posts(self.group.own, self.order, status)
        params = {"offset": str(offset)}
        if walk:
            # Pages are cached for seconds, each for itself: one from before a deletion next to one from after it would be seen
            # again. The seed orders nothing here, but it is part of the cache's key (docs/platforms/your-priorities.md 1.6).
            params["randomSeed"] = str(walk)
        answer = await self.group.api.maybe(path, **params)
        if answer is None:
            raise NotAllowed(
                f"{path}: not allowed (status 401) although the group is", hint="was it closed just now?", status=401
            )
        node = table(answer, path)
        total = node.get("totalPostsCount")
        if not isinstance(total, int):
            raise Malformed(f"{path}: no totalPostsCount", status=200)
        return [table(post, path) for post in rows(node.get("posts"), path)], total

    def _item(self, post: Mapping[str, Any]) -> Item:
        own = str(post.get("id"))
        if own not in self.group.known and self.newest is not None and _before(post.get("created_at"), self.newest):
            self.group.late.add(own)
        return self.group.item(post)

    async def _unlisted(self) -> list[Item]:
        """What was known and no list showed: still there with an odd status, moved, or gone.

        Raises:
            Malformed: the lists leave out posts that are there and should be in them.
        """
        found: list[Item] = []
        contradictions = gone = 0
        missing = sorted((own for own in self.group.known if own not in self.seen), key=int)
        for own in missing:
            node = await self.group.single(own)
            if node is None:
                gone += 1
                if gone == ASK and not found:
                    break
                continue
            found.append(self.group.item(node))
            contradictions += (
                node.get("official_status") in dialects.LISTED and str(node.get("group_id")) == self.group.own
            )
            if contradictions >= DOUBTS:
                raise Malformed(
                    f"the lists of group/{self.group.own} leave out posts that are there",
                    hint="nothing was marked as gone; the next run tries again",
                    status=200,
                )
        return found


def _before(created: Any, newest: str) -> bool:
    try:
        return datetime.fromisoformat(created) < datetime.fromisoformat(newest)
    except (TypeError, ValueError):
        return False
