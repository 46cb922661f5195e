"""What is made from the database after a pull: totals, frozen lists, what everybody may see. Each instance anew when a run changed it."""

import msgspec
from sqlalchemy import Connection, Engine, bindparam, text

from ..core.clock import Clock
from ..core.leases import writing
from ..core.schema.tables import UTCMoment
from .monthly_top import freeze
from .privacy.suppression import TOTAL, Cell, kept, suppress
from .totals import make_totals

K = 5
"""Fewer persons than that are not told of in what everybody may see (`privacy.k`)."""
_CHANGED = """
SELECT r.instance, max(r.id) AS newest FROM run r
WHERE r.outcome <> 'running' AND (r.created > 0 OR r.changed > 0 OR r.gone > 0 OR r.tallies > 0) GROUP BY r.instance"""
_PUBLISHED = (("proposals", "proposal_authors"), ("comments", "comment_authors"))


def refresh(engine: Engine, clock: Clock, *, k: int = K, everything: bool = False) -> list[str]:
    """Bring up to date what is older than the newest run that changed something; `everything` also what is not. Returns the instances.

    A transaction for each instance: whoever reads meanwhile sees the earlier figures. Costs one question where nothing changed.
    """
    with engine.connect() as connection:
        known = dict(
            tuple(row)
            for row in connection.execute(text("SELECT name, value FROM schema_info WHERE name LIKE 'totals:%'"))
        )
        changed = {str(row.instance): int(row.newest) for row in connection.execute(text(_CHANGED))}
    done: list[str] = []
    for instance, newest in sorted(changed.items()):
        stale = everything or known.get(f"totals:{instance}") != str(newest)
        # A list is frozen by the calendar, also where nothing changed since.
        due = known.get(f"totals:{instance}:month") != f"{clock.now():%Y-%m-%d}"
        if not stale and not due:
            continue
        with writing(engine, None) as connection:
            if stale:
                make_totals(connection, instance, clock.now())
                _publish_areas(connection, instance, clock, k)
                _remember(connection, f"totals:{instance}", str(newest))
                done.append(instance)
            month = freeze(connection, instance, _remembered(connection, f"frozen:{instance}"), clock.now())
            if month is not None:
                _remember(connection, f"frozen:{instance}", month)
            _remember(connection, f"totals:{instance}:month", f"{clock.now():%Y-%m-%d}")
    return done


def _publish_areas(connection: Connection, instance: str, clock: Clock, k: int) -> None:
    """Who took part where, as everybody may see it: beside the table that everybody saw before, too."""
    rows = connection.execute(
        text(
            "SELECT area_key, proposals, proposal_authors, comments, comment_authors FROM area_total WHERE instance = :i"
        ),
        {"i": instance},
    ).all()
    cells = [
        Cell(row.area_key, what, getattr(row, who), {what: getattr(row, what)})
        for row in rows
        for what, who in _PUBLISHED
    ]
    # The numbers of all areas together are told elsewhere (`public_processes`).
    for what, _ in _PUBLISHED:
        own = [cell for cell in cells if cell.column == what]
        cells.append(Cell(TOTAL, what, sum(c.persons for c in own), {what: sum(c.values[what] for c in own)}))
    name = f"published:areas:{instance}"
    remembered = _remembered(connection, name)
    before = None if remembered is None else msgspec.json.decode(remembered, type=list[Cell])
    shown = suppress(cells, k, before)
    _remember(connection, name, msgspec.json.encode(kept(cells, shown, before)).decode())
    connection.execute(text("DELETE FROM published_area WHERE instance = :i"), {"i": instance})
    found = {(each.row, each.column): each for each in shown}
    for row in rows:
        proposals, comments = (found[row.area_key, what] for what, _ in _PUBLISHED)
        connection.execute(
            text(
                "INSERT INTO published_area (instance, area_key, proposals, proposal_authors, proposals_suppressed, comments, "
                "comment_authors, comments_suppressed, published_at) VALUES (:i, :area, :proposals, :authors, :hidden, :comments, "
                ":commenters, :comments_hidden, :now)"
            ).bindparams(bindparam("now", type_=UTCMoment())),
            {
                "i": instance,
                "area": row.area_key,
                "proposals": proposals.values.get("proposals"),
                "authors": proposals.persons,
                "hidden": proposals.suppressed,
                "comments": comments.values.get("comments"),
                "commenters": comments.persons,
                "comments_hidden": comments.suppressed,
                "now": clock.now(),
            },
        )


def _remembered(connection: Connection, name: str) -> str | None:
    return connection.execute(text("SELECT value FROM schema_info WHERE name = :name"), {"name": name}).scalar()


def _remember(connection: Connection, name: str, value: str) -> None:
    connection.execute(text("DELETE FROM schema_info WHERE name = :name"), {"name": name})
    connection.execute(
        text("INSERT INTO schema_info (name, value) VALUES (:name, :value)"), {"name": name, "value": value}
    )
