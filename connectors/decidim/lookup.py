"""Looking up copies anonymously: by id, by marker among the newest, all of ours (docs/platforms/decidim.md 4.1, 4.4).

What is read here decides whether something is sent again, so a doubt is never an absence. Writes nothing, knows no session.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ...core.identity import Ref, ref, split_ref
from ...core.ledger.marker import carries, claims_marker, markers_in, said
from ...core.records import State, Text
from ..contract.errors import Malformed, NotDone, NotFound, nothing_stored
from ..contract.values import flat, inside
from ..contract.writing import Authored, Copy, Reading
from .api import Api
from .comment_trees import CommentTree, CommentTrees
from .comments import FILES, REPLY
from .dialects import PAGE
from .languages import Languages
from .mapping import moment, target_of_url, texts
from .places import Place, Places
from .thread_pages import named_on_page

_TEXT = "{translations{locale text machineTranslated}}"
_FIELDS = f"id createdAt official author{{id}} title{_TEXT} body{_TEXT}"
_SKEW = timedelta(hours=1)
"""The platform's clock is not ours: so much further back is looked."""
_AUTOMATIC = re.compile(r"(?:\s*gid://[^/\s]+/Decidim::Hashtag/\d+/_[^\s<]+)+\s*$")
_LINKED = re.compile(r"https?://\S+?/proposals/(\d+)")
_GLOBAL = re.compile(r"gid://[\w.-]+/Decidim::(?:Proposals::Proposal|Hashtag/\d+)/_?(\w+)")
_MOST = 200
"""So many comments of one proposal are asked for one by one."""
_STATES = {"accepted": State.ACCEPTED, "rejected": State.REJECTED, "evaluating": State.EVALUATING}


class Lookup:
    """Questions about copies on one site."""

    def __init__(self, api: Api, places: Places) -> None:
        self.api = api
        self.places = places
        self._fields = f"{_FIELDS} state{' withdrawn' if places.dialect.withdrawn else ''}"

    async def _ask(self, document: str) -> dict[str, Any]:
        async with nothing_stored():
            data, _ = await self.api.ask(document)
            return data

    async def newest(self, place: Place) -> AsyncIterator[dict[str, Any] | None]:
        """The proposals of a component, newest first; None for one that may not be seen."""
        after: str | None = None
        while True:
            cursor = f', after:"{after}"' if after else ""
            page = f'proposals(first:{PAGE}{cursor}, order:{{id:"desc"}}){{nodes{{{self._fields}}} pageInfo{{hasNextPage endCursor}}}}'
            data = await self._ask(f'query Newest{{component(id:"{place.id}"){{id ...on Proposals{{{page}}}}}}}')
            found = inside(data, "component", "proposals")
            if not isinstance(found, dict) or not isinstance(found.get("nodes"), list):
                raise NotDone(f"component/{place.id} cannot be read now", hint="was it unpublished just now?")
            for node in found["nodes"]:
                yield node
            after = inside(found, "pageInfo", "endCursor")
            if not inside(found, "pageInfo", "hasNextPage") or after is None:
                return

    async def marked(self, place: Place, marker: str, since: datetime, account: str | None) -> list[dict[str, Any]]:
        """The proposals with this marker, made since `since` by `account` (None: by the organization), newest first.

        Raises:
            NotDone: none stands, and something that may not be seen is among the newest: no later question can tell more than this one.
        """
        found: list[dict[str, Any]] = []
        unseen = between = 0
        oldest = since - _SKEW
        async for node in self.newest(place):
            if node is None:
                between += 1
                continue
            created = moment(node, "createdAt")
            # What stands above an old one and is hidden may be as new as the newest.
            unseen, between = unseen + between, 0
            if created is not None and created < oldest:
                break
            if is_ours(node, account) and carries(everything(node), marker):
                found.append(node)
        if (unseen or between) and all(is_withdrawn(node) for node in found):
            raise NotDone(
                f"{unseen + between} hidden or deleted proposals are among the newest of component/{place.id}: ours may be one of them, "
                "which cannot be told from here",
                hint="a moderator sees them: approve sending it only if ours is not among them",
            )
        return found

    async def single(self, component: str, own: str) -> dict[str, Any] | None:
        """One proposal; None: not there for the public."""
        fields = f"{self._fields} answer{_TEXT}"
        data = await self._ask(
            f'query One{{component(id:"{component}"){{id ...on Proposals{{proposal(id:"{own}"){{{fields}}}}}}}}}'
        )
        found = data.get("component")
        if not isinstance(found, dict):
            raise NotDone(f"component/{component} cannot be read now", hint="was it unpublished?")
        node = found.get("proposal")
        if node is not None and not self.places.dialect.checked and not await self._on_page(component, own):
            return None
        return node

    async def _on_page(self, component: str, own: str) -> bool:
        """Whether the public page shows it: unchecked releases answer hidden ones in full (docs/platforms/decidim.md 1.4)."""
        place = self.places.components.get(component)
        if place is None:
            return True
        async with nothing_stored():
            try:
                await self.api.transport.get(f"{place.public}/{own}", headers={"Accept": "text/html"})
            except NotFound:
                return False
            return True

    async def home(self, reference: Ref) -> str:
        """The component of a proposal: every component is asked for it, as there is no other way.

        Raises:
            NotDone: none has it.
        """
        _, own = split_ref(reference)
        ids = list(self.places.components)
        for start in range(0, len(ids), self.places.dialect.aliases):
            part = ids[start : start + self.places.dialect.aliases]
            asked = " ".join(
                f'c{position}:component(id:"{each}"){{id ...on Proposals{{proposal(id:"{own}"){{id}}}}}}'
                for position, each in enumerate(part)
            )
            data = await self._ask(f"query Home{{{asked}}}")
            for position, each in enumerate(part):
                if inside(data, f"c{position}", "proposal", "id") is not None:
                    return each
        raise NotDone(f"{reference} is in no public component", hint="was it hidden or deleted?")

    async def has_comment(self, component: str, own: str, wanted: str, text: str | None = None) -> bool:
        """Whether a comment on a proposal carries the marker `wanted`, in whatever form; with a text, whether the newest of them says that.

        One deleted comment turns the whole list null (docs/platforms/decidim.md 1.7 Q5): then what the public page names (1.12) is asked
        for one by one, and what open data names, which may be of long ago (5). An absence is believed only if as many comments were read
        as the site counts.

        Raises:
            NotDone: some of the comments cannot be read.
        """
        trees = CommentTrees(self.places.dialect, Languages(self.api, self.places.locales or ["en"]))
        async with nothing_stored():
            tree = (await trees.read("proposal", component, [own]))[own]
            for source in (self._named, self._exported):
                if not tree.broken or _holds(tree, wanted, text):
                    break
                await trees.mend(tree, await source(component, own))
                if len(tree.comments) + tree.orphans == await self._counted(component, own):
                    return _holds(tree, wanted, text)
        if _holds(tree, wanted, text):
            return True
        if tree.broken:
            raise NotDone(
                f"the comments of proposal/{own} cannot all be read: one of them is deleted, or the proposal is hidden",
                hint="whoever sees its page can tell whether ours is there; approve sending it only if it is not",
            )
        return False

    async def _named(self, component: str, own: str) -> dict[str, str | None]:
        """The comments at the first level of a proposal's public page, where ours stands; none where the page does not tell."""
        place = self.places.components.get(component)
        named = await named_on_page(self.api, f"{place.public}/{own}") if place is not None else None
        return dict.fromkeys(named.ids if named else ())

    async def _counted(self, component: str, own: str) -> int | None:
        """How many comments a proposal has; None: it is not there."""
        data = await self._ask(
            f'query Count{{component(id:"{component}"){{id ...on Proposals{{proposal(id:"{own}"){{id totalCommentsCount}}}}}}}}'
        )
        node = inside(data, "component", "proposal")
        return node.get("totalCommentsCount") if isinstance(node, dict) else None

    async def _exported(self, _: str, own: str) -> dict[str, str | None]:
        """The newest comments on a proposal that open data knows, with what each answers; none where there is no such data."""
        if not self.api.settings.open_data:
            return {}
        try:
            if self.places.dialect.release >= (0, 30):
                rows = (await self.api.open_data(FILES["proposal"], None))[0] or []
            else:
                rows = (await self.api.open_data_zip()).get("proposal_comments", [])
        except (NotFound, Malformed):
            return {}
        on = [row for row in rows if target_of_url(row.get("root_commentable_url", "")) == f"proposal/{own}"]
        answers = {row["id"]: row["commentable_id"] if row.get("commentable_type") == REPLY else None for row in on}
        return {each: answers[each] for each in sorted(answers, key=int)[-_MOST:]}

    async def authored(self, place: Place, account: str | None) -> AsyncIterator[Authored]:
        """Everything of ours in a component, newest first; of the organization's only what claims to be a copy.

        Each names its twins: what else of ours carries a marker of it.
        """
        ours = [node async for node in self.newest(place) if node is not None and self._claimed(node, account)]
        same: dict[str, list[dict[str, Any]]] = {}
        for node in sorted(ours, key=is_withdrawn):
            for marker in dict.fromkeys(map(str, markers_in(everything(node)))):
                same.setdefault(marker, []).append(node)
        for node in ours:
            twins = dict.fromkeys(
                ref("proposal", str(other["id"]))
                for marker in map(str, markers_in(everything(node)))
                for other in same[marker]
                if other is not node
            )
            main = main_text(node, self.places.locales[0] if self.places.locales else None)
            how = {"voice": "official" if is_ours(node, None) else "participant", "way": "found", "component": place.id}
            how |= {"locale": main.locale if main else "", "public": place.public, "office": place.office}
            own = str(node["id"])
            copy = Copy(
                ref("proposal", own), self.url(place, own), how, withdrawn=is_withdrawn(node), twins=tuple(twins)
            )
            yield Authored(copy, main.title if main else "", everything(node), moment(node, "createdAt"))

    def _claimed(self, node: Mapping[str, Any], account: str | None) -> bool:
        if is_ours(node, None):
            return claims_marker(everything(node))
        return account is not None and is_ours(node, account)

    def url(self, place: Place, own: str) -> str:
        """The public address, without a language: the interface's own wanders (docs/platforms/decidim.md 1.1)."""
        return f"{self.api.transport.url}{place.public}/{own}"


def _holds(tree: CommentTree, wanted: str, text: str | None) -> bool:
    told = [comment for comment, _ in tree.comments if carries(str(comment.get("body") or ""), wanted)]
    if not told or text is None:
        return bool(told)
    # What an earlier one says is not what is to be said now.
    return stored(str(max(told, key=lambda each: int(each["id"])).get("body"))) == stored(text)


def stored(text: str) -> str:
    """What a text says, whether the site has put ids of its own in the place of what it refers to or not."""
    return said(_LINKED.sub(r"~\1", _GLOBAL.sub(r"~\1", text)))


def is_ours(node: Mapping[str, Any], account: str | None) -> bool:
    """Whether `account` wrote it; None: whether the organization did."""
    author = node.get("author") or {}
    if account is None:
        return bool(node.get("official")) and not author
    return str(author.get("id")) == account


def is_withdrawn(node: Mapping[str, Any]) -> bool:
    """Whether its author took it back: a state up to 0.28, then a field of its own (docs/platforms/decidim.md 1.8)."""
    return bool(node.get("withdrawn")) or node.get("state") == "withdrawn"


def _raw(node: Mapping[str, Any], name: str) -> dict[str, str]:
    rows = flat(inside(node, name, "translations"))
    return {str(row["locale"]): str(row.get("text") or "") for row in rows if not row.get("machineTranslated")}


def everything(node: Mapping[str, Any]) -> str:
    """All texts in which a marker may stand."""
    return "\n".join([*_raw(node, "title").values(), *_raw(node, "body").values()])


def answer_texts(node: Mapping[str, Any]) -> dict[str, str]:
    """All texts of the answer, by language."""
    return _raw(node, "answer")


def _shown(node: Mapping[str, Any]) -> tuple[Text, ...]:
    body = node.get("body") or {}
    rows = [{**row, "text": _AUTOMATIC.sub("", row.get("text") or "")} for row in body.get("translations") or ()]
    return tuple(each for each in texts(node.get("title"), {"translations": rows}) if not each.machine)


def main_text(node: Mapping[str, Any], locale: str | None) -> Text | None:
    """The text in a language, else the first there is; the component's automatic hashtags left out."""
    shown = _shown(node)
    return next((each for each in shown if each.locale == locale), next(iter(shown), None))


def says(node: Mapping[str, Any], title: str, body: str, locale: str) -> bool:
    """Whether a proposal shows this very text: links to proposals of the site are known by their numbers there."""
    shown = main_text(node, locale)
    rows = [{"translations": [{"locale": locale, "text": text}]} for text in (title, body)]
    wanted = next(iter(texts(*rows)), None)
    if shown is None or wanted is None or shown.title != wanted.title:
        return False
    return _LINKED.sub(r"~\1", shown.plain) == _LINKED.sub(r"~\1", wanted.plain)


def others_of(node: Mapping[str, Any], locale: str | None) -> str:
    """A sign that changes with any text in another language than the main one."""
    main = main_text(node, locale)
    rest = sorted((each.locale, each.title, each.plain) for each in _shown(node) if each != main)
    return hashlib.sha256(msgspec.json.encode(rest)).hexdigest()[:16] if rest else ""


def reading_of(node: Mapping[str, Any], how: Mapping[str, Any]) -> Reading:
    """How a copy stands. A change in another language than the main one shows as a line of its own, so that it is seen."""
    main = main_text(node, how.get("locale"))
    plain = main.plain if main else ""
    known = how.get("others")
    if known is not None and others_of(node, how.get("locale")) != known:
        rest = [f"[{each.locale}] {each.title}\n{each.plain}" for each in _shown(node) if each != main]
        plain = "\n\n".join([plain, *rest])
    state = node.get("state")
    return Reading(
        title=main.title if main else "",
        plain=plain,
        answered=_STATES.get(str(state), State.OTHER) if state not in {None, "not_answered", "withdrawn"} else None,
        withdrawn=is_withdrawn(node),
    )
