"""What a route would do now: a list of decisions, each with its reason and the exact text; nothing is sent and nothing is written.

`publish --dry-run` prints these; `publish` writes them into the ledger first and sends them afterwards, so both show the same.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Engine, and_, or_, select

from ...config.model import Config
from ...config.routes import Route
from ...connectors.contract.errors import CannotDo
from ...connectors.contract.writing import Limits, Writer
from ...connectors.registry import resolve
from ...core.identity import Key, Ref, by_number
from ...core.journal import instance_row
from ...core.ledger import restored
from ...core.ledger.bases import PLAN_BASIS, Basis
from ...core.ledger.ledger import OPERATION, PUBLICATION, Ledger, Publication, publication_id
from ...core.ledger.marker import Signer, markers_in
from ...core.ledger.states import (
    FLAGGED,
    LANES,
    LIVE,
    QUEUED,
    UNDER_WAY,
    Lane,
    OperationKind,
    OperationState,
    PublicationState,
    Reason,
)
from ...core.records import UNKNOWN_LOCALE, State
from ...core.schema.tables import InstanceRow, table_of
from ...core.store.bulk import chunks
from ..origins import (
    PROPOSAL,
    Loss,
    Marked,
    Origin,
    Seen,
    last_full_pull,
    load_origins,
    loss,
    marked_texts,
    new_origins,
    newest_answers,
    of_age,
    seen_copies,
    wanted_still,
    with_answers,
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
from .basis import Digester
from .decisions import Action, Decision, Plan
from .guards import Classified, Guards, Provenance
from .peers import Peers, named_address
from .sending import twins_told

_CHUNK = 500
_AT_REST = (PublicationState.CANCELLED, PublicationState.REFUSED, PublicationState.HELD, PublicationState.REJECTED)
_COPY = PROPOSAL.alias("copy")
_UNWANTED = "its route does not want it any more"
_LET_THROUGH = ("approved", "reopened")
"""What a person did to a text that no rule of the route stops any more."""
_MARGIN = timedelta(minutes=10)
"""A pull stamps a change a little before it commits it; what changed this long before the last plan is looked at again."""


class Waiting(NamedTuple):
    """What is open in the lane of a copy's text."""

    kind: OperationKind
    state: OperationState
    payload_hash: str
    decided: bool = False
    """Whether a person said so."""
    sent: bool = False
    """Whether it went out once."""

    def by_plan(self, kind: OperationKind) -> bool:
        """Whether it is of this kind and only a plan wanted it; what is under way is waited for before this is asked."""
        return self.kind is kind and not self.decided


class Standing(NamedTuple):
    """How a publication stands."""

    origin_key: Key
    made: bool
    """Whether it has a copy."""
    state: PublicationState
    sent_hash: str | None
    reason_code: Reason
    waiting: Waiting | None
    last: Basis | None
    no: str
    """The hash of the text that its platform refused last."""

    @property
    def refused(self) -> str:
        """What is not tried again by itself: while the platform's refusal stands, until a person or another text comes."""
        if self.made:
            return self.no if self.reason_code is Reason.EDIT_REFUSED else ""
        return self.no if self.state is PublicationState.REFUSED and self.sent_hash is None else ""


class Planner:
    """Plans one route."""

    def __init__(
        self,
        config: Config,
        engine: Engine,
        ledger: Ledger,
        signer: Signer,
        name: str,
        writer: Writer,
        limits: Limits | None,
    ) -> None:
        """`limits`: None where the space tells none because it takes nothing new: then no text is made or changed, and the rest planned."""
        self.name = name
        self._fits = limits is not None
        self.route: Route = config.routes[name]
        self.engine = engine
        self.ledger = ledger
        self.signer = signer
        self.writer = writer
        self.limits = limits or Limits()
        source = self.route.source.instance
        spaces = {route.to.space for route in config.routes.values() if route.to.instance == source}
        self.peers = Peers(config)
        self.guards = Guards(ledger, signer, source, spaces, self.peers)
        self._certain = resolve(config.instances[source].platform).tells_languages
        self.origin_site = site_of(engine, config, self.route.source.instance)
        self.target_site = site_of(engine, config, self.route.to.instance)
        # The marker of some origin tells the key that all are signed with.
        certain, signed = self._certain, self._marker(f"{source}/{name}")
        self._digests = Digester(config, name, writer, self.limits, self.origin_site, certain, signed)
        self._bases: dict[str, Basis] | None = None
        self._wanted: set[Key] = set()
        """The origins of texts that are not made yet, as far as the route would take them now."""

    def plan(self, room: int, hand_over: Callable[[Decision], None] | None = None) -> Plan:
        """Decide about everything; at most `room` new copies. `hand_over`: takes the decisions, which are not kept then."""
        now = self.ledger.clock.now()
        plan = Plan(self.name, fingerprint=self._fingerprint(), began=now, hand_over=hand_over)
        self._bases = plan.bases if hand_over is None else None
        self._follow(plan, self._existing(plan.fingerprint))
        self._twins(plan)
        self._strangers(plan)
        if self._fits:
            self._new(plan, now, room)
        self._unwanted_answers(plan)
        if self.route.follow.answers_to_copies or self.route.follow.answers_to_origin:
            self._answers(plan)
        return plan

    def _fingerprint(self) -> str:
        ends = f"{self.route.source.instance}>{self.route.to.instance}/{self.route.to.space}"
        whole = self.route.model_dump_json(by_alias=True) + msgspec.json.encode(self.limits).decode()
        return f"{ends}:{hashlib.sha256(whole.encode()).hexdigest()[:16]}"

    # Copies that exist or are on their way ----------------------------------------------------------------------------

    def _existing(self, fingerprint: str) -> list[str]:
        """The publications that must be looked at, oldest first."""
        known = self.ledger.route(self.name)
        query = select(PUBLICATION.c.id).where(PUBLICATION.c.route == self.name)
        if known is not None and known["fingerprint"] == fingerprint and known["planned_at"] is not None:
            since = known["planned_at"] - _MARGIN
            query = (
                query.join(PROPOSAL, PROPOSAL.c.key == PUBLICATION.c.origin_key, isouter=True)
                .join(_COPY, _COPY.c.key == PUBLICATION.c.copy_key, isouter=True)
                .where(
                    or_(
                        PUBLICATION.c.state.not_in((PublicationState.SENT, PublicationState.WITHDRAWN)),
                        PUBLICATION.c.sent_hash.is_(None),
                        PUBLICATION.c.changed_at >= since,
                        PROPOSAL.c.key.is_(None),
                        PROPOSAL.c.changed_at >= since,
                        PROPOSAL.c.gone_at >= since,
                        _COPY.c.gone_at >= since,
                        and_(_COPY.c.state == State.WITHDRAWN, _COPY.c.changed_at >= since),
                        and_(
                            PUBLICATION.c.state == PublicationState.WITHDRAWN,
                            PUBLICATION.c.reason_code != Reason.REPLACED_BY_NOTE,
                            _COPY.c.gone_at.is_(None),
                            _COPY.c.state != State.WITHDRAWN,
                        ),
                    ),
                )
            )
        with self.engine.connect() as connection:
            return list(connection.execute(query.order_by(PUBLICATION.c.created_at, PUBLICATION.c.id)).scalars())

    def _follow(self, plan: Plan, existing: Sequence[str]) -> None:
        for part in chunks(existing, _CHUNK):
            standing = self._standing(part)
            origins = load_origins(self.engine, {each.origin_key for each in standing.values()})
            self._wanted = self._wanted_of(standing.values())
            moved = [own for own, each in standing.items() if not self._unmoved(each, origins.get(each.origin_key))]
            publications = self.ledger.publications(ids=moved) if moved else []
            copies = seen_copies(self.engine, {each.copy_key for each in publications if each.copy_key})
            for own in publications:
                copy, origin = copies.get(own.copy_key or ""), origins.get(own.origin_key)
                decision = self._follow_one(own, origin, copy, standing[own.id])
                if decision is not None:
                    plan.add(decision)

    def _standing(self, publications: Sequence[str]) -> dict[str, Standing]:
        """How these publications stand, as far as most decisions need."""
        own = (PUBLICATION.c.id, PUBLICATION.c.origin_key, PUBLICATION.c.copy_key.is_not(None))
        rest = (PUBLICATION.c.state, PUBLICATION.c.sent_hash, PUBLICATION.c.reason_code)
        last = (PLAN_BASIS.c.basis, PLAN_BASIS.c.payload_hash, PLAN_BASIS.c.reason_code)
        query = (
            select(*own, *rest, *last)
            .join(PLAN_BASIS, PLAN_BASIS.c.publication_id == PUBLICATION.c.id, isouter=True)
            .where(PUBLICATION.c.id.in_(publications))
        )
        refused = (
            select(OPERATION.c.publication_id, OPERATION.c.payload_hash)
            .where(
                OPERATION.c.publication_id.in_(publications),
                OPERATION.c.state == OperationState.REFUSED,
                OPERATION.c.lane == Lane.TEXT,
            )
            .order_by(OPERATION.c.id)
        )
        waiting = self._waiting(Lane.TEXT, publications)
        found: dict[str, Standing] = {}
        with self.engine.connect() as connection:
            no = {row[0]: str(row[1]) for row in connection.execute(refused)}
            for row in connection.execute(query):
                key, origin, made, state, sent, reason, basis, digest, why = tuple[Any, ...](row)
                basis = Basis(basis, digest, Reason(why)) if basis else None
                more = (waiting.get(key), basis, no.get(key, ""))
                found[key] = Standing(origin, bool(made), PublicationState(state), sent, Reason(reason), *more)
        return found

    def _waiting(self, lane: Lane, publications: Sequence[str]) -> dict[str, Waiting]:
        """What is open in a lane of these publications."""
        names = ("publication_id", "kind", "state", "payload_hash", "decided_by", "first_sent_at")
        columns = [OPERATION.c[name] for name in names]
        found: dict[str, Waiting] = {}
        with self.engine.connect() as connection:
            for part in chunks(publications):
                query = select(*columns).where(OPERATION.c.publication_id.in_(part), OPERATION.c.open_lane == lane)
                for row in connection.execute(query):
                    own, kind, state, digest, by, sent = tuple[Any, ...](row)
                    done = (by is not None, sent is not None)
                    found[own] = Waiting(OperationKind(kind), OperationState(state), digest, *done)
        return found

    def _unmoved(self, own: Standing, origin: Origin | None) -> bool:
        """Whether a copy that is not made yet would say what it was last found to say, which led to nothing.

        Whatever else could be decided of it has to do with its origin going or with a person, and is looked at below.
        """
        if own.made or origin is None or own.last is None or loss(origin) or origin.key not in self._wanted:
            return False
        return own.last.made_from == self._digests.of(origin.digest()) and _says_so_still(own, Action.CREATE)

    def _follow_one(
        self, own: Publication, origin: Origin | None, copy: Seen | None, standing: Standing
    ) -> Decision | None:
        waiting = standing.waiting
        if waiting is not None and waiting.state in UNDER_WAY:
            return None  # first it must be known what became of it
        lost = loss(origin)
        if self._elsewhere(own) and not lost and self._wants_more(own):
            why = f"its route leads to {self.route.to.instance} {self.route.to.space} now"
            return self._decision(Action.CANCEL, own, origin, why, reason=Reason.LEADS_ELSEWHERE)
        if own.copy_key is None:
            return self._follow_intent(own, origin, standing, lost)
        # What is gone while it is being taken back may have gone by that: sending it again is harmless, and tells.
        leaving = waiting is not None and waiting.kind is OperationKind.WITHDRAW
        seen = self._seen(own, origin, copy) if not leaving else None
        if seen is not None:
            return seen
        if own.state not in LIVE:
            asked = own.reason_code in {Reason.ORIGIN_BACK, Reason.REJECTED}
            withdrawn = own.state is PublicationState.WITHDRAWN and not asked
            if withdrawn and not lost and origin is not None:
                why = "back: its origin is there again; `review reopen` makes a new copy"
                return self._decision(Action.FLAG, own, origin, why, reason=Reason.ORIGIN_BACK)
            return None
        if lost:
            return self._withdrawal(own, origin, waiting, lost)
        if origin is None and self._unknown(own):
            source = self.route.source.instance
            why = f"no pull of {source} knows its origin, so it may not be public any more: look there; nothing is taken back for that"
            return self._decision(Action.FLAG, own, origin, why, reason=Reason.ORIGIN_GONE)
        flagged = own.reason_code in {*FLAGGED, Reason.LEFT_THERE} and origin is not None
        if flagged or (waiting is not None and waiting.kind is OperationKind.WITHDRAW):
            return self._decision(Action.CANCEL, own, origin, "its origin is there again", reason=Reason.ORIGIN_BACK)
        if not self.route.follow.edits and waiting is not None and waiting.by_plan(OperationKind.EDIT):
            return self._decision(Action.CANCEL, own, origin, _UNWANTED, reason=Reason.NOT_WANTED)
        if not self.route.follow.edits or origin is None or self._elsewhere(own):
            return None
        # The same edit is not tried at every run: a person may (`review approve`), or the origin changes again.
        return self._text(own, origin, standing, Action.EDIT)

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
        if own.state is PublicationState.WITHDRAWN and there and loss(origin) is not None and self._shown(own, copy):
            return self._decision(Action.RETURNED, own, origin, "the copy is public again after it was taken back")
        return None

    def _shown(self, own: Publication, copy: Seen) -> bool:
        """Whether a copy that we took back was seen there since: it was hidden then, and somebody showed it again.

        A note in place of its text may stay, and so may what a person said is to be left alone, until it changes.
        """
        if own.reason_code is Reason.REPLACED_BY_NOTE:
            return False
        last = last_full_pull(self.engine, own.target_instance) if self._elsewhere(own) else self._last_pull
        if own.reason_code is Reason.REJECTED or last is None:
            return copy.changed_at > own.changed_at
        return not copy.missing and last > own.changed_at

    def _elsewhere(self, own: Publication) -> bool:
        """Whether it belongs to a place where the route led before: its marker is of that place, and so is all that is written there."""
        return (own.target_instance, own.target_space) != (self.route.to.instance, self.route.to.space)

    def _wants_more(self, own: Publication) -> bool:
        """Whether something else than taking it back waits for a copy at a place of before."""
        waiting = self.ledger.operations(states=QUEUED, publication=own.id)
        back = {OperationKind.WITHDRAW, OperationKind.WITHDRAW_TWIN}
        return own.state is PublicationState.RELEASED or any(op.kind not in back for op in waiting)

    def _unknown(self, own: Publication) -> bool:
        """Whether all of its source was read since it was found, without its origin: after a lost database nothing else would tell."""
        if self.route.follow.withdrawals == "ignore" or own.reason_code in {*FLAGGED, Reason.LEFT_THERE}:
            return False
        row = instance_row(self.engine, self.route.source.instance)
        read = row["last_full_at"] if row is not None else None
        return read is not None and read > own.created_at

    @cached_property
    def _last_pull(self) -> datetime | None:
        return last_full_pull(self.engine, self.route.to.instance)

    def _follow_intent(
        self, own: Publication, origin: Origin | None, standing: Standing, lost: Loss | None
    ) -> Decision | None:
        if lost:
            if standing.waiting is None and own.state in _AT_REST:
                return None
            return self._decision(Action.CANCEL, own, origin, lost.sentence, reason=lost.reason)
        if origin is None or self._elsewhere(own):
            return None
        if own.state in {PublicationState.HELD, PublicationState.REJECTED}:
            return None
        if not self._qualifies(own, origin):
            waiting = standing.waiting
            if waiting is not None and (waiting.sent or not waiting.by_plan(OperationKind.CREATE)):
                return self._text(own, origin, standing, Action.CREATE)
            if own.state in _AT_REST:
                return None
            return self._decision(Action.CANCEL, own, origin, _UNWANTED, reason=Reason.NOT_WANTED)
        return self._text(own, origin, standing, Action.CREATE)

    def _wanted_of(self, standing: Iterable[Standing]) -> set[Key]:
        keys = [each.origin_key for each in standing if not each.made]
        ours = self.ledger.accounts(self.route.source.instance) if keys else ()
        return wanted_still(self.engine, self.route, keys, ours) if keys else set()

    def _qualifies(self, own: Publication, origin: Origin) -> bool:
        """Whether the route would take this origin now, or a person let it through; waiting alone makes nothing too old."""
        if own.state is PublicationState.RELEASED:
            return True
        if origin.key in self._wanted and of_age(self.route, origin, own.created_at):
            return True
        return any(event["what"] in _LET_THROUGH for event in self.ledger.events(own.id))

    def _withdrawal(
        self, own: Publication, origin: Origin | None, waiting: Waiting | None, lost: Loss
    ) -> Decision | None:
        follow, waits = self.route.follow.withdrawals, waiting is not None and waiting.kind is OperationKind.WITHDRAW
        unwanted = waiting is not None and waiting.by_plan(OperationKind.WITHDRAW) and follow != "retract"
        if (waits and not unwanted) or own.reason_code is Reason.LEFT_THERE:
            return None
        if follow == "ignore":
            if not unwanted:
                return None
            return self._decision(Action.CANCEL, own, origin, _UNWANTED, reason=Reason.NOT_WANTED)
        if follow == "flag":
            if own.reason_code is lost.reason and not unwanted:
                return None
            return self._decision(Action.FLAG, own, origin, lost.sentence, reason=lost.reason)
        return self._decision(Action.WITHDRAW, own, origin, lost.sentence, reason=lost.reason)

    def _text(self, own: Publication, origin: Origin, standing: Standing, action: Action) -> Decision | None:
        if not self._fits:
            return None
        waiting, last, made_from = standing.waiting, standing.last, self._digests.of(origin.digest())
        if last is not None and last.made_from == made_from and _says_so_still(standing, action):
            return None
        try:
            rendered = self._render(origin)
        except (CannotRender, CannotDo) as error:
            reason = _why_not(error)
            self._note(own.id, Basis(made_from, "", reason))
            if own.reason_code is reason:
                return None
            return self._decision(Action.REFUSE, own, origin, str(error), reason=reason)
        payload = payload_of(rendered.draft)
        digest = hash_of(payload)
        if own.state is not PublicationState.SENT or own.sent_hash is None:
            self._note(own.id, Basis(made_from, digest))
        to = self.route.to
        # For the form of the marker alone nothing is sent again.
        before = self.signer.before(origin.key, to.instance, to.space)
        same = hashes(payload, rendered.draft.marker, before, own.sent_payload if action is Action.EDIT else None)
        edit = action is Action.EDIT
        if same & {own.sent_hash if edit else "", waiting.payload_hash if waiting else "", standing.refused}:
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

    def _note(self, own: str, basis: Basis) -> None:
        if basis.made_from and self._bases is not None:
            self._bases[own] = basis

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
                plan.add(self._decision(Action.FLAG, own, None, why, reason=Reason.TWINS))
            payload = {"refs": others}
            # Where the copy itself was taken back, none of them stays.
            goes = self.route.twins == "keep_first" or own.state is PublicationState.WITHDRAWN
            if goes and done.get(own.id) != hash_of(payload):
                more = {"payload": payload, "payload_hash": hash_of(payload), "notes": (why,)}
                plan.add(self._decision(Action.WITHDRAW_TWIN, own, None, why, **more))

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
            plan.add(decision)
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
        to, made_from = self.route.to, self._digests.of(origin.digest())
        own = publication_id(origin.key, to.instance, to.space)
        try:
            rendered = self._render(origin)
        except (CannotRender, CannotDo) as error:
            marker, reason = self._marker(origin.key), _why_not(error)
            self._note(own, Basis(made_from, "", reason))
            return Decision(Action.REFUSE, origin.key, origin.title, str(error), reason, marker=marker)
        payload = payload_of(rendered.draft)
        digest = hash_of(payload)
        self._note(own, Basis(made_from, digest))
        return Decision(
            Action.CREATE,
            origin.key,
            origin.title,
            "it qualifies",
            notes=rendered.notes,
            payload=payload,
            payload_hash=digest,
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
        follow = self.route.follow
        if follow.answers_to_copies:
            by_origin = {own.origin_key: own for own in self._answered("origin")}
            self._carry(plan, Action.ANSWER, by_origin, self.origin_site, self.route.to.instance, self.route.to.space)
        if follow.answers_to_origin:
            by_copy = {own.copy_key: own for own in self._answered("copy") if own.copy_key}
            self._carry(
                plan, Action.ANSWER_BACK, by_copy, self.target_site, self.route.source.instance, "origin/answers"
            )

    @cached_property
    def _lost_until(self) -> datetime | None:
        return restored.last_lost_until(self.ledger)

    def _unwanted_answers(self, plan: Plan) -> None:
        """What waits to be told where the route tells nothing any more."""
        follow = self.route.follow
        wanted = {Lane.ANSWER: follow.answers_to_copies, Lane.ORIGIN: follow.answers_to_origin}
        lanes = [lane for lane, answers in wanted.items() if not answers]
        query = select(OPERATION.c.publication_id, OPERATION.c.open_lane).where(
            OPERATION.c.route == self.name,
            OPERATION.c.open_lane.in_(lanes),
            OPERATION.c.state.in_(QUEUED),
            OPERATION.c.decided_by.is_(None),
        )
        if not lanes:
            return
        with self.engine.connect() as connection:
            waiting = [(str(own), Lane(lane)) for own, lane in connection.execute(query)]
        for own, lane in waiting:
            publication = self.ledger.publication(own)
            if publication is not None:
                more = {"reason": Reason.NOT_WANTED, "lane": lane}
                plan.add(self._decision(Action.CANCEL, publication, None, _UNWANTED, **more))

    def _answered(self, of: Literal["origin", "copy"]) -> list[Publication]:
        answered = with_answers(self.engine, self.name, of=of)
        found = [own for part in chunks(answered) for own in self.ledger.publications(ids=part)]
        return [own for own in found if not self._elsewhere(own)]

    def _carry(
        self, plan: Plan, action: Action, sources: Mapping[Key, Publication], site: Site, to: str, space: str
    ) -> None:
        if not sources:
            return
        lane = LANES[OperationKind(action.value)]
        done = self.ledger.last_hashes(self.name, lane)
        waiting = self._waiting(lane, [own.id for own in sources.values()])
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
            if locale in {None, UNKNOWN_LOCALE} and action is Action.ANSWER and not self._fits:
                continue  # in which language can only be told by what the space takes
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
            plan.add(
                Decision(
                    action,
                    own.origin_key,
                    own.title,
                    f"{own_key} was answered: {answer.state.value}",
                    payload=payload,
                    payload_hash=digest,
                    marker=str(marker),
                    publication=own,
                    # A copy that was found again is in the ledger since then; a restored ledger lacks what was told before.
                    older=answer.since is not None
                    and own.sent_at is not None
                    and answer.since <= max(own.sent_at, own.created_at, self._lost_until or own.created_at),
                )
            )


def site_of(engine: Engine, config: Config, instance: str) -> Site:
    """The name and address of an instance, as its copies mention it."""
    table = table_of(InstanceRow)
    with engine.connect() as connection:
        title = connection.execute(select(table.c.title).where(table.c.name == instance)).scalar()
    url = config.instances[instance].url
    return Site(title or url.partition("://")[2].partition("/")[0], url)


def _says_so_still(own: Standing, action: Action) -> bool:
    """Whether to render again what came out as `own.last` would lead to nothing; in doubt it is rendered.

    The same questions as `Planner._text` asks of a text that was rendered, of its hash alone.
    """
    last, waiting = own.last, own.waiting
    if last is None:
        return False
    if not last.payload_hash:
        return own.reason_code is last.reason
    if action is Action.CREATE:
        return last.payload_hash in {waiting.payload_hash if waiting else "", own.refused}
    if waiting is None:
        return last.payload_hash == own.sent_hash and own.reason_code is not Reason.EDIT_REFUSED
    # Where it is known what was sent, its earlier forms count too, and they are told by the payload alone.
    return last.payload_hash == waiting.payload_hash and own.sent_hash is None


def _why_not(error: CannotRender | CannotDo) -> Reason:
    return error.reason if isinstance(error, CannotRender) else Reason.TARGET_CANNOT
