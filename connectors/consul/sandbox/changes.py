"""What can happen to a sandbox between two requests: what citizens, moderators and the night do."""

from datetime import datetime, timedelta
from typing import Any

from ...testing.sandbox.sandbox import Operation
from .model import Row
from .whole import Whole

_SWITCHES = frozenset(
    {
        "graphql_off",
        "maintenance",
        "basic_auth",
        "verification",
        "translation_interface",
        "maps",
        "lockable",
        "mail_server",
        "force_ssl",
    }
)


class Changes:
    """Named changes of one sandbox; ids are numbers or text."""

    def __init__(self, sandbox: Whole) -> None:
        self.sandbox = sandbox
        self.database = sandbox.database

    def named(self) -> dict[str, Operation]:
        """All changes by name."""
        names = (
            "edit",
            "support",
            "comment",
            "hide",
            "restore",
            "retire",
            "add_proposal",
            "publish",
            "hide_comment",
            "milestone",
        )
        names += (
            "erase_author",
            "block_author",
            "move_row",
            "nightly",
            "delete",
            "switch",
            "reply",
            "withdraw",
            "empty",
        )
        names += (
            "restore_comment",
            "edit_comment",
            "vote_comment",
            "swap_comments",
            "private_author",
            "tag",
            "untag",
            "rename_tag",
            "delete_tag",
            "area",
            "rename_area",
            "edit_milestone",
            "delete_milestone",
            "select",
            "valuate",
            "add_investment",
            "add_budget",
            "budget",
            "vote",
            "unvote",
        )
        return {name: getattr(self, name) for name in names}

    def _row(self, kind: str, own: Any) -> Row:
        return self.database.tables[f"{kind}s"].by_id[int(own)]

    def edit(self, id: Any, title: str | None = None, description: str | None = None, kind: str = "proposal") -> None:
        row = self._row(kind, id)
        texts = next(iter(row.texts.values()))
        if title is not None:
            texts["title"] = title
        if description is not None:
            texts["description"] = description
        self.database.tables[f"{kind}s"].touch(row)

    def support(self, id: Any, times: int = 1, kind: str = "proposal") -> int:
        row = self._row(kind, id)
        row.values["cached_votes_up"] = (row["cached_votes_up"] or 0) + times
        self.database.tables[f"{kind}s"].touch(row)
        return int(row["cached_votes_up"])

    def comment(self, id: Any, body: str = "Goed idee!", kind: str = "proposal", parent: Any = None) -> str:
        row = self._row(kind, id)
        heap = self.database.tables["comments"]
        commentable = {"proposal": "Proposal", "debate": "Debate", "investment": "Budget::Investment"}[kind]
        above = heap.by_id[int(parent)] if parent is not None else None
        ancestry = "/".join(filter(None, (above["ancestry"], str(above.id)))) if above else None
        values = {"commentable_type": commentable, "commentable_id": row.id, "ancestry": ancestry}
        values |= {"cached_votes_up": 0, "cached_votes_down": 0}
        new = heap.add(
            Row(heap.next_id(), "comment", {self.sandbox.locale: {"body": body}}, 1, self.sandbox.clock(), values)
        )
        self.database.children.setdefault((row.kind, row.id), []).append(new)
        self.database.count_comments(row)
        self.database.tables[f"{kind}s"].touch(row)
        return str(new.id)

    def reply(self, id: Any, body: str = "Eens.") -> str:
        above = self.database.tables["comments"].by_id[int(id)]
        kind = {"Proposal": "proposal", "Debate": "debate"}.get(above["commentable_type"], "investment")
        return self.comment(above["commentable_id"], body, kind, id)

    def hide(self, id: Any, kind: str = "proposal") -> None:
        self._row(kind, id).hidden = True
        self.database.dirty()

    delete = hide

    def restore(self, id: Any, kind: str = "proposal") -> None:
        self._row(kind, id).hidden = False
        self.database.dirty()

    def hide_comment(self, id: Any) -> None:
        comment = self.database.tables["comments"].by_id[int(id)]
        comment.hidden = True
        kind = {"Proposal": "proposal", "Debate": "debate", "Budget::Investment": "investment"}.get(
            comment["commentable_type"]
        )
        if kind:
            row = self._row(kind, comment["commentable_id"])
            self.database.count_comments(row)
            self.database.tables[f"{kind}s"].touch(row)
        self.database.dirty()

    def retire(self, id: Any, reason: str = "done") -> None:
        row = self._row("proposal", id)
        row.values.update(retired_at=self.sandbox.clock(), retired_reason=reason, retired_explanation="Klaar.")
        self.database.tables["proposals"].touch(row)

    withdraw = retire

    def add_proposal(
        self, title: str = "Nieuw voorstel", draft: bool = False, supports: int = 0, id: Any = None
    ) -> str:
        heap = self.database.tables["proposals"]
        now: datetime = self.sandbox.clock()
        values = {
            "cached_votes_up": supports,
            "comments_count": 0,
            "published_at": None if draft else now,
            "geozone_id": None,
        }
        text = {"title": title, "summary": title, "description": f"<p>{title}</p>"}
        new = Row(int(id) if id else heap.next_id(), "proposal", {self.sandbox.locale: text}, 1, now, values)
        heap.add(new)
        return str(new.id)

    def publish(self, id: Any) -> None:
        row = self._row("proposal", id)
        row.values["published_at"] = self.sandbox.clock()
        self.database.tables["proposals"].touch(row)

    def milestone(self, id: Any, title: str = "Stap 1", kind: str = "proposal") -> str:
        date = (self.sandbox.clock() + timedelta(days=1)).date().isoformat()
        now = self.sandbox.clock()
        return str(self.database.add_milestone(self._row(kind, id), title, date, now, self.sandbox.locale).id)

    def edit_milestone(self, id: Any, title: str = "Anders besloten") -> None:
        next(iter(self.database.tables["milestones"].by_id[int(id)].texts.values()))["title"] = title

    def delete_milestone(self, id: Any) -> None:
        row = self.database.tables["milestones"].by_id.pop(int(id))
        self.database.tables["milestones"].rows.remove(row)
        self.database.milestones_of[row["target_type"] or "proposal", row["target_id"]].remove(row)
        self.database.dirty()

    def restore_comment(self, id: Any) -> None:
        self.database.tables["comments"].by_id[int(id)].hidden = False
        self._count_again(id)

    def edit_comment(self, id: Any, body: str = "Toch anders.") -> None:
        next(iter(self.database.tables["comments"].by_id[int(id)].texts.values()))["body"] = body

    def vote_comment(self, id: Any, times: int = 1) -> None:
        row = self.database.tables["comments"].by_id[int(id)]
        row.values["cached_votes_up"] = (row["cached_votes_up"] or 0) + times
        kind, target = self._commented(row)
        if kind:
            # A vote on a comment writes what is commented (docs/platforms/consul.md 3.2): it moves, and no counter of it changes.
            self.database.tables[f"{kind}s"].touch(self._row(kind, target))

    def swap_comments(self, id: Any, body: str = "In plaats daarvan.") -> str:
        """One is hidden and another written in the same interval: the number stays."""
        kind, target = self._commented(self.database.tables["comments"].by_id[int(id)])
        self.hide_comment(id)
        return self.comment(target, body, kind)

    def _commented(self, comment: Row) -> tuple[str, Any]:
        kinds = {"Proposal": "proposal", "Debate": "debate", "Budget::Investment": "investment"}
        return kinds.get(comment["commentable_type"], ""), comment["commentable_id"]

    def _count_again(self, id: Any) -> None:
        kind, target = self._commented(self.database.tables["comments"].by_id[int(id)])
        if kind:
            row = self._row(kind, target)
            self.database.count_comments(row)
            self.database.tables[f"{kind}s"].touch(row)
        self.database.dirty()

    def private_author(self, id: Any, private: bool = True, kind: str = "proposal") -> None:
        author = self.database.author_of(self._row(kind, id))
        if author is not None:
            author.values["public_activity"] = not private

    def tag(self, id: Any, names: Any = "nieuw", kind: str = "proposal") -> None:
        """More tags, beyond the six that the form of a new one takes (docs/platforms/consul.md 10b)."""
        heap, row = self.database.tables["tags"], self._row(kind, id)
        mine = self.database.taggings.setdefault((kind, row.id), [])
        for name in str(names).split(","):
            found = next((t for t in heap.rows if t["name"] == name), None)
            found = found or heap.add(
                Row(heap.next_id(), "tag", {}, None, self.sandbox.clock(), {"name": name, "kind": None})
            )
            mine.insert(0, found)
        self.database.tables[f"{kind}s"].touch(row)

    def untag(self, id: Any, kind: str = "proposal") -> None:
        self.database.taggings[kind, int(id)] = []
        self.database.tables[f"{kind}s"].touch(self._row(kind, id))

    def rename_tag(self, id: Any, name: str = "Hernoemd") -> None:
        self.database.tables["tags"].by_id[int(id)].values["name"] = name

    def delete_tag(self, id: Any) -> None:
        """Its taggings go with it; no row that carried it is written."""
        row = self.database.tables["tags"].by_id.pop(int(id))
        self.database.tables["tags"].rows.remove(row)
        for mine in self.database.taggings.values():
            mine[:] = [each for each in mine if each is not row]
        self.database.dirty()

    def area(self, id: Any, area: Any = None) -> None:
        self._row("proposal", id).values["geozone_id"] = int(area) if area else None

    def rename_area(self, id: Any, name: str = "Hernoemd") -> None:
        self.database.tables["geozones"].by_id[int(id)].values["name"] = name

    def select(self, id: Any) -> None:
        """Selected by the government: no list but `selected=all` shows it (docs/platforms/consul.md 9)."""
        self._row("proposal", id).values["selected"] = True

    def valuate(self, id: Any, feasibility: str = "feasible", price: int | None = None) -> None:
        row = self._row("investment", id)
        row.values["feasibility"] = feasibility
        row.values["price"] = price if price is not None else row["price"]
        self.database.tables["investments"].touch(row)

    def add_investment(self, title: str = "Nieuw project", budget: Any = 1) -> str:
        heap = self.database.tables["investments"]
        text = {"title": title, "description": f"<p>{title}</p>"}
        values = {"budget_id": int(budget), "feasibility": "undecided", "price": None, "comments_count": 0}
        row = Row(heap.next_id(), "investment", {self.sandbox.locale: text}, 1, self.sandbox.clock(), values)
        return str(heap.add(row).id)

    def add_budget(self, name: str = "Nieuwe begroting", published: bool = True) -> str:
        heap = self.database.tables["budgets"]
        values = {"phase": "accepting", "published": published}
        row = Row(heap.next_id(), "budget", {self.sandbox.locale: {"name": name}}, None, self.sandbox.clock(), values)
        self.database.dirty()
        return str(heap.add(row).id)

    def budget(self, id: Any, published: bool | None = None, phase: str | None = None, name: str | None = None) -> None:
        row = self._row("budget", id)
        if published is not None:
            row.values["published"] = published
        if phase is not None:
            row.values["phase"] = phase
        if name is not None:
            next(iter(row.texts.values()))["name"] = name
        self.database.dirty()

    def vote(self, id: Any, kind: str = "proposal", person: Any = 1) -> str:
        heap, named = self.database.tables["votes"], {"proposal": "Proposal", "debate": "Debate", "comment": "Comment"}
        values = {"votable": kind, "votable_type": named[kind], "votable_id": int(id), "vote_flag": True}
        return str(heap.add(Row(heap.next_id(), "vote", {}, int(person), self.sandbox.clock(), values)).id)

    def unvote(self, id: Any) -> None:
        row = self.database.tables["votes"].by_id.pop(int(id))
        self.database.tables["votes"].rows.remove(row)
        self.database.dirty()

    def erase_author(self, id: Any) -> None:
        author = self.database.author_of(self._row("proposal", id))
        if author is not None:
            author.values["username"] = None

    def block_author(self, id: Any) -> int:
        author = self._row("proposal", id).author
        self.database.tables["users"].by_id[author or 0].hidden = True
        mine = [
            r
            for name in ("proposals", "debates", "investments", "comments")
            for r in self.database.tables[name].rows
            if r.author == author
        ]
        for row in mine:
            row.hidden = True
        for row in [row for row in mine if row.kind == "comment"]:
            self._count_again(row.id)
        self.database.dirty()
        return len(mine)

    def move_row(self, id: Any = None, kind: str = "proposal", times: int = 1, nearby: bool | None = None) -> None:
        heap = self.database.tables[f"{kind}s"]
        for _ in range(times):
            row = self._row(kind, id) if id is not None else heap.rows[self.database.rng.randrange(len(heap.rows))]
            heap.touch(row, nearby=nearby)

    def nightly(self) -> None:
        for name in ("proposals", "debates"):
            heap = self.database.tables[name]
            self.database.rng.shuffle(heap.rows)
            heap.version += 1

    def empty(self, share: float = 1.0) -> int:
        rows = self.database.tables["proposals"].rows
        hidden = rows[: int(len(rows) * share)]
        for row in hidden:
            row.hidden = True
        self.database.dirty()
        return len(hidden)

    def switch(self, **values: Any) -> None:
        for name, value in values.items():
            if name in _SWITCHES:
                setattr(self.sandbox, name, bool(value))
            elif name == "edit_limit":
                self.sandbox.edit_limit = int(value)
            elif name == "archive_months":
                self.sandbox.archive_months = int(value)
            elif name in self.sandbox.processes:
                self.sandbox.processes[name] = "t" if value else None
            else:
                raise ValueError(f"unknown switch {name!r}")
