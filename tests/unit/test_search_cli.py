"""`civicsync search` and `civicsync duplicates` as somebody uses them on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.app.cli.state import state
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.tables import ProposalRow, ProposalTextRow, table_of

Run = Callable[..., Any]
CONFIGURATION = """
civicsync: 1
operator: {name: Gemeente Voorbeeld, contact: digitaal@voorbeeld.example}
database: sqlite:///civicsync.db
privacy: {key: "file:civicsync.key"}
instances:
  west: {platform: decidim, url: "https://west.example"}
  east: {platform: decidim, url: "https://east.example"}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "civicsync.yaml").write_text(CONFIGURATION)
    (tmp_path / "civicsync.key").write_text("1f0c5be2a6d94a7e8c33d1b76aa0f4519c1e2d3b4a5968778695a4b3c2d1e0ff")
    (tmp_path / "civicsync.key").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(state, "config_file", state.config_file)
    engine = open_engine(parse_url(f"sqlite:///{tmp_path / 'civicsync.db'}"))
    migrate(engine)
    put(
        engine,
        "west/proposal/1",
        "Meer straatverlichting in de steeg",
        "De steeg achter de winkels is pikdonker en voelt onveilig.",
    )
    put(
        engine,
        "east/proposal/7",
        "Straatverlichting in de donkere steeg",
        "Achter de winkels is het 's avonds pikdonker en onveilig.",
    )
    put(
        engine,
        "west/proposal/2",
        "\x1b[31m<b>Zwembad</b> =1+1",
        "Voor iedereen, ook voor mensen die niet kunnen zwemmen.",
    )
    engine.dispose()

    def call(*words: str, code: int = 0) -> Any:
        done = CliRunner().invoke(app, ["--config", str(tmp_path / "civicsync.yaml"), *words])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if "--json" in words and code == 0 else done.output

    return call


def put(engine: Engine, key: str, title: str, body: str) -> None:
    instance, kind, own = key.split("/")
    row = {
        "key": key,
        "instance": instance,
        "kind": kind,
        "remote_id": own,
        "title": title,
        "locale": "nl",
        "state": "open",
    }
    said = {"proposal_key": key, "locale": "nl", "machine": False, "title": title, "html": body, "plain": body}
    with engine.begin() as connection:
        connection.execute(insert(table_of(ProposalRow)), {**row, "supports": 5})
        connection.execute(insert(table_of(ProposalTextRow)), said)


def test_search_as_text_and_as_json(run: Run) -> None:
    said = run("search", "straatverlichting", "-donkere")
    assert "Meer »straatverlichting« in de steeg" in said and "1 proposal" in said and "instance  west 1" in said
    found = run("search", "straatverlichting", "--json")
    assert set(found) == {"query", "total", "whole", "notes", "hits", "facets"} and found["total"] == 2
    hit = found["hits"][0]
    assert {
        "key",
        "title",
        "title_marks",
        "snippet",
        "snippet_marks",
        "copies",
        "score",
        "url",
        "gone",
        "machine",
    } <= set(hit)
    assert [hit["title"][a:b].lower() for a, b in hit["title_marks"]] == ["straatverlichting"]
    assert run("search", "straatverlichting", "--instance", "east", "--limit", "1", "--json")["total"] == 1


def test_what_is_typed_never_fails_and_a_mistyped_option_is_told(run: Run) -> None:
    assert "nothing has" in run("search", '"(OR* -')
    assert "did you mean --limit?" in run("search", "steeg", "--lmit", "3", code=2)
    assert "no instance 'nord'" in run("search", "steeg", "--instance", "nord", code=2)


def test_what_a_citizen_typed_is_shown_as_text(run: Run) -> None:
    said = run("search", "zwembad")
    assert "\x1b" not in said and "\\x1b" in said and "<b>" in said


def test_from_finding_to_a_file_of_decisions(run: Run, tmp_path: Path) -> None:
    found = run("duplicates", "find", "--words-only", "--json")
    assert (found["compared"], found["new"], found["decided_before"]) == (3, 1, 0)
    [pair] = found["waiting"]
    assert pair["instance_a"] == "east" and "straatverlichting" in pair["words"]
    own = pair["id"]
    assert own in run("duplicates", "review") and own in run("duplicates", "find", "--words-only")
    shown = run("duplicates", "review", "show", own)
    assert "pikdonker en voelt onveilig" in shown and "words in both:" in shown and "supports on east" in shown
    assert run("duplicates", "review", "confirm", own, "--json")[0]["outcome"] == "same"
    assert "no pair waits" in run("duplicates", "review")
    assert run("duplicates", "find", "--words-only", "--json")["decided_before"] == 1
    assert run("duplicates", "export", "decisions.jsonl", "--json") == {"path": "decisions.jsonl", "decisions": 1}
    [line] = [json.loads(each) for each in (tmp_path / "decisions.jsonl").read_text().splitlines()]
    assert (line["decision"], line["key_a"], line["key_b"]) == ("same", "east/proposal/7", "west/proposal/1")
    assert "steeg" not in json.dumps(line), "no text of anybody"
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".decisions")] == []
    run("duplicates", "review", "reopen", own)
    assert own in run("duplicates", "review")
    run("duplicates", "review", "reject", own)
    assert run("duplicates", "review", "--json") == []


def test_one_wrong_id_decides_nothing(run: Run) -> None:
    [pair] = run("duplicates", "find", "--words-only", "--json")["waiting"]
    assert "there is no pair deadbeef" in run("duplicates", "review", "confirm", pair["id"], "deadbeef", code=1)
    assert len(run("duplicates", "review", "--json")) == 1


def test_a_file_that_cannot_be_written_is_told_and_nothing_half_is_left(run: Run, tmp_path: Path) -> None:
    assert "does not exist" in run("duplicates", "export", "nowhere/decisions.jsonl", code=2)
    (tmp_path / "folder").mkdir()
    assert "is not a file" in run("duplicates", "export", "folder", code=2)


def test_evaluate_prints_what_it_is_measured_by(run: Run) -> None:
    said = run("duplicates", "evaluate", "--words-only")
    assert "es - ca" in said and "recall@1" in said and "precision" in said
    found = run("duplicates", "evaluate", "--words-only", "--json")
    assert found["model"] is None and found["same"] >= 200 and found["threshold"] == 0.55
