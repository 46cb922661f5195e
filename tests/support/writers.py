"""Writers that do what a list says, for the tests of sending: no platform behind them, no network."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from civicsync.connectors.contract.writing import (
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
)

COPY = Copy("proposal/1", "https://b.example/1")
HALF = Copy("proposal/1", "https://b.example/1", complete=False)


class BareWriter:
    """Can only create and read. What is scripted for a method comes first (an error is raised), then what a good platform does."""

    def __init__(self, shown: Reading | None = None, **script: Sequence[Any]) -> None:
        """`shown`: what stands on the platform now."""
        self.script = {name: deque(results) for name, results in script.items()}
        self.shown = shown
        self.calls: list[str] = []
        self.since: datetime | None = None
        self.said: list[str] = []
        self.found: list[Copy | None] = []

    def _scripted(self, name: str, otherwise: Any) -> Any:
        self.calls.append(name)
        results = self.script.get(name)
        result = results.popleft() if results else otherwise
        if isinstance(result, BaseException):
            raise result
        return result

    async def check(self) -> Standing:
        return Standing("robot")

    async def limits(self, space: str, voice: Voice | None = None) -> Limits:
        return Limits()

    def fit(self, space: str, draft: Draft) -> Fitted:
        return self._scripted("fit", Fitted(draft))

    def plan_create(self, space: str, draft: Draft) -> Sequence[Request]:
        return []

    async def create(self, space: str, draft: Draft, found: Copy | None = None) -> Copy:
        self.found.append(found)
        copy = self._scripted("create", COPY)
        self._show(draft)
        return copy

    async def read(self, copy: Copy) -> Reading | None:
        return self._scripted("read", self.shown)

    def _show(self, draft: Draft) -> None:
        self.said.append(draft.main.plain)
        self.shown = Reading(draft.main.title, draft.main.plain)


class ScriptedWriter(BareWriter):
    """Can do everything."""

    async def find(self, space: str, draft: Draft, since: datetime) -> Copy | None:
        self.since = since
        return self._scripted("find", None)

    async def authored(self, space: str) -> AsyncIterator[Authored]:
        for each in self.script.get("authored", ()):
            self.calls.append("authored")
            yield each

    async def edit(self, space: str, copy: Copy, draft: Draft) -> Copy:
        result = self._scripted("edit", COPY)
        self._show(draft)
        return result

    def plan_edit(self, space: str, copy: Copy, draft: Draft) -> Sequence[Request]:
        return []

    async def withdraw(self, space: str, copy: Copy, reason: str) -> None:
        self._scripted("withdraw", None)
        self.shown = None

    def plan_withdraw(self, space: str, copy: Copy, reason: str) -> Sequence[Request]:
        return []

    async def has_answer(self, ref: str, answer: AnswerDraft) -> bool:
        return self._scripted("has_answer", False)

    async def answer(self, ref: str, answer: AnswerDraft) -> None:
        self._scripted("answer", None)

    def plan_answer(self, ref: str, answer: AnswerDraft) -> Sequence[Request]:
        return []

    async def has_comment(self, ref: str, marker: str, text: LocalText | None = None) -> bool:
        return self._scripted("has_comment", False)

    async def comment(self, ref: str, text: LocalText) -> None:
        self._scripted("comment", None)

    def plan_comment(self, ref: str, text: LocalText) -> Sequence[Request]:
        return []
