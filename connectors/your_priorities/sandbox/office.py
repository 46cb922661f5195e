"""The sandbox's write routes for arguments, official statuses and moderation (docs/platforms/your-priorities.md 5.7 to 5.9, 5.11)."""

from typing import Any

from ...testing.messages import Request, Response
from . import populate
from .model import Row
from .people import body_of
from .routes import plain
from .views import columns, pick
from .writing import Handler, Writes

_POINT = columns(
    "id name content status value counter_quality_up counter_quality_down counter_flags embed_data data public_data language "
    "group_id post_id user_id"
)
_REVISION = columns(
    "id name content status value website ip_address user_agent embed_data deleted created_at updated_at"
)
_TOO_MANY = 5


class OfficeWrites(Writes):
    """What people argue, what officials say, and what moderators do."""

    def table(self) -> list[tuple[str, Handler]]:
        """Patterns of "METHOD path" below /api/ with what answers."""
        moderation = r"DELETE groups/(\d+)/(\d+)/(post|point)/(block|approve|delete)/process_one_moderation_item"
        return [
            (r"POST points/(\d+)", self.argue),
            (r"PUT points/(\d+)", self.reword),
            (r"DELETE points/(\d+)", self.unsay),
            (r"POST points/(\d+)/comment", self.reply),
            (r"POST posts/(\d+)/status_change", self.status_change),
            (r"POST posts/(\d+)/status_change_no_emails", self.quiet_change),
            (moderation, self.moderate),
            (r"GET groups/(\d+)/moderate_all_content", self.everything),
            (r"PUT posts/(\d+)/report", self.report),
            (r"POST groups/(\d+)/user_membership", self.join),
        ]

    # Arguments

    def argue(self, request: Request, own: str) -> Response:
        """An argument. Its language is the browser's."""
        try:
            body = body_of(request)
        except ValueError:
            return plain(400)
        group = self.db.groups.get(int(own))
        if group is None or not self.rights.writes(group, self.user):
            return plain(401)
        about = self.db.posts.get(int(body.get("postId") or 0))
        if body.get("value") is None or about is None:
            return plain(500)
        spoken = body.get("appLanguage") or body.get("userLocale")
        number = self.db.next_id("points")
        row = populate.point(
            number,
            about,
            self.user or 0,
            body["value"],
            str(body.get("content") or ""),
            self.now(),
            language=spoken or request.headers.get("accept-language", "en-US").partition(",")[0],
        )
        if body.get("userLocale"):
            row["data"] = {"userLocale": body["userLocale"], **row["data"]}
        self.db.add("points", row)
        about["counter_points"] += 1
        populate.activity(self.db, "activity.point.new", about, self.user, self.later(120), point_id=number)
        self.joins(group)
        self.touched(about)
        return Response.json(self._shown(row))

    def reword(self, request: Request, own: str) -> Response:
        """Adds a revision; the content of the row itself stays the first one (0.6)."""
        row = self._mine(own)
        if row is None or row["counter_quality_up"] + row["counter_quality_down"] > _TOO_MANY:
            return plain(401)
        self.sandbox.named.edit_comment(own, str(body_of(request).get("content") or ""))
        return Response.json(self._shown(row))

    def unsay(self, request: Request, own: str) -> Response:
        """Deletes it."""
        row = self._mine(own)
        if row is None:
            return plain(401)
        self.sandbox.named.delete_comment(own)
        return Response.text("OK")

    def reply(self, request: Request, own: str) -> Response:
        """A comment on an argument."""
        row = self.db.points.get(int(own))
        about = self.db.posts.get(row["post_id"]) if row is not None else None
        if row is None or self.user is None or not self.rights.post(about, self.user):
            return plain(401)
        comment = body_of(request).get("comment") or {}
        self.sandbox.named.reply(own, str(comment.get("content") or ""), self.user)
        return Response.text("OK")

    def _mine(self, own: str) -> Row | None:
        row = self.db.points.get(int(own))
        if row is None or row["deleted"] or self.user is None:
            return None
        return row if row["user_id"] == self.user or self.rights.admin(row["group_id"], self.user) else None

    def _shown(self, row: Row) -> Row:
        """A whole argument: with the e-mail addresses of everybody who had to do with it."""
        author, group = self.db.users[row["user_id"]], self.db.groups[row["group_id"]]
        names = columns("id name email facebook_id twitter_id google_id github_id")
        return {
            **pick(row, _POINT),
            "User": {**pick(author, names), "UserProfileImages": []},
            "PointRevisions": [
                {
                    **pick({"ip_address": "127.0.0.1", "user_agent": "Mozilla/5.0", **one}, _REVISION),
                    "PointId": row["id"],
                    "point_id": row["id"],
                    "user_id": row["user_id"],
                    "PostStatusChangeId": None,
                }
                for one in row["revisions"]
            ],
            "PointQualities": [self._quality(row, one) for one in row["qualities"]],
            "PointAudios": [],
            "Post": {
                "id": row["post_id"],
                "group_id": row["group_id"],
                "Group": {"id": group["id"], "configuration": group["configuration"]},
            },
            "PointVideos": [],
        }

    def _quality(self, row: Row, one: Row) -> Row:
        voter = self.db.users.get(one["user_id"])
        return {
            **pick(one, columns("id value status")),
            "ip_address": "127.0.0.1",
            "user_agent": "Mozilla/5.0",
            **pick(one, columns("deleted data created_at updated_at")),
            "PointId": row["id"],
            "point_id": row["id"],
            "user_id": one["user_id"],
            "PostStatusChangeId": None,
            "UserId": one["user_id"],
            "User": None if voter is None else pick(voter, columns("id name email")),
        }

    # Officials

    def status_change(self, request: Request, own: str) -> Response:
        """A status with its text: everybody who voted gets an e-mail, every time."""
        row = self._official(own)
        if row is None:
            return plain(401)
        body = body_of(request)
        if body.get("content") is None or not isinstance(body.get("official_status"), int):
            return plain(500)
        to: int = body["official_status"]
        changed = to if to != row["official_status"] else None
        row["official_status"] = to
        populate.status_change(self.db, row, changed, str(body["content"]), self.later(90))
        self.sandbox.emails += row["counter_endorsements_up"] + row["counter_endorsements_down"]
        self.touched(row)
        return Response.text("OK")

    def quiet_change(self, request: Request, own: str) -> Response:
        """A status without text, e-mail and feed."""
        row = self._official(own)
        if row is None:
            return plain(401)
        to = body_of(request).get("official_status")
        if not isinstance(to, int):
            return plain(500)
        row["official_status"] = to
        self.touched(row)
        return Response.text("OK")

    def _official(self, own: str) -> Row | None:
        row = self.db.posts.get(int(own))
        if row is None or not self.db.visible(row):
            return None
        return row if self.rights.admin(row["group_id"], self.user) else None

    # Moderators

    def moderate(self, request: Request, group: str, own: str, kind: str, what: str) -> Response:
        """Block, approve or delete one item of a group."""
        rows = self.db.posts if kind == "post" else self.db.points
        row = rows.get(int(own))
        if row is None or row["group_id"] != int(group) or not self.rights.admin(int(group), self.user):
            return plain(401)
        named = self.sandbox.named
        if what == "approve":
            row["status"] = "published"
            self.db.touch()
        elif kind == "post":
            (named.hide if what == "block" else named.delete)(own)
        else:
            (named.hide_comment if what == "block" else named.delete_comment)(own)
        return Response.text("OK")

    def everything(self, request: Request, own: str) -> Response:
        """All that is not deleted, blocked or not: the only list that shows what is blocked. With e-mail addresses."""
        group = self.db.groups.get(int(own))
        if group is None or not self.rights.admin(group["id"], self.user):
            return plain(401)
        posts = [row for row in self.db.posts_of[group["id"]] if not row["deleted"]]
        points = [one for row in posts for one in self.db.points_of[row["id"]] if not one["deleted"]]
        items = [
            *(self._item(row, group, "post") for row in posts),
            *(self._item(row, group, "point") for row in points),
        ]
        items.sort(key=lambda item: item["created_at"], reverse=True)
        return Response.json(items)

    def _item(self, row: Row, group: Row, kind: str) -> Row:
        author: Row = self.db.users.get(row["user_id"] or 0) or {}
        names = columns("id created_at counter_flags status public_data user_id language name description")
        latest = row["revisions"][-1]["content"] if kind == "point" else None
        found: dict[str, Any] = {
            **pick(row, names),
            "type": kind,
            "is_post": kind == "post",
            "is_point": kind == "point",
            "user_email": author.get("email"),
            "groupName": group["name"],
            "moderation_data": {},
            "latestContent": latest,
            "Group": {"id": group["id"], "configuration": group["configuration"], "name": group["name"]},
        }
        return found if kind == "post" else {**found, "post_id": row["post_id"], "content": latest}

    def report(self, request: Request, own: str) -> Response:
        """A reader flags a post."""
        row = self.db.posts.get(int(own))
        if row is None or self.user is None or not self.rights.post(row, self.user):
            return plain(401)
        row["counter_flags"] += 1
        self.touched(row)
        return Response.text("OK")

    def join(self, request: Request, own: str) -> Response:
        """Becoming a member, where anybody may."""
        group = self.db.groups.get(int(own))
        if group is None or self.user is None or not self.rights.group(group, self.user):
            return plain(401)
        self.joins(group)
        return Response.json({"membershipValue": True, "name": group["name"]})
