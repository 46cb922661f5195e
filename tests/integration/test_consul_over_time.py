"""How many light runs it takes until the database says what a CONSUL says, after each kind of change; never a full run.

What a light sweep shows is there in one run; all else within the age that the admin allows (24 h: 25 runs an hour apart). The
comparison is with everything that the sandbox holds and the interface shows: texts, authors, tags, areas, milestones, comments, budgets.
"""

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from civicsync.config.load import load
from civicsync.connectors.consul.sandbox import ConsulSandbox
from civicsync.connectors.testing.faults import Fault
from civicsync.core.clock import FakeClock
from civicsync.sync.pull.run import Options, Puller, PullOutcome

HOUR = 3600
BOUND = 25
"""Light runs an hour apart within `confirm_within`."""
Truth = dict[str, set[tuple[Any, ...]]]


class City:
    """A sandbox, and light runs that read it into a database."""

    def __init__(
        self, engine: Engine, folder: Path, version: str = "2.5.1", *, size: int = 40, more: str = "", **options: Any
    ) -> None:
        self.clock, self.engine = FakeClock(), engine

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)

        self.site = ConsulSandbox(version=version, size=size, seed=5, clock=self.clock.now, sleep=sleep, **options)
        file = folder / "civicsync.yaml"
        file.write_text(
            "civicsync: 1\noperator: {name: test, contact: t@example.org}\nprivacy: {key: '${KEY}'}\n"
            "safety: {max_gone_percent: 60}\n"
            "instances:\n  toy: {platform: consul, url: 'http://127.0.0.1:9', full_every: 3650d" + more + "}\n"
        )
        self.config = load(file, {"KEY": "k" * 64})

    async def pull(self, **options: Any) -> PullOutcome:
        puller = Puller(self.config, self.engine, self.clock, backends={"toy": self.site})
        outcome = await puller.pull("toy", Options(**options))
        assert not outcome.written.quarantined
        return outcome

    async def runs_until_true(self, most: int = BOUND) -> int:
        """Light runs, an hour apart, until nothing differs."""
        for run in range(1, most + 1):
            self.clock.advance(HOUR)
            outcome = await self.pull()
            assert outcome.outcome == "done", outcome
            if not self.differences():
                return run
        raise AssertionError(self.differences())

    def rows(self, sql: str) -> set[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return {tuple(row) for row in connection.execute(text(sql))}

    def stored(self) -> Truth:
        there = "WHERE p.gone_at IS NULL"
        held = self.rows(
            "SELECT p.kind, p.remote_id, p.title, p.state, p.supports, p.comments, t.plain, p.author IS NOT NULL "
            f"FROM proposal p LEFT JOIN proposal_text t ON t.proposal_key = p.key {there}"
        )
        return {
            "proposals": {(*row[:6], _words(row[6]), bool(row[7])) for row in held},
            "comments": {
                (own, target, _words(plain), supports)
                for own, target, plain, supports in self.rows(
                    f"SELECT p.remote_id, p.target_key, p.plain, p.supports FROM comment p {there}"
                )
            },
            "answers": {
                (own, target, _words(" ".join(f"{each['title']} {each['plain']}" for each in json.loads(texts))))
                for own, target, texts in self.rows(f"SELECT p.remote_id, p.target_key, p.texts FROM answer p {there}")
            },
            "budgets": self.rows(f"SELECT p.remote_id, p.name, p.status FROM space p {there} AND p.kind = 'budget'"),
            "categories": self.rows(f"SELECT p.kind, p.remote_id, p.name FROM category p {there}"),
            "areas": self.rows(f"SELECT p.remote_id, p.name FROM area p {there}"),
            "carried": self.rows(
                "SELECT p.kind, p.remote_id, c.category_key FROM proposal p "
                f"JOIN proposal_category c ON c.proposal_key = p.key {there}"
            ),
            "placed": self.rows(
                f"SELECT p.remote_id, a.area_key FROM proposal p JOIN proposal_area a ON a.proposal_key = p.key {there}"
            ),
        }

    def truth(self) -> Truth:
        found = self.site.truth()
        public = [row for row in found["proposals"] if row["public"]]
        named = {row["id"]: row["kind"] for row in found["categories"]}
        return {
            "proposals": {
                (
                    *(row[name] for name in ("kind", "id", "title", "state", "supports", "comments")),
                    _words(row["text"]),
                    row["author_shown"],
                )
                for row in public
            },
            "comments": {
                (row["id"], f"toy/{row['target']}", _words(row["body"]), row["supports"])
                for row in found["comments"]
                if row["public"]
            },
            "answers": {
                (row["id"], f"toy/{row['target']}", _words(f"{row['title']} {row['text']}"))
                for row in found["answers"]
                if row["public"]
            },
            "budgets": {(row["id"], row["name"], row["status"]) for row in found["spaces"] if row["public"]},
            "categories": {(row["kind"], row["id"], row["name"]) for row in found["categories"] if row["public"]},
            "areas": {(row["id"], row["name"]) for row in found["areas"]},
            "carried": {
                (row["kind"], row["id"], f"toy/{named[tag]}/{tag}") for row in public for tag in row["categories"]
            },
            "placed": {(row["id"], f"toy/geozone/{each}") for row in public for each in row["areas"]},
        }

    def differences(self) -> dict[str, list[Any]]:
        stored, truth = self.stored(), self.truth()
        found = {name: sorted(stored[name] ^ truth[name], key=str)[:6] for name in truth}
        return {name: rows for name, rows in found.items() if rows}

    def some(self, kind: str = "proposal", count: int = 1, **wanted: Any) -> list[str]:
        rows = [row for row in self.site.truth()["proposals"] if row["public"] and row["kind"] == kind]
        return [row["id"] for row in rows if all(row[k] == v for k, v in wanted.items())][:count]

    def comment_on(self, kind: str) -> str:
        """A public comment on something of this kind, the only one of its thread where there is one."""
        rows = [r for r in self.site.truth()["comments"] if r["public"] and r["target"].startswith(f"{kind}/")]
        return str(rows[0]["id"])


def _words(value: str | None) -> str:
    """The words alone: what cleaning does to markup is judged elsewhere."""
    text = re.sub(r"<script.*?</script>|<[^>]*>", " ", value or "", flags=re.DOTALL)
    return "".join(each for each in unescape(text) if each.isalnum())


@pytest.fixture
def city(sqlite: Engine, tmp_path: Path) -> City:
    return City(sqlite, tmp_path)


def _new(city: City) -> None:
    city.site.change("add_proposal", title="Een bankje", supports=3)
    city.site.change("add_investment", title="Een fontein")


def _each(op: str, kind: str, **options: Any) -> Callable[[City], None]:
    def change(city: City) -> None:
        [own] = city.some(kind)
        city.site.change(
            op, id=own, **({"kind": kind} if op not in {"retire", "valuate", "area", "block_author"} else {}), **options
        )

    return change


def _of_comment(op: str, kind: str, **options: Any) -> Callable[[City], None]:
    return lambda city: city.site.change(op, id=city.comment_on(kind), **options)


def _restored(city: City) -> None:
    hidden = next(r for r in city.site.database.tables["proposals"].rows if r.hidden and r["published_at"])
    city.site.change("restore", id=hidden.id)


def _restored_comment(city: City) -> None:
    hidden = next(r for r in city.site.truth()["comments"] if r["target"].startswith("debate/") and not r["public"])
    city.site.change("restore_comment", id=hidden["id"])


def _answered(op: str) -> Callable[[City], None]:
    def change(city: City) -> None:
        rows = [row for row in city.site.truth()["answers"] if row["public"]]
        for kind in ("proposal", "investment"):
            city.site.change(op, id=next(row["id"] for row in rows if row["target"].startswith(kind)))

    return change


def _tagged(city: City) -> None:
    for kind in ("proposal", "debate"):
        city.site.change("tag", id=city.some(kind)[0], names=",".join(f"woord{i}" for i in range(14)), kind=kind)


def _many_milestones(city: City) -> None:
    for kind in ("proposal", "investment"):
        for i in range(28):
            city.site.change("milestone", id=city.some(kind)[0], title=f"Stap {i}", kind=kind)


def _draft_published(city: City) -> None:
    for row in city.site.database.tables["proposals"].rows:
        if not row.hidden and row["published_at"] is None:
            city.site.change("publish", id=row.id)


def _budgets(city: City) -> None:
    for i in range(28):
        own = city.site.change("add_budget", name=f"Begroting {i}")
        city.site.change("add_investment", title=f"Project {i}", budget=own)


LIGHT: dict[str, Callable[[City], None]] = {
    "new": _new,
    "supported": _each("support", "proposal", times=4),
    "debated": _each("support", "debate"),
    "retired": _each("retire", "proposal"),
    "hidden": _each("hide", "proposal"),
    "debate hidden": _each("hide", "debate"),
    "investment hidden": _each("hide", "investment"),
    "restored": _restored,
    "commented": _each("comment", "proposal"),
    "debate commented": _each("comment", "debate"),
    "investment commented": _each("comment", "investment"),
    "replied": _of_comment("reply", "proposal"),
    "comment restored": _restored_comment,
    "comment hidden": _of_comment("hide_comment", "proposal"),
    "investment's comment hidden": _of_comment("hide_comment", "investment"),
    "valuated": _each("valuate", "investment", feasibility="unfeasible", price=77),
    "author blocked": _each("block_author", "proposal"),
    "budget phase": lambda city: city.site.change("budget", id=1, phase="finished"),
    "budget renamed": lambda city: city.site.change("budget", id=1, name="Anders"),
    "budget unpublished": lambda city: city.site.change("budget", id=1, published=False),
    "budget published": lambda city: city.site.change("budget", id=2, published=True),
    "another budget instead": lambda city: (
        city.site.change("budget", id=1, published=False),
        city.site.change("budget", id=2, published=True),
    )[0],
    "many budgets": _budgets,
    "area renamed": lambda city: city.site.change("rename_area", id=2),
}
SLOW: dict[str, Callable[[City], None]] = {
    "edited": _each("edit", "proposal", title="Een andere titel", description="<p>Anders.</p>"),
    "debate edited": _each("edit", "debate", title="Een andere titel"),
    "investment edited": _each("edit", "investment", title="Een andere titel"),
    "moved": _each("area", "proposal", area=3),
    "tagged": _tagged,
    "untagged": _each("untag", "debate"),
    "tag renamed": lambda city: city.site.change("rename_tag", id=2),
    "category removed": lambda city: city.site.change("delete_tag", id=2),
    "answered": _each("milestone", "proposal"),
    "investment answered": _each("milestone", "investment"),
    "answered many times": _many_milestones,
    "answer changed": _answered("edit_milestone"),
    "answer taken back": _answered("delete_milestone"),
    "author private": _each("private_author", "proposal"),
    "draft published": _draft_published,
    "comment edited": _of_comment("edit_comment", "proposal"),
    "comment voted": _of_comment("vote_comment", "debate"),
    "comments swapped": _of_comment("swap_comments", "proposal"),
    "debate's comments swapped": _of_comment("swap_comments", "debate"),
    "investment's comments swapped": _of_comment("swap_comments", "investment"),
}


async def test_at_first_sight_everything_is_right(city: City) -> None:
    await city.pull()
    assert not city.differences()


@pytest.mark.parametrize("name", LIGHT)
async def test_what_a_light_run_shows_is_there_in_one(city: City, name: str) -> None:
    await city.pull()
    LIGHT[name](city)
    assert city.differences()
    assert await city.runs_until_true(1) == 1


@pytest.mark.parametrize("name", SLOW)
async def test_all_else_is_there_within_a_day(city: City, name: str) -> None:
    await city.pull()
    SLOW[name](city)
    assert city.differences()
    assert await city.runs_until_true() <= BOUND


@pytest.mark.parametrize("version", ["1.4.1", "2.1.1", "2.2.2"])
async def test_older_releases_too(sqlite: Engine, tmp_path: Path, version: str) -> None:
    city = City(sqlite, tmp_path, version)
    await city.pull()
    assert not city.differences()
    names = [
        "edited",
        "debate edited",
        "tagged",
        "comments swapped",
        "comment voted",
        "author private",
        "draft published",
    ]
    for name in [*names, "commented", "hidden", "retired"]:
        (SLOW | LIGHT)[name](city)
        await city.runs_until_true()


async def test_all_at_once_are_there_within_a_day(city: City) -> None:
    await city.pull()
    for change in SLOW.values():
        change(city)
    assert await city.runs_until_true() <= BOUND


async def test_an_unchanged_light_run_costs_what_it_did_and_a_few(sqlite: Engine, tmp_path: Path) -> None:
    city = City(sqlite, tmp_path, size=240)
    await city.pull()
    for _ in range(4):
        city.clock.advance(HOUR)
        assert (await city.pull()).requests <= 3 + 5
    assert not city.differences()


# Drafts (docs/platforms/consul.md 9 and 10b)


def _unsupported(city: City, count: int, **values: Any) -> list[str]:
    made = [str(city.site.change("add_proposal", title=f"Zonder steun {i}")) for i in range(count)]
    for own in made:
        city.site.database.tables["proposals"].by_id[int(own)].values.update(values)
    return made


async def test_ties_in_the_public_list_lose_no_proposal(city: City) -> None:
    _unsupported(city, 160)
    await city.pull()
    assert not city.differences()


@pytest.mark.parametrize("months", [3, 36])
async def test_the_archive_begins_where_the_site_says(city: City, months: int) -> None:
    """`months_to_archive_proposals` is a setting; the archive's list begins there, and the other one ends."""
    city.site.change("switch", archive_months=months)
    made = _unsupported(city, 40)
    for i, own in enumerate(made):
        row = city.site.database.tables["proposals"].by_id[int(own)]
        row.created_at = city.clock.now().replace(year=city.clock.now().year - 1 - i % 2, month=1 + i % 12)
    await city.pull()
    assert not city.differences()


async def test_selected_and_retired_proposals_without_supports_are_public(city: City) -> None:
    for own in _unsupported(city, 6):
        city.site.change("select", id=own)
    for own in _unsupported(city, 6):
        city.site.change("retire", id=own)
    await city.pull()
    assert not city.differences()


@pytest.mark.parametrize("full", [False, True])
async def test_a_list_that_is_switched_off_opens_nothing(city: City, full: bool) -> None:
    await city.pull()
    city.site.change("switch", proposals=False)
    draft = str(city.site.change("add_proposal", title="Concept", draft=True))
    before = city.stored()["proposals"]
    city.clock.advance(HOUR)
    outcome = await city.pull(full=full)
    assert city.stored()["proposals"] == before, "what is known stays, nothing new is stored"
    assert any("may be drafts" in note for note in outcome.notes)
    city.site.change("switch", proposals=True)
    await city.runs_until_true()
    city.site.change("publish", id=draft)
    await city.runs_until_true()


async def test_at_first_sight_with_the_list_off_only_what_has_supports_is_stored(city: City) -> None:
    city.site.change("switch", proposals=False)
    await city.pull()
    drafts = {str(r.id) for r in city.site.database.tables["proposals"].rows if r["published_at"] is None}
    assert drafts and not drafts & {row[1] for row in city.stored()["proposals"] if row[0] == "proposal"}
    city.site.change("switch", proposals=True)
    await city.runs_until_true()


async def test_drafts_that_an_earlier_release_stored_go_with_the_first_full_run(sqlite: Engine, tmp_path: Path) -> None:
    city = City(sqlite, tmp_path, more=", drafts: include")
    await city.pull()
    assert "proposals" in city.differences()
    with sqlite.begin() as connection:
        connection.execute(text("DELETE FROM memory WHERE name IN ('drafts', 'drafts_sorted_out')"))
    strict = City(sqlite, tmp_path)
    strict.site, strict.clock = city.site, city.clock
    strict.clock.advance(HOUR)
    await strict.pull(full=True)
    assert not strict.differences()


async def test_drafts_that_were_let_in_go_with_the_first_run_that_excludes_them(sqlite: Engine, tmp_path: Path) -> None:
    city = City(sqlite, tmp_path, more=", drafts: include")
    await city.pull()
    assert "proposals" in city.differences()
    strict = City(sqlite, tmp_path)
    strict.site, strict.clock = city.site, city.clock
    strict.clock.advance(HOUR)
    await strict.pull()
    assert not strict.differences()


async def test_comments_on_drafts_are_not_ours(city: City) -> None:
    draft = next(r for r in city.site.database.tables["proposals"].rows if r["published_at"] is None and not r.hidden)
    city.site.change("comment", id=draft.id, body="Op een concept")
    await city.pull()
    assert not any(target == f"toy/proposal/{draft.id}" for _, target, _, _ in city.stored()["comments"])
    city.site.change("publish", id=draft.id)
    await city.runs_until_true()


# Budgets, votes, spaces, broken parts


@pytest.mark.parametrize("count", [2, 30])
async def test_with_several_budgets_what_goes_is_believed(city: City, count: int) -> None:
    made = ""
    for i in range(count):
        own = city.site.change("add_budget", name=f"Begroting {i}")
        made = city.site.change("add_investment", title=f"Project {i}", budget=own)
        city.site.change("comment", id=made, kind="investment")
    await city.pull()
    assert not city.differences()
    city.site.change("hide", id=made, kind="investment")
    city.site.change("budget", id=1, published=False)
    assert await city.runs_until_true(1) == 1


async def test_withdrawn_votes_go(sqlite: Engine, tmp_path: Path) -> None:
    city = City(sqlite, tmp_path, more=", votes: true")
    await city.pull()
    own = next(row.id for row in city.site.interface.visible("votes"))
    city.site.change("unvote", id=own)
    city.clock.advance(HOUR)
    await city.pull()
    left = {row[0] for row in city.rows("SELECT remote_id FROM vote WHERE gone_at IS NULL")}
    assert left == {str(row.id) for row in city.site.interface.visible("votes")}


async def test_only_the_spaces_that_are_named_are_read(sqlite: Engine, tmp_path: Path) -> None:
    city = City(sqlite, tmp_path, more=", spaces: [section/debates]")
    await city.pull()
    assert {row[0] for row in city.stored()["proposals"]} == {"debate"}
    assert all(row[1].startswith("toy/debate/") for row in city.stored()["comments"])
    for _ in range(3):
        city.clock.advance(HOUR)
        await city.pull()
    assert {row[0] for row in city.stored()["proposals"]} == {"debate"}
    assert not city.rows("SELECT remote_id FROM comment WHERE gone_at IS NOT NULL")


async def test_a_space_that_is_not_there_is_an_error(sqlite: Engine, tmp_path: Path) -> None:
    city = City(sqlite, tmp_path, more=", spaces: [budget/77]")
    outcome = await city.pull()
    assert outcome.outcome == "failed" and "budget/77" in outcome.message


async def test_a_row_that_the_server_fails_on_hides_nothing_else(city: City) -> None:
    """Its author is really gone (recording 343): every list that holds it is a server error as long as authors are asked for."""
    proposals = city.site.database.tables["proposals"]
    own = int(city.some()[0])
    city.site.database.tables["users"].by_id.pop(proposals.by_id[own].author or 0)
    outcome = await city.pull()
    assert outcome.outcome == "done", outcome.message
    known = {row[:2] for row in city.stored()["proposals"]}
    assert known == {row[:2] for row in city.truth()["proposals"]}


@pytest.mark.parametrize("kind", ["503", "500"])
async def test_threads_that_could_not_be_read_are_read_next_time(city: City, kind: str) -> None:
    """Their new number is stored already, so that no sweep shows them as changed any more."""
    await city.pull()
    city.site.change("comment", id=city.some()[0])
    city.clock.advance(HOUR)
    city.site.plant(Fault(kind=kind, body="CommentsOf", times=None))
    assert (await city.pull()).outcome == "incomplete"
    city.site.plant()
    city.clock.advance(HOUR)
    await city.pull()
    assert not city.differences()
