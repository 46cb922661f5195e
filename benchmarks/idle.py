"""What `civicsync run` costs while nothing is due, and how long it takes to be ready: `python -m benchmarks.idle [INSTANCES] [SECONDS]`.

A configuration of so many instances of which every turn was done a moment ago, and one process that waits. Printed are the seconds from
its start to `/ready`, its CPU while it waits (of `/proc`), and what it holds in memory. The rivals of the race have no process that waits:
whoever starts them does.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from civicsync.app.doing import planned
from civicsync.config.load import load
from civicsync.core.clock import Clock
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.operations_tables import TurnRow
from civicsync.core.schema.tables import table_of

KEY = {"KEY": "0123456789abcdef" * 4}
_PLATFORMS = ("decidim", "consul", "your-priorities")
_TICKS = os.sysconf("SC_CLK_TCK")


def prepare(folder: Path, instances: int, port: int) -> None:
    """A configuration, and a database in which all turns are done; no request is ever made to these addresses."""
    file = folder / "civicsync.yaml"
    blocks = {
        f"stad-{number:03}": {
            "platform": _PLATFORMS[number % 3],
            "url": f"http://127.0.0.1:{20_000 + number}",
            "every": "30d",
            **({"communities": [1]} if _PLATFORMS[number % 3] == "your-priorities" else {}),
        }
        for number in range(instances)
    }
    file.write_text(
        json.dumps(
            {
                "civicsync": 1,
                "operator": {"name": "idle", "contact": "idle@example.org"},
                "privacy": {"key": "${KEY}"},
                "operations": {"listen": f"127.0.0.1:{port}"},
                "instances": blocks,
            }
        )
    )
    config = load(file, KEY)
    engine = open_engine(parse_url(config.database, folder))
    migrate(engine)
    now = Clock().now()
    rows = [
        {"job": each.job, "plan": each.plan, "up_to": now, "began_at": now, "ended_at": now}
        for each in planned(config, list(config.instances))
    ]
    with engine.begin() as connection:
        connection.execute(table_of(TurnRow).insert(), rows)
    engine.dispose()


def measure(instances: int, seconds: float) -> dict[str, float]:
    """Start to ready, CPU per waiting minute, memory."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        prepare(folder, instances, port)
        command = [sys.executable, "-m", "civicsync.app.cli", "run"]
        began = time.monotonic()
        with subprocess.Popen(command, cwd=folder, env={**os.environ, **KEY}, stdout=subprocess.DEVNULL) as process:
            try:
                _ready(f"http://127.0.0.1:{port}/ready", process)
                ready = time.monotonic() - began
                time.sleep(2.0)
                before = _cpu(process.pid)
                time.sleep(seconds)
                spent = _cpu(process.pid) - before
                status = Path(f"/proc/{process.pid}/status").read_text()
            finally:
                process.send_signal(signal.SIGTERM)
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
    return {
        "instances": instances,
        "start to ready, s": round(ready, 2),
        "CPU per waiting minute, s": round(spent * 60 / seconds, 3),
        "resident, MB": round(memory, 1),
    }


def _ready(address: str, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (OSError, urllib.error.URLError):
            time.sleep(0.02)
    raise RuntimeError("it ended before it was ready")


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    wanted = [int(each) for each in sys.argv[1:]]
    for many in (1, wanted[0] if wanted else 200):
        print(json.dumps(measure(many, wanted[1] if len(wanted) > 1 else 60)), flush=True)
