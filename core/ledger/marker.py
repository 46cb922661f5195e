"""The signed marker that every copy carries, so that a copy is known as one even after the ledger was lost.

`[civicsync:participa-west/proposal/31.k7q2mhd4x3zp5t6a]`: the origin's key, and a signature over it and the place of the copy. A citizen
can type something that looks like a marker, or paste a real one into another text; neither is ever believed: a marker counts
only with its signature, in its place, and written by our own account. Whatever else looks like one is held for a person.

Its form is what every platform leaves as it is (docs/adr/0016-marker-form.md). Earlier versions wrote `~` where the dot stands, and
Decidim takes `~6` for a reference to its proposal 6 and stores a global id in its place (docs/platforms/decidim.md 1.6). Both forms,
the rewritten one too, are still believed: two markers are the same when origin and signature are, whatever stands between them.
"""

import base64
import hashlib
import hmac
import html as html_module
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from ..identity import Key, Ref

_ORIGIN = r"[a-z0-9][a-z0-9-]{0,62}/[a-z_]+/[A-Za-z0-9_.:-]{1,100}?"
_BETWEEN = r"(?:\.|~|gid://[\w.-]{1,100}/Decidim::Proposals::Proposal/)"
_MARKER = re.compile(rf"\[civicsync:({_ORIGIN}){_BETWEEN}([a-z2-7]{{16}})\]")
_CLAIM = re.compile(r"\[\s*civicsync\s*:[^\]]{0,300}\]?", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_ENTITY = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]{0,31};?)")
_ODD = re.compile(r"[^\n\t -~]+")
_NO_LETTERS = re.compile(r"[\W_]+")
_LAYERS = 20
"""More layers of markup or escaping than that nobody takes off: what holds them together goes instead."""
_READINGS = 60
"""In so many ways a text is read to find what looks like a marker in one of them."""
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
"""Characters that are not seen where a text is shown."""
_LETTERS = dict(zip("234567", "cdefgh", strict=True))
"""What a signature begins with instead of a digit: digits behind a sign are what platforms take for a number of theirs."""
_DIGITS = {letter: digit for digit, letter in _LETTERS.items()}

_DEEPEST = 6
"""So often a text is read as HTML to find a marker: a platform that escapes what another one had escaped writes `&amp;#91;`."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What a marker says; believed only after `Signer.is_ours`. `signature` always begins with a letter (`_settled`)."""

    origin: Key
    signature: str

    def __str__(self) -> str:
        return f"[civicsync:{self.origin}.{self.signature}]"


class Signer:
    """Makes and verifies markers with a key derived from `privacy.key`, which is never in the database."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"civicsync:marker:1", hashlib.sha256)

    def marker(self, origin: Key, instance: str, space: Ref) -> Marker:
        """The marker of the copy of `origin` (a proposal's or an answer's key) in a space."""
        return Marker(origin, _settled(self._signature(origin, instance, space)))

    def before(self, origin: Key, instance: str, space: Ref) -> str:
        """The same marker as earlier versions wrote it: what copies and payloads from before say."""
        return f"[civicsync:{origin}~{self._signature(origin, instance, space)}]"

    def is_ours(self, marker: Marker, instance: str, space: Ref) -> bool:
        """Whether we made this marker for this very place."""
        own = self.marker(marker.origin, instance, space)
        return hmac.compare_digest(own.signature, _settled(marker.signature))

    def _signature(self, origin: Key, instance: str, space: Ref) -> str:
        text = f"{origin}\n{instance}\n{space}".encode()
        digest = hmac.digest(self._key, text, hashlib.sha256)[:10]
        return base64.b32encode(digest).decode().lower()


def markers_in(text: str) -> list[Marker]:
    """Everything in a text (plain or HTML) that has the form of a marker: today's, the earlier one, or as Decidim rewrote that."""
    for _ in range(_DEEPEST):
        found = [Marker(match[1], _settled(match[2])) for match in _MARKER.finditer(text)]
        written = html_module.unescape(text) if not found and "&" in text else text
        if written == text:
            return found
        text = written
    return []


def carries(text: str, marker: Marker | str) -> bool:
    """Whether a text (plain or HTML, as stored or as a page shows it) carries this marker, in whatever form either of them is.

    A page of Decidim shows a rewritten marker with a link to the proposal that it named in place of the first digits of its
    signature: what is left of the signature must be there, in brackets and behind the same origin.
    """
    own = next(iter(markers_in(marker)), None) if isinstance(marker, str) else marker
    if own is None:
        return bool(marker) and str(marker) in text
    if own in markers_in(text):
        return True
    digit = _DIGITS.get(own.signature[0])
    if digit is None or f"[civicsync:{own.origin}" not in text:
        return False
    left = re.escape(f"{digit}{own.signature[1:]}".lstrip("0123456789"))
    return re.search(rf"\[civicsync:{re.escape(own.origin)}[^\]\[]{{1,400}}{left}\]", text) is not None


def said(text: str) -> str:
    """What a text (plain or HTML, as stored or as a page shows it) says beside its markers: its letters and digits alone.

    Two texts say the same when these are equal, whatever a platform did to markup, spaces, quotes and markers.
    """
    return _NO_LETTERS.sub("", _bare(without_markers(text))).casefold()


def one_form(text: str) -> str:
    """A text in which every well-formed marker stands in today's form: what is compared is what it says, not how."""
    return _MARKER.sub(lambda match: str(Marker(match[1], _settled(match[2]))), text)


def claims_marker(text: str) -> bool:
    """Whether a text (plain or HTML) holds anything that looks like a marker to whoever shows it, well-formed or not."""
    return _claims(text) != []


def without_markers(text: str) -> str:
    """A text in which nothing can be taken for a marker, nor after anything was taken away, unescaped or shown.

    What is left when one is removed may be one again (`[civic[civicsync:x]sync:…]`): it goes on until there is none.
    """
    for _ in range(_DEEPEST):
        found = _claims(text)
        if found == []:
            return text
        if found is None:
            break
        for begin, end in reversed(found):
            text = text[:begin] + text[end:]
    # Nobody nests, escapes and dresses them up so often by chance: without a bracket nothing is a marker.
    return "".join("(" if "[" in unicodedata.normalize("NFKC", letter) else letter for letter in _bare(text))


def carries_only(text: str, marker: str) -> bool:
    """Whether a text carries this marker once, and nothing else that could be taken for one."""
    if not marker or text.count(marker) != 1:
        return False
    return not any(claims_marker(text.replace(marker, between)) for between in ("", "\n"))


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text as somebody may show it; `begins` and `ends` say where in the text itself each of its letters comes from."""

    shown: str
    begins: tuple[int, ...]
    ends: tuple[int, ...]

    def replaced(self, what: re.Pattern[str], by: Callable[[str], str]) -> "_Reading":
        """The same with each match read as something else."""
        shown, begins, ends, at = list[str](), list[int](), list[int](), 0
        for match in what.finditer(self.shown):
            begin, end = match.span()
            new = by(match[0])
            shown += [self.shown[at:begin], new]
            begins += [*self.begins[at:begin], *[self.begins[begin]] * len(new)]
            ends += [*self.ends[at:begin], *[self.ends[end - 1]] * len(new)]
            at = end
        rest = "".join([*shown, self.shown[at:]])
        return _Reading(rest, (*begins, *self.begins[at:]), (*ends, *self.ends[at:]))

    def plain(self) -> "_Reading":
        """In plain letters, without what nobody sees."""
        return self.replaced(_ODD, lambda odd: _UNSEEN.sub("", unicodedata.normalize("NFKC", odd)))

    def claims(self) -> list[tuple[int, int]]:
        """Where in the text something looks like a marker in this reading."""
        found: list[tuple[int, int]] = []
        for match in _CLAIM.finditer(self.shown):
            begin, end = self.begins[match.start()], max(self.ends[match.start() : match.end()])
            if not found or begin >= found[-1][1]:
                found.append((begin, end))
        return found


def _claims(text: str) -> list[tuple[int, int]] | None:
    """Where something looks like a marker in the first of its readings in which anything does; None: it can be read in too many ways.

    Somebody shows it as it is, or unescaped, or without its tags, one after the other in any order.
    """
    # A tag may stand in the middle of an entity, which is another one without it: so first the tags as well.
    readings = (text, _unescaped(text), _bare(text), _unescaped(_TAG.sub("", text)))
    if not any("[" in unicodedata.normalize("NFKC", each) for each in readings):
        return []
    waiting = [_Reading(text, tuple(range(len(text))), tuple(range(1, len(text) + 1))).plain()]
    known: set[str] = set()
    while waiting:
        reading = waiting.pop(0)
        if reading.shown in known:
            continue
        known.add(reading.shown)
        if found := reading.claims():
            return found
        if len(known) > _READINGS:
            return None
        waiting += [reading.replaced(_ENTITY, html_module.unescape).plain(), reading.replaced(_TAG, lambda _: "")]
    return []


def _unescaped(text: str) -> str:
    for _ in range(_LAYERS):
        written = html_module.unescape(text) if "&" in text else text
        if written == text:
            return text
        text = written
    return text.replace("&", "")


def _bare(text: str) -> str:
    """A text unescaped and without tags, as often as anybody may."""
    for _ in range(_LAYERS):
        before, text = text, _TAG.sub("", _unescaped(_UNSEEN.sub("", text)))
        if text == before:
            return text
    return re.sub("[<>&]", "", text)


def _settled(signature: str) -> str:
    """A signature as markers bear it now: earlier ones could begin with a digit."""
    return _LETTERS.get(signature[0], signature[0]) + signature[1:]
