"""Every writer through every fault: exactly one copy each, never zero, never two, and the ledger says so."""

from pathlib import Path

import pytest

from civicsync.connectors.registry import resolve
from proof.crossing import WRITE_FAULTS, exactly_once, whole_life

VOICES = [
    ("consul", "2.5.1", "participant"),
    ("consul", "1.4.1", "official"),
    ("decidim", "0.32", "participant"),
    ("decidim", "0.28.6", "participant"),
    ("decidim", "0.30.9", "official"),
    ("your-priorities", "2026-07", "participant"),
]
ALL = [
    (p, v, voice) for p in ("consul", "decidim") for v in resolve(p).versions for voice in ("participant", "official")
]


@pytest.mark.parametrize("fault", WRITE_FAULTS)
@pytest.mark.parametrize(("platform", "version", "voice"), VOICES)
def test_exactly_one_copy_each(tmp_path: Path, platform: str, version: str, voice: str, fault: str) -> None:
    result = exactly_once(tmp_path, platform, version, fault, 12, voice)
    assert result.problem == ""
    assert result.struck > 0


@pytest.mark.parametrize(("platform", "version", "voice"), ALL)
def test_a_copy_lives_as_its_origin_does(tmp_path: Path, platform: str, version: str, voice: str) -> None:
    assert whole_life(tmp_path, platform, version, voice) == dict.fromkeys(("create", "edit", "answer", "withdraw"), "")
