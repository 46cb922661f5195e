"""What every sandbox has in common: the control, the faults in-process and on a real socket, the counters, plain HTTP."""

import asyncio
import gzip
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx
import pytest

from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.messages import Request, Response, accepts_gzip, request_from
from civicsync.connectors.testing.sandbox.sandbox import Sandbox
from civicsync.connectors.testing.sandbox.serve import describe, running

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


class Toy(Sandbox):
    """A platform of one list."""

    platform = "toy"
    default_version = "1.0"
    extra_faults: ClassVar[frozenset[str]] = frozenset({"empty_list"})

    def __init__(self, **options: Any) -> None:
        super().__init__(clock=lambda: NOW, **options)
        self.titles = [f"Proposal number {i}" for i in range(self.size)]

    def handle(self, request: Request) -> Response:
        self.charge(0.25)
        name = request.host.rpartition(":")[0] or request.host
        if name not in LOOPBACK and not name.endswith(".localhost") and not name.startswith("127."):
            return Response.text("no such host", 404)
        if request.path == "/crash":
            raise ZeroDivisionError
        if request.method == "POST":
            self.titles.append(request.json()["title"])
            return Response.json({"id": len(self.titles)}, 201)
        return Response.json(self.titles, headers=[("Set-Cookie", "sid=1; Path=/")]).with_etag(request)

    def truth(self) -> dict[str, Any]:
        return {"proposals": [{"id": str(i), "title": title} for i, title in enumerate(self.titles)]}

    def instance_block(self, url: str) -> dict[str, Any]:
        return {"platform": self.platform, "url": url}

    def operations(self) -> Mapping[str, Callable[..., Any]]:
        return {"edit": self.edit}

    def edit(self, row: int, title: str) -> int:
        self.titles[row] = title
        return row

    def plant_private_data(self) -> list[str]:
        return []

    def mangle(self, kind: str, request: Request, response: Response) -> Response:
        return Response.json([])


def client(toy: Toy) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=toy), base_url="http://127.0.0.1:1")


async def test_the_control_changes_and_tells_the_truth() -> None:
    toy = Toy(size=2)
    async with client(toy) as http:
        changed = await http.post("/_sandbox/change", json={"op": "edit", "row": 1, "title": "New"})
        assert changed.json() == {"result": 1}
        assert (await http.get("/_sandbox/truth")).json()["proposals"][1]["title"] == "New"
        for wrong in ({"op": "nothing"}, {"op": "edit"}, {"op": "edit", "row": 9, "title": "x"}, [], {}):
            assert (await http.post("/_sandbox/change", json=wrong)).status_code == 400
        assert (await http.get("/_sandbox/nothing")).status_code == 404
        assert (await http.get("/_sandbox/stats")).json()["requests"] == 0


async def test_a_scheduled_change_falls_between_two_requests() -> None:
    toy = Toy(size=1)
    async with client(toy) as http:
        answer = await http.post("/_sandbox/schedule", json=[{"after": 2, "op": "edit", "row": 0, "title": "Moved"}])
        assert answer.status_code == 200
        assert (await http.get("/")).json() == ["Proposal number 0"]
        assert (await http.get("/")).json() == ["Moved"]
        assert (await http.post("/_sandbox/schedule", json=[{"after": 0, "op": "edit"}])).status_code == 400


async def test_counters_and_virtual_seconds() -> None:
    toy = Toy(size=1, charge=True)
    async with client(toy) as http:
        answer = await http.get("/api/12?page=2")
        assert answer.headers["X-Runtime"] == "0.250000"
        assert answer.headers["Date"] == "Sun, 01 Mar 2026 12:00:00 GMT"
        await http.get("/api/13")
        stats = (await http.get("/_sandbox/stats")).json()
        assert stats["requests"] == 2
        assert stats["by_prefix"] == {"GET /api/:id": 2}
        assert stats["charged_seconds"] == 0.5
        assert stats["log"][0] == "GET /api/12?page=2"
        assert stats["bytes_out"] == 2 * len(answer.content)
        await http.post("/_sandbox/reset_stats")
        assert (await http.get("/_sandbox/stats")).json()["requests"] == 0


@pytest.mark.parametrize("host", ["localhost:9", "a.b.localhost", "127.0.0.9", "[::1]:80"])
async def test_any_loopback_name_reaches_the_platform(host: str) -> None:
    async with client(Toy()) as http:
        assert (await http.get("/", headers={"Host": host})).status_code == 200
        assert (await http.get("/", headers={"Host": "elsewhere.example"})).status_code == 404


@pytest.mark.parametrize(
    ("rule", "status", "kind", "wait"),
    [
        ({"kind": "429"}, 429, "text/plain", None),
        ({"kind": "429_retry_after", "retry_after": 7}, 429, "text/plain; charset=utf-8", "7"),
        ({"kind": "500", "status": 502}, 502, "text/html; charset=utf-8", None),
        ({"kind": "503", "retry_after": 9}, 503, "text/html; charset=utf-8", "9"),
        ({"kind": "html_200"}, 200, "text/html; charset=utf-8", None),
    ],
)
async def test_faults_that_answer_instead(rule: dict[str, Any], status: int, kind: str, wait: str | None) -> None:
    toy = Toy()
    async with client(toy) as http:
        await http.post("/_sandbox/faults", json=[rule])
        answer = await http.post("/", json={"title": "Not stored"})
        assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
        assert answer.headers.get("retry-after") == wait
        assert "Not stored" not in toy.titles
        assert (await http.get("/")).status_code == 200, "it fires once"
        assert toy.report()["faults"] == {rule["kind"]: 1}


async def test_rules_match_spare_and_are_cleared() -> None:
    toy = Toy()
    async with client(toy) as http:
        rule = {"kind": "500", "match": "^POST ", "body": "title", "after": 1, "times": None}
        await http.post("/_sandbox/faults", json=[rule])
        assert (await http.get("/")).status_code == 200
        statuses = [(await http.post("/", json={"title": "x"})).status_code for _ in range(3)]
        assert statuses == [201, 500, 500]
        await http.delete("/_sandbox/faults")
        assert (await http.post("/", json={"title": "x"})).status_code == 201
        for wrong in ([{"kind": "no"}], [{"kind": "500", "match": "("}], [{"kind": "500", "who": 1}], [1], {}):
            assert (await http.post("/_sandbox/faults", json=wrong)).status_code == 400
        await http.post("/_sandbox/faults", json=[{"kind": "empty_list"}])
        assert (await http.get("/")).json() == []


async def test_chance_is_seeded() -> None:
    async def run() -> list[int]:
        toy = Toy(seed=3)
        toy.plant(Fault("500", times=None, probability=0.5))
        async with client(toy) as http:
            return [(await http.get("/")).status_code for _ in range(20)]

    first = await run()
    assert first == await run()
    assert set(first) == {200, 500}


@pytest.mark.parametrize(
    ("kind", "raised", "stored"),
    [
        ("reset", ConnectionResetError, False),
        ("reset_after_store", ConnectionResetError, True),
        ("cut_connection", ConnectionResetError, True),
        ("hang", TimeoutError, False),
        ("timeout_after_store", TimeoutError, True),
    ],
)
async def test_lost_answers_in_process(kind: str, raised: type[Exception], stored: bool) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    toy = Toy(sleep=sleep)
    toy.plant(Fault(kind, seconds=40))
    async with client(toy) as http:
        with pytest.raises(raised):
            await http.post("/", json={"title": "Maybe"})
        assert ("Maybe" in toy.titles) is stored
        assert slept == ([40] if kind == "timeout_after_store" else [])
        toy.plant(Fault("slow", seconds=5), Fault("500_after_store"))
        assert (await http.get("/")).status_code == 200
        assert slept[-1] == 5
        assert (await http.post("/", json={"title": "Kept"})).status_code == 500
        assert "Kept" in toy.titles


async def test_cut_json_is_well_framed_and_gzip_stays_whole() -> None:
    toy = Toy(size=50, gzip=True)
    toy.plant(Fault("cut_json"))
    async with client(toy) as http:
        answer = await http.get("/")
        assert answer.headers["content-encoding"] == "gzip"
        with pytest.raises(json.JSONDecodeError):
            answer.json()
        assert len((await http.get("/")).json()) == 50


async def test_a_bug_is_seen_in_process() -> None:
    async with client(Toy()) as http:
        with pytest.raises(ZeroDivisionError):
            await http.get("/crash")


async def test_faults_on_a_real_socket() -> None:
    toy = Toy(size=30)
    with running(toy) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            assert len((await http.get("/")).json()) == 30
            await http.post("/_sandbox/faults", json=[{"kind": "reset"}, {"kind": "cut_connection"}])
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                await http.post("/", json={"title": "never"})
            with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
                await http.get("/")
            await http.post("/_sandbox/faults", json=[{"kind": "reset_after_store"}])
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                await http.post("/", json={"title": "stored"})
            for kind in ("hang", "timeout_after_store"):
                await http.post("/_sandbox/faults", json=[{"kind": kind}])
                with pytest.raises(httpx.ReadTimeout):
                    await http.get("/", timeout=0.1)
            assert (await http.get("/crash")).status_code == 500
            assert (await http.head("/")).content == b""
            assert describe(toy, url)["control"] == f"{url}/_sandbox"
    assert toy.titles[30:] == ["stored"]


async def test_a_hanging_client_does_not_keep_the_sandbox() -> None:
    toy = Toy()
    toy.plant(Fault("hang"))
    with running(toy) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            task = asyncio.ensure_future(http.get("/"))
            while not toy.faults.fired:
                await asyncio.sleep(0)
            task.cancel()
    assert not [thread for thread in threading.enumerate() if thread.name == "sandbox"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_stops_cleanly_on_a_signal(number: signal.Signals) -> None:
    code = (
        "import sys; from civicsync.connectors.testing.sandbox.sandbox import Sandbox; "
        "from civicsync.connectors.testing.sandbox.serve import serve; "
        "Toy = type('Toy', (Sandbox,), dict.fromkeys(Sandbox.__abstractmethods__, lambda *_: None)); "
        "serve(Toy(), ready=lambda url: print(url, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"http://127.0.0.1:")
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr.read() == b""


def test_forms_urlencoded_and_multipart() -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": "a=1; b=x%3D="}
    sent = request_from("post", "/p?x=1&x=", kind, {"form": [["p[title]", "Más & más"], ["p[title]", ""], ["e", None]]})
    assert sent.form() == {"p[title]": ["Más & más", ""], "e": [""]}
    assert sent.query == {"x": ["1", ""]}
    assert sent.param("x") == ""
    assert sent.cookies == {"a": "1", "b": "x%3D="}
    body = (
        b'--B\r\nContent-Disposition: form-data; name="t\xc3\xa9"\r\n\r\nhi\r\nthere\r\n'
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n\x00\r\xff\r\n--B--\r\n'
    )
    many = Request.of("POST", "/", headers=[("Content-Type", "multipart/form-data; boundary=B")], body=body)
    assert many.form() == {"té": ["hi\r\nthere"]}
    upload = many.uploads()[1]
    assert (upload.filename, upload.content_type, upload.body) == ("a.csv", "text/csv", b"\x00\r\xff")
    again = request_from("POST", "/", {"Content-Type": "multipart/form-data; boundary=B"}, {"multipart": [["a", "b"]]})
    assert again.form() == {"a": ["b"]}


def test_json_as_rails_writes_it_etag_and_gzip() -> None:
    answer = Response.json({"a": "<b>&\u2028"}, rails=True)
    assert answer.body == b'{"a":"\\u003cb\\u003e\\u0026\\u2028"}'
    tagged = answer.with_etag(Request.of("GET", "/"))
    tag = tagged.header("etag")
    assert tag is not None
    assert tag.startswith('W/"')
    same = answer.with_etag(Request.of("GET", "/", headers=[("If-None-Match", f'"x", {tag}')]))
    assert (same.status, same.body, same.header("content-type")) == (304, b"", None)
    assert answer.with_etag(Request.of("POST", "/")) is answer
    packed = answer.gzipped(Request.of("GET", "/", headers=[("Accept-Encoding", "br, gzip;q=0.5")]))
    assert gzip.decompress(packed.body) == answer.body
    assert not accepts_gzip(Request.of("GET", "/", headers=[("Accept-Encoding", "gzip;q=0")]))
    assert Response.redirect("/x").header("location") == "/x"
