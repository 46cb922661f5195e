"""Trees of comments, live and to their full depth, around the holes that deleted comments tear (docs/platforms/decidim.md 1.7 Q5, 1.12).

One deleted comment turns every list it stands in null, and what holds the list with it. So a tree is asked for two levels at a time,
then one at a time; what still cannot be listed is asked for one by one, by ids that somebody else knows. Writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .api import Api
from .dialects import Dialect, comments_document, replies_document, single_comments_document


@dataclass(slots=True)
class CommentTree:
    """The comments of one proposal, debate or project. `broken`: a list of them cannot be read, as a deleted one stands in it."""

    comments: list[tuple[dict[str, Any], str | None]] = field(default_factory=list[tuple[dict[str, Any], str | None]])
    """With the id of the comment that each answers."""
    broken: bool = False
    ids: set[str] = field(default_factory=set[str])

    def add(self, node: dict[str, Any], parent: str | None) -> None:
        """One more, unless it is there already."""
        own = str(node["id"])
        if own not in self.ids:
            self.ids.add(own)
            self.comments.append((node, parent))


class CommentTrees:
    """Asks one site."""

    def __init__(self, api: Api, dialect: Dialect, locale: str) -> None:
        self.api = api
        self.dialect = dialect
        self.locale = locale

    async def read(self, kind: str, component: str, ids: Sequence[str]) -> dict[str, CommentTree]:
        """The trees of so many proposals, debates or projects of a component as one request may name."""
        trees = {own: CommentTree() for own in ids}
        deeper: list[tuple[str, CommentTree]] = []
        waiting = list(ids)
        for levels in (2, 1):
            data = await self._ask(comments_document(kind, component, waiting, self.locale, levels=levels))
            answered = data if "component" not in data else data["component"] or {}
            waiting = self._walk_all(answered, [(own, trees[own], None) for own in waiting], deeper)
            if not waiting:
                break
        for own in waiting:
            trees[own].broken = True
        await self._descend(deeper)
        return trees

    async def mend(self, tree: CommentTree, known: Mapping[str, str | None]) -> None:
        """Ask one by one for what may be missing in a broken tree: ids, with the comment that each answers."""
        # What answers something is younger than it.
        wanted = sorted((own for own in known if own not in tree.ids), key=int)
        alive = await self.singles(wanted)
        for own in wanted:
            parent = known[own]
            # A reply to something that is not shown is shown nowhere.
            if own in alive and own not in tree.ids and (parent is None or parent in tree.ids):
                tree.add(alive[own], parent)
                await self._descend([(own, tree)] if alive[own].get("hasComments") else [])

    async def singles(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those of these comments that everybody may see."""
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), self.dialect.aliases):
            part = ids[start : start + self.dialect.aliases]
            data = await self._ask(single_comments_document(part, self.locale))
            nodes = {own: data.get(f"c{position}") for position, own in enumerate(part)}
            found.update((own, node) for own, node in nodes.items() if isinstance(node, dict))
        return found

    async def _descend(self, deeper: list[tuple[str, CommentTree]]) -> None:
        while deeper:
            batch, deeper = deeper[: self.dialect.aliases], deeper[self.dialect.aliases :]
            waiting = dict(batch)
            for levels in (2, 1):
                data = await self._ask(replies_document(list(waiting), self.locale, levels=levels))
                left = self._walk_all(data, [(own, tree, own) for own, tree in waiting.items()], deeper)
                waiting = {own: waiting[own] for own in left}
                if not waiting:
                    break
            for tree in waiting.values():
                tree.broken = True

    def _walk_all(
        self,
        answered: Mapping[str, Any],
        asked: Sequence[tuple[str, CommentTree, str | None]],
        deeper: list[tuple[str, CommentTree]],
    ) -> list[str]:
        """Take what came; returns what did not."""
        left: list[str] = []
        for position, (own, tree, parent) in enumerate(asked):
            node = answered.get(f"c{position}")
            if isinstance(node, dict):
                self._walk(node.get("comments") or (), tree, parent, deeper)
            else:
                left.append(own)
        return left

    def _walk(
        self, comments: Sequence[Any], tree: CommentTree, parent: str | None, deeper: list[tuple[str, CommentTree]]
    ) -> None:
        for node in comments:
            if not isinstance(node, dict):
                continue
            own = str(node["id"])
            tree.add(node, parent)
            if "comments" in node:
                self._walk(node["comments"] or (), tree, own, deeper)
            elif node.get("hasComments"):
                deeper.append((own, tree))

    async def _ask(self, document: str) -> dict[str, Any]:
        data, _ = await self.api.ask(document)
        return data
