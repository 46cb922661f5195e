"""One part that the platform fails on hides no other, and what one run left, the next does not forget."""

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from civicsync.connectors.decidim.sandbox.files import comments_csv
from civicsync.connectors.decidim.sandbox.model import Component
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.messages import Request, Response
from civicsync.core.store.store import InstanceStore
from civicsync.sync.pull.run import Options, Puller
from tests.support.altered import City

LIVE = ", open_data: false"


def _broken(_status: int = 500) -> Response:
    return Response(_status, [("content-type", "text/html")], b"<h1>error</h1>")


def _public(city: City, kind: str = "proposal") -> list[str]:
    return [row["id"] for row in city.site.truth()["proposals"] if row["public"] and row["kind"] == kind]


def _threads(city: City) -> list[str]:
    rows = city.rows(
        "SELECT DISTINCT target_key FROM comment WHERE gone_at IS NULL AND target_key IN "
        "(SELECT key FROM proposal WHERE space_key = 'toy/component/1')"
    )
    return sorted((row[0].rpartition("/")[2] for row in rows), key=int)


def _without_thread(city: City, own: str) -> None:
    """The server fails wherever the comments of this proposal are asked for."""
    asked = re.compile(rf'proposal\(id:"{own}"\)\{{id comments')
    city.change = lambda _request, document, _data: _broken() if asked.search(document) else None


# Decidim: one broken part ------------------------------------------------------------------------------------------------


def test_a_thread_that_cannot_be_read_hides_no_other_and_is_named(tmp_path: Path) -> None:
    city = City("decidim", tmp_path, size=30, version="0.28.6", settings=LIVE)
    city.pull()
    bad, other = _threads(city)[:2]
    _without_thread(city, bad)
    city.site.change("comment", id=bad)
    new = str(city.site.change("comment", id=other))
    outcome = city.pull()
    assert new in city.alive("comment")
    assert (outcome.outcome, f"proposal/{bad}" in outcome.message) == ("incomplete", True), outcome.message


@pytest.mark.parametrize("version", ["0.28.6", "0.32"])
def test_a_thread_that_cannot_be_read_again_is_told_and_keeps_no_other_waiting(version: str, tmp_path: Path) -> None:
    city = City("decidim", tmp_path, size=30, version=version, settings=LIVE)
    city.pull()
    bad = _threads(city)[0]
    _without_thread(city, bad)
    assert "incomplete" in [city.pull().outcome for _ in range(27)]
    late = city.rows(
        "SELECT count(*) FROM comment WHERE gone_at IS NULL AND confirmed_at < '2026-03-01 14:00' "
        f"AND target_key != 'toy/proposal/{bad}' AND target_key LIKE 'toy/proposal/%'"
    )
    assert late == [(0,)]


@pytest.mark.parametrize("version", ["0.28.6", "0.32"])
def test_a_proposal_that_cannot_be_read_hides_no_other_and_is_not_gone(version: str, tmp_path: Path) -> None:
    city = City("decidim", tmp_path, size=60, version=version, settings=LIVE)
    city.pull()
    bad = sorted(city.alive(), key=int)[2]

    def broken(_request: Any, document: str, data: Any) -> Response | None:
        asked = "query Records" in document or "query Single" in document
        return _broken() if asked and re.search(rf'"id": ?"?{bad}"?, "reference"', json.dumps(data)) else None

    city.change = broken
    city.site.change("edit", id=bad, title="Kapot")
    new = str(city.site.change("add_proposal", title="Nieuw", component=1))
    outcomes = [city.pull() for _ in range(3)]
    assert new in city.alive()
    assert bad in city.alive(), "what cannot be read is there all the same"
    assert [(each.outcome, each.missing) for each in outcomes] == [("incomplete", 0)] * 3
    assert f"proposal/{bad}" in outcomes[0].message
    city.change = None
    assert city.pull().outcome == "done"
    assert city.rows(f"SELECT title FROM proposal WHERE key = 'toy/proposal/{bad}'") == [("Kapot",)]


@pytest.mark.parametrize("version", ["0.28.6", "0.32"])
def test_a_kind_of_space_that_cannot_be_listed_hides_no_other(version: str, tmp_path: Path) -> None:
    city = City("decidim", tmp_path, size=30, version=version)
    city.pull()

    def broken(_request: Any, document: str, data: Any) -> None:
        if "query Spaces" in document and data.get("data"):
            data["data"]["assemblies"] = None
            error = {"message": "wrong", "path": ["assemblies"], "extensions": {"code": "INTERNAL"}}
            data.setdefault("errors", []).append(error)

    city.change = broken
    spaces = city.alive("component")
    new = str(city.site.change("add_proposal", title="Nieuw", component=1))
    assert [city.pull().outcome for _ in range(3)] == ["done", "incomplete", "incomplete"]
    assert new in city.alive()
    assert city.alive("component") == spaces


@pytest.mark.parametrize("mode", ["left out by spaces", "broken"])
def test_a_component_of_budgets_that_is_not_read_keeps_no_hidden_project_of_another(mode: str, tmp_path: Path) -> None:
    city = City("decidim", tmp_path, size=30, settings=", spaces: [component/20]" if mode != "broken" else "")
    first = city.site.database.components[20]
    city.site.database.add_component(Component(21, "Budgets", first.name, first.space, first.updated_at))
    city.site.change("add_budget", component=21)
    city.pull()
    if mode == "broken":
        city.change = lambda _request, document, _data: (
            _broken() if 'query Budgets{component(id:"21")' in document else None
        )
    hidden = sorted(city.alive("project"))[0]
    city.site.change("hide", id=hidden, kind="project")
    city.pull()
    city.pull()
    assert hidden not in city.alive("project")


# Decidim: what a file and a gate can tell --------------------------------------------------------------------------------


def test_a_row_of_the_future_lets_no_frozen_file_speak(tmp_path: Path) -> None:
    city = City("decidim", tmp_path, size=60)
    there = [r for r in city.site.truth()["comments"] if r["public"] and r["target"].startswith("proposal/")]
    rows = city.site.database.comments
    rows[int(there[-1]["id"])].created_at = city.clock.now() + timedelta(days=3650)
    city.site.files["proposal_comments"] = comments_csv(city.site)
    city.clock.advance(86400)
    one = next(row for row in there if not rows[int(row["id"])].parent)
    city.site.change("hide_comment", id=one["id"])
    new = str(city.site.change("comment", id=one["target"].partition("/")[2]))
    city.pull()
    assert one["id"] not in city.alive("comment")
    assert new in city.alive("comment")


def _moderated(city: City) -> set[str]:
    return {row["id"] for row in city.site.truth()["proposals"] if not row["public"] and row["kind"] == "proposal"}


@pytest.mark.parametrize("first", ["another space", "unpublished"])
def test_what_the_archive_leaves_out_is_hidden_wherever_it_is_met_later(first: str, tmp_path: Path) -> None:
    city = City("decidim", tmp_path, size=60, version="0.28.4")
    if first == "unpublished":
        city.site.change("unpublish", component=1)
        city.pull()
        city.site.change("publish", component=1)
    else:
        city.pull(spaces=("component/7",))
    assert city.pull().outcome == "done"
    assert not _moderated(city) & city.alive()


@pytest.mark.parametrize("then", ["another space, full", "its component fails once"])
def test_what_is_known_to_be_hidden_is_not_forgotten(then: str, tmp_path: Path) -> None:
    city = City("decidim", tmp_path, size=60, version="0.28.4")
    city.site.change("hide", id=city.site.database.components[7].rows[0].id)
    city.site.change("export_open_data")
    city.pull()
    if then == "another space, full":
        city.pull(full=True, spaces=("component/7",))
    else:
        city.clock.advance(21 * 3600)
        city.change = lambda _request, document, _data: _broken() if 'component(id:"7")' in document else None
        city.pull()
        city.change = None
    assert city.pull().outcome == "done"
    assert not _moderated(city) & city.alive()


def test_threads_left_by_a_run_are_read_by_a_later_one_though_one_of_another_space_came_between(tmp_path: Path) -> None:
    city = City("decidim", tmp_path, size=20)
    city.pull()
    own = city.rows(
        "SELECT remote_id FROM proposal WHERE kind = 'proposal' AND gone_at IS NULL AND space_key = 'toy/component/1' "
        "AND key NOT IN (SELECT target_key FROM comment)"
    )[0][0]
    new = str(city.site.change("comment", id=own))
    city.change = lambda _request, document, _data: _broken() if "query Comments" in document else None
    city.pull()
    city.change = None
    city.pull(spaces=("component/7",))
    assert city.pull().outcome == "done"
    assert new in city.alive("comment")


@pytest.mark.parametrize("hours", [0, 72])
def test_what_moved_in_the_part_that_was_read_before_an_interruption_is_read(hours: int, tmp_path: Path) -> None:
    city = City("decidim", tmp_path, size=160, settings=LIVE)
    met = [0]

    def after_two(_request: Any, document: str, _data: Any) -> Response | None:
        met[0] += 'component(id:"1")' in document and "query Records" in document
        return _broken(503) if met[0] > 2 else None

    city.change = after_two
    city.pull()
    began = city.clock.now()
    city.change = None
    edited, hidden, *_ = sorted(city.alive(), key=int)
    city.clock.advance(hours * 3600)
    city.site.change("edit", id=edited, title="Anders")
    city.site.change("hide", id=hidden)
    assert city.pull().outcome == "done"
    confirmed = "SELECT max(confirmed_at) FROM scope_confirmation WHERE scope = 'proposals@component/1'"
    assert city.rows(confirmed)[0][0] < f"{began + timedelta(hours=1):%Y-%m-%d %H:%M}", "it was shown then, not now"
    city.pull()
    assert city.rows(f"SELECT title FROM proposal WHERE key = 'toy/proposal/{edited}'") == [("Anders",)]
    assert hidden not in city.alive()


def test_what_is_remembered_of_threads_is_written_in_linear_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [0]
    honest = InstanceStore.write

    def write(self: InstanceStore, page: Any) -> Any:
        written[0] += sum(len(json.dumps(v)) for k, v in page.memory.items() if k.startswith("threads@"))
        return honest(self, page)

    monkeypatch.setattr(InstanceStore, "write", write)
    sizes: list[int] = []
    for size in (200, 400):
        written[0] = 0
        City("decidim", tmp_path / str(size), size=size, settings=LIVE).pull()
        sizes.append(written[0])
    assert sizes[1] < 2.6 * sizes[0], sizes


# Any platform: how a run ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["consul", "your-priorities"])
def test_the_run_after_one_whose_second_look_broke_reads_what_is_new(platform: str, tmp_path: Path) -> None:
    city = City(platform, tmp_path, size=30)
    city.pull()
    if platform == "consul":
        rule = Fault("reset", body=rf'proposal\(id: ?\\"{_public(city)[0]}\\"\)', times=None)
    else:
        oldest = city.rows("SELECT target_key FROM comment WHERE gone_at IS NULL ORDER BY confirmed_at")[0][0]
        rule = Fault("reset", match=rf"/api/posts/{oldest.rpartition('/')[2]}/newPoints", times=None)
    city.site.faults.replace([rule])
    city.pull()
    city.site.faults.replace([])
    new = str(city.site.change("add_proposal", title="Nieuw"))
    assert city.pull().outcome == "done"
    assert new in city.alive()


@pytest.mark.parametrize("then", ["7 hours", "another space"])
def test_a_sweep_that_was_not_judged_is_judged_later(then: str, tmp_path: Path) -> None:
    city = City("decidim", tmp_path, size=80, settings=LIVE)
    city.pull()
    hidden = sorted(city.alive(), key=int)[5]
    city.site.change("hide", id=hidden)
    stop = asyncio.Event()

    def progress(_name: str, page: Any, _result: Any) -> None:
        if page.scope == "proposals@component/1" and page.complete:
            stop.set()

    city.clock.advance(3600)
    puller = Puller(city.config, city.engine, city.clock, backends={"toy": city.site}, progress=progress, stop=stop)
    asyncio.run(puller.pull("toy", Options()))
    if then == "7 hours":
        city.clock.advance(7 * 3600)
    else:
        city.pull(spaces=("component/7",))
    city.pull()
    city.pull()
    assert hidden not in city.alive()


def test_a_sweep_that_was_not_judged_is_not_judged_by_a_few_pages_of_its_scope(tmp_path: Path) -> None:
    city = City("consul", tmp_path, size=40)
    city.pull()
    stop = asyncio.Event()

    def progress(_name: str, page: Any, _result: Any) -> None:
        if page.scope == "comments" and page.complete:
            stop.set()

    puller = Puller(city.config, city.engine, city.clock, backends={"toy": city.site}, progress=progress, stop=stop)
    asyncio.run(puller.pull("toy", Options(full=True)))
    there, confirmed = city.alive("comment"), "SELECT confirmed_at FROM scope_confirmation WHERE scope = 'comments'"
    before = city.rows(confirmed)
    assert there
    city.clock.advance(7 * 3600)
    new = str(city.site.change("comment", id=_public(city, "debate")[0], kind="debate"))
    outcome = city.pull(spaces=("section/debates",))
    assert (outcome.outcome, outcome.missing) == ("done", 0), outcome
    assert city.alive("comment") == there | {new}
    assert city.rows(confirmed) == before, "of the others nothing was shown"


def test_a_full_run_of_one_space_is_no_full_run(tmp_path: Path) -> None:
    city = City("consul", tmp_path, size=30)
    city.pull()
    before = city.rows("SELECT last_full_at FROM instance")
    city.clock.advance(20 * 3600)
    city.pull(full=True, spaces=("section/debates",))
    assert city.rows("SELECT last_full_at FROM instance") == before
    assert city.rows('SELECT "full" FROM run ORDER BY id DESC LIMIT 1') == [(0,)]


@pytest.mark.parametrize("what", ["proposal", "debate", "comment"])
def test_a_question_that_the_server_fails_on_keeps_no_other_hidden_one_public(what: str, tmp_path: Path) -> None:
    city = City("decidim", tmp_path)
    city.site.change("add_debate", component=30)
    city.pull()
    if what == "comment":
        rows = city.rows(
            "SELECT remote_id, target_key FROM comment WHERE target_key LIKE 'toy/proposal/%' AND parent_key IS NULL ORDER BY 1"
        )
        one, other = rows[0][0], next(own for own, target in rows if target != rows[0][1])
    else:
        one, other = _public(city, what)[:2]
    for own in (one, other):
        if what == "comment":
            city.site.change("hide_comment", id=own)
        else:
            city.site.change("hide", id=own, kind=what)
    asked = f'{"commentable" if what == "comment" else what}(id:"{one}"'
    city.change = lambda _r, document, _d: _broken() if asked in document else None
    city.pull()
    outcome = city.pull()
    assert other not in city.alive(what), outcome
    assert one in city.alive(what)
    assert any(f"{what}/{one} did not answer" in note for note in outcome.notes), outcome


def _stopped(city: City, after: int) -> str:
    """One run, an hour after the one before, that is told to stop after so many requests."""
    city.clock.advance(3600)

    async def go() -> str:
        stop = asyncio.Event()
        city.asked = 0

        def count(_r: Request, _d: str, _data: Any) -> None:
            if city.asked == after:
                stop.set()

        city.change = count
        puller = Puller(city.config, city.engine, city.clock, backends={"toy": city.site}, stop=stop)
        return (await puller.pull("toy", Options())).outcome

    return asyncio.run(go())


@pytest.mark.parametrize("then", ["goes on", "chosen back"])
def test_runs_that_end_early_after_a_change_of_spaces_go_on_with_the_same_choice_only(
    then: str, tmp_path: Path
) -> None:
    city = City("decidim", tmp_path, settings=", spaces: [process/1]", size=60)
    city.pull()
    narrow = city.config
    city.config = City("decidim", tmp_path / "all").config
    new = str(city.site.change("add_proposal", title="Nieuw"))
    if then == "chosen back":
        city.pull(limit=1)
        city.config = narrow
        city.pull()
        assert city.rows("SELECT full FROM run ORDER BY id DESC LIMIT 1") == [(1,)]
        return
    outcomes = [_stopped(city, 8) for _ in range(12)]
    assert "done" in outcomes
    assert new in city.alive()


@pytest.mark.parametrize("platform", ["consul", "decidim", "your-priorities"])
def test_a_run_is_not_done_while_a_question_about_what_is_missing_always_fails(platform: str, tmp_path: Path) -> None:
    city = City(platform, tmp_path)
    city.pull()
    own = _public(city)[0]
    city.site.change("hide", id=own)

    def refuse(request: Request, document: str, _data: Any) -> Response | None:
        asked = re.search(rf'proposal\(id: ?"{own}"', document) or request.path.endswith(f"/api/posts/{own}")
        return _broken() if asked else None

    city.change = refuse
    outcomes = [city.pull() for _ in range(5)]
    assert own in city.alive()
    assert {each.outcome for each in outcomes[2:]} == {"incomplete"}, outcomes
    assert f"proposal/{own}" in outcomes[-1].message
