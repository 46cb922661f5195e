"""Whether single records are there for everybody: asked one by one, or by the list that would hold them (`contract.CanConfirm`).

"Gone" is said only where the platform said so. What is closed is gone for the public: a component or space that is not listed, or does
not answer, while what holds it does (docs/platforms/decidim.md 1.4, 2).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from ...core.identity import Ref, split_ref
from ..contract.errors import ConnectorError, Interface, PartlyAnswered, Throttled
from ..contract.values import identity
from .api import doubtful
from .comment_trees import CommentTrees
from .comments import shown
from .component_pull import is_closed
from .dialects import ROOTS, by_id_document, debates_by_id_document, parts_document
from .halves import in_halves
from .languages import Languages
from .pull_state import PullState
from .revisit import taxonomies

_NAMED = 5
_HOLDERS = {"proposal": "Proposals", "debate": "Debates"}


class Listed(Protocol):
    """The spaces of the site as this pull saw them, whole."""

    items: list[Any]
    components: dict[str, dict[str, Any]]
    unsure: bool
    """Whether a list of spaces or components was answered with an error: then what is not in it may be there."""


class Presence:
    """Asks one site."""

    def __init__(
        self, state: PullState, listed: Listed | None, languages: Languages, deleted: Callable[[], Collection[str]]
    ) -> None:
        """`listed`: None while nobody knows what the site lists; then nothing can be told. `deleted`: comments that are, and answer."""
        self.state = state
        self.listed = listed
        self.languages = languages
        self.deleted = deleted
        self.failed: list[Ref] = []
        """What the server failed on."""

    async def of(self, refs: Sequence[Ref]) -> dict[Ref, bool | None]:
        """True, False or cannot tell, by reference.

        Raises:
            PartlyAnswered: the server failed on some of them.
        """
        found: dict[Ref, bool | None] = dict.fromkeys(refs)
        if self.listed is None:
            return found
        try:
            await self._ask(refs, found)
        except (Interface, Throttled):
            raise
        except ConnectorError as error:
            raise PartlyAnswered(error.message, found) from error
        if self.failed:
            more = len(self.failed) - _NAMED
            told = ", ".join(self.failed[:_NAMED]) + (f" and {more} more" if more > 0 else "")
            raise PartlyAnswered(f"{told} did not answer; the next run asks again", found)
        return found

    async def _ask(self, refs: Sequence[Ref], found: dict[Ref, bool | None]) -> None:
        """Put the answers into `found` as they come."""
        assert self.listed is not None
        by_kind: dict[str, list[Ref]] = {}
        for each in refs:
            by_kind.setdefault(split_ref(each)[0], []).append(each)
        for kind, asked in by_kind.items():
            if kind in ROOTS.values():
                there = {item.ref for item in self.listed.items}
                found.update((each, True if each in there else None if self.listed.unsure else False) for each in asked)
            elif kind == "component":
                found |= await self._components(asked)
            elif kind in _HOLDERS:
                found |= await self._rows(kind, asked)
            elif kind in {"budget", "project"}:
                found |= await self._budgets(asked)
            elif kind == "comment":
                trees = CommentTrees(self.state.dialect, self.languages)
                own = [split_ref(each)[1] for each in asked]
                told, failed = await shown(trees, self.state.stored, own, self.deleted(), self.state.alive)
                found.update((each, told.get(split_ref(each)[1])) for each in asked)
                self.failed += (f"comment/{each}" for each in failed)
            elif kind == "taxonomy" and self.state.dialect.likes:
                items = await taxonomies(self.state)
                if items is not None:
                    there = {item.ref for item in items}
                    found.update((each, each in there) for each in asked)

    async def _components(self, asked: Sequence[Ref]) -> dict[Ref, bool | None]:
        """Those that are listed are asked; one that is not is closed, as the list of its space, or of the spaces, came whole."""
        assert self.listed is not None
        found: dict[Ref, bool | None] = {}
        waiting: list[str] = []
        for each in asked:
            if split_ref(each)[1] in self.listed.components:
                waiting.append(split_ref(each)[1])
            else:
                found[each] = None if self.listed.unsure else False

        async def ask(part: Sequence[str]) -> None:
            data, errors = await self.state.api.ask(parts_document(part))
            for position, own in enumerate(part):
                there = data.get(f"x{position}") is not None
                found[f"component/{own}"] = there or (False if is_closed(errors) else None)

        failed = await in_halves(waiting, self.state.dialect.aliases, ask, self.state.alive)
        self.failed += (f"component/{each}" for each in failed)
        return found | dict.fromkeys(f"component/{each}" for each in failed)

    async def _rows(self, kind: str, asked: Sequence[Ref]) -> dict[Ref, bool | None]:
        """Proposals and debates, in the component that they are stored in; of one that is not listed any more nothing is public."""
        assert self.listed is not None
        holders = [own for own, c in self.listed.components.items() if c["type"] == _HOLDERS[kind]]
        homes: dict[str, list[Ref]] = {own: [] for own in holders}
        left = set(asked)
        for own in holders:
            scope = f"{_HOLDERS[kind].lower()}@component/{own}"
            tokens = await self.state.stored.tokens(scope)
            homes[own] = [each for each in asked if each in left and each in tokens]
            left.difference_update(homes[own])
        found: dict[Ref, bool | None] = {}
        for own in holders:
            # What is stored nowhere may be anywhere.
            waiting = [*homes[own], *(each for each in asked if each in left)]
            answers: dict[Ref, bool | None] = {}

            async def ask(part: Sequence[Ref], own: str = own, answers: dict[Ref, bool | None] = answers) -> None:
                answers.update(await self._asked(kind, own, part))

            failed = await in_halves(waiting, self.state.dialect.aliases, ask, self.state.alive)
            self.failed += failed
            for each, there in (answers | dict.fromkeys(failed)).items():
                if found.get(each) is not True:
                    # One component that cannot tell leaves it open, whatever the others say.
                    found[each] = True if there else (None if None in {there, found.get(each, False)} else False)
        return {each: found.get(each, None if self.listed.unsure else False) for each in asked}

    async def _asked(self, kind: str, component: str, refs: Sequence[Ref]) -> dict[Ref, bool | None]:
        ids = [split_ref(each)[1] for each in refs]
        if kind == "proposal":
            document = by_id_document(self.state.dialect, component, ids, names=False, light=True)
        else:
            document = debates_by_id_document(component, ids)
        data, errors = await self.state.api.ask(document)
        answered = data.get("component")
        if not isinstance(answered, dict):
            return dict.fromkeys(refs, False if is_closed(errors) else None)
        hidden = self.state.open_data.hidden
        found: dict[Ref, bool | None] = {}
        for position, each in enumerate(refs):
            node = answered.get(f"r{position}")
            if node is None:
                found[each] = None if doubtful(errors, "component", f"r{position}") else False
            else:
                there = identity(node) == ids[position]
                found[each] = there and not (kind == "proposal" and ids[position] in hidden) if there else None
        return found

    async def _budgets(self, asked: Sequence[Ref]) -> Mapping[Ref, bool | None]:
        """By the lists of this run: nothing else holds them. What the list of its component does not show, and came whole, is gone; of
        what is stored in none of them only where all came whole."""
        assert self.listed is not None
        holders = [own for own, c in self.listed.components.items() if c["type"] == "Budgets"]
        homes: dict[Ref, str] = {}
        for own in holders:
            for scope in ("budgets", "budgets_of"):
                homes |= dict.fromkeys(await self.state.stored.tokens(f"{scope}@component/{own}"), own)
        found: dict[Ref, bool | None] = {}
        for each in asked:
            where = [homes[each]] if each in homes else holders
            whole = all(f"{split_ref(each)[0]}@{own}" in self.state.whole_lists for own in where)
            found[each] = True if each in self.state.shown else (False if whole else None)
        return found
