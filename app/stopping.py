"""Ctrl-C and SIGTERM: the first ends the work at hand cleanly, a second one stops at once."""

import asyncio
import signal
from collections.abc import Callable


def stop_on_signals(say: Callable[[], None], *, at_once_on_second: bool = True) -> asyncio.Event:
    """An event that is set by the first SIGINT or SIGTERM that the running loop gets; `say` tells whoever watches."""
    stop = asyncio.Event()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def interrupted() -> None:
        if stop.is_set() and task is not None and at_once_on_second:
            task.cancel()
        say()
        stop.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, interrupted)
    return stop
