"""The seconds that a platform is told to have worked are its own: not those in which this process had something else to do."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncGenerator

import pytest

from civicsync.connectors.http import wire as wires
from civicsync.connectors.http.transport import HttpTransport
from civicsync.connectors.http.wire import Wire
from civicsync.core.clock import Clock, FakeClock

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ndone"


class Socket:
    """A connection of which the kernel tells these ages, in milliseconds."""

    def __init__(self, *ages: tuple[int, int]) -> None:
        self.ages = list(ages)

    def get_extra_info(self, _: str) -> "Socket":
        return self

    def getsockopt(self, *_: int) -> bytes:
        if not self.ages:
            raise OSError("closed")
        sent, came = self.ages.pop(0)
        return bytes(44) + sent.to_bytes(4, "little") + bytes(4) + came.to_bytes(4, "little")


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Linux, wherever this runs."""
    monkeypatch.setattr(wires, "_TCP_INFO", 11)


def looked(passed: float, *ages: tuple[int, int]) -> float:
    """The platform's part of `passed` seconds in one look."""
    clock = FakeClock()
    began = clock.monotonic()
    clock.advance(passed)
    return Wire(Socket(*ages), clock, began).seconds(passed)


def test_what_an_answer_waited_for_us_is_not_the_platforms() -> None:
    assert looked(1.0, (1000, 900)) == pytest.approx(0.1)


def test_what_the_request_waited_for_us_is_not_the_platforms() -> None:
    assert looked(1.0, (300, 0)) == pytest.approx(0.3)


def test_our_own_finer_clock_holds_where_we_were_not_late() -> None:
    assert looked(0.0317, (32, 0)) == pytest.approx(0.0317)
    assert looked(0.0317, (28, 0)) == pytest.approx(0.0317)


@pytest.mark.parametrize("ages", [(), ((0, 0),)])
def test_a_network_stack_that_tells_nothing_leaves_what_our_clock_says(ages: tuple[tuple[int, int], ...]) -> None:
    assert looked(0.4, *ages) == 0.4


def test_whatever_is_told_it_is_no_more_than_passed_and_no_less_than_nothing() -> None:
    assert looked(0.4, (900, 0)) == 0.4
    assert looked(0.4, (100, 300)) == 0.0


def test_what_was_never_on_a_wire_took_as_long_as_it_took() -> None:
    assert Wire(None, FakeClock(), 0.0).seconds(0.4) == 0.4


async def test_the_last_piece_counts_also_where_the_connection_is_closed_after_it() -> None:
    clock = FakeClock()

    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(2):
            clock.advance(0.5)
            yield b"x"

    watch = Wire(Socket((0, 0), (500, 0), (1000, 200)), clock, 0.0)
    assert [piece async for piece in watch.watched(pieces())] == [b"x", b"x"]
    watch.look()
    assert watch.seconds(3.0) == pytest.approx(0.8)


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux tells")
async def test_a_busy_process_is_not_a_slow_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's count cannot be injected, so this process really is busy: from before the answer is sent until long after."""
    monkeypatch.undo()
    loop, held, answered = asyncio.get_running_loop(), threading.Event(), threading.Event()

    def busy() -> None:
        held.set()
        answered.wait(10)
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            pass

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            loop.call_soon_threadsafe(busy)
            held.wait(10)
            connection.sendall(ANSWER)
            answered.set()
            connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        served = loop.run_in_executor(None, serve)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with HttpTransport(url, clock=Clock(), user_agent="t") as transport:
            began = time.monotonic()
            answer = await transport.get("/")
            passed = time.monotonic() - began
        await served
    assert answer.body == b"done"
    assert transport.stats.platform_seconds < passed - 0.25, (
        "what this process did meanwhile was told as the platform's"
    )
