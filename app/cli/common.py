"""What all verbs share: the configuration, the database, tables, JSON, errors and the way they end."""

import contextlib
import os
import sys
from collections.abc import Collection, Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NoReturn

import msgspec
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from ...config import Config, ConfigError, load
from ...core.fingerprints import OtherKey, check_fingerprint
from ...core.privacy import MissingKeyError, check_chosen_key
from ...core.redaction import redact, visible, visible_json
from ...core.schema.database import migrate, open_engine, parse_url
from ...core.schema.failures import DatabaseError
from .state import state

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_STOPPED = 130
FILE_WIDTH = 160
"""Columns of a table that goes into a file."""
_NARROWEST = 40
_GAP = 2
_TEXT_WIDTH = 16
"""A column of longer texts may be folded down to this; nothing else is."""


class Edge(Console):
    """Where everything leaves the program: no secret passes, and nothing that a terminal would obey."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(_safe(each) for each in objects), **options)


def _safe(thing: Any) -> Any:
    if isinstance(thing, str):
        return told(thing)
    if isinstance(thing, Text):
        safe = told(thing.plain)
        return thing if safe == thing.plain else Text(safe, style=thing.style)
    return thing


def told(text: str) -> str:
    """A text as it may be told to whoever watches."""
    return visible(redact(text))


def _width() -> int | None:
    """Of the terminal, or as COLUMNS says; a file gets its own."""
    if os.environ.get("COLUMNS", "").isdigit():
        return max(_NARROWEST, int(os.environ["COLUMNS"]))
    return None if sys.stdout.isatty() else FILE_WIDTH


out = Edge(highlight=False, width=_width())
err = Edge(stderr=True, highlight=False)


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Say what is wrong and end."""
    err.print(Text(message, style="red"), soft_wrap=True)
    raise typer.Exit(code)


NO_INSTANCE: Final = ("",)
"""For verbs that ask the database only: no account has to be known."""


def configuration(only: Sequence[str] | None = None) -> Config:
    """The configuration, or the end with every problem in it; `only`: the instances that this is about, all if none is named."""
    try:
        config = load(state.config_file, only=only or ())
        check_chosen_key(config.privacy.key.get_secret_value())
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
    except DatabaseError as error:
        fail(str(error))
    try:
        try:
            migrate(engine)
            check_fingerprint(engine, config.privacy.key.get_secret_value(), config.privacy.signing_key)
        except DatabaseError as error:
            fail(str(error))
        except OtherKey as error:
            fail(f"{state.config_file}: {error}", EXIT_USAGE)
        state.started()
        yield engine
    finally:
        engine.dispose()


def chosen(config: Config, names: Sequence[str] | None) -> list[str]:
    """The instances a verb is about: those named, or all."""
    for name in names or ():
        if name not in config.instances:
            fail(f"no instance {name!r} in {state.config_file}; there are: {', '.join(config.instances)}", EXIT_USAGE)
    return list(dict.fromkeys(names or config.instances))


def print_json(value: Any, *, data: bool = False) -> None:
    """One JSON document on standard output. `data`: what the database holds, which is printed as it is."""
    sys.stdout.write(json_text(value, data=data) + "\n")
    sys.stdout.flush()


def json_text(value: Any, *, data: bool = False) -> str:
    """A value as `print_json` writes it."""
    encoded = msgspec.json.encode(value if data else _redacted(value), enc_hook=_plain)
    return visible_json(msgspec.json.format(encoded, indent=2).decode())


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {name: _redacted(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(each) for each in value]
    return value


def _plain(value: Any) -> Any:
    return str(value)


def show(value: Any, *, grouped: bool = False) -> str:
    """A value as a person reads it. `grouped`: a count, with its thousands apart; a year, an id or a coordinate is shown as it is."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if grouped and isinstance(value, float):
        return f"{value:,.1f}"
    if grouped and isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping | list | tuple):
        return msgspec.json.encode(value, enc_hook=_plain).decode()
    return str(value)


def print_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    empty: str,
    title: str | None = None,
    counts: Collection[str] = (),
    data: bool = False,
) -> None:
    """Rows as a table; `columns` maps keys to headings. What citizens typed is shown as text, never as markup.

    No number is ever shortened and no short text is cut: where the table is wider than there is room, columns without news and then the
    last ones are left out, by name, and at the end each row is turned. `counts` are the columns whose thousands are set apart. `data`: what
    somebody asked the database for; no column of it is left out, and it is printed as it is.
    """
    if not rows:
        out.print(escape(empty))
        return
    said = visible if data else told
    cells = {name: [said(show(row.get(name), grouped=name in counts)) for row in rows] for name in columns}
    heads = {name: visible(heading) for name, heading in columns.items()}
    kept = list(columns) if data else _fitting(rows, heads, cells)
    if _least(heads, cells, kept) > out.width:
        _print_turned(heads, cells, len(rows), title)
        return
    table = Table(
        title=None if title is None else told(title),
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    for name in kept:
        numbers = all(isinstance(row.get(name), int | float) or row.get(name) is None for row in rows)
        short = numbers or not _foldable(cells[name])
        table.add_column(heads[name], justify="right" if numbers else "left", overflow="fold", no_wrap=short)
    for number in range(len(rows)):
        table.add_row(*(Text(cells[name][number]) for name in kept))
    out.print(table)
    left = [heads[name] for name in columns if name not in kept]
    if left:
        err.print(
            Text(f"no room for: {', '.join(left)}; a wider terminal or --json shows them", style="dim"), soft_wrap=True
        )


def _foldable(cells: Sequence[str]) -> bool:
    return any(cell_len(each) > 24 for each in cells)


def _least(heads: Mapping[str, str], cells: Mapping[str, Sequence[str]], names: Sequence[str]) -> int:
    """The narrowest that these columns can be without shortening anything."""
    total = _GAP * (len(names) - 1)
    for name in names:
        widest = max(cell_len(line) for each in cells[name] for line in (each.splitlines() or [""]))
        total += max(cell_len(heads[name]), min(widest, _TEXT_WIDTH) if _foldable(cells[name]) else widest)
    return total


def _fitting(
    rows: Sequence[Mapping[str, Any]], heads: Mapping[str, str], cells: Mapping[str, Sequence[str]]
) -> list[str]:
    """The columns that there is room for: the first stays, what holds nothing goes first, then the last of numbers, then the last."""
    kept = list(heads)
    while len(kept) > 2 and _least(heads, cells, kept) > out.width:
        empty = [name for name in kept[1:] if all(row.get(name) in {None, 0, ""} for row in rows)]
        numbers = [name for name in kept[1:] if all(isinstance(row.get(name), int | float) for row in rows)]
        kept.remove((empty or numbers or kept)[-1])
    return kept


def _print_turned(heads: Mapping[str, str], cells: Mapping[str, Sequence[str]], count: int, title: str | None) -> None:
    """Each row as lines of name and value."""
    if title:
        out.print(Text(title, style="italic"), soft_wrap=True)
    wide = max(cell_len(each) for each in heads.values())
    for number in range(count):
        out.print(Text(f"-- {number + 1}", style="dim"))
        for name, heading in heads.items():
            padding = " " * (wide - cell_len(heading))
            out.print(Text(f"{heading}{padding}  {cells[name][number]}"), soft_wrap=True)
