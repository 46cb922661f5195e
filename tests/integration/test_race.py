"""The race's server answers as the platforms do, and a race counts only where contents are equal."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from benchmarks import race
from benchmarks.rivals.server import SHAPES, FastPlatform
from benchmarks.rivals.shapes import SHAPES as ASKED
from civicsync.config.load import load
from civicsync.core.clock import FakeClock
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.sync.pull.run import Options, Puller

SIZE = 140


def source(shape: str, platform: FastPlatform) -> list[dict[str, Any]]:
    """All rows, asked for as a rival does."""

    def ask(path: str, body: Any) -> Any:
        if body is not None:
            return json.loads(platform.answer(body["query"]))
        place, _, query = path.partition("?")
        return json.loads(platform.get(place, {"offset": [query.partition("=")[2]]}) or b"")

    return [row for page in ASKED[shape].pages(ask) for row in page]


@pytest.mark.parametrize("shape", sorted(SHAPES))
async def test_what_a_contestant_holds_is_compared_row_by_row(shape: str, tmp_path: Path, clock: FakeClock) -> None:
    platform = SHAPES[shape](SIZE)
    rows = source(shape, platform)
    assert len(rows) == len({json.dumps(row) for row in rows}) == SIZE, "the rows are to differ"
    address = f"sqlite:///{tmp_path / 'race.db'}"
    configuration = load(race.config(tmp_path, "http://127.0.0.1:9", address, shape), race.KEY)
    engine = open_engine(parse_url(address))
    migrate(engine)
    outcome = await Puller(configuration, engine, clock, backends={"fast": platform}).pull("fast", Options())
    assert (outcome.outcome, outcome.notes) == ("done", [])
    race._ours_hold(shape, address, rows)
    with engine.begin() as connection:
        connection.execute(text("UPDATE proposal_text SET plain = plain || '!' WHERE proposal_key LIKE '%/77'"))
    engine.dispose()
    with pytest.raises(RuntimeError, match="the race does not count"):
        race._ours_hold(shape, address, rows)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_rival_that_lost_a_title_does_not_count(shape: str) -> None:
    rows = source(shape, SHAPES[shape](30))
    title = ASKED[shape].told[0]

    def held(columns: list[str]) -> list[tuple[Any, ...]]:
        """As a database gives them back: in any order, objects as text with their keys in another one."""
        return [
            tuple(
                json.dumps(row[name], sort_keys=True) if isinstance(row[name], dict) else row[name] for name in columns
            )
            for row in reversed(rows)
        ]

    race._rival_holds("rival", shape, held, [dict(row) for row in rows])
    before = [dict(row) for row in rows]
    rows[7][title] = rows[8][title]
    with pytest.raises(RuntimeError, match="the race does not count"):
        race._rival_holds("rival", shape, held, before)


async def test_the_servers_rows_change_when_it_is_told_to() -> None:
    platform = FastPlatform(50)
    before = source("consul", platform)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=platform), base_url="http://x") as client:
        assert (await client.post("/_control", params={"changed": "0.1"})).json()["changed"] == 5
    after = source("consul", platform)
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 5
