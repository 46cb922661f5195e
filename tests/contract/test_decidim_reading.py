"""How Decidim is read: what is closed or broken hides nothing else, what was not asked is not told, what is chosen is all that is read."""

import json
from typing import Any

import pytest

from civicsync.connectors.contract.errors import NotFound
from civicsync.connectors.contract.reading import PullRequest
from civicsync.connectors.decidim import CONNECTOR, VERSIONS
from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.memory import MemoryStore, pull
from civicsync.connectors.testing.messages import Request, Response
from civicsync.core.clock import FakeClock
from civicsync.core.records import Category, Proposal


class Broken(DecidimSandbox):
    """One component answers 500, everything else answers."""

    component = ""

    def handle(self, request: Request) -> Response:
        asked = str(json.loads(request.body).get("query")) if request.path == "/api" and request.body else ""
        if self.component and f'component(id: "{self.component}")' in asked:
            return Response.json({"errors": [{"message": "Internal Server error"}], "data": {}}, 500)
        return super().handle(request)


def city(version: str) -> tuple[Broken, FakeClock]:
    clock = FakeClock()

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    return Broken(version=version, size=60, seed=3, clock=clock.now, sleep=sleep), clock


def public(sandbox: DecidimSandbox, *components: int) -> set[str]:
    rows = [row for kind in sandbox.database.proposals.values() for row in kind.values() if sandbox.is_public(row)]
    return {
        f"{'proposal' if row.kind == 'amendment' else row.kind}/{row.id}"
        for row in rows
        if not components or row.component.id in components
    }


def held(store: MemoryStore) -> set[str]:
    return {ref for ref, row in store.alive().items() if isinstance(row.record, Proposal)}


@pytest.mark.parametrize("version", ["0.30.9", "0.31", "0.32"])
async def test_a_listed_component_that_does_not_answer_is_closed_and_stops_nothing(version: str) -> None:
    """In the trash: still listed, null without an error (docs/platforms/decidim.md 2). What is in it goes, and comes back."""
    sandbox, clock = city(version)
    sandbox.change("trash_component", component=1)
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        for _ in range(3):
            await pull(reader, store, probe=probe)
            assert held(store) == public(sandbox)
            assert "component/1" not in store.alive("component"), "it flaps"
            clock.advance(3600)
        assert "component/1 is listed and does not answer" in " ".join(store.notes)
        sandbox.change("restore_component", component=1)
        await pull(reader, store, probe=probe)
        assert held(store) == public(sandbox) >= public(sandbox, 1) != set()


@pytest.mark.parametrize("version", ["0.28.6", "0.32"])
@pytest.mark.parametrize("component", [1, 30])
async def test_a_broken_component_hides_nothing_behind_it(version: str, component: int) -> None:
    sandbox, clock = city(version)
    sandbox.component = str(component)
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        assert held(store) == public(sandbox) - public(sandbox, component)
        assert f"component/{component} could not be read, the rest was" in " ".join(store.notes)
        sandbox.component = ""
        clock.advance(3600)
        await pull(reader, store, probe=probe)
        assert held(store) == public(sandbox)
        sandbox.component = str(component)
        for _ in range(3):
            clock.advance(3600)
            await pull(reader, store, probe=probe, full=True)
        assert held(store) == public(sandbox), "what could not be asked was judged"


@pytest.mark.parametrize("version", ["0.28.6", "0.32"])
async def test_nothing_is_told_gone_that_was_not_asked(version: str) -> None:
    """Also in a run that read no list of that kind (docs/platforms/decidim.md 1.4)."""
    sandbox, clock = city(version)
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        refs = [*sorted(public(sandbox, 1, 30)), "component/1", "component/30", "process/1", "assembly/1"]
        if version == "0.32":
            refs += [*sorted(public(sandbox, 20)), "budget/1", "taxonomy/1", "taxonomy/100"]
        clock.advance(3600)
        await pull(reader, store, probe=probe)
        assert set((await reader.still_there(refs)).values()) == {True}
        sandbox.change("unpublish", component=30)
        await pull(reader, store, probe=probe)
        told = await reader.still_there(["component/30", *sorted(public(sandbox, 1))[:3]])
        assert list(told.values()) == [False, True, True, True]
    async with reading(CONNECTOR, sandbox, clock=clock) as (fresh, _):
        assert set((await fresh.still_there(refs)).values()) == {None}


@pytest.mark.parametrize("version", ["0.28.6", "0.32"])
async def test_only_the_spaces_of_the_configuration_are_read(version: str) -> None:
    sandbox, clock = city(version)
    async with reading(CONNECTOR, sandbox, clock=clock, spaces=["assembly/1"]) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        assert held(store) == public(sandbox, 7) != set()
        assert set(store.alive("process", "assembly", "component")) == {"assembly/1", "component/7"}
        # Closed by an administrator it is no mistake of the configuration.
        sandbox.change("open_space", kind="assembly", id=1, public=False)
        clock.advance(3600)
        await pull(reader, store, probe=probe)
        assert not store.alive("assembly")
    async with reading(CONNECTOR, sandbox, clock=clock, spaces=["assembly/77"]) as (reader, _):
        with pytest.raises(NotFound, match="assembly/77"):
            await pull(reader, MemoryStore())


async def test_a_step_that_hides_votes_is_seen_at_once() -> None:
    """It moves the process, and no component (docs/platforms/decidim.md 2; recordings 793, 794)."""
    sandbox, clock = city("0.32")
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        clock.advance(3600)
        sandbox.reset_stats()
        await pull(reader, store, probe=probe)
        assert sandbox.stats.requests == 2, "one for all spaces, one for budgets, which no gate shows"
        sandbox.change("activate_step", space=1, step=2, votes_hidden=True)
        await pull(reader, store, probe=probe)
        counters = [store.rows[ref].counters for ref in public(sandbox, 1)]
        assert all(each is not None and each.supports is None for each in counters)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shown_to_all", [True, False])
async def test_an_amendment_is_one_from_its_first_pull(version: str, shown_to_all: bool) -> None:
    """Without open data, and where only its participants see amendments: its state is one that nobody answered with."""
    sandbox, clock = city(version)
    sandbox.change("configure", component=1, amendments_for_participants=not shown_to_all)
    async with reading(CONNECTOR, sandbox, clock=clock, open_data=False) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        clock.advance(3600)
        amended = next(own for own in sandbox.database.proposals["proposal"] if f"proposal/{own}" in public(sandbox, 1))
        own = sandbox.change("amend", id=amended)
        await pull(reader, store, probe=probe)
        record: Any = store.rows[f"proposal/{own}"].record
        assert record.kind == "amendment"
        await pull(reader, store, probe=probe, full=True)
        record = store.rows[f"proposal/{own}"].record
        assert (record.kind, record.amends) == ("amendment", f"proposal/{amended}" if shown_to_all else None)


async def test_taxonomies_are_a_tree_also_those_that_nothing_carries() -> None:
    sandbox, clock = city("0.32")
    sandbox.database.taxonomies[9] = "Ongebruikt"
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        await pull(reader, store, probe=await reader.probe())
        found = {ref: row.record for ref, row in store.alive("taxonomy").items() if isinstance(row.record, Category)}
        assert {ref: record.parent for ref, record in found.items()} == {
            "taxonomy/100": None,
            **{f"taxonomy/{own}": "taxonomy/100" for own in (1, 2, 3, 4, 9)},
        }


async def test_projects_have_their_place() -> None:
    """From 0.31 on (docs/platforms/decidim.md 2)."""
    sandbox, clock = city("0.32")
    row = sandbox.database.proposals["project"][1]
    row.address, row.place = "Dorpsstraat 1", (52.1, 4.2)
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        await pull(reader, store, probe=await reader.probe())
        record: Any = store.rows["project/1"].record
        assert (record.address, record.latitude, record.longitude) == ("Dorpsstraat 1", 52.1, 4.2)


async def test_what_waits_longest_is_read_fifty_at_a_time() -> None:
    """Offsets are cursors: the page in which a proposal stands is known (docs/platforms/decidim.md 1.5)."""
    from civicsync.connectors.contract.reading import Due

    sandbox, clock = city("0.32")
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        clock.advance(3600)
        request = PullRequest(probe, store)
        async for page in reader.pull(request):
            await store.apply(page, reader)
        wanted = sorted(public(sandbox, 1), key=lambda ref: int(ref.partition("/")[2]))
        sandbox.reset_stats()
        due = [Due(ref, "proposals@component/1", None) for ref in wanted]
        revisit: Any = reader
        shown = {item.ref async for page in revisit.revisit(request, due) for item in page.items if item.build}
        assert set(wanted) <= shown
        assert sandbox.stats.requests <= 3, "a page of fifty, and the few behind it by their ids"
