"""Telling systemd that the process is ready, reloads, stops, and lives: a datagram to `$NOTIFY_SOCKET`. Without one nothing is done."""

import contextlib
import os
import socket
import time
from collections.abc import Mapping

_MICRO = 1_000_000


class Notifier:
    """What a service manager is told. A word that cannot be delivered is no trouble of ours."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """`environment`: instead of that of the process (tests)."""
        given = os.environ if environment is None else environment
        self._address = given.get("NOTIFY_SOCKET", "")
        own = given.get("WATCHDOG_PID", "")
        limit = given.get("WATCHDOG_USEC", "")
        mine = not own or own == str(os.getpid())
        self.watchdog: float | None = int(limit) / _MICRO if limit.isdigit() and int(limit) and mine else None
        """Seconds within which a sign of life is expected; None where nobody expects one."""

    def tell(self, *lines: str) -> None:
        """Send assignments such as `READY=1`, all in one datagram."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.connect(address)
            out.sendall("\n".join(lines).encode())

    def ready(self, status: str) -> None:
        """It does its work."""
        self.tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is read again; `ready` follows."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """It ends what is at hand, and then itself."""
        self.tell("STOPPING=1", "STATUS=stopping after the page or the write at hand")

    def alive(self) -> None:
        """A sign of life, for the watchdog."""
        if self.watchdog is not None:
            self.tell("WATCHDOG=1")
