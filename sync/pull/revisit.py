"""No fact stays unconfirmed for long: each run asks again for what was confirmed longest ago.

A run spends a small budget of requests on it, and more than that only where the age that the admin allows would be passed before the
next run. So a full pull is needed for nothing; it only makes things sooner.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from ...connectors.contract.reading import CanConfirm, CanRevisit, Page, PullRequest, Reader
from ...core.identity import Ref
from ...core.items import Due, Item
from ...core.store.confirmations import stalest
from ...core.store.store import InstanceStore

COPIED_WITHIN = timedelta(hours=6)
"""What has copies elsewhere, or is one, is confirmed sooner: what was hidden must not go on standing elsewhere for a day."""
LEAST = 5
SHARE = 0.05
_ASKED_AT_ONCE = 25


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a run may ask for what was confirmed longest ago."""

    requests: int
    began: datetime
    """What was confirmed before this is due."""
    overdue: datetime
    """What was confirmed before this is asked for whatever it costs."""
    overdue_copied: datetime

    @classmethod
    def of(cls, full: int, within: float, began: datetime, last: datetime | None) -> "Budget":
        """`full`: requests of a full run; `within`: seconds that a confirmation may be old; `last`: when the run before this one ended."""
        # The next run comes about as late after this one as this one after the last: by then nothing may be older than allowed.
        pause = began - last if last is not None else timedelta()
        bound = timedelta(seconds=within)
        return cls(
            requests=max(LEAST, math.ceil(full * SHARE)),
            began=began,
            overdue=began - max(bound - pause, timedelta()),
            overdue_copied=began - max(min(bound, COPIED_WITHIN) - pause, timedelta()),
        )


async def revisit(
    store: InstanceStore, reader: Reader, request: PullRequest, budget: Budget, spent: Callable[[], int]
) -> AsyncIterator[Page]:
    """Pages of what was asked for again: first what is overdue, then, as far as the budget goes, what waits longest."""
    due = await asyncio.to_thread(
        partial(
            stalest,
            store.engine,
            store.instance,
            before=budget.began,
            overdue=budget.overdue,
            overdue_copied=budget.overdue_copied,
        )
    )
    began = spent()
    for group, bounded in (([each for each in due if each.overdue], False), ([e for e in due if not e.overdue], True)):
        if not group or (bounded and spent() - began >= budget.requests):
            continue
        async for page in _pages(reader, request, group):
            yield page
            if bounded and spent() - began >= budget.requests:
                return


async def _pages(reader: Reader, request: PullRequest, due: Sequence[Due]) -> AsyncIterator[Page]:
    if isinstance(reader, CanRevisit):
        async for page in reader.revisit(request, due):
            yield page
    elif isinstance(reader, CanConfirm):
        for start in range(0, len(due), _ASKED_AT_ONCE):
            async for page in ask_singly(reader, due[start : start + _ASKED_AT_ONCE]):
                yield page


async def ask_singly(reader: CanConfirm, due: Sequence[Due]) -> AsyncIterator[Page]:
    """Only whether these are there still: by scope, those that are as items without content, those that are not as evidence."""
    answers = await reader.still_there([each.ref for each in due])
    scopes: dict[str, list[Ref]] = {}
    gone: dict[str, list[Ref]] = {}
    for each in due:
        answer = answers.get(each.ref)
        if answer is not None:
            (scopes if answer else gone).setdefault(each.scope, []).append(each.ref)
    for scope in dict.fromkeys((*scopes, *gone)):
        yield Page(scope, [Item(ref) for ref in scopes.get(scope, ())], absent=gone.get(scope, ()))
