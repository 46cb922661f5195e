"""`civicsync quarantine`: records that could not be understood: look at them, and try them again."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from ...core.clock import Clock
from ...core.store.quarantine import listed
from .common import EXIT_FAILED, chosen, configuration, database, fail, out, print_json, print_table

app = typer.Typer(help="Records that could not be understood.", no_args_is_help=True, rich_markup_mode=None)
COLUMNS = {
    "id": "id",
    "instance": "instance",
    "ref": "record",
    "field": "field",
    "reason": "reason",
    "times": "times",
    "last_seen_at": "last seen",
}
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    instance: Annotated[str | None, typer.Argument(help="Only this instance.")] = None, json: Json = False
) -> None:
    """List what is in quarantine, and why."""
    config = configuration()
    with database(config) as engine:
        rows = listed(engine, chosen(config, [instance])[0] if instance else None)
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, empty="quarantine is empty")


@app.command("show")
def show(
    number: Annotated[int, typer.Argument(help="The id that `quarantine list` shows.")], json: Json = False
) -> None:
    """Show one record as it came, without personal data."""
    config = configuration()
    with database(config) as engine:
        row = next((each for each in listed(engine) if each["id"] == number), None)
    if row is None:
        fail(f"nothing in quarantine has the id {number}")
    if json:
        print_json(row)
        return
    for name in ("instance", "ref", "scope", "field", "reason", "times", "first_seen_at", "last_seen_at"):
        out.print(Text(f"{name:14} {row[name]}"))
    print_json(row["raw"])


@app.command("replay")
def replay(
    instance: Annotated[str | None, typer.Argument(help="Only this instance.")] = None, json: Json = False
) -> None:
    """Map the records in quarantine again, for example after an update of civicsync."""
    from ...sync.replay import replay as map_again

    config = configuration()
    with database(config) as engine:
        rows = listed(engine, chosen(config, [instance])[0] if instance else None)
        results = [asdict(each) for each in map_again(config, engine, rows, Clock())]
    if json:
        print_json(results)
    else:
        columns = {"id": "id", "instance": "instance", "ref": "record", "outcome": "outcome"}
        print_table(results, columns, empty="quarantine is empty")
    if any(each["outcome"] != "understood" for each in results):
        raise typer.Exit(EXIT_FAILED)
