"""The book of alerts: what stands is opened once, told, told again after a day, and closed when it is over.

Whatever changes is one transaction with the notice that tells it and with a delivery for every channel, under a lease: a process that is
killed has either told nothing or all of it, and two processes never open the same. A look that finds nothing new writes nothing.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ..clock import Clock
from ..leases import Lease, LeaseLost, writing
from ..schema.operations_tables import AlertDeliveryRow, AlertNoticeRow, AlertRow, AlertWatchRow
from ..schema.tables import table_of
from .conditions import Limits, standing
from .kinds import UNDELIVERED, AlertKind, Condition, DeliveryState, What, heading, paragraphs

ALERT, NOTICE, DELIVERY, WATCH = map(table_of, (AlertRow, AlertNoticeRow, AlertDeliveryRow, AlertWatchRow))
LEASE_NAME = "alerts"
REMIND = timedelta(days=1)
KEPT = timedelta(days=365)
"""Notices that were delivered, or given up, and closed alerts are let go after that."""
_ALL = ""
"""The row of `alert_watch` that is no instance."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that was told, as every channel gets it. `id`: in the order of telling; `uid`: how receivers know it."""

    id: int
    uid: str
    what: What
    at: datetime
    title: str
    body: str
    told: Mapping[str, Any]
    answers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """A daily overview that is due: its turn, the one before, and how its words are made."""

    turn: datetime
    before: datetime
    words: Callable[[Sequence[Mapping[str, Any]]], tuple[str, str, dict[str, Any]]]
    """From the rows of all open alerts: title, text and the same for programs; asks the database for all else."""


@dataclass(slots=True)
class _Changes:
    opened: list[Condition] = field(default_factory=list[Condition])
    closed: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    grown: list[tuple[Mapping[str, Any], Condition]] = field(default_factory=list[tuple[Mapping[str, Any], Condition]])
    fewer: list[tuple[Mapping[str, Any], Condition]] = field(default_factory=list[tuple[Mapping[str, Any], Condition]])
    reminded: list[tuple[Mapping[str, Any], Condition]] = field(
        default_factory=list[tuple[Mapping[str, Any], Condition]]
    )
    watched: list[str] = field(default_factory=list[str])
    unwatched: list[str] = field(default_factory=list[str])
    overview: Overview | None = None

    def __bool__(self) -> bool:
        parts = (self.opened, self.closed, self.grown, self.fewer, self.reminded, self.watched, self.unwatched)
        return any(parts) or self.overview is not None


class Book:
    """The alerts of one database. Everything here blocks: call it outside the event loop."""

    def __init__(self, engine: Engine, clock: Clock, zone: tzinfo = UTC) -> None:
        """`zone`: in which times are told."""
        self.engine, self.clock, self.zone = engine, clock, zone

    def look(
        self,
        limits: Limits,
        channels: Sequence[str] = (),
        overview: Callable[[datetime], Overview | None] = lambda _since: None,
    ) -> list[Notice]:
        """Look at everything once; returns what is newly told, and is in the outbox of each of `channels`.

        `overview`: given the moment since when anything is watched, the daily overview whose turn came last.

        Raises:
            SQLAlchemyError: the database cannot be asked or written.
        """
        if not self._changes(limits, overview):
            return []
        lease = Lease(self.engine, LEASE_NAME, self.clock)
        if not lease.take():
            return []  # another process is at it, and tells the same
        try:
            # Looked at again: what another process told meanwhile is no news.
            changes = self._changes(limits, overview)
            with writing(self.engine, lease) as connection:
                told = self._write(connection, changes, channels)
                self._let_go(connection)
        except LeaseLost:
            return []
        finally:
            lease.release()
        return told

    def open(self) -> list[dict[str, Any]]:
        """The alerts that are open, the oldest first."""
        with self.engine.connect() as connection:
            return _open_rows(connection)

    def newest(self, limit: int = 100) -> list[Notice]:
        """The newest notices first."""
        query = select(NOTICE).order_by(NOTICE.c.id.desc()).limit(limit)
        with self.engine.connect() as connection:
            return [notice_of(row) for row in connection.execute(query).mappings()]

    def _changes(self, limits: Limits, overview: Callable[[datetime], Overview | None]) -> _Changes:
        now = self.clock.now()
        with self.engine.connect() as connection:
            watched = {str(row[0]): row[1] for row in connection.execute(select(WATCH.c.name, WATCH.c.since))}
        before = {row["open_as"]: row for row in self.open()}
        stands = {each.open_as: each for each in standing(self.engine, limits, watched, now)}
        found = _Changes(
            opened=[each for name, each in stands.items() if name not in before],
            closed=[row for name, row in before.items() if name not in stands],
            watched=[name for name in (_ALL, *limits.late) if name not in watched],
            unwatched=[name for name in watched if name and name not in limits.late],
        )
        for name, row in before.items():
            now_stands = stands.get(name)
            if now_stands is None:
                continue
            if now_stands.kind is AlertKind.TWO_COPIES and now_stands.many != row["many"]:
                (found.grown if now_stands.many > row["many"] else found.fewer).append((row, now_stands))
            elif now - row["told_at"] >= REMIND:
                found.reminded.append((row, now_stands))
        due = overview(watched[_ALL]) if _ALL in watched else None
        if due is not None and not self._was_told(due):
            found.overview = due
        return found

    def _was_told(self, overview: Overview) -> bool:
        query = select(NOTICE.c.id).where(NOTICE.c.overview_of == overview.turn.isoformat())
        with self.engine.connect() as connection:
            return connection.execute(query).first() is not None

    def _write(self, connection: Connection, changes: _Changes, channels: Sequence[str]) -> list[Notice]:
        now, told = self.clock.now(), list[Notice]()
        if changes.watched:
            _insert_if_new(connection, WATCH, [{"name": each, "since": now} for each in changes.watched], "name")
        if changes.unwatched:
            connection.execute(delete(WATCH).where(WATCH.c.name.in_(changes.unwatched)))
        for kind in AlertKind:
            opened = [each for each in changes.opened if each.kind is kind]
            told += self._open(connection, kind, opened, channels)
            for what, pairs in ((What.GROWN, changes.grown), (What.REMINDER, changes.reminded)):
                told += self._again(connection, what, kind, [each for each in pairs if each[1].kind is kind], channels)
            told += self._close(connection, kind, [row for row in changes.closed if row["kind"] == kind], channels)
        for row, each in changes.fewer:
            connection.execute(update(ALERT).where(ALERT.c.id == row["id"]).values(many=each.many))
        if changes.overview is not None:
            title, body, data = changes.overview.words(_open_rows(connection))
            turn = changes.overview.turn.isoformat()
            told += self._notice(connection, What.OVERVIEW, title, body, data, channels, overview_of=turn)
        return told

    def _open(
        self, connection: Connection, kind: AlertKind, conditions: Iterable[Condition], channels: Sequence[str]
    ) -> list[Notice]:
        now, uid, made = self.clock.now(), str(uuid.uuid4()), list[Condition]()
        for each in conditions:
            row = {"kind": kind.value, "subject": each.subject, "open_as": each.open_as, "since": each.since}
            row |= {"many": each.many, "opened_at": now, "told_at": now, "opened_by": uid}
            if _insert_if_new(connection, ALERT, [row], "open_as"):
                made.append(each)
        return self._told_of(connection, What.OPENED, kind, made, channels, uid=uid) if made else []

    def _again(
        self,
        connection: Connection,
        what: What,
        kind: AlertKind,
        pairs: Sequence[tuple[Mapping[str, Any], Condition]],
        channels: Sequence[str],
    ) -> list[Notice]:
        now = self.clock.now()
        for row, each in pairs:
            values = {"told_at": now, "many": each.many, "since": each.since}
            connection.execute(update(ALERT).where(ALERT.c.id == row["id"]).values(**values))
        answers = [str(row["opened_by"]) for row, _ in pairs]
        return self._told_of(connection, what, kind, [each for _, each in pairs], channels, answers) if pairs else []

    def _close(
        self, connection: Connection, kind: AlertKind, rows: Sequence[Mapping[str, Any]], channels: Sequence[str]
    ) -> list[Notice]:
        now, over = self.clock.now(), list[Mapping[str, Any]]()
        for row in rows:
            still = (ALERT.c.id == row["id"], ALERT.c.open_as.is_not(None))
            closed = update(ALERT).where(*still).values(open_as=None, closed_at=now, told_at=now)
            if connection.execute(closed).rowcount:
                over.append(row)
        conditions = [Condition(kind, str(row["subject"]), row["opened_at"], int(row["many"])) for row in over]
        answers = [str(row["opened_by"]) for row in over]
        return self._told_of(connection, What.CLOSED, kind, conditions, channels, answers) if over else []

    def _told_of(
        self,
        connection: Connection,
        what: What,
        kind: AlertKind,
        conditions: Sequence[Condition],
        channels: Sequence[str],
        answers: Sequence[str] = (),
        *,
        uid: str = "",
    ) -> list[Notice]:
        now = self.clock.now()
        subjects = [
            {"subject": each.subject, "since": each.since.isoformat() if each.since else None, "many": each.many}
            for each in conditions
        ]
        title = heading(what, kind, [each.subject for each in conditions])
        body = paragraphs(what, kind, conditions, now, self.zone)
        data = {"kind": kind.value, "alerts": subjects}
        return self._notice(
            connection, what, title, body, data, channels, answers=list(dict.fromkeys(answers)), uid=uid
        )

    def _notice(
        self,
        connection: Connection,
        what: What,
        title: str,
        body: str,
        told: dict[str, Any],
        channels: Sequence[str],
        *,
        answers: Sequence[str] = (),
        uid: str = "",
        overview_of: str | None = None,
    ) -> list[Notice]:
        now = self.clock.now()
        row: dict[str, Any] = {"uid": uid or str(uuid.uuid4()), "what": what.value, "at": now, "title": title}
        row |= {"body": body, "told": told, "answers": list(answers), "overview_of": overview_of}
        made = _insert_if_new(connection, NOTICE, [row], "overview_of" if overview_of else "uid")
        if not made:
            return []
        waiting = {
            "notice_id": made[0],
            "state": DeliveryState.WAITING.value,
            "attempts": 0,
            "due_at": now,
            "error": "",
        }
        if channels:
            connection.execute(DELIVERY.insert(), [{**waiting, "channel": each} for each in dict.fromkeys(channels)])
        return [Notice(made[0], row["uid"], what, now, title, body, told, answers)]

    def _let_go(self, connection: Connection) -> None:
        """What was told long ago. Never what still waits."""
        before = self.clock.now() - KEPT
        waits = select(DELIVERY.c.notice_id).where(DELIVERY.c.state.in_(UNDELIVERED))
        old = select(NOTICE.c.id).where(NOTICE.c.at < before, NOTICE.c.id.not_in(waits))
        connection.execute(delete(DELIVERY).where(DELIVERY.c.notice_id.in_(old)))
        connection.execute(delete(NOTICE).where(NOTICE.c.at < before, NOTICE.c.id.not_in(waits)))
        connection.execute(delete(ALERT).where(ALERT.c.closed_at < before))


def notice_of(row: Mapping[Any, Any]) -> Notice:
    """A notice as its row has it."""
    what, answers = What(row["what"]), tuple(row["answers"] or ())
    return Notice(row["id"], row["uid"], what, row["at"], row["title"], row["body"], row["told"] or {}, answers)


def _open_rows(connection: Connection) -> list[dict[str, Any]]:
    query = select(ALERT).where(ALERT.c.open_as.is_not(None)).order_by(ALERT.c.opened_at, ALERT.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _insert_if_new(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]], unique: str) -> list[Any]:
    """Insert rows of which none has the same `unique`; returns the primary keys of those that were made."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    made: list[Any] = []
    primary = next(iter(table.primary_key))
    for row in rows:
        statement = (
            dialect.insert(table).values(**row).on_conflict_do_nothing(index_elements=[unique]).returning(primary)
        )
        made += connection.execute(statement).scalars().all()
    return made
