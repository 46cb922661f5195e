"""What the texts of copies that wait were made from: kept beside the ledger so that nothing is rendered twice from the same.

A note and no decision: without it everything is only rendered once more. Blocks; call it outside the event loop.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import delete, select

from ..leases import writing
from ..schema.operations_tables import PlanBasisRow
from ..schema.tables import table_of
from ..store.bulk import upsert
from .ledger import PUBLICATION, Ledger
from .states import PublicationState, Reason

PLAN_BASIS = table_of(PlanBasisRow)
_RENDERED_NO_MORE = (
    PublicationState.WITHDRAWN,
    PublicationState.CANCELLED,
    PublicationState.REJECTED,
    PublicationState.HELD,
    PublicationState.GONE,
)


class Basis(NamedTuple):
    """From `made_from` (a digest) came a payload with this hash, or none for a reason."""

    made_from: str
    payload_hash: str
    reason: Reason = Reason.NONE


def keep_bases(ledger: Ledger, bases: Mapping[str, Basis]) -> None:
    """Keep them, and drop those of publications that wait for nothing any more."""
    if not bases:
        return
    rows = [
        {"publication_id": own, "basis": each.made_from, "payload_hash": each.payload_hash, "reason_code": each.reason}
        for own, each in bases.items()
    ]
    # What stands there as it was sent is compared with its origin only when that changes.
    sent = (PUBLICATION.c.state == PublicationState.SENT) & PUBLICATION.c.sent_hash.is_not(None)
    over = select(PUBLICATION.c.id).where(
        PUBLICATION.c.id == PLAN_BASIS.c.publication_id, PUBLICATION.c.state.in_(_RENDERED_NO_MORE) | sent
    )
    with writing(ledger.engine, ledger.lease) as connection:
        upsert(connection, PLAN_BASIS, rows)
        connection.execute(delete(PLAN_BASIS).where(over.exists()))
