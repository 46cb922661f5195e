"""Publishing as an administrator does it: dry run, queue, review, send, ask, keep going."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.sandbox.serve import running

KEY = {"CIVICSYNC_KEY": "0123456789abcdef" * 4}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    plaza, west = resolve("consul"), resolve("decidim")
    assert plaza.sandbox is not None
    assert west.sandbox is not None
    with (
        running(plaza.sandbox(version="2.5.1", size=6, seed=1)) as here,
        running(west.sandbox(version="0.28.6", size=6, seed=2, throttle=False)) as there,
    ):
        blocks = {
            "plaza": plaza.sandbox(version="2.5.1", size=0).instance_block(here),
            "west": west.sandbox(version="0.28.6", size=0).instance_block(there),
        }
        route = {
            "from": {"instance": "plaza", "space": "section/proposals"},
            "to": {"instance": "west", "space": "component/1"},
        }
        whole = {
            "civicsync": 1,
            "operator": {"name": "Gemeente Voorbeeld", "contact": "digitaal@voorbeeld.example"},
            "privacy": {"key": "${CIVICSYNC_KEY}"},
            "instances": blocks,
            "routes": {"plaza-to-west": route},
        }
        (tmp_path / "civicsync.yaml").write_text(json.dumps(whole))
        yield tmp_path


def run(folder: Path, *words: str, code: int = 0) -> Any:
    command = [sys.executable, "-m", "civicsync.app.cli", *words]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **KEY}, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout + done.stderr


def test_from_a_dry_run_to_a_copy_that_tells_its_story(folder: Path) -> None:
    run(folder, "sync")
    plan = run(folder, "publish", "--dry-run", "--json")[0]
    creates = [each for each in plan["decisions"] if each["action"] == "create"]
    assert creates
    assert all(each["requests"][0]["method"] == "POST" for each in creates)
    assert "toy-password" not in json.dumps(plan)
    assert run(folder, "query", "SELECT * FROM publications", "--json") == []
    assert run(folder, "publish", "--json")[0]["outcome"] == "waiting"
    waiting = run(folder, "review", "list", "--json")
    assert {each["action"] for each in waiting} == {"create"}
    shown = run(folder, "review", "show", waiting[0]["id"])
    assert "[civicsync:plaza/proposal/" in shown
    run(folder, "review", "reject", waiting[0]["id"], "--reason", "dubbel")
    run(folder, "review", "approve", "--all")
    sent = run(folder, "publish", "--json")[0]
    assert (sent["outcome"], sent["sent"]) == ("done", len(waiting) - 1)
    assert sent["written"]["create"] == len(waiting) - 1
    rows = run(
        folder,
        "query",
        "SELECT route, origin, target, state, remote_id, url FROM publications ORDER BY state",
        "--json",
    )
    assert {row["state"] for row in rows} == {"rejected", "sent"}
    assert all(row["target"] == "west/component/1" for row in rows)
    story = run(folder, "explain", rows[-1]["origin"], "--json")
    assert [event["what"] for event in story["publications"][0]["events"]][-1] == "create: sent"
    assert "sent" in run(folder, "explain", story["publications"][0]["id"])
    again = run(folder, "publish", "--json")[0]
    assert (again["outcome"], again["written"], again["sent"]) == ("done", {}, sent["sent"]), (
        "what stands there is not what was sent now"
    )
    table = run(folder, "publish")
    assert "copies there" in table and "written now" in table
    assert run(folder, "review", "approve", waiting[0]["id"], code=1).strip().endswith("not waiting for anybody")


def test_wrong_words_get_a_clear_error(folder: Path) -> None:
    assert "there are: plaza-to-west" in run(folder, "publish", "nowhere", code=2)
    assert "say --all" in run(folder, "review", "approve", code=2)
    assert "knows no OAuth" in run(folder, "login", "plaza", code=2)


def test_it_keeps_going_until_it_is_told_to_stop(folder: Path) -> None:
    command = [sys.executable, "-u", "-m", "civicsync.app.cli", "run"]
    lines: list[str] = []
    with subprocess.Popen(command, cwd=folder, env={**os.environ, **KEY}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if "route plaza-to-west: waiting" in line:
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    told = "".join(lines)
    assert "pull west: done" in told
    assert "stopped; everything that was read and written is kept" in told
