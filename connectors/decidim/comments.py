"""The comments of one pull: what moved since it was read, live, or from the site's open data where a file still speaks for it.

Every event of a comment moves `updatedAt` of what is commented (docs/platforms/decidim.md 2). So a thread whose date and number are those
it was read at need not be read at once; and a file speaks for exactly those threads that did not move after its newest row (5). An
author who is erased or blocked moves nothing (2): no date vouches for a thread, which is read again in time (`Revisit`). A thread that
was read whole is evidence: what is stored of it and was not shown is missing.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...core.identity import Ref
from ..contract.errors import ConnectorError, Malformed, NotAllowed, NotFound, Unreachable
from ..contract.reading import Item, Page, Stored
from ..contract.values import readable_count, whole
from .api import Api
from .comment_trees import MOST_SINGLES, CommentTree, CommentTrees
from .dialects import Dialect
from .halves import in_halves
from .languages import Languages
from .mapping import Mapper, MappingError, comments_in, moment, target_of_url
from .thread_marks import ThreadMarks
from .thread_pages import named_on_page
from .unflagged import Unflagged

KINDS = {"Proposals": "proposal", "Debates": "debate", "Budgets": "project"}
"""What people comment on in a component of each type."""
SCOPES = {"proposal": "comments", "debate": "comments@debates", "project": "comments@projects"}
FILES = {"proposal": "open-data/download/proposal_comments", "debate": "open-data/download/debate_comments"}
REPLY = "Decidim::Comments::Comment"
_PAGE = 1000
_FILE_WORTH = 3
"""A file is asked for when the threads that moved would take more requests than this."""
_OLD = timedelta(days=2)
_NAMED = 5
_GIVEN_UP = 3
"""So many threads in a row that the server fails on: then it is no single one."""
_ABOVE = 25
"""So many numbers above the highest known are asked for in a list that cannot be read."""


@dataclass(frozen=True, slots=True)
class Row:
    """Something that people comment on, as this pull saw it. `moved`: `updatedAt`, as it was written."""

    component: str
    count: int
    moved: str

    @property
    def as_read(self) -> str:
        """What stays the same while nothing happens to its comments."""
        return f"{self.count}|{self.moved}"


class Counted:
    """The rows of a kind with their numbers of comments, as this pull sees them."""

    def __init__(self, kind: str, stored: Stored) -> None:
        self.kind = kind
        self.stored = stored
        self.rows: dict[str, Row] = {}
        self.marks = ThreadMarks(stored, f"threads@{kind}")
        """Of the threads that were read: what stays the same while nothing happens to them."""
        self._behind = False

    @property
    def due(self) -> str:
        """The name of the memory that says: a run came to its end before it had read all threads that had moved."""
        return f"threads_due@{self.kind}"

    def see(self, component: str, node: Mapping[str, Any], known: Collection[str]) -> None:
        """A row of a component; `known`: ids that were stored before."""
        own, count = str(node.get("id")), readable_count(node.get("totalCommentsCount"))
        if own not in known:
            # New, or back after it was hidden: its comments went with it.
            self.marks.drop(own)
        self.rows[own] = Row(component, count, str(node.get("updatedAt")))
        self._behind = self._behind or self.moved(own)

    def remember(self, component: str, tokens: Mapping[Ref, str]) -> None:
        """What was known of the rows of a component that is not read now."""
        for each, mark in tokens.items():
            own = each.partition("/")[2]
            self.rows[own] = Row(component, *comments_in(mark))
            self._behind = self._behind or self.moved(own)

    def back(self) -> Mapping[str, Any]:
        """Kept with its page, should this run be interrupted: there is reading to do, and what came back is read anew."""
        return {**self.marks.told(), **({self.due: True} if self._behind else {})}

    def settled(self, *, due: bool) -> Mapping[str, Any]:
        """What to remember when the threads were read; `due`: some did not answer."""
        self._behind = False
        return {self.due: due}

    def moved(self, own: str) -> bool:
        """Whether something may have happened to its comments since they were read; what never had any needs no reading."""
        row, mark = self.rows[own], self.marks.get(own)
        return mark != row.as_read and (row.count > 0 or mark is not None)


class CommentReader:
    """The comments on the rows of one kind."""

    def __init__(
        self,
        api: Api,
        mapper: Mapper,
        dialect: Dialect,
        counted: Counted,
        components: Mapping[str, Any],
        languages: Languages,
        alive: Callable[[ConnectorError], Awaitable[None]],
        *,
        all_of_it: bool,
    ) -> None:
        """`alive` raises the error again where the whole site does not answer; `all_of_it`: no component is left out in this run."""
        self.api = api
        self.mapper = mapper
        self.dialect = dialect
        self.counted = counted
        self.components = components
        self.alive = alive
        self.kind = counted.kind
        self.stored = counted.stored
        self.scope = SCOPES[self.kind]
        self.trees = CommentTrees(dialect, languages, names=mapper.context.keep_names)
        self.marks = counted.marks
        self.open: dict[str, int] = dict(self.stored.memory(f"threads_open@{self.kind}") or {})
        """Threads that could not be read whole, and the highest comment that was known then."""
        self._before = dict(self.open)
        self.unflagged = Unflagged(api, dialect, self.stored.memory(unflagged_memory(self.kind)) or {})
        self._highest: int | None = None
        self._file: dict[str, list[Mapping[str, str]]] = {}
        self._known: dict[str, dict[str, str | None]] | None = None
        self._all_of_it = all_of_it
        self._short = 0
        self.broken: list[Ref] = []
        """What has threads that did not answer."""
        self._in_a_row = 0
        self._untold: dict[str, int] = {}
        """Threads in which so many comments are deleted that nobody names."""

    @property
    def behind(self) -> list[str]:
        """What moved since its comments were read."""
        return [own for own in self.counted.rows if self.counted.moved(own)]

    async def pages(self, archive: Sequence[Mapping[str, str]] | None) -> AsyncIterator[Page]:
        """What moved: from a file that speaks for it, else live. Of the rest nothing is said: it is read again in time (`Revisit`).

        Args:
            archive: the rows of the file, where it was read as part of an archive.
        """
        behind = self.behind
        if archive is None and len(behind) > _FILE_WORTH * self.dialect.aliases:
            archive, note = await self._download()
            if note:
                yield Page("open-data", note=note)
        if archive is not None and (behind or self.unflagged.applies):
            self._take(archive)
            for own in self.unflagged.exported(self._ids_in_file(), await self._stored()):
                if own in self.counted.rows:
                    self.marks.drop(own)
            for page in self._spoken_for(behind):
                yield page
        behind = self.behind
        if archive is not None and behind:
            note = self._age(behind)
            if note:
                yield Page("open-data", note=note)
        async for page in self.threads(behind):
            yield page
        self.marks.keep_only(self._there(), of=self.counted.rows)
        # A run of some components cannot know what an earlier one left in the others.
        left = not self._all_of_it and bool(self.stored.memory(self.counted.due))
        memory = {**self._memory(), **self.counted.settled(due=bool(self.broken) or left)}
        yield Page(self.scope, memory=memory, note=self._told(), failed=self.failed())

    def failed(self) -> str | None:
        """What to say of threads that did not answer."""
        if not self.broken:
            return None
        more = f" and {len(self.broken) - _NAMED} more" if len(self.broken) > _NAMED else ""
        return f"the comments of {', '.join(self.broken[:_NAMED])}{more} did not answer; the next run asks again"

    def _there(self) -> set[str]:
        """Rows that have comments, or had some when they were read last."""
        return {own for own, row in self.counted.rows.items() if row.count or own in self.open}

    def _memory(self) -> dict[str, Any]:
        """What changed of what is remembered."""
        found = dict(self.marks.told())
        if self.open != self._before:
            found[f"threads_open@{self.kind}"] = dict(self.open)
        deleted = self.unflagged.told()
        if deleted is not None:
            found[unflagged_memory(self.kind)] = deleted
        self._before = dict(self.open)
        return found

    def _told(self) -> str | None:
        notes: list[str] = []
        if self._short:
            notes.append(
                f"comments of {self._short} {self.kind}s could not all be read, as one of them was deleted: "
                "what nobody names can be missing"
            )
        if self._untold:
            notes.append(
                f"{sum(self._untold.values())} comments on {len(self._untold)} {self.kind}s are deleted, and this release does not say "
                "which: they stay until a newer archive of open data tells"
            )
        return "; ".join(notes) or None

    # The file ---------------------------------------------------------------------------------------------------------

    async def _download(self) -> tuple[Sequence[Mapping[str, str]] | None, str | None]:
        if self.kind not in FILES or self.dialect.release < (0, 30) or not self.api.settings.open_data:
            return None, None
        try:
            rows, _, _ = await self.api.open_data(FILES[self.kind], None)
        except (NotFound, Malformed, NotAllowed, Unreachable) as error:
            if isinstance(error, Unreachable) and error.status is None:
                raise
            return None, f"comments one by one, open data could not be read: {error.message}"
        return rows, None

    def _take(self, rows: Sequence[Mapping[str, str]]) -> None:
        """The rows of the file, by what they are on."""
        for row in rows:
            target = target_of_url(row.get("root_commentable_url", ""))
            if target is not None and target.startswith(f"{self.kind}/") and whole(row.get("id")) is not None:
                self._file.setdefault(target.partition("/")[2], []).append(row)

    def _ids_in_file(self) -> dict[str, list[str]]:
        return {own: [row["id"] for row in rows] for own, rows in self._file.items()}

    def _spoken_for(self, behind: Sequence[str]) -> Iterator[Page]:
        """The threads that did not move after the newest row of the file, and have as many comments as the file has."""
        newest = self._newest()
        self._highest = max((int(row["id"]) for found in self._file.values() for row in found), default=0)
        items: list[Item] = []
        targets: list[Ref] = []
        for own in behind:
            row, found = self.counted.rows[own], self._file.get(own, [])
            when = _time({"at": row.moved}, "at")
            if newest is None or when is None or when > newest or len(found) != row.count:
                continue
            if len(items) >= _PAGE:
                yield Page(self.scope, items, whole_of=targets)
                items, targets = [], []
            items += self._from_file(found, f"{self.kind}/{own}")
            targets.append(f"{self.kind}/{own}")
            self.marks.put(own, row.as_read)
            self.open.pop(own, None)
        yield Page(self.scope, items, whole_of=targets, memory=self._memory())

    def _newest(self) -> datetime | None:
        # A row of the future says nothing of when the file was made.
        now = self.mapper.context.clock.now()
        times = [_time(row, "created_at") for rows in self._file.values() for row in rows]
        return max((each for each in times if each is not None and each <= now), default=None)

    def _age(self, behind: Sequence[str]) -> str | None:
        """Say it where a file that is long out of date leaves much to be read live."""
        newest, now = self._newest(), self.mapper.context.clock.now()
        later = [own for own in behind if self.counted.rows[own].count]
        if newest is None or now - newest < _OLD or not later:
            return None
        return (
            f"the site's open data of comments ends {(now - newest).days} days ago and knows nothing of {len(later)} {self.kind}s "
            "that moved since: a file that is made once, or dies, stays as it is; their comments were read one by one"
        )

    def _from_file(self, rows: Sequence[Mapping[str, str]], target: Ref) -> Iterator[Item]:
        kept: set[str] = set()
        for row in sorted(rows, key=lambda each: (int(each.get("depth") or 0), int(each["id"]))):
            # A reply to something hidden is shown nowhere.
            if row.get("commentable_type") == REPLY and row.get("commentable_id") not in kept:
                continue
            kept.add(row["id"])
            yield self._row(row, target)

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
            "_author": {"id": author, "name": row.get("author/name"), "__typename": "User"} if author else None,
        }
        return self.mapper.comment(raw, None, None)

    # Live -------------------------------------------------------------------------------------------------------------

    async def threads(self, wanted: Sequence[str]) -> AsyncIterator[Page]:
        """Threads, live and mended: as many at a time as a request may name. `wanted` are rows of this pull."""
        by_component: dict[str, list[str]] = {}
        for own in wanted:
            by_component.setdefault(self.counted.rows[own].component, []).append(own)
        for component, rows in by_component.items():
            size = self.dialect.aliases
            parts = deque(rows[start : start + size] for start in range(0, len(rows), size))
            while parts:
                part = parts.popleft()
                try:
                    trees = await self.trees.read(self.kind, component, part)
                    for own, tree in trees.items():
                        if tree.broken:
                            await self._mend(component, own, tree)
                        if self.unflagged.applies:
                            await self._settle(component, own, tree)
                except ConnectorError as error:
                    await self.alive(error)
                    if len(part) > 1 and self._in_a_row < _GIVEN_UP:
                        # One that the server fails on hides no other.
                        half = len(part) // 2
                        parts.extendleft((part[half:], part[:half]))
                        continue
                    self._in_a_row += 1
                    self.broken += (f"{self.kind}/{own}" for own in part)
                    continue
                self._in_a_row = 0
                yield self._page(trees)

    def _page(self, trees: Mapping[str, CommentTree]) -> Page:
        """What these threads show; those that were read whole are evidence of absence."""
        items: list[Item] = []
        targets: list[Ref] = []
        absent: list[Ref] = []
        for own, tree in trees.items():
            row = self.counted.rows[own]
            items += self._items(own, tree)
            self.marks.put(own, row.as_read)
            if tree.whole(row.count):
                targets.append(f"{self.kind}/{own}")
                if own in self._untold:
                    self.open[own] = self._highest or 0
                else:
                    self.open.pop(own, None)
            else:
                self._short += 1
                known = (self._known or {}).get(own, {})
                absent += [f"comment/{each}" for each in tree.withheld if each in known]
                self.open[own] = self.open.get(own, self._highest or 0)
        return Page(self.scope, items, whole_of=targets, absent=absent, memory=self._memory())

    async def _mend(self, component: str, own: str, tree: CommentTree) -> None:
        """Go round what cannot be listed: by ids that are stored, in the file, named by the public page, or above all that are known."""
        row = self.counted.rows[own]
        known = {each["id"]: _above(each) for each in self._file.get(own, ())} | (await self._stored()).get(own, {})
        await self.trees.mend(tree, known)
        if not tree.whole(row.count) and tree.broken:
            path = self.components[component].get("path")
            named = await named_on_page(self.api, f"{path}{own}") if path and self.kind != "project" else None
            if named is not None:
                await self.trees.mend(tree, dict.fromkeys(named.ids - tree.ids))
                tree.named = len(named.ids) <= MOST_SINGLES
        floor = self.open.get(own, self._highest or 0)
        if not tree.whole(row.count) and floor:
            above = {str(each) for each in range(floor + 1, floor + 1 + _ABOVE)}
            await self.trees.find(tree, self.kind, component, own, above - tree.withheld)
        await self.trees.learn_authors([tree])

    async def _settle(self, component: str, own: str, tree: CommentTree) -> None:
        """Take out what is deleted and shown all the same."""
        path = self.components[component].get("path") if self.kind != "project" else None
        stored = (await self._stored()).get(own, {})
        left = await self.unflagged.settle(
            own, tree, self.counted.rows[own].count, stored, f"{path}{own}" if path else None
        )
        if left:
            self._untold[own] = left

    async def _stored(self) -> dict[str, dict[str, str | None]]:
        """The stored comments of this kind by what they are on: ids, with the comment that each answers."""
        if self._known is None:
            self._known = {}
            for kind, scope in SCOPES.items():
                for reference, mark in (await self.stored.tokens(scope)).items():
                    each = reference.partition("/")[2]
                    self._highest = max(self._highest or 0, int(each))
                    on, _, parent = mark.partition(">")
                    if kind == self.kind:
                        self._known.setdefault(on.partition("/")[2], {})[each] = parent or None
        return self._known

    def _items(self, own: str, tree: CommentTree) -> list[Item]:
        items: list[Item] = []
        for comment, parent in tree.comments:
            # In which language it is the interface does not tell.
            raw: dict[str, Any] = {
                "id": str(comment["id"]),
                "target": f"{self.kind}/{own}",
                "parent": f"comment/{parent}" if parent else None,
                "body": comment.get("body"),
                "alignment": comment.get("alignment") or 0,
                "createdAt": comment.get("createdAt"),
            }
            if "author" in comment:
                raw["_author"] = comment["author"]
            votes = comment.get("upVotes"), comment.get("downVotes")
            items += self.mapper.many("comment", [raw], lambda each, votes=votes: self.mapper.comment(each, *votes))
        return items


def unflagged_memory(kind: str) -> str:
    """The name of the memory of what is deleted and shown all the same, on the rows of a kind."""
    return f"deleted_comments@{kind}"


async def shown(
    trees: CommentTrees,
    stored: Stored,
    ids: Sequence[str],
    deleted: Collection[str],
    alive: Callable[[ConnectorError], Awaitable[None]],
) -> tuple[dict[str, bool | None], list[str]]:
    """Which of these comments are shown: neither they nor what they answer is hidden or deleted (`deleted` are known to be); and on
    which comments the server fails.

    None: of one of them the platform answers with an error.
    """
    if not ids:
        return {}, []
    above: dict[str, str] = {}
    for scope in SCOPES.values():
        marks = await stored.tokens(scope)
        above.update((each.partition("/")[2], mark.partition(">")[2]) for each, mark in marks.items())
    chains: dict[str, list[str]] = {}
    for own in ids:
        chain = chains[own] = [own]
        while (parent := above.get(chain[-1])) and parent not in chain:
            chain.append(parent)
    readable: dict[str, dict[str, Any]] = {}

    async def ask(part: Sequence[str]) -> None:
        readable.update(await trees.singles(part))

    wanted = list(dict.fromkeys(each for chain in chains.values() for each in chain))
    failed = await in_halves(wanted, trees.dialect.aliases, ask, alive)
    trees.unsure.update(failed)
    found: dict[str, bool | None] = {}
    for own, chain in chains.items():
        there = all(each in readable and each not in deleted for each in chain)
        gone = any(each in deleted or (each not in readable and each not in trees.unsure) for each in chain)
        found[own] = True if there else False if gone else None
    return found, failed


def _above(row: Mapping[str, str]) -> str | None:
    """The comment that a row of the file answers."""
    return row.get("commentable_id") if row.get("commentable_type") == REPLY else None


def _time(node: Mapping[str, Any], name: str) -> datetime | None:
    try:
        return moment(node, name)
    except MappingError:
        return None
