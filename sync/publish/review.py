"""What people decide about publications: approve, reject, reopen. Sends nothing: the next `publish` does.

An approval counts for what its person was shown: over a moderator's text only after `review show`, and no more once the text changed.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from sqlalchemy import Engine

from ...config.model import Config
from ...connectors.contract.writing import Reading
from ...connectors.open import open_writer, user_agent
from ...core.clock import Clock
from ...core.ledger.ledger import SETTLED, Ledger, Operation, Publication, told
from ...core.ledger.states import (
    FLAGGED,
    KNOWINGLY,
    LIVE,
    QUEUED,
    Lane,
    OperationKind,
    OperationState,
    PublicationState,
    Reason,
)
from .decisions import copy_of
from .sending import there_of

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
_OF_THE_COPY = (Lane.ANSWER, Lane.TWIN)
"""Lanes of what waits for the very copy that stood there, and means nothing to another one."""


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
    TAKEN_BACK = "approved: the next publish takes the copy back", True
    EDITED_AGAIN = "approved: the next publish tries the edit again", True
    ANSWERED_AGAIN = "approved: the next publish tries the answer again", True
    SEEN = "approved: seen; it is told again when more are found", True
    NOTED = "approved: seen; its text stays readable there", True
    REJECTED = "rejected", True
    REOPENED = "reopened: the next publish makes the copy", True
    NOTHING_WAITS = "not waiting for anybody", False
    LOOK_FIRST = "not approved: somebody changed the copy, and you did not see how; `review show` it first", False
    CHANGED_SINCE = "not approved: its text changed since it was shown to you; `review show` it again", False
    NAME_IT = "not approved with all others: look there first, then name its id", False
    ONLY_REOPENED = "not approved: its copy was removed or taken back; only `review reopen ID` makes one anew", False
    NOT_REOPENED = "not reopened: there is nothing to make anew", False


class Reviewer:
    """One person's decisions."""

    def __init__(self, config: Config, engine: Engine, clock: Clock, who: str) -> None:
        self.config = config
        self.ledger = Ledger(engine, clock)
        self.who = who

    def show(self, own: Publication, op: Operation, now: Reading | None) -> None:
        """Note that this person was shown the operation, and what stands on the platform now (None: that cannot be told)."""
        if now is not None and op.kind is OperationKind.EDIT:
            self.ledger.note_there(op, there_of(now, self.who))
        self.ledger.update_publication(own, event="shown", detail=self._shown(op))

    def _shown(self, op: Operation) -> str:
        return f"to {self.who}: {op.kind} {op.payload_hash}"

    def _not_shown(self, own: Publication, op: Operation, *, named: bool) -> Ruling | None:
        """Why this operation cannot be approved by this person as it is."""
        if op.reason_code in KNOWINGLY and not named:
            return Ruling.NAME_IT
        if op.kind is OperationKind.EDIT and Reason.COPY_CHANGED in {op.reason_code, own.reason_code}:
            shown_to = (op.there or {}).get("shown_to")
            if shown_to != self.who:
                return Ruling.LOOK_FIRST
        mine = [each["detail"] for each in self.ledger.events(own.id) if each["what"] == "shown"]
        mine = [each for each in mine if each.startswith(f"to {self.who}: {op.kind} ")]
        return Ruling.CHANGED_SINCE if mine and mine[-1] != self._shown(op) else None

    def approve(self, own: Publication, *, named: bool = True) -> Ruling:
        """Let through what waits: writes that await approval, texts that were held, edits over a moderator's text they were shown.

        What was removed or taken back is never made anew by it. `named`: by its id, not with all others.
        """
        waiting = self.ledger.operations(states=_ASKED, publication=own.id)
        for op in waiting:
            refused = self._not_shown(own, op, named=named)
            if refused is not None:
                return refused
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
        if own.state in LIVE and own.reason_code in FLAGGED:
            return self._take_back(own) if named else Ruling.NAME_IT
        if own.reason_code is Reason.TEXT_STAYS:
            self._decide(own, "approved", None, SETTLED)
            return Ruling.NOTED
        if (
            own.state in {PublicationState.GONE, PublicationState.WITHDRAWN}
            or own.reason_code is Reason.OLDER_THAN_FOUND
        ):
            return Ruling.ONLY_REOPENED
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
        return Ruling.NOTHING_WAITS

    def reject(self, own: Publication, reason: str) -> Ruling:
        """Keep it from being sent."""
        why = f"rejected by {self.who}" + (f": {reason}" if reason else "")
        waiting = self.ledger.operations(states=QUEUED, publication=own.id)
        for op in waiting:
            change = told(Reason.REJECTED, why)
            if op.kind is OperationKind.EDIT:
                change["sent_hash"] = op.payload_hash  # not asked again before the origin changes again
            if op.kind is OperationKind.WITHDRAW:
                change = told(Reason.LEFT_THERE, why)  # by which the next plan knows; until the origin was back
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
        if own.state in LIVE and own.reason_code in FLAGGED:
            # By this the next plan knows; until the origin was back.
            self._decide(own, "rejected", None, told(Reason.LEFT_THERE, why), detail=why)
            return Ruling.REJECTED
        if own.reason_code in {Reason.ANSWER_REFUSED, Reason.TWINS}:
            self._decide(own, "rejected", None, SETTLED, detail=why)
            return Ruling.REJECTED
        if own.state is PublicationState.HELD:
            self._decide(own, "rejected", PublicationState.REJECTED, told(Reason.REJECTED, why), detail=why)
            return Ruling.REJECTED
        if own.state in {PublicationState.GONE, PublicationState.WITHDRAWN, PublicationState.STUCK}:
            # The reason stays, by which the next plan knows that nobody is to be asked again.
            self._decide(own, "rejected", PublicationState.WITHDRAWN, told(Reason.REJECTED, why), detail=why)
            return Ruling.REJECTED
        return Ruling.NOTHING_WAITS

    def _take_back(self, own: Publication) -> Ruling:
        """What the route only tells of, and a person wants gone."""
        self.ledger.intend(
            own,
            OperationKind.WITHDRAW,
            OperationState.APPROVED,
            payload={"reason": own.reason},
            notes=[own.reason],
            decided_by=self.who,
        )
        self._decide(own, "approved", None, SETTLED)
        return Ruling.TAKEN_BACK

    def _answer_again(self, own: Publication) -> Ruling:
        """The answers that were refused, once more; what was refused meanwhile for another reason waits like any other."""
        newest: dict[str, Operation] = {}
        for op in self.ledger.operations(states=(OperationState.REFUSED,), publication=own.id):
            newest[op.lane] = op
        for op in newest.values():
            if op.lane in {Lane.TEXT, Lane.TWIN} or op.payload is None:
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
        held = own.state is PublicationState.HELD and own.reason_code is Reason.OLDER_THAN_FOUND
        if own.state not in _REOPENED and not held:
            return Ruling.NOT_REOPENED
        for lane in _OF_THE_COPY:
            self.ledger.cancel(own, lane, Reason.COPY_GONE, "a copy is made anew: this was for the one before")
        self._decide(own, "reopened", PublicationState.RELEASED, {**SETTLED, **_ANEW})
        return Ruling.REOPENED

    def _decide(
        self, own: Publication, event: str, state: PublicationState | None, values: dict[str, Any], detail: str = ""
    ) -> None:
        self.ledger.update_publication(own, event=event, detail=detail or f"by {self.who}", state=state, **values)


async def look(
    config: Config, own: Publication, clock: Clock, backends: Mapping[str, Any] | None = None
) -> Reading | None:
    """What stands on the platform in place of the copy now; None: nothing. Writes nothing.

    Raises:
        ConnectorError: that cannot be told now.
    """
    async with open_writer(
        own.target_instance,
        config.instances[own.target_instance],
        secret=config.privacy.key.get_secret_value(),
        agent=user_agent(config.operator.name, config.operator.contact),
        clock=clock,
        backend=(backends or {}).get(own.target_instance),
    ) as (writer, _):
        return await writer.read(copy_of(own))
