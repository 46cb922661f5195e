"""Official answers and comments on Decidim (docs/platforms/decidim.md 4.1, 4.4 item 5, 4.5).

Answers go by mutation with API credentials from 0.31 on, else by the administrator's form; comments as the participant.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...core.identity import Ref, split_ref
from ...core.ledger.marker import carries, claims_marker, said
from ...core.records import State
from ..contract.errors import CannotDo, ConnectorError, ContentRefused, MaybeDone, NotLetIn
from ..contract.exchange import Request
from ..contract.writing import AnswerDraft, LocalText
from . import write_requests
from .account import ServiceAccount
from .lookup import answer_texts, stored
from .mutations import perform
from .places import Place, Places
from .text_rules import quiet_html, quiet_plain

LONGEST_COMMENT = 1000
_ANSWERS = {
    State.ACCEPTED: "accepted",
    State.REJECTED: "rejected",
    State.EVALUATING: "evaluating",
    State.IN_PROGRESS: "accepted",
}


class Responses:
    """Implements `CanAnswer` and `CanComment` of `connectors.contract.writing`."""

    def __init__(self, account: ServiceAccount) -> None:
        self.account = account
        self._there: dict[Ref, list[Mapping[str, str]]] = {}
        """What `has_answer` found, for the answer that follows."""

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
        host = self.account.host
        return {each: replace(text, html=quiet_html(text.html, host)) for each, text in (found or answer.texts).items()}

    async def has_answer(self, ref: Ref, answer: AnswerDraft) -> bool:
        """Whether this very answer is there, as it is to be said now: published or not, where the account can see that."""
        places = await self.account.places()
        sent = self._answer_texts(places, answer)
        there = self._there[ref] = await self._given(places, ref)
        return any(_tells(texts, answer.marker, sent) for texts in there)

    async def _given(self, places: Places, ref: Ref) -> list[Mapping[str, str]]:
        """The texts of the answer that stands there now, by language: as everybody sees it, and as the administrator does."""
        lookup, own = self.account.lookup(places), split_ref(ref)[1]
        component = await lookup.home(ref)
        node = await lookup.single(component, own)
        found: list[Mapping[str, str]] = [answer_texts(node)] if node is not None else []
        if self.account.session.configured:
            # Where the account may not open the administrator's form, what everybody sees must do.
            with contextlib.suppress(CannotDo):
                forms = self.account.admin_forms(places)
                found.append(await forms.answered_texts(places.components[component], own))
        return found

    async def answer(self, ref: Ref, answer: AnswerDraft) -> None:
        """Give the official answer; giving it again tells everybody again.

        Raises:
            CannotDo: also where somebody of the city has answered: an answer of ours would take its place.
        """
        places = await self.account.places()
        state, own = self._answer_state(answer), split_ref(ref)[1]
        texts = self._answer_texts(places, answer)
        there = self._there.pop(ref, None)
        if any(map(_somebodys, there if there is not None else await self._given(places, ref))):
            raise CannotDo("somebody has answered it there, and an answer of ours would take the place of theirs")
        place = places.components[await self.account.lookup(places).home(ref)]
        if self.account.answers_by_mutation(places):
            sent, path = write_requests.answer_request(place, own, state, texts), ["component", "proposal", "answer"]
            await perform(self.account.api_user, sent, path, f"answering {ref}")
            return
        self._has_office()
        try:
            await self.account.admin_forms(places).answer(place, own, state, texts, places.locales[0])
        except NotLetIn as error:
            if not self.account.session.signed_in:
                raise
            # The account is let in, only this way of answering is closed to it: a comment may still be written.
            raise CannotDo(error.message, hint=error.hint) from error

    def _has_office(self) -> None:
        """Raises CannotDo: nobody opens the administrator's pages. That is about this way of answering, not about the site."""
        if not self.account.session.configured:
            raise CannotDo(
                "official answers need API credentials (0.31 and later) or an administrator's email and password"
            )

    def plan_answer(self, ref: Ref, answer: AnswerDraft) -> Sequence[Request]:
        """The request that `answer` would send, or the comment that takes its place; where the proposal stands is asked only then."""
        places = self.account.known()
        state, own = self._answer_state(answer), split_ref(ref)[1]
        texts = self._answer_texts(places, answer)
        place = _somewhere(places)
        if self.account.answers_by_mutation(places):
            return [write_requests.answer_request(place, own, state, texts)]
        if not self.account.session.configured:
            return self.plan_comment(ref, answer.texts[answer.locale])
        return [self.account.admin_forms(places).answer_request(place, own, state, texts, places.locales[0])]

    # Comments

    async def has_comment(self, ref: Ref, marker: str, text: LocalText | None = None) -> bool:
        """Whether a comment carries the marker; with a text, whether the newest of them says that."""
        lookup = self.account.lookup(await self.account.places())
        wanted = None if text is None else quiet_plain(text.plain)
        return await lookup.has_comment(await lookup.home(ref), split_ref(ref)[1], marker, wanted)

    async def comment(self, ref: Ref, text: LocalText) -> None:
        """Comment as the participant. Too long a comment would be a 500, which tells nothing: it is not sent."""
        places = await self.account.places()
        sent = self._comment_request(places, ref, text)
        path = ["commentable", "addComment"]
        try:
            await perform(self.account.commenter(places), sent, path, f"commenting on {ref}")
        except MaybeDone as error:
            if (error.status or 0) < 500 or not await self._answers_questions(places, ref):
                raise
            # Where comments are switched off it is a 500 as well (docs/platforms/decidim.md 4.5): the site itself has not failed.
            raise MaybeDone(f"{error.message}, though the site answers", hint="are comments switched off?") from None

    async def _answers_questions(self, places: Places, ref: Ref) -> bool:
        try:
            await self.account.lookup(places).home(ref)
        except ConnectorError:
            return False
        return True

    def _comment_request(self, places: Places, reference: Ref, text: LocalText) -> Request:
        plain = quiet_plain(text.plain)
        if not plain.strip() or len(plain) > LONGEST_COMMENT:
            raise ContentRefused(f"a comment has 1 to {LONGEST_COMMENT} characters, this one {len(plain)}")
        locale = self.account.settings.write_locale
        chosen = locale if locale in places.locales else places.locales[0]
        return write_requests.comment_request(split_ref(reference)[1], str(chosen), plain)

    def plan_comment(self, ref: Ref, text: LocalText) -> Sequence[Request]:
        """The request that `comment` would send."""
        return [self._comment_request(self.account.known(), ref, text)]


def _somebodys(there: Mapping[str, str]) -> bool:
    """Whether that is an answer, and bears no marker of civicsync's."""
    whole = "\n".join(there.values())
    return said(whole) != "" and not claims_marker(whole)


def _tells(there: Mapping[str, str], marker: str, sent: Mapping[str, LocalText]) -> bool:
    """Whether the texts of an answer bear the marker and say, in each language, what would be sent."""
    if not carries("\n".join(there.values()), marker):
        return False
    return all(stored(there.get(locale, "")) == stored(text.html) for locale, text in sent.items())


def _somewhere(places: Places) -> Place:
    """Where a proposal stands, before it was asked."""
    if len(places.components) == 1:
        return next(iter(places.components.values()))
    office = "/admin/‹space›/components/‹component›/manage/proposals"
    return Place("‹component›", "/‹space›/f/‹component›/proposals", office)
