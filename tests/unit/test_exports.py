"""Exports: the same from both databases, nothing that a spreadsheet runs, nothing half written, and nobody's ballots."""

import csv
import io
import json
import re
import sqlite3
import tracemalloc
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils.escape import unescape
from sqlalchemy import Engine
from typer.testing import CliRunner

from civicsync.analysis.columns import VIEWS, Personal
from civicsync.analysis.exports import expressions, files, formats, xlsx
from civicsync.analysis.exports.cells import Own, cell, csv_lines
from civicsync.analysis.exports.excel import ExcelLocale, UnknownLocale
from civicsync.analysis.exports.job import ExportUsage, Job, Written
from civicsync.analysis.exports.words import UNITS
from civicsync.app.cli.main import app
from civicsync.core import audit
from civicsync.core.schema.database import file_of, open_engine, parse_url
from tests.support.exporting import AMSTERDAM, HOSTILE, MADE, PSEUDONYM, export, fill, job, vote

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
RUN = re.compile("^[ \u00a0\u3000]*[=+\\-@\uff1d\uff0b\uff0d\uff20]")


def read_csv(path: Path, **options: Any) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, **options))


def by_title(rows: list[dict[str, Any]], ending: str) -> dict[str, Any]:
    [row] = [each for each in rows if each["remote_id"] == ending and each["kind"] == "proposal"]
    return row


# Every view, both databases -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_every_view_can_be_exported_from_both_databases(engine: Engine, tmp_path: Path, kind: str) -> None:
    fill(engine)
    views = [name for name in VIEWS if name not in expressions.NEVER]
    written = export(engine, kind, tmp_path / "all", *views)
    assert sorted(each.name for each in written.files) == sorted(f"{name}.{kind}" for name in views)
    assert written.rows["proposals"] == 16 and written.rows["comments"] == 2 and set(written.rows) == set(views)


def test_both_databases_give_the_same_file(engine: Engine, tmp_path: Path) -> None:
    fill(engine)
    export(engine, "csv", tmp_path / "p.csv", "proposals")
    export(engine, "jsonl", tmp_path / "p.jsonl", "proposals")
    row = by_title(read_csv(tmp_path / "p.csv"), "2")
    assert (row["official"], row["created_at"], row["latitude"], row["supports"], row["withdrawn_at"]) == (
        "true",
        "2026-07-01T23:30:15.250000Z",
        "52.3722157",
        "2000",
        "",
    )
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()]
    same = by_title(lines, "2")
    assert (same["official"], same["created_at"], same["latitude"], same["supports"], same["withdrawn_at"]) == (
        True,
        "2026-07-01T23:30:15.250000Z",
        52.3722157,
        2000,
        None,
    )
    assert {each["title"] for each in lines if each["kind"] == "proposal"} == set(HOSTILE)
    assert not OBEYED.search((tmp_path / "p.jsonl").read_text(encoding="utf-8"))
    export(engine, "jsonl", tmp_path / "s.jsonl", "spaces")
    names = {
        each["remote_id"]: each["names"]
        for each in map(json.loads, (tmp_path / "s.jsonl").read_text(encoding="utf-8").splitlines())
    }
    assert names == {"1": {"nl": "Ideeën"}, "7": None}


def test_parquet_has_types_and_meanings(engine: Engine, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    fill(engine)
    export(engine, "parquet", tmp_path / "p.parquet", "proposals", language="nl")
    table = pq.read_table(tmp_path / "p.parquet")
    row = by_title(table.to_pylist(), "1")
    assert (row["created_at"], row["official"], row["amount"], row["title"]) == (MADE, False, -5, HOSTILE[0])
    assert str(table.schema.field("created_at").type) == "timestamp[us, tz=UTC]"
    assert table.schema.field("supports").metadata[b"description"].decode() == VIEWS["proposals"].column("supports").nl
    export(engine, "parquet", tmp_path / "d.parquet", "supports_daily")
    assert str(pq.read_table(tmp_path / "d.parquet").to_pylist()[0]["day"]) == "2026-07-01"


# Spreadsheets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", [None, "nl", "en"])
def test_no_cell_of_csv_is_a_formula(sqlite: Engine, tmp_path: Path, locale: str | None) -> None:
    """The guard of formulas; without `cells` these titles would run."""
    fill(sqlite)
    export(sqlite, "csv", tmp_path / "p.csv", "proposals", excel=locale)
    export(sqlite, "csv", tmp_path / "c.csv", "comments", excel=locale)
    text = (tmp_path / "p.csv").read_text(encoding="utf-8")
    assert not OBEYED.search(text.replace("\ufeff", "").replace("\r\n", ""))
    for split in (",", ";", "\t"):
        # However a spreadsheet splits, also where it takes no notice of quotes.
        for row in csv.reader(io.StringIO(text), delimiter=split):
            assert not [each for each in row if RUN.match(each) and not re.fullmatch(r"-?\d+([.,]\d+)?", each)], row
    separator = ";" if locale == "nl" else ","
    rows = read_csv(tmp_path / "p.csv", delimiter=separator)
    assert len(rows) == 16
    assert by_title(rows, "1")["title"] == "'" + HOSTILE[0]
    assert by_title(rows, "4")["title"] == "twee\nregels\n'-3+4"
    assert by_title(rows, "12")["title"] == "-12", "a number is a number"
    assert by_title(rows, "1")["amount"] == "-5"
    assert read_csv(tmp_path / "c.csv", delimiter=separator)[0]["body"] == "'=1"


def test_the_quick_way_and_the_careful_way_are_the_same() -> None:
    """A row goes the quick way only if it would come out of the careful one alike."""
    rows: list[list[Any]] = [[each, None, 3, -4.5, "x"] for each in (*HOSTILE, "plain", "", "3", "'", "a\rb", "a\r\nb")]
    rows += [[each, None, 3, "x"] for each in HOSTILE] + [["x", each] for each in HOSTILE] + [[None], [""], ["=1"]]
    for separator in ",;":
        careful = io.StringIO()
        csv.writer(careful, delimiter=separator).writerows([[cell(value) for value in row] for row in rows])
        assert csv_lines(rows, separator) == careful.getvalue()
    assert cell(Own("-5,3")) == "-5,3" and cell("-5,3") == "'-5,3"


def test_csv_opens_in_the_excel_of_a_locale(engine: Engine, tmp_path: Path) -> None:
    fill(engine)
    export(engine, "csv", tmp_path / "nl.csv", "proposals", excel="nl", zone=AMSTERDAM)
    assert (tmp_path / "nl.csv").read_bytes().startswith(b"\xef\xbb\xbfinstance;kind;")
    row = by_title(read_csv(tmp_path / "nl.csv", delimiter=";"), "2")
    assert (row["created_at"], row["latitude"], row["official"]) == ("02-07-2026 01:30:15", "52,3722157", "WAAR")
    export(engine, "csv", tmp_path / "us.csv", "supports_daily", excel="en-US")
    assert read_csv(tmp_path / "us.csv")[0]["day"] == "07/01/2026"
    assert (tmp_path / "us.csv").read_bytes().startswith(b"\xef\xbb\xbfinstance,")


def test_locales() -> None:
    assert [ExcelLocale(each).separator for each in ("nl", "nl-BE", "de", "es", "en-GB", "is")] == [
        ";",
        ";",
        ";",
        ";",
        ",",
        ";",
    ]
    assert ExcelLocale("de").date == "%d.%m.%Y" and ExcelLocale("en-GB").date == "%d/%m/%Y"
    for wrong in ("dutch", "", "xx-YY", "nl; rm"):
        with pytest.raises(UnknownLocale, match="expected one such as nl"):
            ExcelLocale(wrong)


def test_a_workbook_has_types_filters_and_a_legend(engine: Engine, tmp_path: Path) -> None:
    fill(engine)
    export(engine, "xlsx", tmp_path / "b.xlsx", "proposals", "supports_daily", zone=AMSTERDAM, language="nl")
    book = openpyxl.load_workbook(tmp_path / "b.xlsx")
    assert book.sheetnames == ["proposals", "supports_daily", "Toelichting"]
    sheet = book["proposals"]
    head = [each.value for each in sheet[1]]
    assert head == [each.name for each in VIEWS["proposals"].columns]
    rows = [dict(zip(head, list(line), strict=True)) for line in sheet.iter_rows(min_row=2)]
    assert len(rows) == 16 and sheet.auto_filter.ref == f"A1:{sheet.cell(17, len(head)).coordinate}"
    [one] = [row for row in rows if row["remote_id"].value == "1" and row["kind"].value == "proposal"]
    assert (one["title"].value, one["title"].data_type) == (HOSTILE[0], "s"), "a text, and as it was typed"
    assert (one["created_at"].value, one["created_at"].number_format) == (
        datetime(2026, 7, 2, 1, 30, 15, 250000),
        "dd-mm-yyyy hh:mm:ss",
    )
    assert (one["official"].value, one["supports"].value, one["amount"].value) == (False, 1000, -5)
    assert one["withdrawn_at"].value is None
    typed = {unescape(row["title"].value) for row in rows}  # as a spreadsheet does
    assert {HOSTILE[7].replace("\x1f", "\\x1f"), HOSTILE[9], HOSTILE[10]} <= typed
    assert not [each for row in rows for each in row.values() if each.data_type == "f"], "no formula"
    day = book["supports_daily"]["E2"]
    assert (day.value, day.number_format) == (datetime(2026, 7, 1), "dd-mm-yyyy")
    legend = {(row[0], row[1]): row[4] for row in book["Toelichting"].iter_rows(min_row=2, values_only=True)}
    for view in ("proposals", "supports_daily"):
        for column in VIEWS[view].columns:
            assert legend[view, column.name] == column.nl
    assert "b'" not in str(book.defined_names) and book.properties.created == datetime(2026, 11, 2, 9, 30)


def test_every_unit_has_a_dutch_word() -> None:
    """A unit that the registry gets anew must not stand in a Dutch legend in English."""
    assert {each.unit for view in VIEWS.values() for each in view.columns if each.unit} == set(UNITS)


def test_a_sheet_that_is_full_goes_on_in_the_next(
    sqlite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite, more=9)
    monkeypatch.setattr(xlsx, "SHEET_ROWS", 10)
    monkeypatch.setattr(xlsx, "_BATCH", 4)
    export(sqlite, "xlsx", tmp_path / "b.xlsx", "proposals", "comments")
    book = openpyxl.load_workbook(tmp_path / "b.xlsx")
    assert book.sheetnames == ["proposals", "proposals (2)", "proposals (3)", "comments", "Legend"]
    assert [book[name].max_row - 1 for name in book.sheetnames[:4]] == [10, 10, 5, 2]
    numbers = [row[2] for name in book.sheetnames[:3] for row in book[name].iter_rows(min_row=2, values_only=True)]
    assert len(numbers) == 25 and len({(number, place) for place, number in enumerate(numbers)}) == 25
    with zipfile.ZipFile(tmp_path / "b.xlsx") as archive:
        filtered = re.findall(r"_FilterDatabase[^>]*>[^<]*\$(\d+)<", archive.read("xl/workbook.xml").decode())
    assert filtered == ["11", "11", "6", "3"]


def test_a_text_that_no_cell_can_hold_is_told(sqlite: Engine, tmp_path: Path) -> None:
    fill(sqlite)
    from sqlalchemy import text

    with sqlite.begin() as connection:
        connection.execute(text("UPDATE comment SET plain = :long WHERE remote_id = '1'"), {"long": "&" * 40_000})
    written = export(sqlite, "xlsx", tmp_path / "b.xlsx", "comments")
    assert [note for note in written.notes if "1 texts are longer than the 32,767 characters" in note]
    body = [
        row[6] for row in openpyxl.load_workbook(tmp_path / "b.xlsx")["comments"].iter_rows(min_row=2, values_only=True)
    ]
    assert max(map(len, body)) == 32_767


# GeoJSON and the database ---------------------------------------------------------------------------------------------


def test_geojson_is_what_the_rfc_says(engine: Engine, tmp_path: Path) -> None:
    fill(engine)
    written = export(engine, "geojson", tmp_path / "g.geojson")
    found = json.loads((tmp_path / "g.geojson").read_text(encoding="utf-8"))
    assert set(found) == {"type", "features"} and found["type"] == "FeatureCollection", "no crs: it is WGS 84"
    one = next(
        each
        for each in found["features"]
        if each["properties"]["remote_id"] == "2" and each["properties"]["kind"] == "proposal"
    )
    assert one["geometry"] == {"type": "Point", "coordinates": [4.8951679, 52.3722157]}, "longitude first"
    assert one["id"] == "west/proposal/2" and one["type"] == "Feature" and one["properties"]["title"] == HOSTILE[1]
    assert len(found["features"]) == 10 and "6 of 16 rows of public_proposals have no place" in written.notes[0]
    assert not {"latitude", "longitude", "author"} & set(one["properties"])


def test_a_database_of_views_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    fill(engine)
    vote(engine, 1)
    views = tuple(view.name for view in formats.wanted(formats.FORMATS["database"], (), staff=False))
    export(engine, "database", tmp_path / "a.db", *views)
    with sqlite3.connect(tmp_path / "a.db") as found:
        tables = {name for (name,) in found.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert tables - {"sqlite_stat1"} == {*VIEWS, "about_columns"} - {"votes"}, "nothing internal, no ballots"
        keys = {row[1]: row[5] for row in found.execute("PRAGMA table_info(proposals)")}
        assert keys["key"] == 1
        types = {row[1]: row[2] for row in found.execute("PRAGMA table_info(proposals)")}
        assert (types["created_at"], types["official"], types["latitude"], types["supports"]) == (
            "DATETIME",
            "BOOLEAN",
            "REAL",
            "INTEGER",
        )
        assert {(row[2], row[3], row[4]) for row in found.execute("PRAGMA foreign_key_list(comments)")} == {
            ("all_proposals", "target_key", "key")
        }
        indexed = {row[1] for row in found.execute("PRAGMA index_list(comments)")}
        assert {"ix_comments_target_key", "ix_comments_instance"} <= indexed
        [[made, day]] = found.execute(
            "SELECT created_at, date(created_at) FROM proposals WHERE key = 'west/proposal/1'"
        )
        assert (made, day) == ("2026-07-01 23:30:15.250", "2026-07-01")
        [[meaning]] = found.execute(
            "SELECT meaning FROM about_columns WHERE view = 'proposals' AND column_name = 'supports'"
        )
        assert meaning == VIEWS["proposals"].column("supports").en
        [[titles]] = found.execute("SELECT count(DISTINCT title) FROM proposals WHERE kind = 'proposal'")
        assert titles == len(HOSTILE)
    found.close()


# Privacy --------------------------------------------------------------------------------------------------------------


def test_ballots_leave_in_no_format() -> None:
    for kind in formats.FORMATS.values():
        with pytest.raises(ExportUsage, match="individual ballots"):
            formats.wanted(kind, ["votes"], staff=True)
        assert "votes" not in {view.name for view in formats.wanted(kind, (), staff=True)}


def test_what_is_made_to_be_published_has_public_views_only(sqlite: Engine, tmp_path: Path) -> None:
    fill(sqlite)
    for name in ("bundle", "datasette"):
        kind = formats.FORMATS[name]
        assert all(view.public for view in formats.wanted(kind, (), staff=False))
        with pytest.raises(ExportUsage, match=r"the view comments is for staff: it holds pseudonyms.*--staff"):
            formats.wanted(kind, ["comments"], staff=False)
        assert formats.wanted(kind, ["comments"], staff=True) == (VIEWS["comments"],)
        export(sqlite, name, tmp_path / name)
    assert all(view.public for view in formats.wanted(formats.FORMATS["geojson"], (), staff=False))
    for each in (*(tmp_path / "bundle").iterdir(), *(tmp_path / "datasette").iterdir()):
        assert PSEUDONYM.encode() not in each.read_bytes(), f"{each.name} tells persons apart"
        assert each.stat().st_mode & 0o777 == 0o644


def test_no_public_view_has_a_pseudonym_and_no_export_a_name() -> None:
    from dataclasses import replace

    for view in VIEWS.values():
        told = {each.personal for each in expressions.exported(view)}
        assert Personal.DIRECT not in told and not (view.public and Personal.PSEUDONYM in told)
    column = replace(VIEWS["proposals"].column("author"), personal=Personal.DIRECT)
    named = replace(VIEWS["proposals"], columns=(VIEWS["proposals"].column("key"), column))
    assert [each.name for each in expressions.exported(named)] == ["key"], "what names a person is left out"
    public = replace(named, columns=(named.columns[0], VIEWS["proposals"].column("author")), public=True)
    assert [each.name for each in expressions.exported(public)] == ["key"], "and pseudonyms, of what is public"


def test_what_is_for_staff_is_for_its_owner_only(sqlite: Engine, tmp_path: Path) -> None:
    fill(sqlite)
    export(sqlite, "csv", tmp_path / "p.csv", "proposals")
    export(sqlite, "csv", tmp_path / "public.csv", "public_proposals")
    export(sqlite, "csv", tmp_path / "both", "proposals", "public_proposals")
    assert [(tmp_path / each).stat().st_mode & 0o777 for each in ("p.csv", "public.csv", "both/proposals.csv")] == [
        0o600,
        0o644,
        0o600,
    ]


# Whole or not at all --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(formats.FORMATS))
def test_ctrl_c_leaves_what_was_there(sqlite: Engine, tmp_path: Path, kind: str) -> None:
    """The guard of `files`: written beside and renamed; without it the first rows would be there."""
    fill(sqlite)
    place = tmp_path / "out"
    target = place / "x"
    place.mkdir()
    if formats.FORMATS[kind].folder is None:
        target.write_text("what was there")
    views = ("public_proposals",)

    def stop(_view: str, _rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(sqlite, kind, target, *views, progress=stop)
    assert [each.name for each in place.iterdir()] == (["x"] if formats.FORMATS[kind].folder is None else [])
    assert formats.FORMATS[kind].folder is not None or target.read_text() == "what was there"


def test_a_folder_keeps_what_is_not_ours(sqlite: Engine, tmp_path: Path) -> None:
    fill(sqlite)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    export(sqlite, "csv", tmp_path / "mine", "proposals", "comments")
    export(sqlite, "bundle", tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "kept" and (tmp_path / "mine" / "comments.csv").is_file()
    export(sqlite, "csv", tmp_path / "mine", "answers")
    assert (tmp_path / "mine" / "answers.csv").is_file(), "a folder that is there takes one view, too"
    with pytest.raises(ExportUsage, match="is a file; name a folder"):
        export(sqlite, "bundle", tmp_path / "mine" / "notes.txt")
    with pytest.raises(ExportUsage, match="name a folder, not"):
        export(sqlite, "csv", tmp_path / "a.csv", "proposals", "comments")


def test_a_failed_disk_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError), files.beside(tmp_path / "x") as temporary:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    with pytest.raises(OSError), files.folder_beside(tmp_path / "y") as folder:
        (folder / "a").write_text("half")
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_rows_stream(engine: Engine, tmp_path: Path) -> None:
    """A cursor of the server's and a few thousand rows at a time: sixteen times the rows take no more memory."""
    fill(engine)

    def many(times: int) -> int:
        with job(engine, "public_proposals") as made:
            wide = ", ".join(f"'{'x' * 900}{number}' AS c{number}" for number in range(4))
            numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times}) SELECT i, {wide} FROM n"
            tracemalloc.start()
            count = sum(len(batch) for batch in made.snapshot.batches(numbers, 500))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert count == times
            return peak

    assert many(16_000) < many(2_000) * 1.5
    if engine.dialect.name == "postgresql":
        # What the driver holds outside of Python is not counted above: so it is the server that must hold the rows.
        with job(engine, "public_proposals") as made:
            reading = made.snapshot.batches("SELECT * FROM generate_series(1, 10)", 2)
            next(reading)
            assert made.snapshot.one("SELECT count(*) FROM pg_cursors WHERE name LIKE 'export_%'") == 2
            reading.close()


def test_one_moment_for_all_views(sqlite: Engine, tmp_path: Path) -> None:
    """What is written while an export runs is in none of its files."""
    fill(sqlite)
    file = file_of(sqlite)
    assert file is not None

    def meanwhile(_view: str, _rows: int) -> None:
        with sqlite3.connect(file) as other:
            other.execute("UPDATE comment SET plain = 'later'")
        other.close()

    export(sqlite, "csv", tmp_path / "all", "proposals", "comments", progress=meanwhile)
    assert "later" not in (tmp_path / "all" / "comments.csv").read_text(encoding="utf-8")


# The command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def city(sqlite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration and a filled database."""
    fill(sqlite)
    (tmp_path / "civicsync.yaml").write_text(
        "civicsync: 1\noperator: {name: Gemeente, contact: a@b.example}\nprivacy: {key: '${KEY}'}\n"
        f"database: sqlite:///{file_of(sqlite)}\ntime_zone: Europe/Amsterdam\n"
        "instances:\n  west: {platform: decidim, url: 'https://west.example/'}\n"
    )
    monkeypatch.setenv("KEY", "0123456789abcdef" * 4)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(*words: str) -> Any:
    return CliRunner().invoke(app, ["export", *words])


def test_a_stranger_exports(city: Path) -> None:
    done = ask("csv", "p.csv", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout) == {
        "files": [str(city / "p.csv")],
        "rows": {"proposals": 16},
        "notes": [],
    }
    assert "proposals" in ask("xlsx", "b.xlsx", "--view", "proposals", "--view", "comments").stdout
    out = ask("csv", "-", "--view", "supports_daily", "--excel", "nl")
    assert out.stdout_bytes.startswith(b"\xef\xbb\xbfinstance;") and "01-07-2026" in out.stdout
    lines = ask("jsonl", "-", "--view", "comments").stdout.splitlines()
    assert [json.loads(line)["remote_id"] for line in lines] == ["1", "2"]


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("csvv", "x"), "there is no format 'csvv'", 2),
        (("csv", "x.csv", "--view", "propsals"), "did you mean proposals", 2),
        (("csv", "x.csv", "--view", "votes"), "individual ballots", 2),
        (("csv", "x.csv", "--excel", "dutch"), "no locale 'dutch'", 2),
        (("jsonl", "x.jsonl", "--excel", "nl"), "--excel is for csv", 2),
        (("parquet", "-"), "cannot go to standard output", 2),
        (("csv", "-", "--view", "proposals", "--view", "comments"), "standard output takes one view", 2),
        (("csv", "nowhere/x.csv"), "does not exist", 2),
        (("geojson", "x.geojson", "--view", "comments"), "has no coordinates; proposals, ", 2),
        (("bundle", "x", "--view", "comments"), "is for staff", 2),
        (("bundle", "x"), "  publisher:\n    name: Gemeente Voorbeeld", 2),
        (("pabulib", "x.pb"), "there are no ballots", 1),
        (("pabulib", "x.pb", "--budget", "nothing"), "no budgets are called 'nothing'", 2),
        (("csv", "x.csv", "--ballots", "b.csv"), "--ballots is for pabulib only", 2),
    ],
)
def test_what_is_asked_wrongly_is_told_with_the_way_out(
    city: Path, words: tuple[str, ...], said: str, code: int
) -> None:
    before = sorted(each.name for each in city.iterdir())
    done = ask(*words)
    assert done.exit_code == code and said in done.stderr, done.stderr
    assert sorted(each.name for each in city.iterdir()) == before, "nothing is left behind"


def test_what_leaves_the_house_is_in_the_audit_log(city: Path) -> None:
    assert ask("csv", "public.csv", "--view", "public_proposals").exit_code == 0
    assert ask("csv", "p.csv", "--view", "proposals", "--json").exit_code == 0
    assert ask("jsonl", "-", "--view", "comments").exit_code == 0
    engine = open_engine(parse_url(f"sqlite:///{city / 'only.db'}"))
    told = [(each.action, each.object, each.result) for each in audit.entries(engine)]
    engine.dispose()
    assert told == [
        ("export", "csv: proposals", f"16 rows to {city / 'p.csv'}"),
        ("export", "jsonl: comments", "2 rows to -"),
    ], "what is public is no matter"


def test_without_pyarrow_parquet_says_what_to_install(city: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "pyarrow" else real(name, *more)
    )
    done = ask("parquet", "x.parquet")
    assert done.exit_code == 2 and "install civicsync[parquet]" in done.stderr


def test_ctrl_c_ends_with_130(city: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> Written:
        raise KeyboardInterrupt

    monkeypatch.setattr(formats, "export", stop)
    assert ask("csv", "x.csv").exit_code == 130
    assert not (city / "x.csv").exists()


def test_progress_is_told(city: Path) -> None:
    seen: list[tuple[str, int]] = []
    engine = open_engine(parse_url(f"sqlite:///{city / 'only.db'}"))
    with job(engine, "proposals", progress=lambda view, rows: seen.append((view, rows))) as made:
        assert isinstance(made, Job)
        formats.export(formats.FORMATS["csv"], made, city / "x.csv")
    engine.dispose()
    assert seen == [("proposals", 16)]
    assert UTC is made.zone
