"""Absence is a claim: missed twice, asked after, and never many at once without a person's word."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, text

from civicsync.connectors.contract.errors import NotAllowed, PartlyAnswered
from civicsync.connectors.contract.reading import KINDS, Page, Probe, PullRequest
from civicsync.core.clock import FakeClock
from civicsync.core.identity import Ref
from civicsync.core.items import Item, Kinds
from civicsync.core.records import Answer, Comment, Proposal, Record, Space
from civicsync.core.store.confirmations import stalest
from civicsync.core.store.history import history_of
from civicsync.core.store.store import InstanceStore
from civicsync.core.store.tombstones import scopes_by_rank
from civicsync.sync.pull.sweep import SweepVerdict, judge

SPACES, PROPOSALS, COMMENTS = "spaces", "proposals@component/1", "comments@component/1"
Reply = bool | Exception | None


class Silent:
    """A platform that cannot be asked for single records."""

    async def probe(self) -> Probe:
        raise NotImplementedError

    async def discover(self, probe: Probe) -> Sequence[Space]:
        raise NotImplementedError

    def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        raise NotImplementedError


class Asked(Silent):
    """One that can; `reply` is what it says of everything it is asked about."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.asked: list[Ref] = []

    async def still_there(self, refs: Sequence[Ref]) -> Mapping[Ref, bool | None]:
        self.asked += refs
        if isinstance(self.reply, Exception):
            raise self.reply
        return dict.fromkeys(refs, self.reply)


class Platform:
    """What stands on a platform, and sweeps that see it; each sweep is a run with a store of its own."""

    def __init__(self, engine: Engine, kinds: Kinds = KINDS) -> None:
        self.engine = engine
        self.kinds = kinds
        self.clock = FakeClock()
        self.scopes: dict[str, dict[Ref, Record]] = {}

    def proposals(self, ids: Collection[int], scope: str = PROPOSALS, space: str = "component/1") -> None:
        for own in ids:
            self.scopes.setdefault(scope, {})[f"proposal/{own}"] = Proposal(id=str(own), space=space)

    def comments(self, ids: Collection[int], target: str, scope: str = COMMENTS) -> None:
        for own in ids:
            self.scopes.setdefault(scope, {})[f"comment/{own}"] = Comment(id=str(own), target=target)

    def spaces(self, ids: Collection[int]) -> None:
        for own in ids:
            self.scopes.setdefault(SPACES, {})[f"component/{own}"] = Space(kind="component", id=str(own), names={})

    def hide(self, *refs: Ref) -> None:
        for scope in self.scopes.values():
            for ref in refs:
                scope.pop(ref, None)

    async def sweep(
        self, reader: Any = None, *, percent: float = 5, accept: bool = False, lightly: bool = False
    ) -> SweepVerdict:
        self.clock.advance(60)
        store = InstanceStore(self.engine, "west", ["nl"], self.clock, kinds=self.kinds)
        for scope, records in self.scopes.items():
            items = [Item(ref, ref.encode().ljust(16)[:16], lambda r=record: [r]) for ref, record in records.items()]
            page = Page(scope, present=list(records), complete=True) if lightly else Page(scope, items, complete=True)
            written = store.write(page)
            assert not written.quarantined
        # Comments first: the order in which sweeps end says nothing about the order of judging.
        scopes = sorted(self.scopes)
        return await judge(store, reader or Silent(), scopes, max_percent=percent, accept=accept)

    def gone(self) -> set[Ref]:
        return self._refs("gone_at IS NOT NULL")

    def missed(self) -> set[Ref]:
        return self._refs("missing_runs > 0")

    def _refs(self, where: str) -> set[Ref]:
        tables = ("space", "proposal", "comment", "answer")
        query = " UNION ALL ".join(f"SELECT key FROM {table} WHERE {where}" for table in tables)
        with self.engine.connect() as connection:
            return {str(own).removeprefix("west/") for own in connection.execute(text(query)).scalars()}


@pytest.fixture
def platform(sqlite: Engine) -> Platform:
    return Platform(sqlite)


# Missed once, missed twice --------------------------------------------------------------------------------------------


async def test_missed_once_is_not_gone_and_missed_twice_is(engine: Engine) -> None:
    platform = Platform(engine)
    platform.proposals(range(10))
    assert await platform.sweep() == SweepVerdict()
    platform.hide("proposal/3")
    assert await platform.sweep() == SweepVerdict(missed=1)
    assert (platform.missed(), platform.gone()) == ({"proposal/3"}, set())
    assert await platform.sweep() == SweepVerdict(gone=1)
    assert (platform.missed(), platform.gone()) == (set(), {"proposal/3"})
    assert await platform.sweep() == SweepVerdict(), "gone once is enough"


async def test_seen_again_in_between_begins_anew(platform: Platform) -> None:
    platform.proposals(range(10))
    await platform.sweep()
    platform.hide("proposal/3")
    await platform.sweep()
    platform.proposals([3])
    assert await platform.sweep() == SweepVerdict()
    assert platform.missed() == set()
    platform.hide("proposal/3")
    assert await platform.sweep() == SweepVerdict(missed=1)
    assert platform.gone() == set()


async def test_what_a_light_sweep_sees_again_begins_anew(platform: Platform) -> None:
    """It names what it saw, and writes none of it."""
    platform.proposals(range(10))
    await platform.sweep()
    platform.hide("proposal/3")
    await platform.sweep(lightly=True)
    assert platform.missed() == {"proposal/3"}
    platform.proposals([3])
    await platform.sweep(lightly=True)
    assert platform.missed() == set()


async def test_what_comes_back_is_alive_again(platform: Platform) -> None:
    platform.proposals(range(10))
    await platform.sweep()
    platform.hide("proposal/3")
    await platform.sweep()
    await platform.sweep()
    platform.proposals([3])
    await platform.sweep()
    assert platform.gone() == set()


@pytest.mark.parametrize(
    ("reply", "gone", "missed"),
    [
        pytest.param(False, {"proposal/3"}, set[str](), id="confirmed gone"),
        pytest.param(True, set[str](), set[str](), id="there after all"),
        pytest.param(None, set[str](), {"proposal/3"}, id="cannot tell"),
        pytest.param(NotAllowed("sign in first"), set[str](), {"proposal/3"}, id="refused"),
    ],
)
async def test_gone_is_believed_only_when_the_platform_says_so(
    platform: Platform, reply: Reply, gone: set[str], missed: set[str]
) -> None:
    reader = Asked(reply)
    platform.proposals(range(10))
    await platform.sweep(reader)
    platform.hide("proposal/3")
    verdict = await platform.sweep(reader)
    assert reader.asked == ["proposal/3"], "asked at once, and that is proof"
    assert (platform.gone(), platform.missed()) == (gone, missed)
    assert not verdict.blocked
    assert [note.partition(":")[0] for note in verdict.notes] == (
        [PROPOSALS] if reply not in {True, False, None} else []
    )


async def test_a_question_that_failed_or_is_never_answered_is_something_unread(platform: Platform) -> None:
    platform.proposals(range(10))
    await platform.sweep()
    platform.hide("proposal/3")
    assert not (await platform.sweep(Asked(None))).unread, "the next run may know"
    for reply, told in ((None, "cannot be asked for"), (NotAllowed("sign in first"), "could not confirm")):
        (unread,) = (await platform.sweep(Asked(reply))).unread
        assert told in unread


async def test_what_was_answered_beside_a_failure_counts(platform: Platform) -> None:
    platform.proposals(range(20))
    await platform.sweep()
    hidden = [f"proposal/{own}" for own in range(3, 9)]
    platform.hide(*hidden)
    failed = PartlyAnswered("five did not answer", {hidden[0]: False, hidden[1]: None})
    verdict = await platform.sweep(Asked(failed))
    assert (platform.gone(), platform.missed()) == ({hidden[0]}, set(hidden[1:]))
    assert not verdict.blocked
    assert "five did not answer" in verdict.notes[0]


async def test_an_open_question_is_asked_again_and_ends(platform: Platform) -> None:
    reader = Asked(None)
    platform.proposals(range(10))
    await platform.sweep()
    platform.hide("proposal/3")
    for _ in range(4):
        await platform.sweep(reader)
    assert (len(reader.asked), platform.gone()) == (4, set())
    await platform.sweep(Asked(False))
    assert platform.gone() == {"proposal/3"}


async def test_accepting_what_is_missing_waits_for_no_second_sweep_and_still_asks(platform: Platform) -> None:
    platform.proposals(range(10))
    await platform.sweep()
    platform.hide(*(f"proposal/{own}" for own in range(8)))
    reader = Asked(True)
    assert await platform.sweep(reader, accept=True) == SweepVerdict()
    assert len(reader.asked) == 8
    assert await platform.sweep(accept=True) == SweepVerdict(gone=8)


# The three guards, each alone -----------------------------------------------------------------------------------------


async def test_guard_one_more_than_a_few_percent_of_a_scope_stop_and_ask(platform: Platform) -> None:
    platform.proposals(range(100))
    await platform.sweep()
    platform.hide(*(f"proposal/{own}" for own in range(5)))
    assert not (await platform.sweep()).blocked, "5 of 100 are 5 %"
    platform.hide("proposal/5")
    for _ in range(3):
        verdict = await platform.sweep()
        assert verdict.blocked
        [note] = verdict.notes
        assert note.startswith(f"{PROPOSALS}: 6 of 100 are missing; nothing was marked as gone. If this is right")
        assert "`civicsync sync` again with --accept-missing" in note
        assert note.endswith("(proposal/0, proposal/1, proposal/2, proposal/3, proposal/4 and 1 more)")
    assert platform.gone() == set()


async def test_guard_one_holds_for_what_hangs_too(platform: Platform) -> None:
    platform.proposals(range(10))
    platform.comments(range(20), "proposal/1")
    await platform.sweep()
    platform.scopes[COMMENTS].clear()
    for _ in range(3):
        verdict = await platform.sweep()
        assert verdict.blocked
        assert verdict.notes[0].startswith(f"{COMMENTS}: 20 of 20 are missing")
    assert platform.gone() == set()


@pytest.mark.parametrize(("missing", "blocked"), [(3, False), (4, True)])
async def test_so_many_may_always_go(platform: Platform, missing: int, blocked: bool) -> None:
    platform.proposals(range(6))
    await platform.sweep(percent=0)
    platform.hide(*(f"proposal/{own}" for own in range(missing)))
    for _ in range(2):
        verdict = await platform.sweep(percent=0)
    assert verdict.blocked == blocked
    assert len(platform.gone()) == (0 if blocked else missing)


async def test_guard_two_few_spaces_with_many_proposals_stop_and_ask(platform: Platform) -> None:
    platform.spaces(range(1, 101))
    platform.proposals(range(80), "proposals@component/1", "component/1")
    platform.proposals(range(80, 100), "proposals@component/2", "component/2")
    await platform.sweep()
    platform.hide("component/1")
    del platform.scopes["proposals@component/1"]  # who would ask a space that is not there?
    for _ in range(3):
        verdict = await platform.sweep()
        assert verdict.blocked
        assert verdict.notes[0].startswith("spaces: 1 spaces with 80 of 100 proposals are missing")
    assert platform.gone() == set()
    await platform.sweep(accept=True)
    assert platform.gone() == {"component/1", *(f"proposal/{own}" for own in range(80))}, "they went with their space"


async def test_guard_three_many_small_places_together_stop_and_ask(platform: Platform) -> None:
    for place in range(20):
        platform.proposals(range(place * 10, place * 10 + 10), f"proposals@component/{place}", f"component/{place}")
    await platform.sweep()
    # Three of ten in each: always allowed in one place, a third of the platform together.
    platform.hide(*(f"proposal/{own}" for own in range(200) if own % 10 < 3))
    for _ in range(3):
        verdict = await platform.sweep()
        assert verdict.blocked
        assert [note.partition(";")[0] for note in verdict.notes] == ["60 of 200 proposals are missing in 20 places"]
    assert platform.gone() == set()


async def test_too_much_missing_in_one_place_marks_nothing_unproven_anywhere_and_waits(platform: Platform) -> None:
    platform.proposals(range(100))
    platform.proposals([200, 201], "proposals@component/2", "component/2")
    platform.comments(range(40), "proposal/50")
    await platform.sweep()
    platform.hide("proposal/200", "comment/1", *(f"proposal/{own}" for own in range(40)))
    for _ in range(3):
        assert (await platform.sweep()).blocked
    assert platform.gone() == {"comment/1"}, "what hangs is judged for itself"
    assert platform.missed() == {"proposal/200", *(f"proposal/{own}" for own in range(40))}


# What waits for the admin ---------------------------------------------------------------------------------------------


async def test_what_the_platform_itself_calls_gone_needs_no_word_of_the_admin(platform: Platform) -> None:
    platform.proposals(range(71))
    await platform.sweep()
    platform.hide(*(f"proposal/{own}" for own in range(25)))
    assert await platform.sweep(Asked(False)) == SweepVerdict(gone=25), (
        "25 of 71 are far more than 5 %, and each was asked"
    )


async def test_even_proof_has_a_limit(platform: Platform) -> None:
    platform.proposals(range(71))
    await platform.sweep()
    platform.hide(*(f"proposal/{own}" for own in range(26)))
    reader = Asked(False)
    assert (await platform.sweep(reader)).blocked
    assert (reader.asked, platform.gone()) == ([], set())


@pytest.mark.parametrize("again", ["full", "light", "nothing swept"])
async def test_accepting_takes_exactly_what_was_told_in_any_run(engine: Engine, again: str) -> None:
    platform = Platform(engine)
    platform.proposals(range(100))
    platform.comments(range(40), "proposal/99")
    await platform.sweep()
    hidden = {f"proposal/{own}" for own in range(30)}
    platform.hide(*hidden, *(f"comment/{own}" for own in range(12)))
    assert (await platform.sweep()).blocked
    hidden |= {f"comment/{own}" for own in range(12)}
    platform.hide("proposal/50")
    if again == "nothing swept":
        store = InstanceStore(engine, "west", ["nl"], platform.clock, kinds=KINDS)
        assert not (await judge(store, Silent(), [], max_percent=5, accept=True)).blocked
    else:
        await platform.sweep(accept=True, lightly=again == "light")
    assert platform.gone() == hidden
    assert platform.missed() == (set() if again == "nothing swept" else {"proposal/50"})


async def test_what_waits_is_told_again_by_every_run_that_does_not_sweep_it(platform: Platform) -> None:
    """A gate that closed, a file that did not change: the verdict stays open all the same."""
    platform.proposals(range(10))
    await platform.sweep()
    platform.hide(*(f"proposal/{own}" for own in range(5)))
    assert (await platform.sweep()).blocked
    store = InstanceStore(platform.engine, "west", ["nl"], platform.clock, kinds=KINDS)
    assert store.pending(PROPOSALS)
    verdict = await judge(store, Silent(), [], max_percent=5, accept=False)
    assert verdict.blocked and verdict.notes[0].startswith(f"{PROPOSALS}: 5 of 10 are missing")


async def test_what_was_missed_before_is_asked_for_although_its_scope_was_not_swept(platform: Platform) -> None:
    platform.proposals(range(10))
    await platform.sweep()
    platform.hide("proposal/3")
    await platform.sweep()
    store = InstanceStore(platform.engine, "west", ["nl"], platform.clock, kinds=KINDS)
    assert await judge(store, Asked(False), [], max_percent=5, accept=False) == SweepVerdict(gone=1)


async def test_what_is_inside_a_gone_space_goes_with_it_however_deep(platform: Platform) -> None:
    platform.scopes[SPACES] = {
        "process/1": Space(kind="process", id="1", names={}),
        "component/2": Space(kind="component", id="2", names={}, parent="process/1"),
        "budget/3": Space(kind="budget", id="3", names={}, parent="component/2"),
    }
    platform.proposals([1, 2], "projects@budget/3", "budget/3")
    platform.comments([7], "proposal/1")
    platform.proposals(range(10, 30), "proposals@component/9", "component/9")
    await platform.sweep()
    for scope in (SPACES, "projects@budget/3", COMMENTS):
        platform.scopes.pop(scope)
    platform.spaces([9])
    await platform.sweep(accept=True)
    assert platform.gone() == {"process/1", "component/2", "budget/3", "proposal/1", "proposal/2", "comment/7"}


# Evidence -------------------------------------------------------------------------------------------------------------


async def thread(platform: Platform, ids: Collection[int], reader: Any = None, **more: Any) -> SweepVerdict:
    """A run that reads one thread whole and sweeps nothing."""
    platform.clock.advance(60)
    store = InstanceStore(platform.engine, "west", ["nl"], platform.clock, kinds=KINDS)
    records = [Comment(id=str(own), target="proposal/1") for own in ids]
    items = [Item(f"comment/{one.id}", one.id.encode().ljust(16), lambda one=one: [one]) for one in records]
    store.write(Page(COMMENTS, items, whole_of=["proposal/1"], **more))
    return await judge(store, reader or Silent(), [], max_percent=5, accept=False)


async def test_a_thread_that_was_read_whole_is_evidence(engine: Engine) -> None:
    platform = Platform(engine)
    platform.proposals([1, 2])
    platform.comments(range(3), "proposal/1")
    platform.comments([8], "proposal/2")
    await platform.sweep()
    assert await thread(platform, [0, 2]) == SweepVerdict(missed=1)
    assert platform.missed() == {"comment/1"}
    assert await thread(platform, [0, 2]) == SweepVerdict(gone=1)
    assert platform.gone() == {"comment/1"}, "and nothing of another thread"


async def test_evidence_and_a_platform_that_can_be_asked_need_one_run(platform: Platform) -> None:
    platform.proposals([1])
    platform.comments(range(3), "proposal/1")
    await platform.sweep()
    assert await thread(platform, [0, 2], Asked(False)) == SweepVerdict(gone=1)


async def test_what_a_sweep_did_not_look_at_is_neither_confirmed_nor_missing(engine: Engine) -> None:
    platform = Platform(engine)
    platform.proposals([1])
    platform.comments(range(4), "proposal/1")
    await platform.sweep()
    began = platform.clock.now()
    platform.clock.advance(3600)
    store = InstanceStore(engine, "west", ["nl"], platform.clock, kinds=KINDS)
    store.write(Page(COMMENTS, present=["comment/0"], silent=["comment/1", "comment/2"], complete=True))
    assert await judge(store, Silent(), [COMMENTS], max_percent=5, accept=False) == SweepVerdict(missed=1)
    assert platform.missed() == {"comment/3"}
    now = platform.clock.now()
    due = stalest(engine, "west", before=now, overdue=began, overdue_copied=began)
    assert {each.ref for each in due} == {"proposal/1", "comment/1", "comment/2"}
    assert all(each.confirmed_at == began and not each.overdue for each in due)


async def test_a_gate_confirms_what_it_vouches_for(engine: Engine) -> None:
    platform = Platform(engine)
    platform.proposals([1, 2])
    platform.comments([1], "proposal/1")
    platform.comments([2], "proposal/2")
    await platform.sweep()
    began = platform.clock.now()
    platform.clock.advance(7200)
    store = InstanceStore(engine, "west", ["nl"], platform.clock, kinds=KINDS)
    store.write(Page(PROPOSALS, vouched=True))
    due = stalest(engine, "west", before=platform.clock.now(), overdue=began, overdue_copied=began)
    assert {each.ref for each in due} == {"comment/1", "comment/2"}
    found = history_of(engine, "west/proposal/2")
    assert (found["confirmed_at"], found["confirmed_by"]) == (platform.clock.now(), "gate")


async def test_what_goes_missing_keeps_the_age_that_its_scope_gave_it(platform: Platform) -> None:
    platform.proposals(range(10))
    await platform.sweep()
    await platform.sweep(lightly=True)  # writes no row
    before = platform.clock.now()
    platform.hide("proposal/3")
    for _ in range(3):
        await platform.sweep(Asked(None))
    assert history_of(platform.engine, "west/proposal/3")["confirmed_at"] == before


# What hangs on proposals ----------------------------------------------------------------------------------------------


async def test_what_hangs_on_missing_or_gone_proposals_is_not_counted(platform: Platform) -> None:
    platform.proposals(range(40))
    platform.comments(range(30), "proposal/3")
    platform.comments([30, 31], "proposal/4")
    platform.scopes["answers@component/1"] = {"answer/1": Answer(id="1", target="proposal/3")}
    await platform.sweep()
    children = ("answer/1", *(f"comment/{own}" for own in range(30)))
    platform.hide("proposal/3", *children)
    assert await platform.sweep() == SweepVerdict(missed=1), "30 of 32 comments went with their proposal"
    assert platform.missed() == {"proposal/3"}
    assert await platform.sweep() == SweepVerdict(gone=1)
    assert platform.gone() == {"proposal/3", *children}
    assert await platform.sweep() == SweepVerdict()


async def test_what_hangs_is_not_counted_either_where_it_is_swept_with_its_proposals(platform: Platform) -> None:
    platform.proposals(range(40), "board")
    platform.comments(range(30), "proposal/3", "board")
    await platform.sweep()
    platform.hide("proposal/3", *(f"comment/{own}" for own in range(30)))
    assert await platform.sweep() == SweepVerdict(missed=1)
    assert await platform.sweep() == SweepVerdict(gone=1)
    assert len(platform.gone()) == 31


async def test_a_hidden_comment_of_a_live_proposal_becomes_gone(engine: Engine) -> None:
    platform = Platform(engine)
    platform.proposals(range(10))
    platform.comments(range(10), "proposal/3")
    await platform.sweep()
    platform.hide("comment/7")
    assert await platform.sweep() == SweepVerdict(missed=1)
    assert (platform.missed(), platform.gone()) == ({"comment/7"}, set())
    assert await platform.sweep() == SweepVerdict(gone=1)
    assert platform.gone() == {"comment/7"}


# Nothing depends on names ---------------------------------------------------------------------------------------------


async def test_a_platform_with_names_of_its_own_is_judged_like_any_other(engine: Engine) -> None:
    """Kinds and scopes are the connector's words: only the tables of their rows say what hangs on what."""
    platform = Platform(engine, {"proposals": ("idea",), "comments": ("remark",)})
    ideas = {f"idea/{own}": Proposal(kind="idea", id=str(own)) for own in range(40)}
    remarks = {f"remark/{own}": Comment(kind="remark", id=str(own), target="idea/3") for own in range(30)}
    remarks["remark/30"] = Comment(kind="remark", id="30", target="idea/4")
    remarks["remark/31"] = Comment(kind="remark", id="31", target="idea/4")
    # `chatter` comes before `ideas`, and is judged after it all the same.
    platform.scopes = {"ideas": dict[Ref, Record](ideas), "chatter": dict[Ref, Record](remarks)}
    await platform.sweep()
    store = InstanceStore(engine, "west", ["nl"], platform.clock, kinds=platform.kinds)
    assert scopes_by_rank(store, ["chatter", "ideas", "nothing"]) == [[], ["ideas", "nothing"], ["chatter"]]
    platform.hide("idea/3", "remark/31", *(f"remark/{own}" for own in range(30)))
    assert await platform.sweep() == SweepVerdict(missed=2)
    assert platform.missed() == {"idea/3", "remark/31"}
    assert await platform.sweep() == SweepVerdict(gone=2)
    assert len(platform.gone()) == 32
    platform.hide(*(f"idea/{own}" for own in range(30)))
    for _ in range(2):
        verdict = await platform.sweep()
    assert verdict.blocked and verdict.notes[0].startswith("ideas: 29 of 39 are missing")


async def test_a_scope_of_proposals_and_their_comments_does_not_hang(platform: Platform) -> None:
    platform.proposals([1], "board")
    platform.comments([1], "proposal/1", "board")
    platform.comments([2], "proposal/1", "talk")
    await platform.sweep()
    store = InstanceStore(platform.engine, "west", ["nl"], platform.clock, kinds=KINDS)
    assert scopes_by_rank(store, ["talk", "board"]) == [[], ["board"], ["talk"]]
