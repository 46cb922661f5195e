"""What each thread looked like when it was read, kept from run to run in parts: a page that reads five threads writes one part anew, not
what is known of all threads of a city.
"""

from collections.abc import Collection, Mapping
from typing import Any

from ..contract.reading import Stored

PART = 100
"""So many ids in a row share a part."""
_PARTS = "parts"


class ThreadMarks:
    """By id what a thread is on: its mark. Remembers what changed since that was told last."""

    def __init__(self, stored: Stored, name: str) -> None:
        """`name`: of the memory that says which parts there are; each is the memory `name/part`."""
        self._name = name
        known = stored.memory(name) or {}
        self._parts: dict[str, dict[str, str]] = {}
        self._changed: set[str] = set()
        self._listed: list[str] = []
        if isinstance(known.get(_PARTS), list):
            self._listed = known[_PARTS]
            self._parts = {part: dict(stored.memory(f"{name}/{part}") or {}) for part in self._listed}
        else:
            # As earlier releases kept them: all in one.
            for own, mark in known.items():
                self.put(own, mark)

    def get(self, own: str) -> str | None:
        """The mark of one; None: it was not read, or not whole."""
        return self._parts.get(_part(own), {}).get(own)

    def put(self, own: str, mark: str) -> None:
        """One was read."""
        part = self._parts.setdefault(_part(own), {})
        if part.get(own) != mark:
            part[own] = mark
            self._changed.add(_part(own))

    def drop(self, own: str) -> None:
        """One is to be read again, or is not there any more."""
        if self._parts.get(_part(own), {}).pop(own, None) is not None:
            self._changed.add(_part(own))

    def keep_only(self, there: Collection[str], *, of: Collection[str]) -> None:
        """Drop those of `of` that are not in `there`."""
        for part in list(self._parts.values()):
            for own in [own for own in part if own in of and own not in there]:
                self.drop(own)

    def told(self) -> Mapping[str, Any]:
        """What is to be remembered of what changed since this was asked last."""
        found: dict[str, Any] = {f"{self._name}/{part}": dict(self._parts[part]) for part in sorted(self._changed)}
        self._changed.clear()
        if self._listed != list(self._parts):
            self._listed = list(self._parts)
            found[self._name] = {_PARTS: list(self._listed)}
        return found


def _part(own: str) -> str:
    # An id has no end that a platform could not reach: by its digits, not as a number.
    return own[: -(len(str(PART)) - 1)] or "0"
