"""The sandbox's door: signing in with a browser, the terms, API credentials and OAuth (docs/platforms/decidim.md 4.3, 4.4)."""

import base64
import hashlib
import json
from urllib.parse import urlencode

from ...testing.messages import Request, Response
from . import pages
from .accounts import CLIENT, REDIRECT, Account, Token
from .texts import say
from .visit import Visit
from .whole import Whole

_SCOPES = frozenset({"profile", "user", "api:read", "api:write"})
_NOBODY = {"id": None, "name": None, "nickname": "", "jwt_token": None, "avatar": None}
BROKEN_TEXT = (
    "500 Internal Server Error\nIf you are the administrator of this website, then please read this web application's log file "
    "and/or the web server's log file to find out what went wrong."
)


def sign_in(visit: Visit) -> Response:
    """The form, and what it does."""
    line = visit.sandbox.line
    if visit.method == "GET":
        if visit.user is not None:
            return visit.to("/", located=True)
        return visit.page("Inloggen", pages.sign_in(visit.session, visit.action("/users/sign_in"), ""))
    email = visit.value("user[email]")
    accounts = visit.sandbox.accounts
    if visit.request.media_type == "application/json":
        return Response.text(BROKEN_TEXT, 500, content_type="text/plain")
    if accounts.too_often(email):
        return Response.text("Retry later\n", 429, content_type="text/plain")
    account = accounts.authenticate(email, visit.value("user[password]"))
    if account is None:
        visit.session.flash.append(("alert", say("wrong password", visit.locale)))
        body = pages.sign_in(visit.session, visit.action("/users/sign_in"), email)
        return visit.page("Inloggen", body, status=403 if line == "0.32" else 200)
    if not account.confirmed:
        return visit.to("/users/sign_in", flash=("alert", "unconfirmed"))
    if account.blocked:
        return visit.to("/", flash=("alert", "blocked"))
    visit.session = accounts.start(account)
    if visit.prefix:
        return Response.redirect(f"http://{visit.request.host}{visit.prefix}")
    if account.admin:
        return visit.to("/")
    visit.locale = account.locale
    return visit.to("/", located=True)


def terms(visit: Visit) -> Response:
    """The terms page and its acceptance."""
    if visit.path.endswith("/accept"):
        if visit.user is None:
            return visit.sign_in_first()
        visit.user.accepted_terms = True
        return visit.to(visit.user.return_to)
    return visit.page("Gebruiksvoorwaarden", pages.terms(visit.session))


def api_session(sandbox: Whole, request: Request, path: str) -> Response:
    """`/api/sign_in` and `/api/sign_out`, from 0.31 on."""
    if path == "/api/sign_out" and request.method == "DELETE":
        known = sandbox.accounts.tokens.pop(_bearer(request), None) is not None
        gone = Response(200, [("Content-Type", "text/html")], b"")
        return gone.adding("Set-Cookie", cookie(sandbox.accounts.start().key)) if known and request.cookies else gone
    if path != "/api/sign_in" or request.method != "POST":
        nobody = Response.json(_NOBODY, 401)
        return nobody.adding("Set-Cookie", cookie(sandbox.accounts.start().key)) if request.method == "POST" else nobody
    key, secret = _credentials(request)
    accounts = sandbox.accounts
    if key == accounts.api_key and secret == accounts.api_secret:
        token = accounts.issue(accounts.api_user)
        user = accounts.api_user
        answer = Response.json(
            {"id": user.id, "name": user.name, "nickname": user.nickname, "jwt_token": token, "avatar": None}
        )
        # The cookie alone signs in as well: whoever keeps it writes as the API user (docs/platforms/decidim.md 4.3).
        session = accounts.start(user)
        return answer.adding("Authorization", f"Bearer {token}").adding("Set-Cookie", cookie(session.key))
    if not request.accepts("application/json"):
        return Response.json(_NOBODY, 403).adding("Set-Cookie", cookie(accounts.start().key))
    reason = "wrong key" if key == accounts.api_key else "no api user"
    return Response.json({"error": say(reason, sandbox.locales[0])}, 401)


def _credentials(request: Request) -> tuple[str, str]:
    if request.media_type == "application/json":
        try:
            body = json.loads(request.body)
            nested = body.get("api_user") or {}
            return str(nested.get("key", "")), str(nested.get("secret", ""))
        except (ValueError, AttributeError):
            return "", ""
    form = request.form()
    return form.get("api_user[key]", [""])[-1], form.get("api_user[secret]", [""])[-1]


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def cookie(key: str) -> str:
    """The session's cookie. Its `expires` is left out: the sandbox's clock is not the client's, and it forgets by itself."""
    return f"_session_id={key}; path=/; secure; HttpOnly; SameSite=Lax"


# OAuth, from 0.31 on


def authorize(visit: Visit) -> Response:
    """Consent, or at once the code when it was given before."""
    query = visit.form if visit.method in {"POST", "DELETE"} else visit.request.query
    asked = {name: values[-1] for name, values in query.items() if name not in {"authenticity_token", "_method"}}
    scopes = frozenset(asked.get("scope", "profile").split())
    if asked.get("client_id") != CLIENT[0] or asked.get("redirect_uri") != REDIRECT or not scopes <= _SCOPES:
        return visit.page("Fout", "<h1>400</h1>", status=400)
    if visit.user is None:
        return visit.sign_in_first()
    if visit.method == "DELETE":
        return _back(asked, error="access_denied")
    accounts, grant = visit.sandbox.accounts, (visit.user.id, scopes)
    if visit.method == "GET" and grant not in accounts.granted:
        return visit.page("Toestemming", pages.consent(visit.session, "/oauth/authorize", asked))
    accounts.granted.add(grant)
    code = accounts.secret()
    accounts.codes[code] = (visit.user, scopes, asked.get("code_challenge"))
    return _back(asked, code=code)


def _back(asked: dict[str, str], **values: str) -> Response:
    state = {"state": asked["state"]} if "state" in asked else {}
    return Response.redirect(f"{REDIRECT}?{urlencode({**values, **state})}")


def oauth_token(visit: Visit) -> Response:
    """A code or a refresh token for a new pair; the old access token goes on working."""
    accounts, kind = visit.sandbox.accounts, visit.value("grant_type")
    if kind == "client_credentials":
        return Response.text(BROKEN_TEXT, 500, content_type="text/plain")
    if (visit.value("client_id"), visit.value("client_secret")) != CLIENT:
        return Response.json({"error": "invalid_client", "error_description": "Client authentication failed"}, 401)
    granted: tuple[Account, frozenset[str]] | None = None
    if kind == "authorization_code":
        found = accounts.codes.pop(visit.value("code"), None)
        if found is not None and _proved(found[2], visit.value("code_verifier")):
            granted = found[0], found[1]
    elif kind == "refresh_token":
        held = accounts.refresh.pop(visit.value("refresh_token"), None)
        granted = None if held is None else (held.account, held.scopes)
    if granted is None:
        return Response.json({"error": "invalid_grant", "error_description": "The grant is invalid"}, 400)
    token, again = accounts.issue(granted[0], CLIENT[0], granted[1]), accounts.secret()
    accounts.refresh[again] = Token(granted[0], accounts.clock(), CLIENT[0], granted[1])
    body = {"access_token": token, "token_type": "Bearer", "expires_in": 7200, "refresh_token": again}
    return Response.json(
        {**body, "scope": " ".join(sorted(granted[1])), "created_at": int(accounts.clock().timestamp())}
    )


def _proved(challenge: str | None, verifier: str) -> bool:
    if challenge is None:
        return True
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge
