"""The report as a workbook: a sheet of words, a sheet a table, numbers as numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xlsxwriter

from ...core.redaction import visible
from .monthly import Monthly
from .page import Figure, sections, title_of
from .words import Words

_NAME = 31
"""Letters that a sheet's name may have."""


def write(report: Monthly, words: Words, operator: str, path: Path) -> None:
    """Write the workbook. A cell is never a formula, whatever a citizen typed."""
    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"title": title_of(report, words), "author": operator})
        bold, wrap = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
        large = book.add_format({"bold": True, "font_size": 14})
        number = book.add_format({"num_format": "#,##0", "valign": "top"})
        first: Any = book.add_worksheet(_sheet(words._("In short")))
        first.set_column(0, 0, 110)
        first.write_string(0, 0, title_of(report, words), large)
        row = 2
        for section in sections(report, words):
            first.write_string(row, 0, section.title, bold)
            row += 1
            for sentence in (*section.sentences, *section.paragraphs):
                first.write_string(row, 0, visible(sentence), wrap)
                row += 1
            row += 1
            for figure in section.figures:
                _table(book, figure, words, bold, wrap, number)


def _table(book: Any, figure: Figure, words: Words, bold: Any, wrap: Any, number: Any) -> None:
    sheet = book.add_worksheet(_sheet(figure.name))
    sheet.write_string(0, 0, figure.table_caption, bold)
    for column, head in enumerate(figure.heads):
        sheet.write_string(2, column, head.text, bold)
        sheet.set_column(column, column, 14 if head.number else 40)
    for line, cells in enumerate(figure.rows, 3):
        for column, cell in enumerate(cells):
            value = cell if isinstance(cell, str) else _title(cell, words)
            counted = words.parsed(value) if figure.heads[column].number else None
            if counted is None:
                sheet.write_string(line, column, visible(value), wrap)
            else:
                sheet.write_number(line, column, counted, number)
    sheet.freeze_panes(3, 1)


def _title(cell: Mapping[str, Any], words: Words) -> str:
    return cell["title"] or words._("without a title")


def _sheet(name: str) -> str:
    return name[:_NAME]
