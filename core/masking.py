"""Making unreadable what people should not have typed in public: e-mail addresses, telephone numbers, Dutch citizen service numbers, bank
account numbers, postcodes with a house number.

It finds what has the form and, where there is one, the check digit; it cannot know what else tells of somebody.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .text import plain_to_html

EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_NO_DIGIT = r"(?<![\w+])"
_END = r"(?!\w)"
PHONE = re.compile(
    rf"{_NO_DIGIT}(?:"
    r"(?:\+|00)[1-9]\d{0,2}[\s.-]{0,2}(?:\(0\)[\s.-]?)?(?:\d[\s.-]?){6,12}\d"
    r"|06[\s.-]{0,3}(?:\d[\s.-]?){7}\d"
    r"|\(?0[1-9]\d\)?[\s.-]{0,3}\d{3}[\s.-]?\d{2}[\s.-]?\d{2}"
    r"|\(?0[1-9]\d{2}\)?[\s.-]{0,3}\d{2}[\s.-]?\d{2}[\s.-]?\d{2}"
    r"|[6789]\d{2}[\s.-]\d{3}[\s.-]\d{3}"
    r"|[6789]\d{2}(?:[\s.-]\d{2}){3}"
    rf"){_END}"
)
BSN = re.compile(rf"{_NO_DIGIT}(?:\d{{9}}|\d{{4}}\.\d{{2}}\.\d{{3}}|\d{{3}}[ .]\d{{3}}[ .]\d{{3}}){_END}")
IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}")
_POSTCODE = r"[1-9]\d{3} ?(?!S[ADS])[A-Z]{2}"
ADDRESS = re.compile(
    rf"(?<!\w)(?:{_POSTCODE}(?: *,? *(?:nr\.? *)?\d{{1,5}}(?: ?[a-zA-Z])?(?!\w))|\d{{1,5}}(?: ?[a-zA-Z])? *,? *{_POSTCODE}(?!\w))"
)
_SHORTEST_IBAN, _LONGEST_IBAN = 15, 34
WORDS = {"email": "e-mail", "phone": "phone", "bsn": "bsn", "iban": "iban", "address": "address"}
_DIGITS = re.compile(r"\d")


def passes_eleven(digits: str) -> bool:
    """Whether nine digits can be a citizen service number (11-proof): 9a + 8b + … + 2h - i is a multiple of 11, and not all are zero."""
    total = sum((9 - place) * int(digit) for place, digit in enumerate(digits[:8])) - int(digits[8])
    return total % 11 == 0 and digits.strip("0") != ""


def passes_mod97(account: str) -> bool:
    """Whether letters and digits can be an IBAN (ISO 7064, modulo 97)."""
    turned = account[4:] + account[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def iban_at_start(said: str) -> str:
    """As much of a text as is an IBAN; nothing where none begins there."""
    compact, ends = "", list[int]()
    for place, sign in enumerate(said):
        if sign != " ":
            compact += sign
            ends.append(place + 1)
    for length in range(min(len(compact), _LONGEST_IBAN), _SHORTEST_IBAN - 1, -1):
        if passes_mod97(compact[:length]):
            return said[: ends[length - 1]]
    return ""


class Masker:
    """Masks these kinds, in this order, and counts what it found since `counts` was last cleared."""

    def __init__(self, kinds: Iterable[str]) -> None:
        """`kinds`: of `WORDS`."""
        # The longer and surer forms first: an IBAN and a postcode hold digits that look like something else.
        self.kinds = [kind for kind in ("email", "iban", "address", "bsn", "phone") if kind in set(kinds)]
        self.counts: Counter[str] = Counter()
        self._by_kind: dict[str, Callable[[str], str]] = {
            "email": lambda said: EMAIL.sub(lambda _: self._found("email"), said) if "@" in said else said,
            "iban": lambda said: IBAN.sub(self._iban, said),
            "address": lambda said: ADDRESS.sub(lambda _: self._found("address"), said),
            "bsn": lambda said: BSN.sub(self._bsn, said),
            "phone": lambda said: PHONE.sub(lambda _: self._found("phone"), said),
        }

    def text(self, said: str) -> str:
        """A text with `[e-mail]`, `[phone]`… in the place of what was found; the same object where there is nothing."""
        for kind in self.kinds:
            if kind == "email" or _DIGITS.search(said):
                said = self._by_kind[kind](said)
        return said

    def both(self, html: str, plain: str) -> tuple[str, str]:
        """A text as HTML and as plain text; where markup hides from the one what the other shows, the HTML is made from the plain text."""
        before = Counter(self.counts)
        masked = self.text(plain)
        in_plain = self.counts - before
        self.counts = Counter(before)
        rich = self.text(html) if html else html
        in_html = self.counts - before
        # Counted once, as often as the one or the other shows it: an address may stand in a link alone.
        self.counts = before + (in_plain | in_html)
        if html and in_plain - in_html:
            rich = plain_to_html(masked)
        return rich, masked

    def value(self, value: Any) -> Any:
        """The same for every text in a JSON value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {name: self.value(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return value

    def _found(self, kind: str) -> str:
        self.counts[kind] += 1
        return f"[{WORDS[kind]}]"

    def _bsn(self, found: re.Match[str]) -> str:
        digits = "".join(_DIGITS.findall(found.group()))
        return self._found("bsn") if passes_eleven(digits) else found.group()

    def _iban(self, found: re.Match[str]) -> str:
        account = iban_at_start(found.group())
        return self._found("iban") + found.group()[len(account) :] if account else found.group()
