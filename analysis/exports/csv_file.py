"""CSV: UTF-8, RFC 4180, or as the Excel of a locale opens it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..columns import View
from . import expressions
from .cells import csv_lines
from .excel import ExcelLocale
from .job import Job, Written

Write = Callable[[str], Any]


def write(job: Job, view: View, path: Path, written: Written) -> None:
    """Write a view to a file."""
    with path.open("w", encoding="utf-8-sig" if job.excel else "utf-8", newline="") as file:
        to_stream(job, view, file, written)


def to_stream(job: Job, view: View, stream: TextIO, written: Written) -> None:
    """Write a view to an open text stream (which makes no line ends of its own)."""
    columns = expressions.exported(view)
    dialect = job.snapshot.dialect
    locale = ExcelLocale(job.excel, job.zone) if job.excel else None
    separator = locale.separator if locale else ","
    stream.write(csv_lines([[each.name for each in columns]], separator))
    shape = locale.shape(columns) if locale else None
    sql = expressions.select(view, [expressions.plain(each, dialect) for each in columns])
    for batch in job.batches(view, sql):
        rows: Sequence[Sequence[Any]] = batch if shape is None else [shape(row) for row in batch]
        stream.write(csv_lines(rows, separator))
        written.add(view.name, len(batch))
    written.add(view.name, 0)
