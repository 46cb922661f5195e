"""Some platforms in memory, one database, routes between all of them: the smallest world in which publishing can go wrong."""

import asyncio
import itertools
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from civicsync.config.load import load
from civicsync.config.model import Config
from civicsync.connectors.testing.fake import FakePlatform
from civicsync.core.clock import FakeClock
from civicsync.core.ledger.ledger import Ledger
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.sync.publish.outcome import RouteOutcome
from civicsync.sync.publish.publisher import Publisher
from civicsync.sync.pull.run import Options, Puller

KEY = "0123456789abcdef" * 4
_ports = itertools.count(20_000)


class Mesh:
    """Platforms named a, b, c … with a route from each to each other; `route` are keys that every route has."""

    def __init__(
        self,
        folder: Path,
        names: str = "abc",
        *,
        key: str = KEY,
        worlds: dict[str, Any] | None = None,
        engine: Engine | None = None,
        **route: Any,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = FakeClock()
        self.names = names
        if worlds is None:
            worlds = {name: FakePlatform.at(f"http://127.0.0.1:{next(_ports)}", self.clock.now) for name in names}
        self.worlds: dict[str, FakePlatform] = worlds
        self.config = self._config(key, {"approval": "automatic", "first_run": "send", **route})
        self.engine = engine or self._open()

    def _config(self, key: str, route: dict[str, Any]) -> Config:
        whole: dict[str, Any] = {
            "civicsync": 1,
            "operator": {"name": "test", "contact": "t@example.org"},
            "privacy": {"key": "${KEY}"},
            "safety": {"max_gone_percent": 100, "settle": "10s"},
            "instances": {
                name: {"platform": "civicsync.connectors.testing.fake:CONNECTOR", "url": world.url}
                for name, world in self.worlds.items()
            },
            "routes": {
                f"{one}-to-{other}": {"from": {"instance": one}, "to": {"instance": other, "space": "board/1"}, **route}
                for one, other in itertools.permutations(self.names, 2)
            },
        }
        file = self.folder / "civicsync.yaml"
        file.write_text(json.dumps(whole))
        return load(file, {"KEY": key})

    def _open(self) -> Engine:
        engine = open_engine(parse_url("sqlite:///civicsync.db", self.folder))
        migrate(engine)
        return engine

    def pull(self) -> None:
        """Read all platforms; twice, so that what is gone is known to be gone."""
        for _ in range(2):
            self.clock.advance(60)
            puller = Puller(self.config, self.engine, self.clock)
            asyncio.run(puller.pull_all(list(self.names), Options(full=True, accept_missing=True)))

    def publish(self, *names: str, dry_run: bool = False) -> list[RouteOutcome]:
        """Run all routes, or these."""
        self.clock.advance(60)
        publisher = Publisher(self.config, self.engine, self.clock)
        return asyncio.run(publisher.publish(names or tuple(self.config.routes), dry_run=dry_run))

    def resume(self) -> int:
        """The administrator has looked at what halted routes and lets them go on; how many there were."""
        ledger = Ledger(self.engine, self.clock)
        halted = [name for (name,) in self.rows("SELECT name FROM route WHERE halted_at IS NOT NULL")]
        for name in halted:
            ledger.save_route(name, halted_at=None, halted_reason="", resumed_at=self.clock.now())
        return len(halted)

    def round(self) -> int:
        """Pull and publish; how many writes the platforms saw."""
        before = self.writes()
        self.pull()
        self.publish()
        return self.writes() - before

    def writes(self) -> int:
        """All writes that platforms stored so far."""
        return sum(world.writes for world in self.worlds.values())

    def rows(self, sql: str) -> Sequence[Any]:
        """Ask the database."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def states(self) -> dict[str, int]:
        """How many publications are in which state."""
        return dict(self.rows("SELECT state, count(*) FROM publications GROUP BY state"))

    def backup(self) -> Path:
        """Copy the database, as an administrator does at night."""
        self.engine.dispose()
        place = self.folder / "backup.db"
        with self.engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        self.engine.dispose()
        shutil.copy(self.folder / "civicsync.db", place)
        return place

    def restore(self, place: Path) -> None:
        """Put an old copy of the database back."""
        self._remove()
        shutil.copy(place, self.folder / "civicsync.db")
        self.engine = self._open()

    def lose(self) -> None:
        """Begin with an empty database."""
        self._remove()
        self.engine = self._open()

    def _remove(self) -> None:
        self.engine.dispose()
        for suffix in ("", "-wal", "-shm"):
            (self.folder / f"civicsync.db{suffix}").unlink(missing_ok=True)
