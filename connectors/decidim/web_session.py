"""Decidim's web side for a writer: being signed in, pages with their forms and tokens, and what a redirect really says.

A 302 to the start page means "not allowed", one to the terms page stands before every other page, a 422 without a body means that the
form's token was not believed (docs/platforms/decidim.md 4.4). Nothing here knows what a proposal is.
"""

from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from ..contract.errors import ConnectorError, NotDone, NotLetIn, WrongCredentials, nothing_stored
from ..contract.exchange import Request
from ..contract.values import inside
from ..contract.writing import WriteContext
from ..http.html_page import HtmlPage
from ..http.web_session import TOKEN, BrowserSession
from .pages import messages_of
from .settings import DecidimSettings
from .sign_in import SIGN_IN, sign_in, wrong_credentials

_LASTS = 25 * 60.0
"""Seconds after which we sign in again; the session itself lasts thirty minutes from the last answer."""
_WHOAMI = "query WhoAmI{session{user{id}}}"


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a form: the answer, and whether we were turned away before anything was sent."""

    page: HtmlPage
    sent: bool = True


class WebSession:
    """The service account's session; signs in when it must, and once again when the site has forgotten us."""

    def __init__(self, context: WriteContext) -> None:
        self.settings = cast(DecidimSettings, context.reading.settings)
        self.clock = context.reading.clock
        self.browser = BrowserSession(context.session, self.clock, HtmlPage)
        self.transport = context.session
        self.user: str | None = None
        self.before = ""
        """The prefix of every address: the language, where addresses have one."""
        self._used: float | None = None
        self._refused = False

    @property
    def configured(self) -> bool:
        """Whether there is an account to sign in with."""
        return self.settings.email is not None and self.settings.password is not None

    @property
    def signed_in(self) -> bool:
        """Whether the site knew us when it answered last."""
        return self._used is not None and self.user is not None

    def forget(self) -> None:
        """Sign in anew before the next request."""
        self._used = None
        self.browser.forget()

    async def ensure(self) -> str:
        """Be signed in; returns the account's id.

        Raises:
            WrongCredentials: the site does not take them; it is asked once.
            NotLetIn: no credentials, or the account is blocked or not confirmed.
            NotDone: the site does not answer now, or asks to slow down.
        """
        if self._used is None or self.user is None or self.clock.monotonic() - self._used > _LASTS:
            self.forget()
            await self._sign_in()
            self.user = await self._who()
        self._used = self.clock.monotonic()
        return self.user

    async def _sign_in(self) -> None:
        email, password = self.settings.email, self.settings.password
        if email is None or password is None:
            raise NotLetIn(
                "no account to sign in with",
                hint="set email and password, as ${ENV_NAME} or file:path, in the instance",
            )
        if self._refused:
            raise wrong_credentials()
        page = await self.browser.load(f"{self.before}{SIGN_IN}")
        for _ in range(2):
            if page.redirect is not None:
                page = await self.browser.load(page.redirect)
        # Sign-ins are counted: a site that asks for patience is not asked again here.
        try:
            await sign_in(page, email, password, lambda request: self.browser.send_again(request, {}, patience=0.0))
        except WrongCredentials:
            self._refused = True
            raise

    async def _who(self) -> str:
        async with nothing_stored():
            answer = await self.transport.graphql("api", _WHOAMI)
        user = inside(answer.data, "session", "user") or {}
        if user.get("id") is None:
            raise NotLetIn("the site signed us in and does not know us", hint="is the account blocked?")
        return str(user["id"])

    async def open(self, address: str) -> HtmlPage:
        """A page, signed in. A redirect is returned, unless it leads to the sign-in or the terms.

        Raises:
            NotLetIn: the terms must be accepted first.
            NotDone: no answer.
        """
        await self.ensure()
        page = await self.browser.load(address)
        if page.location.endswith(SIGN_IN):
            self.forget()
            await self.ensure()
            page = await self.browser.load(address)
        _check_doors(page)
        return page

    async def send(self, address: str, request: Request, page: HtmlPage | None = None) -> Sent:
        """Send a form with the token of the page at `address` (or of `page`, opened before); once more if we were forgotten in between.

        Raises:
            NotDone: the page does not come, or nothing believes us.
            MaybeDone: it was sent, and no trustworthy answer came.
        """
        for last in (False, True):
            if page is None or page.token(urlsplit(request.path).path) is None:
                page = await self.open(address)
            if page.redirect is not None or page.status != 200:
                return Sent(page, sent=False)
            sent = await self._post(page, request)
            if sent is not None:
                return sent
            page = None
            if not last:
                self.forget()
        raise NotDone("the site does not believe its own form's token", hint="it is tried again later")

    async def _post(self, page: HtmlPage, request: Request) -> Sent | None:
        """Send a form with the token of a page; None: not believed, nothing is stored."""
        token = page.token(urlsplit(request.path).path)
        if token is None:
            raise NotDone("the page holds no token", hint="a proxy or a bot filter may stand in front of the site")
        answer = await self.browser.send(request, {TOKEN: token})
        self._used = self.clock.monotonic()
        if answer.status == 422 and not answer.answer.body.strip():
            return None
        if answer.location.endswith(SIGN_IN):
            return None
        _check_doors(answer)
        return Sent(answer)

    async def reason(self, address: str) -> str:
        """Why the site turned us away: it says so only on the next page."""
        try:
            return "; ".join(messages_of(await self.browser.load(address)))[:300]
        except ConnectorError:
            # Whatever that page is, it changes nothing about what the form was answered.
            return ""


def _check_doors(page: HtmlPage) -> None:
    where = page.location
    if "/pages/terms" in where:
        raise NotLetIn(
            "the site's terms of service must be accepted first",
            hint="sign in once with a browser as the service account and accept them",
        )
    if "admin_terms" in where:
        raise NotLetIn(
            "the administrators' terms must be accepted first",
            hint="sign in once with a browser as the service account and accept them under /admin",
        )
    if where.endswith(("/change_password", "/password/edit")):
        raise NotLetIn("the account's password has expired", hint="sign in once with a browser and change it")
