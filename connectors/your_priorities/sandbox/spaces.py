"""The sandbox's routes for domains, communities, groups and categories (docs/platforms/your-priorities.md 3, R1 to R6, R12 to R14, R20)."""

from typing import Any

import msgspec

from ...testing.messages import Request, Response
from .model import STATUS, Row
from .routes import Routes, plain
from .views import BOOT_COMMUNITY, BOOT_DOMAIN, CATEGORY, COMMUNITY, DOMAIN, pick

MINIMUM_USERS = 21


class SpaceRoutes(Routes):
    """Where posts are."""

    def boot(self, request: Request) -> Response:
        """R1."""
        self.charge(0.01)
        domain, community = self.host
        if domain is None:
            return plain(500)
        body: dict[str, Any] = {} if community is None else {"community": pick(community, BOOT_COMMUNITY)}
        return Response.json({**body, "domain": pick(domain, BOOT_DOMAIN)})

    def domain(self, request: Request, own: str) -> Response:
        """R2: not all communities, by far."""
        self.charge(0.06)
        row = self.db.domains.get(int(own))
        if row is None or not self.rights.domain(row, self.user):
            return plain(401)
        shown = [
            one for one in self.db.communities.values() if one["domain_id"] == row["id"] and self._on_start_page(one)
        ]
        shown.sort(key=lambda one: -one["counter_users"])
        communities = [
            {
                **pick(one, COMMUNITY),
                "CommunityLogoImages": [],
                "CommunityFolders": [],
                "Domain": pick(row, ["id", "configuration", "name"]),
                "CommunityHeaderImages": [],
            }
            for one in shown[:500]
        ]
        images = {"DomainLogoImages": [], "DomainLogoVideos": [], "DomainHeaderImages": []}
        return Response.json({**pick(row, DOMAIN), **images, "Communities": communities})

    def _on_start_page(self, row: Row) -> bool:
        if ("communities_admins", row["id"], self.user) in self.db.members:
            return True
        if row["deleted"] or row["access"] == 2 or row["status"] == "hidden" or row.get("in_community_folder_id"):
            return False
        known = row["counter_users"] > MINIMUM_USERS or row["status"] == "featured" or row["is_community_folder"]
        return bool(known) and not row["configuration"].get("customBackURL")

    def community(self, request: Request, own: str) -> Response:
        """R3."""
        if "." in own:
            return plain(404)
        row = self.db.communities.get(int(own)) if own.isdigit() else None
        if row is None or not self.rights.community(row, self.user):
            return plain(401)
        groups = [one for one in self.db.groups.values() if one["community_id"] == row["id"] and self._on_page(one)]
        groups.sort(key=lambda one: (-one["counter_users"], one.get("tie", 0)))
        self.charge(0.03 + 0.002 * len(groups))
        key = f"cache:community_groups:{own}:{self.user or 0}"
        listed = self.cached(key, lambda: Response.json([self._listed_group(one) for one in groups]).body)
        return Response.json({**self._community(row), "Groups": msgspec.Raw(listed)})

    def _listed_group(self, row: Row) -> dict[str, Any]:
        mine = ("groups_admins", row["id"], self.user) in self.db.members
        return self.views.group_in_list(row, admins=[self.user] if mine and self.user is not None else None)

    def _community(self, row: Row) -> dict[str, Any]:
        folder = self.db.communities.get(row.get("in_community_folder_id") or 0)
        return {
            **pick(row, COMMUNITY),
            "Domain": self.views.domain(row["domain_id"]),
            "CommunityLogoImages": [],
            "CommunityHeaderImages": [],
            "CommunityFolder": None if folder is None else pick(folder, ["id", "name"]),
            "CommunityLogoVideos": [],
        }

    def _on_page(self, row: Row) -> bool:
        if row["deleted"] or row["in_group_folder_id"]:
            return False
        if ("groups_admins", row["id"], self.user) in self.db.members or row["user_id"] == self.user:
            return True
        return row["access"] != 2 and row["status"] != "hidden"

    def community_basic(self, request: Request, own: str) -> Response:
        """R3b."""
        row = self.db.communities.get(int(own))
        if row is None or not self.rights.community(row, self.user):
            return plain(401)
        return Response.json(self._community(row))

    def community_folders(self, request: Request, own: str) -> Response:
        """R4."""
        row = self.db.communities.get(int(own))
        if row is None or not self.rights.community(row, self.user):
            return plain(401)
        inside = [
            self._community(one)
            for one in self.db.communities.values()
            if one.get("in_community_folder_id") == row["id"] and one["access"] != 2 and one["status"] != "hidden"
        ]
        return Response.json({**self._community(row), "Communities": inside})

    def group(self, request: Request, own: str) -> Response:
        """R5."""
        self.charge(0.02)
        if "." in own:
            return plain(404)
        row = self.visible_group(own) if own.isdigit() else None
        if row is None:
            return plain(401)
        return Response.json({"group": self.views.group_page(row), "hasNonOpenPosts": self.non_open_posts(row["id"])})

    def group_configuration(self, request: Request, own: str) -> Response:
        """R5b."""
        row = self.visible_group(own)
        return plain(401) if row is None else Response.json(row["configuration"])

    def group_folder(self, request: Request, own: str) -> Response:
        """R6; 500 when it is no folder."""
        self.charge(0.03)
        row = self.visible_group(own)
        if row is None:
            return plain(401)
        if not row["is_group_folder"]:
            return plain(500)
        inside = [
            one
            for one in self.db.groups.values()
            if one["in_group_folder_id"] == row["id"]
            and not one["deleted"]
            and one["access"] != 2
            and one["status"] != "hidden"
        ]
        groups = [self.views.group_in_list(one) for one in inside]
        body = self.cached(
            f"cache:groups_folder:{own}:2",
            lambda: Response.json({"group": {**self.views.group_in_list(row), "Groups": groups}}).body,
        )
        return Response(200, Response.json(None).headers, body)

    def non_open(self, request: Request, own: str) -> Response:
        """R20."""
        row = self.visible_group(own)
        return plain(401) if row is None else Response.json({"hasNonOpenPosts": self.non_open_posts(row["id"])})

    def categories(self, request: Request, own: str) -> Response:
        """R12: at most 20."""
        if self.visible_group(own) is None:
            return plain(401)
        return Response.json([pick(one, CATEGORY) for one in self.views.categories(int(own))[:20]])

    def categories_count(self, request: Request, own: str, status: str) -> Response:
        """R13."""
        if self.visible_group(own) is None:
            return plain(401)
        if status not in STATUS:
            return plain(404)
        posts = self.db.listed(int(own), "newest", None, status)
        counts: dict[int, int] = {}
        for post in posts:
            if post["category_id"] is not None:
                counts[post["category_id"]] = counts.get(post["category_id"], 0) + 1
        listed = [{"category_id": own, "count": number} for own, number in counts.items()]
        return Response.json({"categoriesCount": listed, "allPostCount": len(posts)})

    def category(self, request: Request, own: str) -> Response:
        """R14: 404 unless it has two pictures, which none here has."""
        return plain(404)
