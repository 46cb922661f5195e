"""A platform in memory that can be read and written without HTTP: for tests of the engine, and as the smallest
whole connector there is.

It is as unkind as a real one: no idempotency, no duplicate check, answers that get lost before or after storing. `FakePlatform.at` makes
one that answers at an address; a configuration names it with `platform: civicsync.connectors.testing.fake:CONNECTOR`. At an address
where none was made, a board with three posts answers, so that the program can be tried on it.

Whoever adds a platform may begin with a copy of this file (docs/howto/add-a-platform.md).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from ...core.clock import Clock
from ...core.identity import Ref
from ...core.ledger.marker import carries, markers_in, said
from ...core.records import Answer, Counters, Proposal, Record, Space, State
from ...core.text import html_to_plain, plain_to_html, simple
from ..contract.errors import (
    CannotDo,
    ContentRefused,
    Malformed,
    MaybeDone,
    NotDone,
    NotLetIn,
    Throttled,
    Unreachable,
    WrongCredentials,
)
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
from . import messages
from .sandbox.sandbox import Operation, Sandbox

PLATFORM = "fake"
KIND = "proposal"
SCOPE = "board"
SPACE = "board/1"
BOARD = Space(kind="board", id="1", names={"nl": "Board"})


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
    answer_locale: str = "nl"
    """`und` where the platform tells no language of answers."""
    supports: int = 0
    hidden: bool = False
    comments: list[str] = field(default_factory=list[str])
    contact: str = ""
    """What a careless platform shows to everybody beside the text; a reader never takes it along."""


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
    gate: Callable[[Request], str] = lambda _: ""
    """Told of every request, and says what goes wrong with it: where a sandbox counts and plants its faults."""

    worlds: ClassVar[dict[str, FakePlatform]] = {}

    @classmethod
    def at(cls, url: str, clock: Callable[[], datetime]) -> FakePlatform:
        """A fresh platform that answers at this address."""
        cls.worlds[url] = cls(url, clock)
        return cls.worlds[url]

    @classmethod
    def of(cls, url: str) -> FakePlatform:
        """What answers at this address; where nobody made one, a small board."""
        if url not in cls.worlds:
            board = cls.at(url, Clock().now)
            for number, title in enumerate(("More trees", "A safe crossing", "Benches in the park")):
                board.write(title, f"{title}, please.", f"citizen-{number}", supports=number)
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

    def ask(self, path: str) -> list[Post]:
        """One question over a network that may fail: everything public. It says how many there are, as most lists do.

        Raises:
            Throttled, Unreachable, Malformed.
        """
        fault = self.gate(Request("GET", path))
        if fault.startswith("429"):
            raise Throttled(f"{path}: asked to slow down", status=429)
        if fault in {"html_200", "cut_json"}:
            raise Malformed(f"{path}: not what a board answers")
        if fault not in {"", "slow", "empty"}:
            raise Unreachable(f"{path}: no answer")
        told, posts = len(self.public()), [] if fault == "empty" else self.public()
        if told != len(posts):
            raise Malformed(f"{path}: {told} posts were announced, {len(posts)} came")
        return posts

    def perform(self, what: str, effect: Callable[[], int], request: Request) -> int:
        """One write over a network that may fail; returns the id that the answer names."""
        fault = self.faults.popleft() if self.faults else self.gate(request)
        if fault == "refused":
            raise NotDone(f"{what}: cannot connect") from Unreachable("no connection")
        if fault == "not_allowed":
            raise CannotDo(f"{what}: not allowed here")
        if fault == "not_let_in":
            raise NotLetIn(f"{what}: the account was not let in", hint="is the password right?")
        if fault == "wrong_credentials":
            raise WrongCredentials(f"{what}: the name or the password is wrong")
        if fault == "one_things_trouble":
            raise NotDone(f"{what}: its neighbour is hidden")
        if fault.startswith("429"):
            raise NotDone(f"{what}: asked to slow down", status=429, wait=2)
        if fault in {"reset_before", "reset", "500", "503", "html_200", "hang"}:
            raise MaybeDone(f"{what}: the connection broke") from Unreachable("half an answer")
        if fault == "accepted_and_nowhere":
            raise MaybeDone(f"{what}: taken, and not to be found", accepted=True)
        if fault == "only_confirmed":
            return next(iter(self.posts))
        self.on_write(f"before {what}")
        self.writes += 1
        own = effect()
        self.on_write(f"after {what}")
        if fault == "accepted_and_lost":
            raise MaybeDone(f"{what}: taken, and the look-up failed", accepted=True)
        if "_after" in fault or fault.startswith("cut_"):
            raise MaybeDone(f"{what}: the connection broke") from Unreachable("half an answer")
        if fault == "duplicate_reply":
            return next(iter(self.posts))
        return own


def mapped(context: Context, ref: Ref, shown: Mapping[str, Any]) -> list[Record]:
    """The records that one post shows: named fields and nothing else, an allow-list."""
    records: list[Record] = [
        Proposal(
            kind=KIND,
            id=str(shown["id"]),
            space=SPACE,
            texts=(simple("nl", shown["title"], shown["body"]),),
            state=State(shown["state"]),
            native_state=shown["state"],
            author=shown["author"],
            created_at=datetime.fromisoformat(shown["created_at"]),
            published_at=datetime.fromisoformat(shown["created_at"]),
            url=f"{context.settings.url}/posts/{shown['id']}",
        )
    ]
    if shown["answer"]:
        records.append(
            Answer(
                id=f"{shown['id']}-1",
                target=ref,
                state=State(shown["state"]),
                texts=(simple(shown["answer_locale"], "", shown["answer"]),),
                answered_at=datetime.fromisoformat(shown["answered_at"]) if shown["answered_at"] else None,
            )
        )
    return records


def _item(
    ref: Ref, shown: Mapping[str, Any], build: Callable[[], list[Record]], counters: Counters | None = None
) -> Item:
    """What is seen of one thing: unchanged by its digest, it is never built."""
    return Item(ref, hashlib.sha256(msgspec.json.encode(shown)).digest()[:16], build, counters, raw=shown)


class FakeReader:
    """Reads the whole board as one page."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.platform = FakePlatform.of(context.settings.url)

    async def probe(self) -> Probe:
        self.platform.ask("board")
        return Probe(
            PLATFORM,
            "1",
            PLATFORM,
            title=f"Board {self.platform.url}",
            locales=["nl"],
            strategy=["everything, in one page"],
        )

    async def discover(self, probe: Probe) -> Sequence[Space]:
        return [BOARD]

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        if request.spaces and SPACE not in request.spaces:
            return
        posts = self.platform.ask("posts")
        yield Page("spaces", [_item("board/1", {"names": {"nl": "Board"}}, lambda: [BOARD])], complete=True)
        yield Page(SCOPE, [self._post(post) for post in posts], complete=True)

    def _post(self, post: Post) -> Item:
        shown = {
            "id": post.id,
            "title": post.title,
            "body": post.body,
            "author": self.context.pseudonym(post.author),
            "created_at": post.created_at.isoformat(),
            "state": post.state.value,
            "answer": post.answer,
            "answered_at": post.answered_at.isoformat() if post.answered_at else None,
            "answer_locale": post.answer_locale,
        }
        counters = Counters(supports=post.supports, comments=len(post.comments))
        return _item(f"{KIND}/{post.id}", shown, lambda: mapped(self.context, f"{KIND}/{post.id}", shown), counters)

    async def still_there(self, refs: Sequence[Ref]) -> dict[Ref, bool | None]:
        there = {f"{KIND}/{post.id}" for post in self.platform.ask("posts")}
        kinds = dict.fromkeys(refs, None) | {BOARD.ref: True}
        return {ref: ref in there if ref.startswith(f"{KIND}/") else kinds.get(ref) for ref in refs}


class FakeWriter:
    """Writes as the account `robot`; can do everything."""

    account = "robot"

    def __init__(self, context: WriteContext) -> None:
        self.platform = FakePlatform.of(context.reading.settings.url)
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
        if found is not None and found.complete:
            return found
        if "refuse me" in draft.main.title:
            raise ContentRefused("the board does not take this title")

        def store() -> int:
            return self.platform.write(draft.main.title, draft.main.plain, self.account).id

        return self._copy(self.platform.perform("create", store, *self.plan_create(space, draft)))

    def _copy(self, own: int) -> Copy:
        return Copy(f"{KIND}/{own}", f"{self.platform.url}/posts/{own}")

    def _asked(self, path: str) -> None:
        """Look, as a writer does: what cannot be told now is not told."""
        try:
            self.platform.ask(path)
        except (Throttled, Unreachable, Malformed) as error:
            raise NotDone(str(error)) from error

    def _post(self, copy: Copy) -> Post | None:
        post = self.platform.posts.get(int(copy.ref.partition("/")[2]))
        return post if post is not None and not post.hidden else None

    async def read(self, copy: Copy) -> Reading | None:
        self._asked(copy.ref)
        post = self._post(copy)
        return Reading(post.title, post.body) if post is not None else None

    async def find(self, space: Ref, draft: Draft, since: datetime) -> Copy | None:
        self._asked("posts")
        found = [
            self._copy(post.id)
            for post in sorted(self.platform.public(), key=lambda post: post.id)
            if post.author == self.account and carries(post.body, draft.marker) and post.created_at >= since
        ]
        return replace(found[0], twins=[each.ref for each in found[1:]]) if found else None

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

        self.platform.perform("edit", store, *self.plan_edit(space, copy, draft))
        return copy

    def plan_withdraw(self, space: Ref, copy: Copy, reason: str) -> Sequence[Request]:
        return [Request("DELETE", copy.ref)]

    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None:
        def store() -> int:
            post = self._post(copy)
            if post is not None:
                post.hidden = True
            return 0

        self.platform.perform("withdraw", store, *self.plan_withdraw(space, copy, reason))

    async def has_answer(self, ref: Ref, answer: AnswerDraft) -> bool:
        post = self.platform.posts[int(ref.partition("/")[2])]
        return carries(post.answer, answer.marker) and _plain(post.answer) == _plain(answer.texts[answer.locale].plain)

    def plan_answer(self, ref: Ref, answer: AnswerDraft) -> Sequence[Request]:
        return [Request("POST", f"{ref}/answer", json={"state": answer.state.value})]

    async def answer(self, ref: Ref, answer: AnswerDraft) -> None:
        def store() -> int:
            post = self.platform.posts[int(ref.partition("/")[2])]
            post.state, post.answer = answer.state, answer.texts[answer.locale].plain
            post.answered_at = self.platform.clock()
            return post.id

        self.platform.perform("answer", store, *self.plan_answer(ref, answer))

    async def has_comment(self, ref: Ref, marker: str, text: LocalText | None = None) -> bool:
        told = [each for each in self.platform.posts[int(ref.partition("/")[2])].comments if carries(each, marker)]
        return bool(told) and (text is None or said(told[-1]) == said(text.plain))

    async def comment(self, ref: Ref, text: LocalText) -> None:
        def store() -> int:
            self.platform.posts[int(ref.partition("/")[2])].comments.append(text.plain)
            return 0

        self.platform.perform("comment", store, *self.plan_comment(ref, text))

    def plan_comment(self, ref: Ref, text: LocalText) -> Sequence[Request]:
        return [Request("POST", f"{ref}/comments", json={"body": text.plain})]


def _plain(text: str) -> str:
    return html_to_plain(plain_to_html(text))


class FakeSandbox(Sandbox):
    """The board as the kit and `civicsync sandbox` know a platform: it says the truth, changes on demand and misbehaves as planted."""

    platform = PLATFORM
    default_version = "1"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.board = FakePlatform(f"http://{PLATFORM}.invalid", self.clock)
        self.board.gate = self._meet
        for number in range(self.size):
            self.board.write(f"Voorstel {number}", "Graag.", f"citizen-{number % 7}", supports=self.rng.randrange(40))

    extra_faults = frozenset({"empty", "duplicate_reply"})

    def _meet(self, asked: Request) -> str:
        body, headers = asked.body()
        request = messages.Request.of(asked.method, f"/{asked.path}", headers=headers.items(), body=body or b"")
        self.stats.count(request)
        fault = self.faults.pick(request)
        self.handle(request)
        return fault.kind if fault is not None else ""

    def handle(self, request: messages.Request) -> messages.Response:
        """Who asks over HTTP sees the posts; the connector asks in memory."""
        return messages.Response.json([{"id": post.id, "title": post.title} for post in self.board.public()])

    def truth(self) -> dict[str, Any]:
        return {
            "proposals": [
                {
                    "id": str(post.id),
                    "kind": KIND,
                    "title": post.title,
                    "state": post.state.value,
                    "supports": post.supports,
                    "comments": len(post.comments),
                    "public": not post.hidden,
                    "author": post.author,
                }
                for post in self.board.posts.values()
            ],
            "comments": [],
        }

    def instance_block(self, url: str) -> dict[str, Any]:
        self.board.url = url
        FakePlatform.worlds[url] = self.board
        return {"platform": PLATFORM, "url": url}

    def operations(self) -> Mapping[str, Operation]:
        posts = self.board.posts

        def change(id: Any, **values: object) -> None:
            for name, value in values.items():
                setattr(posts[int(id)], name, value)

        def add_proposal(title: str = "Nieuw voorstel") -> str:
            return str(self.board.write(title, "Graag.").id)

        return {
            "edit": lambda id, title: change(id, title=title),
            "support": lambda id, times=1: change(id, supports=posts[int(id)].supports + times),
            "comment": lambda id, body="Goed idee!": change(id, comments=[*posts[int(id)].comments, body]),
            "hide": lambda id: change(id, hidden=True),
            "restore": lambda id: change(id, hidden=False),
            "delete": lambda id: posts.pop(int(id)) and None,
            "withdraw": lambda id: change(id, state=State.WITHDRAWN),
            "add_proposal": add_proposal,
        }

    def plant_private_data(self) -> list[str]:
        for post in self.board.posts.values():
            post.contact = f"private-{post.id}@example.org"
        return [post.contact for post in self.board.posts.values()]


def _reader(context: Context) -> Reader:
    return FakeReader(context)


def _sandbox(**options: Any) -> Sandbox:
    return FakeSandbox(**options)


CONNECTOR = Connector(
    platform=PLATFORM,
    settings=InstanceSettings,
    reader=_reader,
    kinds={"proposals": (KIND,), "answers": ("answer",)},
    versions=("1",),
    writer=FakeWriter,
    remap=mapped,
    sandbox=_sandbox,
)
