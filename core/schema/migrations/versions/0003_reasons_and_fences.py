"""Reason codes beside the sentences, and tokens that fence leases"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

REWRITES = dict.fromkeys(("sqlite", "postgresql"), ("publication", "operation"))
"""Tables of which every row is written anew, by dialect (`core.upgrading`)."""

_REFUSED_CREATE = (
    "SELECT 1 FROM operation o WHERE o.publication_id = publication.id AND o.kind = 'create' AND o.state = 'refused'"
)
_OF_PUBLICATIONS = (
    ("edit_refused", "reason LIKE 'the edit was refused: %'"),
    ("origin_back", "reason LIKE 'back: %'"),
    ("replaced_by_note", "reason LIKE '%; its text was replaced by a note, because: %'"),
    ("origin_gone", "reason LIKE 'its origin is gone%'"),
    ("origin_withdrawn", "reason LIKE 'its origin was withdrawn%'"),
    ("copy_gone", "reason LIKE 'the copy is not there any more%'"),
    ("copy_changed", "reason LIKE 'somebody changed the copy%'"),
    ("rejected", "reason LIKE 'rejected by %'"),
    ("tried_often", "reason LIKE 'tried %' OR reason LIKE '%, but it was tried %'"),
    ("foreign_marker", "reason LIKE 'it says that it is a copy of %'"),
    ("doubtful_marker", "reason LIKE 'it carries what looks like a marker%'"),
    ("twin", "reason LIKE '% says that it is a copy of it: %'"),
    ("older_than_found", "reason LIKE 'it is older than copies%'"),
    ("no_text", "reason LIKE 'it has no text that a person wrote%'"),
    ("no_language", "reason LIKE 'it has no text in %'"),
    ("template_fails", "reason LIKE 'the route''s template fails%' OR reason LIKE 'the route''s attribution fails%'"),
    ("too_short", "reason LIKE 'its text is shorter than%'"),
    ("no_room", "reason LIKE '% characters are not even enough%'"),
    ("process_ended", "reason LIKE 'the process that was sending it ended%'"),
    ("named_another", "reason LIKE 'the platform named a copy that belongs%'"),
    ("answer_lost", "state = 'unknown' AND reason <> ''"),
    ("withdrawal_refused", "state = 'stuck' AND reason <> ''"),
    ("create_refused", f"state = 'refused' AND reason <> '' AND EXISTS ({_REFUSED_CREATE})"),
    ("target_cannot", "state = 'refused' AND reason <> ''"),
)
"""The sentences that earlier versions wrote, and what they meant; the first that fits counts."""

_OF_OPERATIONS = (
    ("rejected", "error LIKE 'rejected by %'"),
    ("process_ended", "error LIKE 'the process that was sending it ended%'"),
    ("named_another", "error LIKE 'the platform named a copy that belongs%'"),
    ("copy_gone", "error LIKE 'the copy is not there any more%'"),
    ("copy_changed", "error LIKE 'somebody changed the copy%'"),
    ("tried_often", "error LIKE 'tried %' OR error LIKE '%, but it was tried %'"),
    ("proven_absent", "error LIKE 'it was looked up and is not there%'"),
    ("harmless", "error LIKE 'repeating it is harmless%'"),
    ("superseded", "state = 'superseded'"),
    ("answer_lost", "state = 'unknown' AND error <> ''"),
    ("create_refused", "state = 'refused' AND kind = 'create'"),
    ("edit_refused", "state = 'refused' AND kind = 'edit'"),
    ("withdrawal_refused", "state = 'refused' AND kind = 'withdraw'"),
    ("answer_refused", "state = 'refused' AND kind IN ('answer', 'answer_back')"),
)


def upgrade() -> None:
    op.add_column("publication", sa.Column("reason_code", sa.String(), nullable=False, server_default=""))
    op.add_column("operation", sa.Column("reason_code", sa.String(), nullable=False, server_default=""))
    op.add_column("lease", sa.Column("token", sa.BigInteger(), nullable=False, server_default="0"))
    for table, rows in (("publication", _OF_PUBLICATIONS), ("operation", _OF_OPERATIONS)):
        for code, condition in rows:
            op.execute(f"UPDATE {table} SET reason_code = '{code}' WHERE reason_code = '' AND ({condition})")
    # A person's no was a refused answer or a cancelled text; it is a state of its own.
    op.execute(
        "UPDATE operation SET state = 'rejected' WHERE reason_code = 'rejected' AND state IN ('refused', 'cancelled')"
    )
