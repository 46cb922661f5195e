"""Writing many rows at once, the measured fast way of each database (docs/explanation/performance.md).

Never a session, never a row at a time: PostgreSQL gets COPY for rows that are known to be new, everything else is one Core
statement executed many times.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Insert, Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.type_api import TypeEngine

from ..schema.types import UTCMoment

IN_CHUNK = 900
"""How many values one IN list takes; larger ones turn PostgreSQL's plan slow."""

_BULK_FROM = 20


def chunks(values: Sequence[str], size: int = IN_CHUNK) -> Iterable[Sequence[str]]:
    """The values in runs of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that are known not to be there. All rows have the same keys."""
    if not rows:
        return
    if len(rows) < _BULK_FROM:
        connection.execute(insert(table), list(rows))
    elif connection.dialect.name == "postgresql":
        _copy(connection, table, rows)
    else:
        _executemany(connection, table, rows)


def upsert(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, keep: Iterable[str] = ()
) -> None:
    """Insert rows, or replace the columns they name where the key is there already; `keep` are columns never replaced."""
    if not rows:
        return
    primary = [column.name for column in table.primary_key]
    replaced = tuple(name for name in rows[0] if name not in {*primary, *keep})
    if connection.dialect.name == "postgresql" and len(rows) >= _BULK_FROM and _one_statement(table, rows, primary):
        _upsert_arrays(connection, table, rows, primary, replaced)
    else:
        connection.execute(_upserting(connection.dialect.name, table, replaced), list(rows))


@cache
def _upserting(database: str, table: Table, replaced: tuple[str, ...]) -> Insert:
    """Put together once for each table and choice of columns: that takes longer than writing a row or two."""
    statement = (postgresql if database == "postgresql" else sqlite).insert(table)
    primary = [column.name for column in table.primary_key]
    if not replaced:
        return statement.on_conflict_do_nothing(index_elements=primary)
    values = {name: statement.excluded[name] for name in replaced}
    return statement.on_conflict_do_update(index_elements=primary, set_=values)


def _one_statement(table: Table, rows: Sequence[Mapping[str, Any]], primary: Sequence[str]) -> bool:
    """Whether one statement may take these rows: none twice, which PostgreSQL refuses, and no JSON, which is no value of an array."""
    if any(map(_is_json, _types(table, rows))):
        return False
    return len({tuple(row[name] for name in primary) for row in rows}) == len(rows)


def _types(table: Table, rows: Sequence[Mapping[str, Any]]) -> list[TypeEngine[Any]]:
    return [table.c[name].type for name in rows[0]]


def _upsert_arrays(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], primary: list[str], replaced: Sequence[str]
) -> None:
    """One statement with an array for each column: psycopg's executemany sends as many statements as there are rows."""
    columns = ", ".join(f'"{name}"' for name in rows[0])
    arrays = ", ".join(f"%s::{each.compile(connection.dialect)}[]" for each in _types(table, rows))
    action = ", ".join(f'"{name}" = excluded."{name}"' for name in replaced)
    keys = ", ".join(f'"{name}"' for name in primary)
    statement = (
        f'INSERT INTO "{table.name}" ({columns}) SELECT * FROM unnest({arrays}) '
        f"ON CONFLICT ({keys}) DO {f'UPDATE SET {action}' if action else 'NOTHING'}"
    )
    values = [list(column) for column in zip(*(row.values() for row in rows), strict=True)]
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        cursor.execute(statement, values)


def _copy(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    names, values = _columns(table, rows)
    columns = ", ".join(f'"{name}"' for name in names)
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
        write = copy.write_row
        for row in zip(*values, strict=True):
            write(row)


def _executemany(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """SQLite's own executemany: the values as SQLAlchemy would bind them, without its price per row."""
    names, values = _columns(table, rows)
    for index, name in enumerate(names):
        if _is_moment(table.c[name].type):
            # Rows of one page share most of their times.
            written = {moment: _written(moment) for moment in set(values[index])}
            values[index] = [written[moment] for moment in values[index]]
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    driver: Any = connection.connection.driver_connection
    driver.executemany(f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})', zip(*values, strict=True))


def _columns(table: Table, rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[Sequence[Any]]]:
    """The rows turned: names, and the values of each column. A column that is empty in all of them is left to the database."""
    names: list[str] = []
    values: list[Sequence[Any]] = []
    for name, column in zip(rows[0], zip(*(row.values() for row in rows), strict=True), strict=True):
        if column.count(None) == len(column):
            continue
        kind = table.c[name].type
        ready: Sequence[Any] = column
        if _is_json(kind):
            ready = [None if value is None else msgspec.json.encode(value).decode() for value in column]
        names.append(name)
        values.append(ready)
    return names, values


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(" ", "microseconds")[:26]


def _is_json(column_type: TypeEngine[Any]) -> bool:
    return column_type.__visit_name__ == "JSON"


def _is_moment(column_type: TypeEngine[Any]) -> bool:
    return isinstance(column_type, UTCMoment)
