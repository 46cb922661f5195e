"""Copies of ours that the ledger does not know (it was lost, or restored from a backup), put back into it by their signed markers.

Asks the platform, and only to read; writes only the ledger.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ...config.routes import Route
from ...connectors.contract.errors import ConnectorError
from ...connectors.contract.writing import Authored, CanFind, Copy, Reading
from ...core import events
from ...core.identity import Ref, by_number
from ...core.ledger.ledger import (
    SETTLED,
    DuplicateCopy,
    Ledger,
    Operation,
    Publication,
    copy_columns,
    publication_id,
    told,
)
from ...core.ledger.marker import Marker, Signer, markers_in
from ...core.ledger.states import QUEUED, Lane, OperationKind, OperationState, PublicationState, Reason
from ..origins import Marked, load_origins, marked_texts, new_origins
from ..render import phrases
from ..render.render import fingerprint
from .sending import tell_twins, twins_told, withdraw_twins

_QUEUED = (PublicationState.PLANNED, PublicationState.AWAITING_APPROVAL, PublicationState.APPROVED)
_UNDER_WAY = (PublicationState.SENDING, PublicationState.UNKNOWN)
_HOUR = timedelta(hours=1)
"""CONSUL tells times only to the hour."""


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
    keep_first: Collection[str] = (),
    moved_to: Mapping[Ref, Sequence[Marked]] | None = None,
) -> list[Adopted]:
    """Put copies of ours that the ledger does not know back into it, by their signed markers; returns what was found.

    `routes`: by origin instance, the route that leads from there to `space`; `keep_first`: those of them where the copy made first stays
    and others with its marker are taken back. `stop_at_known`: a ledger that was restored from a backup lacks the newest only, so a run
    of known ones ends the search. `moved_to`: where else copies that were made in `space` may be by now (`moved_from`).
    """
    adopted, listed = list[Adopted](), list[Authored]()
    known = await asyncio.to_thread(ledger.copies)
    await _list(writer, space, instance, known, listed, stop_at_known=stop_at_known)
    for place, seen in (moved_to or {}).items():
        try:
            await _list(writer, place, instance, known, listed, stop_at_known=stop_at_known)
        except ConnectorError as error:
            # The own space was read, and one place beside it must not stop all routes that lead here.
            events.emit(events.Warned(instance, type(error).__name__))
            await asyncio.to_thread(_wait_for, ledger, signer, seen, instance, space, routes)
    for marker, found in _candidates(signer, listed, instance, space).items():
        route = routes.get(marker.origin.partition("/")[0])
        if route is None:
            continue
        first = found.plain[0] if found.plain else None
        if first is None:
            await asyncio.to_thread(_ask, ledger, marker, found, instance, space, route)
            continue
        own = await asyncio.to_thread(_recognised, ledger, first, marker, instance, space, route)
        if own is None:
            continue
        # What is public counts; what was taken back with the same marker does not.
        standing = [each.copy.ref for each in found.plain if not each.copy.withdrawn]
        asked = [each.copy.ref for each in found.mixed if not each.copy.withdrawn]
        if own.copy_key is not None:
            others = standing
            await asyncio.to_thread(tell_twins, ledger, own, [*others, *asked])
        else:
            listed_too = [each for each in first.copy.twins if each not in asked]
            others = list(dict.fromkeys(each for each in (*standing, *listed_too) if each != first.copy.ref))
            # A list shows a text in another form than the copy's own page, with which it is compared from now on.
            reading = await read(first.copy)
            taken = await asyncio.to_thread(_take_in, ledger, own, first, reading, [*others, *asked])
            adopted += [taken] if taken is not None else []
        if others and route in keep_first:
            now = await asyncio.to_thread(ledger.publication, own.id)
            await asyncio.to_thread(withdraw_twins, ledger, now or own, others)
    return adopted


async def _list(
    writer: CanFind, place: Ref, instance: str, known: Collection[str], listed: list[Authored], *, stop_at_known: bool
) -> None:
    run = 0
    async for made in writer.authored(place):
        if f"{instance}/{made.copy.ref}" not in known:
            listed.append(made)
            continue
        run += 1
        if stop_at_known and run >= 30:
            return


def moved_from(ledger: Ledger, signer: Signer, instance: str, space: str) -> dict[Ref, list[Marked]]:
    """Other spaces in which a pull saw texts of ours with markers for `space`: an administrator may have moved them there. Blocks.

    Only what can be a copy of ours: anybody can paste a marker, into debates and projects as well, and be it to send us astray.
    """
    accounts, found = ledger.accounts(instance), dict[Ref, list[Marked]]()
    for marked in sorted(marked_texts(ledger.engine, instance)):
        place, own = (marked.space or "").partition("/")[2], marked.key.partition("/")[2]
        if marked.author is not None and marked.author not in accounts:
            continue
        if place in {"", space} or not own.startswith("proposal/"):
            continue
        if any(signer.is_ours(each, instance, space) for each in markers_in(marked.plain)):
            found.setdefault(place, []).append(marked)
    return found


def _wait_for(
    ledger: Ledger, signer: Signer, seen: Sequence[Marked], instance: str, space: str, routes: Mapping[str, str]
) -> None:
    """What a pull saw in a place that cannot be read now is not made a second time meanwhile."""
    for marked in seen:
        made = Authored(Copy(marked.key.partition("/")[2], ""), marked.title, marked.plain)
        for marker in markers_in(marked.plain):
            route = routes.get(marker.origin.partition("/")[0])
            own = ledger.publication(publication_id(marker.origin, instance, space))
            if route is None or not signer.is_ours(marker, instance, space):
                continue
            if own is None or own.state in _QUEUED:
                _ask(ledger, marker, _Candidates(unproven=[made]), instance, space, route)


@dataclass(slots=True)
class _Candidates:
    """The texts of our account that carry one marker, the best first: public before taken back, the one made first before later ones.

    `mixed`: those that carry the marker of another copy, too; whose copy such a text is nobody can tell. `unproven`: those of which
    nothing tells who wrote them.
    """

    plain: list[Authored] = field(default_factory=list[Authored])
    mixed: list[Authored] = field(default_factory=list[Authored])
    unproven: list[Authored] = field(default_factory=list[Authored])


def _candidates(signer: Signer, listed: Sequence[Authored], instance: str, space: str) -> dict[Marker, _Candidates]:
    found: dict[Marker, _Candidates] = {}
    for made in sorted(listed, key=lambda each: (each.copy.withdrawn, by_number(each.copy.ref))):
        ours = list(dict.fromkeys(m for m in markers_in(made.text) if signer.is_ours(m, instance, space)))
        for marker in ours if made.copy.complete else ():
            each = found.setdefault(marker, _Candidates())
            (each.unproven if not made.ours else each.mixed if len(ours) > 1 else each.plain).append(made)
    return found


def _recognised(
    ledger: Ledger, made: Authored, marker: Marker, instance: str, space: str, route: str
) -> Publication | None:
    """The publication whose copy this is; None where it is not to be touched."""
    before = ledger.publication(publication_id(marker.origin, instance, space))
    if before is not None and before.state in _UNDER_WAY:
        return None  # just what a lookup is for
    if before is not None and made.copy.withdrawn and (before.copy_key is not None or _tried(ledger, before)):
        return None  # it was taken back, and a person had it made anew
    return before or _opened(ledger, PublicationState.SENT, marker, made.title, instance, space, route)


def _opened(
    ledger: Ledger, state: PublicationState, marker: Marker, title: str, instance: str, space: str, route: str
) -> Publication:
    return ledger.open_publication(
        state,
        route=route,
        origin_key=marker.origin,
        target_instance=instance,
        target_space=space,
        marker=str(marker),
        title=title,
    )


def _ask(ledger: Ledger, marker: Marker, found: _Candidates, instance: str, space: str, route: str) -> None:
    """No text with this marker is surely its copy: a person decides whether one is made."""
    before = ledger.publication(publication_id(marker.origin, instance, space))
    if before is not None and (before.copy_key is not None or before.state in _UNDER_WAY):
        return
    texts = found.mixed or found.unproven
    refs, reason = ", ".join(each.copy.ref for each in texts), Reason.MIXED_MARKERS if found.mixed else Reason.UNPROVEN
    beside = "beside the marker of another copy: look there whose copy that is"
    why = (
        f"its marker stands in {refs}, {beside if found.mixed else 'and nothing tells whether our account wrote that'}"
    )
    own = before or _opened(ledger, PublicationState.HELD, marker, texts[0].title, instance, space, route)
    if any(event["detail"] == why for event in ledger.events(own.id)):
        return  # a person has decided since
    ledger.cancel(own, Lane.TEXT, reason, why)
    ledger.update_publication(own, event="held", detail=why, state=PublicationState.HELD, **told(reason, why))


def _take_in(
    ledger: Ledger, own: Publication, made: Authored, reading: Reading | None, twins: Sequence[Ref]
) -> Adopted | None:
    tried = any(op.first_sent_at is not None for op in ledger.operations(publication=own.id))
    title = load_origins(ledger.engine, [own.origin_key]).get(own.origin_key)
    wanted = _wanted_anew(ledger, own, reading)
    ledger.cancel(own, Lane.TEXT, Reason.COPY_THERE, "the copy is there already")
    where = copy_columns(own.target_instance, made.copy.ref, made.copy.url, made.copy.how) | {
        "sent_at": made.created_at or ledger.clock.now(),
        "copy_print": fingerprint(reading.title, reading.plain) if reading is not None else None,
    }
    if title is not None and title.title:
        where["title"] = title.title
    state, why = _standing(reading)
    if twins:
        why = told(Reason.TWINS, twins_told(made.copy.ref, twins))
    try:
        ledger.update_publication(own, event="adopted", detail=made.copy.url, state=state, **why, **where)
    except DuplicateCopy:
        return None
    if wanted is not None:
        # As far as the copy that was to be made had come: whoever had it made anew need not be asked about our own note.
        ledger.intend(
            own,
            OperationKind.EDIT,
            wanted.state,
            payload=wanted.payload,
            payload_hash=wanted.payload_hash,
            notes=wanted.notes,
            reason_code=wanted.reason_code,
            error=wanted.error,
        )
    return Adopted(own, forgotten=not tried)


def _wanted_anew(ledger: Ledger, own: Publication, reading: Reading | None) -> Operation | None:
    """The copy that a person had made anew, where what was found of the one before is the note that took its place."""
    if reading is None or reading.withdrawn or not phrases.is_note(reading.title, reading.plain):
        return None
    if all(event["what"] != "reopened" for event in ledger.events(own.id)):
        return None
    waiting = ledger.operations(states=QUEUED, publication=own.id)
    return next((op for op in waiting if op.kind is OperationKind.CREATE), None)


def _tried(ledger: Ledger, own: Publication) -> bool:
    """Whether this ledger knows that the publication had a copy."""
    done = ledger.operations(states=(OperationState.SENT,), publication=own.id)
    return any(op.lane is Lane.TEXT for op in done)


def hold_older(
    ledger: Ledger,
    signer: Signer,
    name: str,
    route: Route,
    adopted: Sequence[Adopted],
    lost_until: datetime | None = None,
) -> int:
    """After copies were found that the ledger had lost: what is older than they are and has no copy waits for a person.

    Its copy may have been hidden or removed by a moderator before the ledger was lost, and must not be made again unasked.
    `lost_until`: after a restore, until when the database of before may have made copies, whether any was found or not.
    """
    forgotten = [each.publication.id for each in adopted if each.forgotten and each.publication.route == name]
    moments = [own.sent_at for own in ledger.publications(ids=forgotten) if own.sent_at is not None]
    if lost_until is not None:
        moments.append(lost_until)
    if not moments:
        return 0
    newest, held = max(moments) + _HOUR, 0
    than = "copies that were found again" if lost_until is None else "the restore of the database from a backup"
    why = f"it is older than {than}, and its own was not found: it may have been removed there"
    queued = {own.origin_key: own for own in ledger.publications(route=name) if own.state in _QUEUED}
    wanted = new_origins(ledger.engine, route, ledger.clock.now(), ledger.accounts(route.source.instance))
    for origin in load_origins(ledger.engine, [*queued, *wanted]).values():
        moment = origin.published_at or origin.created_at
        if moment is None or moment > newest:
            continue
        own = queued.get(origin.key) or ledger.open_publication(
            PublicationState.HELD,
            route=name,
            origin_key=origin.key,
            target_instance=route.to.instance,
            target_space=route.to.space,
            marker=str(signer.marker(origin.key, route.to.instance, route.to.space)),
            title=origin.title,
        )
        ledger.cancel(own, Lane.TEXT, Reason.OLDER_THAN_FOUND, why)
        held_why = told(Reason.OLDER_THAN_FOUND, why)
        ledger.update_publication(own, event="held", detail=why, state=PublicationState.HELD, **held_why)
        held += 1
    return held


def _standing(reading: Reading | None) -> tuple[PublicationState, dict[str, Any]]:
    if reading is None:
        why = "the copy is not there any more: a moderator may have removed it"
        return PublicationState.GONE, told(Reason.COPY_GONE, why)
    return (PublicationState.WITHDRAWN if reading.withdrawn else PublicationState.SENT), SETTLED
