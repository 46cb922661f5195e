"""The ledger of publishing"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

JSON = sa.JSON().with_variant(JSONB(), "postgresql")

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "breaker",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("host"),
    )
    op.create_table(
        "operation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("target_instance", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("open_lane", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("payload", JSON, nullable=True),
        sa.Column("payload_hash", sa.String(), nullable=False),
        sa.Column("notes", JSON, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("publication_id", "open_lane", name="uq_operation_lane"),
    )
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.create_index("ix_operation_state", ["state", "target_instance"], unique=False)

    op.create_table(
        "publication",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("origin_key", sa.String(), nullable=False),
        sa.Column("target_instance", sa.String(), nullable=False),
        sa.Column("target_space", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("marker", sa.String(), nullable=False),
        sa.Column("remote_ref", sa.String(), nullable=True),
        sa.Column("remote_id", sa.String(), nullable=True),
        sa.Column("copy_key", sa.String(), nullable=True),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("how", JSON, nullable=True),
        sa.Column("sent_hash", sa.String(), nullable=True),
        sa.Column("sent_payload", JSON, nullable=True),
        sa.Column("copy_print", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("copy_key", name="uq_publication_copy"),
        sa.UniqueConstraint("origin_key", "target_instance", "target_space", name="uq_publication_place"),
    )
    with op.batch_alter_table("publication", schema=None) as batch_op:
        batch_op.create_index("ix_publication_route", ["route", "state"], unique=False)

    op.create_table(
        "publication_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("publication_event", schema=None) as batch_op:
        batch_op.create_index("ix_publication_event", ["publication_id", "at"], unique=False)

    op.create_table(
        "route",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("halted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("halted_reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "service_account",
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("pseudonym", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "pseudonym"),
    )


def downgrade() -> None:
    op.drop_table("service_account")
    op.drop_table("route")
    with op.batch_alter_table("publication_event", schema=None) as batch_op:
        batch_op.drop_index("ix_publication_event")

    op.drop_table("publication_event")
    with op.batch_alter_table("publication", schema=None) as batch_op:
        batch_op.drop_index("ix_publication_route")

    op.drop_table("publication")
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.drop_index("ix_operation_state")

    op.drop_table("operation")
    op.drop_table("breaker")
