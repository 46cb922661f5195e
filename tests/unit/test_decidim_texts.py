"""Decidim's texts on the way out and places on the way in, without a network."""

from dataclasses import replace

import pytest

from civicsync.connectors.contract.writing import LocalText
from civicsync.connectors.decidim import CONNECTOR
from civicsync.connectors.decidim.dialects import Dialect
from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.decidim.sandbox.texts import problems
from civicsync.connectors.decidim.text_rules import fitted
from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.memory import MemoryStore, pull
from civicsync.core.records import Proposal

NEWEST = Dialect("0.32")
DIALECTS = {
    "0.32": NEWEST,
    "0.31": replace(NEWEST, name="0.31", timestamps=False),
    "0.30": replace(NEWEST, name="0.30", timestamps=False, likes=False),
    "0.29": replace(NEWEST, name="0.29", timestamps=False, likes=False, taxonomies=False),
    "0.28": replace(NEWEST, name="0.28", timestamps=False, likes=False, taxonomies=False, withdrawn=False),
}
MARKER = "[civicsync:elders/proposal/31~k7q2mhd4x3zp5t6a]"
ROUGH = [
    "ALLES IN HOOFDLETTERS, HEEL DE TITEL",
    "wat een mooi idee, toch??!!",
    "élan voor de hele stad en omgeving",
    "¿¡Por qué no hay más árboles!?",
    "NS & ProRail: <b>meer</b> treinen @station",
    "@buur vraagt om MEER GROEN in de straat",
    "🌳 bomen voor het plein, graag!!!",
    "ΑΘΗΝΑ ΚΑΙ ΠΕΙΡΑΙΑΣ ΜΑΖΙ ΕΔΩ",
]


@pytest.mark.parametrize("line", DIALECTS)
@pytest.mark.parametrize("rough", ROUGH)
def test_whatever_is_typed_is_taken(line: str, rough: str) -> None:
    text = LocalText(rough, "", f"{rough}\n\nhttps://Elders.example/P/ABC?q=1&r=2\n\n{MARKER}")
    fit, changes = fitted(text, "nl", DIALECTS[line])
    assert problems(fit.title, fit.plain, line, 500, "nl") == []
    assert MARKER in fit.plain
    assert "https://Elders.example/P/ABC?q=1&r=2" in fit.plain
    assert bool(changes) == (fit != text)
    again, none = fitted(fit, "nl", DIALECTS[line])
    assert (again, none) == (fit, [])


def test_a_text_with_manners_is_left_alone() -> None:
    text = LocalText("Meer bomen in de Kerkstraat", "", f"Er is te weinig schaduw.\n\nMail: a@b.example\n\n{MARKER}")
    for dialect in DIALECTS.values():
        assert fitted(text, "nl", dialect) == (text, [])


def test_titles_of_the_newest_release_hold_nothing_that_shows_as_code() -> None:
    fit, _ = fitted(LocalText("Wonen & werken, Q&A met @buur <nu>", "", "Tekst van genoeg tekens."), "nl", NEWEST)
    assert fit.title == "Wonen en werken, Q+A met buur ‹nu›"


@pytest.mark.parametrize("version", ["0.27", "0.28.6", "0.31", "0.32"])
async def test_places_are_read_and_impossible_ones_left_out(version: str) -> None:
    sandbox = DecidimSandbox(version=version, size=30)
    rows = sandbox.database.proposals["proposal"]
    rows[2].place, rows[3].place, rows[11].place = (52.1, 4.3), (941.4, -999.5), None
    async with reading(CONNECTOR, sandbox) as (reader, _):
        store = MemoryStore()
        await pull(reader, store)
        assert not store.quarantine
        found = {ref: row.record for ref, row in store.alive("proposal").items()}
        for own, place in ((2, (52.1, 4.3)), (3, (None, None)), (11, (None, None))):
            record = found[f"proposal/{own}"]
            assert isinstance(record, Proposal)
            assert (record.latitude, record.longitude) == place
