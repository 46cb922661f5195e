"""Tables for running civicsync for years: restorations not looked up everywhere yet, which turns were done, alerts and their outbox."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from .tables import json_column, long_text, moment
from .types import UTCMoment


class RestorationRow(SQLModel, table=True):
    """This database was put back from a backup: what was written from then to `lost_until` is on the platforms and not in here."""

    __tablename__: ClassVar[Any] = "restoration"
    id: int | None = Field(default=None, primary_key=True)
    restored_at: datetime = Field(sa_type=UTCMoment)
    lost_until: datetime = Field(sa_type=UTCMoment)
    """When the database that this one takes the place of was last worked with, or later."""


class RestoredRouteRow(SQLModel, table=True):
    """A route of which everything was looked up on its target after a restoration."""

    __tablename__: ClassVar[Any] = "restored_route"
    restoration_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    route: str = Field(primary_key=True)
    looked_up_at: datetime = Field(sa_type=UTCMoment)


class PlanBasisRow(SQLModel, table=True):
    """What the text of a copy that waits was made from when it was last rendered: while that stays the same, so does the text."""

    __tablename__: ClassVar[Any] = "plan_basis"
    publication_id: str = Field(primary_key=True)
    basis: str
    """A digest of the origin and of everything else that decides what its copy says (`sync.publish.basis`)."""
    payload_hash: str
    """As of the operation; empty where it cannot be rendered."""
    reason_code: str = ""
    """`core.ledger.states.Reason`: why it cannot be rendered."""


class TurnRow(SQLModel, table=True):
    """How far the turns of a scheduled job are done, for every process that keeps it going."""

    __tablename__: ClassVar[Any] = "turn"
    job: str = Field(primary_key=True)
    up_to: datetime = Field(sa_type=UTCMoment)
    """Turns up to this moment are done, or will be when the one under way has ended."""
    began_at: datetime = Field(sa_type=UTCMoment)
    ended_at: datetime | None = Field(default=None, sa_type=UTCMoment)
    """Missing while it is under way, and where whoever did it was stopped or died."""
    plan: str
    """A keyed digest of what it does by the configuration: after a change it has its turn at once."""


class AlertRow(SQLModel, table=True):
    """Something that an operator should know stands, or stood, at one subject. Written only by `core.alerts.book`."""

    __tablename__: ClassVar[Any] = "alert"
    __table_args__ = (UniqueConstraint("open_as", name="uq_alert_open"), Index("ix_alert_kind", "kind", "subject"))
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    """`core.alerts.kinds.AlertKind`."""
    subject: str
    """The instance, route or host, by its name."""
    open_as: str | None = None
    """Kind and subject while it is open, else null: nothing is ever open twice, however many processes look."""
    since: datetime | None = moment()
    """Since when it stands, where that is known."""
    many: int = 1
    """How many things of the subject it is about, as last told."""
    opened_at: datetime = Field(sa_type=UTCMoment)
    told_at: datetime = Field(sa_type=UTCMoment)
    """When it was last told."""
    closed_at: datetime | None = moment()
    opened_by: str = ""
    """The `uid` of the notice that told its opening."""


class AlertNoticeRow(SQLModel, table=True):
    """Something that was told about alerts, once and for all channels, or one daily overview. Its words never change."""

    __tablename__: ClassVar[Any] = "alert_notice"
    __table_args__ = (
        UniqueConstraint("uid", name="uq_alert_notice_uid"),
        UniqueConstraint("overview_of", name="uq_alert_notice_overview"),
    )
    id: int | None = Field(default=None, primary_key=True)
    uid: str
    """A random UUID: the id by which receivers know a notice that came twice."""
    what: str
    """`core.alerts.kinds.What`."""
    at: datetime = Field(sa_type=UTCMoment)
    title: str = long_text()
    body: str = long_text()
    told: Any = json_column()
    """The same for programs."""
    answers: Any = json_column()
    """The `uid`s of earlier notices that it goes on from."""
    overview_of: str | None = None
    """Of a daily overview its turn, which there is once."""


class AlertDeliveryRow(SQLModel, table=True):
    """The outbox: one notice on its way through one channel. Kept until it was delivered, and after."""

    __tablename__: ClassVar[Any] = "alert_delivery"
    __table_args__ = (
        UniqueConstraint("notice_id", "channel", name="uq_alert_delivery"),
        Index("ix_alert_delivery_state", "state", "channel"),
    )
    id: int | None = Field(default=None, primary_key=True)
    notice_id: int
    channel: str
    """As in the configuration: `webhook:NAME`, `mail:ADDRESS`, `apprise:NAME`."""
    state: str
    """`core.alerts.kinds.DeliveryState`."""
    attempts: int = 0
    due_at: datetime = Field(sa_type=UTCMoment)
    """Not tried before then."""
    tried_at: datetime | None = moment()
    """When it was last tried."""
    claimed_until: datetime | None = moment()
    """Some process is at it until then, unless it died."""
    delivered_at: datetime | None = moment()
    error: str = long_text()
    """Why the last try came to nothing: words of ours and codes, never what the other side wrote."""


class AlertWatchRow(SQLModel, table=True):
    """Since when an instance is watched for good pulls; the row without a name: since when anything is."""

    __tablename__: ClassVar[Any] = "alert_watch"
    name: str = Field(primary_key=True)
    since: datetime = Field(sa_type=UTCMoment)
