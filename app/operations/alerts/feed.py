"""The newest notices as an Atom feed (RFC 4287), as bytes or as a file that is there whole or not at all."""

import os
import re
import tempfile
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as Xml

from sqlalchemy import Engine

from ....core.alerts.book import Book, Notice
from ....core.clock import Clock

TYPE = "application/atom+xml; charset=utf-8"
MOST = 100
_ATOM = "http://www.w3.org/2005/Atom"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACE = uuid.UUID("9d1f0f7c-6f0a-5c0e-8d3c-6c9b1f8a4e21")
"""The feed's own id is made in it from the operator's name; those of entries are the ids of the notices."""


def atom(notices: Sequence[Notice], operator: str, began: datetime) -> bytes:
    """The feed of these notices, the newest first. `began`: when it was last changed where there are none."""
    Xml.register_namespace("", _ATOM)
    feed = Xml.Element(f"{{{_ATOM}}}feed")
    _put(feed, "id", uuid.uuid5(_SPACE, operator).urn)
    _put(feed, "title", f"civicsync: {operator}")
    _put(feed, "updated", _moment(notices[0].at if notices else began))
    _put(_put(feed, "author"), "name", operator)
    _put(feed, "generator", "civicsync")
    for notice in notices[:MOST]:
        entry = _put(feed, "entry")
        _put(entry, "id", uuid.UUID(notice.uid).urn)
        _put(entry, "title", notice.title)
        _put(entry, "updated", _moment(notice.at))
        _put(entry, "published", _moment(notice.at))
        _put(entry, "category").set("term", notice.what)
        kind = notice.told.get("kind")
        if kind:
            _put(entry, "category").set("term", str(kind))
        _put(entry, "content", notice.body).set("type", "text")
    return Xml.tostring(feed, encoding="utf-8", xml_declaration=True) + b"\n"


def feed_of(engine: Engine, clock: Clock, operator: str) -> bytes:
    """The feed of a database as it is now. Blocks.

    Raises:
        SQLAlchemyError, DatabaseError: it cannot be asked.
    """
    return atom(Book(engine, clock).newest(MOST), operator, clock.now())


def write(path: Path, content: bytes) -> bool:
    """Put it in its place at once, for whoever serves it to read; False where it is there already.

    Raises:
        OSError: the folder is not there or takes nothing.
    """
    if path.is_file() and path.read_bytes() == content:
        return False
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True


def _put(parent: Xml.Element, name: str, text: str | None = None) -> Xml.Element:
    made = Xml.SubElement(parent, f"{{{_ATOM}}}{name}")
    if text is not None:
        made.text = _NO_XML.sub("\ufffd", text)
    return made


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
