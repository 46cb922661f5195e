"""One visit of the sandbox's web side: who comes, in which language, with which token, and the ways to turn somebody away."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlencode

from ...testing.messages import Request, Response
from . import pages
from .accounts import Account, Session
from .texts import say
from .whole import Whole


@dataclass(slots=True)
class Visit:
    """A request to a page, with its session and its language."""

    sandbox: Whole
    request: Request
    session: Session
    path: str
    method: str
    locale: str
    prefix: str = ""
    form: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def user(self) -> Account | None:
        """Who is signed in."""
        return self.session.user

    def value(self, name: str) -> str:
        """The last value of a field; empty when it was not sent."""
        values = self.form.get(name)
        return values[-1] if values else ""

    def to(
        self,
        path: str,
        *,
        flash: tuple[str, str] | None = None,
        located: bool = False,
        more: dict[str, str] | None = None,
    ) -> Response:
        """A redirect; the language is added where the real one adds it."""
        query = dict(more or {})
        if flash is not None:
            self.session.flash.append((flash[0], say(flash[1], self.locale)))
        if located and self.locale != self.sandbox.locales[0] and not self.prefix:
            query["locale"] = self.locale
        tail = f"?{urlencode(query)}" if query else ""
        return Response.redirect(f"http://{self.request.host}{self.prefix}{path}{tail}")

    def denied(self) -> Response:
        """Not allowed: the start page, and the reason only as its message."""
        return self.to("/", flash=("alert", "denied"), located=True)

    def sign_in_first(self) -> Response:
        """Nobody is signed in."""
        return self.to("/users/sign_in")

    def missing(self) -> Response:
        """No such page, or not for this person."""
        return self.page("404", "<h1>404</h1>", status=404)

    def page(self, title: str, body: str, *, status: int = 200) -> Response:
        """A page of this visit."""
        return pages.page(self.session, self.locale, title, body, line=self.sandbox.line, status=status)

    def action(self, path: str) -> str:
        """The address of a form."""
        if self.prefix:
            return f"{self.prefix}{path}"
        return path if self.locale == self.sandbox.locales[0] else f"{path}?locale={self.locale}"


def visit_of(sandbox: Whole, request: Request) -> Visit | Response:
    """The visit; or the answer that comes before any page: another address, a wrong token, the terms."""
    path, prefix = request.path.rstrip("/") or "/", ""
    match = re.fullmatch(r"/(\w\w(?:-\w\w)?)(/.*)?", path)
    if sandbox.line == "0.32":
        if match and match[1] in sandbox.locales:
            path, prefix = match[2] or "/", f"/{match[1]}"
        elif request.method == "POST" and not path.startswith(("/timeouts", "/oauth")):
            # Only addresses with a language are known to take forms (recordings 252 to 722).
            return Response.html("<html><head><title>404</title></head></html>", 404)
        elif request.method in {"GET", "HEAD"} and not path.startswith(("/timeouts", "/oauth")) and path != "/":
            return Response.redirect(f"http://{request.host}/{sandbox.locales[0]}{request.path}", 301)
    session = sandbox.accounts.session(request.cookies.get("_session_id")) or sandbox.accounts.start()
    asked = request.query.get("locale", [""])[-1]
    own = session.user.locale if session.user else sandbox.locales[0]
    locale = prefix[1:] if prefix else asked if asked in sandbox.locales else own
    form = request.form()
    method = (form.get("_method") or [request.method])[-1].upper() if request.method == "POST" else request.method
    visit = Visit(sandbox, request, session, path, method, locale, prefix, form)
    if request.method not in {"GET", "HEAD"} and not _believed(visit):
        return Response(422, [("Content-Type", "text/html; charset=UTF-8")], b"")
    return visit


def _believed(visit: Visit) -> bool:
    """Whether the token of the form is right."""
    if visit.path.startswith("/oauth/") and visit.path != "/oauth/authorize":
        return True
    if visit.sandbox.line == "0.32" and visit.path == "/users/sign_in":
        # Measured: 0.32.2 signs in without a token (recording 254).
        return True
    token = visit.value("authenticity_token") or visit.request.headers.get("x-csrf-token", "")
    return visit.session.accepts(token, "POST", visit.request.path.rstrip("/"))
