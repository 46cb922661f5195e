"""XLSX: a sheet a view, typed cells, and a sheet that says what every column means.

XlsxWriter makes the workbook: styles, widths, frozen headings, filters, the legend. The rows are written by us into the sheets that it
made, as they come from the database: cell by cell through the library they take several times as long (`docs/adr/0018-exports.md`).
Texts are inline strings: a spreadsheet never runs them, whatever they begin with.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from ...core.redaction import visible
from ..columns import Column, Type, View
from . import expressions, words
from .excel import ExcelLocale
from .job import ExportUsage, Job, Written

SHEET_ROWS = 1_048_575
"""Rows below the heading that a sheet can have; what is more goes on in a further one."""
CELL_TEXT = 32_767
"""Characters that a cell can have."""
_BATCH = 300
_CARE = re.compile(
    "[&<>\n\r\t\ufffe\uffff\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]|_x[0-9A-Fa-f]{4}_|^ | $"
)
_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_UNFIT = re.compile("[\ufffe\uffff]")
_AUTOFILTER = re.compile(rb'<autoFilter ref="[^"]*"/>')
_DIMENSION = re.compile(rb'<dimension ref="[^"]*"/>')
_FILTERED = re.compile(rb"(_xlnm\._FilterDatabase[^>]*>[^<]*\$)2(?=</definedName>)")
_EPOCH = datetime(1899, 12, 30)


def write(job: Job, path: Path, written: Written) -> None:
    """Write the views of the job to a workbook, one sheet each (or more, where a view has more rows than a sheet can), and a legend.

    Raises:
        ExportUsage: two views would have one sheet's name.
    """
    names = [_sheet_name(view.name) for view in job.views]
    if len(set(names)) != len(names):
        raise ExportUsage("xlsx: two of these views have names that begin alike for 31 letters; export them apart")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        pending: list[_Rows] = []
        for view in job.views:
            pending.append(_Rows(job, view, written))
        # How many sheets there are is known before the workbook is made only where a view is counted; nearly all fit in one.
        parts = [(each, number) for each in pending for number in range(each.sheets())]
        skeleton = _skeleton(job, [(rows.view, number) for rows, number in parts])
        counts: list[int] = []
        with zipfile.ZipFile(io.BytesIO(skeleton)) as made:
            for number, (rows, _) in enumerate(parts, 1):
                sheet = f"xl/worksheets/sheet{number}.xml"
                counts.append(_fill(book, sheet, made.read(sheet), rows))
            filled = {f"xl/worksheets/sheet{number}.xml" for number in range(1, len(parts) + 1)}
            for name in made.namelist():
                if name not in filled:
                    book.writestr(
                        name, _counted(made.read(name), counts) if name == "xl/workbook.xml" else made.read(name)
                    )
        for rows in pending:
            rows.close()


class _Rows:
    """The rows of one view as XML, to be continued in the next sheet where one is full."""

    def __init__(self, job: Job, view: View, written: Written) -> None:
        self.view = view
        self.columns = expressions.exported(view)
        self._job, self._written = job, written
        self._lines = self._made()
        self.cut = 0

    def sheets(self) -> int:
        """How many sheets they need."""
        rows = int(self._job.snapshot.one(f"SELECT count(*) FROM {expressions.quoted(self.view.name)}"))
        return max(1, -(-rows // SHEET_ROWS))

    def take(self, most: int) -> Iterator[list[str]]:
        """The next rows, a batch at a time, at most so many."""
        left = most
        while left > 0:
            batch = next(self._lines, None)
            if batch is None:
                return
            if len(batch) > left:
                self._lines = _chain(batch[left:], self._lines)
                batch = batch[:left]
            left -= len(batch)
            yield batch

    def close(self) -> None:
        """Tell what a spreadsheet could not hold."""
        if self.cut:
            self._written.notes.append(
                f"{self.view.name}: {self.cut:,} texts are longer than the {CELL_TEXT:,} characters of a cell and are cut there; csv and "
                "jsonl have them whole"
            )

    def _made(self) -> Iterator[list[str]]:
        job, view = self._job, self.view
        dialect = job.snapshot.dialect
        sql = expressions.select(view, [expressions.serial(each, dialect) for each in self.columns])
        makers = [_maker(each, job.zone) for each in self.columns]
        texts = [number for number, each in enumerate(self.columns) if each.type in {Type.TEXT, Type.JSON}]
        for batch in job.batches(view, sql, _BATCH):
            lines: list[str] = []
            for row in batch:
                careful = self._careful(row, texts)
                lines.append(
                    "<row>" + "".join([make(value) for make, value in zip(makers, careful, strict=True)]) + "</row>"
                )
            self._written.add(view.name, len(batch))
            yield lines
        self._written.add(view.name, 0)

    def _careful(self, row: Sequence[Any], texts: Sequence[int]) -> Sequence[Any]:
        """The row with its texts fit for XML; nearly all are as they come."""
        changed: list[Any] | None = None
        for number in texts:
            value = row[number]
            if value is not None and (len(value) > CELL_TEXT or _CARE.search(value)):
                if changed is None:
                    changed = list(row)
                if len(value) > CELL_TEXT:
                    self.cut += 1
                    value = value[: CELL_TEXT - 1] + "…"
                changed[number] = _escaped(value)
        return row if changed is None else changed


def _chain(first: list[str], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rest


def _escaped(text: str) -> str:
    """A text for XML 1.0: nothing that it cannot hold, and nothing that a spreadsheet would take for an escape of its own."""
    text = _UNFIT.sub(lambda found: f"\\u{ord(found.group()):04x}", visible(text))[:CELL_TEXT]
    text = _ESCAPE.sub("_x005F_", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _maker(column: Column, zone: tzinfo) -> Callable[[Any], str]:
    """What makes a cell's XML of a value that is fit for it."""
    match column.type:
        case Type.TEXT | Type.JSON:
            return _text_cell
        case Type.MOMENT:
            return _Moments(zone).cell
        case Type.DATE:
            return lambda value: "<c/>" if value is None else f'<c s="3"><v>{int(value)}</v></c>'
        case Type.BOOLEAN:
            return lambda value: "<c/>" if value is None else f'<c t="b"><v>{int(value)}</v></c>'
        case Type.INTEGER | Type.NUMBER:
            return lambda value: "<c/>" if value is None else f"<c><v>{value!r}</v></c>"


def _text_cell(value: str | None) -> str:
    return "<c/>" if value is None else f'<c t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>'


class _Moments:
    """Moments as a spreadsheet counts them, in a time zone: it knows none itself. The offset is looked up once for each hour."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._offsets: dict[int, float] = {}

    def cell(self, value: float | None) -> str:
        """The cell of one moment, given in UTC; None where there is none, or where it is before what a spreadsheet can count."""
        if value is None or value < 1:
            return "<c/>"
        hour = int(value * 24 + 1e-6)
        offset = self._offsets.get(hour)
        if offset is None:
            offset = self._offsets[hour] = self._offset(hour)
        return f'<c s="2"><v>{value + offset:.8f}</v></c>'

    def _offset(self, hour: int) -> float:
        moment = (_EPOCH + timedelta(hours=hour)).replace(tzinfo=_utc())
        offset = moment.astimezone(self._zone).utcoffset()
        return 0.0 if offset is None else offset.total_seconds() / 86400


def _utc() -> tzinfo:
    from datetime import UTC

    return UTC


def _fill(book: zipfile.ZipFile, name: str, made: bytes, rows: _Rows) -> int:
    """Write a sheet with its rows between what XlsxWriter wrote before and after them; returns how many."""
    made = _DIMENSION.sub(b"", made)
    head, end, tail = made.partition(b"</sheetData>")
    count = 0
    with book.open(name, "w", force_zip64=True) as file:
        file.write(head)
        for batch in rows.take(SHEET_ROWS):
            count += len(batch)
            file.write("".join(batch).encode())
        last = _cell_name(len(rows.columns) - 1, count + 1)
        file.write(end + _AUTOFILTER.sub(f'<autoFilter ref="A1:{last}"/>'.encode(), tail))
    return count


def _counted(workbook: bytes, counts: Sequence[int]) -> bytes:
    """The workbook's list of filters with the rows that there turned out to be."""
    numbers = iter(counts)
    return _FILTERED.sub(lambda found: found.group(1) + str(next(numbers) + 1).encode(), workbook)


def _cell_name(column: int, row: int) -> str:
    from xlsxwriter.utility import xl_rowcol_to_cell

    return xl_rowcol_to_cell(row - 1, column)


def _skeleton(job: Job, sheets: Sequence[tuple[View, int]]) -> bytes:
    """A workbook with headings, widths, filters and the legend, and no rows."""
    import xlsxwriter

    made = io.BytesIO()
    book: Any = xlsxwriter.Workbook(made, {"in_memory": True})
    # The cells name them by their numbers, 1 to 3, which they get in the order of their first use.
    heading = book.add_format({"bold": True, "bottom": 1})
    locale = ExcelLocale(job.excel or job.language)
    day = locale.date.replace("%d", "dd").replace("%m", "mm").replace("%Y", "yyyy")
    moment = book.add_format({"num_format": f"{day} hh:mm:ss"})
    date = book.add_format({"num_format": day})
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    for view, number in sheets:
        sheet = book.add_worksheet(_sheet_name(view.name, number))
        columns = expressions.exported(view)
        for position, column in enumerate(columns):
            sheet.write_string(0, position, column.name, heading)
            sheet.set_column(position, position, _width(column))
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, 1, len(columns) - 1)
    _legend(book, job, heading, wrapped, moment, date)
    book.set_properties({"title": ", ".join(view.name for view in job.views), "created": job.now.replace(tzinfo=None)})
    book.close()
    return made.getvalue()


def _legend(book: Any, job: Job, heading: Any, wrapped: Any, moment: Any, date: Any) -> None:
    dutch = job.language == "nl"
    sheet = book.add_worksheet("Toelichting" if dutch else "Legend")
    heads = (
        ("blad", "kolom", "soort", "eenheid", "betekenis", "leeg betekent")
        if dutch
        else ("sheet", "column", "type", "unit", "meaning", "empty means")
    )
    now = job.now.astimezone(job.zone).replace(tzinfo=None)
    sheet.write_string(0, 0, "gemaakt op" if dutch else "made on")
    sheet.write_datetime(0, 1, now, moment)
    sheet.write_datetime(0, 2, now, date)
    sheet.write_string(1, 0, "tijden zijn in" if dutch else "times are in")
    sheet.write_string(1, 1, str(job.zone))
    for position, (head, width) in enumerate(zip(heads, (24, 20, 12, 14, 80, 50), strict=True)):
        sheet.write_string(3, position, head, heading)
        sheet.set_column(position, position, width)
    sheet.freeze_panes(4, 0)
    row = 4
    for view in job.views:
        sheet.write_string(row, 0, view.name, wrapped)
        sheet.write_string(row, 4, view.nl if dutch else view.en, wrapped)
        row += 1
        for column in expressions.exported(view):
            cells = (
                view.name,
                column.name,
                words.type_of(column, job.language),
                words.unit_of(column, job.language),
                words.meaning_of(column, job.language),
                words.empty_of(column, job.language),
            )
            for position, value in enumerate(cells):
                sheet.write_string(row, position, value, wrapped)
            row += 1


def _sheet_name(view: str, number: int = 0) -> str:
    end = f" ({number + 1})" if number else ""
    return view[: 31 - len(end)] + end


def _width(column: Column) -> int:
    match column.type:
        case Type.MOMENT:
            return 19
        case Type.DATE | Type.BOOLEAN:
            return 11
        case Type.INTEGER | Type.NUMBER:
            return 12
        case Type.TEXT | Type.JSON:
            return 40 if column.name in {"title", "body", "url", "detail", "reason", "message"} else 18
