"""What can happen to a sandbox between two requests; what moves the time of change differs per release (docs/platforms/decidim.md 2)."""

from datetime import datetime
from typing import Any

from ...testing.sandbox.sandbox import Operation
from .model import Comment, Component, Proposal
from .whole import Whole


class Changes:
    """Named changes of one sandbox; ids are numbers or text."""

    def __init__(self, sandbox: Whole) -> None:
        self.sandbox = sandbox

    def named(self) -> dict[str, Operation]:
        """All changes by name."""
        names = (
            "edit",
            "support",
            "like",
            "comment",
            "hide",
            "restore",
            "delete",
            "withdraw",
            "answer",
            "add_proposal",
        )
        names += (
            "hide_comment",
            "delete_comment",
            "reply",
            "export_open_data",
            "unpublish",
            "publish",
            "delete_author",
        )
        names += ("switch", "empty", "erase_author", "moderator_edit", "configure", "account", "vote")
        names += ("trash_component",)
        return {name: getattr(self, name) for name in names}

    def _row(self, own: Any, kind: str = "proposal") -> Proposal:
        return self.sandbox.database.proposals[kind][int(own)]

    def _moved(self, row: Proposal) -> None:
        now: datetime = self.sandbox.clock()
        row.updated_at = row.component.updated_at = max(now, row.updated_at)

    def edit(self, id: Any, title: str | None = None, description: str | None = None, kind: str = "proposal") -> None:
        row = self._row(id, kind)
        locale = next(iter(row.title))
        if title is not None:
            row.title[locale] = (title, False)
        if description is not None:
            row.body[locale] = (description, False)
        self._moved(row)

    def support(self, id: Any, times: int = 1) -> int:
        row = self._row(id)
        row.votes += times
        if self.sandbox.line in {"0.31", "0.32"} or self.sandbox.version == "0.30.9":
            self._moved(row)
        return row.votes

    def like(self, id: Any) -> int:
        row = self._row(id)
        row.likes += 1
        return row.likes

    def comment(self, id: Any, body: str = "Goed idee!", parent: Any = None, kind: str = "proposal") -> str:
        row, database = self._row(id, kind), self.sandbox.database
        above = database.comments[int(parent)] if parent is not None else None
        own = max(database.comments, default=0) + 1
        comment = Comment(own, body, 1, self.sandbox.clock(), row, above, above.depth + 1 if above else 0)
        database.add_comment(comment)
        self._moved(row)
        return str(own)

    def reply(self, id: Any, body: str = "Eens.") -> str:
        target = self.sandbox.database.comments[int(id)].target
        return self.comment(target.id, body, id, "proposal" if target.kind == "amendment" else target.kind)

    def hide_comment(self, id: Any) -> None:
        comment = self.sandbox.database.comments[int(id)]
        comment.hidden = True
        self._moved(comment.target)

    def delete_comment(self, id: Any) -> None:
        comment = self.sandbox.database.comments[int(id)]
        comment.deleted = True
        self._moved(comment.target)

    def hide(self, id: Any, kind: str = "proposal") -> None:
        row = self._row(id, kind)
        row.hidden = True
        self._moved(row)
        if not self.sandbox.checked:
            self.sandbox.export_open_data()

    def restore(self, id: Any, kind: str = "proposal") -> None:
        row = self._row(id, kind)
        row.hidden = row.deleted = False
        self._moved(row)
        if not self.sandbox.checked:
            self.sandbox.export_open_data()

    def delete(self, id: Any, kind: str = "proposal") -> None:
        row = self._row(id, kind)
        row.deleted = True
        self._moved(row)

    def withdraw(self, id: Any) -> None:
        row = self._row(id)
        row.withdrawn_at = self.sandbox.clock()
        self._moved(row)

    def answer(self, id: Any, state: str = "accepted", text: str = "<p>Goed plan.</p>", published: bool = True) -> None:
        row = self._row(id)
        row.state, row.state_published, row.answered_at = state, published, self.sandbox.clock()
        row.answer = {"nl": (text, False)}
        self._moved(row)

    def add_proposal(self, title: str = "Nieuw voorstel", component: int = 1, id: Any = None) -> str:
        database = self.sandbox.database
        own = int(id) if id else max(database.proposals["proposal"], default=0) + 1
        now = self.sandbox.clock()
        text = {"nl": (title, False)}
        home: Component = database.components[component]
        row = database.add(
            Proposal(own, "proposal", home, text, {"nl": (f"<p>{title}</p>", False)}, now, now, author=1)
        )
        self._moved(row)
        return str(own)

    def export_open_data(self) -> None:
        self.sandbox.export_open_data()

    def unpublish(self, component: int) -> None:
        self.sandbox.database.components[component].published = False

    def trash_component(self, component: int) -> None:
        """Into the trash (0.30 and later): a published one is still listed, and does not answer (docs/platforms/decidim.md 2)."""
        self.sandbox.database.components[component].trashed = True

    def publish(self, component: int) -> None:
        self.sandbox.database.components[component].published = True

    def delete_author(self, id: Any) -> None:
        author = self._row(id).author
        if author is not None:
            self.sandbox.database.deleted_users.add(author)

    erase_author = delete_author

    def empty(self, share: float = 1.0) -> int:
        rows = list(self.sandbox.database.proposals["proposal"].values())
        hidden = rows[: int(len(rows) * share)]
        for row in hidden:
            row.deleted = True
            self._moved(row)
        return len(hidden)

    def moderator_edit(self, id: Any, title: str | None = None, body: str | None = None) -> None:
        """An administrator changes a copy, in the language it has first."""
        self.edit(id, title, body)
        self._row(id).versions += 1

    def configure(self, component: int, **rules: Any) -> None:
        """Set rules of a component (`model.Rules`)."""
        found = self.sandbox.database.components[int(component)].rules
        for name, value in rules.items():
            if not hasattr(found, name):
                raise ValueError(f"unknown rule {name!r}")
            setattr(found, name, value)

    def account(self, email: str = "robot@toy.example", **values: Any) -> None:
        """Change an account: `admin`, `accepted_terms`, `blocked`, `password`, `locale` and so on."""
        found = self.sandbox.accounts.by_email(email)
        if found is None:
            raise ValueError("no such account")
        for name, value in values.items():
            if not hasattr(found, name):
                raise ValueError(f"unknown property {name!r}")
            setattr(found, name, value)

    vote = support

    def switch(self, **values: Any) -> None:
        for name, value in values.items():
            if name not in {"forced_sign_in", "no_open_data", "closed_interface"}:
                raise ValueError(f"unknown switch {name!r}")
            setattr(self.sandbox, name, bool(value))
