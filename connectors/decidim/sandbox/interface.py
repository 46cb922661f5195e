"""The sandbox's GraphQL: who sees what, per release (docs/platforms/decidim.md 1.4 to 1.8)."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from graphql import GraphQLObjectType

from ...testing.graphql_ruby.engine import Engine, FieldError, Null, schema_of
from .accounts import ANONYMOUS, Account, Caller
from .discussion import Discussion
from .model import Component, Proposal, Space, Translated
from .mutations import Mutations, Typed
from .releases import LINES, is_checked, line_of, profile_of
from .texts import say
from .values import Guarded, lost, recorded_budget, recorded_field, stamp, translations, type_of
from .whole import Whole

_CODES = {"unauthorized": "UNAUTHORIZED_OBJECT_ERROR", "missing": "NOT_FOUND_ERROR"}
_COMPONENTS = (
    *("Proposals", "Budgets", "Debates", "Meetings", "Component", "Pages", "Surveys", "Blogs", "Accountability"),
    *("Sortitions", "Elections"),
)
_MUTATION = re.compile(r"\s*mutation\b")
ROOT_TAXONOMY = 100


class Interface:
    """The GraphQL of one organization; the context of a request is its `Caller`."""

    roots = frozenset({ROOT_TAXONOMY})

    def __init__(self, sandbox: Whole) -> None:
        self.sandbox = sandbox
        self.version = sandbox.version
        self.line = line_of(self.version)
        self.checked = is_checked(self.version)
        self.at = LINES.index(self.line)
        sdl = (Path(__file__).parent / "schemas" / f"{self.line}.graphql").read_text(encoding="utf-8")
        self.mutations = Mutations(self)
        self.discussion = Discussion(self)
        resolvers = self._resolvers(sdl) | self.mutations.resolvers()
        self.engine = Engine(sdl, resolvers, profile_of(self.version), type_of=type_of)

    @property
    def taxonomies(self) -> frozenset[int]:
        """Those that a proposal may carry."""
        return frozenset(self.sandbox.database.taxonomies)

    def execute(
        self, query: str, variables: Mapping[str, Any], operation: str | None, caller: Caller = ANONYMOUS
    ) -> dict[str, Any]:
        """The body of the answer."""
        changes = _MUTATION.match(query) is not None
        if changes and not self.engine.problems(query):
            away = self.mutations.unwelcome(caller)
            if away is not None:
                return away
        elif not changes and not caller.reads:
            text = say("no object", self.sandbox.spoken, "Query")
            return {"errors": [{"message": text, "extensions": {"code": _CODES["unauthorized"]}}], "data": None}
        return self.engine.execute(query, variables, operation, caller)

    def _resolvers(self, sdl: str) -> dict[str, Callable[..., Any]]:
        found: dict[str, Callable[..., Any]] = {
            "Query.decidim": lambda _o, _a, _c: {
                "version": self._disclosed(),
                "applicationName": "My Application Name",
            },
            "Query.organization": lambda _o, _a, _c: {
                "name": self._name(),
                "taxonomies": self._tree(),
                **self.sandbox.about.get("organization", {}),
            },
            "Query.session": lambda _o, _a, c: None if c.user is None else {"user": self.person(c.user)},
            "Session.verifiedUserGroups": lambda _o, _a, _c: [],
            "Query.participatoryProcesses": lambda _o, _a, c: self._spaces("process", c),
            "Query.assemblies": lambda _o, _a, c: self._spaces("assembly", c),
            "Query.component": lambda _o, a, c: self._component(a["id"], c),
            "Query.commentable": self.discussion.commentable,
            "Query.participatoryProcess": lambda _o, a, c: self._one_space("process", a, c),
            "Query.assembly": lambda _o, a, c: self._one_space("assembly", a, c),
            "TranslatedField.translations": translations,
            "TranslatedField.translation": lambda t, a, _c: t.get(a["locale"], (None, False))[0],
            "TranslatedField.locales": lambda t, _a, _c: list(t),
        }
        for kind in ("ParticipatoryProcess", "Assembly", "ParticipatorySpace"):
            found |= {f"{kind}.{name}": resolver for name, resolver in self._space_fields().items()}
        for kind in _COMPONENTS:
            found |= {f"{kind}.{name}": resolver for name, resolver in self._component_fields().items()}
        for kind in ("Proposal", "Project", "Debate"):
            found |= {f"{kind}.{name}": resolver for name, resolver in self._row_fields().items()}
        for kind in ("Proposal", "Project", "Debate", "ParticipatoryProcess", "Assembly", *_COMPONENTS):
            for name in self._unknown(sdl, kind, found):
                found[f"{kind}.{name}"] = recorded_field(name)
        found["Project.title"] = found["Debate.title"] = lambda r, _a, _c: r.title
        found |= {f"Budget.{name}": resolver for name, resolver in self._budget_fields().items()}
        found |= {f"Comment.{name}": resolver for name, resolver in self.discussion.fields().items()}
        return found

    def _unknown(self, sdl: str, kind: str, known: Mapping[str, Any]) -> list[str]:
        """The fields of a type that nothing here simulates."""
        found = schema_of(sdl).get_type(kind)
        fields = found.fields if isinstance(found, GraphQLObjectType) else {}
        return [name for name in fields if f"{kind}.{name}" not in known]

    def _name(self) -> Any:
        """The organization's own name: plain up to 0.28, then per language (recordings 706, 785)."""
        return (
            {self.sandbox.locales[0]: ("Wijk doet mee", False)} if self.at >= LINES.index("0.29") else "Wijk doet mee"
        )

    def _disclosed(self) -> str | None:
        full = {"0.27": "0.27.10", "0.29": "0.29.1"}.get(self.version, self.version)
        return full if self.at < LINES.index("0.30") else None

    # Spaces and components

    def _spaces(self, kind: str, caller: Caller) -> list[Space]:
        """Administrators and API users see private and unpublished ones too: never mirror what they see."""
        rows = [s for s in self.sandbox.database.spaces if s.kind == kind]
        return rows if self.checked and caller.admin else [s for s in rows if s.published and not s.private]

    def _one_space(self, kind: str, arguments: Mapping[str, Any], caller: Caller) -> Any:
        for space in self._spaces(kind, caller):
            if str(space.id) == arguments.get("id") or space.slug == arguments.get("slug"):
                return space
        return self.gone("ParticipatoryProcess", "missing")

    def _space_fields(self) -> dict[str, Callable[..., Any]]:
        return {
            "id": lambda s, _a, _c: s.id,
            "slug": lambda s, _a, _c: s.slug,
            "title": lambda s, _a, _c: s.title,
            "publishedAt": lambda s, _a, _c: stamp(self.sandbox.city.moment(0)) if s.published else None,
            "type": lambda s, _a, _c: "Decidim::ParticipatoryProcess" if s.kind == "process" else "Decidim::Assembly",
            "components": self._components_of,
            "updatedAt": lambda s, _a, _c: (
                stamp(s.updated_at or self.sandbox.city.moment(0))
                if "updatedAt" not in s.extra
                else s.extra["updatedAt"]
            ),
            "steps": lambda s, _a, _c: (
                s.extra.get("steps") or [{"id": each, "active": each == s.active} for each in s.steps]
            ),
        }

    def _components_of(self, space: Space, arguments: Mapping[str, Any], _context: Any) -> list[Any]:
        wanted = ((arguments.get("filter") or {}).get("type") or "").lower()
        rows = [c for c in space.components if not wanted or c.kind.lower() == wanted]
        # Unpublished ones: left out, or null in between (docs/platforms/decidim.md 1.4).
        if self.checked and self.line != "0.32":
            return [c if c.published else Null() for c in rows]
        return [c for c in rows if c.published]

    def _component(self, own: str, caller: Caller) -> Any:
        component = self.sandbox.database.components.get(int(own)) if str(own).isdigit() else None
        if component is None or not component.published or component.trashed:
            return None
        open_space = component.space.published and not component.space.private
        if self.checked and not open_space and not caller.admin:
            return self.gone("Component", "unauthorized") if self.line == "0.32" else None
        return component

    def _component_fields(self) -> dict[str, Callable[..., Any]]:
        return {
            "id": lambda c, _a, _c: c.id,
            "name": lambda c, _a, _c: c.name,
            "participatorySpace": lambda c, _a, _c: Typed(
                "ParticipatoryProcess" if c.space.kind == "process" else "Assembly", c.space
            ),
            "weight": lambda c, _a, _c: c.extra.get("weight", 0),
            "updatedAt": lambda c, _a, _c: stamp(c.updated_at),
            "createdAt": lambda c, _a, _c: stamp(c.updated_at),
            "publishedAt": lambda c, _a, _c: stamp(c.updated_at),
            "visible": lambda _o, _a, _c: True,
            "proposals": self._listed,
            "proposal": lambda c, a, _c: self._single("proposal", c, a["id"]),
            "debate": lambda c, a, _c: self._single("debate", c, a["id"]),
            "debates": lambda c, _a, _c: [self.guarded(r) for r in c.rows if not r.draft and not r.deleted],
            "budgets": lambda c, _a, _c: [
                (c, n) for n in sorted({*(r.budget for r in c.rows), *map(int, c.extra.get("budgets", ()))})
            ],
        }

    # Proposals

    def _listed(self, component: Component, arguments: Mapping[str, Any], _context: Any) -> Sequence[Any]:
        rows = [row for row in component.rows if not row.draft and not row.deleted]
        for key, later in (("publishedSince", True), ("publishedBefore", False)):
            limit = (arguments.get("filter") or {}).get(key)
            if limit is not None:
                try:
                    day = datetime.fromisoformat(str(limit)[:10]).replace(tzinfo=ZoneInfo("UTC"))
                except ValueError:
                    raise FieldError("Invalid date format for publishedBefore") from None
                rows = [row for row in rows if ((row.published_at or row.created_at) >= day) == later]
        order = arguments.get("order") or {}
        for key, value in order.items():
            if str(value).lower() not in {"asc", "desc"}:
                message = f'Invalid order value for :{key}, only ASC or DESC are valids (received "{value}")'
                raise FieldError(message)
        if str(order.get("id", "asc")).lower() == "desc":
            rows = rows[::-1]
        return Guarded(rows, self.guarded)

    def guarded(self, row: Proposal) -> Any:
        """The row; null where it is hidden and the release looks."""
        name = "Proposal" if row.kind == "amendment" else row.kind.title()
        return self.gone(name, "unauthorized") if row.hidden and self.checked else row

    def _single(self, kind: str, component: Component, own: str) -> Any:
        row = self.sandbox.database.proposals[kind].get(int(own)) if str(own).isdigit() else None
        if row is None or row.component is not component or row.draft or row.deleted:
            return self.gone(kind.title(), "missing")
        self.sandbox.charge(self.sandbox.costs.single)
        return self.guarded(row)

    def gone(self, name: str, why: str) -> Any:
        """Null; from 0.32 on with an error that says which kind of null."""
        if self.line != "0.32":
            return Null()
        text = say("no object" if why == "unauthorized" else "not found", self.sandbox.spoken, name)
        return Null(text, {"code": _CODES[why]})

    def _row_fields(self) -> dict[str, Callable[..., Any]]:
        return {
            "id": lambda r, _a, _c: r.id,
            "title": lambda r, _a, _c: r.title,
            "body": lambda r, _a, _c: r.body,
            "description": lambda r, _a, _c: r.body,
            "reference": lambda r, _a, _c: f"WEST-PROP-{r.created_at:%Y-%m}-{r.id}",
            "address": lambda r, _a, _c: r.address,
            "coordinates": lambda r, _a, _c: (
                {"latitude": None, "longitude": None}
                if r.place is None
                else dict(zip(("latitude", "longitude"), r.place, strict=True))
            ),
            "state": self._state,
            "answer": lambda r, _a, _c: self._published(r, r.answer),
            "costReport": lambda r, _a, _c: self._published(r, r.cost_report) or r.extra.get("costReport"),
            "executionPeriod": lambda r, _a, _c: (
                self._published(r, r.execution_period) or r.extra.get("executionPeriod")
            ),
            "answeredAt": lambda r, _a, _c: stamp(r.answered_at) if r.state_published or self.at < 4 else None,
            "createdAt": lambda r, _a, _c: stamp(r.created_at),
            "updatedAt": lambda r, _a, _c: stamp(r.updated_at),
            "publishedAt": lambda r, _a, _c: stamp(r.published_at or r.created_at),
            "official": lambda r, _a, _c: r.official,
            "createdInMeeting": lambda r, _a, _c: r.meeting is not None,
            "meeting": lambda r, _a, _c: r.extra.get("meeting") if r.meeting is None else {"id": r.meeting},
            "voteCount": lambda r, _a, _c: None if r.component.votes_hidden or r.votes_hidden else r.votes,
            "confirmedVotes": lambda r, _a, _c: None if r.votes_hidden else r.votes,
            "withdrawn": lambda r, _a, _c: r.withdrawn_at is not None,
            "withdrawnAt": lambda r, _a, _c: stamp(r.withdrawn_at),
            "author": self.author,
            "authorsCount": lambda _o, _a, _c: 1,
            "category": lambda r, _a, _c: r.extra.get("category") or self._group(next(iter(r.groups), None)),
            "scope": lambda r, _a, _c: r.extra.get("scope") or self._group(r.scope),
            "taxonomies": lambda r, _a, _c: (
                r.extra.get("taxonomies") or [each for own in r.groups if (each := self._group(own)) is not None]
            ),
            "versionsCount": lambda r, _a, _c: r.versions,
            "cost": lambda r, _a, _c: (
                f"€ {r.cost:.2f}" if r.cost is not None and r.state_published else r.extra.get("cost")
            ),
            "proposalState": self._proposal_state,
            "authors": self._authors,
            "endorsementsCount": lambda r, _a, _c: r.likes,
            "likesCount": lambda r, _a, _c: r.likes,
            "totalCommentsCount": lambda r, _a, _c: r.count,
            "hasComments": lambda r, _a, _c: r.count > 0,
            "comments": lambda r, a, _c: self.discussion.listed(r.comments, a),
            "amendments": self._amendments,
            "type": lambda r, _a, _c: f"Decidim::{r.component.kind}::{r.kind.title()}",
            "budget_amount": lambda r, _a, _c: r.amount,
            "selected": lambda r, _a, _c: r.selected,
            "url": lambda r, _a, _c: self.sandbox.address_of(r),
        }

    def _group(self, own: int | None) -> dict[str, Any] | None:
        name = self.sandbox.database.taxonomies.get(own or 0)
        return None if own is None or name is None else self._taxonomy(own, name, {"id": ROOT_TAXONOMY})

    def _taxonomy(self, own: int, name: str, parent: dict[str, Any] | None = None) -> dict[str, Any]:
        above = parent and self._taxonomy(ROOT_TAXONOMY, "Thema")
        return {
            "id": own,
            "name": {"nl": (name, False)},
            "isRoot": parent is None,
            "parent": above,
            "children": [],
        }

    def _tree(self) -> list[dict[str, Any]]:
        """What `organization{taxonomies}` lists: the roots, with what is below them."""
        rows = self.sandbox.database.taxonomies.items()
        below = [self._taxonomy(own, name, {"id": ROOT_TAXONOMY}) for own, name in rows]
        return [{**self._taxonomy(ROOT_TAXONOMY, "Thema"), "children": below}]

    def _amendments(self, row: Proposal, _arguments: Any, _context: Any) -> list[Any]:
        """Nobody sees them where only their participants may; an entry whose emendation is hidden is null (recording 787)."""
        if row.component.rules.amendments_for_participants:
            return []
        rows = [each for each in row.component.rows if each.amends is row and not each.draft and not each.deleted]
        return [
            {
                "id": each.id,
                "state": each.state,
                "amendable": Typed("Proposal", row),
                "emendation": self.guarded(each) if each.hidden and self.checked else Typed("Proposal", each),
            }
            for each in rows
        ]

    def _state(self, row: Proposal, _arguments: Any, _context: Any) -> str | None:
        if row.amends is not None:
            return row.state
        if row.withdrawn_at is not None:
            return "withdrawn" if self.at < 2 else (row.state if row.state_published and row.state else "not_answered")
        return row.state if row.state_published else None

    def _published(self, row: Proposal, text: Translated) -> Translated | None:
        """Up to 0.30 an answer shows before it is published (docs/platforms/decidim.md 1.7 Q2)."""
        if self.at < 4:
            return text or (text if row.answered_at is not None else None)
        return text if row.answered_at is not None and row.state_published else None

    def _proposal_state(self, row: Proposal, _arguments: Any, _context: Any) -> Any:
        """It names a decision that is not published too (docs/platforms/decidim.md 1.7 Q2)."""
        if row.state is None:
            return row.extra.get("proposalState")
        states, locales = self.sandbox.writing.states, self.sandbox.locales
        named = locales[:1] if row.state in states[:4] else locales
        own = states.index(row.state) if row.state in states else 99
        return {"id": own, "title": dict.fromkeys(named, (row.state, False))}

    def person(self, account: Account) -> dict[str, Any]:
        """Somebody who can sign in."""
        return {
            "__typename": "User",
            "id": account.id,
            "name": account.name,
            "nickname": f"@{account.nickname}",
            "deleted": False,
            "avatarUrl": "https://toy.example/decidim-packs/media/images/default-avatar.svg",
            "profilePath": f"/profiles/{account.nickname}",
            "badge": "",
            "groups": [],
        }

    def _authors(self, row: Proposal, arguments: Any, context: Any) -> list[Any]:
        if row.extra.get("authors"):
            return row.extra["authors"]
        return [] if row.author is None and not lost(row) else [self.author(row, arguments, context) or Null()]

    def author(self, row: Any, _arguments: Any, _context: Any) -> Any:
        own = row.author
        shown = getattr(row, "extra", {}).get("author")
        if shown:
            return {"__typename": "User", **shown}
        if own is None:
            return self.gone("User", "unauthorized") if lost(row) else None
        if self.checked and own in self.sandbox.database.deleted_users:
            return self.gone("User", "unauthorized")
        account = self.sandbox.accounts.people.get(own)
        if account is not None:
            return self.person(account)
        person = self.sandbox.city.person(own)
        return {
            "__typename": "User",
            "id": own,
            "name": person.name,
            "nickname": f"@{person.nickname}",
            "deleted": False,
        }

    # Budgets

    def _budget_fields(self) -> dict[str, Callable[..., Any]]:
        return {
            **{name: recorded_budget(name) for name in ("description", "createdAt", "updatedAt", "url", "scope")},
            "id": lambda b, _a, _c: b[1],
            "title": lambda b, a, c: recorded_budget("title")(b, a, c) or {"nl": (f"Begroting {b[1]}", False)},
            "total_budget": lambda b, a, c: recorded_budget("total_budget")(b, a, c) or 100_000,
            "projects": self._projects,
        }

    def _projects(self, budget: tuple[Component, int], _arguments: Any, _context: Any) -> list[Any]:
        rows = [self.guarded(row) for row in budget[0].rows if row.budget == budget[1] and not row.deleted]
        count = recorded_budget("count")(budget, None, None)
        rows = rows or [Null()] * (count or 0)
        # 0.28.6 shows them to signed-in people only (docs/platforms/decidim.md 1.4).
        return [Null() for _ in rows] if self.version == "0.28.6" else rows
