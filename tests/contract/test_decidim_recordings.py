"""Exchanges with real Decidims judge the mapping, and the sandbox where an answer does not depend on the recorded city's own rows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from civicsync.connectors.contract.reading import Item
from civicsync.connectors.decidim import CONNECTOR
from civicsync.connectors.decidim.dialects import Dialect
from civicsync.connectors.decidim.mapping import Mapper
from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.sandbox.recordings import Recording, compare, load

FOLDER = Path(__file__).parent.parent / "recordings"
VERSIONS = {"0.28": "0.28.6", "0.30": "0.30.9", "0.31": "0.31", "0.32": "0.32"}
EXCEPTIONS = {
    r"0.\d+ (017|021|050)-.*": "asks for rows of the recorded city that are not public there",
    r"0.\d+ (103|111|101|183|18\d|104|112|114)-.*": "messages in the recorded site's language, or a second organization",
    r"0.\d+ (14[12567]|175|176|190)-.*": "hosts, https and the throttle of the recorded site; test_readers plants the throttle",
    r"0.\d+ (07\d|08\d|09\d|12[0-3]|14\d|15\d|23\d|24\d|22\d|25\d)-.*": "asks for rows or accounts of the recorded city",
    r"0.\d+ [2-9]\d\d\w?-.*": "asked with a session or after recorded writes; the write side is not part of pulling",
}


def is_read(recording: Recording) -> bool:
    body = recording.request.get("body")
    document = str(body.get("query", "")) if isinstance(body, dict) else str(body)
    return recording.request["path"].partition("?")[0].rstrip("/") == "/api" and "mutation" not in document


def needs_the_city(value: Any) -> bool:
    """Whether an answer holds rows of the recorded city."""
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(data, dict):
        return False
    return any(
        inner not in (None, [], {}) for name, inner in data.items() if name not in {"decidim", "session", "__typename"}
    )


@pytest.mark.parametrize("line", VERSIONS)
def test_the_sandbox_answers_alike(line: str, record_property: Any) -> None:
    sandbox = DecidimSandbox(version=VERSIONS[line], size=0, throttle=False)
    reads = [each for each in load(FOLDER / f"decidim-{line}.jsonl") if is_read(each)]
    free = [each for each in reads if not needs_the_city(each.json)]
    judged = [each for each in free if not any(re.fullmatch(p, f"{line} {each.name}") for p in EXCEPTIONS)]
    wrong = {each.name: found[:2] for each in judged if (found := compare(each, sandbox.answer(each.asked())))}
    excused = len(free) - len(judged)
    record_property(
        "recordings",
        f"{len(judged) - len(wrong)} of {len(judged)} alike, {excused} excused, {len(reads) - len(free)} left to the recorded city",
    )
    assert not wrong
    assert judged


def rows(value: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in an answer, with the field it stood under."""
    if isinstance(value, dict):
        yield name, value
        for key, inner in value.items():
            yield from rows(inner, key if key not in {"node", "nodes", "edges"} else name)
    elif isinstance(value, list):
        for inner in value:
            yield from rows(inner, name)


@pytest.mark.parametrize("line", VERSIONS)
async def test_the_mapping_understands_every_recorded_row(line: str) -> None:
    """Whatever a real site answered becomes records, in every combination of fields that was asked."""
    mapped = 0
    async with reading(CONNECTOR, DecidimSandbox(version=VERSIONS[line], size=0)) as (_, context):
        mapper = Mapper(context, Dialect("0.32"))
        for each in load(FOLDER / f"decidim-{line}.jsonl"):
            if not is_read(each):
                continue
            for name, node in rows(each.json):
                item = _item(mapper, name, node)
                if item is not None:
                    assert item.build is not None
                    records = item.build()
                    assert records[0].ref == item.ref
                    mapped += 1
    assert mapped > (5 if line in {"0.30", "0.31"} else 100)


def _asked_whole(field: Any) -> bool:
    """Whether a translated field was asked for as the reader asks."""
    if not isinstance(field, dict):
        return True
    rows = field.get("translations")
    return isinstance(rows, list) and all("locale" in row and "text" in row for row in rows)


def _item(mapper: Mapper, name: str, node: dict[str, Any]) -> Item | None:
    if "id" not in node or not all(
        _asked_whole(node.get(field)) for field in ("title", "body", "description", "answer")
    ):
        return None
    if name in {"proposals", "proposal", "emendation"} or re.fullmatch(r"[apr]\d+", name):
        return mapper.item("proposal", node, "/processes/x/f/1/proposals/", "component/1", {})
    if name == "projects":
        return mapper.item("project", node, "/p/", "budget/1", {})
    if name == "debates":
        return mapper.item("debate", node, "/d/", "component/1", {})
    if name == "comments" and "body" in node:
        raw = {"id": node["id"], "target": "proposal/1", "body": node["body"], "createdAt": node.get("createdAt")}
        return mapper.comment(
            {**raw, "alignment": node.get("alignment") or 0}, node.get("upVotes"), node.get("downVotes")
        )
    return None
