"""Why no connection came about, in words that name scheme, host and port, with the likely mistake; and whether it may heal by itself."""

import errno
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class NoConnection:
    """What to tell. `heals`: the same again may work in a moment."""

    words: str
    hint: str
    heals: bool


def no_connection(error: BaseException, url: str) -> NoConnection:
    """What a failed connection says."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    where = f"{parts.scheme}://{parts.hostname}:{port}"
    for each in _behind(error):
        if isinstance(each, socket.gaierror):
            if each.errno == socket.EAI_AGAIN:
                return NoConnection(
                    f"cannot connect to {where}: no name server answers", "is this machine online?", True
                )
            return NoConnection(
                f"cannot connect to {where}: there is no host of this name", "is the address spelt right?", False
            )
        if isinstance(each, ssl.SSLError):
            return _tls(each, where, parts.hostname or "", port)
        if isinstance(each, ConnectionRefusedError) or getattr(each, "errno", None) == errno.ECONNREFUSED:
            other = "http" if parts.scheme == "https" else "https"
            return NoConnection(
                f"cannot connect to {where}: nothing listens there",
                f"is the site up, and is it {other} or another port?",
                False,
            )
        if getattr(each, "errno", None) in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
            return NoConnection(
                f"cannot connect to {where}: there is no way to that host", "is this machine online?", True
            )
    return NoConnection(f"cannot connect to {where} ({_reason(error)})", "is the address right?", True)


def _tls(error: ssl.SSLError, where: str, host: str, port: int) -> NoConnection:
    reason = str(error.reason or "")
    if reason in {
        "WRONG_VERSION_NUMBER",
        "UNKNOWN_PROTOCOL",
        "HTTP_REQUEST",
        "RECORD_LAYER_FAILURE",
        "PACKET_LENGTH_TOO_LONG",
    }:
        shown = "" if port == 80 else f":{port}"
        return NoConnection(
            f"cannot connect to {where}: what answers there does not speak TLS",
            f"this is http: try http://{host}{shown}",
            False,
        )
    return NoConnection(
        f"cannot connect to {where}: no encrypted connection came about ({reason or 'no reason was told'})",
        "its operator can tell which TLS versions it speaks",
        False,
    )


def _behind(error: BaseException) -> Iterator[BaseException]:
    """The error and all that stand behind it, groups opened."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [
            *(each.exceptions if isinstance(each, BaseExceptionGroup) else ()),
            each.__cause__,
            each.__context__,
        ]


def _reason(error: BaseException) -> str:
    return str(error).split("\n", 1)[0][:120] or type(error).__name__
