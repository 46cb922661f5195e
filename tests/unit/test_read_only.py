"""`query`: an analyst's statement can neither write, nor leave the database, nor run for ever."""

import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from civicsync.core.clock import Clock
from civicsync.core.schema import read_only as module
from civicsync.core.schema.failures import DatabaseError
from civicsync.core.schema.read_only import read_only

ENDLESS = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"
WRITING = [
    "COMMIT; DELETE FROM schema_info",
    "SELECT 1; DELETE FROM schema_info",
    "DELETE FROM schema_info",
    "DELETE FROM schema_info RETURNING name",
    "COMMIT",
    "BEGIN",
    "EXPLAIN ANALYZE DELETE FROM schema_info",
    "WITH x AS (DELETE FROM schema_info RETURNING *) SELECT * FROM x",
    "DO $$ BEGIN COMMIT; DELETE FROM schema_info; END $$",
    "CREATE TABLE x (a int)",
    "",
    "  -- nothing\n",
]
LEAVING = [
    "COPY (SELECT 1) TO PROGRAM 'touch {file}'",
    "COPY (SELECT 1) TO '{file}'",
    "SELECT lo_export(1, '{file}')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_catalog . \"pg_read_file\"('/etc/passwd')",
    "SELECT U&\"pg\\005fread_file\"('/etc/passwd')",
    "SELECT/* /* ; */ */pg_ls_dir('/')",
    "SELECT dblink_connect('host=elsewhere')",
    "SELECT query_to_xml('SELECT 1', true, true, '')",
    "SELECT set_config('role', 'none', false)",
    "SELECT passwd FROM pg_shadow",
    "VACUUM INTO '{file}'",
    "ATTACH '{file}' AS other",
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON",
    "SELECT load_extension('{file}')",
    "SELECT writefile('{file}', 'x')",
]


def kept(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM schema_info")).scalar_one())


@pytest.mark.parametrize("sql", WRITING)
def test_a_statement_that_writes_or_is_more_than_one_is_refused(engine: Engine, sql: str) -> None:
    before = kept(engine)
    with pytest.raises(DatabaseError, match=r"query: ") as caught:
        read_only(engine, sql)
    assert caught.value.args[0].startswith("query: ") and before == kept(engine) > 0
    # And the next one is as before: nothing of it is left in a connection.
    assert read_only(engine, "SELECT 1 AS a").rows == [(1,)]
    with engine.begin() as connection:
        connection.execute(text("UPDATE schema_info SET value = value"))


@pytest.mark.parametrize("sql", LEAVING)
def test_no_statement_reads_files_runs_programs_or_changes_who_asks(engine: Engine, tmp_path: Path, sql: str) -> None:
    file = tmp_path / "made"
    with pytest.raises(DatabaseError):
        read_only(engine, sql.replace("{file}", str(file)))
    assert not file.exists()


def test_a_superuser_asks_as_one_who_may_only_read(engine: Engine) -> None:
    """What the list of functions does not know is refused by the server itself."""
    if engine.dialect.name != "postgresql":
        return
    assert read_only(engine, "SELECT current_user").rows == [("pg_read_all_data",)]
    hole = module._NO_FUNCTIONS_POSTGRES  # pyright: ignore[reportPrivateUsage]
    module._NO_FUNCTIONS_POSTGRES = module.re.compile("nothing")  # pyright: ignore[reportPrivateUsage]
    try:
        for sql in ("SELECT pg_read_file('/etc/passwd')", "SELECT pg_ls_dir('/')", "SELECT lo_export(1, '/tmp/x')"):
            with pytest.raises(DatabaseError, match="not allowed"):
                read_only(engine, sql)
    finally:
        module._NO_FUNCTIONS_POSTGRES = hole  # pyright: ignore[reportPrivateUsage]


def test_texts_and_comments_are_not_taken_for_words(engine: Engine) -> None:
    found = read_only(engine, "SELECT 'COMMIT; pg_read_file(''x'')' AS \"delete\" -- ; DROP TABLE x\n;")
    assert found.columns == ["delete"] and found.rows == [("COMMIT; pg_read_file('x')",)]


def test_a_percent_sign_is_a_percent_sign(engine: Engine) -> None:
    assert read_only(engine, "SELECT 'a%s' AS a WHERE 'banana' LIKE '%a%'").rows == [("a%s",)]
    assert read_only(engine, "SELECT title FROM proposals WHERE title LIKE '%a%'").columns == ["title"]


def test_columns_of_equal_name_are_told_apart(engine: Engine) -> None:
    found = read_only(engine, "SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a")
    assert found.columns == ["a", "a_3", "a_2", "a_4"] and found.rows == [(1, 2, 3, 4)]


class Hasty(Clock):
    """A clock on which a minute passes between two looks."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        self.time += 61
        return self.time


def test_endless_recursion_is_ended(engine: Engine) -> None:
    seconds = 60.0 if engine.dialect.name == "sqlite" else 0.2  # PostgreSQL's own clock cannot be given
    with pytest.raises(DatabaseError, match="took longer than"):
        read_only(engine, ENDLESS, seconds=seconds, clock=Hasty())


def test_endless_rows_are_cut_where_they_are_made(engine: Engine) -> None:
    endless = ENDLESS.replace("count(*)", "x")
    found = read_only(engine, endless, 5)
    assert [row[0] for row in found.rows] == [1, 2, 3, 4, 5] and found.cut
    assert not read_only(engine, "VALUES (1), (2)", 2).cut


def test_a_value_that_would_fill_the_memory_is_refused(sqlite: Engine) -> None:
    with pytest.raises(DatabaseError, match="a value would have more than 64 MB"):
        read_only(sqlite, "SELECT zeroblob(1000000000)")


def test_ctrl_c_ends_it(engine: Engine) -> None:
    def press(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, press)
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.3, signal.pthread_kill, [main, signal.SIGUSR1])
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            read_only(engine, ENDLESS, seconds=20)
    finally:
        timer.cancel()
        signal.signal(signal.SIGUSR1, before)
    assert read_only(engine, "SELECT 1 AS a").rows == [(1,)]
