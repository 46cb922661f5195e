"""What is made from the database after a pull: totals, frozen lists, what everybody may see. Each instance anew when a run changed it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select, text

from ..core.clock import Clock
from ..core.leases import writing
from ..core.schema.analysis_tables import PublishedCellRow
from ..core.schema.tables import table_of
from ..core.schema.types import UTCMoment
from .monthly_top import freeze
from .privacy.suppression import TOTAL, Cell, kept, suppress
from .totals import make_totals

K = 5
"""Fewer persons than that are not told of in what everybody may see (`privacy.k`)."""
LEAST = 2.0
"""Seconds that making totals may always take after a pull."""
_PER_SECOND = 20_000
"""Records; before it was measured here."""
_CHANGED = """
SELECT c.instance, c.newest, r.seconds, c.most FROM run r JOIN (
    SELECT r.instance, max(CASE WHEN r.created > 0 OR r.changed > 0 OR r.gone > 0 OR r.tallies > 0 THEN r.id END) AS newest,
        max(r.seen) AS most FROM run r WHERE r.outcome <> 'running' GROUP BY r.instance) c ON c.newest = r.id"""
_PUBLISHED = (("proposals", "proposal_authors"), ("comments", "comment_authors"))


def refresh(
    engine: Engine, clock: Clock, *, k: int = K, everything: bool = False, share: float | None = None
) -> list[str]:
    """Bring up to date what is older than the newest run that changed something; `everything` also what is not. Returns the instances.

    `share`: of the time that the run itself took; what would take longer than that (and longer than `LEAST` seconds) waits until somebody
    asks, or until it is a day old. None: whoever calls wants it now. A transaction for each instance: whoever reads meanwhile sees the
    earlier figures. Costs two questions where nothing changed.
    """
    with engine.connect() as connection:
        named = text("SELECT name, value FROM schema_info WHERE name LIKE 'totals:%'")
        known = {str(name): str(value) for name, value in connection.execute(named)}
        changed = [_Changed(*row) for row in connection.execute(text(_CHANGED))]
    done: list[str] = []
    today = f"{clock.now():%Y-%m-%d}"
    for each in sorted(changed, key=lambda each: each.instance):
        name = f"totals:{each.instance}"
        stale = everything or known.get(name) != str(each.newest)
        # A list is frozen by the calendar, also where nothing changed since.
        new_day = known.get(f"{name}:day") != today
        if stale and share is not None and not (new_day and f"{name}:day" in known):
            expected = float(known.get(f"{name}:seconds") or each.most / _PER_SECOND)
            stale = expected <= max(LEAST, share * each.seconds)
        if stale or new_day:
            done += [each.instance] if stale else []
            _refresh_one(engine, clock, each, k, stale=stale)
    return done


@dataclass(frozen=True, slots=True)
class _Changed:
    """The newest run of an instance that changed something: its number, the seconds it took, the most that any run saw."""

    instance: str
    newest: int
    seconds: float
    most: int


def _refresh_one(engine: Engine, clock: Clock, changed: _Changed, k: int, *, stale: bool) -> None:
    name, began = f"totals:{changed.instance}", clock.monotonic()
    with writing(engine, None) as connection:
        month = freeze(connection, changed.instance, _remembered(connection, f"frozen:{changed.instance}"), clock.now())
        if month is not None:
            _remember(connection, f"frozen:{changed.instance}", month)
        _remember(connection, f"{name}:day", f"{clock.now():%Y-%m-%d}")
        if stale:
            make_totals(connection, changed.instance, clock.now())
            _publish_areas(connection, changed.instance, clock, k)
            _remember(connection, name, str(changed.newest))
            _remember(connection, f"{name}:seconds", f"{clock.monotonic() - began:.3f}")


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
    name = f"areas:{instance}"
    before = _shown_before(connection, name)
    shown = suppress(cells, k, before)
    _keep_shown(connection, name, kept(cells, shown, before), clock)
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


_CELL = table_of(PublishedCellRow)


def _shown_before(connection: Connection, name: str) -> list[Cell] | None:
    """A published table as it truly was; None: there was none."""
    found = connection.execute(select(_CELL).where(_CELL.c.name == name)).all()
    return [
        Cell(
            each.row,
            each.column,
            each.persons,
            each.counts or {},
            each.suppressed,
            None if each.shown is None else (each.shown["persons"], each.shown["counts"]),
        )
        for each in found
    ] or None


def _keep_shown(connection: Connection, name: str, cells: Sequence[Cell], clock: Clock) -> None:
    connection.execute(delete(_CELL).where(_CELL.c.name == name))
    rows = [
        {
            "name": name,
            "row": each.row,
            "column": each.column,
            "persons": each.persons,
            "counts": dict(each.values),
            "suppressed": each.suppressed,
            "shown": None if each.shown is None else {"persons": each.shown[0], "counts": dict(each.shown[1])},
            "published_at": clock.now(),
        }
        for each in cells
    ]
    if rows:
        connection.execute(insert(_CELL), rows)


def _remembered(connection: Connection, name: str) -> str | None:
    return connection.execute(text("SELECT value FROM schema_info WHERE name = :name"), {"name": name}).scalar()


def _remember(connection: Connection, name: str, value: str) -> None:
    connection.execute(text("DELETE FROM schema_info WHERE name = :name"), {"name": name})
    connection.execute(
        text("INSERT INTO schema_info (name, value) VALUES (:name, :value)"), {"name": name, "value": value}
    )
