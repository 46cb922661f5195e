"""A ledger that earlier versions wrote keeps its meaning: each of their sentences gets the code that decisions look at today."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from civicsync.core.clock import FakeClock
from civicsync.core.ledger.ledger import Ledger
from civicsync.core.ledger.states import OperationState, PublicationState, Reason
from civicsync.core.schema import database
from civicsync.core.schema.tables import ROWS
from civicsync.core.schema.views import NAMES

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SENTENCES = [
    ("sent", "the edit was refused: too short", Reason.EDIT_REFUSED),
    ("withdrawn", "back: its origin is there again; `review reopen` makes a new copy", Reason.ORIGIN_BACK),
    ("withdrawn", "its origin is gone (hidden); its text was replaced by a note, because: no", Reason.REPLACED_BY_NOTE),
    ("cancelled", "its origin is gone (not there any more)", Reason.ORIGIN_GONE),
    ("cancelled", "its origin was withdrawn", Reason.ORIGIN_WITHDRAWN),
    ("gone", "the copy is not there any more: a moderator may have removed it", Reason.COPY_GONE),
    ("conflict", "somebody changed the copy on its platform; the copy is left as it is", Reason.COPY_CHANGED),
    ("rejected", "rejected by Anna: dubbel", Reason.REJECTED),
    ("awaiting_approval", "tried 8 times: no answer; `review approve` tries again", Reason.TRIED_OFTEN),
    ("held", "it says that it is a copy of x/proposal/1, but our account did not write it", Reason.FOREIGN_MARKER),
    ("held", "it carries what looks like a marker of civicsync, and nobody knows why", Reason.DOUBTFUL_MARKER),
    ("held", "b/proposal/2 says that it is a copy of it: another civicsync may have made it", Reason.TWIN),
    ("held", "it is older than copies that were found again, and its own was not found", Reason.OLDER_THAN_FOUND),
    ("refused", "it has no text that a person wrote", Reason.NO_TEXT),
    ("refused", "it has no text in nl or en", Reason.NO_LANGUAGE),
    ("refused", "the route's template fails on it: TypeError", Reason.TEMPLATE_FAILS),
    ("refused", "its text is shorter than the 15 characters that are asked for there", Reason.TOO_SHORT),
    ("refused", "140 characters are not even enough for the link to the original", Reason.NO_ROOM),
    ("refused", "the component is closed", Reason.TARGET_CANNOT),
    ("unknown", "no answer within 60 s", Reason.ANSWER_LOST),
    ("stuck", "answered already", Reason.WITHDRAWAL_REFUSED),
    ("sent", "", Reason.NONE),
]


@pytest.fixture
def old(engine: Engine) -> Engine:
    """A database as it was before there were codes."""
    with engine.begin() as connection:
        for view in reversed(NAMES):
            connection.execute(text(f"DROP VIEW {view}"))
        newer = [("publication", "reason_code"), ("lease", "token")]
        newer += [("operation", column) for column in ("reason_code", "lookups", "accepted_at")]
        newer += [("operation", column) for column in ("last_sent_at", "there", "older")]
        newer += [("route", "resumed_at"), ("instance", "pseudonyms_of"), ("instance", "limited_to")]
        newer += [(table, "purged_at") for table in ("proposal", "comment", "answer")]
        for table, column in newer:
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        swept = [str(row_class.__tablename__) for row_class in ROWS.values()]
        for table in swept:
            for column in ("confirmed_at", "confirmed_by", "told_missing_at"):
                connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        for table in ("refused_credentials", "scope_confirmation"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    return engine


def _publication(own: int, state: str, reason: str) -> dict[str, Any]:
    return {"id": f"p-{own}", "origin": f"a/proposal/{own}", "state": state, "reason": reason, "now": NOW}


PUBLICATION = text(
    "INSERT INTO publication (id, route, origin_key, target_instance, target_space, state, reason, title, marker, created_at, "
    "changed_at) VALUES (:id, 'r', :origin, 'b', 'board/1', :state, :reason, '', '', :now, :now)"
)
OPERATION = text(
    "INSERT INTO operation (publication_id, route, target_instance, kind, lane, state, payload_hash, attempts, error, created_at, "
    "changed_at) VALUES (:id, 'r', 'b', :kind, 'text', :state, '', 1, :error, :now, :now)"
)


def test_every_old_sentence_gets_its_code(old: Engine, clock: FakeClock) -> None:
    with old.begin() as connection:
        connection.execute(PUBLICATION, [_publication(n, state, said) for n, (state, said, _) in enumerate(SENTENCES)])
    database.migrate(old)
    codes = {own.id: own.reason_code for own in Ledger(old, clock).publications()}
    assert codes == {f"p-{number}": code for number, (_, _, code) in enumerate(SENTENCES)}


def test_a_persons_no_becomes_a_state_of_its_own(old: Engine, clock: FakeClock) -> None:
    rows = [
        ("create", "cancelled", "rejected by Anna", OperationState.REJECTED, Reason.REJECTED),
        ("answer", "refused", "rejected by Anna: nee", OperationState.REJECTED, Reason.REJECTED),
        ("create", "refused", "no", OperationState.REFUSED, Reason.CREATE_REFUSED),
        ("edit", "superseded", "a newer edit came", OperationState.SUPERSEDED, Reason.SUPERSEDED),
        ("edit", "approved", "repeating it is harmless", OperationState.APPROVED, Reason.HARMLESS),
    ]
    with old.begin() as connection:
        connection.execute(PUBLICATION, _publication(1, "sent", ""))
        for kind, state, error, _, _ in rows:
            connection.execute(OPERATION, {"id": "p-1", "kind": kind, "state": state, "error": error, "now": NOW})
    database.migrate(old)
    ledger = Ledger(old, clock)
    found = [(op.state, op.reason_code) for op in ledger.operations(states=tuple(OperationState))]
    assert found == [(state, code) for *_, state, code in rows]
    assert ledger.publications()[0].state is PublicationState.SENT
