"""Retention: what people typed goes when its time is over; the key, when and why stay.

Erasure is whole: texts, earlier versions, attachments, what waits in quarantine, and the names of people of whom nothing else is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, or_, select, union, update

from ..leases import Lease, writing
from ..schema.database import file_of
from ..schema.tables import (
    AnswerRow,
    AttachmentRow,
    AuthorRow,
    CommentRow,
    ProposalAreaRow,
    ProposalCategoryRow,
    ProposalRow,
    ProposalTextRow,
    ProposalVersionRow,
    QuarantineRow,
    table_of,
)
from .bulk import chunks

_PROPOSAL, _COMMENT, _ANSWER = table_of(ProposalRow), table_of(CommentRow), table_of(AnswerRow)
_AUTHOR, _QUARANTINE, _VERSION = table_of(AuthorRow), table_of(QuarantineRow), table_of(ProposalVersionRow)
# An address holds words of the title on some platforms.
_BLANK: tuple[tuple[Table, dict[str, Any]], ...] = (
    (
        _PROPOSAL,
        {
            "title": "",
            "author": None,
            "address": None,
            "latitude": None,
            "longitude": None,
            "video_url": None,
            "url": None,
        },
    ),
    (_COMMENT, {"html": "", "plain": "", "author": None}),
    (_ANSWER, {"plain": "", "texts": None}),
)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long what people typed is kept. `versions`: of earlier versions; None: as long as their proposal. `names`: whether any are."""

    gone: timedelta
    versions: timedelta | None = None
    names: bool = True


def purge(
    engine: Engine, instance: str, now: datetime, after: timedelta | Keeping, *, lease: Lease | None = None
) -> int:
    """Remove what people typed from tombstones that are older than the configuration keeps it. Returns of how many.

    What came back and went again is purged again: `purged_at` counts only while it is later than `gone_at`.

    Raises:
        LeaseLost: another process has taken over, which does it.
    """
    keeping = after if isinstance(after, Keeping) else Keeping(after)
    limit = now - keeping.gone
    with writing(engine, lease) as connection:
        purged = sum(_blank(connection, instance, table, values, limit, now) for table, values in _BLANK)
        changed = purged + _quarantine(connection, instance, limit)
        if keeping.versions is not None:
            old = _VERSION.c.seen_until <= now - keeping.versions
            mine = _VERSION.c.proposal_key.startswith(f"{instance}/", autoescape=True)
            changed += connection.execute(delete(_VERSION).where(mine, old)).rowcount
        changed += _authors(connection, instance, keeping.names)
    if changed > 0:
        overwrite(engine)
    return purged


def overwrite(engine: Engine) -> None:
    """SQLite: what was deleted leaves the journal beside the database as well, where it would stay until that is written over."""
    if file_of(engine) is None:
        return
    with engine.connect() as connection:
        # Whoever is reading meanwhile keeps it for now; the next purge or the last process that closes the database does it.
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _blank(
    connection: Connection, instance: str, table: Table, values: dict[str, Any], limit: datetime, now: datetime
) -> int:
    due = (
        table.c.instance == instance,
        table.c.gone_at < limit,
        or_(table.c.purged_at.is_(None), table.c.purged_at <= table.c.gone_at),
    )
    keys = list(connection.execute(select(table.c.key).where(*due)).scalars())
    for part in chunks(keys):
        if table is _PROPOSAL:
            _parts(connection, part)
        connection.execute(update(table).where(table.c.key.in_(part)).values(purged_at=now, **values))
        refs = [own.removeprefix(f"{instance}/") for own in part]
        connection.execute(delete(_QUARANTINE).where(_QUARANTINE.c.instance == instance, _QUARANTINE.c.ref.in_(refs)))
    return len(keys)


def _parts(connection: Connection, keys: Sequence[str]) -> None:
    for row_class in (ProposalTextRow, ProposalVersionRow, ProposalCategoryRow, ProposalAreaRow):
        table = table_of(row_class)
        connection.execute(delete(table).where(table.c.proposal_key.in_(keys)))
    attachment = table_of(AttachmentRow)
    connection.execute(delete(attachment).where(attachment.c.owner_key.in_(keys)))


def _quarantine(connection: Connection, instance: str, limit: datetime) -> int:
    """What could not be understood and was not shown again since."""
    where = (_QUARANTINE.c.instance == instance, _QUARANTINE.c.last_seen_at < limit)
    return max(0, connection.execute(delete(_QUARANTINE).where(*where)).rowcount)


def _authors(connection: Connection, instance: str, names: bool) -> int:
    """People of whom nothing is left; and every name, where the configuration no longer allows any."""
    mine = _AUTHOR.c.instance == instance
    if connection.execute(select(_AUTHOR.c.pseudonym).where(mine).limit(1)).first() is None:
        return 0
    used = union(
        *(
            select(table.c.author).where(table.c.instance == instance, table.c.author.is_not(None))
            for table in (_PROPOSAL, _COMMENT)
        )
    )
    gone = connection.execute(delete(_AUTHOR).where(mine, _AUTHOR.c.pseudonym.not_in(used))).rowcount
    if not names:
        gone += connection.execute(update(_AUTHOR).where(mine, _AUTHOR.c.name.is_not(None)).values(name=None)).rowcount
    return max(0, gone)
