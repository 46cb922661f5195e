"""How long each class is kept is the configuration's to say; what went does not come back, and doing it again does nothing."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.connectors.contract.reading import KINDS
from civicsync.connectors.testing.fake import FakePlatform
from civicsync.core import audit, journal
from civicsync.core.clock import FakeClock
from civicsync.core.durations import term
from civicsync.core.items import Item, MappingError, Page
from civicsync.core.records import Comment, Record, Vote
from civicsync.core.schema.database import open_engine, parse_url
from civicsync.core.store.intake import Intake
from civicsync.core.store.retention import Keeping, purge_classes
from civicsync.core.store.store import InstanceStore
from civicsync.core.text import rich

KEY = "0123456789abcdef" * 4
DAY = 86_400.0
MONTH = timedelta(days=30)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEEPING = Keeping(timedelta(days=365), comments=MONTH, votes=MONTH, quarantine=MONTH, runs=MONTH)


def rows(engine: Engine, sql: str) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def comment(own: int, said: str, age: int, digest: str = "") -> Item:
    def build() -> list[Record]:
        when = NOW - timedelta(days=age)
        made = Comment(id=str(own), target="proposal/1", text=rich("nl", None, said), author="a" * 32, created_at=when)
        return [made]

    return Item(f"comment/{own}", f"{said}{digest}".encode(), build)


def vote(own: int, age: float) -> Item:
    def build() -> list[Record]:
        return [Vote(id=str(own), target="proposal/1", positive=True, cast_at=NOW - timedelta(days=age))]

    return Item(f"vote/{own}", f"vote{own}".encode(), build)


def bad(own: int) -> Item:
    def build() -> list[Record]:
        raise MappingError("title", "not a text")

    return Item(f"proposal/{own}", b"bad", build, raw={"title": f"what a citizen typed {own}"})


def write(engine: Engine, clock: FakeClock, *items: Item, keep: bool = True) -> None:
    intake = Intake(None, KEEPING.comments, KEEPING.votes) if keep else None
    InstanceStore(engine, "west", ["nl"], clock, kinds={**KINDS, "votes": ("vote",)}, intake=intake).write(
        Page("posts", items, complete=True)
    )


def test_p13_each_class_has_its_time(engine: Engine, clock: FakeClock) -> None:
    write(engine, clock, comment(1, "lang geleden", 40), comment(2, "kort geleden", 3), keep=False)
    write(engine, clock, vote(1, 40), vote(2, 3), bad(9), keep=False)
    for number in range(3):
        run = journal.start_run(engine, "west", clock.now() + timedelta(days=number), full=number == 1)
        with engine.begin() as connection:
            journal.close_run(connection, run, outcome="done")
    planned = purge_classes(engine, "west", clock.now(), KEEPING, dry_run=True)
    assert (planned.comments, planned.votes, planned.quarantine) == (1, 1, 0)
    assert rows(engine, "SELECT count(*) FROM comment WHERE plain != ''") == [(2,)], "a dry run changes nothing"
    assert purge_classes(engine, "west", clock.now(), KEEPING) == planned, "and tells exactly what is done"
    assert rows(engine, "SELECT remote_id, plain, author FROM comment ORDER BY 1") == [
        ("1", "", None),
        ("2", "kort geleden", "a" * 32),
    ]
    assert rows(engine, "SELECT remote_id FROM vote") == [("2",)]
    clock.advance(31 * DAY)
    later = purge_classes(engine, "west", clock.now(), KEEPING)
    assert (later.comments, later.votes, later.quarantine, later.runs) == (1, 1, 1, 1)
    assert rows(engine, "SELECT count(*) FROM run") == [(2,)], "the newest run and the newest whole one stay"
    again = purge_classes(engine, "west", clock.now(), KEEPING)
    assert set(vars_of(again)) == {0}, "once"


def vars_of(purged: Any) -> list[int]:
    return [getattr(purged, name) for name in purged.__slots__]


def test_p13_what_a_platform_goes_on_showing_is_not_stored_again(engine: Engine, clock: FakeClock) -> None:
    write(engine, clock, comment(1, "lang geleden", 40), vote(1, 40), bad(9), keep=False)
    clock.advance(31 * DAY)
    purge_classes(engine, "west", clock.now(), KEEPING)
    write(
        engine,
        clock,
        comment(1, "lang geleden", 40, "changed"),
        comment(3, "ook lang geleden", 50),
        vote(1, 40),
        bad(9),
    )
    assert rows(engine, "SELECT remote_id, plain, author FROM comment ORDER BY 1") == [("1", "", None), ("3", "", None)]
    assert rows(engine, "SELECT count(*) FROM vote") == [(0,)]
    assert rows(engine, "SELECT times, raw FROM quarantine") == [(2, None)]


def test_p6_a_vote_has_no_time_finer_than_a_day(engine: Engine, clock: FakeClock) -> None:
    write(engine, clock, vote(1, 3.3))
    with engine.connect() as connection:
        [cast_at] = connection.execute(text("SELECT cast_at FROM vote")).scalars()
    assert "2026-02-26 00:00:00" in str(cast_at)


@pytest.mark.parametrize(("given", "days"), [("90d", 90), ("2w", 14), ("24mo", 730.5), ("7y", 2556.75), ("kept", None)])
def test_terms(given: str, days: float | None) -> None:
    found = term(given)
    assert (found and found.total_seconds() / DAY) == days


def test_p13_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    (tmp_path / "civicsync.yaml").write_text(
        'civicsync: 1\noperator: {name: t, contact: a@b.example}\nprivacy: {key: "${KEY}", mask: [phone],\n'
        "  retention: {comments: 1mo, audit: 1y}}\n"
        "instances:\n  west: {platform: consul, url: https://west.example}\n"
    )
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    assert run.invoke(app, ["purge"]).output.startswith("nothing is stored yet")
    engine = open_engine(parse_url("sqlite:///civicsync.db", tmp_path))
    journal.save_instance(engine, {"name": "west", "platform": "consul", "url": "https://west.example"})
    write(engine, clock, comment(1, "lang geleden", 40), keep=False)
    audit.record(engine, clock, action="export", object="x", result="done")
    clock.advance(-400 * DAY)
    planned = run.invoke(app, ["purge", "--dry-run"])
    assert planned.exit_code == 0 and "so much would go" in planned.output
    assert rows(engine, "SELECT plain FROM comment") == [("lang geleden",)]
    done = json.loads(run.invoke(app, ["purge", "--json"]).stdout)
    assert done["instances"][0]["comments"] == 1 and done["busy"] == []
    assert rows(engine, "SELECT plain FROM comment") == [("",)]
    assert [each.action for each in audit.entries(engine)] == ["export", "purge"]
    assert json.loads(run.invoke(app, ["purge", "--json"]).stdout)["instances"][0]["comments"] == 0
    assert run.invoke(app, ["purge", "nowhere"]).exit_code == 2
    engine.dispose()


def test_p13_every_run_does_it_and_the_log_proves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    FakePlatform.at("http://127.0.0.1:9951", clock.now).write("Meer bomen", "Dat moet.")
    (tmp_path / "civicsync.yaml").write_text(
        "civicsync: 1\noperator: {name: t, contact: a@b.example}\n"
        'privacy: {key: "${KEY}", retention: {comments: 1mo, audit: 1y}}\n'
        "instances:\n  west: {platform: 'civicsync.connectors.testing.fake:CONNECTOR', url: 'http://127.0.0.1:9951'}\n"
    )
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    assert run.invoke(app, ["sync"]).exit_code == 0
    engine = open_engine(parse_url("sqlite:///civicsync.db", tmp_path))
    assert list(audit.entries(engine)) == [], "where nothing went there is nothing to log"
    audit.record(engine, FakeClock(NOW - timedelta(days=3650)), action="export", object="long ago", result="done")
    clock.advance(-3650 * DAY)
    InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS).write(Page("old", [comment(1, "lang geleden", 40)]))
    assert run.invoke(app, ["sync"]).exit_code == 0
    assert rows(engine, "SELECT plain FROM comment") == [("",)]
    logged = list(audit.entries(engine))
    assert [(each.action, each.object) for each in logged] == [("purge", "west"), (audit.PURGED, "audit log")]
    assert logged[0].result == "1 comments" and audit.verify(engine).whole
    engine.dispose()
