"""Writing many rows at once, the measured fast way of each database (docs/explanation/performance.md).

Never a session, never a row at a time: PostgreSQL gets COPY for rows that are known to be new, everything else is one Core
statement executed many times.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.type_api import TypeEngine

from .tables import UTCMoment

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
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    primary = [column.name for column in table.primary_key]
    kept = {*primary, *keep}
    replaced = {name: statement.excluded[name] for name in rows[0] if name not in kept}
    if replaced:
        statement = statement.on_conflict_do_update(index_elements=primary, set_=replaced)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=primary)
    connection.execute(statement, list(rows))


def _copy(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(rows[0])
    json_columns = [index for index, name in enumerate(names) if _is_json(table.c[name].type)]
    columns = ", ".join(f'"{name}"' for name in names)
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
        write = copy.write_row
        for row in rows:
            values = list(row.values())
            for index in json_columns:
                if values[index] is not None:
                    values[index] = msgspec.json.encode(values[index]).decode()
            write(values)


def _executemany(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """SQLite's own executemany: the values as SQLAlchemy would bind them, without its price per row."""
    names = list(rows[0])
    moments = [index for index, name in enumerate(names) if _is_moment(table.c[name].type)]
    json_columns = [index for index, name in enumerate(names) if _is_json(table.c[name].type)]
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    ready: list[list[Any]] = []
    for row in rows:
        values = list(row.values())
        for index in moments:
            if values[index] is not None:
                values[index] = values[index].isoformat(" ", "microseconds")[:26]
        for index in json_columns:
            if values[index] is not None:
                values[index] = msgspec.json.encode(values[index]).decode()
        ready.append(values)
    driver: Any = connection.connection.driver_connection
    driver.executemany(f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})', ready)


def _is_json(column_type: TypeEngine[Any]) -> bool:
    return column_type.__visit_name__ == "JSON"


def _is_moment(column_type: TypeEngine[Any]) -> bool:
    return isinstance(column_type, UTCMoment)
