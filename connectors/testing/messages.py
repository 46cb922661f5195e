"""One HTTP request and one answer as plain values: what a sandbox reads and what it says.

Only the parts of HTTP the three platforms' interfaces lean on (forms, cookies, JSON as Rails writes it, gzip, weak ETags). It opens no
connection and knows no framework; nothing of the product may import it.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode

import msgspec

Headers = Iterable[tuple[str, str]]
_RAILS = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"), ("\u2028".encode(), b"\\u2028"))


@dataclass(frozen=True, slots=True)
class Upload:
    """One part of a multipart body; `filename` is None for an ordinary field."""

    name: str
    filename: str | None
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked. `headers` are lower-case, `host` is the Host header as sent (port included), `path` is decoded."""

    method: str
    path: str
    query: dict[str, list[str]]
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    host: str
    scheme: str

    @classmethod
    def of(
        cls,
        method: str,
        path: str,
        *,
        raw_query: str = "",
        headers: Headers = (),
        body: bytes = b"",
        scheme: str = "http",
    ) -> Request:
        """A request from its parts; X-Forwarded-Proto decides the scheme, as behind the platforms' own proxies."""
        joined: dict[str, str] = {}
        for name, value in headers:
            key = name.lower()
            joined[key] = f"{joined[key]}{'; ' if key == 'cookie' else ', '}{value}" if key in joined else value
        return cls(
            method=method.upper(),
            path=path,
            query=parse_qs(raw_query, keep_blank_values=True),
            raw_query=raw_query,
            headers=joined,
            body=body,
            host=joined.get("host", ""),
            scheme=joined.get("x-forwarded-proto", scheme),
        )

    @property
    def media_type(self) -> str:
        """The content type without its parameters, lower-case; empty when none was sent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies as sent, undecoded: a session cookie must come back byte for byte."""
        pairs = (pair.strip().partition("=") for pair in self.headers.get("cookie", "").split(";"))
        return {name: value for name, equals, value in pairs if equals}

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is not JSON.
        """
        return msgspec.json.decode(self.body)

    def fields(self) -> list[tuple[str, str]]:
        """The form's fields in the order they were sent; files are left to `uploads`."""
        if self.media_type == "multipart/form-data":
            return [
                (part.name, part.body.decode("utf-8", "replace")) for part in self.uploads() if part.filename is None
            ]
        if self.media_type == "application/x-www-form-urlencoded":
            return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        return []

    def form(self) -> dict[str, list[str]]:
        """The form by field name; empty when the body is not a form."""
        found: dict[str, list[str]] = {}
        for name, value in self.fields():
            found.setdefault(name, []).append(value)
        return found

    def uploads(self) -> list[Upload]:
        """Every part of a multipart body."""
        boundary = _header("content-type", self.headers.get("content-type", "")).get_boundary()
        if boundary is None:
            return []
        # A leading line break makes the first delimiter look like all others.
        chunks = (b"\r\n" + self.body).split(b"\r\n--" + boundary.encode())
        return [part for chunk in chunks[1:] if not chunk.startswith(b"--") and (part := _part(chunk))]

    def param(self, name: str, default: str | None = None) -> str | None:
        """The last value of a parameter, of the query or else of the form (as Rails and Express look it up)."""
        values = self.query.get(name) or self.form().get(name)
        return values[-1] if values else default

    def accepts(self, media_type: str) -> bool:
        """Whether the Accept header names exactly this type."""
        return any(part.partition(";")[0].strip() == media_type for part in self.headers.get("accept", "").split(","))


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value.replace("\r", " ").replace("\n", " ")
    return message


def _part(chunk: bytes) -> Upload | None:
    head, blank, body = chunk.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not blank:
        return None
    message = HeaderParser().parsestr(head.decode("utf-8", "replace"))
    name = message.get_param("name", header="content-disposition")
    if name is None:
        return None
    return Upload(collapse_rfc2231_value(name), message.get_filename(), message.get_content_type(), body)


@dataclass(frozen=True, slots=True)
class Response:
    """What the platform answers. `Content-Length` and `Date` are added when it is sent."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def json(
        cls,
        value: Any,
        status: int = 200,
        headers: Headers = (),
        *,
        rails: bool = False,
        content_type: str = "application/json; charset=utf-8",
    ) -> Response:
        """JSON; with `rails` the characters HTML cares about are escaped, as ActiveSupport does."""
        body = msgspec.json.encode(value)
        if rails:
            # Outside of strings JSON has none of these characters, so replacing bytes is safe.
            for plain, escaped in (*_RAILS, ("\u2029".encode(), b"\\u2029")):
                body = body.replace(plain, escaped)
        return cls(status, [("Content-Type", content_type), *headers], body)

    @classmethod
    def text(
        cls, body: str, status: int = 200, headers: Headers = (), *, content_type: str = "text/plain; charset=utf-8"
    ) -> Response:
        """Plain text, or another text type."""
        return cls(status, [("Content-Type", content_type), *headers], body.encode())

    @classmethod
    def html(cls, body: str, status: int = 200, headers: Headers = ()) -> Response:
        """A page."""
        return cls.text(body, status, headers, content_type="text/html; charset=utf-8")

    @classmethod
    def redirect(cls, location: str, status: int = 302, headers: Headers = (), *, body: str = "") -> Response:
        """A redirect with an HTML (often empty) body."""
        return cls.html(body, status, [("Location", location), *headers])

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def headers_named(self, name: str) -> list[str]:
        """All headers of this name, e.g. Set-Cookie."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def adding(self, name: str, value: str) -> Response:
        """The same answer with one header more."""
        return replace(self, headers=[*self.headers, (name, value)])

    def without(self, *names: str) -> Response:
        """The same answer without these headers."""
        dropped = {name.lower() for name in names}
        return replace(self, headers=[pair for pair in self.headers if pair[0].lower() not in dropped])

    def with_etag(self, request: Request) -> Response:
        """A weak ETag on a 200 of GET or HEAD, and 304 without a body when the client has it already."""
        if self.status != 200 or request.method not in {"GET", "HEAD"}:
            return self
        tag = weak_etag(self.body)
        tagged = self.without("etag").adding("ETag", tag)
        if not etag_matches(request.headers.get("if-none-match"), tag):
            return tagged
        return replace(tagged.without("content-type", "content-length"), status=304, body=b"")

    def gzipped(self, request: Request) -> Response:
        """The same answer compressed, if the client takes gzip and there is something to compress."""
        if not self.body or self.header("content-encoding") or not accepts_gzip(request):
            return self
        vary = ", ".join([*self.headers_named("vary"), "Accept-Encoding"])
        packed = replace(self, body=gzip.compress(self.body, 6, mtime=0)).without("vary", "content-length")
        return packed.adding("Content-Encoding", "gzip").adding("Vary", vary)


def weak_etag(body: bytes) -> str:
    """A weak validator of these bytes, in the form Rack writes."""
    return f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'


def etag_matches(if_none_match: str | None, tag: str) -> bool:
    """Weak comparison with an If-None-Match header."""
    if not if_none_match:
        return False
    held = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in held or tag.removeprefix("W/") in held


def accepts_gzip(request: Request) -> bool:
    """Whether the client takes gzip (a weight of zero refuses it)."""
    for offer in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = offer.strip().partition(";")
        if coding.strip() in {"gzip", "*"} and weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            return True
    return False


def request_from(
    method: str, target: str, headers: Mapping[str, str], body: Any = None, *, scheme: str = "https"
) -> Request:
    """A request from what a recording holds: `target` with its query; a body of text, of JSON, or as {"form"} or {"multipart"} pairs."""
    path, _, query = target.partition("?")
    request = Request.of(method, unquote(path), raw_query=query, headers=headers.items(), scheme=scheme)
    return replace(request, body=_wire_body(request, body))


def _wire_body(request: Request, body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, dict) and body.keys() == {"form"}:
        return urlencode([(str(name), "" if value is None else str(value)) for name, value in body["form"]]).encode()
    if isinstance(body, dict) and body.keys() == {"multipart"}:
        boundary = _header("content-type", request.headers.get("content-type", "")).get_boundary() or "boundary"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{"" if value is None else value}\r\n'
            for name, value in body["multipart"]
        ]
        return f"{''.join(parts)}--{boundary}--\r\n".encode()
    return msgspec.json.encode(body)
