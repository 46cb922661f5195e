"""What a CONSUL may send and should not: each is told, hides nothing else, ends, and makes nothing of ours go."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from civicsync.connectors.consul import light_sweep
from civicsync.connectors.consul.api import Api
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.messages import Request, Response
from tests.support.altered import City, alias, each

ERROR = {"message": "Cannot return null for non-nullable field Proposal.id", "path": ["p0", "nodes", 0, "id"]}


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City("consul", tmp_path, comments_each=2.0)


def nodes(data: Any, name: str, document: str) -> list[list[Any]]:
    """The lists of rows of this collection in an answer."""
    found: list[list[Any]] = []
    inner = (data or {}).get("data") or {}
    for one in (*alias(document, name), name):
        connection = inner.get(one)
        if isinstance(connection, dict) and isinstance(connection.get("nodes"), list):
            found.append(connection["nodes"])
    return found


def test_a_row_that_the_server_fails_on_is_named_and_hides_nothing(city: City) -> None:
    city.pull()
    before = {kind: city.alive(kind) for kind in ("proposal", "debate", "investment", "comment")}

    def spoil(request: Request, document: str, data: Any) -> None:
        for rows in nodes(data, "proposals", document):
            if rows:
                rows[0] = None
                data["errors"] = [ERROR]

    city.change = spoil
    for _ in range(3):
        outcome = city.pull(full=True)
        assert (outcome.outcome, outcome.failed) == ("incomplete", True)
        assert "proposals: the server fails on" in outcome.message
        assert {kind: city.alive(kind) for kind in before} == before
    city.change = None
    assert city.pull(full=True).outcome == "done"


@pytest.mark.parametrize("part", ["comments", "debates", "geozones", "budgets"])
def test_a_list_that_fails_is_named_and_the_rest_is_read(tmp_path: Path, part: str) -> None:
    whole = City("consul", tmp_path / "whole")
    whole.pull()
    kinds = {"debates": "debate", "comments": "comment"}
    expected = {kind: whole.alive(kind) for kind in ("proposal", "debate", "investment", "comment")}
    city = City("consul", tmp_path / "broken")

    def fail(request: Request, document: str, data: Any) -> Response | None:
        probing = "query Extras" in document
        asked = f"{part}(" in document or f"{part}{{" in document
        return Response.json({"status": 500, "error": "Internal Server Error"}, 500) if asked and not probing else None

    city.change = fail
    for _ in range(2):
        outcome = city.pull()
        assert outcome.outcome == "incomplete" and outcome.failed, outcome
        assert part in outcome.message
    hidden = {kinds.get(part), "comment"} if part != "comments" else {"comment"}
    for kind, there in expected.items():
        if kind not in hidden and not (part == "budgets" and kind == "investment"):
            assert city.alive(kind) == there, kind
    city.change = None
    assert city.pull(full=True).outcome == "done"
    assert {kind: city.alive(kind) for kind in expected} == expected


@pytest.mark.parametrize("kind", ["light", "records", "comments", "thread"])
@pytest.mark.parametrize("how", ["empty page with a next one", "the same page for ever"])
def test_a_list_that_does_not_go_on_ends_with_a_word(tmp_path: Path, kind: str, how: str) -> None:
    city = City("consul", tmp_path, comments_each=2.0)
    city.pull()
    marks = {
        "light": "cachedVotesUp commentsCount retiredAt}",
        "records": "summary",
        "comments": "comments(first",
        "thread": "CommentsOf",
    }
    kept: dict[str, Any] = {}

    def endless(request: Request, document: str, data: Any) -> None:
        if marks[kind] not in document:
            return
        for name, connection in data["data"].items():
            connection = connection if kind != "thread" else (connection or {}).get("comments")
            if isinstance(connection, dict) and "pageInfo" in connection:
                connection["pageInfo"]["hasNextPage"] = True
                if how == "empty page with a next one":
                    connection["nodes"] = []
                else:
                    connection["nodes"] = kept.setdefault(name if kind == "thread" else kind, connection["nodes"])

    alive = city.alive(), city.alive("comment")
    city.change = endless
    outcome = city.pull(full=True)
    if kind != "thread":
        assert outcome.failed and "the list does not go on" in outcome.message, outcome
    assert city.asked < 120
    assert (city.alive(), city.alive("comment")) == alive


@pytest.mark.parametrize("count", [2**40, 2**62])
def test_comments_that_nobody_wrote_are_not_counted_to(city: City, count: int) -> None:
    """A thread's pages are followed, not written down beforehand: as many as a platform claims fill any memory."""
    city.pull()
    alive = city.alive("comment")

    def claim(request: Request, document: str, data: Any) -> None:
        each(data, lambda node: node.update(commentsCount=count) if node.get("commentsCount") else None)

    city.change = claim
    for full in (False, True):
        before = city.asked
        outcome = city.pull(full=full)
        assert "memory" not in outcome.message and "mistake" not in outcome.message, outcome
        assert city.asked - before < 300
    assert city.alive("comment") == alive


def test_no_list_is_no_empty_list(city: City) -> None:
    city.pull()
    alive = {kind: city.alive(kind) for kind in ("proposal", "debate", "investment", "comment")}

    def empty(request: Request, document: str, data: Any) -> None:
        if "query Pages" in document:
            for connection in data["data"].values():
                if isinstance(connection, dict) and "nodes" in connection:
                    connection["nodes"] = None

    city.change = empty
    for _ in range(3):
        outcome = city.pull(full=True)
        assert outcome.failed, outcome
    assert {kind: city.alive(kind) for kind in alive} == alive


ODD: dict[str, dict[str, Any]] = {
    "a time of year 1": {"publicCreatedAt": "0001-01-01 00:00:00 +0200"},
    "a time of year 9999": {"publicCreatedAt": "9999-12-31T23:59:59-05:00"},
    "a counter of 2^70": {"cachedVotesUp": 2**70},
    "a counter of 3.5": {"cachedVotesUp": 3.5},
    "a number for a title": {"title": 5},
    "a list for a body": {"description": [1]},
    "a far area": {"geozoneId": {"id": 1}},
    "a superscript": {"geozoneId": "²"},
    "a text for a counter": {"commentsCount": "x"},
}


@pytest.mark.parametrize("what", list(ODD))
def test_a_record_with_an_odd_value_goes_to_quarantine_and_nothing_else(
    engine: Engine, tmp_path: Path, what: str
) -> None:
    city = City("consul", tmp_path, engine)
    city.pull()
    everything = city.alive()
    victim = sorted(city.alive(), key=int)[0]

    def odd(request: Request, document: str, data: Any) -> None:
        def change(node: dict[str, Any]) -> None:
            if str(node.get("id")) == victim and "publicCreatedAt" in node and "summary" in node:
                node.update(ODD[what])

        each(data, change)

    city.change = odd
    outcome = city.pull(full=True)
    assert outcome.outcome == "done", outcome
    assert list(city.quarantined()) == [f"proposal/{victim}"]
    assert city.alive() == everything
    city.change = None
    assert city.pull(full=True).outcome == "done" and not city.quarantined()


def test_an_amount_beyond_64_bits_goes_to_quarantine(engine: Engine, tmp_path: Path) -> None:
    city = City("consul", tmp_path, engine)

    def odd(request: Request, document: str, data: Any) -> None:
        each(data, lambda node: node.update(price="100000000000000000000") if "price" in node else None)

    city.change = odd
    assert city.pull().outcome == "done"
    assert city.quarantined() and {each.split("/")[0] for each in city.quarantined()} == {"investment"}
    assert city.alive()


def test_nul_and_half_a_surrogate_are_replaced_in_both_databases(engine: Engine, tmp_path: Path) -> None:
    city = City("consul", tmp_path, engine)

    def odd(request: Request, document: str, data: Any) -> None:
        def change(node: dict[str, Any]) -> None:
            for name in ("title", "summary", "body", "name", "retiredReason", "feasibility", "phase"):
                if isinstance(node.get(name), str):
                    node[name] = f"{node[name]}\0 \ud83d"

        each(data, change)

    city.change = odd
    assert city.pull().outcome == "done"
    titles = [title for (title,) in city.rows("SELECT title FROM proposals WHERE kind = 'proposal'")]
    assert titles and {title[-3:] for title in titles if title} == {"\ufffd \ufffd"}


def test_a_row_without_a_number_is_one_note(city: City) -> None:
    city.pull()
    alive = city.alive(), city.alive("comment")

    def nameless(request: Request, document: str, data: Any) -> None:
        for name in ("proposals", "comments"):
            for rows in nodes(data, name, document):
                rows += [{"id": None, "cachedVotesUp": 1, "commentableType": "Proposal"}] if rows else []

    city.change = nameless
    outcome = city.pull(full=True)
    assert outcome.outcome == "done", outcome
    assert len([note for note in outcome.notes if "no number" in note]) <= 1
    assert (city.alive(), city.alive("comment")) == alive


def test_what_cannot_be_told_of_single_records_is_not_gone(city: City) -> None:
    """A question that is answered with an error, a list or another record is no answer."""
    city.pull()
    victim = sorted(city.alive(), key=int)[0]

    for instead in ([], "x", {"id": "999999"}, 5):

        def hide(request: Request, document: str, data: Any, instead: Any = instead) -> None:
            for rows in nodes(data, "proposals", document):
                rows[:] = [row for row in rows if str(row["id"]) != victim]
            for one in alias(document, f'proposal\\(id:"{victim}"\\)'):
                data["data"][one] = instead

        city.change = hide
        for _ in range(2):
            city.pull(full=True)
            assert victim in city.alive()


def test_29_february(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    city = City("consul", tmp_path)
    city.clock.advance((datetime(2028, 2, 29, 12, tzinfo=UTC) - city.clock.now()).total_seconds())
    assert city.pull().outcome == "done"
    assert city.alive() and city.pull().outcome == "done"


@pytest.mark.parametrize(
    "answer",
    [[], {"release": 5}, {"release": "2.5.1", "features": []}, {"release": "2.5.1", "features": {"proposals": []}}],
)
def test_an_odd_table_of_contents_is_declared(tmp_path: Path, answer: Any) -> None:
    city = City("consul", tmp_path)
    city.change = lambda request, document, data: Response.json(answer) if request.path == "/consul.json" else None
    outcome = city.pull()
    assert outcome.outcome in {"done", "failed"} and (outcome.outcome == "done" or "consul.json" in outcome.message)


def test_only_null_is_the_word_for_gone() -> None:
    api = Api.__new__(Api)
    api.broken = set()
    from civicsync.connectors.consul.dialects import DIALECTS

    found: dict[str, dict[str, Any] | None] = {}
    for own, rows in (
        ("1", {"r0": None}),
        ("2", {"r0": {"id": "2"}}),
        ("3", {"r0": []}),
        ("4", {}),
        ("5", None),
        ("6", {"r0": {"id": "7"}}),
    ):
        api._take(found, own, rows, 0, DIALECTS["C"], f"proposal/{own}")  # pyright: ignore[reportPrivateUsage]
    assert found == {"1": None, "2": {"id": "2"}}
    assert api.broken == {"proposal/3", "proposal/4", "proposal/5", "proposal/6"}


def some(city: City, kind: str = "proposal") -> list[str]:
    """The ids of what is public, supported, and was not retired."""
    rows = [row for row in city.site.truth()["proposals"] if row["public"] and row["kind"] == kind]
    return [row["id"] for row in rows if row["supports"]]


@pytest.mark.parametrize("what", ["milestones", "retiredExplanation"])
def test_what_a_second_question_fails_on_stays_as_it_is_known(city: City, what: str) -> None:
    own = some(city)[0]
    for step in range(8):
        city.site.change("milestone", id=own, title=f"Stap {step}")
    city.site.change("retire", id=own)
    city.pull()
    look = (
        f"SELECT p.native_state, count(*) FROM proposals p JOIN answer a ON a.target_key = 'toy/proposal/{own}' "
        f"WHERE p.kind = 'proposal' AND p.remote_id = '{own}' AND a.gone_at IS NULL"
    )
    before = city.rows(look)
    assert before == [("retired: done: Klaar.", 8)]

    def fail(request: Request, document: str, data: Any) -> Response | None:
        asked = re.search(rf'proposal\(id:"{own}"\)\{{id {what}', document)
        return Response.text("no", 500) if asked else None

    city.change = fail
    city.site.change("support", id=own)
    city.site.change("edit", id=own, title="Anders")
    for full in (False, True):
        outcome = city.pull(full=full)
        assert outcome.outcome == "incomplete" and f"proposal/{own}: the server fails on it" in outcome.message, outcome
        assert city.rows(look) == before
    city.change = None
    assert city.pull().outcome == "done"
    assert city.rows(f"SELECT title FROM proposals WHERE kind = 'proposal' AND remote_id = '{own}'") == [("Anders",)]


def test_of_what_is_new_a_part_is_shown_though_a_second_question_fails(city: City) -> None:
    own = some(city)[0]
    city.site.change("retire", id=own)
    city.change = lambda request, document, data: (
        Response.text("no", 500) if "{id retiredExplanation" in document else None
    )
    assert city.pull().outcome == "incomplete"
    assert own in city.alive()
    city.change = None
    city.pull(full=True)
    found = city.rows(f"SELECT native_state FROM proposals WHERE kind = 'proposal' AND remote_id = '{own}'")
    assert found == [("retired: done: Klaar.",)]


@pytest.mark.parametrize("between", ["another space", "a list that fails"])
def test_threads_that_are_left_are_not_forgotten_by_a_run_that_does_not_come_to_them(city: City, between: str) -> None:
    city.pull()
    own, debate = some(city)[0], some(city, "debate")[0]
    made = str(city.site.change("comment", id=own))
    thread = f'proposal(id:"{own}"){{comments'
    city.change = lambda request, document, data: Response.text("no", 500) if thread in document else None
    assert city.pull().outcome == "incomplete"
    city.site.change("comment", id=debate, kind="debate")
    if between == "another space":
        city.change = None
        city.pull(spaces=("section/debates",))
    else:
        city.change = lambda request, document, data: (
            Response.text("no", 500) if "query Pages" in document and ":proposals(" in document else None
        )
        assert city.pull().outcome == "incomplete"
        city.change = None
    assert made not in city.alive("comment")
    assert city.pull().outcome == "done"
    assert made in city.alive("comment")


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("what", ["comments", "id title"])
def test_a_gateway_that_gives_up_on_one_thing_hides_no_other(city: City, what: str, status: int) -> None:
    city.pull()
    bad, other = some(city)[:2]
    asked = f'proposal(id:"{bad}"){{{what}'
    city.change = lambda request, document, data: Response.text("no", status) if asked in document else None
    made = [str(city.site.change("comment", id=own)) for own in (bad, other)]
    city.site.change("edit", id=other, title="Anders")
    for _ in range(2):
        outcome = city.pull()
        assert outcome.outcome == "incomplete" and f"proposal/{bad}: the server fails on it" in outcome.message, outcome
    assert made[1] in city.alive("comment")
    assert city.rows(f"SELECT title FROM proposals WHERE kind = 'proposal' AND remote_id = '{other}'") == [("Anders",)]
    assert bad in city.alive()


def test_a_gateway_that_gives_up_on_what_is_due_again_leaves_the_rest_confirmed(city: City) -> None:
    city.pull()
    bad = some(city)[0]
    city.clock.advance(1)
    began = city.clock.now()
    asked = f'proposal(id:"{bad}"){{id title'
    city.change = lambda request, document, data: Response.text("no", 504) if asked in document else None
    outcomes = {city.pull().outcome for _ in range(26)}
    assert outcomes == {"done", "incomplete"}
    look = f"SELECT remote_id FROM proposal WHERE kind = 'proposal' AND confirmed_at < '{began:%Y-%m-%d %H:%M:%S.%f}'"
    assert city.rows(look) == [(bad,)]


def test_threads_in_a_row_that_fail_hide_no_other_for_more_than_a_run(city: City) -> None:
    """After three the rest is left; the next run begins with that, and not with the three."""
    city.pull()
    posts = some(city)
    bad, others = posts[:4], posts[4:]
    assert others
    asked = [f'proposal(id:"{own}"){{comments' for own in bad]
    city.change = lambda request, document, data: (
        Response.text("no", 500) if any(each in document for each in asked) else None
    )
    made = {own: str(city.site.change("comment", id=own)) for own in posts}
    for _ in range(2):
        outcome = city.pull()
        assert outcome.outcome == "incomplete" and "comments could not be read" in outcome.message, outcome
    assert {made[own] for own in others} <= city.alive("comment")
    city.change = None
    city.pull()
    assert set(made.values()) <= city.alive("comment")


@pytest.mark.parametrize("kind", ["reset", "hang"])
def test_a_part_that_breaks_the_connection_hides_nothing_behind_it(city: City, kind: str) -> None:
    city.site.plant(Fault(kind, body="debates", times=None))
    outcome = city.pull()
    assert outcome.outcome == "incomplete" and "debates could not be read" in outcome.message, outcome
    assert city.alive() and city.alive("investment") and city.alive("comment") and not city.alive("debate")
    city.site.plant()
    assert city.pull().outcome == "done" and city.alive("debate")


def test_a_site_that_breaks_every_connection_ends_the_run(city: City) -> None:
    city.pull()
    city.site.plant(Fault("reset", times=None))
    outcome = city.pull(full=True)
    assert outcome.outcome == "failed" and city.asked < 40, outcome


@pytest.mark.parametrize("how", ["a server error", "null with an error"])
@pytest.mark.parametrize("part", ["tags", "milestones", "budgets"])
def test_at_first_contact_a_list_that_fails_hides_nothing(tmp_path: Path, part: str, how: str) -> None:
    whole = City("consul", tmp_path / "whole", size=30)
    whole.pull()
    city = City("consul", tmp_path / "broken", size=30)

    def fail(request: Request, document: str, data: Any) -> Response | None:
        if "query Extras" not in document or part not in document:
            return None
        if how == "a server error":
            return Response.text("no", 500)
        data["data"][part] = None
        data["errors"] = [{"message": "wrong", "path": [part]}]
        return None

    city.change = fail
    outcome = city.pull()
    assert outcome.outcome == "done", outcome
    for kind in ("proposal", "debate", "investment", "comment"):
        assert city.alive(kind) == whole.alive(kind)
    look = "SELECT kind, remote_id, count(*) FROM categories GROUP BY kind, remote_id ORDER BY kind, remote_id"
    assert city.rows(look) == whole.rows(look)


SMALL = ", politeness: {max_response_mb: 1}"
TOO_MUCH = {
    "sent": (SMALL, b'{"data":"' + b"x" * 1_000_000 + b'"}'),
    "decoded": ("", b'{"data":[' + b"[]," * 900_000 + b"0]}"),
}


def whole_lists(asked: list[str], *names: str) -> list[str]:
    """The documents that ask for all of a collection at once, without a page."""
    return [document for document in asked if any(f"{name}:{name}{{" in document for name in names)]


@pytest.mark.parametrize("how", TOO_MUCH)
def test_a_list_that_is_more_than_one_answer_may_be_is_asked_for_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Up to 2.2.0 a list has no pages, and how long it is nobody knows before the first pull."""
    monkeypatch.setattr(light_sweep, "_PART", 5)
    healthy = City("consul", tmp_path / "healthy", version="2.1.1")
    healthy.pull()
    settings, body = TOO_MUCH[how]
    city = City("consul", tmp_path / "large", version="2.1.1", settings=settings)
    asked: list[str] = []

    def too_much(request: Request, document: str, data: Any) -> Response | None:
        asked.append(document)
        return Response(200, [("Content-Type", "application/json")], body) if whole_lists([document], *LISTS) else None

    city.change = too_much
    for full in (False, True, False):
        asked.clear()
        outcome = city.pull(full=full)
        assert outcome.outcome == "done", outcome
        for kind in ("proposal", "debate", "comment"):
            assert city.alive(kind) == healthy.alive(kind)
        assert [len(whole_lists(asked, name)) <= 1 for name in LISTS] == [True] * len(LISTS), "once in a run"
    # In parts it is swept until two sweeps agree, and what went is told.
    gone = sorted(city.alive(), key=int)[-1]
    city.site.change("hide", id=gone)
    assert [city.pull().outcome for _ in range(2)] == ["done", "done"]
    assert gone not in city.alive() and len(city.alive()) == len(healthy.alive()) - 1


@pytest.mark.parametrize(("status", "outcome"), [(504, "done"), (502, "failed")])
def test_a_list_that_takes_longer_than_a_gateway_waits_is_asked_for_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, outcome: str
) -> None:
    monkeypatch.setattr(light_sweep, "_PART", 5)
    healthy = City("consul", tmp_path / "healthy", version="2.1.1")
    healthy.pull()
    city = City("consul", tmp_path / "slow", version="2.1.1")
    city.change = lambda request, document, data: (
        Response.text("too late", status) if whole_lists([document], *LISTS) else None
    )
    assert city.pull().outcome == outcome
    if status == 504:
        assert city.alive("comment") == healthy.alive("comment")
        assert city.alive() == healthy.alive()


LISTS = ("proposals", "debates", "geozones", "comments")


@pytest.mark.parametrize("kind", ["comment", "vote"])
def test_a_list_that_is_known_to_be_long_is_not_asked_for_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Also where single ones are looked for in it."""
    city = City("consul", tmp_path, version="2.1.1", settings=", votes: true")
    city.pull()
    monkeypatch.setattr(light_sweep, "WHOLE", 5)
    monkeypatch.setattr(light_sweep, "_PART", 50)
    asked: list[str] = []
    city.change = lambda request, document, data: asked.append(document)
    if kind == "vote":
        gone = str(next(row.id for row in city.site.interface.visible("votes")))
        city.site.change("unvote", id=gone)
    else:
        # Another one is written in its place: no number tells it, and it is found when it is asked for again.
        [(gone, thread)] = city.rows(
            "SELECT remote_id, target_key FROM comment WHERE target_key LIKE '%/proposal/%' LIMIT 1"
        )
        city.site.change("hide_comment", id=gone)
        city.site.change("comment", id=thread.rpartition("/")[2])
    for _ in range(27):
        city.pull()
    assert gone not in {row[0] for row in city.rows(f"SELECT remote_id FROM {kind} WHERE gone_at IS NULL")}
    assert any(f":{kind}s(first:50)" in document for document in asked), "it was looked for in parts"
    assert not whole_lists(asked, f"{kind}s")
