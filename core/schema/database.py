"""The database: opening it, migrating it, and reading it without being able to write.

SQLite by default (WAL, one writer), PostgreSQL for production; the same Alembic migrations on both. Views are made anew
when their definition changed.
"""

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, OperationalError

from .ledger_tables import METADATA
from .views import VIEWS, fingerprint

HEAD = "0006"


class DatabaseError(Exception):
    """The database cannot be used; the text says why and what would help."""


def parse_url(address: str, base: Path | None = None) -> URL:
    """A SQLAlchemy URL from what the configuration says; a relative SQLite path counts from `base`."""
    try:
        url = make_url(address)
    except Exception as error:
        raise DatabaseError(
            "database: not an address; expected sqlite:///file.db or postgresql://user@host/name"
        ) from error
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:" and base is not None:
        url = url.set(database=str((base / url.database).resolve()))
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise DatabaseError(f"database: {url.get_backend_name()} is not supported; use sqlite or postgresql")
    return url


def open_engine(url: URL) -> Engine:
    """An engine with the measured settings of each database.

    Raises:
        DatabaseError: the driver is missing or the folder does not exist.
    """
    if url.get_backend_name() == "sqlite":
        if url.database and url.database != ":memory:" and not Path(url.database).parent.is_dir():
            raise DatabaseError(f"database: the folder {Path(url.database).parent} does not exist")
        engine = create_engine(url, connect_args={"timeout": 60})
        event.listen(engine, "connect", _sqlite_settings)
        return engine
    try:
        return create_engine(url, pool_size=2, max_overflow=2, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise DatabaseError("database: PostgreSQL needs its driver; install civicsync[postgres]") from error


def _sqlite_settings(connection: sqlite3.Connection, _: Any) -> None:
    # 16 kB pages nearly double the insert rate of rows with texts, and only take effect on an empty file.
    for pragma in (
        "page_size=16384",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "cache_size=-8000",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def migrate(engine: Engine) -> None:
    """Bring the schema up to date; does nothing, quickly, when it is.

    Raises:
        DatabaseError: the database cannot be reached, or was made by a newer civicsync.
    """
    try:
        with engine.connect() as connection:
            current = _revision(connection)
            views = _views_fingerprint(connection) if current == HEAD else None
    except OperationalError as error:
        raise DatabaseError(
            f"database: cannot connect to {engine.url.render_as_string(hide_password=True)}: {_first_line(error)}"
        ) from error
    if current is None:
        _create(engine)
    elif current != HEAD:
        _upgrade(engine)
    if views != fingerprint():
        with engine.begin() as connection:
            _make_views(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _views_fingerprint(connection: Connection) -> str | None:
    return connection.execute(text("SELECT value FROM schema_info WHERE name = 'views'")).scalar()


def _create(engine: Engine) -> None:
    """Make a new database at once, as all migrations together would: loading Alembic costs a first pull its memory and half a second."""
    with engine.begin() as connection:
        METADATA.create_all(connection)
        connection.execute(
            text(
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
                "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            )
        )
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _upgrade(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise DatabaseError(f"database: {error}; was it made by a newer civicsync?") from error


def _make_views(connection: Connection) -> None:
    existing = set(inspect(connection).get_view_names())
    for name in existing:
        if name in VIEWS:
            connection.execute(text(f'DROP VIEW "{name}"'))
    for name, sql in VIEWS.items():
        connection.execute(text(f'CREATE VIEW "{name}" AS {sql}'))
    connection.execute(text("DELETE FROM schema_info WHERE name = 'views'"))
    connection.execute(text("INSERT INTO schema_info (name, value) VALUES ('views', :value)"), {"value": fingerprint()})


def read_only(engine: Engine, sql: str, limit: int | None = None) -> tuple[list[str], list[Sequence[Any]], bool]:
    """Run an analyst's SQL so that it cannot write: column names, rows, and whether `limit` cut them.

    Raises:
        DatabaseError: the statement is wrong, or tries to write.
    """
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only=ON")
            else:
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            try:
                result = connection.exec_driver_sql(sql)
                if not result.returns_rows:
                    raise DatabaseError("query: only statements that return rows are allowed")
                rows = result.fetchmany(limit + 1) if limit is not None else result.fetchall()
                cut = limit is not None and len(rows) > limit
                return list(result.keys()), [tuple(row) for row in rows[:limit]], cut
            finally:
                connection.rollback()
                if engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("PRAGMA query_only=OFF")
    except DBAPIError as error:
        message = _first_line(error)
        if re.search(r"readonly|read-only|query_only", message):
            message = "the database is only read here; a statement that writes is refused"
        raise DatabaseError(f"query: {message}") from error


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().split("\n", 1)[0]
