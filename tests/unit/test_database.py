"""A new database is made at once; it must be what all migrations together make."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlmodel import SQLModel

from civicsync.core.schema import database


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
