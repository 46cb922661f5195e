"""The signed marker that every copy carries, so that a copy is known as one even after the ledger was lost.

`[civicsync:participa-west/proposal/31~k7q2mhd4x3zp5t6a]`: the origin's key, and a signature over it and the place of the copy. A citizen
can type something that looks like a marker, or paste a real one into another text; neither is ever believed: a marker counts
only with its signature, in its place, and written by our own account. Whatever else looks like one is held for a person.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from ..identity import Key, Ref

_MARKER = re.compile(r"\[civicsync:([a-z0-9][a-z0-9-]{0,62}/[a-z_]+/[A-Za-z0-9_.:-]{1,100})~([a-z2-7]{16})\]")
_CLAIM = re.compile(r"\[\s*civicsync\s*:[^\]]{0,300}\]?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Marker:
    """What a marker says; believed only after `Signer.is_ours`."""

    origin: Key
    signature: str

    def __str__(self) -> str:
        return f"[civicsync:{self.origin}~{self.signature}]"


class Signer:
    """Makes and verifies markers with a key derived from `privacy.key`, which is never in the database."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"civicsync:marker:1", hashlib.sha256)

    def marker(self, origin: Key, instance: str, space: Ref) -> Marker:
        """The marker of the copy of `origin` (a proposal's or an answer's key) in a space."""
        text = f"{origin}\n{instance}\n{space}".encode()
        digest = hmac.digest(self._key, text, hashlib.sha256)[:10]
        return Marker(origin, base64.b32encode(digest).decode().lower())

    def is_ours(self, marker: Marker, instance: str, space: Ref) -> bool:
        """Whether we made this marker for this very place."""
        return hmac.compare_digest(self.marker(marker.origin, instance, space).signature, marker.signature)


def markers_in(text: str) -> list[Marker]:
    """Everything in a text that has the form of a marker."""
    return [Marker(match[1], match[2]) for match in _MARKER.finditer(text)]


def claims_marker(text: str) -> bool:
    """Whether a text holds anything that looks like a marker, well-formed or not."""
    return "civicsync" in text.lower() and _CLAIM.search(text) is not None


def without_markers(text: str) -> str:
    """A text in which nothing can be taken for a marker."""
    return _CLAIM.sub("", text) if claims_marker(text) else text
