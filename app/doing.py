"""What turns are made of: a whole pull of an instance, a whole run of a route. `run` does them itself, or its workers do."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ..config import Config
from ..connectors.credentials import credentials_print
from ..core import journal
from ..core.clock import Clock
from ..core.leases import Lease
from ..core.schedules import quiet_hours, quiet_until
from ..core.schema.database import was_lost
from ..core.schema.failures import DatabaseError
from ..sync.net import STOPPING, unforeseen
from ..sync.publish.outcome import RouteEnd
from ..sync.publish.publisher import Publisher
from ..sync.pull.run import Options, PullEnd, Puller
from ..sync.schedule import Unfinished
from .refreshing import SHARE, bring_up_to_date

_NO_END = {
    *(PullEnd.BUSY, PullEnd.LEASE_LOST, PullEnd.STOPPED),
    *(RouteEnd.BUSY, RouteEnd.LEASE_LOST, RouteEnd.STOPPED),
}


_TRIES, _PAUSE = 20, 0.25
"""So often, with so many seconds between, a pull asks whether it may bring the totals up to date."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A job of the timetable. `work` is `pull` or `publish`, `name` an instance or a route, `instance` the one whose hours count."""

    work: str
    name: str
    instance: str
    every: str
    plan: str
    """A digest of what it does by the configuration, which tells nothing of it."""

    @property
    def job(self) -> str:
        """How people and the database call it."""
        return f"{'route' if self.work == 'publish' else self.work} {self.name}"


def planned(config: Config, names: Sequence[str]) -> Iterator[Planned]:
    """The jobs of these instances and of the routes between them that have a timetable of their own."""
    secret = config.privacy.key.get_secret_value()
    for name in names:
        settings = config.instances[name]
        plan = _digest(credentials_print(settings, secret), settings.model_dump_json())
        yield Planned("pull", name, name, settings.every, plan)
    for name in routes_of(config, names):
        route = config.routes[name]
        if route.every is not None:
            yield Planned("publish", name, route.to.instance, route.every, _digest(route.model_dump_json()))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def routes_of(config: Config, names: Sequence[str]) -> list[str]:
    """The routes that run between these instances."""
    return [n for n, r in config.routes.items() if r.enabled and {r.source.instance, r.to.instance} <= set(names)]


def following(config: Config, names: Sequence[str], instance: str) -> list[str]:
    """The routes without a timetable of their own, which follow every pull of their origin."""
    routes = config.routes
    return [n for n in routes_of(config, names) if routes[n].every is None and routes[n].source.instance == instance]


def quiet(config: Config, instance: str, now: datetime) -> datetime | None:
    """Until when an instance is left alone; None where it may be asked now."""
    hours = [quiet_hours(each) for each in config.instances[instance].never_between]
    return quiet_until(hours, now, ZoneInfo(config.time_zone)) if hours else None


class Doing:
    """Whole pulls and whole runs of routes, told in a line each."""

    def __init__(
        self,
        config: Config,
        engine: Engine,
        clock: Clock,
        say: Callable[[str, str], None],
        lost: Callable[[], None],
    ) -> None:
        """`lost`: called where the file of the database was deleted or replaced."""
        self.config, self.engine, self.clock, self.say, self.lost = config, engine, clock, say, lost
        self._totals: asyncio.Task[None] | None = None
        self._wanted = ""

    async def pull(self, name: str, ending: asyncio.Event, puller: Puller | None = None) -> str:
        """Pull an instance; `ending`: after the page at hand.

        Raises:
            Unfinished: it came to no end, or somebody else is at it.
        """
        puller = puller or Puller(self.config, self.engine, self.clock, stop=ending)
        outcome = await puller.pull(name, Options())
        await self._still_there()
        if outcome.outcome is not PullEnd.BUSY:
            self._want_totals(name)
        written = outcome.written
        numbers = f"{written.created} new, {written.changed} changed, {outcome.gone} gone, {outcome.requests} requests"
        said = f"{outcome.outcome}: {numbers}" + (f"; {outcome.message}" if outcome.message else "")
        if outcome.outcome in _NO_END:
            raise Unfinished(said)
        return said

    def _want_totals(self, name: str) -> None:
        """Beside whatever comes next, once for all pulls that end meanwhile: a turn does not last until the totals of a process that died
        are free, or the next one would be taken for one that came while it lasted."""
        self._wanted = name
        if self._totals is None or self._totals.done():
            self._totals = asyncio.ensure_future(self._keep_totals())

    async def _keep_totals(self) -> None:
        while self._wanted:
            name, self._wanted = self._wanted, ""
            try:
                wrong = await self._bring_up_to_date()
            except STOPPING:
                raise
            except BaseException as error:  # whatever it is, pulls go on
                wrong = unforeseen(name, error)
            if wrong:
                self.say(name, wrong)

    async def settled(self) -> None:
        """Until the totals of all pulls are there; call it before the process, or the worker, ends."""
        if self._totals is not None:
            await asyncio.wait([self._totals])

    async def _bring_up_to_date(self) -> str | None:
        """The totals, by one at a time over all processes: two would write the same rows. Who finds no time leaves it to the next pull."""
        lease = Lease(self.engine, "totals")
        try:
            for _ in range(_TRIES):
                if await asyncio.to_thread(lease.take):
                    break
                await self.clock.sleep(_PAUSE)
            else:
                return None
            async with lease.kept():
                return await asyncio.to_thread(bring_up_to_date, self.engine, self.config.privacy.k, share=SHARE)
        except (DatabaseError, DBAPIError) as error:
            return f"the totals are those of before ({type(error).__name__})"

    async def was_pulled(self, name: str, since: datetime) -> bool:
        """Whether the newest pull of an instance began since a moment and came to its end."""
        last = await asyncio.to_thread(journal.last_run, self.engine, name)
        return last is not None and last["outcome"] == PullEnd.DONE and last["started_at"] >= since

    async def publish(self, name: str, ending: asyncio.Event, publisher: Publisher | None = None) -> str:
        """Run a route; `ending`: after the write at hand.

        Raises:
            Unfinished: it came to no end, or somebody else is at it.
        """
        publisher = publisher or Publisher(self.config, self.engine, self.clock, stop=ending)
        outcome = (await publisher.publish([name]))[0]
        await self._still_there()
        told = (
            f"wrote {sum(outcome.written.values())}" + (f" ({_numbers(outcome.written)})" if outcome.written else ""),
            f"all in all {_numbers(outcome.counts)}" if outcome.counts else "",
            outcome.message,
        )
        said = f"{outcome.outcome}: {'; '.join(each for each in told if each)}"
        if outcome.outcome in _NO_END:
            raise Unfinished(said)
        return said

    async def _still_there(self) -> None:
        """Over a file that was deleted nothing goes on: a new one in its place would look as if nothing had happened."""
        if await asyncio.to_thread(was_lost, self.engine):
            self.lost()


def _numbers(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {word.replace('_', ' ')}" for word, number in sorted(counts.items()))
