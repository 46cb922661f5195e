"""Writing to Your Priorities: posts of the service account, without the vote that the platform gives each of them.

One POST makes a post and one DELETE takes the automatic vote back; a lost answer is looked up, never sent again; the rules that only the
pages follow are ours to respect. Facts: docs/platforms/your-priorities.md 5. Nothing here decides whether something may be published.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...core.identity import Ref, split_ref
from ...core.text import plain_title, tidy
from ..contract.errors import CannotDo, ConnectorError, MaybeDone, NotDone, WriteError
from ..contract.exchange import Request, Response
from ..contract.reading import Capability
from ..contract.writing import Authored, Copy, Draft, Fitted, Limits, LocalText, Reading, Standing, Voice, WriteContext
from . import text_rules, write_requests
from .responses import Replies, row_of
from .text_rules import Group, group_of

SETTLE_SECONDS = 2.0
"""How long the platform may take from storing a post to voting for it in our name."""
_HIDDEN = "deleted, hidden by a moderator, or not ours"


class YourPrioritiesWriter(Replies):
    """Writes to one instance; implements all of `connectors.writing`."""

    def __init__(self, context: WriteContext) -> None:
        super().__init__(context)
        self._groups: dict[str, Group] = {}
        self._tidied = False

    # Who we are, what can be made

    async def check(self) -> Standing:
        """Sign in, and see what we administer."""
        me = await self.account.me()
        official = "" if await self.account.any_group() else "the account is no admin of any group"
        told = bool(self.settings.answers_as_arguments)
        neutral = (
            "" if told else "there are only arguments for and against; set `answers_as_arguments` to tell answers so"
        )
        left = sum(vote.value != 0 for vote in me.votes.values())
        warnings = [f"the account has {left} votes of its own: is it used by a person, too?"] if left else []
        return Standing(
            me.own,
            [
                Capability("publish as a participant", True),
                Capability(
                    "publish in the organisation's name", False, "every idea has a person's account as its author"
                ),
                Capability("change and withdraw copies", True),
                Capability("official answers", not official, official),
                Capability("comments", told, neutral),
            ],
            warnings,
        )

    async def limits(self, space: Ref, voice: Voice | None = None) -> Limits:
        """The group's own word, as it is now."""
        _only_as_participant(voice)
        self._groups.pop(group_of(space), None)
        return text_rules.limits(await self._open(space))

    async def _group(self, space: Ref) -> Group:
        """The group as this run knows it; `limits`, which every run begins with, reads it anew."""
        own = group_of(space)
        if own not in self._groups:
            self._groups[own] = await self.looking.group(own)
        return self._groups[own]

    async def _open(self, space: Ref) -> Group:
        group = await self._group(space)
        text_rules.refuse_closed(group)
        if (group.identified or group.moderated) and not await self.account.administers(group.own):
            text_rules.refuse_outsider(group)
        return group

    def fit(self, space: Ref, draft: Draft) -> Fitted:
        """One line of title, and a text without control characters and without what the pages there would take for HTML."""
        _only_as_participant(draft.voice)
        group = self._groups.get(group_of(space))
        if group is not None:
            text_rules.refuse_category(group, draft)
        changes: list[str] = []
        texts = {locale: _fitted(text, changes) for locale, text in draft.texts.items()}
        return Fitted(replace(draft, texts=texts), tuple(dict.fromkeys(changes)))

    # Making

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
            return found if found.complete else await self._unvote(found)
        group = await self._open(space)
        text_rules.refuse_category(group, draft)
        await self.account.own()
        await self._take_back_leftovers()
        answer = await self.account.send(self._create(group.own, draft))
        if answer.status != 200:
            raise await self.refused(answer, "a new idea", "the account may have to join the group, or its community")
        row = row_of(answer)
        _is_what_was_sent(row, draft.main)
        if str(row.get("group_id")) != group.own or str(row.get("user_id")) != await self.account.own():
            raise MaybeDone("the site answered with an idea that is not where, or of whom, it was sent")
        how = {} if row.get("status") == "published" else {"status": str(row.get("status"))}
        return await self._unvote(self.looking.copy(str(row["id"]), group.own, how))

    async def _unvote(self, copy: Copy) -> Copy:
        """Take the automatic vote back; believed by the platform's word for this very post, or by our own votes."""
        own = split_ref(copy.ref)[1]
        done = replace(copy, complete=True)
        try:
            answer: Response | None = await self.account.send(write_requests.unvote(own))
        except MaybeDone:
            # A vote that is taken back already is answered with 500, too (5.6).
            answer = None
        except NotDone as error:
            raise MaybeDone(
                f"{copy.ref} is made, but still has our own vote: {error.message}", status=error.status
            ) from error
        if answer is not None and answer.status == 200 and _is_taken_back(answer, own):
            return done
        try:
            if answer is not None and answer.status == 404:
                # Never voted: the platform stores a post first, and votes for it a moment later.
                await self.looking.clock.sleep(SETTLE_SECONDS)
            vote = (await self.account.me()).votes.get(own)
        except WriteError as error:
            raise MaybeDone(f"{copy.ref} is made, and may still have our own vote: {error.message}") from error
        if vote is None or vote.value == 0:
            return done
        if answer is not None and answer.status == 401 and await self._cannot_vote(copy):
            return replace(done, how={**copy.how, "vote": "kept"})
        raise MaybeDone(f"{copy.ref} is made, but still has our own vote", status=answer.status if answer else None)

    async def _cannot_vote(self, copy: Copy) -> bool:
        """Whether nobody can vote for it now: it waits for a moderator, or voting has just been switched off."""
        if copy.how.get("status") == "blocked":
            return True
        try:
            group = await self.looking.group(str(copy.how.get("group")))
        except WriteError:
            return False
        return group.settings.get("canVote") is not True

    async def _take_back_leftovers(self) -> None:
        """Once a run: the votes of copies that were blocked when they were made, and are approved by now."""
        if self._tidied:
            return
        self._tidied = True
        with suppress(ConnectorError):
            for own in await self.looking.leftovers():
                await self.account.send(write_requests.unvote(own))

    # What is there

    async def read(self, copy: Copy) -> Reading | None:
        """As everybody sees it."""
        return await self.looking.read(copy)

    async def find(self, space: Ref, draft: Draft, since: datetime) -> Copy | None:
        """By our own votes, marks and the four lists."""
        return await self.looking.find(await self._group(space), draft, since, marked=self.settings.private_marker)

    def authored(self, space: Ref) -> AsyncIterator[Authored]:
        """Everything that the account posted in the group."""
        return self.looking.authored(group_of(space))

    # What changes it

    def plan_edit(self, space: Ref, copy: Copy, draft: Draft) -> Sequence[Request]:
        """One request."""
        own = group_of(space)
        return [write_requests.edit(split_ref(copy.ref)[1], draft, placed=self._placed(own))]

    async def edit(self, space: Ref, copy: Copy, draft: Draft) -> Copy:
        """Replace title, text and place; category and picture stay unless the route says a category."""
        group = await self._group(space)
        if draft.category is not None:
            text_rules.refuse_category(group, draft)
        await self.account.own()
        answer = await self.account.send(self.plan_edit(space, copy, draft)[0])
        if answer.status != 200:
            raise await self.refused(answer, f"changing {copy.ref}", f"it is {_HIDDEN}")
        row = row_of(answer)
        if str(row.get("id")) != split_ref(copy.ref)[1]:
            raise MaybeDone("the site answered with another idea than the one that was changed")
        _is_what_was_sent(row, draft.main)
        if copy.how.get("vote") != "kept":
            return copy
        # Blocked when it was made; that it can be changed says that it is approved.
        return await self._unvote(replace(copy, how={"group": copy.how.get("group")}))

    def plan_withdraw(self, space: Ref, copy: Copy, reason: str) -> Sequence[Request]:
        """One request; the platform has no place for a reason."""
        return [write_requests.delete(split_ref(copy.ref)[1])]

    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None:
        """Delete it. A second time it is not found, and that is as well."""
        own, group = split_ref(copy.ref)[1], str(copy.how.get("group") or group_of(space))
        await self.account.own()
        answer = await self.account.send(self.plan_withdraw(space, copy, reason)[0])
        if answer.status == 200:
            if answer.text.strip() != "OK":
                raise MaybeDone(f"deleting {copy.ref} was answered with something else than OK")
            return
        error = await self.refused(answer, f"deleting {copy.ref}", f"it is {_HIDDEN}")
        if answer.status != 401 or isinstance(error, NotDone):
            raise error
        if await self.looking.post(own) is not None:
            raise error
        await self._withdraw_unseen(copy, own, group)

    async def _withdraw_unseen(self, copy: Copy, own: str, group: str) -> None:
        """It cannot be seen: gone already, or blocked, and then it could come back."""
        if not await self.account.administers(group):
            if copy.how.get("status") == "blocked":
                raise CannotDo(
                    f"{copy.ref} waits for a moderator, and only an admin of group/{group} can delete it",
                    hint="ask the moderators not to approve it",
                )
            return
        if not await self.looking.is_blocked(group, own):
            return
        answer = await self.account.send(write_requests.delete_blocked(group, own))
        if answer.status != 200:
            raise await self.refused(answer, f"deleting {copy.ref}")


def _only_as_participant(voice: Voice | None) -> None:
    if voice == "official":
        raise CannotDo(
            "Your Priorities has no ideas in an organisation's name; every one is of an account",
            hint="leave `voice` out, and give the account the organisation's name",
        )


def _fitted(text: LocalText, changes: list[str]) -> LocalText:
    title, plain = plain_title(text.title), tidy(text.plain).strip()
    if title != text.title.strip() or plain != text.plain.strip():
        changes.append("control characters are left out, and the title is one line")
    if text_rules.harmless(title) != title or text_rules.harmless(plain) != plain:
        title, plain = text_rules.harmless(title), text_rules.harmless(plain)
        changes.append("what looks like HTML is written with ‹ and ＆, because the pages there would run it")
    if not title:
        raise CannotDo("it has no title")
    if len(title) > text_rules.TITLE:
        title = f"{title[: text_rules.TITLE - 1].rstrip()}…"
        changes.append(f"the title is longer than {text_rules.TITLE} characters; it is shortened")
    return replace(text, title=title, plain=plain)


def _is_what_was_sent(row: Mapping[str, Any], text: LocalText) -> None:
    """Proxies have given old answers again: a row is believed by what it says. Raises: MaybeDone."""
    if not isinstance(row.get("id"), int) or row.get("name") != text.title or row.get("description") != text.plain:
        raise MaybeDone("the site answered with an idea that is not what was sent")


def _is_taken_back(answer: Response, own: str) -> bool:
    try:
        vote = row_of(answer).get("endorsement")
    except MaybeDone:
        return False
    return isinstance(vote, dict) and str(vote.get("post_id")) == own and vote.get("value") == 0
