"""What is no longer there: finding what a complete sweep did not see, and the tombstones of what is gone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, func, select, update

from ..identity import Key, Ref, key
from ..leases import writing
from ..schema.tables import (
    ROWS,
    AnswerRow,
    CommentRow,
    ProposalRow,
    SpaceRow,
    VoteRow,
    table_of,
)
from .bulk import chunks
from .store import InstanceStore


@dataclass(frozen=True, slots=True)
class Missing:
    """What a complete sweep of a scope did not see. `alive` is how many rows were believed to be there."""

    scope: str
    alive: int
    proposals: int
    """How many of those are proposals."""
    refs: Mapping[Ref, int]
    """Reference to how many complete sweeps in a row missed it before this one."""


def find_missing(store: InstanceStore, scope: str) -> Missing:
    """Compare what is stored with what the finished sweep saw.

    Children of something that is itself gone or missing do not count: they went with it.
    """
    seen = store.sweeps.seen(scope)
    cut = len(store.instance) + 1
    alive = proposals = 0
    missing: dict[Ref, int] = {}
    proposal = table_of(ProposalRow)
    with store.engine.connect() as connection:
        for row_class in ROWS.values():
            table = table_of(row_class)
            columns = [table.c.key, table.c.missing_runs]
            if "target_key" in table.c:
                columns.append(table.c.target_key)
            query = select(*columns).where(
                table.c.instance == store.instance, table.c.scope == scope, table.c.gone_at.is_(None)
            )
            lost: dict[Ref, tuple[int, str | None]] = {}
            for found in connection.execute(query.execution_options(yield_per=5000)):
                row: list[Any] = list(found)
                alive += 1
                proposals += row_class is ProposalRow
                if row[0][cut:] not in seen:
                    lost[row[0][cut:]] = (row[1], row[2] if len(row) > 2 else None)
            # Proposals come before what hangs on them (`ROWS`): those that this very sweep missed are known by now.
            targets = {target for _, target in lost.values() if target}
            orphans = _gone_or_missing(connection, proposal, targets)
            orphans |= {target for target in targets if target[cut:] in missing}
            missing.update({r: runs for r, (runs, target) in lost.items() if target is None or target not in orphans})
            alive -= sum(1 for _, target in lost.values() if target in orphans)
    return Missing(scope, alive, proposals, missing)


def hanging_scopes(store: InstanceStore, scopes: Iterable[str]) -> list[str]:
    """Of these scopes, those whose rows all hang on proposals (comments, answers, votes)."""
    hang, stand = set[str](), set[str]()
    with store.engine.connect() as connection:
        for row_class in ROWS.values():
            table = table_of(row_class)
            for scope in scopes:
                where = (table.c.instance == store.instance, table.c.scope == scope)
                if connection.execute(select(table.c.key).where(*where).limit(1)).first() is not None:
                    (hang if "target_key" in table.c else stand).add(scope)
    return [scope for scope in scopes if scope in hang - stand]


def _gone_or_missing(connection: Connection, proposal: Table, keys: set[str]) -> set[str]:
    found: set[str] = set()
    for part in chunks(sorted(keys)):
        query = select(proposal.c.key).where(
            proposal.c.key.in_(part), (proposal.c.gone_at.is_not(None)) | (proposal.c.missing_runs > 0)
        )
        found.update(connection.execute(query).scalars())
    return found


def record_verdict(
    store: InstanceStore, *, present: Sequence[Ref], missed: Sequence[Ref], gone: Mapping[Ref, str]
) -> None:
    """Write a sweep's verdict: back to normal, missed once more, or gone with a reason. What hangs on a gone proposal goes too."""
    now = store.clock.now()
    with writing(store.engine, store.lease) as connection:
        for reference in present:
            _set(connection, store, reference, missing_runs=0)
        for reference in missed:
            table = table_of(store.kinds.row_class(reference))
            _set(connection, store, reference, missing_runs=table.c.missing_runs + 1)
        for reference, reason in gone.items():
            _set(connection, store, reference, gone_at=now, gone_reason=reason, missing_runs=0, digest=None, token=None)
        keys = [key(store.instance, reference) for reference in gone if store.kinds.row_class(reference) is ProposalRow]
        spaces = [key(store.instance, reference) for reference in gone if store.kinds.row_class(reference) is SpaceRow]
        inside = _proposals_of(connection, spaces)
        _bury(connection, table_of(ProposalRow), "key", inside, now)
        for row_class in (CommentRow, AnswerRow, VoteRow):
            _bury(connection, table_of(row_class), "target_key", [*keys, *inside], now)


def _bury(connection: Connection, table: Table, column: str, keys: Sequence[Key], now: datetime) -> None:
    for part in chunks(keys):
        connection.execute(
            update(table)
            .where(table.c[column].in_(part), table.c.gone_at.is_(None))
            .values(gone_at=now, gone_reason="went with what it belongs to", missing_runs=0, digest=None, token=None)
        )


def count_within(store: InstanceStore, refs: Sequence[Ref]) -> tuple[int, int]:
    """How many live proposals are directly in these spaces, and how many the instance has."""
    proposal = table_of(ProposalRow)
    keys = [key(store.instance, reference) for reference in refs if store.kinds.row_class(reference) is SpaceRow]
    alive = (proposal.c.instance == store.instance, proposal.c.gone_at.is_(None))
    inside = everything = 0
    with store.engine.connect() as connection:
        for part in chunks(keys):
            query = select(func.count()).select_from(proposal).where(*alive, proposal.c.space_key.in_(part))
            inside += connection.execute(query).scalar_one()
        if inside:
            everything = connection.execute(select(func.count()).select_from(proposal).where(*alive)).scalar_one()
    return inside, everything


def _proposals_of(connection: Connection, spaces: Sequence[Key]) -> list[Key]:
    proposal = table_of(ProposalRow)
    found: list[Key] = []
    for part in chunks(spaces):
        query = select(proposal.c.key).where(proposal.c.space_key.in_(part), proposal.c.gone_at.is_(None))
        found.extend(connection.execute(query).scalars())
    return found


def _set(connection: Connection, store: InstanceStore, reference: Ref, **values: Any) -> None:
    table = table_of(store.kinds.row_class(reference))
    connection.execute(update(table).where(table.c.key == key(store.instance, reference)).values(**values))
