"""What is no longer there: finding what a complete sweep did not see, and tombstones.

A tombstone keeps its key, when and why; texts stay for a grace period, because hidden things come back, and are then purged.
Whether an absence is believed is not decided here (`sync.sweep` asks the platform and the admin).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, func, select, update

from ..identity import Key, Ref, key
from ..schema.tables import (
    ROWS,
    AnswerRow,
    AttachmentRow,
    CommentRow,
    ProposalAreaRow,
    ProposalCategoryRow,
    ProposalRow,
    ProposalTextRow,
    ProposalVersionRow,
    SpaceRow,
    VoteRow,
    rows_of,
    table_of,
)
from .bulk import chunks
from .rows import COUNTERS
from .store import InstanceStore


@dataclass(frozen=True, slots=True)
class Missing:
    """What a complete sweep of a scope did not see. `alive` is how many rows were believed to be there."""

    scope: str
    alive: int
    refs: Mapping[Ref, int]
    """Reference to how many complete sweeps in a row missed it before this one."""


def find_missing(store: InstanceStore, scope: str) -> Missing:
    """Compare what is stored with what the finished sweep saw.

    Children of something that is itself gone or missing do not count: they went with it.
    """
    seen = store.sweeps.seen(scope)
    cut = len(store.instance) + 1
    alive = 0
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
                if row[0][cut:] not in seen:
                    lost[row[0][cut:]] = (row[1], row[2] if len(row) > 2 else None)
            orphans = _gone_or_missing(connection, proposal, {target for _, target in lost.values() if target})
            missing.update({r: runs for r, (runs, target) in lost.items() if target is None or target not in orphans})
            alive -= sum(1 for _, target in lost.values() if target in orphans)
    return Missing(scope, alive, missing)


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
    with store.engine.begin() as connection:
        for reference in present:
            _set(connection, store, reference, missing_runs=0)
        for reference in missed:
            table = table_of(rows_of(reference))
            _set(connection, store, reference, missing_runs=table.c.missing_runs + 1)
        for reference, reason in gone.items():
            _set(connection, store, reference, gone_at=now, gone_reason=reason, missing_runs=0, digest=None, token=None)
        keys = [key(store.instance, reference) for reference in gone if rows_of(reference) is ProposalRow]
        spaces = [key(store.instance, reference) for reference in gone if rows_of(reference) is SpaceRow]
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
    keys = [key(store.instance, reference) for reference in refs if rows_of(reference) is SpaceRow]
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
    table = table_of(rows_of(reference))
    connection.execute(update(table).where(table.c.key == key(store.instance, reference)).values(**values))


def purge(engine: Engine, instance: str, now: datetime, after: timedelta) -> int:
    """Remove what people typed from tombstones older than `after`; the key, when and why stay. Returns how many."""
    proposal, comment = table_of(ProposalRow), table_of(CommentRow)
    limit = now - after
    purged = 0
    with engine.begin() as connection:
        where = (proposal.c.instance == instance, proposal.c.gone_at < limit, proposal.c.title != "")
        keys = list(connection.execute(select(proposal.c.key).where(*where)).scalars())
        parts = (ProposalTextRow, ProposalVersionRow, ProposalCategoryRow, ProposalAreaRow)
        blank = {"title": "", "author": None, "address": None, "latitude": None, "longitude": None, "video_url": None}
        for part in chunks(keys):
            for row_class in parts:
                table = table_of(row_class)
                connection.execute(delete(table).where(table.c.proposal_key.in_(part)))
            attachment = table_of(AttachmentRow)
            connection.execute(delete(attachment).where(attachment.c.owner_key.in_(part)))
            connection.execute(update(proposal).where(proposal.c.key.in_(part)).values(**blank))
        purged += len(keys)
        result = connection.execute(
            update(comment)
            .where(comment.c.instance == instance, comment.c.gone_at < limit, comment.c.plain != "")
            .values(html="", plain="", author=None)
        )
        answer = table_of(AnswerRow)
        connection.execute(
            update(answer)
            .where(answer.c.instance == instance, answer.c.gone_at < limit, answer.c.plain != "")
            .values(plain="", texts=None)
        )
        purged += max(0, result.rowcount)
    return purged


def totals(engine: Engine, instance: str) -> dict[str, int]:
    """What is there now, for a table: spaces, proposals, supports, comments, in quarantine."""
    from ..schema.tables import QuarantineRow

    proposal, quarantine = table_of(ProposalRow), table_of(QuarantineRow)
    result: dict[str, int] = {}
    with engine.connect() as connection:
        for name in ("spaces", "comments", "answers"):
            table = table_of(ROWS[name])
            where = (table.c.instance == instance, table.c.gone_at.is_(None))
            result[name] = connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
        where = (proposal.c.instance == instance, proposal.c.gone_at.is_(None))
        row = connection.execute(select(func.count(), func.sum(proposal.c[COUNTERS[0]])).where(*where)).one()
        result["proposals"], result["supports"] = row[0], int(row[1] or 0)
        where = (quarantine.c.instance == instance,)
        result["quarantined"] = connection.execute(
            select(func.count()).select_from(quarantine).where(*where)
        ).scalar_one()
    return result
