"""The register of processing says what is really configured, and leaves out no column that tells of people."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from civicsync.analysis.columns import VIEWS, Personal
from civicsync.app.cli.main import app

KEY = "0123456789abcdef" * 4
CONFIG: dict[str, Any] = {
    "civicsync": 1,
    "operator": {"name": "Gemeente", "contact": "a@b.example"},
    "privacy": {
        "key": "${KEY}",
        "purge_gone_after": "14d",
        "retention": {"comments": "24mo", "audit": "3y"},
        "mask": ["bsn", "email"],
        "k": 10,
        "exports": ["uitvoer"],
        "organisation": {
            "controller": "College van B en W | Voorbeeld",
            "contact": "avg@voorbeeld.example",
            "dpo": "De functionaris",
            "recipients": ["Onderzoeksbureau"],
        },
    },
    "instances": {
        "west": {"platform": "decidim", "url": "https://west.example", "names": "public"},
        "ideas": {"platform": "consul", "url": "https://ideas.example", "votes": True},
    },
    "routes": {"over": {"from": {"instance": "west"}, "to": {"instance": "ideas", "space": "section/proposals"}}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "civicsync.yaml").write_text(json.dumps(CONFIG))
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(*options: str) -> str:
    done = CliRunner().invoke(app, ["register", *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_p15_all_seven_letters_from_the_live_configuration(folder: Path) -> None:
    told = json.loads(printed("--json"))
    items = {each["letter"]: " ".join(each["lines"]) for each in told["items"]}
    assert sorted(items) == list("abcdefg") and told["missing"] == []
    assert "College van B en W" in items["a"] and "De functionaris" in items["a"]
    assert "art. 6(1)(e)" in items["b"]
    assert (
        "names of authors, of: west" in items["c"] and "votes, without person and to the day, of: ideas" in items["c"]
    )
    assert "over: copies of proposals of west → ideas/section/proposals (https://ideas.example)" in items["d"]
    assert "without the author's name, after a person approved" in items["d"] and "Onderzoeksbureau" in items["d"]
    assert "at least 10 people" in items["d"] and "uitvoer" in items["d"]
    assert "none outside" in items["e"]
    assert "14d" in items["f"] and "24mo" in items["f"] and "audit log: 3y" in items["f"]
    assert "masked in texts before storage: bsn, email" in items["g"]


def test_p15_every_column_that_tells_of_people_is_in_it(folder: Path) -> None:
    told = json.loads(printed("--json"))
    listed = {name for flow in told["flows"] for name in flow["columns"]}
    personal = {
        f"{view.name}.{column.name}"
        for view in VIEWS.values()
        for column in view.columns
        if column.personal is not Personal.NONE
    }
    assert personal and personal <= listed
    assert {flow["source"].partition(" ")[0] for flow in told["flows"]} == {"west", "ideas"}
    assert [flow["columns"] for flow in told["flows"] if "author.name" in flow["columns"]] == [["author.name"]]
    assert any("ideas/section/proposals" in flow["recipients"] for flow in told["flows"])


def test_p15_in_dutch_and_as_a_table_that_nothing_breaks(folder: Path) -> None:
    dutch = printed("--language", "nl")
    assert "# Verwerkingsregister (art. 30 AVG)" in dutch and "# Gegevensstromen (DPIA)" in dutch
    assert "een taak van algemeen belang" in dutch and "geen buiten de Europese" in dutch
    assert "Bewaartermijnen" in dutch and "iedereen: de overzichten" in dutch
    rows = [line for line in dutch.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert KEY not in dutch + printed()


def test_what_is_not_filled_in_is_told(folder: Path) -> None:
    bare = {**CONFIG, "privacy": {"key": "${KEY}"}}
    (folder / "civicsync.yaml").write_text(json.dumps(bare))
    told = json.loads(CliRunner().invoke(app, ["register", "--json"]).stdout)
    assert told["missing"] == [f"privacy.organisation.{name}" for name in ("controller", "contact", "dpo")]
    assert "not in the configuration: privacy.organisation.dpo" in printed()
    assert "names of authors" in printed() and "masked" not in printed()
