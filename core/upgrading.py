"""What bringing a database up to date would do, and how long it would take, before anything is done to it."""

import contextlib
import importlib
import pkgutil
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from .backup import BackupError, backup
from .clock import Clock
from .schema import migrations
from .schema.database import HEAD, UNFINISHED, file_of, migrate, open_engine, place, side_files
from .schema.failures import DatabaseError, database_failure
from .vitals import revision

_SAMPLE = 20_000
"""Rows by which the time of a table is measured on PostgreSQL."""
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One migration. `rewrites`: tables of which it writes every row anew, with their rows; all else of it takes no time."""

    revision: str
    what: str
    rewrites: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What there is to do. `found`: the revision of the schema, None where there is no database yet; `steps`: from there to `HEAD`."""

    place: str
    found: str | None
    steps: tuple[Step, ...]

    @property
    def rows(self) -> int:
        """Rows that are written anew, all in all."""
        return sum(sum(step.rewrites.values()) for step in self.steps)


def upgrade_of(engine: Engine) -> Upgrade:
    """Look at a database and change nothing.

    Raises:
        DatabaseError: it cannot be read, a newer civicsync made it, or it is what a broken-off move left.
    """
    where = place(engine.url)
    try:
        found = revision(engine)
        if found in {None, HEAD}:
            return Upgrade(where, found, ())
        known = {str(each.revision): each for each in _migrations()}
        if found == UNFINISHED:
            raise DatabaseError(
                f"database {where}: not everything was moved into it; `civicsync database move … --restart`"
            )
        if found not in known:
            raise DatabaseError(
                f"database {where}: its schema is revision {found}, which a newer civicsync made; this one has {HEAD}. Install that "
                "release again, or restore a backup from before"
            )
        with engine.connect() as connection:
            steps = tuple(_step(connection, each) for own, each in known.items() if own > str(found))
        return Upgrade(where, found, steps)
    except DBAPIError as error:
        raise DatabaseError(f"database {where}: {database_failure(error)}") from error


def seconds_of(engine: Engine, upgrade: Upgrade, told: Told | None = None) -> float:
    """How long it would take: measured. On SQLite all of it is done to a copy beside the database, which is removed; on PostgreSQL a
    sample of each table that is written anew is written in a transaction that is given up. Nobody waits meanwhile. Blocks.

    Raises:
        DatabaseError: there is no room for a copy, the migration fails on it, or a temporary table is not allowed.
    """
    if not upgrade.steps:
        return 0.0
    if engine.dialect.name == "sqlite":
        with _copy(engine, told) as copied:
            began = time.monotonic()
            migrate(copied)
            return time.monotonic() - began
    try:
        with engine.connect() as connection:
            return sum(_sampled(connection, *table) for step in upgrade.steps for table in step.rewrites.items())
    except DBAPIError as error:
        raise DatabaseError(f"database {upgrade.place}: {database_failure(error)}") from error


def _migrations() -> list[Any]:
    """The modules of all migrations, the first first."""
    folder = Path(migrations.__path__[0]) / "versions"
    names = sorted(each.name for each in pkgutil.iter_modules([str(folder)]))
    return [importlib.import_module(f"{migrations.__name__}.versions.{name}") for name in names]


def _step(connection: Connection, module: Any) -> Step:
    tables = getattr(module, "REWRITES", {}).get(connection.dialect.name, ())
    there = set(inspect(connection).get_table_names())
    rows = {each: _rows(connection, each) for each in tables if each in there}
    return Step(module.revision, str(module.__doc__).strip(), rows)


def _rows(connection: Connection, table: str) -> int:
    return int(connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one())


@contextlib.contextmanager
def _copy(engine: Engine, told: Told | None) -> Generator[Engine]:
    file = file_of(engine)
    assert file is not None
    copied = file.with_name(f".{file.name}.upgrade-check")
    copied.unlink(missing_ok=True)
    try:
        backup(engine, copied, Clock(), told=told)
        other = open_engine(engine.url.set(database=str(copied)))
        try:
            yield other
        finally:
            other.dispose()
    except BackupError as error:
        raise DatabaseError(str(error)) from error
    finally:
        for each in (copied, *side_files(copied)):
            each.unlink(missing_ok=True)


def _sampled(connection: Connection, table: str, rows: int) -> float:
    """Seconds for all rows of a table, by those that a sample of it takes."""
    if not rows:
        return 0.0
    try:
        for statement in (
            f'CREATE TEMPORARY TABLE upgrade_sample (LIKE "{table}" INCLUDING ALL) ON COMMIT DROP',
            f'INSERT INTO upgrade_sample SELECT * FROM "{table}" LIMIT {_SAMPLE}',
        ):
            connection.execute(text(statement))
        first = inspect(connection).get_columns(table)[0]["name"]
        began = time.monotonic()
        written = connection.execute(text(f'UPDATE upgrade_sample SET "{first}" = "{first}"')).rowcount
        return (time.monotonic() - began) * rows / max(1, written)
    finally:
        connection.rollback()
