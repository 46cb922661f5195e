"""Where each unfinished sweep stands: its cursor, and the references its pages saw so far.

Both are written in the page's own transaction, so a killed run goes on after the last page that was committed, and a complete
sweep knows everything it saw, also what an earlier process saw. A sweep that is complete leaves a mark (a checkpoint without a
cursor) until its run ends, so that the run that continues an interrupted one reads nothing twice and judges everything once.
"""

import zlib
from collections.abc import KeysView
from datetime import datetime, timedelta
from functools import cache
from itertools import chain, islice
from typing import Any

import msgspec
from sqlalchemy import Connection, Delete, Engine, Select, Update, bindparam, delete, func, null, or_, select, update

from ..identity import Ref
from ..items import Cursor, Page
from ..leases import Lease, writing
from ..schema.tables import CheckpointRow, SweepPageRow, table_of
from .bulk import upsert
from .change_tokens import TokensByKind

CONTINUED_WITHIN = timedelta(hours=6)
"""What an interrupted run read longer ago than this is read again."""
_JUDGED = -1
"""The number of pages of a complete sweep that needs no verdict any more."""
_BLOB = 10_000
_NAMED = "~"
"""Before the names of `Page.done`, which are no scopes."""
_SILENT = "?"
"""Before the scope of references that a sweep did not look at."""


@cache
def _pages_of() -> Select[bytes]:
    table = table_of(SweepPageRow)
    return select(table.c.refs).where(table.c.instance == bindparam("instance"), table.c.scope == bindparam("scope"))


@cache
def _forgetting() -> Delete:
    table = table_of(SweepPageRow)
    scopes = or_(table.c.scope == bindparam("swept"), table.c.scope == bindparam("silent"))
    return delete(table).where(table.c.instance == bindparam("of"), scopes)


@cache
def _judging() -> Update:
    table = table_of(CheckpointRow)
    mine = (table.c.instance == bindparam("of"), table.c.scope == bindparam("swept"))
    return update(table).where(*mine, table.c.cursor.is_(null())).values(pages=_JUDGED)


class Sweeps:
    """The sweeps of one instance during one run."""

    def __init__(self, engine: Engine, instance: str, lease: Lease | None = None) -> None:
        self.engine = engine
        self._lease = lease
        self.instance = instance
        self._resumed: set[str] = set()
        self._pages: dict[str, int] = {}
        self._seen: dict[str, KeysView[Ref]] = {}
        checkpoint = table_of(CheckpointRow)
        with engine.connect() as connection:
            found = connection.execute(select(checkpoint).where(checkpoint.c.instance == instance)).mappings().all()
        self._cursors: dict[str, Cursor] = {row["scope"]: row["cursor"] for row in found if row["cursor"] is not None}
        self._since = {row["scope"]: row["started_at"] for row in found if row["cursor"] is not None}
        """When sweeps began, or ended, that an earlier process saw something of."""
        self._page_counts = {row["scope"]: row["pages"] for row in found}
        self._marks = {row["scope"]: row["started_at"] for row in found if row["cursor"] is None}
        self._unjudged: set[str] = set()
        self.dropped: set[str] = set()
        """Earlier sweeps that were to be judged and of whose scope this run began to show something anew."""
        self.done: frozenset[str] = frozenset()
        """What the interrupted run that this one continues had read to its end."""

    def begin(self, now: datetime, *, continues: bool) -> list[str]:
        """Start a run; when it `continues` an interrupted one, what that had finished stays so. Returns the scopes still to judge.

        What was swept to its end and not judged is judged however long ago that was: no gate would show once more what it missed.
        """
        unjudged = {name: at for name, at in self._marks.items() if at and self._page_counts[name] != _JUDGED}
        if not continues:
            self._drop(judged_only=True)
        kept = [name for name, at in self._marks.items() if at and now - at < CONTINUED_WITHIN] if continues else []
        self.done = frozenset(name.removeprefix(_NAMED) for name in kept)
        self._resumed.update(name for name in unjudged if name in kept)
        self._since.update(unjudged)
        self._unjudged = set(unjudged)
        return list(unjudged)

    def forget(self) -> None:
        """The run is over: drop the marks of what it finished."""
        self._drop(judged_only=False)
        self._marks.clear()
        self.done = frozenset()

    def _drop(self, *, judged_only: bool) -> None:
        table = table_of(CheckpointRow)
        where = [table.c.instance == self.instance, table.c.cursor.is_(null())]
        if judged_only:
            where.append(table.c.pages == _JUDGED)
        with writing(self.engine, self._lease) as connection:
            connection.execute(delete(table).where(*where))

    def cursor(self, scope: str) -> Cursor | None:
        """Where an unfinished sweep of this scope goes on; asking for it means to resume."""
        found = self._cursors.get(scope)
        if found is not None and scope not in self._pages:
            self._resumed.add(scope)
        return found

    def keep(self, connection: Connection, page: Page, now: datetime) -> None:
        """Note what a page saw and where the next one goes on."""
        scope = page.scope
        self._look_again(scope)
        checkpoint = table_of(CheckpointRow)
        marks = [{"scope": _NAMED + name, "pages": _JUDGED} for name in page.done]
        if page.complete:
            marks.append({"scope": scope, "pages": 0})
        sweeping = bool(page.items or page.present or page.silent or page.next is not None or page.complete)
        if not sweeping:
            self._mark(connection, marks, now)
            return
        pages = table_of(SweepPageRow)
        mine = {"instance": self.instance, "scope": scope}
        if scope not in self._pages:
            if scope in self._resumed:
                of_sweep = (pages.c.instance == self.instance, pages.c.scope.in_((scope, _SILENT + scope)))
                # A sweep may have shown more after the last page that said where it goes on.
                last = connection.execute(select(func.max(pages.c.page)).where(*of_sweep)).scalar()
                self._pages[scope] = 0 if last is None else int(last) + 1
            else:
                self._pages[scope] = 0
                self._since.pop(scope, None)
                self.dropped |= {scope} & self._unjudged
                connection.execute(_forgetting(), {"of": self.instance, "swept": scope, "silent": _SILENT + scope})
        shown = chain((item.ref for item in page.items), page.present)
        for name, references in ((scope, shown), (_SILENT + scope, iter(page.silent))):
            while refs := list(islice(references, _BLOB)):
                blob = zlib.compress(msgspec.msgpack.encode(refs), 1)
                connection.execute(pages.insert(), [{**mine, "scope": name, "page": self._pages[scope], "refs": blob}])
                self._pages[scope] += 1
        if page.complete:
            self.dropped.discard(scope)
            self._cursors.pop(scope, None)
        elif page.next is not None:
            row = {**mine, "cursor": page.next, "pages": self._pages[scope], "started_at": now}
            upsert(connection, checkpoint, [row], keep=("started_at",))
        elif scope in self._marks and self._page_counts.get(scope) != _JUDGED:
            # Pages may follow the one that completes their scope; their numbers go on after it too.
            row = (checkpoint.c.instance == self.instance, checkpoint.c.scope == scope)
            connection.execute(update(checkpoint).where(*row).values(pages=self._pages[scope]))
        self._mark(connection, marks, now)

    def _mark(self, connection: Connection, marks: list[dict[str, Any]], now: datetime) -> None:
        for mark in marks:
            count = self._pages.get(mark["scope"], 0) if mark["pages"] != _JUDGED else _JUDGED
            row = {"instance": self.instance, **mark, "cursor": None, "pages": count, "started_at": now}
            upsert(connection, table_of(CheckpointRow), [row])
            self._marks[mark["scope"]] = now
            self._page_counts[mark["scope"]] = count

    def seen(self, scope: str) -> KeysView[Ref]:
        """Every reference that the pages of the current sweep saw, also those of an earlier process; asked once for each page."""
        found = self._seen.get(scope)
        if found is None:
            seen = TokensByKind()
            with self.engine.connect() as connection:
                for (blob,) in connection.execute(_pages_of(), {"instance": self.instance, "scope": scope}):
                    for reference in msgspec.msgpack.decode(zlib.decompress(blob), type=list[str]):
                        seen.add(reference, "seen")
            found = self._seen[scope] = seen.keys()
        return found

    def _look_again(self, scope: str) -> None:
        for name in (scope, _SILENT + scope):
            self._seen.pop(name, None)

    def silent(self, scope: str) -> KeysView[Ref]:
        """Every reference of the scope that the current sweep did not look at."""
        return self.seen(_SILENT + scope)

    def since(self, scope: str, now: datetime) -> datetime:
        """Since when this sweep has been going on: what an earlier process was shown was there then, and need not be now."""
        return self._since.get(scope) or now

    @property
    def touched(self) -> list[str]:
        """The scopes of which this run has shown something."""
        return list(self._pages)

    def end(self, scope: str) -> None:
        """Forget the pages of a sweep that was judged."""
        self._look_again(scope)
        mine = {"of": self.instance, "swept": scope}
        with writing(self.engine, self._lease) as connection:
            connection.execute(_forgetting(), {**mine, "silent": _SILENT + scope})
            connection.execute(_judging(), mine)
        self._pages.pop(scope, None)
        self._resumed.discard(scope)
        self._page_counts.pop(scope, None)
