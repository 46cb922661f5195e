"""`civicsync database`: move everything into another database; roles for analysts."""

import os
import re
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text
from sqlalchemy.engine import URL, make_url

from ...core.clock import Clock
from ...core.redaction import conceal, redact, visible
from ...core.schema.database import parse_url, place
from ...core.schema.failures import DatabaseError
from .common import (
    EXIT_STOPPED,
    EXIT_USAGE,
    NO_INSTANCE,
    configuration,
    database,
    err,
    fail,
    out,
    print_json,
    print_table,
)
from .state import state

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    help="Move everything into another database; roles for analysts.",
)
_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ADDRESS = "sqlite:///FILE or 'postgresql://USER:${NAME_OF_A_VARIABLE}@HOST/NAME'"


@app.command()
def move(
    source: Annotated[str, typer.Argument(help=f"The database of now: {_ADDRESS}.")],
    target: Annotated[str, typer.Argument(help="The new one, which is empty.")],
    restart: Annotated[
        bool, typer.Option("--restart", help="Remove first what a broken-off move left in the new one.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy everything into an empty database, compare both, and say what to change in the configuration. The source stays as it is."""
    from ...core.moving import MovingError
    from ...core.moving import move as moving

    origin, destination = _address(source), _address(target)
    try:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        ) as progress:
            bar = progress.add_task("beginning", total=None)
            done = moving(
                origin,
                destination,
                Clock(),
                restart=restart,
                told=lambda table, rows, total: progress.update(bar, description=table, completed=rows, total=total),
            )
            progress.update(bar, description="making the index for searching", completed=0, total=None)
            trouble = _made_again(destination)
    except (MovingError, DatabaseError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        _stopped(destination)
    rows = [
        {
            "table": each.table,
            "source_rows": each.source_rows,
            "target_rows": each.target_rows,
            "checksum": each.target_checksum,
            "same": each.same,
        }
        for each in done
    ]
    shown = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", target)
    if json:
        print_json(
            {
                "source": place(origin),
                "target": place(destination),
                "tables": rows,
                "rows": sum(each.target_rows for each in done),
                "configuration": {"file": str(state.config_file), "database": shown},
                "trouble": redact(trouble),
            },
            data=True,
        )
        return
    print_table(
        [row for row in rows if row["source_rows"]],
        {"table": "table", "source_rows": "rows before", "target_rows": "rows after", "checksum": "checksum of both"},
        empty="there was nothing in it",
        counts=("source_rows", "target_rows"),
    )
    total = sum(each.target_rows for each in done)
    arrived = f"{total:,} rows in {len(done)} tables are in {place(destination)}, counted and compared"
    for line in (arrived, *([trouble] if trouble else []), f"Now write in {state.config_file}:"):
        out.print(Text(line), soft_wrap=True)
    # Not through the edge: it would hide the name of the variable, and no password is in here.
    typer.echo(visible(f"    database: {shown}"))
    after = f"and start what you stopped. {place(origin)} is as it was; remove it when you do not need it: it holds what it held."
    out.print(Text(after), soft_wrap=True)


def _made_again(target: URL) -> str:
    """The index for searching and what keeps pairs true are each database's own; what went wrong with it, which can wait."""
    from ...analysis.duplicates.pairs import prepare
    from ...analysis.search.index import SearchError, refresh
    from ...core.schema.database import open_engine

    engine = open_engine(target)
    try:
        prepare(engine)
        refresh(engine)
    except SearchError as error:
        return f"the index for searching is made later ({error})"
    finally:
        engine.dispose()
    return ""


def _stopped(target: URL) -> NoReturn:
    fail(
        f"stopped; {place(target)} holds a part of it and is refused until you move again with --restart. The source is as it was",
        EXIT_STOPPED,
    )


def _address(given: str) -> URL:
    """An address as in the configuration; a password comes from the environment, never from the command line."""
    try:
        said = make_url(given)
    except Exception:
        fail(f"{_NAME.sub('…', given).partition('@')[2] or 'that'} is no address; expected {_ADDRESS}", EXIT_USAGE)
    secrets = [said.password, *(value for name, value in said.query.items() if "password" in name.lower())]
    if any(secret and not _NAME.fullmatch(str(secret)) for secret in secrets):
        fail(
            "a password on the command line can be read by everybody on this machine: name a variable of the environment instead, "
            "'postgresql://USER:${DATABASE_PASSWORD}@HOST/NAME', or use ~/.pgpass",
            EXIT_USAGE,
        )
    missing = [name for name in _NAME.findall(given) if name not in os.environ]
    if missing:
        fail(f"the environment variable {missing[0]} is not set", EXIT_USAGE)
    try:
        # As the configuration reads it: the same line goes there.
        return parse_url(_NAME.sub(lambda found: os.environ[found[1]], given), Path.cwd())
    except DatabaseError as error:
        fail(str(error), EXIT_USAGE)


@app.command()
def roles(
    analyst: Annotated[
        str,
        typer.Option(
            "--analyst", help="The role: who logs in with it reads the views, and nothing else.", metavar="NAME"
        ),
    ],
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file", help="Its password is the first line of this file; - for standard input.", metavar="FILE"
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL, do nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a role for analysts on PostgreSQL, or bring it up to date; may be repeated."""
    from ...core.roles import RoleError, make_analyst

    config = configuration(NO_INSTANCE)
    password = None if password_file is None else _password(password_file)
    with database(config) as engine:
        try:
            made = make_analyst(engine, analyst, password, dry_run=dry_run)
        except (RoleError, DatabaseError) as error:
            fail(str(error))
    if json:
        print_json({"role": made.name, "new": made.new, "done": not dry_run, "sql": list(made.statements)})
    elif dry_run:
        for statement in made.statements:
            out.print(Text(f"{statement};"), soft_wrap=True)
    else:
        out.print(
            Text(
                f"{made.name} {'was made' if made.new else 'is up to date'}: it reads the views of {place(engine.url)}, also after "
                "an upgrade, and nothing else"
            ),
            soft_wrap=True,
        )
        if made.new and password is None:
            out.print(
                Text(
                    "it has no password: the server must let it in otherwise (pg_hba.conf), or run this again with --password-file"
                ),
                soft_wrap=True,
            )


def _password(file: Path) -> str:
    try:
        said = typer.get_text_stream("stdin").readline() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be read ({error.strerror or type(error).__name__})", EXIT_USAGE)
    except UnicodeDecodeError:
        fail(f"{file} is not UTF-8", EXIT_USAGE)
    password = (said.splitlines() or [""])[0].strip("\r\n")
    if not password:
        fail(f"{file}: its first line is empty; it should be the password", EXIT_USAGE)
    conceal(password)
    return password
