"""What all verbs share: the configuration, the database, tables, JSON, errors and the way they end."""

import contextlib
import sys
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from ...config import Config, ConfigError, load
from ...core.privacy import MissingKeyError, check_key
from ...core.schema.database import DatabaseError, migrate, open_engine, parse_url
from .state import state

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_STOPPED = 130

out = Console(highlight=False)
# A table that is cut off helps nobody: a narrow terminal wraps its lines instead, a file gets whole ones.
if not sys.stdout.isatty() or out.width < 110:
    out = Console(highlight=False, width=110 if sys.stdout.isatty() else 160)
err = Console(stderr=True, highlight=False)


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Say what is wrong and end."""
    err.print(Text(message, style="red"), soft_wrap=True)
    raise typer.Exit(code)


def configuration() -> Config:
    """The configuration, or the end with every problem in it."""
    try:
        config = load(state.config_file)
        check_key(config.privacy.key.get_secret_value())
    except ConfigError as error:
        fail("\n".join(error.lines()), EXIT_USAGE)
    except MissingKeyError as error:
        fail(f"{state.config_file}: {error}", EXIT_USAGE)
    return config


@contextlib.contextmanager
def database(config: Config) -> Generator[Engine, None, None]:
    """The migrated database, or the end with a reason."""
    try:
        engine = open_engine(parse_url(config.database, state.config_file.resolve().parent))
        migrate(engine)
    except DatabaseError as error:
        fail(str(error))
    try:
        yield engine
    finally:
        engine.dispose()


def chosen(config: Config, names: Sequence[str] | None) -> list[str]:
    """The instances a verb is about: those named, or all."""
    for name in names or ():
        if name not in config.instances:
            fail(f"no instance {name!r} in {state.config_file}; there are: {', '.join(config.instances)}", EXIT_USAGE)
    return list(dict.fromkeys(names or config.instances))


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    encoded = msgspec.json.encode(value, enc_hook=_plain)
    sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)


def show(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def print_table(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, empty: str, title: str | None = None
) -> None:
    """Rows as a table; `columns` maps keys to headings. What citizens typed is shown as text, never as markup."""
    if not rows:
        out.print(escape(empty))
        return
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name, heading in columns.items():
        numbers = all(isinstance(row.get(name), int | float) or row.get(name) is None for row in rows)
        short = numbers or all(len(show(row.get(name))) <= 24 for row in rows)
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold", no_wrap=short)
    for row in rows:
        table.add_row(*(Text(show(row.get(name))) for name in columns))
    out.print(table)
