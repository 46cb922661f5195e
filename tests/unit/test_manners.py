"""How a platform is asked that is busy, moved, or guarded: never faster than by our own measure, never with a password for another host."""

import base64
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest
import respx

from civicsync.connectors.consul.api import Api as ConsulApi
from civicsync.connectors.consul.dialects import DIALECTS
from civicsync.connectors.consul.settings import ConsulSettings
from civicsync.connectors.contract.errors import (
    ConnectorError,
    Elsewhere,
    MaybeDone,
    NotAllowed,
    SignInWanted,
    Throttled,
    Unreachable,
)
from civicsync.connectors.contract.exchange import Request
from civicsync.connectors.contract.reading import Context
from civicsync.connectors.contract.settings import Politeness
from civicsync.connectors.decidim.api import Api as DecidimApi
from civicsync.connectors.decidim.settings import DecidimSettings
from civicsync.connectors.http.pace import Paces
from civicsync.connectors.http.transport import MAX_ATTEMPTS, HttpTransport
from civicsync.connectors.your_priorities.api import Api as YourPrioritiesApi
from civicsync.core.clock import FakeClock

URL = "https://participa.example"


def transport(clock: FakeClock, url: str = URL) -> HttpTransport:
    return HttpTransport(url, clock=clock, user_agent="civicsync/test", paces=Paces())


@respx.mock
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", ["0", "past", "-5", "NaN", "²", "0.0001", ""])
async def test_no_wait_at_all_means_our_own_back_off(clock: FakeClock, status: int, asked: str) -> None:
    value = format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True) if asked == "past" else asked
    route = respx.get(f"{URL}/x").mock(return_value=httpx.Response(status, headers=[(b"Retry-After", value.encode())]))
    began = clock.monotonic()
    async with transport(clock) as channel:
        with pytest.raises(Throttled):
            await channel.get("x")
    assert route.call_count <= MAX_ATTEMPTS
    assert clock.monotonic() - began >= 0.5 + 1 + 2 + 4 + 8, "as long as it would have waited by itself"


@respx.mock
async def test_a_short_wait_is_no_shorter_than_our_own(clock: FakeClock) -> None:
    respx.get(f"{URL}/x").mock(return_value=httpx.Response(503, headers={"Retry-After": "1"}))
    began = clock.monotonic()
    async with transport(clock) as channel:
        with pytest.raises(Throttled):
            await channel.get("x")
    assert clock.monotonic() - began >= 15


@respx.mock
@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524])
async def test_what_may_pass_is_asked_again(clock: FakeClock, status: int) -> None:
    respx.get(f"{URL}/x").mock(side_effect=[httpx.Response(status), httpx.Response(200, json=1)])
    respx.post(f"{URL}/y").mock(return_value=httpx.Response(status))
    async with transport(clock) as channel:
        assert (await channel.get("x", json=True)).json() == 1
        with pytest.raises(MaybeDone):
            await channel.submit(Request("POST", "y"))


@respx.mock
@pytest.mark.parametrize(
    "away",
    [
        "https://elsewhere.example/x",
        "https://participa.example:8443/x",
        "http://participa.example:81/x",
        "//other/x",
        "ftp://participa.example:21/x",
    ],
)
async def test_a_password_follows_no_redirect_to_another_host_or_port(clock: FakeClock, away: str) -> None:
    respx.route(url__startswith=f"{URL}/").mock(return_value=httpx.Response(302, headers={"Location": away}))
    other = respx.route().mock(return_value=httpx.Response(200, json={"release": "2.5.1"}))
    async with transport(clock) as channel:
        settings = ConsulSettings.model_validate(
            {"platform": "consul", "url": URL, "basic_auth_user": "city", "basic_auth_password": "sesame"}
        )
        api = ConsulApi(Context("c", settings, channel, str, clock), settings)
        for ask in (lambda: api.release(), lambda: api.ask("{a}", DIALECTS["C"]), lambda: api.page_of("1")):
            with pytest.raises(NotAllowed) as caught:
                await ask()
            assert "sesame" not in str(caught.value)
        with pytest.raises(NotAllowed):
            await channel.get("https://participa.example:8443/x")
    assert not other.called
    sent = base64.b64encode(b"city:sesame").decode()
    assert all(
        call.request.url.host == "participa.example" for call in respx.calls if sent in str(call.request.headers)
    )


@respx.mock
async def test_the_default_ports_of_a_site_are_one_host(clock: FakeClock) -> None:
    respx.get("http://participa.example/x").mock(return_value=httpx.Response(301, headers={"Location": f"{URL}:443/x"}))
    respx.get(f"{URL}/x").mock(return_value=httpx.Response(200, json=1))
    async with transport(clock, "http://participa.example:80") as channel:
        assert (await channel.get("x")).json() == 1


async def told(clock: FakeClock, platform: str) -> ConnectorError:
    async with transport(clock) as channel:
        if platform == "decidim":
            settings = DecidimSettings.model_validate({"platform": "decidim", "url": URL})
            asked = DecidimApi(Context("d", settings, channel, str, clock), settings).ask("{a}")
        elif platform == "consul":
            own = ConsulSettings.model_validate({"platform": "consul", "url": URL})
            asked = ConsulApi(Context("c", own, channel, str, clock), own).ask("{a}", DIALECTS["C"])
        else:
            asked = YourPrioritiesApi(channel).get("api/domains")
        with pytest.raises(ConnectorError) as caught:
            await asked
        return caught.value


@respx.mock
@pytest.mark.parametrize("platform", ["decidim", "consul", "your-priorities"])
async def test_another_host_a_filter_and_a_sign_in_page_have_words_of_their_own(
    clock: FakeClock, platform: str
) -> None:
    route = respx.route().mock(
        return_value=httpx.Response(301, headers={"Location": "https://elsewhere.example/api?token=sesame"})
    )
    moved = await told(clock, platform)
    assert isinstance(moved, Elsewhere) and "https://elsewhere.example" in str(moved) and "`url`" in moved.hint
    assert "sign_in" not in str(moved) and "sesame" not in str(moved)
    route.mock(return_value=httpx.Response(403, html="<h1>Access denied</h1>"))
    filtered = await told(clock, platform)
    assert "User-Agent" in filtered.hint and "operator" in filtered.hint and "sign_in" not in str(filtered)
    route.mock(return_value=httpx.Response(302, headers={"Location": f"{URL}/ca/maintenance"}))
    assert "sign_in" not in str(await told(clock, platform))
    route.mock(return_value=httpx.Response(302, headers={"Location": f"{URL}/users/sign_in"}))
    signing = await told(clock, platform)
    assert isinstance(signing, SignInWanted) and (platform != "decidim" or "sign_in: true" in signing.hint)


@respx.mock
async def test_a_proxy_s_own_failure_is_the_server_s(clock: FakeClock) -> None:
    respx.get(f"{URL}/x").mock(return_value=httpx.Response(522))
    async with transport(clock) as channel:
        with pytest.raises(Unreachable, match="status 522"):
            await channel.get("x")


@respx.mock
async def test_patience_is_of_the_whole_run(clock: FakeClock) -> None:
    """Many broken parts cost no more of it than one: what fails after that fails at once, what answers is read all the same."""
    respx.get(f"{URL}/good").mock(return_value=httpx.Response(200, json=1))
    broken = respx.get(url__startswith=f"{URL}/broken").mock(return_value=httpx.Response(500))
    began = clock.monotonic()
    async with HttpTransport(
        URL, clock=clock, user_agent="x", paces=Paces(), politeness=Politeness(give_up_after=60)
    ) as channel:
        for part in range(100):
            with pytest.raises(Unreachable):
                await channel.get(f"broken/{part}")
        assert (await channel.get("good", json=True)).json() == 1
    assert clock.monotonic() - began < 66
    assert broken.call_count < 130
