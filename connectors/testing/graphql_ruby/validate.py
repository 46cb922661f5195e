"""graphql-ruby's static validation: its rules in its order, with its messages, codes, places and paths.

Looks at documents only, never at variables' values or data. graphql-core's own validation is not used: other texts.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    ListValueNode,
    Node,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_location,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
    print_ast,
    type_from_ast,
)
from graphql.type import SchemaMetaFieldDef, TypeMetaFieldDef, TypeNameMetaFieldDef

from .literals import arguments_text, fits, mismatch_of
from .profile import ErrorEntry
from .scopes import Path, Scope, fragments_used, variables_reaching_fragments, variables_used
from .syntax import did_you_mean
from .variables import default_of


def located(node: Node) -> list[dict[str, int]]:
    """The `locations` of an entry."""
    assert node.loc is not None
    place = get_location(node.loc.source, node.loc.start)
    return [{"line": place.line, "column": place.column}]


def field_of(schema: GraphQLSchema, parent: GraphQLNamedType, name: str) -> Any:
    """A field's definition, the meta fields included; None if there is none."""
    if name == "__typename":
        return TypeNameMetaFieldDef
    if parent is schema.query_type and name == "__schema":
        return SchemaMetaFieldDef
    if parent is schema.query_type and name == "__type":
        return TypeMetaFieldDef
    return getattr(parent, "fields", {}).get(name)


def validate(schema: GraphQLSchema, gem: tuple[int, ...], document: DocumentNode) -> list[ErrorEntry]:
    """Everything that is wrong with a document; empty for a good one."""
    return _Validation(schema, gem, document).run()


class _Validation:
    def __init__(self, schema: GraphQLSchema, gem: tuple[int, ...], document: DocumentNode) -> None:
        self.schema = schema
        self.gem = gem
        self.document = document
        self.found: list[ErrorEntry] = []
        self.scopes: list[Scope] = []
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self.variables_by_fragment = variables_reaching_fragments(document, self.fragments)

    def run(self) -> list[ErrorEntry]:
        for definition in self.document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                self._operation(definition)
            elif isinstance(definition, FragmentDefinitionNode):
                self._fragment(definition)
        for problem in (*variables_used(self.scopes, self.fragments), *fragments_used(self.scopes, self.fragments)):
            self._add(problem.text, problem.node, problem.path, **problem.extensions)
        return self.found

    def _add(self, message: str, node: Node, path: Iterable[Any], **extensions: Any) -> None:
        self.found.append(
            {"message": message, "locations": located(node), "path": list(path), "extensions": extensions}
        )

    def _hint(self, name: str, candidates: Iterable[str]) -> str:
        return did_you_mean(name, candidates) if self.gem >= (2, 4) else ""

    # Definitions

    def _operation(self, node: OperationDefinitionNode) -> None:
        kind = node.operation.value
        name = node.name.value if node.name else None
        scope = Scope(node, name or f"anonymous {kind}", [f"{kind} {name}" if name else kind])
        root = self.schema.get_root_type(node.operation)
        if root is None:
            code = f"missing{kind.title()}Configuration"
            plural = {"query": "queries", "mutation": "mutations"}.get(kind, f"{kind}s")
            self._add(f"Schema is not configured for {plural}", node, scope.path, code=code)
            return
        scope.declared = {each.variable.name.value: each for each in node.variable_definitions or ()}
        self.scopes.append(scope)
        for each in node.variable_definitions or ():
            if type_from_ast(self.schema, each.type) is None:
                given = print_ast(each.type)
                bare = given.strip("[]!")
                text = f"{bare} isn't a defined input type (on ${each.variable.name.value})"
                text += self._hint(bare, self.schema.type_map)
                extensions = {"typeName": bare, "variableName": each.variable.name.value}
                self._add(text, each, scope.path, code="variableRequiresValidType", **extensions)
        self._directives(node, scope, scope.path)
        self._selections(node.selection_set, root, node, scope, scope.path)

    def _fragment(self, node: FragmentDefinitionNode) -> None:
        scope = Scope(node, node.name.value, [f"fragment {node.name.value}"])
        self.scopes.append(scope)
        kind = self._condition(node.type_condition.name.value, node, scope.path)
        if kind is not None:
            self._selections(node.selection_set, kind, node, scope, scope.path)

    def _condition(self, name: str, node: Node, path: Path) -> GraphQLNamedType | None:
        kind = self.schema.get_type(name)
        if kind is None:
            text = f"No such type {name}, so it can't be a fragment condition{self._hint(name, self.schema.type_map)}"
            self._add(text, node, path, code="undefinedType", typeName=name)
            return None
        if not is_composite_type(kind):
            text = f"Invalid fragment on type {name} (must be Union, Interface or Object)"
            self._add(text, node, path, code="fragmentOnNonCompositeType", typeName=name)
            return None
        return kind

    # Selections

    def _selections(
        self, selections: SelectionSetNode, kind: GraphQLNamedType, parent: Node, scope: Scope, path: Path
    ) -> None:
        self._merge(selections)
        for node in selections.selections:
            if isinstance(node, FieldNode):
                self._field(node, kind, parent, scope, path)
            elif isinstance(node, InlineFragmentNode):
                name = node.type_condition.name.value if node.type_condition else None
                here = [*path, f"... on {name}" if name else "..."]
                inner = self._condition(name, node, here) if name else kind
                if inner is not None and self._spreadable(inner, kind, None, node, here):
                    self._directives(node, scope, here)
                    self._selections(node.selection_set, inner, node, scope, here)
            elif isinstance(node, FragmentSpreadNode):
                here = [*path, f"... {node.name.value}"]
                scope.spreads.append((node, here))
                self._directives(node, scope, here)
                fragment = self.fragments.get(node.name.value)
                inner = self.schema.get_type(fragment.type_condition.name.value) if fragment else None
                if inner is not None:
                    self._spreadable(inner, kind, node.name.value, node, here)

    def _spreadable(
        self, inner: GraphQLNamedType, outer: GraphQLNamedType, name: str | None, node: Node, path: Path
    ) -> bool:
        if not self._possible(inner).isdisjoint(self._possible(outer)):
            return True
        shown = f" {name}" if name else ""
        text = f"Fragment{shown} on {inner.name} can't be spread inside {outer.name}"
        extensions = {"typeName": inner.name, "fragmentName": name or "unknown", "parentName": outer.name}
        self._add(text, node, path, code="cannotSpreadFragment", **extensions)
        return False

    def _possible(self, kind: GraphQLNamedType) -> set[str]:
        if is_abstract_type(kind):
            return {each.name for each in self.schema.get_possible_types(kind)}
        return {kind.name}

    def _merge(self, selections: SelectionSetNode) -> None:
        first: dict[str, FieldNode] = {}
        for node in selections.selections:
            if not isinstance(node, FieldNode):
                continue
            key = node.alias.value if node.alias else node.name.value
            other = first.setdefault(key, node)
            if other.name.value != node.name.value:
                listed, what = f"{other.name.value} or {node.name.value}", "a field conflict"
            elif arguments_text(other) != arguments_text(node):
                listed, what = f"{arguments_text(other)} or {arguments_text(node)}", "an argument conflict"
            else:
                continue
            self.found.append(
                {
                    "message": f"Field '{key}' has {what}: {listed}?",
                    "locations": [*located(other), *located(node)],
                    "path": [],
                    "extensions": {"code": "fieldConflict", "fieldName": key, "conflicts": listed},
                }
            )

    def _field(self, node: FieldNode, kind: GraphQLNamedType, parent: Node, scope: Scope, path: Path) -> None:
        name = node.name.value
        here = [*path, node.alias.value if node.alias else name]
        definition = field_of(self.schema, kind, name)
        if definition is None:
            self._undefined(node, kind, parent, here)
            return
        returns = get_named_type(definition.type)
        if not self._selects_rightly(node, returns, here):
            return
        self._directives(node, scope, here)
        self._required(node.arguments, definition.args, "Field", name, node, here)
        self._given(node.arguments, definition.args, "Field", name, node, scope, here)
        if node.selection_set is not None:
            self._selections(node.selection_set, returns, node, scope, here)

    def _undefined(self, node: FieldNode, kind: GraphQLNamedType, parent: Node, path: Path) -> None:
        name = node.name.value
        if isinstance(kind, GraphQLUnionType):
            text = f"Selections can't be made directly on unions (see selections on {kind.name})"
            self._add(text, parent, path, code="selectionMismatch", nodeName=kind.name)
            return
        text = f"Field '{name}' doesn't exist on type '{kind.name}'{self._hint(name, getattr(kind, 'fields', {}))}"
        self._add(text, node, path, code="undefinedField", typeName=kind.name, fieldName=name)

    def _selects_rightly(self, node: FieldNode, returns: GraphQLNamedType, path: Path) -> bool:
        name = node.name.value
        if node.selection_set is None and not is_leaf_type(returns):
            text = (
                f"Field must have selections (field '{name}' returns {returns.name} but has no selections. "
                f"Did you mean '{name} {{ ... }}'?)"
            )
        elif node.selection_set is not None and is_leaf_type(returns):
            asked = [print_ast(each) for each in node.selection_set.selections]
            shown = ", ".join(f'"{each}"' for each in asked) if self.gem >= (2, 4) else ", ".join(asked)
            text = f"Selections can't be made on scalars (field '{name}' returns {returns.name} but has selections "
            text += f"[{shown}])"
        else:
            return True
        self._add(text, node, path, code="selectionMismatch", nodeName=f"field '{name}'", typeName=returns.name)
        return False

    def _directives(self, node: Any, scope: Scope, path: Path) -> None:
        for each in node.directives or ():
            assert isinstance(each, DirectiveNode)
            name = each.name.value
            here = [*path, f"@{name}"] if self.gem >= (1, 12) else path
            definition = self.schema.get_directive(name)
            if definition is None:
                text = f"Directive @{name} is not defined{self._hint(name, [d.name for d in self.schema.directives])}"
                self._add(text, each, here, code="undefinedDirective", directiveName=name)
                continue
            self._required(each.arguments, definition.args, "Directive", name, each, here)
            self._given(each.arguments, definition.args, "Directive", name, each, scope, here)

    # Arguments

    def _required(
        self, given: Iterable[ArgumentNode] | None, definitions: Mapping[str, Any], what: str, name: str, node: Node,
        path: Path,
    ) -> None:  # fmt: skip
        present = {each.name.value for each in given or ()}
        missing = [own for own, each in definitions.items() if is_required_argument(each) and own not in present]
        if missing:
            listed = ", ".join(missing)
            text = f"{what} '{name}' is missing required arguments: {listed}"
            self._add(text, node, path, code="missingRequiredArguments", className=what, name=name, arguments=listed)

    def _given(
        self, given: Iterable[Any] | None, definitions: Mapping[str, Any], what: str, name: str, parent: Node,
        scope: Scope, path: Path,
    ) -> None:  # fmt: skip
        """Arguments of a field or directive, or fields of an input object: one rule in the gem."""
        for each in given or ():
            own = each.name.value
            here = [*path, own]
            expected = definitions.get(own)
            if expected is None:
                text = f"{what} '{name}' doesn't accept argument '{own}'{self._hint(own, definitions)}"
                extensions = {"name": name, "typeName": what, "argumentName": own}
                self._add(text, each, here, code="argumentNotAccepted", **extensions)
                continue
            before = len(self.found)
            self._value(each.value, expected, own, each, scope, here)
            if isinstance(each.value, VariableNode) or len(self.found) > before:
                continue
            if not fits(each.value, expected.type):
                text = f"Argument '{own}' on {what} '{name}' has an invalid value ({print_ast(each.value)}). "
                text += f"Expected type '{expected.type}'."
                self._add(text, parent, here, code="argumentLiteralsIncompatible", typeName=what, argumentName=own)

    def _value(
        self, value: ValueNode, expected: Any, name: str, place: Node, scope: Scope, path: Path, depth: int = 0
    ) -> None:
        if isinstance(value, VariableNode):
            scope.used.setdefault(value.name.value, (value, path))
            self._usage(value, expected, name, place, scope, path, depth)
        elif isinstance(value, ListValueNode):
            for each in value.values:
                self._value(each, expected, name, place, scope, path, depth + 1)
        elif isinstance(value, ObjectValueNode):
            kind = get_named_type(expected.type)
            if not isinstance(kind, GraphQLInputObjectType):
                return
            present = {each.name.value for each in value.fields}
            for own, each in kind.fields.items():
                if is_required_input_field(each) and own not in present:
                    text = f"Argument '{own}' on InputObject '{kind.name}' is required. Expected type {each.type}"
                    extensions = {"argumentName": own, "argumentType": str(each.type), "inputObjectType": kind.name}
                    self._add(text, value, [*path, own], code="missingRequiredInputObjectAttribute", **extensions)
            self._given(value.fields, kind.fields, "InputObject", kind.name, value, scope, path)

    def _usage(
        self, value: VariableNode, expected: Any, name: str, place: Node, scope: Scope, path: Path, depth: int
    ) -> None:
        own = value.name.value
        scopes = [scope.declared] if not isinstance(scope.node, FragmentDefinitionNode) else (
            self.variables_by_fragment.get(scope.label, [])
        )  # fmt: skip
        for declared in (each[own] for each in scopes if own in each):
            given: Any = type_from_ast(self.schema, declared.type)
            if given is None:
                continue
            default = declared.default_value
            effective: Any = given
            if default is not None and not isinstance(default, NullValueNode) and not isinstance(given, GraphQLNonNull):
                effective = GraphQLNonNull(given)
            wanted: Any = expected.type
            for _ in range(depth):
                wanted = wanted.of_type if isinstance(wanted, GraphQLNonNull) else wanted
                wanted = wanted.of_type if isinstance(wanted, GraphQLList) else wanted
            mismatch = mismatch_of(effective, wanted, default_of(expected) is not Undefined)
            if mismatch:
                text = f"{mismatch} on variable ${own} and argument {name} ({given} / {expected.type})"
                extensions = {"variableName": own, "typeName": str(given), "argumentName": name}
                self._add(text, place, path, code="variableMismatch", **extensions, errorMessage=mismatch)


__all__ = ["field_of", "located", "validate"]
