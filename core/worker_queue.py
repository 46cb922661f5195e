"""What the queue of the workers looks like, read with nothing but SQL: for `status`, `doctor` and the metrics."""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from .schema.database import QUEUE_SCHEMA

ALIVE = 20.0
"""A worker that gave no sign of life for so many seconds is dead, and its jobs are another's."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The queue at a moment. `waits_for`: seconds since the first of those that could be done was handed on."""

    workers: int = 0
    under_way: int = 0
    waiting: int = 0
    waits_for: float = 0.0
    made: bool = True


def look_at_queue(engine: Engine) -> Seen:
    """Ask the database. Blocks, for some milliseconds; the times are the server's.

    Raises:
        SQLAlchemyError: it cannot be asked.
    """
    with engine.connect() as connection:
        return seen(connection)


def seen(connection: Connection) -> Seen:
    """The same, in a connection that is there."""
    if connection.dialect.name == "sqlite":
        return Seen(made=False)
    if connection.execute(text(f"SELECT to_regclass('{QUEUE_SCHEMA}.procrastinate_jobs')")).scalar() is None:
        return Seen(made=False)
    row = connection.execute(
        text(
            f"SELECT (SELECT count(*) FROM {QUEUE_SCHEMA}.procrastinate_workers "
            "WHERE last_heartbeat > now() - make_interval(secs => :alive)), "
            "count(*) FILTER (WHERE status = 'doing'), count(*) FILTER (WHERE status = 'todo'), "
            "COALESCE(EXTRACT(EPOCH FROM now() - min(GREATEST(since, scheduled_at)) FILTER "
            "(WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now()))), 0) "
            f"FROM {QUEUE_SCHEMA}.procrastinate_jobs LEFT JOIN LATERAL (SELECT max(at) AS since FROM {QUEUE_SCHEMA}.procrastinate_events "
            "WHERE job_id = procrastinate_jobs.id) AS told ON true WHERE status IN ('todo', 'doing')"
        ),
        {"alive": ALIVE},
    ).one()
    return Seen(int(row[0]), int(row[1]), int(row[2]), max(0.0, float(row[3])))
