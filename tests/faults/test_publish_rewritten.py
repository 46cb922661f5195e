"""Every writer behind a gateway that answers late, wrongly or not at all, with texts and markers that platforms rewrite.

The rule: what is published is there once and kept true, and no platform stores one of them twice, whatever it answered.
"""

from pathlib import Path

import pytest

from civicsync.config.model import Safety
from civicsync.connectors.contract.writing import STORES_WITHIN
from civicsync.connectors.registry import platforms, resolve
from proof.late import DELAYS, late
from proof.rewritten import LATE, rewritten

WRITERS = [
    ("consul", "1.4.1", "official"),
    ("consul", "2.2.2", "participant"),
    ("consul", "2.5.1", "participant"),
    ("consul", "2.5.1", "official"),
    ("decidim", "0.28.6", "participant"),
    ("decidim", "0.28.6", "official"),
    ("decidim", "0.30.9", "participant"),
    ("decidim", "0.32", "participant"),
    ("decidim", "0.32", "official"),
    ("your-priorities", "2026-07", None),
]
"""Each way of writing; `make proof` has every release."""


@pytest.mark.parametrize(("platform", "version", "voice"), WRITERS)
def test_one_copy_each_kept_true_and_nothing_stored_twice(
    tmp_path: Path, platform: str, version: str, voice: str | None
) -> None:
    result = rewritten(tmp_path, platform, version, voice, 12, chance=0.2)
    assert result.problem == ""
    assert {"page", "look-up"} <= result.struck.keys()
    assert {"late", "lost"} & result.struck.keys()


@pytest.mark.parametrize(("platform", "version", "voice"), WRITERS)
def test_one_public_copy_each_however_late_it_is_stored(
    tmp_path: Path, platform: str, version: str, voice: str | None
) -> None:
    """Answered 504 at once, handed on after 5 s, 40 s, 10 minutes or 2 hours."""
    result = late(tmp_path, platform, version, voice, 8, chance=0.25)
    assert result.problem == ""
    assert result.struck["late"]


def test_what_servers_store_late_is_waited_for_by_default() -> None:
    assert Safety().settle is None, "each platform's own number"
    for platform in platforms():
        writer = resolve(platform).writer
        assert writer is not None
        assert getattr(writer, "stores_within", STORES_WITHIN) > max(LATE, *DELAYS).total_seconds()
