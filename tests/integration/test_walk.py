"""docs/explanation/how-the-code-is-laid-out.md is held to what a real publish and a real pull of one proposal do.

The measure is the page's own: which modules have a function that is given the one proposal.
"""

import asyncio
import json
import re
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import Engine

from civicsync.config.load import load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.fake import FakePlatform
from civicsync.core.clock import FakeClock
from civicsync.sync.publish.outcome import RouteOutcome
from civicsync.sync.publish.publisher import Publisher
from civicsync.sync.pull.run import Options, Puller
from proof.crossing import SPACES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "how-the-code-is-laid-out.md").read_text(encoding="utf-8")
ROOMS = {"decidim": "Decidim", "consul": "CONSUL", "your-priorities": "Your Priorities"}
WORD = "Kwartelkoning"
WHOLE = {
    *("Origin", "OriginText", "Rendered", "Draft", "LocalText", "Decision"),
    *("Publication", "Operation", "Job", "Request"),
}
HOLDERS = {"RouteOutcome", "Plan"}
"""What holds all proposals of a route at once."""
START = "sync/origins"
TOOLS = {"core/text", "core/ledger/marker", "core/store/bulk"}
MOST = 15


def is_payload(value: Any) -> bool:
    return isinstance(value, dict) and {"texts", "marker"} <= value.keys()


def is_ours(value: Any) -> bool:
    if not is_dataclass(value) or isinstance(value, type):
        return False
    return type(value).__module__.startswith("civicsync") and type(value).__name__ not in HOLDERS


class Walk:
    """Which modules were given the one proposal: as a whole, or a string or a row of it."""

    def __init__(self) -> None:
        self.whole: set[str] = set()
        self.any: set[str] = set()
        self.over = False

    @contextmanager
    def watched(self) -> Generator[None]:
        threading.setprofile(self._seen)
        sys.setprofile(self._seen)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _seen(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        module = code.co_filename.removeprefix(f"{ROOT}/").removesuffix(".py")
        ours = module.startswith(("app/", "config/", "connectors/", "core/", "sync/"))
        if event != "call" or self.over or not ours or "/sandbox/" in module or "/testing/" in module:
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        given = [frame.f_locals[name] for name in names if name != "self" and name in frame.f_locals]
        held = [value for value in given if holds(value)]
        if held:
            self.any.add(module)
        if any(type(value).__name__ in WHOLE or is_payload(value) for value in held):
            self.whole.add(module)


def holds(value: Any, depth: int = 8) -> bool:
    """Whether the one proposal is in there: its word, in whatever of ours or of Python's holds it."""
    if isinstance(value, str):
        return WORD in value
    if isinstance(value, bytes | bytearray):
        return WORD.encode() in value
    if depth == 0:
        return False
    inside: list[Any] = []
    if isinstance(value, dict):
        inside = list(value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        inside = list(value)
    elif is_ours(value):
        inside = [getattr(value, each.name, None) for each in fields(value)]
    return any(holds(each, depth - 1) for each in inside)


class World:
    """A board and a city of one platform, and a route from the board to the city."""

    def __init__(self, platform: str, engine: Engine, clock: FakeClock, folder: Path) -> None:
        async def sleep(seconds: float) -> None:
            clock.advance(seconds)

        made = resolve(platform).sandbox
        assert made is not None
        self.sandbox = made(size=5, seed=1, clock=clock.now, sleep=sleep)
        self.board = FakePlatform.at("http://127.0.0.1:9", clock.now)
        board = {"platform": "civicsync.connectors.testing.fake:CONNECTOR", "url": self.board.url}
        route = {
            "from": {"instance": "board"},
            "to": {"instance": "city", "space": SPACES[platform]},
            "approval": "automatic",
            "first_run": "send",
        }
        whole = {
            "civicsync": 1,
            "operator": {"name": "test", "contact": "t@example.org"},
            "privacy": {"key": "${KEY}"},
            "instances": {"board": board, "city": self.sandbox.instance_block("http://127.0.0.1:40001")},
            "routes": {"over": route},
        }
        file = folder / "civicsync.yaml"
        file.write_text(json.dumps(whole))
        self.config, self.engine, self.clock = load(file, {"KEY": "k" * 64}), engine, clock
        self.on_request: Callable[[bytes], None] = lambda _: None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI: the city, and a look at what is asked of it."""

        async def looked() -> Any:
            message = await receive()
            self.on_request(message.get("body", b""))
            return message

        await self.sandbox(scope, looked, send)

    async def pull(self, *names: str) -> None:
        puller = Puller(self.config, self.engine, self.clock, backends={"city": self})
        assert all(not each.failed for each in await puller.pull_all(list(names), Options()))
        self.clock.advance(5000)

    async def publish(self) -> RouteOutcome:
        publisher = Publisher(self.config, self.engine, self.clock, backends={"city": self})
        [outcome] = await publisher.publish(["over"])
        return outcome


@pytest.fixture
def world(request: pytest.FixtureRequest, sqlite: Engine, clock: FakeClock, tmp_path: Path) -> World:
    return World(request.param, sqlite, clock, tmp_path)


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def named(text: str) -> set[str]:
    """The modules that a text names."""
    return set(re.findall(r"\b(?:app|config|connectors|core|sync)(?:/\w+)+", text))


@pytest.mark.parametrize(("world", "platform"), [(each, each) for each in ROOMS], indirect=["world"])
def test_from_the_row_to_the_request(world: World, platform: str) -> None:
    asyncio.run(world.pull("board", "city"))
    asyncio.run(world.publish())
    world.board.write(f"Meer rust voor de {WORD} in de polder", f"Graag een plek voor de {WORD}, die er bijna niet is.")
    asyncio.run(world.pull("board", "city"))
    walk = Walk()

    def left(body: bytes) -> None:
        walk.over = walk.over or WORD.encode() in body

    world.on_request = left
    with walk.watched():
        outcome = asyncio.run(world.publish())
    assert outcome.counts["sent"] == 1 and walk.over, "it was not published, or not as its own text"
    walked = walk.whole | {START}
    text = section("The walk of one proposal: from the row to the request")
    every = named(text.partition("| on every walk |")[2].partition("\n\n")[0])
    row = next(line for line in text.splitlines() if line.startswith(f"| {ROOMS[platform]} |"))
    assert walked == every | named(row), "the page tells it otherwise"
    assert f"| {len(walked)} |" in row and len(walked) <= MOST
    tools = TOOLS | ({"core/markup"} if platform == "consul" else set[str]())  # where forms stand on pages
    assert walk.any - walked == tools and named(text) >= tools, "a tool is not told, or does more than that"


@pytest.mark.parametrize(("world", "platform"), [(each, each) for each in ROOMS], indirect=["world"])
def test_from_a_page_to_the_table(world: World, platform: str) -> None:
    asyncio.run(world.pull("city"))
    world.sandbox.change("add_proposal", title=f"Meer rust voor de {WORD} in de polder")
    walk = Walk()
    with walk.watched():
        asyncio.run(world.pull("city"))
    with world.engine.connect() as connection:
        query = f"SELECT count(*) FROM proposals WHERE title LIKE '%{WORD}%'"
        assert connection.exec_driver_sql(query).scalar() == 1
    missing = walk.any - named(section("The walk of one proposal: from a page to the table"))
    assert not missing, "the page does not name them"


def test_every_module_that_the_page_names_is_there() -> None:
    gone = [each for each in named(PAGE) if not (ROOT / f"{each}.py").is_file() and not (ROOT / each).is_dir()]
    assert not gone


def test_every_room_has_its_sentence() -> None:
    tree = section("The rooms").partition("```\n")[2].partition("```")[0]
    told = set(re.findall(r"(\w+)/(?=\s)", tree))
    tops = ("analysis", "app", "sync", "config", "connectors", "core", "proof", "benchmarks")
    rooms = {folder.name for top in tops for each in (ROOT / top).rglob("*.py") for folder in [each.parent]}
    assert told == rooms | {"tests"}, "the tree of the page and the folders differ"
