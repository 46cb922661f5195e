"""The program as an admin and an analyst use it, against a served toy city."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.sandbox.serve import running
from civicsync.sync.pull.revisit import LEAST


def program(folder: Path, *words: str, code: int = 0) -> str:
    """Run a verb; its standard output."""
    environment = {**os.environ, "COLUMNS": "160"}
    command = [sys.executable, "-m", "civicsync.app.cli", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + (done.stderr if code else "")


def as_json(folder: Path, *words: str, code: int = 0) -> Any:
    return json.loads(program(folder, *words, "--json", code=code))


def test_from_nothing_to_an_answer(tmp_path: Path) -> None:
    connector = resolve("consul")
    assert connector.sandbox is not None
    program(tmp_path, "init")
    assert stat.S_IMODE((tmp_path / "civicsync.key").stat().st_mode) == 0o600
    assert "exists already" in program(tmp_path, "init", code=2)
    with running(connector.sandbox(version="2.1.1", size=40)) as url:
        found = as_json(tmp_path, "discover", url)
        assert (found["platform"], found["version"]) == ("consul", "2.1.1")
        text = (tmp_path / "civicsync.yaml").read_text()
        head = text[: text.index("instances:")]
        (tmp_path / "civicsync.yaml").write_text(head + "instances:\n" + found["yaml"])
        [checked] = as_json(tmp_path, "check")
        assert checked["ok"] and checked["strategy"]
        [synced] = as_json(tmp_path, "sync")
        assert synced["outcome"] == "done" and synced["proposals"] > 20 and synced["requests"] > 0
        assert sum(synced["kinds"].values()) == synced["proposals"] and len(synced["kinds"]) > 1
        [again] = as_json(tmp_path, "sync")
        # One request, and a few for what was confirmed longest ago.
        assert (again["created"], again["changed"]) == (0, 0) and 1 <= again["requests"] <= 1 + LEAST
    rows = as_json(
        tmp_path,
        "query",
        "SELECT instance, kind, remote_id, title, state, supports, comments, url, gone_at FROM proposals",
    )
    assert len(rows) == synced["proposals"] and rows[0]["title"]
    assert "the database is only read here" in program(tmp_path, "query", "DELETE FROM proposal", code=1)
    assert program(tmp_path, "query", "SELECT '=1+1' AS x", "--csv").split() == ["x", "'=1+1"]
    story = as_json(tmp_path, "explain", f"{rows[0]['instance']}/{rows[0]['kind']}/{rows[0]['remote_id']}")
    assert story["texts"] and story["tallies"]
    assert as_json(tmp_path, "status")[0]["last_outcome"] == "done"
    assert [run["outcome"] for run in as_json(tmp_path, "runs")] == ["done", "done"]
    assert as_json(tmp_path, "quarantine", "list") == []
    key = (tmp_path / "civicsync.key").read_text().strip()
    assert key not in program(tmp_path, "config", "show")
    assert key.encode() not in (tmp_path / "civicsync.db").read_bytes()


def test_a_platform_that_is_away(tmp_path: Path) -> None:
    program(tmp_path, "init")
    text = (tmp_path / "civicsync.yaml").read_text().replace("https://participa.example", "http://127.0.0.1:9")
    text += "    politeness: {give_up_after: 1, timeout: 1}\n"
    (tmp_path / "civicsync.yaml").write_text(text)
    [row] = as_json(tmp_path, "sync", code=1)
    assert row["outcome"] == "failed" and "cannot connect" in row["message"]
    assert "no instance 'elsewhere'" in program(tmp_path, "sync", "elsewhere", code=2)
