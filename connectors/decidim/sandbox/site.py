"""The sandbox's web pages by address: which page answers, and what stands before every page (docs/platforms/decidim.md 4.4)."""

import re

from ...testing.messages import Request, Response
from . import entrance
from .model import Component
from .office import AdminPages
from .visit import Visit, visit_of
from .whole import Whole
from .wizard import Wizard

_KINDS = {"processes": "process", "assemblies": "assembly", "participatory_processes": "process"}
_PUBLIC = re.compile(r"(/(processes|assemblies)/([^/]+)/f/(\d+)/proposals)(?:/(new|\d+)(?:/(\w+))?)?")
_DEBATE = re.compile(r"/(?:processes|assemblies)/[^/]+/f/(\d+)/debates/(\d{1,9})")
_OFFICE = re.compile(r"(/admin/(participatory_processes|assemblies)/([^/]+)/components/(\d+)/manage/proposals)(/.*)?")
_OAUTH = frozenset({"0.31", "0.32"})


class Site:
    """The pages of one organization."""

    def __init__(self, sandbox: Whole) -> None:
        self.sandbox = sandbox
        self.wizard = Wizard(sandbox)
        self.office = AdminPages(sandbox)

    def answer(self, request: Request) -> Response:
        """A page, with the cookie of its session."""
        if request.path.startswith("/api/") or (request.accepts("application/json") and not self._known(request)):
            # An address that does not exist is a 404 only for browsers (docs/platforms/decidim.md 1.1).
            return Response.text(entrance.BROKEN_TEXT, 500, content_type="text/plain")
        visit = visit_of(self.sandbox, request)
        if isinstance(visit, Response):
            key = request.cookies.get("_session_id")
            elsewhere = visit.status == 301 and key is not None
            return visit.adding("Set-Cookie", entrance.cookie(str(key))) if elsewhere else visit
        response = self._stopped(visit) or self._page(visit)
        if visit.path in {"/oauth/token", "/oauth/revoke"} or response.status in {404, 500}:
            return response
        return response.adding("Set-Cookie", entrance.cookie(visit.session.key))

    def _known(self, request: Request) -> bool:
        return request.path.startswith(("/users/", "/oauth/"))

    def _stopped(self, visit: Visit) -> Response | None:
        """After the terms changed every page leads to them, until they are accepted."""
        user = visit.user
        free = visit.path.startswith(("/pages/terms-of-service", "/users/sign_out", "/oauth/token"))
        if user is None or user.accepted_terms or free:
            return None
        if visit.method == "GET":
            user.return_to = visit.path
        return visit.to("/pages/terms-of-service", located=True)

    def _page(self, visit: Visit) -> Response:
        path = visit.path
        if path == "/":
            return visit.page("Start", "<h1>Wijk doet mee</h1>")
        if path == "/users/sign_in":
            return entrance.sign_in(visit)
        if path in {"/pages/terms-of-service", "/pages/terms-of-service/accept"}:
            return entrance.terms(visit)
        if path == "/oauth/authorize" and self.sandbox.line in _OAUTH:
            return entrance.authorize(visit)
        if path == "/oauth/token" and self.sandbox.line in _OAUTH and visit.method == "POST":
            return entrance.oauth_token(visit)
        if path == "/oauth/revoke" and self.sandbox.line in _OAUTH and visit.method == "POST":
            return Response.json({})
        if path in {"/admin", "/admin/admin_terms/show"}:
            return self.office.start(visit)
        match = _PUBLIC.fullmatch(path)
        if match is not None:
            component = self._component(match[2], match[3], match[4])
            if component is not None and component.published and component.space.published:
                return self.wizard.answer(visit, component, match[1], match[5], match[6])
            return visit.missing()
        match = _DEBATE.fullmatch(path)
        if match is not None:
            row = self.sandbox.database.proposals["debate"].get(int(match[2]))
            return (
                self.wizard.debate(visit, row)
                if row is not None and row.component.id == int(match[1])
                else visit.missing()
            )
        match = _OFFICE.fullmatch(path)
        if match is not None:
            component = self._component(match[2], match[3], match[4])
            if component is not None:
                rest = [each for each in (match[5] or "").split("/") if each]
                return self.office.answer(visit, component, match[1], rest)
        return visit.missing()

    def _component(self, kind: str, slug: str, own: str) -> Component | None:
        found = self.sandbox.database.components.get(int(own))
        if found is None or found.kind != "Proposals" or found.space.slug != slug or found.space.kind != _KINDS[kind]:
            return None
        return found
