"""GraphQL as graphql-ruby executes it, for the sandboxes of Rails applications: errors and limits included.

An `Engine` is one interface: a schema, resolvers, and the rules of one release of the gem (`RubyProfile`). It must not
know HTTP, nor any platform: those are the sandboxes'. The recordings of real installations judge it.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    build_schema,
    parse,
)

from .cost import Cost, broken_limits
from .execute import Execution, Resolver
from .paging import Connection, cursor_of, position_of
from .profile import ErrorEntry, FieldError, Null, RequestFailed, RubyProfile
from .syntax import syntax_error
from .validate import validate
from .variables import coerce_variables

__all__ = [
    "Connection",
    "Engine",
    "FieldError",
    "Null",
    "RequestFailed",
    "RubyProfile",
    "cursor_of",
    "position_of",
    "schema_of",
    "validate_document",
]
_EMPTY_TYPE = re.compile(r"^(type \w+)\s*\{\s*\}", re.MULTILINE)


@lru_cache(maxsize=32)
def schema_of(sdl: str) -> GraphQLSchema:
    """The schema of an SDL, types without any field (CONSUL's Mutation) included."""
    return build_schema(_EMPTY_TYPE.sub(r"\1", sdl), assume_valid=True, assume_valid_sdl=True)


class _Prepared:
    """A parsed document with what is wrong with it."""

    __slots__ = ("document", "operations", "problems")

    def __init__(self, document: DocumentNode, problems: list[ErrorEntry]) -> None:
        self.document = document
        self.problems = problems
        self.operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]


class Engine:
    """Executes documents against resolvers `{"Type.field": function(object, arguments, context)}`.

    A field without resolver reads the key or attribute of its name. Objects of abstract types have a `__typename` key,
    a `typename` attribute, or the engine a `type_of` function.
    """

    def __init__(
        self, sdl: str, resolvers: Mapping[str, Resolver], profile: RubyProfile,
        type_of: Callable[[Any], str] | None = None,
    ) -> None:  # fmt: skip
        self.schema = schema_of(sdl)
        self.resolvers = resolvers
        self.profile = profile
        self.type_of = type_of
        self._prepare = lru_cache(maxsize=12)(self._prepared)

    def execute(
        self, query: str, variables: Mapping[str, Any] | None = None, operation_name: str | None = None,
        context: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """The JSON body of the answer; raises RequestFailed where the application answers with an HTTP status."""
        try:
            prepared = self._prepare(query)
        except GraphQLSyntaxError as error:
            return {"errors": [syntax_error(query, error, self.profile.gem)]}
        operation = _choose(prepared.operations, operation_name)
        if isinstance(operation, str):
            return {"errors": [{"message": operation}]}
        if prepared.problems or operation is None:
            return {"errors": prepared.problems}
        values, wrong = coerce_variables(self.schema, operation, variables or {})
        if wrong:
            return {"errors": wrong}
        cost = Cost(self.schema, self.profile, prepared.document, operation, values)
        limits = broken_limits(cost, self.profile, context)
        if limits:
            return {"errors": limits}
        execution = Execution(
            self.schema, self.profile, self.resolvers, self.type_of, prepared.document, values, context
        )
        return execution.run(operation)

    def problems(self, query: str) -> list[ErrorEntry]:
        """What static validation says of a document, syntax errors included; empty for a good one."""
        try:
            return self._prepare(query).problems
        except GraphQLSyntaxError as error:
            return [syntax_error(query, error, self.profile.gem)]

    def complexity(
        self, query: str, variables: Mapping[str, Any] | None = None, operation_name: str | None = None
    ) -> int:
        """The complexity of an operation by the profile's rule."""
        return self._cost(query, variables, operation_name).complexity()

    def depth(self, query: str, variables: Mapping[str, Any] | None = None, operation_name: str | None = None) -> int:
        """The depth of an operation."""
        return self._cost(query, variables, operation_name).depth()

    def limits(
        self, query: str, variables: Mapping[str, Any] | None = None, operation_name: str | None = None,
        context: Any = None,
    ) -> list[ErrorEntry]:  # fmt: skip
        """The entries for the limits that an operation breaks."""
        return broken_limits(self._cost(query, variables, operation_name), self.profile, context)

    def _cost(self, query: str, variables: Mapping[str, Any] | None, operation_name: str | None) -> Cost:
        prepared = self._prepare(query)
        operation = _choose(prepared.operations, operation_name)
        if prepared.problems or not isinstance(operation, OperationDefinitionNode):
            raise ValueError(f"not a document to measure: {prepared.problems or operation}")
        return Cost(self.schema, self.profile, prepared.document, operation, variables or {})

    def _prepared(self, query: str) -> _Prepared:
        document = parse(query)
        return _Prepared(document, validate(self.schema, self.profile.gem, document))


def _choose(operations: list[OperationDefinitionNode], name: str | None) -> OperationDefinitionNode | str | None:
    """The operation to run, or the message why there is none."""
    if name:
        found = next((each for each in operations if each.name is not None and each.name.value == name), None)
        return found if found is not None else f'No operation named "{name}"'
    if len(operations) > 1:
        return "An operation name is required"
    return operations[0] if operations else None


def validate_document(sdl: str, query: str) -> list[str]:
    """The messages of static validation against an SDL; empty for a good document."""
    return [each["message"] for each in Engine(sdl, {}, RubyProfile()).problems(query)]
