"""Another key for the pseudonyms.

A pseudonym is made from the platform's number of a person, which is stored nowhere, so none can be turned into the one of another key.
Therefore all go, and the next pulls, which read everything anew, make them with the new key. Who is not there any more by then stays
without one: what the old key protected is then unlinkable for good.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, func, or_, select, update

from . import audit
from .clock import Clock
from .fingerprints import KEY_PRINT, MARKER_PRINT, ROTATED_PRINT
from .forgetting import compact, working_alone
from .privacy import check_chosen_key, fingerprint_of
from .schema.analysis_tables import ForgottenRow
from .schema.ledger_tables import PublicationRow, ServiceAccountRow
from .schema.tables import (
    AuthorRow,
    CheckpointRow,
    CommentRow,
    InstanceRow,
    MemoryRow,
    ProposalRow,
    QuarantineRow,
    SchemaInfoRow,
    SweepPageRow,
    table_of,
)
from .store.bulk import upsert

_INFO, _QUARANTINE, _INSTANCE = table_of(SchemaInfoRow), table_of(QuarantineRow), table_of(InstanceRow)
_AUTHORED = (table_of(ProposalRow), table_of(CommentRow))
_AUTHOR, _ACCOUNT, _FORGOTTEN = table_of(AuthorRow), table_of(ServiceAccountRow), table_of(ForgottenRow)
_PUBLICATION = table_of(PublicationRow)


class RekeyingError(Exception):
    """The key cannot be changed; the text says why."""


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """What a change of key means. `forgotten`: people whose later texts would come back, unless they are forgotten again."""

    before: str
    after: str
    pseudonyms: int
    records: int
    copies: int
    forgotten: int


def rotate(engine: Engine, clock: Clock, old: str, new: str, marker: str, *, dry_run: bool = False) -> Rekeyed:
    """Let go of every pseudonym, remember the new key's fingerprint, and have everything read anew; in one transaction.

    `marker`: the key that copies are marked with, which stays.

    Raises:
        MissingKeyError: the new key protects nobody.
        RekeyingError: it is the old one.
        ForgettingError: a process is at work.
    """
    check_chosen_key(new)
    if fingerprint_of(old) == fingerprint_of(new):
        raise RekeyingError("that is the key of now")
    with engine.connect() as connection:
        names = list(connection.execute(select(_INSTANCE.c.name)).scalars())
    with working_alone(engine, names, dry_run=dry_run):
        with engine.connect() as connection:
            told = _count(connection, fingerprint_of(old), fingerprint_of(new))
        if dry_run:
            return told
        with engine.begin() as connection:
            _let_go(connection)
            prints = {KEY_PRINT: fingerprint_of(new), ROTATED_PRINT: fingerprint_of(old)}
            if told.copies:
                prints[MARKER_PRINT] = fingerprint_of(marker)
            upsert(connection, _INFO, [{"name": name, "value": value} for name, value in prints.items()])
            result = f"{told.before[:8]} to {told.after[:8]}, {told.pseudonyms} pseudonyms, {told.records} records"
            audit.append(connection, clock.now(), action="key rotate", object="privacy.key", result=result)
        compact(engine)
    return told


def _count(connection: Connection, before: str, after: str) -> Rekeyed:
    def count(table: Table, *where: Any) -> int:
        return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())

    people = int(
        connection.execute(
            select(func.count()).select_from(
                select(_AUTHORED[0].c.instance, _AUTHORED[0].c.author)
                .where(_AUTHORED[0].c.author.is_not(None))
                .union(select(_AUTHORED[1].c.instance, _AUTHORED[1].c.author).where(_AUTHORED[1].c.author.is_not(None)))
                .subquery()
            )
        ).scalar_one()
    )
    records = sum(count(table, table.c.author.is_not(None)) for table in _AUTHORED)
    copies = count(_PUBLICATION, _PUBLICATION.c.copy_key.is_not(None))
    return Rekeyed(before, after, people, records, copies, count(_FORGOTTEN))


def _let_go(connection: Connection) -> None:
    for table in _AUTHORED:
        known = or_(table.c.author.is_not(None), table.c.digest.is_not(None), table.c.token.is_not(None))
        connection.execute(update(table).where(known).values(author=None, digest=None, token=None))
    # What was kept of questions that need not be asked again, and of sweeps that were broken off, belongs to what is let go.
    for row_class in (AuthorRow, ServiceAccountRow, MemoryRow, CheckpointRow, SweepPageRow):
        connection.execute(delete(table_of(row_class)))
    connection.execute(update(_INSTANCE).values(last_full_at=None))
    for own, raw in connection.execute(select(_QUARANTINE.c.id, _QUARANTINE.c.raw)).all():
        if isinstance(raw, dict) and "author" in raw:
            connection.execute(update(_QUARANTINE).where(_QUARANTINE.c.id == own).values(raw={**raw, "author": None}))
