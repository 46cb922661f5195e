"""`civicsync audit`: who did what with what: the log, and whether it is whole."""

from dataclasses import asdict
from typing import Annotated

import typer

from ...core import audit
from .common import EXIT_FAILED, NO_INSTANCE, configuration, database, out, print_json, print_table

app = typer.Typer(help="Who did what with what.", no_args_is_help=True, rich_markup_mode=None)
COLUMNS = {
    "id": "id",
    "at": "when",
    "actor": "who",
    "action": "did",
    "object": "with",
    "result": "result",
    "origin": "from",
}
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    newest: Annotated[int | None, typer.Option("--newest", min=1, help="Only so many of the last entries.")] = None,
    json: Json = False,
) -> None:
    """List the entries, oldest first."""
    with database(configuration(NO_INSTANCE)) as engine:
        rows = [asdict(each) for each in audit.entries(engine, newest=newest)]
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, empty="nothing was logged yet")


@app.command("verify")
def verify(json: Json = False) -> None:
    """Compare every entry with its hash and with the one before; 1 where one was changed, removed or put in."""
    with database(configuration(NO_INSTANCE)) as engine:
        verdict = audit.verify(engine)
    if json:
        print_json(asdict(verdict))
    elif verdict.whole:
        out.print(f"whole: {verdict.entries:,} entries; newest hash {verdict.head or 'none'}", soft_wrap=True)
        out.print("keep that hash elsewhere: whoever rewrites the whole log cannot make it again", soft_wrap=True)
    else:
        out.print(f"not whole: entry {verdict.bad}: {verdict.why}", style="red", soft_wrap=True)
    if not verdict.whole:
        raise typer.Exit(EXIT_FAILED)
