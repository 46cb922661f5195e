"""How long a backup takes beside a writer, how long the writer waits, and whether the copy is of one moment.

    python -m benchmarks.backup --gigabytes 1 [--folder /tmp/x]

Conditions: SQLite, WAL, 16 kB pages as civicsync makes them; tables of our own making with texts of 500 to 2,000 random bytes and an
index; one writer in another process that commits 100 times a second, each time the same number into two tables. A wait is the time of one
whole commit, from BEGIN to the end of COMMIT; the same is measured for as long beside no backup. The raw speed of the disk is printed, too.
"""

import argparse
import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from civicsync.core.backup import backup
from civicsync.core.clock import Clock
from civicsync.core.schema.database import migrate, open_engine, parse_url

RATE = 100
WRITER = f"""
import json, sqlite3, sys, time
file, stop = sys.argv[1:]
import pathlib
db = sqlite3.connect(file, timeout=60, isolation_level=None)
db.execute("PRAGMA synchronous=NORMAL")
waits, number, due = [], db.execute("SELECT coalesce(max(n), 0) FROM other").fetchone()[0], time.perf_counter()
while not pathlib.Path(stop).exists():
    number += 1
    began = time.perf_counter()
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO one (n, filler) VALUES (?, ?)", (number, "x" * 1000))
    db.execute("INSERT INTO other (n) VALUES (?)", (number,))
    db.execute("COMMIT")
    waits.append(time.perf_counter() - began)
    due = max(due + 1 / {RATE}, time.perf_counter() - 1)
    time.sleep(max(0, due - time.perf_counter()))
print(json.dumps({{"waits": waits, "number": number}}))
"""


def fill(file: Path, gigabytes: float) -> None:
    """A database of about this size."""
    engine = open_engine(parse_url(f"sqlite:///{file}"))
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE one (id INTEGER PRIMARY KEY, n INTEGER, filler TEXT)"))
        connection.execute(text("CREATE INDEX one_n ON one (n)"))
        connection.execute(text("CREATE TABLE other (n INTEGER)"))
    engine.dispose()
    dice = random.Random(1)
    with contextlib.closing(sqlite3.connect(file)) as db:
        while file.stat().st_size < gigabytes * 1e9:
            rows = [(-1, dice.randbytes(dice.randint(250, 1000)).hex()) for _ in range(20_000)]
            db.executemany("INSERT INTO one (n, filler) VALUES (?, ?)", rows)
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def writing(file: Path, folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """A writer in a process of its own, and the file that stops it."""
    stop = folder / f"stop-{time.monotonic_ns()}"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(file), str(stop)], stdout=subprocess.PIPE, text=True)
    return process, stop


def ended(process: subprocess.Popen[str], stop: Path) -> list[float]:
    """What the writer measured: seconds of each commit."""
    stop.touch()
    told, _ = process.communicate()
    return list(json.loads(told)["waits"])


def said(waits: list[float]) -> str:
    """Number, median, 99th percentile and longest."""
    ordered = sorted(waits)
    return (
        f"{len(waits)} commits, median {ordered[len(ordered) // 2] * 1e3:.1f} ms, p99 {ordered[int(len(ordered) * 0.99)] * 1e3:.1f} ms, "
        f"longest {ordered[-1]:.3f} s"
    )


def raw(folder: Path, size: int) -> float:
    """Seconds to write so many bytes and fsync them."""
    began = time.perf_counter()
    with (folder / "raw").open("wb") as out:
        block = os.urandom(1 << 20)
        for _ in range(size >> 20):
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    took = time.perf_counter() - began
    (folder / "raw").unlink()
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        file = folder / "city.db"
        fill(file, options.gigabytes)
        engine = open_engine(parse_url(f"sqlite:///{file}"))
        process, stop = writing(file, folder)
        time.sleep(1)
        made = backup(engine, folder / "copy.db", Clock())
        waits = ended(process, stop)
        process, stop = writing(file, folder)
        time.sleep(made.seconds)
        alone = ended(process, stop)
        engine.dispose()
        with contextlib.closing(sqlite3.connect(made.file)) as copy:
            whole = copy.execute("PRAGMA integrity_check").fetchone()[0]
            same = copy.execute("SELECT max(n) FROM one").fetchone()[0]
            other = copy.execute("SELECT max(n), count(*) FROM other").fetchone()
            rows = copy.execute("SELECT count(*) FROM one").fetchone()[0]
        with contextlib.closing(sqlite3.connect(file)) as db:
            of_then = db.execute("SELECT count(*) FROM one WHERE n <= ?", (same,)).fetchone()[0]
        gigabytes = made.bytes / 1e9
        print(
            f"{gigabytes:.2f} GB in {made.seconds:.1f} s, {made.seconds / gigabytes:.1f} s per GB (with integrity_check and fsync)"
        )
        print(f"raw write and fsync of as much: {raw(folder, made.bytes):.1f} s")
        print(f"writer beside it: {said(waits)}")
        print(f"writer alone:     {said(alone)}")
        one_moment = same == other[0] == other[1] and rows == of_then
        print(f"integrity_check: {whole}; one moment of the original: {'yes' if one_moment else 'NO'} (commit {same})")


if __name__ == "__main__":
    main()
