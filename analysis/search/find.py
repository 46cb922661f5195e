"""Searching: which proposals have the words, the best first, with what they have in common.

A proposal is one hit however many of its texts have the words, and our own copies of it are no further ones: they are named with it.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select, text
from sqlalchemy.exc import DBAPIError

from ...core.schema.ledger_tables import PublicationRow
from ...core.schema.tables import ProposalRow, ProposalTextRow, SpaceRow, table_of
from . import index
from .index import SearchError
from .words import Term, Wanted, fold, understand

MOST_HITS = 5_000
"""Texts of one search that are ranked and counted; where more have the words, the newest of them, and it is said."""
_EVERYWHERE = 100_000
"""Texts that PostgreSQL thinks have the words, from which on the newest few thousand are found soonest by going through the newest."""
_TITLE_WEIGHT = 8.0
_SNIPPET = 180
"""Characters of a snippet, about."""
_TOKEN = re.compile(r"[^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*")
_PROPOSAL, _TEXT, _SPACE, _PUBLICATION = (
    table_of(row) for row in (ProposalRow, ProposalTextRow, SpaceRow, PublicationRow)
)


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and where in it the words are: pairs of begin and end, in characters."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A proposal that has the words. `copies`: keys of our copies of it, which are no hits of their own."""

    key: str
    instance: str
    kind: str
    remote_id: str
    title: Marked
    snippet: Marked
    language: str
    machine: bool
    """The words were found in a machine translation only."""
    state: str
    supports: int | None
    space: str | None
    url: str | None
    gone: bool
    score: float
    """Only to be compared within one search."""
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facet:
    """How many of the hits have a value. `key` tells spaces of one name apart; else it is the name."""

    name: str
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave. `total` counts proposals; `whole`: that is all of them, else only the newest texts were looked at."""

    hits: tuple[Hit, ...]
    total: int
    whole: bool
    facets: Mapping[str, tuple[Facet, ...]]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Group:
    """The texts of one proposal and of our copies of it."""

    score: float
    best: Any
    members: dict[str, Any] = field(default_factory=dict[str, Any])


def search(
    engine: Engine,
    typed: str,
    *,
    instance: str | None = None,
    kind: str | None = None,
    state: str | None = None,
    language: str | None = None,
    gone: bool = False,
    limit: int = 20,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Look for words in titles and texts; the index is refreshed before, so that what was stored a moment ago is found.

    `language`: `nl` finds `nl-BE`, too. `gone`: also what is not there any more. `limit`: hits that are returned; facets count all.

    Raises:
        SearchError: there is no index and none can be made, or the database cannot be asked.
    """
    wanted = understand(typed)
    notes: list[str] = []
    if wanted.cut:
        notes.append(f"only the first {len(wanted.terms) + len(wanted.without)} words were looked for")
    if not wanted.groups:
        notes.append("there is no word to look for" + (": -word only leaves out" if wanted.without else ""))
        return Found((), 0, True, _facets([], {}), tuple(notes))
    notes += _refreshed(engine, progress)
    try:
        with engine.connect() as connection:
            rows = _matches(connection, wanted, _filters(instance, kind, state, language, gone))
            whole = len(rows) <= MOST_HITS
            asked = {"instance": instance, "kind": kind, "state": state}
            groups = _grouped(connection, rows[:MOST_HITS], asked, gone=gone)
            order = sorted(groups.values(), key=lambda each: (-each.score, each.best.key))
            best = order[:limit]
            texts = _texts(connection, [group.best for group in best])
            marking = _marking(connection, wanted, texts)
            hits = tuple(_hit(group, texts, marking) for group in best)
            facets = _facets(order, _space_names(connection, {group.best.space_key for group in order}))
    except DBAPIError as error:
        raise SearchError(index.why(error)) from error
    if not whole:
        notes.append(
            f"more than {MOST_HITS:,} texts have these words: the newest {MOST_HITS:,} were ranked and counted; one word more finds less"
        )
    return Found(hits, len(order), whole, facets, tuple(notes))


def _refreshed(engine: Engine, progress: Callable[[int, int], None] | None) -> list[str]:
    """Refresh the index; where that cannot be, an older one still answers, and it is said."""
    try:
        index.refresh(engine, progress=progress)
    except SearchError as error:
        with engine.connect() as connection:
            if not index.is_made(connection):
                raise
        return [f"what was stored last may be missing: {str(error).removeprefix('search: ')}"]
    return []


def _filters(
    instance: str | None, kind: str | None, state: str | None, language: str | None, gone: bool
) -> tuple[str, dict[str, Any]]:
    conditions = [] if gone else ["p.gone_at IS NULL"]
    values: dict[str, Any] = {}
    for name, value in (("instance", instance), ("kind", kind), ("state", state)):
        if value is not None:
            conditions.append(f"p.{name} = :{name}")
            values[name] = value
    if instance is not None:
        # Before the proposal is looked up, which is most of the work where a word is everywhere.
        conditions.insert(0, "substr(d.proposal_key, 1, :prefix) = :keys")
        values |= {"prefix": len(instance) + 1, "keys": f"{instance}/"}
    if language is not None:
        said = language.replace("_", "-").lower()
        conditions.append("(lower(d.locale) = :language OR substr(lower(d.locale), 1, :length) = :region)")
        values |= {"language": said, "region": f"{said}-", "length": len(said) + 1}
    return "".join(f" AND {each}" for each in conditions), values


_COLUMNS = """d.id, d.proposal_key, d.locale, d.machine, p.key, p.instance, p.kind, p.remote_id, p.state, p.supports, p.space_key, p.url,
    p.gone_at, c.origin_key"""
_JOINS = """JOIN proposal p ON p.key = d.proposal_key LEFT JOIN publication c ON c.copy_key = p.key"""


def _matches(connection: Connection, wanted: Wanted, filters: tuple[str, dict[str, Any]]) -> Sequence[Any]:
    where, values = filters
    if connection.dialect.name == "sqlite":
        query = (
            f"SELECT {_COLUMNS}, -bm25(search_index, {_TITLE_WEIGHT}, 1.0) AS score FROM search_index i "
            f"JOIN search_document d ON d.id = i.rowid {_JOINS} WHERE search_index MATCH :words{where} ORDER BY i.rowid DESC LIMIT :most"
        )
        values = {**values, "words": fts5(wanted)}
    else:
        asked, named = _tsquery(connection, wanted)
        order = _order(connection, asked, named)
        query = (
            f"SELECT {_COLUMNS}, ts_rank('{{0.1, 0.2, 0.4, 1.0}}', d.words, q.asked, 1) AS score FROM (SELECT {asked} AS asked) q "
            f"JOIN search_document d ON d.words @@ q.asked {_JOINS} WHERE true{where} ORDER BY {order} DESC LIMIT :most"
        )
        values = {**values, **named}
    return connection.execute(text(query), {**values, "most": MOST_HITS + 1}).all()


def _order(connection: Connection, asked: str, named: Mapping[str, Any]) -> str:
    """By which way PostgreSQL shall find the newest: through the index of words and then sorting (an expression that no other index has);
    or, where a word is nearly everywhere, through the newest texts until enough have it. By itself it may read them all for a rare word.
    """
    # At most some thousand proposals are looked up, never all of them to be hashed.
    connection.exec_driver_sql("SET LOCAL enable_hashjoin = off")
    connection.exec_driver_sql("SET LOCAL enable_mergejoin = off")
    explain = text(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM search_document d WHERE d.words @@ ({asked})")
    [plan] = connection.execute(explain, dict(named)).scalar_one()
    if plan["Plan"]["Plan Rows"] > _EVERYWHERE:
        return "d.id"
    connection.exec_driver_sql("SET LOCAL random_page_cost = 1.1")
    return "d.id + 0"


def fts5(wanted: Wanted) -> str:
    """A search in the language of FTS5. Every word is quoted, so that none of them is an operator."""
    groups = ("(" + " OR ".join(map(_quoted, group)) + ")" for group in wanted.groups)
    asked = " AND ".join(groups)
    return f"({asked}) NOT ({' OR '.join(map(_quoted, wanted.without))})" if wanted.without else asked


def _quoted(term: Term) -> str:
    # Words are letters and digits alone (`words_of`): no quote can be among them.
    return f'"{" ".join(term.words)}"' + ("*" if term.prefix else "")


def _tsquery(connection: Connection, wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """A search as an expression of PostgreSQL, with its values. A word is found as it stands or by its stem in any known language."""
    stems = _stems(connection, [*wanted.terms, *wanted.without])
    values: dict[str, Any] = {}

    def one(term: Term) -> str:
        name = f"term{len(values)}"
        # Quoted words are lexemes as they are; nothing but letters and digits is in them.
        exact = " <-> ".join(f"'{word}'" for word in term.words) + (":*" if term.prefix else "")
        values[name] = " | ".join([f"({exact})", *stems.get(term, ())])
        return f"CAST(:{name} AS tsquery)"

    asked = " && ".join("(" + " || ".join(map(one, group)) + ")" for group in wanted.groups)
    if wanted.without:
        asked += "".join(f" && !!{one(term)}" for term in wanted.without)
    return asked, values


def _stems(connection: Connection, terms: Sequence[Term]) -> dict[Term, list[str]]:
    """What single words are cut to in the languages that the server knows, each stem once: it is as good in whichever it is one.

    Asked for before, so that the server sees how few they are: it guesses how many texts have a word by the number of its alternatives.
    """
    single = [term for term in dict.fromkeys(terms) if len(term.words) == 1 and not term.prefix]
    names = sorted(set(index.configurations(connection).values()))
    if not single or not names:
        return {}
    query = text(
        "SELECT w, array_agg(DISTINCT CAST(to_tsquery(CAST(c AS regconfig), quote_literal(w)) AS text)) AS stems "
        "FROM unnest(CAST(:words AS text[])) w CROSS JOIN unnest(CAST(:names AS text[])) c GROUP BY w"
    )
    found = connection.execute(query, {"words": [term.typed[0] for term in single], "names": names})
    by_word = {str(word): [str(stem) for stem in stems if stem] for word, stems in found}
    return {term: [stem for stem in by_word[term.typed[0]] if stem != f"'{term.words[0]}'"] for term in single}


def _grouped(
    connection: Connection, rows: Sequence[Any], asked: Mapping[str, str | None], *, gone: bool
) -> dict[str, _Group]:
    """Hits by proposal: a copy under its origin, which stands for both where it is stored and there, and is what was asked for."""
    missing = {row.origin_key for row in rows if row.origin_key is not None} - {row.key for row in rows}
    origins = _origins(connection, missing, gone=gone)
    here = {row.key for row in rows} | origins.keys()
    groups: dict[str, _Group] = {}
    for row in rows:
        own = row.origin_key if row.origin_key in here else row.key
        if own in origins and any(value not in {None, getattr(origins[own], name)} for name, value in asked.items()):
            continue
        group = groups.get(own)
        if group is None:
            group = groups[own] = _Group(row.score, row)
        elif _rank(row, own) > _rank(group.best, own):
            group.best = row
        group.score = max(group.score, row.score)
        if row.key != own:
            group.members[row.key] = row
    for own, group in groups.items():
        if group.best.key != own:
            group.best = _AsOrigin(origins[own], group.best)
    return groups


def _rank(row: Any, own: str) -> tuple[bool, bool, float]:
    """The origin's own text before a copy's, what a person wrote before a machine's, then the better."""
    return row.key == own, not row.machine, row.score


class _AsOrigin:
    """The origin, found by the text of its copy."""

    def __init__(self, origin: Any, match: Any) -> None:
        self._origin = origin
        self.proposal_key, self.locale, self.machine = match.proposal_key, match.locale, match.machine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._origin, name)


def _origins(connection: Connection, keys: set[str], *, gone: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ordered = sorted(keys)
    for start in range(0, len(ordered), 500):
        query = select(_PROPOSAL).where(_PROPOSAL.c.key.in_(ordered[start : start + 500]))
        if not gone:
            query = query.where(_PROPOSAL.c.gone_at.is_(None))
        found.update({row.key: row for row in connection.execute(query)})
    return found


def _texts(connection: Connection, best: Sequence[Any]) -> dict[tuple[str, str, bool], tuple[str, str]]:
    """Titles and texts of the hits that are shown: the one that has the words, and the first title of the proposal where it has none."""
    keys = list({row.proposal_key for row in best})
    query = select(_TEXT).where(_TEXT.c.proposal_key.in_(bindparam("keys", expanding=True)))
    found: dict[tuple[str, str, bool], tuple[str, str]] = {}
    for start in range(0, len(keys), 500):
        for row in connection.execute(query, {"keys": keys[start : start + 500]}):
            found[row.proposal_key, row.locale, bool(row.machine)] = (row.title, row.plain)
    return found


_Marking = Callable[[str], bool]
"""Whether a word of a text is one that was looked for."""


def _marking(connection: Connection, wanted: Wanted, texts: Mapping[Any, tuple[str, str]]) -> _Marking:
    exact = {word for term in wanted.terms for word in (term.words[:-1] if term.prefix else term.words)}
    begins = tuple(term.words[-1] for term in wanted.terms if term.prefix)
    stemmed: set[str] = set()
    if connection.dialect.name == "postgresql" and texts:
        stemmed = _stemmed(connection, wanted, texts)

    def is_hit(word: str) -> bool:
        folded = fold(word)
        return folded in exact or word.lower() in stemmed or (bool(begins) and folded.startswith(begins))

    return is_hit


def _stemmed(connection: Connection, wanted: Wanted, texts: Mapping[Any, tuple[str, str]]) -> set[str]:
    """The words of these texts that the server finds by their stems."""
    known = index.configurations(connection)
    single = tuple((term,) for term in wanted.terms if len(term.words) == 1)
    found: set[str] = set()
    if not single:
        return found
    by_configuration: dict[str, set[str]] = {}
    for (_, locale, _), parts in texts.items():
        name = known.get(index.language(locale))
        if name is not None:
            said = by_configuration.setdefault(name, set())
            said.update(word.lower() for part in parts for word in _TOKEN.findall(part[:100_000]))
    asked = [_tsquery(connection, Wanted((group,), ())) for group in single]
    for name, words in by_configuration.items():
        for expression, values in asked:
            query = text(
                f"SELECT w FROM unnest(CAST(:words AS text[])) w WHERE to_tsvector('{name}', w) @@ ({expression})"
            )
            found.update(connection.execute(query, {**values, "words": sorted(words)}).scalars())
    return found


def _hit(group: _Group, texts: Mapping[tuple[str, str, bool], tuple[str, str]], marking: _Marking) -> Hit:
    row = group.best
    title, body = texts.get((row.proposal_key, row.locale, bool(row.machine)), ("", ""))
    return Hit(
        key=row.key,
        instance=row.instance,
        kind=row.kind,
        remote_id=row.remote_id,
        title=Marked(title, _marks(title, marking)),
        snippet=snippet(body, marking),
        language=row.locale,
        machine=bool(row.machine),
        state=row.state,
        supports=row.supports,
        space=row.space_key,
        url=row.url,
        gone=row.gone_at is not None,
        score=round(float(group.score), 6),
        copies=tuple(sorted(group.members)),
    )


def _marks(said: str, marking: _Marking) -> tuple[tuple[int, int], ...]:
    return tuple(found.span() for found in _TOKEN.finditer(said) if marking(found.group()))


def snippet(body: str, marking: _Marking) -> Marked:
    """The part of a text with most of the words that were looked for, cut at words; its beginning where none is in it."""
    marks = _marks(body, marking)
    begin = _best_begin(body, marks)
    end = min(len(body), begin + _SNIPPET)
    if end < len(body):
        space = body.rfind(" ", begin + _SNIPPET // 2, end)
        end = space if space > 0 else end
    before, after = ("… " if begin else ""), (" …" if end < len(body) else "")
    shift = len(before) - begin
    shown = before + body[begin:end].replace("\n", " ") + after
    return Marked(shown, tuple((a + shift, b + shift) for a, b in marks if begin <= a and b <= end))


def _best_begin(body: str, marks: Sequence[tuple[int, int]]) -> int:
    if not marks or marks[-1][1] <= _SNIPPET:
        return 0
    best, most, last = 0, 0, 0
    for number, (start, _) in enumerate(marks):
        last = max(last, number)
        while last + 1 < len(marks) and marks[last + 1][1] <= start + _SNIPPET - 40:
            last += 1
        different = len({body[a:b].lower() for a, b in marks[number : min(last + 1, number + 20)]})
        if different > most:
            best, most = start, different
    if best < 40:
        return 0
    space = body.find(" ", best - 40, best)
    return space + 1 if space >= 0 else best


def _space_names(connection: Connection, keys: set[str | None]) -> dict[str, str]:
    names: dict[str, str] = {}
    ordered = sorted(key for key in keys if key is not None)
    for start in range(0, len(ordered), 500):
        query = select(_SPACE.c.key, _SPACE.c.name).where(_SPACE.c.key.in_(ordered[start : start + 500]))
        names.update({row.key: row.name for row in connection.execute(query)})
    return names


def _facets(order: Sequence[_Group], spaces: Mapping[str, str]) -> dict[str, tuple[Facet, ...]]:
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("instance", "kind", "state", "space")}
    for group in order:
        row = group.best
        counts["instance"][row.instance] += 1
        counts["kind"][row.kind] += 1
        counts["state"][row.state] += 1
        if row.space_key is not None:
            counts["space"][row.space_key] += 1
    return {
        name: tuple(
            Facet(spaces.get(key, key) if name == "space" else key, key, many)
            for key, many in sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
        )
        for name, counter in counts.items()
    }
