"""A Decidim with a writer to it, for the tests of writing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from civicsync.connectors.contract.writing import Draft, LocalText, Voice
from civicsync.connectors.decidim import CONNECTOR, VERSIONS
from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.decidim.writer import DecidimWriter
from civicsync.connectors.testing.writing import writing
from civicsync.core.clock import FakeClock

SPACE = "component/1"
MARKER = "[civicsync:elders/proposal/31~k7q2mhd4x3zp5t6a]"
FORMS = [version for version in VERSIONS if version != "0.32"]
VOICES: list[Voice] = ["participant", "official"]
BOTH = [(version, voice) for version in VERSIONS for voice in VOICES]
FAULTS = [
    "reset",
    "reset_after_store",
    "500_after_store",
    "timeout_after_store",
    "429",
    "slow",
    "500",
    "html_200",
    "duplicate_reply",
]


@dataclass
class Place:
    """A site, its writer and the time there."""

    sandbox: DecidimSandbox
    writer: DecidimWriter
    clock: FakeClock

    def copies(self, marker: str = MARKER) -> list[Any]:
        """Everything public that carries a marker."""
        rows = self.sandbox.database.proposals["proposal"].values()
        return [r for r in rows if self.sandbox.is_public(r) and marker in str(r.body)]

    def drafts(self) -> list[Any]:
        rows = self.sandbox.database.proposals["proposal"].values()
        return [r for r in rows if r.draft and not r.deleted and r.author in self.sandbox.accounts.people]


@asynccontextmanager
async def place(version: str, **settings: Any) -> AsyncIterator[Place]:
    clock = FakeClock()

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    sandbox = DecidimSandbox(version=version, size=60, seed=3, clock=clock.now, sleep=sleep)
    async with writing(CONNECTOR, sandbox, clock=clock, **settings) as (writer, _):
        assert isinstance(writer, DecidimWriter)
        yield Place(sandbox, writer, clock)


def draft(voice: Voice | None, title: str = "Meer bomen in de Kerkstraat", **more: Any) -> Draft:
    plain = f"Er is te weinig schaduw.\n\nVan elders: https://elders.example/p/31\n\n{MARKER}"
    html = f"<p>Er is te <strong>weinig</strong> schaduw.</p><p>Van elders</p><p>{MARKER}</p>"
    return Draft("nl", {"nl": LocalText(title, html, plain)}, MARKER, voice, **more)


async def ready(here: Place, voice: Voice | None, text: Draft | None = None) -> Draft:
    """A draft as the engine would send it."""
    limits = await here.writer.limits(SPACE, voice)
    fitted = here.writer.fit(SPACE, text or draft(voice)).draft
    low, high = limits.body
    main = fitted.main
    assert low <= len(main.html if limits.sends == "html" else main.plain) <= high
    return fitted
