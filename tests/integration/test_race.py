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


def source(shape: str, platform: FastPlatform) -> dict[str, list[dict[str, Any]]]:
    """All rows, asked for as a rival does."""

    def ask(path: str, body: Any) -> bytes:
        if body is not None:
            return platform.answer(body["query"])
        place, _, query = path.partition("?")
        return platform.get(place, {"offset": [query.partition("=")[2]]}) or b""

    threads: list[Any] = []
    return {name: [row for page in table.pages(ask, threads) for row in page] for name, table in ASKED[shape].items()}


@pytest.mark.parametrize(
    ("table", "lost"),
    [
        ("proposals", "UPDATE proposal_text SET plain = plain || '!' WHERE proposal_key LIKE '%/77'"),
        (
            "threads",
            "UPDATE comment SET target_key = substr(target_key, 1, length(target_key) - 2) || '48' WHERE remote_id = '7'",
        ),
    ],
)
@pytest.mark.parametrize("shape", sorted(SHAPES))
async def test_what_a_contestant_holds_is_compared_row_by_row(
    shape: str, table: str, lost: str, tmp_path: Path, clock: FakeClock
) -> None:
    platform = SHAPES[shape](SIZE)
    rows = source(shape, platform)
    for name, size in (("proposals", SIZE), ("threads", SIZE // 8 * 3 + 1)):
        assert len(rows[name]) == len({json.dumps(row) for row in rows[name]}) == size, "the rows are to differ"
    address = f"sqlite:///{tmp_path / 'race.db'}"
    configuration = load(race.config(tmp_path, "http://127.0.0.1:9", address, shape), race.KEY)
    engine = open_engine(parse_url(address))
    migrate(engine)
    outcome = await Puller(configuration, engine, clock, backends={"fast": platform}).pull("fast", Options())
    assert (outcome.outcome, outcome.notes) == ("done", [])
    race._ours_hold(shape, address, rows)
    with engine.begin() as connection:
        connection.execute(text(lost))
    with pytest.raises(RuntimeError, match=f"{table} holds.* the race does not count"):
        race._ours_hold(shape, address, rows)
    engine.dispose()


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("table", ["proposals", "threads"])
def test_a_rival_that_lost_a_text_does_not_count(shape: str, table: str) -> None:
    rows = source(shape, SHAPES[shape](30))
    text = ASKED[shape][table].told[0]

    def held(of: str, columns: list[str]) -> list[tuple[Any, ...]]:
        """As a database gives them back: in any order, objects as text with their keys in another one."""
        return [
            tuple(
                json.dumps(row[name], sort_keys=True) if isinstance(row[name], dict) else row[name] for name in columns
            )
            for row in reversed(rows[of])
        ]

    before = {name: [dict(row) for row in every] for name, every in rows.items()}
    race._rival_holds("rival", ASKED[shape], held, before)
    rows[table][7][text] = rows[table][8][text]
    with pytest.raises(RuntimeError, match=f"{table} holds.* the race does not count"):
        race._rival_holds("rival", ASKED[shape], held, before)


async def test_the_servers_rows_change_when_it_is_told_to() -> None:
    platform = FastPlatform(50)
    before = source("consul", platform)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=platform), base_url="http://x") as client:
        assert (await client.post("/_control", params={"changed": "0.1"})).json()["changed"] == 5
    after = source("consul", platform)
    assert sum(one != other for one, other in zip(before["proposals"], after["proposals"], strict=True)) == 5
