"""The store: one page in, one transaction out.

Rows, quarantined records and the checkpoint commit together. What is the same as before is not mapped and not written: a new
support is a new tally, not a new version of a text. The store never touches the network and never decides that something is
gone (`core.absence` does, after a complete sweep).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Select, Table, bindparam, select, update
from sqlmodel import SQLModel

from ..clock import Clock
from ..identity import Key, Ref, key
from ..items import UNREADABLE, Cursor, Item, Kinds, MappingError, Page
from ..leases import Lease, writing
from ..records import Record
from ..schema.tables import ROWS, MemoryRow, table_of
from .bulk import chunks, upsert
from .change_tokens import Sieve, TokensByKind
from .confirmations import How, confirm_rows, confirm_scope, keep_age
from .forgotten import erased, mark_of, marks
from .intake import Intake
from .kinds import KindTables
from .page_writer import Batch, Batches
from .quarantine import Quarantine, reason_of
from .rows import COUNTERS, Built, RowMaker, counter_values
from .sweeps import Sweeps


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


class InstanceStore:
    """Everything one pull of one instance reads and writes. Not shared between threads at the same time."""

    def __init__(
        self,
        engine: Engine,
        instance: str,
        locales: Sequence[str],
        clock: Clock,
        *,
        kinds: Kinds,
        lease: Lease | None = None,
        intake: Intake | None = None,
    ) -> None:
        """`kinds` are the connector's; `lease` is what everything is written under; `intake`: what is left out."""
        self.intake = intake
        self.engine = engine
        self.instance = instance
        self.clock = clock
        self.rows = RowMaker(instance, locales)
        self.kinds = KindTables(kinds)
        self.lease = lease
        self.sweeps = Sweeps(engine, instance, lease)
        self.quarantine = Quarantine(engine, instance, intake)
        self._prefix = f"{instance}/"
        self.evidence: set[Ref] = set()
        """What threads that this run read whole did not hold any more."""
        self.confirmed: set[str] = set()
        """The scopes that this run confirmed as a whole."""
        self._fresh: dict[str, Sieve] = {}
        """Tables that held nothing of this instance before, with what this run put there: nothing else can be known."""
        memory = table_of(MemoryRow)
        with engine.connect() as connection:
            kept = connection.execute(select(memory).where(memory.c.instance == instance)).mappings().all()
            self._memory: dict[str, Any] = {row["name"]: row["value"] for row in kept}
            self._forgotten = marks(connection, instance)
            self._erased = erased(connection, instance)
            for row_class in ROWS.values():
                if connection.execute(_any(table_of(row_class)), {"instance": instance}).first() is None:
                    self._fresh[str(row_class.__tablename__)] = Sieve()
            self._pending = self._load_pending(connection)
        self._batches = Batches(instance, self.rows, self._fresh)

    def held(self) -> list[type[SQLModel]]:
        """The tables of `ROWS` in which this instance may have rows; the others need not be asked. Nobody else writes them meanwhile."""
        names = {name for name, sieve in self._fresh.items() if sieve.empty}
        return [row_class for row_class in ROWS.values() if row_class.__tablename__ not in names]

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

    def _tokens(self, scope: str) -> TokensByKind:
        cut = len(self._prefix)
        found = TokensByKind()
        with self.engine.connect() as connection:
            for row_class in self.held():
                asked = {"instance": self.instance, "scope": scope}
                for name, token in connection.execution_options(yield_per=5000).execute(
                    _marked(table_of(row_class)), asked
                ):
                    found.add(name[cut:], token)
        return found

    def _load_pending(self, connection: Connection) -> dict[str, list[Ref]]:
        cut = len(self._prefix)
        pending: dict[str, list[Ref]] = {}
        for row_class in self.held():
            for scope, name in connection.execute(_missed(table_of(row_class)), {"instance": self.instance}):
                pending.setdefault(scope, []).append(name[cut:])
        return pending

    # Writing ----------------------------------------------------------------------------------------------------------

    def write(self, page: Page) -> Written:
        """Write one page in one transaction."""
        now = self.clock.now()
        with writing(self.engine, self.lease) as connection:
            written = self._write_items(connection, page, now)
            written.seen += len(page.present)
            self.sweeps.keep(connection, page, now)
            upsert(
                connection,
                table_of(MemoryRow),
                [{"instance": self.instance, "name": name, "value": value} for name, value in page.memory.items()],
            )
            self._confirm(connection, page, now)
        self._memory.update(page.memory)
        return written

    def _confirm(self, connection: Connection, page: Page, now: datetime) -> None:
        """What a gate vouched for; and, of threads that were read whole, what is not in them any more."""
        if page.vouched:
            confirm_scope(connection, self.instance, page.scope, now, How.GATE)
        if page.whole_of or page.absent:
            self._evidence(connection, page, now)

    def _evidence(self, connection: Connection, page: Page, now: datetime) -> None:
        shown = {key(self.instance, item.ref) for item in page.items} | {
            key(self.instance, each) for each in page.present
        }
        absent = {table.name: keys for table, keys in self.by_table(page.absent)}
        cut = len(self._prefix)
        for row_class in self.held():
            table = table_of(row_class)
            hanging = page.whole_of if "target_key" in table.c else ()
            there, lost = list[Key](), absent.get(table.name, [])
            for part in chunks([key(self.instance, target) for target in hanging]):
                query = select(table.c.key).where(
                    table.c.target_key.in_(part), table.c.scope == page.scope, table.c.gone_at.is_(None)
                )
                for own in connection.execute(query).scalars():
                    (there if own in shown else lost).append(own)
            confirm_rows(connection, table, there, now, How.SHOWN)
            lost = [own for own in lost if own[cut:] not in self.evidence]
            keep_age(connection, self.instance, table, lost)
            for part in chunks(lost):
                values = {"missing_runs": table.c.missing_runs + 1}
                alive = (table.c.key.in_(part), table.c.gone_at.is_(None))
                connection.execute(update(table).where(*alive).values(**values))
            self.evidence.update(own[cut:] for own in lost)

    def by_table(self, refs: Iterable[Ref]) -> list[tuple[Table, list[Key]]]:
        """References as keys, by the table that their rows live in."""
        found: dict[str, list[Key]] = {}
        for reference in refs:
            name = str(self.kinds.row_class(reference).__tablename__)
            found.setdefault(name, []).append(key(self.instance, reference))
        return [(SQLModel.metadata.tables[name], keys) for name, keys in found.items()]

    def replay(self, item: Item, scope: str) -> Written:
        """Write one record from quarantine, outside any sweep."""
        now = self.clock.now()
        with writing(self.engine, self.lease) as connection:
            return self._write_items(connection, Page(scope, [item]), now)

    def _write_items(self, connection: Connection, page: Page, now: datetime) -> Written:
        written = Written(seen=len(page.items))
        batches: dict[str, Batch] = {}
        failed: list[tuple[Item, str, str]] = []
        items = {item.ref: item for item in page.items}
        known = self._known(connection, items)
        for reference, item in items.items():
            table = table_of(self.kinds.row_class(reference))
            batch = batches.setdefault(table.name, Batch(table))
            row = known.get(reference)
            if self._erased and key(self.instance, reference) in self._erased:
                if row is not None and row.gone_at is None:
                    batch.touched.append((item, row))
                continue
            if item.build is not None and (
                row is None or row.gone_at is not None or row.digest is None or row.digest != item.digest
            ):
                try:
                    records = item.build()
                    self._declared(records[0] if records else None, reference)
                    built = self.rows.build(reference, records)
                except UNREADABLE as error:
                    failed.append((item, *reason_of(error)))
                    continue
                if self._forgotten and self._is_of_forgotten(built):
                    continue
                if self.intake is not None and not self.intake.takes(built, table.name, now):
                    continue
                if row is None:
                    batch.created.append((item, built))
                    if table.name in self._fresh:
                        self._fresh[table.name].add(reference)
                else:
                    if item.untold and row.gone_at is None and self._adds_nothing(connection, table, item, built):
                        batch.touched.append((item, row))
                        continue
                    batch.changed.append((item, built, row))
            elif row is not None and (row.gone_at is None):
                if _same(item, row, page.scope):
                    written.unchanged += 1
                else:
                    batch.touched.append((item, row))
        for batch in batches.values():
            written.created += len(batch.created)
            written.changed += len(batch.changed)
            written.tallies += self._batches.write(connection, batch, page.scope, now)
            written.unchanged += len(batch.touched)
        written.quarantined += len(failed)
        self.quarantine.write(connection, page.scope, failed, items, now)
        return written

    def _is_of_forgotten(self, built: Built) -> bool:
        """Whether a person wrote it who was forgotten; whatever else of such a person came with it is left out."""
        built.authors = [row for row in built.authors if mark_of(row["pseudonym"]) not in self._forgotten]
        built.children = [each for each in built.children if not self._by_forgotten(getattr(each, "author", None))]
        return self._by_forgotten(built.main.get("author"))

    def _by_forgotten(self, author: str | None) -> bool:
        return author is not None and mark_of(author) in self._forgotten

    def _adds_nothing(self, connection: Connection, table: Table, item: Item, built: Built) -> bool:
        """Take over what this source does not tell; whether the row stays as it is then."""
        row = connection.execute(select(table).where(table.c.key == key(self.instance, item.ref))).mappings().first()
        if row is None:
            return False
        for column in item.untold:
            built.main[column] = row[column]
        return all(row[column] == value for column, value in built.main.items())

    def _declared(self, record: Record | None, reference: Ref) -> None:
        """A record belongs into the table that its connector declares for its kind: no row is ever looked for in two places."""
        table = self.kinds.row_class(reference)
        if record is not None and ROWS[record.table] is not table:
            raise MappingError(
                "kind", f"the connector does not declare {record.kind!r} among its {record.table} (Connector.kinds)"
            )

    def _known(self, connection: Connection, items: Mapping[Ref, Item]) -> dict[Ref, Any]:
        by_table: dict[str, list[Key]] = {}
        for reference in items:
            table = str(self.kinds.row_class(reference).__tablename__)
            if table not in self._fresh or self._fresh[table].may_hold(reference):
                by_table.setdefault(table, []).append(key(self.instance, reference))
        cut = len(self._prefix)
        known: dict[Ref, Any] = {}
        for name, keys in by_table.items():
            for part in chunks(keys):
                for row in connection.execute(_standing(SQLModel.metadata.tables[name]), {"keys": part}):
                    known[row.key[cut:]] = row
        return known


# Statements that every run asks of every table are put together once: that takes longer than most of them do.


@cache
def _any(table: Table) -> Select[*tuple[Any, ...]]:
    return select(table.c.key).where(table.c.instance == bindparam("instance")).limit(1)


@cache
def _marked(table: Table) -> Select[*tuple[Any, ...]]:
    mine = (table.c.instance == bindparam("instance"), table.c.scope == bindparam("scope"))
    return select(table.c.key, table.c.token).where(*mine, table.c.gone_at.is_(None), table.c.token.is_not(None))


@cache
def _missed(table: Table) -> Select[*tuple[Any, ...]]:
    mine = table.c.instance == bindparam("instance")
    return select(table.c.scope, table.c.key).where(mine, table.c.missing_runs > 0, table.c.gone_at.is_(None))


_STANDING = ("key", "digest", "token", "scope", "missing_runs", "gone_at", "updated_at", "author", *COUNTERS)
_STANDING_PROPOSAL = ("version", "state", "native_state", "changed_at", "first_seen_at")


@cache
def _standing(table: Table) -> Select[*tuple[Any, ...]]:
    """What of a stored row decides whether it has changed."""
    names = (*_STANDING, *(_STANDING_PROPOSAL if table.name == "proposal" else ()))
    columns = [table.c[name] for name in names if name in table.c]
    return select(*columns).where(table.c.key.in_(bindparam("keys", expanding=True)))


def _same(item: Item, row: Any, scope: str) -> bool:
    if row.missing_runs or row.scope != scope or (item.token is not None and item.token != row.token):
        return False
    if item.updated_at is not None and hasattr(row, "updated_at") and item.updated_at != row.updated_at:
        return False
    if item.counters is None or not hasattr(row, "supports"):
        return True
    return counter_values(item.counters) == (row.supports, row.opposes, row.endorsements, row.comments)
