"""One hostile instance beside three healthy ones: whatever it answers, they are read whole, in little memory, and its run ends in time.

The hostile one is a real server on this machine that speaks bytes: honest (a toy city's answers) for a few requests, then one of forty
kinds of trouble for ever. Everything else is the product's own: `sync` pulls four instances side by side, `run` keeps all kinds at once
beside the healthy ones in one process. Puller and hostile servers run in processes of their own: memory and time are the puller's.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civicsync.config.load import load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.messages import Request
from civicsync.core.clock import Clock
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.sync.pull.run import Options, Puller, PullOutcome
from civicsync.sync.schedule import Timetable
from proof.row import Row

ROOT = Path(__file__).parent.parent
HEALTHY = {"a": "decidim", "b": "consul", "c": "your-priorities"}
PATIENCE = 10.0
"""`give_up_after` of the hostile instance, in real seconds."""
MEMORY = 300
KEY = {"KEY": "0123456789abcdef" * 4}
Pieces = AsyncIterator[bytes]
Kind = Callable[[], Pieces]


def _head(status: str = "200 OK", media: str = "application/json", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\n{more}Connection: close\r\n\r\n".encode("latin-1")


def _once(*pieces: bytes) -> Kind:
    async def answer() -> Pieces:
        for piece in pieces:
            yield piece

    return answer


def _endless(start: bytes, piece: bytes) -> Kind:
    async def answer() -> Pieces:
        yield start
        while True:
            yield piece * max(1, 32_768 // len(piece))

    return answer


def _slow(start: bytes, piece: bytes, pause: float = 0.05) -> Kind:
    async def answer() -> Pieces:
        yield start
        while True:
            yield piece
            await asyncio.sleep(pause)

    return answer


def _json(value: Any, status: str = "200 OK", more: str = "") -> Kind:
    return _once(_head(status, more=more), value if isinstance(value, bytes) else json.dumps(value).encode())


def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(1_000_000)
    return b"".join(packer.compress(block) for _ in range(size)) + packer.flush()


KINDS: dict[str, Kind] = {
    "endless body": _endless(_head(), b" "),
    "endless list": _endless(_head() + b"[", b"[],"),
    "endless text": _endless(_head() + b'"', b"a"),
    "endless header": _endless(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "endless headers": _endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "endless chunks": _endless(_head(more="Transfer-Encoding: chunked\r\n"), b"1\r\n \r\n"),
    "endless informational answers": _endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "slow drip of the body": _slow(_head(), b" "),
    "slow drip of the head": _slow(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "silence": _slow(b"", b"", 0.5),
    "silence after the head": _slow(_head(), b"", 0.5),
    "nothing at all": _once(b""),
    "gzip bomb": _once(_head(more="Content-Encoding: gzip\r\n"), _bomb(200)),
    "gzip for ever of nothing": _endless(_head(more="Content-Encoding: gzip\r\n"), gzip.compress(b"")),
    "damaged gzip": _once(_head(more="Content-Encoding: gzip\r\n"), gzip.compress(b"[1]")[:-9]),
    "damaged deflate": _once(_head(more="Content-Encoding: deflate\r\n"), b"x\x9c\x00"),
    "an encoding nobody asked for": _once(_head(more="Content-Encoding: br\r\n"), b"x"),
    "nested 100,000 deep": _json(b"[" * 100_000 + b"]" * 100_000),
    "objects nested 100,000 deep": _json(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a huge list": _json(b"[" + b"0," * 3_000_000 + b"0]"),
    "a list of lists": _json(b"[" + b"[]," * 5_000_000 + b"0]"),
    "a number of a million digits": _json(b"1" * 1_000_000),
    "cut JSON": _json(b'{"data": {"component'),
    "no JSON": _json(b"<html>", more="X: y\r\n"),
    "a login page": _once(_head(media="text/html"), b"<form>"),
    "a page of tags": _once(_head(media="text/html"), b"<i>" * 400_000),
    "wrong charset": _once(_head(media="application/json; charset=utf-16"), '{"data": "é"}'.encode("utf-16")),
    "bytes that are no text": _json(b'{"data": "\xff\xfe"}'),
    "NaN": _json(b'{"data": NaN}'),
    "null": _json(b"null"),
    "a list where an object is promised": _json([{"data": 1}]),
    "an object of wrong types": _json({"data": {"component": 5, "decidim": [], "proposals": "x"}, "errors": 7}),
    "redirects in a ring": _once(_head("302 Found", more="Location: /x\r\n")),
    "a redirect to another host": _once(_head("301 Moved", more="Location: http://127.0.0.2:1/\r\n")),
    "a redirect to what is no address": _once(_head("302 Found", more="Location: https://[::1\r\n")),
    "204": _once(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "206": _json({"data": {}}, "206 Partial Content", "Content-Range: bytes 0-1/9\r\n"),
    "a status of 999": _json({}, "999 Odd"),
    "too many requests, retry after nothing": _json({}, "429 Slow down", "Retry-After: 0\r\n"),
    "too many requests, retry after a year": _json({}, "429 Slow down", "Retry-After: 31536000\r\n"),
    "500": _json({}, "500 Internal Server Error"),
    "522": _json({}, "522 Timed Out"),
    "a flood of cookies": _json(
        {"data": {}}, more="".join(f"Set-Cookie: c{n}={'x' * 50}; path=/\r\n" for n in range(500))
    ),
    "a header of 60,000 letters": _json({"data": {}}, more=f"X: {'y' * 60_000}\r\n"),
    "a length that is a lie": _once(_head(more="Content-Length: 100000000000\r\n"), b"{}"),
    "two lengths": _once(_head(more="Content-Length: 2\r\nContent-Length: 3\r\n"), b"{}"),
    "NUL and halves of surrogate pairs": _json(b'{"data": {"a": "\\u0000\\ud83d"}}'),
}


class Hostile:
    """A toy city behind a server of bytes: honest for so many requests on each start, then of one kind for ever."""

    def __init__(self, platform: str, kind: Kind, honest: int) -> None:
        connector = resolve(platform)
        assert connector.sandbox is not None
        self.site = connector.sandbox(size=6, seed=1)
        self.kind = kind
        self.left = honest

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one answer."""
        with contextlib.suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            found = re.search(r"(?im)^content-length: *(\d+)", head)
            body = await reader.readexactly(int(found[1])) if found else b""
            if self.left > 0:
                self.left -= 1
                writer.write(self._honest(head, body))
                await writer.drain()
            else:
                async for piece in self.kind():
                    writer.write(piece)
                    await asyncio.wait_for(writer.drain(), 20)
                    if writer.is_closing():
                        break
        writer.close()

    def _honest(self, head: str, body: bytes) -> bytes:
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        path, _, query = target.partition("?")
        headers = [(name, value) for name, sign, value in (line.partition(": ") for line in lines) if sign]
        answer = self.site.answer(Request.of(method, path, raw_query=query, headers=headers, body=body))
        told = "".join(f"{name}: {value}\r\n" for name, value in answer.headers if name.lower() != "content-length")
        start = f"HTTP/1.1 {answer.status} X\r\n{told}Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
        return start.encode("latin-1") + answer.body


@dataclass
class Figures:
    """What came of all kinds."""

    kinds: int = 0
    healthy: int = 0
    unhealthy: int = 0
    late: float = 0.0
    silent: int = 0
    unforeseen: int = 0


def _config(folder: Path, hostile: dict[str, tuple[str, str]]) -> Any:
    blocks: dict[str, dict[str, Any]] = {
        name: {"platform": platform, "url": f"http://127.0.0.1:{9000 + place}"}
        for place, (name, platform) in enumerate(HEALTHY.items())
    }
    gentle = {
        "timeout": 1,
        "deadline": 2,
        "give_up_after": PATIENCE,
        "pause": 0,
        "max_response_mb": 8,
        "max_file_mb": 8,
    }
    blocks |= {
        name: {"platform": platform, "url": url, "politeness": gentle} for name, (platform, url) in hostile.items()
    }
    lines = [f"  {name}: {json.dumps(block)}" for name, block in blocks.items()]
    file = folder / "civicsync.yaml"
    file.write_text(
        "civicsync: 1\noperator: {name: proof, contact: p@example.org}\nprivacy: {key: '${KEY}'}\ninstances:\n"
        + "\n".join(lines)
    )
    return load(file, KEY)


def _backends() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, platform in HEALTHY.items():
        connector = resolve(platform)
        assert connector.sandbox is not None
        found[name] = connector.sandbox(size=8, seed=4)
    return found


def _judge(figures: Figures, outcomes: list[PullOutcome]) -> None:
    for each in outcomes:
        if each.instance in HEALTHY:
            good = each.outcome == "done"
            figures.healthy += good
            figures.unhealthy += not good
            continue
        figures.kinds += 1
        figures.late = max(figures.late, each.seconds / PATIENCE)
        figures.silent += each.outcome != "done" and not each.message
        figures.unforeseen += "mistake in civicsync" in each.message or "database failed" in each.message
        if each.seconds > PATIENCE * 1.1 or "mistake" in each.message:
            print(f"# {each.instance}: {each.outcome} {each.seconds} s {each.message}", file=sys.stderr)


Asked = tuple[str, str, int]
"""A kind of trouble, the platform that is honest before, and for how many requests."""


async def _host(asked: list[Asked]) -> None:
    """Serve each on a port of its own until standard input ends; prints the ports."""
    servers = [
        await asyncio.start_server(Hostile(platform, KINDS[name], honest).serve, "127.0.0.1", 0)
        for name, platform, honest in asked
    ]
    print(json.dumps([each.sockets[0].getsockname()[1] for each in servers]), flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextlib.contextmanager
def _hosted(asked: list[Asked]) -> Iterator[list[str]]:
    """The addresses of hostile servers, in a process of their own."""
    command = [sys.executable, "-m", "proof.hostile_reads", "host", json.dumps(asked)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            yield [f"http://127.0.0.1:{port}" for port in json.loads(process.stdout.readline())]
        finally:
            process.kill()


async def synced(kinds: list[str], platforms: list[str], honest: list[int]) -> Figures:
    """`sync`: each kind beside the healthy ones, from the first request on and after some honest ones."""
    figures = Figures()
    asked = [
        (name, platforms[position % len(platforms)], turn) for position, name in enumerate(kinds) for turn in honest
    ]
    with _hosted(asked) as urls:
        for (_, platform, _), url in zip(asked, urls, strict=True):
            with tempfile.TemporaryDirectory() as folder:
                config = _config(Path(folder), {"hostile": (platform, url)})
                engine = open_engine(parse_url("sqlite:///x.db", Path(folder)))
                migrate(engine)
                puller = Puller(config, engine, Clock(), backends=_backends())
                _judge(figures, await puller.pull_all(list(config.instances), Options()))
                engine.dispose()
    return figures


async def ran(kinds: list[str], platforms: list[str], honest: int, at_once: int) -> Figures:
    """`run`: so many kinds at once, in one process with the healthy ones, until each had its turn; then the next ones."""
    figures = Figures()
    asked = [(name, platforms[position % len(platforms)], honest) for position, name in enumerate(kinds)]
    for part in range(0, len(asked), at_once):
        with tempfile.TemporaryDirectory() as folder:
            _judge(figures, await _timetable(asked[part : part + at_once], Path(folder)))
    return figures


async def _timetable(asked: list[Asked], folder: Path) -> list[PullOutcome]:
    outcomes = list[PullOutcome]()
    with _hosted(asked) as urls:
        hostile = {
            f"h{position}": (platform, url)
            for position, ((_, platform, _), url) in enumerate(zip(asked, urls, strict=True))
        }
        config = _config(folder, hostile)
        engine = open_engine(parse_url("sqlite:///x.db", folder))
        migrate(engine)
        puller, stop = Puller(config, engine, Clock(), backends=_backends()), asyncio.Event()

        def work(name: str) -> Callable[[], Any]:
            async def pull() -> str:
                outcome = await puller.pull(name, Options())
                outcomes.append(outcome)
                if len({each.instance for each in outcomes}) == len(config.instances):
                    stop.set()
                return str(outcome.outcome)

            return pull

        timetable = Timetable()
        for name in config.instances:
            timetable.add(name, "1h", work(name))
        await asyncio.wait_for(timetable.run(stop, Clock().now()), 600)
        engine.dispose()
    return outcomes


def peak() -> float:
    """Megabytes that this process took at most."""
    return (
        next(
            int(line.split()[1])
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        / 1024
    )


def measured(verb: str, kinds: int, honest: list[int]) -> dict[str, Any]:
    """Figures of a process of its own."""
    command = [sys.executable, "-m", "proof.hostile_reads", verb, str(kinds), *map(str, honest)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    sys.stderr.write("".join(line + "\n" for line in done.stderr.splitlines() if line.startswith("#")))
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def rows(kinds: int = 0, honest: tuple[int, ...] = (0, 5)) -> list[Row]:
    """Both verbs. `kinds`: only so many, spread over all; 0: all. That all are hostile at once is told, and nobody's bar."""
    found: list[Row] = []
    for verb in ("sync", "run", *(() if kinds else ("run-all",))):
        told = measured(verb, kinds, list(honest))
        figure = (
            f"{told['kinds']} hostile runs, healthy done {told['healthy']}, not {told['unhealthy']}, longest {told['late'] * 100:.0f} % of "
            f"give_up_after, {told['memory']:.0f} MB, {told['silent']} without a word, {told['unforeseen']} unforeseen"
        )
        met = (
            not (told["unhealthy"] or told["silent"] or told["unforeseen"])
            and told["late"] <= 1.1
            and told["memory"] < MEMORY
        )
        if verb == "run-all":
            found.append(Row("all hostile instances at once beside three healthy ones, run", "(no bar)", figure, None))
            continue
        bar = "healthy ones done every time, 110 %, 300 MB, 0, 0"
        found.append(Row(f"a hostile instance beside three healthy ones, {verb}", bar, figure, met))
    return found


def _main(verb: str, kinds: int, honest: list[int]) -> None:
    names = list(KINDS)[:: max(1, len(KINDS) // kinds)] if kinds else list(KINDS)
    platforms = list(HEALTHY.values())
    at_once = len(names) if verb == "run-all" else 1
    work = synced(names, platforms, honest) if verb == "sync" else ran(names, platforms, honest[-1], at_once)
    figures = asyncio.run(work)
    print(json.dumps({**vars(figures), "memory": peak()}))


if __name__ == "__main__" and sys.argv[1] == "host":
    asyncio.run(_host([tuple(each) for each in json.loads(sys.argv[2])]))
elif __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), [int(each) for each in sys.argv[3:]] or [0])
