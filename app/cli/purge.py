"""`civicsync purge`: what was kept for as long as the configuration says goes; every run does the same, and this shows it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from sqlalchemy import Engine

from ...config import Config
from ...core import audit
from ...core.clock import Clock
from ...core.durations import term
from ...core.instances import known
from ...core.leases import Lease, LeaseLost
from ...core.masking import Masker
from ...core.store.retention import mask_stored, purge_classes
from ...sync.keeping import keeping_of
from .common import (
    EXIT_FAILED,
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

COLUMNS = {
    "instance": "instance",
    "gone": "gone",
    "comments": "comments",
    "votes": "votes",
    "versions": "versions",
    "quarantine": "quarantine",
    "authors": "names",
    "runs": "runs",
    "masked": "masked",
}


def run(
    instance: Annotated[
        list[str] | None, typer.Argument(help="Which instances; all that are stored if none is named.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Remove what is older than it is kept (`privacy` in the configuration), class by class. Again: nothing is left to do."""
    config, clock = configuration(NO_INSTANCE), Clock()
    with database(config) as engine:
        names = [each.name for each in known(engine)]
        wrong = [name for name in instance or () if name not in names]
        if wrong:
            fail(f"nothing is stored of {', '.join(wrong)}; there is: {', '.join(names) or 'nothing yet'}", EXIT_USAGE)
        rows, busy = _purge(config, engine, clock, instance or names, dry_run=dry_run)
        keep = term(config.privacy.retention.audit)
        if not dry_run and any(row["comments"] or row["gone"] for row in rows):
            from ...analysis.refresh import refresh

            refresh(engine, clock, k=config.privacy.k, everything=True)
        if not dry_run:
            from ...analysis.search import scrub

            scrub(engine)
        logged = audit.purge(engine, clock, keep, dry_run=dry_run) if keep is not None else 0
    if json:
        print_json({"instances": rows, "audit": logged, "dry_run": dry_run, "busy": busy})
    else:
        print_table(rows, COLUMNS, empty="nothing is stored yet", counts=COLUMNS.keys())
        if logged:
            out.print(f"{logged:,} entries of the audit log")
        out.print("nothing was changed: so much would go" if dry_run else "gone")
    for name in busy:
        err.print(f"{name}: a process is at work on it; its run does this at its end", style="yellow", markup=False)
    if busy:
        raise typer.Exit(EXIT_FAILED)


def _purge(
    config: Config, engine: Engine, clock: Clock, names: Sequence[str], *, dry_run: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    rows: list[dict[str, Any]] = []
    busy: list[str] = []
    for name in names:
        lease = Lease(engine, f"pull:{name}")
        if not dry_run and not lease.take():
            busy.append(name)
            continue
        try:
            held = None if dry_run else lease
            found = purge_classes(engine, name, clock.now(), keeping_of(config, name), lease=held, dry_run=dry_run)
            mask = config.privacy.mask
            masked = mask_stored(engine, name, Masker(mask), dry_run=dry_run) if mask else 0
        except LeaseLost:
            busy.append(name)
            continue
        finally:
            if not dry_run:
                lease.release()
        counts = {**asdict(found), "masked": masked}
        rows.append({"instance": name, **counts})
        if not dry_run and any(counts.values()):
            result = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            audit.record(engine, clock, action="purge", object=name, result=result)
    return rows, busy
