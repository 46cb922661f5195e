"""The daily overview: what was read, copied and left undone between two of its turns, also when all is well."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Engine, bindparam, text

from ..ledger.states import OperationKind, OperationState, PublicationState
from ..schedules import CronLine
from ..schema.types import UTCMoment
from ..vitals import Vitals, look
from .book import Book
from .kinds import AlertKind, lasted

_BACK = tuple(timedelta(minutes=each) for each in (5, 180, 2 * 1440, 9 * 1440, 33 * 1440, 370 * 1440))
"""How far back turns are looked for, the nearest first: of a line for every minute a week has thousands."""
_WRITTEN = {
    OperationKind.CREATE: "copies made",
    OperationKind.EDIT: "copies changed",
    OperationKind.WITHDRAW: "copies taken back",
    OperationKind.ANSWER: "answers told",
    OperationKind.ANSWER_BACK: "answers told at the origin",
    OperationKind.WITHDRAW_TWIN: "second copies taken back",
}
_PULLED = ("runs", "created", "changed", "gone", "quarantined")


def last_turns(line: CronLine, zone: Any, now: datetime) -> tuple[datetime, datetime] | None:
    """The turn of a cron line that came last and the one before it; None where there were no two within a year."""
    for back in _BACK:
        found: list[datetime] = []
        turn = now - back
        while (turn := line.after(turn, zone)) <= now:
            found.append(turn)
        if len(found) >= 2:
            return found[-2], found[-1]
    return None


def overview(
    book: Book,
    operator: str,
    instances: Iterable[str],
    routes: Iterable[str],
    span: Sequence[datetime],
    stands: Iterable[Mapping[str, Any]],
) -> tuple[str, str, dict[str, Any]]:
    """Title, text and the same for programs, of what happened from `span[0]` to `span[1]`. No text of anybody.

    `stands`: the rows of the alerts that are open.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    (since, until), engine = span, book.engine
    now, zone = book.clock.now(), book.zone
    seen = look(engine, (), now)
    pulls, writes = _pulls(engine, since, until), _writes(engine, since, until)
    open_alerts = [(str(row["kind"]), str(row["subject"]), row["opened_at"]) for row in stands]
    undelivered = sum(seen.alerts.waiting.values()) + sum(seen.alerts.given_up.values())
    told: dict[str, Any] = {
        "from": since.isoformat(),
        "to": until.isoformat(),
        "instances": {name: _instance(name, seen, pulls) for name in instances},
        "routes": {name: _route(name, seen, writes) for name in routes},
        "open": [{"kind": kind, "subject": subject, "opened": at.isoformat()} for kind, subject, at in open_alerts],
        "undelivered": undelivered,
    }
    trouble = f"{len(open_alerts)} alert{'' if len(open_alerts) == 1 else 's'} open" if open_alerts else "all is well"
    lines = [
        f"{operator}: {since.astimezone(zone):%Y-%m-%d %H:%M} to {until.astimezone(zone):%Y-%m-%d %H:%M %Z}",
        "",
        "Open alerts:" if open_alerts else "No alert is open.",
        *(f"- {AlertKind(kind)} {subject}, for {lasted(now - at)}" for kind, subject, at in open_alerts),
        *([f"{undelivered} deliveries of earlier notices did not arrive: `civicsync alerts`."] if undelivered else []),
        "",
        "Pulled:",
        *(_pulled_line(name, each, zone) for name, each in told["instances"].items()),
    ]
    if told["routes"]:
        lines += ["", "Published:", *(_route_line(name, each) for name, each in told["routes"].items())]
    return f"daily overview: {trouble}", "\n".join(lines), told


def _pulls(engine: Engine, since: datetime, until: datetime) -> dict[str, dict[str, int]]:
    query = text(
        "SELECT instance, count(*), sum(created), sum(changed), sum(gone), sum(quarantined) FROM run "
        "WHERE ended_at >= :since AND ended_at < :until GROUP BY instance"
    ).bindparams(*_moments(since, until))
    with engine.connect() as connection:
        rows = connection.execute(query)
        return {str(row[0]): dict(zip(_PULLED, map(int, row[1:]), strict=True)) for row in rows}


def _writes(engine: Engine, since: datetime, until: datetime) -> dict[str, dict[str, int]]:
    query = text(
        "SELECT route, kind, count(*) FROM operation WHERE state = :sent AND changed_at >= :since AND changed_at < :until "
        "GROUP BY route, kind"
    ).bindparams(*_moments(since, until), sent=OperationState.SENT.value)
    found: dict[str, dict[str, int]] = {}
    with engine.connect() as connection:
        for route, kind, many in connection.execute(query):
            found.setdefault(str(route), {})[str(kind)] = int(many)
    return found


def _moments(since: datetime, until: datetime) -> list[Any]:
    return [bindparam(name, at, type_=UTCMoment()) for name, at in (("since", since), ("until", until))]


def _instance(name: str, seen: Vitals, pulls: dict[str, dict[str, int]]) -> dict[str, Any]:
    good = seen.good_pulls.get(name)
    counts = pulls.get(name, dict.fromkeys(_PULLED, 0))
    waits = seen.quarantined.get(name, 0)
    return {"last_good_pull": good.isoformat() if good else None, **counts, "in_quarantine": waits}


def _route(name: str, seen: Vitals, writes: dict[str, dict[str, int]]) -> dict[str, Any]:
    return {
        "written": writes.get(name, {}),
        "sent": seen.publications.get((name, PublicationState.SENT), 0),
        "waiting_for_person": seen.waiting.get(name, (0,))[0],
        "refused": seen.publications.get((name, PublicationState.REFUSED), 0),
        "unknown": seen.publications.get((name, PublicationState.UNKNOWN), 0),
        "halted": name in seen.halted,
    }


def _pulled_line(name: str, each: dict[str, Any], zone: tzinfo) -> str:
    good = each["last_good_pull"]
    last = f"{datetime.fromisoformat(good).astimezone(zone):%Y-%m-%d %H:%M}" if good else "never"
    counts = f"{each['runs']} runs, {each['created']:,} new, {each['changed']:,} changed, {each['gone']:,} gone"
    waits = (
        f", {each['in_quarantine']:,} in quarantine ({each['quarantined']:,} newly)" if each["in_quarantine"] else ""
    )
    return f"- {name}: last good pull {last}; {counts}{waits}"


def _route_line(name: str, each: dict[str, Any]) -> str:
    written = [f"{many:,} {_WRITTEN[OperationKind(kind)]}" for kind, many in sorted(each["written"].items())]
    words = (("waiting_for_person", "wait for a person"), ("refused", "refused"), ("unknown", "not known yet"))
    waits = [f"{each[key]:,} {word}" for key, word in words if each[key]]
    halted = ["STOPPED"] if each["halted"] else []
    return f"- {name}: " + "; ".join(
        [*halted, ", ".join(written) or "nothing written", f"{each['sent']:,} copies stand", *waits]
    )
