"""graphql-ruby's limits: depth, complexity, aliases, recursion, introspection (docs/platforms/decidim.md 1.2, consul.md 3.3)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

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
)

if TYPE_CHECKING:
    from .engine import RubyProfile

_NOT_COUNTED = frozenset({"node", "edges", "nodes", "ofType"})


class Cost:
    """Measures operations against one profile."""

    def __init__(self, schema: GraphQLSchema, profile: "RubyProfile") -> None:
        self.schema = schema
        self.profile = profile

    def problems(
        self, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """One entry per limit that is broken."""
        walk = _Walk(self.schema, document, variables)
        profile = self.profile
        found: list[dict[str, Any]] = []
        root = _root(self.schema, operation)
        if not profile.introspection and any(
            name in {"__schema", "__type"} for name in walk.names(operation.selection_set)
        ):
            found.append(self._error("INTROSPECTION_DISABLED_ERROR", {}))
        if profile.max_aliases is not None:
            aliases = len(walk.aliases(operation.selection_set))
            if aliases > profile.max_aliases:
                entry = self._error("TOO_MANY_ALIASES_ERROR", {"used": aliases, "allowed": profile.max_aliases})
                found.extend([entry, dict(entry)] if profile.alias_error_twice else [entry])
        if profile.max_recursion is not None and walk.recursion(operation.selection_set) > profile.max_recursion:
            found.append(self._error("RECURSION_LIMIT_EXCEEDED_ERROR", {}))
        if profile.max_depth is not None:
            depth = walk.depth(operation.selection_set)
            if depth > profile.max_depth:
                found.append({"message": f"Query has depth of {depth}, which exceeds max depth of {profile.max_depth}"})
        if profile.max_complexity is not None:
            cost = self._selection(walk, operation.selection_set, root)
            if cost > profile.max_complexity:
                text = f"Query has complexity of {cost}, which exceeds max complexity of {profile.max_complexity}"
                found.append({"message": text})
        return found

    def complexity(
        self, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> int:
        """The complexity of an operation by this profile's rule."""
        walk = _Walk(self.schema, document, variables)
        return self._selection(walk, operation.selection_set, _root(self.schema, operation))

    def _error(self, code: str, values: Mapping[str, Any]) -> dict[str, Any]:
        texts = {
            "INTROSPECTION_DISABLED_ERROR": "Introspection is disabled for this request",
            "RECURSION_LIMIT_EXCEEDED_ERROR": "Too many recursions detected in query",
            "TOO_MANY_ALIASES_ERROR": "Too many aliases used. You have used {used} aliases, but {allowed} are allowed.",
        }
        text = texts[code].format(**values)
        if self.profile.translate is not None:
            text = self.profile.translate(text, {"code": code, **values})
        return {"message": text, "extensions": {"code": code}}

    def _selection(self, walk: "_Walk", selections: SelectionSetNode | None, parent: GraphQLNamedType) -> int:
        """The sum of the fields; of alternative fragments on one response key the dearest counts once."""
        costs: dict[str, int] = {}
        for field, kind in walk.fields(selections, parent):
            name = field.alias.value if field.alias else field.name.value
            costs[name] = max(costs.get(name, 0), self._field(walk, field, kind))
        return sum(costs.values())

    def _field(self, walk: "_Walk", field: FieldNode, parent: GraphQLNamedType) -> int:
        kind = _type_of(self.schema, parent, field.name.value)
        if field.selection_set is None or kind is None:
            return 1
        inside = self._selection(walk, field.selection_set, kind)
        if not kind.name.endswith("Connection") or self.profile.rule == "flat":
            return 1 + inside
        if self.profile.rule == "consul_a":
            return 1000 + inside
        page = walk.argument(field, "first")
        page = walk.argument(field, "last") if page is None else page
        page = (self.profile.page or 0) if page is None else page
        items = metadata = 0
        for part, _ in walk.fields(field.selection_set, kind):
            inner = _type_of(self.schema, kind, part.name.value)
            cost = self._selection(walk, part.selection_set, inner) if part.selection_set and inner else 0
            if part.name.value in {"edges", "nodes"}:
                items += cost
                metadata += 1
            else:
                metadata += 1 + cost
        return 1 + page * items + metadata


class _Walk:
    """Goes through an operation with its fragments opened."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self.schema = schema
        self.variables = variables
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def fields(
        self, selections: SelectionSetNode | None, parent: GraphQLNamedType | None
    ) -> Iterator[tuple[FieldNode, GraphQLNamedType]]:
        """Every field with the type it is asked of."""
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                assert parent is not None
                yield node, parent
            elif isinstance(node, InlineFragmentNode):
                name = node.type_condition.name.value if node.type_condition else None
                yield from self.fields(node.selection_set, self.schema.get_type(name) if name else parent)
            elif isinstance(node, FragmentSpreadNode) and node.name.value in self.fragments:
                fragment = self.fragments[node.name.value]
                yield from self.fields(fragment.selection_set, self.schema.get_type(fragment.type_condition.name.value))

    def _plain(self, selections: SelectionSetNode | None) -> Iterator[FieldNode]:
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                yield from self._plain(node.selection_set)
            elif isinstance(node, FragmentSpreadNode) and node.name.value in self.fragments:
                yield from self._plain(self.fragments[node.name.value].selection_set)

    def names(self, selections: SelectionSetNode | None) -> Iterator[str]:
        """All field names."""
        for field in self._plain(selections):
            yield field.name.value
            yield from self.names(field.selection_set)

    def aliases(self, selections: SelectionSetNode | None) -> set[str]:
        """All distinct aliases."""
        found: set[str] = set()
        for field in self._plain(selections):
            if field.alias:
                found.add(field.alias.value)
            found |= self.aliases(field.selection_set)
        return found

    def depth(self, selections: SelectionSetNode | None) -> int:
        """The deepest field."""
        return max((1 + self.depth(field.selection_set) for field in self._plain(selections)), default=0)

    def recursion(self, selections: SelectionSetNode | None, open_: Mapping[str, int] | None = None) -> int:
        """How often the same field name is open on one path at most."""
        most = 0
        for field in self._plain(selections):
            if field.selection_set is None:
                continue
            now = dict(open_ or {})
            name = field.name.value
            if name not in _NOT_COUNTED:
                now[name] = now.get(name, 0) + 1
                most = max(most, now[name])
            most = max(most, self.recursion(field.selection_set, now))
        return most

    def argument(self, field: FieldNode, name: str) -> int | None:
        """An integer argument, written or from a variable."""
        for argument in field.arguments or ():
            if argument.name.value == name:
                if isinstance(argument.value, IntValueNode):
                    return int(argument.value.value)
                if isinstance(argument.value, VariableNode):
                    value = self.variables.get(argument.value.name.value)
                    return value if isinstance(value, int) else None
        return None


def _root(schema: GraphQLSchema, operation: OperationDefinitionNode) -> GraphQLNamedType:
    root = schema.get_root_type(operation.operation)
    assert root is not None
    return root


def _type_of(schema: GraphQLSchema, parent: GraphQLNamedType, name: str) -> GraphQLNamedType | None:
    field = getattr(parent, "fields", {}).get(name)
    if field is None:
        found = schema.get_field(parent, name) if name.startswith("__") else None  # pyright: ignore[reportArgumentType]
        return get_named_type(found.type) if found else None
    return get_named_type(field.type)
