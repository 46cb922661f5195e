"""The queue of one target: which operation may be sent now, which must wait, and for how long."""

import asyncio
from datetime import timedelta
from functools import partial

from ...config.routes import Route
from ...core.ledger.ledger import Ledger, Operation
from ...core.ledger.states import Lane, OperationKind, OperationState
from .outcome import RouteEnd, RouteOutcome

_ALWAYS = 3
"""So many copies may always change within an hour."""
_BEFORE_ANSWERS = (OperationState.APPROVED, OperationState.SENDING, OperationState.UNKNOWN)


class Queue:
    """The operations of a run against one target, for the routes that take part in it."""

    def __init__(self, ledger: Ledger, instance: str, routes: dict[str, tuple[Route, RouteOutcome]]) -> None:
        self.ledger = ledger
        self.instance = instance
        self.routes = routes
        self.kept_out: dict[str, str] = {}
        """Kinds of operations for which the account is not let in, and what the platform said; they are left alone in this run."""
        self._made: dict[str, int] = {}

    async def operations(self, *states: OperationState) -> list[Operation]:
        """Those that their routes may send now: what must be taken back first, then the oldest."""
        found = await asyncio.to_thread(partial(self.ledger.operations, states=states, target=self.instance))
        mine = [op for op in found if op.route in self.routes and op.kind not in self.kept_out]
        return sorted((op for op in mine if not _stopped(op, self.routes[op.route][1])), key=_urgency)

    def is_due(self, operation: Operation) -> bool:
        """Whether its time has come."""
        return operation.not_before is None or operation.not_before <= self.ledger.clock.now()

    async def may_send(self, operation: Operation) -> bool:
        """Whether it may be sent now: its time has come, it overtakes nothing, and a new copy is within what its route allows."""
        if not self.is_due(operation) or await asyncio.to_thread(self.overtakes, operation):
            return False
        if operation.first_sent_at is not None:
            return True
        if not await asyncio.to_thread(self._may_write, operation.route):
            return False
        if operation.kind is OperationKind.CREATE:
            return await asyncio.to_thread(self._may_create, operation.route)
        return operation.kind is not OperationKind.EDIT or await asyncio.to_thread(self._may_edit, operation)

    def overtakes(self, operation: Operation) -> bool:
        """Whether an answer would overtake a text on its way to the same copy, which some platforms let nobody change once answered."""
        if operation.lane is not Lane.ANSWER:
            return False
        before = self.ledger.operations(states=_BEFORE_ANSWERS, publication=operation.publication_id)
        return any(op.lane is Lane.TEXT for op in before)

    async def wait(self) -> float | None:
        """Seconds until something may be tried again; None when nothing waits for time alone."""
        now = self.ledger.clock.now()
        waiting = await self.operations(OperationState.APPROVED, OperationState.UNKNOWN)
        later = [op.not_before for op in waiting if op.not_before is not None and op.not_before > now]
        return (min(later) - now).total_seconds() if later else None

    def _may_write(self, name: str) -> bool:
        (route, outcome), now = self.routes[name], self.ledger.clock.now()
        if self.ledger.written_since(name, now - timedelta(hours=1)) < route.halt_above_per_hour:
            return True
        halt(self.ledger, outcome, f"more than {route.halt_above_per_hour} writes in an hour")
        return False

    def _may_edit(self, operation: Operation) -> bool:
        (route, outcome), now = self.routes[operation.route], self.ledger.clock.now()
        edits = self.ledger.edited_since(operation.publication_id, now - timedelta(hours=1))
        if edits < route.edits_per_hour:
            return True
        outcome.message = "some copies were changed often enough for now (edits_per_hour): their newest text waits"
        return False

    def _may_create(self, name: str) -> bool:
        route, outcome = self.routes[name]
        made = self._made.get(name, 0)
        if made >= route.max_per_run or not room_today(self.ledger, name, route):
            outcome.message = "the rest waits: max_per_run or max_per_day is reached"
            return False
        self._made[name] = made + 1
        return True


def halt(ledger: Ledger, outcome: RouteOutcome, reason: str) -> None:
    """Stop a route until a person lets it go on, and say so. Blocks."""
    ledger.save_route(outcome.route, halted_at=ledger.clock.now(), halted_reason=reason)
    outcome.outcome = RouteEnd.HALTED
    outcome.message = f"{reason}; `civicsync review resume {outcome.route}` goes on"


def too_many(ledger: Ledger, name: str, route: Route) -> str:
    """Why a route must ask before it changes its copies: too many of them at once, by no person's word; empty where it may. Blocks."""
    wanted = ledger.changes_since(name, ledger.clock.now() - timedelta(hours=1))
    copies, changes = ledger.copies_of(name), sum(wanted.values())
    if route.halt_above_percent >= 100 or changes <= max(_ALWAYS, int(copies * route.halt_above_percent / 100)):
        return ""
    told = ", ".join(f"{many} {kind}" for kind, many in sorted(wanted.items()))
    return (
        f"{changes} changes of its {copies} copies within an hour ({told}) are more than {route.halt_above_percent:g} %, and nobody "
        f"approved them: none of what waits was sent; `civicsync publish --dry-run {name}` and `civicsync explain` show why"
    )


def _stopped(operation: Operation, outcome: RouteOutcome) -> bool:
    """Where nothing new may be made, what is there is changed and taken back all the same."""
    if outcome.closed and outcome.outcome is RouteEnd.FAILED:
        return operation.kind is OperationKind.CREATE
    return outcome.outcome in {RouteEnd.HALTED, RouteEnd.FAILED}


def _urgency(operation: Operation) -> tuple[bool, int]:
    return operation.kind is not OperationKind.WITHDRAW, operation.id


def room_today(ledger: Ledger, name: str, route: Route) -> int:
    """How many more copies a route may make within its day."""
    return max(0, route.max_per_day - ledger.created_since(name, ledger.clock.now() - timedelta(days=1)))
