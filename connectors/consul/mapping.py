"""CONSUL's nodes turned into records: an allow-list; whatever else an answer holds is dropped.

Nodes are dictionaries with dialect C's names (`normal` makes them from A and B). `docs/platforms/consul.md` 4.5 has what the values
look like.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import msgspec

from ...core.identity import Ref
from ...core.items import Item, MappingError
from ...core.records import (
    Answer,
    Area,
    Author,
    Category,
    Comment,
    Counters,
    Proposal,
    Record,
    Space,
    State,
    Text,
    Vote,
)
from ...core.text import plain_title, rich, simple
from ..contract.errors import EndlessList, Malformed
from ..contract.reading import Context
from ..contract.values import Unread, counted, flat, identity, inside, mapped, readable_moment, whole
from ..contract.values import moment as time_of
from .dialects import CAMEL, Dialect

MAPPING = b"consul-2"
TRANSLATIONS = "translations"
"""Where a node holds its texts in further languages, by language; `extras.py` puts them there."""
KIND = {"proposals": "proposal", "debates": "debate", "comments": "comment", "investments": "investment"}
_TARGETS = {"Proposal": "proposal", "Debate": "debate", "Budget::Investment": "investment"}
_FEASIBILITY = {"undecided": State.OPEN, "feasible": State.EVALUATING, "unfeasible": State.REJECTED}
_MOMENT = re.compile(r"^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2}) ?(UTC|Z|[+-]\d{2}:?\d{2})?$")
_COUNTS = frozenset({"cachedVotesUp", "cachedVotesDown", "commentsCount"})
_ALLOWED = frozenset(
    {
        *("id", "title", "summary", "description", "videoUrl", "cachedVotesUp", "cachedVotesDown", "commentsCount"),
        *("publicCreatedAt", "retiredAt", "retiredReason", "geozoneId", "body", "ancestry", "commentableId"),
        *("retiredExplanation", "commentableType", "location", "feasibility", "price", "name", "phase", "votableId"),
        *("votableType", "voteFlag"),
    }
)
_NESTED = {"tags": ("id", "name", "kind"), "milestones": ("id", "title", "description", "publicationDate")}


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a list. `holes`: rows that are null, which none is that is merely hidden; `nameless`: rows without a number."""

    rows: list[dict[str, Any]]
    holes: int
    nameless: int
    goes_on: bool


def page_of(connection: Any, dialect: Dialect, what: str) -> Listed:
    """The rows of a connection, in dialect C's names.

    Raises:
        Malformed: there is no list, which is not an empty one.
        EndlessList: nothing is on the page, and it says that there is more.
    """
    found = inside(connection, "edges" if dialect.snake else "nodes")
    if not isinstance(found, list):
        raise Malformed(f"{what}: the answer holds no such list", status=200)
    every = [inside(edge, "node") for edge in found] if dialect.snake else found
    rows = [row for row in every if identity(row) is not None]
    holes = sum(1 for row in every if not isinstance(row, dict))
    goes_on = inside(connection, "pageInfo", "hasNextPage") is True
    if goes_on and not found:
        raise EndlessList(what)
    return Listed([normal(row, dialect) for row in rows], holes, len(every) - holes - len(rows), goes_on)


def nodes(connection: Any, dialect: Dialect) -> list[dict[str, Any]]:
    """The rows of a connection, in dialect C's names; null rows are left out."""
    if not isinstance(connection, dict):
        return []
    found = flat(connection.get("edges" if dialect.snake else "nodes"))
    rows = [inside(edge, "node") for edge in found] if dialect.snake else found
    return [normal(row, dialect) for row in rows if isinstance(row, dict)]


def listed(connection: Any) -> list[dict[str, Any]]:
    """The rows of a list inside a node."""
    if not isinstance(connection, dict):
        return []
    found = flat(connection.get("nodes")) or [inside(edge, "node") for edge in flat(connection.get("edges"))]
    return [row for row in found if isinstance(row, dict)]


def normal(node: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
    """A node with dialect C's field names."""
    if not dialect.snake:
        return node if isinstance(node, dict) else dict(node)
    return {CAMEL.get(name, name): value for name, value in node.items()}


def number(node: Mapping[str, Any], name: str) -> int | None:
    """A counter, or None where it is not shown."""
    return counted(node.get(name), name)


def identifier(node: Mapping[str, Any]) -> str:
    """The id: a number in A, text in B and C."""
    return _number(node, "id")


def _number(node: Mapping[str, Any], name: str) -> str:
    value = identity(node, name)
    if value is None:
        raise MappingError(name, "missing")
    return value


def moment(node: Mapping[str, Any], name: str) -> datetime | None:
    """A time as Ruby or ISO 8601 writes it; `publicCreatedAt` is cut to the hour by the platform."""
    value = node.get(name)
    if value is None:
        return None
    found = _moment(value) if isinstance(value, str) else None
    if found is None:
        raise MappingError(name, "not a time")
    return found


@lru_cache(maxsize=4096)
def _moment(value: str) -> datetime | None:
    """Times are cut to the hour, so many rows share one."""
    match = _MOMENT.match(value)
    if match is None:
        return None
    zone = "" if match[3] in {"UTC", "Z", None} else match[3]
    return readable_moment(f"{match[1]}T{match[2]}{zone}")


def token(collection: str, node: Mapping[str, Any]) -> str:
    """What a light sweep compares."""
    if collection == "investments":
        return f"{node.get('commentsCount')}|{node.get('feasibility')}|{node.get('price')}"
    opposed = f"|{node.get('cachedVotesDown')}" if collection == "debates" else ""
    return f"{node.get('cachedVotesUp')}|{node.get('commentsCount')}|{1 if node.get('retiredAt') else 0}{opposed}"


def counters(collection: str, node: Mapping[str, Any]) -> Counters:
    """The public counters of a row."""
    return Counters(
        supports=None if collection == "investments" else number(node, "cachedVotesUp"),
        opposes=number(node, "cachedVotesDown") if collection in {"debates", "comments"} else None,
        comments=None if collection == "comments" else number(node, "commentsCount"),
    )


def counters_in(collection: str, mark: str) -> Counters:
    """The public counters that a token tells."""
    values = [whole(part) for part in mark.split("|")]
    if collection == "investments":
        return Counters(comments=values[0])
    return Counters(supports=values[0], opposes=values[3] if collection == "debates" else None, comments=values[1])


class Mapper:
    """Maps the nodes of one instance. `locale` is the language that was asked for."""

    def __init__(self, context: Context, locale: str, budget: str | None = None) -> None:
        self.context = context
        self.locale = locale
        self.budget = budget
        self.url = context.transport.url
        self._salt = f"{locale}|{budget}|".encode()
        self.unread = Unread()

    def items(
        self, collection: str, rows: Iterable[dict[str, Any]], untold: frozenset[str] = frozenset()
    ) -> list[Item]:
        """Rows as items; what cannot be looked at goes to quarantine, or where it has no number to `unread`.

        `untold`: columns that these rows do not tell.
        """
        kind = _kind(collection)
        made = (
            mapped(
                kind,
                node,
                partial(self.item, collection, node, untold),
                self.unread,
                collection,
                partial(self.raw, collection, node),
            )
            for node in rows
        )
        return [item for item in made if item is not None]

    def item(self, collection: str, node: dict[str, Any], untold: frozenset[str] = frozenset()) -> Item:
        """One row as an item; the mapping itself happens only when its digest is new.

        Raises:
            MappingError, or another of `core.items.UNREADABLE`.
        """
        hasher = hashlib.blake2b(self._salt, digest_size=16, key=MAPPING)
        hasher.update(msgspec.json.encode([value for name, value in node.items() if name not in _COUNTS]))
        found, mark = None, None
        if collection in KIND:
            found = counters(collection, node)
            mark = token(collection, node) if collection != "comments" else None
        return Item(
            f"{_kind(collection)}/{node.get('id')}",
            hasher.digest(),
            lambda: self._built(collection, node),
            found,
            mark,
            lambda: self.raw(collection, node),
            untold=untold,
        )

    def _built(self, collection: str, node: Mapping[str, Any]) -> list[Record]:
        author = self._author(node)
        return self._records(self.raw(collection, node, author), author)

    def raw(self, collection: str, node: Mapping[str, Any], author: Author | None = None) -> dict[str, Any]:
        """What may be kept of a node: named fields, and a pseudonym instead of its author."""
        raw = {name: value for name, value in node.items() if name in _ALLOWED}
        raw["collection"] = collection
        author = author or self._author(node)
        if author is not None:
            raw["author"] = author.id
        if node.get(TRANSLATIONS):
            raw[TRANSLATIONS] = node[TRANSLATIONS]
        for nested, names in _NESTED.items():
            if nested in node:
                raw[nested] = [{name: row.get(name) for name in names} for row in listed(node[nested])]
        return raw

    def build(self, raw: Mapping[str, Any], author: Author | None = None) -> list[Record]:
        """The records of one allow-listed node."""
        if raw.get("collection") in KIND:
            counters(str(raw["collection"]), raw)
        return self._records(raw, author)

    def _records(self, raw: Mapping[str, Any], author: Author | None) -> list[Record]:
        """The records of one allow-listed node of which the counters were read."""
        maker = getattr(self, f"_{raw.get('collection')}", None)
        if maker is None:
            raise MappingError("collection", "unknown")
        records: list[Record] = maker(raw)
        if author is not None:
            records.append(author)
        return records

    def _author(self, node: Mapping[str, Any]) -> Author | None:
        """The author as a pseudonym: named nowhere else in what is kept."""
        found = node.get("publicAuthor")
        if not isinstance(found, dict) or found.get("id") is None:
            return None
        called = found.get("username")
        name = plain_title(called) if self.context.keep_names and isinstance(called, str) else ""
        return Author(id=self.context.pseudonym(str(found["id"])), name=name or None)

    def _proposals(self, raw: Mapping[str, Any]) -> list[Record]:
        own = identifier(raw)
        retired = moment(raw, "retiredAt")
        state = f"retired: {raw.get('retiredReason') or 'no reason'}"
        why = plain_title(_typed(raw, "retiredExplanation"))
        categories = self._categories(raw)
        records: list[Record] = [
            Proposal(
                id=own,
                space="section/proposals",
                texts=self._texts(raw),
                state=State.WITHDRAWN if retired else State.OPEN,
                native_state=(f"{state}: {why}" if why else state) if retired else None,
                url=f"{self.url}/proposals/{own}",
                author=raw.get("author"),
                created_at=moment(raw, "publicCreatedAt"),
                withdrawn_at=retired,
                areas=(f"geozone/{_number(raw, 'geozoneId')}",) if raw.get("geozoneId") is not None else (),
                categories=tuple(category.ref for category in categories),
                video_url=_web_address(raw.get("videoUrl")),
            ),
            *categories,
        ]
        return [*records, *self._milestones(raw, f"proposal/{own}")]

    def _categories(self, raw: Mapping[str, Any]) -> list[Category]:
        found: list[Category] = []
        for tag in raw.get("tags") or ():
            kind = "category" if tag.get("kind") == "category" else "tag"
            found.append(Category(kind=kind, id=identifier(tag), names={self.locale: plain_title(_typed(tag, "name"))}))
        return found

    def _milestones(self, raw: Mapping[str, Any], target: Ref) -> list[Answer]:
        return [self._milestone(each, target) for each in raw.get("milestones") or ()]

    def _texts(self, raw: Mapping[str, Any]) -> tuple[Text, ...]:
        """The text in the main language, and those in further ones that were asked for."""
        others = (
            rich(locale, _typed(each, "title"), _body(each)) for locale, each in (raw.get(TRANSLATIONS) or {}).items()
        )
        return (
            rich(self.locale, _typed(raw, "title"), _body(raw)),
            *(text for text in others if text.title or text.plain),
        )

    def _milestone(self, raw: Mapping[str, Any], target: Ref) -> Answer:
        when = time_of(raw.get("publicationDate"), "milestones.publicationDate")
        text = rich(self.locale, _typed(raw, "title"), _typed(raw, "description"))
        return Answer(kind="milestone", id=identifier(raw), target=target, texts=(text,), answered_at=when)

    def _debates(self, raw: Mapping[str, Any]) -> list[Record]:
        own = identifier(raw)
        categories = self._categories(raw)
        return [
            Proposal(
                kind="debate",
                id=own,
                space="section/debates",
                texts=self._texts(raw),
                url=f"{self.url}/debates/{own}",
                author=raw.get("author"),
                created_at=moment(raw, "publicCreatedAt"),
                categories=tuple(category.ref for category in categories),
            ),
            *categories,
        ]

    def _investments(self, raw: Mapping[str, Any]) -> list[Record]:
        own = identifier(raw)
        price = raw.get("price")
        amount = whole(str(price))
        if price is not None and amount is None:
            raise MappingError("price", "not a whole number")
        feasibility = raw.get("feasibility")
        return [
            Proposal(
                kind="investment",
                id=own,
                space=f"budget/{self.budget}" if self.budget else None,
                texts=self._texts(raw),
                state=_FEASIBILITY.get(feasibility or "undecided", State.OTHER),
                native_state=feasibility,
                url=f"{self.url}/budgets/{self.budget}/investments/{own}" if self.budget else None,
                author=raw.get("author"),
                address=plain_title(_typed(raw, "location")) or None,
                amount=amount,
            ),
            *self._milestones(raw, f"investment/{own}"),
        ]

    def _comments(self, raw: Mapping[str, Any]) -> list[Record]:
        kind = _TARGETS.get(str(raw.get("commentableType")))
        if kind is None:
            raise MappingError("commentableType", "a comment on something that is not pulled")
        parents = str(raw.get("ancestry") or "").split("/")
        if parents[-1] and whole(parents[-1]) is None:
            raise MappingError("ancestry", "not a number")
        return [
            Comment(
                id=identifier(raw),
                target=f"{kind}/{_number(raw, 'commentableId')}",
                parent=f"comment/{parents[-1]}" if parents[-1] else None,
                text=simple(self.locale, None, _typed(raw, "body")),
                author=raw.get("author"),
                created_at=moment(raw, "publicCreatedAt"),
            )
        ]

    def _budgets(self, raw: Mapping[str, Any]) -> list[Record]:
        own = identifier(raw)
        names = {self.locale: plain_title(_typed(raw, "name"))}
        return [Space(kind="budget", id=own, names=names, status=raw.get("phase"), url=f"{self.url}/budgets/{own}")]

    def _geozones(self, raw: Mapping[str, Any]) -> list[Record]:
        return [Area(kind="geozone", id=identifier(raw), names={self.locale: plain_title(_typed(raw, "name"))})]

    def _votes(self, raw: Mapping[str, Any]) -> list[Record]:
        kind = {**_TARGETS, "Comment": "comment"}.get(str(raw.get("votableType")))
        if kind is None:
            raise MappingError("votableType", "a vote on something that is not pulled")
        flag = raw.get("voteFlag")
        target = f"{kind}/{_number(raw, 'votableId')}"
        return [Vote(id=identifier(raw), target=target, positive=flag, cast_at=moment(raw, "publicCreatedAt"))]


def remap(context: Context, reference: Ref, raw: Mapping[str, Any]) -> Sequence[Record]:
    """Map a node from quarantine again."""
    return Mapper(context, (context.settings.locales or ["und"])[0]).build(raw)


def _kind(collection: str) -> str:
    return KIND.get(collection) or {"geozones": "geozone", "budgets": "budget", "votes": "vote"}[collection]


def _typed(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    raise MappingError(name, "not a text")


def _body(raw: Mapping[str, Any]) -> str:
    """A proposal's summary stands above its description, as on its page."""
    summary, description = _typed(raw, "summary"), _typed(raw, "description")
    return f"<p>{_escaped(summary)}</p>{description}" if summary.strip() else description


def _escaped(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")


def _web_address(value: Any) -> str | None:
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else None
