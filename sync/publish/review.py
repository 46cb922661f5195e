"""What people decide about publications: approve, reject, reopen. Sends nothing: the next `publish` does."""

from sqlalchemy import Engine

from ...config.model import Config
from ...core.clock import Clock
from ...core.ledger.ledger import Ledger, Publication
from .decisions import REFUSED_EDIT

_ANEW = {
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


class Reviewer:
    """One person's decisions."""

    def __init__(self, config: Config, engine: Engine, clock: Clock, who: str) -> None:
        self.config = config
        self.ledger = Ledger(engine, clock)
        self.who = who

    def approve(self, own: Publication) -> str:
        """Let through what waits: writes that await approval, texts that were held, edits over a moderator's text."""
        waiting = self.ledger.operations(states=("awaiting_approval", "planned"), publication=own.id)
        for op in waiting:
            publication = {"state": "approved", "reason": ""} if op.kind == "create" else None
            self.ledger.move(op, "approved", publication=publication, decided_by=self.who, detail=f"by {self.who}")
        if waiting:
            return "approved"
        if own.state == "held":
            self.ledger.update_publication(own, event="approved", detail=f"by {self.who}", state="released", reason="")
            return "approved: the next publish makes the copy"
        if own.state == "stuck":
            self.ledger.update_publication(own, event="approved", detail=f"by {self.who}", state="sent", reason="")
            return "approved: the next publish tries again to take the copy back"
        if own.reason.startswith(REFUSED_EDIT):
            self.ledger.update_publication(own, event="approved", detail=f"by {self.who}", reason="")
            return "approved: the next publish tries the edit again"
        if own.state in {"gone", "withdrawn"}:
            return self.reopen(own)
        return "not waiting for anybody"

    def reject(self, own: Publication, reason: str) -> str:
        """Keep it from being sent."""
        why = f"rejected by {self.who}" + (f": {reason}" if reason else "")
        waiting = self.ledger.operations(states=("awaiting_approval", "planned", "approved"), publication=own.id)
        for op in waiting:
            publication = {"state": "rejected", "reason": why} if op.kind == "create" else {"reason": why}
            if op.kind == "edit":
                # Not asked again before the origin changes again.
                publication |= {"sent_hash": op.payload_hash, "state": "sent"}
            state = "refused" if op.lane != "text" else "cancelled"
            self.ledger.move(op, state, publication=publication, decided_by=self.who, detail=why, error=why)
        if waiting:
            return "rejected"
        if own.reason.startswith(REFUSED_EDIT):
            refused = [
                op for op in self.ledger.operations(states=("refused",), publication=own.id) if op.kind == "edit"
            ]
            digest = refused[-1].payload_hash if refused else own.sent_hash
            self.ledger.update_publication(own, event="rejected", detail=why, reason="", sent_hash=digest)
            return "rejected"
        if own.state in {"held", "gone", "withdrawn", "stuck"}:
            state = {"held": "rejected", "gone": "withdrawn", "stuck": "withdrawn"}.get(own.state, own.state)
            self.ledger.update_publication(
                own, event="rejected", detail=why, state=state, reason="" if state == "withdrawn" else why
            )
            return "rejected"
        return "not waiting for anybody"

    def reopen(self, own: Publication) -> str:
        """Make a copy anew."""
        if own.state not in {"gone", "withdrawn", "rejected", "refused", "cancelled"}:
            return f"not reopened: it is {own.state}"
        self.ledger.update_publication(
            own, event="reopened", detail=f"by {self.who}", state="released", reason="", **_ANEW
        )
        return "reopened: the next publish makes the copy"
