"""One run against one target instance: recover, plan, send, look up, until nothing is left that can be done now.

It has the target to itself (the lease is `sync.publish`'s) and one stream to it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import Engine

from ...config.model import Config, seconds
from ...config.routes import Route
from ...connectors.contract.errors import CannotDo, NotDone
from ...connectors.contract.reading import Context
from ...connectors.contract.writing import CanFind, Limits, Writer
from ...core.clock import Clock
from ...core.journal import instance_row
from ...core.ledger.ledger import Ledger, Operation
from ...core.ledger.marker import Signer
from .decisions import Plan, requests_of
from .intents import adopt, count, hold_older, plans_first, reasons, write_down
from .outcome import PublishProgress, RouteOutcome
from .planning import Planner
from .queue import due, overtakes
from .route_names import unknown_names
from .sending import Deliverer, Job, SendingCounts

BREAK_AFTER = 5
REST = timedelta(minutes=5)
PATIENCE = 120.0
"""Seconds that a run waits for a platform that asks for patience, before it leaves the rest to the next run."""
_SIGN_INS = 60.0
"""Sign-ins are counted per minute, and not every platform says so when it asks for patience."""
_Told = TypeVar("_Told")


class Owner(Protocol):
    """What a run needs of the publisher it belongs to."""

    config: Config
    engine: Engine
    clock: Clock
    progress: PublishProgress | None
    stop: asyncio.Event
    ledger: Ledger
    signer: Signer

    def wait(self, instance: str, why: str, seconds: float) -> None:
        """Tell whoever watches."""
        ...


class TargetRun:
    """One run against one target: recover, plan, send, look up, until nothing is left that can be done now."""

    def __init__(self, publisher: Owner, instance: str, writer: Writer, context: Context) -> None:
        self.publisher = publisher
        self.config = publisher.config
        self.ledger = publisher.ledger
        self.clock = publisher.clock
        self.instance = instance
        self.writer = writer
        self.context = context
        safety = self.config.safety
        self.deliverer = Deliverer(
            self.ledger, writer, settle=timedelta(seconds=seconds(safety.settle)), attempts=safety.attempts
        )
        self.host = urlsplit(self.config.instances[instance].url).netloc
        self.message = ""
        self._patience = PATIENCE
        self._introduced = False

    @property
    def tally(self) -> SendingCounts:
        """What was done so far."""
        return self.deliverer.tally

    async def run(self, outcomes: Sequence[RouteOutcome], dry_run: bool) -> None:
        """Everything for the routes that lead here."""
        until = self.ledger.open_until(self.host)
        if until is not None and not dry_run:
            for each in outcomes:
                each.outcome = "partial"
                each.message = (
                    f"{self.host} failed {BREAK_AFTER} times in a row; it is left alone until {until:%H:%M} UTC"
                )
            return
        if not self.ledger.accounts(self.instance):
            await self._introduce()
        if not dry_run:
            await self._recover()
        for outcome in outcomes:
            if not await self._plan(outcome, dry_run):
                continue
            if dry_run:
                self._show(outcome)
        if dry_run:
            return
        if self.ledger.operations(states=("approved", "unknown"), target=self.instance):
            await self._introduce()
            await self._adopt(outcomes)
        await self._work({outcome.route: outcome for outcome in outcomes})
        self._close(outcomes)

    async def backwards(self, outcomes: Sequence[RouteOutcome]) -> None:
        """Tell the answers that copies got to their origins here."""
        await self._recover()
        if not self.ledger.operations(states=("approved", "unknown"), target=self.instance):
            return
        await self._introduce()
        await self._work({outcome.route: outcome for outcome in outcomes})
        for outcome in outcomes:
            outcome.counts = _sum(outcome.counts, self.tally.sent)

    async def _introduce(self) -> None:
        """Sign in and learn who we are there; once per run, and only when there is something to write or nothing is known yet."""
        if self._introduced:
            return
        self._introduced = True
        standing = await self._patient(self.writer.check)
        if standing.account is not None:
            self.ledger.remember_account(self.instance, self.context.pseudonym(standing.account))

    async def _patient(self, ask: Callable[[], Awaitable[_Told]]) -> _Told:
        """Ask what changes nothing (who we are, what a space takes): again when an answer was lost, or after the patience asked for."""
        for pause in (1.0, 3.0):
            try:
                return await ask()
            except NotDone as error:
                wait = error.wait if error.wait is not None else _SIGN_INS if error.status == 429 else pause
                if wait > PATIENCE:
                    raise
                await self._pause(wait, error.message)
                if self.publisher.stop.is_set():
                    raise
        return await ask()

    async def _recover(self) -> None:
        for op in self.ledger.operations(states=("sending",), target=self.instance):
            job = self._job(op)
            if job is not None:
                self.deliverer.orphan(job)

    def _job(self, op: Operation) -> Job | None:
        own = self.ledger.publication(op.publication_id)
        route = self.config.routes.get(op.route)
        if own is None:
            return None
        return Job(op, own, own.target_space, route.conflict if route is not None else "manual")

    # Planning ---------------------------------------------------------------------------------------------------------

    async def _plan(self, outcome: RouteOutcome, dry_run: bool) -> bool:
        name, route = outcome.route, self.config.routes[outcome.route]
        known = self.ledger.route(name)
        if known is not None and known["halted_at"] is not None and not dry_run:
            outcome.outcome = "halted"
            outcome.message = f"{known['halted_reason']}; `civicsync review resume {name}` starts it again"
            return False
        try:
            limits = await self._patient(lambda: self.writer.limits(route.to.space, route.to.voice))
        except CannotDo as error:
            outcome.outcome, outcome.message = "failed", str(error)
            return False
        planner = self._planner(name, limits)
        plan = planner.plan(min(route.max_per_run, self._room_today(name, route)))
        outcome.plan = plan
        outcome.warnings = unknown_names(self.publisher.engine, route)
        if not dry_run:
            first = (
                known is None or known["planned_at"] is None or not _same_ends(known["fingerprint"], plan.fingerprint)
            )
            if first and not plan.decisions and instance_row(self.publisher.engine, route.source.instance) is None:
                outcome.message = f"{route.source.instance} was never pulled: run `civicsync sync` first"
            self._write_down(plan, route, first=first)
            self.ledger.save_route(name, fingerprint=plan.fingerprint, planned_at=plan.began)
            if first and plans_first(route) and plan.of("create"):
                outcome.outcome = "planned"
                outcome.message = "the first run of a route only plans; run `civicsync publish` again to send"
        return True

    def _planner(self, name: str, limits: Limits) -> Planner:
        return Planner(
            self.config, self.publisher.engine, self.ledger, self.publisher.signer, name, self.writer, limits
        )

    def _room_today(self, name: str, route: Route) -> int:
        return max(0, route.max_per_day - self.ledger.created_since(name, self.clock.now() - timedelta(days=1)))

    def _write_down(self, plan: Plan, route: Route, *, first: bool) -> None:
        """Intents into the ledger; what an earlier run only planned moves on."""
        if not (first and plans_first(route)):
            self._promote(plan.route, route)
        for each in plan.decisions:
            write_down(self.ledger, plan.route, route, each, first=first)

    def _promote(self, name: str, route: Route) -> None:
        for op in self.ledger.operations(states=("planned",), route=name):
            state = "awaiting_approval" if route.approval == "required" else "approved"
            publication = {"state": state} if op.kind == "create" else None
            self.ledger.move(op, state, publication=publication)

    def _show(self, outcome: RouteOutcome) -> None:
        route = self.config.routes[outcome.route]
        for each in outcome.plan.decisions if outcome.plan else ():
            if each.action == "answer_back":
                continue  # it goes to another platform
            with contextlib.suppress(CannotDo):
                outcome.requests[f"{each.action} {each.origin}"] = requests_of(each, route, self.writer)

    # Adopting ---------------------------------------------------------------------------------------------------------

    async def _adopt(self, outcomes: Sequence[RouteOutcome]) -> None:
        """Before anything new is made: what we made before and the ledger does not know (it was restored from a backup)."""
        waiting = self.ledger.operations(states=("approved", "planned", "awaiting_approval"), target=self.instance)
        if not isinstance(self.writer, CanFind) or not any(op.kind == "create" for op in waiting):
            return
        spaces: dict[str, dict[str, str]] = {}
        for each in outcomes:
            route = self.config.routes[each.route]
            spaces.setdefault(route.to.space, {})[route.source.instance] = each.route
        for space, routes in spaces.items():
            adopted = await adopt(
                self.ledger,
                self.publisher.signer,
                self.writer,
                self.writer.read,
                self.instance,
                space,
                routes,
                stop_at_known=True,
            )
            for name in {each.publication.route for each in adopted}:
                hold_older(self.ledger, self.publisher.signer, name, self.config.routes[name], adopted)

    # Sending ----------------------------------------------------------------------------------------------------------

    async def _work(self, outcomes: Mapping[str, RouteOutcome]) -> None:
        started = self.clock.monotonic()
        while not self.publisher.stop.is_set():
            progressed = await self._look_up(outcomes)
            progressed |= await self._send_all(outcomes)
            if self.message or self.publisher.stop.is_set():
                return
            if progressed:
                continue
            wait = self._next(outcomes)
            if wait is None or self.clock.monotonic() - started + wait > PATIENCE:
                return
            await self._pause(wait)

    async def _pause(
        self, wait: float, why: str = "to be sure that nothing arrives late, before it is sent again"
    ) -> None:
        self.publisher.wait(self.instance, why, wait)
        sleeping = asyncio.ensure_future(self.clock.sleep(wait))
        stopped = asyncio.ensure_future(self.publisher.stop.wait())
        await asyncio.wait({sleeping, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for each in (sleeping, stopped):
            each.cancel()

    def _mine(self, states: Sequence[str], routes: Mapping[str, RouteOutcome]) -> list[Operation]:
        found = self.ledger.operations(states=states, target=self.instance)
        return [op for op in found if op.route in routes and routes[op.route].outcome not in {"halted", "failed"}]

    def _next(self, outcomes: Mapping[str, RouteOutcome]) -> float | None:
        """Seconds until something may be tried again; None when nothing waits for time alone."""
        now = self.clock.now()
        times = [op.not_before for op in self._mine(("approved", "unknown"), outcomes) if op.not_before is not None]
        later = [each for each in times if each > now]
        return (min(later) - now).total_seconds() if later else None

    async def _look_up(self, outcomes: Mapping[str, RouteOutcome]) -> bool:
        progressed = False
        for op in self._mine(("unknown",), outcomes):
            job = self._job(op)
            if job is None or self.publisher.stop.is_set():
                continue
            state = await self.deliverer.resolve(job)
            progressed |= state != "unknown"
            self._tell(op, state)
            if self.deliverer.asked is not None:
                return await self._slow_down(self.deliverer.asked)
            if state == "unknown" and self.deliverer.trouble and self._broken(self.deliverer.trouble):
                return False
        return progressed

    async def _slow_down(self, wait: float) -> bool:
        """Wait as long as the platform asks, for everything that goes there; False when that is longer than a run waits."""
        if wait > self._patience:
            self.message = f"{self.host} asks to slow down; the rest is left for the next run"
            return False
        self._patience -= wait
        await self._pause(wait, "it asks to slow down")
        return True

    async def _send_all(self, outcomes: Mapping[str, RouteOutcome]) -> bool:
        progressed = False
        lost: list[Operation] = []
        for op in self._mine(("approved",), outcomes):
            if self.publisher.stop.is_set() or not due(op, self.clock.now()) or overtakes(self.ledger, op):
                continue
            if op.kind == "create" and op.first_sent_at is None and not self._may_create(op.route, outcomes[op.route]):
                continue
            job = self._job(op)
            if job is None:
                continue
            # Soon, while what was lost is still among the newest there.
            while lost and due(lost[0], self.clock.now()):
                progressed |= await self._resolve(lost.pop(0)) in {"sent", "approved"}
            state = await self.deliverer.send(job)
            trouble = self.deliverer.trouble
            if state == "unknown":
                state = await self._resolve(op)
                again = self.ledger.operation(op.id)
                lost += [again] if state == "unknown" and again is not None else []
            progressed |= state in {"sent", "approved"}
            self._tell(op, state)
            if self.deliverer.asked is not None:
                return await self._slow_down(self.deliverer.asked)
            if state in {"sent", "refused"}:
                self.ledger.count_success(self.host)
            elif trouble and self._broken(trouble):
                return False
        return progressed

    async def _resolve(self, op: Operation) -> str:
        """What became of an operation whose answer was lost, if the platform can tell by now."""
        now = self.ledger.operation(op.id)
        job = self._job(now) if now is not None and now.state == "unknown" else None
        return await self.deliverer.resolve(job) if job is not None else "unknown"

    def _may_create(self, name: str, outcome: RouteOutcome) -> bool:
        route, now = self.config.routes[name], self.clock.now()
        if self.ledger.created_since(name, now - timedelta(hours=1)) >= route.halt_above_per_hour:
            reason = f"more than {route.halt_above_per_hour} copies in an hour"
            self.ledger.save_route(name, halted_at=now, halted_reason=reason)
            outcome.outcome, outcome.message = "halted", f"{reason}; `civicsync review resume {name}` starts it again"
            return False
        if outcome.counts.get("_made", 0) >= route.max_per_run or not self._room_today(name, route):
            outcome.message = "the rest waits: max_per_run or max_per_day is reached"
            return False
        outcome.counts["_made"] = outcome.counts.get("_made", 0) + 1
        return True

    def _broken(self, trouble: str) -> bool:
        until = self.ledger.count_failure(self.host, BREAK_AFTER, REST)
        if until is None:
            return False
        self.message = (
            f"{self.host} failed {BREAK_AFTER} times in a row ({trouble}); left alone until {until:%H:%M} UTC"
        )
        return True

    def _tell(self, op: Operation, state: str) -> None:
        if self.publisher.progress is not None:
            self.publisher.progress(self.instance, op, state)

    def _close(self, outcomes: Sequence[RouteOutcome]) -> None:
        for outcome in outcomes:
            outcome.counts.pop("_made", None)
            outcome.counts = _sum(outcome.counts, count(self.ledger, outcome.route))
            outcome.reasons = reasons(self.ledger, outcome.route)
            if outcome.outcome != "done":
                continue
            left = self.ledger.operations(states=("approved", "sending", "unknown"), route=outcome.route)
            if self.publisher.stop.is_set() and left:
                outcome.outcome, outcome.message = "stopped", "stopped; the next run goes on from there"
            elif left:
                outcome.outcome = "partial"
                outcome.message = self.message or outcome.message or f"{len(left)} left for the next run"
            elif self.ledger.operations(states=("awaiting_approval",), route=outcome.route):
                outcome.outcome = "waiting"
                outcome.message = "some wait for approval: `civicsync review list`"


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _same_ends(one: str, other: str) -> bool:
    return one.rpartition(":")[0] == other.rpartition(":")[0]
