"""Between a claim and its request only the lease itself can say that it is too late: it is asked when a request's turn has come."""

import httpx
import pytest
import respx

from civicsync.connectors.contract.exchange import Request
from civicsync.connectors.http.pace import Paces
from civicsync.connectors.http.transport import HttpTransport
from civicsync.core.clock import FakeClock
from civicsync.core.leases import LeaseLost

URL = "https://participa.example"


@respx.mock
async def test_a_request_is_not_sent_when_the_lease_is_lost(clock: FakeClock) -> None:
    route = respx.route(url=f"{URL}/x").mock(return_value=httpx.Response(200, json={}))
    lost = False

    def check() -> None:
        if lost:
            raise LeaseLost("lost")

    paces = Paces()
    async with HttpTransport(
        URL, clock=clock, user_agent="civicsync/test", paces=paces, before_request=check
    ) as channel:
        await channel.get("x")
        lost = True
        with pytest.raises(LeaseLost):
            await channel.get("x")
        with pytest.raises(LeaseLost):
            await channel.submit(Request("POST", "x"))
        with pytest.raises(LeaseLost):
            await channel.post_json("x", {})
    assert route.call_count == 1
    assert channel.stats.requests == 1, "it is not counted either"


@respx.mock
async def test_a_lease_that_is_lost_while_waiting_for_a_turn_is_seen(clock: FakeClock) -> None:
    """The check is after the wait, not before it."""
    answers = [httpx.Response(429, headers={"Retry-After": "60"}), httpx.Response(200)]
    route = respx.get(f"{URL}/x").mock(side_effect=answers)

    def check() -> None:
        if clock.monotonic() >= 60:
            raise LeaseLost("lost")

    paces = Paces()
    async with HttpTransport(
        URL, clock=clock, user_agent="civicsync/test", paces=paces, before_request=check
    ) as channel:
        with pytest.raises(LeaseLost):
            await channel.get("x")
    assert route.call_count == 1
