"""Decidim's open data as a second source: amendments and what is moderated; never the texts of proposals.

It is no witness of now: a single file is made once and never again, an archive can die for good (docs/platforms/decidim.md 5). So it
only adds amendments to those that the interface names; only on releases that show what is hidden, where nothing else tells, what is
older than its newest row and not in it is called hidden, and what two nights' files do not hold any more.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from ..contract.errors import Malformed, NotAllowed, NotFound, Unreachable
from ..contract.reading import Page, Stored
from ..contract.values import whole
from . import exports
from .api import Api
from .dialects import Dialect

_READ_AGAIN = timedelta(hours=20)
_PROPOSALS = "open-data/download/proposals"


class OpenData:
    """What one pull knows from open data."""

    def __init__(self, api: Api, dialect: Dialect, stored: Stored) -> None:
        self.api = api
        self.dialect = dialect
        self.stored = stored
        self.amendments: dict[str, str] = dict(stored.memory("amendments") or {})
        self.hidden: set[str] = set(stored.memory("hidden") or ())
        self.zip_comments: list[exports.Row] | None = None

    @property
    def single_files(self) -> bool:
        """Whether each file can be had alone (0.30 and later)."""
        return self.dialect.release >= (0, 30)

    async def second_source(self, *, full: bool, done: Collection[str], anew: bool = False) -> AsyncIterator[Page]:
        """Which proposals are amendments, and (on unchecked releases) which are hidden; when everything is read.

        Where nothing else tells what is hidden it is read every day, whatever else is: nobody's hidden text may stay longer than that.
        `anew`: also in a run that reads proposals of which nothing is stored, for what was known of hidden ones says nothing of these.
        """
        due = full or self.stored.memory("second_source") is None or self._aged()
        due = due or (anew and not self.dialect.checked and self.stored.memory("second_source") is not False)
        if not self.api.settings.open_data or not due:
            return
        if "second-source" in done:
            return
        try:
            if self.single_files:
                rows, _, _ = await self.api.open_data(_PROPOSALS, None, exports.PROPOSALS)
                exported = rows or []
            else:
                files = await self.api.open_data_zip()
                exported, self.zip_comments = files.get("proposals", []), files.get("proposal_comments")
        except (NotFound, Malformed, NotAllowed, Unreachable) as error:
            if isinstance(error, Unreachable) and error.status is None:
                raise
            note = f"open data could not be read: {error.message}"
            # A site without such a file is not asked again before the next full pull; anything else may be better next time.
            memory = {"second_source": False} if isinstance(error, NotFound) else {}
            yield Page("open-data", memory=memory, note=note)
            return
        if not self.dialect.checked and not any(_is_id(row.get("id", "")) for row in exported):
            # A site with proposals has some in a good file; what was known of the hidden ones stays known.
            self.blank, self.zip_comments = True, None
            note = "the site's open data names no proposal: what was known of moderated proposals and of amendments is kept"
            yield Page("open-data", note=note)
            return
        # It only adds: a file is made once, or dies, and knows nothing of later amendments (docs/platforms/decidim.md 5).
        self.learn(
            {
                row["id"]: _last_number(row.get("original_proposal/url", ""))
                for row in exported
                if row.get("is_amend", "").lower() == "true" and row.get("id")
            }
        )
        learned: dict[str, Any] = {"second_source": self.single_files or None, "amendments": dict(self.amendments)}
        if not self.dialect.checked:
            now = self.api.clock.now()
            learned["second_source_at"] = now.isoformat()
            ids = {int(row["id"]) for row in exported if _is_id(row.get("id", ""))}
            learned["exported_to"], taken_out = _compared(self.stored.memory("exported_to"), max(ids), now)
            self.hidden = _Older(ids, self.hidden, taken_out)
        # A list of what is hidden is needed again by the run that continues this one.
        alone = self.single_files and self.dialect.checked
        yield Page("open-data", memory=learned, done=["second-source"] if alone else ())

    def _aged(self) -> bool:
        if self.dialect.checked or self.stored.memory("second_source") is False:
            return False
        at = self.stored.memory("second_source_at")
        return not isinstance(at, str) or self.api.clock.now() - datetime.fromisoformat(at) > _READ_AGAIN

    blank = False
    """Whether a file came that cannot be true: it names no proposal at all."""
    _untold = False

    def must_tell(self) -> None:
        """Proposals are about to be stored for the first time.

        Raises:
            Malformed: the interface shows moderated ones too, and the only file that tells them apart cannot be believed.
        """
        if self.blank and self.stored.memory("hidden") is None:
            raise Malformed(
                "the site's open data names no proposal, so nobody can tell which of them were moderated: none is stored",
                hint="the site's nightly export has to run once; `open_data: false` stores all that its interface shows",
            )

    def learn(self, amendments: Mapping[str, str]) -> None:
        """Emendations, and what they amend, as one more source names them."""
        new = {own: amended for own, amended in amendments.items() if self.amendments.get(own) != amended}
        self.amendments.update(new)
        self._untold = self._untold or bool(new)

    def told(self) -> Mapping[str, Any]:
        """What was learned since it was told last, to be kept."""
        if not self._untold:
            return {}
        self._untold = False
        return {"amendments": dict(self.amendments)}

    def learned(self) -> Mapping[str, Any]:
        """What the next, lighter pull must know: the hidden proposals that were met."""
        if self.zip_comments is None and not isinstance(self.hidden, _Older):
            return {}
        hidden = sorted(self.hidden.kept, key=int) if isinstance(self.hidden, _Older) else []
        return {"hidden": hidden, "second_source": True}


class _Older(set[str]):
    """Hidden on unchecked releases: not exported although older than the newest that is, or known before and newer (a file can be cut), or
    newer and missing in two files of different nights after an earlier one had it."""

    def __init__(self, exported: set[int], before: Collection[str], taken_out: range) -> None:
        """`taken_out`: newer than the newest that is exported, and taken out of the file again."""
        super().__init__()
        self._exported = exported
        self._taken_out = taken_out
        self._before = frozenset(before)
        self.met: set[str] = set()
        self._newest = max(exported, default=0)

    @property
    def kept(self) -> set[str]:
        """What the next run must know: what was met, and what was known before and is still left out, for not every run meets it."""
        return self.met | {own for own in self._before if int(own) not in self._exported}

    def __contains__(self, own: object) -> bool:
        text = str(own)
        if not _is_id(text) or int(text) in self._exported:
            return False
        hidden = int(text) < self._newest or text in self._before or int(text) in self._taken_out
        if hidden:
            self.met.add(text)
        return hidden


def _compared(before: Any, newest: int, now: datetime) -> tuple[dict[str, Any], range]:
    """What to remember of this file for the next one, and which ids above its newest were taken out of it.

    Where the newest proposal is hidden the file just ends earlier, as one that was cut does. Another night's file that ends before them as
    well is believed: what was exported once and is in neither was taken out. A file that is not made anew never ends earlier.
    """
    if not isinstance(before, dict):
        return {"to": newest, "newest": newest, "at": now.isoformat()}, range(0)
    highest, ended = max(before["to"], newest), before["newest"]
    another = now - datetime.fromisoformat(before["at"]) > _READ_AGAIN
    seen = {"to": highest, "newest": newest, "at": now.isoformat() if another or newest != ended else before["at"]}
    return seen, range(max(newest, ended) + 1, highest + 1) if another else range(0)


def _last_number(url: str) -> str:
    return "".join(character for character in url.rstrip("/").rpartition("/")[2] if character in "0123456789")


def _is_id(text: str) -> bool:
    return whole(text) is not None
