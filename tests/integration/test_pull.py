"""Pulls into a real database: what a run says, when it stops and asks, and what it leaves behind. On SQLite and PostgreSQL."""

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from civicsync.config.load import load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.sandbox.sandbox import Sandbox
from civicsync.core import journal
from civicsync.core.clock import FakeClock
from civicsync.core.leases import Lease
from civicsync.sync.pull.run import Options, Puller, PullOutcome, few_collections

PLATFORMS = [("decidim", "0.32"), ("decidim", "0.28.6"), ("consul", "2.5.1"), ("your-priorities", "2026-07")]


class City:
    """A sandbox, and a puller that reads it in-process."""

    def __init__(self, platform: str, version: str, engine: Engine, clock: FakeClock, folder: Path) -> None:
        connector = resolve(platform)
        assert connector.sandbox is not None

        async def sleep(seconds: float) -> None:
            clock.advance(seconds)

        self.sandbox: Sandbox = connector.sandbox(version=version, size=80, seed=5, clock=clock.now, sleep=sleep)
        file = folder / "civicsync.yaml"
        file.write_text(
            "civicsync: 1\noperator: {name: test, contact: t@example.org}\nprivacy: {key: '${KEY}'}\n"
            f"instances:\n  toy: {{platform: {platform}, url: 'http://127.0.0.1:9'}}\n"
        )
        self.config = load(file, {"KEY": "k" * 64})
        self.engine, self.clock = engine, clock

    async def pull(self, *, stop: asyncio.Event | None = None, **options: Any) -> PullOutcome:
        puller = Puller(self.config, self.engine, self.clock, stop=stop, backends={"toy": self.sandbox})
        return await puller.pull("toy", Options(**options))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def check(self) -> None:
        truth = {
            (row["kind"], row["id"], row["title"], row["state"], row["supports"], row["comments"])
            for row in self.sandbox.truth()["proposals"]
            if row["public"]
        }
        sql = "SELECT kind, remote_id, title, state, supports, comments FROM proposals WHERE gone_at IS NULL"
        assert set(self.rows(sql)) == truth


@pytest.fixture(params=PLATFORMS, ids=lambda pair: "-".join(pair))
def city(request: pytest.FixtureRequest, engine: Engine, clock: FakeClock, tmp_path: Path) -> City:
    return City(*request.param, engine, clock, tmp_path)


@pytest.fixture(params=PLATFORMS, ids=lambda pair: "-".join(pair))
def lite(request: pytest.FixtureRequest, sqlite: Engine, clock: FakeClock, tmp_path: Path) -> City:
    return City(*request.param, sqlite, clock, tmp_path)


async def test_the_database_equals_the_truth_and_stays_so(city: City) -> None:
    first = await city.pull()
    assert (first.outcome, first.written.quarantined) == ("done", 0)
    city.check()
    second = await city.pull()
    assert (second.outcome, second.written.created, second.written.changed, second.written.tallies) == ("done", 0, 0, 0)
    assert second.requests < first.requests
    city.check()


async def test_half_the_data_gone_stops_and_asks(lite: City) -> None:
    await lite.pull()
    before = lite.rows("SELECT count(*) FROM proposals WHERE gone_at IS NULL")
    lite.clock.advance(3600)
    public = [row["id"] for row in lite.sandbox.truth()["proposals"] if row["public"] and row["kind"] == "proposal"]
    for own in public[::2]:
        lite.sandbox.change("delete", id=own)
    for full in (False, True, True):
        outcome = await lite.pull(full=full)
        assert outcome.outcome == "undecided" and outcome.failed
        assert any("--accept-missing" in note for note in outcome.notes)
    assert lite.rows("SELECT count(*) FROM proposals WHERE gone_at IS NULL") == before
    assert (await lite.pull(full=True, accept_missing=True)).outcome == "done"
    lite.check()


async def test_one_thing_hidden_is_gone_once_the_platform_says_so_and_comes_back(lite: City) -> None:
    await lite.pull()
    lite.clock.advance(3600)
    own = next(r["id"] for r in lite.sandbox.truth()["proposals"] if r["public"] and r["kind"] == "proposal")
    lite.sandbox.change("hide", id=own)
    first = await lite.pull()
    assert (first.missing, first.gone) == (0, 1), "it was asked for at once, and that is proof"
    lite.check()
    [(reason,)] = lite.rows(f"SELECT gone_reason FROM proposals WHERE remote_id = '{own}' AND kind = 'proposal'")
    assert "not public" in reason
    lite.clock.advance(3600)
    lite.sandbox.change("restore", id=own)
    await lite.pull()
    await lite.pull(full=True)
    lite.check()


async def test_a_platform_that_asks_to_slow_down_ends_a_run_kindly(lite: City) -> None:
    lite.sandbox.plant(Fault(kind="429_retry_after", after=6, times=None, retry_after="9999"))
    outcome = await lite.pull()
    assert (outcome.outcome, outcome.failed) == ("throttled", False)
    assert "slow down" in outcome.message
    lite.sandbox.plant()
    assert (await lite.pull()).outcome == "throttled", "it asked for hours, whoever asks"
    lite.clock.advance(9999)
    last = await lite.pull()
    assert last.outcome == "done", last.notes
    lite.check()


@pytest.mark.parametrize("kind", ["html_200", "500", "reset"])
async def test_a_failure_says_what_and_keeps_what_was_read(lite: City, kind: str) -> None:
    lite.sandbox.plant(Fault(kind=kind, after=7, times=None))
    outcome = await lite.pull()
    assert outcome.outcome == "failed" and "127.0.0.1" in outcome.message
    [row] = journal.runs(lite.engine, ["toy"], 1)
    assert (row["outcome"], row["message"]) == ("failed", outcome.message)
    lite.sandbox.plant()
    assert (await lite.pull()).outcome == "done"
    lite.check()


async def test_stopping_keeps_whole_pages(lite: City) -> None:
    stop = asyncio.Event()
    puller = Puller(lite.config, lite.engine, lite.clock, stop=stop, backends={"toy": lite.sandbox})
    puller.progress = lambda *_: stop.set()
    outcome = await puller.pull("toy", Options())
    assert outcome.outcome == "stopped" and outcome.pages == 1
    assert (await lite.pull()).outcome == "done"
    lite.check()


async def test_two_processes_do_not_double(lite: City) -> None:
    other = Lease(lite.engine, "pull:toy", holder="another-machine:1:x")
    assert other.take()
    outcome = await lite.pull()
    assert outcome.outcome == "busy" and "process 1 on another-machine" in outcome.message
    other.release()
    assert (await lite.pull()).outcome == "done"


@pytest.mark.parametrize("began", [True, False], ids=["another-run", "another-lease"])
async def test_who_slept_before_the_last_line_has_not_done_the_turn(
    lite: City, monkeypatch: pytest.MonkeyPatch, *, began: bool
) -> None:
    """A pull that sleeps between its last page and its end in the journal while another process takes over: one is done, not both."""
    life, close = FakeClock(), Puller._close

    def asleep(self: Puller, *args: Any) -> None:
        life.advance(1000)
        assert Lease(lite.engine, "pull:toy", life).take()
        if began:
            journal.start_run(lite.engine, "toy", lite.clock.now(), full=True)
        close(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Puller, "_close", asleep)
        puller = Puller(lite.config, lite.engine, lite.clock, backends={"toy": lite.sandbox})
        puller.life = life
        outcome = await puller.pull("toy", Options())
    assert outcome.outcome == "lease_lost" and "taken over" in outcome.message
    ended = [row["outcome"] for row in journal.runs(lite.engine)]
    assert ended == (["running", "interrupted"] if began else ["lease_lost"])
    assert lite.rows("SELECT last_success_at, last_full_at FROM instance") == [(None, None)]
    life.advance(1000)
    assert (await lite.pull()).outcome == "done"


def test_pulls_beside_each_other_leave_the_collector_as_it_was() -> None:
    """Each turn of `run` has a puller of its own: the last one to end must not restore what the first one had set."""
    before = gc.get_threshold()
    one, other = few_collections(), few_collections()
    one.__enter__()
    seldom = gc.get_threshold()
    other.__enter__()
    one.__exit__(None, None, None)
    assert gc.get_threshold() == seldom != before, "the other one is at work"
    other.__exit__(None, None, None)
    assert gc.get_threshold() == before


async def test_no_private_data_in_the_database(lite: City) -> None:
    tokens = lite.sandbox.plant_private_data()
    await lite.pull()
    tables = [row[0] for row in lite.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    everything = repr([lite.rows(f'SELECT * FROM "{table}"') for table in tables])
    assert tokens and not [token for token in tokens if token in everything]
