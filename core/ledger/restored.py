"""After a restore the ledger does not know what was written since its backup: which routes must look everything up before they send.

Blocks; call it outside the event loop.
"""

from datetime import datetime

from sqlalchemy import Connection, func, select, update

from ..leases import LEASE, writing
from ..schema.operations_tables import RestorationRow, RestoredRouteRow
from ..schema.tables import InstanceRow, table_of
from ..store.bulk import upsert
from .ledger import Ledger

RESTORATION, RESTORED_ROUTE = table_of(RestorationRow), table_of(RestoredRouteRow)
INSTANCE = table_of(InstanceRow)
_LEAP = 1_000_000
"""How far the tokens of leases leap: beyond whatever was given out between the backup and the restore."""


def mark_restored(connection: Connection, now: datetime, lost_until: datetime) -> None:
    """Within the transaction that puts a backup in its place: nothing is sent before it was looked up, and no lease of before holds.

    `lost_until`: until when the database that it takes the place of may have been worked with.
    """
    connection.execute(RESTORATION.insert(), {"restored_at": now, "lost_until": lost_until})
    # A process that goes on with what it took before the restore must be refused, also where the same token was given out twice.
    connection.execute(update(LEASE).values(token=LEASE.c.token + _LEAP, holder="", until=now))


def lost_until(ledger: Ledger, route: str) -> datetime | None:
    """Until when this ledger may lack what a route wrote, after a restore; None where there is nothing to look up any more."""
    done = select(RESTORED_ROUTE.c.restoration_id).where(RESTORED_ROUTE.c.route == route)
    query = select(func.max(RESTORATION.c.lost_until)).where(RESTORATION.c.id.not_in(done))
    with ledger.engine.connect() as connection:
        return connection.execute(query).scalar()


def last_lost_until(ledger: Ledger) -> datetime | None:
    """Until when this ledger may lack what was told, after the newest restore, also where all copies were looked up since.

    Whoever removed an answer meanwhile left nothing that a look-up could find.
    """
    with ledger.engine.connect() as connection:
        return connection.execute(select(func.max(RESTORATION.c.lost_until))).scalar()


def looked_up(ledger: Ledger, route: str, source: str) -> None:
    """Everything that this route wrote was looked up on its target. That counts once its `source` was pulled after the restore.

    Before, the database does not even know of the origins whose copies may have been made and removed meanwhile.
    """
    pulled = select(INSTANCE.c.last_success_at).where(INSTANCE.c.name == source).scalar_subquery()
    query = select(RESTORATION.c.id).where(RESTORATION.c.restored_at < pulled)
    with writing(ledger.engine, ledger.lease) as connection:
        open_ones = connection.execute(query).scalars().all()
        rows = [{"restoration_id": own, "route": route, "looked_up_at": ledger.clock.now()} for own in open_ones]
        if rows:
            upsert(connection, RESTORED_ROUTE, rows)
