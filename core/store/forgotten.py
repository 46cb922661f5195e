"""Who was forgotten, and what was erased with them: what a pull must know so that nothing of it comes back."""

import hashlib

from sqlalchemy import Connection, select

from ..identity import Key
from ..schema.analysis_tables import ErasedRecordRow, ForgottenRow
from ..schema.tables import table_of

FORGOTTEN, ERASED_RECORD = table_of(ForgottenRow), table_of(ErasedRecordRow)


def mark_of(pseudonym: str) -> str:
    """What stays of a person: a digest of the pseudonym, which is itself keyed, so that nobody can try numbers (32 hexadecimal digits)."""
    return hashlib.sha256(b"civicsync:forgotten:1\x00" + pseudonym.encode()).hexdigest()[:32]


def marks(connection: Connection, instance: str) -> frozenset[str]:
    """The marks of everybody who was forgotten on an instance."""
    query = select(FORGOTTEN.c.mark).where(FORGOTTEN.c.instance == instance)
    return frozenset(connection.execute(query).scalars())


def erased(connection: Connection, instance: str) -> frozenset[Key]:
    """The keys of what was erased on an instance."""
    return frozenset(
        connection.execute(select(ERASED_RECORD.c.key).where(ERASED_RECORD.c.instance == instance)).scalars()
    )
