"""The files of Decidim's open data, row by row: CSV alone or in an archive (docs/platforms/decidim.md 5).

Nothing is read whole: a small archive can hold gigabytes, and a file without a single line break is one line. Of each row only the
columns that somebody needs are kept, and what is kept is counted.
"""

from __future__ import annotations

import csv
import io
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import IO, Any, Final

from ...core.text import storable
from ..contract.errors import Malformed

Row = dict[str, str]

PROPOSALS: Final = ("id", "is_amend", "original_proposal/url")
COMMENTS: Final = (
    "id",
    "depth",
    "root_commentable_url",
    "commentable_type",
    "commentable_id",
    "author/id",
    "author/name",
    "body",
    "locale",
    "alignment",
    "created_at",
)
MAX_KEPT: Final = 48_000_000
"""Bytes that the rows of a file or an archive may take: about fifty thousand comments. Of more, comments are read one by one."""
MAX_ROW: Final = 2_000_000
"""Characters of a row, however many lines it has; a field may take half of it."""
MAX_DIRECTORY: Final = 1_000_000
"""Bytes of an archive's list of what it holds: Decidim's holds a dozen files."""
_ROW_COST: Final = 600
_UNPACKED: Final = "too large when unpacked"
_KEPT: Final = "more rows than are read at once"
_NAME = re.compile(r"open-data-(\w+)\.csv$")
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    csv.Error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,  # an encrypted file
    ValueError,
    OverflowError,
)


def rows(path: str, file: IO[bytes], columns: Collection[str], most: int) -> list[Row]:
    """The rows of a CSV file with these columns, of at most so many bytes.

    Raises:
        Malformed: it is no such file, or more than fits.
    """
    try:
        return _kept(_Counted(file, _Bytes(most, _UNPACKED)), columns, _Bytes(MAX_KEPT, _KEPT))
    except _TooMuch as error:
        raise Malformed(f"{path}: {error}") from None
    except _BROKEN as error:
        raise Malformed(f"{path}: not a CSV file") from error


_WRITTEN = re.compile(r"-?[0-9]{1,6}")


def check(path: str, found: Collection[Row]) -> None:
    """That these are rows as Decidim writes them: what counts in them is a number.

    Raises:
        Malformed: they are not; what such a file says is not believed at all.
    """
    for row in found:
        for column in ("depth", "alignment"):
            value = row.get(column)
            if value and not _WRITTEN.fullmatch(value):
                raise Malformed(f"{path}: {column} is not a number in a row")


def archive(path: str, file: IO[bytes], wanted: Mapping[str, Collection[str]], most: int) -> dict[str, list[Row]]:
    """The rows of the files in an archive, by entity, of those that are wanted; at most so many bytes unpacked in all.

    Raises:
        Malformed: it is no such archive, or more than fits.
    """
    left, room = _Bytes(most, _UNPACKED), _Bytes(MAX_KEPT, _KEPT)
    try:
        directory = _Directory(file)
        with zipfile.ZipFile(directory) as opened:  # type: ignore[arg-type]  # reads, seeks and tells: all that is asked
            directory.left = sys.maxsize - 1
            found: dict[str, list[Row]] = {}
            for info in opened.infolist():
                match = _NAME.search(info.filename)
                if match is None or match[1] not in wanted or match[1] in found:
                    continue
                if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise Malformed(f"{path}: packed in an unusual way")
                with opened.open(info) as member:
                    found[match[1]] = _kept(_Counted(member, left), wanted[match[1]], room)
            return found
    except _TooMuch as error:
        raise Malformed(f"{path}: {error}") from None
    except _BROKEN as error:
        raise Malformed(f"{path}: not a zip file") from error


class _TooMuch(Exception):
    """More than fits; the message says of what."""


class _Bytes:
    """How many bytes may still come."""

    def __init__(self, left: int, complaint: str) -> None:
        self.left = left
        self.complaint = complaint

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise _TooMuch(self.complaint)


class _Counted(io.RawIOBase):
    """A file of which each byte is counted."""

    def __init__(self, file: IO[bytes], left: _Bytes) -> None:
        super().__init__()
        self._file = file
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        self._left.take(len(data))
        buffer[: len(data)] = data
        return len(data)


class _Directory:
    """An archive of which only so much may be read while its list is: `zipfile` takes that into memory whole."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.left = MAX_DIRECTORY

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self.left + 1 if size < 0 else min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise _TooMuch("its list of files is too long")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """The file belongs to whoever opened it."""


class _Lines:
    """The lines of a text; `row` starts the count of characters anew."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.row = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(MAX_ROW + 1):
            self.row += len(line)
            if self.row > MAX_ROW:
                raise _TooMuch("a row is too long")
            yield line


def _kept(file: io.RawIOBase, columns: Collection[str], room: _Bytes) -> list[Row]:
    """Separator `;`, columns by name, the quote before formulas taken away."""
    csv.field_size_limit(MAX_ROW // 2)
    lines = _Lines(io.TextIOWrapper(io.BufferedReader(file, 65_536), "utf-8-sig", "replace", newline=""))
    reader = csv.reader(lines, delimiter=";")
    header = next(reader, [])
    places = [(header.index(name), name) for name in columns if name in header]
    kept: list[Row] = []
    same: dict[str, str] = {}
    for cells in reader:
        lines.row = 0
        if not cells:
            continue
        row: Row = {}
        size = _ROW_COST
        for place, name in places:
            if place >= len(cells):
                continue
            value = storable(_unquoted(cells[place]))
            # Addresses, languages and people come again and again; texts do not.
            known = same.get(value)
            if known is None:
                size += sys.getsizeof(value)
                if len(value) < 100:
                    same[value] = value
            row[name] = value if known is None else known
        room.take(size)
        kept.append(row)
    return kept


def _unquoted(value: str) -> str:
    return value[1:] if len(value) > 1 and value[0] == "'" and value[1] in "=+-@" else value
