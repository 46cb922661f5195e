"""A new database is made at once; it must be what all migrations together make."""

from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import URL, Engine, inspect, text
from sqlmodel import SQLModel

from civicsync.core.schema import database
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.failures import DatabaseError


def _drop_all(engine: Engine) -> None:
    with engine.begin() as connection:
        for view in inspect(connection).get_view_names():
            connection.execute(text(f'DROP VIEW "{view}"'))
        SQLModel.metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))


def _schema(engine: Engine) -> dict[str, Any]:
    found: dict[str, Any] = {}
    inspector = inspect(engine)
    for table in sorted(inspector.get_table_names()):
        columns = [(c["name"], repr(c["type"]), c["nullable"], c.get("default")) for c in inspector.get_columns(table)]
        found[table] = {
            "columns": sorted(columns),
            "primary": sorted(inspector.get_pk_constraint(table)["constrained_columns"]),
            "indexes": sorted((repr(i["column_names"]), bool(i["unique"])) for i in inspector.get_indexes(table)),
            "unique": sorted(repr(u["column_names"]) for u in inspector.get_unique_constraints(table)),
            "checks": sorted(c["sqltext"] for c in inspector.get_check_constraints(table)),
        }
    return found


def test_a_new_database_is_what_the_migrations_make(engine: Engine, monkeypatch: Any) -> None:
    at_once = _schema(engine)
    _drop_all(engine)
    monkeypatch.setattr(database, "_create", database._upgrade)  # pyright: ignore[reportPrivateUsage]
    database.migrate(engine)
    assert _schema(engine) == at_once
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == database.HEAD


@pytest.fixture
def apart(postgres: str) -> Iterator[URL]:
    """The address of a database of its own, and a user `plain` who may make nothing in it but in the schema `own`."""
    url = parse_url(postgres).set(database="apart")
    admin = open_engine(parse_url(postgres))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in (
            "DROP DATABASE IF EXISTS apart",
            "DROP ROLE IF EXISTS plain",
            "CREATE DATABASE apart",
            "CREATE ROLE plain LOGIN",
        ):
            connection.execute(text(statement))
    inside = open_engine(url)
    with inside.begin() as connection:
        connection.execute(text("CREATE SCHEMA own AUTHORIZATION plain"))
        connection.execute(text("REVOKE CREATE ON DATABASE apart FROM PUBLIC"))
    inside.dispose()
    yield url
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DROP DATABASE apart"))
        connection.execute(text("DROP ROLE plain"))
    admin.dispose()


def test_who_may_not_make_the_schema_of_the_views_is_told_what_its_owner_has_to_run(apart: URL) -> None:
    engine = open_engine(apart.set(username="plain").update_query_dict({"options": "-csearch_path=own"}))
    with pytest.raises(DatabaseError, match='CREATE SCHEMA civicsync AUTHORIZATION "plain"'):
        migrate(engine)
    owner = open_engine(apart)
    with owner.begin() as connection:
        connection.execute(text('CREATE SCHEMA civicsync AUTHORIZATION "plain"'))
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM proposals")).scalar_one() == 0
        assert connection.execute(text("SELECT current_schema()")).scalar_one() == "own"
    engine.dispose()
    owner.dispose()


def test_two_in_one_database_do_not_take_turns_in_the_views(apart: URL) -> None:
    first = open_engine(apart)
    with first.begin() as connection:
        connection.execute(text("CREATE SCHEMA second"))
    migrate(first)
    second = open_engine(apart.update_query_dict({"options": "-csearch_path=second"}))
    with pytest.raises(DatabaseError, match="holds views of civicsync over the tables of the schema public"):
        migrate(second)
    first.dispose()
    second.dispose()
