"""Which page of the sandbox answers what, and its public pages: list, search, a proposal, site map (docs/platforms/consul.md 9)."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from html import escape
from typing import Any
from zlib import crc32

from ...testing.messages import Request, Response
from . import people, proposals, replies, staff
from .model import Row
from .visit import Visit, hash_of, page_number
from .whole import Whole

Page = Callable[..., Response]
_OWN = r"/proposals/(\d+)(?:-[^/]*)?"
_FIXED: dict[str, Page] = {
    "GET /users/sign_in": people.sign_in_form,
    "POST /users/sign_in": people.sign_in,
    "DELETE /users/sign_out": people.sign_out,
    "GET /users/password_expired": people.password_expired,
    "GET /account": people.account,
    "PATCH /account": people.change_account,
    "GET /proposals/new": proposals.new,
    "POST /proposals": proposals.create,
    "POST /comments": replies.comment,
    "GET /admin/proposals": staff.admin_list,
    "GET /moderation/proposals": staff.moderation,
    "GET /management/sign_in": staff.management_sign_in,
}
_MANAGEMENT: dict[str, Page] = {
    "GET /management": staff.management,
    "GET /management/document_verifications": staff.verification_form,
    "POST /management/document_verifications/check": staff.check,
    "GET /management/proposals": staff.listed,
    "GET /management/proposals/print": staff.listed,
    "GET /management/proposals/new": staff.new,
    "POST /management/proposals": staff.create,
    "DELETE /management/users/logout": staff.forget_person,
    "DELETE /management/session": staff.forget_manager,
}
_DESPITE = frozenset({"/users/password_expired", "/users/sign_out", people.SIGN_IN})
"""Where somebody may go whose password has expired."""
_MATCHED: tuple[tuple[str, str, Page], ...] = (
    ("GET", rf"{_OWN}/created", proposals.created_page),
    ("PATCH", rf"{_OWN}(?P<dashboard>/dashboard)?/publish", proposals.publish),
    ("GET", rf"{_OWN}/share", proposals.share),
    ("GET", rf"{_OWN}/edit", proposals.edit),
    ("PATCH", _OWN, proposals.update),
    ("GET", rf"{_OWN}/retire_form", proposals.retire_form),
    ("PATCH", rf"{_OWN}/retire", proposals.retire),
    ("POST", rf"{_OWN}/vote", replies.support),
    ("PUT", r"/comments/(\d+)/hide", replies.hide_own),
    ("GET", r"/users/(\d+)(-[^/]*)?", people.user_page),
    ("GET", r"/management/proposals/(\d+)(-[^/]*)?", staff.proposal),
    ("POST", r"/management/proposals/(\d+)(-[^/]*)?/vote", staff.support),
    ("GET", r"/admin/proposals/(\d+)(-[^/]*)?", staff.admin_proposal),
    ("GET", r"/admin/proposals/(\d+)(?:-[^/]*)?/milestones/new", staff.milestone_form),
    ("POST", r"/admin/proposals/(\d+)(?:-[^/]*)?/milestones", staff.milestone),
    ("PUT", r"/moderation/proposals/(\d+)(?:-[^/]*)?/hide", staff.hide),
    ("PUT", r"/admin/hidden_proposals/(\d+)(?:-[^/]*)?/restore", staff.restore),
)


def answer(sandbox: Whole, request: Request) -> Response:
    """The page that is asked for."""
    if request.cookies and sandbox.sessions.open(request).get("expired") and request.path not in _DESPITE:
        return Visit(sandbox, request).redirect("/users/password_expired", ("alert", "Change your password."))
    simple = _public(sandbox, request)
    if simple is not None:
        return simple
    visit = Visit(sandbox, request)
    method = "GET" if visit.method == "HEAD" else visit.method
    line = f"{method} {request.path}"
    match = _matched(method, request.path)
    known = line in _FIXED or line in _MANAGEMENT or match is not None
    # The router comes first, then the token, then who may.
    if not known:
        return visit.error(404)
    if visit.forged():
        return visit.error(422)
    if request.path.startswith("/management") and line != "GET /management/sign_in":
        ended = staff.closed(visit)
        if ended is not None:
            return ended
    if match is not None:
        page, found = match
        return page(visit, found)
    return (_FIXED.get(line) or _MANAGEMENT[line])(visit)


def _matched(method: str, path: str) -> tuple[Page, re.Match[str]] | None:
    if f"{method} {path}" in _FIXED or f"{method} {path}" in _MANAGEMENT:
        return None
    for verb, pattern, page in _MATCHED:
        found = re.fullmatch(pattern, path) if verb == method else None
        if found is not None:
            return page, found
    return None


def _public(sandbox: Whole, request: Request) -> Response | None:
    """What anybody reads."""
    if request.method not in {"GET", "HEAD"}:
        return None
    if request.path in {"/", "/welcome"}:
        return Visit(sandbox, request).page(sandbox.site, "CONSUL")
    if request.path == "/robots.txt":
        rules = "User-agent: *\nDisallow: /users/\nDisallow: /comments/\nDisallow: /*?*order*\nDisallow: /*?*search*\n"
        return Response(200, [("Content-Type", "text/plain; charset=utf-8")], rules.encode())
    if request.path == "/sitemap.xml":
        return _sitemap(sandbox, request)
    if request.path == "/proposals":
        return _index(Visit(sandbox, request))
    match = re.fullmatch(r"/proposals/(\d+)(-[^/]*)?", request.path)
    return _proposal(Visit(sandbox, request), match) if match else None


def _proposal(visit: Visit, match: re.Match[str]) -> Response:
    sandbox = visit.sandbox
    if sandbox.processes.get("proposals") != "t":
        return visit.error(403)
    row = sandbox.database.tables["proposals"].by_id.get(int(match[1]))
    if row is None or row.hidden:
        return visit.error(404)
    sandbox.charge(0.5)
    path = sandbox.proposal_path(row, visit.locale)
    if visit.request.path != path:
        return visit.kept(Response.redirect(f"{visit.request.scheme}://{visit.request.host}{path}", 301))
    # A draft says so in place of its supports; what asks strangers to sign in looks alike and stands elsewhere.
    draft = '<div class="callout primary">Proposal in draft.</div>' if row["published_at"] is None else ""
    stranger = '<div class="callout primary">Sign in to comment.</div>' if visit.user is None else ""
    title, summary, text = (
        sandbox.interface.text(row, name, visit.locale) or "" for name in ("title", "summary", "description")
    )
    retired = '<div class="callout alert proposal-retired">Retired.</div>' if row["retired_at"] else ""
    body = f"<h1>{escape(title)}</h1>{retired}<blockquote>{escape(summary)}</blockquote><div>{text}</div>"
    votes = f'<div id="proposal_{row.id}_votes">{draft}</div><div id="comments">{stranger}</div>'
    return visit.page(title, f'<div id="proposal_{row.id}">{body}{votes}</div>')


def _sitemap(sandbox: Whole, request: Request) -> Response:
    sandbox.charge(0.001)
    stamp = sandbox.clock().replace(hour=3, minute=0, second=0, microsecond=0).isoformat()
    rows = [r for name in ("proposals", "debates") for r in sandbox.database.tables[name].rows if not r.hidden]
    urls = "".join(
        f"<url><loc>http://{request.host}/{r.kind}s/{r.id}</loc><lastmod>{stamp}</lastmod></url>" for r in rows
    )
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    body = f'<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="{space}">{urls}</urlset>'
    return Response(200, [("Content-Type", "application/xml")], body.encode())


def _index(visit: Visit) -> Response:
    """The public list."""
    accept = visit.request.headers.get("accept", "text/html")
    if "text/html" not in accept and "*/*" not in accept:
        return visit.error(406)
    sandbox = visit.sandbox
    if sandbox.processes.get("proposals") != "t":
        return visit.error(403)
    sandbox.charge(0.7)
    page = page_number(visit.params)
    shown = sandbox.listed(visit.params)[(page - 1) * 25 : page * 25]
    return visit.page(sandbox.site, "".join(sandbox.list_item(row, visit.locale) for row in shown))


def listed(sandbox: Whole, params: dict[str, Any]) -> list[Row]:
    """The rows of the public list: published, neither archived, retired nor selected unless asked for; filters and order as asked.

    The order has ties, which come anew for each page (docs/platforms/consul.md 9, recordings 750 to 752).
    """
    order, retired, selected = str(params.get("order") or ""), params.get("retired"), params.get("selected")
    archive = order == "archival_date"
    dates = hash_of(params, "advanced_search")
    since, until = _day(dates.get("date_min"), sandbox.clock()), _day(dates.get("date_max"), sandbox.clock())
    rows = [
        row
        for row in sandbox.database.tables["proposals"].rows
        if not row.hidden
        and row["published_at"] is not None
        and (row["retired_at"] is not None) == bool(retired)
        and (not retired or retired in ("all", row["retired_reason"]))
        and bool(row["selected"]) == bool(selected)
        and sandbox.archived(row) == archive
        and (since is None or row.created_at.date() >= since)
        and (until is None or row.created_at.date() <= until)
    ]
    words = str(params.get("search") or "").lower().split()
    if words:
        rows = [row for row in rows if _holds(sandbox, row, words)]

    def tie(row: Row) -> int:
        return crc32(f"{row.id} {page_number(params)}".encode())

    if order == "created_at":
        return sorted(rows, key=lambda row: (-row.created_at.timestamp(), tie(row)))
    if order in {"confidence_score", "archival_date"}:
        return sorted(rows, key=lambda row: (-(row["cached_votes_up"] or 0), tie(row)))
    return sorted(rows, key=lambda row: (-(row["hot_score"] or 0), tie(row)))


def _day(value: Any, now: datetime) -> date | None:
    text = str(value or "")
    if text in {"1", "2", "3", "4"}:
        return (now - timedelta(days={"1": 1, "2": 7, "3": 30, "4": 365}[text])).date()
    return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None


def _holds(sandbox: Whole, row: Row, words: list[str]) -> bool:
    code = f"{sandbox.code}-{row.created_at:%Y-%m}-{row.id}".lower()
    if words == [code]:
        return True
    tags = " ".join(t["name"] for t in sandbox.database.taggings.get(("proposal", row.id), []))
    text = " ".join(str(value) for texts in row.texts.values() for value in texts.values()).lower()
    return all(word in f"{text} {tags.lower()}" for word in words)
