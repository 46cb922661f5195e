"""Speaking through Decidim's interface: with a session's cookie, an OAuth token or (for answers) API credentials.

An API user cannot create: it gets a 500, and an invisible draft stays (docs/platforms/decidim.md 4.1, 4.3). Errors are matched by their
codes, as their texts are translated and may be arrays.
"""

from collections.abc import Mapping
from typing import Any

from ...core.clock import Clock
from ..contract.errors import CannotDo, ContentRefused, Malformed, MaybeDone, NotDone, WrongCredentials
from ..contract.exchange import Request, Response, Transport
from ..contract.writing import Refusals
from ..http.web_session import unreadable
from .oauth import Grant
from .settings import DecidimSettings
from .web_session import WebSession
from .write_requests import JSON

_API_TOKEN_LASTS = 110 * 60.0
API_USER = "api_user"
"""What the API credentials are called where it is remembered that they were not taken."""
_STATIC = frozenset({"undefinedField", "argumentNotAccepted", "undefinedType", "missingRequiredInputObjectAttribute"})


class SessionCaller:
    """Speaks with a session's cookie."""

    def __init__(self, session: WebSession) -> None:
        self.session = session

    async def send(self, request: Request) -> Response:
        """Send it as the service account."""
        await self.session.ensure()
        return await self.session.transport.submit(request)

    def forget(self) -> None:
        """Sign in anew before the next request."""
        self.session.forget()


class OAuthCaller:
    """Speaks with an OAuth token, without any cookie."""

    def __init__(self, transport: Transport, grant: Grant) -> None:
        self.transport = transport
        self.grant = grant

    async def send(self, request: Request) -> Response:
        """Send it as whoever consented."""
        headers = {**request.headers, **await self.grant.headers()}
        return await self.transport.submit(Request(request.method, request.path, json=request.json, headers=headers))

    def forget(self) -> None:
        """Nothing helps but consent."""


class ApiCaller:
    """Speaks with API credentials. The cookie that signing in gives would sign in by itself: it is never kept."""

    def __init__(self, transport: Transport, clock: Clock, settings: DecidimSettings, refusals: Refusals) -> None:
        self.transport = transport
        self.clock = clock
        self.settings = settings
        self.refusals = refusals
        self._token: str | None = None
        self._since = 0.0

    @property
    def configured(self) -> bool:
        """Whether there are credentials."""
        return self.settings.api_key is not None and self.settings.api_secret is not None

    async def send(self, request: Request) -> Response:
        """Send it as the API user."""
        token = await self.token()
        headers = {**request.headers, "Authorization": f"Bearer {token}"}
        return await self.transport.submit(Request(request.method, request.path, json=request.json, headers=headers))

    def forget(self) -> None:
        """Ask for a new token before the next request."""
        self._token = None

    async def token(self) -> str:
        """A token that is valid for a while.

        Raises:
            WrongCredentials: they are not taken; they are tried once.
            CannotDo: there are none, or the site does not let anybody in with them.
            NotDone: the site does not answer now.
        """
        if self._token is not None and self.clock.monotonic() - self._since < _API_TOKEN_LASTS:
            return self._token
        key, secret = self.settings.api_key, self.settings.api_secret
        if key is None or secret is None:
            raise CannotDo("no API credentials", hint="the system administrator makes them (0.31 and later)")
        if await self.refusals.why(API_USER):
            raise _not_taken()
        form = (("api_user[key]", key.get_secret_value()), ("api_user[secret]", secret.get_secret_value()))
        try:
            answer = await self.transport.submit(Request("POST", "api/sign_in", form=form, headers=JSON))
            body: Any = answer.json() if answer.status == 200 else {}
        except (MaybeDone, Malformed) as error:
            raise NotDone(f"signing in with API credentials failed: {error.message}", status=error.status) from None
        token = body.get("jwt_token") if isinstance(body, dict) else None
        if answer.status == 401:
            error = _not_taken()
            await self.refusals.remember(API_USER, error)
            raise error
        if not token:
            raise CannotDo(
                f"the API credentials are not taken (status {answer.status})", hint="check api_key and api_secret"
            )
        self._token, self._since = str(token), self.clock.monotonic()
        return self._token


def _not_taken() -> WrongCredentials:
    return WrongCredentials("the API credentials are not taken", hint="check api_key and api_secret", status=401)


Caller = SessionCaller | OAuthCaller | ApiCaller


async def perform(caller: Caller, mutation: Request, path: list[str], what: str) -> dict[str, Any]:
    """Send one mutation; returns the object at the end of `path` in its answer.

    Raises:
        CannotDo, Rejected: the site refused; nothing is stored.
        NotDone: nothing is stored for certain.
        MaybeDone: no trustworthy answer came.
    """
    for last in (False, True):
        answer = await caller.send(mutation)
        if answer.status in range(300, 400) or answer.status in {401, 403}:
            if last:
                raise CannotDo(
                    f"{what}: the site lets nobody speak to its interface like this (status {answer.status})",
                    hint="on a site that forces sign-in only a participant's session or OAuth token passes",
                )
            caller.forget()
            continue
        if 400 <= answer.status < 500:
            raise CannotDo(
                f"{what}: refused (status {answer.status})", hint="does a firewall stand in front of the site?"
            )
        body = _body(answer, what)
        found: Any = body.get("data")
        errors = [each for each in body.get("errors") or () if isinstance(each, dict)]
        if found is None and _nobody(errors):
            # Nothing was looked at: the session or token is over.
            if last:
                raise CannotDo(f"{what}: the site does not know us any more", hint="check the credentials")
            caller.forget()
            continue
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return {str(name): value for name, value in found.items()}
        if path[-1] == "addComment" and (not errors or _hidden(errors)):
            # A hidden proposal answers no, and takes the comment all the same (recordings 275, 486).
            raise MaybeDone(f"{what}: refused, and perhaps stored all the same", hint="is the proposal hidden?")
        if not errors and path[-1] == "answer":
            # Up to 0.31 a refusal is a null without a word (recording 464).
            raise CannotDo(f"{what}: refused without a word", hint="has the account the right?")
        _refused(errors, what)
        raise unreadable(answer, what, form=False)
    raise AssertionError("unreachable: the second round returns or raises")


def _code(error: Mapping[str, Any]) -> str:
    return str((error.get("extensions") or {}).get("code") or "")


def _nobody(errors: list[dict[str, Any]]) -> bool:
    """Whether the whole mutation was turned away: 0.32 with a code and no path, 0.31 without a word."""
    return not errors or all(_code(each) == "UNAUTHORIZED_OBJECT_ERROR" and not each.get("path") for each in errors)


def _hidden(errors: list[dict[str, Any]]) -> bool:
    return any(_code(each) == "UNAUTHORIZED_OBJECT_ERROR" and each.get("path") for each in errors)


def _message(error: Mapping[str, Any]) -> str:
    """What an error says; it may be an array of what is wrong with each field."""
    said = error.get("message")
    if not isinstance(said, list):
        return str(said)[:300]
    parts = [f"{(each.get('path') or ['?'])[-1]} {each.get('message')}" for each in said if isinstance(each, dict)]
    return "; ".join(parts)[:300]


def _refused(errors: list[dict[str, Any]], what: str) -> None:
    for error in errors:
        code, said = _code(error), _message(error)
        match code:
            case "ATTRIBUTE_VALIDATION_ERROR" | "INVALID_LOCALE_ERROR":
                raise ContentRefused(f"{what}: {said}")
            case "MUTATION_NOT_AUTHORIZED_ERROR":
                raise CannotDo(
                    f"{what}: {said}",
                    hint="is it allowed in this step, is a verification asked for, and is the edit window still open?",
                )
            case "VALIDATION_ERROR":
                raise CannotDo(f"{what}: {said}")
            case "NOT_FOUND_ERROR":
                raise CannotDo(f"{what}: {said}", hint="was it hidden, deleted or unpublished?")
            case "UNAUTHORIZED_OBJECT_ERROR" if error.get("path"):
                raise CannotDo(f"{what}: {said}", hint="a moderator hid it")
            case _:
                if code in _STATIC or error.get("path") in (["component"], ["commentable"]):
                    raise CannotDo(f"{what}: {said}", hint="`civicsync check` looks at the interface again")
                if list(error.get("path") or ())[-1:] == ["answer"]:
                    # 0.31 tells of an unknown state in plain words without a code (recording 455).
                    raise ContentRefused(f"{what}: {said}")


def _body(answer: Response, what: str) -> dict[str, Any]:
    """The body of an answer to a mutation.

    Raises:
        MaybeDone: it is not GraphQL's.
    """
    try:
        body = answer.json()
    except Malformed as error:
        raise unreadable(answer, what, form=False) from error
    if not isinstance(body, dict):
        raise unreadable(answer, what, form=False)
    return {str(name): value for name, value in body.items()}
