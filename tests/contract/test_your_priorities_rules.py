"""What the groups of Your Priorities allow a writer, answers, accounts and plans."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from civicsync.connectors.contract.errors import CannotDo, MaybeDone, NotDone, WrongCredentials
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.your_priorities.sandbox import populate
from civicsync.connectors.your_priorities.sandbox.populate import BOT
from civicsync.core.records import State
from tests.support.your_priorities_writing import CREATE, MARKER, SECRETS, SPACE, STORED, a_draft, an_answer, city

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
        there.writer.own_votes.tidied = False
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


async def test_a_lost_answer_that_the_feed_does_not_tell_is_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker writes the feed; where it is down nothing appears, and the same answer would send its e-mails again."""
    written = populate.status_change

    def unwritten(database: Any, about: Any, to: int | None, content: str, at: str) -> Any:
        return written(database, about, to, content, "2099-01-01T00:00:00.000Z")

    async with city() as there:
        copy = await there.writer.create(SPACE, a_draft())
        monkeypatch.setattr(populate, "status_change", unwritten)
        there.sandbox.plant(Fault("500_after_store", match="status_change"))
        with pytest.raises(MaybeDone):
            await there.writer.answer(copy.ref, an_answer())
        with pytest.raises(NotDone, match="feed"):
            await there.writer.has_answer(copy.ref, an_answer())


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
            with pytest.raises(WrongCredentials):
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
