"""Many things asked for in one request: one that the server fails on hides no other."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from ..contract.errors import ConnectorError

_GIVEN_UP = 5
"""So many single ones in a row that the server fails on: then it is no single one."""


async def in_halves(
    ids: Sequence[str],
    size: int,
    ask: Callable[[Sequence[str]], Awaitable[None]],
    alive: Callable[[ConnectorError], Awaitable[None]],
) -> list[str]:
    """Ask for `ids`, at most `size` at a time, and for half as many where that fails; returns those that nobody can tell of.

    `alive` raises the error again where the whole site does not answer.
    """
    parts = deque(ids[start : start + size] for start in range(0, len(ids), size))
    failed: list[str] = []
    in_a_row = 0
    while parts:
        part = parts.popleft()
        try:
            await ask(part)
        except ConnectorError as error:
            await alive(error)
            half = len(part) // 2
            if half and in_a_row < _GIVEN_UP:
                parts.extendleft((part[half:], part[:half]))
                continue
            failed += part
            in_a_row += 1
        else:
            in_a_row = 0
    return failed
