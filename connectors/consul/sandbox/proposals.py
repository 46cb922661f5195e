"""The sandbox's proposals as their authors make them: form, draft, publish, edit, retire (docs/platforms/consul.md 8.2, 2 to 6).

The order of the checks is Rails': token, sign-in, process, permission, captcha, parameters, validation.
"""

import re
from html import escape
from typing import Any

from ...testing.messages import Response
from .model import Row
from .texts import (
    COLUMNS,
    Errors,
    Unknown,
    other_errors,
    put_place,
    put_tags,
    shown,
    text_errors,
    translate,
    translations,
)
from .visit import Params, Visit, blocks, hash_of
from .whole import Whole

SECONDS = 4.0
REASONS = ("duplicated", "started", "unfeasible", "done", "other")


class Asked:
    """A proposal that a path names, or the answer that ends the visit."""

    def __init__(self, visit: Visit, own: str, *, mine: bool = True) -> None:
        self.row: Row | None = None
        self.ends: Response | None = None
        if visit.user is None:
            self.ends = visit.sign_in_first()
        elif visit.sandbox.processes.get("proposals") != "t":
            self.ends = visit.error(403)
        else:
            row = visit.sandbox.database.tables["proposals"].by_id.get(int(own))
            if row is None or row.hidden:
                self.ends = visit.error(404)
            elif mine and row.author != visit.user.id:
                self.ends = visit.not_allowed()
            else:
                self.row = row


def _closed(visit: Visit) -> Response | None:
    if visit.user is None:
        return visit.sign_in_first()
    return visit.error(403) if visit.sandbox.processes.get("proposals") != "t" else None


def captcha(visit: Visit) -> Response | None:
    """The clock is consumed by every POST; then the honeypot."""
    stamp = visit.session.pop("stamp", None)
    if stamp is None or visit.sandbox.clock().timestamp() - float(stamp) < SECONDS:
        back = visit.request.headers.get("referer") or "/"
        return visit.redirect(back, ("error", "Sorry, that was too quick! Please resubmit."))
    given = hash_of(visit.params, "proposal")
    if given.get("subtitle") or visit.params.get("subtitle"):
        return visit.kept(Response(200, [("Content-Type", "text/html")], b""))
    return None


def new(visit: Visit) -> Response:
    """GET /proposals/new: starts the captcha's clock."""
    closed = _closed(visit)
    if closed is not None:
        return closed
    visit.session["stamp"] = visit.sandbox.clock().timestamp()
    return visit.page("New proposal", form_of(visit, None, {}, ()))


def create(visit: Visit) -> Response:
    """POST /proposals: a draft, or the form again with status 200."""
    ended = _closed(visit) or captcha(visit)
    if ended is not None:
        return ended
    given = hash_of(visit.params, "proposal")
    if not given:
        return visit.error(400)
    assert visit.user is not None
    made = make(visit, given, visit.user, published=False)
    if isinstance(made, Row):
        visit.sandbox.mail("proposal created", made)
        return visit.redirect(f"{visit.sandbox.proposal_path(made, visit.locale)}/created", ("notice", "Created."))
    if made is None or visit.accept == "json":
        return visit.error(500)
    visit.session["stamp"] = visit.sandbox.clock().timestamp()
    return visit.page("New proposal", form_of(visit, None, given, made))


def _on_page(visit: Visit, rows: list[Params]) -> Params | None:
    """The translation whose block the form shows: the first of the session's language."""
    return next((each for each in rows if each["locale"] == visit.locale), None)


def make(visit: Visit, given: Params, author: Row, *, published: bool) -> Row | Errors | None:
    """A new proposal, what its model refuses, or None: the database itself refused (a NUL byte; it costs a number too)."""
    sandbox, now = visit.sandbox, visit.sandbox.clock()
    heap = sandbox.database.tables["proposals"]
    values: dict[str, Any] = {
        "cached_votes_up": 0,
        "comments_count": 0,
        "published_at": now if published else None,
        "geozone_id": int(given["geozone_id"]) if str(given.get("geozone_id") or "").isdigit() else None,
        "video_url": given.get("video_url") or None,
        "translations": [],
    }
    row = Row(sandbox.next_proposal(peek=True), "proposal", {}, author.id, now, values)
    try:
        rows = translate(sandbox, row, given)
    except Unknown:
        return [("", "translation")]
    errors = [*text_errors(sandbox, rows, _on_page(visit, rows)), *other_errors(given)]
    if not rows:
        errors += [("", "title"), ("", "summary")]
    if given.get("terms_of_service") != "1":
        errors.append(("terms_of_service", "must be accepted"))
    name = str(given.get("responsible_name") or "")
    if sandbox.verification and not author["document"] and len(name) < 6:
        errors.append(("responsible_name", "too short"))
    if errors:
        return errors
    row.id = sandbox.next_proposal()
    if any("\x00" in str(value) for each in rows for value in each["texts"].values()):
        return None
    row.values["translations"] = [{**each, "id": each["id"] or sandbox.next_translation()} for each in rows]
    shown(row)
    put_place(row, given)
    heap.add(row)
    put_tags(sandbox, row, given.get("tag_list"))
    return row


def created_page(visit: Visit, match: re.Match[str]) -> Response:
    """GET …/created: offers to publish only as long as that can be done."""
    asked = Asked(visit, match[1])
    if asked.row is None:
        return asked.ends or visit.error(404)
    offer = ""
    if asked.row["published_at"] is None:
        offer = visit.action(
            f"{visit.sandbox.proposal_path(asked.row, visit.locale)}/publish", "patch", "Publish", "inline"
        )
    return visit.page("Created", f'<div id="proposal_{asked.row.id}"></div>{offer}')


def publish(visit: Visit, match: re.Match[str]) -> Response:
    """PATCH …/publish: once; a second time is refused, and harmless."""
    asked = Asked(visit, match[1])
    row = asked.row
    if row is None:
        return asked.ends or visit.error(404)
    if row["published_at"] is not None:
        return visit.not_allowed()
    row.values["published_at"] = visit.sandbox.clock()
    visit.sandbox.database.tables["proposals"].touch(row)
    visit.sandbox.mail("proposal published", row)
    to = "dashboard/progress" if match["dashboard"] else "share"
    return visit.redirect(f"{visit.sandbox.proposal_path(row, visit.locale)}/{to}", ("notice", "Published."))


def share(visit: Visit, match: re.Match[str]) -> Response:
    """GET …/share."""
    asked = Asked(visit, match[1])
    return asked.ends or visit.page("Share", f'<div id="proposal_{match[1]}"></div>')


def _editable(visit: Visit, own: str) -> Asked:
    asked = Asked(visit, own)
    if asked.row is not None and (asked.row["cached_votes_up"] or 0) > visit.sandbox.edit_limit:
        asked.row, asked.ends = None, visit.not_allowed()
    return asked


def edit(visit: Visit, match: re.Match[str]) -> Response:
    """GET …/edit: the block of the session's language, empty and to be destroyed where there is no such translation."""
    asked = _editable(visit, match[1])
    if asked.row is None:
        return asked.ends or visit.error(404)
    visit.session["stamp"] = visit.sandbox.clock().timestamp()
    return visit.page("Edit", form_of(visit, asked.row, {}, ()))


def update(visit: Visit, match: re.Match[str]) -> Response:
    """PATCH /proposals/<id>: what is left out stays, but the place is lost."""
    asked = _editable(visit, match[1])
    row = asked.row
    if row is None:
        return asked.ends or visit.error(404)
    ended = captcha(visit)
    if ended is not None:
        return ended
    given = hash_of(visit.params, "proposal")
    try:
        rows = translate(visit.sandbox, row, given)
    except Unknown:
        return visit.error(404)
    errors = [*text_errors(visit.sandbox, rows, _on_page(visit, rows)), *other_errors(given)]
    if errors:
        visit.session["stamp"] = visit.sandbox.clock().timestamp()
        return visit.page("Edit", form_of(visit, row, {}, errors))
    before = visit.sandbox.proposal_path(row, visit.locale)
    doubled = len({each["locale"] for each in rows}) < len(rows) and any(each["id"] is None for each in rows)
    _store(visit.sandbox, row, rows)
    put_place(row, given)
    if "tag_list" in given:
        put_tags(visit.sandbox, row, given["tag_list"])
    if "geozone_id" in given:
        row.values["geozone_id"] = int(given["geozone_id"]) if str(given["geozone_id"]).isdigit() else None
    visit.sandbox.database.tables["proposals"].touch(row)
    return visit.redirect(before if doubled else visit.sandbox.proposal_path(row, visit.locale), ("notice", "Saved."))


def _store(sandbox: Whole, row: Row, rows: list[Params]) -> None:
    row.values["translations"] = [{**each, "id": each["id"] or sandbox.next_translation()} for each in rows]
    shown(row)


def retire_form(visit: Visit, match: re.Match[str]) -> Response:
    """GET …/retire_form."""
    asked = Asked(visit, match[1])
    return asked.ends or visit.page("Retire", _retiring(visit, asked.row, ()) if asked.row else "")


def retire(visit: Visit, match: re.Match[str]) -> Response:
    """PATCH …/retire: may be repeated, cannot be undone."""
    asked = Asked(visit, match[1])
    row = asked.row
    if row is None:
        return asked.ends or visit.error(404)
    given = hash_of(visit.params, "proposal")
    try:
        rows = translate(visit.sandbox, row, given)
    except Unknown:
        return visit.error(404)
    written = {str(b.get("id")) for b in blocks(given)}
    touched = [each for each in rows if each["id"] is None or str(each["id"]) in written]
    errors = [
        *text_errors(visit.sandbox, [each for each in rows if each not in touched], None),
        *text_errors(visit.sandbox, touched, _on_page(visit, rows), retired=True),
    ]
    if given.get("retired_reason") not in REASONS:
        errors.append(("retired_reason", "is not included in the list"))
    if errors or not touched:
        return visit.page("Retire", _retiring(visit, row, errors or [("", "explanation")]))
    _store(visit.sandbox, row, rows)
    explained = next(each["texts"].get("retired_explanation") for each in touched)
    now = row["retired_at"] or visit.sandbox.clock()
    row.values.update(retired_at=now, retired_reason=given["retired_reason"], retired_explanation=explained)
    visit.sandbox.database.tables["proposals"].touch(row)
    return visit.redirect(visit.sandbox.proposal_path(row, visit.locale), ("notice", "Retired."))


# Forms


def _block(visit: Visit, row: Row | None, given: Params, index: int, locale: str, names: tuple[str, ...]) -> str:
    found = next((e for e in translations(visit.sandbox, row) if e["locale"] == locale), None) if row else None
    sent = hash_of(hash_of(given, "translations_attributes"), str(index))
    texts: Params = sent or (found["texts"] if found else {})
    stem = f"proposal[translations_attributes][{index}]"
    unused = found is None and (row is not None or (locale != visit.locale and not sent))
    parts = [f'<input type="hidden" name="{stem}[_destroy]" value="{"true" if unused else "false"}">']
    parts.append(f'<input type="hidden" name="{stem}[locale]" value="{escape(str(sent.get("locale") or locale))}">')
    for name in names:
        value = escape(str(texts.get(name) or ""))
        if name == "title":
            parts.append(f'<input type="text" maxlength="80" name="{stem}[title]" value="{value}">')
        else:
            parts.append(f'<textarea name="{stem}[{name}]">\n{value}</textarea>')
    if found is not None:
        parts.append(f'<input type="hidden" name="{stem}[id]" value="{found["id"]}">')
    return "".join(parts)


def _languages(visit: Visit, *, every: bool = False) -> list[str]:
    """The languages of the blocks of a form: before 2.2 in the order of their codes, the session's own anywhere among them."""
    if not (every or visit.sandbox.translation_interface):
        return [visit.locale]
    if not visit.sandbox.newer_than("2.2"):
        return sorted(visit.sandbox.enabled)
    return [visit.locale, *(each for each in visit.sandbox.enabled if each != visit.locale)]


def form_of(
    visit: Visit, row: Row | None, given: Params, errors: Any, *, path: str = "/proposals", every: bool = False
) -> str:
    """The form of a proposal: one block of texts, or one for each language with the translation interface."""
    sandbox = visit.sandbox
    locales = _languages(visit, every=every)
    blocks = "".join(_block(visit, row, given, i, each, COLUMNS[:3]) for i, each in enumerate(locales))
    areas = "".join(
        f'<option value="{r.id}">{escape(r["name"])}</option>' for r in sandbox.database.tables["geozones"].rows
    )
    place = row["place"] if row is not None and row["place"] else ("", "", "")
    tags = (
        ", ".join(t["name"] for t in sandbox.database.taggings.get(("proposal", row.id), [])) if row is not None else ""
    )
    more = [
        blocks,
        '<input type="text" name="proposal[subtitle]">',
        '<input type="text" name="proposal[video_url]" value="">',
    ]
    more.append(f'<select name="proposal[geozone_id]"><option value=""></option>{areas}</select>')
    for name, value in zip(("latitude", "longitude", "zoom"), place, strict=True) if sandbox.maps else ():
        more.append(f'<input type="hidden" name="proposal[map_location_attributes][{name}]" value="{escape(value)}">')
    more.append(f'<input type="text" name="proposal[tag_list]" value="{escape(tags)}">')
    author = visit.user
    if row is None:
        if sandbox.verification and author is not None and not author["document"]:
            more.append('<input type="text" name="proposal[responsible_name]">')
        more.append('<input type="hidden" name="proposal[terms_of_service]" value="0">')
        more.append('<input type="checkbox" name="proposal[terms_of_service]" value="1">')
    own = f"edit_proposal_{row.id}" if row is not None else "new_proposal"
    to = sandbox.proposal_path(row, visit.locale) if row is not None else path
    verb = [("_method", "patch")] if row is not None else []
    attributes = f'id="{own}" class="proposal-form" enctype="multipart/form-data"'
    return _explained(errors) + visit.form(to, verb, attributes=attributes, more="".join(more))


def _retiring(visit: Visit, row: Row, errors: Any) -> str:
    options = "".join(f'<option value="{each}">{each}</option>' for each in ("", *REASONS))
    more = f'<select name="proposal[retired_reason]">{options}</select>'
    blocks = enumerate(_languages(visit))
    more += "".join(_block(visit, row, {}, i, each, ("retired_explanation",)) for i, each in blocks)
    path = f"{visit.sandbox.proposal_path(row, visit.locale)}/retire"
    attributes = f'id="edit_proposal_{row.id}" class="edit_proposal"'
    return _explained(errors) + visit.form(path, [("_method", "patch")], attributes=attributes, more=more)


def _explained(errors: Any) -> str:
    """A count above the form, and a message beside the fields that have one."""
    if not errors:
        return ""
    beside = "".join(f'<small class="form-error is-visible">{escape(text)}</small>' for name, text in errors if name)
    return f'<div id="error_explanation" class="callout alert">{len(errors)} errors</div>{beside}'
