"""`civicsync rebuild-map`: after a lost ledger, find our copies on the platforms by their signed markers; posts nothing."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from ...core.clock import Clock
from ...sync.publish.rebuild_map import rebuild_map
from .common import EXIT_FAILED, configuration, database, print_json, print_table
from .publish import chosen_routes

COLUMNS = {
    "route": "route",
    "target": "target",
    "found": "copies found",
    "known": "known already",
    "held": "held for review",
    "asked": "questions",
    "error": "problem",
}


def run(
    routes: Annotated[list[str] | None, typer.Argument(help="Which routes; all if none is named.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find copies that the database does not know (it was lost or restored) and link them again. Posts nothing."""
    config = configuration()
    names = chosen_routes(config, routes)
    with database(config) as engine:
        rows = [asdict(row) for row in asyncio.run(rebuild_map(config, engine, names, Clock()))]
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, empty="there are no routes in the configuration")
    if any(row["error"] or row["asked"] for row in rows):
        raise typer.Exit(EXIT_FAILED)
