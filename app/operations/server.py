"""`/health`, `/ready`, `/metrics` and `/feed.atom` over HTTP, in threads of their own, so that they answer also while the loop does not.

Nothing can be changed by them. They listen on loopback unless the configuration says otherwise; whoever asks slowly or too much is let go.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ...core.schema.failures import DatabaseError
from .alerts import feed
from .health import Health
from .metrics import Metrics

_PATIENCE = 5.0
"""Seconds for one question and its answer."""
_AT_ONCE = 8
_PLAIN = "text/plain; charset=utf-8"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16

    def __init__(
        self, address: tuple[str, int], metrics: Metrics, health: Health, ask_feed: Callable[[], bytes] | None
    ) -> None:
        self.metrics = metrics
        self.health = health
        self.ask_feed = ask_feed
        self.asking = threading.Lock()
        self.room = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Answer)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up is nobody's trouble."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Answer(BaseHTTPRequestHandler):
    timeout = _PATIENCE
    protocol_version = "HTTP/1.0"
    server_version = "civicsync"
    sys_version = ""

    @property
    def _server(self) -> _Server:
        assert isinstance(self.server, _Server)
        return self.server

    def do_GET(self) -> None:
        health = self._server.health
        match self.path.partition("?")[0]:
            case "/health":
                self._told(health.alive())
            case "/ready":
                self._told(health.unready())
            case "/metrics":
                self._send(200, _TEXT, self._server.metrics.page())
            case "/feed.atom" if self._server.ask_feed is not None:
                self._feed(self._server.ask_feed)
            case _:
                self._send(404, _PLAIN, b"here are /health, /ready, /metrics and /feed.atom\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _feed(self, ask: Callable[[], bytes]) -> None:
        try:
            with self._server.asking:  # however many ask at once, the database is asked by one
                found = ask()
        except (SQLAlchemyError, DatabaseError, OSError):
            self._send(503, _PLAIN, b"the database does not answer\n")
        else:
            self._send(200, feed.TYPE, found)

    def _told(self, why: str) -> None:
        body = {"ok": not why, **({"why": why} if why else {})}
        self._send(503 if why else 200, "application/json", json.dumps(body).encode() + b"\n")

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody wants a line for each."""


def split_address(listen: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9464` or `[::1]:9464`."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


@contextlib.contextmanager
def serving(
    listen: str, metrics: Metrics, health: Health, ask_feed: Callable[[], bytes] | None = None
) -> Generator[str]:
    """Answer for as long as the block lasts; gives the address that it listens on. `ask_feed`: makes the Atom feed; it may raise.

    Raises:
        OSError: the address is taken, or is none of this machine.
    """
    host, port = split_address(listen)
    server = (_Server6 if ":" in host else _Server)((host, port), metrics, health, ask_feed)
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), name="civicsync-operations", daemon=True)
    thread.start()
    shown = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{shown}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(2)
