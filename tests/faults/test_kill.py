"""A process that is killed, again and again, while its source changes: the next whole run makes everything right."""

import os

import pytest

from civicsync.sync.pull.revisit import LEAST
from proof.killing import kill_and_compare

PLATFORMS = [("decidim", "0.32"), ("consul", "2.5.1"), ("your-priorities", "2026-07")]
"""The first two in every run of the tests, all with CIVICSYNC_LONG (`make proof`): the third asks one by one, for a minute."""
TRIED = PLATFORMS if os.environ.get("CIVICSYNC_LONG") else PLATFORMS[:2]


@pytest.mark.parametrize(("platform", "version"), TRIED)
def test_killed_at_boundaries_and_at_any_moment(platform: str, version: str) -> None:
    result = kill_and_compare(platform, version, size=60, boundaries=1, moments=2)
    assert result.differences == []
    assert result.kills >= 2
    # And, as every run, it asks again for a little of what was confirmed longest ago.
    assert result.repeated <= 4 + LEAST, "a run that was killed between two pages reads next to nothing twice"
