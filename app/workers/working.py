"""A worker: takes jobs from the queue, a few at a time, does each as `civicsync run` would, and looks after the jobs of dead workers.

Told to stop, it ends each job after the page or the write at hand and gives it back. Where another worker has a job by now, nothing of
what this one still does with it is written: pulls and runs have fenced leases, and the queue is fenced as well.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
from procrastinate import App, exceptions
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job
from procrastinate.psycopg_connector import PsycopgConnector
from procrastinate.worker import Worker
from sqlalchemy import Engine

from ...config import Config
from ...core import events
from ...core.leases import lease_seconds
from ...sync.net import STOPPING, unforeseen
from ...sync.schedule import Unfinished, spread
from ..doing import Doing, following, quiet
from ..operations.process import Process, Say
from .hosts import HostPublisher, HostPuller, Hosts, HostsTaken, hosts_of
from .manager import PAUSE, FencedManager
from .queue import DO, LATER, QUEUE, connecting, job_of, lock_of

HEARTBEAT = 5.0
"""Seconds between two signs of life, and between two looks for workers that give none."""
POLL = 5.0
"""Seconds between two looks for jobs that nobody told of: given back, put off, or waiting for their host."""
_PRUNED = 600.0
"""Seconds without a sign of life after which the engine forgets a worker."""
_NEVER = 1e6
GIVES_WAY = 15.0
"""Seconds until a job is tried again whose host was not free for as long as a lease lasts."""
_POOL = 3


class WorkerProcess(Process):
    """`civicsync worker`: one engine worker at a time, made anew with each configuration."""

    def __init__(
        self, config: Config, engine: Engine, config_file: Path, say: Say, concurrency: int, listen: str | None
    ) -> None:
        """`concurrency`: so many jobs at once. `listen`: instead of what the configuration says."""
        super().__init__(config, engine, (), config_file, say)
        self.concurrency = concurrency
        self._listen = listen

    @property
    def listen(self) -> str:
        return self._listen or super().listen

    async def work(self, stop: asyncio.Event, over: asyncio.Event) -> None:
        """Until its time is over; a database that is away when it begins is waited for."""
        self.say("worker", f"working, up to {self.concurrency} at once")
        while not over.is_set():
            hands = _Hands(self, over)
            try:
                await hands.work()
            except (exceptions.ConnectorException, psycopg.Error, OSError) as error:
                if not over.is_set():
                    self.say("worker", f"the database does not answer ({type(error).__name__}); it is tried again")
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(over.wait(), PAUSE)


class _Hands:
    """One engine worker and the jobs that it has."""

    def __init__(self, process: WorkerProcess, over: asyncio.Event) -> None:
        self.process, self.over = process, over
        self.config, self.engine, self.clock, self.say = process.config, process.engine, process.clock, process.say
        self._names: Sequence[str] = list(process.config.instances)
        self._endings: set[asyncio.Event] = set()
        self.doing = Doing(self.config, self.engine, self.clock, self.say, lambda: None)
        connector = PsycopgConnector(
            kwargs=connecting(self.engine.url), min_size=1, max_size=_POOL, timeout=30.0, name="civicsync-queue"
        )
        self.manager = FencedManager(connector, over, lambda text: self.say("worker", text))
        self.app = App(connector=connector)
        self.app.job_manager = self.manager
        self.app.task(name=DO, pass_context=True, queue=QUEUE)(self._do)
        self.app.task(name=LATER, pass_context=True, queue=QUEUE)(self._now)

    async def work(self) -> None:
        """Until the time is over and all jobs have ended.

        Raises:
            ConnectorException: the database is away.
        """
        async with self.app.open_async():
            worker = Worker(
                self.app,
                queues=[QUEUE],
                name="civicsync",
                concurrency=self.process.concurrency,
                fetch_job_polling_interval=POLL,
                listen_notify=True,
                delete_jobs="always",
                install_signal_handlers=False,
                # Its own signs of life end when it is told to stop, long before the last job may have ended.
                update_heartbeat_interval=_NEVER,
                abort_job_polling_interval=_NEVER,
                stalled_worker_timeout=_PRUNED,
            )
            working = asyncio.ensure_future(worker.run())
            beside = [asyncio.ensure_future(each) for each in (self._live(), self._look_after_the_dead())]
            ending = asyncio.ensure_future(self.over.wait())
            try:
                await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
                for each in self._endings:
                    each.set()
                worker.stop()
                await working
                await self.doing.settled()
            finally:
                for each in (*beside, ending):
                    each.cancel()
                await asyncio.wait([*beside, ending])

    async def _live(self) -> None:
        """Signs of life until the last job has ended."""
        while True:
            await asyncio.sleep(HEARTBEAT)  # the process's own life
            if self.manager.worker_id is not None:
                await self.manager.update_heartbeat(self.manager.worker_id)

    async def _look_after_the_dead(self) -> None:
        while True:
            for job in await self.manager.take_from_the_dead():
                self.say(_told(job), "its worker gave no sign of life; another one takes it over")
                events.emit(events.Warned(str(job.task_kwargs.get("name", "")), "worker_dead"))
            await asyncio.sleep(HEARTBEAT)  # the process's own life

    # Jobs ---------------------------------------------------------------------------------------------------------------

    async def _now(self, context: JobContext, work: str, name: str) -> None:
        """The hour of a job that was put off has come."""
        if self._known(work, name):
            await self.manager.move(
                context.job, DO, lock=lock_of(self.config, work, name), queueing_lock=f"{work} {name}"
            )

    async def _do(self, context: JobContext, work: str, name: str) -> None:
        """One turn: a pull of an instance, or a run of a route."""
        job, ending = context.job, asyncio.Event()
        if not self._known(work, name):
            return
        self._endings.add(ending)
        if self.over.is_set():
            ending.set()
        try:
            await self._turn(job, work, name, ending)
        except STOPPING:
            raise
        except exceptions.ConnectorException:
            raise  # the database is away and this worker stops: the others see that, and do the job
        except BaseException as error:  # whatever one job does, the others go on
            self.say(_told(job), f"failed: {unforeseen(_told(job), error)}")
        finally:
            self._endings.discard(ending)

    def _known(self, work: str, name: str) -> bool:
        known = self._names if work == "pull" else [n for n, r in self.config.routes.items() if r.enabled]
        if name not in known:
            self.say(
                f"{work} {name}",
                "it is not in this worker's configuration, so it was not done: have all machines the same file?",
            )
            events.emit(events.Warned(name if work == "pull" else "", "unknown_job"))
        return name in known

    async def _turn(self, job: Job, work: str, name: str, ending: asyncio.Event) -> None:
        instance = name if work == "pull" else self.config.routes[name].to.instance
        until = quiet(self.config, instance, self.clock.now())
        if until is not None:
            await self._later(job, until + spread(_told(job)), f"quiet hours of {instance}")
            return
        hosts = Hosts(self.engine, hosts_of(self.config, work, name), self.clock)
        try:
            async with hosts.kept(lease_seconds(self.engine) + PAUSE, ending):
                watching = asyncio.ensure_future(self._end_in_quiet_hours(instance, ending))
                try:
                    said = await self._work(work, name, ending, hosts)
                finally:
                    watching.cancel()
        except HostsTaken as error:
            await self._not_done(job, f"its host is asked by another worker ({error})", ending, GIVES_WAY)
        except Unfinished as error:
            until = quiet(self.config, instance, self.clock.now())
            if until is None or self.over.is_set():
                await self._not_done(job, str(error), ending, PAUSE)
            else:
                await self._later(job, until + spread(_told(job)), str(error))
        else:
            self.say(_told(job), said)
            if work == "pull":
                for route in following(self.config, self._names, name):
                    await self.manager.queue(job_of(self.config, "publish", route))

    async def _work(self, work: str, name: str, ending: asyncio.Event, hosts: Hosts) -> str:
        if work == "pull":
            puller = HostPuller(self.config, self.engine, self.clock, stop=ending)
            puller.hosts = hosts
            return await self.doing.pull(name, ending, puller)
        publisher = HostPublisher(self.config, self.engine, self.clock, stop=ending)
        publisher.hosts = hosts
        return await self.doing.publish(name, ending, publisher)

    async def _end_in_quiet_hours(self, instance: str, ending: asyncio.Event) -> None:
        while quiet(self.config, instance, self.clock.now()) is None:
            await self.clock.sleep(30.0)
        ending.set()

    async def _not_done(self, job: Job, why: str, ending: asyncio.Event, pause: float) -> None:
        """Give it back at once where this worker stops, else try again after a while."""
        if not self.over.is_set():
            await self._later(job, self.clock.now() + timedelta(seconds=pause), why)
        elif await self.manager.move(job, DO, lock=job.lock, queueing_lock=_queueing(job)):
            self.say(_told(job), f"given back: {why}")

    async def _later(self, job: Job, at: datetime, why: str) -> None:
        """Without its lock: what waits for its hour would hold up every other job of the host."""
        if await self.manager.move(job, LATER, lock=None, queueing_lock=f"later {_queueing(job)}", at=at):
            self.say(_told(job), f"{why}; it comes again at {at:%H:%M:%S} UTC")
        else:
            self.say(_told(job), f"{why}; another worker has it now")


def _queueing(job: Job) -> str:
    return f"{job.task_kwargs['work']} {job.task_kwargs['name']}"


def _told(job: Job) -> str:
    """A job as people call it."""
    work, name = str(job.task_kwargs.get("work", "")), str(job.task_kwargs.get("name", ""))
    return f"{'route' if work == 'publish' else work} {name}"
