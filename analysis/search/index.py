"""The index: what makes it, what keeps it true, and how what was erased leaves it.

A text that changes or goes leaves the index in the same transaction, by a trigger, so that no path by which something is erased can forget
it. New texts are put in by `refresh`, after a pull or before a search, so that pulls are not slowed by it and a search is never wrong.
What is new: on SQLite there are more texts than the index knows (both are counted in milliseconds, and a trigger per row would slow a
pull by a tenth); on PostgreSQL a trigger per statement has noted it.

SQLite: an FTS5 table without contents (the text is stored once, where it was), accents removed. PostgreSQL: a `tsvector` beside the number
of the text, of the words without accents and, where the server knows the language, of their stems.
"""

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from ...core.schema.database import file_of
from ...core.schema.failures import database_failure
from .words import fold, words_of

CHUNK = 1_000
"""Proposals per transaction: a pull beside us waits for one at most."""
_LOCK = 0x6369767365
"""The advisory lock of PostgreSQL under which the index is made and refreshed."""
_BODY_LIMIT = 150_000
"""Characters of a text that PostgreSQL's index reads: a `tsvector` has at most a megabyte. SQLite's reads all."""
_MANY = 20_000
"""Proposals after which PostgreSQL counts words anew at once; its autovacuum does so for fewer."""
_SECURE_FROM = (3, 42)
"""The first SQLite whose FTS5 can remove a word for good when its text goes; before, only `optimize` does."""

LANGUAGES = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "nl": "dutch",
    "no": "norwegian",
    "nb": "norwegian",
    "nn": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
"""PostgreSQL's configuration of each language; Icelandic, for one, has none and is found by its words without accents."""

_SQLITE_MADE = (
    "CREATE VIRTUAL TABLE search_index USING fts5(title, body, content='', tokenize=\"unicode61 remove_diacritics 2\")",
    # Whoever deletes a document, whether by its text or by the name of its instance, does so while the text is still there.
    """CREATE TRIGGER search_document_gone BEFORE DELETE ON search_document BEGIN
        INSERT INTO search_index(search_index, rowid, title, body) SELECT 'delete', OLD.id, t.title, t.plain FROM proposal_text t
        WHERE t.proposal_key = OLD.proposal_key AND t.locale = OLD.locale AND t.machine = OLD.machine;
    END""",
    """CREATE TRIGGER search_text_gone BEFORE DELETE ON proposal_text BEGIN
        INSERT INTO search_queue(proposal_key) VALUES (OLD.proposal_key);
        DELETE FROM search_document WHERE proposal_key = OLD.proposal_key AND locale = OLD.locale AND machine = OLD.machine;
    END""",
    """CREATE TRIGGER search_text_changes BEFORE UPDATE OF title, plain ON proposal_text BEGIN
        INSERT INTO search_queue(proposal_key) VALUES (OLD.proposal_key);
        DELETE FROM search_document WHERE proposal_key = OLD.proposal_key AND locale = OLD.locale AND machine = OLD.machine;
    END""",
)
_SQLITE_TRIGGERS = ("search_document_gone", "search_text_gone", "search_text_changes")
_POSTGRES_TRIGGERS = ("search_text_gone", "search_text_changes", "search_text_came")
_POSTGRES_MADE = (
    """CREATE OR REPLACE FUNCTION {schema}.civicsync_text_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO {schema}.search_queue(proposal_key) VALUES (OLD.proposal_key);
        DELETE FROM {schema}.search_document WHERE proposal_key = OLD.proposal_key AND locale = OLD.locale AND machine = OLD.machine;
        RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    END $$""",
    """CREATE OR REPLACE FUNCTION {schema}.civicsync_texts_came() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO {schema}.search_queue(proposal_key) SELECT DISTINCT proposal_key FROM came;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER search_text_gone BEFORE DELETE ON {schema}.proposal_text
        FOR EACH ROW EXECUTE FUNCTION {schema}.civicsync_text_gone()""",
    """CREATE TRIGGER search_text_changes BEFORE UPDATE OF title, plain ON {schema}.proposal_text
        FOR EACH ROW EXECUTE FUNCTION {schema}.civicsync_text_gone()""",
    """CREATE TRIGGER search_text_came AFTER INSERT ON {schema}.proposal_text
        REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION {schema}.civicsync_texts_came()""",
)


class SearchError(Exception):
    """The index cannot be made or refreshed; the text says why and what would help."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did: texts that were put into the index, and proposals whose texts are gone for good."""

    texts: int = 0
    erased: int = 0


def refresh(engine: Engine, *, progress: Callable[[int, int], None] | None = None) -> Refreshed:
    """Bring the index up to what is stored; quick when nothing changed. The first time everything is read.

    `progress`: told (done, of how many) after each transaction; texts on SQLite, proposals on PostgreSQL.

    Raises:
        SearchError: the database cannot be written, or another process holds it for longer than it is waited for.
    """
    try:
        _make(engine)
        with engine.connect() as connection:
            portions = _portions_sqlite if _is_sqlite(connection) else _portions_postgres
        texts = done = 0
        gone: set[str] = set()
        for portion in portions(engine):
            done, texts = done + portion.done, texts + portion.texts
            gone.update(portion.gone)
            if progress is not None:
                progress(done, max(done, portion.total))
        if gone:
            scrub(engine)
    except DBAPIError as error:
        raise SearchError(why(error)) from error
    return Refreshed(texts, len(gone))


def is_made(connection: Connection) -> bool:
    """Whether there is an index, and everything that keeps it true."""
    if _is_sqlite(connection):
        named = ", ".join(f"'{name}'" for name in ("search_index", *_SQLITE_TRIGGERS))
        query, all_of_it = f"SELECT count(*) FROM sqlite_master WHERE name IN ({named})", 1 + len(_SQLITE_TRIGGERS)
    else:
        named = ", ".join(f"'{name}'" for name in _POSTGRES_TRIGGERS)
        query = f"SELECT count(*) FROM pg_trigger WHERE tgname IN ({named}) AND tgrelid = to_regclass('proposal_text')"
        all_of_it = len(_POSTGRES_TRIGGERS)
    return connection.exec_driver_sql(query).scalar_one() == all_of_it


def scrub(engine: Engine) -> None:
    """Let nothing stay of words whose texts were erased.

    Before SQLite 3.42 FTS5 keeps the words of a removed text until it writes that part of the index anew: here it does so now, and the
    journal beside the database is emptied. PostgreSQL overwrites what was deleted at its next VACUUM, as in every other table.
    """
    with engine.connect() as connection:
        if not _is_sqlite(connection) or not is_made(connection):
            return
        if not _secure(connection):
            with _alone(engine) as alone:
                alone.exec_driver_sql("INSERT INTO search_index(search_index) VALUES ('optimize')")
        if file_of(engine) is not None:
            connection.rollback()
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _secure(connection: Connection) -> bool:
    version = tuple(int(part) for part in connection.exec_driver_sql("SELECT sqlite_version()").scalar_one().split("."))
    return version >= _SECURE_FROM


@contextlib.contextmanager
def _alone(engine: Engine) -> Generator[Connection]:
    """A transaction that no other refresh runs beside."""
    with engine.connect() as connection:
        if _is_sqlite(connection):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        yield connection
        connection.commit()


def _make(engine: Engine) -> None:
    with engine.connect() as connection:
        if is_made(connection):
            return
    with _alone(engine) as connection:
        if is_made(connection):
            return  # another process was quicker
        if _is_sqlite(connection):
            # A table that is made anew loses its triggers: what is left of an index that nothing kept true any more goes first.
            leftovers = [f"DROP TRIGGER IF EXISTS {name}" for name in _SQLITE_TRIGGERS]
            for statement in (*leftovers, "DROP TABLE IF EXISTS search_index", *_SQLITE_MADE):
                connection.exec_driver_sql(statement)
            if _secure(connection):
                connection.exec_driver_sql("INSERT INTO search_index(search_index, rank) VALUES ('secure-delete', 1)")
        else:
            schema = connection.exec_driver_sql(
                "SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.oid = to_regclass('proposal_text')"
            ).scalar_one()
            leftovers = [f"DROP TRIGGER IF EXISTS {name} ON {schema}.proposal_text" for name in _POSTGRES_TRIGGERS]
            for statement in (*leftovers, *_POSTGRES_MADE):
                connection.exec_driver_sql(statement.format(schema=schema))
        connection.exec_driver_sql("DELETE FROM search_document")
        connection.exec_driver_sql("DELETE FROM search_queue")
        if not _is_sqlite(connection):
            connection.exec_driver_sql(
                "INSERT INTO search_queue(proposal_key) SELECT DISTINCT proposal_key FROM proposal_text ORDER BY proposal_key"
            )


@dataclass(frozen=True, slots=True)
class _Portion:
    """What one transaction of a refresh did, of how much; `gone`: proposals that have no text left."""

    done: int
    total: int
    texts: int
    gone: frozenset[str] = frozenset()


_UNKNOWN = """NOT EXISTS (SELECT 1 FROM search_document d
    WHERE d.proposal_key = t.proposal_key AND d.locale = t.locale AND d.machine = t.machine)"""


def _portions_sqlite(engine: Engine) -> Iterator[_Portion]:
    with engine.connect() as connection:
        went = connection.exec_driver_sql("SELECT 1 FROM search_queue LIMIT 1").first() is not None
        total = _missing(connection)
    if went:
        with _alone(engine) as connection:
            gone = connection.exec_driver_sql(
                "SELECT DISTINCT proposal_key FROM search_queue q "
                "WHERE NOT EXISTS (SELECT 1 FROM proposal_text t WHERE t.proposal_key = q.proposal_key)"
            )
            keys = frozenset(map(str, gone.scalars()))
            connection.exec_driver_sql("DELETE FROM search_queue")
        yield _Portion(0, total, 0, keys)
    # What is new stands behind what is old; who knows nothing begins at the beginning, so that newer texts get greater numbers.
    backwards = True
    at: int | None = None
    while True:
        with _alone(engine) as connection:
            missing = _missing(connection)
            if missing <= 0:
                return
            if at is None:
                backwards = connection.exec_driver_sql("SELECT 1 FROM search_document LIMIT 1").first() is not None
            taken, at = _take_sqlite(connection, min(missing, CHUNK), at, backwards=backwards)
        if taken:
            yield _Portion(taken, total, taken)


def _missing(connection: Connection) -> int:
    """Texts that the index does not know; it knows none that is not there."""
    return int(
        connection.exec_driver_sql(
            "SELECT (SELECT count(*) FROM proposal_text) - (SELECT count(*) FROM search_document)"
        ).scalar_one()
    )


def _take_sqlite(connection: Connection, most: int, at: int | None, *, backwards: bool) -> tuple[int, int | None]:
    """Put the next texts into the index. Returns how many, and where to go on; None: at the other end again."""
    side, order = ("<", "DESC") if backwards else (">", "ASC")
    onwards = "" if at is None else f"t.rowid {side} {at} AND "
    found = connection.exec_driver_sql(
        f"SELECT t.rowid FROM proposal_text t WHERE {onwards}{_UNKNOWN} ORDER BY t.rowid {order} LIMIT {most}"
    )
    places = [int(place) for place in found.scalars()]
    if not places:
        return 0, None
    newest = connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM search_document").scalar_one()
    connection.exec_driver_sql(
        f"INSERT INTO search_document(proposal_key, locale, machine) SELECT t.proposal_key, t.locale, t.machine "
        f"FROM proposal_text t WHERE t.rowid BETWEEN ? AND ? AND {_UNKNOWN} ORDER BY t.rowid",
        (min(places), max(places)),
    )
    connection.exec_driver_sql(
        "INSERT INTO search_index(rowid, title, body) SELECT d.id, t.title, t.plain FROM search_document d JOIN proposal_text t "
        "ON t.proposal_key = d.proposal_key AND t.locale = d.locale AND t.machine = d.machine WHERE d.id > ? ORDER BY d.id",
        (newest,),
    )
    return len(places), places[-1]


def _portions_postgres(engine: Engine) -> Iterator[_Portion]:
    with engine.connect() as connection:
        total = int(connection.exec_driver_sql("SELECT count(*) FROM search_queue").scalar_one())
    done = 0
    while done < total:
        with _alone(engine) as connection:
            taken, added, gone = _take_postgres(connection)
        if not taken:
            return
        done += taken
        yield _Portion(taken, total, added, frozenset(gone))
    _finish_postgres(engine, done)


def _finish_postgres(engine: Engine, done: int) -> None:
    """The index proper is made when the first texts are in, which is many times quicker; without the frequencies of words the server may
    read the whole table for a rare one."""
    with _alone(engine) as connection:
        made = "SELECT 1 FROM pg_class WHERE relname = 'ix_search_document_words' AND relnamespace = "
        made += "(SELECT relnamespace FROM pg_class WHERE oid = to_regclass('search_document'))"
        new = connection.exec_driver_sql(made).first() is None
        if new:
            connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '256MB'")
            connection.exec_driver_sql("CREATE INDEX ix_search_document_words ON search_document USING gin (words)")
        if new or done >= _MANY:
            connection.exec_driver_sql("ANALYZE search_document")


def _take_postgres(connection: Connection) -> tuple[int, int, list[str]]:
    queue = connection.execute(
        text("SELECT id, proposal_key FROM search_queue ORDER BY id LIMIT :most"), {"most": CHUNK}
    )
    places = [(int(own), str(key)) for own, key in queue]
    if not places:
        return 0, 0, []
    keys = list({key for _, key in places})
    # Locked until we are done: who erases a text meanwhile waits, and then finds it in the index.
    rows = connection.execute(
        text(
            f"SELECT t.proposal_key, t.locale, t.machine, t.title, t.plain FROM proposal_text t "
            f"WHERE t.proposal_key = ANY(:keys) AND {_UNKNOWN} FOR SHARE"
        ),
        {"keys": keys},
    ).all()
    known = configurations(connection)
    for name in {known.get(language(str(row[1]))) for row in rows}:
        part = [row for row in rows if known.get(language(str(row[1]))) == name]
        connection.execute(text(_insertion(name)), [_document(*row) for row in part])
    found = connection.execute(
        text("SELECT DISTINCT proposal_key FROM proposal_text WHERE proposal_key = ANY(:keys)"), {"keys": keys}
    )
    gone = set(keys) - {str(key) for key in found.scalars()}
    connection.execute(text("DELETE FROM search_queue WHERE id = ANY(:ids)"), {"ids": [own for own, _ in places]})
    return len(places), len(rows), sorted(gone)


def language(locale: str) -> str:
    """`nl` of `nl-BE`, `pt_BR` and the like."""
    return locale.replace("_", "-").partition("-")[0].lower()


def configurations(connection: Connection) -> dict[str, str]:
    """The languages that this server can stem, with the names of their configurations."""
    there = {str(name) for name in connection.exec_driver_sql("SELECT cfgname FROM pg_ts_config").scalars()}
    return {code: name for code, name in LANGUAGES.items() if name in there}


def _document(key: str, locale: str, machine: bool, title: str, body: str) -> dict[str, Any]:
    heads, words = words_of(title), words_of(body[:_BODY_LIMIT])
    heading, content = " ".join(heads).lower(), " ".join(words).lower()
    folded = {"folded_title": fold(heading), "folded_body": fold(content)}
    return {"key": key, "locale": locale, "machine": machine, "title": heading, "body": content, **folded}


def _insertion(configuration: str | None) -> str:
    """`configuration` comes from LANGUAGES."""
    parts = [("simple", "folded_title", "A"), ("simple", "folded_body", "D")]
    if configuration is not None:
        parts += [(configuration, "title", "A"), (configuration, "body", "D")]
    vector = " || ".join(f"setweight(to_tsvector('{name}', :{value}), '{weight}')" for name, value, weight in parts)
    return (
        f"INSERT INTO search_document(proposal_key, locale, machine, words) VALUES (:key, :locale, :machine, {vector}) "
        "ON CONFLICT (proposal_key, locale, machine) DO NOTHING"
    )


def why(error: DBAPIError) -> str:
    said = str(error.orig or error).split("\n", 1)[0]
    if "readonly" in said or "read-only" in said or "permission denied" in said:
        return (
            "search: the index has to be made or refreshed first, and this database can only be read from here; run a `civicsync search` "
            "once where it can be written"
        )
    if "locked" in said:
        return "search: another process has been writing for a minute; try again when it is done"
    if "no such module" in said:
        return "search: this SQLite was built without FTS5, which searching needs; most are built with it, and PostgreSQL needs none"
    return f"search: {database_failure(error)}"
