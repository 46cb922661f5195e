"""A board in memory whose proposals go to a sandbox of a real platform: publishing as it is configured, with that platform's own writer."""

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

from civicsync.config.load import load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.fake import FakePlatform
from civicsync.connectors.testing.messages import Request, Response
from civicsync.connectors.testing.sandbox.sandbox import Sandbox
from civicsync.core.clock import FakeClock
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.sync.publish.outcome import RouteOutcome
from civicsync.sync.publish.publisher import Publisher
from civicsync.sync.pull.run import Options, Puller
from tests.support.mesh import KEY

_ports = itertools.count(30_000)
ROUTE = "board-over"


class Crossing:
    """The instances `board` and `city`, one route between them; `city` are further keys of that instance."""

    def __init__(
        self, folder: Path, platform: str, version: str, space: str, *, voice: str | None = None, **city: Any
    ) -> None:
        self.clock = FakeClock()

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)

        make: Any = resolve(platform).sandbox
        self.sandbox: Sandbox = make(version=version, size=10, seed=1, clock=self.clock.now, sleep=sleep)
        self.board = FakePlatform.at(f"http://127.0.0.1:{next(_ports)}", self.clock.now)
        self.backends = {"city": self.sandbox}
        self.seen: list[tuple[Request, Response]] = []
        handle = self.sandbox.handle

        def handled(request: Request) -> Response:
            answer = handle(request)
            self.seen.append((request, answer))
            return answer

        self.sandbox.handle = handled  # type: ignore[method-assign]
        whole: dict[str, Any] = {
            "civicsync": 1,
            "operator": {"name": "test", "contact": "t@example.org"},
            "privacy": {"key": "${KEY}"},
            "safety": {"max_gone_percent": 100},
            "instances": {
                "board": {"platform": "civicsync.connectors.testing.fake:CONNECTOR", "url": self.board.url},
                "city": {**self.sandbox.instance_block(f"http://127.0.0.1:{next(_ports)}"), **city},
            },
            "routes": {
                ROUTE: {
                    "from": {"instance": "board"},
                    "to": {"instance": "city", "space": space, **({"as": voice} if voice else {})},
                    "approval": "automatic",
                    "first_run": "send",
                }
            },
        }
        file = folder / "civicsync.yaml"
        file.write_text(json.dumps(whole))
        self.config = load(file, {"KEY": KEY})
        self.engine = open_engine(parse_url("sqlite:///civicsync.db", folder))
        migrate(self.engine)

    def pull(self, *names: str) -> None:
        """Pull these, or all; twice, so that what is gone is believed."""
        for _ in range(2):
            self.clock.advance(61)
            puller = Puller(self.config, self.engine, self.clock, backends=self.backends)
            options = Options(full=True, accept_missing=True)
            asyncio.run(puller.pull_all(list(names or ("board", "city")), options))

    def publish(self) -> RouteOutcome:
        """Publish the route."""
        self.clock.advance(61)
        publisher = Publisher(self.config, self.engine, self.clock, backends=self.backends)
        return asyncio.run(publisher.publish([ROUTE]))[0]

    def asked(self, method: str, ending: str, status: int) -> int:
        """How often the sandbox was asked for an address that ends so, and answered with this status."""
        return sum(
            (request.method, answer.status) == (method, status) and request.path.endswith(ending)
            for request, answer in self.seen
        )
