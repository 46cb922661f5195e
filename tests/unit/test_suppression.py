"""Published tables: whoever solves their margins, and those of two following ones, finds nobody."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civicsync.analysis.privacy.suppression import TOTAL, Cell, Published, kept, suppress

K = 5
Place = tuple[str, str]
_NEAR = 1e-6


class Simplex:
    """An attacker with a linear program: numbers that are not negative, and equations between them. Knows nothing of networks."""

    def __init__(self, names: Sequence[object], equations: Sequence[tuple[Mapping[object, int], int]]) -> None:
        self.column = {name: number for number, name in enumerate(names)}
        width, height = len(names), len(equations)
        self.rows: list[list[float]] = []
        self.basis: list[int] = []
        for number, (terms, constant) in enumerate(equations):
            sign = -1 if constant < 0 else 1
            row = [0.0] * (width + height + 1)
            for name, factor in terms.items():
                row[self.column[name]] += sign * factor
            row[width + number], row[-1] = 1.0, float(sign * constant)
            self.rows.append(row)
            self.basis.append(width + number)
        self.width = width
        cost = [0.0] * width + [-1.0] * height
        assert abs(self._maximise(cost, width + height)) < _NEAR, "the truth itself must be possible"
        for number in range(height - 1, -1, -1):
            if self.basis[number] >= width:
                swap = next((c for c in range(width) if abs(self.rows[number][c]) > _NEAR), None)
                if swap is None:
                    del self.rows[number], self.basis[number]
                else:
                    self._pivot(number, swap)
        self.rows = [[*row[:width], row[-1]] for row in self.rows]

    def range_of(self, terms: Mapping[object, int]) -> tuple[float, float]:
        """The least and the most that this sum can be."""
        cost = [0.0] * self.width
        for name, factor in terms.items():
            cost[self.column[name]] += factor
        most = self._maximise(cost, self.width)
        return -self._maximise([-each for each in cost], self.width), most

    def _maximise(self, cost: Sequence[float], width: int) -> float:
        while True:
            gain = list(cost)
            for row, own in zip(self.rows, self.basis, strict=True):
                if cost[own]:
                    gain = [g - cost[own] * each for g, each in zip(gain, row, strict=False)]
            enters = next((c for c in range(width) if gain[c] > _NEAR), None)
            if enters is None:
                return sum(cost[own] * row[-1] for row, own in zip(self.rows, self.basis, strict=True))
            ratios = [
                (row[-1] / row[enters], self.basis[number], number)
                for number, row in enumerate(self.rows)
                if row[enters] > _NEAR
            ]
            if not ratios:
                return float("inf")
            self._pivot(min(ratios)[2], enters)

    def _pivot(self, number: int, enters: int) -> None:
        by = self.rows[number][enters]
        pivot = self.rows[number] = [each / by for each in self.rows[number]]
        for other, row in enumerate(self.rows):
            if other != number and abs(row[enters]) > 1e-12:
                factor = row[enters]
                self.rows[other] = [a - factor * b for a, b in zip(row, pivot, strict=True)]
        self.basis[number] = enters


def table(inside: Mapping[Place, tuple[int, int]], margins: bool = True) -> list[Cell]:
    """A table of persons and proposals with its margins."""
    sums: dict[Place, list[int]] = {}
    for (row, column), numbers in inside.items():
        for margin in ((row, TOTAL), (TOTAL, column), (TOTAL, TOTAL)):
            have = sums.setdefault(margin, [0, 0])
            have[0], have[1] = have[0] + numbers[0], have[1] + numbers[1]
    everything = {**inside, **{place: (p, v) for place, (p, v) in sums.items()}} if margins else dict(inside)
    return [Cell(row, column, p, {"proposals": v}) for (row, column), (p, v) in everything.items()]


def _equations(places: Sequence[Place], which: str, known: Mapping[Place, int]) -> list[tuple[dict[object, int], int]]:
    inside = [place for place in places if TOTAL not in place]
    lines: list[tuple[Place, list[Place]]] = []
    for place in places:
        row, column = place
        if row != TOTAL and column == TOTAL:
            lines.append((place, [each for each in inside if each[0] == row]))
        elif row == TOTAL and column != TOTAL:
            lines.append((place, [each for each in inside if each[1] == column]))
        elif place == (TOTAL, TOTAL):
            lines.append((place, [each for each in places if each[1] == TOTAL and each[0] != TOTAL]))
            lines.append((place, [each for each in places if each[0] == TOTAL and each[1] != TOTAL]))
    found: list[tuple[dict[object, int], int]] = []
    for total, parts in lines:
        terms: dict[object, int] = {}
        constant = 0
        for place, factor in [(total, -1), *((each, 1) for each in parts)]:
            if place in known:
                constant -= factor * known[place]
            else:
                terms[which, place] = terms.get((which, place), 0) + factor
        if terms:
            found.append((terms, constant))
        else:
            assert constant == 0
    return found


def attack(
    tables: Sequence[tuple[str, Sequence[Cell], Sequence[Published]]], measure: str | None, *, never_fewer: bool
) -> Simplex:
    """What can be worked out of tables that were shown one after the other. What is held was not told."""
    names: list[object] = []
    equations: list[tuple[Mapping[object, int], int]] = []
    known: dict[str, dict[Place, int]] = {}
    for which, cells, shown in tables:
        known[which] = {
            told.place if isinstance(told, Cell) else (told.row, told.column): (
                (told.persons or 0) if measure is None else told.values[measure]
            )
            for told in shown
            if not told.suppressed and not told.held
        }
        places = [cell.place for cell in cells]
        names += [(which, place) for place in places if place not in known[which]]
        equations += _equations(places, which, known[which])
    if never_fewer and len(tables) == 2:
        (first, _, _), (second, cells, _) = tables
        for cell in cells:
            slack, terms, constant = ("more", cell.place), dict[object, int](), 0
            for which, factor in ((second, 1), (first, -1)):
                if cell.place in known[which]:
                    constant -= factor * known[which][cell.place]
                else:
                    terms[which, cell.place] = factor
            if terms:
                names.append(slack)
                equations.append(({**terms, slack: -1}, constant))
    return Simplex(names, equations)


def nobody_is_found(solver: Simplex, which: str, cells: Sequence[Cell], shown: Sequence[Published]) -> None:
    """No withheld number is known, and none below k is known to be below k."""
    for cell, told in zip(cells, shown, strict=True):
        if not told.suppressed and not told.held:
            assert cell.persons == 0 or cell.persons >= K, f"{cell} is shown"
            continue
        least, most = solver.range_of({(which, cell.place): 1})
        assert most - least > 0.5, f"{which} {cell} is recovered"
        if 0 < cell.persons < K:
            assert most > K - _NEAR, f"{which} {cell} is below k: {least} to {most}"


ROWS, COLUMNS = ("a", "b", "c", "d"), ("x", "y", "z")
numbers = st.one_of(st.integers(0, 6), st.integers(0, 40))


@st.composite
def insides(draw: st.DrawFn) -> dict[Place, tuple[int, int]]:
    """Up to four rows and three columns; some people write more than once."""
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    found: dict[Place, tuple[int, int]] = {}
    for row in ROWS[:rows]:
        for column in COLUMNS[:columns]:
            persons = draw(numbers)
            found[row, column] = (persons, persons + draw(st.integers(0, 4)) if persons else 0)
    return found


@settings(max_examples=150, deadline=None)
@given(insides())
def test_p7_nobody_is_found_by_solving_the_margins(inside: dict[Place, tuple[int, int]]) -> None:
    cells = table(inside)
    shown = suppress(cells, K)
    tables = [("now", cells, shown)]
    nobody_is_found(attack(tables, None, never_fewer=False), "now", cells, shown)
    solver = attack(tables, "proposals", never_fewer=False)
    for cell, told in zip(cells, shown, strict=True):
        if told.suppressed and cell.values["proposals"]:
            least, most = solver.range_of({("now", cell.place): 1})
            assert most - least > 0.5, f"the proposals of {cell} are recovered"
            assert cell.persons >= K or most > K - _NEAR, f"{cell}: so few proposals are by fewer than k"


@settings(max_examples=150, deadline=None)
@given(insides(), st.lists(st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 20)), min_size=12, max_size=12))
def test_p8_nobody_is_found_by_subtracting_two_following_tables(
    inside: dict[Place, tuple[int, int]], growth: list[int]
) -> None:
    later = {
        place: (persons + more, values + more)
        for (place, (persons, values)), more in zip(inside.items(), growth, strict=False)
    }
    first, second = table(inside), table(later)
    told_first = suppress(first, K)
    before = kept(first, told_first)
    told_second = suppress(second, K, before)
    tables = [("first", first, told_first), ("second", second, told_second)]
    solver = attack(tables, None, never_fewer=True)
    nobody_is_found(solver, "first", first, told_first)
    nobody_is_found(solver, "second", second, told_second)
    hidden = [{cell.place for cell, t in zip(c, s, strict=True) if t.suppressed or t.held} for _, c, s in tables]
    for old, new in zip(first, second, strict=True):
        more = new.persons - old.persons
        terms: dict[object, int] = {}
        constant = 0
        for which, cell, unknown, sign in (("first", old, hidden[0], -1), ("second", new, hidden[1], 1)):
            if cell.place in unknown:
                terms[which, cell.place] = sign
            else:
                constant += sign * cell.persons
        if not terms:
            assert more == 0 or more >= K, f"{more} persons came to {new.place}, and it shows"
        elif 0 < more < K:
            least, most = solver.range_of(terms)
            assert constant + most > K - _NEAR, f"{new.place}: {constant + least} to {constant + most} persons came"


def test_without_the_second_suppression_a_margin_gives_it_back() -> None:
    cells = table({("a", "x"): (3, 3), ("b", "x"): (20, 20), ("c", "x"): (40, 40)})
    only_primary = [
        Published(cell.row, cell.column, None, {}, True)
        if cell.persons < K
        else Published(cell.row, cell.column, cell.persons, cell.values, False)
        for cell in cells
    ]
    with pytest.raises(AssertionError, match="recovered"):
        nobody_is_found(attack([("now", cells, only_primary)], None, never_fewer=False), "now", cells, only_primary)
    hidden = {(told.row, told.column) for told in suppress(cells, K) if told.suppressed}
    assert ("b", "x") in hidden and ("c", "x") not in hidden, "as little as helps is withheld"


def test_the_marker_is_neither_zero_nor_unknown() -> None:
    shown = suppress([Cell("a", "x", 0, {"n": 0}), Cell("b", "x", 4, {"n": 9}), Cell("c", "x", 5, {"n": 5})], K)
    assert [(told.persons, told.values, told.suppressed) for told in shown] == [
        (0, {"n": 0}, False),
        (None, {}, True),
        (5, {"n": 5}, False),
    ]


def test_zeros_are_hidden_where_that_is_wanted() -> None:
    cells = [Cell("a", "x", 0), Cell("b", "x", 9)]
    assert [told.suppressed for told in suppress(cells, K, zeros="hidden")] == [True, False]


def test_persons_decide_and_never_rows() -> None:
    assert suppress([Cell("a", "x", 4, {"proposals": 400})], K)[0].suppressed
    assert not suppress([Cell("a", "x", 10, {"proposals": 10})], 10)[0].suppressed
    assert suppress([Cell("a", "x", 9, {"proposals": 90})], 10)[0].suppressed


def test_a_figure_stands_until_k_persons_came() -> None:
    before: list[Cell] | None = None
    told: list[int | None] = []
    for persons in (20, 22, 24, 25, 26, 31):
        cells = [Cell("a", "x", persons, {"n": persons}), Cell("b", "x", 50, {"n": 50})]
        shown = suppress(cells, K, before)
        before = kept(cells, shown, before)
        told.append(shown[0].persons)
        assert shown[1].persons == 50
    assert told == [20, 20, 20, 25, 25, 31]


def test_the_same_table_twice_is_the_same_twice() -> None:
    cells = table({("a", "x"): (3, 3), ("b", "x"): (20, 20), ("a", "y"): (9, 9), ("b", "y"): (0, 0)})
    first = suppress(cells, K)
    second = suppress(cells, K, kept(cells, first))
    assert [(t.row, t.column, t.persons, t.suppressed) for t in first] == [
        (t.row, t.column, t.persons, t.suppressed) for t in second
    ]


def test_where_hardly_anybody_is_nothing_is_shown() -> None:
    cells = table({("a", "x"): (1, 1), ("b", "x"): (2, 2)})
    assert all(told.suppressed for told in suppress(cells, K))


@pytest.mark.parametrize(
    ("cells", "k"), [([Cell("a", "x", 1)] * 2, 5), ([Cell("a", "x", 1)], 1), ([Cell("a", "x", -1)], 5)]
)
def test_nonsense_is_refused(cells: list[Cell], k: int) -> None:
    with pytest.raises(ValueError):
        suppress(cells, k)


def test_as_many_things_as_persons_are_behind_them_may_be_in_doubt() -> None:
    """Row `a` is three persons; hidden with `b` alone, the two would have four proposals in all: fewer than k persons."""
    cells = [Cell("a", "x", 3, {"n": 3}), Cell("b", "x", 9, {"n": 1}), Cell("c", "x", 30, {"n": 90})]
    cells.append(Cell(TOTAL, "x", 42, {"n": 94}))
    hidden = {told.row for told in suppress(cells, K) if told.suppressed}
    assert hidden > {"a"} and sum(cell.values["n"] for cell in cells[:3] if cell.row in hidden) >= K


def test_a_large_table_takes_seconds() -> None:
    """A hundred areas and twelve months: half of the cells are small."""
    inside = {(f"r{r}", f"c{c}"): ((r * 7 + c * 3) % 11,) * 2 for r in range(100) for c in range(12)}
    cells = table(inside)
    shown = suppress(cells, K)
    assert sum(told.suppressed for told in shown) < len(cells)
