"""How far a pull is: a real total as soon as anybody knows one, and never what was seen so far for want of one."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Engine

from civicsync.app.cli import sync
from civicsync.app.cli.sync import HowFar
from civicsync.config.load import load
from civicsync.connectors.registry import resolve
from civicsync.core.clock import FakeClock
from civicsync.core.items import Item, Page
from civicsync.sync.pull.run import Options, Puller


def page(scope: str, size: int, total: int | None = None) -> Page:
    return Page(scope, [Item(f"{scope}/{number}", b"x" * 16) for number in range(size)], total=total)


def test_a_total_is_told_once_it_is_known() -> None:
    far = HowFar()
    far.add(page("sections", 2))
    assert (far.seen, far.total) == (2, None), "not 2 of 2"
    far.add(page("proposals", 0, 700))
    assert (far.seen, far.total) == (2, 702)
    far.add(page("proposals", 100))
    far.add(page("comments", 50, 300))
    assert (far.seen, far.total) == (152, 1002)
    far.add(page("proposals", 650))
    assert (far.seen, far.total) == (802, 1052), "more than was told"


def test_the_last_run_tells_how_many_there_will_be_about() -> None:
    far = HowFar(1000)
    assert far.total == 1000
    far.add(page("a", 1200))
    assert far.total is None, "past what the last one saw nobody knows"


@pytest.mark.parametrize(
    ("seen", "passed", "told"),
    [(0, 9.0, ""), (10, 1.0, ", about 9 s left"), (10, 60.0, ", about 9 min left"), (100, 9.0, "")],
)
def test_time_left(seen: int, passed: float, told: str) -> None:
    far = HowFar(100)
    far.add(page("a", seen))
    assert sync._left(far, passed) == told  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("platform", ["consul", "decidim", "your-priorities"])
def test_a_first_run_never_claims_to_be_done_before_it_is(
    sqlite: Engine, clock: FakeClock, tmp_path: Path, platform: str
) -> None:
    connector = resolve(platform)
    assert connector.sandbox is not None
    sandbox = connector.sandbox(version=connector.versions[-1], size=400, clock=clock.now)
    file = tmp_path / "civicsync.yaml"
    file.write_text(
        "civicsync: 1\noperator: {name: test, contact: t@example.org}\nprivacy: {key: '${KEY}'}\n"
        f"instances:\n  toy: {{platform: {platform}, url: 'http://127.0.0.1:9'}}\n"
    )
    far, told = HowFar(), list[tuple[int, int | None]]()

    def progress(_name: str, each: Page, _outcome: object) -> None:
        far.add(each)
        told.append((far.seen, far.total))

    puller = Puller(
        load(file, {"KEY": "0123456789abcdef" * 4}), sqlite, clock, backends={"toy": sandbox}, progress=progress
    )
    assert asyncio.run(puller.pull("toy", Options())).outcome == "done"
    whole = far.seen
    early = [(seen, total) for seen, total in told if seen < whole / 2]
    # Decidim tells no total (docs/platforms/decidim.md 1.2): before there was a run nobody knows.
    assert platform == "decidim" or any(total is not None for _, total in early), told
    for seen, total in early:
        assert total is None or total > seen, told
