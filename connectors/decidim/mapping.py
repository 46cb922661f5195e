"""Decidim's nodes turned into records: an allow-list; names of endorsers, signed addresses and whatever else comes is dropped.

Facts: docs/platforms/decidim.md 1.6 (values), 1.7 (quirks), 1.8 (states), 5 (open data).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ...core.identity import Ref
from ...core.items import Item, MappingError
from ...core.records import (
    Answer,
    Area,
    Author,
    AuthorKind,
    Category,
    Comment,
    Counters,
    Proposal,
    Record,
    Space,
    State,
    Text,
)
from ...core.text import plain_title, rich
from ..contract.reading import Context
from ..contract.values import Unread, counted, flat, identity, inside, mapped, whole
from ..contract.values import moment as time_of
from .dialects import PATHS, Dialect

MAPPING = b"decidim-3"
_STATES = {
    None: State.OPEN,
    "not_answered": State.OPEN,
    "evaluating": State.EVALUATING,
    "accepted": State.ACCEPTED,
    "rejected": State.REJECTED,
    "withdrawn": State.WITHDRAWN,
    "draft": State.OPEN,
}
_HASHTAG = re.compile(r"gid://[^/\s\"<]+/Decidim::Hashtag/\d+/_?([^\s<&\"]+)")
_NUMBERED = re.compile(r"gid://[^/\s\"<]+/Decidim::Proposals::Proposal/(\d+)")
_HREF = re.compile(r"""\shref=(?:"gid://[^"]*"|'gid://[^']*')""")
_GID = re.compile(r"gid://[^\s<\"]+")
_CONTENT = (
    *("id", "reference", "state", "withdrawn", "withdrawnAt", "createdAt", "publishedAt", "answeredAt", "official"),
    *(
        "createdInMeeting",
        "address",
        "coordinates",
        "title",
        "body",
        "description",
        "answer",
        "category",
        "scope",
        "taxonomies",
        "meeting",
    ),
    *("budget_amount", "selected", "total_budget"),
)
_AUTHOR_KINDS: Mapping[str, AuthorKind] = {
    "User": "person",
    "UserGroup": "group",
    "Organization": "organization",
    "Meeting": "meeting",
}


def resolve_gids(text: str) -> str:
    """Hashtags and numbers of proposals as typed, whatever is glued to them; mentions, which name people, as a neutral sign.

    A link whose address became one of the site's rows loses it, as on the site's own page (docs/platforms/decidim.md 1.6).
    """
    if "gid://" not in text:
        return text
    text = _NUMBERED.sub(r"~\1", _HREF.sub("", text))
    return _GID.sub("@…", _HASHTAG.sub(r"#\1", text))


def texts(title: Any, body: Any = None) -> tuple[Text, ...]:
    """Titles and bodies per locale; machine translations apart. A body is HTML or text with line breaks: both are read as HTML."""
    made: list[Text] = []
    titles, bodies = _translations(title), _translations(body)
    for key in dict.fromkeys((*titles, *bodies)):
        head, text = titles.get(key), bodies.get(key)
        if not head and not text:
            continue
        html = resolve_gids(text or "")
        html = html if "<p" in html or "<br" in html else html.replace("\n", "<br>")
        made.append(rich(key[0], resolve_gids(head or ""), html, machine=key[1]))
    return tuple(made)


def names(field: Any) -> dict[str, str]:
    """A translated name per locale."""
    return {locale: plain_title(text) for (locale, _), text in _translations(field).items() if text}


def _translations(field: Any) -> dict[tuple[str, bool], str | None]:
    if not isinstance(field, dict):
        return {}
    rows = field.get("translations")
    if not isinstance(rows, list):
        raise MappingError("translations", "not a list")
    found: dict[tuple[str, bool], str | None] = {}
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("locale"), str):
            raise MappingError("translations.locale", "missing")
        text = row.get("text")
        if text is not None and not isinstance(text, str):
            raise MappingError("translations.text", "not a text")
        found[row["locale"], bool(row.get("machineTranslated"))] = text
    return found


def moment(node: Mapping[str, Any], name: str) -> datetime | None:
    """A time with its offset; open data writes ` UTC`."""
    value = node.get(name)
    return time_of(value.replace(" UTC", "+00:00") if isinstance(value, str) else value, name)


def number(node: Mapping[str, Any], name: str) -> int | None:
    """A counter, or None where it is hidden."""
    return counted(node.get(name), name)


def token(node: Mapping[str, Any]) -> str:
    """What a light sweep compares: the time of change does not move for every counter in every release."""
    state = f"{node.get('state')}{'w' if node.get('withdrawn') else ''}"
    liked = node.get("likesCount", node.get("endorsementsCount"))
    return f"{node.get('updatedAt')}|{node.get('voteCount')}|{node.get('totalCommentsCount')}|{state}|{liked}"


def comments_in(mark: str) -> tuple[int, str]:
    """The number of comments that a token tells, and when what they hang on last moved."""
    parts = mark.split("|")
    return (whole(parts[2]) or 0) if len(parts) > 2 else 0, parts[0]


def emended(nodes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What the amendments of these proposals say: emendation, and what it amends. A hidden one is null."""
    found: dict[str, str] = {}
    for node in nodes:
        for amendment in flat(node.get("amendments")):
            emendation = identity(inside(amendment, "emendation"))
            if emendation is not None:
                found[emendation] = str(node["id"])
    return found


def _reads_as_emendation(node: Mapping[str, Any]) -> bool:
    """A state that nobody answered with is that of an amendment (docs/platforms/decidim.md 1.8): where only its participants see the
    amendments, nothing else tells it (1.7 Q3)."""
    answered = node.get("answeredAt") is not None or bool(node.get("withdrawn"))
    state = node.get("state")
    return not answered and isinstance(state, str) and state not in {"not_answered", "withdrawn"}


class Mapper:
    """Maps the nodes of one instance."""

    def __init__(self, context: Context, dialect: Dialect) -> None:
        self.context = context
        self.dialect = dialect
        self.url = context.transport.url
        self.unread = Unread()
        # What the configuration makes of a node: nothing, as long as it says neither.
        chosen = [*context.settings.locales, *(["names"] if context.keep_names else [])]
        self._salt = "|".join(chosen).encode()

    def _digest(self, content: Mapping[str, Any]) -> bytes:
        return hashlib.blake2b(self._salt + msgspec.json.encode(content), digest_size=16, key=MAPPING).digest()

    def counters(self, node: Mapping[str, Any], kind: str = "proposal") -> Counters:
        """The public counters."""
        supports = number(node, "confirmedVotes" if kind == "project" else "voteCount")
        endorsed = node.get("likesCount", node.get("endorsementsCount"))
        comments = number(node, "totalCommentsCount")
        return Counters(supports=supports, endorsements=counted(endorsed, "likesCount"), comments=comments)

    def item(self, kind: str, node: dict[str, Any], path: str, space: Ref, amendments: Mapping[str, str]) -> Item:
        """A proposal, project or debate. `path` is its address without the id; `amendments` maps emendations to what they amend."""
        raw: dict[str, Any] = {name: node[name] for name in _CONTENT if name in node}
        raw |= {"kind": kind, "space": space, "path": path}
        own = str(node.get("id"))
        if kind == "proposal" and own in amendments:
            raw["amends"] = amendments[own]
        elif kind == "proposal" and _reads_as_emendation(node):
            raw["amends"] = ""
        author = self._author(node.get("author"))
        raw["author"] = author.id if author else None
        digest = self._digest(raw)
        raw["updatedAt"] = node.get("updatedAt")
        counted = self.counters(node, kind)
        return Item(
            f"{kind}/{own}", digest, lambda: self.build(raw, author), counted, token(node), raw, updated_at=_moved(node)
        )

    def many(self, kind: str, found: Iterable[Any], make: Callable[[Any], Item]) -> list[Item]:
        """Nodes as items; what cannot be looked at goes to quarantine, or where it has no number to `unread`."""
        made = (mapped(kind, node, partial(make, node), self.unread, f"{kind}s") for node in found)
        return [item for item in made if item is not None]

    def simple_item(self, kind: str, raw: dict[str, Any]) -> Item:
        """A space, taxonomy or area. The token only says that it is known."""
        raw = {**raw, "kind": kind}
        digest = self._digest(raw)
        return Item(f"{kind}/{raw['id']}", digest, lambda: self.build(raw), token=kind, raw=raw)

    def comment(self, raw: dict[str, Any], ups: int | None, downs: int | None) -> Item:
        """A comment, from the interface or from open data. Its token tells what it is on, and behind `>` what it answers.

        What is not in `raw` (`_author`, `locale`) this source does not tell.
        """
        told = "_author" in raw
        author = self._author(raw.pop("_author", None))
        untold = frozenset({*(() if told else ("author",)), *(() if "locale" in raw else ("locale",))})
        raw = {**raw, "kind": "comment", "author": author.id if author else None}
        content = {**raw, "untold": sorted(untold)}
        digest = self._digest(content)
        counters = None if ups is None else Counters(supports=ups, opposes=downs)
        mark = f"{raw['target']}>{str(raw.get('parent') or '').partition('/')[2]}"
        own, records = f"comment/{raw['id']}", lambda: self.build(raw, author)
        return Item(own, digest, records, counters, mark, raw, untold=untold)

    def build(self, raw: Mapping[str, Any], author: Author | None = None) -> list[Record]:
        """The records of one allow-listed node."""
        kind = raw.get("kind")
        if not raw.get("id"):
            raise MappingError("id", "missing")
        records: list[Record]
        if kind in {"proposal", "project", "debate"}:
            records = self._proposal(str(kind), raw)
        elif kind == "comment":
            records = [self._comment(raw)]
        elif kind == "taxonomy":
            parent = raw.get("parent")
            records = [Category(kind="taxonomy", id=str(raw["id"]), parent=parent, names=names(raw.get("name")))]
        elif kind in {"category"}:
            records = [Category(kind="category", id=str(raw["id"]), names=names(raw.get("name")))]
        elif kind == "scope":
            records = [Area(kind="scope", id=str(raw["id"]), names=names(raw.get("name")))]
        else:
            records = [self._space(str(kind), raw)]
        return [*records, author] if author else records

    def _space(self, kind: str, raw: Mapping[str, Any]) -> Space:
        path = raw.get("path")
        return Space(
            kind=kind,
            id=str(raw["id"]),
            parent=raw.get("parent"),
            names=names(raw.get("title") or raw.get("name")),
            native_type=raw.get("type"),
            url=f"{self.url}{path}" if path else None,
            amount=number(raw, "total_budget"),
        )

    def _proposal(self, kind: str, raw: Mapping[str, Any]) -> list[Record]:
        own, native = str(raw["id"]), raw.get("state")
        withdrawn = bool(raw.get("withdrawn")) or native == "withdrawn"
        state = State.WITHDRAWN if withdrawn else _STATES.get(native, State.OTHER)
        if kind == "project":
            state = State.ACCEPTED if raw.get("selected") else State.OPEN
        amends = raw.get("amends")
        groups = [self._group(g, "taxonomy") for g in flat(raw.get("taxonomies")) if g]
        groups += [self._group(raw["category"], "category")] if raw.get("category") else []
        area = self._area(raw.get("scope"))
        meeting = identity(raw.get("meeting"))
        place = _place(raw.get("coordinates"))
        proposal = Proposal(
            kind="amendment" if amends is not None else kind,
            id=own,
            space=raw.get("space"),
            texts=texts(raw.get("title"), raw.get("body") if kind == "proposal" else raw.get("description")),
            state=state,
            native_state=native,
            reference=raw.get("reference"),
            url=f"{self.url}{raw['path']}{own}" if raw.get("path") else None,
            author=raw.get("author"),
            official=bool(raw.get("official")),
            created_at=moment(raw, "createdAt"),
            published_at=moment(raw, "publishedAt"),
            updated_at=moment(raw, "updatedAt"),
            withdrawn_at=moment(raw, "withdrawnAt"),
            categories=tuple(group.ref for group in groups),
            areas=(area.ref,) if area else (),
            address=plain_title(_said(raw.get("address"))) or None,
            latitude=place[0],
            longitude=place[1],
            amends=f"proposal/{amends}" if amends else None,
            from_meeting=f"meeting/{meeting}" if meeting else None,
            amount=number(raw, "budget_amount"),
            selected=raw.get("selected"),
        )
        records: list[Record] = [proposal, *groups]
        if area:
            records.append(area)
        # Up to 0.30 an answer shows before it is published: then the state is still empty (docs/platforms/decidim.md 1.7 Q2).
        answered = texts(None, raw.get("answer")) if native is not None or withdrawn else ()
        if answered and native not in {None, "not_answered"}:
            when = moment(raw, "answeredAt")
            records.append(
                Answer(
                    id=f"{kind}-{own}",
                    target=f"{kind}/{own}",
                    state=state,
                    native_state=native,
                    texts=answered,
                    answered_at=when,
                )
            )
        return records

    def _group(self, node: Mapping[str, Any], kind: str) -> Category:
        above = identity(node.get("parent")) if kind == "taxonomy" else None
        return Category(
            kind="taxonomy" if kind == "taxonomy" else "category",
            id=_number(node, "id"),
            parent=f"taxonomy/{above}" if above is not None else None,
            names=names(node.get("name")),
        )

    def _area(self, node: Any) -> Area | None:
        return (
            Area(kind="scope", id=_number(node, "id"), names=names(node.get("name")))
            if isinstance(node, dict)
            else None
        )

    def _comment(self, raw: Mapping[str, Any]) -> Comment:
        typed = raw.get("body")
        if typed is not None and not isinstance(typed, str):
            raise MappingError("body", "not a text")
        body = resolve_gids(typed or "")
        html = body if "<p" in body else body.replace("\n", "<br>")
        alignment = _alignment(raw.get("alignment"))
        return Comment(
            id=str(raw["id"]),
            target=str(raw["target"]),
            parent=raw.get("parent"),
            text=rich(raw.get("locale"), None, html),
            alignment=1 if alignment > 0 else -1 if alignment < 0 else 0,
            author=raw.get("author"),
            created_at=moment(raw, "createdAt"),
        )

    def _author(self, node: Any) -> Author | None:
        if not isinstance(node, dict) or node.get("id") is None:
            return None
        kind = str(node.get("__typename") or "User")
        prefix = "" if kind == "User" else f"{kind}:"
        name = plain_title(_said(node.get("name"))) if self.context.keep_names else ""
        pseudonym = self.context.pseudonym(f"{prefix}{node['id']}")
        return Author(id=pseudonym, kind=_AUTHOR_KINDS.get(kind, "person"), name=name or None)


def _said(value: Any) -> str:
    """A text, or nothing where a platform sent something else in its place."""
    return value if isinstance(value, str) else ""


def _number(node: Any, name: str) -> str:
    value = identity(node, name)
    if value is None:
        raise MappingError(name, "missing")
    return value


def _moved(node: Mapping[str, Any]) -> datetime | None:
    """When it last moved, as far as it can be read; a wrong time is the mapping's to complain of."""
    try:
        return moment(node, "updatedAt")
    except MappingError:
        return None


def _place(node: Any) -> tuple[float | None, float | None]:
    """A place on earth; the interface takes any number (docs/platforms/decidim.md 4.1)."""
    if not isinstance(node, dict):
        return None, None
    latitude, longitude = node.get("latitude"), node.get("longitude")
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None, None
    return (float(latitude), float(longitude)) if abs(latitude) <= 90 and abs(longitude) <= 180 else (None, None)


def remap(context: Context, reference: Ref, raw: Mapping[str, Any]) -> Sequence[Record]:
    """Map a node from quarantine again."""
    return Mapper(context, Dialect("0.32")).build(raw)


def component_path(kind: str, slug: str, component: str, last: str) -> str | None:
    """The address of a component's things, without locale (docs/platforms/decidim.md 6)."""
    if kind not in PATHS or not slug:
        return None
    return f"/{PATHS[kind]}/{slug}/f/{component}/{last}/"


def target_of_url(url: str) -> Ref | None:
    """What a comment of the open data is about, by the address at its root."""
    match = re.search(r"/(proposals|debates)/(\d+)", urlsplit(url).path)
    return f"{'proposal' if match[1] == 'proposals' else 'debate'}/{match[2]}" if match else None


def _alignment(value: Any) -> int:
    """For, against or neither, as the interface (numbers) and files of open data (digits) say it."""
    try:
        return 0 if value is None or value == "" else int(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise MappingError("alignment", "not a whole number") from error
