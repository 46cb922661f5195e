"""Deleted comments on releases whose interface shows them as if nothing had happened (up to 0.28.4, and 0.29.0 and 0.29.1).

`totalCommentsCount` does not count them (docs/platforms/decidim.md 1.4): a tree that shows more than that holds some. Which ones, one
of three tells: what the last archive of open data did not name although it is older than its newest row; the placeholders of the public
page, if they are as many as are too many; and the archive itself, on the day when it is read. What answers a deleted comment is shown
nowhere either.
"""

from collections.abc import Collection, Mapping
from typing import Any

from .api import Api
from .comment_trees import CommentTree
from .dialects import Dialect
from .thread_pages import Named, named_on_page


class Unflagged:
    """What is known to be deleted among the comments on the rows of one kind; knows nothing on releases that flag it."""

    def __init__(self, api: Api, dialect: Dialect, memory: Mapping[str, Any]) -> None:
        """`memory`: what an earlier pull told with `told`."""
        self.api = api
        self.applies = not dialect.checked
        self.ids: set[str] = set(memory.get("ids") or ())
        self.newest = int(memory.get("newest") or 0)
        """The highest comment of the last archive: what is not stored, older than it and still listed was deleted before."""
        self._exported: dict[str, set[str]] | None = None
        self._before = (set(self.ids), self.newest)

    def told(self) -> Mapping[str, Any] | None:
        """What the next pull must know, if that is something new."""
        if (self.ids, self.newest) == self._before:
            return None
        self._before = (set(self.ids), self.newest)
        return {"ids": sorted(self.ids, key=int), "newest": self.newest}

    def exported(self, rows: Mapping[str, Collection[str]], stored: Mapping[str, Collection[str]]) -> set[str]:
        """The archive was read.

        Args:
            rows: its comments, by what they are on.
            stored: the comments that are stored, likewise.

        Returns:
            What has stored comments that the archive should hold and does not: to be read again.
        """
        if not self.applies:
            return set()
        self._exported = {own: set(found) for own, found in rows.items()}
        self.newest = max((int(each) for found in rows.values() for each in found), default=0)
        # What was deleted before stays deleted; what an archive names was restored, or never was.
        self.ids -= {each for found in rows.values() for each in found}
        return {own for own, found in stored.items() if self._missing(own, found)}

    def _missing(self, own: str, ids: Collection[str]) -> set[str]:
        if self._exported is None:
            return set()
        there = self._exported.get(own, set())
        return {each for each in ids if int(each) < self.newest and each not in there}

    async def settle(self, own: str, tree: CommentTree, count: int, stored: Collection[str], path: str | None) -> int:
        """Take out of a tree what is deleted, with what answers it.

        Args:
            own: what the tree is on.
            count: how many comments the platform says there are.
            stored: the comments of this tree that are stored.
            path: the page of what it is on.

        Returns:
            How many more are deleted without anybody telling which.

        Raises:
            Throttled: the site wants to be left alone.
        """
        if not self.applies:
            return 0
        tree.drop(self.ids)
        # Replies to what moderators hid are counted and listed nowhere; the archive names them.
        unseen = len(self._exported.get(own, set()) - tree.ids - tree.withheld) if self._exported is not None else 0
        ways = (
            self._missing(own, tree.ids),
            {each for each in tree.ids if int(each) < self.newest and each not in stored} if stored else set[str](),
        )
        for found in ways:
            if len(tree.comments) + tree.orphans + unseen > count and found:
                self._learn(tree, found)
        surplus = len(tree.comments) + tree.orphans - count
        if surplus > 0 and path is not None:
            named = await named_on_page(self.api, path)
            found = (named or Named()).withheld & tree.ids
            # A page that is written otherwise than the one that was measured would name too many.
            if 0 < len(found) <= surplus:
                self._learn(tree, found)
                surplus -= len(found)
        return max(surplus, 0)

    def _learn(self, tree: CommentTree, found: Collection[str]) -> None:
        self.ids.update(found)
        tree.drop(found)
