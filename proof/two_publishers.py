"""Two publishing processes, one database: one has the lease, and who lost it while it was stopped writes and sends no more.

`python -m proof.two_publishers CONFIG POINT` is one of them: it waits for a line, publishes, and stops itself at POINT. The
second one lives in a pid namespace of its own on the same host name, as in another container: nothing can be known of the other's pid.
"""

import asyncio
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from civicsync.connectors.testing.sandbox.serve import running
from civicsync.core.clock import Clock
from civicsync.core.schema.database import open_engine, parse_url
from proof.crossing import KEY, _public, _pull_source, _served, _two_cities
from proof.patience import leases_run_out

ROOT = Path(__file__).parent.parent
AT_ONCE = "at once"
POINTS = ("before it is claimed", "before the request", "before the answer is written down")
"""Where the first process is stopped in the middle of sending. At the second one only its own clock can stop it."""
STOPPED_FOR = 180.0
_NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child")
_MIDDLE = 3


@dataclass(frozen=True, slots=True)
class Two:
    """What is wrong at the end ("" is right), and how the second process was hidden from the first."""

    problem: str
    hidden: str


@dataclass(frozen=True, slots=True)
class _Ended:
    code: int
    outcome: str
    message: str


def two_publishers(folder: Path, platform: str, version: str, voice: str | None, *, count: int, how: str) -> Two:
    """Let two processes publish `count` proposals: at once, or the second while the first is stopped (one of `POINTS`)."""
    source, target = _served("consul", "2.5.1", count), _served(platform, version, 5)
    with running(source) as here, running(target) as there:
        folder.mkdir(parents=True, exist_ok=True)
        config = _two_cities(folder, source.instance_block(here), target.instance_block(there), platform, voice)
        prefix, hidden = _hiding()
        first = _start(config, "" if how == AT_ONCE else how)
        second = _start(config, "", prefix, {} if prefix else {"UNKNOWN_PID": "1"})
        try:
            asyncio.run(_pull_source(config))  # while they get ready
            before = _public(target)
            for each in (first, second):
                _ready(each)
            loser, winner = _at_once(first, second) if how == AT_ONCE else _one_stopped(config, first, second)
        finally:
            for each in (first, second):
                if each.poll() is None:
                    each.kill()
                    each.wait()
        states = _states(config)
    made = _public(target) - before
    return Two(_problem(how, loser, winner, made, states), hidden)


def _problem(how: str, loser: _Ended, winner: _Ended, made: Counter[str], states: dict[str, int]) -> str:
    wrong: list[str] = []
    if max(made.values(), default=0) != 1 or set(states) != {"sent"} or made.total() != states["sent"]:
        wrong.append(f"made {dict(made)}, ledger {states}")
    if (winner.code, winner.outcome) != (0, "done"):
        wrong.append(f"the winner: {winner}")
    said = "another process is writing to there" if how == AT_ONCE else "the lease of publish:there was lost"
    if (loser.code, loser.outcome) != (
        (0, "busy") if how == AT_ONCE else (1, "lease_lost")
    ) or said not in loser.message:
        wrong.append(f"the loser: {loser}")
    return "; ".join(wrong)


def _hiding() -> tuple[tuple[str, ...], str]:
    """How a process is put where its pid means nothing to the others."""
    if (
        shutil.which("unshare")
        and subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    ):
        return _NAMESPACE, "a pid namespace of its own"
    return (), "a pid that nobody has here (no right to make a namespace)"


def _start(
    config: Path, point: str, prefix: tuple[str, ...] = (), more: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    command = [*prefix, sys.executable, "-m", "proof.two_publishers", str(config), point]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **KEY, **(more or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    told = process.stdout.readline()
    assert told == "ready\n", process.communicate()


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def _end(process: subprocess.Popen[str]) -> _Ended:
    out, err = process.communicate(timeout=60)
    try:
        [row] = json.loads(out)
    except ValueError:
        return _Ended(process.returncode, "nothing", f"{out} {err}"[-500:])
    return _Ended(process.returncode, row["outcome"], row["message"])


def _at_once(first: subprocess.Popen[str], second: subprocess.Popen[str]) -> tuple[_Ended, _Ended]:
    _go(first)
    _go(second)
    ended = sorted((_end(first), _end(second)), key=lambda each: each.outcome)
    return ended[0], ended[1]  # busy comes before done


def _one_stopped(config: Path, first: subprocess.Popen[str], second: subprocess.Popen[str]) -> tuple[_Ended, _Ended]:
    _go(first)
    told = os.waitid(os.P_PID, first.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert told is not None
    if told.si_code != os.CLD_STOPPED:
        return _end(first), _end(second)
    leases_run_out(config.parent / "civicsync.db")
    (config.parent / "passed").touch()
    _go(second)
    winner = _end(second)
    first.send_signal(signal.SIGCONT)
    return _end(first), winner


def _states(config: Path) -> dict[str, int]:
    engine = open_engine(parse_url("sqlite:///civicsync.db", config.parent))
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT state, count(*) FROM publications GROUP BY state")).all()
    engine.dispose()
    return {str(state): int(number) for state, number in rows}


class _Later(Clock):
    """The clock of a machine on which three minutes have passed since `passed` is there."""

    def __init__(self, passed: Path) -> None:
        self.passed = passed

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=STOPPED_FOR if self.passed.exists() else 0)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.05)  # another thread may be told first, and this one must not go on meanwhile


def _child(config: str, point: str) -> None:
    from civicsync.app.cli.main import app
    from civicsync.core import leases
    from civicsync.core.ledger.ledger import Ledger
    from civicsync.sync.publish import publisher

    if os.environ.get("UNKNOWN_PID"):
        leases.os.getpid = lambda: 1
    move, moves = Ledger.move, itertools.count(1)

    def stopped(self: Ledger, operation: Any, state: Any, **values: Any) -> Any:
        wanted = "sent" if point == POINTS[2] else "sending"
        here = state == wanted and next(moves) == _MIDDLE
        if here and point in {POINTS[0], POINTS[2]}:
            _stop()
        moved = move(self, operation, state, **values)
        if here and point == POINTS[1]:
            _stop()
        return moved

    if point:
        Ledger.move = stopped
    if point == POINTS[1]:
        # Nothing of the database is asked between a claim and its request: only the time that passed keeps it from being sent. At
        # the other points the clock stands still, and the token alone must do it.
        setattr(publisher, "Clock", lambda: _Later(Path(config).parent / "passed"))  # noqa: B010
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    app(["--config", config, "publish", "--json"])


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2])
