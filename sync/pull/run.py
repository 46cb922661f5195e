"""Pull one instance: probe, pages, verdicts, and an honest line in the journal.

What is committed stays: Ctrl-C, a throttled platform or a failure end the run after the last whole page, and the next run goes on
there. Nothing here knows a platform.
"""

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine

from ...config.model import Config
from ...connectors.contract.errors import ConnectorError, Interface, NotFound, Throttled, WrongCredentials
from ...connectors.contract.exchange import Stats, Transport
from ...connectors.contract.reading import Connector, Page, Probe, PullRequest, Reader
from ...connectors.open import open_reader, user_agent
from ...connectors.registry import resolve
from ...core import audit, events, journal
from ...core.clock import Clock
from ...core.durations import seconds, term
from ...core.identity import Ref, key
from ...core.instances import place_of_address
from ...core.leases import Lease, LeaseLost, writing
from ...core.ledger.ledger import Ledger
from ...core.store.exclusion import bury_left_out, inside
from ...core.store.retention import purge_classes
from ...core.store.store import InstanceStore, Written
from ..credentials import Credentials
from ..keeping import intake_of, keeping_of
from ..net import STOPPING, unforeseen
from .recognise import check_known, check_moved
from .revisit import Budget, revisit
from .sweep import confirm_shown, judge

_SIGN_IN = "read"
"""For what a pull signs in, where a site lets only signed-in people read."""
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_STOPPED = "stopped; what was read is kept, the next run goes on from there"


class PullEnd(StrEnum):
    """How a run ends; `interrupted` is said of it by the next one."""

    RUNNING = "running"
    DONE = "done"
    LIMITED = "limited"
    THROTTLED = "throttled"
    STOPPED = "stopped"
    BUSY = "busy"
    LEASE_LOST = "lease_lost"
    UNDECIDED = "undecided"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


_WHOLE = frozenset({PullEnd.DONE, PullEnd.UNDECIDED, PullEnd.INCOMPLETE})
"""The outcomes of runs that read everything that could be read; any other one is continued by the next run."""
_NAMED = 3
"""So many parts that could not be read are named in the message of a run; all of them are in its notes."""


@dataclass(frozen=True, slots=True)
class Options:
    """What one run is asked to do."""

    full: bool = False
    spaces: tuple[Ref, ...] = ()
    limit: int | None = None
    accept_missing: bool = False


@dataclass(slots=True)
class PullOutcome:
    """How a run ended, and what it did."""

    instance: str
    outcome: PullEnd = PullEnd.RUNNING
    message: str = ""
    notes: list[str] = field(default_factory=list[str])
    unread: list[str] = field(default_factory=list[str])
    """The parts that could not be read, and why."""
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
        return self.outcome in {PullEnd.FAILED, PullEnd.UNDECIDED, PullEnd.INCOMPLETE, PullEnd.LEASE_LOST}

    def counts(self) -> dict[str, Any]:
        """The numbers of the journal."""
        own = ("pages", "gone", "missing", "seconds", "requests", "retries", "bytes", "platform_seconds")
        return {**asdict(self.written), **{name: getattr(self, name) for name in own}}


PullProgress = Callable[[str, Page, PullOutcome], None]
"""Called after each page that was written: instance, page, how far."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One run under way: what it reads, for whom, under which lease."""

    name: str
    full: bool
    continues: bool
    options: Options
    lease: Lease
    result: PullOutcome


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
        self.life = Clock()
        """The clock of this process's leases; another one only in tests of leases."""
        self._writing = asyncio.Lock()
        self._stats: dict[str, Stats] = {}

    def connector(self, name: str) -> Connector:
        """The connector of an instance."""
        return resolve(self.config.instances[name].platform)

    @contextlib.asynccontextmanager
    async def reader(
        self, name: str, before_request: Callable[[], None] | None = None
    ) -> AsyncGenerator[tuple[Reader, Transport], None]:
        """A reader of an instance with its transport, closed at the end."""
        operator = self.config.operator
        async with open_reader(
            name,
            self.config.instances[name],
            secret=self.config.privacy.key.get_secret_value(),
            agent=user_agent(operator.name, operator.contact),
            clock=self.clock,
            backend=self.backends.get(name),
            before_request=before_request,
        ) as (reader, context):
            yield reader, context.transport

    async def moved(self, name: str) -> str:
        """Believe that an instance answers at another address now, once its oldest proposals are there; returns the address it had.

        Raises:
            ConnectorError: another city or another platform answers there, or it could not be asked.
        """
        row = await asyncio.to_thread(journal.instance_row, self.engine, name)
        settings = self.config.instances[name]
        await asyncio.to_thread(partial(check_known, self.engine, name, row, settings, moved=True))
        async with self.reader(name) as (reader, _):
            probe = await reader.probe()
            if row is not None and place_of_address(row["url"]) != place_of_address(settings.url):
                await check_moved(self.engine, name, reader, probe, row, settings)
        # Read whole the next time: no gate of the old address says anything about the new one.
        await asyncio.to_thread(save_probe, self.engine, self.config, name, probe, self.clock)
        await asyncio.to_thread(journal.save_instance, self.engine, {"name": name, "last_full_at": _LONG_AGO})
        return str(row["url"]) if row is not None else settings.url

    async def pull_all(self, names: list[str], options: Options) -> list[PullOutcome]:
        """Pull several instances side by side: one stream per host."""
        return list(await asyncio.gather(*(self.pull(name, options) for name in names)))

    async def pull(self, name: str, options: Options) -> PullOutcome:
        """One run of one instance; never raises for what a platform does."""
        result = PullOutcome(name)
        lease = Lease(self.engine, f"pull:{name}", self.life)
        started = self.clock.monotonic()
        try:
            if not await asyncio.to_thread(lease.take):
                events.emit(events.LeaseMoved(lease.name, "refused"))
                who = await asyncio.to_thread(lease.held_by)
                result.outcome = PullEnd.BUSY
                result.message = f"another process is pulling this instance ({who}); nothing was done"
                return result
            events.emit(events.LeaseMoved(lease.name, "taken"))
            async with lease.kept():
                with few_collections():
                    await self._recorded(name, options, lease, result, started)
        except STOPPING:
            raise
        except BaseException as error:  # the net under one instance: whatever it does, the others go on
            events.emit(events.Warned(name, type(error).__name__))
            result.outcome, result.message = PullEnd.FAILED, unforeseen(name, error)
        finally:
            result.seconds = round(self.clock.monotonic() - started, 3)
            if result.outcome is not PullEnd.BUSY:
                cost = (result.seconds, result.requests, result.platform_seconds)
                events.emit(events.RunEnded("pull", name, result.outcome, *cost))
        return result

    def _credentials(self) -> Credentials:
        return Credentials(self.config, Ledger(self.engine, self.clock))

    async def _recorded(self, name: str, options: Options, lease: Lease, result: PullOutcome, started: float) -> None:
        """One run with its line in the journal, which is closed however the run ends."""
        row = await asyncio.to_thread(journal.instance_row, self.engine, name)
        settings = self.config.instances[name]
        # A first pull finds nothing stored, so it reads everything without being told; and if it was interrupted, what it had
        # finished need not be read again.
        first = row is None or row["last_full_at"] is None
        # What the configuration lets in again was not looked at meanwhile: no gate knows it.
        chosen_anew = row is not None and not first and (row["limited_to"] or []) != settings.choices()
        before = await asyncio.to_thread(journal.last_run, self.engine, name)
        began_with = await asyncio.to_thread(journal.run_choice, self.engine, name)
        unfinished = before is not None and before["outcome"] not in _WHOLE
        same = not chosen_anew if began_with is None else began_with == settings.choices()
        # What a run left out that never came to its end was not looked at either.
        chosen_anew = chosen_anew or (unfinished and not first and not same)
        full = options.full or chosen_anew or (not first and self._full_is_due(name, row))
        # An interrupted run is continued by the next one, as full as it was. Whoever asks for more than it read, or for certain
        # spaces now, is not answered with what it read a while ago.
        continues = False
        if before is not None and unfinished and not options.spaces:
            # One that began with another choice would leave out what it let in; else a choice would be begun with again for ever.
            continues = (bool(before["full"]) or not options.full) and same
            full = full or (continues and bool(before["full"]))
        # Of some spaces it is no full run, whatever it reads there.
        all_of_it = not options.spaces
        if all_of_it and began_with != settings.choices():
            await asyncio.to_thread(journal.save_run_choice, self.engine, name, settings.choices())
        began = partial(journal.start_run, self.engine, name, self.clock.now(), full=full and all_of_it)
        run_id = await asyncio.to_thread(began)
        events.emit(events.RunStarted("pull", name, full))
        try:
            await asyncio.to_thread(check_known, self.engine, name, row, settings)
            await asyncio.to_thread(self._credentials().ask_for, name, _SIGN_IN)
            async with self.reader(name, lease.check) as (reader, transport):
                self._stats[name] = transport.stats
                try:
                    await self._run(_Run(name, full, continues, options, lease, result), row, reader)
                finally:
                    stats = transport.stats
                    result.requests, result.retries = stats.requests, stats.retries
                    result.bytes, result.platform_seconds = stats.bytes, round(stats.platform_seconds, 3)
        except Throttled as error:
            result.outcome, result.message = PullEnd.THROTTLED, str(error)
        except ConnectorError as error:
            result.outcome, result.message = PullEnd.FAILED, str(error)
            wrong = error if isinstance(error, WrongCredentials) else error.__cause__
            if isinstance(wrong, WrongCredentials):
                await asyncio.to_thread(self._credentials().remember, name, wrong, _SIGN_IN)
        except LeaseLost as error:
            events.emit(events.LeaseMoved(lease.name, "lost"))
            result.outcome, result.message = PullEnd.LEASE_LOST, str(error)
        except asyncio.CancelledError:
            result.outcome, result.message = PullEnd.STOPPED, _STOPPED
        except STOPPING:
            raise
        except BaseException as error:
            events.emit(events.Warned(name, type(error).__name__))
            result.outcome, result.message = PullEnd.FAILED, unforeseen(name, error)
        result.seconds = round(self.clock.monotonic() - started, 3)
        await asyncio.to_thread(self._close, run_id, name, (full or first) and all_of_it, lease, result)
        await asyncio.to_thread(self._purge, name, lease)

    def _full_is_due(self, name: str, row: Any) -> bool:
        if row is None or row["last_full_at"] is None:
            return True
        age = (self.clock.now() - row["last_full_at"]).total_seconds()
        return age >= seconds(self.config.instances[name].full_every)

    async def _run(self, run: _Run, row: Any, reader: Reader) -> None:
        known = None if row is None or (run.full and not run.continues) else row["probe"]
        probe = await self._probe(run.name, reader) if known is None else probe_from(known)
        try:
            await self._pages(run, reader, probe)
        except Interface as error:
            if known is None:
                raise
            run.result.notes.append(f"probed again: {error.message}")
            anew = replace(run, full=True, continues=False)
            await self._pages(anew, reader, await self._probe(run.name, reader))

    def _store(self, run: _Run, probe: Probe) -> InstanceStore:
        locales = self.config.instances[run.name].locales or list(probe.locales)
        kinds = self.connector(run.name).kinds
        intake = intake_of(self.config)
        return InstanceStore(self.engine, run.name, locales, self.clock, kinds=kinds, lease=run.lease, intake=intake)

    async def _leave_out(self, run: _Run, store: InstanceStore) -> None:
        """Before anything is judged: what the configuration leaves out now is no riddle; and nobody reads it by `--space`."""
        limits = self.config.instances[run.name].limits()
        lost = await asyncio.to_thread(bury_left_out, store, limits)
        if lost:
            run.result.gone += lost
            after = self.config.privacy.purge_gone_after
            run.result.notes.append(
                f"{lost} proposals lie in spaces that the configuration leaves out now: they are gone here, their texts go after {after}"
            )
        for limit in limits if run.options.spaces else ():
            allowed = await asyncio.to_thread(inside, self.engine, run.name, limit)
            outside = [each for each in run.options.spaces if key(run.name, each) not in allowed]
            if outside:
                raise NotFound(
                    f"{', '.join(outside)} is left out in the configuration", hint=f"it names only {', '.join(limit)}"
                )

    async def _probe(self, name: str, reader: Reader) -> Probe:
        probe = await reader.probe()
        return await asyncio.to_thread(save_probe, self.engine, self.config, name, probe, self.clock)

    async def _pages(self, run: _Run, reader: Reader, probe: Probe) -> None:
        store = await asyncio.to_thread(self._store, run, probe)
        try:
            await self._swept(run, reader, probe, store)
        finally:
            run.result.notes += store.intake.notes() if store.intake is not None else ()

    async def _swept(self, run: _Run, reader: Reader, probe: Probe, store: InstanceStore) -> None:
        await self._leave_out(run, store)
        # What an interrupted run swept to its end is judged by the run that continues it.
        finished = await asyncio.to_thread(store.sweeps.begin, self.clock.now(), continues=run.continues)
        request = PullRequest(
            probe=probe,
            stored=store,
            full=run.full,
            spaces=run.options.spaces,
            done=store.sweeps.done,
            seen=lambda scope: asyncio.to_thread(store.sweeps.seen, scope),
        )
        failure: ConnectorError | None = None
        began = self.clock.now()
        async with contextlib.aclosing(self._until_stopped(reader.pull(request))) as pages:
            try:
                async for page in pages:
                    await self._write(run, store, page)
                    if page.complete:
                        finished.append(page.scope)
                    elif page.next is not None and page.scope in finished:
                        finished.remove(page.scope)  # it is swept anew
                    if run.options.limit is not None and run.result.written.seen >= run.options.limit:
                        run.result.outcome = PullEnd.LIMITED
                        run.result.message = f"stopped after {run.result.written.seen} records as asked"
                        return
                    del page  # not both this one and the next in memory
            except Interface:
                raise
            except ConnectorError as error:
                failure = error  # what was swept to its end before may still be judged
        # A few pages of a scope say nothing of the sweep that an earlier run had left unjudged.
        finished = [scope for scope in finished if scope not in store.sweeps.dropped]
        await asyncio.to_thread(confirm_shown, store, finished)
        whole = failure is None
        if whole and not self.stop.is_set() and not run.options.spaces:
            failure = await self._revisit(run, store, reader, request, began)
        if self.stop.is_set():
            run.result.outcome, run.result.message = PullEnd.STOPPED, _STOPPED
            return
        blocked = await self._judge(store, reader, finished, run.options, run.result)
        if failure is not None:
            if whole:
                # Only what was asked again broke: the next run reads as any other, and is not told that all was read a while ago.
                await asyncio.to_thread(store.sweeps.forget)
            raise failure
        if blocked:
            run.result.outcome = PullEnd.UNDECIDED
            run.result.message = "more is missing than a run may believe; see the notes"
        elif run.result.unread:
            more = len(run.result.unread) - _NAMED
            told = "; ".join(run.result.unread[:_NAMED]) + (f"; and {more} more, see the notes" if more > 0 else "")
            run.result.outcome, run.result.message = PullEnd.INCOMPLETE, f"everything else was read: {told}"
        else:
            run.result.outcome = PullEnd.DONE
        await asyncio.to_thread(store.sweeps.forget)

    async def _write(self, run: _Run, store: InstanceStore, page: Page) -> None:
        async with self._writing:
            written = await asyncio.to_thread(store.write, page)
        run.result.written.add(written)
        counts = (written.seen, written.created, written.changed, written.quarantined)
        events.emit(events.PageWritten(run.name, *counts))
        run.result.pages += 1
        run.result.requests = self._stats[run.name].requests
        if page.note:
            run.result.notes.append(page.note)
        if page.failed and page.failed not in run.result.unread:
            run.result.unread.append(page.failed)
            run.result.notes.append(page.failed)
        if self.progress:
            self.progress(run.name, page, run.result)

    async def _revisit(
        self, run: _Run, store: InstanceStore, reader: Reader, request: PullRequest, began: datetime
    ) -> ConnectorError | None:
        """Ask again for what was confirmed longest ago. What goes wrong there leaves what was read as it is."""
        settings = self.config.instances[run.name]
        row = await asyncio.to_thread(journal.instance_row, self.engine, run.name)
        spent = await asyncio.to_thread(journal.requests_of_last_full, self.engine, run.name)
        budget = Budget.of(spent, seconds(settings.confirm_within), began, row["last_success_at"] if row else None)
        stats = self._stats[run.name]
        pages = revisit(store, reader, request, budget, lambda: stats.requests)
        try:
            async with contextlib.aclosing(self._until_stopped(pages)) as shown:
                async for page in shown:
                    await self._write(run, store, page)
        except Interface:
            raise
        except ConnectorError as error:
            return error
        return None

    async def _until_stopped(self, pages: AsyncIterator[Page]) -> AsyncGenerator[Page, None]:
        stopped = asyncio.ensure_future(self.stop.wait())
        iterator = aiter(pages)
        following: asyncio.Future[Page] | None = None
        try:
            while not self.stop.is_set():
                following = asyncio.ensure_future(anext(iterator))
                await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    return
                try:
                    yield following.result()
                except StopAsyncIteration:
                    return
        finally:
            stopped.cancel()
            if following is not None and not following.done():
                # Before the pages are closed, also when the whole run is cancelled: what still runs cannot be closed.
                following.cancel()
                await asyncio.wait({following})
                if not following.cancelled():
                    following.exception()  # of no interest any more
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
        result.unread.extend(each for each in verdict.unread if each not in result.unread)
        return verdict.blocked

    def _close(self, run_id: int, name: str, full: bool, lease: Lease, result: PullOutcome) -> None:
        """The end of a run in the journal, under its lease: whoever slept until another process took over has not done the turn twice."""
        now = self.clock.now()
        row: dict[str, Any] | None = None
        if result.outcome in _WHOLE:
            # Also a run that asks the admin has read everything: what waits is kept, and costs no later run a full one.
            row = {"name": name, "last_success_at": now}
            if full:
                row["last_full_at"] = now
                row["limited_to"] = self.config.instances[name].choices()
        if result.outcome is not PullEnd.LEASE_LOST:
            try:
                with writing(self.engine, lease) as connection:
                    self._end(connection, run_id, row, now, result)
            except LeaseLost as error:
                events.emit(events.LeaseMoved(lease.name, "lost"))
                result.outcome, result.message = PullEnd.LEASE_LOST, str(error)
            else:
                return
        # Nobody need have taken over yet; where somebody has, this run was closed by that one.
        with self.engine.begin() as connection:
            self._end(connection, run_id, None, now, result)

    @staticmethod
    def _end(
        connection: Connection, run_id: int, row: dict[str, Any] | None, now: datetime, result: PullOutcome
    ) -> None:
        journal.close_run(
            connection,
            run_id,
            row,
            ended_at=now,
            outcome=result.outcome,
            message=result.message,
            notes=result.notes,
            **result.counts(),
        )

    def _purge(self, name: str, lease: Lease) -> None:
        """Erasure waits for nobody: whatever became of the run, what is due goes. Where the lease was lost, whoever has it does it."""
        with contextlib.suppress(LeaseLost):
            found = purge_classes(self.engine, name, self.clock.now(), keeping_of(self.config, name), lease=lease)
            if found.told:
                audit.record(self.engine, self.clock, action="purge", object=name, result=found.told)
            keep = term(self.config.privacy.retention.audit)
            if keep is not None:
                audit.purge(self.engine, self.clock, keep)


class _Collections:
    """How often this process looks for cycles, and how many pulls want it seldom: those of all pullers together."""

    pulls = 0
    usual: tuple[int, int, int] = gc.get_threshold()


@contextlib.contextmanager
def few_collections() -> Generator[None]:
    """A page is tens of thousands of small objects that reference counting frees; looking for cycles among them again and again takes a
    fifth of the time. Never looking would keep everything that errors and tasks hold in circles, in a process that pulls all day."""
    if not _Collections.pulls:
        _Collections.usual = gc.get_threshold()
        gc.set_threshold(20_000, 10, 5)
    _Collections.pulls += 1
    try:
        yield
    finally:
        _Collections.pulls -= 1
        if not _Collections.pulls:
            gc.set_threshold(*_Collections.usual)


def save_probe(engine: Engine, config: Config, name: str, probe: Probe, clock: Clock) -> Probe:
    """Keep what was found at an instance; returns it as it is kept (`with_language`)."""
    settings, row = config.instances[name], journal.instance_row(engine, name)
    probe = with_language(probe, None if row is None else row["probe"])
    journal.save_instance(
        engine,
        {
            "name": name,
            "platform": settings.platform,
            "url": settings.url,
            "pseudonyms_of": settings.named_before,
            "title": probe.title,
            "version": probe.version,
            "dialect": probe.dialect,
            "locales": list(settings.locales or probe.locales),
            "probe": probe_to(probe),
            "probed_at": clock.now(),
        },
    )
    return probe


def with_language(probe: Probe, before: Mapping[str, Any] | None) -> Probe:
    """A probe that could not read the site's own language has that of the probe before it: a start page that fails once changes no title.

    `before`: the last probe, as `probe_to` made it.
    """
    if before is None or "language" not in probe.facts or probe.facts["language"] is not None:
        return probe
    language = before["facts"].get("language") or next(iter(before["locales"]), None)
    if language is None:
        return probe
    first = [language] if not probe.locales or language in probe.locales else []
    locales = [*first, *(each for each in probe.locales if each not in first)]
    return replace(probe, locales=locales, facts={**probe.facts, "language": language})


def probe_to(probe: Probe) -> dict[str, Any]:
    """A probe as JSON."""
    return {**asdict(probe), "facts": dict(probe.facts)}


def probe_from(data: dict[str, Any]) -> Probe:
    """A probe from JSON."""
    return msgspec.convert(data, Probe)
