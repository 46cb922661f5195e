"""Reading the arguments of a group's posts and the comments on them: where their number changed, all of them at every full pull."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from ...core.identity import split_ref
from ..contract.reading import Cursor, Item, Page
from . import dialects
from .api import Api, rows
from .group_state import GroupState, mark_read

BATCH_POSTS = 20
BATCH_POINTS = 200


class CommentReader:
    """The arguments of one group in one pull."""

    def __init__(self, group: GroupState) -> None:
        self.group = group
        self.unread: set[str] = set()
        """Posts whose arguments could not be read, as the post was not there any more."""
        self.untouched: list[str] = []
        """Arguments that are known to be there without reading."""

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
        for position, own in enumerate(work):
            found = await points(self.group.api, own)
            if found is None:
                self.unread.add(own)
            else:
                items += [self.group.mapper.point(one, configuration) for one in found]
                batch.append(own)
            if len(batch) < BATCH_POSTS and len(items) < BATCH_POINTS and position < len(work) - 1:
                continue
            earlier.update(batch)
            for item in items:
                self.group.seen.post_of[split_ref(item.ref)[1]] = str(item.token)
            at: Cursor = {"all": True, "after": int(own)} if everything else {"read": sorted(earlier)}
            yield Page(self.group.points_scope, items, next=at)
            yield Page(
                self.group.scope,
                [Item(f"proposal/{one}", token=mark_read(tokens[one])) for one in batch],
                next=self.group.cursor(),
            )
            items, batch = [], []
        self.untouched += [
            own for post, listed in comments.items() if post not in read or post in self.unread for own in listed
        ]

    def _due(self, token: str, stored: bool, everything: bool) -> bool:
        counter, _, read = token.partition("|")
        if everything and (stored or counter not in {"", "0"}):
            return True
        return counter != read and (stored or counter != "0" or bool(read))


async def points(api: Api, post: str) -> list[Any] | None:
    """All public arguments of a post and the comments on them; None when the post is not there (401).

    Raises:
        Malformed: the answer is no list.
    """
    answer = await api.maybe(dialects.points(post), latestPointCreatedAt=dialects.EPOCH)
    if answer is None:
        return None
    found = rows(answer, f"points of post {post}")
    return [one for one in found if not one.get("deleted") and one.get("status", "published") == "published"]
