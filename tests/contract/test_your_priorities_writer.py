"""The Your Priorities writer against its sandbox, in-process: every operation, and every way in which an answer gets lost."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from civicsync.connectors.errors import CannotDo, MaybeDone, NotDone
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.writing import writing
from civicsync.connectors.writing import (
    AnswerDraft,
    Answers,
    Comments,
    Copy,
    Draft,
    Edits,
    Finds,
    LocalText,
    Withdraws,
)
from civicsync.connectors.your_priorities import CONNECTOR
from civicsync.connectors.your_priorities.sandbox import YourPrioritiesSandbox
from civicsync.connectors.your_priorities.sandbox.populate import BOT
from civicsync.connectors.your_priorities.writer import YourPrioritiesWriter
from civicsync.core.clock import FakeClock
from civicsync.core.records import State

SPACE = "group/1"
MARKER = "[civicsync:west/proposal/31~k7q2mhd4x3zp5t6a]"
PLAIN = f"Meer bomen in de straat.\n\nVan west.\n\n{MARKER}"
SECRETS = ("toy-password", "robot@toy.example", "yrpri.sid")
CREATE, UNVOTE, EDIT, DELETE = (
    r"^POST /api/posts/\d+$",
    r"^DELETE .*/endorse$",
    r"^PUT /api/posts/\d+$",
    r"^DELETE /api/posts/\d+$",
)
STORED = ("reset_after_store", "500_after_store", "timeout_after_store", "cut_json")


def a_draft(title: str = "Meer bomen", marker: str = MARKER, **fields: Any) -> Draft:
    plain = PLAIN.replace(MARKER, marker)
    return Draft("nl", {"nl": LocalText(title, f"<p>{plain}</p>", plain)}, marker, **fields)


def an_answer(state: State = State.ACCEPTED, text: str = "De gemeente zegt ja.") -> AnswerDraft:
    return AnswerDraft(state, "nl", {"nl": LocalText("", f"<p>{text}</p>", f"{text}\n\n{MARKER}")}, MARKER)


@dataclass
class City:
    """A sandbox with a writer to it, and one clock for both."""

    sandbox: YourPrioritiesSandbox
    writer: YourPrioritiesWriter
    clock: FakeClock

    def copies(self, marker: str = MARKER) -> list[Any]:
        return [r for r in self.sandbox.database.posts.values() if marker in r["description"] and not r["deleted"]]

    @property
    def only(self) -> Any:
        (row,) = self.copies()
        return row

    def vote(self, row: Any) -> Any:
        return (self.sandbox.database.votes.get((row["id"], BOT)) or {"value": None})["value"]

    async def settled(self, draft: Draft) -> Copy:
        """What the engine does: send, look up, send again only what is proven absent."""
        since = self.clock.now() - timedelta(minutes=10)
        for _ in range(8):
            self.clock.advance(90)
            found = await self.writer.find(SPACE, draft, since)
            if found is not None and found.complete:
                return found
            try:
                return await self.writer.create(SPACE, draft, found)
            except (MaybeDone, NotDone):
                continue
        raise AssertionError("it never settles")


@asynccontextmanager
async def city(*, size: int = 60, bot_is_admin: bool = True, **settings: Any) -> AsyncGenerator[City]:
    clock = FakeClock()

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    sandbox = YourPrioritiesSandbox(size=size, clock=clock.now, sleep=sleep)
    if not bot_is_admin:
        for own in sandbox.database.groups:
            sandbox.database.members.discard(("groups_admins", own, BOT))
    async with writing(CONNECTOR, sandbox, clock=clock, **settings) as (writer, _):
        assert isinstance(writer, YourPrioritiesWriter)
        yield City(sandbox, writer, clock)


def test_a_writer_of_your_priorities_can_do_everything() -> None:
    assert all(issubclass(YourPrioritiesWriter, each) for each in (Finds, Edits, Withdraws, Answers, Comments))


async def test_checking() -> None:
    async with city() as there:
        standing = await there.writer.check()
        assert standing.account == str(BOT) and not standing.warnings
        able = {each.name: each.available for each in standing.capabilities}
        assert able["official answers"] and able["publish as a participant"] and not able["comments"]
        limits = await there.writer.limits(SPACE)
        assert (limits.title, limits.body, limits.sends) == ((1, 255), (0, 2000), "plain")
        assert not there.copies()
    async with city(bot_is_admin=False) as there:
        assert not {each.name: each.available for each in (await there.writer.check()).capabilities}["official answers"]


async def test_create_edit_withdraw() -> None:
    async with city() as there:
        await there.writer.limits(SPACE)
        draft = a_draft(latitude=64.1, longitude=-21.9, category="category/2")
        fitted = there.writer.fit(SPACE, draft)
        assert not fitted.changes
        copy = await there.writer.create(SPACE, fitted.draft)
        row = there.only
        assert copy == Copy(f"proposal/{row['id']}", f"http://127.0.0.1:9/post/{row['id']}", {"group": "1"}, True)
        assert (row["user_id"], row["category_id"], row["counter_endorsements_up"]) == (BOT, 2, 0)
        assert row["location"]["latitude"] == 64.1 and there.vote(row) == 0
        assert "publicPrivateData" not in row["data"]
        reading = await there.writer.read(copy)
        assert reading is not None and (reading.title, reading.plain, reading.answered) == ("Meer bomen", PLAIN, None)

        row["cover_media_type"] = "image"
        again = await there.writer.edit(SPACE, copy, a_draft("Nog meer bomen"))
        again = await there.writer.edit(SPACE, again, a_draft("Nog meer bomen"))
        assert (row["name"], row["category_id"], row["cover_media_type"]) == ("Nog meer bomen", 2, "image")
        assert there.vote(row) == 0

        await there.writer.withdraw(SPACE, again, "weg")
        await there.writer.withdraw(SPACE, again, "weg")
        assert row["deleted"] and await there.writer.read(again) is None


async def test_hostile_text_stays_text() -> None:
    title = '<b>HTML</b> & <script>alert("x")</script> 🐟'
    body = f"<img src=x onerror=alert(1)> a < b && c\r\nnull\x00byte {{{{7*7}}}}\n\n{MARKER}"
    async with city() as there:
        draft = Draft("nl", {"nl": LocalText(title, "", body)}, MARKER)
        fitted = there.writer.fit(SPACE, draft)
        assert fitted.changes
        copy = await there.writer.create(SPACE, fitted.draft)
        reading = await there.writer.read(copy)
        shown = '‹b>HTML‹/b> & ‹script>alert("x")‹/script> 🐟'
        assert there.only["name"] == shown and reading is not None and reading.title == shown
        assert reading.plain == there.only["description"] == fitted.draft.main.plain
        assert "\x00" not in reading.plain and "‹img src=x onerror=alert(1)> a < b && c\nnull" in reading.plain
    long = there.writer.fit(SPACE, a_draft("é" * 300))
    assert len(long.draft.main.title) == 255 and long.changes


# Lost answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [CREATE, UNVOTE])
@pytest.mark.parametrize(
    "kind", [*STORED, "reset", "slow", "429", "429_retry_after", "500", "503", "html_200", "hang", "duplicate_reply"]
)
async def test_exactly_one_copy_without_our_vote(kind: str, pattern: str) -> None:
    """Whatever happens to one of the two requests, in the end there is one copy, and no vote of ours."""
    async with city() as there:
        other = MARKER.replace("/31~", "/30~")
        await there.writer.create(SPACE, a_draft("De eerste", other))
        draft = there.writer.fit(SPACE, a_draft()).draft
        there.sandbox.plant(Fault(kind, match=pattern, seconds=90.0))
        copy: Copy | None = None
        try:
            copy = await there.writer.create(SPACE, draft)
        except (MaybeDone, NotDone):
            copy = await there.settled(draft)
        assert copy is not None and copy.complete and copy.ref == f"proposal/{there.only['id']}"
        assert there.vote(there.only) == 0 and there.only["counter_endorsements_up"] == 0
        assert len(there.copies(other)) == 1
        assert there.sandbox.faults.fired[kind] == 1


@pytest.mark.parametrize("kind", [*STORED, "duplicate_reply"])
async def test_a_lost_create_is_half_made_until_the_vote_is_back(kind: str) -> None:
    async with city() as there:
        await there.writer.create(SPACE, a_draft("De eerste", MARKER.replace("/31~", "/30~")))
        since = there.clock.now()
        there.sandbox.plant(Fault(kind, match=CREATE, seconds=90.0))
        with pytest.raises(MaybeDone):
            await there.writer.create(SPACE, a_draft())
        found = await there.writer.find(SPACE, a_draft(), since)
        assert found is not None and not found.complete and there.vote(there.only) == 1
        done = await there.writer.create(SPACE, a_draft(), found)
        assert done.complete and there.vote(there.only) == 0
        assert await there.writer.find(SPACE, a_draft(), since) == done


async def test_absence_is_believed_only_past_every_cache() -> None:
    async with city() as there:
        since = there.clock.now()
        there.sandbox.plant(Fault("reset", match=CREATE))
        with pytest.raises(MaybeDone):
            await there.writer.create(SPACE, a_draft())
        assert await there.writer.find(SPACE, a_draft(), since) is None
        assert there.clock.slept == [3.5] and not there.copies()


async def test_a_copy_without_a_row_of_our_vote_is_found_in_the_lists() -> None:
    """It is stored before its vote is; and it is found in any of the four lists, past their cache."""
    async with city() as there:
        await there.writer.check()
        before = await there.writer.find(SPACE, a_draft(), there.clock.now())
        own = there.sandbox.change("add_proposal", title="Meer bomen", description=PLAIN, status=-2)
        found = await there.writer.find(SPACE, a_draft(), there.clock.now() - timedelta(minutes=1))
        assert before is None and found is not None and found.ref == f"proposal/{own}" and not found.complete
        done = await there.writer.create(SPACE, a_draft(), found)
        assert done.complete


async def test_lists_are_asked_past_a_cache_of_an_hour() -> None:
    async with city() as there:
        there.sandbox.cache_seconds = 3600.0
        assert await there.writer.find(SPACE, a_draft(), there.clock.now()) is None
        own = there.sandbox.change("add_proposal", title="Meer bomen", description=PLAIN)
        found = await there.writer.find(SPACE, a_draft(), there.clock.now() - timedelta(minutes=1))
        assert found is not None and found.ref == f"proposal/{own}"


async def test_looking_up_asks_only_for_what_is_new() -> None:
    async with city() as there:
        for i in range(30):
            await there.writer.create(SPACE, a_draft(f"Titel {i}", MARKER.replace("/31~", f"/{100 + i}~")))
        there.clock.advance(3600)
        there.sandbox.reset_stats()
        assert await there.writer.find(SPACE, a_draft(), there.clock.now() - timedelta(minutes=10)) is None
        # Twice: who we are, the newest post, four lists.
        assert there.sandbox.stats.requests == 2 * 6


async def test_an_old_answer_instead_of_taking_the_vote_back() -> None:
    """A proxy answers with the vote taken back from the idea before, and does not even ask."""
    async with city() as there:
        handle, kept = there.sandbox.handle, list[Any]()

        def stale(request: Any) -> Any:
            if request.method != "DELETE":
                return handle(request)
            if len(kept) == 1:
                kept.append(None)
                return kept[0]
            response = handle(request)
            kept.append(response)
            return response

        there.sandbox.handle = stale
        await there.writer.create(SPACE, a_draft("De eerste", MARKER.replace("/31~", "/30~")))
        with pytest.raises(MaybeDone):
            await there.writer.create(SPACE, a_draft())
        copy = await there.settled(a_draft())
        assert copy.ref == f"proposal/{there.only['id']}" and there.vote(there.only) == 0


async def test_only_posts_of_our_own_account_are_copies() -> None:
    async with city(private_marker=True) as there:
        there.sandbox.change("add_proposal", title="Meer bomen", description=PLAIN, author=5)
        assert await there.writer.find(SPACE, a_draft(), there.clock.now() - timedelta(minutes=1)) is None


async def test_the_private_marker_is_one_only_where_it_may_be() -> None:
    async with city(private_marker=True) as there:
        since = there.clock.now()
        there.sandbox.plant(Fault("reset_after_store", match=CREATE))
        with pytest.raises(MaybeDone):
            await there.writer.create(SPACE, a_draft())
        assert there.only["data"]["publicPrivateData"] == {"civicsync": MARKER}
        # A moderator took the visible one away, and the vote's row is not there.
        there.only.update(description="Meer bomen.", user_id=BOT)
        there.sandbox.database.votes.clear()
        there.sandbox.database.touch()
        found = await there.writer.find(SPACE, a_draft(), since)
        assert found is not None and not found.complete


@pytest.mark.parametrize("pattern", ["^GET /api/users/loggedInUser/isloggedin", r"^GET /api/groups/\d+/posts/"])
@pytest.mark.parametrize("kind", ["html_200", "503", "hang"])
async def test_a_list_that_cannot_be_read_proves_nothing(pattern: str, kind: str) -> None:
    async with city() as there:
        await there.writer.check()
        there.sandbox.plant(Fault(kind, match=pattern, times=None))
        with pytest.raises(NotDone):
            await there.writer.find(SPACE, a_draft(), there.clock.now())


@pytest.mark.parametrize("kind", [*STORED, "reset", "429"])
async def test_changes_may_be_repeated(kind: str) -> None:
    async with city() as there:
        copy = await there.writer.create(SPACE, a_draft())
        row, changed = there.only, a_draft("Andere titel")
        for pattern, change in (
            (EDIT, lambda: there.writer.edit(SPACE, copy, changed)),
            (DELETE, lambda: there.writer.withdraw(SPACE, copy, "weg")),
        ):
            there.sandbox.plant(Fault(kind, match=pattern, seconds=90.0))
            try:
                await change()
            except (MaybeDone, NotDone):
                await change()
        assert row["name"] == "Andere titel" and row["deleted"]


# Groups and their rules ----------------------------------------------------------------------------------------------

QUESTION = {"type": "textField", "text": "Hvað?", "uniqueId": "x", "required": True}


@pytest.mark.parametrize("group", [6, 7, 8, 10, 11, 999])
async def test_no_copies_in_folders_links_and_closed_groups(group: int) -> None:
    async with city() as there:
        with pytest.raises(CannotDo):
            await there.writer.limits(f"group/{group}")
    with pytest.raises(CannotDo):
        await there.writer.limits("community/1")


@pytest.mark.parametrize(
    "settings",
    [
        {"canAddNewPosts": False},
        {"hideNewPost": True},
        {"canVote": False},
        {"canVote": None},
        {"structuredQuestionsJson": [QUESTION]},
        {"groupType": 1},
    ],
)
async def test_rules_that_the_server_does_not_enforce(settings: dict[str, Any]) -> None:
    async with city() as there:
        there.sandbox.change("configure", group=1, **settings)
        with pytest.raises(CannotDo):
            await there.writer.limits(SPACE)
        with pytest.raises(CannotDo):
            await there.writer.create(SPACE, a_draft())
        assert not there.copies()


@pytest.mark.parametrize("table", ["groups", "communities"])
async def test_archived(table: str) -> None:
    async with city() as there:
        there.sandbox.database.tables[table][1]["status"] = "archived"
        with pytest.raises(CannotDo):
            await there.writer.limits(SPACE)


async def test_categories() -> None:
    async with city() as there:
        there.sandbox.change("configure", group=1, makeCategoryRequiredOnNewPost=True)
        await there.writer.limits(SPACE)
        for draft in (a_draft(), a_draft(category="category/5"), a_draft(category="category/99")):
            with pytest.raises(CannotDo):
                there.writer.fit(SPACE, draft)
            with pytest.raises(CannotDo):
                await there.writer.create(SPACE, draft)
        await there.writer.create(SPACE, a_draft(category="category/1"))
        assert there.only["category_id"] == 1


@pytest.mark.parametrize("setting", ["forceSecureSamlLogin", "allPostsBlockedByDefault"])
async def test_what_only_an_admin_of_the_group_may(setting: str) -> None:
    for admin in (True, False):
        async with city(bot_is_admin=admin) as there:
            there.sandbox.change("configure", group=1, **{setting: True})
            if admin:
                await there.writer.limits(SPACE)
            else:
                with pytest.raises(CannotDo):
                    await there.writer.limits(SPACE)


async def test_a_copy_that_waits_for_a_moderator() -> None:
    """It is there but nobody sees it: not deleted, found again, withdrawn; approved, it loses our vote."""
    async with city() as there:
        there.sandbox.change("configure", group=1, allPostsBlockedByDefault=True)
        since = there.clock.now()
        there.sandbox.plant(Fault("reset_after_store", match=CREATE))
        with pytest.raises(MaybeDone):
            await there.writer.create(SPACE, a_draft())
        found = await there.writer.find(SPACE, a_draft(), since)
        assert found is not None and found.complete and found.how["status"] == "blocked"
        made = await there.writer.create(SPACE, a_draft("Andere", MARKER.replace("/31~", "/32~")))
        assert made.how == {"group": "1", "status": "blocked", "vote": "kept"}
        with pytest.raises(NotDone):
            await there.writer.read(made)
        there.sandbox.change("approve", id=made.ref.partition("/")[2])
        assert await there.writer.read(made) is not None
        edited = await there.writer.edit(SPACE, made, a_draft("Anders", MARKER.replace("/31~", "/32~")))
        assert edited.how == {"group": "1"}
        assert there.vote(there.copies(MARKER.replace("/31~", "/32~"))[0]) == 0
        await there.writer.withdraw(SPACE, found, "weg")
        await there.writer.withdraw(SPACE, found, "weg")
        assert not there.copies() and await there.writer.read(found) is None


async def test_votes_of_copies_that_were_approved_are_taken_back_by_the_next_run() -> None:
    async with city() as there:
        there.sandbox.change("configure", group=1, allPostsBlockedByDefault=True)
        made = await there.writer.create(SPACE, a_draft())
        there.sandbox.change("approve", id=made.ref.partition("/")[2])
        mine = there.sandbox.change("add_proposal", title="Als mens", author=5)
        there.sandbox.database.vote(int(mine), BOT, 1, "2026-03-01T12:00:00.000Z")
        there.writer._tidied = False
        await there.writer.create(SPACE, a_draft("Andere", MARKER.replace("/31~", "/32~")))
        assert there.vote(there.only) == 0
        assert there.sandbox.database.votes[int(mine), BOT]["value"] == 1, (
            "a vote for somebody else's idea is none of ours"
        )


async def test_a_copy_that_a_moderator_hides_before_it_is_looked_up() -> None:
    for admin in (True, False):
        async with city(bot_is_admin=admin) as there:
            since = there.clock.now()
            there.sandbox.plant(Fault("reset_after_store", match=CREATE))
            with pytest.raises(MaybeDone):
                await there.writer.create(SPACE, a_draft())
            there.sandbox.change("block", id=there.only["id"])
            if admin:
                found = await there.writer.find(SPACE, a_draft(), since)
                assert found is not None and found.how["status"] == "blocked"
            else:
                with pytest.raises(NotDone):
                    await there.writer.find(SPACE, a_draft(), since)


async def test_gone_is_only_believed_beside_its_group() -> None:
    async with city() as there:
        copy = await there.writer.create(SPACE, a_draft())
        there.sandbox.change("block", id=there.only["id"])
        assert await there.writer.read(copy) is None
        there.sandbox.change("approve", id=there.only["id"])
        there.sandbox.change("moderator_edit", id=there.only["id"], title="Strakker")
        reading = await there.writer.read(copy)
        assert reading is not None and reading.title == "Strakker"
        there.sandbox.change("block", id=there.only["id"])
        there.sandbox.change("lose_permission", group=1)
        with pytest.raises(NotDone):
            await there.writer.read(copy)


# Answers -------------------------------------------------------------------------------------------------------------


async def test_answering() -> None:
    async with city() as there:
        copy = await there.writer.create(SPACE, a_draft())
        there.sandbox.change("support", id=there.only["id"], times=7)
        for answer in (an_answer(), an_answer(State.EVALUATING, "Nieuw woord.")):
            assert not await there.writer.has_answer(copy.ref, answer)
            await there.writer.answer(copy.ref, answer)
            assert await there.writer.has_answer(copy.ref, answer)
        assert there.only["official_status"] == 2 and there.sandbox.emails == 14
        reading = await there.writer.read(copy)
        assert reading is not None and reading.answered is State.ACCEPTED
        assert not await there.writer.has_answer(copy.ref, an_answer())
        for ref in ("point/1", "proposal/99999"):
            with pytest.raises(CannotDo):
                await there.writer.answer(ref, an_answer())


@pytest.mark.parametrize("kind", STORED)
async def test_a_lost_answer_is_not_given_twice(kind: str) -> None:
    async with city() as there:
        copy = await there.writer.create(SPACE, a_draft())
        there.sandbox.change("support", id=there.only["id"], times=3)
        there.sandbox.plant(Fault(kind, match="status_change", seconds=0.0))
        with pytest.raises(MaybeDone):
            await there.writer.answer(copy.ref, an_answer())
        assert await there.writer.has_answer(copy.ref, an_answer()), "the feed is written a moment later"
        assert there.sandbox.emails == 3


async def test_answering_is_for_admins_of_the_group() -> None:
    async with city(bot_is_admin=False) as there:
        copy = await there.writer.create(SPACE, a_draft())
        there.sandbox.database.members.add(("communities_admins", 1, BOT))
        with pytest.raises(CannotDo):
            await there.writer.answer(copy.ref, an_answer())
        with pytest.raises(CannotDo):
            await there.writer.comment(copy.ref, an_answer().texts["nl"])
        assert there.only["official_status"] == 0 and not there.sandbox.emails


async def test_arguments_where_the_operator_wants_them() -> None:
    async with city(answers_as_arguments=True) as there:
        copy = await there.writer.create(SPACE, a_draft())
        text = an_answer().texts["nl"]
        assert not await there.writer.has_comment(copy.ref, MARKER)
        there.sandbox.change("comment", id=there.only["id"], body=f"Ik plak: {MARKER}")
        assert not await there.writer.has_comment(copy.ref, MARKER), "anybody can type a marker"
        there.sandbox.plant(Fault("reset_after_store", match="^POST /api/points"))
        with pytest.raises(MaybeDone):
            await there.writer.comment(copy.ref, text)
        assert await there.writer.has_comment(copy.ref, MARKER)
        await there.writer.comment("proposal/1", text)
        assert await there.writer.has_comment("proposal/1", MARKER)
        there.sandbox.change("configure", group=1, pointCharLimit="10")
        with pytest.raises(CannotDo):
            await there.writer.comment(copy.ref, text)


# Accounts and plans --------------------------------------------------------------------------------------------------


async def test_signing_in_is_done_once_and_never_tried_again_with_a_wrong_password() -> None:
    async with city(email="Robot@Toy.Example") as there:
        for i in range(3):
            await there.writer.create(SPACE, a_draft(f"Titel {i}"))
        assert sum(line.startswith("POST /api/users/login") for line in there.sandbox.stats.log) == 1
    async with city(password="nope") as there:
        for _ in range(3):
            with pytest.raises(CannotDo):
                await there.writer.create(SPACE, a_draft())
        assert sum(line.startswith("POST /api/users/login") for line in there.sandbox.stats.log) == 1


async def test_a_session_that_ended_is_started_again() -> None:
    async with city() as there:
        copy = await there.writer.create(SPACE, a_draft())
        there.sandbox.change("end_sessions")
        with pytest.raises(NotDone):
            await there.writer.edit(SPACE, copy, a_draft("Anders"))
        await there.writer.edit(SPACE, copy, a_draft("Anders"))
        there.sandbox.change("end_sessions")
        with pytest.raises(NotDone):
            await there.writer.withdraw(SPACE, copy, "weg")
        await there.writer.withdraw(SPACE, copy, "weg")
        there.sandbox.change("end_sessions")
        assert await there.writer.find(SPACE, a_draft(), there.clock.now()) is None


async def test_no_session_over_plain_http_elsewhere() -> None:
    async with city(url="http://hugmyndir.example") as there:
        with pytest.raises(CannotDo) as caught:
            await there.writer.check()
        assert "https" in str(caught.value)
    async with city(url="https://hugmyndir.example") as there:
        await there.writer.create(SPACE, a_draft())
        assert there.only["counter_endorsements_up"] == 0


async def test_no_secret_is_in_a_plan_or_an_error() -> None:
    async with city(answers_as_arguments=True, private_marker=True) as there:
        copy = await there.writer.create(SPACE, a_draft())
        plans = [
            *there.writer.plan_create(SPACE, a_draft()),
            *there.writer.plan_edit(SPACE, copy, a_draft()),
            *there.writer.plan_withdraw(SPACE, copy, "weg"),
            *there.writer.plan_answer(copy.ref, an_answer()),
            *there.writer.plan_comment(copy.ref, an_answer().texts["nl"]),
        ]
        shown = repr(plans) + repr(there.writer.settings)
        assert not [secret for secret in SECRETS if secret in shown] and "‹id›" in shown
    async with city(password="nope") as there:
        with pytest.raises(CannotDo) as caught:
            await there.writer.check()
        assert not [secret for secret in (*SECRETS, "nope") if secret in str(caught.value)]


async def test_the_plan_is_what_is_sent() -> None:
    async with city() as there:
        sent: list[tuple[str, str, Any, str]] = []
        handle = there.sandbox.handle

        def spy(request: Any) -> Any:
            if request.method != "GET" and "/users/" not in request.path:
                body = msgspec.json.decode(request.body) if request.body else None
                sent.append((request.method, request.path[1:], body, request.headers["content-type"]))
            return handle(request)

        there.sandbox.handle = spy
        draft = there.writer.fit(SPACE, a_draft(latitude=64.1, longitude=-21.9)).draft
        plan = list(there.writer.plan_create(SPACE, draft))
        copy = await there.writer.create(SPACE, draft)
        changed = replace(draft, texts={"nl": replace(draft.main, title="Anders")})
        plan += there.writer.plan_edit(SPACE, copy, changed)
        await there.writer.edit(SPACE, copy, changed)
        plan += there.writer.plan_answer(copy.ref, an_answer())
        await there.writer.answer(copy.ref, an_answer())
        plan += there.writer.plan_withdraw(SPACE, copy, "weg")
        await there.writer.withdraw(SPACE, copy, "weg")
        own = copy.ref.partition("/")[2]
        assert sent == [(each.method, each.path.replace("‹id›", own), each.json, "application/json") for each in plan]


async def test_rebuilding_lists_what_the_account_wrote() -> None:
    async with city() as there:
        for i in range(30):
            there.clock.advance(1)
            await there.writer.create(SPACE, a_draft(f"Titel {i}"))
        there.sandbox.change("answer", id=there.copies()[3]["id"])
        there.sandbox.change("odd_status", id=there.copies()[4]["id"])
        mine = [each async for each in there.writer.authored(SPACE)]
        assert [each.title for each in mine] == [f"Titel {i}" for i in range(29, -1, -1)]
        assert all(MARKER in each.text and each.copy.complete for each in mine)
        assert not [each async for each in there.writer.authored("group/2")]
