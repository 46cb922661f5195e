"""Work that blocks and may never end (a mail server that answers a byte a minute), done aside: nobody waits for it longer than he wants to.

In a daemon thread of its own: neither the pool that the database is asked from nor the end of the process waits for it.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T], *, seconds: float, break_off: Callable[[], None] = lambda: None) -> T:
    """The result of `work`, or what it raised. `break_off` is called where it is waited for no longer, and makes it end.

    Raises:
        TimeoutError: it took longer than `seconds`.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if ended.done():
            return
        if error is not None:
            ended.set_exception(error)
        else:
            ended.set_result(result)  # pyright: ignore[reportArgumentType]  the result of `work`

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except BaseException as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there any more
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name="civicsync-alerts", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            return await ended
    except BaseException:
        break_off()
        raise
