"""A move brings everything over, proves it, changes nothing where it came from, and leaves nothing half that somebody would trust."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Table, insert, inspect, text
from sqlalchemy.engine import URL
from typer.testing import CliRunner

from civicsync.analysis.duplicates.pairs import prepare
from civicsync.analysis.search.index import is_made, refresh
from civicsync.app.cli.main import app
from civicsync.core import audit, moving
from civicsync.core.clock import FakeClock
from civicsync.core.leases import Lease
from civicsync.core.moving import Moved, MovingError, move, tables
from civicsync.core.schema.database import DatabaseError, migrate, open_engine, parse_url
from civicsync.core.schema.ledger_tables import METADATA
from civicsync.core.schema.types import UTCMoment
from tests.support.desk import TREE, Desk, comment, proposal

ODD: dict[str, list[Any]] = {
    "str": ["Œuvre 🚲 'quoted' \\N \t tab\nline \\. \"x\"", "", "\\", "a\r\nb"],
    "int": [1, 0, 2**31 - 1, 7],
    "float": [52.370216, -0.1, 5.0, 1e-9],
    "bool": [True, False, True, False],
    "datetime": [
        datetime(2026, 3, 29, 1, 59, 59, 999999, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
    "bytes": [b"\x00\xff\\x", b"", b"\n", b"\\"],
    "json": [{"a": [1, 2.5, None, 5.0, 1e22], "É": "🚲\\n"}, [], "text", {"b": {"c": True}}],
}


def fill(engine: Engine) -> int:
    """Four rows of odd values into every table; how many rows there are then."""
    with engine.begin() as connection:
        for table in tables():
            connection.execute(insert(table), [_row(table, number) for number in range(4)])
    return sum(count(engine, table.name) for table in tables())


def _row(table: Table, number: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for column in table.columns:
        kind = "datetime" if isinstance(column.type, UTCMoment) else column.type.python_type.__name__
        kind = {"dict": "json", "object": "str"}.get(kind, kind)  # SQLModel's texts say `object`
        value = ODD[kind][number]
        if column.nullable and number == 3:
            value = None
        if column.primary_key or column.unique:
            value = {"str": f"{value}{number}", "int": 100 + number}.get(kind, value)
        row[column.name] = value
    for unique in ("copy_key", "open_lane", "ref"):
        if unique in row and row[unique] is not None:
            row[unique] = f"{row[unique]}{number}"
    if table.name == "publication":
        row["origin_key"] = f"origin {number}"
    if table.name == "operation":
        row["publication_id"] = f"publication {number}"
    return row


def count(engine: Engine, name: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one())


def contents(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    with engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
            for table in METADATA.sorted_tables
        }


_numbers = iter(range(1_000_000))


@pytest.fixture
def empty(postgres: str) -> Iterator[URL]:
    """An empty database on the server."""
    yield new_database(postgres)


def new_database(postgres: str) -> URL:
    name = f"m{next(_numbers)}"
    admin = open_engine(parse_url(postgres))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return parse_url(postgres).set(database=name)


def url_of(file: Path) -> URL:
    return parse_url(f"sqlite:///{file}")


def test_everything_arrives_in_postgresql_and_comes_back_the_same(
    sqlite: Engine, empty: URL, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule: every table, every kind of value, both ways; the source is not changed."""
    monkeypatch.setattr(moving, "CHUNK", 3)
    rows = fill(sqlite)
    before = contents(sqlite)
    with sqlite.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    sqlite.dispose()
    bytes_before = Path(str(sqlite.url.database)).read_bytes()
    told: list[tuple[str, int, int]] = []
    with pytest.MonkeyPatch.context() as patch:  # these odd heads are no audit log
        patch.setattr(audit, "append", lambda *_a, **_k: None)
        there = move(sqlite.url, empty, clock, told=lambda *seen: told.append(seen))
        back = move(empty, url_of(tmp_path / "back.db"), clock)
    assert all(each.same for each in (*there, *back))
    assert [each.table for each in there] == [table.name for table in tables()]
    assert sum(each.source_rows for each in there) == rows - 1, "all but the fingerprint of the views"
    assert [each.source_checksum for each in there] == [each.target_checksum for each in back]
    assert ("proposal", 3, 4) in told
    assert ("proposal", 4, 4) in told
    returned = open_engine(url_of(tmp_path / "back.db"))
    after = contents(returned)
    returned.dispose()
    assert {name: len(found) for name, found in after.items()} == {name: len(found) for name, found in before.items()}
    for name in ("proposal", "comment", "operation", "tally", "quarantine", "instance", "duplicate_vector"):
        assert after[name] == before[name], name
    assert Path(str(sqlite.url.database)).read_bytes() == bytes_before


def test_what_was_moved_works(sqlite: Engine, empty: URL, clock: FakeClock) -> None:
    """Sequences go on, the views show it, the index is made anew, leases begin anew."""
    desk = Desk(sqlite)
    desk.pull([*TREE, proposal(1), proposal(2), comment(1, 1, 7)])
    prepare(sqlite)
    refresh(sqlite)
    assert Lease(sqlite, "pull:west").take()
    with sqlite.begin() as connection:
        connection.execute(text("UPDATE lease SET holder = ''"))
        audit.append(connection, clock.now(), action="test", object="one", result="done")
    move(sqlite.url, empty, clock)
    engine = open_engine(empty)
    migrate(engine)
    moved = Desk(engine)
    assert moved.rows("SELECT title FROM proposals ORDER BY 1") == [("Voorstel 1",), ("Voorstel 2",)]
    assert moved.rows("SELECT count(*) FROM lease") == [(0,)]
    assert [entry.action for entry in audit.entries(engine)] == ["test", "move"]
    audit.verify(engine)
    runs = moved.rows("SELECT max(id) FROM run")[0][0]
    moved.pull([proposal(3)])
    assert moved.rows("SELECT max(id) FROM run") == [(runs + 1,)]
    with engine.connect() as connection:
        assert not is_made(connection)
    prepare(engine)
    assert refresh(engine).texts == 3
    engine.dispose()


def test_a_target_that_holds_anything_is_refused(sqlite: Engine, empty: URL, tmp_path: Path, clock: FakeClock) -> None:
    other = open_engine(empty)
    migrate(other)
    Desk(other).pull([proposal(1)])
    with pytest.raises(MovingError, match=r"not empty: .*proposal"):
        move(sqlite.url, empty, clock, restart=True)
    assert count(other, "proposal") == 1
    other.dispose()
    strange = open_engine(url_of(tmp_path / "strange.db"))
    with strange.begin() as connection:
        connection.execute(text("CREATE TABLE comment (id INTEGER)"))
    strange.dispose()
    with pytest.raises(MovingError, match=r"somebody else .*comment"):
        move(sqlite.url, strange.url, clock, restart=True)
    with pytest.raises(MovingError, match="name two"):
        move(sqlite.url, sqlite.url, clock)


def test_a_target_that_civicsync_made_and_nobody_used_is_taken(sqlite: Engine, empty: URL, clock: FakeClock) -> None:
    other = open_engine(empty)
    migrate(other)
    other.dispose()
    assert all(each.same for each in move(sqlite.url, empty, clock))


def test_a_source_that_is_none_is_refused_and_nothing_is_made(sqlite: Engine, tmp_path: Path, clock: FakeClock) -> None:
    target = url_of(tmp_path / "new.db")
    with pytest.raises(MovingError, match="is not there"):
        move(url_of(tmp_path / "missing.db"), target, clock)
    (tmp_path / "nothing.db").touch()
    with pytest.raises(MovingError, match="no database of civicsync"):
        move(url_of(tmp_path / "nothing.db"), target, clock)
    with sqlite.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0006'"))
    with pytest.raises(MovingError, match="civicsync status"):
        move(sqlite.url, target, clock)
    assert not (tmp_path / "missing.db").exists()
    assert not (tmp_path / "new.db").exists()


def test_somebody_at_work_is_waited_for_by_a_person(sqlite: Engine, tmp_path: Path) -> None:
    clock = FakeClock(datetime.now(UTC))
    assert Lease(sqlite, "pull:west", holder="server:42:x").take()
    with pytest.raises(MovingError, match=r"process 42 on server is at work \(pull:west\)"):
        move(sqlite.url, url_of(tmp_path / "new.db"), clock)
    clock.advance(3600)
    assert move(sqlite.url, url_of(tmp_path / "new.db"), clock)


def test_nobody_writes_to_the_source_meanwhile(engine: Engine, tmp_path: Path, clock: FakeClock) -> None:
    """Rule: what is written beside a move would be lost."""
    Desk(engine).pull([proposal(1)])
    tried: list[str] = []

    def write(*_: object) -> None:
        if tried:
            return
        with engine.connect() as connection:
            connection.exec_driver_sql(
                "PRAGMA busy_timeout=1" if engine.dialect.name == "sqlite" else "SET lock_timeout = '10ms'"
            )
            try:
                connection.execute(text("UPDATE proposal SET title = 'beside'"))
            except Exception as error:
                tried.append(type(error).__name__)
            connection.rollback()
            connection.invalidate()

    move(engine.url, url_of(tmp_path / "new.db"), clock, told=write)
    assert tried == ["OperationalError"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_move_that_was_broken_off_is_refused_by_all_until_it_is_made_again(
    kind: str, sqlite: Engine, tmp_path: Path, clock: FakeClock, request: pytest.FixtureRequest
) -> None:
    """Rule: nothing half is ever taken for a database."""
    target = url_of(tmp_path / "new.db") if kind == "sqlite" else request.getfixturevalue("empty")
    Desk(sqlite).pull([*TREE, proposal(1)])

    def stop(table: str, _done: int, _all: int) -> None:
        if table == "run":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(sqlite.url, target, clock, told=stop)
    engine = open_engine(target)
    with pytest.raises(DatabaseError, match=r"not everything was moved into it.*--restart"):
        migrate(engine)
    with pytest.raises(MovingError, match="--restart"):
        move(sqlite.url, target, clock)
    with pytest.raises(MovingError, match="broken-off move"):
        move(target, url_of(tmp_path / "third.db"), clock)
    assert all(each.same for each in move(sqlite.url, target, clock, restart=True))
    engine.dispose()
    migrate(engine)
    assert Desk(engine).rows("SELECT title FROM proposals") == [("Voorstel 1",)]
    engine.dispose()


def test_what_another_process_is_moving_in_just_now_is_not_removed(
    sqlite: Engine, empty: URL, tmp_path: Path, clock: FakeClock
) -> None:
    other = open_engine(url_of(tmp_path / "other.db"))
    migrate(other)
    tried: list[str] = []

    def second(*_: object) -> None:
        if not tried:
            with pytest.raises(MovingError) as caught:
                move(other.url, empty, clock, restart=True)
            tried.append(str(caught.value))

    Desk(sqlite).pull([proposal(1)])
    assert all(each.same for each in move(sqlite.url, empty, clock, told=second))
    other.dispose()
    assert "just now" in tried[0]


def test_what_did_not_arrive_as_it_was_is_told_and_not_used(
    sqlite: Engine, empty: URL, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule: the same number of rows is not enough."""
    Desk(sqlite).pull([proposal(1), proposal(2)])
    honest = moving._copying

    def careless(connection: Any, table: Table, parts: Any) -> Iterator[Any]:
        yield from honest(connection, table, parts)
        if table.name == "proposal":
            connection.execute(text("UPDATE proposal SET title = title || '!' WHERE remote_id = '2'"))

    monkeypatch.setattr(moving, "_copying", careless)
    with pytest.raises(MovingError, match="proposal did not arrive"):
        move(sqlite.url, empty, clock)
    engine = open_engine(empty)
    with pytest.raises(DatabaseError, match="not everything"):
        migrate(engine)
    engine.dispose()


def test_one_row_instead_of_another_changes_the_checksum() -> None:
    table = METADATA.tables["service_account"]
    sums = []
    for rows in (
        [("a", "b"), ("c", "d")],
        [("c", "d"), ("a", "b")],
        [("a", "b"), ("a", "b")],
        [("a", "d"), ("c", "b")],
    ):
        summed = moving._Sum(table)
        summed.add(rows)
        sums.append(summed.told())
    assert sums[0] == sums[1]
    assert len(set(sums)) == 3
    assert not Moved("x", 1, 1, "a", "b").same


def test_no_table_is_forgotten(sqlite: Engine) -> None:
    """Whoever adds a table decides whether it is moved."""
    left = {table.name for table in METADATA.sorted_tables} - {table.name for table in tables()}
    assert left == {"search_document", "search_queue", "lease"}
    made = set(inspect(sqlite).get_table_names()) - {table.name for table in METADATA.sorted_tables}
    assert made == {"alembic_version"}


# The verb ---------------------------------------------------------------------------------------------------------------


def call(*words: str) -> Any:
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


def test_the_verb_prints_what_arrived_and_which_line_to_change(
    sqlite: Engine, empty: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOVE_PASSWORD", "geheim-woord")
    Desk(sqlite).pull([*TREE, proposal(1)])
    address = empty.set(drivername="postgresql").render_as_string(hide_password=False)
    address = address.replace("postgresql://postgres:@", "postgresql://postgres:${MOVE_PASSWORD}@")
    done = call("database", "move", "sqlite:///only.db", address)
    assert done.exit_code == 0, done.output
    assert f"database: {address}" in done.output
    assert "proposal" in done.output
    assert "geheim-woord" not in done.output
    engine = open_engine(empty)
    with engine.connect() as connection:
        assert is_made(connection)
        triggers = connection.execute(text("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'duplicate%'")).scalars()
        assert len(list(triggers)) == 4
    engine.dispose()
    back = call("database", "move", address, "sqlite:///back.db", "--json")
    assert back.exit_code == 0, back.output
    told = json.loads(back.stdout)
    assert told["configuration"] == {"file": "civicsync.yaml", "database": "sqlite:///back.db"}
    assert all(each["same"] for each in told["tables"])
    assert told["rows"] == sum(each["source_rows"] for each in told["tables"])
    again = call("database", "move", "sqlite:///only.db", "sqlite:///back.db")
    assert again.exit_code == 1
    assert "not empty" in again.output


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("postgresql://u:plain-secret@127.0.0.1/x", "can be read by everybody"),
        ("postgresql://u@127.0.0.1/x?password=plain-secret", "can be read by everybody"),
        ("postgresql://u:${MOVE_NOT_SET}@127.0.0.1/x", "MOVE_NOT_SET is not set"),
        ("mysql://127.0.0.1/x", "mysql is not supported"),
        ("plain-secret", "no address"),
    ],
)
def test_an_address_is_as_in_the_configuration_and_holds_no_password(sqlite: Engine, target: str, says: str) -> None:
    done = call("database", "move", f"sqlite:///{sqlite.url.database}", target)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())
    assert "plain-secret" not in done.output


@pytest.mark.skipif("CIVICSYNC_LONG" not in os.environ, reason="a minute; CIVICSYNC_LONG=1 runs it")
def test_a_large_database_streams(sqlite: Engine, empty: URL, clock: FakeClock) -> None:
    """Memory does not grow with the database."""
    import tracemalloc

    with sqlite.begin() as connection:
        table = METADATA.tables["proposal_text"]
        for start in range(0, 200_000, 10_000):
            connection.execute(
                insert(table),
                [
                    {"proposal_key": f"k{n}", "locale": "nl", "title": f"t{n}", "html": "h" * 500, "plain": "p" * 500}
                    for n in range(start, start + 10_000)
                ],
            )
    tracemalloc.start()
    move(sqlite.url, empty, clock)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30_000_000
