"""Which proposals are drafts: the interface shows them like any other, and nobody may take them for public ones.

A proposal with supports is none, nor is one that a public list shows. The lists have ties, move while they are read, and each of them
leaves something out (docs/platforms/consul.md 9), so what they do not show is asked for its own page, which says it
(docs/platforms/consul.md 10b). Where lists and pages are refused nothing is concluded: what is known stays, nothing new is stored.
"""

from collections.abc import Container, Mapping
from datetime import datetime, timedelta

from ..contract.errors import ConnectorError, Throttled
from ..contract.reading import Stored
from .api import Api

PER_PAGE = 25
FEW = 2
"""So many are asked for by their own pages, rather than sought in another list; more where the list has more pages."""
MOST = 100
"""So many pages are read at most in one run; what waits is asked in later ones, and not stored before."""
_SWEEPS = 3
_AGAIN_AFTER = timedelta(hours=20)
_ARCHIVE = {"order": "archival_date"}
_SELECTED, _RETIRED = {"selected": "all"}, {"retired": "all"}
# `archival_date` is no order but a filter. Archived, selected and retired are told apart: eight lists make the whole.
_LISTS: tuple[tuple[dict[str, str], ...], ...] = (
    ({"order": "created_at"}, _ARCHIVE, _SELECTED, _SELECTED | _ARCHIVE),
    (_RETIRED | {"order": "created_at"}, _RETIRED | _ARCHIVE, _RETIRED | _SELECTED, _RETIRED | _SELECTED | _ARCHIVE),
)


JUDGED = "drafts_sorted_out"
"""The memory that says it. Earlier releases had another one, which they set while drafts were let in, too."""


class Drafts:
    """What is known of drafts: `asked` are those that are, or may be, with when their page last said so (None: it never could)."""

    def __init__(self, api: Api, stored: Stored, now: datetime, *, include: bool) -> None:
        self.api = api
        self.include = include
        self.now = now
        kept = stored.memory("drafts") or {}
        # Earlier releases kept the numbers alone.
        self.asked: dict[str, str | None] = dict(kept) if isinstance(kept, dict) else dict.fromkeys(map(str, kept))
        self.shown: set[str] = set(stored.memory("not_drafts") or ())
        """Those that turned out to be public, and may not be stored yet."""
        self.trusted = bool(stored.memory(JUDGED))
        """Whether everything that is stored was judged by its page: not where drafts were let in."""
        self.pages = 0
        self.unlisted = self.closed = False
        """Whether the list, and the pages, are refused: where proposals are switched off both are (docs/platforms/consul.md 9)."""
        self.waiting = 0
        if include:
            self.asked.clear()

    def __contains__(self, own: object) -> bool:
        return own in self.asked

    def memory(self) -> dict[str, object]:
        """What the next run must know."""
        return {"drafts": dict(self.asked)}

    def note(self) -> str | None:
        """A word about what could not be told in this run."""
        if not self.waiting:
            return None
        why = "the site shows neither its list nor their pages" if self.closed else "they are asked in the next runs"
        return f"proposals: {self.waiting} without supports may be drafts; new ones are not stored; {why}"

    async def judge(self, marks: Mapping[str, str], known: Container[str] = (), *, recheck: bool = False) -> None:
        """Find out which of these are drafts.

        Args:
            marks: their tokens.
            known: what is stored already, and so was public once.
            recheck: that too: drafts were let in, or an earlier release judged less. Then only a page that says so makes a draft.
        """
        if self.include:
            return
        for own in [each for each in marks if each in self.asked and not marks[each].startswith("0|")]:
            del self.asked[own]
        doubtful = {
            own
            for own, mark in marks.items()
            if mark.startswith("0|") and own not in self.shown and (recheck or own not in known)
        }
        few = max(FEW, len(marks) // PER_PAGE)
        for retired, lists in enumerate(_LISTS):
            group = {own for own in doubtful if marks[own].split("|")[2] == str(retired)}
            left = set(group)
            for filters in lists:
                if len(left) <= few or self.unlisted:
                    break
                left -= await self._sweep(filters, left)
            for own in group - left:
                self._is_public(own)
            for own in sorted(left, key=int):
                await self._ask(own, stored=own in known)

    async def _sweep(self, filters: Mapping[str, str], wanted: set[str]) -> set[str]:
        """Which of these a list shows: read no further than needed, and again where rows came twice, for then others did not come."""
        found = set[str]()
        for turn in range(_SWEEPS):
            # Another order has its ties elsewhere.
            order = {k: v for k, v in filters.items() if turn % 2 == 0 or v != "created_at"}
            before, twice, page = len(found), False, 0
            seen = set[str]()
            while not wanted <= found:
                page += 1
                ids = await self.api.listed(page, order)
                if ids is None:
                    self.unlisted = True
                    return found
                twice = twice or not seen.isdisjoint(ids)
                new = set(ids) - seen
                seen |= new
                found |= wanted & new
                if len(ids) < PER_PAGE or not new:
                    break
            rest = len(wanted - found)
            if not twice or rest <= max(FEW, page) or len(found) == before:
                break
        return found

    async def _ask(self, own: str, *, stored: bool = False) -> None:
        draft = None
        if not self.closed and self.pages < MOST:
            draft = await self._page(own)
        if draft is None:
            if not stored:
                self.asked.setdefault(own, None)
            self.waiting += 1
        elif draft:
            self.asked[own] = self.now.isoformat()
        else:
            self._is_public(own)

    async def _page(self, own: str) -> bool | None:
        """What the page of a proposal says; None: nothing."""
        from .pages import draft_on  # reading need not load what parses pages where nothing is in doubt

        self.pages += 1
        try:
            answer = await self.api.page_of(own)
        except Throttled:
            raise
        except ConnectorError:
            return None
        if answer.status in {401, 403}:
            self.closed = True
        return draft_on(answer.text, own) if answer.status == 200 else None

    def _is_public(self, own: str) -> None:
        self.asked.pop(own, None)
        self.shown.add(own)

    async def again(self) -> list[str]:
        """Ask a few again, those longest ago first; which of them are public now."""
        if self.include or self.closed:
            return []
        late = (self.now - _AGAIN_AFTER).isoformat()
        order = sorted(self.asked, key=lambda own: (self.asked[own] or "", int(own)))
        overdue = sum(1 for own in order if (self.asked[own] or "") < late)
        count = min(20, max(1, overdue, -(-len(order) // 20)))
        published: list[str] = []
        for own in order[:count]:
            if (self.asked[own] or "") < self.now.isoformat():
                await self._ask(own)
                published += [own] if own not in self.asked else []
        return published
