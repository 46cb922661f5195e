"""`civicsync query`: SQL for analysts, read-only, as table, JSON or CSV."""

import csv
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ...core.schema.database import DatabaseError, read_only
from .common import configuration, database, err, fail, print_json, print_table

TABLE_LIMIT = 200
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def run(
    sql: Annotated[
        str, typer.Argument(help="A SELECT on the views, for example: SELECT title, supports FROM proposals")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of objects.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV (RFC 4180); cells that a spreadsheet would run get a ' before.")
    ] = False,
) -> None:
    """Ask the database with SQL; it can only be read. The views: docs/reference/views.md."""
    config = configuration()
    limit = None if json or as_csv else TABLE_LIMIT
    with database(config) as engine:
        try:
            columns, rows, cut = read_only(engine, sql, limit)
        except DatabaseError as error:
            fail(str(error))
    if as_csv:
        _print_csv(columns, rows)
    elif json:
        print_json([dict(zip(columns, map(_jsonable, row), strict=True)) for row in rows])
    else:
        named = [dict(zip(columns, map(_jsonable, row), strict=True)) for row in rows]
        print_table(named, {name: name for name in columns}, empty="no rows")
        if cut:
            err.print(f"only the first {TABLE_LIMIT} rows are shown; --csv or --json give all", style="yellow")


def _jsonable(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes | memoryview) else value


def _print_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(_cell(_jsonable(value)) for value in row)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
