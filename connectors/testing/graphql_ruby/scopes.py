"""What the definitions of a document declare and use, and graphql-ruby's rules about the document as a whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import DocumentNode, FragmentDefinitionNode, FragmentSpreadNode, Node, OperationDefinitionNode

from .literals import fragments_of

Path = list[Any]
Definition = OperationDefinitionNode | FragmentDefinitionNode
Fragments = Mapping[str, FragmentDefinitionNode]


@dataclass(slots=True)
class Scope:
    """What one definition declares and uses."""

    node: Definition
    label: str
    path: Path
    declared: dict[str, Any] = field(default_factory=dict[str, Any])
    used: dict[str, tuple[Node, Path]] = field(default_factory=dict[str, tuple[Node, Path]])
    spreads: list[tuple[FragmentSpreadNode, Path]] = field(default_factory=list[tuple[FragmentSpreadNode, Path]])


class Problem(NamedTuple):
    """What is wrong, where, and what the entry says besides."""

    text: str
    node: Node
    path: Path
    extensions: Mapping[str, Any]


def variables_reaching_fragments(document: DocumentNode, fragments: Fragments) -> dict[str, list[Mapping[str, Any]]]:
    """By fragment: the variables of each operation that spreads it."""
    reaching: dict[str, list[Mapping[str, Any]]] = {}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            declared = {each.variable.name.value: each for each in definition.variable_definitions or ()}
            for name in fragments_of(definition.selection_set, fragments):
                reaching.setdefault(name, []).append(declared)
    return reaching


def variables_used(scopes: Sequence[Scope], fragments: Fragments) -> Iterator[Problem]:
    """Variables that are declared and not used, or used and not declared."""
    by_fragment = {each.label: each for each in scopes if isinstance(each.node, FragmentDefinitionNode)}
    for scope in scopes:
        if isinstance(scope.node, FragmentDefinitionNode):
            continue
        reached = [by_fragment[name] for name in fragments_of(scope.node.selection_set, fragments)]
        used = [scope, *reached]
        for name in scope.declared:
            if not any(name in each.used for each in used):
                text = f"Variable ${name} is declared by {scope.label} but not used"
                yield Problem(text, scope.node, scope.path, {"code": "variableNotUsed", "variableName": name})
        for each in used:
            for name, (node, path) in each.used.items():
                if name not in scope.declared:
                    text = f"Variable ${name} is used by {each.label} but not declared"
                    yield Problem(text, node, path, {"code": "variableNotDefined", "variableName": name})


def fragments_used(scopes: Sequence[Scope], fragments: Fragments) -> Iterator[Problem]:
    """Fragments that are spread and not defined, defined and not spread, or spread in themselves."""
    reached: set[str] = set()
    for scope in scopes:
        if isinstance(scope.node, OperationDefinitionNode):
            reached |= set(fragments_of(scope.node.selection_set, fragments))
        for node, path in scope.spreads:
            name = node.name.value
            if name not in fragments:
                text = f"Fragment {name} was used, but not defined"
                yield Problem(text, node, path, {"code": "useAndDefineFragment", "fragmentName": name})
    for name, node in fragments.items():
        if name in fragments_of(node.selection_set, fragments):
            text = f"Fragment {name} contains an infinite loop"
            yield Problem(text, node, [f"fragment {name}"], {"code": "infiniteLoop", "fragmentName": name})
        elif name not in reached:
            text = f"Fragment {name} was defined, but not used"
            yield Problem(text, node, [f"fragment {name}"], {"code": "useAndDefineFragment", "fragmentName": name})
