"""Forgetting a person: everything that one account of one platform typed goes, wherever it was put, and no pull brings it back.

What stays is the key of each record, that it was erased and when, the counters, and a keyed mark of the person. Copies on other platforms
are taken back by the next `publish`, since their origins are gone; until then their places in the ledger stay, without a word of the text.
"""

import contextlib
import mmap
import os
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Engine,
    String,
    Table,
    TypeDecorator,
    cast,
    delete,
    func,
    null,
    or_,
    select,
    update,
)

from . import audit
from .clock import Clock
from .identity import Key
from .leases import Lease
from .ledger.ledger import EVENT, OPERATION, PUBLICATION, Ledger
from .ledger.states import CLOSED, QUEUED, UNDER_WAY, Lane, OperationKind, PublicationState, Reason
from .schema.analysis_tables import (
    DuplicatePairRow,
    DuplicateVectorRow,
    SearchDocumentRow,
)
from .schema.database import file_of, side_files
from .schema.ledger_tables import METADATA, ServiceAccountRow
from .schema.tables import (
    AttachmentRow,
    AuthorRow,
    CommentRow,
    InstanceRow,
    ProposalAreaRow,
    ProposalCategoryRow,
    ProposalRow,
    ProposalTextRow,
    ProposalVersionRow,
    QuarantineRow,
    table_of,
)
from .store.bulk import chunks, upsert
from .store.forgotten import ERASED_RECORD, FORGOTTEN, mark_of, marks
from .store.retention import BLANK_COMMENT, BLANK_PROPOSAL

ERASED = "erased"
"""The reason of a tombstone whose person was forgotten."""
_PROPOSAL, _COMMENT, _AUTHOR, _QUARANTINE = (
    table_of(each) for each in (ProposalRow, CommentRow, AuthorRow, QuarantineRow)
)
_TEXT, _VERSION, _ATTACHMENT = (table_of(each) for each in (ProposalTextRow, ProposalVersionRow, AttachmentRow))
_PAIR, _VECTOR, _DOCUMENT = (table_of(each) for each in (DuplicatePairRow, DuplicateVectorRow, SearchDocumentRow))
_BLANK_PROPOSAL: dict[str, Any] = {**BLANK_PROPOSAL, "digest": None, "token": None}
_BLANK_COMMENT: dict[str, Any] = {**BLANK_COMMENT, "digest": None, "token": None}
_BLANK_DRAFT = {"category": None, "area": None, "latitude": None, "longitude": None, "address": None}
_PROBES = 12
"""So many pieces of what was typed are looked for afterwards, the longest: they are the least likely to be somebody else's."""
_AT_ONCE = 200
_SHORTEST_PROBE = 12


class ForgettingError(Exception):
    """The person cannot be forgotten now; the text says why and what would help."""


@dataclass(slots=True)
class Part:
    """What one table holds of a person: before, and what is left. `what` says it in words."""

    table: str
    what: str
    before: int
    after: int = 0


@dataclass(slots=True)
class Proof:
    """What was found of a person, what is left, and what others must do."""

    instance: str
    at: datetime
    parts: list[Part] = field(default_factory=list[Part])
    copies: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """Copies that the next `publish` takes back: id, route, target, state."""
    waiting: int = 0
    """Writes whose answer was lost: they keep their text until the next `publish` has found out what became of them."""
    searched: int = 0
    """Pieces of text, with pseudonym and names, that were looked for in the whole database afterwards."""
    traces: dict[str, int] = field(default_factory=dict[str, int])
    """Where any was found, and how often; empty is the proof."""
    bytes_searched: int = 0
    forgotten_before: bool = False
    terms: list[str] = field(default_factory=list[str], repr=False)
    """What was looked for: words of the person, for looking through files; never to be shown."""

    @property
    def found(self) -> int:
        """Rows that held something."""
        return sum(part.before for part in self.parts)

    @property
    def clean(self) -> bool:
        """Whether nothing is left in the database."""
        return not self.traces and not self.waiting and all(part.after == 0 for part in self.parts)


@dataclass(slots=True)
class _Person:
    """Where a person is."""

    instance: str
    pseudonym: str
    proposals: list[Key] = field(default_factory=list[Key])
    comments: list[Key] = field(default_factory=list[Key])
    publications: list[str] = field(default_factory=list[str])
    copies: list[Key] = field(default_factory=list[Key])
    probes: list[str] = field(default_factory=list[str])

    @property
    def texts(self) -> list[Key]:
        """Whose texts go: theirs, and what was copied of them."""
        return [*self.proposals, *self.copies]

    @property
    def records(self) -> list[Key]:
        """All that is erased for good."""
        return [*self.texts, *self.comments]


def forget(
    engine: Engine,
    clock: Clock,
    instance: str,
    pseudonym: str,
    *,
    dry_run: bool = False,
    scrub: Callable[[Engine], None] = lambda _: None,
    origin: str = "",
) -> Proof:
    """Forget who has this pseudonym on an instance, and prove it. `scrub` lets go what an index keeps; `origin`: for the audit log.

    It may be done again, also for somebody of whom nothing is stored (yet): the mark stays.

    Raises:
        ForgettingError: nothing is stored of the instance, a process works on it, or it is an account of ours.
    """
    with engine.connect() as connection:
        _may(connection, instance, pseudonym)
        person = _find(connection, instance, pseudonym)
    busy = {instance, *(own.partition("/")[0] for own in person.copies)}
    with working_alone(engine, busy, dry_run=dry_run), engine.connect() as connection:
        person = _find(connection, instance, pseudonym)
        proof = Proof(instance, clock.now(), forgotten_before=mark_of(pseudonym) in marks(connection, instance))
        proof.parts = [Part(name, what, before) for name, what, before in _count(connection, person)]
        proof.copies = _copies(connection, person)
        proof.terms, proof.searched = person.probes, len(person.probes)
        if dry_run:
            return proof
        connection.rollback()
        _erase(engine, clock, person, proof, origin)
        scrub(engine)
        compact(engine)
        with engine.connect() as after:
            proof.terms = _without_others(after, person.probes)
            proof.searched = len(proof.terms)
            left = {(name, what): count for name, what, count in _count(after, person)}
            for part in proof.parts:
                part.after = left.get((part.table, part.what), 0)
            proof.traces = _traces(after, proof.terms)
        found, proof.bytes_searched = _bytes(engine, proof.terms)
        proof.traces.update(found)
    return proof


def compact(engine: Engine) -> None:
    """SQLite: write the file anew without what was deleted, and empty the journal beside it. PostgreSQL: the same by `VACUUM`."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        tables = ", ".join(f'"{table.name}"' for table in METADATA.sorted_tables)
        connection.exec_driver_sql("VACUUM" if engine.dialect.name == "sqlite" else f"VACUUM {tables}")
        if file_of(engine) is not None:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


# Finding ---------------------------------------------------------------------------------------------------------------


def _may(connection: Connection, instance: str, pseudonym: str) -> None:
    table, account = table_of(InstanceRow), table_of(ServiceAccountRow)
    if connection.execute(select(table.c.name).where(table.c.name == instance)).first() is None:
        raise ForgettingError(f"nothing is stored of {instance}; `civicsync instances list` shows what is")
    ours = (account.c.instance == instance, account.c.pseudonym == pseudonym)
    if connection.execute(select(account.c.instance).where(*ours)).first() is not None:
        raise ForgettingError(
            f"that is the account with which civicsync writes on {instance}: its texts are copies, which go with their origins"
        )


@contextlib.contextmanager
def working_alone(engine: Engine, instances: Iterable[str], *, dry_run: bool) -> Generator[None]:
    """No pull that read who is forgotten before this, and no write under way, may put anything back."""
    taken: list[Lease] = []
    try:
        for name in () if dry_run else sorted(instances):
            for work in (f"pull:{name}", f"publish:{name}"):
                lease = Lease(engine, work)
                if not lease.take():
                    raise ForgettingError(
                        f"a process is at work on {name} ({lease.held_by()}); stop it first, or wait for its end"
                    )
                taken.append(lease)
        yield
    finally:
        for lease in taken:
            lease.release()


def _find(connection: Connection, instance: str, pseudonym: str) -> _Person:
    person = _Person(instance, pseudonym)
    for table, keys in ((_PROPOSAL, person.proposals), (_COMMENT, person.comments)):
        mine = (table.c.instance == instance, table.c.author == pseudonym)
        keys += connection.execute(select(table.c.key).where(*mine).order_by(table.c.key)).scalars()
    for part in chunks(person.proposals):
        query = select(PUBLICATION.c.id, PUBLICATION.c.copy_key).where(PUBLICATION.c.origin_key.in_(part))
        for own, copy in connection.execute(query):
            person.publications.append(own)
            if copy is not None:
                person.copies.append(copy)
    person.probes = _probes(connection, person)
    return person


def _probes(connection: Connection, person: _Person) -> list[str]:
    """The pseudonym, the name, and pieces of what was typed that nobody else typed: what must not be found afterwards."""
    found = [person.pseudonym]
    mine = (_AUTHOR.c.instance == person.instance, _AUTHOR.c.pseudonym == person.pseudonym)
    name = connection.execute(select(_AUTHOR.c.name).where(*mine)).scalar()
    texts: list[str] = [name] if name else []
    for part in chunks(person.proposals, 50):
        for title, plain in connection.execute(
            select(_TEXT.c.title, _TEXT.c.plain).where(_TEXT.c.proposal_key.in_(part))
        ):
            texts += (title, plain)
        texts += connection.execute(select(_PROPOSAL.c.title).where(_PROPOSAL.c.key.in_(part))).scalars()
    for part in chunks(person.comments, 50):
        texts += connection.execute(select(_COMMENT.c.plain).where(_COMMENT.c.key.in_(part))).scalars()
    pieces = sorted({_piece(said) for said in texts[1 if name else 0 :]} - {""}, key=lambda piece: (-len(piece), piece))
    return [*found, *([name] if name else []), *pieces[:_PROBES]]


def _piece(said: str) -> str:
    """A piece of a text as it stands in every form of it: one line, no sign that JSON or HTML writes otherwise."""
    parts = sorted(re.findall(r"[A-Za-z0-9 ,.:;!?()-]+", said), key=len, reverse=True)
    return parts[0].strip()[:80] if parts and len(parts[0].strip()) >= _SHORTEST_PROBE else ""


def _count(connection: Connection, person: _Person) -> list[tuple[str, str, int]]:
    """What every table holds of a person, in words; the same questions before and after."""
    found: list[tuple[str, str, int]] = []

    def add(table: Table, what: str, keys: Sequence[str], column: str, *also: Any) -> None:
        count = 0
        for part in chunks(keys):
            query = select(func.count()).select_from(table).where(table.c[column].in_(part), *also)
            count += connection.execute(query).scalar_one()
        found.append((table.name, what, count))

    for table, what, keys in ((_PROPOSAL, "proposals", person.proposals), (_COMMENT, "comments", person.comments)):
        said = table.c.title != "" if table is _PROPOSAL else table.c.plain != ""
        add(table, f"{what} with author or text", keys, "key", or_(table.c.author.is_not(None), said))
    mine = (_AUTHOR.c.instance == person.instance, _AUTHOR.c.pseudonym == person.pseudonym)
    count = connection.execute(select(func.count()).select_from(_AUTHOR).where(*mine)).scalar_one()
    found.append((_AUTHOR.name, "pseudonym and name", count))
    add(_TEXT, "texts", person.proposals, "proposal_key")
    add(_VERSION, "earlier versions", person.proposals, "proposal_key")
    add(_ATTACHMENT, "attachments", person.proposals, "owner_key")
    for row_class, what in ((ProposalCategoryRow, "categories chosen"), (ProposalAreaRow, "places chosen")):
        add(table_of(row_class), what, person.proposals, "proposal_key")
    add(_PROPOSAL, "titles of copies", person.copies, "key", or_(_PROPOSAL.c.title != "", _PROPOSAL.c.url.is_not(None)))
    add(_TEXT, "texts of copies", person.copies, "proposal_key")
    add(_VERSION, "earlier versions of copies", person.copies, "proposal_key")
    count = connection.execute(select(func.count()).select_from(_QUARANTINE).where(_in_quarantine(person))).scalar_one()
    found.append((_QUARANTINE.name, "records that could not be understood", count))
    add(_DOCUMENT, "texts in the index for searching", person.texts, "proposal_key")
    add(_PAIR, "pairs with words of both", person.texts, "key_a")
    add(_PAIR, "pairs with words of both (second)", person.texts, "key_b")
    add(_VECTOR, "vectors of titles", person.texts, "proposal_key")
    add(
        PUBLICATION, "publications with title or address", person.publications, "id",
        or_(PUBLICATION.c.title != "", PUBLICATION.c.url.is_not(None)),
    )  # fmt: skip
    add(
        OPERATION, "queued and past writes with text", person.publications, "publication_id",
        OPERATION.c.state.in_(CLOSED), or_(_filled(OPERATION.c.payload), _filled(OPERATION.c.there)),
    )  # fmt: skip
    return found


def _filled(column: Any) -> Any:
    return column.is_not(null())


def _in_quarantine(person: _Person) -> Any:
    refs = [own.partition("/")[2] for own in person.records if own.startswith(f"{person.instance}/")]
    return (_QUARANTINE.c.instance == person.instance) & or_(
        _QUARANTINE.c.ref.in_(refs), cast(_QUARANTINE.c.raw, String).contains(person.pseudonym)
    )


def _copies(connection: Connection, person: _Person) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    columns = ("id", "route", "target_instance", "target_space", "state", "copy_key")
    for part in chunks(person.publications):
        query = select(*(PUBLICATION.c[name] for name in columns)).where(PUBLICATION.c.id.in_(part))
        for own, route, target, space, state, copy in map(tuple, connection.execute(query)):
            if copy is not None and state not in {PublicationState.WITHDRAWN, PublicationState.GONE}:
                found.append({"id": own, "route": route, "target": f"{target}/{space}", "state": state})
    return found


# Erasing ---------------------------------------------------------------------------------------------------------------


def _erase(engine: Engine, clock: Clock, person: _Person, proof: Proof, origin: str) -> None:
    now = clock.now()
    ledger = Ledger(engine, clock)
    for publication in ledger.publications(ids=person.publications) if person.publications else ():
        kinds = {
            op.kind
            for op in ledger.operations(states=tuple(QUEUED), publication=publication.id)
            if op.lane is Lane.TEXT
        }
        if kinds & {OperationKind.CREATE, OperationKind.EDIT}:
            ledger.cancel(publication, Lane.TEXT, Reason.ORIGIN_GONE, "its author was forgotten")
    with engine.begin() as connection:
        upsert(connection, FORGOTTEN, [{"instance": person.instance, "mark": mark_of(person.pseudonym), "at": now}])
        rows = [{"key": own, "instance": own.partition("/")[0], "at": now} for own in person.records]
        upsert(connection, ERASED_RECORD, rows)
        buried = {"gone_at": now, "gone_reason": ERASED, "purged_at": now, "missing_runs": 0, "told_missing_at": None}
        for part in chunks(person.proposals):
            where = _PROPOSAL.c.key.in_(part)
            connection.execute(update(_PROPOSAL).where(where).values(**_BLANK_PROPOSAL, **buried))
        for part in chunks(person.comments):
            connection.execute(update(_COMMENT).where(_COMMENT.c.key.in_(part)).values(**_BLANK_COMMENT, **buried))
        for part in chunks(person.copies):
            # A copy is not gone yet, or nobody would take it back; only what is stored of it goes.
            kept = {name: value for name, value in _BLANK_PROPOSAL.items() if name != "author"}
            connection.execute(update(_PROPOSAL).where(_PROPOSAL.c.key.in_(part)).values(**kept))
        _delete_parts(connection, person)
        connection.execute(delete(_QUARANTINE).where(_in_quarantine(person)))
        mine = (_AUTHOR.c.instance == person.instance, _AUTHOR.c.pseudonym == person.pseudonym)
        connection.execute(delete(_AUTHOR).where(*mine))
        proof.waiting = _blank_ledger(connection, person)
        audit.append(
            connection,
            now,
            action="forget",
            object=f"{person.instance} {mark_of(person.pseudonym)}",
            result=f"{proof.found} rows, {len(proof.copies)} copies to take back"
            + (f"; asked by {origin}" if origin else ""),
        )


def _delete_parts(connection: Connection, person: _Person) -> None:
    for part in chunks(person.texts):
        for row_class in (ProposalTextRow, ProposalVersionRow, ProposalCategoryRow, ProposalAreaRow):
            table = table_of(row_class)
            connection.execute(delete(table).where(table.c.proposal_key.in_(part)))
        connection.execute(delete(_ATTACHMENT).where(_ATTACHMENT.c.owner_key.in_(part)))
        connection.execute(delete(_PAIR).where(or_(_PAIR.c.key_a.in_(part), _PAIR.c.key_b.in_(part))))
        connection.execute(delete(_VECTOR).where(_VECTOR.c.proposal_key.in_(part)))
        connection.execute(delete(_DOCUMENT).where(_DOCUMENT.c.proposal_key.in_(part)))


def _blank_ledger(connection: Connection, person: _Person) -> int:
    """What the ledger repeats of the texts; returns how many writes keep it because nobody knows yet what became of them."""
    waiting = 0
    for part in chunks(person.publications):
        query = select(PUBLICATION.c.id, PUBLICATION.c.title, PUBLICATION.c.sent_payload).where(
            PUBLICATION.c.id.in_(part)
        )
        for own, title, payload in connection.execute(query).all():
            values = {"title": "", "url": None, "sent_payload": _blank_draft(payload)}
            connection.execute(update(PUBLICATION).where(PUBLICATION.c.id == own).values(**values))
            if title:
                told = (EVENT.c.publication_id == own, EVENT.c.detail.contains(title, autoescape=True))
                connection.execute(update(EVENT).where(*told).values(detail=""))
        ours = OPERATION.c.publication_id.in_(part)
        settled = (ours, OPERATION.c.state.in_(CLOSED))
        connection.execute(update(OPERATION).where(*settled).values(payload=None, there=None, notes=None))
        query = select(func.count()).select_from(OPERATION).where(ours, OPERATION.c.state.in_(UNDER_WAY))
        waiting += connection.execute(query).scalar_one()
    return waiting


def _blank_draft(payload: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was sent, without a word of it: marker, language and voice are needed to take it back."""
    if not payload or "texts" not in payload:
        return None
    texts = {locale: dict.fromkeys(text, "") for locale, text in payload["texts"].items()}
    return {**payload, **{name: value for name, value in _BLANK_DRAFT.items() if name in payload}, "texts": texts}


# Proving ---------------------------------------------------------------------------------------------------------------


_SAID = (_TEXT.c.title, _TEXT.c.plain, _PROPOSAL.c.title, _COMMENT.c.plain)
"""Where people's words are, one by one. That nothing of the person is left there is known by the keys (`_count`)."""


def _without_others(connection: Connection, probes: Sequence[str]) -> list[str]:
    """Once the person's own are gone: the pieces that nobody else typed as well."""
    left = list(probes)
    for column in _SAID:
        while left:
            holds = or_(*(column.contains(probe, autoescape=True) for probe in left))
            texts = list(connection.execute(select(column).where(holds).limit(_AT_ONCE)).scalars())
            kept = [probe for probe in left if not any(probe.lower() in said.lower() for said in texts)]
            if len(kept) == len(left):
                break
            left = kept
    return left


def _holds_text(column: Any) -> bool:
    """SQLModel's texts are a type around SQLAlchemy's."""
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return isinstance(kind, String | JSON)


def _traces(connection: Connection, probes: Sequence[str]) -> dict[str, int]:
    """Every column of every table that can hold a text."""
    found: dict[str, int] = {}
    for table in METADATA.sorted_tables:
        columns = [column for column in table.c if _holds_text(column) and all(column is not said for said in _SAID)]
        for column in columns:
            said = cast(column, String)
            holds = or_(*(said.contains(probe, autoescape=True) for probe in probes))
            count = connection.execute(select(func.count()).select_from(table).where(holds)).scalar_one()
            if count:
                found[f"{table.name}.{column.name}"] = count
    return found


def _bytes(engine: Engine, probes: Sequence[str]) -> tuple[dict[str, int], int]:
    """SQLite: the file and what lies beside it, byte for byte."""
    file = file_of(engine)
    found: dict[str, int] = {}
    searched = 0
    for each in () if file is None else (file, *side_files(file)):
        size = each.stat().st_size
        if not size:
            continue
        searched += size
        with (
            each.open("rb") as opened,
            contextlib.closing(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)) as seen,
        ):
            hits = sum(seen.find(probe.encode()) >= 0 for probe in probes)
        if hits:
            found[os.fspath(each.name)] = hits
    return found, searched
