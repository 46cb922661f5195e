"""`civicsync sync`: pull instances into the database, with progress, and a table of what happened."""

import asyncio
import contextlib
import re
import sys
from typing import Annotated, Any
from urllib.parse import urlsplit

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
from ...core import events
from ...core import journal as journal
from ...core.clock import Clock
from ...core.store.statistics import kinds, totals
from ...sync.pull.run import Options, PullEnd, Puller, PullOutcome
from ..refreshing import SHARE, bring_up_to_date
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
        wrong = bring_up_to_date(engine, config.privacy.k, share=SHARE)
        if wrong:
            err.print(wrong, style="yellow", markup=False, soft_wrap=True)
        rows = [_row(engine, each) for each in outcomes]
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, empty="nothing to do", counts=COLUMNS.keys())
        _say_kinds(rows)
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
        "kinds": kinds(engine, outcome.instance),
    }


def _say_kinds(rows: list[dict[str, Any]]) -> None:
    """`proposals` counts all that a platform calls otherwise, too."""
    for row in rows:
        if len(row["kinds"]) > 1:
            numbers = ", ".join(f"{many:,} {kind.replace('_', ' ')}" for kind, many in row["kinds"].items())
            out.print(f"{row['instance']}: proposals by kind: {numbers}", style="dim", markup=False, soft_wrap=True)


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
    bars = _Bars(config, engine, names, visible=not quiet)
    with bars:
        puller = Puller(config, engine, Clock(), progress=bars.page, stop=stop)
        return await puller.pull_all(names, options)


class HowFar:
    """How far a pull is: records seen, and how many there will be, as soon as anybody knows."""

    def __init__(self, last: int = 0) -> None:
        """`last`: how many the last whole run saw; 0 before the first one."""
        self.last = last
        self.seen = 0
        self._by_scope: dict[str, tuple[int, int]] = {}

    def add(self, page: Page) -> None:
        """One more page was written."""
        size = len(page.items) + len(page.present)
        self.seen += size
        seen, told = self._by_scope.get(page.scope, (0, 0))
        self._by_scope[page.scope] = (seen + size, max(told, page.total or 0))

    @property
    def total(self) -> int | None:
        """Never what was seen so far for want of anything better: "2 of 2" is no news while there are thousands to come."""
        told = any(total > seen for seen, total in self._by_scope.values())
        if not told and self.last <= self.seen:
            return None
        return max(self.last, sum(max(pair) for pair in self._by_scope.values()))


class _Bars:
    """A bar per instance on standard error; plain lines now and then where nobody sees a terminal. Questions move it as pages do."""

    def __init__(self, config: Config, engine: Engine, names: list[str], *, visible: bool) -> None:
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
        self._far = {name: HowFar(_last_seen(engine, name)) for name in names}
        self._requests = dict.fromkeys(names, 0)
        self._at = dict.fromkeys(names, "the first questions")
        self._hosts: dict[str, list[str]] = {}
        for name in names:
            self._hosts.setdefault(urlsplit(config.instances[name].url).netloc, []).append(name)
        self._clock = Clock()
        self._began = self._said = self._clock.monotonic()
        for name in names:
            total = self._far[name].total
            self._tasks[name] = self._progress.add_task("", total=total, name=name, rate="", scope="")
        self._hooks = contextlib.ExitStack()

    def __enter__(self) -> "_Bars":
        self._hooks.enter_context(events.listen(self._asked))
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.close()
        self._progress.stop()

    def page(self, name: str, page: Page, outcome: PullOutcome) -> None:
        """Move the bar after a page."""
        self._far[name].add(page)
        self._at[name] = page.scope
        self._requests[name] = max(self._requests[name], outcome.requests)
        self._show(name)

    def _asked(self, event: events.Event) -> None:
        if isinstance(event, events.RequestMade):
            for name in self._hosts.get(event.host, ()):
                self._requests[name] += 1
                self._show(name)

    def _show(self, name: str) -> None:
        far, now = self._far[name], self._clock.monotonic()
        rate = f"{far.seen / max(0.001, now - self._began):,.0f}/s, {self._requests[name]:,} requests"
        self._progress.update(self._tasks[name], completed=far.seen, total=far.total, rate=rate, scope=self._at[name])
        if self._lines and now - self._said > 5:
            self._said = now
            of = f" of about {far.total:,}" if far.total else ""
            left = _left(far, now - self._began)
            err.print(
                f"{name}: {far.seen:,}{of} records, {rate}{left}, at {self._at[name]}", markup=False, soft_wrap=True
            )


def _left(far: HowFar, passed: float) -> str:
    """About how long it still takes, where that can be told."""
    if far.total is None or not far.seen or far.seen >= far.total:
        return ""
    seconds = passed * (far.total - far.seen) / far.seen
    return f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"


def _last_seen(engine: Engine, name: str) -> int:
    done = [row for row in journal.runs(engine, [name], 10) if row["outcome"] == PullEnd.DONE]
    return int(done[0]["seen"]) if done else 0
