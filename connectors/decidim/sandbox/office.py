"""The sandbox's administration of proposals: official proposals and answers (docs/platforms/decidim.md 4.4, items 3 and 5)."""

from ...testing.messages import Response
from . import pages
from .model import Component, Proposal
from .texts import say
from .visit import Visit
from .whole import Whole


class AdminPages:
    """The administrator's pages of one sandbox."""

    def __init__(self, sandbox: Whole) -> None:
        self.sandbox = sandbox
        self.writing = sandbox.writing

    def start(self, visit: Visit) -> Response:
        """`/admin`."""
        return self._turned_away(visit) or visit.page("Beheer", "<h1>Beheer</h1>")

    def answer(self, visit: Visit, component: Component, base: str, rest: list[str]) -> Response:
        """One page or form below `base` (`/admin/…/manage/proposals`)."""
        away = self._turned_away(visit)
        if away is not None:
            return away
        match (visit.method, rest):
            case ("GET", []):
                return visit.page("Voorstellen", pages.listing(r for r in component.rows if not r.draft))
            case ("GET", ["new"]):
                return visit.denied() if not component.rules.official else self._form(visit, base, {}, [])
            case ("POST", []):
                return visit.denied() if not component.rules.official else self._create(visit, component, base)
            case _:
                pass
        row = self._row(component, rest)
        if row is None:
            return visit.missing()
        match (visit.method, rest[1:]):
            case ("GET", []):
                return self._show(visit, row, base, [])
            case ("GET", ["edit"]):
                return self._edit_form(visit, row, base) if row.official else visit.denied()
            case ("PATCH", []):
                return self._update(visit, row, base) if row.official else visit.denied()
            case ("PATCH", ["proposal_answers", _]):
                return self._answer(visit, row, base)
            case _:
                return visit.missing()

    def _turned_away(self, visit: Visit) -> Response | None:
        if visit.user is None:
            return visit.sign_in_first()
        if not visit.user.admin:
            return visit.missing()
        if not visit.user.accepted_admin_terms and not visit.path.startswith("/admin/admin_terms"):
            return visit.to("/admin/admin_terms/show")
        return None

    def _row(self, component: Component, rest: list[str]) -> Proposal | None:
        own = rest[0] if rest and rest[0].isdigit() else "0"
        row = self.sandbox.database.proposals["proposal"].get(int(own))
        return row if row is not None and row.component is component and not row.deleted and not row.draft else None

    def _texts(self, visit: Visit) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        for locale in self.sandbox.locales:
            suffix = pages.field_locale(locale)
            title, body = f"proposal[title_{suffix}]", f"proposal[body_{suffix}]"
            if title in visit.form or body in visit.form:
                found[locale] = (visit.value(title), visit.value(body))
        return found

    def _wrong(self, visit: Visit, texts: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
        """The site's own language is needed, 15 to 150 characters; no manners, no length of the body."""
        title, body = texts.get(self.sandbox.locales[0], ("", ""))
        found: list[tuple[str, str]] = []
        if not title.strip():
            found.append(("title", say("blank", visit.locale)))
        if not body.strip():
            found.append(("body", say("blank", visit.locale)))
        for each, _ in texts.values():
            if each.strip() and len(each) < 15:
                found.append(("title", say("short", visit.locale)))
            elif len(each) > 150:
                found.append(("title", say("long", visit.locale, 150)))
        return found

    def _broken(self, visit: Visit) -> bool:
        """Up to 0.31 the form's empty field for an attachment must be there."""
        names = visit.form.keys()
        return self.sandbox.line != "0.32" and "proposal[attachment][title]" not in names

    def _create(self, visit: Visit, component: Component, base: str) -> Response:
        if self._broken(visit):
            return visit.page("500", "<h1>500</h1>", status=500)
        texts = self._texts(visit)
        wrong = self._wrong(visit, texts)
        if wrong:
            return self._form(visit, base, {name: visit.value(name) for name in visit.form}, wrong)
        row = self.writing.official(component, texts)
        self._details(visit, row)
        return visit.to(base)

    def _update(self, visit: Visit, row: Proposal, base: str) -> Response:
        if self._broken(visit):
            return visit.page("500", "<h1>500</h1>", status=500)
        texts = self._texts(visit)
        wrong = self._wrong(visit, texts)
        if wrong:
            return self._form(visit, f"{base}/{row.id}", {n: visit.value(n) for n in visit.form}, wrong, method="patch")
        self.writing.set_official(row, texts)
        self._details(visit, row)
        row.versions += 1
        self.sandbox.touch(row)
        return visit.to(base)

    def _details(self, visit: Visit, row: Proposal) -> None:
        """Everything that is left out is cleared."""
        groups = visit.form.get("proposal[taxonomies][]") or visit.form.get("proposal[category_id]") or []
        row.groups = [int(each) for each in groups if each.isdigit() and int(each) <= 4]
        scope = visit.value("proposal[scope_id]")
        row.scope = int(scope) if scope.isdigit() else None
        row.address = visit.value("proposal[address]") or None
        try:
            row.place = (float(visit.value("proposal[latitude]")), float(visit.value("proposal[longitude]")))
        except ValueError:
            row.place = None

    def _form(
        self, visit: Visit, action: str, values: dict[str, str], wrong: list[tuple[str, str]], method: str = "post"
    ) -> Response:
        line = self.sandbox.line
        if wrong:
            visit.session.flash.append(("alert", say("admin failed", visit.locale)))
        body = pages.official(
            visit.session, visit.action(action), values, self.sandbox.locales, wrong, line=line, method=method
        )
        return visit.page("Voorstel maken", body, status=422 if wrong and line == "0.32" else 200)

    def _edit_form(self, visit: Visit, row: Proposal, base: str) -> Response:
        values: dict[str, str] = {}
        for locale in self.sandbox.locales:
            suffix = pages.field_locale(locale)
            values[f"proposal[title_{suffix}]"] = (row.title.get(locale) or ("", False))[0] or ""
            values[f"proposal[body_{suffix}]"] = (row.body.get(locale) or ("", False))[0] or ""
        return self._form(visit, f"{base}/{row.id}", values, [], method="patch")

    def _show(self, visit: Visit, row: Proposal, base: str, errors: list[str], status: int = 200) -> Response:
        locales, states = self.sandbox.locales, self.writing.states
        body = pages.answer(visit.session, f"{visit.prefix}{base}", row, states, locales, errors)
        return visit.page("Voorstel", body, status=status)

    def _answer(self, visit: Visit, row: Proposal, base: str) -> Response:
        state = visit.value("proposal_answer[internal_state]")
        texts: dict[str, str] = {}
        for locale in self.sandbox.locales:
            name = f"proposal_answer[answer_{pages.field_locale(locale)}]"
            if name in visit.form:
                texts[locale] = visit.value(name)
        errors: list[str] = []
        if state not in self.writing.states:
            errors.append(say("not in list", visit.locale))
        elif state == "rejected" and not texts.get(self.sandbox.locales[0], "").strip():
            errors.append(say("blank", visit.locale))
        if errors:
            visit.session.flash.append(("alert", say("answer failed", visit.locale)))
            return self._show(visit, row, base, errors, 422 if self.sandbox.line == "0.32" else 200)
        self.writing.answer(row, state, texts)
        return visit.to(base)
