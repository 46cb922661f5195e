"""Pabulib (.pb): a participatory budget with its ballots, for those who study and recompute votes.

Only where there are ballots: individual votes that a platform shows in public, or a list that the city itself counted. Counters alone
make no valid file. Voters get numbers that are new in every file and in no order, and nothing else is said of them; no vote has a time.
"""

import csv
import io
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ...core.redaction import visible
from . import expressions, files
from .catalogue import Catalogue
from .job import ExportError, ExportUsage, Job, Written
from .snapshot import Snapshot

_VOTED = "v.positive IS NOT FALSE AND v.gone_at IS NULL"


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget with what is known of its ballots."""

    key: str
    instance: str
    remote_id: str
    name: str
    amount: int | None
    votes: int


@dataclass(frozen=True, slots=True)
class Project:
    """What can be voted for; `selected` is None where nobody decided yet."""

    key: str
    remote_id: str
    name: str
    cost: int
    selected: bool | None
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True, slots=True)
class Ballots:
    """Votes by a voter's number, each a list of project ids; `begin` and `end` of the voting."""

    by_voter: Mapping[str, Sequence[str]]
    begin: date
    end: date


@dataclass(frozen=True, slots=True)
class Made:
    """A file's text, a piece at a time, and what a person should know about it."""

    lines: Iterator[str]
    votes: int
    notes: list[str]


def budgets(snapshot: Snapshot) -> list[Budget]:
    """Every budget with its number of individual votes."""
    sql = (
        "SELECT b.key, b.instance, b.remote_id, b.name, b.amount, "
        "(SELECT sum(s.amount) FROM spaces s WHERE s.parent_key = b.key AND s.gone_at IS NULL), "
        "(SELECT count(*) FROM projects p JOIN votes v ON v.target_key = p.key "
        f"WHERE p.budget_key = b.key AND p.gone_at IS NULL AND {_VOTED}) "
        "FROM budgets b WHERE b.gone_at IS NULL ORDER BY b.instance, b.key"
    )
    return [
        Budget(str(key), str(instance), str(remote), str(name), _whole(amount) or _whole(parts), int(votes))
        for key, instance, remote, name, amount, parts, votes in snapshot.rows(sql)
    ]


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def choose(found: Sequence[Budget], wanted: Sequence[str], *, own_ballots: bool) -> list[Budget]:
    """The budgets to write: those that are named (by key or name), or all that have ballots.

    Raises:
        ExportUsage: a name fits none.
        ExportError: there are no ballots, or the money is not known.
    """
    chosen: list[Budget] = []
    for each in wanted:
        fits = [budget for budget in found if each in {budget.key, budget.name}]
        if len(fits) != 1:
            known = ", ".join(visible(budget.key) for budget in found) or "none"
            raise ExportUsage(f"pabulib: {len(fits) or 'no'} budgets are called {each!r}; the budgets are: {known}")
        chosen += fits
    if not wanted:
        chosen = [budget for budget in found if budget.votes]
    if own_ballots and len(chosen) != 1:
        raise ExportUsage("pabulib: --ballots is of one budget; name it with --budget")
    bare = [budget for budget in chosen if not budget.votes and not own_ballots]
    if bare or not chosen:
        of = f" of {', '.join(visible(budget.key) for budget in bare)}" if bare else ""
        raise ExportError(
            f"pabulib: there are no ballots{of}: no platform showed individual votes on projects, and counters alone make no valid .pb "
            "file. With a list of your own: --ballots FILE --budget KEY --dates BEGIN..END. The counters: "
            "civicsync export csv PATH --view projects"
        )
    return chosen


def projects(snapshot: Snapshot, budget: Budget) -> tuple[list[Project], list[str]]:
    """The projects of a budget that a file can have, and a word about those that it cannot.

    Raises:
        ExportError: the budget's money is not known, or no project can be in a file.
    """
    if not budget.amount or budget.amount <= 0:
        raise ExportError(
            f"pabulib: {visible(budget.key)}: its platform does not say how much money there is, and a .pb file must; nothing is written"
        )
    sql = (
        "SELECT key, remote_id, title, amount, selected, latitude, longitude FROM projects "
        f"WHERE budget_key = {expressions.literal(budget.key)} AND gone_at IS NULL ORDER BY key"
    )
    kept: list[Project] = []
    costless, dear = 0, 0
    for key, remote, title, cost, selected, latitude, longitude in snapshot.rows(sql):
        if not cost or int(cost) <= 0:
            costless += 1
        elif int(cost) > budget.amount:
            dear += 1
        else:
            chosen = None if selected is None else bool(selected)
            kept.append(Project(str(key), str(remote), str(title), int(cost), chosen, latitude, longitude))
    notes: list[str] = []
    if costless:
        notes.append(f"{visible(budget.key)}: {costless:,} projects have no cost and are left out, with their votes")
    if dear:
        notes.append(
            f"{visible(budget.key)}: {dear:,} projects cost more than the whole budget and are left out, with their votes"
        )
    if not kept:
        raise ExportError(
            f"pabulib: {visible(budget.key)}: no project has a cost within the budget; nothing is written"
        )
    return kept, notes


def own_ballots(path: Path, dates: str | None, known: Sequence[Project]) -> Ballots:
    """Ballots that the city counted: CSV with the columns `voter` and `project` (its number or key), one row a choice.

    The voters' own numbers are only used to tell which choices are one ballot; they are not written.

    Raises:
        ExportUsage: the file or the dates are not as they should be; the message names line and column.
    """
    begin, end = _dates(dates)
    by_any = {name: each.remote_id for each in known for name in (each.remote_id, each.key)}
    chosen: dict[str, list[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sample = file.readline()
            file.seek(0)
            rows = csv.DictReader(file, delimiter=";" if ";" in sample else ",")
            if not {"voter", "project"} <= set(rows.fieldnames or ()):
                raise ExportUsage(f"{path}:1: expected the columns voter and project")
            for row in rows:
                voter, project = (row.get("voter") or "").strip(), (row.get("project") or "").strip()
                if not voter or project not in by_any:
                    wrong = (
                        "no voter"
                        if not voter
                        else f"the budget has no project {visible(project)!r} that a file can have"
                    )
                    raise ExportUsage(f"{path}:{rows.line_num}: {wrong}")
                one = chosen.setdefault(voter, [])
                if by_any[project] in one:
                    raise ExportUsage(f"{path}:{rows.line_num}: one voter chose project {visible(project)!r} twice")
                one.append(by_any[project])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExportUsage(f"{path}: cannot be read ({error})") from error
    if not chosen:
        raise ExportUsage(f"{path}: holds no ballot")
    return Ballots(chosen, begin, end)


def _dates(dates: str | None) -> tuple[date, date]:
    begin, _, end = (dates or "").partition("..")
    try:
        first, last = date.fromisoformat(begin), date.fromisoformat(end)
    except ValueError:
        raise ExportUsage("--dates: expected when people could vote, for example 2026-03-01..2026-03-14") from None
    if last < first:
        raise ExportUsage("--dates: it ends before it begins")
    return first, last


def public_votes(snapshot: Snapshot, budget: Budget, known: Sequence[Project]) -> Ballots:
    """The individual votes that the platform shows; it never says whose, so each is a ballot of its own.

    Raises:
        ExportError: none of them is for a project that a file can have.
    """
    ids = {each.key: each.remote_id for each in known}
    sql = (
        "SELECT v.target_key, v.cast_at FROM projects p JOIN votes v ON v.target_key = p.key "
        f"WHERE p.budget_key = {expressions.literal(budget.key)} AND p.gone_at IS NULL AND {_VOTED}"
    )
    cast: dict[str, Sequence[str]] = {}
    days: set[date] = set()
    for number, (target, at) in enumerate(snapshot.rows(sql)):
        if str(target) in ids:
            cast[str(number)] = (ids[str(target)],)
            if at is not None:
                days.add(date.fromisoformat(str(at)[:10]))
    if not cast or not days:
        raise ExportError(f"pabulib: {visible(budget.key)}: no vote with a date is for a project that a file can have")
    return Ballots(cast, min(days), max(days))


def make(
    budget: Budget,
    known: Sequence[Project],
    ballots: Ballots,
    about: Catalogue,
    *,
    single: bool,
    chance: random.Random | None = None,
) -> Made:
    """The text of a file. `single`: each vote stands alone, because nobody knows which are one person's. `chance`: for tests."""
    chance = chance or random.SystemRandom()
    assert budget.amount is not None
    counted = dict.fromkeys((each.remote_id for each in known), 0)
    for projects_chosen in ballots.by_voter.values():
        for project in projects_chosen:
            counted[project] += 1
    notes: list[str] = []
    decided = all(each.selected is not None for each in known)
    spent = sum(each.cost for each in known if each.selected)
    if decided and spent > budget.amount:
        notes.append(
            f"{visible(budget.key)}: the selected projects cost more than the budget, so the file does not say which were selected"
        )
        decided = False
    meta = _meta(budget, known, ballots, about, single=single)
    return Made(_lines(meta, known, counted, ballots, chance, decided=decided), len(ballots.by_voter), notes)


def _meta(
    budget: Budget, known: Sequence[Project], ballots: Ballots, about: Catalogue, *, single: bool
) -> list[tuple[str, str]]:
    assert budget.amount is not None
    longest = max(len(each) for each in ballots.by_voter.values())
    meta = [
        ("description", budget.name or budget.key),
        ("country", about.country),
        ("unit", about.publisher_name or budget.instance),
        ("instance", str(ballots.end.year)),
        ("num_projects", str(len(known))),
        ("num_votes", str(len(ballots.by_voter))),
        ("budget", str(budget.amount)),
        ("vote_type", "choose-1" if single else "approval"),
        ("rule", "unknown"),
        ("date_begin", f"{ballots.begin:%d.%m.%Y}"),
        ("date_end", f"{ballots.end:%d.%m.%Y}"),
    ]
    if not single:
        meta += [("min_length", "1"), ("max_length", str(longest))]
    meta += [("currency", about.currency)]
    if sum(each.cost for each in known) <= budget.amount:
        meta.append(("fully_funded", "1"))
    if single:
        meta.append(
            (
                "comment",
                "#1: the platform shows votes without their voters; each is a ballot of its own here, whoever cast it",
            )
        )
    return [(key, _cell(value)) for key, value in meta]


def _lines(
    meta: Sequence[tuple[str, str]],
    known: Sequence[Project],
    counted: Mapping[str, int],
    ballots: Ballots,
    chance: random.Random,
    *,
    decided: bool,
) -> Iterator[str]:
    yield _rows([("META",), ("key", "value"), *meta])
    placed = all(each.latitude is not None and each.longitude is not None for each in known)
    head = ["project_id", "cost", "votes", "name"] + ["selected"] * decided + ["latitude", "longitude"] * placed
    yield _rows([("PROJECTS",), head])
    for each in known:
        row = [each.remote_id, str(each.cost), str(counted[each.remote_id]), _cell(each.name) or each.remote_id]
        row += [str(int(bool(each.selected)))] * decided
        row += [repr(each.latitude), repr(each.longitude)] * placed
        yield _rows([row])
    yield _rows([("VOTES",), ("voter_id", "vote")])
    order = list(ballots.by_voter.values())
    chance.shuffle(order)
    used: set[str] = set()
    for chosen in order:
        voter = f"{chance.getrandbits(64):016x}"
        while voter in used:
            voter = secrets.token_hex(8)
        used.add(voter)
        yield _rows([(voter, ",".join(chosen))])


def _cell(text: str) -> str:
    """A text on one line, without anything at its ends that a checker would call an error."""
    return " ".join(visible(text).split())


def _rows(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\n").writerows(rows)
    return text.getvalue()


def export(
    job: Job,
    path: Path,
    wanted: Sequence[str],
    own: Path | None,
    dates: str | None,
    chance: random.Random | None = None,
) -> Written:
    """Write the budgets that have ballots: one to a file, several into a folder.

    Raises:
        ExportUsage: a name, a path or the ballots of the city are not as they should be.
        ExportError: there are no ballots, or what a file must say is not known.
    """
    written = Written()
    chosen = choose(budgets(job.snapshot), wanted, own_ballots=own is not None)
    if len(chosen) > 1 and path.suffix == ".pb":
        raise ExportUsage(f"several budgets make several files: name a folder, not {path}")
    texts: list[tuple[str, Made]] = []
    for budget in chosen:
        known, notes = projects(job.snapshot, budget)
        single = own is None
        ballots = public_votes(job.snapshot, budget, known) if own is None else own_ballots(own, dates, known)
        made = make(budget, known, ballots, job.catalogue, single=single, chance=chance)
        written.notes += notes + made.notes
        written.add(budget.key, made.votes)
        texts.append((f"{budget.instance}-{_slug(budget.remote_id)}.pb", made))
    if len(texts) == 1 and not path.is_dir():
        with files.beside(path) as temporary:
            _put(temporary, texts[0][1])
        written.files.append(path)
        return written
    with files.folder_beside(path) as folder:
        for name, made in texts:
            _put(folder / name, made)
    written.files += [path / name for name, _ in texts]
    return written


def _slug(remote_id: str) -> str:
    return "".join(each if each.isalnum() and each.isascii() else "-" for each in remote_id)[:80]


def _put(path: Path, made: Made) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(made.lines)
