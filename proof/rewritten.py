"""Publishing as real platforms take it: they rewrite what they are sent, and a gateway before them answers late, wrongly or not at all.

Every text holds what some platform rewrites, every marker is one that would have begun with a digit in its earlier form, and a fault may
meet every single request: a form's page, each of its steps, the look-up after it, an edit, an answer, a withdrawal.
"""

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from civicsync.connectors.testing.fake import Post
from civicsync.core.ledger.marker import Signer
from civicsync.core.records import State
from civicsync.core.text import html_to_plain
from proof.crossing import KEY, SPACES, Crossing

LATE = timedelta(seconds=40)
"""So long after what stands before a server gave up, the server may still store (measured: docs/explanation/how-publishing-works.md)."""
_NUMBER = re.compile(r"wijk(?: |\+|%20)(\d{4})")
_QUESTIONS = {"/api", "/graphql"}
_BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_ODD = "Zie ook ~2 en ~14, vraag @admin of #bomen, lees {url}/proposals/2 en /_proposals; 2 &amp; 3 is 😀."
_FAULTS = ("late", "lost", "never")
_Asked = tuple[Any, bytes]


@dataclass(slots=True)
class _Waiting:
    due: datetime
    asked: _Asked


class Gateway:
    """What stands before a platform: 502 instead of an answer, before, after or long before the platform did its work.

    `created`: how many rows the platform stored for each number, whatever it said and whatever became of them afterwards.
    """

    def __init__(
        self,
        crossing: Crossing,
        seed: int,
        chance: float,
        *,
        late: Sequence[timedelta] = (LATE,),
        faults: Sequence[str] = _FAULTS,
    ) -> None:
        """`chance`: of a fault, for each request; `late`: how long after it gave up it hands a request on; `faults`: what meets a write."""
        self.late = late
        self.faults = faults
        self.platform = crossing.sandbox
        self.clock = crossing.clock
        self.chance = chance
        self.struck = Counter[str]()
        self.created = Counter[str]()
        self._dice = random.Random(seed)
        self._waiting: list[_Waiting] = []
        self._blind_until = self.clock.now()
        self._rows = _rows(crossing)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        await self.deliver()
        asked = scope, body
        what = self._fault(asked)
        if what == "":
            await self._pass(asked, send)
            return
        self.struck[what] += 1
        if what == "late":
            self._waiting.append(_Waiting(self.clock.now() + self._dice.choice(self.late), asked))
        elif what == "lost":
            await self._pass(asked, _nowhere)
        if (
            self.faults == _FAULTS
            and what in {"late", "lost"}
            and (self.struck["look-up"] == 0 or self._dice.random() < 0.5)
        ):
            # The look-up after the form meets the same gateway.
            self._blind_until = self.clock.now() + timedelta(seconds=20)
        await send({"type": "http.response.start", "status": 502, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": _BAD_GATEWAY})

    @property
    def waiting(self) -> int:
        """How many requests it still holds back."""
        return len(self._waiting)

    async def deliver(self) -> None:
        """Let arrive what is due by now."""
        now = self.clock.now()
        due = [each for each in self._waiting if each.due <= now]
        self._waiting = [each for each in self._waiting if each.due > now]
        for each in due:
            await self._pass(each.asked, _nowhere)

    def _fault(self, asked: _Asked) -> str:
        scope, body = asked
        writes = scope["method"] != "GET" and (scope["path"] not in _QUESTIONS or b"mutation" in body)
        if self.chance and not writes and self.clock.now() < self._blind_until:
            return "look-up"
        if self._dice.random() >= self.chance:
            return ""
        if not writes:
            return "page" if self.faults == _FAULTS else ""
        return self._dice.choice(self.faults)

    async def _pass(self, asked: _Asked, send: Any) -> None:
        scope, body = asked

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        before = len(self._rows)
        await self.platform(scope, again, send)
        if len(self._rows) > before:
            number = _NUMBER.search(body.decode("utf-8", "replace"))
            self.created[number[1] if number else "?"] += len(self._rows) - before


async def _nowhere(_message: Any) -> None:
    """An answer that nobody waits for any more."""


def _rows(crossing: Crossing) -> Any:
    """All that a sandbox holds of the kind that is published, drafts and what was taken back among it."""
    database = crossing.sandbox.database
    match crossing.platform:
        case "consul":
            return database.tables["proposals"].rows
        case "decidim":
            return database.proposals["proposal"]
        case _:
            return database.posts


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What is wrong at the end ("" is right), and how often each fault struck."""

    problem: str
    struck: Mapping[str, int]


def rewritten(
    folder: Path, platform: str, version: str, voice: str | None, count: int, *, chance: float = 0.08, seed: int = 1
) -> Rewritten:
    """Publish, edit, answer and withdraw `count` proposals through a gateway; then every copy is looked at."""
    crossing = Crossing(folder, platform, version, count=0, voice=voice)
    if platform == "decidim":
        # Decidim lets participants edit for five minutes by default; here the edits themselves are looked at.
        for component in (each for space in crossing.sandbox.database.spaces for each in space.components):
            component.rules.edit_minutes = None
    posts = _written(crossing, count)
    assert count >= 7, "an answer of unknown language to what is not withdrawn is the seventh"
    gateway = Gateway(crossing, seed, chance)
    crossing.backends["city"] = gateway
    crossing.pull("board")
    crossing.until_quiet(40 + count)
    for number, post in enumerate(posts):
        if number % 2 == 0:
            post.body = _text(crossing, post.title, 2)
        if number % 3 == 0:
            post.state, post.answered_at = State.ACCEPTED, crossing.clock.now()
            post.answer = f"Antwoord: {post.title[:23]} krijgt bomen. {_ODD.format(url=crossing.board.url)}"
            post.answer_locale = "und" if number % 6 == 0 else "nl"
    crossing.pull("board")
    crossing.until_quiet(40 + count)
    for post in posts[::4]:
        post.hidden = True
    crossing.pull("board")
    crossing.until_quiet(40 + count)
    gateway.chance = 0.0
    outcome = crossing.until_quiet()
    wrong = [*_wrong(crossing, posts), *_twice(gateway.created - _swept(crossing), count)]
    if outcome.outcome != "done":
        wrong.append(f"{outcome.outcome}: {outcome.message}")
    crossing.engine.dispose()
    more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return Rewritten("; ".join(wrong[:5]) + more, gateway.struck)


def _text(crossing: Crossing, title: str, edition: int) -> str:
    return (
        f"{title[:23]} heeft te weinig bomen, stand {edition}. {_ODD.format(url=crossing.config.instances['city'].url)}"
    )


def _written(crossing: Crossing, count: int) -> list[Post]:
    """Proposals whose markers would begin with a digit in the earlier form."""
    signer = Signer(KEY["KEY"])
    posts: list[Post] = []
    while len(posts) < count:
        own = crossing.board.last + 1
        old = signer.before(f"board/proposal/{own}", "city", SPACES[crossing.platform])
        if not old.rpartition("~")[2][0].isdigit():
            crossing.board.last = own
            continue
        title = f"Meer bomen in wijk {len(posts) + 1:04}{(' 😀', '', ' voor iedereen')[len(posts) % 3]}"
        posts.append(crossing.board.write(title, _text(crossing, title, 1)))
    return posts


def _swept(crossing: Crossing) -> Counter[str]:
    """Drafts that nobody but their author ever saw, and that were deleted as what failed attempts leave (docs/platforms/decidim.md 4.4)."""
    if crossing.platform != "decidim":
        return Counter()
    rows = crossing.sandbox.database.proposals["proposal"].values()
    titles = [str(row.title) for row in rows if row.draft and row.deleted]
    return Counter(number for title in titles for number in _NUMBER.findall(title))


def _twice(created: Counter[str], count: int) -> list[str]:
    """What was stored more or less often than once."""
    numbers = [f"{number:04}" for number in range(1, count + 1)]
    wrong = [f"wijk {each} was stored {created[each]} times" for each in numbers if created[each] != 1]
    return [*wrong, *(f"{each} was stored, and nobody wrote it" for each in created.keys() - set(numbers))]


def _wrong(crossing: Crossing, posts: list[Post]) -> list[str]:
    truth = crossing.sandbox.truth()
    shown = dict(_shown(crossing))
    by_number: dict[str, list[Mapping[str, Any]]] = {}
    copies = dict(crossing.rows("SELECT origin, remote_id FROM publications"))
    for row in truth["proposals"]:
        by_number.setdefault(str(row["id"]), []).append(row)
    told = [*(each.get("text") or each.get("content") or "" for each in truth["answers"])]
    told += [each["body"] or "" for each in truth["comments"]]
    answers = Counter(number for text in told if "Antwoord: " in text for number in _NUMBER.findall(text)[:1])
    public = crossing.copies()
    wrong = [f"{title}: public {many} times" for title, many in public.items() if many > 1]
    for number, post in enumerate(posts):
        name = post.title[14:23]
        own = str(copies.get(f"board/proposal/{post.id}"))
        rows = [row for row in by_number.get(own, []) if row["kind"] == "proposal"]
        if len(rows) != 1:
            wrong.append(f"{name}: {len(rows)} copies called {own}")
            continue
        row, text = rows[0], shown[own]
        stand = f"{name} heeft te weinig bomen, stand {2 if number % 2 == 0 else 1}."
        if post.hidden:
            readable = crossing.platform == "consul" and stand in text
            if row["public"] and ((row["state"] != "withdrawn" and stand in text) or readable):
                wrong.append(f"{name}: withdrawn, and still readable")
            continue
        if not row["public"] or stand not in text:
            wrong.append(f"{name}: public {row['public']}, not kept true: {text[:120]}")
        if answers[name[-4:]] != (number % 3 == 0):
            wrong.append(f"{name}: {answers[name[-4:]]} answers")
    for state, reason, many in crossing.rows(
        "SELECT state, reason, count(*) FROM publications WHERE state NOT IN ('sent', 'withdrawn') GROUP BY 1, 2"
    ):
        wrong.append(f"{many} publications are {state}: {reason}")
    return wrong


def _shown(crossing: Crossing) -> list[tuple[str, str]]:
    """Every row's id and readable text."""
    if crossing.platform == "decidim":
        rows = crossing.sandbox.database.proposals["proposal"].values()
        return [(str(row.id), html_to_plain(" ".join(str(text) for text, _ in row.body.values()))) for row in rows]
    rows = crossing.sandbox.truth()["proposals"]
    return [(str(row["id"]), html_to_plain(row["text"])) for row in rows if row["kind"] == "proposal"]
