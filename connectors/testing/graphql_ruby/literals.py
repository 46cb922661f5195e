"""Questions about parts of a document that graphql-ruby's static validation asks: literals, types, fragments used.

Adds no error entries; that is graphql_ruby_validate's.
"""

from collections.abc import Mapping
from typing import Any

from graphql import (
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    InlineFragmentNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    print_ast,
    value_from_ast,
)


def fragments_of(selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> list[str]:
    """The fragments that a selection uses, directly or through others."""
    found: list[str] = []
    waiting: list[SelectionSetNode] = [selections]
    while waiting:
        for node in waiting.pop().selections:
            if isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name in fragments and name not in found:
                    found.append(name)
                    waiting.append(fragments[name].selection_set)
            elif isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set is not None:
                waiting.append(node.selection_set)
    return found


def arguments_text(node: FieldNode) -> str:
    inner = ",".join(f'{each.name.value}:"{print_ast(each.value)}"' for each in node.arguments or ())
    return "{" + inner.replace('""', '"\\"').replace('\\"",', '\\"",') + "}"


def fits(value: ValueNode, kind: Any) -> bool:
    """Is this literal good for that type? Variables inside it are, whatever they hold."""
    if isinstance(value, VariableNode):
        return True
    if isinstance(kind, GraphQLNonNull):
        return not isinstance(value, NullValueNode) and fits(value, kind.of_type)
    if isinstance(value, NullValueNode):
        return True
    if isinstance(kind, GraphQLList):
        items = value.values if isinstance(value, ListValueNode) else [value]
        return all(fits(each, kind.of_type) for each in items)
    if isinstance(kind, GraphQLInputObjectType):
        return isinstance(value, ObjectValueNode)
    if isinstance(kind, GraphQLEnumType):
        return value_from_ast(value, kind) is not Undefined
    if isinstance(value, FloatValueNode) and kind.name == "ID":
        return False
    if kind.name in {"ID", "Int", "Float", "String", "Boolean"}:
        return value_from_ast(value, kind) is not Undefined
    return True


def mismatch_of(given: Any, wanted: Any, has_default: bool) -> str | None:
    if get_named_type(given) is not get_named_type(wanted):
        return "Type mismatch"
    if str(given).count("[") != str(wanted).count("["):
        return "List dimension mismatch"
    if has_default and isinstance(wanted, GraphQLNonNull):
        wanted = wanted.of_type
    while True:
        if isinstance(wanted, GraphQLNonNull) and not isinstance(given, GraphQLNonNull):
            return "Nullability mismatch"
        wanted = wanted.of_type if isinstance(wanted, GraphQLNonNull) else wanted
        given = given.of_type if isinstance(given, GraphQLNonNull) else given
        if not isinstance(wanted, GraphQLList):
            return None
        wanted, given = wanted.of_type, given.of_type
