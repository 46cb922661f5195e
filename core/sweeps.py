"""Where each unfinished sweep stands: its cursor, and the references its pages saw so far.

Both are written in the page's own transaction, so a killed run goes on after the last page that was committed, and a complete
sweep knows everything it saw, also what an earlier process saw.
"""

import zlib
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Engine, delete, select

from .bulk import upsert
from .identity import Ref
from .pages import Cursor, Page
from .tables import CheckpointRow, SweepPageRow, table_of


class Sweeps:
    """The sweeps of one instance during one run."""

    def __init__(self, engine: Engine, instance: str) -> None:
        self.engine = engine
        self.instance = instance
        self._resumed: set[str] = set()
        self._pages: dict[str, int] = {}
        checkpoint = table_of(CheckpointRow)
        with engine.connect() as connection:
            found = connection.execute(select(checkpoint).where(checkpoint.c.instance == instance)).mappings().all()
        self._cursors: dict[str, Cursor] = {row["scope"]: row["cursor"] for row in found if row["cursor"] is not None}
        self._page_counts = {row["scope"]: row["pages"] for row in found}

    def cursor(self, scope: str) -> Cursor | None:
        """Where an unfinished sweep of this scope goes on; asking for it means to resume."""
        found = self._cursors.get(scope)
        if found is not None and scope not in self._pages:
            self._resumed.add(scope)
        return found

    def keep(self, connection: Connection, page: Page, now: datetime) -> None:
        """Note what a page saw and where the next one goes on."""
        scope = page.scope
        sweeping = bool(page.items or page.present or page.next is not None or page.complete)
        if not sweeping:
            return
        pages, checkpoint = table_of(SweepPageRow), table_of(CheckpointRow)
        mine = {"instance": self.instance, "scope": scope}
        if scope not in self._pages:
            self._pages[scope] = self._page_counts.get(scope, 0) if scope in self._resumed else 0
            if scope not in self._resumed:
                connection.execute(delete(pages).where(pages.c.instance == self.instance, pages.c.scope == scope))
        refs = [item.ref for item in page.items]
        refs.extend(page.present)
        if refs:
            blob = zlib.compress(msgspec.msgpack.encode(refs), 1)
            connection.execute(pages.insert(), [{**mine, "page": self._pages[scope], "refs": blob}])
            self._pages[scope] += 1
        if page.complete:
            where = (checkpoint.c.instance == self.instance, checkpoint.c.scope == scope)
            connection.execute(delete(checkpoint).where(*where))
            self._cursors.pop(scope, None)
        elif page.next is not None:
            row = {**mine, "cursor": page.next, "pages": self._pages[scope], "started_at": now}
            upsert(connection, checkpoint, [row], keep=("started_at",))

    def seen(self, scope: str) -> set[Ref]:
        """Every reference that the pages of the current sweep saw."""
        table = table_of(SweepPageRow)
        seen: set[Ref] = set()
        with self.engine.connect() as connection:
            query = select(table.c.refs).where(table.c.instance == self.instance, table.c.scope == scope)
            for (blob,) in connection.execute(query):
                seen.update(msgspec.msgpack.decode(zlib.decompress(blob), type=list[str]))
        return seen

    def end(self, scope: str) -> None:
        """Forget the pages of a sweep that was judged."""
        table = table_of(SweepPageRow)
        with self.engine.begin() as connection:
            connection.execute(delete(table).where(table.c.instance == self.instance, table.c.scope == scope))
        self._pages.pop(scope, None)
        self._resumed.discard(scope)
        self._page_counts.pop(scope, None)
