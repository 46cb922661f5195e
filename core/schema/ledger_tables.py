"""The ledger of publishing: every copy that was wanted, every write that was tried, and what became of it.

Written only by `core.ledger`. The constraints here are what makes two copies impossible: one row per origin and target space, one
open operation per lane, and no two publications with the same copy.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint, false
from sqlmodel import Field, SQLModel

from . import analysis_tables, operations_tables
from .tables import json_column, long_text, moment
from .types import UTCMoment


class PublicationRow(SQLModel, table=True):
    """An origin proposal, a target space, and where the copy stands. Kept for ever: it is also the tombstone."""

    __tablename__: ClassVar[Any] = "publication"
    __table_args__ = (
        UniqueConstraint("origin_key", "target_instance", "target_space", name="uq_publication_place"),
        UniqueConstraint("copy_key", name="uq_publication_copy"),
        Index("ix_publication_route", "route", "state"),
    )
    id: str = Field(primary_key=True)
    route: str
    origin_key: str
    target_instance: str
    target_space: str
    state: str
    """`core.ledger.states.PublicationState`."""
    reason_code: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """`core.ledger.states.Reason`; `reason` is the sentence beside it, for people."""
    reason: str = long_text()
    title: str = long_text()
    marker: str
    remote_ref: str | None = None
    remote_id: str | None = None
    copy_key: str | None = None
    url: str | None = None
    how: Any = json_column()
    sent_hash: str | None = None
    """Of the payload that the platform last confirmed; None after a rebuild, until compared."""
    sent_payload: Any = json_column()
    copy_print: str | None = None
    """Fingerprint of what the platform showed right after our last write: anything else means that somebody edited the copy."""
    created_at: datetime = Field(sa_type=UTCMoment)
    changed_at: datetime = Field(sa_type=UTCMoment)
    sent_at: datetime | None = moment()


class OperationRow(SQLModel, table=True):
    """One write: its intent, written before its effect."""

    __tablename__: ClassVar[Any] = "operation"
    __table_args__ = (
        UniqueConstraint("publication_id", "open_lane", name="uq_operation_lane"),
        Index("ix_operation_state", "state", "target_instance"),
    )
    id: int | None = Field(default=None, primary_key=True)
    publication_id: str
    route: str
    target_instance: str
    """Where the write goes: for an answer back to the origin, the origin's instance."""
    kind: str
    """create, edit, withdraw, answer, answer_back or withdraw_twin."""
    lane: str
    open_lane: str | None = None
    """The lane while the operation is open, else null: one open operation per publication and lane."""
    state: str
    payload: Any = json_column()
    payload_hash: str = ""
    notes: Any = json_column()
    attempts: int = 0
    lookups: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How often in a row the platform was asked what became of it, and could not tell or did not find what it had accepted."""
    accepted_at: datetime | None = moment()
    """When the platform's own answer said that it was taken; it is never sent again unless a person says so."""
    older: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Of an answer: it was given before the copy was made, and belongs to its making."""
    first_sent_at: datetime | None = moment()
    last_sent_at: datetime | None = moment()
    """When its newest attempt went out: until long after that it may still be stored."""
    there: Any = json_column()
    """Of an edit: what stood on the platform when it was compared with what we wrote (`title`, `plain`, `print`), and `shown_to` whom."""
    not_before: datetime | None = moment()
    reason_code: str = Field(default="", sa_column_kwargs={"server_default": ""})
    error: str = long_text()
    decided_by: str | None = None
    created_at: datetime = Field(sa_type=UTCMoment)
    changed_at: datetime = Field(sa_type=UTCMoment)


class PublicationEventRow(SQLModel, table=True):
    """What happened to a publication, in words; what `explain` tells."""

    __tablename__: ClassVar[Any] = "publication_event"
    __table_args__ = (Index("ix_publication_event", "publication_id", "at"),)
    id: int | None = Field(default=None, primary_key=True)
    publication_id: str
    at: datetime = Field(sa_type=UTCMoment)
    what: str
    detail: str = long_text()


class RouteRow(SQLModel, table=True):
    """What is known of a route: that it was planned once, and whether it was halted."""

    __tablename__: ClassVar[Any] = "route"
    name: str = Field(primary_key=True)
    fingerprint: str
    planned_at: datetime | None = moment()
    halted_at: datetime | None = moment()
    resumed_at: datetime | None = moment()
    """When a person last let it go on: what was wanted before that is not counted against it."""
    halted_reason: str = long_text()


class ServiceAccountRow(SQLModel, table=True):
    """The pseudonyms of every account that civicsync ever wrote with: what they wrote is never an original."""

    __tablename__: ClassVar[Any] = "service_account"
    instance: str = Field(primary_key=True)
    pseudonym: str = Field(primary_key=True)


class RefusedCredentialsRow(SQLModel, table=True):
    """A name and password that a platform did not take: they are not tried again until they change or a person says so."""

    __tablename__: ClassVar[Any] = "refused_credentials"
    instance: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    """The kind of operation that was refused; empty: nothing can be written at all."""
    fingerprint: str
    """A keyed digest of the instance's settings as they were then (`connectors.credentials`), never the secret."""
    message: str = long_text()
    refused_at: datetime = Field(sa_type=UTCMoment)


class BreakerRow(SQLModel, table=True):
    """How often in a row writing to a host failed, and until when it is left alone."""

    __tablename__: ClassVar[Any] = "breaker"
    host: str = Field(primary_key=True)
    failures: int = 0
    open_until: datetime | None = moment()


METADATA = analysis_tables.SpaceTotalRow.metadata
"""All tables: these, those of `core.schema.tables`, and those of `analysis_tables` and `operations_tables`, which this module imports."""
assert operations_tables.RestorationRow.metadata is METADATA
