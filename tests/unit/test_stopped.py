"""Ctrl-C ends every verb with a word and exit code 130, also where the verb has none of its own."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from civicsync.app.cli import status
from civicsync.app.cli.main import app


def test_a_verb_that_says_nothing_of_its_own_is_stopped_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "configuration", pressed)
    done = CliRunner().invoke(app, ["--config", str(tmp_path / "civicsync.yaml"), "status"])
    assert done.exit_code == 130
    assert done.stderr.strip() == "stopped"
