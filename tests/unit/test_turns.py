"""Turns in the database: each is done once by all processes together, and what was not done to its end is done by the next one."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from civicsync.core.clock import FakeClock
from civicsync.core.leases import LeaseLost
from civicsync.core.turns import SKEW, Begun, Elsewhere, Settled, Turns
from civicsync.sync.schedule import AGAIN, Timetable, Unfinished, turns

HOUR = timedelta(hours=1)
NEXT = turns("1h", "UTC", "pull west")


def book(engine: Engine, clock: FakeClock) -> Turns:
    return Turns(engine, clock, clock)


def begin(turns: Turns, clock: FakeClock, plan: str = "p", *, anew: bool = False) -> Begun | Elsewhere | Settled:
    return turns.begin("pull west", plan, NEXT, clock.now(), anew=anew)


def done(turns: Turns, clock: FakeClock, plan: str = "p") -> Begun:
    begun = begin(turns, clock, plan)
    assert isinstance(begun, Begun)
    begun.end(clock.now())
    begun.lease.release()
    return begun


# The book ---------------------------------------------------------------------------------------------------------------


def test_a_turn_is_begun_once_and_whoever_comes_later_is_told_until_when(engine: Engine, clock: FakeClock) -> None:
    one, other = book(engine, clock), book(engine, clock)
    first = begin(one, clock)
    assert isinstance(first, Begun)
    assert begin(other, clock) == Elsewhere(clock.now() + timedelta(seconds=first.lease.seconds))
    first.end(clock.now())
    first.lease.release()
    assert begin(other, clock) == Settled(clock.now()), "the turn is done, whoever did it"
    clock.advance(3600)
    assert isinstance(begin(other, clock), Begun), "and the next one is another's to do"


def test_a_turn_that_ended_while_its_lease_was_asked_for_is_not_done_again(engine: Engine, clock: FakeClock) -> None:
    """Both looked, both saw it due; one was quicker, and gave the lease back before the other one asked for it."""
    slow = book(engine, clock)
    quick, asked = book(engine, clock), list[datetime]()

    def following(moment: datetime) -> datetime:
        return NEXT(moment)

    class Late(FakeClock):
        def now(self) -> datetime:
            if not asked:  # the first look of the slow one is over: the quick one does the turn now
                asked.append(clock.now())
                done(quick, clock)
            return clock.now()

    with engine.begin() as connection:
        connection.execute(text("DELETE FROM turn"))
    found = Turns(engine, clock, Late()).begin("pull west", "p", following, clock.now())
    assert found == Settled(clock.now())
    assert isinstance(begin(slow, clock), Settled)


def test_a_turn_whose_process_died_is_taken_over_when_its_lease_has_run_out(engine: Engine, clock: FakeClock) -> None:
    first = begin(book(engine, clock), clock)
    assert isinstance(first, Begun)
    clock.advance(first.lease.seconds - 0.001)
    assert isinstance(begin(book(engine, clock), clock), Elsewhere)
    clock.advance(0.001)
    assert isinstance(begin(book(engine, clock), clock), Begun)


def test_whoever_lost_a_turn_does_not_end_it_nor_do_what_belongs_to_its_end(engine: Engine, clock: FakeClock) -> None:
    """The fence: what is handed on with the end of a turn is handed on by one process."""
    first = begin(book(engine, clock), clock)
    assert isinstance(first, Begun)
    clock.advance(first.lease.seconds)
    second = begin(book(engine, clock), clock)
    assert isinstance(second, Begun)

    def within(connection: Connection) -> str:
        connection.execute(text("INSERT INTO schema_info (name, value) VALUES ('handed on', 'x')"))
        return "handed on"

    with pytest.raises(LeaseLost):
        first.end(clock.now(), within)
    assert not book(engine, clock).done({"pull west": "p"}), "it is open still"
    assert second.end(clock.now(), within) == "handed on", "and nothing was handed on before"


def test_what_fails_within_leaves_the_turn_open(engine: Engine, clock: FakeClock) -> None:
    first = begin(book(engine, clock), clock)
    assert isinstance(first, Begun)

    def within(_: Connection) -> str:
        raise KeyError

    with pytest.raises(KeyError):
        first.end(clock.now(), within)
    first.lease.release()
    assert isinstance(begin(book(engine, clock), clock), Begun)


def test_a_restart_knows_what_was_done_and_a_changed_job_has_its_turn(engine: Engine, clock: FakeClock) -> None:
    turns = book(engine, clock)
    assert turns.done({"pull west": "p"}) == {}
    done(turns, clock)
    assert turns.done({"pull west": "p"}) == {"pull west": clock.now()}
    assert turns.done({"pull west": "changed"}) == {}
    assert isinstance(begin(turns, clock, "changed"), Settled), "none was missed"
    changed = begin(turns, clock, "changed", anew=True)
    assert isinstance(changed, Begun)
    changed.end(clock.now())
    changed.lease.release()
    assert isinstance(begin(turns, clock, "changed", anew=True), Settled), "another process of the new kind did it"


def test_a_turn_that_was_left_open_is_not_done(engine: Engine, clock: FakeClock) -> None:
    turns = book(engine, clock)
    first = begin(turns, clock)
    assert isinstance(first, Begun)
    first.lease.release()
    assert turns.done({"pull west": "p"}) == {}
    assert isinstance(begin(turns, clock), Begun)


def test_a_turn_of_a_clock_that_was_wrong_silences_nothing(engine: Engine, clock: FakeClock) -> None:
    ahead = FakeClock(clock.now() + timedelta(days=1))
    done(Turns(engine, ahead, clock), ahead)
    assert book(engine, clock).done({"pull west": "p"}) == {}
    assert isinstance(begin(book(engine, clock), clock), Begun)


def test_clocks_that_differ_a_little_do_a_turn_once(engine: Engine, clock: FakeClock) -> None:
    ahead = FakeClock(clock.now() + SKEW - timedelta(seconds=1))
    done(Turns(engine, ahead, clock), ahead)
    assert isinstance(begin(book(engine, clock), clock), Settled)


# The timetable ----------------------------------------------------------------------------------------------------------


async def _here(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return function(*args, **options)


class Process:
    """One of several processes: a timetable on a clock that stands, of which one look at a time is taken."""

    def __init__(self, engine: Engine, clock: FakeClock, every: str = "1h") -> None:
        self.said: list[str] = []
        self.worked: list[datetime] = []
        self.clock = clock
        self.answer: Callable[[], Awaitable[str]] | None = None
        self.table = Timetable(
            say=lambda _, text: self.said.append(text), clock=clock, turns=book(engine, clock), aside=_here
        )
        self.table.add("pull west", every, self._work, plan="p")
        self._began = False

    async def _work(self) -> str:
        self.worked.append(self.clock.now())
        return await self.answer() if self.answer is not None else "done"

    async def look(self) -> datetime:
        """What is due now is done; returns when this process looks at its job again."""
        [job] = self.table.jobs
        if not self._began:
            self._began = True
            await self.table._remember()
            job.due = self.clock.now() if job.done_at is None else turns(job.every, "UTC", job.name)(job.done_at)
        working = set[asyncio.Task[None]]()
        self.table._look(self.zone, working, asyncio.Event())
        if working:
            await asyncio.wait(working)
        assert job.due is not None
        return job.due

    @property
    def zone(self) -> Any:
        from zoneinfo import ZoneInfo

        return ZoneInfo("UTC")


async def test_two_processes_do_each_turn_once(engine: Engine, clock: FakeClock) -> None:
    one, other = Process(engine, clock), Process(engine, clock)
    for number in range(8):
        for each in (one, other) if number < 4 else (other, one):
            await each.look()
        clock.advance(1800)
    assert (len(one.worked), len(other.worked)) == (2, 2), "at the start, then once an hour"
    assert not set(one.worked) & set(other.worked)


async def test_a_process_that_starts_again_does_not_begin_anew(engine: Engine, clock: FakeClock) -> None:
    await Process(engine, clock).look()
    clock.advance(60)
    again = Process(engine, clock)
    due = await again.look()
    assert not again.worked
    assert due > clock.now()
    clock.advance(5 * 3600)
    await again.look()
    assert len(again.worked) == 1, "five missed turns are made up for by one"


async def test_work_that_came_to_no_end_is_done_again_soon_and_said_once(engine: Engine, clock: FakeClock) -> None:
    one, other = Process(engine, clock), Process(engine, clock)

    async def busy() -> str:
        raise Unfinished("busy")

    one.answer = busy
    for _ in range(3):
        assert await one.look() == clock.now() + timedelta(seconds=AGAIN)
        clock.advance(AGAIN)
    assert one.said == ["busy"]
    await other.look()
    assert len(other.worked) == 1, "its turn is open for everybody"
    assert await one.look() > clock.now() + timedelta(seconds=AGAIN)
    assert one.said == ["busy"]


async def test_while_another_is_at_it_a_process_looks_again_before_and_right_after_its_lease_ends(
    engine: Engine, clock: FakeClock
) -> None:
    held = begin(book(engine, clock), clock)
    assert isinstance(held, Begun)
    one = Process(engine, clock)
    assert await one.look() == clock.now() + timedelta(seconds=AGAIN)
    clock.advance(held.lease.seconds - 2)
    free = clock.now() + timedelta(seconds=2)
    assert free < await one.look() < free + timedelta(seconds=1)
    assert not one.worked
    clock.advance(2.5)
    await one.look()
    assert len(one.worked) == 1
    assert one.said == ["another process is at it; if it dies, this one takes over", "done"]


async def test_what_a_process_did_before_it_died_is_not_done_again(engine: Engine, clock: FakeClock) -> None:
    """It was killed between the end of its work and that of its turn: the window would have been worked twice."""
    dead = begin(book(engine, clock), clock)
    assert isinstance(dead, Begun)
    assert dead.open_since is None
    began = clock.now()
    clock.advance(dead.lease.seconds)
    one, asked = Process(engine, clock), list[datetime]()
    left: str | None = None

    async def rest(since: datetime) -> str | None:
        asked.append(since)
        return left

    one.table.jobs[0].rest = rest

    async def stopped() -> str:
        raise Unfinished("stopped")

    one.answer = stopped
    await one.look()
    assert (asked, len(one.worked)) == ([began], 1), "it was not done"
    clock.advance(AGAIN)
    left = "done before"
    await one.look()
    assert (asked, len(one.worked)) == ([began, began], 1)
    assert one.said[-1] == "done before"
    clock.advance(3600)
    one.answer = None
    await one.look()
    assert (len(asked), len(one.worked)) == (2, 2), "the next turn is a new one"


async def test_a_process_that_takes_over_as_it_starts_leaves_out_no_turn(engine: Engine, clock: FakeClock) -> None:
    """A first turn stands for one that would follow at once; that of a dead process was due before, and stands for itself."""
    following = turns("1h", "UTC", "pull west")
    boundary = following(clock.now())
    clock.advance((boundary - clock.now()).total_seconds() - 600)
    dead = begin(book(engine, clock), clock)
    assert isinstance(dead, Begun)
    clock.advance(dead.lease.seconds)
    one = Process(engine, clock)
    assert await one.look() == boundary
    assert len(one.worked) == 1
    new = Process(engine, clock, "50m")
    new.table.jobs[0].name = "pull east"
    assert await new.look() == turns("50m", "UTC", "pull east")(clock.now() + timedelta(minutes=25)), (
        "the first turn does"
    )


async def test_a_failure_is_the_end_of_a_turn(engine: Engine, clock: FakeClock) -> None:
    """Else a platform that is down would be asked every five seconds."""
    one = Process(engine, clock)

    async def wrong() -> str:
        raise ValueError("no")

    one.answer = wrong
    assert await one.look() > clock.now() + timedelta(seconds=AGAIN)
    assert one.said[0].startswith("failed: ")


async def test_a_database_that_is_away_is_asked_again_soon(sqlite: Engine, clock: FakeClock) -> None:
    one = Process(sqlite, clock)
    with sqlite.begin() as connection:
        connection.execute(text("ALTER TABLE turn RENAME TO away"))
    for _ in range(2):
        assert await one.look() == clock.now() + timedelta(seconds=AGAIN)
        clock.advance(AGAIN)
    assert one.said == ["its turn waits for the database (OperationalError)"]
    with sqlite.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO turn"))
    await one.look()
    assert one.worked


async def test_what_came_due_while_an_interval_worked_is_done(engine: Engine, clock: FakeClock) -> None:
    one = Process(engine, clock)

    async def slow() -> str:
        clock.advance(3 * 3600)
        return "done"

    one.answer = slow
    assert await one.look() == NEXT(clock.now())
    assert isinstance(begin(book(engine, clock), clock), Settled), "for other processes, too"


def test_the_book_speaks_of_moments_in_utc(engine: Engine, clock: FakeClock) -> None:
    done(book(engine, clock), clock)
    assert book(engine, clock).done({"pull west": "p"})["pull west"].tzinfo == UTC
