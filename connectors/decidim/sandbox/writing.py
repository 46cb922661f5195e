"""What happens in the sandbox's database when somebody writes: create, publish, change, withdraw, vote, answer, comment.

Shared by the web forms and the mutations, which say who may and how a refusal looks. `sent` counts what would have gone out by e-mail.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

from .accounts import Account
from .model import Comment, Component, Proposal
from .texts import AUTOMATIC, References, problems, referred, say, stored
from .whole import Whole

DEFAULT_STATES = ("not_answered", "accepted", "rejected", "evaluating")


class Writing:
    """The changes that people make."""

    def __init__(self, sandbox: Whole) -> None:
        self.sandbox = sandbox
        self.sent: Counter[str] = Counter()

    @property
    def states(self) -> tuple[str, ...]:
        """The tokens an answer may have."""
        return DEFAULT_STATES if self.sandbox.line in {"0.27", "0.28"} else (*DEFAULT_STATES, "in_study")

    # Who may

    def may_create(self, component: Component, user: Account | None) -> bool:
        """Whether the component's step and verifications let this person propose."""
        rules = component.rules
        return user is not None and rules.creation and (not rules.verification or (user.verified and not user.api))

    def may_edit(self, row: Proposal, user: Account | None) -> bool:
        """The author, while there is no answer, within minutes of the last change of any kind."""
        if user is None or row.author != user.id or (row.state not in {None, "not_answered"} and row.state_published):
            return False
        minutes = row.component.rules.edit_minutes
        return row.draft or minutes is None or self.sandbox.clock() - row.updated_at < timedelta(minutes=minutes)

    def wrong(self, component: Component, user: Account, title: str, body: str, locale: str) -> list[tuple[str, str]]:
        """What is wrong with a new proposal."""
        found = problems(title, body, self.sandbox.line, component.rules.longest, locale)
        limit = component.rules.limit
        if limit is not None and not found:
            own = [r for r in component.rows if r.author == user.id and r.withdrawn_at is None and not r.deleted]
            if len(own) >= limit:
                found.append(("base", say("limit", locale)))
        return found

    # What happens

    def create(self, component: Component, user: Account, locale: str, title: str, body: str, **more: Any) -> Proposal:
        """A draft: it is in no list and on no page."""
        database, now, own = self.sandbox.database, self.sandbox.clock(), self._next()
        row = Proposal(own, "proposal", component, {}, {}, now, now, author=user.id, draft=True)
        self._write(row, locale, title, body)
        for name, value in more.items():
            setattr(row, name, value)
        return database.add(row)

    def _next(self) -> int:
        rows, wanted = self.sandbox.database.proposals["proposal"], self.sandbox.next_id
        return wanted if wanted and wanted not in rows else max(rows, default=0) + 1

    def publish(self, row: Proposal) -> None:
        """Public at once; followers are told every time."""
        if row.draft:
            row.draft, row.published_at = False, self.sandbox.clock()
            self.sandbox.touch(row)
        self.sent["published"] += 1

    def change(self, row: Proposal, locale: str, title: str, body: str, *, tagged: bool) -> None:
        """The whole text is replaced: every other language is lost."""
        row.title, row.body = {}, {}
        self._write(row, locale, title, body)
        # The component's own hashtags come with `update_draft` and edits, never with create (docs/platforms/decidim.md 1.6).
        if tagged and row.component.rules.hashtag and self.sandbox.line in {"0.27", "0.28", "0.29", "0.30"}:
            row.body[locale] = (f"{row.body[locale][0]}{AUTOMATIC}", False)
        row.versions += 1
        self.sandbox.touch(row)

    def _write(self, row: Proposal, locale: str, title: str, body: str) -> None:
        known = self.references()
        row.title[locale] = (stored(title, known, body=False), False)
        row.body[locale] = (stored(body, known, body=True), False)

    def references(self) -> References:
        """What the texts of this site can refer to."""
        sandbox, rows = self.sandbox, self.sandbox.database.proposals["proposal"]

        def proposal(own: int) -> bool:
            row = rows.get(own)
            if row is None or row.deleted:
                return False
            space = row.component.space
            return row.component.published and space.published and not space.private

        return References(sandbox.line, sandbox.host, sandbox.person_id, proposal)

    def withdraw(self, row: Proposal) -> bool:
        """Not with votes."""
        if row.votes:
            return False
        if row.withdrawn_at is None:
            row.withdrawn_at = self.sandbox.clock()
            self.sandbox.touch(row)
        return True

    def official(self, component: Component, texts: dict[str, tuple[str, str]]) -> Proposal:
        """Authored by the organization, public at once, every language kept, nothing cleaned but its references."""
        database, now, own = self.sandbox.database, self.sandbox.clock(), self._next()
        row = Proposal(own, "proposal", component, {}, {}, now, now, official=True, published_at=now)
        self.set_official(row, texts)
        self.sent["published"] += 1
        database.add(row)
        self.sandbox.touch(row)
        return row

    def set_official(self, row: Proposal, texts: dict[str, tuple[str, str]]) -> None:
        """All languages at once; an empty one shows as null (docs/platforms/decidim.md 1.6)."""
        known = self.references()
        row.title = {locale: (referred(title, known) or None, not title) for locale, (title, _) in texts.items()}
        row.body = {locale: (referred(body, known) or None, not body) for locale, (_, body) in texts.items()}

    def answer(self, row: Proposal, state: str | None, texts: dict[str, str] | None) -> None:
        """Answering again replaces the answer and tells everybody again."""
        # An answer that everybody sees already is not hidden again (recording 461).
        shown = row.answered_at is not None and row.state_published
        if state == "not_answered":
            # The text stays in the database, unseen, and comes back with the next state (recordings 456, 457).
            row.state, row.answered_at = None, None
        else:
            row.state = state or row.state
            row.answered_at = self.sandbox.clock()
        if texts is not None and state != "not_answered":
            row.answer = {locale: (text, False) for locale, text in texts.items()}
        row.state_published = row.component.rules.answers_at_once or shown
        self.sandbox.touch(row)
        if row.state_published:
            self.sent["answered"] += 1

    def comment(self, row: Proposal, parent: Comment | None, user: Account, body: str, alignment: int) -> Comment:
        """Public at once, on a hidden proposal too."""
        database = self.sandbox.database
        own = max(database.comments, default=0) + 1
        depth = parent.depth + 1 if parent else 0
        made = Comment(
            own, referred(body, self.references()), user.id, self.sandbox.clock(), row, parent, depth, alignment
        )
        database.add_comment(made)
        self.sandbox.touch(row)
        self.sent["commented"] += 1
        return made
