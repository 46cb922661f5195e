"""The journal: instances and runs. What `status` and `runs` show."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Connection, Engine, Float, Integer, String, column, select, table, update

from .redaction import redact
from .schema.types import Json, UTCMoment

# As `core.schema.tables` has them (a test compares), without the models of all tables: what only reads starts twice as fast.
INSTANCE = table(
    "instance",
    *(column(name, String) for name in ("name", "platform", "url", "title", "version", "dialect", "pseudonyms_of")),
    *(column(name, Json) for name in ("locales", "probe", "limited_to")),
    *(column(name, UTCMoment()) for name in ("probed_at", "last_full_at", "last_success_at")),
)
RUN = table(
    "run",
    *(column(name, String) for name in ("instance", "outcome", "message")),
    *(column(name, UTCMoment()) for name in ("started_at", "ended_at")),
    *(
        column(name, Integer)
        for name in ("id", "pages", "seen", "created", "changed", "unchanged", "tallies", "gone", "missing")
    ),
    *(column(name, Integer) for name in ("quarantined", "requests", "retries")),
    *(column(name, Float) for name in ("platform_seconds", "seconds")),
    column("notes", Json),
    column("full", Boolean),
    column("bytes", BigInteger),
)
MEMORY = table("memory", *(column(name, String) for name in ("instance", "name")), column("value", Json))
_CHOICE = "run: what the configuration lets in"


def run_choice(engine: Engine, instance: str) -> list[list[str]] | None:
    """What the configuration let in when the last run began; None: an earlier release did not say."""
    with engine.connect() as connection:
        mine = (MEMORY.c.instance == instance, MEMORY.c.name == _CHOICE)
        return connection.execute(select(MEMORY.c.value).where(*mine)).scalar()


def save_run_choice(engine: Engine, instance: str, choices: list[list[str]]) -> None:
    """Remember what the configuration lets in as a run begins: only one that began with the same is continued."""
    mine = (MEMORY.c.instance == instance, MEMORY.c.name == _CHOICE)
    with engine.begin() as connection:
        if not connection.execute(update(MEMORY).where(*mine).values(value=choices)).rowcount:
            connection.execute(MEMORY.insert(), [{"instance": instance, "name": _CHOICE, "value": choices}])


def instance_row(engine: Engine, name: str) -> Mapping[str, Any] | None:
    """What is known of an instance."""
    with engine.connect() as connection:
        row = connection.execute(select(INSTANCE).where(INSTANCE.c.name == name)).mappings().first()
        return dict(row) if row is not None else None


def save_instance(engine: Engine, row: Mapping[str, Any]) -> None:
    """Insert or update an instance; columns that are not given keep their value."""
    with engine.begin() as connection:
        _save_instance(connection, row)


def _save_instance(connection: Connection, row: Mapping[str, Any]) -> None:
    exists = connection.execute(select(INSTANCE.c.name).where(INSTANCE.c.name == row["name"])).first()
    if exists is None:
        connection.execute(INSTANCE.insert(), [{"title": "", "dialect": "", **row}])
    else:
        connection.execute(update(INSTANCE).where(INSTANCE.c.name == row["name"]).values(**row))


def start_run(engine: Engine, instance: str, now: datetime, *, full: bool) -> int:
    """Open a run; runs that never ended (killed) are marked so."""
    with engine.begin() as connection:
        connection.execute(
            update(RUN)
            .where(RUN.c.instance == instance, RUN.c.outcome == "running")
            .values(
                outcome="interrupted",
                message="the process ended before the run did; the next run went on from its last page",
            )
        )
        result = connection.execute(
            RUN.insert().returning(RUN.c.id),
            {"instance": instance, "started_at": now, "outcome": "running", "full": full, **_ZERO},
        )
        return int(result.scalar_one())


_ZERO = {
    **dict.fromkeys(("pages", "seen", "created", "changed", "unchanged", "tallies", "gone", "missing"), 0),
    **dict.fromkeys(("quarantined", "requests", "retries", "bytes"), 0),
    "platform_seconds": 0.0,
    "seconds": 0.0,
    "message": "",
}


def close_run(connection: Connection, run_id: int, instance: Mapping[str, Any] | None = None, /, **values: Any) -> None:
    """End a run, and note of its instance what follows from that. What it says is kept without secrets: everybody who may read the
    database may read it. Nothing is written of one that is not open any more, because a later run took it for dead.
    """
    if isinstance(values.get("message"), str):
        values["message"] = redact(values["message"])
    if values.get("notes"):
        values["notes"] = [redact(str(each)) for each in values["notes"]]
    open_still = (RUN.c.id == run_id, RUN.c.outcome == "running")
    ended = connection.execute(update(RUN).where(*open_still).values(**values)).rowcount
    if ended and instance is not None:
        _save_instance(connection, instance)


def runs(engine: Engine, instances: Sequence[str] = (), limit: int = 20) -> list[dict[str, Any]]:
    """The newest runs first."""
    query = select(RUN).order_by(RUN.c.started_at.desc(), RUN.c.id.desc()).limit(limit)
    if instances:
        query = query.where(RUN.c.instance.in_(instances))
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def requests_of_last_full(engine: Engine, instance: str) -> int:
    """How many requests the newest full run took that came to its end; 0 where there was none."""
    ended = RUN.c.outcome.in_(("done", "undecided", "incomplete"))
    query = select(RUN.c.requests).where(RUN.c.instance == instance, RUN.c.full, ended)
    with engine.connect() as connection:
        return int(connection.execute(query.order_by(RUN.c.id.desc()).limit(1)).scalar() or 0)


def last_run(engine: Engine, instance: str) -> Mapping[str, Any] | None:
    """The newest run of an instance."""
    return next(iter(runs(engine, [instance], 1)), None)
