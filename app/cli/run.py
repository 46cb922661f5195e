"""`civicsync run`: pulls and routes kept going, unattended, in one process.

SIGTERM or Ctrl-C stop it after the page or the write at hand; SIGHUP makes it read its configuration again, and go on with the one
of before where the new one is wrong.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from importlib.metadata import version
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.text import Text
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ...config import Config, ConfigError, load
from ...core import events
from ...core.clock import Clock
from ...core.fingerprints import OtherKey, check_fingerprint
from ...core.privacy import MissingKeyError, check_chosen_key
from ...core.schedules import quiet_hours, quiet_until
from ...core.schema.database import still_there, was_lost
from ...core.vitals import look
from ...sync.publish.publisher import Publisher
from ...sync.pull.run import Options, Puller
from ...sync.schedule import Timetable, Work
from ..operations.health import Health, asking
from ..operations.metrics import Metrics
from ..operations.notify import Notifier
from ..operations.server import serving
from ..refreshing import SHARE, bring_up_to_date
from ..stopping import stop_on_signals
from .common import chosen, configuration, database, fail, out
from .state import state

_BEAT = 5.0
"""Seconds between two signs of life of the loop."""


def run(
    instances: Annotated[list[str] | None, typer.Argument(help="Which instances; all if none is named.")] = None,
) -> None:
    """Keep pulls and routes going, each as often as `every` says, until SIGTERM or Ctrl-C; SIGHUP reads the configuration again."""
    config = configuration()
    chosen(config, instances)
    with database(config) as engine:
        lost = asyncio.run(_Service(config, engine, instances or ()).run())
    if lost:
        fail(lost)


class _NotNow(Exception):
    """A configuration that is right, and that a running process cannot take up."""


class _Service:
    """The process: one timetable at a time, made anew with each configuration, and what an operator sees of it."""

    def __init__(self, config: Config, engine: Engine, wanted: Sequence[str]) -> None:
        self.config, self.engine, self.wanted = config, engine, wanted
        self.clock = Clock()
        self.notifier = Notifier()
        self.health = Health(self.clock, asking(engine))
        self.metrics = Metrics(self.clock, version("civicsync"), lambda: look(engine, self.names, self.clock.now()))
        self.metrics.ready = lambda: not self.health.unready()
        self._served = contextlib.ExitStack()
        self._listening = "off"
        self._done: dict[str, datetime] = {}
        """When each job was last done to its end in this process."""

    @property
    def names(self) -> list[str]:
        """The instances that this process works for."""
        return list(dict.fromkeys(self.wanted or self.config.instances))

    async def run(self) -> str | None:
        """Runs until it is told to stop, or until its database is not there any more: why, then."""
        stop = stop_on_signals(self._stopping, at_once_on_second=False)
        again = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again.set)
        beating = asyncio.ensure_future(self._beat())
        try:
            with events.listen(self.metrics.tell):
                while not stop.is_set():
                    self._serve()
                    await self._one_configuration(stop, again)
        finally:
            beating.cancel()
            self._served.close()
        lost = await asyncio.to_thread(still_there, self.engine)
        if lost is None:
            _say("civicsync", "stopped; everything that was read and written is kept")
        return lost

    async def _one_configuration(self, stop: asyncio.Event, again: asyncio.Event) -> None:
        """Work as the configuration says, until the process shall stop or there is another one, which is right."""
        over = asyncio.Event()
        table = self._timetable(stop, over)
        _say("civicsync", "running: " + ", ".join(f"{job.name} ({job.every})" for job in table.jobs))
        working = asyncio.ensure_future(table.run(over, self.clock.now()))
        self.health.started = True
        self.notifier.ready(f"{len(self.names)} instances, {len(self.config.routes)} routes")
        try:
            while await _first(stop, again, working):
                again.clear()
                self.notifier.reloading()
                new = await asyncio.to_thread(self._read_again)
                self.metrics.reload_failed = new is None
                if new is not None:
                    self._take_up(new)
                    return
                self.notifier.ready("the new configuration is wrong; the one of before is in use")
        finally:
            over.set()
            await working

    def _take_up(self, new: Config) -> None:
        """What is configured otherwise has its turn at once, to be seen; all else when its schedule says."""
        for kind, before, after in (
            ("pull", self.config.instances, new.instances),
            ("route", self.config.routes, new.routes),
        ):
            for name, block in after.items():
                if before.get(name) != block:
                    self._done.pop(f"{kind} {name}", None)
        self.config, self.metrics.loaded = new, self.clock.now()

    def _read_again(self) -> Config | None:
        """The configuration as its file is now; None where it is wrong, and then it was said why. Blocks."""
        try:
            new = load(state.config_file, only=self.wanted)
            check_chosen_key(new.privacy.key.get_secret_value())
            if new.database != self.config.database:
                raise _NotNow("another `database:` needs a restart")
            if missing := sorted(set(self.wanted) - set(new.instances)):
                raise _NotNow(f"{', '.join(missing)}: named when this process began, and not there any more")
            check_fingerprint(self.engine, new.privacy.key.get_secret_value(), new.privacy.signing_key)
        except ConfigError as error:
            wrong = error.lines()
        except (_NotNow, MissingKeyError, OtherKey, OSError) as error:
            wrong = [f"{state.config_file}: {error}"]
        except SQLAlchemyError as error:
            wrong = [
                f"the database does not answer ({type(error).__name__}), so the key cannot be compared; send SIGHUP again later"
            ]
        else:
            _say("civicsync", f"{state.config_file} was read again and is in use")
            return new
        for line in wrong:
            _say("civicsync", line)
        _say("civicsync", "the configuration was not changed: the one of before is still in use")
        events.emit(events.Warned("", "configuration_wrong"))
        return None

    def _serve(self) -> None:
        """Answer where the configuration says; what cannot listen is said, and pulls go on."""
        listen = self.config.operations.listen
        self.metrics.instances = tuple(self.names)
        if listen == self._listening:
            return
        self._served.close()
        self._listening = listen
        if listen == "off":
            return
        try:
            where = self._served.enter_context(serving(listen, self.metrics, self.health))
        except OSError as error:
            self._listening = ""
            why = error.strerror or type(error).__name__
            _say(
                "civicsync",
                f"nothing answers on {listen} ({why}): no /health, /ready and /metrics; see `operations: listen`",
            )
            events.emit(events.Warned("", "cannot_listen"))
        else:
            _say("civicsync", f"{where}/health, /ready and /metrics")

    def _stopping(self) -> None:
        self.health.stopping = True
        self.notifier.stopping()
        _say("civicsync", "stopping after the page or the write at hand")

    async def _beat(self) -> None:
        """Signs of life from the loop itself: a process whose loop is stuck gives none."""
        pause = min(_BEAT, (self.notifier.watchdog or 4 * _BEAT) / 4)
        while True:
            self.health.beat()
            self.notifier.alive()
            await asyncio.sleep(pause)  # the process's own life

    def _timetable(self, stop: asyncio.Event, over: asyncio.Event) -> Timetable:
        """The jobs of this configuration; what was done to its end under the one of before has its next turn when its schedule says."""
        config, names = self.config, self.names
        worker = _Worker(config, self.engine, self.clock, over, stop)
        table = Timetable(config.time_zone, say=_say, clock=self.clock)

        def add(job: str, every: str, instance: str, work: Callable[[asyncio.Event], Work]) -> None:
            ending = asyncio.Event()
            table.add(
                job,
                every,
                self._noted(job, ending, work(ending)),
                never_between=config.instances[instance].never_between,
                ending=ending,
                done_at=self._done.get(job),
            )

        routes = [n for n, r in config.routes.items() if r.enabled and {r.source.instance, r.to.instance} <= set(names)]
        for name in names:
            # A route without a timetable of its own follows every pull of its origin.
            following = [
                n for n in routes if config.routes[n].every is None and config.routes[n].source.instance == name
            ]
            add(f"pull {name}", config.instances[name].every, name, partial(worker.pull, name, following))
        for name in routes:
            every = config.routes[name].every
            if every is not None:
                add(f"route {name}", every, config.routes[name].to.instance, partial(worker.publish, name))
        return table

    def _noted(self, job: str, ending: asyncio.Event, work: Work) -> Work:
        async def noted() -> str:
            said = await work()
            if not ending.is_set():
                self._done[job] = self.clock.now()
            return said

        return noted


async def _first(stop: asyncio.Event, again: asyncio.Event, working: asyncio.Future[None]) -> bool:
    """Waits until something is wanted; whether that is to read the configuration again."""
    waiting = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(again.wait())]
    await asyncio.wait({*waiting, working}, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    return again.is_set() and not stop.is_set() and not working.done()


class _Worker:
    """What the timetable does: whole runs, one at a time per target."""

    def __init__(self, config: Config, engine: Engine, clock: Clock, over: asyncio.Event, stop: asyncio.Event) -> None:
        """`over`: the time of this configuration; `stop`: that of the process. Both are set where the database is lost."""
        self.config, self.engine, self.clock, self.over, self.stop = config, engine, clock, over, stop
        self._targets = {name: asyncio.Lock() for name in config.instances}

    def pull(self, name: str, following: Sequence[str], ending: asyncio.Event) -> Work:
        """Pull an instance, then run the routes that follow it; `ending`: after the page or the write at hand."""

        async def work() -> str:
            outcome = await Puller(self.config, self.engine, self.clock, stop=ending).pull(name, Options())
            await self._still_there()
            wrong = await asyncio.to_thread(bring_up_to_date, self.engine, self.config.privacy.k, share=SHARE)
            if wrong:
                _say(name, wrong)
            written = outcome.written
            numbers = (
                f"{written.created} new, {written.changed} changed, {outcome.gone} gone, {outcome.requests} requests"
            )
            for route in following:
                if not ending.is_set():
                    quiet = self._quiet(self.config.routes[route].to.instance)
                    _say(f"route {route}", quiet or await self.publish(route, ending)())
            return f"{outcome.outcome}: {numbers}" + (f"; {outcome.message}" if outcome.message else "")

        return work

    async def _still_there(self) -> None:
        """Over a file that was deleted nothing goes on: a new one in its place would look as if nothing had happened."""
        if await asyncio.to_thread(was_lost, self.engine):
            self.stop.set()
            self.over.set()

    def _quiet(self, target: str) -> str:
        """Why nothing is written to an instance now; empty where it may be."""
        hours = [quiet_hours(each) for each in self.config.instances[target].never_between]
        zone = ZoneInfo(self.config.time_zone)
        until = quiet_until(hours, self.clock.now(), zone) if hours else None
        return (
            ""
            if until is None
            else f"quiet hours of {target} until {until.astimezone(zone):%H:%M}; it comes after a pull then"
        )

    def publish(self, name: str, ending: asyncio.Event) -> Work:
        """Run a route; `ending`: after the write at hand."""

        async def work() -> str:
            async with self._targets[self.config.routes[name].to.instance]:
                publisher = Publisher(self.config, self.engine, self.clock, stop=ending)
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
