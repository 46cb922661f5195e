"""The audit log: who did what with what, when, from where, and what came of it. Only ever added to; each entry seals the one before.

It holds no text of a citizen, no secret and no payload: names of things and counts. The database itself forbids changing it (triggers);
whoever gets round that breaks the chain, and cutting off its end shows by the newest hash, which is kept apart. `verify` tells.
"""

import getpass
import hashlib
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Connection, Engine, delete, select

from .clock import Clock
from .redaction import redact, visible
from .schema.analysis_tables import AUDIT_STAYS, AuditEntryRow
from .schema.tables import SchemaInfoRow, table_of
from .store.bulk import upsert

ENTRY, _INFO = table_of(AuditEntryRow), table_of(SchemaInfoRow)
_HEAD = "audit_head"
_START = ""
_LONGEST = 2000
_AT_ONCE = 1000
PURGED = "audit purge"
"""The action of the entry that stands for older ones whose time was over."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    id: int
    at: datetime
    actor: str
    action: str
    object: str
    result: str
    origin: str
    previous: str
    hash: str

    def sealed(self) -> str:
        """The hash that it must have: of everything in it and of the entry before."""
        told = [
            self.id,
            _moment(self.at),
            self.actor,
            self.action,
            self.object,
            self.result,
            self.origin,
            self.previous,
        ]
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


@dataclass(frozen=True, slots=True)
class Integrity:
    """Whether the log is whole. `bad` is the first entry that is not as it was written, `why` what is wrong with it."""

    entries: int
    whole: bool
    bad: int | None = None
    why: str = ""
    head: str = ""


def record(engine: Engine, clock: Clock, *, action: str, object: str, result: str, actor: str | None = None) -> Entry:
    """Add an entry. `object` names a thing (an instance, a file, an id), `result` says what came of it; neither may hold a person.

    The actor is the user of this machine where none is given.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        entry = append(connection, clock.now(), action=action, object=object, result=result, actor=actor)
        connection.commit()
    return entry


def append(
    connection: Connection, now: datetime, *, action: str, object: str, result: str, actor: str | None = None
) -> Entry:
    """Add an entry within a transaction that does what the entry tells: both happen or neither. On SQLite it must have written before."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE audit_entry IN EXCLUSIVE MODE")
    head = connection.execute(select(_INFO.c.value).where(_INFO.c.name == _HEAD)).scalar()
    number, _, previous = (head or f"0:{_START}").partition(":")
    who, what, thing, came, where = map(_said, (actor or _who(), action, object, result, _where()))
    entry = Entry(int(number) + 1, now.astimezone(UTC), who, what, thing, came, where, previous, "")
    entry = replace(entry, hash=entry.sealed())
    connection.execute(ENTRY.insert(), asdict(entry))
    upsert(connection, _INFO, [{"name": _HEAD, "value": f"{entry.id}:{entry.hash}"}])
    return entry


def entries(engine: Engine, *, newest: int | None = None) -> Iterator[Entry]:
    """The log, oldest first; `newest`: only so many of the last."""
    query = select(*(ENTRY.c[name] for name in Entry.__slots__)).order_by(ENTRY.c.id).limit(_AT_ONCE)
    if newest is not None:
        ids = select(ENTRY.c.id).order_by(ENTRY.c.id.desc()).limit(newest)
        query = query.where(ENTRY.c.id.in_(ids))
    after = 0
    while True:
        with engine.connect() as connection:
            part = [Entry(*row) for row in connection.execute(query.where(ENTRY.c.id > after))]
        yield from part
        if len(part) < _AT_ONCE:
            return
        after = part[-1].id


def verify(engine: Engine) -> Integrity:
    """Go through the whole log and compare every hash."""
    with engine.connect() as connection:
        head = connection.execute(select(_INFO.c.value).where(_INFO.c.name == _HEAD)).scalar()
    last: Entry | None = None
    first: Entry | None = None
    excused: dict[int, str] = {}
    count = 0
    for entry in entries(engine):
        count += 1
        if entry.hash != entry.sealed():
            return Integrity(count, False, entry.id, "it was changed after it was written")
        if last is None:
            first = entry
        elif entry.id != last.id + 1:
            return Integrity(count, False, last.id + 1, "it was removed, or those up to the next one")
        elif entry.previous != last.hash:
            return Integrity(count, False, entry.id, "it does not follow the entry before: that one was replaced")
        if entry.action == PURGED:
            through, _, sealed = entry.result.rpartition(" ")
            excused[int(through.rpartition(" ")[2])] = sealed
        last = entry
    if first is not None and first.previous != _START and excused.get(first.id - 1) != first.previous:
        return Integrity(
            count, False, first.id - 1, "it was removed, with all before it, and no entry says that their time was over"
        )
    if first is not None and first.previous == _START and first.id != 1:
        return Integrity(count, False, 1, "it was removed")
    end = f"{last.id}:{last.hash}" if last is not None else None
    if head != end:
        return Integrity(count, False, (last.id if last else 0) + 1, "the end of the log is missing")
    return Integrity(count, True, head=last.hash if last else "")


def purge(engine: Engine, clock: Clock, keep: timedelta, *, dry_run: bool = False) -> int:
    """Let entries go that are older than `keep`; one new entry says up to which, so that the chain still holds. Returns how many."""
    now = clock.now()
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite" and not dry_run:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        # Without gaps: only from the beginning, up to the first that is young enough.
        young = select(ENTRY.c.id).where(ENTRY.c.at >= now - keep).order_by(ENTRY.c.id).limit(1).scalar_subquery()
        old = select(ENTRY.c.id, ENTRY.c.hash).where(ENTRY.c.at < now - keep).order_by(ENTRY.c.id.desc())
        if connection.execute(select(young)).scalar() is not None:
            old = old.where(ENTRY.c.id < young)
        due = connection.execute(old.limit(1)).first()
        if due is None:
            return 0
        count = connection.execute(select(ENTRY.c.id).where(ENTRY.c.id <= due.id)).all()
        if dry_run:
            return len(count)
        append(
            connection, now, action=PURGED, object="audit log", result=f"{len(count)} entries up to {due.id} {due.hash}"
        )
        _lifted(connection, "DROP TRIGGER audit_entry_delete")
        connection.execute(delete(ENTRY).where(ENTRY.c.id <= due.id))
        _lifted(
            connection, next(each for each in AUDIT_STAYS[engine.dialect.name] if "TRIGGER audit_entry_delete" in each)
        )
        connection.commit()
        return len(count)


def _lifted(connection: Connection, statement: str) -> None:
    on = " ON audit_entry" if statement.startswith("DROP") and connection.dialect.name == "postgresql" else ""
    connection.exec_driver_sql(statement + on)


def _said(text: str) -> str:
    return visible(redact(text))[:_LONGEST]


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _where() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
