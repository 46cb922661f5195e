"""What people take away: totals, decisions about duplicates, who was forgotten"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from civicsync.core.schema.analysis_tables import AUDIT_STAYS

revision = "0007"
down_revision = "0006"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _make(table: str, *parts: Any) -> bool:
    """Make a table, unless a try that was broken off has done so. Returns whether it was made."""
    if sa.inspect(op.get_bind()).has_table(table):
        return False
    op.create_table(table, *parts)
    return True


def _moment(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, key: bool = False, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), primary_key=key, nullable=nullable)


def _whole(name: str, *, key: bool = False, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), primary_key=key, nullable=nullable)


def _totals() -> None:
    if _make(
        "space_total",
        _text("space_key", key=True),
        _text("instance"),
        _text("root_key"),
        *(_whole(name) for name in ("depth", "proposals", "open_proposals", "answered")),
        sa.Column("supports", _COUNTER, nullable=True),
        _whole("comments"),
        _whole("participants"),
        _moment("first_at"),
        _moment("last_at"),
        _moment("refreshed_at", nullable=False),
    ):
        op.create_index("ix_space_total_instance", "space_total", ["instance"])
    _make(
        "area_total",
        _text("instance", key=True),
        _text("area_key", key=True),
        *map(_whole, ("proposals", "proposal_authors", "comments", "comment_authors", "participants")),
        _moment("refreshed_at", nullable=False),
    )
    _make(
        "published_area",
        _text("instance", key=True),
        _text("area_key", key=True),
        *(_whole(name, nullable=True) for name in ("proposals", "proposal_authors")),
        sa.Column("proposals_suppressed", sa.Boolean(), nullable=False),
        *(_whole(name, nullable=True) for name in ("comments", "comment_authors")),
        sa.Column("comments_suppressed", sa.Boolean(), nullable=False),
        _moment("published_at", nullable=False),
    )
    _make(
        "monthly_top_entry",
        *(_text(name, key=True) for name in ("month", "instance", "category_key")),
        _whole("position", key=True),
        _text("proposal_key"),
        sa.Column("supports", _COUNTER, nullable=False),
        _moment("frozen_at", nullable=False),
    )


def _searching() -> None:
    """What is already there is put into the index when it is first searched."""
    if _make(
        "search_document",
        _whole("id", key=True),
        _text("proposal_key"),
        _text("locale"),
        sa.Column("machine", sa.Boolean(), nullable=False),
        sa.Column("words", sa.Text().with_variant(TSVECTOR(), "postgresql"), nullable=True),
    ):
        op.create_index(
            "ix_search_document_text", "search_document", ["proposal_key", "locale", "machine"], unique=True
        )
    _make("search_queue", _whole("id", key=True), _text("proposal_key"))


def _duplicates() -> None:
    if _make(
        "duplicate_pair",
        *(_text(name, key=True) for name in ("key_a", "key_b")),
        sa.Column("score", sa.Float(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=True) for name in ("lexical", "semantic")),
        *(_text(name) for name in ("method", "version")),
        sa.Column("evidence", _JSON, nullable=True),
        _moment("found_at", nullable=False),
        _text("decision", nullable=True),
        _moment("decided_at"),
        _text("decided_by", nullable=True),
    ):
        op.create_index("ix_duplicate_pair_b", "duplicate_pair", ["key_b"])
    _make(
        "duplicate_vector",
        _text("proposal_key", key=True),
        _text("model"),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in ("digest", "vector")),
    )


def _privacy() -> None:
    _make(
        "forgotten",
        _text("instance", key=True),
        _text("mark", key=True),
        _moment("at", nullable=False),
    )
    if _make("erased_record", _text("key", key=True), _text("instance"), _moment("at", nullable=False)):
        op.create_index("ix_erased_record_instance", "erased_record", ["instance"])
    _make(
        "published_cell",
        *(_text(name, key=True) for name in ("name", "row", "column")),
        _whole("persons"),
        sa.Column("counts", _JSON, nullable=True),
        sa.Column("suppressed", sa.Boolean(), nullable=False),
        sa.Column("shown", _JSON, nullable=True),
        _moment("published_at", nullable=False),
    )
    if _make(
        "audit_entry",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        _moment("at", nullable=False),
        *(_text(name) for name in ("actor", "action", "object")),
        sa.Column("result", sa.Text(), nullable=False),
        *(_text(name) for name in ("origin", "previous", "hash")),
    ):
        for statement in AUDIT_STAYS[op.get_bind().dialect.name]:
            op.execute(sa.DDL(statement))


def _restoring() -> None:
    _make(
        "restoration",
        _whole("id", key=True),
        _moment("restored_at", nullable=False),
        _moment("lost_until", nullable=False),
    )
    _make(
        "restored_route",
        sa.Column("restoration_id", sa.Integer(), primary_key=True, autoincrement=False),
        _text("route", key=True),
        _moment("looked_up_at", nullable=False),
    )


def _planning() -> None:
    _make(
        "plan_basis",
        _text("publication_id", key=True),
        *(_text(name) for name in ("basis", "payload_hash", "reason_code")),
    )


def _turns() -> None:
    _make(
        "turn",
        _text("job", key=True),
        _moment("up_to", nullable=False),
        _moment("began_at", nullable=False),
        _moment("ended_at"),
        _text("plan"),
    )


def _alerting() -> None:
    if _make(
        "alert",
        _whole("id", key=True),
        *(_text(name) for name in ("kind", "subject")),
        _text("open_as", nullable=True),
        _moment("since"),
        _whole("many"),
        _moment("opened_at", nullable=False),
        _moment("told_at", nullable=False),
        _moment("closed_at"),
        _text("opened_by"),
        sa.UniqueConstraint("open_as", name="uq_alert_open"),
    ):
        op.create_index("ix_alert_kind", "alert", ["kind", "subject"])
    _make(
        "alert_notice",
        _whole("id", key=True),
        *(_text(name) for name in ("uid", "what")),
        _moment("at", nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("title", "body")),
        *(sa.Column(name, _JSON, nullable=True) for name in ("told", "answers")),
        _text("overview_of", nullable=True),
        sa.UniqueConstraint("uid", name="uq_alert_notice_uid"),
        sa.UniqueConstraint("overview_of", name="uq_alert_notice_overview"),
    )
    if _make(
        "alert_delivery",
        _whole("id", key=True),
        _whole("notice_id"),
        *(_text(name) for name in ("channel", "state")),
        _whole("attempts"),
        _moment("due_at", nullable=False),
        *(_moment(name) for name in ("tried_at", "claimed_until", "delivered_at")),
        sa.Column("error", sa.Text(), nullable=False),
        sa.UniqueConstraint("notice_id", "channel", name="uq_alert_delivery"),
    ):
        op.create_index("ix_alert_delivery_state", "alert_delivery", ["state", "channel"])
    _make("alert_watch", _text("name", key=True), _moment("since", nullable=False))


def upgrade() -> None:
    _totals()
    _searching()
    _duplicates()
    _privacy()
    _restoring()
    _planning()
    _turns()
    _alerting()
