"""Finding pairs of proposals that may be one idea, among all that people wrote and that is there now.

Left out: our own copies, amendments, what is hidden, withdrawn or gone, machine translations (originals are compared), and texts too short
to tell. Who wrote a proposal is not looked at. A pair is shown only where each is among the most alike of the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, delete, insert, select

from ...core.clock import Clock
from ...core.schema.analysis_tables import DuplicateVectorRow
from ...core.schema.ledger_tables import PublicationRow
from ...core.schema.tables import ProposalRow, ProposalTextRow, table_of
from ..search.words import fold, words_of
from . import meaning
from .lexical import BODY, Comparable, Lexicon, shared_words
from .pairs import Kept, Pair, keep, prepare, unchanged
from .scoring import THRESHOLD, UNKNOWN, VERSION, rule_of, score
from .stop_words import guessed

SHORTEST = 25
"""Characters of title and text below which nothing can be told."""
CLOSEST = 5
"""A pair is shown where each is among so many of the most alike of the other: nobody reads the fiftieth."""
_CHUNK = 400
_PROPOSAL, _TEXT, _PUBLICATION, _VECTOR = (
    table_of(row) for row in (ProposalRow, ProposalTextRow, PublicationRow, DuplicateVectorRow)
)

Progress = Callable[[str, int, int], None]
"""Told what is done, how much of it, of how much."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run did. `compared`: proposals; `short`: left out, too little is written; `model`: None where words alone were compared."""

    compared: int
    short: int
    pairs: tuple[Pair, ...]
    kept: Kept
    threshold: float
    model: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Proposal:
    key: str
    instance: str
    changed_at: datetime | None
    text: Comparable


def find(
    engine: Engine,
    *,
    clock: Clock,
    instances: Sequence[str] | None = None,
    threshold: float = THRESHOLD,
    semantic: bool = True,
    progress: Progress | None = None,
) -> Ran:
    """Compare all proposals and keep the pairs that reach the threshold, for people to decide about. Nothing else is changed.

    `instances`: only pairs with at least one proposal of these. `semantic`: also by meaning, where the extra is installed.
    """
    tell = progress or (lambda _what, _done, _total: None)
    prepare(engine)
    proposals, short = _proposals(engine)
    notes: list[str] = []
    model = None
    if semantic and len(proposals) > 1:
        try:
            model = meaning.Model()
        except meaning.NoModel as error:
            notes.append(str(error))
    lexicon = Lexicon([each.text for each in proposals])
    vectors = None
    if model is not None:
        read = _vectors(engine, proposals, model, tell)
        vectors = meaning.centred(read, [each.text.language for each in proposals])
    scored = _scored(proposals, lexicon, vectors, tell)
    ours = None if instances is None else frozenset(instances)
    now, version = clock.now(), f"{VERSION} {model.name}" if model else VERSION
    pairs = tuple(
        _pair(proposals, a, b, said, threshold, version, now)
        for (a, b), said in sorted(_close(scored, threshold).items(), key=lambda pair: (-pair[1][0].value, pair[0]))
        if ours is None or proposals[a].instance in ours or proposals[b].instance in ours
    )
    kept = keep(engine, pairs, {each.key: each.changed_at for each in proposals}, instances)
    return Ran(len(proposals), short, pairs, kept, threshold, model.name if model else None, tuple(notes))


def _proposals(engine: Engine) -> tuple[list[_Proposal], int]:
    """What is compared, in the order of keys, with how many are too short."""
    p, t = _PROPOSAL, _TEXT
    copies = select(_PUBLICATION.c.copy_key).where(_PUBLICATION.c.copy_key == p.c.key).exists()
    query = (
        select(p.c.key, p.c.instance, p.c.changed_at, p.c.locale.label("own"), t.c.locale, t.c.title, t.c.plain)
        .join(t, t.c.proposal_key == p.c.key)
        .where(p.c.gone_at.is_(None), p.c.kind != "amendment", p.c.amends_key.is_(None), p.c.state != "withdrawn")
        .where(t.c.machine.is_(False), ~copies)
        .order_by(p.c.key, t.c.locale)
    )
    chosen: dict[str, Any] = {}
    with engine.connect().execution_options(stream_results=True) as connection:
        for row in connection.execute(query):
            if row.key not in chosen or row.locale == row.own:
                chosen[row.key] = _Proposal(
                    row.key,
                    row.instance,
                    row.changed_at,
                    Comparable(row.title, row.plain[: BODY * 2], _language(row.locale, row.title, row.plain)),
                )
    every = sorted(chosen.values(), key=lambda each: each.key)
    told = [each for each in every if len(each.text.title) + len(each.text.body) >= SHORTEST]
    return told, len(every) - len(told)


def _language(locale: str, title: str, body: str) -> str:
    """`nl` of `nl-BE`; where a platform does not tell, what the small words say."""
    said = locale.replace("_", "-").partition("-")[0].lower()
    if said and said != UNKNOWN:
        return said
    return guessed([fold(word) for word in words_of(f"{title} {body[:BODY]}")]) or UNKNOWN


def _vectors(engine: Engine, proposals: Sequence[_Proposal], model: meaning.Model, tell: Progress) -> meaning.Vectors:
    """A row per proposal; what was read before is not read again."""
    import numpy as np

    texts = [meaning.read_part(each.text.title, each.text.body) for each in proposals]
    digests = [meaning.digest(text) for text in texts]
    stored: dict[str, bytes] = {}
    with engine.connect() as connection:
        query = select(_VECTOR.c.proposal_key, _VECTOR.c.digest, _VECTOR.c.vector).where(_VECTOR.c.model == model.name)
        known = {row.proposal_key: (bytes(row.digest), bytes(row.vector)) for row in connection.execute(query)}
    made = np.empty((len(proposals), meaning.WIDTH), dtype=np.float32)
    new: list[int] = []
    for number, each in enumerate(proposals):
        before = known.get(each.key)
        if before is not None and before[0] == digests[number]:
            made[number] = meaning.unpacked(before[1])
        else:
            new.append(number)
    portion = 640
    for start in range(0, len(new), portion):
        part = new[start : start + portion]
        # One text that stands in many proposals is read once.
        distinct = list(dict.fromkeys(texts[number] for number in part))
        read = dict(zip(distinct, model.vectors(distinct), strict=True))
        for number in part:
            vector = read[texts[number]]
            made[number] = vector
            stored[proposals[number].key] = meaning.packed(vector)
        rows = [
            {
                "proposal_key": proposals[n].key,
                "model": model.name,
                "digest": digests[n],
                "vector": stored[proposals[n].key],
            }
            for n in part
        ]
        _keep_vectors(engine, rows, {proposals[n].key: proposals[n].changed_at for n in part})
        tell("reading proposals", min(start + portion, len(new)), len(new))
    return made


def _keep_vectors(engine: Engine, rows: Sequence[dict[str, Any]], seen: dict[str, datetime | None]) -> None:
    """So that a run that is broken off goes on where it was; never of a text that changed or went meanwhile."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        there = unchanged(connection, set(seen), seen)
        kept = [row for row in rows if row["proposal_key"] in there]
        for start in range(0, len(kept), _CHUNK):
            part = kept[start : start + _CHUNK]
            connection.execute(delete(_VECTOR).where(_VECTOR.c.proposal_key.in_([row["proposal_key"] for row in part])))
            connection.execute(insert(_VECTOR), part)
        connection.commit()


_Said = tuple[Any, float | None, float | None]
"""The score, and how alike words and meaning are."""


def _scored(
    proposals: Sequence[_Proposal], lexicon: Lexicon, vectors: meaning.Vectors | None, tell: Progress
) -> dict[tuple[int, int], _Said]:
    """Every candidate that comes near a threshold, by its two places; the smaller is first."""
    scored: dict[tuple[int, int], _Said] = {}

    def weigh(a: int, b: int) -> None:
        languages = (proposals[a].text.language, proposals[b].text.language)
        words = lexicon.likeness(a, b) if rule_of(*languages).words else None
        alike = None if vectors is None else float(vectors[a] @ vectors[b])
        said = score(languages, words, alike)
        if said is not None and said.value >= _FLOOR:
            scored[a, b] = (said, words, alike)

    many = len(proposals)
    for number in range(many):
        for other in lexicon.candidates(number):
            pair = (min(number, other), max(number, other))
            if pair not in scored:
                weigh(*pair)
        if number % 500 == 499 or number + 1 == many:
            tell("comparing words", number + 1, many)
    if vectors is not None:
        for number, other, alike in meaning.nearest(
            vectors, lambda done, total: tell("comparing meanings", done, total)
        ):
            pair = (min(number, other), max(number, other))
            if alike >= _LEAST_ALIKE and pair not in scored:
                weigh(*pair)
    return scored


_FLOOR = 0.3
"""Scores below are not remembered: no threshold that anybody would choose is so low."""
_LEAST_ALIKE = 0.1


def _close(scored: dict[tuple[int, int], _Said], threshold: float) -> dict[tuple[int, int], _Said]:
    """The pairs that reach the threshold and are among the closest of both."""
    of: dict[int, list[tuple[float, int]]] = {}
    for (a, b), said in scored.items():
        of.setdefault(a, []).append((said[0].value, b))
        of.setdefault(b, []).append((said[0].value, a))
    closest = {
        own: {other for _, other in sorted(others, key=lambda each: (-each[0], each[1]))[:CLOSEST]}
        for own, others in of.items()
    }
    return {
        (a, b): said
        for (a, b), said in scored.items()
        if said[0].value >= threshold and b in closest[a] and a in closest[b]
    }


def _pair(
    proposals: Sequence[_Proposal], a: int, b: int, said: _Said, threshold: float, version: str, now: datetime
) -> Pair:
    # Places are in the order of keys, as Python compares them: `key_a` is the smaller one on every machine.
    one, other = proposals[a], proposals[b]
    measured, words, alike = said
    evidence: dict[str, Any] = {
        "languages": [one.text.language, other.text.language],
        "words": shared_words(one.text, other.text) if words is not None else [],
        "threshold": threshold,
    }
    return Pair(
        one.key,
        other.key,
        measured.value,
        None if words is None else round(words, 4),
        None if alike is None else round(alike, 4),
        measured.method,
        version,
        evidence,
        now,
    )
