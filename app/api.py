"""civicsync from Python: load a configuration, pull, plan, publish, and ask the database; `import civicsync` shows these by name.

Plain functions that end when the work is done, and twins with `_async` for who has a loop of their own. What a platform does never
raises: it is in the outcome, as in the tables of the program. A wrong configuration, an unknown name or a database that cannot be opened
raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from ..config import Config
from ..config import load as load_config
from ..core.clock import Clock
from ..core.fingerprints import check_fingerprint
from ..core.privacy import check_chosen_key
from ..core.schema.database import migrate, open_engine, parse_url
from ..core.schema.failures import DatabaseError
from ..core.schema.read_only import ROW_LIMIT, SECONDS, read_only
from ..sync.publish.outcome import RouteOutcome
from ..sync.publish.publisher import Publisher
from ..sync.pull.run import Options, Puller, PullOutcome
from .refreshing import SHARE, bring_up_to_date

__all__ = [
    "Database",
    "Project",
    "connect",
    "load",
    "plan",
    "plan_async",
    "publish",
    "publish_async",
    "pull",
    "pull_async",
]


class Project:
    """A configuration and where it lies: relative paths in it (a SQLite file) begin at its folder."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        self.folder = folder

    @property
    def instances(self) -> list[str]:
        """The names of its instances."""
        return list(self.config.instances)

    @property
    def routes(self) -> list[str]:
        """The names of its routes."""
        return list(self.config.routes)

    def engine(self) -> Engine:
        """The migrated database, to be disposed of by whoever asked for it.

        Raises:
            DatabaseError: it cannot be opened. OtherKey: its pseudonyms were made with another key.
        """
        engine = open_engine(parse_url(self.config.database, self.folder))
        try:
            migrate(engine)
            check_fingerprint(engine, self.config.privacy.key.get_secret_value(), self.config.privacy.signing_key)
        except BaseException:
            engine.dispose()
            raise
        return engine


class Database:
    """The database, only to be read. A context manager; or `close` it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rows(self, sql: str, *, limit: int = ROW_LIMIT, seconds: float = SECONDS) -> list[dict[str, Any]]:
        """What a SELECT on the views returns (docs/reference/views.md), a dictionary a row; columns of equal name are `a`, `a_2`.

        Raises:
            DatabaseError: the statement is wrong, tries to write, takes longer than `seconds`, or returns more than `limit` rows.
        """
        found = read_only(self._engine, sql, limit, seconds=seconds)
        if found.cut:
            raise DatabaseError(f"query: more than {limit:,} rows; ask for less, or give a higher limit")
        return [dict(zip(found.columns, row, strict=True)) for row in found.rows]

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load(path: str | Path = "civicsync.yaml") -> Project:
    """Read a configuration.

    Raises:
        ConfigError: with every problem in the file, its line and column.
        MissingKeyError: the key that makes pseudonyms is missing or too short.
    """
    file = Path(path)
    config = load_config(file)
    check_chosen_key(config.privacy.key.get_secret_value())
    return Project(config, file.resolve().parent)


def pull(project: Project, *instances: str, full: bool = False) -> list[PullOutcome]:
    """Pull these instances (all if none is named) into the database, side by side.

    Raises:
        KeyError: there is no such instance. DatabaseError: the database cannot be opened.
    """
    return asyncio.run(pull_async(project, *instances, full=full))


async def pull_async(project: Project, *instances: str, full: bool = False) -> list[PullOutcome]:
    """The twin of `pull` for who has a loop."""
    names = _named(instances, project.instances, "instance")
    engine = await asyncio.to_thread(project.engine)
    try:
        outcomes = await Puller(project.config, engine, Clock()).pull_all(names, Options(full=full))
        wrong = await asyncio.to_thread(bring_up_to_date, engine, project.config.privacy.k, share=SHARE)
        if wrong is not None:
            for outcome in outcomes:
                outcome.notes.append(wrong)
        return outcomes
    finally:
        engine.dispose()


def plan(project: Project, *routes: str) -> list[RouteOutcome]:
    """What `publish` would send along these routes (all if none is named), to the letter; nothing is written or sent.

    Raises:
        KeyError: there is no such route. DatabaseError: the database cannot be opened.
    """
    return asyncio.run(plan_async(project, *routes))


async def plan_async(project: Project, *routes: str) -> list[RouteOutcome]:
    """The twin of `plan` for who has a loop."""
    return await _publish(project, routes, dry_run=True)


def publish(project: Project, *routes: str) -> list[RouteOutcome]:
    """Run these routes (all if none is named): send, look up what is in doubt; what needs approval waits for it.

    Raises:
        KeyError: there is no such route. DatabaseError: the database cannot be opened.
    """
    return asyncio.run(publish_async(project, *routes))


async def publish_async(project: Project, *routes: str) -> list[RouteOutcome]:
    """The twin of `publish` for who has a loop."""
    return await _publish(project, routes, dry_run=False)


def connect(project: Project) -> Database:
    """The database, only to be read.

    Raises:
        DatabaseError: it cannot be opened.
    """
    return Database(project.engine())


async def _publish(project: Project, routes: Sequence[str], *, dry_run: bool) -> list[RouteOutcome]:
    names = _named(routes, project.routes, "route")
    engine = await asyncio.to_thread(project.engine)
    try:
        return await Publisher(project.config, engine, Clock()).publish(names, dry_run=dry_run)
    finally:
        engine.dispose()


def _named(names: Sequence[str], known: Sequence[str], what: str) -> list[str]:
    for name in names:
        if name not in known:
            raise KeyError(f"no {what} {name!r}; there are: {', '.join(known) or 'none'}")
    return list(dict.fromkeys(names or known))
