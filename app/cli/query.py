"""`civicsync query`: SQL for analysts, read-only, as table, JSON or CSV."""

import csv
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ...analysis.exports.cells import cell
from ...core.schema.failures import DatabaseError
from ...core.schema.read_only import ROW_LIMIT, SECONDS, read_only
from .common import EXIT_STOPPED, NO_INSTANCE, configuration, database, err, fail, print_json, print_table

TABLE_LIMIT = 200


def run(
    sql: Annotated[
        str, typer.Argument(help="A SELECT on the views, for example: SELECT title, supports FROM proposals")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of objects.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV (RFC 4180); cells that a spreadsheet would run get a ' before.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, max=100_000_000, help="At most so many rows: 200 in a table, else 1,000,000."),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, max=86_400, help="At most so many seconds.")
    ] = SECONDS,
) -> None:
    """Ask the database with SQL; it can only be read. The views: docs/reference/views.md."""
    config = configuration(NO_INSTANCE)
    most = limit or (ROW_LIMIT if json or as_csv else TABLE_LIMIT)
    with database(config) as engine:
        try:
            found = read_only(engine, sql, most, seconds=timeout)
        except DatabaseError as error:
            fail(str(error))
        except KeyboardInterrupt:
            fail("stopped", EXIT_STOPPED)
    named = [dict(zip(found.columns, map(_jsonable, row), strict=True)) for row in found.rows]
    if as_csv:
        _print_csv(found.columns, found.rows)
    elif json:
        print_json(named, data=True)
    else:
        print_table(named, {name: name for name in found.columns}, empty="no rows", data=True)
    if found.cut:
        more = "--limit allows more" if json or as_csv or limit else "--csv, --json or --limit give more"
        err.print(f"only the first {most:,} rows are shown; {more}", style="yellow", markup=False)


def _jsonable(value: Any) -> Any:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value


def _print_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(cell(name) for name in columns)
    for row in rows:
        writer.writerow(cell(_jsonable(value)) for value in row)
