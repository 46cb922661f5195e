"""`civicsync instances`: what is stored of whom, and giving an instance another name or forgetting it."""

import asyncio
import re
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from ...connectors.contract.errors import ConnectorError
from ...core import audit
from ...core.clock import Clock
from ...core.instances import InstanceError, forget, known, rename
from ...core.store.retention import overwrite
from ...sync.pull.run import Puller
from .common import EXIT_USAGE, chosen, configuration, database, fail, out, print_json, print_table

app = typer.Typer(help="What is stored of whom.", no_args_is_help=True, rich_markup_mode=None)
COLUMNS = {
    "name": "instance",
    "platform": "platform",
    "url": "address",
    "proposals": "proposals",
    "publications": "publications",
    "configured": "configured",
}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List what the database holds something of."""
    config = configuration()
    with database(config) as engine:
        rows = [{**asdict(each), "configured": each.name in config.instances} for each in known(engine)]
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, empty="nothing is stored yet", counts={"proposals", "publications"})


@app.command("rename")
def rename_(
    old: Annotated[str, typer.Argument(help="The name it has.")],
    new: Annotated[str, typer.Argument(help="The name it gets.")],
) -> None:
    """Give an instance another name, in every key; then write the new name in the configuration."""
    if not _NAME.fullmatch(new):
        fail(f"{new!r}: a name has small letters, digits and hyphens only", EXIT_USAGE)
    with database(configuration()) as engine:
        try:
            proposals, was = rename(engine, old, new)
        except InstanceError as error:
            fail(str(error))
        audit.record(engine, Clock(), action="instances rename", object=old, result=f"{new}, {proposals} proposals")
    out.print(
        Text(f"{old} is {new} now, with {proposals:,} proposals. In the configuration, name its block {new}, with"),
        soft_wrap=True,
    )
    out.print(Text(f"    named_before: {was}"))
    out.print(Text("so that its people keep their pseudonyms; name it so in the routes, too."), soft_wrap=True)


@app.command("moved")
def moved_(name: Annotated[str, typer.Argument(help="Which instance.")]) -> None:
    """Its city moved its site: compare what answers at the address in the configuration with what is stored, and go on there."""
    config = configuration()
    chosen(config, [name])
    with database(config) as engine:
        try:
            before = asyncio.run(Puller(config, engine, Clock()).moved(name))
        except ConnectorError as error:
            fail(f"{name}: {error}")
    out.print(Text(f"{name} is at {config.instances[name].url} now; it was at {before}"), soft_wrap=True)


@app.command("forget")
def forget_(
    name: Annotated[str, typer.Argument(help="Which instance.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove everything that is stored of an instance. What stands on its platform stays there."""
    with database(configuration()) as engine:
        found = next((each for each in known(engine) if each.name == name), None)
        if found is not None and not yes:
            copies = (
                f" and the memory of {found.publications} publication(s), whose copies stay where they are"
                if found.publications
                else ""
            )
            typer.confirm(f"Remove {found.proposals:,} proposals of {name}{copies}?", abort=True)
        try:
            rows = forget(engine, name)
        except InstanceError as error:
            fail(str(error))
        audit.record(engine, Clock(), action="instances forget", object=name, result=f"{rows} rows")
        overwrite(engine)
    out.print(
        Text(f"{name} is forgotten: {rows:,} rows. As long as the configuration has it, the next pull reads it anew."),
        soft_wrap=True,
    )
