"""The engine of publishing, against platforms in memory: every copy once, whatever the network, a crash or a lost database does."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.connectors.consul.sandbox.people import MANAGER, ROBOT
from civicsync.connectors.contract.errors import NotDone, WrongCredentials
from civicsync.connectors.contract.writing import Authored, Copy
from civicsync.connectors.testing.fake import FakeWriter
from civicsync.connectors.testing.messages import Request, Response
from civicsync.core.ledger.ledger import Ledger
from civicsync.core.ledger.states import OperationState, Reason, waits_for_person
from civicsync.core.records import State
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.sync.publish.publisher import Publisher
from civicsync.sync.publish.rebuild_map import rebuild_map
from civicsync.sync.publish.review import Reviewer
from civicsync.sync.publish.route_check import check_route
from proof.crossing import Crossing
from tests.support.mesh import KEY, Mesh


def mesh(folder: Path, count: int = 3, **route: object) -> Mesh:
    made = Mesh(folder, "ab", **route)
    for number in range(count):
        made.worlds["a"].write(f"Meer bomen {number}", f"In straat {number}.\n\nDank u.")
    made.pull()
    return made


def test_a_proposal_crosses_once_and_says_where_it_comes_from(tmp_path: Path) -> None:
    world = mesh(tmp_path)
    world.publish()
    copies = world.worlds["b"].copies()
    assert [post.title for post in copies] == ["Meer bomen 0", "Meer bomen 1", "Meer bomen 2"]
    assert "In straat 0." in copies[0].body
    assert f"{world.worlds['a'].url}/posts/1" in copies[0].body
    assert "[civicsync:a/proposal/1." in copies[0].body
    assert world.states() == {"sent": 3}
    assert world.round() == 0
    assert world.worlds["a"].copies() == []


def test_the_first_run_of_an_automatic_route_only_plans(tmp_path: Path) -> None:
    world = mesh(tmp_path, first_run="plan")
    outcomes = {each.route: each for each in world.publish()}
    assert outcomes["a-to-b"].outcome == "planned"
    assert world.writes() == 0
    assert world.states() == {"planned": 3}
    world.publish()
    assert len(world.worlds["b"].copies()) == 3


def test_a_dry_run_shows_the_requests_and_writes_nothing(tmp_path: Path) -> None:
    world = mesh(tmp_path)
    outcome = next(each for each in world.publish("a-to-b", dry_run=True))
    assert len(outcome.requests) == 3
    request = outcome.requests["create a/proposal/1"][0]
    assert (request.method, request.json["title"]) == ("POST", "Meer bomen 0")
    assert world.rows("SELECT * FROM publications") == []
    assert world.writes() == 0


@pytest.mark.parametrize(
    "fault", ["refused", "429", "reset_before", "reset_after", "500_after", "timeout_after", "duplicate_reply"]
)
def test_one_run_ends_with_exactly_one_copy_each_whatever_the_network_does(tmp_path: Path, fault: str) -> None:
    world = mesh(tmp_path, 20)
    world.worlds["b"].faults.extend(["", "", "", "", fault] * 4)
    world.publish()
    titles = sorted(post.title for post in world.worlds["b"].copies())
    assert titles == sorted(f"Meer bomen {number}" for number in range(20))
    assert world.states() == {"sent": 20}
    assert world.round() == 0


def test_an_answer_that_names_a_citizens_text_is_not_believed(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    theirs = world.worlds["b"].write("Van een burger", "Niet van ons.")
    world.worlds["b"].faults.append("duplicate_reply")
    world.publish("a-to-b")
    world.worlds["a"].posts[1].body = "Anders."
    world.round()
    assert theirs.body == "Niet van ons."
    assert [post.title for post in world.worlds["b"].copies()] == ["Meer bomen 0"]


def test_an_edit_follows_and_a_moderators_edit_stops_it(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish()
    world.worlds["a"].posts[1].body = "Anders."
    world.round()
    copy = world.worlds["b"].copies()[0]
    assert "Anders." in copy.body
    copy.body = "De moderator heeft dit ingekort."
    world.worlds["a"].posts[1].body = "Nog eens anders."
    world.round()
    assert copy.body == "De moderator heeft dit ingekort."
    assert world.states() == {"conflict": 1}
    assert world.round() == 0


@pytest.mark.parametrize("fault", ["accepted_and_lost", "accepted_and_nowhere"])
def test_what_the_platform_took_is_not_sent_again_because_its_origin_went_and_came_back(
    tmp_path: Path, fault: str
) -> None:
    world = mesh(tmp_path, 1)

    def hidden(what: str) -> None:
        if what == "after create":
            world.worlds["b"].posts[1].hidden = True

    world.worlds["b"].on_write = hidden
    world.worlds["b"].faults.append(fault)
    for _ in range(12):
        world.publish("a-to-b")
        world.clock.advance(3600)
    assert world.states() == {"awaiting_approval": 1}
    for there, state in ((False, "cancelled"), (True, "awaiting_approval")):
        world.worlds["a"].posts[1].hidden = not there
        world.pull()
        world.publish("a-to-b")
        assert world.states() == {state: 1}
    [waiting] = Ledger(world.engine, world.clock).operations()
    assert waiting.reason_code is Reason.ACCEPTED_NOT_FOUND
    assert world.worlds["b"].copies() == []


def test_a_removed_origin_takes_its_copy_with_it_and_a_removed_copy_is_not_made_again(tmp_path: Path) -> None:
    world = mesh(tmp_path, 2)
    world.publish()
    world.worlds["a"].posts[1].hidden = True
    next(post for post in world.worlds["b"].copies() if post.title == "Meer bomen 1").hidden = True
    world.worlds["a"].posts[2].body = "Anders."
    world.round()
    assert world.worlds["b"].copies() == []
    assert world.states() == {"withdrawn": 1, "gone": 1}
    assert world.round() == 0


def test_a_copy_that_the_pull_saw_removed_is_told_without_an_edit_and_kept_again_when_it_returns(
    tmp_path: Path,
) -> None:
    world = mesh(tmp_path, 1)
    world.publish()
    world.round()
    copy = world.worlds["b"].copies()[0]
    copy.hidden = True
    world.round()
    assert world.states() == {"gone": 1}
    world.worlds["a"].posts[1].body = "Anders."
    assert world.round() == 0
    copy.hidden = False
    world.round()
    assert world.states() == {"sent": 1}
    world.round()
    assert "Anders." in copy.body


def test_a_copy_that_a_person_took_back_there_is_left_alone(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish()
    world.round()
    copy = world.worlds["b"].copies()[0]
    copy.state, before = State.WITHDRAWN, copy.body
    world.round()
    assert world.states() == {"gone": 1}
    world.worlds["a"].posts[1].body = "Anders."
    assert world.round() == 0 and copy.body == before, "nothing is written over what a person ended"
    copy.state = State.OPEN
    world.round()
    assert world.states() == {"sent": 1}


def test_a_copy_that_was_hidden_before_any_pull_saw_it_is_asked_for(tmp_path: Path) -> None:
    world = mesh(tmp_path, 2)
    world.publish()
    world.worlds["b"].copies()[0].hidden = True
    world.publish()
    assert world.states() == {"sent": 2}, "no pull could have seen it yet"
    world.round()
    assert world.states() == {"sent": 1, "gone": 1}
    assert world.round() == 0


def test_a_second_copy_that_a_pull_sees_is_told_once(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish()
    copy = world.worlds["b"].copies()[0]
    world.worlds["b"].write(copy.title, copy.body, "citizen-9")
    world.round()
    ledger = Ledger(world.engine, world.clock)
    [own] = ledger.publications(route="a-to-b")
    assert own.reason == "", "anybody can paste a marker"
    world.worlds["b"].write(copy.title, copy.body, "robot")
    world.round()
    [own] = ledger.publications(route="a-to-b")
    assert (own.reason_code, "proposal/3" in own.reason) == (Reason.TWINS, True)
    Reviewer(world.config, world.engine, world.clock, "ann").approve(own)
    world.round()
    assert ledger.publications(route="a-to-b")[0].reason == "", "a person has seen it"


def test_a_name_that_nothing_answers_to_is_told_by_every_run(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    route = world.config.routes["a-to-b"]
    elsewhere = route.model_copy(update={"source": route.source.model_copy(update={"space": "board/9"})})
    world.config = world.config.model_copy(update={"routes": {"a-to-b": elsewhere}})
    [outcome] = world.publish("a-to-b")
    assert [each.partition(":")[0] for each in outcome.warnings] == ["a/board/9 is not in the database"]
    assert world.worlds["b"].copies() == []


def test_a_withdrawal_before_the_create_was_sent_cancels_it(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1, approval="required")
    world.publish()
    assert world.states() == {"awaiting_approval": 1}
    world.worlds["a"].posts[1].hidden = True
    world.round()
    assert world.states() == {"cancelled": 1}
    assert world.writes() == 0


def test_a_withdrawal_after_a_lost_answer_takes_back_what_was_made(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.worlds["b"].faults.append("reset_after")
    world.worlds["a"].posts[1].hidden = True  # after the pull, while the create is under way
    world.publish()
    world.round()
    assert world.worlds["b"].copies() == []
    assert world.states() == {"withdrawn": 1}


def test_official_answers_travel_to_copies_and_back(tmp_path: Path) -> None:
    world = mesh(tmp_path, 2, follow={"answers_to_origin": True})
    world.publish()
    first = world.worlds["a"].posts[1]
    first.state, first.answer, first.answered_at = State.ACCEPTED, "Dit doen we.", world.clock.now()
    second = next(post for post in world.worlds["b"].copies() if post.title == "Meer bomen 1")
    second.state, second.answer, second.answered_at = State.REJECTED, "Te duur.", world.clock.now()
    world.round()
    copy = next(post for post in world.worlds["b"].copies() if post.title == "Meer bomen 0")
    assert copy.state is State.ACCEPTED
    assert "Dit doen we." in copy.answer
    assert world.worlds["a"].posts[2].state is State.REJECTED
    assert "Te duur." in world.worlds["a"].posts[2].answer
    world.round()
    assert world.round() == 0


def test_a_lost_ledger_is_rebuilt_from_the_markers(tmp_path: Path) -> None:
    world = mesh(tmp_path)
    empty = world.backup()
    world.publish()
    world.restore(empty)
    world.round()
    assert len(world.worlds["b"].copies()) == 3
    assert world.states() == {"sent": 3}
    assert world.round() == 0


def test_after_a_lost_ledger_nothing_is_made_anew_for_a_copy_that_was_removed(tmp_path: Path) -> None:
    world = mesh(tmp_path, 3)
    empty = world.backup()
    world.publish()
    world.worlds["b"].copies()[1].hidden = True
    world.restore(empty)
    world.worlds["a"].write("Later", "Na het verlies.", created_at=world.clock.now() + timedelta(hours=2))
    world.round()
    assert sorted(post.title for post in world.worlds["b"].copies()) == ["Later", "Meer bomen 0", "Meer bomen 2"]
    assert world.states() == {"sent": 3, "held": 1}
    assert world.round() == 0


def test_forged_markers_are_not_believed(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish()
    genuine = world.worlds["b"].copies()[0].body
    world.worlds["b"].write("Namaak", genuine, "citizen-9")
    world.worlds["a"].write("Met merk", "tekst [civicsync:b/proposal/7~aaaaaaaaaaaaaaaa]")
    world.round()
    assert world.states() == {"sent": 1, "held": 2}
    assert {post.title for post in world.worlds["b"].public()} == {"Meer bomen 0", "Namaak"}


def test_caps_hold_and_the_rest_waits(tmp_path: Path) -> None:
    world = mesh(tmp_path, 7, max_per_run=3, max_per_day=5)
    world.publish()
    assert len(world.worlds["b"].copies()) == 3
    world.publish()
    assert len(world.worlds["b"].copies()) == 5
    world.publish()
    assert len(world.worlds["b"].copies()) == 5
    world.clock.advance(86_400)
    world.publish()
    assert len(world.worlds["b"].copies()) == 7


def test_a_text_that_is_refused_does_not_stop_the_others_and_is_tried_again_when_it_changed(tmp_path: Path) -> None:
    world = mesh(tmp_path, 2)
    post = world.worlds["a"].write("refuse me", "tekst")
    world.round()
    assert world.states() == {"sent": 2, "refused": 1}
    assert world.round() == 0
    post.title = "neem mij wel"
    world.round()
    assert world.states() == {"sent": 3}


@pytest.mark.skipif(
    "CIVICSYNC_LONG" not in os.environ, reason="twenty seconds; test_two_deployments_settle is its small form"
)
def test_two_deployments_do_not_play_ping_pong(tmp_path: Path) -> None:
    one = mesh(tmp_path / "one", 2)
    two = Mesh(tmp_path / "two", "ab", key="fedcba9876543210" * 4, worlds=one.worlds)
    two.clock = one.clock
    for _ in range(20):
        one.round()
        two.round()
    assert len(one.worlds["b"].copies()) == 2
    assert one.worlds["a"].copies() == []


def test_an_account_that_is_not_let_in_says_nothing_about_the_texts(tmp_path: Path) -> None:
    world = mesh(tmp_path, 8)
    world.worlds["b"].faults.extend(["not_let_in"] * 50)
    outcome = world.publish("a-to-b")[0]
    assert (outcome.outcome, outcome.counts) == ("partial", {"approved": 8})
    assert "is the password right?" in outcome.message
    assert len(world.worlds["b"].faults) == 48, "an account is not tried until it is locked"
    world.worlds["b"].faults.clear()
    world.clock.advance(3600)
    world.publish("a-to-b")
    assert world.states() == {"sent": 8}


def test_what_is_confirmed_and_not_shown_is_asked_again(tmp_path: Path) -> None:
    world = mesh(tmp_path, 2)
    world.publish()
    first, second = world.worlds["b"].copies()
    world.worlds["b"].faults.extend(["only_confirmed", "only_confirmed"])
    world.worlds["a"].posts[1].body = "Anders."
    world.worlds["a"].posts[2].hidden = True
    world.round()
    assert "Anders." in first.body
    assert second.hidden
    assert world.states() == {"sent": 1, "withdrawn": 1}


def test_a_refused_edit_is_no_matter_once_the_origin_says_again_what_the_copy_says(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish()
    before = world.worlds["a"].posts[1].body
    world.worlds["b"].faults.extend(["not_allowed"] * 2)
    world.worlds["a"].posts[1].body = "Anders."
    world.round()
    assert world.rows("SELECT reason <> '' FROM publications") == [(1,)]
    world.worlds["a"].posts[1].body = before
    world.round()
    assert world.rows("SELECT state, reason FROM publications") == [("sent", "")]


def test_an_answer_waits_for_the_text_that_is_on_its_way(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish()
    origin = world.worlds["a"].posts[1]
    origin.body, origin.state, origin.answer = "Anders.", State.ACCEPTED, "Dit doen we."
    origin.answered_at = world.clock.now()
    world.worlds["b"].faults.append("429")
    world.round()
    told = [row[0] for row in world.rows("SELECT what FROM publication_event WHERE what LIKE '%: sent' ORDER BY id")]
    assert told == ["create: sent", "edit: sent", "answer: sent"]


def test_a_refused_edit_is_asked_once_more_told_and_not_tried_at_every_run(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish()
    faults = world.worlds["b"].faults
    faults.extend(["not_allowed"] * 5)
    world.worlds["a"].posts[1].body = "Anders."
    world.round()
    world.round()
    world.round()
    assert len(faults) == 3, "asked twice, not at every run"
    outcome = world.publish("a-to-b")[0]
    assert outcome.reasons == {"sent: the edit was refused: edit: not allowed here": 1}
    faults.clear()
    [own] = Ledger(world.engine, world.clock).publications(route="a-to-b")
    assert "tries the edit again" in Reviewer(world.config, world.engine, world.clock, "ann").approve(own)
    world.round()
    assert "Anders." in world.worlds["b"].copies()[0].body
    assert world.rows("SELECT state, reason FROM publications") == [("sent", "")]


def test_a_refused_withdrawal_is_asked_once_more(tmp_path: Path) -> None:
    world = mesh(tmp_path, 2)
    world.publish()
    world.worlds["b"].faults.append("not_allowed")
    world.worlds["a"].posts[1].hidden = True
    world.round()
    assert world.states() == {"withdrawn": 1, "sent": 1}
    world.worlds["b"].faults.extend(["not_allowed"] * 4)  # the note that would replace its text is refused too
    world.worlds["a"].posts[2].hidden = True
    world.round()
    assert world.states() == {"withdrawn": 1, "stuck": 1}


def test_a_platform_that_asks_to_slow_down_is_waited_for_with_everything(tmp_path: Path) -> None:
    world = mesh(tmp_path, 12)
    world.worlds["b"].faults.extend(["", "", *["429"] * 9])
    before = world.clock.monotonic()
    outcome = world.publish("a-to-b")[0]
    assert (outcome.outcome, outcome.counts) == ("done", {"sent": 12}), "nine in a row are no dead platform"
    assert world.clock.monotonic() - before == pytest.approx(60 + 9 * 2, abs=1)
    assert world.rows("SELECT max(attempts) FROM operation") == [(1,)]


def test_a_platform_that_asks_for_more_than_a_run_waits_gets_the_rest_next_time(tmp_path: Path) -> None:
    world = mesh(tmp_path, 3)
    world.worlds["b"].faults.extend(["429"] * 100)
    outcome = world.publish("a-to-b")[0]
    assert outcome.outcome == "partial"
    assert "asks to slow down; the rest is left for the next run" in outcome.message
    world.worlds["b"].faults.clear()
    world.publish("a-to-b")
    assert world.states() == {"sent": 3}


def test_a_dead_platform_is_left_alone(tmp_path: Path) -> None:
    world = mesh(tmp_path, 8)
    world.worlds["b"].faults.extend(["refused"] * 100)
    outcome = world.publish("a-to-b")[0]
    assert outcome.outcome == "partial"
    assert "left alone" in outcome.message
    assert outcome.failed, "a script takes notice of an open breaker"
    assert len(world.worlds["b"].faults) == 95
    again = world.publish("a-to-b")[0]
    assert "left alone until" in again.message
    assert again.failed
    world.worlds["b"].faults.clear()
    world.clock.advance(3600)
    world.publish("a-to-b")
    assert len(world.worlds["b"].copies()) == 8


def test_a_dead_origin_is_left_alone_and_told_too(tmp_path: Path) -> None:
    world = mesh(tmp_path, 8, follow={"answers_to_origin": True})
    world.publish("a-to-b")
    for post in world.worlds["b"].copies():
        post.state, post.answer, post.answered_at = State.REJECTED, "Te duur.", world.clock.now()
    world.pull()
    world.worlds["a"].faults.extend(["refused"] * 100)
    outcome = world.publish("a-to-b")[0]
    assert (outcome.outcome, outcome.failed) == ("partial", True)
    assert "left alone" in outcome.message
    asked = len(world.worlds["a"].faults)
    again = world.publish("a-to-b")[0]
    assert (again.outcome, again.failed) == ("partial", True)
    assert "left alone until" in again.message
    assert len(world.worlds["a"].faults) == asked, "nothing is asked of a platform that is left alone"
    world.worlds["a"].faults.clear()
    world.clock.advance(3600)
    last = world.publish("a-to-b")[0]
    assert (last.outcome, last.failed, last.message) == ("done", False, "")
    assert all("Te duur." in post.answer for post in world.worlds["a"].posts.values())


def test_what_the_command_line_tells_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = mesh(tmp_path, 8)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEY", KEY)
    for name in ("publish", "review"):
        monkeypatch.setattr(f"civicsync.app.cli.{name}.Clock", lambda: world.clock)

    def said(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(app, [*words, "--json"])
        return done.exit_code, json.loads(done.stdout)

    def waiting(route: str) -> dict[str, str]:
        return {row["origin"]: row["why"] for row in said("review", "list", "--route", route)[1]}

    world.worlds["b"].faults.extend(["refused"] * 100)
    for _ in range(2):
        code, [row] = said("publish", "a-to-b")
        assert (code, row["outcome"]) == (1, "partial"), "an open breaker is for whoever runs this"
        assert "left alone until" in row["message"]
    world.worlds["b"].faults.clear()
    world.clock.advance(3600)
    code, [row] = said("publish", "a-to-b")
    assert (code, row["outcome"], row["sent"], row["message"]) == (0, "done", 8, "")
    assert waiting("a-to-b") == {}

    first, second = world.worlds["b"].copies()[:2]
    first.body += " Door de redactie aangepast."
    world.worlds["a"].posts[1].body = "Anders."
    world.worlds["b"].write(second.title, second.body, "robot")
    world.pull()
    code, [row] = said("publish", "a-to-b")
    assert (code, row["outcome"]) == (1, "waiting"), "two copies with one marker are for whoever runs this"
    told = waiting("a-to-b")
    assert told.keys() == {"a/proposal/1", "a/proposal/2"}
    assert "somebody changed the copy" in told["a/proposal/1"]
    assert "also in" in told["a/proposal/2"]
    assert waiting("b-to-a") == {}
    for own in [row["id"] for row in said("review", "list", "--route", "a-to-b")[1]]:
        assert said("review", "reject", own)[0] == 0
    assert waiting("a-to-b") == {}
    assert said("publish", "a-to-b")[0] == 0
    assert waiting("a-to-b") == {}, "what a person has seen is not told again"


def test_one_things_trouble_stops_nothing_else(tmp_path: Path) -> None:
    world = mesh(tmp_path, 12)
    world.worlds["b"].faults.extend(["one_things_trouble"] * 8)
    outcome = world.publish("a-to-b")[0]
    assert (outcome.outcome, outcome.failed) == ("done", False)
    assert world.states() == {"sent": 12}


def test_what_must_be_taken_back_goes_first(tmp_path: Path) -> None:
    world = mesh(tmp_path, 2)
    world.publish("a-to-b")
    world.worlds["a"].posts[1].body = "Anders."
    world.worlds["a"].write("Nieuw", "Tekst.")
    world.worlds["a"].posts[2].hidden = True
    world.pull()
    done = list[str]()
    world.worlds["b"].on_write = lambda what: done.append(what) if what.startswith("after") else None
    world.publish("a-to-b")
    assert done == ["after withdraw", "after edit", "after create"]


@pytest.mark.parametrize(("fault", "copies"), [("accepted_and_lost", 3), ("accepted_and_nowhere", 2)])
def test_what_was_accepted_is_found_or_asked_about_and_never_sent_again(
    tmp_path: Path, fault: str, copies: int
) -> None:
    world = mesh(tmp_path, 3)
    world.worlds["b"].faults.extend(["", fault])
    for _ in range(10):
        world.publish("a-to-b")
        world.clock.advance(3600)
    assert len(world.worlds["b"].copies()) == copies
    assert world.states() == ({"sent": 3} if copies == 3 else {"sent": 2, "awaiting_approval": 1})
    if copies == 3:
        return
    [doubtful] = Ledger(world.engine, world.clock).operations(states=(OperationState.AWAITING_APPROVAL,))
    number = doubtful.publication_id
    own = Ledger(world.engine, world.clock).publication(number)
    assert own is not None
    world.worlds["a"].posts[int(own.origin_key.rpartition("/")[2])].body = "Anders."
    world.round()
    assert len(world.worlds["b"].copies()) == 2, "a new text is no leave to send it again"
    Reviewer(world.config, world.engine, world.clock, "ann").approve(own)
    world.publish("a-to-b")
    assert world.states() == {"sent": 3}
    assert len(world.worlds["b"].copies()) == 3


def test_a_wrong_password_is_tried_once_until_it_changes_or_a_person_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = list[str]()

    async def refused(self: FakeWriter) -> object:
        tries.append(self.platform.url)
        raise WrongCredentials("the name or the password is wrong")

    world = mesh(tmp_path, 2)
    ends = sorted(each.url for each in world.worlds.values())
    monkeypatch.setattr(FakeWriter, "check", refused)
    for _ in range(3):
        outcome = world.publish("a-to-b")[0]
        assert (outcome.outcome, "password is wrong" in outcome.message) == ("failed", True)
    assert sorted(tries) == ends, "each try counts towards a lock of the account"
    assert "password is wrong" in asyncio.run(rebuild_map(world.config, world.engine, ["a-to-b"], world.clock))[0].error
    assert sorted(tries) == ends
    asyncio.run(check_route(world.config, world.engine, "a-to-b", world.clock))
    assert len(tries) == 3, "whoever asks for a check is a person"
    assert world.rows("SELECT count(*) FROM refused_credentials WHERE fingerprint LIKE '%password%'") == [(0,)]
    monkeypatch.undo()
    asyncio.run(check_route(world.config, world.engine, "a-to-b", world.clock))
    world.publish("a-to-b")
    assert world.states() == {"sent": 2}


def test_a_wrong_password_for_one_kind_of_write_stops_only_that(tmp_path: Path) -> None:
    world = mesh(tmp_path, 4)
    world.worlds["b"].faults.extend(["wrong_credentials"] * 9)
    for _ in range(3):
        outcome = world.publish("a-to-b")[0]
    assert len(world.worlds["b"].faults) == 8
    assert "the name or the password is wrong" in outcome.message
    world.worlds["b"].faults.clear()
    Ledger(world.engine, world.clock).try_again("b")
    world.clock.advance(60)
    world.publish("a-to-b")
    assert world.states() == {"sent": 4}


_OFFICE = {"document_type": "1", "document_number": "12345678Z", "login": "office@toy.example", "password": "wrong"}
_FURTHER: list[tuple[str, str, dict[str, Any], str, int]] = [
    (
        "consul",
        "2.5.1",
        {"administrator": {"login": "admin@toy.example", "password": "wrong"}},
        "/users/sign_in",
        200,
    ),
    ("consul", "2.5.1", {"management": _OFFICE}, "/users/sign_in", 200),
    ("decidim", "0.32", {"api_secret": "wrong"}, "/api/sign_in", 401),
]


@pytest.mark.parametrize(("platform", "version", "wrong", "ending", "status"), _FURTHER)
def test_a_wrong_password_of_a_further_account_is_tried_once_and_stops_nothing_else(
    tmp_path: Path, platform: str, version: str, wrong: dict[str, Any], ending: str, status: int
) -> None:
    """An administrator's, which only official answers need: every run looked around with it, until the site locked the account."""
    world = Crossing(tmp_path, platform, version, voice="participant", city=wrong)
    answers: list[tuple[str, str, int]] = []
    handle = world.sandbox.handle

    def handled(request: Request) -> Response:
        answer = handle(request)
        answers.append((request.method, request.path, answer.status))
        return answer

    world.sandbox.handle = handled  # type: ignore[method-assign]

    def asked() -> int:
        return sum(method == "POST" and path.endswith(ending) and code == status for method, path, code in answers)

    for number in range(3):
        world.board.write(f"Meer bomen in wijk {number}", f"In wijk {number} staan te weinig bomen. Dat moet anders.")
        world.pull("board")
        assert world.publish().outcome == "done"
    assert asked() == 1, "each try counts towards a lock of the account"
    assert sum(row["title"].startswith("Meer bomen in wijk") for row in world.sandbox.truth()["proposals"]) == 3
    world.board.posts[1].state, world.board.posts[1].answer = State.ACCEPTED, "Dit doen we."
    world.board.posts[1].answered_at = world.clock.now()
    world.pull("board")
    for _ in range(2):
        world.publish()
    assert asked() == 1
    ours = [row for row in world.sandbox.truth()["proposals"] if row["title"].startswith("Meer bomen in wijk")]
    assert "management" in wrong or not any(row["comments"] for row in ours), "an official answer became a comment"


@pytest.mark.parametrize(("version", "voice"), [("0.32", "participant"), ("0.28.6", "official")])
def test_an_answer_that_the_citys_own_office_gave_is_not_replaced(tmp_path: Path, version: str, voice: str) -> None:
    world = Crossing(tmp_path, "decidim", version, voice=voice)
    world.board.write("Meer bomen in wijk 1", "In wijk 1 staan te weinig bomen. Dat moet anders.")
    world.pull("board")
    world.publish()
    [own] = [row["id"] for row in world.sandbox.truth()["proposals"] if row["title"].startswith("Meer bomen in wijk")]
    world.sandbox.change("answer", id=own, state="rejected", text="<p>De doelstad zegt nee.</p>")
    post = world.board.posts[1]
    post.state, post.answer, post.answered_at = State.ACCEPTED, "Bronstad zegt ja.", world.clock.now()
    for _ in range(2):
        world.pull()
        world.publish()
    database: Any = world.sandbox
    row = database.database.proposals["proposal"][int(own)]
    assert "De doelstad zegt nee." in repr(row.answer)
    assert [each.body for each in row.all_comments if "Bronstad zegt ja." in each.body], "ours is told beside it"


def test_a_refused_answer_waits_in_review_and_can_be_tried_again(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish()
    origin = world.worlds["a"].posts[1]
    origin.state, origin.answer, origin.answered_at = State.ACCEPTED, "Dit doen we.", world.clock.now()
    world.worlds["b"].faults.extend(["not_allowed"] * 4)
    world.round()
    ledger = Ledger(world.engine, world.clock)
    [own] = ledger.publications(route="a-to-b")
    assert waits_for_person(own.state, own.reason_code)
    world.worlds["b"].faults.clear()
    assert "tries the answer again" in Reviewer(world.config, world.engine, world.clock, "ann").approve(own)
    world.publish()
    assert "Dit doen we." in world.worlds["b"].copies()[0].answer


def test_texts_of_what_ended_are_forgotten_after_the_grace_period(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1)
    world.publish()
    world.worlds["a"].posts[1].hidden = True
    world.round()
    assert world.rows("SELECT title FROM publications") == [("Meer bomen 0",)]
    world.clock.advance(31 * 86_400)
    world.publish()
    assert world.rows("SELECT title, sent_payload, marker <> '' FROM publication") == [("", None, 1)]
    assert world.rows("SELECT count(*) FROM operation WHERE payload IS NOT NULL") == [(0,)]


def test_after_a_lost_ledger_our_own_copies_are_no_originals(tmp_path: Path) -> None:
    world = Mesh(tmp_path, "abc")
    world.worlds["a"].write("Meer bomen", "In de straat.")
    world.pull()
    empty = world.backup()
    world.publish()
    world.pull()
    world.restore(empty)
    world.round()
    assert world.rows("SELECT origin, target, state FROM publications ORDER BY target") == [
        ("a/proposal/1", "b/board/1", "sent"),
        ("a/proposal/1", "c/board/1", "sent"),
    ]


def test_why_texts_were_refused_is_told(tmp_path: Path) -> None:
    world = mesh(tmp_path, 0)
    world.worlds["a"].write("refuse me", "tekst")
    world.pull()
    outcome = next(each for each in world.publish() if each.route == "a-to-b")
    assert outcome.reasons == {"refused: the board does not take this title": 1}


@pytest.mark.parametrize("step", ["check", "limits"])
@pytest.mark.parametrize(("status", "slept"), [(None, 1.0), (429, 61.0)])
def test_a_sign_in_without_an_answer_is_tried_again_because_that_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, status: int | None, slept: float
) -> None:
    world = mesh(tmp_path)
    world.publish("b-to-a")  # who we are at the origin is known
    asked, really = iter([NotDone("no answer", status=status)]), getattr(FakeWriter, step)

    async def once(self: FakeWriter, *words: Any) -> Any:
        for error in asked:
            raise error
        return await really(self, *words)

    monkeypatch.setattr(FakeWriter, step, once)
    assert [each.outcome for each in world.publish("a-to-b")] == ["done"]
    assert world.states() == {"sent": 3}
    assert slept in world.clock.slept


def test_a_dry_run_shows_no_more_than_the_day_has_room_for(tmp_path: Path) -> None:
    world = mesh(tmp_path, 7, max_per_run=5, max_per_day=3)
    (outcome,) = world.publish("a-to-b", dry_run=True)
    assert outcome.plan is not None
    assert (len(outcome.plan.of("create")), outcome.plan.waiting) == (3, 4)


def test_what_a_person_reopened_is_made_by_the_next_run_without_asking_again(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1, approval="required")
    world.publish()
    ledger = Ledger(world.engine, world.clock)
    (own,) = ledger.publications(route="a-to-b")
    reviewer = Reviewer(world.config, world.engine, world.clock, "Anna")
    assert reviewer.reject(own, "dubbel") == "rejected"
    (own,) = ledger.publications(route="a-to-b")
    assert reviewer.reopen(own) == "reopened: the next publish makes the copy"
    world.publish()
    assert world.states() == {"sent": 1}
    assert {"what": "wanted", "detail": "a person let it through"} in [
        {name: event[name] for name in ("what", "detail")} for event in ledger.events(own.id)
    ]


def test_what_is_found_again_is_compared_as_its_own_page_shows_it_and_what_differs_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = FakeWriter.authored

    async def otherwise(self: FakeWriter, space: str) -> AsyncIterator[Authored]:
        async for made in listed(self, space):
            yield replace(made, text=f"Samenvatting. <p>{made.text}</p>")
        for post in self.platform.posts.values():
            if post.hidden:
                yield Authored(Copy(f"proposal/{post.id}"), "", post.body)

    monkeypatch.setattr(FakeWriter, "authored", otherwise)
    world = mesh(tmp_path, 4)
    empty = world.backup()
    world.publish()
    changed, hidden = world.worlds["b"].copies()[:2]
    changed.body = changed.body.replace("Dank u.", "De moderator bedankt.")
    hidden.hidden = True
    world.restore(empty)
    assert [world.round() for _ in range(3)] == [0, 0, 0]
    assert world.states() == {"sent": 3, "gone": 1}
    (asked,) = Ledger(world.engine, world.clock).operations()
    assert (asked.kind, asked.state) == ("edit", "awaiting_approval")
    assert "De moderator bedankt." in changed.body


def test_a_copys_whole_life_on_both_databases(tmp_path: Path, engine: Engine) -> None:
    world = Mesh(tmp_path, "ab", engine=engine, follow={"answers_to_origin": True})
    for number in range(10):
        world.worlds["a"].write(f"Meer bomen {number}", f"In straat {number}.")
    world.worlds["b"].faults.extend(["", "reset_after", "429", "reset_before", "duplicate_reply"])
    world.round()
    assert len(world.worlds["b"].copies()) == 10
    assert world.states() == {"sent": 10}
    first, second, third = (world.worlds["a"].posts[number] for number in (1, 2, 3))
    first.body = "Anders."
    second.hidden = True
    third.state, third.answer, third.answered_at = State.ACCEPTED, "Dit doen we.", world.clock.now()
    world.round()
    assert world.states() == {"sent": 9, "withdrawn": 1}
    copies = {post.title: post for post in world.worlds["b"].copies()}
    assert "Anders." in copies["Meer bomen 0"].body
    assert copies["Meer bomen 2"].state is State.ACCEPTED
    assert world.rows("SELECT count(*) FROM all_proposals WHERE copy_of IS NOT NULL AND gone_at IS NULL") == [(10,)]
    world.round()
    assert world.round() == 0


class Killed(KeyboardInterrupt):
    """The process ends here: what a library raises would be caught."""


def test_a_crash_in_the_middle_holds_nothing_back(tmp_path: Path) -> None:
    world = mesh(tmp_path, 6)

    def killed(what: str) -> None:
        if what == "after create" and world.worlds["b"].writes == 3:
            raise Killed

    world.worlds["b"].on_write = killed
    with pytest.raises(Killed):
        world.publish()
    assert world.states() == {"sent": 2, "sending": 1, "approved": 3}
    world.worlds["b"].on_write = lambda _: None
    world.publish()
    assert world.states() == {"sent": 6}
    assert len(world.worlds["b"].copies()) == 6


def lose_the_database(world: Crossing, folder: Path) -> None:
    """Begin with an empty one; the platforms are as they were."""
    world.engine.dispose()
    world.engine = open_engine(parse_url("sqlite:///second.db", folder))
    migrate(world.engine)


def _text_of(world: Crossing, own: str) -> str:
    return repr(world.sandbox.database.tables["proposals"].by_id[int(own)].texts)


def test_a_late_draft_of_ours_goes_with_the_copy_on_consul(tmp_path: Path) -> None:
    """Nobody sees a draft in a list; by its address, and in the interface, everybody does (docs/platforms/consul.md 3.1)."""
    world = Crossing(tmp_path, "consul", "2.5.1", count=1, voice="participant")
    world.pull("board")
    world.publish()
    [[own]] = world.rows("SELECT remote_id FROM publications")
    table = world.sandbox.database.tables["proposals"]
    late = table.by_id[int(world.sandbox.operations()["add_proposal"](title="x", draft=True))]
    late.texts = {locale: dict(said) for locale, said in table.by_id[int(own)].texts.items()}
    late.author = table.by_id[int(own)].author
    with world.engine.begin() as connection:
        # Its answer was lost, and it was sent again.
        connection.execute(text("UPDATE operation SET attempts = 2"))
    world.board.posts[1].hidden = True
    world.pull()
    world.publish()
    assert "te weinig bomen" not in _text_of(world, own)
    assert "te weinig bomen" not in repr(late.texts)


def test_after_a_lost_ledger_the_text_of_what_is_taken_back_goes_on_consul(tmp_path: Path) -> None:
    world = Crossing(tmp_path, "consul", "2.5.1", count=1, voice="participant")
    world.pull("board")
    world.publish()
    [[own]] = world.rows("SELECT remote_id FROM publications")
    world.board.posts[1].body = "Nu iets heel anders over bomen in de wijk, met meer woorden."
    lose_the_database(world, tmp_path)
    world.pull()
    asyncio.run(rebuild_map(world.config, world.engine, ["over"], world.clock, world.backends))
    world.publish()
    assert "te weinig bomen" in _text_of(world, own), "whether it is changed is asked first"
    world.board.posts[1].hidden = True
    world.pull("board")
    world.publish()
    assert "te weinig bomen" not in _text_of(world, own)
    [[reason]] = world.rows("SELECT reason FROM publications")
    assert reason == ""


def test_after_a_lost_ledger_a_copy_that_was_moved_to_another_group_is_found(tmp_path: Path) -> None:
    """An administrator may move an idea: the pull sees it there, and it is ours as before (docs/platforms/your-priorities.md 3)."""
    world = Crossing(tmp_path, "your-priorities", "2026-07", count=1)
    world.pull("board")
    world.publish()
    [[own]] = world.rows("SELECT remote_id FROM publications")
    world.sandbox.operations()["move_post"](own, 2)
    lose_the_database(world, tmp_path)
    for _ in range(2):
        world.pull()
        world.publish()
    assert world.copies().total() == 1, "made a second time"
    assert world.rows("SELECT remote_id, state FROM publications") == [(own, "sent")]
    world.board.posts[1].hidden = True
    world.pull("board")
    world.publish()
    assert world.copies().total() == 0


def test_a_half_made_copy_is_not_finished_when_its_origin_went(tmp_path: Path) -> None:
    """Its answer was lost, and so was the look after it; before the next one the origin's author took it back."""
    world = Crossing(tmp_path, "consul", "2.5.1", count=1, voice="participant")
    world.pull("board")
    handle, down = world.sandbox.handle, list[bool]()

    def handled(request: Request) -> Response:
        answer = handle(request) if not down else Response.text("down", 502)
        if (request.method, request.path) == ("POST", "/proposals"):
            down.append(True)
        return Response.text("down", 502) if down else answer

    world.sandbox.handle = handled  # type: ignore[method-assign]
    world.publish()
    assert world.rows("SELECT kind, state FROM operation") == [("create", "unknown")]
    down.clear()
    world.sandbox.handle = handle  # type: ignore[method-assign]
    world.board.posts[1].hidden = True
    world.pull("board")
    world.clock.advance(3600)
    world.publish()
    assert world.copies().total() == 0
    assert world.rows("SELECT kind, state FROM operation") == [("create", "cancelled")]


def test_where_only_making_copies_is_barred_what_is_there_is_taken_back(tmp_path: Path) -> None:
    """A manager's account makes copies in the organisation's name; the account of `login` changes and takes them back."""
    office = {"document_type": "1", "document_number": ROBOT["document"], **MANAGER}
    world = Crossing(tmp_path, "consul", "2.5.1", count=1, voice="official", city={"management": office})
    world.pull("board")
    world.publish()
    [[own]] = world.rows("SELECT remote_id FROM publications")
    users = world.sandbox.database.tables["users"].rows
    next(each for each in users if each["email"] == MANAGER["login"]).values["password"] = "changed"
    world.board.posts[1].hidden = True
    world.pull("board")
    for _ in range(2):
        outcome = world.publish()
    assert (outcome.outcome, outcome.failed) == ("failed", True)
    assert "management" in outcome.message
    assert "te weinig bomen" not in _text_of(world, own)


@pytest.mark.parametrize("hidden", [True, False])
def test_after_a_lost_ledger_an_answer_that_a_moderator_hid_is_not_told_again(tmp_path: Path, hidden: bool) -> None:
    world = Crossing(tmp_path, "consul", "2.5.1", count=1, voice="participant", city={"administrator": None})
    world.pull("board")
    world.publish()
    post = world.board.posts[1]
    post.state, post.answer, post.answered_at = State.ACCEPTED, "Dit gaan we doen.", world.clock.now()
    world.pull("board")
    world.publish()
    comments = world.sandbox.database.tables["comments"].rows
    [told] = [each.id for each in comments if "Dit gaan we doen" in repr(each.texts)]
    if hidden:
        world.sandbox.operations()["hide_comment"](told)
    lose_the_database(world, tmp_path)
    for _ in range(2):
        world.pull()
        world.publish()
    assert len([each for each in comments if "Dit gaan we doen" in repr(each.texts)]) == 1, "told again"
    expected = [("awaiting_approval", "older_than_found")] if hidden else [("sent", "")]
    assert world.rows("SELECT state, reason_code FROM operation WHERE kind = 'answer'") == expected
    if not hidden:
        return
    reviewer = Reviewer(world.config, world.engine, world.clock, "ann")
    [own] = Ledger(world.engine, world.clock).publications()
    reviewer.approve(own)
    world.publish()
    assert len([each for each in comments if "Dit gaan we doen" in repr(each.texts)]) == 2, "a person said so"


@pytest.mark.parametrize("version", ["0.32", "0.28.6"])
@pytest.mark.parametrize("minutes", [0, 600])
def test_the_text_of_what_is_taken_back_goes_from_a_decidim_or_a_person_is_told(
    tmp_path: Path, version: str, minutes: int
) -> None:
    """What was withdrawn stays listed there; its author may change it for minutes only (docs/platforms/decidim.md 11)."""
    world = Crossing(tmp_path, "decidim", version, count=1, voice="participant")
    world.pull("board")
    world.publish()
    world.board.posts[1].hidden = True
    world.clock.advance(minutes * 60)
    world.pull("board")
    world.publish()
    [own] = Ledger(world.engine, world.clock).publications()
    [row] = [each for each in world.sandbox.truth()["proposals"] if each["id"] == own.remote_id]
    assert (own.state, row["state"]) == ("withdrawn", "withdrawn")
    if minutes == 0:
        assert ("wijk 0001" in row["title"], own.reason_code) == (False, Reason.NONE)
    else:
        assert ("wijk 0001" in row["title"], own.reason_code) == (True, Reason.TEXT_STAYS)
        assert waits_for_person(own.state, own.reason_code)


def test_the_text_comes_back_where_only_the_note_was_written_before_the_origin_was_back(tmp_path: Path) -> None:
    world = Crossing(tmp_path, "consul", "2.5.1", count=1, voice="participant")
    world.pull("board")
    world.publish()
    [[own]] = world.rows("SELECT remote_id FROM publications")
    handle = world.sandbox.handle

    def handled(request: Request) -> Response:
        return Response.text("down", 503) if request.path.endswith("/retire") else handle(request)

    world.sandbox.handle = handled  # type: ignore[method-assign]
    world.board.posts[1].hidden = True
    world.pull("board")
    world.publish()
    assert "te weinig bomen" not in _text_of(world, own)
    world.sandbox.handle = handle  # type: ignore[method-assign]
    world.board.posts[1].hidden = False
    for _ in range(3):
        world.pull()
        world.publish()
        world.clock.advance(1800)
    assert "te weinig bomen" in _text_of(world, own)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(
    ("platform", "version", "voice", "last"),
    [
        ("consul", "2.5.1", "participant", "/retire"),
        ("decidim", "0.32", "participant", "/withdraw"),
        ("decidim", "0.32", "official", ""),
    ],
)
def test_a_dry_run_shows_the_note_that_takes_the_place_of_a_text(
    tmp_path: Path, platform: str, version: str, voice: str, last: str, lost: bool
) -> None:
    """It goes out first where a text stays readable, and alone where nothing can be taken back."""
    world = Crossing(tmp_path, platform, version, count=1, voice=voice)
    world.pull("board")
    world.publish()
    world.board.posts[1].hidden = True
    world.pull("board")
    if lost:
        with world.engine.begin() as connection:
            connection.execute(text("UPDATE publication SET sent_payload = NULL, how = json_remove(how, '$.locale')"))
    publisher = Publisher(world.config, world.engine, world.clock, backends=world.backends)
    [outcome] = asyncio.run(publisher.publish(["over"], dry_run=True))
    shown = outcome.requests["withdraw board/proposal/1"]
    assert "Dit voorstel is ingetrokken" in repr(shown[0])
    if last:
        assert (len(shown), shown[-1].path.endswith(last) or "ithdraw" in repr(shown[-1])) == (2, True)
        assert "Het origineel van dit voorstel" in repr(shown[-1]) or platform == "decidim"
    else:
        assert len(shown) == 1


def test_a_dry_run_shows_what_waits_in_the_queue(tmp_path: Path) -> None:
    """A route that halted, or only planned, has decided already; what it would send is shown all the same."""
    world = mesh(tmp_path, 5, first_run="plan")
    world.publish("a-to-b")
    [planned] = world.publish("a-to-b", dry_run=True)
    assert planned.plan is not None
    assert [(each.action, each.why) for each in planned.plan.decisions] == [
        ("create", "planned by an earlier run; the next one goes on with it")
    ] * 5
    assert planned.requests["create a/proposal/1"][0].json["title"] == "Meer bomen 0"
    world.publish("a-to-b")
    world.clock.advance(7200)
    for post in world.worlds["a"].posts.values():
        post.hidden = True
    world.pull()
    [halted] = world.publish("a-to-b")
    assert halted.outcome == "halted"
    [shown] = world.publish("a-to-b", dry_run=True)
    assert shown.plan is not None
    assert [(each.action, each.why) for each in shown.plan.decisions] == [("withdraw", "waits to be sent")] * 5
    assert len(shown.requests) == 5
    taken: list[tuple[str, int]] = []
    publisher = Publisher(
        world.config,
        world.engine,
        world.clock,
        shown=lambda _, each, requests: taken.append((each.action, len(requests))),
    )
    asyncio.run(publisher.publish(["a-to-b"], dry_run=True))
    assert taken == [("withdraw", 1)] * 5


def test_what_gives_way_to_the_plan_of_a_dry_run_is_not_shown(tmp_path: Path) -> None:
    world = mesh(tmp_path, 1, first_run="plan")
    world.publish("a-to-b")
    world.worlds["a"].posts[1].hidden = True
    world.pull()
    [outcome] = world.publish("a-to-b", dry_run=True)
    assert outcome.plan is not None
    assert [each.action for each in outcome.plan.decisions] == ["cancel"]


def test_our_own_note_gives_way_to_the_text_that_a_person_wants_back(tmp_path: Path) -> None:
    """An official proposal of Decidim cannot be taken back, so what is reopened finds the note that took its place."""
    world = Crossing(tmp_path, "decidim", "0.32", count=1, voice="official")
    world.pull("board")
    world.publish()
    for hidden in (True, False):
        world.board.posts[1].hidden = hidden
        world.clock.advance(7200)
        world.pull()
        world.publish()
    [own] = Ledger(world.engine, world.clock).publications()
    assert own.reason_code is Reason.ORIGIN_BACK
    assert Reviewer(world.config, world.engine, world.clock, "ann").reopen(own).taken
    for _ in range(2):
        world.publish()
    [now] = Ledger(world.engine, world.clock).publications()
    assert (now.state, now.reason_code, now.remote_id) == ("sent", Reason.NONE, own.remote_id)
    [row] = [each for each in world.sandbox.truth()["proposals"] if each["id"] == own.remote_id]
    assert "wijk 0001" in row["title"]
    assert world.rows("SELECT state FROM operation WHERE kind = 'edit'") == [("sent",)]
