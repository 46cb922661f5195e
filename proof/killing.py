"""SIGKILL at page boundaries and at random moments, with the source changing meanwhile: does the next run make it whole?

The child kills itself, so that a boundary is hit exactly: `python -m proof.killing CONFIG page N` or `… seconds S` or `… whole`.
"""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.sandbox.serve import running
from civicsync.core.clock import Clock
from proof.patience import leases_run_out

COMPARED = {
    "proposal": "key, kind, title, state, native_state, supports, opposes, endorsements, comments, author, space_key, gone_at IS NULL",
    "proposal_text": "*",
    "comment": "key, target_key, parent_key, plain, alignment, author, gone_at IS NULL",
    "space": "key, name, parent_key, gone_at IS NULL",
    "answer": "key, state, plain, gone_at IS NULL",
    "checkpoint": "scope",
    "quarantine": "ref",
}


@dataclass
class Killed:
    """What came out: kills that hit a running pull, most requests that had to be repeated, and differences at the end."""

    kills: int
    repeated: int
    differences: list[str]


def kill_and_compare(platform: str, version: str, *, size: int, boundaries: int, moments: int, seed: int = 1) -> Killed:
    """Kill pulls of a served city, change it between them, and compare with a database that was never interrupted."""
    dice = random.Random(seed)
    connector = resolve(platform)
    assert connector.sandbox is not None
    options = {"throttle": False} if platform == "decidim" else {}
    # Caches of a few seconds would make the comparison at the end a matter of luck.
    sandbox = connector.sandbox(version=version, size=size, seed=seed, clock=fast_clock(), **options)
    with tempfile.TemporaryDirectory() as temporary, running(sandbox) as url:
        folder = Path(temporary)
        whole = _config(folder / "whole", platform, url)
        sandbox.reset_stats()
        pages = _child(whole, "whole")
        alone = sandbox.stats.requests
        killed, repeated = 0, 0
        for number in _spread(pages, boundaries):
            config = _config(folder / f"page{number}", platform, url)
            sandbox.reset_stats()
            killed += _child(config, "page", str(number)) < 0
            _child(config, "whole")
            repeated = max(repeated, sandbox.stats.requests - alone)
        config = _config(folder / "random", platform, url)
        for _ in range(moments):
            killed += _child(config, "seconds", f"{dice.uniform(0.02, 1.2):.3f}") < 0
            _change(sandbox, url, dice)
        for file in (config, _config(folder / "fresh", platform, url)):
            for _ in range(3):
                _child(file, "full")
        differences = _compare(folder / "random" / "c.db", folder / "fresh" / "c.db")
        return Killed(killed, repeated, differences)


def fast_clock() -> Callable[[], datetime]:
    """A clock for which a minute passes every second."""
    clock, began = Clock(), Clock().monotonic()
    return lambda: clock.now() + timedelta(seconds=60 * (clock.monotonic() - began))


def _spread(pages: int, count: int) -> list[int]:
    return sorted({1 + i * max(1, pages - 2) // max(1, count) for i in range(min(count, pages))})


def _config(folder: Path, platform: str, url: str) -> Path:
    folder.mkdir()
    file = folder / "c.yaml"
    file.write_text(
        "civicsync: 1\noperator: {name: killing, contact: kill@example.org}\ndatabase: sqlite:///c.db\n"
        f'privacy: {{key: "{"${KILL_KEY}"}"}}\ninstances:\n  toy: {{platform: {platform}, url: "{url}"}}\n'
    )
    return file


def _child(config: Path, *how: str) -> int:
    """Run a child; its pages, or -1 when it was killed."""
    environment = {**os.environ, "KILL_KEY": "0123456789abcdef" * 4}
    command = [sys.executable, "-m", "proof.killing", str(config), *how]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGKILL:
        leases_run_out(config.parent / "c.db")
        return -1
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    return int(done.stdout.strip() or 0)


def _change(sandbox: Any, url: str, dice: random.Random) -> None:
    """Something happens on the platform."""
    rows = [row for row in sandbox.truth()["proposals"] if row["public"] and row["kind"] == "proposal"]
    row = dice.choice(rows)
    names = [name for name in ("edit", "support", "comment", "add_proposal") if name in sandbox.operations()]
    op = dice.choice(names)
    arguments: dict[str, Any] = {"op": op}
    if op != "add_proposal":
        arguments["id"] = row["id"]
    if op == "edit":
        arguments["title"] = f"Gewijzigd {dice.randrange(1000)}"
    request = urllib.request.Request(f"{url}/_sandbox/change", json.dumps(arguments).encode(), method="POST")
    with urllib.request.urlopen(request) as answer:
        answer.read()


def _compare(left: Path, right: Path) -> list[str]:
    found: list[str] = []
    with sqlite3.connect(left) as one, sqlite3.connect(right) as other:
        for table, columns in COMPARED.items():
            rows = [set(map(repr, base.execute(f"SELECT {columns} FROM {table}"))) for base in (one, other)]
            if rows[0] != rows[1]:
                found.append(
                    f"{table}: {len(rows[0] ^ rows[1])} rows differ, for example {sorted(rows[0] ^ rows[1])[0][:200]}"
                )
    return found


async def _run(config_file: Path, how: str, number: float) -> int:
    from civicsync.config.load import load
    from civicsync.core.clock import Clock
    from civicsync.core.schema.database import migrate, open_engine, parse_url
    from civicsync.sync.pull.run import Options, Puller

    config = load(config_file)
    engine = open_engine(parse_url(config.database, config_file.parent))
    migrate(engine)
    pages = 0

    def page(*_: Any) -> None:
        nonlocal pages
        pages += 1
        if how == "page" and pages >= number:
            os.kill(os.getpid(), signal.SIGKILL)

    if how == "seconds":
        threading.Timer(number, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    outcome = await Puller(config, engine, Clock(), progress=page).pull("toy", Options(full=how == "full"))
    if outcome.outcome != "done":
        raise RuntimeError(f"{outcome.outcome}: {outcome.message}")
    if how == "seconds":
        os.kill(os.getpid(), signal.SIGKILL)
    return pages


if __name__ == "__main__":
    how_often = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    print(asyncio.run(_run(Path(sys.argv[1]), sys.argv[2], how_often)))
