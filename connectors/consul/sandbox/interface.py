"""The sandbox's GraphQL: resolvers over the in-memory tables, per dialect (docs/platforms/consul.md 2 to 4)."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ...testing.graphql_ruby.engine import Engine, RequestFailed, RubyProfile
from .model import Database, Row

MADRID = ZoneInfo("Europe/Madrid")
SDL = {name: (Path(__file__).parent / f"{name.lower()}.graphql").read_text(encoding="utf-8") for name in "ABC"}
_INT4 = 2**31 - 1
_FALLBACK_TO_SPANISH = frozenset({"ca", "gl", "eu", "fr", "it", "pt-BR", "val"})
KNOWN = frozenset(
    [
        *("ar", "bg", "bs", "ca", "cs", "da", "de", "el", "en", "es", "es-PE", "eu", "fa"),
        *("fr", "gd", "gl", "he", "hr", "id", "it", "ka", "ne", "nl", "oc", "pl", "pt-BR"),
        *("ro", "ru", "sl", "sq", "so", "sr", "sv", "tr", "uk-UA", "val", "zh-CN", "zh-TW"),
    ]
)
"""The languages that the software knows (recording 2.1.1 526); texts in any other are stored and never shown."""
_SINGULAR = {
    "proposal": "proposals",
    "debate": "debates",
    "comment": "comments",
    "geozone": "geozones",
    "tag": "tags",
    "user": "users",
    "vote": "votes",
    "proposalNotification": "notifications",
    "budget": "budgets",
    "milestone": "milestones",
}
_PLURAL = {
    "proposals": "proposals",
    "debates": "debates",
    "comments": "comments",
    "geozones": "geozones",
    "tags": "tags",
    "users": "users",
    "votes": "votes",
    "proposalNotifications": "notifications",
    "budgets": "budgets",
    "milestones": "milestones",
}
Cost = Callable[[float], None]


def dialect_of(version: str) -> str:
    """A, B or C."""
    numbers = tuple(int(part) for part in version.split(".")[:3])
    if numbers <= (1, 4, 1):
        return "A"
    return "B" if numbers <= (2, 2, 0) else "C"


def profile_of(version: str) -> RubyProfile:
    """The gem and limits of a release (docs/platforms/consul.md 0 and 3.3)."""
    match dialect_of(version):
        case "A":
            return RubyProfile((1, 11), 8, 2500, "consul_a", page=50, previous_page_after_cursor=False)
        case "B":
            return RubyProfile((1, 12))
        case _:
            return RubyProfile((1, 13) if version < "2.3" else (2, 6), 8, 2500, "multiplied", page=25)


class Interface:
    """The GraphQL of one installation."""

    def __init__(self, database: Database, version: str, default_locale: str, charge: Cost) -> None:
        self.database = database
        self.dialect = dialect_of(version)
        self.default_locale = default_locale
        self.charge = charge
        self.engine = Engine(SDL[self.dialect], self._resolvers(), profile_of(version))

    def execute(self, query: str, variables: Mapping[str, Any], operation: str | None, locale: str) -> dict[str, Any]:
        """The body of the answer; raises RequestFailed for what Rails answers with a status."""
        return self.engine.execute(query, variables, operation, locale)

    def visible(self, table: str) -> list[Row]:
        """The public rows of a table in their physical order."""
        return self.database.tables[table].visible(self.shown)

    def shown(self, row: Row) -> bool:
        if self.dialect != "C" and row.kind == "comment" and row["commentable_type"] == "Budget::Investment":
            return False
        if row.kind == "tag":
            return row["kind"] in (None, "category")
        return self.database.public(row)

    def _resolvers(self) -> dict[str, Callable[..., Any]]:
        root = "QueryType" if self.dialect == "A" else "Query"
        found: dict[str, Callable[..., Any]] = {}
        for field, table in _PLURAL.items():
            found[f"{root}.{field}"] = lambda _o, _a, _c, t=table: self.visible(t)
        for field, table in _SINGULAR.items():
            found[f"{root}.{field}"] = lambda _o, a, _c, t=table: self._one(t, a.get("id"))
        found["Budget.investments"] = lambda _o, _a, _c: self.visible("investments")
        found["Budget.investment"] = lambda _o, a, _c: self._one("investments", a.get("id"))
        for kind, fields in self._fields().items():
            for field, resolver in fields.items():
                found[f"{kind}.{field}"] = resolver
        for place, resolver in list(found.items()):
            kind, field = place.split(".")
            snake = re.sub(r"([A-Z])", lambda m: f"_{m[1].lower()}", field)
            if snake != field:
                found[f"{kind}.{snake}"] = resolver
        return found

    def _fields(self) -> dict[str, dict[str, Callable[..., Any]]]:
        number = (lambda row, _a, _c: row.id) if self.dialect == "A" else (lambda row, _a, _c: str(row.id))
        texts = {n: self._text(n) for n in ("title", "summary", "description", "retiredExplanation", "body", "name")}
        shared: dict[str, Callable[..., Any]] = {
            "id": number,
            "publicCreatedAt": lambda row, _a, _c: hour(row.created_at),
            "publicAuthor": self._author,
            "comments": lambda row, _a, _c: [c for c in self.database.comments_of(row) if self.database.public(c)],
            "tags": lambda row, _a, _c: self.database.taggings.get((row.kind, row.id), []),
            "milestones": lambda row, _a, _c: self.database.milestones_of.get((row.kind, row.id), []),
            "votesFor": self._votes_for,
            "hotScore": _hot_score,
            "confidenceScore": lambda row, _a, _c: (row["cached_votes_up"] or 0) * 100 or 1,
            "cachedVotesTotal": lambda row, _a, _c: (row["cached_votes_up"] or 0) + (row["cached_votes_down"] or 0),
            "geozone": lambda row, _a, _c: self.database.tables["geozones"].by_id.get(row["geozone_id"]),
            "retiredAt": self._retired_at,
            "price": lambda row, _a, _c: None if row["price"] is None else str(row["price"]),
            "taggingsCount": lambda row, _a, _c: row["taggings_count"] or 1,
            "proposal": lambda row, _a, _c: self.database.tables["proposals"].by_id.get(row["proposal_id"]),
            "proposalNotifications": lambda row, _a, _c: [
                n for n in self.visible("notifications") if n["proposal_id"] == row.id
            ],
            "publicProposals": lambda row, _a, _c: self._leak("proposals", row),
            "publicDebates": lambda row, _a, _c: self._leak("debates", row),
            "publicComments": lambda row, _a, _c: self._leak("comments", row),
        }
        columns = {
            "videoUrl": "video_url",
            "cachedVotesUp": "cached_votes_up",
            "cachedVotesDown": "cached_votes_down",
            "commentsCount": "comments_count",
            "retiredReason": "retired_reason",
            "geozoneId": "geozone_id",
            "commentableId": "commentable_id",
            "commentableType": "commentable_type",
            "ancestry": "ancestry",
            "location": "location",
            "feasibility": "feasibility",
            "phase": "phase",
            "username": "username",
            "kind": "kind",
            "votableId": "votable_id",
            "votableType": "votable_type",
            "voteFlag": "vote_flag",
            "proposalId": "proposal_id",
            "publicationDate": "publication_date",
        }
        plain = {field: (lambda row, _a, _c, n=name: row[n]) for field, name in columns.items()}
        own: dict[str, dict[str, Callable[..., Any]]] = {}
        for kind, definition in self.engine_types().items():
            every = {**plain, **texts, **shared}
            own[kind] = {name: every[name] for name in map(_camel, definition) if name in every}
        for kind in ("Geozone", "Tag"):
            own[kind]["name"] = lambda row, _a, _c: row["name"]
        return own

    def engine_types(self) -> dict[str, list[str]]:
        """The fields of the row types, from the interface itself."""
        names = ("Proposal", "Debate", "Comment", "User", "Geozone", "Tag", "Vote", "ProposalNotification")
        names += ("Budget", "BudgetInvestment", "Milestone")
        found: dict[str, list[str]] = {}
        for name in names:
            match = re.search(rf"^type {name} \{{\n(.*?)^\}}", SDL[self.dialect], re.DOTALL | re.MULTILINE)
            if match:
                found[name] = re.findall(r"^  (\w+)[(:]", match[1], re.MULTILINE)
        return found

    def _one(self, table: str, given: Any) -> Row | None:
        """A single record; B and C answer 404 to the whole request (docs/platforms/consul.md 5)."""
        match = re.match(r"\s*(\d+)", str(given).replace("\x00", ""))
        own = int(match[1]) if match else 0
        row = self.database.tables[table].by_id.get(own) if own <= _INT4 else None
        # B looks single records up among all that are not hidden, internal comments included (docs/platforms/consul.md 4.1).
        found = row is not None and (not row.hidden if self.dialect == "B" else self.shown(row))
        if found:
            self._charge_row(table)
            return row
        if self.dialect == "A":
            return None
        raise RequestFailed(404)

    def _charge_row(self, table: str) -> None:
        self.charge(0.002 if table == "proposals" else 0.001)

    def _text(self, name: str) -> Callable[..., Any]:
        column = re.sub(r"([A-Z])", lambda m: f"_{m[1].lower()}", name)

        def resolve(row: Row, _arguments: Any, locale: str) -> str | None:
            if column == "retired_explanation":
                self.charge(0.0085)
                return row["retired_explanation"]
            return self.text(row, column, locale)

        return resolve

    def text(self, row: Row, column: str, locale: str) -> str | None:
        """A translated column: the locale, its fallbacks, then any other that the software knows (docs/platforms/consul.md 4.5, 10b)."""
        chain = [locale, *(["es"] if locale in _FALLBACK_TO_SPANISH else []), "en", *row.texts]
        for each in chain:
            if each in row.texts and each in KNOWN:
                value = row.texts[each].get(column)
                if value is not None:
                    return value
        return None

    def _author(self, row: Row, _arguments: Any, _context: Any) -> Row | None:
        self.charge(0.0035 if row.kind == "comment" else 0.003)
        author = self.database.author_of(row)
        if author is None and row.author is not None:
            raise RequestFailed(500)
        return author if author is not None and author["public_activity"] and not author.hidden else None

    def _votes_for(self, row: Row, _arguments: Any, _context: Any) -> list[Row]:
        own = {"proposal": "Proposal", "debate": "Debate", "comment": "Comment"}.get(row.kind)
        return [v for v in self.visible("votes") if v["votable_type"] == own and v["votable_id"] == row.id]

    def _retired_at(self, row: Row, _arguments: Any, _context: Any) -> str | None:
        when: datetime | None = row["retired_at"]
        if when is None:
            return None
        local = when.astimezone(MADRID)
        return local.strftime("%Y-%m-%d %H:%M:%S %z") if self.dialect == "A" else local.isoformat(timespec="seconds")

    def _leak(self, table: str, user: Row) -> list[Row]:
        # The real ones show what was moderated away (docs/platforms/consul.md 4.3).
        return (
            [row for row in self.database.tables[table].rows if row.author == user.id]
            if user["public_activity"]
            else []
        )


def _hot_score(row: Row, _arguments: Any, _context: Any) -> int:
    score = row["hot_score"] or 0
    if score > _INT4:
        raise RequestFailed(500)
    return score


def hour(moment: datetime) -> str:
    """A time cut to its hour, as Ruby writes it."""
    return moment.astimezone(MADRID).strftime("%Y-%m-%d %H:00:00 %z")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
