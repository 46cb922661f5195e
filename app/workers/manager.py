"""Procrastinate's job manager, made safe for workers that stop, sleep and lose their database.

Three things are ours, because the engine leaves them to its users or does otherwise: a job is finished only by whoever has it (the engine
asks for its number alone, so a worker that slept would finish what its successor is doing); a database that is away is waited for, else
what ended meanwhile would count as under way for ever and block its host; and the jobs of dead workers are given to others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from procrastinate import exceptions
from procrastinate.connector import BaseConnector
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager, NotificationCallback

from ...core.worker_queue import ALIVE
from .queue import waits_already

PAUSE = 5.0
"""Seconds between two trials of a database that is away."""
_OURS = "id = %(job_id)s AND status = 'doing' AND attempts = %(attempts)s"
"""Whoever gives a job to somebody else counts its attempts up, so this is true for one holder only."""
_FINISH = f"DELETE FROM procrastinate_jobs WHERE {_OURS} RETURNING id"
_MOVE = (
    "UPDATE procrastinate_jobs SET status = 'todo', attempts = attempts + 1, worker_id = NULL, abort_requested = false, "
    "task_name = %(task)s, lock = %(lock)s, queueing_lock = %(queueing_lock)s, scheduled_at = %(at)s::timestamptz "
    f"WHERE {_OURS} RETURNING id"
)
_DEAD = (
    f"{_MOVE.rpartition(' RETURNING')[0]} AND NOT EXISTS (SELECT 1 FROM procrastinate_workers w WHERE w.id = worker_id "
    "AND w.last_heartbeat >= now() - make_interval(secs => %(alive)s)) RETURNING id"
)
_Found = TypeVar("_Found")


class FencedManager(JobManager):
    """The jobs of one worker, and of those that died."""

    def __init__(self, connector: BaseConnector, over: asyncio.Event, say: Callable[[str], None]) -> None:
        """`over`: set when this worker stops; then nothing is waited for any more. `say`: tells whoever watches."""
        super().__init__(connector)
        self._over, self._say = over, say
        self._away = False
        self.worker_id: int | None = None

    async def patiently(self, ask: Callable[[], Awaitable[_Found]]) -> _Found:
        """Ask the database until it answers, or this worker stops.

        Raises:
            ConnectorException: it does not answer, and there is no time to wait.
            UniqueViolation: what was written is there already.
        """
        while True:
            try:
                found = await ask()
            except exceptions.ConnectorException as error:
                if self._over.is_set() or not _away(error):
                    raise
                self._told(error)
                await asyncio.sleep(PAUSE)  # the process's own life
            else:
                self._away = False
                return found

    def _told(self, error: BaseException) -> None:
        if not self._away:
            self._say(f"the database does not answer ({type(error.__cause__ or error).__name__}); it is waited for")
        self._away = True

    # What the worker asks -----------------------------------------------------------------------------------------------

    async def register_worker(self) -> int:
        """Once at the start, and again where this worker was taken for dead."""
        self.worker_id = await super().register_worker()
        return self.worker_id

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """The next job; none while the database is away, so that the worker looks again."""
        try:
            found = await super().fetch_job(queues, self.worker_id if self.worker_id is not None else worker_id)
        except exceptions.ConnectorException as error:
            if isinstance(error.__cause__, psycopg.errors.ForeignKeyViolation):
                self._say("this worker gave no sign of life for so long that its jobs went to others; it begins again")
                await self.register_worker()
                return None
            self._told(error)
            return None
        self._away = False
        return found

    async def update_heartbeat(self, worker_id: int) -> None:
        """A sign of life; a database that is away gets the next one."""
        try:
            await super().update_heartbeat(self.worker_id if self.worker_id is not None else worker_id)
        except exceptions.ConnectorException as error:
            self._told(error)

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        """Hear of new jobs at once; without a database, when it is back."""
        while True:
            try:
                await super().listen_for_jobs(on_notification=on_notification, queues=queues)
            except exceptions.ConnectorException as error:
                self._told(error)
            await asyncio.sleep(PAUSE)  # the process's own life

    async def unregister_worker(self, worker_id: int) -> None:
        """At the end; where the database is away, the others see that this one is gone."""
        try:
            await super().unregister_worker(self.worker_id if self.worker_id is not None else worker_id)
        except exceptions.ConnectorException as error:
            self._told(error)

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """The job is done; nothing happens where somebody else has it by now. The journal of runs is kept elsewhere."""
        await self.patiently(lambda: self._all(_FINISH, job))

    # What is ours -------------------------------------------------------------------------------------------------------

    async def move(
        self, job: Job, task: str, *, lock: str | None, queueing_lock: str, at: datetime | None = None
    ) -> bool:
        """Put a job of ours back, as another task or at another time; False where somebody else has it by now.

        Where its like waits already, that one makes up for both.
        """
        told = {"task": task, "lock": lock, "queueing_lock": queueing_lock, "at": at}
        try:
            return bool(await self.patiently(lambda: self._all(_MOVE, job, **told)))
        except Exception as error:
            if not waits_already(error):
                raise
        return bool(await self.patiently(lambda: self._all(_FINISH, job)))

    async def queue(self, job: Job) -> bool:
        """Put a new job into the queue; False where its like waits already."""
        try:
            await self.patiently(lambda: self.defer_job_async(job))
        except Exception as error:
            if not waits_already(error):
                raise
            return False
        return True

    async def take_from_the_dead(self) -> list[Job]:
        """Give the jobs of workers that gave no sign of life to whoever asks next; returns them."""
        taken: list[Job] = []
        try:
            for job in await self.get_stalled_jobs(seconds_since_heartbeat=ALIVE):
                told = {"task": job.task_name, "lock": job.lock, "queueing_lock": job.queueing_lock, "at": None}
                try:
                    if await self._all(_DEAD, job, **told, alive=ALIVE):
                        taken.append(job)
                except Exception as error:
                    if not waits_already(error):
                        raise
                    await self._all(_FINISH, job)  # its next turn waits in the queue
        except exceptions.ConnectorException as error:
            self._told(error)
        return taken

    async def _all(self, query: Any, job: Job, **told: Any) -> list[dict[str, Any]]:
        return await self.connector.execute_query_all_async(query=query, job_id=job.id, attempts=job.attempts, **told)


def _away(error: exceptions.ConnectorException) -> bool:
    return not isinstance(error, exceptions.UniqueViolation) and not isinstance(
        error.__cause__, psycopg.errors.IntegrityError
    )
