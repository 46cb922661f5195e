"""What people should not have typed in public is made unreadable before it is stored, where the configuration asks for it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.connectors.contract.reading import KINDS
from civicsync.connectors.testing.fake import FakePlatform
from civicsync.core.clock import FakeClock
from civicsync.core.items import Item, MappingError, Page
from civicsync.core.masking import WORDS, Masker, passes_eleven, passes_mod97
from civicsync.core.records import Comment, Proposal, Record
from civicsync.core.store.intake import Intake
from civicsync.core.store.retention import mask_stored
from civicsync.core.store.store import InstanceStore
from civicsync.core.text import rich

KEY = "0123456789abcdef" * 4
FOUND = [
    ("email", "anna.de.vries@voorbeeld.nl"),
    ("email", "a+b@sub.example.museum"),
    ("phone", "06-12345678"),
    ("phone", "06 1234 5678"),
    ("phone", "0612345678"),
    ("phone", "+31 6 12 34 56 78"),
    ("phone", "0031612345678"),
    ("phone", "020-1234567"),
    ("phone", "(020) 123 45 67"),
    ("phone", "0342-123456"),
    ("phone", "+34 612 34 56 78"),
    ("phone", "612 345 678"),
    ("phone", "+354 581 2345"),
    ("bsn", "111222333"),
    ("bsn", "123456782"),
    ("bsn", "1234.56.782"),
    ("iban", "NL91 ABNA 0417 1643 00"),
    ("iban", "NL91ABNA0417164300"),
    ("iban", "ES9121000418450200051332"),
    ("iban", "nl91abna0417164300"),
    ("address", "1234 AB 12"),
    ("address", "1234AB, 12a"),
    ("address", "12, 1234 AB"),
]
LEFT = [
    "op 27-11-2026 om 10:30 uur",
    "2026-11-27 en 01-01-2026",
    "€ 1.250.000 per jaar",
    "123456789 stemmen",  # fails the 11-proof
    "van 100 tot 2000 bomen in 2026",
    "NL92ABNA0417164300",  # fails modulo 97
    "de buurt 1234 AB is mooi",  # a postcode alone is a street's worth of people
    "tel. 112",
    "artikel 6:162 BW",
    "@burgemeester",
    "52.370216, 4.895168",
]


@pytest.mark.parametrize(("kind", "typed"), FOUND)
def test_p12_it_is_found(kind: str, typed: str) -> None:
    masker = Masker(WORDS)
    assert masker.text(f"Bel of schrijf: {typed}, dank u") == f"Bel of schrijf: [{WORDS[kind]}], dank u"
    assert masker.counts == {kind: 1}
    assert Masker(set(WORDS) - {kind}).text("niets") == "niets"


@pytest.mark.parametrize("typed", LEFT)
def test_p12_what_only_looks_like_it_stays(typed: str) -> None:
    assert Masker(WORDS).text(typed) == typed


@given(st.integers(0, 10**9 - 1))
def test_p12_a_citizen_service_number_passes_the_eleven(number: int) -> None:
    digits = f"{number:09}"
    total = sum(factor * int(digit) for factor, digit in zip((9, 8, 7, 6, 5, 4, 3, 2, -1), digits, strict=True))
    assert passes_eleven(digits) == (number > 0 and total % 11 == 0)
    assert (Masker(["bsn"]).text(f"nr {digits} ok") == "nr [bsn] ok") == passes_eleven(digits)


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=11, max_size=30))
def test_p12_an_account_with_its_check_digits_is_found(rest: str) -> None:
    check = next(f"{n:02}" for n in range(2, 99) if passes_mod97(f"NL{n:02}{rest}"))
    assert Masker(["iban"]).text(f"IBAN NL{check}{rest}") == "IBAN [iban]"


def test_p12_markup_hides_nothing() -> None:
    masker = Masker(WORDS)
    html, plain = masker.both(
        "<p>Bel 06<b>12345678</b> of <a href='mailto:a@b.example'>mail</a></p>", "Bel 0612345678 of mail"
    )
    assert "12345678" not in html and "a@b.example" not in html and plain == "Bel [phone] of mail"


def test_p12_a_hostile_text_takes_no_longer_than_its_length() -> None:
    began = time.process_time()
    for said in (
        "0 " * 50_000,
        "a@" * 50_000,
        "NL12 " * 20_000,
        "1234 AB " * 10_000,
        "a." * 50_000 + "@",
        "+1" * 50_000,
    ):
        Masker(WORDS).text(said)
    assert time.process_time() - began < 10


def rows(engine: Engine, sql: str) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def page() -> Page:
    def one() -> list[Record]:
        return [Proposal(id="1", texts=(rich("nl", "Bel 0612345678", "<p>of a@b.example</p>"),))]

    def two() -> list[Record]:
        return [Comment(id="2", target="proposal/1", text=rich("nl", None, "BSN 111222333"))]

    def bad() -> list[Record]:
        raise MappingError("title", "not a text")

    items = [Item("proposal/1", b"1" * 16, one), Item("comment/2", b"2" * 16, two)]
    return Page("posts", [*items, Item("proposal/3", b"3" * 16, bad, raw={"b": ["mail a@b.example"]})], complete=True)


def test_p12_it_never_reaches_the_database_and_is_counted(engine: Engine, clock: FakeClock) -> None:
    intake = Intake(Masker(WORDS))
    InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS, intake=intake).write(page())
    assert rows(engine, "SELECT title FROM proposal") == [("Bel [phone]",)]
    assert rows(engine, "SELECT title, plain FROM proposal_text") == [("Bel [phone]", "of [e-mail]")]
    assert rows(engine, "SELECT plain FROM comment") == [("BSN [bsn]",)]
    assert "a@b" not in str(rows(engine, "SELECT raw FROM quarantine"))
    assert intake.notes() == ["masked in texts before they were stored: 1 bsn, 1 e-mail, 1 phone"]


def test_p12_what_was_stored_before_is_masked_once(engine: Engine, clock: FakeClock) -> None:
    InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS).write(page())
    assert mask_stored(engine, "west", Masker(WORDS), dry_run=True) == 3
    assert rows(engine, "SELECT title FROM proposal") == [("Bel 0612345678",)]
    assert mask_stored(engine, "west", Masker(WORDS)) == 3
    assert rows(engine, "SELECT title, plain FROM proposal_text") == [("Bel [phone]", "of [e-mail]")]
    assert mask_stored(engine, "west", Masker(WORDS)) == 0
    assert mask_stored(engine, "west2", Masker(WORDS)) == 0


def test_p12_a_run_tells_how_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    board = FakePlatform.at("http://127.0.0.1:9935", clock.now)
    board.write("Bel mij op 06-12345678", "Of mail anna@voorbeeld.nl.")
    (tmp_path / "civicsync.yaml").write_text(
        'civicsync: 1\noperator: {name: t, contact: a@b.example}\nprivacy: {key: "${KEY}", mask: [email, phone]}\n'
        "instances:\n  board: {platform: 'civicsync.connectors.testing.fake:CONNECTOR', url: 'http://127.0.0.1:9935'}\n"
    )
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    done = run.invoke(app, ["sync", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["notes"] == ["masked in texts before they were stored: 1 e-mail, 1 phone"]
    found = json.loads(run.invoke(app, ["query", "--json", "SELECT title FROM proposals"]).stdout)
    assert found == [{"title": "Bel mij op [phone]"}]
