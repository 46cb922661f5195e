"""Reading the arguments of a group's posts and the comments on them: where their number changed, all of them at every full pull.

The number only rises: a blocked or deleted argument, an edited one and a comment on one change nothing that a list shows
(docs/platforms/your-priorities.md 2, 4.3). So of a post that was not asked nothing is claimed, and `revisiting` asks in turn.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from ...core.durations import seconds
from ...core.identity import split_ref
from ..contract.errors import Malformed, Unreachable
from ..contract.reading import Cursor, Item, Page
from . import dialects
from .api import Api, Objects, objects
from .group_state import GroupState, mark_read

BATCH_POSTS = 20
BATCH_POINTS = 200


class CommentReader:
    """The arguments of one group in one pull."""

    def __init__(self, group: GroupState) -> None:
        self.group = group
        self.unread: set[str] = set()
        """Posts whose arguments could not be read, as the post was not there any more."""
        self.failed: list[str] = []
        """What could not be read, and why, since the last page."""
        self._in_a_row = 0
        self.untouched: list[str] = []
        """Arguments of posts that were not asked: nothing is known of them."""
        context = group.mapper.context
        self.now = context.clock.now()
        self.patience = seconds(context.settings.confirm_within) / 2
        """Seconds after which a post is asked again whose arguments are all blocked: nothing of them is stored that could be due."""

    async def pages(self, configuration: Mapping[str, Any]) -> AsyncIterator[Page]:
        """Those of the posts whose arguments must be read."""
        tokens = {split_ref(r)[1]: t for r, t in (await self.group.stored.tokens(self.group.scope)).items()}
        comments: dict[str, list[str]] = {}
        for each, post in (await self.group.stored.tokens(self.group.points_scope)).items():
            own = split_ref(each)[1]
            comments.setdefault(post, []).append(own)
            self.group.seen.post_of[own] = post
        cursor = self.group.stored.cursor(self.group.points_scope) or {}
        everything = bool(cursor.get("all", self.group.request.full))
        after = int(cursor.get("after", 0))
        earlier: set[str] = set(cursor.get("read") or ())
        due = sorted(
            (own for own, token in tokens.items() if self._due(token, bool(comments.get(own)), everything)), key=int
        )
        work = [own for own in due if int(own) > after and own not in earlier]
        read = set(due) | earlier
        items: list[Item] = []
        batch: list[str] = []
        empty: set[str] = set()
        holed: set[str] = set()
        for position, own in enumerate(work):
            found = await self._asked(own)
            if found is None:
                self.unread.add(own)
            else:
                items += self.group.mapper.many("point", found, lambda one: self.group.mapper.point(one, configuration))
                self.group.mapper.missed("arguments", found.holes)
                batch.append(own)
                holed |= {own} if found.holes else set()
                empty |= set() if found else {own}
            if len(batch) < BATCH_POSTS and len(items) < BATCH_POINTS and position < len(work) - 1:
                continue
            earlier.update(batch)
            for item in items:
                self.group.seen.post_of[split_ref(item.ref)[1]] = str(item.token)
            at: Cursor = {"all": True, "after": int(own)} if everything else {"read": sorted(earlier)}
            failed = f"{self.group.points_scope}: {'; '.join(self.failed)}" if self.failed else None
            self.failed.clear()
            whole = [f"proposal/{one}" for one in batch if one not in holed]
            self.unread |= holed
            yield Page(self.group.points_scope, items, next=at, whole_of=whole, failed=failed)
            yield Page(
                self.group.scope,
                [
                    Item(f"proposal/{one}", token=mark_read(tokens[one], self.now if one in empty else None))
                    for one in batch
                ],
                next=self.group.cursor(),
            )
            items, batch = [], []
        self.untouched += [
            own for post, listed in comments.items() if post not in read or post in self.unread for own in listed
        ]

    async def _asked(self, own: str) -> Objects | None:
        """The arguments of one post; None also where the server fails on them, unless it answers nothing else either."""
        try:
            found = await points(self.group.api, own)
        except (Malformed, Unreachable) as error:
            self._in_a_row += 1
            await self.group.api.alone(error, self._in_a_row)
            self.failed.append(f"the arguments of proposal/{own} could not be read: {error.message}")
            return None
        self._in_a_row = 0
        return found

    def _due(self, token: str, stored: bool, everything: bool) -> bool:
        counter, _, rest = token.partition("|")
        read, _, asked = rest.partition("|")
        if not stored and asked and self.now.timestamp() - int(asked) >= self.patience:
            return True
        if everything and (stored or counter not in {"", "0"}):
            return True
        return counter != read and (stored or counter != "0" or bool(read))


async def points(api: Api, post: str) -> Objects | None:
    """All public arguments of a post and the comments on them; None when the post is not there (401).

    Raises:
        Malformed: the answer is no list.
    """
    answer = await api.asked(dialects.points(post), latestPointCreatedAt=dialects.EPOCH)
    if answer is None:
        return None
    every = objects(answer, f"points of post {post}")
    found = Objects(one for one in every if not one.get("deleted") and one.get("status", "published") == "published")
    found.holes = every.holes
    return found
