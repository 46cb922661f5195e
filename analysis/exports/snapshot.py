"""The database as one moment shows it: everything an export reads comes from one transaction, a few thousand rows at a time."""

import contextlib
import itertools
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ...core.schema.failures import DatabaseError, database_failure, driver_failure

BATCH = 500
"""Rows that are in memory at once."""
_numbers = itertools.count()


class Snapshot:
    """A reading transaction; rows are tuples as the driver gives them."""

    def __init__(self, connection: Any, dialect: str) -> None:
        self._connection = connection
        self.dialect = dialect
        """`sqlite` or `postgresql`."""

    def batches(self, sql: str, size: int = BATCH) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a statement of ours, `size` at a time; never more of them in memory, on either database."""
        # On PostgreSQL a cursor of the server's: an ordinary one would fetch everything first.
        of_server = {} if self.dialect == "sqlite" else {"name": f"export_{next(_numbers)}"}
        cursor = self._connection.cursor(**of_server)
        try:
            cursor.execute(sql)
            while rows := cursor.fetchmany(size):
                yield rows
        finally:
            cursor.close()

    def rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement, one by one."""
        for batch in self.batches(sql):
            yield from batch

    def one(self, sql: str) -> Any:
        """The first value of the first row."""
        return next(self.rows(sql))[0]

    def columns(self, sql: str) -> Sequence[str]:
        """The names of a statement's columns."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(f"SELECT * FROM ({sql}) q LIMIT 0")
            return [str(each[0]) for each in cursor.description]
        finally:
            cursor.close()


@contextlib.contextmanager
def snapshot(engine: Engine) -> Generator[Snapshot]:
    """Open one.

    Raises:
        DatabaseError: the database cannot be reached, or fails while it is read.
    """
    pooled = None
    driver = engine.dialect.import_dbapi()
    try:
        pooled = engine.raw_connection()
        connection: Any = pooled.driver_connection
        connection.rollback()
        if engine.dialect.name == "sqlite":
            connection.execute("BEGIN")
        else:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield Snapshot(connection, engine.dialect.name)
    except DBAPIError as error:
        raise DatabaseError(f"export: {database_failure(error)}") from error
    except (sqlite3.Error, driver.Error) as error:
        raise DatabaseError(f"export: {driver_failure(error)}") from error
    finally:
        if pooled is not None:
            pooled.rollback()
            pooled.close()
