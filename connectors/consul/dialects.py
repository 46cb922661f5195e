"""CONSUL's three dialects: what they are called, what they cost, and every GraphQL document the reader can send.

Facts: docs/platforms/consul.md 0 (dialects), 3 (paging and limits). Nothing here talks to the network.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LIGHT = {
    "proposals": ("id", "cachedVotesUp", "commentsCount", "retiredAt"),
    "debates": ("id", "cachedVotesUp", "cachedVotesDown", "commentsCount"),
    "comments": ("id",),
    "investments": ("id", "commentsCount", "feasibility", "price"),
    "budgets": ("id", "name", "phase"),
    "geozones": ("id", "name"),
    "votes": ("id",),
}
"""The fields of a light sweep by collection: what changes when something happens to a row, and nothing dear."""

_AUTHOR = "publicAuthor{id}"
_AUTHOR_NAMED = "publicAuthor{id username}"
RECORD = {
    "proposals": (
        *("id", "title", "summary", "description", "videoUrl", "cachedVotesUp", "commentsCount", "publicCreatedAt"),
        *("retiredAt", "retiredReason", "geozoneId"),
    ),
    "debates": ("id", "title", "description", "cachedVotesUp", "cachedVotesDown", "commentsCount", "publicCreatedAt"),
    "comments": (
        *("id", "body", "ancestry", "commentableId", "commentableType", "publicCreatedAt", "cachedVotesUp"),
        "cachedVotesDown",
    ),
    "investments": ("id", "title", "description", "location", "feasibility", "price", "commentsCount"),
    "budgets": ("id", "name", "phase"),
    "geozones": ("id", "name"),
    "votes": ("id", "votableId", "votableType", "voteFlag", "publicCreatedAt"),
}
"""The fields of a whole record. `retiredExplanation` is left out: alone it costs the server more than all the rest."""

TEXTS = {
    "proposals": ("title", "summary", "description"),
    "debates": ("title", "description"),
    "investments": ("title", "description"),
}
"""What a row says in each language."""

TAGGED = frozenset({"proposals", "debates"})
ANSWERED = frozenset({"proposals", "investments"})
"""What carries tags, and what has milestones."""
SHORT = {"tags": 10, "milestones": 5}
"""How many of these a row is asked for at first; who has as many is asked again for all of them (dialect C)."""
_NESTED = {"tags": "id name kind", "milestones": "id title description publicationDate"}

_AUTHORED = frozenset({"proposals", "debates", "comments", "investments"})
SINGULAR = {
    "proposals": "proposal",
    "debates": "debate",
    "comments": "comment",
    "investments": "investment",
    "budgets": "budget",
    "geozones": "geozone",
    "votes": "vote",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One of A (to 1.4.1), B (1.5.0 to 2.2.0) and C (2.2.1 and later)."""

    name: str
    page: int | None
    """Most rows in a page; None: as many as are asked for."""
    light_pages: int
    """How many light pages fit into one request."""
    snake: bool = False
    collections: tuple[str, ...] = ("proposals", "debates", "geozones")
    variables_as_text: bool = False
    by_id: int = 40
    """How many single records are asked for in one request."""


A = Dialect("A", 50, 2, snake=True, variables_as_text=True, by_id=40)
B = Dialect("B", None, 1)
C = Dialect("C", 25, 22, collections=("proposals", "debates", "geozones", "budgets", "investments"))
DIALECTS = {each.name: each for each in (A, B, C)}
B_RECORDS = 300
"""Rows of one record request in dialect B: it has no limit of its own, and a proxy in front may have one of 60 seconds."""
MAX_COMPLEXITY = 2500


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked of each row of a collection."""

    collection: str
    light: bool = False
    tags: bool = False
    milestones: bool = False
    names: bool = False
    only: tuple[str, ...] = ()
    """These fields and the id, nothing else."""
    part: str = ""
    """Only a page of these, tags or milestones, and the id."""
    after: int = 0
    """How many of them were read before."""
    anonymous: bool = False
    """Without the author: a row whose author is really gone is a server error as long as it is asked for (docs/platforms/consul.md 4.2)."""

    def fields(self, dialect: Dialect) -> str:
        """The selection of one row."""
        if self.part:
            after = f', after:"{cursor_at(self.after)}"' if self.after else ""
            call = f"{self.part}(first:{dialect.page or 100}{after})"
            return f"id {_connection(call, _NESTED[self.part], dialect, paged=True)}"
        if self.only:
            text = " ".join(("id", *self.only))
            return _snake(text) if dialect.snake else text
        parts = list((LIGHT if self.light else RECORD)[self.collection])
        if not self.light and not self.anonymous and self.collection in _AUTHORED:
            parts.append(_AUTHOR_NAMED if self.names else _AUTHOR)
        if self.tags and not self.light:
            parts.append(_connection(f"tags{_first(dialect, SHORT['tags'])}", _NESTED["tags"], dialect))
        if self.milestones and not self.light and dialect is C:
            parts.append(_connection(f"milestones(first:{SHORT['milestones']})", _NESTED["milestones"], dialect))
        text = " ".join(parts)
        return _snake(text) if dialect.snake else text

    def cost(self) -> int:
        """Complexity of one row (docs/platforms/consul.md 3.3)."""
        if self.part:
            return 110
        if self.only:
            return 1 + len(self.only)
        own = len((LIGHT if self.light else RECORD)[self.collection])
        if self.light:
            return own
        author = (3 if self.names else 2) if self.collection in _AUTHORED else 0
        return own + author + (32 if self.tags else 0) + (22 if self.milestones else 0)

    def pages_per_request(self, dialect: Dialect) -> int:
        """How many pages of this shape fit into one request."""
        if dialect.page is None:
            return 1
        if dialect is A:
            return 1 if self.tags else 2
        page = dialect.page * self.cost() + 5 + (2 if self.collection == "investments" else 0)
        return max(1, min(dialect.light_pages, (MAX_COMPLEXITY - 20) // page))


def cursor_at(offset: int) -> str:
    """The cursor after `offset` rows: unpadded base64 of the number (docs/platforms/consul.md 3.1)."""
    return base64.urlsafe_b64encode(str(offset).encode()).decode().rstrip("=")


def pages_document(
    dialect: Dialect, parts: Iterable[tuple[str, Shape, int, int | None]], budget: str | None = None
) -> str:
    """A document of several pages: (alias, shape, offset, rows) each."""
    lines: list[str] = []
    for alias, shape, offset, rows in parts:
        arguments = [f"first:{rows}"] if rows is not None else []
        if offset:
            arguments.append(f'after:"{cursor_at(offset)}"')
        call = f"{shape.collection}({', '.join(arguments)})" if arguments else shape.collection
        selection = _connection(call, shape.fields(dialect), dialect, paged=True)
        if shape.collection == "investments":
            # A budget's `investments` are those of all published budgets (docs/platforms/consul.md 4.4): asked once.
            selection = f'budget(id:"{budget}"){{{selection}}}'
        lines.append(f"{alias}:{selection}")
    return "query Pages{" + " ".join(lines) + "}"


def by_id_document(dialect: Dialect, shape: Shape, ids: Sequence[str], budget: str | None = None) -> str:
    """A document of single records, alias `r<position>`. One unknown id makes B and C answer 404 to all of them."""
    name = SINGULAR[shape.collection]
    fields = shape.fields(dialect)
    parts = [f'r{position}:{name}(id:"{each}"){{{fields}}}' for position, each in enumerate(ids)]
    if shape.collection == "investments":
        return f'query Records{{budget(id:"{budget}"){{{" ".join(parts)}}}}}'
    return "query Records{" + " ".join(parts) + "}"


def comments_of_document(
    dialect: Dialect,
    targets: Sequence[tuple[str, str, int]],
    names: bool,
    budget: str | None = None,
    *,
    anonymous: bool = False,
) -> str:
    """A page of comments of several proposals, debates or investments: (collection, id, offset) each, alias `t<position>`.

    Investments are asked for below any published budget (docs/platforms/consul.md 10b).
    """
    fields = Shape("comments", names=names, anonymous=anonymous).fields(dialect)
    parts: list[str] = []
    for position, (collection, each, offset) in enumerate(targets):
        after = f', after:"{cursor_at(offset)}"' if offset else ""
        call = f"comments(first:{dialect.page}{after})" if dialect.page else "comments"
        selection = _connection(call, fields, dialect, paged=True)
        one = f'{SINGULAR[collection]}(id:"{each}"){{{selection}}}'
        parts.append(
            f't{position}:budget(id:"{budget}"){{{one}}}' if collection == "investments" else f"t{position}:{one}"
        )
    return "query CommentsOf{" + " ".join(parts) + "}"


def written_by_document(dialect: Dialect, person: str, offset: int) -> str:
    """Everything of one person's, what was moderated away too, alias `w<position>` (docs/platforms/consul.md 4.3)."""
    rows = dialect.page or 5000
    parts: list[str] = []
    for position in range(written_by_pages(dialect)):
        at = offset + position * rows
        after = f', after:"{cursor_at(at)}"' if at else ""
        call = f"w{position}:publicProposals(first:{rows}{after})"
        parts.append(_connection(call, "id description", dialect, paged=True))
    text = f'query WrittenBy{{user(id:"{person}"){{{" ".join(parts)}}}}}'
    return text.replace("publicProposals", "public_proposals") if dialect.snake else text


def written_by_pages(dialect: Dialect) -> int:
    """How many pages of one person's proposals fit into one request."""
    return {"A": 1, "B": 1, "C": 20}[dialect.name]


FINGERPRINT = '{__schema{queryType{name}} __type(name:"Budget"){name}}'
"""Tells A (`QueryType`) from B and C (`Query`), and C (has `Budget`) from B."""

ALIVE = "{__typename}"


def extras_document(dialect: Dialect) -> str:
    """Whether the site has tags and milestones at all, and its budgets."""
    tags = _connection("tags(first:1)", "id", dialect)
    more = (
        " milestones(first:1){nodes{id}} budgets(first:25){nodes{id name phase} pageInfo{hasNextPage}}"
        if dialect is C
        else ""
    )
    return "query Extras{" + tags + more + "}"


def documents(dialect: Dialect) -> dict[str, str]:
    """Every kind of document this dialect can be sent, at its largest, for the tests."""
    result = {"fingerprint": FINGERPRINT, "alive": ALIVE, "extras": extras_document(dialect)}
    light = [*dialect.collections, "comments"]
    count = dialect.light_pages if dialect.page else 1
    rows = dialect.page
    for collection in light:
        shape = Shape(collection, light=True)
        parts = [(f"p{i}", shape, i * (rows or 0), rows) for i in range(count)]
        result[f"light {collection}"] = pages_document(dialect, parts, "1")
    for collection in (*light, *(("votes",) if dialect is not A else ())):
        for tags, milestones, names in (
            (False, False, False),
            (True, True, True),
            (True, False, True),
            (False, False, True),
        ):
            shape = Shape(
                collection,
                tags=tags and collection in TAGGED,
                milestones=milestones and collection in ANSWERED and dialect is C,
                names=names,
            )
            each = rows or B_RECORDS
            parts = [(f"p{i}", shape, i * each, each) for i in range(shape.pages_per_request(dialect))]
            result[f"records {shape}"] = pages_document(dialect, parts, "1")
            if collection != "votes":
                ids = [str(i) for i in range(ids_per_request(dialect, shape))]
                result[f"by id {shape}"] = by_id_document(dialect, shape, ids, "1")
    for name, fields in TEXTS.items():
        if name in dialect.collections:
            only = Shape(name, only=fields)
            ids = [str(i) for i in range(ids_per_request(dialect, only))]
            result[f"second question {only}"] = by_id_document(dialect, only, ids, "1")
    only = Shape("proposals", only=("retiredExplanation",))
    if dialect is C:
        for part, carriers in (("tags", TAGGED), ("milestones", ANSWERED)):
            for collection in sorted(carriers):
                rest = Shape(collection, part=part, after=25)
                ids = [str(i) for i in range(ids_per_request(dialect, rest))]
                result[f"all {part} of {collection}"] = by_id_document(dialect, rest, ids, "1")
    result["reasons"] = by_id_document(dialect, only, [str(i) for i in range(ids_per_request(dialect, only))])
    targets = [("proposals", str(i), 25) for i in range(targets_per_request(dialect))]
    result["written by"] = written_by_document(dialect, "32", 25)
    result["comments of"] = comments_of_document(dialect, targets, names=True)
    if dialect is C:
        targets = [("investments", str(i), 25) for i in range(targets_per_request(dialect))]
        result["comments of investments"] = comments_of_document(dialect, targets, True, "1")
    return result


def ids_per_request(dialect: Dialect, shape: Shape) -> int:
    """How many single records fit into one request."""
    if dialect is A and shape.tags:
        return 2
    most = 5 * dialect.by_id if shape.only or shape.light or shape.collection == "comments" else dialect.by_id
    return max(1, min(most, (MAX_COMPLEXITY - 20) // (shape.cost() + 2)))


def targets_per_request(dialect: Dialect) -> int:
    """Of how many proposals the comments fit into one request."""
    return {"A": 2, "B": 20, "C": 7}[dialect.name]


def _first(dialect: Dialect, few: int) -> str:
    """As many as the dialect gives for nothing: only in C is a nested list dear by its length (docs/platforms/consul.md 3.3)."""
    return f"(first:{few})" if dialect is C else f"(first:{dialect.page})" if dialect.page else ""


def _connection(call: str, fields: str, dialect: Dialect, *, paged: bool = False) -> str:
    page = " pageInfo{hasNextPage endCursor}" if paged else ""
    rows = f"edges{{node{{{fields}}}}}" if dialect.snake else f"nodes{{{fields}}}"
    return f"{call}{{{rows}{page}}}"


_SNAKE = {
    "cachedVotesUp": "cached_votes_up",
    "cachedVotesDown": "cached_votes_down",
    "commentsCount": "comments_count",
    "retiredAt": "retired_at",
    "retiredReason": "retired_reason",
    "retiredExplanation": "retired_explanation",
    "videoUrl": "video_url",
    "publicCreatedAt": "public_created_at",
    "geozoneId": "geozone_id",
    "publicAuthor": "public_author",
    "commentableId": "commentable_id",
    "commentableType": "commentable_type",
}


def _snake(text: str) -> str:
    for camel, snake in _SNAKE.items():
        text = text.replace(camel, snake)
    return text


CAMEL = {snake: camel for camel, snake in _SNAKE.items()}
"""Snake-case names of dialect A back to the names the mapping knows."""
