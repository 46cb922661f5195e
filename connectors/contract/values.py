"""Odd values of a platform, understood in one way everywhere: numbers, identifiers, times, and nodes that cannot be read at all.

A value that no mapping can use is the trouble of its own record (quarantine), or, where nothing says whose it is, of a note; it is
never the trouble of the page it came in.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...core.identity import Ref
from ...core.items import UNREADABLE, Item, MappingError
from ...core.records import LARGEST, Record, utc
from .errors import EndlessList

_LONGEST = 18


def whole(text: Any) -> int | None:
    """A number written in plain digits, of at most 18 of them; None: it is none ("²" and "٣" are digits to Python, and to nobody here)."""
    # Asked of every row of a light sweep: a pattern takes three times as long.
    plain = isinstance(text, str) and text.isdigit() and text.isascii() and len(text) <= _LONGEST
    return int(text) if plain else None


def counted(value: Any, field: str) -> int | None:
    """A counter, or None where it is not shown.

    Raises:
        MappingError: it is no whole number, or beyond what both databases take.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise MappingError(field, "not a whole number")
    if not -LARGEST <= value <= LARGEST:
        raise MappingError(field, "too large")
    return value


def readable_count(value: Any) -> int:
    """A counter that is only compared; 0 for what is none, of which another place complains."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST else 0


def identity(node: Any, name: str = "id") -> str | None:
    """The number that a platform knows a thing by, as text; None: there is none that could be asked for again.

    All three platforms number what they hold (docs/platforms/decidim.md 1.7, consul.md 4.5, your-priorities.md 2).
    """
    # Asked many times of every row: a dictionary is told from other mappings at once, and digits without a pattern.
    value = node.get(name) if type(node) is dict or isinstance(node, Mapping) else None
    if type(value) is str:
        return value if value.isdigit() and value.isascii() and len(value) <= _LONGEST else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_LONGEST:
        return str(value)
    return None


def moment(value: Any, field: str) -> datetime | None:
    """A time in UTC; None where there is none. Without a zone it is UTC, on every machine.

    Raises:
        MappingError: it is no time, or none that a platform can tell of.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise MappingError(field, "not a time")
    try:
        found = datetime.fromisoformat(value)
        return utc(found if found.tzinfo else found.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise MappingError(field, "not a time") from None


def readable_moment(value: Any) -> datetime | None:
    """As `moment`, and None for what is no time: where another place complains of it."""
    try:
        return moment(value, "")
    except MappingError:
        return None


MOST_PAGES = 10_000
"""So many pages of one list are read: no city has so much, and a list that is made up while it is read has more."""


class Progress:
    """Whether a list goes on, told page by page."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._pages = self._still = 0
        self._cursors: set[str] = set()

    def page(self, *, new: bool, goes_on: bool, cursor: str | None = None) -> None:
        """One more page; `new`: something on it was on no page before; `cursor`: where the next one begins.

        Raises:
            EndlessList: it says that it goes on, and twice in a row it did not; or it has no end.
        """
        self._pages += 1
        self._still = 0 if new else self._still + 1
        again = cursor is not None and cursor in self._cursors
        if goes_on and (again or self._still > 1 or self._pages >= MOST_PAGES):
            raise EndlessList(self.what)
        if cursor is not None:
            self._cursors.add(cursor)


class Unread:
    """Nodes of one pull that cannot be kept, as nothing says what they are: told once, by place."""

    def __init__(self) -> None:
        self._places: Counter[str] = Counter()

    def add(self, place: str) -> None:
        """One more."""
        self._places[place] += 1

    def note(self) -> str | None:
        """What to say of them; None: nothing, or it was said."""
        if not self._places:
            return None
        told = ", ".join(f"{count} in {place}" for place, count in sorted(self._places.items()))
        self._places.clear()
        return f"left out, as they have no number by which they could be known: {told}"


def mapped(
    kind: str,
    node: Any,
    make: Callable[[], Item],
    unread: Unread,
    place: str,
    raw: Callable[[], Mapping[str, Any]] | None = None,
) -> Item | None:
    """The item of a node; one that goes to quarantine where it cannot even be looked at; None, and noted, where it has no number."""
    own = identity(node)
    if own is None:
        unread.add(place)
        return None
    try:
        return make()
    except UNREADABLE as error:
        return refused(f"{kind}/{own}", error, raw)


def refused(
    reference: Ref, error: Exception, raw: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None
) -> Item:
    """What goes to quarantine for this reason. `raw`: what may be kept of it, or is to be found out; nothing but its number else."""

    def build() -> Sequence[Record]:
        raise error

    return Item(reference, None, build, raw=raw if raw is not None else {"id": reference.partition("/")[2]})


def flat(value: Any) -> list[Any]:
    """The elements of a list; none where there is no list."""
    return list(value) if isinstance(value, list | tuple) else []


def inside(node: Any, *names: str) -> Any:
    """What lies in an object below these names; None where anything on the way is no object."""
    for name in names:
        if type(node) is not dict and not isinstance(node, Mapping):
            return None
        node = node.get(name)
    return node
