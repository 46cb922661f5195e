"""What Prometheus is told is right and complete, and dashboard, alerts and the manual speak of what is there."""

import json
import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from civicsync.app.operations import metrics as module
from civicsync.app.operations.health import Health, asking
from civicsync.app.operations.metrics import METRICS, Metrics
from civicsync.app.operations.server import serving
from civicsync.core import events
from civicsync.core.alert_counts import AlertCounts
from civicsync.core.clock import FakeClock
from civicsync.core.ledger.ledger import Ledger
from civicsync.core.schema.failures import DatabaseError
from civicsync.core.vitals import Held, LastRun, Vitals, look
from civicsync.core.worker_queue import Seen

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "app" / "operations" / "deploy"


def full(clock: FakeClock) -> Vitals:
    """Something of everything."""
    return Vitals(
        good_pulls={"west": clock.now() - timedelta(minutes=5)},
        last_runs=(LastRun("west", "done", 1.5, 3, 0.5),),
        quarantined={"west": 2},
        publications={("over", "sent"): 4},
        operations={("over", "create", "unknown"): 1},
        waiting={"over": (3, clock.now() - timedelta(hours=2))},
        twins={"over": 1},
        halted=frozenset({"over"}),
        breakers=frozenset({"host.example"}),
        leases=(Held("pull:west", clock.now() + timedelta(minutes=2)),),
        bytes=1000,
        queue=Seen(2, 1, 3, 40.0),
        alerts=AlertCounts({"no_good_pull": 1}, {"mail": 2}, {"webhook:chat": 3}),
    )


EVENTS = (
    events.RunEnded("pull", "west", "done", 2.0, 3, 0.5),
    events.PageWritten("west", 10, 4, 3, 1),
    events.RequestMade("host.example", "GET", 200, 0.25, 100),
    events.RequestMade("host.example", "GET", 429, 0.25, 100),
    events.DecisionMade("over", "create", ""),
    events.WriteEnded("over", "east", "create", "sent", ""),
    events.LeaseMoved("pull:west", "lost"),
    events.Warned("west", "twins"),
    events.RunStarted("pull", "west"),
)


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


@pytest.fixture
def told(clock: FakeClock) -> Metrics:
    made = Metrics(clock, "0.2.0", lambda: full(clock))
    made.instances = ("west", "never")
    return made


def test_every_metric_is_there_with_its_labels_and_no_other(told: Metrics) -> None:
    for event in EVENTS:
        told.tell(event)
    found = samples(told.page())
    assert {name for name, _ in found} == set(METRICS)
    for name, labels in found:
        assert tuple(sorted(METRICS[name].labels)) == tuple(label for label, _ in labels), name


def test_the_figures_are_those_of_what_happened(told: Metrics, clock: FakeClock) -> None:
    for event in EVENTS:
        told.tell(event)
    clock.advance(60)
    found = samples(told.page())
    west, host = ("instance", "west"), ("host", "host.example")
    assert found["civicsync_last_good_pull_age_seconds", (west,)] == 300
    assert found["civicsync_last_good_pull_age_seconds", (("instance", "never"),)] == 60, "since the process began"
    assert found["civicsync_records_total", (west, ("what", "created"))] == 4
    assert found["civicsync_requests_total", (host, ("status", "200"))] == 1
    assert found["civicsync_throttled_total", (host,)] == 1
    assert found["civicsync_request_seconds_total", (host,)] == 0.5
    assert found["civicsync_quarantined", (("instance", "never"),)] == 0
    assert found["civicsync_waiting_for_person_age_seconds", (("route", "over"),)] == 7200
    assert found["civicsync_ready", ()] == 0


def test_a_database_that_is_away_is_told_and_asked_again_later(clock: FakeClock) -> None:
    asked = list[bool]()

    def away() -> Vitals:
        asked.append(True)
        if len(asked) == 1:
            raise OperationalError("SELECT", {}, Exception())
        return full(clock)

    made = Metrics(clock, "0.2.0", away)
    for event in EVENTS:
        made.tell(event)
    found = samples(made.page())
    assert found["civicsync_database_up", ()] == 0
    assert "civicsync_quarantined" not in {name for name, _ in found}
    assert found["civicsync_pages_total", (("instance", "west"),)] == 1, "what happened here is told all the same"
    made.page()
    assert len(asked) == 1, "one look answers whoever asks within some seconds"
    clock.advance(module._FRESH)
    assert samples(made.page())["civicsync_database_up", ()] == 1


def test_the_database_is_asked_right(engine: Engine, clock: FakeClock) -> None:
    assert look(engine, ["west"], clock.now()).publications == {}
    at = clock.now().strftime("%Y-%m-%d %H:%M:%S.%f") + ("+00" if engine.dialect.name == "postgresql" else "")
    ledger = Ledger(engine, clock)
    ledger.save_route("over", fingerprint="f", planned_at=clock.now(), halted_at=clock.now(), halted_reason="too many")
    ledger.count_failure("host.example", 1, timedelta(hours=1))
    rows = {
        "instance": {"name": "west", "platform": "p", "url": "u", "title": "", "dialect": "", "last_success_at": at},
        "run": {
            "instance": "west",
            "started_at": at,
            "ended_at": at,
            "outcome": "failed",
            "message": "",
            "full": False,
            **dict.fromkeys(("pages", "seen", "created", "changed", "unchanged", "tallies", "gone", "missing"), 0),
            "quarantined": 0,
            "requests": 7,
            "retries": 0,
            "bytes": 0,
            "platform_seconds": 0.5,
            "seconds": 1.5,
        },
        "publication": {
            "id": "p-1",
            "route": "over",
            "origin_key": "a",
            "target_instance": "t",
            "target_space": "s/1",
            "state": "sent",
            "reason_code": "twins",
            "reason": "",
            "title": "",
            "marker": "m",
            "created_at": at,
            "changed_at": at,
        },
        "operation": {
            "publication_id": "p-1",
            "route": "over",
            "target_instance": "t",
            "kind": "edit",
            "lane": "text",
            "state": "awaiting_approval",
            "payload_hash": "",
            "attempts": 0,
            "reason_code": "",
            "error": "",
            "created_at": at,
            "changed_at": at,
        },
    }
    with engine.begin() as connection:
        for table, row in rows.items():
            columns = ", ".join(f'"{name}"' for name in row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), row)
    seen = look(engine, ["west", "never"], clock.now())
    assert seen.good_pulls == {"west": clock.now()}
    assert seen.last_runs == (LastRun("west", "failed", 1.5, 7, 0.5),)
    assert (seen.publications, seen.twins, seen.halted) == ({("over", "sent"): 1}, {"over": 1}, {"over"})
    assert seen.operations == {("over", "edit", "awaiting_approval"): 1}
    assert seen.waiting == {"over": (2, clock.now())}
    assert seen.breakers == {"host.example"}
    assert seen.bytes > 0


# Dashboard, alerts, manual ----------------------------------------------------------------------------------------------


def expressions() -> dict[str, str]:
    board = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    shown = {f"panel {each['title']}": [aim["expr"] for aim in each["targets"]] for each in board["panels"]}
    found = {f"{title} {number}": expr for title, exprs in shown.items() for number, expr in enumerate(exprs)}
    return found | {f"alert {rule['alert']}": rule["expr"] for rule in rules()}


def rules() -> list[dict[str, Any]]:
    whole = YAML(typ="safe").load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in whole["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("where", expressions())
def test_dashboard_and_alerts_name_metrics_and_labels_that_are_there(where: str) -> None:
    expression = expressions()[where]
    named = set(re.findall(r"\bcivicsync_\w+", expression))
    assert named <= set(METRICS), where
    assert named or where == "alert CivicsyncDown"
    known = {label for name in named for label in METRICS[name].labels} | {"job"}
    used = set(re.findall(r"(\w+)\s*=~?\s*\"", expression))
    used |= {each.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for each in group.split(",")}
    assert used <= known, where
    counters = {name for name in named if METRICS[name].kind == "counter"}
    assert counters == set(re.findall(r"(?:rate|increase)\((civicsync_\w+)", expression)), (
        "only rates of counters tell something"
    )


def test_every_panel_asks_for_a_metric_that_a_viewer_can_name() -> None:
    board = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for aim in panel["targets"]:
            labels = set(re.findall(r"{{(\w+)}}", aim["legendFormat"]))
            names = re.findall(r"\bcivicsync_\w+", aim["expr"])
            assert labels <= {label for name in names for label in METRICS[name].labels} | {
                "instance",
                "exported_instance",
            }


def test_the_manual_says_what_to_do_for_each_alert_and_for_no_other() -> None:
    manual = (ROOT / "docs" / "howto" / "monitor.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (\w+)$", manual, re.MULTILINE) == [rule["alert"] for rule in rules()]
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/howto/monitor.md#{rule['alert'].lower()}"


# The server -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def health(sqlite: Engine, clock: FakeClock) -> Health:
    made = Health(clock, asking(sqlite))
    made.started = True
    return made


@pytest.fixture
def site(told: Metrics, health: Health) -> Iterator[str]:
    with serving("127.0.0.1:0", told, health) as where:
        yield where


def test_a_loop_that_does_not_turn_is_dead_and_a_database_that_is_away_is_not(health: Health, clock: FakeClock) -> None:
    assert (health.alive(), health.unready()) == ("", "")

    def away() -> None:
        raise DatabaseError("away")

    before, health.ask = health.ask, away
    assert (health.alive(), "does not answer" in health.unready()) == ("", True)
    health.ask = before
    clock.advance(61)
    assert "not turned for 61 seconds" in health.alive()
    health.beat()
    assert (health.alive(), health.unready()) == ("", "")
    health.stopping = True
    assert (health.alive(), health.unready()) == ("", "stopping")


def test_a_schema_of_another_release_is_not_ready(sqlite: Engine, health: Health) -> None:
    with sqlite.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    assert "does not answer" in health.unready()


def test_nothing_can_be_posted_and_nothing_is_told_of_us(site: str) -> None:
    with urllib.request.urlopen(f"{site}/metrics", timeout=30) as answer:
        assert answer.headers["Server"].strip() == "civicsync"
        assert answer.headers["Cache-Control"] == "no-store"
    request = urllib.request.Request(f"{site}/metrics", data=b"x", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="501"):
        urllib.request.urlopen(request, timeout=30)


def test_whoever_only_connects_does_not_keep_others_waiting_for_ever(site: str) -> None:
    host, _, port = site.removeprefix("http://").partition(":")
    with ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection((host, int(port)), timeout=30)) for _ in range(8)]
        ninth = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
        assert ninth.recv(10) == b"", "no more than eight are answered at once"
        for each in idle:
            each.close()
