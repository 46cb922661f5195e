"""A city of ideas with a writer to it, for the tests of writing."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from civicsync.connectors.contract.errors import MaybeDone, NotDone
from civicsync.connectors.contract.writing import AnswerDraft, Copy, Draft, LocalText
from civicsync.connectors.testing.writing import writing
from civicsync.connectors.your_priorities import CONNECTOR
from civicsync.connectors.your_priorities.sandbox import YourPrioritiesSandbox
from civicsync.connectors.your_priorities.sandbox.populate import BOT
from civicsync.connectors.your_priorities.writer import YourPrioritiesWriter
from civicsync.core.clock import FakeClock
from civicsync.core.records import State

SPACE = "group/1"
MARKER = "[civicsync:west/proposal/31~k7q2mhd4x3zp5t6a]"
PLAIN = f"Meer bomen in de straat.\n\nVan west.\n\n{MARKER}"
SECRETS = ("toy-password", "robot@toy.example", "yrpri.sid")
CREATE, UNVOTE, EDIT, DELETE = (
    r"^POST /api/posts/\d+$",
    r"^DELETE .*/endorse$",
    r"^PUT /api/posts/\d+$",
    r"^DELETE /api/posts/\d+$",
)
STORED = ("reset_after_store", "500_after_store", "timeout_after_store", "cut_json")


def a_draft(title: str = "Meer bomen", marker: str = MARKER, **fields: Any) -> Draft:
    plain = PLAIN.replace(MARKER, marker)
    return Draft("nl", {"nl": LocalText(title, f"<p>{plain}</p>", plain)}, marker, **fields)


def an_answer(state: State = State.ACCEPTED, text: str = "De gemeente zegt ja.") -> AnswerDraft:
    return AnswerDraft(state, "nl", {"nl": LocalText("", f"<p>{text}</p>", f"{text}\n\n{MARKER}")}, MARKER)


@dataclass
class City:
    """A sandbox with a writer to it, and one clock for both."""

    sandbox: YourPrioritiesSandbox
    writer: YourPrioritiesWriter
    clock: FakeClock

    def copies(self, marker: str = MARKER) -> list[Any]:
        return [r for r in self.sandbox.database.posts.values() if marker in r["description"] and not r["deleted"]]

    @property
    def only(self) -> Any:
        (row,) = self.copies()
        return row

    def vote(self, row: Any) -> Any:
        return (self.sandbox.database.votes.get((row["id"], BOT)) or {"value": None})["value"]

    async def settled(self, draft: Draft) -> Copy:
        """What the engine does: send, look up, send again only what is proven absent."""
        since = self.clock.now() - timedelta(minutes=10)
        for _ in range(8):
            self.clock.advance(90)
            found = await self.writer.find(SPACE, draft, since)
            if found is not None and found.complete:
                return found
            try:
                return await self.writer.create(SPACE, draft, found)
            except (MaybeDone, NotDone):
                continue
        raise AssertionError("it never settles")


@asynccontextmanager
async def city(*, size: int = 60, bot_is_admin: bool = True, **settings: Any) -> AsyncGenerator[City]:
    clock = FakeClock()

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    sandbox = YourPrioritiesSandbox(size=size, clock=clock.now, sleep=sleep)
    if not bot_is_admin:
        for own in sandbox.database.groups:
            sandbox.database.members.discard(("groups_admins", own, BOT))
    async with writing(CONNECTOR, sandbox, clock=clock, **settings) as (writer, _):
        assert isinstance(writer, YourPrioritiesWriter)
        yield City(sandbox, writer, clock)
