"""What is no longer there: finding what a sweep or a thread did not show, and the tombstones of what is gone."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    Table,
    Update,
    bindparam,
    case,
    func,
    select,
    update,
)
from sqlmodel import SQLModel

from ..identity import Key, Ref, key
from ..leases import writing
from ..schema.tables import (
    ROWS,
    AreaRow,
    CategoryRow,
    ProposalAreaRow,
    ProposalCategoryRow,
    ProposalRow,
    SpaceRow,
    table_of,
)
from .bulk import chunks
from .confirmations import How, confirm_rows
from .store import InstanceStore


@dataclass(frozen=True, slots=True)
class Missing:
    """What a scope does not show any more. `alive` is how many rows were believed to be there."""

    scope: str
    alive: int
    proposals: int
    """How many of those are proposals."""
    refs: Mapping[Ref, int]
    """Reference to how many times in a row it was missed before this run."""


def find_missing(store: InstanceStore, scope: str) -> Missing:
    """Compare what is stored with what the finished sweep saw.

    Children of something that is itself gone or missing do not count: they went with it. What the sweep did not look at is not missing.
    """
    shown, silent = store.sweeps.seen(scope), store.sweeps.silent(scope)

    def is_missing(reference: Ref, runs: int) -> bool:
        known_otherwise = runs > 0 and reference in store.evidence
        return known_otherwise or (reference not in shown and reference not in silent)

    return _find(store, scope, is_missing)


def find_pending(store: InstanceStore, scope: str) -> Missing:
    """What was missed before, or by threads that this run read whole, in a scope that this run did not sweep to its end."""

    def is_missing(_: Ref, runs: int) -> bool:
        return runs > 0

    return _find(store, scope, is_missing)


def _find(store: InstanceStore, scope: str, is_missing: Callable[[Ref, int], bool]) -> Missing:
    cut = len(store.instance) + 1
    alive = proposals = 0
    missing: dict[Ref, int] = {}
    with store.engine.connect() as connection:
        for row_class in store.held():
            lost: dict[Ref, tuple[int, Key | None]] = {}
            for found in connection.execute(_alive(table_of(row_class)), {"instance": store.instance, "scope": scope}):
                row: list[Any] = list(found)
                alive += 1
                proposals += row_class is ProposalRow
                reference = row[0][cut:]
                if is_missing(reference, row[1]):
                    # What a thread of this very run missed was counted when its page was written.
                    before = row[1] - 1 if reference in store.evidence else row[1]
                    lost[reference] = (before, row[2] if len(row) > 2 else None)
            # What holds others comes before what hangs on it (`ROWS`): what this very sweep missed is known by now.
            holders = {held for _, held in lost.values() if held}
            orphans = lost_holders(connection, holders) | {held for held in holders if held[cut:] in missing}
            missing.update({r: runs for r, (runs, held) in lost.items() if held is None or held not in orphans})
            alive -= sum(1 for _, held in lost.values() if held in orphans)
    return Missing(scope, alive, proposals, missing)


# Statements that every run asks of every kind are put together once: that takes longer than most of them do.


@cache
def _alive(table: Table) -> Select[*tuple[Any, ...]]:
    holder = _holder(table)
    columns = [table.c.key, table.c.missing_runs] + ([table.c[holder]] if holder else [])
    query = select(*columns).where(*_in_scope(table), table.c.gone_at.is_(None))
    return query.execution_options(yield_per=5000)


@cache
def _any_in_scope(table: Table) -> Select[*tuple[Any, ...]]:
    return select(table.c.key).where(*_in_scope(table)).limit(1)


@cache
def _pending_scopes(table: Table) -> Select[*tuple[Any, ...]]:
    mine = table.c.instance == bindparam("instance")
    return select(table.c.scope).distinct().where(mine, table.c.missing_runs > 0, table.c.gone_at.is_(None))


@cache
def _told_missing(table: Table) -> Select[*tuple[Any, ...]]:
    mine = table.c.instance == bindparam("instance")
    return select(table.c.key).where(mine, table.c.told_missing_at.is_not(None), table.c.gone_at.is_(None))


def _in_scope(table: Table) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.instance == bindparam("instance"), table.c.scope == bindparam("scope")


def scopes_by_rank(store: InstanceStore, scopes: Iterable[str]) -> list[list[str]]:
    """Scopes in the order of judging: those of spaces, those of proposals and the like, those whose rows all hang on proposals."""
    spaces, stand, hang = set[str](), set[str](), set[str]()
    with store.engine.connect() as connection:
        for row_class in store.held():
            table = table_of(row_class)
            group = spaces if row_class is SpaceRow else hang if "target_key" in table.c else stand
            for scope in scopes:
                asked = {"instance": store.instance, "scope": scope}
                if connection.execute(_any_in_scope(table_of(row_class)), asked).first() is not None:
                    group.add(scope)
    ranks: list[list[str]] = [[], [], []]
    for scope in scopes:
        ranks[0 if scope in spaces else 2 if scope in hang - stand else 1].append(scope)
    return ranks


def pending_scopes(store: InstanceStore) -> list[str]:
    """The scopes in which something is missing, by what earlier runs or threads of this one say."""
    found: dict[str, None] = {}
    with store.engine.connect() as connection:
        for row_class in store.held():
            scopes = connection.execute(_pending_scopes(table_of(row_class)), {"instance": store.instance}).scalars()
            found.update(dict.fromkeys(scopes))
    return list(found)


def told_missing(store: InstanceStore) -> set[Ref]:
    """What an earlier run found missing and asked the admin about."""
    cut = len(store.instance) + 1
    found: set[Ref] = set()
    with store.engine.connect() as connection:
        for row_class in store.held():
            keys = connection.execute(_told_missing(table_of(row_class)), {"instance": store.instance}).scalars()
            found.update(own[cut:] for own in keys)
    return found


def _holder(table: Table) -> str | None:
    """The column that says what a row is part of."""
    if table is table_of(SpaceRow):
        return "parent_key"
    return next((name for name in ("target_key", "space_key") if name in table.c), None)


def lost_holders(connection: Connection, keys: Collection[Key]) -> set[Key]:
    """Of these proposals and spaces, those that are gone or missing, or lie in a space that is."""
    above: dict[Key, set[Key]] = {own: {own} for own in keys}
    lost: set[Key] = set()
    seen: set[Key] = set()
    while above:
        seen.update(above)
        following: dict[Key, set[Key]] = {}
        for row_class, holder in ((ProposalRow, "space_key"), (SpaceRow, "parent_key")):
            table = table_of(row_class)
            for part in chunks(sorted(above)):
                query = select(table.c.key, table.c.gone_at, table.c.missing_runs, table.c[holder])
                for own, gone_at, runs, held in connection.execute(query.where(table.c.key.in_(part))):
                    if gone_at is not None or runs:
                        lost |= above[own]
                    elif held and held not in seen:
                        following.setdefault(held, set()).update(above[own])
        above = following
    return lost


@dataclass(slots=True)
class Judgement:
    """What is written of one group of missing rows."""

    present: list[Ref] = field(default_factory=list[Ref])
    """Asked for, and there."""
    missed: list[Ref] = field(default_factory=list[Ref])
    """Missed once more."""
    told: list[Ref] = field(default_factory=list[Ref])
    """Too many to believe: the admin is asked."""
    gone: dict[Ref, str] = field(default_factory=dict[Ref, str])
    """With the reason."""


def record_judgement(store: InstanceStore, verdict: Judgement) -> None:
    """Write a verdict. What is inside a space or hangs on a proposal that is gone goes with it."""
    if not (verdict.present or verdict.missed or verdict.told or verdict.gone):
        return
    now = store.clock.now()
    with writing(store.engine, store.lease) as connection:
        for table, keys in store.by_table(verdict.present):
            confirm_rows(connection, table, keys, now, How.ASKED)
        for table, keys in store.by_table([each for each in verdict.missed if each not in store.evidence]):
            for part in chunks(keys):
                runs = {"missing_runs": table.c.missing_runs + 1}
                connection.execute(update(table).where(table.c.key.in_(part)).values(**runs))
        for table, keys in store.by_table(verdict.told):
            for part in chunks(keys):
                runs = {"missing_runs": case((table.c.missing_runs == 0, 1), else_=table.c.missing_runs)}
                connection.execute(update(table).where(table.c.key.in_(part)).values(told_missing_at=now, **runs))
        for reference, reason in verdict.gone.items():
            table = table_of(store.kinds.row_class(reference))
            where = (table.c.key == key(store.instance, reference), table.c.gone_at.is_(None))
            connection.execute(update(table).where(*where).values(**buried(now, reason)))
        bury_inside(connection, [key(store.instance, reference) for reference in verdict.gone], now)


def clear_missing(store: InstanceStore, present: Collection[Ref]) -> None:
    """What a sweep showed again is missing no longer."""
    now = store.clock.now()
    with writing(store.engine, store.lease) as connection:
        for table, keys in store.by_table(present):
            confirm_rows(connection, table, keys, now, How.SHOWN)


def bury_unused(store: InstanceStore) -> int:
    """Categories and areas that are known only from what carries them, and that nothing carries any more."""
    now, total = store.clock.now(), 0
    unused = [each for each in store.held() if each in _CARRIED]
    if not unused:
        return 0
    with writing(store.engine, store.lease) as connection:
        for row_class in unused:
            link, column = _CARRIED[row_class]
            burying = _burying_unused(table_of(row_class), table_of(link), column)
            total += max(0, connection.execute(burying, {"of": store.instance, "now": now}).rowcount)
    return total


_CARRIED: Mapping[type[SQLModel], tuple[type[SQLModel], str]] = {
    CategoryRow: (ProposalCategoryRow, "category_key"),
    AreaRow: (ProposalAreaRow, "area_key"),
}


@cache
def _burying_unused(table: Table, links: Table, column: str) -> Update:
    proposal, below, of = table_of(ProposalRow), table.alias(), bindparam("of")
    carried = (
        select(links.c[column])
        .join(proposal, proposal.c.key == links.c.proposal_key)
        .where(proposal.c.instance == of, proposal.c.gone_at.is_(None))
    )
    parents = select(below.c.parent_key).where(
        below.c.instance == of, below.c.gone_at.is_(None), below.c.parent_key.is_not(None)
    )
    unused = (
        table.c.instance == of,
        table.c.scope == "",
        table.c.gone_at.is_(None),
        table.c.key.not_in(carried),
        table.c.key.not_in(parents),
    )
    return update(table).where(*unused).values(**buried(bindparam("now"), "nothing carries it any more"))


def buried(now: datetime | BindParameter[datetime], reason: str) -> dict[str, Any]:
    """What is written into a row that is gone; `now` may be given when the statement is executed."""
    return {
        "gone_at": now,
        "gone_reason": reason,
        "missing_runs": 0,
        "told_missing_at": None,
        "digest": None,
        "token": None,
    }


def bury_inside(connection: Connection, keys: Sequence[Key], now: datetime) -> None:
    """Whatever lies in these spaces, however deep, and whatever hangs on these proposals."""
    why = "went with what it belongs to"
    parts = [(table_of(row_class), _holder(table_of(row_class))) for row_class in ROWS.values()]
    while keys:
        below: list[Key] = []
        for table, holder in parts:
            if holder is None:
                continue
            for part in chunks(keys):
                where = (table.c[holder].in_(part), table.c.gone_at.is_(None))
                below += connection.execute(select(table.c.key).where(*where)).scalars()
                connection.execute(update(table).where(*where).values(**buried(now, why)))
        keys = below


def count_within(store: InstanceStore, refs: Sequence[Ref]) -> tuple[int, int]:
    """How many live proposals lie in these spaces, however deep, and how many the instance has."""
    proposal, space = table_of(ProposalRow), table_of(SpaceRow)
    keys = [key(store.instance, reference) for reference in refs if store.kinds.row_class(reference) is SpaceRow]
    alive = (proposal.c.instance == store.instance, proposal.c.gone_at.is_(None))
    inside = everything = 0
    counted: set[Key] = set()
    with store.engine.connect() as connection:
        while keys:
            counted.update(keys)
            below: list[Key] = []
            for part in chunks(keys):
                query = select(func.count()).select_from(proposal).where(*alive, proposal.c.space_key.in_(part))
                inside += connection.execute(query).scalar_one()
                where = (space.c.parent_key.in_(part), space.c.gone_at.is_(None))
                below += connection.execute(select(space.c.key).where(*where)).scalars()
            keys = [own for own in below if own not in counted]
        if inside:
            everything = connection.execute(select(func.count()).select_from(proposal).where(*alive)).scalar_one()
    return inside, everything
