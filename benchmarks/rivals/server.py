"""A fast local platform: CONSUL's dialect B with pages made once, so that the client under test is what is measured.

Usage: python -m benchmarks.rivals.server SIZE; prints its address. `POST /_control?changed=0.01` changes a share of the rows.
It answers the light sweep, pages of records (`first`, `after`), single records, `/consul.json` and the two probes.
"""

import base64
import re
import sys
from typing import Any

import msgspec

from civicsync.connectors.testing.sandbox.city import City

_FIRST = re.compile(r"first:\s*(\d+)")
_AFTER = re.compile(r'after:\s*"([^"]+)"')
_SINGLE = re.compile(r'(\w+):\s*proposal\(id:\s*"(\d+)"\)')


class FastPlatform:
    """An ASGI application over rows that are already JSON."""

    def __init__(self, size: int) -> None:
        city = City(1)
        bodies = [city.body(i, "nl") for i in range(200)]
        self.records: list[bytes] = []
        self.light: list[bytes] = []
        for i in range(1, size + 1):
            self.records.append(b"")
            self.light.append(b"")
            self._make(i, bodies, "")
        self._bodies = bodies
        self.size = size
        self.requests = 0

    def _make(self, i: int, bodies: list[str], mark: str) -> None:
        row: dict[str, Any] = {
            "id": str(i),
            "title": f"Meer bomen aan de gracht {i}{mark}",
            "summary": f"Samenvatting {i}",
            "description": bodies[i % 200] + bodies[(i * 7) % 200],
            "videoUrl": None,
            "cachedVotesUp": 1 + i * 7919 % 400 + len(mark),
            "commentsCount": 0,
            "publicCreatedAt": "2025-05-01 12:00:00 +0200",
            "retiredAt": None,
            "retiredReason": None,
            "geozoneId": i % 5 + 1,
            "publicAuthor": {"id": str(i % 20_000)},
        }
        self.records[i - 1] = msgspec.json.encode(row)
        keep = ("id", "cachedVotesUp", "commentsCount", "retiredAt")
        self.light[i - 1] = msgspec.json.encode({name: row[name] for name in keep})

    def change(self, share: float) -> int:
        """Edit this share of the rows."""
        step = max(1, round(1 / share)) if share else self.size + 1
        changed = range(step, self.size + 1, step)
        for i in changed:
            self._make(i, self._bodies, " gewijzigd")
        return len(changed)

    def answer(self, query: str) -> bytes:
        """The body for a document."""
        if "__schema" in query:
            return b'{"data":{"__schema":{"queryType":{"name":"Query"}},"__type":null}}'
        if "__typename" in query and "proposals" not in query:
            return b'{"data":{"__typename":"Query"}}'
        single = _SINGLE.findall(query)
        if single:
            rows = b",".join(b'"%s":%s' % (alias.encode(), self.records[int(own) - 1]) for alias, own in single)
            return b'{"data":{' + rows + b"}}"
        parts: list[bytes] = []
        for match in re.finditer(r"(?:(\w+):\s*)?(proposals|debates|comments|geozones|tags)(\([^)]*\))?\s*\{", query):
            alias = (match[1] or match[2]).encode()
            parts.append(b'"%s":%s' % (alias, self._page(match[2], match[3] or "", query)))
        return b'{"data":{' + b",".join(parts) + b"}}"

    def _page(self, name: str, arguments: str, query: str) -> bytes:
        if name != "proposals":
            return b'{"nodes":[],"pageInfo":{"hasNextPage":false,"endCursor":null}}'
        rows = self.records if "description" in query else self.light
        first, after = _FIRST.search(arguments), _AFTER.search(arguments)
        start = int(base64.urlsafe_b64decode(after[1] + "==")) if after else 0
        end = min(self.size, start + int(first[1])) if first else self.size
        cursor = base64.urlsafe_b64encode(str(end).encode()).rstrip(b"=")
        more = b"true" if end < self.size else b"false"
        return b'{"nodes":[%s],"pageInfo":{"hasNextPage":%s,"endCursor":"%s"}}' % (
            b",".join(rows[start:end]),
            more,
            cursor,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        path: str = scope["path"]
        if path == "/_control":
            share = float(scope["query_string"].decode().partition("=")[2] or 0)
            answer = msgspec.json.encode({"changed": self.change(share), "requests": self.requests})
        elif path == "/consul.json":
            answer = b'{"release":"2.1.1","features":{"proposals":"t"}}'
        elif path == "/graphql":
            self.requests += 1
            answer = self.answer(msgspec.json.decode(body)["query"])
        else:
            answer = b"<html lang='nl'></html>"
        kind = b"application/json; charset=utf-8" if answer[:1] == b"{" else b"text/html"
        headers = [(b"content-type", kind), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def main() -> None:
    """Serve until interrupted; prints the address."""
    import socket

    import uvicorn

    platform = FastPlatform(int(sys.argv[1]))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(platform, log_level="error", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
