"""What a platform accepted, how often it was looked up, and credentials that were refused"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("operation", sa.Column("lookups", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("operation", sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "refused_credentials",
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("instance", "scope"),
    )
