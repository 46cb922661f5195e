"""Writing to Decidim by the ways that really work in each release (docs/platforms/decidim.md 4).

`official`: the administrator's forms, in all languages. `participant`: 0.32 by mutation, before by the site's wizard, in one language.
Answers: by mutation with API credentials from 0.31 on, else by the administrator's form. Reads never carry a session or token.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...core.identity import Ref, ref, split_ref
from ...core.ledger.marker import carries
from ..contract.errors import CannotDo, ConnectorError, MaybeDone, NotLetIn
from ..contract.exchange import Request
from ..contract.values import flat, inside
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
from . import capabilities, write_requests
from .account import ServiceAccount
from .lookup import is_withdrawn, others_of, reading_of, says
from .mutations import perform
from .places import Place, Places
from .responses import Responses
from .text_rules import BODY_LEAST, TITLE, fitted, official


@asynccontextmanager
async def taken(what: str) -> AsyncGenerator[None]:
    """Looking at what a form that may be repeated did: whatever fails here, the form was sent."""
    try:
        yield
    except ConnectorError as error:
        raise MaybeDone(
            f"{what}: the site took it, and cannot be asked now: {error.message}", hint=error.hint, status=error.status
        ) from error


class DecidimWriter:
    """Writes to one organization; implements all of `connectors.contract.writing`."""

    keeps_text_when_withdrawn = True
    """A withdrawn proposal stays listed and readable whole (docs/platforms/decidim.md 11): its text is to be replaced before."""
    stores_within = 3 * 3600.0
    """What a request proves who sent it with is good for two hours at most, a session for 30 minutes (docs/platforms/decidim.md 11)."""

    def __init__(self, context: WriteContext) -> None:
        self.context = context
        self.account = ServiceAccount(context)
        self.settings = self.account.settings
        self.session = self.account.session
        self.responses = Responses(self.account)
        self._voices: dict[str, Voice] = {}

    # Before writing

    async def check(self) -> Standing:
        """Sign in and look around; writes nothing."""
        await self.account.places()
        return await capabilities.standing(self.account)

    async def limits(self, space: Ref, voice: Voice | None = None) -> Limits:
        """What a component takes, as its own form says."""
        places = await self.account.places()
        place = places.place(space)
        if voice is not None:
            return await self._limits(places, place, voice)
        try:
            found = await self._limits(places, place, "participant")
            self._voices[place.id] = "participant"
        except CannotDo as refused:
            try:
                found = await self._limits(places, place, "official")
            except CannotDo:
                raise refused from None
            self._voices[place.id] = "official"
        return found

    async def _limits(self, places: Places, place: Place, voice: Voice) -> Limits:
        if voice == "official":
            return await self.account.admin_forms(places).limits(place)
        if places.mutations and self.account.by_oauth and not self.session.configured:
            return Limits(TITLE, (BODY_LEAST, 1_000_000), sends="plain", locales=tuple(places.locales))
        return await self.account.participant_forms(places).limits(place)

    def _official(self, place: Place, draft: Draft) -> bool:
        """Whether a draft speaks for the organization; without a wish as `limits` found: participant, unless only that can."""
        return (draft.voice or self._voices.get(place.id, "participant")) == "official"

    def fit(self, space: Ref, draft: Draft) -> Fitted:
        """The draft in languages of the site; a participant's text with what the platform would refuse or garble put right."""
        places = self.account.known()
        place = places.place(space)
        draft = replace(draft, voice="official" if self._official(place, draft) else "participant")
        filed, changes = self._filed(places, draft)
        host = self.account.host
        if draft.voice == "official":
            made = {locale: official(text, locale, host) for locale, text in filed.texts.items()}
            more = [each for _, found in made.values() for each in found]
            return Fitted(replace(filed, texts={each: text for each, (text, _) in made.items()}), (*changes, *more))
        main, more = fitted(filed.main, filed.locale, places.dialect, rich=place.id in places.rich, host=host)
        return Fitted(replace(filed, texts={filed.locale: main}), (*changes, *more))

    def fits_by(self, space: Ref) -> object:
        """By the languages of the site, its release, and who writes in the component, and how."""
        places = self.account.known()
        place = places.place(space)
        release = places.dialect.to_facts()
        return [release, places.locales, place.id in places.rich, self._voices.get(place.id), self.account.host]

    def _filed(self, places: Places, draft: Draft) -> tuple[Draft, list[str]]:
        """Every text under a language that the site has; the main one of the site is never empty in an official proposal."""
        wanted = self.settings.write_locale
        home = wanted if wanted in places.locales else places.locales[0] if places.locales else draft.locale
        if not places.locales or draft.locale in places.locales:
            locale, changes = draft.locale, list[str]()
        else:
            locale, changes = home, [f"the site has no {draft.locale}: the text is filed under {home}"]
        texts = {locale: draft.main}
        if draft.voice != "official":
            return replace(draft, locale=locale, texts=texts), changes
        texts |= {each: text for each, text in draft.texts.items() if each in places.locales and each != locale}
        main = places.locales[0] if places.locales else locale
        if main not in texts:
            texts[main] = draft.main
            changes.append(f"the site asks for a text in {main}: it shows the one in {draft.locale}")
        return replace(draft, locale=locale, texts=texts), changes

    # Creating

    def plan_create(self, space: Ref, draft: Draft) -> Sequence[Request]:
        """The requests that `create` would send."""
        places = self.account.known()
        place = places.place(space)
        if self._official(place, draft):
            return [self.account.admin_forms(places).create_request(place, draft)]
        if places.mutations:
            return [write_requests.create_request(place, draft, places.body(place, draft.main))]
        forms, own = self.account.participant_forms(places), "‹id›"
        details = forms.details_request(place, draft, own)
        middle = [details] if details is not None else []
        return [forms.create_request(place, draft), *middle, forms.publish_request(place, draft, own)]

    async def create(self, space: Ref, draft: Draft, found: Copy | None = None) -> Copy:
        """A public copy; a half-made one is finished."""
        places = await self.account.places()
        place = places.place(space)
        if self._official(place, draft):
            return await self._create_official(places, place, draft) if found is None else found
        if found is not None:
            if found.complete:
                return found
            own = await self.account.participant_forms(places).finish(place, draft, split_ref(found.ref)[1])
            return self._copy(places, place, own, draft, "wizard")
        if places.mutations:
            return await self._create_by_mutation(places, place, draft)
        own = await self.account.participant_forms(places).create(place, draft)
        return self._copy(places, place, own, draft, "wizard")

    async def _create_by_mutation(self, places: Places, place: Place, draft: Draft) -> Copy:
        sent = write_requests.create_request(place, draft, places.body(place, draft.main))
        what = f"creating in component/{place.id}"
        made = await perform(self.account.participant(), sent, ["component", "createProposal"], what)
        rows = flat(inside(made, "body", "translations"))
        if not made.get("id") or not any(carries(str(row.get("text")), draft.marker) for row in rows):
            # It was taken, whatever it is: nothing is sent again that may be it.
            raise MaybeDone(f"{what}: the answer names another proposal", accepted=True)
        return self._copy(places, place, str(made["id"]), draft, "mutation")

    async def _create_official(self, places: Places, place: Place, draft: Draft) -> Copy:
        began = self.account.clock.now()
        what = f"creating in component/{place.id}"
        await self.account.admin_forms(places).create(place, draft)
        # The form was taken: whatever happens to the questions from here on, it is never sent again without a person.
        try:
            copy = await self._find_official(places, place, draft, began)
        except ConnectorError as error:
            raise MaybeDone(
                f"{what}: the site took it, and cannot be asked for it now: {error.message}",
                hint=error.hint,
                status=error.status,
                accepted=True,
            ) from error
        if copy is None:
            raise MaybeDone(
                f"{what}: the site took it, and does not list it", hint="it is looked up again", accepted=True
            )
        return copy

    async def _find_official(self, places: Places, place: Place, draft: Draft, since: datetime) -> Copy | None:
        nodes = await self.account.lookup(places).marked(place, draft.marker, since, None)
        return self._found(places, place, nodes, draft, "office") if nodes else None

    def _found(self, places: Places, place: Place, nodes: Sequence[Mapping[str, Any]], draft: Draft, way: str) -> Copy:
        """What carries a marker and was made first, public before taken back, with the others as its twins."""
        nodes = sorted(nodes, key=lambda each: (is_withdrawn(each), int(each["id"])))
        first, others = nodes[0], others_of(nodes[0], draft.locale) if way == "office" else None
        copy = self._copy(places, place, str(first["id"]), draft, way, others)
        twins = tuple(ref("proposal", str(each["id"])) for each in nodes[1:])
        return replace(copy, withdrawn=is_withdrawn(first), twins=twins)

    def _copy(self, places: Places, place: Place, own: str, draft: Draft, way: str, others: str | None = None) -> Copy:
        how: dict[str, Any] = {
            "voice": "official" if way == "office" else "participant",
            "way": way,
            "component": place.id,
            "locale": draft.locale,
        }
        if others is not None:
            how["others"] = others
        return Copy(ref("proposal", own), self.account.lookup(places).url(place, own), how)

    # Looking up

    async def read(self, copy: Copy) -> Reading | None:
        """How it stands, anonymously."""
        lookup = self.account.lookup(await self.account.places())
        component = str(copy.how.get("component") or "") or await lookup.home(copy.ref)
        node = await lookup.single(component, split_ref(copy.ref)[1])
        return None if node is None else reading_of(node, copy.how)

    async def find(self, space: Ref, draft: Draft, since: datetime) -> Copy | None:
        """The copy that an unanswered create left: public, or a draft of the account."""
        places = await self.account.places()
        place = places.place(space)
        if self._official(place, draft):
            return await self._find_official(places, place, draft, since)
        account = await self.account.own()
        nodes = await self.account.lookup(places).marked(place, draft.marker, since, account)
        public = (
            self._found(places, place, nodes, draft, "mutation" if places.mutations else "wizard") if nodes else None
        )
        if (public is not None and not public.withdrawn) or not self.session.configured:
            # Only pages show drafts; one that stays is invisible for good, so nothing public can come of it.
            return public
        own = await self._draft(places, place, draft)
        return public if own is None else replace(self._copy(places, place, own, draft, "wizard"), complete=False)

    async def _draft(self, places: Places, place: Place, draft: Draft) -> str | None:
        try:
            return await self.account.participant_forms(places).draft(place, draft.locale, draft.marker)
        except CannotDo:
            # Creating is not allowed (any more): then no draft of ours can be published either.
            return None

    async def authored(self, space: Ref) -> AsyncIterator[Authored]:
        """Everything of ours in a component, newest first."""
        places = await self.account.places()
        place = places.place(space)
        able = self.session.configured or (self.account.by_oauth and places.mutations)
        account = await self.account.own() if able else None
        async for each in self.account.lookup(places).authored(place, account):
            yield each

    # Changing

    def plan_edit(self, space: Ref, copy: Copy, draft: Draft) -> Sequence[Request]:
        """The request that `edit` would send."""
        places = self.account.known()
        place, own = self._at(places, space, copy), split_ref(copy.ref)[1]
        if copy.how.get("voice") == "official":
            return [self.account.admin_forms(places).edit_request(place, draft, own)]
        if places.mutations:
            return [write_requests.update_request(place, own, draft, places.body(place, draft.main))]
        return [self.account.participant_forms(places).edit_request(place, draft, own)]

    async def edit(self, space: Ref, copy: Copy, draft: Draft) -> Copy:
        """Replace the text; a participant only within the site's edit window."""
        places = await self.account.places()
        place, own = self._at(places, space, copy), split_ref(copy.ref)[1]
        if copy.how.get("voice") == "official":
            await self.account.admin_forms(places).edit(place, draft, own)
            async with taken(f"editing {copy.ref}"):
                node = await self.account.lookup(places).single(place.id, own)
            others = others_of(node, draft.locale) if node is not None else None
            return self._copy(places, place, own, draft, "office", others)
        try:
            if places.mutations:
                sent = write_requests.update_request(place, own, draft, places.body(place, draft.main))
                path = ["component", "proposal", "update"]
                await perform(self.account.participant(), sent, path, f"editing {copy.ref}")
            else:
                await self.account.participant_forms(places).edit(place, draft, own)
        except NotLetIn:
            raise
        except CannotDo:
            # An edit is allowed for minutes only; what stands there already needs none.
            node = await self.account.lookup(places).single(place.id, own)
            if node is None or not says(node, draft.main.title, places.body(place, draft.main), draft.locale):
                raise
        return self._copy(places, place, own, draft, "mutation" if places.mutations else "wizard")

    def _at(self, places: Places, space: Ref, copy: Copy) -> Place:
        component = copy.how.get("component")
        return places.place(ref("component", str(component)) if component else space)

    # Taking back

    def plan_withdraw(self, space: Ref, copy: Copy, reason: str) -> Sequence[Request]:
        """The request that `withdraw` would send."""
        places = self.account.known()
        place, own = self._at(places, space, copy), split_ref(copy.ref)[1]
        self._withdrawable(copy)
        if places.mutations:
            return [write_requests.withdraw_request(place, own)]
        return [
            self.account.participant_forms(places).withdraw_request(
                place, own, str(copy.how.get("locale") or places.locales[0])
            )
        ]

    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None:
        """Take it back; the site keeps it, marked as withdrawn. `reason` has no place there."""
        places = await self.account.places()
        place, own = self._at(places, space, copy), split_ref(copy.ref)[1]
        self._withdrawable(copy)
        before = await self.read(copy)
        if before is None or before.withdrawn:
            return
        if places.mutations:
            sent, path = write_requests.withdraw_request(place, own), ["component", "proposal", "withdraw"]
            await perform(self.account.participant(), sent, path, f"withdrawing {copy.ref}")
            return
        locale = str(copy.how.get("locale") or places.locales[0])
        said = await self.account.participant_forms(places).withdraw(place, own, locale)
        async with taken(f"withdrawing {copy.ref}"):
            after = await self.read(copy)
        if after is not None and not after.withdrawn:
            raise CannotDo(
                f"{copy.ref} was not withdrawn{f': {said}' if said else ''}",
                hint="with votes it cannot be; a moderator may hide it",
            )

    def _withdrawable(self, copy: Copy) -> None:
        if copy.how.get("voice") == "official":
            raise CannotDo(
                "an official proposal cannot be withdrawn: only its author may, and that is the organization",
                hint="a moderator may hide it, an administrator of 0.30 and later delete it",
            )

    # Responses

    def plan_answer(self, ref: Ref, answer: AnswerDraft) -> Sequence[Request]:
        """The request that `answer` would send."""
        return self.responses.plan_answer(ref, answer)

    async def has_answer(self, ref: Ref, answer: AnswerDraft) -> bool:
        """Whether this very answer is there."""
        return await self.responses.has_answer(ref, answer)

    async def answer(self, ref: Ref, answer: AnswerDraft) -> None:
        """Give the official answer; giving it again tells everybody again."""
        await self.responses.answer(ref, answer)

    def plan_comment(self, ref: Ref, text: LocalText) -> Sequence[Request]:
        """The request that `comment` would send."""
        return self.responses.plan_comment(ref, text)

    async def has_comment(self, ref: Ref, marker: str, text: LocalText | None = None) -> bool:
        """Whether a comment carries the marker."""
        return await self.responses.has_comment(ref, marker, text)

    async def comment(self, ref: Ref, text: LocalText) -> None:
        """Comment as the participant."""
        await self.responses.comment(ref, text)
