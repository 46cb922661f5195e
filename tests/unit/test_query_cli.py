"""`query` as an analyst uses it: from a file, from standard input, saved by name; a wrong word names the near ones."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from civicsync.app.cli.main import app
from civicsync.core.schema.database import migrate, open_engine, parse_url

CONFIG = """civicsync: 1
operator: {name: test, contact: t@example.org}
privacy: {key: '${QUERY_KEY}'}
queries:
  how-many: SELECT count(*) AS many FROM proposals
instances:
  west: {platform: consul, url: 'http://127.0.0.1:9'}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUERY_KEY", "0123456789abcdef" * 4)
    (tmp_path / "civicsync.yaml").write_text(CONFIG)
    return tmp_path


def ask(folder: Path, *words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["--config", str(folder / "civicsync.yaml"), "query", *words], input=typed)


def test_a_saved_question_is_asked_by_its_name(folder: Path) -> None:
    assert json.loads(ask(folder, "how-many", "--json").stdout) == [{"many": 0}]


def test_a_statement_comes_from_a_file_or_from_standard_input(folder: Path) -> None:
    (folder / "q.sql").write_text("﻿-- how many\nSELECT 7 AS x\n", encoding="utf-8")
    assert json.loads(ask(folder, "--file", str(folder / "q.sql"), "--json").stdout) == [{"x": 7}]
    assert json.loads(ask(folder, "-", "--json", typed="SELECT 8 AS x").stdout) == [{"x": 8}]
    found = ask(folder, "--file", str(folder / "none.sql"))
    assert found.exit_code == 2
    assert "none.sql cannot be read" in found.stderr
    found = ask(folder, "-", typed=" \n")
    assert found.exit_code == 2
    assert "standard input is empty" in found.stderr


def test_a_statement_may_begin_with_a_comment(folder: Path) -> None:
    found = ask(folder, "-- what I want to know\nSELECT 1 AS one", "--json")
    assert json.loads(found.stdout) == [{"one": 1}]
    found = ask(folder, "--jsn")
    assert found.exit_code == 2
    assert "there is no option --jsn" in found.stderr


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("SELECT titel FROM proposals", "did you mean title"),
        ("SELECT * FROM propsals", "did you mean proposals"),
        ("SELECT * FROM texts", "did you mean proposal_texts"),
        ("SELECT p.suports FROM unanswered p", "did you mean supports"),
    ],
)
def test_a_wrong_word_names_the_near_ones(folder: Path, asked: str, told: str) -> None:
    found = ask(folder, asked)
    assert found.exit_code == 1
    assert told in found.stderr


def test_a_wrong_word_names_the_near_ones_on_postgresql(folder: Path, postgres: str) -> None:
    engine = open_engine(parse_url(postgres))
    migrate(engine)
    engine.dispose()
    (folder / "civicsync.yaml").write_text(f"{CONFIG}database: '{postgres}'\n")
    found = ask(folder, "SELECT titel FROM proposals")
    assert "did you mean title" in found.stderr
    found = ask(folder, "SELECT 1 FROM propsals")
    assert "did you mean proposals" in found.stderr
    assert json.loads(ask(folder, "SELECT count(*) AS n FROM processes", "--json").stdout) == [{"n": 0}]


def test_one_word_says_what_it_would_have_to_be(folder: Path) -> None:
    found = ask(folder, "how-mani")
    assert found.exit_code == 2
    assert "did you mean how-many" in found.stderr
    assert "SELECT * FROM processes" in ask(folder, "processes").stderr


def test_without_a_question_it_tells_what_can_be_asked(folder: Path) -> None:
    told = ask(folder)
    assert "how-many" in told.stdout
    assert "unanswered" in told.stdout
    views = {each["view"]: each for each in json.loads(ask(folder, "--json").stdout)["views"]}
    assert views["unanswered"]["columns"]["waiting_days"]["unit"] == "days"


def test_no_number_is_ever_cropped(folder: Path) -> None:
    for columns in ("40", "80", "120"):
        found = CliRunner().invoke(
            app,
            [
                *("--config", str(folder / "civicsync.yaml"), "query"),
                "SELECT 123456789012 AS a_rather_long_name, 987654321098 AS another_long_name, 'x' AS t, 3.141592653589 AS pi",
            ],
            env={**os.environ, "COLUMNS": columns},
        )
        for number in ("123456789012", "987654321098", "3.141592653589"):
            assert number in found.stdout, columns
