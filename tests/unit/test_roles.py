"""A role for analysts reads every view, also after an upgrade, and can do nothing else."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.core.roles import RoleError, make_analyst
from civicsync.core.schema import database as schema
from civicsync.core.schema.database import DatabaseError, migrate, open_engine, parse_url
from civicsync.core.schema.ledger_tables import METADATA
from civicsync.core.schema.views import NAMES
from tests.support.desk import TREE, Desk, proposal

_numbers = iter(range(1_000_000))
SECRET = "een 'geheim' %s wóórd"


class Server:
    """A database of ours, owned by a user who is no superuser, as on a real server."""

    def __init__(self, address: str) -> None:
        number = next(_numbers)
        self.url = parse_url(address)
        self.owner, self.analyst, self.name = f"owner{number}", f"analist {number}", f"r{number}"
        self.admin = open_engine(self.url)
        self.run(f"CREATE ROLE {self.owner} LOGIN CREATEROLE")
        self.run(f"CREATE DATABASE {self.name} OWNER {self.owner}")
        # As up to PostgreSQL 14 it is everywhere.
        self.inside = open_engine(self.url.set(database=self.name))
        self.run("GRANT CREATE ON SCHEMA public TO PUBLIC", self.inside)
        self.run(f"ALTER SCHEMA public OWNER TO {self.owner}", self.inside)
        self.engine = open_engine(self.url.set(database=self.name, username=self.owner, password=None))
        migrate(self.engine)

    def run(self, sql: str, engine: Engine | None = None) -> None:
        with (engine or self.admin).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(sql))

    def as_analyst(self) -> Engine:
        url: URL = self.url.set(database=self.name, username=self.analyst, password=None)
        return create_engine(url)

    def close(self) -> None:
        for each in (self.engine, self.inside, self.admin):
            each.dispose()


@pytest.fixture
def server(postgres: str) -> Iterator[Server]:
    made = Server(postgres)
    yield made
    made.close()


def refused(engine: Engine, sql: str) -> str:
    """The SQLSTATE with which it is refused, also by whoever lifts the setting that makes every transaction read only."""
    with engine.connect() as connection:
        connection.execute(text("SET default_transaction_read_only = off"))
        connection.commit()
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text(sql))
        connection.rollback()
    return str(getattr(caught.value.orig, "sqlstate", ""))


def test_an_analyst_reads_every_view_and_nothing_else(server: Server) -> None:
    Desk(server.engine).pull([*TREE, proposal(1)])
    assert make_analyst(server.engine, server.analyst).new
    analyst = server.as_analyst()
    with analyst.connect() as connection:
        for view in NAMES:
            connection.execute(text(f"SELECT * FROM {view}")).all()
        assert connection.execute(text("SELECT title FROM proposals")).scalars().all() == ["Voorstel 1"]
        with pytest.raises(DBAPIError, match="read-only"):
            connection.execute(text("CREATE TABLE public.mine (id int)"))
    for table in METADATA.sorted_tables:
        assert refused(analyst, f'SELECT * FROM public."{table.name}"') == "42501", table.name
    for sql in (
        "SELECT * FROM public.schema_info",
        "SELECT * FROM public.alembic_version",
        "COPY public.proposal TO STDOUT",
        "COPY civicsync.proposals TO '/tmp/civicsync-analyst'",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "CREATE TABLE public.mine (id int)",
        "CREATE TABLE civicsync.mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE VIEW civicsync.mine AS SELECT 1",
        "UPDATE civicsync.runs SET pages = 1",
        "DELETE FROM civicsync.attachments",
        "INSERT INTO civicsync.runs (id) VALUES (1)",
        "DROP VIEW civicsync.proposals",
        "SELECT nextval('public.run_id_seq')",
        "SELECT pg_read_file('postgresql.conf')",
        "CREATE ROLE friend",
    ):
        assert refused(analyst, sql) == "42501", sql
    analyst.dispose()


def test_views_that_an_upgrade_makes_anew_stay_readable(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    make_analyst(server.engine, server.analyst)
    monkeypatch.setattr(schema, "fingerprint", lambda _dialect: "another")
    migrate(server.engine)
    analyst = server.as_analyst()
    with analyst.connect() as connection:
        for view in NAMES:
            connection.execute(text(f"SELECT 1 FROM {view} LIMIT 1")).all()
    analyst.dispose()


def test_it_may_be_repeated_and_the_password_is_sent_as_a_verifier_only(server: Server) -> None:
    first = make_analyst(server.engine, server.analyst, SECRET)
    kept = "SELECT rolpassword FROM pg_authid WHERE rolname = :name"
    with server.admin.connect() as connection:
        before = connection.execute(text(kept), {"name": server.analyst}).scalar_one()
    again = make_analyst(server.engine, server.analyst)
    assert (first.new, again.new) == (True, False)
    with server.admin.connect() as connection:
        assert connection.execute(text(kept), {"name": server.analyst}).scalar_one() == before
    assert before.startswith("SCRAM-SHA-256$")
    assert _opens(SECRET, before)
    assert not _opens("another", before)
    assert "geheim" not in repr(first)


def _opens(password: str, verifier: str) -> bool:
    """Whether a password is the one of a verifier (RFC 5803)."""
    rounds, _, rest = verifier.removeprefix("SCRAM-SHA-256$").partition(":")
    salt, _, keys = rest.partition("$")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return base64.b64encode(stored).decode() == keys.partition(":")[0]


def test_a_dry_run_prints_what_a_run_does_and_does_nothing(server: Server) -> None:
    planned = make_analyst(server.engine, server.analyst, SECRET, dry_run=True)
    with server.admin.connect() as connection:
        asked = text("SELECT count(*) FROM pg_roles WHERE rolname = :name")
        assert connection.execute(asked, {"name": server.analyst}).scalar() == 0
    assert planned.statements == make_analyst(server.engine, server.analyst, SECRET).statements
    assert planned.statements[0] == f"CREATE ROLE \"{server.analyst}\" LOGIN PASSWORD '…'"


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("CREATE ROLE {analyst} SUPERUSER", "may do more than read"),
        ("CREATE ROLE {analyst} CREATEDB", "may do more than read"),
        ("CREATE ROLE {analyst} IN ROLE pg_read_all_data", "belongs to pg_read_all_data"),
        ("GRANT SELECT ON public.proposal TO PUBLIC", r"public\.proposal"),
        ("GRANT SELECT (title) ON public.proposal TO PUBLIC", r"public\.proposal"),
        ("GRANT USAGE ON SEQUENCE public.run_id_seq TO PUBLIC", r"public\.run_id_seq"),
        ("GRANT CREATE ON SCHEMA civicsync TO PUBLIC", "CREATE in civicsync"),
        ("GRANT INSERT ON civicsync.runs TO PUBLIC", r"civicsync\.runs"),
    ],
)
def test_who_could_do_more_than_read_the_views_is_refused(server: Server, before: str, says: str) -> None:
    """Rule: nobody is told that a role sees the views alone while it sees more."""
    server.run(before.replace("{analyst}", f'"{server.analyst}"'), server.inside)
    with pytest.raises(RoleError, match=says):
        make_analyst(server.engine, server.analyst)
    with server.admin.connect() as connection:
        asked = text("SELECT count(*) FROM pg_roles WHERE rolname = :name AND rolcanlogin")
        assert connection.execute(asked, {"name": server.analyst}).scalar() == 0


def test_a_user_called_as_the_schema_of_the_views_finds_its_tables(postgres: str) -> None:
    """Rule: the tables' schema is the same before and after the views are made, whoever the user is."""
    url = parse_url(postgres)
    admin = open_engine(url)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE ROLE civicsync LOGIN CREATEROLE"))
        connection.execute(text("CREATE DATABASE named_alike OWNER civicsync"))
    for _ in range(2):
        engine = open_engine(url.set(database="named_alike", username="civicsync", password=None))
        migrate(engine)
        with engine.begin() as connection:
            assert connection.execute(text("SELECT current_schema()")).scalar() == "public"
            connection.execute(text("DELETE FROM schema_info WHERE name = 'views'"))  # an upgrade
        assert "REVOKE CREATE ON SCHEMA public FROM PUBLIC" in make_analyst(engine, "analyst", dry_run=True).statements
        engine.dispose()
    admin.dispose()


def test_names_that_no_analyst_has(server: Server, sqlite: Engine) -> None:
    for name in ("", "pg_monitor", "public", "x" * 64):
        with pytest.raises(RoleError, match="no name for a role"):
            make_analyst(server.engine, name)
    with pytest.raises(RoleError, match="owns the tables"):
        make_analyst(server.engine, server.owner)
    with pytest.raises(RoleError, match="export database"):
        make_analyst(sqlite, "analyst")


def test_a_user_who_may_make_no_roles_is_told_the_way(server: Server) -> None:
    server.run(f"ALTER ROLE {server.owner} NOCREATEROLE")
    with pytest.raises(DatabaseError, match="--dry-run"):
        make_analyst(server.engine, server.analyst)


def test_the_verb_takes_its_password_from_a_file(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    address = server.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    monkeypatch.setenv("ROLES_KEY", "0123456789abcdef" * 4)
    (tmp_path / "civicsync.yaml").write_text(
        "civicsync: 1\noperator: {name: t, contact: t@example.org}\nprivacy: {key: '${ROLES_KEY}'}\n"
        f"database: '{address}'\ninstances: {{west: {{platform: consul, url: 'http://127.0.0.1:9'}}}}\n"
    )
    (tmp_path / "password").write_text("ezelsoor-42\n")

    def call(*words: str) -> Any:
        return CliRunner().invoke(app, ["database", "roles", "--analyst", server.analyst, *words])

    planned = call("--dry-run", "--password-file", "password")
    assert planned.exit_code == 0, planned.output
    assert f'GRANT SELECT ON ALL TABLES IN SCHEMA civicsync TO "{server.analyst}";' in planned.output
    done = call("--password-file", "password")
    assert done.exit_code == 0, done.output
    assert "was made" in done.output
    assert "is up to date" in call().output
    assert "ezelsoor" not in planned.output + done.output + call("--json", "--password-file", "password").output
    (tmp_path / "password").write_text("\nno")
    assert call("--password-file", "password").exit_code == 2
    assert call("--password-file", "missing").exit_code == 2
