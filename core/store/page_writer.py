"""The rows of one page on their way into the tables: new, changed and touched ones, with their texts, versions, tallies and children."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, select, update
from sqlmodel import SQLModel

from ..identity import Key, key
from ..items import Item
from ..records import Record
from ..schema.tables import (
    ROWS,
    AnswerRow,
    AttachmentRow,
    AuthorRow,
    ProposalAreaRow,
    ProposalCategoryRow,
    ProposalRow,
    ProposalTextRow,
    ProposalVersionRow,
    TallyRow,
    table_of,
)
from .bulk import chunks, insert_new, upsert
from .change_tokens import Sieve
from .confirmations import How
from .rows import COUNTERS, Built, Columns, RowMaker, counter_values

PROPOSAL = table_of(ProposalRow)
_PARTS = ((ProposalTextRow, "texts"), (ProposalCategoryRow, "categories"), (ProposalAreaRow, "areas"))


@dataclass(slots=True)
class Batch:
    """The rows of one table that a page creates, replaces or touches."""

    table: Table
    created: list[tuple[Item, Built]] = field(default_factory=list[tuple[Item, Built]])
    changed: list[tuple[Item, Built, Any]] = field(default_factory=list[tuple[Item, Built, Any]])
    touched: list[tuple[Item, Any]] = field(default_factory=list[tuple[Item, Any]])


class Batches:
    """Writes the batches of one instance's pages, inside the page's transaction."""

    def __init__(self, instance: str, rows: RowMaker, fresh: Mapping[str, Sieve]) -> None:
        """`fresh`: tables that held nothing of this instance before, with what this run put there."""
        self.instance = instance
        self.rows = rows
        self.fresh = fresh
        self._authors: set[str] = set()

    def write(self, connection: Connection, batch: Batch, scope: str, now: datetime) -> int:
        """Carry out a batch; returns how many tallies that made."""
        table = batch.table
        counted = "supports" in table.c
        created = [_full_row(item, built, scope, now, counted, table is PROPOSAL) for item, built in batch.created]
        insert_new(connection, table, created)
        if batch.changed:
            self._replace(connection, batch, scope, now, counted)
        if batch.touched:
            self._touch(connection, table, batch.touched, scope, counted, now)
        everything = [built for _, built in batch.created] + [built for _, built, _ in batch.changed]
        for row_class, part in _PARTS:
            insert_new(connection, table_of(row_class), [row for built in everything for row in getattr(built, part)])
        upsert(connection, table_of(AttachmentRow), _unique(row for built in everything for row in built.attachments))
        self._write_authors(connection, everything)
        self._write_children(connection, [record for built in everything for record in built.children], now)
        return self._write_tallies(connection, batch, now) if table is PROPOSAL else 0

    def _replace(self, connection: Connection, batch: Batch, scope: str, now: datetime, counted: bool) -> None:
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

    def _keep_versions(self, connection: Connection, batch: Batch, now: datetime) -> None:
        texts = table_of(ProposalTextRow)
        before: dict[Key, list[Columns]] = {}
        for part in chunks([built.main["key"] for _, built, _ in batch.changed]):
            for row in connection.execute(select(texts).where(texts.c.proposal_key.in_(part))).mappings():
                before.setdefault(row["proposal_key"], []).append({k: v for k, v in row.items() if k != "proposal_key"})
        versions: list[Columns] = []
        let_go: list[Key] = []
        for _, built, known in batch.changed:
            own = built.main["key"]
            if known.author is not None and built.main["author"] != known.author:
                # A platform that erases somebody gives the text to nobody, or to its account for everybody without one. What was said
                # before is then no longer anybody's to keep.
                let_go.append(own)
                built.main["_new_version"] = 1
                continue
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
        for part in chunks(let_go):
            earlier = table_of(ProposalVersionRow)
            connection.execute(delete(earlier).where(earlier.c.proposal_key.in_(part)))

    def _touch(
        self,
        connection: Connection,
        table: Table,
        touched: list[tuple[Item, Any]],
        scope: str,
        counted: bool,
        now: datetime,
    ) -> None:
        values: dict[str, Any] = {
            "token": bindparam("new_token"),
            "scope": bindparam("new_scope"),
            "missing_runs": 0,
            "told_missing_at": None,
            "confirmed_at": now,
            "confirmed_by": How.SHOWN.value,
        }
        dated = "updated_at" in table.c
        if dated:
            values["updated_at"] = bindparam("new_updated_at", type_=table.c.updated_at.type)
        if counted:
            values.update({name: bindparam(f"new_{name}") for name in COUNTERS})
        rows: list[Columns] = []
        for item, known in touched:
            row: Columns = {
                "own": key(self.instance, item.ref),
                "new_token": item.token if item.token is not None else known.token,
                "new_scope": scope,
            }
            if dated:
                row["new_updated_at"] = item.updated_at or known.updated_at
            if counted:
                counters = (
                    counter_values(item.counters) if item.counters else tuple(getattr(known, name) for name in COUNTERS)
                )
                row.update(zip((f"new_{name}" for name in COUNTERS), counters, strict=True))
            rows.append(row)
        connection.execute(update(table).where(table.c.key == bindparam("own")).values(values), rows)

    def _write_tallies(self, connection: Connection, batch: Batch, now: datetime) -> int:
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
            table = table_of(ROWS[record.table])
            if "supports" in table.c:
                row.update(dict.fromkeys(COUNTERS))
            if table is PROPOSAL:
                row["version"] = 1
            row.update(_state_columns(None, None, "", now))
            if table.name in self.fresh:
                self.fresh[table.name].add(record.ref)
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
        "confirmed_at": now,
        "confirmed_by": How.SHOWN.value,
        "told_missing_at": None,
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


def _text_order(row: Mapping[str, Any]) -> tuple[str, bool]:
    return row["locale"], row["machine"]


def _unique(rows: Iterable[Columns]) -> list[Columns]:
    return list({row["key"]: row for row in rows}.values())
