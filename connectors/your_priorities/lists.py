"""Walking a group's four lists by offset, and being sure that nothing slipped between two pages.

`oldest` appends new posts at the end, so only something that leaves moves what was not read yet: then the total shrinks, or the
number of different posts is not the total, and the walk begins again (docs/platforms/your-priorities.md 4.3). What a list should have
shown and did not is asked for by its number.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from ..contract.errors import Malformed, NotAllowed
from ..contract.reading import Cursor, Item, Page
from ..contract.values import Progress, readable_moment
from . import dialects
from .api import Objects, objects, table
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
        self.holes = 0
        """Elements of the lists, in this walk, that are no posts."""
        newest = (group.stored.memory(f"answers@group/{group.own}") or {}).get("newest")
        self.newest = newest if isinstance(newest, str) else None

    async def pages(self, cursor: Cursor) -> AsyncIterator[Page]:
        """One or more walks, then what no list showed."""
        resumed = bool(cursor)
        for walk in range(WALKS):
            self.calm, self.holes = True, 0
            async for page in self._walk(cursor, walk):
                yield page
            if self.calm:
                break
            cursor, resumed = {}, False
        # Which posts the holes are nobody knows, so none is missing.
        self.group.settled = self.calm and not self.holes
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
            goes_on, progress = True, Progress(f"{status} posts of group/{self.group.own}")
            while goes_on:
                posts, total = await self._page(status, offset, walk)
                offset += len(posts) + posts.holes
                high = max(high, total)
                goes_on = len(posts) + posts.holes >= dialects.PAGE and offset < total
                ids = {str(post.get("id")) for post in posts}
                progress.page(new=not ids <= here, goes_on=goes_on)
                here |= ids
                self.holes += posts.holes
                if total < high or (not goes_on and distinct + len(here) + self.holes != total):
                    self.calm = False
                at = {
                    "phase": "lists",
                    "status": status,
                    "offset": offset,
                    "distinct": distinct + len(here),
                    "high": high,
                    "late": sorted(self.group.late),
                }
                fresh = [post for post in posts if str(post.get("id")) not in self.seen]
                for post in fresh:
                    self._note_late(post)
                self.seen |= ids
                if posts:
                    yield Page(self.group.scope, self.group.items(fresh), next=at, total=self.total)

    async def _page(self, status: str, offset: int, walk: int) -> tuple[Objects, int]:
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
        if not isinstance(total, int) or isinstance(total, bool):
            raise Malformed(f"{path}: no totalPostsCount", status=200)
        found = objects(node.get("posts"), path)
        self.group.mapper.missed("posts", found.holes)
        return found, total

    def _note_late(self, post: Mapping[str, Any]) -> None:
        own = str(post.get("id"))
        if own not in self.group.known and self.newest is not None and _before(post.get("created_at"), self.newest):
            self.group.late.add(own)

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
            found += self.group.items([node])
            contradictions += _listed(node.get("official_status")) and str(node.get("group_id")) == self.group.own
            if contradictions >= DOUBTS:
                raise Malformed(
                    f"the lists of group/{self.group.own} leave out posts that are there",
                    hint="nothing was marked as gone; the next run tries again",
                    status=200,
                )
        return found


def _before(created: Any, newest: str) -> bool:
    one, other = readable_moment(created), readable_moment(newest)
    return one is not None and other is not None and one < other


def _listed(status: Any) -> bool:
    return isinstance(status, int) and status in dialects.LISTED
