"""Absence is a claim: what a complete sweep did not see is believed gone only after questions.

Missed twice in a row, confirmed one by one where the platform allows it, and never many at once without the admin's word.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ...connectors.contract.errors import ConnectorError
from ...connectors.contract.reading import CanConfirm, Reader
from ...core.identity import Ref
from ...core.schema.tables import ProposalRow
from ...core.store.store import InstanceStore
from ...core.store.tombstones import Missing, count_within, find_missing, hanging_scopes, record_verdict

_WAY_OUT = "If this is right, run `civicsync sync` again with --accept-missing"
ALWAYS_ALLOWED = 3
"""So many may go missing at once whatever the percentage says: small spaces lose a proposal now and then."""


@dataclass(frozen=True, slots=True)
class SweepVerdict:
    """What was decided. `blocked`: too much is missing; nothing was marked, the admin must say."""

    missed: int = 0
    gone: int = 0
    notes: tuple[str, ...] = ()
    blocked: bool = False

    def plus(self, other: "SweepVerdict") -> "SweepVerdict":
        """Both together."""
        notes = (*self.notes, *other.notes)
        return SweepVerdict(self.missed + other.missed, self.gone + other.gone, notes, self.blocked or other.blocked)


async def judge(
    store: InstanceStore, reader: Reader, scopes: Sequence[str], *, max_percent: float, accept: bool
) -> SweepVerdict:
    """Decide about all scopes whose sweep is complete, together, and write it down.

    Together, because half a platform may go missing in many small pieces: if too much is missing anywhere, or in all, nothing is
    marked anywhere. What hangs on proposals is judged after them, so that it is not counted twice.

    Args:
        max_percent: more missing than this percentage (and more than `ALWAYS_ALLOWED`) blocks.
        accept: the admin said that what is missing is gone: no second sweep is waited for, no percentage holds.
    """
    hanging = await asyncio.to_thread(hanging_scopes, store, scopes)
    own = [scope for scope in scopes if scope not in hanging]
    total = SweepVerdict()
    for group in (own, hanging):
        found = [await asyncio.to_thread(find_missing, store, scope) for scope in group]
        notes = [] if accept else await asyncio.to_thread(_too_much, store, found, max_percent)
        if notes or total.blocked:
            for missing in found:
                await asyncio.to_thread(_close, store, missing)
            lost = sum(len(missing.refs) for missing in found)
            total = SweepVerdict(total.missed + lost, total.gone, (*total.notes, *notes), blocked=True)
            continue
        for missing in found:
            total = total.plus(await _decide(store, reader, missing, accept=accept))
    return total


async def _decide(store: InstanceStore, reader: Reader, missing: Missing, *, accept: bool) -> SweepVerdict:
    back = [ref for ref in store.pending(missing.scope) if ref not in missing.refs]
    if not missing.refs:
        await asyncio.to_thread(_close, store, missing)
        return SweepVerdict()
    due = [ref for ref, before in missing.refs.items() if accept or before >= 1]
    confirmed: Mapping[Ref, bool | None] = dict.fromkeys(due, False)
    if due and isinstance(reader, CanConfirm):
        try:
            confirmed = await reader.still_there(due)
        except ConnectorError as error:
            await asyncio.to_thread(partial(record_verdict, store, present=back, missed=[], gone={}))
            return SweepVerdict(
                len(missing.refs), notes=(f"{missing.scope}: could not confirm what is missing: {error}",)
            )
    gone = {ref: "not public on its platform any more" for ref in due if confirmed.get(ref) is False}
    there = [ref for ref in due if confirmed.get(ref) is True]
    first = [ref for ref in missing.refs if ref not in due]
    # In this order: killed in between, the verdict waits for the next sweep; the other way round this one would count twice.
    await asyncio.to_thread(store.sweeps.end, missing.scope)
    await asyncio.to_thread(partial(record_verdict, store, present=[*back, *there], missed=first, gone=gone))
    return SweepVerdict(len(first), len(gone))


def _close(store: InstanceStore, missing: Missing) -> None:
    back = [ref for ref in store.pending(missing.scope) if ref not in missing.refs]
    if back:
        record_verdict(store, present=back, missed=[], gone={})
    store.sweeps.end(missing.scope)


def _too_much(store: InstanceStore, found: Sequence[Missing], max_percent: float) -> list[str]:
    notes = [note for missing in found if (note := _too_many(store, missing, max_percent))]
    proposals = [missing for missing in found if any(store.kinds.row_class(ref) is ProposalRow for ref in missing.refs)]
    lost, alive = sum(len(m.refs) for m in proposals), sum(m.proposals for m in found)
    if not notes and len(proposals) > 1 and lost > max(ALWAYS_ALLOWED, alive * max_percent / 100):
        notes.append(
            f"{lost} of {alive} proposals are missing in {len(proposals)} places; nothing was marked as gone. {_WAY_OUT}"
        )
    return notes


def _too_many(store: InstanceStore, missing: Missing, max_percent: float) -> str:
    count = len(missing.refs)
    if count > max(ALWAYS_ALLOWED, missing.alive * max_percent / 100):
        return f"{missing.scope}: {count} of {missing.alive} are missing; nothing was marked as gone. {_WAY_OUT}"
    inside, everything = count_within(store, list(missing.refs))
    if inside > max(ALWAYS_ALLOWED, everything * max_percent / 100):
        return (
            f"{missing.scope}: {count} spaces with {inside} of {everything} proposals are missing; nothing was marked as gone. "
            f"{_WAY_OUT}"
        )
    return ""
