"""Backups: a copy of the database of one moment, made while others go on writing, checked before it gets its name; and putting one back.

SQLite by `VACUUM INTO` (one statement, one moment; it waits for no writer and no writer waits for it), PostgreSQL by the server's own
programs `pg_dump` and `pg_restore`. Nothing half is ever left under a name that somebody would trust.
"""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from . import audit
from .clock import Clock
from .redaction import redact
from .schema.database import QUEUE_SCHEMA, migrate, open_engine, place, side_files
from .schema.failures import DatabaseError, database_failure, driver_failure, host_failure
from .schema.tables import LeaseRow, table_of
from .schema.views import SCHEMA

_LEASE = table_of(LeaseRow)
_SUFFIX = {"sqlite": ".db", "postgresql": ".dump"}
_STAMPED = r"civicsync-\d{8}T\d{6}Z"
_LOOK = 0.2
"""Seconds between two looks at how far a copy is."""
_FREE = 1.1
"""So much room a copy needs, for each byte of the database."""
_SILENT = 30.0
"""For so long `restore` waits for whoever uses a SQLite database to let go of it."""

Told = Callable[[int, int], None]
"""Called with how many bytes are written and how many there will be about (0: nobody knows)."""


class BackupError(Exception):
    """A backup could not be made, is not whole, or cannot be put back; the text says which file and the way out."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made and checked. `began` is a moment at or before that of which it holds the database."""

    file: Path
    bytes: int
    began: datetime
    seconds: float
    removed: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back. `aside`: where the database of before is now; `people`: who was forgotten since the backup and is in it again."""

    file: Path
    aside: Path | None
    lost_until: datetime
    publications: int
    people: int


# Making -----------------------------------------------------------------------------------------------------------------


def backup(engine: Engine, to: Path, clock: Clock, *, keep: int | None = None, told: Told | None = None) -> Backup:
    """Copy the database to a file, or into a folder under a name with the moment; readable by its owner only. Blocks.

    `keep`: in a folder, how many of the backups made there stay, this one included; only files with such names are ever removed.

    Raises:
        BackupError: it could not be made or is not whole; then nothing new is there.
    """
    began, started = clock.now().astimezone(UTC), clock.monotonic()
    kind = engine.dialect.name
    folder = to.is_dir()
    if keep is not None and not folder:
        raise BackupError(f"{to} is no folder: --keep counts the backups in one; make it first, or leave --keep out")
    file = to / f"civicsync-{began:%Y%m%dT%H%M%S}Z{_SUFFIX[kind]}" if folder else to
    if file.exists():
        raise BackupError(
            f"{file} is there already; name another file, or a folder, in which each backup gets its own name"
        )
    with _whole(file) as part:
        if kind == "sqlite":
            _vacuum_into(_sqlite_file(engine), part, told)
            check_sqlite(part)
        else:
            _dump(engine, part, told)
            check_dump(part)
    removed = _rotate(file, keep) if keep is not None else ()
    return Backup(file, file.stat().st_size, began, clock.monotonic() - started, removed)


@contextlib.contextmanager
def _whole(file: Path) -> Generator[Path]:
    """A new file for its owner only, that gets its name once it is complete and on the disk; nothing half stays, also on Ctrl-C."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        yield part
        _to_disk(part)
        part.rename(file)
        _to_disk(file.parent)
    except OSError as error:
        raise BackupError(_said(file, error)) from error
    finally:
        for each in (part, *side_files(part)):
            each.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _said(file: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and not file.parent.is_dir():
        return f"{file}: the folder {file.parent} does not exist"
    return f"{file}: {host_failure(error) or error.strerror or type(error).__name__}"


def _sqlite_file(engine: Engine) -> Path:
    name = engine.url.database
    if not name or name == ":memory:":
        raise BackupError("this database is in memory only; there is no file to copy")
    return Path(name)


def _vacuum_into(source: Path, part: Path, told: Told | None) -> None:
    """In a thread of its own: the statement ends only when it is interrupted from another."""
    size = sum(each.stat().st_size for each in (source, *side_files(source)))
    if shutil.disk_usage(part.parent).free < size * _FREE:
        raise BackupError(
            f"{part.parent}: not enough room, a copy needs up to {size * _FREE / 1e6:,.0f} MB; name another disk"
        )
    connection = sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True, timeout=60, check_same_thread=False)
    wrong: list[BaseException] = []

    def copy() -> None:
        try:
            connection.execute("VACUUM INTO ?", (str(part),))
        except BaseException as error:  # told by whoever waits
            wrong.append(error)

    worker = threading.Thread(target=copy, name="civicsync-backup", daemon=True)
    try:
        connection.execute("PRAGMA cache_size=-65536")
        worker.start()
        try:
            while worker.is_alive():
                worker.join(_LOOK)
                if told is not None:
                    told(part.stat().st_size, size)
        except BaseException:
            connection.interrupt()
            worker.join()
            raise
    except sqlite3.Error as error:
        wrong.append(error)
    finally:
        connection.close()
    if wrong:
        raise BackupError(_why(source, wrong[0])) from wrong[0]


def _why(file: Path, error: BaseException) -> str:
    if isinstance(error, sqlite3.Error):
        return f"{file}: {driver_failure(error)}"
    return f"{file}: {error}"


def _rotate(newest: Path, keep: int) -> tuple[Path, ...]:
    """Remove the oldest of the backups with such names; never the one that was just made."""
    pattern = re.compile(_STAMPED + re.escape(newest.suffix))
    found = sorted(each for each in newest.parent.iterdir() if pattern.fullmatch(each.name) and each != newest)
    gone = found[: max(0, len(found) + 1 - max(1, keep))]
    for each in gone:
        each.unlink(missing_ok=True)
    return tuple(gone)


# Checking ---------------------------------------------------------------------------------------------------------------


def check_sqlite(file: Path) -> None:
    """Read every page of a SQLite file and compare tables with indexes. Blocks, for about a second per GB.

    Raises:
        BackupError: it is no SQLite file, or not whole.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA cache_size=-65536")
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
            ours = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"{file} is not a whole SQLite database: {driver_failure(error)}") from error
    if found != ["ok"]:
        raise BackupError(f"{file} is not whole: {'; '.join(found)[:300]}; make another backup, on another disk")
    if ours is None:
        raise BackupError(f"{file} is a SQLite database, but not one of civicsync")


def check_dump(file: Path) -> None:
    """Let `pg_restore` list and then read a whole dump.

    Raises:
        BackupError: it is none, holds no database of civicsync, or is not whole.
    """
    listed = _program("pg_restore", ["--list", str(file)])
    if not re.search(r" TABLE DATA \S+ alembic_version ", listed):
        raise BackupError(f"{file} is a dump, but not of a database of civicsync")
    _program("pg_restore", ["--file", os.devnull, str(file)])


# PostgreSQL -------------------------------------------------------------------------------------------------------------

_PLAIN = ("--no-owner", "--no-privileges")
"""Whoever restores may be somebody else, on a server without the roles of this one."""


def _dump(engine: Engine, part: Path, told: Told | None) -> None:
    with engine.connect() as connection:
        own = str(connection.execute(text("SELECT current_schema()")).scalar_one())
    # The views are made anew after a restore, and jobs are handed on anew; unless somebody has the tables in their schema.
    without = [part for each in (SCHEMA, QUEUE_SCHEMA) if each != own for part in ("--exclude-schema", each)]
    with _address(engine.url) as (address, environment):
        arguments = [*_PLAIN, "--format", "custom", *without, "--file", str(part), "--dbname", address]
        _program("pg_dump", arguments, environment, lambda: told(part.stat().st_size, 0) if told else None)


def _load(file: Path, url: URL) -> None:
    """Put a dump in the place of whatever of ours is there, in one transaction: all of it or nothing.

    Tables that a newer version made are in no older dump; they go first, or they would stay with what is in them.

    Raises:
        BackupError: it did not go through; the database is as it was.
    """
    from .schema.ledger_tables import METADATA

    gone = "".join(f'DROP TABLE IF EXISTS "{name}" CASCADE;\n' for name in (*METADATA.tables, "alembic_version"))
    programs = [_found(name) for name in ("pg_restore", "psql")]
    with _address(url) as (address, environment), tempfile.TemporaryDirectory(prefix="civicsync-") as folder:
        first, words = Path(folder) / "first.sql", Path(folder) / "errors"
        first.write_text(f"SET client_min_messages = warning;\n{gone}", encoding="utf-8")
        reading = [programs[0], *_PLAIN, "--clean", "--if-exists", "--file", "-", str(file)]
        options = ["--no-psqlrc", "--no-password", "--quiet", "--set", "ON_ERROR_STOP=1", "--single-transaction"]
        writing = [programs[1], *options, "--dbname", address, "--file", str(first), "--file", "-"]
        whole = {**os.environ, "LC_ALL": "C", **environment}
        with (
            words.open("wb") as errors,
            subprocess.Popen(
                writing, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, env=whole
            ) as writer,
        ):
            assert writer.stdin is not None
            try:
                with subprocess.Popen(reading, stdout=subprocess.PIPE, stderr=errors, env=whole) as reader:
                    assert reader.stdout is not None
                    with contextlib.suppress(BrokenPipeError):
                        shutil.copyfileobj(reader.stdout, writer.stdin, 1 << 20)
                    reader.stdout.close()
                if reader.returncode and writer.poll() is None:
                    # What it would take for the end of the dump, it would commit.
                    writer.kill()
            except BaseException:
                writer.kill()
                raise
            with contextlib.suppress(BrokenPipeError):
                writer.stdin.close()
            writer.wait()
        if reader.returncode or writer.returncode:
            lines = words.read_text(encoding="utf-8", errors="replace").splitlines()
            told = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no reason given")
            raise BackupError(f"{file} could not be put back: {redact(told)[:300]}; the database is as it was")


@contextlib.contextmanager
def _address(url: URL) -> Generator[tuple[str, dict[str, str]]]:
    """An address without the password, and the environment that leads to it: arguments of a program can be read by everybody here."""
    bare = url.set(drivername="postgresql", password=None)
    if url.password is None:
        yield bare.render_as_string(hide_password=False), {}
        return
    with tempfile.TemporaryDirectory(prefix="civicsync-") as folder:
        file = Path(folder) / "pgpass"
        secret = str(url.password).replace("\\", "\\\\").replace(":", "\\:")
        file.touch(0o600)
        file.write_text(f"*:*:*:*:{secret}\n", encoding="utf-8")
        yield bare.render_as_string(hide_password=False), {"PGPASSFILE": str(file)}


def _found(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise BackupError(
            f"{name} is not there: install PostgreSQL's client programs, of the server's version or newer"
        )
    return path


def _program(
    name: str,
    arguments: Sequence[str],
    environment: dict[str, str] | None = None,
    look: Callable[[], None] | None = None,
) -> str:
    """Run one of PostgreSQL's programs to its end; returns what it printed."""
    path = _found(name)
    with (
        tempfile.TemporaryFile() as printed,
        subprocess.Popen(
            [path, "--no-password", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
        ) as process,
    ):
        errors: list[bytes] = []
        assert process.stderr is not None
        reader = threading.Thread(target=lambda pipe: errors.append(pipe.read()), args=(process.stderr,), daemon=True)
        reader.start()
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK)
                    break
                if look is not None:
                    look()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        reader.join()
        if process.returncode:
            lines = b"".join(errors).decode(errors="replace").strip().splitlines()
            told = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no reason given")
            newer = f"; put a {name} of the server's version or newer first on PATH" if "version" in told else ""
            raise BackupError(f"{name} failed: {redact(told)[:300]}{newer}")
        printed.seek(0)
        return printed.read().decode(errors="replace")


# Putting back -----------------------------------------------------------------------------------------------------------


def restore(
    file: Path,
    url: URL,
    clock: Clock,
    check_key: Callable[[Engine], None],
    *,
    force: bool = False,
    lost_until: datetime | None = None,
) -> Restored:
    """Put a backup in the place of the database that `url` names, brought up to this version's schema. Blocks.

    The ledger is marked, so that every route looks up on its target what the backup does not know before it sends anything.
    `check_key`: raises where the database was made with another key; `lost_until`: when the database of before was last worked with
    (now, where nobody knows); `force`: also where there is a database, which is kept aside.

    Raises:
        BackupError: the backup is not whole, or somebody works with the database; nothing was changed.
        DatabaseError: it was made by a newer civicsync, or the database cannot be reached; nothing was changed.
    """
    if not file.is_file():
        raise BackupError(f"{file} is not there")
    until = lost_until or clock.now()
    if url.get_backend_name() == "sqlite":
        return _restore_sqlite(file, Path(url.database or ""), clock, check_key, force, until)
    return _restore_postgresql(file, url, clock, check_key, force, until)


def _restore_sqlite(
    file: Path, target: Path, clock: Clock, check_key: Callable[[Engine], None], force: bool, until: datetime
) -> Restored:
    if target.exists() and target.stat().st_size and not force:
        raise BackupError(
            f"{target} is there: a restore takes its place. If that is meant, stop whatever runs and say --force; the old one is kept aside"
        )
    if target.exists() and target.resolve() == file.resolve():
        raise BackupError(f"{file} is the database itself")
    check_sqlite(file)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    aside: Path | None = None
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        shutil.copyfile(file, part)
        people = list[tuple[str, dict[str, object]]]()
        with _let_go(target) if target.exists() and target.stat().st_size else contextlib.nullcontext() as living:
            if living is not None:
                people = _forgotten_in(living)
            publications, back = _make_ready(part, clock, check_key, file.name, until, people)
            _settle_sqlite(part)
            if target.exists():
                aside = _aside(target, clock.now())
                for each in (*side_files(target), target):
                    each.rename(aside.with_name(aside.name + each.name.removeprefix(target.name)))
            part.rename(target)
        _to_disk(target.parent)
    except OSError as error:
        raise BackupError(_said(target, error)) from error
    except DBAPIError as error:
        raise BackupError(f"{file}: {database_failure(error)}") from error
    finally:
        for each in (part, *side_files(part)):
            each.unlink(missing_ok=True)
    return Restored(target, aside, until, publications, back)


def _aside(target: Path, now: datetime) -> Path:
    stem = f"{target.name}.before-restore-{now.astimezone(UTC):%Y%m%dT%H%M%S}Z"
    tries = (target.with_name(stem if not number else f"{stem}-{number}") for number in range(1000))
    return next(each for each in tries if not each.exists())


@contextlib.contextmanager
def _let_go(target: Path) -> Generator[sqlite3.Connection]:
    """The living database, which nobody else writes while the block lasts. One that cannot be read any more is let through.

    Raises:
        BackupError: somebody is at work with it.
    """
    connection = sqlite3.connect(f"file:{quote(str(target))}?mode=rw", uri=True, timeout=_SILENT, isolation_level=None)
    try:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise BackupError(
                    f"{target}: another process is writing to it; stop it first (systemctl stop civicsync)"
                ) from error
        except sqlite3.DatabaseError:
            pass  # it is broken: that is why somebody restores
        else:
            _nobody_at_work(_holders_in(connection), str(target))
        yield connection
    finally:
        connection.close()


def _holders_in(connection: sqlite3.Connection) -> list[tuple[str, str, datetime]]:
    try:
        rows = connection.execute("SELECT name, holder, until FROM lease WHERE holder != ''").fetchall()
    except sqlite3.Error:
        return []
    return [(str(name), str(holder), datetime.fromisoformat(str(until))) for name, holder, until in rows]


def _nobody_at_work(leases: Sequence[tuple[str, str, datetime]], where: str) -> None:
    now = datetime.now(UTC)  # leases are of processes' own lives
    for name, holder, until in leases:
        until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
        if until > now:
            host, _, process = holder.partition(":")
            raise BackupError(
                f"{where}: process {process.partition(':')[0]} on {host} is at work ({name}); stop it first. If it has died, this is free "
                f"at {until:%H:%M:%S} UTC"
            )


_CARRIED = {"forgotten": ("instance", "mark", "at"), "erased_record": ("key", "instance", "at")}
"""What a restore must not undo: who was forgotten, and what was erased with them."""


def _forgotten_in(living: sqlite3.Connection) -> list[tuple[str, dict[str, object]]]:
    found = list[tuple[str, dict[str, object]]]()
    for table, columns in _CARRIED.items():
        with contextlib.suppress(sqlite3.Error):
            rows = living.execute(f"SELECT {', '.join(columns)} FROM {table}")
            found += [(table, dict(zip(columns, row, strict=True))) for row in rows]
    return found


def _make_ready(
    part: Path,
    clock: Clock,
    check_key: Callable[[Engine], None],
    name: str,
    until: datetime,
    people: Sequence[tuple[str, dict[str, object]]],
) -> tuple[int, int]:
    engine = open_engine(URL.create("sqlite", database=str(part)))
    try:
        migrate(engine)
        check_key(engine)
        return _mark(engine, clock, name, until, people)
    finally:
        engine.dispose()


def _mark(
    engine: Engine, clock: Clock, name: str, until: datetime, people: Sequence[tuple[str, dict[str, object]]]
) -> tuple[int, int]:
    """The mark, the audit log and who must stay forgotten, in one transaction; how many publications there are, and how many came back."""
    from .ledger.ledger import PUBLICATION
    from .ledger.restored import mark_restored

    now, back = clock.now(), 0
    with engine.begin() as connection:
        mark_restored(connection, now, until)
        for table, row in people:
            back += _carry(connection, table, row)
        result = f"nothing is sent before it was looked up; written until {until:%Y-%m-%d %H:%M} UTC may be lost"
        audit.append(connection, now, action="restore", object=name, result=result)
        publications = connection.execute(select(PUBLICATION.c.id)).all()
    return len(publications), back


def _carry(connection: Connection, table: str, row: dict[str, object]) -> int:
    """1 where a person was forgotten since the backup."""
    columns = _CARRIED[table]
    key = columns[:2] if table == "forgotten" else columns[:1]
    there = connection.execute(
        text(f"SELECT 1 FROM {table} WHERE {' AND '.join(f'{c} = :{c}' for c in key)}"), row
    ).first()
    if there is not None:
        return 0
    connection.execute(
        text(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(':' + c for c in columns)})"), row
    )
    return int(table == "forgotten")


def _settle_sqlite(part: Path) -> None:
    """All of it in the one file: what lies beside it would not be renamed with it."""
    with contextlib.closing(sqlite3.connect(part)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")
    _to_disk(part)


def _restore_postgresql(
    file: Path, url: URL, clock: Clock, check_key: Callable[[Engine], None], force: bool, until: datetime
) -> Restored:
    check_dump(file)
    where, aside = place(url), None
    people = list[tuple[str, dict[str, object]]]()
    engine = open_engine(url)
    try:
        try:
            with engine.connect() as connection:
                used = inspect(connection).has_table("alembic_version")
                if used:
                    people = _forgotten_here(connection)
                    rows = connection.execute(
                        select(_LEASE.c.name, _LEASE.c.holder, _LEASE.c.until).where(_LEASE.c.holder != "")
                    )
                    _nobody_at_work([tuple(row) for row in rows], where)
        except DBAPIError as error:
            raise DatabaseError(f"database {where}: {database_failure(error)}") from error
        if used and not force:
            raise BackupError(
                f"{where} holds a database of civicsync: a restore takes its place. If that is meant, stop whatever runs and say --force; "
                "the one of now is dumped beside the backup first"
            )
        if used:
            aside = _aside(file.with_name(f"{url.database}.dump"), clock.now())
            backup(engine, aside, clock)
        engine.dispose()
        _load(file, url)
        try:
            with engine.begin() as connection:  # the views are not in a dump: they are made anew
                connection.execute(text("DELETE FROM schema_info WHERE name = 'views'"))
            migrate(engine)
            check_key(engine)
            publications, back = _mark(engine, clock, file.name, until, people)
        except BaseException:
            engine.dispose()
            _as_before(engine, aside)
            raise
    finally:
        engine.dispose()
    return Restored(Path(where), aside, until, publications, back)


def _as_before(engine: Engine, aside: Path | None) -> None:
    """What was put back turned out not to be right: the database of before, or none."""
    if aside is None:
        _drop_all(engine)
        return
    _load(aside, engine.url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM schema_info WHERE name = 'views'"))
    migrate(engine)


def _forgotten_here(connection: Connection) -> list[tuple[str, dict[str, object]]]:
    found = list[tuple[str, dict[str, object]]]()
    for table, columns in _CARRIED.items():
        if inspect(connection).has_table(table):
            rows = connection.execute(text(f"SELECT {', '.join(columns)} FROM {table}"))
            found += [(table, dict(row)) for row in rows.mappings()]
    return found


def _drop_all(engine: Engine) -> None:
    """Ours only, in one transaction: tables that a newer version made are in no dump, and would stay with what is in them."""
    from .schema.ledger_tables import METADATA

    with engine.begin() as connection:
        for name in (*METADATA.tables, "alembic_version"):
            connection.execute(text(f'DROP TABLE IF EXISTS "{name}" CASCADE'))
