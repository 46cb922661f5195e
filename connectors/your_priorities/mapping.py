"""Your Priorities' JSON turned into records: an allow-list; whatever else an answer holds (and it holds a lot) is dropped.

Never copied: `data` (contact details), IP addresses, user agents, the votes of single persons on arguments, accounts on other sites
(docs/platforms/your-priorities.md 10). Texts are stored by the platform as typed and are treated as plain text.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from ...core.identity import Ref
from ...core.items import UNREADABLE, Item, MappingError
from ...core.records import (
    UNKNOWN_LOCALE,
    Answer,
    Attachment,
    Author,
    Category,
    Comment,
    Counters,
    Proposal,
    Record,
    Space,
    State,
)
from ...core.text import plain_title, simple
from ..contract.bounded_json import decode
from ..contract.reading import Context
from ..contract.values import Unread, counted, identity, refused
from ..contract.values import moment as time_of
from .dialects import group_type

MAPPING = b"your-priorities-1"
_STATES = {0: State.OPEN, 1: State.IN_PROGRESS, -1: State.IN_PROGRESS, 2: State.ACCEPTED, -2: State.REJECTED}
_POST = ("id", "name", "description", "official_status", "group_id", "category_id", "language", "created_at")
_POINT = ("id", "post_id", "parent_point_id", "value", "created_at")
_SPACE = (
    "id",
    "name",
    "language",
    "status",
    "community_id",
    "domain_id",
    "in_group_folder_id",
    "in_community_folder_id",
)


def state_of(official_status: Any) -> State:
    """What an official status means (docs/platforms/your-priorities.md 2)."""
    return _STATES.get(official_status, State.OTHER) if isinstance(official_status, int) else State.OTHER


def flags(holder: Any) -> Mapping[str, Any]:
    """The configuration of a group, from its own node or from the one inside a post."""
    found = holder.get("configuration") if isinstance(holder, dict) else None
    return cast(Mapping[str, Any], found) if isinstance(found, dict) else {}


def hides_votes(configuration: Mapping[str, Any]) -> bool:
    """Whether the site shows visitors no vote counts; the interface sends them all the same (10)."""
    return bool(configuration.get("hideVoteCount") or configuration.get("hideVoteCountUntilVoteCompleted"))


def hides_debate(configuration: Mapping[str, Any]) -> bool:
    """Whether the site shows no arguments (10)."""
    return bool(configuration.get("hideDebate"))


def shows_author(configuration: Mapping[str, Any], public_data: Any) -> bool:
    """Whether the site shows who posted (10)."""
    chosen = isinstance(public_data, dict) and bool(public_data.get("displayUserNameWithIdea"))
    return bool(configuration.get("showWhoPostedPosts") or chosen) and not configuration.get("hidePostAuthor")


def identifier(node: Mapping[str, Any], name: str = "id") -> str:
    """A number as text."""
    value = identity(node, name)
    if value is None:
        raise MappingError(name, "missing or not a number")
    return value


def count(node: Mapping[str, Any], name: str) -> int | None:
    """A counter, or None where the node has none."""
    return counted(node.get(name), name)


def moment(node: Mapping[str, Any], name: str) -> datetime | None:
    """A time as the platform writes it: ISO 8601, UTC, milliseconds."""
    return time_of(node.get(name), name)


def typed(node: Mapping[str, Any], name: str) -> str:
    """A text, empty where there is none."""
    value = node.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    raise MappingError(name, "not a text")


def place(value: Any) -> list[float] | None:
    """Latitude and longitude of a free-form location; None where it is not on earth."""
    if not isinstance(value, dict):
        return None
    try:
        found = [float(value["latitude"]), float(value["longitude"])]
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return found if abs(found[0]) <= 90 and abs(found[1]) <= 180 else None


def picture(images: Any) -> dict[str, Any] | None:
    """The current header image: the last of the list; `formats` is a list of addresses written as JSON text (2)."""
    if not isinstance(images, list) or not images or not isinstance(images[-1], dict):
        return None
    current = cast(dict[str, Any], images[-1])
    written = current.get("formats")
    try:
        formats = decode(written.encode()) if isinstance(written, str) else None
    except ValueError:
        return None
    address = formats[0] if isinstance(formats, list) and formats else None
    # A query would be a signature or a size: such an address does not last.
    if not isinstance(address, str) or not address.startswith("https://") or "?" in address:
        return None
    return {"id": current.get("id"), "url": address}


def answered(node: Mapping[str, Any]) -> list[list[str]]:
    """Questions of the group's form with what the author answered, in the form's order."""
    given = node.get("public_data")
    answers = given.get("structuredAnswersJson") if isinstance(given, dict) else None
    questions = flags(node.get("Group")).get("structuredQuestionsJson")
    if not isinstance(answers, list) or not isinstance(questions, list):
        return []
    by_id: dict[str, Any] = {str(one.get("uniqueId")): one.get("value") for one in answers if isinstance(one, dict)}
    found: list[list[str]] = []
    for question in questions:
        value = by_id.get(str(question.get("uniqueId"))) if isinstance(question, dict) else None
        if isinstance(value, str | int | float) and str(value).strip():
            found.append([str(question.get("text") or ""), str(value)])
    return found


class Mapper:
    """Maps the nodes of one instance."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.url = context.transport.url
        self.names = context.keep_names
        self.unread = Unread()

    def many(self, kind: str, found: Iterable[Any], make: Callable[[Any], Item | None]) -> list[Item]:
        """Nodes as items; what cannot be looked at goes to quarantine, or where it has no number to `unread`."""
        made: list[Item | None] = []
        for each in found:
            try:
                made.append(make(each))
            except UNREADABLE as error:
                own = identity(each)
                made.append(None if own is None else refused(f"{kind}/{own}", error))
                if own is None:
                    self.unread.add(kind)
        return [item for item in made if item is not None]

    def missed(self, kind: str, holes: int) -> None:
        """So many elements of a list had no number."""
        for _ in range(holes):
            self.unread.add(kind)

    def post(self, node: Mapping[str, Any], token: str | None) -> Item:
        """One post of a list, or asked for alone."""
        configuration = flags(node.get("Group"))
        raw: dict[str, Any] = {name: node.get(name) for name in _POST}
        raw["place"] = place(node.get("location"))
        raw["image"] = picture(node.get("PostHeaderImages"))
        raw["answers"] = answered(node)
        raw["author"], name = self._author(node.get("User"), shows_author(configuration, node.get("public_data")))
        hidden = hides_votes(configuration)
        counters = Counters(
            supports=None if hidden else count(node, "counter_endorsements_up"),
            opposes=None if hidden else count(node, "counter_endorsements_down"),
            comments=None if hides_debate(configuration) else count(node, "counter_points"),
        )
        reference = f"proposal/{identifier(node)}"
        return Item(reference, _digest(raw, name), lambda: self.build_post(raw, name), counters, token, raw)

    def point(self, node: Mapping[str, Any], configuration: Mapping[str, Any]) -> Item:
        """One argument, or a comment on one. Its text is that of its last revision (0.6)."""
        raw: dict[str, Any] = {name: node.get(name) for name in _POINT}
        found = node.get("PointRevisions")
        revisions = cast(list[Any], found) if isinstance(found, list) else []
        last = revisions[-1] if revisions and isinstance(revisions[-1], dict) else node
        raw["content"] = last.get("content")
        raw["edited"] = last.get("created_at") if len(revisions) > 1 else None
        raw["author"], name = self._author(node.get("User"), not configuration.get("hidePointAuthor"))
        counters = Counters(supports=count(node, "counter_quality_up"), opposes=count(node, "counter_quality_down"))
        reference, post = f"point/{identifier(node)}", identifier(node, "post_id")
        return Item(reference, _digest(raw, name), lambda: self.build_point(raw, name), counters, post, raw)

    def status_change(self, activity: Mapping[str, Any]) -> Item | None:
        """The official text of an activity; None where it has none, or its post is blocked."""
        change = activity.get("PostStatusChange")
        if not isinstance(change, dict) or not isinstance(activity.get("Post"), dict) or change.get("deleted"):
            return None
        names = ("id", "subject", "content", "status_changed_to", "published_at")
        raw: dict[str, Any] = {name: change.get(name) for name in names}
        raw["post_id"], raw["created_at"] = activity.get("post_id"), activity.get("created_at")
        reference, post = f"status_change/{identifier(change)}", identifier(activity, "post_id")
        return Item(reference, _digest(raw), lambda: self.build_answer(raw), token=post, raw=raw)

    def category(self, node: Mapping[str, Any], group_id: str) -> Item:
        """One category of a group."""
        raw: dict[str, Any] = {name: node.get(name) for name in ("id", "name", "language")}
        raw["group_id"] = group_id
        reference = f"category/{identifier(node)}"
        return Item(reference, _digest(raw), lambda: self.build_category(raw), token=group_id, raw=raw)

    def spaces(self, kind: str, found: Iterable[Any]) -> list[Item]:
        """Several of them as items."""
        return self.many(kind, found, lambda node: self.space(kind, node))

    def space(self, kind: str, node: Mapping[str, Any]) -> Item:
        """A domain, community or group; its token is the platform's word for it."""
        raw: dict[str, Any] = {name: node.get(name) for name in _SPACE}
        raw["kind"] = kind
        raw["type"] = group_type(node) if kind == "group" else kind
        return Item(
            f"{kind}/{identifier(node)}", _digest(raw), lambda: [self.build_space(raw)], token=raw["type"], raw=raw
        )

    # From what an item keeps to records; also for what comes back from quarantine -------------------------------------

    def build_post(self, raw: Mapping[str, Any], name: str | None = None) -> list[Record]:
        """A proposal, its picture and its author."""
        own = identifier(raw)
        status = raw.get("official_status")
        if status is not None and (not isinstance(status, int) or isinstance(status, bool)):
            raise MappingError("official_status", "not a number")
        body = typed(raw, "description")
        for question, answer in raw.get("answers") or ():
            body = f"{body}\n\n{question}\n{answer}"
        where = raw.get("place") or (None, None)
        records: list[Record] = [
            Proposal(
                id=own,
                space=f"group/{identifier(raw, 'group_id')}",
                texts=(simple(_language(raw), typed(raw, "name"), body),),
                state=state_of(status),
                native_state=None if status is None else str(status),
                url=f"{self.url}/post/{own}",
                author=raw.get("author"),
                created_at=moment(raw, "created_at"),
                categories=(f"category/{identifier(raw, 'category_id')}",)
                if raw.get("category_id") is not None
                else (),
                latitude=where[0],
                longitude=where[1],
            )
        ]
        image = raw.get("image")
        if image is not None:
            owner = f"proposal/{own}"
            records.append(Attachment(kind="image", id=identifier(image), owner=owner, url=typed(image, "url")))
        return [*records, *self._authors(raw, name)]

    def build_point(self, raw: Mapping[str, Any], name: str | None = None) -> list[Record]:
        """An argument or a comment on one."""
        value = raw.get("value")
        if not isinstance(value, int) or isinstance(value, bool):
            raise MappingError("value", "not a number")
        parent = identifier(raw, "parent_point_id") if raw.get("parent_point_id") is not None else None
        record = Comment(
            kind="point",
            id=identifier(raw),
            target=f"proposal/{identifier(raw, 'post_id')}",
            parent=f"point/{parent}" if parent is not None else None,
            text=simple(UNKNOWN_LOCALE, None, typed(raw, "content")),
            alignment=1 if value > 0 else -1 if value < 0 else 0,
            author=raw.get("author"),
            created_at=moment(raw, "created_at"),
            updated_at=moment(raw, "edited"),
        )
        return [record, *self._authors(raw, name)]

    def build_answer(self, raw: Mapping[str, Any]) -> list[Record]:
        """An official text; `status_changed_to` is a number written as text, null for a text alone (3.2)."""
        changed = raw.get("status_changed_to")
        try:
            state = None if changed is None else state_of(int(changed))
        except (TypeError, ValueError, OverflowError):
            raise MappingError("status_changed_to", "not a number") from None
        return [
            Answer(
                kind="status_change",
                id=identifier(raw),
                target=f"proposal/{identifier(raw, 'post_id')}",
                state=state,
                native_state=None if changed is None else str(changed),
                texts=(simple(UNKNOWN_LOCALE, typed(raw, "subject"), typed(raw, "content")),),
                answered_at=moment(raw, "published_at") or moment(raw, "created_at"),
            )
        ]

    def build_category(self, raw: Mapping[str, Any]) -> list[Record]:
        """A category."""
        names = {_language(raw): plain_title(typed(raw, "name"))}
        return [
            Category(kind="category", id=identifier(raw), space=f"group/{identifier(raw, 'group_id')}", names=names)
        ]

    def build_space(self, raw: Mapping[str, Any]) -> Space:
        """A domain, community or group."""
        kind, own = str(raw.get("kind")), identifier(raw)
        return Space(
            kind=kind,
            id=own,
            parent=_parent(kind, raw),
            names={_language(raw): plain_title(typed(raw, "name"))},
            native_type=raw.get("type"),
            status=typed(raw, "status") or None,
            url=f"{self.url}/{kind}/{own}",
        )

    def _author(self, user: Any, shown: bool) -> tuple[str | None, str | None]:
        """The pseudonym, and the name where both the configuration and the site allow it."""
        if not isinstance(user, dict) or user.get("id") is None:
            return None, None
        name = plain_title(str(user.get("name") or "")) if self.names and shown else ""
        return self.context.pseudonym(str(user["id"])), name or None

    def _authors(self, raw: Mapping[str, Any], name: str | None) -> list[Author]:
        """Where names are kept, a group that hides them must not wipe out what another group shows of the same person."""
        own = raw.get("author")
        return [Author(id=own, name=name)] if own and (name is not None or not self.names) else []


def remap(context: Context, reference: Ref, raw: Mapping[str, Any]) -> Sequence[Record]:
    """Map a node from quarantine again."""
    mapper = Mapper(context)
    match reference.partition("/")[0]:
        case "proposal":
            return mapper.build_post(raw)
        case "point":
            return mapper.build_point(raw)
        case "status_change":
            return mapper.build_answer(raw)
        case "category":
            return mapper.build_category(raw)
        case "domain" | "community" | "group":
            return [mapper.build_space(raw)]
        case _:
            raise MappingError("kind", "unknown")


def _digest(raw: Mapping[str, Any], name: str | None = None) -> bytes:
    return hashlib.blake2b(msgspec.json.encode([raw, name]), digest_size=16, key=MAPPING).digest()


def _language(raw: Mapping[str, Any]) -> str:
    """Null until somebody asked for a machine translation, then a code or `??` (2)."""
    found = raw.get("language")
    return found if isinstance(found, str) and found and found != "??" else UNKNOWN_LOCALE


def _parent(kind: str, raw: Mapping[str, Any]) -> Ref | None:
    if kind == "group":
        folder, above = raw.get("in_group_folder_id"), raw.get("community_id")
        return f"group/{folder}" if folder else f"community/{above}" if above else None
    if kind == "community":
        folder, above = raw.get("in_community_folder_id"), raw.get("domain_id")
        return f"community/{folder}" if folder else f"domain/{above}" if above else None
    return None
