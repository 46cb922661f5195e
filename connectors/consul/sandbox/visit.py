"""One visit to the sandbox's web side: who comes, what was sent, and the answers that every controller gives.

Statuses and redirects are those of Rails, Devise and CanCan (docs/platforms/consul.md 8.2). Pages hold what a client may rely on: the
title, messages, forms with their fields, links; no decoration.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from html import escape
from typing import Any

from ...testing.messages import Request, Response
from .model import Row
from .whole import Whole

Params = dict[str, Any]
_UPPER = "application/json; charset=UTF-8"
_LATIN = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "ð": "d", "þ": "th", "đ": "d", "ł": "l", "œ": "oe", "ı": "i"})


def slug(text: str | None) -> str:
    """What Rails' `parameterize` makes of a title or a name; nothing of one without Latin letters."""
    latin = unicodedata.normalize("NFKD", (text or "").lower().translate(_LATIN))
    plain = "".join(each for each in latin if not unicodedata.combining(each))
    return re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9_-]+", "-", plain)).strip("-")


def nested(pairs: Iterable[tuple[str, str]]) -> Params:
    """Form fields as Rails nests them: `a[b][0][c]`; the last of equal names wins."""
    found: Params = {}
    for name, value in pairs:
        steps = [step for step in re.split(r"\[|\]\[?|\]", name) if step]
        if not steps:
            continue
        place = found
        for step in steps[:-1]:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            place[steps[-1]] = value
    return found


def hash_of(params: Params, name: str) -> Params:
    """A nested parameter, or an empty one."""
    value = params.get(name)
    if isinstance(value, list):
        return {str(i): each for i, each in enumerate(value)}
    return value if isinstance(value, dict) else {}


def blocks(given: Params) -> list[Params]:
    """The blocks of `translations_attributes`, whatever they are numbered by."""
    return [each for each in hash_of(given, "translations_attributes").values() if isinstance(each, dict)]


def page_number(params: Params) -> int:
    """Which page of a list is asked for; anything odd is the first."""
    value = str(params.get("page") or "1")
    return max(1, int(value)) if value.isdigit() else 1


class Visit:
    """One request to a page of the site."""

    def __init__(self, sandbox: Whole, request: Request) -> None:
        self.sandbox = sandbox
        self.request = request
        self.session = sandbox.sessions.open(request)
        self.params = self._params()
        override = str(self.params.get("_method") or "").upper()
        self.method = override if request.method == "POST" and override else request.method
        asked = str(self.params.get("locale") or "")
        if asked in sandbox.enabled:
            self.session["locale"] = asked
        self.locale: str = self.session.get("locale") or sandbox.locale
        user = sandbox.database.tables["users"].by_id.get(self.session.get("user") or 0)
        # A blocked or erased account is out at once.
        self.user: Row | None = user if user is not None and not user.hidden else None

    def _params(self) -> Params:
        pairs = [(name, value) for name, values in self.request.query.items() for value in values]
        if self.request.media_type == "application/json":
            try:
                body = json.loads(self.request.body or b"{}")
            except ValueError:
                body = {}
            return nested(pairs) | (body if isinstance(body, dict) else {})
        return nested([*pairs, *self.request.fields()])

    # Who it is

    @property
    def accept(self) -> str:
        """The first type that is asked for, as Rails sees it: html, js, json or any."""
        first = self.request.headers.get("accept", "text/html").split(",")[0].partition(";")[0].strip()
        return {"text/html": "html", "application/json": "json", "*/*": "any"}.get(
            first, "js" if "javascript" in first else "html"
        )

    def role(self, *names: str) -> bool:
        """Whether the visitor is one of these."""
        return self.user is not None and self.user["role"] in names

    def forged(self) -> bool:
        """Whether the token is missing, another session's or another form's, or the Origin is not the site's."""
        if self.request.method in {"GET", "HEAD"}:
            return False
        origin = self.request.headers.get("origin")
        if origin is not None and origin != f"{self.request.scheme}://{self.request.host}":
            return True
        token = str(self.params.get("authenticity_token") or self.request.headers.get("x-csrf-token") or "")
        return not self.sandbox.sessions.accepts(self.session, token, self.request.path, self.method)

    # Answers

    def kept(self, response: Response) -> Response:
        """The answer with the session's new cookie."""
        return self.sandbox.sessions.keep(response, self.session)

    def redirect(self, path: str, flash: tuple[str, str] | None = None) -> Response:
        """A 302 to a page of the site; the message waits for the next page."""
        if flash:
            self.session["flash"] = list(flash)
        base = "" if "://" in path else f"{self.request.scheme}://{self.request.host}"
        return self.kept(Response.redirect(f"{base}{path}"))

    def error(self, status: int) -> Response:
        """An error before the session: no cookie, and no token."""
        text = {404: "Not Found", 406: "Not Acceptable", 500: "Internal Server Error", 403: "Forbidden"}.get(status, "")
        if self.accept == "json":
            return Response.json({"status": status, "error": text}, status, content_type=_UPPER)
        body = (
            ""
            if status in {400, 406}
            else f"<html><head><title>Error {status}</title></head><body><h1>{status}</h1></body></html>"
        )
        return Response(status, [("Content-Type", "text/html; charset=UTF-8")], body.encode())

    def sign_in_first(self) -> Response:
        """What Devise answers to who is not signed in."""
        if self.accept == "js" or self.accept == "any":
            return self.kept(Response.text("Sign in first.", 401, content_type="text/javascript; charset=utf-8"))
        if self.accept == "json":
            return self.kept(Response.json({"error": "Sign in first."}, 401))
        if self.request.method == "GET":
            self.session["return_to"] = self.request.path
        return self.redirect("/users/sign_in", ("alert", "Sign in first."))

    def not_allowed(self) -> Response:
        """What CanCan answers to who may not."""
        if self.accept == "js":
            return self.error(406)
        if self.accept == "json":
            return self.kept(Response.json({"error": "You may not do that."}, 403))
        return self.redirect("/", ("alert", "You may not do that."))

    def script(self, body: str) -> Response:
        """JavaScript for who asked for it, and 406 for everybody else: by now it has been done (docs/platforms/consul.md 8.2, 7)."""
        if self.accept not in {"js", "any"}:
            return self.error(406)
        return self.kept(Response.text(body, content_type="text/javascript; charset=utf-8"))

    def page(self, title: str, body: str, *, callouts: Iterable[tuple[str, str]] = ()) -> Response:
        """A page of the site in the session's language."""
        flash = self.session.pop("flash", None)
        notes = [(f"callout notice {flash[0]}", flash[1])] if flash else []
        shown = "".join(f'<div class="{kind}">{escape(text)}</div>' for kind, text in [*notes, *callouts])
        languages = "".join(f'<a href="?locale={each}">{each}</a>' for each in self.sandbox.enabled)
        html = (
            f'<!DOCTYPE html><html lang="{self.locale}"><head><title>{escape(title)}</title>'
            f'<meta name="csrf-param" content="authenticity_token"><meta name="csrf-token" content="{self.token()}"></head>'
            f"<body><header>{languages}{self._menu()}</header>{shown}{body}</body></html>"
        )
        return self.kept(Response.html(html))

    def _menu(self) -> str:
        if self.user is None:
            return '<a href="/users/sign_in">Sign in</a>'
        out = self.action("/users/sign_out", "delete", "Sign out")
        return f'{out}<a href="{self.sandbox.user_path(self.user)}">My content</a><a href="/account">My account</a>'

    def token(self) -> str:
        """The token of this page, which holds everywhere."""
        return self.sandbox.sessions.token(self.session)

    def action(self, path: str, verb: str, text: str, kind: str = "button_to") -> str:
        """A button that acts: a link with `data-method` up to 2.2, a form of its own later (docs/platforms/consul.md 8.2, 4)."""
        if not self.sandbox.buttons_are_forms:
            return f'<a href="{path}" data-method="{verb}" rel="nofollow">{text}</a>'
        return (
            self.form(path, [("_method", verb)], attributes=f'class="{kind}"')
            if verb != "post"
            else self.form(path, [])
        )

    def form(self, path: str, fields: Iterable[tuple[str, str]], *, attributes: str = "", more: str = "") -> str:
        """A form with hidden fields, among them a token that holds for this form's action and verb alone."""
        hidden = list(fields)
        token = self.sandbox.sessions.token(self.session, path, dict(hidden).get("_method", "post"))
        hidden.append(("authenticity_token", token))
        inputs = "".join(f'<input type="hidden" name="{n}" value="{escape(v)}">' for n, v in hidden)
        return (
            f'<form action="{path}" method="post" {attributes}>{inputs}{more}<button type="submit">OK</button></form>'
        )
