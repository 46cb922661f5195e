"""Change marks of very many rows in little memory: what a light sweep compares.

A dictionary of 100,000 ids and tokens takes 15 MB, and a pull holds up to four of them. Ids are small numbers nearly everywhere and
few tokens differ, so a row is four bytes here: at its id's place, the number of its token.
"""

from array import array
from collections.abc import ItemsView, Iterator, Mapping, MutableMapping

from ..identity import Ref

_GROW = 256
"""Places to grow by at least: whoever walks through the marks of a small instance walks through the empty ones too."""


class ChangeTokens(MutableMapping[str, str]):
    """Id to token, like a dictionary; numbers come out in their order, other ids after them."""

    def __init__(self) -> None:
        self._numbers = array("I")
        self._others: dict[str, str] = {}
        self._tokens: list[str] = [""]
        self._positions: dict[str, int] = {}
        self._count = 0

    def __setitem__(self, own: str, token: str) -> None:
        place = _place(own)
        if place < 0:
            self._others[own] = token
            return
        position = self._positions.get(token)
        if position is None:
            position = self._positions[token] = len(self._tokens)
            self._tokens.append(token)
        numbers = self._numbers
        if place >= len(numbers):
            more = place - len(numbers) + max(_GROW, len(numbers) // 8)
            numbers.frombytes(bytes(numbers.itemsize * more))
        self._count += not numbers[place]
        numbers[place] = position

    def __getitem__(self, own: str) -> str:
        place = _place(own)
        if place < 0:
            return self._others[own]
        position = self._numbers[place] if place < len(self._numbers) else 0
        if not position:
            raise KeyError(own)
        return self._tokens[position]

    def get(self, own: str, default: str | None = None) -> str | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As a dictionary's; without raising inside, because it is asked for every row."""
        place = _place(own)
        if place < 0:
            return self._others.get(own, default)
        position = self._numbers[place] if place < len(self._numbers) else 0
        return self._tokens[position] if position else default

    def __contains__(self, own: object) -> bool:
        return isinstance(own, str) and self.get(own) is not None

    def __delitem__(self, own: str) -> None:
        place = _place(own)
        if place < 0:
            del self._others[own]
        elif self.get(own) is None:
            raise KeyError(own)
        else:
            self._numbers[place] = 0
            self._count -= 1

    def __iter__(self) -> Iterator[str]:
        for place, position in enumerate(self._numbers):
            if position:
                yield str(place)
        yield from self._others

    def __len__(self) -> int:
        return self._count + len(self._others)

    def items(self) -> ItemsView[str, str]:
        """As a dictionary's."""
        return _Items(self)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Ids with their tokens."""
        tokens = self._tokens
        for place, position in enumerate(self._numbers):
            if position:
                yield str(place), tokens[position]
        yield from self._others.items()


class TokensByKind(Mapping[Ref, str]):
    """Reference to token, kept as `ChangeTokens` by kind."""

    def __init__(self) -> None:
        self.kinds: dict[str, ChangeTokens] = {}

    def add(self, reference: Ref, token: str) -> None:
        """Put one in."""
        kind, _, own = reference.partition("/")
        marks = self.kinds.get(kind)
        if marks is None:
            marks = self.kinds[kind] = ChangeTokens()
        marks[own] = token

    def __getitem__(self, reference: Ref) -> str:
        kind, _, own = reference.partition("/")
        return self.kinds[kind][own]

    def __contains__(self, reference: object) -> bool:
        if not isinstance(reference, str):
            return False
        kind, _, own = reference.partition("/")
        return kind in self.kinds and own in self.kinds[kind]

    def __iter__(self) -> Iterator[Ref]:
        for kind, marks in self.kinds.items():
            for own in marks:
                yield f"{kind}/{own}"

    def __len__(self) -> int:
        return sum(map(len, self.kinds.values()))


class Sieve:
    """Tells what surely was not put in: a bit for the hash of each reference. Half a megabyte, and only once something is in it."""

    _BITS = 1 << 22

    def __init__(self) -> None:
        self._bits = bytearray()

    @property
    def empty(self) -> bool:
        """Whether nothing was put in."""
        return not self._bits

    def add(self, reference: Ref) -> None:
        """Put one in."""
        if not self._bits:
            self._bits = bytearray(self._BITS // 8)
        bit = hash(reference) % self._BITS
        self._bits[bit >> 3] |= 1 << (bit & 7)

    def may_hold(self, reference: Ref) -> bool:
        """False: it was not put in. True: it may have been."""
        bit = hash(reference) % self._BITS
        return bool(self._bits) and bool(self._bits[bit >> 3] & 1 << (bit & 7))


def by_id(tokens: Mapping[Ref, str]) -> ChangeTokens:
    """The tokens of one scope without the kind of their references."""
    if isinstance(tokens, TokensByKind) and len(tokens.kinds) == 1:
        return next(iter(tokens.kinds.values()))
    found = ChangeTokens()
    for reference, token in tokens.items():
        found[reference.partition("/")[2]] = token
    return found


class _Items(ItemsView[str, str]):
    """What a light sweep walks through; without looking up each row that it is at already."""

    _mapping: ChangeTokens

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._mapping.pairs()


def _place(own: str) -> int:
    """Where an id stands; -1 for one that is no number below a million, as numbers are written."""
    return int(own) if len(own) < 7 and own.isdecimal() and own[0] != "0" and own.isascii() else -1
