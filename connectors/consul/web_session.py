"""CONSUL's web side for a writer: one session, in which at most one account at a time is signed in.

It decides nothing about proposals. A page that cannot be had is `NotDone` or `CannotDo`. Facts: docs/platforms/consul.md 8.2.
"""

from collections.abc import Mapping
from typing import cast

from pydantic import SecretStr

from ..contract.errors import CannotDo, NotDone, NotLetIn
from ..contract.exchange import Request
from ..contract.writing import WriteContext
from ..http.html_page import HtmlPage
from ..http.web_session import HTML, TOKEN, BrowserSession
from .api import authorization
from .pages import SIGN_IN, person_of, wants_sign_in
from .settings import ConsulSettings

SECONDS = 4.5
"""The captcha takes a form for a robot's before four seconds have passed (docs/platforms/consul.md 8.2)."""
_BELIEVED = 4
"""So many refusals in a row to let an account in are believed: one alone may be the answer to another request."""


class WebSession:
    """The session with one site, and who is signed in there. Pages are loaded and forms sent by its `browser`."""

    def __init__(self, context: WriteContext) -> None:
        self.settings = cast(ConsulSettings, context.reading.settings)
        self.clock = context.reading.clock
        self.browser = BrowserSession(context.session, self.clock, authorization(self.settings))
        self.base = self.browser.base
        self.who: str | None = None
        """The login of who is signed in."""
        self._people: dict[str, tuple[str, str]] = {}
        self._refused: dict[str, int] = {}

    def forget(self) -> None:
        """Start a new session."""
        self.who = None
        self.browser.forget()

    async def wait(self, since: float) -> None:
        """Let so much time pass since a form was loaded that nobody takes us for a robot."""
        await self.clock.sleep(SECONDS - (self.clock.monotonic() - since))

    # Accounts

    async def sign_in(self, login: SecretStr, password: SecretStr) -> tuple[str, str]:
        """Be this account; returns its number and the address of its page.

        Raises:
            NotLetIn: it is not let in. After a few refusals in a row nothing is asked any more: some sites lock an account after 20.
            NotDone: no answer came back, though it was tried more than once.
        """
        name = login.get_secret_value()
        if self.who == name:
            return self._people[name]
        if self._refused.get(name, 0) >= _BELIEVED:
            raise NotLetIn("the account was not let in", hint="are `login` and `password` right?")
        self.forget()
        page = await self.browser.load(SIGN_IN)
        form = page.form("new_user")
        if form is None or "authenticity_token" not in form:
            raise NotLetIn(f"{SIGN_IN} shows no form to sign in", hint="does the site use another way to sign in?")
        fields = [("user[login]", name), ("user[password]", password.get_secret_value()), ("user[remember_me]", "0")]
        request = Request("POST", SIGN_IN, form=(("authenticity_token", TOKEN), *fields), headers={"Accept": HTML})
        answer = await self.browser.send_again(request, {TOKEN: form["authenticity_token"]})
        if answer.status == 422:
            raise NotDone("the site refused the token of its own form to sign in", hint="are cookies kept on the way?")
        if answer.status != 302 or wants_sign_in(answer):
            self._refused[name] = self._refused.get(name, 0) + 1
            confirmed = (
                "its e-mail address was never confirmed"
                if answer.status == 302
                else "wrong login or password, or it is blocked"
            )
            raise NotLetIn(
                f"the account was not let in: {confirmed}", hint="sign in by hand once to see what the site says"
            )
        person = person_of(await self.browser.load("/account"))
        if person is None:
            raise NotLetIn("the account signed in, but the site does not know it on the next page")
        self.who, self._people[name] = name, person
        self._refused.pop(name, None)
        return person

    async def as_author(self) -> tuple[str, str]:
        """Be the account that writes as a participant, and owns what can be changed later."""
        login, password = self.settings.login, self.settings.password
        if login is None or password is None:
            raise CannotDo("no account is configured", hint="set `login` and `password`")
        return await self.sign_in(login, password)

    async def as_administrator(self) -> None:
        """Be the account that gives official answers. Raises: CannotDo, NotDone."""
        account = self.settings.administrator
        if account is None:
            await self.as_author()
        else:
            await self.sign_in(account.login, account.password)
        page = await self.browser.load("/admin/proposals")
        if page.status != 200:
            raise CannotDo("the account is no administrator there", hint="set `administrator`")

    async def authors_page(self, path: str, params: Mapping[str, str] | None = None) -> HtmlPage:
        """A page for the author, in a session that is alive."""
        await self.as_author()
        page = await self.browser.load(path, params)
        if wants_sign_in(page):
            self.forget()
            await self.as_author()
            page = await self.browser.load(path, params)
            if wants_sign_in(page):
                raise NotDone("the session ends at once", hint="are cookies kept on the way?")
        return page

    async def author(self) -> tuple[str, str]:
        """The author's number and the address of its own list, in a session that is alive."""
        page = await self.authors_page("/account")
        person = person_of(page)
        if person is None:
            raise NotDone("the account's own page cannot be read now", status=page.status)
        return person
