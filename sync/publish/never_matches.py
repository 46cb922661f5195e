"""Routes that can never copy anything, whatever citizens write: mistakes of the configuration, told by `check`. Asks the database only."""

from sqlalchemy import Engine

from ...config.model import Config
from ...connectors.registry import resolve
from ...core import journal
from ...core.durations import seconds
from ...core.identity import key
from ...core.store.exclusion import inside
from .route_names import unknown_names


def never_matches(config: Config, engine: Engine, name: str) -> list[str]:
    """Why no proposal can ever qualify for a route; empty: one may."""
    route = config.routes[name]
    source, where = route.source, route.source.where
    settings = config.instances[source.instance]
    found: list[str] = []
    kinds = resolve(settings.platform).kinds.get("proposals", ())
    if where.kind and not set(where.kind) & set(kinds):
        found.append(f"where.kind: {settings.platform} has no {', '.join(where.kind)}; it has {', '.join(kinds)}")
    if where.older_than and where.younger_than and seconds(where.older_than) >= seconds(where.younger_than):
        found.append(f"where: nothing is older than {where.older_than} and younger than {where.younger_than}")
    row = journal.instance_row(engine, source.instance)
    if row is None or row["last_success_at"] is None:
        return found  # before the first whole pull nobody knows what there is
    wanted = {*where.category, *where.area}
    for each in unknown_names(engine, route):
        at_source = each.startswith(f"{source.instance}/") or (
            each.startswith(f"{source.instance} has no ") and any(repr(word) in each for word in wanted)
        )
        if at_source:
            found.append(each)
    if source.space is not None:
        for limit in settings.limits():
            if key(source.instance, source.space) not in inside(engine, source.instance, limit):
                found.append(f"from.space: {source.space} is left out by `spaces` of {source.instance}")
                break
    return found
