"""A host that fails: each time a clear word, the way out, and the right exit code; never "something unforeseen"."""

import asyncio
import importlib.util
import io
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from civicsync.app.cli import main as program
from civicsync.config.load import load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.sandbox.serve import running
from civicsync.core import journal
from civicsync.core.clock import FakeClock
from civicsync.core.schema import database
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.failures import DatabaseError, host_failure
from civicsync.sync.net import unforeseen
from civicsync.sync.pull.run import Options, Puller, PullOutcome

KEY = "0123456789abcdef" * 4
CONFIG = """\
civicsync: 1
operator: {name: Stad, contact: a@b.example}
privacy: {key: "${KEY}"}
database: %s
instances:
  toy: {platform: consul, url: "%s", every: 1s, politeness: {timeout: 5, give_up_after: 1}}
"""
READING = (
    ["status"],
    ["runs"],
    ["query", "SELECT count(*) AS n FROM proposals"],
    ["quarantine", "list"],
    ["instances", "list"],
)
VERBS = (*READING, ["sync"], ["check"], ["explain", "toy/proposal/1"])
"""Whatever opens the database."""


def folder_with(tmp_path: Path, url: str = "http://127.0.0.1:9", where: str = "sqlite:///civicsync.db") -> Path:
    (tmp_path / "civicsync.yaml").write_text(CONFIG % (where, url))
    return tmp_path


def run(folder: Path, *words: str, code: int | None = 0, limit: int | None = None) -> str:
    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "civicsync.app.cli", *words],
        cwd=folder,
        env={**os.environ, "KEY": KEY, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limited,
    )
    said = done.stdout + done.stderr
    assert code is None or done.returncode == code, said
    for word in ("unforeseen", "Traceback", "mistake in civicsync"):
        assert word not in said, said
    return said


@pytest.fixture(scope="module")
def city() -> Iterator[str]:
    connector = resolve("consul")
    assert connector.sandbox is not None
    with running(connector.sandbox(version="2.5.1", size=120)) as url:
        yield url


def pull(engine: Engine, folder: Path, progress: Any = None) -> PullOutcome:
    connector = resolve("consul")
    assert connector.sandbox is not None
    clock = FakeClock()
    config = load(folder / "civicsync.yaml", {"KEY": KEY})
    sandbox = connector.sandbox(version="2.5.1", size=120, clock=clock.now)
    puller = Puller(config, engine, clock, backends={"toy": sandbox}, progress=progress)
    return asyncio.run(puller.pull("toy", Options()))


# The disk ---------------------------------------------------------------------------------------------------------------


def test_a_file_that_may_not_grow_ends_a_pull_with_a_word_and_the_next_goes_on(tmp_path: Path, city: str) -> None:
    folder = folder_with(tmp_path, city)
    run(folder, "status")
    said = run(folder, "sync", code=1, limit=900_000)
    assert "the disk" in said and "full" in said
    assert '"outcome": "done"' in run(folder, "sync", "--json")
    assert "ok" in run(folder, "query", "SELECT 'ok' AS a")


def test_a_full_disk_ends_a_pull_with_a_word_and_the_next_goes_on(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    engine = open_engine(parse_url(f"sqlite:///{folder / 'civicsync.db'}"))
    migrate(engine)

    def full(connection: Any, *_: Any) -> None:
        used = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={used + 3}")

    event.listen(engine, "checkout", full)
    outcome = pull(engine, folder)
    assert outcome.outcome == "failed" and "the disk is full; make room and run it again" in outcome.message
    event.remove(engine, "checkout", full)
    engine.dispose()
    assert pull(engine, folder).outcome == "done"


@pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT", "EROFS", "EIO", "EMFILE"])
def test_what_the_operating_system_refuses_is_told(number: str) -> None:
    import errno

    said = unforeseen("toy", OSError(getattr(errno, number), "secret path /x"))
    assert said.startswith("toy: ") and "mistake in civicsync" not in said and "/x" not in said


# A file system that can only be read -------------------------------------------------------------------------------------


@pytest.fixture
def only_read(tmp_path: Path, city: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a database on a file system that was mounted to be read only; where nobody may mount one, as the program sees it."""
    folder = folder_with(tmp_path, city)
    run(folder, "sync")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(mounted)], capture_output=True, check=False).returncode:
        pytest.skip("only who may mount can try this")
    try:
        for name in ("civicsync.yaml", "civicsync.db"):
            shutil.copy(folder / name, mounted / name)
        subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
        yield mounted
    finally:
        subprocess.run(["umount", str(mounted)], check=False)


def test_reading_verbs_work_on_a_file_system_that_can_only_be_read(only_read: Path) -> None:
    for verb in READING:
        run(only_read, *verb)
    assert "toy" in run(only_read, "status") and "consul" in run(only_read, "check")
    said = run(only_read, "sync", code=1)
    assert "the database can only be read" in said and "nothing was written" in said


def test_a_database_that_may_only_be_read_is_opened_without_a_file_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.db"
    first = open_engine(parse_url(f"sqlite:///{file}"))
    migrate(first)
    first.dispose()
    before = sorted(each.name for each in tmp_path.iterdir())
    monkeypatch.setattr(database.os, "access", lambda *_: False)
    engine = open_engine(parse_url(f"sqlite:///{file}"))
    migrate(engine)
    with pytest.raises(Exception, match="readonly") as caught, engine.begin() as connection:
        connection.execute(text("DELETE FROM schema_info"))
    assert "can only be read" in (host_failure(caught.value) or "")
    engine.dispose()
    assert sorted(each.name for each in tmp_path.iterdir()) == before


# The database -----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    content = b"A letter to the city council. " * 100
    (folder / "civicsync.db").write_bytes(content)
    for verb in VERBS:
        said = run(folder, *verb, code=1)
        assert "not a SQLite database" in said and "name another one in `database:`" in said
    assert (folder / "civicsync.db").read_bytes() == content


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    (tmp_path / "folder.db").mkdir()
    for name in ("pipe.db", "folder.db", "none/x.db"):
        said = run(folder_with(tmp_path, where=f"sqlite:///{name}"), "status", code=1)
        assert "is not a file" in said or "does not exist" in said


def test_a_damaged_database_is_told(tmp_path: Path, city: str) -> None:
    folder = folder_with(tmp_path, city)
    run(folder, "sync")
    file = folder / "civicsync.db"
    content = bytearray(file.read_bytes())
    content[16384 * 2 :] = b"\xff" * (len(content) - 16384 * 2)
    file.write_bytes(content)
    assert "the database file is damaged; put back a copy" in run(folder, "query", "SELECT * FROM proposals", code=1)


def test_a_database_that_is_deleted_under_a_run_ends_it_and_comes_not_back_empty(tmp_path: Path, city: str) -> None:
    folder = folder_with(tmp_path, city)
    run(folder, "status")
    process = subprocess.Popen(
        [sys.executable, "-m", "civicsync.app.cli", "run"],
        cwd=folder,
        env={**os.environ, "KEY": KEY, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    timer = threading.Timer(60, process.send_signal, [signal.SIGKILL])
    timer.start()
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if "pull toy: done" in line and (folder / "civicsync.db").exists():
                for each in folder.glob("civicsync.db*"):
                    each.unlink()
        code = process.wait(timeout=30)
    finally:
        timer.cancel()
        process.stdout.close()
    assert code == 1, said
    assert "was deleted, moved or replaced while it was in use" in said and "put back a copy" in said
    assert "everything that was read and written is kept" not in said and "unforeseen" not in said
    assert not (folder / "civicsync.db").exists(), "an empty one in its place would look as if all were well"


def test_a_database_that_was_replaced_is_not_written_to(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    engine = open_engine(parse_url(f"sqlite:///{file}"))
    migrate(engine)
    shutil.copy(file, tmp_path / "copy.db")
    (tmp_path / "copy.db").replace(file)
    with pytest.raises(DatabaseError, match="deleted, moved or replaced"), engine.begin():
        raise AssertionError


def test_many_first_starts_at_once_make_one_database(tmp_path: Path, postgres: str) -> None:
    admin = open_engine(parse_url(postgres))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE first_starts"))
    admin.dispose()
    for address in (parse_url(f"sqlite:///{tmp_path / 'x.db'}"), parse_url(postgres).set(database="first_starts")):
        ready = threading.Barrier(6)

        def start(url: Any, ready: threading.Barrier = ready) -> int:
            ready.wait(10)
            engine = open_engine(url)
            migrate(engine)
            with engine.connect() as connection:
                found = connection.execute(text("SELECT count(*) FROM proposals")).scalar_one()
            engine.dispose()
            return int(found)

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(start, [address] * 6)) == [0] * 6


def test_two_first_pulls_at_once_both_end_well(tmp_path: Path, city: str) -> None:
    folder = folder_with(tmp_path, city)
    with ThreadPoolExecutor(2) as pool:
        ends = [json.loads(each)[0]["outcome"] for each in pool.map(lambda _: run(folder, "sync", "--json"), range(2))]
    assert sorted(ends) in (["busy", "done"], ["done", "done"])


def test_postgresql_restarted_under_a_pull_is_told_and_the_next_run_goes_on(tmp_path: Path, postgres: str) -> None:
    """What a restart does to whoever is connected: every connection ends, in the middle of a page's transaction."""
    admin = open_engine(parse_url(postgres))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE restarted"))
    engine = open_engine(parse_url(postgres).set(database="restarted"))
    try:
        migrate(engine)
        folder = folder_with(tmp_path)
        ending = _ending(admin, "restarted")
        event.listen(engine, "before_cursor_execute", ending)
        failed = pull(engine, folder)
        assert failed.outcome == "failed"
        assert "PostgreSQL ended the connection (was it restarted?); run it again" in failed.message
        # The same process goes on, as `run` does: its pool finds out by itself.
        again = pull(engine, folder)
        assert again.outcome == "done", again.message
        assert journal.runs(engine, ["toy"], 1)[0]["outcome"] == "done"
    finally:
        engine.dispose()
        admin.dispose()


def _ending(admin: Engine, name: str) -> Any:
    """Ends every connection once, in the middle of a page's transaction."""
    done = list[bool]()

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not done and "INSERT INTO sweep_page" in statement:
            done.append(True)
            with admin.connect() as connection:
                connection.execute(
                    text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
                )

    return before


@pytest.mark.parametrize(
    ("where", "word"),
    [
        ("postgresql://user:Pl4nted@127.0.0.1:1/name", "cannot connect"),
        ("postgresql://user@127.0.0.1:1/name?password=Pl4nted", "cannot connect"),
        ("mysql://user:Pl4nted@host/name", "not supported"),
        ("Pl4nted", "not an address"),
        ("sqlite:///x.db?password=Pl4nted", "without host, user or ?options"),
    ],
)
def test_an_address_of_no_database_is_told_without_its_password(tmp_path: Path, where: str, word: str) -> None:
    said = run(folder_with(tmp_path, where=where), "status", code=1)
    assert word in said and "Pl4nted" not in said


# Memory, the configuration, what is not installed -----------------------------------------------------------------------


@pytest.mark.parametrize("error", [MemoryError(), sqlite3.OperationalError("database or disk is full")])
def test_what_ends_a_verb_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(importlib.import_module("civicsync.app.cli.main"), "app", fails)
    with pytest.raises(SystemExit) as caught:
        program()
    said = capsys.readouterr().err
    assert caught.value.code == 1 and "unforeseen" not in said
    assert "not enough memory" in said or "the disk is full" in said


def test_a_pull_without_memory_is_told(tmp_path: Path, sqlite: Engine) -> None:
    def gone(*_: Any) -> None:
        raise MemoryError

    outcome = pull(sqlite, folder_with(tmp_path), gone)
    assert outcome.outcome == "failed" and "there is not enough memory" in outcome.message
    assert "pull fewer instances at once" in outcome.message


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (BOMB, "aliases count as often as they stand"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested far too deep"),
        ((CONFIG % ("x", "http://x.example")).replace("${KEY}", "file:/dev/zero"), "a pipe or a device"),
        ((CONFIG % ("x", "http://x.example")).replace("${KEY}", "file:pipe"), "a pipe or a device"),
    ],
    ids=["bomb", "brackets", "zero", "pipe"],
)
def test_a_hostile_configuration_is_told(tmp_path: Path, content: str, word: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "civicsync.yaml").write_text(content)
    assert word in run(tmp_path, "status", code=2)


def test_a_pipe_for_a_configuration_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "civicsync.yaml")
    assert "a pipe or a device" in run(tmp_path, "status", code=2)
    assert "a pipe or a device" in run(tmp_path, "--config", "/dev/zero", "status", code=2)


def test_without_the_extra_a_sandbox_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    from civicsync.app.cli import common, sandbox

    errors = io.StringIO()
    monkeypatch.setattr(common, "err", common.Edge(file=errors, width=200))
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(typer.Exit) as caught:
        sandbox.run("consul")
    assert caught.value.exit_code == 2 and "pip install 'civicsync[sandbox]'" in errors.getvalue()


def test_files_are_their_owners_alone_at_birth(tmp_path: Path, city: str) -> None:
    folder = folder_with(tmp_path, city)
    before = os.umask(0)
    try:
        run(folder, "init", "--force")
        folder_with(tmp_path, city)
        run(folder, "sync")
        engine = open_engine(parse_url(f"sqlite:///{folder / 'civicsync.db'}"))
        with engine.begin() as connection:
            connection.execute(text("UPDATE schema_info SET value = value"))
            found = {
                each.name: each.stat().st_mode & 0o777 for each in folder.glob("civicsync.*") if each.suffix != ".json"
            }
        engine.dispose()
    finally:
        os.umask(before)
    assert set(found) >= {"civicsync.db", "civicsync.db-wal", "civicsync.db-shm", "civicsync.key"}
    assert [name for name, mode in found.items() if mode & 0o077 and name != "civicsync.yaml"] == []


def test_check_looks_at_every_file_that_holds_secrets(tmp_path: Path, city: str) -> None:
    text_ = (CONFIG % ("sqlite:///civicsync.db", city)).replace("${KEY}", "file:keys/privacy")
    (tmp_path / "civicsync.yaml").write_text(text_)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "privacy").write_text(KEY)
    run(tmp_path, "status")
    for name in ("keys/privacy", "civicsync.db"):
        (tmp_path / name).chmod(0o644)
    said = run(tmp_path, "check")
    assert "privacy (privacy.key) can be read" in said and "civicsync.db (the database) can be read" in said
    assert f"chmod 600 {tmp_path / 'keys' / 'privacy'}" in said
    for name in ("keys/privacy", "civicsync.db"):
        (tmp_path / name).chmod(0o600)
    assert "can be read" not in run(tmp_path, "check")
