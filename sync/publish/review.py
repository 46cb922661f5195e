"""What people decide about publications: approve, reject, reopen. Sends nothing: the next `publish` does."""

from enum import StrEnum
from typing import Any, Self

from sqlalchemy import Engine

from ...config.model import Config
from ...core.clock import Clock
from ...core.ledger.ledger import SETTLED, Ledger, Operation, Publication, told
from ...core.ledger.states import QUEUED, Lane, OperationKind, OperationState, PublicationState, Reason

_ANEW: dict[str, Any] = {
    "remote_ref": None,
    "remote_id": None,
    "copy_key": None,
    "url": None,
    "how": None,
    "sent_hash": None,
    "sent_payload": None,
    "copy_print": None,
    "sent_at": None,
}


_ASKED = (OperationState.AWAITING_APPROVAL, OperationState.PLANNED)
_REOPENED = (
    PublicationState.GONE,
    PublicationState.WITHDRAWN,
    PublicationState.REJECTED,
    PublicationState.REFUSED,
    PublicationState.CANCELLED,
)


class Ruling(StrEnum):
    """What became of a person's decision about one publication; the sentence is what the person is told."""

    taken: bool

    def __new__(cls, sentence: str, taken: bool) -> Self:
        member = str.__new__(cls, sentence)
        member._value_ = sentence
        member.taken = taken
        return member

    APPROVED = "approved", True
    RELEASED = "approved: the next publish makes the copy", True
    WITHDRAWN_AGAIN = "approved: the next publish tries again to take the copy back", True
    EDITED_AGAIN = "approved: the next publish tries the edit again", True
    ANSWERED_AGAIN = "approved: the next publish tries the answer again", True
    SEEN = "approved: seen; it is told again when more are found", True
    REJECTED = "rejected", True
    REOPENED = "reopened: the next publish makes the copy", True
    NOTHING_WAITS = "not waiting for anybody", False
    NOT_REOPENED = "not reopened: there is nothing to make anew", False


class Reviewer:
    """One person's decisions."""

    def __init__(self, config: Config, engine: Engine, clock: Clock, who: str) -> None:
        self.config = config
        self.ledger = Ledger(engine, clock)
        self.who = who

    def approve(self, own: Publication) -> Ruling:
        """Let through what waits: writes that await approval, texts that were held, edits over a moderator's text."""
        waiting = self.ledger.operations(states=_ASKED, publication=own.id)
        for op in waiting:
            change = SETTLED if op.kind is OperationKind.CREATE else None
            by = f"by {self.who}"
            # Whoever approves what may be there already says: send it again.
            self.ledger.move(
                op,
                OperationState.APPROVED,
                change=change,
                lookups=0,
                accepted_at=None,
                decided_by=self.who,
                detail=by,
            )
        if waiting:
            return Ruling.APPROVED
        if own.state is PublicationState.HELD:
            self._decide(own, "approved", PublicationState.RELEASED, SETTLED)
            return Ruling.RELEASED
        if own.state is PublicationState.STUCK:
            self._decide(own, "approved", PublicationState.SENT, SETTLED)
            return Ruling.WITHDRAWN_AGAIN
        if own.reason_code is Reason.EDIT_REFUSED:
            self._decide(own, "approved", None, SETTLED)
            return Ruling.EDITED_AGAIN
        if own.reason_code is Reason.ANSWER_REFUSED:
            return self._answer_again(own)
        if own.reason_code is Reason.TWINS:
            self._decide(own, "approved", None, SETTLED)
            return Ruling.SEEN
        if own.state in {PublicationState.GONE, PublicationState.WITHDRAWN}:
            return self.reopen(own)
        return Ruling.NOTHING_WAITS

    def reject(self, own: Publication, reason: str) -> Ruling:
        """Keep it from being sent."""
        why = f"rejected by {self.who}" + (f": {reason}" if reason else "")
        waiting = self.ledger.operations(states=QUEUED, publication=own.id)
        for op in waiting:
            change = told(Reason.REJECTED, why)
            if op.kind is OperationKind.EDIT:
                change["sent_hash"] = op.payload_hash  # not asked again before the origin changes again
            self.ledger.move(
                op,
                OperationState.REJECTED,
                reason=Reason.REJECTED,
                sentence=why,
                change=change,
                decided_by=self.who,
            )
        if waiting:
            return Ruling.REJECTED
        if own.reason_code is Reason.EDIT_REFUSED:
            ended = self.ledger.operations(states=(OperationState.REFUSED,), publication=own.id)
            refused = [op for op in ended if op.kind is OperationKind.EDIT]
            digest = refused[-1].payload_hash if refused else own.sent_hash
            self._decide(own, "rejected", None, {**SETTLED, "sent_hash": digest}, detail=why)
            return Ruling.REJECTED
        if own.reason_code in {Reason.ANSWER_REFUSED, Reason.TWINS}:
            self._decide(own, "rejected", None, SETTLED, detail=why)
            return Ruling.REJECTED
        if own.state is PublicationState.HELD:
            self._decide(own, "rejected", PublicationState.REJECTED, told(Reason.REJECTED, why), detail=why)
            return Ruling.REJECTED
        if own.state in {PublicationState.GONE, PublicationState.WITHDRAWN, PublicationState.STUCK}:
            self._decide(own, "rejected", PublicationState.WITHDRAWN, SETTLED, detail=why)
            return Ruling.REJECTED
        return Ruling.NOTHING_WAITS

    def _answer_again(self, own: Publication) -> Ruling:
        """The answers that were refused, once more; what was refused meanwhile for another reason waits like any other."""
        newest: dict[str, Operation] = {}
        for op in self.ledger.operations(states=(OperationState.REFUSED,), publication=own.id):
            newest[op.lane] = op
        for op in newest.values():
            if op.lane is Lane.TEXT or op.payload is None:
                continue
            self.ledger.intend(
                own,
                op.kind,
                OperationState.APPROVED,
                payload=op.payload,
                payload_hash=op.payload_hash,
                target_instance=op.target_instance,
                decided_by=self.who,
            )
        self._decide(own, "approved", None, SETTLED)
        return Ruling.ANSWERED_AGAIN

    def reopen(self, own: Publication) -> Ruling:
        """Make a copy anew."""
        if own.state not in _REOPENED:
            return Ruling.NOT_REOPENED
        self._decide(own, "reopened", PublicationState.RELEASED, {**SETTLED, **_ANEW})
        return Ruling.REOPENED

    def _decide(
        self, own: Publication, event: str, state: PublicationState | None, values: dict[str, Any], detail: str = ""
    ) -> None:
        self.ledger.update_publication(own, event=event, detail=detail or f"by {self.who}", state=state, **values)
