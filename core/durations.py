"""Durations as an admin writes them: `90s`, `15m`, `6h`, `1d`."""

from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def seconds(interval: str) -> float:
    """An interval such as `15m` in seconds."""
    return timedelta(**{_UNITS[interval.strip()[-1]]: int(interval.strip()[:-1])}).total_seconds()
