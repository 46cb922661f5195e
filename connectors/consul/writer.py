"""Writing to CONSUL: as a participant by the public forms, or in the organisation's name by the management interface.

A lost answer is looked up, never sent again. Facts: docs/platforms/consul.md 8. Nothing here decides whether something may be published.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import cast

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
from ..http.html_page import HtmlPage
from . import capabilities, text_rules, write_requests
from .admin_forms import AdminForms
from .lookup import Lookup, copy_at
from .participant_forms import ParticipantForms, limits_of, refuse_unsuitable
from .responses import Responses
from .settings import ConsulSettings
from .web_session import WebSession

SPACE = "section/proposals"


class ConsulWriter:
    """Writes to one CONSUL installation; implements all of `connectors.contract.writing`."""

    def __init__(self, context: WriteContext) -> None:
        self.context = context
        self.settings = cast(ConsulSettings, context.reading.settings)
        self.session = WebSession(context)
        self.lookup = Lookup(context.reading, self.settings)
        self.participant_forms = ParticipantForms(self.session)
        self.admin_forms = AdminForms(self.session)
        self.responses = Responses(self.session, self.lookup)

    # Before writing

    async def check(self) -> Standing:
        """Sign in with every account that is configured, and see what it may do."""
        return await capabilities.standing(self.session, self.admin_forms)

    async def limits(self, space: Ref, voice: Voice | None = None) -> Limits:
        """The form's own word, and the languages that the site has."""
        _only_proposals(space)
        return limits_of(await self._form(self._voice(voice), None))

    def _voice(self, voice: Voice | None) -> Voice:
        return voice or ("official" if self.settings.management is not None else "participant")

    async def _form(self, voice: Voice, locale: str | None) -> HtmlPage:
        return await (self.admin_forms if voice == "official" else self.participant_forms).form(locale)

    def fit(self, space: Ref, draft: Draft) -> Fitted:
        """See `text_rules`."""
        _only_proposals(space)
        return text_rules.fit(draft)

    # Creating

    def plan_create(self, space: Ref, draft: Draft) -> Sequence[Request]:
        """One form in the organisation's name; two as a participant, who publishes the draft."""
        _only_proposals(space)
        if self._voice(draft.voice) == "official":
            return [write_requests.create(draft, self.session.base, office=True)]
        return [
            write_requests.create(draft, self.session.base),
            write_requests.publish(write_requests.NUMBER, self.session.base),
        ]

    async def create(self, space: Ref, draft: Draft, found: Copy | None = None) -> Copy:
        """Make it public; a draft that was found is published."""
        _only_proposals(space)
        if found is not None:
            return found if found.complete else await self.participant_forms.publish(found)
        voice = self._voice(draft.voice)
        # Without the interface nothing that is made could be looked up: better to know before.
        await self.lookup.dialect()
        values = await self._names(draft)
        page = await self._form(voice, draft.locale)
        loaded = self.session.clock.monotonic()
        refuse_unsuitable(page, draft.locale, tuple(draft.texts))
        if voice == "official":
            copy = await self.admin_forms.create(draft, page, values)
        else:
            copy = await self.participant_forms.create(draft, page, values, loaded)
        await self._is_ours(copy, draft)
        return copy if copy.complete else await self.participant_forms.publish(copy)

    async def _is_ours(self, copy: Copy, draft: Draft) -> None:
        """Believe an answer only when the proposal that it names says what we sent: proxies have given old answers again."""
        try:
            ours = await self.lookup.holds(split_ref(copy.ref)[1], draft.marker)
        except (NotDone, CannotDo) as error:
            raise MaybeDone(
                f"{copy.ref} is made, but cannot be read now: {error.message}", status=error.status
            ) from error
        if not ours:
            raise MaybeDone(f"the site answered with {copy.ref}, which is not what was sent")

    async def _names(self, draft: Draft) -> dict[str, str]:
        if draft.category is None:
            return {}
        return {write_requests.category_name(draft): await self.lookup.tag_name(split_ref(draft.category)[1])}

    # Looking up

    async def read(self, copy: Copy) -> Reading | None:
        """As everybody sees it."""
        return await self.lookup.read(copy.ref, copy.how.get("locale"))

    async def find(self, space: Ref, draft: Draft, since: datetime) -> Copy | None:
        """In our own list, drafts too; copies in the organisation's name in the public list, for they may be another's."""
        _only_proposals(space)
        if self.settings.login is not None:
            person, address = await self.session.author()
            async with aclosing(self.lookup.own_list(self.session, address, since)) as mine:
                async for each in mine:
                    if draft.marker in each.text:
                        complete = not await self.participant_forms.is_draft(each.own)
                        return self._found(each.own, draft.locale, self._voice(draft.voice), complete=complete)
            hidden = await self.lookup.moderated(person, draft.marker)
            if hidden is not None:
                # A moderator was quicker than we: it is made, and must not be made again.
                return self._found(hidden, draft.locale, self._voice(draft.voice))
        if self.settings.management is not None:
            if self.settings.login is None:
                await self.admin_forms.enter()
            async with aclosing(self.lookup.public_list(self.session, since)) as everybodys:
                async for each in everybodys:
                    if draft.marker in each.text:
                        return self._found(each.own, draft.locale, "official")
        return None

    def _found(self, own: str, locale: str | None, voice: Voice, *, complete: bool = True) -> Copy:
        return copy_at(self.session.base, own, locale, voice, complete=complete)

    async def authored(self, space: Ref) -> AsyncIterator[Authored]:
        """Everything that the account of `login` wrote; last what moderators hid, which must not be made again either."""
        _only_proposals(space)
        person, address = await self.session.author()
        listed: set[str] = set()
        async for each in self.lookup.own_list(self.session, address, None):
            listed.add(each.own)
            yield Authored(self._found(each.own, None, self._voice(None)), each.title, each.text, each.created_at)
        async for each in self.lookup.ever_public(person):
            if each.own not in listed:
                yield Authored(self._found(each.own, None, self._voice(None)), "", each.text)

    # Changing

    def plan_edit(self, space: Ref, copy: Copy, draft: Draft) -> Sequence[Request]:
        """One form for each language."""
        own = split_ref(copy.ref)[1]
        return [write_requests.edit(own, draft, locale, self.session.base) for locale in draft.texts]

    async def edit(self, space: Ref, copy: Copy, draft: Draft) -> Copy:
        """Replace the texts; the place is kept."""
        await self.participant_forms.edit(split_ref(copy.ref)[1], draft)
        return Copy(copy.ref, copy.url, {**copy.how, "locale": draft.locale})

    # Taking back

    def plan_withdraw(self, space: Ref, copy: Copy, reason: str) -> Sequence[Request]:
        """The proposal is retired; a draft stays one."""
        locale = str(copy.how.get("locale") or "‹locale›")
        return [write_requests.retire(split_ref(copy.ref)[1], locale, reason, self.session.base)]

    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None:
        """Retire it. Nothing can be deleted here: it stays readable, with our explanation."""
        await self.participant_forms.retire(split_ref(copy.ref)[1], copy.how.get("locale"), reason)

    # Responses

    def plan_answer(self, ref: Ref, answer: AnswerDraft) -> Sequence[Request]:
        """A milestone."""
        return self.responses.plan_answer(ref, answer)

    async def has_answer(self, ref: Ref, answer: AnswerDraft) -> bool:
        """By the interface where that has milestones, else by the administration's page."""
        return await self.responses.has_answer(ref, answer)

    async def answer(self, ref: Ref, answer: AnswerDraft) -> None:
        """Publish a milestone in the name of the administration."""
        await self.responses.answer(ref, answer)

    def plan_comment(self, ref: Ref, text: LocalText) -> Sequence[Request]:
        """One request."""
        return self.responses.plan_comment(ref, text)

    async def has_comment(self, ref: Ref, marker: str) -> bool:
        """By the interface."""
        return await self.responses.has_comment(ref, marker)

    async def comment(self, ref: Ref, text: LocalText) -> None:
        """As the account of `login`."""
        await self.responses.comment(ref, text)


def _only_proposals(space: Ref) -> None:
    if space != SPACE:
        raise CannotDo(f"nothing can be published in {space} on CONSUL", hint=f"use {SPACE}")
