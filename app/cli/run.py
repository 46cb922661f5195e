"""`civicsync run`: pulls and routes kept going, unattended, in one process; stops cleanly on SIGTERM or Ctrl-C."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.text import Text
from sqlalchemy import Engine

from ...config import Config
from ...core.clock import Clock
from ...core.schema.database import still_there, was_lost
from ...sync.publish.publisher import Publisher
from ...sync.pull.run import Options, Puller
from ...sync.schedule import Timetable, Work
from ..refreshing import SHARE, bring_up_to_date
from ..stopping import stop_on_signals
from .common import chosen, configuration, database, fail, out


def run(
    instances: Annotated[list[str] | None, typer.Argument(help="Which instances; all if none is named.")] = None,
) -> None:
    """Keep pulls and routes going, each as often as `every` says, until SIGTERM or Ctrl-C."""
    config = configuration()
    names = chosen(config, instances)
    with database(config) as engine:
        lost = asyncio.run(_run(config, engine, names))
    if lost:
        fail(lost)


async def _run(config: Config, engine: Engine, names: Sequence[str]) -> str | None:
    """Runs until it is told to stop, or until its database is not there any more: why, then."""
    clock = Clock()
    stop = stop_on_signals(
        lambda: _say("civicsync", "stopping after the page or the write at hand"), at_once_on_second=False
    )
    worker = _Worker(config, engine, clock, stop)
    table = Timetable(config.time_zone, say=_say)
    routes = [n for n, r in config.routes.items() if r.enabled and {r.source.instance, r.to.instance} <= set(names)]
    for name in names:
        # A route without a timetable of its own follows every pull of its origin.
        following = [n for n in routes if config.routes[n].every is None and config.routes[n].source.instance == name]
        table.add(f"pull {name}", config.instances[name].every, worker.pull(name, following))
    for name in routes:
        every = config.routes[name].every
        if every is not None:
            table.add(f"route {name}", every, worker.publish(name))
    every = ", ".join(f"{job.name} ({job.every})" for job in table.jobs)
    _say("civicsync", f"running: {every}")
    await table.run(stop, clock.now())
    lost = await asyncio.to_thread(still_there, engine)
    if lost is None:
        _say("civicsync", "stopped; everything that was read and written is kept")
    return lost


class _Worker:
    """What the timetable does: whole runs, one at a time per target."""

    def __init__(self, config: Config, engine: Engine, clock: Clock, stop: asyncio.Event) -> None:
        self.config, self.engine, self.clock, self.stop = config, engine, clock, stop
        self._targets = {name: asyncio.Lock() for name in config.instances}

    def pull(self, name: str, following: Sequence[str]) -> Work:
        """Pull an instance, then run the routes that follow it."""

        async def work() -> str:
            outcome = await Puller(self.config, self.engine, self.clock, stop=self.stop).pull(name, Options())
            await self._still_there()
            wrong = await asyncio.to_thread(bring_up_to_date, self.engine, self.config.privacy.k, share=SHARE)
            if wrong:
                _say(name, wrong)
            written = outcome.written
            numbers = (
                f"{written.created} new, {written.changed} changed, {outcome.gone} gone, {outcome.requests} requests"
            )
            for route in following:
                if not self.stop.is_set():
                    _say(f"route {route}", await self.publish(route)())
            return f"{outcome.outcome}: {numbers}" + (f"; {outcome.message}" if outcome.message else "")

        return work

    async def _still_there(self) -> None:
        """Over a file that was deleted nothing goes on: a new one in its place would look as if nothing had happened."""
        if await asyncio.to_thread(was_lost, self.engine):
            self.stop.set()

    def publish(self, name: str) -> Work:
        """Run a route."""

        async def work() -> str:
            async with self._targets[self.config.routes[name].to.instance]:
                publisher = Publisher(self.config, self.engine, self.clock, stop=self.stop)
                outcome = (await publisher.publish([name]))[0]
            await self._still_there()
            told = (
                f"wrote {sum(outcome.written.values())}"
                + (f" ({_numbers(outcome.written)})" if outcome.written else ""),
                f"all in all {_numbers(outcome.counts)}" if outcome.counts else "",
                outcome.message,
            )
            return f"{outcome.outcome}: {'; '.join(each for each in told if each)}"

        return work


def _numbers(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {word.replace('_', ' ')}" for word, number in sorted(counts.items()))


def _say(name: str, text: str) -> None:
    out.print(Text(f"{Clock().now():%Y-%m-%d %H:%M:%S}Z {name}: {text}"), soft_wrap=True)
