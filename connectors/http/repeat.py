"""Asking again: the one rule for what a lost answer costs where the question changes nothing (signing in, looking around)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ..contract.errors import MaybeDone, NotDone

PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each further attempt."""
PATIENCE = 61.0
"""Seconds that are waited where a platform asks for patience: limits are counted per minute, and not every platform says so."""
_Told = TypeVar("_Told")


def _never() -> bool:
    return False


async def ask_again(
    ask: Callable[[], Awaitable[_Told]],
    pause: Callable[[float, str], Awaitable[object]],
    *,
    pauses: Sequence[float] = PAUSES,
    patience: float = PATIENCE,
    stopped: Callable[[], bool] = _never,
) -> _Told:
    """The answer to something that changes nothing, asked once more after each of `pauses` when it was lost.

    Never for a write: what may be stored must be looked up, not sent again.

    Args:
        pause: waits so many seconds, and is told why.
        patience: the longest wait for a platform that is not ready (`NotDone`); where it asks for more, that is raised at once.
        stopped: whether to give up after a pause.

    Raises:
        NotDone: no answer came, or it takes more than `patience`.
        and whatever else `ask` raises.
    """
    for seconds in pauses:
        try:
            return await ask()
        except MaybeDone as error:
            await pause(seconds, error.message)
            if stopped():
                raise _lost(error) from error
        except NotDone as error:
            asked = error.wait if error.wait is not None else PATIENCE if error.status == 429 else 0.0
            wait = max(seconds, asked)
            if wait > patience:
                raise
            await pause(wait, error.message)
            if stopped():
                raise
    try:
        return await ask()
    except MaybeDone as error:
        raise _lost(error) from error


def _lost(error: MaybeDone) -> NotDone:
    return NotDone(error.message, hint=error.hint, status=error.status)
