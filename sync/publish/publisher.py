"""Publishing: routes are planned, written into the ledger, sent once, and looked up where an answer was lost.

One process at a time writes to a target (a fenced lease); one target at a time has one stream. What is committed stays: Ctrl-C, a crash or
a dead platform end the run after the operation at hand, and the next run knows what is certain and what must be looked up.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ...config.model import Config
from ...connectors.contract.errors import ConnectorError, NotDone, Throttled, WrongCredentials
from ...connectors.contract.writing import WriteContext, Writer
from ...connectors.open import open_writer, user_agent
from ...core import events
from ...core.clock import Clock
from ...core.durations import seconds
from ...core.leases import Lease, LeaseLost
from ...core.ledger.ledger import Ledger
from ...core.ledger.marker import Signer
from ...core.ledger.queries import count_by_state, reasons_told
from ...core.ledger.states import UNDER_WAY, OperationKind, OperationState
from ..credentials import Credentials, FurtherAccounts
from ..net import STOPPING, unforeseen
from .outcome import PublishProgress, RouteEnd, RouteOutcome, Shown, Waiting
from .target_run import TargetRun

_TO_DO = (OperationState.APPROVED, *UNDER_WAY)


class Publisher:
    """Runs routes of one configuration against one database."""

    def __init__(
        self,
        config: Config,
        engine: Engine,
        clock: Clock,
        *,
        progress: PublishProgress | None = None,
        stop: asyncio.Event | None = None,
        backends: Mapping[str, Any] | None = None,
        waiting: Waiting | None = None,
        shown: Shown | None = None,
    ) -> None:
        """`backends`: applications that answer instead of the network, by instance (tests). `shown`: takes the decisions of a dry run, of
        which outcomes and plans then hold none."""
        self.config = config
        self.engine = engine
        self.clock = clock
        self.progress = progress
        self.stop = stop or asyncio.Event()
        self.backends = backends or {}
        self.waiting = waiting
        self.shown = shown
        self.ledger = Ledger(engine, clock)
        self.signer = Signer(config.privacy.signing_key)
        self.life = Clock()
        """The clock of this process's leases; another one only in tests of leases."""

    async def publish(self, names: Iterable[str], *, dry_run: bool = False) -> list[RouteOutcome]:
        """Run these routes; never raises for what a platform does."""
        outcomes = {name: RouteOutcome(name) for name in names}
        targets: dict[str, list[str]] = {}
        for name, outcome in outcomes.items():
            route = self.config.routes[name]
            if not route.enabled:
                outcome.outcome, outcome.message = RouteEnd.DISABLED, "`enabled: false` in the configuration"
                continue
            targets.setdefault(route.to.instance, []).append(name)
        backwards: dict[str, list[str]] = {}
        for each in targets.values():
            for name in each:
                if self.config.routes[name].follow.answers_to_origin:
                    backwards.setdefault(self.config.routes[name].source.instance, []).append(name)
        if not dry_run:
            await self._introduce(self.config.routes[name].source.instance for name in outcomes)
        await asyncio.gather(
            *(self._target(instance, [outcomes[name] for name in each], dry_run) for instance, each in targets.items())
        )
        if not dry_run:
            await self._left_behind([name for each in targets.values() for name in each], outcomes)
            for instance, each in backwards.items():
                await self._target(instance, [outcomes[name] for name in each], dry_run, backwards=True)
            after = timedelta(seconds=seconds(self.config.privacy.purge_gone_after))
            try:
                await asyncio.to_thread(self.ledger.forget_texts, self.clock.now() - after)
            except SQLAlchemyError as error:  # the next run does it; what this one did is told all the same
                events.emit(events.Warned("", type(error).__name__))
        return list(outcomes.values())

    async def _left_behind(self, names: Sequence[str], outcomes: Mapping[str, RouteOutcome]) -> None:
        """Where routes led before: what is still open there. How it goes at their own target stops none of it."""
        places: dict[str, dict[str, RouteOutcome]] = {}
        for name in names:
            led_to = self.config.routes[name].to.instance
            for op in await asyncio.to_thread(partial(self.ledger.operations, states=_TO_DO, route=name)):
                if op.kind is OperationKind.ANSWER_BACK or op.target_instance == led_to:
                    continue
                if op.target_instance in self.config.instances:
                    places.setdefault(op.target_instance, {}).setdefault(name, RouteOutcome(name))
        for instance, there in places.items():
            await self._target(instance, list(there.values()), dry_run=False, backwards=True)
            for name, each in there.items():
                outcomes[name].add(each)
                outcomes[name].counts = await asyncio.to_thread(count_by_state, self.engine, name)
                outcomes[name].reasons = await asyncio.to_thread(reasons_told, self.engine, name)

    def _writer(
        self, instance: str, before_request: Callable[[], None] | None = None
    ) -> contextlib.AbstractAsyncContextManager[tuple[Writer, WriteContext]]:
        return open_writer(
            instance,
            self.config.instances[instance],
            secret=self.config.privacy.key.get_secret_value(),
            agent=user_agent(self.config.operator.name, self.config.operator.contact),
            clock=self.clock,
            backend=self.backends.get(instance),
            on_wait=lambda why, wait: self.wait(instance, why, wait),
            before_request=before_request,
            refusals=FurtherAccounts(Credentials(self.config, self.ledger), instance),
        )

    async def _introduce(self, sources: Iterable[str]) -> None:
        """Before anything is judged to be an original: who we are where copies are made, if this database does not know yet."""
        targets = {route.to.instance for route in self.config.routes.values()}
        for instance in sorted(targets & set(sources)):
            try:
                if not await asyncio.to_thread(self.ledger.accounts, instance):
                    await self._introduce_at(instance)
            except ConnectorError:
                pass  # the route that leads there says why
            except STOPPING:
                raise
            except BaseException as error:  # nor may it end the routes that lead elsewhere
                events.emit(events.Warned(instance, type(error).__name__))

    async def _introduce_at(self, instance: str) -> None:
        credentials = Credentials(self.config, self.ledger)
        await asyncio.to_thread(credentials.ask, instance)
        async with self._writer(instance) as (writer, context):
            try:
                standing = await writer.check()
            except WrongCredentials as error:
                await asyncio.to_thread(credentials.remember, instance, error)
                raise
            if standing.account is not None:
                pseudonym = context.reading.pseudonym(standing.account)
                await asyncio.to_thread(self.ledger.remember_account, instance, pseudonym)

    async def _target(
        self, instance: str, outcomes: Sequence[RouteOutcome], dry_run: bool, *, backwards: bool = False
    ) -> None:
        lease = Lease(self.engine, f"publish:{instance}", self.life)
        began, started = self.clock.monotonic(), False
        try:
            if not dry_run and not await asyncio.to_thread(lease.take):
                events.emit(events.LeaseMoved(lease.name, "refused"))
                who = await asyncio.to_thread(lease.held_by)
                _end(outcomes, RouteEnd.BUSY, f"another process is writing to {instance} ({who}); nothing was done")
                return
            events.emit(events.RunStarted("publish", instance))
            started = True
            async with contextlib.AsyncExitStack() as stack:
                if not dry_run:
                    events.emit(events.LeaseMoved(lease.name, "taken"))
                    await stack.enter_async_context(lease.kept())
                ledger = Ledger(self.engine, self.clock, None if dry_run else lease)
                writer, context = await stack.enter_async_context(
                    self._writer(instance, None if dry_run else lease.check)
                )
                run = TargetRun(self, instance, writer, context.reading, ledger)
                if backwards:
                    await run.backwards(outcomes)
                else:
                    await run.run(outcomes, dry_run)
        except ConnectorError as error:
            patience = isinstance(error, Throttled) or (isinstance(error, NotDone) and error.status == 429)
            _end(outcomes, RouteEnd.PARTIAL if patience else RouteEnd.FAILED, f"{instance}: {error}")
        except LeaseLost as error:
            events.emit(events.LeaseMoved(lease.name, "lost"))
            _end(outcomes, RouteEnd.LEASE_LOST, str(error))
        except STOPPING:
            raise
        except BaseException as error:  # whatever one target does, the others' routes go on
            events.emit(events.Warned(instance, type(error).__name__))
            _end(outcomes, RouteEnd.FAILED, unforeseen(instance, error))
        finally:
            if started:
                ended = ",".join(sorted({each.outcome for each in outcomes}))
                events.emit(events.RunEnded("publish", instance, ended, self.clock.monotonic() - began))

    def wait(self, instance: str, why: str, seconds: float) -> None:
        """Tell whoever watches that a platform is waited for."""
        if self.waiting is not None:
            self.waiting(instance, why, seconds)


def _end(outcomes: Sequence[RouteOutcome], how: RouteEnd, message: str) -> None:
    for each in outcomes:
        if each.outcome in {RouteEnd.DONE, RouteEnd.PLANNED, RouteEnd.WAITING}:
            each.outcome, each.message = how, message
