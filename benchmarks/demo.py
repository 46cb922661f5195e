"""`make demo`: three toy cities on loopback, a configuration, a pull with progress, and what to try next.

A second run finds the same cities again and shows that nothing changed. Everything it writes is in `demo/`.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "demo"
PROGRAM = [sys.executable, "-m", "civicsync.app.cli"]
CITIES = {
    "participa-west": ("decidim", 4711, 300),
    "plaza": ("consul", 4712, 300),
    "ideas": ("your-priorities", 4713, 120),
}
QUERIES = (
    "SELECT instance, kind, count(*) AS n, sum(supports) AS supports FROM proposals WHERE gone_at IS NULL GROUP BY 1, 2",
    "SELECT instance, title, supports, comments FROM proposals ORDER BY supports DESC LIMIT 10",
    "SELECT instance, state, count(*) AS n FROM proposals WHERE gone_at IS NULL GROUP BY 1, 2 ORDER BY 1, 3 DESC",
)


def main() -> int:
    """Run the demonstration; returns the exit code."""
    FOLDER.mkdir(exist_ok=True)
    cities: dict[str, subprocess.Popen[str]] = {}
    try:
        blocks: dict[str, dict[str, Any]] = {}
        for name, (platform, port, size) in CITIES.items():
            cities[name] = start(platform, port, size)
        for name, process in cities.items():
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                print(f"the {name} city did not start", file=sys.stderr)
                return 1
            blocks[name] = json.loads(line)["instance"]
            print(f"{name}: a {blocks[name]['platform']} city at {blocks[name]['url']}")
        config = write_config(blocks)
        print(f"configuration: {config.relative_to(ROOT)}\n")
        code = subprocess.call([*PROGRAM, "--config", str(config), "sync"])
        if code == 0:
            farewell(config)
        return code
    except KeyboardInterrupt:
        return 130
    finally:
        for process in cities.values():
            process.terminate()
        for process in cities.values():
            process.wait(timeout=10)


def start(platform: str, port: int, size: int) -> "subprocess.Popen[str]":
    """Start a toy city, on its usual port if that is free."""
    command = [*PROGRAM, "sandbox", platform, "--size", str(size), "--port", str(port if is_free(port) else 0)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def write_config(blocks: dict[str, dict[str, Any]]) -> Path:
    """Write the configuration and, once, a key that only its owner can read."""
    key = FOLDER / "civicsync.key"
    if not key.exists():
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32) + "\n")
    lines = [
        "# Written by `make demo`; the passwords belong to toy cities on this machine.",
        "civicsync: 1",
        "operator: {name: civicsync demo, contact: demo@example.org}",
        "database: sqlite:///civicsync.db",
        "privacy: {key: file:civicsync.key}",
        "instances:",
    ]
    for name, block in blocks.items():
        lines.append(f"  {name}:")
        lines += [f"    {field}: {json.dumps(value)}" for field, value in block.items()]
    config = FOLDER / "civicsync.yaml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


def farewell(config: Path) -> None:
    """Where everything is, and what to try."""
    program = ".venv/bin/civicsync -c demo/civicsync.yaml"
    print(f"\nThe database: {config.parent.relative_to(ROOT)}/civicsync.db. Three questions worth asking:\n")
    for query in QUERIES:
        print(f'  {program} query "{query}"\n')
        subprocess.call([*PROGRAM, "--config", str(config), "query", query])
        print()
    print("Run `make demo` again: the cities are the same, so nothing is written twice.")


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"\n{time.monotonic() - began:.0f} seconds")
    sys.exit(code)
