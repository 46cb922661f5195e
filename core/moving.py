"""Moving everything from one database into another, such as from SQLite to PostgreSQL, and proving that all of it arrived.

The source is held so that nobody writes to it, and is not changed. The target is marked until everything was compared: whatever is left
of a move that was broken off is refused by everybody. Rows stream table by table; what can be made again (the index for searching) is not
moved, nor is who holds which lease.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Table, func, inspect, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from . import audit
from .clock import Clock
from .leases import LEASE
from .schema.database import HEAD, UNFINISHED, file_of, migrate, open_engine, place
from .schema.failures import DatabaseError, database_failure, driver_failure
from .schema.ledger_tables import METADATA
from .schema.views import FORMER, NAMES, SCHEMA

CHUNK = 1_000
"""Rows that are in memory at once."""
_WAIT = "60s"
_LOCK = 0x6369766D6F
"""The advisory lock of PostgreSQL that is held while something is moved in."""
_MADE_AGAIN = frozenset({"search_document", "search_queue"})
_STAYS = frozenset({"lease"})
_OWN = "views"
"""The row of `schema_info` that each database has of its own."""
Told = Callable[[str, int, int], None]
"""Called with a table, how many of its rows are done, and of how many."""


class MovingError(Exception):
    """A move cannot begin, or not everything arrived; the text says why and the way out."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one table: its rows in both databases, and a checksum of what they hold, whatever their order."""

    table: str
    source_rows: int
    target_rows: int
    source_checksum: str
    target_checksum: str

    @property
    def same(self) -> bool:
        """Whether everything arrived, and nothing else."""
        return (self.source_rows, self.source_checksum) == (self.target_rows, self.target_checksum)


def tables() -> list[Table]:
    """What is moved, in the order in which it is."""
    return [each for each in METADATA.sorted_tables if each.name not in _MADE_AGAIN | _STAYS]


def move(source: URL, target: URL, clock: Clock, *, restart: bool = False, told: Told | None = None) -> list[Moved]:
    """Copy everything into an empty database and compare both; one row per table. Blocks.

    `restart`: what a broken-off move left in the target is removed first; nothing else ever is.

    Raises:
        MovingError: the target is not empty, somebody is at work with the source, or the two are not the same at the end.
        DatabaseError: one of them cannot be used.
    """
    if place(source) == place(target):
        raise MovingError(f"{place(source)} is both: name two databases")
    if source.get_backend_name() == "sqlite" and not Path(source.database or "").is_file():
        raise MovingError(f"{place(source)} is not there: nothing to move")
    try:
        # The target is opened, and a file made for it, only once the source is found good.
        with (
            _opened(source) as origin,
            _held(origin, clock) as reading,
            _opened(target) as destination,
            _alone(destination),
        ):
            return _move(reading, destination, clock, restart, told)
    except DBAPIError as error:
        raise DatabaseError(f"{place(source)} or {place(target)}: {database_failure(error)}") from error


@contextlib.contextmanager
def _opened(url: URL) -> Generator[Engine]:
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _move(reading: Connection, target: Engine, clock: Clock, restart: bool, told: Told | None) -> list[Moved]:
    _make_target(target, restart)
    done: list[Moved] = []
    for table in tables():
        rows, checksum = _copy(reading, target, table, told)
        with target.connect() as connection:
            arrived, found = _summed(connection, table)
        done.append(Moved(table.name, rows, arrived, checksum, found))
    wrong = [each.table for each in done if not each.same]
    if wrong:
        raise MovingError(
            f"{place(target.url)}: {', '.join(wrong)} did not arrive as it was, and nothing there is used. Move again with --restart; "
            "tell us if it happens twice"
        )
    rows = sum(each.source_rows for each in done)
    with target.begin() as connection:
        if connection.dialect.name == "postgresql":
            _settle(connection)
        connection.execute(
            text("UPDATE alembic_version SET version_num = :head WHERE version_num = :mark"),
            {"head": HEAD, "mark": UNFINISHED},
        )
        result = f"{rows} rows in {len(done)} tables, counted and compared"
        audit.append(connection, clock.now(), action="move", object=place(reading.engine.url), result=result)
    return done


# The source -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _held(engine: Engine, clock: Clock) -> Generator[Connection]:
    """A transaction of one moment, beside which nobody writes."""
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with engine.connect().execution_options(**options) as connection:
        _right_schema(connection)
        connection.rollback()
        if engine.dialect.name == "sqlite":
            file = file_of(engine)
            assert file is not None
            only_read = connection.exec_driver_sql("PRAGMA query_only").scalar()
            connection.rollback()
            connection.exec_driver_sql("BEGIN" if only_read else "BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT}'")
            named = ", ".join(f'"{table.name}"' for table in METADATA.sorted_tables)
            connection.exec_driver_sql(f"LOCK TABLE {named} IN SHARE MODE")
        _nobody_at_work(connection, clock.now())
        try:
            yield connection
        finally:
            connection.rollback()


def _right_schema(connection: Connection) -> None:
    where = place(connection.engine.url)
    if not inspect(connection).has_table("alembic_version"):
        raise MovingError(f"{where} is no database of civicsync: nothing to move")
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found == UNFINISHED:
        raise MovingError(f"{where} is itself what a broken-off move left; move from where that one came")
    if found != HEAD:
        raise MovingError(
            f"{where} has the schema {found}, this civicsync works with {HEAD}: let `civicsync status` bring it up to date first"
        )


def _nobody_at_work(connection: Connection, now: datetime) -> None:
    held = select(LEASE.c.name, LEASE.c.holder, LEASE.c.until).where(LEASE.c.holder != "", LEASE.c.until > now)
    for name, holder, until in connection.execute(held):
        host, _, process = str(holder).partition(":")
        raise MovingError(
            f"{place(connection.engine.url)}: process {process.partition(':')[0]} on {host} is at work ({name}); stop it first. "
            f"If it has died, this is free at {until:%H:%M:%S} UTC"
        )


@contextlib.contextmanager
def _alone(engine: Engine) -> Generator[None]:
    """So that `restart` never removes what another process is moving in just now. Of SQLite files nobody makes two at once."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name == "postgresql":
            taken = connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}).scalar()
            if not taken:
                raise MovingError(f"{place(engine.url)}: another process is moving into it just now")
        yield


# The target -------------------------------------------------------------------------------------------------------------


def _make_target(engine: Engine, restart: bool) -> None:
    """Tables of ours, empty, with the mark that makes everybody else refuse them."""
    where = place(engine.url)
    names = [table.name for table in METADATA.sorted_tables]
    with engine.connect() as connection:
        there = set(inspect(connection).get_table_names())
        marked = "alembic_version" in there and (
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == UNFINISHED
        )
        full = [] if marked else [name for name in names if name in there and _holds_rows(connection, name)]
        if "alembic_version" not in there and (ours := sorted(there & set(names))):
            raise MovingError(
                f"{where} holds tables of somebody else with names of ours ({', '.join(ours[:5])}); name another database"
            )
    if full:
        raise MovingError(
            f"{where} is not empty: {', '.join(full[:5])}{', …' if len(full) > 5 else ''} hold rows. A move goes into an empty database; "
            "make another one"
        )
    if marked and not restart:
        raise MovingError(
            f"{where} holds what a broken-off move left; --restart removes that and begins again (or drop the database and make it anew)"
        )
    if marked:
        _remove(engine, there)
    migrate(engine)
    with engine.begin() as connection:
        taken = connection.execute(
            text("UPDATE alembic_version SET version_num = :mark WHERE version_num = :head"),
            {"mark": UNFINISHED, "head": HEAD},
        )
        if not taken.rowcount:
            raise MovingError(f"{where}: somebody else has begun to move into it")
        again = [name for name in names if _holds_rows(connection, name)]
        if again:
            raise MovingError(f"{where} is not empty any more: {', '.join(again[:5])}")


def _holds_rows(connection: Connection, name: str) -> bool:
    but = f" WHERE name <> '{_OWN}'" if name == "schema_info" else ""
    return connection.exec_driver_sql(f'SELECT 1 FROM "{name}"{but} LIMIT 1').first() is not None


def _remove(engine: Engine, there: set[str]) -> None:
    """What a broken-off move made, and nothing else."""
    postgres = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        for name in (*reversed(NAMES), *FORMER):
            connection.exec_driver_sql(
                f"DROP VIEW IF EXISTS {SCHEMA}.{name}" if postgres else f"DROP VIEW IF EXISTS {name}"
            )
        for name in [*(table.name for table in METADATA.sorted_tables if table.name in there), "alembic_version"]:
            connection.exec_driver_sql(f'DROP TABLE "{name}"{" CASCADE" if postgres else ""}')


def _copy(reading: Connection, target: Engine, table: Table, told: Told | None) -> tuple[int, str]:
    """Stream one table over; how many rows, and their checksum."""
    total = reading.execute(select(func.count()).select_from(table)).scalar_one()
    summed = _Sum(table)
    with target.begin() as connection:
        write = _copying if connection.dialect.name == "postgresql" else _inserting
        try:
            for part in write(connection, table, _parts(reading, table)):
                summed.add(part)
                if told is not None:
                    told(table.name, summed.rows, max(total, summed.rows))
        except DBAPIError as error:
            raise DatabaseError(f"{place(target.url)}: {table.name}: {database_failure(error)}") from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "psycopg":
                raise
            raise DatabaseError(f"{place(target.url)}: {table.name}: {driver_failure(error)}") from error
    return summed.rows, summed.told()


Rows = Sequence[Sequence[Any]]


def _parts(connection: Connection, table: Table) -> Iterator[Rows]:
    """All rows, some at a time, as Python sees them in either database."""
    query = select(*table.columns)
    if table.name == "schema_info":
        query = query.where(table.c.name != _OWN)
    found = connection.execute(query, execution_options={"stream_results": True, "yield_per": CHUNK})
    for part in found.partitions(CHUNK):
        yield [tuple(row) for row in part]


def _copying(connection: Connection, table: Table, parts: Iterator[Rows]) -> Iterator[Rows]:
    """Into PostgreSQL by COPY."""
    processors = [_processor(column, connection) for column in table.columns]
    named = ", ".join(f'"{column.name}"' for column in table.columns)
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({named}) FROM STDIN') as copy:
        for part in parts:
            for row in part:
                copy.write_row(
                    [value if made is None else made(value) for made, value in zip(processors, row, strict=True)]
                )
            yield part


def _processor(column: Column[Any], connection: Connection) -> Callable[[Any], Any] | None:
    dialect = connection.dialect
    return column.type.dialect_impl(dialect).bind_processor(dialect)


def _inserting(connection: Connection, table: Table, parts: Iterator[Rows]) -> Iterator[Rows]:
    names = [column.name for column in table.columns]
    for part in parts:
        connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in part])
        yield part


def _settle(connection: Connection) -> None:
    """The next number of each table follows what was moved (SQLite looks for itself), and the server knows what it holds."""
    for table in tables():
        for column in table.primary_key.columns:
            found = text("SELECT pg_get_serial_sequence(:table, :column)")
            sequence = connection.execute(found, {"table": f'"{table.name}"', "column": column.name}).scalar()
            if sequence is not None:
                highest = f'(SELECT max("{column.name}") FROM "{table.name}")'
                connection.execute(
                    text(f"SELECT setval(:sequence, coalesce({highest}, 1), {highest} IS NOT NULL)"),
                    {"sequence": sequence},
                )
        connection.exec_driver_sql(f'ANALYZE "{table.name}"')


# Comparing --------------------------------------------------------------------------------------------------------------


def _summed(connection: Connection, table: Table) -> tuple[int, str]:
    summed = _Sum(table)
    for part in _parts(connection, table):
        summed.add(part)
    return summed.rows, summed.told()


class _Sum:
    """The sum of a digest of every row: the same in whatever order they come, and not the same where one is missing or twice."""

    def __init__(self, table: Table) -> None:
        self.rows, self._sum = 0, 0
        self._name = table.name.encode()

    def add(self, part: Rows) -> None:
        for row in part:
            plain = [_plain(value) if isinstance(value, float | dict | list) else value for value in row]
            said = json.dumps(plain, default=_said, sort_keys=True, separators=(",", ":"))
            digest = hashlib.blake2b(said.encode(), digest_size=16, key=self._name[:64]).digest()
            self._sum += int.from_bytes(digest)
        self.rows += len(part)

    def told(self) -> str:
        return f"{self._sum % 2**128:032x}"


def _said(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    raise TypeError(type(value).__name__)


def _plain(value: Any) -> Any:
    """A number is the same whether a database wrote it as 5 or 5.0: JSON of PostgreSQL keeps numbers, not their spelling."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
