"""The language of a site is its own, whatever one request says."""

from dataclasses import replace
from pathlib import Path

import pytest

from civicsync.connectors.contract.reading import Probe
from civicsync.connectors.testing.faults import Fault
from civicsync.core import journal
from civicsync.sync.pull.run import probe_from, probe_to, save_probe, with_language
from proof.__main__ import City

TITLES = "SELECT kind, remote_id, title FROM proposals WHERE gone_at IS NULL ORDER BY 1, 2"
LOCALES = "SELECT DISTINCT locale FROM proposal_texts ORDER BY 1"


def test_a_start_page_that_fails_once_changes_no_language(tmp_path: Path) -> None:
    city = City("consul", "2.5.1", tmp_path, size=15)
    city.pull()
    titles, locales = city.rows(TITLES), city.rows(LOCALES)
    city.sandbox.plant(Fault(kind="html_200", match="^GET /$", times=None))
    for _, own, _ in [row for row in titles if row[0] == "proposal"]:
        city.sandbox.change("support", id=own)
    city.clock.advance(3600)
    assert city.pull(full=True).outcome == "done"
    assert city.sandbox.faults.fired["html_200"] > 0, "the start page was asked"
    assert (city.rows(TITLES), city.rows(LOCALES)) == (titles, locales)


def probe(language: str | None, *locales: str) -> Probe:
    return Probe("decidim", "0.29.2", "0.29", locales=list(locales), facts={"language": language})


@pytest.mark.parametrize(
    ("found", "locales"),
    [
        (probe(None), ["nl"]),
        (probe(None, "en", "nl"), ["nl", "en"]),
        (probe("en", "en", "nl"), ["en", "nl"]),
        (probe(None, "fr"), ["fr"]),
    ],
)
def test_a_probe_that_cannot_read_the_language_goes_by_the_one_before(found: Probe, locales: list[str]) -> None:
    """None told and none offered, because the list of spaces failed, too; another order; another language, which was told; others only."""
    assert with_language(found, probe_to(probe("nl", "nl", "en"))).locales == locales
    assert with_language(found, None).locales == found.locales, "of a first probe nothing is known"


def test_a_check_while_the_start_page_fails_keeps_the_language(tmp_path: Path) -> None:
    city = City("consul", "2.5.1", tmp_path, size=5)
    city.pull()
    kept = city.rows("SELECT locales FROM instance")
    row = journal.instance_row(city.engine, "toy")
    assert row is not None
    told = probe_from(row["probe"])
    found = save_probe(
        city.engine,
        city.config,
        "toy",
        replace(told, locales=[], facts={**told.facts, "language": None}),
        city.clock,
    )
    assert (found.locales, city.rows("SELECT locales FROM instance")) == (told.locales, kept)
