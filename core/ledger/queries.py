"""What a route's publications come to, in numbers: for the summary of a run. Read-only."""

from sqlalchemy import Engine, func, select

from ..identity import Ref
from .ledger import PUBLICATION
from .states import LIVE, PublicationState, Reason, is_told


def count_by_state(engine: Engine, route: str) -> dict[str, int]:
    """How many publications of a route are in which state."""
    query = select(PUBLICATION.c.state, func.count()).where(PUBLICATION.c.route == route).group_by(PUBLICATION.c.state)
    with engine.connect() as connection:
        return {str(state): int(number) for state, number in connection.execute(query)}


def standing_copies(engine: Engine) -> dict[str, int]:
    """How many copies stand on their platforms, by the name of the route that made them."""
    query = select(PUBLICATION.c.route, func.count()).where(PUBLICATION.c.state.in_(LIVE)).group_by(PUBLICATION.c.route)
    with engine.connect() as connection:
        return {str(route): int(number) for route, number in connection.execute(query)}


def standing_places(engine: Engine) -> dict[tuple[str, str, str], int]:
    """How many copies stand, or may do so, by the route that made them and the instance and space where they are."""
    place = (PUBLICATION.c.route, PUBLICATION.c.target_instance, PUBLICATION.c.target_space)
    there = PUBLICATION.c.state.in_((*LIVE, PublicationState.STUCK, PublicationState.UNKNOWN))
    with engine.connect() as connection:
        rows = connection.execute(select(*place, func.count()).where(there).group_by(*place))
        return {(str(route), str(instance), str(space)): int(number) for route, instance, space, number in rows}


def count_by_reason(engine: Engine, route: str, reason: Reason) -> int:
    """How many publications of a route are as they are for this reason."""
    query = select(func.count()).where(PUBLICATION.c.route == route, PUBLICATION.c.reason_code == reason)
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def taken_back(engine: Engine, instance: str) -> frozenset[Ref]:
    """The references of the copies on an instance that we took back ourselves."""
    copies = select(PUBLICATION.c.remote_ref).where(
        PUBLICATION.c.target_instance == instance,
        PUBLICATION.c.state == PublicationState.WITHDRAWN,
        PUBLICATION.c.remote_ref.is_not(None),
    )
    with engine.connect() as connection:
        return frozenset(str(own) for own in connection.execute(copies).scalars())


def reasons_told(engine: Engine, route: str) -> dict[str, int]:
    """Why publications of a route are refused, held or left alone, with how many of each, most frequent first."""
    columns = (PUBLICATION.c.state, PUBLICATION.c.reason_code, PUBLICATION.c.reason)
    number = func.count().label("number")
    query = (
        select(*columns, number)
        .where(PUBLICATION.c.route == route, PUBLICATION.c.reason != "")
        .group_by(*columns)
        .order_by(number.desc(), PUBLICATION.c.reason)
    )
    with engine.connect() as connection:
        return {
            f"{state}: {sentence}": int(times)
            for state, code, sentence, times in connection.execute(query)
            if is_told(PublicationState(state), Reason(code))
        }
