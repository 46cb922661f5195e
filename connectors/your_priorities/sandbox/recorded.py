"""The instance that the recordings were made on, as rows: what its own answers showed of it.

`recorded.json` was taken from the recorded answers; rows that only show as refusals (deleted, blocked, closed) are stubs. The recordings
span a quarter of an hour in which people wrote on, hence `at`.
"""

import json
from importlib.resources import files
from typing import Any

from . import populate
from .model import Database, Row

SET_UP = "2026-11-23T07:50:00.000Z"
"""Recording 020 names the domain and configures it."""
MOVED_TO, MOVED_AT = {29: 4}, "2026-11-23T08:00:00.000Z"
"""Recording 440 moves a post."""
RATED_AT = "2026-11-23T07:58:30.000Z"
"""Recording 430 rates post 16."""
CONFIGURED_AT = {"externalId": "2026-11-23T07:57:00.000Z", "enableFraudDetection": "2026-11-23T08:02:00.000Z"}
"""Recordings 329 and 406b configure community 1."""
ADMIN = 1
_ACTIVITY = {"post_id": None, "point_id": None, "post_status_change_id": None, "user_id": None}


def fill(database: Database, at: str | None = None) -> None:
    """Put the recorded rows into an empty database, without what came after `at`."""
    text = files("civicsync.connectors.your_priorities.sandbox").joinpath("recorded.json").read_text(encoding="utf-8")
    data: dict[str, list[Row]] = json.loads(text)
    for row in data["users"]:
        own = row.pop("id")
        name = row.pop("name")
        database.add("users", populate.user(own, name, f"user{own}@example.is", **row))
    for kind in ("domains", "communities", "groups", "categories"):
        for row in data[kind]:
            if at is not None and row.get("created_at", "") > at:
                continue
            database.add(kind, _space(kind, row, at))
    for row in data["posts"]:
        if at is None or row["created_at"] <= at:
            database.add("posts", _post(row, at))
    for row in data["points"]:
        if row["post_id"] in database.posts and (at is None or row["created_at"] <= at):
            database.add("points", _point(row, database.posts[row["post_id"]]))
    about = {row.get("post_status_change_id"): row["post_id"] for row in data["activities"]}
    for row in data["changes"]:
        database.add("changes", {**row, "post_id": about[row["id"]]})
    for row in data["activities"]:
        if at is None or row["created_at"] <= at:
            database.add("activities", {**_ACTIVITY, **row})
    database.members.add(("domains_admins", 2, ADMIN))
    for kind in ("communities", "groups"):
        database.members.update((f"{kind}_admins", own, ADMIN) for own in database.tables[kind])


def _space(kind: str, row: Row, at: str | None) -> Row:
    made: str = row.get("created_at", "2026-11-23T07:50:00.000Z")
    settings: Row | None = row.pop("settings", None)
    own, name = row.pop("id"), row.pop("name")
    if kind == "domains":
        bare = settings is None or (at is not None and at < SET_UP)
        configuration = {} if bare else populate.configuration("domain", **(settings or {}))
        found = {**populate.domain(own, name, row["domain_name"], made), **row, "configuration": configuration}
        return {**found, "description": None} if bare else found
    if kind == "communities":
        early = {each for each, moment in CONFIGURED_AT.items() if at is not None and at < moment}
        settings = {each: value for each, value in (settings or {}).items() if each not in early}
        configuration = populate.configuration("community", **settings)
        host = row.get("hostname", f"c{own}")
        return {**populate.community(own, name, host, made, domain_id=2), **row, "configuration": configuration}
    if kind == "groups":
        return {**populate.group(own, name, 1, made, settings), **row}
    return {**populate.category(own, name, row["group_id"], made), **row}


def _post(row: Row, at: str | None) -> Row:
    known: dict[str, Any] = {name: value for name, value in row.items() if value is not None}
    if row["id"] in MOVED_TO and (at is None or at >= MOVED_AT):
        known["group_id"] = MOVED_TO[row["id"]]
    if at is not None and at < RATED_AT and "public_data" in known:
        known["public_data"] = {name: value for name, value in known["public_data"].items() if name != "ratings"}
    plain = populate.post(row["id"], row["group_id"], row.get("user_id"), "", "", row["created_at"])
    return {**plain, "cover_media_type": None, **known}


def _point(row: Row, about: Row) -> Row:
    made: str = row["created_at"]
    plain = populate.point(row["id"], about, row["user_id"], row.get("value", 0), row.get("content") or "", made)
    known: Row = {name: value for name, value in row.items() if not name.startswith("Point")}
    revisions = [
        {**populate.revision(10_000 + row["id"], one.get("content") or "", one.get("value", 0), made), **one}
        for one in row.get("PointRevisions", ())
    ]
    found = {**plain, "language": None, **known, "qualities": row.get("PointQualities", [])}
    if found["content_type"] == 2:
        found.update(community_id=1, domain_id=2)
    return {**found, "revisions": revisions or plain["revisions"]}
