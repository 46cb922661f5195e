"""Retention: what people typed goes when its time is over; the key, when and why stay."""

from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, select, update

from ..schema.tables import (
    AnswerRow,
    AttachmentRow,
    CommentRow,
    ProposalAreaRow,
    ProposalCategoryRow,
    ProposalRow,
    ProposalTextRow,
    ProposalVersionRow,
    table_of,
)
from .bulk import chunks


def purge(engine: Engine, instance: str, now: datetime, after: timedelta) -> int:
    """Remove what people typed from tombstones older than `after`; the key, when and why stay. Returns how many."""
    proposal, comment = table_of(ProposalRow), table_of(CommentRow)
    limit = now - after
    purged = 0
    with engine.begin() as connection:
        where = (proposal.c.instance == instance, proposal.c.gone_at < limit, proposal.c.title != "")
        keys = list(connection.execute(select(proposal.c.key).where(*where)).scalars())
        parts = (ProposalTextRow, ProposalVersionRow, ProposalCategoryRow, ProposalAreaRow)
        blank = {"title": "", "author": None, "address": None, "latitude": None, "longitude": None, "video_url": None}
        for part in chunks(keys):
            for row_class in parts:
                table = table_of(row_class)
                connection.execute(delete(table).where(table.c.proposal_key.in_(part)))
            attachment = table_of(AttachmentRow)
            connection.execute(delete(attachment).where(attachment.c.owner_key.in_(part)))
            connection.execute(update(proposal).where(proposal.c.key.in_(part)).values(**blank))
        purged += len(keys)
        result = connection.execute(
            update(comment)
            .where(comment.c.instance == instance, comment.c.gone_at < limit, comment.c.plain != "")
            .values(html="", plain="", author=None)
        )
        answer = table_of(AnswerRow)
        connection.execute(
            update(answer)
            .where(answer.c.instance == instance, answer.c.gone_at < limit, answer.c.plain != "")
            .values(plain="", texts=None)
        )
        purged += max(0, result.rowcount)
    return purged
