"""The recordings of November 2026 (0.32, 750 and later) judge the sandbox: reads of a city that is laid out as far as they ask for it."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.decidim.sandbox.model import Comment, Component, Proposal, Space
from civicsync.connectors.decidim.sandbox.texts import in_english
from civicsync.connectors.testing.sandbox.recordings import Recording, compare, load

FOLDER = Path(__file__).parent.parent / "recordings"
LONG_AGO = datetime(2026, 2, 1, tzinfo=UTC)
EXCUSED = {
    r"7[0-3]\d-.*": "written by the forms: test_decidim_write_recordings",
    r"74\d\w?-.*": "the zip of open data and its page, as recorded before",
    r"79[78]b?-.*|785-.*": "what a text refers to, and the name: test_decidim_references",
    r"77[4-9]-.*|780-.*": "the public page's own list of comments: the reader does not ask for it yet",
    r"78[123]-.*|799b?-.*": "files of open data that are made once and never again: the reader still takes them for nightly",
    r"786b?-.*": "moderations: the reader does not ask for them",
    r"78[78]-.*": "amendments in the interface: the reader knows them from open data only",
    r"79[0-4]-.*": "projects and steps that move no date: the reader does not ask for them yet",
    r"79[56]-.*": "asks for dates only; changes.py moves them as docs/platforms/decidim.md 2 says",
}


def city() -> DecidimSandbox:
    """Process 1 with the components, budgets, proposals and comments that the recordings ask for."""
    sandbox = DecidimSandbox(version="0.32", size=0, throttle=False, locales=("ca", "es", "en"))
    database = sandbox.database
    database.spaces.clear()
    database.components.clear()
    space = database.add_space(Space(1, "process", "pla-barri", {"ca": ("Pla", False)}))
    kinds = {1: "Proposals", 2: "Proposals", 4: "Proposals", 6: "Pages", 7: "Meetings", 8: "Debates", 15: "Proposals"}
    for own, kind in {**kinds, 22: "Blogs"}.items():
        database.add_component(Component(own, kind, {"ca": (f"Component {own}", False)}, space, LONG_AGO))
    budgets = database.add_space(Space(2, "process", "pressupostos", {"ca": ("Pressupostos", False)}))
    home = database.add_component(Component(16, "Budgets", {"ca": ("Pressupost", False)}, budgets, LONG_AGO))
    for own in range(4, 27):
        project = Proposal(own, "project", home, {}, {}, LONG_AGO, LONG_AGO, budget=own)
        database.add(project)
    home.extra = {"budgets": {str(own): _budget(own) for own in range(4, 27)}}
    rows = {}
    for own in (2, 11, 12, 13):
        text = {"ca": (f"Proposta {own}", False)}
        row = Proposal(own, "proposal", database.components[1], text, text, LONG_AGO, LONG_AGO, author=5)
        rows[own] = database.add(row)
    rows[11].hidden = True
    _discuss(sandbox, rows)
    return sandbox


def _budget(own: int) -> dict[str, Any]:
    return {
        "title": {"ca": (f"Barri {own}", False)},
        "total_budget": 1000 * own,
        "updatedAt": "2026-11-27T09:07:02+01:00",
    }


def _discuss(sandbox: DecidimSandbox, rows: dict[int, Proposal]) -> None:
    def say(own: int, row: Proposal, parent: Comment | None = None, **more: bool) -> Comment:
        depth = parent.depth + 1 if parent else 0
        return sandbox.database.add_comment(Comment(own, f"Comentari {own}", 5, LONG_AGO, row, parent, depth, **more))

    say(7, rows[2], deleted=True)
    say(8, rows[2], hidden=True)
    say(9, rows[2])
    say(20, rows[2])
    say(10, rows[13], hidden=True)
    say(15, rows[13], say(14, rows[13], deleted=True))
    say(17, rows[13], say(16, rows[13], hidden=True))
    say(18, rows[13])
    say(52, rows[12], hidden=True)
    say(53, rows[12])


def prepared(sandbox: DecidimSandbox, number: str) -> None:
    """What happened on the recorded site before an exchange."""
    if number == "753":
        sandbox.change("trash_component", component=4)
    if number == "755":
        sandbox.change("unpublish", component=4)


def english(value: Any) -> Any:
    """Messages in English: in which language the server said them is chance (docs/platforms/decidim.md 1.1)."""
    if isinstance(value, dict):
        return {n: in_english(v) if n == "message" and isinstance(v, str) else english(v) for n, v in value.items()}
    return [english(each) for each in value] if isinstance(value, list) else value


def differs(recording: Recording, sandbox: DecidimSandbox) -> list[str]:
    response = sandbox.answer(recording.asked())
    if recording.json is None:
        return compare(recording, response)
    real = replace(recording, response={**(recording.response or {}), "json": english(recording.json)})
    own = english(msgspec.json.decode(response.body))
    return compare(real, replace(response, body=msgspec.json.encode(own)))


def test_the_newest_recordings_judge_the_sandbox(record_property: Any) -> None:
    sandbox, wrong, played = city(), dict[str, Any](), 0
    for recording in load(FOLDER / "decidim-0.32.jsonl"):
        number = recording.name.partition("-")[0]
        if not number.startswith("7") or any(re.fullmatch(pattern, recording.name) for pattern in EXCUSED):
            continue
        prepared(sandbox, number)
        played += 1
        if found := differs(recording, sandbox):
            wrong[recording.name] = found[:3]
    record_property("recordings", f"{played - len(wrong)} of {played} alike")
    assert not wrong
    assert played >= 18


@pytest.mark.parametrize("pattern", EXCUSED)
def test_an_exception_is_about_something(pattern: str) -> None:
    assert any(re.fullmatch(pattern, each.name) for each in load(FOLDER / "decidim-0.32.jsonl"))
