"""Connections by offset, with graphql-ruby's cursors and its idea of next and previous.

Slices sequences, never copies a whole one: a connection may stand on 100,000 rows.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .profile import FieldError, RubyProfile

_LEADING_NUMBER = re.compile(rb"\s*([+-]?\d+)")


def cursor_of(position: int) -> str:
    """The cursor of a 1-based position."""
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def position_of(cursor: str) -> int:
    """What Ruby's to_i makes of a decoded cursor: 0 for anything that is no number."""
    bare = cursor.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        raw = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise FieldError(f'Invalid input: "{cursor}"') from None
    found = _LEADING_NUMBER.match(raw)
    return int(found.group(1)) if found else 0


class Connection:
    """A window on rows. Nothing is read before it is asked for: a bad cursor fails the field that needs it."""

    __slots__ = ("_after", "_before", "_first", "_last", "_profile", "_rows", "_window")

    def __init__(self, rows: Sequence[Any], arguments: Mapping[str, Any], profile: RubyProfile) -> None:
        self._rows = rows
        self._profile = profile
        self._after: str | None = arguments.get("after")
        self._before: str | None = arguments.get("before")
        self._last = self._capped(arguments.get("last"))
        first = self._capped(arguments.get("first"))
        if first is None and self._last is None:
            first = self._capped(profile.default_page)
            first = profile.page if first is None else first
        self._first = first
        self._window: tuple[int, Sequence[Any]] | None = None

    def _capped(self, number: int | None) -> int | None:
        if number is None:
            return None
        number = max(0, number)
        return number if self._profile.page is None else min(number, self._profile.page)

    def _bounds(self) -> tuple[int, int | None]:
        """Where the rows asked for begin, and how many `before` leaves of them."""
        after = position_of(self._after) if self._after is not None else 0
        start = max(0, after)
        if self._before is None:
            return start, None
        return start, max(0, position_of(self._before) - 1 - start)

    def window(self) -> tuple[int, Sequence[Any]]:
        """The offset of the first row shown, and the rows shown."""
        if self._window is None:
            start, limit = self._bounds()
            if self._first is not None and (limit is None or limit > self._first):
                limit = self._first
            if self._last is not None:
                # Against a limit, `last` counts from that limit, even where fewer rows are left: so does the gem.
                available = max(0, len(self._rows) - start) if limit is None else limit
                start += max(0, available - self._last)
                limit = min(self._last, available)
            stop = len(self._rows) if limit is None else start + limit
            self._window = (start, self._rows[start:stop])
        return self._window

    def edges(self) -> list["Edge"]:
        """The rows with their cursors."""
        start, rows = self.window()
        return [Edge(cursor_of(i), row) for i, row in enumerate(rows, start + 1)]

    def nodes(self) -> Sequence[Any]:
        """The rows."""
        return self.window()[1]

    def has_next_page(self) -> bool:
        """Are there more rows? `first` with `last` gets this wrong once the rows are read: so does the gem."""
        if self._before is not None and position_of(self._before) > 0:
            return True
        if self._first is None:
            return False
        if self._window is not None and len(self._window[1]) < self._first:
            return False
        return self._bounds()[0] + self._first < len(self._rows)

    def has_previous_page(self) -> bool:
        """Are there rows before these?"""
        if self._after is not None and position_of(self._after) > 0:
            return self._profile.previous_page_after_cursor
        return self._last is not None and self.window()[0] > 0

    def start_cursor(self) -> str | None:
        """The cursor of the first row shown."""
        start, rows = self.window()
        return cursor_of(start + 1) if rows else None

    def end_cursor(self) -> str | None:
        """The cursor of the last row shown."""
        start, rows = self.window()
        return cursor_of(start + len(rows)) if rows else None


class Edge:
    """A row and its cursor."""

    __slots__ = ("cursor", "node")

    def __init__(self, cursor: str, node: Any) -> None:
        self.cursor = cursor
        self.node = node


def connection_field(name: str) -> Any:
    """How an own field of a connection or its page info resolves; None for fields of the application."""
    return {
        "edges": Connection.edges,
        "nodes": Connection.nodes,
        "pageInfo": lambda connection: connection,
        "hasNextPage": Connection.has_next_page,
        "hasPreviousPage": Connection.has_previous_page,
        "startCursor": Connection.start_cursor,
        "endCursor": Connection.end_cursor,
    }.get(name)
