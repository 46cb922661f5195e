"""Tables for running civicsync for years: what was restored from a backup and is not looked up everywhere yet."""

from datetime import datetime
from typing import Any, ClassVar

from sqlmodel import Field, SQLModel

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
