"""The sandbox's mutations: in 0.32 nearly everything, in 0.31 answers, in all releases comments (docs/platforms/decidim.md 4.1, 4.5).

Errors are as measured: an array as message, texts in a language that wanders, and 500 where a real one crashes.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from ...testing.graphql_ruby.engine import FieldError, Null, RequestFailed
from .accounts import Caller
from .model import Component, Proposal
from .texts import say
from .whole import Organization

_DEEPEST = 3


class Typed:
    """An object with the name of its GraphQL type."""

    def __init__(self, typename: str, inner: Any) -> None:
        self.typename = typename
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Mutations:
    """The resolvers below `Mutation`."""

    def __init__(self, interface: Organization) -> None:
        self.interface = interface
        self.sandbox = interface.sandbox
        self.writing = interface.sandbox.writing
        self.newest = interface.line == "0.32"

    def resolvers(self) -> dict[str, Callable[..., Any]]:
        """By type and field."""
        return {
            "Mutation.component": self._component,
            "Mutation.commentable": self._commentable,
            "CommentableMutation.addComment": self._add_comment,
            "CommentableMutation.id": lambda c, _a, _c: c.inner.id,
            "ProposalsMutation.createProposal": self._create,
            "ProposalsMutation.proposal": self._proposal,
            "ProposalsMutation.id": lambda c, _a, _c: c.inner.id,
            "ProposalMutation.update": self._update,
            "ProposalMutation.withdraw": self._withdraw,
            "ProposalMutation.vote": self._vote,
            "ProposalMutation.unvote": self._unvote,
            "ProposalMutation.answer": self._answer,
        }

    def unwelcome(self, caller: Caller) -> dict[str, Any] | None:
        """The whole answer to somebody who may not write at all; None: go on."""
        if caller.writes:
            return None
        if self.newest:
            return {"errors": [self._error("no object", "UNAUTHORIZED_OBJECT_ERROR", "Mutation")], "data": None}
        return {"data": None} if self.interface.line == "0.31" else None

    def _error(self, key: str, code: str, n: object = "") -> dict[str, Any]:
        return {"message": self._say(key, n), "extensions": {"code": code}}

    def _say(self, key: str, n: object = "") -> str:
        return say(key, self.sandbox.spoken, n)

    def _fail(self, key: str, code: str, n: object = "") -> FieldError:
        return FieldError(self._say(key, n), {"code": code})

    def _forbidden(self) -> Any:
        """From 0.32 on with an error, before it silently null."""
        if self.newest:
            raise self._fail("no mutation", "MUTATION_NOT_AUTHORIZED_ERROR")
        return None

    # Finding what is to be changed

    def _component(self, _root: Any, arguments: Mapping[str, Any], _caller: Caller) -> Any:
        own = str(arguments["id"])
        found = self.sandbox.database.components.get(int(own)) if own.isdigit() else None
        open_space = found is not None and found.published and found.space.published and not found.space.private
        if not self.newest:
            if found is None or not open_space or found.kind != "Proposals":
                raise RequestFailed(500)
            return Typed("ProposalsMutation", found)
        if found is None or not open_space:
            raise self._fail("not found", "NOT_FOUND_ERROR", "ComponentMutation")
        if found.kind not in {"Proposals", "Debates", "Meetings"}:
            raise FieldError(f"Mutation type not found for {found.kind}")
        return Typed(f"{found.kind}Mutation", found)

    def _proposal(self, holder: Any, arguments: Mapping[str, Any], _caller: Caller) -> Any:
        component, own = holder.inner, str(arguments["id"])
        row = self.sandbox.database.proposals["proposal"].get(int(own)) if own.isdigit() else None
        hidden = row is not None and row.hidden
        if row is None or row.component is not component or row.draft or row.deleted or hidden:
            if self.newest:
                raise self._fail("not found", "NOT_FOUND_ERROR", "ProposalMutation")
            raise RequestFailed(500)
        return Typed("ProposalMutation", row)

    def _locale(self, locale: str) -> str:
        if locale not in self.sandbox.locales:
            raise self._fail("locale", "INVALID_LOCALE_ERROR")
        # It stays the language of the server's thread (docs/platforms/decidim.md 1.1).
        self.sandbox.leak(locale)
        return locale

    # Proposals

    def _create(self, holder: Any, arguments: Mapping[str, Any], caller: Caller) -> Any:
        component: Component = holder.inner
        given = arguments["input"]
        locale = self._locale(given["locale"])
        if caller.user is None or not self.writing.may_create(component, caller.user):
            return self._forbidden()
        attributes = given["attributes"]
        title, body = attributes["title"], attributes["body"]
        self._check(self.writing.wrong(component, caller.user, title, body, locale))
        taxonomies = [int(each) for each in attributes.get("taxonomies") or () if str(each).isdigit()]
        if self.interface.roots & set(taxonomies):
            raise RequestFailed(500)
        row = self.writing.create(component, caller.user, locale, title, body, **self._details(attributes, component))
        row.groups = [each for each in taxonomies if each in self.interface.taxonomies]
        if caller.user.api:
            # The badge counter refuses authors who are not users: the draft stays, nobody sees it (recording 380).
            raise RequestFailed(500)
        self.writing.publish(row)
        return row

    def _details(self, attributes: Mapping[str, Any], component: Component) -> dict[str, Any]:
        latitude, longitude = attributes.get("latitude"), attributes.get("longitude")
        place = (float(latitude), float(longitude)) if latitude is not None and longitude is not None else None
        address = attributes.get("address") if component.rules.geocoding else None
        if address and place is None:
            if "inexistent" in address.lower() or "onbekend" in address.lower():
                self._check([("address", self._say("invalid"))])
            place = (52.0, 4.3)
        return {"place": place, "address": address}

    def _check(self, wrong: list[tuple[str, str]]) -> None:
        if not wrong:
            return
        entries = [{"path": ["attributes", name], "message": message} for name, message in wrong]
        # Against the specification the message is an array: so are the real ones.
        raise FieldError(cast(Any, entries), {"code": "ATTRIBUTE_VALIDATION_ERROR"})

    def _update(self, holder: Any, arguments: Mapping[str, Any], caller: Caller) -> Any:
        row: Proposal = holder.inner
        given = arguments["input"]
        locale = self._locale(given["locale"])
        if not self.writing.may_edit(row, caller.user):
            return self._forbidden()
        assert caller.user is not None
        attributes = given["attributes"]
        limit, row.component.rules.limit = row.component.rules.limit, None
        wrong = self.writing.wrong(row.component, caller.user, attributes["title"], attributes["body"], locale)
        row.component.rules.limit = limit
        self._check(wrong)
        self.writing.change(row, locale, attributes["title"], attributes["body"], tagged=False)
        if attributes.get("latitude") is not None and attributes.get("longitude") is not None:
            row.place = (float(attributes["latitude"]), float(attributes["longitude"]))
        if attributes.get("address") is not None:
            row.address = attributes["address"]
        if attributes.get("taxonomies") is not None:
            row.groups = [int(each) for each in attributes["taxonomies"] if int(each) in self.interface.taxonomies]
        return row

    def _withdraw(self, holder: Any, _arguments: Mapping[str, Any], caller: Caller) -> Any:
        row: Proposal = holder.inner
        if caller.user is None or row.author != caller.user.id or row.withdrawn_at is not None:
            return self._forbidden()
        if not self.writing.withdraw(row):
            raise self._fail("supported", "VALIDATION_ERROR")
        return row

    def _vote(self, holder: Any, _arguments: Mapping[str, Any], caller: Caller) -> Any:
        row: Proposal = holder.inner
        user, rules = caller.user, row.component.rules
        if user is not None and user.api:
            raise RequestFailed(500)
        given = sum(1 for each in row.component.rows if user is not None and user.id in each.voters)
        full = rules.votes_limit is not None and given >= rules.votes_limit
        if user is not None and (user.id in row.voters or (row.state == "rejected" and row.state_published)):
            raise self._fail("vote failed", "VALIDATION_ERROR")
        if user is None or not rules.votes or full or (rules.verification and not user.verified):
            return self._forbidden()
        row.voters.add(user.id)
        row.votes += 1
        self.sandbox.touch(row)
        return row

    def _unvote(self, holder: Any, _arguments: Mapping[str, Any], caller: Caller) -> Any:
        row: Proposal = holder.inner
        if caller.user is None or caller.user.api:
            raise RequestFailed(500)
        if caller.user.id in row.voters:
            row.voters.discard(caller.user.id)
            row.votes -= 1
            self.sandbox.touch(row)
        return row

    def _answer(self, holder: Any, arguments: Mapping[str, Any], caller: Caller) -> Any:
        row: Proposal = holder.inner
        if not caller.admin:
            return self._forbidden()
        attributes = arguments["input"]["attributes"]
        state, texts = attributes.get("state"), attributes.get("answerContent")
        if state is not None and state not in self.writing.states:
            if self.newest:
                entry = {"path": ["attributes", "internalState"], "message": self._say("not in list")}
                raise FieldError(cast(Any, [entry]), {"code": "ATTRIBUTE_VALIDATION_ERROR"})
            raise FieldError("Internal state is not included in the list")
        if texts is not None and not isinstance(texts, Mapping):
            raise RequestFailed(500)
        kept = None if texts is None else {str(locale): str(text) for locale, text in texts.items()}
        self.writing.answer(row, state, kept)
        row.cost = attributes.get("cost", row.cost)
        row.cost_report = _translated(attributes.get("costReport"), row.cost_report)
        row.execution_period = _translated(attributes.get("executionPeriod"), row.execution_period)
        return row

    # Comments

    def _commentable(self, _root: Any, arguments: Mapping[str, Any], caller: Caller) -> Any:
        locale = arguments.get("locale")
        if locale is not None:
            if locale not in self.sandbox.locales:
                if self.newest:
                    raise self._fail("locale", "INVALID_LOCALE_ERROR")
                raise RequestFailed(500)
            self.sandbox.leak(locale)
        if caller.user is None and not self.newest:
            raise RequestFailed(500)
        own, database = str(arguments["id"]), self.sandbox.database
        number = int(own) if own.isdigit() else 0
        found: Any = None
        if arguments["type"] == "Decidim::Comments::Comment":
            found = database.comments.get(number)
        elif arguments["type"] == "Decidim::Proposals::Proposal":
            found = database.proposals["proposal"].get(number)
        if found is None or getattr(found, "draft", False) or found.deleted:
            if self.newest:
                raise self._fail("not found", "NOT_FOUND_ERROR", "CommentableMutation")
            raise RequestFailed(500)
        return Typed("CommentableMutation", found)

    def _add_comment(self, holder: Any, arguments: Mapping[str, Any], caller: Caller) -> Any:
        target, body = holder.inner, arguments["body"]
        parent = None if isinstance(target, Proposal) else target
        row: Proposal = target if isinstance(target, Proposal) else target.target
        deep = parent is not None and parent.depth >= _DEEPEST
        alignment = int(arguments.get("alignment") or 0)
        if (
            caller.user is None
            or not body.strip()
            or len(body) > row.component.rules.longest_comment
            or deep
            or alignment not in {-1, 0, 1}
            or not row.component.rules.comments
            or (caller.user.api and not self.newest)
        ):
            raise RequestFailed(500)
        made = self.writing.comment(row, parent, caller.user, body, alignment)
        if row.hidden:
            # The answer says no, and the comment is stored (recordings 275 and 486).
            if self.newest:
                return Null(self._say("no object", "Comment"), {"code": "UNAUTHORIZED_OBJECT_ERROR"})
            return Null()
        return made


def _translated(given: Any, before: dict[str, Any]) -> dict[str, Any]:
    return {str(locale): (str(text), False) for locale, text in given.items()} if isinstance(given, Mapping) else before
