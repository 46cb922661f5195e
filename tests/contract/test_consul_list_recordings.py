"""Recorded public lists and pages of proposals of a real CONSUL 2.5.1 judge the sandbox: which rows each filter shows, and pages.

The city is laid out with the marks that the recordings' own lists tell (docs/platforms/consul.md 9, 10b); nothing of its order is.
"""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from civicsync.connectors.consul.sandbox import ConsulSandbox
from civicsync.connectors.consul.sandbox.model import Row
from civicsync.connectors.consul.sandbox.people import add_account
from civicsync.connectors.testing.messages import Response
from civicsync.connectors.testing.sandbox.recordings import Recording, load
from civicsync.core.clock import FakeClock

RECORDED = {
    each.name.partition("-")[0]: each
    for each in load(Path(__file__).parent.parent / "recordings" / "consul-2.5.1.jsonl")
    if re.match(r"74(0b|1[bc]?)-|75\d\w?-|762\w?-", each.name) and each.request["method"] == "GET"
}
LISTED, OWN = 232, 32
"""What the default list held in all, and the account whose own page was recorded."""
DRAFT, SELECTED, RETIRED_AND_ARCHIVED, DUPLICATED = 204, 130, 14, (134, 172, 275)
LISTS = [number for number, each in RECORDED.items() if each.request["path"].startswith("/proposals?")] + [
    "750",
    "755l",
]


def ids(html: str) -> list[int]:
    """The proposals of a page's list, in its order."""
    found = re.findall(r'id="proposal_(\d+)"', html)
    return [int(each) for each in dict.fromkeys(found)]


def told(number: str) -> list[int]:
    """The proposals that the recorded page showed."""
    names = facts(RECORDED[number]).get("record_ids", [])
    return [int(each.partition("_")[2]) for each in names if each.startswith("proposal_")]


def city() -> ConsulSandbox:
    """Proposals with the marks that the recorded lists tell of them."""
    clock = FakeClock()
    sandbox = ConsulSandbox(version="2.5.1", size=0, clock=clock.now)
    add_account(sandbox, "Civic Sync", "civicsync@correo.example", "x", id=OWN)
    archived, retired = {*told("752c"), RETIRED_AND_ARCHIVED}, {*told("752b"), RETIRED_AND_ARCHIVED}
    known = {each for number in LISTS for each in told(number)}
    plain = known - archived - retired - {SELECTED}
    plain |= set([each for each in range(23, 400) if each not in known | {DRAFT}][: LISTED - len(plain)])
    now = clock.now()
    titles = dict.fromkeys(told("762"), "Una fuente para el barrio") | {300: "Una fuente para perros"}
    titles[299] = "Bancos a la sombra en el paseo"
    for own in sorted(plain | archived | retired | {SELECTED, DRAFT}):
        made = now - timedelta(days=500 if own in archived else 30, hours=-own)
        values = {
            "cached_votes_up": 0,
            "comments_count": 0,
            "hot_score": 0,
            "published_at": None if own == DRAFT else made,
            "retired_at": now if own in retired else None,
            "retired_reason": ("duplicated" if own in DUPLICATED else "other") if own in retired else None,
            "selected": own == SELECTED,
        }
        text = {"title": titles.get(own, f"Propuesta {own}"), "summary": "Resumen", "description": "<p>Texto</p>"}
        author = OWN if own in told("755m") else 1
        sandbox.database.tables["proposals"].add(Row(own, "proposal", {"es": text}, author, made, values))
    return sandbox


def ask(sandbox: ConsulSandbox, recording: Recording) -> Response:
    """The recorded request."""
    path = recording.request["path"]
    own = re.match(r"/proposals/(\d+)-", path)
    if own is not None:
        # The address of a page carries the title, which is another one here.
        title = sandbox.database.tables["proposals"].by_id[int(own[1])].texts["es"]["title"]
        path = f"/proposals/{own[1]}-{'-'.join(title.lower().split())}"
    return sandbox.handle(replace(recording, request={**recording.request, "path": path}).asked())


def status(recording: Recording) -> int:
    assert recording.response is not None
    return int(recording.response["status"])


def facts(recording: Recording) -> dict[str, Any]:
    """What was noted of a page."""
    return (recording.response or {}).get("html") or {}


def text_of(response: Response) -> str:
    return bytes(response.body).decode()


@pytest.mark.parametrize("number", sorted({*LISTS} - {each for each in LISTS if status(RECORDED[each]) != 200}))
def test_each_filter_shows_the_rows_it_showed(number: str) -> None:
    """A list of one page holds exactly the recorded rows; of a longer one each page is as full, and everything in it is of that list."""
    sandbox, recording = city(), RECORDED[number]
    response = ask(sandbox, recording)
    assert response.status == status(recording) == 200
    shown, real = ids(text_of(response)), told(number)
    assert len(shown) == len(real)
    if number[:3] in {"752", "762"}:
        assert set(shown) == set(real)
    else:
        whole = {row.id for row in sandbox.listed({})}
        assert len(whole) == LISTED and set(shown) <= whole and set(real) <= whole


@pytest.mark.parametrize("number", [each for each, recording in RECORDED.items() if status(recording) == 403])
def test_with_the_process_off_no_list_and_no_page_answers(number: str) -> None:
    sandbox = city()
    sandbox.processes["proposals"] = ""
    response = ask(sandbox, RECORDED[number])
    assert response.status == 403 and not ids(text_of(response))


@pytest.mark.parametrize("number", ["740b", "741", "741b", "741c"])
def test_a_page_tells_a_draft_by_the_same_sign(number: str) -> None:
    """The callout without a further class in place of the supports, above the one that asks to sign in."""
    sandbox = city()
    html = text_of(ask(sandbox, RECORDED[number]))
    callouts = [each.get("class") for each in BeautifulSoup(html, "html.parser").select(".callout.primary")]
    plain = [each for each in callouts if each == ["callout", "primary"]]
    real = [selector for selector, _ in facts(RECORDED[number])["messages"] if selector == ".callout.primary"]
    assert len(plain) == len(real) == (2 if number == "740b" else 1)


def test_a_row_that_is_hidden_between_two_pages_moves_the_next_page_up() -> None:
    """Recordings 753 and 753b: page 2 begins one row later than it would have, so one row is shown on neither page."""
    sandbox = city()
    whole = [row.id for row in sandbox.listed({"page": "1"})]
    first = ids(text_of(ask(sandbox, RECORDED["753"])))
    assert first == whole[:25]
    later = [row.id for row in sandbox.listed({"page": "2"})]
    sandbox.change("hide", id=first[3])
    second = ids(text_of(ask(sandbox, RECORDED["753b"])))
    assert len(second) == len(told("753b")) == 25 and later[25 if later.index(first[3]) > 24 else 26] == second[0]
    # As there: what stood first on the second page had moved to the first, which had been read.
    assert set(told("753b")).isdisjoint(told("753")) and 278 not in {*told("753"), *told("753b")}
