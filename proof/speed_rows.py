"""Speed, memory and growth, as rows of `make proof`."""

import json
import sys
import tempfile
from pathlib import Path

from proof.row import Row

RIVALS = Path(__file__).parent.parent / ".proof"


def rivals() -> list[Row]:
    """Against dlt and Singer on the same server and database, in one run."""
    from benchmarks.race import race

    results = race(100_000, RIVALS if (RIVALS / "dlt").exists() else None)
    rows: list[Row] = []
    ours = results["civicsync PostgreSQL"]
    for name in ("dlt", "singer"):
        if name in results:
            first = results[name]["first"].seconds / ours["first"].seconds
            again = results[name]["unchanged"].seconds / ours["unchanged"].seconds
            bar = "first 5x, unchanged 10x" if name == "dlt" else "printed"
            met = (first >= 5 and again >= 10) if name == "dlt" else None
            rows.append(
                Row(
                    f"100,000 proposals into PostgreSQL, {name} / civicsync",
                    bar,
                    f"first {first:.1f}x, unchanged {again:.1f}x",
                    met,
                )
            )
    least = results["floor"]["first"].seconds
    if "dlt" in results:
        figure = f"{least:.1f} s; dlt takes {results['dlt']['first'].seconds:.1f} s, {results['dlt']['first'].seconds / least:.1f}x"
        rows.append(Row("the same rows copied unread into one table", "the floor, printed", figure, None))
    for name in ("civicsync PostgreSQL", "civicsync SQLite"):
        peak = max(run.peak_mb for run in results[name].values())
        rows.append(Row(f"peak memory, {name}", "under 120 MB", f"{peak:.0f} MB", peak < 120))
    return rows


def growth() -> list[Row]:
    """Rows per second from 10,000 to 1,000,000 proposals."""
    from benchmarks.race import config, serving, timed

    rates: dict[int, float] = {}
    for size in (10_000, 100_000, 1_000_000):
        with tempfile.TemporaryDirectory() as temporary, serving("server", str(size)) as url:
            folder = Path(temporary)
            command = [
                sys.executable,
                "-m",
                "civicsync.app.cli",
                "-c",
                str(config(folder, url, "sqlite:///g.db")),
                "sync",
                "--json",
            ]
            run = timed(command, folder, {"RACE_KEY": "0123456789abcdef" * 4})
            seconds = json.loads((folder / "last.log").read_bytes().decode().partition("\n]")[0] + "\n]")[0]["seconds"]
            rates[size] = size / seconds
            print(f"  {size}: {rates[size]:.0f} rows/s, {run.peak_mb:.0f} MB", flush=True)
    spread = (max(rates.values()) - min(rates.values())) / max(rates.values())
    figure = ", ".join(f"{size:,}: {rate:,.0f}/s" for size, rate in rates.items())
    return [Row("growth to 1,000,000 proposals", "within 25 %", f"{figure} (spread {spread:.0%})", spread <= 0.25)]
