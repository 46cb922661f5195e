"""Pull one instance: probe, pages, verdicts, and an honest line in the journal.

What is committed stays: Ctrl-C, a throttled platform or a failure end the run after the last whole page, and the next run goes on
there. Nothing here knows a platform.
"""

import asyncio
import contextlib
import gc
import os
import socket
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import Engine

from ...config.model import Config, seconds
from ...connectors.contract.errors import ConnectorError, Interface, Throttled
from ...connectors.contract.exchange import Stats, Transport
from ...connectors.contract.reading import Connector, Page, Probe, PullRequest, Reader
from ...connectors.open import open_reader, user_agent
from ...connectors.registry import resolve
from ...core import journal
from ...core.clock import Clock
from ...core.identity import Ref
from ...core.store.store import InstanceStore, Written
from ...core.store.tombstones import purge
from .sweep import judge

_STOPPED = "stopped; what was read is kept, the next run goes on from there"
_WHOLE = frozenset({"done", "undecided"})
"""The outcomes of runs that read everything; any other one is continued by the next run."""
LEASE_SECONDS = 120.0
HEARTBEAT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """What one run is asked to do."""

    full: bool = False
    spaces: tuple[Ref, ...] = ()
    limit: int | None = None
    accept_missing: bool = False


@dataclass(slots=True)
class PullOutcome:
    """How a run ended: done, limited, throttled, stopped, busy, undecided or failed."""

    instance: str
    outcome: str = "running"
    message: str = ""
    notes: list[str] = field(default_factory=list[str])
    pages: int = 0
    written: Written = field(default_factory=Written)
    gone: int = 0
    missing: int = 0
    seconds: float = 0.0
    requests: int = 0
    retries: int = 0
    bytes: int = 0
    platform_seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether a script should take notice."""
        return self.outcome in {"failed", "undecided"}

    def counts(self) -> dict[str, Any]:
        """The numbers of the journal."""
        own = ("pages", "gone", "missing", "seconds", "requests", "retries", "bytes", "platform_seconds")
        return {**asdict(self.written), **{name: getattr(self, name) for name in own}}


PullProgress = Callable[[str, Page, PullOutcome], None]
"""Called after each page that was written: instance, page, how far."""


class Puller:
    """Pulls instances of one configuration into one database."""

    def __init__(
        self,
        config: Config,
        engine: Engine,
        clock: Clock,
        *,
        progress: PullProgress | None = None,
        stop: asyncio.Event | None = None,
        backends: dict[str, Any] | None = None,
    ) -> None:
        """`backends`: applications that answer instead of the network, by instance (tests)."""
        self.config = config
        self.engine = engine
        self.clock = clock
        self.progress = progress
        self.stop = stop or asyncio.Event()
        self.backends = backends or {}
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._writing = asyncio.Lock()
        self._stats: dict[str, Stats] = {}
        self._running = 0
        self._often = gc.get_threshold()

    def connector(self, name: str) -> Connector:
        """The connector of an instance."""
        return resolve(self.config.instances[name].platform)

    @contextlib.asynccontextmanager
    async def reader(self, name: str) -> AsyncGenerator[tuple[Reader, Transport], None]:
        """A reader of an instance with its transport, closed at the end."""
        operator = self.config.operator
        async with open_reader(
            name,
            self.config.instances[name],
            secret=self.config.privacy.key.get_secret_value(),
            agent=user_agent(operator.name, operator.contact),
            clock=self.clock,
            backend=self.backends.get(name),
        ) as (reader, context):
            yield reader, context.transport

    async def pull_all(self, names: list[str], options: Options) -> list[PullOutcome]:
        """Pull several instances side by side: one stream per host."""
        return list(await asyncio.gather(*(self.pull(name, options) for name in names)))

    async def pull(self, name: str, options: Options) -> PullOutcome:
        """One run of one instance; never raises for what a platform does."""
        result = PullOutcome(name)
        lease = f"pull:{name}"
        if not await asyncio.to_thread(
            journal.take_lease, self.engine, lease, self.holder, self.clock.now(), LEASE_SECONDS
        ):
            result.outcome, result.message = "busy", "another process is pulling this instance; nothing was done"
            return result
        started = self.clock.monotonic()
        heartbeat = asyncio.ensure_future(self._keep_lease(lease))
        # A page is tens of thousands of small objects that reference counting frees; looking for cycles among them again and again
        # takes a fifth of the time.
        if not self._running:
            self._often = gc.get_threshold()
            gc.set_threshold(20_000, 20, 100)
        self._running += 1
        try:
            row = await asyncio.to_thread(journal.instance_row, self.engine, name)
            # A first pull finds nothing stored, so it reads everything without being told; and if it was interrupted, what it had
            # finished need not be read again.
            first = row is None or row["last_full_at"] is None
            full = options.full or (not first and self._full_is_due(name, row))
            before = await asyncio.to_thread(journal.last_run, self.engine, name)
            # An interrupted run is continued by the next one, as full as it was. Whoever asks for more than it read, or for certain
            # spaces now, is not answered with what it read a while ago.
            continues = False
            if before is not None and before["outcome"] not in _WHOLE and not options.spaces:
                continues = bool(before["full"]) or not options.full
                full = full or (continues and bool(before["full"]))
            run_id = await asyncio.to_thread(journal.start_run, self.engine, name, self.clock.now(), full=full)
            async with self.reader(name) as (reader, transport):
                self._stats[name] = transport.stats
                try:
                    await self._run(name, reader, row, full, continues, options, result)
                except Throttled as error:
                    result.outcome, result.message = "throttled", str(error)
                except ConnectorError as error:
                    result.outcome, result.message = "failed", str(error)
                except asyncio.CancelledError:
                    result.outcome, result.message = (
                        "stopped",
                        "stopped; what was read is kept, the next run goes on from there",
                    )
                stats = transport.stats
                result.requests, result.retries = stats.requests, stats.retries
                result.bytes, result.platform_seconds = stats.bytes, round(stats.platform_seconds, 3)
            result.seconds = round(self.clock.monotonic() - started, 3)
            await asyncio.to_thread(self._close, run_id, name, full or first, result)
        finally:
            self._running -= 1
            if not self._running:
                gc.set_threshold(*self._often)
            heartbeat.cancel()
            await asyncio.to_thread(journal.free_lease, self.engine, lease, self.holder)
        return result

    def _full_is_due(self, name: str, row: Any) -> bool:
        if row is None or row["last_full_at"] is None:
            return True
        age = (self.clock.now() - row["last_full_at"]).total_seconds()
        return age >= seconds(self.config.instances[name].full_every)

    async def _run(
        self, name: str, reader: Reader, row: Any, full: bool, continues: bool, options: Options, result: PullOutcome
    ) -> None:
        known = None if row is None or (full and not continues) else row["probe"]
        fresh = known is None
        probe = await self._probe(name, reader) if known is None else probe_from(known)
        try:
            await self._pages(name, reader, probe, full, continues, options, result)
        except Interface as error:
            if fresh:
                raise
            result.notes.append(f"probed again: {error.message}")
            await self._pages(name, reader, await self._probe(name, reader), True, False, options, result)

    async def _probe(self, name: str, reader: Reader) -> Probe:
        probe = await reader.probe()
        await asyncio.to_thread(save_probe, self.engine, self.config, name, probe, self.clock)
        return probe

    async def _pages(
        self,
        name: str,
        reader: Reader,
        probe: Probe,
        full: bool,
        continues: bool,
        options: Options,
        result: PullOutcome,
    ) -> None:
        locales = self.config.instances[name].locales or list(probe.locales)
        store = await asyncio.to_thread(InstanceStore, self.engine, name, locales, self.clock)
        # What an interrupted run swept to its end is judged by the run that continues it.
        finished = await asyncio.to_thread(store.sweeps.begin, self.clock.now(), continues=continues)
        request = PullRequest(
            probe=probe,
            stored=store,
            full=full,
            spaces=options.spaces,
            done=store.sweeps.done,
            seen=lambda scope: asyncio.to_thread(store.sweeps.seen, scope),
        )
        failure: ConnectorError | None = None
        async with contextlib.aclosing(self._until_stopped(reader.pull(request))) as pages:
            try:
                async for page in pages:
                    async with self._writing:
                        result.written.add(await asyncio.to_thread(store.write, page))
                    result.pages += 1
                    result.requests = self._stats[name].requests
                    if page.note:
                        result.notes.append(page.note)
                    if page.complete:
                        finished.append(page.scope)
                    elif page.next is not None and page.scope in finished:
                        finished.remove(page.scope)  # it is swept anew
                    if self.progress:
                        self.progress(name, page, result)
                    if options.limit is not None and result.written.seen >= options.limit:
                        result.outcome, result.message = (
                            "limited",
                            f"stopped after {result.written.seen} records as asked",
                        )
                        return
                    del page  # not both this one and the next in memory
            except Interface:
                raise
            except ConnectorError as error:
                failure = error  # what was swept to its end before may still be judged
        if self.stop.is_set():
            result.outcome, result.message = "stopped", _STOPPED
            return
        blocked = await self._judge(store, reader, finished, options, result)
        if failure is not None:
            raise failure
        if blocked:
            result.outcome = "undecided"
            result.message = "more is missing than a run may believe; see the notes"
        else:
            result.outcome = "done"
        await asyncio.to_thread(store.sweeps.forget)

    async def _until_stopped(self, pages: AsyncIterator[Page]) -> AsyncGenerator[Page, None]:
        stopped = asyncio.ensure_future(self.stop.wait())
        iterator = aiter(pages)
        try:
            while not self.stop.is_set():
                following = asyncio.ensure_future(anext(iterator))
                await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, ConnectorError):
                        await following
                    return
                try:
                    yield following.result()
                except StopAsyncIteration:
                    return
        finally:
            stopped.cancel()
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    async def _judge(
        self, store: InstanceStore, reader: Reader, scopes: list[str], options: Options, result: PullOutcome
    ) -> bool:
        percent = self.config.safety.max_gone_percent
        accept = options.accept_missing
        verdict = await judge(store, reader, list(dict.fromkeys(scopes)), max_percent=percent, accept=accept)
        result.gone += verdict.gone
        result.missing += verdict.missed
        result.notes.extend(verdict.notes)
        return verdict.blocked

    async def _keep_lease(self, lease: str) -> None:
        """Renew a lease for as long as the run goes on, however long one answer takes."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)  # the process's own life, whatever clock a test gives
            await asyncio.to_thread(
                journal.take_lease, self.engine, lease, self.holder, self.clock.now(), LEASE_SECONDS
            )

    def _close(self, run_id: int, name: str, full: bool, result: PullOutcome) -> None:
        now = self.clock.now()
        if result.outcome == "done":
            row: dict[str, Any] = {"name": name, "last_success_at": now}
            if full:
                row["last_full_at"] = now
            journal.save_instance(self.engine, row)
            after = timedelta(seconds=seconds(self.config.privacy.purge_gone_after))
            purge(self.engine, name, now, after)
        journal.save_run(
            self.engine,
            run_id,
            ended_at=now,
            outcome=result.outcome,
            message=result.message,
            notes=result.notes,
            **result.counts(),
        )


def save_probe(engine: Engine, config: Config, name: str, probe: Probe, clock: Clock) -> None:
    """Keep what was found at an instance."""
    settings = config.instances[name]
    journal.save_instance(
        engine,
        {
            "name": name,
            "platform": settings.platform,
            "url": settings.url,
            "title": probe.title,
            "version": probe.version,
            "dialect": probe.dialect,
            "locales": list(settings.locales or probe.locales),
            "probe": probe_to(probe),
            "probed_at": clock.now(),
        },
    )


def probe_to(probe: Probe) -> dict[str, Any]:
    """A probe as JSON."""
    return {**asdict(probe), "facts": dict(probe.facts)}


def probe_from(data: dict[str, Any]) -> Probe:
    """A probe from JSON."""
    return msgspec.convert(data, Probe)
