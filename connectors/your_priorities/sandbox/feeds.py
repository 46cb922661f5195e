"""The sandbox's routes for arguments and activities (docs/platforms/your-priorities.md 3, R9 to R11; 4.2)."""

from bisect import bisect_left, bisect_right
from datetime import datetime
from typing import Any

from ...testing.messages import Request, Response
from ...testing.sandbox.sandbox import NoAnswer
from .model import Row, stamp, written
from .routes import PAGE, Routes, plain


class FeedRoutes(Routes):
    """What people say about it, and what happened."""

    def points(self, request: Request, own: str) -> Response:
        """R9: a hundred for, a hundred against, no comments."""
        row = self.visible_post(own)
        if row is None:
            return plain(401)
        debated = [one for one in self.db.live_points(row["id"]) if one["content_type"] == 0]
        shown: list[Row] = []
        for sign, name in ((1, "offsetUp"), (-1, "offsetDown")):
            side = [one for one in debated if one["value"] * sign > 0]
            offset = (request.query.get(name) or ["0"])[-1]
            start = int(offset) if offset.isdigit() else 0
            shown += side[start : start + 100]
        shown.sort(key=lambda one: one["counter_quality_down"] - one["counter_quality_up"])
        return Response.json({"points": [self.views.point(one) for one in shown], "count": len(debated)})

    def new_points(self, request: Request, own: str) -> Response:
        """R10: everything after a moment; nothing without one."""
        row = self.visible_post(own)
        if row is None:
            return plain(401)
        after = (request.query.get("latestPointCreatedAt") or [""])[-1]
        self.charge(0.02)
        if not after:
            return Response.json([])
        since = _date(after)
        if since is None:
            return plain(500)
        found = [one for one in self.db.live_points(row["id"]) if one["created_at"] > since]
        self.charge(0.002 * len(found))
        return Response.json([self.views.whole_point(one) for one in found])

    def comments(self, request: Request, own: str) -> Response:
        """R11."""
        parent = self.db.points.get(int(own))
        row = self.visible_post(str(parent["post_id"])) if parent is not None else None
        if parent is None or row is None:
            return plain(401)
        found = [one for one in self.db.live_points(row["id"]) if one.get("parent_point_id") == parent["id"]]
        return Response.json([self.views.comment(one) for one in found])

    def activities(self, request: Request, scope: str, own: str) -> Response:
        """R21: 20 a page, newest first; `afterDate` is ignored beside `beforeDate`."""
        self.charge(0.08)
        if not self._may(scope, int(own)):
            return plain(401)
        before, after = ((request.query.get(name) or [None])[-1] for name in ("beforeDate", "afterDate"))
        limit = _date(before) if before else None
        since = _date(after) if after and not before else None
        if (before and limit is None) or (after and not before and since is None):
            return plain(500)
        shown = self._feed(scope, int(own), limit or stamp(self.now()), since)
        body: dict[str, Any] = {"activities": [self.views.activity(one) for one in shown]}
        if shown:
            body["oldestProcessedActivityAt"] = shown[-1]["created_at"]
        return Response.json(body)

    def _may(self, scope: str, own: int) -> bool:
        if scope == "domains":
            return self.rights.domain(self.db.domains.get(own), self.user)
        if scope == "communities":
            return self.rights.community(self.db.communities.get(own), self.user)
        if scope == "groups":
            return self.rights.group(self.db.groups.get(own), self.user)
        return self.rights.post(self.db.posts.get(own), self.user)

    def _feed(self, scope: str, own: int, before: str, since: str | None) -> list[Row]:
        """One page; what the worker has not written yet is not there yet."""
        post = self.db.posts[own] if scope == "posts" else None
        entries = self.db.feed((post["group_id"],) if post is not None else self._groups(scope, own))
        now = stamp(self.now())
        end = bisect_left(entries, before, key=written) if before < now else bisect_right(entries, now, key=written)
        shown: list[Row] = []
        for at in range(end - 1, -1, -1):
            one = entries[at]
            if len(shown) == PAGE or (since is not None and one["created_at"] <= since):
                break
            if post is None or one["post_id"] == own:
                shown.append(one)
        return shown

    def _groups(self, scope: str, own: int) -> tuple[int, ...]:
        """Wider feeds leave closed groups out; that of a domain also closed communities."""
        if scope == "groups":
            return (own,)
        found: list[int] = []
        for one in self.db.groups.values():
            community = self.db.communities[one["community_id"]]
            inside = community["id"] == own if scope == "communities" else community["domain_id"] == own
            if inside and one["access"] in {0, 3} and (scope == "communities" or community["access"] == 0):
                found.append(one["id"])
        return tuple(found)

    def news_feed(self, request: Request, own: str) -> Response:
        """Signed in, it never answers at this version (4.2)."""
        if self.user is None:
            return plain(401)
        raise NoAnswer("news feeds never answer")


def _date(value: str) -> str | None:
    try:
        return stamp(datetime.fromisoformat(value))
    except ValueError:
        return None
