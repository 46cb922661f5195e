"""What the interface shows of a row: the platform's own keys in the platform's own order, so also what it should not show.

The key lists were taken from recorded answers (docs/platforms/your-priorities.md 3).
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import msgspec

from .model import Database, Row


@cache
def columns(names: str) -> tuple[str, ...]:
    """Column names, written as one line."""
    return tuple(names.split())


_COUNTERS = "counter_communities counter_users counter_groups counter_points counter_posts counter_organizations"
_ABOUT = "message_to_users message_for_new_idea google_analytics_code"
_REST = "only_admins_can_create_communities theme_id other_social_media_info public_api_keys info_texts configuration"
DOMAIN = columns(f"id name domain_name access deleted description default_locale {_ABOUT} {_COUNTERS} {_REST}")
BOOT_DOMAIN = columns(
    f"id name domain_name access deleted default_locale description {_ABOUT} {_COUNTERS} {_REST} language data "
    "created_at updated_at"
)
COMMUNITY = columns(
    "id access configuration counter_groups counter_organizations counter_points counter_posts counter_users created_at "
    "default_locale hostname language description domain_id google_analytics_code name only_admins_can_create_groups "
    "status theme_id updated_at weight is_community_folder in_community_folder_id"
)
BOOT_COMMUNITY = columns(
    "id name hostname access deleted default_locale google_analytics_code description website is_community_folder "
    "in_community_folder_id ip_address user_agent weight status counter_posts counter_points counter_groups counter_users "
    "counter_organizations counter_flags only_admins_can_create_groups theme_id other_social_media_info configuration "
    "language data created_at updated_at domain_id user_id"
)
GROUP = columns(
    "id name access google_analytics_code is_group_folder in_group_folder_id status weight theme_id community_id created_at "
    "updated_at configuration language objectives counter_posts counter_points counter_users user_id"
)
CATEGORY = columns("id name description deleted icon_file_name language created_at updated_at group_id")
USER = columns("id description name facebook_id google_id github_id twitter_id legacy_passwords_disabled")
_POST = columns(
    "id name description public_data status content_type official_status counter_endorsements_up cover_media_type "
    "counter_endorsements_down group_id language counter_points counter_flags location created_at category_id"
)
_POST_WHOLE = columns(
    "id content_type name description status official_status ip_address user_agent deleted deleted_at status_changed_at "
    "official_status_changed_at counter_endorsements_up counter_endorsements_down counter_points counter_all_activities "
    "counter_main_activities counter_impressions counter_flags data public_data position location cover_media_type "
    "legacy_post_id user_interaction_profile language created_at updated_at CategoryId group_id category_id user_id UserId"
)
_POST_ACTIVE = columns(
    "id content_type name description status deleted status_changed_at official_status_changed_at counter_endorsements_up "
    "counter_endorsements_down counter_points public_data position location cover_media_type legacy_post_id language"
)
_POST_OPEN = columns(
    "id name description status official_status counter_endorsements_up cover_media_type counter_endorsements_down "
    "counter_points counter_flags data location created_at"
)
_POINT = columns(
    "id name content user_id value counter_quality_up counter_quality_down embed_data language created_at public_data"
)
_POINT_WHOLE = columns(
    "id name content_type content status value website deleted deleted_at counter_revisions counter_quality_up "
    "counter_quality_down counter_flags embed_data data public_data language created_at updated_at group_id "
    "post_status_change_id post_id community_id domain_id user_id image_id parent_point_id PostId UserId"
)
_POINT_ACTIVE = columns(
    "id name content_type content status value website deleted counter_revisions counter_quality_up embed_data "
    "counter_quality_down public_data language user_id"
)
_ACTIVITY = columns(
    "id access type sub_type status object actor target context user_interaction_profile deleted created_at updated_at "
    "domain_id community_id group_id post_id point_id invite_id user_id image_id post_status_change_id"
)
_CHANGE = columns("id subject content status published_at deleted status_changed_to")


def pick(row: Row, names: Iterable[str]) -> dict[str, Any]:
    """These columns of a row; what a row does not have is null."""
    return {name: row.get(name) for name in names}


class Views:
    """Renders rows of one database."""

    def __init__(self, database: Database) -> None:
        self.db = database
        self._rendered: dict[tuple[str, int], tuple[int, msgspec.Raw]] = {}

    def _once(self, kind: str, own: int, value: Callable[[], Any]) -> msgspec.Raw:
        """The part of a post that is the same for all posts of its group, encoded once per state of the database."""
        key = (kind, own)
        held = self._rendered.get(key)
        if held is None or held[0] != self.db.version:
            held = (self.db.version, msgspec.Raw(msgspec.json.encode(value())))
            self._rendered[key] = held
        return held[1]

    def user(self, own: int | None) -> dict[str, Any] | None:
        """The author as posts show them; null when the account is gone."""
        row = self.db.users.get(own or 0)
        return None if row is None else {**pick(row, USER), "UserProfileImages": row.get("images") or []}

    def _arguer(self, own: int) -> dict[str, Any]:
        row = self.db.users[own]
        names = ["id", "name", "facebook_id", "twitter_id", "google_id", "github_id"]
        return {**pick(row, names), "UserProfileImages": row.get("images") or []}

    def category(self, own: int | None, *, icons: bool = True) -> dict[str, Any] | None:
        """A category."""
        row = self.db.categories.get(own or 0)
        if row is None:
            return None
        return {**pick(row, CATEGORY), **({"CategoryIconImages": []} if icons else {})}

    def categories(self, group: int) -> list[Row]:
        """The categories of a group, as rows."""
        rows = [row for row in self.db.categories.values() if row["group_id"] == group and not row["deleted"]]
        return sorted(rows, key=lambda row: row["name"])

    def domain(self, own: int) -> dict[str, Any]:
        """A domain inside something else."""
        return pick(self.db.domains[own], DOMAIN)

    def group_in_list(self, row: Row, *, admins: list[int] | None = None) -> dict[str, Any]:
        """A group on its community's page, or in its folder."""
        community = self.db.communities[row["community_id"]]
        domain = self.db.domains[community["domain_id"]]
        folder = self.db.groups.get(row["in_group_folder_id"] or 0)
        return {
            **pick(row, GROUP),
            **({} if admins is None else {"GroupAdmins": [{"id": own} for own in admins]}),
            "Community": {
                **pick(community, columns("id theme_id name access google_analytics_code configuration")),
                "only_admins_can_create_groups": community["only_admins_can_create_groups"],
                "Domain": pick(domain, ["id", "theme_id", "name"]),
            },
            "GroupFolder": None if folder is None else pick(folder, ["id", "name"]),
            "Categories": [
                {**pick(one, ["id", "name"]), "CategoryIconImages": []} for one in self.categories(row["id"])
            ],
            "GroupLogoImages": [],
            "GroupHeaderImages": [],
        }

    def group_page(self, row: Row) -> dict[str, Any]:
        """R5."""
        community = self.db.communities[row["community_id"]]
        domain = self.db.domains[community["domain_id"]]
        folder = self.db.groups.get(row["in_group_folder_id"] or 0)
        names = "id theme_id name access google_analytics_code configuration language only_admins_can_create_groups"
        return {
            **pick(row, GROUP),
            "Community": {
                **pick(community, columns(names)),
                "Domain": pick(domain, ["id", "theme_id", "name", "configuration"]),
                "CommunityHeaderImages": [],
            },
            "GroupFolder": None if folder is None else pick(folder, ["id", "name"]),
            "Categories": [self.category(one["id"]) for one in self.categories(row["id"])],
            "GroupLogoImages": [],
            "GroupHeaderImages": [],
            "GroupLogoVideos": [],
        }

    def listed_post(self, row: Row) -> dict[str, Any]:
        """A post in R7."""
        return {
            **pick(row, _POST),
            "Category": self.category(row["category_id"]),
            "PostAudios": [],
            "User": self.user(row["user_id"]),
            "Group": self._once("list", row["group_id"], lambda: self._group_of_list(row["group_id"])),
            "PostHeaderImages": row.get("images") or [],
        }

    def _group_of_list(self, own: int) -> dict[str, Any]:
        row = self.db.groups[own]
        community = self.db.communities[row["community_id"]]
        names = "id name theme_id access google_analytics_code configuration only_admins_can_create_groups"
        return {
            **pick(row, columns("id configuration name theme_id access")),
            "Categories": [self.category(one["id"], icons=False) for one in self.categories(own)],
            "Community": pick(community, columns(names)),
        }

    def single_post(self, row: Row) -> dict[str, Any]:
        """R8."""
        return {
            **pick(row, _POST),
            "Category": self.category(row["category_id"]),
            "Group": self._once("single", row["group_id"], lambda: self._group_of_single(row["group_id"])),
            "User": self.user(row["user_id"]),
            "PostHeaderImages": row.get("images") or [],
            "PostAudios": [],
            "PostVideos": [],
        }

    def _group_of_single(self, own: int) -> dict[str, Any]:
        row = self.db.groups[own]
        community = self.db.communities[row["community_id"]]
        names = "id name theme_id google_analytics_code configuration only_admins_can_create_groups"
        return {
            **pick(row, columns("id configuration name theme_id access language")),
            "Categories": [self.category(one["id"], icons=False) for one in self.categories(own)],
            "Community": {**pick(community, columns(names)), "Domain": self.domain(community["domain_id"])},
        }

    def found_post(self, row: Row) -> dict[str, Any]:
        """A post in R16, the search: with all its arguments, deleted accounts or not."""
        group = self.db.groups[row["group_id"]]
        points = [one for one in self.db.points_of[row["id"]] if not one["deleted"]]
        return {
            **pick(row, _POST),
            "Category": self.category(row["category_id"]),
            "PostRevisions": [],
            "Points": [pick(one, ["id", "content"]) for one in points],
            "PostHeaderImages": row.get("images") or [],
            "PostVideos": [],
            "Group": pick(group, columns("id configuration name theme_id access")),
        }

    def open_post(self, row: Row) -> dict[str, Any]:
        """A post in R17, which shows `data` to anybody."""
        group = self.db.groups[row["group_id"]]
        community = self.db.communities[group["community_id"]]
        return {
            **pick(row, _POST_OPEN),
            "Group": {
                **pick(group, ["id", "configuration"]),
                "GroupLogoImages": [],
                "Community": pick(community, ["id", "configuration"]),
            },
            "PostHeaderImages": row.get("images") or [],
        }

    def whole_post(self, row: Row) -> dict[str, Any]:
        """A post inside R10: with its author's address and browser, and `data`."""
        return pick({**row, "CategoryId": row["category_id"], "UserId": row["user_id"]}, _POST_WHOLE)

    def point(self, row: Row) -> dict[str, Any]:
        """An argument in R9."""
        post = self.db.posts[row["post_id"]]
        names = ["content", "value", "embed_data", "created_at"]
        return {
            **pick(row, _POINT),
            "User": self._arguer(row["user_id"]),
            "PointRevisions": [pick(one, names) for one in row["revisions"]],
            "PointAudios": [],
            "Post": pick(post, ["id", "group_id"]),
        }

    def whole_point(self, row: Row) -> dict[str, Any]:
        """An argument in R10, with every single vote on it."""
        post = self.db.posts[row["post_id"]]
        return {
            **self._whole_point(row),
            "User": self._arguer(row["user_id"]),
            "PointRevisions": [self._revision(row, one) for one in row["revisions"]],
            "PointAudios": [],
            "PointQualities": [self._quality(row, one) for one in row["qualities"]],
            "Post": self._once("whole", post["id"], lambda: self.whole_post(post)),
        }

    def comment(self, row: Row) -> dict[str, Any]:
        """A comment in R11, with addresses and browsers."""
        address = {"ip_address": row.get("ip_address"), "user_agent": row.get("user_agent")}
        revisions = [
            {**self._revision(row, one), **address, "User": self.user(row["user_id"])} for one in row["revisions"]
        ]
        return {**self._whole_point(row), **address, "PointRevisions": revisions}

    def _whole_point(self, row: Row) -> dict[str, Any]:
        return pick({**row, "PostId": row["post_id"], "UserId": row["user_id"]}, _POINT_WHOLE)

    def _revision(self, row: Row, one: Row) -> dict[str, Any]:
        return {
            **pick(one, columns("id name content status value website embed_data deleted created_at updated_at")),
            "PointId": row["id"],
            "point_id": row["id"],
            "user_id": row["user_id"],
            "PostStatusChangeId": None,
        }

    def _quality(self, row: Row, one: Row) -> dict[str, Any]:
        voter = self.db.users.get(one["user_id"])
        return {
            **pick(one, columns("id value status deleted data created_at updated_at")),
            "PointId": row["id"],
            "point_id": row["id"],
            "user_id": one["user_id"],
            "PostStatusChangeId": None,
            "UserId": one["user_id"],
            "User": None if voter is None else pick(voter, ["id", "name"]),
        }

    def activity(self, row: Row) -> dict[str, Any]:
        """An entry of a feed; its post is null once it is blocked (4.2)."""
        post = self.db.posts.get(row["post_id"] or 0)
        point = self.db.points.get(row["point_id"] or 0)
        change = self.db.changes.get(row["post_status_change_id"] or 0)
        own = row["group_id"]
        group = self.db.groups[own]
        community, domain = group["community_id"], self.db.communities[group["community_id"]]["domain_id"]
        return {
            **pick(row, _ACTIVITY),
            "User": self.user(row["user_id"]),
            "Domain": self._once("domain", domain, lambda: self.domain(domain)),
            "Community": self._once("community", community, lambda: pick(self.db.communities[community], COMMUNITY)),
            "Group": self._once("feed", own, lambda: {**pick(group, GROUP), "GroupLogoImages": []}),
            "Post": self._active_post(post) if post is not None and self.db.visible(post) else None,
            "Point": self._active_point(point) if point is not None else None,
            "PostStatusChange": None if change is None else pick(change, _CHANGE),
        }

    def _active_post(self, row: Row) -> dict[str, Any]:
        group = self.db.groups[row["group_id"]]
        names = columns("id configuration theme_id access")
        return {
            **pick(row, _POST_ACTIVE),
            "Group": self._once("active", group["id"], lambda: pick(group, names)),
            "User": {"id": row["user_id"]} if row["user_id"] in self.db.users else None,
            "PostHeaderImages": row.get("images") or [],
            "PostAudios": [],
            "Category": self.category(row["category_id"]),
        }

    def _active_point(self, row: Row) -> dict[str, Any]:
        names = columns("id name content status value website deleted embed_data")
        author = self.db.users.get(row["user_id"])
        return {
            **pick(row, _POINT_ACTIVE),
            "PointRevisions": [
                {**pick(one, names), "User": None if author is None else pick(author, USER)} for one in row["revisions"]
            ],
            "PointAudios": [],
            "Post": pick(self.db.posts[row["post_id"]], ["id", "group_id"]),
            "User": {"id": row["user_id"]} if author is not None else None,
        }
