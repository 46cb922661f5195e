"""A sandbox on a real loopback port: for the `sandbox` command (until interrupted) and for tests (in a thread).

It prints nothing: the caller says where the sandbox is. uvicorn is an extra, imported only when something is to be served.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .sandbox import CONTROL, Sandbox

if TYPE_CHECKING:
    from uvicorn import Server

# A client that a fault keeps waiting must not keep the sandbox from stopping.
GRACE_SECONDS = 1
START_SECONDS = 30.0


class MissingExtra(RuntimeError):
    """uvicorn is not installed."""


def describe(sandbox: Sandbox, url: str) -> dict[str, Any]:
    """Where a sandbox is, how to connect to it and where to control it."""
    return {"url": url, "instance": sandbox.instance_block(url), "control": f"{url}{CONTROL}"}


def serve(
    sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0, ready: Callable[[str], Any] = lambda url: None
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` gets the address once it answers.

    Raises:
        MissingExtra: uvicorn is not installed.
        OSError: the port is taken.
    """
    with _bound(host, port) as (bound, url):
        server = _server(sandbox, lambda: ready(url))

        def stop(*_: object) -> None:
            server.should_exit = True

        with _signals(stop):
            _run(server, bound)


@contextmanager
def running(sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> Generator[str]:
    """The address of a sandbox that is served by a thread of this process while the block runs.

    Raises:
        MissingExtra: uvicorn is not installed.
        RuntimeError: it did not start.
    """
    with _bound(host, port) as (bound, url):
        started = threading.Event()
        server = _server(sandbox, started.set)
        thread = threading.Thread(target=_run, args=(server, bound), name="sandbox", daemon=True)
        thread.start()
        try:
            if not started.wait(START_SECONDS):
                raise RuntimeError("the sandbox did not start")
            yield url
        finally:
            server.should_exit = True
            thread.join()


def _server(sandbox: Sandbox, ready: Callable[[], Any]) -> Server:
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("serving a sandbox needs uvicorn: pip install 'civicsync[sandbox]'") from error

    class Quiet(uvicorn.Server):
        """Leaves signals to the caller (uvicorn would raise them again after stopping) and says when it listens."""

        @contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                ready()

    app: Any = sandbox  # uvicorn's own types of ASGI messages are finer than any application needs
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        # A traceback of the sandbox itself is logged by the sandbox; uvicorn's words about broken connections are noise here.
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return Quiet(config)


def _run(server: Server, bound: socket.socket) -> None:
    asyncio.run(_serve(server, bound))


async def _serve(server: Server, bound: socket.socket) -> None:
    """Serve until told to stop; connections that outlive the grace period are closed before their loop is gone."""
    try:
        await server.serve(sockets=[bound])
    finally:
        for connection in list(server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)


@contextmanager
def _bound(host: str, port: int) -> Generator[tuple[socket.socket, str]]:
    """A socket of our own: its port is known before the server starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, so that asyncio sends small pieces at once, as real servers do: else every answer waits 40 ms for an acknowledgement.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        yield bound, f"http://{shown}:{bound.getsockname()[1]}"


@contextmanager
def _signals(stop: Callable[..., None]) -> Generator[None]:
    """Call `stop` on SIGINT and SIGTERM while the block runs; signals reach only the main thread, elsewhere this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
