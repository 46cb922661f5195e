"""The tables. Analysts read the views (`core.schema.views`); these are where the rows live.

One row per thing, keyed by `core.identity.key`; no foreign keys, so that a page is written without reading anything back and a
reply may arrive before what it answers. Written only by `core.store`; migrated only by Alembic (`core/schema/migrations`).
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from .types import Json, UTCMoment


def json_column() -> Any:
    """A nullable JSON column."""
    return Field(default=None, sa_column=Column(Json.with_variant(JSONB(none_as_null=True), "postgresql")))


def moment(**options: Any) -> Any:
    """A nullable UTC moment."""
    return Field(default=None, sa_type=UTCMoment, **options)


def counter() -> Any:
    """A nullable counter of a platform: 64 bits in both databases (SQLite's INTEGER has them anyway)."""
    return Field(default=None, sa_type=BigInteger().with_variant(Integer(), "sqlite"))  # type: ignore[call-overload]


def wide() -> Any:
    """A counter that is always there: 64 bits in both databases."""
    return Field(sa_type=BigInteger().with_variant(Integer(), "sqlite"))  # type: ignore[call-overload]


def long_text() -> Any:
    """A text of any length, empty by default."""
    return Field(default="", sa_column=Column(Text, nullable=False))


class Row(SQLModel):
    """What every swept row has. `digest` is the content's hash; `missing_runs` counts the sweeps and threads that did not show it.

    `confirmed_at` is when its platform last showed this very row, by a list (`confirmed_by` shown), a gate (gate) or a question (asked);
    what was confirmed with its whole scope is in `scope_confirmation`, and the later of the two counts. `told_missing_at`: a run found
    it missing and asked the admin.
    """

    key: str = Field(primary_key=True)
    instance: str
    kind: str
    remote_id: str
    scope: str = ""
    digest: bytes | None = Field(default=None, sa_type=LargeBinary)
    token: str | None = None
    first_seen_at: datetime | None = moment()
    changed_at: datetime | None = moment()
    missing_runs: int = 0
    gone_at: datetime | None = moment()
    gone_reason: str | None = None
    confirmed_at: datetime | None = moment()
    confirmed_by: str | None = None
    told_missing_at: datetime | None = moment()


class SpaceRow(Row, table=True):
    """A participatory space."""

    __tablename__: ClassVar[Any] = "space"
    __table_args__ = (Index("ix_space_scope", "instance", "scope"),)
    parent_key: str | None = None
    name: str = long_text()
    names: Any = json_column()
    native_type: str | None = None
    status: str | None = None
    url: str | None = None
    amount: int | None = Field(default=None, sa_type=BigInteger)


class ProposalRow(Row, table=True):
    """A proposal, investment, project, debate or amendment, with its newest counters."""

    __tablename__: ClassVar[Any] = "proposal"
    __table_args__ = (Index("ix_proposal_scope", "instance", "scope"), Index("ix_proposal_space", "space_key"))
    space_key: str | None = None
    title: str = long_text()
    locale: str = "und"
    state: str = "open"
    native_state: str | None = None
    reference: str | None = None
    url: str | None = None
    author: str | None = None
    official: bool = False
    created_at: datetime | None = moment()
    published_at: datetime | None = moment()
    updated_at: datetime | None = moment()
    withdrawn_at: datetime | None = moment()
    address: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    amends_key: str | None = None
    from_meeting_key: str | None = None
    amount: int | None = Field(default=None, sa_type=BigInteger)
    selected: bool | None = None
    video_url: str | None = None
    version: int = 1
    supports: int | None = counter()
    opposes: int | None = counter()
    endorsements: int | None = counter()
    comments: int | None = counter()
    purged_at: datetime | None = moment()
    """When what people typed was removed; it holds while it is later than `gone_at`."""


class ProposalTextRow(SQLModel, table=True):
    """A proposal's text in one locale; machine translations apart from originals."""

    __tablename__: ClassVar[Any] = "proposal_text"
    proposal_key: str = Field(primary_key=True)
    locale: str = Field(primary_key=True)
    machine: bool = Field(default=False, primary_key=True)
    title: str = long_text()
    html: str = long_text()
    plain: str = long_text()


class ProposalVersionRow(SQLModel, table=True):
    """What a proposal said before: one row per version that was replaced."""

    __tablename__: ClassVar[Any] = "proposal_version"
    proposal_key: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    state: str
    native_state: str | None = None
    texts: Any = json_column()
    seen_from: datetime | None = moment()
    seen_until: datetime | None = moment()


class TallyRow(SQLModel, table=True):
    """The counters of a proposal from a moment on; a new row only when they changed."""

    __tablename__: ClassVar[Any] = "tally"
    proposal_key: str = Field(primary_key=True)
    seen_at: datetime = Field(primary_key=True, sa_type=UTCMoment)
    supports: int | None = counter()
    opposes: int | None = counter()
    endorsements: int | None = counter()
    comments: int | None = counter()


class ProposalCategoryRow(SQLModel, table=True):
    """Which categories a proposal has."""

    __tablename__: ClassVar[Any] = "proposal_category"
    proposal_key: str = Field(primary_key=True)
    category_key: str = Field(primary_key=True)


class ProposalAreaRow(SQLModel, table=True):
    """Which areas a proposal belongs to."""

    __tablename__: ClassVar[Any] = "proposal_area"
    proposal_key: str = Field(primary_key=True)
    area_key: str = Field(primary_key=True)


class CommentRow(Row, table=True):
    """A comment or an argument."""

    __tablename__: ClassVar[Any] = "comment"
    __table_args__ = (Index("ix_comment_scope", "instance", "scope"), Index("ix_comment_target", "target_key"))
    target_key: str
    parent_key: str | None = None
    locale: str = "und"
    machine: bool = False
    html: str = long_text()
    plain: str = long_text()
    alignment: int = 0
    author: str | None = None
    created_at: datetime | None = moment()
    updated_at: datetime | None = moment()
    supports: int | None = counter()
    opposes: int | None = counter()
    endorsements: int | None = counter()
    comments: int | None = counter()
    purged_at: datetime | None = moment()


class AnswerRow(Row, table=True):
    """An official answer, milestone or status change."""

    __tablename__: ClassVar[Any] = "answer"
    __table_args__ = (Index("ix_answer_scope", "instance", "scope"), Index("ix_answer_target", "target_key"))
    target_key: str
    state: str | None = None
    native_state: str | None = None
    plain: str = long_text()
    texts: Any = json_column()
    answered_at: datetime | None = moment()
    cost: str | None = None
    purged_at: datetime | None = moment()


class CategoryRow(Row, table=True):
    """A category, taxonomy or tag."""

    __tablename__: ClassVar[Any] = "category"
    __table_args__ = (Index("ix_category_scope", "instance", "scope"),)
    parent_key: str | None = None
    space_key: str | None = None
    name: str = long_text()
    names: Any = json_column()


class AreaRow(Row, table=True):
    """A geographical area."""

    __tablename__: ClassVar[Any] = "area"
    __table_args__ = (Index("ix_area_scope", "instance", "scope"),)
    parent_key: str | None = None
    name: str = long_text()
    names: Any = json_column()


class VoteRow(Row, table=True):
    """An individual public ballot, never with a person."""

    __tablename__: ClassVar[Any] = "vote"
    __table_args__ = (Index("ix_vote_scope", "instance", "scope"), Index("ix_vote_target", "target_key"))
    target_key: str
    positive: bool | None = None
    cast_at: datetime | None = moment()


class AttachmentRow(SQLModel, table=True):
    """A file or picture of a proposal."""

    __tablename__: ClassVar[Any] = "attachment"
    __table_args__ = (Index("ix_attachment_owner", "owner_key"),)
    key: str = Field(primary_key=True)
    instance: str
    kind: str
    remote_id: str
    owner_key: str
    title: str | None = None
    media_type: str | None = None
    url: str | None = None


class AuthorRow(SQLModel, table=True):
    """A pseudonym; a name only where the configuration says so."""

    __tablename__: ClassVar[Any] = "author"
    instance: str = Field(primary_key=True)
    pseudonym: str = Field(primary_key=True)
    kind: str = "person"
    name: str | None = None


class InstanceRow(SQLModel, table=True):
    """A deployment of a platform, and what was found there."""

    __tablename__: ClassVar[Any] = "instance"
    name: str = Field(primary_key=True)
    platform: str
    url: str
    title: str = ""
    version: str | None = None
    dialect: str = ""
    locales: Any = json_column()
    probe: Any = json_column()
    probed_at: datetime | None = moment()
    last_full_at: datetime | None = moment()
    last_success_at: datetime | None = moment()
    pseudonyms_of: str | None = None
    """The name that its pseudonyms were made with, where it was renamed since."""
    limited_to: Any = json_column()
    """The choices of spaces (`InstanceSettings.limits`) of the last whole run, so that a change is noticed."""


class RunRow(SQLModel, table=True):
    """One pull of one instance: what it did, what it cost, how it ended."""

    __tablename__: ClassVar[Any] = "run"
    __table_args__ = (Index("ix_run_instance", "instance", "started_at"),)
    id: int | None = Field(default=None, primary_key=True)
    instance: str
    started_at: datetime = Field(sa_type=UTCMoment)
    ended_at: datetime | None = moment()
    outcome: str = "running"
    message: str = ""
    notes: Any = json_column()
    full: bool = False
    pages: int = 0
    seen: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    tallies: int = 0
    gone: int = 0
    missing: int = 0
    quarantined: int = 0
    requests: int = 0
    retries: int = 0
    bytes: int = Field(default=0, sa_type=BigInteger)
    platform_seconds: float = 0.0
    seconds: float = 0.0


class CheckpointRow(SQLModel, table=True):
    """Where an unfinished sweep goes on."""

    __tablename__: ClassVar[Any] = "checkpoint"
    instance: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    cursor: Any = json_column()
    pages: int = 0
    started_at: datetime | None = moment()


class SweepPageRow(SQLModel, table=True):
    """The references that one page of an unfinished sweep saw, compressed; deleted when the sweep is complete."""

    __tablename__: ClassVar[Any] = "sweep_page"
    instance: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    page: int = Field(primary_key=True)
    refs: bytes = Field(sa_type=LargeBinary)


class ScopeConfirmationRow(SQLModel, table=True):
    """When all rows of a scope that are not missing were last confirmed together."""

    __tablename__: ClassVar[Any] = "scope_confirmation"
    instance: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    confirmed_at: datetime = Field(sa_type=UTCMoment)
    confirmed_by: str = "shown"


class MemoryRow(SQLModel, table=True):
    """Small values a connector asked to keep: ETags, gates."""

    __tablename__: ClassVar[Any] = "memory"
    instance: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: Any = json_column()


class QuarantineRow(SQLModel, table=True):
    """A record that could not be understood: kept, without personal data, until it can."""

    __tablename__: ClassVar[Any] = "quarantine"
    __table_args__ = (Index("ix_quarantine_ref", "instance", "ref", unique=True),)
    id: int | None = Field(default=None, primary_key=True)
    instance: str
    ref: str
    scope: str
    field: str
    reason: str
    raw: Any = json_column()
    first_seen_at: datetime | None = moment()
    last_seen_at: datetime | None = moment()
    times: int = 1


class LeaseRow(SQLModel, table=True):
    """Who is at work on what, so that a second process waits instead of doubling."""

    __tablename__: ClassVar[Any] = "lease"
    name: str = Field(primary_key=True)
    holder: str
    until: datetime = Field(sa_type=UTCMoment)
    token: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    """Grows with each taking; what is written under a lease carries it."""


class SchemaInfoRow(SQLModel, table=True):
    """Facts about the database itself, such as which views it has."""

    __tablename__: ClassVar[Any] = "schema_info"
    name: str = Field(primary_key=True)
    value: str


ROWS: dict[str, type[Row]] = {
    "spaces": SpaceRow,
    "proposals": ProposalRow,
    "comments": CommentRow,
    "answers": AnswerRow,
    "categories": CategoryRow,
    "areas": AreaRow,
    "votes": VoteRow,
}
"""The swept tables by `Record.table`."""


def table_of(model: type[SQLModel]) -> Table:
    """The Core table of a model."""
    return SQLModel.metadata.tables[str(model.__tablename__)]
