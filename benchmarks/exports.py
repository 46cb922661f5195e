"""How fast and with how little memory a large city is exported: `python -m benchmarks.exports [--rows 300000] [--postgres URL]`.

Makes a database of so many proposals with a tally each, then exports two views of it in every format, each in a process of its own: the
widest of all (`proposals`) and one of ten columns (`supports_over_time`). Printed are rows per second of CPU (`getrusage`, of the export
alone, without starting the program), the most memory that the process ever had, and what it had before the first row.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert

from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.tables import ProposalRow, SpaceRow, TallyRow, table_of

VIEWS = ("proposals", "supports_over_time")
BARS = {"csv": (75_000, 60), "jsonl": (200_000, 60), "parquet": (150_000, 150), "xlsx": (15_000, 60)}
"""Rows per second of CPU at least, MB at most."""
_WORDS = [
    "meer",
    "bomen",
    "veilige",
    "fietsroute",
    "bij",
    "het",
    "station",
    "een",
    "speeltuin",
    "in",
    "de",
    "wijk",
    "verlichting",
    "aan",
    "de",
    "gracht,",
    "voor",
    "iedereen",
]
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def build(engine: Engine, rows: int) -> None:
    """Fill an empty database: `rows` proposals in 50 spaces, a tally each."""
    chance = random.Random(1)
    with engine.begin() as connection:
        spaces = [
            {
                "key": f"west/component/{n}",
                "instance": "west",
                "kind": "component",
                "remote_id": str(n),
                "name": f"Wijk {n}",
            }
            for n in range(50)
        ]
        connection.execute(insert(table_of(SpaceRow)), [SpaceRow(**each).model_dump() for each in spaces])
        for batch in _batches(rows):
            made = [_proposal(number, chance) for number in batch]
            connection.execute(insert(table_of(ProposalRow)), made)
            tallies = [
                {
                    "proposal_key": each["key"],
                    "seen_at": each["created_at"],
                    "supports": each["supports"],
                    "comments": 3,
                }
                for each in made
            ]
            connection.execute(insert(table_of(TallyRow)), tallies)


def _batches(rows: int) -> Iterator[range]:
    for start in range(0, rows, 10_000):
        yield range(start, min(rows, start + 10_000))


def _proposal(number: int, chance: random.Random) -> dict[str, Any]:
    at = _BEGAN + timedelta(seconds=number, microseconds=number % 1_000_000)
    return {
        "key": f"west/proposal/{number}",
        "instance": "west",
        "kind": "proposal",
        "remote_id": str(number),
        "scope": "proposals",
        "title": " ".join(chance.choices(_WORDS, k=7)),
        "locale": "nl",
        "state": "open",
        "native_state": "published",
        "space_key": f"west/component/{number % 50}",
        "url": f"https://west.example/processes/wijk/f/1/proposals/{number}",
        "author": f"{number % 9_999:032x}",
        "reference": f"WEST-PROP-2026-{number}",
        "created_at": at,
        "published_at": at,
        "updated_at": at,
        "first_seen_at": at,
        "changed_at": at,
        "confirmed_at": at,
        "confirmed_by": "shown",
        "latitude": 52 + number / 1e6,
        "longitude": 4 + number / 1e6,
        "supports": number % 400,
        "comments": number % 7,
    }


def measure(address: str, kind: str, view: str) -> dict[str, Any]:
    """Export once, in this process."""
    from civicsync.analysis.columns import VIEWS as ALL
    from civicsync.analysis.exports import formats
    from civicsync.analysis.exports.job import Job
    from civicsync.analysis.exports.snapshot import snapshot

    engine = open_engine(parse_url(address))
    with tempfile.TemporaryDirectory() as folder, snapshot(engine) as reading:
        before, began = _most(), _cpu()
        target = Path(folder) / "out"
        written = formats.export(formats.FORMATS[kind], Job(reading, (ALL[view],), now=_BEGAN), target)
        spent = _cpu() - began
        size = target.stat().st_size
    engine.dispose()
    rows = written.rows[view]
    return {
        "format": kind,
        "view": view,
        "columns": len(ALL[view].columns),
        "rows": rows,
        "rows_per_cpu_second": round(rows / spent),
        "most_mb": _most(),
        "before_mb": before,
        "file_mb": round(size / 1e6),
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _most() -> int:
    """The most memory that this process ever had, in MB; what `getrusage` says of it begins with what its parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def main() -> None:
    """Build, measure, print; the exit code is 1 where the view of ten columns misses a bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--postgres", help="the address of an empty PostgreSQL database, instead of SQLite")
    parser.add_argument("--database", help="one that was built before")
    parser.add_argument("--format", action="append")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measure(*asked.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        address = asked.database or asked.postgres or f"sqlite:///{folder}/city.db"
        if not asked.database:
            engine = open_engine(parse_url(address))
            migrate(engine)
            build(engine, asked.rows)
            engine.dispose()
        missed = False
        print(
            "| format | view | columns | rows per CPU second | bar | most memory, MB | before, MB | file, MB |\n"
            + "|---" * 8
            + "|"
        )
        for kind in asked.format or ("csv", "jsonl", "parquet", "xlsx", "geojson", "database"):
            for view in VIEWS:
                if kind == "geojson" and view != "proposals":
                    continue
                words = [sys.executable, "-m", "benchmarks.exports", "--measure", address, kind, view]
                found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
                bar, memory = BARS.get(kind, (0, 0))
                missed |= view == "supports_over_time" and found["rows_per_cpu_second"] < bar
                print(
                    f"| {kind} | {view} | {found['columns']} | {found['rows_per_cpu_second']:,} | {bar:,} | {found['most_mb']} "
                    f"(bar {memory}) | {found['before_mb']} | {found['file_mb']} |",
                    flush=True,
                )
    sys.exit(missed)


if __name__ == "__main__":
    main()
