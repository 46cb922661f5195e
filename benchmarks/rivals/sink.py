"""A sink that stores every POST and, for every fifth new row, drops the connection instead of answering: what a proxy does on a bad day.

Usage: python -m benchmarks.rivals.sink; prints its address. GET /stored tells what it holds: {"posts": N, "rows": {id: times}}.
"""

import asyncio
import json
from collections import Counter


class Sink:
    """Stores rows; drops each fifth row's first answer."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next((int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        answer = b'{"ok":true}'
        if head.startswith("POST"):
            own = str(json.loads(body)["id"])
            self.rows[own] += 1
            if self.rows[own] == 1 and len(self.rows) % 5 == 0:
                return False
        else:
            answer = json.dumps({"posts": self.rows.total(), "rows": self.rows}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer
        )
        await writer.drain()
        return True


async def main() -> None:
    """Serve until interrupted; prints the address."""
    server = await asyncio.start_server(Sink().serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
