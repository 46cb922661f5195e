"""The sandbox's routes for posts (docs/platforms/your-priorities.md 3, R7, R8, R15 to R19)."""

import re
from typing import Any

from ...testing.messages import Request, Response
from ...testing.sandbox.sandbox import NoAnswer
from .model import RATED_AT_MOST, STATUS, Row
from .routes import PAGE, Routes, plain
from .views import columns, pick


class PostRoutes(Routes):
    """What people propose."""

    def posts(self, request: Request, own: str, order: str, category: str, status: str) -> Response:
        """R7: four lists, 20 posts a page, no limit parameter, cached for all."""
        if self.visible_group(own) is None:
            return plain(401)
        if status not in STATUS:
            return plain(404)
        given = request.query.get("offset")
        offset = given[-1] if given else None
        if (category != "null" and not category.isdigit()) or (offset is not None and not offset.isdigit()):
            return plain(500)
        seed = (request.query.get("randomSeed") or ["undefined"])[-1]
        key = f"cache:posts:{own}:{order}:{category}:{status}:{'undefined' if offset is None else offset}:{seed}"
        body = self.cached(key, lambda: self._page(int(own), order, category, status, int(offset or 0)))
        self.charge(0.02)
        return Response(200, Response.json(None).headers, body)

    def _page(self, own: int, order: str, category: str, status: str, offset: int) -> bytes:
        self.charge(0.1)
        posts = [] if self.lists_empty else self.db.listed(own, order, None if category == "null" else category, status)
        total = len(posts)
        rated = self.db.groups[own]["configuration"].get("customRatings")
        if rated and order not in {"newest", "oldest", "most_debated", "alphabetical", "random"}:
            total = min(total, RATED_AT_MOST)
        shown = [self.views.listed_post(post) for post in posts[offset : offset + PAGE]]
        return Response.json({"posts": shown, "totalPostsCount": total}).body

    def post(self, request: Request, own: str) -> Response:
        """R8: 401 for whatever is not to be seen."""
        self.charge(0.03)
        if "." in own:
            return plain(404)
        row = self.db.posts.get(int(own)) if own.isdigit() else None
        if row is None or not self.rights.post(row, self.user):
            return plain(401)
        return Response.json(self.views.single_post(row))

    def _post(self, own: str) -> Row | None:
        row = self.db.posts.get(int(own))
        return row if self.rights.post(row, self.user) else None

    def search(self, request: Request, own: str, term: str) -> Response:
        """R16; a term that PostgreSQL cannot parse is never answered."""
        if self.visible_group(own) is None:
            return plain(401)
        if re.search(r"[&|!():]", term):
            raise NoAnswer("a bad tsquery leaves the request without an answer")
        words = term.casefold().split()
        posts = [
            post
            for post in self.db.posts_of[int(own)]
            if self.db.visible(post) and all(any(w.startswith(word) for w in self._words(post)) for word in words)
        ]
        posts.sort(key=lambda post: post["created_at"], reverse=True)
        found = [self.views.found_post(post) for post in posts[:1024]]
        return Response.json({"posts": found, "totalPostsCount": len(posts)})

    @staticmethod
    def _words(post: Row) -> list[str]:
        return re.findall(r"\w+", f"{post['name']} {post['description']}".casefold())

    def community_posts(self, request: Request, own: str) -> Response:
        """R17, with its bug: everything but the last ones, with `data`."""
        row = self.db.communities.get(int(own))
        if row is None or not self.rights.community(row, self.user):
            return plain(401)
        limit = (request.query.get("limit") or [None])[-1]
        posts = [
            post
            for group in self.db.groups.values()
            if group["community_id"] == row["id"] and group["access"] == 0 and not group["deleted"]
            for post in self.db.posts_of[group["id"]]
            if self.db.visible(post)
        ]
        posts.sort(key=lambda post: post["counter_endorsements_down"] - post["counter_endorsements_up"])
        dropped = 7 if limit is None else max(int(limit), 25)
        return Response.json([self.views.open_post(post) for post in posts[: max(0, len(posts) - dropped)]])

    def marked(self, request: Request, own: str) -> Response:
        """R18."""
        self.charge(0.02)
        if self.visible_group(own) is None:
            return plain(401)
        posts = [post for post in self.db.posts_of[int(own)] if self.db.visible(post)]
        listed = [
            {"id": post["id"], "publicPrivateData": post["data"]["publicPrivateData"]}
            for post in reversed(posts)
            if post["data"].get("publicPrivateData")
        ]
        return Response.json(listed)

    def locations(self, request: Request, own: str) -> Response:
        """R15."""
        if self.visible_group(own) is None:
            return plain(401)
        names = "id name description deleted status counter_endorsements_up counter_endorsements_down counter_points location"
        posts = [post for post in self.db.posts_of[int(own)] if self.db.visible(post) and post["location"]]
        return Response.json([pick(post, columns(names)) for post in posts])

    def navigation(self, request: Request, own: str) -> Response:
        """R19."""
        row = self.visible_post(own)
        if row is None:
            return plain(401)
        order = (request.query.get("filter") or ["newest"])[-1]
        status = (request.query.get("status") or ["open"])[-1]
        posts = self.db.listed(row["group_id"], order, None, status if status in STATUS else "open")
        ids = [post["id"] for post in posts]
        at = ids.index(row["id"]) if row["id"] in ids else -1
        body: dict[str, Any] = {}
        if at > 0:
            body["previousPostId"] = ids[at - 1]
        if 0 <= at < len(ids) - 1:
            body["nextPostId"] = ids[at + 1]
        context = {"groupId": row["group_id"], "filter": order, "statusFilter": status}
        return Response.json({**body, "currentPostIndex": at + 1, "totalPostsCount": len(ids), "context": context})
