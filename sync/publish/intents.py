"""From decisions to intents: what a plan wants is written into the ledger before anything is sent; and what was lost is put back.

Asks platforms only in `adopt`, and only to read.
"""

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from ...config.routes import Route
from ...connectors.contract.writing import CanFind, Copy, Reading
from ...core.ledger.ledger import QUEUED, DuplicateCopy, Ledger, Publication, copy_columns, publication_id
from ...core.ledger.marker import Signer, markers_in
from ..origins import load_origins, new_origins
from ..render.render import fingerprint
from .decisions import REFUSED_EDIT, Decision, lane_of

_TOLD = {"refused", "held", "conflict", "stuck", "gone"}
_UNDER_WAY = ("sending", "unknown")
_HOUR = timedelta(hours=1)
"""CONSUL tells times only to the hour."""


def write_down(ledger: Ledger, name: str, route: Route, decision: Decision, *, first: bool) -> None:
    """One decision into the ledger."""
    own = decision.publication
    state = "approved" if route.approval == "automatic" else "awaiting_approval"
    if first and plans_first(route):
        state = "planned"
    if own is not None and own.state == "released":
        state = "approved"  # a person let it through already
    if own is None:
        begin = {"create": state, "hold": "held", "refuse": "refused"}[decision.action]
        own = ledger.open_publication(
            route=name,
            origin_key=decision.origin,
            target_instance=route.to.instance,
            target_space=route.to.space,
            state=begin,
            marker=decision.marker,
            title=decision.title,
        )
        if own.copy_key is not None:
            return
        if decision.action != "create":
            ledger.update_publication(own, event=begin, detail=decision.why, reason=decision.why)
    match decision.action:
        case "create":
            ledger.update_publication(
                own, event="wanted", detail=decision.why, state=state, title=decision.title, reason=""
            )
            _intend(ledger, own, decision, state)
        case "edit":
            # Found again, and other than its origin: nobody knows any more who changed which.
            doubtful = own.sent_hash is None and route.conflict != "origin_wins"
            _intend(ledger, own, decision, "awaiting_approval" if own.state == "conflict" or doubtful else state)
        case "withdraw":
            # Taking something back never waits for approval: the origin's author or moderator has decided.
            ledger.intend(own, "withdraw", "text", "approved", payload={"reason": decision.why}, notes=[decision.why])
        case "answer" | "answer_back":
            to = route.to.instance if decision.action == "answer" else route.source.instance
            _intend(ledger, own, decision, state, target_instance=to)
        case "confirm":
            values = {"sent_hash": decision.payload_hash, "sent_payload": decision.payload}
            ledger.update_publication(own, event="compared", detail=decision.why, **values)
        case "cancel":
            ledger.cancel(own, "text", decision.why)
            if own.copy_key is None:
                ledger.update_publication(
                    own, event="cancelled", detail=decision.why, state="cancelled", reason=decision.why
                )
            elif own.reason.startswith(REFUSED_EDIT):
                ledger.update_publication(own, event="cancelled", detail=decision.why, reason="")
        case "gone":
            ledger.cancel(own, "text", decision.why)
            ledger.update_publication(own, event="gone", detail=decision.why, state="gone", reason=decision.why)
        case "returned":
            ledger.update_publication(own, event="returned", detail=decision.why, state="sent", reason="")
        case "flag" | "refuse" if decision.publication is not None:
            ledger.update_publication(own, event=decision.action, detail=decision.why, reason=decision.why)
        case _:
            pass


def _intend(ledger: Ledger, own: Publication, decision: Decision, state: str, **more: Any) -> None:
    ledger.intend(
        own,
        decision.action,
        lane_of(decision.action),
        state,
        payload=decision.payload,
        payload_hash=decision.payload_hash,
        notes=list(decision.notes),
        **more,
    )


class Adopted(NamedTuple):
    """A copy that is in the ledger again. `forgotten`: this ledger never knew that it was tried, so it was lost or restored."""

    publication: Publication
    forgotten: bool


async def adopt(
    ledger: Ledger,
    signer: Signer,
    writer: CanFind,
    read: Callable[[Copy], Awaitable[Reading | None]],
    instance: str,
    space: str,
    routes: Mapping[str, str],
    *,
    stop_at_known: bool,
) -> list[Adopted]:
    """Put copies of ours that the ledger does not know back into it, by their signed markers; returns what was found.

    `routes`: by origin instance, the route that leads from there to `space`. `stop_at_known`: a ledger that was restored from a
    backup lacks the newest only, so a run of known ones ends the search.
    """
    known, adopted, run = ledger.copies(), list[Adopted](), 0
    async for made in writer.authored(space):
        if f"{instance}/{made.copy.ref}" in known:
            run += 1
            if stop_at_known and run >= 30:
                break
            continue
        marker = next((m for m in markers_in(made.text) if signer.is_ours(m, instance, space)), None)
        route = routes.get(marker.origin.partition("/")[0]) if marker is not None else None
        if marker is None or route is None:
            continue
        before = ledger.publication(publication_id(marker.origin, instance, space))
        if not made.copy.complete or (before is not None and (before.copy_key or before.state in _UNDER_WAY)):
            continue  # known under another number, or just what a lookup is for
        own = before or ledger.open_publication(
            route=route,
            origin_key=marker.origin,
            target_instance=instance,
            target_space=space,
            state="sent",
            marker=str(marker),
            title=made.title,
        )
        tried = any(op.first_sent_at is not None for op in ledger.operations(publication=own.id))
        # A list shows a text in another form than the copy's own page, with which it is compared from now on.
        reading = await read(made.copy)
        ledger.cancel(own, "text", "the copy is there already")
        where = copy_columns(instance, made.copy.ref, made.copy.url, made.copy.how)
        with contextlib.suppress(DuplicateCopy):
            where |= {
                "sent_at": made.created_at or ledger.clock.now(),
                "copy_print": fingerprint(reading.title, reading.plain) if reading is not None else None,
            }
            state, reason = _standing(reading)
            ledger.update_publication(own, event="adopted", detail=made.copy.url, state=state, reason=reason, **where)
            adopted.append(Adopted(own, forgotten=not tried))
    return adopted


def hold_older(ledger: Ledger, signer: Signer, name: str, route: Route, adopted: Sequence[Adopted]) -> int:
    """After copies were found that the ledger had lost: what is older than they are and has no copy waits for a person.

    Its copy may have been hidden or removed by a moderator before the ledger was lost, and must not be made again unasked.
    """
    forgotten = [each.publication.id for each in adopted if each.forgotten and each.publication.route == name]
    moments = [own.sent_at for own in ledger.publications(ids=forgotten) if own.sent_at is not None]
    if not moments:
        return 0
    newest, held = max(moments) + _HOUR, 0
    why = "it is older than copies that were found again, and its own was not found: it may have been removed there"
    queued = {own.origin_key: own for own in ledger.publications(route=name) if own.state in QUEUED}
    wanted = new_origins(ledger.engine, route, ledger.clock.now(), ledger.accounts(route.source.instance))
    for origin in load_origins(ledger.engine, [*queued, *wanted]).values():
        moment = origin.published_at or origin.created_at
        if moment is None or moment > newest:
            continue
        own = queued.get(origin.key) or ledger.open_publication(
            route=name,
            origin_key=origin.key,
            target_instance=route.to.instance,
            target_space=route.to.space,
            state="held",
            marker=str(signer.marker(origin.key, route.to.instance, route.to.space)),
            title=origin.title,
        )
        ledger.cancel(own, "text", why)
        ledger.update_publication(own, event="held", detail=why, state="held", reason=why)
        held += 1
    return held


def _standing(reading: Reading | None) -> tuple[str, str]:
    if reading is None:
        return "gone", "the copy is not there any more: a moderator may have removed it"
    return ("withdrawn" if reading.withdrawn else "sent"), ""


def count(ledger: Ledger, route: str) -> dict[str, int]:
    """How many publications of a route are in which state."""
    found: dict[str, int] = {}
    for own in ledger.publications(route=route):
        found[own.state] = found.get(own.state, 0) + 1
    return found


def reasons(ledger: Ledger, route: str) -> dict[str, int]:
    """Why publications of a route are refused, held or left alone, with how many of each, most frequent first."""
    told = Counter(
        f"{own.state}: {own.reason}"
        for own in ledger.publications(route=route)
        if own.reason and (own.state in _TOLD or own.reason.startswith(REFUSED_EDIT))
    )
    return dict(told.most_common())


def plans_first(route: Route) -> bool:
    """With approval required nothing is sent before a person said so, which is more than a plan-only run."""
    return route.first_run == "plan" and route.approval == "automatic"
