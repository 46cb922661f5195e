"""What is made after a pull: totals of spaces and areas, what everybody may see of them, and lists that are frozen. On both databases."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from civicsync.analysis.monthly_top import freezing
from civicsync.analysis.refresh import refresh
from civicsync.connectors.contract.reading import KINDS
from civicsync.core import journal
from civicsync.core.clock import FakeClock
from civicsync.core.items import Item, Page
from civicsync.core.records import Area, Category, Comment, Counters, Proposal, Record, Space, State, Text
from civicsync.core.store.store import InstanceStore

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Desk:
    """A database that pulls are made into by hand."""

    def __init__(self, engine: Engine, name: str = "west") -> None:
        self.engine, self.clock, self.name = engine, FakeClock(START), name

    def pull(self, records: Sequence[Record], supports: int | None = 1, **counts: int) -> None:
        """A run that brings these; each proposal with so many supports."""
        store = InstanceStore(
            self.engine,
            self.name,
            ["nl"],
            self.clock,
            kinds={**KINDS, "spaces": ("process", "component"), "areas": ("scope",)},
        )
        run = journal.start_run(self.engine, self.name, self.clock.now(), full=False)
        items = []
        for record in records:
            own = Counters(supports=supports) if record.table == "proposals" else None
            digest = f"{record!r}".encode()[-16:].rjust(16)
            items.append(Item(record.ref, digest, lambda record=record: [record], own))
        store.write(Page("all", items))
        ended: dict[str, Any] = {"created": len(records), **counts}
        journal.save_run(self.engine, run, ended_at=self.clock.now(), outcome="done", **ended)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def do(self, sql: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql))


@pytest.fixture
def desk(engine: Engine) -> Desk:
    return Desk(engine)


def proposal(own: int, space: str = "component/1", **values: Any) -> Proposal:
    given = {"texts": (Text(locale="nl", title=f"Voorstel {own}"),), "author": f"{own:032x}", **values}
    return Proposal(id=str(own), space=space, **given)


def comment(own: int, on: int, author: int) -> Comment:
    return Comment(id=str(own), target=f"proposal/{on}", author=f"{author:032x}", text=Text(locale="nl", plain="Ja"))


TREE: list[Record] = [
    Space(kind="process", id="1", names={"nl": "Wijk"}),
    Space(kind="component", id="1", parent="process/1", names={"nl": "Ideeën"}),
    Space(kind="component", id="2", parent="process/1", names={"nl": "Meer ideeën"}),
]
PROCESSES = "SELECT key, root_key, depth, proposals, open_proposals, supports, comments, participants FROM processes ORDER BY key"


def test_a_space_counts_everything_below_it_and_a_person_once(desk: Desk) -> None:
    desk.pull(
        [
            *TREE,
            proposal(1),
            proposal(2, "component/2", author=f"{1:032x}", state=State.REJECTED),
            comment(1, 1, 1),
            comment(2, 2, 9),
        ],
        supports=3,
    )
    assert refresh(desk.engine, desk.clock) == ["west"]
    assert desk.rows(PROCESSES) == [
        ("west/component/1", "west/process/1", 1, 1, 1, 3, 1, 1),
        ("west/component/2", "west/process/1", 1, 1, 0, 3, 1, 2),
        ("west/process/1", "west/process/1", 0, 2, 1, 6, 2, 2),
    ]


def test_our_own_copies_what_is_gone_and_our_own_account_are_not_counted(desk: Desk) -> None:
    desk.pull([*TREE, proposal(1), proposal(2), proposal(3), comment(1, 1, 7)])
    desk.do("UPDATE proposal SET gone_at = first_seen_at WHERE remote_id = '3'")
    desk.do(f"INSERT INTO service_account (instance, pseudonym) VALUES ('west', '{7:032x}')")
    desk.do(
        "INSERT INTO publication (id, route, origin_key, target_instance, target_space, state, reason, title, marker, copy_key, "
        "created_at, changed_at) SELECT 'p', 'r', 'a/proposal/1', 'west', 'component/1', 'sent', '', '', '', 'west/proposal/2', "
        "first_seen_at, first_seen_at FROM proposal WHERE remote_id = '2'"
    )
    refresh(desk.engine, desk.clock)
    assert desk.rows("SELECT proposals, comments, participants FROM processes WHERE kind = 'process'") == [(1, 1, 1)]
    assert desk.rows("SELECT remote_id FROM proposals WHERE gone_at IS NULL") == [("1",)]
    assert desk.rows("SELECT remote_id FROM unanswered") == [("1",)]
    assert desk.rows("SELECT count(*) FROM all_proposals") == [(3,)]


def test_spaces_in_a_ring_end(desk: Desk) -> None:
    desk.pull(
        [
            Space(kind="process", id="1", parent="process/2"),
            Space(kind="process", id="2", parent="process/1"),
            *TREE[1:],
        ]
    )
    refresh(desk.engine, desk.clock)
    assert len(desk.rows(PROCESSES)) == 4


def test_nothing_is_counted_again_where_nothing_changed(desk: Desk) -> None:
    desk.pull([*TREE, proposal(1)])
    assert refresh(desk.engine, desk.clock) == ["west"]
    desk.pull([], created=0)
    assert refresh(desk.engine, desk.clock) == []
    desk.pull([proposal(2)])
    assert refresh(desk.engine, desk.clock) == ["west"]
    assert desk.rows("SELECT proposals FROM processes WHERE kind = 'process'") == [(2,)]


def test_few_people_of_an_area_are_not_told_to_everybody(desk: Desk) -> None:
    areas = [Area(kind="scope", id=str(each), names={"nl": f"Wijk {each}"}) for each in (1, 2, 3)]
    people = {1: 2, 2: 9, 3: 12}
    ideas = [
        proposal(100 * area + own, areas=(f"scope/{area}",)) for area, many in people.items() for own in range(many)
    ]
    desk.pull([*TREE, *areas, *ideas])
    refresh(desk.engine, desk.clock)
    own = desk.rows("SELECT area, proposals, participants FROM participation_by_area ORDER BY area")
    assert own == [("Wijk 1", 2, 2), ("Wijk 2", 9, 9), ("Wijk 3", 12, 12)]
    told = dict(
        (row[0], row[1:])
        for row in desk.rows(
            "SELECT area, proposals, proposal_authors, proposals_suppressed FROM public_participation_by_area"
        )
    )
    assert told["Wijk 1"][:2] == (None, None)
    assert told["Wijk 1"][2]
    # The total is told elsewhere: one withheld figure alone could be calculated.
    assert sum(1 for each in told.values() if each[2]) == 2


def test_two_tables_cannot_be_subtracted(desk: Desk) -> None:
    area = Area(kind="scope", id="1", names={"nl": "Wijk"})
    desk.pull([*TREE, area, *(proposal(own, areas=("scope/1",)) for own in range(10))])
    refresh(desk.engine, desk.clock)
    sql = "SELECT proposal_authors FROM public_participation_by_area"
    assert desk.rows(sql) == [(10,)]
    desk.pull([proposal(11, areas=("scope/1",))])
    refresh(desk.engine, desk.clock)
    assert desk.rows(sql) == [(10,)]  # one person more would be that person


@pytest.mark.parametrize(
    ("month", "day"),
    [("2026-10", 30), ("2026-11", 30), ("2026-08", 31), ("2026-05", 29), ("2026-02", 27), ("2027-01", 29)],
)
def test_a_list_is_frozen_at_noon_of_the_last_weekday(month: str, day: int) -> None:
    year, number = map(int, month.split("-"))
    for any_day in (1, 15, 28):
        assert freezing(datetime(year, number, any_day).date()) == datetime(year, number, day, 12, tzinfo=UTC)


def test_the_list_tells_the_supports_of_its_moment_and_stays(desk: Desk) -> None:
    green = Category(kind="category", id="1", names={"nl": "Groen"})
    ideas = [proposal(own, categories=("category/1",) if own == 7 else ()) for own in range(1, 9)]
    for own, record in enumerate(ideas, 1):
        desk.pull([*TREE, green, record], supports=own)
    desk.clock.advance((datetime(2026, 3, 31, 11, 59, tzinfo=UTC) - START).total_seconds())
    refresh(desk.engine, desk.clock)
    assert desk.rows("SELECT * FROM monthly_top") == []
    # The run that notices it comes three days late, and meanwhile the last one became the first.
    desk.clock.advance(timedelta(days=3).total_seconds())
    desk.pull([ideas[0]], supports=500)
    refresh(desk.engine, desk.clock)
    expected = [("overall", 1, "Voorstel 8", 8), ("overall", 2, "Voorstel 7", 7), ("overall", 3, "Voorstel 6", 6)]
    expected += [("overall", 4, "Voorstel 5", 5), ("overall", 5, "Voorstel 4", 4)]
    sql = "SELECT list, rank, title, supports FROM monthly_top WHERE month = '2026-03' ORDER BY list DESC, rank"
    assert desk.rows(sql) == [*expected, ("category", 1, "Voorstel 7", 7)]
    desk.pull([], created=0)
    refresh(desk.engine, desk.clock, everything=True)
    assert desk.rows(sql) == [*expected, ("category", 1, "Voorstel 7", 7)]
    assert desk.rows("SELECT count(*) FROM public_monthly_top WHERE list = 'overall'") == [(5,)]


def test_a_quiet_instance_gets_its_list_by_the_calendar(desk: Desk) -> None:
    desk.pull([*TREE, proposal(1)], supports=2)
    refresh(desk.engine, desk.clock)
    desk.clock.advance(timedelta(days=40).total_seconds())
    assert refresh(desk.engine, desk.clock) == []
    assert desk.rows("SELECT month, supports FROM monthly_top") == [("2026-03", 2)]
