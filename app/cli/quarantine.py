"""`civicsync quarantine`: records that could not be understood: look at them, and try them again."""

from typing import Annotated, Any

import typer
from rich.text import Text

from ...core.clock import Clock
from ...core.items import Item
from ...core.store.quarantine import listed
from ...core.store.store import InstanceStore
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
    from ...connectors.open import context_of, open_transport, user_agent
    from ...connectors.registry import resolve

    config = configuration()
    results: list[dict[str, Any]] = []
    with database(config) as engine:
        for row in listed(engine, chosen(config, [instance])[0] if instance else None):
            settings = config.instances.get(row["instance"])
            connector = resolve(settings.platform) if settings else None
            if settings is None or connector is None or connector.remap is None:
                results.append(
                    {"id": row["id"], "ref": row["ref"], "instance": row["instance"], "outcome": "not configured"}
                )
                continue
            clock = Clock()
            agent = user_agent(config.operator.name, config.operator.contact)
            transport = open_transport(settings, agent=agent, clock=clock)
            secret = config.privacy.key.get_secret_value()
            context = context_of(row["instance"], settings, transport, secret=secret, clock=clock)
            store = InstanceStore(engine, row["instance"], settings.locales, clock)
            remap, raw, ref = connector.remap, row["raw"] or {}, row["ref"]
            written = store.replay(
                Item(ref, build=lambda r=remap, c=context, f=ref, w=raw: r(c, f, w), raw=raw), row["scope"]
            )
            outcome = "still not understood" if written.quarantined else "understood"
            results.append({"id": row["id"], "ref": ref, "instance": row["instance"], "outcome": outcome})
    if json:
        print_json(results)
    else:
        columns = {"id": "id", "instance": "instance", "ref": "record", "outcome": "outcome"}
        print_table(results, columns, empty="quarantine is empty")
    if any(each["outcome"] != "understood" for each in results):
        raise typer.Exit(EXIT_FAILED)
