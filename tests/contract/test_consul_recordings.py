"""Exchanges with real CONSUL installations judge the sandbox and the reader's mapping."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from civicsync.connectors.consul import CONNECTOR
from civicsync.connectors.consul.dialects import DIALECTS
from civicsync.connectors.consul.mapping import Mapper, nodes
from civicsync.connectors.consul.sandbox import ConsulSandbox
from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.memory import MemoryStore, pull
from civicsync.connectors.testing.sandbox.recordings import Recording, compare, load

FOLDER = Path(__file__).parent.parent / "recordings"
VERSIONS = ("2.1.1", "2.2.2", "2.5.1")

EXCEPTIONS = {
    r"2.(1|5).1 343b-.*": "asked after rows were written again: the author in question is on another page",
    r"2.1.1 011-introspection-standard": "the order of introspected types, and descriptions, which the recording leaves out",
    r"223-bad-utf8": "the recording cannot hold the broken bytes that were sent",
    r"357-sweep-with-supports-page\d": "recorded while supports were given between the pages; test_consul_reader moves rows itself",
    r"(4[2-9]\d|5[0-5]\d|56[0-2])\w?-.*": "asked after recorded writes; the write side is not part of pulling",
    r"70\d\w?-.*|761b-.*": "asked after recorded writes: judged by test_consul_write_recordings",
    r"71\d\w?-.*|73\d\w?-.*|740-.*|755\w-.*|760b-.*": "of a later city (nine budgets, milestones of investments), not held yet",
    r"26[45]-.*": "asked after rows were written again: the list's order is another one",
}


def is_read(recording: Recording) -> bool:
    """Whether an exchange belongs to what pulling asks: the interface and `/consul.json`."""
    return recording.request["path"].partition("?")[0] in {"/graphql", "/graphql.json", "/consul.json"}


def excused(version: str, recording: Recording) -> str | None:
    names = (recording.name, f"{version} {recording.name}")
    return next((why for pattern, why in EXCEPTIONS.items() if any(re.fullmatch(pattern, n) for n in names)), None)


@cache
def recorded(version: str) -> tuple[Recording, ...]:
    return tuple(load(FOLDER / f"consul-{version}.jsonl"))


@cache
def usual(version: str) -> ConsulSandbox:
    sandbox = ConsulSandbox(version=version, size=0)
    sandbox.load_recorded(version)
    return sandbox


def sandbox_for(version: str, recording: Recording) -> ConsulSandbox:
    """The sandbox in the state that the exchange was recorded in."""
    name = recording.name
    if not re.match(r"34|57", name) and "plain-http" not in name:
        return usual(version)
    sandbox = ConsulSandbox(version=version, size=0)
    sandbox.load_recorded(version)
    sandbox.graphql_off = name.startswith("340")
    sandbox.force_ssl = "plain-http" in name
    sandbox.basic_auth = (
        name.startswith("570") and recording.response is not None and recording.response["status"] == 401
    )
    sandbox.maintenance = (
        name.startswith("573") and recording.response is not None and recording.response["status"] == 503
    )
    if name.startswith("341"):
        off = {k: v for k, v in ((recording.json or {}).get("features") or {}).items() if v != "t"}
        sandbox.processes.update(off)
    if name.startswith("343"):
        author = sandbox.database.tables["proposals"].by_id[16].author
        sandbox.database.tables["users"].by_id.pop(author or 0, None)
    if name.startswith("344"):
        sandbox.database.tables["proposals"].by_id[16].values["hot_score"] = 2**31
    return sandbox


@pytest.mark.parametrize("version", VERSIONS)
def test_the_sandbox_answers_alike(version: str, record_property: Any) -> None:
    reads = [each for each in recorded(version) if is_read(each)]
    judged = [each for each in reads if excused(version, each) is None]
    wrong: dict[str, list[str]] = {}
    for each in judged:
        asked = each.asked()
        scheme = "http" if "plain-http" in each.name else "https"
        difference = compare(each, sandbox_for(version, each).answer(replace(asked, scheme=scheme)))
        if difference:
            wrong[each.name] = difference[:3]
    record_property(
        "recordings", f"{len(judged) - len(wrong)} of {len(judged)} alike, {len(reads) - len(judged)} excused"
    )
    assert not wrong
    assert len(judged) > 200


def connections(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every list of rows in an answer, with the field it stood under."""
    if isinstance(value, dict):
        if "nodes" in value or "edges" in value:
            yield name, value
        for key, inner in value.items():
            yield from connections(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from connections(inner, name)


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_mapping_understands_every_recorded_row(version: str) -> None:
    """Rows that hold what the reader asks for become records, whatever else is in them."""
    needed = {
        "proposals": {"id", "title", "description", "cachedVotesUp", "publicCreatedAt"},
        "debates": {"id", "title", "description", "cachedVotesDown", "publicCreatedAt"},
        "comments": {"id", "body", "commentableId", "commentableType", "publicCreatedAt"},
        "investments": {"id", "title", "feasibility", "price"},
        "budgets": {"id", "phase"},
        "geozones": {"id", "name"},
        "votes": {"id", "votableId", "votableType", "publicCreatedAt"},
    }
    mapped = 0
    async with reading(CONNECTOR, ConsulSandbox(version=version, size=0)) as (_, context):
        mapper = Mapper(context, "es", "1")
        for each in recorded(version):
            if not is_read(each) or not isinstance(each.json, dict):
                continue
            for name, connection in connections(each.json.get("data")):
                for node in nodes(connection, DIALECTS["C"]):
                    if needed.get(name, {"-"}) <= set(node) and node.get("commentableType") not in {"Poll", "Topic"}:
                        item = mapper.item(name, node)
                        assert item.build is not None
                        assert item.build()[0].ref == item.ref
                        mapped += 1
    assert mapped > 300


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_pull_of_the_recorded_city(version: str) -> None:
    """A whole pull over what a real installation held."""
    sandbox = ConsulSandbox(version=version, size=0)
    sandbox.load_recorded(version)
    async with reading(CONNECTOR, sandbox, drafts="include") as (reader, _):
        store = MemoryStore()
        await pull(reader, store)
    public = {f"{row['kind']}/{row['id']}" for row in sandbox.truth()["proposals"] if row["public"]}
    assert set(store.alive("proposal", "debate", "investment")) == public
    assert not store.quarantine
    assert len(store.alive("proposal")) == 135
