"""What the parts of one group's pull share: the group, what is stored of it, and what this run has seen so far.

What is remembered per post is `<number of arguments>|<number when they were last read>`, so that a run killed in between reads on where
it stood.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..contract.reading import Cursor, Item, PullRequest
from . import dialects
from .api import Api, table
from .mapping import Mapper


@dataclass(slots=True)
class Seen:
    """Where things are, of what this run knows: a 401 is only judged beside what something belongs to."""

    group_of: dict[str, str] = field(default_factory=dict[str, str])
    """Post to group."""
    post_of: dict[str, str] = field(default_factory=dict[str, str])
    """Argument to post."""
    categories: set[str] = field(default_factory=set[str])
    """The categories that the group pages of this run showed."""


class GroupState:
    """One group in one pull."""

    def __init__(
        self, api: Api, mapper: Mapper, seen: Seen, request: PullRequest, own: str, groups: frozenset[str]
    ) -> None:
        """`groups`: every group of the instance that is pulled, in this run or another."""
        self.api = api
        self.mapper = mapper
        self.seen = seen
        self.request = request
        self.stored = request.stored
        self.own = own
        self.groups = groups
        self.scope = f"posts@group/{own}"
        self.points_scope = f"points@group/{own}"
        self.known: dict[str, str] = {}
        """Tokens of the posts of earlier runs."""
        self.late: set[str] = set()
        """Posts that came (back) into this group after they were made: their official texts are in the feed's past."""
        self.settled = True
        """Whether the lists kept still while they were read."""

    def cursor(self) -> Cursor:
        """Where the posts' sweep stands once its lists are read."""
        return {"phase": "points", "settled": self.settled, "late": sorted(self.late)}

    def item(self, node: Mapping[str, Any]) -> Item:
        """A post as an item, with what is remembered of its arguments."""
        own = str(node.get("id"))
        self.seen.group_of[own] = self.own
        return self.mapper.post(node, change_token(node.get("counter_points"), read_at(self.known.get(own))))

    async def single(self, own: str) -> Mapping[str, Any] | None:
        """One post asked for alone; None when it is not there, or belongs to another group that is pulled."""
        answer = await self.api.maybe(dialects.post(own))
        if answer is None:
            return None
        node = table(answer, f"post {own}")
        group = str(node.get("group_id"))
        return node if group == self.own or group not in self.groups else None


def change_token(counter: Any, read: str) -> str:
    """The token of a post: its number of arguments, and that number when they were last read."""
    return f"{counter if isinstance(counter, int) else ''}|{read}"


def read_at(token: str | None) -> str:
    """The number of arguments when they were last read; empty: never."""
    return (token or "").partition("|")[2]


def mark_read(token: str) -> str:
    """The token of a post whose arguments were just read."""
    counter = token.partition("|")[0]
    return f"{counter}|{counter}"
