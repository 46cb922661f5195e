"""Events: everything that happens is told, and nothing that anybody typed, no address and no secret is in it."""

import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from sqlalchemy import Engine

from civicsync.app.logs import logging_events
from civicsync.core import events
from civicsync.core.clock import FakeClock
from tests.integration.test_publish import mesh
from tests.support.mesh import KEY

EVENTS = events.Event.__subclasses__()
NAME_OR_CODE = re.compile(r"[\w.:,-]*")
"""What an admin may call an instance, what a host is called, what a code is: no space, no slash, no @."""


def _listened(work: Any) -> list[events.Event]:
    heard: list[events.Event] = []
    with events.listen(heard.append):
        work()
    return heard


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_an_event_holds_names_codes_and_numbers_only(event: type[events.Event]) -> None:
    hints = get_type_hints(event)
    assert {hints[each.name] for each in fields(event)} <= {str, int, float, bool}


def test_nobody_listens_by_default_and_a_listener_leaves_with_its_block() -> None:
    heard: list[events.Event] = []
    with events.listen(heard.append):
        events.emit(events.Warned("a", "x"))
    events.emit(events.Warned("a", "y"))
    assert heard == [events.Warned("a", "x")]


def test_a_pull_and_a_publication_are_told_without_a_text_an_address_or_a_secret(tmp_path: Path) -> None:
    world = mesh(tmp_path, 3)
    heard = _listened(lambda: (world.pull(), world.publish()))
    assert {event.name for event in heard} >= {
        "run_started",
        "page_written",
        "decision_made",
        "write_ended",
        "lease_moved",
        "run_ended",
    }
    typed = [str(value) for event in heard for value in asdict(event).values() if isinstance(value, str)]
    assert [value for value in typed if not NAME_OR_CODE.fullmatch(value)] == []
    titles = {str(row[0]) for row in world.rows("SELECT title FROM proposals")}
    assert titles and not [value for value in typed if value in titles or KEY in value or "http" in value]
    ended = [event for event in heard if isinstance(event, events.WriteEnded)]
    assert {(event.kind, event.state) for event in ended} == {("create", "sent")}


async def test_every_request_is_told(sqlite: Engine, clock: FakeClock, tmp_path: Path) -> None:
    from tests.integration.test_pull import City

    city = City("decidim", "0.32", sqlite, clock, tmp_path)
    heard: list[events.Event] = []
    with events.listen(heard.append):
        outcome = await city.pull()
    requests = [event for event in heard if isinstance(event, events.RequestMade)]
    assert len(requests) == outcome.requests > 0
    assert {event.host for event in requests} == {"127.0.0.1:9"}
    assert {event.status for event in requests} <= {200, 301, 404}, "as the platform answered"
    [ended] = [event for event in heard if isinstance(event, events.RunEnded)]
    assert (ended.outcome, ended.requests) == ("done", outcome.requests)


@pytest.mark.parametrize(("how", "wanted"), [("json", '"event": "warned"'), ("console", "warned")])
def test_logs_are_rendered_for_people_or_machines(how: Any, wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_events(how):
        events.emit(events.Warned("west", "breaker_open"))
    written = capsys.readouterr().err
    assert wanted in written and "breaker_open" in written
