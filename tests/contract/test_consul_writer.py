"""The CONSUL writer against its sandbox, in-process: every release, both voices, and every way in which an answer gets lost."""

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import pytest

from civicsync.connectors.consul import CONNECTOR
from civicsync.connectors.consul.sandbox import ConsulSandbox
from civicsync.connectors.consul.sandbox.session import Sessions
from civicsync.connectors.consul.writer import SPACE, ConsulWriter
from civicsync.connectors.contract.errors import CannotDo, MaybeDone, NotDone, WrongCredentials
from civicsync.connectors.contract.writing import (
    AnswerDraft,
    CanAnswer,
    CanComment,
    CanEdit,
    CanFind,
    CanWithdraw,
    Draft,
    LocalText,
)
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.writing import writing
from civicsync.core.clock import FakeClock
from civicsync.core.records import State

VERSIONS = ("1.4.1", "2.1.1", "2.2.2", "2.5.1")
VOICES: tuple[Literal["participant", "official"], ...] = ("participant", "official")
MARKER = "[civicsync:west/proposal/31~k7q2mhd4x3zp5t6a]"
BODY = f"<p>Meer bomen in de <strong>straat</strong>.</p><p>Van west.</p><p>{MARKER}</p>"
SECRETS = ("toy-password", "toy-office", "toy-admin", "12345678Z", "robot@toy.example", "_consul_session")


def a_draft(voice: Literal["participant", "official"] | None = None, title: str = "Meer bomen", **fields: Any) -> Draft:
    text = LocalText(title, BODY, f"Meer bomen in de straat.\n\nVan west.\n\n{MARKER}", "Meer bomen in de straat.")
    return Draft("nl", {"nl": text}, MARKER, voice, **fields)


def an_answer(marker: str = MARKER) -> AnswerDraft:
    text = LocalText("", f"<p>De gemeente zegt ja.</p><p>{marker}</p>", f"De gemeente zegt ja.\n\n{marker}")
    return AnswerDraft(State.ACCEPTED, "nl", {"nl": text}, marker)


@dataclass
class City:
    """A sandbox with a writer to it, and one clock for both."""

    sandbox: ConsulSandbox
    writer: ConsulWriter
    clock: FakeClock

    def copies(self, marker: str = MARKER) -> list[Any]:
        rows = self.sandbox.database.tables["proposals"].rows
        return [r for r in rows if any(marker in str(t.get("description")) for t in r.texts.values())]

    @property
    def only(self) -> Any:
        (row,) = self.copies()
        return row


@asynccontextmanager
async def city(version: str = "2.5.1", *, size: int = 30, prefix: str = "", **settings: Any) -> AsyncGenerator[City]:
    clock = FakeClock()

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    sandbox = ConsulSandbox(version=version, size=size, prefix=prefix, clock=clock.now, sleep=sleep)
    async with writing(CONNECTOR, sandbox, clock=clock, **settings) as (writer, _):
        assert isinstance(writer, ConsulWriter)
        yield City(sandbox, writer, clock)


def test_a_writer_of_consul_can_do_everything() -> None:
    assert all(issubclass(ConsulWriter, each) for each in (CanFind, CanEdit, CanWithdraw, CanAnswer, CanComment))


@pytest.mark.parametrize("version", VERSIONS)
async def test_checking(version: str) -> None:
    async with city(version) as there:
        standing = await there.writer.check()
        robot = next(u for u in there.sandbox.database.tables["users"].rows if u["email"] == "robot@toy.example")
        assert standing.account == str(robot.id)
        assert all(each.available for each in standing.capabilities), standing.capabilities
        # New accounts are private from 2.4 on.
        assert ("private" in " ".join(standing.warnings)) == (version == "2.5.1")
        limits = await there.writer.limits(SPACE)
        assert (limits.title, limits.body, limits.summary, limits.sends) == ((4, 80), (0, 6000), 200, "html")
        assert limits.locales[0] == "nl"
        assert set(limits.locales) >= {"nl", "es", "ca", "en"}
        assert not there.copies()


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("version", VERSIONS)
async def test_create_edit_withdraw(version: str, voice: Literal["participant", "official"]) -> None:
    async with city(version) as there:
        before = len(there.sandbox.database.tables["proposals"].rows)
        draft = a_draft(voice, latitude=52.07, longitude=4.29, area="geozone/2", category="category/1")
        fitted = there.writer.fit(SPACE, draft)
        assert not fitted.changes
        began = there.clock.monotonic()
        copy = await there.writer.create(SPACE, fitted.draft)
        assert (there.clock.monotonic() - began >= 4) == (voice == "participant"), "a captcha waits, an office does not"
        row = there.only
        assert copy.ref == f"proposal/{row.id}" and copy.complete and copy.how["voice"] == voice
        assert len(there.sandbox.database.tables["proposals"].rows) == before + 1
        assert row["published_at"] is not None and row["geozone_id"] == 2 and row["place"][:2] == ("52.07", "4.29")
        assert [t["name"] for t in there.sandbox.database.taggings["proposal", row.id]] == ["Mobiliteit"]
        reading = await there.writer.read(copy)
        assert reading is not None and reading.title == "Meer bomen" and MARKER in reading.plain

        changed = there.writer.fit(SPACE, a_draft(voice, "Nog meer bomen")).draft
        again = await there.writer.edit(SPACE, copy, changed)
        again = await there.writer.edit(SPACE, again, changed)
        assert row.texts["nl"]["title"] == "Nog meer bomen"
        assert len(row["translations"]) == 1, "a second row of one language was added"
        assert row["place"][:2] == ("52.07", "4.29"), "the location was lost"
        assert there.sandbox.database.taggings["proposal", row.id], "the tags were lost"

        await there.writer.withdraw(SPACE, again, "Het origineel is ingetrokken.")
        await there.writer.withdraw(SPACE, again, "Het origineel is ingetrokken.")
        assert row["retired_reason"] == "other" and row["retired_explanation"] == "Het origineel is ingetrokken."
        reading = await there.writer.read(again)
        assert reading is not None and reading.withdrawn


@pytest.mark.parametrize("version", VERSIONS)
async def test_answering_and_commenting(version: str) -> None:
    async with city(version) as there:
        answer = an_answer()
        assert not await there.writer.has_answer("proposal/1", answer)
        await there.writer.answer("proposal/1", answer)
        assert await there.writer.has_answer("proposal/1", answer)
        assert len(there.sandbox.database.milestones_of["proposal", 1]) == 1
        assert not await there.writer.has_comment("proposal/2", MARKER)
        await there.writer.comment("proposal/2", answer.texts["nl"])
        assert await there.writer.has_comment("proposal/2", MARKER)
        with pytest.raises(CannotDo):
            await there.writer.answer("debate/1", answer)
        with pytest.raises(CannotDo):
            await there.writer.comment("investment/1", answer.texts["nl"])


STORED = ("reset_after_store", "500_after_store", "timeout_after_store")
LOST = ("reset", *STORED)
STEPS = {
    ("participant", "create"): r"^POST /proposals$",
    ("participant", "publish"): r"^POST /proposals/\d+/publish$",
    ("official", "create"): r"^POST /management/proposals$",
}


async def settled(there: City, draft: Draft) -> Any:
    """What the engine does about a create: send, look up what is unknown, finish or send again; never more than a few times."""
    since = there.clock.now() - timedelta(minutes=10)
    found = None
    for _ in range(5):
        try:
            return await there.writer.create(SPACE, draft, found)
        except NotDone:
            continue
        except MaybeDone:
            found = await there.writer.find(SPACE, draft, since)
            if found is not None and found.complete:
                return found
    raise AssertionError("it was never settled")


@pytest.mark.parametrize("kind", [*LOST, "429", "429_retry_after", "503", "500", "slow", "cut_connection", "html_200"])
@pytest.mark.parametrize(("voice", "step"), list(STEPS))
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_lost_answer_never_makes_a_second_copy(
    version: str, voice: Literal["participant", "official"], step: str, kind: str
) -> None:
    async with city(version) as there:
        draft = there.writer.fit(SPACE, a_draft(voice)).draft
        there.sandbox.plant(Fault(kind, match=STEPS[voice, step], seconds=90.0))
        copy = await settled(there, draft)
        assert copy.ref == f"proposal/{there.only.id}"
        assert there.only["published_at"] is not None
        assert there.sandbox.faults.fired[kind] == 1


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize(("voice", "step"), list(STEPS))
async def test_what_a_lost_answer_is_called(voice: Literal["participant", "official"], step: str, kind: str) -> None:
    """It may be stored; looking finds it, a draft too, or proves that it is not there."""
    async with city() as there:
        draft = there.writer.fit(SPACE, a_draft(voice)).draft
        since = there.clock.now()
        there.sandbox.plant(Fault(kind, match=STEPS[voice, step], seconds=90.0))
        with pytest.raises(MaybeDone):
            await there.writer.create(SPACE, draft)
        found = await there.writer.find(SPACE, draft, since)
        if step == "create" and kind == "reset":
            assert found is None and not there.copies()
        else:
            assert found is not None and found.ref == f"proposal/{there.only.id}"
            assert found.complete == (there.only["published_at"] is not None)


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("version", VERSIONS)
async def test_an_old_answer_that_comes_again(version: str, voice: Literal["participant", "official"]) -> None:
    """A proxy repeats the answer of the proposal before: it is not believed."""
    other = MARKER.replace("/31~", "/30~")
    async with city(version) as there:
        first = a_draft(voice, "De eerste")
        text = replace(first.main, html=f"<p>{other}</p>")
        await there.writer.create(SPACE, replace(first, texts={"nl": text}, marker=other))
        draft = there.writer.fit(SPACE, a_draft(voice)).draft
        there.sandbox.plant(Fault("duplicate_reply", match=STEPS[voice, "create"]))
        copy = await settled(there, draft)
        assert copy.ref == f"proposal/{there.only.id}"
        assert len(there.copies(other)) == 1


@pytest.mark.parametrize("pattern", [r"^GET /users/\d+", r"^GET /proposals$"])
@pytest.mark.parametrize("kind", ["html_200", "503", "hang"])
async def test_a_list_that_cannot_be_read_proves_nothing(pattern: str, kind: str) -> None:
    async with city() as there:
        draft = there.writer.fit(SPACE, a_draft("official")).draft
        there.sandbox.plant(Fault(kind, match=pattern, times=None))
        with pytest.raises(NotDone):
            await there.writer.find(SPACE, draft, there.clock.now())


async def test_the_list_of_a_private_account_is_only_believed_when_signed_in() -> None:
    async with city() as there:
        draft = there.writer.fit(SPACE, a_draft("participant")).draft
        await there.writer.create(SPACE, draft)
        robot = next(u for u in there.sandbox.database.tables["users"].rows if u["email"] == "robot@toy.example")
        robot.values["public_activity"] = False
        ours = there.writer.session.browser.load

        async def signed_out(path: str, params: Any = None) -> Any:
            if path.startswith("/users/") and path != "/users/sign_in":
                there.sandbox.sessions = Sessions(99)
            return await ours(path, params)

        there.writer.session.browser.load = signed_out
        with pytest.raises(NotDone):
            await there.writer.find(SPACE, draft, there.clock.now())


async def test_asked_to_slow_down_nothing_is_stored() -> None:
    async with city() as there:
        draft = there.writer.fit(SPACE, a_draft("participant")).draft
        there.sandbox.plant(Fault("429", match=STEPS["participant", "create"]))
        with pytest.raises(NotDone):
            await there.writer.create(SPACE, draft)
        assert not there.copies()
        there.sandbox.plant(Fault("429", match=STEPS["participant", "publish"]))
        with pytest.raises(MaybeDone):
            await there.writer.create(SPACE, draft)
        assert there.only["published_at"] is None


@pytest.mark.parametrize("step", ["edit", "retire"])
@pytest.mark.parametrize("kind", LOST)
async def test_changes_may_be_repeated(step: str, kind: str) -> None:
    async with city() as there:
        copy = await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("participant")).draft)
        changed = there.writer.fit(SPACE, a_draft("participant", "Andere titel")).draft
        pattern = rf"^POST /proposals/\d+{'' if step == 'edit' else '/retire'}$"
        there.sandbox.plant(Fault(kind, match=pattern, seconds=90.0))

        async def change() -> None:
            if step == "edit":
                await there.writer.edit(SPACE, copy, changed)
            else:
                await there.writer.withdraw(SPACE, copy, "weg")

        with pytest.raises(MaybeDone):
            await change()
        await change()
        assert there.only.texts["nl"]["title"] == ("Andere titel" if step == "edit" else "Meer bomen")
        assert len(there.only["translations"]) == 1


async def test_a_lost_comment_is_found_again() -> None:
    async with city("2.2.2") as there:
        text = an_answer().texts["nl"]
        for kind in STORED:
            there.sandbox.plant(Fault(kind, match="^POST /comments", seconds=90.0))
            with pytest.raises(MaybeDone):
                await there.writer.comment(
                    "proposal/3", replace(text, plain=f"{kind} [civicsync:a/proposal/1~{'a' * 16}]")
                )
            assert await there.writer.has_comment("proposal/3", kind)


async def test_no_secret_is_in_a_plan_or_an_error() -> None:
    async with city() as there:
        draft = there.writer.fit(SPACE, a_draft("participant", category="category/1")).draft
        copy = await there.writer.create(SPACE, draft)
        plans = [
            *there.writer.plan_create(SPACE, draft),
            *there.writer.plan_create(SPACE, replace(draft, voice="official")),
            *there.writer.plan_edit(SPACE, copy, draft),
            *there.writer.plan_withdraw(SPACE, copy, "weg"),
            *there.writer.plan_answer("proposal/1", an_answer()),
            *there.writer.plan_comment("proposal/1", an_answer().texts["nl"]),
        ]
        shown = repr(plans) + repr(there.writer.settings) + repr(there.writer.session.browser.__dict__["_headers"])
        assert not [secret for secret in SECRETS if secret in shown]
        assert "‹authenticity_token›" in shown
    async with city(password="nope") as there:
        with pytest.raises(CannotDo) as caught:
            await there.writer.check()
        assert not [secret for secret in (*SECRETS, "nope") if secret in str(caught.value)]


@pytest.mark.parametrize("voice", VOICES)
async def test_the_plan_is_what_is_sent(voice: Literal["participant", "official"]) -> None:
    """Names and values of every field, but for what only a session knows."""
    async with city() as there:
        sent: list[tuple[str, list[tuple[str, str]]]] = []
        handle = there.sandbox.handle

        def spy(request: Any) -> Any:
            if request.method == "POST" and request.path.startswith(("/proposals", "/management/proposals")):
                sent.append((request.path, request.fields()))
            return handle(request)

        there.sandbox.handle = spy
        draft = there.writer.fit(SPACE, a_draft(voice, latitude=52.0, longitude=4.0)).draft
        plan = there.writer.plan_create(SPACE, draft)
        copy = await there.writer.create(SPACE, draft)
        own = copy.ref.partition("/")[2]
        assert [path for path, _ in sent] == [each.path.replace("‹id›", own) for each in plan]
        for (_, fields), each in zip(sent, plan, strict=True):
            kept = [pair for pair in fields if pair[0] != "authenticity_token"]
            assert kept == [pair for pair in each.form or () if pair[0] != "authenticity_token"]
            assert len(fields) == len(kept) + 1


async def test_signing_in_is_done_once_and_soon_given_up_with_a_wrong_password() -> None:
    async with city() as there:
        for i in range(3):
            await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("participant", f"Titel {i}")).draft)
        assert there.sandbox.stats.by_prefix["POST /users/sign_in"] == 1
    async with city(password="nope") as there:
        for _ in range(10):
            with pytest.raises(WrongCredentials):
                await there.writer.create(SPACE, a_draft("participant"))
        assert there.sandbox.stats.by_prefix["POST /users/sign_in"] == 1


async def test_a_session_that_ended_is_started_again() -> None:
    fresh = itertools.count(1)
    async with city() as there:
        await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("participant")).draft)
        there.sandbox.sessions = Sessions(there.sandbox.seed + len(there.copies()) + next(fresh))
        changed = there.writer.fit(SPACE, a_draft("participant", "Andere titel")).draft
        copy = await there.writer.find(SPACE, changed, there.clock.now())
        assert copy is not None
        there.sandbox.sessions = Sessions(there.sandbox.seed + len(there.copies()) + next(fresh))
        await there.writer.edit(SPACE, copy, changed)
        there.sandbox.sessions = Sessions(there.sandbox.seed + len(there.copies()) + next(fresh))
        await there.writer.create(SPACE, replace(changed, voice="official"))
        assert len(there.copies()) == 2


@pytest.mark.parametrize("version", ["2.2.2", "2.5.1"])
async def test_another_persons_copy_in_the_organisations_name(version: str) -> None:
    """It is found in the public list once a copy has told who that person is, and cannot be changed by us."""
    async with city(version) as there:
        person = there.sandbox.database.tables["users"].by_id[4]
        person.values.update(document="99999999R", document_type="1")
        there.writer.settings.management.__dict__["document_number"] = type(there.writer.settings.login)("99999999r")
        person.values["public_activity"] = True
        before = MARKER.replace("/31", "/30")
        text = LocalText("Nog meer bomen", BODY.replace(MARKER, before), before, "Nog meer bomen.")
        first = there.writer.fit(SPACE, Draft("nl", {"nl": text}, before, "official")).draft
        await there.writer.create(SPACE, first)
        draft = there.writer.fit(SPACE, a_draft("official")).draft
        there.sandbox.plant(Fault("reset_after_store", match=STEPS["official", "create"]))
        copy = await settled(there, draft)
        assert [row.author for row in there.copies(MARKER)] == [4]
        with pytest.raises(CannotDo):
            await there.writer.edit(SPACE, copy, draft)
        with pytest.raises(CannotDo):
            await there.writer.withdraw(SPACE, copy, "weg")


@pytest.mark.parametrize("public", [True, False], ids=["shown", "private"])
async def test_a_marker_is_not_believed_whoever_wrote_it_with_whatever_title(public: bool) -> None:
    """Anybody can paste a marker, and the title: the author must be ours, and where nothing tells that a person is asked."""
    async with city("2.5.1") as there:
        person = there.sandbox.database.tables["users"].by_id[4]
        person.values.update(document="99999999R", document_type="1")
        there.writer.settings.management.__dict__["document_number"] = type(there.writer.settings.login)("99999999r")
        since, draft = there.clock.now(), there.writer.fit(SPACE, a_draft("official")).draft
        own = there.sandbox.change("add_proposal", title=draft.main.title)
        row = there.sandbox.database.tables["proposals"].by_id[int(own)]
        row.texts[there.sandbox.locale]["description"] = draft.main.html
        there.sandbox.database.tables["users"].by_id[1].values["public_activity"] = public
        with pytest.raises(NotDone, match=f"proposal/{own} carries the marker of this copy, and whether it is ours"):
            await there.writer.find(SPACE, draft, since)


async def test_rebuilding_lists_what_the_account_wrote() -> None:
    async with city() as there:
        for i in range(30):
            await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("official", f"Titel {i}")).draft)
        mine = [each async for each in there.writer.authored(SPACE)]
        assert len(mine) == 30
        assert [each.title for each in mine][:2] == ["Titel 29", "Titel 28"]
        assert all(MARKER in each.text for each in mine)
        robots = there.sandbox.database.tables["users"].rows
        next(each for each in robots if each["email"] == "robot@toy.example").values["public_activity"] = True
        there.sandbox.change("hide", id=mine[0].copy.ref.partition("/")[2])
        again = [each async for each in there.writer.authored(SPACE)]
        assert [each.copy.ref for each in again] == [*(each.copy.ref for each in mine[1:]), mine[0].copy.ref]
        assert MARKER in again[-1].text
        assert await there.writer.read(again[-1].copy) is None


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("kind", ["reset", "reset_after_store", "500_after_store", "timeout_after_store", "429"])
@pytest.mark.parametrize("step", ["POST /users/sign_in", "POST /management/document_verifications/check"])
async def test_signing_in_is_repeated_when_its_answer_is_lost(
    voice: Literal["participant", "official"], kind: str, step: str
) -> None:
    async with city() as there:
        there.sandbox.plant(Fault(kind, match=f"^{step}", times=2, seconds=90.0))
        await there.writer.create(SPACE, a_draft(voice))
        assert there.only["published_at"] is not None


@pytest.mark.parametrize("voice", VOICES)
async def test_a_200_that_cannot_be_read_was_taken(voice: Literal["participant", "official"]) -> None:
    async with city() as there:
        draft = there.writer.fit(SPACE, a_draft(voice)).draft
        there.sandbox.plant(Fault("html_200", match=STEPS[voice, "create"]))
        with pytest.raises(MaybeDone) as caught:
            await there.writer.create(SPACE, draft)
        assert caught.value.accepted
