"""`civicsync report`: reports for people."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import typer

from ...analysis.exports.files import beside
from ...analysis.reports.monthly import Monthly, Period, gather
from ...config import Config
from ...core.clock import Clock
from ..refreshing import bring_up_to_date
from .common import EXIT_STOPPED, EXIT_USAGE, NO_INSTANCE, configuration, database, err, fail, out, print_json

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
ENDINGS = (".html", ".pdf", ".xlsx")


@app.callback()
def group() -> None:
    """Reports for people."""


@app.command()
def monthly(
    path: Annotated[Path, typer.Argument(help="The file; its ending decides: .html, .pdf or .xlsx.", metavar="PATH")],
    month: Annotated[
        str | None, typer.Option("--month", help="Such as 2026-10. Unset: the last one that is over.", metavar="MONTH")
    ] = None,
    language: Annotated[Literal["nl", "en"], typer.Option("--language", help="Of the report.")] = "nl",
    instance: Annotated[
        list[str] | None, typer.Option("--instance", help="Only this instance; may be repeated.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: the file, the month and the summary.")] = False,
) -> None:
    """What was asked in a month, where support grew, what is unanswered and for how long, the frozen top list, and more."""
    if path.suffix.lower() not in ENDINGS:
        fail(f"{path}: the ending decides what it becomes; use one of {', '.join(ENDINGS)}", EXIT_USAGE)
    if not path.absolute().parent.is_dir():
        fail(f"{path}: there is no folder {path.absolute().parent}; make it first", EXIT_USAGE)
    config = configuration(NO_INSTANCE)
    clock = Clock()
    period = _period(config, month, clock.now())
    for each in instance or ():
        if each not in config.instances:
            fail(f"no instance {each!r}; there are: {', '.join(config.instances)}", EXIT_USAGE)
    with database(config) as engine:
        wrong = bring_up_to_date(engine, config.privacy.k)
        if wrong:
            err.print(wrong, style="yellow", markup=False, soft_wrap=True)
        with engine.connect() as connection:
            report = gather(connection, period, instance or list(config.instances), clock.now(), k=config.privacy.k)
    if not report.activity:
        fail("there is nothing in the database yet; `civicsync sync` fills it")
    sentences = _written(config, report, language, path)
    if json:
        print_json({"path": str(path), "month": period.name, "language": language, "summary": sentences})
        return
    for sentence in sentences:
        out.print(sentence, markup=False, soft_wrap=True)
    out.print(f"\nwritten: {path}", markup=False, soft_wrap=True)


def _period(config: Config, month: str | None, now: datetime) -> Period:
    zone = ZoneInfo(config.time_zone)
    current = Period.of(f"{now.astimezone(zone):%Y-%m}", zone)
    if month is None:
        return current.before()
    try:
        period = Period.of(month, zone)
    except ValueError as error:
        fail(f"--month: {error}", EXIT_USAGE)
    if period.start > now:
        fail(f"--month: {month} has not begun yet", EXIT_USAGE)
    if period.name == current.name:
        err.print(f"{month} is not over yet: these are the figures until now", style="yellow", markup=False)
    return period


def _written(config: Config, report: Monthly, language: str, path: Path) -> list[str]:
    """Write the file; it is there whole or not at all. Returns the summary."""
    from ...analysis.reports import pdf, workbook
    from ...analysis.reports.page import html
    from ...analysis.reports.summary import summary
    from ...analysis.reports.words import Words

    words = Words(language, ZoneInfo(config.time_zone))
    operator = config.operator.name
    try:
        with beside(path, private=False) as temporary:
            match path.suffix.lower():
                case ".pdf":
                    pdf.write(html(report, words, operator), temporary)
                case ".xlsx":
                    workbook.write(report, words, operator, temporary)
                case _:
                    temporary.write_text(html(report, words, operator), encoding="utf-8")
    except pdf.NoPdf as error:
        fail(f"{path}: {error}")
    except OSError as error:
        fail(f"{path} cannot be written ({error.strerror or type(error).__name__}); nothing there was changed")
    except KeyboardInterrupt:
        sys.stderr.flush()
        fail("stopped; nothing was written", EXIT_STOPPED)
    return summary(report, words)
