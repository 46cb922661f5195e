"""Writing to CONSUL: as a participant by the public forms, or in the organisation's name by the management interface.

One form is loaded for one post; 302 alone is no success and 406 no failure; a lost answer is looked up, never sent again. Facts:
docs/platforms/consul.md 8. Nothing here decides whether something may be published.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime

from ...core.identity import Ref, split_ref
from ..contract.errors import CannotDo, MaybeDone, NotDone
from ..contract.reading import Capability
from ..contract.writing import Authored, Copy, Draft, Fitted, Limits, Reading, Standing, Voice, WriteContext
from ..http.transport import Request
from . import text_rules, write_requests
from .admin_forms import Office
from .lookup import copy_at
from .responses import Replies
from .web_session import Page
from .write_requests import TOKEN, EditForm

SPACE = "section/proposals"
_PROPOSAL = re.compile(r"^/proposals/(\d+)")
_BLOCK = re.compile(r"^proposal\[translations_attributes\]\[(\d+)\]\[locale\]$")
_PLACE = "proposal[map_location_attributes]"


class ConsulWriter(Replies):
    """Writes to one CONSUL installation; implements all of `connectors.writing`."""

    def __init__(self, context: WriteContext) -> None:
        super().__init__(context)
        self.office = Office(self.site, self.settings)

    # Who we are

    async def check(self) -> Standing:
        """Sign in with every account that is configured, and see what it may do."""
        warnings: list[str] = []
        # The account that will write comes last, so that it need not sign in again.
        answers = await self._may(self.as_administrator)
        person = None
        if self.settings.login is not None or self.settings.management is None:
            person = await self.as_author()
            form = (await self.authors_page("/account")).form("edit_account") or {}
            if form.get("account[public_activity]") == "0":
                warnings.append(
                    "the account keeps its activity private: a copy that a moderator hid before its lost answer was looked up "
                    "cannot be told from one that was never made; tick public activity in its account"
                )
        official = await self._may(self.office.enter) if self.settings.management else "set `management`"
        if not official and self.settings.login is not None and self.settings.management is not None:
            warnings.append(
                "copies in the organisation's name can be changed and withdrawn only if the document of `management` "
                "is that of the account of `login`"
            )
        participant = "" if self.settings.login is not None else "set `login` and `password`"
        return Standing(
            person[0] if person else None,
            [
                Capability("publish as a participant", not participant, participant),
                Capability("publish in the organisation's name", not official, official),
                Capability("change and withdraw copies", not participant, participant),
                Capability("official answers", not answers, answers),
                Capability("comments", not participant, participant),
            ],
            warnings,
        )

    async def _may(self, way: Callable[[], Awaitable[object]]) -> str:
        try:
            await way()
        except CannotDo as error:
            return str(error)
        return ""

    def _voice(self, voice: Voice | None) -> Voice:
        return voice or ("official" if self.settings.management is not None else "participant")

    # What can be made

    async def limits(self, space: Ref, voice: Voice | None = None) -> Limits:
        """The form's own word, and the languages that the site has."""
        _only_proposals(space)
        page = await self._new_form(self._voice(voice), None)
        form = page.form("new_proposal") or {}
        stem = "proposal[translations_attributes][0]"
        blocks = _blocks(form)
        # The language of a block that is in use is the one that the site speaks to us.
        locales = [each[1] for each in blocks if each[3]] + page.locales + [each[1] for each in blocks]
        return Limits(
            title=(text_rules.TITLE[0], min(text_rules.TITLE[1], page.longest(f"{stem}[title]", text_rules.TITLE[1]))),
            body=(0, min(text_rules.BODY, page.longest(f"{stem}[description]", text_rules.BODY))),
            summary=min(text_rules.SUMMARY, page.longest(f"{stem}[summary]", text_rules.SUMMARY)),
            sends="html",
            many_locales=True,
            locales=list(dict.fromkeys(locales)),
        )

    def fit(self, space: Ref, draft: Draft) -> Fitted:
        """See `fitting`."""
        _only_proposals(space)
        return text_rules.fit(draft)

    def plan_create(self, space: Ref, draft: Draft) -> Sequence[Request]:
        """One form in the organisation's name; two as a participant, who publishes the draft."""
        _only_proposals(space)
        if self._voice(draft.voice) == "official":
            return [write_requests.create(draft, self.site.base, office=True)]
        return [
            write_requests.create(draft, self.site.base),
            write_requests.publish(write_requests.NUMBER, self.site.base),
        ]

    async def create(self, space: Ref, draft: Draft, found: Copy | None = None) -> Copy:
        """Make it public; a draft that was found is published."""
        _only_proposals(space)
        if found is not None:
            return found if found.complete else await self._publish(found)
        voice = self._voice(draft.voice)
        # Without the interface nothing that is made could be looked up: better to know before.
        await self.finder.dialect()
        values = await self._names(draft)
        page = await self._new_form(voice, draft.locale)
        loaded = self.site.clock.monotonic()
        form = page.form("new_proposal") or {}
        self._suits(page, form, draft)
        # A site without maps has no fields for a place.
        without = "" if f"{_PLACE}[latitude]" in form else _PLACE
        if voice == "official":
            copy = await self.office.create(draft, page, values, without)
            await self._is_ours(copy, draft)
            return copy
        await self.site.wait(loaded)
        request = write_requests.create(draft, self.site.base)
        answer = await self.site.send(request, {**values, TOKEN: form["authenticity_token"]}, without=without)
        made = _PROPOSAL.match(answer.location) if answer.status == 302 else None
        if made is None or answer.location == "/proposals/new":
            raise self.not_made(answer)
        copy = copy_at(self.site, made[1], draft.locale, "participant", complete=False)
        await self._is_ours(copy, draft)
        return await self._publish(copy)

    async def _is_ours(self, copy: Copy, draft: Draft) -> None:
        """Believe an answer only when the proposal that it names says what we sent: proxies have given old answers again."""
        try:
            ours = await self.finder.holds(split_ref(copy.ref)[1], draft.marker)
        except (NotDone, CannotDo) as error:
            raise MaybeDone(
                f"{copy.ref} is made, but cannot be read now: {error.message}", status=error.status
            ) from error
        if not ours:
            raise MaybeDone(f"the site answered with {copy.ref}, which is not what was sent")

    def _suits(self, page: Page, form: dict[str, str], draft: Draft) -> None:
        """The site itself would store any language, even one that it never shows (docs/platforms/consul.md 8.2, 3)."""
        offered = {each[1] for each in _blocks(form)}
        missing = [locale for locale in draft.texts if locale not in offered | set(page.locales)]
        if missing or draft.locale not in offered:
            raise CannotDo(f"the site does not offer the language {', '.join(missing) or draft.locale}")
        if "proposal[responsible_name]" in form:
            raise CannotDo(
                "the site asks for the name of a person who is responsible", hint="verify the account there by document"
            )

    async def _names(self, draft: Draft) -> dict[str, str]:
        if draft.category is None:
            return {}
        return {write_requests.category_name(draft): await self.finder.tag_name(split_ref(draft.category)[1])}

    async def _new_form(self, voice: Voice, locale: str | None) -> Page:
        if voice == "official":
            return await self.office.form(locale)
        return await self.form_page("/proposals/new", locale, "new_proposal")

    async def _publish(self, copy: Copy) -> Copy:
        """Publish a draft that exists: from here on every failure leaves something behind."""
        own = split_ref(copy.ref)[1]
        try:
            await self.as_author()
        except (CannotDo, NotDone) as error:
            raise MaybeDone(f"the draft {copy.ref} is made, but not published: {error.message}") from error
        try:
            page = await self.authors_page(f"/proposals/{own}/created")
            if page.status in {302, 404}:
                raise CannotDo("the draft is not there any more, or it is not ours", status=page.status)
            if page.status != 200 or page.token is None:
                raise NotDone(f"the page of the draft cannot be read (status {page.status})", status=page.status)
            if page.offers("/publish"):
                answer = await self.site.send(write_requests.publish(own, self.site.base), {TOKEN: page.token})
                if not (answer.status == 302 and _PROPOSAL.match(answer.location)):
                    # A second time is refused (docs/platforms/consul.md 8.2, 4): then it was public already.
                    await self._is_public(own, answer.status)
        except NotDone as error:
            raise MaybeDone(
                f"the draft {copy.ref} is made, but not published: {error.message}", status=error.status
            ) from error
        return Copy(copy.ref, copy.url, copy.how)

    async def _is_public(self, own: str, status: int) -> None:
        page = await self.authors_page(f"/proposals/{own}/created")
        if page.status != 200 or page.offers("/publish"):
            raise MaybeDone(
                f"proposal/{own} is a draft still: publishing was answered with status {status}", status=status
            )

    # What is there

    async def read(self, copy: Copy) -> Reading | None:
        """As everybody sees it."""
        return await self.finder.read(copy.ref, copy.how.get("locale"))

    async def find(self, space: Ref, draft: Draft, since: datetime) -> Copy | None:
        """In our own list, drafts too; copies in the organisation's name in the public list, for they may be another's."""
        _only_proposals(space)
        if self.settings.login is not None:
            person, address = await self._own_page()
            async with aclosing(self.finder.own_list(self.site, address, since)) as mine:
                async for each in mine:
                    if draft.marker in each.text:
                        return await self._found(each.own, draft)
            hidden = await self.finder.moderated(person, draft.marker)
            if hidden is not None:
                # A moderator was quicker than we: it is made, and must not be made again.
                return copy_at(self.site, hidden, draft.locale, self._voice(draft.voice), complete=True)
        if self.settings.management is not None:
            if self.settings.login is None:
                await self.office.enter()
            async with aclosing(self.finder.public_list(self.site, since)) as everybodys:
                async for each in everybodys:
                    if draft.marker in each.text:
                        return copy_at(self.site, each.own, draft.locale, "official", complete=True)
        return None

    async def _own_page(self) -> tuple[str, str]:
        """Our number and the address of our own list, in a session that is alive."""
        page = await self.authors_page("/account")
        if page.person is None:
            raise NotDone("the account's own page cannot be read now", status=page.status)
        return page.person

    async def _found(self, own: str, draft: Draft) -> Copy:
        page = await self.authors_page(f"/proposals/{own}/created")
        if page.status != 200:
            raise NotDone(f"the page of proposal/{own} cannot be read now", status=page.status)
        complete = not page.offers("/publish")
        return copy_at(self.site, own, draft.locale, self._voice(draft.voice), complete=complete)

    async def authored(self, space: Ref) -> AsyncIterator[Authored]:
        """Everything that the account of `login` wrote; last what moderators hid, which must not be made again either."""
        _only_proposals(space)
        person, address = await self._own_page()
        listed: set[str] = set()
        async for each in self.finder.own_list(self.site, address, None):
            listed.add(each.own)
            copy = copy_at(self.site, each.own, None, self._voice(None), complete=True)
            yield Authored(copy, each.title, each.text, each.created_at)
        async for each in self.finder.ever_public(person):
            if each.own not in listed:
                yield Authored(copy_at(self.site, each.own, None, self._voice(None), complete=True), "", each.text)

    # What changes it

    def plan_edit(self, space: Ref, copy: Copy, draft: Draft) -> Sequence[Request]:
        """One form for each language."""
        own = split_ref(copy.ref)[1]
        return [write_requests.edit(own, draft, locale, self.site.base) for locale in draft.texts]

    async def edit(self, space: Ref, copy: Copy, draft: Draft) -> Copy:
        """Replace the texts; the place is kept."""
        own = split_ref(copy.ref)[1]
        for locale in draft.texts:
            page = await self.form_page(f"/proposals/{own}/edit", locale, f"edit_proposal_{own}")
            loaded = self.site.clock.monotonic()
            form = page.form(f"edit_proposal_{own}") or {}
            request = write_requests.edit(own, draft, locale, self.site.base, _edit_form(form, locale))
            await self.site.wait(loaded)
            without = "" if f"{_PLACE}[latitude]" in form else _PLACE
            answer = await self.site.send(request, {TOKEN: form["authenticity_token"]}, without=without)
            made = _PROPOSAL.match(answer.location) if answer.status == 302 else None
            if made is None or answer.location.endswith("/edit"):
                raise self.not_made(answer)
        return Copy(copy.ref, copy.url, {**copy.how, "locale": draft.locale})

    def plan_withdraw(self, space: Ref, copy: Copy, reason: str) -> Sequence[Request]:
        """The proposal is retired; a draft stays one."""
        locale = str(copy.how.get("locale") or "‹locale›")
        return [write_requests.retire(split_ref(copy.ref)[1], locale, reason, self.site.base)]

    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None:
        """Retire it. Nothing can be deleted here: it stays readable, with our explanation."""
        own = split_ref(copy.ref)[1]
        created = await self.authors_page(f"/proposals/{own}/created")
        if created.status == 200 and created.offers("/publish"):
            return
        page = await self.form_page(f"/proposals/{own}/retire_form", copy.how.get("locale"), f"edit_proposal_{own}")
        form = page.form(f"edit_proposal_{own}") or {}
        wanted = copy.how.get("locale")
        there = [each for each in _blocks(form) if each[2] and wanted in (None, each[1])]
        if not there:
            raise CannotDo("the proposal has no text in the language of its copy", hint="somebody changed its language")
        _, locale, translation, _ = there[0]
        request = write_requests.retire(own, locale, reason, self.site.base, translation or "")
        answer = await self.site.send(request, {TOKEN: form["authenticity_token"]})
        if not (answer.status == 302 and _PROPOSAL.match(answer.location)):
            raise self.not_made(answer)


def _only_proposals(space: Ref) -> None:
    if space != SPACE:
        raise CannotDo(f"nothing can be published in {space} on CONSUL", hint=f"use {SPACE}")


def _blocks(form: dict[str, str]) -> list[tuple[str, str, str | None, bool]]:
    """The blocks of texts in a form: index, language, id of the translation if there is one, whether it is in use.

    With the translation interface there is one for each language, in an order that says nothing (docs/platforms/consul.md 8.2, 3).
    """
    found: list[tuple[str, str, str | None, bool]] = []
    for name, value in form.items():
        match = _BLOCK.match(name)
        if match:
            stem = f"proposal[translations_attributes][{match[1]}]"
            own = form.get(f"{stem}[id]") or None
            found.append((match[1], value, own, form.get(f"{stem}[_destroy]") != "true"))
    return found


def _edit_form(form: dict[str, str], locale: str) -> EditForm:
    """The id of the translation in this language, and the place as the form holds it."""
    block = next((each for each in _blocks(form) if each[1] == locale), None)
    if block is None:
        raise CannotDo(f"the site does not offer the language {locale}")
    place = tuple(
        (name, value) for name, value in form.items() if name.startswith(_PLACE) and not name.endswith("[id]")
    )
    return EditForm(block[2], place if all(value for _, value in place) else ())
