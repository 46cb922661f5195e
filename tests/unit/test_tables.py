"""What the program prints: no number is ever shortened, no terminal is steered, no secret passes, no spreadsheet runs anything."""

import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from civicsync.analysis.exports.cells import cell as guarded
from civicsync.app.cli import common
from civicsync.app.cli.runs import COLUMNS as RUNS
from civicsync.core.redaction import conceal, forget_concealed, redact, visible


class Screen:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
        self.stream, self.errors = io.StringIO(), io.StringIO()
        monkeypatch.setattr(common, "out", common.Edge(file=self.stream, width=width, highlight=False))
        monkeypatch.setattr(common, "err", common.Edge(file=self.errors, width=width, highlight=False))

    @property
    def text(self) -> str:
        return self.stream.getvalue()


@pytest.fixture(autouse=True)
def nothing_concealed() -> Iterator[None]:
    yield
    forget_concealed()


def run_row(number: int) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(RUNS, 0)
    row |= {"id": number, "instance": "participa-west", "outcome": "done", "started_at": "2026-03-01 12:00:00"}
    row |= {"seen": 12345, "requests": 778, "platform_seconds": 1234.5, "seconds": 98.7, "word": "went well " * 12}
    return row


@pytest.mark.parametrize("width", range(40, 200, 4))
def test_no_number_of_runs_is_shortened_at_any_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    screen = Screen(monkeypatch, width)
    common.print_table([run_row(778), run_row(12_345)], RUNS, empty="", counts=RUNS.keys() - {"id"})
    words = screen.text.split()
    left = screen.errors.getvalue()
    for shown, heading in (("778", "requests"), ("12,345", "seen"), ("1,234.5", "platform s"), ("98.7", "seconds")):
        assert shown in words or heading in left, (shown, screen.text, left)
    assert "12345" in words, "the number of a run is no count"
    assert all(len(line) <= width for line in screen.text.splitlines()) or "-- 1" in screen.text
    for cut in ("…", "77\n", "1,23\n"):
        assert cut not in screen.text
    if left:
        assert left.startswith("no room for: ") and "--json shows them" in " ".join(left.split())


@pytest.mark.parametrize("width", [40, 80, 120, 160])
@pytest.mark.parametrize("columns", [3, 12, 40])
def test_what_was_asked_for_is_shown_whole_or_turned(monkeypatch: pytest.MonkeyPatch, width: int, columns: int) -> None:
    screen = Screen(monkeypatch, width)
    row = {f"column{number}": 1_000_000 + number for number in range(columns)}
    common.print_table([row, row], {name: name for name in row}, empty="", data=True)
    words = screen.text.split()
    assert all(words.count(str(value)) == 2 for value in row.values())
    assert ("-- 2" in screen.text) == (columns * 9 > width)


def test_years_coordinates_and_identifiers_are_not_thousands(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch, 120)
    row = {"year": 2026, "latitude": 52.37021634, "id": 1234567, "tiny": 1e-7, "yes": True, "none": None}
    common.print_table([row], {name: name for name in row}, empty="", data=True)
    assert screen.text.split()[-6:] == ["2026", "52.37021634", "1234567", "1e-07", "yes", "–"]
    assert common.show(1234567, grouped=True) == "1,234,567"


HOSTILE = "a\x1b[2Jb\x9bc\x07d\u202ee\rf\x7f\u2066g"


def test_no_terminal_is_steered_by_what_a_citizen_typed(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    screen = Screen(monkeypatch, 120)
    common.print_table([{"title": HOSTILE}], {"title": "title"}, empty="", title=HOSTILE, data=True)
    common.print_table([{"title": HOSTILE}], {"title": "title"}, empty="")
    common.out.print(common.Text(HOSTILE))
    common.out.print(HOSTILE, markup=False)
    common.err.print(HOSTILE, markup=False)
    common.print_json({"title": HOSTILE}, data=True)
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"title": HOSTILE}, "JSON keeps its meaning"
    told = [screen.text, screen.errors.getvalue(), printed, guarded(HOSTILE)]
    for text, sign in itertools.product(told, "\x1b\x9b\x07\u202e\r\x7f\u2066"):
        assert sign not in text, (sign, text)
    assert "a\\x1b[2Jb\\x9bc" in visible(HOSTILE)


@pytest.mark.parametrize(
    ("typed", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+31 6", "'+31 6"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "  '=1"),
        ("\t=1", "\t'=1"),
        ("a;=1", "a;'=1"),
        ("a; =1", "a; '=1"),
        ("a\t-1+cmd", "a\t'-1+cmd"),
        ("a\n=1", "a\n'=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("a\uff1b\uff0b1", "a\uff1b'\uff0b1"),
        ("\u3000@x", "\u3000'@x"),
        ("-12.5", "-12.5"),
        ("1e-7", "1e-7"),
        ("a = b - c", "a = b - c"),
        ("well-known", "well-known"),
        ({"nl": "=1"}, '{"nl":"=1"}'),
        (-5, -5),
    ],
)
def test_no_cell_is_run_by_a_spreadsheet_whatever_it_takes_for_a_separator(typed: Any, cell: Any) -> None:
    assert guarded(typed) == cell


SECRET = "s3cr3t/with+odd signs&more"


@pytest.mark.parametrize(
    "text",
    [
        f"the page said {SECRET}",
        "the page said s3cr3t%2Fwith%2Bodd%20signs%26more",
        "login=x&password=s3cr3t%2Fwith%2Bodd+signs%26more",
    ],
)
def test_a_secret_is_found_in_every_form(text: str) -> None:
    conceal(SECRET)
    assert "s3cr3t" not in redact(text) and "***" in redact(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("at https://user:pw@host/path", "at https://***@host/path"),
        ("at postgresql://user@host/name", "at postgresql://***@host/name"),
        ("https://host/?access_token=abc&x=1", "https://host/?access_token=***&x=1"),
        ("PGPASSWORD=abc psql", "PGPASSWORD=*** psql"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
        ("Authorization: Basic dXNlcjpwdw==", "Authorization: Basic ***"),
        ("mail a@b.example about https://host", "mail a@b.example about https://host"),
        (
            "Basic authentication is on; the password: ask your admin",
            "Basic authentication is on; the password: ask your admin",
        ),
    ],
)
def test_a_secret_is_known_by_where_it_stands(text: str, told: str) -> None:
    assert redact(text) == told
