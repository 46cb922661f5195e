"""Cells that no spreadsheet runs and no terminal obeys, and lines of CSV made of them."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from ...core.redaction import visible

_STARTS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_FORMULA = re.compile(f"(^|[\t\r\n;|\uff1b\uff0c])([ \u00a0\u3000]*)(?=[{_STARTS}])|^(?=[\t\r])")
"""Before what a spreadsheet would run: a formula's first sign, also full-width, at the beginning of a cell or behind whatever else a
spreadsheet may take for the end of one (a Dutch Excel splits at `;`, and then quotes that begin inside a cell do not count)."""
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NEEDS_CARE = re.compile(
    "[;|\t\r\uff1b\uff0c\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_ASCII_CARE = bytes(each for each in range(128) if _NEEDS_CARE.match(chr(each)))
_BEGINS_ODDLY = re.compile(f"\n[ \u00a0\u3000]*[{_STARTS}]")
_FIRST = frozenset("=+-@\uff1d\uff0b\uff0d\uff20 \u00a0\u3000")
"""Signs with which a row's first cell is looked at with care."""
_QUOTE, _TWO = '"', '""'


class Own(str):
    """A text that we made ourselves of a number or a moment: no formula, whatever its first sign."""

    __slots__ = ()


def cell(value: Any) -> Any:
    """A value as a cell: a structure as JSON, and a text that a spreadsheet would run with a ' before it."""
    if isinstance(value, dict | list):
        value = msgspec.json.encode(value, enc_hook=str).decode()
    if not isinstance(value, str) or type(value) is Own:
        return value
    value = visible(value)
    return value if _NUMBER.fullmatch(value) else _FORMULA.sub(_quoted, value)


def _quoted(found: re.Match[str]) -> str:
    return f"{found.group(1) or ''}{found.group(2) or ''}'"


def csv_lines(rows: Iterable[Sequence[Any]], separator: str = ",") -> str:
    """Rows as lines of CSV (RFC 4180); `None` is an empty cell.

    Nearly all rows hold nothing that needs guarding, and most nothing that needs quoting. Searches over the whole row tell, which is
    several times faster than looking at each cell.
    """
    lines: list[str] = []
    odd = _BEGINS_ODDLY.search
    for row in rows:
        cells = ["" if value is None else value if type(value) is str else str(value) for value in row]
        told = "\n".join(cells)
        if _needs_care(told) or odd(told) or told[:1] in _FIRST or len(row) == 1:
            lines.append(_carefully(row, separator))
        elif '"' in told or separator in told or told.count("\n") != len(row) - 1:
            quoted = [
                f'"{each.replace(_QUOTE, _TWO)}"' if separator in each or _QUOTE in each or "\n" in each else each
                for each in cells
            ]
            lines.append(separator.join(quoted))
        else:
            lines.append(told.replace("\n", separator))
    if not lines:
        return ""
    lines.append("")
    return "\r\n".join(lines)


def _needs_care(told: str) -> bool:
    """Whether a row holds a sign that must be looked at. Taking such signs out of its bytes and counting is five times a search's speed."""
    if told.isascii():
        return len(told.encode().translate(None, _ASCII_CARE)) != len(told)
    return _NEEDS_CARE.search(told) is not None


def _carefully(row: Sequence[Any], separator: str) -> str:
    text = io.StringIO()
    # The writer quotes what holds a sign of its line end: it must know the real one.
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerow([cell(value) for value in row])
    return text.getvalue().removesuffix("\r\n")


Shape = Callable[[Sequence[Any]], Sequence[Any]]
"""What makes a row's cells of what the database gave."""
