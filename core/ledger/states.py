"""The states of publications and operations, who may move them where, and why they are as they are: the only place that knows.

A sentence beside a state is for people; code decides by the members of these enums alone. `docs/reference/states.md` is made from them.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Self


class _Explained(StrEnum):
    """A word with the sentence that explains it."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class PublicationState(_Explained):
    """Where a copy stands."""

    PLANNED = "planned", "The first run of its route only planned it; the next run goes on with it."
    AWAITING_APPROVAL = "awaiting_approval", "It waits for a person: `civicsync review`."
    APPROVED = "approved", "It will be sent by the next run, or when its time has come."
    SENDING = "sending", "It is being sent just now, or the process ended while it was."
    UNKNOWN = (
        "unknown",
        "It was sent and no trustworthy answer came; it is looked up on the platform before anything else.",
    )
    SENT = "sent", "The copy is there and says what it was told to say."
    REFUSED = "refused", "It cannot be made: the platform refused it, or it does not fit there."
    HELD = "held", "It may be a copy itself, or its copy may have been removed: a person decides."
    RELEASED = "released", "A person let it through; the next run makes the copy."
    REJECTED = "rejected", "A person said no."
    CANCELLED = (
        "cancelled",
        "Its origin went, or its route leads elsewhere, before the copy was made; nothing was sent.",
    )
    CONFLICT = "conflict", "Somebody changed the copy on its platform; it is left as it is until a person decides."
    GONE = "gone", "The copy is not there any more, and it was not civicsync that took it away."
    WITHDRAWN = "withdrawn", "The copy was taken back."
    STUCK = "stuck", "The copy should be taken back and its platform refuses."


class OperationState(_Explained):
    """Where one intended write stands."""

    PLANNED = "planned", "Written down by the first run of a route, which only plans."
    AWAITING_APPROVAL = "awaiting_approval", "A person must approve it."
    APPROVED = "approved", "To be sent when its turn has come."
    SENDING = "sending", "Claimed by a process; the request may be on its way."
    UNKNOWN = "unknown", "Sent, and what became of it is not known yet."
    SENT = "sent", "The platform confirmed it."
    REFUSED = "refused", "The platform refused it, and again when it was asked once more."
    REJECTED = "rejected", "A person said no."
    SUPERSEDED = "superseded", "A newer text took its place before it was sent."
    CANCELLED = "cancelled", "Not wanted any more, or it would have overwritten somebody's change."


class OperationKind(_Explained):
    """What is written."""

    CREATE = "create", "Make the copy."
    EDIT = "edit", "Make the copy say what its origin says now."
    WITHDRAW = "withdraw", "Take the copy back."
    ANSWER = "answer", "Tell an official answer at the copy."
    ANSWER_BACK = "answer_back", "Tell an official answer, given to the copy, at its origin."
    WITHDRAW_TWIN = "withdraw_twin", "Take a second text with the marker of the copy back; the copy stays."


class Lane(_Explained):
    """The line in which a publication's operation waits; one open operation per lane."""

    TEXT = "text", "What the copy says, and whether it is there."
    ANSWER = "answer", "The answers told at the copy."
    ORIGIN = "origin", "The answers told at the origin."
    TWIN = "twin", "A second text that carries the marker of the copy."


LANES: Mapping[OperationKind, Lane] = {
    OperationKind.CREATE: Lane.TEXT,
    OperationKind.EDIT: Lane.TEXT,
    OperationKind.WITHDRAW: Lane.TEXT,
    OperationKind.ANSWER: Lane.ANSWER,
    OperationKind.ANSWER_BACK: Lane.ORIGIN,
    OperationKind.WITHDRAW_TWIN: Lane.TWIN,
}


class Reason(_Explained):
    """Why a publication or an operation is where it is. The sentence stored beside it tells a person the particulars."""

    NONE = "", "Nothing in particular."
    NO_TEXT = "no_text", "The origin has no text that a person wrote."
    NO_LANGUAGE = "no_language", "The origin has no text in the languages that the route asks for."
    TEMPLATE_FAILS = "template_fails", "The route's template cannot be applied to it."
    TOO_SHORT = "too_short", "Its text is shorter than the target asks for."
    NO_ROOM = "no_room", "Not even the link to the original fits into what the target takes."
    TARGET_CANNOT = "target_cannot", "The target, its space or the account cannot do it."
    FOREIGN_MARKER = "foreign_marker", "It carries the marker of a copy, and our account did not write it."
    DOUBTFUL_MARKER = "doubtful_marker", "It carries what looks like a marker, and nobody knows why."
    TWIN = "twin", "Something on the target says that it is a copy of it already."
    OLDER_THAN_FOUND = (
        "older_than_found",
        "It is older than copies that were found again, or than a restore, and its own was not found.",
    )
    CREATE_REFUSED = "create_refused", "The platform refused to make the copy."
    EDIT_REFUSED = "edit_refused", "The platform refused the changed text."
    WITHDRAWAL_REFUSED = "withdrawal_refused", "The platform refused to take the copy back."
    ANSWER_REFUSED = "answer_refused", "The platform refused the official answer."
    ORIGIN_GONE = "origin_gone", "The origin is not public any more."
    ORIGIN_WITHDRAWN = "origin_withdrawn", "The origin was withdrawn by its author."
    ORIGIN_BACK = "origin_back", "The origin is there again after its copy was taken back."
    COPY_CHANGED = "copy_changed", "Somebody changed the copy on its platform."
    COPY_GONE = "copy_gone", "The copy is not there any more."
    COPY_THERE = "copy_there", "The copy is there already."
    REPLACED_BY_NOTE = "replaced_by_note", "It could not be taken back, so a note took the place of its text."
    LEADS_ELSEWHERE = "leads_elsewhere", "Its route leads to another instance or space now."
    TEXT_STAYS = "text_stays", "It was taken back, and its platform goes on showing its text."
    ANSWER_LOST = "answer_lost", "The request went out and no trustworthy answer came back."
    PROCESS_ENDED = "process_ended", "The process that was sending it ended before the answer came."
    NAMED_ANOTHER = "named_another", "The platform answered with a copy that belongs to something else."
    NOT_SENT = "not_sent", "Nothing was stored for certain; it is tried again later."
    TRIED_OFTEN = "tried_often", "It was tried as often as the configuration allows."
    PROVEN_ABSENT = "proven_absent", "It was looked up after its answer was lost, and is not there."
    ACCEPTED_NOT_FOUND = (
        "accepted_not_found",
        "The platform took it, and it cannot be found there: a person looks before it is sent again.",
    )
    CANNOT_TELL = (
        "cannot_tell",
        "Its answer was lost, and no look-up could tell what became of it: a person looks before it is sent again.",
    )
    TWINS = "twins", "More than one text on its platform carries its marker."
    MIXED_MARKERS = "mixed_markers", "The text of ours that carries its marker carries another copy's, too."
    UNPROVEN = "unproven", "A text there carries its marker, and nothing tells whether our account wrote it."
    NOT_ONE_MARKER = "not_one_marker", "What was to be sent would not carry exactly one marker, its own."
    HARMLESS = "harmless", "Its answer was lost, and repeating it changes nothing."
    HALF_MADE = "half_made", "It was found as a draft, which is finished now."
    ASKED_AGAIN = "asked_again", "It was refused once; one refusal alone may be the answer to another request."
    REJECTED = "rejected", "A person said no."
    LEFT_THERE = "left_there", "The origin is gone, and a person said that the copy stays."
    SUPERSEDED = "superseded", "A newer text came."
    SAYS_SO_ALREADY = "says_so_already", "The origin says again what the copy says."
    NOT_WANTED = "not_wanted", "Its route does not want it any more."


class Actor(_Explained):
    """Who moves a publication or an operation."""

    PLAN = "plan", "the plan of a run"
    PERSON = "person", "a person, by `civicsync review`"
    SENDING = "sending", "sending"
    LOOKUP = "lookup", "the look-up of a lost answer"
    PULL = "pull", "what the pull of the target saw"
    ADOPTION = "adoption", "a copy that was found again (`rebuild-map`, or before something is made)"


class ForbiddenMove(Exception):
    """A publication or operation was to be moved where nothing leads; a mistake in civicsync, and nothing was changed."""


P, W, A = PublicationState, OperationState, Actor

QUEUED = (W.PLANNED, W.AWAITING_APPROVAL, W.APPROVED)
"""Nothing was sent yet: these may be superseded or cancelled."""
UNDER_WAY = (W.SENDING, W.UNKNOWN)
"""What became of these must be known first."""
OPEN = (*QUEUED, *UNDER_WAY)
KNOWINGLY = (Reason.ACCEPTED_NOT_FOUND, Reason.CANNOT_TELL)
"""What waits for one of these may be public already: only a person sends it again, and only knowingly."""
CLOSED = tuple(state for state in W if state not in OPEN)
NOT_MADE = (P.PLANNED, P.AWAITING_APPROVAL, P.APPROVED, P.REFUSED, P.HELD, P.RELEASED, P.REJECTED, P.CANCELLED)
"""Publications without a copy of which nothing is under way."""
LIVE = (P.SENT, P.CONFLICT)
"""The copy is there, as far as is known."""
ENDED = (P.WITHDRAWN, P.CANCELLED, P.REFUSED, P.REJECTED, P.GONE)
"""Their texts need not be kept for ever."""
_TOLD = (P.REFUSED, P.HELD, P.CONFLICT, P.STUCK, P.GONE)
_WAITING = (P.HELD, P.CONFLICT, P.GONE, P.STUCK)
_REASONS_TOLD = (Reason.EDIT_REFUSED, Reason.ANSWER_REFUSED, Reason.TWINS, Reason.NOT_ONE_MARKER, Reason.TEXT_STAYS)
_ASKED = (*_REASONS_TOLD, Reason.ORIGIN_BACK)
FLAGGED = (Reason.ORIGIN_GONE, Reason.ORIGIN_WITHDRAWN)
"""Why a copy that stands there is only told about (`follow.withdrawals: flag`)."""
_P_QUEUED = (P.PLANNED, P.AWAITING_APPROVAL, P.APPROVED)

Moves = Mapping[tuple[str | None, str], frozenset[Actor]]


def _moves(*rows: tuple[Iterable[str | None], Iterable[str], Iterable[Actor]]) -> Moves:
    found: dict[tuple[str | None, str], frozenset[Actor]] = {}
    for befores, afters, actors in rows:
        for before in befores:
            for after in afters:
                if before != after:
                    found[before, after] = found.get((before, after), frozenset()) | frozenset(actors)
    return found


PUBLICATION_MOVES = _moves(
    ((None,), (*_P_QUEUED, P.HELD, P.REFUSED), (A.PLAN,)),
    ((None,), (P.SENT, P.HELD), (A.ADOPTION,)),
    (_P_QUEUED, _P_QUEUED, (A.PLAN, A.PERSON)),
    (_P_QUEUED, (P.CANCELLED,), (A.PLAN, A.ADOPTION)),
    (_P_QUEUED, (P.REJECTED,), (A.PERSON,)),
    ((P.REFUSED, P.CANCELLED, P.RELEASED), _P_QUEUED, (A.PLAN,)),
    ((P.RELEASED,), (P.CANCELLED,), (A.PLAN,)),
    ((P.HELD,), (P.RELEASED, P.REJECTED), (A.PERSON,)),
    ((P.REJECTED, P.REFUSED, P.CANCELLED, P.GONE, P.WITHDRAWN), (P.RELEASED,), (A.PERSON,)),
    (NOT_MADE, (P.SENT, P.GONE, P.WITHDRAWN, P.HELD), (A.ADOPTION,)),
    ((P.SENT,), (P.GONE, P.WITHDRAWN), (A.ADOPTION,)),
    ((P.APPROVED,), (P.SENDING,), (A.SENDING,)),
    ((P.SENDING,), (P.SENT, P.REFUSED, P.APPROVED, P.AWAITING_APPROVAL, P.UNKNOWN, P.CANCELLED), (A.SENDING,)),
    ((P.UNKNOWN,), (P.SENT, P.APPROVED, P.AWAITING_APPROVAL), (A.LOOKUP,)),
    ((P.SENT,), (P.CONFLICT,), (A.PLAN, A.SENDING)),
    ((P.CONFLICT,), (P.SENT,), (A.PLAN, A.SENDING, A.PERSON)),
    (LIVE, (P.GONE,), (A.SENDING, A.PULL)),
    (LIVE, (P.WITHDRAWN, P.STUCK), (A.SENDING,)),
    ((P.GONE, P.WITHDRAWN), (P.SENT,), (A.PULL,)),
    ((P.GONE,), (P.WITHDRAWN,), (A.PERSON,)),
    ((P.STUCK,), (P.SENT, P.WITHDRAWN), (A.PERSON,)),
)
"""From where (None: it is new) to where, and by whom. Staying where one is needs no leave."""

OPERATION_MOVES = _moves(
    ((None,), QUEUED, (A.PLAN,)),
    ((W.PLANNED,), (W.AWAITING_APPROVAL, W.APPROVED), (A.PLAN, A.PERSON)),
    ((W.AWAITING_APPROVAL,), (W.APPROVED,), (A.PERSON,)),
    (QUEUED, (W.SUPERSEDED,), (A.PLAN,)),
    (QUEUED, (W.CANCELLED,), (A.PLAN, A.ADOPTION, A.PERSON)),
    (QUEUED, (W.REJECTED,), (A.PERSON,)),
    ((W.APPROVED,), (W.SENDING,), (A.SENDING,)),
    ((W.SENDING,), (W.SENT, W.REFUSED, W.APPROVED, W.AWAITING_APPROVAL, W.UNKNOWN, W.CANCELLED), (A.SENDING,)),
    ((W.UNKNOWN,), (W.SENT, W.APPROVED, W.AWAITING_APPROVAL), (A.LOOKUP,)),
)
"""The same for operations. What was sent and not answered can only be looked up: nothing leads from `unknown` to `sending`."""


def check_move(moves: Moves, before: str | None, after: str) -> None:
    """Let a move pass that somebody may make.

    Raises:
        ForbiddenMove: nobody may.
    """
    if before != after and (before, after) not in moves:
        raise ForbiddenMove(f"nothing leads from {before or 'nothing'} to {after}")


def state_after(
    before: PublicationState, kind: OperationKind, state: OperationState, reason: Reason
) -> PublicationState:
    """The state of a publication after one of its operations came to `state` for `reason`."""
    match kind, state:
        case OperationKind.CREATE, W.SUPERSEDED:
            return before
        case OperationKind.CREATE, _:
            return P(state.value)
        case OperationKind.EDIT, _ if before not in LIVE:
            return before
        case OperationKind.EDIT, W.SENT | W.REJECTED:
            return P.SENT
        case OperationKind.EDIT, W.AWAITING_APPROVAL if reason is Reason.COPY_CHANGED:
            return P.CONFLICT
        case OperationKind.EDIT, W.CANCELLED if reason is Reason.COPY_GONE:
            return P.GONE
        case OperationKind.EDIT, W.CANCELLED if reason in {
            Reason.COPY_CHANGED,
            Reason.NOT_WANTED,
            Reason.LEADS_ELSEWHERE,
        }:
            return P.SENT
        case OperationKind.WITHDRAW, W.SENT:
            return P.WITHDRAWN
        case OperationKind.WITHDRAW, W.REFUSED if before in LIVE:
            return P.STUCK
        case _:
            return before


def refusal_of(kind: OperationKind) -> Reason:
    """Why a publication is told when the platform refused an operation of this kind."""
    return {
        OperationKind.CREATE: Reason.CREATE_REFUSED,
        OperationKind.EDIT: Reason.EDIT_REFUSED,
        OperationKind.WITHDRAW: Reason.WITHDRAWAL_REFUSED,
        OperationKind.WITHDRAW_TWIN: Reason.TWINS,
    }.get(kind, Reason.ANSWER_REFUSED)


def waits_for_person(state: PublicationState, reason: Reason) -> bool:
    """Whether a publication stands in `review list` without an operation that waits for approval."""
    return state in _WAITING or reason in _ASKED or (state in LIVE and reason in FLAGGED)


def is_told(state: PublicationState, reason: Reason) -> bool:
    """Whether a run says, in its summary, why a publication is as it is."""
    return state in _TOLD or reason in _REASONS_TOLD or (state in LIVE and reason in FLAGGED)
