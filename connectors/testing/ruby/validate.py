"""graphql-ruby's static validation, with its own messages, codes and paths. The same for every application."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_location,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    print_ast,
    type_from_ast,
    value_from_ast,
)
from graphql.pyutils import Undefined
from graphql.utilities import coerce_input_value


@dataclass(slots=True)
class Problem:
    """One entry of `errors`."""

    message: str
    node: Node
    path: list[Any]
    extensions: dict[str, Any] = field(default_factory=dict[str, Any])

    def entry(self) -> dict[str, Any]:
        """As it stands in the answer."""
        assert self.node.loc is not None
        place = get_location(self.node.loc.source, self.node.loc.start)
        return {
            "message": self.message,
            "locations": [{"line": place.line, "column": place.column}],
            "path": self.path,
            "extensions": self.extensions,
        }


class Validator:
    """Validates documents against a schema as one release of the gem does."""

    def __init__(self, schema: GraphQLSchema, gem: tuple[int, int]) -> None:
        self.schema = schema
        self.gem = gem
        self._cache: dict[int, tuple[DocumentNode, list[Problem]]] = {}

    def problems(self, document: DocumentNode) -> list[Problem]:
        """Everything that is wrong; empty for a good document."""
        kept = self._cache.get(id(document))
        if kept is None:
            if len(self._cache) > 512:
                self._cache.clear()
            kept = self._cache[id(document)] = (document, _Run(self.schema, self.gem, document).all())
        return kept[1]


class _Run:
    def __init__(self, schema: GraphQLSchema, gem: tuple[int, int], document: DocumentNode) -> None:
        self.schema = schema
        self.gem = gem
        self.document = document
        self.found: list[Problem] = []
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self.used: set[str] = set()
        self.variables: dict[str, Any] = {}
        self.variables_used: set[str] = set()
        self.operation = ""

    def all(self) -> list[Problem]:
        for definition in self.document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                self._operation(definition)
        for name, fragment in self.fragments.items():
            if name not in self.used:
                extensions = {"code": "useAndDefineFragment", "fragmentName": name}
                self._add(f"Fragment {name} was defined, but not used", fragment, [f"fragment {name}"], extensions)
        return self.found

    def _add(self, message: str, node: Node, path: list[Any], extensions: dict[str, Any]) -> None:
        self.found.append(Problem(message, node, list(path), extensions))

    def _operation(self, node: OperationDefinitionNode) -> None:
        kind = node.operation.value
        name = node.name.value if node.name else None
        path: list[Any] = [f"{kind} {name}" if name else kind]
        root = self.schema.get_root_type(node.operation)
        if root is None:
            if node.operation is OperationType.SUBSCRIPTION:
                extensions = {"code": "missingSubscriptionConfiguration"}
                self._add("Schema is not configured for subscriptions", node, path, extensions)
            else:
                self._add(
                    f"Schema is not configured for {kind}s", node, path, {"code": f"missing{kind.title()}Configuration"}
                )
            return
        self.operation = name or f"anonymous {kind}"
        self.variables = {each.variable.name.value: each for each in node.variable_definitions or ()}
        self.variables_used = set()
        self._selections(node.selection_set, root, path)
        for each in self.variables:
            if each not in self.variables_used:
                extensions = {"code": "variableNotUsed", "variableName": each}
                self._add(f"Variable ${each} is declared by {self.operation} but not used", node, path, extensions)

    def _selections(self, selections: SelectionSetNode, parent: GraphQLNamedType, path: list[Any]) -> None:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                self._field(node, parent, path)
            elif isinstance(node, InlineFragmentNode):
                name = node.type_condition.name.value if node.type_condition else None
                kind = self.schema.get_type(name) if name else parent
                here = [*path, f"... on {name}" if name else "..."]
                if kind is None:
                    self._unknown_type(str(name), node, here)
                else:
                    self._selections(node.selection_set, kind, here)
            elif isinstance(node, FragmentSpreadNode):
                self._spread(node, path)

    def _unknown_type(self, name: str, node: Node, path: list[Any]) -> None:
        extensions = {"code": "undefinedType", "typeName": name}
        self._add(f"No such type {name}, so it can't be a fragment condition", node, path, extensions)

    def _spread(self, node: FragmentSpreadNode, path: list[Any]) -> None:
        name = node.name.value
        fragment = self.fragments.get(name)
        if fragment is None:
            extensions = {"code": "useAndDefineFragment", "fragmentName": name}
            self._add(f"Fragment {name} was used, but not defined", node, [*path, f"... {name}"], extensions)
            return
        if name in self.used:
            return
        self.used.add(name)
        kind = self.schema.get_type(fragment.type_condition.name.value)
        if kind is not None:
            self._selections(fragment.selection_set, kind, [f"fragment {name}"])

    def _field(self, node: FieldNode, parent: GraphQLNamedType, path: list[Any]) -> None:
        name = node.name.value
        here = [*path, node.alias.value if node.alias else name]
        if name == "__typename":
            return
        definition = getattr(parent, "fields", {}).get(name)
        if definition is None and name in {"__schema", "__type"} and parent is self.schema.query_type:
            definition = self.schema.get_field(self.schema.query_type, name)
        if definition is None:
            hint = self._did_you_mean(name, parent)
            extensions = {"code": "undefinedField", "typeName": parent.name, "fieldName": name}
            self._add(f"Field '{name}' doesn't exist on type '{parent.name}'{hint}", node, here, extensions)
            return
        self._arguments(node, definition, here)
        kind = get_named_type(definition.type)
        if node.selection_set is None and not is_leaf_type(kind):
            text = (
                f"Field must have selections (field '{name}' returns {kind.name} but has no selections. "
                f"Did you mean '{name} {{ ... }}'?)"
            )
            self._add(
                text, node, here, {"code": "selectionMismatch", "nodeName": f"field '{name}'", "typeName": kind.name}
            )
        elif node.selection_set is not None and is_leaf_type(kind):
            asked = [print_ast(each).split("(")[0].split(" ")[0] for each in node.selection_set.selections]
            shown = ", ".join(f'"{each}"' for each in asked) if self.gem >= (2, 4) else ", ".join(asked)
            text = (
                f"Selections can't be made on scalars (field '{name}' returns {kind.name} but has selections [{shown}])"
            )
            self._add(
                text, node, here, {"code": "selectionMismatch", "nodeName": f"field '{name}'", "typeName": kind.name}
            )
        elif node.selection_set is not None:
            self._selections(node.selection_set, kind, here)

    def _did_you_mean(self, name: str, parent: GraphQLNamedType) -> str:
        if self.gem < (2, 4):
            return ""
        close = similar(name, list(getattr(parent, "fields", {})))
        if not close:
            return ""
        quoted = [f"`{each}`" for each in close]
        listed = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
        return f" (Did you mean {listed}?)"

    def _arguments(self, node: FieldNode, definition: Any, path: list[Any]) -> None:
        name = node.name.value
        given = {argument.name.value for argument in (node.arguments or ())}
        for argument in node.arguments or ():
            own = argument.name.value
            expected = definition.args.get(own)
            if expected is None:
                extensions = {"code": "argumentNotAccepted", "name": name, "typeName": "Field", "argumentName": own}
                text = f"Field '{name}' doesn't accept argument '{own}'"
                if self.gem >= (2, 4):
                    close = similar(own, list(definition.args))
                    text += f" (Did you mean {' or '.join(f'`{each}`' for each in close)}?)" if close else ""
                self._add(text, argument, [*path, own], extensions)
                continue
            self._value(argument.value, expected.type, node, own, [*path, own], argument)
        missing = [
            each for each, argument in definition.args.items() if is_required_argument(argument) and each not in given
        ]
        if missing:
            listed = ", ".join(missing)
            extensions = {"code": "missingRequiredArguments", "className": "Field", "name": name, "arguments": listed}
            self._add(f"Field '{name}' is missing required arguments: {listed}", node, path, extensions)

    def _value(self, value: ValueNode, kind: Any, node: FieldNode, name: str, path: list[Any], place: Node) -> None:
        if isinstance(value, VariableNode):
            self._variable(value, kind, name, path, place)
            return
        named = get_named_type(kind)
        if isinstance(value, ObjectValueNode) and isinstance(named, GraphQLInputObjectType):
            unknown = [each for each in value.fields if each.name.value not in named.fields]
            for each in unknown:
                own = each.name.value
                extensions = {
                    "code": "argumentNotAccepted",
                    "name": named.name,
                    "typeName": "InputObject",
                    "argumentName": own,
                }
                text = f"InputObject '{named.name}' doesn't accept argument '{own}'"
                if self.gem >= (2, 4):
                    close = similar(own, list(named.fields))
                    text += f" (Did you mean {' or '.join(f'`{c}`' for c in close)}?)" if close else ""
                self._add(text, each, [*path, own], extensions)
            for each in value.fields:
                if each.name.value in named.fields:
                    self._value(
                        each.value,
                        named.fields[each.name.value].type,
                        node,
                        each.name.value,
                        [*path, each.name.value],
                        each,
                    )
            return
        decimal_id = isinstance(value, FloatValueNode) and named.name == "ID"
        if decimal_id or value_from_ast(value, kind) is Undefined:
            text = f"Argument '{name}' on Field '{node.name.value}' has an invalid value ({print_ast(value)}). Expected type '{kind}'."
            extensions = {"code": "argumentLiteralsIncompatible", "typeName": "Field", "argumentName": name}
            self._add(text, node, path, extensions)

    def _variable(self, value: VariableNode, kind: Any, name: str, path: list[Any], place: Node) -> None:
        own = value.name.value
        self.variables_used.add(own)
        declared = self.variables.get(own)
        if declared is None:
            extensions = {"code": "variableNotDefined", "variableName": own}
            self._add(f"Variable ${own} is used by {self.operation} but not declared", value, path, extensions)
            return
        given = print_ast(declared.type)
        if given.rstrip("!") != str(kind).rstrip("!") or (
            str(kind).endswith("!") and not given.endswith("!") and declared.default_value is None
        ):
            extensions = {
                "code": "variableMismatch",
                "variableName": own,
                "typeName": given,
                "argumentName": name,
                "errorMessage": "Type mismatch"
                if given.rstrip("!") != str(kind).rstrip("!")
                else "Nullability mismatch",
            }
            text = f"{extensions['errorMessage']} on variable ${own} and argument {name} ({given} / {kind})"
            self._add(text, place, path, extensions)


def variable_problems(
    schema: GraphQLSchema, operation: OperationDefinitionNode, given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The coerced variables, and an entry per variable that is wrong."""
    values: dict[str, Any] = {}
    wrong: list[dict[str, Any]] = []
    for each in operation.variable_definitions or ():
        name = each.variable.name.value
        kind = type_from_ast(schema, each.type)
        if name not in given:
            if each.default_value is not None:
                values[name] = value_from_ast(each.default_value, kind) if kind else None
                continue
            if not isinstance(kind, GraphQLNonNull):
                continue
        value = given.get(name)
        problems: list[dict[str, Any]] = []
        if value is None:
            if isinstance(kind, GraphQLNonNull):
                problems = [{"path": [], "explanation": "Expected value to not be null"}]
            values[name] = None
        elif kind is not None:
            try:
                values[name] = coerce_input_value(value, kind)  # pyright: ignore[reportArgumentType]
            except GraphQLError:
                shown = f'"{value}"' if isinstance(value, str) else str(value)
                problems = [
                    {"path": [], "explanation": f"Could not coerce value {shown} to {get_named_type(kind).name}"}
                ]
        if problems:
            assert each.loc is not None
            place = get_location(each.loc.source, each.loc.start)
            wrong.append(
                {
                    "message": f"Variable ${name} of type {print_ast(each.type)} was provided invalid value",
                    "locations": [{"line": place.line, "column": place.column}],
                    "extensions": {"value": value, "problems": problems},
                }
            )
    return values, wrong


def similar(name: str, candidates: list[str]) -> list[str]:
    """What Ruby's DidYouMean would suggest: near by Jaro-Winkler and edit distance."""
    from difflib import SequenceMatcher

    scored = [(SequenceMatcher(None, name.lower(), each.lower()).ratio(), each) for each in candidates]
    best = sorted((pair for pair in scored if pair[0] >= 0.8), reverse=True)
    return [each for _, each in best[:1]]
