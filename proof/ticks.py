"""Two `run` processes over one database, killed and stopped at random: does each window run once, and how long until another takes over?

Real processes, real sandboxes that answer slowly, leases of three seconds (`proof.hurried`). A window is the time between two turns of an
instance's schedule. One in which no run that came to its end began is fine where its turn came while the one before was still open, or was
broken off and taken over later: one makes up for both.
"""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from benchmarks.race import postgres
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.sandbox.serve import running
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.types import UTCMoment
from civicsync.sync.schedule import turns
from proof.hurried import LEASE
from proof.row import Row

ROOT = Path(__file__).parent.parent
KEY = {"KEY": "0123456789abcdef" * 4}
STEP = 8
"""Seconds of a window."""
INSTANCES = 8
_SLOW = 0.08
_MOMENT = UTCMoment()


@dataclass
class Ticks:
    """What came out. `missed`: windows that nothing explains; `made_up`: those that came while the turn before was open."""

    windows: int = 0
    once: int = 0
    twice: int = 0
    made_up: int = 0
    missed: int = 0
    killed: int = 0
    stopped: int = 0
    taken_over: list[float] = field(default_factory=list[float])
    """Seconds from a kill until another process began the turn, where no other blow fell meanwhile."""
    wrong: list[str] = field(default_factory=list[str])


class Two:
    """The two processes, one of which always works."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.blows: list[float] = []
        self.processes = [self._start(), self._start()]

    def _start(self) -> subprocess.Popen[bytes]:
        """Waits until it works: the next blow may hit the other one."""
        command = [sys.executable, "-u", "-m", "proof.hurried", "--config", str(self.config), "run"]
        log = Path(tempfile.mkstemp(prefix="run-", suffix=".log", dir=self.config.parent)[1])
        with log.open("w") as printed:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **KEY}, stdout=printed, stderr=subprocess.STDOUT
            )
        while "running: " not in log.read_text():
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.05)
        return process

    def strike(self, pid: int, dice: random.Random, result: Ticks, watch: "Watch") -> list[tuple[float, str]]:
        """Kill the holder, or let it sleep; when it was killed, with what it had then."""
        [one] = [each for each in self.processes if each.pid == pid] or [None]
        if one is None:
            return []
        self.blows.append(time.time())
        if dice.random() < 0.5:
            one.kill()
            at = time.time()
            one.wait()
            result.killed += 1
            had = [(at, name) for name, holder in watch.holders().items() if holder == pid]
            time.sleep(dice.uniform(0, LEASE + 1))
            self.processes[self.processes.index(one)] = self._start()
            return had
        one.send_signal(signal.SIGSTOP)
        result.stopped += 1
        time.sleep(dice.uniform(0.5, 2.5 * LEASE))
        one.send_signal(signal.SIGCONT)
        return []

    def end(self) -> None:
        for each in self.processes:
            each.send_signal(signal.SIGCONT)
            each.terminate()
        for each in self.processes:
            each.wait()


class Watch:
    """Who held which turn when, asked twenty times a second."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.moves: list[tuple[float, str, str]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def holders(self) -> dict[str, int]:
        """By job, the process that has its turn."""
        with self.engine.connect() as connection:
            rows = connection.execute(
                text("SELECT name, holder FROM lease WHERE name LIKE 'turn:%' AND holder <> ''")
            ).all()
        return {name: int(re.split(":", holder)[1]) for name, holder in rows}

    def _look(self) -> None:
        known: dict[str, str] = {}
        while not self._over.wait(0.05):
            with contextlib.suppress(SQLAlchemyError), self.engine.connect() as connection:
                now = time.time()
                for name, holder in connection.execute(text("SELECT name, holder FROM lease WHERE name LIKE 'turn:%'")):
                    if holder and known.get(name) != holder:
                        self.moves.append((now, name, holder))
                    known[name] = holder

    def end(self) -> None:
        self._over.set()
        self._thread.join()


def ticks(database: str, folder: Path, *, windows: int = 200, seed: int = 1) -> Ticks:
    """Run until so many windows have passed over all instances."""
    dice, result = random.Random(seed), Ticks()
    with contextlib.ExitStack() as stack:
        instances: dict[str, Any] = {}
        for number in range(INSTANCES):
            connector = resolve("decidim")
            assert connector.sandbox is not None
            sandbox = connector.sandbox(version="0.32", size=10, seed=number, throttle=False)
            url = stack.enter_context(running(sandbox))
            sandbox.plant(Fault(kind="slow", seconds=_SLOW, times=None))
            instances[f"city-{number}"] = {**sandbox.instance_block(url), "every": f"{STEP}s"}
        config = folder / "civicsync.yaml"
        whole = {
            "civicsync": 1,
            "operator": {"name": "ticks", "contact": "t@example.org"},
            "database": database,
            "privacy": {"key": "${KEY}"},
            "operations": {"listen": "off"},
            "instances": {name: _open(block) for name, block in instances.items()},
        }
        config.write_text(json.dumps(whole))
        engine = open_engine(parse_url(database, folder))
        migrate(engine)
        watch, two = Watch(engine), Two(config)
        struck: list[tuple[float, str]] = []
        until = time.monotonic() + STEP * (windows / INSTANCES + 4)
        try:
            while time.monotonic() < until:
                time.sleep(dice.uniform(0.2, 2.0))
                held = watch.holders()
                if not held:
                    continue
                pid = dice.choice(sorted(set(held.values())))
                struck += two.strike(pid, dice, result, watch)
            time.sleep(STEP + LEASE)
        finally:
            two.end()
            watch.end()
        for at, name in struck:
            later = [moment for moment, job, _ in watch.moves if job == name and moment > at]
            # Whoever would have taken over may have been struck itself.
            if later and not any(at < blow < min(later) for blow in two.blows):
                result.taken_over.append(min(later) - at)
        for name in instances:
            _judge(engine, name, result)
        engine.dispose()
    return result


def _open(block: dict[str, Any]) -> dict[str, Any]:
    """Read without an account: a secret may not be written in the file."""
    return {name: value for name, value in block.items() if name in {"platform", "url", "every"}}


def _judge(engine: Engine, name: str, result: Ticks) -> None:
    asked = text("SELECT started_at, ended_at, outcome FROM run WHERE instance = :name ORDER BY started_at, id")
    with engine.connect() as connection:
        rows = connection.execute(asked.columns(started_at=_MOMENT, ended_at=_MOMENT), {"name": name}).all()
    done = [(row.started_at, row.ended_at) for row in rows if row.outcome == "done"]
    if not done:
        result.wrong.append(f"{name}: never pulled")
        return
    after = turns(f"{STEP}s", "UTC", f"pull {name}")
    moments = list(_moments(after(done[0][1] + timedelta(seconds=STEP)), done[-1][1], STEP))
    for begin in moments[:-1]:
        end = begin + timedelta(seconds=STEP)
        inside = [each for each in done if begin <= each[0] < end]
        result.windows += 1
        if len(inside) == 1:
            result.once += 1
        elif inside:
            # The turn before, taken over late, and this window's own are two turns.
            result.twice += 1
            result.wrong.append(f"{name} {begin:%H:%M:%S}: {len(inside)} runs, " + _told(rows, begin))
        elif _was_open(rows, begin) or any(begin <= row.started_at < end for row in rows):
            # The turn before was not over, or this one's own was broken off and done later.
            result.made_up += 1
        else:
            result.missed += 1
            result.wrong.append(f"{name} {begin:%H:%M:%S}: none, " + _told(rows, begin))


def _moments(first: datetime, last: datetime, step: int) -> Iterator[datetime]:
    while first <= last:
        yield first
        first += timedelta(seconds=step)


def _was_open(rows: Any, moment: datetime) -> bool:
    """Whether the newest run that began before a moment had not come to its end by then."""
    before = [row for row in rows if row.started_at <= moment]
    return bool(before) and (before[-1].outcome != "done" or before[-1].ended_at > moment)


def _told(rows: Any, moment: datetime) -> str:
    near = [row for row in rows if abs((row.started_at - moment).total_seconds()) < 2 * STEP]
    return "; ".join(f"{row.outcome} {row.started_at:%S.%f}-{row.ended_at or moment:%S.%f}" for row in near)


def rows() -> list[Row]:
    """Both databases."""
    found: list[Row] = []
    with contextlib.ExitStack() as stack:
        for kind in ("sqlite", "postgresql"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            address = "sqlite:///civicsync.db" if kind == "sqlite" else stack.enter_context(postgres())
            result = ticks(address, folder)
            slowest = max(result.taken_over, default=0.0)
            middle = sorted(result.taken_over)[len(result.taken_over) // 2] if result.taken_over else 0.0
            figure = (
                f"{result.windows} windows: {result.once} once, {result.made_up} made up for, {result.twice} twice, "
                f"{result.missed} missed; "
                f"{result.killed} kills, {result.stopped} stops; {len(result.taken_over)} taken over after {middle:.1f} s, at most "
                f"{slowest:.1f} s (lease {LEASE:.0f} s)" + "".join(f"\n    {each}" for each in result.wrong)
            )
            met = result.windows >= 200 and not (result.twice or result.missed) and 0 < slowest <= LEASE + 1
            found.append(
                Row(
                    f"two `run`, {kind}, kill -9 and SIGSTOP at random",
                    "each window once; take-over within the lease",
                    figure,
                    met,
                )
            )
    return found
