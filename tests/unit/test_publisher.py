"""A run against a target: alone there by a lease, what was left is looked up first, and nothing is sent that should only be planned."""

from pathlib import Path
from typing import Any

import pytest

from civicsync.connectors.testing.fake import SPACE
from civicsync.core.leases import Lease
from civicsync.sync.publish import publisher
from civicsync.sync.publish.outcome import RouteEnd, RouteOutcome
from tests.support.mesh import Mesh

ROUTE = "a-to-b"


@pytest.fixture
def world(tmp_path: Path) -> Mesh:
    made = Mesh(tmp_path, "ab")
    made.worlds["a"].write("Meer bomen", "In de straat.")
    made.pull()
    return made


def publish(world: Mesh) -> RouteOutcome:
    [outcome] = world.publish(ROUTE)
    return outcome


def sql(world: Mesh, statement: str) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_nothing_is_published_where_another_process_has_the_lease(world: Mesh) -> None:
    assert Lease(world.engine, "publish:b").take()
    assert publish(world).outcome is RouteEnd.BUSY
    assert world.writes() == 0
    assert world.rows("SELECT * FROM publications") == []


def test_who_lost_the_lease_writes_nothing_more_into_the_ledger(world: Mesh) -> None:
    def stolen(what: str) -> None:
        if what == "before create":
            sql(world, "UPDATE lease SET token = token + 1, holder = 'other:1:x'")

    world.worlds["b"].on_write = stolen
    assert publish(world).outcome is RouteEnd.LEASE_LOST
    assert world.rows("SELECT state FROM operation") == [("sending",)], "whoever has it now looks up what became of it"


def test_every_request_of_a_run_asks_whether_the_lease_is_still_ours(
    world: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, real = list[Any](), publisher.open_writer

    def opened(*given: Any, **named: Any) -> Any:
        asked.append(named["before_request"])
        return real(*given, **named)

    monkeypatch.setattr(publisher, "open_writer", opened)
    publish(world)
    assert [each.__name__ for each in asked if each is not None] == ["check"]
    asked.clear()
    world.publish(ROUTE, dry_run=True)
    assert asked == [None], "who only looks needs no lease"


def test_a_dry_run_writes_nothing_anywhere(world: Mesh) -> None:
    world.publish(ROUTE, dry_run=True)
    assert world.writes() == 0
    assert world.rows("SELECT * FROM publications") == []
    assert world.rows("SELECT * FROM route") == []


def test_what_a_killed_process_was_sending_is_looked_up_and_not_made_again(world: Mesh) -> None:
    publish(world)
    sql(world, "UPDATE operation SET state = 'sending', open_lane = 'text', payload = '{}'")
    draft = world.rows("SELECT sent_payload FROM publication")[0][0]
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE operation SET payload = ?", (draft,))
        connection.exec_driver_sql("UPDATE publication SET state = 'sending', copy_key = NULL, remote_ref = NULL")
    assert publish(world).outcome is RouteEnd.DONE
    assert len(world.worlds["b"].copies()) == 1
    assert world.states() == {"sent": 1}


def test_a_halted_route_sends_nothing_until_a_person_starts_it_again(world: Mesh) -> None:
    sql(
        world,
        "INSERT INTO route (name, fingerprint, halted_at, halted_reason) VALUES ('a-to-b', '', '2026-01-01', 'x')",
    )
    assert publish(world).outcome is RouteEnd.HALTED
    assert world.writes() == 0


def test_a_route_that_is_switched_off_sends_nothing(tmp_path: Path) -> None:
    world = Mesh(tmp_path, "ab", enabled=False)
    world.worlds["a"].write("Meer bomen", "In de straat.")
    world.pull()
    assert publish(world).outcome is RouteEnd.DISABLED
    assert world.writes() == 0


def test_a_copy_that_a_restored_ledger_does_not_know_is_found_before_anything_is_made(world: Mesh) -> None:
    before = world.backup()
    publish(world)
    world.restore(before)
    publish(world)
    assert len(world.worlds["b"].copies()) == 1
    assert world.states() == {"sent": 1}


def test_what_our_account_wrote_is_known_before_anything_is_judged_to_be_an_original(world: Mesh) -> None:
    """The very first run of a new database: `b` holds copies of another database of ours, and is a source as well."""
    world.worlds["b"].write("Van onze robot", "Zonder merk.", "robot")
    world.pull()
    world.publish("b-to-a")
    assert [post.title for post in world.worlds["a"].public()] == ["Meer bomen"]


def test_a_space_that_is_not_there_fails_the_route_and_sends_nothing(world: Mesh) -> None:
    route = world.config.routes[ROUTE]
    away = route.model_copy(update={"to": route.to.model_copy(update={"space": SPACE + "9"})})
    world.config = world.config.model_copy(update={"routes": {ROUTE: away}})
    assert publish(world).outcome is RouteEnd.FAILED
    assert world.writes() == 0
