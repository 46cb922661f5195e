"""A CONSUL writer's ground: its accounts and pages, and what it may tell: official answers (milestones) and comments.

Proposals are made in `writer.py`. Nothing here decides whether something may be said.
"""

import re
from collections.abc import Sequence
from typing import cast

from ...core.identity import Ref, split_ref
from ..contract.errors import CannotDo, ContentRefused, MaybeDone, NotDone
from ..contract.writing import AnswerDraft, LocalText, WriteContext
from ..http.transport import Request
from . import write_requests
from .lookup import Finder
from .settings import ConsulSettings
from .web_session import Page, Site
from .write_requests import TOKEN


class Replies:
    """Implements `Answers` and `Comments` of `connectors.writing`."""

    def __init__(self, context: WriteContext) -> None:
        self.context = context
        self.settings = cast(ConsulSettings, context.reading.settings)
        self.site = Site(context, self.settings)
        self.finder = Finder(context.reading, self.settings)

    # Accounts and pages

    async def as_author(self) -> tuple[str, str]:
        """Be the account that writes as a participant, and owns what can be changed later."""
        login, password = self.settings.login, self.settings.password
        if login is None or password is None:
            raise CannotDo("no account is configured", hint="set `login` and `password`")
        return await self.site.sign_in(login, password)

    async def as_administrator(self) -> None:
        account = self.settings.administrator
        if account is None:
            await self.as_author()
        else:
            await self.site.sign_in(account.login, account.password)
        page = await self.site.get("/admin/proposals")
        if page.status != 200:
            raise CannotDo("the account is no administrator there", hint="set `administrator`")

    async def form_page(self, path: str, locale: str | None, own: str) -> Page:
        """A page with a form that only its author gets. Raises: CannotDo, NotDone."""
        params = {"locale": locale} if locale else None
        page = await self.authors_page(path, params)
        if page.status == 302:
            self.site.forget()  # the session may be somebody else's; whoever asks again asks with a new one
            raise CannotDo(
                "the account may not do that with this proposal: only its author may, and only up to 1,000 supports",
                hint="is the document of `management` that of the account of `login`?",
            )
        if page.status == 403:
            raise CannotDo("proposals are switched off on the site", status=403)
        if page.status == 404:
            raise CannotDo("the proposal is not there any more", hint="a moderator may have hidden it", status=404)
        if page.form(own) is None:
            raise NotDone(f"{path} shows no form (status {page.status})", status=page.status)
        return page

    async def authors_page(self, path: str, params: dict[str, str] | None = None) -> Page:
        await self.as_author()
        page = await self.site.get(path, params)
        if page.wants_sign_in:
            self.site.forget()
            await self.as_author()
            page = await self.site.get(path, params)
            if page.wants_sign_in:
                raise NotDone("the session ends at once", hint="are cookies kept on the way?")
        return page

    def not_made(self, answer: Page) -> Exception:
        if answer.status == 200 and answer.errors is not None:
            return ContentRefused(f"the site refused the proposal: {answer.errors}")
        if answer.status == 200 and not answer.answer.body.strip():
            return NotDone("the site took the form for a robot's (its trap field)")
        if answer.wants_sign_in:
            self.site.forget()
            return NotDone("the session ended before the form was sent")
        if answer.status == 302:
            return NotDone("the site took the form for a robot's (sent too soon, or twice)")
        if answer.status == 422:
            return NotDone(
                "the site refused the token of its own form", hint="are cookies kept on the way?", status=422
            )
        if answer.status == 403:
            return CannotDo("proposals are switched off on the site", status=403)
        if answer.status in {400, 401, 404}:
            return NotDone(f"the site answered with status {answer.status} to a new proposal", status=answer.status)
        return MaybeDone(f"the site answered with status {answer.status} to a new proposal", status=answer.status)

    # What is answered

    def plan_answer(self, ref: Ref, answer: AnswerDraft) -> Sequence[Request]:
        """A milestone."""
        return [write_requests.milestone(_proposal(ref), answer, self.site.clock.now().date(), self.site.base)]

    async def has_answer(self, ref: Ref, answer: AnswerDraft) -> bool:
        """By the interface where that has milestones, else by the administration's page."""
        own = _proposal(ref)
        there = await self.finder.has_milestone(own, answer.locale, answer.marker)
        if there is not None:
            return there
        await self.as_administrator()
        page = await self.site.get(f"/admin/proposals/{own}")
        page = await self.site.get(page.location) if page.status == 301 else page
        if page.status != 200:
            raise NotDone(f"the administration's page of {ref} cannot be read now", status=page.status)
        return answer.marker in page.soup.get_text(" ")

    async def answer(self, ref: Ref, answer: AnswerDraft) -> None:
        """Publish a milestone in the name of the administration."""
        own = _proposal(ref)
        await self.as_administrator()
        page = await self.site.get(f"/admin/proposals/{own}/milestones/new", {"locale": answer.locale})
        if page.status == 404:
            raise CannotDo(f"{ref} is not there any more", status=404)
        form = page.form("new_milestone")
        if form is None:
            raise CannotDo("the site shows no form for milestones", status=page.status)
        values = {TOKEN: form["authenticity_token"], write_requests.TITLE: _milestone_title(form, answer.locale)}
        sent = await self.site.send(self.plan_answer(ref, answer)[0], values)
        if sent.status == 302 and sent.location.startswith("/admin/proposals/"):
            return
        if sent.status == 302:
            self.site.forget()
            raise NotDone("the administrator's session ended before the form was sent")
        if sent.errors is not None:
            raise ContentRefused(f"the site refused the milestone: {sent.errors}")
        raise self.not_made(sent)

    def plan_comment(self, ref: Ref, text: LocalText) -> Sequence[Request]:
        """One request."""
        return [write_requests.comment(*_commentable(ref), text)]

    async def has_comment(self, ref: Ref, marker: str) -> bool:
        """By the interface."""
        return await self.finder.has_comment(ref, marker)

    async def comment(self, ref: Ref, text: LocalText) -> None:
        """As the account of `login`."""
        request = write_requests.comment(*_commentable(ref), text)
        page = await self.authors_page("/account")
        if page.token is None:
            raise NotDone("the site's pages carry no token", status=page.status)
        sent = await self.site.send(request, {TOKEN: page.token})
        script = sent.answer.text
        if sent.status == 200 and re.search(r"comment_\d+", script) and "display_error" not in script:
            return
        if sent.status == 200:
            raise ContentRefused(
                "the site refused the comment: it is empty or too long, or comments are not taken there"
            )
        if sent.status == 404:
            raise CannotDo(f"{ref} is not there any more", status=404)
        if sent.status in {401, 422}:
            self.site.forget()
            raise NotDone("the session ended before the comment was sent", status=sent.status)
        # 406 may mean that it was stored all the same (docs/platforms/consul.md 8.2, 8).
        raise MaybeDone(f"the site answered with status {sent.status} to a comment", status=sent.status)


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


def _milestone_title(form: dict[str, str], locale: str) -> str:
    for name, value in form.items():
        if name.endswith("[locale]") and value == locale:
            return form.get(name.removesuffix("[locale]") + "[title]", "")
    return ""
