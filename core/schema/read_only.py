"""An analyst's SQL, run so that it can neither write, nor leave the database, nor run for ever.

SQLite: a connection of its own that is opened for reading, an authorizer that allows reading alone (no ATTACH, so no VACUUM INTO, no
setting, no extension), and a progress handler that ends it in time. PostgreSQL: one statement by the extended protocol in a READ ONLY
transaction of a connection of its own, a time limit of the server's, and no function that reads files, runs programs or changes who asks.
"""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ..clock import Clock
from ..redaction import redact
from .database import file_of
from .failures import DatabaseError, driver_failure

ROW_LIMIT = 1_000_000
SECONDS = 60.0
_VALUE_LIMIT = 64 * 1024 * 1024
"""Bytes that one value of SQLite may have: `zeroblob(1e9)` would fill the memory."""
_REFUSED = "the database is only read here; a statement that writes is refused"
_ONE = "the database is only read here; one statement that reads is allowed: SELECT, WITH, VALUES, or EXPLAIN before one of them"
_FIRST_WORDS = frozenset({"select", "with", "values", "table", "show", "explain"})
_STEPS = 20_000
"""Of SQLite's virtual machine between two looks at the clock."""
_PRAGMAS = frozenset(
    {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"}
)
_NO_FUNCTIONS_SQLITE = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "randomblob"})
_NO_FUNCTIONS_POSTGRES = re.compile(
    # Files, programs and other servers.
    r"pg_read_.*|pg_ls_.*|pg_stat_file|pg_file_.*|pg_logdir_ls|pg_current_logfile|lo_.*|loread|lowrite|dblink.*|pg_execute.*"
    # SQL in a text, and what changes who asks or how.
    r"|.*_to_xml(?:schema|_and_xmlschema)?|ts_stat|ts_rewrite|crosstab.*|connectby|xpath_table|set_config|pg_(?:reload|rotate).*"
    # The server itself, other people's sessions, and waiting.
    r"|pg_terminate_.*|pg_cancel_.*|pg_switch_.*|pg_create_.*|pg_drop_.*|pg_promote|pg_wal_.*|pg_backup_.*|pg_start_.*|pg_stop_.*"
    r"|pg_replication_.*|pg_logical_.*|pg_notify|pg_sleep.*|pg_(?:try_)?advisory_.*|pg_export_snapshot|pg_import_.*|pg_stat_reset.*"
    r"|pg_hba_file_rules|pg_show_all_file_settings|pg_log_.*|pg_read_binary_file|nextval|setval"
)
_NO_TABLES_POSTGRES = frozenset(
    {"pg_authid", "pg_shadow", "pg_user_mapping", "pg_user_mappings", "pg_hba_file_rules", "pg_file_settings"}
)
_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
    |(?P<comment>/\*)
    |(?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][\w]*)?\$)
    |(?P<escaped>[eE]'(?:[^'\\]|''|\\.)*')
    |(?P<unicode>[uU]&["'])
    |(?P<text>(?:[bBxXnN])?'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<word>[A-Za-z_\x80-\U0010ffff][\w$]*)
    |(?P<end>;)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Table:
    """What a statement returned. `columns` are all different; `cut`: there is more than was asked for."""

    columns: list[str]
    rows: list[Sequence[Any]]
    cut: bool


def read_only(
    engine: Engine, sql: str, limit: int = ROW_LIMIT, *, seconds: float = SECONDS, clock: Clock | None = None
) -> Table:
    """Run one statement that reads.

    Raises:
        DatabaseError: the statement is wrong, tries to write or to leave the database, or takes longer than `seconds`.
        KeyboardInterrupt: somebody pressed Ctrl-C; the database was told to stop.
    """
    if engine.dialect.name == "sqlite":
        columns, rows = _from_sqlite(engine, sql, limit + 1, seconds, clock or Clock())
    else:
        columns, rows = _from_postgres(engine, sql, limit + 1, seconds)
    return Table(_distinct(columns), rows[:limit], len(rows) > limit)


def _distinct(columns: Sequence[str]) -> list[str]:
    """Columns of equal name are told apart (`a`, `a_2`): in a JSON object the last one would be the only one."""
    taken, named = set(columns), list[str]()
    used = set[str]()
    for column in columns:
        name, number = column, 2
        while name in used or (name != column and name in taken):
            name, number = f"{column}_{number}", number + 1
        used.add(name)
        named.append(name)
    return named


# SQLite ---------------------------------------------------------------------------------------------------------------


def _from_sqlite(
    engine: Engine, sql: str, most: int, seconds: float, clock: Clock
) -> tuple[list[str], list[Sequence[Any]]]:
    guard = _Guard(clock, seconds)
    file = file_of(engine)
    try:
        with engine.connect() as pooled:  # also makes sure that the file is still the one that was opened
            if file is not None:
                address = f"file:{quote(str(file))}?mode=ro"
                connection = sqlite3.connect(address, uri=True, timeout=60, check_same_thread=False)
                try:
                    return _asked(connection, sql, most, guard)
                except sqlite3.OperationalError as error:
                    if "unable to open" not in str(error):
                        raise
                finally:
                    connection.close()
            # In memory, or where only the engine knows how to open it: its own connection, held to the same rules.
            own: Any = pooled.connection.driver_connection
            pooled.exec_driver_sql("PRAGMA query_only=ON")
            try:
                return _asked(own, sql, most, guard)
            finally:
                own.set_authorizer(None)
                own.set_progress_handler(None, 0)
                pooled.rollback()
    except sqlite3.Error as error:
        if guard.stopped or ("interrupted" in str(error) and not guard.late):
            raise KeyboardInterrupt from None
        raise DatabaseError(f"query: {_sqlite_words(error, guard)}") from error
    except DBAPIError as error:
        raise DatabaseError(f"query: {driver_failure(error.orig or error)}") from error


class _Guard:
    """Looks at the clock while SQLite works, and notices Ctrl-C, which its callbacks would swallow."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self.seconds = clock, seconds
        self._end = clock.monotonic() + seconds
        self.late = self.stopped = False

    def look(self) -> int:
        """1 ends the statement."""
        try:
            self.late = self.late or self._clock.monotonic() >= self._end
        except KeyboardInterrupt:
            self.stopped = True
        return int(self.late or self.stopped)


def _asked(connection: Any, sql: str, most: int, guard: _Guard) -> tuple[list[str], list[Sequence[Any]]]:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_LIMIT)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_authorizer(_allowed)
    connection.set_progress_handler(guard.look, _STEPS)
    cursor = connection.execute(sql)
    try:
        if cursor.description is None:
            raise DatabaseError(f"query: {_ONE}")
        return [str(each[0]) for each in cursor.description], [tuple(row) for row in cursor.fetchmany(most)]
    finally:
        cursor.close()


def _allowed(action: int, first: str | None, second: str | None, _database: str | None, _source: str | None) -> int:
    if action in {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (second or "").lower() in _NO_FUNCTIONS_SQLITE else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _PRAGMAS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _sqlite_words(error: sqlite3.Error, guard: _Guard) -> str:
    text = str(error)
    if guard.late:
        return _too_long(guard.seconds)
    name = str(getattr(error, "sqlite_errorname", ""))
    if name == "SQLITE_AUTH" or "not authorized" in text or "prohibited" in text or "readonly" in text:
        return _REFUSED
    if "You can only execute one statement" in text:
        return _ONE
    if "too big" in text:
        return f"a value would have more than {_VALUE_LIMIT // 1024 // 1024} MB"
    if name.startswith(_OF_THE_HOST):
        return driver_failure(error)
    return redact(text)


_OF_THE_HOST = tuple(
    f"SQLITE_{word}" for word in ("FULL", "IOERR", "NOTADB", "CORRUPT", "CANTOPEN", "BUSY", "LOCKED", "NOMEM", "PERM")
)


# PostgreSQL -----------------------------------------------------------------------------------------------------------


def _from_postgres(engine: Engine, sql: str, most: int, seconds: float) -> tuple[list[str], list[Sequence[Any]]]:
    _check_words(sql)
    driver = engine.dialect.import_dbapi()
    pooled = None
    try:
        pooled = engine.raw_connection()
        connection: Any = pooled.driver_connection
        return _streamed(connection, sql, most, seconds)
    except DBAPIError as error:
        raise DatabaseError(f"query: {driver_failure(error.orig or error)}") from error
    except driver.Error as error:
        raise DatabaseError(f"query: {_postgres_words(error, seconds)}") from error
    finally:
        if pooled is not None:
            pooled.invalidate()  # what the statement left in its session goes with it


def _streamed(connection: Any, sql: str, most: int, seconds: float) -> tuple[list[str], list[Sequence[Any]]]:
    connection.rollback()
    connection.autocommit = True
    with connection.cursor() as cursor:
        # Whatever ends the transaction, the next one would be of the same kind.
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        cursor.execute(f"SET statement_timeout = {round(seconds * 1000)}")
        cursor.execute("SET lock_timeout = '10s'")
        cursor.execute("SET standard_conforming_strings = on")  # so that a text ends where `_words` says
        cursor.execute("BEGIN READ ONLY")
        # A superuser may read files and run programs: what asks here may read tables.
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        mighty = cursor.fetchone()
        if mighty and mighty[0]:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'pg_read_all_data'")
            if cursor.fetchone():
                cursor.execute("SET LOCAL ROLE pg_read_all_data")
    with connection.cursor() as cursor:
        rows: list[Sequence[Any]] = []
        # Row by row, so that the limit holds for what the server sends; always by the extended protocol, which takes one statement.
        stream = cursor.stream(sql)
        try:
            for row in stream:
                rows.append(tuple(row))
                if len(rows) >= most:
                    break
            columns = [str(each.name) for each in cursor.description or ()]
        except KeyboardInterrupt:
            connection.cancel()
            raise
        finally:
            stream.close()
        return columns if rows else _described(connection, sql), rows


def _described(connection: Any, sql: str) -> list[str]:
    """The columns of a statement that returned no row: a stream does not tell them."""
    connection.pgconn.prepare(b"", sql.encode(connection.info.encoding))
    found = connection.pgconn.describe_prepared(b"")
    if not found.nfields:
        raise DatabaseError(f"query: {_ONE}")
    return [found.fname(number).decode(connection.info.encoding, "replace") for number in range(found.nfields)]


def _check_words(sql: str) -> None:
    """Refuse what a READ ONLY transaction would let through: COPY, DO, LISTEN, and functions that leave the database.

    Raises:
        DatabaseError: with what is refused.
    """
    words = _words(sql)
    if not words or words[0] not in _FIRST_WORDS:
        raise DatabaseError(f"query: {_REFUSED if words and words[0] in _WRITING else _ONE}")
    for word in words:
        if _NO_FUNCTIONS_POSTGRES.fullmatch(word) or word in _NO_TABLES_POSTGRES:
            raise DatabaseError(
                f"query: {word} is refused: it reads more than this database's tables, or changes something"
            )
    if words[0] == "explain" and _WRITING.intersection(words):
        raise DatabaseError(f"query: {_REFUSED}")


_WRITING = frozenset(
    {
        *("insert", "update", "delete", "merge", "create", "drop", "alter", "truncate", "grant", "revoke", "copy"),
        *("do", "call", "vacuum", "begin", "commit", "rollback", "set", "lock", "execute", "prepare", "refresh"),
    }
)


def _words(sql: str) -> list[str]:
    """The words of a statement, quoted names among them, without texts and comments; a statement that hides some is refused."""
    words: list[str] = []
    position = 0
    while position < len(sql):
        found = _TOKEN.match(sql, position)
        assert found is not None  # `other` takes any sign
        position = found.end()
        match found.lastgroup:
            case "word":
                words.append(found.group().lower())
            case "quoted":
                words.append(found.group()[1:-1].replace('""', '"').lower())
            case "unicode":
                raise DatabaseError(
                    'query: names and texts with Unicode escapes (U&"…") are refused; write the letters themselves'
                )
            case "comment":
                position = _after_comment(sql, position)
            case "dollar":
                end = sql.find(found.group(), position)
                position = len(sql) if end < 0 else end + len(found.group())
            case "end":
                if _words(sql[position:]):
                    raise DatabaseError(f"query: {_ONE}")
                return words
            case _:
                pass
    return words


def _after_comment(sql: str, position: int) -> int:
    """Where a comment ends; in PostgreSQL they may hold others."""
    depth = 1
    for found in re.compile(r"/\*|\*/").finditer(sql, position):
        depth += 1 if found.group() == "/*" else -1
        if not depth:
            return found.end()
    return len(sql)


def _postgres_words(error: Any, seconds: float) -> str:
    state = str(error.sqlstate or "")
    if state == "57014":
        return _too_long(seconds)
    if state == "25006":
        return _REFUSED
    if state == "42501":
        return "this is not allowed: only the tables and views of this database can be read here"
    if state == "42601" and "multiple commands" in str(error):
        return _ONE
    if state[:2] in {"42", "22", "21", "0A"}:
        return redact(str(error).strip().split("\n", 1)[0])
    return driver_failure(error)


def _too_long(seconds: float) -> str:
    return f"it took longer than {seconds:g} seconds and was stopped; ask for less, or allow more with --timeout"
