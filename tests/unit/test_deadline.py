"""An exchange ends by a clock, however steadily its answer comes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from civicsync.connectors.contract.errors import MaybeDone, Unreachable
from civicsync.connectors.contract.exchange import Request
from civicsync.connectors.contract.settings import Politeness
from civicsync.connectors.http.pace import Paces
from civicsync.connectors.http.transport import MAX_ATTEMPTS, HttpTransport
from civicsync.core.clock import FakeClock
from tests.support.raw_server import raw_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"


class Deadline:
    """Deadlines that pass when the test says so, and never by themselves."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._last: asyncio.Timeout | None = None

    def __call__(self, seconds: float) -> asyncio.Timeout:
        self.asked.append(seconds)
        self._last = asyncio.timeout(None)
        return self._last

    def passes(self) -> None:
        assert self._last is not None
        self._last.reschedule(asyncio.get_running_loop().time())


async def _head(deadline: Deadline) -> AsyncIterator[bytes]:
    for byte in range(100):
        yield HEAD[byte % 50 : byte % 50 + 1]
        await asyncio.sleep(0)
        if byte == 30:
            deadline.passes()


async def _headers(deadline: Deadline) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X: y\r\n"
        await asyncio.sleep(0)
        deadline.passes()


async def _informed(deadline: Deadline) -> AsyncIterator[bytes]:
    for number in range(1000):
        yield b"HTTP/1.1 103 Early Hints\r\n\r\n"
        await asyncio.sleep(0)
        if number == 50:
            deadline.passes()


async def _body(deadline: Deadline) -> AsyncIterator[bytes]:
    yield HEAD
    for number in range(1000):
        yield b" "
        await asyncio.sleep(0)
        if number == 50:
            deadline.passes()


@pytest.mark.parametrize("answer", [_head, _headers, _informed, _body])
async def test_an_answer_that_drips_is_given_up(clock: FakeClock, answer: object) -> None:
    deadline = Deadline()
    async with (
        raw_server(lambda: answer(deadline)) as url,  # type: ignore[operator]
        HttpTransport(
            url,
            clock=clock,
            user_agent="civicsync/test",
            paces=Paces(),
            within=deadline,
            politeness=Politeness(deadline=77, timeout=5),
        ) as channel,
    ):
        with pytest.raises(Unreachable, match="not whole after 77 s"):
            await channel.get("x", json=True)
        assert deadline.asked == [77] * MAX_ATTEMPTS
        with pytest.raises(MaybeDone, match="may be stored"):
            await channel.submit(Request("POST", "x", json={"a": 1}))
