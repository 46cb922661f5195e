"""What went wrong with the database or the machine under it, in words, with the way out.

Never the database's own text: it may hold anything.
"""

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError

from ..redaction import redact

KEPT = "what was committed before is kept"


class DatabaseError(Exception):
    """The database cannot be used; the text says why and what would help."""


_FULL = f"the disk is full; make room and run it again, {KEPT}"
_READ_ONLY = "the database can only be read (a read-only file system, or its permissions); nothing was written"
_ENDED = f"PostgreSQL ended the connection (was it restarted?); run it again, {KEPT}"
_SQLITE = {
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_NOTADB": "the file is not a SQLite database; name another one in `database:`, or put back a copy of yours",
    "SQLITE_CORRUPT": "the database file is damaged; put back a copy, or start with a new file",
    "SQLITE_CANTOPEN": "the database file cannot be opened; was it deleted or moved, and may this user read and write in its folder?",
    "SQLITE_BUSY": f"another process held the database for more than a minute; run it again, {KEPT}",
    "SQLITE_LOCKED": f"another process held the database for more than a minute; run it again, {KEPT}",
    "SQLITE_NOMEM": f"there is not enough memory; {KEPT}",
    "SQLITE_PERM": "the database file cannot be opened; this user may not",
    "SQLITE_IOERR": f"the disk cannot be read or written, or is full; {KEPT}",
    "SQLITE_TOOBIG": "a value is larger than a database row takes",
}
_POSTGRES = {
    "57014": "it took longer than it may",
    "57P": _ENDED,
    "08": _ENDED,
    "53100": _FULL,
    "53200": f"the database server is out of memory; {KEPT}",
    "53300": "the database server takes no further connection; raise max_connections or run less at once",
    "25006": "the database server only lets us read (a standby?); name its primary in `database:`",
    "42501": "this database user may not do that; grant it the rights on its database (docs/howto/postgresql.md)",
    "28": "the database server does not let this user in; check user and password of `database:`",
    "3D": "there is no such database on the server; make it with `createdb` (docs/howto/postgresql.md)",
    "40": f"two transactions stood in each other's way; run it again, {KEPT}",
    "22001": "a value is larger than its column takes",
    "22003": "a number is larger than its column takes",
}
"""By SQLSTATE, or how it begins (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
_OPERATING_SYSTEM = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "a file may not become that large here (a limit of this process); raise it and run it again",
    errno.EROFS: "the file system can only be read; nothing was written",
    errno.EMFILE: "too many files are open in this process; raise its limit (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine",
    errno.EIO: f"the disk cannot be read or written; {KEPT}",
}


def host_failure(error: BaseException) -> str | None:
    """What to tell of an error that the machine or the database made, or None where it is somebody else's."""
    if isinstance(error, DatabaseError):
        return str(error)
    if isinstance(error, MemoryError):
        return (
            f"there is not enough memory (MemoryError); give the process more, or pull fewer instances at once; {KEPT}"
        )
    if isinstance(error, DBAPIError):
        return f"the database failed: {database_failure(error)}"
    if isinstance(error, sqlite3.Error) or type(error).__module__.partition(".")[0] == "psycopg":
        return f"the database failed: {driver_failure(error)}"
    if isinstance(error, OSError) and error.errno in _OPERATING_SYSTEM:
        return _OPERATING_SYSTEM[error.errno]
    return None


def database_failure(error: DBAPIError) -> str:
    """Why a statement failed."""
    return driver_failure(error.orig if error.orig is not None else error)


def driver_failure(error: BaseException) -> str:
    """Why a driver's call failed."""
    if isinstance(error, sqlite3.Error):
        name = str(getattr(error, "sqlite_errorname", ""))
        text = str(error)
        # Errors of Python's own wrapper carry no code.
        if not name:
            name = next((code for sign, code in _SIGNS.items() if sign in text), "")
        if name.startswith("SQLITE_IOERR") and "NOMEM" in name:
            name = "SQLITE_NOMEM"
        found = next((words for code, words in _SQLITE.items() if name.startswith(code)), None)
        return found or f"an error of its own ({name or type(error).__name__}); {KEPT}"
    state = str(getattr(error, "sqlstate", None) or "")
    for code, words in _POSTGRES.items():
        if state.startswith(code):
            return words
    if not state and type(error).__name__ == "OperationalError":
        return _ENDED
    return f"an error of its own ({state or type(error).__name__}); {KEPT}"


_SIGNS = {
    "unable to open": "SQLITE_CANTOPEN",
    "not a database": "SQLITE_NOTADB",
    "disk is full": "SQLITE_FULL",
    "readonly": "SQLITE_READONLY",
    "malformed": "SQLITE_CORRUPT",
    "locked": "SQLITE_BUSY",
    "disk I/O": "SQLITE_IOERR",
    "too big": "SQLITE_TOOBIG",
}


def first_line(error: DBAPIError) -> str:
    """The database's own first line, for whoever wrote the statement or the address it is about; without secrets."""
    return redact(str(error.orig).strip().split("\n", 1)[0])
