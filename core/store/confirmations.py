"""When each fact was last confirmed: by a list, a gate or a question; and which facts have waited longest.

A row keeps its own moment; a scope that was shown or vouched for as a whole keeps one for all its rows, so that a light run over
100,000 unchanged rows writes one line. The later of the two counts. Rows that are missing follow no scope.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Select, Table, bindparam, case, func, literal, null, select, union, update
from sqlalchemy.sql.dml import Update

from ..identity import Key
from ..items import Due
from ..schema.ledger_tables import PublicationRow
from ..schema.tables import ROWS, AnswerRow, ProposalRow, ScopeConfirmationRow, table_of
from .bulk import chunks, upsert

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class How(StrEnum):
    """What confirmed a row."""

    SHOWN = "shown"
    GATE = "gate"
    ASKED = "asked"


def confirm_scope(connection: Connection, instance: str, scope: str, now: datetime, how: How) -> None:
    """All rows of the scope that are not missing are confirmed."""
    row = {"instance": instance, "scope": scope, "confirmed_at": now, "confirmed_by": how.value}
    upsert(connection, table_of(ScopeConfirmationRow), [row])


def confirm_rows(connection: Connection, table: Table, keys: Iterable[Key], now: datetime, how: How) -> None:
    """These rows are confirmed, and not missing."""
    for part in chunks(sorted(keys)):
        connection.execute(_confirming(table), {"keys": part, "at": now, "by": how.value})


@cache
def _confirming(table: Table) -> Update:
    these = table.c.key.in_(bindparam("keys", expanding=True))
    values = {
        "confirmed_at": bindparam("at"),
        "confirmed_by": bindparam("by"),
        "missing_runs": 0,
        "told_missing_at": None,
    }
    return update(table).where(these, table.c.gone_at.is_(None)).values(**values)


def keep_age(connection: Connection, instance: str, table: Table, keys: Sequence[Key]) -> None:
    """Before rows go missing: what their scope confirmed becomes their own, since they follow it no longer."""
    confirmation = table_of(ScopeConfirmationRow)
    own = select(confirmation.c.confirmed_at).where(
        confirmation.c.instance == instance, confirmation.c.scope == table.c.scope
    )
    by = select(confirmation.c.confirmed_by).where(
        confirmation.c.instance == instance, confirmation.c.scope == table.c.scope
    )
    for part in chunks(keys):
        where = (
            table.c.key.in_(part),
            table.c.missing_runs == 0,
            own.correlate(table).scalar_subquery() > func.coalesce(table.c.confirmed_at, _NEVER),
        )
        values = {"confirmed_at": own.scalar_subquery(), "confirmed_by": by.scalar_subquery()}
        connection.execute(update(table).where(*where).values(**values))


def stalest(
    engine: Engine,
    instance: str,
    *,
    before: datetime,
    overdue: datetime,
    overdue_copied: datetime,
    limit: int = 20_000,
) -> list[Due]:
    """The live rows confirmed longest ago, before `before`; the overdue ones first, then by age.

    Args:
        overdue: what was confirmed before this is overdue.
        overdue_copied: the same for what has copies elsewhere or is one.
    """
    found: list[Due] = []
    cut = len(instance) + 1
    with engine.connect() as connection:
        for row_class in ROWS.values():
            for row in connection.execute(
                _stalest(table_of(row_class)), {"instance": instance, "before": before, "most": limit}
            ):
                moment = row[4] if row[4] > _NEVER else None
                late = row[4] < (overdue_copied if row.copied else overdue)
                found.append(
                    Due(row.key[cut:], row.scope, moment, row.target[cut:] if row.target else None, row.token, late)
                )
    return sorted(found, key=lambda each: (not each.overdue, each.confirmed_at or _NEVER))


@cache
def _stalest(table: Table) -> Select[*tuple[Any, ...]]:
    """Put together once: it is asked for every kind in every run."""
    at, join = _age(table)
    copied = _copied(table) if table in (table_of(ProposalRow), table_of(AnswerRow)) else literal(False)
    target = table.c.target_key if "target_key" in table.c else null()
    return (
        select(table.c.key, table.c.scope, table.c.token, target.label("target"), at, copied.label("copied"))
        .select_from(join)
        .where(
            table.c.instance == bindparam("instance"),
            table.c.gone_at.is_(None),
            table.c.missing_runs == 0,
            # What came inside something else has no scope, and is as old as that.
            table.c.scope != "",
            at < bindparam("before"),
        )
        .order_by(at)
        .limit(bindparam("most"))
    )


def _age(table: Table):
    scope = table_of(ScopeConfirmationRow)
    join = table.outerjoin(scope, (scope.c.instance == table.c.instance) & (scope.c.scope == table.c.scope))
    by_scope = (table.c.missing_runs == 0) & (scope.c.confirmed_at > func.coalesce(table.c.confirmed_at, _NEVER))
    at = case((by_scope, scope.c.confirmed_at), else_=func.coalesce(table.c.confirmed_at, _NEVER))
    return at.label("at"), join


def _copied(table: Table):
    publication = table_of(PublicationRow)
    there = publication.c.copy_key.is_not(None)
    copied = union(select(publication.c.origin_key).where(there), select(publication.c.copy_key).where(there))
    own = table.c.target_key if "target_key" in table.c else table.c.key
    return own.in_(copied)
