"""Retention: what people typed goes when its time is over; the key, when and why stay.

Erasure is whole: texts, earlier versions, attachments, what waits in quarantine, and the names of people of whom nothing else is left.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Select, Table, bindparam, delete, func, null, or_, select, union, update

from ..leases import Lease, writing
from ..masking import Masker
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
    RunRow,
    VoteRow,
    table_of,
)
from .bulk import chunks

_PROPOSAL, _COMMENT, _ANSWER = table_of(ProposalRow), table_of(CommentRow), table_of(AnswerRow)
_AUTHOR, _QUARANTINE, _VERSION = table_of(AuthorRow), table_of(QuarantineRow), table_of(ProposalVersionRow)
_TEXT, _VOTE, _RUN = table_of(ProposalTextRow), table_of(VoteRow), table_of(RunRow)
_AT_ONCE = 2000
# An address holds words of the title on some platforms.
BLANK_PROPOSAL: dict[str, Any] = {
    "title": "",
    "author": None,
    "address": None,
    "latitude": None,
    "longitude": None,
    "video_url": None,
    "url": None,
}
BLANK_COMMENT: dict[str, Any] = {"html": "", "plain": "", "author": None}
_BLANK: tuple[tuple[Table, dict[str, Any]], ...] = (
    (_PROPOSAL, BLANK_PROPOSAL),
    (_COMMENT, BLANK_COMMENT),
    (_ANSWER, {"plain": "", "texts": None}),
)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long what people typed is kept: `gone`, of what is gone from its platform; the others also of what is still there.

    None: as long as what it belongs to. `versions`: of earlier versions; `names`: whether any are; `quarantine`: from when it was first
    seen.
    """

    gone: timedelta
    versions: timedelta | None = None
    names: bool = True
    comments: timedelta | None = None
    votes: timedelta | None = None
    quarantine: timedelta | None = None
    runs: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows of each class a purge emptied or removed."""

    gone: int = 0
    quarantine: int = 0
    versions: int = 0
    comments: int = 0
    votes: int = 0
    runs: int = 0
    authors: int = 0

    @property
    def told(self) -> str:
        """What went, in words; nothing where nothing did."""
        return ", ".join(f"{count} {what}" for what, count in asdict(self).items() if count)


def purge(
    engine: Engine, instance: str, now: datetime, after: timedelta | Keeping, *, lease: Lease | None = None
) -> int:
    """Remove what people typed from tombstones that are older than the configuration keeps it. Returns of how many.

    What came back and went again is purged again: `purged_at` counts only while it is later than `gone_at`.

    Raises:
        LeaseLost: another process has taken over, which does it.
    """
    return purge_classes(
        engine, instance, now, after if isinstance(after, Keeping) else Keeping(after), lease=lease
    ).gone


def purge_classes(
    engine: Engine, instance: str, now: datetime, keeping: Keeping, *, lease: Lease | None = None, dry_run: bool = False
) -> Purged:
    """Remove of every class what is older than it is kept. `dry_run`: the same, taken back: exactly what would be done.

    Raises:
        LeaseLost: another process has taken over, which does it.
    """
    if dry_run:
        with engine.connect() as connection:
            found = _classes(connection, instance, now, keeping)
            connection.rollback()
        return found
    with writing(engine, lease) as connection:
        found = _classes(connection, instance, now, keeping)
    if any(count for name, count in asdict(found).items() if name != "runs"):
        overwrite(engine)
    return found


def _classes(connection: Connection, instance: str, now: datetime, keeping: Keeping) -> Purged:
    limit = now - keeping.gone
    gone = sum(_blank(connection, instance, table, values, limit, now) for table, values in _BLANK)
    quarantine = _quarantine(connection, instance, limit)
    versions = comments = votes = runs = 0
    if keeping.versions is not None:
        old = _VERSION.c.seen_until <= now - keeping.versions
        mine = _VERSION.c.proposal_key.startswith(f"{instance}/", autoescape=True)
        versions = connection.execute(delete(_VERSION).where(mine, old)).rowcount
    if keeping.comments is not None:
        comments = _comments(connection, instance, now - keeping.comments, now)
    if keeping.votes is not None:
        cast_at = func.coalesce(_VOTE.c.cast_at, _VOTE.c.first_seen_at)
        votes = connection.execute(
            delete(_VOTE).where(_VOTE.c.instance == instance, cast_at < now - keeping.votes)
        ).rowcount
    if keeping.quarantine is not None:
        kept = _QUARANTINE.c.first_seen_at < now - keeping.quarantine
        mine = _QUARANTINE.c.instance == instance
        emptied = update(_QUARANTINE).where(mine, kept, _QUARANTINE.c.raw.is_not(null())).values(raw=None)
        quarantine += connection.execute(emptied).rowcount
    if keeping.runs is not None:
        runs = _runs(connection, instance, now - keeping.runs)
    return Purged(gone, quarantine, versions, comments, votes, runs, _authors(connection, instance, keeping.names))


def _comments(connection: Connection, instance: str, limit: datetime, now: datetime) -> int:
    """What was said long ago. The row stays, with its time and counters."""
    said_at = func.coalesce(_COMMENT.c.created_at, _COMMENT.c.first_seen_at)
    says = or_(_COMMENT.c.plain != "", _COMMENT.c.html != "", _COMMENT.c.author.is_not(None))
    due = (_COMMENT.c.instance == instance, said_at < limit, says)
    return connection.execute(
        update(_COMMENT).where(*due).values(html="", plain="", author=None, purged_at=now)
    ).rowcount


def _runs(connection: Connection, instance: str, limit: datetime) -> int:
    """The newest run, and the newest whole one, are needed by the next."""
    mine = _RUN.c.instance == instance
    whole = select(func.max(_RUN.c.id)).where(mine, _RUN.c.full.is_(True), _RUN.c.outcome == "done").scalar_subquery()
    newest = select(func.max(_RUN.c.id)).where(mine).scalar_subquery()
    due = (mine, _RUN.c.started_at < limit, _RUN.c.id != newest, _RUN.c.id != func.coalesce(whole, -1))
    return connection.execute(delete(_RUN).where(*due)).rowcount


def mask_stored(engine: Engine, instance: str, masker: Masker, *, dry_run: bool = False) -> int:
    """Mask what was stored before masking was wanted: proposals, their texts and earlier versions, comments. Returns how many rows."""
    changed = 0
    for table, columns in (
        (_TEXT, ("title", "html", "plain")),
        (_PROPOSAL, ("title",)),
        (_COMMENT, ("html", "plain")),
        (_VERSION, ("texts",)),
    ):
        keys = list(table.primary_key.columns)
        place = keys[0]
        last = ""
        while True:
            query = (
                select(*keys, *(table.c[name] for name in columns))
                .where(place.startswith(f"{instance}/", autoescape=True), place > last)
                .order_by(place)
                .limit(_AT_ONCE)
            )
            with engine.connect() as connection:
                rows = connection.execute(query).mappings().all()
            if not rows:
                break
            whole = (
                rows
                if len(rows) < _AT_ONCE
                else [row for row in rows if row[place.name] != rows[-1][place.name]] or rows
            )
            with engine.begin() as connection:
                for row in whole:
                    changed += _mask_row(connection, table, row, columns, masker, dry_run=dry_run)
            last = whole[-1][place.name]
    if changed and not dry_run:
        overwrite(engine)
    return changed


def _mask_row(
    connection: Connection, table: Table, row: Any, columns: Sequence[str], masker: Masker, *, dry_run: bool
) -> int:
    values = {name: masker.value(row[name]) for name in columns if name != "html"}
    if "html" in columns:
        values["html"], values["plain"] = masker.both(row["html"], row["plain"])
    if all(values[name] == row[name] for name in columns):
        return 0
    if not dry_run:
        mine = [column == row[column.name] for column in table.primary_key.columns]
        connection.execute(update(table).where(*mine).values(**values))
    return 1


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
    keys = list(connection.execute(_due(table), {"of": instance, "limit": limit}).scalars())
    for part in chunks(keys):
        if table is _PROPOSAL:
            _parts(connection, part)
        connection.execute(update(table).where(table.c.key.in_(part)).values(purged_at=now, **values))
        refs = [own.removeprefix(f"{instance}/") for own in part]
        connection.execute(delete(_QUARANTINE).where(_QUARANTINE.c.instance == instance, _QUARANTINE.c.ref.in_(refs)))
    return len(keys)


@cache
def _due(table: Table) -> Select[str]:
    blanked = or_(table.c.purged_at.is_(None), table.c.purged_at <= table.c.gone_at)
    return select(table.c.key).where(table.c.instance == bindparam("of"), table.c.gone_at < bindparam("limit"), blanked)


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


_FORGETTING_AUTHORS = delete(_AUTHOR).where(
    _AUTHOR.c.instance == bindparam("of"),
    _AUTHOR.c.pseudonym.not_in(
        union(
            *(
                select(table.c.author).where(table.c.instance == bindparam("of"), table.c.author.is_not(None))
                for table in (_PROPOSAL, _COMMENT)
            )
        )
    ),
)


def _authors(connection: Connection, instance: str, names: bool) -> int:
    """People of whom nothing is left; and every name, where the configuration no longer allows any."""
    mine = _AUTHOR.c.instance == instance
    if connection.execute(select(_AUTHOR.c.pseudonym).where(mine).limit(1)).first() is None:
        return 0
    gone = connection.execute(_FORGETTING_AUTHORS, {"of": instance}).rowcount
    if not names:
        gone += connection.execute(update(_AUTHOR).where(mine, _AUTHOR.c.name.is_not(None)).values(name=None)).rowcount
    return max(0, gone)
