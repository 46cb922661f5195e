"""Leases: one process at a time works on a thing, and one that lost its lease can write no more.

A lease has a holder, a moment at which it runs out, and a token that grows each time somebody takes it. Whatever is written under a
lease carries its token in the same transaction (`Lease.fence`), so that a process which was stopped for minutes and goes on cannot write
beside its successor. A holder is dead when its lease ran out, never because of what is known about its process: another machine, another
container with the same host name, a process that only sleeps cannot be told apart from here.
"""

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import AsyncGenerator, Generator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, bindparam, func, or_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.sql.dml import ReturningUpdate

from .clock import Clock
from .schema.tables import LeaseRow, table_of

LEASE = table_of(LeaseRow)
LEASE_SECONDS = 120.0
SERVER_LEASE_SECONDS = 40.0
"""On a server (PostgreSQL), which locks rows and not the whole database: no writer makes a heartbeat wait for a minute there, as SQLite's
may, and whoever takes over from a dead machine need not wait for two."""
HEARTBEAT_SECONDS = 30.0
"""At most so long between two renewals; a quarter of a lease, where that is shorter."""
RETRY_SECONDS = 2.0
"""After a renewal that the database did not take: a lock of a minute, then a whole heartbeat, would be longer than a lease lasts."""
_MARGIN = 5.0
"""Seconds before a lease runs out at which its holder stops asking: what it sends then must have arrived before somebody else begins."""


class LeaseLost(Exception):
    """Another process has taken over; what this one would write now is refused, and nothing of it was written."""


def lease_seconds(engine: Engine) -> float:
    """How long a lease lasts in this kind of database."""
    return LEASE_SECONDS if engine.dialect.name == "sqlite" else SERVER_LEASE_SECONDS


class Lease:
    """The right to work on `name` alone. Every method that touches the database blocks: call it outside the event loop."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        clock: Clock | None = None,
        *,
        seconds: float | None = None,
        holder: str = "",
    ) -> None:
        """`clock`: the process's own life, so the real one but in tests of leases themselves. `seconds`: how long it lasts, where that is
        not `lease_seconds` of the database."""
        self.name = name
        self.engine = engine
        self.clock = clock or Clock()
        self.seconds = lease_seconds(engine) if seconds is None else seconds
        self.holder = holder or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.token: int | None = None
        self._good_until = 0.0
        self._until: datetime | None = None
        self._fencing: ReturningUpdate[Any] | None = None

    def take(self) -> bool:
        """Take the lease if nobody holds it; False when somebody does."""
        began, now = self.clock.monotonic(), self.clock.now()
        until = now + timedelta(seconds=self.seconds)
        with self.engine.begin() as connection:
            taken = connection.execute(
                update(LEASE)
                # Free is free, whatever the clock says of the machine that gave it back.
                .where(LEASE.c.name == self.name, or_(LEASE.c.until <= now, LEASE.c.holder == ""))
                .values(holder=self.holder, until=until, token=LEASE.c.token + 1)
                .returning(*self._let_go(connection))
            ).scalar()
            held = connection.execute(select(LEASE.c.name).where(LEASE.c.name == self.name)).first()
        if taken is None and held is None:
            row = {"name": self.name, "holder": self.holder, "until": until, "token": 1}
            try:
                with self.engine.begin() as connection:
                    connection.execute(LEASE.insert(), row)
            except IntegrityError:
                return False
            taken = 1
        if taken is None:
            return False
        self.token = int(taken)
        self._extend(began, until)
        return True

    def renew(self) -> None:
        """Keep it for another while.

        Raises:
            LeaseLost: somebody took it meanwhile.
        """
        began = self.clock.monotonic()
        until = self.clock.now() + timedelta(seconds=self.seconds)
        with self.engine.begin() as connection:
            # With its holder: a renewal that waited for the database while the lease was given back must not take it again.
            mine = (LEASE.c.name == self.name, LEASE.c.token == self.token, LEASE.c.holder == self.holder)
            kept = connection.execute(
                update(LEASE).where(*mine).values(until=until).returning(*self._let_go(connection))
            ).first()
        if kept is None:
            self.token = None
            raise LeaseLost(self._lost())
        self._extend(began, until)

    def release(self) -> None:
        """Give it back; harmless when it was lost."""
        with self.engine.begin() as connection:
            connection.execute(
                update(LEASE)
                .where(LEASE.c.name == self.name, LEASE.c.token == self.token)
                .values(holder="", until=self.clock.now())
                .returning(*self._let_go(connection))
            )
        self.token = None

    def fence(self, connection: Connection) -> None:
        """Let the rest of this transaction happen only while the lease is ours; whoever wants to take it waits for its end.

        Raises:
            LeaseLost: it is not ours any more; the transaction must be given up.
        """
        fencing = self._fencing
        if fencing is None:
            # Put together once: every transaction of a pull begins with it.
            mine = (LEASE.c.name == self.name, LEASE.c.token == bindparam("ours"))
            fencing = update(LEASE).where(*mine).values(token=LEASE.c.token).returning(*self._let_go(connection))
            self._fencing = fencing
        if connection.execute(fencing, {"ours": self.token}).first() is None:
            self.token = None
            raise LeaseLost(self._lost())

    def _let_go(self, connection: Connection) -> list[ColumnElement[Any]]:
        """Asked for with a row of the lease. A server keeps the locks of whoever sleeps in the middle of a transaction, for as long as it
        sleeps; told so, it gives them up, and the transaction with them, before the lease runs out."""
        if connection.dialect.name == "sqlite":
            return [LEASE.c.token]
        most = f"{round(self.seconds * 500)}ms"
        return [LEASE.c.token, func.set_config("idle_in_transaction_session_timeout", most, True)]

    def check(self) -> None:
        """Before anything is asked of a platform: go on only while the lease is surely ours. Asks nobody.

        Raises:
            LeaseLost: it could not be renewed in time.
        """
        late = self._until is None or self.clock.now() >= self._until - timedelta(seconds=_MARGIN)
        if self.token is None or late or self.clock.monotonic() >= self._good_until - _MARGIN:
            raise LeaseLost(self._lost())

    def free_at(self) -> datetime | None:
        """When it runs out unless it is renewed, by the clock of whoever holds it; None where nobody does. Changes nothing."""
        with self.engine.connect() as connection:
            row = connection.execute(select(LEASE.c.holder, LEASE.c.until).where(LEASE.c.name == self.name)).first()
        return None if row is None or not row[0] or row[1] <= self.clock.now() else row[1]

    def held_by(self) -> str:
        """Who holds it and until when, in words for whoever has to wait."""
        with self.engine.connect() as connection:
            row = connection.execute(select(LEASE.c.holder, LEASE.c.until).where(LEASE.c.name == self.name)).first()
        if row is None or not row[0]:
            return "it has just become free"
        host, _, process = str(row[0]).partition(":")
        return f"process {process.partition(':')[0]} on {host}; if it has died, this is free at {row[1]:%H:%M:%S} UTC"

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Renews a taken lease for as long as the block lasts, and gives it back at its end."""
        heartbeat = asyncio.ensure_future(self._beat())
        try:
            yield
        finally:
            heartbeat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await heartbeat
            with contextlib.suppress(SQLAlchemyError):  # it runs out by itself
                await asyncio.to_thread(self.release)

    async def _beat(self) -> None:
        pause = self._between
        while True:
            await asyncio.sleep(pause)  # the process's own life, whatever clock a test gives
            try:
                await asyncio.to_thread(self.renew)
            except LeaseLost:
                return
            except SQLAlchemyError:
                pause = RETRY_SECONDS  # a locked or absent database: `check` stops the holder if that lasts
            else:
                pause = self._between

    @property
    def _between(self) -> float:
        return min(HEARTBEAT_SECONDS, self.seconds / 4)

    def _extend(self, began: float, until: datetime) -> None:
        self._good_until, self._until = began + self.seconds, until

    def _lost(self) -> str:
        return f"the lease of {self.name} was lost: another process may have taken over; this one stops, what is committed stays"


@contextlib.contextmanager
def writing(engine: Engine, lease: Lease | None) -> Generator[Connection]:
    """A transaction, under a lease where there is one.

    Raises:
        LeaseLost: another process has taken over; nothing was written.
    """
    with engine.begin() as connection:
        if lease is not None:
            lease.fence(connection)
        yield connection
