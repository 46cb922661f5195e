"""The language of a site is its own, whatever one request says."""

from pathlib import Path

import pytest

from civicsync.connectors.testing.faults import Fault
from proof.__main__ import City

TITLES = "SELECT kind, remote_id, title FROM proposals WHERE gone_at IS NULL ORDER BY 1, 2"
LOCALES = "SELECT DISTINCT locale FROM proposal_texts ORDER BY 1"


@pytest.mark.parametrize(("platform", "version"), [("decidim", "0.29"), ("consul", "2.5.1")])
def test_a_start_page_that_fails_once_changes_no_language(platform: str, version: str, tmp_path: Path) -> None:
    """Which language a title is shown in first is the site's own; a probe that cannot read it goes by the one before."""
    city = City(platform, version, tmp_path, size=15)
    for number, row in enumerate(city.sandbox.truth()["proposals"]):
        if row["kind"] == "proposal":
            # In one of its languages: then it has two titles.
            city.sandbox.change("edit", id=row["id"], title=f"Anders genoemd {number}")
    city.pull()
    titles, locales = city.rows(TITLES), city.rows(LOCALES)
    city.sandbox.plant(Fault(kind="html_200", match="^GET /$", times=None))
    for _, own, _ in [row for row in titles if row[0] == "proposal"]:
        city.sandbox.change("support", id=own)
    city.clock.advance(3600)
    assert city.pull(full=True).outcome == "done"
    assert city.sandbox.faults.fired["html_200"] > 0, "the start page was asked"
    assert (city.rows(TITLES), city.rows(LOCALES)) == (titles, locales)
