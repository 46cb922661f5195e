"""What can happen to a sandbox between two requests: what citizens, moderators and operators do."""

from datetime import timedelta
from typing import Any

from ...testing.sandbox.city import PRIVATE
from ...testing.sandbox.sandbox import Operation
from .model import Database, Row, stamp
from .populate import ADMIN, BOT, FIRST_PERSON, activity, category, group, point, post, revision, status_change
from .whole import Whole


class Changes:
    """Named changes of one sandbox; ids are numbers or text."""

    def __init__(self, sandbox: Whole) -> None:
        self.sandbox = sandbox

    @property
    def db(self) -> Database:
        """The database of now: loading recordings replaces it."""
        return self.sandbox.database

    def named(self) -> dict[str, Operation]:
        """All changes by name."""
        names = (
            "edit support oppose comment reply edit_comment hide_comment delete_comment hide restore delete withdraw"
        )
        names += " answer answer_text add_proposal erase_author anonymize move_post odd_status category edit_category"
        names += " remove_category lose_permission regain_permission hide_group add_group empty fill login_page login_page_off"
        names += " restore_comment rate_comment delete_group restore_group rename_group rename_community rename_domain"
        names += " community_access domain_access retract_answer"
        names += " configure moderator_edit block approve end_sessions"
        return {name: getattr(self, name) for name in names.split()}

    def _now(self, milliseconds: int = 0) -> str:
        return stamp(self.sandbox.clock() + timedelta(milliseconds=milliseconds))

    def _post(self, own: Any) -> Row:
        return self.db.posts[int(own)]

    def _touched(self, row: Row) -> None:
        row["updated_at"] = self._now()
        self.db.touch(row["group_id"])

    def edit(self, id: Any, title: str | None = None, description: str | None = None, **values: Any) -> None:
        """The author writes something else."""
        row = self._post(id)
        if title is not None:
            row["name"] = title
        if description is not None:
            row["description"] = description
        for name in values.keys() & {"location", "category_id", "language"}:
            row[name] = values[name]
        self._touched(row)

    def support(self, id: Any, times: int = 1) -> int:
        """Votes in favour."""
        row = self._post(id)
        row["counter_endorsements_up"] += times
        self._touched(row)
        return int(row["counter_endorsements_up"])

    def oppose(self, id: Any, times: int = 1) -> int:
        """Votes against."""
        row = self._post(id)
        row["counter_endorsements_down"] += times
        self._touched(row)
        return int(row["counter_endorsements_down"])

    def comment(self, id: Any, body: str = "Góð hugmynd!", value: int = 1, author: int = FIRST_PERSON) -> str:
        """Somebody argues; the worker writes it into the feed a moment later."""
        row = self._post(id)
        number = self.db.next_id("points")
        self.db.add("points", point(number, row, author, value, body, self._now()))
        row["counter_points"] += 1
        activity(self.db, "activity.point.new", row, author, self._now(120), point_id=number)
        self._touched(row)
        return str(number)

    def reply(self, id: Any, body: str = "Sammála þessu!", author: int = FIRST_PERSON) -> str:
        """Somebody comments on an argument: that moves no counter and is in no feed."""
        parent = self.db.points[int(id)]
        row = self._post(parent["post_id"])
        number = self.db.next_id("points")
        self.db.add("points", point(number, row, author, 0, body, self._now(), parent_point_id=parent["id"]))
        return str(number)

    def edit_comment(self, id: Any, body: str = "Breytt") -> None:
        """Adds a revision: nothing else moves (4.3)."""
        row = self.db.points[int(id)]
        row["revisions"].append(
            revision(2_000_000 + len(row["revisions"]) + row["id"] * 10, body, row["value"], self._now())
        )

    def hide_comment(self, id: Any) -> None:
        """A moderator blocks an argument: no counter and no date tells of it (2, 4.3)."""
        self.db.points[int(id)]["status"] = "blocked"
        self.db.touch()

    def restore_comment(self, id: Any) -> None:
        """An argument is approved again, as silently."""
        self.db.points[int(id)]["status"] = "published"
        self.db.touch()

    def rate_comment(self, id: Any, up: int = 1, down: int = 0) -> None:
        """Readers find an argument helpful or not; its own date moves (4.3)."""
        row = self.db.points[int(id)]
        row["counter_quality_up"] += up
        row["counter_quality_down"] += down
        row["updated_at"] = self._now()

    def delete_comment(self, id: Any) -> None:
        """An argument is deleted: the post's counter stays (4.3), only the group's date moves (4.1)."""
        row = self.db.points[int(id)]
        row["deleted"] = True
        self.db.groups[self._post(row["post_id"])["group_id"]]["updated_at"] = self._now()
        self.db.touch()

    def hide(self, id: Any) -> None:
        """A moderator blocks a post."""
        row = self._post(id)
        row["status"] = "blocked"
        self._touched(row)

    def restore(self, id: Any) -> None:
        """A post is approved again."""
        row = self._post(id)
        row["status"], row["deleted"] = "published", False
        self._touched(row)

    def delete(self, id: Any) -> None:
        """A post is deleted, and with it, by the worker, what hangs on it."""
        row = self._post(id)
        row["deleted"] = True
        for key in [key for key in self.db.votes if key[0] == row["id"]]:
            del self.db.votes[key]
        for one in [*self.db.points_of[row["id"]], *self.db.activities_of[row["group_id"]]]:
            if one.get("post_id") == row["id"]:
                one["deleted"] = True
        self._touched(row)

    withdraw = delete

    def answer(self, id: Any, status: int = 2, content: str = "Samþykkt.") -> str:
        """An official status with its text."""
        row = self._post(id)
        row["official_status"] = status
        change = status_change(self.db, row, status, content, self._now(90))
        self._touched(row)
        return str(change["id"])

    def answer_text(self, id: Any, content: str = "Uppfærsla.") -> str:
        """An official text that changes no status."""
        return str(status_change(self.db, self._post(id), None, content, self._now(90))["id"])

    def odd_status(self, id: Any, status: int | None = 7) -> None:
        """A status that no list shows (0.3)."""
        row = self._post(id)
        row["official_status"] = status
        self._touched(row)

    def add_proposal(
        self, title: str = "Ný hugmynd", group: Any = 1, description: str = "", status: int = 0, author: int = BOT
    ) -> str:
        """Somebody posts; the author has voted for it already."""
        number = self.db.next_id("posts")
        row = post(number, int(group), author, title, description, self._now(), official_status=status)
        self.db.add("posts", row)
        self.db.groups[int(group)]["counter_posts"] += 1
        self.db.groups[int(group)]["updated_at"] = self._now()
        activity(self.db, "activity.post.new", row, author, self._now(107))
        return str(number)

    def erase_author(self, id: Any, worker: bool = True) -> None:
        """The account of an author is deleted: `User` is null at once, and the worker deletes what it posted and argued (10).

        Counters stay as they are. Without `worker` it has not come to that yet.
        """
        own = self._post(id)["user_id"] or 0
        self.db.users.pop(own, None)
        if worker:
            for row in [row for row in self.db.posts.values() if row["user_id"] == own]:
                self.delete(row["id"])
            for point in [row for row in self.db.points.values() if row["user_id"] == own]:
                point["deleted"] = True
        self.db.touch()

    def anonymize(self, id: Any) -> None:
        """Another user stands as author of all that an author wrote from now on; texts and votes stay (10)."""
        own = self._post(id)["user_id"]
        for row in [*self.db.posts.values(), *self.db.points.values()]:
            if row["user_id"] == own:
                row["user_id"] = ADMIN
        self.db.touch()

    def move_post(self, id: Any, group: Any) -> None:
        """To another group."""
        self.db.move(self._post(id), int(group))

    def category(self, name: str = "Nýr flokkur", group: Any = 1) -> str:
        """A new category."""
        number = self.db.next_id("categories")
        self.db.add("categories", category(number, name, int(group), self._now()))
        self.db.touch()
        return str(number)

    def edit_category(self, id: Any, name: str = "Breytt") -> None:
        """Another name for a category."""
        self.db.categories[int(id)]["name"] = name
        self.db.touch()

    def remove_category(self, id: Any) -> None:
        """A category is deleted."""
        self.db.categories[int(id)]["deleted"] = True
        self.db.touch()

    def lose_permission(self, group: Any = 1) -> None:
        """A group is closed. Its community still answers, so that is an answer too (4.3)."""
        self.db.groups[int(group)]["access"] = 1
        self.db.touch()

    def regain_permission(self, group: Any = 1) -> None:
        """A group is opened again."""
        self.db.groups[int(group)]["access"] = 0
        self.db.touch()

    def delete_group(self, group: Any = 1) -> None:
        """A group is deleted by its admin: nothing of it is shown any more."""
        self.db.groups[int(group)]["deleted"] = True
        self.db.touch()

    def restore_group(self, group: Any = 1) -> None:
        """A deleted group is there again."""
        self.db.groups[int(group)]["deleted"] = False
        self.db.touch()

    def rename_group(self, group: Any = 1, name: str = "Annað nafn") -> None:
        """Another name for a group."""
        row = self.db.groups[int(group)]
        row["name"], row["updated_at"] = name, self._now()
        self.db.touch()

    def rename_community(self, community: Any = 1, name: str = "Annað nafn") -> None:
        """Another name for a community."""
        row = self.db.communities[int(community)]
        row["name"], row["updated_at"] = name, self._now()
        self.db.touch()

    def rename_domain(self, domain: Any = 1, name: str = "Annað nafn") -> None:
        """Another name for the whole site."""
        self.db.domains[int(domain)]["name"] = name
        self.db.touch()

    def community_access(self, community: Any = 1, access: int = 1) -> None:
        """A community is closed (1), secret (2) or public (0)."""
        self.db.communities[int(community)]["access"] = int(access)
        self.db.touch()

    def domain_access(self, domain: Any = 1, access: int = 1) -> None:
        """The whole site is closed (1) or public (0)."""
        self.db.domains[int(domain)]["access"] = int(access)
        self.db.touch()

    def retract_answer(self, id: Any) -> None:
        """An official text is taken back: its change is deleted, its post's status stays."""
        self.db.changes[int(id)]["deleted"] = True
        self.db.touch()

    def hide_group(self, group: Any = 1) -> None:
        """A group is left out of all pages, and still readable."""
        self.db.groups[int(group)]["status"] = "hidden"
        self.db.touch()

    def add_group(self, name: str = "Nýr hópur", community: Any = 1, **settings: Any) -> str:
        """A new group; `settings` go into its configuration."""
        number = self.db.next_id("groups")
        self.db.add("groups", group(number, name, int(community), self._now(), settings))
        return str(number)

    def configure(self, group: Any = 1, **values: Any) -> None:
        """Changes the configuration of a group."""
        self.db.groups[int(group)]["configuration"].update(values)
        self.db.touch()

    def moderator_edit(self, id: Any, title: str | None = None, description: str | None = None) -> None:
        """A group admin writes something else; the author stays, and nothing says who changed it."""
        self.edit(id, title, description)

    def block(self, id: Any) -> None:
        """A moderator blocks a post."""
        self.hide(id)

    def approve(self, id: Any) -> None:
        """A moderator approves a post."""
        self.restore(id)

    def end_sessions(self) -> None:
        """The server forgets everybody's session."""
        self.sandbox.sessions.clear()

    def empty(self) -> None:
        """All lists come back empty although nothing is gone."""
        self.sandbox.lists_empty = True

    def fill(self) -> None:
        """Lists come back as they are."""
        self.sandbox.lists_empty = False

    def login_page(self) -> None:
        """Every address answers a page to sign in, with status 200."""
        self.sandbox.page_instead = True

    def login_page_off(self) -> None:
        """The end of that."""
        self.sandbox.page_instead = False


def plant(sandbox: Whole) -> list[str]:
    """Private data wherever the platform serves or keeps it, names included; never in what citizens typed."""
    db = sandbox.database
    for own, row in db.users.items():
        row["name"] = f"{PRIVATE} name {own}"
        for name in ("facebook_id", "google_id", "github_id", "twitter_id"):
            row[name] = f"{PRIVATE}-{name}-{own}"
        row["description"] = f"{PRIVATE} about me"
        row["images"] = [{"id": own, "formats": f'["https://media.example/{PRIVATE}.png"]'}]
    contact = {"name": PRIVATE, "email": f"{PRIVATE}@mail.example", "telephone": f"+354 {PRIVATE}", "address": PRIVATE}
    for row in [*db.posts.values(), *db.points.values()]:
        row["ip_address"], row["user_agent"] = f"10.{PRIVATE}", f"Browser {PRIVATE}"
        row["data"] = {
            "contact": contact,
            "attachment": {"url": f"https://media.example/{PRIVATE}.pdf"},
            "moderation": {"lastReportedBy": [{"userEmail": f"{PRIVATE}@mail.example"}]},
            "browserFingerprint": PRIVATE,
            "publicPrivateData": {"note": PRIVATE},
        }
    for row in db.points.values():
        voter = {
            "user_id": BOT,
            "data": {"browserFingerprint": PRIVATE},
            "status": "active",
            "deleted": False,
            "value": 1,
        }
        row["qualities"] = [
            {**voter, "id": row["id"], "created_at": row["created_at"], "updated_at": row["created_at"]}
        ]
    for row in db.communities.values():
        row["ip_address"], row["user_agent"] = f"10.{PRIVATE}", PRIVATE
        row["data"] = {"token": PRIVATE}
    for row in db.domains.values():
        row["data"], row["public_api_keys"] = {"token": PRIVATE}, {"key": PRIVATE}
        row["google_analytics_code"] = PRIVATE
    db.touch()
    return [PRIVATE]
