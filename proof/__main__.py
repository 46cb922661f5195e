"""`make proof`: every promise of pulling and publishing at full size, each figure beside its bar.

Takes about an hour and a half on two cores. `python -m proof ROW…` runs single rows. The same checks run small in `make test`.
"""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from sqlalchemy import text

from benchmarks import workers
from civicsync.config.load import load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.faults import Fault
from civicsync.core.clock import FakeClock
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.sync.pull.revisit import LEAST
from civicsync.sync.pull.run import Options, Puller, PullOutcome
from proof import hostile_reads, publish_rows, soak, speed_rows, ticks, unattended
from proof.killing import kill_and_compare
from proof.row import Row

ROOT = Path(__file__).parent.parent
KEY = {"KEY": "0123456789abcdef" * 4}
DIALECTS = [(name, version) for name in ("decidim", "consul", "your-priorities") for version in resolve(name).versions]
FAULTS = (
    "429",
    "429_retry_after",
    "500",
    "503",
    "html_200",
    "cut_json",
    "cut_connection",
    "reset",
    "reset_after_store",
    "slow",
    "hang",
)


class City:
    """A sandbox read in-process into a SQLite file, without waiting."""

    def __init__(
        self, platform: str, version: str, folder: Path, *, size: int, seed: int = 1, settings: str = "", **options: Any
    ) -> None:
        """`settings`: more of the instance, as it would follow in its braces."""
        self.clock = FakeClock()
        connector = resolve(platform)
        assert connector.sandbox is not None

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)

        self.sandbox = connector.sandbox(
            version=version, size=size, seed=seed, clock=self.clock.now, sleep=sleep, **options
        )
        self.block = f"{{platform: {platform}, url: 'http://127.0.0.1:9'{settings}}}"
        self.open(folder)

    def open(self, folder: Path) -> None:
        """A new database for the same city."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "civicsync.yaml"
        file.write_text(
            "civicsync: 1\noperator: {name: proof, contact: p@example.org}\nprivacy: {key: '${KEY}'}\n"
            f"instances:\n  toy: {self.block}\n"
        )
        self.config = load(file, KEY)
        self.engine = open_engine(parse_url("sqlite:///civicsync.db", folder))
        migrate(self.engine)

    def pull(self, **options: Any) -> PullOutcome:
        """One run."""
        puller = Puller(self.config, self.engine, self.clock, backends={"toy": self.sandbox})
        return asyncio.run(puller.pull("toy", Options(**options)))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def differences(self) -> int:
        """How many records are not as the sandbox's truth says: proposals of all kinds with their counters, and comments."""
        truth = self.sandbox.truth()
        expected = {
            (r["kind"], r["id"], r["title"], r["state"], r["supports"], r["comments"])
            for r in truth["proposals"]
            if r["public"]
        }
        sql = "SELECT kind, remote_id, title, state, supports, comments FROM proposals WHERE gone_at IS NULL"
        found = len(set(self.rows(sql)) ^ expected)
        comments = {(c["kind"], c["id"]) for c in truth["comments"] if c["public"]}
        return found + len(set(self.rows("SELECT kind, remote_id FROM comments WHERE gone_at IS NULL")) ^ comments)


def recordings() -> list[Row]:
    """The tests that hold sandboxes and mappings against real exchanges, with what they counted."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        tests = sorted(str(file) for file in (ROOT / "tests" / "contract").glob("test_*_record*.py"))
        command = [sys.executable, "-m", "pytest", "-q", "-o", "junit_family=xunit1", f"--junitxml={report}", *tests]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        xml = report.read_text() if report.exists() else ""
    rows: list[Row] = []
    for case in ElementTree.fromstring(xml).iter("testcase") if xml else ():
        what = f"recorded exchanges, {case.get('classname', '').rpartition('.')[2].removeprefix('test_')} {case.get('name')}"
        for figure in (p.get("value", "") for p in case.iter("property") if p.get("name") == "recordings"):
            rows.append(Row(what, "all alike, exceptions named", figure, done.returncode == 0))
    return rows or [Row("recorded exchanges", "all alike", done.stdout[-300:], False)]


def truth() -> list[Row]:
    """A pull of every dialect equals its truth, and a second one writes nothing."""
    rows: list[Row] = []
    for platform, version in DIALECTS:
        with tempfile.TemporaryDirectory() as folder:
            city = City(platform, version, Path(folder), size=400)
            first, second = city.pull(), city.pull()
            wrong = city.differences()
            written = second.written.created + second.written.changed + second.written.tallies
            figure = f"{wrong} differences in {first.written.created} records; second pull wrote {written}"
            rows.append(
                Row(f"pull of {platform} {version}", "0 differences, 0 written", figure, not wrong and not written)
            )
    return rows


def kills() -> list[Row]:
    """SIGKILL of real processes."""
    rows: list[Row] = []
    for platform, version, moments in (
        ("decidim", "0.32", 70),
        ("consul", "2.5.1", 65),
        ("your-priorities", "2026-07", 65),
    ):
        result = kill_and_compare(platform, version, size=120, boundaries=12, moments=moments)
        differ = "; ".join([f"{len(result.differences)} tables differ", *result.differences])
        figure = f"{result.kills} kills, {differ}, at most {result.repeated} requests repeated"
        rows.append(
            Row(
                f"SIGKILL, {platform} {version}, changing",
                "0 differ, one page re-read",
                figure,
                not result.differences,
            )
        )
    return rows


def moving_rows() -> list[Row]:
    """CONSUL's pages have no order: rows move while they are read."""
    lost = doubled = 0
    for seed in range(20):
        with tempfile.TemporaryDirectory() as folder:
            city = City("consul", "2.5.1", Path(folder), size=10_000, seed=seed, plain=True, comments_each=0)
            dice = random.Random(seed)
            for after in range(2, 400, 3):
                city.sandbox.schedule(after, "move_row", times=dice.randint(1, 6))
            city.pull()
            expected = {r["id"] for r in city.sandbox.truth()["proposals"] if r["public"] and r["kind"] == "proposal"}
            got = [
                row[0]
                for row in city.rows("SELECT remote_id FROM proposals WHERE kind = 'proposal' AND gone_at IS NULL")
            ]
            lost += len(expected - set(got))
            doubled += len(got) - len(set(got))
    return [
        Row(
            "CONSUL, rows moving between pages, 10,000 proposals, 20 seeds",
            "0 lost, 0 doubled",
            f"{lost} lost, {doubled} doubled",
            lost + doubled == 0,
        )
    ]


def faults() -> list[Row]:
    """Every fault, one at a time and mixed, twenty seeds."""
    rows: list[Row] = []
    for platform, version in (("decidim", "0.32"), ("consul", "2.5.1"), ("your-priorities", "2026-07")):
        wrong = tombstones = silent = 0
        for seed in range(20):
            with tempfile.TemporaryDirectory() as folder:
                city = City(platform, version, Path(folder), size=60, seed=seed)
                dice = random.Random(seed)
                single = [
                    [
                        Fault(
                            kind=FAULTS[seed % len(FAULTS)],
                            after=dice.randint(0, 8),
                            times=2,
                            seconds=1.0,
                            retry_after="2",
                        )
                    ]
                ]
                mixed = [
                    [
                        Fault(kind=k, after=dice.randint(0, 30), times=3, probability=0.4, seconds=1.0, retry_after="2")
                        for k in FAULTS
                    ]
                ]
                for planted in (*single, *mixed, *mixed):
                    city.sandbox.plant(*planted)
                    outcome = city.pull(full=dice.random() < 0.5)
                    silent += outcome.outcome not in {"done"} and not outcome.message
                    tombstones += len(city.rows("SELECT 1 FROM proposals WHERE gone_at IS NOT NULL"))
                city.sandbox.plant()
                city.pull(full=True)
                city.pull()
                wrong += city.differences()
        figure = f"{wrong} differences, {tombstones} false tombstones, {silent} without a word"
        rows.append(
            Row(
                f"every fault, single and mixed, 20 seeds, {platform}",
                "0, 0, 0",
                figure,
                wrong + tombstones + silent == 0,
            )
        )
    return rows


def absences() -> list[Row]:
    """What looks like a mass deletion stops and asks."""
    rows: list[Row] = []
    for platform, version in (("decidim", "0.32"), ("consul", "2.5.1"), ("your-priorities", "2026-07")):
        told: list[str] = []
        bad = 0
        for case in ("html_200", "half"):
            with tempfile.TemporaryDirectory() as folder:
                city = City(platform, version, Path(folder), size=80)
                city.pull()
                city.clock.advance(3600)
                if case == "half":
                    public = [
                        r["id"] for r in city.sandbox.truth()["proposals"] if r["public"] and r["kind"] == "proposal"
                    ]
                    for own in public[::2]:
                        city.sandbox.change("delete", id=own)
                else:
                    city.sandbox.plant(Fault(kind=case, times=None))
                for full in (False, True, True):
                    told.append(city.pull(full=full).outcome)
                bad += len(city.rows("SELECT 1 FROM proposals WHERE gone_at IS NOT NULL"))
        figure = f"{bad} tombstones; outcomes {', '.join(sorted(set(told)))}"
        rows.append(
            Row(
                f"login page, half the data gone, {platform}",
                "no mass tombstones, stops and asks",
                figure,
                bad == 0 and "done" not in told,
            )
        )
    return rows


def privacy() -> list[Row]:
    """Planted private data in every field where a platform leaks it."""
    rows: list[Row] = []
    for platform, version in DIALECTS:
        with tempfile.TemporaryDirectory() as folder:
            city = City(platform, version, Path(folder), size=150)
            tokens = city.sandbox.plant_private_data()
            outcome = city.pull()
            tables = [row[0] for row in city.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
            everything = repr([city.rows(f'SELECT * FROM "{table}"') for table in tables]) + repr(outcome)
            found = sum(everything.count(token) for token in tokens)
            rows.append(Row(f"planted private data, {platform} {version}", "0 found", f"{found} found", found == 0))
    return rows


def costs() -> list[Row]:
    """Requests and the seconds a real server would have worked: 5,000 proposals, 15,000 comments."""
    rows: list[Row] = []
    cases: list[tuple[str, str, dict[str, Any], str, Callable[[PullOutcome, PullOutcome], bool]]] = [
        (
            "decidim",
            "0.32",
            {"plain": True, "comments_each": 3.0},
            "first 184 s, unchanged 2 requests, and a few for the oldest",
            lambda a, b: a.platform_seconds <= 184.5 and b.requests <= 2 + LEAST,
        ),
        (
            "decidim",
            "0.28.6",
            {"plain": True, "comments_each": 3.0},
            "unchanged at most 100 requests",
            lambda a, b: b.requests <= 100 + LEAST,
        ),
        (
            "consul",
            "2.5.1",
            {"plain": True, "comments_each": 3.0},
            "first 150 s, unchanged at most 11 requests",
            lambda a, b: a.platform_seconds <= 150.5 and b.requests <= 11 + LEAST,
        ),
        ("consul", "2.5.1", {"comments_each": 3.0}, "(with tags, budgets and drafts; no bar)", lambda a, b: True),
        (
            "consul",
            "2.1.1",
            {"plain": True, "comments_each": 3.0},
            "unchanged 1 request, and a few",
            lambda a, b: b.requests <= 1 + LEAST,
        ),
        ("your-priorities", "2026-07", {}, "the floor: 4 lists of 20 a page per group", lambda a, b: True),
    ]
    for platform, version, options, bar, good in cases:
        with tempfile.TemporaryDirectory() as folder:
            city = City(platform, version, Path(folder), size=5000, charge=True, **options)
            first = city.pull()
            city.clock.advance(3600)  # a later run: the platform's own limit per minute has forgotten the first
            second = city.pull()
            comments = city.rows("SELECT count(*) FROM comments")[0][0]
            probed = first.requests
            one = f"first {probed} requests {first.platform_seconds:.1f} s ({comments} comments)"
            figure = f"{one}, unchanged {second.requests} requests {second.platform_seconds:.2f} s"
            rows.append(Row(f"cost of 5,000 proposals, {platform} {version}", bar, figure, good(first, second)))
    return rows


def fuzz() -> list[Row]:
    """Every mapper, reader of headers and reader of files fed anything, 20,000 examples each (800 pulls of whole readers each)."""
    environment = {**os.environ, "CIVICSYNC_FUZZ": "20000"}
    command = [sys.executable, "-m", "pytest", "-q", "tests/faults/test_fuzz.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    figure = "0 undeclared" if done.returncode == 0 else done.stdout[-600:]
    return [
        Row(
            "fuzz of mappers, readers, headers, files, 20,000 each",
            "0 undeclared exceptions",
            figure,
            done.returncode == 0,
        )
    ]


ROWS: dict[str, Callable[[], list[Row]]] = {
    "recordings": recordings,
    "truth": truth,
    "kills": kills,
    "moving-rows": moving_rows,
    "faults": faults,
    "absences": absences,
    "privacy": privacy,
    "costs": costs,
    "rivals": speed_rows.rivals,
    "growth": speed_rows.growth,
    "instances": speed_rows.many,
    "lives": publish_rows.lives,
    **{f"once-{name}": partial(publish_rows.once, name) for name in publish_rows.PLATFORMS},
    "killed-publishing": publish_rows.killed,
    "two-publishers": publish_rows.two_publishers,
    "mesh": publish_rows.mesh,
    "lost": publish_rows.lost,
    "deployments": publish_rows.deployments,
    "races": publish_rows.racing,
    "hostile": publish_rows.hostile,
    "hostile-reads": hostile_reads.rows,
    "fuzz": fuzz,
    "following": publish_rows.followed,
    "dropped": publish_rows.dropped,
    "rewritten": publish_rows.rewritten,
    "late": publish_rows.late,
    "soak": soak.rows,
    "unattended": unattended.rows,
    "ticks": ticks.rows,
    "workers": workers.rows,
}


def main(names: list[str]) -> int:
    """Run rows and print the table."""
    missed = 0
    for name in names or list(ROWS):
        began = time.monotonic()
        for row in ROWS[name]():
            sign = "·" if row.met is None else "✓" if row.met else "✗"
            missed += row.met is False
            print(f"{sign} {row.what} | bar: {row.bar} | {row.figure}", flush=True)
        print(f"  ({name}: {time.monotonic() - began:.0f} s)", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
