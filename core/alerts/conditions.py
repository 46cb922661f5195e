"""What stands now: conditions, read from the database and the limits of the configuration alone. Every process that looks sees the same."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine, text

from ..schema.types import UTCMoment
from ..vitals import look
from .kinds import AlertKind, Condition

_LATELY = timedelta(days=1)
"""A host that was not written to for so long after it failed is no trouble of today any more."""
_MOMENT = UTCMoment()


@dataclass(frozen=True, slots=True)
class Limits:
    """What is watched, and from when on it is told."""

    late: Mapping[str, Callable[[datetime], datetime]] = field(
        default_factory=dict[str, Callable[[datetime], datetime]]
    )
    """By watched instance: from the moment of its last good pull, when the next one is too late."""
    instances: Collection[str] = ()
    """All instances of the configuration."""
    routes: Collection[str] = ()
    """All routes that are in use."""
    waits: timedelta | None = timedelta(hours=24)
    """For how long something may wait for a person; None: for ever."""


def standing(engine: Engine, limits: Limits, watched: Mapping[str, datetime], now: datetime) -> list[Condition]:
    """Everything that stands now. `watched`: since when each instance is watched. Blocks, for some milliseconds.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    seen = look(engine, (), now)
    found = list(_late(limits, seen.good_pulls, watched, now))
    found += [Condition(AlertKind.ROUTE_HALTED, name) for name in seen.halted if name in limits.routes]
    twins = ((name, many) for name, many in seen.twins.items() if name in limits.routes)
    found += [Condition(AlertKind.TWO_COPIES, name, many=many) for name, many in twins]
    found += [Condition(AlertKind.HOST_LEFT_ALONE, host) for host in _failing(engine, now)]
    if limits.waits is not None:
        for name, (many, first) in seen.waiting.items():
            if name in limits.routes and now - first > limits.waits:
                found.append(Condition(AlertKind.WAITS_FOR_PERSON, name, first, many))
        for name, first in _asking(engine).items():
            if name in limits.instances and now - first > limits.waits:
                found.append(Condition(AlertKind.PULL_ASKS, name, first))
    return sorted(found, key=lambda each: (list(AlertKind).index(each.kind), each.subject))


def _late(
    limits: Limits, good: Mapping[str, datetime], watched: Mapping[str, datetime], now: datetime
) -> Iterator[Condition]:
    for name, late in limits.late.items():
        # One that was never read is late when it has been watched for that long, and not the moment it was configured.
        last = good.get(name, watched.get(name, now))
        if now > late(last):
            yield Condition(AlertKind.NO_GOOD_PULL, name, last)


def _failing(engine: Engine, now: datetime) -> list[str]:
    """Hosts that were left alone and did not take a write since: that the time of rest is over does not mean that it works again."""
    query = text("SELECT host, open_until FROM breaker WHERE open_until IS NOT NULL").columns(open_until=_MOMENT)
    with engine.connect() as connection:
        return [str(row[0]) for row in connection.execute(query) if row[1] > now - _LATELY]


def _asking(engine: Engine) -> dict[str, datetime]:
    """Since when pulls ask a person about what is missing: each later run tells it again, until one has nothing to ask."""
    query = text(
        "SELECT instance, min(ended_at) AS since FROM run WHERE outcome = 'undecided' AND id > coalesce((SELECT max(d.id) FROM run d "
        "WHERE d.instance = run.instance AND d.outcome = 'done'), 0) GROUP BY instance"
    ).columns(since=_MOMENT)
    with engine.connect() as connection:
        return {str(row[0]): row[1] for row in connection.execute(query) if row[1] is not None}
