"""Copies on Decidim end to end: the engine, the writer and the sandbox that rewrites what refers to its rows, in this process."""

import asyncio
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from civicsync.config.load import load
from civicsync.connectors.decidim import VERSIONS
from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.registry import resolve
from civicsync.core.clock import FakeClock
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.sync.publish.publisher import Publisher
from civicsync.sync.pull.run import Options, Puller

_ports = itertools.count(43_000)


class Restarting:
    """A platform whose application restarts: once a request matches `after`, so many questions to its interface get a 502."""

    def __init__(self, platform: Any, after: str, failures: int) -> None:
        self.platform, self.after, self.failures = platform, after, failures
        self.armed = False
        self.posted = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        line = f"{scope['method']} {scope['path']}"
        if self.armed and self.failures and line == "POST /api":
            self.failures -= 1
            await send({"type": "http.response.start", "status": 502, "headers": [(b"content-type", b"text/html")]})
            await send({"type": "http.response.body", "body": b"<html>Bad gateway</html>"})
            return
        if re.fullmatch(self.after, line):
            self.armed = True
            self.posted += 1
        await self.platform(scope, receive, send)


class Towns:
    """An origin and a Decidim that takes copies of it, with one route in between."""

    def __init__(self, folder: Path, origin: str, version: str, voice: str, size: int) -> None:
        self.clock = FakeClock()

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)

        made = resolve(origin).sandbox
        assert made is not None
        shared: dict[str, Any] = {"seed": 1, "clock": self.clock.now, "sleep": sleep}
        self.origin = made(size=size, **shared)
        self.target = DecidimSandbox(version=version, size=60, **shared)
        self.target.change("configure", component=1, longest=3000, edit_minutes=None)
        self.backends: dict[str, Any] = {"town": self.origin, "vall": self.target}
        urls = {name: f"http://127.0.0.1:{next(_ports)}" for name in self.backends}
        caps = {"max_per_run": 100, "max_per_day": 1000, "halt_above_per_hour": 1000}
        to = {"instance": "vall", "space": "component/1", "as": voice}
        whole: dict[str, Any] = {
            "civicsync": 1,
            "operator": {"name": "proof", "contact": "p@example.org"},
            "privacy": {"key": "${KEY}"},
            "instances": {name: each.instance_block(urls[name]) for name, each in self.backends.items()},
            "routes": {
                "r": {
                    "from": {"instance": "town", "where": {"kind": "proposal"}},
                    "to": to,
                    "approval": "automatic",
                    "first_run": "send",
                    **caps,
                }
            },
        }
        file = folder / "civicsync.yaml"
        file.write_text(json.dumps(whole))
        self.config = load(file, {"KEY": "0123456789abcdef" * 4})
        self.engine = open_engine(parse_url("sqlite:///civicsync.db", folder))
        migrate(self.engine)
        self.before = set(self.target.database.proposals["proposal"])

    def pull(self) -> None:
        self.clock.advance(61)
        puller = Puller(self.config, self.engine, self.clock, backends=self.backends)
        asyncio.run(puller.pull_all(list(self.backends), Options(full=True, accept_missing=True)))

    def publish(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(3600)
            asyncio.run(
                Publisher(self.config, self.engine, self.clock, backends=self.backends).publish(self.config.routes)
            )

    def copies(self) -> list[Any]:
        """Everything public that came from elsewhere."""
        rows = self.target.database.proposals["proposal"].items()
        return [row for own, row in rows if own not in self.before and self.target.is_public(row)]

    def wanted(self) -> int:
        rows = self.origin.truth()["proposals"]
        return sum(1 for row in rows if row["public"] and row["kind"] == "proposal" and row["state"] != "withdrawn")


@pytest.mark.parametrize("version", ["0.28.6", "0.32"])
def test_an_official_copy_is_made_once_when_the_site_restarts_after_the_form(tmp_path: Path, version: str) -> None:
    """The form is taken (302), then the questions that look for the copy get 502 for a while: never sent again by itself."""
    towns = Towns(tmp_path, "your-priorities", version, "official", size=1)
    towns.pull()
    site = Restarting(towns.target, r"POST (?:/\w\w)?/admin/.*/manage/proposals", failures=9)
    towns.backends["vall"] = site
    towns.publish(4)
    assert site.failures == 0
    assert site.posted == 1
    assert len(towns.copies()) == towns.wanted() == 1
    towns.engine.dispose()


@pytest.mark.parametrize("voice", ["official", "participant"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_copy_is_made_once_where_markers_and_numbers_are_rewritten(
    tmp_path: Path, version: str, voice: str
) -> None:
    """The site has a proposal of every number from 2 to 7, with which a signature may begin."""
    towns = Towns(tmp_path, "your-priorities", version, voice, size=12)
    towns.pull()
    towns.publish(3)
    assert len(towns.copies()) == towns.wanted()
    assert "Proposals::Proposal" not in "".join(str(row.body) for row in towns.copies())
    towns.engine.dispose()


@pytest.mark.parametrize("voice", ["official", "participant"])
@pytest.mark.parametrize("version", ["0.28.6", "0.32"])
def test_a_plain_text_and_its_attribution_stand_apart(tmp_path: Path, version: str, voice: str) -> None:
    """A citizen's text on Decidim is plain: the sentence behind it begins a line of its own, in the copy and in the edited copy."""
    towns = Towns(tmp_path, "decidim", version, voice, size=1)
    own = next(iter(towns.origin.database.proposals["proposal"]))
    for last in ("L'assemblea es reuneix un cop al mes.", "L'assemblea es reuneix dos cops al mes."):
        towns.origin.change("edit", id=own, title="Article primer del barri", description=f"Article primer.\n{last}")
        towns.pull()
        towns.publish(2)
        (copy,) = [row for row in towns.copies() if "Article primer" in str(row.title)]
        body = next(text for text, _ in copy.body.values() if text)
        assert "eerst gepubliceerd op Wijk doet mee" in body
        assert re.search(rf"{re.escape(last)}(?:\n\n|</p>\s*<p>|<p>)Deze tekst is eerst", body.replace("&#39;", "'")), (
            body
        )
    towns.engine.dispose()
