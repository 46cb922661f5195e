"""Speed, memory and growth, as rows of `make proof`."""

import json
import sys
import tempfile
from pathlib import Path

from proof.row import Row

RIVALS = Path(__file__).parent.parent / ".proof"


def rivals() -> list[Row]:
    """Against dlt and Singer on the same server and database, of each platform's shape, in paired rounds; contents are compared."""
    from benchmarks.race import EMBEDDED, FLOOR, OURS, race, ratio
    from benchmarks.rivals.shapes import SHAPES

    rows: list[Row] = []
    there = RIVALS if (RIVALS / "dlt").exists() else None
    for shape in SHAPES:
        results = race(100_000, there, shape, rounds=3)
        for name, ours, first_bar, again_bar in (
            ("dlt", OURS, 1.0, 9.0),
            ("singer", OURS, 1.0, None),
            ("dlt DuckDB", EMBEDDED, 5.0, None),
        ):
            if name not in results:
                continue
            first, again = (ratio(results, name, ours, stage) for stage in ("first", "unchanged"))
            # Only CONSUL's rows can be asked for their counters alone, and Decidim's components for their gate.
            counted = again_bar is not None and shape != "your-priorities"
            bar = f"first {first_bar:g}x" + (f", unchanged {again_bar:g}x" if counted else "")
            met = first >= first_bar and (not counted or again >= (again_bar or 0))
            what = f"100,000 proposals as {shape} sends them, {name} / {ours}"
            rows.append(Row(what, bar, f"first {first:.2f}x, unchanged {again:.2f}x", met))
        if FLOOR in results and "dlt" in results:
            least, dlt = results[FLOOR]["first"][0].seconds, results["dlt"]["first"][0].seconds
            figure = f"{least:.1f} s; dlt takes {dlt:.1f} s, {dlt / least:.1f}x"
            rows.append(Row("the same rows copied unread into one table", "the floor, printed", figure, None))
        for name in (OURS, EMBEDDED):
            peak = max(run.peak_mb for runs in results[name].values() for run in runs)
            rows.append(Row(f"peak memory, {shape}, {name}", "under 140 MB", f"{peak:.0f} MB", peak < 140))
    return rows


def many() -> list[Row]:
    """Fifty instances at once, of which nothing has changed."""
    from benchmarks.instances import measured

    one, all_of_them = measured(50)
    each = (all_of_them.cpu - one.cpu) / 49 * 1000
    told = all_of_them.told / all_of_them.true
    return [
        Row("50 instances unchanged, own CPU of each", "40 ms", f"{each:.0f} ms", each <= 40),
        Row(
            "50 instances unchanged, peak memory", "200 MB", f"{all_of_them.peak_mb:.0f} MB", all_of_them.peak_mb <= 200
        ),
        Row("their platforms' seconds, told / true", "within 10 %", f"{told:.2f}x", abs(told - 1) <= 0.1),
    ]


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
