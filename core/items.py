"""What is written in one transaction: a page of things seen, as a connector hands it to the store.

Items are lazy: what has not changed is never mapped, sanitised or validated.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from .identity import Ref
from .records import LARGEST, Counters, Record
from .text import storable


class MappingError(Exception):
    """One record cannot be understood: `field` is where, `reason` why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


UNREADABLE = (
    MappingError,
    ValidationError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RecursionError,
)
"""What mapping a record may raise when it is not as a platform sends it."""

Cursor = dict[str, Any]
"""Where an interrupted sweep goes on: small, JSON-able, opaque to everybody but the connector."""


@dataclass(slots=True)
class Item:
    """One thing seen. `build` is called only when `digest` differs from the stored one, so unchanged rows cost nothing.

    `build` returns the record of `ref` and whatever belongs to it; it raises `MappingError` (or pydantic's ValidationError)
    for a bad record, which goes to quarantine with `raw`. An item without `build` only says "still there", with counters.
    `digest` covers the content and the mapping's version, never counters or volatile fields (hotScore).
    `token` is the connector's own change mark, handed back by `Stored.tokens` in the next run.
    """

    ref: Ref
    digest: bytes | None = None
    build: Callable[[], Sequence[Record]] | None = None
    counters: Counters | None = None
    token: str | None = None
    raw: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = field(default_factory=dict[str, Any])
    updated_at: datetime | None = None
    """When the platform says that it last moved; kept although nothing else changed. None: it is not told."""
    untold: frozenset[str] = frozenset()
    """Columns of its table that this source does not tell (a list without authors): what is known of them stays. Not for proposals."""

    def kept(self) -> dict[str, Any]:
        """The allow-listed raw form, for quarantine: as it came, but for what no database takes."""
        try:
            kept = _kept(dict(self.raw() if callable(self.raw) else self.raw), _DEEPEST)
        except UNREADABLE:
            return {}
        return kept if isinstance(kept, dict) else {}


_DEEPEST = 30
"""Levels of objects and lists in each other that are kept in quarantine."""


def _kept(value: Any, levels: int) -> Any:
    """A JSON value that both databases take: a number beyond 64 bits, or none at all (NaN), as text."""
    match value:
        case str():
            return storable(value)
        case bool() | None:
            return value
        case int():
            return value if -LARGEST <= value <= LARGEST else _digits(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {storable(str(name)): _kept(one, levels - 1) for name, one in value.items()} if levels else "…"
        case list() | tuple():
            return [_kept(one, levels - 1) for one in value] if levels else "…"
        case _:
            return storable(str(value))


def _digits(value: int) -> str:
    # Python refuses to write a number of more than 4,300 digits.
    return str(value) if abs(value) < 10**1000 else "more than 1000 digits"


Kinds = Mapping[str, Sequence[str]]
"""Kinds by table (`proposals`, `comments`, `answers`, `categories`, `areas`, `votes`); whatever is not named is a space."""


@dataclass(frozen=True, slots=True)
class Due:
    """A row that was not confirmed for long. `target` is what it hangs on, `token` the connector's own mark."""

    ref: Ref
    scope: str
    confirmed_at: datetime | None
    target: Ref | None = None
    token: str | None = None
    overdue: bool = False


class Refs(Collection[Ref]):
    """References of one kind, made when they are looked at: a sweep of 100,000 rows need not hold them all."""

    def __init__(self, kind: str, ids: Collection[str], without: AbstractSet[str] = frozenset()) -> None:
        self._kind = kind
        self._ids = ids
        self._without = without
        self._count = len(ids) - sum(own in ids for own in without)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Ref]:
        return (f"{self._kind}/{own}" for own in self._ids if own not in self._without)

    def __contains__(self, reference: object) -> bool:
        kind, _, own = str(reference).partition("/")
        return kind == self._kind and own in self._ids and own not in self._without


@dataclass(frozen=True, slots=True)
class Page:
    """What is written in one transaction.

    `scope` names the set that is being swept, for example `proposals@component/39`; every item of it belongs to that set.
    `next` resumes after this page. `complete` claims: everything public in `scope` was in the pages since the sweep began (items and
    `present`), so whatever else the store knows there is missing. A gate that shows no change sends neither. `memory` is kept as it is
    (ETags, gates) and read back by `Stored.memory`. `total` is the expected number of items, for progress. `silent` are rows of a
    complete sweep that it did not look at: they are neither confirmed nor missing. `whole_of` names what things hang on (a proposal and
    its thread): everything public of `scope` that hangs on these is in this page, so whatever else is stored there is missing, as is
    what is named `absent`. `vouched` says that a gate which would have shown something of `scope` go said "nothing changed". `note` is
    a clear word for `runs`. `failed` names a part that could not be read, and why: the rest is read, nothing of that part is judged, and
    the run ends with a word and exit code 1. `done` names parts of the pull (besides a complete `scope`) that were read to their end:
    should the run be interrupted after this page, the one that continues it is told so.
    """

    scope: str
    items: Sequence[Item] = ()
    present: Collection[Ref] = ()
    next: Cursor | None = None
    complete: bool = False
    memory: Mapping[str, Any] = field(default_factory=dict[str, Any])
    total: int | None = None
    note: str | None = None
    failed: str | None = None
    done: Sequence[str] = ()
    silent: Collection[Ref] = ()
    whole_of: Collection[Ref] = ()
    absent: Collection[Ref] = ()
    vouched: bool = False
