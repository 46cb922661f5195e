"""The pace of a host: one request at a time, a pause as long as the last answer, so many requests a minute.

It belongs to the host and not to a client: every transport of this process that asks the same host shares it, be it a pull, a session
that publishes, or both at once. A host that asks for a rest is left alone by all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from ...core.clock import Clock

_DEFAULT_PORT = {"https": 443, "http": 80}


class MustRest(Exception):
    """The host asked for a longer rest than the asker may wait: `seconds` are left of it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.0f} s")
        self.seconds = seconds


class Pace:
    """The pace of one host. Times are those of one clock; turns are taken in the order of asking."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._rest_until = 0.0
        self._asked_to_rest_until = 0.0
        self._limits: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        # A lock belongs to one event loop; what the host is owed does not end with a loop.
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    def limit(self, asker: object, per_minute: int | None) -> None:
        """At most so many requests in any minute, as long as the asker is there; of several limits the smallest holds."""
        if per_minute is None:
            self._limits.pop(asker, None)
        else:
            self._limits[asker] = per_minute

    @contextlib.asynccontextmanager
    async def turn(
        self, clock: Clock, *, patience: float, on_wait: Callable[[float], None] | None = None
    ) -> AsyncGenerator[None]:
        """The right to send one request and read its answer; waits for it. Nobody may hold it and ask for another one of the same host.

        Raises:
            MustRest: the host asked for a rest that lasts longer than `patience`.
        """
        lock = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with lock:
            rest = self._asked_to_rest_until - clock.monotonic()
            if rest > patience:
                raise MustRest(rest)
            wait = self._ready(clock.monotonic()) - clock.monotonic()
            if wait > 0:
                if on_wait is not None:
                    on_wait(wait)
                await clock.sleep(wait)
            self._recent.append(clock.monotonic())
            yield

    def pause(self, until: float) -> None:
        """After an answer: nobody asks before this moment."""
        self._rest_until = max(self._rest_until, until)

    def rest(self, until: float) -> None:
        """The host itself asked to be left alone until this moment."""
        self._asked_to_rest_until = max(self._asked_to_rest_until, until)

    def _ready(self, now: float) -> float:
        while self._recent and self._recent[0] <= now - 60:
            self._recent.popleft()
        ready = max(self._rest_until, self._asked_to_rest_until)
        per_minute = min(self._limits.values(), default=None)
        if per_minute is not None and len(self._recent) >= per_minute:
            ready = max(ready, self._recent[-per_minute] + 60)
        return ready


class Paces:
    """The paces of all hosts, by host and port."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Any, dict[tuple[str, Any], Pace]] = WeakKeyDictionary()

    def of(self, url: str, clock: Clock, backend: Any = None) -> Pace:
        """The pace of the host of an address. `backend`: what answers instead of the network is a host of its own."""
        # All clocks of the machine tell the same time; any other one only its own.
        timekeeper: Any = Clock if type(clock) is Clock else clock
        hosts = self._of.setdefault(timekeeper, {})
        return hosts.setdefault((host_of(url), None if backend is None else _Same(backend, hosts)), Pace())


class _Same:
    """A backend as a key: by identity, for as long as it is there; then what is known of it goes with it.

    A toy city holds all its people and texts: kept for ever, a thousand of them fill the memory of whatever makes them in turn.
    """

    def __init__(self, backend: Any, hosts: dict[tuple[str, Any], Pace]) -> None:
        self._hash = id(backend)

        def forget(_: Any) -> None:
            for key in [each for each in hosts if each[1] is not None and each[1]() is None]:
                hosts.pop(key, None)

        self._backend = weakref.ref(backend, forget)

    def __call__(self) -> Any:
        """The backend; None when it is gone."""
        return self._backend()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and (other is self or (other() is not None and other() is self()))

    def __hash__(self) -> int:
        return self._hash


def host_of(url: str) -> str:
    """Host and port of an address, as one word."""
    parts = urlsplit(url)
    return f"{parts.hostname or ''}:{parts.port or _DEFAULT_PORT.get(parts.scheme, 0)}".lower()


PACES = Paces()
"""The paces of this process."""
