"""The clock: pulls and routes kept going by APScheduler in one process, for as long as it runs.

Jobs are made from the configuration at every start and live in memory; what was done is in the database. One run per instance at a
time, missed turns are made up for by one, starts are spread a little, and a stop waits for the page or the write at hand.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from ..core.durations import cron_fields, seconds
from .net import STOPPING, unforeseen

JITTER_SHARE = 0.1
MAX_JITTER = 60.0
Work = Callable[[], Awaitable[str]]
Said = Callable[[str, str], None]


@dataclass(slots=True)
class Scheduled:
    """One thing that is done again and again."""

    name: str
    every: str
    work: Work
    running: bool = False
    last: str = ""
    times: int = 0


@dataclass
class Timetable:
    """Runs jobs until it is told to stop."""

    zone: str = "UTC"
    jobs: list[Scheduled] = field(default_factory=list[Scheduled])
    say: Said = lambda _name, _text: None

    def add(self, name: str, every: str, work: Work) -> None:
        """One more job."""
        self.jobs.append(Scheduled(name, every, work))

    async def run(self, stop: asyncio.Event, now: datetime) -> None:
        """Everything once at the start, one after the other per job, then by the timetable; returns when all work has ended."""
        scheduler = AsyncIOScheduler(timezone=ZoneInfo(self.zone))
        for job in self.jobs:
            scheduler.add_job(
                self._turn,
                trigger_of(job.every, self.zone),
                args=[job],
                id=job.name,
                next_run_time=now,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
        scheduler.start()
        try:
            await stop.wait()
        finally:
            scheduler.pause()
            while any(job.running for job in self.jobs):
                await asyncio.sleep(0.05)  # the process's own life: the runs see `stop` themselves
            scheduler.shutdown(wait=False)
            await asyncio.sleep(0)

    async def _turn(self, job: Scheduled) -> None:
        job.running = True
        try:
            job.last = await job.work()
        except STOPPING:
            raise
        except BaseException as error:  # one instance's trouble must not end the others' turns
            job.last = f"failed: {unforeseen(job.name, error)}"
        finally:
            job.running = False
            job.times += 1
        self.say(job.name, job.last)


def trigger_of(every: str, zone: str) -> Any:
    """The trigger of an interval (`15m`) or a cron line (`30 2 * * mon-fri`, in the named time zone)."""
    cron = cron_fields(every)
    if cron is not None:
        return CronTrigger(**cron, timezone=ZoneInfo(zone))
    wait = seconds(every)
    return IntervalTrigger(seconds=round(wait), jitter=round(min(MAX_JITTER, wait * JITTER_SHARE)))
