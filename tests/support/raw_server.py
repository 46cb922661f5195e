"""A server on this machine that speaks no proper HTTP: it sends whatever bytes it is told to."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable

Answer = Callable[[], AsyncIterator[bytes]]


@contextlib.asynccontextmanager
async def raw_server(answer: Answer) -> AsyncGenerator[str]:
    """The address; every connection is read until the request's end, and gets `answer` piece by piece."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            async for piece in answer():
                writer.write(piece)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()  # what the other side never read would keep it open
        for _ in range(3):
            await asyncio.sleep(0)
        await server.wait_closed()
