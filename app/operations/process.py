"""A process of civicsync that keeps going: signals, readiness, health, metrics, and reading its configuration again.

What it does is up to whoever derives from it (`work`). SIGTERM or Ctrl-C end that after the page or the write at hand; SIGHUP does so,
too, and begins it again by the new configuration, or goes on with the one of before where the new one is wrong.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ...config import Config, ConfigError, load
from ...core import events
from ...core.clock import Clock
from ...core.fingerprints import OtherKey, check_fingerprint
from ...core.privacy import MissingKeyError, check_chosen_key
from ...core.schema.database import still_there
from ...core.vitals import look
from ..stopping import stop_on_signals
from .alerts.feed import feed_of
from .health import Health, asking
from .metrics import Metrics
from .notify import Notifier
from .server import serving

_BEAT = 5.0
"""Seconds between two signs of life of the loop."""
Say = Callable[[str, str], None]
"""Tells whoever watches: about what, and what."""


class _NotNow(Exception):
    """A configuration that is right, and that a running process cannot take up."""


class Process:
    """The process: one configuration at a time, and what an operator sees of it."""

    def __init__(self, config: Config, engine: Engine, wanted: Sequence[str], config_file: Path, say: Say) -> None:
        """`wanted`: the instances that it works for, all if none is named."""
        self.config, self.engine, self.wanted = config, engine, wanted
        self.config_file, self.say = config_file, say
        self.clock = Clock()
        self.notifier = Notifier()
        self.health = Health(self.clock, asking(engine))
        self.metrics = Metrics(self.clock, version("civicsync"), lambda: look(engine, self.names, self.clock.now()))
        self.metrics.ready = lambda: not self.health.unready()
        self._served = contextlib.ExitStack()
        self._listening = "off"

    @property
    def names(self) -> list[str]:
        """The instances that this process works for."""
        return list(dict.fromkeys(self.wanted or self.config.instances))

    @property
    def listen(self) -> str:
        """Where it answers to whoever watches, by the configuration."""
        return self.config.operations.listen

    async def work(self, stop: asyncio.Event, over: asyncio.Event) -> None:
        """Work by the configuration until its time is `over`; whoever finds that the whole process must `stop` sets both."""
        raise NotImplementedError

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
            self.say("civicsync", "stopped; everything that was read and written is kept")
        return lost

    async def _one_configuration(self, stop: asyncio.Event, again: asyncio.Event) -> None:
        """Work as the configuration says, until the process shall stop or there is another one, which is right."""
        over = asyncio.Event()
        working = asyncio.ensure_future(self.work(stop, over))
        self.health.started = True
        self.notifier.ready(f"{len(self.names)} instances, {len(self.config.routes)} routes")
        try:
            while await _first(stop, again, working):
                again.clear()
                self.notifier.reloading()
                new = await asyncio.to_thread(self._read_again)
                self.metrics.reload_failed = new is None
                if new is not None:
                    self.config, self.metrics.loaded = new, self.clock.now()
                    return
                self.notifier.ready("the new configuration is wrong; the one of before is in use")
        finally:
            over.set()
            await working

    def _read_again(self) -> Config | None:
        """The configuration as its file is now; None where it is wrong, and then it was said why. Blocks."""
        try:
            new = load(self.config_file, only=self.wanted)
            check_chosen_key(new.privacy.key.get_secret_value())
            if new.database != self.config.database:
                raise _NotNow("another `database:` needs a restart")
            if new.workers != self.config.workers:
                raise _NotNow("another `workers:` needs a restart")
            if missing := sorted(set(self.wanted) - set(new.instances)):
                raise _NotNow(f"{', '.join(missing)}: named when this process began, and not there any more")
            check_fingerprint(self.engine, new.privacy.key.get_secret_value(), new.privacy.signing_key)
        except ConfigError as error:
            wrong = error.lines()
        except (_NotNow, MissingKeyError, OtherKey, OSError) as error:
            wrong = [f"{self.config_file}: {error}"]
        except SQLAlchemyError as error:
            wrong = [
                f"the database does not answer ({type(error).__name__}), so the key cannot be compared; send SIGHUP again later"
            ]
        else:
            self.say("civicsync", f"{self.config_file} was read again and is in use")
            return new
        for line in wrong:
            self.say("civicsync", line)
        self.say("civicsync", "the configuration was not changed: the one of before is still in use")
        events.emit(events.Warned("", "configuration_wrong"))
        return None

    def _serve(self) -> None:
        """Answer where the configuration says; what cannot listen is said, and the work goes on."""
        listen = self.listen
        self.metrics.instances = tuple(self.names)
        if listen == self._listening:
            return
        self._served.close()
        self._listening = listen
        if listen == "off":
            return
        try:
            where = self._served.enter_context(serving(listen, self.metrics, self.health, self._feed))
        except OSError as error:
            self._listening = ""
            why = error.strerror or type(error).__name__
            self.say(
                "civicsync",
                f"nothing answers on {listen} ({why}): no /health, /ready and /metrics; see `operations: listen`",
            )
            events.emit(events.Warned("", "cannot_listen"))
        else:
            self.say("civicsync", f"{where}/health, /ready and /metrics")

    def _feed(self) -> bytes:
        return feed_of(self.engine, self.clock, self.config.operator.name)

    def _stopping(self) -> None:
        self.health.stopping = True
        self.notifier.stopping()
        self.say("civicsync", "stopping after the page or the write at hand")

    async def _beat(self) -> None:
        """Signs of life from the loop itself: a process whose loop is stuck gives none."""
        pause = min(_BEAT, (self.notifier.watchdog or 4 * _BEAT) / 4)
        while True:
            self.health.beat()
            self.notifier.alive()
            await asyncio.sleep(pause)  # the process's own life


async def _first(stop: asyncio.Event, again: asyncio.Event, working: asyncio.Future[None]) -> bool:
    """Waits until something is wanted; whether that is to read the configuration again."""
    waiting = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(again.wait())]
    await asyncio.wait({*waiting, working}, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    return again.is_set() and not stop.is_set() and not working.done()
