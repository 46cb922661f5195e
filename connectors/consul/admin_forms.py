"""CONSUL's management interface: publishing in the organisation's name, without captcha and at once (docs/platforms/consul.md 8.4).

A manager chooses a verified person by document; that person becomes the author. It chooses nobody on its own: settings say whom.
"""

import re
from collections.abc import Mapping

from pydantic import SecretStr

from ..contract.errors import CannotDo, ContentRefused, MaybeDone, NotDone, NotLetIn, WriteError
from ..contract.exchange import Request
from ..contract.writing import Copy, Draft
from ..http.html_page import HtmlPage
from ..http.web_session import HTML, TOKEN
from . import write_requests
from .lookup import copy_at
from .pages import errors_of, wants_sign_in
from .participant_forms import left_out
from .web_session import WebSession, page_token

_VERIFY = "/management/document_verifications"
_MADE = re.compile(r"^/management/proposals/(\d+)(?:[-/]|$)")


class AdminForms:
    """The management interface of one site."""

    def __init__(self, session: WebSession) -> None:
        self.session = session
        self.settings = session.settings
        self._chosen = False

    async def enter(self) -> None:
        """Sign in as a manager and choose the person.

        Raises:
            NotLetIn: the account is no manager, or the document is not known there.
        """
        own = self.settings.management
        if own is None:
            raise NotLetIn(
                "publishing in the organisation's name needs the management interface", hint="set `management`"
            )
        login, password = (own.login, own.password) if own.login else (self.settings.login, self.settings.password)
        if login is None or password is None:
            raise NotLetIn("`management` names no account, and neither does `login`")
        if self._chosen and self.session.who == login.get_secret_value():
            return
        self._chosen = False
        try:
            await self._become(login, password)
        except WriteError:
            self.session.forget()  # whoever the session is now, it is not who was asked for
            raise
        self._chosen = True

    async def _become(self, login: SecretStr, password: SecretStr) -> None:
        own = self.settings.management
        assert own is not None
        await self.session.sign_in(login, password)
        entered = await self.session.browser.load("/management/sign_in")
        if not entered.location.startswith("/management"):
            raise NotLetIn("the account may not use the management interface", hint="make it a manager there")
        page = await self.session.browser.load(_VERIFY)
        if page.status != 200:
            raise NotLetIn("the management interface shows no form to choose a person", status=page.status)
        await self._choose(page_token(page, f"{_VERIFY}/check"), own.document_type, own.document_number)

    async def _choose(self, token: str, kind: str, number: SecretStr) -> None:
        fields = [
            ("document_verification[document_type]", kind),
            ("document_verification[document_number]", number.get_secret_value()),
        ]
        request = Request(
            "POST", f"{_VERIFY}/check", form=(("authenticity_token", TOKEN), *fields), headers={"Accept": HTML}
        )
        # Choosing somebody changes the session only.
        answer = await self.session.browser.send_again(request, {TOKEN: token})
        if answer.status == 422:
            raise NotDone("the site refused the token of its own page", status=422)
        if answer.status != 200:
            raise NotDone(f"choosing a person was answered with status {answer.status}", status=answer.status)
        if answer.soup.select_one(".callout.success") is None:
            raise NotLetIn(
                "the document of `management` belongs to nobody who is verified there",
                hint="verify that person there first",
            )

    async def form(self, locale: str | None) -> HtmlPage:
        """The form for a new proposal."""
        await self.enter()
        page = await self._new(locale)
        if page.status != 200:
            # The session was another one than we thought: once more from the start.
            self.session.forget()
            await self.enter()
            page = await self._new(locale)
        if page.form("new_proposal") is None:
            raise CannotDo("the management interface shows no form for a proposal", status=page.status)
        return page

    async def _new(self, locale: str | None) -> HtmlPage:
        return await self.session.browser.load("/management/proposals/new", {"locale": locale} if locale else None)

    async def create(self, draft: Draft, page: HtmlPage, values: Mapping[str, str]) -> Copy:
        """Send the form; the proposal is public when this returns."""
        request = write_requests.create(draft, self.session.base, office=True)
        without = left_out(page.form("new_proposal") or {})
        token = page_token(page, request.path)
        answer = await self.session.browser.send(request, {**values, TOKEN: token}, without=without)
        made = _MADE.match(answer.location) if answer.status == 302 else None
        if made is not None:
            return copy_at(self.session.base, made[1], draft.locale, "official", complete=True)
        errors = errors_of(answer) if answer.status in {200, 422} else None
        if errors is not None:
            raise ContentRefused(f"the site refused the proposal: {errors}")
        # Only these are known to store nothing (docs/platforms/consul.md 8.4).
        if answer.status in {404, 422} or answer.location == _VERIFY or wants_sign_in(answer):
            self.session.forget()
            raise NotDone("the management session ended before the form was sent", status=answer.status)
        where = f" and led to {answer.location}" if answer.location else ""
        raise MaybeDone(
            f"the site answered with status {answer.status}{where} to a new proposal",
            status=answer.status,
            accepted=answer.status in {200, 302},
        )
