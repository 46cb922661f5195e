"""An SQLite file for analysts: the views as tables, with types, keys, references and indexes, and nothing of our own needs."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ..columns import Column, Reference, Type, View
from . import expressions, words
from .job import Job, Written

_TYPES = {
    Type.TEXT: "TEXT",
    Type.INTEGER: "INTEGER",
    Type.NUMBER: "REAL",
    Type.BOOLEAN: "BOOLEAN",
    Type.MOMENT: "DATETIME",
    Type.DATE: "DATE",
    Type.JSON: "TEXT",
}
_ASKED_FOR = ("state", "created_at", "space_key", "target_key", "title")
"""Columns that people filter and sort by, beside keys and references."""
_BATCH = 2_000


def write(job: Job, path: Path, written: Written) -> None:
    """Write the views of the job to an SQLite file."""
    database = sqlite3.connect(path)
    try:
        # The file is new and nobody else's: it is on the disk at the end or not at all.
        for pragma in ("page_size=8192", "journal_mode=OFF", "synchronous=OFF", "cache_size=-8000"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("BEGIN")
        _describe(database, job)
        for view in job.views:
            columns = expressions.exported(view)
            database.execute(_table(view, columns, job.views))
            holes = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {expressions.quoted(view.name)} VALUES ({holes})"
            sql = expressions.select(view, [expressions.stored(each, job.snapshot.dialect) for each in columns])
            for batch in job.batches(view, sql, _BATCH):
                database.executemany(insert, batch)
                written.add(view.name, len(batch))
            written.add(view.name, 0)
            for statement in _indexes(view, columns):
                database.execute(statement)
        database.commit()
        database.execute("ANALYZE")
        database.commit()
    finally:
        database.close()


def _describe(database: sqlite3.Connection, job: Job) -> None:
    """The meaning of every column, where whoever opens the file finds it."""
    database.execute(
        "CREATE TABLE about_columns (view TEXT NOT NULL, column_name TEXT NOT NULL, type TEXT NOT NULL, unit TEXT, meaning TEXT NOT NULL, "
        "empty_means TEXT, PRIMARY KEY (view, column_name)) WITHOUT ROWID"
    )
    database.executemany(
        "INSERT INTO about_columns VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                view.name,
                each.name,
                words.type_of(each, job.language),
                words.unit_of(each, job.language) or None,
                words.meaning_of(each, job.language),
                words.empty_of(each, job.language),
            )
            for view in job.views
            for each in expressions.exported(view)
        ],
    )


def _table(view: View, columns: Sequence[Column], views: Sequence[View]) -> str:
    parts = [f"{expressions.quoted(each.name)} {_TYPES[each.type]}" for each in columns]
    if view.key:
        parts.append(f"PRIMARY KEY ({_names(view.key)})")
    parts += [
        f"FOREIGN KEY ({_names(each.columns)}) REFERENCES {expressions.quoted(each.view)} ({_names(each.their)})"
        for each in references(view, views)
    ]
    return f"CREATE TABLE {expressions.quoted(view.name)} ({', '.join(parts)})"


def references(view: View, views: Sequence[View]) -> list[Reference]:
    """Those of a view's references whose other end is exported too and is a key there; columns that are not exported count as not there."""
    there = {each.name: each for each in views}
    own = {each.name for each in expressions.exported(view)}
    return [
        each
        for each in view.references
        if each.view in there and tuple(each.their) == tuple(there[each.view].key) and set(each.columns) <= own
    ]


def _indexes(view: View, columns: Sequence[Column]) -> list[str]:
    names = {each.name for each in columns}
    wanted = [tuple(each.columns) for each in view.references if set(each.columns) <= names]
    wanted += [(name,) for name in ("instance", *_ASKED_FOR) if name in names]
    made = dict.fromkeys(each for each in wanted if each != tuple(view.key))
    return [
        f"CREATE INDEX {expressions.quoted('ix_' + '_'.join((view.name, *each)))} ON {expressions.quoted(view.name)} ({_names(each)})"
        for each in made
    ]


def _names(columns: Sequence[str]) -> str:
    return ", ".join(expressions.quoted(each) for each in columns)
