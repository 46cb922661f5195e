"""After a lost ledger: find our copies on the platforms by their signed markers and link them again. Posts nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from ...config.model import Config
from ...connectors.contract.errors import ConnectorError
from ...connectors.contract.writing import CanFind
from ...connectors.open import open_writer, user_agent
from ...core.clock import Clock
from ...core.ledger.ledger import Ledger
from ...core.ledger.marker import Signer
from .adoption import adopt, hold_older


@dataclass(slots=True)
class Rebuilt:
    """What was found for a route: copies linked again, texts that wait in `review` because theirs was not found, what went wrong."""

    route: str
    target: str
    found: int = 0
    held: int = 0
    error: str = ""


async def rebuild_map(
    config: Config, engine: Engine, names: Iterable[str], clock: Clock, backends: Mapping[str, Any] | None = None
) -> list[Rebuilt]:
    """Search the targets of these routes; never raises for what a platform does."""
    ledger, signer = Ledger(engine, clock), Signer(config.privacy.key.get_secret_value())
    rows: list[Rebuilt] = []
    for name in names:
        to, source = config.routes[name].to, config.routes[name].source
        row = Rebuilt(name, f"{to.instance}/{to.space}")
        rows.append(row)
        try:
            async with open_writer(
                to.instance,
                config.instances[to.instance],
                secret=config.privacy.key.get_secret_value(),
                agent=user_agent(config.operator.name, config.operator.contact),
                clock=clock,
                backend=(backends or {}).get(to.instance),
            ) as (writer, context):
                standing = await writer.check()
                if standing.account is not None:
                    ledger.remember_account(to.instance, context.reading.pseudonym(standing.account))
                if not isinstance(writer, CanFind):
                    row.error = "this platform cannot list what our account wrote"
                    continue
                routes = {source.instance: name}
                found = await adopt(
                    ledger, signer, writer, writer.read, to.instance, to.space, routes, stop_at_known=False
                )
                row.found = len(found)
                row.held = hold_older(ledger, signer, name, config.routes[name], found)
        except ConnectorError as error:
            row.error = str(error)
    return rows
