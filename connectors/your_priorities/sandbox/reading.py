"""The sandbox's table of read routes."""

import re
from collections.abc import Callable
from typing import Any

from ...testing.messages import Request, Response
from .feeds import FeedRoutes
from .posts import PostRoutes
from .routes import plain
from .spaces import SpaceRoutes

Handler = Callable[..., Response]


class Reading(SpaceRoutes, PostRoutes, FeedRoutes):
    """Answers what only reads."""

    def __init__(self, *shared: Any) -> None:
        super().__init__(*shared)
        own, any_id = r"(\d+)", r"([^/]+)"
        table: list[tuple[str, Handler]] = [
            ("domains", self.boot),
            (f"domains/{own}", self.domain),
            (f"communities/{any_id}", self.community),
            (f"communities/{own}/basic", self.community_basic),
            (f"communities/{own}/communityFolders", self.community_folders),
            (f"communities/{own}/posts", self.community_posts),
            (f"groups/{any_id}", self.group),
            (f"groups/{own}/configuration", self.group_configuration),
            (f"groups/{own}/groupFolder", self.group_folder),
            (f"groups/{own}/posts/([^/]+)/([^/]+)/([^/]+)", self.posts),
            (f"groups/{own}/categories", self.categories),
            (f"groups/{own}/categories_count/([^/]+)", self.categories_count),
            (f"groups/{own}/search/(.+)", self.search),
            (f"groups/{own}/get_posts_with_public_private", self.marked),
            (f"groups/{own}/checkNonOpenPosts", self.non_open),
            (f"groups/{own}/post_locations", self.locations),
            (f"posts/{own}/points", self.points),
            (f"posts/{own}/newPoints", self.new_points),
            (f"posts/{own}/navigation", self.navigation),
            (f"posts/{any_id}", self.post),
            (f"points/{own}/comments", self.comments),
            (f"activities/(domains|communities|groups|posts)/{own}", self.activities),
            (f"categories/{own}", self.category),
            (f"posts/{own}/translatedText", self.translated),
            (f"groups/{own}/(?:export_group|users|moderate_all_content|flagged_content|stats_[a-z]+)", self.for_admins),
            (f"communities/{own}/(?:export_users|export_logins|getFraudAudits|stats_[a-z]+)", self.for_admins),
            ("externalIds/([^/]+)/points", self.for_admins),
            (f"news_feeds/[a-z]+/{own}", self.news_feed),
        ]
        self.table = [(re.compile(f"/api/{pattern}"), handler) for pattern, handler in table]

    def answer(self, request: Request) -> Response | None:
        """The answer to a GET, or None where there is no such route."""
        for pattern, handler in self.table:
            match = pattern.fullmatch(request.path)
            if match:
                return handler(request, *match.groups())
        return None

    def for_admins(self, request: Request, own: str) -> Response:
        """Tools of administrators: personal data, and nothing for a visitor. Nobody here is let in."""
        return plain(401)

    def translated(self, request: Request, own: str) -> Response:
        """R24: 500 without an account at the translation service, which none here has."""
        return plain(500) if self.visible_post(own) is not None else plain(401)
