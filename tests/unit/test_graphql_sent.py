"""The text of a GraphQL document as it is sent: that of gql, whatever stands in it, though it is read only once."""

import asyncio
import json
from typing import Any

from graphql import parse, print_ast
from hypothesis import example, given
from hypothesis import strategies as st

from civicsync.connectors.contract.exchange import Response
from civicsync.connectors.http.graphql import _read, ask  # pyright: ignore[reportPrivateUsage]

_TEXTS = st.one_of(
    st.from_regex(r"[A-Za-z0-9+/=_.:-]{1,8}", fullmatch=True),
    st.sampled_from(["<0>", "<1>", "", "a b", 'say "b:"', "\\", "é", "#", '"""', "a\nb"]),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=6),
)


class _Wire:
    """Keeps what is posted."""

    def __init__(self) -> None:
        self.sent = ""

    async def post_json(self, path: str, body: Any, **_: Any) -> Response:
        self.sent = body["query"]
        return Response(200, {"content-type": "application/json"}, b'{"data": {}}', f"http://127.0.0.1/{path}", 0.0)


def sent(query: str) -> str:
    """What goes out when this is asked."""
    wire: Any = _Wire()
    channel = ask(wire, "api", query, None, params=None, headers=None, variables_as_text=False)
    asyncio.run(channel)
    return wire.sent


@given(st.lists(_TEXTS, min_size=1, max_size=5))
@example(["x y", "z"])
@example(["<0>", "z"])
@example(["z", "<0>", "y"])
def test_a_document_is_sent_as_gql_writes_it(texts: list[str]) -> None:
    # Without commas, so that one text's end and the next one's begin look like a text themselves.
    query = "{" + "".join(f'f{n}(a:{json.dumps(each)}b:"x"){{id}}' for n, each in enumerate(texts)) + "}"
    assert sent(query) == print_ast(parse(query))


def test_remarks_and_blocks_are_sent_as_gql_writes_them() -> None:
    for query in ('{a(b:"x") # not "y"\n{id}}', '{a(b:"""x "y" z""" c:"z"){id}}'):
        assert sent(query) == print_ast(parse(query))


def test_documents_that_differ_in_plain_values_are_read_once() -> None:
    _read.cache_clear()
    for number in range(20):
        assert f'"MT{number}="' in sent(f'{{a(after:"MT{number}=" b:"[x]"){{id}}}}')
    assert _read.cache_info().misses == 1
