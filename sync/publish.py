"""Publishing: routes are planned, written into the ledger, sent once, and looked up where an answer was lost.

One process at a time writes to a target (a lease); one target at a time has one stream. What is committed stays: Ctrl-C, a crash or a
dead platform end the run after the operation at hand, and the next run knows what is certain and what must be looked up.
"""

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine

from ..config.model import Config, seconds
from ..config.routes import Route
from ..connectors.contract import Context
from ..connectors.errors import CannotDo, ConnectorError
from ..connectors.writing import Finds, Limits, Request, Standing, Writer
from ..core import runs
from ..core.clock import Clock
from ..core.ledger import DuplicateCopy, Ledger, Operation, Publication, copy_columns
from ..core.marker import Signer, markers_in
from .deliver import Deliverer, Job, Tally, due
from .open import open_writer
from .plan import Decision, Plan, Planner, lane_of, requests_of
from .render import fingerprint

LEASE_SECONDS = 120.0
HEARTBEAT_SECONDS = 30.0
BREAK_AFTER = 5
REST = timedelta(minutes=5)
PATIENCE = 120.0
"""Seconds that a run waits for a platform that asks for patience, before it leaves the rest to the next run."""


@dataclass(slots=True)
class RouteOutcome:
    """How one route's run ended: done, planned (first run), waiting (for people), partial, halted, busy, disabled or failed."""

    route: str
    outcome: str = "done"
    message: str = ""
    plan: Plan | None = None
    requests: dict[str, Sequence[Request]] = field(default_factory=dict[str, Sequence[Request]])
    """With `--dry-run`: the exact requests, by `action origin`."""
    counts: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def failed(self) -> bool:
        """Whether a script should take notice."""
        return self.outcome in {"failed", "halted"}


Progress = Callable[[str, Operation, str], None]
"""Called after each operation: target instance, operation, the state it ended in."""


class Publisher:
    """Runs routes of one configuration against one database."""

    def __init__(
        self,
        config: Config,
        engine: Engine,
        clock: Clock,
        *,
        progress: Progress | None = None,
        stop: asyncio.Event | None = None,
        backends: Mapping[str, Any] | None = None,
    ) -> None:
        """`backends`: applications that answer instead of the network, by instance (tests)."""
        self.config = config
        self.engine = engine
        self.clock = clock
        self.progress = progress
        self.stop = stop or asyncio.Event()
        self.backends = backends or {}
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
        await asyncio.gather(
            *(self._target(instance, [outcomes[name] for name in each], dry_run) for instance, each in targets.items())
        )
        if not dry_run:
            for instance, each in backwards.items():
                await self._target(instance, [outcomes[name] for name in each], dry_run, backwards=True)
        return list(outcomes.values())

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
            async with open_writer(self.config, instance, self.clock, self.backends) as (writer, context):
                run = TargetRun(self, instance, writer, context.reading)
                if backwards:
                    await run.backwards(outcomes)
                else:
                    await run.run(outcomes, dry_run)
        except ConnectorError as error:
            for each in outcomes:
                if each.outcome == "done":
                    each.outcome, each.message = "failed", f"{instance}: {error}"
        finally:
            if heartbeat is not None:
                heartbeat.cancel()
                runs.free_lease(self.engine, lease, self.holder)

    def _take(self, lease: str) -> bool:
        return runs.take_lease(self.engine, lease, self.holder, self.clock.now(), LEASE_SECONDS)

    async def _keep(self, lease: str) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)  # the process's own life, whatever clock a test gives
            self._take(lease)


class TargetRun:
    """One run against one target: recover, plan, send, look up, until nothing is left that can be done now."""

    def __init__(self, publisher: Publisher, instance: str, writer: Writer, context: Context) -> None:
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

    @property
    def tally(self) -> Tally:
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
        self._know(await self.writer.check())
        if not dry_run:
            await self._recover()
        for outcome in outcomes:
            if not await self._plan(outcome, dry_run):
                continue
            if dry_run:
                self._show(outcome)
        if not dry_run:
            await self._adopt(outcomes)
            await self._work({outcome.route: outcome for outcome in outcomes})
            self._close(outcomes)

    async def backwards(self, outcomes: Sequence[RouteOutcome]) -> None:
        """Tell the answers that copies got to their origins here."""
        self._know(await self.writer.check())
        await self._recover()
        await self._work({outcome.route: outcome for outcome in outcomes})
        for outcome in outcomes:
            outcome.counts = _sum(outcome.counts, self.tally.sent)

    def _know(self, standing: Standing) -> None:
        if standing.account is not None:
            self.ledger.remember_account(self.instance, self.context.pseudonym(standing.account))

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
            limits = await self.writer.limits(route.to.space, route.to.voice)
        except CannotDo as error:
            outcome.outcome, outcome.message = "failed", str(error)
            return False
        planner = self._planner(name, limits)
        room = min(route.max_per_run, self._room_today(name, route))
        plan = planner.plan(room if not dry_run else route.max_per_run)
        outcome.plan = plan
        if not dry_run:
            first = (
                known is None or known["planned_at"] is None or not _same_ends(known["fingerprint"], plan.fingerprint)
            )
            self._write_down(plan, route, first=first)
            self.ledger.save_route(name, fingerprint=plan.fingerprint, planned_at=plan.began)
            if first and _plans_first(route) and plan.of("create"):
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
        if not (first and _plans_first(route)):
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
        if not isinstance(self.writer, Finds) or not any(op.kind == "create" for op in waiting):
            return
        spaces = {self.config.routes[each.route].to.space: each.route for each in outcomes}
        for space, route in spaces.items():
            await adopt(
                self.ledger, self.publisher.signer, self.writer, self.instance, space, route, stop_at_known=True
            )

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

    async def _pause(self, wait: float) -> None:
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
            if state == "unknown" and self.deliverer.trouble and self._broken():
                return False
        return progressed

    async def _send_all(self, outcomes: Mapping[str, RouteOutcome]) -> bool:
        progressed = False
        made = dict.fromkeys(outcomes, 0)
        for op in self._mine(("approved",), outcomes):
            if self.publisher.stop.is_set() or not due(op, self.clock.now()):
                continue
            if op.kind == "create" and op.first_sent_at is None and not self._may_create(op.route, outcomes[op.route]):
                continue
            job = self._job(op)
            if job is None:
                continue
            state = await self.deliverer.send(job)
            made[op.route] += op.kind == "create"
            progressed |= state == "sent"
            self._tell(op, state)
            if state in {"sent", "refused"}:
                self.ledger.count_success(self.host)
            elif self.deliverer.trouble and self._broken():
                return False
        return progressed

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

    def _broken(self) -> bool:
        until = self.ledger.count_failure(self.host, BREAK_AFTER, REST)
        if until is None:
            return False
        self.message = f"{self.host} failed {BREAK_AFTER} times in a row ({self.deliverer.trouble}); left alone until {until:%H:%M} UTC"
        return True

    def _tell(self, op: Operation, state: str) -> None:
        if self.publisher.progress is not None:
            self.publisher.progress(self.instance, op, state)

    def _close(self, outcomes: Sequence[RouteOutcome]) -> None:
        for outcome in outcomes:
            outcome.counts.pop("_made", None)
            outcome.counts = _sum(outcome.counts, count(self.ledger, outcome.route))
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


def write_down(ledger: Ledger, name: str, route: Route, decision: Decision, *, first: bool) -> None:
    """One decision into the ledger."""
    own = decision.publication
    state = "approved" if route.approval == "automatic" else "awaiting_approval"
    if first and _plans_first(route):
        state = "planned"
    if own is None:
        begin = {"create": state, "hold": "held", "refuse": "refused"}[decision.action]
        own = ledger.open_publication(
            route=name,
            origin_key=decision.origin,
            target_instance=route.to.instance,
            target_space=route.to.space,
            state=begin,
            marker=decision.marker,
            title=decision.title,
        )
        if own.copy_key is not None:
            return
        if decision.action != "create":
            ledger.mark(own, event=begin, detail=decision.why, reason=decision.why)
    match decision.action:
        case "create":
            ledger.mark(own, event="wanted", detail=decision.why, state=state, title=decision.title, reason="")
            _intend(ledger, own, decision, state)
        case "edit":
            _intend(ledger, own, decision, "planned" if state == "planned" else state)
        case "withdraw":
            # Taking something back never waits for approval: the origin's author or moderator has decided.
            ledger.intend(own, "withdraw", "text", "approved", payload={"reason": decision.why}, notes=[decision.why])
        case "answer" | "answer_back":
            to = route.to.instance if decision.action == "answer" else route.source.instance
            _intend(ledger, own, decision, state, target_instance=to)
        case "confirm":
            values = {"sent_hash": decision.payload_hash, "sent_payload": decision.payload}
            ledger.mark(own, event="compared", detail=decision.why, **values)
        case "cancel":
            ledger.cancel(own, "text", decision.why)
            if own.copy_key is None:
                ledger.mark(own, event="cancelled", detail=decision.why, state="cancelled", reason=decision.why)
        case "flag" | "refuse" if decision.publication is not None:
            ledger.mark(own, event=decision.action, detail=decision.why, reason=decision.why)
        case _:
            pass


def _intend(ledger: Ledger, own: Publication, decision: Decision, state: str, **more: Any) -> None:
    ledger.intend(
        own,
        decision.action,
        lane_of(decision.action),
        state,
        payload=decision.payload,
        payload_hash=decision.payload_hash,
        notes=list(decision.notes),
        **more,
    )


async def adopt(
    ledger: Ledger,
    signer: Signer,
    writer: Finds,
    instance: str,
    space: str,
    route: str,
    *,
    stop_at_known: bool,
) -> list[Publication]:
    """Put copies of ours that the ledger does not know back into it, by their signed markers; returns what was found.

    `stop_at_known`: a ledger that was restored from a backup lacks the newest only, so a run of known ones ends the search.
    """
    known, adopted, run = ledger.copies(), list[Publication](), 0
    async for made in writer.authored(space):
        if f"{instance}/{made.copy.ref}" in known:
            run += 1
            if stop_at_known and run >= 30:
                break
            continue
        marker = next((m for m in markers_in(made.text) if signer.is_ours(m, instance, space)), None)
        if marker is None:
            continue
        own = ledger.open_publication(
            route=route,
            origin_key=marker.origin,
            target_instance=instance,
            target_space=space,
            state="sent",
            marker=str(marker),
            title=made.title,
        )
        if own.copy_key is not None or not made.copy.complete:
            continue
        ledger.cancel(own, "text", "the copy is there already")
        where = copy_columns(instance, made.copy.ref, made.copy.url, made.copy.how)
        with contextlib.suppress(DuplicateCopy):
            where |= {
                "sent_at": made.created_at or ledger.clock.now(),
                "copy_print": fingerprint(made.title, made.text),
            }
            ledger.mark(own, event="adopted", detail=made.copy.url, state="sent", reason="", **where)
            adopted.append(own)
    return adopted


def count(ledger: Ledger, route: str) -> dict[str, int]:
    """How many publications of a route are in which state."""
    found: dict[str, int] = {}
    for own in ledger.publications(route=route):
        found[own.state] = found.get(own.state, 0) + 1
    return found


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _plans_first(route: Route) -> bool:
    """With approval required nothing is sent before a person said so, which is more than a plan-only run."""
    return route.first_run == "plan" and route.approval == "automatic"


def _same_ends(one: str, other: str) -> bool:
    return one.rpartition(":")[0] == other.rpartition(":")[0]
