"""The clock: pulls and routes kept going in one process, for as long as it runs. APScheduler wakes it; what is due it decides itself.

Jobs are made from the configuration at every start and live in memory; which of their turns are done is in the database (`core.turns`),
so that several processes share them. One run per job at a time, and each on its own: none waits for another. When a turn is due follows
from the schedule, the name and the time alone, so that it is the same after a restart and in every process. Missed turns, of a machine that
slept or of work that took longer, are made up for by one; quiet hours move turns to their end; a stop waits for the page or the write at
hand.
"""

import asyncio
import contextlib
import hashlib
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy.exc import SQLAlchemyError

from ..core.clock import Clock
from ..core.durations import seconds
from ..core.leases import LeaseLost
from ..core.schedules import cron_line, quiet_hours, quiet_until
from ..core.schema.failures import DatabaseError
from ..core.turns import Begun, Elsewhere, Settled, Turns, Within
from .net import STOPPING, unforeseen

SPREAD = 30.0
"""Seconds within which turns of one moment begin, each job at its own, so that not everything is asked for at once."""
LOOK = 30.0
"""At least so often the clock on the wall is looked at: a timer stands still while a machine sleeps, and misses when a clock is set."""
AGAIN = 5.0
"""Seconds until a turn is looked at again that another process is at, or that came to no end."""
Work = Callable[[], Awaitable[str]]
Rest = Callable[[datetime], Awaitable[str | None]]
"""Given when a turn was begun: does what is left of it, and returns what to say; None where all of it is to be done."""
Said = Callable[[str, str], None]
Aside = Callable[..., Awaitable[Any]]


class Unfinished(Exception):
    """Raised by work that came to no end, with what to say of it: somebody else was at it, or it was stopped. Its turn is not done."""


@dataclass(slots=True)
class Scheduled:
    """One thing that is done again and again."""

    name: str
    every: str
    work: Work
    never_between: Sequence[str] = ()
    """Hours in which it is not done, as in the configuration."""
    ending: asyncio.Event | None = None
    """Set while its work shall come to an end (quiet hours, or a stop); cleared before its next turn."""
    done_at: datetime | None = None
    """When it was last done before this process, if that counts; else its first turn is now."""
    running: bool = False
    last: str = ""
    times: int = 0
    due: datetime | None = None
    """Its next turn, in UTC."""
    put_off: bool = False
    """Its turn waits for the end of quiet hours."""
    plan: str = ""
    """A digest of what it does by the configuration."""
    within: Within | None = None
    """What is done instead of `work`, in the transaction that ends the turn: then either both happened or neither."""
    rest: Rest | None = None
    """Of a turn that another process began and did not end: what is left of it, where the work itself was done."""
    waits: bool = False
    """That its turn came to no end was said already."""


@dataclass
class Timetable:
    """Runs jobs until it is told to stop."""

    zone: str = "UTC"
    jobs: list[Scheduled] = field(default_factory=list[Scheduled])
    say: Said = lambda _name, _text: None
    clock: Clock = field(default_factory=Clock)
    turns: Turns | None = None
    """Where it is kept which turns are done; without it nobody else knows."""
    away: Callable[[], None] = lambda: None
    """Called where the database did not answer a turn: whoever runs the timetable knows whether it will come back."""
    aside: Aside = asyncio.to_thread
    """Runs what blocks outside the event loop."""
    _looked: datetime | None = None

    def add(
        self,
        name: str,
        every: str,
        work: Work,
        *,
        never_between: Sequence[str] = (),
        ending: asyncio.Event | None = None,
        done_at: datetime | None = None,
        plan: str = "",
        within: Within | None = None,
        rest: Rest | None = None,
    ) -> None:
        """One more job. `never_between`, `ending`, `done_at`, `plan`, `within` and `rest` (need `turns`): as in `Scheduled`."""
        self.jobs.append(
            Scheduled(name, every, work, never_between, ending, done_at, plan=plan, within=within, rest=rest)
        )

    async def run(self, stop: asyncio.Event, now: datetime) -> None:
        """At the start what was never done, came to no end, missed a turn or does something else now; then by the timetable.

        Returns when all work has ended.
        """
        zone = ZoneInfo(self.zone)
        await self._remember()
        for job in self.jobs:
            turn = turns(job.every, self.zone, job.name)
            job.due = now if job.done_at is None else turn(job.done_at)
        changed = asyncio.Event()
        working = set[asyncio.Task[None]]()
        # A clock that is not the machine's wakes whoever sleeps on it: days pass in seconds then, of which no timer knows.
        alarm = _Alarm(changed) if type(self.clock) is Clock else None
        try:
            while not stop.is_set():
                changed.clear()
                soonest = self._look(zone, working, changed)
                await self._wait(soonest, stop, changed, alarm)
        finally:
            for job in self.jobs:
                if job.ending is not None:
                    job.ending.set()
            if working:
                await asyncio.wait(working)
            if alarm is not None:
                await alarm.close()

    async def _remember(self) -> None:
        """What was done before this process, or by another one."""
        if self.turns is None:
            return
        try:
            done = await self.aside(self.turns.done, {job.name: job.plan for job in self.jobs})
        except (SQLAlchemyError, DatabaseError):
            return  # each turn asks again before it begins
        for job in self.jobs:
            job.done_at = done.get(job.name)

    def _look(self, zone: ZoneInfo, working: set[asyncio.Task[None]], changed: asyncio.Event) -> datetime:
        """Begin what is due; returns when the next turn is."""
        now = self.clock.now()
        if self._looked is not None and now < self._looked - timedelta(seconds=LOOK):
            self._plan_again(now)
        self._looked = now
        soonest = now + timedelta(seconds=LOOK)
        for job in self.jobs:
            assert job.due is not None
            if job.running:
                if job.ending is not None and not job.ending.is_set() and self._quiet(job, now, zone) is not None:
                    self.say(job.name, "quiet hours begin; it ends after the page or the write at hand")
                    job.ending.set()
            elif job.due <= now:
                until = self._quiet(job, now, zone)
                if until is None:
                    self._begin(job, now, working, changed)
                else:
                    if not job.put_off:
                        self.say(job.name, f"quiet hours; its turn comes after {until.astimezone(zone):%H:%M}")
                    job.due, job.put_off = until + spread(job.name), True
            soonest = soonest if job.running else min(soonest, job.due)
        return soonest

    def _plan_again(self, now: datetime) -> None:
        """The clock was put back: what was planned by the wrong one would wait until it is right again."""
        for job in self.jobs:
            if job.due is not None and not job.put_off:
                job.due = min(job.due, turns(job.every, self.zone, job.name)(now))

    def _begin(self, job: Scheduled, now: datetime, working: set[asyncio.Task[None]], changed: asyncio.Event) -> None:
        first = job.times == 0 and job.done_at is None
        done_until = now
        if _is_cron(job.every):
            done_until += spread(job.name)  # its turn of this very minute is this one
        elif first:
            # After the start of the process the rhythm of the schedule begins; a turn that would follow at once is left out.
            done_until += timedelta(seconds=seconds(job.every) / 2)
        job.due, job.put_off, job.running = turns(job.every, self.zone, job.name)(done_until), False, True
        if job.ending is not None:
            job.ending.clear()
        task = asyncio.ensure_future(
            self._turn(job) if self.turns is None else self._shared(job, self.turns, done_until)
        )
        working.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            working.discard(done)
            changed.set()

        task.add_done_callback(ended)

    async def _wait(self, until: datetime, stop: asyncio.Event, changed: asyncio.Event, alarm: "_Alarm | None") -> None:
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(each.wait()) for each in (stop, changed)]
        if alarm is not None:
            alarm.ring_at(until)
        else:
            pause = max(0.0, (until - self.clock.now()).total_seconds())
            waits.append(asyncio.ensure_future(self.clock.sleep(pause)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*waits, return_exceptions=True)

    async def _turn(self, job: Scheduled) -> None:
        try:
            job.last = await job.work()
        except STOPPING:
            raise
        except Unfinished as error:
            job.last = str(error)
        except BaseException as error:  # one instance's trouble must not end the others' turns
            job.last = f"failed: {unforeseen(job.name, error)}"
        finally:
            job.running = False
            job.times += 1
            if not _is_cron(job.every):
                # What came due while it worked is done; else a pull longer than its interval would never leave its platform alone.
                now = self.clock.now()
                if job.due is not None and job.due <= now:
                    job.due = turns(job.every, self.zone, job.name)(now)
        self.say(job.name, job.last)

    async def _shared(self, job: Scheduled, book: Turns, up_to: datetime) -> None:
        """One turn, unless another process has done it or is at it; whatever comes to no end is looked at again soon."""
        following = turns(job.every, self.zone, job.name)
        anew = job.times == 0 and job.done_at is None
        again: datetime | None = None
        try:
            found = await self.aside(book.begin, job.name, job.plan, following, up_to, anew=anew)
            match found:
                case Settled():
                    job.due, job.done_at, job.waits = following(found.up_to), found.up_to, False
                case Elsewhere():
                    again = found.until
                    raise Unfinished("another process is at it; if it dies, this one takes over")
                case Begun():
                    if found.open_since is not None and not _is_cron(job.every):
                        # It was due before this process began, whose own rhythm leaves out no turn after it.
                        up_to = self.clock.now()
                    async with found.lease.kept():
                        await self._own(job, found, up_to)
                case _:
                    raise AssertionError(found)
        except STOPPING:
            raise
        except (Unfinished, LeaseLost) as error:
            self._wait_again(job, str(error), again)
        except (SQLAlchemyError, DatabaseError) as error:
            self._wait_again(job, f"its turn waits for the database ({type(error).__name__})", None)
            self.away()
        finally:
            job.running = False

    async def _own(self, job: Scheduled, begun: Begun, up_to: datetime) -> None:
        try:
            left = await job.rest(begun.open_since) if job.rest is not None and begun.open_since is not None else None
            if left is not None:
                job.last = left
            else:
                job.last = "" if job.within is not None else await job.work()
        except (*STOPPING, Unfinished):
            raise
        except BaseException as error:  # one instance's trouble must not end the others' turns
            job.last = f"failed: {unforeseen(job.name, error)}"
        if not _is_cron(job.every):
            up_to = max(up_to, self.clock.now())  # what came due while it worked is done, as above
        said = await self.aside(begun.end, up_to, job.within)
        job.due, job.waits = turns(job.every, self.zone, job.name)(up_to), False
        job.times += 1
        job.last = job.last or said
        self.say(job.name, job.last)

    def _wait_again(self, job: Scheduled, why: str, free: datetime | None) -> None:
        now = self.clock.now()
        soon = now + timedelta(seconds=AGAIN)
        # A moment after the lease of a dead process has run out, not before.
        job.due = soon if free is None else min(soon, max(free, now) + timedelta(milliseconds=100))
        if not job.waits:
            self.say(job.name, why)
        job.waits = True

    @staticmethod
    def _quiet(job: Scheduled, now: datetime, zone: ZoneInfo) -> datetime | None:
        return quiet_until([quiet_hours(each) for each in job.never_between], now, zone) if job.never_between else None


class _Alarm:
    """APScheduler as the alarm clock of a timetable: it rings (sets an event) at one moment at a time."""

    def __init__(self, rung: asyncio.Event) -> None:
        self._rung = rung
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True})
        self._scheduler.start()

    def ring_at(self, moment: datetime) -> None:
        """Ring then, and not at the moment that was asked for before; at once, if that moment is past."""
        self._scheduler.add_job(self._ring, "date", run_date=moment, id="next", replace_existing=True)

    async def _ring(self) -> None:
        self._rung.set()

    async def close(self) -> None:
        """Ring no more."""
        self._scheduler.shutdown(wait=False)
        await asyncio.sleep(0)


def turns(every: str, zone: str, name: str = "") -> Callable[[datetime], datetime]:
    """What tells the first turn of a schedule after a moment, in UTC.

    A cron line's turns are at its minutes in the named time zone, each job's by up to half a minute later; an interval's are that long
    apart whatever clocks say, each job's at its own place within it. The place follows from the name.
    """
    line = cron_line(every)
    if line is not None:
        shift, there = spread(name), ZoneInfo(zone)
        return lambda moment: line.after(moment - shift, there) + shift
    step = round(seconds(every))
    phase = int(_share(name) * step)

    def after(moment: datetime) -> datetime:
        passed = (math.floor(moment.timestamp()) - phase) // step + 1
        return datetime.fromtimestamp(passed * step + phase, UTC)

    return after


def spread(name: str) -> timedelta:
    """By how much later than others of the same moment a job begins."""
    return timedelta(seconds=round(_share(name) * SPREAD)) if name else timedelta()


def _is_cron(every: str) -> bool:
    return cron_line(every) is not None


def _share(name: str) -> float:
    """0 to 1: the same for a name in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48 if name else 0.0
