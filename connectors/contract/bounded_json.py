"""Decoding JSON that may have been made to hurt: how much memory it takes is judged before it is decoded.

Three bytes of `[],` become eighty in memory, so that a limit in bytes as sent says little. What was measured (docs/adr/0013) is
counted here from above: a comma in a citizen's text counts as well, which is far from the limit for anything that a platform sends.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

BUDGET: Final = 128_000_000
"""Bytes that one answer may take when it is decoded."""
DEEPEST: Final = 100
"""Levels of objects and lists in each other."""
_COST = {b"[": 80, b"{": 120, b":": 110, b",": 80}
_UNCOUNTED = bytes(set(range(256)) - set(b"".join(_COST)))
# One wide character makes the whole text around it wide, and both forms are there for a moment.
_WIDEST = bytes(range(0xF0, 0xF5))
_WIDE = bytes(range(0xC4, 0xF0))
_PAIR = re.compile(rb"\\u[dD][89abAB]")
_SUSPECTS = (b"\\ud", b"\\uD", b"\\u0000")
"""With what half a surrogate pair and NUL begin, as escapes."""
_WHOLE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_REFUSED = re.compile(rb"\\u(?:[dD][89a-fA-F][0-9a-fA-F]{2}|0000)")
_BACKSLASH = ord("\\")
_TOO_BIG = "out of range"
"""How msgspec says that a number is beyond what a float can hold."""


class TooCostly(ValueError):
    """Decoded, it would take more memory or more levels than any answer of a platform does."""


def decode(body: bytes) -> Any:
    """The value; NUL and half of a surrogate pair, which JSON's grammar allows and no database takes, as U+FFFD.

    Raises:
        TooCostly: it is too large or too deep when decoded.
        ValueError: it is not whole JSON (this includes msgspec's errors and those of the text's encoding).
    """
    if cost_of(body) > BUDGET:
        raise TooCostly("too large when decoded")
    # A server that cuts texts by UTF-16 units (Node, Java) writes such halves.
    if any(word in body for word in _SUSPECTS):
        body = _readable(body)
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise TooCostly("nested too deeply") from None
    except msgspec.ValidationError as error:
        if _TOO_BIG not in str(error):
            raise
        value = _odd_numbers(body)
    if _too_deep(value):
        raise TooCostly("nested too deeply")
    return value


def _readable(body: bytes) -> bytes:
    """With U+FFFD for what no database takes. Found by words: a pattern over all of it takes longer than reading it does."""
    found = bytearray(body)
    after = 0
    for place in sorted(place for word in _SUSPECTS for place in _places(body, word)):
        before = place
        while before and body[before - 1] == _BACKSLASH:
            before -= 1
        # Where the backslash is escaped itself this is a text about escapes.
        if place < after or (place - before) % 2:
            continue
        if _WHOLE.match(body, place):
            after = place + 12
        elif _REFUSED.match(body, place):
            found[place : place + 6] = b"\\ufffd"
    return bytes(found)


def _places(body: bytes, word: bytes) -> Iterator[int]:
    place = body.find(word)
    while place >= 0:
        yield place
        place = body.find(word, place + len(word))


def _odd_numbers(body: bytes) -> Any:
    """JSON in which a number is beyond all bounds (1e400): one field of one record, and no reason to read nothing."""

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is not JSON")

    try:
        return json.loads(body, parse_constant=refuse)
    except RecursionError:
        raise TooCostly("nested too deeply") from None


def cost_of(body: bytes) -> int:
    """How many bytes the decoded value takes at most."""
    signs = body.translate(None, _UNCOUNTED)
    return len(body) * _width(body) + sum(signs.count(sign) * cost for sign, cost in _COST.items())


def _width(body: bytes) -> int:
    """How many bytes a byte of text takes at most. Looked for by tables and words: a pattern reads every character on its own."""
    escaped = b"\\u" in body
    if _holds(body, _WIDEST) or (escaped and _PAIR.search(body)):
        return 6
    return 3 if escaped or _holds(body, _WIDE) else 1


def _holds(body: bytes, any_of: bytes) -> bool:
    return not body.isascii() and len(body.translate(None, any_of)) < len(body)


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST + 1):
        inner: list[Any] = []
        for each in level:
            if type(each) is dict:
                inner += [child for child in each.values() if type(child) is dict or type(child) is list]
            elif type(each) is list:
                inner += [child for child in each if type(child) is dict or type(child) is list]
        if not inner:
            return False
        level = inner
    return True
