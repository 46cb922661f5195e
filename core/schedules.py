"""When something is done again: cron lines and quiet hours as the people who write them mean them, also in the nights when clocks change.

A cron line is meant in a time zone. One that names times of a day, such as `30 2 * * *`, has each of them once a day: of a time that is
there twice the first counts. One that repeats within the hour or runs every hour (`*/15 2 * * *`, `0 * * * *`) follows the time that
passes, so an hour that is there twice has its turns twice. What was meant at a time that is not there comes at the moment when the clocks
have jumped, once; a line for every hour does without, since its next turn is near. Debian's cron reads them alike, but for `*/2` as an
hour, which names hours here: nobody who writes it wants two runs in one of them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LAST = 32
"""As a day of the month: its last one, whichever that is."""
_LONGEST_FOLD = 3
"""No zone ever put its clocks back by more hours than this."""
_YEARS = timedelta(days=366 * 9)
"""The 29th of February is never further away than eight years."""


@dataclass(frozen=True, slots=True)
class CronLine:
    """When a cron line is meant, as the numbers of its fields; Sunday is 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    week_days: frozenset[int]
    either: bool
    """Both days of the month and of the week were chosen: as in every cron, one of the two is enough."""
    flows: bool
    """It follows the time that passes: an hour that is there twice has its turns twice."""

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The first turn later than `moment` (aware), in UTC.

        Raises:
            ValueError: there is none, such as on a 30th of February.
        """
        local = moment.astimezone(zone).replace(tzinfo=None)
        earliest = local - timedelta(hours=_LONGEST_FOLD)
        found: list[datetime] = []
        left = _LONGEST_FOLD
        for hour in self._hours(earliest):
            if found:  # of clocks that were put back, a later hour may have the earlier turn
                left -= 1
            for minute in sorted(self.minutes):
                found += [turn for turn in self._turns(hour.replace(minute=minute), zone) if turn > moment]
            if found and left <= 0:
                break
        if not found:
            raise ValueError("there is no such day in any year")
        return min(found)

    def _hours(self, earliest: datetime) -> Iterator[datetime]:
        """The local hours that it names, from that of `earliest` on."""
        day = earliest.date()
        while day - earliest.date() < _YEARS:
            if self._on(day):
                for hour in sorted(self.hours):
                    if day > earliest.date() or hour >= earliest.hour:
                        yield datetime.combine(day, time(hour))
            day += timedelta(days=1)

    def _on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        last = _LAST in self.days and (day + timedelta(days=1)).day == 1
        by_month, by_week = day.day in self.days or last, day.isoweekday() % 7 in self.week_days
        return by_month or by_week if self.either else by_month and by_week

    def _turns(self, local: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """When a local time has its turn: once as a rule."""
        first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first.astimezone(zone).replace(tzinfo=None) != local:
            if len(self.hours) < 24:
                yield _jump(second, first, zone)
            return
        yield first
        if second > first and self.flows:
            yield second


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment between two others at which the clocks of a zone jump."""
    there = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == there:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


def cron_line(value: str) -> CronLine | None:
    """The cron line that a text says: five fields, or a short form such as `@daily`. None: it says none.

    Raises:
        ValueError: it is one, but wrong; the text says which field.
    """
    given = value.strip().lower()
    parts = _SHORT.get(given, given).split()
    if len(parts) != 5:
        return None
    minute, hour, day, month, week_day = parts
    line = CronLine(
        minutes=_field("minute", minute, 0, 59),
        hours=_field("hour", hour, 0, 23),
        days=_field("day of the month", day, 1, 31, {"last": _LAST, "l": _LAST}),
        months=_field("month", month, 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
        week_days=_week_days(week_day),
        either=not day.startswith("*") and not week_day.startswith("*"),
        flows=minute.startswith("*") or hour == "*",
    )
    line.after(datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))
    return line


def _week_days(text: str) -> frozenset[int]:
    names = {name: number for number, name in enumerate(_DAYS)}
    return frozenset(day % 7 for day in _field("day of the week", text, 0, 7, names, around=True))


def _field(
    what: str, text: str, low: int, high: int, names: dict[str, int] | None = None, *, around: bool = False
) -> frozenset[int]:
    return frozenset(number for part in text.split(",") for number in _part(what, part, low, high, names or {}, around))


def _part(what: str, text: str, low: int, high: int, names: dict[str, int], around: bool) -> Iterable[int]:
    found = re.fullmatch(r"(\*|[a-z]+|\d{1,2})(?:-([a-z]+|\d{1,2}))?(?:/(\d{1,2}))?", text)
    if found is None:
        raise ValueError(f"{text!r} is no {what}")
    first, last, step = found.groups()
    if first == "*" and last is None:
        # A week has seven days, whether Sunday is the first or the last.
        return range(low, high + (0 if around else 1), _step(what, step))
    begin = _number(what, first, low, high, names)
    if last is None:
        return range(begin, high + 1, _step(what, step)) if step else (begin,)
    end = _number(what, last, low, high, names)
    if _LAST in {begin, end}:
        raise ValueError(f"{text!r} is no {what}: `last` stands alone")
    if begin > end and not around:
        raise ValueError(f"{text!r} is no {what}: it ends before it begins")
    return range(begin, end + (7 if begin > end else 0) + 1, _step(what, step))


def _step(what: str, text: str | None) -> int:
    if text is not None and int(text) == 0:
        raise ValueError(f"/0 is no step of a {what}")
    return int(text or 1)


def _number(what: str, text: str, low: int, high: int, names: dict[str, int]) -> int:
    number = int(text) if text.isdigit() else names.get(text, -1)
    if (not low <= number <= high and number != _LAST) or (number == _LAST and text.isdigit()):
        raise ValueError(
            f"{text!r} is no {what}; there are {low} to {high}" + (f", {', '.join(names)}" if names else "")
        )
    return number


# Quiet hours ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours in which a host is left alone, by the clock on its wall: minutes since midnight, `end` not included."""

    week_days: frozenset[int]
    """On which it begins; Sunday is 0."""
    begin: int
    end: int

    def hold(self, moment: datetime, zone: ZoneInfo) -> bool:
        """Whether a moment lies in them."""
        local = moment.astimezone(zone)
        minute, day = local.hour * 60 + local.minute, local.isoweekday() % 7
        if self.begin < self.end:
            return day in self.week_days and self.begin <= minute < self.end
        # Over midnight: what began yesterday ends today.
        return (day in self.week_days and minute >= self.begin) or (
            (day - 1) % 7 in self.week_days and minute < self.end
        )


def quiet_hours(text: str) -> QuietHours:
    """Hours such as `07:00-19:00`, `22:30-06:00`, `mon-fri 08:00-18:00`.

    Raises:
        ValueError: it is none; the text says what was expected.
    """
    found = re.fullmatch(r"(?:(\S+)\s+)?(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r}: expected hours such as 07:00-19:00, 22:30-06:00 or mon-fri 08:00-18:00")
    days = _week_days(found[1]) if found[1] else frozenset(range(7))
    begin, end = int(found[2]) * 60 + int(found[3]), int(found[4]) * 60 + int(found[5])
    if begin >= 24 * 60 or end > 24 * 60 or int(found[3]) > 59 or int(found[5]) > 59:
        raise ValueError(f"{text!r}: a day has the hours 00:00 to 24:00")
    if begin == end:
        raise ValueError(f"{text!r}: it ends when it begins")
    return QuietHours(days, begin, end)


def quiet_until(quiet: Sequence[QuietHours], moment: datetime, zone: ZoneInfo) -> datetime | None:
    """When the quiet hours end in which a moment lies, in UTC; None where it lies in none. They must leave a part of the week open."""
    if not any(each.hold(moment, zone) for each in quiet):
        return None
    end = moment.astimezone(UTC).replace(second=0, microsecond=0)
    while any(each.hold(end, zone) for each in quiet):
        end += MINUTE
    return end


def always_quiet(quiet: Sequence[QuietHours]) -> bool:
    """Whether they leave no minute of a week open."""
    utc, monday = ZoneInfo("UTC"), datetime(2026, 3, 2, tzinfo=UTC)
    return bool(quiet) and all(
        any(each.hold(monday + number * MINUTE, utc) for each in quiet) for number in range(7 * 24 * 60)
    )
