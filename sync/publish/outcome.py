"""What a run of routes tells: how each ended, and meanwhile what was done and what is waited for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ...connectors.contract.writing import Request
from ...core.ledger.ledger import Operation
from .decisions import Plan


@dataclass(slots=True)
class RouteOutcome:
    """How one route's run ended: done, planned (first run), waiting (for people), partial, halted, busy, disabled or failed."""

    route: str
    outcome: str = "done"
    message: str = ""
    warnings: list[str] = field(default_factory=list[str])
    """Names in the route that nothing answers to."""
    plan: Plan | None = None
    requests: dict[str, Sequence[Request]] = field(default_factory=dict[str, Sequence[Request]])
    """With `--dry-run`: the exact requests, by `action origin`."""
    counts: dict[str, int] = field(default_factory=dict[str, int])
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    """Why copies were refused, held or left alone, and how often."""

    @property
    def failed(self) -> bool:
        """Whether a script should take notice."""
        return self.outcome in {"failed", "halted"}


PublishProgress = Callable[[str, Operation, str], None]
"""Called after each operation: target instance, operation, the state it ended in."""


Waiting = Callable[[str, str, float], None]
"""Called before more than a moment is waited: target instance, why, seconds."""
