"""Writing to Your Priorities: posts of the service account, without the vote that the platform gives each of them.

One POST makes a post and one DELETE takes the automatic vote back; a lost answer is looked up, never sent again; the rules that only the
pages follow are ours to respect. Facts: docs/platforms/your-priorities.md 5. Nothing here decides whether something may be published.
"""

from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...core.identity import Ref, split_ref
from ..contract.errors import CannotDo, MaybeDone, NotDone
from ..contract.exchange import Request
from ..contract.writing import (
    AnswerDraft,
    Authored,
    Copy,
    Draft,
    Fitted,
    Limits,
    LocalText,
    Reading,
    Standing,
    Voice,
    WriteContext,
)
from . import capabilities, group_rules, text_rules, write_requests
from .group_rules import Group, group_of
from .lookup import Lookup
from .own_votes import OwnVotes
from .responses import Responses
from .web_session import WebSession, row_of

_HIDDEN = "deleted, hidden by a moderator, or not ours"


class YourPrioritiesWriter:
    """Writes to one instance; implements all of `connectors.contract.writing`."""

    stores_within = 3 * 3600.0
    """A post needs nothing but the session, which lasts; only what stands before the site bounds how late it comes
    (docs/platforms/your-priorities.md 14)."""

    def __init__(self, context: WriteContext) -> None:
        self.context = context
        self.session = WebSession(context)
        self.settings = self.session.settings
        self.lookup = Lookup(context.reading, self.session)
        self.own_votes = OwnVotes(self.session, self.lookup)
        self.responses = Responses(self.session, self.lookup)
        self._groups: dict[str, Group] = {}

    # Before writing

    async def check(self) -> Standing:
        """Sign in, and see what we administer."""
        return await capabilities.standing(self.session)

    async def limits(self, space: Ref, voice: Voice | None = None) -> Limits:
        """The group's own word, as it is now."""
        _only_as_participant(voice)
        self._groups.pop(group_of(space), None)
        return group_rules.limits(await self._open(space))

    async def _group(self, space: Ref) -> Group:
        """The group as this run knows it; `limits`, which every run begins with, reads it anew."""
        own = group_of(space)
        if own not in self._groups:
            self._groups[own] = await self.lookup.group(own)
        return self._groups[own]

    async def _open(self, space: Ref) -> Group:
        group = await self._group(space)
        group_rules.refuse_closed(group)
        if (group.identified or group.moderated) and not await self.session.administers(group.own):
            group_rules.refuse_outsider(group)
        return group

    def fit(self, space: Ref, draft: Draft) -> Fitted:
        """One line of title, and a text without control characters and without what the pages there would take for HTML."""
        _only_as_participant(draft.voice)
        group = self._groups.get(group_of(space))
        if group is not None:
            group_rules.refuse_category(group, draft)
        return text_rules.fit(draft)

    def fits_by(self, space: Ref) -> object:
        """By the categories of the group."""
        group = self._groups.get(group_of(space))
        return sorted(group.categories) if group is not None else None

    # Creating

    def plan_create(self, space: Ref, draft: Draft) -> Sequence[Request]:
        """The post, and our own vote taken back."""
        _only_as_participant(draft.voice)
        return [self._create(group_of(space), draft), write_requests.unvote(write_requests.NUMBER)]

    def _create(self, own: str, draft: Draft) -> Request:
        return write_requests.create(own, draft, placed=self._placed(own), private=self.settings.private_marker)

    def _placed(self, own: str) -> bool:
        group = self._groups.get(own)
        return group is None or group.placed

    async def create(self, space: Ref, draft: Draft, found: Copy | None = None) -> Copy:
        """One post without a vote of ours; what was found with our vote still on it only loses that."""
        _only_as_participant(draft.voice)
        if found is not None:
            return found if found.complete else await self.own_votes.take_back(found)
        group = await self._open(space)
        group_rules.refuse_category(group, draft)
        await self.session.own()
        await self.own_votes.take_back_leftovers()
        answer = await self.session.send(self._create(group.own, draft))
        if answer.status != 200:
            raise await self.session.refused(
                answer, "a new idea", "the account may have to join the group, or its community"
            )
        with _accepted():
            row = row_of(answer)
            _is_what_was_sent(row, draft.main)
            if str(row.get("group_id")) != group.own or str(row.get("user_id")) != await self.session.own():
                raise MaybeDone("the site answered with an idea that is not where, or of whom, it was sent")
        how = {} if row.get("status") == "published" else {"status": str(row.get("status"))}
        return await self.own_votes.take_back(self.lookup.copy(str(row["id"]), group.own, how))

    # Looking up

    async def read(self, copy: Copy) -> Reading | None:
        """As everybody sees it."""
        return await self.lookup.read(copy)

    async def find(self, space: Ref, draft: Draft, since: datetime) -> Copy | None:
        """By our own votes, marks and the four lists."""
        return await self.lookup.find(await self._group(space), draft, since, marked=self.settings.private_marker)

    def authored(self, space: Ref) -> AsyncIterator[Authored]:
        """Everything that the account posted in the group."""
        return self.lookup.authored(group_of(space))

    # Changing

    def plan_edit(self, space: Ref, copy: Copy, draft: Draft) -> Sequence[Request]:
        """One request."""
        own = group_of(space)
        return [write_requests.edit(split_ref(copy.ref)[1], draft, placed=self._placed(own))]

    async def edit(self, space: Ref, copy: Copy, draft: Draft) -> Copy:
        """Replace title, text and place; category and picture stay unless the route says a category."""
        group = await self._group(space)
        if draft.category is not None:
            group_rules.refuse_category(group, draft)
        await self.session.own()
        answer = await self.session.send(self.plan_edit(space, copy, draft)[0])
        if answer.status != 200:
            raise await self.session.refused(answer, f"changing {copy.ref}", f"it is {_HIDDEN}")
        row = row_of(answer)
        if str(row.get("id")) != split_ref(copy.ref)[1]:
            raise MaybeDone("the site answered with another idea than the one that was changed")
        _is_what_was_sent(row, draft.main)
        if copy.how.get("vote") != "kept":
            return copy
        # Blocked when it was made; that it can be changed says that it is approved.
        return await self.own_votes.take_back(replace(copy, how={"group": copy.how.get("group")}))

    # Taking back

    def plan_withdraw(self, space: Ref, copy: Copy, reason: str) -> Sequence[Request]:
        """One request; the platform has no place for a reason."""
        return [write_requests.delete(split_ref(copy.ref)[1])]

    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None:
        """Delete it. A second time it is not found, and that is as well."""
        own, group = split_ref(copy.ref)[1], str(copy.how.get("group") or group_of(space))
        await self.session.own()
        answer = await self.session.send(self.plan_withdraw(space, copy, reason)[0])
        if answer.status == 200:
            if answer.text.strip() != "OK":
                raise MaybeDone(f"deleting {copy.ref} was answered with something else than OK")
            return
        error = await self.session.refused(answer, f"deleting {copy.ref}", f"it is {_HIDDEN}")
        if answer.status != 401 or isinstance(error, NotDone):
            raise error
        if await self.lookup.post(own) is not None:
            raise error
        await self._withdraw_unseen(copy, own, group)

    async def _withdraw_unseen(self, copy: Copy, own: str, group: str) -> None:
        """It cannot be seen: gone already, or blocked, and then it could come back."""
        if not await self.session.administers(group):
            if copy.how.get("status") == "blocked":
                raise CannotDo(
                    f"{copy.ref} waits for a moderator, and only an admin of group/{group} can delete it",
                    hint="ask the moderators not to approve it",
                )
            return
        if not await self.lookup.is_blocked(group, own):
            return
        answer = await self.session.send(write_requests.delete_blocked(group, own))
        if answer.status != 200:
            raise await self.session.refused(answer, f"deleting {copy.ref}")

    # Responses

    def plan_answer(self, ref: Ref, answer: AnswerDraft) -> Sequence[Request]:
        """One request; where the state has no word there, the status stays as it is."""
        return self.responses.plan_answer(ref, answer)

    async def may_answer(self, space: Ref | None) -> str:
        """Only admins of the very group give official answers (5.8, 5.11); arguments instead only where the admin asked for them."""
        if self.settings.answers_as_arguments:
            return ""
        if space is None:
            return "" if await self.session.any_group() else "the account is no admin of any group"
        if await self.session.administers(group_of(space)):
            return ""
        return f"the account is no admin of {space}; make it one, or set `answers_as_arguments`"

    async def has_answer(self, ref: Ref, answer: AnswerDraft) -> bool:
        """By the feed of the post."""
        return await self.responses.has_answer(ref, answer)

    async def answer(self, ref: Ref, answer: AnswerDraft) -> None:
        """As an admin of the group. Everybody who voted for the proposal gets an e-mail."""
        await self.responses.answer(ref, answer)

    def plan_comment(self, ref: Ref, text: LocalText) -> Sequence[Request]:
        """One argument."""
        return self.responses.plan_comment(ref, text)

    async def has_comment(self, ref: Ref, marker: str, text: LocalText | None = None) -> bool:
        """Among the arguments of our account."""
        return await self.responses.has_comment(ref, marker, text)

    async def comment(self, ref: Ref, text: LocalText) -> None:
        """An argument for the proposal."""
        await self.responses.comment(ref, text)


def _only_as_participant(voice: Voice | None) -> None:
    if voice == "official":
        raise CannotDo(
            "Your Priorities has no ideas in an organisation's name; every one is of an account",
            hint="leave `voice` out, and give the account the organisation's name",
        )


@contextmanager
def _accepted() -> Generator[None]:
    """The site said 200: whatever cannot be read or believed in its answer, nothing is sent again by itself."""
    try:
        yield
    except MaybeDone as error:
        raise MaybeDone(error.message, hint=error.hint, status=error.status, accepted=True) from error


def _is_what_was_sent(row: Mapping[str, Any], text: LocalText) -> None:
    """Proxies have given old answers again: a row is believed by what it says. Raises: MaybeDone."""
    if not isinstance(row.get("id"), int) or row.get("name") != text.title or row.get("description") != text.plain:
        raise MaybeDone("the site answered with an idea that is not what was sent")
