"""The comments of one pull: from the site's open-data files where they changed, else live where a number of comments did.

A file holds all comments of proposals, or of debates; projects have none (docs/platforms/decidim.md 5). Without a file what is not
re-read counts as present, so that a sweep is complete all the same.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from ...core.identity import Ref
from ..contract.errors import Malformed, NotFound
from ..contract.reading import Item, Page, Stored
from .api import Api
from .comment_trees import CommentTree, CommentTrees
from .dialects import Dialect
from .mapping import Mapper, comments_in, target_of_url

KINDS = {"Proposals": "proposal", "Debates": "debate", "Budgets": "project"}
"""What people comment on in a component of each type."""
_SCOPES = {"proposal": "comments", "debate": "comments@debates", "project": "comments@projects"}
FILES = {"proposal": "open-data/download/proposal_comments", "debate": "open-data/download/debate_comments"}
REPLY = "Decidim::Comments::Comment"
_PAGE = 1000
_MOST_SINGLES = 40
"""So many comments of one broken tree are asked for one by one, the newest; older ones are known already."""


class Counted:
    """How many comments the rows of a kind have, as this pull sees it."""

    def __init__(self, kind: str, stored: Stored) -> None:
        self.kind = kind
        self.memory = "comment_counts" if kind == "proposal" else f"comment_counts@{kind}"
        self.stored = stored
        self.rows: dict[str, tuple[str, int]] = {}
        """Component and number, by id."""
        self.members: dict[str, set[Ref]] = {}
        """What the components that were read hold."""
        self.fresh: set[str] = set()
        """New, or back after it was hidden: its comments went with it."""
        self.before: set[str] = set()
        """Seen by the process that this pull resumes."""

    def see(self, component: str, node: Mapping[str, Any], known: Collection[str]) -> None:
        """A row of a component; `known`: ids that were stored before."""
        own, count = str(node.get("id")), node.get("totalCommentsCount")
        if own not in known:
            self.fresh.add(own)
        self.rows[own] = (component, count if isinstance(count, int) else 0)
        self.members.setdefault(component, set()).add(f"{self.kind}/{own}")

    def remember(self, component: str, tokens: Mapping[Ref, str]) -> None:
        """What the process that this pull continues knew of the rows it had read."""
        self.members.setdefault(component, set()).update(tokens)
        self.rows.update((each.partition("/")[2], (component, comments_in(mark))) for each, mark in tokens.items())

    def back(self) -> Mapping[str, Any]:
        """Forget how many comments a row had that came back: kept with its page, should this run be interrupted."""
        known: dict[str, int] = self.stored.memory(self.memory) or {}
        if self.fresh.isdisjoint(known):
            return {}
        return {self.memory: {own: count for own, count in known.items() if own not in self.fresh}}

    async def alive(self, components: Mapping[str, Any]) -> set[str]:
        """The ids of what is there: what was just seen, and what is in components that did not change."""
        alive = set(self.rows) | self.before
        for own, component in components.items():
            if own not in self.members and KINDS.get(str(component["type"])) == self.kind:
                tokens = await self.stored.tokens(f"{str(component['type']).lower()}@component/{own}")
                alive.update(each.partition("/")[2] for each in tokens)
        return alive


class CommentReader:
    """The comments on the rows of one kind."""

    def __init__(
        self, api: Api, mapper: Mapper, dialect: Dialect, counted: Counted, components: Mapping[str, Any], locale: str
    ) -> None:
        self.api = api
        self.mapper = mapper
        self.dialect = dialect
        self.counted = counted
        self.components = components
        self.kind = counted.kind
        self.stored = counted.stored
        self.scope = _SCOPES[self.kind]
        self.trees = CommentTrees(api, dialect, locale)
        self.known: dict[str, int] = dict(self.stored.memory(counted.memory) or {})
        for own in counted.fresh:
            self.known.pop(own, None)

    @property
    def _behind(self) -> list[str]:
        """What has another number of comments than when they were read."""
        rows, known = self.counted.rows, self.known
        return [own for own, (_, count) in rows.items() if known.get(own, 0) != count and (count or known.get(own))]

    async def pages(
        self, archive: Sequence[Mapping[str, str]] | None, *, full: bool, whole: bool
    ) -> AsyncIterator[Page]:
        """The file when it changed, then live what it is too old for.

        Args:
            archive: the rows of the file, where it was read as part of an archive.
            whole: no component was left out.
        """
        from_file = self.kind in FILES and self.dialect.release >= (0, 30) and self.api.settings.open_data
        if from_file and (self.kind == "proposal" or self._behind or (full and self.known)):
            try:
                async for page in self._file():
                    yield page
            except (NotFound, Malformed) as error:
                from_file = False
                yield Page("open-data", note=f"comments one by one, open data could not be read: {error.message}")
        elif archive is not None:
            async for page in self._rows(archive, {}):
                yield page
        if self.kind == "proposal" or from_file:
            async for page in self._upserts():
                yield page
        elif self._behind or self.stored.pending(self.scope):
            async for page in self._sweep(whole=whole):
                yield page

    async def _file(self) -> AsyncIterator[Page]:
        name = "comments_file" if self.kind == "proposal" else f"comments_file@{self.kind}"
        kept = self.stored.memory(name) or {}
        rows, etag, path = await self.api.open_data(kept.get("path") or FILES[self.kind], kept.get("etag"))
        if rows is not None:
            async for page in self._rows(rows, {name: {"etag": etag, "path": path}}):
                yield page

    async def _rows(self, rows: Sequence[Mapping[str, str]], memory: Mapping[str, Any]) -> AsyncIterator[Page]:
        """The rows of the file in pages; the file holds all, so the last page claims so."""
        self.known.clear()
        items: list[Item] = []
        kept: set[str] = set()
        alive = await self.counted.alive(self.components)
        for row in sorted(rows, key=lambda each: int(each.get("depth") or 0)):
            target = target_of_url(row.get("root_commentable_url", ""))
            if target is None or not target.startswith(f"{self.kind}/") or not row.get("id"):
                continue
            own = target.partition("/")[2]
            self.known[own] = self.known.get(own, 0) + 1
            # The file may be older than what was hidden since; and a reply to something hidden is shown nowhere.
            orphan = row.get("commentable_type") == REPLY and row.get("commentable_id") not in kept
            if orphan or own not in alive:
                continue
            kept.add(row["id"])
            items.append(self._row(row, target))
        for start in range(0, len(items), _PAGE):
            yield Page(self.scope, items[start : start + _PAGE], total=len(items))
        yield Page(self.scope, complete=True, memory={**memory, self.counted.memory: dict(self.known)})

    def _row(self, row: Mapping[str, str], target: Ref) -> Item:
        parent = row.get("commentable_id") if row.get("commentable_type") == REPLY else None
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

    async def _batches(self) -> AsyncIterator[dict[str, CommentTree]]:
        """What is behind, read live and mended: as many trees at a time as a request may name."""
        by_component: dict[str, list[str]] = {}
        for own in self._behind:
            by_component.setdefault(self.counted.rows[own][0], []).append(own)
        for component, wanted in by_component.items():
            for start in range(0, len(wanted), self.dialect.aliases):
                part = wanted[start : start + self.dialect.aliases]
                trees = await self.trees.read(self.kind, component, part)
                broken = {own: tree for own, tree in trees.items() if tree.broken}
                marks = await self.stored.tokens(self.scope) if broken else {}
                for own, tree in broken.items():
                    await self.trees.mend(tree, _newest(_answers(marks, f"{self.kind}/{own}")))
                yield trees

    async def _upserts(self) -> AsyncIterator[Page]:
        """What is behind, beside a file that finds what is gone."""
        async for trees in self._batches():
            self.known.update((own, self.counted.rows[own][1]) for own in trees)
            items = [item for own, tree in trees.items() for item in self._items(own, tree)]
            yield Page(self.scope, items, memory={self.counted.memory: dict(self.known)}, note=self._note(trees))

    async def _sweep(self, *, whole: bool) -> AsyncIterator[Page]:
        """What is behind; everything else counts as present, but for what the last sweep missed."""
        marks = dict(await self.stored.tokens(self.scope))
        read: dict[str, int] = {}
        kept = set(marks) - set(self.stored.pending(self.scope))
        async for trees in self._batches():
            for own, tree in trees.items():
                read[own] = self.counted.rows[own][1]
                known = _answers(marks, f"{self.kind}/{own}")
                asked = _newest(known) if tree.broken else known
                kept.difference_update(f"comment/{each}" for each in asked)
            items = [item for own, tree in trees.items() for item in self._items(own, tree)]
            yield Page(self.scope, items, note=self._note(trees))
        self.known.update(read)
        alive = await self.counted.alive(self.components)
        present = [each for each in kept if marks[each].partition(">")[0].partition("/")[2] in alive]
        # The numbers are kept at the end only: an interrupted sweep must read the same again.
        memory = {self.counted.memory: {own: count for own, count in self.known.items() if own in alive}}
        yield Page(self.scope, present=present if whole else (), complete=whole, memory=memory)

    def _items(self, own: str, tree: CommentTree) -> list[Item]:
        items: list[Item] = []
        for comment, parent in tree.comments:
            raw: dict[str, Any] = {
                "id": str(comment["id"]),
                "target": f"{self.kind}/{own}",
                "parent": f"comment/{parent}" if parent else None,
                "body": comment.get("body"),
                "locale": None,
                "alignment": comment.get("alignment") or 0,
                "createdAt": comment.get("createdAt"),
            }
            items.append(self.mapper.comment(raw, comment.get("upVotes"), comment.get("downVotes")))
        return items

    def _note(self, trees: Mapping[str, CommentTree]) -> str | None:
        short = [own for own, tree in trees.items() if tree.broken and len(tree.comments) < self.counted.rows[own][1]]
        if not short:
            return None
        then = "; open data brings what is missing" if self.kind in FILES and self.api.settings.open_data else ""
        return f"comments of {len(short)} {self.kind}s could not all be read, as one of them was deleted{then}"


async def shown(trees: CommentTrees, stored: Stored, ids: Sequence[str]) -> set[str]:
    """Which of these comments are shown: neither they nor what they answer is hidden or deleted."""
    if not ids:
        return set()
    above: dict[str, str] = {}
    for scope in _SCOPES.values():
        marks = await stored.tokens(scope)
        above.update((each.partition("/")[2], mark.partition(">")[2]) for each, mark in marks.items())
    chains: dict[str, list[str]] = {}
    for own in ids:
        chain = chains[own] = [own]
        while (parent := above.get(chain[-1])) and parent not in chain:
            chain.append(parent)
    readable = await trees.singles(list(dict.fromkeys(each for chain in chains.values() for each in chain)))
    return {own for own, chain in chains.items() if all(each in readable for each in chain)}


def _answers(marks: Mapping[Ref, str], target: Ref) -> dict[str, str | None]:
    """The stored comments on something: ids, with the comment that each answers."""
    found: dict[str, str | None] = {}
    for reference, mark in marks.items():
        on, _, parent = mark.partition(">")
        if on == target:
            found[reference.partition("/")[2]] = parent or None
    return found


def _newest(known: Mapping[str, str | None]) -> dict[str, str | None]:
    return {own: known[own] for own in sorted(known, key=int)[-_MOST_SINGLES:]}
