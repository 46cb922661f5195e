"""The shared GraphQL engine against recordings of real CONSUL and Decidim installations, and by its own rules."""

import json
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import build_client_schema, print_schema

from civicsync.connectors.testing.graphql_ruby.engine import (
    Engine,
    FieldError,
    Null,
    RequestFailed,
    RubyProfile,
    cursor_of,
    validate_document,
)

RECORDINGS = Path(__file__).parent.parent / "recordings"
LINES = (RECORDINGS / "_graphql_ruby.jsonl").read_text(encoding="utf-8").splitlines()
ALL: list[dict[str, Any]] = [json.loads(line) for line in LINES]
# Its answer has descriptions, which the recorded SDL lacks.
INTROSPECTION = next(each for each in ALL if each["source"] == "consul/2.1.1/011-introspection-standard")
EXCHANGES = [each for each in ALL if each is not INTROSPECTION]
CATALAN_RECURSION = "S'han detectat massa consultes recurrents"
CATALAN = {
    "RECURSION_LIMIT_EXCEEDED_ERROR": CATALAN_RECURSION,
    "INTROSPECTION_DISABLED_ERROR": "La introspecció està desactivada per a aquesta sol·licitud",
    "TOO_MANY_ALIASES_ERROR": (
        "S'han fet servir massa àlies (nicknames). Has fet servir {used} àlies, però es permet un màxim de {allowed}."
    ),
}


def recursion_only(text: str, values: Mapping[str, Any]) -> str:
    return CATALAN_RECURSION if values["code"] == "RECURSION_LIMIT_EXCEEDED_ERROR" else text


def all_texts(_text: str, values: Mapping[str, Any]) -> str:
    return CATALAN[values["code"]].format(**values)


def decidim(gem: tuple[int, ...], **more: Any) -> RubyProfile:
    return RubyProfile(gem, max_depth=15, max_complexity=5000, page=50, **more)


LIMITED: dict[str, Any] = {"max_aliases": 5, "max_recursion": 2, "introspection": bool}
PROFILES = {
    "consul/2.1.1": RubyProfile((1, 12, 14)),
    "consul/2.2.2": RubyProfile((1, 13, 22), max_depth=8, max_complexity=2500, page=25),
    "consul/2.5.1": RubyProfile((2, 6, 1), max_depth=8, max_complexity=2500, page=25),
    "decidim/0.28": decidim((2, 0, 32)),
    "decidim/0.30": decidim((2, 4, 18), alias_error_twice=True, translate=recursion_only, **LIMITED),
    "decidim/0.31": decidim((2, 4, 18), translate=recursion_only, **LIMITED),
    "decidim/0.32": decidim((2, 6, 14), translate=all_texts, **LIMITED),
}


def sdl_of(version: str) -> str:
    # No interface of 0.30 was recorded; where its recordings ask, it agrees with 0.28.
    if version in {"decidim/0.28", "decidim/0.30"}:
        found = json.loads((RECORDINGS / "decidim-0.28.schema.json").read_text(encoding="utf-8"))
        return print_schema(build_client_schema(found.get("data", found), assume_valid=True))
    return (RECORDINGS / f"{version.replace('/', '-')}.graphql").read_text(encoding="utf-8")


@cache
def engine_of(version: str) -> Engine:
    resolvers = {
        "Query.proposals": lambda _obj, _args, _context: [{"id": i} for i in range(1, 140)],
        "Query.component": lambda _obj, _args, _context: {"__typename": "Proposals"},
        "Proposals.proposals": lambda _obj, _args, _context: [{"id": i} for i in range(300)],
    }
    return Engine(sdl_of(version), resolvers, PROFILES[version])


@pytest.mark.parametrize("exchange", EXCHANGES, ids=[each["source"] for each in EXCHANGES])
def test_answers_as_recorded(exchange: dict[str, Any]) -> None:
    engine = engine_of("/".join(exchange["source"].split("/")[:2]))
    answer = engine.execute(
        exchange["query"],
        exchange.get("variables"),
        exchange.get("operationName"),
        exchange.get("signed_in", False),
    )
    # As text: the order of keys counts too.
    assert json.dumps(answer) == json.dumps(exchange["answer"])


def without_descriptions(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_descriptions(each) for name, each in value.items() if name != "description"}
    return [without_descriptions(each) for each in value] if isinstance(value, list) else value


def test_whole_schema_as_recorded_but_for_descriptions() -> None:
    answer = without_descriptions(engine_of("consul/2.1.1").execute(INTROSPECTION["query"])["data"]["__schema"])
    wanted = without_descriptions(INTROSPECTION["answer"]["data"]["__schema"])
    own = [[each for each in side["types"] if not each["name"].startswith("__")] for side in (answer, wanted)]
    assert own[0] == own[1]
    assert [each["name"] for each in answer["types"]] == [each["name"] for each in wanted["types"]]
    assert answer["queryType"] == wanted["queryType"]
    assert [each["name"] for each in answer["directives"]] == [each["name"] for each in wanted["directives"]]


SDL = """
type Query {
  things(first: Int, last: Int, after: String, before: String): ThingConnection
  thing(id: ID! = "1"): Thing
  list: [Thing]
  shapes: [Shape!]
  number: Int
  search(filter: Filter, kind: Kind, many: [Int!]): String
}
type Mutation {}
interface Shape { name: String! }
type Circle implements Shape { name: String! radius: Float }
type Square implements Shape { name: String! side: BigInt when: ISO8601DateTime }
input Filter { text: String! limit: Int = 3 deep: Filter tags: [String!] }
enum Kind { OLD NEW }
scalar BigInt
scalar ISO8601DateTime
type Thing { id: ID!  name: String  must: String!  child: Thing  strict: Thing! }
type ThingConnection { edges: [ThingEdge]  nodes: [Thing]  pageInfo: PageInfo! }
type ThingEdge { cursor: String!  node: Thing }
type PageInfo { hasNextPage: Boolean!  hasPreviousPage: Boolean!  startCursor: String  endCursor: String }
"""
INFO = "nodes{id} pageInfo{hasNextPage hasPreviousPage startCursor endCursor}"


def engine(resolvers: Mapping[str, Any] | None = None, **profile: Any) -> Engine:
    return Engine(SDL, resolvers or {}, RubyProfile(**profile))


def things(count: int) -> dict[str, Any]:
    return {"Query.things": lambda _obj, _args, _context: [{"id": i} for i in range(1, count + 1)]}


@pytest.mark.parametrize(
    ("arguments", "ids", "following", "previous"),
    [
        ("first:3", [1, 2, 3], True, False),
        ("first:0", [], True, False),
        ("first:-1", [], True, False),
        ("first:100", [1, 2, 3, 4, 5], True, False),
        ('first:2,after:"Mg"', [3, 4], True, True),
        ('first:2,after:"Mg=="', [3, 4], True, True),
        ('first:2,after:""', [1, 2], True, False),
        ('first:2,after:"YWJj"', [1, 2], True, False),
        ('first:2,after:"LTU"', [1, 2], True, False),
        ('first:2,after:"OTk5OQ"', [], False, True),
        ('last:2,before:"NQ"', [3, 4], True, True),
        ('first:2,before:"NQ"', [1, 2], True, False),
        ("first:3,last:2", [2, 3], False, True),
        ("last:2", [6, 7], False, True),
    ],
)
def test_pages_by_offset(arguments: str, ids: list[int], following: bool, previous: bool) -> None:
    found = engine(things(7), page=5).execute(f"{{things({arguments}){{{INFO}}}}}")["data"]["things"]
    assert [int(each["id"]) for each in found["nodes"]] == ids
    info = found["pageInfo"]
    assert (info["hasNextPage"], info["hasPreviousPage"]) == (following, previous)
    assert info["startCursor"] == (cursor_of(ids[0]) if ids else None)
    assert info["endCursor"] == (cursor_of(ids[-1]) if ids else None)


def test_dialect_a_never_sees_a_previous_page_after_a_cursor() -> None:
    found = engine(things(7), page=5, previous_page_after_cursor=False).execute(f'{{things(after:"Mg"){{{INFO}}}}}')
    assert found["data"]["things"]["pageInfo"]["hasPreviousPage"] is False


def test_bad_cursor_fails_where_it_is_needed() -> None:
    found = engine(things(7)).execute('{things(after:"@@"){pageInfo{hasNextPage hasPreviousPage} nodes{id}} number}')
    assert found["data"] == {"things": None, "number": None}
    assert [each["path"] for each in found["errors"]] == [["things", "pageInfo", "hasPreviousPage"]]


@pytest.mark.parametrize("located", [True, False])
def test_nulls_climb_to_the_nearest_nullable(located: bool) -> None:
    rows = [{"id": 1, "must": None}, {"id": 2, "must": "x"}, {"id": 3, "must": "y", "child": {"strict": {"id": None}}}]
    own = engine({"Query.list": lambda *_: rows}, gem=(2, 4) if located else (2, 2))
    found = own.execute("{list{id must child{strict{id}}}}")
    assert found["data"]["list"] == [
        None,
        {"id": "2", "must": "x", "child": None},
        {"id": "3", "must": "y", "child": None},
    ]
    assert found["errors"][0]["message"] == "Cannot return null for non-nullable field Thing.must"
    assert found["errors"][1]["message"] == "Cannot return null for non-nullable field Thing.id"
    assert ("path" in found["errors"][0]) is located
    assert next(iter(found)) == ("errors" if located else "data")


def test_hidden_objects_and_failing_fields() -> None:
    def fails(*_: Any) -> Any:
        raise FieldError("broken", {"code": "X"})

    rows = [{"id": 1}, Null("hidden", {"code": "UNAUTHORIZED_OBJECT_ERROR"}), Null()]
    own = engine({"Query.things": lambda *_: rows, "Thing.name": fails})
    found = own.execute("{things{edges{cursor node{id name}}}}")
    nodes = [each["node"] for each in found["data"]["things"]["edges"]]
    assert nodes == [{"id": "1", "name": None}, None, None]
    broken, hidden = found["errors"]
    assert (broken["path"], broken["extensions"]) == (["things", "edges", 0, "node", "name"], {"code": "X"})
    assert (hidden["message"], hidden["path"]) == ("hidden", ["things", "edges", 1, "node"])


def test_request_failures_reach_the_caller() -> None:
    def gone(*_: Any) -> Any:
        raise RequestFailed(404, {"status": 404})

    with pytest.raises(RequestFailed) as caught:
        engine({"Query.thing": gone}).execute("{thing{id}}")
    assert (caught.value.status, caught.value.body) == (404, {"status": 404})
    with pytest.raises(RequestFailed) as overflow:
        engine({"Query.number": lambda *_: 2**31}).execute("{number}")
    assert overflow.value.status == 500


def test_fragments_directives_and_abstract_types() -> None:
    rows = [{"__typename": "Circle", "name": "c", "radius": 1}, {"__typename": "Square", "name": "s", "side": 10**20}]
    query = """query($on:Boolean!){shapes{...S kind:__typename ... on Square{side name}}}
    fragment S on Shape{name ... on Circle @include(if:$on){radius}}"""
    own = engine({"Query.shapes": lambda *_: rows})
    circle, square = own.execute(query, {"on": True})["data"]["shapes"]
    assert json.dumps(circle) == '{"name": "c", "radius": 1.0, "kind": "Circle"}'
    assert json.dumps(square) == '{"name": "s", "kind": "Square", "side": "100000000000000000000"}'
    assert "radius" not in own.execute(query, {"on": False})["data"]["shapes"][0]


def test_arguments_defaults_and_variables() -> None:
    own = engine(
        {
            "Query.thing": lambda _obj, args, _context: {"id": args["id"], "name": "t"},
            "Query.search": lambda _obj, args, _context: json.dumps(args),
        }
    )
    assert own.execute("{thing{id}}")["data"]["thing"]["id"] == "1"
    assert own.execute("query($i:ID!){thing(id:$i){id}}", {"i": 7})["data"]["thing"]["id"] == "7"
    found = own.execute("query($f:Filter){search(filter:$f,kind:NEW,many:[1,2])}", {"f": {"text": "a"}})
    assert json.loads(found["data"]["search"]) == {"filter": {"text": "a", "limit": 3}, "kind": "NEW", "many": [1, 2]}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, {"path": ["text"], "explanation": "Expected value to not be null"}),
        ({"text": "a", "no": 1}, {"path": ["no"], "explanation": "Field is not defined on Filter"}),
        ({"text": 1}, {"path": ["text"], "explanation": "Could not coerce value 1 to String"}),
        ({"text": "a", "tags": ["b", None]}, {"path": ["tags", 1], "explanation": "Expected value to not be null"}),
    ],
)
def test_wrong_input_objects(value: dict[str, Any], problem: dict[str, Any]) -> None:
    (entry,) = engine().execute("query($f:Filter){search(filter:$f)}", {"f": value})["errors"]
    assert entry["extensions"] == {"value": value, "problems": [problem]}
    inner = ".".join(map(str, problem["path"]))
    assert entry["message"].endswith(f"was provided invalid value for {inner} ({problem['explanation']})")


@pytest.mark.parametrize(
    ("rule", "query", "price"),
    [
        ("flat", "{things(first:50){nodes{id} pageInfo{hasNextPage}}}", 5),
        ("consul_a", "{things(first:50){edges{node{id}}}}", 1003),
        ("multiplied", "{things(first:50){nodes{id} pageInfo{hasNextPage}}}", 54),
        ("multiplied", "{things{edges{cursor node{id name}}}}", 102),
        ("multiplied", "query($n:Int=7){things(first:$n){nodes{id}}}", 9),
    ],
)
def test_complexity(rule: Any, query: str, price: int) -> None:
    assert engine(page=25, rule=rule).complexity(query, {"n": 7}) == price


def test_introspection_follows_the_request() -> None:
    own = engine(introspection=bool)
    query = '{__type(name:"Thing"){name} none:__type(name:"Nope"){name}}'
    assert own.execute(query, context=True)["data"] == {"__type": {"name": "Thing"}, "none": None}
    assert own.execute(query, context=False)["errors"][0]["extensions"]["code"] == "INTROSPECTION_DISABLED_ERROR"
    assert own.execute("{__typename}", context=False) == {"data": {"__typename": "Query"}}
    assert own.execute("mutation{__typename}") == {"data": {"__typename": "Mutation"}}


def test_documents_are_checked_against_a_dialect() -> None:
    assert validate_document(SDL, "query($a:String){things(first:5,after:$a){nodes{id}}}") == []
    assert validate_document(SDL, "{thin{id}}") == [
        "Field 'thin' doesn't exist on type 'Query' (Did you mean `thing`?)"
    ]
    assert validate_document(SDL, "{...A} fragment A on Query{...A}") == ["Fragment A contains an infinite loop"]


class Rows:
    """Counts how many rows are touched, to prove that a large table is sliced."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.touched = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: slice) -> list[dict[str, int]]:
        found = [{"id": i + 1} for i in range(*key.indices(self.count))]
        self.touched += len(found)
        return found


def test_large_connections_are_sliced() -> None:
    rows = Rows(100_000)
    own = engine({"Query.things": lambda *_: rows}, page=25)
    started = time.perf_counter()
    found = own.execute(f'{{things(first:25,after:"{cursor_of(99_990)}"){{{INFO}}}}}')
    assert len(found["data"]["things"]["nodes"]) == 10
    assert rows.touched == 10
    assert time.perf_counter() - started < 1


def test_defaults_are_read_as_older_and_newer_releases_of_graphql_core_keep_them() -> None:
    """`>=3.2` is declared: Debian ships 3.2, whose definitions have `default_value` and no `default`."""
    from types import SimpleNamespace

    from graphql import Undefined

    from civicsync.connectors.testing.graphql_ruby.variables import default_of

    assert default_of(SimpleNamespace(default_value=5)) == 5
    assert default_of(SimpleNamespace(default_value=Undefined)) is Undefined
    assert default_of(SimpleNamespace(default=None)) is Undefined
