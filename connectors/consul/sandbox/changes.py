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

    def milestone(self, id: Any, title: str = "Stap 1") -> str:
        heap = self.database.tables["milestones"]
        text = {"title": title, "description": "<p>Besloten.</p>"}
        date = (self.sandbox.clock() + timedelta(days=1)).date().isoformat()
        values = {"publication_date": date, "target_id": int(id)}
        new = heap.add(
            Row(heap.next_id(), "milestone", {self.sandbox.locale: text}, None, self.sandbox.clock(), values)
        )
        self.database.milestones_of.setdefault(("proposal", int(id)), []).append(new)
        return str(new.id)

    def erase_author(self, id: Any) -> None:
        author = self.database.author_of(self._row("proposal", id))
        if author is not None:
            author.values["username"] = None

    def block_author(self, id: Any) -> int:
        author = self._row("proposal", id).author
        self.database.tables["users"].by_id[author or 0].hidden = True
        mine = [
            r
            for name in ("proposals", "debates", "comments")
            for r in self.database.tables[name].rows
            if r.author == author
        ]
        for row in mine:
            row.hidden = True
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
            elif name in self.sandbox.processes:
                self.sandbox.processes[name] = "t" if value else None
            else:
                raise ValueError(f"unknown switch {name!r}")
