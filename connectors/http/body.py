"""What a platform sends as a body, read within limits: bytes as sent, bytes as unpacked, and no work for nothing."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, Protocol

_PIECE: Final = 256 * 1024
_IDLE: Final = 64 * 1024
"""Bytes that may be unpacked to nothing: a header that never ends, empty blocks for ever."""
_MEMBERS: Final = 1000
_GZIP: Final = b"\x1f\x8b"


class TooLarge(Exception):
    """More than the limit came, or would be unpacked."""


class BadEncoding(Exception):
    """What came is not packed as it says."""


class Cut(Exception):
    """The packed body ends in its middle."""


class Sink(Protocol):
    """Where the body goes, piece by piece."""

    def write(self, data: bytes, /) -> Any: ...


async def receive(pieces: AsyncIterator[bytes], encoding: str, limit: int, sink: Sink) -> None:
    """Unpack what comes into `sink`.

    Raises:
        TooLarge: more than `limit` bytes, as sent or as unpacked.
        BadEncoding: packed in another way than was asked for, or not at all as it says.
        Cut: the end is missing.
    """
    packed = encoding.strip().lower()
    if packed not in {"", "identity", "gzip", "x-gzip"}:
        raise BadEncoding("it is packed in a way that was not asked for")
    unpacker = _Gunzip() if "gzip" in packed else None
    sent = unpacked = 0
    async for piece in pieces:
        sent += len(piece)
        if sent > limit:
            raise TooLarge
        for part in unpacker.feed(piece) if unpacker is not None else (piece,):
            unpacked += len(part)
            if unpacked > limit:
                raise TooLarge
            sink.write(part)
    if unpacker is not None and sent and not unpacker.whole:
        raise Cut


class _Gunzip:
    """gzip, a small piece at a time: one packed megabyte may hold a thousand."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._members = 1
        self._idle = 0
        self.whole = False
        """Whether a member has just ended: here the body may end."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes unpack to."""
        while data:
            if self.whole:
                if not _GZIP.startswith(data[:2]):
                    return  # padding behind the end, which every unpacker ignores
                self._next_member()
            before = len(data)
            try:
                part = self._member.decompress(data, _PIECE)
            except zlib.error:
                raise BadEncoding("it is not packed as it says") from None
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self.whole = self._member.eof
            self._idle = 0 if part else self._idle + before - len(data)
            if self._idle > _IDLE:
                raise BadEncoding("it is packed without holding anything")
            if part:
                yield part

    def _next_member(self) -> None:
        self._members += 1
        if self._members > _MEMBERS:
            raise BadEncoding("it is packed in too many parts")
        self._member = zlib.decompressobj(wbits=31)
        self.whole = False
