"""The Your Priorities writer against its sandbox, in-process: every operation, and every way in which an answer gets lost."""

from datetime import timedelta
from typing import Any

import pytest

from civicsync.connectors.contract.errors import MaybeDone, NotDone
from civicsync.connectors.contract.writing import (
    CanAnswer,
    CanComment,
    CanEdit,
    CanFind,
    CanWithdraw,
    Copy,
    Draft,
    LocalText,
)
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.your_priorities.sandbox.populate import BOT
from civicsync.connectors.your_priorities.writer import YourPrioritiesWriter
from tests.support.your_priorities_writing import (
    CREATE,
    DELETE,
    EDIT,
    MARKER,
    PLAIN,
    SPACE,
    STORED,
    UNVOTE,
    a_draft,
    city,
)


def test_a_writer_of_your_priorities_can_do_everything() -> None:
    assert all(
        issubclass(YourPrioritiesWriter, each) for each in (CanFind, CanEdit, CanWithdraw, CanAnswer, CanComment)
    )


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


async def test_two_with_one_marker_are_told() -> None:
    async with city() as there:
        since = there.clock.now()
        first = await there.writer.create(SPACE, a_draft())
        there.clock.advance(5)
        second = await there.writer.create(SPACE, a_draft())
        found = await there.writer.find(SPACE, a_draft(), since)
        assert found is not None and found.ref == first.ref and list(found.twins) == [second.ref]


async def test_a_copy_whose_vote_could_not_be_taken_back_was_accepted() -> None:
    async with city() as there:
        there.sandbox.plant(Fault("reset", match="^DELETE /api/posts", times=None))
        with pytest.raises(MaybeDone) as caught:
            await there.writer.create(SPACE, a_draft())
        assert caught.value.accepted


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


async def test_a_200_that_cannot_be_read_was_taken() -> None:
    """Whatever stands in it, the site took the post: it is looked up, and never sent again by itself."""
    async with city() as there:
        there.sandbox.plant(Fault("cut_json", match=r"^POST /api/posts/\d+$"))
        with pytest.raises(MaybeDone) as caught:
            await there.writer.create(SPACE, a_draft())
        assert caught.value.accepted
        assert len(there.copies()) == 1


async def test_the_account_lists_its_own_texts_with_their_twins() -> None:
    async with city() as there:
        first = await there.writer.create(SPACE, a_draft())
        second = await there.writer.create(SPACE, a_draft("Nog eens"))
        twins = {each.copy.ref: list(each.copy.twins) async for each in there.writer.authored(SPACE)}
        assert (twins[first.ref], twins[second.ref]) == ([second.ref], [first.ref])


@pytest.mark.parametrize("admin", [True, False])
async def test_answers_can_be_told_only_where_the_account_administers_the_very_group(admin: bool) -> None:
    async with city(bot_is_admin=admin) as there:
        why = await there.writer.may_answer(SPACE)
        assert (why == "") is admin
        assert admin or "no admin of group/1" in why
    async with city(bot_is_admin=False, answers_as_arguments=True) as there:
        assert await there.writer.may_answer(SPACE) == ""
