"""The sandbox's database: rows as dictionaries with the platform's own column names, and the lists cut from them.

What the interface shows of a row is the views' business; who may see it is `Rights`' business.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]

TABLES = ("domains", "communities", "groups", "categories", "users", "posts", "points", "activities", "changes")
STATUS = {"open": (0,), "successful": (2,), "failed": (-2,), "in_progress": (-1, 1)}
RATED_AT_MOST = 1500


def written(activity: Row) -> str:
    """When the worker wrote an activity."""
    return str(activity["created_at"])


def stamp(value: datetime) -> str:
    """A time as Sequelize writes it into JSON."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Database:
    """All rows by table and id. Call `touch` after changing anything of a group, so that its lists and feeds are cut anew."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[int, Row]] = {name: {} for name in TABLES}
        self.members: set[tuple[str, int, int]] = set()
        """("groups", id, user id): members; the same with "…_admins"."""
        self.points_of: dict[int, list[Row]] = defaultdict(list)
        self.posts_of: dict[int, list[Row]] = defaultdict(list)
        self.activities_of: dict[int, list[Row]] = defaultdict(list)
        self.votes: dict[tuple[int, int], Row] = {}
        """(post, user) to the row of a vote, of votes cast after the city was built; a withdrawn one stays, with value 0."""
        self.version = 0
        self._last: dict[str, int] = dict.fromkeys(TABLES, 0)
        self._feeds: dict[tuple[int, ...], list[Row]] = {}
        self._lists: dict[tuple[int, str, str | None, str], list[Row]] = {}

    def __getattr__(self, name: str) -> dict[int, Row]:
        if name in TABLES:
            return self.tables[name]
        raise AttributeError(name)

    def vote(self, post: int, user: int, value: Any, at: str) -> Row:
        """The row of a vote, new or changed; counters are the caller's business."""
        row = self.votes.get((post, user))
        if row is None:
            row = self.votes[post, user] = {
                "id": len(self.votes) + 1,
                "post_id": post,
                "user_id": user,
                "created_at": at,
            }
        row.update(value=value, updated_at=at)
        return row

    def next_id(self, table: str) -> int:
        """The number that the next row of a table gets."""
        return self._last[table] + 1

    def add(self, table: str, row: Row) -> Row:
        """Insert a row."""
        own: int = row["id"]
        self.tables[table][own] = row
        self._last[table] = max(self._last[table], own)
        if table == "posts":
            self.posts_of[row["group_id"]].append(row)
            self.touch(row["group_id"])
        elif table == "points":
            self.points_of[row["post_id"]].append(row)
        elif table == "activities":
            self.activities_of[row["group_id"]].append(row)
            self._feeds.clear()
        return row

    def touch(self, group: int | None = None) -> None:
        """The lists of a group (None: all) are stale, and so is everything rendered from its rows."""
        self.version += 1
        self._feeds.clear()
        if group is None:
            self._lists.clear()
        else:
            for key in [key for key in self._lists if key[0] == group]:
                del self._lists[key]

    def listed(self, group: int, order: str, category: str | None, status: str) -> list[Row]:
        """The visible posts of one of the four lists, in order."""
        key = (group, order, category, status)
        found = self._lists.get(key)
        if found is None:
            wanted = STATUS[status]
            found = [
                post
                for post in self.posts_of[group]
                if self.visible(post)
                and post["official_status"] in wanted
                and (category is None or post["category_id"] == int(category))
            ]
            found.sort(key=_ORDER.get(order, _ORDER["top"]))
            if order in {"newest", "random"}:
                found.sort(key=_ORDER["newest"], reverse=True)
            self._lists[key] = found
        return found

    @staticmethod
    def visible(post: Row) -> bool:
        """Neither deleted nor blocked."""
        return not post["deleted"] and post["status"] == "published"

    def live_points(self, post: int) -> list[Row]:
        """Arguments and comments of a post as R9 and R10 count them: those whose author still exists."""
        return [point for point in self.points_of[post] if not point["deleted"] and point["user_id"] in self.users]

    def feed(self, groups: tuple[int, ...]) -> list[Row]:
        """All activities of these groups, oldest first."""
        found = self._feeds.get(groups)
        if found is None:
            found = [one for group in groups for one in self.activities_of[group] if not one["deleted"]]
            found.sort(key=written)
            self._feeds[groups] = found
        return found

    def move(self, post: Row, group: int) -> None:
        """To another group; its activities go along and keep their time (4.2)."""
        old = post["group_id"]
        self.posts_of[old].remove(post)
        post["group_id"] = group
        self.posts_of[group].append(post)
        self.posts_of[group].sort(key=lambda row: row["id"])
        for one in [one for one in self.activities_of[old] if one["post_id"] == post["id"]]:
            self.activities_of[old].remove(one)
            one["group_id"] = group
            self.activities_of[group].append(one)
        for point in self.points_of[post["id"]]:
            point["group_id"] = group
        self.touch()


_ORDER: dict[str, Callable[[Row], Any]] = {
    "oldest": lambda post: post["created_at"],
    "newest": lambda post: post["created_at"],
    "random": lambda post: post["created_at"],
    "alphabetical": lambda post: post["name"].casefold(),
    "most_debated": lambda post: -post["counter_points"],
    # Ties have no order of their own; `tie` is where a recording happened to show them.
    "top": lambda post: (
        post["counter_endorsements_down"] - post["counter_endorsements_up"],
        post.get("tie", 1_000_000),
    ),
}


class Rights:
    """Who may see what (docs/platforms/your-priorities.md 3); `user` is None for a visitor."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def _is(self, kind: str, own: int, user: int | None) -> bool:
        return user is not None and (
            (kind, own, user) in self.database.members or (f"{kind}_admins", own, user) in self.database.members
        )

    def domain(self, row: Row | None, user: int | None) -> bool:
        """View domain."""
        return row is not None and (row["access"] == 0 or self._is("domains", row["id"], user))

    def community(self, row: Row | None, user: int | None) -> bool:
        """View community."""
        if row is None or row["deleted"]:
            return False
        return row["access"] == 0 or row["user_id"] == user or self._is("communities", row["id"], user)

    def group(self, row: Row | None, user: int | None) -> bool:
        """View group: public only inside a public community, members and admins otherwise."""
        if row is None or row["deleted"]:
            return False
        community = self.database.communities[row["community_id"]]
        if row["access"] in {0, 3} and community["access"] == 0:
            return True
        if user is not None and row["user_id"] == user:
            return True
        if self._is("groups", row["id"], user):
            return True
        return row["access"] in {0, 3} and self._is("communities", community["id"], user)

    def admin(self, group: int, user: int | None) -> bool:
        """Group admin: that of a community or domain is none (docs/platforms/your-priorities.md 5.11)."""
        return user is not None and ("groups_admins", group, user) in self.database.members

    def writes(self, row: Row | None, user: int | None) -> bool:
        """Create post or point in a group (5.2): its own access counts, not the community's; nobody asks whether it takes posts."""
        if row is None or row["deleted"] or user is None:
            return False
        if self.admin(row["id"], user) or row["user_id"] == user:
            return True
        configuration, above = row["configuration"], self.database.communities[row["community_id"]]
        if configuration.get("forceSecureSamlLogin") or above["configuration"].get("forceSecureSamlLogin"):
            return False
        profile = self.database.users[user].get("profile_data") or {}
        if profile.get("isAnonymousUser") and not configuration.get("allowAnonymousUsers"):
            return False
        if row["access"] == 0 or self._is("groups", row["id"], user):
            return True
        return row["access"] == 3 and self._is("communities", above["id"], user)

    def administers(self, row: Row | None, user: int | None) -> bool:
        """Edit and delete post: its author, or a group admin. What is blocked or deleted is found by neither."""
        if row is None or user is None or not self.database.visible(row):
            return False
        return row["user_id"] == user or self.admin(row["group_id"], user)

    def post(self, row: Row | None, user: int | None) -> bool:
        """View post: the community's access is not asked for in a public group."""
        if row is None or not self.database.visible(row):
            return False
        group = self.database.groups[row["group_id"]]
        if group["deleted"]:
            return False
        return group["access"] == 0 or (user is not None and row["user_id"] == user) or self.group(group, user)
