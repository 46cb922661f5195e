"""Roles for analysts on PostgreSQL: they may read the views, and nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from .schema.database import place
from .schema.failures import DatabaseError, database_failure
from .schema.views import SCHEMA

_HIDDEN = "'…'"


class RoleError(Exception):
    """A role cannot be made so that it sees the views and nothing else; the text says why and the way out."""


@dataclass(frozen=True, slots=True)
class Analyst:
    """What was done for a role, as SQL without its password, and whether it is new."""

    name: str
    new: bool
    statements: tuple[str, ...]


def make_analyst(engine: Engine, name: str, password: str | None = None, *, dry_run: bool = False) -> Analyst:
    """A role that may log in and read every view of this database, now and after an upgrade. May be repeated. Blocks.

    `password`: sent to the server as its SCRAM verifier only; None leaves it as it is. `dry_run`: nothing is done.

    Raises:
        RoleError: the role is there and may do more, or would be able to; nothing was changed.
        DatabaseError: the database cannot be used, or its user may not make roles.
    """
    if engine.dialect.name != "postgresql":
        raise RoleError(
            "SQLite knows no roles: whoever can read the file can read all of it. Give analysts a file with the views alone: "
            "`civicsync export database FILE`"
        )
    if not name or len(name.encode()) > 63 or "\x00" in name or name.lower().startswith("pg_") or name == "public":
        raise RoleError(f"{name!r} is no name for a role: 1 to 63 bytes, not beginning with pg_")
    try:
        with engine.connect() as connection:
            new = _right_role(connection, name)
            statements = tuple(_statements(connection, name, new=new, password=password is not None))
            if not dry_run:
                secret = _verifier(connection, name, password) if password is not None else ""
                for statement in statements:
                    connection.exec_driver_sql(statement.replace(_HIDDEN, secret).replace("%", "%%"))
                _sees_only_views(connection, name)
                connection.commit()
            return Analyst(name, new, statements)
    except DBAPIError as error:
        where = place(engine.url)
        if getattr(error.orig, "sqlstate", "") == "42501":
            raise DatabaseError(
                f"{where}: the user of `database:` may not make roles, or does not own the views; give the SQL of --dry-run to whoever "
                "runs the server"
            ) from error
        raise DatabaseError(f"{where}: {database_failure(error)}") from error


def _statements(connection: Connection, name: str, *, new: bool, password: bool) -> Iterator[str]:
    own, database, schema = connection.exec_driver_sql(
        "SELECT quote_ident(current_user), quote_ident(current_database()), quote_ident(n.nspname) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('alembic_version')"
    ).one()
    role = _quoted(connection, name)
    yield f"{'CREATE' if new else 'ALTER'} ROLE {role} LOGIN" + (f" PASSWORD {_HIDDEN}" if password else "")
    # Before PostgreSQL 15 everybody may make tables in `public`, and in every release temporary ones.
    yield f"GRANT TEMPORARY ON DATABASE {database} TO {own}"
    yield f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"
    yield f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC"
    yield f"GRANT CONNECT ON DATABASE {database} TO {role}"
    yield f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}"
    yield f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {role}"
    # An upgrade makes the views anew.
    yield f"ALTER DEFAULT PRIVILEGES FOR ROLE {own} IN SCHEMA {SCHEMA} GRANT SELECT ON TABLES TO {role}"
    yield f"ALTER ROLE {role} IN DATABASE {database} SET search_path = {SCHEMA}"
    yield f"ALTER ROLE {role} IN DATABASE {database} SET default_transaction_read_only = on"


def _quoted(connection: Connection, name: str) -> str:
    return connection.execute(text("SELECT quote_ident(:name)"), {"name": name}).scalar_one()


def _verifier(connection: Connection, name: str, password: str) -> str:
    """What the server keeps: the password itself is neither sent nor in its log."""
    driver = connection.connection.driver_connection
    assert driver is not None
    made = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    return "'" + made.decode().replace("'", "''") + "'"


def _right_role(connection: Connection, name: str) -> bool:
    """Whether it has to be made; one that is there must be harmless."""
    row = connection.execute(
        text(
            "SELECT oid, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls AS mighty, "
            "rolname = current_user AS own FROM pg_roles WHERE rolname = :name"
        ),
        {"name": name},
    ).first()
    if row is None:
        return True
    if row.own:
        raise RoleError(f"{name} is the user of `database:` itself, who owns the tables; name another role")
    if row.mighty:
        raise RoleError(
            f"{name} is there and may do more than read (superuser, or makes roles or databases); name another role"
        )
    groups = connection.execute(
        text("SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = :oid"),
        {"oid": row.oid},
    ).scalars()
    if found := list(groups):
        raise RoleError(
            f"{name} is there and belongs to {', '.join(found)}, so it may do what they may; name another role"
        )
    return False


_MORE = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
AND n.nspname NOT LIKE 'pg\\_%' AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(:name, c.oid, 'SELECT, USAGE, UPDATE')
ELSE has_table_privilege(:name, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
    OR ((n.nspname <> :schema OR c.relkind <> 'v') AND (has_table_privilege(:name, c.oid, 'SELECT')
        OR has_any_column_privilege(:name, c.oid, 'SELECT'))) END
UNION ALL SELECT 'CREATE in ' || nspname FROM pg_namespace WHERE has_schema_privilege(:name, oid, 'CREATE')
UNION ALL SELECT 'CREATE or TEMPORARY in this database' WHERE has_database_privilege(:name, current_database(), 'CREATE, TEMPORARY')
"""


def _sees_only_views(connection: Connection, name: str) -> None:
    """Look at what the role may do in the end, however it came to that."""
    more: Sequence[str] = list(connection.execute(text(_MORE), {"name": name, "schema": SCHEMA}).scalars())
    if more:
        said = ", ".join(more[:5]) + (f" and {len(more) - 5} more" if len(more) > 5 else "")
        raise RoleError(
            f"{name} would be able to do more than read the views ({said}): through PUBLIC, or rights that it has already. "
            "Let the owner of the database REVOKE them, then run this again; nothing was changed"
        )
    missing = connection.execute(
        text(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = :schema AND relkind = 'v' AND NOT has_table_privilege(:name, c.oid, 'SELECT')"
        ),
        {"name": name, "schema": SCHEMA},
    ).scalars()
    if found := list(missing):
        raise RoleError(
            f"{name} could not be given {', '.join(found[:5])}: they belong to somebody else; nothing was changed"
        )
