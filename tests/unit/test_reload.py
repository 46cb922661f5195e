"""`civicsync run` as a service: it says when it is ready, reads its configuration again on SIGHUP, and stops on SIGTERM."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from civicsync.app.operations.notify import Notifier

SLOW = 60.0


class Service:
    """A running `civicsync run`, what it told the service manager, and what it printed."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.file = folder / "civicsync.yaml"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "notify"))
        self.manager.settimeout(SLOW)
        self.configure(**more)
        environment = {
            **os.environ,
            "KEY": "0123456789abcdef" * 4,
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": "2000000",
        }
        command = [sys.executable, "-u", "-m", "civicsync.app.cli", "--config", str(self.file), "run"]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def configure(
        self, instances: tuple[str, ...] = ("west",), quiet: dict[str, Any] | None = None, **more: Any
    ) -> None:
        fake = "civicsync.connectors.testing.fake:CONNECTOR"
        whole = {
            "civicsync": 1,
            "operator": {"name": "test", "contact": "t@example.org"},
            "privacy": {"key": "${KEY}"},
            "operations": {"listen": "127.0.0.1:0"},
            "instances": {
                name: {"platform": fake, "url": f"http://127.0.0.1:9/{name}", "every": "1h", **(quiet or {})}
                for name in instances
            },
            **more,
        }
        self.file.write_text(json.dumps(whole))

    def told(self, line: str) -> str:
        """Waits until the service manager is told this."""
        while True:
            told = self.manager.recv(4096).decode()
            if line in told.split("\n"):
                return told

    def printed(self, part: str) -> str:
        """Waits for a line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if part in line:
                return line
        raise AssertionError(f"it ended and never printed {part!r}")


@contextmanager
def running(folder: Path, **more: Any) -> Iterator[Service]:
    service = Service(folder, **more)
    with closing(service.manager):
        try:
            yield service
        finally:
            service.process.kill()
            service.process.communicate()


def get(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=SLOW) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_right_configuration_is_taken_up_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        site = service.printed("/health").partition("Z civicsync: ")[2].partition("/health")[0]
        service.told("READY=1")
        service.told("WATCHDOG=1")
        service.printed("west: done")
        assert get(f"{site}/health") == (200, '{"ok": true}\n')
        assert get(f"{site}/ready") == (200, '{"ok": true}\n')
        assert get(f"{site}/elsewhere")[0] == 404

        service.configure(("west", "east"))
        service.process.send_signal(signal.SIGHUP)
        service.told("RELOADING=1")
        service.told("READY=1")
        service.printed("was read again and is in use")
        service.printed("running: pull west (1h), pull east (1h)")
        service.printed("east: done")
        page = get(f"{site}/metrics")[1]
        assert "civicsync_config_reload_failed 0.0" in page
        assert 'civicsync_runs_total{instance="west",outcome="done",work="pull"} 1.0' in page, (
            "only what is new has its turn"
        )

        service.configure(("west",), saftey={})
        service.process.send_signal(signal.SIGHUP)
        service.told("RELOADING=1")
        service.told("READY=1")
        assert "saftey" in service.printed("saftey")
        service.printed("the one of before is still in use")
        page = get(f"{site}/metrics")[1]
        assert "civicsync_config_reload_failed 1.0" in page
        assert 'civicsync_last_good_pull_age_seconds{instance="east"}' in page
        assert 'civicsync_runs_total{instance="east",outcome="done",work="pull"} 1.0' in page

        service.configure(("west",), database="sqlite:///other.db")
        service.process.send_signal(signal.SIGHUP)
        service.printed("needs a restart")
        assert not (tmp_path / "other.db").exists()

        service.process.send_signal(signal.SIGTERM)
        service.told("STOPPING=1")
        service.printed("stopped; everything that was read and written is kept")
        assert service.process.wait(SLOW) == 0


def test_in_quiet_hours_an_instance_is_left_alone_and_a_reload_can_end_them(tmp_path: Path) -> None:
    now = datetime.now(UTC)  # a real process has the real clock: all of the day but an hour that is far away
    away = (now.hour + 12) % 24
    with running(tmp_path, quiet={"never_between": [f"{(away + 1) % 24:02}:00-{away:02}:00"]}) as service:
        service.printed("pull west: quiet hours; its turn comes after")
        service.configure()
        service.process.send_signal(signal.SIGHUP)
        service.printed("was read again and is in use")
        service.printed("west: done")


def test_an_address_that_is_taken_is_told_and_pulls_go_on(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        with running(tmp_path, operations={"listen": taken}) as service:
            assert taken in service.printed("nothing answers on")
            service.printed("west: done")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_signs_of_life_are_given_where_they_are_expected(environment: dict[str, str], expected: float | None) -> None:
    assert Notifier(environment).watchdog == expected


def test_without_a_service_manager_nothing_is_told_and_with_a_deaf_one_nothing_breaks(tmp_path: Path) -> None:
    Notifier({}).ready("")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready("")


def test_an_abstract_socket_is_reached() -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(f"\0civicsync-test-{os.getpid()}")
        manager.settimeout(SLOW)
        Notifier({"NOTIFY_SOCKET": f"@civicsync-test-{os.getpid()}"}).ready("all is well")
        assert manager.recv(4096) == b"READY=1\nSTATUS=all is well"
