"""What analysis keeps beside what platforms told: totals made from it, decisions of people about it, and who was forgotten.

Everything here but decisions, frozen lists and the forgotten can be made again from the other tables.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlmodel import Field, SQLModel

from .tables import UTCMoment, counter, moment


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
    comments: int
    participants: int
    refreshed_at: datetime = Field(sa_type=UTCMoment)


class PublishedAreaRow(SQLModel, table=True):
    """What everybody may see of `area_total`: null and `suppressed` where it would tell of few people."""

    __tablename__: ClassVar[Any] = "published_area"
    instance: str = Field(primary_key=True)
    area_key: str = Field(primary_key=True)
    proposals: int | None = None
    comments: int | None = None
    participants: int | None = None
    suppressed: bool
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
    supports: int
    frozen_at: datetime = Field(sa_type=UTCMoment)
