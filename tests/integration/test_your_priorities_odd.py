"""What a Your Priorities may send and should not: each is told, hides nothing else, ends, and makes nothing of ours go."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from civicsync.connectors.testing.messages import Request, Response
from tests.support.altered import City, each

KINDS = ("proposal", "point")


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City("your-priorities", tmp_path)


def there(city: City) -> dict[str, set[str]]:
    return {kind: city.alive(kind) for kind in KINDS}


@pytest.mark.parametrize("status", [500, 403, 503])
def test_a_group_that_fails_is_named_and_the_others_are_read(tmp_path: Path, status: int) -> None:
    whole = City("your-priorities", tmp_path / "whole")
    whole.pull()
    groups = dict(whole.rows("SELECT remote_id, space_key FROM proposals WHERE gone_at IS NULL"))
    assert len(set(groups.values())) > 1
    victim = sorted(set(groups.values()))[0].rpartition("/")[2]
    city = City("your-priorities", tmp_path / "broken")

    def fail(request: Request, path: str, data: Any) -> Response | None:
        return Response.text("no", status) if path == f"/api/groups/{victim}/posts/oldest/null/open" else None

    city.change = fail
    for _ in range(2):
        outcome = city.pull()
        assert (outcome.outcome, outcome.failed) == ("incomplete", True), outcome
        assert f"group/{victim} could not be read" in outcome.message
        assert city.alive() == {own for own, group in groups.items() if not group.endswith(f"/{victim}")}
    city.change = None
    city.pull()
    assert city.alive() == set(groups)


@pytest.mark.parametrize(
    ("named", "refuses"),
    [("groups: [999, 1, 12]", "group/999"), ("groups: [12, 1]", "group/12"), ("communities: [2, 1]", "community/2")],
)
def test_what_is_named_and_refuses_is_told_and_the_others_are_read_and_judged(
    tmp_path: Path, named: str, refuses: str
) -> None:
    """Never there, or lost: it keeps nothing else as it was, and nothing in it goes."""
    city = City("your-priorities", tmp_path, size=60, settings=f", {named}")
    city.pull()
    elsewhere = "SELECT remote_id FROM proposals WHERE space_key = 'toy/group/12' AND gone_at IS NULL"
    before = city.rows(elsewhere)
    assert before
    if refuses != "group/999":
        city.site.change("community_access", community=2)
        city.site.change("domain_access")
    new = str(city.site.change("add_proposal", title="Nýtt", group=1))
    argument = next(iter(of_posts(city).values()))
    city.site.change("hide_comment", id=argument)
    for _ in range(26):
        outcome = city.pull()
        assert (outcome.outcome, outcome.failed) == ("incomplete", True), outcome
        assert refuses in outcome.message and new in city.alive()
    assert argument not in city.alive("point")
    assert city.rows(elsewhere) == before


def test_beside_a_named_group_that_refuses_another_one_that_was_closed_goes(tmp_path: Path) -> None:
    """Closed is an answer: then not all of them refuse."""
    city = City("your-priorities", tmp_path, settings=", groups: [1, 999]")
    city.pull()
    assert city.alive()
    city.site.change("lose_permission", group=1)
    for _ in range(2):
        outcome = city.pull()
        assert outcome.outcome == "incomplete" and "group/999" in outcome.message, outcome
    assert not city.alive()


def test_a_community_that_fails_is_named_and_the_others_are_read(city: City) -> None:
    city.pull()
    before = there(city)
    [first, *others] = [
        row[0] for row in city.rows("SELECT remote_id FROM spaces WHERE kind = 'community' ORDER BY remote_id")
    ]
    assert others

    for answer in (
        Response.text("no", 500),
        Response.json({"id": int(first), "Groups": None}),
        Response.json([]),
        Response.json(None),
    ):
        city.change = lambda request, path, data, answer=answer: answer if path == f"/api/communities/{first}" else None
        for _ in range(2):
            outcome = city.pull()
            assert outcome.outcome == "incomplete" and f"community/{first} could not be read" in outcome.message, (
                outcome
            )
            assert there(city) == before


def test_many_groups_in_a_row_that_fail_hide_no_other(city: City) -> None:
    """Whether it is they or the whole server is asked."""
    city.pull()
    groups = sorted({row[0].rpartition("/")[2] for row in city.rows("SELECT space_key FROM proposals")}, key=int)
    city.change = lambda request, path, data: (
        Response.text("no", 500) if path in {f"/api/groups/{own}" for own in groups[:-1]} else None
    )
    before = there(city)
    outcome = city.pull(full=True)
    assert outcome.failed and there(city) == before
    assert outcome.outcome == "incomplete" or len(groups) == 1


@pytest.mark.parametrize("part", ["posts", "feed"])
def test_a_list_behind_a_cache_that_ignores_what_is_asked_ends_with_a_word(tmp_path: Path, part: str) -> None:
    city = City("your-priorities", tmp_path, size=60)
    city.pull()
    before = there(city)
    first: dict[str, Any] = {}

    def cached(request: Request, path: str, data: Any) -> Response | None:
        if part == "posts" and "/null/" in path:
            kept = first.setdefault(path, data)
            # As long as a page is full and the total is not reached there is a next one.
            full = (kept["posts"] * 20)[:20]
            return Response.json({"posts": full, "totalPostsCount": 10_000}) if full else None
        if part == "feed" and "/api/activities/groups/" in path:
            kept = first.setdefault(path, data)
            return Response.json(kept)
        return None

    city.change = cached
    outcome = city.pull(full=True)
    assert outcome.failed and "the list does not go on" in outcome.message, outcome
    assert city.asked < 400
    assert there(city) == before


@pytest.mark.parametrize("odd", [None, 5, "x", [], {}, {"id": None}, {"id": "²"}])
def test_an_element_that_is_nothing_is_one_note_and_nothing_goes_for_it(city: City, odd: Any) -> None:
    city.pull()
    before = there(city)

    def spoil(request: Request, path: str, data: Any) -> None:
        if "/posts/oldest/" in path and data["posts"]:
            data["posts"][0] = odd
        if path.endswith("/newPoints") and data:
            data[0] = odd
        if path.startswith("/api/activities/") and data["activities"]:
            data["activities"][0] = odd
        if isinstance(data, dict) and isinstance(data.get("group"), dict) and data["group"].get("Categories"):
            data["group"]["Categories"][0] = odd

    city.change = spoil
    for _ in range(2):
        outcome = city.pull(full=True)
        assert len([note for note in outcome.notes if "no number" in note]) == 1, outcome
        assert outcome.outcome in {"done", "incomplete"}
        assert there(city) == before
        assert not city.rows("SELECT 1 FROM categories WHERE gone_at IS NOT NULL")


ODD: dict[str, dict[str, Any]] = {
    "a time of year 1": {"created_at": "0001-01-01T00:00:00+02:00"},
    "a time of year 9999": {"created_at": "9999-12-31T23:59:59-05:00"},
    "a counter of 2^70": {"counter_endorsements_up": 2**70},
    "votes of 3.5": {"counter_endorsements_up": 3.5},
    "a number for a name": {"name": 5},
    "a category that is none": {"category_id": [1]},
    "a group that is none": {"official_status": "²"},
}


@pytest.mark.parametrize("what", list(ODD))
def test_a_post_with_an_odd_value_goes_to_quarantine_and_nothing_else(
    engine: Engine, tmp_path: Path, what: str
) -> None:
    city = City("your-priorities", tmp_path, engine)
    city.pull()
    before = there(city)
    victim = sorted(city.alive(), key=int)[0]

    def odd(request: Request, path: str, data: Any) -> None:
        def change(node: dict[str, Any]) -> None:
            if str(node.get("id")) == victim and "counter_endorsements_up" in node and "official_status" in node:
                node.update(ODD[what])

        each(data, change)

    city.change = odd
    outcome = city.pull(full=True)
    assert outcome.outcome == "done", outcome
    assert list(city.quarantined()) == [f"proposal/{victim}"]
    assert there(city) == before


@pytest.mark.parametrize("where", [10**400, "1e999", [], {}, True, "\u00b2", None])
def test_a_place_that_is_none_is_no_place(city: City, where: Any) -> None:
    city.change = lambda request, path, data: each(
        data,
        lambda node: (
            node.update(location={"latitude": where, "longitude": 1}) if "counter_endorsements_up" in node else None
        ),
    )
    assert city.pull().outcome == "done"
    assert city.rows("SELECT DISTINCT latitude FROM proposals") in ([(None,)], [(1.0,)])


def test_null_with_status_200_is_not_the_word_for_gone(city: City) -> None:
    city.pull()
    before = there(city)
    victim = sorted(city.alive(), key=int)[0]

    for instead in (None, [], {"id": 999999}, "x"):

        def hide(request: Request, path: str, data: Any, instead: Any = instead) -> Response | None:
            if "/posts/oldest/" in path:
                data["posts"] = [post for post in data["posts"] if str(post["id"]) != victim]
            return Response.json(instead) if path == f"/api/posts/{victim}" else None

        city.change = hide
        for _ in range(2):
            city.pull(full=True)
            assert there(city) == before


@pytest.mark.parametrize(
    "domain", [None, [], {"domain_name": "x"}, {"domain_name": "x", "id": None}, {"domain_name": "x", "id": {}}]
)
def test_an_odd_start_is_declared(city: City, domain: Any) -> None:
    city.change = lambda request, path, data: Response.json({"domain": domain}) if path == "/api/domains" else None
    outcome = city.pull()
    assert outcome.outcome == "failed" and "Your Priorities" in outcome.message


def of_posts(city: City, group: int = 1) -> dict[str, str]:
    """The posts of a group that have arguments, each with one of these, in order of their numbers."""
    rows = city.rows(
        "SELECT p.remote_id, c.remote_id FROM comment c JOIN proposal p ON p.key = c.target_key WHERE c.gone_at IS NULL "
        f"AND c.parent_key IS NULL AND p.space_key = 'toy/group/{group}' ORDER BY cast(p.remote_id AS integer)"
    )
    return dict(rows)


def failing(posts: list[str], answer: Response | None = None) -> Any:
    """Alters answers: the arguments of these posts are a server error."""

    def change(request: Request, path: str, data: Any) -> Response | None:
        found = re.match(r"/api/posts/(\d+)/newPoints", path)
        return (answer or Response.text("no", 500)) if found and found[1] in posts else None

    return change


@pytest.mark.parametrize("count", [1, 4])
def test_beside_posts_that_fail_when_they_are_read_again_a_blocked_argument_goes(tmp_path: Path, count: int) -> None:
    city = City("your-priorities", tmp_path, size=40)
    city.pull()
    arguments = of_posts(city)
    bad, last = list(arguments)[:count], list(arguments)[-1]
    city.change = failing(bad)
    city.site.change("hide_comment", id=arguments[last])
    outcomes = [city.pull() for _ in range(26)]
    assert {each.outcome for each in outcomes} <= {"done", "incomplete"}
    assert "could not be read again" in outcomes[-1].message
    assert arguments[last] not in city.alive("point")
    assert {arguments[each] for each in bad} <= city.alive("point")


def test_a_site_that_answers_nothing_more_is_not_asked_for_all_that_is_due(tmp_path: Path) -> None:
    city = City("your-priorities", tmp_path, size=40)
    city.pull()
    city.clock.advance(30 * 3600)
    down = False

    def change(request: Request, path: str, data: Any) -> Response | None:
        nonlocal down
        down = down or "/newPoints" in path
        return Response.text("no", 500) if down else None

    city.change = change
    outcome = city.pull()
    assert outcome.outcome == "failed" and city.asked < 100, outcome


@pytest.mark.parametrize("since", ["the first pull", "a later one"])
def test_an_activity_with_a_time_to_come_does_not_end_the_feed(tmp_path: Path, since: str) -> None:
    city = City("your-priorities", tmp_path, size=40)
    when = "2027-06-01T00:00:00.000Z"

    def future(request: Request, path: str, data: Any) -> None:
        if path == "/api/activities/groups/1" and data["activities"]:
            before = (request.query.get("beforeDate") or [None])[-1]
            if before is None or before > when:
                other = {"id": 99999, "created_at": when, "PostStatusChange": None}
                data["activities"] = [copy.deepcopy(data["activities"][0]) | other, *data["activities"]][:20]

    if since == "a later one":
        city.pull()
    city.change = future
    city.pull()
    posts = [each["id"] for each in city.site.truth()["proposals"] if each["public"] and each["space"] == "group/1"]
    for _ in range(2):
        told = str(city.site.change("answer", id=posts[1], status=2))
        for _ in range(25):
            city.clock.advance(1)
            city.site.change("comment", id=posts[1])
        city.pull()
        assert city.rows(f"SELECT 1 FROM answer WHERE remote_id = '{told}' AND gone_at IS NULL")


def test_many_threads_in_a_row_that_fail_hide_no_other(tmp_path: Path) -> None:
    whole = City("your-priorities", tmp_path / "whole", size=30)
    whole.pull()
    bad = list(of_posts(whole))[:4]
    hidden = {
        row[0]
        for own in bad
        for row in whole.rows(f"SELECT remote_id FROM comment WHERE target_key = 'toy/proposal/{own}'")
    }
    city = City("your-priorities", tmp_path / "broken", size=30)
    city.change = failing(bad)
    outcome = city.pull()
    assert outcome.outcome == "incomplete" and f"proposal/{bad[0]}" in outcome.message, outcome
    assert city.alive("point") == whole.alive("point") - hidden
    city.change = None
    city.pull()
    assert city.alive("point") == whole.alive("point")


@pytest.mark.parametrize("full", [False, True])
def test_a_post_that_was_moved_into_a_group_of_a_closed_community_is_gone(full: bool, tmp_path: Path) -> None:
    city = City("your-priorities", tmp_path)
    city.pull()
    city.site.change("move_post", id=12, group=11)
    for turn in range(30):
        city.pull(full=full and turn == 0)
    assert "12" not in city.alive()
    assert not city.rows("SELECT 1 FROM comment WHERE target_key = 'toy/proposal/12' AND gone_at IS NULL")
