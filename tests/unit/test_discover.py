"""`discover` at a wrong address: told at once, with scheme, host, port and the likely mistake; at a right one, however it was typed."""

import asyncio
import io
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import typer

from civicsync.app.cli import common, discover
from civicsync.connectors.contract.errors import Unreachable
from civicsync.connectors.http.pace import Paces
from civicsync.connectors.http.transport import HttpTransport
from civicsync.connectors.registry import platforms, resolve
from civicsync.connectors.testing.sandbox.serve import running
from civicsync.core.clock import FakeClock
from tests.support.raw_server import raw_server


@contextmanager
def served(answer: Any) -> Iterator[str]:
    """A raw server in a thread of its own: the program brings its own loop."""
    ready, stop, found = threading.Event(), threading.Event(), list[str]()

    async def serve() -> None:
        async with raw_server(answer) as url:
            found.append(url)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=[serve()], daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield found[0]
    finally:
        stop.set()
        thread.join(10)


def told(monkeypatch: pytest.MonkeyPatch, address: str, code: int = 1) -> str:
    errors = io.StringIO()
    for module in (common, discover):
        monkeypatch.setattr(module, "err", common.Edge(file=errors, width=300, highlight=False))
    with pytest.raises(typer.Exit) as caught:
        discover.run(address, json=False)
    assert caught.value.exit_code == code
    return errors.getvalue()


@pytest.fixture
def closed() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


async def http_only() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def test_a_closed_port_is_told_at_once_with_scheme_host_and_port(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    said = told(monkeypatch, f"https://{closed}")
    assert f"cannot connect to https://{closed}: nothing listens there" in said
    assert said.count("cannot connect") == 1, "one line, not one for each platform"
    assert f"asking https://{closed}" in said, "not in silence"


@contextmanager
def web_server() -> Iterator[str]:
    """A server that answers whatever comes in plain HTTP, as real ones do."""

    class Quiet(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_https_on_a_port_of_http_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server() as url:
        said = told(monkeypatch, url.replace("http:", "https:"))
    assert "does not speak TLS" in said and f"this is http: try {url}" in said


def test_a_name_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    said = told(monkeypatch, "https://ideas.nowhere.example/a/b")
    assert "cannot connect to https://ideas.nowhere.example:443: there is no host of this name" in said
    assert "unforeseen" not in said


def test_another_site_is_told_as_one_and_its_start_page_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(http_only) as url:
        said = told(monkeypatch, f"{url}/deep/page")
    assert "something answers there" in said and "start page" in said
    assert f"asking {url}/deep/page and {url} …" in said
    for platform in platforms():
        assert f"  {platform}: " in said


@pytest.mark.parametrize("address", ["https://user:pw@ideas.example", "user:pw@ideas.example"])
def test_user_and_password_stay_out_of_it(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    said = told(monkeypatch, address, code=2)
    assert "leave user and password out" in said and "pw" not in said


@pytest.mark.parametrize("address", ["https://", "ftp://x.example", "http://[::1", "http://x.example:99999", "a b.c:/"])
def test_what_is_no_address_is_told(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    assert "is no address" in told(monkeypatch, address, code=2)


def test_the_platforms_are_asked_side_by_side() -> None:
    """Nobody is answered before all are there: one after the other would wait for each other's end."""
    there = list[None]()
    all_there = asyncio.Event()

    async def answer() -> AsyncIterator[bytes]:
        there.append(None)
        if len(there) >= len(platforms()):
            all_there.set()
        await asyncio.wait_for(all_there.wait(), 15)
        async for piece in http_only():
            yield piece

    with served(answer) as url:
        candidates = [(resolve(each), {"platform": each, "url": url}) for each in platforms()]
        found, failed = asyncio.run(discover._discover(candidates, "test"))  # pyright: ignore[reportPrivateUsage]
    assert all_there.is_set()
    assert (
        found is None
        and {each.platform for each in failed} == set(platforms())
        and all(each.reached for each in failed)
    )


@pytest.mark.parametrize("platform", ["consul", "decidim", "your-priorities"])
def test_an_address_is_understood_however_it_was_typed(capsys: Any, platform: str) -> None:
    connector = resolve(platform)
    assert connector.sandbox is not None
    with running(connector.sandbox(version=connector.versions[-1], size=5)) as url:
        for typed in (url, url.removeprefix("http://"), f"{url}/some/page?x=1#here"):
            discover.run(typed, json=True)
            found = capsys.readouterr().out
            assert f'"platform": "{platform}"' in found and f'"url": "{url}"' in found


# Pulls ------------------------------------------------------------------------------------------------------------------


async def asked(url: str) -> int:
    """How many attempts a question took that never connects."""
    clock = FakeClock()
    async with HttpTransport(url, clock=clock, user_agent="test", paces=Paces()) as transport:
        with pytest.raises(Unreachable):
            await transport.get("x")
        return transport.stats.requests


async def test_what_cannot_heal_is_not_asked_again(closed: str) -> None:
    assert await asked(f"http://{closed}") == 1
    with web_server() as url:
        assert await asked(url.replace("http:", "https:")) == 1


async def test_a_server_that_answered_before_and_is_away_is_asked_again(closed: str) -> None:
    async with raw_server(http_only) as url:
        transport = HttpTransport(url, clock=FakeClock(), user_agent="test", paces=Paces())
        await transport.get("x", allow=frozenset({404}))
    with pytest.raises(Unreachable):
        await transport.get("x")
    assert transport.stats.requests > 2
    await transport.aclose()
