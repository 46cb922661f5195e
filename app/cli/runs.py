"""`civicsync runs`: the journal of pulls."""

from typing import Annotated

import typer

from ...core import journal as journal
from .common import NO_INSTANCE, chosen, configuration, database, print_json, print_table

COLUMNS = {
    "id": "run",
    "instance": "instance",
    "started_at": "started",
    "outcome": "outcome",
    "seen": "seen",
    "created": "new",
    "changed": "changed",
    "tallies": "tallies",
    "missing": "missing",
    "gone": "gone",
    "quarantined": "quarantined",
    "requests": "requests",
    "platform_seconds": "platform s",
    "seconds": "seconds",
    "word": "what happened",
}


def run(
    instances: Annotated[list[str] | None, typer.Argument(help="Which instances; all if none is named.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the newest runs: what they did, what they cost, how they ended."""
    config = configuration(NO_INSTANCE)
    with database(config) as engine:
        rows = journal.runs(engine, chosen(config, instances) if instances else (), limit)
    if json:
        print_json(rows)
        return
    for row in rows:
        row["word"] = "; ".join(part for part in (row["message"], *(row["notes"] or ())) if part)
    print_table(rows, COLUMNS, empty="no runs yet; start one with `civicsync sync`", counts=COLUMNS.keys() - {"id"})
