"""The sandbox's write routes for posts and votes (docs/platforms/your-priorities.md 5.2, 5.4 to 5.6).

As careless as the real ones: nothing asks whether a group takes posts, 500 stands for every refusal of the database, and some requests
are never answered.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from ...testing.messages import Request, Response
from ...testing.sandbox.sandbox import NoAnswer
from . import populate
from .model import Database, Rights, Row, stamp
from .people import body_of, parsed
from .routes import plain
from .views import columns, pick
from .whole import Whole

NAME = 255
_MADE = columns(
    "official_status deleted counter_endorsements_down counter_points counter_all_activities counter_main_activities "
    "counter_impressions counter_flags id name description group_id category_id location cover_media_type user_id status "
    "counter_endorsements_up content_type user_agent ip_address data public_data updated_at created_at deleted_at "
    "status_changed_at official_status_changed_at position legacy_post_id user_interaction_profile language"
)
_CHANGED = columns(
    "id content_type name description status official_status ip_address user_agent deleted deleted_at status_changed_at "
    "official_status_changed_at counter_endorsements_up counter_endorsements_down counter_points counter_all_activities "
    "counter_main_activities counter_impressions counter_flags data public_data position location cover_media_type "
    "legacy_post_id user_interaction_profile language created_at updated_at group_id category_id user_id"
)
_CONTACT = {
    "name": "contactName",
    "email": "contactEmail",
    "address": "contactAddress",
    # The platform's own spelling (5.2).
    "telephone": "contacTelephone",
}
Handler = Callable[..., Response]


class Writes:
    """What all write routes share: the sandbox with its database of now, who asks, and what they may."""

    def __init__(self, sandbox: Whole) -> None:
        self.sandbox = sandbox

    @property
    def db(self) -> Database:
        """The database of now: loading recordings replaces it."""
        return self.sandbox.database

    @property
    def rights(self) -> Rights:
        """Who may what."""
        return self.sandbox.reading.rights

    @property
    def user(self) -> int | None:
        """Who asks."""
        return self.sandbox.reading.user

    def now(self) -> str:
        """The moment as the database writes it."""
        return stamp(self.sandbox.clock())

    def later(self, milliseconds: int) -> str:
        """When the worker gets to it."""
        return stamp(self.sandbox.clock() + timedelta(milliseconds=milliseconds))

    def touched(self, row: Row) -> None:
        """A post was changed."""
        row["updated_at"] = self.now()
        self.db.touch(row["group_id"])

    def joins(self, group: Row) -> None:
        """Whoever writes becomes a member of the group and of its community."""
        self.db.members.add(("groups", group["id"], self.user or 0))
        self.db.members.add(("communities", group["community_id"], self.user or 0))
        group["updated_at"] = self.now()


class PostWrites(Writes):
    """Posts and votes."""

    def table(self) -> list[tuple[str, Handler]]:
        """Patterns of "METHOD path" below /api/ with what answers."""
        return [
            (r"POST posts/(\d+)", self.create),
            (r"PUT posts/(\d+)", self.edit),
            (r"DELETE posts/(\d+)", self.delete),
            (r"POST posts/(\d+)/endorse", self.endorse),
            (r"DELETE posts/(\d+)/endorse", self.withdraw),
        ]

    def create(self, request: Request, own: str) -> Response:
        """One row, one vote of its author, one entry in the feed a moment later. The same again makes the same again."""
        try:
            body = body_of(request)
        except ValueError:
            return plain(400)
        group = self.db.groups.get(int(own))
        if group is None or not self.rights.writes(group, self.user):
            return plain(401)
        values = self._values(body)
        if values is None or not isinstance(body.get("name"), str) or len(body["name"]) > NAME:
            return plain(500)
        if "category_id" in values and not self._category(values["category_id"]):
            return plain(500)
        row = self._stored(group, body, values)
        vote = self.db.vote(row["id"], self.user or 0, 1, row["created_at"])
        if body.get("pointFor"):
            self._first_point(row, str(body["pointFor"]))
        populate.activity(self.db, "activity.post.new", row, self.user, self.later(107))
        shown: dict[str, Any] = pick(row, [name for name in _MADE if name != "category_id" or "category_id" in values])
        shown.update(CategoryId=row["category_id"], UserId=row["user_id"])
        if body.get("pointFor"):
            shown["PostText"] = " ".join(f"'{word}':{i}" for i, word in enumerate(row["name"].split(), start=1))
        return Response.json({**shown, "newEndorsement": self._new_vote(vote, row["id"])})

    def _stored(self, group: Row, body: Row, values: Row) -> Row:
        blocked = group["configuration"].get("allPostsBlockedByDefault")
        own = self.db.next_id("posts")
        row = populate.post(
            own,
            group["id"],
            self.user,
            _text(body["name"]),
            _text(body.get("description") or ""),
            self.now(),
            status="blocked" if blocked else "published",
            ip_address="127.0.0.1",
            **values,
        )
        row["cover_media_type"] = body.get("coverMediaType")
        row["public_data"] = _public(body)
        if any(body.get(given) for given in _CONTACT.values()):
            row["data"]["contact"] = {name: body.get(given) for name, given in _CONTACT.items()}
        private = body.get("publicPrivateData")
        if private:
            row["data"]["publicPrivateData"] = parsed(private)
        self.db.add("posts", row)
        group["counter_posts"] += 1
        self.joins(group)
        return row

    def _values(self, body: Row) -> Row | None:
        """Location and category; None where the database or the parser would stumble."""
        if "location" not in body:
            return None
        found: Row = {}
        try:
            found["location"] = None if body["location"] == "" else parsed(body["location"])
            if body.get("publicPrivateData"):
                parsed(body["publicPrivateData"])
        except ValueError:
            return None
        if "categoryId" in body:
            given = str(body["categoryId"] if body["categoryId"] is not None else "")
            if given and not given.isdigit():
                return None
            found["category_id"] = int(given) if given else None
        return found

    def _category(self, own: int | None) -> bool:
        """Any category of the instance, of this group or not (5.2)."""
        return own is None or own in self.db.categories

    def _first_point(self, row: Row, content: str) -> None:
        number = self.db.next_id("points")
        self.db.add("points", populate.point(number, row, self.user or 0, 1, content, self.now()))
        row["counter_points"] += 1
        populate.activity(self.db, "activity.point.new", row, self.user, self.later(150), point_id=number)

    def edit(self, request: Request, own: str) -> Response:
        """Replaces name, description and place; what else is missing stays."""
        try:
            body = body_of(request)
        except ValueError:
            return plain(400)
        row = self.db.posts.get(int(own))
        if row is None or not self.rights.administers(row, self.user):
            return plain(401)
        values = self._values(body)
        if values is None:
            return plain(500)
        if not isinstance(body.get("name"), str) or not isinstance(body.get("description"), str):
            raise NoAnswer("an edit without name or description is never answered")
        if len(body["name"]) > NAME or ("category_id" in values and not self._category(values["category_id"])):
            return plain(500)
        before = row["category_id"]
        row.update(values, name=_text(body["name"]), description=_text(body["description"]))
        if "coverMediaType" in body:
            row["cover_media_type"] = body["coverMediaType"]
        row["public_data"] = {**row["public_data"], **_public(body)}
        if body.get("publicPrivateData"):
            row["data"]["publicPrivateData"] = parsed(body["publicPrivateData"])
        self.touched(row)
        sent = {"category_id": "category_id" in values, "cover_media_type": "coverMediaType" in body}
        shown = pick(row, [name for name in _CHANGED if sent.get(name, True)])
        return Response.json({**shown, "CategoryId": before, "UserId": row["user_id"]})

    def delete(self, request: Request, own: str) -> Response:
        """Soft: the row stays; the worker takes along what hangs on it. A second time it is not found."""
        row = self.db.posts.get(int(own))
        if row is None or not self.rights.administers(row, self.user):
            return plain(401)
        self.sandbox.named.delete(own)
        return Response.text("OK")

    def endorse(self, request: Request, own: str) -> Response:
        """One row for each user and post. Zero is refused and done all the same; without a value nobody answers."""
        try:
            body = body_of(request)
        except ValueError:
            return plain(400)
        row = self.db.posts.get(int(own))
        if row is None or not self._votes(row):
            return plain(401)
        value = body.get("value") if isinstance(body, dict) else None
        if value is None:
            raise NoAnswer("a vote without a value is never answered")
        fresh = (row["id"], self.user) not in self.db.votes
        old = self._counted(row, value)
        if value == 0:
            return plain(500)
        vote = self.db.votes[row["id"], self.user or 0]
        group = self.db.groups[row["group_id"]]
        self.joins(group)
        community = {"id": group["community_id"], "domain_id": self.db.communities[group["community_id"]]["domain_id"]}
        above = {"id": group["id"], "community_id": group["community_id"], "Community": community}
        shown = self._new_vote(vote, own) if fresh else _old_vote(vote)
        shown["Post"] = {"id": row["id"], "group_id": row["group_id"], "Group": above}
        return Response.json({"endorsement": shown, **({"oldEndorsementValue": _sign(old)} if old else {})})

    def withdraw(self, request: Request, own: str) -> Response:
        """Takes a vote back, once; the row stays with value 0."""
        row = self.db.posts.get(int(own))
        if row is None or not self._votes(row):
            return plain(401)
        vote = self.db.votes.get((row["id"], self.user or 0))
        if vote is None:
            return plain(404)
        if vote["value"] == 0:
            return plain(500)
        old = self._counted(row, 0)
        post = {"id": row["id"], "group_id": row["group_id"]}
        return Response.json({"endorsement": {**_old_vote(vote), "Post": post}, "oldEndorsementValue": _sign(old)})

    def _votes(self, row: Row) -> bool:
        """Voting needs a switch that is really on: a missing one refuses (5.6)."""
        group = self.db.groups[row["group_id"]]
        return (
            self.rights.post(row, self.user) and self.user is not None and group["configuration"].get("canVote") is True
        )

    def _counted(self, row: Row, value: Any) -> Any:
        """Put the vote into its row and the counters; returns what it was (0: none)."""
        old = (self.db.votes.get((row["id"], self.user or 0)) or {"value": 0})["value"]
        for each, step in ((old, -1), (value, 1)):
            if each:
                row[f"counter_endorsements_{'up' if each > 0 else 'down'}"] += step
        self.db.vote(row["id"], self.user or 0, value, self.now())
        self.touched(row)
        return old

    def _new_vote(self, vote: Row, post: Any) -> Row:
        return {
            "deleted": False,
            "id": vote["id"],
            "post_id": vote["post_id"],
            "value": vote["value"],
            "user_id": vote["user_id"],
            "status": "active",
            "user_agent": "Mozilla/5.0",
            "ip_address": "127.0.0.1",
            "data": {"browserFingerprintConfidence": 0},
            "updated_at": vote["updated_at"],
            "created_at": vote["created_at"],
            "group_id": None,
            "PostId": post,
            "UserId": vote["user_id"],
        }


def _old_vote(vote: Row) -> Row:
    names = columns("id value status ip_address user_agent deleted data created_at updated_at post_id user_id group_id")
    whole = {**vote, "status": "active", "ip_address": "127.0.0.1", "user_agent": "Mozilla/5.0", "deleted": False}
    whole["data"] = {"browserFingerprintConfidence": 0}
    return {**pick(whole, names), "PostId": vote["post_id"], "UserId": vote["user_id"]}


def _sign(value: Any) -> int:
    return 1 if value > 0 else -1


def _text(value: str) -> str:
    """As the database's driver writes a zero byte; everything else verbatim (recording 048)."""
    return value.replace("\x00", "\\0")


def _public(body: Row) -> Row:
    found: Row = {}
    if body.get("tags"):
        found["tags"] = body["tags"]
    if body.get("structuredAnswersJson"):
        with suppress(ValueError):  # silently ignored (5.2)
            found["structuredAnswersJson"] = parsed(body["structuredAnswersJson"])
    return found


def routed(table: list[tuple[str, Handler]]) -> list[tuple[re.Pattern[str], Handler]]:
    """A table of routes with its patterns compiled."""
    return [(re.compile(pattern), handler) for pattern, handler in table]
