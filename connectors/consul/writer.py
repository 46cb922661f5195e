"""Writing to CONSUL: as a participant by the public forms, or in the organisation's name by the management interface.

A lost answer is looked up, never sent again. Facts: docs/platforms/consul.md 8. Nothing here decides whether something may be published.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import cast

from ...core.identity import Ref, split_ref
from ...core.ledger.marker import carries, markers_in
from ..contract.errors import CannotDo, MaybeDone, NotDone, NotLetIn, WrongCredentials
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
from .lookup import Lookup, Written, copy_at
from .participant_forms import ParticipantForms, limits_of, refuse_unsuitable
from .responses import Responses
from .settings import ConsulSettings
from .web_session import WebSession, after_accepted

SPACE = "section/proposals"
_BLOCK = 50
"""So many of our own proposals, two pages of the list, are looked at together for twins."""
_FEW = 3
"""So many of them are asked for one by one, whether they are drafts, before the public list is."""


class ConsulWriter:
    """Writes to one CONSUL installation; implements all of `connectors.contract.writing`."""

    keeps_text_when_withdrawn = True
    """A retired proposal stays readable whole, for everybody (docs/platforms/consul.md 10b): its text is to be replaced before."""
    stores_within = 3 * 3600.0
    """Nothing in a form of the site grows old; only what stands before it bounds how late it comes (docs/platforms/consul.md 15)."""

    def __init__(self, context: WriteContext) -> None:
        self.context = context
        self.settings = cast(ConsulSettings, context.reading.settings)
        self.session = WebSession(context)
        self.lookup = Lookup(context.reading, self.settings)
        self.participant_forms = ParticipantForms(self.session)
        self.admin_forms = AdminForms(self.session)
        self.responses = Responses(self.session, self.lookup)
        self._office: str | None = None
        """Who the person of the document is, once a copy of ours told it."""
        self._published: set[str] = set()
        self._made: set[str] = set()
        """What the site named in answer to our own forms in this run."""

    # Before writing

    async def check(self) -> Standing:
        """Sign in with every account that is configured, and see what it may do."""
        return await capabilities.standing(self.session, self.admin_forms)

    async def limits(self, space: Ref, voice: Voice | None = None) -> Limits:
        """The form's own word, and the languages that the site has."""
        _only_proposals(space)
        try:
            return limits_of(await self._form(self._voice(voice), None))
        except WrongCredentials as error:
            office = self.settings.management
            if self._voice(voice) != "official" or office is None or not office.login:
                raise
            # Only making copies needs that account: those that are there are changed and taken back by `login`.
            raise NotLetIn(error.message, hint=error.hint) from error

    def _voice(self, voice: Voice | None) -> Voice:
        return voice or ("official" if self.settings.management is not None else "participant")

    async def _form(self, voice: Voice, locale: str | None) -> HtmlPage:
        return await (self.admin_forms if voice == "official" else self.participant_forms).form(locale)

    def fit(self, space: Ref, draft: Draft) -> Fitted:
        """See `text_rules`."""
        _only_proposals(space)
        return text_rules.fit(draft)

    def fits_by(self, space: Ref) -> object:
        """By nothing that the site tells."""
        _only_proposals(space)
        return ()

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
            return found if found.complete or found.withdrawn else await self.participant_forms.publish(found)
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
        copy = replace(copy, how={**copy.how, "locales": list(draft.texts)})
        await self._is_ours(copy, draft)
        return copy if copy.complete else await self.participant_forms.publish(copy)

    async def _is_ours(self, copy: Copy, draft: Draft) -> None:
        """Believe an answer only when the proposal that it names says what we sent: proxies have given old answers again.

        Whatever is found, the site has accepted the form: it is never sent again by itself.
        """
        with after_accepted(f"{copy.ref} is made, but cannot be read now"):
            made = await self.lookup.fresh(split_ref(copy.ref)[1])
        if made is None or not carries(made.text, draft.marker):
            raise MaybeDone(f"the site answered with {copy.ref}, which is not what was sent", accepted=True)
        if copy.how.get("voice") == "official":
            self._office = made.author
            self._made.add(made.own)

    async def _names(self, draft: Draft) -> dict[str, str]:
        if draft.category is None:
            return {}
        return {write_requests.category_name(draft): await self.lookup.tag_name(split_ref(draft.category)[1])}

    # Looking up

    async def read(self, copy: Copy) -> Reading | None:
        """As everybody sees it."""
        return await self.lookup.read(copy.ref, copy.how.get("locale"))

    async def find(self, space: Ref, draft: Draft, since: datetime) -> Copy | None:
        """In our own list, drafts too; copies in the organisation's name in the public list, for they may be another's.

        A public copy goes before a leftover draft, and that before a retired one.

        Raises:
            NotDone: it cannot be told now, or not whether a public proposal with this marker is ours.
        """
        _only_proposals(space)
        voice = self._voice(draft.voice)
        mine: list[Copy] = []
        person = None
        if self.settings.login is not None:
            person, address = await self.session.author()
            async with aclosing(self.lookup.own_list(self.session, address, since)) as own:
                marked = [each.own async for each in own if carries(each.text, draft.marker)]
            mine = [copy for each in marked if (copy := await self._now(each, draft.locale, voice)) is not None]
            if not any(map(_stands, mine)):
                listed = {split_ref(each.ref)[1] for each in mine}
                hidden = await self.lookup.moderated(person, draft.marker, besides=listed)
                came = await self._now(hidden, draft.locale, voice) if hidden is not None else None
                if came is not None:
                    # Stored after its list was read: a form that arrived late. It may be a draft, which that interface shows as well.
                    mine.append(came)
                elif hidden is not None:
                    # A moderator was quicker than we: it is made, and must not be made again, not even of a leftover draft.
                    copy = copy_at(self.session.base, hidden, draft.locale, voice, complete=True)
                    return replace(copy, twins=[each.ref for each in mine])
        if self.settings.management is not None and not any(map(_stands, mine)):
            if self.settings.login is None:
                await self.admin_forms.enter()
            listed = {each.ref for each in mine}
            async with aclosing(self.lookup.public_list(self.session, since)) as everybodys:
                async for each in everybodys:
                    new = carries(each.text, draft.marker) and f"proposal/{each.own}" not in listed
                    if new and self._is_the_offices(each, person):
                        mine.append(copy_at(self.session.base, each.own, draft.locale, "official", complete=True))
        return _best(mine)

    def _is_the_offices(self, found: Written, person: str | None) -> bool:
        """Whether a public proposal with our marker is the organisation's: anybody can put a marker, and a title, into a text.

        Raises:
            NotDone: nothing tells it.
        """
        if found.own in self._made or (found.author is not None and found.author in {person, self._office}):
            return True
        if found.author is not None and self._office is not None:
            return False
        # The interface does not tell who the person of the document is, nor whoever keeps his activity private.
        raise NotDone(
            f"proposal/{found.own} carries the marker of this copy, and whether it is ours cannot be told",
            hint="look at it there; with `login` as the account of the person of `management`, its own list tells",
        )

    async def _found(self, each: Written, locale: str | None, voice: str) -> Copy:
        """Something of ours as a copy: public, a draft still, or taken back."""
        draft = self._maybe_draft(each) and await self._draft(each.own)
        copy = copy_at(self.session.base, each.own, locale, voice, complete=not draft)
        return replace(copy, withdrawn=each.retired)

    async def _now(self, own: str, locale: str | None, voice: str) -> Copy | None:
        """As `_found`, asked anew: what was read earlier may have been taken back, or hidden, since. None: it is not there any more."""
        there = await self.lookup.fresh(own)
        return await self._found(there, locale, voice) if there is not None else None

    def _maybe_draft(self, each: Written) -> bool:
        return not each.retired and not each.supports and each.own not in self._published

    async def _draft(self, own: str) -> bool:
        if self.settings.login is not None:
            found = await self.participant_forms.is_draft(own)
        else:
            found = await self.lookup.is_draft(self.session, own)
        if not found:
            self._published.add(own)
        return found

    async def authored(self, space: Ref) -> AsyncIterator[Authored]:
        """Everything that the account of `login` wrote; last what moderators hid, which must not be made again either.

        Without `login`, everything that carries a marker; that it is ours is said only of whom a copy of this run told to be the person
        of `management`, for nothing else tells who that is.
        """
        _only_proposals(space)
        if self.settings.login is None and self.settings.management is not None:
            await self.admin_forms.enter()
            marked = await self.lookup.marked()
            ours = {
                each.own for each in marked if self._office is not None and each.author == self._office
            } | self._made
            async for made in self._authored(_each(marked)):
                yield replace(made, ours=split_ref(made.copy.ref)[1] in ours)
            return
        person, address = await self.session.author()
        listed: set[str] = set()
        async for made in self._authored(self.lookup.own_list(self.session, address, None)):
            listed.add(made.copy.ref)
            yield made
        async for each in self.lookup.ever_public(person):
            copy = copy_at(self.session.base, each.own, None, self._voice(None), complete=True)
            if copy.ref in listed:
                continue
            # What came after the list was read is no hidden one, and may be a draft.
            came = await self._now(each.own, None, self._voice(None)) if markers_in(each.text) else None
            yield Authored(came or copy, "", each.text)

    async def _authored(self, source: AsyncGenerator[Written]) -> AsyncIterator[Authored]:
        """In blocks, within which twins are told and what is public comes before drafts and what was taken back.

        Twins are made within minutes of each other, so they are neighbours in a list that is newest first.
        """
        block: list[Written] = []
        async with aclosing(source) as rows:
            async for each in rows:
                block.append(each)
                if len(block) >= _BLOCK:
                    for made in await self._told(block):
                        yield made
                    block = []
        for made in await self._told(block):
            yield made

    async def _told(self, block: Sequence[Written]) -> list[Authored]:
        voice, made = self._voice(None), list[tuple[Written, Copy]]()
        doubtful = [each for each in block if markers_in(each.text) and self._maybe_draft(each)]
        if len(doubtful) > _FEW:
            self._published |= await self.lookup.surely_public(self.session, doubtful[0].created_at)
        for each in block:
            ours = markers_in(each.text)
            copy = copy_at(self.session.base, each.own, None, voice, complete=True)
            made.append((each, await self._found(each, None, voice) if ours else replace(copy, withdrawn=each.retired)))
        told: list[Authored] = []
        for each, copy in sorted(made, key=lambda pair: (_rank(pair[1]), -int(pair[0].own))):
            marks = set(map(str, markers_in(each.text)))
            others = [c for e, c in made if c.ref != copy.ref and marks & set(map(str, markers_in(e.text)))]
            twins = [c.ref for c in sorted(others, key=_rank)]
            told.append(Authored(replace(copy, twins=twins), each.title, each.text, each.created_at))
        return told

    # Changing

    def plan_edit(self, space: Ref, copy: Copy, draft: Draft) -> Sequence[Request]:
        """One form for each language, also for one that is not left."""
        own, languages = split_ref(copy.ref)[1], dict.fromkeys((*draft.texts, *(copy.how.get("locales") or ())))
        return [write_requests.edit(own, draft, locale, self.session.base) for locale in languages]

    async def edit(self, space: Ref, copy: Copy, draft: Draft) -> Copy:
        """Replace the texts in all languages; the place is kept."""
        await self.participant_forms.edit(split_ref(copy.ref)[1], draft, copy.how.get("locales"))
        return Copy(copy.ref, copy.url, {**copy.how, "locale": draft.locale, "locales": list(draft.texts)})

    # Taking back

    def plan_withdraw(self, space: Ref, copy: Copy, reason: str) -> Sequence[Request]:
        """The proposal is retired; a draft stays one."""
        locale = str(copy.how.get("locale") or "‹locale›")
        return [write_requests.retire(split_ref(copy.ref)[1], locale, reason, self.session.base)]

    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None:
        """Retire it. Nothing can be deleted here: it stays readable, with our explanation.

        Raises:
            CannotDo: also where it is a draft, and what everybody reads is another proposal with the same marker.
        """
        own = split_ref(copy.ref)[1]
        if await self.participant_forms.retire(own, copy.how.get("locale"), reason):
            return
        there = (await self.lookup.written([own]))[own]
        for marker in markers_in(there.text) if there is not None else ():
            _, address = await self.session.author()
            async with aclosing(self.lookup.own_list(self.session, address, None)) as mine:
                async for each in mine:
                    other = each.own != own and carries(each.text, marker)
                    twin = await self._now(each.own, None, self._voice(None)) if other else None
                    if twin is not None and _stands(twin):
                        raise CannotDo(
                            f"{copy.ref} is a draft that nobody sees, and proposal/{each.own} with the same marker is public",
                            hint="withdraw that one there",
                        )

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

    async def has_comment(self, ref: Ref, marker: str, text: LocalText | None = None) -> bool:
        """By the interface."""
        return await self.responses.has_comment(ref, marker, text)

    async def comment(self, ref: Ref, text: LocalText) -> None:
        """As the account of `login`."""
        await self.responses.comment(ref, text)


def _only_proposals(space: Ref) -> None:
    if space != SPACE:
        raise CannotDo(f"nothing can be published in {space} on CONSUL", hint=f"use {SPACE}")


def _rank(copy: Copy) -> int:
    """What goes first among texts with one marker: public, then a draft, then what was taken back."""
    return 2 if copy.withdrawn else 0 if copy.complete else 1


def _stands(copy: Copy) -> bool:
    return _rank(copy) == 0


def _best(found: Sequence[Copy]) -> Copy | None:
    """The copy to go on with, the others as its twins; the older first among equals, as the first is the one that people know."""
    if not found:
        return None
    first, *others = sorted(found, key=lambda each: (_rank(each), int(split_ref(each.ref)[1])))
    return replace(first, twins=[each.ref for each in others])


async def _each(rows: Sequence[Written]) -> AsyncGenerator[Written]:
    for each in rows:
        yield each
