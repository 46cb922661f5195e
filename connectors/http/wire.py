"""How long a platform took, by the machine's own network stack: this process may look at an answer long after it has come.

Where many instances are pulled side by side, an answer waits for its turn in this process. What our clock says then is partly our own
work, and a pause as long as that is no courtesy to anybody. Linux keeps for each connection how long ago data went out and came in.
"""

import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any, Final

from ...core.clock import Clock

_TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
_AGES: Final = struct.Struct("=44xI4xI")
"""Of Linux's `struct tcp_info`: milliseconds since data last went out, and since data last came in."""
_TICK: Final = 0.005
"""Seconds: the kernel counts no finer (250 ticks a second are usual)."""
_SILENT: Final = 0.05
"""Seconds after which a network stack that tells ages at all does not say zero of what went out before."""


class Wire:
    """Watches the connection of one exchange. It never fails: where nothing is told, what our own clock says stands."""

    def __init__(self, stream: Any, clock: Clock, began: float) -> None:
        """`stream`: what httpx calls the `network_stream` of a response, None for an answer that was never on a wire; `began`: when we
        set out to send the request, by `clock`."""
        self._socket: Any = None
        self._clock = clock
        self._began = began
        self._seconds: float | None = None
        if stream is not None and _TCP_INFO is not None:
            with contextlib.suppress(Exception):  # whatever a backend of somebody else's raises
                self._socket = stream.get_extra_info("socket")
        self.look()

    async def watched(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces of a body, each looked at as it comes: after the last one, the connection may be closed."""
        async for piece in pieces:
            self.look()
            yield piece

    def look(self) -> None:
        """Remember how long it took from the request's last byte until data last came in."""
        if self._socket is None or _TCP_INFO is None:
            return
        try:
            told = self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _AGES.size)
            since_sent, since_came = (age / 1000 for age in _AGES.unpack_from(told))
        except (OSError, ValueError, struct.error):
            self._socket = None  # closed, or no TCP
            return
        passed = self._clock.monotonic() - self._began
        if not since_sent and passed > _SILENT:
            self._socket = None
            return
        # Our own clock is finer, and holds wherever we were not late: neither in sending nor in looking.
        waited = since_sent if passed - since_sent > _TICK else passed
        self._seconds = max(0.0, min(waited, passed) - since_came)

    def seconds(self, elapsed: float) -> float:
        """The platform's part of the seconds that passed here; all of them where the network stack tells nothing."""
        return elapsed if self._seconds is None else min(self._seconds, elapsed)
