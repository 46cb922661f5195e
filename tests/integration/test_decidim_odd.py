"""What a Decidim may send and should not: each is told, hides nothing else, ends, and makes nothing of ours go."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from civicsync.connectors.decidim import CONNECTOR
from civicsync.connectors.decidim.api import doubtful
from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.messages import Request, Response
from civicsync.core.clock import FakeClock
from tests.support.altered import City, each

KINDS = ("proposal", "project", "debate", "comment")
ODD_ERROR = "Cannot return null for non-nullable field Proposal.title"


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City("decidim", tmp_path)


def there(city: City) -> dict[str, set[str]]:
    return {kind: city.alive(kind) for kind in KINDS}


def at(place: int) -> str:
    return urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def component(data: Any) -> dict[str, Any]:
    found = (data or {}).get("data") or {}
    inner = found.get("component")
    return inner if isinstance(inner, dict) else {}


def nulled(victim: str, *, path: bool, code: str | None = None) -> Callable[[Request, str, Any], None]:
    """Every list and every question gives null for this proposal, with an error."""

    def change(request: Request, document: str, data: Any) -> None:
        found = component(data)
        error: dict[str, Any] = {"message": ODD_ERROR}
        error |= {"extensions": {"code": code}} if code else {}
        listed = found.get("proposals")
        for place, node in enumerate((listed or {}).get("nodes") or ()):
            if isinstance(node, dict) and str(node.get("id")) == victim:
                listed["nodes"][place] = None
                where = {"path": ["component", "proposals", "nodes", place, "title"]} if path else {}
                data.setdefault("errors", []).append({**error, **where})
        for alias, node in list(found.items()):
            if alias.startswith("r") and isinstance(node, dict) and str(node.get("id")) == victim:
                found[alias] = None
                data.setdefault("errors", []).append({**error, **({"path": ["component", alias]} if path else {})})

    return change


@pytest.mark.parametrize(("version", "path"), [("0.32", True), ("0.32", False), ("0.28.6", False)])
def test_null_beside_another_error_is_not_hidden(tmp_path: Path, version: str, path: bool) -> None:
    city = City("decidim", tmp_path, version=version)
    city.pull()
    before = there(city)
    victim = sorted(before["proposal"], key=int)[0]
    city.change = nulled(victim, path=path)
    outcomes = [city.pull(full=True) for _ in range(3)]
    assert [each.failed for each in outcomes] == [False, True, True], outcomes
    assert all(re.search(r"\d could not be read", " ".join(each.notes)) for each in outcomes)
    assert there(city) == before
    light = city.pull()
    assert there(city) == before and (light.failed or light.notes)
    city.change = None
    assert city.pull(full=True).outcome == "done"
    assert there(city) == before


def test_null_beside_the_platform_s_word_is_hidden(city: City) -> None:
    city.pull()
    victim = sorted(city.alive(), key=int)[0]
    city.change = nulled(victim, path=True, code="UNAUTHORIZED_OBJECT_ERROR")
    city.pull(full=True)
    city.pull(full=True)
    assert victim not in city.alive()


def test_null_beside_another_error_is_told_on_a_first_pull(tmp_path: Path) -> None:
    whole = City("decidim", tmp_path / "whole")
    whole.pull()
    victim = sorted(whole.alive(), key=int)[0]
    city = City("decidim", tmp_path / "odd")
    city.change = nulled(victim, path=True)
    outcome = city.pull()
    assert any("1 could not be read" in note for note in outcome.notes)
    assert city.alive() == whole.alive() - {victim}


@pytest.mark.parametrize(
    "errors",
    [
        [{"message": "x", "path": ["component", "proposals", "nodes", 3, "title"]}],
        [{"message": "x", "path": ["component"]}],
        [{"message": "x"}],
        ["odd"],
        [{"message": "x", "extensions": [], "path": ["component", "proposals"]}],
        [{"message": "x", "extensions": {"code": "UNAUTHORIZED_FIELD_ERROR"}}],
    ],
)
def test_only_the_platform_s_word_for_hidden_means_hidden(errors: list[Any]) -> None:
    where = ("component", "proposals", "nodes", 3)
    assert doubtful(errors, *where)
    assert not doubtful([], *where)
    assert not doubtful([{"message": "y", "extensions": {"code": "UNAUTHORIZED_OBJECT_ERROR"}}], *where)
    assert not doubtful([{"message": "y", "path": ["component", "proposals", "nodes", 4]}], *where)
    assert not doubtful([{"message": "Cannot return null for non-nullable field Coordinates.latitude"}], *where)


@pytest.mark.parametrize("instead", [None, {}, "x", [None, 5, {"id": None}]])
def test_components_that_are_no_list_are_no_empty_list(city: City, instead: Any) -> None:
    city.pull()
    before = there(city)

    def spoil(request: Request, document: str, data: Any) -> None:
        if document.startswith("query Spaces"):
            for space in data["data"]["participatoryProcesses"]:
                space["components"] = instead

    city.change = spoil
    outcomes = [city.pull(full=True) for _ in range(3)]
    assert [each.failed for each in outcomes] == [False, True, True]
    assert there(city) == before and not city.rows("SELECT 1 FROM spaces WHERE gone_at IS NOT NULL")


@pytest.mark.parametrize(
    ("named", "marks"),
    [
        ("proposals", ("query Records", "query Light")),
        ("debates", ("query Debates",)),
        ("budgets", ("query Budgets",)),
    ],
)
@pytest.mark.parametrize(
    "how",
    ["no cursor", "the same cursor", "two cursors in turn", "an empty page", "a cursor that is none", "the same rows"],
)
@pytest.mark.parametrize("version", ["0.32", "0.30"])
def test_a_list_that_does_not_go_on_ends_with_a_word(
    tmp_path: Path, named: str, marks: tuple[str, ...], how: str, version: str
) -> None:
    city = City("decidim", tmp_path, version=version)
    city.pull()
    before = there(city)
    turns = iter(range(10**6))

    def endless(request: Request, document: str, data: Any) -> None:
        page = component(data).get(named)
        if document.startswith(marks) and isinstance(page, dict) and "pageInfo" in page:
            turn = next(turns)
            cursor: dict[str, Any] = {
                "no cursor": None,
                "a cursor that is none": {"a": 1},
                "the same rows": at(turn + 1),
            }
            cursor["two cursors in turn"] = at(turn % 2 + 1)
            page["pageInfo"] = {"hasNextPage": True, "endCursor": cursor.get(how, at(1))}
            page["nodes"] = [] if how == "an empty page" else kept.setdefault(document[:40], page["nodes"])

    kept: dict[str, Any] = {}
    city.change = endless
    outcome = city.pull(full=True)
    assert outcome.outcome == "incomplete" and "the list does not go on" in outcome.message, outcome
    assert city.asked < 80
    assert there(city) == before


@pytest.mark.parametrize(
    ("document", "kind"), [("query Budgets", "project"), ("query Debates", "debate"), ("query Comments", "comment")]
)
def test_a_part_that_fails_is_named_and_the_rest_is_read(tmp_path: Path, document: str, kind: str) -> None:
    whole = City("decidim", tmp_path / "whole", settings=", open_data: false")
    whole.pull()
    expected = there(whole)
    city = City("decidim", tmp_path / "broken", settings=", open_data: false")
    city.change = lambda request, asked, data: (
        Response.json({"error": "x"}, 500) if asked.startswith(document) else None
    )
    for _ in range(2):
        outcome = city.pull()
        assert (outcome.outcome, outcome.failed) == ("incomplete", True), outcome
        missing = {kind, "comment"} if kind != "comment" else {"comment"}
        assert {k: v for k, v in there(city).items() if k not in missing} == {
            k: v for k, v in expected.items() if k not in missing
        }
    city.change = None
    city.pull(full=True)
    assert there(city) == expected


@pytest.mark.parametrize("version", ["0.32", "0.28.6"])
@pytest.mark.parametrize(
    "answer",
    [
        Response.text("no", 401),
        Response.text("no", 403),
        Response.text("no", 500),
        Response.text("no", 503),
        Response.redirect("https://files.example/x"),
        Response.redirect("http://127.0.0.1:10/x"),
    ],
    ids=["401", "403", "500", "503", "another host", "another port"],
)
def test_open_data_that_refuses_falls_back(tmp_path: Path, version: str, answer: Response) -> None:
    whole = City("decidim", tmp_path / "whole", version=version)
    whole.pull()
    city = City("decidim", tmp_path / "odd", version=version)
    city.change = lambda request, path, data: answer if path.startswith("/open-data") else None
    outcome = city.pull()
    assert outcome.outcome == "done", outcome
    assert any("open data could not be read" in note for note in outcome.notes)
    assert there(city) == there(whole)


ROWS = "id;depth;alignment;body;commentable_id;commentable_type;root_commentable_url;created_at\n"
SOME = "https://city.example/processes/a/f/1/proposals/1"


@pytest.mark.parametrize(
    "row",
    [
        f"7;x;0;Goed;1;Decidim::Proposals::Proposal;{SOME};2024-01-01",
        f"7;0;1.0;Goed;1;Decidim::Proposals::Proposal;{SOME};2024-01-01",
        f"7;²;0;Goed;1;Decidim::Proposals::Proposal;{SOME};2024-01-01",
        f"7;0;{'9' * 5000};Goed;1;Decidim::Proposals::Proposal;{SOME};2024-01-01",
        '7;0;0;"' + "a" * 3_000_000,
    ],
    ids=["depth", "alignment", "superscript", "5000 digits", "3 MB behind a quote"],
)
def test_a_file_with_an_odd_row_is_not_believed(tmp_path: Path, row: str) -> None:
    whole = City("decidim", tmp_path / "whole")
    whole.pull()
    city = City("decidim", tmp_path / "odd")

    def odd(request: Request, path: str, data: Any) -> Response | None:
        if path.startswith("/open-data") and "comments" in path:
            return Response.text(ROWS + row + "\n", content_type="text/csv")
        return None

    city.change = odd
    outcome = city.pull()
    assert outcome.outcome == "done", outcome
    assert there(city) == there(whole)


ODD: dict[str, dict[str, Any]] = {
    "a time of year 1": {"createdAt": "0001-01-01T00:00:00+02:00"},
    "a time of year 9999": {"createdAt": "9999-12-31T23:59:59-05:00"},
    "a number for a time": {"publishedAt": 5},
    "a counter of 2^70": {"voteCount": 2**70},
    "votes of 3.5": {"voteCount": 3.5},
    "a null among translations": {"title": {"translations": [{"locale": "nl", "text": "x"}, None]}},
    "a locale of 5000 letters": {"title": {"translations": [{"locale": "n" * 5000, "text": "x"}]}},
    "a list for an answer": {"state": [1]},
    "a taxonomy without a number": {"taxonomies": [{"id": None}]},
}


@pytest.mark.parametrize("what", list(ODD))
def test_a_proposal_with_an_odd_value_goes_to_quarantine_and_nothing_else(
    engine: Engine, tmp_path: Path, what: str
) -> None:
    city = City("decidim", tmp_path, engine)
    city.pull()
    before = there(city)
    victim = sorted(before["proposal"], key=int)[0]

    def odd(request: Request, document: str, data: Any) -> None:
        def change(node: dict[str, Any]) -> None:
            if str(node.get("id")) == victim and "body" in node and "reference" in node:
                node.update(ODD[what])

        each(component(data).get("proposals"), change)

    city.change = odd
    outcome = city.pull(full=True)
    assert outcome.outcome == "done", outcome
    assert list(city.quarantined()) == [f"proposal/{victim}"]
    assert there(city) == before


def test_odd_values_of_spaces_budgets_and_comments_go_to_quarantine(engine: Engine, tmp_path: Path) -> None:
    city = City("decidim", tmp_path, engine, settings=", open_data: false")

    def odd(request: Request, document: str, data: Any) -> None:
        def change(node: dict[str, Any]) -> None:
            if "total_budget" in node:
                node["total_budget"] = 10**20
            if "upVotes" in node and "alignment" in node:
                node["upVotes"] = 3.5
            if "components" in node and str(node.get("id")) == "1":
                node["title"] = {"translations": [{"locale": "nl", "text": "x"}, None]}

        each(data, change)

    city.change = odd
    outcome = city.pull()
    assert outcome.outcome == "done", outcome
    kinds = {each.split("/")[0] for each in city.quarantined()}
    assert {"budget", "comment"} <= kinds and kinds & {"process", "assembly", "conference", "initiative"}
    assert city.alive() and city.alive("project")


def test_nul_and_half_a_surrogate_are_replaced_in_both_databases(engine: Engine, tmp_path: Path) -> None:
    city = City("decidim", tmp_path, engine)

    def odd(request: Request, document: str, data: Any) -> None:
        def change(node: dict[str, Any]) -> None:
            for name in ("text", "reference", "address", "state", "locale"):
                if isinstance(node.get(name), str) and node[name]:
                    node[name] = f"{node[name]}\0\ud83d"

        each(data, change)

    city.change = odd
    outcome = city.pull()
    assert outcome.outcome == "done" and city.alive(), outcome
    assert {title[-2:] for (title,) in city.rows("SELECT title FROM proposals") if title} == {"\ufffd\ufffd"}


def test_a_time_without_a_zone_is_utc(city: City) -> None:
    def bare(request: Request, document: str, data: Any) -> None:
        each(data, lambda node: node.update(createdAt="2024-05-01T10:00:00") if "createdAt" in node else None)

    city.change = bare
    city.pull()
    assert {str(at)[:19] for (at,) in city.rows("SELECT created_at FROM proposals WHERE created_at IS NOT NULL")} == {
        "2024-05-01 10:00:00"
    }


@pytest.mark.parametrize("odd", [5, "x", [], {}, {"id": None}, {"id": "²"}])
def test_a_row_that_is_nothing_is_one_note_and_nothing_goes_for_it(city: City, odd: Any) -> None:
    city.pull()
    before = there(city)

    def spoil(request: Request, document: str, data: Any) -> None:
        for name in ("proposals", "debates", "budgets"):
            page = component(data).get(name)
            if isinstance(page, dict) and page.get("nodes"):
                page["nodes"].append(odd)

    city.change = spoil
    for _ in range(2):
        outcome = city.pull(full=True)
        assert len([note for note in outcome.notes if "no number" in note]) == 1, outcome
        assert there(city) == before


def test_more_than_twenty_budgets_are_all_read(tmp_path: Path) -> None:
    """One per district: the list is paged (docs/platforms/decidim.md 1.7)."""
    city = City("decidim", tmp_path)
    kept: dict[str, Any] = {}

    def many(request: Request, document: str, data: Any) -> Response | None:
        page = component(data).get("budgets")
        if not document.startswith("query Budgets") or not page:
            return None
        first = kept.setdefault("first", (page["nodes"] or [{}])[0])
        rows = [{**first, "id": str(own), "projects": []} for own in range(1000, 1025)]
        start = 20 if "after" in document else 0
        page["nodes"] = rows[start : start + 20]
        page["pageInfo"] = {"hasNextPage": start == 0, "endCursor": "MjA"}
        return None

    city.change = many
    assert city.pull().outcome == "done"
    assert city.rows("SELECT count(*) FROM spaces WHERE kind = 'budget' AND gone_at IS NULL") == [(25,)]


@pytest.mark.parametrize("version", ["0.28.6", "0.32"])
@pytest.mark.parametrize("what", ["never offered", "given up"])
def test_comments_are_asked_for_in_a_language_that_the_site_offers(version: str, what: str, tmp_path: Path) -> None:
    wished = ", locales: [ca, en]" if what == "never offered" else ""
    city = City("decidim", tmp_path, version=version, settings=wished)
    city.pull()
    ((own,),) = city.rows(
        "SELECT min(remote_id) FROM comment WHERE target_key LIKE 'toy/proposal/%' AND gone_at IS NULL"
    )
    if what == "given up":
        city.site.locales = [each for each in city.site.locales if each != "nl"]
    city.site.change("hide_comment", id=own)
    city.pull()
    assert own not in city.alive("comment")


def test_a_site_that_takes_no_language_is_told_and_not_called_a_deleted_comment(tmp_path: Path) -> None:
    city = City("decidim", tmp_path)
    city.site.locales = ["eo"]
    city.change = lambda request, _d, _data: Response(404, [], b"") if request.path == "/" else None
    outcome = city.pull()
    assert (outcome.outcome, "did not answer" in outcome.message) == ("incomplete", True), outcome
    assert not any("was deleted" in note for note in outcome.notes), outcome


async def test_a_check_names_languages_that_the_site_does_not_have() -> None:
    for named, told in (("ca", True), ("nl", False)):
        async with reading(CONNECTOR, DecidimSandbox(version="0.32"), clock=FakeClock(), locales=[named]) as (read, _):
            assert any("`locales`" in each for each in (await read.probe()).warnings) is told


@pytest.mark.parametrize("setting", ["locales", "names"])
def test_what_the_configuration_makes_of_a_text_reaches_what_is_stored(tmp_path: Path, setting: str) -> None:
    """With the next run that reads all; nothing on the site has changed."""
    before, after = {"locales": ("nl", "en"), "names": ("never", "public")}[setting]
    quoted = "[{}]" if setting == "locales" else "{}"
    city = City("decidim", tmp_path / "one", settings=f", {setting}: {quoted.format(before)}")
    fresh = City("decidim", tmp_path / "two", settings=f", {setting}: {quoted.format(after)}")
    shown = "SELECT remote_id, title, locale FROM proposal ORDER BY 1" if setting == "locales" else _NAMES
    city.pull()
    fresh.pull()
    assert city.rows(shown) != fresh.rows(shown)
    city.config = fresh.config
    city.pull(full=True)
    assert city.rows(shown) == fresh.rows(shown)


_NAMES = "SELECT p.remote_id, a.name FROM proposal p JOIN author a ON a.pseudonym = p.author ORDER BY 1"
