"""1, 2 and 4 workers on platforms that answer slowly: how much sooner are the same pulls done, and was any host asked by two at once?

    python -m benchmarks.workers [--hosts 4] [--delay 0.8]

Real processes (`civicsync worker --concurrency 1`), a PostgreSQL server and sandboxes of its own, on this machine. Each host has two
instances, so that keeping to one at a time has something to keep. All rounds are run one after the other in one go, and what counts
is their ratio: from the moment at which all jobs were handed on, with all workers waiting, to the last one done. The sandboxes note
which connection asked what when.
"""

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from benchmarks.race import postgres
from civicsync.app.doing import planned
from civicsync.app.workers.queue import hand_on, prepare
from civicsync.config import load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.sandbox.serve import running
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.types import UTCMoment
from civicsync.core.worker_queue import look_at_queue
from proof.row import Row

ROOT = Path(__file__).parent.parent
KEY = {"KEY": "0123456789abcdef" * 4}
HOSTS, DELAY, SIZE = 4, 0.8, 12
PATIENCE = 600.0
_MOMENT = UTCMoment()


@dataclass
class Noted:
    """A sandbox, and who asked it when: the connection, and the moments of question and answer."""

    sandbox: Any
    asked: list[tuple[Any, float, float]] = field(default_factory=list[tuple[Any, float, float]])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        began = time.monotonic()
        await self.sandbox(scope, receive, send)
        if scope["type"] == "http":
            self.asked.append((tuple(scope["client"]), began, time.monotonic()))

    def overlaps(self) -> int:
        """How often two requests were under way at once, or a connection asked again after another one had begun to."""
        asked = sorted(self.asked, key=lambda each: each[1])
        found = sum(later[1] < before[2] for before, later in itertools.pairwise(asked))
        left: set[Any] = set()
        for before, later in itertools.pairwise(asked):
            if before[0] != later[0]:
                left.add(before[0])
            found += later[0] in left
        return found


@dataclass
class Round:
    """One measurement."""

    workers: int
    seconds: float
    jobs: int
    not_done: int
    overlaps: int
    """At the hosts, and between runs of instances of one host by the journal."""


class City:
    """The hosts, and a PostgreSQL server."""

    def __init__(self, stack: contextlib.ExitStack, hosts: int, delay: float) -> None:
        self.server = stack.enter_context(postgres())
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.noted: list[Noted] = []
        self.instances: dict[str, dict[str, Any]] = {}
        urls: list[str] = []
        for number in range(hosts):
            connector = resolve("decidim")
            assert connector.sandbox is not None
            sandbox = connector.sandbox(version="0.32", size=SIZE, seed=number, throttle=False)
            sandbox.plant(Fault(kind="slow", seconds=delay, times=None))
            noted = Noted(sandbox)
            self.noted.append(noted)
            urls.append(stack.enter_context(running(noted)))  # pyright: ignore[reportArgumentType]  # it is an ASGI application
        for half in "ab":
            for number, url in enumerate(urls):
                self.instances[f"host-{number}-{half}"] = {"platform": "decidim", "url": url, "every": "1h"}

    def database(self, name: str) -> tuple[Path, Engine]:
        """A new one with a queue, and the configuration that names it."""
        admin = open_engine(parse_url(self.server))
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        url = parse_url(self.server).set(database=name)
        config = self.folder / f"{name}.yaml"
        whole = {
            "civicsync": 1,
            "operator": {"name": "workers", "contact": "w@example.org"},
            "database": url.set(drivername="postgresql").render_as_string(hide_password=False),
            "privacy": {"key": "${KEY}"},
            "workers": True,
            "operations": {"listen": "off"},
            "instances": self.instances,
        }
        config.write_text(json.dumps(whole))
        engine = open_engine(url)
        migrate(engine)
        prepare(engine)
        return config, engine

    def round(self, workers: int) -> Round:
        """All pulls by so many workers."""
        config, engine = self.database(f"w{workers}")
        for each in self.noted:
            each.asked.clear()
        with started(config, engine, workers):
            began = time.monotonic()
            hand_on_all(config, engine)
            until_empty(engine)
            took = time.monotonic() - began
        asked = text("SELECT instance, started_at, ended_at, outcome FROM run ORDER BY started_at")
        with engine.connect() as connection:
            rows = connection.execute(asked.columns(started_at=_MOMENT, ended_at=_MOMENT)).all()
        engine.dispose()
        overlaps = sum(each.overlaps() for each in self.noted)
        for number in range(len(self.noted)):
            own = [row for row in rows if row.instance.startswith(f"host-{number}-")]
            overlaps += sum(later.started_at < before.ended_at for before, later in itertools.pairwise(own))
        done = {row.instance for row in rows if row.outcome == "done"}
        return Round(workers, took, len(rows), len(self.instances) - len(done), overlaps)

    def killed(self) -> tuple[float, str]:
        """Seconds from `kill -9` of the worker that pulls an instance until another one has done it, and what is wrong ("": nothing)."""
        config, engine = self.database("killed")
        with started(config, engine, 2) as processes:
            hand_on_all(config, engine, only=1)
            pid = _until(lambda: _holder(engine))
            time.sleep(2.0)
            [victim] = [each for each in processes if each.pid == pid]
            victim.send_signal(signal.SIGKILL)
            began = time.monotonic()
            until_empty(engine)
            took = time.monotonic() - began
        with engine.connect() as connection:
            outcomes = connection.execute(text("SELECT outcome FROM run ORDER BY id")).scalars().all()
        engine.dispose()
        return took, "" if list(outcomes) == ["interrupted", "done"] else f"runs ended {', '.join(outcomes)}"


@contextlib.contextmanager
def started(config: Path, engine: Engine, workers: int) -> Generator[list[subprocess.Popen[bytes]]]:
    """So many workers that wait for jobs."""
    command = [sys.executable, "-m", "civicsync.app.cli", "--config", str(config), "worker", "--concurrency", "1"]
    log = config.with_suffix(".log").open("w")
    processes = [
        subprocess.Popen(command, cwd=ROOT, env={**os.environ, **KEY}, stdout=log, stderr=subprocess.STDOUT)
        for _ in range(workers)
    ]
    try:
        _until(lambda: look_at_queue(engine).workers == workers)
        yield processes
    finally:
        for each in processes:
            each.terminate()
        for each in processes:
            each.wait()
        log.close()


def hand_on_all(config: Path, engine: Engine, only: int | None = None) -> None:
    """What `civicsync run` does when everything is due at once."""
    read = load(config, KEY)
    with engine.begin() as connection:
        for each in list(planned(read, list(read.instances)))[:only]:
            hand_on(connection, read, each)


def until_empty(engine: Engine) -> None:
    """All jobs are done."""

    def empty() -> bool:
        seen = look_at_queue(engine)
        return not seen.under_way + seen.waiting

    _until(empty)


def _holder(engine: Engine) -> int:
    with engine.connect() as connection:
        found = connection.execute(text("SELECT holder FROM lease WHERE name LIKE 'pull:%' AND holder <> ''")).scalar()
    return int(str(found).split(":")[1]) if found else 0


def _until(true: Any) -> Any:
    pause, until = threading.Event(), time.monotonic() + PATIENCE
    while not (found := true()):
        if time.monotonic() > until:
            raise TimeoutError("it took too long")
        pause.wait(0.05)
    return found


def measure(hosts: int = HOSTS, delay: float = DELAY) -> tuple[list[Round], float, str]:
    """The three rounds, then the kill: its seconds, and what was wrong with it."""
    with contextlib.ExitStack() as stack:
        city = City(stack, hosts, delay)
        return [city.round(workers) for workers in (1, 2, 4)], *city.killed()


def told(rounds: list[Round]) -> str:
    """Seconds and ratios in a line."""
    alone = rounds[0].seconds
    return ", ".join(f"{each.workers}: {each.seconds:.1f} s ({alone / each.seconds:.2f}x)" for each in rounds)


def rows() -> list[Row]:
    """As rows of `make proof`."""
    rounds, took, wrong = measure()
    by = {each.workers: each.seconds for each in rounds}
    two, four = by[1] / by[2], by[1] / by[4]
    undone, overlaps = sum(each.not_done for each in rounds), sum(each.overlaps for each in rounds)
    kill = f"{took:.0f} s" + (f", {wrong}" if wrong else "")
    return [
        Row(
            "1, 2, 4 workers, slow platforms",
            "60 s alone; 1.9x, 3.5x",
            told(rounds),
            by[1] >= 60 and two >= 1.9 and four >= 3.5,
        ),
        Row(
            "hosts asked by two workers at once",
            "0; all done",
            f"{overlaps}; {undone} not done",
            not overlaps and not undone,
        ),
        Row("kill -9 of a worker, its job done by another", "60 s", kill, took <= 60 and not wrong),
    ]


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=HOSTS)
    parser.add_argument("--delay", type=float, default=DELAY, help="seconds that each answer takes")
    options = parser.parse_args()
    rounds, took, wrong = measure(options.hosts, options.delay)
    for each in rounds:
        print(each)
    print(f"workers {told(rounds)}")
    print(f"after kill -9 the job was done by another within {took:.1f} s {wrong}")


if __name__ == "__main__":
    main()
