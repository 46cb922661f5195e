"""Pairs that were found and what people decided about them: kept in `duplicate_pair`.

Evidence repeats words of two texts: it goes when one of them changes or goes, in the same transaction, and so do vectors; a decision stays,
for the keys alone. Triggers see to it, so that no path by which something is erased, renamed or forgotten can forget the pairs.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, or_, select, text, update

from ...core.clock import Clock
from ...core.schema.analysis_tables import DuplicatePairRow
from ...core.schema.tables import ProposalRow, ProposalTextRow, table_of

PAIR = table_of(DuplicatePairRow)
_PROPOSAL, _TEXT = table_of(ProposalRow), table_of(ProposalTextRow)
_CHUNK = 400

_SQLITE_MADE = (
    *(
        f"""CREATE TRIGGER IF NOT EXISTS duplicate_text_{name} BEFORE {when} ON proposal_text BEGIN
            DELETE FROM duplicate_vector WHERE proposal_key = OLD.proposal_key;
            UPDATE duplicate_pair SET evidence = NULL
                WHERE (key_a = OLD.proposal_key OR key_b = OLD.proposal_key) AND evidence IS NOT NULL;
        END"""
        for name, when in (("gone", "DELETE"), ("changes", "UPDATE OF title, plain"))
    ),
    """CREATE TRIGGER IF NOT EXISTS duplicate_proposal_gone AFTER DELETE ON proposal BEGIN
        DELETE FROM duplicate_vector WHERE proposal_key = OLD.key;
        DELETE FROM duplicate_pair WHERE key_a = OLD.key OR key_b = OLD.key;
    END""",
    """CREATE TRIGGER IF NOT EXISTS duplicate_proposal_renamed AFTER UPDATE OF key ON proposal WHEN OLD.key <> NEW.key BEGIN
        UPDATE duplicate_pair SET
            key_a = min(NEW.key, CASE key_a WHEN OLD.key THEN key_b ELSE key_a END),
            key_b = max(NEW.key, CASE key_a WHEN OLD.key THEN key_b ELSE key_a END)
            WHERE key_a = OLD.key OR key_b = OLD.key;
    END""",
)
_POSTGRES_MADE = (
    """CREATE OR REPLACE FUNCTION {schema}.civicsync_pair_text_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        DELETE FROM {schema}.duplicate_vector WHERE proposal_key = OLD.proposal_key;
        UPDATE {schema}.duplicate_pair SET evidence = NULL
            WHERE (key_a = OLD.proposal_key OR key_b = OLD.proposal_key) AND evidence IS NOT NULL;
        RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    END $$""",
    """CREATE OR REPLACE FUNCTION {schema}.civicsync_pair_proposal_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        DELETE FROM {schema}.duplicate_vector WHERE proposal_key = OLD.key;
        DELETE FROM {schema}.duplicate_pair WHERE key_a = OLD.key OR key_b = OLD.key;
        RETURN NULL;
    END $$""",
    """CREATE OR REPLACE FUNCTION {schema}.civicsync_pair_renamed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE {schema}.duplicate_pair SET
            key_a = LEAST(NEW.key COLLATE "C", CASE key_a WHEN OLD.key THEN key_b ELSE key_a END),
            key_b = GREATEST(NEW.key COLLATE "C", CASE key_a WHEN OLD.key THEN key_b ELSE key_a END)
            WHERE key_a = OLD.key OR key_b = OLD.key;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER duplicate_text_gone BEFORE DELETE ON {schema}.proposal_text
        FOR EACH ROW EXECUTE FUNCTION {schema}.civicsync_pair_text_gone()""",
    """CREATE TRIGGER duplicate_text_changes BEFORE UPDATE OF title, plain ON {schema}.proposal_text
        FOR EACH ROW EXECUTE FUNCTION {schema}.civicsync_pair_text_gone()""",
    """CREATE TRIGGER duplicate_proposal_renamed AFTER UPDATE OF key ON {schema}.proposal
        FOR EACH ROW WHEN (OLD.key IS DISTINCT FROM NEW.key) EXECUTE FUNCTION {schema}.civicsync_pair_renamed()""",
    """CREATE TRIGGER duplicate_proposal_gone AFTER DELETE ON {schema}.proposal
        FOR EACH ROW EXECUTE FUNCTION {schema}.civicsync_pair_proposal_gone()""",
)
_LOCK = 0x6369766470


class Decision(StrEnum):
    """What a person said of a pair."""

    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two proposals that may be one idea. `key_a` sorts before `key_b`; scores are 0 to 1, `semantic` -1 to 1; null: not compared."""

    key_a: str
    key_b: str
    score: float
    lexical: float | None
    semantic: float | None
    method: str
    version: str
    evidence: Mapping[str, Any] | None
    found_at: datetime
    decision: Decision | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None

    @property
    def id(self) -> str:
        """Short, of the keys alone, so that it is the same in every run."""
        return pair_id(self.key_a, self.key_b)


@dataclass(frozen=True, slots=True)
class Side:
    """A proposal of a pair, as a person judges it."""

    key: str
    instance: str
    kind: str
    title: str
    body: str
    language: str
    state: str
    supports: int | None
    url: str | None
    gone: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of what a run found."""

    new: int = 0
    again: int = 0
    decided: int = 0
    """Pairs that a person has decided about, which are not proposed again."""
    dropped: int = 0
    """Pairs that waited and were not found again."""


class NoPair(Exception):
    """There is no such pair; the text says how to list those that there are."""


def pair_id(key_a: str, key_b: str) -> str:
    """Eight hexadecimal digits."""
    return hashlib.sha256(f"{key_a}\n{key_b}".encode()).hexdigest()[:8]


def prepare(engine: Engine) -> None:
    """Make the triggers, unless they are there."""
    with engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            query = "SELECT 1 FROM sqlite_master WHERE name = 'duplicate_proposal_renamed'"
        else:
            query = "SELECT 1 FROM pg_trigger WHERE tgname = 'duplicate_proposal_gone' AND tgrelid = to_regclass('proposal')"
        if connection.exec_driver_sql(query).first() is not None:
            return
        connection.rollback()
        if sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            for statement in _SQLITE_MADE:
                connection.exec_driver_sql(statement)
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            if connection.exec_driver_sql(query).first() is None:
                schema = connection.exec_driver_sql(
                    "SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                    "WHERE c.oid = to_regclass('proposal')"
                ).scalar_one()
                for statement in _POSTGRES_MADE:
                    connection.exec_driver_sql(statement.format(schema=schema))
        connection.commit()


def keep(
    engine: Engine, found: Sequence[Pair], seen: Mapping[str, datetime | None], instances: Sequence[str] | None
) -> Kept:
    """Write what a run found. What a person decided stays as it is; what waited and was not found again goes.

    `seen`: when each proposal that was compared had changed, so that nothing is written of a text that changed or went meanwhile.
    `instances`: the run was about pairs with one of these alone.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        there = unchanged(connection, {key for pair in found for key in (pair.key_a, pair.key_b)}, seen)
        known: dict[tuple[str, str], str | None] = {
            (row.key_a, row.key_b): row.decision
            for row in connection.execute(select(PAIR.c.key_a, PAIR.c.key_b, PAIR.c.decision))
        }
        fresh: list[dict[str, Any]] = []
        again: list[Pair] = []
        decided = 0
        current: set[tuple[str, str]] = set()
        for pair in found:
            keys = (pair.key_a, pair.key_b)
            if known.get(keys) is not None:
                decided += 1
            elif pair.key_a in there and pair.key_b in there:
                current.add(keys)
                if keys in known:
                    again.append(pair)
                else:
                    fresh.append(
                        {**_measured(pair), "key_a": pair.key_a, "key_b": pair.key_b, "found_at": pair.found_at}
                    )
        if fresh:
            connection.execute(insert(PAIR), fresh)
        for pair in again:
            connection.execute(
                update(PAIR)
                .where(PAIR.c.key_a == pair.key_a, PAIR.c.key_b == pair.key_b, PAIR.c.decision.is_(None))
                .values(_measured(pair))
            )
        old = [
            keys
            for keys, decision in known.items()
            if decision is None and keys not in current and _about(keys, instances)
        ]
        for key_a, key_b in old:
            connection.execute(
                delete(PAIR).where(PAIR.c.key_a == key_a, PAIR.c.key_b == key_b, PAIR.c.decision.is_(None))
            )
        connection.commit()
    return Kept(len(fresh), len(again), decided, len(old))


def _about(keys: tuple[str, str], instances: Sequence[str] | None) -> bool:
    return instances is None or any(key.partition("/")[0] in instances for key in keys)


def _measured(pair: Pair) -> dict[str, Any]:
    return {
        "score": pair.score,
        "lexical": pair.lexical,
        "semantic": pair.semantic,
        "method": pair.method,
        "version": pair.version,
        "evidence": dict(pair.evidence) if pair.evidence is not None else None,
    }


def unchanged(connection: Connection, keys: set[str], seen: Mapping[str, datetime | None]) -> set[str]:
    """Those that are as they were when they were compared. On PostgreSQL whoever erases one of them waits until we are done."""
    there: set[str] = set()
    ordered = sorted(keys)
    for start in range(0, len(ordered), _CHUNK):
        part = ordered[start : start + _CHUNK]
        texts = select(_TEXT.c.proposal_key).where(_TEXT.c.proposal_key.in_(part))
        if connection.dialect.name != "sqlite":
            texts = texts.with_for_update(read=True)
        written = set(connection.execute(texts).scalars())
        query = select(_PROPOSAL.c.key, _PROPOSAL.c.changed_at).where(
            _PROPOSAL.c.key.in_(part), _PROPOSAL.c.gone_at.is_(None)
        )
        there.update(
            row.key for row in connection.execute(query) if row.key in written and row.changed_at == seen.get(row.key)
        )
    return there


def waiting(engine: Engine, instances: Sequence[str] | None = None) -> list[Pair]:
    """Pairs that nobody has decided about, the most alike first. What is gone on its platform does not wait."""
    a, b = _PROPOSAL.alias("a"), _PROPOSAL.alias("b")
    query = (
        select(PAIR)
        .join(a, a.c.key == PAIR.c.key_a)
        .join(b, b.c.key == PAIR.c.key_b)
        .where(PAIR.c.decision.is_(None), a.c.gone_at.is_(None), b.c.gone_at.is_(None))
        .order_by(PAIR.c.score.desc(), PAIR.c.key_a, PAIR.c.key_b)
    )
    if instances is not None:
        query = query.where(or_(a.c.instance.in_(instances), b.c.instance.in_(instances)))
    with engine.connect() as connection:
        return [_pair(row) for row in connection.execute(query)]


def decided(engine: Engine) -> Iterator[Pair]:
    """What people decided, in the order in which they did; row by row."""
    query = select(PAIR).where(PAIR.c.decision.is_not(None)).order_by(PAIR.c.decided_at, PAIR.c.key_a, PAIR.c.key_b)
    with engine.connect().execution_options(stream_results=True) as connection:
        for row in connection.execute(query):
            yield _pair(row)


def by_id(engine: Engine, own: str) -> Pair:
    """The pair of an id, or of the two keys with a comma between.

    Raises:
        NoPair: there is none.
    """
    with engine.connect() as connection:
        if "," in own:
            key_a, key_b = sorted(part.strip() for part in own.split(",", 1))
            row = connection.execute(select(PAIR).where(PAIR.c.key_a == key_a, PAIR.c.key_b == key_b)).first()
            if row is not None:
                return _pair(row)
        else:
            for key_a, key_b in connection.execute(select(PAIR.c.key_a, PAIR.c.key_b)):
                if pair_id(key_a, key_b) == own:
                    return _pair(
                        connection.execute(select(PAIR).where(PAIR.c.key_a == key_a, PAIR.c.key_b == key_b)).one()
                    )
    raise NoPair(f"there is no pair {own}; `civicsync duplicates review` lists those that wait")


def decide(engine: Engine, pair: Pair, decision: Decision | None, clock: Clock, by: str) -> Pair:
    """Write down what a person decided, for good; None takes it back, so that the pair waits again.

    Raises:
        NoPair: it went meanwhile.
    """
    values: dict[str, Any] = {
        "decision": decision.value if decision else None,
        "decided_at": clock.now() if decision else None,
        "decided_by": by if decision else None,
    }
    where = (PAIR.c.key_a == pair.key_a, PAIR.c.key_b == pair.key_b)
    with engine.begin() as connection:
        if not connection.execute(update(PAIR).where(*where).values(values)).rowcount:
            raise NoPair(f"the pair {pair.id} is not there any more")
        return _pair(connection.execute(select(PAIR).where(*where)).one())


def sides(engine: Engine, pairs: Sequence[Pair]) -> dict[str, Side]:
    """The proposals of pairs, by key; one that is not stored any more is missing."""
    keys = sorted({key for pair in pairs for key in (pair.key_a, pair.key_b)})
    found: dict[str, Side] = {}
    with engine.connect() as connection:
        for start in range(0, len(keys), _CHUNK):
            part = keys[start : start + _CHUNK]
            bodies: dict[str, str] = {}
            query = (
                select(_TEXT.c.proposal_key, _TEXT.c.plain)
                .join(_PROPOSAL, _PROPOSAL.c.key == _TEXT.c.proposal_key)
                .where(_TEXT.c.proposal_key.in_(part), _TEXT.c.locale == _PROPOSAL.c.locale, _TEXT.c.machine.is_(False))
            )
            bodies.update({row.proposal_key: row.plain for row in connection.execute(query)})
            for row in connection.execute(select(_PROPOSAL).where(_PROPOSAL.c.key.in_(part))):
                found[row.key] = Side(
                    row.key,
                    row.instance,
                    row.kind,
                    row.title,
                    bodies.get(row.key, ""),
                    row.locale,
                    row.state,
                    row.supports,
                    row.url,
                    row.gone_at is not None,
                )
    return found


def _pair(row: Any) -> Pair:
    return Pair(
        row.key_a,
        row.key_b,
        row.score,
        row.lexical,
        row.semantic,
        row.method,
        row.version,
        row.evidence,
        row.found_at,
        Decision(row.decision) if row.decision else None,
        row.decided_at,
        row.decided_by,
    )
