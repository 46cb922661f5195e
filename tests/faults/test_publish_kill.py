"""A publishing process that is killed between any two states: the next one knows what must be looked up, and no copy is made twice."""

from pathlib import Path

import pytest

from proof.crossing import killed_at_every_state


@pytest.mark.parametrize(
    ("platform", "version", "voice"),
    [
        ("consul", "2.5.1", "official"),
        ("decidim", "0.32", "participant"),
        ("your-priorities", "2026-07", "participant"),
    ],
)
def test_killed_at_changes_of_state(tmp_path: Path, platform: str, version: str, voice: str) -> None:
    result = killed_at_every_state(tmp_path, platform, version, count=3, voice=voice, points=(1, 2))
    assert result.problem == ""
    assert result.kills >= 3
