"""Two real processes, one database, one served city: one copy each, and the one that lost says so and stops."""

from pathlib import Path

import pytest

from proof.two_publishers import AT_ONCE, POINTS, two_publishers


@pytest.mark.parametrize("how", [AT_ONCE, *POINTS])
def test_two_publishers_make_one_copy_each_and_the_loser_says_so(tmp_path: Path, how: str) -> None:
    result = two_publishers(tmp_path, "consul", "2.5.1", "official", count=4, how=how)
    assert result.problem == ""
