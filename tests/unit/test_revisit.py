"""No fact stays unconfirmed for long: what waited longest is asked again, within a budget, and beyond it only where the age is at stake."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from civicsync.connectors.contract.reading import KINDS, Due, Page, Probe, PullRequest
from civicsync.core.clock import FakeClock
from civicsync.core.identity import Ref
from civicsync.core.items import Item
from civicsync.core.records import Comment, Proposal, Space
from civicsync.core.store.store import InstanceStore
from civicsync.sync.pull.revisit import LEAST, Budget, revisit


class Slow:
    """A platform that shows one record a request."""

    def __init__(self) -> None:
        self.asked: list[Ref] = []

    async def probe(self) -> Probe:
        raise NotImplementedError

    async def discover(self, probe: Probe) -> Sequence[Space]:
        raise NotImplementedError

    def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        raise NotImplementedError

    async def revisit(self, request: PullRequest, due: Sequence[Due]) -> AsyncIterator[Page]:
        for each in due:
            self.asked.append(each.ref)
            yield Page(each.scope, [Item(each.ref)])


def stored(engine: Engine, clock: FakeClock, count: int) -> InstanceStore:
    """So many proposals, each a minute younger than the one before, and a comment on the first."""
    for own in range(1, count + 1):
        store = InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS)
        record = Proposal(id=str(own), space="component/1")
        store.write(Page("proposals", [Item(record.ref, b"d" * 16, lambda record=record: [record], token=f"t{own}")]))
        clock.advance(60)
    comment = Comment(id="1", target="proposal/1")
    store.write(Page("comments", [Item("comment/1", b"d" * 16, lambda: [comment])]))
    clock.advance(60)
    return InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS)


async def visited(store: InstanceStore, budget: Budget) -> Slow:
    reader: Any = Slow()
    request = PullRequest(Probe("x", None, "x"), store)
    async for page in revisit(store, reader, request, budget, lambda: len(reader.asked)):
        store.write(page)
    return reader


def budget(clock: FakeClock, requests: int = LEAST, within: timedelta = timedelta(hours=24)) -> Budget:
    return Budget(requests, clock.now(), clock.now() - within, clock.now() - within)


async def test_the_longest_unconfirmed_comes_first_and_the_budget_ends_it(engine: Engine) -> None:
    clock = FakeClock()
    store = stored(engine, clock, 12)
    reader = await visited(store, budget(clock, 5))
    assert reader.asked == [f"proposal/{own}" for own in range(1, 6)]


async def test_what_would_get_too_old_is_asked_whatever_the_budget_says(engine: Engine) -> None:
    clock = FakeClock()
    store = stored(engine, clock, 12)
    limit = timedelta(minutes=4)
    reader = await visited(store, budget(clock, 2, limit))
    assert reader.asked == [f"proposal/{own}" for own in range(1, 10)], "those older than four minutes, and no other"


async def test_what_has_copies_elsewhere_is_overdue_sooner(engine: Engine) -> None:
    from civicsync.core.ledger.ledger import Ledger, copy_columns
    from civicsync.core.ledger.states import PublicationState

    clock = FakeClock()
    store = stored(engine, clock, 12)
    ledger = Ledger(engine, clock)
    own = ledger.open_publication(
        PublicationState.APPROVED,
        route="r",
        origin_key="west/proposal/7",
        target_instance="east",
        target_space="board/1",
        marker="[civicsync:x]",
        title="",
    )
    ledger.update_publication(own, event="sent", **copy_columns("east", "proposal/1", "", {}))
    bounds = Budget(0, clock.now(), clock.now() - timedelta(hours=24), clock.now() - timedelta(minutes=1))
    assert (await visited(store, bounds)).asked == ["proposal/7"]


async def test_what_a_page_confirms_is_due_no_longer(engine: Engine) -> None:
    from civicsync.sync.pull.sweep import confirm_shown

    clock = FakeClock()
    store = stored(engine, clock, 3)
    began = clock.now()
    store.write(Page("proposals", present=["proposal/1", "proposal/2", "proposal/3"], complete=True))
    confirm_shown(store, ["proposals"])
    assert (await visited(store, Budget(LEAST, began, began, began))).asked == ["comment/1"]


@pytest.mark.parametrize(("full", "requests"), [(0, 5), (99, 5), (101, 6), (1000, 50)])
def test_the_budget_is_the_larger_of_a_few_and_a_share(full: int, requests: int) -> None:
    assert Budget.of(full, 86400, FakeClock().now(), None).requests == requests


def test_the_bound_leaves_room_for_the_pause_until_the_next_run() -> None:
    now = FakeClock().now()
    bounds = Budget.of(0, 86400, now, now - timedelta(hours=2))
    assert (bounds.overdue, bounds.overdue_copied) == (now - timedelta(hours=22), now - timedelta(hours=4))
    bounds = Budget.of(0, 3600, now, now - timedelta(hours=2))
    assert (bounds.overdue, bounds.overdue_copied) == (now, now)
