"""What may be told on CONSUL: official answers, which are milestones, and comments (docs/platforms/consul.md 8.2, 8.5).

Nothing here decides whether something may be said.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bs4 import Tag

from ...core.identity import Ref, split_ref
from ...core.ledger.marker import carries, said
from ..contract.errors import CannotDo, ContentRefused, MaybeDone, NotDone
from ..contract.exchange import Request
from ..contract.writing import AnswerDraft, LocalText
from ..http.html_page import HtmlPage
from ..http.web_session import TOKEN
from . import write_requests
from .lookup import Lookup
from .participant_forms import not_made
from .web_session import WebSession, page_token

_ADMINISTERED = re.compile(r"^/admin/proposals/(\d+)(?:-[^/]*)?$")


class Responses:
    """Implements `CanAnswer` and `CanComment` of `connectors.contract.writing`."""

    def __init__(self, session: WebSession, lookup: Lookup) -> None:
        self.session = session
        self.lookup = lookup

    # Answers

    def plan_answer(self, ref: Ref, answer: AnswerDraft) -> Sequence[Request]:
        """A milestone."""
        return [write_requests.milestone(_proposal(ref), answer, self.session.clock.now().date(), self.session.base)]

    async def has_answer(self, ref: Ref, answer: AnswerDraft) -> bool:
        """By the interface where that has milestones, else by the administration's page."""
        # Any of its texts: where the site does not offer the answer's language, it shows another.
        own, texts = _proposal(ref), [each.html for each in answer.texts.values()]
        there = await self.lookup.has_milestone(own, answer.locale, answer.marker, texts)
        if there is not None:
            return there
        await self.session.as_administrator()
        page = await self.session.browser.load(f"/admin/proposals/{own}")
        page = await self.session.browser.load(page.location) if page.status == 301 else page
        if page.status != 200:
            raise NotDone(f"the administration's page of {ref} cannot be read now", status=page.status)
        listed = page.soup.select("tr[id^=milestone_]") or [page.soup]
        told = [
            each.get_text(" ") for each in sorted(listed, key=_number) if carries(each.get_text(" "), answer.marker)
        ]
        # The newest with our marker: what an earlier one says is not what is to be said now. Beside it stand its title and dates.
        return bool(told) and any(said(each) in said(told[-1]) for each in texts)

    async def answer(self, ref: Ref, answer: AnswerDraft) -> None:
        """Publish a milestone in the name of the administration."""
        own = _proposal(ref)
        await self.session.as_administrator()
        path = f"/admin/proposals/{own}/milestones"
        page = await self.session.browser.load(f"{path}/new", {"locale": answer.locale})
        if page.status == 404:
            raise CannotDo(f"{ref} is not there any more", status=404)
        form = page.form("new_milestone")
        if form is None:
            raise CannotDo("the site shows no form for milestones", status=page.status)
        answer = await self._readable(answer, form)
        values = {TOKEN: page_token(page, path), write_requests.TITLE: _milestone_title(form, answer.locale)}
        sent = await self.session.browser.send(self.plan_answer(ref, answer)[0], values)
        if _leads_to(sent, own):
            return
        raise not_made(self.session, sent, back=f"{path}/new")

    async def _readable(self, answer: AnswerDraft, form: Mapping[str, str]) -> AnswerDraft:
        """The answer in languages that the site offers.

        It stores any other too, and of one that the software does not know it shows a date without a text, in which the marker
        cannot be found either (docs/platforms/consul.md 10b).
        """
        offered = [value for name, value in form.items() if name.endswith("[locale]")]
        texts = {locale: text for locale, text in answer.texts.items() if locale in offered}
        if answer.locale in texts:
            return replace(answer, texts=texts)
        own = await self.lookup.language()
        own = own if own in offered else offered[0] if offered else answer.locale
        return replace(answer, locale=own, texts=texts if own in texts else {own: answer.texts[answer.locale], **texts})

    # Comments

    def plan_comment(self, ref: Ref, text: LocalText) -> Sequence[Request]:
        """One request."""
        return [write_requests.comment(*_commentable(ref), text)]

    async def has_comment(self, ref: Ref, marker: str, text: LocalText | None = None) -> bool:
        """By the interface."""
        return await self.lookup.has_comment(ref, marker, None if text is None else write_requests.comment_text(text))

    async def comment(self, ref: Ref, text: LocalText) -> None:
        """As the account of `login`."""
        request = write_requests.comment(*_commentable(ref), text)
        page = await self.session.authors_page("/account")
        sent = await self.session.browser.send(request, {TOKEN: page_token(page, request.path)})
        script = sent.answer.text
        if sent.status == 200 and "display_error" in script:
            raise ContentRefused(
                "the site refused the comment: it is empty or too long, or comments are not taken there"
            )
        if sent.status == 200 and re.search(r"comment_\d+", script) and "html" not in sent.answer.media_type:
            return
        if sent.status == 404:
            raise CannotDo(f"{ref} is not there any more", status=404)
        if sent.status in {401, 422}:
            self.session.forget()
            raise NotDone("the session ended before the comment was sent", status=sent.status)
        # 406 may mean that it was stored all the same (docs/platforms/consul.md 8.2, 8).
        raise MaybeDone(f"the site answered with status {sent.status} to a comment", status=sent.status)


def _number(row: Tag) -> int:
    own = str(row.get("id") or "").rpartition("_")[2]
    return int(own) if own.isdecimal() else 0


def _leads_to(answer: HtmlPage, own: str) -> bool:
    """Whether an answer leads to the administration's page of this proposal, as every success does."""
    found = _ADMINISTERED.match(answer.location) if answer.status == 302 else None
    return found is not None and found[1] == own


def _proposal(ref: Ref) -> str:
    kind, own = split_ref(ref)
    if kind != "proposal":
        raise CannotDo(f"an official answer to {kind} cannot be given on CONSUL; only proposals have milestones")
    return own


def _commentable(ref: Ref) -> tuple[str, str]:
    kind, own = split_ref(ref)
    if kind not in write_requests.TYPES:
        raise CannotDo(f"comments on {kind} are not written on CONSUL")
    return kind, own


def _milestone_title(form: Mapping[str, str], locale: str) -> str:
    for name, value in form.items():
        if name.endswith("[locale]") and value == locale:
            return form.get(name.removesuffix("[locale]") + "[title]", "")
    return ""
