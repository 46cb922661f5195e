"""The journal: instances, runs and leases. What `status` and `runs` show, and what keeps two processes apart."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, or_, select, update

from .schema.tables import InstanceRow, LeaseRow, RunRow, table_of
from .store.bulk import upsert

INSTANCE, RUN, LEASE = table_of(InstanceRow), table_of(RunRow), table_of(LeaseRow)


def instance_row(engine: Engine, name: str) -> Mapping[str, Any] | None:
    """What is known of an instance."""
    with engine.connect() as connection:
        row = connection.execute(select(INSTANCE).where(INSTANCE.c.name == name)).mappings().first()
        return dict(row) if row is not None else None


def save_instance(engine: Engine, row: Mapping[str, Any]) -> None:
    """Insert or update an instance; columns that are not given keep their value."""
    with engine.begin() as connection:
        exists = connection.execute(select(INSTANCE.c.name).where(INSTANCE.c.name == row["name"])).first()
        if exists is None:
            connection.execute(INSTANCE.insert(), [{"title": "", "dialect": "", **row}])
        else:
            connection.execute(update(INSTANCE).where(INSTANCE.c.name == row["name"]).values(**row))


def start_run(engine: Engine, instance: str, now: datetime, *, full: bool) -> int:
    """Open a run; runs that never ended (killed) are marked so."""
    with engine.begin() as connection:
        connection.execute(
            update(RUN)
            .where(RUN.c.instance == instance, RUN.c.outcome == "running")
            .values(
                outcome="interrupted",
                message="the process ended before the run did; the next run went on from its last page",
            )
        )
        result = connection.execute(
            RUN.insert().returning(RUN.c.id),
            {"instance": instance, "started_at": now, "outcome": "running", "full": full, **_ZERO},
        )
        return int(result.scalar_one())


_ZERO = {
    **dict.fromkeys(("pages", "seen", "created", "changed", "unchanged", "tallies", "gone", "missing"), 0),
    **dict.fromkeys(("quarantined", "requests", "retries", "bytes"), 0),
    "platform_seconds": 0.0,
    "seconds": 0.0,
    "message": "",
}


def save_run(engine: Engine, run_id: int, **values: Any) -> None:
    """Update a run."""
    with engine.begin() as connection:
        connection.execute(update(RUN).where(RUN.c.id == run_id).values(**values))


def runs(engine: Engine, instances: Sequence[str] = (), limit: int = 20) -> list[dict[str, Any]]:
    """The newest runs first."""
    query = select(RUN).order_by(RUN.c.started_at.desc(), RUN.c.id.desc()).limit(limit)
    if instances:
        query = query.where(RUN.c.instance.in_(instances))
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def last_run(engine: Engine, instance: str) -> Mapping[str, Any] | None:
    """The newest run of an instance."""
    return next(iter(runs(engine, [instance], 1)), None)


def take_lease(engine: Engine, name: str, holder: str, now: datetime, seconds: float) -> bool:
    """Take or renew a lease; False when somebody else holds it."""
    with engine.begin() as connection:
        taken = connection.execute(
            update(LEASE)
            .where(LEASE.c.name == name, or_(LEASE.c.holder == holder, LEASE.c.until < now))
            .values(holder=holder, until=now + timedelta(seconds=seconds))
        )
        if taken.rowcount:
            return True
        other = connection.execute(select(LEASE.c.holder).where(LEASE.c.name == name)).scalar()
        if other is not None and not _is_dead(other, holder):
            return False
        if other is not None:
            connection.execute(LEASE.delete().where(LEASE.c.name == name, LEASE.c.holder == other))
        row = {"name": name, "holder": holder, "until": now + timedelta(seconds=seconds)}
        upsert(connection, LEASE, [row], keep=("holder", "until"))
        return connection.execute(select(LEASE.c.holder).where(LEASE.c.name == name)).scalar() == holder


def _is_dead(other: str, mine: str) -> bool:
    """Whether a holder (`host:process:…`) was a process of this machine that is no more: killed, so its lease is free."""
    host, _, rest = other.partition(":")
    process = rest.partition(":")[0]
    if host != mine.partition(":")[0] or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def free_lease(engine: Engine, name: str, holder: str) -> None:
    """Give a lease back."""
    with engine.begin() as connection:
        connection.execute(LEASE.delete().where(LEASE.c.name == name, LEASE.c.holder == holder))


def lease_of(engine: Engine, name: str) -> Mapping[str, Any] | None:
    """Who holds a lease."""
    with engine.connect() as connection:
        row = connection.execute(select(LEASE).where(LEASE.c.name == name)).mappings().first()
        return dict(row) if row is not None else None
