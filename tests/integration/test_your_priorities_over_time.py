"""How many light runs it takes until the database says what a Your Priorities says, after each kind of change; never a full run.

What lists, feeds and group pages show is there in one run; all else within the age that the admin allows (24 h: 25 runs an hour apart).
The comparison is with everything that the sandbox holds and the interface shows.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from civicsync.config.load import load
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.your_priorities.sandbox import YourPrioritiesSandbox
from civicsync.core.clock import FakeClock
from civicsync.sync.pull.run import Options, Puller, PullOutcome

HOUR = 3600
BOUND = 25
"""Light runs an hour apart within `confirm_within`."""
Truth = dict[str, set[tuple[Any, ...]]]


class City:
    """A sandbox, and light runs that read it into a database."""

    def __init__(self, engine: Engine, folder: Path, *, size: int = 40, more: str = "") -> None:
        self.clock, self.engine = FakeClock(), engine

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)

        self.site = YourPrioritiesSandbox(size=size, seed=5, clock=self.clock.now, sleep=sleep)
        file = folder / "civicsync.yaml"
        file.write_text(
            "civicsync: 1\noperator: {name: test, contact: t@example.org}\nprivacy: {key: '${KEY}'}\n"
            "safety: {max_gone_percent: 100}\n"
            "instances:\n  toy: {platform: your-priorities, url: 'http://127.0.0.1:9', full_every: 3650d" + more + "}\n"
        )
        self.config = load(file, {"KEY": "k" * 64})

    async def pull(self, **options: Any) -> PullOutcome:
        outcome = await Puller(self.config, self.engine, self.clock, backends={"toy": self.site}).pull(
            "toy", Options(**options)
        )
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
        return {
            "proposals": {
                (*row[:-1], _words(row[-1]))
                for row in self.rows(
                    "SELECT p.remote_id, p.space_key, p.title, p.state, p.supports, p.opposes, p.comments, "
                    "p.author IS NOT NULL, t.plain "
                    f"FROM proposal p LEFT JOIN proposal_text t ON t.proposal_key = p.key {there}"
                )
            },
            "comments": {
                (*row[:-1], _words(row[-1]))
                for row in self.rows(
                    f"SELECT p.remote_id, p.target_key, p.parent_key, p.supports, p.opposes, p.plain FROM comment p {there}"
                )
            },
            "voices": {_voices([row[1] for row in self.rows(f"SELECT p.key, p.author FROM comment p {there}")])},
            "answers": self.rows(f"SELECT p.remote_id, p.target_key FROM answer p {there}"),
            "spaces": self.rows(f"SELECT p.kind, p.remote_id, p.name FROM space p {there}"),
            "categories": self.rows(f"SELECT p.remote_id, p.name, p.space_key FROM category p {there}"),
            "carried": self.rows(
                "SELECT p.remote_id, c.category_key FROM proposal p "
                f"JOIN proposal_category c ON c.proposal_key = p.key {there}"
            ),
        }

    def truth(self) -> Truth:
        found = self.site.truth()
        public = {name: [row for row in rows if row["public"]] for name, rows in found.items()}
        return {
            "proposals": {
                (
                    row["id"],
                    f"toy/{row['space']}",
                    *(row[name] for name in ("title", "state", "supports", "opposes", "comments")),
                    row["author"] is not None,
                    _words(row["text"]),
                )
                for row in public["proposals"]
            },
            "comments": {
                (
                    row["id"],
                    f"toy/{row['target']}",
                    row["parent"] and f"toy/{row['parent']}",
                    row["supports"],
                    row["opposes"],
                    _words(row["body"]),
                )
                for row in public["comments"]
            },
            "voices": {_voices([row["author"] for row in public["comments"]])},
            "answers": {(row["id"], f"toy/{row['target']}") for row in public["answers"]},
            "spaces": {(row["kind"], row["id"], row["name"]) for row in public["spaces"]},
            "categories": {(row["id"], row["name"], f"toy/{row['space']}") for row in public["categories"]},
            "carried": {
                (row["id"], f"toy/category/{row['category']}") for row in public["proposals"] if row["category"]
            },
        }

    def differences(self) -> dict[str, list[Any]]:
        stored, truth = self.stored(), self.truth()
        found = {name: sorted(stored[name] ^ truth[name], key=str)[:6] for name in truth}
        return {name: rows for name, rows in found.items() if rows}

    def one(self, **wanted: Any) -> str:
        """A public post of group 1."""
        rows = [row for row in self.site.truth()["proposals"] if row["public"] and row["space"] == "group/1"]
        return next(row["id"] for row in rows if all(row[name] == value for name, value in wanted.items()))

    def argument(self) -> str:
        """A public argument in group 1 that others stand beside."""
        inside = {row["id"] for row in self.site.truth()["proposals"] if row["public"] and row["space"] == "group/1"}
        rows = [
            row for row in self.site.truth()["comments"] if row["public"] and row["target"].partition("/")[2] in inside
        ]
        return str(rows[len(rows) // 2]["id"])

    def answer(self) -> str:
        """A public official text."""
        return str(next(row["id"] for row in self.site.truth()["answers"] if row["public"]))


def _voices(authors: list[str]) -> tuple[int, ...]:
    """How many arguments each author has, whoever they are."""
    return tuple(sorted(Counter(authors).values()))


def _words(value: str | None) -> str:
    """The first ones: answers to a group's questions follow, and what nobody sees is cleaned, which is judged elsewhere."""
    return " ".join((value or "").split())[:30]


@pytest.fixture
def city(sqlite: Engine, tmp_path: Path) -> City:
    return City(sqlite, tmp_path)


Act = Callable[[City], Any]


def _post(op: str, **options: Any) -> Act:
    return lambda city: city.site.change(op, id=city.one(state="open"), **options)


def _argument(op: str, **options: Any) -> Act:
    return lambda city: city.site.change(op, id=city.argument(), **options)


def _site(op: str, **options: Any) -> Act:
    return lambda city: city.site.change(op, **options)


def _swapped(city: City) -> None:
    own = city.argument()
    row = city.site.database.points[int(own)]
    city.site.change("hide_comment", id=own)
    city.site.change("comment", id=row["post_id"])


def _new_group(city: City) -> None:
    group = city.site.change("add_group", name="Nýr hópur")
    city.site.change("add_proposal", title="Fyrsta", group=group)
    city.site.change("category", name="Fyrsti flokkur", group=group)


LIGHT: dict[str, Act] = {
    "new": _site("add_proposal", title="Alveg ný"),
    "edited": _post("edit", title="Annar titill", description="Annar texti."),
    "supported": _post("support", times=4),
    "unsupported": _post("support", times=-1),
    "opposed": _post("oppose"),
    "commented": _post("comment"),
    "argument blocked, another written": _swapped,
    "blocked": _post("hide"),
    "withdrawn": _post("withdraw"),
    "answered": _post("answer"),
    "answered with a text alone": _post("answer_text"),
    "odd status": _post("odd_status"),
    "moved": _post("move_post", group=12),
    "category new": _site("category", name="Alveg nýr"),
    "category renamed": _site("edit_category", id=1, name="Annað"),
    "category removed": _site("remove_category", id=1),
    "group new": _new_group,
    "group renamed": _site("rename_group", group=1),
    "community renamed": _site("rename_community", community=1),
    "group closed": _site("lose_permission", group=1),
    "group deleted": _site("delete_group", group=2),
    "group secret": lambda city: city.site.database.groups[12].update(access=2),
    "community closed": _site("community_access", community=2, access=1),
    "debate hidden": _site("configure", group=1, hideDebate=True),
    "votes hidden": _site("configure", group=1, hideVoteCount=True),
}
SLOW: dict[str, Act] = {
    "argument edited": _argument("edit_comment", body="Allt annað."),
    "argument answered": _argument("reply"),
    "argument blocked": _argument("hide_comment"),
    "argument deleted": _argument("delete_comment"),
    "argument found helpful": _argument("rate_comment", up=2, down=1),
    "official text taken back": lambda city: city.site.change("retract_answer", id=city.answer()),
    "account deleted": _post("erase_author"),
    "site renamed": _site("rename_domain"),
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


async def test_who_was_anonymised_is_nobody_s_author_after_a_day(city: City) -> None:
    await city.pull()
    own = city.argument()
    [(who,)] = city.rows(f"SELECT author FROM comment WHERE remote_id = '{own}'")
    author = city.site.database.points[int(own)]["user_id"]
    post = next(row["id"] for row in city.site.database.posts.values() if row["user_id"] == author)
    city.site.change("anonymize", id=post)
    for _ in range(BOUND):
        city.clock.advance(HOUR)
        await city.pull()
    for table in ("comment", "proposal"):
        assert not city.rows(f"SELECT key FROM {table} WHERE author = '{who}' AND gone_at IS NULL")
    assert not city.differences()


async def test_all_at_once_are_there_within_a_day(city: City) -> None:
    await city.pull()
    for change in (
        SLOW | {name: LIGHT[name] for name in ("new", "blocked", "moved", "answered", "group deleted")}
    ).values():
        change(city)
    assert await city.runs_until_true() <= BOUND


@pytest.mark.parametrize(
    ("away", "back"),
    [
        (_site("lose_permission", group=1), _site("regain_permission", group=1)),
        (_site("delete_group", group=2), _site("restore_group", group=2)),
        (_site("community_access", community=2), _site("community_access", community=2, access=0)),
        (_site("configure", group=1, hideDebate=True), _site("configure", group=1, hideDebate=False)),
    ],
)
async def test_what_was_closed_comes_back_whole(city: City, away: Act, back: Act) -> None:
    """Posts, arguments, official texts of the past and categories: a group that is open again tells all of it in one run."""
    await city.pull()
    away(city)
    assert await city.runs_until_true(1) == 1
    back(city)
    assert city.differences()
    assert await city.runs_until_true(1) == 1


async def test_a_blocked_post_or_argument_that_is_approved_is_back(city: City) -> None:
    await city.pull()
    own, argument = city.one(state="accepted"), city.argument()
    city.site.change("hide", id=own)
    city.site.change("hide_comment", id=argument)
    await city.runs_until_true()
    city.site.change("restore", id=own)
    city.site.change("restore_comment", id=argument)
    await city.runs_until_true()


async def test_lost_permission_keeps_what_was_read_and_asks_for_nothing_in_it(city: City) -> None:
    await city.pull()
    before, notes = city.stored(), list[str]()
    city.site.change("community_access", community=1)
    city.site.change("domain_access")
    for _ in range(BOUND + 2):
        city.clock.advance(HOUR)
        outcome = await city.pull()
        assert city.stored() == before
        assert outcome.requests < 40
        notes += outcome.notes
    assert any("may not be read" in note for note in notes)
    city.site.change("community_access", community=1, access=0)
    city.site.change("domain_access", access=0)
    await city.runs_until_true()


async def test_an_unchanged_light_run_costs_what_it_did_and_a_few(sqlite: Engine, tmp_path: Path) -> None:
    city = City(sqlite, tmp_path, size=240)
    await city.pull()
    city.site.reset_stats()
    city.clock.advance(HOUR)
    await city.pull(spaces=("domain/1",))
    plain = len(list(city.site.stats.log))
    for _ in range(4):
        city.clock.advance(HOUR)
        assert (await city.pull()).requests <= plain + max(5, 240 // 20 + 5)
    assert not city.differences()


async def test_only_the_spaces_that_are_named_are_read(sqlite: Engine, tmp_path: Path) -> None:
    city = City(sqlite, tmp_path, more=", spaces: [group/12]")
    await city.pull()
    assert {row[1] for row in city.stored()["proposals"]} == {"toy/group/12"}
    for _ in range(3):
        city.clock.advance(HOUR)
        assert (await city.pull()).outcome == "done"
    assert not city.rows("SELECT remote_id FROM proposal WHERE gone_at IS NOT NULL")


async def test_a_group_that_the_server_fails_on_is_named_and_the_rest_is_true(city: City) -> None:
    await city.pull()
    city.site.plant(Fault("500", "/api/groups/2$", times=None))
    city.site.change("add_proposal", title="Í öðrum hópi", group=12)
    city.site.change("hide_comment", id=city.argument())
    for _ in range(BOUND):
        city.clock.advance(HOUR)
        outcome = await city.pull()
        assert outcome.outcome == "incomplete" and "group/2 could not be read" in outcome.message
    assert not city.differences()
