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
        names += ("trash_component", "restore_component", "edit_comment", "vote_comment", "restore_comment", "amend")
        names += (
            "select",
            "activate_step",
            "open_space",
            "categorize",
            "rename_category",
            "delete_category",
            "erase_person",
        )
        names += ("add_project", "add_budget", "add_debate")
        return {name: getattr(self, name) for name in names}

    def _row(self, own: Any, kind: str = "proposal") -> Proposal:
        return self.sandbox.database.proposals[kind][int(own)]

    def _moved(self, row: Proposal) -> None:
        now: datetime = self.sandbox.clock()
        row.updated_at = max(now, row.updated_at)
        if row.kind != "project":
            # Nothing that happens to projects moves their component (recordings 790 to 792).
            row.component.updated_at = max(now, row.component.updated_at)

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

    def edit_comment(self, id: Any, body: str = "Bij nader inzien.") -> None:
        comment = self.sandbox.database.comments[int(id)]
        comment.body = body
        self._moved(comment.target)

    def vote_comment(self, id: Any) -> None:
        comment = self.sandbox.database.comments[int(id)]
        comment.ups += 1
        self._moved(comment.target)

    def restore_comment(self, id: Any) -> None:
        comment = self.sandbox.database.comments[int(id)]
        comment.hidden = False
        self._moved(comment.target)

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

    def restore(self, id: Any, kind: str = "proposal") -> None:
        row = self._row(id, kind)
        row.hidden = row.deleted = False
        self._moved(row)

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

    def amend(self, id: Any, title: str = "Een andere tekst") -> str:
        """An emendation: a row of the same list, with a state that nobody answered with."""
        amended = self._row(id)
        own = self.add_proposal(title, amended.component.id)
        row = self._row(own)
        row.kind, row.amends, row.state = "amendment", amended, "evaluating"
        return own

    def select(self, id: Any, chosen: bool = True) -> None:
        """A project wins."""
        row = self._row(id, "project")
        row.selected = chosen
        self._moved(row)

    def add_budget(self, component: int = 20) -> int:
        """A budget, which moves its component, with a project in it, which would not."""
        home = self.sandbox.database.components[int(component)]
        budget = max((row.budget or 0 for row in home.rows), default=0) + 1
        self.add_project(budget=budget, component=component)
        home.updated_at = max(self.sandbox.clock(), home.updated_at)
        return budget

    def add_project(self, title: str = "Nieuw project", budget: int = 1, component: int = 20) -> str:
        """A project of a budget."""
        row = self._add("project", title, component)
        row.amount, row.budget, row.author = 1000, budget, None
        return str(row.id)

    def add_debate(self, title: str = "Nieuw debat", component: int = 30) -> str:
        """A debate."""
        return str(self._add("debate", title, component).id)

    def _add(self, kind: str, title: str, component: int) -> Proposal:
        database, now = self.sandbox.database, self.sandbox.clock()
        text = {"nl": (title, False)}
        home, own = database.components[int(component)], max(database.proposals[kind], default=0) + 1
        row = database.add(Proposal(own, kind, home, text, dict(text), now, now, author=1))
        self._moved(row)
        return row

    def activate_step(self, space: int = 1, step: int = 2, votes_hidden: bool | None = None) -> None:
        """The next step of a process; its setting shows or hides votes. Moves the process, and no component (recordings 793, 794)."""
        found = next(s for s in self.sandbox.database.spaces if s.kind == "process" and s.id == int(space))
        found.active, found.updated_at = int(step), self.sandbox.clock()
        for component in found.components:
            if votes_hidden is not None:
                component.votes_hidden = votes_hidden

    def open_space(self, kind: str = "assembly", id: int = 1, public: bool = True) -> None:
        """A space becomes private, or public again."""
        found = next(s for s in self.sandbox.database.spaces if s.kind == kind and s.id == int(id))
        found.private = not public

    def categorize(self, id: Any, category: int, kind: str = "proposal") -> None:
        """Another category or taxonomy: no date moves."""
        self._row(id, kind).groups = [int(category)]

    def rename_category(self, id: int, name: str) -> None:
        self.sandbox.database.taxonomies[int(id)] = name

    def delete_category(self, id: int) -> None:
        del self.sandbox.database.taxonomies[int(id)]

    def erase_person(self, id: Any) -> None:
        """An account is deleted or blocked: no date moves."""
        self.sandbox.database.deleted_users.add(int(id))

    def export_open_data(self) -> None:
        self.sandbox.export_open_data()

    def unpublish(self, component: int) -> None:
        self.sandbox.database.components[component].published = False

    def trash_component(self, component: int) -> None:
        """Into the trash (0.30 and later): a published one is still listed, and does not answer (docs/platforms/decidim.md 2)."""
        self.sandbox.database.components[component].trashed = True

    def restore_component(self, component: int) -> None:
        """Out of the trash."""
        self.sandbox.database.components[component].trashed = False

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
            if name == "unmade_open_data":
                self.sandbox.files.clear()
                continue
            if name not in {"forced_sign_in", "no_open_data", "closed_interface", "dead_export"}:
                raise ValueError(f"unknown switch {name!r}")
            setattr(self.sandbox, name, bool(value))
