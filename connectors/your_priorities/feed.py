"""Reading a group's feed: the only place where official texts are shown, and where posts that no list shows can be met.

The feed is read back in time with `beforeDate` alone, because `afterDate` is ignored beside it
(docs/platforms/your-priorities.md 4.2). How far it was read is remembered with each page, so an interrupted reading goes on.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..contract.errors import Malformed
from ..contract.reading import Item, Page
from ..contract.values import Progress, identity, readable_moment
from . import dialects
from .api import Api, Objects, objects, table
from .group_state import GroupState
from .mapping import MAPPING

OVERLAP = timedelta(seconds=60)
"""The worker writes entries a little late and not always in order."""
TICK = timedelta(milliseconds=1)


class Feed:
    """The feed of one group in one pull."""

    def __init__(self, group: GroupState, *, again: bool) -> None:
        """`again`: from its newest entry to its first, whatever was read before."""
        self.group = group
        self.scope = f"answers@group/{group.own}"
        state = None if again else group.stored.memory(self.scope)
        self.state: Mapping[str, Any] = (
            state if isinstance(state, Mapping) and state.get("by") == MAPPING.decode() else {}
        )

    async def pages(self) -> AsyncIterator[Page]:
        """What is new in the feed, then the past of posts that came back."""
        now = self.group.mapper.context.clock.now()
        newest: str | None = self.state.get("newest")
        unfinished: Mapping[str, Any] = self.state.get("unfinished") or {}
        before: str | None = unfinished.get("before")
        top: Mapping[str, Any] | None = unfinished.get("top")
        known = {each.partition("/")[2] for each in await self.group.stored.tokens(self.group.scope)}
        known_to = readable_moment(newest)
        if known_to is not None and known_to > now:
            newest = known_to = None
        limit = known_to - OVERLAP if known_to is not None else None
        progress, met = Progress(f"the feed of group/{self.group.own}"), set[str]()
        while True:
            activities = await self._page("groups", self.group.own, before)
            times = _times(activities)
            # What bears a time to come stays on top for ever, and would pass for all that happens until then.
            happened = [one for one in activities if (readable_moment(one.get("created_at")) or now) <= now]
            past = _times(happened)
            top = top or ({"id": happened[0].get("id"), "at": _written(max(past))} if past else {})
            oldest = min(times) if times else None
            same = bool(happened) and before is None and happened[0].get("id") == self.state.get("top")
            ended = oldest is None or same or (limit is not None and oldest < limit)
            ids = {str(one.get("id")) for one in activities}
            progress.page(new=not ids <= met, goes_on=not ended)
            met |= ids
            if oldest is not None:
                before = _stepped(oldest, before)
            done = {"by": MAPPING.decode(), "newest": top.get("at") or newest, "top": top.get("id")}
            kept = (
                done if ended else {**self.state, "by": MAPPING.decode(), "unfinished": {"before": before, "top": top}}
            )
            items = self._changes(activities)
            # First what it speaks of, then how far it was read: a run that dies in between must come this way again.
            async for page in self._odd(activities, known):
                yield page
            if items or kept != self.state:
                yield Page(self.scope, items, memory={self.scope: kept})
            if ended:
                break
        async for page in self._past():
            yield page

    def _changes(self, activities: Sequence[Any]) -> list[Item]:
        return self.group.mapper.many("status_change", activities, self.group.mapper.status_change)

    async def _page(self, scope: str, own: str, before: str | None) -> Objects:
        path = dialects.activities(scope, own)
        params = {"beforeDate": before} if before is not None else {}
        found = objects(table(await self.group.api.get(path, **params), path).get("activities"), path)
        self.group.mapper.missed("activities", found.holes)
        return found

    async def _odd(self, activities: Sequence[Mapping[str, Any]], known: set[str]) -> AsyncIterator[Page]:
        """Posts the feed speaks of and no list shows: their official status is none that has a list (0.3)."""
        found: list[Item] = []
        for one in activities:
            own = identity(one, "post_id")
            if (
                own is None
                or one.get("type") != "activity.post.new"
                or not isinstance(one.get("Post"), dict)
                or own in known
            ):
                continue
            known.add(own)
            node = await self.group.single(own)
            if node is not None:
                found += self.group.items([node])
        if found:
            yield Page(self.group.scope, found, next=self.group.cursor())

    async def _past(self) -> AsyncIterator[Page]:
        """Official texts of posts that were moved here, or are shown again."""
        for own in sorted(self.group.late):
            activities = await feed_of(self.group.api, own)
            items = self._changes(activities or ())
            if items:
                yield Page(self.scope, items)


async def feed_of(api: Api, post: str) -> Objects | None:
    """All activities of a post (R21), newest first; None when the post is not there.

    Raises:
        Malformed: an answer is no list, or does not go back in time.
    """
    path, found, before = dialects.activities("posts", post), Objects(), dict[str, str]()
    known, progress = set[str](), Progress(f"the feed of proposal/{post}")
    while True:
        answer = await api.asked(path, **before)
        if answer is None:
            return None
        listed = objects(table(answer, path).get("activities"), path)
        found.holes += listed.holes
        fresh = [one for one in listed if str(one.get("id")) not in known]
        found += fresh
        known |= {str(one.get("id")) for one in fresh}
        if len(listed) + listed.holes < dialects.PAGE or not fresh:
            return found
        progress.page(new=True, goes_on=True)
        times = _times(listed)
        if not times:
            raise Malformed(f"{path}: not a time", status=200)
        following = _stepped(min(times), before.get("beforeDate"))
        before = {"beforeDate": following}


def _times(activities: Sequence[Mapping[str, Any]]) -> list[datetime]:
    """When these were; what is no time is left out, as another one tells how far the feed was read."""
    return [at for one in activities if (at := readable_moment(one.get("created_at"))) is not None]


def _stepped(oldest: datetime, before: str | None) -> str:
    """The next `beforeDate`: one millisecond past the oldest entry, or that entry itself when this brought nothing new."""
    following = _written(oldest + TICK)
    return following if following != before else _written(oldest)


def _written(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
