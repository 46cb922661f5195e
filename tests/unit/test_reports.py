"""The monthly report: its figures on both databases, its words in both languages, and three files that are what they say they are."""

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2.ext
import openpyxl
import pytest
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po
from bs4 import BeautifulSoup
from sqlalchemy import Engine, text

from civicsync.analysis.refresh import refresh
from civicsync.analysis.reports import pdf, workbook
from civicsync.analysis.reports.monthly import Monthly, Period, gather
from civicsync.analysis.reports.page import html
from civicsync.analysis.reports.summary import summary
from civicsync.analysis.reports.words import LANGUAGES, Words
from civicsync.core.records import Answer, State
from civicsync.core.schema.tables import InstanceRow, table_of
from tests.support.desk import TREE, Desk, comment, proposal

ZONE = ZoneInfo("Europe/Amsterdam")
MARCH = Period.of("2026-03", ZONE)
EVIL = '<script>alert(1)</script>=HYPERLINK("http://x")'
ROOM = Path(__file__).parents[2] / "analysis" / "reports"


def march(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


@pytest.fixture
def desk(engine: Engine) -> Desk:
    made = Desk(engine)
    with engine.begin() as connection:
        row = {"name": "west", "platform": "decidim", "url": "https://west.example", "title": EVIL, "dialect": ""}
        connection.execute(table_of(InstanceRow).insert(), row)
    return made


def filled(desk: Desk) -> Desk:
    """Three new in March, one before; supports grow; one is answered; one waits long."""
    old = proposal(1, created_at=datetime(2024, 5, 1, tzinfo=UTC), url="https://west.example/1")
    desk.pull([*TREE, old], supports=10)
    new = [proposal(own, created_at=march(own)) for own in (2, 3)]
    evil = proposal(4, title=EVIL, created_at=march(4), url="javascript:alert(1)")
    desk.pull([*new, evil, comment(1, 2, 7, created_at=march(5))], supports=2)
    desk.clock.advance(timedelta(days=10).total_seconds())
    answer = Answer(id="proposal-3", target="proposal/3", state=State.ACCEPTED, answered_at=march(12))
    desk.pull([old, answer], supports=25)
    refresh(desk.engine, desk.clock)
    return desk


def report(desk: Desk, period: Period = MARCH) -> Monthly:
    refresh(desk.engine, desk.clock)
    with desk.engine.connect() as connection:
        return gather(connection, period, ["west"], desk.clock.now(), k=5)


def test_the_figures_of_a_month(desk: Desk) -> None:
    found = report(filled(desk))
    (west,) = found.activity
    assert (west.proposals, west.proposals_before, west.comments, west.answered) == (3, 0, 1, 1)
    assert west.history[-1] == 3
    assert sum(west.history) == 3  # the one of 2024 lies before the look back
    assert west.participants is None  # four people: fewer than five are not told
    assert [(row["title"], row["growth"], row["supports"]) for row in found.grown] == [
        ("Voorstel 1", 15, 25),
        *[(title, 2, 2) for title in ("Voorstel 2", "Voorstel 3", EVIL)],
    ]
    assert [each.counts for each in found.waiting] == [(2, 0, 0, 1)]
    assert [(row["title"], row["days"]) for row in found.longest] == [("Voorstel 1", 680)]


def test_what_is_gone_withdrawn_or_our_own_copy_is_not_in_it(desk: Desk) -> None:
    filled(desk)
    desk.do("UPDATE proposal SET gone_at = first_seen_at WHERE remote_id = '2'")
    desk.do("UPDATE proposal SET state = 'withdrawn' WHERE remote_id = '1'")
    found = report(desk)
    assert found.activity[0].proposals == 2
    assert "Voorstel 1" not in repr(found.grown)
    assert "Voorstel 2" not in html(found, Words("nl", ZONE), "o")


def test_what_has_no_date_is_not_new_because_it_was_read_for_the_first_time(desk: Desk) -> None:
    desk.pull([*TREE, proposal(1)])
    assert report(desk).activity[0].proposals == 0
    desk.clock.advance(3600)
    desk.pull([proposal(2)])
    assert report(desk).activity[0].proposals == 1


def test_a_month_is_that_of_the_time_zone(desk: Desk) -> None:
    last_evening = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)  # March has begun in Amsterdam
    desk.pull([*TREE, proposal(1, created_at=last_evening)])
    assert report(desk).activity[0].proposals == 1
    assert report(desk, Period.of("2026-03", ZoneInfo("UTC"))).activity[0].proposals == 0


@pytest.mark.parametrize("name", ["2026-13", "2026-00", "March", "2026-3", "26-03", "0001-01", "2026-0³"])
def test_what_is_no_month_is_said_to_be_none(name: str) -> None:
    with pytest.raises(ValueError, match=r"no month|anything that can be known"):
        Period.of(name, ZONE)


def test_the_frozen_list_is_in_it(desk: Desk) -> None:
    filled(desk)
    desk.clock.advance(timedelta(days=25).total_seconds())
    desk.pull([], created=0)
    found = report(desk)
    assert [(row["rank"], row["title"], row["supports"]) for row in found.top] == [
        (1, "Voorstel 1", 25),
        (2, "Voorstel 2", 2),
        (3, "Voorstel 3", 2),
        (4, EVIL, 2),
    ]


def messages() -> Iterator[Any]:
    for file in ROOM.glob("*.py"):
        for _, message, _, _ in extract_from_file("python", file, keywords={"_": None, "n": (1, 2)}):
            yield message
    with (ROOM / "monthly.html.jinja").open("rb") as page:
        for _, _, message, _ in jinja2.ext.babel_extract(page, ("_",), [], {}):
            yield message[0] if isinstance(message, tuple) else message


def test_every_sentence_is_there_in_every_language() -> None:
    wanted = set(messages())
    assert len(wanted) > 80
    for language in LANGUAGES:
        if language == "en":
            continue
        catalogue = read_po(io.BytesIO((ROOM / "locales" / f"{language}.po").read_bytes()), locale=language)
        there = {each.id: each for each in catalogue if each.id}
        assert set(there) == wanted
        for each in there.values():
            assert not list(each.check(catalogue)), each.id
            assert all(each.string if isinstance(each.string, tuple) else (each.string,)), each.id


@pytest.mark.parametrize(("language", "first"), [("nl", "In maart 2026 zijn 3 nieuwe"), ("en", "In March 2026 3 new")])
def test_it_begins_with_words(sqlite: Engine, language: str, first: str) -> None:
    desk = Desk(sqlite)
    with sqlite.begin() as connection:
        connection.execute(
            text("INSERT INTO instance (name, platform, url, title, dialect) VALUES ('west', 'decidim', '', '', '')")
        )
    sentences = summary(report(filled(desk)), Words(language, ZONE))
    assert sentences[0].startswith(first)
    assert any("365" in each for each in sentences)


@pytest.fixture
def page(sqlite: Engine) -> tuple[Monthly, str]:
    desk = Desk(sqlite)
    with sqlite.begin() as connection:
        row = {"name": "west", "platform": "decidim", "url": "https://west.example", "title": EVIL, "dialect": ""}
        connection.execute(table_of(InstanceRow).insert(), row)
    found = report(filled(desk))
    return found, html(found, Words("nl", ZONE), "Gemeente <b>West</b>")


def test_nothing_a_citizen_typed_runs_or_leads_elsewhere(page: tuple[Monthly, str]) -> None:
    soup = BeautifulSoup(page[1], "html.parser")
    assert not soup.find_all(["script", "iframe", "img", "link", "object", "b"])
    assert EVIL in soup.get_text()
    assert all(each["href"].startswith(("https://", "http://", "#")) for each in soup.find_all("a"))
    assert not [name for tag in soup.find_all(True) for name in tag.attrs if name.startswith("on")]


def test_its_structure_is_one_that_a_screen_reader_can_follow(page: tuple[Monthly, str]) -> None:
    soup = BeautifulSoup(page[1], "html.parser")
    assert soup.html is not None
    assert soup.html["lang"] == "nl"
    assert len(soup.find_all("h1")) == 1
    ids = [each["id"] for each in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    for drawing in soup.find_all("svg"):
        assert drawing["role"] == "img"
        for name in drawing["aria-labelledby"].split():
            assert soup.find(id=name)
        # A table stands behind each chart.
        assert drawing.find_next("table") is not None
    for each in soup.find_all("table"):
        assert each.caption is not None
        assert all(head.has_attr("scope") for head in each.find_all("th"))
    for link in soup.nav.find_all("a"):  # type: ignore[union-attr]
        assert soup.find(id=link["href"][1:])


def test_the_workbook_has_numbers_as_numbers_and_no_formulas(page: tuple[Monthly, str], tmp_path: Path) -> None:
    file = tmp_path / "r.xlsx"
    workbook.write(page[0], Words("nl", ZONE), "o", file)
    with zipfile.ZipFile(file) as parts:
        assert not [name for name in parts.namelist() if b"<f>" in parts.read(name)]
    book = openpyxl.load_workbook(file)
    asked = book["asked"]
    heads = [cell.value for cell in asked[3]]
    assert asked.cell(4, heads.index("nieuwe voorstellen") + 1).value == 3
    assert asked.cell(4, heads.index("mensen die schreven") + 1).value == "minder dan 5"
    assert book["grown"].cell(4, 3).value == 15


def test_the_pdf_is_tagged_and_says_its_language_and_title(page: tuple[Monthly, str], tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    file = tmp_path / "r.pdf"
    try:
        pdf.write(page[1], file)
    except pdf.NoPdf as error:
        pytest.skip(str(error))
    found = pypdf.PdfReader(file)
    root = found.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "nl"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert found.metadata.title == "Wat inwoners vroegen in maart 2026"
    assert "pdfuaid" in root["/Metadata"].get_data().decode()
    kinds: set[str] = set()
    waiting = [root["/StructTreeRoot"]]
    while waiting:
        each = waiting.pop().get_object()
        if hasattr(each, "get"):
            kinds.add(str(each.get("/S", "")))
            below = each.get("/K", [])
            waiting += below if isinstance(below, list) else [below]
    assert {"/Document", "/H1", "/H2", "/Table", "/TH", "/TD", "/Caption", "/L", "/Link", "/Figure"} <= kinds
    assert "Waar de steun groeide" in "".join(part.extract_text() for part in found.pages)
