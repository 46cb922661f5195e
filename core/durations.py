"""Durations and timetables as an admin writes them: `90s`, `15m`, `6h`, `1d`, or a cron line.

Here and not in `config/`, because the settings of an instance, which are the connectors', have them too.
"""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_CRON_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def cron_fields(value: str) -> dict[str, str] | None:
    """The five fields of a cron line by APScheduler's names; None for anything else.

    Week days are turned into names: as numbers, APScheduler 3 counts them from Monday, cron from Sunday.
    """
    parts = value.split()
    if len(parts) != 5:
        return None
    days = ",".join(_cron_days(each) for each in parts[4].lower().split(","))
    return dict(zip(("minute", "hour", "day", "month", "day_of_week"), (*parts[:4], days), strict=True))


def _cron_days(part: str) -> str:
    span = re.fullmatch(r"([0-7])-([0-7])", part)
    if span is not None and int(span[1]) <= int(span[2]):
        return ",".join(dict.fromkeys(_CRON_DAYS[day] for day in range(int(span[1]), int(span[2]) + 1)))
    return _CRON_DAYS[int(part)] if re.fullmatch(r"[0-7]", part) else part


def _schedule(value: str) -> str:
    if re.fullmatch(INTERVAL, value) and seconds(value) > 0:
        return value
    fields = cron_fields(value)
    if fields is None:
        raise ValueError("expected an interval such as 90s, 15m, 6h or 1d, or a cron line such as 30 2 * * *")
    try:
        from apscheduler.triggers.cron import CronTrigger

        CronTrigger(**fields, timezone="UTC")
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(f"not a cron line: {error}") from None
    return value


INTERVAL = r"^\d{1,9}\s*(s|m|h|d)$"
TERM = r"^(kept|\d{1,5}\s*(d|w|mo|y))$"
_LONGEST = timedelta(days=36_525)
_TERMS = {"d": 1.0, "w": 7.0, "mo": 365.25 / 12, "y": 365.25}
Schedule = Annotated[str, AfterValidator(_schedule), Field(examples=["15m", "30 2 * * *"])]
Term = Annotated[str, Field(pattern=TERM, examples=["kept", "90d", "24mo"])]
Interval = Annotated[str, Field(pattern=INTERVAL, examples=["15m", "6h"])]


def seconds(interval: str) -> float:
    """An interval such as `15m` in seconds; more than a hundred years are a hundred years."""
    given = timedelta(**{_UNITS[interval.strip()[-1]]: int(interval.strip()[:-1])})
    return min(given, _LONGEST).total_seconds()


def term(given: str) -> timedelta | None:
    """How long something is kept, such as `90d`, `12w`, `24mo` or `7y`, at most a hundred years; None: `kept`, without an end."""
    found = re.fullmatch(r"(\d+)\s*([a-z]+)", given.strip())
    return None if found is None else min(timedelta(days=int(found[1]) * _TERMS[found[2]]), _LONGEST)
