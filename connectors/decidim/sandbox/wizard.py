"""The sandbox's public forms of a proposal: the wizard, drafts, publishing, editing, withdrawing (docs/platforms/decidim.md 4.4).

A redirect says little: `/` means "not allowed", withdrawing answers the same whether it worked or not. Nothing here is kinder.
"""

import json
from collections.abc import Callable
from html import escape
from typing import Any

from ...testing.messages import Response
from . import pages
from .model import Component, Proposal
from .texts import on_page, say, shown
from .visit import Visit
from .whole import Whole

Step = Callable[[Visit, Proposal, str, str | None], Response]
_FIRST_WIZARD = frozenset({"0.27", "0.28"})


class Wizard:
    """The pages of proposals of one sandbox."""

    def __init__(self, sandbox: Whole) -> None:
        self.sandbox = sandbox
        self.writing = sandbox.writing

    def answer(self, visit: Visit, component: Component, base: str, own: str | None, step: str | None) -> Response:
        """One page or form below `base` (`/processes/…/proposals`)."""
        if own is None:
            return self._create(visit, component, base) if visit.method == "POST" else visit.page("Voorstellen", "")
        if own == "new":
            return self._new(visit, component, base)
        row = self.sandbox.database.proposals["proposal"].get(int(own))
        if row is None or row.component is not component or row.deleted:
            return visit.missing()
        steps: dict[tuple[str, str | None], Step] = {
            ("GET", None): self._public,
            ("GET", "compare"): self._draft_page,
            ("GET", "complete"): self._draft_page,
            ("GET", "edit_draft"): self._draft_page,
            ("GET", "preview"): self._draft_page,
            ("PATCH", "update_draft"): self._update_draft,
            ("POST", "publish"): self._publish,
            ("GET", "edit"): self._edit_form,
            ("PATCH", None): self._edit,
            ("PUT", "withdraw"): self._withdraw,
            ("DELETE", "destroy_draft"): self._destroy,
        }
        handler = steps.get((visit.method, step))
        return visit.missing() if handler is None else handler(visit, row, base, step)

    def _mine(self, visit: Visit, row: Proposal) -> bool:
        return visit.user is not None and row.author == visit.user.id

    def _drafts(self, visit: Visit, component: Component) -> list[Proposal]:
        return [r for r in component.rows if r.draft and not r.deleted and self._mine(visit, r)]

    def _new(self, visit: Visit, component: Component, base: str) -> Response:
        if visit.user is None:
            return visit.sign_in_first()
        if not self.writing.may_create(component, visit.user):
            return visit.denied()
        drafts = self._drafts(visit, component)
        if drafts:
            # One of them, in no fixed order (recording 291).
            chosen = self.sandbox.rng.choice(drafts)
            more = {"component_id": str(component.id), "question_slug": component.space.slug}
            return visit.to(f"{base}/{chosen.id}/edit_draft", located=True, more=more)
        body = pages.proposal(visit.session, visit.action(base), component, "", "", ())
        return visit.page("Nieuw voorstel", body)

    def _create(self, visit: Visit, component: Component, base: str) -> Response:
        if visit.user is None:
            return visit.sign_in_first()
        if not self.writing.may_create(component, visit.user):
            return visit.denied()
        title, text = visit.value("proposal[title]"), visit.value("proposal[body]")
        wrong = self.writing.wrong(component, visit.user, title, text, visit.locale)
        if wrong:
            return self._again(visit, component, base, title, text, wrong)
        more: dict[str, Any] = {}
        if self.sandbox.line not in _FIRST_WIZARD:
            more, invalid = self._details(visit, component)
            if invalid:
                return self._again(visit, component, base, title, text, invalid)
        row = self.writing.create(component, visit.user, visit.locale, title, text, **more)
        step = "compare" if self.sandbox.line in _FIRST_WIZARD else "preview"
        return visit.to(f"{base}/{row.id}/{step}", flash=("success", "created"))

    def _again(
        self,
        visit: Visit,
        component: Component,
        action: str,
        title: str,
        text: str,
        wrong: list[tuple[str, str]],
        method: str = "post",
    ) -> Response:
        """The form again: 200, from 0.32 on 422 (recording 714)."""
        visit.session.flash.append(("alert", say("not saved", visit.locale)))
        visit.session.flash.extend(("alert", message) for name, message in wrong if name == "base")
        body = pages.proposal(visit.session, visit.action(action), component, title, text, wrong, method=method)
        return visit.page("Nieuw voorstel", body, status=422 if self.sandbox.line == "0.32" else 200)

    def _details(self, visit: Visit, component: Component) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Category or taxonomies, address and place as a form gives them."""
        groups = visit.form.get("proposal[taxonomies][]") or visit.form.get("proposal[category_id]") or []
        more: dict[str, Any] = {"groups": [int(each) for each in groups if each.isdigit() and int(each) <= 4]}
        scope = visit.value("proposal[scope_id]")
        more["scope"] = int(scope) if scope.isdigit() else None
        address, place = visit.value("proposal[address]"), _place(visit)
        more["address"] = address if "proposal[address]" in visit.form else None
        more["place"] = place
        if address and place is None and component.rules.geocoding:
            if "onbekend" in address.lower() or "inexistent" in address.lower():
                return more, [("address", say("invalid", visit.locale))]
            more["place"] = (52.0, 4.3)
        return more, []

    def _draft_page(self, visit: Visit, row: Proposal, base: str, step: str | None) -> Response:
        if visit.user is None:
            return visit.sign_in_first()
        if not row.draft or not self._mine(visit, row):
            return visit.denied() if not row.draft and self._mine(visit, row) else visit.missing()
        if step == "compare":
            return visit.to(f"{base}/{row.id}/complete")
        if step == "preview":
            publish = pages.form(visit.session, visit.action(f"{base}/{row.id}/publish"), "<button>✓</button>")
            link = f'<a data-method="delete" href="{visit.action(f"{base}/{row.id}/destroy_draft")}">×</a>'
            return visit.page("Publiceren", publish + link)
        title, text = self._shown(visit, row)
        action = visit.action(f"{base}/{row.id}/update_draft")
        body = pages.proposal(visit.session, action, row.component, title, text, (), method="patch")
        return visit.page("Concept", body)

    def _stored(self, visit: Visit, row: Proposal) -> tuple[str, str]:
        title = row.title.get(visit.locale) or next(iter(row.title.values()))
        body = row.body.get(visit.locale) or next(iter(row.body.values()))
        return title[0] or "", body[0] or ""

    def _shown(self, visit: Visit, row: Proposal) -> tuple[str, str]:
        title, body = self._stored(visit, row)
        name = self.sandbox.person_nickname
        return shown(title, name), shown(body, name)

    def _update_draft(self, visit: Visit, row: Proposal, base: str, _step: str | None) -> Response:
        if visit.user is None:
            return visit.sign_in_first()
        if not row.draft or not self._mine(visit, row):
            return visit.denied()
        return self._changed(visit, row, base, f"{base}/{row.id}/update_draft", f"{base}/{row.id}/preview")

    def _changed(self, visit: Visit, row: Proposal, base: str, action: str, done: str) -> Response:
        assert visit.user is not None
        title, text = visit.value("proposal[title]"), visit.value("proposal[body]")
        limit, row.component.rules.limit = row.component.rules.limit, None
        wrong = self.writing.wrong(row.component, visit.user, title, text, visit.locale)
        row.component.rules.limit = limit
        more, invalid = self._details(visit, row.component)
        if wrong or invalid:
            return self._again(visit, row.component, action, title, text, [*wrong, *invalid], "patch")
        self.writing.change(row, visit.locale, title, text, tagged=True)
        for name, value in more.items():
            setattr(row, name, value)
        return visit.to(done)

    def _publish(self, visit: Visit, row: Proposal, base: str, _step: str | None) -> Response:
        if visit.user is None:
            return visit.sign_in_first()
        if not self._mine(visit, row):
            return visit.denied()
        first = row.draft
        self.writing.publish(row)
        return visit.to(f"{base}/{row.id}", located=first)

    def _edit_form(self, visit: Visit, row: Proposal, base: str, _step: str | None) -> Response:
        if visit.user is None:
            return visit.sign_in_first()
        if row.draft or not self.writing.may_edit(row, visit.user):
            return visit.denied()
        title, text = self._shown(visit, row)
        action = visit.action(f"{base}/{row.id}")
        return visit.page(
            "Bewerken", pages.proposal(visit.session, action, row.component, title, text, (), method="patch")
        )

    def _edit(self, visit: Visit, row: Proposal, base: str, _step: str | None) -> Response:
        if visit.user is None:
            return visit.sign_in_first()
        if row.draft or not self.writing.may_edit(row, visit.user):
            return visit.denied()
        return self._changed(visit, row, base, f"{base}/{row.id}", f"{base}/{row.id}")

    def _withdraw(self, visit: Visit, row: Proposal, base: str, _step: str | None) -> Response:
        if visit.user is None:
            return visit.sign_in_first()
        if row.draft or not self._mine(visit, row):
            return visit.denied()
        done = self.writing.withdraw(row)
        return visit.to(f"{base}/{row.id}", flash=None if done else ("alert", "supported"))

    def _destroy(self, visit: Visit, row: Proposal, base: str, _step: str | None) -> Response:
        if visit.user is None:
            return visit.sign_in_first()
        if not row.draft or not self._mine(visit, row):
            return visit.denied()
        row.deleted = True
        return visit.to(f"{base}/new", located=True)

    def _public(self, visit: Visit, row: Proposal, _base: str, _step: str | None) -> Response:
        """A draft is 404 for its author too; hidden ones for everybody."""
        if row.draft or row.hidden or not self.sandbox.is_public(row):
            return visit.missing()
        title, _ = self._shown(visit, row)
        body = on_page(self._stored(visit, row)[1], self._address)
        return visit.page(title, f'<h1>{escape(title)}</h1><div class="editor-content">{body}</div>{_thread(row)}')

    def debate(self, visit: Visit, row: Proposal) -> Response:
        """The public page of a debate, which only its thread is asked of."""
        if row.draft or row.deleted or not self.sandbox.is_public(row):
            return visit.missing()
        title, _ = self._shown(visit, row)
        return visit.page(title, f"<h1>{escape(title)}</h1>{_thread(row)}")

    def _address(self, own: int) -> str:
        row = self.sandbox.database.proposals["proposal"].get(own)
        return self.sandbox.address_of(row) if row is not None else ""


def _thread(row: Proposal) -> str:
    """The place in a page where its comments are put."""
    told = {
        "singleComment": "",
        "commentableGid": f"{'debate' if row.kind == 'debate' else 'proposal'}-{row.id}",
        "commentsUrl": "/comments",
        "order": "older",
    }
    return f'<div id="comments-for-{row.id}" data-decidim-comments="{escape(json.dumps(told))}"></div>'


def _place(visit: Visit) -> tuple[float, float] | None:
    try:
        return float(visit.value("proposal[latitude]")), float(visit.value("proposal[longitude]"))
    except ValueError:
        return None
