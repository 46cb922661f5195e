"""The sandbox's database: tables without any order of their own, and what can happen to their rows.

Like PostgreSQL's heap: a row that is written moves, to a hole nearby or to the end; the nightly task rewrites everything
(docs/platforms/consul.md 3.2).
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ...testing.sandbox.city import PRIVATE, City

Texts = dict[str, Any]


@dataclass(slots=True, eq=False)
class Row:
    """One row of any table: its id, its texts by locale, and its columns."""

    id: int
    kind: str
    texts: Texts
    author: int | None
    created_at: datetime
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    hidden: bool = False

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name)


class Heap:
    """A table: rows in physical order."""

    def __init__(self, rng: random.Random) -> None:
        self.rows: list[Row] = []
        self.by_id: dict[int, Row] = {}
        self.version = 0
        self._rng = rng
        self._visible: tuple[int, list[Row]] = (-1, [])

    def add(self, row: Row) -> Row:
        """A new row at the end, or in a hole that vacuum found."""
        self.rows.append(row)
        self.by_id[row.id] = row
        self.version += 1
        return row

    def touch(self, row: Row, *, nearby: bool | None = None) -> None:
        """A write: the row moves a few places within its page, or to the end."""
        self.rows.remove(row)
        if nearby if nearby is not None else self._rng.random() < 0.3:
            self.rows.insert(self._rng.randint(0, min(len(self.rows), 14)), row)
        else:
            self.rows.append(row)
        self.version += 1

    def next_id(self) -> int:
        """The next number of the sequence."""
        return max(self.by_id, default=0) + 1

    def visible(self, rule: Callable[[Row], bool]) -> list[Row]:
        """The public rows in physical order."""
        if self._visible[0] != self.version:
            self._visible = (self.version, [row for row in self.rows if rule(row)])
        return self._visible[1]


TABLES = (
    "proposals",
    "debates",
    "comments",
    "users",
    "tags",
    "geozones",
    "votes",
    "notifications",
    "budgets",
    "investments",
    "milestones",
)


class Database:
    """All tables of one installation."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.tables = {name: Heap(self.rng) for name in TABLES}
        self.children: dict[tuple[str, int], list[Row]] = {}
        self.taggings: dict[tuple[str, int], list[Row]] = {}
        self.milestones_of: dict[tuple[str, int], list[Row]] = {}

    def __getattr__(self, name: str) -> Heap:
        return self.tables[name]

    def author_of(self, row: Row) -> Row | None:
        """The user who wrote a row."""
        return self.tables["users"].by_id.get(row.author) if row.author is not None else None

    def public(self, row: Row) -> bool:
        """Whether the interface shows a row in its collection (docs/platforms/consul.md 4.1)."""
        if row.hidden:
            return False
        if row.kind == "investment":
            return self._published(row["budget_id"])
        if row.kind == "budget":
            return bool(row["published"])
        if row.kind == "comment":
            return not row["valuation"] and self.public_target(row)
        if row.kind in {"milestone", "notification"}:
            target = self._row(row["target_type"] or "proposal", row["target_id"] or row["proposal_id"])
            return target is not None and self.public(target)
        if row.kind == "vote":
            target = self._row(row["votable"], row["votable_id"])
            return target is not None and row["votable"] != "investment" and self.public(target)
        return True

    def public_target(self, row: Row) -> bool:
        """Whether what a comment is about is public; topics and legislation never are."""
        if row["commentable_type"] == "Poll":
            return True
        kind = {"Proposal": "proposal", "Debate": "debate", "Budget::Investment": "investment"}.get(
            row["commentable_type"]
        )
        target = self._row(kind, row["commentable_id"]) if kind else None
        return target is not None and self.public(target)

    def _published(self, budget_id: Any) -> bool:
        budget = self.tables["budgets"].by_id.get(budget_id)
        return budget is not None and bool(budget["published"])

    def _row(self, kind: str | None, own: Any) -> Row | None:
        return self.tables[f"{kind}s"].by_id.get(own) if kind else None

    def comments_of(self, row: Row) -> list[Row]:
        """All comments on a row, replies included, flat."""
        return self.children.get((row.kind, row.id), [])

    def count_comments(self, row: Row) -> None:
        """The cached counter, made anew when a comment is hidden or restored."""
        row.values["comments_count"] = sum(1 for c in self.comments_of(row) if not c.hidden and not c["valuation"])

    def add_milestone(self, row: Row, title: str, date: str, now: datetime, locale: str = "nl") -> Row:
        """What the administration says about a proposal or an investment. It moves nothing of that row."""
        heap = self.tables["milestones"]
        text = {"title": title, "description": "<p>De gemeente gaat dit uitzoeken.</p>"}
        values = {"publication_date": date, "target_type": row.kind, "target_id": row.id}
        new = heap.add(Row(heap.next_id(), "milestone", {locale: text}, None, now, values))
        self.milestones_of.setdefault((row.kind, row.id), []).append(new)
        return new

    def dirty(self) -> None:
        """Something changed that decides what is public."""
        for heap in self.tables.values():
            heap.version += 1


def populate(database: Database, city: City, size: int, *, comments_each: float = 3.0, plain: bool = False) -> None:
    """Fill a database with a city."""
    people = max(20, min(size, 20_000) // 3)
    for i in range(1, people + 1):
        person = city.person(i)
        values = {
            "username": person.nickname if i % 53 else None,
            "public_activity": i % 7 != 0,
            "email": person.email,
            "phone": person.phone,
        }
        database.tables["users"].add(Row(i, "user", {}, None, city.moment(i), values, hidden=i % 97 == 0))
    for i, name in enumerate(("Centrum", "Noord", "Zuid", "Haven", "Oude Stad"), start=1):
        database.tables["geozones"].add(Row(i, "geozone", {}, None, city.moment(i), {"name": name}))
    labels = (("Mobiliteit", "Groen", "Cultuur", "Wonen"), ("fiets", "bomen", "spelen")) if not plain else ((), ())
    for i, name in enumerate(labels[0], start=1):
        database.tables["tags"].add(Row(i, "tag", {}, None, city.moment(i), {"name": name, "kind": "category"}))
    for i, name in enumerate(labels[1], start=5):
        database.tables["tags"].add(Row(i, "tag", {}, None, city.moment(i), {"name": name, "kind": None}))
    for i in range(1, size + 1):
        _proposal(database, city, i, people, plain)
    for i in range(1, 0 if plain else size // 10 + 1):
        _debate(database, city, i, people)
    if size and not plain:
        _budgets(database, city, size, people)
    comments = int(size * comments_each)
    for i in range(1, comments + 1):
        _comment(database, city, i, size, people, plain)
    for row in _commented(database):
        database.count_comments(row)
    _votes(database, city, min(size, 60), people)
    # A lived-in site: rows are not in the order of their ids.
    for heap in (database.tables["proposals"], database.tables["comments"]):
        for _ in range(len(heap.rows) // 50):
            heap.touch(heap.rows[database.rng.randrange(len(heap.rows))])


def _commented(database: Database) -> Iterator[Row]:
    for name in ("proposals", "debates", "investments"):
        yield from database.tables[name].rows


def _proposal(database: Database, city: City, i: int, people: int, plain: bool) -> None:
    locale = city.locale(i)
    text: dict[str, str | None] = {
        "title": city.title(i, locale),
        "summary": f"{city.title(i, locale)}.",
        "description": city.body(i, locale),
    }
    if i % 60 == 9:
        text["description"] = None
    created = city.moment(i)
    values: dict[str, Any] = {
        "video_url": "https://youtu.be/abc123" if i % 17 == 0 else None,
        "cached_votes_up": 1 + i * 7919 % 400,
        "comments_count": 0,
        "retired_at": created + timedelta(days=20, seconds=31) if i % 29 == 0 else None,
        "retired_reason": "duplicated" if i % 29 == 0 else None,
        "retired_explanation": "Al gevraagd." if i % 29 == 0 else None,
        "geozone_id": i % 6 or None,
        "published_at": created,
        "responsible_name": f"{PRIVATE} {i}",
    }
    if i % 37 == 5 and not plain and i % 29:
        values.update(cached_votes_up=0, published_at=None if i % 74 == 5 else created)
    row = Row(i, "proposal", {locale: text}, 1 + i * 31 % people, created, values, hidden=i % 43 == 11)
    database.tables["proposals"].add(row)
    tags = database.tables["tags"].by_id
    if plain:
        return
    database.taggings["proposal", i] = [tags[1 + i % 4], *([tags[5 + i % 3]] if i % 3 == 0 else [])]
    if i % 25 == 0:
        database.add_milestone(row, "Mijlpaal", "2025-03-01", created)


def _debate(database: Database, city: City, i: int, people: int) -> None:
    locale = city.locale(i)
    text = {"title": city.title(i + 5000, locale), "description": city.body(i + 5000, locale)}
    values = {"cached_votes_up": i % 50, "cached_votes_down": i % 11, "comments_count": 0}
    row = Row(i, "debate", {locale: text}, 1 + i % people, city.moment(i), values, hidden=i % 31 == 3)
    database.tables["debates"].add(row)
    database.taggings["debate", i] = [database.tables["tags"].by_id[1 + i % 7]]


def _budgets(database: Database, city: City, size: int, people: int) -> None:
    for own, name, published in ((1, "Burgerbegroting 2026", True), (2, "Concept 2027", False)):
        values = {"phase": "balloting" if published else "drafting", "published": published}
        database.tables["budgets"].add(Row(own, "budget", {"nl": {"name": name}}, None, city.moment(own), values))
    for i in range(1, size // 8 + 1):
        locale = city.locale(i)
        text = {"title": city.title(i + 9000, locale), "description": city.body(i + 9000, locale)}
        values = {
            "budget_id": 2 if i % 9 == 0 else 1,
            "location": "Marktplein 1" if i % 4 == 0 else None,
            "feasibility": ("undecided", "feasible", "unfeasible")[i % 3],
            "price": 1000 * i if i % 5 else None,
            "comments_count": 0,
        }
        row = Row(i, "investment", {locale: text}, 1 + i % people, city.moment(i), values, hidden=i % 37 == 7)
        database.tables["investments"].add(row)
        if i % 5 == 1:
            database.add_milestone(row, "Uitvoering", "2025-04-01", city.moment(i))


def _comment(database: Database, city: City, i: int, size: int, people: int, plain: bool) -> None:
    kinds = ("Proposal",) * 17 + ("Debate", "Budget::Investment", "Poll")
    kind = "Proposal" if plain else kinds[i % 20]
    own, heap = 0, None
    if kind == "Proposal":
        own, heap = 1 + i * 13 % max(size, 1), "proposals"
    elif kind == "Debate" and size >= 10:
        own, heap = 1 + i % (size // 10), "debates"
    elif kind == "Budget::Investment" and database.tables["investments"].rows:
        own, heap = 1 + i % len(database.tables["investments"].rows), "investments"
    elif kind == "Poll":
        own = 1
    if not own:
        return
    target = database.tables[heap].by_id[own] if heap else None
    before = database.comments_of(target) if target is not None else []
    parent = before[-1] if before and i % 4 == 0 else None
    ancestry = "/".join(filter(None, (parent["ancestry"], str(parent.id)))) if parent else None
    locale = city.locale(i)
    values = {
        "commentable_type": kind,
        "commentable_id": own,
        "ancestry": ancestry,
        "cached_votes_up": i % 9,
        "cached_votes_down": i % 4,
        "valuation": i % 101 == 0,
        "ip": f"192.0.2.{i % 250}",
    }
    text = {locale: {"body": city.comment(i, locale)}}
    row = Row(i, "comment", text, 1 + i * 17 % people, city.moment(i), values, hidden=i % 61 == 17)
    database.tables["comments"].add(row)
    if target is not None:
        database.children.setdefault((target.kind, target.id), []).append(row)


def _votes(database: Database, city: City, count: int, people: int) -> None:
    for i in range(1, count + 1):
        values = {"votable": "proposal", "votable_type": "Proposal", "votable_id": i, "vote_flag": True}
        database.tables["votes"].add(Row(i, "vote", {}, 1 + i % people, city.moment(i), values))
