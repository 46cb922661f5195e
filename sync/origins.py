"""What may be published: the proposals of an instance as the database knows them, and which of them a route wants.

Read-only. It says nothing about copies (`sync.publish.guards`) and nothing about wording (`sync.render`).
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, func, or_, select

from ..config.routes import Route, Where
from ..core.durations import seconds
from ..core.identity import Key, Ref, key
from ..core.ledger.ledger import PUBLICATION
from ..core.ledger.states import LIVE, Reason
from ..core.records import State
from ..core.schema.tables import (
    AnswerRow,
    AreaRow,
    AuthorRow,
    CategoryRow,
    ProposalAreaRow,
    ProposalCategoryRow,
    ProposalRow,
    ProposalTextRow,
    RunRow,
    SpaceRow,
    table_of,
)
from ..core.store.bulk import chunks

PROPOSAL, TEXT, SPACE, ANSWER = (table_of(t) for t in (ProposalRow, ProposalTextRow, SpaceRow, AnswerRow))
CATEGORY, AREA, AUTHOR = (table_of(t) for t in (CategoryRow, AreaRow, AuthorRow))
RUN = table_of(RunRow)
IN_CATEGORY, IN_AREA = table_of(ProposalCategoryRow), table_of(ProposalAreaRow)


@dataclass(frozen=True, slots=True)
class OriginText:
    """One language of an origin, original or machine translation."""

    locale: str
    machine: bool
    title: str
    html: str
    plain: str


@dataclass(frozen=True, slots=True)
class Origin:
    """A proposal as the database knows it now."""

    key: Key
    ref: Ref
    instance: str
    kind: str
    title: str
    locale: str
    state: State
    url: str | None
    author: str | None
    author_name: str | None
    reference: str | None
    space: str
    created_at: datetime | None
    published_at: datetime | None
    latitude: float | None
    longitude: float | None
    address: str | None
    gone_at: datetime | None
    gone_reason: str | None
    missing: int
    texts: tuple[OriginText, ...] = ()
    categories: tuple[tuple[Ref, str], ...] = ()
    areas: tuple[tuple[Ref, str], ...] = ()

    @property
    def originals(self) -> tuple[OriginText, ...]:
        """What people wrote; machine translations are never published."""
        return tuple(text for text in self.texts if not text.machine)

    def digest(self) -> bytes:
        """Another one as soon as anything of it is other."""
        return hashlib.sha256(msgspec.json.encode(self)).digest()


@dataclass(frozen=True, slots=True)
class OfficialAnswer:
    """The newest official answer to a proposal."""

    key: Key
    state: State
    texts: tuple[OriginText, ...]
    answered_at: datetime | None
    since: datetime | None = None
    """When it was given, or first seen where nobody tells."""


class Seen(NamedTuple):
    """What the last pull of the target saw of a copy."""

    gone_at: datetime | None
    changed_at: datetime
    withdrawn: bool = False
    """Whether it says there that it was withdrawn or retired."""
    missing: bool = False
    """Whether the last sweep missed it, which the next one decides about."""


def seen_copies(engine: Engine, keys: Iterable[Key]) -> dict[Key, Seen]:
    """Of these copies, what pulls saw; nothing for what was never pulled."""
    found: dict[Key, Seen] = {}
    with engine.connect() as connection:
        for part in chunks(list(keys)):
            columns = (PROPOSAL.c.key, PROPOSAL.c.gone_at, PROPOSAL.c.changed_at, PROPOSAL.c.state == State.WITHDRAWN)
            missing = PROPOSAL.c.missing_runs > 0
            rows = connection.execute(select(*columns, missing).where(PROPOSAL.c.key.in_(part)))
            found.update({own: Seen(gone, at, bool(back), bool(no)) for own, gone, at, back, no in rows})
    return found


def last_full_pull(engine: Engine, instance: str) -> datetime | None:
    """When the newest pull began that saw all of an instance; None where there was none."""
    query = select(func.max(RUN.c.started_at)).where(
        RUN.c.instance == instance, RUN.c.full.is_(True), RUN.c.outcome == "done"
    )
    with engine.connect() as connection:
        return connection.execute(query).scalar()


def unseen_copies(engine: Engine, route: str, target: str, limit: int) -> list[str]:
    """Publications whose copy no pull of the target ever saw, although a full one was made since: it may have been hidden before that.

    At most `limit`, those first that were looked at longest ago.
    """
    since = select(RUN.c.id).where(
        RUN.c.instance == target,
        RUN.c.full.is_(True),
        RUN.c.outcome == "done",
        RUN.c.started_at > PUBLICATION.c.changed_at,
    )
    query = (
        select(PUBLICATION.c.id)
        .where(
            PUBLICATION.c.route == route,
            PUBLICATION.c.target_instance == target,
            PUBLICATION.c.state.in_(LIVE),
            PUBLICATION.c.copy_key.is_not(None),
            ~select(PROPOSAL.c.key).where(PROPOSAL.c.key == PUBLICATION.c.copy_key).exists(),
            since.exists(),
        )
        .order_by(PUBLICATION.c.changed_at)
        .limit(limit)
    )
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def new_origins(engine: Engine, route: Route, now: datetime, ours: Iterable[str] = ()) -> list[Key]:
    """The keys of the proposals that a route wants and that have no publication in its target yet, oldest first.

    Copies are not among them, nor what our own accounts (`ours`, pseudonyms) wrote.
    """
    source, where = route.source, route.source.where
    known = select(PUBLICATION.c.id).where(
        PUBLICATION.c.origin_key == PROPOSAL.c.key,
        PUBLICATION.c.target_instance == route.to.instance,
        PUBLICATION.c.target_space == route.to.space,
    )
    query = (
        select(PROPOSAL.c.key)
        .where(
            PROPOSAL.c.instance == source.instance,
            PROPOSAL.c.kind.in_(where.kind),
            PROPOSAL.c.gone_at.is_(None),
            PROPOSAL.c.state != State.WITHDRAWN.value,
            ~known.exists(),
            *_originals(ours),
            *_conditions(where, source.instance, now),
        )
        .order_by(func.coalesce(PROPOSAL.c.published_at, PROPOSAL.c.created_at), PROPOSAL.c.key)
    )
    if route.max_age is not None:
        published = func.coalesce(PROPOSAL.c.published_at, PROPOSAL.c.created_at)
        query = query.where(published >= now - timedelta(seconds=seconds(route.max_age)))
    with engine.connect() as connection:
        if source.space is not None:
            query = query.where(PROPOSAL.c.space_key.in_(within(connection, source.instance, source.space)))
        return list(connection.execute(query).scalars())


def wanted_still(engine: Engine, route: Route, keys: Sequence[Key], ours: Iterable[str] = ()) -> set[Key]:
    """Those of these proposals that a route would take if they were new; how old they are is not asked (`of_age`)."""
    source = route.source
    where = source.where.model_copy(update={"older_than": None, "younger_than": None})
    query = select(PROPOSAL.c.key).where(
        PROPOSAL.c.instance == source.instance,
        PROPOSAL.c.kind.in_(where.kind),
        *_originals(ours),
        *_conditions(where, source.instance, datetime.max),
    )
    with engine.connect() as connection:
        if source.space is not None:
            query = query.where(PROPOSAL.c.space_key.in_(within(connection, source.instance, source.space)))
        return {str(own) for own in connection.execute(query.where(PROPOSAL.c.key.in_(keys))).scalars()}


def of_age(route: Route, origin: Origin, moment: datetime) -> bool:
    """Whether a proposal was neither too old nor too new for a route at a moment."""
    where, published = route.source.where, origin.published_at or origin.created_at
    least = timedelta(seconds=seconds(where.older_than)) if where.older_than is not None else None
    most = [timedelta(seconds=seconds(each)) for each in (where.younger_than, route.max_age) if each is not None]
    if least is None and not most:
        return True
    if published is None:
        return False
    age = moment - published
    return (least is None or age >= least) and all(age <= each for each in most)


def _originals(ours: Iterable[str]) -> list[Any]:
    """What is no copy in our ledger, and not written by an account of ours."""
    return [
        ~select(PUBLICATION.c.id).where(PUBLICATION.c.copy_key == PROPOSAL.c.key).exists(),
        or_(PROPOSAL.c.author.is_(None), PROPOSAL.c.author.not_in(list(ours))),
    ]


def _conditions(where: Where, instance: str, now: datetime) -> list[Any]:
    published = func.coalesce(PROPOSAL.c.published_at, PROPOSAL.c.created_at)
    found: list[Any] = []
    if where.state:
        found.append(PROPOSAL.c.state.in_([state.value for state in where.state]))
    if where.min_supports is not None:
        found.append(PROPOSAL.c.supports >= where.min_supports)
    if where.older_than is not None:
        found.append(published <= now - timedelta(seconds=seconds(where.older_than)))
    if where.younger_than is not None:
        found.append(published >= now - timedelta(seconds=seconds(where.younger_than)))
    for wanted, link, column, table in (
        (where.category, IN_CATEGORY, "category_key", CATEGORY),
        (where.area, IN_AREA, "area_key", AREA),
    ):
        if wanted:
            keys = [key(instance, each) for each in wanted]
            named = select(link.c.proposal_key).join(table, table.c.key == link.c[column], isouter=True)
            named = named.where(
                link.c.proposal_key == PROPOSAL.c.key, or_(link.c[column].in_(keys), table.c.name.in_(wanted))
            )
            found.append(named.exists())
    text = select(TEXT.c.proposal_key).where(TEXT.c.proposal_key == PROPOSAL.c.key, TEXT.c.machine.is_(False))
    if where.language:
        found.append(text.where(TEXT.c.locale.in_(where.language)).exists())
    if where.text:
        pattern = where.text.lower()
        holds = or_(
            func.lower(TEXT.c.title).contains(pattern, autoescape=True),
            func.lower(TEXT.c.plain).contains(pattern, autoescape=True),
        )
        found.append(text.where(holds).exists())
    return found


def within(connection: Connection, instance: str, space: Ref) -> list[Key]:
    """A space and everything in it."""
    rows = connection.execute(select(SPACE.c.key, SPACE.c.parent_key).where(SPACE.c.instance == instance)).all()
    children: dict[Key, list[Key]] = {}
    for own, parent in rows:
        if parent is not None:
            children.setdefault(parent, []).append(own)
    found = [key(instance, space)]
    for each in found:
        found.extend(child for child in children.get(each, ()) if child not in found)
    return found


class Loss(NamedTuple):
    """Why an origin must not be shown any more."""

    reason: Reason
    sentence: str


def loss(origin: Origin | None) -> Loss | None:
    """Why an origin must not be shown any more; None while it may."""
    if origin is None:
        return None  # not in this database (yet): after a rebuild nothing is known of it, and nothing is concluded from that
    if origin.gone_at is not None:
        return Loss(Reason.ORIGIN_GONE, f"its origin is gone ({origin.gone_reason or 'not there any more'})")
    if origin.state is State.WITHDRAWN:
        return Loss(Reason.ORIGIN_WITHDRAWN, "its origin was withdrawn")
    return None


def load_origins(engine: Engine, keys: Iterable[Key]) -> dict[Key, Origin]:
    """Proposals with their texts, categories and areas."""
    found: dict[Key, Origin] = {}
    with engine.connect() as connection:
        for part in chunks(list(keys)):
            found.update(_load(connection, part))
    return found


_SHOWN = (
    *(PROPOSAL.c[name] for name in ("key", "instance", "kind", "title", "locale", "state", "url", "author")),
    AUTHOR.c.name.label("author_name"),
    PROPOSAL.c.reference,
    func.coalesce(SPACE.c.name, ""),
    *(PROPOSAL.c[name] for name in ("created_at", "published_at", "latitude", "longitude", "address")),
    *(PROPOSAL.c[name] for name in ("gone_at", "gone_reason", "missing_runs")),
)
"""In the order of `Origin`: the rest of a proposal's row, which is as long again, is not read."""


def _load(connection: Connection, keys: Sequence[Key]) -> dict[Key, Origin]:
    texts: dict[Key, list[OriginText]] = {}
    query = (
        select(TEXT.c.proposal_key, TEXT.c.locale, TEXT.c.machine, TEXT.c.title, TEXT.c.html, TEXT.c.plain)
        .where(TEXT.c.proposal_key.in_(keys))
        .order_by(TEXT.c.machine, TEXT.c.locale)
    )
    for own, *said in connection.execute(query):
        texts.setdefault(own, []).append(OriginText(*said))
    categories = _linked(connection, IN_CATEGORY, "category_key", CATEGORY, keys)
    areas = _linked(connection, IN_AREA, "area_key", AREA, keys)
    proposals = (
        select(*_SHOWN)
        .select_from(PROPOSAL)
        .join(SPACE, SPACE.c.key == PROPOSAL.c.space_key, isouter=True)
        .join(
            AUTHOR,
            (AUTHOR.c.instance == PROPOSAL.c.instance) & (AUTHOR.c.pseudonym == PROPOSAL.c.author),
            isouter=True,
        )
        .where(PROPOSAL.c.key.in_(keys))
    )
    found: dict[Key, Origin] = {}
    for row in connection.execute(proposals):
        own, instance, kind, title, locale, state, *more = tuple[Any, ...](row)
        linked = tuple(tuple(each.get(own, ())) for each in (texts, categories, areas))
        found[own] = Origin(own, own.partition("/")[2], instance, kind, title, locale, State(state), *more, *linked)
    return found


def _linked(
    connection: Connection, link: Any, column: str, table: Any, keys: Sequence[Key]
) -> dict[Key, list[tuple[Ref, str]]]:
    query = (
        select(link.c.proposal_key, link.c[column], table.c.name)
        .join(table, table.c.key == link.c[column], isouter=True)
        .where(link.c.proposal_key.in_(keys))
        .order_by(link.c[column])
    )
    found: dict[Key, list[tuple[Ref, str]]] = {}
    for own, other, name in connection.execute(query):
        found.setdefault(own, []).append((other.partition("/")[2], name or ""))
    return found


def with_answers(engine: Engine, route: str, *, of: Literal["origin", "copy"]) -> list[str]:
    """The publications of a route whose copy stands there and whose origin, or whose copy, was officially answered."""
    target = PUBLICATION.c.origin_key if of == "origin" else PUBLICATION.c.copy_key
    answered = select(ANSWER.c.key).where(ANSWER.c.target_key == target, ANSWER.c.gone_at.is_(None))
    query = select(PUBLICATION.c.id).where(
        PUBLICATION.c.route == route,
        PUBLICATION.c.state.in_(LIVE),
        PUBLICATION.c.copy_key.is_not(None),
        answered.exists(),
    )
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def newest_answers(engine: Engine, keys: Iterable[Key]) -> dict[Key, OfficialAnswer]:
    """The newest official answer of each proposal that has one."""
    found: dict[Key, OfficialAnswer] = {}
    with engine.connect() as connection:
        for part in chunks(list(keys)):
            query = (
                select(ANSWER, PROPOSAL.c.state.label("proposal_state"))
                .join(PROPOSAL, PROPOSAL.c.key == ANSWER.c.target_key)
                .where(ANSWER.c.target_key.in_(part), ANSWER.c.gone_at.is_(None))
                .order_by(func.coalesce(ANSWER.c.answered_at, ANSWER.c.first_seen_at), ANSWER.c.key)
            )
            for row in connection.execute(query).mappings():
                texts = tuple(
                    OriginText(each["locale"], each["machine"], each.get("title") or "", each["html"], each["plain"])
                    for each in row["texts"] or ()
                    if not each["machine"]
                )
                state = State(row["state"] or row["proposal_state"])
                if texts or state is not State.OPEN:
                    found[row["target_key"]] = OfficialAnswer(
                        row["key"], state, texts, row["answered_at"], row["answered_at"] or row["first_seen_at"]
                    )
    return found


class Marked(NamedTuple):
    """A text with something like a marker of civicsync in it."""

    key: Key
    title: str
    plain: str
    html: str
    author: str | None = None
    space: Key | None = None


def marked_texts(engine: Engine, instance: str) -> list[Marked]:
    """The texts on an instance that carry markers and are no copies in our ledger."""
    known = select(PUBLICATION.c.id).where(PUBLICATION.c.copy_key == TEXT.c.proposal_key)
    query = (
        select(TEXT.c.proposal_key, TEXT.c.title, TEXT.c.plain, TEXT.c.html, PROPOSAL.c.author, PROPOSAL.c.space_key)
        .join(PROPOSAL, PROPOSAL.c.key == TEXT.c.proposal_key)
        .where(PROPOSAL.c.instance == instance, PROPOSAL.c.gone_at.is_(None))
        .where(TEXT.c.plain.contains("[civicsync:"), ~known.exists())
    )
    with engine.connect() as connection:
        return [Marked(*row) for row in connection.execute(query)]
