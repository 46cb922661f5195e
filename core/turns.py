"""Turns in the database: each is done once, however many processes keep the same jobs going, and one that starts again knows what was done.

A turn is begun under a lease of its job and ended under the same one. Whoever died in the middle leaves it open: another process takes
it over when the lease has run out. Several turns that were missed are one. Everything here blocks: call it outside the event loop.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update

from .clock import Clock
from .leases import Lease, writing
from .schema.operations_tables import TurnRow
from .schema.tables import table_of

TURN = table_of(TurnRow)
SKEW = timedelta(minutes=5)
"""Clocks of machines may differ by so much. A turn that began later than that from now was done by a clock that was wrong."""
Next = Callable[[datetime], datetime]
"""The first turn after a moment, as the job's schedule says."""
Within = Callable[[Connection], str]
"""Done in the transaction that ends a turn; returns what to say of it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """There is nothing to do: the turns up to `up_to` are done."""

    up_to: datetime


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another process is at it; if it has died, the turn is free at `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Begun:
    """The turn is ours for as long as its lease is kept."""

    job: str
    lease: Lease
    clock: Clock
    open_since: datetime | None = None
    """When another process began this turn, which did not end it; some or all of it may be done."""

    def end(self, up_to: datetime, within: Within | None = None) -> str:
        """The turn is done, and with it all others up to a moment. Returns what `within` says.

        Raises:
            LeaseLost: another process has taken over, and it is not: neither is what was done within.
        """
        with writing(self.lease.engine, self.lease) as connection:
            said = within(connection) if within is not None else ""
            row = update(TURN).where(TURN.c.job == self.job)
            connection.execute(row.values(up_to=up_to, ended_at=self.clock.now()))
        return said


@dataclass(frozen=True, slots=True)
class Turns:
    """The turns of all jobs in one database."""

    engine: Engine
    clock: Clock
    life: Clock = field(default_factory=Clock)
    """The clock of this process's leases; another one only in tests of leases."""

    def done(self, plans: dict[str, str]) -> dict[str, datetime]:
        """Up to when the turns of these jobs are done. `plans`: by job, what it does now.

        Missing: what was never done, came to no end, does something else now, or was done by a clock that was wrong.
        """
        now = self.clock.now()
        with self.engine.connect() as connection:
            rows = [each for each in connection.execute(select(TURN)) if each.job in plans]
        return {row.job: row.up_to for row in rows if _counts(row, now) and row.plan == plans[row.job]}

    def begin(
        self, job: str, plan: str, following: Next, up_to: datetime, *, anew: bool = False
    ) -> Begun | Elsewhere | Settled:
        """Take a turn that is due, unless it is done or another process is at it.

        `up_to`: which turns are done with this one. `anew`: it is due although none was missed, because nobody has done it as it is now.
        """

        def settled(connection: Connection) -> Settled | None:
            row = connection.execute(select(TURN).where(TURN.c.job == job)).first()
            now = self.clock.now()
            if row is None or not _counts(row, now) or (anew and row.plan != plan) or following(row.up_to) <= now:
                return None
            return Settled(row.up_to)

        lease = Lease(self.engine, f"turn:{job}", self.life)
        with self.engine.connect() as connection:
            found = settled(connection)
        if found is not None:
            return found
        until = lease.free_at()
        if until is not None or not lease.take():
            return Elsewhere(until or lease.free_at() or self.life.now())
        try:
            with writing(self.engine, lease) as connection:
                # Somebody may have been quicker than our lease.
                found = settled(connection)
                since = None if found is not None else self._note(connection, job, plan, up_to)
        except BaseException:
            lease.release()
            raise
        if found is not None:
            lease.release()
            return found
        return Begun(job, lease, self.clock, since)

    def _note(self, connection: Connection, job: str, plan: str, up_to: datetime) -> datetime | None:
        """Returns since when the same turn has been open, where it was begun before."""
        before = connection.execute(select(TURN).where(TURN.c.job == job)).first()
        since = before.began_at if before is not None and before.ended_at is None and before.plan == plan else None
        row = {"plan": plan, "up_to": up_to, "began_at": since or self.clock.now(), "ended_at": None}
        if before is None:
            connection.execute(TURN.insert(), {"job": job, **row})
        else:
            connection.execute(update(TURN).where(TURN.c.job == job).values(**row))
        return since


def _counts(row: Row[Any], now: datetime) -> bool:
    return row.ended_at is not None and row.began_at <= now + SKEW
