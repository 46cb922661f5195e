"""Decidim's open data as a second source: comments, amendments and what is moderated; never the texts of proposals.

It is made nightly, so it may be a day old: what it lacks is new or hidden, and only things older than its newest row are called
hidden (docs/platforms/decidim.md 5).
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from ..contract import Item, Page, Stored
from ..errors import Malformed, NotFound, Refused
from .api import Api
from .dialects import Dialect, comments_document, replies_document
from .mapping import Mapper, target_of_url

SCOPE = "comments"
_REPLY = "Decidim::Comments::Comment"
_PROPOSALS, _COMMENTS = "open-data/download/proposals", "open-data/download/proposal_comments"


class OpenData:
    """What one pull knows from open data, and the comments."""

    def __init__(self, api: Api, mapper: Mapper, dialect: Dialect, stored: Stored, locale: str) -> None:
        self.api = api
        self.mapper = mapper
        self.dialect = dialect
        self.stored = stored
        self.locale = locale
        self.amendments: dict[str, str] = dict(stored.memory("amendments") or {})
        self.hidden: set[str] = set(stored.memory("hidden") or ())
        self.counts: dict[str, tuple[str, int]] = {}
        self.members: dict[str, set[str]] = {}
        self.fresh: set[str] = set()
        self.before: set[str] = set()
        """Seen by the process that this pull resumes."""
        self.components: Mapping[str, Any] = {}
        self.zip_comments: list[dict[str, str]] | None = None

    @property
    def single_files(self) -> bool:
        """Whether each file can be had alone (0.30 and later)."""
        return self.dialect.taxonomies

    async def second_source(self, *, full: bool, done: Collection[str]) -> AsyncIterator[Page]:
        """Which proposals are amendments, and (on unchecked releases) which are hidden; when everything is read."""
        if not self.api.settings.open_data or not (full or self.stored.memory("second_source") is None):
            return
        if "second-source" in done:
            return
        try:
            if self.single_files:
                rows, _, _ = await self.api.open_data(_PROPOSALS, None)
                exported = rows or []
            else:
                files = await self.api.open_data_zip()
                exported, self.zip_comments = files.get("proposals", []), files.get("proposal_comments")
        except (NotFound, Malformed, Refused) as error:
            note = f"open data could not be read: {error.message}"
            # A site without such a file is not asked again before the next full pull; anything else may be better next time.
            memory = {"second_source": False} if isinstance(error, NotFound) else {}
            yield Page("open-data", memory=memory, note=note)
            return
        self.amendments = {
            row["id"]: _last_number(row.get("original_proposal/url", ""))
            for row in exported
            if row.get("is_amend", "").lower() == "true" and row.get("id")
        }
        learned: dict[str, Any] = {"second_source": self.single_files or None, "amendments": self.amendments}
        if not self.dialect.checked:
            self.exported = {int(row["id"]) for row in exported if row.get("id", "").isdigit()}
            self.hidden = _Older(self.exported)
        # A list of what is hidden is needed again by the run that continues this one.
        alone = self.single_files and self.dialect.checked
        yield Page("open-data", memory=learned, done=["second-source"] if alone else ())

    def back(self) -> Mapping[str, Any]:
        """Forget how many comments a proposal had that came back: kept with its page, should this run be interrupted."""
        known: dict[str, int] = self.stored.memory("comment_counts") or {}
        if self.fresh.isdisjoint(known):
            return {}
        return {"comment_counts": {own: count for own, count in known.items() if own not in self.fresh}}

    exported: "set[int] | None" = None

    def learned(self) -> Mapping[str, Any]:
        """What the next, lighter pull must know: the hidden proposals that were met."""
        if self.zip_comments is None and not isinstance(self.hidden, _Older):
            return {}
        hidden = sorted(self.hidden.met, key=int) if isinstance(self.hidden, _Older) else []
        return {"hidden": hidden, "second_source": True}

    async def comments(
        self, components: Mapping[str, Any], counts: Mapping[str, tuple[str, int]], *, full: bool
    ) -> AsyncIterator[Page]:
        """Comments: the file when it changed, then live what the file is too old for."""
        self.components = components
        known: dict[str, int] = dict(self.stored.memory("comment_counts") or {})
        for own in self.fresh:
            known.pop(own, None)  # new, or back after it was hidden: its comments went with it
        if self.single_files and self.api.settings.open_data:
            try:
                async for page in self._from_file(known):
                    yield page
            except (NotFound, Malformed) as error:
                yield Page("open-data", note=f"comments one by one, open data could not be read: {error.message}")
        elif self.zip_comments is not None:
            async for page in self._rows(self.zip_comments, known, {}):
                yield page
        behind = [own for own, (_, count) in counts.items() if known.get(own, 0) != count and (count or known.get(own))]
        async for page in self._live(behind, known, counts):
            yield page

    async def _from_file(self, known: dict[str, int]) -> AsyncIterator[Page]:
        kept = self.stored.memory("comments_file") or {}
        rows, etag, path = await self.api.open_data(kept.get("path") or _COMMENTS, kept.get("etag"))
        if rows is not None:
            async for page in self._rows(rows, known, {"comments_file": {"etag": etag, "path": path}}):
                yield page

    async def _rows(
        self, rows: Sequence[Mapping[str, str]], known: dict[str, int], memory: Mapping[str, Any]
    ) -> AsyncIterator[Page]:
        """The rows of the file in pages; the file holds all, so the last page claims so."""
        known.clear()
        items: list[Item] = []
        kept: set[str] = set()
        alive = await self._alive()
        for row in sorted(rows, key=lambda each: int(each.get("depth") or 0)):
            target = target_of_url(row.get("root_commentable_url", ""))
            if target is None or not row.get("id"):
                continue
            own = target.partition("/")[2]
            known[own] = known.get(own, 0) + 1
            # The file may be older than what was hidden since; and a reply to something hidden is shown nowhere.
            orphan = row.get("commentable_type") == _REPLY and row.get("commentable_id") not in kept
            if orphan or (target.startswith("proposal/") and own not in alive):
                continue
            kept.add(row["id"])
            items.append(self._row(row, target))
        for start in range(0, len(items), 1000):
            yield Page(SCOPE, items[start : start + 1000], total=len(items))
        yield Page(SCOPE, complete=True, memory={**memory, "comment_counts": dict(known)})

    async def _alive(self) -> set[str]:
        """The proposals that are there: those just seen, and those of components that did not change."""
        alive = set(self.counts) | self.before
        for own in self.components:
            if own not in self.members:
                tokens = await self.stored.tokens(f"proposals@component/{own}")
                alive.update(each.partition("/")[2] for each in tokens)
        return alive

    def _row(self, row: Mapping[str, str], target: str) -> Item:
        parent = row.get("commentable_id") if row.get("commentable_type") == _REPLY else None
        author = row.get("author/id")
        raw: dict[str, Any] = {
            "id": row["id"],
            "target": target,
            "parent": f"comment/{parent}" if parent else None,
            "body": row.get("body"),
            "locale": row.get("locale") or None,
            "alignment": int(row.get("alignment") or 0),
            "createdAt": row.get("created_at"),
        }
        if author:
            raw["_author"] = {"id": author, "name": row.get("author/name"), "__typename": "User"}
        return self.mapper.comment(raw, None, None)

    async def _live(
        self, ids: Sequence[str], known: dict[str, int], counts: Mapping[str, tuple[str, int]]
    ) -> AsyncIterator[Page]:
        """Comments of single proposals, to their full depth (docs/platforms/decidim.md 1.12)."""
        by_component: dict[str, list[str]] = {}
        for own in ids:
            by_component.setdefault(counts[own][0], []).append(own)
        for component, wanted in by_component.items():
            for start in range(0, len(wanted), self.dialect.aliases):
                part = wanted[start : start + self.dialect.aliases]
                async for page in self._batch(component, part, known, counts):
                    yield page

    async def _batch(
        self, component: str, part: Sequence[str], known: dict[str, int], counts: Mapping[str, tuple[str, int]]
    ) -> AsyncIterator[Page]:
        data, _ = await self.api.ask(comments_document(component, part))
        answered = data.get("component") or {}
        items: list[Item] = []
        deeper: list[tuple[str, str]] = []
        unreadable: list[str] = []
        for position, own in enumerate(part):
            node = answered.get(f"c{position}")
            if not isinstance(node, dict):
                unreadable.append(own)
                continue
            self._walk(node.get("comments") or (), f"proposal/{own}", None, items, deeper)
            known[own] = counts[own][1]
        while deeper:
            batch, deeper = deeper[: self.dialect.aliases], deeper[self.dialect.aliases :]
            data, _ = await self.api.ask(replies_document([own for own, _ in batch], self.locale))
            for position, (own, target) in enumerate(batch):
                node = data.get(f"c{position}")
                if isinstance(node, dict):
                    self._walk(node.get("comments") or (), target, own, items, [])
        note = (
            f"comments of {len(unreadable)} proposals could not be read: one of them was deleted"
            if unreadable
            else None
        )
        for own in unreadable:
            known[own] = counts[own][1]
        yield Page(SCOPE, items, memory={"comment_counts": dict(known)}, note=note)

    def _walk(
        self, comments: Sequence[Any], target: str, parent: str | None, items: list[Item], deeper: list[tuple[str, str]]
    ) -> None:
        for comment in comments:
            if not isinstance(comment, dict):
                continue
            own = str(comment["id"])
            raw: dict[str, Any] = {
                "id": own,
                "target": target,
                "parent": f"comment/{parent}" if parent else None,
                "body": comment.get("body"),
                "locale": None,
                "alignment": comment.get("alignment") or 0,
                "createdAt": comment.get("createdAt"),
            }
            items.append(self.mapper.comment(raw, comment.get("upVotes"), comment.get("downVotes")))
            if "comments" in comment:
                self._walk(comment["comments"] or (), target, own, items, deeper)
            elif comment.get("hasComments"):
                deeper.append((own, target))

    async def comment_is_there(self, own: str) -> bool | None:
        """Whether a single comment can still be read."""
        data, _ = await self.api.ask(replies_document([own], self.locale))
        return data.get("c0") is not None


class _Older(set[str]):
    """Hidden on unchecked releases: not exported although older than the newest that is."""

    def __init__(self, exported: set[int]) -> None:
        super().__init__()
        self._exported = exported
        self.met: set[str] = set()
        self._newest = max(exported, default=0)

    def __contains__(self, own: object) -> bool:
        text = str(own)
        hidden = text.isdigit() and int(text) < self._newest and int(text) not in self._exported
        if hidden:
            self.met.add(text)
        return hidden


def _last_number(url: str) -> str:
    return "".join(character for character in url.rstrip("/").rpartition("/")[2] if character.isdigit())
