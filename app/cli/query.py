"""`civicsync query`: SQL for analysts, read-only, as table, JSON or CSV."""

import csv
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Engine

from ...analysis.exports.cells import cell
from ...config import Config
from ...core.schema.failures import DatabaseError
from ...core.schema.read_only import ROW_LIMIT, SECONDS, read_only
from .common import (
    EXIT_STOPPED,
    EXIT_USAGE,
    NO_INSTANCE,
    configuration,
    database,
    err,
    fail,
    print_json,
    print_table,
)

TABLE_LIMIT = 200


# So that a statement may begin with a comment: `-- what I want to know` is no option.
CONTEXT = {"ignore_unknown_options": True}


def run(
    sql: Annotated[
        str | None,
        typer.Argument(
            help="A SELECT on the views, such as: SELECT title, supports FROM proposals; a name from `queries:` of the configuration; "
            "- for standard input. Unset: what can be asked."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the statement from this file.", metavar="FILE")
    ] = None,
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
    if sql is None and file is None:
        from .query_help import show_what_can_be_asked

        show_what_can_be_asked(config, json=json)
        return
    statement = _statement(config, sql, file)
    most = limit or (ROW_LIMIT if json or as_csv else TABLE_LIMIT)
    with database(config) as engine:
        if _MADE.search(statement):
            wrong = _brought_up_to_date(engine, config)
            if wrong:
                err.print(wrong, style="yellow", markup=False, soft_wrap=True)
        try:
            found = read_only(engine, statement, most, seconds=timeout)
        except DatabaseError as error:
            from .query_help import near

            fail(f"{error}{near(str(error), statement)}")
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


_MADE = re.compile(
    r"\b(processes|participation_by_area|public_participation_by_area|(public_)?monthly_top|unanswered)\b",
    re.IGNORECASE,
)
"""Views of what is made after pulls, and of what is older than the newest one where a pull was too quick to wait for it."""


def _brought_up_to_date(engine: Engine, config: Config) -> str | None:
    from ..refreshing import bring_up_to_date  # whoever asks for anything else does without it

    return bring_up_to_date(engine, config.privacy.k)


def _statement(config: Config, sql: str | None, file: Path | None) -> str:
    """What is asked: from a file, from standard input, saved under a name, or as it was typed."""
    if file is not None:
        if sql is not None:
            fail("a statement and --file: give one of them", EXIT_USAGE)
        return _read(str(file), file.read_bytes)
    assert sql is not None
    if sql == "-":
        return _read("standard input", sys.stdin.buffer.read)
    if sql in config.queries:
        return config.queries[sql]
    if not re.search(r"\s", sql.strip()) and sql.strip().lower() not in {"select", "values", "table"}:
        # One word is no statement: a name that is not there, or an option.
        if sql.startswith("-"):
            fail(f"there is no option {sql}; `civicsync query --help` lists them", EXIT_USAGE)
        from .query_help import no_statement

        fail(no_statement(sql, config.queries), EXIT_USAGE)
    return sql


def _read(name: str, read: Callable[[], bytes]) -> str:
    try:
        found = read().decode("utf-8-sig")
    except OSError as error:
        fail(f"{name} cannot be read ({error.strerror or type(error).__name__})", EXIT_USAGE)
    except UnicodeDecodeError:
        fail(f"{name} is not UTF-8", EXIT_USAGE)
    if not found.strip():
        fail(f"{name} is empty; it should hold one SELECT", EXIT_USAGE)
    return found


def _jsonable(value: Any) -> Any:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value


def _print_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(cell(name) for name in columns)
    for row in rows:
        writer.writerow(cell(_jsonable(value)) for value in row)
