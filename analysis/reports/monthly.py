"""The figures of one month, from the views; nothing here knows how they are shown.

"There" means there when the report is made: what a platform has taken down since is told of by number at most. Counters are never added up
over platforms. How many people took part is withheld where they are fewer than `k`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, text

from ...core.ledger.states import OperationKind, OperationState
from ...core.schema.types import UTCMoment
from ..monthly_top import freezing

MONTHS = 12
"""Of the look back, this one counted."""
ROWS = 10
"""Of a list of proposals."""
BUCKETS = (30, 90, 365)
"""Days of waiting that divide the unanswered."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Period:
    """A month in a time zone: from its first moment until the first of the next."""

    year: int
    month: int
    zone: ZoneInfo

    @classmethod
    def of(cls, name: str, zone: ZoneInfo) -> "Period":
        """`2026-10`.

        Raises:
            ValueError: it names no month.
        """
        year, dash, month = name.partition("-")
        if (
            not (dash and len(year) == 4 and len(month) == 2 and (year + month).isdecimal())
            or not 1 <= int(month) <= 12
        ):
            raise ValueError(f"{name!r} is no month; write it as 2026-10")
        if int(year) < 1900:
            raise ValueError(f"{name!r} lies before anything that can be known")
        return cls(int(year), int(month), zone)

    @property
    def name(self) -> str:
        """`2026-10`."""
        return f"{self.year:04}-{self.month:02}"

    @property
    def first_day(self) -> date:
        """The first day."""
        return date(self.year, self.month, 1)

    @property
    def start(self) -> datetime:
        """The first moment, in UTC."""
        return datetime(self.year, self.month, 1, tzinfo=self.zone).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """The first moment that does not belong to it any more, in UTC."""
        return self.next().start

    def next(self) -> "Period":
        """The month after."""
        year, month = divmod(self.year * 12 + self.month, 12)
        return Period(year, month + 1, self.zone)

    def before(self, months: int = 1) -> "Period":
        """So many months earlier."""
        year, month = divmod(self.year * 12 + self.month - 1 - months, 12)
        return Period(year, month + 1, self.zone)


@dataclass(frozen=True, slots=True)
class Activity:
    """What one instance had in the month. `participants` is None where they are fewer than k but not nobody."""

    instance: str
    title: str
    platform: str
    read_at: datetime | None
    """When its last good pull ended; what the report says of it is as old as that."""
    proposals: int
    proposals_before: int
    """In the month before."""
    comments: int
    answered: int
    withdrawn: int
    participants: int | None
    history: Sequence[int]
    """New proposals in each of the last `MONTHS` months, the oldest first."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many proposals of an instance wait for an answer at the end of the month, by how long: up to each of `BUCKETS`, and longer."""

    instance: str
    title: str
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Monthly:
    """A report's figures. Rows are of the views, with the columns that the report shows."""

    period: Period
    made_at: datetime
    k: int
    activity: Sequence[Activity]
    categories: Sequence[Row]
    grown: Sequence[Row]
    waiting: Sequence[Waiting]
    longest: Sequence[Row]
    frozen_at: datetime
    """When the month's lists are (or will be) frozen."""
    top: Sequence[Row]
    top_by_category: Sequence[Row]
    same: Sequence[Row]
    """Pairs that a person said are one idea, then pairs that nobody has decided about."""
    areas: Sequence[Row]
    crossed: Sequence[Row]
    came_back: int
    """Answers that went back to an origin in the month."""
    told: int
    """Answers that were told at copies in the month."""
    budgets: Sequence[Row]

    def title(self, instance: str) -> str:
        """What an instance calls itself."""
        return next((each.title for each in self.activity if each.instance == instance), instance)

    @property
    def proposals(self) -> int:
        """New ones, everywhere."""
        return sum(each.proposals for each in self.activity)

    @property
    def proposals_before(self) -> int:
        """New ones in the month before, everywhere."""
        return sum(each.proposals_before for each in self.activity)

    @property
    def comments(self) -> int:
        """New ones, everywhere."""
        return sum(each.comments for each in self.activity)

    @property
    def answered(self) -> int:
        """Proposals that got an official answer in the month."""
        return sum(each.answered for each in self.activity)

    @property
    def unanswered(self) -> int:
        """Proposals that wait."""
        return sum(each.total for each in self.waiting)


_SINCE = "COALESCE(p.published_at, p.created_at, p.first_seen_at)"
_SHOWN = "p.gone_at IS NULL AND p.kind <> 'amendment'"
# What has no date is new where it appeared after the first whole reading; what that one found may be of any age.
_NEW_SINCE = """COALESCE(p.published_at, p.created_at, CASE WHEN p.first_seen_at >
    (SELECT min(r.ended_at) FROM run r WHERE r.instance = p.instance AND r.outcome = 'done') THEN p.first_seen_at END)"""
_NEW = f"""SELECT count(*) FROM proposals p
    WHERE p.instance = :instance AND {_SHOWN} AND {_NEW_SINCE} >= :start AND {_NEW_SINCE} < :end"""
_COMMENTS = """SELECT count(*) FROM comments c
    WHERE c.instance = :instance AND c.gone_at IS NULL AND c.created_at >= :start AND c.created_at < :end"""
_ANSWERED = (
    "SELECT count(DISTINCT a.target_key) FROM answers a JOIN proposals p ON p.key = a.target_key WHERE a.instance = :instance "
    f"AND a.gone_at IS NULL AND {_SHOWN} AND a.answered_at >= :start AND a.answered_at < :end"
)
_WITHDRAWN = (
    "SELECT count(*) FROM proposals p WHERE p.instance = :instance AND p.state = 'withdrawn' AND p.withdrawn_at >= :start "
    "AND p.withdrawn_at < :end"
)
_PEOPLE = f"""SELECT count(*) FROM (
    SELECT p.author FROM proposals p WHERE p.instance = :instance AND {_SHOWN} AND p.author IS NOT NULL AND {_NEW_SINCE} >= :start
        AND {_NEW_SINCE} < :end
    UNION SELECT c.author FROM comments c WHERE c.instance = :instance AND c.gone_at IS NULL AND c.author IS NOT NULL
        AND c.created_at >= :start AND c.created_at < :end
        AND NOT EXISTS (SELECT 1 FROM service_account s WHERE s.instance = c.instance AND s.pseudonym = c.author)) w"""
_CATEGORIES = f"""SELECT c.name AS category, count(*) AS proposals FROM proposals p JOIN proposal_categories c ON c.proposal_key = p.key
    WHERE {_SHOWN} AND c.name <> '' AND {_NEW_SINCE} >= :start AND {_NEW_SINCE} < :end AND p.instance IN :instances
    GROUP BY c.name ORDER BY count(*) DESC, c.name LIMIT :rows"""
_AT = "(SELECT t.supports FROM tally t WHERE t.proposal_key = p.key AND t.seen_at < {moment} ORDER BY t.seen_at {order} LIMIT 1)"
_GROWN = f"""
    WITH moved AS (SELECT DISTINCT t.proposal_key FROM tally t WHERE t.seen_at >= :start AND t.seen_at < :end),
    grown AS (
        SELECT p.instance, p.title, p.url, p.state, p.key, {_AT.format(moment=":end", order="DESC")} AS supports,
            COALESCE({_AT.format(moment=":start", order="DESC")},
                CASE WHEN {_SINCE} >= :start THEN 0 ELSE {_AT.format(moment=":end", order="ASC")} END) AS before
        FROM moved m JOIN proposals p ON p.key = m.proposal_key
        WHERE {_SHOWN} AND p.state <> 'withdrawn' AND p.instance IN :instances)
    SELECT instance, title, url, state, supports, supports - before AS growth FROM grown
    WHERE supports > before ORDER BY supports - before DESC, supports DESC, key LIMIT :rows"""
_UNANSWERED = f"""
    FROM proposals p WHERE {_SHOWN} AND p.state IN ('open', 'evaluating') AND {_SINCE} < :end AND p.instance IN :instances
    AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.target_key = p.key AND a.gone_at IS NULL)"""
_TOP = """SELECT m.instance, m.rank, m.category, m.title, m.supports, m.url FROM monthly_top m
    JOIN proposals p ON p.key = m.proposal_key WHERE m.month = :month AND m.list = :list AND m.instance IN :instances
    AND p.gone_at IS NULL AND p.state <> 'withdrawn' ORDER BY m.instance, m.category, m.rank"""
_SAME = """SELECT d.title_a, d.instance_a, d.supports_a, d.url_a, d.title_b, d.instance_b, d.supports_b, d.url_b, d.decision, d.score
    FROM duplicate_candidates d WHERE d.instance_a <> d.instance_b AND (d.decision IS NULL OR d.decision = 'same')
    AND d.instance_a IN :instances AND d.instance_b IN :instances
    ORDER BY CASE WHEN d.decision = 'same' THEN 0 ELSE 1 END, d.score DESC, d.key_a, d.key_b LIMIT :rows"""
_AREAS = """SELECT instance, area, proposals, proposal_authors, proposals_suppressed, comments, comment_authors, comments_suppressed
    FROM public_participation_by_area WHERE instance IN :instances AND (area IS NOT NULL OR instance IN (
        SELECT x.instance FROM public_participation_by_area x WHERE x.area IS NOT NULL))
    ORDER BY instance, CASE WHEN area IS NULL THEN 1 ELSE 0 END, area"""
_CROSSED = """SELECT p.route, p.target_instance AS target, count(*) AS copies FROM publication p
    WHERE p.sent_at >= :start AND p.sent_at < :end AND p.target_instance IN :instances
    GROUP BY p.route, p.target_instance ORDER BY p.route, p.target_instance"""
_ANSWERS_TOLD = """SELECT o.kind, count(*) AS many FROM operation o
    WHERE o.kind IN :kinds AND o.state = :sent AND o.changed_at >= :start AND o.changed_at < :end GROUP BY o.kind"""
_BUDGETS = """SELECT b.instance, b.name, b.status, b.amount, count(p.key) AS projects,
        sum(CASE WHEN p.selected THEN 1 ELSE 0 END) AS chosen, sum(CASE WHEN p.selected THEN p.amount ELSE 0 END) AS spent
    FROM budgets b LEFT JOIN projects p ON p.budget_key = b.key AND p.gone_at IS NULL
    WHERE b.gone_at IS NULL AND b.instance IN :instances GROUP BY b.key, b.instance, b.name, b.status, b.amount
    ORDER BY b.instance, b.name"""


def gather(connection: Connection, period: Period, instances: Sequence[str], now: datetime, *, k: int) -> Monthly:
    """The figures of a month for these instances. Titles may be empty where a platform shows none."""
    return _Gathering(connection, period, list(instances), now, k).monthly()


class _Gathering:
    """The questions of one report."""

    def __init__(self, connection: Connection, period: Period, instances: list[str], now: datetime, k: int) -> None:
        self.connection, self.period, self.instances, self.now, self.k = connection, period, instances, now, k

    def monthly(self) -> Monthly:
        """Ask everything."""
        told = {row["kind"]: row["many"] for row in self._rows(_ANSWERS_TOLD)}
        return Monthly(
            period=self.period,
            made_at=self.now,
            k=self.k,
            activity=[self._activity(row) for row in self._known()],
            categories=self._rows(_CATEGORIES),
            grown=self._rows(_GROWN),
            waiting=self._waiting(),
            longest=self._longest(),
            frozen_at=freezing(self.period.first_day),
            top=self._rows(_TOP, list="overall"),
            top_by_category=self._rows(_TOP, list="category"),
            same=self._rows(_SAME),
            areas=self._rows(_AREAS),
            crossed=self._rows(_CROSSED),
            came_back=told.get(OperationKind.ANSWER_BACK, 0),
            told=told.get(OperationKind.ANSWER, 0),
            budgets=self._rows(_BUDGETS),
        )

    def _known(self) -> list[Row]:
        return self._rows(
            "SELECT name, title, platform, last_success_at FROM instance WHERE name IN :instances ORDER BY name"
        )

    def _activity(self, row: Row) -> Activity:
        own = {"instance": row["name"]}
        people = self._count(_PEOPLE, own)
        history = [self._count(_NEW, own, self.period.before(back)) for back in reversed(range(MONTHS))]
        return Activity(
            instance=row["name"],
            title=row["title"] or row["name"],
            platform=row["platform"],
            read_at=row["last_success_at"],
            proposals=history[-1],
            proposals_before=history[-2],
            comments=self._count(_COMMENTS, own),
            answered=self._count(_ANSWERED, own),
            withdrawn=self._count(_WITHDRAWN, own),
            participants=people if people == 0 or people >= self.k else None,
            history=history,
        )

    def _waiting(self) -> list[Waiting]:
        """By instance: sums over the limits of the buckets, so that one pass over the table does."""
        last = min(self.period.end, self.now)
        edges = [last - timedelta(days=days) for days in BUCKETS]
        columns = [f"sum(CASE WHEN {_SINCE} >= :edge0 THEN 1 ELSE 0 END) AS b0"]
        columns += [
            f"sum(CASE WHEN {_SINCE} < :edge{n - 1} AND {_SINCE} >= :edge{n} THEN 1 ELSE 0 END) AS b{n}"
            for n in range(1, len(edges))
        ]
        columns.append(f"sum(CASE WHEN {_SINCE} < :edge{len(edges) - 1} THEN 1 ELSE 0 END) AS b{len(edges)}")
        sql = f"SELECT p.instance, {', '.join(columns)} {_UNANSWERED} GROUP BY p.instance ORDER BY p.instance"
        limits: dict[str, Any] = {f"edge{n}": edge for n, edge in enumerate(edges)}
        found = self._rows(sql, **limits)
        titles = {row["name"]: row["title"] or row["name"] for row in self._known()}
        return [
            Waiting(row["instance"], titles[row["instance"]], tuple(int(row[f"b{n}"]) for n in range(len(edges) + 1)))
            for row in found
        ]

    def _longest(self) -> list[Row]:
        """Those with the most supports of those that have waited for longer than the first limit; then the oldest."""
        last = min(self.period.end, self.now)
        since = f"{_SINCE} AS since"
        sql = (
            f"SELECT p.instance, p.title, p.url, p.supports, p.space, {since} {_UNANSWERED} AND {_SINCE} < :edge "
            f"ORDER BY COALESCE(p.supports, 0) DESC, {_SINCE}, p.key LIMIT :rows"
        )
        found = self._rows(sql, edge=last - timedelta(days=BUCKETS[0]))
        return [{**row, "days": (last - row["since"]).days} for row in found]

    def _count(self, sql: str, values: Mapping[str, Any], period: Period | None = None) -> int:
        within = period or self.period
        statement = text(sql).bindparams(*(bindparam(each, type_=UTCMoment()) for each in ("start", "end")))
        return self.connection.execute(statement, {**values, "start": within.start, "end": within.end}).scalar_one()

    def _rows(self, sql: str, **more: Any) -> list[Row]:
        """The rows of a question; it is given those of the report's values that it names."""
        values: dict[str, Any] = {
            "start": self.period.start,
            "end": self.period.end,
            "instances": self.instances,
            "month": self.period.name,
            "rows": ROWS,
            "kinds": [OperationKind.ANSWER, OperationKind.ANSWER_BACK],
            "sent": OperationState.SENT,
            **more,
        }
        asked = {name: value for name, value in values.items() if re.search(rf":{name}\b", sql)}
        binds: list[Any] = []
        for name, value in asked.items():
            if isinstance(value, list):
                binds.append(bindparam(name, expanding=True))
            elif isinstance(value, datetime):
                binds.append(bindparam(name, type_=UTCMoment()))
        statement: Any = text(sql).bindparams(*binds)
        moments = {name: UTCMoment() for name in ("since", "last_success_at") if re.search(rf"\b{name}\b", sql)}
        if moments:
            statement = statement.columns(**moments)
        return [dict(row) for row in self.connection.execute(statement, asked).mappings()]
