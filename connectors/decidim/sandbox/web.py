"""The sandbox's web side: routes, limits, redirects and error bodies as Rails gives them (docs/platforms/decidim.md 1.1, 1.2, 5)."""

import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ....core.text import plain_title
from ...testing.graphql_ruby.engine import RequestFailed
from ...testing.messages import Request, Response
from ...testing.sandbox.city import PRIVATE, City
from ...testing.sandbox.sandbox import Operation, Sandbox
from . import entrance, recorded
from .accounts import ANONYMOUS, Accounts, Caller
from .changes import Changes
from .files import comments_csv, proposals_csv, thread_script
from .interface import Interface
from .model import LOCALES, Database, Proposal, any_text, populate
from .releases import is_checked, line_of
from .site import Site
from .whole import Costs
from .writing import Writing

_BROKEN = {"errors": [{"message": "Internal Server error"}], "data": {}}
_STATES = {"evaluating": "evaluating", "accepted": "accepted", "rejected": "rejected", None: "open"}
_ONE_ARCHIVE = frozenset({"0.27", "0.28", "0.29"})
_FILES: dict[str, Callable[[Any], bytes]] = {
    "proposals": proposals_csv,
    "proposal_comments": comments_csv,
    "debate_comments": lambda sandbox: comments_csv(sandbox, "debate"),
}
_NIGHTLY = timedelta(hours=24)
THROTTLE = 100
THREADS = 3


_COSTS = {
    "0.27": Costs(0.0106, 0.0142, 0.034, 0.018, 0.03),
    "0.28": Costs(0.0106, 0.0142, 0.034, 0.018, 0.03),
    "0.29": Costs(0.0106, 0.0142, 0.034, 0.018, 0.03),
    "0.30": Costs(0.034, 0.0366, 0.075, 0.035, 0.05),
    "0.31": Costs(0.034, 0.0366, 0.075, 0.035, 0.05),
    "0.32": Costs(0.034, 0.0366, 0.075, 0.035, 0.05),
}


class DecidimSandbox(Sandbox):
    """One organization in memory."""

    platform = "decidim"
    default_version = "0.32"
    extra_faults = frozenset({"empty", "duplicate_reply"})

    def __init__(
        self,
        *,
        comments_each: float = 2.0,
        plain: bool = False,
        throttle: bool = True,
        locales: tuple[str, ...] = LOCALES,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.locales = locales
        self.next_id = 0
        self.about: dict[str, Any] = {}
        self.host = "localhost"
        # The language that each thread of the server was left in (docs/platforms/decidim.md 1.1, locale leak).
        self._threads, self._thread = [locales[0]] * THREADS, 0
        self._leaks = random.Random(f"{self.seed}:threads")
        self.accounts = Accounts(self.seed, self.clock, locales[0])
        self.line = line_of(self.version)
        self.costs = _COSTS[self.line]
        self.forced_sign_in = self.no_open_data = self.closed_interface = self.dead_export = False
        self.files: dict[str, bytes] = {}
        self.exported_at: datetime | None = None
        self._throttle = throttle
        self._minute: tuple[int, int] = (0, 0)
        self.city = City(self.seed)
        self.database = Database()
        populate(self.database, self.city, self.size, comments_each=comments_each, plain=plain)
        self.writing = Writing(self)
        self.interface = Interface(self)
        self.site = Site(self)
        self._named = Changes(self)
        self.export_open_data()

    def load_recorded(self, version: str) -> None:
        """The city of a recorded release line, such as 0.32."""
        if line_of(version) not in recorded.versions():
            super().load_recorded(version)
        self.about = recorded.load(self.database, line_of(version), self.city.moment(0))
        self.locales = ("ca", "es", "en")
        self._threads = [self.locales[0]] * THREADS
        self.files = {}
        self.export_open_data()

    def instance_block(self, url: str) -> dict[str, Any]:
        block = {"platform": "decidim", "url": url, "email": "robot@toy.example", "password": "toy-password-123"}
        if self.line in {"0.31", "0.32"}:
            block |= {"api_key": "toy-key", "api_secret": "toy-secret"}
        return block

    def operations(self) -> Mapping[str, Operation]:
        return self._named.named()

    def export_open_data(self) -> None:
        """What a real site's nightly task does: one archive, up to 0.29 made anew unless one initiative lets it die for good.

        From 0.30 on the oldest archive is served whatever was made since, and a single file is made once, at the first request for
        it, and never again (docs/platforms/decidim.md 5; recordings 781 to 784, 799).
        """
        if self.dead_export and self.files:
            return
        self.exported_at = self.clock()
        if self.line in _ONE_ARCHIVE:
            self.files = {name: make(self) for name, make in _FILES.items() if name != "debate_comments"}
        else:
            self.files = {name: make(self) for name, make in _FILES.items()} if not self.files else self.files

    def mangle(self, kind: str, request: Request, response: Response) -> Response:
        """`empty`: every list of a right answer comes back empty. `duplicate_reply`: the answer is the one to somebody else."""
        if kind == "duplicate_reply":
            return _of_another(response)
        if request.path.rstrip("/") != "/api" or response.status != 200:
            return response
        return Response.json(_emptied(json.loads(response.body)))

    def plant_private_data(self) -> list[str]:
        """Names and addresses of authors carry the token; the interface and open data show them to everybody."""
        self.private = True
        self.files = {}
        self.export_open_data()
        return [PRIVATE]

    private = False

    def truth(self) -> dict[str, Any]:
        """What the tables hold; `public`: what an anonymous reader of this release should get."""
        rows = [row for kind in self.database.proposals.values() for row in kind.values()]
        return {
            "proposals": [self._truth_of(row) for row in rows],
            "drafts": [str(row.id) for row in rows if row.draft and not row.deleted],
            "sent": dict(self.writing.sent),
            "comments": [
                {
                    "id": str(c.id),
                    "kind": "comment",
                    "target": f"{'proposal' if c.target.kind == 'amendment' else c.target.kind}/{c.target.id}",
                    "public": self.is_public(c.target) and c.is_shown,
                    "body": c.body,
                    "author": None if c.author in self.database.deleted_users and self.checked else str(c.author),
                    "supports": c.ups,
                }
                for c in self.database.comments.values()
            ],
            "answers": [
                {
                    "id": f"proposal-{row.id}",
                    "target": f"proposal/{row.id}",
                    "text": next(iter(row.answer.values()), ("", False))[0],
                    "public": self.is_public(row) and row.state_published and row.state is not None,
                }
                for row in rows
                if row.answer and row.answered_at is not None
            ],
            "spaces": self._true_spaces(),
            "categories": [
                {
                    "id": str(own),
                    "kind": "category" if self.line in _ONE_ARCHIVE else "taxonomy",
                    "name": name,
                    "public": True,
                }
                for own, name in self.database.taxonomies.items()
            ],
        }

    def _true_spaces(self) -> list[dict[str, Any]]:
        """Spaces, components and budgets, and whether everybody sees them."""
        found: list[dict[str, Any]] = []
        for space in self.database.spaces:
            open_space = space.published and not space.private
            found.append(
                {"id": str(space.id), "kind": space.kind, "name": any_text(space.title, "nl"), "public": open_space}
            )
            for component in space.components:
                public = open_space and component.published and not component.trashed
                name = any_text(component.name, "nl")
                found.append({"id": str(component.id), "kind": "component", "name": name, "public": public})
                budgets = sorted({row.budget for row in component.rows if row.budget is not None})
                found += [{"id": str(b), "kind": "budget", "name": f"Begroting {b}", "public": public} for b in budgets]
        return found

    def is_public(self, row: Proposal) -> bool:
        """Whether everybody may see it."""
        space = row.component.space
        reachable = row.component.published and not row.component.trashed and space.published and not space.private
        if row.kind == "project" and self.version == "0.28.6":
            return False
        return reachable and not (row.hidden or row.draft or row.deleted)

    def _truth_of(self, row: Proposal) -> dict[str, Any]:
        published = row.state if row.state_published or row.amends is not None else None
        state = "withdrawn" if row.withdrawn_at else _STATES.get(published, "other")
        supports: int | None = None if row.component.votes_hidden else row.votes
        if row.kind == "project":
            state, supports = (
                ("accepted" if row.selected else "open"),
                (row.votes if self.line in {"0.31", "0.32"} else None),
            )
        elif row.kind == "debate":
            state, supports = "open", None
        title = row.title.get(self.locales[0]) or next(iter(row.title.values()), ("", False))
        return {
            "id": str(row.id),
            "kind": row.kind,
            "title": plain_title(title[0] or ""),
            "state": state,
            "supports": supports,
            "comments": row.count,
            "public": self.is_public(row),
            "author": str(row.author) if row.author is not None else None,
            "likes": row.likes,
            "categories": [str(own) for own in row.groups if own in self.database.taxonomies],
            "amends": str(row.amends.id) if row.amends is not None else None,
        }

    @property
    def spoken(self) -> str:
        """The language of the thread that answers now."""
        return self._threads[self._thread]

    def leak(self, locale: str) -> None:
        """Set the language of this thread for good."""
        if self.line in {"0.30", "0.31", "0.32"}:
            self._threads[self._thread] = locale

    def touch(self, row: Proposal) -> None:
        """Something happened to a row."""
        row.updated_at = max(self.clock(), row.updated_at)
        if row.kind != "project":
            row.component.updated_at = max(self.clock(), row.component.updated_at)

    def person_id(self, nickname: str) -> int | None:
        """Whom a mention means."""
        account = self.accounts.by_nickname(nickname)
        if account is not None:
            return account.id
        match = re.fullmatch(r"u([1-9]\d{0,2})", nickname)
        return int(match[1]) if match and int(match[1]) <= 500 else None

    def person_nickname(self, own: int) -> str:
        """The name in a mention."""
        account = self.accounts.people.get(own)
        return account.nickname if account is not None else f"u{own}"

    def address_of(self, row: Proposal) -> str:
        """The public address, with the locale that wanders in 0.32."""
        space = row.component.space
        path = {"process": "processes", "assembly": "assemblies"}[space.kind]
        prefix = f"/{self.rng.choice(self.locales)}" if self.line == "0.32" else ""
        last = {"debate": "debates", "project": f"budgets/{row.budget}/projects"}.get(row.kind, "proposals")
        return f"{prefix}/{path}/{space.slug}/f/{row.component.id}/{last}/{row.id}"

    def handle(self, request: Request) -> Response:
        """Answer as the real one."""
        if self._throttle and self._too_many():
            return Response.text("Retry later\n", 429)
        self._thread = self._leaks.randrange(THREADS)
        self.host = request.host.lower()
        path = request.path.rstrip("/") or "/"
        if path == "/api" and request.method == "POST":
            return self._api(request)
        if path.startswith("/api/sign_") and self.line in {"0.31", "0.32"}:
            return entrance.api_session(self, request, path)
        if path == "/api":
            if request.method == "OPTIONS":
                cors = [("access-control-allow-methods", "POST, OPTIONS"), ("access-control-max-age", "7200")]
                return Response(200, cors, b"")
            return Response.redirect("/api/docs", 301)
        if path == "/comments":
            return self._comments(request)
        if "open-data" in path or path.startswith("/rails/active_storage"):
            return self._open_data(request, path)
        if path == "/" and "_session_id" not in request.cookies:
            return Response.html(f'<!DOCTYPE html><html lang="{self.locales[0]}"><body>Decidim</body></html>')
        return self.site.answer(request)

    def _too_many(self) -> bool:
        minute = int(self.clock().timestamp() // 60)
        count = self._minute[1] + 1 if self._minute[0] == minute else 1
        self._minute = (minute, count)
        return count > THROTTLE

    def _caller(self, request: Request) -> tuple[Caller, str | None]:
        """Who asks, and the cookie to give: what is sent is renewed, and a token gets a session too."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        key = request.cookies.get("_session_id")
        if kind:
            caller = self.accounts.bearer(token, request.headers.get("x-jwt-aud")) if kind == "Bearer" else ANONYMOUS
            if caller.user is not None and self.line in {"0.31", "0.32"}:
                return caller, key or self.accounts.start(caller.user if caller.kind == "api" else None).key
            return (caller if self.line in {"0.31", "0.32"} else ANONYMOUS), key
        session = self.accounts.session(key)
        if session is None or session.user is None:
            return ANONYMOUS, key
        return Caller(session.user, "session", None), key

    def _api(self, request: Request) -> Response:
        caller, key = self._caller(request)
        response = self._asked(request, caller)
        return response if key is None else response.adding("Set-Cookie", entrance.cookie(key))

    def _asked(self, request: Request, caller: Caller) -> Response:
        person = caller.user is not None and not caller.user.api
        away = f"http://{request.host}{f'/{self.locales[0]}' if self.line == '0.32' else ''}/users/sign_in"
        if self.forced_sign_in and not person:
            return Response.redirect(away)
        if self.closed_interface and not person:
            if request.accepts("application/json"):
                return Response.json({"error": "Access denied"}, 401)
            return Response.redirect(away)
        try:
            query, variables, operation = self._parameters(request)
            if query is None:
                return self._json({"errors": [{"message": "No query string was present"}]})
            answer = self.interface.execute(query, variables, operation, caller)
        except (ValueError, RequestFailed):
            return self._json(_BROKEN, 500)
        self._charge(answer.get("data"))
        return self._json(answer)

    def _parameters(self, request: Request) -> tuple[str | None, Mapping[str, Any], str | None]:
        if request.media_type == "application/json":
            body = json.loads(request.body)
            if not isinstance(body, dict) or not isinstance(body.get("query"), str):
                if isinstance(body, dict) and self.version == "0.30.9":
                    return None, {}, None
                raise ValueError("no query")
        elif request.media_type in {"application/x-www-form-urlencoded", "multipart/form-data"}:
            body = {name: values[-1] for name, values in request.form().items()}
        else:
            return None, {}, None
        variables = body.get("variables") or {}
        if isinstance(variables, str):
            variables = json.loads(variables) if variables else {}
        if not isinstance(variables, dict):
            raise ValueError("variables")
        return body.get("query"), variables, body.get("operationName")

    def _charge(self, data: Any) -> None:
        if not isinstance(data, dict):
            return
        if "participatoryProcesses" in data:
            self.charge(self.costs.gate)
        page = (data.get("component") or {}).get("proposals") if isinstance(data.get("component"), dict) else None
        for node in (page or {}).get("nodes") or ():
            self.charge(self.costs.record if node and "body" in node else self.costs.light)

    def _json(self, value: Any, status: int = 200) -> Response:
        response = Response.json(value, status)
        return response.adding("Access-Control-Allow-Origin", "*") if status == 200 else response

    def _open_data(self, request: Request, path: str) -> Response:
        if self.no_open_data:
            return Response.redirect("/")
        if self.line in _ONE_ARCHIVE:
            if path == "/open-data/download":
                return Response.redirect(f"http://{request.host}/rails/active_storage/blobs/redirect/1/open-data.zip")
            if "/blobs/" in path:
                return Response.redirect(f"http://{request.host}/rails/active_storage/disk/1/open-data.zip")
            if "/disk/" in path:
                self.charge(0.3)
                if self.exported_at is None or self.clock() - self.exported_at >= _NIGHTLY:
                    self.export_open_data()
                return Response(200, [("Content-Type", "application/zip")], self._zip(request.host))
            return Response.html("", 404)
        match = re.fullmatch(r"(?:/(\w\w))?/open-data/download(?:/(\w+))?", path)
        if match is None:
            return Response.html("", 404)
        if self.line == "0.32" and match[1] is None:
            return Response.redirect(f"http://{request.host}/{self.locales[0]}{path}", 301)
        if match[2] is None:
            return Response(200, [("Content-Type", "application/zip")], self._zip(request.host))
        if match[2] not in self.files:
            if match[2] not in _FILES:
                return Response.html("", 404)
            # Made now, for whoever asks again (recordings 799, 799b).
            self.files[match[2]] = _FILES[match[2]](self)
            return Response.redirect(f"http://{request.host}/")
        headers = [("Content-Type", "text/csv"), ("Cache-Control", "max-age=0, private, must-revalidate")]
        response = Response(200, headers, self.files[match[2]]).with_etag(request)
        self.charge(0.2 if response.status == 304 else 0.3)
        return response

    def _comments(self, request: Request) -> Response:
        """A page's thread as a script: one level, withheld ones as placeholders (docs/platforms/decidim.md 1.12; 774 to 780)."""
        accepted = request.headers.get("accept", "")
        scripted = request.headers.get("x-requested-with") == "XMLHttpRequest"
        if "json" in accepted:
            return Response(406, [], b"")
        if "javascript" not in accepted:
            return Response.redirect(f"http://{request.host}/")
        if not scripted:
            return Response(422, [("Content-Type", "text/plain; charset=utf-8")], b"")
        kind, _, own = request.query.get("commentable_gid", [""])[-1].partition("-")
        number = int(own) if own.isdigit() else 0
        row = self.database.proposals.get(kind, {}).get(number)
        comment = self.database.comments.get(number) if kind == "comment" else None
        if comment is None and (row is None or not self.is_public(row)):
            return Response.html("", 404)
        rows = comment.children if comment is not None else row.comments if row is not None else []
        return Response(200, [("Content-Type", "text/javascript; charset=utf-8")], thread_script(rows).encode())

    def _zip(self, host: str) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, body in self.files.items():
                archive.writestr(f"{host}-open-data-{name}.csv", body)
        return buffer.getvalue()

    @property
    def checked(self) -> bool:
        """Whether this release hides moderated objects in its interface."""
        return is_checked(self.version)


def _of_another(response: Response) -> Response:
    """The same answer with another proposal's id."""
    location = response.header("location")
    if location is not None:
        return response.without("location").adding("Location", re.sub(r"/proposals/\d+", "/proposals/1", location))
    body = re.sub(rb'"createProposal":\{"id":"\d+".*\}\}\}\}', b'"createProposal":{"id":"1"}}}}', response.body)
    return Response(response.status, response.headers, body)


def _emptied(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {
            name: (
                []
                if name in {"nodes", "participatoryProcesses", "assemblies"}
                else False
                if name == "hasNextPage"
                else _emptied(value)
            )
            for name, value in answer.items()
        }
    return answer
