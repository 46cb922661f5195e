"""A store that forgets: the rules of pull over plain dictionaries, for connector authors and as an oracle in tests.

It does what `core.store` does (digests, tokens, cursors, absence after a complete sweep or a whole thread) and nothing about
databases. It tombstones on the first absence when `twice` is False, so that a connector's own test needs one pull only; what the
platform itself says is gone when it is asked goes at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...core.identity import Ref
from ...core.items import UNREADABLE
from ...core.records import Counters, Record
from ..contract.reading import CanConfirm, Cursor, Page, PullRequest, Reader


@dataclass
class Row:
    """What is known of one thing."""

    record: Record | None
    scope: str
    digest: bytes | None = None
    token: str | None = None
    counters: Counters | None = None
    gone: bool = False
    missing: int = 0


@dataclass
class MemoryStore:
    """In-memory `Stored` that also applies pages."""

    twice: bool = True
    rows: dict[Ref, Row] = field(default_factory=dict[Ref, Row])
    children: dict[Ref, Record] = field(default_factory=dict[Ref, Record])
    quarantine: list[tuple[Ref, str, Mapping[str, Any]]] = field(
        default_factory=list[tuple[Ref, str, Mapping[str, Any]]]
    )
    notes: list[str] = field(default_factory=list[str])
    writes: int = 0
    pages: int = 0
    _cursors: dict[str, Cursor] = field(default_factory=dict[str, Cursor])
    _memory: dict[str, Any] = field(default_factory=dict[str, Any])
    _seen: dict[str, set[Ref]] = field(default_factory=dict[str, set[Ref]])
    _silent: dict[str, set[Ref]] = field(default_factory=dict[str, set[Ref]])
    _evidence: set[Ref] = field(default_factory=set[Ref])

    def cursor(self, scope: str) -> Cursor | None:
        return self._cursors.get(scope)

    def memory(self, name: str) -> Any:
        return self._memory.get(name)

    def pending(self, scope: str) -> Sequence[Ref]:
        return [ref for ref, row in self.rows.items() if row.scope == scope and row.missing and not row.gone]

    async def tokens(self, scope: str) -> Mapping[Ref, str]:
        return {ref: row.token for ref, row in self.rows.items() if row.scope == scope and row.token and not row.gone}

    def alive(self, *kinds: str) -> dict[Ref, Row]:
        """Everything that is there, by reference, of these kinds (none: all)."""
        return {r: row for r, row in self.rows.items() if not row.gone and (not kinds or r.split("/")[0] in kinds)}

    async def apply(self, page: Page, reader: Reader | None = None) -> None:
        """Write one page."""
        self.pages += 1
        seen = self._seen.setdefault(page.scope, set())
        for item in page.items:
            seen.add(item.ref)
            row = self.rows.get(item.ref)
            if item.build is not None and (row is None or row.gone or row.digest is None or row.digest != item.digest):
                try:
                    records = list(item.build())
                except UNREADABLE as error:  # as the store of the product has it
                    self.quarantine.append((item.ref, str(error), item.kept()))
                    continue
                row = Row(None, page.scope, item.digest)
                self.rows[item.ref] = row
                for record in records:
                    if record.ref == item.ref:
                        row.record = record
                    else:
                        self.children[record.ref] = record
                self.writes += 1
            if row is not None:
                row.missing, row.scope = 0, page.scope
                row.token = item.token if item.token is not None else row.token
                row.counters = item.counters if item.counters is not None else row.counters
        for ref in page.present:
            seen.add(ref)
            if ref in self.rows:
                self.rows[ref].missing = 0
        self._silent.setdefault(page.scope, set()).update(page.silent)
        shown = {item.ref for item in page.items} | set(page.present)
        hanging, absent = set(page.whole_of), set(page.absent)
        for ref, row in self.rows.items():
            held = row.scope == page.scope and getattr(row.record, "target", None) in hanging and ref not in shown
            if (held or ref in absent) and not row.gone and ref not in self._evidence:
                self._evidence.add(ref)
                row.missing += 1
        self._memory.update(page.memory)
        self.notes += [each for each in (page.note, page.failed) if each]
        if page.next is not None:
            self._cursors[page.scope] = page.next
        if page.complete:
            await self._finish(page.scope, reader)

    async def _finish(self, scope: str, reader: Reader | None) -> None:
        seen, silent = self._seen.pop(scope, set()), self._silent.pop(scope, set())
        self._cursors.pop(scope, None)
        looked = {r: row for r, row in self.rows.items() if row.scope == scope and not row.gone and r not in silent}
        await self._judge([ref for ref in looked if ref not in seen and ref not in self._evidence], reader, missed=1)

    async def settle(self, reader: Reader | None) -> None:
        """The end of a run: what threads and questions missed, now or earlier, is judged too."""
        await self._judge([ref for ref, row in self.rows.items() if row.missing and not row.gone], reader, missed=0)
        self._evidence.clear()

    async def _judge(self, missing: Sequence[Ref], reader: Reader | None, *, missed: int) -> None:
        asked = isinstance(reader, CanConfirm)
        verdict = await reader.still_there(missing) if missing and isinstance(reader, CanConfirm) else {}
        for ref in missing:
            row = self.rows[ref]
            if asked and verdict.get(ref) is not False:
                row.missing = 0 if verdict.get(ref) else row.missing
                continue
            row.missing += missed
            row.gone = asked or row.missing >= (2 if self.twice else 1)
            if row.gone:
                self._bury(ref)

    def _bury(self, target: Ref) -> None:
        """What hangs on something that is gone goes with it."""
        for row in self.rows.values():
            if getattr(row.record, "target", None) == target:
                row.gone, row.digest, row.token = True, None, None


async def pull(
    reader: Reader, store: MemoryStore, *, full: bool = False, spaces: Sequence[Ref] = (), probe: Any = None
) -> None:
    """One whole pull into a memory store."""
    found = probe or await reader.probe()
    async for page in reader.pull(PullRequest(probe=found, stored=store, full=full, spaces=spaces)):
        await store.apply(page, reader)
    await store.settle(reader)
