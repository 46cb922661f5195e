"""The monthly top list as Reykjavik makes it: on the last weekday of each month at noon the five open proposals with the most supports,
and the first of each category, are written down, and stay.

What counts is the tally as it was at that moment, also when the run that notices it comes later. A proposal that is not open any more when
it is noticed (answered, withdrawn, gone) has been taken up already.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Connection, bindparam, text

from ..core.schema.types import UTCMoment

PLACES = 5
NOON = time(12, tzinfo=UTC)

_RANKED = """
WITH then_there AS (
    SELECT p.key, COALESCE(p.published_at, p.created_at, p.first_seen_at) AS since,
        (SELECT t.supports FROM tally t WHERE t.proposal_key = p.key AND t.seen_at <= :at ORDER BY t.seen_at DESC LIMIT 1) AS supports
    FROM proposal p
    WHERE p.instance = :instance AND p.gone_at IS NULL AND p.state = 'open' AND p.kind <> 'amendment' AND p.first_seen_at <= :at
    AND NOT EXISTS (SELECT 1 FROM publication c WHERE c.copy_key = p.key)),
placed AS (
    SELECT '' AS category_key, key, supports, since FROM then_there WHERE supports > 0
    UNION ALL SELECT l.category_key, h.key, h.supports, h.since FROM then_there h
    JOIN proposal_category l ON l.proposal_key = h.key WHERE h.supports > 0),
ranked AS (
    SELECT category_key, key, supports, row_number() OVER (PARTITION BY category_key ORDER BY supports DESC, since, key) AS position
    FROM placed)
INSERT_HERE
SELECT :month, :instance, category_key, position, key, supports, :at FROM ranked
WHERE position <= CASE WHEN category_key = '' THEN :places ELSE 1 END"""
_COLUMNS = "INSERT INTO monthly_top_entry (month, instance, category_key, position, proposal_key, supports, frozen_at)"


def freezing(month: date) -> datetime:
    """When the list of the month that a day lies in is frozen: noon (UTC) of its last day from Monday to Friday."""
    last = (month.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    while last.weekday() >= 5:
        last -= timedelta(days=1)
    return datetime.combine(last, NOON)


def due(first: datetime, frozen: str | None, now: datetime) -> Iterator[tuple[str, datetime]]:
    """The months (`2026-10`) whose lists were frozen by now and are not written down, the earliest first, each with its moment.

    `first`: since when anything is known; what was frozen before cannot be told.
    """
    month = first.date().replace(day=1)
    while (at := freezing(month)) <= now:
        name = f"{month:%Y-%m}"
        if at >= first and (frozen is None or name > frozen):
            yield name, at
        month = (month + timedelta(days=32)).replace(day=1)


def freeze(connection: Connection, instance: str, frozen: str | None, now: datetime) -> str | None:
    """Write down what is due, in the caller's transaction. Returns the newest month that is frozen now.

    The first tally of an instance says since when anything is known of it.
    """
    asked = text(
        "SELECT min(t.seen_at) AS first FROM tally t WHERE t.proposal_key = "
        "(SELECT p.key FROM proposal p WHERE p.instance = :instance ORDER BY p.first_seen_at LIMIT 1)"
    ).columns(first=UTCMoment())
    first = connection.execute(asked, {"instance": instance}).scalar()
    if first is None:
        return frozen
    for month, at in due(first, frozen, now):
        # SQLite wants the list of expressions behind INSERT, PostgreSQL takes it there too.
        statement = f"{_COLUMNS} {_RANKED.replace('INSERT_HERE', '')}"
        values = {"instance": instance, "month": month, "at": at, "places": PLACES}
        connection.execute(text(statement).bindparams(bindparam("at", type_=UTCMoment())), values)
        frozen = month
    return frozen
