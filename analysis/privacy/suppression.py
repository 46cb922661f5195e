"""k-anonymity of published tables: small figures are withheld, and enough others that nobody can work them out again.

Three rules, all about distinct persons and never about rows:

1. *Primary*: a figure behind which stand one to k-1 persons is not shown.
2. *Complementary*: whoever adds and subtracts along the margins, also with whatever an earlier table showed, finds neither the number of a
   withheld cell nor a range for it that ends below k.
3. *Between two tables*: a figure changes only when at least k persons came (or left); until then the earlier one stands (`held`).

A table with margins is a network: a cell is a pipe from its row to its column, a margin leads back, and two tables with the same margins
differ by what can be sent round in circles through the withheld pipes. How far a withheld number can rise is therefore a maximum flow,
which is exact and in whole numbers; no solver is needed. People are taken as if each stood in one cell only, which gives whoever
calculates the most.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

TOTAL: Final = "*"
"""The row, or the column, of a margin."""
_ENDLESS: Final = 1 << 60

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of a table as it is: who stands behind it, and what is counted.

    `persons` are distinct, and stand behind every one of `values`: things with other people behind them belong into another table. A margin
    has `TOTAL` for its row, its column or both; margins that are not given are not published. `suppressed` and `shown` say, of an earlier
    table, that this was not what people saw, and what they saw instead (persons, values), if anything.
    """

    row: str
    column: str
    persons: int
    values: Mapping[str, int] = field(default_factory=dict[str, int])
    suppressed: bool = False
    shown: tuple[int, Mapping[str, int]] | None = None

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.row, self.column

    @property
    def seen(self) -> tuple[int, Mapping[str, int]] | None:
        """What people saw of it."""
        return self.shown if self.suppressed else (self.persons, self.values)


@dataclass(frozen=True, slots=True)
class Published:
    """One figure as it may be shown. `suppressed`: neither zero nor unknown but withheld, and then `persons` is None and `values` is empty.

    `held`: the figures are those of an earlier table, because fewer than k persons came since, or to protect such a figure.
    """

    row: str
    column: str
    persons: int | None
    values: Mapping[str, int]
    suppressed: bool
    held: bool = False


def suppress(
    cells: Sequence[Cell],
    k: int,
    before: Sequence[Cell] | None = None,
    *,
    zeros: Literal["shown", "hidden"] = "shown",
) -> list[Published]:
    """The table as it may be shown, in the order of `cells`.

    `before` is the table that was shown last, as `kept` made it; None where nothing was. `zeros` says whether nobody is a figure that may
    be told. What is not in `before` was zero.

    Raises:
        ValueError: k is below 2, a place stands twice, or a number is negative.
    """
    if k < 2:
        raise ValueError(f"k is {k}: below 2 nobody is protected")
    for table in (cells, before or ()):
        if len({cell.place for cell in table}) < len(table):
            raise ValueError("a row and column stands twice in one table")
        if any(number < 0 for cell in table for number in (cell.persons, *cell.values.values())):
            raise ValueError("a number of persons or a value is negative")
    withheld = _Table(cells, k, before, zeros == "hidden").withheld()
    earlier = {cell.place: cell for cell in before or ()}
    return [_published(cell, k, cell.place in withheld, earlier.get(cell.place)) for cell in cells]


def kept(cells: Sequence[Cell], published: Sequence[Published], before: Sequence[Cell] | None = None) -> list[Cell]:
    """What must be remembered of a table that was shown, for the `before` of the next one. Holds the true figures: never publish it."""
    earlier = {cell.place: cell for cell in before or ()}
    result: list[Cell] = []
    for cell, told in zip(cells, published, strict=True):
        unknown = told.suppressed or told.held
        was = earlier.pop(cell.place, None)
        shown = was.seen if unknown and was is not None else None
        result.append(Cell(cell.row, cell.column, cell.persons, dict(cell.values), unknown, shown))
    # What is not in the table any more was not told to be zero.
    result += [Cell(was.row, was.column, 0, {}, True, was.seen) for was in earlier.values() if was.persons or was.shown]
    return result


def _published(cell: Cell, k: int, withheld: bool, was: Cell | None) -> Published:
    if not withheld:
        return Published(cell.row, cell.column, cell.persons, dict(cell.values), False)
    seen = was.seen if was is not None else None
    if seen is not None and seen[0] >= k and cell.persons >= k:
        return Published(cell.row, cell.column, seen[0], dict(seen[1]), False, held=True)
    return Published(cell.row, cell.column, None, {}, True)


@dataclass(slots=True)
class _Moves:
    """What may be changed without anybody seeing it: how far each pipe's number may rise and fall. Pipes not in it stand still."""

    up: dict[int, int]
    down: dict[int, int]


class _Table:
    """One table, the one before it, and which places are withheld."""

    def __init__(self, cells: Sequence[Cell], k: int, before: Sequence[Cell] | None, hide_zeros: bool) -> None:
        self.k = k
        self.now = {cell.place: cell for cell in cells}
        self.was = {cell.place: cell for cell in before or ()}
        self.first = before is None
        inside = sorted({place for place in (*self.now, *self.was) if TOTAL not in place})
        rows = sorted({row for row, _ in (*self.now, *self.was)} - {TOTAL})
        columns = sorted({column for _, column in (*self.now, *self.was)} - {TOTAL})
        self.places: list[Place] = [
            *inside,
            *((row, TOTAL) for row in rows),
            *((TOTAL, column) for column in columns),
            (TOTAL, TOTAL),
        ]
        self.measures = sorted({name for cell in (*self.now.values(), *self.was.values()) for name in cell.values})
        self.amounts = [self._amounts(self.now, None), *(self._amounts(self.now, each) for each in self.measures)]
        self.priors = [self._amounts(self.was, None), *(self._amounts(self.was, each) for each in self.measures)]
        self.persons = [self._given(self.now, pipe) for pipe in range(len(self.places))]
        self.before = [self._given(self.was, pipe) for pipe in range(len(self.places))]
        self._connect(rows, columns)
        self.free_before = {
            pipe
            for pipe, place in enumerate(self.places)
            if not self.first and TOTAL in place and place not in self.was
        }
        self.hidden_before = {
            pipe for pipe, place in enumerate(self.places) if place in self.was and self.was[place].suppressed
        }
        self.free = {pipe for pipe, place in enumerate(self.places) if TOTAL in place and place not in self.now}
        self.hidden: set[int] = {pipe for pipe in range(len(self.places)) if self._small(pipe, hide_zeros)} - self.free

    def withheld(self) -> set[Place]:
        """The places that are not shown."""
        while True:
            missing = next((lack for lack in map(self._lack, sorted(self.hidden | self.hidden_before)) if lack), None)
            if missing is None:
                break
            if not self._add(*missing):
                self.hidden = {pipe for pipe in range(len(self.places)) if self._any(pipe)} - self.free
                break
        return {self.places[pipe] for pipe in self.hidden}

    # What the table says ---------------------------------------------------------------------------------------------

    def _amounts(self, table: Mapping[Place, Cell], measure: str | None) -> list[int]:
        """By pipe; of margins the sum of what stands inside, since only that can be calculated with."""
        inside = {
            place: cell.persons if measure is None else cell.values.get(measure, 0)
            for place, cell in table.items()
            if TOTAL not in place
        }
        sums: dict[Place, int] = {}
        for (row, column), amount in inside.items():
            for margin in ((row, TOTAL), (TOTAL, column), (TOTAL, TOTAL)):
                sums[margin] = sums.get(margin, 0) + amount
        return [(sums if TOTAL in place else inside).get(place, 0) for place in self.places]

    def _given(self, table: Mapping[Place, Cell], pipe: int) -> int:
        cell = table.get(self.places[pipe])
        if cell is not None:
            return cell.persons
        return (self.amounts if table is self.now else self.priors)[0][pipe]

    def _any(self, pipe: int) -> bool:
        return any(numbers[pipe] for numbers in (*self.amounts, *self.priors)) or self.persons[pipe] > 0

    def _small(self, pipe: int, hide_zeros: bool) -> bool:
        """Primary: too few persons, or too few since people last saw a figure here."""
        persons = self.persons[pipe]
        if 0 < persons < self.k or (persons == 0 and hide_zeros):
            return True
        cell, was = self.now.get(self.places[pipe]), self.was.get(self.places[pipe])
        shown = was.seen if was is not None else None
        if cell is None or was is None or shown is None:
            return False
        if persons != shown[0]:
            return abs(persons - shown[0]) < self.k
        names = {*cell.values, *shown[1]}
        moved = sum(abs(cell.values.get(name, 0) - shown[1].get(name, 0)) for name in names)
        return 0 < moved < self.k

    # The network -----------------------------------------------------------------------------------------------------

    def _connect(self, rows: Sequence[str], columns: Sequence[str]) -> None:
        node = {("row", name): number for number, name in enumerate((*rows, TOTAL))}
        node |= {("column", name): len(node) + number for number, name in enumerate((*columns, TOTAL))}
        self.ends: list[tuple[int, int]] = []
        self.at: list[list[int]] = [[] for _ in node]
        for pipe, (row, column) in enumerate(self.places):
            ends = (node["row", row], node["column", column])
            self.ends.append((ends[1], ends[0]) if (row == TOTAL) != (column == TOTAL) else ends)
            for each in ends:
                self.at[each].append(pipe)

    def _only_now(self, measure: int, pipes: Iterable[int]) -> _Moves:
        """This table changes, the earlier one does not: nothing falls below what was there before."""
        amounts, priors = self.amounts[measure], self.priors[measure]
        pipes = list(pipes)
        return _Moves(dict.fromkeys(pipes, _ENDLESS), {pipe: max(0, amounts[pipe] - priors[pipe]) for pipe in pipes})

    def _both(self, measure: int) -> _Moves:
        """Both tables change alike."""
        amounts, priors = self.amounts[measure], self.priors[measure]
        pipes = (self.hidden | self.free) & (self.hidden_before | self.free_before)
        return _Moves(dict.fromkeys(pipes, _ENDLESS), {pipe: min(amounts[pipe], priors[pipe]) for pipe in pipes})

    def _only_before(self, measure: int) -> _Moves:
        """The earlier table changes, this one does not: nothing rises above what is there now."""
        amounts, priors = self.amounts[measure], self.priors[measure]
        pipes = self.hidden_before | self.free_before
        return _Moves({pipe: max(0, amounts[pipe] - priors[pipe]) for pipe in pipes}, {p: priors[p] for p in pipes})

    def _room(self, pipe: int, moves: _Moves, need: int, *, up: bool) -> int:
        """How far a pipe's number may go up or down, at most `need`: a flow back from one of its ends to the other."""
        if pipe not in moves.up:
            return 0
        own = min(need, (moves.up if up else moves.down)[pipe])
        tail, head = self.ends[pipe]
        start, goal = (head, tail) if up else (tail, head)
        sent: dict[int, int] = {}
        total = 0
        while total < own:
            way = self._way(start, goal, pipe, moves, sent)
            if way is None:
                break
            step = min(own - total, min(left for _, _, left in way))
            for each, sign, _ in way:
                sent[each] = sent.get(each, 0) + sign * step
            total += step
        return total

    def _way(
        self, start: int, goal: int, without: int, moves: _Moves, sent: Mapping[int, int]
    ) -> list[tuple[int, int, int]] | None:
        """The shortest way with room: pipe, direction and what is left, or None."""
        came: dict[int, tuple[int, int, int, int]] = {start: (start, -1, 0, 0)}
        queue = deque([start])
        while queue and goal not in came:
            here = queue.popleft()
            for pipe in self.at[here]:
                if pipe == without or pipe not in moves.up:
                    continue
                tail, head = self.ends[pipe]
                there, sign = (head, 1) if here == tail else (tail, -1)
                flow = sent.get(pipe, 0)
                left = moves.up[pipe] - flow if sign > 0 else moves.down[pipe] + flow
                if left > 0 and there not in came:
                    came[there] = (here, pipe, sign, left)
                    queue.append(there)
        if goal not in came:
            return None
        way: list[tuple[int, int, int]] = []
        while goal != start:
            goal, pipe, sign, left = came[goal]
            way.append((pipe, sign, left))
        return way

    # What is not protected yet, and what would protect it -------------------------------------------------------------

    def _lack(self, pipe: int) -> tuple[int, int, int] | None:
        """What a withheld pipe lacks: the pipe, a measure (0: persons) and how far it must be able to move; None: nothing."""
        if pipe in self.hidden:
            lack = self._lack_now(pipe)
            if lack is not None:
                return lack
        if pipe in self.hidden_before and not self._safe_before(pipe):
            return pipe, 0, 0
        return None

    def _lack_now(self, pipe: int) -> tuple[int, int, int] | None:
        persons, more = self.persons[pipe], self.persons[pipe] - self.before[pipe]
        now, both, was = self._only_now(0, self.hidden | self.free), self._both(0), self._only_before(0)
        need = max(0, self.k - persons)
        if need and max(self._room(pipe, now, need, up=True), self._room(pipe, both, need, up=True)) < need:
            return pipe, 0, need
        grown = self.k - more if 0 < more < self.k else 0
        if grown and max(self._room(pipe, now, grown, up=True), self._room(pipe, was, grown, up=False)) < grown:
            return pipe, 0, grown
        for measure, amounts in enumerate(self.amounts):
            if measure and not amounts[pipe]:
                continue  # that nobody did it tells of nobody
            now, both = self._only_now(measure, self.hidden | self.free), self._both(measure)
            if not any(self._room(pipe, moves, 1, up=up) for moves in (now, both) for up in (True, False)):
                return pipe, measure, 1
        if need and self.measures:
            most = sum(
                amounts[pipe] + max(self._room(pipe, moves, self.k, up=True) for moves in (now, both))
                for amounts, now, both in (
                    (self.amounts[each], self._only_now(each, self.hidden | self.free), self._both(each))
                    for each in range(1, len(self.amounts))
                )
            )
            if most < self.k:  # fewer things than k were done by fewer persons than k
                return pipe, 1, self.k
        return None

    def _safe_before(self, pipe: int) -> bool:
        """Whether what an earlier table withheld stays so, now that this one is known as well."""
        persons, more = self.before[pipe], self.persons[pipe] - self.before[pipe]
        both, was = self._both(0), self._only_before(0)
        need = max(0, self.k - persons)
        if need and max(self._room(pipe, was, need, up=True), self._room(pipe, both, need, up=True)) < need:
            return False
        if pipe not in self.hidden and 0 < more < self.k:
            grown = self.k - more
            if self._room(pipe, was, grown, up=False) < grown:
                return False
        for measure, priors in enumerate(self.priors):
            if measure and not priors[pipe]:
                continue
            both, was = self._both(measure), self._only_before(measure)
            if not any(self._room(pipe, moves, 1, up=up) for moves in (was, both) for up in (True, False)):
                return False
        return True

    def _add(self, pipe: int, measure: int, need: int) -> bool:
        """Withhold more, as little as helps; False: nothing is left that would."""
        if need:
            for size in dict.fromkeys((need, 1)):
                more = self._cheapest(pipe, measure, size)
                if more:
                    self.hidden |= more
                    return True
        left = (self.hidden_before - self.free) - self.hidden
        self.hidden |= left
        return bool(left)

    def _cheapest(self, pipe: int, measure: int, need: int) -> set[int]:
        """The places to withhold, those with the fewest persons, so that a pipe's number may rise by `need`."""
        candidates = [
            each for each in range(len(self.places)) if each in self.hidden or each in self.free or self._any(each)
        ]
        moves = self._only_now(measure, candidates)
        tail, start = self.ends[pipe]
        paid = {start: 0}
        came: dict[int, tuple[int, int]] = {}
        heap = [(0, start)]
        while heap:
            cost, here = heapq.heappop(heap)
            if here == tail:
                break
            if cost > paid[here]:
                continue
            for each in self.at[here]:
                if each == pipe or each not in moves.up:
                    continue
                first, last = self.ends[each]
                there = last if here == first else first
                if here != first and moves.down[each] < need:
                    continue
                price = cost + (0 if each in self.hidden or each in self.free else 1 + self.persons[each])
                if price < paid.get(there, _ENDLESS):
                    paid[there], came[there] = price, (here, each)
                    heapq.heappush(heap, (price, there))
        if tail not in came:
            return set()
        way: set[int] = set()
        while tail != start:
            tail, each = came[tail]
            way.add(each)
        return way - self.hidden - self.free
