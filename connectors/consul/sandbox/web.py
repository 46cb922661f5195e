"""The sandbox's web side: routes, statuses and error bodies as Rails gives them (docs/platforms/consul.md 1, 5 and 9)."""

import base64
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from html import escape
from typing import Any

from ....core.text import plain_title
from ...testing.city import PRIVATE, City
from ...testing.graphql_ruby import RequestFailed
from ...testing.http import Request, Response
from ...testing.sandbox import Operation, Sandbox
from .changes import Changes
from .interface import Interface, dialect_of
from .model import Database, Row, populate
from .recorded import fill

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
    extra_faults = frozenset({"empty"})

    def __init__(self, *, locale: str = "nl", comments_each: float = 3.0, plain: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.dialect = dialect_of(self.version)
        self.locale = locale
        self.enabled: tuple[str, ...] = ENABLED
        self.graphql_off = self.maintenance = self.basic_auth = self.force_ssl = False
        self.processes: dict[str, str | None] = dict.fromkeys(
            ("debates", "proposals", "polls", "budgets", "legislation"), "t"
        )
        self.city = City(self.seed)
        self.database = Database(self.seed)
        populate(self.database, self.city, self.size, comments_each=comments_each, plain=plain)
        self.interface = Interface(self.database, self.version, locale, self.charge)
        self._named = Changes(self)

    def instance_block(self, url: str) -> dict[str, Any]:
        return {"platform": "consul", "url": url, "login": "robot@toy.example", "password": "toy-password"}

    def operations(self) -> Mapping[str, Operation]:
        return self._named.named()

    def mangle(self, kind: str, request: Request, response: Response) -> Response:
        """`empty`: every list of a right answer comes back empty."""
        if not request.path.startswith("/graphql") or response.status != 200:
            return response
        return _session(Response.json(_emptied(json.loads(response.body)), rails=True))

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
                    "public": self.interface._shown(row) and row["commentable_type"] != "Poll",  # pyright: ignore[reportPrivateUsage]
                    "body": self.interface.text(row, "body", self.locale),
                }
                for row in comments
            ],
            "areas": [{"id": str(r.id), "name": r["name"]} for r in self.database.tables["geozones"].rows],
        }

    def _truth_of(self, row: Row) -> dict[str, Any]:
        state = "withdrawn" if row["retired_at"] else "open"
        if row.kind == "investment":
            state = {"undecided": "open", "feasible": "evaluating", "unfeasible": "rejected"}[
                row["feasibility"] or "undecided"
            ]
        draft = row.kind == "proposal" and row["published_at"] is None and not row["cached_votes_up"]
        return {
            "id": str(row.id),
            "kind": row.kind,
            "title": plain_title(self.interface.text(row, "title", self.locale)),
            "state": state,
            "supports": None if row.kind == "investment" else row["cached_votes_up"],
            "comments": row["comments_count"],
            "public": self.database.public(row) and not draft,
            "author": str(row.author) if row.author is not None else None,
        }

    def handle(self, request: Request) -> Response:
        """Answer as the real one."""
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
            return _session(denied) if request.cookies else denied
        if request.path in {"/graphql", "/graphql.json"}:
            return self._graphql(request)
        if request.path == "/consul.json":
            body = {"release": self.version, "features": self.processes}
            return _session(Response.json(body).with_etag(request))
        return self._web(request)

    def _graphql(self, request: Request) -> Response:
        if request.method not in {"GET", "POST", "HEAD"}:
            return self._error(request, 404, "Not Found")
        if self.graphql_off:
            return self._error(request, 403, "Forbidden")
        try:
            query, variables, operation, body = self._parameters(request)
            if self.dialect == "A" and isinstance(body.get("variables"), dict):
                return Response(204, [], b"")
            answer = self.interface.execute(query, variables, operation, self._locale(request, body))
        except _Bad as bad:
            return bad.response
        except RequestFailed as failed:
            if self.dialect == "A":
                return Response(204, [], b"")
            return self._error(request, failed.status, "Not Found" if failed.status == 404 else "Internal Server Error")
        self._charge(answer)
        response = _session(Response.json(answer, rails=True).with_etag(request))
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
            raise _Bad(_session(Response.json({"message": "Query string not present"}, 400)))
        if not isinstance(query, str):
            if self.dialect == "B":
                raise _Bad(self._error(request, 500, "Internal Server Error"))
            kind = {int: "Integer", dict: "ActionController::Parameters", list: "Array"}.get(type(query), "Object")
            text = f"Query string argument should be a String, got {kind} instead."
            raise _Bad(_session(Response.json({"message": text}, 400)))
        return query, self._variables(body.get("variables")), body.get("operationName") or None, body

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

    def _variables(self, given: Any) -> Mapping[str, Any]:
        if given in (None, ""):
            return {}
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except ValueError:
                raise _Bad(_session(Response.json({"message": "Error parsing JSON"}, 400))) from None
            if given is None:
                return {}
        if isinstance(given, dict):
            return given
        shown = json.dumps(given)
        raise _Bad(_session(Response.json({"message": f"Unexpected parameter: {shown}"}, 400)))

    def _locale(self, request: Request, body: Mapping[str, Any]) -> str:
        asked = str(body.get("locale") or (request.query.get("locale") or [""])[-1] or "")
        kept = re.search(r"locale-(\w+)", request.cookies.get("_consul_session", ""))
        for each in (asked, kept[1] if kept else ""):
            if each in self.enabled:
                return each
        return self.locale

    def _error(self, request: Request, status: int, text: str) -> Response:
        if "application/json" in request.headers.get("accept", ""):
            return Response.json({"status": status, "error": text}, status, content_type=_UPPER)
        return Response.html(
            f"<html><head><title>Error {status}</title></head><body><h1>{status}</h1></body></html>", status
        )

    def _web(self, request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            return self._error(request, 404, "Not Found")
        if request.path in {"/", "/welcome"}:
            return _session(Response.html(f'<!DOCTYPE html><html lang="{self.locale}"><body>CONSUL</body></html>'))
        if request.path == "/robots.txt":
            rules = (
                "User-agent: *\nDisallow: /users/\nDisallow: /comments/\nDisallow: /*?*order*\nDisallow: /*?*search*\n"
            )
            return Response(200, [("Content-Type", "text/plain; charset=utf-8")], rules.encode())
        if request.path == "/sitemap.xml":
            return self._sitemap(request)
        if request.path == "/proposals":
            return self._index(request)
        match = re.fullmatch(r"/proposals/(\d+)(-[^/]*)?", request.path)
        row = self.database.tables["proposals"].by_id.get(int(match[1])) if match else None
        if row is None or row.hidden:
            return self._error(request, 404, "Not Found")
        slug = re.sub(r"[^a-z0-9]+", "-", (self.interface.text(row, "title", self.locale) or "").lower()).strip("-")
        path = f"/proposals/{row.id}" + (f"-{slug}" if slug else "")
        if request.path != path:
            return _session(Response.redirect(path, 301))
        draft = '<div class="callout primary">…</div>' if row["published_at"] is None else ""
        return _session(
            Response.html(f'<html lang="{self.locale}"><body>{draft}<div id="proposal_{row.id}"></div></body></html>')
        )

    def _sitemap(self, request: Request) -> Response:
        self.charge(0.001)
        stamp = self.clock().replace(hour=3, minute=0, second=0, microsecond=0).isoformat()
        rows = [r for name in ("proposals", "debates") for r in self.database.tables[name].rows if not r.hidden]
        urls = "".join(
            f"<url><loc>http://{request.host}/{r.kind}s/{r.id}</loc><lastmod>{stamp}</lastmod></url>" for r in rows
        )
        body = f'<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'
        return Response(200, [("Content-Type", "application/xml")], body.encode())

    def _index(self, request: Request) -> Response:
        """The public list: published, not archived, not retired, newest score first."""
        accept = request.headers.get("accept", "text/html")
        if "text/html" not in accept and "*/*" not in accept:
            return self._error(request, 406, "Not Acceptable")
        if self.processes.get("proposals") != "t":
            return self._error(request, 403, "Forbidden")
        self.charge(0.7)
        limit = self.clock() - timedelta(days=365)
        archive = (request.query.get("order") or [""])[-1] == "archival_date"
        rows = [
            row
            for row in self.database.tables["proposals"].rows
            if not row.hidden
            and row["published_at"] is not None
            and row["retired_at"] is None
            and (row.created_at < limit) == archive
        ]
        rows.sort(key=lambda row: (-(row["hot_score"] or 0), -row.id))
        page = int((request.query.get("page") or ["1"])[0] or 1)
        shown = rows[(page - 1) * 25 : page * 25]
        titles = ((row.id, escape(self.interface.text(row, "title", self.locale) or "")) for row in shown)
        items = "".join(f'<div id="proposal_{own}"><h3>{title}</h3></div>' for own, title in titles)
        return _session(Response.html(f'<html lang="{self.locale}"><body>{items}</body></html>'))


_BASIC = "Basic " + base64.b64encode(b"staging:toy-password").decode()
_KIND_OF = {"Proposal": "proposal", "Debate": "debate", "Budget::Investment": "investment"}


def _session(response: Response) -> Response:
    return response.adding("Set-Cookie", "_consul_session=toy; path=/; secure; HttpOnly; SameSite=Lax")


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
