"""Who an instance is, what a person was shown, and what was purged"""

import sqlalchemy as sa
from alembic import op

from civicsync.core.schema.views import VIEWS

revision = "0006"
down_revision = "0005"

_COUNTERS = ("supports", "opposes", "endorsements", "comments")


def _wider_counters() -> None:
    """Counters of 64 bits, as SQLite's are anyway. Views hold on to the type of a column: they are made anew after every upgrade."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for name in VIEWS:
        op.execute(f'DROP VIEW IF EXISTS "{name}"')
    for table in ("proposal", "tally", "comment"):
        for counter in _COUNTERS:
            op.alter_column(table, counter, type_=sa.BigInteger())


def upgrade() -> None:
    _wider_counters()
