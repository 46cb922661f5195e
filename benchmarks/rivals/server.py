"""A fast local platform with pages made once, so that the client under test is what is measured.

Usage: python -m benchmarks.rivals.server SIZE [SHAPE]; prints its address. SHAPE is whose answers
it gives, to the documents and at the paths of the real one:

* `consul`: dialect B; one language, pages of up to 500 by GraphQL, one list of all comments;
* `decidim`: 0.32; two languages nested as translations, taxonomies, an author, pages of 50 by GraphQL, comments as a file of open data;
* `your-priorities`: one group of ideas, JSON pages of 20 with everything that the platform sends beside them, arguments idea by idea.

Every fourth proposal has a thread, of one comment or of a comment and the answer to it. Texts, times, counters, categories and authors
differ from row to row. `POST /_control?changed=0.01` changes a share of CONSUL's rows.
"""

import base64
import csv
import io
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec

from civicsync.connectors.testing.sandbox.city import City

PEOPLE = 20_000
GROUPS = 12
_FIRST = re.compile(r"first:\s*(\d+)")
_AFTER = re.compile(r'after:\s*"([^"]+)"')
_SINGLE = re.compile(r'(\w+):\s*(proposal|comment)\(id:\s*"(\d+)"\)')
_LISTS = re.compile(r'(c\d+):\s*\w+\(id:\s*"(\d+)"')
_POINTS = re.compile(r"/api/posts/(\d+)/newPoints")
_SUFFIX = ("", " en omstreken", " bij de school", " voor iedereen", " – nu!", " (2e keer)", " & meer")


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment on proposal `on`; `parent`: the comment that it answers."""

    id: int
    on: int
    parent: int | None


class FastPlatform:
    """An ASGI application over rows that are already JSON; CONSUL."""

    start: ClassVar[bytes] = b"<html lang='nl'></html>"

    def __init__(self, size: int) -> None:
        self.city = City(1)
        self._bodies = {locale: [self.city.body(i, locale) for i in range(1, 401)] for locale in ("nl", "en")}
        self._plain = [self.city.body(i, "nl", html=False) for i in range(1, 401)]
        self.size = size
        self.requests = 0
        self.threads: dict[int, list[Remark]] = {}
        number = 0
        for i in range(4, size + 1, 4):
            thread = [Remark(number + 1, i, None)]
            if i % 8 == 0:
                thread.append(Remark(number + 2, i, number + 1))
            number += len(thread)
            self.threads[i] = thread
        self.remarks = [each for thread in self.threads.values() for each in thread]
        self.comments = [msgspec.json.encode(self.comment(each)) for each in self.remarks]
        self.records = [msgspec.json.encode(self.row(i, "")) for i in range(1, size + 1)]
        self.light = [self._light(i, "") for i in range(1, size + 1)]

    def title(self, i: int, locale: str) -> str:
        """No two rows have the same."""
        return f"{self.city.title(i, locale)}{_SUFFIX[i % len(_SUFFIX)]}"

    def body(self, i: int, locale: str) -> str:
        """Two of 400 texts: 160,000 different ones."""
        bodies = self._bodies[locale]
        return bodies[i % 400] + bodies[i * 7919 // 400 % 400]

    def remark(self, each: Remark) -> str:
        """The text of a comment; no two have the same."""
        return f"{self.city.comment(each.id, 'nl')} {self._plain[each.id * 31 % 400]}"[:1000]

    def written(self, each: Remark) -> datetime:
        """When a comment was."""
        return self.city.moment(each.on) + timedelta(hours=1 + each.id % 48)

    def comment(self, each: Remark) -> dict[str, Any]:
        """A whole comment, as the platform's interface sends it."""
        return {
            "id": str(each.id),
            "body": self.remark(each),
            "ancestry": None if each.parent is None else str(each.parent),
            "commentableId": each.on,
            "commentableType": "Proposal",
            "publicCreatedAt": self.written(each).strftime("%Y-%m-%d %H:00:00 +0200"),
            "cachedVotesUp": each.id % 5,
            "cachedVotesDown": each.id % 3,
            "publicAuthor": {"id": str(each.id * 17 % PEOPLE + 1)},
        }

    def row(self, i: int, mark: str) -> dict[str, Any]:
        """A whole record."""
        retired = i % 97 == 0
        return {
            "id": str(i),
            "title": self.title(i, "nl") + mark,
            "summary": f"{self.title(i + 3, 'nl')}, want dat kan beter.",
            "description": self.body(i, "nl"),
            "videoUrl": f"https://video.example/{i}" if i % 29 == 0 else None,
            **self.counts(i, mark),
            "publicCreatedAt": self.city.moment(i).strftime("%Y-%m-%d %H:00:00 +0200"),
            "retiredAt": "2025-07-01 10:00:00 +0200" if retired else None,
            "retiredReason": "duplicated" if retired else None,
            "geozoneId": i % 5 + 1,
            "publicAuthor": {"id": str(i * 31 % PEOPLE + 1)},
        }

    def counts(self, i: int, mark: str) -> dict[str, Any]:
        """What a light sweep compares."""
        return {"cachedVotesUp": 1 + i * 7919 % 400 + len(mark), "commentsCount": len(self.threads.get(i, ()))}

    def _light(self, i: int, mark: str) -> bytes:
        retired = "2025-07-01 10:00:00 +0200" if i % 97 == 0 else None
        return msgspec.json.encode({"id": str(i), **self.counts(i, mark), "retiredAt": retired})

    def change(self, share: float) -> int:
        """Edit this share of the rows."""
        step = max(1, round(1 / share)) if share else self.size + 1
        changed = range(step, self.size + 1, step)
        for i in changed:
            self.records[i - 1] = msgspec.json.encode(self.row(i, " gewijzigd"))
            self.light[i - 1] = self._light(i, " gewijzigd")
        return len(changed)

    def answer(self, query: str) -> bytes:
        """The body for a GraphQL document."""
        if "__schema" in query:
            return b'{"data":{"__schema":{"queryType":{"name":"Query"}},"__type":null}}'
        if "__typename" in query and "proposals" not in query:
            return b'{"data":{"__typename":"Query"}}'
        single = _SINGLE.findall(query)
        if single:
            lists = {"proposal": self.records, "comment": self.comments}
            rows = (b'"%s":%s' % (alias.encode(), lists[kind][int(own) - 1]) for alias, kind, own in single)
            return b'{"data":{' + b",".join(rows) + b"}}"
        parts: list[bytes] = []
        for match in re.finditer(r"(?:(\w+):\s*)?(proposals|debates|comments|geozones|tags)(\([^)]*\))?\s*\{", query):
            alias = (match[1] or match[2]).encode()
            rows = self.records if "description" in query else self.light
            rows = {"proposals": rows, "comments": self.comments}.get(match[2], [])
            page = self.page(rows, match[3] or "")
            parts.append(b'"%s":%s' % (alias, page))
        return b'{"data":{' + b",".join(parts) + b"}}"

    def page(self, rows: list[bytes], arguments: str) -> bytes:
        """A connection as these arguments ask for it."""
        first, after = _FIRST.search(arguments), _AFTER.search(arguments)
        start = int(base64.urlsafe_b64decode(after[1] + "==")) if after else 0
        end = min(len(rows), start + int(first[1])) if first else len(rows)
        cursor = base64.urlsafe_b64encode(str(end).encode()).rstrip(b"=")
        more = b"true" if end < len(rows) else b"false"
        return b'{"nodes":[%s],"pageInfo":{"hasNextPage":%s,"endCursor":"%s"}}' % (
            b",".join(rows[start:end]),
            more,
            cursor,
        )

    def get(self, path: str, asked: dict[str, list[str]]) -> bytes | None:
        """The body of what is asked for without GraphQL; None: there is no such thing."""
        if path == "/consul.json":
            return b'{"release":"2.1.1","features":{"proposals":"t"}}'
        return self.start if path == "/" or path.startswith("/proposals") else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        path: str = scope["path"]
        asked = parse_qs(scope["query_string"].decode())
        self.requests += 1
        if path == "/_control":
            answer = msgspec.json.encode(
                {"changed": self.change(float(asked["changed"][0])), "requests": self.requests}
            )
        elif scope["method"] == "POST":
            answer = self.answer(msgspec.json.decode(body)["query"])
        else:
            answer = self.get(path, asked)
        status, answer = (200, answer) if answer is not None else (404, b"{}")
        kind = b"application/json; charset=utf-8" if answer[:1] in b"{[" else b"text/html"
        if path.startswith("/open-data"):
            kind = b"text/csv"
        headers = [(b"content-type", kind), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def _translated(**texts: str) -> dict[str, Any]:
    rows = [{"locale": locale, "text": text, "machineTranslated": False} for locale, text in texts.items()]
    return {"translations": rows}


class FastDecidim(FastPlatform):
    """Decidim 0.32 with one component of proposals."""

    start = b"<html lang='nl'><body><a href='/locale?locale=en'>English</a></body></html>"

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.files = {"proposals": self.proposals_file(), "proposal_comments": self.comments_file()}

    def moved(self, i: int) -> datetime:
        """When a proposal or its thread last changed."""
        return max([self.city.moment(i), *map(self.written, self.threads.get(i, ()))])

    def comment(self, each: Remark) -> dict[str, Any]:
        """A row of the file of open data."""
        person = each.id * 17 % PEOPLE + 1
        return {
            "id": each.id,
            "created_at": self.written(each).strftime("%Y-%m-%d %H:%M:%S UTC"),
            "body": self.remark(each),
            "locale": "nl",
            "author/id": person,
            "author/name": f"Inwoner {person}",
            "alignment": (each.id % 3) - 1,
            "depth": 0 if each.parent is None else 1,
            "user_group/id": "",
            "user_group/name": "",
            "commentable_id": each.parent or each.on,
            "commentable_type": "Decidim::Comments::Comment" if each.parent else "Decidim::Proposals::Proposal",
            "root_commentable_url": f"https://x.example/processes/wijk-west/f/1/proposals/{each.on}",
        }

    def tree(self, i: int) -> bytes:
        """The thread of a proposal as the interface sends it, two levels deep."""

        def node(each: Remark) -> dict[str, Any]:
            answers = [node(other) for other in self.threads[i] if other.parent == each.id]
            person = {"__typename": "User", "id": str(each.id * 17 % PEOPLE + 1)}
            made = self.written(each).strftime("%Y-%m-%dT%H:%M:%S+00:00")
            votes = {"upVotes": each.id % 5, "downVotes": each.id % 3, "alignment": (each.id % 3) - 1}
            told = {"id": str(each.id), "body": self.remark(each), "createdAt": made, "author": person, **votes}
            return {**told, "hasComments": bool(answers), "comments": answers}

        return msgspec.json.encode([node(each) for each in self.threads.get(i, ()) if each.parent is None])

    def comments_file(self) -> bytes:
        """All comments, as the platform's nightly job writes them."""
        return _file([self.comment(each) for each in self.remarks])

    def proposals_file(self) -> bytes:
        """All proposals; of them only what is an amendment is asked of a file, but a file is sent whole."""
        return _file(
            [
                {
                    "id": i,
                    "author/id": i * 31 % PEOPLE + 1,
                    **{f"title/{locale}": self.title(i, locale) for locale in ("nl", "en")},
                    **{f"body/{locale}": self.body(i, locale) for locale in ("nl", "en")},
                    "is_amend": "false",
                    "original_proposal/url": "",
                }
                for i in range(1, self.size + 1)
            ]
        )

    def row(self, i: int, mark: str) -> dict[str, Any]:
        """A whole proposal, as `dialects.record_document` asks for it."""
        made = self.city.moment(i).strftime("%Y-%m-%dT%H:%M:%S+00:00")
        place = self.city.place(i) if i % 3 == 0 else None
        group = i % GROUPS + 1
        return {
            "id": str(i),
            "reference": f"WEST-PROP-2025-01-{i}",
            "state": ("accepted", "rejected", "evaluating")[i % 3] if i % 23 == 0 else None,
            "withdrawn": False,
            "withdrawnAt": None,
            **self.counts(i, mark),
            "createdAt": made,
            "updatedAt": self.moved(i).strftime("%Y-%m-%dT%H:%M:%S+00:00"),
            "publishedAt": made,
            "answeredAt": made if i % 23 == 0 else None,
            "official": i % 50 == 0,
            "createdInMeeting": False,
            "address": f"Dorpsstraat {i % 200}" if place else None,
            "coordinates": {"latitude": place[0], "longitude": place[1]} if place else None,
            "title": _translated(nl=self.title(i, "nl") + mark, en=self.title(i, "en") + mark),
            "body": _translated(nl=self.body(i, "nl"), en=self.body(i, "en")),
            "answer": _translated(nl="<p>Dank, dit doen we.</p>", en="<p>Thank you, we will.</p>")
            if i % 23 == 0
            else None,
            "author": {"__typename": "User", "id": str(i * 31 % PEOPLE + 1)},
            "taxonomies": [
                {
                    "id": str(group),
                    "name": {
                        "translations": [
                            {"locale": "nl", "text": f"Thema {group}"},
                            {"locale": "en", "text": f"Theme {group}"},
                        ]
                    },
                    "parent": None,
                }
            ],
            "meeting": None,
            "amendments": [],
        }

    def counts(self, i: int, mark: str) -> dict[str, Any]:
        """What a light sweep compares."""
        return {
            "voteCount": 1 + i * 7919 % 400 + len(mark),
            "totalCommentsCount": len(self.threads.get(i, ())),
            "likesCount": i % 11,
        }

    def answer(self, query: str) -> bytes:
        """The body for a GraphQL document."""
        if query.startswith("query Version"):
            return b'{"data":{"decidim":{"version":"0.32.0"}}}'
        if query.startswith("query Probe"):
            return b'{"data":{"component":null}}'
        if query.startswith("query Roots"):
            return b'{"data":{"participatoryProcesses":[{"id":"1"}],"assemblies":[],"conferences":[],"initiatives":[],"consultations":[]}}'
        if query.startswith("query Taxonomies"):
            return b'{"data":{"organization":{"taxonomies":[]}}}'
        if query.startswith("query Spaces"):
            return msgspec.json.encode({"data": self.spaces()})
        if query.startswith("query Single"):
            rows = b",".join(
                b'"%s":%s' % (a.encode(), self.records[int(own) - 1]) for a, _, own in _SINGLE.findall(query)
            )
            return b'{"data":{"component":{"id":"1",' + rows + b"}}}"
        if query.startswith("query Comments"):
            lists = b",".join(
                b'"%s":{"comments":%s}' % (a.encode(), self.tree(int(own))) for a, own in _LISTS.findall(query)
            )
            answer = b"{" + lists + b"}"
            return b'{"data":%s}' % (b'{"component":%s}' % answer if "component(" in query else answer)
        arguments = query.partition("proposals(")[2].partition(")")[0]
        rows = self.records if "body" in query else self.light
        return b'{"data":{"component":{"id":"1","proposals":' + self.page(rows, arguments) + b"}}}"

    def spaces(self) -> dict[str, Any]:
        """One process with one component."""
        moved = "2025-12-01T09:00:00+01:00"
        component = {
            "id": "1",
            "__typename": "Proposals",
            "name": _translated(nl="Voorstellen"),
            "weight": 0,
            "updatedAt": moved,
        }
        process = {"id": "1", "slug": "wijk-west", "type": "Decidim::ParticipatoryProcess", "steps": []}
        process |= {"title": _translated(nl="Wijk West", en="West District"), "components": [component]}
        others: dict[str, Any] = {"assemblies": [], "conferences": [], "initiatives": [], "consultations": []}
        return {"participatoryProcesses": [process], **others, "organization": {"name": _translated(nl="Voorbeeld")}}

    def get(self, path: str, asked: dict[str, list[str]]) -> bytes | None:
        """The start page and the files of open data."""
        return self.start if path == "/" else self.files.get(path.removeprefix("/open-data/download/"))


def _file(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], delimiter=";", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


class FastYourPriorities(FastPlatform):
    """Your Priorities with one group of ideas."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        place = {each.id: own for own, each in zip(self.comments, self.remarks, strict=True)}
        self.points = {i: b"[%s]" % b",".join(place[each.id] for each in thread) for i, thread in self.threads.items()}

    def comment(self, each: Remark) -> dict[str, Any]:
        """An argument, or the comment on one, with the revision that its text is from."""
        made, person = self.written(each).strftime("%Y-%m-%dT%H:%M:%S.000Z"), each.id * 17 % PEOPLE + 1
        value = 0 if each.parent else 1 - 2 * (each.id % 2)
        text = {"content": self.remark(each), "value": value, "created_at": made}
        return {
            "id": each.id,
            "name": "",
            "content": text["content"],
            "value": value,
            "status": "published",
            "language": "nl",
            "user_id": person,
            "group_id": 1,
            "post_id": each.on,
            "parent_point_id": each.parent,
            "created_at": made,
            "counter_quality_up": each.id % 5,
            "counter_quality_down": each.id % 3,
            "User": {"id": person, "name": f"Inwoner {person}", "UserProfileImages": []},
            "PointRevisions": [{**text, "id": each.id, "User": {"id": person, "name": f"Inwoner {person}"}}],
            "PointQualities": [],
            "PointAudios": [],
            "PointVideos": [],
            "Post": {"id": each.on, "group_id": 1, "Group": self.group()},
        }

    def row(self, i: int, mark: str) -> dict[str, Any]:
        """A post of a list."""
        made = self.city.moment(i).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        place = self.city.place(i)
        return {
            "id": i,
            "name": self.title(i, "nl") + mark,
            "description": f"{self._plain[i % 400]}\n\n{self._plain[i * 7919 // 400 % 400]}"[:2500],
            "official_status": 0,
            "status": "published",
            "content_type": 0,
            "language": "nl",
            "group_id": 1,
            "category_id": i % GROUPS + 1,
            "created_at": made,
            "counter_endorsements_up": 1 + i * 7919 % 400 + len(mark),
            "counter_endorsements_down": i % 13,
            "counter_points": len(self.threads.get(i, ())),
            "location": {"latitude": place[0], "longitude": place[1], "map_zoom": 14} if i % 3 == 0 else None,
            "public_data": None,
            "data": None,
            "Category": {"id": i % GROUPS + 1, "name": f"Thema {i % GROUPS + 1}"},
            "Group": self.group(),
            "User": {"id": i * 31 % PEOPLE + 1, "name": f"Inwoner {i * 31 % PEOPLE + 1}"},
            "PostHeaderImages": [],
            "PostVideos": [],
        }

    def counts(self, i: int, mark: str) -> dict[str, Any]:
        """There is no light sweep."""
        return {}

    def group(self) -> dict[str, Any]:
        """The group, also inside each post."""
        configuration = {"canVote": True, "groupType": 0, "hideVoteCount": False}
        return {
            "id": 1,
            "name": "Ideeën",
            "configuration": configuration,
            "community_id": 1,
            "access": 0,
            "language": "nl",
        }

    def get(self, path: str, asked: dict[str, list[str]]) -> bytes | None:
        """A page of the interface."""
        group = {**self.group(), "counter_posts": self.size}
        if path.startswith("/api/groups/1/posts/"):
            start = int(asked.get("offset", ["0"])[0])
            rows = self.records if path.endswith("/open") else []
            end = min(len(rows), start + 20)
            return b'{"posts":[%s],"totalPostsCount":%d}' % (b",".join(rows[start:end]), len(rows))
        points = _POINTS.fullmatch(path)
        if points:
            return self.points.get(int(points[1]), b"[]")
        if path.startswith("/api/posts/"):
            return self.records[int(path.rpartition("/")[2]) - 1]
        answers: dict[str, Any] = {
            "/api/domains": {"domain": {"id": 1, "domain_name": "x.example", "name": "Ideeën"}, "community": {"id": 1}},
            "/api/communities/1": {
                "id": 1,
                "name": "Stad",
                "access": 0,
                "domain_id": 1,
                "language": "nl",
                "Groups": [group],
            },
            "/api/groups/1": {
                "group": {**group, "Categories": [{"id": n, "name": f"Thema {n}"} for n in range(1, GROUPS + 1)]},
                "hasNonOpenPosts": False,
            },
            "/api/groups/1/get_posts_with_public_private": [],
            "/api/activities/groups/1": {"activities": []},
        }
        return msgspec.json.encode(answers[path]) if path in answers else None


SHAPES: dict[str, Callable[[int], FastPlatform]] = {
    "consul": FastPlatform,
    "decidim": FastDecidim,
    "your-priorities": FastYourPriorities,
}


def main() -> None:
    """Serve until interrupted; prints the address."""
    import socket

    import uvicorn

    platform = SHAPES[sys.argv[2] if len(sys.argv) > 2 else "consul"](int(sys.argv[1]))
    # Named as TCP: else asyncio leaves it to wait 40 ms with the second half of every answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(platform, log_level="error", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
