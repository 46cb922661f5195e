"""`civicsync alerts` as somebody uses it on the command line."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.app.cli.state import state
from civicsync.app.operations import doctor
from civicsync.app.operations.health import Health, asking
from civicsync.app.operations.metrics import Metrics
from civicsync.app.operations.server import serving
from civicsync.core.clock import Clock, FakeClock
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.vitals import look
from tests.support.alerts import Town

Run = Callable[..., Any]
SECRET = "pl4nted-signing-secret"
CONFIGURATION = """
civicsync: 1
operator: {name: Gemeente Voorbeeld, contact: digitaal@voorbeeld.example}
privacy: {key: "${KEY}"}
instances:
  west: {platform: decidim, url: "http://127.0.0.1:9"}
  east: {platform: consul, url: "http://127.0.0.1:9/x"}
routes:
  over: {from: {instance: west}, to: {instance: east, space: section/proposals}}
"""
CHANNELS = """
alerts:
  overview: off
  webhooks:
    good: {url: "HOOK/200", secret: "${SECRET}"}
    bad: {url: "HOOK/500/T0KEN", secret: "${SECRET}"}
"""


@pytest.fixture
def hook() -> Iterator[str]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(int(self.path.split("/")[1]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_engine(parse_url(f"sqlite:///{tmp_path / 'civicsync.db'}"))
    migrate(made)
    yield made
    made.dispose()


@pytest.fixture
def run(tmp_path: Path, engine: Engine, hook: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(state, "config_file", state.config_file)
    monkeypatch.setenv("KEY", "0123456789abcdef" * 4)
    monkeypatch.setenv("SECRET", SECRET)

    def ran(*words: str, channels: bool = True) -> Any:
        more = CHANNELS.replace("HOOK", hook) if channels else ""
        (tmp_path / "civicsync.yaml").write_text(CONFIGURATION + more)
        done = CliRunner().invoke(app, list(words))
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert SECRET not in done.output and "T0KEN" not in done.output
        return done

    return ran


def test_nothing_stands_and_nobody_would_be_told(run: Run) -> None:
    done = run("alerts", channels=False)
    assert done.exit_code == 0 and "no alert is open" in done.output and "names no channel" in done.output
    done = run("alerts", "test", channels=False)
    assert done.exit_code == 2 and "docs/howto/alerts.md" in done.output


def test_a_test_goes_through_every_channel_and_leaves_nothing(run: Run, engine: Engine) -> None:
    done = run("alerts", "test")
    assert done.exit_code == 1
    assert "webhook:good: delivered" in done.output and "x webhook:bad: the server failed (status 500)" in done.output
    answers = json.loads(run("alerts", "test", "--json").stdout)
    assert [(each["channel"], each["delivered"]) for each in answers] == [
        ("webhook:good", True),
        ("webhook:bad", False),
    ]
    assert run("alerts").exit_code == 0


def test_send_opens_delivers_and_tells_what_failed(run: Run, engine: Engine) -> None:
    Town(engine, FakeClock(Clock().now())).halted()
    first = json.loads(run("alerts", "send", "--json").stdout)
    assert first["told"] == [{"what": "opened", "title": "the route over has stopped"}]
    assert first["deliveries"] == {"delivered": 1, "waiting": 1} and list(first["failed"]) == ["webhook:bad"]
    again = run("alerts", "send")
    assert again.exit_code == 1 and "1 waiting" in again.output and "status 500" in again.output
    shown = run("alerts")
    assert shown.exit_code == 1 and "route_halted" in shown.output and "webhook:bad" in shown.output
    listed = json.loads(run("alerts", "--json").stdout)
    [alert], [delivery] = listed["open"], listed["undelivered"]
    assert (alert["kind"], alert["subject"]) == ("route_halted", "over")
    assert (delivery["channel"], delivery["state"], delivery["attempts"]) == ("webhook:bad", "waiting", 2)
    assert delivery["next"] and delivery["uid"]
    status = run("status")
    assert "open alerts: 1 route halted" in status.output and "1 notices were not delivered" in status.output
    assert "webhook:bad" in run("alerts", channels=False).output, (
        "what the configuration does not have any more is told"
    )


def test_the_doctor_names_what_was_not_delivered_with_the_way_out() -> None:
    found = list(doctor.notices({"mail": 2}, {"webhook:chat": 1}))
    assert [(each.about, each.level) for each in found] == [("mail", "know"), ("webhook:chat", "act")]
    assert all("civicsync alerts test" in each.way_out for each in found)


def test_the_process_serves_the_feed_and_a_database_that_is_away_is_told(sqlite: Engine, clock: FakeClock) -> None:
    import urllib.error
    import urllib.request

    broken = list[bool]()

    def ask() -> bytes:
        if broken:
            raise OSError
        return b"<feed/>"

    metrics = Metrics(clock, "0", lambda: look(sqlite, (), clock.now()))
    with serving("127.0.0.1:0", metrics, Health(clock, asking(sqlite)), ask) as where:
        with urllib.request.urlopen(f"{where}/feed.atom") as answer:
            assert answer.read() == b"<feed/>" and answer.headers["Content-Type"].startswith("application/atom+xml")
        broken.append(True)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{where}/feed.atom")
        assert caught.value.code == 503
        caught.value.close()


def test_a_running_process_tells_delivers_and_stops(tmp_path: Path, engine: Engine) -> None:
    """Killed with -9 after it opened and before the receiver took it, the next process brings the same notice."""
    got, takes, asked = list[dict[str, Any]](), threading.Event(), threading.Semaphore(0)

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["webhook-id"] == body["data"]["id"]
            if takes.is_set():
                got.append(body)
            asked.release()
            takes.wait(60)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    ledger = Town(engine, FakeClock(Clock().now())).ledger
    ledger.count_failure("host.example", 1, timedelta(hours=1))
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        chat = {"url": f"http://127.0.0.1:{server.server_address[1]}/x", "secret": "${SECRET}"}
        west = {
            "platform": "civicsync.connectors.testing.fake:CONNECTOR",
            "url": "http://127.0.0.1:9/west",
            "every": "1s",
        }
        whole = {
            "civicsync": 1,
            "operator": {"name": "Stad", "contact": "a@b.example"},
            "privacy": {"key": "${KEY}"},
            "operations": {"listen": "off"},
            "alerts": {"overview": "off", "webhooks": {"chat": chat}},
            "instances": {"west": west},
        }
        (tmp_path / "civicsync.yaml").write_text(json.dumps(whole))
        environment = {**os.environ, "KEY": "0123456789abcdef" * 4, "SECRET": SECRET}
        command = [sys.executable, "-m", "civicsync.app.cli", "run"]
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as first:
            assert asked.acquire(timeout=60)
            first.kill()
        with engine.begin() as connection:
            [opened] = connection.exec_driver_sql("SELECT uid FROM alert_notice").scalars().all()
            connection.exec_driver_sql(
                "UPDATE alert_delivery SET claimed_until = '2020-01-01 00:00:00'"
            )  # three minutes later
        takes.set()
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as second:
            assert asked.acquire(timeout=60)
            ledger.count_success("host.example")
            assert asked.acquire(timeout=60)
            second.terminate()
            said, _ = second.communicate(timeout=60)
        server.shutdown()
    assert second.returncode == 0 and said.endswith("everything that was read and written is kept\n")
    assert [each["type"] for each in got] == ["civicsync.opened", "civicsync.closed"]
    assert got[0]["data"]["id"] == opened and got[1]["data"]["answers"] == [opened]
