"""The audit log is only ever added to, tells when it is not whole, and holds nothing that must not be in it."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.core import audit
from civicsync.core.clock import FakeClock
from civicsync.core.redaction import conceal, forget_concealed
from civicsync.core.schema.analysis_tables import AUDIT_STAYS

KEY = "0123456789abcdef" * 4
DAY = 86_400.0


def fill(engine: Engine, clock: FakeClock, count: int = 5) -> None:
    for number in range(1, count + 1):
        audit.record(engine, clock, action="export", object=f"file-{number}.csv", result="done", actor="anna")
        clock.advance(DAY)


def change(engine: Engine, *statements: str) -> None:
    """What somebody does who may change the database's schema."""
    on = " ON audit_entry" if engine.dialect.name == "postgresql" else ""
    with engine.begin() as connection:
        for name in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER audit_entry_{name}{on}")
        for each in statements:
            connection.exec_driver_sql(each)


def test_p14_who_did_what_with_what_when_from_where(engine: Engine, clock: FakeClock) -> None:
    fill(engine, clock, 2)
    first, second = audit.entries(engine)
    assert (first.id, first.actor, first.action, first.object, first.result) == (
        1,
        "anna",
        "export",
        "file-1.csv",
        "done",
    )
    assert first.at.tzinfo is not None and ":" in first.origin
    assert second.previous == first.hash == first.sealed() and first.previous == ""
    verdict = audit.verify(engine)
    assert verdict.whole and verdict.entries == 2 and verdict.head == second.hash
    assert [each.id for each in audit.entries(engine, newest=1)] == [2]


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET result = 'x'", "DELETE FROM audit_entry WHERE id = 1"])
def test_p14_the_database_forbids_changing_it(engine: Engine, clock: FakeClock, statement: str) -> None:
    fill(engine, clock, 1)
    with pytest.raises(DBAPIError, match="only ever added to"), engine.begin() as connection:
        connection.execute(text(statement))
    assert audit.verify(engine).whole


@pytest.mark.parametrize(
    ("statements", "bad", "why"),
    [
        (["UPDATE audit_entry SET object = 'another' WHERE id = 3"], 3, "changed"),
        (["DELETE FROM audit_entry WHERE id = 3"], 3, "removed"),
        (["DELETE FROM audit_entry WHERE id <= 2"], 2, "no entry says that their time was over"),
        (["DELETE FROM audit_entry WHERE id >= 4"], 4, "the end of the log is missing"),
        (["DELETE FROM audit_entry"], 1, "the end of the log is missing"),
        (["UPDATE audit_entry SET previous = 'x' WHERE id = 2"], 2, "changed"),
    ],
)
def test_p14_the_first_bad_entry_is_named(
    sqlite: Engine, clock: FakeClock, statements: list[str], bad: int, why: str
) -> None:
    fill(sqlite, clock)
    change(sqlite, *statements)
    verdict = audit.verify(sqlite)
    assert (verdict.whole, verdict.bad) == (False, bad) and why in verdict.why


def test_p14_an_entry_that_was_replaced_with_its_hash_breaks_the_next(sqlite: Engine, clock: FakeClock) -> None:
    fill(sqlite, clock)
    third = list(audit.entries(sqlite))[2]
    forged = audit.Entry(third.id, third.at, "bert", third.action, third.object, "x", third.origin, third.previous, "")
    change(sqlite, f"UPDATE audit_entry SET actor = 'bert', result = 'x', hash = '{forged.sealed()}' WHERE id = 3")
    verdict = audit.verify(sqlite)
    assert (verdict.bad, verdict.whole) == (4, False) and "replaced" in verdict.why


def test_p14_old_entries_go_and_the_chain_holds(engine: Engine, clock: FakeClock) -> None:
    fill(engine, clock, 10)
    keep = timedelta(days=4, hours=12)
    assert audit.purge(engine, clock, keep, dry_run=True) == 6
    assert audit.verify(engine).entries == 10
    assert audit.purge(engine, clock, keep) == 6
    left = list(audit.entries(engine))
    assert [each.id for each in left] == [7, 8, 9, 10, 11] and left[-1].action == audit.PURGED
    assert audit.verify(engine).whole
    assert audit.purge(engine, clock, keep) == 0, "once"
    with pytest.raises(DBAPIError), engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_entry"))
    clock.advance(30 * DAY)
    audit.record(engine, clock, action="export", object="new", result="done")
    assert audit.purge(engine, clock, keep) == 5 and audit.verify(engine).whole


def test_p14_no_secret_and_nothing_that_a_terminal_obeys(sqlite: Engine, clock: FakeClock) -> None:
    conceal("hunter2-very-secret")
    try:
        entry = audit.record(
            sqlite,
            clock,
            action="export",
            object="https://x.example/?token=abcdefgh",
            result="hunter2-very-secret\x1b[31m",
        )
    finally:
        forget_concealed(["hunter2-very-secret"])
    assert "hunter2" not in entry.result and "\x1b" not in entry.result and "abcdefgh" not in entry.object


def test_what_forbids_changes_names_every_way() -> None:
    assert {name: len(statements) for name, statements in AUDIT_STAYS.items()} == {"sqlite": 2, "postgresql": 4}


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    (tmp_path / "civicsync.yaml").write_text(
        'civicsync: 1\noperator: {name: t, contact: a@b.example}\nprivacy: {key: "${KEY}"}\n'
        "instances:\n  west: {platform: consul, url: https://west.example}\n"
    )
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    assert run.invoke(app, ["audit", "list"]).output.startswith("nothing was logged yet")
    from civicsync.core.schema.database import open_engine, parse_url

    engine = open_engine(parse_url("sqlite:///civicsync.db", tmp_path))
    fill(engine, clock)
    listed = json.loads(run.invoke(app, ["audit", "list", "--json", "--newest", "2"]).stdout)
    assert [row["object"] for row in listed] == ["file-4.csv", "file-5.csv"]
    good = run.invoke(app, ["audit", "verify"])
    assert good.exit_code == 0 and "whole: 5 entries" in good.output
    change(engine, "DELETE FROM audit_entry WHERE id = 5")
    engine.dispose()
    bad = run.invoke(app, ["audit", "verify", "--json"])
    assert bad.exit_code == 1 and json.loads(bad.stdout)["bad"] == 5


def test_p14_what_people_decide_about_instances_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    (tmp_path / "civicsync.yaml").write_text(
        'civicsync: 1\noperator: {name: t, contact: a@b.example}\nprivacy: {key: "${KEY}"}\n'
        "instances:\n  board: {platform: 'civicsync.connectors.testing.fake:CONNECTOR', url: 'http://127.0.0.1:9933'}\n"
    )
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    assert run.invoke(app, ["sync"]).exit_code == 0
    assert run.invoke(app, ["instances", "rename", "board", "city"]).exit_code == 0
    assert run.invoke(app, ["instances", "forget", "city", "--yes"]).exit_code == 0
    logged = json.loads(run.invoke(app, ["audit", "list", "--json"]).stdout)
    assert [(row["action"], row["object"]) for row in logged] == [
        ("instances rename", "board"),
        ("instances forget", "city"),
    ]
