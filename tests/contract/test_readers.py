"""What every reader owes: the truth of its platform, little work when nothing changed, and no loss whatever goes wrong.

Each test runs for every release that the sandboxes speak, in-process and without waiting.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from civicsync.connectors.contract.errors import ConnectorError
from civicsync.connectors.contract.reading import Context, Reader
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.memory import MemoryStore, pull
from civicsync.connectors.testing.sandbox.sandbox import Sandbox
from civicsync.core.clock import FakeClock
from civicsync.core.records import Proposal
from civicsync.core.store.rows import RowMaker

DIALECTS = [
    *(("decidim", version) for version in resolve("decidim").versions),
    *(("consul", version) for version in resolve("consul").versions),
]
FAULTS = [
    "429",
    "429_retry_after",
    "500",
    "503",
    "html_200",
    "cut_json",
    "cut_connection",
    "reset",
    "reset_after_store",
    "slow",
]


@asynccontextmanager
async def city(
    platform: str, version: str, *, size: int = 90, **settings: Any
) -> AsyncIterator[tuple[Sandbox, Reader, Context]]:
    clock = FakeClock()
    connector = resolve(platform)
    assert connector.sandbox is not None

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    sandbox: Sandbox = connector.sandbox(version=version, size=size, seed=3, clock=clock.now, sleep=sleep)
    async with reading(connector, sandbox, clock=clock, **settings) as (reader, context):
        yield sandbox, reader, context


def public(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """What an anonymous reader should get, by reference."""
    rows = sandbox.truth()["proposals"]
    return {f"{'proposal' if r['kind'] == 'amendment' else r['kind']}/{r['id']}": r for r in rows if r["public"]}


def stored(store: MemoryStore, locales: list[str]) -> dict[str, dict[str, Any]]:
    """What a store holds, in the truth's words."""
    maker = RowMaker("test", locales)
    found: dict[str, dict[str, Any]] = {}
    for ref, row in store.alive("proposal", "investment", "project", "debate").items():
        assert isinstance(row.record, Proposal) and row.counters is not None
        text = maker.best(row.record.texts)
        found[ref] = {
            "id": row.record.id,
            "kind": row.record.kind,
            "title": text.title if text else "",
            "state": row.record.state.value,
            "supports": row.counters.supports,
            "comments": row.counters.comments,
        }
    return found


def same(sandbox: Sandbox, store: MemoryStore, locales: list[str]) -> None:
    """The store equals the truth: every public record, every counter, no other."""
    truth = {
        ref: {k: v for k, v in row.items() if k not in {"public", "author"}} for ref, row in public(sandbox).items()
    }
    assert stored(store, locales) == truth
    comments = {f"{c['kind']}/{c['id']}" for c in sandbox.truth()["comments"] if c["public"]}
    assert set(store.alive("comment", "point")) == comments


@pytest.mark.parametrize(("platform", "version"), DIALECTS)
async def test_a_pull_equals_the_truth_and_a_second_writes_nothing(platform: str, version: str) -> None:
    async with city(platform, version) as (sandbox, reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        same(sandbox, store, list(probe.locales))
        assert not store.quarantine
        writes = store.writes
        sandbox.reset_stats()
        await pull(reader, store, probe=probe)
        assert store.writes == writes
        assert sandbox.stats.requests <= 25
        await pull(reader, store, probe=probe, full=True)
        assert store.writes == writes
        same(sandbox, store, list(probe.locales))


@pytest.mark.parametrize(("platform", "version"), DIALECTS)
async def test_changes_are_followed(platform: str, version: str) -> None:
    async with city(platform, version) as (sandbox, reader, context):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        ids = [
            r["id"]
            for r in sandbox.truth()["proposals"]
            if r["public"] and r["kind"] == "proposal" and r["state"] == "open"
        ][:12]
        context.clock.advance(5000)
        sandbox.change("edit", id=ids[0], title="Een heel andere titel")
        sandbox.change("support", id=ids[1], times=3)
        sandbox.change("comment", id=ids[2], body="Nieuw")
        sandbox.change("hide", id=ids[3])
        sandbox.change("withdraw", id=ids[4])
        sandbox.change("add_proposal", title="Een nieuw voorstel", **({"supports": 2} if platform == "consul" else {}))
        for full in (False, True, False):
            await pull(reader, store, probe=probe, full=full)
        same(sandbox, store, list(probe.locales))
        sandbox.change("restore", id=ids[3])
        for full in (False, True):
            await pull(reader, store, probe=probe, full=full)
        same(sandbox, store, list(probe.locales))


@pytest.mark.parametrize(("platform", "version"), DIALECTS)
@pytest.mark.parametrize("kind", FAULTS)
async def test_no_fault_loses_or_removes_anything(platform: str, version: str, kind: str) -> None:
    """One fault after the other, each twice, at every stage of a pull; then all is as it should be."""
    async with city(platform, version, size=60) as (sandbox, reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        for after in (0, 1, 3, 6):
            sandbox.plant(Fault(kind=kind, after=after, times=2, seconds=1.0, retry_after="2"))
            try:
                await pull(reader, store, probe=probe, full=after == 3)
            except ConnectorError as error:
                assert str(error)
            assert not [ref for ref, row in store.rows.items() if row.gone]
        sandbox.plant()
        for full in (True, False):
            await pull(reader, store, probe=probe, full=full)
        same(sandbox, store, list(probe.locales))
        assert not [ref for ref, row in store.rows.items() if row.gone or row.missing]


@pytest.mark.parametrize(("platform", "version"), DIALECTS)
async def test_no_private_data_leaves_the_connector(platform: str, version: str) -> None:
    async with city(platform, version, size=60) as (sandbox, reader, context):
        tokens = sandbox.plant_private_data()
        assert tokens
        store = MemoryStore()
        await pull(reader, store)
        everything = json.dumps(
            [
                [r, row.record.model_dump(mode="json") if row.record else None, row.token]
                for r, row in store.rows.items()
            ]
            + [record.model_dump(mode="json") for record in store.children.values()]
            + [[ref, reason, dict(raw)] for ref, reason, raw in store.quarantine],
            default=str,
        )
        for token in tokens:
            assert token not in everything
        people = {str(r["author"]) for r in sandbox.truth()["proposals"] if r["author"]}
        authors = {row.record.author for row in store.rows.values() if isinstance(row.record, Proposal)}
        assert not people & {str(a) for a in authors}
        assert context.pseudonym(sorted(people)[0]) in {context.pseudonym(p) for p in people}


@pytest.mark.parametrize(("platform", "version"), DIALECTS)
async def test_a_killed_pull_goes_on_after_its_last_page(platform: str, version: str) -> None:
    """Stopped after every number of pages: the store ends as after an uninterrupted pull."""
    async with city(platform, version, size=120) as (sandbox, reader, _):
        probe = await reader.probe()
        whole = MemoryStore()
        await pull(reader, whole, probe=probe)
        for stop in range(1, whole.pages, max(1, whole.pages // 8)):
            store = MemoryStore()
            from civicsync.connectors.contract.reading import PullRequest

            pages = reader.pull(PullRequest(probe=probe, stored=store))
            for _ in range(stop):
                await store.apply(await anext(pages), reader)
            await pages.aclose()
            await pull(reader, store, probe=probe)
            same(sandbox, store, list(probe.locales))
            assert not [ref for ref, row in store.rows.items() if row.gone or row.missing]


@pytest.mark.parametrize(("platform", "version"), DIALECTS)
async def test_an_empty_looking_platform_is_not_an_empty_one(platform: str, version: str) -> None:
    async with city(platform, version) as (sandbox, reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        sandbox.plant(Fault(kind="empty", times=None))
        for full in (False, True):
            try:
                await pull(reader, store, probe=probe, full=full)
            except ConnectorError as error:
                assert str(error)
        sandbox.plant()
        await pull(reader, store, probe=probe, full=True)
        same(sandbox, store, list(probe.locales))


async def test_only_the_spaces_that_were_asked_for() -> None:
    async with city("consul", "2.5.1") as (_, reader, _):
        store = MemoryStore()
        await pull(reader, store, spaces=["section/debates"])
        assert store.alive("debate") and not store.alive("proposal", "investment")
    async with city("decidim", "0.32") as (_, reader, _):
        store = MemoryStore()
        await pull(reader, store, spaces=["component/30"])
        assert store.alive("debate") and not store.alive("proposal", "project")
