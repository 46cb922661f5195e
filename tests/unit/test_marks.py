"""Marks are a dictionary, only smaller."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicsync.core.store.change_tokens import ChangeTokens, Sieve, TokensByKind, by_id

_IDS = st.one_of(
    st.integers(0, 50_000).map(str),
    st.sampled_from(["007", "", "a-b", "-1", "1000000", "99999999", "0", "\u0663", "1.0"]),
)


@given(st.lists(st.tuples(_IDS, st.sampled_from(["1|0|0", "2|0|1", ""]), st.booleans())))
def test_marks_do_what_a_dictionary_does(steps: list[tuple[str, str, bool]]) -> None:
    marks, oracle = ChangeTokens(), dict[str, str]()
    for own, token, put in steps:
        if put:
            marks[own] = oracle[own] = token
        else:
            assert marks.pop(own, None) == oracle.pop(own, None)
        assert marks.get(own) == oracle.get(own)
        assert (own in marks) == (own in oracle)
        assert len(marks) == len(oracle)
    assert dict(marks) == oracle
    assert marks.keys() == oracle.keys()


def test_what_is_not_there_is_a_key_error() -> None:
    for own in ("5", "x"):
        with pytest.raises(KeyError):
            ChangeTokens()[own]
        with pytest.raises(KeyError):
            del ChangeTokens()[own]


@given(st.sets(st.text()), st.text())
def test_a_sieve_never_denies_what_was_put_in(put: set[str], other: str) -> None:
    sieve = Sieve()
    assert not sieve.may_hold(other)
    for reference in put:
        sieve.add(reference)
    assert all(map(sieve.may_hold, put))


def test_tokens_are_kept_by_kind() -> None:
    tokens = TokensByKind()
    tokens.add("proposal/1", "a")
    assert by_id(tokens) == {"1": "a"}
    tokens.add("debate/x/y", "b")
    assert dict(tokens) == {"proposal/1": "a", "debate/x/y": "b"}
    assert by_id(tokens) == {"1": "a", "x/y": "b"}
    assert "debate/1" not in tokens
    assert 1 not in tokens
