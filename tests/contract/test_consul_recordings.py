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
from civicsync.connectors.consul.sandbox.recorded import row_of
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


LATER = r"71\d\w?-.*|73\d\w?-.*|740-.*|755\w-.*|760b-.*"


@cache
def later() -> ConsulSandbox:
    """The city of 2.5.1 half a year later, as far as these recordings tell it: eight published budgets, milestones, tags, a draft.

    What each row says is taken from the answers; where it belongs, and whether it is public, from their notes. What the interface makes
    of that (which budget answers for which investment, what is 404, where a list is cut) is the sandbox's own doing.
    """
    sandbox = ConsulSandbox(version="2.5.1", size=0)
    sandbox.load_recorded("2.5.1")
    for heap in ("proposals", "debates", "investments", "budgets", "milestones", "tags", "comments"):
        sandbox.database.tables[heap].rows.clear()
        sandbox.database.tables[heap].by_id.clear()
    for links in (sandbox.database.children, sandbox.database.taggings, sandbox.database.milestones_of):
        links.clear()
    own_state = [each for each in recorded("2.5.1") if re.fullmatch(LATER, each.name) and isinstance(each.json, dict)]
    told: dict[str, dict[str, Any]] = {each.name.partition("-")[0]: each.json.get("data") or {} for each in own_state}

    def put(kind: str, node: dict[str, Any], **values: Any) -> None:
        heap = sandbox.database.tables[f"{kind}s"]
        row = heap.by_id.get(int(node["id"])) or heap.add(row_of(kind, node, "es"))
        row.values.update(values)
        for part in ("tags", "milestones"):
            held = sandbox.database.taggings if part == "tags" else sandbox.database.milestones_of
            for each in (node.get(part) or {}).get("nodes", ()):
                put(part[:-1], each, target_type=kind, target_id=row.id)
                found = sandbox.database.tables[part].by_id[int(each["id"])]
                mine = held.setdefault((kind, row.id), [])
                mine += [] if found in mine else [found]

    for budget in told["710"]["budgets"]["nodes"]:
        put("budget", budget)
    for own in (2, 10):
        put("budget", {"id": own, "name": "Sin publicar", "phase": "informing"}, published=False)
    for node in told["731b"]["budget"]["investments"]["nodes"]:
        put("investment", node, budget_id=3)
    for name, budget in (("711b", 4), ("711c", 9)):
        put("investment", told[name]["budget"]["investment"], budget_id=budget)
    for own, budget in ((13, 5), (5, 3), (1, 2), (43, 10)):
        put("investment", {"id": own, "title": "Inversión"}, budget_id=budget)
    sandbox.database.tables["investments"].by_id[5].hidden = True
    for node in told["732"]["debates"]["nodes"]:
        put("debate", node)
    for node in told["755f"]["proposals"]["nodes"]:
        put("proposal", node)
    put("proposal", {"id": 202, **told["730b"]["proposal"]})
    put("proposal", {"id": 203, **told["733b"]["proposal"]})
    put("proposal", told["740"]["proposal"], published_at=None)
    put("proposal", told["760b"]["proposal"])
    for node in told["755k"]["user"]["publicProposals"]["nodes"]:
        put("proposal", {**node, "publicAuthor": {"id": 32}})
    user = sandbox.database.tables["users"].by_id.get(32) or row_of("user", {"id": 32, "username": "civic sync"}, "es")
    if user.id not in sandbox.database.tables["users"].by_id:
        sandbox.database.tables["users"].add(user)
    user.values["public_activity"] = True
    draft = sandbox.database.tables["proposals"].by_id[204]
    for node in told["740"]["proposal"]["comments"]["nodes"]:
        put("comment", node, commentable_type="Proposal", commentable_id=204)
        sandbox.database.children[draft.kind, draft.id] = [sandbox.database.tables["comments"].by_id[int(node["id"])]]
    sandbox.database.dirty()
    return sandbox


def sandbox_for(version: str, recording: Recording) -> ConsulSandbox:
    """The sandbox in the state that the exchange was recorded in."""
    name = recording.name
    if re.fullmatch(LATER, name):
        sandbox = later()
        sandbox.processes["proposals"] = "" if name.startswith("755") else "t"
        return sandbox
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
