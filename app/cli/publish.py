"""`civicsync publish`: run routes: plan, send, look up; `--dry-run` shows the exact requests and writes nothing."""

import asyncio
import contextlib
import shutil
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import IO, Annotated, Any, Self

import msgspec
import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text
from sqlalchemy import Engine

from ...config import Config
from ...connectors.contract.exchange import Request
from ...core.clock import Clock
from ...core.ledger.ledger import Operation
from ...core.ledger.states import OperationState
from ...sync.publish.decisions import Decision
from ...sync.publish.outcome import RouteEnd, RouteOutcome, Shown
from ...sync.publish.publisher import Publisher
from ..stopping import stop_on_signals
from .common import (
    EXIT_FAILED,
    EXIT_STOPPED,
    EXIT_USAGE,
    configuration,
    database,
    err,
    fail,
    json_text,
    out,
    print_json,
    print_table,
    show,
)
from .state import state

_STATES = (
    "sent",
    "planned",
    "awaiting_approval",
    "approved",
    "unknown",
    "refused",
    "held",
    "conflict",
    "gone",
    "withdrawn",
)
COLUMNS = {
    "route": "route",
    "outcome": "outcome",
    "written_now": "written now",
    **{name: name.replace("_", " ") for name in _STATES},
    "sent": "copies there",
    "waiting": "more",
}
"""`sent` counts what stands there in all, not what this run did."""
_ACTIONS = {
    "create": "copy",
    "edit": "update the copy",
    "withdraw": "take the copy back",
    "withdraw_twin": "take back what was made beside the copy",
    "answer": "answer the copy",
    "answer_back": "tell the answer at the origin",
    "hold": "hold for a person",
    "refuse": "cannot be copied",
    "flag": "tell a person",
    "cancel": "cancel",
    "confirm": "nothing to do",
    "gone": "removed there",
    "returned": "there again",
}


def run(
    routes: Annotated[list[str] | None, typer.Argument(help="Which routes; all if none is named.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, to the letter; write and send nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy proposals along the routes of the configuration, once, and keep the copies true."""
    config = configuration()
    names = chosen_routes(config, routes)
    with database(config) as engine, _Decisions() as decisions:
        shown = decisions.take if json and dry_run else None
        outcomes = asyncio.run(_publish(config, engine, names, dry_run=dry_run, quiet=json, shown=shown))
        rows = [_row(each) for each in outcomes]
        if shown is not None:
            decisions.print(rows)
    if json and not dry_run:
        print_json(rows)
    elif json:
        pass
    elif dry_run:
        for each in outcomes:
            _print_plan(each)
    else:
        print_table(rows, _columns(rows), empty="there are no routes in the configuration")
        _say(outcomes)
    if any(each.failed for each in outcomes):
        raise typer.Exit(EXIT_FAILED)
    if any(each.outcome is RouteEnd.STOPPED for each in outcomes):
        raise typer.Exit(EXIT_STOPPED)


def chosen_routes(config: Config, names: Sequence[str] | None) -> list[str]:
    """The routes a verb is about: those named, or all."""
    for name in names or ():
        if name not in config.routes:
            known = ", ".join(config.routes) or "none"
            fail(f"no route {name!r} in {state.config_file}; there are: {known}", EXIT_USAGE)
    return list(dict.fromkeys(names or config.routes))


async def _publish(
    config: Config, engine: Engine, names: Sequence[str], *, dry_run: bool, quiet: bool, shown: Shown | None
) -> list[RouteOutcome]:
    stop = stop_on_signals(
        lambda: err.print("stopping after this write; press Ctrl-C again to stop at once", style="yellow")
    )
    live = not quiet and not dry_run and sys.stderr.isatty()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[name]}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed}"),
    )
    with Progress(*columns, console=err, disable=not live) as progress:
        tasks: dict[str, Any] = {}
        clock, finished = Clock(), Counter[str]()
        said = clock.monotonic()

        def done(instance: str, operation: Operation, ended: OperationState | None) -> None:
            nonlocal said
            finished[instance] += ended in {OperationState.SENT, OperationState.REFUSED}
            if not live and not quiet and clock.monotonic() - said > 5:
                said = clock.monotonic()
                err.print(f"{instance}: {finished[instance]} done, now {operation.route}", markup=False)
            if instance not in tasks:
                tasks[instance] = progress.add_task("", total=None, name=instance)
            progress.advance(tasks[instance])
            if ended not in {OperationState.SENT, OperationState.APPROVED} and not quiet:
                progress.console.print(
                    Text(f"{operation.route}: {operation.kind} is {ended or 'with another process'}", style="yellow")
                )

        def waiting(instance: str, why: str, seconds: float) -> None:
            progress.console.print(Text(f"{instance}: waiting {seconds:.0f} s: {why}", style="dim"), soft_wrap=True)

        publisher = Publisher(config, engine, clock, progress=done, stop=stop, waiting=waiting, shown=shown)
        return await publisher.publish(names, dry_run=dry_run)


class _Decisions:
    """The decisions of a dry run as JSON, in a file without a name, while the routes are planned: there may be tens of thousands, and what
    a route has come to, which is printed before them, is known after the last one."""

    def __init__(self) -> None:
        self._files: dict[str, IO[str]] = {}
        self._opened = contextlib.ExitStack()

    def take(self, route: str, each: Decision, requests: Sequence[Request]) -> None:
        """One decision."""
        file = self._files.get(route)
        if file is None:
            made = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115 - closed with the others
            file = self._files[route] = self._opened.enter_context(made)
        else:
            file.write(",\n")
        file.write(textwrap.indent(json_text(_decision(each, requests)), " " * 6))

    def print(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """All routes with their decisions, as one document."""
        for position, row in enumerate(rows):
            head = textwrap.indent(json_text(row).removesuffix("\n}"), "  ")
            sys.stdout.write(f'{"," if position else "["}\n{head},\n    "decisions": [')
            file = self._files.get(str(row["route"]))
            if file is not None:
                file.seek(0)
                sys.stdout.write("\n")
                shutil.copyfileobj(file, sys.stdout)
                sys.stdout.write("\n    ")
            sys.stdout.write("]\n  }")
        sys.stdout.write("\n]\n" if rows else "[]\n")
        sys.stdout.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def _row(outcome: RouteOutcome) -> dict[str, Any]:
    plan = outcome.plan
    return {
        "route": outcome.route,
        "outcome": outcome.outcome,
        "message": outcome.message,
        "warnings": outcome.warnings,
        "written": outcome.written,
        "written_now": sum(outcome.written.values()),
        **{name: outcome.counts.get(name, 0) for name in _STATES},
        "waiting": plan.waiting if plan is not None else 0,
        "skipped": plan.skipped if plan is not None else {},
        "reasons": outcome.reasons,
    }


def _decision(each: Decision, requests: Sequence[Request]) -> dict[str, Any]:
    return {
        "action": each.action,
        "origin": each.origin,
        "title": each.title,
        "why": each.why,
        "notes": list(each.notes),
        "requests": [request_json(request) for request in requests],
    }


def request_json(request: Request) -> dict[str, Any]:
    """A request as a plan shows it."""
    return {
        "method": request.method,
        "path": request.path,
        "headers": dict(request.headers),
        "form": [list(pair) for pair in request.form] if request.form is not None else None,
        "json": request.json,
    }


def print_request(request: Request) -> None:
    """A request for people."""
    out.print(Text(f"    {request.method} {request.path}", style="cyan"), soft_wrap=True)
    for name, value in request.form or ():
        out.print(Text(f"      {name} = {value}"), soft_wrap=True)
    if request.json is not None:
        lines = msgspec.json.format(msgspec.json.encode(request.json), indent=2).decode().splitlines()
        for line in lines:
            out.print(Text(f"      {line}"), soft_wrap=True)


def _print_plan(outcome: RouteOutcome) -> None:
    out.print(Text(outcome.route, style="bold"))
    if outcome.message:
        style = "red" if outcome.failed else "yellow"
        out.print(Text(f"  {outcome.outcome}: {outcome.message}", style=style), soft_wrap=True)
    for warning in outcome.warnings:
        out.print(Text(f"  ! {warning}", style="yellow"), soft_wrap=True)
    plan = outcome.plan
    if plan is None:
        return
    for each in plan.decisions:
        out.print(Text(f"  {_ACTIONS[each.action]}: {each.origin} {each.title!r}: {each.why}"), soft_wrap=True)
        for note in each.notes:
            out.print(Text(f"    ! {note}", style="yellow"), soft_wrap=True)
        for request in outcome.requests.get(f"{each.action} {each.origin}", ()):
            print_request(request)
    for why, number in plan.skipped.items():
        out.print(Text(f"  skipped {number}: {why}", style="dim"), soft_wrap=True)
    if plan.waiting:
        out.print(Text(f"  {plan.waiting} more qualify and wait for their turn (max_per_run)", style="dim"))
    if not plan.decisions:
        out.print(Text("  nothing to do", style="dim"))


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    always = {"route", "outcome", "written_now"}
    return {name: heading for name, heading in COLUMNS.items() if name in always or any(row.get(name) for row in rows)}


def _say(outcomes: Sequence[RouteOutcome]) -> None:
    for each in outcomes:
        if each.message:
            style = "red" if each.failed else "yellow"
            out.print(Text(f"{each.route}: {show(each.message)}", style=style), soft_wrap=True)
        for warning in each.warnings:
            out.print(Text(f"{each.route}: {show(warning)}", style="yellow"), soft_wrap=True)
        for why, number in (each.plan.skipped if each.plan is not None else {}).items():
            out.print(Text(f"{each.route}: skipped {number}: {why}", style="dim"), soft_wrap=True)
        for why, number in list(each.reasons.items())[:5]:
            out.print(Text(f"{each.route}: {number} {why}", style="dim"), soft_wrap=True)
        if each.plan is not None and each.plan.waiting:
            out.print(Text(f"{each.route}: {each.plan.waiting} more qualify and wait for their turn", style="dim"))
