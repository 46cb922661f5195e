"""Whatever happens on a platform, in whatever order: light runs alone tell the truth within `confirm_within`.

`make proof` does the same with more changes, on every release.
"""

import pytest

from proof.time_to_truth import anything


@pytest.mark.parametrize(
    ("platform", "version"),
    [("decidim", "0.32"), ("decidim", "0.28.6"), ("consul", "2.5.1"), ("your-priorities", "2026-07")],
)
def test_after_a_day_of_light_runs_the_database_is_as_a_new_one(platform: str, version: str) -> None:
    assert anything(platform, version, 4, size=40, changes=20) == []
