"""A platform in memory that can be read and written without HTTP: for tests of the engine, and as the smallest
whole connector there is.

It is as unkind as a real one: no idempotency, no duplicate check, answers that get lost before or after storing. `FakePlatform.at` makes
one that answers at an address; a configuration names it with `platform: civicsync.connectors.testing.fake:CONNECTOR`.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

import msgspec

from ...core.identity import Ref
from ...core.ledger.marker import markers_in
from ...core.records import Answer, Counters, Proposal, Record, Space, State
from ...core.text import html_to_plain, plain_to_html, simple
from ..contract.errors import CannotDo, ContentRefused, MaybeDone, NotDone, NotLetIn
from ..contract.reading import Connector, Context, Item, Page, Probe, PullRequest, Reader
from ..contract.settings import InstanceSettings
from ..contract.writing import (
    AnswerDraft,
    Authored,
    Copy,
    Draft,
    Fitted,
    Limits,
    LocalText,
    Reading,
    Request,
    Standing,
    Voice,
    WriteContext,
)

SPACE = "board/1"


@dataclass
class Post:
    """One text on the platform."""

    id: int
    title: str
    body: str
    author: str
    created_at: datetime
    state: State = State.OPEN
    answer: str = ""
    answered_at: datetime | None = None
    supports: int = 0
    hidden: bool = False
    comments: list[str] = field(default_factory=list[str])


@dataclass
class FakePlatform:
    """The platform itself; `faults` are what happens to the next writes, "" for nothing."""

    url: str
    clock: Callable[[], datetime]
    posts: dict[int, Post] = field(default_factory=dict[int, Post])
    faults: deque[str] = field(default_factory=deque[str])
    writes: int = 0
    last: int = 0
    on_write: Callable[[str], None] = lambda _: None
    """Called before and after every write is stored: where a test kills the process."""

    worlds: ClassVar[dict[str, FakePlatform]] = {}

    @classmethod
    def at(cls, url: str, clock: Callable[[], datetime]) -> FakePlatform:
        """A fresh platform that answers at this address."""
        cls.worlds[url] = cls(url, clock)
        return cls.worlds[url]

    def write(self, title: str, body: str, author: str = "citizen-1", **more: object) -> Post:
        """A text somebody writes."""
        self.last += 1
        post = Post(self.last, title, body, author, self.clock())
        for name, value in more.items():
            setattr(post, name, value)
        self.posts[post.id] = post
        return post

    def public(self) -> list[Post]:
        """What everybody sees."""
        return [post for post in self.posts.values() if not post.hidden]

    def copies(self) -> list[Post]:
        """Everything public that carries a marker."""
        return [post for post in self.public() if markers_in(post.body)]

    def perform(self, what: str, effect: Callable[[], int]) -> int:
        """One write over a network that may fail; returns the id that the answer names."""
        fault = self.faults.popleft() if self.faults else ""
        if fault == "refused":
            raise NotDone(f"{what}: cannot connect")
        if fault == "not_allowed":
            raise CannotDo(f"{what}: not allowed here")
        if fault == "not_let_in":
            raise NotLetIn(f"{what}: the account was not let in", hint="is the password right?")
        if fault == "429":
            raise NotDone(f"{what}: asked to slow down", status=429, wait=2)
        if fault == "reset_before":
            raise MaybeDone(f"{what}: the connection broke")
        if fault == "only_confirmed":
            return next(iter(self.posts))
        self.on_write(f"before {what}")
        self.writes += 1
        own = effect()
        self.on_write(f"after {what}")
        if fault in {"reset_after", "500_after", "timeout_after"}:
            raise MaybeDone(f"{what}: the connection broke")
        if fault == "duplicate_reply":
            return next(iter(self.posts))
        return own


class FakeReader:
    """Reads the whole board as one page."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.platform = FakePlatform.worlds[context.settings.url]

    async def probe(self) -> Probe:
        return Probe("fake", "1", "fake", title=f"Board {self.platform.url}", locales=["nl"])

    async def discover(self, probe: Probe) -> Sequence[Space]:
        return [Space(kind="board", id="1", names={"nl": "Board"})]

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        yield Page(
            "spaces", [self._item("board/1", [Space(kind="board", id="1", names={"nl": "Board"})])], complete=True
        )
        yield Page("board", [self._post(post) for post in self.platform.public()], complete=True)

    def _post(self, post: Post) -> Item:
        records: list[Record] = [
            Proposal(
                id=str(post.id),
                space=SPACE,
                texts=(simple("nl", post.title, post.body),),
                state=post.state,
                native_state=post.state.value,
                author=self.context.pseudonym(post.author),
                created_at=post.created_at,
                published_at=post.created_at,
                url=f"{self.platform.url}/posts/{post.id}",
            )
        ]
        if post.answer:
            records.append(
                Answer(
                    id=f"{post.id}-1",
                    target=f"proposal/{post.id}",
                    state=post.state,
                    texts=(simple("nl", "", post.answer),),
                    answered_at=post.answered_at,
                )
            )
        return self._item(f"proposal/{post.id}", records, Counters(supports=post.supports))

    def _item(self, ref: Ref, records: Sequence[Record], counters: Counters | None = None) -> Item:
        content = msgspec.json.encode([record.model_dump(mode="json") for record in records])
        return Item(ref, hashlib.sha256(content).digest()[:16], lambda: records, counters)

    async def still_there(self, refs: Sequence[Ref]) -> dict[Ref, bool | None]:
        there = {f"proposal/{post.id}" for post in self.platform.public()}
        return {ref: ref in there for ref in refs}


class FakeWriter:
    """Writes as the account `robot`; can do everything."""

    account = "robot"

    def __init__(self, context: WriteContext) -> None:
        self.platform = FakePlatform.worlds[context.reading.settings.url]
        self.longest = 2000

    async def check(self) -> Standing:
        return Standing(self.account)

    async def limits(self, space: Ref, voice: Voice | None = None) -> Limits:
        if space != SPACE:
            raise CannotDo(f"there is no {space} here, only {SPACE}")
        return Limits(title=(1, 80), body=(1, self.longest), sends="plain", locales=("nl",))

    def fit(self, space: Ref, draft: Draft) -> Fitted:
        return Fitted(draft)

    def plan_create(self, space: Ref, draft: Draft) -> Sequence[Request]:
        return [Request("POST", "posts", json={"title": draft.main.title, "body": draft.main.plain})]

    async def create(self, space: Ref, draft: Draft, found: Copy | None = None) -> Copy:
        if "refuse me" in draft.main.title:
            raise ContentRefused("the board does not take this title")

        def store() -> int:
            return self.platform.write(draft.main.title, draft.main.plain, self.account).id

        return self._copy(self.platform.perform("create", store))

    def _copy(self, own: int) -> Copy:
        return Copy(f"proposal/{own}", f"{self.platform.url}/posts/{own}")

    def _post(self, copy: Copy) -> Post | None:
        post = self.platform.posts.get(int(copy.ref.partition("/")[2]))
        return post if post is not None and not post.hidden else None

    async def read(self, copy: Copy) -> Reading | None:
        post = self._post(copy)
        return Reading(post.title, post.body) if post is not None else None

    async def find(self, space: Ref, draft: Draft, since: datetime) -> Copy | None:
        for post in self.platform.posts.values():
            if (
                post.author == self.account
                and draft.marker in post.body
                and post.created_at >= since
                and not post.hidden
            ):
                return self._copy(post.id)
        return None

    async def authored(self, space: Ref) -> AsyncIterator[Authored]:
        for post in sorted(self.platform.public(), key=lambda post: -post.id):
            if post.author == self.account:
                yield Authored(self._copy(post.id), post.title, post.body, post.created_at)

    def plan_edit(self, space: Ref, copy: Copy, draft: Draft) -> Sequence[Request]:
        return [Request("PUT", copy.ref, json={"title": draft.main.title, "body": draft.main.plain})]

    async def edit(self, space: Ref, copy: Copy, draft: Draft) -> Copy:
        def store() -> int:
            post = self._post(copy)
            assert post is not None
            post.title, post.body = draft.main.title, draft.main.plain
            return post.id

        self.platform.perform("edit", store)
        return copy

    def plan_withdraw(self, space: Ref, copy: Copy, reason: str) -> Sequence[Request]:
        return [Request("DELETE", copy.ref)]

    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None:
        def store() -> int:
            post = self._post(copy)
            if post is not None:
                post.hidden = True
            return 0

        self.platform.perform("withdraw", store)

    async def has_answer(self, ref: Ref, answer: AnswerDraft) -> bool:
        post = self.platform.posts[int(ref.partition("/")[2])]
        return (
            answer.marker in post.answer
            and html_to_plain(plain_to_html(post.answer)) == answer.texts[answer.locale].plain
        )

    def plan_answer(self, ref: Ref, answer: AnswerDraft) -> Sequence[Request]:
        return [Request("POST", f"{ref}/answer", json={"state": answer.state.value})]

    async def answer(self, ref: Ref, answer: AnswerDraft) -> None:
        def store() -> int:
            post = self.platform.posts[int(ref.partition("/")[2])]
            post.state, post.answer = answer.state, answer.texts[answer.locale].plain
            post.answered_at = self.platform.clock()
            return post.id

        self.platform.perform("answer", store)

    async def has_comment(self, ref: Ref, marker: str) -> bool:
        return any(marker in each for each in self.platform.posts[int(ref.partition("/")[2])].comments)

    async def comment(self, ref: Ref, text: LocalText) -> None:
        self.platform.perform(
            "comment", lambda: self.platform.posts[int(ref.partition("/")[2])].comments.append(text.plain) or 0
        )

    def plan_comment(self, ref: Ref, text: LocalText) -> Sequence[Request]:
        return [Request("POST", f"{ref}/comments", json={"body": text.plain})]


def _reader(context: Context) -> Reader:
    return FakeReader(context)


CONNECTOR = Connector(platform="fake", settings=InstanceSettings, reader=_reader, writer=FakeWriter)
