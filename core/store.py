"""The store: one page in, one transaction out.

Rows, quarantined records and the checkpoint commit together. What is the same as before is not mapped and not written: a new
support is a new tally, not a new version of a text. The store never touches the network and never decides that something is
gone (`core.absence` does, after a complete sweep).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, Table, bindparam, delete, select, update
from sqlmodel import SQLModel

from .bulk import chunks, insert_new, upsert
from .clock import Clock
from .identity import Key, Ref, key
from .marks import Sieve, Tokens
from .pages import Cursor, Item, MappingError, Page
from .quarantine import Quarantine, reason_of
from .records import Record
from .rows import COUNTERS, Built, Columns, RowMaker, counter_values
from .sweeps import Sweeps
from .tables import (
    ROWS,
    AnswerRow,
    AttachmentRow,
    AuthorRow,
    MemoryRow,
    ProposalAreaRow,
    ProposalCategoryRow,
    ProposalRow,
    ProposalTextRow,
    ProposalVersionRow,
    TallyRow,
    rows_of,
    table_of,
)

PROPOSAL = table_of(ProposalRow)
_PARTS = ((ProposalTextRow, "texts"), (ProposalCategoryRow, "categories"), (ProposalAreaRow, "areas"))


@dataclass(slots=True)
class Written:
    """What one page did. `seen` counts items and references that were merely present."""

    seen: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    tallies: int = 0
    quarantined: int = 0

    def add(self, other: "Written") -> None:
        """Sum up."""
        for name in ("seen", "created", "changed", "unchanged", "tallies", "quarantined"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class _Batch:
    """The rows of one table that a page creates, replaces or touches."""

    table: Table
    created: list[tuple[Item, Built]] = field(default_factory=list[tuple[Item, Built]])
    changed: list[tuple[Item, Built, Any]] = field(default_factory=list[tuple[Item, Built, Any]])
    touched: list[tuple[Item, Any]] = field(default_factory=list[tuple[Item, Any]])


class InstanceStore:
    """Everything one pull of one instance reads and writes. Not shared between threads at the same time."""

    def __init__(self, engine: Engine, instance: str, locales: Sequence[str], clock: Clock) -> None:
        self.engine = engine
        self.instance = instance
        self.clock = clock
        self.rows = RowMaker(instance, locales)
        self.sweeps = Sweeps(engine, instance)
        self.quarantine = Quarantine(engine, instance)
        self._prefix = f"{instance}/"
        self._authors: set[str] = set()
        self._fresh: dict[str, Sieve] = {}
        """Tables that held nothing of this instance before, with what this run put there: nothing else can be known."""
        memory = table_of(MemoryRow)
        with engine.connect() as connection:
            kept = connection.execute(select(memory).where(memory.c.instance == instance)).mappings().all()
            self._memory: dict[str, Any] = {row["name"]: row["value"] for row in kept}
            self._pending = self._load_pending(connection)
            for row_class in ROWS.values():
                table = table_of(row_class)
                if connection.execute(select(table.c.key).where(table.c.instance == instance).limit(1)).first() is None:
                    self._fresh[table.name] = Sieve()

    # What a connector may ask (connectors.contract.Stored) ------------------------------------------------------------

    def cursor(self, scope: str) -> Cursor | None:
        """Where an unfinished sweep of this scope goes on; asking for it means to resume."""
        return self.sweeps.cursor(scope)

    def memory(self, name: str) -> Any:
        """A value kept by an earlier page, or None."""
        return self._memory.get(name)

    def pending(self, scope: str) -> Sequence[Ref]:
        """References that the last complete sweep missed."""
        return self._pending.get(scope, ())

    async def tokens(self, scope: str) -> Mapping[Ref, str]:
        """The connector's change marks of everything alive in the scope."""
        import asyncio

        return await asyncio.to_thread(self._tokens, scope)

    def _tokens(self, scope: str) -> Tokens:
        cut = len(self._prefix)
        found = Tokens()
        with self.engine.connect() as connection:
            for row_class in ROWS.values():
                table = table_of(row_class)
                query = select(table.c.key, table.c.token).where(
                    table.c.instance == self.instance,
                    table.c.scope == scope,
                    table.c.gone_at.is_(None),
                    table.c.token.is_not(None),
                )
                for name, token in connection.execution_options(yield_per=5000).execute(query):
                    found.add(name[cut:], token)
        return found

    def _load_pending(self, connection: Connection) -> dict[str, list[Ref]]:
        cut = len(self._prefix)
        pending: dict[str, list[Ref]] = {}
        for row_class in ROWS.values():
            table = table_of(row_class)
            query = select(table.c.scope, table.c.key).where(
                table.c.instance == self.instance, table.c.missing_runs > 0, table.c.gone_at.is_(None)
            )
            for scope, name in connection.execute(query):
                pending.setdefault(scope, []).append(name[cut:])
        return pending

    # Writing ----------------------------------------------------------------------------------------------------------

    def write(self, page: Page) -> Written:
        """Write one page in one transaction."""
        now = self.clock.now()
        with self.engine.begin() as connection:
            written = self._write_items(connection, page, now)
            written.seen += len(page.present)
            self.sweeps.keep(connection, page, now)
            upsert(
                connection,
                table_of(MemoryRow),
                [{"instance": self.instance, "name": name, "value": value} for name, value in page.memory.items()],
            )
        self._memory.update(page.memory)
        return written

    def replay(self, item: Item, scope: str) -> Written:
        """Write one record from quarantine, outside any sweep."""
        now = self.clock.now()
        with self.engine.begin() as connection:
            return self._write_items(connection, Page(scope, [item]), now)

    def _write_items(self, connection: Connection, page: Page, now: datetime) -> Written:
        written = Written(seen=len(page.items))
        batches: dict[str, _Batch] = {}
        failed: list[tuple[Item, str, str]] = []
        items = {item.ref: item for item in page.items}
        known = self._known(connection, items)
        for reference, item in items.items():
            table = table_of(rows_of(reference))
            batch = batches.setdefault(table.name, _Batch(table))
            row = known.get(reference)
            if item.build is not None and (
                row is None or row.gone_at is not None or row.digest is None or row.digest != item.digest
            ):
                try:
                    built = self.rows.build(reference, item.build())
                except (MappingError, ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
                    failed.append((item, *reason_of(error)))
                    continue
                if row is None:
                    batch.created.append((item, built))
                    if table.name in self._fresh:
                        self._fresh[table.name].add(reference)
                else:
                    batch.changed.append((item, built, row))
            elif row is not None and (row.gone_at is None):
                if _same(item, row, page.scope):
                    written.unchanged += 1
                else:
                    batch.touched.append((item, row))
        for batch in batches.values():
            written.created += len(batch.created)
            written.changed += len(batch.changed)
            written.tallies += self._write_batch(connection, batch, page.scope, now)
            written.unchanged += len(batch.touched)
        written.quarantined += len(failed)
        self.quarantine.write(connection, page.scope, failed, items, now)
        return written

    def _known(self, connection: Connection, items: Mapping[Ref, Item]) -> dict[Ref, Any]:
        by_table: dict[str, list[Key]] = {}
        for reference in items:
            table = str(rows_of(reference).__tablename__)
            if table not in self._fresh or self._fresh[table].may_hold(reference):
                by_table.setdefault(table, []).append(key(self.instance, reference))
        cut = len(self._prefix)
        known: dict[Ref, Any] = {}
        for name, keys in by_table.items():
            table = SQLModel.metadata.tables[name]
            columns = [
                table.c[c]
                for c in ("key", "digest", "token", "scope", "missing_runs", "gone_at", *COUNTERS)
                if c in table.c
            ]
            if name == "proposal":
                columns += [
                    table.c.version,
                    table.c.state,
                    table.c.native_state,
                    table.c.changed_at,
                    table.c.first_seen_at,
                ]
            for part in chunks(keys):
                for row in connection.execute(select(*columns).where(table.c.key.in_(part))):
                    known[row.key[cut:]] = row
        return known

    def _write_batch(self, connection: Connection, batch: _Batch, scope: str, now: datetime) -> int:
        table = batch.table
        counted = "supports" in table.c
        created = [_full_row(item, built, scope, now, counted, table is PROPOSAL) for item, built in batch.created]
        insert_new(connection, table, created)
        if batch.changed:
            self._replace(connection, batch, scope, now, counted)
        if batch.touched:
            self._touch(connection, table, batch.touched, scope, counted)
        everything = [built for _, built in batch.created] + [built for _, built, _ in batch.changed]
        for row_class, part in _PARTS:
            insert_new(connection, table_of(row_class), [row for built in everything for row in getattr(built, part)])
        upsert(connection, table_of(AttachmentRow), _unique(row for built in everything for row in built.attachments))
        self._write_authors(connection, everything)
        self._write_children(connection, [record for built in everything for record in built.children], now)
        return self._write_tallies(connection, batch, now) if table is PROPOSAL else 0

    def _replace(self, connection: Connection, batch: _Batch, scope: str, now: datetime, counted: bool) -> None:
        rows: list[Columns] = []
        proposals = batch.table is PROPOSAL
        if proposals:
            self._keep_versions(connection, batch, now)
        for item, built, known in batch.changed:
            newer = built.main.pop("_new_version", 0)
            row = _full_row(item, built, scope, now, counted, proposals)
            if counted and item.counters is None:
                row.update({name: getattr(known, name) for name in COUNTERS})
            if proposals:
                row["version"] = known.version + newer
            rows.append(row)
        upsert(connection, batch.table, rows, keep=("first_seen_at",))
        keys = [built.main["key"] for _, built, _ in batch.changed]
        if not proposals:
            return
        answers, attachments = table_of(AnswerRow), table_of(AttachmentRow)
        for part in chunks(keys):
            for row_class, _ in _PARTS:
                connection.execute(delete(table_of(row_class)).where(table_of(row_class).c.proposal_key.in_(part)))
            connection.execute(delete(attachments).where(attachments.c.owner_key.in_(part)))
            # Answers that came inside their proposal (they have no scope of their own) are replaced with it.
            connection.execute(delete(answers).where(answers.c.target_key.in_(part), answers.c.scope == ""))

    def _keep_versions(self, connection: Connection, batch: _Batch, now: datetime) -> None:
        texts = table_of(ProposalTextRow)
        before: dict[Key, list[Columns]] = {}
        for part in chunks([built.main["key"] for _, built, _ in batch.changed]):
            for row in connection.execute(select(texts).where(texts.c.proposal_key.in_(part))).mappings():
                before.setdefault(row["proposal_key"], []).append({k: v for k, v in row.items() if k != "proposal_key"})
        versions: list[Columns] = []
        for _, built, known in batch.changed:
            own = built.main["key"]
            old = sorted(before.get(own, []), key=_text_order)
            new = sorted(
                ({k: v for k, v in row.items() if k != "proposal_key"} for row in built.texts), key=_text_order
            )
            if known.gone_at is not None and not old:
                continue
            if old != new or known.state != built.main["state"] or known.native_state != built.main["native_state"]:
                versions.append(
                    {
                        "proposal_key": own,
                        "version": known.version,
                        "state": known.state,
                        "native_state": known.native_state,
                        "texts": old,
                        "seen_from": known.changed_at or known.first_seen_at,
                        "seen_until": now,
                    }
                )
                built.main["_new_version"] = 1
        upsert(connection, table_of(ProposalVersionRow), versions)

    def _touch(
        self, connection: Connection, table: Table, touched: list[tuple[Item, Any]], scope: str, counted: bool
    ) -> None:
        values: dict[str, Any] = {"token": bindparam("new_token"), "scope": bindparam("new_scope"), "missing_runs": 0}
        if counted:
            values.update({name: bindparam(f"new_{name}") for name in COUNTERS})
        rows: list[Columns] = []
        for item, known in touched:
            row: Columns = {
                "own": key(self.instance, item.ref),
                "new_token": item.token if item.token is not None else known.token,
                "new_scope": scope,
            }
            if counted:
                counters = (
                    counter_values(item.counters) if item.counters else tuple(getattr(known, name) for name in COUNTERS)
                )
                row.update(zip((f"new_{name}" for name in COUNTERS), counters, strict=True))
            rows.append(row)
        connection.execute(update(table).where(table.c.key == bindparam("own")).values(values), rows)

    def _write_tallies(self, connection: Connection, batch: _Batch, now: datetime) -> int:
        tallies: list[Columns] = [
            {
                "proposal_key": built.main["key"],
                "seen_at": now,
                **{name: built.main[name] for name in COUNTERS},
            }
            for item, built in batch.created
            if item.counters is not None
        ]
        changed = [(item, known) for item, _, known in batch.changed]
        changed += batch.touched
        for item, known in changed:
            if item.counters is None:
                continue
            values = counter_values(item.counters)
            if values == tuple(getattr(known, name) for name in COUNTERS):
                continue
            tallies.append(
                {
                    "proposal_key": key(self.instance, item.ref),
                    "seen_at": now,
                    **dict(zip(COUNTERS, values, strict=True)),
                }
            )
        if len(batch.created) == len(tallies):
            insert_new(connection, table_of(TallyRow), tallies)
        else:
            upsert(connection, table_of(TallyRow), tallies)
        return len(tallies)

    def _write_authors(self, connection: Connection, everything: Sequence[Built]) -> None:
        new: dict[str, Columns] = {}
        for built in everything:
            for row in built.authors:
                if row["pseudonym"] not in self._authors:
                    new[row["pseudonym"]] = row
        upsert(connection, table_of(AuthorRow), list(new.values()))
        if len(self._authors) < 200_000:
            self._authors.update(new)

    def _write_children(self, connection: Connection, children: Sequence[Record], now: datetime) -> None:
        by_table: dict[str, dict[Key, Columns]] = {}
        for record in children:
            row = self.rows.main(record)
            table = table_of(rows_of(record.ref))
            if "supports" in table.c:
                row.update(dict.fromkeys(COUNTERS))
            if table is PROPOSAL:
                row["version"] = 1
            row.update(_state_columns(None, None, "", now))
            if table.name in self._fresh:
                self._fresh[table.name].add(record.ref)
            by_table.setdefault(table.name, {})[row["key"]] = row
        for name, rows in by_table.items():
            upsert(connection, SQLModel.metadata.tables[name], list(rows.values()), keep=("first_seen_at", "scope"))


def _state_columns(digest: bytes | None, token: str | None, scope: str, now: datetime) -> Columns:
    return {
        "scope": scope,
        "digest": digest,
        "token": token,
        "first_seen_at": now,
        "changed_at": now,
        "missing_runs": 0,
        "gone_at": None,
        "gone_reason": None,
    }


def _full_row(item: Item, built: Built, scope: str, now: datetime, counted: bool, versioned: bool) -> Columns:
    row = built.main  # not copied: nobody else needs it without these
    row.update(_state_columns(item.digest, item.token, scope, now))
    if counted:
        values = counter_values(item.counters) if item.counters else (None,) * len(COUNTERS)
        row.update(zip(COUNTERS, values, strict=True))
    if versioned:
        row["version"] = 1
    return row


def _same(item: Item, row: Any, scope: str) -> bool:
    if row.missing_runs or row.scope != scope or (item.token is not None and item.token != row.token):
        return False
    if item.counters is None or not hasattr(row, "supports"):
        return True
    return counter_values(item.counters) == (row.supports, row.opposes, row.endorsements, row.comments)


def _text_order(row: Mapping[str, Any]) -> tuple[str, bool]:
    return row["locale"], row["machine"]


def _unique(rows: Iterable[Columns]) -> list[Columns]:
    return list({row["key"]: row for row in rows}.values())
