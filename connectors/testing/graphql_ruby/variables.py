"""Variables of a request, coerced and complained about as graphql-ruby does.

Knows the schema only; must not look at the selections of a document.
"""

import json
from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_location,
    print_ast,
    type_from_ast,
    value_from_ast,
)

from .profile import ErrorEntry

_PLAIN: dict[str, tuple[type, ...]] = {
    "ID": (str, int),
    "String": (str,),
    "Int": (int,),
    "Float": (int, float),
    "Boolean": (bool,),
}


class _Coercion:
    def __init__(self) -> None:
        self.problems: list[dict[str, Any]] = []

    def wrong(self, path: list[Any], explanation: str) -> None:
        self.problems.append({"path": path, "explanation": explanation})

    def value(self, kind: Any, value: Any, path: list[Any]) -> Any:
        if isinstance(kind, GraphQLNonNull):
            if value is None:
                self.wrong(path, "Expected value to not be null")
                return None
            return self.value(kind.of_type, value, path)
        if value is None:
            return None
        if isinstance(kind, GraphQLList):
            items = value if isinstance(value, list) else [value]
            return [self.value(kind.of_type, each, [*path, i]) for i, each in enumerate(items)]
        if isinstance(kind, GraphQLInputObjectType):
            return self._object(kind, value, path)
        if isinstance(kind, GraphQLEnumType):
            if value not in kind.values:
                self.wrong(path, f"Expected {_shown(value)} to be one of: {', '.join(kind.values)}")
            return value
        return self._scalar(kind, value, path)

    def _object(self, kind: GraphQLInputObjectType, value: Any, path: list[Any]) -> Any:
        if not isinstance(value, dict):
            self.wrong(path, f"Expected {_shown(value)} to be a key-value object.")
            return None
        for name in value:
            if name not in kind.fields:
                self.wrong([*path, name], f"Field is not defined on {kind.name}")
        coerced: dict[str, Any] = {}
        for name, field in kind.fields.items():
            if name in value:
                coerced[name] = self.value(field.type, value[name], [*path, name])
            elif (default := default_of(field)) is not Undefined:
                coerced[name] = default
            elif isinstance(field.type, GraphQLNonNull):
                self.wrong([*path, name], "Expected value to not be null")
        return coerced

    def _scalar(self, kind: Any, value: Any, path: list[Any]) -> Any:
        allowed = _PLAIN.get(kind.name)
        good = isinstance(value, allowed) if allowed else True
        if isinstance(value, bool) and kind.name in {"ID", "Int", "Float"}:
            good = False
        if kind.name == "Int" and good and not -(2**31) <= value < 2**31:
            good = False
        if not good:
            self.wrong(path, f"Could not coerce value {_shown(value)} to {kind.name}")
            return None
        if kind.name == "ID":
            return str(value)
        return float(value) if kind.name == "Float" else value


def default_of(definition: Any) -> Any:
    """The default of an argument or input field; Undefined if it has none."""
    if not hasattr(definition, "default"):
        return definition.default_value  # graphql-core 3.2
    default = definition.default
    if default is None:
        return Undefined
    return default.value if default.literal is None else literal_value(default.literal, definition.type, {})


def literal_value(node: ValueNode, kind: Any, variables: Mapping[str, Any]) -> Any:
    """What a literal stands for, defaults of input objects included; Undefined for a variable not given.

    graphql-core's value_from_ast does not know the defaults of input fields any more.
    """
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if isinstance(node, VariableNode):
        return variables.get(node.name.value, Undefined)
    if isinstance(node, NullValueNode):
        return None
    if isinstance(kind, GraphQLList):
        items = node.values if isinstance(node, ListValueNode) else [node]
        values = [literal_value(each, kind.of_type, variables) for each in items]
        return [None if each is Undefined else each for each in values]
    if isinstance(kind, GraphQLInputObjectType):
        given = {each.name.value: each.value for each in node.fields} if isinstance(node, ObjectValueNode) else {}
        return values_of(given, kind.fields, variables)
    if isinstance(kind, GraphQLEnumType):
        return getattr(node, "value", None)
    return value_from_ast(node, kind, dict(variables))


def values_of(
    given: Mapping[str, ValueNode], definitions: Mapping[str, Any], variables: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments of a field, or fields of an input object, with their defaults."""
    values: dict[str, Any] = {}
    for name, definition in definitions.items():
        value = literal_value(given[name], definition.type, variables) if name in given else Undefined
        if value is Undefined:
            value = default_of(definition)
        if value is not Undefined:
            values[name] = value
    return values


def coerce_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[ErrorEntry]]:
    """The values for the executor, and an entry per variable that is wrong."""
    values: dict[str, Any] = {}
    wrong: list[ErrorEntry] = []
    for each in operation.variable_definitions or ():
        name = each.variable.name.value
        kind = type_from_ast(schema, each.type)
        if kind is None:
            continue
        if name not in given and each.default_value is not None:
            values[name] = literal_value(each.default_value, kind, {})
            continue
        if name not in given and not isinstance(kind, GraphQLNonNull):
            continue
        coercion = _Coercion()
        values[name] = coercion.value(kind, given.get(name), [])
        if coercion.problems:
            wrong.append(_entry(each, name, given.get(name), coercion.problems))
    return values, wrong


def _entry(definition: Any, name: str, value: Any, problems: list[dict[str, Any]]) -> ErrorEntry:
    text = f"Variable ${name} of type {print_ast(definition.type)} was provided invalid value"
    inner = [f"{'.'.join(map(str, each['path']))} ({each['explanation']})" for each in problems if each["path"]]
    if inner:
        text += f" for {', '.join(inner)}"
    place = get_location(definition.loc.source, definition.loc.start)
    return {
        "message": text,
        "locations": [{"line": place.line, "column": place.column}],
        "extensions": {"value": value, "problems": problems},
    }


def _shown(value: Any) -> str:
    """A value in GraphQL's notation."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_shown(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_shown(each) for each in value) + "]"
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, GraphQLError):
        return str(value)
