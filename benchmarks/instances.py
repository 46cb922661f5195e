"""Many instances at once, of which nothing has changed: what each costs us, and whether the platforms' seconds are told as they were.

Each instance is a CONSUL of its own port in one server process, which takes its time over every answer and keeps count of it. Figures
are those of a whole `civicsync sync` process, less those of one with a single instance where it says "each".
Usage: python -m benchmarks.instances [INSTANCES] [ROWS]
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .race import ROOT


@dataclass(frozen=True)
class Figures:
    """One run of all instances at once: CPU seconds and peak megabytes of the process, and platform seconds as told and as they were."""

    cpu: float
    peak_mb: float
    told: float
    true: float
    wall: float


class _Slow:
    """One port of the server: the rows of a `FastPlatform`, each answer after a while."""

    def __init__(self, platform: Any, count: Any, seed: int) -> None:
        self._platform = platform
        self._count = count
        self._chance = random.Random(seed)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI. The seconds are those from the request's last byte to the answer's."""
        if scope["path"] == "/_worked":
            await receive()
            answer = json.dumps(self._count()).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer})
            return
        began = time.monotonic()
        await asyncio.sleep(self._chance.uniform(0.01, 0.06))
        await self._platform(scope, receive, send)
        self._count(time.monotonic() - began)


def serve(instances: int, rows: int) -> None:
    """Serve so many instances until interrupted; prints their addresses in one line."""
    import socket

    import uvicorn

    from .rivals.server import FastPlatform

    platform, worked = FastPlatform(rows), [0.0]

    def count(seconds: float = 0.0) -> float:
        worked[0] += seconds
        return worked[0]

    async def all_of_them() -> None:
        servers: list[Any] = []
        for number, listener in enumerate(listeners):
            application = _Slow(platform, count, number)
            config = uvicorn.Config(application, log_level="error", access_log=False, lifespan="off")
            servers.append(uvicorn.Server(config).serve(sockets=[listener]))
        await asyncio.gather(*servers)

    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(instances)]
    for listener in listeners:
        # As real servers: else the second half of every answer waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(" ".join(f"http://127.0.0.1:{each.getsockname()[1]}" for each in listeners), flush=True)
    asyncio.run(all_of_them())


@contextmanager
def _serving(instances: int, rows: int) -> Iterator[list[str]]:
    command = [sys.executable, "-m", "benchmarks.instances", "serve", str(instances), str(rows)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def worked(url: str) -> float:
    """Seconds that the server has worked so far."""
    with urllib.request.urlopen(f"{url}/_worked") as answer:
        return float(json.loads(answer.read()))


def pulled(folder: Path, urls: list[str]) -> Figures:
    """One `sync` of these instances, of which nothing may have changed."""
    instances = "".join(
        f"  city-{n}: {{platform: consul, url: '{url}', full_every: 30d}}\n" for n, url in enumerate(urls)
    )
    (folder / "civicsync.yaml").write_text(
        "civicsync: 1\noperator: {name: many, contact: many@example.org}\n"
        f'database: sqlite:///many.db\nprivacy: {{key: "${{RACE_KEY}}"}}\ninstances:\n{instances}'
    )
    before, began = worked(urls[0]), time.monotonic()
    command = [sys.executable, "-m", "civicsync.app.cli", "-c", "civicsync.yaml", "sync", "--json"]
    environment = {**os.environ, "RACE_KEY": "0123456789abcdef" * 4}
    output = folder / "told.json"
    with output.open("wb") as stream:
        process = subprocess.Popen(command, cwd=folder, stdout=stream, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(output.read_text()[-2000:])
    runs = json.loads(output.read_bytes())
    told = sum(run["platform_seconds"] for run in runs)
    return Figures(
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        told,
        worked(urls[0]) - before,
        time.monotonic() - began,
    )


def measured(instances: int = 50, rows: int = 200) -> tuple[Figures, Figures]:
    """The same unchanged pull of one instance and of all of them."""
    with tempfile.TemporaryDirectory() as temporary, _serving(instances, rows) as urls:
        folder = Path(temporary)
        pulled(folder, urls)
        return pulled(folder, urls[:1]), pulled(folder, urls)


def main() -> None:
    """Print what was measured."""
    instances = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    one, many = measured(instances, int(sys.argv[2]) if len(sys.argv) > 2 else 200)
    each = (many.cpu - one.cpu) / (instances - 1) * 1000
    print(f"one instance: {one.cpu:.2f} s of CPU, {one.peak_mb:.0f} MB, {one.wall:.1f} s")
    print(
        f"{instances} at once: {many.cpu:.2f} s of CPU ({each:.0f} ms each), {many.peak_mb:.0f} MB, {many.wall:.1f} s"
    )
    print(f"platform seconds told {many.told:.2f}, true {many.true:.2f} ({many.told / many.true:.2f}x)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*map(int, sys.argv[2:4]))
    else:
        main()
