"""What was known of a city's threads is kept in parts, and a page writes only those it touched."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from civicsync.connectors.decidim.thread_marks import ThreadMarks


class _Kept:
    """What pages told, as a store keeps it."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def memory(self, name: str) -> Any:
        return self.values.get(name)


def _marks(kept: _Kept) -> ThreadMarks:
    return ThreadMarks(kept, "threads")  # type: ignore[arg-type]  # of what is stored it asks for memories only


def test_a_page_writes_only_the_parts_that_it_touched() -> None:
    kept = _Kept()
    marks = _marks(kept)
    for own in (1, 99, 100, 250, 12_345):
        marks.put(str(own), f"1|{own}")
    kept.values.update(marks.told())
    marks.put("101", "2|then")
    marks.put("250", "1|250")
    assert marks.told() == {"threads/1": {"100": "1|100", "101": "2|then"}}
    assert marks.told() == {}
    marks.drop("99")
    marks.drop("4")
    assert marks.told() == {"threads/0": {"1": "1|1"}}


def test_what_an_earlier_release_kept_in_one_is_taken_over() -> None:
    kept = _Kept(threads={"7": "1|a", "107": "2|b"})
    marks = _marks(kept)
    assert (marks.get("7"), marks.get("107"), marks.get("8")) == ("1|a", "2|b", None)
    assert marks.told() == {
        "threads": {"parts": ["0", "1"]},
        "threads/0": {"7": "1|a"},
        "threads/1": {"107": "2|b"},
    }


_IDS = st.integers(0, 400).map(str)


@given(st.lists(st.tuples(_IDS, st.sampled_from(["1|a", "2|b", None]), st.booleans())))
def test_the_next_run_knows_what_this_one_told(steps: list[tuple[str, str | None, bool]]) -> None:
    kept, known = _Kept(), dict[str, str]()
    marks = _marks(kept)
    for own, mark, again in steps:
        if mark is None:
            marks.drop(own)
            known.pop(own, None)
        else:
            marks.put(own, mark)
            known[own] = mark
        kept.values.update(marks.told())
        if again:
            marks = _marks(kept)
    assert {own: marks.get(own) for own, _, _ in steps} == {own: known.get(own) for own, _, _ in steps}
    marks.keep_only({own for own in known if int(own) % 2}, of={own for own in known if int(own) % 3})
    kept.values.update(marks.told())
    left = {own: _marks(kept).get(own) for own in known}
    assert left == {own: mark if int(own) % 2 or not int(own) % 3 else None for own, mark in known.items()}
