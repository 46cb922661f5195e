"""The ways a platform, a proxy or a wire misbehaves, as rules that a test plants in a sandbox.

Rules decide, ready-made wrong answers are built and connections are broken here; it knows nothing of any platform and never sleeps
but through the `sleep` it is given.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, fields
from typing import Any

from .messages import Request, Response

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Answered without asking the platform.
INSTEAD = frozenset({"429", "429_retry_after", "500", "503", "html_200"})
# Answered at once by what stands before the platform, which gets the request `seconds` later: a queue, an overloaded gateway.
LATE = "late"
# Carried out on the connection, before or after the platform did its work.
WIRE = frozenset(
    {
        "cut_json",
        "cut_connection",
        "reset",
        "reset_after_store",
        "500_after_store",
        "timeout_after_store",
        "slow",
        "hang",
    }
)
KINDS = INSTEAD | WIRE | {LATE}

LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form action='/login' method='post'>"
    "<input name='user'><input name='password' type='password'></form></body></html>"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule.

    `match` and `body` are searched for in "METHOD path" and in the request's body; the first `after` matching requests are spared;
    `times` is how often it fires (None: always); `probability` is drawn for every matching request that is left.
    """

    kind: str
    match: str = ""
    body: str = ""
    after: int = 0
    times: int | None = 1
    probability: float = 1.0
    status: int | None = None
    retry_after: int | None = None
    seconds: float = 30.0

    @classmethod
    def parse(cls, rule: Any, kinds: frozenset[str]) -> Fault:
        """A rule from JSON.

        Raises:
            ValueError: it is not a rule, names no known kind or field, or has a broken pattern.
        """
        if not isinstance(rule, Mapping):
            raise ValueError("a fault is an object")
        given = {str(name): value for name, value in rule.items()}
        unknown = given.keys() - {one.name for one in fields(cls)}
        if unknown:
            raise ValueError(f"unknown fields of a fault: {', '.join(sorted(unknown))}")
        if given.get("kind") not in kinds:
            raise ValueError(f"unknown kind of fault {given.get('kind')!r}; there are {', '.join(sorted(kinds))}")
        try:
            fault = cls(**given)
            re.compile(fault.match)
            re.compile(fault.body)
        except (re.error, TypeError) as error:
            raise ValueError(f"broken fault: {error}") from error
        return fault


@dataclass
class Faults:
    """The rules planted now, and how often each has been met and has fired."""

    rng: random.Random
    rules: list[Fault] = field(default_factory=list[Fault])
    fired: Counter[str] = field(default_factory=Counter[str])
    _met: list[int] = field(default_factory=list[int])
    _done: list[int] = field(default_factory=list[int])

    def replace(self, rules: list[Fault]) -> None:
        """Plant these and forget the others."""
        self.rules, self._met, self._done = rules, [0] * len(rules), [0] * len(rules)

    def pick(self, request: Request) -> Fault | None:
        """The first rule that fires for this request; later rules do not see it."""
        line = f"{request.method} {request.path}"
        for index, rule in enumerate(self.rules):
            if not re.search(rule.match, line):
                continue
            if rule.body and not re.search(rule.body, request.body.decode("utf-8", "replace")):
                continue
            self._met[index] += 1
            if self._met[index] <= rule.after or (rule.times is not None and self._done[index] >= rule.times):
                continue
            if rule.probability < 1.0 and self.rng.random() >= rule.probability:
                continue
            self._done[index] += 1
            self.fired[rule.kind] += 1
            return rule
        return None


def instead(fault: Fault) -> Response:
    """The answer of a platform (or of what stands before it) that did not do what it was asked."""
    wait = [] if fault.retry_after is None else [("Retry-After", str(fault.retry_after))]
    match fault.kind:
        case "429":
            return Response.text("Retry later\n", fault.status or 429, content_type="text/plain")
        case "429_retry_after":
            return Response.text("Retry later\n", fault.status or 429, wait or [("Retry-After", "1")])
        case "503":
            page = "<!DOCTYPE html><html><body><h1>Down for maintenance</h1></body></html>"
            return Response.html(page, fault.status or 503, wait)
        case "late":
            page = "<html><head><title>504 Gateway Time-out</title></head><body><h1>504 Gateway Time-out</h1></body></html>"
            return Response.html(page, fault.status or 504, wait)
        case "html_200":
            return Response.html(LOGIN_PAGE, fault.status or 200)
        case _:
            page = "<!DOCTYPE html><html><body><h1>We're sorry, but something went wrong.</h1></body></html>"
            return Response.html(page, fault.status or 500, wait)


def cut(body: bytes) -> bytes:
    """The body without its end: never whole JSON again."""
    return body[: len(body) * 2 // 3]


def encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI takes them."""
    # HTTP header values are latin-1; what is not goes out as its UTF-8 bytes, as the platforms do.
    return [(re.sub(r"[^\x21-\x7e]", "", name).encode(), value.encode()) for name, value in headers]


class Wire:
    """The connection a request came on: how to break it, under uvicorn or in-process."""

    def __init__(self, receive: Receive, send: Send, sleep: Callable[[float], Awaitable[Any]]) -> None:
        self.send = send
        self._receive = receive
        self._sleep = sleep
        # uvicorn's `send` is a method of its request cycle, which knows the socket; any other server has no such thing.
        self._transport: Any = getattr(getattr(send, "__self__", None), "transport", None)

    @property
    def networked(self) -> bool:
        """Whether there is a socket that can be broken."""
        return self._transport is not None

    async def abort(self) -> None:
        """Drop the connection without a word.

        Raises:
            ConnectionResetError: in-process, where there is no connection to drop.
        """
        if not self.networked:
            raise ConnectionResetError("the sandbox reset the connection")
        self._transport.abort()
        await self._gone()

    async def hang(self) -> None:
        """Never answer.

        Raises:
            TimeoutError: in-process, where no client could ever give up.
        """
        if not self.networked:
            raise TimeoutError("the sandbox never answers")
        await self._gone()

    async def stay_silent(self, seconds: float) -> None:
        """Say nothing for so long, then drop the connection.

        Raises:
            TimeoutError: in-process, after waiting.
        """
        if not self.networked:
            await self._sleep(seconds)
            raise TimeoutError("the sandbox answered too late")
        waiting = {asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(self._gone())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        await self.abort()

    async def cut(self, response: Response) -> None:
        """Promise the whole body, send a part of it, and close.

        Raises:
            ConnectionResetError: in-process.
        """
        if not self.networked:
            raise ConnectionResetError("the sandbox cut the connection")
        headers = [*response.without("content-length").headers, ("Content-Length", str(len(response.body) + 1))]
        await self.send({"type": "http.response.start", "status": response.status, "headers": encoded(headers)})
        await self.send({"type": "http.response.body", "body": cut(response.body), "more_body": True})
        self._transport.close()
        await self._gone()

    async def _gone(self) -> None:
        # Returning before uvicorn has noticed would make it answer 500 into a dead connection.
        while (await self._receive())["type"] != "http.disconnect":
            pass
