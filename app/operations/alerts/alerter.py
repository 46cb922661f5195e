"""What keeps alerts going: looks at the database, writes the feed, and brings what is in the outbox through the channels.

Nothing in here is in a pull's way: a channel that fails is tried again later, and a database that is away ends one look.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ....config import Config
from ....connectors.open import user_agent
from ....core import events
from ....core.alert_counts import label
from ....core.alerts.book import Book, Notice, Overview
from ....core.alerts.conditions import Limits
from ....core.alerts.kinds import DeliveryState
from ....core.alerts.outbox import Answer, Delivery, Outbox
from ....core.alerts.overview import last_turns, overview
from ....core.clock import Clock
from ....core.durations import seconds
from ....core.redaction import redact, visible
from ....core.schedules import cron_line, quiet_hours, quiet_until
from ....core.schema.failures import DatabaseError
from . import feed, mail, other, webhook

EVERY = 60.0
"""Seconds between two looks, and before the first one: what a machine that slept has missed is read first."""
SOON = 2.0
"""Seconds between two looks where something has just happened."""
PARTING = 5.0
"""Seconds for which a stop waits for deliveries at hand; they are tried again by whoever comes next."""
_DATABASE = (SQLAlchemyError, DatabaseError)
Said = Callable[[str, str], None]
Send = Callable[[Notice], Awaitable[Answer]]


@dataclass(slots=True)
class Brought:
    """What became of tries: how many of each state, and by channel what it last said where it failed."""

    states: dict[DeliveryState, int] = field(default_factory=dict[DeliveryState, int])
    failed: dict[str, str] = field(default_factory=dict[str, str])


class Alerter:
    """The alerts of one configuration and database, for one process."""

    def __init__(
        self, config: Config, engine: Engine, clock: Clock, folder: Path, say: Said = lambda _name, _text: None
    ) -> None:
        """`folder`: where the configuration lies, from which the feed's path counts."""
        self.engine, self.clock, self.folder, self.say = engine, clock, folder, say
        self.outbox = Outbox(engine, clock)
        self._happened = asyncio.Event()
        self._at_work: dict[str, asyncio.Task[Brought]] = {}
        self._unread = set[str]()
        """What was not pulled yet since the process began, until the first look."""
        self._said: dict[str, str] = {}
        """By channel, what was last said of its failing, so that it is said once."""
        self.config = config
        self.book = Book(self.engine, self.clock, ZoneInfo(config.time_zone))
        self.channels = config.alerts.channels
        if config.alerts.apprise and not other.installed():
            self.say("alerts", f"apprise: {other.MISSING}")

    # Looking --------------------------------------------------------------------------------------------------------

    def look(self) -> list[Notice]:
        """Look once, put what is new into the outbox, and bring the feed up to date. Blocks.

        Raises:
            SQLAlchemyError, DatabaseError: the database cannot be asked or written.
        """
        told = self.book.look(limits(self.config), self.channels, self._overview)
        for each in told:
            events.emit(events.AlertTold(each.what, str(each.told.get("kind", ""))))
        self.outbox.give_up_unknown(self.channels)
        if self.config.alerts.feed is not None:
            path = self.folder / Path(self.config.alerts.feed).expanduser()
            if told or not path.exists():
                try:
                    feed.write(path, feed.feed_of(self.engine, self.clock, self.config.operator.name))
                except OSError as error:
                    why = error.strerror or type(error).__name__
                    self.say("alerts", f"the feed {path} cannot be written ({why}); does its folder exist?")
                    events.emit(events.Warned("", "feed_not_written"))
        return told

    def _overview(self, watched: datetime) -> Overview | None:
        line = self.config.alerts.overview
        cron = None if line == "off" else cron_line(line)
        turns = last_turns(cron, ZoneInfo(self.config.time_zone), self.clock.now()) if cron is not None else None
        if turns is None or turns[1] < watched:
            return None
        names = list(self.config.instances)
        routes, operator = limits(self.config).routes, self.config.operator.name
        words = partial(overview, self.book, operator, names, routes, turns)
        return Overview(turns[1], turns[0], words)

    # Bringing -------------------------------------------------------------------------------------------------------

    def sender(self, channel: str) -> Send:
        """What sends one notice through a channel of the configuration, once."""
        kind, _, name = channel.partition(":")
        config, alerts = self.config, self.config.alerts
        operator = config.operator.name
        if kind == "webhook":
            agent = user_agent(operator, config.operator.contact)
            return lambda notice: webhook.post(alerts.webhooks[name], notice, operator, agent, self.clock)
        if kind == "mail":
            settings = alerts.mail
            assert settings is not None
            return lambda notice: mail.send(settings, notice, name, operator)
        return lambda notice: other.send(alerts.apprise[name].get_secret_value(), notice)

    async def bring(self, *, by_hand: bool = False) -> Brought:
        """Try everything that is due, through all channels at once; returns what became of it.

        `by_hand`: each delivery that waits is tried once, whatever its pause says.

        Raises:
            SQLAlchemyError, DatabaseError: the database cannot be asked or written.
        """
        before = self.clock.now() if by_hand else None
        done = await asyncio.gather(*(self._bring_through(each, before) for each in self.channels))
        whole = Brought()
        for each in done:
            whole.failed |= each.failed
            for state, many in each.states.items():
                whole.states[state] = whole.states.get(state, 0) + many
        return whole

    async def _bring_through(self, channel: str, before: datetime | None = None) -> Brought:
        send, brought = self.sender(channel), Brought()
        while (delivery := await asyncio.to_thread(self.outbox.claim, channel, before=before)) is not None:
            answer = await self._tried(send, delivery)
            state = await asyncio.to_thread(self.outbox.settle, delivery, answer)
            if state is None:
                continue
            brought.states[state] = brought.states.get(state, 0) + 1
            events.emit(events.DeliveryTried(label(channel), state, delivery.attempts))
            self._tell(channel, answer)
            if not answer.delivered:
                brought.failed[channel] = answer.words
        return brought

    async def _tried(self, send: Send, delivery: Delivery) -> Answer:
        try:
            answer = await send(delivery.notice)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.to_thread(self.outbox.give_back, delivery))
            raise
        except Exception as error:  # one channel's trouble must not end the others', and never a pull
            return Answer(False, f"a mistake in civicsync ({type(error).__name__})")
        # It goes into a table that everybody who reads the database may read.
        return Answer(answer.delivered, visible(redact(answer.words))[:300], answer.refused, answer.gone, answer.wait)

    def _tell(self, channel: str, answer: Answer) -> None:
        if answer.delivered:
            if self._said.pop(channel, None) is not None:
                self.say("alerts", f"{label(channel)}: notices arrive again")
        elif self._said.get(channel) != answer.words:
            self._said[channel] = answer.words
            self.say("alerts", f"{label(channel)}: {answer.words}; it is tried again")
            events.emit(events.Warned("", "alert_undelivered"))

    # For as long as a process lives ---------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def going(self, over: asyncio.Event, names: Iterable[str] = ()) -> AsyncGenerator[None]:
        """Look every minute and after each run, and bring what is due, while the block lasts and until `over`.

        `names`: what this process pulls. The first look waits until each of them was, a minute at most: what a machine that slept has
        missed is read first, and then it is no news.
        """
        loop = asyncio.get_running_loop()
        self._unread = set(names)

        def heard(event: events.Event) -> None:
            if isinstance(event, events.RunEnded):
                self._unread.discard(event.instance if event.work == "pull" else "")
                if not self._unread:
                    with contextlib.suppress(RuntimeError):  # from a thread that outlives the loop
                        loop.call_soon_threadsafe(self._happened.set)

        going = asyncio.ensure_future(self._go(over))
        try:
            with events.listen(heard):
                yield
        finally:
            over.set()
            await going

    async def _go(self, over: asyncio.Event) -> None:
        try:
            while await self._next(over):
                try:
                    await asyncio.to_thread(self.look)
                except _DATABASE:
                    continue  # it comes back by itself, and others say so
                self._bring_aside()
        finally:
            await self._part()

    async def _next(self, over: asyncio.Event) -> bool:
        """Waits for the next look; False where there is none any more."""
        waits = [asyncio.ensure_future(each.wait()) for each in (over, self._happened)]
        try:
            await asyncio.wait(waits, timeout=EVERY, return_when=asyncio.FIRST_COMPLETED)
            if not over.is_set() and self._happened.is_set():
                await asyncio.wait([waits[0]], timeout=SOON)  # several things end at once
        finally:
            for each in waits:
                each.cancel()
        self._happened.clear()
        self._unread.clear()
        return not over.is_set()

    def _bring_aside(self) -> None:
        for channel in self.channels:
            if channel not in self._at_work:
                task = asyncio.ensure_future(self._bring_through(channel))
                self._at_work[channel] = task
                task.add_done_callback(partial(self._done, channel))

    def _done(self, channel: str, task: "asyncio.Task[Brought]") -> None:
        self._at_work.pop(channel, None)
        if not task.cancelled():
            task.exception()  # a database that is away: the outbox still has it

    async def _part(self) -> None:
        tasks = list(self._at_work.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=PARTING)
            for each in late:
                each.cancel()
            with contextlib.suppress(*_DATABASE):
                await asyncio.gather(*late, return_exceptions=True)


def limits(config: Config) -> Limits:
    """What is watched and from when on it is told, as the configuration says."""
    alerts = config.alerts
    late: dict[str, Callable[[datetime], datetime]] = {}
    for name in config.instances:
        own = alerts.no_good_pull_of.get(name, alerts.no_good_pull_for)
        if own != "off":
            late[name] = _late(config, name, timedelta(seconds=seconds(own)))
    routes = tuple(name for name, route in config.routes.items() if route.enabled)
    waits = None if alerts.waits_for_person == "off" else timedelta(seconds=seconds(alerts.waits_for_person))
    return Limits(late, tuple(config.instances), routes, waits)


def _late(config: Config, name: str, limit: timedelta) -> Callable[[datetime], datetime]:
    """Where the schedule of an instance leaves more time between two turns than the limit, it counts from the turn that was due."""
    from ....sync.schedule import turns

    settings, zone = config.instances[name], ZoneInfo(config.time_zone)
    after = turns(settings.every, config.time_zone, name)
    hours = [quiet_hours(each) for each in settings.never_between]

    def late(last: datetime) -> datetime:
        due = after(last)
        moved = quiet_until(hours, due, zone) if hours else None
        due = moved or due
        return (due if due - last > limit else last) + limit

    return late
