"""Names in a route that nothing answers to: spaces, categories and areas that no pull has seen. Asks the database only."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Engine, select

from ...config.routes import Route
from ...core.identity import key
from ...core.schema.tables import AreaRow, CategoryRow, SpaceRow, table_of

_NAMED = (("category", table_of(CategoryRow)), ("area", table_of(AreaRow)))


def unknown_names(engine: Engine, route: Route) -> list[str]:
    """A sentence for each name that is not in the database; where nothing of its kind was pulled, nothing is said."""
    source, to = route.source, route.to
    wanted = {
        "category": ([*route.categories, *source.where.category], list(route.categories.values())),
        "area": ([*route.areas, *source.where.area], list(route.areas.values())),
    }
    found: list[str] = []
    with engine.connect() as connection:
        if source.space is not None:
            found.extend(_space(connection, source.instance, source.space))
        for what, table in _NAMED:
            origin, target = wanted[what]
            query = select(table.c.key, table.c.name, table.c.instance).where(
                table.c.instance.in_((source.instance, to.instance))
            )
            rows = connection.execute(query).all() if origin or target else []
            here = {each for own, name, of in rows if of == source.instance for each in (own.partition("/")[2], name)}
            there = {own.partition("/")[2] for own, _, of in rows if of == to.instance}
            found.extend(_missing(source.instance, what, origin, here))
            found.extend(_missing(to.instance, what, target, there))
    return found


def _space(connection: Connection, instance: str, reference: str) -> Iterable[str]:
    space, own = table_of(SpaceRow), key(instance, reference)
    if connection.execute(select(space.c.key).where(space.c.key == own)).first() is None:
        yield f"{own} is not in the database: was {instance} pulled, and is the space spelled as `discover` prints it?"


def _missing(instance: str, what: str, names: Sequence[str], known: set[str]) -> list[str]:
    return [f"{instance} has no {what} {each!r}" for each in dict.fromkeys(names) if known and each not in known]
