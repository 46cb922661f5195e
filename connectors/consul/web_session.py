"""CONSUL's web side for a writer: signing in, pages and what stands on them, sending a form once.

It decides nothing about proposals. A page that cannot be had is `NotDone` or `CannotDo`; the texts of messages are never
understood, only where they stand (docs/platforms/consul.md 8.2).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag
from pydantic import SecretStr

from ..contract.errors import MaybeDone, NotDone, NotLetIn, nothing_stored
from ..contract.writing import WriteContext
from ..http.transport import Request, Response
from .api import authorization
from .settings import ConsulSettings
from .write_requests import HTML, TOKEN, filled

SIGN_IN = "/users/sign_in"
SECONDS = 4.5
"""The captcha takes a form for a robot's before four seconds have passed (docs/platforms/consul.md 8.2)."""
_BELIEVED = 4
"""So many refusals in a row to let an account in are believed: one alone may be the answer to another request."""
_PATIENCE = 61.0
"""Seconds that signing in waits where the site asks for patience: limits are counted per minute."""
_PERSON = re.compile(r"^/users/(\d+)(?:-[^/]*)?$")
_LOCALE = re.compile(r"[?&]locale=([A-Za-z]{2,3}(?:-[A-Za-z]{2,8})?)(?:&|$)")
_UNDERSTOOD = frozenset({401, 403, 404, 406, 410, 422})


class Page:
    """An answer of the site, read once."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        self.status = answer.status
        self.soup = BeautifulSoup(answer.text, "html.parser")

    @property
    def location(self) -> str:
        """Where a redirect leads, without host and query."""
        return urlsplit(self.answer.headers.get("location", "")).path

    @property
    def wants_sign_in(self) -> bool:
        """Whether the session is over."""
        return 300 <= self.status < 400 and self.location == SIGN_IN

    def form(self, own: str) -> dict[str, str] | None:
        """The fields of a form by its id: the values that a browser would send, unticked boxes left out."""
        found = self.soup.find("form", id=own)
        return _fields(found) if isinstance(found, Tag) else None

    def longest(self, name: str, otherwise: int) -> int:
        """How many characters a field takes by its own word."""
        found = self.soup.select_one(f'[name="{name}"]')
        value = str(found.get("maxlength") or "") if found is not None else ""
        return int(value) if value.isdigit() else otherwise

    def offers(self, ending: str) -> bool:
        """Whether something on the page leads to an address with this ending: a link in old releases, a form in new ones."""
        places = [*self.soup.find_all("a", href=True), *self.soup.find_all("form", action=True)]
        return any(urlsplit(str(each.get("href") or each.get("action"))).path.endswith(ending) for each in places)

    @property
    def token(self) -> str | None:
        """The token of the page, which every form of it takes."""
        found = self.soup.find("meta", attrs={"name": "csrf-token"})
        return str(found["content"]) if isinstance(found, Tag) and found.get("content") else None

    @property
    def person(self) -> tuple[str, str] | None:
        """The number and the address of who is signed in; only right on pages that link to nobody else."""
        for link in self.soup.find_all("a", href=True):
            match = _PERSON.match(urlsplit(str(link["href"])).path)
            if match:
                return match[1], match[0]
        return None

    @property
    def errors(self) -> str | None:
        """What the site says is wrong with a form; None when it complains about nothing."""
        if self.soup.select_one("#error_explanation, .form-error.is-visible") is None:
            return None
        beside = [each.get_text(" ", strip=True) for each in self.soup.select(".form-error.is-visible")]
        return "; ".join(dict.fromkeys(beside))[:300] or "without saying which field"

    @property
    def locales(self) -> list[str]:
        """The languages that the page leads to; its own first."""
        html = self.soup.find("html")
        own = str(html.get("lang") or "") if isinstance(html, Tag) else ""
        places = [str(a["href"]) for a in self.soup.find_all("a", href=True)]
        places += [str(o["value"]) for o in self.soup.find_all("option", value=True)]
        return list(dict.fromkeys([*([own] if own else []), *(m[1] for each in places if (m := _LOCALE.search(each)))]))

    @property
    def listed(self) -> list[str]:
        """The numbers of the proposals on a list, in its order."""
        found = [str(each["id"]) for each in self.soup.find_all(id=re.compile(r"^proposal_\d+$"))]
        return list(dict.fromkeys(each.partition("_")[2] for each in found))


def _fields(form: Tag) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in form.find_all(["input", "textarea", "select"]):
        name, kind = str(field.get("name") or ""), str(field.get("type") or "")
        if (
            not name
            or kind in {"submit", "button", "file"}
            or (kind in {"checkbox", "radio"} and not field.has_attr("checked"))
        ):
            continue
        if field.name == "textarea":
            # Browsers drop the line break that Rails writes behind the tag.
            found[name] = field.get_text().removeprefix("\n")
        elif field.name == "select":
            chosen = field.find("option", selected=True)
            found[name] = str(chosen.get("value") or "") if isinstance(chosen, Tag) else ""
        else:
            found[name] = str(field.get("value") or "")
    return found


class Site:
    """One session with the site; at most one account at a time is signed in."""

    def __init__(self, context: WriteContext, settings: ConsulSettings) -> None:
        self.transport = context.session
        self.clock = context.reading.clock
        self.base = context.session.url
        self.who: str | None = None
        """The login of who is signed in."""
        self._people: dict[str, tuple[str, str]] = {}
        self._refused: dict[str, int] = {}
        self._basic = authorization(settings)

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Page:
        """A page as it is; a redirect is not followed.

        Raises:
            NotDone, CannotDo: it cannot be had.
        """
        headers = {"Accept": HTML, **self._basic}
        async with nothing_stored():
            answer = await self.transport.get(path, params=params, headers=headers, redirects=False, allow=_UNDERSTOOD)
        return Page(answer)

    async def send(self, request: Request, values: Mapping[str, str], *, without: str = "") -> Page:
        """Send a planned write once, with what only the session knows. Raises: NotDone, MaybeDone."""
        whole = filled(request, values, without=without)
        sent = replace(whole, headers={**whole.headers, **self._basic})
        return Page(await self.transport.submit(sent))

    async def send_again(self, request: Request, values: Mapping[str, str]) -> Page:
        """Send what changes nothing but the session, and send it again when its answer is lost.

        Raises:
            NotDone: no answer came back.
        """
        for pause in (1.0, 2.0, 4.0):
            asked = 0.0
            try:
                return await self.send(request, values)
            except MaybeDone:
                pass
            except NotDone as error:
                asked = error.wait or 0.0
                if asked > _PATIENCE:
                    raise
            await self.clock.sleep(max(pause, asked))
        try:
            return await self.send(request, values)
        except MaybeDone as error:
            raise NotDone(error.message, hint=error.hint, status=error.status) from error

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
        page = await self.get(SIGN_IN)
        form = page.form("new_user")
        if form is None or "authenticity_token" not in form:
            raise NotLetIn(f"{SIGN_IN} shows no form to sign in", hint="does the site use another way to sign in?")
        fields = [("user[login]", name), ("user[password]", password.get_secret_value()), ("user[remember_me]", "0")]
        request = Request("POST", SIGN_IN, form=(("authenticity_token", TOKEN), *fields), headers={"Accept": HTML})
        answer = await self.send_again(request, {TOKEN: form["authenticity_token"]})
        if answer.status == 422:
            raise NotDone("the site refused the token of its own form to sign in", hint="are cookies kept on the way?")
        if answer.status != 302 or answer.location == SIGN_IN:
            self._refused[name] = self._refused.get(name, 0) + 1
            confirmed = (
                "its e-mail address was never confirmed"
                if answer.status == 302
                else "wrong login or password, or it is blocked"
            )
            raise NotLetIn(
                f"the account was not let in: {confirmed}", hint="sign in by hand once to see what the site says"
            )
        person = (await self.get("/account")).person
        if person is None:
            raise NotLetIn("the account signed in, but the site does not know it on the next page")
        self.who, self._people[name] = name, person
        self._refused.pop(name, None)
        return person

    def forget(self) -> None:
        """Start a new session."""
        self.who = None
        self.transport.forget_cookies()

    async def wait(self, since: float) -> None:
        """Let so much time pass since a form was loaded that nobody takes us for a robot."""
        await self.clock.sleep(SECONDS - (self.clock.monotonic() - since))
