"""Trees of comments, live and to their full depth, around the holes that deleted comments tear (docs/platforms/decidim.md 1.7 Q5, 1.12).

One deleted comment turns every list it stands in null, and what holds the list with it; where authors are asked for, so does one
deleted account. So a tree is asked for with authors, then without, then one level at a time; what still cannot be listed is asked for
one by one, by ids that somebody else knows. Writes nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..contract.values import flat, identity, inside
from .api import doubtful
from .dialects import (
    ONE_LEVEL,
    WITH_AUTHORS,
    WITHOUT,
    Depth,
    Dialect,
    comments_document,
    members_document,
    replies_document,
    single_comments_document,
)
from .languages import Languages

MOST_SINGLES = 100
"""So many comments of one tree are asked for one by one."""


@dataclass(slots=True)
class CommentTree:
    """The comments of one proposal, debate or project."""

    comments: list[tuple[dict[str, Any], str | None]] = field(default_factory=list[tuple[dict[str, Any], str | None]])
    """With the id of the comment that each answers. One without `author` was read without: nobody said who wrote it."""
    broken: list[str | None] = field(default_factory=list[str | None])
    """The lists that cannot be read, as a deleted comment stands in them: of which comment, None the tree's own."""
    ids: set[str] = field(default_factory=set[str])
    withheld: set[str] = field(default_factory=set[str])
    """Asked for one by one, and not shown."""
    orphans: int = 0
    """Replies to what is withheld: counted by the platform, and shown nowhere."""
    named: bool = False
    """Whether somebody named everything that stands in the broken lists."""

    def add(self, node: dict[str, Any], parent: str | None) -> None:
        """One more, unless it is there already."""
        own = str(node["id"])
        if own not in self.ids:
            self.ids.add(own)
            self.comments.append((node, parent))

    def drop(self, deleted: Collection[str]) -> None:
        """Take out deleted comments, which a release shows all the same, and what answers them: counted, and shown nowhere."""
        kept: list[tuple[dict[str, Any], str | None]] = []
        for node, parent in self.comments:
            own = str(node["id"])
            if own in deleted:
                self.withheld.add(own)
            elif parent in self.withheld:
                self.withheld.add(own)
                self.orphans += 1
            else:
                kept.append((node, parent))
        self.comments = kept
        self.ids -= self.withheld

    def whole(self, count: int) -> bool:
        """Whether nothing public can be missing. `count`: how many the platform says there are."""
        return not self.broken or len(self.comments) + self.orphans == count or (self.named and self.broken == [None])


class CommentTrees:
    """Asks one site."""

    def __init__(self, dialect: Dialect, languages: Languages, *, names: bool = False) -> None:
        self.dialect = dialect
        self.languages = languages
        self._with_authors = Depth(WITH_AUTHORS.levels, author=True, names=names)
        self.unsure: set[str] = set()
        """Single comments that were answered by an error: whether they are there nobody knows."""
        self._steps = (self._with_authors, WITHOUT, ONE_LEVEL)

    async def read(self, kind: str, component: str, ids: Sequence[str]) -> dict[str, CommentTree]:
        """The trees of so many proposals, debates or projects of a component as one request may name."""
        trees = {own: CommentTree() for own in ids}
        deeper: list[tuple[str, CommentTree]] = []
        waiting = list(ids)
        for step in self._steps:
            data = await self._ask(partial(comments_document, kind, component, waiting, depth=step))
            answered = data if "component" not in data else data["component"] or {}
            waiting = self._walk_all(answered, [(own, trees[own], None) for own in waiting], deeper)
            if not waiting:
                break
        for own in waiting:
            trees[own].broken.append(None)
        await self._descend(deeper)
        for tree in trees.values():
            await self._learn_authors(tree)
        return trees

    async def mend(self, tree: CommentTree, known: Mapping[str, str | None]) -> None:
        """Ask one by one for what may be missing in a broken tree: ids, with the comment that each answers."""
        # What answers something is younger than it.
        wanted = sorted((own for own in known if own not in tree.ids | tree.withheld), key=int)[-MOST_SINGLES:]
        alive = await self._signed(wanted)
        tree.withheld.update(own for own in wanted if own not in alive)
        for own in wanted:
            parent = known[own]
            # A reply to something that is not shown is shown nowhere.
            if own in alive and parent in tree.withheld:
                tree.withheld.add(own)
                tree.orphans += 1
            elif own in alive and own not in tree.ids and (parent is None or parent in tree.ids):
                tree.add(alive[own], parent)
                await self._descend([(own, tree)] if alive[own].get("hasComments") else [])

    async def find(self, tree: CommentTree, kind: str, component: str, own: str, candidates: Collection[str]) -> None:
        """Which of these comments stand in the lists of a tree that cannot be read: for ids of which only the number is known."""
        for parent in list(tree.broken):
            wanted = sorted((each for each in candidates if each not in tree.ids), key=int)
            for start in range(0, len(wanted), self.dialect.aliases):
                part = wanted[start : start + self.dialect.aliases]
                data = await self._ask(partial(members_document, kind, component, own, parent, part))
                answered = data if "component" not in data else data["component"] or {}
                for position in range(len(part)):
                    for node in flat(inside(answered, f"c{position}", "comments")):
                        if identity(node) in part:
                            tree.add(node, parent)
                            await self._descend([(str(node["id"]), tree)] if node.get("hasComments") else [])

    async def singles(self, ids: Sequence[str], depth: Depth = ONE_LEVEL) -> dict[str, dict[str, Any]]:
        """Those of these comments that everybody may see; with `depth.author` only those whose authors are there too."""
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), self.dialect.aliases):
            part = ids[start : start + self.dialect.aliases]
            data, errors = await self.languages.ask(partial(single_comments_document, part, depth=depth))
            for position, own in enumerate(part):
                node = data.get(f"c{position}")
                if isinstance(node, dict) and identity(node) == own:
                    found[own] = node
                elif node is not None or _told_otherwise(errors, f"c{position}"):
                    self.unsure.add(own)
        return found

    async def _signed(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        found = await self.singles(ids, Depth(1, True, self._with_authors.names))
        unsigned = await self.singles([each for each in ids if each not in found])
        return found | {own: {**node, "author": None} for own, node in unsigned.items()}

    async def learn_authors(self, trees: Collection[CommentTree]) -> None:
        """Ask one by one who wrote what was read without authors."""
        for tree in trees:
            await self._learn_authors(tree)

    async def _learn_authors(self, tree: CommentTree) -> None:
        unsigned = [node for node, _ in tree.comments if "author" not in node]
        if not unsigned or len(unsigned) > MOST_SINGLES:
            return
        signed = await self.singles([str(node["id"]) for node in unsigned], Depth(1, True, self._with_authors.names))
        for node in unsigned:
            # Shown without its author and not with it: the account is deleted or blocked.
            node["author"] = signed.get(str(node["id"]), {}).get("author")

    async def _descend(self, deeper: list[tuple[str, CommentTree]]) -> None:
        while deeper:
            batch, deeper = deeper[: self.dialect.aliases], deeper[self.dialect.aliases :]
            waiting = dict(batch)
            for step in self._steps:
                data = await self._ask(partial(replies_document, list(waiting), depth=step))
                left = self._walk_all(data, [(own, tree, own) for own, tree in waiting.items()], deeper)
                waiting = {own: waiting[own] for own in left}
                if not waiting:
                    break
            for own, tree in waiting.items():
                tree.broken.append(own)

    def _walk_all(
        self,
        answered: Any,
        asked: Sequence[tuple[str, CommentTree, str | None]],
        deeper: list[tuple[str, CommentTree]],
    ) -> list[str]:
        """Take what came; returns what did not."""
        left: list[str] = []
        for position, (own, tree, parent) in enumerate(asked):
            # No list is no empty one: it is asked for in another way.
            listed = inside(answered, f"c{position}", "comments")
            if isinstance(listed, list):
                self._walk(listed, tree, parent, deeper)
            else:
                left.append(own)
        return left

    def _walk(
        self, comments: Sequence[Any], tree: CommentTree, parent: str | None, deeper: list[tuple[str, CommentTree]]
    ) -> None:
        for node in comments:
            own = identity(node)
            if own is None:
                # Something stands here of which nobody knows what it is: the list does not show all of itself.
                if parent not in tree.broken:
                    tree.broken.append(parent)
                continue
            tree.add(node, parent)
            if isinstance(node.get("comments"), list):
                self._walk(node["comments"], tree, own, deeper)
            elif node.get("hasComments"):
                deeper.append((own, tree))

    async def _ask(self, document: Callable[[str], str]) -> dict[str, Any]:
        data, _ = await self.languages.ask(document)
        return data


def _told_otherwise(errors: Sequence[Any], alias: str) -> bool:
    """Whether an error says of this very comment something else than that it is not shown. Errors without a path tell nothing here: up to
    0.29 they come with every deleted account."""
    return doubtful([each for each in errors if isinstance(each, dict) and isinstance(each.get("path"), list)], alias)
