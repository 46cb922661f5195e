"""The sandbox itself: its switches, `/graphql` with its statuses and error bodies, what its pages share (docs/platforms/consul.md 5)."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from html import escape
from typing import Any

from ....core.text import plain_title
from ...testing.graphql_ruby.engine import RequestFailed
from ...testing.messages import Request, Response
from ...testing.sandbox.city import PRIVATE, City
from ...testing.sandbox.sandbox import Operation, Sandbox
from .changes import Changes
from .interface import Interface, dialect_of
from .model import Database, Row, populate
from .people import ADMINISTRATOR, MANAGER, ROBOT, path_of, settle
from .recorded import fill
from .routes import answer, listed
from .session import Sessions
from .visit import slug

ENABLED = ("nl", "es", "ca", "en")
_UPPER = "application/json; charset=UTF-8"


class _Bad(Exception):
    """A request that never reaches GraphQL: status and body."""

    def __init__(self, response: Response) -> None:
        super().__init__(str(response.status))
        self.response = response


class ConsulSandbox(Sandbox):
    """One CONSUL installation in memory."""

    platform = "consul"
    default_version = "2.5.1"
    extra_faults = frozenset({"empty", "duplicate_reply"})

    def __init__(
        self, *, locale: str = "nl", comments_each: float = 3.0, plain: bool = False, prefix: str = "", **options: Any
    ) -> None:
        """`prefix`: the path that the site lives below, as `/participa` (`RAILS_RELATIVE_URL_ROOT`)."""
        super().__init__(**options)
        self.prefix = prefix
        self.dialect = dialect_of(self.version)
        self.locale = locale
        self.enabled: tuple[str, ...] = ENABLED
        self.graphql_off = self.maintenance = self.basic_auth = self.force_ssl = False
        self.processes: dict[str, str | None] = dict.fromkeys(
            ("debates", "proposals", "polls", "budgets", "legislation"), "t"
        )
        self.sessions = Sessions(self.seed)
        self.site, self.code = "Toy City", "CONSUL"
        self.lockable = self.verification = self.translation_interface = False
        self.maps = self.mail_server = True
        self.edit_limit = 1000
        """`max_votes_for_proposal_edit`: with more supports its author cannot change a proposal."""
        self.archive_months = 12
        """`months_to_archive_proposals`."""
        self.mails: dict[str, int] = {}
        """E-mails by reason: what a connector that writes carelessly would send."""
        self._translations = self.sequence = 0
        self._replies: dict[str, list[Response]] = {}
        self.city = City(self.seed)
        self.database = Database(self.seed)
        populate(self.database, self.city, self.size, comments_each=comments_each, plain=plain)
        self.interface = Interface(self.database, self.version, locale, self.charge)
        self._named = Changes(self)
        settle(self)

    @property
    def checked_locale(self) -> str:
        """The language whose texts have their lengths checked: before 2.2 always English (docs/platforms/consul.md 11)."""
        return self.locale if self.newer_than("2.2") else "en"

    @property
    def buttons_are_forms(self) -> bool:
        """Links with `data-method` became forms (docs/platforms/consul.md 8.2, 4)."""
        return self.newer_than("2.3")

    def instance_block(self, url: str) -> dict[str, Any]:
        person = {"document_type": "1", "document_number": ROBOT["document"]}
        return {
            "platform": "consul",
            "url": f"{url}{self.prefix}",
            "login": ROBOT["login"],
            "password": ROBOT["password"],
            "management": {**MANAGER, **person},
            "administrator": dict(ADMINISTRATOR),
        }

    def operations(self) -> Mapping[str, Operation]:
        return self._named.named()

    def mangle(self, kind: str, request: Request, response: Response) -> Response:
        """`empty`: every list of a right answer comes back empty; `duplicate_reply`: the answer of the request before comes again."""
        if kind == "duplicate_reply":
            return self._replies.get(request.path, [response])[0]
        if not request.path.startswith(f"{self.prefix}/graphql") or response.status != 200:
            return response
        return self._kept(request, Response.json(_emptied(json.loads(response.body)), rails=True))

    def load_recorded(self, version: str) -> None:
        """Replace the city by a recorded one (see `recorded.versions`)."""
        self.version, self.dialect = version, dialect_of(version)
        self.locale, self.enabled = "es", ("es", "en", "ca", "de")
        self.database = Database(self.seed)
        fill(self.database, version, self.locale)
        self.interface = Interface(self.database, version, self.locale, self.charge)
        self._named = Changes(self)

    def plant_private_data(self) -> list[str]:
        """Private data where a real one holds or leaks it: names of users, e-mails, numbers of documents, addresses of voters."""
        for row in self.database.tables["users"].rows:
            if row["username"]:
                row.values["username"] = f"{PRIVATE} {row.id}"
        return [PRIVATE]

    def truth(self) -> dict[str, Any]:
        """What the tables hold; `public`: what an anonymous reader of this dialect can and should get."""
        rows = [*self.database.tables["proposals"].rows, *self.database.tables["debates"].rows]
        if self.dialect == "C":
            rows += self.database.tables["investments"].rows
        comments = self.database.tables["comments"].rows
        return {
            "proposals": [self._truth_of(row) for row in rows],
            "comments": [
                {
                    "id": str(row.id),
                    "kind": "comment",
                    "target": f"{_KIND_OF.get(row['commentable_type'], 'poll')}/{row['commentable_id']}",
                    "public": self.interface.shown(row)
                    and row["commentable_type"] != "Poll"
                    and not self._on_draft(row),
                    "body": self.interface.text(row, "body", self.locale),
                    "supports": row["cached_votes_up"],
                }
                for row in comments
            ],
            "answers": self._answers(),
            "spaces": [
                {
                    "id": str(row.id),
                    "kind": "budget",
                    "name": self.interface.text(row, "name", self.locale),
                    "status": row["phase"],
                    "public": self.database.public(row) and self.dialect == "C",
                }
                for row in self.database.tables["budgets"].rows
            ],
            "categories": self._categories(),
            "mails": dict(self.mails),
            "areas": [{"id": str(r.id), "name": r["name"]} for r in self.database.tables["geozones"].rows],
        }

    def _on_draft(self, comment: Row) -> bool:
        """Whether a comment hangs on a draft: the interface shows it, but it is nothing public (docs/platforms/consul.md 10b)."""
        if comment["commentable_type"] != "Proposal":
            return False
        row = self.database.tables["proposals"].by_id.get(comment["commentable_id"])
        return row is not None and _is_draft(row)

    def _answers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for (kind, own), milestones in self.database.milestones_of.items():
            target = self.database.tables[f"{kind}s"].by_id[own]
            public = self.dialect == "C" and self.database.public(target) and not _is_draft(target)
            found += [
                {
                    "id": str(each.id),
                    "kind": "milestone",
                    "target": f"{kind}/{own}",
                    "public": public,
                    "title": self.interface.text(each, "title", self.locale) or "",
                    "text": self.interface.text(each, "description", self.locale) or "",
                }
                for each in milestones
            ]
        return found

    def _categories(self) -> list[dict[str, Any]]:
        """The tags that something public carries; the interface names each where it is carried."""
        carried = {
            tag.id
            for (kind, own), tags in self.database.taggings.items()
            for tag in tags
            if (row := self.database.tables[f"{kind}s"].by_id[own]) and self.database.public(row) and not _is_draft(row)
        }
        return [
            {
                "id": str(row.id),
                "kind": "category" if row["kind"] == "category" else "tag",
                "name": row["name"],
                "public": row.id in carried,
            }
            for row in self.database.tables["tags"].rows
        ]

    def _truth_of(self, row: Row) -> dict[str, Any]:
        state = "withdrawn" if row["retired_at"] else "open"
        if row.kind == "investment":
            state = {"undecided": "open", "feasible": "evaluating", "unfeasible": "rejected"}[
                row["feasibility"] or "undecided"
            ]
        draft = _is_draft(row)
        texts = [self.interface.text(row, name, self.locale) or "" for name in ("summary", "description")]
        author = self.database.author_of(row)
        shown = author is not None and author["public_activity"] and not author.hidden
        return {
            "id": str(row.id),
            "kind": row.kind,
            "title": plain_title(self.interface.text(row, "title", self.locale)),
            "state": state,
            "supports": None if row.kind == "investment" else row["cached_votes_up"],
            "comments": row["comments_count"],
            "public": self.database.public(row) and not draft,
            "author": str(row.author) if row.author is not None else None,
            "author_shown": bool(shown),
            "text": " ".join(texts),
            "areas": [str(row["geozone_id"])] if row["geozone_id"] else [],
            "categories": sorted(str(tag.id) for tag in self.database.taggings.get((row.kind, row.id), [])),
        }

    def handle(self, request: Request) -> Response:
        """Answer as the real one."""
        if not self.prefix:
            return self._answered(request)
        if request.path != self.prefix and not request.path.startswith(f"{self.prefix}/"):
            return self._error(request, 404, "Not Found")
        below = replace(request, path=request.path[len(self.prefix) :] or "/")
        answered = _prefixed(self._answered(below), self.prefix, request.host)
        if request.method == "POST":
            self._replies[request.path] = [*self._replies.get(request.path, []), answered][-2:]
        return answered

    def _answered(self, request: Request) -> Response:
        if self.force_ssl and request.scheme == "http":
            status = 301 if request.method in {"GET", "HEAD"} else 308
            return Response(
                status, [("Location", f"https://{request.host}{request.path}"), ("Content-Type", "text/html")], b""
            )
        if self.maintenance:
            return Response.html("<html><body><h1>Maintenance</h1></body></html>", 503).adding("Retry-After", "3600")
        if self.basic_auth and request.path != "/sitemap.xml" and request.headers.get("authorization") != _BASIC:
            denied = Response.html("HTTP Basic: Access denied.\n", 401)
            denied = denied.adding("WWW-Authenticate", 'Basic realm="Application"')
            return self._kept(request, denied) if request.cookies else denied
        if request.path in {"/graphql", "/graphql.json"}:
            return self._graphql(request)
        if request.path == "/consul.json":
            body = {"release": self.version, "features": self.processes}
            return self._kept(request, Response.json(body).with_etag(request))
        response = answer(self, request)
        if request.method == "POST":
            self._replies[request.path] = [*self._replies.get(request.path, []), response][-2:]
        return response

    def _graphql(self, request: Request) -> Response:
        if request.method not in {"GET", "POST", "HEAD"}:
            return self._error(request, 404, "Not Found")
        if self.graphql_off:
            return self._error(request, 403, "Forbidden")
        try:
            query, variables, operation, body = self._parameters(request)
            if self.dialect == "A" and isinstance(body.get("variables"), dict):
                return Response(204, [], b"")
            found = self.interface.execute(query, variables, operation, self._locale(request, body))
        except _Bad as bad:
            return bad.response
        except RequestFailed as failed:
            if self.dialect == "A":
                return Response(204, [], b"")
            return self._error(request, failed.status, "Not Found" if failed.status == 404 else "Internal Server Error")
        self._charge(found)
        response = self._kept(request, Response.json(found, rails=True).with_etag(request), body)
        return Response(response.status, response.headers, b"") if request.method == "HEAD" else response

    def _charge(self, answer: Any) -> None:
        """What Rails would have worked (docs/explanation/performance.md): by rows, told apart by their fields."""
        self.charge(0.002)
        for connection in _connections(answer.get("data")):
            for node in connection:
                if "description" in node and "cachedVotesUp" in node:
                    self.charge(0.0052)
                elif "body" in node:
                    self.charge(0.0035)
                else:
                    self.charge(0.0004)

    def _parameters(self, request: Request) -> tuple[str, Mapping[str, Any], str | None, dict[str, Any]]:
        body: dict[str, Any] = {name: values[-1] for name, values in request.query.items()}
        if request.method == "POST":
            body |= self._body(request)
        query = body.get("query")
        if query is None:
            raise _Bad(self._kept(request, Response.json({"message": "Query string not present"}, 400)))
        if not isinstance(query, str):
            if self.dialect == "B":
                raise _Bad(self._error(request, 500, "Internal Server Error"))
            kind = {int: "Integer", dict: "ActionController::Parameters", list: "Array"}.get(type(query), "Object")
            text = f"Query string argument should be a String, got {kind} instead."
            raise _Bad(self._kept(request, Response.json({"message": text}, 400)))
        return query, self._variables(request, body.get("variables")), body.get("operationName") or None, body

    def _body(self, request: Request) -> dict[str, Any]:
        kind = request.headers.get("content-type", "")
        if kind == "application/graphql":
            return {"query": request.body.decode()}
        if request.media_type == "application/json":
            try:
                found = json.loads(request.body.decode("utf-8")) if request.body else {}
            except (ValueError, UnicodeDecodeError):
                raise _Bad(self._bad_json(request)) from None
            return found if isinstance(found, dict) else {}
        if request.media_type in {"application/x-www-form-urlencoded", "multipart/form-data"}:
            return {name: values[-1] for name, values in request.form().items()}
        return {}

    def _bad_json(self, request: Request) -> Response:
        if "json" in request.headers.get("accept", ""):
            return Response.json({"status": 400, "error": "Bad Request"}, 400, content_type=_UPPER)
        return Response.html("", 400)

    def _variables(self, request: Request, given: Any) -> Mapping[str, Any]:
        if given in (None, ""):
            return {}
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except ValueError:
                raise _Bad(self._kept(request, Response.json({"message": "Error parsing JSON"}, 400))) from None
            if given is None:
                return {}
        if isinstance(given, dict):
            return given
        shown = json.dumps(given)
        raise _Bad(self._kept(request, Response.json({"message": f"Unexpected parameter: {shown}"}, 400)))

    def _locale(self, request: Request, body: Mapping[str, Any]) -> str:
        asked = str(body.get("locale") or (request.query.get("locale") or [""])[-1] or "")
        if asked in self.enabled:
            return asked
        return str(self.sessions.open(request).get("locale") or self.locale) if request.cookies else self.locale

    def _kept(self, request: Request, response: Response, body: Mapping[str, Any] | None = None) -> Response:
        """The answer with a new cookie; a language that was asked for stays in it (docs/platforms/consul.md 1)."""
        session = self.sessions.open(request) if request.cookies else {}
        asked = str((body or {}).get("locale") or (request.query.get("locale") or [""])[-1] or "")
        if asked in self.enabled:
            session["locale"] = asked
        return self.sessions.keep(response, session)

    def _error(self, request: Request, status: int, text: str) -> Response:
        if "application/json" in request.headers.get("accept", ""):
            return Response.json({"status": status, "error": text}, status, content_type=_UPPER)
        return Response.html(
            f"<html><head><title>Error {status}</title></head><body><h1>{status}</h1></body></html>", status
        )

    # What the pages of the web side need

    def newer_than(self, release: str) -> bool:
        """Whether this release is `release` or a later one."""
        own, other = ([int(part) for part in each.split(".")] for each in (self.version, release))
        return own >= other

    def user_path(self, user: Row) -> str:
        """The address of an author's page."""
        return path_of(user)

    def proposal_path(self, row: Row, locale: str) -> str:
        """The address of a proposal, with the slug of its title if that has Latin letters."""
        tail = slug(self.interface.text(row, "title", locale))
        return f"/proposals/{row.id}-{tail}" if tail else f"/proposals/{row.id}"

    def archived(self, row: Row) -> bool:
        """Whether a proposal is older than this site's own number of months (docs/platforms/consul.md 9)."""
        return row.created_at < self.clock() - timedelta(days=365 * self.archive_months / 12)

    def listed(self, params: dict[str, Any]) -> list[Row]:
        """The rows of the public list."""
        return listed(self, params)

    def list_item(self, row: Row, locale: str) -> str:
        """A proposal in any list."""
        title = escape(self.interface.text(row, "title", locale) or "")
        return f'<div id="proposal_{row.id}"><h3><a href="{self.proposal_path(row, locale)}">{title}</a></h3></div>'

    def next_translation(self) -> int:
        """The next number of the translations table."""
        self._translations += 1
        return self._translations

    def next_proposal(self, *, peek: bool = False) -> int:
        """The next number of the proposals' sequence: never given twice, even when nothing was stored."""
        by_id = self.database.tables["proposals"].by_id
        own = (self.sequence or max(by_id, default=0)) + 1
        while own in by_id:
            own += 1
        if not peek:
            self.sequence = own
        return own

    def mail(self, why: str, row: Row) -> None:
        """Count an e-mail that the platform would send."""
        self.mails[why] = self.mails.get(why, 0) + 1


def _is_draft(row: Row) -> bool:
    return row.kind == "proposal" and row["published_at"] is None and not row["cached_votes_up"]


_BASIC = "Basic " + base64.b64encode(b"staging:toy-password").decode()
_KIND_OF = {"Proposal": "proposal", "Debate": "debate", "Budget::Investment": "investment"}


def _prefixed(response: Response, prefix: str, host: str) -> Response:
    """An answer of a site below a path: all its links, forms and redirects carry the prefix (docs/platforms/consul.md 10b)."""

    def moved(value: str) -> str:
        return re.sub(rf"^((?:https?://{re.escape(host)})?)/(?!{prefix[1:]}(?:/|$))", rf"\g<1>{prefix}/", value)

    headers = [(name, moved(value) if name.lower() == "location" else value) for name, value in response.headers]
    if not (response.header("content-type") or "").startswith(("text/html", "application/xml")):
        return Response(response.status, headers, response.body)
    text = re.sub(r'(href|action)="/(?!/)', rf'\g<1>="{prefix}/', response.body.decode())
    text = re.sub(r"(<loc>https?://[^/<]+)/", rf"\g<1>{prefix}/", text)
    return Response(response.status, headers, text.encode())


def _connections(data: Any) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []
    for value in data.values() if isinstance(data, dict) else ():
        if isinstance(value, dict):
            rows = value.get("nodes") or [edge.get("node") for edge in value.get("edges") or ()]
            if rows:
                found.append([row for row in rows if isinstance(row, dict)])
            else:
                found.extend(_connections(value))
    return found


def _emptied(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {
            k: ([] if k in {"nodes", "edges"} else _emptied(v)) for k, v in answer.items() if k != "hasNextPage"
        } | ({"hasNextPage": False} if "hasNextPage" in answer else {})
    return answer
