"""Records from quarantine, tried again with what is understood today. Asks no platform."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Engine

from ..config.model import Config
from ..connectors.open import context_of, open_transport, user_agent
from ..connectors.registry import resolve
from ..core.clock import Clock
from ..core.items import Item
from ..core.store.store import InstanceStore
from .keeping import intake_of


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one record: understood, still not understood, or not configured (its instance, or a connector that maps again)."""

    id: int
    ref: str
    instance: str
    outcome: str


def replay(config: Config, engine: Engine, rows: Iterable[Mapping[str, Any]], clock: Clock) -> list[Replayed]:
    """Map these records of the quarantine again; what is understood leaves it. Blocks."""
    found: list[Replayed] = []
    for row in rows:
        outcome = _again(config, engine, row, clock)
        found.append(Replayed(row["id"], row["ref"], row["instance"], outcome))
    return found


def _again(config: Config, engine: Engine, row: Mapping[str, Any], clock: Clock) -> str:
    name: str = row["instance"]
    settings = config.instances.get(name)
    connector = resolve(settings.platform) if settings is not None else None
    if settings is None or connector is None or connector.remap is None:
        return "not configured"
    transport = open_transport(
        settings, agent=user_agent(config.operator.name, config.operator.contact), clock=clock, connector=connector
    )
    secret = config.privacy.key.get_secret_value()
    context = context_of(name, settings, transport, secret=secret, clock=clock)
    store = InstanceStore(engine, name, settings.locales, clock, kinds=connector.kinds, intake=intake_of(config))
    raw = row["raw"] or {}
    written = store.replay(
        Item(row["ref"], build=partial(connector.remap, context, row["ref"], raw), raw=raw), row["scope"]
    )
    return "still not understood" if written.quarantined else "understood"
