"""Executing a selection as graphql-ruby does: connections by offset, partial results, nulls that climb."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_location,
    is_abstract_type,
    is_leaf_type,
    value_from_ast,
)
from graphql import execute as reference_execute
from graphql.pyutils import Undefined

if TYPE_CHECKING:
    from .engine import RubyProfile


class FieldError(Exception):
    """A resolver's error: the field becomes null, the message stands in `errors`."""

    def __init__(self, message: str, extensions: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.extensions = extensions


class RequestFailed(Exception):
    """The whole request fails with an HTTP status: CONSUL's 404, a resolver that crashes."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(frozen=True, slots=True)
class Hidden:
    """Stands for an object that may not be seen: null, with an error entry where the release reports one."""

    message: str = ""
    extensions: Mapping[str, Any] | None = None


class _Climbs(Exception):
    """A null where none may be: the nearest nullable parent becomes null."""


@dataclass(slots=True)
class _Page:
    """A window on a connection."""

    rows: Sequence[Any]
    start: int
    has_next: bool
    has_previous: bool
    error: str | None = None


_Field = tuple[str, list[FieldNode]]


class Executor:
    """Executes operations of one schema."""

    def __init__(
        self, schema: GraphQLSchema, resolvers: Mapping[str, Callable[..., Any]], profile: "RubyProfile"
    ) -> None:
        self.schema = schema
        self.resolvers = resolvers
        self.profile = profile

    def run(
        self, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any], context: Any
    ) -> dict[str, Any]:
        """The body of the answer."""
        return _Execution(self, document, variables, context).run(operation)


class _Execution:
    def __init__(self, owner: Executor, document: DocumentNode, variables: Mapping[str, Any], context: Any) -> None:
        self.owner = owner
        self.schema = owner.schema
        self.resolvers = owner.resolvers
        self.document = document
        self.variables = variables
        self.context = context
        self.errors: list[dict[str, Any]] = []
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._collected: dict[tuple[int, str], list[_Field]] = {}
        self._arguments: dict[int, dict[str, Any]] = {}

    def run(self, operation: OperationDefinitionNode) -> dict[str, Any]:
        root = self.schema.get_root_type(operation.operation)
        assert root is not None
        try:
            data: Any = self._object(root, [operation.selection_set], None, [])
        except _Climbs:
            data = None
        if not self.errors:
            return {"data": data}
        # From 2.5 on the gem writes `errors` before `data`.
        if self.owner.profile.gem >= (2, 5):
            return {"errors": self.errors, "data": data}
        return {"data": data, "errors": self.errors}

    def _collect(self, sets: Sequence[SelectionSetNode], kind: GraphQLObjectType) -> list[_Field]:
        key = (id(sets[0]), kind.name) if len(sets) == 1 else (id(sets), kind.name)
        kept = self._collected.get(key) if len(sets) == 1 else None
        if kept is None:
            found: dict[str, list[FieldNode]] = {}
            for each in sets:
                self._gather(each, kind, found)
            kept = list(found.items())
            if len(sets) == 1:
                self._collected[key] = kept
        return kept

    def _gather(self, selections: SelectionSetNode, kind: GraphQLObjectType, found: dict[str, list[FieldNode]]) -> None:
        for node in selections.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or self._fits(kind, node.type_condition.name.value):
                    self._gather(node.selection_set, kind, found)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self.fragments[node.name.value]
                if self._fits(kind, fragment.type_condition.name.value):
                    self._gather(fragment.selection_set, kind, found)

    def _included(self, node: Any) -> bool:
        for directive in node.directives or ():
            argument = directive.arguments[0].value
            name = getattr(getattr(argument, "name", None), "value", None)
            value = self.variables.get(name) if name else getattr(argument, "value", False)
            if (directive.name.value == "skip" and value) or (directive.name.value == "include" and not value):
                return False
        return True

    def _fits(self, kind: GraphQLObjectType, name: str) -> bool:
        if kind.name == name:
            return True
        wanted = self.schema.get_type(name)
        return wanted is not None and is_abstract_type(wanted) and self.schema.is_sub_type(wanted, kind)

    def _object(
        self, kind: GraphQLObjectType, sets: Sequence[SelectionSetNode], value: Any, path: list[Any]
    ) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, nodes in self._collect(sets, kind):
            node = nodes[0]
            name = node.name.value
            if name == "__typename":
                result[key] = kind.name
            elif name in {"__schema", "__type"}:
                result[key] = self._introspect(key, nodes)
            else:
                result[key] = self._field(kind, name, nodes, value, [*path, key])
        return result

    def _field(self, kind: GraphQLObjectType, name: str, nodes: list[FieldNode], value: Any, path: list[Any]) -> Any:
        definition = kind.fields[name]
        node = nodes[0]
        place = f"{kind.name}.{name}"
        if isinstance(value, _Page):
            return self._page_field(definition, nodes, value, path, place)
        arguments = self._values(node, definition)
        resolver = self.resolvers.get(place)
        try:
            found = resolver(value, arguments, self.context) if resolver else _default(value, name)
            named = definition.type.of_type if isinstance(definition.type, GraphQLNonNull) else definition.type
            if (
                getattr(named, "name", "").endswith("Connection")
                and found is not None
                and not isinstance(found, Hidden)
            ):
                found = self._window(found, arguments)
            return self._complete(definition.type, nodes, found, path, place)
        except FieldError as error:
            self._error(error.message, node, path, error.extensions)
            if isinstance(definition.type, GraphQLNonNull):
                raise _Climbs from None
            return None
        except _Climbs:
            if isinstance(definition.type, GraphQLNonNull):
                raise
            return None

    def _page_field(self, definition: Any, nodes: list[FieldNode], page: _Page, path: list[Any], place: str) -> Any:
        name = nodes[0].name.value
        if name == "pageInfo":
            last = page.start + len(page.rows)
            value: Any = {
                "hasNextPage": page.has_next,
                "hasPreviousPage": page.has_previous,
                "startCursor": cursor(page.start + 1) if page.rows else None,
                "endCursor": cursor(last) if page.rows else None,
            }
        elif page.error is not None:
            self._error(page.error, nodes[0], path, None)
            return None
        elif name == "edges":
            value = [{"cursor": cursor(page.start + i + 1), "node": row} for i, row in enumerate(page.rows)]
        else:
            value = page.rows
        return self._complete(definition.type, nodes, value, path, place)

    def _complete(self, kind: Any, nodes: list[FieldNode], value: Any, path: list[Any], place: str) -> Any:
        if isinstance(kind, GraphQLNonNull):
            result = self._complete(kind.of_type, nodes, value, path, place)
            if result is None:
                if not isinstance(value, Hidden) or value.extensions is None:
                    self._null_error(place, nodes[0], path)
                raise _Climbs
            return result
        if value is None:
            return None
        if isinstance(value, Hidden):
            if value.extensions is not None:
                self._error(value.message, nodes[0], path, dict(value.extensions))
            return None
        if isinstance(kind, GraphQLList):
            return [self._item(kind.of_type, nodes, each, [*path, i], place) for i, each in enumerate(value)]
        if is_leaf_type(kind):
            return _leaf(kind.name, value)
        actual = self._actual(kind, value)
        return self._object(actual, [n.selection_set for n in nodes if n.selection_set], value, path)

    def _item(self, kind: Any, nodes: list[FieldNode], value: Any, path: list[Any], place: str) -> Any:
        try:
            return self._complete(kind, nodes, value, path, place)
        except _Climbs:
            if isinstance(kind, GraphQLNonNull):
                raise
            return None

    def _actual(self, kind: Any, value: Any) -> GraphQLObjectType:
        if isinstance(kind, GraphQLObjectType):
            return kind
        name = value["__typename"] if isinstance(value, Mapping) else getattr(value, "typename")  # noqa: B009
        found = self.schema.get_type(name)
        assert isinstance(found, GraphQLObjectType), name
        return found

    def _values(self, node: FieldNode, definition: Any) -> dict[str, Any]:
        kept = self._arguments.get(id(node))
        if kept is not None:
            return kept
        given = {argument.name.value: argument.value for argument in (node.arguments or ())}
        values: dict[str, Any] = {}
        for name, argument in definition.args.items():
            if name in given:
                value = value_from_ast(given[name], argument.type, dict(self.variables))
                if value is not Undefined:
                    values[name] = value
            elif argument.default_value is not Undefined:
                values[name] = argument.default_value
        self._arguments[id(node)] = values
        return values

    def _window(self, rows: Sequence[Any], arguments: Mapping[str, Any]) -> _Page:
        cap = self.owner.profile.page
        after, before = arguments.get("after"), arguments.get("before")
        try:
            start = max(0, _position(after)) if after is not None else 0
            end = max(0, _position(before) - 1) if before is not None else len(rows)
        except ValueError:
            bad = after if after is not None else before
            return _Page([], 0, False, False, f'Invalid input: "{bad}"')
        end = min(end, len(rows))
        first, last = arguments.get("first"), arguments.get("last")
        if first is None and last is None:
            first = cap
        first = min(first, cap) if first is not None and cap is not None else first
        last = min(last, cap) if last is not None and cap is not None else last
        stop = min(end, start + max(0, first)) if first is not None else end
        stop = max(stop, start)
        begin = max(start, stop - max(0, last)) if last is not None else start
        window = rows[begin:stop]
        if before is not None and end > 0:
            has_next = True
        elif first is not None:
            has_next = len(window) >= first and start + max(0, first) < len(rows)
        else:
            has_next = False
        has_previous = (start > 0) if after is not None else (last is not None and begin > 0)
        if not self.owner.profile.backward_paging and after is not None:
            has_previous = False
        return _Page(window, begin, has_next, has_previous)

    def _error(self, message: str, node: FieldNode, path: list[Any], extensions: dict[str, Any] | None) -> None:
        assert node.loc is not None
        place = get_location(node.loc.source, node.loc.start)
        entry: dict[str, Any] = {
            "message": message,
            "locations": [{"line": place.line, "column": place.column}],
            "path": path,
        }
        if extensions is not None:
            entry["extensions"] = extensions
        self.errors.append(entry)

    def _null_error(self, place: str, node: FieldNode, path: list[Any]) -> None:
        message = f"Cannot return null for non-nullable field {place}"
        if self.owner.profile.gem >= (2, 4):
            self._error(message, node, path, None)
        else:
            self.errors.append({"message": message})

    def _introspect(self, key: str, nodes: list[FieldNode]) -> Any:
        operation = OperationDefinitionNode(
            operation=self.document.definitions[0].operation
            if isinstance(self.document.definitions[0], OperationDefinitionNode)
            else None,
            selection_set=SelectionSetNode(selections=tuple(nodes)),
            variable_definitions=(),
            directives=(),
        )
        definitions = (operation, *self.fragments.values())
        result: Any = reference_execute(
            self.schema, DocumentNode(definitions=definitions), variable_values=dict(self.variables)
        )
        return (result.data or {}).get(key)


def cursor(position: int) -> str:
    """The cursor of a 1-based position."""
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def _position(text: str) -> int:
    try:
        raw = base64.b64decode(
            text.rstrip("=").translate(str.maketrans("-_", "+/")) + "=" * (-len(text.rstrip("=")) % 4), validate=True
        )
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
    digits = ""
    for character in raw.decode("utf-8", "replace").strip():
        if not (character.isdigit() or (character == "-" and not digits)):
            break
        digits += character
    try:
        return int(digits)
    except ValueError:
        return 0


def _default(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _leaf(name: str, value: Any) -> Any:
    if name in {"ID", "BigInt"}:
        return str(value)
    if name == "Float" and isinstance(value, int):
        return float(value)
    return value
