"""Kinds of alerts, what a notice tells of them in words, and where a delivery stands: the only place that knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum


class AlertKind(StrEnum):
    """What stands, at an instance, a route or a host."""

    NO_GOOD_PULL = "no_good_pull"
    PULL_ASKS = "pull_asks"
    ROUTE_HALTED = "route_halted"
    HOST_LEFT_ALONE = "host_left_alone"
    WAITS_FOR_PERSON = "waits_for_person"
    TWO_COPIES = "two_copies"


class What(StrEnum):
    """What a notice tells."""

    OPENED = "opened"
    GROWN = "grown"
    REMINDER = "reminder"
    CLOSED = "closed"
    OVERVIEW = "overview"
    TEST = "test"


class DeliveryState(StrEnum):
    """Where a notice stands on its way through one channel."""

    WAITING = "waiting"
    REFUSED = "refused"
    """The receiver will not have this one; it is tried again, and what comes after it does not wait for that."""
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


UNDELIVERED = (DeliveryState.WAITING, DeliveryState.REFUSED)


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that stands now. `since`: since when, where that is known; `many`: how many things of the subject it is about."""

    kind: AlertKind
    subject: str
    since: datetime | None = None
    many: int = 1

    @property
    def open_as(self) -> str:
        """By this an alert is known while it is open."""
        return f"{self.kind} {self.subject}"


_MANUAL = "docs/howto/alerts.md"
_TITLES = {
    AlertKind.NO_GOOD_PULL: ("no good pull of {}", "pulls of {} are not late any more"),
    AlertKind.PULL_ASKS: ("the pull of {} asks a person", "the pull of {} asks nothing any more"),
    AlertKind.ROUTE_HALTED: ("the route {} has stopped", "the route {} is not stopped any more"),
    AlertKind.HOST_LEFT_ALONE: ("writing to {} fails", "writing to {} does not fail any more"),
    AlertKind.WAITS_FOR_PERSON: ("something of {} waits for a person", "nothing of {} has waited too long any more"),
    AlertKind.TWO_COPIES: ("two copies on the target of {}", "no second copies on the target of {} any more"),
}
"""Of one alert, when it stands and when it is over; `{}`: the subjects."""
_DO = {
    AlertKind.NO_GOOD_PULL: (
        "`civicsync runs NAME` says how the last pulls ended, `civicsync check NAME` asks the platform."
    ),
    AlertKind.PULL_ASKS: (
        "More is missing on the platform than a run may believe. Look at it, signed out; "
        "`civicsync sync NAME --accept-missing` if it is true."
    ),
    AlertKind.ROUTE_HALTED: (
        "More copies would change at once than may. `civicsync publish --dry-run ROUTE` shows what is wanted, "
        "`civicsync review resume ROUTE` lets it go on."
    ),
    AlertKind.HOST_LEFT_ALONE: (
        "Writes failed again and again; they are tried again by themselves, nothing is lost. "
        "Is the platform in maintenance?"
    ),
    AlertKind.WAITS_FOR_PERSON: "`civicsync review list` names it.",
    AlertKind.TWO_COPIES: "`civicsync review list` names them; decide on the platform which one stays.",
}


def heading(what: What, kind: AlertKind, subjects: Sequence[str]) -> str:
    """One line: what is told of whom."""
    stands, over = _TITLES[kind]
    named = ", ".join(subjects[:3]) + (f" and {len(subjects) - 3} more" if len(subjects) > 3 else "")
    line = (over if what is What.CLOSED else stands).format(named)
    before = {What.REMINDER: "still: ", What.GROWN: "more: "}.get(what, "")
    return before + line


def paragraphs(what: What, kind: AlertKind, conditions: Sequence[Condition], now: datetime, zone: tzinfo) -> str:
    """The text of a notice: a line for each subject, then what to do and where that is explained."""
    lines = [_line(each, now, zone) if what is not What.CLOSED else f"- {each.subject}" for each in conditions]
    if what is What.CLOSED:
        return "\n".join([f"Over, as of {_clock(now, zone)}:", *lines])
    return "\n".join([*lines, "", _DO[kind], f"What it means: {_MANUAL}#{kind}"])


def _line(each: Condition, now: datetime, zone: tzinfo) -> str:
    number = f"{each.many:,} of it; " if each.kind is AlertKind.WAITS_FOR_PERSON else ""
    if each.kind is AlertKind.TWO_COPIES:
        number = f"{each.many:,} publication{'s' if each.many > 1 else ''}; "
    since = f"since {_clock(each.since, zone)} ({lasted(now - each.since)})" if each.since else ""
    told = (number + since).removesuffix("; ")
    return f"- {each.subject}" + (f": {told}" if told else "")


def _clock(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def lasted(time: timedelta) -> str:
    """How long, as a person says it: 40 minutes, 26 hours, 3 days."""
    minutes = max(0, int(time.total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} minute{'' if minutes == 1 else 's'}"
    return f"{minutes // 60} hours" if minutes < 2880 else f"{minutes // 1440} days"
