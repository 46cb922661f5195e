"""When an operation's turn has come."""

from datetime import datetime

from ...core.ledger.ledger import Ledger, Operation


def due(operation: Operation, now: datetime) -> bool:
    """Whether it may be sent now."""
    return operation.not_before is None or operation.not_before <= now


def overtakes(ledger: Ledger, operation: Operation) -> bool:
    """Whether an answer would overtake a text on its way to the same copy, which on some platforms nobody may change once answered."""
    if operation.lane != "answer":
        return False
    before = ledger.operations(states=("approved", "sending", "unknown"), publication=operation.publication_id)
    return any(op.lane == "text" for op in before)
