"""`civicsync demo`: three toy cities on loopback, a configuration, a pull with progress, a proposal that crosses from each to the others.

A second run finds the same cities again and shows that nothing changed. Everything it writes is in one folder.
"""

import contextlib
import itertools
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-m", "civicsync.app.cli"]
CITIES = {
    "participa-west": ("decidim", 4711, 300),
    "plaza": ("consul", 4712, 300),
    "ideas": ("your-priorities", 4713, 120),
}
SPACES = {"participa-west": "component/1", "plaza": "section/proposals", "ideas": "group/1"}
CROSSED = "SELECT origin, target, state, url FROM publications ORDER BY origin, target"
REPORT = "report.html"
QUERIES = (
    "SELECT instance, kind, count(*) AS n, sum(supports) AS supports FROM proposals WHERE gone_at IS NULL GROUP BY 1, 2",
    "SELECT instance, title, supports, comments FROM proposals ORDER BY supports DESC LIMIT 10",
    "SELECT instance, state, count(*) AS n FROM proposals WHERE gone_at IS NULL GROUP BY 1, 2 ORDER BY 1, 3 DESC",
)


def demonstrate(folder: Path, *, scale: float = 1.0, wait: bool = True) -> int:
    """Run the demonstration in this folder; returns the exit code.

    `scale` makes the cities larger or smaller; `wait` keeps them open until Enter, where a person watches.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cities: dict[str, subprocess.Popen[str]] = {}
    try:
        blocks: dict[str, dict[str, Any]] = {}
        for name, (platform, port, size) in CITIES.items():
            cities[name] = start(platform, port, max(1, round(size * scale)))
        for name, process in cities.items():
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                print(f"the {name} city did not start", file=sys.stderr)
                return 1
            blocks[name] = json.loads(line)["instance"]
            print(f"{name}: a {blocks[name]['platform']} city at {blocks[name]['url']}")
        config = write_config(folder, blocks)
        print(f"configuration: {config}\n", flush=True)
        code = run(config, "sync") or cross(config)
        if code == 0:
            farewell(config)
            if wait:
                linger()
        return code
    except KeyboardInterrupt:
        return 130
    finally:
        for process in cities.values():
            process.terminate()
        for process in cities.values():
            process.wait(timeout=10)
            if process.stdout:
                process.stdout.close()


def run(config: Path, *words: str) -> int:
    """One command of the program, as a person would type it."""
    return subprocess.call([*PROGRAM, "--config", str(config), *words])


def cross(config: Path) -> int:
    """One proposal from each city to the two others."""
    forget_copies(config)
    print("\nNow a proposal crosses from each city to the two others (civicsync publish):\n", flush=True)
    code = run(config, "publish")
    if code == 0:
        print("\nEach copy says where it comes from. Where to see them:\n", flush=True)
        run(config, "query", CROSSED)
    return code


def forget_copies(config: Path) -> None:
    """The toy cities live in memory and were started anew: the copies of an earlier demonstration are not there any more."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(config.parent / "civicsync.db")) as connection, connection:
        for table in ("publication", "operation", "publication_event", "route"):
            connection.execute(f"DELETE FROM {table}")


def linger() -> None:
    """Where a person watches, keep the cities open until Enter, so that the addresses can be opened in a browser."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        with contextlib.suppress(EOFError):
            input("\nThe cities stay open: look at an address above in a browser. Press Enter to close them. ")


def start(platform: str, port: int, size: int) -> "subprocess.Popen[str]":
    """Start a toy city, on its usual port if that is free."""
    command = [*PROGRAM, "sandbox", platform, "--size", str(size), "--port", str(port if is_free(port) else 0)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def write_config(folder: Path, blocks: dict[str, dict[str, Any]]) -> Path:
    """Write the configuration and, once, a key that only its owner can read."""
    key = folder / "civicsync.key"
    if not key.exists():
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32) + "\n")
    lines = [
        "# Written by `civicsync demo`; the passwords belong to toy cities on this machine.",
        "civicsync: 1",
        "operator: {name: civicsync demo, contact: demo@example.org}",
        "database: sqlite:///civicsync.db",
        "privacy: {key: file:civicsync.key}",
        "instances:",
    ]
    for name, block in blocks.items():
        lines.append(f"  {name}:")
        lines += [f"    {field}: {json.dumps(value)}" for field, value in block.items()]
    lines.append("routes:")
    for here, there in itertools.permutations(blocks, 2):
        route = {
            "from": {"instance": here, "where": {"min_supports": 1}},
            "to": {"instance": there, "space": SPACES[there]},
            "approval": "automatic",
            "first_run": "send",
            "max_per_day": 1,
        }
        lines.append(f"  {here}-to-{there}: {json.dumps(route)}")
    config = folder / "civicsync.yaml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


def farewell(config: Path) -> None:
    """Where everything is, and what to try."""
    program = f"{program_name()} -c {config}"
    print(f"\nThe database: {config.parent / 'civicsync.db'}. Three questions worth asking:\n")
    for query in QUERIES:
        print(f'  {program} query "{query}"\n')
        run(config, "query", query)
        print()
    print("What a council member would read of the month in which all this was asked (civicsync report monthly):\n")
    run(config, "report", "monthly", str(config.parent / REPORT), "--month", newest_month(config), "--language", "en")
    print(f"\nOpen it in a browser: {(config.parent / REPORT).resolve().as_uri()}\n")
    print("Run the demonstration again: the cities are the same, so nothing is written twice.")


def newest_month(config: Path) -> str:
    """The month of the newest proposal that has a date and is no copy: the toy cities live in a time of their own."""
    import sqlite3

    sql = "SELECT strftime('%Y-%m', max(COALESCE(published_at, created_at))) FROM proposals"
    with contextlib.closing(sqlite3.connect(config.parent / "civicsync.db")) as connection:
        return str(connection.execute(sql).fetchone()[0])


def program_name() -> str:
    """How this program is called from here: by its name where the shell finds it, else by its path."""
    beside = Path(sys.executable).with_name("civicsync")
    if shutil.which("civicsync") or not beside.exists():
        return "civicsync"
    return str(beside.relative_to(Path.cwd())) if beside.is_relative_to(Path.cwd()) else str(beside)
