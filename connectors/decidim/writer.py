"""Writing to Decidim by the ways that really work in each release (docs/platforms/decidim.md 4).

`official`: the administrator's forms, in all languages. `participant`: 0.32 by mutation, before by the site's wizard, in one language.
Answers: by mutation with API credentials from 0.31 on, else by the administrator's form. Reads never carry a session or token.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from ...core.identity import Ref, ref, split_ref
from ...core.records import State
from ..errors import CannotDo, MaybeDone, Rejected
from ..transport import Request
from ..writing import (
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
from . import mutations
from .api import Api
from .looking import Looking, answer_texts, others_of, reading_of
from .manners import BODY_LEAST, TITLE, fitted
from .mutations import ApiCaller, OAuthCaller, SessionCaller
from .oauth import Grant
from .office import Office
from .places import Place, Places, learn
from .session import WebSession
from .settings import DecidimSettings
from .standing import standing
from .wizard import Wizard

LONGEST_COMMENT = 1000
_ANSWERS = {
    State.ACCEPTED: "accepted",
    State.REJECTED: "rejected",
    State.EVALUATING: "evaluating",
    State.IN_PROGRESS: "accepted",
}


class DecidimWriter:
    """Writes to one organization; implements `connectors.writing.Writer`, `Finds`, `Edits`, `Withdraws`, `Answers` and `Comments`."""

    def __init__(self, context: WriteContext) -> None:
        self.context = context
        self.settings = cast(DecidimSettings, context.reading.settings)
        anonymous, clock = context.reading.transport, context.reading.clock
        self.api = Api(context.reading, self.settings)
        self.session = WebSession(context, self.settings)
        # Tokens travel in headers over the transport that keeps no cookie, so that nothing of them stays.
        self.oauth = OAuthCaller(anonymous, Grant(anonymous, clock, self.settings))
        self.api_user = ApiCaller(anonymous, clock, self.settings)
        self._places: Places | None = None
        self._voices: dict[str, Voice] = {}

    # What is known of the site

    async def places(self) -> Places:
        """The site's components and languages, learned at the first question."""
        if self._places is None:
            self._places = await learn(self.context.reading, self.api)
            self.session.before = f"/{self._places.locales[0]}" if self._places.prefixed else ""
        return self._places

    def known(self) -> Places:
        """The site, without asking.

        Raises:
            CannotDo: nothing is known of it yet.
        """
        if self._places is None:
            raise CannotDo("nothing is known of this site yet", hint="`check` or `limits` comes first")
        return self._places

    def wizard(self, places: Places) -> Wizard:
        """The participant's forms."""
        return Wizard(self.session, places)

    def office(self, places: Places) -> Office:
        """The administrator's forms."""
        return Office(self.session, places)

    def looking(self, places: Places) -> Looking:
        """Anonymous questions."""
        return Looking(self.api, places)

    @property
    def by_oauth(self) -> bool:
        """Whether a participant's mutations go by OAuth."""
        return self.oauth.grant.configured

    def participant(self) -> SessionCaller | OAuthCaller:
        """Who speaks as the participant."""
        return self.oauth if self.by_oauth else SessionCaller(self.session)

    async def account(self) -> str:
        """The participant's user id."""
        if self.by_oauth and self.known().mutations and not self.session.configured:
            question = mutations.request("query WhoAmI{session{user{id}}}", {})
            found = await mutations.perform(self.oauth, question, ["session", "user"], "asking who we are")
            return str(found.get("id"))
        return await self.session.ensure()

    # Before writing

    async def check(self) -> Standing:
        """Sign in and look around; writes nothing."""
        await self.places()
        return await standing(self)

    async def limits(self, space: Ref, voice: Voice | None = None) -> Limits:
        """What a component takes, as its own form says."""
        places = await self.places()
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
            return await self.office(places).limits(place)
        if places.mutations and self.by_oauth and not self.session.configured:
            return Limits(TITLE, (BODY_LEAST, 1_000_000), sends="plain", locales=tuple(places.locales))
        found = await self.wizard(places).limits(place)
        # A mutation takes text as it is, whatever editor the form has.
        return replace(found, sends="plain") if places.mutations else found

    def _official(self, place: Place, draft: Draft) -> bool:
        """Whether a draft speaks for the organization; without a wish as `limits` found: participant, unless only that can."""
        return (draft.voice or self._voices.get(place.id, "participant")) == "official"

    def fit(self, space: Ref, draft: Draft) -> Fitted:
        """The draft in languages of the site; a participant's text with what the platform would refuse or garble put right."""
        places = self.known()
        draft = replace(draft, voice="official" if self._official(places.place(space), draft) else "participant")
        filed, changes = self._filed(places, draft)
        if draft.voice == "official":
            return Fitted(filed, tuple(changes))
        main, more = fitted(filed.main, filed.locale, places.dialect)
        return Fitted(replace(filed, texts={filed.locale: main}), (*changes, *more))

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
        places = self.known()
        place = places.place(space)
        if self._official(place, draft):
            return [self.office(places).create_request(place, draft)]
        if places.mutations:
            return [mutations.create_request(place, draft)]
        wizard, own = self.wizard(places), "‹id›"
        details = wizard.details_request(place, draft, own)
        middle = [details] if details is not None else []
        return [wizard.create_request(place, draft), *middle, wizard.publish_request(place, draft, own)]

    async def create(self, space: Ref, draft: Draft, found: Copy | None = None) -> Copy:
        """A public copy; a half-made one is finished."""
        places = await self.places()
        place = places.place(space)
        if self._official(place, draft):
            return await self._create_official(places, place, draft) if found is None else found
        if found is not None:
            if found.complete:
                return found
            own = await self.wizard(places).finish(place, draft, split_ref(found.ref)[1])
            return self._copy(places, place, own, draft, "wizard")
        if places.mutations:
            return await self._create_by_mutation(places, place, draft)
        own = await self.wizard(places).create(place, draft)
        return self._copy(places, place, own, draft, "wizard")

    async def _create_by_mutation(self, places: Places, place: Place, draft: Draft) -> Copy:
        sent = mutations.create_request(place, draft)
        what = f"creating in component/{place.id}"
        made = await mutations.perform(self.participant(), sent, ["component", "createProposal"], what)
        rows = (made.get("body") or {}).get("translations") or ()
        if not made.get("id") or not any(draft.marker in str(row.get("text")) for row in rows):
            raise MaybeDone(f"{what}: the answer names another proposal")
        return self._copy(places, place, str(made["id"]), draft, "mutation")

    async def _create_official(self, places: Places, place: Place, draft: Draft, since: datetime | None = None) -> Copy:
        began = since or self.context.reading.clock.now()
        await self.office(places).create(place, draft)
        copy = await self._find_official(places, place, draft, began)
        if copy is None:
            raise MaybeDone("the site says that it is made, and does not list it", hint="it is looked up again")
        return copy

    async def _find_official(self, places: Places, place: Place, draft: Draft, since: datetime) -> Copy | None:
        node = await self.looking(places).marked(place, draft.marker, since, None)
        if node is None:
            return None
        return self._copy(places, place, str(node["id"]), draft, "office", others_of(node, draft.locale))

    def _copy(self, places: Places, place: Place, own: str, draft: Draft, way: str, others: str | None = None) -> Copy:
        how: dict[str, Any] = {
            "voice": "official" if way == "office" else "participant",
            "way": way,
            "component": place.id,
            "locale": draft.locale,
        }
        if others is not None:
            how["others"] = others
        return Copy(ref("proposal", own), self.looking(places).url(place, own), how)

    # Looking up

    async def read(self, copy: Copy) -> Reading | None:
        """How it stands, anonymously."""
        looking = self.looking(await self.places())
        component = str(copy.how.get("component") or "") or await looking.home(copy.ref)
        node = await looking.single(component, split_ref(copy.ref)[1])
        return None if node is None else reading_of(node, copy.how)

    async def find(self, space: Ref, draft: Draft, since: datetime) -> Copy | None:
        """The copy that an unanswered create left: public, or a draft of the account."""
        places = await self.places()
        place = places.place(space)
        if self._official(place, draft):
            return await self._find_official(places, place, draft, since)
        account = await self.account()
        node = await self.looking(places).marked(place, draft.marker, since, account)
        if node is not None:
            way = "mutation" if places.mutations else "wizard"
            return self._copy(places, place, str(node["id"]), draft, way)
        if not self.session.configured:
            # Only pages show drafts; one that stays is invisible for good, so nothing public can come of it.
            return None
        own = await self._draft(places, place, draft)
        return None if own is None else replace(self._copy(places, place, own, draft, "wizard"), complete=False)

    async def _draft(self, places: Places, place: Place, draft: Draft) -> str | None:
        try:
            return await self.wizard(places).draft(place, draft.locale, draft.marker)
        except CannotDo:
            # Creating is not allowed (any more): then no draft of ours can be published either.
            return None

    async def authored(self, space: Ref) -> AsyncIterator[Authored]:
        """Everything of ours in a component, newest first."""
        places = await self.places()
        place = places.place(space)
        able = self.session.configured or (self.by_oauth and places.mutations)
        account = await self.account() if able else None
        async for each in self.looking(places).authored(place, account):
            yield each

    # Changing

    def plan_edit(self, space: Ref, copy: Copy, draft: Draft) -> Sequence[Request]:
        """The request that `edit` would send."""
        places = self.known()
        place, own = self._at(places, space, copy), split_ref(copy.ref)[1]
        if copy.how.get("voice") == "official":
            return [self.office(places).edit_request(place, draft, own)]
        if places.mutations:
            return [mutations.update_request(place, own, draft)]
        return [self.wizard(places).edit_request(place, draft, own)]

    async def edit(self, space: Ref, copy: Copy, draft: Draft) -> Copy:
        """Replace the text; a participant only within the site's edit window."""
        places = await self.places()
        place, own = self._at(places, space, copy), split_ref(copy.ref)[1]
        if copy.how.get("voice") == "official":
            await self.office(places).edit(place, draft, own)
            node = await self.looking(places).single(place.id, own)
            others = others_of(node, draft.locale) if node is not None else None
            return self._copy(places, place, own, draft, "office", others)
        if places.mutations:
            sent, path = mutations.update_request(place, own, draft), ["component", "proposal", "update"]
            await mutations.perform(self.participant(), sent, path, f"editing {copy.ref}")
            return self._copy(places, place, own, draft, "mutation")
        await self.wizard(places).edit(place, draft, own)
        return self._copy(places, place, own, draft, "wizard")

    def _at(self, places: Places, space: Ref, copy: Copy) -> Place:
        component = copy.how.get("component")
        return places.place(ref("component", str(component)) if component else space)

    # Taking back

    def plan_withdraw(self, space: Ref, copy: Copy, reason: str) -> Sequence[Request]:
        """The request that `withdraw` would send."""
        places = self.known()
        place, own = self._at(places, space, copy), split_ref(copy.ref)[1]
        self._withdrawable(copy)
        if places.mutations:
            return [mutations.withdraw_request(place, own)]
        return [self.wizard(places).withdraw_request(place, own, str(copy.how.get("locale") or places.locales[0]))]

    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None:
        """Take it back; the site keeps it, marked as withdrawn. `reason` has no place there."""
        places = await self.places()
        place, own = self._at(places, space, copy), split_ref(copy.ref)[1]
        self._withdrawable(copy)
        before = await self.read(copy)
        if before is None or before.withdrawn:
            return
        if places.mutations:
            sent, path = mutations.withdraw_request(place, own), ["component", "proposal", "withdraw"]
            await mutations.perform(self.participant(), sent, path, f"withdrawing {copy.ref}")
            return
        locale = str(copy.how.get("locale") or places.locales[0])
        said = await self.wizard(places).withdraw(place, own, locale)
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

    # Answers

    def _answer_state(self, answer: AnswerDraft) -> str:
        state = _ANSWERS.get(answer.state)
        if state is None:
            raise CannotDo(f"Decidim has no answer that means {answer.state.value!r}")
        return state

    def _answer_texts(self, places: Places, answer: AnswerDraft) -> dict[str, LocalText]:
        """In the site's languages, its main one never empty: without a text there a rejection is refused."""
        main = answer.texts[answer.locale]
        found = {locale: text for locale, text in answer.texts.items() if locale in places.locales}
        if places.locales:
            found.setdefault(places.locales[0], main)
        return found or dict(answer.texts)

    def _answers_by_mutation(self, places: Places) -> bool:
        return places.dialect.likes and self.api_user.configured

    async def has_answer(self, ref: Ref, answer: AnswerDraft) -> bool:
        """Whether this very answer is there: published or not, where the account can see that."""
        places = await self.places()
        looking, own = self.looking(places), split_ref(ref)[1]
        component = await looking.home(ref)
        node = await looking.single(component, own)
        if node is not None and answer.marker in answer_texts(node):
            return True
        if not self.session.configured:
            return False
        try:
            return answer.marker in await self.office(places).answered_text(places.components[component], own)
        except CannotDo:
            return False

    async def answer(self, ref: Ref, answer: AnswerDraft) -> None:
        """Give the official answer; giving it again tells everybody again."""
        places = await self.places()
        state, own = self._answer_state(answer), split_ref(ref)[1]
        texts = self._answer_texts(places, answer)
        place = places.components[await self.looking(places).home(ref)]
        if self._answers_by_mutation(places):
            sent, path = mutations.answer_request(place, own, state, texts), ["component", "proposal", "answer"]
            await mutations.perform(self.api_user, sent, path, f"answering {ref}")
            return
        await self.office(places).answer(place, own, state, texts, places.locales[0])

    def plan_answer(self, ref: Ref, answer: AnswerDraft) -> Sequence[Request]:
        """The request that `answer` would send; where the proposal stands is asked only then."""
        places = self.known()
        state, own = self._answer_state(answer), split_ref(ref)[1]
        texts = self._answer_texts(places, answer)
        place = _somewhere(places)
        if self._answers_by_mutation(places):
            return [mutations.answer_request(place, own, state, texts)]
        return [self.office(places).answer_request(place, own, state, texts, places.locales[0])]

    # Comments

    async def has_comment(self, ref: Ref, marker: str) -> bool:
        """Whether a comment at the root carries the marker."""
        looking = self.looking(await self.places())
        return any(marker in body for body in await looking.comments(await looking.home(ref), split_ref(ref)[1]))

    async def comment(self, ref: Ref, text: LocalText) -> None:
        """Comment as the participant. Too long a comment would be a 500, which tells nothing: it is not sent."""
        places = await self.places()
        sent = self._comment_request(places, ref, text)
        path = ["commentable", "addComment"]
        await mutations.perform(self._commenter(places), sent, path, f"commenting on {ref}")

    def _commenter(self, places: Places) -> SessionCaller | OAuthCaller:
        # OAuth tokens speak to the interface from 0.31 on; before, only a session does.
        return self.participant() if places.dialect.likes else SessionCaller(self.session)

    def _comment_request(self, places: Places, reference: Ref, text: LocalText) -> Request:
        if not text.plain.strip() or len(text.plain) > LONGEST_COMMENT:
            raise Rejected(f"a comment has 1 to {LONGEST_COMMENT} characters, this one {len(text.plain)}")
        locale = self.settings.write_locale
        chosen = locale if locale in places.locales else places.locales[0]
        return mutations.comment_request(split_ref(reference)[1], str(chosen), text.plain)

    def plan_comment(self, ref: Ref, text: LocalText) -> Sequence[Request]:
        """The request that `comment` would send."""
        return [self._comment_request(self.known(), ref, text)]


def _somewhere(places: Places) -> Place:
    """Where a proposal stands, before it was asked."""
    if len(places.components) == 1:
        return next(iter(places.components.values()))
    office = "/admin/‹space›/components/‹component›/manage/proposals"
    return Place("‹component›", "/‹space›/f/‹component›/proposals", office)
