"""GraphQL over the one transport, with gql's documents and gql's transport interface.

gql's own httpx transport would bypass politeness, retries and redaction, silently prefers another HTTP library when one is
installed, and loses partial data (docs/adr/0003-graphql.md). Imported only when a platform speaks GraphQL: gql is large.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from gql import GraphQLRequest, gql
from gql.transport.async_transport import AsyncTransport
from graphql import ExecutionResult, GraphQLError

from ..contract.errors import Malformed
from ..contract.exchange import GraphQLResponse, Response, Transport, place_of, redirected


async def ask(
    transport: Transport,
    path: str,
    query: str,
    variables: Mapping[str, Any] | None,
    *,
    params: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
    variables_as_text: bool,
) -> GraphQLResponse:
    """Ask one document; `Transport.graphql` says what and what it raises."""
    request, source = _document(query)
    channel = _GraphQLChannel(transport, path, params, headers, variables_as_text, source)
    if variables:
        request = GraphQLRequest(request, variable_values=dict(variables))
    result = await channel.execute(request)
    assert channel.answer is not None
    return GraphQLResponse(result.data, [error.formatted for error in result.errors or ()], channel.answer)


def _document(query: str) -> tuple[GraphQLRequest, str]:
    """A document, read, and as it is sent. Those that differ only in plain values (cursors, ids) are read once: reading takes longer
    than asking a quick platform. Of such a document only the text is what was asked for."""
    values: list[str] = []

    def place(found: re.Match[str]) -> str:
        if not found[1]:
            return found[0]
        values.append(found[0])
        return f'"<{len(values) - 1}>"'

    if '"<' in query or '"""' in query or "#" in query:  # what looks like one of our places; a text in blocks; a remark
        return _read(query)
    request, source = _read(_VALUE.sub(place, query))
    return request, _PLACE.sub(lambda found: values[int(found[1])], source) if values else source


_VALUE = re.compile(r'"(?:([A-Za-z0-9+/=_.:-]+)|(?:[^"\\\n]|\\.)*)"')
"""A text in a document; group 1: one that stands there as it is."""
_PLACE = re.compile(r'"<(\d+)>"')


@lru_cache(maxsize=64)
def _read(query: str) -> tuple[GraphQLRequest, str]:
    # Kept by its text: a tree is slower to tell from another one than to make.
    from graphql import print_ast

    request = gql(query)
    return request, print_ast(request.document)


class _GraphQLChannel(AsyncTransport):
    """gql's transport interface over `Transport`, so that politeness, retries and redaction hold for GraphQL too."""

    def __init__(
        self,
        transport: Transport,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        variables_as_text: bool,
        source: str,
    ) -> None:
        self._source = source
        self._transport = transport
        self._path = path
        self._params = params
        self._headers = headers
        self._variables_as_text = variables_as_text
        self.answer: Response | None = None

    async def connect(self) -> None:
        """Nothing to do: the connection belongs to the `Transport`."""

    async def close(self) -> None:
        """Nothing to do: the connection belongs to the `Transport`."""

    async def execute(self, request: GraphQLRequest, *_: Any, **__: Any) -> ExecutionResult:
        payload: dict[str, Any] = {"query": self._source}
        if request.variable_values:
            values = request.variable_values
            payload["variables"] = msgspec.json.encode(values).decode() if self._variables_as_text else values
        answer = await self._transport.post_json(self._path, payload, params=self._params, headers=self._headers)
        self.answer = answer
        if 300 <= answer.status < 400:
            raise redirected("POST", answer.url, answer.headers.get("location"), answer.status)
        body = answer.json()
        if not isinstance(body, dict) or not ("data" in body or "errors" in body):
            raise Malformed(f"{place_of('POST', answer.url)}: not a GraphQL answer", status=answer.status)
        data, errors = body.get("data"), body.get("errors")
        if not isinstance(data, dict | None):
            raise Malformed(f"{place_of('POST', answer.url)}: not a GraphQL answer", status=answer.status)
        listed: list[Any] = errors if isinstance(errors, list) else [errors] if errors else []
        return ExecutionResult(data, [_Reported(error) for error in listed])

    def subscribe(self, request: GraphQLRequest, *_: Any, **__: Any) -> Any:
        """No platform offers subscriptions."""
        raise Malformed("GraphQL subscriptions are not offered by any platform")


class _Reported(GraphQLError):
    """A platform's error, kept as it came: its `message` may be an array or its `path` anything."""

    def __init__(self, original: Any) -> None:
        super().__init__("reported by the platform")
        self._original = original

    @property
    def formatted(self) -> Any:
        return self._original
