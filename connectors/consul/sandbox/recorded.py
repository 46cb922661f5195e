"""The recorded cities: the state of real installations, rebuilt row by row from what their interface showed.

What the interface never shows (exact times, private authors) is filled with something that answers alike.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from .model import Database, Row

FOLDER = Path(__file__).parent / "recorded"
_PRIVATE, _HIDDEN_USER = 22, 25
_KINDS = {
    "proposals": "proposal",
    "debates": "debate",
    "comments": "comment",
    "users": "user",
    "tags": "tag",
    "geozones": "geozone",
    "notifications": "notification",
    "budgets": "budget",
    "milestones": "milestone",
    "votes": "vote",
    "investments": "investment",
}
_TEXTS = ("title", "summary", "description", "body")
_COLUMNS = {
    "videoUrl": "video_url",
    "cachedVotesUp": "cached_votes_up",
    "cachedVotesDown": "cached_votes_down",
    "commentsCount": "comments_count",
    "retiredReason": "retired_reason",
    "retiredExplanation": "retired_explanation",
    "geozoneId": "geozone_id",
    "commentableId": "commentable_id",
    "commentableType": "commentable_type",
    "ancestry": "ancestry",
    "location": "location",
    "feasibility": "feasibility",
    "phase": "phase",
    "username": "username",
    "kind": "kind",
    "votableId": "votable_id",
    "votableType": "votable_type",
    "voteFlag": "vote_flag",
    "proposalId": "proposal_id",
    "publicationDate": "publication_date",
    "hotScore": "hot_score",
    "price": "price",
    "taggingsCount": "taggings_count",
}
_VOTABLE = {"Proposal": "proposal", "Debate": "debate", "Comment": "comment", "Budget::Investment": "investment"}


def versions() -> tuple[str, ...]:
    """The releases of which a city was recorded."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.json")))


def fill(database: Database, version: str, locale: str) -> None:
    """Put a recorded city into an empty database.

    Raises:
        ValueError: none was recorded of this release.
    """
    file = FOLDER / f"{version}.json"
    if not file.exists():
        raise ValueError(f"no city was recorded of {version}; there are {', '.join(versions())}")
    state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    for table, rows in state["tables"].items():
        for node in rows:
            database.tables[table].add(row_of(_KINDS[table], node, locale))
    _people(database)
    for table, rows in state["hidden"].items():
        for node in rows:
            row = row_of(_KINDS[table], node, locale)
            row.hidden, row.author = True, int(node["author"])
            database.tables[table].add(row)
    _singles(database, state["singles"], locale)
    for row in database.tables["comments"].rows:
        kind = {"Proposal": "proposal", "Debate": "debate", "Budget::Investment": "investment"}.get(
            row["commentable_type"]
        )
        if kind:
            database.children.setdefault((kind, row["commentable_id"]), []).append(row)
    for part, links in (("tags", database.taggings), ("milestones", database.milestones_of)):
        for own, ids in state[part].items():
            links["proposal", int(own)] = [database.tables[part].by_id[int(each)] for each in ids]
    _owners_of_milestones(database)


def row_of(kind: str, node: dict[str, Any], locale: str) -> Row:
    """A row as the interface showed it."""
    texts = {name: node.get(name) for name in _TEXTS if name in node}
    if kind == "budget":
        texts = {"name": node.get("name")}
    values = {column: node[field] for field, column in _COLUMNS.items() if field in node}
    values["name"] = node.get("name")
    created = _moment(node.get("publicCreatedAt")) or datetime.fromisoformat("2026-11-20T10:00:00+01:00")
    values["retired_at"] = _moment(node.get("retiredAt"))
    values["published_at"] = created
    values["published"] = kind == "budget"
    if kind == "investment":
        values["budget_id"] = 1
    if kind == "vote":
        values["votable"] = _VOTABLE.get(node.get("votableType") or "")
    author = node.get("publicAuthor")
    owner = (
        int(author["id"]) if author else (_PRIVATE if kind in {"proposal", "debate", "comment", "investment"} else None)
    )
    return Row(int(node["id"]), kind, {locale: texts} if texts else {}, owner, created, values)


def _moment(value: str | None) -> datetime | None:
    if not value:
        return None
    text = value.replace(" UTC", "+00:00").replace(" ", "T", 1).replace(" ", "")
    return datetime.fromisoformat(text)


def _people(database: Database) -> None:
    for row in database.tables["users"].rows:
        row.values["public_activity"] = row.id != _PRIVATE


def _singles(database: Database, singles: dict[str, Any], locale: str) -> None:
    """Rows that the collections leave out and single look-ups of dialect B show."""
    for kind in ("comment", "vote"):
        for node in singles.get(kind, []):
            if int(node["id"]) in database.tables[f"{kind}s"].by_id:
                continue
            row = row_of(kind, node, locale)
            row.values["valuation"] = "valoración" in str(node.get("body"))
            database.tables[f"{kind}s"].add(row)


def _owners_of_milestones(database: Database) -> None:
    owned = {row.id for rows in database.milestones_of.values() for row in rows}
    for row in database.tables["milestones"].rows:
        row.values["target_type"] = "proposal" if row.id in owned else "investment"
        first = next(iter(database.tables["investments"].rows), None)
        row.values["target_id"] = 130 if row.id in owned else (first.id if first else None)
