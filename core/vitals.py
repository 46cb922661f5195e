"""What an operator watches, asked of the database in a few quick queries. Read-only; no text of anybody."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, inspect, text

from .alert_counts import AlertCounts, count_alerts
from .ledger.states import OperationState, PublicationState, Reason, waits_for_person
from .schema.database import file_of, side_files
from .schema.types import UTCMoment
from .worker_queue import Seen, seen


@dataclass(frozen=True, slots=True)
class LastRun:
    """How the newest pull of an instance ended."""

    instance: str
    outcome: str
    seconds: float
    requests: int
    platform_seconds: float


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that somebody holds."""

    name: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at everything. Names are those of the configuration and of the ledger."""

    good_pulls: dict[str, datetime]
    """By instance, when a pull last came to its end."""
    last_runs: tuple[LastRun, ...]
    quarantined: dict[str, int]
    publications: dict[tuple[str, str], int]
    """By route and state."""
    operations: dict[tuple[str, str, str], int]
    """Of what is open, by route, kind and state."""
    waiting: dict[str, tuple[int, datetime]]
    """By route, how many things wait for a person, and since when the first of them."""
    twins: dict[str, int]
    """By route, how many publications have more than one copy."""
    halted: frozenset[str]
    """Routes that stopped and wait for a person."""
    breakers: frozenset[str]
    """Hosts that are left alone because they failed."""
    leases: tuple[Held, ...]
    bytes: int
    alerts: AlertCounts
    queue: Seen


_MOMENT = UTCMoment()
_OPEN = ", ".join(f"'{each}'" for each in ("planned", "awaiting_approval", "approved", "sending", "unknown"))


def look(engine: Engine, instances: Iterable[str], now: datetime) -> Vitals:
    """Ask the database. Blocks, for some milliseconds.

    Raises:
        SQLAlchemyError: it cannot be asked.
    """
    with engine.connect() as connection:

        def rows(sql: str, **types: UTCMoment) -> list[tuple[object, ...]]:
            asked = text(sql).columns(**types) if types else text(sql)
            return [tuple(row) for row in connection.execute(asked)]

        good = rows(
            "SELECT name, last_success_at FROM instance WHERE last_success_at IS NOT NULL", last_success_at=_MOMENT
        )
        last: list[LastRun] = []
        newest = text(
            "SELECT outcome, seconds, requests, platform_seconds FROM run WHERE instance = :instance AND ended_at IS NOT NULL "
            "ORDER BY started_at DESC, id DESC LIMIT 1"
        )
        for name in instances:
            row = connection.execute(newest, {"instance": name}).first()
            if row is not None:
                last.append(LastRun(name, str(row[0]), float(row[1]), int(row[2]), float(row[3])))
        quarantined = rows("SELECT instance, count(*) FROM quarantine GROUP BY instance")
        publications = rows(
            "SELECT route, state, reason_code, count(*) AS many, min(changed_at) AS since FROM publication "
            "GROUP BY route, state, reason_code",
            since=_MOMENT,
        )
        operations = rows(
            f"SELECT route, kind, state, count(*) AS many, min(changed_at) AS since FROM operation WHERE state IN ({_OPEN}) "
            "GROUP BY route, kind, state",
            since=_MOMENT,
        )
        halted = rows("SELECT name FROM route WHERE halted_at IS NOT NULL")
        breakers = rows("SELECT host, open_until FROM breaker WHERE open_until IS NOT NULL", open_until=_MOMENT)
        leases = rows("SELECT name, until FROM lease WHERE holder <> ''", until=_MOMENT)
        alerts = count_alerts(connection)
        queue = seen(connection)
        size = _bytes(engine)
        if size is None:
            size = int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    by_state: dict[tuple[str, str], int] = {}
    waiting: dict[str, tuple[int, datetime]] = {}
    twins: dict[str, int] = {}
    for route, state, code, many, since in publications:
        by_state[str(route), str(state)] = by_state.get((str(route), str(state)), 0) + _whole(many)
        if code == Reason.TWINS:
            twins[str(route)] = twins.get(str(route), 0) + _whole(many)
        if waits_for_person(PublicationState(str(state)), Reason(str(code))):
            _add(waiting, str(route), _whole(many), since)
    for route, _, state, many, since in operations:
        if state == OperationState.AWAITING_APPROVAL:
            _add(waiting, str(route), _whole(many), since)
    return Vitals(
        good_pulls={str(name): at for name, at in good if isinstance(at, datetime)},
        last_runs=tuple(last),
        quarantined={str(name): _whole(many) for name, many in quarantined},
        publications=by_state,
        operations={(str(route), str(kind), str(state)): _whole(many) for route, kind, state, many, _ in operations},
        waiting=waiting,
        twins=twins,
        halted=frozenset(str(name) for (name,) in halted),
        breakers=frozenset(str(host) for host, until in breakers if isinstance(until, datetime) and until > now),
        leases=tuple(Held(str(name), until) for name, until in leases if isinstance(until, datetime) and until > now),
        bytes=size,
        alerts=alerts,
        queue=queue,
    )


def _whole(number: object) -> int:
    return number if isinstance(number, int) else int(str(number))


def _add(waiting: dict[str, tuple[int, datetime]], route: str, many: int, since: object) -> None:
    assert isinstance(since, datetime)
    before, first = waiting.get(route, (0, since))
    waiting[route] = (before + many, min(first, since))


def _bytes(engine: Engine) -> int | None:
    """Of a SQLite database with what lies beside it; None where the server must be asked."""
    file = file_of(engine)
    if file is None:
        return 0 if engine.dialect.name == "sqlite" else None
    return sum(each.stat().st_size for each in (file, *side_files(file)) if each.exists())


def revision(engine: Engine) -> str | None:
    """The revision of the schema as it is, which nothing here brings up to date; None where there is none."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def versions_seen(engine: Engine) -> dict[str, tuple[str, str | None]]:
    """By instance, its platform and the version that it last said it has, or that it speaks like where it says none."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name, platform, version, dialect FROM instance")).all()
    return {str(row[0]): (str(row[1]), row[2] or row[3] or None) for row in rows}
