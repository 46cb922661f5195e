"""Running a validated operation as graphql-ruby does: partial results, nulls that climb, errors in its order.

Must not check documents or limits; `graphql_ruby` has done that before.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NoReturn

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)

from .cost import included
from .paging import Connection, connection_field
from .profile import ErrorEntry, FieldError, Null, RequestFailed, RubyProfile
from .validate import field_of, located
from .variables import values_of

Resolver = Callable[[Any, Mapping[str, Any], Any], Any]
TypeOf = Callable[[Any], str]
# A path grows by pairs (path so far, next part) and becomes a list only if an error needs it.
Trail = tuple[Any, Any] | None


class _Climbs(Exception):
    """A null where none may be: the nearest nullable parent becomes null."""


class _Field:
    """A field of one selection on one object type, with everything that is the same for all objects."""

    __slots__ = (
        "args",
        "connection",
        "definition",
        "key",
        "leaf",
        "node",
        "nonnull",
        "place",
        "plans",
        "resolve",
        "sets",
    )

    def __init__(self, key: str, nodes: list[FieldNode], place: str, definition: Any) -> None:
        self.key = key
        self.node = nodes[0]
        self.place = place
        self.definition = definition
        self.sets = [each.selection_set for each in nodes if each.selection_set is not None]
        self.nonnull = isinstance(definition.type, GraphQLNonNull)
        bare = definition.type.of_type if self.nonnull else definition.type
        self.leaf: Callable[[Any], Any] | None = leaf_writer(bare) if is_leaf_type(bare) else None
        self.connection = not self.leaf and get_named_type(bare).name.endswith("Connection")
        self.plans: dict[str, list[_Field]] = {}
        self.args: dict[str, Any] = {}
        self.resolve: Resolver = _missing


def _missing(_obj: Any, _args: Mapping[str, Any], _context: Any) -> Any:
    return None


class Execution:
    """One request."""

    def __init__(
        self, schema: GraphQLSchema, profile: RubyProfile, resolvers: Mapping[str, Resolver], type_of: TypeOf | None,
        document: DocumentNode, variables: Mapping[str, Any], context: Any,
    ) -> None:  # fmt: skip
        self.schema = schema
        self.profile = profile
        self.resolvers = resolvers
        self.type_of = type_of
        self.variables = dict(variables)
        self.context = context
        self.errors: list[ErrorEntry] = []
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def run(self, operation: OperationDefinitionNode) -> dict[str, Any]:
        """The body of the answer."""
        root = self.schema.get_root_type(operation.operation)
        assert root is not None
        try:
            data: Any = self._object(self._plan(root, [operation.selection_set]), None, None)
        except _Climbs:
            data = None
        if not self.errors:
            return {"data": data}
        if self.profile.writes_errors_first:
            return {"errors": self.errors, "data": data}
        return {"data": data, "errors": self.errors}

    # Planning: once per selection and type

    def _plan(self, kind: GraphQLObjectType, sets: Sequence[SelectionSetNode]) -> list[_Field]:
        keys: dict[str, list[FieldNode]] = {}
        for each in sets:
            self._gather(each, kind, keys)
        return [self._planned(kind, key, nodes) for key, nodes in keys.items()]

    def _gather(self, selections: SelectionSetNode, kind: GraphQLObjectType, keys: dict[str, list[FieldNode]]) -> None:
        for node in selections.selections:
            if not included(node, self.variables):
                continue
            if isinstance(node, FieldNode):
                keys.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or self._applies(kind, node.type_condition.name.value):
                    self._gather(node.selection_set, kind, keys)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self.fragments[node.name.value]
                if self._applies(kind, fragment.type_condition.name.value):
                    self._gather(fragment.selection_set, kind, keys)

    def _applies(self, kind: GraphQLObjectType, condition: str) -> bool:
        if kind.name == condition:
            return True
        other = self.schema.get_type(condition)
        return is_abstract_type(other) and self.schema.is_sub_type(other, kind)

    def _planned(self, kind: GraphQLObjectType, key: str, nodes: list[FieldNode]) -> _Field:
        name = nodes[0].name.value
        place = f"{kind.name}.{name}"
        field = _Field(key, nodes, place, field_of(self.schema, kind, name))
        field.args = self._arguments(nodes[0], field.definition)
        own = self.resolvers.get(place)
        if name == "__typename":
            field.resolve = lambda _obj, _args, _context: kind.name
        elif kind.name.startswith("__") or name in {"__schema", "__type"}:
            field.resolve = self._introspection(field)
        elif own is not None:
            field.resolve = own
        else:
            field.resolve = _default(name)
        return field

    def _arguments(self, node: FieldNode, definition: Any) -> dict[str, Any]:
        given = {each.name.value: each.value for each in node.arguments or ()}
        return values_of(given, definition.args, self.variables)

    def _introspection(self, field: _Field) -> Resolver:
        info: Any = SimpleNamespace(schema=self.schema)
        resolve = field.definition.resolve
        arguments = field.definition.args
        args = {arguments[name].out_name or name: value for name, value in field.args.items()}
        ordered = field.place == "__Schema.types"
        known = None if field.place != "__Schema.directives" else self._directives()

        def call(obj: Any, _args: Mapping[str, Any], _context: Any) -> Any:
            value: Any = (
                resolve(obj, info, **args) if resolve else getattr(obj, field.definition.ast_node.name.value, None)
            )
            if known is not None:
                return [each for each in value if each.name in known]
            # The gem lists types by name, graphql-core in the order of the schema's text.
            return sorted(value, key=lambda each: each.name) if ordered else value

        return call

    def _directives(self) -> set[str]:
        """graphql-core lists all that it knows; the gem learned the last two later."""
        names = {each.name for each in self.schema.directives}
        if self.profile.gem < (2, 0):
            names -= {"specifiedBy"}
        return names - {"oneOf"} if self.profile.gem < (2, 0, 21) else names

    # Running: once per object

    def _object(self, plan: Sequence[_Field], obj: Any, trail: Trail) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for field in plan:
            try:
                value = field.resolve(obj, field.args, self.context)
                if value is None:
                    answer[field.key] = None if not field.nonnull else self._null(field, (trail, field.key))
                elif field.leaf is not None and value.__class__ is not Null:
                    answer[field.key] = field.leaf(value)
                else:
                    answer[field.key] = self._nested(field, value, (trail, field.key))
            except FieldError as error:
                self._error(error.message, field.node, (trail, field.key), error.extensions)
                if field.nonnull:
                    raise _Climbs from None
                answer[field.key] = None
        return answer

    def _nested(self, field: _Field, value: Any, trail: Trail) -> Any:
        if field.connection and not isinstance(value, Connection | Null):
            value = Connection(value, field.args, self.profile)
        try:
            return self._complete(field.definition.type, field, value, trail)
        except _Climbs:
            if field.nonnull:
                raise
            return None

    def _complete(self, kind: Any, field: _Field, value: Any, trail: Trail) -> Any:
        nonnull = isinstance(kind, GraphQLNonNull)
        if nonnull:
            kind = kind.of_type
        if value is None or isinstance(value, Null):
            if value is not None and value.message is not None:
                self._error(value.message, field.node, trail, value.extensions)
                if nonnull:
                    raise _Climbs
                return None
            return self._null(field, trail) if nonnull else None
        if isinstance(kind, GraphQLList):
            return self._list(kind.of_type, field, value, trail)
        if is_leaf_type(kind):
            return leaf_writer(kind)(value)
        concrete = self._concrete(kind, value)
        plan = field.plans.get(concrete.name)
        if plan is None:
            plan = field.plans[concrete.name] = self._plan(concrete, field.sets)
        return self._object(plan, value, trail)

    def _list(self, kind: Any, field: _Field, values: Any, trail: Trail) -> list[Any]:
        strict = isinstance(kind, GraphQLNonNull)
        answer: list[Any] = []
        for i, each in enumerate(values):
            try:
                answer.append(self._complete(kind, field, each, (trail, i)))
            except _Climbs:
                if strict:
                    raise
                answer.append(None)
        return answer

    def _concrete(self, kind: Any, value: Any) -> GraphQLObjectType:
        if isinstance(kind, GraphQLObjectType):
            return kind
        if self.type_of is not None:
            name = self.type_of(value)
        elif isinstance(value, Mapping):
            name = value["__typename"]
        else:
            name = getattr(value, "__typename", None) or value.typename
        found = self.schema.get_type(name)
        assert isinstance(found, GraphQLObjectType), f"{name} is no object type"
        return found

    def _null(self, field: _Field, trail: Trail) -> NoReturn:
        message = f"Cannot return null for non-nullable field {field.place}"
        if self.profile.locates_nulls:
            self._error(message, field.node, trail, None)
        else:
            self.errors.append({"message": message})
        raise _Climbs

    def _error(self, message: str, node: FieldNode, trail: Trail, extensions: Mapping[str, Any] | None) -> None:
        path: list[Any] = []
        while trail is not None:
            trail, part = trail
            path.append(part)
        entry: ErrorEntry = {"message": message, "locations": located(node), "path": path[::-1]}
        if extensions:
            entry["extensions"] = dict(extensions)
        self.errors.append(entry)


def _default(name: str) -> Resolver:
    paging = connection_field(name)

    def resolve(obj: Any, _args: Mapping[str, Any], _context: Any) -> Any:
        if isinstance(obj, Mapping):
            return obj.get(name)
        if paging is not None and isinstance(obj, Connection):
            return paging(obj)
        return getattr(obj, name, None)

    return resolve


@lru_cache(maxsize=1024)
def leaf_writer(kind: Any) -> Callable[[Any], Any]:
    """How values of a scalar or enum are written."""
    if isinstance(kind, GraphQLEnumType):
        return kind.serialize if kind.name.startswith("__") else str
    return _WRITERS.get(kind.name, _as_it_is)


def _int(value: Any) -> int:
    number = int(value)
    if not -(2**31) <= number < 2**31:
        raise RequestFailed(500)
    return number


def _string(value: Any) -> str:
    if value.__class__ is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _as_it_is(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "ID": str,
    "BigInt": str,
    "String": _string,
    "Int": _int,
    "Float": float,
    "Boolean": bool,
}
