"""A publishing process that is killed between any two states: the next one knows what must be looked up, and no copy is made twice."""

import os
from pathlib import Path

import pytest

from proof.crossing import killed_at_every_state

WRITERS = [
    ("consul", "2.5.1", "official"),
    ("decidim", "0.32", "participant"),
    ("your-priorities", "2026-07", "participant"),
]
"""The first two in every run of the tests, all with CIVICSYNC_LONG (`make proof`)."""
TRIED = WRITERS if os.environ.get("CIVICSYNC_LONG") else WRITERS[:2]


@pytest.mark.parametrize(("platform", "version", "voice"), TRIED)
def test_killed_at_changes_of_state(tmp_path: Path, platform: str, version: str, voice: str) -> None:
    result = killed_at_every_state(tmp_path, platform, version, count=3, voice=voice, points=(1, 2))
    assert result.problem == ""
    assert result.kills >= 3
