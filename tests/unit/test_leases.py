"""One process at a time: a lease ends by its time alone, its token grows, and who lost it writes and asks no more."""

import asyncio
import os
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from civicsync.connectors.contract.reading import KINDS
from civicsync.core import leases
from civicsync.core.clock import Clock, FakeClock
from civicsync.core.items import Item, Page
from civicsync.core.leases import HEARTBEAT_SECONDS, LEASE_SECONDS, Lease, LeaseLost, lease_seconds, writing
from civicsync.core.ledger.ledger import Ledger
from civicsync.core.ledger.states import OperationKind, OperationState, PublicationState
from civicsync.core.records import Proposal
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.store.store import InstanceStore
from civicsync.core.store.tombstones import Judgement, record_judgement


def lease(engine: Engine, clock: Clock, holder: str = "one:1:a") -> Lease:
    return Lease(engine, "publish:b", clock, holder=holder)


def row(engine: Engine) -> tuple[Any, ...]:
    with engine.connect() as connection:
        return tuple(connection.execute(text("SELECT holder, token FROM lease WHERE name = 'publish:b'")).one())


def taken_over(engine: Engine, clock: FakeClock) -> tuple[Lease, Lease]:
    """A lease that ran out, and its successor."""
    old, new = lease(engine, clock), lease(engine, clock, "two:2:b")
    assert old.take()
    clock.advance(old.seconds)
    assert new.take()
    return old, new


# Taking and giving back -----------------------------------------------------------------------------------------------


def test_a_lease_is_taken_once(engine: Engine, clock: FakeClock) -> None:
    one, other = lease(engine, clock), lease(engine, clock, "two:2:b")
    assert one.take()
    assert not other.take()
    assert other.token is None
    assert not one.take(), "not even by the same process a second time"
    assert Lease(engine, "publish:c", clock).take(), "other names are free"


def test_a_lease_is_free_when_its_time_is_over_and_not_a_moment_before(engine: Engine, clock: FakeClock) -> None:
    one, other = lease(engine, clock), lease(engine, clock, "two:2:b")
    assert one.take()
    clock.advance(lease_seconds(engine) - 0.001)
    assert not other.take()
    clock.advance(0.001)
    assert other.take()


def test_a_holder_whose_process_is_unknown_here_is_not_dead(engine: Engine, clock: FakeClock) -> None:
    """Another container may have the same host name, and processes that cannot be seen from here."""
    gone = max(int(name) for name in os.listdir("/proc") if name.isdecimal()) + 7919  # noqa: PTH208
    assert lease(engine, clock, f"{socket.gethostname()}:{gone}:x").take()
    assert not lease(engine, clock, "").take()


def test_the_token_grows_with_each_taking_and_through_giving_back(engine: Engine, clock: FakeClock) -> None:
    one, other = lease(engine, clock), lease(engine, clock, "two:2:b")
    assert one.take()
    assert one.token == 1
    one.release()
    assert one.token is None
    assert row(engine) == ("", 1), "the row stays: a token that began anew would be somebody's old one"
    assert other.take()
    assert other.token == 2
    clock.advance(lease_seconds(engine))
    assert one.take()
    assert one.token == 3


def test_what_was_given_back_is_free_on_a_machine_whose_clock_is_behind(engine: Engine, clock: FakeClock) -> None:
    one = lease(engine, clock)
    assert one.take()
    one.release()
    behind = FakeClock(clock.now() - timedelta(minutes=5))
    assert lease(engine, behind, "two:2:b").take()


def test_giving_back_what_was_lost_takes_nothing_from_its_successor(engine: Engine, clock: FakeClock) -> None:
    old, new = taken_over(engine, clock)
    old.release()
    assert row(engine) == ("two:2:b", new.token)
    new.renew()


# Renewing -------------------------------------------------------------------------------------------------------------


def test_a_renewed_lease_stays(engine: Engine, clock: FakeClock) -> None:
    one, other = lease(engine, clock), lease(engine, clock, "two:2:b")
    assert one.take()
    for _ in range(5):
        clock.advance(HEARTBEAT_SECONDS)
        one.renew()
        one.check()
    assert not other.take()
    assert one.token == 1


def test_renewing_a_lost_lease_fails(engine: Engine, clock: FakeClock) -> None:
    old, new = taken_over(engine, clock)
    with pytest.raises(LeaseLost, match="the lease of publish:b was lost"):
        old.renew()
    assert old.token is None
    assert row(engine) == ("two:2:b", new.token)


def test_a_renewal_that_comes_late_does_not_take_again_what_was_given_back(engine: Engine, clock: FakeClock) -> None:
    """The heartbeat's thread may wait for the database while the run ends."""
    one = lease(engine, clock)
    assert one.take()
    late = lease(engine, clock)
    late.token = one.token
    one.release()
    with pytest.raises(LeaseLost):
        late.renew()
    assert lease(engine, clock, "two:2:b").take()


# Writing --------------------------------------------------------------------------------------------------------------


def test_a_write_under_a_lost_lease_fails_and_nothing_of_it_stays(engine: Engine, clock: FakeClock) -> None:
    old, new = taken_over(engine, clock)
    with pytest.raises(LeaseLost), engine.begin() as connection:
        connection.execute(text("INSERT INTO schema_info (name, value) VALUES ('before', 'x')"))
        old.fence(connection)
    with pytest.raises(LeaseLost), writing(engine, old) as connection:
        raise AssertionError("the block is not even entered")
    with writing(engine, new) as connection:
        connection.execute(text("INSERT INTO schema_info (name, value) VALUES ('new', 'x')"))
    with engine.connect() as connection:
        found = connection.execute(text("SELECT name FROM schema_info WHERE value = 'x'")).scalars().all()
    assert list(found) == ["new"]


def test_a_page_and_its_checkpoint_under_a_lost_lease_are_not_written(engine: Engine, clock: FakeClock) -> None:
    old, new = taken_over(engine, clock)

    def page(own: str, cursor: str) -> Page:
        item = Item(f"proposal/{own}", own.encode().ljust(16), lambda: [Proposal(id=own)], raw={})
        return Page("proposals", [item], next={"after": cursor}, memory={"etag": cursor})

    stale = InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS, lease=old)
    fresh = InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS, lease=new)
    fresh.write(page("1", "one"))
    for write in (
        lambda: stale.write(page("2", "two")),
        lambda: stale.sweeps.end("proposals"),
        lambda: stale.sweeps.forget(),
        lambda: record_judgement(stale, Judgement(gone={"proposal/1": "gone"})),
        lambda: stale.replay(page("3", "").items[0], "proposals"),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert stale.memory("etag") is None
    with engine.connect() as connection:
        assert connection.execute(text("SELECT key, gone_at FROM proposal")).all() == [("west/proposal/1", None)]
    again = InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS)
    assert again.cursor("proposals") == {"after": "one"}
    assert again.memory("etag") == "one"
    assert set(again.sweeps.seen("proposals")) == {"proposal/1"}


def test_a_move_of_the_ledger_under_a_lost_lease_is_not_written(engine: Engine, clock: FakeClock) -> None:
    old, new = taken_over(engine, clock)
    ledger = Ledger(engine, clock, new)
    where = {"route": "a-to-b", "origin_key": "a/proposal/1", "target_instance": "b", "target_space": "board/1"}
    own = ledger.open_publication(PublicationState.APPROVED, marker="[civicsync:x]", **where)
    assert ledger.intend(own, OperationKind.CREATE, OperationState.APPROVED)
    [op] = ledger.operations()
    told = len(ledger.events(own.id))
    stale = Ledger(engine, clock, old)
    for write in (
        lambda: stale.move(op, OperationState.SENDING),
        lambda: stale.intend(own, OperationKind.WITHDRAW, OperationState.APPROVED),
        lambda: stale.cancel(own, op.lane, op.reason_code, "why"),
        lambda: stale.update_publication(own, event="x", title="other"),
        lambda: stale.open_publication(PublicationState.HELD, marker="", **{**where, "origin_key": "a/proposal/2"}),
        lambda: stale.save_route("a-to-b", planned_at=clock.now()),
        lambda: stale.remember_account("b", "f" * 32),
        lambda: stale.count_failure("host", 5, timedelta(minutes=5)),
        lambda: stale.count_success("host"),
        lambda: stale.forget_texts(clock.now()),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert ledger.operations() == [op]
    assert len(ledger.publications()) == 1
    assert len(ledger.events(own.id)) == told
    assert ledger.move(op, OperationState.SENDING) is not None, "its successor goes on"


def test_who_takes_over_waits_for_the_end_of_a_write_under_way(engine: Engine, clock: FakeClock) -> None:
    old, new = lease(engine, clock), lease(engine, clock, "two:2:b")
    assert old.take()
    clock.advance(old.seconds)
    with ThreadPoolExecutor(1) as pool:
        with writing(engine, old) as connection:
            taking = pool.submit(new.take)
            with pytest.raises(TimeoutError):
                taking.result(0.03)
            connection.execute(text("INSERT INTO schema_info (name, value) VALUES ('last', 'x')"))
        assert taking.result(5)
    with pytest.raises(LeaseLost), writing(engine, old):
        pass


# Asking ---------------------------------------------------------------------------------------------------------------


class _TwoTimes(Clock):
    """A wall clock and a stop watch that may disagree: a laptop's sleep, a corrected clock, a stopped process."""

    def __init__(self) -> None:
        self.wall, self.watch = datetime(2026, 3, 1, tzinfo=UTC), 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.watch


@pytest.mark.parametrize("late", ["by the wall clock", "by the stop watch"])
def test_who_could_not_renew_in_time_stops_before_its_next_request(sqlite: Engine, late: str) -> None:
    times = _TwoTimes()
    one = lease(sqlite, times)
    assert one.take()
    one.check()

    def pass_by(seconds: float) -> None:
        if late == "by the wall clock":
            times.wall += timedelta(seconds=seconds)
        else:
            times.watch += seconds

    pass_by(LEASE_SECONDS - 6)
    one.check()
    pass_by(1)
    with pytest.raises(LeaseLost, match="this one stops"):
        one.check()  # a little before it runs out: what is sent must have arrived before another one begins
    one.renew()
    one.check()


def test_nothing_is_asked_without_a_lease_or_after_losing_it(sqlite: Engine, clock: FakeClock) -> None:
    one = lease(sqlite, clock)
    with pytest.raises(LeaseLost):
        one.check()
    old, new = taken_over(sqlite, clock)
    with pytest.raises(LeaseLost):
        old.check()
    new.check()
    with pytest.raises(LeaseLost), writing(sqlite, old):
        pass
    with pytest.raises(LeaseLost):
        old.check()
    new.release()
    with pytest.raises(LeaseLost):
        new.check()


def test_the_lease_counts_from_before_it_was_asked_for(sqlite: Engine) -> None:
    """A renewal that waited half a minute for the database is half a minute old when it comes back."""
    times = _TwoTimes()

    class Slow(Lease):
        def _extend(self, began: float, until: datetime) -> None:
            times.watch += 30
            times.wall += timedelta(seconds=30)
            super()._extend(began, until)

    slow = Slow(sqlite, "publish:b", times, holder="one:1:a")
    assert slow.take()
    times.watch += LEASE_SECONDS - 35
    with pytest.raises(LeaseLost):
        slow.check()


# The heartbeat --------------------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(sqlite: Engine) -> Iterator[Engine]:
    """The same database by connections that wait for a lock only a moment."""
    made = create_engine(sqlite.url, connect_args={"timeout": 0.01})
    yield made
    made.dispose()


def _locked(engine: Engine) -> sqlite3.Connection:
    other = sqlite3.connect(Path(str(engine.url.database)), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def _until(engine: Engine) -> datetime:
    with engine.connect() as connection:
        return connection.execute(leases.LEASE.select()).one().until


async def test_a_locked_database_stops_neither_the_event_loop_nor_the_heartbeat(
    sqlite: Engine, impatient: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.005)
    monkeypatch.setattr(leases, "RETRY_SECONDS", 0.005)
    # One connection waits out its lock in the thread, the other one fails at once: both must go on afterwards.
    for engine in (sqlite, impatient):
        one = Lease(engine, f"pull:{engine is sqlite}")
        assert one.take()
        ticks = 0
        async with one.kept():
            other = _locked(engine)
            for _ in range(10):
                await asyncio.sleep(0.004)
                ticks += 1
            before = _until(sqlite)
            other.rollback()
            other.close()
            async with asyncio.timeout(5):
                while _until(sqlite) <= before:
                    await asyncio.sleep(0.005)
            one.check()
        assert ticks == 10
        with sqlite.begin() as connection:
            connection.execute(leases.LEASE.delete())


def test_a_lock_of_a_minute_is_survived_by_the_numbers() -> None:
    """The driver waits for 60 s. Began right before a heartbeat, failed after it, renewed at the next trial: before the holder stops."""
    assert HEARTBEAT_SECONDS + 60 + leases.RETRY_SECONDS < LEASE_SECONDS - 5


def test_a_server_does_not_keep_the_locks_of_whoever_sleeps_in_the_middle_of_a_write(postgres: str) -> None:
    """A process that is stopped between its write and its commit would keep everybody from taking over, however long it sleeps."""
    engine = open_engine(parse_url(postgres))
    migrate(engine)
    old, new = Lease(engine, "pull:sleeper", seconds=0.2), Lease(engine, "pull:sleeper")
    assert old.take()
    # The pool outlives the transaction: else a take-over that waits for its locks would be waited for before they are let go.
    with ThreadPoolExecutor(1) as pool, pytest.raises(DBAPIError), writing(engine, old) as connection:
        connection.execute(text("INSERT INTO schema_info (name, value) VALUES ('half', 'x')"))
        taking = pool.submit(lambda: any(new.take() for _ in range(1000)))
        assert taking.result(20), "before the sleeper did anything"
        connection.execute(text("SELECT 1"))
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM schema_info WHERE name = 'half'")).scalar_one() == 0
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "0", (
            "others may take their time"
        )
    new.release()
    engine.dispose()


def test_whoever_takes_over_on_a_server_waits_for_less_than_a_minute(engine: Engine, clock: FakeClock) -> None:
    """Rows are locked there and not the whole database: a lease may be shorter, and is renewed more often."""
    one = lease(engine, clock)
    assert one.seconds == (120 if engine.dialect.name == "sqlite" else 40)
    assert one._between == one.seconds / 4


async def test_the_heartbeat_ends_with_its_block_and_gives_the_lease_back(sqlite: Engine, clock: FakeClock) -> None:
    one, other = lease(sqlite, clock), lease(sqlite, clock, "two:2:b")
    assert one.take()
    with pytest.raises(KeyError):
        async with one.kept():
            raise KeyError
    assert other.take()


async def test_a_heartbeat_that_lost_the_lease_stops_its_holder(
    sqlite: Engine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.005)
    one, other = lease(sqlite, clock), lease(sqlite, clock, "two:2:b")
    assert one.take()
    async with one.kept():
        with sqlite.begin() as connection:
            connection.execute(text("UPDATE lease SET until = '1970-01-01 00:00:00.000000'"))
        while not other.take():  # the heartbeat may have been quicker
            with sqlite.begin() as connection:
                connection.execute(text("UPDATE lease SET until = '1970-01-01 00:00:00.000000'"))
        async with asyncio.timeout(5):
            while one.token is not None:
                await asyncio.sleep(0.005)
        with pytest.raises(LeaseLost):
            one.check()
    assert row(sqlite)[0] == "two:2:b"


# Words ----------------------------------------------------------------------------------------------------------------


def test_who_has_to_wait_is_told_for_whom_and_until_when(engine: Engine, clock: FakeClock) -> None:
    one = lease(engine, clock, "townhall:4711:a1b2")
    assert one.held_by() == "it has just become free"
    assert one.take()
    free = clock.now() + timedelta(seconds=lease_seconds(engine))
    assert one.held_by() == f"process 4711 on townhall; if it has died, this is free at {free:%H:%M:%S} UTC"
    assert one.free_at() == free
    one.release()
    assert one.free_at() is None
    assert one.held_by() == "it has just become free"
