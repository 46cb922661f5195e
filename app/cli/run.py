"""`civicsync run`: pulls and routes kept going, unattended, by one process, or by any number of them over one database.

SIGTERM or Ctrl-C stop it after the page or the write at hand; SIGHUP makes it read its configuration again, and go on with the one
of before where the new one is wrong. With `workers: true` it only says when, and `civicsync worker` does the work.
"""

import asyncio
import importlib.util
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.text import Text
from sqlalchemy import Engine

from ...config import Config
from ...core.clock import Clock
from ...core.leases import lease_seconds
from ...core.schema.database import was_lost
from ...core.schema.failures import DatabaseError
from ...core.turns import Turns, Within
from ...sync.schedule import AGAIN, Timetable, Unfinished
from ..doing import Doing, Planned, following, planned, quiet
from ..operations.alerts.alerter import Alerter
from ..operations.process import Process
from .common import EXIT_USAGE, chosen, configuration, database, fail, out
from .state import state


def run(
    instances: Annotated[list[str] | None, typer.Argument(help="Which instances; all if none is named.")] = None,
) -> None:
    """Keep pulls and routes going, each as often as `every` says, until SIGTERM or Ctrl-C; SIGHUP reads the configuration again."""
    config = configuration()
    chosen(config, instances)
    with database(config) as engine:
        if config.workers:
            prepared(engine)
        lost = asyncio.run(_Service(config, engine, instances or (), state.config_file, say).run())
    if lost:
        fail(lost)


class _Service(Process):
    """A timetable, made anew with each configuration."""

    async def work(self, stop: asyncio.Event, over: asyncio.Event) -> None:
        """By the timetable, until its time is over."""

        def lost() -> None:
            stop.set()
            over.set()

        hands = _Hands(self.config, self.names, Doing(self.config, self.engine, self.clock, say, lost))
        turns = Turns(self.engine, self.clock)

        def away() -> None:
            # Over a file that was deleted nothing goes on; a server that is away comes back.
            if was_lost(self.engine):
                lost()

        table = Timetable(self.config.time_zone, say=say, clock=self.clock, turns=turns, away=away)
        for each in planned(self.config, self.names):
            ending = asyncio.Event()
            table.add(
                each.job,
                each.every,
                partial(hands.do, each, ending),
                never_between=self.config.instances[each.instance].never_between,
                ending=ending,
                plan=each.plan,
                within=self._handing_on(each) if self.config.workers else None,
                rest=partial(hands.rest, each, ending) if each.work == "pull" and not self.config.workers else None,
            )
        say("civicsync", "running: " + ", ".join(f"{job.name} ({job.every})" for job in table.jobs))
        alerter = Alerter(self.config, self.engine, self.clock, self.config_file.resolve().parent, say)
        async with alerter.going(over, self.names):
            await table.run(over, self.clock.now())
            await hands.doing.settled()

    def _handing_on(self, planned: Planned) -> Within:
        from ..workers.queue import hand_on

        config = self.config
        return lambda connection: hand_on(connection, config, planned)


class _Hands:
    """Does the work in this process: whole runs, one at a time per target."""

    def __init__(self, config: Config, names: Sequence[str], doing: Doing) -> None:
        self.config, self.names, self.doing = config, names, doing
        self._targets = {name: asyncio.Lock() for name in config.instances}

    async def do(self, planned: Planned, ending: asyncio.Event) -> str:
        """One turn; `ending`: after the page or the write at hand."""
        if planned.work == "publish":
            return await self._publish(planned.name, ending)
        said = await self.doing.pull(planned.name, ending)
        await self._follow(planned, said, ending)
        return said

    async def rest(self, planned: Planned, ending: asyncio.Event, since: datetime) -> str | None:
        """What is left of a pull that a process ended, and then died before it could say so; None where it did not end it."""
        if not await self.doing.was_pulled(planned.name, since):
            return None
        said = "done by a process that died before it could say so"
        await self._follow(planned, said, ending)
        return said

    async def _follow(self, planned: Planned, said: str, ending: asyncio.Event) -> None:
        for route in following(self.config, self.names, planned.name):
            if ending.is_set():
                raise Unfinished(f"{said}; stopped before its routes")
            say(f"route {route}", self._quiet(route) or await self._patiently(route, ending))

    async def _publish(self, route: str, ending: asyncio.Event) -> str:
        async with self._targets[self.config.routes[route].to.instance]:
            return await self.doing.publish(route, ending)

    async def _patiently(self, route: str, ending: asyncio.Event) -> str:
        """A route that follows a pull: whoever died while writing to its target holds it up no longer than a lease lasts."""
        clock, patience = self.doing.clock, lease_seconds(self.doing.engine)
        until = clock.monotonic() + patience
        while True:
            try:
                return await self._publish(route, ending)
            except Unfinished as error:
                if ending.is_set():
                    raise
                if clock.monotonic() >= until:
                    return str(error)
            await clock.sleep(AGAIN)

    def _quiet(self, route: str) -> str:
        """Why nothing is written to a route's target now; empty where it may be."""
        target = self.config.routes[route].to.instance
        until = quiet(self.config, target, self.doing.clock.now())
        if until is None:
            return ""
        return f"quiet hours of {target} until {until.astimezone(ZoneInfo(self.config.time_zone)):%H:%M}; it comes after a pull then"


def prepared(engine: Engine) -> None:
    """The queue of the workers, made or brought up to date; or the end with a reason."""
    if engine.dialect.name == "sqlite":
        fail(
            f"{state.config_file}: `workers: true` needs PostgreSQL, and `database:` is a SQLite file; move it (civicsync database move)",
            EXIT_USAGE,
        )
    if importlib.util.find_spec("procrastinate") is None:
        fail(f"{state.config_file}: `workers: true` needs an extra; install civicsync[workers]", EXIT_USAGE)
    from ..workers.queue import prepare

    try:
        prepare(engine)
    except DatabaseError as error:
        fail(str(error))


def say(name: str, text: str) -> None:
    """A line with the moment, for whoever watches."""
    out.print(Text(f"{Clock().now():%Y-%m-%d %H:%M:%S}Z {name}: {text}"), soft_wrap=True)
