"""The ledger: what was wanted, tried and done on other platforms. All SQL of publishing is here.

Intent comes before effect: an operation is written and committed before anything is sent, and it moves from state to state by
compare-and-set, so that two processes can never both believe that it is theirs. Under a lease every write carries the lease's token.
Nothing here touches the network or decides what should be published; which moves there are, `states` says.
"""

import base64
import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, func, null, or_, select, update
from sqlalchemy.exc import IntegrityError

from ..clock import Clock
from ..identity import Key, Ref, key, split_ref
from ..leases import Lease, writing
from ..schema.ledger_tables import (
    BreakerRow,
    OperationRow,
    PublicationEventRow,
    PublicationRow,
    RefusedCredentialsRow,
    RouteRow,
    ServiceAccountRow,
)
from ..schema.tables import table_of
from ..store.bulk import upsert
from .states import (
    CLOSED,
    ENDED,
    KNOWINGLY,
    LANES,
    LIVE,
    OPEN,
    OPERATION_MOVES,
    PUBLICATION_MOVES,
    QUEUED,
    Lane,
    OperationKind,
    OperationState,
    PublicationState,
    Reason,
    check_move,
    state_after,
)

_DECIDED = (OperationState.SENT, OperationState.REFUSED, OperationState.REJECTED)
PUBLICATION, OPERATION, EVENT = table_of(PublicationRow), table_of(OperationRow), table_of(PublicationEventRow)
ROUTE, ACCOUNT, BREAKER = table_of(RouteRow), table_of(ServiceAccountRow), table_of(BreakerRow)
REFUSED = table_of(RefusedCredentialsRow)
_AGAIN = 20
"""Of so many that were sent more than once a run looks for a second copy."""
_KEPT_KNOWINGLY = ("reason_code", "error", "accepted_at", "first_sent_at", "last_sent_at")


@dataclass(frozen=True, slots=True)
class Publication:
    """One row of the ledger."""

    id: str
    route: str
    origin_key: Key
    target_instance: str
    target_space: Ref
    state: PublicationState
    reason_code: Reason
    reason: str
    title: str
    marker: str
    remote_ref: Ref | None
    remote_id: str | None
    copy_key: Key | None
    url: str | None
    how: dict[str, Any] | None
    sent_hash: str | None
    sent_payload: dict[str, Any] | None
    copy_print: str | None
    created_at: datetime
    changed_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One intended or tried write."""

    id: int
    publication_id: str
    route: str
    target_instance: str
    kind: OperationKind
    lane: Lane
    open_lane: str | None
    state: OperationState
    payload: dict[str, Any] | None
    payload_hash: str
    notes: list[str] | None
    attempts: int
    lookups: int
    older: bool
    accepted_at: datetime | None
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    there: dict[str, Any] | None
    not_before: datetime | None
    reason_code: Reason
    error: str
    decided_by: str | None
    created_at: datetime
    changed_at: datetime


def told(reason: Reason, sentence: str) -> dict[str, Any]:
    """The columns that say why a publication is as it is: a code for decisions, a sentence for people."""
    return {"reason_code": reason.value, "reason": sentence}


SETTLED = told(Reason.NONE, "")
"""There is nothing to tell any more."""


class DuplicateCopy(Exception):
    """The platform named a copy that already belongs to another publication: its answer cannot be trusted."""


def publication_id(origin: Key, instance: str, space: Ref) -> str:
    """The same place always has the same id, also after a rebuild."""
    digest = hashlib.sha256(f"{origin}\n{instance}\n{space}".encode()).digest()
    return "p-" + base64.b32encode(digest[:8]).decode().lower().rstrip("=")


class Ledger:
    """Reads and writes the ledger; every method is one transaction."""

    def __init__(self, engine: Engine, clock: Clock, lease: Lease | None = None) -> None:
        """`lease`: under which everything is written; None where nothing is sent (a person's decision, a look)."""
        self.engine = engine
        self.clock = clock
        self._lease = lease

    def _begin(self) -> contextlib.AbstractContextManager[Connection]:
        return writing(self.engine, self._lease)

    @property
    def lease(self) -> Lease | None:
        """Under which everything is written."""
        return self._lease

    # Reading ----------------------------------------------------------------------------------------------------------

    def publications(self, *, route: str | None = None, ids: Iterable[str] | None = None) -> list[Publication]:
        """Publications, oldest first."""
        query = select(PUBLICATION).order_by(PUBLICATION.c.created_at, PUBLICATION.c.id)
        if route is not None:
            query = query.where(PUBLICATION.c.route == route)
        if ids is not None:
            query = query.where(PUBLICATION.c.id.in_(list(ids)))
        with self.engine.connect() as connection:
            return [_publication(row) for row in connection.execute(query).mappings()]

    def publication(self, own: str) -> Publication | None:
        """One publication."""
        return next(iter(self.publications(ids=[own])), None)

    def operations(
        self,
        *,
        states: Sequence[OperationState] = OPEN,
        route: str | None = None,
        target: str | None = None,
        publication: str | None = None,
    ) -> list[Operation]:
        """Operations in these states, oldest first."""
        query = select(OPERATION).where(OPERATION.c.state.in_(states)).order_by(OPERATION.c.id)
        for column, value in (("route", route), ("target_instance", target), ("publication_id", publication)):
            if value is not None:
                query = query.where(OPERATION.c[column] == value)
        with self.engine.connect() as connection:
            return [_operation(row) for row in connection.execute(query).mappings()]

    def operation(self, own: int) -> Operation | None:
        """One operation."""
        with self.engine.connect() as connection:
            row = connection.execute(select(OPERATION).where(OPERATION.c.id == own)).mappings().first()
            return _operation(row) if row is not None else None

    def events(self, publication: str) -> list[dict[str, Any]]:
        """What happened to a publication, in order."""
        query = select(EVENT.c.at, EVENT.c.what, EVENT.c.detail).where(EVENT.c.publication_id == publication)
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query.order_by(EVENT.c.id)).mappings()]

    def copies(self) -> set[Key]:
        """The keys of everything that is a copy of ours."""
        query = select(PUBLICATION.c.copy_key).where(PUBLICATION.c.copy_key.is_not(None))
        with self.engine.connect() as connection:
            return {str(own) for own in connection.execute(query).scalars()}

    def last_hashes(self, route: str, lane: Lane) -> dict[str, str]:
        """Of each publication of a route, the hash of the newest operation in a lane that was sent, refused or rejected.

        What was told at a copy of before, in whose place a person had another one made, counts no more.
        """
        this = or_(PUBLICATION.c.sent_at.is_(None), OPERATION.c.created_at >= PUBLICATION.c.sent_at)
        query = (
            select(OPERATION.c.publication_id, OPERATION.c.payload_hash)
            .join(PUBLICATION, PUBLICATION.c.id == OPERATION.c.publication_id)
            .where(OPERATION.c.route == route, OPERATION.c.lane == lane, OPERATION.c.state.in_(_DECIDED), this)
            .order_by(OPERATION.c.id)
        )
        with self.engine.connect() as connection:
            return {str(own): str(digest) for own, digest in connection.execute(query)}

    def created_since(self, route: str, moment: datetime) -> int:
        """How many copies a route made since a moment."""
        query = select(func.count()).where(
            OPERATION.c.route == route, OPERATION.c.kind == OperationKind.CREATE, OPERATION.c.first_sent_at >= moment
        )
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def written_since(self, route: str, moment: datetime) -> int:
        """How many writes of any kind a route sent since a moment, and since a person let it go on."""
        query = select(func.count()).where(OPERATION.c.route == route, OPERATION.c.first_sent_at >= moment)
        with self.engine.connect() as connection:
            return int(connection.execute(query.where(_not_excused(route))).scalar_one())

    def edited_since(self, publication: str, moment: datetime) -> int:
        """How many edits of one copy were sent since a moment."""
        query = select(func.count()).where(
            OPERATION.c.publication_id == publication,
            OPERATION.c.kind == OperationKind.EDIT,
            OPERATION.c.first_sent_at >= moment,
        )
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def sent_again_since(self, target: str, moment: datetime) -> list[Operation]:
        """Creates that were sent more than once, the newest time since a moment, and are confirmed."""
        query = (
            select(OPERATION)
            .where(
                OPERATION.c.target_instance == target,
                OPERATION.c.kind == OperationKind.CREATE,
                OPERATION.c.state == OperationState.SENT,
                OPERATION.c.attempts > 1,
                OPERATION.c.lookups > 0,
                OPERATION.c.last_sent_at >= moment,
            )
            .order_by(OPERATION.c.id.desc())
            .limit(_AGAIN)
        )
        with self.engine.connect() as connection:
            return [_operation(row) for row in connection.execute(query).mappings()]

    def changes_since(self, route: str, moment: datetime) -> dict[str, int]:
        """By kind, the changes of copies that a route sent since a moment or is about to send, and that no person approved.

        An answer that is older than the copy belongs to its making, and what was wanted before a person let the route go on is excused.
        """
        about = OPERATION.c.state.in_((OperationState.APPROVED, OperationState.SENDING, OperationState.UNKNOWN))
        query = (
            select(OPERATION.c.kind, func.count())
            .where(
                OPERATION.c.route == route,
                OPERATION.c.kind != OperationKind.CREATE,
                OPERATION.c.decided_by.is_(None),
                OPERATION.c.older.is_(False),
                or_(about, OPERATION.c.first_sent_at >= moment),
                _not_excused(route),
            )
            .group_by(OPERATION.c.kind)
        )
        with self.engine.connect() as connection:
            return {str(kind): int(many) for kind, many in connection.execute(query)}

    def copies_of(self, route: str) -> int:
        """How many copies of a route are there, as far as is known."""
        query = select(func.count()).where(PUBLICATION.c.route == route, PUBLICATION.c.state.in_(LIVE))
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    # Intents ----------------------------------------------------------------------------------------------------------

    def open_publication(self, state: PublicationState, **values: Any) -> Publication:
        """Write down that a copy is wanted (or held); an existing row of the same place is returned as it is."""
        now = self.clock.now()
        own = publication_id(values["origin_key"], values["target_instance"], values["target_space"])
        check_move(PUBLICATION_MOVES, None, state)
        row = {"id": own, "state": state, **SETTLED, "title": "", "created_at": now, "changed_at": now, **values}
        with self._begin() as connection:
            upsert(connection, PUBLICATION, [row], keep=list(row))
        found = self.publication(own)
        assert found is not None
        return found

    def intend(
        self,
        publication: Publication,
        kind: OperationKind,
        state: OperationState,
        *,
        wanted: str = "",
        change: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> bool:
        """Write down a write. Queued operations of its lane give way to it; one that was sent already is waited for.

        `wanted`: why, told as an event of its own; `change`: columns of the publication that change with it. Returns False when the
        lane is busy (an operation there is sending or unknown); then nothing was changed. What takes the place of a write that may be
        public already waits for a person as that did.
        """
        now, lane = self.clock.now(), LANES[kind]
        check_move(OPERATION_MOVES, None, state)
        try:
            with self._begin() as connection:
                doubtful = self._doubtful(connection, publication, lane)
                if doubtful:
                    state = OperationState.AWAITING_APPROVAL
                for each in self._queued(connection, publication.id, lane):
                    self._close(
                        connection, each, OperationState.SUPERSEDED, Reason.SUPERSEDED, f"a newer {kind} came", now
                    )
                row = {
                    "publication_id": publication.id,
                    "route": publication.route,
                    "target_instance": publication.target_instance,
                    "kind": kind,
                    "lane": lane,
                    "open_lane": lane,
                    "state": state,
                    "payload_hash": "",
                    "attempts": 0,
                    "reason_code": "",
                    "error": "",
                    "created_at": now,
                    "changed_at": now,
                    **values,
                    **doubtful,
                }
                connection.execute(OPERATION.insert(), row)
                if wanted:
                    self._event(connection, publication.id, "wanted", wanted, now)
                self._follow(connection, publication.id, kind, state, Reason.NONE, change or {}, now)
                self._event(connection, publication.id, f"{kind}: {state}", "; ".join(values.get("notes") or ()), now)
        except IntegrityError:
            return False
        return True

    def cancel(self, publication: Publication, lane: Lane, reason: Reason, sentence: str) -> int:
        """Close what is queued in a lane; returns how many operations that were."""
        now = self.clock.now()
        with self._begin() as connection:
            old = self._queued(connection, publication.id, lane)
            for own, kind, before in old:
                self._close(connection, (own, kind, before), OperationState.CANCELLED, reason, sentence, now)
                self._follow(connection, publication.id, kind, OperationState.CANCELLED, reason, {}, now)
        return len(old)

    def _doubtful(self, connection: Connection, publication: Publication, lane: Lane) -> dict[str, Any]:
        """What is known of the write before that may be public already (`states.KNOWINGLY`); empty where there is none.

        One that was not wanted any more for a while counts as well, unless a person let its publication through since.
        """
        query = (
            select(OPERATION.c.state, *(OPERATION.c[name] for name in _KEPT_KNOWINGLY))
            .where(OPERATION.c.publication_id == publication.id, OPERATION.c.lane == lane)
            .order_by(OPERATION.c.id.desc())
            .limit(1)
        )
        last = dict(connection.execute(query).mappings().first() or {})
        counts = {OperationState.AWAITING_APPROVAL.value}
        if publication.copy_key is None and publication.state is not PublicationState.RELEASED:
            counts.add(OperationState.CANCELLED.value)
        return last if last.pop("state", "") in counts and last["reason_code"] in KNOWINGLY else {}

    def _queued(
        self, connection: Connection, publication: str, lane: Lane
    ) -> list[tuple[int, OperationKind, OperationState]]:
        query = select(OPERATION.c.id, OPERATION.c.kind, OPERATION.c.state).where(
            OPERATION.c.publication_id == publication, OPERATION.c.open_lane == lane, OPERATION.c.state.in_(QUEUED)
        )
        return [
            (int(own), OperationKind(kind), OperationState(state)) for own, kind, state in connection.execute(query)
        ]

    def _close(
        self,
        connection: Connection,
        old: tuple[int, OperationKind, OperationState],
        state: OperationState,
        reason: Reason,
        sentence: str,
        now: datetime,
    ) -> None:
        own, kind, before = old
        check_move(OPERATION_MOVES, before, state)
        values = {"state": state, "open_lane": None, "payload": None, "there": None, "changed_at": now}
        closed = update(OPERATION).where(OPERATION.c.id == own, OPERATION.c.state == before)
        connection.execute(closed.values(values))
        why = update(OPERATION).where(OPERATION.c.id == own)
        if kind is OperationKind.CREATE and state is OperationState.CANCELLED:
            # That it may be public already is true whether it is wanted or not.
            why = why.where(OPERATION.c.reason_code.not_in(KNOWINGLY))
        connection.execute(why.values(reason_code=reason, error=sentence))

    # Moves ------------------------------------------------------------------------------------------------------------

    def move(
        self,
        operation: Operation,
        state: OperationState,
        *,
        reason: Reason = Reason.NONE,
        sentence: str = "",
        event: str = "",
        detail: str = "",
        change: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> Operation | None:
        """From the state the operation was read in to another; None when somebody else moved it meanwhile.

        Its publication follows (`states.state_after`). `reason` and `sentence` say why; `change` are columns of the publication that
        change with it.

        Raises:
            DuplicateCopy: the copy belongs to another publication; nothing was changed.
            LeaseLost: another process has taken over; nothing was changed.
        """
        check_move(OPERATION_MOVES, operation.state, state)
        now = self.clock.now()
        row: dict[str, Any] = {
            "state": state,
            "changed_at": now,
            "reason_code": reason,
            "error": sentence,
            **values,
        }
        if state not in OPEN:
            row["open_lane"] = None
        try:
            with self._begin() as connection:
                moved = connection.execute(
                    update(OPERATION)
                    .where(OPERATION.c.id == operation.id, OPERATION.c.state == operation.state)
                    .values(row)
                )
                if not moved.rowcount:
                    return None
                self._follow(connection, operation.publication_id, operation.kind, state, reason, change or {}, now)
                what = event or f"{operation.kind}: {state}"
                self._event(connection, operation.publication_id, what, detail or sentence, now)
        except IntegrityError as error:
            raise DuplicateCopy from error
        return self.operation(operation.id)

    def _follow(
        self,
        connection: Connection,
        publication: str,
        kind: OperationKind,
        state: OperationState,
        reason: Reason,
        change: Mapping[str, Any],
        now: datetime,
    ) -> None:
        """A publication is where its operations brought it."""
        before = PublicationState(
            connection.execute(select(PUBLICATION.c.state).where(PUBLICATION.c.id == publication)).scalar_one()
        )
        after = state_after(before, kind, state, reason)
        check_move(PUBLICATION_MOVES, before, after)
        if after is not before:
            self._close_answers(connection, publication, after, now)
        if change or after is not before:
            values = {"state": after, "changed_at": now, **change}
            connection.execute(update(PUBLICATION).where(PUBLICATION.c.id == publication).values(values))

    def _close_answers(self, connection: Connection, publication: str, after: PublicationState, now: datetime) -> None:
        """What waits to be told at a copy goes with it: nothing is told at what was taken back or removed."""
        if after in {PublicationState.GONE, PublicationState.WITHDRAWN}:
            why = "the copy is not there any more"
            for each in self._queued(connection, publication, Lane.ANSWER):
                self._close(connection, each, OperationState.CANCELLED, Reason.COPY_GONE, why, now)

    def update_publication(
        self,
        publication: Publication,
        *,
        event: str,
        detail: str = "",
        state: PublicationState | None = None,
        **values: Any,
    ) -> None:
        """Change a publication by itself (what a person decided, what a pull saw, what was found again) and say so.

        Raises:
            DuplicateCopy: the copy belongs to another publication; nothing was changed.
            LeaseLost: another process has taken over; nothing was changed.
        """
        now = self.clock.now()
        try:
            with self._begin() as connection:
                if state is not None:
                    before = connection.execute(
                        select(PUBLICATION.c.state).where(PUBLICATION.c.id == publication.id)
                    ).scalar_one()
                    check_move(PUBLICATION_MOVES, before, state)
                    self._close_answers(connection, publication.id, state, now)
                    values["state"] = state
                connection.execute(
                    update(PUBLICATION).where(PUBLICATION.c.id == publication.id).values({"changed_at": now, **values})
                )
                self._event(connection, publication.id, event, detail, now)
        except IntegrityError as error:
            raise DuplicateCopy from error

    def _event(self, connection: Connection, publication: str, what: str, detail: str, now: datetime) -> None:
        connection.execute(
            EVENT.insert(), {"publication_id": publication, "at": now, "what": what, "detail": detail[:2000]}
        )

    def note_there(self, operation: Operation, there: Mapping[str, Any]) -> None:
        """Keep what stands on the platform beside an operation that is still in the state in which it was read."""
        with self._begin() as connection:
            connection.execute(
                update(OPERATION)
                .where(OPERATION.c.state == operation.state, OPERATION.c.id == operation.id)
                .values(there=dict(there))
            )

    def forget_texts(self, before: datetime) -> None:
        """Drop the texts of what ended before a moment; what happened, when and where stays readable."""
        with self._begin() as connection:
            connection.execute(
                update(PUBLICATION)
                # A publication without a title has a text all the same.
                .where(
                    PUBLICATION.c.state.in_(ENDED),
                    PUBLICATION.c.changed_at < before,
                    or_(PUBLICATION.c.title != "", PUBLICATION.c.sent_payload.is_not(null())),
                )
                .values(sent_payload=None, title="")
            )
            connection.execute(
                update(OPERATION)
                .where(OPERATION.c.state.in_(CLOSED), OPERATION.c.changed_at < before)
                .values(payload=None, there=None)
            )

    # Routes, accounts, breakers ---------------------------------------------------------------------------------------

    def route(self, name: str) -> Mapping[str, Any] | None:
        """What is known of a route."""
        with self.engine.connect() as connection:
            row = connection.execute(select(ROUTE).where(ROUTE.c.name == name)).mappings().first()
            return dict(row) if row is not None else None

    def save_route(self, name: str, **values: Any) -> None:
        """Keep something about a route."""
        with self._begin() as connection:
            row = {"name": name, "fingerprint": "", "halted_reason": "", **values}
            kept = {"name", "fingerprint", "halted_reason"} - set(values)
            upsert(connection, ROUTE, [row], keep=sorted(kept))

    def accounts(self, instance: str) -> set[str]:
        """The pseudonyms of our accounts on an instance."""
        query = select(ACCOUNT.c.pseudonym).where(ACCOUNT.c.instance == instance)
        with self.engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def remember_account(self, instance: str, pseudonym: str) -> None:
        """What this account wrote and writes is never an original."""
        with self._begin() as connection:
            upsert(connection, ACCOUNT, [{"instance": instance, "pseudonym": pseudonym}])

    def refused(self, instance: str, fingerprint: str) -> dict[str, str]:
        """What the platform said when it did not take these very credentials, by kind of operation ("": for everything)."""
        query = select(REFUSED.c.scope, REFUSED.c.message)
        query = query.where(REFUSED.c.instance == instance, REFUSED.c.fingerprint == fingerprint)
        with self.engine.connect() as connection:
            return {str(scope): str(message) for scope, message in connection.execute(query)}

    def refuse(self, instance: str, scope: str, fingerprint: str, message: str) -> None:
        """These credentials were not taken: they are not tried again."""
        row = {"instance": instance, "scope": scope, "fingerprint": fingerprint, "message": message[:500]}
        with self._begin() as connection:
            upsert(connection, REFUSED, [{**row, "refused_at": self.clock.now()}])

    def try_again(self, instance: str) -> None:
        """A person says that the credentials may be tried again, or they were taken."""
        with self._begin() as connection:
            connection.execute(REFUSED.delete().where(REFUSED.c.instance == instance))

    def open_until(self, host: str) -> datetime | None:
        """Until when a host is left alone; None when it may be asked."""
        query = select(BREAKER.c.open_until).where(BREAKER.c.host == host)
        with self.engine.connect() as connection:
            until = connection.execute(query).scalar()
        return until if until is not None and until > self.clock.now() else None

    def count_failure(self, host: str, limit: int, rest: timedelta) -> datetime | None:
        """One more failure in a row; from `limit` on the host is left alone, longer each time (at most an hour)."""
        with self._begin() as connection:
            found = connection.execute(select(BREAKER.c.failures).where(BREAKER.c.host == host)).scalar()
            failures = int(found or 0) + 1
            until = None
            if failures >= limit:
                until = self.clock.now() + min(rest * 2 ** min(failures - limit, 10), timedelta(hours=1))
            upsert(connection, BREAKER, [{"host": host, "failures": failures, "open_until": until}])
        return until

    def count_success(self, host: str) -> None:
        """The host answers: begin counting anew."""
        with self._begin() as connection:
            connection.execute(
                update(BREAKER)
                .where(BREAKER.c.host == host, or_(BREAKER.c.failures > 0, BREAKER.c.open_until.is_not(None)))
                .values(failures=0, open_until=None)
            )


def _not_excused(route: str) -> Any:
    """That an operation was wanted after a person last let its route go on."""
    resumed = select(ROUTE.c.resumed_at).where(ROUTE.c.name == route).scalar_subquery()
    return or_(resumed.is_(None), OPERATION.c.created_at > resumed)


def _publication(row: Mapping[Any, Any]) -> Publication:
    named: dict[str, Any] = {"state": PublicationState(row["state"]), "reason_code": Reason(row["reason_code"])}
    return Publication(**{**row, **named})


def _operation(row: Mapping[Any, Any]) -> Operation:
    named: dict[str, Any] = {
        "kind": OperationKind(row["kind"]),
        "lane": Lane(row["lane"]),
        "state": OperationState(row["state"]),
        "reason_code": Reason(row["reason_code"]),
    }
    return Operation(**{**row, **named})


def copy_columns(instance: str, reference: Ref, url: str, how: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a publication that say where its copy is."""
    return {
        "remote_ref": reference,
        "remote_id": split_ref(reference)[1],
        "copy_key": key(instance, reference),
        "url": url,
        "how": dict(how),
    }
