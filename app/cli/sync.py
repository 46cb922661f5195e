"""`civicsync sync`: pull instances into the database, with progress, and a table of what happened."""

import asyncio
import re
import sys
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from sqlalchemy import Engine

from ...config import Config
from ...config.routes import SPACE
from ...connectors.contract.reading import Page
from ...core import journal as journal
from ...core.clock import Clock
from ...core.store.statistics import totals
from ...sync.pull.run import Options, PullEnd, Puller, PullOutcome
from ..stopping import stop_on_signals
from .common import (
    EXIT_FAILED,
    EXIT_STOPPED,
    EXIT_USAGE,
    chosen,
    configuration,
    database,
    err,
    fail,
    out,
    print_json,
    print_table,
)

COLUMNS = {
    "instance": "instance",
    "outcome": "outcome",
    "spaces": "spaces",
    "proposals": "proposals",
    "supports": "supports",
    "comments": "comments",
    "quarantined": "quarantined",
    "created": "new",
    "changed": "changed",
    "gone": "gone",
    "requests": "requests",
    "platform_seconds": "platform s",
    "seconds": "seconds",
}


def run(
    instances: Annotated[list[str] | None, typer.Argument(help="Which instances; all if none is named.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Read everything again, not only what seems changed.")] = False,
    space: Annotated[
        list[str] | None, typer.Option("--space", help="Only this space (kind/id); may be repeated.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Stop after about so many records per instance.")
    ] = None,
    accept_missing: Annotated[
        bool, typer.Option("--accept-missing", help="Believe that what is missing is gone, however much it is.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Pull proposals, supports, comments and answers into the database."""
    config = configuration(instances)
    names = chosen(config, instances)
    for each in space or ():
        if not re.fullmatch(SPACE, each):
            fail(f"--space {each!r} names no space; `civicsync discover` prints them, such as component/39", EXIT_USAGE)
    wanted = Options(full=full, spaces=tuple(space or ()), limit=limit, accept_missing=accept_missing)
    with database(config) as engine:
        outcomes = asyncio.run(_pull(config, engine, names, wanted, quiet=json))
        rows = [_row(engine, each) for each in outcomes]
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, empty="nothing to do", counts=COLUMNS.keys())
        _say(outcomes)
    if any(each.failed for each in outcomes):
        raise typer.Exit(EXIT_FAILED)
    if any(each.outcome is PullEnd.STOPPED for each in outcomes):
        raise typer.Exit(EXIT_STOPPED)


def _row(engine: Engine, outcome: PullOutcome) -> dict[str, Any]:
    return {
        "instance": outcome.instance,
        "outcome": outcome.outcome,
        "message": outcome.message,
        "notes": outcome.notes,
        **outcome.counts(),
        "newly_quarantined": outcome.written.quarantined,
        **totals(engine, outcome.instance),
    }


def _say(outcomes: list[PullOutcome]) -> None:
    for outcome in outcomes:
        if outcome.message:
            style = "red" if outcome.failed else "yellow"
            out.print(f"{outcome.instance}: {outcome.message}", style=style, markup=False, soft_wrap=True)
        for note in outcome.notes:
            out.print(f"{outcome.instance}: {note}", style="dim", markup=False, soft_wrap=True)


async def _pull(
    config: Config, engine: Engine, names: list[str], options: Options, *, quiet: bool
) -> list[PullOutcome]:
    stop = stop_on_signals(
        lambda: err.print("stopping after this page; press Ctrl-C again to stop at once", style="yellow")
    )
    bars = _Bars(engine, names, visible=not quiet)
    with bars:
        puller = Puller(config, engine, Clock(), progress=bars.page, stop=stop)
        return await puller.pull_all(names, options)


class _Bars:
    """A bar per instance on standard error; plain lines now and then where nobody sees a terminal."""

    def __init__(self, engine: Engine, names: list[str], *, visible: bool) -> None:
        self._live = visible and sys.stderr.isatty()
        self._lines = visible and not self._live
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[name]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[scope]}"),
            console=err,
            disable=not self._live,
            transient=False,
        )
        self._tasks: dict[str, TaskID] = {}
        self._totals: dict[str, dict[str, int]] = {}
        self._expected = {name: _last_seen(engine, name) for name in names}
        self._clock = Clock()
        self._began = self._said = self._clock.monotonic()
        for name in names:
            total = self._expected[name] or None
            self._tasks[name] = self._progress.add_task("", total=total, name=name, rate="", scope="")

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def page(self, name: str, page: Page, outcome: PullOutcome) -> None:
        """Move the bar after a page."""
        if page.total is not None:
            self._totals.setdefault(name, {})[page.scope] = page.total
        seen = outcome.written.seen
        total = max(seen, sum(self._totals.get(name, {}).values()), self._expected[name])
        passed = max(0.001, self._clock.monotonic() - self._began)
        rate = f"{seen / passed:,.0f}/s"
        self._progress.update(self._tasks[name], completed=seen, total=total, rate=rate, scope=page.scope)
        if self._lines and self._clock.monotonic() - self._said > 5:
            self._said = self._clock.monotonic()
            err.print(
                f"{name}: {seen:,} of about {total:,} records, {rate}, {outcome.requests} requests, at {page.scope}",
                markup=False,
            )


def _last_seen(engine: Engine, name: str) -> int:
    done = [row for row in journal.runs(engine, [name], 10) if row["outcome"] == PullEnd.DONE]
    return int(done[0]["seen"]) if done else 0
