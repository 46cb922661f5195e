"""What people meet in their first hour: mistakes are told where they are made, with the way out and the right exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.sandbox.serve import running

KEY = "0123456789abcdef" * 4
ENDLESS = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"


def run(folder: Path, *words: str, code: int = 0, key: str = KEY) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "civicsync.app.cli", *words],
        cwd=folder,
        env={**os.environ, "KEY": key, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def configure(folder: Path, instances: dict[str, Any]) -> None:
    whole = {
        "civicsync": 1,
        "operator": {"name": "Stad", "contact": "a@b.example"},
        "privacy": {"key": "${KEY}"},
        "instances": instances,
    }
    (folder / "civicsync.yaml").write_text(json.dumps(whole))


def test_mistakes_of_the_first_hour(tmp_path: Path) -> None:
    connector = resolve("your-priorities")
    assert connector.sandbox is not None
    with running(connector.sandbox(version=connector.versions[-1], size=30)) as url:
        city = {"platform": "your-priorities", "url": url}
        configure(tmp_path, {"ideas": city, "again": {**city, "url": f"{url}/"}, "wrong": {**city, "groups": [987654]}})
        said = run(tmp_path, "check", code=1)
        assert "ideas and again: both are" in said
        assert "there is no public group/987654" in said and "civicsync discover wrong" in said
        configure(tmp_path, {"ideas": city})
        run(tmp_path, "check")
        assert '"outcome": "done"' in run(tmp_path, "sync", "--json")
        assert "names no space" in run(tmp_path, "sync", "--space", "nonsense", code=2)
        assert "group/987654" in run(tmp_path, "sync", "--space", "group/987654", code=1)
        assert "did you mean `civicsync sync`?" in run(tmp_path, "sinc", code=2)
        # Another key, another platform.
        assert "put the right key back" in run(tmp_path, "status", code=2, key="fedcba9876543210" * 4)
        assert "too easily guessed" in run(tmp_path, "status", code=2, key="changeme" * 8)
        configure(tmp_path, {"ideas": {**city, "platform": "consul"}})
        said = run(tmp_path, "check", "ideas", code=1)
        assert "ideas is stored as your-priorities at" in said
        configure(tmp_path, {"ideas": city})
        assert "your-priorities" in run(tmp_path, "instances", "list")
        # Every number of a run at 120 columns is whole, or its column is named as left out.
        [row] = json.loads(run(tmp_path, "runs", "--limit", "1", "--json"))
        said = run(tmp_path, "runs", "--limit", "1")
        for name in ("seen", "requests", "created"):
            heading = {"created": "new"}.get(name, name)
            assert f"{row[name]:,}" in said.split() or f"{heading}" in said.partition("no room for:")[2]
        assert run(tmp_path, "query", "SELECT 320 AS year, 2026 AS a, 1 AS a").split() == [
            "year",
            "a",
            "a_2",
            "320",
            "2026",
            "1",
        ]
    _ctrl_c(tmp_path)


def _ctrl_c(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "civicsync.app.cli", "query", "--timeout", "120", ENDLESS],
        cwd=folder,
        env={**os.environ, "KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whatever started these tests may ignore it (a shell's background job does), and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        for _ in range(600):
            # Until the statement runs: the process works, and no longer because it is starting.
            if process.poll() is not None or _busy(process.pid) > 3.0:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr is not None and "stopped" in process.stderr.read()


def _busy(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
