"""`civicsync status`: what is in the database now, per instance, and how the last run went."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine

from ...core import journal as journal
from ...core.alert_counts import AlertCounts, count_alerts
from ...core.clock import Clock
from ...core.store.statistics import oldest, totals
from ...core.worker_queue import Seen, seen
from .common import NO_INSTANCE, chosen, configuration, database, err, print_json, print_table

COLUMNS = {
    "instance": "instance",
    "platform": "platform",
    "version": "version",
    "last_outcome": "last run",
    "last_ended_at": "ended",
    "spaces": "spaces",
    "proposals": "proposals",
    "supports": "supports",
    "comments": "comments",
    "quarantined": "quarantined",
    "oldest": "oldest check",
    "waiting": "missing",
    "message": "message",
}


def run(
    instances: Annotated[list[str] | None, typer.Argument(help="Which instances; all if none is named.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is in the database and how the last runs went."""
    config = configuration(NO_INSTANCE)
    with database(config) as engine:
        with engine.connect() as connection:
            counts = count_alerts(connection)
            queue = seen(connection) if config.workers else None
        rows = [_row(engine, name, config.instances[name].platform) for name in chosen(config, instances)]
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, empty="no instances", counts=COLUMNS.keys())
        if queue is not None:
            err.print(Text(_workers(queue)), soft_wrap=True)
        for line in _alerts(counts):
            err.print(Text(line, style="yellow"), soft_wrap=True)


def _workers(queue: Seen) -> str:
    said = f"workers: {queue.workers}, jobs under way: {queue.under_way}, waiting: {queue.waiting}"
    return said + (f" (the first for {queue.waits_for / 60:.0f} min)" if queue.waits_for >= 60 else "")


def _alerts(counts: AlertCounts) -> Iterator[str]:
    """What `civicsync alerts` tells more of."""
    if counts.open:
        kinds = ", ".join(f"{many} {kind.replace('_', ' ')}" for kind, many in sorted(counts.open.items()))
        yield f"open alerts: {kinds}; `civicsync alerts`"
    undelivered = sum(counts.waiting.values()) + sum(counts.given_up.values())
    if undelivered:
        yield f"{undelivered} notices were not delivered; `civicsync alerts` says why"


def _ago(moment: datetime | None) -> str:
    """How long ago, short enough for a column: 5 min, 3 h, 2 d."""
    if moment is None:
        return "never"
    minutes = max(0, int((Clock().now() - moment).total_seconds() // 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} d"


def _row(engine: Engine, name: str, platform: str) -> dict[str, Any]:
    known = journal.instance_row(engine, name)
    last = next(iter(journal.runs(engine, [name], 1)), None)
    stale = oldest(engine, name)
    return {
        "instance": name,
        "platform": platform,
        "url": known["url"] if known else None,
        "version": (known["version"] or known["dialect"]) if known else None,
        "last_outcome": last["outcome"] if last else "never",
        "last_started_at": last["started_at"] if last else None,
        "last_ended_at": last["ended_at"] if last else None,
        "last_success_at": known["last_success_at"] if known else None,
        "message": last["message"] if last else "",
        **totals(engine, name),
        "oldest": f"{stale.ref}, {_ago(stale.confirmed_at)}" if stale else None,
        "oldest_confirmed_at": stale.confirmed_at if stale else None,
        "oldest_ref": stale.ref if stale else None,
    }
