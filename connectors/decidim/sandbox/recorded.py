"""The recorded cities: the state of real installations, rebuilt row by row from what their interface showed.

What the sandbox does not simulate (endorsers, versions, attachments, fingerprints) is kept as it was recorded, and answered as such.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from .model import Comment, Component, Database, Proposal, Space, Translated

FOLDER = Path(__file__).parent / "recorded"
_GONE = 899
"""An account that was deleted."""


def versions() -> tuple[str, ...]:
    """The release lines of which a city was recorded."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.json")))


def load(database: Database, line: str, epoch: datetime) -> dict[str, Any]:
    """Replace everything by the recorded city; `epoch` where a time was never shown. Returns what was shown of the organization."""
    facts = json.loads((FOLDER / f"{line}.json").read_text(encoding="utf-8"))
    database.spaces.clear()
    database.components.clear()
    database.comments.clear()
    database.deleted_users.add(_GONE)
    for rows in database.proposals.values():
        rows.clear()
    spaces = {own: _space(database, node) for own, node in facts["spaces"].items()}
    # A component that no space lists stands in a space that nobody sees.
    nowhere = Space(9_999, "process", "besloten", {}, private=True)
    for own, node in _in_order(facts):
        space = spaces.get(node.get("space", ""), nowhere)
        moved = _time(node.get("updatedAt")) or epoch
        component = Component(int(own), node.get("__typename", "Component"), _text(node.get("name")), space, moved)
        component.extra, component.published = node, node.get("published", True)
        database.add_component(component)
    for key, node in sorted(facts["rows"].items(), key=lambda each: int(each[0].partition("/")[2])):
        _row(database, key, node, epoch)
    for own, node in sorted(facts["comments"].items(), key=lambda each: (each[1]["depth"], int(each[0]))):
        _comment(database, own, node, epoch)
    for component, places in facts["hidden"].items():
        _hide(database, int(component), places, epoch)
    return facts["query"]


def _in_order(facts: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Components as their spaces list them; one that is listed as null is not published."""
    found: dict[str, dict[str, Any]] = {}
    for key, space in sorted(facts["spaces"].items()):
        for place, own in enumerate(space.get("order") or ()):
            unseen = {"space": key, "published": False, "__typename": "Proposals"}
            number = own or str(90_000 + 100 * int(space["id"]) + place + (50 if space["kind"] == "assembly" else 0))
            found[number] = facts["components"].get(own, unseen) if own else unseen
    return [*found.items(), *((own, node) for own, node in facts["components"].items() if own not in found)]


def _space(database: Database, node: dict[str, Any]) -> Space:
    space = Space(int(node["id"]), node["kind"], str(node.get("slug") or ""), _text(node.get("title")))
    space.extra = node
    return database.add_space(space)


def _row(database: Database, key: str, node: dict[str, Any], epoch: datetime) -> None:
    kind, _, own = key.partition("/")
    component = database.components.get(int(node["component"]))
    if component is None:
        return
    created = _time(node.get("createdAt")) or _time(node.get("publishedAt")) or epoch
    body = _text(node.get("body") or node.get("description"))
    row = Proposal(int(own), kind, component, _text(node.get("title")), body, created, created)
    row.updated_at = _time(node.get("updatedAt")) or created
    row.published_at = _time(node.get("publishedAt"))
    row.official, row.votes = bool(node.get("official")), int(node.get("voteCount") or node.get("confirmedVotes") or 0)
    row.likes = int(node.get("likesCount") or node.get("endorsementsCount") or 0)
    row.address, row.extra = node.get("address"), node
    place = node.get("coordinates") or {}
    row.place = (place["latitude"], place["longitude"]) if place.get("longitude") is not None else None
    author = node.get("author") or {}
    row.author = int(author["id"]) if author.get("id") else None
    row.groups = [int(each["id"]) for each in node.get("taxonomies") or [node.get("category")] if each]
    scope = node.get("scope") or {}
    row.scope = int(scope["id"]) if scope else None
    _decide(row, node, epoch)
    row.amount, row.selected = node.get("budget_amount"), bool(node.get("selected"))
    row.budget = int(node["budget"]) if node.get("budget") else None
    database.add(row)
    if node.get("broken"):
        # One of its comments, or the account of one's author, was deleted: nobody sees which.
        deleted = node["broken"] == "comment"
        database.add_comment(Comment(800_000 + row.id, "", _GONE, epoch, row, deleted=deleted))


def _decide(row: Proposal, node: dict[str, Any], epoch: datetime) -> None:
    state = node.get("state")
    withdrawn = bool(node.get("withdrawn")) or state == "withdrawn"
    row.withdrawn_at = (_time(node.get("withdrawnAt")) or epoch) if withdrawn else None
    row.state = None if state in {"withdrawn", "not_answered"} else state
    row.answer, row.answered_at = _text(node.get("answer")), _time(node.get("answeredAt"))
    row.state_published = state is not None
    row.votes_hidden = any(name in node and node[name] is None for name in ("voteCount", "confirmedVotes"))


def _comment(database: Database, own: str, node: dict[str, Any], epoch: datetime) -> None:
    kind, _, target = node["target"].partition("/")
    row = database.proposals.get(kind, {}).get(int(target))
    parent = database.comments.get(int(node["parent"])) if node["parent"] else None
    if row is None or (node["parent"] and parent is None):
        return
    author = int((node.get("author") or {}).get("id") or 1)
    comment = Comment(int(own), str(node.get("body") or ""), author, _time(node.get("createdAt")) or epoch, row, parent)
    comment.depth, comment.alignment = node["depth"], int(node.get("alignment") or 0)
    comment.ups, comment.downs = int(node.get("upVotes") or 0), int(node.get("downVotes") or 0)
    database.add_comment(comment)


def _hide(database: Database, own: int, places: list[int], epoch: datetime) -> None:
    """Rows that were null in a list: something stood there that nobody may see."""
    component = database.components[own]
    for place in places:
        beside = component.rows[place - 2] if 2 <= place <= len(component.rows) + 1 else None
        number = beside.id + 1 if beside else 1
        moment = beside.published_at or beside.created_at if beside else epoch
        while number in database.proposals["proposal"]:
            number += 1
        row = Proposal(number, "proposal", component, {}, {}, moment, moment, hidden=True)
        component.rows.insert(place - 1, row)
        database.proposals["proposal"][number] = row


def _text(field: Any) -> Translated:
    rows = (field or {}).get("translations") or () if isinstance(field, dict) else ()
    return {row.get("locale", "ca"): (row.get("text"), bool(row.get("machineTranslated"))) for row in rows}


def _time(value: Any) -> datetime | None:
    return datetime.fromisoformat(str(value).replace("Z", "+00:00")) if value else None
