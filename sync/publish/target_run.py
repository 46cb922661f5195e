"""One run against one target instance: recover, plan, send, look up, until nothing is left that can be done now.

It has the target to itself (the lease is `publisher`'s) and one stream to it. The ledger blocks, so it is asked outside the event loop:
the heartbeat of the lease must go on however long a database is locked.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import Engine

from ...config.model import Config
from ...config.routes import Route
from ...connectors.contract.errors import (
    CannotDo,
    ConnectorError,
    NotLetIn,
    Throttled,
    WrongCredentials,
    platform_failed,
)
from ...connectors.contract.exchange import Request
from ...connectors.contract.reading import Context
from ...connectors.contract.writing import CanFind, Limits, Writer, stores_within
from ...connectors.http.repeat import ask_again
from ...core import events
from ...core.clock import Clock
from ...core.durations import seconds
from ...core.journal import instance_row
from ...core.leases import LeaseLost
from ...core.ledger import restored
from ...core.ledger.ledger import Ledger, Operation, Publication, told
from ...core.ledger.marker import Signer
from ...core.ledger.queries import count_by_reason, count_by_state, reasons_told, standing_places
from ...core.ledger.states import (
    LANES,
    LIVE,
    QUEUED,
    UNDER_WAY,
    Lane,
    OperationKind,
    OperationState,
    PublicationState,
    Reason,
)
from ...core.records import UNKNOWN_LOCALE
from ...core.schema.failures import host_failure
from ..credentials import Credentials
from ..net import STOPPING
from ..origins import load_origins, loss, unseen_copies
from .adoption import adopt, hold_older, moved_from
from .decisions import Action, Decision, copy_of, requests_of
from .intents import plans_first, write_plan
from .left_behind import left_behind
from .outcome import PublishProgress, RouteEnd, RouteOutcome, Shown
from .planning import Planner
from .queue import Queue, halt, room_today, too_many
from .route_names import unknown_names
from .sending import Ended, Job, Sender

BREAK_AFTER = 5
_TRIES = 2
"""So often an account that is not let in is tried for one kind of operation in a run."""
REST = timedelta(minutes=5)
PATIENCE = 120.0
"""Seconds that a run waits for a platform that asks for patience, before it leaves the rest to the next run."""
_LOOKED_AFTER = 50
"""So many copies that no pull saw are asked for in a run."""
_GOING_ON = (RouteEnd.DONE, RouteEnd.WAITING, RouteEnd.PARTIAL)
"""Ends of a route that a trouble with what is left for it may still change."""
_COMPARED = 100
"""So many edits that wait for a person are compared with what stands on the platform in a run; the others in the next one."""
_HAUNTED = timedelta(days=2)
"""For so long what was sent more than once is looked up again before something new is made there."""
_WAITS = {
    OperationState.PLANNED: "planned by an earlier run; the next one goes on with it",
    OperationState.AWAITING_APPROVAL: "waits for approval",
    OperationState.APPROVED: "waits to be sent",
}
"""What a dry run says of what is queued."""
_PAUSES = (1.0, 3.0)
_TO_SEND = (OperationState.APPROVED, OperationState.UNKNOWN)
_Told = TypeVar("_Told")


class Owner(Protocol):
    """What a run needs of the publisher it belongs to."""

    config: Config
    engine: Engine
    clock: Clock
    progress: PublishProgress | None
    stop: asyncio.Event
    signer: Signer
    shown: Shown | None

    def wait(self, instance: str, why: str, seconds: float) -> None:
        """Tell whoever watches."""
        ...


class TargetRun:
    """One run against one target: recover, plan, send, look up, until nothing is left that can be done now."""

    def __init__(self, publisher: Owner, instance: str, writer: Writer, context: Context, ledger: Ledger) -> None:
        """`ledger`: under the lease of this target."""
        self.publisher = publisher
        self.config = publisher.config
        self.ledger = ledger
        self.clock = publisher.clock
        self.instance = instance
        self.writer = writer
        self.context = context
        safety = self.config.safety
        settle = timedelta(seconds=stores_within(writer) if safety.settle is None else seconds(safety.settle))
        self.sender = Sender(ledger, writer, settle=settle, attempts=safety.attempts)
        self.host = urlsplit(self.config.instances[instance].url).netloc
        self.message = ""
        self._patience = PATIENCE
        self._introduced = False
        self._answers = False
        """Whether it answered something harmless in this run, after it had failed with one space."""
        self._broken_off = False
        self._not_let_in = Counter[str]()
        self._credentials = Credentials(self.config, ledger)
        self._refused: dict[str, str] = {}
        self._mistakes: dict[int, BaseException] = {}
        """What nobody foresaw of single operations, which are left to the next run."""
        self._freed: set[int] = set()
        """What a look-up of this run found to be absent; how its origin stands was last asked before it was sent."""
        self._strays = 0
        self._written: dict[str, Counter[str]] = {}

    async def run(self, outcomes: Sequence[RouteOutcome], dry_run: bool) -> None:
        """Everything for the routes that lead here.

        Raises:
            WrongCredentials: the platform does not take the name and password; known from before, or just now.
        """
        self._refused = await asyncio.to_thread(self._credentials.ask, self.instance)
        if not dry_run and await self._left_alone(outcomes):
            return
        if not await asyncio.to_thread(self.ledger.accounts, self.instance):
            await self._introduce()
        if not dry_run:
            await self._recover()
            await self._look_after(outcomes)
            await self._look_up_before_planning(outcomes)
            await self._look_up_left_behind()
        for outcome in outcomes:
            planned = await self._plan(outcome, dry_run)
            if planned and dry_run:
                self._show(outcome)
            elif planned:
                await self._compare(outcome)
                await asyncio.to_thread(self._ask_before_many, outcome)
        if dry_run:
            return
        if not self.message:
            lost = await self._lost_until(outcomes)
            if self._strays or lost or await self._has(*_TO_SEND):
                await self._introduce()
                await self._adopt(outcomes, lost)
            await self._look_for_twins(outcomes)
            await self._work(self._queue(outcomes))
            await self._look_once_more()
        await asyncio.to_thread(self._close, outcomes)
        if self._mistakes:
            raise next(iter(self._mistakes.values()))

    async def _look_up_before_planning(self, outcomes: Sequence[RouteOutcome]) -> None:
        """What became of lost answers, for what is proven absent may not be wanted any more; halted routes are left alone."""
        if not await self._has(OperationState.UNKNOWN):
            return
        going = [each for each in outcomes if not (await self._known(each.route)).get("halted_at")]
        await self._introduce()
        await self._look_up(self._queue(going))

    async def _look_up_left_behind(self) -> None:
        """What became of lost answers of routes that are not configured any more; nothing is sent for them."""
        left = [op for op in await self._operations(OperationState.UNKNOWN) if op.route not in self.config.routes]
        if left:
            await self._introduce()
        for op in left:
            job = await self._job(op)
            if job is None or self.publisher.stop.is_set() or op.kind in self._refused:
                continue
            await self._foreseen(op, self.sender.resolve(job))
            if self.sender.asked is not None:
                return
            if self.sender.trouble and await self._broken(self.sender.trouble):
                return

    async def _known(self, name: str) -> Mapping[str, Any]:
        return await asyncio.to_thread(self.ledger.route, name) or {}

    async def _compare(self, outcome: RouteOutcome) -> None:
        """Whether a moderator changed what a person is about to be asked about: noted before, and shown by `review show`."""
        asked = partial(self.ledger.operations, states=(OperationState.AWAITING_APPROVAL,), route=outcome.route)
        new = [op for op in await asyncio.to_thread(asked) if op.kind is OperationKind.EDIT and op.there is None]
        for op in new[:_COMPARED]:
            job = await self._job(op)
            if job is None or job.publication.remote_ref is None:
                continue
            try:
                await self.sender.compare(job)
            except ConnectorError:
                return  # it cannot be told now; the next run asks, and sending compares in any case

    def _ask_before_many(self, outcome: RouteOutcome) -> None:
        """One tripwire over edits, withdrawals and answers, before the first of them goes out. Blocks."""
        reason = too_many(self.ledger, outcome.route, self.config.routes[outcome.route])
        if reason:
            events.emit(events.Warned(self.instance, "too_many_changes"))
            halt(self.ledger, outcome, reason)

    async def _look_for_twins(self, outcomes: Sequence[RouteOutcome]) -> None:
        """Before anything is made: what was sent more than once lately, for an earlier attempt may have been stored after all."""
        queue = self._queue(outcomes)
        waiting = await queue.operations(OperationState.APPROVED)
        if not any(op.kind is OperationKind.CREATE for op in waiting):
            return
        for op in await asyncio.to_thread(self.ledger.sent_again_since, self.instance, self.clock.now() - _HAUNTED):
            job = await self._job(op) if op.route in queue.routes else None
            if job is None:
                continue
            try:
                await self.sender.look_again(job)
            except ConnectorError:
                return  # the next run asks

    async def backwards(self, outcomes: Sequence[RouteOutcome]) -> None:
        """Tell the answers that copies got to their origins here."""
        self._refused = await asyncio.to_thread(self._credentials.ask, self.instance)
        await self._recover()
        with_work = {op.route for op in await self._operations(*_TO_SEND)}
        outcomes = [each for each in outcomes if each.route in with_work]
        # Where its target was left alone, nobody has looked yet whether a route is halted.
        outcomes = [each for each in outcomes if not (await self._known(each.route)).get("halted_at")]
        if not outcomes or await self._left_alone(outcomes):
            return
        await self._introduce()
        await self._work(self._queue(outcomes))
        for outcome in outcomes:
            self._count_written(outcome)
            await asyncio.to_thread(self._say_what_is_left, outcome)
        if self._mistakes:
            raise next(iter(self._mistakes.values()))

    async def _left_alone(self, outcomes: Sequence[RouteOutcome]) -> bool:
        """Whether this platform failed so often that it is left alone for now; the routes say so."""
        until = await asyncio.to_thread(self.ledger.open_until, self.host)
        if until is None:
            return False
        why = f"{self.host} failed {BREAK_AFTER} times in a row; it is left alone until {until:%H:%M} UTC"
        for each in outcomes:
            each.left_alone = True
            if each.outcome in _GOING_ON:
                each.outcome, each.message = RouteEnd.PARTIAL, _joined(each.message, why)
        return True

    def _queue(self, outcomes: Sequence[RouteOutcome]) -> Queue:
        routes = {each.route: (self.config.routes[each.route], each) for each in outcomes}
        queue = Queue(self.ledger, self.instance, routes)
        queue.kept_out = self._refused
        return queue

    async def _has(self, *states: OperationState) -> bool:
        return bool(await self._operations(*states))

    async def _operations(self, *states: OperationState) -> list[Operation]:
        return await asyncio.to_thread(partial(self.ledger.operations, states=states, target=self.instance))

    async def _introduce(self) -> None:
        """Sign in and learn who we are there; once per run, and only when there is something to write or nothing is known yet."""
        if self._introduced:
            return
        self._introduced = True
        standing = await self._patient(self.writer.check)
        if standing.account is not None:
            pseudonym = self.context.pseudonym(standing.account)
            await asyncio.to_thread(self.ledger.remember_account, self.instance, pseudonym)

    async def _patient(self, ask: Callable[[], Awaitable[_Told]]) -> _Told:
        """Ask what changes nothing (who we are, what a space takes): again when an answer was lost, or after the patience asked for."""
        stopped = self.publisher.stop.is_set
        try:
            return await ask_again(ask, self._pause, pauses=_PAUSES, patience=PATIENCE, stopped=stopped)
        except WrongCredentials as error:
            await asyncio.to_thread(self._credentials.remember, self.instance, error)
            raise

    async def _everybodys(self, error: ConnectorError) -> bool:
        """Whether what failed with one space is the trouble of all that goes there: patience is asked for, or nothing else is answered."""
        if isinstance(error, Throttled) or error.status == 429:
            return True
        if self._answers or not platform_failed(error):
            return False
        try:
            await self._patient(self.writer.check)
        except ConnectorError:
            return True
        self._answers = True
        return False

    async def _recover(self) -> None:
        for op in await self._operations(OperationState.SENDING):
            job = await self._job(op)
            if job is not None:
                await self.sender.orphan(job)

    async def _job(self, op: Operation) -> Job | None:
        own = await asyncio.to_thread(self.ledger.publication, op.publication_id)
        route = self.config.routes.get(op.route)
        if own is None:
            return None
        if route is None:
            return Job(op, own, own.target_space, configured=False)
        return Job(op, own, own.target_space, route.conflict, route.twins)

    async def _look_after(self, outcomes: Sequence[RouteOutcome]) -> None:
        """Ask for the copies that no pull ever saw: hidden before the first one, they would count as there for ever."""
        failures = 0
        for outcome in outcomes:
            ids = await asyncio.to_thread(
                unseen_copies, self.publisher.engine, outcome.route, self.instance, _LOOKED_AFTER
            )
            for own in await asyncio.to_thread(partial(self.ledger.publications, ids=ids)):
                try:
                    reading = await self.writer.read(copy_of(own))
                except ConnectorError as error:
                    # It cannot be told now, and the others may: it would be the first one in every run.
                    failures += platform_failed(error)
                    if error.status == 429 or failures >= BREAK_AFTER:
                        return
                    continue
                seen = partial(self.ledger.update_publication, own, event="looked after", detail="no pull saw it")
                if reading is None and await self._under_way(own):
                    continue  # it may be our own withdrawal: first it must be known what became of that
                if reading is None:
                    why = "the copy is not there any more, and no pull ever saw it: a moderator may have removed it"
                    await asyncio.to_thread(self.ledger.cancel, own, Lane.TEXT, Reason.COPY_GONE, why)
                    gone = {"state": PublicationState.GONE, **told(Reason.COPY_GONE, why)}
                    seen = partial(self.ledger.update_publication, own, event="gone", detail=why, **gone)
                await asyncio.to_thread(seen)

    async def _under_way(self, own: Publication) -> bool:
        asked = partial(self.ledger.operations, states=UNDER_WAY, publication=own.id)
        return any(op.lane is Lane.TEXT for op in await asyncio.to_thread(asked))

    # Planning ---------------------------------------------------------------------------------------------------------

    async def _plan(self, outcome: RouteOutcome, dry_run: bool) -> bool:
        route = self.config.routes[outcome.route]
        known = await asyncio.to_thread(self.ledger.route, outcome.route)
        if known is not None and known["halted_at"] is not None and not dry_run:
            outcome.outcome = RouteEnd.HALTED
            outcome.message = f"{known['halted_reason']}; `civicsync review resume {outcome.route}` goes on"
            return False
        try:
            limits = await self._patient(lambda: self.writer.limits(route.to.space, route.to.voice))
        except ConnectorError as error:
            if await self._everybodys(error):
                raise
            outcome.outcome = RouteEnd.FAILED
            outcome.message = str(error) if isinstance(error, CannotDo) else f"{self.instance}: {error}"
            if isinstance(error, WrongCredentials):
                return False
            # A space that takes nothing new or does not answer, or an account that only making copies needs: what is there must still
            # be taken back.
            outcome.closed, limits = True, None
        await asyncio.to_thread(self._decide, outcome, route, limits, dry_run)
        return True

    def _decide(self, outcome: RouteOutcome, route: Route, limits: Limits | None, dry_run: bool) -> None:
        """Plan a route and write down what it wants. Blocks."""
        name, engine = outcome.route, self.publisher.engine
        planner = Planner(self.config, engine, self.ledger, self.publisher.signer, name, self.writer, limits)
        shown, answered = self.publisher.shown if dry_run else None, set[tuple[str, Lane]]()
        hand_over = partial(self._hand_over, name, route, shown, answered) if shown is not None else None
        plan = planner.plan(min(route.max_per_run, room_today(self.ledger, name, route)), hand_over)
        outcome.plan = plan
        self._strays += plan.strays
        behind = left_behind(standing_places(engine), self.config, name)
        outcome.warnings = [*unknown_names(engine, route), *behind, *plan.warnings]
        for each in plan.decisions:
            answered |= _gives_way(each)
            events.emit(events.DecisionMade(name, each.action, each.reason))
        for each in self._queued(name, answered) if dry_run else ():
            if shown is not None:
                shown(name, each, self._requests(route, each) or ())
            else:
                plan.decisions.append(each)
        if dry_run:
            return
        known = self.ledger.route(name)
        first = known is None or known["planned_at"] is None or not _same_ends(known["fingerprint"], plan.fingerprint)
        if limits is not None and first and not plan.decisions and instance_row(engine, route.source.instance) is None:
            outcome.message = f"{route.source.instance} was never pulled: run `civicsync sync` first"
        write_plan(self.ledger, route, plan, first=first)
        if limits is None:
            return  # not all was looked at: the next whole plan begins where the last one did
        self.ledger.save_route(name, fingerprint=plan.fingerprint, planned_at=plan.began)
        if first and plans_first(route) and plan.of(Action.CREATE):
            outcome.outcome = RouteEnd.PLANNED
            outcome.message = "the first run of a route only plans; run `civicsync publish` again to send"

    def _queued(self, name: str, answered: Collection[tuple[str, Lane]]) -> Iterator[Decision]:
        """What waits in the queue of a route: no decision of this plan any more, and yet what the next runs send. Blocks.

        `answered`: what gives way to a decision of this plan, by publication and lane.
        """
        for op in self.ledger.operations(states=QUEUED, route=name):
            own = self.ledger.publication(op.publication_id)
            if own is None or (own.id, op.lane) in answered:
                continue
            yield Decision(
                Action(op.kind),
                own.origin_key,
                own.title,
                _WAITS[op.state] + (f": {op.error}" if op.error else ""),
                notes=tuple(op.notes or ()),
                payload=op.payload,
                payload_hash=op.payload_hash,
                marker=own.marker,
                publication=own,
            )

    def _hand_over(
        self, name: str, route: Route, shown: Shown, answered: set[tuple[str, Lane]], each: Decision
    ) -> None:
        answered |= _gives_way(each)
        events.emit(events.DecisionMade(name, each.action, each.reason))
        shown(name, each, self._requests(route, each) or ())

    def _requests(self, route: Route, each: Decision) -> Sequence[Request] | None:
        elsewhere = each.publication is not None and each.publication.target_instance != self.instance
        if each.action is Action.ANSWER_BACK or elsewhere:
            return None  # it goes to another platform
        with contextlib.suppress(CannotDo):
            return requests_of(each, route, self.writer, self._locale(each))
        return None

    def _locale(self, each: Decision) -> str | None:
        """The language of a copy that is to be taken back, told by its origin where the ledger was lost."""
        if each.action not in {Action.WITHDRAW, Action.WITHDRAW_TWIN} or each.publication is None:
            return None
        origin = load_origins(self.publisher.engine, [each.origin]).get(each.origin)
        return origin.locale if origin is not None and origin.locale != UNKNOWN_LOCALE else None

    def _show(self, outcome: RouteOutcome) -> None:
        route = self.config.routes[outcome.route]
        for each in outcome.plan.decisions if outcome.plan else ():
            requests = self._requests(route, each)
            if requests is not None:
                outcome.requests[f"{each.action} {each.origin}"] = requests

    # Adopting ---------------------------------------------------------------------------------------------------------

    async def _lost_until(self, outcomes: Sequence[RouteOutcome]) -> dict[str, datetime]:
        """The routes of which everything must be looked up before anything is sent, because the database was restored."""
        found = {each.route: await asyncio.to_thread(restored.lost_until, self.ledger, each.route) for each in outcomes}
        return {name: until for name, until in found.items() if until is not None}

    async def _adopt(self, outcomes: Sequence[RouteOutcome], lost: Mapping[str, datetime]) -> None:
        """Before anything new is made: what we made before and the ledger does not know (it was restored from a backup).

        `lost`: routes that were restored and not looked up yet, with until when they may have made copies: what is older and is not
        found waits for a person. That they were looked up is noted last, so that a run which is broken off here does all of it again.
        """
        if isinstance(self.writer, CanFind):
            await self._adopt_found(outcomes, lost, self.writer)
        failed = {each.route for each in outcomes if each.outcome is RouteEnd.FAILED and not each.closed}
        for name, until in lost.items():
            if name in failed:
                continue
            route = self.config.routes[name]
            await asyncio.to_thread(hold_older, self.ledger, self.publisher.signer, name, route, (), until)
            await asyncio.to_thread(restored.looked_up, self.ledger, name, route.source.instance)

    async def _adopt_found(
        self, outcomes: Sequence[RouteOutcome], lost: Mapping[str, datetime], writer: CanFind
    ) -> None:
        waiting = await self._operations(*QUEUED)
        if not (self._strays or lost or any(op.kind is OperationKind.CREATE for op in waiting)):
            return
        spaces: dict[str, dict[str, str]] = {}
        for each in outcomes:
            route = self.config.routes[each.route]
            if each.outcome is not RouteEnd.FAILED or (each.closed and each.route in lost):
                spaces.setdefault(route.to.space, {})[route.source.instance] = each.route
        signer = self.publisher.signer
        for space, routes in spaces.items():
            moved = await asyncio.to_thread(moved_from, self.ledger, signer, self.instance, space)
            try:
                adopted = await adopt(
                    self.ledger,
                    signer,
                    writer,
                    self.writer.read,
                    self.instance,
                    space,
                    routes,
                    stop_at_known=not self._strays and not lost,
                    keep_first={name for name in routes.values() if self.config.routes[name].twins == "keep_first"},
                    moved_to=moved,
                )
            except ConnectorError as error:
                if isinstance(error, WrongCredentials) or await self._everybodys(error):
                    raise
                self._cannot_look(outcomes, routes.values(), lost, error)
                continue
            for name in {each.publication.route for each in adopted}:
                await asyncio.to_thread(hold_older, self.ledger, signer, name, self.config.routes[name], adopted)

    def _cannot_look(
        self,
        outcomes: Sequence[RouteOutcome],
        routes: Collection[str],
        lost: Collection[str],
        error: ConnectorError,
    ) -> None:
        """What is there of ours cannot be told of one space: nothing is made there, and the routes to others go on.

        After a restore nothing at all is sent before it was looked up.
        """
        for each in outcomes:
            if each.route in routes and each.outcome is not RouteEnd.HALTED:
                each.outcome, each.message = RouteEnd.FAILED, f"{self.instance}: {error}"
                each.closed = each.route not in lost

    # Sending ----------------------------------------------------------------------------------------------------------

    async def _work(self, queue: Queue) -> None:
        started = self.clock.monotonic()
        waiting = await queue.operations(OperationState.APPROVED)
        # Before something is made, whatever may be there already is looked up once more, also before its time.
        anyway = any(op.kind is OperationKind.CREATE for op in waiting)
        while not self.publisher.stop.is_set():
            progressed = await self._look_up(queue, anyway=anyway)
            anyway = False
            progressed |= await self._send_all(queue)
            if self.message or self.publisher.stop.is_set():
                return
            if progressed:
                continue
            wait = await queue.wait()
            if wait is None or self.clock.monotonic() - started + wait > PATIENCE:
                return
            await self._pause(wait)

    async def _look_once_more(self) -> None:
        """At what was written and could not be read just after: before anybody changes it, and for as long as a run waits."""
        for own in list(self.sender.unread):
            now = await asyncio.to_thread(self.ledger.publication, own)
            if now is None or now.copy_print is not None or now.remote_ref is None or now.state not in LIVE:
                continue
            try:
                await self._patient(partial(self.sender.look_once_more, now))
            except ConnectorError:
                return  # an edit compares the words that were sent, and asks a person where they are others

    async def _pause(
        self, wait: float, why: str = "to be sure that nothing arrives late, before it is sent again"
    ) -> None:
        self.publisher.wait(self.instance, why, wait)
        sleeping = asyncio.ensure_future(self.clock.sleep(wait))
        stopped = asyncio.ensure_future(self.publisher.stop.wait())
        await asyncio.wait({sleeping, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for each in (sleeping, stopped):
            each.cancel()

    async def _look_up(self, queue: Queue, *, anyway: bool = False) -> bool:
        progressed = False
        for op in await queue.operations(OperationState.UNKNOWN):
            job = await self._job(op)
            if job is None or self.publisher.stop.is_set():
                continue
            if op.kind in queue.kept_out or op.id in self._mistakes:
                continue
            first = anyway and op.kind is OperationKind.CREATE
            state = await self._foreseen(op, self.sender.resolve(job, anyway=first))
            await self._keep_out(op, self.sender.not_let_in)
            unknown = state is OperationState.UNKNOWN
            progressed |= not unknown
            await self._tell(op, state)
            if self.sender.asked is not None:
                return await self._slow_down(self.sender.asked)
            if unknown and self.sender.trouble and await self._broken(self.sender.trouble):
                return False
        return progressed

    async def _wanted(self, job: Job) -> bool:
        """Whether the origin of a text is still there, and its route leads where it goes; while nobody knew what became of the text,
        nothing was planned of it.

        Where it is not, the next run's plan cancels the text or takes the copy back.
        """
        own, place = job.publication.origin_key, (job.publication.target_instance, job.publication.target_space)
        texts = job.operation.kind in {OperationKind.CREATE, OperationKind.EDIT}
        to = self.config.routes[job.operation.route].to
        if texts and place != (to.instance, to.space):
            return False
        return not texts or loss((await asyncio.to_thread(load_origins, self.publisher.engine, [own])).get(own)) is None

    async def _slow_down(self, wait: float) -> bool:
        """Wait as long as the platform asks, for everything that goes there; False when that is longer than a run waits."""
        if wait > self._patience:
            self.message = f"{self.host} asks to slow down; the rest is left for the next run"
            return False
        self._patience -= wait
        await self._pause(wait, "it asks to slow down")
        return True

    async def _send_all(self, queue: Queue) -> bool:
        progressed = False
        lost: list[Operation] = []
        went_on = (OperationState.SENT, OperationState.APPROVED)
        for op in await queue.operations(OperationState.APPROVED):
            if self.publisher.stop.is_set() or op.kind in queue.kept_out or not await queue.may_send(op):
                continue
            job = await self._job(op)
            if job is None or (op.id in self._freed and not await self._wanted(job)):
                continue
            # Soon, while what was lost is still among the newest there.
            while lost and queue.is_due(lost[0]):
                progressed |= await self._resolve(lost.pop(0)) in went_on
            state = await self._foreseen(op, self.sender.send(job))
            trouble = self.sender.trouble
            await self._keep_out(op, self.sender.not_let_in)
            if state is OperationState.UNKNOWN:
                state = await self._resolve(op)
                again = await asyncio.to_thread(self.ledger.operation, op.id)
                lost += [again] if state is OperationState.UNKNOWN and again is not None else []
            progressed |= state in went_on
            await self._tell(op, state)
            if self.sender.asked is not None:
                return await self._slow_down(self.sender.asked)
            if state in {OperationState.SENT, OperationState.REFUSED}:
                await asyncio.to_thread(self.ledger.count_success, self.host)
            elif trouble and await self._broken(trouble):
                return False
        return progressed

    async def _resolve(self, op: Operation) -> Ended:
        """What became of an operation whose answer was lost, if the platform can tell by now."""
        now = await asyncio.to_thread(self.ledger.operation, op.id)
        job = await self._job(now) if now is not None and now.state is OperationState.UNKNOWN else None
        if job is None or op.id in self._mistakes:
            return OperationState.UNKNOWN
        return await self._foreseen(job.operation, self.sender.resolve(job))

    async def _foreseen(self, op: Operation, step: Awaitable[Ended]) -> Ended:
        """What nobody foresaw of one operation ends this run when the others are done, the withdrawals among them above all.

        What became of that one is looked up by the next run.
        """
        try:
            state = await step
            if state is OperationState.APPROVED and op.state is OperationState.UNKNOWN:
                self._freed.add(op.id)
            return state
        except (ConnectorError, LeaseLost, *STOPPING):
            raise
        except BaseException as error:
            now = await asyncio.to_thread(self.ledger.operation, op.id)
            job = await self._job(now) if now is not None and now.state in UNDER_WAY else None
            self._mistakes[op.id] = error
            if host_failure(error) is not None or job is None or len(self._mistakes) >= BREAK_AFTER:
                raise  # the machine's own trouble is everybody's, and so is what happens to one after the other
            events.emit(events.Warned(self.instance, type(error).__name__))
            if job.operation.state is OperationState.SENDING:
                await self.sender.orphan(job)
            return OperationState.UNKNOWN

    async def _keep_out(self, op: Operation, error: NotLetIn | None) -> None:
        """Where the account is not let in for one kind of operation, the others go on; a wrong password is tried once."""
        if error is None:
            return
        self._not_let_in[op.kind] += 1
        if isinstance(error, WrongCredentials):
            await asyncio.to_thread(self._credentials.remember, self.instance, error, op.kind)
        elif self._not_let_in[op.kind] < _TRIES:
            return
        self._refused[op.kind] = str(error)

    async def _broken(self, trouble: str) -> bool:
        until = await asyncio.to_thread(self.ledger.count_failure, self.host, BREAK_AFTER, REST)
        if until is None:
            return False
        self._broken_off = True
        events.emit(events.Warned(self.instance, "breaker_open"))
        self.message = (
            f"{self.host} failed {BREAK_AFTER} times in a row ({trouble}); left alone until {until:%H:%M} UTC"
        )
        return True

    async def _tell(self, op: Operation, state: Ended) -> None:
        now = await asyncio.to_thread(self.ledger.operation, op.id)
        if state is not None and now is not None:
            events.emit(events.WriteEnded(op.route, self.instance, op.kind, state, now.reason_code))
        if state is OperationState.SENT:
            self._written.setdefault(op.route, Counter())[op.kind] += 1
        if self.publisher.progress is not None:
            self.publisher.progress(self.instance, op, state)

    def _count_written(self, outcome: RouteOutcome) -> None:
        outcome.written = dict(Counter(outcome.written) + self._written.get(outcome.route, Counter()))

    def _close(self, outcomes: Sequence[RouteOutcome]) -> None:
        """Say how it ended. Blocks."""
        engine = self.publisher.engine
        for outcome in outcomes:
            outcome.counts = count_by_state(engine, outcome.route)
            self._count_written(outcome)
            outcome.reasons = reasons_told(engine, outcome.route)
            outcome.twins = count_by_reason(engine, outcome.route, Reason.TWINS)
            if outcome.twins:
                events.emit(events.Warned(self.instance, "twins"))
            self._say_what_is_left(outcome)

    def _say_what_is_left(self, outcome: RouteOutcome) -> None:
        """What of a route is still to be done at this platform, and why. Blocks."""
        if outcome.outcome not in _GOING_ON:
            return
        states = (OperationState.APPROVED, *UNDER_WAY)
        left = self.ledger.operations(states=states, target=self.instance, route=outcome.route)
        later = [op.not_before for op in left if op.not_before is not None]
        looked_up = left and all(op.state is OperationState.UNKNOWN for op in left) and not self.message
        if self.publisher.stop.is_set() and left:
            outcome.outcome, outcome.message = RouteEnd.STOPPED, "stopped; the next run goes on from there"
        elif looked_up and later and not self._broken_off and not outcome.message:
            outcome.outcome = RouteEnd.WAITING
            when = f"{min(later):%H:%M} UTC"
            outcome.message = (
                f"{len(left)} were sent and not answered: looked up again from {when} on; nothing is sent twice"
            )
        elif left:
            outcome.left_alone |= self._broken_off
            kept = {self._refused[op.kind] for op in left if op.kind in self._refused}
            # What was said of the other end stands; a message of this end says more than how many are left.
            before = outcome.message if outcome.outcome is RouteEnd.PARTIAL else ""
            why = self.message or (outcome.message if not before else "") or f"{len(left)} left for the next run"
            outcome.outcome, outcome.message = RouteEnd.PARTIAL, _joined(before, why)
            outcome.message += "".join(f"; {why}" for why in sorted(kept))
        elif outcome.outcome is RouteEnd.DONE and self.ledger.operations(
            states=(OperationState.AWAITING_APPROVAL,), route=outcome.route
        ):
            outcome.outcome = RouteEnd.WAITING
            outcome.message = "some wait for approval: `civicsync review list`"


def _gives_way(each: Decision) -> set[tuple[str, Lane]]:
    """The lane of which a decision takes the place of what is queued there."""
    if each.publication is None or each.action in {Action.FLAG, Action.CONFIRM, Action.RETURNED}:
        return set()
    kinds = {kind.value: lane for kind, lane in LANES.items()}
    return {(each.publication.id, kinds.get(each.action.value, Lane.TEXT))}


def _joined(before: str, why: str) -> str:
    return f"{before}; {why}" if before else why


def _same_ends(one: str, other: str) -> bool:
    return one.rpartition(":")[0] == other.rpartition(":")[0]
