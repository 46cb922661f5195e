"""What a route would do now: a list of decisions, each with its reason and the exact text; nothing is sent and nothing is written.

`publish --dry-run` prints these; `publish` writes them into the ledger first and sends them afterwards, so both show the same.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Engine, and_, or_, select

from ...config.model import Config
from ...config.routes import Route
from ...connectors.contract.errors import CannotDo
from ...connectors.contract.writing import Limits, Writer
from ...connectors.registry import resolve
from ...core.identity import Key, Ref, by_number
from ...core.ledger.ledger import PUBLICATION, Ledger, Operation, Publication, publication_id
from ...core.ledger.marker import Signer, markers_in
from ...core.ledger.states import LANES, LIVE, UNDER_WAY, Lane, OperationKind, OperationState, PublicationState, Reason
from ...core.records import UNKNOWN_LOCALE, State
from ...core.schema.tables import InstanceRow, table_of
from ..origins import (
    PROPOSAL,
    Marked,
    Origin,
    Seen,
    load_origins,
    marked_texts,
    new_origins,
    newest_answers,
    seen_copies,
)
from ..render.render import (
    CannotRender,
    Rendered,
    Site,
    hash_of,
    hashes,
    payload_of,
    prints,
    render,
    render_answer,
    why_not_sent,
    with_draft,
)
from .decisions import Action, Decision, Plan
from .guards import Classified, Guards, Provenance
from .peers import Peers, named_address
from .sending import twins_told

_CHUNK = 200
_AT_REST = (PublicationState.CANCELLED, PublicationState.REFUSED, PublicationState.HELD, PublicationState.REJECTED)
_COPY = PROPOSAL.alias("copy")
_MARGIN = timedelta(minutes=10)
"""A pull stamps a change a little before it commits it; what changed this long before the last plan is looked at again."""


class Loss(NamedTuple):
    """Why an origin must not be shown any more."""

    reason: Reason
    sentence: str


class Planner:
    """Plans one route."""

    def __init__(
        self, config: Config, engine: Engine, ledger: Ledger, signer: Signer, name: str, writer: Writer, limits: Limits
    ) -> None:
        self.name = name
        self.route: Route = config.routes[name]
        self.engine = engine
        self.ledger = ledger
        self.signer = signer
        self.writer = writer
        self.limits = limits
        source = self.route.source.instance
        spaces = {route.to.space for route in config.routes.values() if route.to.instance == source}
        self.peers = Peers(config)
        self.guards = Guards(ledger, signer, source, spaces, self.peers)
        self._certain = resolve(config.instances[source].platform).tells_languages
        self.origin_site = site_of(engine, config, self.route.source.instance)
        self.target_site = site_of(engine, config, self.route.to.instance)

    def plan(self, room: int) -> Plan:
        """Decide about everything; at most `room` new copies."""
        now = self.ledger.clock.now()
        plan = Plan(self.name, fingerprint=self._fingerprint(), began=now)
        existing = self._existing(plan.fingerprint)
        self._follow(plan, existing)
        self._twins(plan)
        self._strangers(plan)
        self._new(plan, now, room)
        if self.route.follow.answers_to_copies or self.route.follow.answers_to_origin:
            self._answers(plan)
        return plan

    def _fingerprint(self) -> str:
        ends = f"{self.route.source.instance}>{self.route.to.instance}/{self.route.to.space}"
        whole = self.route.model_dump_json(by_alias=True) + msgspec.json.encode(self.limits).decode()
        return f"{ends}:{hashlib.sha256(whole.encode()).hexdigest()[:16]}"

    # Copies that exist or are on their way ----------------------------------------------------------------------------

    def _existing(self, fingerprint: str) -> list[Publication]:
        known = self.ledger.route(self.name)
        if known is None or known["fingerprint"] != fingerprint or known["planned_at"] is None:
            return self.ledger.publications(route=self.name)
        since = known["planned_at"] - _MARGIN
        query = (
            select(PUBLICATION.c.id)
            .join(PROPOSAL, PROPOSAL.c.key == PUBLICATION.c.origin_key, isouter=True)
            .join(_COPY, _COPY.c.key == PUBLICATION.c.copy_key, isouter=True)
            .where(
                PUBLICATION.c.route == self.name,
                or_(
                    PUBLICATION.c.state.not_in((PublicationState.SENT, PublicationState.WITHDRAWN)),
                    PUBLICATION.c.sent_hash.is_(None),
                    PUBLICATION.c.changed_at >= since,
                    PROPOSAL.c.key.is_(None),
                    PROPOSAL.c.changed_at >= since,
                    PROPOSAL.c.gone_at >= since,
                    _COPY.c.gone_at >= since,
                    and_(_COPY.c.state == State.WITHDRAWN, _COPY.c.changed_at >= since),
                ),
            )
        )
        with self.engine.connect() as connection:
            ids = list(connection.execute(query).scalars())
        return self.ledger.publications(ids=ids) if ids else []

    def _follow(self, plan: Plan, existing: Sequence[Publication]) -> None:
        open_ops = {op.publication_id: op for op in self.ledger.operations(route=self.name) if op.lane is Lane.TEXT}
        for start in range(0, len(existing), _CHUNK):
            part = existing[start : start + _CHUNK]
            origins = load_origins(self.engine, {each.origin_key for each in part})
            copies = seen_copies(self.engine, {each.copy_key for each in part if each.copy_key})
            for each in part:
                copy = copies.get(each.copy_key or "")
                decision = self._follow_one(each, origins.get(each.origin_key), copy, open_ops.get(each.id))
                if decision is not None:
                    plan.decisions.append(decision)

    def _follow_one(
        self, own: Publication, origin: Origin | None, copy: Seen | None, waiting: Operation | None
    ) -> Decision | None:
        if waiting is not None and waiting.state in UNDER_WAY:
            return None  # first it must be known what became of it
        lost = _lost(origin)
        if own.copy_key is None:
            return self._follow_intent(own, origin, waiting, lost)
        seen = self._seen(own, origin, copy)
        if seen is not None:
            return seen
        if own.state not in LIVE:
            withdrawn = own.state is PublicationState.WITHDRAWN and own.reason_code is not Reason.ORIGIN_BACK
            if withdrawn and not lost and origin is not None:
                why = "back: its origin is there again; `review reopen` makes a new copy"
                return self._decision(Action.FLAG, own, origin, why, reason=Reason.ORIGIN_BACK)
            return None
        if lost:
            return self._withdrawal(own, origin, waiting, lost)
        if waiting is not None and waiting.kind is OperationKind.WITHDRAW:
            return self._decision(Action.CANCEL, own, origin, "its origin is there again", reason=Reason.ORIGIN_BACK)
        if not self.route.follow.edits or origin is None:
            return None
        # The same edit is not tried at every run: a person may (`review approve`), or the origin changes again.
        refused = self._refused_hash(own) if own.reason_code is Reason.EDIT_REFUSED else ""
        return self._text(own, origin, waiting, Action.EDIT, unless=refused)

    def _seen(self, own: Publication, origin: Origin | None, copy: Seen | None) -> Decision | None:
        """What the pull of the target saw of the copy itself: that it was removed there, or is there again."""
        if copy is None:
            return None
        if own.state in LIVE and copy.gone_at is not None:
            why = "the copy is not there any more: a moderator may have removed it"
            return self._decision(Action.GONE, own, origin, why, reason=Reason.COPY_GONE)
        if own.state in LIVE and copy.withdrawn:
            # Nothing of ours is under way: a person did that with our account, or the platform's office.
            why = "the copy was taken back on its platform, not by civicsync"
            return self._decision(Action.GONE, own, origin, why, reason=Reason.COPY_GONE)
        # What an edit found missing is there again only if a later pull saw it.
        there = copy.gone_at is None and not copy.withdrawn
        if own.state is PublicationState.GONE and there and copy.changed_at > own.changed_at:
            return self._decision(Action.RETURNED, own, origin, "the copy is there again")
        return None

    def _follow_intent(
        self, own: Publication, origin: Origin | None, waiting: Operation | None, lost: Loss | None
    ) -> Decision | None:
        if lost:
            if waiting is None and own.state in _AT_REST:
                return None
            return self._decision(Action.CANCEL, own, origin, lost.sentence, reason=lost.reason)
        if origin is None or own.state in {PublicationState.HELD, PublicationState.REJECTED}:
            return None
        if own.state is PublicationState.REFUSED and own.sent_hash is None:
            return self._text(own, origin, waiting, Action.CREATE, unless=self._refused_hash(own))
        return self._text(own, origin, waiting, Action.CREATE)

    def _refused_hash(self, own: Publication) -> str:
        ended = self.ledger.operations(states=(OperationState.REFUSED,), publication=own.id)
        refused = [op for op in ended if op.lane is Lane.TEXT]
        return refused[-1].payload_hash if refused else ""

    def _withdrawal(
        self, own: Publication, origin: Origin | None, waiting: Operation | None, lost: Loss
    ) -> Decision | None:
        if self.route.follow.withdrawals == "ignore" or (
            waiting is not None and waiting.kind is OperationKind.WITHDRAW
        ):
            return None
        if self.route.follow.withdrawals == "flag":
            if own.reason_code is lost.reason:
                return None
            return self._decision(Action.FLAG, own, origin, lost.sentence, reason=lost.reason)
        return self._decision(Action.WITHDRAW, own, origin, lost.sentence, reason=lost.reason)

    def _text(
        self, own: Publication, origin: Origin, waiting: Operation | None, action: Action, unless: str = ""
    ) -> Decision | None:
        try:
            rendered = self._render(origin)
        except (CannotRender, CannotDo) as error:
            reason = _why_not(error)
            if own.reason_code is reason:
                return None
            return self._decision(Action.REFUSE, own, origin, str(error), reason=reason)
        payload = payload_of(rendered.draft)
        digest = hash_of(payload)
        to = self.route.to
        # For the form of the marker alone nothing is sent again.
        before = self.signer.before(origin.key, to.instance, to.space)
        same = hashes(payload, rendered.draft.marker, before, own.sent_payload if action is Action.EDIT else None)
        edit = action is Action.EDIT
        if same & {own.sent_hash if edit else "", waiting.payload_hash if waiting else "", unless}:
            if edit and own.sent_hash in same and (waiting is not None or own.reason_code is Reason.EDIT_REFUSED):
                why = "the origin says again what the copy says"
                return self._decision(Action.CANCEL, own, origin, why, reason=Reason.SAYS_SO_ALREADY)
            return None
        why, reason = "the origin changed" if edit else "the origin changed before the copy was made", Reason.NONE
        if own.state is PublicationState.RELEASED:
            why = "a person let it through"
        else:
            # A changed text passes the same guards as a new one.
            judged = self.guards.judge(origin)
            if judged.provenance is Provenance.COPY:
                return None
            if judged.provenance is Provenance.HELD:
                why, reason = judged.why, judged.reason
        if edit and own.sent_hash is None and own.copy_print in prints(rendered.draft):
            action, why = Action.CONFIRM, "the copy says what its origin says"
        elif edit and own.sent_hash is None and own.copy_print is not None:
            why = "it was found again and says something else than its origin"
        more = {"payload": payload, "payload_hash": digest, "marker": own.marker, "reason": reason}
        return self._decision(action, own, origin, why, notes=rendered.notes, **more)

    def _decision(self, action: Action, own: Publication, origin: Origin | None, why: str, **more: Any) -> Decision:
        title = origin.title if origin is not None and origin.title else own.title
        return Decision(action, own.origin_key, title, why, publication=own, **more)

    def _twins(self, plan: Plan) -> None:
        """A second text of ours with the marker of a copy, seen by a pull: a late answer, or one that was stored after all."""
        to, accounts = self.route.to, self.ledger.accounts(self.route.to.instance)
        twins: dict[str, tuple[Publication, list[Ref]]] = {}
        for marked in self._marked:
            if marked.author is not None and marked.author not in accounts:
                continue  # anybody can paste a marker
            for marker in markers_in(marked.plain):
                if not self.signer.is_ours(marker, to.instance, to.space):
                    continue
                own = self.ledger.publication(publication_id(marker.origin, to.instance, to.space))
                if own is None or (own.copy_key is None and own.state in _AT_REST):
                    plan.strays += 1
                elif own.copy_key not in {None, marked.key} and own.route == self.name:
                    twins.setdefault(own.id, (own, []))[1].append(marked.key.partition("/")[2])
        done = self.ledger.last_hashes(self.name, Lane.TWIN) if twins else {}
        for own, found in twins.values():
            others = sorted(set(found), key=by_number)
            why = twins_told(own.remote_ref or "", others)
            if all(event["detail"] != why for event in self.ledger.events(own.id)):
                plan.decisions.append(self._decision(Action.FLAG, own, None, why, reason=Reason.TWINS))
            payload = {"refs": others}
            if self.route.twins == "keep_first" and done.get(own.id) != hash_of(payload):
                more = {"payload": payload, "payload_hash": hash_of(payload), "notes": (why,)}
                plan.decisions.append(self._decision(Action.WITHDRAW_TWIN, own, None, why, **more))

    @cached_property
    def _marked(self) -> list[Marked]:
        return marked_texts(self.engine, self.route.to.instance)

    # New copies -------------------------------------------------------------------------------------------------------

    def _new(self, plan: Plan, now: datetime, room: int) -> None:
        wanted = new_origins(self.engine, self.route, now, self.ledger.accounts(self.route.source.instance))
        taken = 0
        for position, origin in enumerate(self._loaded(wanted)):
            if taken >= room:
                plan.waiting = len(wanted) - position
                return
            decision = self._judge(origin)
            if isinstance(decision, Classified):
                plan.skipped[decision.why] = plan.skipped.get(decision.why, 0) + 1
                continue
            plan.decisions.append(decision)
            taken += decision.action is Action.CREATE

    def _loaded(self, keys: Sequence[Key]) -> Iterator[Origin]:
        for start in range(0, len(keys), _CHUNK):
            part = keys[start : start + _CHUNK]
            origins = load_origins(self.engine, part)
            yield from (origins[own] for own in part if own in origins)

    @cached_property
    def _foreign(self) -> dict[str, Key]:
        """What another civicsync that we know made on the target, by the one address that each of its copies names."""
        to, found = self.route.to, dict[str, Key]()
        for marked in self._marked:
            foreign = [m for m in markers_in(marked.plain) if not self.signer.is_ours(m, to.instance, to.space)]
            if foreign and self._known(marked):
                found.update(dict.fromkeys(named_address(marked.plain, marked.html), marked.key))
        return found

    def _known(self, marked: Marked) -> bool:
        """Whether a text with somebody else's marker is of an account of ours (which it shares) or of a peer."""
        to = self.route.to.instance
        return marked.author in self.ledger.accounts(to) or self.peers.who_wrote(to, marked.author) is not None

    def _strangers(self, plan: Plan) -> None:
        """Markers of whom nobody knows: told, and obeyed in nothing."""
        to = self.route.to
        texts = {
            each.key
            for each in self._marked
            for marker in markers_in(each.plain)
            if not self.signer.is_ours(marker, to.instance, to.space) and not self._known(each)
        }
        if texts:
            plan.warnings.append(
                f"{len(texts)} texts on {to.instance} carry the marker of a civicsync that is not among `peers`, {min(texts)} for one: "
                "they hold nothing back"
            )

    def _twin(self, origin: Origin) -> Key | None:
        return self._foreign.get(origin.url or "")

    def _judge(self, origin: Origin) -> Decision | Classified:
        if origin.missing:
            return Classified(Provenance.HELD, "it was missing in the last sweep; the next one decides")
        found = self.guards.judge(origin)
        if found.provenance is Provenance.COPY:
            return found
        why, reason = found.why, found.reason
        if found.provenance is Provenance.ORIGINAL and (twin := self._twin(origin)) is not None:
            why = f"{twin} says that it is a copy of it: another civicsync may have made it"
            reason = Reason.TWIN
        if reason is not Reason.NONE:
            return Decision(Action.HOLD, origin.key, origin.title, why, reason, marker=self._marker(origin.key))
        try:
            rendered = self._render(origin)
        except (CannotRender, CannotDo) as error:
            marker = self._marker(origin.key)
            return Decision(Action.REFUSE, origin.key, origin.title, str(error), _why_not(error), marker=marker)
        payload = payload_of(rendered.draft)
        return Decision(
            Action.CREATE,
            origin.key,
            origin.title,
            "it qualifies",
            notes=rendered.notes,
            payload=payload,
            payload_hash=hash_of(payload),
            marker=rendered.draft.marker,
        )

    def _marker(self, origin: Key) -> str:
        return str(self.signer.marker(origin, self.route.to.instance, self.route.to.space))

    def _render(self, origin: Origin) -> Rendered:
        marker = self.signer.marker(origin.key, self.route.to.instance, self.route.to.space)
        rendered = render(origin, self.route, self.origin_site, marker, self.limits, certain=self._certain)
        fitted = self.writer.fit(self.route.to.space, rendered.draft)
        if why := why_not_sent(fitted.draft):
            raise CannotRender(Reason.NOT_ONE_MARKER, why)
        return with_draft(rendered, fitted.draft, fitted.changes)

    # Answers ----------------------------------------------------------------------------------------------------------

    def _answers(self, plan: Plan) -> None:
        sent = [
            own
            for own in self.ledger.publications(route=self.name)
            if own.state is PublicationState.SENT and own.copy_key
        ]
        if not sent:
            return
        follow = self.route.follow
        if follow.answers_to_copies:
            by_origin = {own.origin_key: own for own in sent}
            self._carry(plan, Action.ANSWER, by_origin, self.origin_site, self.route.to.instance, self.route.to.space)
        if follow.answers_to_origin:
            by_copy = {own.copy_key: own for own in sent if own.copy_key}
            self._carry(
                plan, Action.ANSWER_BACK, by_copy, self.target_site, self.route.source.instance, "origin/answers"
            )

    def _carry(
        self, plan: Plan, action: Action, sources: Mapping[Key, Publication], site: Site, to: str, space: str
    ) -> None:
        lane = LANES[OperationKind(action.value)]
        done = self.ledger.last_hashes(self.name, lane)
        waiting = {op.publication_id: op for op in self.ledger.operations(route=self.name) if op.lane is lane}
        urls = {each.key: each.url for each in load_origins(self.engine, sources).values()}
        locales = {
            each.key: each.locale
            for each in load_origins(self.engine, [p.origin_key for p in sources.values()]).values()
        }
        for own_key, answer in newest_answers(self.engine, sources).items():
            own = sources[own_key]
            text = "\n".join(each.plain for each in answer.texts)
            if any(marker.origin.partition("/")[0] == to for marker in markers_in(text)):
                continue  # it came from there
            marker = self.signer.marker(answer.key, to, space)
            locale = (own.sent_payload or {}).get("locale") if action is Action.ANSWER else locales.get(own.origin_key)
            if locale in {None, UNKNOWN_LOCALE}:
                locale = next(iter(self.limits.locales), None) if action is Action.ANSWER else None
            draft = render_answer(answer, site, marker, urls.get(own_key), locale)
            if why := why_not_sent(draft):
                plan.skipped[f"an answer: {why}"] = plan.skipped.get(f"an answer: {why}", 0) + 1
                continue
            payload = payload_of(draft)
            digest = hash_of(payload)
            same = hashes(payload, str(marker), self.signer.before(answer.key, to, space))
            op = waiting.get(own.id)
            if done.get(own.id) in same or (op is not None and (op.payload_hash in same or op.state in UNDER_WAY)):
                continue
            if answer.state is State.OPEN and not answer.texts:
                continue
            plan.decisions.append(
                Decision(
                    action,
                    own.origin_key,
                    own.title,
                    f"{own_key} was answered: {answer.state.value}",
                    payload=payload,
                    payload_hash=digest,
                    marker=str(marker),
                    publication=own,
                    older=answer.since is not None and own.sent_at is not None and answer.since <= own.sent_at,
                )
            )


def site_of(engine: Engine, config: Config, instance: str) -> Site:
    """The name and address of an instance, as its copies mention it."""
    table = table_of(InstanceRow)
    with engine.connect() as connection:
        title = connection.execute(select(table.c.title).where(table.c.name == instance)).scalar()
    url = config.instances[instance].url
    return Site(title or url.partition("://")[2].partition("/")[0], url)


def _lost(origin: Origin | None) -> Loss | None:
    """Why an origin must not be shown any more; None while it may."""
    if origin is None:
        return None  # not in this database (yet): after a rebuild nothing is known of it, and nothing is concluded from that
    if origin.gone_at is not None:
        return Loss(Reason.ORIGIN_GONE, f"its origin is gone ({origin.gone_reason or 'not there any more'})")
    if origin.state is State.WITHDRAWN:
        return Loss(Reason.ORIGIN_WITHDRAWN, "its origin was withdrawn")
    return None


def _why_not(error: CannotRender | CannotDo) -> Reason:
    return error.reason if isinstance(error, CannotRender) else Reason.TARGET_CANNOT
