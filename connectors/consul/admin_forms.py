"""CONSUL's management interface: publishing in the organisation's name, without captcha and at once (docs/platforms/consul.md 8.4).

A manager chooses a verified person by document; that person becomes the author. It chooses nobody on its own: settings say whom.
"""

import re
from collections.abc import Mapping

from pydantic import SecretStr

from ..contract.errors import CannotDo, ContentRefused, MaybeDone, NotDone, NotLetIn, WriteError
from ..contract.writing import Copy, Draft
from ..http.transport import Request
from . import write_requests
from .settings import ConsulSettings
from .web_session import Page, Site
from .write_requests import HTML, TOKEN

_VERIFY = "/management/document_verifications"
_MADE = re.compile(r"^/management/proposals/(\d+)")


class Office:
    """The management interface of one site."""

    def __init__(self, site: Site, settings: ConsulSettings) -> None:
        self.site = site
        self.settings = settings
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
        if self._chosen and self.site.who == login.get_secret_value():
            return
        self._chosen = False
        try:
            await self._become(login, password)
        except WriteError:
            self.site.forget()  # whoever the session is now, it is not who was asked for
            raise
        self._chosen = True

    async def _become(self, login: SecretStr, password: SecretStr) -> None:
        own = self.settings.management
        assert own is not None
        await self.site.sign_in(login, password)
        entered = await self.site.get("/management/sign_in")
        if not entered.location.startswith("/management"):
            raise NotLetIn("the account may not use the management interface", hint="make it a manager there")
        page = await self.site.get(_VERIFY)
        if page.status != 200 or page.token is None:
            raise NotLetIn("the management interface shows no form to choose a person")
        await self._choose(page.token, own.document_type, own.document_number.get_secret_value())

    async def _choose(self, token: str, kind: str, number: str) -> None:
        fields = [("document_verification[document_type]", kind), ("document_verification[document_number]", number)]
        request = Request(
            "POST", f"{_VERIFY}/check", form=(("authenticity_token", TOKEN), *fields), headers={"Accept": HTML}
        )
        answer = await self.site.send_again(request, {TOKEN: token})  # choosing somebody changes the session only
        if answer.status == 422:
            raise NotDone("the site refused the token of its own page")
        if answer.soup.select_one(".callout.success") is None:
            raise NotLetIn(
                "the document of `management` belongs to nobody who is verified there",
                hint="verify that person there first",
            )

    async def form(self, locale: str | None) -> Page:
        """The form for a new proposal."""
        await self.enter()
        page = await self._new(locale)
        if page.status != 200:
            # The session was another one than we thought: once more from the start.
            self.site.forget()
            await self.enter()
            page = await self._new(locale)
        if page.form("new_proposal") is None:
            raise CannotDo("the management interface shows no form for a proposal", status=page.status)
        return page

    async def _new(self, locale: str | None) -> Page:
        return await self.site.get("/management/proposals/new", {"locale": locale} if locale else None)

    async def create(self, draft: Draft, page: Page, values: Mapping[str, str], without: str) -> Copy:
        """Send the form; the proposal is public when this returns."""
        request = write_requests.create(draft, self.site.base, office=True)
        answer = await self.site.send(request, {**values, TOKEN: page.token or ""}, without=without)
        made = _MADE.match(answer.location) if answer.status == 302 else None
        if made is not None:
            how = {"voice": "official", "locale": draft.locale}
            return Copy(f"proposal/{made[1]}", f"{self.site.base}/proposals/{made[1]}", how)
        if answer.status == 200 and answer.errors is not None:
            raise ContentRefused(f"the site refused the proposal: {answer.errors}")
        if answer.status in {302, 404, 422}:
            self.site.forget()
            raise NotDone("the management session ended before the form was sent", status=answer.status)
        raise MaybeDone(f"the site answered with status {answer.status} to a new proposal", status=answer.status)
