"""No call to the database ever runs where the event loop runs: a locked database must stop neither a heartbeat nor another instance."""

import asyncio
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from civicsync.core.leases import Lease
from civicsync.core.records import State
from civicsync.sync.publish.publisher import Publisher
from civicsync.sync.publish.rebuild_map import rebuild_map
from civicsync.sync.publish.route_check import check_route
from civicsync.sync.pull.run import Options, Puller
from tests.support.mesh import Mesh

ROOT = Path(__file__).parents[2]


@contextmanager
def nothing_blocks(engine: Engine) -> Generator[list[str]]:
    """Fails at its end, with the places, when a statement was run or a connection was taken in a thread with a running loop."""
    blocked: list[str] = []
    asked: list[str] = []

    def look(*arguments: Any) -> None:
        asked.append("")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        stack = (each for each in traceback.extract_stack() if "site-packages" not in each.filename)
        ours = [each for each in stack if Path(each.filename).is_relative_to(ROOT)]
        blocked.append(" < ".join(f"{each.name}:{each.lineno}" for each in reversed(ours[-4:-1])))

    hooks = ("before_cursor_execute", "begin", "commit", "rollback")
    for name in hooks:
        event.listen(engine, name, look)
    event.listen(engine.pool, "checkout", look)
    try:
        yield asked
    finally:
        for name in hooks:
            event.remove(engine, name, look)
        event.remove(engine.pool, "checkout", look)
    assert asked, "it was asked at all"
    assert blocked == [], "the event loop waited for the database"


@pytest.fixture
def world(tmp_path: Path) -> Mesh:
    made = Mesh(tmp_path, "ab", follow={"answers_to_origin": True}, max_per_run=4)
    for number in range(6):
        made.worlds["a"].write(f"Meer bomen {number}", "Dank u.")
    made.worlds["b"].write("Van hier", "Dank u.")
    return made


def pull(world: Mesh, **options: Any) -> list[str]:
    world.clock.advance(60)
    puller = Puller(world.config, world.engine, world.clock)
    return [each.outcome for each in asyncio.run(puller.pull_all(["a", "b"], Options(**options)))]


def publish(world: Mesh, *, dry_run: bool = False) -> set[str]:
    world.clock.advance(60)
    publisher = Publisher(world.config, world.engine, world.clock)
    return {each.outcome for each in asyncio.run(publisher.publish(world.config.routes, dry_run=dry_run))}


def test_the_watch_sees_a_call_that_blocks(world: Mesh) -> None:
    async def block() -> None:
        world.rows("SELECT 1")

    with pytest.raises(AssertionError, match="block:"), nothing_blocks(world.engine):
        asyncio.run(block())


def test_a_pull_never_blocks_the_event_loop(world: Mesh) -> None:
    with nothing_blocks(world.engine):
        assert pull(world) == ["done", "done"]
        world.worlds["a"].posts[1].body = "Anders."
        world.worlds["a"].posts[2].hidden = True
        for _ in range(3):
            pull(world, full=True)
        pull(world, limit=1)
        world.worlds["a"].gate = lambda asked: "429" if asked.path == "posts" else ""
        assert pull(world) == ["throttled", "done"]


def test_publishing_never_blocks_the_event_loop(world: Mesh) -> None:
    pull(world)
    with nothing_blocks(world.engine):
        publish(world, dry_run=True)
        world.worlds["b"].faults.extend(["reset_after", "reset_before", "429", "duplicate_reply", "refused"])
        publish(world)
        publish(world)
    first, second = world.worlds["a"].posts[1], world.worlds["b"].copies()[1]
    first.body, first.state, first.answer, first.answered_at = "Anders.", State.ACCEPTED, "Ja.", world.clock.now()
    second.state, second.answer, second.answered_at = State.REJECTED, "Nee.", world.clock.now()
    world.worlds["a"].posts[3].hidden = True
    world.worlds["b"].copies()[-1].body = "Van een moderator."
    world.pull()
    with nothing_blocks(world.engine):
        world.worlds["b"].faults.extend(["not_allowed", "not_let_in", "reset_after"])
        publish(world)
        publish(world)
    kinds = dict(world.rows("SELECT kind, count(*) FROM operation GROUP BY kind"))
    assert set(kinds) == {"create", "edit", "withdraw", "answer", "answer_back"}, "everything was done under the watch"


def test_recovering_and_adopting_never_block_the_event_loop(world: Mesh) -> None:
    world.pull()
    empty = world.backup()
    publish(world)
    world.restore(empty)
    with nothing_blocks(world.engine):
        publish(world)
    assert world.rows("SELECT count(*) FROM publication_event WHERE what = 'adopted'") == [(5,)]
    world.worlds["b"].faults.append("reset_after")
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE operation SET state = 'sending' WHERE state = 'approved'")
    with nothing_blocks(world.engine):
        publish(world)


def test_rebuilding_the_map_never_blocks_the_event_loop(world: Mesh) -> None:
    world.pull()
    empty = world.backup()
    publish(world)
    world.worlds["b"].copies()[1].hidden = True
    world.restore(empty)
    world.worlds["a"].write("Later", "Dank u.", created_at=world.clock.now() + timedelta(hours=2))
    world.pull()
    with nothing_blocks(world.engine):
        found = asyncio.run(rebuild_map(world.config, world.engine, ["a-to-b"], world.clock))
    assert [(each.found, each.held > 0, each.error) for each in found] == [(3, True, "")]


def test_checking_routes_never_blocks_the_event_loop(world: Mesh) -> None:
    pull(world)
    with nothing_blocks(world.engine):
        found = asyncio.run(check_route(world.config, world.engine, "a-to-b", world.clock))
    assert found.ok


def test_a_map_is_not_rebuilt_while_another_process_writes_to_the_target(world: Mesh) -> None:
    pull(world)
    assert Lease(world.engine, "publish:b", holder="another:1:x").take()
    [found] = asyncio.run(rebuild_map(world.config, world.engine, ["a-to-b"], world.clock))
    assert found.error.startswith("another process is writing to b (process 1 on another")
