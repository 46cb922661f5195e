"""Decidim's doors: sites that force everybody to sign in, OAuth by consent, API credentials, accounts that cannot get in."""

import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from civicsync.connectors.contract.errors import CannotDo, ConnectorError, NotAllowed, NotDone, NotLetIn
from civicsync.connectors.contract.reading import PullRequest
from civicsync.connectors.contract.writing import AnswerDraft, Draft, LocalText, WriteContext
from civicsync.connectors.decidim import CONNECTOR, VERSIONS
from civicsync.connectors.decidim.oauth import load_tokens, new_verifier, oauth_exchange, oauth_login_url, save_tokens
from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.decidim.sandbox.accounts import CLIENT, REDIRECT
from civicsync.connectors.decidim.settings import DecidimSettings
from civicsync.connectors.decidim.writer import DecidimWriter
from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.memory import MemoryStore
from civicsync.connectors.testing.writing import writing
from civicsync.core.clock import FakeClock
from civicsync.core.records import State

SPACE = "component/1"
MARKER = "[civicsync:elders/proposal/31~k7q2mhd4x3zp5t6a]"
TEXT = LocalText("Meer bomen in de Kerkstraat", "", f"Er is te weinig schaduw.\n\n{MARKER}")
DRAFT = Draft("nl", {"nl": TEXT}, MARKER, "participant")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_site_that_forces_sign_in_is_read_with_a_session(version: str) -> None:
    clock = FakeClock()
    sandbox = DecidimSandbox(version=version, size=20, clock=clock.now)
    sandbox.change("switch", forced_sign_in=True)
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        with pytest.raises(NotAllowed, match="sign_in"):
            await reader.probe()
    async with reading(CONNECTOR, sandbox, clock=clock, sign_in=True) as (reader, _):
        probe = await reader.probe()
        store = MemoryStore()
        async for page in reader.pull(PullRequest(probe=probe, stored=store)):
            await store.apply(page, reader)
        public = [r for r in sandbox.truth()["proposals"] if r["public"] and r["kind"] == "proposal"]
        assert set(store.alive("proposal")) >= {f"proposal/{r['id']}" for r in public}
    async with reading(CONNECTOR, sandbox, clock=clock, sign_in=True, password="wrong") as (reader, _):
        with pytest.raises(ConnectorError):
            await reader.probe()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_site_that_forces_sign_in_is_written_to(version: str) -> None:
    clock = FakeClock()
    sandbox = DecidimSandbox(version=version, size=20, clock=clock.now)
    sandbox.change("switch", forced_sign_in=True)
    async with writing(CONNECTOR, sandbox, clock=clock, sign_in=True) as (writer, _):
        await writer.limits(SPACE, "participant")
        copy = await writer.create(SPACE, DRAFT)
        assert await writer.read(copy) is not None


@asynccontextmanager
async def granted(
    tmp_path: Path, scopes: str = "user api:read api:write", **settings: Any
) -> AsyncIterator[tuple[DecidimSandbox, DecidimWriter, FakeClock, Path]]:
    """A writer that has only OAuth, after a person consented in a browser."""
    clock, file = FakeClock(), tmp_path / "tokens" / "toy.json"
    sandbox = DecidimSandbox(version="0.32", size=20, clock=clock.now)
    more: dict[str, Any] = {"oauth_client_id": CLIENT[0], "oauth_client_secret": CLIENT[1], "oauth_tokens": str(file)}
    async with writing(CONNECTOR, sandbox, clock=clock, email=None, password=None, **more, **settings) as (
        writer,
        context,
    ):
        assert isinstance(writer, DecidimWriter)
        settings = writer.settings
        verifier = new_verifier()
        url = oauth_login_url(settings, REDIRECT, "state-1", verifier)
        code = await consent(context, sandbox, url.replace("user+api%3Aread+api%3Awrite", urlencode({"s": scopes})[2:]))
        tokens = await oauth_exchange(context.session, clock, settings, code, REDIRECT, verifier)
        save_tokens(file, tokens)
        yield sandbox, writer, clock, file


async def consent(context: WriteContext, sandbox: DecidimSandbox, url: str) -> str:
    """What a person does in a browser: sign in, look at the page, agree."""
    session = sandbox.accounts.start(sandbox.accounts.by_email("robot@toy.example"))
    headers = {"Cookie": f"_session_id={session.key}"}
    page = await context.session.get(url, headers=headers, redirects=False)
    assert "state-1" in page.text
    query = {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
    form = {**query, "authenticity_token": session.secret}
    agreed = await context.session.post_form("oauth/authorize", form, headers=headers)
    back = parse_qs(urlsplit(agreed.headers["location"]).query)
    assert back["state"] == ["state-1"]
    return back["code"][0]


async def test_oauth_publishes_and_is_renewed(tmp_path: Path) -> None:
    async with granted(tmp_path) as (sandbox, writer, clock, file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        standing = await writer.check()
        assert standing.account == "9001"
        able = {each.name: each.available for each in standing.capabilities}
        assert able["publish as participant"]
        assert not able["publish as official"]
        await writer.limits(SPACE, "participant")
        copy = await writer.create(SPACE, writer.fit(SPACE, DRAFT).draft)
        found = await writer.find(SPACE, DRAFT, clock.now())
        assert found is not None
        assert found.ref == copy.ref
        before = load_tokens(file)
        clock.advance(3 * 3600)
        await writer.withdraw(SPACE, copy, "")
        after = load_tokens(file)
        assert before.access != after.access
        sandbox.accounts.refresh.clear()
        clock.advance(3 * 3600)
        with pytest.raises(CannotDo, match="OAuth"):
            await writer.create(SPACE, DRAFT)
        assert after.access not in repr(after)
        assert "toy.example" not in repr(writer.settings)


async def test_oauth_that_may_only_read_cannot_write(tmp_path: Path) -> None:
    async with granted(tmp_path, "user api:read") as (sandbox, writer, _, _file):
        await writer.limits(SPACE, "participant")
        with pytest.raises(CannotDo, match="know us"):
            await writer.create(SPACE, DRAFT)
        assert not sandbox.writing.sent


def test_broken_token_files_ask_for_consent(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    for content in ("", "{", "[]", json.dumps({"access": 1}), json.dumps({"refresh": "x", "expires": 1})):
        file.write_text(content)
        with pytest.raises(CannotDo, match="no OAuth tokens"):
            load_tokens(file)
    with pytest.raises(CannotDo):
        load_tokens(tmp_path / "missing.json")


def test_without_an_application_there_is_nothing_to_consent_to() -> None:
    with pytest.raises(CannotDo, match="no OAuth application"):
        oauth_login_url(DecidimSettings(url="https://x.example"), REDIRECT, "s", new_verifier())


@pytest.mark.parametrize("version", ["0.31", "0.32"])
async def test_an_api_user_answers_and_never_creates(version: str) -> None:
    clock = FakeClock()
    sandbox = DecidimSandbox(version=version, size=20, clock=clock.now)
    async with writing(CONNECTOR, sandbox, clock=clock, email=None, password=None) as (writer, context):
        standing = await writer.check()
        able = {each.name: each for each in standing.capabilities}
        assert standing.account is None
        assert able["official answers"].available
        assert not able["publish as participant"].available
        assert any("API user" in each for each in standing.warnings)
        with pytest.raises(CannotDo):
            await writer.create(SPACE, DRAFT)
        # The cookie that the sign-in sets would sign in by itself: it is not kept.
        answer = await context.reading.transport.graphql("api", "{session{user{id}}}")
        assert answer.data == {"session": None}
    async with writing(CONNECTOR, sandbox, clock=clock, email=None, password=None, api_secret="wrong") as (writer, _):
        with pytest.raises(CannotDo, match="credentials"):
            await writer.check()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("account", "why"),
    [
        ({"blocked": True}, "know us"),
        ({"confirmed": False}, "signing in failed"),
        ({"password": "other"}, "signing in failed"),
    ],
)
async def test_an_account_that_cannot_get_in_says_why(version: str, account: dict[str, Any], why: str) -> None:
    clock = FakeClock()
    sandbox = DecidimSandbox(version=version, size=20, clock=clock.now)
    sandbox.change("account", **account)
    async with writing(CONNECTOR, sandbox, clock=clock) as (writer, _):
        with pytest.raises(CannotDo, match=why):
            await writer.check()


@pytest.mark.parametrize("version", VERSIONS)
async def test_terms_that_were_not_accepted_stop_forms_and_say_so(version: str) -> None:
    clock = FakeClock()
    sandbox = DecidimSandbox(version=version, size=20, clock=clock.now)
    sandbox.change("account", accepted_terms=False)
    async with writing(CONNECTOR, sandbox, clock=clock) as (writer, _):
        with pytest.raises(CannotDo, match="terms"):
            await writer.limits(SPACE, "official")
        sandbox.change("account", accepted_terms=True, accepted_admin_terms=False)
        with pytest.raises(CannotDo, match="administrators' terms"):
            await writer.limits(SPACE, "official")
        sandbox.change("account", accepted_admin_terms=True)
        assert (await writer.limits(SPACE, "official")).many_locales


async def test_a_failing_sign_in_page_is_not_a_wrong_password() -> None:
    clock = FakeClock()
    sandbox = DecidimSandbox(version="0.28.6", size=20, clock=clock.now)
    async with writing(CONNECTOR, sandbox, clock=clock) as (writer, _):
        from civicsync.connectors.testing.faults import Fault

        sandbox.plant(Fault(kind="html_200", match="GET /users/sign_in", times=None))
        with pytest.raises(NotDone):
            await writer.check()


async def test_without_a_password_an_answer_is_a_comment(tmp_path: Path) -> None:
    """OAuth opens no administration: that closes one way of answering, not the site."""
    async with granted(tmp_path, api_key=None, api_secret=None) as (sandbox, writer, _, _):
        able = {each.name: each for each in (await writer.check()).capabilities}
        assert not able["official answers"].available
        assert "as comments" in able["official answers"].why
        assert able["comments"].available
        copy = await writer.create(SPACE, DRAFT)
        answer = AnswerDraft(State.ACCEPTED, "nl", {"nl": LocalText("", "<p>Ja.</p>", f"Ja. {MARKER}")}, MARKER)
        assert not await writer.has_answer(copy.ref, answer)
        with pytest.raises(CannotDo) as caught:
            await writer.answer(copy.ref, answer)
        assert not isinstance(caught.value, NotLetIn)
        assert "addComment" in str(writer.plan_answer(copy.ref, answer)[0].json)
        await writer.comment(copy.ref, answer.texts["nl"])
        assert sandbox.writing.sent["commented"] == 1


@pytest.mark.parametrize("version", [each for each in VERSIONS if each not in {"0.31", "0.32"}])
async def test_a_door_that_is_closed_to_answers_only_leaves_the_comment(version: str) -> None:
    clock = FakeClock()
    sandbox = DecidimSandbox(version=version, size=20, clock=clock.now)
    async with writing(CONNECTOR, sandbox, clock=clock) as (writer, _):
        assert isinstance(writer, DecidimWriter)
        await writer.limits(SPACE, "participant")
        copy = await writer.create(SPACE, DRAFT)
        sandbox.change("account", accepted_admin_terms=False)
        answer = AnswerDraft(State.ACCEPTED, "nl", {"nl": LocalText("", "<p>Ja.</p>", f"Ja. {MARKER}")}, MARKER)
        with pytest.raises(CannotDo) as caught:
            await writer.answer(copy.ref, answer)
        assert not isinstance(caught.value, NotLetIn)
        await writer.comment(copy.ref, answer.texts["nl"])
