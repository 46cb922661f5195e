"""Fingerprints of keys: the database knows which key its pseudonyms were made with, and refuses another one."""

from sqlalchemy import Engine, String, column, delete, select, table
from sqlalchemy.exc import DBAPIError

from .privacy import fingerprint_of

# As `core.schema.tables` has them; every verb looks here, and most need no other table.
_INFO = table("schema_info", column("name", String), column("value", String))
_PROPOSAL = table("proposal", column("key", String))
KEY_PRINT, ROTATED_PRINT, MARKER_PRINT = "privacy_key", "privacy_key_before", "marker_key"
"""Fingerprints in `schema_info`: of the key, of the one before it, of the one that copies are marked with where that is another."""


class OtherKey(Exception):
    """The key of the configuration is not the one that the pseudonyms in this database were made with."""


def check_fingerprint(engine: Engine, secret: str, signing: str | None = None) -> None:
    """Remember the key at its first use; refuse another one: the same person would become two, and nobody would know.

    `signing`: the key of markers, where it is another one; after a rotation it must be the one that copies were marked with.

    Raises:
        OtherKey: with the way out.
    """
    own = fingerprint_of(secret)
    query = select(_INFO.c.value).where(_INFO.c.name == KEY_PRINT)
    with engine.connect() as connection:
        before = connection.execute(query).scalar()
        used = connection.execute(select(_PROPOSAL.c.key).limit(1)).first() is not None
        others = select(_INFO.c.name, _INFO.c.value).where(_INFO.c.name.in_((MARKER_PRINT, ROTATED_PRINT)))
        prints = {str(name): str(value) for name, value in connection.execute(others)}
    if before is not None and used and before != own and prints.get(ROTATED_PRINT) == own:
        raise OtherKey(
            f"privacy.key is the one from before `civicsync key rotate` (fingerprint {own[:8]}); write the new one there ({before[:8]})"
        )
    if prints.get(MARKER_PRINT, "") not in {"", fingerprint_of(signing or secret)}:
        raise OtherKey(
            f"the copies in this database were marked with another key (fingerprint {prints[MARKER_PRINT][:8]}); write that one in "
            "privacy.marker_key: without it nobody knows which copies are ours"
        )
    if before == own:
        return
    if before is not None and used:
        raise OtherKey(
            f"privacy.key is another one (fingerprint {own[:8]}) than the pseudonyms in this database were made with "
            f"({before[:8]}); put the right key back, and change it by `civicsync key rotate`: with another key nobody is recognised"
        )
    try:
        with engine.begin() as connection:
            connection.execute(delete(_INFO).where(_INFO.c.name == KEY_PRINT))
            connection.execute(_INFO.insert(), {"name": KEY_PRINT, "value": own})
    except DBAPIError:
        return  # somebody else was quicker, or it can only be read: the next one who can write remembers it
