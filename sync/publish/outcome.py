"""What a run of routes tells: how each ended, and meanwhile what was done and what is waited for."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ...connectors.contract.writing import Request
from ...core.ledger.ledger import Operation
from ...core.ledger.states import OperationState
from .decisions import Decision, Plan


class RouteEnd(StrEnum):
    """How a run of a route ends."""

    DONE = "done"
    PLANNED = "planned"
    WAITING = "waiting"
    PARTIAL = "partial"
    STOPPED = "stopped"
    HALTED = "halted"
    BUSY = "busy"
    LEASE_LOST = "lease_lost"
    DISABLED = "disabled"
    FAILED = "failed"


@dataclass(slots=True)
class RouteOutcome:
    """How one route's run ended: done, planned (a first run), waiting (for people), and what `RouteEnd` has more."""

    route: str
    outcome: RouteEnd = RouteEnd.DONE
    message: str = ""
    warnings: list[str] = field(default_factory=list[str])
    """Names in the route that nothing answers to."""
    plan: Plan | None = None
    requests: dict[str, Sequence[Request]] = field(default_factory=dict[str, Sequence[Request]])
    """With `--dry-run`: the exact requests, by `action origin`."""
    written: dict[str, int] = field(default_factory=dict[str, int])
    """What this run wrote and the platform confirmed, by kind: create, edit, withdraw, answer, answer_back, withdraw_twin."""
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """What stands now, by state: all publications of the route, of whatever run."""
    left_alone: bool = False
    """The target failed so often that nothing was sent there, or not everything (the breaker is open)."""
    closed: bool = False
    """Nothing new may be made there now, so that it failed; what is there already is followed all the same."""
    twins: int = 0
    """So many of its copies share their marker with another text on the target."""
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    """Why copies were refused, held or left alone, and how often."""

    def add(self, other: "RouteOutcome") -> None:
        """What the same run did at another place of the route; the end that is worse is told, and the other as a warning."""
        self.written = dict(Counter(self.written) + Counter(other.written))
        self.left_alone |= other.left_alone
        if other.outcome in {RouteEnd.DONE, RouteEnd.WAITING} and not other.message:
            return
        if self.outcome in {RouteEnd.DONE, RouteEnd.PLANNED, RouteEnd.WAITING}:
            before, self.outcome, self.message = self.message, other.outcome, other.message
            self.warnings += [before] if before else []
        else:
            self.warnings.append(other.message)

    @property
    def failed(self) -> bool:
        """Whether a script should take notice."""
        return (
            self.left_alone or self.twins > 0 or self.outcome in {RouteEnd.FAILED, RouteEnd.HALTED, RouteEnd.LEASE_LOST}
        )


PublishProgress = Callable[[str, Operation, OperationState | None], None]
"""Called after each operation: target instance, operation, the state it ended in (None: another process has it)."""


Shown = Callable[[str, Decision, Sequence[Request]], None]
"""With `--dry-run`, called with each decision as it is made, and the requests that would carry it out: route, decision, requests."""

Waiting = Callable[[str, str, float], None]
"""Called before more than a moment is waited: target instance, why, seconds."""
