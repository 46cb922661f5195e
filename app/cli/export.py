"""`civicsync export`: what people take away, as files."""

import io
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ...analysis.exports import formats
from ...analysis.exports.catalogue import Catalogue
from ...analysis.exports.excel import ExcelLocale, UnknownLocale
from ...analysis.exports.job import ExportError, ExportUsage, Job, Written
from ...analysis.exports.snapshot import snapshot
from ...config import Config
from ...core import audit
from ...core.clock import Clock
from ...core.schema.failures import DatabaseError, database_failure
from ..refreshing import bring_up_to_date
from .common import (
    EXIT_STOPPED,
    EXIT_USAGE,
    NO_INSTANCE,
    configuration,
    database,
    err,
    fail,
    out,
    print_json,
    print_table,
)

_FORMATS = "csv, xlsx, parquet, jsonl, geojson, database, bundle, datasette or pabulib"


def run(
    what: Annotated[str, typer.Argument(help=f"{_FORMATS}.", metavar="FORMAT")],
    path: Annotated[
        str,
        typer.Argument(help="A file; a folder for several views; - for standard output (csv, jsonl).", metavar="PATH"),
    ],
    view: Annotated[
        list[str] | None, typer.Option("--view", help="Which view; may be repeated. Unset: what suits the format.")
    ] = None,
    language: Annotated[Literal["nl", "en"], typer.Option("--language", help="Of explanations.")] = "nl",
    excel: Annotated[
        str | None, typer.Option("--excel", help="A locale such as nl, de or en-GB: CSV as its Excel opens it.")
    ] = None,
    staff: Annotated[
        bool, typer.Option("--staff", help="bundle, datasette: also views that are not public (with pseudonyms).")
    ] = False,
    budget: Annotated[
        list[str] | None, typer.Option("--budget", help="pabulib: which budget, by key or name; may be repeated.")
    ] = None,
    ballots: Annotated[
        Path | None,
        typer.Option("--ballots", help="pabulib: your own ballots, a CSV file with the columns voter and project."),
    ] = None,
    dates: Annotated[
        str | None, typer.Option("--dates", help="pabulib, with --ballots: when people voted, BEGIN..END.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: the files, rows and notes.")] = False,
) -> None:
    """Write views as files; nothing is ever half written. Individual ballots leave only as pabulib."""
    if what not in formats.NAMES:
        fail(f"there is no format {what!r}; there are {_FORMATS}", EXIT_USAGE)
    for name, given in (("--budget", budget), ("--ballots", ballots), ("--dates", dates)):
        if given and what != formats.PABULIB:
            fail(f"{name} is for pabulib only", EXIT_USAGE)
    if excel and what not in {"csv", "xlsx"}:
        fail("--excel is for csv (and the dates of xlsx) only", EXIT_USAGE)
    if path == "-" and json:
        fail("standard output is either the data or --json", EXIT_USAGE)
    config = configuration(NO_INSTANCE)
    watcher = _Watcher(quiet=json)
    try:
        with _from_usage():
            if excel:
                ExcelLocale(excel)
            kind = formats.FORMATS.get(what)
            views = formats.wanted(kind, view or (), staff=staff) if kind else ()
            if kind and kind.check:
                kind.check()
        with database(config) as engine:
            wrong = bring_up_to_date(engine, config.privacy.k)
            if wrong:
                err.print(wrong, style="yellow", markup=False, soft_wrap=True)
            with _from_usage(), snapshot(engine) as reading:
                job = Job(
                    reading,
                    views,
                    language=language,
                    excel=excel,
                    zone=ZoneInfo(config.time_zone),
                    staff=staff,
                    catalogue=_catalogue(config),
                    now=Clock().now(),
                    progress=watcher.told,
                )
                written = _write(what, job, path, budget or (), ballots, dates)
            if job.private or kind is None:
                _log(engine, what, path, written)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        fail(f"export: {path} cannot be written ({error.strerror or type(error).__name__}); nothing there was changed")
    except KeyboardInterrupt:
        fail("stopped; nothing was written", EXIT_STOPPED)
    watcher.end()
    _tell(written, json=json, quiet=path == "-")


def _log(engine: Engine, what: str, path: str, written: Written) -> None:
    """Pseudonyms or ballots left the house: that is an entry of the audit log; public data is none."""
    place = ", ".join(str(each) for each in written.files[:3]) or path
    try:
        audit.record(
            engine,
            Clock(),
            action="export",
            object=f"{what}: {', '.join(written.rows)}",
            result=f"{sum(written.rows.values())} rows to {place}",
        )
    except DBAPIError as error:
        written.notes.append(f"the audit log could not be written: {database_failure(error)}")


def _write(
    what: str, job: Job, path: str, budget: list[str] | tuple[str, ...], ballots: Path | None, dates: str | None
) -> Written:
    if what == formats.PABULIB:
        if path == "-":
            raise ExportUsage("pabulib writes files: name one, or a folder")
        from ...analysis.exports import pabulib

        return pabulib.export(job, _place(path), budget, ballots, dates)
    kind = formats.FORMATS[what]
    if what == "geojson":
        from ...analysis.exports import geojson

        for each in job.views:
            geojson.check(each)
    if what == "bundle":
        from ...analysis.exports import bundle

        bundle.check(job.catalogue)
    if path != "-":
        return formats.export(kind, job, _place(path))
    if kind.stream is None:
        raise ExportUsage(f"{what} cannot go to standard output; name a file (csv and jsonl can)")
    if len(job.views) != 1:
        raise ExportUsage("standard output takes one view")
    written = Written()
    stream = io.TextIOWrapper(
        sys.stdout.buffer, encoding="utf-8-sig" if job.excel else "utf-8", newline="", write_through=False
    )
    try:
        kind.stream(job, job.views[0], stream, written)
        stream.flush()
    finally:
        stream.detach()
    return written


def _place(path: str) -> Path:
    """Where to write, in full.

    Raises:
        ExportUsage: the folder above is not there.
    """
    place = Path(path).expanduser().resolve()
    if not place.parent.is_dir():
        raise ExportUsage(f"the folder {place.parent} does not exist")
    return place


@contextmanager
def _from_usage() -> Generator[None]:
    try:
        yield
    except (ExportUsage, UnknownLocale) as error:
        fail(str(error), EXIT_USAGE)
    except (ExportError, DatabaseError) as error:
        fail(str(error))


def _catalogue(config: Config) -> Catalogue:
    block = config.catalogue
    return Catalogue(
        title=block.title,
        description=block.description,
        publisher_name=block.publisher.name,
        publisher_uri=block.publisher.uri or "",
        contact_name=block.contact.name,
        contact_mail=block.contact.mail or "",
        licence=block.licence or "",
        landing_page=block.landing_page or "",
        files=block.files or "",
        theme=block.theme,
        access_rights=block.access_rights,
        spatial=block.spatial or "",
        country=block.country,
        currency=block.currency,
    )


class _Watcher:
    """Tells on standard error how far it is: one line that moves on a terminal, else a line now and then."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._clock = Clock()
        self._began = self._said = self._clock.monotonic()
        self._live = sys.stderr.isatty()
        self._drawn = False

    def told(self, view: str, rows: int) -> None:
        """So many rows of a view are written."""
        now = self._clock.monotonic()
        if self._quiet or now - self._said < (0.2 if self._live else 5):
            return
        self._said = now
        line = f"{view}: {rows:,} rows, {now - self._began:.0f} s"
        if self._live:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
            self._drawn = True
        else:
            err.print(line, markup=False)

    def end(self) -> None:
        """Take the moving line away."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _tell(written: Written, *, json: bool, quiet: bool) -> None:
    if json:
        print_json({"files": [str(each) for each in written.files], "rows": written.rows, "notes": written.notes})
        return
    if not quiet:
        rows = [{"view": name, "rows": rows} for name, rows in written.rows.items()]
        print_table(rows, {"view": "view", "rows": "rows"}, empty="nothing to write", counts={"rows"})
        for each in written.files:
            out.print(f"written: {each}", markup=False, soft_wrap=True)
    for note in written.notes:
        err.print(note, style="yellow", markup=False, soft_wrap=True)
