"""The registry of formats: what each makes, of which views, and how the command reaches it."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ..columns import VIEWS, View
from . import bundle, csv_file, datasette, expressions, files, geojson, jsonl, parquet, sqlite_file, xlsx
from .job import ExportUsage, Job, Written

_EACH = Callable[[Job, View, Path, Written], None]
_ALL = Callable[[Job, Path, Written], None]


@dataclass(frozen=True, slots=True)
class Format:
    """A format. Exactly one of `each` (a file a view), `all` (one file for all views) and `folder` (a folder, or a .zip) is there."""

    name: str
    ending: str
    says: str
    default: tuple[str, ...] | None = ("proposals",)
    """Views where none is named; None: all that may leave."""
    public: bool = False
    """Made to be published: public views unless staff asks for others."""
    each: _EACH | None = None
    all: _ALL | None = None
    folder: _ALL | None = None
    stream: Callable[[Job, View, TextIO, Written], None] | None = None
    check: Callable[[], None] | None = None


PUBLIC = tuple(name for name, view in VIEWS.items() if view.public)
FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format(
            "csv",
            "csv",
            "CSV, with --excel as the Excel of a locale opens it",
            each=csv_file.write,
            stream=csv_file.to_stream,
        ),
        Format("xlsx", "xlsx", "a workbook with a sheet a view and one that explains every column", all=xlsx.write),
        Format("parquet", "parquet", "typed columns for DuckDB, pandas, R", each=parquet.write, check=parquet.check),
        Format("jsonl", "jsonl", "JSON Lines, an object a row", each=jsonl.write, stream=jsonl.to_stream),
        Format("geojson", "geojson", "points for QGIS and maps", ("public_proposals",), each=geojson.write),
        Format(
            "database", "db", "an SQLite file: the views as tables, with keys and indexes", None, all=sqlite_file.write
        ),
        Format(
            "bundle", "", "open data for a portal: CSV with every description", None, public=True, folder=bundle.write
        ),
        Format("datasette", "", "a folder that Datasette serves", None, public=True, folder=datasette.write),
    )
}
PABULIB = "pabulib"
NAMES = (*FORMATS, PABULIB)


def wanted(kind: Format, names: Sequence[str], *, staff: bool) -> tuple[View, ...]:
    """The views of an export: those named, or the format's own.

    Raises:
        ExportUsage: there is no such view, it never leaves, or it is for staff and nobody said so.
    """
    chosen: list[View] = []
    for name in dict.fromkeys(names):
        if name in expressions.NEVER:
            raise ExportUsage(
                f"the view {name} holds individual ballots and is never exported; `export pabulib` writes what may be told of them"
            )
        if name not in VIEWS:
            near = difflib.get_close_matches(name, VIEWS, n=3)
            more = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(VIEWS)}"
            raise ExportUsage(f"there is no view {name!r}; {more}")
        if kind.public and not VIEWS[name].public and not staff:
            raise ExportUsage(
                f"{kind.name} is made to be published, and the view {name} is for staff: it holds pseudonyms or numbers of few people. "
                f"Public are: {', '.join(PUBLIC)}. With --staff it is exported all the same"
            )
        chosen.append(VIEWS[name])
    if chosen:
        return tuple(chosen)
    if kind.default is not None:
        return tuple(VIEWS[name] for name in kind.default)
    only_public = kind.public and not staff
    return tuple(
        view for name, view in VIEWS.items() if name not in expressions.NEVER and (view.public or not only_public)
    )


def export(kind: Format, job: Job, path: Path) -> Written:
    """Write an export to its place; what was there before is replaced when all of the new is on the disk, not earlier.

    Raises:
        ExportUsage: the path does not fit the format.
        DatabaseError: the database fails.
        OSError: the disk fails.
    """
    written = Written()
    if kind.folder is not None:
        if path.suffix == ".zip":
            _zip(kind.folder, job, path, written)
        else:
            _folder(kind.folder, job, path, written)
        return written
    if kind.all is not None:
        target = path / f"civicsync.{kind.ending}" if path.is_dir() else path
        with files.beside(target, private=job.private) as temporary:
            kind.all(job, temporary, written)
        written.files.append(target)
        return written
    assert kind.each is not None
    if len(job.views) == 1 and not path.is_dir():
        with files.beside(path, private=job.private) as temporary:
            kind.each(job, job.views[0], temporary, written)
        written.files.append(path)
        return written
    if path.suffix == f".{kind.ending}":
        raise ExportUsage(f"several views make several files: name a folder, not {path}")
    _folder(_one_by_one(kind.each, kind.ending), job, path, written)
    return written


def _one_by_one(each: _EACH, ending: str) -> _ALL:
    def fill(job: Job, folder: Path, written: Written) -> None:
        for view in job.views:
            each(job, view, folder / f"{view.name}.{ending}", written)

    return fill


def _folder(fill: _ALL, job: Job, path: Path, written: Written) -> None:
    if path.exists() and not path.is_dir():
        raise ExportUsage(f"{path} is a file; name a folder, or a file that ends in .zip")
    with files.folder_beside(path, private=job.private) as temporary:
        fill(job, temporary, written)
        names = sorted(each.name for each in temporary.iterdir())
    written.files += [path / name for name in names]


def _zip(fill: _ALL, job: Job, path: Path, written: Written) -> None:
    with files.scratch(path) as folder, files.beside(path, private=job.private) as temporary:
        fill(job, folder, written)
        bundle.zipped(folder, temporary)
    written.files.append(path)
