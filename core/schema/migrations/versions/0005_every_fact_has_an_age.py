"""When each row was last confirmed, and which wait for the admin's word"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_SWEPT = ("space", "proposal", "comment", "answer", "category", "area", "vote")
REWRITES = dict.fromkeys(("sqlite", "postgresql"), _SWEPT)
"""Tables of which every row is written anew, by dialect (`core.upgrading`)."""


def upgrade() -> None:
    for table in _SWEPT:
        op.add_column(table, sa.Column("confirmed_at", sa.DateTime(timezone=True)))
        op.add_column(table, sa.Column("confirmed_by", sa.String()))
        op.add_column(table, sa.Column("told_missing_at", sa.DateTime(timezone=True)))
        # What is known of them is that they were there when they last changed: everything is asked again soon.
        op.execute(f"UPDATE {table} SET confirmed_at = coalesce(changed_at, first_seen_at), confirmed_by = 'shown'")
    op.create_table(
        "scope_confirmation",
        sa.Column("instance", sa.String(), primary_key=True),
        sa.Column("scope", sa.String(), primary_key=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=False),
    )
