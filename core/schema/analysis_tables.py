"""What analysis keeps beside what platforms told: totals made from it, decisions of people about it, and who was forgotten.

Everything here but decisions, frozen lists and the forgotten can be made again from the other tables.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import DDL, Index, LargeBinary, Text, event
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlmodel import Field, SQLModel

from .tables import counter, json_column, long_text, moment, table_of, wide
from .types import UTCMoment


class SpaceTotalRow(SQLModel, table=True):
    """The totals of a space with all spaces below it, of what is there now and is no copy of ours; made anew after a pull that changed
    something."""

    __tablename__: ClassVar[Any] = "space_total"
    space_key: str = Field(primary_key=True)
    instance: str = Field(index=True)
    root_key: str
    depth: int
    """0: a root."""
    proposals: int
    open_proposals: int
    answered: int
    supports: int | None = counter()
    comments: int
    participants: int
    """Distinct pseudonyms that wrote a proposal or a comment there."""
    first_at: datetime | None = moment()
    last_at: datetime | None = moment()
    refreshed_at: datetime = Field(sa_type=UTCMoment)


class AreaTotalRow(SQLModel, table=True):
    """Who took part where: per area, and with an empty key what belongs to none."""

    __tablename__: ClassVar[Any] = "area_total"
    instance: str = Field(primary_key=True)
    area_key: str = Field(primary_key=True)
    proposals: int
    proposal_authors: int
    comments: int
    comment_authors: int
    participants: int
    """Distinct pseudonyms that wrote one or the other."""
    refreshed_at: datetime = Field(sa_type=UTCMoment)


class PublishedAreaRow(SQLModel, table=True):
    """What everybody may see of who took part where: null and `…_suppressed` where a figure would tell of few people."""

    __tablename__: ClassVar[Any] = "published_area"
    instance: str = Field(primary_key=True)
    area_key: str = Field(primary_key=True)
    proposals: int | None = None
    proposal_authors: int | None = None
    proposals_suppressed: bool
    comments: int | None = None
    comment_authors: int | None = None
    comments_suppressed: bool
    published_at: datetime = Field(sa_type=UTCMoment)


class MonthlyTopRow(SQLModel, table=True):
    """A place on a list that was frozen: what had the most supports then. An empty `category_key`: of the whole instance."""

    __tablename__: ClassVar[Any] = "monthly_top_entry"
    month: str = Field(primary_key=True)
    """`2026-11`."""
    instance: str = Field(primary_key=True)
    category_key: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    proposal_key: str
    supports: int = wide()
    frozen_at: datetime = Field(sa_type=UTCMoment)


class SearchDocumentRow(SQLModel, table=True):
    """A text that the index for searching knows. On SQLite its words are in an FTS5 table under the same number, on PostgreSQL here."""

    __tablename__: ClassVar[Any] = "search_document"
    __table_args__ = (Index("ix_search_document_text", "proposal_key", "locale", "machine", unique=True),)
    id: int | None = Field(default=None, primary_key=True)
    proposal_key: str
    locale: str
    machine: bool
    words: Any = Field(default=None, sa_type=Text().with_variant(TSVECTOR(), "postgresql"), nullable=True)  # pyright: ignore


class SearchQueueRow(SQLModel, table=True):
    """Proposals whose texts came or went since the index was last refreshed; written by triggers, so that nothing can forget to."""

    __tablename__: ClassVar[Any] = "search_queue"
    id: int | None = Field(default=None, primary_key=True)
    proposal_key: str


class DuplicatePairRow(SQLModel, table=True):
    """Two proposals that may be one idea: how alike they are and why, and what a person decided. `key_a` sorts before `key_b`."""

    __tablename__: ClassVar[Any] = "duplicate_pair"
    __table_args__ = (Index("ix_duplicate_pair_b", "key_b"),)
    key_a: str = Field(primary_key=True)
    key_b: str = Field(primary_key=True)
    score: float
    """0 to 1; what is compared with the threshold."""
    lexical: float | None = None
    semantic: float | None = None
    method: str
    version: str
    evidence: Any = json_column()
    """Removed when a text of either changes or goes: it repeats words of both."""
    found_at: datetime = Field(sa_type=UTCMoment)
    decision: str | None = None
    """same or different; null while nobody has decided."""
    decided_at: datetime | None = moment()
    decided_by: str | None = None


class DuplicateVectorRow(SQLModel, table=True):
    """What the language model made of a proposal's title, so that it is asked once; goes with the text."""

    __tablename__: ClassVar[Any] = "duplicate_vector"
    proposal_key: str = Field(primary_key=True)
    model: str
    digest: bytes = Field(sa_type=LargeBinary)
    """Of the text that was read."""
    vector: bytes = Field(sa_type=LargeBinary)
    """Numbers of 16 bits, little-endian."""


class ForgottenRow(SQLModel, table=True):
    """Somebody who was forgotten, so that no pull brings anything of them back. Outlives everything else of the instance."""

    __tablename__: ClassVar[Any] = "forgotten"
    instance: str = Field(primary_key=True)
    mark: str = Field(primary_key=True)
    """A keyed digest (`core.store.forgotten.mark_of`): neither the platform's number nor the pseudonym."""
    at: datetime = Field(sa_type=UTCMoment)


class ErasedRecordRow(SQLModel, table=True):
    """A record whose text was erased for good: what a platform goes on showing of it is not stored again."""

    __tablename__: ClassVar[Any] = "erased_record"
    key: str = Field(primary_key=True)
    instance: str = Field(index=True)
    at: datetime = Field(sa_type=UTCMoment)


class PublishedCellRow(SQLModel, table=True):
    """A figure of a table that was published, as it truly was: what the next table is compared with. Never shown to anybody."""

    __tablename__: ClassVar[Any] = "published_cell"
    name: str = Field(primary_key=True)
    """Of the table."""
    row: str = Field(primary_key=True)
    column: str = Field(primary_key=True)
    persons: int
    counts: Any = json_column()
    suppressed: bool
    shown: Any = json_column()
    """What was seen instead, if anything: `persons` and `counts`."""
    published_at: datetime = Field(sa_type=UTCMoment)


class AuditEntryRow(SQLModel, table=True):
    """Who did what with what, and what came of it. Each entry carries the hash of the one before; none is ever changed."""

    __tablename__: ClassVar[Any] = "audit_entry"
    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = Field(sa_type=UTCMoment)
    actor: str
    action: str
    object: str
    result: str = long_text()
    origin: str
    previous: str
    hash: str


_ADDED_TO = "the audit log is only ever added to"
_STAYS = "ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_entry_stays()"
_RAISE = f"ON audit_entry BEGIN SELECT RAISE(ABORT, '{_ADDED_TO}'); END"
_FUNCTION = f"RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{_ADDED_TO}'; END $$"
AUDIT_STAYS = {
    "sqlite": (
        f"CREATE TRIGGER audit_entry_update BEFORE UPDATE {_RAISE}",
        f"CREATE TRIGGER audit_entry_delete BEFORE DELETE {_RAISE}",
    ),
    "postgresql": (
        f"CREATE OR REPLACE FUNCTION audit_entry_stays() {_FUNCTION}",
        f"CREATE TRIGGER audit_entry_update BEFORE UPDATE {_STAYS}",
        f"CREATE TRIGGER audit_entry_delete BEFORE DELETE {_STAYS}",
        f"CREATE TRIGGER audit_entry_truncate BEFORE TRUNCATE {_STAYS.replace('ROW', 'STATEMENT')}",
    ),
}
"""What forbids changing the audit log, by database; `core.audit` alone lifts it, to let old entries go."""
for _dialect, _statements in AUDIT_STAYS.items():
    for _statement in _statements:
        event.listen(table_of(AuditEntryRow), "after_create", DDL(_statement).execute_if(dialect=_dialect))
