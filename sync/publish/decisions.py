"""Decisions: what a route would do, each with its reason, its exact text and the requests that would carry it out.

Pure: made by `planning`, written down by `intents`, carried out by `sending`.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from ...config.routes import Route
from ...connectors.contract.errors import CannotDo
from ...connectors.contract.writing import (
    CanAnswer,
    CanComment,
    CanEdit,
    CanWithdraw,
    Copy,
    Draft,
    KeepsText,
    LocalText,
    Request,
    Writer,
)
from ...core.identity import Key
from ...core.ledger.bases import Basis
from ...core.ledger.ledger import Publication
from ...core.ledger.states import Lane, Reason
from ..render import phrases
from ..render.render import answer_of, blanked, draft_of


class Action(StrEnum):
    """What a route would do about one proposal."""

    CREATE = "create"
    EDIT = "edit"
    WITHDRAW = "withdraw"
    WITHDRAW_TWIN = "withdraw_twin"
    ANSWER = "answer"
    ANSWER_BACK = "answer_back"
    HOLD = "hold"
    REFUSE = "refuse"
    FLAG = "flag"
    CANCEL = "cancel"
    CONFIRM = "confirm"
    GONE = "gone"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing a route would do; `why` says it to a person, `reason` to the code."""

    action: Action
    origin: Key
    title: str
    why: str = ""
    reason: Reason = Reason.NONE
    notes: tuple[str, ...] = ()
    payload: dict[str, Any] | None = None
    payload_hash: str = ""
    marker: str = ""
    publication: Publication | None = None
    older: bool = False
    """Of an answer: it was given before the copy was made."""
    lane: Lane = Lane.TEXT
    """Of what is cancelled."""


@dataclass(slots=True)
class Plan:
    """All decisions of one route. `waiting` counts what qualifies but does not fit under the caps of this run."""

    route: str
    decisions: list[Decision] = field(default_factory=list[Decision])
    skipped: dict[str, int] = field(default_factory=dict[str, int])
    waiting: int = 0
    warnings: list[str] = field(default_factory=list[str])
    """What was seen on the target and is not obeyed."""
    strays: int = 0
    """Copies of ours that a pull saw on the target and the ledger does not know."""
    bases: dict[str, Basis] = field(default_factory=dict[str, Basis])
    """By publication, what the texts that were rendered for this plan were made from."""
    fingerprint: str = ""
    began: datetime | None = None
    hand_over: Callable[[Decision], None] | None = None
    """Takes each decision as it is made; then the plan keeps none, however many there are."""

    @property
    def add(self) -> Callable[[Decision], None]:
        """Takes one more decision."""
        return self.hand_over or self.decisions.append

    def of(self, *actions: Action) -> list[Decision]:
        """The decisions of these kinds."""
        return [each for each in self.decisions if each.action in actions]


def requests_of(decision: Decision, route: Route, writer: Writer, locale: str | None = None) -> Sequence[Request]:
    """The requests that carry out a decision, made by the code that would send them.

    `locale`: the language of a copy of which the ledger, which was lost, does not tell it.

    Raises:
        CannotDo: the platform, the space or the account cannot do that.
    """
    own = decision.publication
    space = own.target_space if own is not None else route.to.space
    if decision.action is Action.CREATE and decision.payload:
        return writer.plan_create(space, draft_of(decision.payload))
    if own is None or own.remote_ref is None:
        return ()
    copy = copy_of(own)
    if decision.action is Action.EDIT and decision.payload:
        return editing(writer).plan_edit(space, copy, draft_of(decision.payload))
    if decision.action is Action.WITHDRAW_TWIN:
        twins = [replace(copy, ref=each, url="") for each in (decision.payload or {}).get("refs", ())]
        return [request for twin in twins for request in _taking_back(own, twin, writer, locale)]
    if decision.action is Action.WITHDRAW:
        return _taking_back(own, copy, writer, locale)
    if decision.action in {Action.ANSWER, Action.ANSWER_BACK} and decision.payload:
        answer = answer_of(decision.payload)
        ref = copy.ref if decision.action is Action.ANSWER else own.origin_key.partition("/")[2]
        if isinstance(writer, CanAnswer):
            return writer.plan_answer(ref, answer)
        if isinstance(writer, CanComment):
            return writer.plan_comment(ref, answer.texts[answer.locale])
    return ()


def _taking_back(own: Publication, copy: Copy, writer: Writer, locale: str | None) -> Sequence[Request]:
    """The note goes out first where a text stays readable, and alone where nothing can be taken back."""
    space, note, first = own.target_space, None, list[Request]()
    if (
        isinstance(writer, CanEdit)
        and (note := note_for(own, copy, writer, locale)) is not None
        and _keeps_text(writer)
    ):
        with suppress(CannotDo):  # then its text stays, and it is taken back all the same
            first += writer.plan_edit(space, copy, note)
    try:
        text = withdrawal_text(own, locale=locale)
        return [*first, *withdrawing(writer).plan_withdraw(space, copy, text)]
    except CannotDo:
        if note is None or not isinstance(writer, CanEdit):
            raise
        return first or writer.plan_edit(space, copy, note)


def _keeps_text(writer: Writer) -> bool:
    return isinstance(writer, KeepsText) and writer.keeps_text_when_withdrawn


def note_for(own: Publication, copy: Copy, writer: Writer, locale: str | None) -> Draft | None:
    """What stands in place of a text; None where nobody knows any more in which language the copy is (`locale` as in `sent_as`)."""
    said = sent_as(own, copy, locale)
    return writer.fit(own.target_space, blanked(said)).draft if said is not None else None


def sent_as(own: Publication, copy: Copy, locale: str | None) -> Draft | None:
    """What a copy was sent as; after a lost ledger its marker and language alone; None where not even that is known any more.

    `locale`: the language where neither what was sent nor the copy tells it.
    """
    if own.sent_payload:
        return draft_of(own.sent_payload)
    spoken = copy.how.get("locale") or locale
    if spoken is None:
        return None
    return Draft(spoken, {spoken: LocalText("", "", "")}, own.marker, copy.how.get("voice"))


def copy_of(own: Publication) -> Copy:
    """Where the copy of a publication is."""
    assert own.remote_ref is not None
    return Copy(own.remote_ref, own.url or "", own.how or {})


def withdrawal_text(own: Publication, *, text_stays: bool = False, locale: str | None = None) -> str:
    """What citizens read where a platform asks why a copy is taken back, in the copy's language; true also where its text stays.

    `locale`: the language where the ledger, which was lost, does not tell it.
    """
    spoken = str((own.sent_payload or {}).get("locale") or (own.how or {}).get("locale") or locale or "en")
    return phrases.withdrawn_readable(spoken) if text_stays else phrases.withdrawn(spoken)[1]


def editing(writer: Writer) -> CanEdit:
    """The writer, if it can edit.

    Raises:
        CannotDo: it cannot.
    """
    if not isinstance(writer, CanEdit):
        raise CannotDo("this platform's copies cannot be edited")
    return writer


def withdrawing(writer: Writer) -> CanWithdraw:
    """The writer, if it can take copies back.

    Raises:
        CannotDo: it cannot.
    """
    if not isinstance(writer, CanWithdraw):
        raise CannotDo("this platform's copies cannot be taken back")
    return writer
