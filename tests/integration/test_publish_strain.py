"""Publishing under strain: late stores, mass changes, citizens and moderators who meddle, and a person who approves too quickly."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.config.routes import Follow, Where
from civicsync.connectors.contract.errors import CannotDo, Malformed, NotDone, WrongCredentials
from civicsync.connectors.contract.exchange import Request
from civicsync.connectors.contract.writing import Authored, Copy, Limits, Reading
from civicsync.connectors.testing.fake import FakeWriter
from civicsync.core.ledger import restored
from civicsync.core.ledger.ledger import Ledger
from civicsync.core.ledger.states import OPEN, OperationKind, OperationState, Reason, waits_for_person
from civicsync.core.records import State
from civicsync.sync.publish.rebuild_map import rebuild_map
from civicsync.sync.publish.review import Reviewer
from civicsync.sync.pull.run import Options, Puller
from tests.support.mesh import KEY, Mesh

W, K = OperationState, OperationKind


def mesh(folder: Path, count: int = 3, **route: object) -> Mesh:
    made = Mesh(folder, "ab", **route)
    for number in range(count):
        made.worlds["a"].write(f"Meer bomen {number}", f"In straat {number}.\n\nDank u.")
    made.pull()
    return made


def own_of(world: Mesh, number: int = 1) -> Any:
    ledger = Ledger(world.engine, world.clock)
    return next(each for each in ledger.publications() if each.origin_key == f"a/proposal/{number}")


# Late -------------------------------------------------------------------------------------------------------------------


def test_a_run_does_not_wait_for_hours_and_later_ones_settle_it(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    safety = world.config.safety.model_copy(update={"settle": None})
    world.config = world.config.model_copy(update={"safety": safety})
    world.worlds["b"].faults.append("reset_before")
    before = world.clock.monotonic()
    [outcome] = world.publish("a-to-b")
    assert (outcome.outcome, outcome.failed) == ("waiting", False)
    assert "1 were sent and not answered: looked up again from" in outcome.message
    assert world.clock.monotonic() - before < 300
    for _ in range(5):
        world.clock.advance(1800)
        world.publish("a-to-b")
        assert world.worlds["b"].copies() == [], "it may still arrive"
    world.clock.advance(1800)
    world.publish("a-to-b")
    assert len(world.worlds["b"].copies()) == 1


def test_what_is_proven_absent_and_was_withdrawn_meanwhile_is_not_made(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    safety = world.config.safety.model_copy(update={"settle": None})
    world.config = world.config.model_copy(update={"safety": safety})
    world.worlds["b"].faults.append("reset_before")
    world.publish("a-to-b")
    world.worlds["a"].posts[1].hidden = True
    for _ in range(8):
        world.clock.advance(3600)
        world.round()
    assert world.worlds["b"].copies() == []
    assert world.states() == {"cancelled": 1}


def test_what_a_run_proves_absent_while_it_waits_is_not_made_when_its_origin_went(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    safety = world.config.safety.model_copy(update={"settle": "90s"})
    world.config = world.config.model_copy(update={"safety": safety})
    world.worlds["b"].faults.append("reset_before")
    world.worlds["b"].gate = lambda _: "503" if world.rows("SELECT * FROM operation WHERE state = 'unknown'") else ""
    world.publish("a-to-b")
    world.worlds["b"].gate = lambda _: ""
    assert world.states() == {"unknown": 1}
    world.worlds["a"].posts[1].hidden = True
    asyncio.run(Puller(world.config, world.engine, world.clock).pull("a", Options(full=True, accept_missing=True)))
    made: list[str] = []
    world.worlds["b"].on_write = made.append
    for _ in range(6):
        world.publish("a-to-b")
    assert (made, world.states()) == ([], {"cancelled": 1})


def test_a_copy_that_arrives_after_its_publication_was_cancelled_is_taken_back(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1, approval="required")
    world.publish("a-to-b")
    world.worlds["a"].posts[1].hidden = True
    world.round()
    assert world.states() == {"cancelled": 1}
    late = world.worlds["b"].write("Meer bomen 0", f"Laat. {own_of(world).marker}", "robot")
    for _ in range(2):
        world.round()
    assert late.hidden, "its origin is gone"


def test_two_copies_are_told_and_the_first_one_stays_where_the_route_says_so(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1, twins="keep_first")
    world.publish("a-to-b")
    [copy] = world.worlds["b"].copies()
    second = world.worlds["b"].write(copy.title, copy.body, "robot")
    third = world.worlds["b"].write(copy.title, copy.body, "citizen-9")
    world.pull()
    [outcome] = world.publish("a-to-b")
    assert [copy.hidden, second.hidden, third.hidden] == [False, True, False], "a citizen's is not ours to take"
    assert outcome.twins == 0
    assert world.states()["sent"] == 1
    world.round()
    assert [each["what"] for each in Ledger(world.engine, world.clock).events(own_of(world).id)].count("twins") <= 1


def test_two_copies_are_asked_about_by_default(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    [copy] = world.worlds["b"].copies()
    second = world.worlds["b"].write(copy.title, copy.body, "robot")
    world.pull()
    [outcome] = world.publish("a-to-b")
    assert (outcome.failed, outcome.twins, second.hidden) == (True, 1, False)


@pytest.mark.parametrize("twins", ["ask", "keep_first"])
def test_two_candidates_are_a_question_after_a_lost_ledger(tmp_path: Path, twins: str) -> None:
    world = mesh(tmp_path, 1, twins=twins)
    empty = world.backup()
    world.publish("a-to-b")
    [first] = world.worlds["b"].copies()
    second = world.worlds["b"].write(first.title, first.body, "robot")
    world.restore(empty)
    [found] = asyncio.run(rebuild_map(world.config, world.engine, ["a-to-b"], world.clock))
    assert (found.found, found.asked, found.error) == (1, 1, "")
    own = own_of(world)
    assert (own.remote_ref, own.reason_code) == (f"proposal/{first.id}", Reason.TWINS)
    world.round()
    assert [first.hidden, second.hidden] == [False, twins == "keep_first"]


def test_a_text_with_two_markers_is_nobodys_copy(tmp_path: Path) -> None:
    """Whoever smuggled a victim's marker into a text of ours must not get the victim's publication after a lost ledger."""
    world = mesh(tmp_path, 2)
    empty = world.backup()
    world.publish("a-to-b")
    victim, attackers = world.worlds["b"].copies()
    attackers.body += f" {own_of(world, 1).marker}"
    victim.hidden = True
    world.restore(empty)
    world.publish("a-to-b")
    assert own_of(world, 1).copy_key is None
    assert own_of(world, 1).reason_code is Reason.MIXED_MARKERS
    assert len(world.worlds["b"].copies()) == 1, "nothing is made unasked"


# Many at once -----------------------------------------------------------------------------------------------------------


def test_mass_withdrawals_ask_first_and_go_on_when_a_person_says_so(tmp_path: Path) -> None:
    world = mesh(tmp_path, 55)
    world.publish("a-to-b")
    world.pull()
    for post in world.worlds["a"].posts.values():
        post.hidden = True
    world.pull()
    [outcome] = world.publish("a-to-b")
    assert (outcome.outcome, outcome.failed) == ("halted", True)
    assert "55 changes of its 55 copies within an hour (55 withdraw) are more than 5 %" in outcome.message
    assert len(world.worlds["b"].copies()) == 55, "before the first of them"
    world.clock.advance(7200)
    assert world.publish("a-to-b")[0].outcome == "halted", "time alone lets nothing go"
    Ledger(world.engine, world.clock).save_route(
        "a-to-b", halted_at=None, halted_reason="", resumed_at=world.clock.now()
    )
    assert world.publish("a-to-b")[0].outcome == "done"
    assert world.worlds["b"].copies() == []
    # What we withdrew ourselves is no loss that the target's next pull asks about.
    config = world.config.model_copy(
        update={"safety": world.config.safety.model_copy(update={"max_gone_percent": 5.0})}
    )
    world.clock.advance(60)
    report = asyncio.run(Puller(config, world.engine, world.clock).pull("b", Options(full=True)))
    assert report.outcome == "done"
    assert world.rows("SELECT count(*) FROM proposals WHERE instance = 'b' AND gone_at IS NULL") == [(0,)]


def test_edits_withdrawals_and_answers_are_counted_together(tmp_path: Path) -> None:
    world = mesh(tmp_path, 6)
    world.publish("a-to-b")
    posts = world.worlds["a"].posts
    world.clock.advance(60)
    posts[1].body, posts[2].body, posts[3].hidden = "Anders.", "Ook anders.", True
    posts[4].state, posts[4].answer, posts[4].answered_at = State.ACCEPTED, "Ja.", world.clock.now()
    world.pull()
    writes = world.writes()
    [outcome] = world.publish("a-to-b")
    assert "(1 answer, 2 edit, 1 withdraw)" in outcome.message
    assert world.writes() == writes
    posts[2].body = "In straat 1.\n\nDank u."
    assert "4 changes" in world.publish("a-to-b")[0].message


def test_three_may_always_change_and_what_a_person_approved_is_not_counted(tmp_path: Path) -> None:
    world = mesh(tmp_path, 8, approval="required")
    ann = Reviewer(world.config, world.engine, world.clock, "ann")

    def approved() -> None:
        for own in Ledger(world.engine, world.clock).publications(route="a-to-b"):
            ann.approve(own)
        assert world.publish("a-to-b")[0].outcome != "halted"

    world.publish("a-to-b")
    approved()
    for number in range(1, 7):
        world.worlds["a"].posts[number].body = "Anders."
    world.pull()
    world.publish("a-to-b")
    approved()
    assert sum("Anders." in post.body for post in world.worlds["b"].copies()) == 6
    for number in range(1, 4):
        world.worlds["a"].posts[number].hidden = True
    world.round()
    assert len(world.worlds["b"].copies()) == 5


def test_answers_that_are_older_than_their_copies_belong_to_their_making(tmp_path: Path) -> None:
    world = mesh(tmp_path, 8)
    for post in world.worlds["a"].posts.values():
        post.state, post.answer, post.answered_at = State.ACCEPTED, "Ja.", world.clock.now()
    world.pull()
    for _ in range(2):
        assert world.publish("a-to-b")[0].outcome == "done"
    assert sum(post.answer != "" for post in world.worlds["b"].copies()) == 8


def test_an_origin_that_is_edited_a_thousand_times_costs_its_copy_a_few_writes(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1, edits_per_hour=2)
    world.publish("a-to-b")
    writes, began = world.writes(), world.clock.now()
    for number in range(15):
        world.worlds["a"].posts[1].body = f"Anders {number}."
        world.round()
    assert world.clock.now() - began < timedelta(hours=1)
    assert world.writes() - writes == 2
    [outcome] = world.publish("a-to-b")
    assert "edits_per_hour" in outcome.message
    world.clock.advance(3600)
    world.publish("a-to-b")
    assert "Anders 14." in world.worlds["b"].copies()[0].body, "the newest text, in the end"


def test_a_halted_route_tells_no_origin_anything_while_its_target_is_left_alone(tmp_path: Path) -> None:
    world = mesh(tmp_path, 10, follow={"answers_to_origin": True})
    world.publish("a-to-b")
    world.clock.advance(7200)
    for post in world.worlds["b"].copies():
        post.state, post.answer, post.answered_at = State.ACCEPTED, "Ja.", world.clock.now()
    world.pull()
    assert world.publish("a-to-b")[0].outcome == "halted"
    ledger, host = Ledger(world.engine, world.clock), world.worlds["b"].url.partition("://")[2]
    for _ in range(5):
        ledger.count_failure(host, 5, timedelta(minutes=5))
    assert world.publish("a-to-b")[0].left_alone
    assert [post.answer for post in world.worlds["a"].posts.values()] == [""] * 10


def test_a_copy_that_was_hidden_when_it_was_taken_back_and_is_shown_again_goes_as_well(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    world.pull()
    [copy] = world.worlds["b"].copies()
    copy.hidden = world.worlds["a"].posts[1].hidden = True
    for _ in range(2):
        asyncio.run(Puller(world.config, world.engine, world.clock).pull("a", Options(full=True, accept_missing=True)))
    world.publish("a-to-b")
    assert own_of(world).state == "withdrawn"
    copy.hidden = False
    for _ in range(2):
        world.round()
    assert (copy.hidden, own_of(world).state) == (True, "withdrawn")
    assert world.round() == 0


def test_a_copy_that_cannot_be_told_keeps_nobody_from_looking_after_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path, 2)
    world.publish("a-to-b")
    one, other = own_of(world, 1), own_of(world, 2)
    next(each for each in world.worlds["b"].copies() if each.title == "Meer bomen 1").hidden = True
    read = FakeWriter.read

    async def odd(writer: FakeWriter, copy: Copy) -> Reading | None:
        if copy.ref == one.remote_ref:
            raise NotDone("its page is odd")
        return await read(writer, copy)

    monkeypatch.setattr(FakeWriter, "read", odd)
    world.worlds["b"].posts[int(one.remote_id)].hidden = True
    world.round()
    ledger = Ledger(world.engine, world.clock)
    assert [each.state for each in ledger.publications(ids=[one.id, other.id])] == ["sent", "gone"]


def test_a_copy_whose_origin_went_is_told_where_it_is_only_flagged_until_the_origin_is_back(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1, follow={"withdrawals": "flag"})
    world.publish("a-to-b")
    told = []
    for gone in (True, False, True):
        world.worlds["a"].posts[1].hidden = gone
        world.pull()
        told.append([*world.publish("a-to-b")[0].reasons])
    says = "sent: its origin is gone"
    assert [[each[: len(says)] for each in words] for words in told] == [[says], [], [says]]
    assert len(world.worlds["b"].copies()) == 1


def test_after_a_lost_database_a_copy_whose_origin_nobody_knows_is_told(tmp_path: Path) -> None:
    world = mesh(tmp_path, 2)
    world.publish("a-to-b")
    world.worlds["a"].posts[1].hidden = True
    world.lose()
    world.pull()
    asyncio.run(rebuild_map(world.config, world.engine, ["a-to-b"], world.clock))
    told = list[list[str]]()
    for _ in range(3):
        world.clock.advance(60)
        world.pull()
        told.append([each for each in world.publish("a-to-b")[0].reasons if "knows its origin" in each])
    assert [len(each) for each in told] == [1, 1, 1], told
    assert len(world.worlds["b"].copies()) == 2, "nothing is taken back for that alone"


@pytest.mark.parametrize("removed", ["copy", "origin"])
def test_what_a_person_rejected_is_not_asked_again(tmp_path: Path, removed: str) -> None:
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    if removed == "copy":
        world.worlds["b"].copies()[0].hidden = True
    else:
        world.worlds["a"].posts[1].hidden = True
        world.round()
        world.worlds["a"].posts[1].hidden = False
    asked = 0
    for _ in range(4):
        world.round()
        own = own_of(world)
        if waits_for_person(own.state, own.reason_code):
            asked += 1
            Reviewer(world.config, world.engine, world.clock, "ann").reject(own, "laat maar")
    assert (asked, own_of(world).state) == (1, "withdrawn")


def test_a_copy_that_is_made_anew_gets_the_official_answer_too(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    post = world.worlds["a"].posts[1]
    post.state, post.answer, post.answered_at = State.ACCEPTED, "Dit doen we.", world.clock.now()
    world.round()
    [first] = world.worlds["b"].copies()
    first.hidden = "Dit doen we." in first.answer
    world.round()
    assert Reviewer(world.config, world.engine, world.clock, "ann").reopen(own_of(world)).taken
    for _ in range(3):
        world.round()
    [again] = world.worlds["b"].copies()
    assert (again is first, "Dit doen we." in again.answer) == (False, True)
    assert world.round() == 0


# Citizens ---------------------------------------------------------------------------------------------------------------


def test_a_marker_in_an_edit_passes_the_same_guards_as_in_a_new_text(tmp_path: Path) -> None:
    world = mesh(tmp_path, 2)
    world.publish("a-to-b")
    victims = own_of(world, 2).marker
    world.worlds["a"].posts[1].body = f"Nu met [civic[civicsync:x]sync:{victims.partition(':')[2]} erin."
    world.round()
    copy = world.worlds["b"].copies()[0]
    assert "Nu met" not in copy.body, "a person looks first"
    [waiting] = [op for op in Ledger(world.engine, world.clock).operations() if op.kind is K.EDIT]
    assert (waiting.state, waiting.reason_code) == (W.AWAITING_APPROVAL, Reason.DOUBTFUL_MARKER)
    ann = Reviewer(world.config, world.engine, world.clock, "ann")
    assert ann.approve(own_of(world, 1)) == "approved"
    world.publish("a-to-b")
    assert "Nu met" in copy.body
    assert victims not in copy.body
    assert copy.body.count("civicsync:") == 1


# Moderators -------------------------------------------------------------------------------------------------------------


def test_a_moderators_edit_is_found_when_it_is_planned_shown_and_compared_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path, 1, approval="required")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEY", KEY)
    for name in ("publish", "review"):
        monkeypatch.setattr(f"civicsync.app.cli.{name}.Clock", lambda: world.clock)

    def said(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(app, [*words, "--json"])
        return done.exit_code, json.loads(done.stdout)

    said("publish", "a-to-b")
    said("review", "approve", "--all")
    said("publish", "a-to-b")
    [copy] = world.worlds["b"].copies()
    copy.title = "Titel van de moderator"
    world.worlds["a"].posts[1].body = "Nieuwe tekst."
    world.pull()
    said("publish", "a-to-b")
    [row] = said("review", "list")[1]
    assert (row["action"], "somebody changed the copy" in row["why"]) == ("edit", True), "when it is planned"
    code, [ruling] = said("review", "approve", row["id"])
    assert (code, "did not see how" in ruling["outcome"]) == (1, True)
    story = said("review", "show", row["id"])[1]
    assert story["now"]["title"] == "Titel van de moderator"
    assert "-Titel van de moderator" in story["diff"], "what stands there now, not our own old text"
    assert said("review", "approve", row["id"])[0] == 0
    copy.title = "Nog een andere titel"
    said("publish", "a-to-b")
    assert copy.title == "Nog een andere titel", "compared again when it is sent"
    assert said("review", "list")[1][0]["state"] == "awaiting_approval"
    said("review", "show", row["id"])
    said("review", "approve", row["id"])
    said("publish", "a-to-b")
    assert (copy.title, "Nieuwe tekst." in copy.body) == ("Meer bomen 0", True)


def test_approving_everything_makes_nothing_anew_that_a_moderator_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path, 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEY", KEY)
    world.publish("a-to-b")
    world.round()
    world.worlds["b"].copies()[0].hidden = True
    world.round()
    assert world.states() == {"gone": 1}
    done = CliRunner().invoke(app, ["review", "approve", "--all", "--json"])
    assert (done.exit_code, "only `review reopen ID`" in done.stdout) == (0, True)
    world.round()
    assert world.worlds["b"].copies() == []


def test_a_dry_run_shows_what_would_be_taken_back_beside_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path, 1, twins="keep_first")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEY", KEY)
    world.publish("a-to-b")
    [copy] = world.worlds["b"].copies()
    second = world.worlds["b"].write(copy.title, copy.body, "robot")
    world.pull()
    done = CliRunner().invoke(app, ["publish", "a-to-b", "--dry-run"])
    assert (done.exit_code, "take back what was made beside the copy" in done.stdout) == (0, True)
    assert f"DELETE proposal/{second.id}" in done.stdout
    assert not second.hidden


# One thing's trouble ----------------------------------------------------------------------------------------------------


def test_a_copy_that_is_reopened_beside_a_lost_answer_stops_nothing(tmp_path: Path) -> None:
    world = mesh(tmp_path, 2)
    world.publish("a-to-b")
    safety = world.config.safety.model_copy(update={"settle": "3h"})
    world.config = world.config.model_copy(update={"safety": safety})
    post = world.worlds["a"].posts[1]
    post.state, post.answer, post.answered_at = State.ACCEPTED, "Dit doen we.", world.clock.now()
    world.pull()
    world.worlds["b"].faults.append("reset_before")
    world.publish("a-to-b")
    next(each for each in world.worlds["b"].copies() if each.title == "Meer bomen 0").hidden = True
    world.round()
    assert Reviewer(world.config, world.engine, world.clock, "ann").reopen(own_of(world)).taken
    post.title = "refuse me"
    world.worlds["a"].write("Nieuw", "Een nieuwe tekst.")
    for _ in range(3):
        world.pull()
        [outcome] = world.publish("a-to-b")
        assert outcome.outcome != "failed", outcome.message
    assert "Nieuw" in {each.title for each in world.worlds["b"].copies()}


def test_what_nobody_foresaw_of_one_copy_is_told_when_the_others_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path, 3)
    world.publish("a-to-b")
    withdraw, odd = FakeWriter.withdraw, own_of(world, 1).remote_ref

    async def broken(writer: FakeWriter, space: str, copy: Copy, reason: str) -> None:
        assert copy.ref != odd
        await withdraw(writer, space, copy, reason)

    monkeypatch.setattr(FakeWriter, "withdraw", broken)
    for post in world.worlds["a"].posts.values():
        post.hidden = True
    world.pull()
    [outcome] = world.publish("a-to-b")
    assert [each.title for each in world.worlds["b"].copies()] == ["Meer bomen 0"]
    assert (outcome.outcome, "a mistake in civicsync (AssertionError" in outcome.message) == ("failed", True)
    [left] = Ledger(world.engine, world.clock).operations(states=OPEN)
    assert (left.kind, left.state) == (K.WITHDRAW, W.UNKNOWN)
    monkeypatch.undo()
    world.clock.advance(3600)
    world.publish("a-to-b")
    assert world.worlds["b"].copies() == []


def test_a_withdrawal_that_waits_when_its_copy_is_found_hidden_is_not_sent_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    world.clock.advance(60)
    world.worlds["a"].posts[1].hidden = True
    asyncio.run(Puller(world.config, world.engine, world.clock).pull("a", Options(full=True, accept_missing=True)))
    says = [NotDone("asked to slow down", status=429, wait=900), *[CannotDo("it is not there any more")] * 9]

    async def refused(writer: FakeWriter, space: str, copy: Copy, reason: str) -> None:
        raise says.pop(0)

    monkeypatch.setattr(FakeWriter, "withdraw", refused)
    world.publish("a-to-b")
    world.worlds["b"].copies()[0].hidden = True
    world.clock.advance(3600)
    world.pull()
    for _ in range(2):
        assert world.publish("a-to-b")[0].outcome == "done"
    assert (len(says), own_of(world).state) == (9, "gone")


def test_where_nothing_new_may_be_made_what_is_there_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, limits = mesh(tmp_path, 3), FakeWriter.limits
    world.publish("a-to-b")
    world.clock.advance(3600)

    async def closed(writer: FakeWriter, space: str, voice: object = None) -> Limits:
        raise CannotDo("the board takes nothing new")

    monkeypatch.setattr(FakeWriter, "limits", closed)
    posts = world.worlds["a"].posts
    posts[1].hidden, posts[3].body = True, "Anders."
    posts[2].state, posts[2].answer, posts[2].answered_at = State.ACCEPTED, "Dit doen we.", world.clock.now()
    world.worlds["a"].write("Nieuw", "Een nieuwe tekst.")
    world.pull()
    [outcome] = world.publish("a-to-b")
    assert (outcome.outcome, outcome.message) == ("failed", "the board takes nothing new")
    two, three = world.worlds["b"].copies()
    assert ("Dit doen we." in two.answer, "In straat 2." in three.body) == (True, True)
    monkeypatch.setattr(FakeWriter, "limits", limits)
    assert world.publish("a-to-b")[0].outcome == "done"
    assert "Anders." in three.body
    assert world.worlds["b"].copies()[-1].title == "Nieuw"


def two_boards(folder: Path) -> Mesh:
    """From a to one board of b, from c to another one."""
    world = Mesh(folder, "abc")
    route = world.config.routes["c-to-b"]
    to = route.to.model_copy(update={"space": "board/2"})
    world.config.routes["c-to-b"] = route.model_copy(update={"to": to})
    for name in "ac":
        world.worlds[name].write(f"Van {name}", f"Een tekst van {name}.")
    world.pull()
    return world


def test_a_board_that_is_closed_stops_no_route_to_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, authored = two_boards(tmp_path), FakeWriter.authored

    async def anywhere(writer: FakeWriter, space: str, voice: object = None) -> Limits:
        return Limits(sends="plain", locales=("nl",))

    async def listed(writer: FakeWriter, space: str) -> AsyncIterator[Authored]:
        if space == "board/1":
            raise CannotDo("this board is closed")
        async for each in authored(writer, space):
            yield each

    monkeypatch.setattr(FakeWriter, "limits", anywhere)
    world.publish("a-to-b", "c-to-b")
    world.pull()
    monkeypatch.setattr(FakeWriter, "authored", listed)
    world.worlds["a"].write("Nieuw van a", "Nog een tekst.")
    world.worlds["c"].write("Nieuw van c", "Nog een andere tekst.")
    world.worlds["c"].posts[1].hidden = True
    world.pull()
    one, other = world.publish("a-to-b", "c-to-b")
    assert (one.outcome, one.message) == ("failed", "b: this board is closed")
    assert other.outcome == "done"
    assert [each.title for each in world.worlds["b"].copies()] == ["Van a", "Nieuw van c"]


def test_a_twin_that_nobody_has_decided_about_goes_with_its_copy(tmp_path: Path) -> None:
    """Which of two stays is a person's question; where the origin is gone none does."""
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    board = world.worlds["b"]
    [copy] = board.copies()
    board.write(copy.title, copy.body, "robot")
    world.pull()
    world.publish("a-to-b")
    assert own_of(world).reason_code is Reason.TWINS
    world.worlds["a"].posts[1].hidden = True
    for _ in range(2):
        world.pull()
        world.publish("a-to-b")
    assert board.copies() == []


# A moderator's words ----------------------------------------------------------------------------------------------------


def test_a_moderators_words_stay_where_the_look_after_the_write_failed(tmp_path: Path) -> None:
    """What was not read just after it was written is read before the run ends: a change is told by that."""
    world = mesh(tmp_path, 1)
    board, asked = world.worlds["b"], list[str]()

    def down(request: Request) -> str:
        if request.method != "GET" or not request.path.startswith("proposal/") or asked:
            return ""
        asked.append(request.path)
        return "503"

    board.gate = down
    world.publish("a-to-b")
    assert asked and own_of(world).copy_print is not None
    [copy] = board.copies()
    copy.body = copy.body.replace("In straat 0.", "De moderator heeft dit ingekort.")
    world.worlds["a"].posts[1].body = "Anders."
    for _ in range(2):
        world.pull()
        world.publish("a-to-b")
    assert "De moderator" in copy.body
    assert own_of(world).reason_code is Reason.COPY_CHANGED


def test_a_moderators_words_stay_where_a_process_was_killed_in_the_middle_of_an_edit(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    board = world.worlds["b"]
    [copy] = board.copies()
    world.worlds["a"].posts[1].body = "Anders."
    world.pull()

    def killed(what: str) -> None:
        if what == "after edit":
            raise KeyboardInterrupt

    board.on_write = killed
    with pytest.raises(KeyboardInterrupt):
        world.publish("a-to-b")
    board.on_write = lambda _: None
    assert "Anders." in copy.body
    copy.body = copy.body.replace("Anders.", "De moderator heeft dit ingekort.")
    for _ in range(3):
        world.clock.advance(3600)
        world.publish("a-to-b")
    assert "De moderator" in copy.body
    assert own_of(world).reason_code is Reason.COPY_CHANGED


def test_an_answer_goes_on_where_a_moderator_changed_the_copy(tmp_path: Path) -> None:
    """Whether the text is replaced waits for a person; that the city said yes does not."""
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    [copy] = world.worlds["b"].copies()
    copy.body = copy.body.replace("In straat 0.", "De moderator heeft dit ingekort.")
    post = world.worlds["a"].posts[1]
    post.body = "Anders."
    world.pull()
    world.publish("a-to-b")
    assert own_of(world).state == "conflict"
    post.state, post.answer, post.answered_at = State.ACCEPTED, "Dit doen we.", world.clock.now()
    world.pull()
    world.publish("a-to-b")
    assert "Dit doen we." in copy.answer
    assert "De moderator" in copy.body


def test_a_twin_that_shows_after_its_copy_was_taken_back_goes_too(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    board = world.worlds["b"]
    [copy] = board.copies()
    said = copy.title, copy.body
    world.worlds["a"].posts[1].hidden = True
    world.pull()
    world.publish("a-to-b")
    assert own_of(world).state == "withdrawn"
    board.write(*said, "robot")
    for _ in range(2):
        world.pull()
        world.publish("a-to-b")
    assert board.copies() == []


# One space's trouble ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [CannotDo("it is of kind Debates"), NotDone("no answer", status=503)])
def test_a_place_where_copies_were_moved_to_and_that_refuses_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """What a pull saw of ours in that place is not made a second time meanwhile."""
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    world.lose()
    world.pull()
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE proposal SET space_key = 'b/board/2' WHERE instance = 'b'"))
    world.worlds["a"].write("Nieuw", "Een nieuwe tekst.")
    authored, down = FakeWriter.authored, [True]

    async def listed(writer: FakeWriter, space: str) -> AsyncIterator[Authored]:
        if down and space == "board/2":
            raise error
        async for each in authored(writer, space):
            if down or space == "board/2":
                continue
            yield each

    monkeypatch.setattr(FakeWriter, "authored", listed)
    asyncio.run(Puller(world.config, world.engine, world.clock).pull("a", Options(full=True)))
    [found] = asyncio.run(rebuild_map(world.config, world.engine, ["a-to-b"], world.clock))
    assert (found.error, found.asked) == ("", 1)
    [outcome] = world.publish("a-to-b")
    assert outcome.outcome == "done", outcome.message
    assert [each.title for each in world.worlds["b"].copies()] == ["Meer bomen 0", "Nieuw"]
    assert own_of(world).state == "held"
    monkeypatch.undo()
    asyncio.run(rebuild_map(world.config, world.engine, ["a-to-b"], world.clock))
    assert own_of(world).state == "sent", "it is found when that place can be read again"


@pytest.mark.parametrize("step", ["limits", "authored"])
@pytest.mark.parametrize("error", [NotDone("no answer", status=500), Malformed("not what a board answers")])
def test_one_space_that_fails_ends_its_own_route_and_takes_back_what_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    world, authored, down = two_boards(tmp_path), FakeWriter.authored, list[bool]()

    async def taken(writer: FakeWriter, space: str, voice: object = None) -> Limits:
        if down and (step, space) == ("limits", "board/1"):
            raise error
        return Limits(sends="plain", locales=("nl",))

    async def listed(writer: FakeWriter, space: str) -> AsyncIterator[Authored]:
        if down and (step, space) == ("authored", "board/1"):
            raise error
        async for each in authored(writer, space):
            yield each

    monkeypatch.setattr(FakeWriter, "limits", taken)
    monkeypatch.setattr(FakeWriter, "authored", listed)
    world.publish("a-to-b", "c-to-b")
    world.pull()
    down.append(True)
    for name in "ac":
        world.worlds[name].posts[1].hidden = True
        world.worlds[name].write(f"Nieuw van {name}", f"Nog een tekst van {name}.")
    world.pull()
    one, other = world.publish("a-to-b", "c-to-b")
    assert (one.outcome, one.closed, other.outcome) == ("failed", True, "done")
    assert one.message == f"b: {error}"
    assert [each.title for each in world.worlds["b"].copies()] == ["Nieuw van c"]


@pytest.mark.parametrize(("status", "ends"), [(503, "failed"), (429, "partial")])
def test_a_platform_that_answers_nothing_ends_the_run_of_all_its_routes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, ends: str
) -> None:
    """What fails with one space fails with all: nothing more is asked there."""
    world = two_boards(tmp_path)

    async def taken(writer: FakeWriter, space: str, voice: object = None) -> Limits:
        return Limits(sends="plain", locales=("nl",))

    monkeypatch.setattr(FakeWriter, "limits", taken)
    world.publish("a-to-b", "c-to-b")
    world.worlds["a"].posts[1].hidden = True
    world.pull()

    asked = list[str]()

    async def down(writer: FakeWriter, *words: object) -> Any:
        asked.append("asked")
        raise NotDone("no answer", status=status)

    monkeypatch.setattr(FakeWriter, "limits", down)
    if status != 429:
        monkeypatch.setattr(FakeWriter, "check", down)
    outcomes = world.publish("a-to-b", "c-to-b")
    assert [(each.outcome, each.closed) for each in outcomes] == [(ends, False)] * 2
    assert len(asked) == (3 if status == 429 else 6), "one space, and whether anything else is answered"
    assert len(world.worlds["b"].copies()) == 2


def test_a_wrong_password_for_one_space_is_not_tried_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, asked = mesh(tmp_path, 1), list[str]()
    world.publish("a-to-b")

    async def refused(writer: FakeWriter, *words: object) -> Any:
        asked.append("asked")
        raise WrongCredentials("the name or the password is wrong")

    for step in ("limits", "check"):
        monkeypatch.setattr(FakeWriter, step, refused)
    assert world.publish("a-to-b")[0].outcome == "failed"
    assert asked == ["asked"]


# What the route does not want any more ----------------------------------------------------------------------------------


def rerouted(world: Mesh, **route: Any) -> None:
    """The administrator changes every route."""
    for name, before in world.config.routes.items():
        world.config.routes[name] = before.model_copy(update=route)


@pytest.mark.parametrize(
    ("follow", "moved"),
    [
        ({"withdrawals": "flag"}, "hidden"),
        ({"withdrawals": "ignore"}, "hidden"),
        ({"edits": False}, "edited"),
        ({"answers_to_copies": False}, "answered"),
    ],
)
def test_what_was_halted_and_is_not_wanted_any_more_is_not_sent(
    tmp_path: Path, follow: dict[str, Any], moved: str
) -> None:
    world = mesh(tmp_path, 10)
    world.publish("a-to-b")
    world.clock.advance(7200)
    for post in world.worlds["a"].posts.values():
        if moved == "hidden":
            post.hidden = True
        elif moved == "edited":
            post.body = "Anders."
        else:
            post.state, post.answer, post.answered_at = State.ACCEPTED, "Dit doen we.", world.clock.now()
    world.pull()
    assert world.publish("a-to-b")[0].outcome == "halted"
    rerouted(world, follow=Follow.model_validate(follow))
    world.resume()
    writes = world.writes()
    for _ in range(2):
        world.pull()
        assert world.publish("a-to-b")[0].outcome == "done"
    assert (world.writes(), len(world.worlds["b"].copies())) == (writes, 10)
    assert Ledger(world.engine, world.clock).operations() == []


def test_an_edit_that_is_not_wanted_any_more_is_asked_about_no_more(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    [copy] = world.worlds["b"].copies()
    copy.body = copy.body.replace("In straat 0.", "De moderator heeft dit ingekort.")
    world.worlds["a"].posts[1].body = "Anders."
    world.pull()
    world.publish("a-to-b")
    assert own_of(world).state == "conflict"
    rerouted(world, follow=Follow(edits=False))
    world.publish("a-to-b")
    own = own_of(world)
    assert (own.state, own.reason_code) == ("sent", Reason.NONE)
    rerouted(world, follow=Follow(edits=True))
    world.publish("a-to-b")
    assert (own_of(world).state, "De moderator" in copy.body) == ("conflict", True), "it is compared as before"


def test_what_was_only_planned_and_is_not_wanted_any_more_is_not_made(tmp_path: Path) -> None:
    world = mesh(tmp_path, 2, first_run="plan")
    world.worlds["a"].posts[2].title = "Parkeren"
    world.worlds["a"].posts[2].body = "Op straat."
    world.pull()
    assert world.publish("a-to-b")[0].outcome == "planned"
    source = world.config.routes["a-to-b"].source
    narrow = source.model_copy(update={"where": Where(text="bomen")})
    world.config.routes["a-to-b"] = world.config.routes["a-to-b"].model_copy(update={"source": narrow})
    for _ in range(2):
        world.publish("a-to-b")
    assert [each.title for each in world.worlds["b"].copies()] == ["Meer bomen 0"]
    assert world.states() == {"sent": 1, "cancelled": 1}


def test_a_withdrawal_that_a_person_rejected_is_not_sent_until_the_origin_was_back(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    board, post = world.worlds["b"], world.worlds["a"].posts[1]
    post.hidden = True
    world.pull()
    board.faults.extend(["one_things_trouble"] * 5)
    for _ in range(6):
        world.publish("a-to-b")
        world.clock.advance(600)
    board.faults.clear()
    assert Reviewer(world.config, world.engine, world.clock, "ann").reject(own_of(world), "het mag blijven").taken
    for _ in range(3):
        world.pull()
        world.publish("a-to-b")
    assert len(board.copies()) == 1
    for hidden in (False, True):
        post.hidden = hidden
        world.pull()
        world.publish("a-to-b")
    assert board.copies() == [], "it went once more, about which nobody has decided"


# Answers that were removed ----------------------------------------------------------------------------------------------


def test_after_a_restore_an_answer_that_a_moderator_removed_is_not_told_again(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish("a-to-b")
    world.clock.advance(3600)
    back = world.backup()
    world.clock.advance(3600)
    post = world.worlds["a"].posts[1]
    post.state, post.answer, post.answered_at = State.ACCEPTED, "Dit doen we.", world.clock.now()
    world.pull()
    world.publish("a-to-b")
    [copy] = world.worlds["b"].copies()
    assert "Dit doen we." in copy.answer
    copy.answer, copy.state, copy.answered_at = "", State.OPEN, None
    until = world.clock.now()
    world.clock.advance(3600)
    world.restore(back)
    with world.engine.begin() as connection:
        restored.mark_restored(connection, world.clock.now(), until)
    for _ in range(3):
        world.pull()
        world.publish("a-to-b")
    assert copy.answer == ""
    [waiting] = Ledger(world.engine, world.clock).operations()
    assert (waiting.kind, waiting.state, waiting.reason_code) == (
        K.ANSWER,
        W.AWAITING_APPROVAL,
        Reason.OLDER_THAN_FOUND,
    )
    # What is made and answered since the restore was never told before.
    new = world.worlds["a"].write("Nieuw", "Een nieuwe tekst.")
    new.state, new.answer, new.answered_at = State.ACCEPTED, "Dit ook.", world.clock.now()
    for _ in range(2):
        world.pull()
        world.publish("a-to-b")
    assert "Dit ook." in world.worlds["b"].copies()[-1].answer
    assert Reviewer(world.config, world.engine, world.clock, "ann").approve(own_of(world)).taken
    world.publish("a-to-b")
    assert "Dit doen we." in copy.answer


def test_after_a_lost_ledger_an_answer_that_was_removed_at_the_origin_is_not_told_again(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1, follow={"answers_to_origin": True})
    world.publish("a-to-b")
    world.clock.advance(3600)
    [copy], post = world.worlds["b"].copies(), world.worlds["a"].posts[1]
    copy.state, copy.answer, copy.answered_at = State.ACCEPTED, "Dit doen we hier.", world.clock.now()
    world.pull()
    world.publish("a-to-b")
    assert "Dit doen we hier." in post.answer
    post.answer, post.state, post.answered_at = "", State.OPEN, None
    world.clock.advance(3600)
    world.lose()
    world.pull()
    asyncio.run(rebuild_map(world.config, world.engine, ["a-to-b"], world.clock))
    for _ in range(3):
        world.pull()
        world.publish("a-to-b")
    assert post.answer == ""
    assert Reviewer(world.config, world.engine, world.clock, "ann").approve(own_of(world)).taken
    world.publish("a-to-b")
    assert "Dit doen we hier." in post.answer


# What somebody changes in the configuration ------------------------------------------------------------------------------


def lead(world: Mesh, name: str, **to: str) -> None:
    """From now on a route leads there."""
    route = world.config.routes[name]
    world.config.routes[name] = route.model_copy(update={"to": route.to.model_copy(update=to)})


def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    async def limits(writer: FakeWriter, space: str, voice: object = None) -> Limits:
        return Limits(sends="plain", locales=("nl",))

    monkeypatch.setattr(FakeWriter, "limits", limits)


@pytest.mark.parametrize("to", [{"space": "board/2"}, {"instance": "c"}])
def test_a_copy_at_a_place_of_before_is_only_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: dict[str, str]
) -> None:
    """Its marker stays that of its own place: two public texts with one marker could not be told apart."""
    anywhere(monkeypatch)
    world = Mesh(tmp_path, "abc")
    post = world.worlds["a"].write("Meer bomen", "In straat 0.")
    world.pull()
    world.publish("a-to-b")
    [copy] = world.worlds["b"].copies()
    before = copy.body
    lead(world, "a-to-b", **to)
    post.body, post.state, post.answer, post.answered_at = "Anders.", State.ACCEPTED, "Dit doen we.", world.clock.now()
    for _ in range(2):
        world.pull()
        [outcome] = world.publish("a-to-b")
    assert (copy.body, copy.answer) == (before, "")
    there = world.worlds[to.get("instance", "b")].copies()[-1]
    assert "Anders." in there.body
    assert "1 copies lie at b board/1, where the route led before: they are not edited" in " ".join(outcome.warnings)
    post.hidden = True
    world.pull()
    [outcome] = world.publish("a-to-b")
    assert (outcome.outcome, outcome.written, outcome.counts) == ("done", {"withdraw": 2}, {"withdrawn": 2})
    assert [each.copies() for each in world.worlds.values() if each is not world.worlds["a"]] == [[], []]


@pytest.mark.parametrize("to", [{"space": "board/2"}, {"instance": "c"}])
@pytest.mark.parametrize("made", [True, False])
def test_what_waits_for_a_place_of_before_is_not_written_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool, to: dict[str, str]
) -> None:
    anywhere(monkeypatch)
    world = Mesh(tmp_path, "abc", approval="required")
    post = world.worlds["a"].write("Meer bomen", "In straat 0.")
    world.pull()
    world.publish("a-to-b")
    reviewer = Reviewer(world.config, world.engine, world.clock, "ann")
    if made:
        reviewer.approve(own_of(world))
        world.publish("a-to-b")
        [copy] = world.worlds["b"].copies()
        copy.body = copy.body.replace("In straat 0.", "De moderator heeft dit ingekort.")
        post.body, post.state, post.answer, post.answered_at = "Anders.", State.ACCEPTED, "Ja.", world.clock.now()
        world.pull()
        world.publish("a-to-b")
        assert own_of(world).state == "conflict"
    lead(world, "a-to-b", **to)
    old = own_of(world).id
    world.publish("a-to-b")
    ledger = Ledger(world.engine, world.clock)
    assert ledger.operations(publication=old) == []
    own = ledger.publication(old)
    assert own is not None and (own.state, own.reason_code) == (
        ("sent", Reason.NONE) if made else ("cancelled", Reason.LEADS_ELSEWHERE)
    )
    world.publish("a-to-b")
    assert ledger.operations(publication=old) == []


def test_a_lost_answer_at_a_place_of_before_makes_nothing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anywhere(monkeypatch)
    world = mesh(tmp_path, 1)
    board = world.worlds["b"]

    def killed(request: Request) -> str:
        if (request.method, request.path) == ("POST", "posts"):
            raise KeyboardInterrupt
        return ""

    board.gate = killed
    with pytest.raises(KeyboardInterrupt):
        world.publish("a-to-b")
    board.gate = lambda _: ""
    lead(world, "a-to-b", space="board/2")
    for _ in range(3):
        world.publish("a-to-b")
        world.clock.advance(60)
    states = sorted((each.target_space, each.state) for each in Ledger(world.engine, world.clock).publications())
    assert states == [("board/1", "cancelled"), ("board/2", "sent")]
    assert len(board.copies()) == 1


def test_trouble_at_the_new_place_keeps_nothing_public_at_the_one_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listed(writer: FakeWriter, space: str) -> AsyncIterator[Authored]:
        for each in ():
            yield each
        raise WrongCredentials("the password is wrong")

    world = Mesh(tmp_path, "abc")
    post = world.worlds["a"].write("Meer bomen", "In straat 0.")
    world.pull()
    world.publish("a-to-b")
    lead(world, "a-to-b", instance="c")
    monkeypatch.setattr(FakeWriter, "authored", listed)
    post.hidden = True
    world.worlds["a"].write("Minder auto's", "In straat 1.")
    world.pull()
    [outcome] = world.publish("a-to-b")
    assert outcome.outcome == "failed"
    assert world.worlds["b"].copies() == []


def test_a_place_of_before_that_is_not_configured_any_more_is_told(tmp_path: Path) -> None:
    world = Mesh(tmp_path, "abc")
    post = world.worlds["a"].write("Meer bomen", "In straat 0.")
    world.pull()
    world.publish("a-to-b")
    lead(world, "a-to-b", instance="c")
    del world.config.instances["b"]
    world.names = "ac"
    for name in set(world.config.routes) - {"a-to-b"}:
        del world.config.routes[name]
    post.hidden = True
    world.pull()
    [outcome] = world.publish("a-to-b")
    assert (outcome.outcome, outcome.failed) == ("done", False)
    assert "no instance 'b' is configured any more, so nobody takes them back" in " ".join(outcome.warnings)


def test_a_lost_answer_of_a_route_that_is_not_there_any_more_is_looked_up(tmp_path: Path) -> None:
    """Somebody gave it another name: what it made is told, and stays the only copy."""
    world = mesh(tmp_path, 1)
    board = world.worlds["b"]

    def down(what: str) -> None:
        board.gate = lambda _: "503"

    board.faults.append("accepted_and_lost")
    board.on_write = down
    world.publish("a-to-b")
    board.on_write = board.gate = lambda _: ""
    assert own_of(world).state == "unknown"
    world.config.routes["north"] = world.config.routes.pop("a-to-b")
    outcome = world.publish("north")[0]
    world.clock.advance(3600)
    outcome = world.publish("north")[0]
    assert own_of(world).state == "sent"
    assert len(world.worlds["b"].copies()) == 1
    assert any("a-to-b" in each and "not configured" in each for each in outcome.warnings)


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_person_ends_what_is_only_flagged(tmp_path: Path, verb: str) -> None:
    """Taken back, or left there until the origin was back; with all others at once it is not approved."""
    world = mesh(tmp_path, 1, follow={"withdrawals": "flag"})
    world.publish("a-to-b")
    origin = world.worlds["a"].posts[1]
    origin.hidden = True
    world.pull()
    world.publish("a-to-b")
    reviewer = Reviewer(world.config, world.engine, world.clock, "ann")
    assert waits_for_person(own_of(world).state, own_of(world).reason_code), "it stands in `review list`"
    assert not reviewer.approve(own_of(world), named=False).taken
    ruling = reviewer.approve(own_of(world)) if verb == "approve" else reviewer.reject(own_of(world), "laat maar")
    assert ruling.taken
    for _ in range(2):
        world.pull()
        outcome = world.publish("a-to-b")[0]
        assert not outcome.reasons
        assert not waits_for_person(own_of(world).state, own_of(world).reason_code)
    assert len(world.worlds["b"].copies()) == (0 if verb == "approve" else 1)
    if verb == "approve":
        return
    origin.hidden = False
    world.pull()
    world.publish("a-to-b")
    origin.hidden = True
    world.pull()
    world.publish("a-to-b")
    assert waits_for_person(own_of(world).state, own_of(world).reason_code), "it went again"
