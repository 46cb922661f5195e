"""Absence is a claim: what a complete sweep did not see is believed gone only after questions.

Missed twice in a row, confirmed one by one where the platform allows it, and never many at once without the admin's word.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..connectors.contract import Confirms, Reader
from ..connectors.errors import ConnectorError
from ..core.absence import Missing, count_within, find_missing, mark
from ..core.identity import Ref
from ..core.store import InstanceStore

ALWAYS_ALLOWED = 3
"""So many may go missing at once whatever the percentage says: small spaces lose a proposal now and then."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about one scope. `blocked`: too much is missing; nothing was marked, the admin must say."""

    missed: int = 0
    gone: int = 0
    note: str = ""
    blocked: bool = False


async def judge(store: InstanceStore, reader: Reader, scope: str, *, max_percent: float, accept: bool) -> Verdict:
    """Decide about a scope whose sweep is complete, and write it down.

    Args:
        max_percent: more missing than this percentage of the scope (and more than `ALWAYS_ALLOWED`) blocks.
        accept: the admin said that what is missing is gone: no second sweep is waited for, no percentage holds.
    """
    missing = find_missing(store, scope)
    back = [ref for ref in store.pending(scope) if ref not in missing.refs]
    if not missing.refs:
        _close(store, scope, back)
        return Verdict()
    too_many = _too_many(store, missing, max_percent)
    if too_many and not accept:
        _close(store, scope, back)
        return Verdict(missed=len(missing.refs), note=too_many, blocked=True)
    due = [ref for ref, before in missing.refs.items() if accept or before >= 1]
    confirmed: Mapping[Ref, bool | None] = dict.fromkeys(due, False)
    if due and isinstance(reader, Confirms):
        try:
            confirmed = await reader.still_there(due)
        except ConnectorError as error:
            mark(store, present=back, missed=[], gone={})
            return Verdict(missed=len(missing.refs), note=f"{scope}: could not confirm what is missing: {error}")
    gone = {ref: "not public on its platform any more" for ref in due if confirmed.get(ref) is False}
    there = [ref for ref in due if confirmed.get(ref) is True]
    first = [ref for ref in missing.refs if ref not in due]
    mark(store, present=[*back, *there], missed=first, gone=gone)
    store.sweeps.end(scope)
    return Verdict(missed=len(first), gone=len(gone))


def _close(store: InstanceStore, scope: str, back: list[Ref]) -> None:
    if back:
        mark(store, present=back, missed=[], gone={})
    store.sweeps.end(scope)


def _too_many(store: InstanceStore, missing: Missing, max_percent: float) -> str:
    count = len(missing.refs)
    if count > max(ALWAYS_ALLOWED, missing.alive * max_percent / 100):
        return (
            f"{missing.scope}: {count} of {missing.alive} are missing; nothing was marked as gone. "
            "If this is right, run `civicsync sync` again with --accept-missing"
        )
    inside, everything = count_within(store, list(missing.refs))
    if inside > max(ALWAYS_ALLOWED, everything * max_percent / 100):
        return (
            f"{missing.scope}: {count} spaces with {inside} of {everything} proposals are missing; nothing was marked as gone. "
            "If this is right, run `civicsync sync` again with --accept-missing"
        )
    return ""
