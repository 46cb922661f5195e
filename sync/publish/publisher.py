"""Publishing: routes are planned, written into the ledger, sent once, and looked up where an answer was lost.

One process at a time writes to a target (a lease); one target at a time has one stream. What is committed stays: Ctrl-C, a crash or a
dead platform end the run after the operation at hand, and the next run knows what is certain and what must be looked up.
"""

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from ...config.model import Config, seconds
from ...connectors.contract.errors import ConnectorError, NotDone, Throttled
from ...connectors.contract.writing import WriteContext, Writer
from ...connectors.open import open_writer, user_agent
from ...core import journal
from ...core.clock import Clock
from ...core.ledger.ledger import Ledger
from ...core.ledger.marker import Signer
from .outcome import PublishProgress, RouteOutcome, Waiting
from .target_run import TargetRun

LEASE_SECONDS = 120.0
HEARTBEAT_SECONDS = 30.0


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
    ) -> None:
        """`backends`: applications that answer instead of the network, by instance (tests)."""
        self.config = config
        self.engine = engine
        self.clock = clock
        self.progress = progress
        self.stop = stop or asyncio.Event()
        self.backends = backends or {}
        self.waiting = waiting
        self.ledger = Ledger(engine, clock)
        self.signer = Signer(config.privacy.key.get_secret_value())
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    async def publish(self, names: Iterable[str], *, dry_run: bool = False) -> list[RouteOutcome]:
        """Run these routes; never raises for what a platform does."""
        outcomes = {name: RouteOutcome(name) for name in names}
        targets: dict[str, list[str]] = {}
        for name, outcome in outcomes.items():
            route = self.config.routes[name]
            if not route.enabled:
                outcome.outcome, outcome.message = "disabled", "`enabled: false` in the configuration"
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
            for instance, each in backwards.items():
                await self._target(instance, [outcomes[name] for name in each], dry_run, backwards=True)
            after = timedelta(seconds=seconds(self.config.privacy.purge_gone_after))
            self.ledger.forget_texts(self.clock.now() - after)
        return list(outcomes.values())

    def _writer(self, instance: str) -> contextlib.AbstractAsyncContextManager[tuple[Writer, WriteContext]]:
        return open_writer(
            instance,
            self.config.instances[instance],
            secret=self.config.privacy.key.get_secret_value(),
            agent=user_agent(self.config.operator.name, self.config.operator.contact),
            clock=self.clock,
            backend=self.backends.get(instance),
            on_wait=lambda why, wait: self.wait(instance, why, wait),
        )

    async def _introduce(self, sources: Iterable[str]) -> None:
        """Before anything is judged to be an original: who we are where copies are made, if this database does not know yet."""
        targets = {route.to.instance for route in self.config.routes.values()}
        for instance in sorted(targets & set(sources)):
            if self.ledger.accounts(instance):
                continue
            with contextlib.suppress(ConnectorError):
                async with self._writer(instance) as (writer, context):
                    standing = await writer.check()
                    if standing.account is not None:
                        self.ledger.remember_account(instance, context.reading.pseudonym(standing.account))

    async def _target(
        self, instance: str, outcomes: Sequence[RouteOutcome], dry_run: bool, *, backwards: bool = False
    ) -> None:
        lease = f"publish:{instance}"
        if not dry_run and not self._take(lease):
            for each in outcomes:
                each.outcome, each.message = "busy", f"another process is writing to {instance}; nothing was done"
            return
        heartbeat = asyncio.ensure_future(self._keep(lease)) if not dry_run else None
        try:
            async with self._writer(instance) as (writer, context):
                run = TargetRun(self, instance, writer, context.reading)
                if backwards:
                    await run.backwards(outcomes)
                else:
                    await run.run(outcomes, dry_run)
        except ConnectorError as error:
            patience = isinstance(error, Throttled) or (isinstance(error, NotDone) and error.status == 429)
            for each in outcomes:
                if each.outcome == "done":
                    each.outcome, each.message = "partial" if patience else "failed", f"{instance}: {error}"
        finally:
            if heartbeat is not None:
                heartbeat.cancel()
                journal.free_lease(self.engine, lease, self.holder)

    def wait(self, instance: str, why: str, seconds: float) -> None:
        """Tell whoever watches that a platform is waited for."""
        if self.waiting is not None:
            self.waiting(instance, why, seconds)

    def _take(self, lease: str) -> bool:
        return journal.take_lease(self.engine, lease, self.holder, self.clock.now(), LEASE_SECONDS)

    async def _keep(self, lease: str) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)  # the process's own life, whatever clock a test gives
            self._take(lease)
