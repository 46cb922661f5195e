"""CSV as the Excel of a locale reads it: its separator, its decimal sign, its order of day and month, its words for true and false."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from ..columns import Column, Type
from .cells import Own, Shape

_TRUTH = {
    "ca": ("CERT", "FALS"),
    "da": ("SAND", "FALSK"),
    "de": ("WAHR", "FALSCH"),
    "en": ("TRUE", "FALSE"),
    "es": ("VERDADERO", "FALSO"),
    "fi": ("TOSI", "EPÄTOSI"),
    "fr": ("VRAI", "FAUX"),
    "is": ("SATT", "ÓSATT"),
    "it": ("VERO", "FALSO"),
    "nl": ("WAAR", "ONWAAR"),
    "pl": ("PRAWDA", "FAŁSZ"),
    "pt": ("VERDADEIRO", "FALSO"),
    "sv": ("SANT", "FALSKT"),
}
"""What Excel itself shows for true and false in these languages; in others a boolean is 1 or 0."""


class UnknownLocale(Exception):
    """No such locale; the message names what is expected."""


class ExcelLocale:
    """How the Excel of one locale reads a CSV file. `zone`: in which moments are shown.

    Raises:
        UnknownLocale: at once, if there is no such locale.
    """

    def __init__(self, name: str, zone: tzinfo = UTC) -> None:
        from babel import Locale, UnknownLocaleError

        try:
            locale = Locale.parse(name.replace("-", "_"))
        except (ValueError, UnknownLocaleError, TypeError):
            raise UnknownLocale(f"no locale {name!r}; expected one such as nl, nl-BE, en-GB, de or es") from None
        self._zone = zone
        self.decimal = str(locale.number_symbols["latn"]["decimal"])
        self.separator = ";" if self.decimal == "," else ","
        self._truth = _TRUTH.get(locale.language, ("1", "0"))
        self.date = _strftime(str(locale.date_formats["short"].pattern))

    def shape(self, columns: Sequence[Column]) -> Shape:
        """What makes a row's cells: dates, numbers and booleans as this Excel reads them."""
        change = {
            number: {
                Type.MOMENT: self._moment,
                Type.DATE: self._day,
                Type.NUMBER: self._number,
                Type.BOOLEAN: self._bool,
            }[column.type]
            for number, column in enumerate(columns)
            if column.type in {Type.MOMENT, Type.DATE, Type.NUMBER, Type.BOOLEAN}
        }

        def shaped(row: Sequence[Any]) -> Sequence[Any]:
            cells = list(row)
            for number, make in change.items():
                if cells[number] is not None:
                    cells[number] = make(cells[number])
            return cells

        return shaped

    def _moment(self, text: str) -> str:
        moment = datetime.fromisoformat(text)
        return Own(moment.astimezone(self._zone).strftime(f"{self.date} %H:%M:%S"))

    def _day(self, text: str) -> str:
        return Own(date.fromisoformat(text).strftime(self.date))

    def _number(self, value: float) -> str:
        return Own(repr(value).replace(".", self.decimal))

    def _bool(self, text: str) -> str:
        return self._truth[0] if text == "true" else self._truth[1]


def _strftime(pattern: str) -> str:
    """A short date of the locale data as `strftime` writes it, always with four digits of the year: two would be guessed at."""
    parts = {"d": "%d", "dd": "%d", "M": "%m", "MM": "%m", "y": "%Y", "yy": "%Y", "yyyy": "%Y"}
    made = re.sub(r"'([^']*)'|d+|M+|y+|G+ ?", lambda found: found.group(1) or parts.get(found.group(), ""), pattern)
    # Invisible marks of direction would keep a spreadsheet from seeing a date.
    return re.sub("[\u200e\u200f\u061c]", "", made)
