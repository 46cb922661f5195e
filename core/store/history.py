"""What is known of one proposal: where it is from, its texts, versions, tallies and answers. Read-only."""

from typing import Any

from sqlalchemy import Connection, Engine, func, or_, select

from ..identity import Key
from ..schema.tables import (
    AnswerRow,
    CommentRow,
    InstanceRow,
    ProposalRow,
    ProposalTextRow,
    ProposalVersionRow,
    SpaceRow,
    TallyRow,
    table_of,
)

_DEEPEST = 10
"""Spaces above a proposal that are told at most; a platform's loop of parents ends here."""


def find_proposals(engine: Engine, wanted: str) -> list[Key]:
    """The keys of the proposals that somebody may mean: by key, address, number or reference."""
    proposal = table_of(ProposalRow)
    columns = (proposal.c.key, proposal.c.url, proposal.c.remote_id, proposal.c.reference)
    query = select(proposal.c.key).where(or_(*(column == wanted for column in columns)))
    with engine.connect() as connection:
        return [str(own) for own in connection.execute(query).scalars()]


def history_of(engine: Engine, own: Key) -> dict[str, Any]:
    """Everything stored of a proposal, by part, as `explain --json` prints it."""
    proposal, text, version, tally = (table_of(t) for t in (ProposalRow, ProposalTextRow, ProposalVersionRow, TallyRow))
    instance, answer, comment = (table_of(t) for t in (InstanceRow, AnswerRow, CommentRow))
    of_instance = [instance.c[name] for name in ("name", "platform", "url", "version", "dialect")]
    of_answer = [
        answer.c[name] for name in ("kind", "remote_id", "state", "native_state", "plain", "answered_at", "gone_at")
    ]
    with engine.connect() as connection:
        row = _rows(connection, select(proposal).where(proposal.c.key == own))[0]
        row.pop("digest")
        comments = select(func.count()).where(comment.c.target_key == own, comment.c.gone_at.is_(None))
        here = _rows(connection, select(*of_instance).where(instance.c.name == row["instance"]))
        return {
            "proposal": row,
            "instance": next(iter(here), None),
            "spaces": _path(connection, row["space_key"]),
            "texts": _rows(
                connection, select(text).where(text.c.proposal_key == own).order_by(text.c.machine, text.c.locale)
            ),
            "versions": _rows(
                connection, select(version).where(version.c.proposal_key == own).order_by(version.c.version)
            ),
            "tallies": _rows(connection, select(tally).where(tally.c.proposal_key == own).order_by(tally.c.seen_at)),
            "answers": _rows(
                connection, select(*of_answer).where(answer.c.target_key == own).order_by(answer.c.answered_at)
            ),
            "comments_stored": connection.execute(comments).scalar_one(),
        }


def _rows(connection: Connection, query: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _path(connection: Connection, own: Key | None) -> list[dict[str, Any]]:
    space = table_of(SpaceRow)
    columns = (space.c.key, space.c.kind, space.c.name, space.c.parent_key)
    path: list[dict[str, Any]] = []
    while own is not None and len(path) < _DEEPEST:
        found = _rows(connection, select(*columns).where(space.c.key == own))
        if not found:
            break
        path.insert(0, found[0])
        own = found[0]["parent_key"]
    return path
