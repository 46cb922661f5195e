"""The sandbox's management, administration and moderation (docs/platforms/consul.md 8.4 and 8.5).

Management has no captcha, publishes at once, and writes in the name of a verified person whom a manager has chosen by document.
"""

import re
from html import escape

from ...testing.messages import Response
from .model import Row
from .proposals import form_of, make
from .replies import cast
from .visit import Visit, blocks, hash_of

VERIFY = "/management/document_verifications"


def _managed(visit: Visit) -> Row | None:
    return visit.sandbox.database.tables["users"].by_id.get(visit.session.get("managed") or 0)


def _page(visit: Visit, body: str, *callouts: tuple[str, str]) -> Response:
    chosen = visit.action("/management/users/logout", "delete", "Another person") if _managed(visit) else ""
    return visit.page("Management", chosen + body, callouts=callouts)


def management_sign_in(visit: Visit) -> Response:
    """GET /management/sign_in: only managers and administrators."""
    if not visit.role("manager", "administrator"):
        return visit.redirect("/", ("alert", "You may not do that."))
    visit.session["manager"] = True
    return visit.redirect("/management")


def management(visit: Visit) -> Response:
    """GET /management."""
    return _page(visit, "")


def closed(visit: Visit) -> Response | None:
    """Without a manager's session there is nothing there."""
    return None if visit.session.get("manager") else visit.error(404)


def verification_form(visit: Visit) -> Response:
    """GET /management/document_verifications."""
    return _page(visit, _verifying(visit))


def _verifying(visit: Visit) -> str:
    options = "".join(f'<option value="{each}">{each}</option>' for each in "123")
    more = f'<select name="document_verification[document_type]">{options}</select>'
    more += '<input type="text" name="document_verification[document_number]">'
    return visit.form(f"{VERIFY}/check", [], attributes='id="new_document_verification"', more=more)


def check(visit: Visit) -> Response:
    """POST …/check: 200 always; case and punctuation of the document do not matter."""
    given = hash_of(visit.params, "document_verification")
    number = re.sub(r"[^A-Z0-9]", "", str(given.get("document_number") or "").upper())
    kind = str(given.get("document_type") or "")
    if not number:
        return _page(visit, f'<small class="form-error is-visible">Can\'t be blank</small>{_verifying(visit)}')
    people = visit.sandbox.database.tables["users"].rows
    found = next((u for u in people if u["document"] == number and u["document_type"] == kind and not u.hidden), None)
    visit.session["managed"] = found.id if found is not None else None
    if found is None:
        return _page(visit, "", ("callout alert", "This document is not registered."))
    return _page(visit, "", ("callout success", "This user account is already verified."))


def forget_person(visit: Visit) -> Response:
    """DELETE /management/users/logout."""
    visit.session.pop("managed", None)
    return visit.redirect("/management")


def forget_manager(visit: Visit) -> Response:
    """DELETE /management/session."""
    visit.session.pop("managed", None)
    visit.session.pop("manager", None)
    return visit.redirect("/")


def _choose(visit: Visit) -> Response:
    return visit.redirect(VERIFY, ("alert", "To perform this action you must select a user"))


def new(visit: Visit) -> Response:
    """GET /management/proposals/new: a block for every language."""
    if _managed(visit) is None:
        return _choose(visit)
    return _page(visit, form_of(visit, None, {}, (), path="/management/proposals", every=True))


def create(visit: Visit) -> Response:
    """POST /management/proposals: public at once; no clock, no honeypot."""
    author = _managed(visit)
    if author is None:
        return _choose(visit)
    given = hash_of(visit.params, "proposal")
    if not given:
        return visit.error(400)
    made = make(visit, given, author, published=True)
    if isinstance(made, Row):
        visit.sandbox.mail("proposal published", made)
        return visit.redirect(f"/management/proposals/{made.id}", ("notice", "Created."))
    if made is None:
        return visit.error(500)
    return _page(visit, form_of(visit, None, given, made, path="/management/proposals", every=True))


def proposal(visit: Visit, match: re.Match[str]) -> Response:
    """GET /management/proposals/<id>."""
    row = visit.sandbox.database.tables["proposals"].by_id.get(int(match[1]))
    if row is None or row.hidden:
        return visit.error(404)
    path = f"/management{visit.sandbox.proposal_path(row, visit.locale)}"
    if visit.request.path != path:
        return visit.kept(Response.redirect(f"{visit.request.scheme}://{visit.request.host}{path}", 301))
    return _page(visit, f'<div id="proposal_{row.id}"></div>')


def support(visit: Visit, match: re.Match[str]) -> Response:
    """POST /management/proposals/<id>/vote: in the managed person's name."""
    row = visit.sandbox.database.tables["proposals"].by_id.get(int(match[1]))
    voter = _managed(visit)
    if row is None or row.hidden:
        return visit.error(404)
    if voter is None:
        return visit.not_allowed()
    cast(visit, row, voter)
    return visit.script(f'$("#proposal_{row.id}_votes")')


def listed(visit: Visit) -> Response:
    """GET /management/proposals, and the page to print."""
    rows = visit.sandbox.listed({})[: 5 if visit.request.path.endswith("print") else 25]
    return _page(visit, "".join(visit.sandbox.list_item(row, visit.locale) for row in rows))


# Administration and moderation


def _denied(visit: Visit) -> Response:
    if visit.user is None:
        return visit.sign_in_first()
    return visit.not_allowed()


def admin_list(visit: Visit) -> Response:
    """GET /admin/proposals."""
    if not visit.role("administrator"):
        return _denied(visit)
    rows = sorted((r for r in visit.sandbox.database.tables["proposals"].rows if not r.hidden), key=lambda row: -row.id)
    return visit.page("Admin", "".join(visit.sandbox.list_item(row, visit.locale) for row in rows[:25]))


def _target(visit: Visit, own: str) -> Row | None:
    row = visit.sandbox.database.tables["proposals"].by_id.get(int(own))
    return None if row is None or row.hidden else row


def admin_proposal(visit: Visit, match: re.Match[str]) -> Response:
    """GET /admin/proposals/<id>: with its milestones."""
    if not visit.role("administrator"):
        return _denied(visit)
    row = _target(visit, match[1])
    if row is None:
        return visit.error(404)
    text = visit.sandbox.interface.text
    told = "".join(
        f'<tr id="milestone_{m.id}"><td>{escape(text(m, "title", visit.locale) or "")}</td>'
        f"<td>{text(m, 'description', visit.locale) or ''}</td></tr>"
        for m in visit.sandbox.database.milestones_of.get(("proposal", row.id), [])
    )
    return visit.page("Admin", f"<table>{told}</table>")


def milestone_form(visit: Visit, match: re.Match[str]) -> Response:
    """GET /admin/proposals/<id>/milestones/new."""
    if not visit.role("administrator"):
        return _denied(visit)
    row = _target(visit, match[1])
    return visit.error(404) if row is None else visit.page("Admin", _milestone(visit, row, ""))


def _milestone(visit: Visit, row: Row, errors: str) -> str:
    locales = [visit.locale, *(each for each in visit.sandbox.enabled if each != visit.locale)]
    parts: list[str] = ['<select name="milestone[status_id]"><option value=""></option></select>']
    for i, locale in enumerate(locales):
        stem = f"milestone[translations_attributes][{i}]"
        stamp = visit.sandbox.clock().strftime("%d/%m/%Y %H:%M:%S")
        parts.append(
            f'<input type="hidden" name="{stem}[_destroy]" value="{"false" if i == 0 else "true"}">'
            f'<input type="hidden" name="{stem}[locale]" value="{locale}">'
            f'<input type="hidden" name="{stem}[title]" value="{stamp}"><textarea name="{stem}[description]"></textarea>'
        )
    parts.append('<input type="text" name="milestone[publication_date]" value="">')
    path = f"/admin{visit.sandbox.proposal_path(row, visit.locale)}/milestones"
    return errors + visit.form(path, [], attributes='id="new_milestone"', more="".join(parts))


def milestone(visit: Visit, match: re.Match[str]) -> Response:
    """POST /admin/proposals/<id>/milestones: a description or a status, and a date."""
    if not visit.role("administrator"):
        return _denied(visit)
    row = _target(visit, match[1])
    if row is None:
        return visit.error(404)
    given = hash_of(visit.params, "milestone")
    texts = {
        str(block.get("locale")): {"title": block.get("title"), "description": block.get("description")}
        for block in blocks(given)
        if str(block.get("_destroy") or "") not in {"true", "1"}
    }
    told = any(str(each["description"] or "").strip() for each in texts.values())
    date = str(given.get("publication_date") or "")
    if not date or not (told or given.get("status_id")):
        errors = '<small class="form-error is-visible">Can\'t be blank</small>'
        return visit.page("Admin", _milestone(visit, row, errors))
    heap = visit.sandbox.database.tables["milestones"]
    values = {"publication_date": date, "target_type": "proposal", "target_id": row.id}
    new_one = heap.add(Row(heap.next_id(), "milestone", texts, None, visit.sandbox.clock(), values))
    visit.sandbox.database.milestones_of.setdefault(("proposal", row.id), []).append(new_one)
    return visit.redirect(f"/admin{visit.sandbox.proposal_path(row, visit.locale)}", ("notice", "Created."))


def hide(visit: Visit, match: re.Match[str]) -> Response:
    """PUT /moderation/proposals/<id>/hide: JavaScript; done even where the answer is 406."""
    if not visit.role("administrator", "moderator"):
        return _denied(visit)
    if _target(visit, match[1]) is None:
        return visit.error(404)
    visit.sandbox.change("hide", id=match[1])
    return visit.script(f'$("#proposal_{match[1]}").hide()')


def restore(visit: Visit, match: re.Match[str]) -> Response:
    """PUT /admin/hidden_proposals/<id>/restore."""
    if not visit.role("administrator"):
        return _denied(visit)
    row = visit.sandbox.database.tables["proposals"].by_id.get(int(match[1]))
    if row is None or not row.hidden:
        return visit.error(404)
    visit.sandbox.change("restore", id=match[1])
    return visit.redirect("/admin/hidden_proposals")


def moderation(visit: Visit) -> Response:
    """GET /moderation/proposals."""
    return visit.page("Moderation", "") if visit.role("administrator", "moderator") else _denied(visit)
