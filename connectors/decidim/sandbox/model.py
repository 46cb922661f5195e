"""The sandbox's database: spaces, components, proposals, comments, and when their time of change moves.

What moves `updatedAt` differs between releases (docs/platforms/decidim.md 2); nothing here knows GraphQL or HTTP.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ...testing.sandbox.city import City

Translated = dict[str, Any]
"""Text per locale, and whether a machine made it."""
LOCALES = ("nl", "en")


@dataclass(slots=True, eq=False)
class Comment:
    """A comment or a reply."""

    id: int
    body: str
    author: int
    created_at: datetime
    target: "Proposal"
    parent: "Comment | None" = None
    depth: int = 0
    alignment: int = 0
    ups: int = 0
    downs: int = 0
    hidden: bool = False
    deleted: bool = False
    children: "list[Comment]" = field(default_factory=list["Comment"])

    @property
    def is_shown(self) -> bool:
        """Whether it stands in the public tree: neither it nor what it answers is hidden or deleted."""
        return not (self.hidden or self.deleted) and (self.parent is None or self.parent.is_shown)


@dataclass(slots=True, eq=False)
class Proposal:
    """A proposal, amendment, debate or project (`kind`)."""

    id: int
    kind: str
    component: "Component"
    title: Translated
    body: Translated
    created_at: datetime
    updated_at: datetime
    author: int | None = None
    answer: Translated = field(default_factory=dict[str, Any])
    state: str | None = None
    state_published: bool = True
    answered_at: datetime | None = None
    withdrawn_at: datetime | None = None
    published_at: datetime | None = None
    versions: int = 1
    voters: set[int] = field(default_factory=set[int])
    votes: int = 0
    likes: int = 0
    official: bool = False
    meeting: int | None = None
    hidden: bool = False
    draft: bool = False
    deleted: bool = False
    amends: "Proposal | None" = None
    address: str | None = None
    place: tuple[float, float] | None = None
    groups: list[int] = field(default_factory=list[int])
    scope: int | None = None
    cost: float | None = None
    cost_report: Translated = field(default_factory=dict[str, Any])
    execution_period: Translated = field(default_factory=dict[str, Any])
    amount: int | None = None
    selected: bool = False
    budget: int | None = None
    votes_hidden: bool = False
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields as they were recorded, for what is not simulated."""
    comments: list[Comment] = field(default_factory=list[Comment])

    @property
    def all_comments(self) -> Iterator[Comment]:
        """All comments, replies included."""
        waiting = list(self.comments)
        while waiting:
            comment = waiting.pop(0)
            yield comment
            waiting[:0] = comment.children

    @property
    def count(self) -> int:
        """What `totalCommentsCount` says."""
        return sum(1 for comment in self.all_comments if not comment.hidden and not comment.deleted)


@dataclass(slots=True)
class Rules:
    """What an administrator sets for a component of proposals; the defaults are the platform's own."""

    creation: bool = True
    official: bool = True
    verification: bool = False
    longest: int = 500
    limit: int | None = None
    edit_minutes: int | None = 5
    votes: bool = True
    votes_limit: int | None = None
    comments: bool = True
    longest_comment: int = 1000
    geocoding: bool = False
    answers_at_once: bool = True
    hashtag: bool = False
    rich: bool = False
    amendments_for_participants: bool = False


@dataclass(slots=True, eq=False)
class Component:
    """A component of a space."""

    id: int
    kind: str
    name: Translated
    space: "Space"
    updated_at: datetime
    published: bool = True
    trashed: bool = False
    votes_hidden: bool = False
    rules: Rules = field(default_factory=Rules)
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    rows: list[Proposal] = field(default_factory=list[Proposal])


@dataclass(slots=True, eq=False)
class Space:
    """A participatory process or assembly."""

    id: int
    kind: str
    slug: str
    title: Translated
    published: bool = True
    private: bool = False
    steps: list[int] = field(default_factory=lambda: [1, 2])
    active: int = 1
    """The step that is active: activating another one moves the time of the process, and of nothing in it."""
    updated_at: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    components: list[Component] = field(default_factory=list[Component])


class Database:
    """One organization."""

    def __init__(self) -> None:
        self.spaces: list[Space] = []
        self.components: dict[int, Component] = {}
        self.proposals: dict[str, dict[int, Proposal]] = {"proposal": {}, "debate": {}, "project": {}}
        self.comments: dict[int, Comment] = {}
        self.deleted_users: set[int] = set()
        self.taxonomies: dict[int, str] = dict(enumerate(("Groen", "Verkeer", "Cultuur", "Wonen"), 1))
        """Taxonomies by their number, categories up to 0.29; from 0.31 on the organization lists them below the root."""

    def add_space(self, space: Space) -> Space:
        """A new space."""
        self.spaces.append(space)
        return space

    def add_component(self, component: Component) -> Component:
        """A new component of its space."""
        component.space.components.append(component)
        self.components[component.id] = component
        return component

    def add(self, row: Proposal) -> Proposal:
        """A new proposal, debate or project, in the order of ids."""
        row.component.rows.append(row)
        kind = "proposal" if row.kind == "amendment" else row.kind
        self.proposals[kind][row.id] = row
        return row

    def add_comment(self, comment: Comment) -> Comment:
        """A new comment below its target or parent."""
        (comment.parent.children if comment.parent else comment.target.comments).append(comment)
        self.comments[comment.id] = comment
        return comment


def populate(database: Database, city: City, size: int, *, comments_each: float, plain: bool) -> None:
    """Fill a database with a city; `plain`: one process with one component, for measuring."""
    start = city.moment(0)
    process = database.add_space(Space(1, "process", "wijk-west", _both("Wijk West", "West District")))
    main = database.add_component(Component(1, "Proposals", _both("Voorstellen", "Proposals"), process, start))
    for i in range(1, size + 1):
        _proposal(database, city, i, main, plain)
    for i in range(1, int(size * comments_each) + 1):
        _comment(database, city, i, main.rows[(i * 13) % size])
    if plain:
        return
    _more_spaces(database, city, process, size)
    _budgets(database, city, process, size)
    _debates(database, city, process, size)


def _both(nl: str, en: str) -> Translated:
    return {"nl": (nl, False), "en": (en, False)}


def _proposal(database: Database, city: City, i: int, component: Component, plain: bool) -> None:
    locale = city.locale(i)
    locale = locale if locale in LOCALES else "nl"
    title: Translated = {locale: (city.title(i, locale), False)}
    html = i % 3 == 0
    body: Translated = {locale: (city.body(i, locale, html=html), False)}
    if i % 4 == 0:
        other = "en" if locale == "nl" else "nl"
        title[other], body[other] = (city.title(i, other), i % 8 == 0), (city.body(i, other, html=html), i % 8 == 0)
    if i % 50 == 3:
        body[locale] = (
            f"{body[locale][0]}\n\ngid://decidim/Decidim::Hashtag/3/_Groen gid://decidim/Decidim::User/9",
            False,
        )
    created = city.moment(i)
    row = Proposal(
        i, "proposal", component, title, body, created, created + timedelta(hours=i % 90), author=1 + i * 31 % 500
    )
    row.votes, row.likes, row.groups = 1 + i * 7919 % 400, i % 40, [1 + i % 4]
    if not plain:
        _fate(row, i)
    database.add(row)
    if not plain and i % 45 == 20:
        row.kind, row.amends, row.state = "amendment", database.proposals["proposal"].get(i - 1), "evaluating"
        row.withdrawn_at = None


def _fate(row: Proposal, i: int) -> None:
    row.hidden, row.draft, row.deleted = i % 41 == 7, i % 83 == 9, i % 67 == 5
    row.official = i % 19 == 4
    if row.official:
        row.author = None
    if i % 37 == 6:
        row.meeting, row.author = 3, None
    if i % 6 == 1:
        row.state = ("evaluating", "accepted", "rejected", "in_study")[(i // 6) % 4]
        row.answer = {"nl": (f"<p>Antwoord {i}</p>", False)}
        row.answered_at = row.updated_at
        row.state_published = i % 12 != 1
    if i % 29 == 8:
        row.withdrawn_at = row.updated_at
    if i % 9 == 2:
        row.address, row.place = f"Dorpsstraat {i}", (52.0 + i / 10_000, 4.3)


def _comment(database: Database, city: City, i: int, target: Proposal) -> None:
    before = [c for c in target.all_comments if c.depth < 3]
    parent = before[-1] if before and i % 3 == 0 else None
    comment = Comment(
        i,
        city.comment(i, "nl"),
        1 + i * 17 % 500,
        city.moment(i),
        target,
        parent,
        parent.depth + 1 if parent else 0,
        (-1, 0, 0, 1)[i % 4],
        i % 5,
        i % 3,
        hidden=i % 71 == 13,
    )
    database.add_comment(comment)


def _more_spaces(database: Database, city: City, process: Space, size: int) -> None:
    start = city.moment(0)
    assembly = database.add_space(Space(1, "assembly", "jeugdraad", _both("Jeugdraad", "Youth council")))
    ideas = database.add_component(
        Component(7, "Proposals", _both("Ideeën", "Ideas"), assembly, start, votes_hidden=True)
    )
    database.add_component(Component(8, "Proposals", _both("Nog niet", "Not yet"), process, start, published=False))
    database.add_component(Component(9, "Meetings", _both("Bijeenkomsten", "Meetings"), process, start))
    secret = database.add_space(Space(2, "process", "besloten", _both("Besloten", "Private"), private=True))
    hidden = database.add_component(Component(10, "Proposals", _both("Intern", "Internal"), secret, start))
    later = database.add_space(Space(3, "process", "later", _both("Later", "Later"), published=False))
    unpublished = database.add_component(Component(11, "Proposals", _both("Straks", "Soon"), later, start))
    for offset, component in ((100_000, ideas), (200_000, hidden), (300_000, unpublished)):
        for i in range(1, max(2, size // 20)):
            created = city.moment(i)
            title = {"nl": (city.title(i + 700, "nl"), False)}
            body = {"nl": (city.body(i + 700, "nl"), False)}
            database.add(
                Proposal(offset + i, "proposal", component, title, body, created, created, author=1 + i % 500, votes=i)
            )


def _budgets(database: Database, city: City, process: Space, size: int) -> None:
    component = database.add_component(Component(20, "Budgets", _both("Begroting", "Budget"), process, city.moment(0)))
    for i in range(1, max(2, size // 15)):
        title = {"nl": (city.title(i + 3000, "nl"), False)}
        body = {"nl": (city.body(i + 3000, "nl"), False)}
        row = Proposal(i, "project", component, title, body, city.moment(i), city.moment(i), votes=i * 3 % 70)
        row.amount, row.selected, row.budget, row.groups = 1000 * i, i % 4 == 0, 1 + i % 2, [1 + i % 4]
        _discussed(database, city, database.add(row), i % 3)


def _debates(database: Database, city: City, process: Space, size: int) -> None:
    component = database.add_component(Component(30, "Debates", _both("Debatten", "Debates"), process, city.moment(0)))
    for i in range(1, max(2, size // 15)):
        title = {"nl": (city.title(i + 5000, "nl"), False)}
        body = {"nl": (city.body(i + 5000, "nl"), False)}
        row = Proposal(i, "debate", component, title, body, city.moment(i), city.moment(i), author=1 + i % 500)
        _discussed(database, city, database.add(row), i % 5 * 2)


def _discussed(database: Database, city: City, row: Proposal, count: int) -> None:
    for _ in range(count):
        _comment(database, city, max(database.comments, default=0) + 1, row)


def any_text(text: Translated, locale: str) -> Any:
    """A text in a locale or else in any."""
    return text.get(locale, next(iter(text.values()), (None, False)))[0]
