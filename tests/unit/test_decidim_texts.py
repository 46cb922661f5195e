"""Decidim's texts on the way out and places on the way in, without a network."""

from dataclasses import replace

import pytest

from civicsync.connectors.contract.writing import LocalText
from civicsync.connectors.decidim import CONNECTOR
from civicsync.connectors.decidim.dialects import Dialect
from civicsync.connectors.decidim.mapping import resolve_gids
from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.decidim.sandbox.texts import References, on_page, problems, referred
from civicsync.connectors.decidim.text_rules import fitted, official, quiet_html, quiet_plain
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


HOST = "participa.example"
OWN = f"https://{HOST}/processes/p/f/1/proposals/48"
NEW = "[civicsync:elders/proposal/31.k7q2mhd4x3zp5t6a]"


def referring(version: str) -> References:
    """A site on which every number is a proposal and every name a person."""
    return References(version, HOST, lambda _: 1, lambda _: True)


@pytest.mark.parametrize("line", DIALECTS)
@pytest.mark.parametrize("rough", ["Kosten ~48 euro, ~3x zoveel", "Zie ~2", "a~7b en @buur", f"Bij {NEW}~3"])
def test_no_number_and_no_name_that_was_typed_means_something_of_the_site(line: str, rough: str) -> None:
    """`~3` would become proposal 3 of the site, in every form."""
    known = referring(line)
    outside = "https://elders.example/~48/plan"
    text = LocalText(
        f"Over {rough} in de straat", f'<p>{rough} <a href="{outside}">ginds</a> {NEW}</p>', f"{rough} {outside} {NEW}"
    )
    fit, changes = fitted(text, "nl", DIALECTS[line])
    rich, _ = fitted(text, "nl", DIALECTS[line], rich=True)
    told, _ = official(text, "nl", HOST)
    assert changes
    for each in (
        fit.title,
        fit.plain,
        rich.html,
        told.title,
        told.html,
        quiet_plain(text.plain),
        quiet_html(text.html, HOST),
    ):
        assert "gid://" not in referred(each, known)
        assert referred(each, known) == each
        assert each in {fit.title, told.title} or NEW in each
    assert "https://elders.example/%7E48/plan" in fit.plain
    assert 'href="https://elders.example/%7E48/plan"' in told.html
    again, none = fitted(fit, "nl", DIALECTS[line])
    assert (again, none) == (fit, [])


def test_a_link_inside_one_organization_survives_as_an_address() -> None:
    """Inside an `a` the page would drop it: as plain text it is shown as a link."""
    text = LocalText(
        "Meer bomen in de straat", f'<p>Tekst <a href="{OWN}">Lees het origineel</a> <a href="{OWN}">{OWN}</a></p>', ""
    )
    told, changes = official(text, "nl", HOST)
    assert told.html == f"<p>Tekst Lees het origineel: {OWN} {OWN}</p>"
    assert changes
    page = on_page(referred(told.html, referring("0.28")), lambda own: f"/p/{own}")
    assert page.count('<a href="/p/48">') == 2
    elsewhere, none = official(text, "nl", "anders.example")
    assert (elsewhere, none) == (text, [])


def test_numbers_of_proposals_are_read_as_they_were_typed() -> None:
    stored = "Costaria gid://app/Decidim::Proposals::Proposal/3 euros, [civicsync:a/proposal/2gid://app/Decidim::Proposals::Proposal/6pnc4k2fi5lwgjbz]"
    assert resolve_gids(stored) == "Costaria ~3 euros, [civicsync:a/proposal/2~6pnc4k2fi5lwgjbz]"
    assert (
        resolve_gids('<a class="x" href="gid://app/Decidim::Proposals::Proposal/3">dit</a>') == '<a class="x">dit</a>'
    )
    assert (
        resolve_gids("Vraag het gid://app/Decidim::User/9 of gid://app/Decidim::Hashtag/3/_Groen")
        == "Vraag het @… of #Groen"
    )
