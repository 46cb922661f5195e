"""JSON Lines: one object a row, made by the database itself."""

from pathlib import Path
from typing import TextIO

from ...core.redaction import visible_json
from ..columns import View
from . import expressions
from .job import Job, Written


def write(job: Job, view: View, path: Path, written: Written) -> None:
    """Write a view to a file."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        to_stream(job, view, file, written)


def to_stream(job: Job, view: View, stream: TextIO, written: Written) -> None:
    """Write a view to an open text stream. What a terminal would obey is escaped, which changes no value."""
    sql = expressions.select(view, [expressions.json_line(expressions.exported(view), job.snapshot.dialect)])
    for batch in job.batches(view, sql):
        text = "\n".join([row[0] for row in batch])
        stream.write(text if text.isascii() and "\x7f" not in text else visible_json(text))
        stream.write("\n")
        written.add(view.name, len(batch))
    written.add(view.name, 0)
