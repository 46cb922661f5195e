"""The reader of Your Priorities against its sandbox: whatever happens there, a pull ends with what the sandbox's database holds."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from civicsync.connectors.contract.errors import (
    ConnectorError,
    Interface,
    Malformed,
    NotAllowed,
    NotFound,
    NotThisPlatform,
    Unreachable,
)
from civicsync.connectors.contract.reading import Page, PullRequest
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.memory import MemoryStore, pull
from civicsync.connectors.your_priorities import CONNECTOR
from civicsync.connectors.your_priorities.sandbox import YourPrioritiesSandbox
from civicsync.core.clock import FakeClock
from civicsync.core.records import Answer, Comment, Proposal

SIZE = 150


class Town:
    """A sandbox, a store and a clock that both live by."""

    def __init__(self, size: int = SIZE, *, twice: bool = False, **options: Any) -> None:
        self.clock = FakeClock()
        self.sandbox = YourPrioritiesSandbox(size=size, clock=self.clock.now, **options)
        self.store = MemoryStore(twice=twice)
        self.probe: Any = None
        self.requests = 0

    async def pull(self, *, full: bool = False, probe: bool = False, **settings: Any) -> None:
        """One run; the first one and those with `probe` look around first. Lists are three seconds stale, so time passes."""
        self.clock.advance(10)
        async with reading(CONNECTOR, self.sandbox, clock=self.clock, **settings) as (reader, context):
            try:
                if probe or self.probe is None:
                    self.probe = await reader.probe()
                await pull(reader, self.store, full=full, probe=self.probe)
            finally:
                self.requests = context.transport.stats.requests

    def change(self, op: str, **arguments: Any) -> Any:
        return self.sandbox.change(op, **arguments)

    def public(self, table: str = "proposals") -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in self.sandbox.truth()[table] if row["public"]}

    def one(self, **wanted: Any) -> str:
        """A public post of group 1 with an ordinary status."""
        rows = self.sandbox.database.posts
        for own in self.public():
            post = rows[int(own)]
            if post["group_id"] == 1 and all(post[name] == value for name, value in wanted.items()):
                return own
        raise AssertionError("no such post")

    def check(self) -> None:
        """Everything alive is what the platform's database holds."""
        store = self.store
        assert not store.quarantine
        truth = self.public()
        rows = store.alive("proposal")
        assert set(rows) == {f"proposal/{own}" for own in truth}
        for own, expected in truth.items():
            row = rows[f"proposal/{own}"]
            record = row.record
            assert isinstance(record, Proposal) and row.counters is not None
            assert record.texts[0].title == expected["title"]
            assert record.state == expected["state"]
            assert row.counters.supports == expected["supports"]
            assert row.counters.comments == expected["comments"]
            assert (record.author is None) == (expected["author"] is None)
            assert record.kind == expected["kind"]
            assert record.space == f"group/{self.sandbox.database.posts[int(own)]['group_id']}"
        self.check_comments()
        answers = {f"status_change/{own}": row for own, row in self.public("answers").items()}
        stored = {
            ref: row
            for ref, row in store.alive("status_change").items()
            if isinstance(row.record, Answer) and row.record.target in rows
        }
        assert set(stored) == set(answers)
        categories = {f"category/{own}": row["name"] for own, row in self.public("categories").items()}
        found = {ref: row.record.names["und"] for ref, row in store.alive("category").items()}
        assert found == categories

    def check_comments(self) -> None:
        proposals = self.store.alive("proposal")
        expected = {f"point/{own}": row for own, row in self.public("comments").items()}
        stored = {
            ref: row.record
            for ref, row in self.store.alive("point").items()
            if isinstance(row.record, Comment) and row.record.target in proposals
        }
        assert set(stored) == set(expected)
        for ref, record in stored.items():
            assert record.target == expected[ref]["target"]


async def test_first_pull_equals_the_truth() -> None:
    town = Town()
    await town.pull()
    town.check()
    assert set(town.store.alive("group")) == {f"group/{own}" for own in (1, 2, 3, 4, 5, 6, 10, 12)}
    assert set(town.store.alive("community", "domain")) == {"domain/1", "community/1", "community/2"}


async def test_empty_and_tiny_instances() -> None:
    for size in (0, 1, 20, 21):
        town = Town(size)
        await town.pull()
        town.check()


async def test_unchanged_pull_writes_nothing_and_costs_the_floor() -> None:
    town = Town()
    await town.pull()
    writes = town.store.writes
    town.sandbox.reset_stats()
    await town.pull()
    assert town.store.writes == writes
    odd = [own for own, row in town.public().items() if row["state"] == "other"]
    asked = list(town.sandbox.stats.log)
    lists = [line for line in asked if "/posts/oldest/" in line]
    assert len([line for line in asked if "/newPoints" in line]) == 0
    assert len([line for line in asked if "/api/activities/" in line]) == 6
    assert len([line for line in asked if line.startswith("GET /api/communities/")]) == 2
    # Lists, feeds, communities, the folder, group pages, and posts that no list shows.
    assert town.requests == len(lists) + 6 + 2 + 1 + 8 + len(odd)
    town.check()


async def test_full_pull_finds_what_no_list_shows() -> None:
    town = Town()
    await town.pull()
    comment = next(own for own, row in town.public("comments").items())
    town.change("edit_comment", id=comment, body="Alveg ný rök")
    reply = town.change("reply", id=comment)
    await town.pull()
    assert f"point/{reply}" not in town.store.rows
    await town.pull(full=True, probe=True)
    town.check()
    record = town.store.rows[f"point/{comment}"].record
    assert isinstance(record, Comment) and record.text.plain == "Alveg ný rök" and record.updated_at is not None
    answer = town.store.rows[f"point/{reply}"].record
    assert isinstance(answer, Comment) and answer.parent == f"point/{comment}" and answer.alignment == 0
    writes = town.store.writes
    await town.pull(full=True)
    assert town.store.writes == writes


async def test_changes_between_pulls_are_followed() -> None:
    town = Town()
    await town.pull()
    own = town.one(official_status=0)
    others = [each for each in town.public() if each != own]
    town.change("edit", id=own, title="Nýr titill", description="Ný lýsing")
    town.change("support", id=others[0], times=5)
    town.change("oppose", id=others[1])
    town.change("comment", id=others[2])
    town.change("answer", id=others[3], status=-2, content="Hafnað.")
    town.change("answer_text", id=others[4], content="Staðan er óbreytt.")
    town.change("add_proposal", title="Alveg ný")
    town.change("add_proposal", title="Í öðrum hópi", group=12)
    town.change("erase_author", id=others[5])
    town.change("category", name="Nýtt")
    town.change("edit_category", id=1, name="Umhverfismál")
    # An erased account takes its arguments along; that changes no counter, so it shows at a full pull.
    await town.pull(full=True)
    town.check()
    assert town.store.rows[f"proposal/{own}"].record.texts[0].plain == "Ný lýsing"


async def test_what_goes_is_gone_and_what_returns_is_back() -> None:
    town = Town()
    await town.pull()
    debated = [
        own for own, row in town.public().items() if row["comments"] and town.public()[own]["state"] == "accepted"
    ]
    hidden, deleted, argued = debated[:3]
    comment = next(o for o, row in town.public("comments").items() if row["target"] == f"proposal/{argued}")
    town.change("hide", id=hidden)
    town.change("delete", id=deleted)
    town.change("delete_comment", id=comment)
    blocked = next(o for o, row in town.public("comments").items() if row["target"] == f"proposal/{argued}")
    town.change("hide_comment", id=blocked)
    # Of arguments only the list of their post tells.
    await town.pull(full=True)
    town.check()
    assert town.store.rows[f"proposal/{hidden}"].gone and town.store.rows[f"proposal/{deleted}"].gone
    assert town.store.rows[f"point/{comment}"].gone
    # The core buries what hangs on a proposal together with it; here the memory store is helped to.
    for row in town.store.rows.values():
        if getattr(row.record, "target", None) in {f"proposal/{hidden}", f"proposal/{deleted}"}:
            row.gone, row.digest, row.token = True, None, None
    town.change("restore", id=hidden)
    await town.pull()
    town.check()


async def test_asked_and_gone_is_proof_at_once() -> None:
    """A post that answers 401 beside a group that answers 200 is gone (4.3): no second run is needed."""
    town = Town(twice=True)
    await town.pull()
    own = town.one(official_status=0)
    town.change("hide", id=own)
    await town.pull()
    assert town.store.rows[f"proposal/{own}"].gone
    town.check()


async def test_moved_post_and_odd_status_stay_alive() -> None:
    town = Town()
    await town.pull()
    moved, odd, nothing = town.one(official_status=2), town.one(official_status=0), town.one(official_status=-2)
    town.change("move_post", id=moved, group=12)
    town.change("odd_status", id=odd, status=7)
    town.change("odd_status", id=nothing, status=None)
    town.change("support", id=odd, times=3)
    await town.pull()
    await town.pull()
    town.check()
    assert town.store.rows[f"proposal/{nothing}"].record.native_state is None
    town.change("move_post", id=moved, group=1)
    await town.pull()
    town.check()


async def test_new_group_is_found_at_the_next_pull() -> None:
    town = Town()
    await town.pull()
    group = town.change("add_group")
    town.change("add_proposal", title="Fyrsta", group=group)
    await town.pull()
    town.check()


async def test_flags_that_hide_are_respected() -> None:
    town = Town()
    town.change("configure", group=1, hideVoteCountUntilVoteCompleted=True)
    town.change("configure", group=12, hideDebate=True)
    await town.pull()
    town.check()
    assert any("group/12" in warning for warning in town.probe.warnings)
    asked = {line.split("/")[3] for line in town.sandbox.stats.log if "newPoints" in line}
    assert not {own for own in asked if town.sandbox.database.posts[int(own)]["group_id"] == 12}


async def test_names_only_where_the_group_shows_them() -> None:
    town = Town()
    await town.pull(names="public")
    posts = town.sandbox.database.posts
    names = {ref: record.name for ref, record in town.store.children.items() if ref.startswith("person/")}
    assert any(names.values())
    hidden = Town()
    await hidden.pull()
    assert not any(getattr(record, "name", None) for record in hidden.store.children.values())
    for row in town.store.alive("proposal").values():
        record = row.record
        assert isinstance(record, Proposal)
        if record.author is not None and posts[int(record.id)]["group_id"] == 5:
            assert names[f"person/{record.author}"]


@pytest.mark.parametrize("settings", [{"groups": [2, 12]}, {"communities": [2]}])
async def test_configured_groups_only(settings: dict[str, Any]) -> None:
    town = Town()
    await town.pull(**settings)
    wanted = set(settings.get("groups") or [12])
    expected = {own for own in town.public() if town.sandbox.database.posts[int(own)]["group_id"] in wanted}
    assert set(town.store.alive("proposal")) == {f"proposal/{own}" for own in expected}
    writes = town.store.writes
    await town.pull(**settings)
    assert town.store.writes == writes
    with pytest.raises(Interface):
        await town.pull(groups=[3])


async def test_spaces_limit_a_run() -> None:
    town = Town()
    async with reading(CONNECTOR, town.sandbox, clock=town.clock) as (reader, _):
        probe = await reader.probe()
        await pull(reader, town.store, probe=probe, spaces=["group/12"])
    assert {r.record.space for r in town.store.alive("proposal").values()} == {"group/12"}
    async with reading(CONNECTOR, town.sandbox, clock=town.clock) as (reader, _):
        spaces = await reader.discover(await reader.probe())
    assert {space.ref for space in spaces} >= {"domain/1", "community/1", "group/2", "group/6"}
    assert {space.ref: space.parent for space in spaces}["group/2"] == "group/6"


async def _pages(town: Town, stop: int) -> bool:
    """Apply `stop` pages and die; whether the pull ended before."""
    town.clock.advance(10)
    async with reading(CONNECTOR, town.sandbox, clock=town.clock) as (reader, _):
        town.probe = town.probe or await reader.probe()
        request = PullRequest(probe=town.probe, stored=town.store)
        done = 0
        async for page in reader.pull(request):
            if done == stop:
                return False
            await town.store.apply(page, reader)
            done += 1
    return True


@pytest.mark.parametrize("stop", [1, 3, 7, 19])
async def test_killed_anywhere_it_goes_on(stop: int) -> None:
    whole = Town(60)
    await whole.pull()
    town = Town(60)
    town.probe = None
    runs = 0
    while not await _pages(town, stop + runs * 2):
        runs += 1
        assert runs < 200
    town.check()
    assert {r: (row.digest, row.counters) for r, row in town.store.alive().items()} == {
        r: (row.digest, row.counters) for r, row in whole.store.alive().items()
    }
    own = town.one(official_status=0)
    town.change("hide", id=own)
    while not await _pages(town, stop + runs * 2):
        runs += 1
    town.check()


async def test_killed_after_any_page_it_still_meets_what_no_list_shows() -> None:
    town = Town(size=60)
    await town.pull()
    for own, status in ((town.one(official_status=0), 7), (town.one(official_status=-2), None)):
        town.change("odd_status", id=own, status=status)
    ended, stop = False, 0
    while not ended:
        town.store, stop = MemoryStore(), stop + 3
        ended = await _pages(town, stop)
        await town.pull()
        town.check()
    assert stop > 20


async def test_a_full_pull_reads_the_whole_feed_again() -> None:
    town = Town()
    await town.pull()
    told = [(row.record.answered_at, ref) for ref, row in town.store.rows.items() if isinstance(row.record, Answer)]
    oldest = min(told)[1]
    del town.store.rows[oldest]
    await town.pull()
    assert oldest not in town.store.rows
    await town.pull(full=True)
    town.check()


@pytest.mark.parametrize("stop", [9, 12, 14, 17])
async def test_killed_among_the_arguments_it_still_notices_what_went(stop: int) -> None:
    town = Town()
    await town.pull()
    posts = town.sandbox.database.posts
    seen: set[str] = set()
    for own, row in town.public("comments").items():
        if row["target"] not in seen and posts[int(row["target"].split("/")[1])]["group_id"] == 1:
            seen.add(row["target"])
            town.change("delete_comment", id=own)
            # The deletion alone changes no counter; another argument does, and then the thread is read whole.
            town.change("comment", id=row["target"].partition("/")[2])
    assert len(seen) > 41
    assert not await _pages(town, stop)
    await town.pull()
    town.check()


@pytest.mark.parametrize(
    "kind", ["429", "429_retry_after", "500", "503", "html_200", "cut_json", "reset", "cut_connection"]
)
@pytest.mark.parametrize("match", ["posts/oldest", "newPoints", "activities", "/api/groups/1$"])
async def test_a_fault_that_passes_loses_nothing(kind: str, match: str) -> None:
    town = Town(60)
    town.sandbox.plant(Fault(kind, match, after=1, times=2))
    await town.pull()
    town.check()


@pytest.mark.parametrize("kind", ["500", "html_200", "cut_json", "reset", "hang"])
@pytest.mark.parametrize("match", ["posts/oldest", "activities", "api/communities"])
async def test_a_fault_that_stays_claims_nothing(kind: str, match: str) -> None:
    town = Town(60)
    await town.pull()
    before = {ref: row.digest for ref, row in town.store.alive().items()}
    town.change("comment", id=town.one(official_status=0))
    town.sandbox.plant(Fault(kind, match, times=None))
    try:
        await town.pull()
    except ConnectorError:
        pass
    else:
        assert any("could not be read" in note for note in town.store.notes), "what failed is named"
    assert before.keys() <= town.store.alive().keys()
    assert not any(row.missing for row in town.store.rows.values())
    town.sandbox.plant()
    await town.pull()
    town.check()


@pytest.mark.parametrize("kind", ["500", "html_200", "cut_json", "reset"])
@pytest.mark.parametrize(
    ("match", "named"),
    [
        ("newPoints", "proposal/"),
        ("/api/groups/2$", "group/2"),
        ("activities/groups/2", "group/2"),
        ("api/communities/2$", "community/2"),
    ],
)
async def test_a_part_that_the_server_fails_on_is_named_and_hides_nothing_else(
    kind: str, match: str, named: str
) -> None:
    town = Town(60)
    await town.pull()
    before = set(town.store.alive())
    town.change("comment", id=town.one(official_status=0))
    new = town.change("add_proposal", title="Ný", group=12)
    town.sandbox.plant(Fault(kind, match, times=None))
    await town.pull()
    assert any(named in note and "could not be read" in note for note in town.store.notes)
    assert before | {f"proposal/{new}"} <= set(town.store.alive()), "the groups behind it were read"
    assert not any(row.missing for row in town.store.rows.values())
    town.sandbox.plant()
    await town.pull()
    town.check()


@pytest.mark.parametrize("match", ["newPoints", "api/groups/2$", "api/communities/2$"])
async def test_where_nothing_answers_it_is_no_single_part(match: str) -> None:
    town = Town(60)
    await town.pull()
    town.change("comment", id=town.one(official_status=0))
    town.sandbox.plant(Fault("reset", match, times=None), Fault("reset", "/api/domains$", times=None))
    with pytest.raises(Unreachable):
        await town.pull()


@pytest.mark.parametrize("probe", [False, True])
async def test_lists_that_come_back_empty_are_not_believed(probe: bool) -> None:
    town = Town()
    await town.pull()
    alive = set(town.store.alive())
    town.change("empty")
    for _ in range(3):
        town.store.notes.clear()
        with contextlib.suppress(Malformed):
            await town.pull(probe=probe, full=probe)
        assert any("leave out posts" in note for note in town.store.notes)
    assert set(town.store.alive()) == alive
    town.change("fill")
    await town.pull()
    town.check()


@pytest.mark.parametrize(
    ("close", "open"), [("lose_permission", "regain_permission"), ("delete_group", "restore_group")]
)
@pytest.mark.parametrize("full", [False, True])
async def test_closed_is_an_answer(close: str, open: str, full: bool) -> None:
    """A group that refuses while its community answers was closed or deleted by its admin (4.3)."""
    town = Town()
    await town.pull()
    town.change(close, group=1)
    await town.pull(full=full, probe=full)
    assert town.store.rows["group/1"].gone and not town.store.rows["group/2"].gone
    assert any("group/1 is closed or deleted" in note for note in town.store.notes)
    notes = len(town.store.notes)
    await town.pull()
    assert len(town.store.notes) == notes or "group/1 is closed" not in town.store.notes[-1]
    town.change(open, group=1)
    # The core buries what is in a space together with it; here the memory store is helped to.
    for row in town.store.rows.values():
        if row.scope.endswith("@group/1"):
            row.gone, row.digest, row.token = True, None, None
    await town.pull()
    town.check()


@pytest.mark.parametrize("full", [False, True])
async def test_lost_permission_is_no_absence(full: bool) -> None:
    """Where what is above refuses too, nobody can tell a closed group from a closed door (4.3)."""
    town = Town()
    await town.pull()
    alive = set(town.store.alive())
    town.change("community_access", community=1)
    town.change("domain_access")
    for _ in range(2):
        await town.pull(full=full, probe=full)
        assert set(town.store.alive()) == alive
    assert any("group/1 may not be read" in note for note in town.store.notes)
    town.change("community_access", community=1, access=0)
    town.change("domain_access", access=0)
    await town.pull()
    town.check()


async def test_a_closed_community_is_told_by_the_domain() -> None:
    town = Town()
    await town.pull()
    town.change("community_access", community=2, access=2)
    await town.pull()
    assert town.store.rows["community/2"].gone and not town.store.rows["community/1"].gone
    # Its groups cannot be told from lost ones by themselves: they go with it.
    assert not town.store.rows["group/12"].gone
    town.change("community_access", community=2, access=0)
    await town.pull()
    town.check()
    assert "community/2" in town.store.alive()


async def test_lost_permission_of_a_configured_group_is_named_and_the_others_are_read() -> None:
    town = Town()
    await town.pull(groups=[1, 12])
    town.change("community_access", community=1)
    new = town.change("add_proposal", title="Ný", group=12)
    await town.pull(groups=[1, 12])
    assert "group/1 may not be read" in " ".join(town.store.notes)
    assert f"proposal/{new}" in town.store.alive()
    assert not any(row.gone for row in town.store.rows.values())


async def test_lost_permission_of_all_configured_groups_is_an_error() -> None:
    town = Town()
    await town.pull(groups=[1, 2])
    town.change("community_access", community=1)
    with pytest.raises(NotAllowed, match="group/1, group/2"):
        await town.pull(groups=[1, 2])
    assert not any(row.gone for row in town.store.rows.values())


async def test_a_configured_group_that_was_closed_is_gone_and_no_error() -> None:
    town = Town()
    await town.pull(groups=[1, 12])
    town.change("lose_permission", group=1)
    for _ in range(2):
        await town.pull(groups=[1, 12])
        assert "group/1 is closed or deleted" in town.store.notes[-1]
    assert town.store.rows["group/1"].gone and "group/12" in town.store.alive()


async def test_a_space_that_is_not_there_is_an_error() -> None:
    town = Town(20)
    with pytest.raises(NotFound, match="group/99"):
        await town.pull(spaces=["group/1", "group/99"])


async def test_the_domain_is_there_when_it_was_probed_before() -> None:
    """`check` probes, `sync` reads later: another reader, with the probe alone."""
    town = Town(20)
    async with reading(CONNECTOR, town.sandbox, clock=town.clock) as (reader, _):
        town.probe = await reader.probe()
    await town.pull()
    assert "domain/1" in town.store.alive()
    requests = town.requests
    await town.pull()
    assert town.requests < requests, "asked once"


async def test_arguments_of_posts_that_were_not_asked_are_neither_confirmed_nor_missing() -> None:
    """A blocked argument changes no counter (2): only who asks again may say anything."""
    town = Town()
    await town.pull()
    comment = next(iter(town.public("comments")))
    town.change("hide_comment", id=comment)
    town.clock.advance(10)
    shown: set[str] = set()
    silent: set[str] = set()
    async with reading(CONNECTOR, town.sandbox, clock=town.clock) as (reader, _):
        async for page in reader.pull(PullRequest(probe=town.probe, stored=town.store)):
            shown |= {*(item.ref for item in page.items), *page.present}
            silent |= set(page.silent)
    points = set(town.store.alive("point"))
    assert silent == points and not shown & points


async def test_a_thread_of_blocked_arguments_is_asked_again_after_half_the_age_that_is_allowed() -> None:
    town = Town(60)
    own = next(own for own, row in town.public().items() if row["comments"])
    mine = [row["id"] for row in town.public("comments").values() if row["target"] == f"proposal/{own}"]
    for each in mine:
        town.change("hide_comment", id=each)
    await town.pull()
    town.check()
    for each in mine:
        town.change("restore_comment", id=each)
    await town.pull()
    assert not any(f"point/{each}" in town.store.alive() for each in mine)
    town.clock.advance(12 * 3600)
    await town.pull()
    town.check()


async def test_a_debate_that_is_hidden_takes_its_arguments_along_and_brings_them_back() -> None:
    town = Town(60)
    await town.pull()
    town.change("configure", group=1, hideDebate=True)
    await town.pull()
    town.check()
    town.change("configure", group=1, hideDebate=False)
    await town.pull()
    town.check()


async def test_login_page_instead_of_everything() -> None:
    town = Town(60)
    await town.pull()
    alive = set(town.store.alive())
    town.change("login_page")
    with pytest.raises(Malformed, match="robot"):
        await town.pull()
    assert set(town.store.alive()) == alive


async def test_a_deletion_between_two_pages_skips_nothing() -> None:
    walked_again = 0
    for after in range(9, 17):
        town = Town(SIZE)
        # Without the worker's feed, only the walk itself can notice.
        town.sandbox.database.activities_of.clear()
        first = town.one(official_status=0)
        town.sandbox.schedule(after, "delete", id=first)
        await town.pull()
        posts = town.sandbox.database.posts
        public = {own for own, row in town.public().items() if posts[int(own)]["official_status"] in {0, 1, -1, 2, -2}}
        assert {f"proposal/{own}" for own in public} <= set(town.store.alive("proposal"))
        walked_again += sum(
            "groups/1/posts/oldest/null/open?offset=0&randomSeed" in line for line in town.sandbox.stats.log
        )
    assert walked_again


async def test_still_there() -> None:
    town = Town()
    await town.pull()
    hidden, there = town.one(official_status=0), town.one(official_status=2)
    by_post: dict[str, list[str]] = {}
    for own, row in town.public("comments").items():
        by_post.setdefault(row["target"], []).append(own)
    comment, kept = next(ids for target, ids in by_post.items() if len(ids) > 1 and target != f"proposal/{hidden}")[:2]
    town.clock.advance(10)
    async with reading(CONNECTOR, town.sandbox, clock=town.clock) as (reader, _):
        await pull(reader, town.store, probe=town.probe)
        town.change("hide", id=hidden)
        town.change("delete_comment", id=comment)
        refs = [f"proposal/{hidden}", f"proposal/{there}", "proposal/999999", f"point/{comment}", f"point/{kept}"]
        answer = next(iter(town.store.alive("status_change")))
        refs += ["group/1", "group/7", "category/1", "category/999", answer, "status_change/99999", "community/1"]
        found = await reader.still_there(refs)
        expected = [False, True, None, False, True, True, None, True, None, True, None, True]
        assert [found[ref] for ref in refs] == expected
        town.change("retract_answer", id=answer.partition("/")[2])
        assert (await reader.still_there([answer]))[answer] is False
        town.change("remove_category", id=1)
        assert (await reader.still_there(["category/1"]))["category/1"] is False
        town.change("lose_permission", group=1)
        closed = [f"proposal/{hidden}", f"proposal/{there}", f"point/{kept}", "group/1", "category/1"]
        assert set((await reader.still_there(closed)).values()) == {False}
        town.change("community_access", community=1)
        assert (await reader.still_there(["community/1"]))["community/1"] is False
        assert set((await reader.still_there(closed)).values()) == {None}
        town.change("domain_access")
        assert (await reader.still_there(["community/1"]))["community/1"] is None


async def test_still_there_is_told_in_a_run_that_read_nothing_of_it() -> None:
    """What waits for a verdict may be of a run long ago, or of one that was interrupted."""
    town = Town()
    await town.pull()
    refs = [next(iter(town.store.alive(kind))) for kind in ("proposal", "point", "status_change", "category", "group")]
    town.clock.advance(10)
    async with reading(CONNECTOR, town.sandbox, clock=town.clock) as (reader, _):
        async for _ in reader.pull(PullRequest(probe=town.probe, stored=town.store)):
            break
        assert set((await reader.still_there(refs)).values()) == {True}
        town.change("lose_permission", group=1)
        assert (await reader.still_there(refs))[refs[0]] is False


def _everything(store: MemoryStore) -> str:
    records = [row.record for row in store.rows.values() if row.record] + list(store.children.values())
    return json.dumps([record.model_dump(mode="json") for record in records], ensure_ascii=False)


async def test_private_data_never_arrives() -> None:
    town = Town()
    tokens = town.sandbox.plant_private_data()
    await town.pull()
    stored = _everything(town.store)
    assert tokens and not any(token in stored for token in tokens)


async def test_private_data_is_not_kept_in_quarantine_either() -> None:
    town = Town(60)
    town.sandbox.plant_private_data()
    broken = town.one(official_status=0)
    comment = next(own for own, row in town.public("comments").items() if row["target"] != f"proposal/{broken}")
    town.sandbox.database.posts[int(broken)]["description"] = {"not": "a text"}
    town.sandbox.database.points[int(comment)]["value"] = "1"
    raws: list[Mapping[str, Any]] = []

    class Keeping(MemoryStore):
        async def apply(self, page: Page, reader: Any = None) -> None:
            raws.extend(item.kept() for item in page.items)
            await super().apply(page, reader)

    town.store = Keeping(twice=False)
    await town.pull()
    assert {ref for ref, _, _ in town.store.quarantine} == {f"proposal/{broken}", f"point/{comment}"}
    assert b"priv9f3a" not in msgspec.json.encode(raws)
    # What is in quarantine can be mapped again from what was kept.
    async with reading(CONNECTOR, town.sandbox, clock=town.clock) as (_, context):
        ref, _, raw = next(one for one in town.store.quarantine if one[0].startswith("proposal/"))
        assert CONNECTOR.remap is not None
        record = CONNECTOR.remap(context, ref, {**raw, "description": "nú texti"})[0]
        assert isinstance(record, Proposal) and record.texts[0].plain == "nú texti"


async def test_pull_goes_through_the_bot_filter_and_keeps_one_session() -> None:
    town = Town(60)
    await town.pull()
    assert len(town.sandbox.sessions) == 1
    assert 200 in town.sandbox.stats.statuses and 500 not in town.sandbox.stats.statuses


async def test_what_is_not_your_priorities_is_said_so() -> None:
    town = Town(10)
    town.sandbox.plant(Fault("500", "api/domains", times=None, status=404))
    with pytest.raises(NotThisPlatform):
        await town.pull()
    town.sandbox.plant(Fault("500", "api/domains", times=None))
    with pytest.raises(Unreachable, match="host name"):
        await town.pull()
    town.sandbox.plant(Fault("html_200", "api/domains", times=None))
    with pytest.raises(Malformed, match="robot"):
        await town.pull()
