"""Whatever is read by a mapper, a reader of headers or a reader of files: what comes out is a record, a value or a declared error."""

import asyncio
import contextlib
import io
import os
import re
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from civicsync.connectors.consul import mapping as consul
from civicsync.connectors.consul.dialects import DIALECTS
from civicsync.connectors.consul.settings import ConsulSettings
from civicsync.connectors.contract.bounded_json import decode
from civicsync.connectors.contract.errors import ConnectorError, Malformed
from civicsync.connectors.contract.reading import Context, PullRequest
from civicsync.connectors.contract.settings import Politeness
from civicsync.connectors.contract.values import identity, moment, whole
from civicsync.connectors.decidim import exports, thread_pages
from civicsync.connectors.decidim import mapping as decidim
from civicsync.connectors.decidim.comment_trees import CommentTrees
from civicsync.connectors.decidim.dialects import Dialect, dialect_of
from civicsync.connectors.decidim.languages import Languages
from civicsync.connectors.decidim.reader import SpaceTree
from civicsync.connectors.decidim.settings import DecidimSettings
from civicsync.connectors.http.html_page import HtmlPage
from civicsync.connectors.http.pace import Paces
from civicsync.connectors.http.transport import HttpTransport
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.memory import MemoryStore
from civicsync.connectors.your_priorities import mapping as your_priorities
from civicsync.connectors.your_priorities.capabilities import warnings
from civicsync.connectors.your_priorities.settings import YourPrioritiesSettings
from civicsync.core.clock import FakeClock
from civicsync.core.items import UNREADABLE, Item, MappingError
from civicsync.core.records import Record
from civicsync.core.text import rich, simple
from tests.support.altered import lenient

EXAMPLES = int(os.environ.get("CIVICSYNC_FUZZ", "100"))
"""In `make test`; `make proof` gives 20,000."""
URL = "https://participa.example"
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=EXAMPLES < 1000,
)

WORDS = re.findall(
    r"\S+",
    "id title name body description summary createdAt updatedAt publishedAt withdrawnAt answeredAt created_at translations "
    "locale text state withdrawn answer author voteCount totalCommentsCount likesCount coordinates latitude longitude "
    "taxonomies category scope parent meeting amendments emendation components steps active slug type nodes edges node "
    "pageInfo hasNextPage endCursor publicAuthor username cachedVotesUp cachedVotesDown commentsCount publicCreatedAt "
    "retiredAt retiredReason geozoneId ancestry commentableId commentableType tags milestones publicationDate price "
    "feasibility location votableId votableType voteFlag kind User Group configuration counter_endorsements_up "
    "counter_endorsements_down counter_points official_status group_id category_id language public_data structuredAnswersJson "
    "structuredQuestionsJson uniqueId value PostHeaderImages formats PointRevisions content post_id parent_point_id "
    "PostStatusChange Post status_changed_to subject published_at domain_id community_id status access is_group_folder "
    "groupType total_budget budget_amount selected upVotes downVotes alignment hasComments comments original_proposal/url "
    "__typename ",
)
SPECIAL: list[Any] = [
    *(
        "0001-01-01T00:00:00+02:00",
        "9999-12-31T23:59:59-05:00",
        "2024-02-30",
        "2024-05-01 10:00:00 UTC",
        "2024-05-01T10:00:00",
        "²",
        "1.0",
    ),
    *(
        "\0",
        "\ud83d",
        "&#x202E;",
        "<p",
        "1e999",
        "-1",
        "9" * 5000,
        "Proposal",
        "Decidim::Proposals::Proposal",
        "gid://x/Decidim::Hashtag/1/a",
    ),
    *(
        0,
        -1,
        2**31,
        2**63,
        2**70,
        10**400,
        3.5,
        1e308,
        True,
        False,
        None,
        [],
        {},
        [None],
        [[]],
        {"id": None},
        {"nodes": None},
        {"id": 1},
    ),
]
NAMES = st.one_of(st.sampled_from(WORDS), st.text(max_size=5))
LEAVES = st.one_of(
    st.sampled_from(SPECIAL), st.integers(), st.text(max_size=12), st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=6)),
    max_leaves=20,
)
NODES = st.dictionaries(NAMES, JSON, max_size=12).flatmap(
    lambda node: st.sampled_from([node, {**node, "id": 7}, {**node, "id": "7"}])
)


def context(kind: Any, platform: str) -> Context:
    own = kind.model_validate({"platform": platform, "url": URL, "names": "public"})
    channel = HttpTransport(URL, clock=FakeClock(), user_agent="x", paces=Paces())
    return Context("toy", own, channel, lambda text: f"{len(text):032x}", FakeClock(), keep_names=True)


def built(items: Iterable[Item | None]) -> None:
    """Items are built, kept and encoded as the store does it; nothing but what it declares comes out."""
    for item in items:
        if item is None:
            continue
        assert item.ref.count("/") >= 1
        item.kept()
        lenient(item.kept()).decode().encode()
        if item.build is None:
            continue
        try:
            records: list[Record] = list(item.build())
        except UNREADABLE:
            continue
        for record in records:
            for text in _texts(record.model_dump()):
                assert "\0" not in text
                text.encode()


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for one in (*value, *value.values()) for text in _texts(one)]
    if isinstance(value, list | tuple):
        return [text for one in value for text in _texts(one)]
    return []


DECIDIM = context(DecidimSettings, "decidim")
CONSUL = context(ConsulSettings, "consul")
YP = context(YourPrioritiesSettings, "your-priorities")


@pytest.mark.parametrize("alignment", ["&#x202E;", "2024-05-01 10:00:00 UTC", [], {"a": 1}, float("inf"), 1.5, "-1"])
def test_an_alignment_that_is_none_is_declared(alignment: Any) -> None:
    raw = {"id": "1", "target": "proposal/1", "body": "x", "createdAt": "2024-05-01T10:00:00Z", "alignment": alignment}
    try:
        [record] = decidim.Mapper(DECIDIM, Dialect("0.32")).build({**raw, "kind": "comment"})
    except MappingError as error:
        assert "alignment" in str(error)
        assert not isinstance(alignment, float) or alignment == float("inf")
    else:
        assert alignment in (1.5, "-1") and record.model_dump()["alignment"] in {1, -1}


@pytest.mark.parametrize("state", [[], {}, 7, ["accepted"]])
def test_a_state_that_is_no_word_makes_no_amendment(state: Any) -> None:
    item = decidim.Mapper(DECIDIM, Dialect("0.32")).item(
        "proposal", {"id": "1", "state": state}, "/", "component/1", {}
    )
    assert isinstance(item.raw, dict) and "amends" not in item.raw


@pytest.mark.parametrize("configuration", ["2024-05-01", [1], 7, None])
def test_a_configuration_that_is_no_object_hides_nothing(configuration: Any) -> None:
    nodes = {"1": {"configuration": configuration}, "2": {"configuration": {"hideDebate": True}}}
    told = warnings(cast("Any", SimpleNamespace(closed={}, refused=[], nodes=nodes)))
    assert [each for each in told if "group/" in each] == [
        "group/2 hides its debate from visitors: arguments are left out"
    ]


@pytest.mark.parametrize("component", ["2024-05-01 10:00:00 UTC", 7, ["c0"], True])
async def test_an_answer_that_is_no_object_holds_no_thread(component: Any) -> None:
    """Threads are asked for by component: where a text stands in its place they are broken, not empty, and the others go on."""

    class Site:
        async def ask(self, _: str) -> tuple[dict[str, Any], list[Any]]:
            return {"component": component}, []

    trees = CommentTrees(Dialect("0.32"), Languages(cast("Any", Site()), ["nl"]), names=False)
    read = await trees.read("proposal", "1", ["5", "6"])
    assert [tree.broken for tree in read.values()] == [[None], [None]]


@FUZZ
@given(NODES, st.sampled_from(["0.28", "0.30", "0.32"]))
def test_decidim_s_mapper(node: dict[str, Any], release: str) -> None:
    mapper = decidim.Mapper(DECIDIM, Dialect(release))
    for kind in ("proposal", "project", "debate"):
        built(mapper.many(kind, [node], lambda each, kind=kind: mapper.item(kind, each, "/x/", "component/1", {})))
    for kind in ("budget", "component", "process", "taxonomy"):
        built(mapper.many(kind, [node], lambda each, kind=kind: mapper.simple_item(kind, each)))
    raw = {
        "id": "7",
        "target": "proposal/1",
        "parent": None,
        "body": node.get("body"),
        "createdAt": node.get("createdAt"),
        "alignment": node.get("value"),
    }
    votes: Any = (node.get("upVotes"), node.get("downVotes"))
    built(mapper.many("comment", [raw], lambda each: mapper.comment({**each, "_author": node}, *votes)))
    if identity(node) is not None:
        decidim.emended([node])
    decidim.comments_in(decidim.token(node))
    with contextlib.suppress(*UNREADABLE):
        decidim.remap(DECIDIM, "proposal/7", node)


@FUZZ
@given(JSON, JSON)
def test_decidim_s_lists_of_spaces_and_errors(data: Any, errors: Any) -> None:
    from civicsync.connectors.decidim.api import doubtful, missing_fields
    from civicsync.connectors.decidim.component_pull import is_closed
    from civicsync.connectors.decidim.probing import Probed

    listed = errors if isinstance(errors, list) else [errors]
    doubtful(listed, "component", "proposals", "nodes", 0)
    is_closed(listed)
    dialect = dialect_of(missing_fields(listed), data if isinstance(data, str) else None)
    roots = ["participatoryProcesses"]
    answer = {"participatoryProcesses": data}
    with contextlib.suppress(ConnectorError):
        built(SpaceTree(decidim.Mapper(DECIDIM, dialect), answer, roots, errors=listed).items)
    Probed(dialect, None, "", roots, answer).locales()


@FUZZ
@given(NODES, st.sampled_from("ABC"), JSON)
def test_consul_s_mapper(node: dict[str, Any], dialect: str, connection: Any) -> None:
    mapper = consul.Mapper(CONSUL, "nl", "1")
    chosen = DIALECTS[dialect]
    for collection in ("proposals", "debates", "investments", "comments", "budgets", "geozones", "votes"):
        built(mapper.items(collection, [node]))
        consul.counters_in(collection, consul.token(collection, node))
    consul.nodes(connection, chosen)
    with contextlib.suppress(ConnectorError):
        consul.page_of(connection, chosen, "x")
    with contextlib.suppress(*UNREADABLE):
        consul.remap(CONSUL, "proposal/7", node)


@FUZZ
@given(NODES)
def test_your_priorities_mapper(node: dict[str, Any]) -> None:
    mapper = your_priorities.Mapper(YP)
    flags = your_priorities.flags(node)
    built(mapper.many("proposal", [node], lambda each: mapper.post(each, "1|")))
    built(mapper.many("point", [node], lambda each: mapper.point(each, flags)))
    built(mapper.many("status_change", [node], mapper.status_change))
    built(mapper.many("category", [node], lambda each: mapper.category(each, "1")))
    for kind in ("domain", "community", "group"):
        built(mapper.spaces(kind, [node]))
    for kind in ("proposal", "point", "status_change", "category", "group"):
        with contextlib.suppress(*UNREADABLE):
            your_priorities.remap(YP, f"{kind}/7", node)


@FUZZ
@given(JSON)
def test_values(value: Any) -> None:
    whole(value)
    identity(value)
    with contextlib.suppress(MappingError):
        moment(value, "x")
    if isinstance(value, str):
        for text in (rich("nl", value, value), simple("nl", value, value)):
            assert "\0" not in text.html + text.plain


@FUZZ
@given(st.one_of(st.binary(max_size=300), JSON.map(lenient), JSON.map(lambda value: lenient(value)[:-1])))
def test_json(body: bytes) -> None:
    try:
        value = decode(body)
    except ValueError:
        return
    for text in _texts(value):
        assert "\0" not in text
        text.encode()


ODD_CELLS = ["1", "²", "x", "-1", "\0", '"', "'=1", "2024-01-01", "9" * 50]
CELLS = st.lists(
    st.one_of(st.sampled_from(ODD_CELLS), st.text(max_size=6)),
    max_size=12,
)


def _csv(rows: list[list[str]]) -> bytes:
    return "\n".join([";".join(exports.COMMENTS), *(";".join(row) for row in rows)]).encode("utf-8", "surrogatepass")


FILES = st.one_of(
    st.binary(max_size=400),
    st.lists(CELLS, max_size=6).map(
        lambda rows: "\n".join([";".join(exports.COMMENTS), *(";".join(row) for row in rows)]).encode(
            "utf-8", "surrogatepass"
        )
    ),
)


def _zipped(file: bytes, cut: int, flip: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x-open-data-proposals.csv", file)
        archive.writestr("x-open-data-proposal_comments.csv", file)
    data = bytearray(made.getvalue())
    if flip < len(data):
        data[flip] ^= 0xFF
    return bytes(data[: cut or None])


@FUZZ
@given(FILES, st.integers(0, 600), st.integers(0, 600))
def test_files(file: bytes, cut: int, flip: int) -> None:
    with contextlib.suppress(Malformed):
        rows = exports.rows("x", io.BytesIO(file), exports.COMMENTS, 1_000_000)
        exports.check("x", rows)
        assert all("\0" not in value for row in rows for value in row.values())
    wanted = {"proposals": exports.PROPOSALS, "proposal_comments": exports.COMMENTS}
    for data in (file, _zipped(file, cut, flip)):
        with contextlib.suppress(Malformed):
            exports.archive("x", io.BytesIO(data), wanted, 1_000_000)


HEADERS = st.sampled_from(
    [
        "Retry-After",
        "Location",
        "Content-Type",
        "Content-Encoding",
        "Set-Cookie",
        "X-Runtime",
        "ETag",
        "Date",
        "Content-Length",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            "0",
            "-1",
            "nan",
            "²",
            "9" * 400,
            "https://[::1",
            "//",
            "gzip",
            "br",
            "application/json",
            "text/csv",
            "",
            "Mon, 99 Foo 9999",
        ]
    ),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20),
)


@FUZZ
@given(
    st.integers(100, 600),
    st.lists(st.tuples(HEADERS, VALUES), max_size=5),
    st.one_of(st.binary(max_size=60), JSON.map(lenient)),
)
def test_headers_and_bodies(status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]

    def answer(_: httpx.Request) -> httpx.Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield body

        return httpx.Response(status, headers=pairs, content=pieces())

    async def ask() -> None:
        own = Politeness(give_up_after=5)
        async with HttpTransport(
            URL, clock=FakeClock(), user_agent="x", paces=Paces(), politeness=own, backend=httpx.MockTransport(answer)
        ) as channel:
            asks: list[Callable[[], Any]] = [
                lambda: channel.get("x"),
                lambda: channel.get("x", json=True),
                lambda: channel.post_json("x", {}),
                lambda: channel.graphql("x", "{a}"),
            ]
            for each in asks:
                with contextlib.suppress(ConnectorError):
                    await each()
            with contextlib.suppress(ConnectorError):
                async with channel.download("x") as file:
                    file.file.read()

    asyncio.run(ask())


@FUZZ
@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(
            st.sampled_from(
                ["<form>", "<", "<!", "<![", "]]>", '<input name="', '"', ">", "</", "<select>", "<meta ", "&#", "\0"]
            ),
            max_size=20,
        ).map("".join),
    )
)
def test_pages(markup: str) -> None:
    from civicsync.connectors.contract.exchange import Response

    page = HtmlPage(
        Response(200, {"content-type": "text/html", "location": "x"}, markup.encode("utf-8", "surrogatepass"), URL, 0.0)
    )
    with contextlib.suppress(Malformed):
        page.token("/x")
        page.values("x")
        page.longest("x")
        page.texts("form input")
    thread_pages.place_of_thread(markup)
    thread_pages.named_in(markup)


class _Site:
    """A platform that answers what it is told, in turn, whatever is asked."""

    def __init__(self, platform: str, version: str, odd: Callable[[int], Any]) -> None:
        connector = resolve(platform)
        assert connector.sandbox is not None

        async def rest(_: float) -> None:
            return None

        self.site = connector.sandbox(version=version, size=4, seed=2, clock=FakeClock().now, sleep=rest)
        honest, self.count = self.site.answer, 0

        def answer(request: Any) -> Any:
            from civicsync.connectors.testing.messages import Response

            self.count += 1
            response = honest(request)
            if "json" not in (response.header("content-type") or "") or response.status != 200:
                return response
            data = decode(response.body)
            return Response(200, [("Content-Type", "application/json")], lenient(odd_in(data, odd(self.count))))

        self.site.answer = answer


def odd_in(data: Any, plan: tuple[int, Any]) -> Any:
    """An honest answer with one value, counted from its beginning, replaced."""
    place, value = plan
    left = place

    def walk(node: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            return value
        if isinstance(node, dict):
            return {name: walk(one) for name, one in node.items()}
        if isinstance(node, list):
            return [walk(one) for one in node]
        return node

    return walk(data)


@pytest.mark.parametrize(
    ("platform", "version"),
    [("decidim", "0.32"), ("decidim", "0.28.6"), ("consul", "2.5.1"), ("your-priorities", "2026-07")],
)
@settings(
    max_examples=max(8, EXAMPLES // 25),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=EXAMPLES < 1000,
)
@given(st.data())
def test_a_whole_reader(platform: str, version: str, data: st.DataObject) -> None:
    """Each honest answer with one value in it replaced by an odd one: a pull ends by itself or with a declared error."""
    seed = data.draw(st.integers(0, 2**32))
    values = data.draw(st.lists(JSON, min_size=3, max_size=3))

    def odd(count: int) -> tuple[int, Any]:
        return (seed * 31 + count * 7919) % 150, values[count % 3]

    site = _Site(platform, version, odd)

    async def read() -> None:
        connector = resolve(platform)
        own = connector.settings.model_validate(
            {"platform": platform, "url": "http://127.0.0.1:9", "politeness": {"give_up_after": 20}}
        )
        async with HttpTransport(
            own.url, clock=FakeClock(), user_agent="x", paces=Paces(), politeness=own.politeness, backend=site.site
        ) as channel:
            reader = connector.reader(Context("toy", own, channel, str, FakeClock(), keep_names=True))
            store = MemoryStore(twice=False)
            try:
                probe = await reader.probe()
                for full in (True, False):
                    async for page in reader.pull(PullRequest(probe=probe, stored=store, full=full)):
                        built(page.items)
                        await store.apply(page, reader)
            except (ConnectorError, ValidationError) as error:
                assert isinstance(error, ConnectorError), error
            assert site.count < 3000

    asyncio.run(read())
