"""Five guards against echo, any one of which suffices: only originals are ever published.

1. the ledger: what is a copy of ours is known by its key (`origins.new_origins`, in its question to the database);
2. the author: what our own accounts wrote is never an original (there as well);
3. the marker: a text with a marker is a copy, ours or somebody else's, or a forgery; none of them is published by itself;
4. the pending write: something that looks like what we are just sending there may be it;
5. the origin: a publication's origin is an original by the four above, and copies are made from origins only, never from copies.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ...core.identity import Ref
from ...core.ledger.ledger import Ledger, Operation
from ...core.ledger.marker import Signer, claims_marker, markers_in
from ...core.ledger.states import UNDER_WAY, OperationKind, Reason
from ..origins import Origin
from ..render.render import draft_of, fingerprint
from .peers import Peers


class Provenance(StrEnum):
    """What a proposal is to the publisher."""

    ORIGINAL = "original"
    COPY = "copy"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Classified:
    """What a proposal is, and why."""

    provenance: Provenance
    why: str = ""
    reason: Reason = Reason.NONE


class Guards:
    """Judges the proposals of one instance; made anew for every run."""

    def __init__(
        self, ledger: Ledger, signer: Signer, instance: str, spaces: Iterable[Ref] = (), peers: Peers | None = None
    ) -> None:
        """`spaces`: into which of its spaces routes lead; `peers`: who else copies to it."""
        self._peers = peers
        self._spaces = tuple(spaces)
        self._signer = signer
        self._instance = instance
        self._pending = self._fingerprints(ledger.operations(states=UNDER_WAY, target=instance))

    def _fingerprints(self, operations: Iterable[Operation]) -> set[str]:
        found: set[str] = set()
        for each in operations:
            if each.kind is OperationKind.CREATE and each.payload:
                found |= {fingerprint(text.title, "") for text in draft_of(each.payload).texts.values()}
        return found

    def judge(self, origin: Origin) -> Classified:
        """Whether this may be the origin of copies."""
        text = "\n".join(f"{each.title}\n{each.plain}\n{each.html}" for each in origin.texts)
        if claims_marker(text):
            peer = self._peers.who_wrote(self._instance, origin.author) if self._peers is not None else None
            if peer is not None and markers_in(text):
                return Classified(Provenance.COPY, f"it is a copy that {peer} made")
            return self._judge_marker(text, official=origin.author is None)
        if fingerprint(origin.title, "") in self._pending:
            return Classified(Provenance.COPY, "it may be a copy that is just being made; the next run knows")
        return Classified(Provenance.ORIGINAL)

    def _judge_marker(self, text: str, *, official: bool) -> Classified:
        for marker in markers_in(text):
            if official and any(self._signer.is_ours(marker, self._instance, space) for space in self._spaces):
                return Classified(Provenance.COPY, "it is a copy that civicsync made in the organisation's name")
            if marker.origin.partition("/")[0] != self._instance:
                return Classified(
                    Provenance.HELD,
                    f"it says that it is a copy of {marker.origin}, but our account did not write it",
                    Reason.FOREIGN_MARKER,
                )
        return Classified(
            Provenance.HELD,
            "it carries what looks like a marker of civicsync, and nobody knows why",
            Reason.DOUBTFUL_MARKER,
        )
