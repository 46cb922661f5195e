"""After a lost ledger: find our copies on the platforms by their signed markers and link them again. Posts nothing."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Engine

from ...config.model import Config
from ...connectors.contract.errors import ConnectorError, WrongCredentials
from ...connectors.contract.writing import CanFind
from ...connectors.open import open_writer, user_agent
from ...core.clock import Clock
from ...core.leases import Lease, LeaseLost
from ...core.ledger import restored
from ...core.ledger.ledger import Ledger
from ...core.ledger.marker import Signer
from ...core.ledger.queries import count_by_reason
from ...core.ledger.states import Reason
from ..credentials import Credentials
from .adoption import adopt, hold_older, moved_from


@dataclass(slots=True)
class Rebuilt:
    """What was found for a route: copies linked again, texts that wait in `review` because theirs was not found, what went wrong."""

    route: str
    target: str
    found: int = 0
    known: int = 0
    """Copies that the database knew before (an earlier run may have found them)."""
    held: int = 0
    asked: int = 0
    """Copies of which a person must say which text is theirs: more than one carries their marker, or nothing tells who wrote it."""
    error: str = ""


async def rebuild_map(
    config: Config, engine: Engine, names: Iterable[str], clock: Clock, backends: Mapping[str, Any] | None = None
) -> list[Rebuilt]:
    """Search the targets of these routes, one process at a time; never raises for what a platform does."""
    rows: list[Rebuilt] = []
    for name in names:
        to = config.routes[name].to
        row = Rebuilt(name, f"{to.instance}/{to.space}")
        rows.append(row)
        lease = Lease(engine, f"publish:{to.instance}")
        if not await asyncio.to_thread(lease.take):
            who = await asyncio.to_thread(lease.held_by)
            row.error = f"another process is writing to {to.instance} ({who}); nothing was done"
            continue
        try:
            async with lease.kept():
                await _rebuild(config, Ledger(engine, clock, lease), row, lease, backends or {})
        except (ConnectorError, LeaseLost) as error:
            row.error = str(error)
    return rows


async def _rebuild(config: Config, ledger: Ledger, row: Rebuilt, lease: Lease, backends: Mapping[str, Any]) -> None:
    signer, route = Signer(config.privacy.signing_key), config.routes[row.route]
    to, credentials = route.to, Credentials(config, ledger)
    await asyncio.to_thread(credentials.ask, to.instance)
    async with open_writer(
        to.instance,
        config.instances[to.instance],
        secret=config.privacy.key.get_secret_value(),
        agent=user_agent(config.operator.name, config.operator.contact),
        clock=ledger.clock,
        backend=backends.get(to.instance),
        before_request=lease.check,
    ) as (writer, context):
        try:
            standing = await writer.check()
        except WrongCredentials as error:
            await asyncio.to_thread(credentials.remember, to.instance, error)
            raise
        if standing.account is not None:
            pseudonym = context.reading.pseudonym(standing.account)
            await asyncio.to_thread(ledger.remember_account, to.instance, pseudonym)
        if not isinstance(writer, CanFind):
            row.error = "this platform cannot list what our account wrote"
            return
        row.known = len(
            [p for p in await asyncio.to_thread(partial(ledger.publications, route=row.route)) if p.copy_key]
        )
        routes = {route.source.instance: row.route}
        moved = await asyncio.to_thread(moved_from, ledger, signer, to.instance, to.space)
        found = await adopt(
            ledger, signer, writer, writer.read, to.instance, to.space, routes, stop_at_known=False, moved_to=moved
        )
        row.found = len(found)
        asked = (Reason.TWINS, Reason.MIXED_MARKERS, Reason.UNPROVEN)
        row.asked = await asyncio.to_thread(
            lambda: sum(count_by_reason(ledger.engine, row.route, reason) for reason in asked)
        )
        lost = await asyncio.to_thread(restored.lost_until, ledger, row.route)
        row.held = await asyncio.to_thread(hold_older, ledger, signer, row.route, route, found, lost)
        await asyncio.to_thread(restored.looked_up, ledger, row.route, route.source.instance)
