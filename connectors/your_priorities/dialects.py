"""The paths and words of Your Priorities' private interface, in its only dialect.

There is no version to ask for (docs/platforms/your-priorities.md 11): what an instance can do is tried out by `reader.probe`.
"""

from collections.abc import Mapping
from typing import Any

VERSION = "2026-07"
"""The source this connector was written against; instances do not tell theirs."""
VERSIONS = (VERSION,)

STATUSES = ("open", "successful", "failed", "in_progress")
"""The four lists that together hold every post with an ordinary official status (docs/platforms/your-priorities.md 3.1)."""
LISTED = frozenset({0, 2, -2, -1, 1})
"""The official statuses that one of the four lists shows; posts with any other, or none, are only found one by one."""
PAGE = 20
"""Posts in a page of a list, fixed by the platform."""
EPOCH = "1970-01-01T00:00:00.000Z"

PUBLIC = frozenset({0, 3})
"""Access values anybody may read when the community is public: 0 public, 3 open to the community."""
GROUP_TYPES = {0: "ideas", 1: "pairwise", 2: "page", 3: "workflow", 4: "folder"}

DOMAIN = "api/domains"
SITEMAP = "sitemap.xml"
LOGIN = "api/users/login"
ME = "api/users/loggedInUser/isloggedin"
RIGHTS = "api/users/loggedInUser/adminRights"


def domain(own: str) -> str:
    """A domain with the communities it shows on its start page (R2)."""
    return f"api/domains/{own}"


def community(own: str) -> str:
    """A community with its groups (R3)."""
    return f"api/communities/{own}"


def community_basic(own: str) -> str:
    """A community without its groups (R3b)."""
    return f"api/communities/{own}/basic"


def community_folder(own: str) -> str:
    """The communities inside a folder (R4)."""
    return f"api/communities/{own}/communityFolders"


def group(own: str) -> str:
    """A group with its categories (R5)."""
    return f"api/groups/{own}"


def group_folder(own: str) -> str:
    """The groups inside a folder (R6); 500 for a group that is no folder."""
    return f"api/groups/{own}/groupFolder"


def posts(group_id: str, order: str, status: str) -> str:
    """One of the four lists (R7)."""
    return f"api/groups/{group_id}/posts/{order}/null/{status}"


def post(own: str) -> str:
    """One post (R8); to POST: the posts of a group (5.2)."""
    return f"api/posts/{own}"


def points(post_id: str) -> str:
    """All arguments of a post, and the comments on them (R10); `[]` without its parameter."""
    return f"api/posts/{post_id}/newPoints"


def marked(group_id: str) -> str:
    """The posts that carry a publisher's mark (R18)."""
    return f"api/groups/{group_id}/get_posts_with_public_private"


def point(own: str) -> str:
    """One argument; to POST: the arguments of a group (5.7)."""
    return f"api/points/{own}"


def moderated(group_id: str) -> str:
    """Everything in a group that is not deleted, blocked things too; only for its admins (5.9)."""
    return f"api/groups/{group_id}/moderate_all_content"


def activities(scope: str, own: str) -> str:
    """The feed of a `groups` or `posts` (R21)."""
    return f"api/activities/{scope}/{own}"


def group_type(node: Mapping[str, Any]) -> str:
    """The platform's word for what a group is for."""
    if node.get("is_group_folder"):
        return "folder"
    configuration = node.get("configuration")
    number = configuration.get("groupType") if isinstance(configuration, dict) else None
    if isinstance(configuration, dict) and configuration.get("actAsLinkToCommunityId"):
        return "link"
    try:
        return GROUP_TYPES.get(int(number or 0), "ideas")
    except (TypeError, ValueError, OverflowError):
        return "ideas"
