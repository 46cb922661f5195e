"""The database: opening it and bringing its schema up to date. Reading it for analysts is in `core.schema.read_only`.

SQLite by default (WAL, one writer), PostgreSQL for production; the same Alembic migrations on both. Views are made anew
when their definition changed.
"""

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError

from ..redaction import conceal
from .failures import DatabaseError, database_failure, driver_failure, first_line
from .views import FORMER, NAMES, SCHEMA, fingerprint, views

__all__ = [
    "HEAD",
    "QUEUE_SCHEMA",
    "UNFINISHED",
    "DatabaseError",
    "file_of",
    "migrate",
    "open_engine",
    "parse_url",
    "place",
    "still_there",
    "was_lost",
]

HEAD = "0007"
QUEUE_SCHEMA = "procrastinate"
"""Where the queue of workers is, which is no part of what is kept: not backed up, not moved, not shown to analysts."""
UNFINISHED = "unfinished move"
"""In the place of the revision: what a move that was broken off left in its target (`core.moving`). No release takes it for its own."""
_LOCK = 0x6369766963
"""The advisory lock under which the schema is made and migrated on PostgreSQL."""
_OPENED = "_civicsync_file"
_SIDE_FILES = ("-wal", "-shm", "-journal")


def parse_url(address: str, base: Path | None = None) -> URL:
    """A SQLAlchemy URL from what the configuration says; a relative SQLite path counts from `base`."""
    try:
        url = make_url(address)
    except Exception:
        raise DatabaseError(
            "database: not an address; expected sqlite:///file.db or postgresql://user@host/name"
        ) from None
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise DatabaseError(f"database: {url.get_backend_name()} is not supported; use sqlite or postgresql")
    if url.get_backend_name() == "sqlite":
        if url.query or url.host or url.username:
            raise DatabaseError("database: a SQLite address is sqlite:///file.db, without host, user or ?options")
        if url.database and url.database != ":memory:" and base is not None:
            url = url.set(database=str((base / url.database).resolve()))
    for name, value in url.query.items():
        if "pass" in name.lower() and name.lower() != "passfile":
            conceal(*([value] if isinstance(value, str) else value))
    if isinstance(url.query.get("password"), str):
        # Where every other password of an address stands, too: whatever hides one hides it.
        url = url.set(password=str(url.query["password"])).difference_update_query(["password"])
    if url.password:
        conceal(str(url.password))
    return url


def place(url: URL) -> str:
    """Which database it is, for people: kind, host and name; never a user, a password or an option."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database or ':memory:'}"
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{url.host or 'localhost'}{port}/{url.database or ''}"


def file_of(engine: Engine) -> Path | None:
    """The file of a SQLite database; None where there is none."""
    name = engine.url.database
    return Path(name) if engine.dialect.name == "sqlite" and name and name != ":memory:" else None


def side_files(file: Path) -> list[Path]:
    """What lies beside a SQLite database while it is in use and holds parts of it."""
    return [beside for suffix in _SIDE_FILES if (beside := file.with_name(file.name + suffix)).exists()]


def open_engine(url: URL) -> Engine:
    """An engine with the measured settings of each database. Errors never show the values of a statement.

    Raises:
        DatabaseError: the driver is missing, the folder does not exist, or what is there is no file.
    """
    if url.get_backend_name() == "sqlite":
        return _open_sqlite(url)
    options = {} if "connect_timeout" in url.query else {"connect_timeout": 30}
    try:
        # No limit: a thread may need a second connection while it reads from a first one, and with a limit several pulls at once wait for
        # each other's until all of them have lost their leases. There are never more than a few per thread.
        engine = create_engine(
            url, pool_size=2, max_overflow=-1, pool_pre_ping=True, hide_parameters=True, connect_args=options
        )
    except (ImportError, NoSuchModuleError) as error:
        raise DatabaseError("database: PostgreSQL needs its driver; install civicsync[postgres]") from error
    event.listen(engine, "connect", _postgres_settings)
    return engine


def _postgres_settings(connection: Any, _: Any) -> None:
    """The views are found by their names alone; the tables' schema stays the first, in which new tables are made.

    A user who is called as the schema of the views would find that one first, as `"$user"`, as soon as it is there.
    """
    before = connection.autocommit
    connection.autocommit = True  # else the setting would go with the first rollback
    own = "regexp_replace(current_setting('search_path'), '\"\\$user\"\\s*,\\s*', '')"
    try:
        connection.execute(
            f"SELECT set_config('search_path', CASE WHEN current_user = '{SCHEMA}' THEN {own} "
            f"ELSE current_setting('search_path') END || ', {SCHEMA}', false)"
        )
    finally:
        connection.autocommit = before


def _open_sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        engine = create_engine(url, connect_args={"timeout": 60}, hide_parameters=True)
        event.listen(engine, "connect", _sqlite_settings)
        return engine
    file = Path(url.database)
    if not file.parent.is_dir():
        raise DatabaseError(f"database: the folder {file.parent} does not exist")
    if not file.exists():
        _make_private(file)
    if not stat.S_ISREG(file.stat().st_mode):
        raise DatabaseError(f"database: {file} is not a file; name one in `database:`")
    only_read = not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))
    how = "mode=rw"  # never `rwc`: a database that was deleted under us must not come back empty
    if only_read:
        # Without a file of its own to note readers in, SQLite reads only what it is told nobody changes.
        unchanged = not os.access(file.parent, os.W_OK) and not any(each.stat().st_size for each in side_files(file))
        how = "immutable=1" if unchanged else "mode=ro"
    address = f"file:{quote(str(file))}?{how}"

    began = _identity(file)

    def same_file(*_: Any) -> None:
        if _identity(file) != began:
            raise DatabaseError(_lost(file))

    def connect() -> sqlite3.Connection:
        # Before SQLite finds that there is nothing to open, which may have many reasons.
        if began is not None:
            same_file()
        return sqlite3.connect(address, uri=True, timeout=60, check_same_thread=False)

    engine = create_engine(url, creator=connect, hide_parameters=True)
    event.listen(engine, "connect", _sqlite_reading if only_read else _sqlite_settings)
    setattr(engine, _OPENED, began)
    event.listen(engine, "checkout", same_file)
    return engine


def _make_private(file: Path) -> None:
    """For its owner only from its first moment; SQLite gives its side files the permissions of the database."""
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise DatabaseError(f"database: {file} cannot be made ({error.strerror or type(error).__name__})") from error


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _lost(file: Path) -> str:
    return (
        f"database: the file {file} was deleted, moved or replaced while it was in use, and what it held is not there any more; "
        "put back a copy, or start civicsync again, which makes a new one"
    )


def was_lost(engine: Engine) -> bool:
    """Whether the file that was opened was deleted, moved or replaced since. Asks the file system only."""
    file = file_of(engine)
    return file is not None and getattr(engine, _OPENED, None) not in {None, _identity(file)}


def still_there(engine: Engine) -> str | None:
    """Why the database that was opened cannot be used any more; None while it can."""
    try:
        with engine.connect():
            return None
    except DatabaseError as error:
        return str(error)
    except DBAPIError as error:
        return f"database: {database_failure(error)}"


def _sqlite_settings(connection: sqlite3.Connection, _: Any) -> None:
    # 16 kB pages nearly double the insert rate of rows with texts, and only take effect on an empty file. What is deleted is overwritten
    # whatever the library was built with: erasure is a promise.
    for pragma in (
        "page_size=16384",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "cache_size=-8000",
        "temp_store=MEMORY",
        "secure_delete=ON",
    ):
        _patiently(connection, f"PRAGMA {pragma}")


def _sqlite_reading(connection: sqlite3.Connection, _: Any) -> None:
    for pragma in ("query_only=ON", "cache_size=-8000", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _patiently(connection: sqlite3.Connection, statement: str, tries: int = 100) -> None:
    """Two first starts at once: turning a new file to WAL fails at once where another process does so, whatever the time-out."""
    for left in reversed(range(tries)):
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if not left or "locked" not in str(error):
                raise
            time.sleep(0.05)  # the process's own life: nothing of ours waits meanwhile


def migrate(engine: Engine) -> None:
    """Bring the schema up to date; does nothing, quickly, when it is.

    Raises:
        DatabaseError: the database cannot be reached, is none, or was made by a newer civicsync.
    """
    try:
        with engine.connect() as connection:
            if _is_current(connection):
                return
        with _alone(engine) as connection:
            # Another process may have been quicker.
            if _is_current(connection):
                return
            current = _revision(connection)
            if current == UNFINISHED:
                raise DatabaseError(
                    f"database {place(engine.url)}: not everything was moved into it. Move again with `civicsync database move … "
                    "--restart`, or go on with the database of before"
                )
            if current is None:
                _create(connection)
            elif current != HEAD:
                _drop_views(connection)  # PostgreSQL changes no column that a view shows
                _upgrade(connection)
            _make_views(connection)
    except DBAPIError as error:
        raise DatabaseError(f"database {place(engine.url)}: {_why(error)}") from error
    except sqlite3.Error as error:
        raise DatabaseError(f"database {place(engine.url)}: {driver_failure(error)}") from error


def _why(error: DBAPIError) -> str:
    """In the first contact the server's own line helps: it names host, port, user and what is wrong with them."""
    state = getattr(error.orig, "sqlstate", None)
    if error.orig is not None and type(error.orig).__module__.partition(".")[0] == "psycopg" and not state:
        return f"cannot connect: {first_line(error)}"
    return database_failure(error)


@contextlib.contextmanager
def _alone(engine: Engine) -> Generator[Connection]:
    """One transaction that no other process's first start can run beside."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        yield connection
        connection.commit()


def _is_current(connection: Connection) -> bool:
    return _revision(connection) == HEAD and _views_fingerprint(connection) == fingerprint(connection.dialect.name)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _views_fingerprint(connection: Connection) -> str | None:
    return connection.execute(text("SELECT value FROM schema_info WHERE name = 'views'")).scalar()


def _create(connection: Connection) -> None:
    """Make a new database at once, as all migrations together would: loading Alembic costs a first pull its memory and half a second."""
    from .ledger_tables import METADATA  # whoever only reads does without the models of forty tables

    METADATA.create_all(connection)
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseError(f"database: {error}; was it made by a newer civicsync?") from error


def _drop_views(connection: Connection) -> None:
    """Ours only, the last first: also where earlier releases had them, beside the tables."""
    known = (*reversed(NAMES), *FORMER)
    found = inspect(connection)
    for schema in (None,) if connection.dialect.name == "sqlite" else (None, SCHEMA):
        there = set(found.get_view_names(schema)) if schema is None or found.has_schema(schema) else set[str]()
        for name in known:
            if name in there:
                connection.execute(text(f'DROP VIEW {_in(schema)}"{name}"'))


def _in(schema: str | None) -> str:
    return "" if schema is None else f'"{schema}".'


def _make_views(connection: Connection) -> None:
    dialect = connection.dialect.name
    schema = None if dialect == "sqlite" else SCHEMA
    if schema is not None:
        _make_schema(connection, schema)
    _drop_views(connection)
    for name, sql in views(dialect).items():
        connection.execute(text(f'CREATE VIEW {_in(schema)}"{name}" AS {sql.replace(":", chr(92) + ":")}'))
    connection.execute(text("DELETE FROM schema_info WHERE name = 'views'"))
    connection.execute(
        text("INSERT INTO schema_info (name, value) VALUES ('views', :value)"), {"value": fingerprint(dialect)}
    )


def _make_schema(connection: Connection, schema: str) -> None:
    """Where analysts look; it says over whose tables its views go, so that two civicsyncs in one database do not take turns in it."""
    own, user = connection.execute(text("SELECT current_schema(), current_user")).one()
    if not inspect(connection).has_schema(schema):
        try:
            connection.execute(text(f'CREATE SCHEMA "{schema}"'))
        except DBAPIError as error:
            raise DatabaseError(
                f"database {place(connection.engine.url)}: the schema {schema} for the views cannot be made; let an owner of the "
                f'database run: CREATE SCHEMA {schema} AUTHORIZATION "{user}"'
            ) from error
    asked = "SELECT obj_description(oid, 'pg_namespace'), pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = :schema"
    said, owner = connection.execute(text(asked), {"schema": schema}).one()
    wanted = f"views of civicsync over the tables of the schema {own}"
    if said and said.startswith("views of civicsync over") and said != wanted:
        raise DatabaseError(
            f"database {place(connection.engine.url)}: the schema {schema} holds {said}, and these tables are in {own}; "
            "use a database of its own for each"
        )
    if said != wanted and schema != own and owner == user:
        quoted = wanted.replace("'", "''")
        connection.execute(text(f"COMMENT ON SCHEMA \"{schema}\" IS '{quoted}'"))
