"""Durations and timetables as an admin writes them: `90s`, `15m`, `6h`, `1d`, or a cron line.

Here and not in `config/`, because the settings of an instance, which are the connectors', have them too.
"""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from .schedules import always_quiet, cron_line, quiet_hours

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _schedule(value: str) -> str:
    if re.fullmatch(INTERVAL, value) and seconds(value) > 0:
        return value
    try:
        line = cron_line(value)
    except ValueError as error:
        raise ValueError(f"not a cron line: {error}") from None
    if line is None:
        raise ValueError(
            "expected an interval such as 90s, 15m, 6h or 1d, a cron line such as 30 2 * * *, or one of @hourly, @daily, @weekly, @monthly"
        )
    return value


def _never_between(value: list[str]) -> list[str]:
    if value and always_quiet([quiet_hours(each) for each in value]):
        raise ValueError("these hours leave no minute of the week; leave some of it open, or take the instance out")
    return value


INTERVAL = r"^\d{1,9}\s*(s|m|h|d)$"
TERM = r"^(kept|\d{1,5}\s*(d|w|mo|y))$"
_LONGEST = timedelta(days=36_525)
_TERMS = {"d": 1.0, "w": 7.0, "mo": 365.25 / 12, "y": 365.25}
Schedule = Annotated[str, AfterValidator(_schedule), Field(examples=["15m", "30 2 * * *", "@daily"])]
NeverBetween = Annotated[list[str], AfterValidator(_never_between), Field(examples=[["mon-fri 08:00-18:00"]])]
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
