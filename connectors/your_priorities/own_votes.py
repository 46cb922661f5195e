"""Taking back the vote that Your Priorities gives every new post in its author's name: a copy must not support itself.

Believed by the platform's word for this very post, or by our own votes (docs/platforms/your-priorities.md 5.6).
"""

from contextlib import suppress
from dataclasses import replace

from ...core.identity import split_ref
from ..contract.errors import ConnectorError, MaybeDone, NotDone, WriteError
from ..contract.exchange import Response
from ..contract.writing import Copy
from . import write_requests
from .lookup import Lookup
from .web_session import WebSession, row_of

SETTLE_SECONDS = 2.0
"""How long the platform may take from storing a post to voting for it in our name."""


class OwnVotes:
    """The votes of the service account on what it posted."""

    def __init__(self, session: WebSession, lookup: Lookup) -> None:
        self.session = session
        self.lookup = lookup
        self.tidied = False
        """Whether this run has looked for votes that an earlier one left."""

    async def take_back(self, copy: Copy) -> Copy:
        """Take the automatic vote back; believed by the platform's word for this very post, or by our own votes."""
        own = split_ref(copy.ref)[1]
        done = replace(copy, complete=True)
        try:
            answer: Response | None = await self.session.send(write_requests.unvote(own))
        except MaybeDone:
            # A vote that is taken back already is answered with 500, too (5.6).
            answer = None
        except NotDone as error:
            raise MaybeDone(
                f"{copy.ref} is made, but still has our own vote: {error.message}", status=error.status, accepted=True
            ) from error
        if answer is not None and answer.status == 200 and _is_taken_back(answer, own):
            return done
        try:
            if answer is not None and answer.status == 404:
                # Never voted: the platform stores a post first, and votes for it a moment later.
                await self.lookup.clock.sleep(SETTLE_SECONDS)
            vote = (await self.session.me()).votes.get(own)
        except WriteError as error:
            raise MaybeDone(
                f"{copy.ref} is made, and may still have our own vote: {error.message}", accepted=True
            ) from error
        if vote is None or vote.value == 0:
            return done
        if answer is not None and answer.status == 401 and await self._cannot_vote(copy):
            return replace(done, how={**copy.how, "vote": "kept"})
        raise MaybeDone(
            f"{copy.ref} is made, but still has our own vote", status=answer.status if answer else None, accepted=True
        )

    async def _cannot_vote(self, copy: Copy) -> bool:
        """Whether nobody can vote for it now: it waits for a moderator, or voting has just been switched off."""
        if copy.how.get("status") == "blocked":
            return True
        try:
            group = await self.lookup.group(str(copy.how.get("group")))
        except WriteError:
            return False
        return group.settings.get("canVote") is not True

    async def take_back_leftovers(self) -> None:
        """Once a run: the votes of copies that were blocked when they were made, and are approved by now."""
        if self.tidied:
            return
        self.tidied = True
        with suppress(ConnectorError):
            for own in await self.lookup.leftovers():
                await self.session.send(write_requests.unvote(own))


def _is_taken_back(answer: Response, own: str) -> bool:
    try:
        vote = row_of(answer).get("endorsement")
    except MaybeDone:
        return False
    return isinstance(vote, dict) and str(vote.get("post_id")) == own and vote.get("value") == 0
