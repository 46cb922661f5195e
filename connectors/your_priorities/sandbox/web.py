"""The sandbox's front: hosts, the bot filter, sessions and caches; behind them the routes (docs/platforms/your-priorities.md 1, 5.1)."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ....core.text import plain_title
from ...testing.faults import LOGIN_PAGE
from ...testing.messages import Request, Response
from ...testing.sandbox.city import City
from ...testing.sandbox.sandbox import Operation, Sandbox
from .changes import Changes, plant
from .model import Database, Row
from .office import OfficeWrites
from .people import People
from .populate import BOT_EMAIL, BOT_PASSWORD, populate
from .reading import Reading
from .routes import plain
from .writing import PostWrites, routed

CACHE_SECONDS = 3.0
SITEMAP_SECONDS = 3600.0
COOKIE = "yrpri.sid"
_BROWSER = re.compile(r"mozilla/\d[^(]*\((?!compatible)[^)]*\).*(gecko|applewebkit|trident)", re.IGNORECASE)
_GOOGLE = re.compile(r"googlebot|adsbot-google|google page speed|chrome-lighthouse", re.IGNORECASE)
_BAD = re.compile(r"attach|scrapy|obot|takeout|aibot|bigfoot|lwp-request|pycurl")
_BAD_LIMIT, _BAD_WINDOW = 30, 900.0
_LOOPBACK = re.compile(r"(127\.\d+\.\d+\.\d+|localhost|[\w.-]+\.localhost|\[::1\])(:\d+)?")
_STATES = {0: "open", 1: "in_progress", -1: "in_progress", 2: "accepted", -2: "rejected"}
_SUFFIXES = frozenset({"is", "org", "net", "ai", "com", "nl"})


class YourPrioritiesSandbox(Sandbox):
    """One Your Priorities instance in memory. `cache_seconds`: how long lists are stale, as POSTS_CACHE_TTL says."""

    platform = "your-priorities"
    default_version = "2026-07"

    extra_faults = frozenset({"duplicate_reply"})

    def __init__(self, *, cache_seconds: float = CACHE_SECONDS, production: bool = True, **options: Any) -> None:
        """`production`: cookies are `Secure` and go out over https only (and, so that a toy can be used, to this machine)."""
        super().__init__(**options)
        self.cache_seconds = cache_seconds
        self.production = production
        self.emails = 0
        """How many people an official status was sent to so far."""
        self.page_instead = False
        self.sessions: dict[str, int | None] = {}
        self.database = Database()
        self._cache: dict[str, tuple[datetime, bytes]] = {}
        self._bad: dict[str, list[datetime]] = {}
        self.named = Changes(self)
        self.people = People(lambda: self.database, lambda: self.clock())
        self._writes = routed([*PostWrites(self).table(), *OfficeWrites(self).table()])
        self._replies: dict[str, Response] = {}
        self._before: dict[str, Response] = {}
        populate(self.database, City(self.seed), self.size)
        self._open()

    def _open(self) -> None:
        self.reading = Reading(self.database, lambda: self.clock(), self._cached, self.charge)
        self._cache.clear()

    @property
    def lists_empty(self) -> bool:
        """Whether every list comes back empty although nothing is gone."""
        return self.reading.lists_empty

    @lists_empty.setter
    def lists_empty(self, value: bool) -> None:
        self.reading.lists_empty = value
        self._cache.clear()

    def instance_block(self, url: str) -> dict[str, Any]:
        return {"platform": "your-priorities", "url": url, "email": BOT_EMAIL, "password": BOT_PASSWORD}

    def operations(self) -> Mapping[str, Operation]:
        return self.named.named()

    def mangle(self, kind: str, request: Request, response: Response) -> Response:
        """`duplicate_reply`: the answer to the last request of this kind comes again."""
        return self._before.get(_kind(request), response)

    def plant_private_data(self) -> list[str]:
        return plant(self)

    def load_recorded(self, version: str, at: str | None = None) -> None:
        """Replace the city by the recorded one, as it was at a moment (None: at the end)."""
        from .recorded import fill

        self.database = Database()
        # Most recordings were made in development mode, where cookies go out over plain http.
        self.production = False
        fill(self.database, at)
        self._open()
        self.sessions = {"s%3AREDACTED.SIGNATURE": None}

    # One request ------------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer as the real one."""
        self.charge(0.002)
        if self.page_instead:
            return Response.html(LOGIN_PAGE)
        if request.method == "OPTIONS":
            allowed = [("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")]
            return _dressed(Response(204, allowed, b""))
        limited = self._limited(request)
        if limited is not None:
            return _dressed(limited)
        if self._for_robots(request):
            return _dressed(self._page())
        self.reading.host = self._host(request.host)
        self.reading.user = self.sessions.get(request.cookies.get(COOKIE, ""))
        response = self._routed(request)
        if request.method not in {"GET", "HEAD"}:
            self._before = dict(self._replies)
            self._replies[_kind(request)] = response
        return self._session(request, _dressed(response).with_etag(request))

    def _routed(self, request: Request) -> Response:
        path = request.path
        if path == "/sitemap.xml":
            return self._sitemap(request)
        if path == "/robots.txt":
            return Response.text("User-agent: *\nCrawl-delay: 1\n")
        if not path.startswith("/api/"):
            return self._page() if request.method in {"GET", "HEAD"} else plain(404)
        if path.startswith("/api/users/"):
            return self._users(request)
        written = self._written(request)
        if written is not None:
            return written
        if request.method in {"GET", "HEAD"}:
            return self.reading.answer(request) or plain(404)
        writes = r"/api/(posts|points|groups|communities|categories|domains|images|ratings)(/.*)?"
        # Every write needs a session, and nothing but what is written above is let through.
        return plain(401) if re.fullmatch(writes, path) else plain(404)

    def _host(self, host: str) -> tuple[Row | None, Row | None]:
        """Domain and community of a Host header, its port not stripped (1.1). Loopback names belong to the first domain."""
        if _LOOPBACK.fullmatch(host):
            return self.database.domains.get(min(self.database.domains, default=0)), None
        parts = host.split(".")
        label = ".".join(parts[:-2])
        name = host if len(parts) == 1 else ".".join(parts[-2:])
        if "." in label:
            name = f"{label.rpartition('.')[2]}.{name}"
        domain = next((row for row in self.database.domains.values() if row["domain_name"] == name), None)
        hostname = label.partition(".")[0]
        if domain is None or hostname in {"www", "new", "app", ""}:
            return domain, None
        rows = self.database.communities.values()
        return domain, next((row for row in rows if row["hostname"] == hostname), None)

    def _for_robots(self, request: Request) -> bool:
        """The bot filter: GET of the interface, by User-Agent, unless one of its escapes holds (0.1)."""
        agent = request.headers.get("user-agent", "")
        if request.method != "GET" or not request.path.startswith("/api"):
            return False
        if request.headers.get("content-type") == "application/json" or "x-api-key" in request.headers:
            return False
        return bool(agent) and not _GOOGLE.search(agent) and not _BROWSER.match(agent)

    def _limited(self, request: Request) -> Response | None:
        agent = request.headers.get("user-agent", "").lower()
        if not _BAD.search(agent):
            return None
        now = self.clock()
        asked = [one for one in self._bad.get(agent, []) if (now - one).total_seconds() < _BAD_WINDOW]
        self._bad[agent] = [*asked, now]
        if len(asked) < _BAD_LIMIT:
            return None
        left = [("X-RateLimit-Limit", str(_BAD_LIMIT)), ("X-RateLimit-Remaining", "0")]
        return Response.text("Too many requests, please try again later.", 429, left)

    def _page(self) -> Response:
        domain = next(iter(self.database.domains.values()), {"name": ""})
        title = str(domain["name"]).replace("<", "&lt;")
        return Response.html(f'<!DOCTYPE html><html lang="en"><head><title>{title}</title></head><body></body></html>')

    def _session(self, request: Request, response: Response) -> Response:
        """A session for everybody who brings none (1.3); `Secure` behind https."""
        if request.cookies.get(COOKIE) in self.sessions or response.header("set-cookie"):
            return response
        cookie = self._new_session(request, None)
        return response if cookie is None else response.adding("Set-Cookie", cookie)

    def _new_session(self, request: Request, user: int | None) -> str | None:
        """The cookie of a new session; None where it must be `Secure` and the way is not."""
        secure = request.scheme == "https" or self.production
        if self.production and request.scheme != "https" and not _LOOPBACK.fullmatch(request.host):
            return None
        own = f"s%3A{self.rng.getrandbits(96):024x}.{self.rng.getrandbits(64):016x}"
        self.sessions[own] = user
        name = request.host.partition(":")[0].split(".")
        site = f"; Domain=.{'.'.join(name[-2:])}" if len(name) > 1 and name[-1] in _SUFFIXES else ""
        return f"{COOKIE}={own}{site}; Path=/; HttpOnly{'; Secure' if secure else ''}"

    def _cached(self, key: str, made: Callable[[], bytes]) -> bytes:
        now = self.clock()
        held = self._cache.get(key)
        if held is not None and (now - held[0]).total_seconds() < self.cache_seconds:
            return held[1]
        if len(self._cache) > 500:
            limit = self.cache_seconds
            self._cache = {k: v for k, v in self._cache.items() if (now - v[0]).total_seconds() < limit}
        body = made()
        self._cache[key] = (now, body)
        return body

    def _sitemap(self, request: Request) -> Response:
        """R22, an hour old at most."""
        domain, _ = self.reading.host
        held = self._cache.get(f"sitemap:{request.host}")
        if held is not None and (self.clock() - held[0]).total_seconds() < min(
            SITEMAP_SECONDS, self.cache_seconds * 1200
        ):
            body = held[1]
        else:
            body = self._map(request, domain).encode()
            self._cache[f"sitemap:{request.host}"] = (self.clock(), body)
        return Response(200, [("Content-Type", "application/xml; charset=utf-8")], body)

    def _map(self, request: Request, domain: Row | None) -> str:
        db = self.database
        entries = [f"domain/{domain['id']}"] if domain else []
        communities = [
            row
            for row in db.communities.values()
            if domain and row["domain_id"] == domain["id"] and not row["access"] and row["status"] != "hidden"
        ]
        entries += [f"community/{row['id']}" for row in communities]
        inside = {row["id"] for row in communities}
        groups = [
            row
            for row in db.groups.values()
            if row["community_id"] in inside
            and row["access"] in {0, 3}
            and row["status"] != "hidden"
            and not row["deleted"]
            and not row["configuration"].get("actAsLinkToCommunityId")
        ]
        entries += [f"group/{row['id']}" for row in groups]
        entries += [f"post/{post['id']}" for row in groups for post in db.posts_of[row["id"]] if db.visible(post)]
        urls = "".join(f"<url><loc>https://{request.host}/{entry}</loc></url>" for entry in entries)
        return (
            '<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
            'xmlns:news="http://www.google.com/schemas/sitemap-news/0.9" xmlns:xhtml="http://www.w3.org/1999/xhtml" '
            'xmlns:image="http://www.google.com/schemas/sitemap-image/1.1" '
            'xmlns:video="http://www.google.com/schemas/sitemap-video/1.1">'
            f"{urls}</urlset>"
        )

    # Accounts and writing ----------------------------------------------------------------------------------------------

    def _users(self, request: Request) -> Response:
        step = f"{request.method} {request.path.removeprefix('/api/users/')}"
        match step:
            case "GET loggedInUser/isloggedin":
                return Response.json(self.people.me(self.reading.user))
            case "GET loggedInUser/adminRights":
                return self.people.rights(self.reading.user)
            case "POST login":
                return self._signed_in(request, self.people.login(request, self.reading.host[0] is not None))
            case "POST register":
                return self._signed_in(request, self.people.register(request))
            case "POST register_anonymously":
                return self._signed_in(request, self.people.register_anonymously(request))
            case "POST logout":
                self.sessions.pop(request.cookies.get(COOKIE, ""), None)
                return Response.text("OK")
            case _:
                return plain(401) if request.method != "GET" or re.fullmatch(r"GET \d+", step) else plain(404)

    def _signed_in(self, request: Request, found: tuple[Response, int | None]) -> Response:
        """The old session ends and a new one begins; without https nobody gets its cookie (1.2)."""
        response, user = found
        if user is None:
            return response
        self.sessions.pop(request.cookies.get(COOKIE, ""), None)
        cookie = self._new_session(request, user)
        return response if cookie is None else response.adding("Set-Cookie", cookie)

    def _written(self, request: Request) -> Response | None:
        """The answer of a write route, or None where there is none."""
        step = f"{request.method} {request.path.removeprefix('/api/')}"
        for pattern, handler in self._writes:
            match = pattern.fullmatch(step)
            if match:
                return handler(request, *match.groups())
        return None

    # What its database holds ------------------------------------------------------------------------------------------

    def truth(self) -> dict[str, Any]:
        db = self.database
        public = {own for own, row in db.groups.items() if self._found_by_anybody(row)}
        return {
            "proposals": [self._truth_of(row, public) for row in db.posts.values()],
            "comments": [self._truth_of_point(row, public) for row in db.points.values()],
            "spaces": [
                {
                    "id": str(own),
                    "kind": kind,
                    "title": plain_title(row["name"]),
                    "name": row["name"],
                    "public": shown(row),
                }
                for kind, table, shown in (
                    ("domain", db.domains, lambda row: not row["access"]),
                    (
                        "community",
                        db.communities,
                        lambda row: not row["access"] and not row["deleted"] and row["status"] != "hidden",
                    ),
                    ("group", db.groups, lambda row: row["id"] in public),
                )
                for own, row in table.items()
            ],
            "categories": [
                {
                    "id": str(own),
                    "name": row["name"],
                    "space": f"group/{row['group_id']}",
                    "public": row["group_id"] in public and not row["deleted"],
                }
                for own, row in db.categories.items()
            ],
            "answers": [
                {
                    "id": str(own),
                    "kind": "status_change",
                    "target": f"proposal/{row['post_id']}",
                    "content": row["content"],
                    "public": not row["deleted"] and self._anybody_sees(db.posts[row["post_id"]], public),
                }
                for own, row in db.changes.items()
            ],
        }

    def _found_by_anybody(self, row: Row) -> bool:
        return self.reading.rights.group(row, None) and row["status"] != "hidden"

    def _anybody_sees(self, post: Row, public: set[int]) -> bool:
        return post["group_id"] in public and self.database.visible(post)

    def _truth_of(self, row: Row, public: set[int]) -> dict[str, Any]:
        configuration = self.database.groups[row["group_id"]]["configuration"]
        return {
            "id": str(row["id"]),
            "kind": "proposal",
            "title": plain_title(row["name"]),
            "state": _STATES.get(row["official_status"], "other"),
            "supports": None if _votes_hidden(configuration) else row["counter_endorsements_up"],
            "comments": None if configuration.get("hideDebate") else row["counter_points"],
            "text": row["description"],
            "space": f"group/{row['group_id']}",
            "opposes": None if _votes_hidden(configuration) else row["counter_endorsements_down"],
            "category": None if row["category_id"] is None else str(row["category_id"]),
            "public": self._anybody_sees(row, public),
            "author": str(row["user_id"]) if row["user_id"] in self.database.users else None,
        }

    def _truth_of_point(self, row: Row, public: set[int]) -> dict[str, Any]:
        post = self.database.posts[row["post_id"]]
        alive = not row["deleted"] and row["status"] == "published" and row["user_id"] in self.database.users
        shown = not self.database.groups[post["group_id"]]["configuration"].get("hideDebate")
        return {
            "id": str(row["id"]),
            "kind": "point",
            "target": f"proposal/{post['id']}",
            "body": row["revisions"][-1]["content"],
            "parent": None if row.get("parent_point_id") is None else f"point/{row['parent_point_id']}",
            "author": str(row["user_id"]),
            "supports": row["counter_quality_up"],
            "opposes": row["counter_quality_down"],
            "public": alive and shown and self._anybody_sees(post, public),
        }


def _kind(request: Request) -> str:
    return f"{request.method} {re.sub(r'[0-9]+', ':id', request.path)}"


def _dressed(response: Response) -> Response:
    """The headers that Express and its middleware put on everything."""
    return response.adding("X-Powered-By", "Express").adding("Access-Control-Allow-Origin", "*")


def _votes_hidden(configuration: Row) -> bool:
    return bool(configuration.get("hideVoteCount") or configuration.get("hideVoteCountUntilVoteCompleted"))
