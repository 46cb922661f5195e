"""Absence is a claim: what a sweep or a thread did not show is believed gone only after questions.

Where the platform can be asked for single records, its "gone" is proof, at once. Where it cannot, missed twice in a row is. And never
many at once without the admin's word: what is too much to believe stays pending, with names, until it is back or the admin accepts it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...connectors.contract.errors import ConnectorError, PartlyAnswered
from ...connectors.contract.reading import CanConfirm, Reader
from ...core.identity import Ref
from ...core.leases import writing
from ...core.ledger.queries import taken_back
from ...core.schema.tables import ProposalRow
from ...core.store.confirmations import How, confirm_rows, confirm_scope, keep_age
from ...core.store.store import InstanceStore
from ...core.store.tombstones import (
    Judgement,
    Missing,
    bury_unused,
    clear_missing,
    count_within,
    find_missing,
    find_pending,
    pending_scopes,
    record_judgement,
    scopes_by_rank,
    told_missing,
)

_WAY_OUT = "If this is right, run `civicsync sync` again with --accept-missing"
ALWAYS_ALLOWED = 3
"""So many may go missing at once whatever the percentage says: small spaces lose a proposal now and then."""
PROVEN_ALLOWED = 25
"""So many may go at once of which the platform itself said, asked one by one, that they are gone."""
_NAMED = 5
_GONE = "not public on its platform any more"
_TAKEN_BACK = "a copy that civicsync took back"


@dataclass(frozen=True, slots=True)
class SweepVerdict:
    """What was decided. `blocked`: too much is missing to be believed; it waits, and the admin must say. `unread`: what asking did not
    settle: it may be public or not, which no run that is done leaves open."""

    missed: int = 0
    gone: int = 0
    notes: tuple[str, ...] = ()
    blocked: bool = False
    unread: tuple[str, ...] = ()

    def plus(self, other: "SweepVerdict") -> "SweepVerdict":
        """Both together."""
        notes, unread = (*self.notes, *other.notes), (*self.unread, *other.unread)
        blocked = self.blocked or other.blocked
        return SweepVerdict(self.missed + other.missed, self.gone + other.gone, notes, blocked, unread)


@dataclass(slots=True)
class _Case:
    """What is missing in one scope, and what was found out about it."""

    missing: Missing
    swept: bool
    """Whether this run swept the scope to its end; else it only knows of single rows."""
    proven: list[Ref] = field(default_factory=list[Ref])
    there: list[Ref] = field(default_factory=list[Ref])
    untold: list[Ref] = field(default_factory=list[Ref])
    """The platform cannot tell, or was not asked."""
    unasked: bool = False
    """Asking failed, or there were too many: nothing is concluded from having asked."""
    failed: bool = False
    note: str = ""
    """Why asking failed."""

    @property
    def claimed(self) -> int:
        """So many would be gone unless somebody objects: not what could not be asked for."""
        return len(self.proven) + (0 if self.failed else len(self.untold))

    @property
    def unproven(self) -> int:
        """So many of them without the platform's word."""
        return 0 if self.failed else len(self.untold)


async def judge(
    store: InstanceStore, reader: Reader, scopes: Sequence[str], *, max_percent: float, accept: bool
) -> SweepVerdict:
    """Decide about everything that is missing: in the scopes that were swept, in threads read whole, and what waits from before.

    Spaces first, then what lies in them, then what hangs on that, so that nothing is counted twice.

    Args:
        scopes: those whose sweep is complete.
        max_percent: more missing than this percentage (and more than `ALWAYS_ALLOWED`, or `PROVEN_ALLOWED` of what the platform
            itself says is gone) is not believed.
        accept: the admin said that what waits, or else what is missing now, is gone.
    """
    await asyncio.to_thread(confirm_shown, store, scopes)
    told = await asyncio.to_thread(told_missing, store)
    pending = [scope for scope in await asyncio.to_thread(pending_scopes, store) if scope not in scopes]
    ranks = await asyncio.to_thread(scopes_by_rank, store, [*scopes, *pending])
    total = SweepVerdict()
    ours = await asyncio.to_thread(taken_back, store.engine, store.instance)
    for rank in ranks:
        cases = [await _case(store, scope, swept=scope in scopes) for scope in rank]
        total = total.plus(await asyncio.to_thread(_bury_ours, store, cases, ours))
        total = total.plus(await _judge_rank(store, reader, cases, max_percent, told if accept else None))
    await asyncio.to_thread(bury_unused, store)
    return total


def _bury_ours(store: InstanceStore, cases: Sequence[_Case], ours: frozenset[Ref]) -> SweepVerdict:
    """What we took back ourselves is gone without a question, and makes nothing else doubtful. Blocks."""
    gone: dict[Ref, str] = {}
    for case in cases:
        mine = dict.fromkeys(sorted(ours & case.missing.refs.keys()), _TAKEN_BACK)
        gone |= mine
        left = {ref: many for ref, many in case.missing.refs.items() if ref not in mine}
        case.missing = replace(case.missing, alive=case.missing.alive - len(mine), refs=left)
    if gone:
        record_judgement(store, Judgement(gone=gone))
    return SweepVerdict(gone=len(gone))


async def _case(store: InstanceStore, scope: str, *, swept: bool) -> _Case:
    return _Case(await asyncio.to_thread(find_missing if swept else find_pending, store, scope), swept)


async def _judge_rank(
    store: InstanceStore, reader: Reader, cases: Sequence[_Case], max_percent: float, accepted: set[Ref] | None
) -> SweepVerdict:
    notes: list[str] = []
    for case in cases:
        notes += await _ask(reader, case, max_percent, accepted)
    proposals = [case for case in cases if _holds_proposals(store, case)]
    too_much = await asyncio.to_thread(_too_much_together, proposals, max_percent) if accepted is None else ""
    notes += [too_much] if too_much else []
    reasons = (
        [await asyncio.to_thread(_too_many, store, case, max_percent) for case in cases] if accepted is None else []
    )
    doubt = bool(too_much) or any(reasons)
    total = SweepVerdict(notes=tuple(notes))
    for position, case in enumerate(cases):
        why = reasons[position] if reasons else ""
        held = bool(why) or (bool(too_much) and case in proposals)
        total = total.plus(await _decide(store, reader, case, accepted, why, held=held, doubt=doubt))
    return total


async def _ask(reader: Reader, case: _Case, max_percent: float, accepted: set[Ref] | None) -> list[str]:
    """Ask the platform for what is missing, unless it is so much that the answer would not be believed."""
    refs = list(case.missing.refs)
    case.untold = refs
    if not refs or not isinstance(reader, CanConfirm):
        return []
    if len(refs) > _allowed(case.missing.alive, max_percent, PROVEN_ALLOWED):
        case.unasked = accepted is None
        return []
    try:
        answers: Mapping[Ref, bool | None] = await reader.still_there(refs)
    except ConnectorError as error:
        # What was answered before it failed, or beside that, counts.
        answers = error.answers if isinstance(error, PartlyAnswered) else {}
        case.unasked = case.failed = True
        case.note = f"{case.missing.scope}: could not confirm what is missing: {error}"
    case.proven = [ref for ref in refs if answers.get(ref) is False]
    case.there = [ref for ref in refs if answers.get(ref) is True]
    case.untold = [ref for ref in refs if answers.get(ref) is None]
    return [case.note] if case.note else []


async def _decide(
    store: InstanceStore,
    reader: Reader,
    case: _Case,
    accepted: set[Ref] | None,
    why: str,
    *,
    held: bool,
    doubt: bool,
) -> SweepVerdict:
    missing, notes = case.missing, list[str]()
    verdict = Judgement(present=case.there)
    asked = isinstance(reader, CanConfirm) and not case.unasked
    if accepted is not None and not case.failed:
        # Exactly what was told, or, where nothing was, what is missing now.
        verdict.gone = {
            ref: _GONE for ref in (*case.proven, *case.untold) if ref in case.proven or not accepted or ref in accepted
        }
        rest = [ref for ref in case.untold if ref not in verdict.gone]
    elif held:
        verdict.told = [*case.proven, *(() if case.failed else case.untold)]
        notes += [f"{why} ({_names(verdict.told)})"] if why else []
        rest = case.untold if case.failed else []
    else:
        verdict.gone = dict.fromkeys(case.proven, _GONE)
        rest = case.untold
    for ref in rest:
        # Missed twice in a row is gone where nobody can be asked, while nothing else looks doubtful; where the platform was asked and
        # cannot tell, nothing is concluded.
        again = missing.refs[ref] >= 1 and (case.swept or ref in store.evidence)
        if again and not asked and not case.unasked and not doubt:
            verdict.gone[ref] = _GONE
        elif case.swept or ref in store.evidence:
            verdict.missed.append(ref)
    persistent = [ref for ref in rest if asked and missing.refs[ref] >= 1]
    unread = [case.note] if case.note else list[str]()
    if persistent:
        told = (
            f"{missing.scope}: the platform does not show {_names(persistent)} and cannot be asked for them; "
            f"they are kept. {_WAY_OUT}"
        )
        notes.append(told)
        unread.append(told)
    await asyncio.to_thread(_write, store, case, verdict)
    waiting = len(verdict.missed) + len(verdict.told)
    return SweepVerdict(waiting, len(verdict.gone), tuple(notes), bool(verdict.told), tuple(unread))


def _write(store: InstanceStore, case: _Case, verdict: Judgement) -> None:
    missing = case.missing
    if case.swept:
        back = [ref for ref in store.pending(missing.scope) if ref in store.sweeps.seen(missing.scope)]
        if back:
            clear_missing(store, back)
        # In this order: killed in between, the verdict waits for the next sweep; the other way round this one would count twice.
        store.sweeps.end(missing.scope)
    record_judgement(store, verdict)


def confirm_shown(store: InstanceStore, swept: Sequence[str]) -> None:
    """What this run's pages showed is confirmed: a swept scope as a whole, or row by row where not everything was looked at. Blocks."""
    now = store.clock.now()
    for scope in dict.fromkeys((*swept, *store.sweeps.touched)):
        whole = scope in swept and not store.sweeps.silent(scope)
        if whole and scope in store.confirmed:
            continue
        since = store.sweeps.since(scope, now)
        with writing(store.engine, store.lease) as connection:
            if whole:
                store.confirmed.add(scope)
                for table, keys in store.by_table(find_missing(store, scope).refs):
                    keep_age(connection, store.instance, table, keys)
                confirm_scope(connection, store.instance, scope, since, How.SHOWN)
                continue
            for table, keys in store.by_table(store.sweeps.seen(scope)):
                confirm_rows(connection, table, keys, since, How.SHOWN)


def _holds_proposals(store: InstanceStore, case: _Case) -> bool:
    return any(store.kinds.row_class(ref) is ProposalRow for ref in case.missing.refs)


def _allowed(alive: int, max_percent: float, floor: int) -> float:
    return max(floor, alive * max_percent / 100)


def _too_much_together(cases: Sequence[_Case], max_percent: float) -> str:
    """Half a platform may go missing in many small pieces."""
    lost = sum(case.claimed for case in cases)
    unproven, alive = sum(case.unproven for case in cases), sum(case.missing.proposals for case in cases)
    held = lost <= _allowed(alive, max_percent, PROVEN_ALLOWED) and unproven <= _allowed(
        alive, max_percent, ALWAYS_ALLOWED
    )
    if len(cases) < 2 or held:
        return ""
    return f"{lost} of {alive} proposals are missing in {len(cases)} places; nothing of them was marked as gone. {_WAY_OUT}"


def _too_many(store: InstanceStore, case: _Case, max_percent: float) -> str:
    missing, count = case.missing, case.claimed
    few = case.unproven <= _allowed(missing.alive, max_percent, ALWAYS_ALLOWED)
    if not few or count > _allowed(missing.alive, max_percent, PROVEN_ALLOWED):
        return f"{missing.scope}: {count} of {missing.alive} are missing; nothing was marked as gone. {_WAY_OUT}"
    inside, everything = count_within(store, [*case.proven, *(() if case.failed else case.untold)])
    if inside > _allowed(everything, max_percent, ALWAYS_ALLOWED if case.unproven else PROVEN_ALLOWED):
        return (
            f"{missing.scope}: {count} spaces with {inside} of {everything} proposals are missing; nothing was marked as gone. "
            f"{_WAY_OUT}"
        )
    return ""


def _names(refs: Sequence[Ref]) -> str:
    more = len(refs) - _NAMED
    return ", ".join(refs[:_NAMED]) + (f" and {more} more" if more > 0 else "")
