"""`civicsync rebuild-map`: after a lost ledger, find our copies on the platforms by their signed markers; posts nothing."""

import asyncio
from typing import Annotated, Any

import typer

from ...config import Config
from ...connectors.errors import ConnectorError
from ...connectors.writing import Finds
from ...core.clock import Clock
from ...core.ledger import Ledger
from ...core.marker import Signer
from ...sync.intents import adopt, hold_older
from ...sync.open import open_writer
from .common import EXIT_FAILED, configuration, database, print_json, print_table
from .publish import chosen_routes

COLUMNS = {"route": "route", "target": "target", "found": "copies found", "held": "held for review", "error": "problem"}


def run(
    routes: Annotated[list[str] | None, typer.Argument(help="Which routes; all if none is named.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find copies that the database does not know (it was lost or restored) and link them again. Posts nothing."""
    config = configuration()
    names = chosen_routes(config, routes)
    with database(config) as engine:
        ledger = Ledger(engine, Clock())
        rows = asyncio.run(_rebuild(config, ledger, names))
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, empty="there are no routes in the configuration")
    if any(row["error"] for row in rows):
        raise typer.Exit(EXIT_FAILED)


async def _rebuild(config: Config, ledger: Ledger, names: list[str]) -> list[dict[str, Any]]:
    signer = Signer(config.privacy.key.get_secret_value())
    rows: list[dict[str, Any]] = []
    for name in names:
        to, source = config.routes[name].to, config.routes[name].source
        row: dict[str, Any] = {"route": name, "target": f"{to.instance}/{to.space}", "found": 0, "held": 0, "error": ""}
        rows.append(row)
        try:
            async with open_writer(config, to.instance, Clock()) as (writer, context):
                standing = await writer.check()
                if standing.account is not None:
                    ledger.remember_account(to.instance, context.reading.pseudonym(standing.account))
                if not isinstance(writer, Finds):
                    row["error"] = "this platform cannot list what our account wrote"
                    continue
                routes = {source.instance: name}
                found = await adopt(
                    ledger, signer, writer, writer.read, to.instance, to.space, routes, stop_at_known=False
                )
                row["found"] = len(found)
                row["held"] = hold_older(ledger, signer, name, config.routes[name], found)
        except ConnectorError as error:
            row["error"] = str(error)
    return rows
