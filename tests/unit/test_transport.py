"""Polite, patient, strict and discreet: single exchanges, answered by respx."""

import httpx
import pytest
import respx

from civicsync.connectors.contract.errors import Malformed, NotAllowed, NotFound, Throttled, Unreachable
from civicsync.connectors.contract.settings import Politeness
from civicsync.connectors.http.transport import MAX_ATTEMPTS, HttpTransport
from civicsync.core.clock import FakeClock

URL = "https://participa.example"


def transport(clock: FakeClock, **options: object) -> HttpTransport:
    return HttpTransport(URL, clock=clock, user_agent="civicsync/test (+t@example.org)", **options)  # type: ignore[arg-type]


@respx.mock
async def test_retry_after_is_honoured(clock: FakeClock) -> None:
    route = respx.get(f"{URL}/x").mock(
        side_effect=[httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(200, json={"ok": True})]
    )
    async with transport(clock) as channel:
        answer = await channel.get("x", json=True)
    assert answer.json() == {"ok": True} and route.call_count == 2
    assert 7.0 in clock.slept and channel.stats.throttled == 1


@respx.mock
async def test_too_long_a_wait_ends_the_run_kindly(clock: FakeClock) -> None:
    respx.get(f"{URL}/x").mock(return_value=httpx.Response(429, headers={"Retry-After": "99999"}))
    async with transport(clock) as channel:
        with pytest.raises(Throttled, match="slow down"):
            await channel.get("x")
    assert channel.stats.requests == 1


@respx.mock
async def test_a_failing_server_is_asked_a_few_times_with_growing_pauses(clock: FakeClock) -> None:
    route = respx.get(f"{URL}/x").mock(return_value=httpx.Response(503))
    async with transport(clock) as channel:
        with pytest.raises(Unreachable, match="status 503"):
            await channel.get("x")
    assert route.call_count == MAX_ATTEMPTS and channel.stats.retries == MAX_ATTEMPTS - 1


@respx.mock
async def test_the_total_patience_is_limited(clock: FakeClock) -> None:
    route = respx.get(f"{URL}/x").mock(return_value=httpx.Response(429))
    async with transport(clock, politeness=Politeness(give_up_after=100)) as channel:
        with pytest.raises(Throttled):
            await channel.get("x")
    assert route.call_count <= 3


@respx.mock
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<form>"),
        httpx.Response(200, content=b'{"a": ', headers={"Content-Type": "application/json"}),
    ],
)
async def test_a_login_page_and_cut_json_are_asked_again_and_named(clock: FakeClock, answer: httpx.Response) -> None:
    route = respx.get(f"{URL}/x").mock(return_value=answer)
    async with transport(clock) as channel:
        with pytest.raises(Malformed):
            await channel.get("x", json=True)
    assert route.call_count == MAX_ATTEMPTS


@respx.mock
async def test_no_redirect_is_followed_on_post_nor_to_another_host(clock: FakeClock) -> None:
    respx.post(f"{URL}/api").mock(return_value=httpx.Response(302, headers={"Location": f"{URL}/users/sign_in"}))
    respx.get(f"{URL}/away").mock(return_value=httpx.Response(302, headers={"Location": "https://evil.example/"}))
    respx.get(f"{URL}/plain").mock(return_value=httpx.Response(301, headers={"Location": "http://participa.example/"}))
    async with transport(clock) as channel:
        with pytest.raises(NotAllowed, match="redirected"):
            await channel.graphql("api", "{a}")
        with pytest.raises(NotAllowed, match="not one of the configured hosts"):
            await channel.get("away")
        with pytest.raises(NotAllowed, match="plain http"):
            await channel.get("plain")
    assert respx.calls.call_count == 3


@respx.mock
async def test_one_request_at_a_time_with_a_pause_and_a_budget(clock: FakeClock) -> None:
    def slow(_: httpx.Request) -> httpx.Response:
        clock.advance(2.0)
        return httpx.Response(200)

    respx.get(f"{URL}/x").mock(side_effect=slow)
    async with transport(clock, requests_per_minute=3) as channel:
        for _ in range(5):
            await channel.get("x")
    assert clock.slept[:2] == [2.0, 2.0]
    assert max(clock.slept) > 40


@respx.mock
async def test_partial_data_and_odd_errors_of_graphql_survive(clock: FakeClock) -> None:
    odd = [{"message": [{"path": ["a"], "message": "kort"}], "extensions": {"code": "X"}}]
    respx.post(f"{URL}/api").mock(
        side_effect=[
            httpx.Response(200, json={"data": {"a": 1, "b": None}, "errors": odd}),
            httpx.Response(200, json={"data": None}),
            httpx.Response(200, json={"message": "Query string not present"}),
        ]
    )
    async with transport(clock) as channel:
        answer = await channel.graphql("api", "{a b}")
        assert (answer.data, answer.errors) == ({"a": 1, "b": None}, odd)
        assert (await channel.graphql("api", "{a b}")).data is None
        with pytest.raises(Malformed, match="not a GraphQL answer"):
            await channel.graphql("api", "{a b}")


@respx.mock
async def test_errors_are_discreet_and_answers_bounded(clock: FakeClock) -> None:
    respx.get(f"{URL}/secret").mock(return_value=httpx.Response(404, text="priv9f3a"))
    respx.get(f"{URL}/big").mock(return_value=httpx.Response(200, content=b"x" * 2_000_000))
    async with transport(clock, politeness=Politeness(max_response_mb=1)) as channel:
        with pytest.raises(NotFound) as caught:
            await channel.get("secret", params={"token": "hunter2"}, headers={"Authorization": "Bearer hunter2"})
        assert "hunter2" not in str(caught.value) and "priv9f3a" not in str(caught.value)
        with pytest.raises(Malformed, match="larger than 1 MB"):
            await channel.get("big")


@respx.mock
async def test_the_agent_is_honest_and_cookies_are_forgotten(clock: FakeClock) -> None:
    route = respx.get(f"{URL}/x").mock(return_value=httpx.Response(200, headers={"Set-Cookie": "locale=xx"}))
    async with transport(clock) as channel:
        await channel.get("x")
        await channel.get("x")
    assert route.calls[1].request.headers["User-Agent"].startswith("civicsync/")
    assert "cookie" not in route.calls[1].request.headers
