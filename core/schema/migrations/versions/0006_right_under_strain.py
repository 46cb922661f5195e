"""Who an instance is, what a person was shown, and what was purged"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from civicsync.core.schema.views import FORMER, NAMES

revision = "0006"
down_revision = "0005"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_COUNTERS = ("supports", "opposes", "endorsements", "comments")
_COUNTED = ("proposal", "tally", "comment")
REWRITES = {"postgresql": _COUNTED}
"""Tables of which every row is written anew, by dialect (`core.upgrading`)."""


def _wider_counters() -> None:
    """Counters of 64 bits, as SQLite's are anyway. Views hold on to the type of a column: they are made anew after every upgrade."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for name in (*reversed(NAMES), *FORMER):
        op.execute(f'DROP VIEW IF EXISTS "{name}"')
    for table in _COUNTED:
        for counter in _COUNTERS:
            op.alter_column(table, counter, type_=sa.BigInteger())


def _add(table: str, column: sa.Column[Any]) -> None:
    """Add a column, unless a try that was broken off has done so: earlier releases migrated SQLite statement by statement."""
    if column.name not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


def _what_is_known_of_a_write() -> None:
    """When its newest attempt went out, what a person was shown of an edit, and since when a route goes on."""
    _add("operation", sa.Column("last_sent_at", sa.DateTime(timezone=True), nullable=True))
    _add("operation", sa.Column("there", _JSON, nullable=True))
    _add("operation", sa.Column("older", sa.Boolean(), nullable=False, server_default=sa.false()))
    _add("route", sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True))


def _who_an_instance_is_and_what_was_purged() -> None:
    """Without `purged_at` everything that is gone for long enough is purged once more, which harms nothing."""
    for table in ("proposal", "comment", "answer"):
        _add(table, sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
    _add("instance", sa.Column("pseudonyms_of", sa.String(), nullable=True))
    _add("instance", sa.Column("limited_to", _JSON, nullable=True))


def upgrade() -> None:
    _wider_counters()
    _what_is_known_of_a_write()
    _who_an_instance_is_and_what_was_purged()
