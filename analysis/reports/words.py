"""Words and numbers in the reader's language: gettext catalogues (`locales/*.po`) and Babel's knowledge of locales."""

import gettext
import io
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import NumberFormatError, format_decimal, parse_decimal

LANGUAGES = ("nl", "en")
"""The sources are English; the others have a catalogue."""


@cache
def _translations(language: str) -> gettext.NullTranslations:
    if language == "en":
        return gettext.NullTranslations()
    source = files("civicsync.analysis.reports") / "locales" / f"{language}.po"
    catalogue = read_po(io.BytesIO(source.read_bytes()), locale=language, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


class Words:
    """How things are said in one language, and shown in one time zone."""

    def __init__(self, language: str, zone: ZoneInfo) -> None:
        """`language`: one of `LANGUAGES`."""
        self.language, self.zone = language, zone
        self.translations = _translations(language)
        self.locale = Locale.parse("en_GB" if language == "en" else language)

    def _(self, message: str, **values: Any) -> str:
        """A sentence with its values."""
        return self.translations.gettext(message) % values if values else self.translations.gettext(message)

    def n(self, one: str, many: str, number: int, **values: Any) -> str:
        """A sentence for one or for many; `%(num)s` is the number as people write it."""
        return self.translations.ngettext(one, many, number) % {"num": self.number(number), **values}

    def number(self, value: float | None) -> str:
        """A number with its thousands apart; a dash where there is none."""
        return "–" if value is None else format_decimal(value, locale=self.locale)

    def parsed(self, shown: str) -> float | None:
        """The number that a cell shows; None where it shows something else."""
        try:
            return float(parse_decimal(shown.removeprefix("+"), locale=self.locale, strict=True))
        except NumberFormatError:
            return None

    def month(self, day: date, *, short: bool = False) -> str:
        """The month of a day, with its year or, short, without."""
        return format_date(day, "LLL" if short else "LLLL y", locale=self.locale).rstrip(".")

    def day(self, moment: datetime | date | None) -> str:
        """A day; of a moment, the one in the time zone."""
        if moment is None:
            return "–"
        if isinstance(moment, datetime):
            moment = moment.astimezone(self.zone).date()
        return format_date(moment, "d MMMM y", locale=self.locale)

    def moment(self, moment: datetime | None) -> str:
        """A day with its time, in the time zone."""
        if moment is None:
            return "–"
        return format_datetime(moment, "d MMMM y, HH:mm", tzinfo=self.zone, locale=self.locale)
