"""What the parts of one group's pull share: the group, what is stored of it, and what this run has seen so far.

What is remembered per post is `<number of arguments>|<number when they were last read>`, so that a run killed in between reads on where
it stood; and, where there was none to read although the number says so (blocked ones count), `|<when that was, in seconds>`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...core.identity import split_ref
from ..contract.errors import Malformed
from ..contract.reading import Cursor, Item, PullRequest, Stored
from ..contract.values import identity
from . import dialects
from .api import Api, table
from .mapping import Mapper

COMMUNITIES = "communities"
"""Under this name it is remembered in which community a group is."""


@dataclass(slots=True)
class Seen:
    """Where things are, of what this run knows: a 401 is only judged beside what something belongs to."""

    group_of: dict[str, str] = field(default_factory=dict[str, str])
    """Post to group."""
    post_of: dict[str, str] = field(default_factory=dict[str, str])
    """Argument to post."""
    told_of: dict[str, str] = field(default_factory=dict[str, str])
    """Official text to post."""
    group_of_category: dict[str, str] = field(default_factory=dict[str, str])
    community_of: dict[str, str] = field(default_factory=dict[str, str])
    """Group to community; kept from run to run (`COMMUNITIES`), for a closed group tells nothing any more."""
    domain: str | None = None
    flags: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Group to its configuration, of the groups whose page this run read."""
    untold: set[str] = field(default_factory=set[str])
    """Groups and communities that this run could not read without knowing why, or was not to read: nothing in them is judged."""
    _recalled: set[str] = field(default_factory=set[str])

    def place(self, stored: Stored, found: Mapping[str, str | None], domain: Any) -> None:
        """Where groups are: as remembered, and as the pages of communities show it."""
        remembered = stored.memory(COMMUNITIES)
        self.community_of.update(remembered if isinstance(remembered, dict) else {})
        self.community_of.update({own: above for own, above in found.items() if above is not None})
        self.domain = None if domain is None else str(domain)

    async def recall(self, stored: Stored, groups: Iterable[str]) -> None:
        """Where everything is that is stored of these groups: what waits for a verdict may be of a run long ago."""
        for own in groups:
            if own in self._recalled:
                continue
            self._recalled.add(own)
            for each in await stored.tokens(f"posts@group/{own}"):
                self.group_of.setdefault(split_ref(each)[1], own)
            for place, scope in (
                (self.post_of, "points"),
                (self.told_of, "answers"),
                (self.group_of_category, "categories"),
            ):
                for each, holder in (await stored.tokens(f"{scope}@group/{own}")).items():
                    place.setdefault(split_ref(each)[1], holder)


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
        self.hidden = False
        """Whether its arguments are shown to nobody."""
        self.settled = True
        """Whether the lists kept still while they were read."""

    def cursor(self) -> Cursor:
        """Where the posts' sweep stands once its lists are read."""
        return {"phase": "points", "settled": self.settled, "late": sorted(self.late)}

    def items(self, posts: Iterable[Mapping[str, Any]]) -> list[Item]:
        """Posts as items."""
        return self.mapper.many("proposal", posts, self.item)

    def item(self, node: Mapping[str, Any]) -> Item:
        """A post as an item, with what is remembered of its arguments.

        Raises:
            MappingError, or another of `core.items.UNREADABLE`.
        """
        own = str(node.get("id"))
        self.seen.group_of[own] = self.own
        # Shown again, arguments that were hidden for a while are to be read anew.
        read = "" if self.hidden else read_at(self.known.get(own))
        return self.mapper.post(node, change_token(node.get("counter_points"), read))

    async def single(self, own: str) -> Mapping[str, Any] | None:
        """One post asked for alone; None when it is not there, or belongs to another group that is pulled or refuses."""
        answer = await self.api.asked(dialects.post(own))
        if answer is None:
            return None
        node = table(answer, f"post {own}")
        if identity(node) != own:
            raise Malformed(f"post {own}: another one was answered", status=200)
        group = str(node.get("group_id"))
        if group == self.own:
            return node
        # A post answers whatever its community is: moved to a group that refuses, it is not public any more.
        return None if group in self.groups or await self.api.asked(dialects.group(group)) is None else node


def change_token(counter: Any, read: str) -> str:
    """The token of a post: its number of arguments, and that number when they were last read."""
    return f"{counter if isinstance(counter, int) else ''}|{read}"


def read_at(token: str | None) -> str:
    """The number of arguments when they were last read, and when if there were none; empty: never."""
    return (token or "").partition("|")[2]


def mark_read(token: str, empty: datetime | None = None) -> str:
    """The token of a post whose arguments were just read; `empty`: now, if there were none."""
    counter = token.partition("|")[0]
    return f"{counter}|{counter}" if empty is None else f"{counter}|{counter}|{int(empty.timestamp())}"
