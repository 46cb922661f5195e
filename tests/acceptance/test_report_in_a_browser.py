"""The report in a real browser: nothing that axe calls a serious violation, on a desk, on a telephone of 320 pixels, and printed."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from civicsync.analysis.refresh import refresh
from civicsync.analysis.reports.monthly import Period, gather
from civicsync.analysis.reports.page import html
from civicsync.analysis.reports.words import Words
from civicsync.core.records import Area, Category
from civicsync.core.schema.tables import InstanceRow, table_of
from tests.support.desk import TREE, Desk, comment, proposal

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page_file(sqlite: Engine, tmp_path: Path) -> Path:
    """A report with something in every section."""
    desk = Desk(sqlite)
    with sqlite.begin() as connection:
        row = {
            "name": "west",
            "platform": "decidim",
            "url": "https://west.example",
            "title": "Wijk West",
            "dialect": "",
        }
        connection.execute(table_of(InstanceRow).insert(), row)
    more = [Area(kind="scope", id="1", names={"nl": "Noord"}), Category(kind="category", id="1", names={"nl": "Groen"})]
    links = {"areas": ("scope/1",), "categories": ("category/1",)}
    long = "Een heel lang voorstel over fietspaden, bankjes en bomen langs de gracht, met woorden als Verkeersveiligheidsmaatregelen"
    desk.pull(
        [*TREE, *more]
        + [
            proposal(
                own, title=long, url=f"https://w.example/{own}", created_at=datetime(2026, 3, own, tzinfo=UTC), **links
            )
            for own in range(1, 9)
        ]
        + [comment(1, 1, 99, created_at=datetime(2026, 3, 9, tzinfo=UTC))],
        supports=1_234,
    )
    desk.clock.advance(timedelta(days=31).total_seconds())
    desk.pull([], created=0)
    refresh(sqlite, desk.clock)
    with sqlite.connect() as connection:
        report = gather(connection, Period.of("2026-03", ZoneInfo("UTC")), ["west"], desk.clock.now(), k=5)
    file = tmp_path / "report.html"
    file.write_text(html(report, Words("nl", ZoneInfo("UTC")), "Gemeente West"), encoding="utf-8")
    return file


@pytest.mark.parametrize(("width", "media"), [(1280, "screen"), (320, "screen"), (800, "print")])
def test_no_serious_violation_and_no_scrolling_sideways(browser: Any, page_file: Path, width: int, media: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": width, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(page_file.as_uri())
    page.emulate_media(media=media)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    # Letters keep their size on a telephone: nothing is scaled down to fit.
    sizes = page.evaluate(
        "[...document.querySelectorAll('svg text')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert sizes
    assert min(sizes) >= 12
    # What was drawn stays inside the drawing, but for letters of the last column's number.
    assert page.evaluate(
        "[...document.querySelectorAll('svg rect')].every(e => e.getBoundingClientRect().right <= window.innerWidth + 1)"
    )
    found = Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    bad = [(each["id"], each["help"]) for each in found.response["violations"] if each["impact"] in SERIOUS]
    assert bad == []
    assert asked == [page_file.as_uri()]  # nothing is fetched
    assert said == []
    page.close()
