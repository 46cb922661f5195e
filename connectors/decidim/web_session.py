"""A browser's session on Decidim: signing in, pages with their forms and tokens, and what a redirect really says.

A 302 to the start page means "not allowed", one to the terms page stands before every other page, a 422 without a body means that the
form's token was not believed (docs/platforms/decidim.md 4.4). Nothing here knows what a proposal is. Pages are only read; what is sent
is sent once, by `Transport.submit`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag

from ..contract.errors import CannotDo, ConnectorError, Malformed, MaybeDone, NotDone, NotLetIn
from ..contract.exchange import Request, Response
from ..contract.writing import WriteContext
from .places import nothing_written
from .settings import DecidimSettings

TOKEN = "‹authenticity_token›"
_LASTS = 25 * 60.0
"""Seconds after which we sign in again; the session itself lasts thirty minutes from the last answer."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNDERSTOOD = frozenset({401, 403, 404, 422})
_HTML = {"Accept": "text/html,application/xhtml+xml"}
_CHOICE = re.compile(r"/locale\?locale=([A-Za-z]{2,3}(?:-[A-Za-z]{2,4})?)[\"'&]")
_WHOAMI = "query WhoAmI{session{user{id}}}"


class Page:
    """One answer to a browser."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        self.status = answer.status

    @cached_property
    def _soup(self) -> BeautifulSoup:
        return BeautifulSoup(self.answer.text, "html.parser")

    @property
    def redirect(self) -> str | None:
        """The path it leads to, without the query; None: it leads nowhere."""
        location = self.answer.headers.get("location")
        return urlsplit(location).path or "/" if location is not None and self.status in _REDIRECTS else None

    def form(self, field: str) -> Tag | None:
        """The form that holds a field of this name."""
        found = self.field(field)
        return found.find_parent("form") if found is not None else None

    def field(self, name: str) -> Tag | None:
        """A field by its name."""
        return self._soup.select_one(f'[name="{name}"]')

    def names(self) -> list[str]:
        """The names of all fields."""
        return [str(each.get("name")) for each in self._soup.select("[name]")]

    def has(self, pattern: re.Pattern[str]) -> bool:
        """Whether a field has such a name."""
        return any(pattern.fullmatch(name) for name in self.names())

    @property
    def locales(self) -> list[str]:
        """The site's languages as the page's own chooser offers them, this page's first; empty where it has none."""
        others = _CHOICE.findall(self.answer.text)
        root = self._soup.find("html")
        own = str(root.get("lang") or "") if isinstance(root, Tag) else ""
        return list(dict.fromkeys([own, *others])) if others and own else []

    def values(self, name: str) -> list[str]:
        """What the fields of this name hold."""
        return [_value(each) for each in self._soup.select(f'[name="{name}"]') if each.name != "meta"]

    def token(self, path: str) -> str | None:
        """What a form to `path` must send: the page's own token, which fits every form, else that form's."""
        meta = self._soup.select_one('meta[name="csrf-token"]')
        if meta is not None and meta.get("content"):
            return str(meta["content"])
        for form in self._soup.find_all("form"):
            field = form.select_one('[name="authenticity_token"]')
            if field is not None and urlsplit(str(form.get("action"))).path.rstrip("/") == path.rstrip("/"):
                return str(field.get("value"))
        return None

    @property
    def errors(self) -> list[str]:
        """What the page says is wrong. A bare `span.form-error` is hidden and on every page."""
        chosen = self._soup.select("small.form-error.is-visible")
        return list(dict.fromkeys(each.get_text(" ", strip=True) for each in chosen))

    @property
    def messages(self) -> list[str]:
        """The site's messages about what was done before."""
        chosen = self._soup.select("div.flash.alert, p.flash__message") or self._soup.select("div.flash__message")
        return list(dict.fromkeys(each.get_text(" ", strip=True) for each in chosen))


def _value(field: Tag) -> str:
    if field.name == "textarea":
        # A line break right after the tag belongs to the markup, not to the text.
        return field.get_text().removeprefix("\n")
    return str(field.get("value") or "")


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a form: the answer, and whether we were turned away before anything was sent."""

    page: Page
    sent: bool = True


class WebSession:
    """The service account's session; signs in when it must, and once again when the site has forgotten us."""

    def __init__(self, context: WriteContext, settings: DecidimSettings) -> None:
        self.transport = context.session
        self.clock = context.reading.clock
        self.settings = settings
        self.user: str | None = None
        self.before = ""
        """The prefix of every address: the language, where addresses have one."""
        self._used: float | None = None

    @property
    def configured(self) -> bool:
        """Whether there is an account to sign in with."""
        return self.settings.email is not None and self.settings.password is not None

    def forget(self) -> None:
        """Sign in anew before the next request."""
        self._used = None
        self.transport.forget_cookies()

    async def ensure(self) -> str:
        """Be signed in; returns the account's id.

        Raises:
            NotLetIn: no or wrong credentials, or the account is blocked or not confirmed.
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
        page = await self._get(f"{self.before}/users/sign_in")
        for _ in range(2):
            if page.redirect is not None:
                page = await self._get(page.redirect)
        form = page.form("user[password]")
        path = urlsplit(str(form.get("action"))).path if form is not None else ""
        token = page.token(path)
        if form is None or token is None:
            raise NotDone(
                "the sign-in page holds no form", hint="a proxy or a bot filter may stand in front of the site"
            )
        fields = (
            ("user[email]", email.get_secret_value()),
            ("user[password]", password.get_secret_value()),
            ("user[remember_me]", "0"),
            ("authenticity_token", token),
        )
        answer = await self._let_in(Request("POST", path, form=fields, headers=_HTML))
        refused = answer.redirect is None or answer.redirect.rstrip("/").endswith("/users/sign_in")
        if refused:
            raise NotLetIn(
                "signing in failed",
                hint="check email and password, and that the account is confirmed; after many failures it is locked for an hour",
            )

    async def _let_in(self, request: Request) -> Page:
        """Signing in changes nothing, so a lost answer is asked for again, at most twice."""
        for attempt in range(3):
            try:
                return Page(await self.transport.submit(request))
            except MaybeDone as error:
                if attempt == 2:
                    raise NotDone(f"signing in failed: {error.message}", status=error.status) from None
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _who(self) -> str:
        try:
            answer = await self.transport.graphql("api", _WHOAMI)
        except ConnectorError as error:
            raise nothing_written(error) from error
        user = ((answer.data or {}).get("session") or {}).get("user") or {}
        if user.get("id") is None:
            raise NotLetIn("the site signed us in and does not know us", hint="is the account blocked?")
        return str(user["id"])

    async def _get(self, path: str) -> Page:
        try:
            answer = await self.transport.get(path, headers=_HTML, redirects=False, allow=_UNDERSTOOD)
        except ConnectorError as error:
            raise nothing_written(error) from error
        return Page(answer)

    async def open(self, address: str) -> Page:
        """A page, signed in. A redirect is returned, unless it leads to the sign-in or the terms.

        Raises:
            NotLetIn: the terms must be accepted first.
            NotDone: no answer.
        """
        await self.ensure()
        page = await self._get(address)
        if page.redirect is not None and page.redirect.endswith("/users/sign_in"):
            self.forget()
            await self.ensure()
            page = await self._get(address)
        self._check_doors(page)
        return page

    def _check_doors(self, page: Page) -> None:
        where = page.redirect or ""
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

    async def send(self, address: str, request: Request, page: Page | None = None) -> Sent:
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

    async def _post(self, page: Page, request: Request) -> Sent | None:
        """Send a form with the token of a page; None: not believed, nothing is stored."""
        token = page.token(urlsplit(request.path).path)
        if token is None:
            raise NotDone("the page holds no token", hint="a proxy or a bot filter may stand in front of the site")
        answer = Page(await self.transport.submit(with_token(request, token)))
        self._used = self.clock.monotonic()
        if answer.status == 422 and not answer.answer.body.strip():
            return None
        if answer.redirect is not None and answer.redirect.endswith("/users/sign_in"):
            return None
        self._check_doors(answer)
        return Sent(answer)

    async def reason(self, address: str) -> str:
        """Why the site turned us away: it says so only on the next page."""
        try:
            return "; ".join((await self._get(address)).messages)[:300]
        except (CannotDo, NotDone):
            return ""


def with_token(request: Request, token: str) -> Request:
    """The request with the token that only a session knows."""
    assert request.form is not None
    form = tuple((name, token if value == TOKEN else value) for name, value in request.form)
    return replace(request, form=form)


def form_request(method: str, path: str, fields: Sequence[tuple[str, str]]) -> Request:
    """A form as a browser sends it; other methods than POST travel in a field."""
    override = () if method == "POST" else (("_method", method.lower()),)
    return Request("POST", path, form=(*override, *fields, ("authenticity_token", TOKEN)), headers=_HTML)


def words(page: Page) -> str:
    """Everything a page says is wrong, as one line."""
    return "; ".join(page.errors or page.messages)[:300]


def unreadable(answer: Response, what: str) -> MaybeDone:
    """An answer that says nothing we can trust."""
    return MaybeDone(f"{what}: the answer (status {answer.status}) does not tell whether it is stored")


def graphql_body(answer: Response, what: str) -> dict[str, Any]:
    """The body of an answer to a mutation.

    Raises:
        MaybeDone: it is not GraphQL's.
    """
    try:
        body = answer.json()
    except Malformed as error:
        raise unreadable(answer, what) from error
    if not isinstance(body, dict):
        raise unreadable(answer, what)
    return {str(name): value for name, value in body.items()}
