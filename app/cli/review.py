"""`civicsync review`: what waits for a person: approve, reject, look at the exact text and what changes."""

import asyncio
import difflib
import getpass
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine

from ...config import Config
from ...connectors.contract.errors import ConnectorError
from ...connectors.contract.writing import Reading
from ...core import audit
from ...core.clock import Clock
from ...core.ledger.ledger import Ledger, Operation, Publication
from ...core.ledger.states import OperationKind, OperationState, waits_for_person
from ...sync.publish.review import Reviewer, Ruling, look
from ...sync.render.render import draft_of, fingerprint
from .common import EXIT_FAILED, EXIT_USAGE, configuration, database, fail, out, print_json, print_table
from .publish import chosen_routes

app = typer.Typer(help="What waits for a person before it is published.", no_args_is_help=True, rich_markup_mode=None)
COLUMNS = {
    "id": "id",
    "route": "route",
    "action": "action",
    "state": "state",
    "origin": "origin",
    "title": "title",
    "why": "why",
    "since": "since",
}
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Ids = Annotated[list[str] | None, typer.Argument(help="The ids that `review list` shows.")]
Everything = Annotated[bool, typer.Option("--all", help="Everything that waits (of --route, if that is given).")]
OfRoute = Annotated[str | None, typer.Option("--route", help="Only this route.")]


@app.command("list")
def list_(route: OfRoute = None, json: Json = False) -> None:
    """List what waits for a person, and why."""
    config = configuration()
    with database(config) as engine:
        rows = _waiting(config, engine, route)
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, empty="nothing waits for a person")


@app.command("show")
def show(
    own: Annotated[str, typer.Argument(metavar="ID", help="The id that `review list` shows.")], json: Json = False
) -> None:
    """Show one of them whole, with what stands on the platform now; for an edit also the difference between both."""
    config = configuration()
    with database(config) as engine:
        reviewer = Reviewer(config, engine, Clock(), _who())
        ledger = reviewer.ledger
        publication = _publication(ledger, own)
        op = _open(ledger, publication)
        now, trouble = _now(config, publication)
        if op is not None:
            reviewer.show(publication, op, now)
        events = ledger.events(publication.id)
    story: dict[str, Any] = {**_story(publication, op, now), "trouble": trouble}
    if json:
        print_json({**story, "events": events})
        return
    for name in ("id", "route", "action", "state", "origin", "target", "copy", "why"):
        if story[name]:
            out.print(Text(f"{name:8} {story[name]}"), soft_wrap=True)
    if trouble:
        out.print(Text(f"! what stands there cannot be told now: {trouble}", style="yellow"), soft_wrap=True)
    for note in story["notes"]:
        out.print(Text(f"! {note}", style="yellow"), soft_wrap=True)
    for line in story["diff"]:
        style = (
            "green"
            if line.startswith("+")
            else "red"
            if line.startswith("-")
            else "dim"
            if line.startswith("@")
            else ""
        )
        out.print(Text(line, style=style), soft_wrap=True)
    if story["now"] and not story["diff"]:
        out.print(Text(f"\n[there now] {story['now']['title']}", style="bold"), soft_wrap=True)
        out.print(Text(story["now"]["plain"]), soft_wrap=True)
    if not story["diff"]:
        for locale, text in story["texts"].items():
            out.print(Text(f"\n[{locale}] {text['title']}", style="bold"), soft_wrap=True)
            out.print(Text(text["plain"]), soft_wrap=True)


@app.command("approve")
def approve(ids: Ids = None, everything: Everything = False, route: OfRoute = None, json: Json = False) -> None:
    """Let these be sent by the next `civicsync publish`."""
    _decide(ids, everything, route, json, approved=True, reason="")


@app.command("reject")
def reject(
    ids: Ids = None,
    everything: Everything = False,
    route: OfRoute = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "",
    json: Json = False,
) -> None:
    """Never send these; a later change of the origin asks again only for copies that exist."""
    _decide(ids, everything, route, json, approved=False, reason=reason)


@app.command("reopen")
def reopen(ids: Ids = None, json: Json = False) -> None:
    """Make a copy anew whose copy was taken back, removed on its platform, rejected or refused."""
    config = configuration()
    with database(config) as engine:
        reviewer = Reviewer(config, engine, Clock(), _who())
        rulings = {own: reviewer.reopen(_publication(reviewer.ledger, own)) for own in ids or ()}
        for own, ruling in rulings.items():
            audit.record(engine, Clock(), action="reopen", object=own, result=ruling.value)
    results = [{"id": own, "outcome": ruling} for own, ruling in rulings.items()]
    _print_results(results, json, whole=all(ruling.taken for ruling in rulings.values()))


@app.command("resume")
def resume(routes: Annotated[list[str], typer.Argument(help="Routes that were halted.")], json: Json = False) -> None:
    """Start a route again that halted itself; a password that its platforms refused is tried again."""
    config = configuration()
    with database(config) as engine:
        ledger = Ledger(engine, Clock())
        for name in chosen_routes(config, routes):
            ledger.save_route(name, halted_at=None, halted_reason="", resumed_at=ledger.clock.now())
            for instance in (config.routes[name].to.instance, config.routes[name].source.instance):
                ledger.try_again(instance)
    _print_results([{"id": name, "outcome": "resumed"} for name in routes], json, whole=True)


def _decide(
    ids: Sequence[str] | None, everything: bool, route: str | None, json: bool, *, approved: bool, reason: str
) -> None:
    if bool(ids) == everything:
        fail("name the ids that `review list` shows, or say --all", EXIT_USAGE)
    config = configuration()
    results: list[dict[str, Any]] = []
    whole = True
    with database(config) as engine:
        reviewer = Reviewer(config, engine, Clock(), _who())
        chosen: Iterable[str] = ids or [row["id"] for row in _waiting(config, engine, route)]
        for own in chosen:
            publication = _publication(reviewer.ledger, own)
            if route is not None and publication.route != route:
                continue
            approve, reject = partial(reviewer.approve, named=not everything), partial(reviewer.reject, reason=reason)
            ruling = (approve if approved else reject)(publication)
            # Whoever approves everything approves what can be approved so.
            whole &= ruling.taken or (
                everything and ruling in {Ruling.ONLY_REOPENED, Ruling.NAME_IT, Ruling.LOOK_FIRST}
            )
            results.append({"id": own, "outcome": ruling})
            audit.record(engine, Clock(), action="approve" if approved else "reject", object=own, result=ruling.value)
    _print_results(results, json, whole=whole)


def _print_results(results: Sequence[dict[str, Any]], json: bool, *, whole: bool) -> None:
    if json:
        print_json(results)
    else:
        print_table(results, {"id": "id", "outcome": "outcome"}, empty="nothing waits for a person")
    if not whole:
        raise typer.Exit(EXIT_FAILED)


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _waiting(config: Config, engine: Engine, route: str | None) -> list[dict[str, Any]]:
    if route is not None:
        chosen_routes(config, [route])
    ledger = Ledger(engine, Clock())
    rows: list[dict[str, Any]] = []
    operations = {
        op.publication_id: op for op in ledger.operations(states=(OperationState.AWAITING_APPROVAL,), route=route)
    }
    for own in ledger.publications(route=route):
        op = operations.get(own.id)
        if op is not None or waits_for_person(own.state, own.reason_code):
            rows.append(_line(own, op))
    return rows


def _line(own: Publication, op: Operation | None) -> dict[str, Any]:
    since: datetime = op.created_at if op is not None else own.changed_at
    return {
        "id": own.id,
        "route": own.route,
        "action": op.kind if op is not None else "decide",
        "state": op.state if op is not None else own.state,
        "origin": own.origin_key,
        "title": own.title,
        "why": (op.error if op is not None else "") or own.reason,
        "since": since,
    }


def _now(config: Config, own: Publication) -> tuple[Reading | None, str]:
    """What stands on the platform, and why that cannot be told."""
    if own.remote_ref is None or own.target_instance not in config.instances:
        return None, ""
    try:
        return asyncio.run(look(config, own, Clock())), ""
    except ConnectorError as error:
        return None, str(error)


def _story(own: Publication, op: Operation | None, now: Reading | None) -> dict[str, Any]:
    texts = _texts(op.payload if op is not None else own.sent_payload)
    diff: list[str] = []
    if op is not None and op.kind is OperationKind.EDIT:
        old = _texts(own.sent_payload)
        main = (op.payload or {}).get("locale")
        changed = now is not None and fingerprint(now.title, now.plain) != own.copy_print
        for locale, text in texts.items():
            before, name = old.get(locale, {"title": "", "plain": ""}), "copy as it was sent"
            if now is not None and locale == main:
                # Unchanged it is what was sent, which has the links written out as the new text has.
                before, name = {"title": now.title, "plain": now.plain} if changed else before, "copy now"
            there, then = (f"{each['title']}\n\n{each['plain']}".splitlines() for each in (before, text))
            diff += difflib.unified_diff(there, then, name, f"copy then [{locale}]", lineterm="")
    return {
        **_line(own, op),
        "target": f"{own.target_instance}/{own.target_space}",
        "copy": own.url or own.remote_ref,
        "notes": list(op.notes or ()) if op is not None else [],
        "texts": texts,
        "now": {"title": now.title, "plain": now.plain} if now is not None else None,
        "diff": diff,
    }


def _texts(payload: dict[str, Any] | None) -> dict[str, dict[str, str]]:
    if not payload or "texts" not in payload:
        return {}
    if "state" in payload:
        return {locale: {"title": text["title"], "plain": text["plain"]} for locale, text in payload["texts"].items()}
    return {locale: {"title": text.title, "plain": text.plain} for locale, text in draft_of(payload).texts.items()}


def _open(ledger: Ledger, own: Publication) -> Operation | None:
    return next(iter(ledger.operations(publication=own.id)), None)


def _publication(ledger: Ledger, own: str) -> Publication:
    found = ledger.publication(own) or next(
        (each for each in ledger.publications() if own in {each.origin_key, each.copy_key, each.url}), None
    )
    if found is None:
        fail(f"no publication {own!r}; `civicsync review list` shows what waits")
    return found
