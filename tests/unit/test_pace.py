"""The pace belongs to the host: whoever asks it, one request at a time, and a rest that one was asked for is everybody's."""

import asyncio
import gc
import weakref

import httpx
import pytest
import respx

from civicsync.connectors.contract.errors import NotDone, Throttled
from civicsync.connectors.contract.exchange import Request
from civicsync.connectors.contract.settings import Politeness
from civicsync.connectors.http.pace import MustRest, Pace, Paces, host_of
from civicsync.connectors.http.transport import HttpTransport
from civicsync.core.clock import Clock, FakeClock

URL = "https://participa.example"
LATE = Politeness(give_up_after=100)


def transport(clock: Clock, paces: Paces, url: str = URL, **options: object) -> HttpTransport:
    return HttpTransport(url, clock=clock, user_agent="civicsync/test", paces=paces, **options)  # type: ignore[arg-type]


@respx.mock
async def test_two_transports_ask_one_host_one_at_a_time(clock: FakeClock) -> None:
    asking = most = 0

    async def slow(_: httpx.Request) -> httpx.Response:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        for _ in range(5):
            await asyncio.sleep(0)
        clock.advance(2.0)
        asking -= 1
        return httpx.Response(200)

    respx.get(f"{URL}/x").mock(side_effect=slow)
    respx.get("https://other.example/x").mock(side_effect=slow)
    paces = Paces()
    async with transport(clock, paces) as pulling, transport(clock, paces, keep_cookies=True) as session:
        await asyncio.gather(*(each.get("x") for each in (pulling, session, pulling, session)))
        assert most == 1
        assert clock.slept == [2.0, 2.0, 2.0]
        async with transport(clock, paces, "https://other.example") as elsewhere:
            await asyncio.gather(pulling.get("x"), elsewhere.get("x"))
        assert most == 2


@respx.mock
async def test_this_machine_is_asked_one_at_a_time_without_a_pause(clock: FakeClock) -> None:
    asking = most = 0

    async def slow(_: httpx.Request) -> httpx.Response:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        await asyncio.sleep(0)
        clock.advance(2.0)
        asking -= 1
        return httpx.Response(200)

    respx.get("http://127.0.0.1:3000/x").mock(side_effect=slow)
    paces = Paces()
    async with (
        transport(clock, paces, "http://127.0.0.1:3000") as one,
        transport(clock, paces, "http://127.0.0.1:3000") as other,
    ):
        await asyncio.gather(one.get("x"), other.get("x"), one.get("x"))
    assert most == 1 and clock.slept == []


@respx.mock
async def test_the_smallest_limit_of_a_minute_holds_for_all(clock: FakeClock) -> None:
    respx.get(f"{URL}/x").mock(return_value=httpx.Response(200))
    paces = Paces()
    async with transport(clock, paces) as free, transport(clock, paces, requests_per_minute=3) as bound:
        for each in (free, bound, free):
            await each.get("x")
        assert clock.slept == []
        await free.get("x")
        assert clock.slept == [60.0] and free.stats.waited_seconds == 60.0


@respx.mock
async def test_everybody_waits_when_a_host_asks_for_a_rest(clock: FakeClock) -> None:
    respx.get(f"{URL}/x").mock(
        side_effect=[httpx.Response(429, headers={"Retry-After": "50"}), *[httpx.Response(200)] * 3]
    )
    respx.post(f"{URL}/w").mock(return_value=httpx.Response(429, headers={"Retry-After": "70"}))
    paces = Paces()
    async with transport(clock, paces) as one, transport(clock, paces) as other:
        await asyncio.gather(one.get("x"), other.get("x"))
        assert clock.monotonic() >= 50
        before = clock.monotonic()
        with pytest.raises(NotDone) as caught:
            await one.submit(Request("POST", "w"))
        assert caught.value.wait == 70
        await other.get("x")
        assert clock.monotonic() >= before + 70


@respx.mock
async def test_a_rest_longer_than_patience_is_told_without_asking(clock: FakeClock) -> None:
    route = respx.get(f"{URL}/x").mock(return_value=httpx.Response(429, headers={"Retry-After": "5000"}))
    paces = Paces()
    async with transport(clock, paces, politeness=LATE) as one, transport(clock, paces, politeness=LATE) as other:
        with pytest.raises(Throttled):
            await one.get("x")
        with pytest.raises(Throttled, match="a while ago"):
            await other.get("x")
        with pytest.raises(NotDone) as caught:
            await other.submit(Request("POST", "w"))
        assert caught.value.wait == 5000
        assert route.call_count == 1 and clock.slept == []


def test_what_a_host_is_owed_does_not_end_with_a_loop() -> None:
    clock, pace = FakeClock(), Pace()

    async def ask() -> None:
        async with pace.turn(clock, patience=100):
            clock.advance(1.0)
        pace.pause(clock.monotonic() + 5)

    async def many() -> None:
        await asyncio.gather(*(ask() for _ in range(3)))

    asyncio.run(many())
    asyncio.run(many())
    assert clock.slept == [5.0] * 5


async def test_who_gives_up_or_fails_leaves_the_turn_to_the_next(clock: FakeClock) -> None:
    pace = Pace()
    held = asyncio.Event()

    async def hold() -> None:
        async with pace.turn(clock, patience=100):
            held.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(hold())
    await held.wait()
    task.cancel()
    async with pace.turn(clock, patience=100):
        pass
    with pytest.raises(ZeroDivisionError):
        async with pace.turn(clock, patience=100):
            raise ZeroDivisionError
    pace.rest(clock.monotonic() + 101)
    with pytest.raises(MustRest):
        async with pace.turn(clock, patience=100):
            pass
    async with pace.turn(clock, patience=102):
        assert clock.monotonic() == 101


def test_a_host_is_known_by_name_and_port_and_a_backend_is_a_host_of_its_own() -> None:
    paces, backend, other = Paces(), FakeClock(), FakeClock()
    of = lambda url, clock, behind=None: paces.of(url, clock, behind)  # noqa: E731
    assert host_of("https://A.example/x") == host_of("https://a.example:443") == "a.example:443"
    # The clocks of the machine are one; any other is told apart.
    assert of(URL, Clock()) is of(f"{URL}/y", Clock())
    assert of(URL, FakeClock()) is not of(URL, FakeClock())
    assert of(URL, Clock(), backend) is of(URL, Clock(), backend) is not of(URL, Clock())
    assert of(URL, Clock(), other) is not of(URL, Clock(), backend)


def test_what_is_known_of_a_backend_goes_with_it() -> None:
    class City:
        """What answers instead of a network."""

    paces, city = Paces(), City()
    there = weakref.ref(city)
    known = weakref.ref(paces.of(URL, Clock(), city))
    assert known() is not None
    del city
    gc.collect()
    assert there() is None
    assert known() is None
