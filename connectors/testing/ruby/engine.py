"""One GraphQL interface: a schema, resolvers, and the rules of one release of graphql-ruby."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql import DocumentNode, GraphQLSchema, GraphQLSyntaxError, OperationDefinitionNode, build_schema, parse

from .cost import Cost
from .execute import Executor
from .validate import Problem, Validator, variable_problems


@dataclass(frozen=True, slots=True)
class RubyProfile:
    """What differs between releases and applications.

    `rule`: `flat` (gem 1.12: every field 1), `multiplied` (from 1.13 with Decidim and CONSUL C: a connection costs its page times
    its fields) or `consul_a` (each connection 1,000 and its fields once). `page` is the cap of a connection's page.
    """

    gem: tuple[int, int] = (2, 4)
    max_depth: int | None = None
    max_complexity: int | None = None
    rule: str = "multiplied"
    page: int | None = None
    max_aliases: int | None = None
    alias_error_twice: bool = False
    max_recursion: int | None = None
    introspection: bool = True
    backward_paging: bool = True
    translate: Callable[[str, Mapping[str, Any]], str] | None = None


class Engine:
    """Executes documents against resolvers `{"Type.field": function(object, arguments, context)}`."""

    def __init__(self, sdl: str, resolvers: Mapping[str, Callable[..., Any]], profile: RubyProfile) -> None:
        # A type without fields, as CONSUL's Mutation is, may not have braces.
        sdl = re.sub(r"type (\w+) \{\s*\}", r"type \1", sdl)
        self.schema: GraphQLSchema = build_schema(sdl, assume_valid=True, assume_valid_sdl=True)
        self.profile = profile
        self._validator = Validator(self.schema, profile.gem)
        self._cost = Cost(self.schema, profile)
        self._executor = Executor(self.schema, resolvers, profile)
        self._parsed = lru_cache(maxsize=256)(self._parse)

    def execute(
        self, query: str, variables: Mapping[str, Any], operation_name: str | None, context: Any
    ) -> dict[str, Any]:
        """The JSON body of the answer."""
        try:
            document = self._parsed(query)
        except GraphQLSyntaxError as error:
            return {"errors": [self._syntax(query, error)]}
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        fragments_only = not operations
        operation = self._choose(operations, operation_name)
        if isinstance(operation, str):
            return {"errors": [{"message": operation}]}
        problems = self._validator.problems(document)
        if problems:
            return {"errors": [problem.entry() for problem in problems]}
        if fragments_only or operation is None:
            return {"errors": [{"message": "Unexpected end of document", "locations": []}]}
        values, wrong = variable_problems(self.schema, operation, variables)
        if wrong:
            return {"errors": wrong}
        limits = self._cost.problems(document, operation, values)
        if limits:
            return {"errors": limits}
        return self._executor.run(document, operation, values, context)

    def problems(self, query: str) -> list[Problem]:
        """What graphql-ruby's static validation says of a document."""
        return self._validator.problems(self._parsed(query))

    def complexity(self, query: str, variables: Mapping[str, Any] | None = None) -> int:
        """The complexity of the document's first operation."""
        document, operation = self._first(query)
        return self._cost.complexity(document, operation, variables or {})

    def limits(self, query: str, variables: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The limits that a document breaks, as error entries."""
        document, operation = self._first(query)
        return self._cost.problems(document, operation, variables or {})

    def _first(self, query: str) -> tuple[DocumentNode, OperationDefinitionNode]:
        document = self._parsed(query)
        return document, next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))

    @staticmethod
    def _parse(query: str) -> DocumentNode:
        return parse(query)

    @staticmethod
    def _choose(operations: list[OperationDefinitionNode], name: str | None) -> OperationDefinitionNode | str | None:
        if name:
            found = next((each for each in operations if each.name and each.name.value == name), None)
            return found if found is not None else f'No operation named "{name}"'
        if len(operations) > 1:
            return "An operation name is required"
        return operations[0] if operations else None

    def _syntax(self, query: str, error: GraphQLSyntaxError) -> dict[str, Any]:
        ended = "<EOF>" in error.message or not query.strip()
        if ended:
            return {"message": "Unexpected end of document", "locations": []}
        place = error.locations[0] if error.locations else None
        line, column = (place.line, place.column) if place else (1, 1)
        rest = query.split("\n")[line - 1][column - 1 :]
        word = ""
        for character in rest:
            if not (character.isalnum() or character == "_"):
                break
            word += character
        word = word or rest[:1]
        kind = "IDENTIFIER" if word[:1].isalpha() or word[:1] == "_" else "UNKNOWN_CHAR"
        if self.profile.gem >= (2, 4):
            expected = "Expected one of SCHEMA, SCALAR, TYPE, ENUM, INPUT, UNION, INTERFACE"
            text = f'{expected}, actual: {kind} ("{word}") at [{line}, {column}]'
        else:
            text = f'Parse error on "{word}" ({kind}) at [{line}, {column}]'
        return {"message": text, "locations": [{"line": line, "column": column}]}
