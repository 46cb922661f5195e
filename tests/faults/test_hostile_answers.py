"""Whatever a platform sends, what comes out is an answer or a declared error, soon, and in little memory."""

import asyncio
import contextlib
import gzip
import io
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import httpx
import pytest
import respx

from civicsync.connectors.contract.bounded_json import DEEPEST, TooCostly, cost_of, decode
from civicsync.connectors.contract.errors import (
    ConnectorError,
    Malformed,
    MaybeDone,
    NotAllowed,
    NotDone,
    NotFound,
    Unreachable,
)
from civicsync.connectors.contract.exchange import Request
from civicsync.connectors.contract.settings import Politeness
from civicsync.connectors.decidim import exports
from civicsync.connectors.http.html_page import HtmlPage
from civicsync.connectors.http.pace import Paces
from civicsync.connectors.http.transport import MAX_PAGE_BYTES, MAX_PAGE_TAGS, MAX_PAGE_WORDS, HttpTransport
from civicsync.core.clock import FakeClock
from tests.support.raw_server import raw_server

URL = "https://participa.example"
GZIP = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
NAMED = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03"
SMALL = Politeness(max_response_mb=1, max_file_mb=1)


def head(encoding: str = "", media: str = "application/json", more: str = "") -> bytes:
    packed = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    return f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\n{packed}{more}Connection: close\r\n\r\n".encode()


def endless(start: bytes, piece: bytes) -> Callable[[], AsyncIterator[bytes]]:
    async def answer() -> AsyncIterator[bytes]:
        yield start
        while True:
            yield piece * max(1, 32_768 // len(piece))

    return answer


def once(*pieces: bytes) -> Callable[[], AsyncIterator[bytes]]:
    async def answer() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return answer


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    million = bytes(1_000_000)
    return b"".join(packer.compress(million) for _ in range(megabytes)) + packer.flush()


@contextlib.asynccontextmanager
async def asking(url: str, clock: FakeClock, politeness: Politeness = SMALL) -> AsyncGenerator[HttpTransport]:
    async with HttpTransport(
        url, clock=clock, user_agent="civicsync/test", paces=Paces(), politeness=politeness
    ) as channel:
        yield channel


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (endless(head(), b" "), Malformed, "larger than 1 MB"),
        (endless(head("gzip") + NAMED, b"n"), Malformed, "without holding anything"),
        (endless(head("gzip"), gzip.compress(b"")), Malformed, "without holding anything|too many parts"),
        (endless(head("gzip"), gzip.compress(b"[")), Malformed, "too many parts"),
        (endless(head("gzip") + GZIP, b"\x00\x00\x00\xff\xff"), Malformed, "without holding anything"),
        (once(head("gzip"), bomb(100)), Malformed, "larger than 1 MB"),
        (once(head("gzip"), b"not packed at all"), Malformed, "not packed as it says"),
        (once(head("gzip"), gzip.compress(b"[1, 2]")[:-9]), Unreachable, "broke"),
        (once(head("br"), b"x"), Malformed, "not asked for"),
        (once(head("gzip, gzip"), b"x"), Malformed, "not asked for"),
        (endless(b"HTTP/1.1 200 OK\r\nX: ", b"y"), Unreachable, "broke"),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), Unreachable, "broke"),
        (endless(b"", b"x"), Unreachable, "broke"),
        (endless(head(more="Transfer-Encoding: chunked\r\n") + b"1;", b"x"), Unreachable, "broke"),
        (endless(head(more="Transfer-Encoding: chunked\r\n") + b"0\r\n", b"X: y\r\n"), Unreachable, "broke"),
        (once(head(more="Content-Length: -5\r\n"), b"x"), Unreachable, "broke"),
        (once(head(more="Content-Length: 9\r\n"), b"[]"), Unreachable, "broke"),
        (once(b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"), Malformed, "unexpected status 999"),
        (endless(head(media="text/html"), b"<p>"), Malformed, "larger than 1 MB"),
    ],
)
async def test_a_body_is_bounded_as_sent_and_as_unpacked(
    clock: FakeClock, answer: Callable[[], AsyncIterator[bytes]], error: type[ConnectorError], words: str
) -> None:
    async with raw_server(answer) as url, asking(url, clock) as channel:
        with pytest.raises(error, match=words):
            await channel.get("x", json=True)
        with pytest.raises(MaybeDone):
            await channel.submit(Request("POST", "x", json={"a": 1}))


async def test_what_is_packed_well_is_read(clock: FakeClock) -> None:
    packed = gzip.compress(b'{"a"') + gzip.compress(b": 1}") + bytes(100)
    answer = once(head("gzip"), *(packed[at : at + 1] for at in range(len(packed))))
    async with raw_server(answer) as url, asking(url, clock) as channel:
        assert (await channel.get("x", json=True)).json() == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [b"[],", b"{},", b'{"a":0},', b"[[]],", b"0.1,", b'"ab",', b'{"a":[]},'],
)
def test_json_is_judged_before_it_is_decoded(text: bytes) -> None:
    body = b"[" + text * (30_000_000 // len(text)) + b"0]"
    with pytest.raises(TooCostly, match="too large"):
        decode(body)


def test_wide_letters_are_counted() -> None:
    assert cost_of(b'"' + b"a" * 1000 + b'"') < 1100
    assert cost_of('"{}д"'.format("a" * 1000).encode()) > 3000
    assert cost_of('"{}😀"'.format("a" * 1000).encode()) > 6000
    assert cost_of(b'"' + b"a" * 1000 + b'\\ud83d\\ude00"') > 6000
    # Prose with commas, an emoji and Dutch letters, 5 MB of it, is far within.
    assert decode(('["' + "Wij willen, hier, een bankje 😀. " * 150_000 + '"]').encode())


def test_json_is_not_nested_too_deeply() -> None:
    assert decode(b"[" * DEEPEST + b"]" * DEEPEST)
    for body in (b"[" * 102 + b"]" * 102, b'{"a":' * 102 + b"1" + b"}" * 102, b"[" * 50_000 + b"]" * 50_000):
        with pytest.raises(TooCostly, match="deep"):
            decode(body)


@respx.mock
@pytest.mark.parametrize(
    "body",
    [b"[" * 50_000, b"1" * 5000, b'"\xff"', b"NaN", b"[1e999, NaN]", b"", b"\x00", b"[" * 500 + b"]" * 500],
)
async def test_broken_json_is_malformed(clock: FakeClock, body: bytes) -> None:
    respx.get(f"{URL}/x").mock(
        return_value=httpx.Response(200, content=body, headers={"Content-Type": "application/json"})
    )
    async with asking(URL, clock) as channel:
        for json in (True, False):
            with pytest.raises(Malformed):
                (await channel.get("x", json=json)).json()


@respx.mock
@pytest.mark.parametrize(
    ("status", "name", "value"),
    [
        (302, "Location", "https://[::1"),
        (302, "Location", "https://participa.example:99999999/"),
        (302, "Location", "https://participa.example:x/"),
        (302, "Location", "/\x7f\x01"),
        (302, "Location", "/" + "a" * 70_000),
        (302, "Location", "//"),
        (429, "Retry-After", "²"),
        (429, "Retry-After", "9" * 400),
        (429, "Retry-After", "Mon, 99 Foo 99999 99:99:99 GMT"),
        (503, "Retry-After", "-1"),
        (404, "X-Runtime", "nan"),
        (404, "Set-Cookie", "=;;; expires=Mon, 99 Foo; domain=..; path=;max-age=1e999"),
    ],
)
async def test_headers_made_to_break_a_library_are_declared_errors(
    clock: FakeClock, status: int, name: str, value: str
) -> None:
    headers = [(name.encode(), value.encode())]
    respx.route().mock(side_effect=lambda _: httpx.Response(status, headers=headers))
    async with asking(URL, clock) as channel:
        with pytest.raises(ConnectorError):
            await channel.get("x")
        assert 0 <= channel.stats.platform_seconds < 1e6


async def test_what_cannot_be_sent_is_not_done(clock: FakeClock) -> None:
    async with asking(URL, clock) as channel:
        for request in (Request("POST", "x\x01"), Request("POST", "x", headers={"X-Token": "ключ"})):
            with pytest.raises(NotDone):
                await channel.submit(request)
        for path in ("https://[", "https://participa.example:x/"):
            with pytest.raises(NotAllowed):
                await channel.submit(Request("POST", path))
        assert channel.stats.requests == 0


@respx.mock
async def test_a_page_for_people_has_so_many_tags(clock: FakeClock) -> None:
    page = "<i>" * (MAX_PAGE_TAGS + 1)
    respx.get(f"{URL}/x").mock(return_value=httpx.Response(200, html=page))
    respx.get(f"{URL}/y").mock(return_value=httpx.Response(200, html=page[:-3]))
    async with asking(URL, clock, Politeness()) as channel:
        with pytest.raises(Malformed, match="too large for a page"):
            await channel.get("x")
        await channel.get("y")
        respx.get(f"{URL}/x").mock(return_value=httpx.Response(200, html="<i " + "a " * (MAX_PAGE_WORDS + 1)))
        with pytest.raises(Malformed, match="too large for a page"):
            await channel.get("x")


@respx.mock
async def test_a_page_that_no_parser_takes_and_an_address_that_is_none_are_malformed(clock: FakeClock) -> None:
    respx.get(f"{URL}/x").mock(return_value=httpx.Response(200, html="<![[[["))
    respx.route(path="/y").mock(return_value=httpx.Response(302, headers={"Location": "https://[::1"}))
    async with asking(URL, clock) as channel:
        with pytest.raises(Malformed, match="cannot be read"):
            HtmlPage(await channel.get("x")).soup  # noqa: B018
        with pytest.raises(ConnectorError):
            await channel.get("y", redirects=False)
        with pytest.raises(MaybeDone):
            await channel.submit(Request("POST", "y"))


@respx.mock
@pytest.mark.parametrize("body", ['{"data": 5}', '{"data": [1]}', "[]", "5", '{"data": "x", "errors": 7}'])
async def test_odd_graphql_is_malformed(clock: FakeClock, body: str) -> None:
    respx.post(f"{URL}/api").mock(
        return_value=httpx.Response(200, content=body, headers={"Content-Type": "application/json"})
    )
    async with asking(URL, clock) as channel:
        with pytest.raises(Malformed, match="GraphQL"):
            await channel.graphql("api", "{a}")


@respx.mock
@pytest.mark.parametrize("errors", ["7", '"no"', "[null, 5, {}]", '{"message": "no"}', '[{"message": {"a": [1]}}]'])
async def test_odd_errors_of_graphql_are_kept(clock: FakeClock, errors: str) -> None:
    body = f'{{"data": null, "errors": {errors}}}'
    respx.post(f"{URL}/api").mock(
        return_value=httpx.Response(200, content=body, headers={"Content-Type": "application/json"})
    )
    async with asking(URL, clock) as channel:
        assert (await channel.graphql("api", "{a}")).errors


@respx.mock
async def test_cookies_do_not_pile_up(clock: FakeClock) -> None:
    respx.get(f"{URL}/x").mock(
        side_effect=lambda _: httpx.Response(200, headers=[("Set-Cookie", f"c{n}=1") for n in range(100)])
    )
    async with HttpTransport(URL, clock=clock, user_agent="x", paces=Paces(), keep_cookies=True) as channel:
        await channel.get("x")
        await channel.get("x")
    assert "cookie" not in respx.calls[1].request.headers


def zipped(text: bytes, name: str = "open-data-proposals.csv", how: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr(name, text)
    return file.getvalue()


def many_names(count: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(count):
            archive.writestr(zipfile.ZipInfo(f"{number}.csv"), b"")
    return file.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped(b"id\n1\n"))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


WANTED = {"proposals": exports.PROPOSALS, "proposal_comments": exports.COMMENTS}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: zipped(bytes(3_000_000)), "a row is too long"),
        (lambda: zipped(b"id\n" + b"1\n" * 1_500_000), "too large when unpacked|more rows"),
        (lambda: zipped(b"id;x\n" + b"1;" + b'"\n";' * 600_000), "a row is too long"),
        (lambda: zipped(b'id\n"' + b"x\n" * 600_000), "not a zip file"),
        (lambda: zipped(b"id\n" + b"1;x\n" * 10, how=zipfile.ZIP_BZIP2), "unusual"),
        (lambda: many_names(20_000), "list of files is too long"),
        (encrypted, "not a zip file"),
        (lambda: zipped(b"id\n1\n" * 1000)[:-30], "not a zip file"),
        (lambda: zipped(b"id\n1\n" * 1000).replace(b"\x00\x00\x00open", b"\x00\x00\x00opeM", 1), "not a zip file"),
        (lambda: b"PK\x05\x06" + b"\xff" * 18, "not a zip file|too long"),
        (lambda: b"", "not a zip file"),
    ],
)
def test_a_hostile_archive_is_refused(made: Callable[[], bytes], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        exports.archive("open-data", io.BytesIO(made()), WANTED, 2_500_000)


def test_every_cut_and_every_flipped_byte_is_an_answer_or_malformed() -> None:
    whole = zipped(b"id;is_amend\n1;true\n2;'=x\n")
    for place in range(len(whole)):
        for broken in (whole[:place], whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]):
            with contextlib.suppress(Malformed):
                exports.archive("open-data", io.BytesIO(broken), WANTED, 1_000_000)


def test_rows_are_read_as_decidim_writes_them() -> None:
    text = '\ufeffid;body;locale;other\n1;"a\r\n\n;b";ca;x\n\n2;\'=1+1;ca\n3\n'.encode()
    found = exports.rows("f", io.BytesIO(text), ("id", "body", "locale", "absent"), 1000)
    assert found == [
        {"id": "1", "body": "a\r\n\n;b", "locale": "ca"},
        {"id": "2", "body": "=1+1", "locale": "ca"},
        {"id": "3"},
    ]
    for odd in (b"", b"\xff\xfe\x00", b"\n\n", b"id", b'"'):
        exports.rows("f", io.BytesIO(odd), ("id",), 1000)


async def test_a_file_is_kept_on_disk_and_bounded(clock: FakeClock) -> None:
    async with (
        raw_server(once(head(media="text/csv"), b"id\n" * 200_000)) as url,
        asking(url, clock) as channel,
        channel.download("x") as answer,
    ):
        assert answer.media_type == "text/csv" and answer.file.read() == b"id\n" * 200_000
    async with raw_server(endless(head(media="text/csv"), b"id\n")) as url, asking(url, clock) as channel:
        with pytest.raises(Malformed, match="max_file_mb"):
            async with channel.download("x"):
                pass
    async with raw_server(once(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")) as url, asking(url, clock) as channel:
        with pytest.raises(NotFound):
            async with channel.download("x"):
                pass


PEAKS = """
import asyncio, sys
sys.path[:0] = [{root!r}]
from tests.faults.test_hostile_answers import {scenario}
asyncio.run({scenario}())
print("peak", next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak_of(scenario: str) -> float:
    """Megabytes that a process of its own took at most, at the default settings."""
    root = str(__file__).rsplit("/tests/", 1)[0]
    done = subprocess.run(
        [sys.executable, "-c", PEAKS.format(root=root, scenario=scenario)], capture_output=True, text=True, cwd=root
    )
    found = re.search(r"peak (\d+)", done.stdout)
    assert found is not None, done.stderr[-2000:]
    return int(found[1]) / 1024


@contextlib.asynccontextmanager
async def _reader(answer: Callable[[], AsyncIterator[bytes]]) -> AsyncGenerator[tuple[HttpTransport, str]]:
    # What a real run has loaded counts as well.
    import civicsync.sync.pull.run  # noqa: F401

    async with raw_server(answer) as url, asking(url, FakeClock(), Politeness()) as channel:
        yield channel, url


async def _refused(channel: HttpTransport) -> None:
    with pytest.raises(Malformed):
        await channel.get("x", json=True)
    assert channel.stats.requests == 1


async def _many(piece: bytes, size: int, start: bytes = b"[", end: bytes = b"0]") -> None:
    async def answer() -> AsyncIterator[bytes]:
        yield head() + start
        for _ in range(size // len(piece * 10_000)):
            yield piece * 10_000
        yield end

    async with _reader(answer) as (channel, _):
        await _refused(channel)


async def json_bomb() -> None:
    await _many(b"[],", 250_000_000)


async def json_within_the_limit() -> None:
    await _many(b"[],", 31_000_000)


async def json_just_affordable() -> None:
    """The dearest answer that is taken."""
    async with _reader(once(head(), b"[" + b"[[]]," * 520_000 + b"0]")) as (channel, _):
        assert len((await channel.get("x", json=True)).json()) == 520_001


async def wide_letters_just_affordable() -> None:
    async with _reader(once(head(), b'"' + b"a" * 21_000_000 + "😀".encode() + b'"')) as (channel, _):
        await channel.get("x", json=True)


async def gzip_bomb() -> None:
    async with _reader(once(head("gzip"), bomb(400))) as (channel, _):
        await _refused(channel)


async def zip_bomb() -> None:
    """A small file that holds more comments than fit, asked as a pull asks."""
    from civicsync.connectors.decidim.api import Api
    from civicsync.connectors.decidim.settings import DecidimSettings

    line = b"1;0;" + b"x" * 200 + b"\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("proposal_comments", "proposals"):
            with archive.open(f"open-data-{name}.csv", "w", force_zip64=True) as member:
                member.write(b"id;depth;body\n")
                for _ in range(60):
                    member.write(line * 10_000)

    async with _reader(once(head(media="application/zip"), file.getvalue())) as (channel, url):
        api = Api.__new__(Api)
        api.transport, api.settings = channel, DecidimSettings(platform="decidim", url=url)
        with pytest.raises(Malformed, match="more rows"):
            await api.open_data_zip()


async def page_of_tags() -> None:
    await _page((b"<b " + b"a=1 " * 11 + b">") * MAX_PAGE_TAGS)


async def page_of_attributes() -> None:
    await _page(b"<a " + b"aaaaa " * (MAX_PAGE_WORDS - 2))


async def _page(body: bytes) -> None:
    """The dearest page that is taken."""
    async with _reader(once(head(media="text/html"), body[: MAX_PAGE_BYTES - 1], b">")) as (channel, _):
        page = HtmlPage(await channel.get("x"))
        page.soup.get_text()
        page.soup.select("form input")


@pytest.mark.parametrize(
    "scenario",
    [
        "json_bomb",
        "json_within_the_limit",
        "json_just_affordable",
        "wide_letters_just_affordable",
        "gzip_bomb",
        "zip_bomb",
        "page_of_tags",
        "page_of_attributes",
    ],
)
async def test_memory_stays_small_whatever_is_sent(scenario: str) -> None:
    assert await asyncio.to_thread(peak_of, scenario) < 300
