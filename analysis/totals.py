"""Totals per space and per area, made from what is there now, so that nobody waits for them.

Each counter is defined once, here: proposals are originals of every kind but amendments that are there now; `open_proposals` of them are in
the state `open` or `evaluating`; `answered` have an official answer that is there; `comments` are comments that are there on them;
`participants` are the distinct pseudonyms (never those of our own accounts) that wrote one or the other. A space counts all below it.
"""

from datetime import datetime

from sqlalchemy import Connection, bindparam, text

from ..core.schema.types import UTCMoment

_PUBLIC = """p.instance = :instance AND p.gone_at IS NULL AND p.kind <> 'amendment'
    AND NOT EXISTS (SELECT 1 FROM publication c WHERE c.copy_key = p.key)"""
_NOT_OURS = "NOT EXISTS (SELECT 1 FROM service_account o WHERE o.instance = :instance AND o.pseudonym = {author})"
_DEEPEST = 32
"""Of a tree of spaces: whatever a platform sends, a ring ends."""
_TREE = f"""tree (ancestor, space_key, depth) AS (
    SELECT s.key, s.key, 0 FROM space s WHERE s.instance = :instance
    UNION ALL SELECT t.ancestor, s.key, t.depth + 1 FROM tree t JOIN space s ON s.parent_key = t.space_key
    WHERE s.instance = :instance AND t.depth < {_DEEPEST})"""
_WROTE = f"""SELECT {{place}} AS place, p.author AS author, {{proposal}} AS proposal FROM proposal p {{join}}
        WHERE {_PUBLIC} AND p.author IS NOT NULL AND {_NOT_OURS.format(author="p.author")}"""
_SAID = f"""SELECT {{place}} AS place, c.author AS author, {{proposal}} AS proposal FROM comment c
        JOIN proposal p ON p.key = c.target_key {{join}}
        WHERE c.instance = :instance AND c.gone_at IS NULL AND c.author IS NOT NULL AND {_PUBLIC.replace(" c WHERE c.", " q WHERE q.")}
        AND {_NOT_OURS.format(author="c.author")}"""


def _who(place: str, join: str = "") -> str:
    """Distinct (place, author, whether it was a proposal)."""
    return " UNION ".join(
        part.format(place=place, join=join, proposal=number) for number, part in ((1, _WROTE), (0, _SAID))
    )


_AREA_JOIN = "LEFT JOIN proposal_area l ON l.proposal_key = p.key"
_AREA = "COALESCE(l.area_key, '')"

SPACES = f"""
INSERT INTO space_total (space_key, instance, root_key, depth, proposals, open_proposals, answered, supports, comments, participants,
    first_at, last_at, refreshed_at)
WITH RECURSIVE {_TREE},
roots AS (
    SELECT t.space_key, t.ancestor AS root_key, t.depth FROM tree t JOIN space s ON s.key = t.ancestor
    WHERE s.parent_key IS NULL OR NOT EXISTS (SELECT 1 FROM space u WHERE u.key = s.parent_key)),
own AS (
    SELECT p.space_key, count(*) AS proposals, sum(CASE WHEN p.state IN ('open', 'evaluating') THEN 1 ELSE 0 END) AS open_proposals,
        sum(p.supports) AS supports, min(COALESCE(p.published_at, p.created_at)) AS first_at,
        max(COALESCE(p.published_at, p.created_at)) AS last_at
    FROM proposal p WHERE {_PUBLIC} AND p.space_key IS NOT NULL GROUP BY p.space_key),
answered AS (
    SELECT p.space_key, count(DISTINCT p.key) AS answered FROM answer a JOIN proposal p ON p.key = a.target_key
    WHERE a.instance = :instance AND a.gone_at IS NULL AND {_PUBLIC} GROUP BY p.space_key),
said AS (
    SELECT p.space_key, count(*) AS comments FROM comment m JOIN proposal p ON p.key = m.target_key
    WHERE m.instance = :instance AND m.gone_at IS NULL AND {_PUBLIC} GROUP BY p.space_key),
who AS ({_who("p.space_key")}),
people AS (
    SELECT t.ancestor, count(DISTINCT w.author) AS participants FROM tree t JOIN who w ON w.place = t.space_key GROUP BY t.ancestor),
sums AS (
    SELECT t.ancestor, sum(o.proposals) AS proposals, sum(o.open_proposals) AS open_proposals, sum(a.answered) AS answered,
        sum(o.supports) AS supports, sum(d.comments) AS comments, min(o.first_at) AS first_at, max(o.last_at) AS last_at
    FROM tree t LEFT JOIN own o ON o.space_key = t.space_key LEFT JOIN answered a ON a.space_key = t.space_key
    LEFT JOIN said d ON d.space_key = t.space_key GROUP BY t.ancestor)
SELECT s.key, s.instance, COALESCE(min(r.root_key), s.key), COALESCE(max(r.depth), 0), COALESCE(max(x.proposals), 0),
    COALESCE(max(x.open_proposals), 0), COALESCE(max(x.answered), 0), max(x.supports), COALESCE(max(x.comments), 0),
    COALESCE(max(e.participants), 0), max(x.first_at), max(x.last_at), :now
FROM space s LEFT JOIN roots r ON r.space_key = s.key LEFT JOIN sums x ON x.ancestor = s.key LEFT JOIN people e ON e.ancestor = s.key
WHERE s.instance = :instance GROUP BY s.key, s.instance"""

AREAS = f"""
INSERT INTO area_total (instance, area_key, proposals, proposal_authors, comments, comment_authors, participants, refreshed_at)
WITH own AS (
    SELECT {_AREA} AS place, count(*) AS proposals FROM proposal p {_AREA_JOIN} WHERE {_PUBLIC} GROUP BY {_AREA}),
said AS (
    SELECT {_AREA} AS place, count(*) AS comments FROM comment m JOIN proposal p ON p.key = m.target_key {_AREA_JOIN}
    WHERE m.instance = :instance AND m.gone_at IS NULL AND {_PUBLIC} GROUP BY {_AREA}),
who AS ({_who(_AREA, _AREA_JOIN)}),
people AS (
    SELECT w.place, count(DISTINCT w.author) AS participants, sum(w.proposal) AS proposal_authors,
        sum(1 - w.proposal) AS comment_authors FROM who w GROUP BY w.place)
SELECT :instance, o.place, o.proposals, COALESCE(e.proposal_authors, 0), COALESCE(d.comments, 0), COALESCE(e.comment_authors, 0),
    COALESCE(e.participants, 0), :now
FROM own o LEFT JOIN said d ON d.place = o.place LEFT JOIN people e ON e.place = o.place"""


_COUNTED = ("proposal", "comment", "answer", "space", "area", "proposal_area", "publication", "service_account")
_NEVER_SEEN = """SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND reltuples < 0
    AND relname IN :names"""


def _look_over(connection: Connection) -> None:
    """PostgreSQL plans by what it was shown of a table, by itself only about a minute after rows came: a first pull's totals took five
    times as long as they need."""
    if connection.dialect.name != "postgresql":
        return
    asked = text(_NEVER_SEEN).bindparams(bindparam("names", list(_COUNTED), expanding=True))
    for name in list(connection.execute(asked).scalars()):
        connection.exec_driver_sql(f'ANALYZE "{name}"')


def make_totals(connection: Connection, instance: str, now: datetime) -> None:
    """Make the totals of one instance anew, in the caller's transaction."""
    _look_over(connection)
    values = {"instance": instance, "now": now}
    for table, statement in (("space_total", SPACES), ("area_total", AREAS)):
        connection.execute(text(f"DELETE FROM {table} WHERE instance = :instance"), {"instance": instance})
        connection.execute(text(statement).bindparams(bindparam("now", type_=UTCMoment())), values)
