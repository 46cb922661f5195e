"""graphql-ruby's limits on an operation: depth, complexity, aliases, recursion, introspection.

Works on validated documents and coerced variables; never runs a resolver.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
)

from .profile import ErrorEntry, RubyProfile
from .validate import field_of

_NOT_COUNTED = frozenset({"node", "edges", "nodes", "ofType"})
_TEXTS = {
    "INTROSPECTION_DISABLED_ERROR": "Introspection is disabled for this request",
    "TOO_MANY_ALIASES_ERROR": "Too many aliases used. You have used {used} aliases, but {allowed} are allowed.",
    "RECURSION_LIMIT_EXCEEDED_ERROR": "Too many recursions detected in query",
}
Asked = tuple[FieldNode, GraphQLNamedType]
Sets = Sequence[SelectionSetNode]


def included(node: Any, variables: Mapping[str, Any]) -> bool:
    """Do @skip and @include let this selection stand?"""
    for directive in node.directives or ():
        name = directive.name.value
        if name not in {"skip", "include"} or not directive.arguments:
            continue
        value = directive.arguments[0].value
        on = variables.get(value.name.value) if isinstance(value, VariableNode) else getattr(value, "value", False)
        if bool(on) is (name == "skip"):
            return False
    return True


def broken_limits(cost: "Cost", profile: RubyProfile, context: Any) -> list[ErrorEntry]:
    """One entry per limit that the operation breaks: the application's own first, as its analyzers run first."""
    found: list[ErrorEntry] = []
    if not profile.introspects(context) and cost.introspects():
        found.append(_own(profile, "INTROSPECTION_DISABLED_ERROR"))
    if profile.max_aliases is not None and (used := len(cost.aliases())) > profile.max_aliases:
        entry = _own(profile, "TOO_MANY_ALIASES_ERROR", used=used, allowed=profile.max_aliases)
        found.extend([entry, dict(entry)] if profile.alias_error_twice else [entry])
    if profile.max_recursion is not None and cost.recursion() > profile.max_recursion:
        found.append(_own(profile, "RECURSION_LIMIT_EXCEEDED_ERROR"))
    if profile.max_depth is not None and (depth := cost.depth()) > profile.max_depth:
        found.append({"message": f"Query has depth of {depth}, which exceeds max depth of {profile.max_depth}"})
    if profile.max_complexity is not None and (price := cost.complexity()) > profile.max_complexity:
        text = f"Query has complexity of {price}, which exceeds max complexity of {profile.max_complexity}"
        found.append({"message": text})
    return found


def _own(profile: RubyProfile, code: str, **values: Any) -> ErrorEntry:
    text = _TEXTS[code].format(**values)
    if profile.translate is not None:
        text = profile.translate(text, {"code": code, **values})
    return {"message": text, "extensions": {"code": code}}


class Cost:
    """Measures one operation with its variables."""

    def __init__(
        self, schema: GraphQLSchema, profile: RubyProfile, document: DocumentNode, operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
    ) -> None:  # fmt: skip
        root = schema.get_root_type(operation.operation)
        assert root is not None
        self.schema = schema
        self.profile = profile
        self.operation = operation
        self.variables = variables
        self.root: GraphQLNamedType = root
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def depth(self) -> int:
        """The deepest field; connections, edges and introspection count like any."""
        return self._depth(self.operation.selection_set)

    def complexity(self) -> int:
        """The price by the profile's rule."""
        return self._price([(self.operation.selection_set, self.root)])

    def aliases(self) -> set[str]:
        """The distinct aliases."""
        found: set[str] = set()
        waiting: list[SelectionSetNode] = [self.operation.selection_set]
        while waiting:
            for node in self._fields(waiting.pop()):
                if node.alias is not None:
                    found.add(node.alias.value)
                if node.selection_set is not None:
                    waiting.append(node.selection_set)
        return found

    def introspects(self) -> bool:
        """Is the schema asked for? Only root fields can; __typename is none of them."""
        return any(node.name.value in {"__schema", "__type"} for node in self._fields(self.operation.selection_set))

    def recursion(self) -> int:
        """How often one field name with selections is open on a path at most."""
        return self._recursion(self.operation.selection_set, {})

    def _fields(self, selections: SelectionSetNode) -> Iterator[FieldNode]:
        return (node for node, _ in self._asked(selections, self.root))

    def _asked(self, selections: SelectionSetNode, parent: GraphQLNamedType) -> Iterator[Asked]:
        """The fields of a selection with the type they are asked of, fragments opened."""
        for node in selections.selections:
            if not included(node, self.variables):
                continue
            if isinstance(node, FieldNode):
                yield node, parent
            elif isinstance(node, InlineFragmentNode):
                kind = self.schema.get_type(node.type_condition.name.value) if node.type_condition else parent
                yield from self._asked(node.selection_set, kind or parent)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self.fragments[node.name.value]
                kind = self.schema.get_type(fragment.type_condition.name.value)
                yield from self._asked(fragment.selection_set, kind or parent)

    def _depth(self, selections: SelectionSetNode) -> int:
        return max(
            (1 + (self._depth(node.selection_set) if node.selection_set else 0) for node in self._fields(selections)),
            default=0,
        )

    def _recursion(self, selections: SelectionSetNode, open_: Mapping[str, int]) -> int:
        most = 0
        for node in self._fields(selections):
            if node.selection_set is None:
                continue
            name = node.name.value
            now = open_
            if name not in _NOT_COUNTED:
                now = {**open_, name: open_.get(name, 0) + 1}
                most = max(most, now[name])
            most = max(most, self._recursion(node.selection_set, now))
        return most

    def _price(self, scopes: Sequence[tuple[SelectionSetNode, GraphQLNamedType]]) -> int:
        """The dearest of the types that an object here can have; fields of one response key count once."""
        asked = [each for selections, parent in scopes for each in self._asked(selections, parent)]
        parents = {kind.name: kind for _, kind in asked}
        if len(parents) <= 1:
            return self._sum(asked)
        covers = {name: self._possible(kind) for name, kind in parents.items()}
        subsets = {
            frozenset(name for name, possible in covers.items() if concrete in possible)
            for concrete in set[str]().union(*covers.values())
        }
        return max(self._sum([each for each in asked if each[1].name in subset]) for subset in subsets)

    def _possible(self, kind: GraphQLNamedType) -> set[str]:
        return {each.name for each in self.schema.get_possible_types(kind)} if is_abstract_type(kind) else {kind.name}

    def _sum(self, asked: Sequence[Asked]) -> int:
        keys: dict[str, list[Asked]] = {}
        for node, parent in asked:
            keys.setdefault(node.alias.value if node.alias else node.name.value, []).append((node, parent))
        return sum(self._field(nodes) for nodes in keys.values())

    def _field(self, asked: Sequence[Asked]) -> int:
        node, parent = asked[0]
        definition = field_of(self.schema, parent, node.name.value)
        kind = get_named_type(definition.type)
        sets = [each.selection_set for each, _ in asked if each.selection_set is not None]
        if not sets:
            return 1
        inside = self._price([(each, kind) for each in sets])
        if not kind.name.endswith("Connection") or self.profile.rule == "flat":
            return 1 + inside
        if self.profile.rule == "consul_a":
            return 1000 + inside
        once = self._once(sets, kind)
        return 1 + self._page(node) * (inside - once) + once

    def _once(self, sets: Sets, kind: GraphQLNamedType) -> int:
        """What a connection's page size does not multiply."""
        asked = [node for each in sets for node, _ in self._asked(each, kind)]
        names = {node.name.value for node in asked}
        info = [node.selection_set for node in asked if node.name.value == "pageInfo" and node.selection_set]
        inner = {sub.alias.value if sub.alias else sub.name.value for each in info for sub in self._fields(each)}
        return ("edges" in names) + ("nodes" in names) + (1 + len(inner) if info else 0)

    def _page(self, node: FieldNode) -> int:
        given = [value for name in ("first", "last") if (value := self._integer(node, name)) is not None]
        if given:
            return max(given)
        return self.profile.default_page or self.profile.page or 1

    def _integer(self, node: FieldNode, name: str) -> int | None:
        for argument in node.arguments or ():
            if argument.name.value == name:
                if isinstance(argument.value, IntValueNode):
                    return int(argument.value.value)
                if isinstance(argument.value, VariableNode):
                    value = self.variables.get(argument.value.name.value)
                    return value if isinstance(value, int) else None
        return None
