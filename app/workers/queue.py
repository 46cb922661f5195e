"""The queue: Procrastinate's tables in a schema of their own, and jobs handed on in the transaction that ends their turn."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from procrastinate import exceptions, schema
from procrastinate.jobs import Job
from procrastinate.manager import QUEUEING_LOCK_CONSTRAINT, JobManager
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from ...config import Config
from ...connectors.http.pace import host_of
from ...core.schema.database import QUEUE_SCHEMA as SCHEMA
from ...core.schema.database import place
from ...core.schema.failures import DatabaseError, database_failure
from ...core.worker_queue import ALIVE
from ..doing import Planned

QUEUE = "civicsync"
DO, LATER = "civicsync.do", "civicsync.later"
"""The two tasks: a turn, and one that waits for its hour without holding up its host."""
_LOCK = 0x6369766971
"""The advisory lock under which the queue is made and brought up to date."""
_SAID = "queue of the workers of civicsync, as of "
_APPLIED = re.compile(re.escape(_SAID) + r"(\S+)")


def connecting(url: URL) -> dict[str, Any]:
    """What psycopg is told to reach the same database, with the queue's schema as the only one."""
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

    _, told = PGDialect_psycopg().create_connect_args(url)
    # Whoever sleeps in the middle of a transaction must not keep the row of its job from its successor.
    most = round(ALIVE * 1000)
    own = f"-csearch_path={SCHEMA} -cidle_in_transaction_session_timeout={most}"
    options = f"{told.get('options', '')} {own}".strip()
    return {"connect_timeout": 30, **told, "options": options, "application_name": "civicsync worker"}


# The schema -------------------------------------------------------------------------------------------------------------


def prepare(engine: Engine) -> None:
    """Make the queue, or bring it up to date with the installed Procrastinate; does nothing, quickly, when it is. Blocks.

    Raises:
        DatabaseError: it cannot be made, or a newer Procrastinate made it.
    """
    steps = migrations()
    newest = max(steps, default="")
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            applied = _applied(connection)
            if applied == newest:
                return
            if applied > newest:
                raise DatabaseError(
                    f"database {place(engine.url)}: its queue was made by a newer Procrastinate ({applied}) than the one that is "
                    f"installed ({newest}); install civicsync[workers] of the same release everywhere"
                )
            own = connection.execute(text("SELECT current_setting('search_path')")).scalar_one()
            if not applied:
                _make_schema(connection)
            connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
            missing = [steps[name] for name in sorted(steps) if name > applied]
            driver = connection.connection.driver_connection
            assert driver is not None
            for sql in missing if applied else [schema.SchemaManager.get_schema()]:
                driver.execute(sql)
            connection.execute(text(f"COMMENT ON SCHEMA {SCHEMA} IS '{_SAID}{newest}'"))
            connection.execute(text("SELECT set_config('search_path', :own, true)"), {"own": own})
    except (DBAPIError, psycopg.Error) as error:
        why = database_failure(error) if isinstance(error, DBAPIError) else type(error).__name__
        raise DatabaseError(f"database {place(engine.url)}: the queue of the workers cannot be made: {why}") from error


def migrations() -> dict[str, str]:
    """Procrastinate's own steps from release to release: their SQL, by names that sort."""
    folder = Path(schema.migrations_path)
    return {file.stem: file.read_text(encoding="utf-8") for file in folder.glob("*.sql")}


def _applied(connection: Connection) -> str:
    said = connection.execute(
        text("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = :schema"),
        {"schema": SCHEMA},
    ).scalar()
    found = _APPLIED.fullmatch(str(said or ""))
    return found[1] if found else ""


def _make_schema(connection: Connection) -> None:
    known = text("SELECT oid FROM pg_namespace WHERE nspname = :schema")
    there = connection.execute(known, {"schema": SCHEMA}).scalar()
    if there is not None:
        used = text("SELECT count(*) FROM pg_class WHERE relnamespace = :oid")
        if connection.execute(used, {"oid": there}).scalar_one():
            raise DatabaseError(
                f"database {place(connection.engine.url)}: the schema {SCHEMA} is somebody else's; use a database of its own for civicsync"
            )
        return
    try:
        with connection.begin_nested():
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    except DBAPIError as error:
        user = connection.execute(text("SELECT current_user")).scalar_one()
        raise DatabaseError(
            f"database {place(connection.engine.url)}: the schema {SCHEMA} for the queue of the workers cannot be made; let an owner of "
            f'the database run: CREATE SCHEMA {SCHEMA} AUTHORIZATION "{user}"'
        ) from error


# Handing on -------------------------------------------------------------------------------------------------------------


def lock_of(config: Config, work: str, name: str) -> str:
    """The host that a job asks most: of two jobs with the same lock one runs at a time, wherever."""
    instance = config.routes[name].to.instance if work == "publish" else name
    return host_of(config.instances[instance].url)


def job_of(config: Config, work: str, name: str) -> Job:
    """What is put into the queue for a pull of an instance or a run of a route."""
    return Job(
        id=None,
        queue=QUEUE,
        lock=lock_of(config, work, name),
        queueing_lock=f"{work} {name}",
        task_name=DO,
        task_kwargs={"work": work, "name": name},
    )


def hand_on(connection: Connection, config: Config, planned: Planned) -> str:
    """Put a turn into the queue, in the caller's transaction; returns what to say of it."""
    own = connection.execute(text("SELECT current_setting('search_path')")).scalar_one()
    connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
    try:
        with connection.begin_nested():
            driver = connection.connection.driver_connection
            JobManager(SyncPsycopgConnector()).defer_job(job_of(config, planned.work, planned.name), connection=driver)
        return "handed to the workers"
    except Exception as error:
        if not waits_already(error):
            raise
        return "the turn of before still waits for a worker; one makes up for both"
    finally:
        connection.execute(text("SELECT set_config('search_path', :own, true)"), {"own": own})


def waits_already(error: BaseException | None) -> bool:
    """Whether a job was not queued because its like waits already. The engine looks for English words; a server may speak Dutch."""
    return isinstance(error, exceptions.AlreadyEnqueued) or any(
        isinstance(each, psycopg.errors.UniqueViolation) and each.diag.constraint_name == QUEUEING_LOCK_CONSTRAINT
        for each in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
