"""A sandbox whose answers are altered on their way, pulled into a database beside a healthy one: for what no honest sandbox sends."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, text

from civicsync.config.load import load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.messages import Request, Response
from civicsync.core.clock import FakeClock
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.store.quarantine import listed
from civicsync.sync.pull.run import Options, Puller, PullOutcome

Change = Callable[[Request, str, Any], Response | None]
"""(request, GraphQL document or path, decoded answer, which may be changed in place) -> another answer, or None."""
VERSIONS = {"decidim": "0.32", "consul": "2.5.1", "your-priorities": "2026-07"}
PLATFORMS = list(VERSIONS)


class City:
    """One sandbox; `change` alters what it answers from the next request on."""

    def __init__(
        self,
        platform: str,
        folder: Path,
        engine: Engine | None = None,
        *,
        version: str | None = None,
        size: int = 12,
        settings: str = "",
        **options: Any,
    ) -> None:
        self.clock = FakeClock()
        connector = resolve(platform)
        assert connector.sandbox is not None

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)

        self.site = connector.sandbox(
            version=version or VERSIONS[platform], size=size, seed=3, clock=self.clock.now, sleep=sleep, **options
        )
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "civicsync.yaml"
        file.write_text(
            "civicsync: 1\noperator: {name: test, contact: t@example.org}\nprivacy: {key: '${KEY}'}\n"
            f"instances:\n  toy: {{platform: {platform}, url: 'http://127.0.0.1:9', full_every: 3650d{settings}}}\n"
        )
        self.config = load(file, {"KEY": "0123456789abcdef" * 4})
        self.engine = engine or open_engine(parse_url(f"sqlite:///{folder / 'city.db'}"))
        if engine is None:
            migrate(self.engine)
        self.change: Change | None = None
        self.asked = 0
        honest = self.site.answer

        def answer(request: Request) -> Response:
            self.asked += 1
            return altered(self.change, request, honest(request)) if self.change else honest(request)

        self.site.answer = answer  # type: ignore[method-assign]

    def pull(self, **options: Any) -> PullOutcome:
        """One run, an hour after the one before."""
        self.clock.advance(3600)
        self.asked = 0
        puller = Puller(self.config, self.engine, self.clock, backends={"toy": self.site})
        outcome = asyncio.run(puller.pull("toy", Options(**options)))
        assert "mistake in civicsync" not in outcome.message and "database failed" not in outcome.message, outcome
        return outcome

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def alive(self, kind: str = "proposal") -> set[str]:
        """The ids of what is there."""
        table = "comments" if kind in {"comment", "point"} else "proposals"
        return {r[0] for r in self.rows(f"SELECT remote_id FROM {table} WHERE kind = '{kind}' AND gone_at IS NULL")}

    def quarantined(self) -> dict[str, str]:
        """What is in quarantine, and why."""
        return {row["ref"]: f"{row['field']}: {row['reason']}" for row in listed(self.engine)}


def altered(change: Change, request: Request, response: Response) -> Response:
    """An honest answer as `change` makes it."""
    if "json" not in (response.header("content-type") or ""):
        return change(request, request.path, None) or response
    document = request.path
    if request.method == "POST":
        body = msgspec.json.decode(request.body) if request.body else {}
        asked = str(body.get("query") or request.path) if isinstance(body, dict) else request.path
        document = re.sub(r"\s+", " ", re.sub(r"\s*([{}:(),])\s*", r"\1", asked))  # as the connectors write it
    data = msgspec.json.decode(response.body)
    other = change(request, document, data)
    if other is not None:
        return other
    body = lenient(data)
    return Response(
        response.status, [(n, v) for n, v in response.headers if n.lower() not in {"content-length", "etag"}], body
    )


def lenient(data: Any) -> bytes:
    """JSON as a careless server writes it: numbers of any size, halves of surrogate pairs, NUL."""
    import json

    return json.dumps(data, ensure_ascii=True).encode("ascii")


def alias(document: str, field: str) -> list[str]:
    """The aliases under which a document asks for a field."""
    return re.findall(rf"(\w+):{field}\b", document)


def each(data: Any, found: Callable[[dict[str, Any]], None]) -> None:
    """Call `found` for every object in a JSON value."""
    if isinstance(data, dict):
        found(data)
        for one in list(data.values()):
            each(one, found)
    elif isinstance(data, list):
        for one in data:
            each(one, found)
