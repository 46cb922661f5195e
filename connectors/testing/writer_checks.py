"""What every writer owes: one copy whatever the network does, the truth about what it did, and nothing that was not planned.

Each check has a name that says what broke. They run against the platform's sandbox, in-process, without waiting; a stranger's test
file gets them all by one line (`writer_suite` in `kit`).
"""

from __future__ import annotations

import contextlib
import json
import re
import urllib.parse
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

import pytest

from ...core.clock import FakeClock
from ...core.identity import Ref
from ...core.records import State
from ..contract.errors import CannotDo, ConnectorError, MaybeDone, NotDone
from ..contract.exchange import Request
from ..contract.reading import Connector
from ..contract.writing import (
    AnswerDraft,
    CanAnswer,
    CanComment,
    CanEdit,
    CanFind,
    CanWithdraw,
    Copy,
    Draft,
    LocalText,
    Voice,
    Writer,
)
from . import messages
from .faults import Fault
from .reader_checks import SEED, run
from .sandbox.sandbox import Sandbox
from .writing import writing

STORED = ("reset_after_store", "500_after_store", "timeout_after_store", "cut_connection")
"""Faults that lose the answer of what the platform has stored."""
FAULTS = (*STORED, "reset", "slow", "429", "429_retry_after", "500", "503", "html_200")
MARKER = "[civicsync:elders/proposal/31.k7q2mhd4x3zp5t6a]"
OTHER_MARKER = "[civicsync:elders/proposal/32.k7q2mhd4x3zp5t6b]"
TITLE = "Meer bomen in de Kerkstraat"
T = TypeVar("T")
SECRET = re.compile(r"pass|secret|token|key|document_number", re.IGNORECASE)


def a_draft(voice: Voice | None, title: str = TITLE, marker: str = MARKER) -> Draft:
    """A copy as the engine renders one: text, attribution, marker."""
    html = (
        f"<p>Er is te <strong>weinig</strong> schaduw.</p><p>Van elders: https://elders.example/p/31</p><p>{marker}</p>"
    )
    plain = f"Er is te weinig schaduw.\n\nVan elders: https://elders.example/p/31\n\n{marker}"
    return Draft("nl", {"nl": LocalText(title, html, plain, "Er is te weinig schaduw.")}, marker, voice)


def an_answer() -> AnswerDraft:
    """An official answer as the engine renders one."""
    text = LocalText("", f"<p>De gemeente zegt ja.</p><p>{MARKER}</p>", f"De gemeente zegt ja.\n\n{MARKER}")
    return AnswerDraft(State.ACCEPTED, "nl", {"nl": text}, MARKER)


@dataclass
class Desk:
    """A toy city and a writer to it, with one clock for both."""

    sandbox: Sandbox
    writer: Writer
    clock: FakeClock
    space: Ref
    voice: Voice | None
    block: Mapping[str, Any]
    seen: list[messages.Request] = field(default_factory=list[messages.Request])
    """Every request that the platform itself got to see."""

    def written(self) -> list[messages.Request]:
        """The writes among them; what carries a password is signing in."""
        secrets = [value for _, value in _secrets(self.block)]
        bodies = [(each, urllib.parse.unquote_plus(each.body.decode("utf-8", "replace"))) for each in self.seen]
        return [each for each, body in bodies if _is_write(each) and not any(secret in body for secret in secrets)]

    def rows(self, title: str = TITLE) -> list[dict[str, Any]]:
        """What the platform holds under this title, drafts too."""
        return [row for row in self.sandbox.truth()["proposals"] if row["title"] == title]

    def is_one(self, copy: Copy, title: str = TITLE) -> None:
        """There is exactly one copy, everybody sees it, and it is the one that was named."""
        rows = self.rows(title)
        assert len(rows) == 1, f"{len(rows)} copies: {[row['id'] for row in rows]}"
        assert rows[0]["public"], f"{copy.ref} is not public"
        assert copy.ref.partition("/")[2] == rows[0]["id"], f"it says {copy.ref}, the copy is {rows[0]['id']}"
        assert copy.complete, "it is public, and the writer says it is half made"

    async def ready(self, title: str = TITLE, marker: str = MARKER) -> Draft:
        """A draft as the engine would send it."""
        await self.writer.limits(self.space, self.voice)
        return self.writer.fit(self.space, a_draft(self.voice, title, marker)).draft

    async def settled(self, draft: Draft, since: datetime) -> Copy:
        """What the engine does about a create: send, look up what is unknown, finish or send again; never more than a few times."""
        found: Copy | None = None
        for _ in range(8):
            try:
                return await self.writer.create(self.space, draft, found)
            except NotDone:
                self.clock.advance(90)
            except MaybeDone:
                self.clock.advance(90)
                found = await self.looked_up(draft, since)
                if found is not None and found.complete:
                    return found
        raise AssertionError("it never settles")

    async def looked_up(self, draft: Draft, since: datetime) -> Copy | None:
        """The writer's word about a create in doubt; it may ask for patience."""
        for _ in range(5):
            try:
                return await self.finder.find(self.space, draft, since)
            except NotDone:
                self.clock.advance(90)
        raise AssertionError("it never finds out")

    @property
    def finder(self) -> CanFind:
        if not isinstance(self.writer, CanFind):
            pytest.skip("this writer cannot look up what it made")
        return self.writer

    @property
    def editor(self) -> CanEdit:
        if not isinstance(self.writer, CanEdit):
            pytest.skip("this writer cannot edit")
        return self.writer

    @property
    def withdrawer(self) -> CanWithdraw:
        if not isinstance(self.writer, CanWithdraw):
            pytest.skip("this writer cannot withdraw")
        return self.writer

    @property
    def answerer(self) -> CanAnswer:
        if not isinstance(self.writer, CanAnswer):
            pytest.skip("this writer cannot answer")
        return self.writer

    @property
    def commenter(self) -> CanComment:
        if not isinstance(self.writer, CanComment):
            pytest.skip("this writer cannot comment")
        return self.writer


class WriterChecks:
    """Every check of a writer; `writer_suite` makes a class of them for one platform."""

    connector: ClassVar[Connector]
    sandbox: ClassVar[Callable[..., Sandbox]]
    settings: ClassVar[Mapping[str, Any]] = {}
    size: ClassVar[int] = 30
    space: ClassVar[Ref]

    @asynccontextmanager
    async def desk(self, version: str, voice: Voice | None) -> AsyncGenerator[Desk]:
        """A writer to a fresh city, signed in."""
        clock = FakeClock()

        async def sleep(seconds: float) -> None:
            clock.advance(seconds)

        sandbox = type(self).sandbox(version=version, size=self.size, seed=SEED, clock=clock.now, sleep=sleep)
        seen: list[messages.Request] = []
        handle = sandbox.handle

        def handled(request: messages.Request) -> messages.Response:
            seen.append(request)
            return handle(request)

        sandbox.handle = handled
        block = sandbox.instance_block("http://127.0.0.1:9")
        async with writing(self.connector, sandbox, clock=clock, **self.settings) as (writer, _):
            await writer.check()
            yield Desk(sandbox, writer, clock, self.space, voice, block, seen)

    # What it says of itself

    def test_checking_writes_nothing(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                before = desk.sandbox.truth()
                standing = await desk.writer.check()
                assert desk.sandbox.truth() == before, "looking around changed something"
                assert standing.account, "it can write, and does not know as whom: copies could be taken for originals"

        run(check())

    def test_a_space_that_is_not_there_is_refused(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                with pytest.raises(CannotDo):
                    await desk.writer.limits("nowhere/999999", desk.voice)

        run(check())

    def test_what_fits_is_within_the_limits(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                limits = await desk.writer.limits(desk.space, desk.voice)
                main = desk.writer.fit(desk.space, a_draft(desk.voice)).draft.main
                body = main.html if limits.sends == "html" else main.plain
                assert limits.title[0] <= len(main.title) <= limits.title[1], "the title"
                assert limits.body[0] <= len(body) <= limits.body[1], "the body"
                assert MARKER in body, "the marker was lost: the copy would be taken for an original"

        run(check())

    # The plan

    def test_planning_asks_nothing(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                draft = await desk.ready()
                copy = await desk.writer.create(desk.space, draft)
                desk.sandbox.reset_stats()
                assert _plans(desk, copy, draft), "no plan at all"
                assert desk.sandbox.stats.requests == 0, "planning asked the platform"

        run(check())

    def test_the_plan_is_what_is_sent(self, version: str, voice: Voice | None) -> None:
        """The very requests in their order, and no other write; only what a session knows stands in angle quotes."""

        async def check() -> None:
            async with self.desk(version, voice) as desk:
                draft = await desk.ready()
                planned = list(desk.writer.plan_create(desk.space, draft))
                desk.seen.clear()
                copy = await desk.writer.create(desk.space, draft)
                _same_requests(planned, desk.written(), "create")
                if isinstance(desk.writer, CanEdit):
                    changed = await desk.ready(f"Nog {TITLE.lower()}")
                    planned = list(desk.writer.plan_edit(desk.space, copy, changed))
                    desk.seen.clear()
                    copy = await desk.writer.edit(desk.space, copy, changed)
                    _same_requests(planned, desk.written(), "edit")

        run(check())

    def test_no_secret_is_in_a_plan(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                draft = await desk.ready()
                copy = await desk.writer.create(desk.space, draft)
                shown = repr(_plans(desk, copy, draft))
                assert not [name for name, value in _secrets(desk.block) if value in shown], "a secret is in a plan"

        run(check())

    # Creating

    def test_a_created_copy_is_public_and_the_only_one(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                before = len(desk.sandbox.truth()["proposals"])
                copy = await desk.writer.create(desk.space, await desk.ready())
                desk.is_one(copy)
                assert len(desk.sandbox.truth()["proposals"]) == before + 1, "something else was made as well"

        run(check())

    def test_a_created_copy_reads_as_it_was_sent(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy = await desk.writer.create(desk.space, await desk.ready())
                reading = await desk.writer.read(copy)
                assert reading is not None, "it was made, and cannot be read"
                assert reading.title == TITLE, f"the title reads {reading.title!r}"
                assert "weinig schaduw" in reading.plain, "the text was lost"
                assert not reading.withdrawn and reading.answered is None, "it reads as withdrawn or answered"

        run(check())

    def test_the_marker_survives(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy = await desk.writer.create(desk.space, await desk.ready())
                reading = await desk.writer.read(copy)
                assert reading is not None and MARKER in reading.plain, "the copy would be taken for an original"

        run(check())

    def test_a_change_by_others_is_seen(self, version: str, voice: Voice | None) -> None:
        """Otherwise the engine would write over what a moderator put right."""

        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy = await desk.writer.create(desk.space, await desk.ready())
                desk.clock.advance(90)
                desk.sandbox.change("edit", id=copy.ref.partition("/")[2], title="Door een moderator veranderd")
                reading = await desk.writer.read(copy)
                assert reading is not None and reading.title == "Door een moderator veranderd", "it was not seen"

        run(check())

    def test_a_copy_that_is_gone_reads_as_gone(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy = await desk.writer.create(desk.space, await desk.ready())
                desk.clock.advance(90)
                desk.sandbox.change("hide", id=copy.ref.partition("/")[2])
                if desk.rows()[0]["public"]:
                    pytest.skip("what is hidden stays public in this release")
                assert await desk.writer.read(copy) is None, "it was hidden, and still reads as there"

        run(check())

    # Looking up

    def test_what_was_created_is_found(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                since, draft = desk.clock.now(), await desk.ready()
                assert await desk.finder.find(desk.space, draft, since) is None, "found before it was made"
                copy = await desk.writer.create(desk.space, draft)
                found = await desk.finder.find(desk.space, draft, since)
                assert found is not None, "it was made, and is not found: it would be made again"
                assert (found.ref, found.url, found.complete) == (copy.ref, copy.url, True), f"found {found}"

        run(check())

    def test_what_was_found_is_not_made_again(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                since, draft = desk.clock.now(), await desk.ready()
                await desk.writer.create(desk.space, draft)
                found = await desk.finder.find(desk.space, draft, since)
                again = await desk.writer.create(desk.space, draft, found)
                desk.is_one(again)

        run(check())

    def test_a_copy_of_something_else_is_not_taken_for_ours(self, version: str, voice: Voice | None) -> None:
        """The same title and text, another origin: only the marker tells them apart."""

        async def check() -> None:
            async with self.desk(version, voice) as desk:
                since = desk.clock.now() - timedelta(minutes=10)
                await desk.writer.create(desk.space, await desk.ready(marker=OTHER_MARKER))
                found = await desk.finder.find(desk.space, await desk.ready(), since)
                assert found is None, f"{found} is a copy of something else"

        run(check())

    @pytest.mark.parametrize("fault", ["html_200", "503", "hang"])
    def test_a_look_up_that_fails_proves_nothing(self, version: str, voice: Voice | None, fault: str) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                draft = await desk.ready()
                await desk.writer.create(desk.space, draft)
                desk.clock.advance(90)
                desk.sandbox.plant(Fault(fault, times=None, seconds=1.0))
                with pytest.raises(ConnectorError):
                    await desk.finder.find(desk.space, draft, desk.clock.now() - timedelta(minutes=10))

        run(check())

    def test_everything_we_made_is_listed_newest_first(self, version: str, voice: Voice | None) -> None:
        """A lost ledger is rebuilt from this list, and from nothing that others wrote."""

        async def check() -> None:
            async with self.desk(version, voice) as desk:
                made: list[Ref] = []
                for number in (31, 32):
                    marker = MARKER.replace("/31.", f"/{number}.")
                    draft = await desk.ready(f"{TITLE} {number}", marker)
                    made.append((await desk.writer.create(desk.space, draft)).ref)
                    desk.clock.advance(90)
                listed = [each async for each in desk.finder.authored(desk.space)]
                refs = [each.copy.ref for each in listed]
                assert [ref for ref in refs if ref in made] == made[::-1], f"{refs}, and {made} were made"
                ours = {each.copy.ref: each for each in listed}
                assert all("[civicsync:" in ours[ref].title + ours[ref].text for ref in made), "without their markers"

        run(check())

    # Lost answers

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_fault_makes_no_second_copy(self, version: str, voice: Voice | None, fault: str) -> None:
        """It strikes each of the requests of a create in turn; the engine looks up and goes on; one copy comes of it."""

        async def check() -> None:
            async with self.desk(version, voice) as desk:
                steps = len(desk.writer.plan_create(desk.space, await desk.ready()))
            for step in range(steps):
                async with self.desk(version, voice) as desk:
                    since, draft = desk.clock.now(), await desk.ready()
                    desk.sandbox.plant(_fault(fault, desk.writer.plan_create(desk.space, draft)[step]))
                    copy = await desk.settled(draft, since)
                    assert desk.sandbox.faults.fired[fault] == 1, "it never struck: nothing was checked"
                    desk.is_one(copy)

        run(check())

    @pytest.mark.parametrize("fault", STORED)
    def test_a_lost_answer_is_a_doubt_and_is_found(self, version: str, voice: Voice | None, fault: str) -> None:
        """`MaybeDone`, never "done" and never `NotDone`; looking up finds what is stored, and what is half made can be finished."""

        async def check() -> None:
            async with self.desk(version, voice) as desk:
                since, draft = desk.clock.now(), await desk.ready()
                desk.sandbox.plant(_fault(fault, desk.writer.plan_create(desk.space, draft)[0]))
                with pytest.raises(MaybeDone):
                    await desk.writer.create(desk.space, draft)
                desk.clock.advance(90)
                assert len(desk.rows()) == 1, "the sandbox stored nothing: nothing was checked"
                found = await desk.looked_up(draft, since)
                assert found is not None, "it is stored, and is not found: it would be made again"
                desk.is_one(found if found.complete else await desk.writer.create(desk.space, draft, found))

        run(check())

    @pytest.mark.parametrize("fault", STORED)
    def test_a_write_is_never_repeated_by_itself(self, version: str, voice: Voice | None, fault: str) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                draft = await desk.ready()
                first = desk.writer.plan_create(desk.space, draft)[0]
                desk.sandbox.plant(Fault(fault, match=pattern(first), body=_body(first), times=None, seconds=90.0))
                with pytest.raises(MaybeDone):
                    await desk.writer.create(desk.space, draft)
                assert len(desk.rows()) == 1, f"sent again after a lost answer: {len(desk.rows())} are stored"

        run(check())

    @pytest.mark.parametrize("fault", ["429", "429_retry_after"])
    def test_asked_to_slow_down_nothing_is_stored_and_it_says_so(
        self, version: str, voice: Voice | None, fault: str
    ) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                draft = await desk.ready()
                desk.sandbox.plant(_fault(fault, desk.writer.plan_create(desk.space, draft)[0]))
                with pytest.raises(NotDone):
                    await desk.writer.create(desk.space, draft)
                assert not desk.rows(), "it is stored all the same"

        run(check())

    def test_what_never_arrived_is_proven_absent(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                since, draft = desk.clock.now(), await desk.ready()
                desk.sandbox.plant(_fault("reset", desk.writer.plan_create(desk.space, draft)[0]))
                with pytest.raises((MaybeDone, NotDone)):
                    await desk.writer.create(desk.space, draft)
                desk.clock.advance(90)
                assert await desk.looked_up(draft, since) is None, "nothing is stored, and it was found"

        run(check())

    # Changing and taking back

    def test_an_edit_may_be_repeated(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy = await desk.writer.create(desk.space, await desk.ready())
                title = f"Nog {TITLE.lower()}"
                changed = await desk.ready(title)
                again = await desk.editor.edit(desk.space, copy, changed)
                again = await desk.editor.edit(desk.space, again, changed)
                assert again.ref == copy.ref, "editing made another one"
                assert not desk.rows(), "the old text still stands"
                desk.is_one(again, title)
                reading = await desk.writer.read(again)
                assert reading is not None and reading.title == title and MARKER in reading.plain, f"it reads {reading}"

        run(check())

    @pytest.mark.parametrize("fault", [*STORED, "reset", "429"])
    def test_an_edit_survives_a_fault(self, version: str, voice: Voice | None, fault: str) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy = await desk.writer.create(desk.space, await desk.ready())
                title = f"Nog {TITLE.lower()}"
                changed = await desk.ready(title)
                desk.sandbox.plant(_fault(fault, desk.editor.plan_edit(desk.space, copy, changed)[-1]))
                with pytest.raises((MaybeDone, NotDone)):
                    await desk.editor.edit(desk.space, copy, changed)
                desk.clock.advance(90)
                desk.is_one(await desk.editor.edit(desk.space, copy, changed), title)

        run(check())

    def test_a_withdrawal_may_be_repeated(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy = await desk.writer.create(desk.space, await desk.ready())
                await _or_skip(desk.withdrawer.withdraw(desk.space, copy, "Het origineel is ingetrokken."))
                await desk.withdrawer.withdraw(desk.space, copy, "Het origineel is ingetrokken.")
                await _is_withdrawn(desk, copy)

        run(check())

    @pytest.mark.parametrize("fault", [*STORED, "reset", "429"])
    def test_a_withdrawal_survives_a_fault(self, version: str, voice: Voice | None, fault: str) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy = await desk.writer.create(desk.space, await desk.ready())
                try:
                    planned = desk.withdrawer.plan_withdraw(desk.space, copy, "weg")
                except CannotDo as error:
                    pytest.skip(str(error))
                if not planned:
                    pytest.skip("withdrawing asks nothing here")
                desk.sandbox.plant(_fault(fault, planned[-1]))
                with pytest.raises((MaybeDone, NotDone)):
                    await _or_skip(desk.withdrawer.withdraw(desk.space, copy, "weg"))
                desk.clock.advance(90)
                await desk.withdrawer.withdraw(desk.space, copy, "weg")
                await _is_withdrawn(desk, copy)

        run(check())

    # Answers and comments

    def test_an_answer_is_given_once_and_is_seen(self, version: str, voice: Voice | None) -> None:
        """`has_answer` is asked first: answering again may send e-mails again."""

        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy, answer = await desk.writer.create(desk.space, await desk.ready()), an_answer()
                assert not await desk.answerer.has_answer(copy.ref, answer), "answered before anybody answered"
                await _or_skip(desk.answerer.answer(copy.ref, answer))
                assert await desk.answerer.has_answer(copy.ref, answer), "answered, and it says it is not"

        run(check())

    def test_an_answer_that_changed_is_not_there_yet(self, version: str, voice: Voice | None) -> None:
        """It bears the marker of what was told before: the copy would go on saying "accepted" when it was rejected."""

        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy, answer = await desk.writer.create(desk.space, await desk.ready()), an_answer()
                before = answer.texts["nl"]
                now = replace(before, html=before.html.replace("ja", "nee"), plain=before.plain.replace("ja", "nee"))
                changed = replace(answer, texts={"nl": now})
                if isinstance(desk.writer, CanAnswer):
                    with contextlib.suppress(CannotDo):
                        for told, other in ((answer, changed), (changed, answer), (answer, changed)):
                            await desk.writer.answer(copy.ref, told)
                            assert await desk.writer.has_answer(copy.ref, told), "answered, and it says it is not"
                            assert not await desk.writer.has_answer(copy.ref, other), "what it said before is there"
                if isinstance(desk.writer, CanComment):
                    for told, other in ((before, now), (now, before), (before, now)):
                        await _or_skip(desk.writer.comment(copy.ref, told))
                        desk.clock.advance(90)
                        assert await desk.writer.has_comment(copy.ref, MARKER, told), "made, and it says it is not"
                        assert not await desk.writer.has_comment(copy.ref, MARKER, other), (
                            "what it said before is there"
                        )

        run(check())

    @pytest.mark.parametrize("fault", STORED)
    def test_a_lost_answer_to_an_answer_is_seen(self, version: str, voice: Voice | None, fault: str) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy, answer = await desk.writer.create(desk.space, await desk.ready()), an_answer()
                desk.sandbox.plant(_fault(fault, desk.answerer.plan_answer(copy.ref, answer)[-1]))
                with contextlib.suppress(MaybeDone):  # or it has looked by itself
                    await _or_skip(desk.answerer.answer(copy.ref, answer))
                assert desk.sandbox.faults.fired[fault] == 1, "it never struck: nothing was checked"
                desk.clock.advance(90)
                assert await desk.answerer.has_answer(copy.ref, answer), "it is stored, and would be sent again"

        run(check())

    def test_a_comment_is_made_once_and_is_seen(self, version: str, voice: Voice | None) -> None:
        async def check() -> None:
            async with self.desk(version, voice) as desk:
                copy, text = await desk.writer.create(desk.space, await desk.ready()), an_answer().texts["nl"]
                text = replace(text, plain=text.plain.replace(MARKER, OTHER_MARKER), html="")
                present = await _or_skip(desk.commenter.has_comment(copy.ref, OTHER_MARKER))
                assert not present, "there before anybody commented"
                await _or_skip(desk.commenter.comment(copy.ref, text))
                desk.clock.advance(90)
                assert await desk.commenter.has_comment(copy.ref, OTHER_MARKER), "made, and it says it is not"

        run(check())


def pattern(request: Request) -> str:
    """Where a planned request goes, for a fault to strike there: what only a session knows matches anything."""
    path = re.escape(request.path.partition("?")[0].lstrip("/"))
    return rf"^{request.method} /{re.sub('‹[^›]*›', '.+', path)}$"


def _body(request: Request) -> str:
    """What tells a write from a question that goes to the same address (GraphQL)."""
    document = request.json.get("query") if isinstance(request.json, dict) else None
    return "mutation" if isinstance(document, str) and "mutation" in document else ""


def _fault(kind: str, request: Request) -> Fault:
    return Fault(kind, match=pattern(request), body=_body(request), seconds=90.0, retry_after=2)


def _plans(desk: Desk, copy: Copy, draft: Draft) -> list[Request]:
    """Every plan that this writer can make."""
    writer, answer = desk.writer, an_answer()
    makers: list[Callable[[], Sequence[Request]]] = [lambda: writer.plan_create(desk.space, draft)]
    if isinstance(writer, CanEdit):
        makers.append(lambda: writer.plan_edit(desk.space, copy, draft))
    if isinstance(writer, CanWithdraw):
        makers.append(lambda: writer.plan_withdraw(desk.space, copy, "weg"))
    if isinstance(writer, CanAnswer):
        makers.append(lambda: writer.plan_answer(copy.ref, answer))
    if isinstance(writer, CanComment):
        makers.append(lambda: writer.plan_comment(copy.ref, answer.texts["nl"]))
    plans: list[Request] = []
    for each in makers:
        try:
            plans += each()
        except CannotDo as error:
            assert str(error), "refused without a word"
    return plans


def _secrets(block: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in block.items():
        if isinstance(value, Mapping):
            yield from _secrets(value)
        elif SECRET.search(name) and isinstance(value, str):
            yield name, value


def _same_requests(planned: Sequence[Request], seen: Sequence[messages.Request], what: str) -> None:
    sent = list(seen)
    assert len(sent) == len(planned), (
        f"{what}: planned {[f'{each.method} {each.path}' for each in planned]}, "
        f"sent {[f'{each.method} {each.path}' for each in sent]}"
    )
    for one, other in zip(planned, sent, strict=True):
        line = f"{other.method} {other.path}"
        assert re.search(pattern(one), line), f"{what}: planned {one.method} {one.path}, sent {line}"
        if one.form is not None:
            form = [list(pair) for pair in one.form]
            assert _alike(form, [list(pair) for pair in other.fields()]), f"{what}: another form was sent to {line}"
        elif one.json is not None:
            body = json.loads(json.dumps(one.json))
            assert _alike(body, other.json()), f"{what}: another body was sent to {line}"


def _is_write(request: messages.Request) -> bool:
    if request.method in {"GET", "HEAD"}:
        return False
    if request.media_type != "application/json" or not request.body:
        return True
    body = request.json()
    return not (isinstance(body, dict) and "query" in body and "mutation" not in str(body["query"]))


def _alike(planned: Any, sent: Any) -> bool:
    if isinstance(planned, str) and "‹" in planned and isinstance(sent, str):
        parts = [re.escape(part) for part in re.split(r"‹[^›]*›", planned)]
        return re.fullmatch(".*".join(parts), sent, re.DOTALL) is not None
    if isinstance(planned, dict) and isinstance(sent, dict):
        return planned.keys() == sent.keys() and all(_alike(value, sent[name]) for name, value in planned.items())
    if isinstance(planned, list) and isinstance(sent, list):
        return len(planned) == len(sent) and all(map(_alike, planned, sent))
    return planned == sent


async def _is_withdrawn(desk: Desk, copy: Copy) -> None:
    reading = await desk.writer.read(copy)
    assert reading is None or reading.withdrawn, "it was withdrawn, and still stands"


async def _or_skip(asked: Awaitable[T]) -> T:
    """What this account, voice or release cannot do is not held against the writer; that it must say so is."""
    try:
        return await asked
    except (MaybeDone, NotDone):
        raise
    except CannotDo as error:
        assert str(error), "refused without a word"
        pytest.skip(str(error))
    except ConnectorError as error:
        raise AssertionError(f"neither done nor a word of the contract: {error!r}") from error
