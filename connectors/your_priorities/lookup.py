"""Looking at what we wrote on Your Priorities: single copies, lost ones, and all of them. Nothing here writes.

A lost copy is looked for where nothing is cached first: our own votes are an index of all that we posted, for the platform votes for
every new post in its author's name and keeps the row of a vote that was taken back (docs/platforms/your-priorities.md 0.8, 5.1, 5.6).
Only then the lists, asked past their cache; and what cannot be seen is never believed to be absent.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ...core.identity import Ref, split_ref
from ...core.ledger.marker import carries, markers_in
from ...core.records import State
from ...core.text import simple
from ..contract.errors import CannotDo, Malformed, MappingError, NotDone, NotFound, nothing_stored
from ..contract.reading import Context
from ..contract.writing import Authored, Copy, Draft, Reading
from . import dialects
from .api import Api, rows, table
from .group_rules import Group
from .mapping import moment, state_of
from .web_session import Me, Vote, WebSession
from .write_requests import MARK

CACHE_SECONDS = 3.5
"""How long lists are stale at most, by the platform's default (1.6), and a little more."""
_HIDDEN = 25
"""So many posts in a row that nobody can see: then only those still with our vote are asked for."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A post of ours that only moderators see."""

    own: str
    text: str


class Lookup:
    """Looks as anybody does; only moderators' lists are asked for in the session."""

    def __init__(self, reading: Context, session: WebSession) -> None:
        self.api = Api(reading.transport)
        self.session = session
        self.clock = reading.clock
        self.base = reading.transport.url

    def copy(self, own: str, group: str, how: Mapping[str, Any] | None = None, *, complete: bool = True) -> Copy:
        """A copy, as it is handed back with every later call."""
        return Copy(f"proposal/{own}", f"{self.base}/post/{own}", {"group": group, **(how or {})}, complete)

    async def group(self, own: str) -> Group:
        """A group that anybody may see, with its community. Raises: CannotDo, NotDone."""
        async with nothing_stored():
            answer = await self.api.maybe(dialects.group(own))
            if answer is None:
                raise CannotDo(
                    f"group/{own} may not be read (status 401)",
                    hint="it is closed, deleted or was never there",
                    status=401,
                )
            node = table(table(answer, f"group/{own}").get("group"), f"group/{own}")
            above = node.get("community_id")
            community = None
            # Older versions may not have this page; only whether the community is archived is read from it.
            with suppress(NotFound, Malformed):
                community = await self.api.maybe(dialects.community_basic(str(above)))
        return Group(own, node, table(community, f"community/{above}") if community is not None else {})

    async def post(self, own: str) -> Mapping[str, Any] | None:
        """One post as anybody sees it; None for a 401, which alone proves nothing (0.2)."""
        async with nothing_stored():
            node = await self.api.maybe(dialects.post(own))
            return None if node is None else table(node, f"post {own}")

    async def there(self, own: str) -> Mapping[str, Any]:
        """One post that must be there. Raises: CannotDo, NotDone."""
        node = await self.post(own)
        if node is None:
            raise CannotDo(f"proposal/{own} is not there: deleted, or hidden by a moderator", status=401)
        return node

    async def read(self, copy: Copy) -> Reading | None:
        """How it stands; None only beside a group that can be read."""
        own = split_ref(copy.ref)[1]
        node = await self.post(own)
        if node is not None:
            text = simple(None, node.get("name"), node.get("description"))
            state = state_of(node.get("official_status"))
            return Reading(text.title, text.plain, answered=None if state is State.OPEN else state)
        group = copy.how.get("group")
        async with nothing_stored():
            readable = group is not None and await self.api.maybe(dialects.group(str(group))) is not None
        if not readable:
            raise NotDone(
                f"{copy.ref} cannot be seen, but neither can its group", hint="was the group closed?", status=401
            )
        if copy.how.get("status") == "blocked" and await self.is_blocked(str(group), own):
            raise NotDone(f"{copy.ref} is there, and waits for a moderator of its group to approve it", status=401)
        return None

    # Lost copies

    async def find(self, group: Group, draft: Draft, since: datetime, *, marked: bool) -> Copy | None:
        """The copy with this marker; None only after a second look, when every cache has gone stale (1.6)."""
        found = await self._look(group, draft.marker, since, marked=marked)
        if found is None:
            await self.clock.sleep(CACHE_SECONDS)
            found = await self._look(group, draft.marker, since, marked=marked)
        return found

    async def _look(self, group: Group, marker: str, since: datetime, *, marked: bool) -> Copy | None:
        me = await self.session.me()
        hidden: dict[str, Vote] = {}
        async with nothing_stored():
            # Our votes are an index of all that we posted: so two with one marker are both met, and told.
            mine = [node async for node in self._posted(me, since, hidden) if is_ours(node, me, marker)]
            if mine:
                twins = [f"proposal/{node.get('id')}" for node in mine[:-1]]
                return replace(self._found(mine[-1], me), twins=twins)
            for own in await self._marked(group.own, marker) if marked else ():
                node = await self.post(own)
                if node is not None and is_ours(node, me):
                    return self._found(node, me)
            for status in dialects.STATUSES:
                async for node in self._list(group.own, status, since):
                    if is_ours(node, me, marker):
                        return self._found(node, me)
            return await self._unseen(group, me, marker, hidden)

    async def _unseen(self, group: Group, me: Me, marker: str, hidden: Mapping[str, Vote]) -> Copy | None:
        """What nobody sees may be ours, made and blocked at once."""
        hidden = {own: vote for own, vote in hidden.items() if vote.group in {None, group.own}}
        if not hidden and not group.moderated:
            return None
        if await self.session.administers(group.own):
            for one in await self.blocked(group.own, me.own):
                if carries(one.text, marker):
                    return self.copy(one.own, group.own, {"status": "blocked", "vote": "kept"})
            return None
        voted = [own for own, vote in hidden.items() if vote.value]
        if voted or group.moderated:
            raise NotDone(
                f"something that we posted in group/{group.own} cannot be seen, and may be it",
                hint="a moderator may have hidden it; an admin of the group could tell",
            )
        return None

    async def _posted(self, me: Me, since: datetime, hidden: dict[str, Vote]) -> AsyncIterator[Mapping[str, Any]]:
        """What we voted for, so all that we posted, newest first; what cannot be seen goes into `hidden`."""
        missed = 0
        for own, vote in sorted(me.votes.items(), key=lambda each: -int(each[0])):
            if missed >= _HIDDEN and not vote.value:
                continue
            node = await self.post(own)
            if node is None:
                hidden[own] = vote
                missed += 1
                continue
            missed = 0
            if _made(node) < since:
                return
            yield node

    async def _marked(self, group: str, marker: str) -> list[str]:
        listed = await self.api.maybe(dialects.marked(group))
        found: list[str] = []
        for one in rows(listed if listed is not None else [], "marks"):
            private = one.get("publicPrivateData") if isinstance(one, dict) else None
            if isinstance(private, dict) and carries(str(private.get(MARK)), marker):
                found.append(str(one.get("id")))
        return found

    async def _list(self, group: str, status: str, since: datetime | None) -> AsyncIterator[Mapping[str, Any]]:
        """One of the four lists, newest first, back to a moment; without one, only its first page."""
        path, offset = dialects.posts(group, "newest", status), 0
        # The seed orders nothing here, but it is part of the cache's key (1.6): a new one is answered from the database.
        seed = str(int(self.clock.now().timestamp() * 1000))
        while True:
            answer = await self.api.get(path, offset=str(offset), randomSeed=seed)
            posts = [table(post, path) for post in rows(table(answer, path).get("posts"), path)]
            for node in posts:
                if since is not None and _made(node) < since:
                    return
                yield node
            offset += len(posts)
            if since is None or len(posts) < dialects.PAGE:
                return

    async def blocked(self, group: str, account: str) -> list[Blocked]:
        """Our posts that wait for a moderator. Of this list (it has e-mail addresses) only our own texts are looked at."""
        async with nothing_stored():
            listed = rows(await self.session.api.get(dialects.moderated(group)), dialects.moderated(group))
        return [
            Blocked(str(one.get("id")), f"{one.get('name')}\n{one.get('description')}")
            for one in listed
            if isinstance(one, dict)
            and one.get("type") == "post"
            and one.get("status") != "published"
            and str(one.get("user_id")) == account
        ]

    async def is_blocked(self, group: str, own: str) -> bool:
        """Whether a post of ours waits for a moderator; where we may not know, it is taken for so."""
        if not await self.session.administers(group):
            return True
        return any(one.own == own for one in await self.blocked(group, await self.session.own()))

    def _found(self, node: Mapping[str, Any], me: Me) -> Copy:
        own, group = str(node.get("id")), str(node.get("group_id"))
        vote = me.votes.get(own)
        # Without a row the platform has not voted for it yet: the post is stored first.
        return self.copy(own, group, complete=vote is not None and vote.value == 0)

    # Everything

    async def authored(self, group: str) -> AsyncIterator[Authored]:
        """All that we posted in a group, newest first: the lists' newest pages, and by our votes what they do not show."""
        me = await self.session.me()
        seen: dict[str, Mapping[str, Any]] = {}
        async with nothing_stored():
            for status in dialects.STATUSES:
                async for node in self._list(group, status, None):
                    if is_ours(node, me):
                        seen[str(node.get("id"))] = node
        voted = {own for own, vote in me.votes.items() if vote.group == group}
        same: dict[str, list[Ref]] = {}
        for own, node in seen.items():
            for marker in map(str, markers_in(str(node.get("description")))):
                same.setdefault(marker, []).append(f"proposal/{own}")
        for own in sorted(seen.keys() | voted, key=int, reverse=True):
            node = seen.get(own) or await self.post(own)
            if node is None or not is_ours(node, me):
                continue
            text = simple(None, node.get("name"), node.get("description"))
            marks = list(map(str, markers_in(text.plain)))
            for marker in marks if own not in seen else ():
                same.setdefault(marker, []).append(f"proposal/{own}")
            twins = [each for marker in marks for each in same.get(marker, ()) if each != f"proposal/{own}"]
            yield Authored(replace(self._found(node, me), twins=twins), text.title, text.plain, _made(node))

    async def leftovers(self) -> list[str]:
        """Posts of ours that still have our own vote, of the newest that we voted for."""
        me = await self.session.me()
        voted = sorted((own for own, vote in me.votes.items() if vote.value), key=int, reverse=True)[:_HIDDEN]
        found: list[str] = []
        for own in voted:
            node = await self.post(own)
            if node is not None and is_ours(node, me, "[civicsync:"):
                found.append(own)
        return found


def is_ours(node: Mapping[str, Any], me: Me, marker: str = "") -> bool:
    """Whether a post is of our account, and says this."""
    user = node.get("User")
    author = user.get("id") if isinstance(user, dict) else None
    return str(author) == me.own and (not marker or carries(f"{node.get('name')}\n{node.get('description')}", marker))


def _made(node: Mapping[str, Any]) -> datetime:
    try:
        found = moment(node, "created_at")
    except MappingError:
        found = None
    if found is None:
        raise NotDone("the site tells no date of a post")
    return found


def ref_of(ref: Ref) -> str:
    """The number of a proposal. Raises: CannotDo for anything else."""
    kind, own = split_ref(ref)
    if kind != "proposal":
        raise CannotDo(f"on Your Priorities that can only be said of a proposal, and {ref} is none")
    return own
