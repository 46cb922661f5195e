"""CONSUL's web side for a writer: one session, in which at most one account at a time is signed in.

It decides nothing about proposals. A page that cannot be had is `NotDone` or `CannotDo`. Facts: docs/platforms/consul.md 8.2.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit

from pydantic import SecretStr

from ..contract.errors import (
    CannotDo,
    ConnectorError,
    MappingError,
    MaybeDone,
    NotDone,
    NotLetIn,
    WrongCredentials,
)
from ..contract.exchange import Request
from ..contract.writing import WriteContext
from ..http.html_page import HtmlPage
from ..http.web_session import HTML, TOKEN, BrowserSession
from .api import authorization
from .pages import SIGN_IN, SitePage, person_of, wants_password, wants_sign_in
from .settings import ConsulSettings

SECONDS = 4.5
"""The captcha takes a form for a robot's before four seconds have passed (docs/platforms/consul.md 8.2)."""


@contextmanager
def after_accepted(what: str) -> Generator[None]:
    """Turns every failure of a look at what the site has accepted into "maybe done": it is there, and is never sent again by itself."""
    try:
        yield
    except (ConnectorError, MappingError) as error:
        if isinstance(error, MaybeDone) and error.accepted:
            raise
        said = error.message if isinstance(error, ConnectorError) else str(error)
        status, hint = (error.status, error.hint) if isinstance(error, ConnectorError) else (None, "")
        raise MaybeDone(f"{what}: {said}", hint=hint, status=status, accepted=True) from error


def page_token(page: HtmlPage, path: str) -> str:
    """The token for a form that is sent to `path`: the page's own, which holds everywhere.

    A form's own holds for its own address, slug included, and nowhere else (docs/platforms/consul.md 8.2).

    Raises:
        NotDone: the page carries none.
    """
    token = page.token(path)
    if token is None:
        raise NotDone("the site's page carries no token", status=page.status)
    return token


class WebSession:
    """The session with one site, and who is signed in there. Pages are loaded and forms sent by its `browser`."""

    def __init__(self, context: WriteContext) -> None:
        self.settings = cast(ConsulSettings, context.reading.settings)
        self.clock = context.reading.clock
        self.refusals = context.refusals
        root = urlsplit(context.session.url).path.rstrip("/")
        self.browser = BrowserSession(
            context.session, self.clock, lambda answer: SitePage(answer, root), authorization(self.settings)
        )
        self.base = self.browser.base
        self.who: str | None = None
        """The login of who is signed in."""
        self._people: dict[str, tuple[str, str]] = {}
        self._refused: set[str] = set()

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
            WrongCredentials: the site does not take them. It is not asked again: some sites lock an account after 20 tries, and count on.
            NotLetIn: it is not let in for another reason.
            NotDone: no answer came back, though it was tried more than once.
        """
        name = login.get_secret_value()
        if self.who == name:
            return self._people[name]
        further = self._further(password)
        if name in self._refused or (further and await self.refusals.why(further)):
            raise _wrong(further)
        self.forget()
        page = await self.browser.load(SIGN_IN)
        if page.form("new_user") is None:
            raise NotLetIn(f"{SIGN_IN} shows no form to sign in", hint="does the site use another way to sign in?")
        fields = [("user[login]", name), ("user[password]", password.get_secret_value()), ("user[remember_me]", "0")]
        request = Request("POST", SIGN_IN, form=(("authenticity_token", TOKEN), *fields), headers={"Accept": HTML})
        answer = await self.browser.send_again(request, {TOKEN: page_token(page, SIGN_IN)})
        if answer.status == 422:
            raise NotDone(
                "the site refused the token of its own form to sign in", hint="are cookies kept on the way?", status=422
            )
        if answer.status == 200 and answer.form("new_user") is not None:
            self._refused.add(name)
            error = _wrong(further)
            if further:
                await self.refusals.remember(further, error)
            raise error
        if answer.status != 302:
            raise NotDone(f"signing in was answered with status {answer.status}", status=answer.status)
        if wants_sign_in(answer):
            raise NotLetIn(
                "the account was not let in: its e-mail address was never confirmed",
                hint="sign in by hand once to see what the site says",
            )
        if wants_password(answer):
            raise _expired()
        account = await self.browser.load("/account")
        if wants_password(account):
            raise _expired()
        person = person_of(account)
        if person is None:
            raise NotLetIn("the account signed in, but the site does not know it on the next page")
        self.who, self._people[name] = name, person
        return person

    def _further(self, password: SecretStr) -> str:
        """Under which key of the instance's configuration this account stands; empty: it is the author."""
        for name in ("management", "administrator"):
            account = getattr(self.settings, name)
            if account is not None and account.password is password:
                return name
        return ""

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

    async def authors_page(self, path: str, params: Mapping[str, str] | None = None) -> SitePage:
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


def _wrong(further: str) -> WrongCredentials:
    keys = f"`login` and `password` of `{further}`" if further else "`login` and `password`"
    return WrongCredentials(
        f"the account was not let in: wrong login or password, or it is blocked or locked ({keys})",
        hint="sign in by hand once to see what the site says; after 20 wrong tries some sites lock an account for an hour",
    )


def _expired() -> NotLetIn:
    return NotLetIn(
        "the account was let in, but must change its password first",
        hint="the site lets administrators' passwords expire after a year: change it there, then in the configuration",
    )
