"""The report as one HTML page: headings, words, a table beside each chart, nothing that runs and nothing that is fetched."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import pairwise
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from . import charts
from .monthly import BUCKETS, MONTHS, Monthly
from .summary import summary
from .words import Words

Cell = str | Mapping[str, Any]
"""A text, or something with `title` and `url` that is shown as a link."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column. `number`: its cells stand to the right."""

    text: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing under its own words."""

    caption: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Figure:
    """A table, with charts above it where they say more."""

    name: str
    table_caption: str
    heads: Sequence[Head]
    rows: Sequence[Sequence[Cell]]
    charts: Sequence[Chart] = ()

    def cells(self, link: Callable[[Mapping[str, Any]], str]) -> list[list[str]]:
        """The rows with what is a link made one."""
        return [[cell if isinstance(cell, str) else link(cell) for cell in row] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report under a heading."""

    name: str
    title: str
    paragraphs: Sequence[str] = ()
    sentences: Sequence[str] = ()
    figures: Sequence[Figure] = field(default_factory=list[Figure])


def html(report: Monthly, words: Words, operator: str) -> str:
    """The whole page. `operator`: who runs this civicsync."""
    room = files("civicsync.analysis.reports")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string((room / "monthly.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        _=words._,
        words=words,
        report=report,
        operator=operator,
        title=title_of(report, words),
        sentences=summary(report, words),
        sections=sections(report, words),
        css=Markup((room / "report.css").read_text(encoding="utf-8")),
    )


def title_of(report: Monthly, words: Words) -> str:
    """What the report is called."""
    return words._("What citizens asked for in %(month)s", month=words.month(report.period.first_day))


def sections(report: Monthly, words: Words) -> list[Section]:
    """All parts, in the order in which a council member reads."""
    parts = (_summary, _asked, _grown, _unanswered, _top, _same, _areas, _crossed, _budgets, _reading)
    return [part(report, words) for part in parts]


def _summary(report: Monthly, words: Words) -> Section:
    return Section("summary", words._("In short"), sentences=summary(report, words))


def _asked(report: Monthly, words: Words) -> Section:
    _, number = words._, words.number
    few = _("fewer than %(k)s", k=number(report.k))
    rows: list[list[Cell]] = [
        [
            each.title,
            number(each.proposals),
            number(each.proposals_before),
            number(each.comments),
            few if each.participants is None else number(each.participants),
            number(each.answered),
            number(each.withdrawn),
        ]
        for each in report.activity
    ]
    heads = [
        Head(_("platform")),
        Head(_("new proposals"), True),
        Head(_("the month before"), True),
        Head(_("comments"), True),
        Head(_("people who wrote"), True),
        Head(_("answered"), True),
        Head(_("withdrawn"), True),
    ]
    figures = [Figure("asked", _("New in this month, by platform"), heads, rows)]
    months = [report.period.before(back).first_day for back in reversed(range(MONTHS))]
    busy = [each for each in report.activity if any(each.history)]
    if busy:
        caption = _("New proposals in the last %(months)s months", months=number(MONTHS))
        told_in_words = _("Columns, one a month; the table below has the numbers.")
        drawn = [
            Chart(
                each.title,
                charts.columns(
                    f"history-{each.instance}",
                    f"{caption}: {each.title}",
                    told_in_words,
                    [
                        (words.month(day, short=True)[:4], many, number(many))
                        for day, many in zip(months, each.history, strict=True)
                    ],
                ),
            )
            for each in busy
        ]
        heads = [Head(_("month")), *(Head(each.title, True) for each in busy)]
        rows = [
            [words.month(day), *(number(each.history[position]) for each in busy)]
            for position, day in enumerate(months)
        ]
        figures.append(Figure("history", caption, heads, rows, drawn))
    if report.categories:
        caption = _("Categories of the new proposals")
        many = [(row["category"], row["proposals"], number(row["proposals"])) for row in report.categories]
        figures.append(
            Figure(
                "categories",
                caption,
                [Head(_("category")), Head(_("new proposals"), True)],
                [[row["category"], number(row["proposals"])] for row in report.categories],
                [
                    Chart(
                        caption,
                        charts.bars("categories-chart", caption, _("Bars; the table below has the numbers."), many),
                    )
                ],
            )
        )
    return Section(
        "asked",
        _("What was asked"),
        [_("A person is counted once on each platform; nobody can be followed from one platform to another.")],
        figures=figures,
    )


def _grown(report: Monthly, words: Words) -> Section:
    _, number = words._, words.number
    if not report.grown:
        return Section("grown", _("Where support grew"), [_("No platform showed growing support in this month.")])
    caption = _("The proposals whose support grew most")
    many = [(row["title"] or _("without a title"), row["growth"], f"+{number(row['growth'])}") for row in report.grown]
    rows: list[list[Cell]] = [
        [row, report.title(row["instance"]), f"+{number(row['growth'])}", number(row["supports"])]
        for row in report.grown
    ]
    heads = [Head(_("proposal")), Head(_("platform")), Head(_("growth"), True), Head(_("supports"), True)]
    chart = charts.bars("grown-chart", caption, _("Bars; the table below has the numbers."), many)
    note = _(
        "Supports are counted by each platform in its own way; they are not people, and are not added up over platforms."
    )
    return Section(
        "grown",
        _("Where support grew"),
        [note],
        figures=[Figure("grown", _("The same in numbers"), heads, rows, [Chart(caption, chart)])],
    )


def _unanswered(report: Monthly, words: Words) -> Section:
    _, number = words._, words.number
    title = _("What is unanswered, and for how long")
    if not report.unanswered:
        return Section("unanswered", title, [_("No proposal waits for an official answer.")])
    heads = [Head(_("platform")), Head(_("up to %(days)s days", days=number(BUCKETS[0])), True)]
    for low, high in pairwise(BUCKETS):
        heads.append(Head(_("%(low)s to %(high)s days", low=number(low), high=number(high)), True))
    heads += [Head(_("longer"), True), Head(_("together"), True)]
    rows: list[list[Cell]] = [[each.title, *map(number, each.counts), number(each.total)] for each in report.waiting]
    figures = [Figure("waiting", _("Open proposals without an official answer"), heads, rows)]
    if report.longest:
        heads = [
            Head(_("proposal")),
            Head(_("platform")),
            Head(_("place")),
            Head(_("supports"), True),
            Head(_("days"), True),
        ]
        rows = [
            [row, report.title(row["instance"]), row["space"] or "–", number(row["supports"]), number(row["days"])]
            for row in report.longest
        ]
        caption = _("With most support among those that wait for more than %(days)s days", days=number(BUCKETS[0]))
        figures.append(Figure("longest", caption, heads, rows))
    return Section("unanswered", title, figures=figures)


def _top(report: Monthly, words: Words) -> Section:
    _, number = words._, words.number
    title = _("The top list of the month")
    if not report.top:
        when = words.moment(report.frozen_at)
        if report.frozen_at > report.made_at:
            return Section("top", title, [_("The list is frozen on %(when)s.", when=when)])
        return Section(
            "top",
            title,
            [
                _(
                    "No list was frozen on %(when)s: these platforms were not read yet, or nothing open had support.",
                    when=when,
                )
            ],
        )
    note = _(
        "Frozen on %(when)s: the open proposals with the most supports of each platform, and the first of each category.",
        when=words.moment(report.frozen_at),
    )
    heads = [Head(_("rank")), Head(_("proposal")), Head(_("platform")), Head(_("supports"), True)]
    rows: list[list[Cell]] = [
        [number(row["rank"]), row, report.title(row["instance"]), number(row["supports"])] for row in report.top
    ]
    figures = [Figure("top", _("Most supports"), heads, rows)]
    if report.top_by_category:
        heads = [Head(_("category")), Head(_("proposal")), Head(_("platform")), Head(_("supports"), True)]
        rows = [
            [row["category"] or "–", row, report.title(row["instance"]), number(row["supports"])]
            for row in report.top_by_category
        ]
        figures.append(Figure("top-categories", _("The first of each category"), heads, rows))
    return Section("top", title, [note], figures=figures)


def _same(report: Monthly, words: Words) -> Section:
    _, number = words._, words.number
    title = _("The same idea on several platforms")
    if not report.same:
        return Section(
            "same",
            title,
            [
                _(
                    "Nothing is known of it: nobody has looked for pairs yet (civicsync duplicates find), or there are none."
                )
            ],
        )
    heads = [
        Head(_("proposal")),
        Head(_("supports"), True),
        Head(_("and")),
        Head(_("supports"), True),
        Head(_("who says so")),
    ]
    rows: list[list[Cell]] = []
    for row in report.same:
        one = {
            "title": f"{row['title_a'] or _('without a title')} ({report.title(row['instance_a'])})",
            "url": row["url_a"],
        }
        other = {
            "title": f"{row['title_b'] or _('without a title')} ({report.title(row['instance_b'])})",
            "url": row["url_b"],
        }
        who = _("a person") if row["decision"] == "same" else _("a machine: perhaps")
        rows.append([one, number(row["supports_a"]), other, number(row["supports_b"]), who])
    note = _("Nothing is merged, and supports are never added up: the same person may have supported both.")
    return Section("same", title, [note], figures=[Figure("same", _("Pairs of proposals"), heads, rows)])


def _areas(report: Monthly, words: Words) -> Section:
    _, number = words._, words.number
    title = _("Participation by area")
    if not report.areas:
        return Section("areas", title, [_("These platforms tell of no areas.")])
    withheld = _("withheld")

    def told(row: Mapping[str, Any], name: str, hidden: str) -> str:
        return withheld if row[hidden] else number(row[name])

    rows: list[list[Cell]] = [
        [
            row["area"] or _("no area"),
            report.title(row["instance"]),
            told(row, "proposals", "proposals_suppressed"),
            told(row, "proposal_authors", "proposals_suppressed"),
            told(row, "comments", "comments_suppressed"),
            told(row, "comment_authors", "comments_suppressed"),
        ]
        for row in report.areas
    ]
    heads = [
        Head(_("area")),
        Head(_("platform")),
        Head(_("proposals"), True),
        Head(_("people who proposed"), True),
        Head(_("comments"), True),
        Head(_("people who commented"), True),
    ]
    note = _(
        "Of all time until now. Withheld is what would tell of fewer than %(k)s people, and what would let them be calculated.",
        k=number(report.k),
    )
    return Section("areas", title, [note], figures=[Figure("areas", _("Who took part where"), heads, rows)])


def _crossed(report: Monthly, words: Words) -> Section:
    _, number = words._, words.number
    title = _("What crossed, and what came back")
    paragraphs: list[str] = []
    if report.told:
        paragraphs.append(
            words.n(
                "One official answer was told at a copy.", "%(num)s official answers were told at copies.", report.told
            )
        )
    if report.came_back:
        paragraphs.append(
            words.n("One came back to its origin.", "%(num)s came back to their origins.", report.came_back)
        )
    if not report.crossed:
        return Section("crossed", title, [_("No proposal was copied to another platform in this month."), *paragraphs])
    heads = [Head(_("route")), Head(_("to")), Head(_("copies"), True)]
    rows: list[list[Cell]] = [
        [row["route"], report.title(row["target"]), number(row["copies"])] for row in report.crossed
    ]
    return Section(
        "crossed", title, paragraphs, figures=[Figure("crossed", _("Copies made in this month"), heads, rows)]
    )


def _budgets(report: Monthly, words: Words) -> Section:
    _, number = words._, words.number
    title = _("Participatory budgets")
    if not report.budgets:
        return Section("budgets", title, [_("These platforms show no participatory budget.")])
    heads = [
        Head(_("budget")),
        Head(_("platform")),
        Head(_("phase")),
        Head(_("to spend"), True),
        Head(_("projects"), True),
        Head(_("chosen"), True),
        Head(_("they cost"), True),
    ]
    rows: list[list[Cell]] = [
        [
            row["name"] or "–",
            report.title(row["instance"]),
            row["status"] or "–",
            number(row["amount"]),
            number(row["projects"]),
            number(row["chosen"]),
            number(row["spent"]) if row["chosen"] else "–",
        ]
        for row in report.budgets
    ]
    note = _("Amounts are in whole units of the currency of each platform.")
    return Section("budgets", title, [note], figures=[Figure("budgets", _("Budgets and their projects"), heads, rows)])


def _reading(report: Monthly, words: Words) -> Section:
    _ = words._
    paragraphs = [
        _(
            "A proposal belongs to the month in which everybody could read it first, in the time zone %(zone)s.",
            zone=str(words.zone),
        ),
        _(
            "Counted is what is there now: what was withdrawn, hidden or deleted since is not. Copies made by civicsync are not counted."
        ),
        _("A proposal is unanswered while it is open or evaluated and no official answer to it is public."),
        _("The figures are as old as the last good reading of each platform:"),
    ]
    rows: list[list[Cell]] = [
        [each.title, each.instance, each.platform, words.moment(each.read_at)] for each in report.activity
    ]
    heads = [Head(_("platform")), Head(_("name here")), Head(_("software")), Head(_("read on"))]
    return Section(
        "reading", _("How to read this"), paragraphs, figures=[Figure("read", _("Last good reading"), heads, rows)]
    )
