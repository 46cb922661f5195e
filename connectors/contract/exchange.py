"""What goes over the wire and what comes back: requests, answers, counters. Nothing here opens a connection."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import IO, Any, Protocol
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec

from .bounded_json import TooCostly, decode
from .errors import Elsewhere, Malformed, NotAllowed, SignInWanted, TooLarge


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer. `headers` are lower-case; `seconds` is how long the platform took, by its own word if it says so."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    seconds: float
    decoded: Any = None

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The decoded body.

        Raises:
            Malformed: it is not JSON, whatever the status says.
            TooLarge: decoded, it would take more memory or more levels than an answer may.
        """
        if self.decoded is not None:
            return self.decoded
        if "json" not in self.media_type:
            raise Malformed(
                f"{place_of('', self.url)}: expected JSON, got {self.media_type or 'no content type'} with status {self.status}",
                hint="a login page, a proxy or a bot filter may stand in front of the platform",
                status=self.status,
            )
        try:
            return decode(self.body)
        except TooCostly as error:
            raise TooLarge(f"{place_of('', self.url)}: the JSON is {error}", status=self.status) from error
        except ValueError as error:
            raise Malformed(f"{place_of('', self.url)}: the JSON is cut or broken", status=self.status) from error


@dataclass(frozen=True, slots=True)
class Download:
    """A file as it came, at its beginning; it is on disk if it is large, and gone when the block that asked for it ends."""

    status: int
    headers: Mapping[str, str]
    url: str
    file: IO[bytes]

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Request:
    """One write as it goes out, and as a plan shows it: exactly one of `form` (pairs, in order) and `json`, or neither.

    A value in angle quotes, such as `‹authenticity_token›`, is only known in a session; a plan never holds a secret.
    """

    method: str
    path: str
    form: tuple[tuple[str, str], ...] | None = None
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def body(self) -> tuple[bytes | None, dict[str, str]]:
        """The encoded body and the headers that go with it."""
        if self.form is not None:
            return urlencode(self.form).encode(), {
                "Content-Type": "application/x-www-form-urlencoded",
                **self.headers,
            }
        if self.json is not None:
            return msgspec.json.encode(self.json), {"Content-Type": "application/json", **self.headers}
        return None, dict(self.headers)


@dataclass(slots=True)
class Stats:
    """What one transport has asked so far. `platform_seconds` is the time the platform worked for us."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    bytes: int = 0
    platform_seconds: float = 0.0
    waited_seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict[int, int])


@dataclass(frozen=True, slots=True)
class GraphQLResponse:
    """`data` may be None or partial; `errors` are as the platform sent them (a message may be an array)."""

    data: dict[str, Any] | None
    errors: list[Any]
    http: Response


class Transport(Protocol):
    """What a connector may ask of its instance. It keeps the pace, waits, and asks again by itself; `connectors.http` makes it.

    Every method raises the errors of `connectors.contract.errors` and nothing else, whatever the platform sends.
    """

    @property
    def url(self) -> str:
        """The address of the instance, without a slash at its end."""
        ...

    @property
    def stats(self) -> Stats:
        """What was asked so far."""
        ...

    async def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        redirects: bool = True,
        allow: frozenset[int] = frozenset(),
        json: bool = False,
    ) -> Response:
        """GET a path of the instance (or an address of an allowed host).

        `allow` are the statuses besides 2xx and 304 that the caller understands; a redirect that is not followed is returned.
        With `json` a 200 that is not whole JSON (a login page, a cut answer) is asked again before it is an error.

        Raises:
            Throttled, Unreachable, NotAllowed, NotFound, Malformed.
        """
        ...

    def download(self, path: str, *, headers: Mapping[str, str] | None = None) -> AbstractAsyncContextManager[Download]:
        """GET a file that is read piece by piece (`politeness.max_file_mb`), following redirects; a 304 brings an empty one.

        Raises:
            Throttled, Unreachable, NotAllowed, NotFound, Malformed.
        """
        ...

    async def post_json(
        self,
        path: str,
        body: Any,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        allow: frozenset[int] = frozenset(),
    ) -> Response:
        """POST JSON that only reads (it is repeated after a failure). Redirects are never followed; a 3xx is returned.

        Raises:
            Throttled, Unreachable, NotAllowed, NotFound, Malformed.
        """
        ...

    async def post_form(
        self, path: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> Response:
        """POST a form once, without repeating it and without following a redirect: signing in.

        Raises:
            Throttled, Unreachable, NotAllowed, NotFound, Malformed.
        """
        ...

    async def submit(self, request: Request) -> Response:
        """Send a write once: never repeated, no redirect followed. Every status below 500 but 429 is returned for the writer to judge.

        Raises:
            NotDone: it was never sent, or the platform asks to slow down (429, 503 with Retry-After).
            MaybeDone: it went out, and no answer, half an answer or a server error came back.
            NotAllowed: the address is not of a configured host.
        """
        ...

    async def graphql(
        self,
        path: str,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        variables_as_text: bool = False,
    ) -> GraphQLResponse:
        """Ask one GraphQL document. Partial data stays beside its errors: neither is ever dropped.

        `variables_as_text` sends the variables as a JSON string (CONSUL dialect A, docs/platforms/consul.md 1).

        Raises:
            NotAllowed: the platform answers with a redirect (to sign in).
            and whatever `post_json` raises.
        """
        ...

    def forget_cookies(self) -> None:
        """Start a new session."""
        ...


def place_of(method: str, url: str) -> str:
    """Method, host and path: what of a request may be told to anybody."""
    parts = urlsplit(url)
    return f"{method} {parts.hostname or ''}{parts.path}".strip()


_DEFAULT_PORT = {"https": 443, "http": 80}
_SIGN_IN = "/users/sign_in"


def site_of(url: str) -> tuple[str, int | None]:
    """The host and port that an address belongs to: another port is another host. The default ports of http and https are one site.

    Raises:
        ValueError: it is no address.
    """
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), None if parts.port == _DEFAULT_PORT.get(parts.scheme) else parts.port


def redirected(method: str, url: str, location: str | None, status: int) -> NotAllowed:
    """What a redirect that is not followed means: another address, signing in, or another path."""
    where = place_of(method, url)
    try:
        target = urljoin(url, location or "")
        parts, away = urlsplit(target), site_of(target) != site_of(url)
    except ValueError:
        return NotAllowed(f"{where}: redirected to what is no address", status=status)
    if away:
        port = f":{parts.port}" if parts.port else ""
        return Elsewhere(
            f"{where}: redirected to {parts.scheme}://{parts.hostname or ''}{port}, which is not one of the configured hosts",
            hint="if the site lives there now, set `url` to that address",
            status=status,
        )
    if parts.path.rstrip("/").endswith(_SIGN_IN):
        return SignInWanted(f"{where}: redirected to its sign-in page (status {status})", status=status)
    hint = "is `url` the address it is known by (https, www, another path)?"
    return NotAllowed(
        f"{where}: redirected to {parts.scheme}://{parts.hostname or ''}{parts.path} (status {status})",
        hint=hint,
        status=status,
    )


def is_loopback(url: str) -> bool:
    """Whether an address is this very machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
