"""`civicsync upgrade`: bring the database up to date with this release; with --check, only tell what that would do and how long."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine

from ...core.clock import Clock
from ...core.schema.database import HEAD, migrate, open_engine, parse_url
from ...core.schema.failures import DatabaseError
from ...core.upgrading import Upgrade, seconds_of, upgrade_of
from .common import EXIT_FAILED, NO_INSTANCE, configuration, err, fail, out, print_json, print_table
from .state import state

_COLUMNS = {"revision": "revision", "what": "what it is for", "rewrites": "rows written anew"}


def run(
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Change nothing: what it would do, and how long. Exit code 1 if there is something to do."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring the database up to date with this release. Every verb does so by itself; this one says what it does."""
    url = parse_url(configuration(NO_INSTANCE).database, state.config_file.resolve().parent)
    if url.get_backend_name() == "sqlite" and not _is_there(url.database):
        fail("there is no database yet; `civicsync sync` makes it as this release has it")
    try:
        engine = open_engine(url)
        try:
            found = upgrade_of(engine)
            seconds = _measured(engine, found) if check else _done(engine, found)
        finally:
            engine.dispose()
    except DatabaseError as error:
        fail(str(error))
    _print(found, seconds, check=check, json=json)
    if check and found.steps:
        raise typer.Exit(EXIT_FAILED)


def _is_there(file: str | None) -> bool:
    return bool(file) and Path(str(file)).is_file()


def _measured(engine: Engine, found: Upgrade) -> float:
    with err.status("trying it on a copy" if engine.dialect.name == "sqlite" else "trying it on a sample"):
        return seconds_of(engine, found)


def _done(engine: Engine, found: Upgrade) -> float:
    clock = Clock()
    began = clock.monotonic()
    with err.status(f"bringing {found.place} up to date; Ctrl-C leaves it as it was"):
        migrate(engine)
    return clock.monotonic() - began


def _print(found: Upgrade, seconds: float, *, check: bool, json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {"revision": step.revision, "what": step.what, "rewrites": dict(step.rewrites)} for step in found.steps
    ]
    if json:
        told = {
            "database": found.place,
            "found": found.found,
            "release": HEAD,
            "steps": rows,
            "seconds": round(seconds, 1),
        }
        print_json({**told, "done": not check})
        return
    if not rows:
        before = "a new database" if found.found is None else f"revision {found.found}"
        out.print(Text(f"{found.place}: {before}, as this release has it; nothing to do"), soft_wrap=True)
        return
    for row in rows:
        row["rewrites"] = ", ".join(f"{number:,} {table}" for table, number in row["rewrites"].items()) or "none"
    print_table(rows, _COLUMNS, empty="", title=f"{found.place}: revision {found.found}, this release has {HEAD}")
    if check:
        out.print(
            Text(
                f"it takes about {seconds:,.1f} s, in one transaction, while nobody else reads or writes; then views are made anew. "
                "Stop what runs, `civicsync backup` first, then `civicsync upgrade`"
            ),
            soft_wrap=True,
        )
    else:
        out.print(Text(f"done in {seconds:,.1f} s"), soft_wrap=True)
