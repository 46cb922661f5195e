"""What is known of one proposal: where it is from, its texts, versions, tallies and answers. Read-only.

`explain` asks it each time, so it does without the models of all tables.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Boolean, Connection, Engine, text
from sqlalchemy.types import TypeEngine

from ..identity import Key
from ..schema.types import Json, UTCMoment

_DEEPEST = 10
"""Spaces above a proposal that are told at most; a platform's loop of parents ends here."""
TYPES: Mapping[str, TypeEngine[Any]] = {
    **dict.fromkeys(
        ("created_at", "published_at", "updated_at", "withdrawn_at", "changed_at", "first_seen_at", "purged_at"),
        UTCMoment(),
    ),
    **dict.fromkeys(("gone_at", "confirmed_at", "told_missing_at", "seen_from", "seen_until", "seen_at"), UTCMoment()),
    **dict.fromkeys(("answered_at", "sent_at", "not_before", "at"), UTCMoment()),
    **dict.fromkeys(("official", "selected", "machine"), Boolean()),
    "texts": Json,
}
"""Columns that the databases keep in different ways; a test compares with `core.schema.tables`."""
_BY_SCOPE = (
    "t.missing_runs = 0 AND f.confirmed_at IS NOT NULL AND (t.confirmed_at IS NULL OR f.confirmed_at > t.confirmed_at)"
)
_CONFIRMED = f"""
    SELECT CASE WHEN {_BY_SCOPE} THEN f.confirmed_at ELSE t.confirmed_at END AS confirmed_at,
    CASE WHEN {_BY_SCOPE} THEN f.confirmed_by ELSE t.confirmed_by END AS confirmed_by
    FROM proposal t LEFT JOIN scope_confirmation f ON f.instance = t.instance AND f.scope = t.scope WHERE t.key = :own"""
_OF_ANSWER = "kind, remote_id, state, native_state, plain, answered_at, gone_at"


def find_proposals(engine: Engine, wanted: str) -> list[Key]:
    """The keys of the proposals that somebody may mean: by key, address, number or reference."""
    fits = "key = :wanted OR url = :wanted OR remote_id = :wanted OR reference = :wanted"
    with engine.connect() as connection:
        return [row["key"] for row in read(connection, f"SELECT key FROM proposal WHERE {fits}", wanted=wanted)]


def history_of(engine: Engine, own: Key) -> dict[str, Any]:
    """Everything stored of a proposal, by part, as `explain --json` prints it; `confirmed_at` and `confirmed_by`: when and by what it was
    last confirmed, itself or with its scope."""
    with engine.connect() as connection:
        row = read(connection, "SELECT * FROM proposal WHERE key = :own", own=own)[0]
        row.pop("digest")
        here = "SELECT name, platform, url, version, dialect FROM instance WHERE name = :name"
        comments = "SELECT count(*) AS many FROM comment WHERE target_key = :own AND gone_at IS NULL"

        def parts(table: str, order: str, *, columns: str = "*", of: str = "proposal_key") -> list[dict[str, Any]]:
            return read(connection, f"SELECT {columns} FROM {table} WHERE {of} = :own ORDER BY {order}", own=own)

        return {
            "proposal": row,
            "instance": next(iter(read(connection, here, name=row["instance"])), None),
            "spaces": _path(connection, row["space_key"]),
            "texts": parts("proposal_text", "machine, locale"),
            "versions": parts("proposal_version", "version"),
            "tallies": parts("tally", "seen_at"),
            "answers": parts("answer", "answered_at", columns=_OF_ANSWER, of="target_key"),
            "comments_stored": read(connection, comments, own=own)[0]["many"],
            **read(connection, _CONFIRMED, own=own)[0],
        }


def read(connection: Connection, sql: str, **asked: Any) -> list[dict[str, Any]]:
    """Rows of a statement, with moments in UTC, truth values and JSON as everywhere."""
    return [dict(row) for row in connection.execute(text(sql).columns(**TYPES), asked).mappings()]


def _path(connection: Connection, own: Key | None) -> list[dict[str, Any]]:
    path: list[dict[str, Any]] = []
    while own is not None and len(path) < _DEEPEST:
        found = read(connection, "SELECT key, kind, name, parent_key FROM space WHERE key = :own", own=own)
        if not found:
            break
        path.insert(0, found[0])
        own = found[0]["parent_key"]
    return path
