"""What is made after a pull: totals of spaces and areas, what everybody may see of them, and lists that are frozen. On both databases."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from civicsync.analysis.monthly_top import freezing
from civicsync.analysis.refresh import refresh
from civicsync.app.refreshing import bring_up_to_date
from civicsync.core.records import Area, Category, Space, State
from tests.support.desk import START, TREE, Desk, comment, proposal


@pytest.fixture
def desk(engine: Engine) -> Desk:
    return Desk(engine)


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


def test_what_would_hold_up_a_quick_pull_waits_until_somebody_asks_or_a_day_has_passed(desk: Desk) -> None:
    desk.pull([*TREE, proposal(1)], seen=1_000_000, seconds=10.0)
    assert refresh(desk.engine, desk.clock, share=0.1) == []
    desk.clock.advance(timedelta(days=1).total_seconds())
    assert refresh(desk.engine, desk.clock, share=0.1) == ["west"]
    desk.pull([proposal(2)], seen=1_000_000, seconds=1_000.0)
    assert refresh(desk.engine, desk.clock, share=0.1) == ["west"]
    desk.do("UPDATE schema_info SET value = '60' WHERE name = 'totals:west:seconds'")  # as it was measured
    desk.pull([proposal(3)], seen=10, seconds=10.0)
    assert refresh(desk.engine, desk.clock, share=0.1) == []
    assert refresh(desk.engine, desk.clock) == ["west"]
    desk.do("UPDATE schema_info SET value = '60' WHERE name = 'totals:west:seconds'")
    desk.pull([proposal(4)], seen=10, seconds=10.0)
    assert refresh(desk.engine, desk.clock, share=0.1) == []
    desk.clock.advance(timedelta(days=1).total_seconds())
    assert refresh(desk.engine, desk.clock, share=0.1) == ["west"]
    assert desk.rows("SELECT proposals FROM processes WHERE kind = 'process'") == [(4,)]


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
    told = {
        row[0]: row[1:]
        for row in desk.rows(
            "SELECT area, proposals, proposal_authors, proposals_suppressed FROM public_participation_by_area"
        )
    }
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


def test_totals_that_cannot_be_written_are_told_and_end_nothing(desk: Desk) -> None:
    desk.pull([*TREE, proposal(1)])
    desk.do("DROP TABLE area_total CASCADE" if desk.engine.dialect.name == "postgresql" else "DROP TABLE area_total")
    told = bring_up_to_date(desk.engine, 5, desk.clock)
    assert told is not None
    assert told.startswith("the totals are those of before: ")


def test_postgresql_is_shown_a_table_before_its_first_rows_are_counted(desk: Desk) -> None:
    """It plans by what it knows of a table, and of new rows knows nothing for a minute."""
    if desk.engine.dialect.name != "postgresql":
        pytest.skip("SQLite plans by its indexes")
    desk.pull([*TREE, proposal(1), comment(1, 1, 1)])
    unseen = (
        "SELECT count(*) FROM pg_class WHERE relname IN ('proposal', 'comment') AND reltuples < 0 "
        "AND relnamespace = current_schema()::regnamespace"
    )
    assert desk.rows(unseen) == [(2,)]
    refresh(desk.engine, desk.clock)
    assert desk.rows(unseen) == [(0,)]
