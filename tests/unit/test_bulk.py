"""Many rows at once are the rows that one after the other would have been, in both databases."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Engine, Float, Integer, MetaData, Table, Text, select

from civicsync.core.schema.types import UTCMoment
from civicsync.core.store.bulk import upsert

THINGS = Table(
    "bulk_thing",
    MetaData(),
    Column("instance", Text, primary_key=True),
    Column("own", Text, primary_key=True),
    Column("name", Text),
    Column("count", Integer),
    Column("share", Float),
    Column("selected", Boolean),
    Column("at", UTCMoment),
    Column("first", Text),
)
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def rows(mark: str, first: int, last: int) -> list[dict[str, Any]]:
    return [
        {
            "instance": "a",
            "own": str(number),
            "name": f'{mark} {{}} \\ " é' if number % 3 else None,
            "count": number * 2**33 // 2**33,
            "share": number / 7,
            "selected": (None, True, False)[number % 3],
            "at": AT if number % 2 else None,
            "first": mark,
        }
        for number in range(first, last)
    ]


@pytest.mark.parametrize("at_once", [1, 100])
def test_rows_that_are_there_already_are_replaced_but_for_what_is_kept(engine: Engine, at_once: int) -> None:
    with engine.begin() as connection:
        THINGS.drop(connection, checkfirst=True)
        THINGS.create(connection)
        for mark, first, last in (("old", 0, 40), ("new", 20, 60)):
            every = [*rows("earlier", 30, 33), *rows(mark, first, last)]
            for start in range(0, len(every), at_once):
                upsert(connection, THINGS, every[start : start + at_once], keep=("first",))
        found = [dict(row) for row in connection.execute(select(THINGS)).mappings()]
        THINGS.drop(connection)
    expected = {row["own"]: row for row in (*rows("old", 0, 20), *rows("new", 20, 60))}
    for own in range(20, 40):
        expected[str(own)]["first"] = "earlier" if 30 <= own < 33 else "old"
    assert sorted(found, key=lambda row: int(row["own"])) == list(expected.values())
