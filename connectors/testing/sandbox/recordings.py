"""Recorded exchanges with real installations: the judges of sandboxes and connectors.

A comparison looks at what matters to a client: status, telling headers, the JSON's keys, types and nulls, and the exact texts of
errors. It is never loosened to get a green run; an exception is named in the test with its reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from ..messages import Request, Response, request_from

_TELLING = ("retry-after", "www-authenticate", "allow")


@dataclass(frozen=True, slots=True)
class Recording:
    """One exchange. `response` is None where the server never answered."""

    name: str
    note: str | None
    request: dict[str, Any]
    response: dict[str, Any] | None

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers, lower-case."""
        raw: Any = (self.response or {}).get("headers") or {}
        pairs = raw.items() if isinstance(raw, dict) else raw
        return {str(name).lower(): str(value) for name, value in pairs}

    @property
    def json(self) -> Any:
        """The answer's JSON, or None."""
        return (self.response or {}).get("json")

    def asked(self) -> Request:
        """The request as a sandbox takes it."""
        body = self.request.get("body")
        headers = dict(self.request.get("headers") or {})
        if isinstance(body, list) and body and all(isinstance(p, list) and len(p) == 2 for p in body):
            body = urlencode([(str(a), str(b)) for a, b in body])
        return request_from(self.request["method"], self.request["path"], headers, body)


def load(file: Path) -> list[Recording]:
    """All recordings of a JSON Lines file."""
    return [msgspec.json.decode(line, type=Recording) for line in file.read_bytes().splitlines() if line.strip()]


def compare(recording: Recording, response: Response, *, values: bool = False) -> list[str]:
    """What differs; empty when the sandbox answered alike."""
    expected = recording.response
    if expected is None:
        return ["the real server never answered"]
    found: list[str] = []
    if response.status != expected["status"]:
        return [f"status {response.status}, real {expected['status']}"]
    found.extend(_headers(recording, response))
    if expected.get("json") is not None:
        try:
            own = msgspec.json.decode(response.body)
        except msgspec.DecodeError:
            return [*found, "no JSON"]
        wrong = bool(isinstance(expected["json"], dict) and ("errors" in expected["json"] or response.status >= 400))
        found.extend(_difference(expected["json"], own, "", values or (wrong and "data" not in expected["json"])))
        if wrong and "data" in expected["json"]:
            found.extend(_difference(expected["json"].get("errors"), own.get("errors"), ".errors", True))
    elif expected.get("text") is not None and "html" not in recording.headers.get("content-type", ""):
        text = response.body.decode("utf-8", "replace")
        if text.strip() != str(expected["text"]).strip() and "REDACTED" not in str(expected["text"]):
            found.append(f"text {text[:60]!r}, real {str(expected['text'])[:60]!r}")
    return found


def _headers(recording: Recording, response: Response) -> Iterator[str]:
    real = recording.headers
    kind = real.get("content-type", "").partition(";")[0]
    own = (response.header("content-type") or "").partition(";")[0]
    if kind != own and (recording.response or {}).get("status") not in {204, 304}:
        yield f"content type {own!r}, real {kind!r}"
    for name in _TELLING:
        if real.get(name) != response.header(name):
            yield f"{name} {response.header(name)!r}, real {real.get(name)!r}"
    if "location" in real:
        mine = response.header("location") or ""
        if urlsplit(mine).path != urlsplit(real["location"]).path:
            yield f"location {mine!r}, real {real['location']!r}"
    cookie = real.get("set-cookie", "").partition("=")[0]
    mine = (response.header("set-cookie") or "").partition("=")[0]
    if cookie != mine:
        yield f"cookie {mine!r}, real {cookie!r}"


def _difference(real: Any, own: Any, where: str, values: bool) -> Iterator[str]:
    if isinstance(real, dict):
        if not isinstance(own, dict):
            yield f"{where or '.'}: {type(own).__name__}, real object"
            return
        if list(real) != list(own) and set(real) != set(own):
            yield f"{where or '.'}: keys {sorted(set(own) ^ set(real))} differ"
        for name in real:
            if name in own:
                yield from _difference(real[name], own[name], f"{where}.{name}", values)
    elif isinstance(real, list):
        if not isinstance(own, list):
            yield f"{where}: {type(own).__name__}, real list"
            return
        if len(real) != len(own):
            yield f"{where}: {len(own)} entries, real {len(real)}"
        for index, (a, b) in enumerate(zip(real, own, strict=False)):
            yield from _difference(a, b, f"{where}[{index}]", values)
    elif (real is None) != (own is None) or (type(real) is not type(own) and real is not None):
        yield f"{where}: {own!r}, real {real!r}"[:300]
    elif values and real != own:
        yield f"{where}: {own!r}, real {real!r}"[:400]
