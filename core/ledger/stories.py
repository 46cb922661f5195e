"""The story of a publication, as `explain` tells it: what it is, what happened to it, what is still to be written. Read-only, and without
the models of all tables.
"""

from typing import Any

from sqlalchemy import Engine

from ..identity import Key
from ..store.history import read
from .states import OPEN

_WHAT = "id, route, origin_key AS origin, state, reason, copy_key AS copy, url, title, sent_at, target_instance, target_space"
_OPEN = ", ".join(f"'{state.value}'" for state in OPEN)


def publication_story(engine: Engine, own: str) -> dict[str, Any] | None:
    """One publication, by its id."""
    return next(iter(_stories(engine, "id = :own", own)), None)


def stories_of(engine: Engine, proposal: Key) -> list[dict[str, Any]]:
    """The publications of which a proposal is the origin or the copy, oldest first."""
    return _stories(engine, "origin_key = :own OR copy_key = :own", proposal)


def _stories(engine: Engine, which: str, own: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        found = read(connection, f"SELECT {_WHAT} FROM publication WHERE {which} ORDER BY created_at, id", own=own)
        for story in found:
            story["target"] = f"{story.pop('target_instance')}/{story.pop('target_space')}"
            story["events"] = read(
                connection,
                "SELECT at, what, detail FROM publication_event WHERE publication_id = :own ORDER BY id",
                own=story["id"],
            )
            story["waiting"] = read(
                connection,
                "SELECT kind AS action, state, attempts, error, not_before FROM operation "
                f"WHERE publication_id = :own AND state IN ({_OPEN}) ORDER BY id",
                own=story["id"],
            )
        return found
