"""What goes over the wire and what comes back: requests, answers, counters. Nothing here opens a connection."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from .errors import Malformed


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
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed(f"{place_of('', self.url)}: the JSON is cut or broken", status=self.status) from error


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


def place_of(method: str, url: str) -> str:
    parts = urlsplit(url)
    return f"{method} {parts.hostname or ''}{parts.path}".strip()


def is_loopback(url: str) -> bool:
    """Whether an address is this very machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
