"""What the platforms' sandboxes share: the ASGI application, its control, its faults and its counters.

A subclass is the platform: `handle` turns one request into one answer, in plain Python and in memory. Nothing here sleeps (waiting goes
through the injected `sleep`), opens a connection, or prints; nothing of the product may depend on it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

from ....core.clock import Clock
from ..faults import INSTEAD, KINDS, LATE, Fault, Faults, Message, Receive, Send, Wire, cut, encoded, instead
from ..messages import Request, Response

Operation = Callable[..., Any]

CONTROL = "/_sandbox"
_log = logging.getLogger("civicsync.sandbox")


@dataclass
class SandboxStats:
    """What was asked of a sandbox since the last reset; requests to the control do not count."""

    requests: int = 0
    by_prefix: Counter[str] = field(default_factory=Counter[str])
    statuses: Counter[int] = field(default_factory=Counter[int])
    charged_seconds: float = 0.0
    bytes_out: int = 0
    log: deque[str] = field(default_factory=lambda: deque[str](maxlen=1000))

    def count(self, request: Request) -> None:
        """Note that this was asked."""
        self.requests += 1
        steps = [":id" if step.isdigit() else step for step in request.path.split("/")[1:3]]
        self.by_prefix[f"{request.method} /{'/'.join(steps)}"] += 1
        query = f"?{request.raw_query}" if request.raw_query else ""
        self.log.append(f"{request.method} {request.path}{query}")


@dataclass
class _Change:
    due: int
    op: str
    arguments: dict[str, Any]


class NoAnswer(Exception):
    """What `handle` raises where the real platform never answers; the client is left waiting, as by the fault `hang`."""


class Sandbox(ABC):
    """One platform with a seeded city in memory, as an ASGI application.

    Options: `clock` says what time it is on the platform; `charge` adds X-Runtime with the virtual seconds that `handle` charged;
    `gzip` compresses for clients that take it; `sleep` is how faults wait.
    """

    platform: ClassVar[str]
    default_version: ClassVar[str] = ""
    extra_faults: ClassVar[frozenset[str]] = frozenset()
    """Kinds of faults that this platform's `mangle` knows, e.g. {"empty_list"}."""

    def __init__(
        self,
        *,
        version: str | None = None,
        seed: int = 1,
        size: int = 100,
        clock: Callable[[], datetime] | None = None,
        charge: bool = False,
        gzip: bool = False,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self.version = version or self.default_version
        self.seed = seed
        self.size = size
        self.clock: Callable[[], datetime] = clock or Clock().now
        self.rng = random.Random(f"{seed}:platform")
        self.stats = SandboxStats()
        # A generator of its own: planting a fault must not change what the platform does by chance.
        self.faults = Faults(random.Random(f"{seed}:faults"))
        self._charging = charge
        self._gzip = gzip
        self._sleep = sleep
        self._charged = 0.0
        self._seen = 0
        self._changes: list[_Change] = []
        self._late: list[tuple[datetime, Request]] = []

    # What a platform says of itself

    @abstractmethod
    def handle(self, request: Request) -> Response:
        """Answer one request as the platform would; an exception is a bug of the sandbox, never a platform's 500."""

    @abstractmethod
    def truth(self) -> dict[str, Any]:
        """What the database really holds: {"proposals": [{"id", "kind", "title", "state", "supports", "comments", "public", "author"}]}."""

    @abstractmethod
    def instance_block(self, url: str) -> dict[str, Any]:
        """The configuration block that connects to this sandbox at `url` with the right to write."""

    @abstractmethod
    def operations(self) -> Mapping[str, Operation]:
        """Named changes; each takes JSON keyword arguments and returns JSON. Wrong arguments raise ValueError, KeyError or TypeError."""

    @abstractmethod
    def plant_private_data(self) -> list[str]:
        """Put private data wherever the real platform may serve it; returns the tokens that must never reach the database."""

    def load_recorded(self, version: str) -> None:
        """Replace the city by the state the recordings of this version were made on.

        Raises:
            ValueError: there are none of it.
        """
        raise ValueError(f"{self.platform} has no recorded state of {version}")

    def mangle(self, kind: str, request: Request, response: Response) -> Response:
        """Turn a right answer into a wrong one for a kind of `extra_faults`."""
        return response

    # What a platform may call

    def charge(self, seconds: float) -> None:
        """Say what the real platform would have spent on this request; virtual."""
        self._charged += seconds
        self.stats.charged_seconds += seconds

    def plant(self, *faults: Fault) -> None:
        """Replace the faults (the Python twin of POST /_sandbox/faults).

        Raises:
            ValueError: an unknown kind.
        """
        for fault in faults:
            if fault.kind not in KINDS | self.extra_faults:
                raise ValueError(f"unknown kind of fault {fault.kind!r}")
        self.faults.replace(list(faults))

    def change(self, op: str, **arguments: Any) -> Any:
        """Run a named change now.

        Raises:
            ValueError: no such operation.
        """
        known = self.operations()
        if op not in known:
            raise ValueError(f"unknown operation {op!r}; there are {', '.join(sorted(known))}")
        return known[op](**arguments)

    def deliver(self) -> None:
        """Let arrive what a gateway held back and hands on by now (the fault `late`); every request does, and a look from outside."""
        now = self.clock()
        due = [request for at, request in self._late if at <= now]
        self._late = [(at, request) for at, request in self._late if at > now]
        for request in due:
            self._unless_silent(request)

    def schedule(self, after: int, op: str, **arguments: Any) -> None:
        """Run a named change just before the `after`-th request from now (1: the next one).

        Raises:
            ValueError: no such operation, or `after` is below 1.
        """
        if op not in self.operations() or after < 1:
            raise ValueError(f"cannot schedule {op!r} before request {after}")
        self._changes.append(_Change(self._seen + after, op, arguments))

    def answer(self, request: Request) -> Response:
        """`handle` with what the base adds to it (X-Runtime), without counting and without faults."""
        self._charged = 0.0
        response = self.handle(request)
        return response.adding("X-Runtime", f"{self._charged:.6f}") if self._charging else response

    def report(self) -> dict[str, Any]:
        """The counters, as JSON."""
        stats = self.stats
        return {
            "requests": stats.requests,
            "by_prefix": dict(stats.by_prefix),
            "statuses": {str(status): count for status, count in stats.statuses.items()},
            "faults": dict(self.faults.fired),
            "charged_seconds": round(stats.charged_seconds, 6),
            "bytes_out": stats.bytes_out,
            "log": list(stats.log),
        }

    def reset_stats(self) -> None:
        """Count from zero again; faults and scheduled changes stay."""
        self.stats = SandboxStats()
        self.faults.fired.clear()

    # The ASGI application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            request = await _read(scope, receive)
            if request is None:
                return
            if request.path == CONTROL or request.path.startswith(f"{CONTROL}/"):
                await _send(send, request, self._control(request))
            else:
                await self._serve(request, Wire(receive, send, self._sleep))

    async def _serve(self, request: Request, wire: Wire) -> None:
        self._seen += 1
        self.stats.count(request)
        fault: Fault | None = None
        try:
            self._apply_changes()
            self.deliver()
            fault = self.faults.pick(request)
            response = await self._answer_with(fault, request, wire)
        except Exception:
            # In-process the test sees the exception; over the network a traceback in the log is all there is.
            if not wire.networked:
                raise
            _log.exception("the sandbox failed at %s %s", request.method, request.path)
            response = Response.text("the sandbox itself failed; see its log\n", 500)
        if response is None:
            return
        short = fault is not None and fault.kind == "cut_connection"
        response = self._finished(request, response)
        self.stats.statuses[response.status] += 1
        self.stats.bytes_out += len(response.body)
        if short:
            await wire.cut(response)
        else:
            await _send(wire.send, request, response)

    async def _answer_with(self, fault: Fault | None, request: Request, wire: Wire) -> Response | None:
        """The answer, or None when the client gets none."""
        if fault is None:
            response = self._unless_silent(request)
            return response if response is not None else await wire.hang()
        kind = fault.kind
        if kind == LATE:
            self._late.append((self.clock() + timedelta(seconds=fault.seconds), request))
            return instead(fault)
        if kind in INSTEAD:
            return instead(fault)
        if kind == "reset":
            return await wire.abort()
        if kind == "hang":
            return await wire.hang()
        if kind == "slow":
            await self._sleep(fault.seconds)
        response = self._unless_silent(request)
        if response is None:
            return await wire.hang()
        if kind == "reset_after_store":
            return await wire.abort()
        if kind == "timeout_after_store":
            return await wire.stay_silent(fault.seconds)
        if kind == "500_after_store":
            return instead(fault)
        if kind == "cut_json":
            return replace(response.without("content-length", "etag"), body=cut(response.body))
        return response if kind in KINDS else self.mangle(kind, request, response)

    def _unless_silent(self, request: Request) -> Response | None:
        try:
            return self.answer(request)
        except NoAnswer:
            return None

    def _apply_changes(self) -> None:
        due = [change for change in self._changes if change.due <= self._seen]
        self._changes = [change for change in self._changes if change.due > self._seen]
        for change in due:
            self.change(change.op, **change.arguments)

    def _finished(self, request: Request, response: Response) -> Response:
        if self._gzip:
            response = response.gzipped(request)
        if response.header("date") is None:
            response = response.adding("Date", format_datetime(self.clock(), usegmt=True))
        return response

    # The control

    def _control(self, request: Request) -> Response:
        step = f"{request.method} {request.path.removeprefix(CONTROL).strip('/')}"
        try:
            return self._controlled(step, request)
        except (ValueError, KeyError, TypeError, LookupError) as error:
            return Response.json({"error": f"{type(error).__name__}: {error}"}, 400)

    def _controlled(self, step: str, request: Request) -> Response:
        match step:
            case "GET truth":
                self.deliver()
                return Response.json(self.truth())
            case "GET stats":
                return Response.json(self.report())
            case "POST reset_stats":
                self.reset_stats()
            case "POST change":
                wanted = _object(request.json())
                return Response.json({"result": self.change(str(wanted.pop("op", "")), **wanted)})
            case "POST faults":
                kinds = KINDS | self.extra_faults
                self.faults.replace([Fault.parse(rule, kinds) for rule in _list(request.json())])
            case "DELETE faults":
                self.faults.replace([])
            case "POST schedule":
                for wanted in [_object(one) for one in _list(request.json())]:
                    self.schedule(int(wanted.pop("after", 1)), str(wanted.pop("op", "")), **wanted)
            case "DELETE schedule":
                self._changes.clear()
            case _:
                return Response.json({"error": f"the control has no {step}"}, 404)
        return Response.json({"ok": True})


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    return {str(name): one for name, one in value.items()}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("expected a list")
    return list(value)


async def _read(scope: Message, receive: Receive) -> Request | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return Request.of(
        scope["method"],
        scope["path"],
        raw_query=scope["query_string"].decode("latin-1"),
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        body=bytes(body),
        scheme=scope["scheme"],
    )


async def _send(send: Send, request: Request, response: Response) -> None:
    headers = response.without("content-length").headers
    if response.status not in {204, 304}:
        headers = [*headers, ("Content-Length", str(len(response.body)))]
    body = b"" if request.method == "HEAD" or response.status in {204, 304} else response.body
    await send({"type": "http.response.start", "status": response.status, "headers": encoded(headers)})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
