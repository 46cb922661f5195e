"""Another key: every pseudonym goes, the next pull makes new ones, and copies are still known as ours."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.config.load import load
from civicsync.core import audit, rekeying
from civicsync.core.fingerprints import OtherKey, check_fingerprint
from civicsync.core.forgetting import forget
from civicsync.core.privacy import MissingKeyError, fingerprint_of, pseudonymiser
from civicsync.core.rekeying import RekeyingError, rotate
from civicsync.core.schema.database import file_of
from proof.crossing import KEY, Crossing

OLD = KEY["KEY"]
NEW = "fedcba9876543210" * 4


@pytest.fixture
def city(tmp_path: Path) -> Crossing:
    """Three proposals of three people, copied to a Your Priorities, read back."""
    made = Crossing(tmp_path / "city", "your-priorities", "2026-07", count=3)
    for number, post in enumerate(made.board.posts.values()):
        post.author = f"citizen-{number}"
    made.pull("board")
    check_fingerprint(made.engine, OLD)
    made.until_quiet()
    made.pull()
    return made


def authors(city: Crossing, table: str = "proposal") -> list[Any]:
    return [row[0] for row in city.rows(f"SELECT author FROM {table} WHERE instance = 'board' ORDER BY key")]


def expected(secret: str) -> list[str]:
    return [pseudonymiser(secret, "board")(f"citizen-{number}") for number in range(3)]


def with_keys(city: Crossing, tmp_path: Path, **privacy: str) -> None:
    file = tmp_path / "city" / "civicsync.yaml"
    whole = json.loads(file.read_text())
    whole["privacy"] = privacy
    file.write_text(json.dumps(whole))
    city.config = load(file, {"KEY": OLD, "NEW": NEW})


def test_p5_every_pseudonym_is_made_anew(city: Crossing, tmp_path: Path) -> None:
    assert authors(city) == expected(OLD)
    planned = rotate(city.engine, city.clock, OLD, NEW, OLD, dry_run=True)
    assert planned.copies == 3 and planned.records >= 3 and authors(city) == expected(OLD)
    assert rotate(city.engine, city.clock, OLD, NEW, OLD) == planned
    assert authors(city) == [None] * 3
    file = file_of(city.engine)
    assert file is not None
    for own in expected(OLD):
        assert own.encode() not in file.read_bytes(), "not a byte of the old ones is left"
    with_keys(city, tmp_path, key="${NEW}", marker_key="${KEY}")
    before = city.rows("SELECT key, title, supports FROM proposal WHERE gone_at IS NULL ORDER BY key")
    city.pull()
    assert authors(city) == expected(NEW)
    assert city.rows("SELECT key, title, supports FROM proposal WHERE gone_at IS NULL ORDER BY key") == before
    assert city.rows("SELECT count(*) FROM proposal_version") == [(0,)], "no text became another version"
    assert [each.action for each in audit.entries(city.engine)] == ["key rotate"] and audit.verify(city.engine).whole


def test_p5_copies_are_still_ours(city: Crossing, tmp_path: Path) -> None:
    rotate(city.engine, city.clock, OLD, NEW, OLD)
    with_keys(city, tmp_path, key="${NEW}", marker_key="${KEY}")
    city.pull()
    writes = city.rows("SELECT count(*) FROM operation")
    city.until_quiet()
    assert city.rows("SELECT count(*) FROM operation") == writes, "nothing is made or changed again"
    assert sorted(city.copies().values()) == [1, 1, 1]


def test_p5_until_the_configuration_has_the_new_key_nothing_runs(city: Crossing) -> None:
    rotate(city.engine, city.clock, OLD, NEW, OLD)
    with pytest.raises(OtherKey, match=r"the one from before `civicsync key rotate`"):
        check_fingerprint(city.engine, OLD)
    with pytest.raises(OtherKey, match=r"write that one in privacy\.marker_key"):
        check_fingerprint(city.engine, NEW)
    with pytest.raises(OtherKey, match="another one"):
        check_fingerprint(city.engine, "0a1b2c3d4e5f6789" * 4, OLD)
    check_fingerprint(city.engine, NEW, OLD)


def test_p5_a_rotation_that_breaks_off_changed_nothing(city: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Exception):
        pass

    def broken(*_: Any, **__: Any) -> None:
        raise Broken

    monkeypatch.setattr(rekeying.audit, "append", broken)
    with pytest.raises(Broken):
        rotate(city.engine, city.clock, OLD, NEW, OLD)
    monkeypatch.undo()
    assert authors(city) == expected(OLD)
    check_fingerprint(city.engine, OLD)
    rotate(city.engine, city.clock, OLD, NEW, OLD)
    check_fingerprint(city.engine, NEW, OLD)


def test_what_was_erased_stays_so_under_the_new_key(city: Crossing, tmp_path: Path) -> None:
    forget(city.engine, city.clock, "board", expected(OLD)[0])
    told = rotate(city.engine, city.clock, OLD, NEW, OLD)
    assert told.forgotten == 1
    with_keys(city, tmp_path, key="${NEW}", marker_key="${KEY}")
    city.pull()
    assert authors(city) == [None, *expected(NEW)[1:]]
    assert city.rows("SELECT title FROM proposal WHERE key = 'board/proposal/1'") == [("",)]


@pytest.mark.parametrize("weak", ["short", "k" * 64])
def test_a_key_that_protects_nobody_is_refused(city: Crossing, weak: str) -> None:
    with pytest.raises(MissingKeyError):
        rotate(city.engine, city.clock, OLD, weak, OLD)
    with pytest.raises(RekeyingError, match="the key of now"):
        rotate(city.engine, city.clock, OLD, OLD, OLD)


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "civicsync.yaml"
    file.write_text(
        'civicsync: 1\noperator: {name: t, contact: a@b.example}\nprivacy: {key: "${KEY}"}\n'
        "instances:\n  board: {platform: 'civicsync.connectors.testing.fake:CONNECTOR', url: 'http://127.0.0.1:9937'}\n"
    )
    key = tmp_path / "new.key"
    key.write_text(NEW + "\n")
    key.chmod(0o600)
    monkeypatch.setenv("KEY", OLD)
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    assert run.invoke(app, ["sync"]).exit_code == 0
    assert run.invoke(app, ["key", "fingerprint"]).output.strip() == fingerprint_of(OLD)
    planned = run.invoke(app, ["key", "rotate", "file:new.key", "--dry-run"])
    assert planned.exit_code == 0 and "nothing was changed" in planned.output
    written = run.invoke(app, ["key", "rotate", NEW])
    assert (
        written.exit_code == 2 and "never written on the command line" in written.output and NEW not in written.output
    )
    key.chmod(0o644)
    assert "others can read it" in run.invoke(app, ["key", "rotate", "file:new.key"]).output
    key.chmod(0o600)
    done = run.invoke(app, ["key", "rotate", "file:new.key"])
    assert done.exit_code == 0 and 'key: "file:new.key"' in done.output and NEW not in done.output
    refused = run.invoke(app, ["status"])
    assert refused.exit_code == 2 and "key rotate" in refused.output
    file.write_text(file.read_text().replace("${KEY}", "file:new.key"))
    assert run.invoke(app, ["sync"]).exit_code == 0
    found = json.loads(run.invoke(app, ["query", "--json", "SELECT author FROM proposals ORDER BY author"]).stdout)
    assert {row["author"] for row in found} == {pseudonymiser(NEW, "board")(f"citizen-{n}") for n in range(3)}
