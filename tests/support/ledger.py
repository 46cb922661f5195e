"""A ledger in which any publication, operation or origin stands by one line, for the tests of what publishing decides and does."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, text

from civicsync.config.model import Config
from civicsync.config.routes import Route
from civicsync.connectors.contract.writing import AnswerDraft, Draft, Limits, LocalText, Writer
from civicsync.core.clock import FakeClock
from civicsync.core.ledger.ledger import OPERATION, Ledger, Operation, Publication, copy_columns
from civicsync.core.ledger.marker import Signer
from civicsync.core.ledger.states import LANES, OPEN, OperationKind, OperationState, PublicationState
from civicsync.core.records import State
from civicsync.core.schema.tables import AnswerRow, ProposalRow, ProposalTextRow, table_of
from civicsync.sync.publish.decisions import Plan
from civicsync.sync.publish.planning import Planner
from civicsync.sync.publish.sending import Job, Sender
from civicsync.sync.render.render import hash_of, payload_of
from tests.support.writers import ScriptedWriter

KEY = "0123456789abcdef" * 4
ROUTE, SPACE = "a-to-b", "board/1"
K, W, P = OperationKind, OperationState, PublicationState
_MADE = (P.SENT, P.CONFLICT, P.GONE, P.WITHDRAWN, P.STUCK)


class Desk:
    """One database, one route from `a` to `b`; `route` are its keys. What is put here never passed through a plan."""

    def __init__(self, engine: Engine, **route: Any) -> None:
        self.engine = engine
        self.clock = FakeClock()
        self.ledger = Ledger(engine, self.clock)
        self.signer = Signer(KEY)
        self.configure(**route)

    def configure(self, **route: Any) -> None:
        """Give the route other keys."""
        peers = route.pop("peers", {})
        keys = {"approval": "automatic", "first_run": "send", **route}
        ends = {"from": {"instance": "a", "where": keys.pop("where", {})}, "to": {"instance": "b", "space": SPACE}}
        platform = "civicsync.connectors.testing.fake:CONNECTOR"
        self.config = Config.model_validate(
            {
                "civicsync": 1,
                "operator": {"name": "test", "contact": "t@example.org"},
                "privacy": {"key": KEY},
                "instances": {name: {"platform": platform, "url": f"https://{name}.example"} for name in "ab"},
                "peers": peers,
                "routes": {ROUTE: {**ends, **keys}},
            }
        )

    @property
    def route(self) -> Route:
        return self.config.routes[ROUTE]

    # What stands in the database --------------------------------------------------------------------------------------

    def origin(self, number: int = 1, body: str = "In de straat.", instance: str = "a", **columns: Any) -> str:
        """A proposal that was pulled; returns its key."""
        own, now = f"{instance}/{columns.get('kind', 'proposal')}/{number}", self.clock.now()
        row = {
            "key": own,
            "instance": instance,
            "kind": "proposal",
            "remote_id": str(number),
            "title": f"Meer bomen {number}",
            "locale": "nl",
            "url": f"https://{instance}.example/posts/{number}",
            "author": "citizen",
            "published_at": now - timedelta(hours=1),
            "first_seen_at": now,
            "changed_at": now,
            **columns,
        }
        words = {"proposal_key": own, "locale": "nl", "machine": False, "title": row["title"]}
        with self.engine.begin() as connection:
            connection.execute(_new(ProposalRow, row))
            connection.execute(_new(ProposalTextRow, {**words, "html": f"<p>{body}</p>", "plain": body}))
        return own

    def change(self, own: str, **columns: Any) -> None:
        """What a later pull saw of a proposal."""
        table = table_of(ProposalRow)
        with self.engine.begin() as connection:
            connection.execute(table.update().where(table.c.key == own).values(changed_at=self.clock.now(), **columns))

    def rewrite(self, own: str, body: str) -> None:
        """A new text of an origin."""
        table = table_of(ProposalTextRow)
        values = {"html": f"<p>{body}</p>", "plain": body}
        with self.engine.begin() as connection:
            connection.execute(table.update().where(table.c.proposal_key == own).values(values))
        self.change(own)

    def answered(self, target: str, words: str = "Dit doen we.") -> None:
        """An official answer."""
        own = f"{target.partition('/')[0]}/answer/{target.rpartition('/')[2]}-1"
        texts = [{"locale": "nl", "machine": False, "html": f"<p>{words}</p>", "plain": words}]
        row = {
            "key": own,
            "instance": own.partition("/")[0],
            "kind": "answer",
            "remote_id": "1",
            "target_key": target,
            "state": State.ACCEPTED.value,
            "plain": words,
            "texts": texts,
            "answered_at": self.clock.now(),
            "first_seen_at": self.clock.now(),
        }
        with self.engine.begin() as connection:
            connection.execute(_new(AnswerRow, row))

    def publication(self, state: PublicationState = P.SENT, number: int = 1, **columns: Any) -> Publication:
        """A publication in any state; with a copy (`b/proposal/<number>`) where its state says that there is one."""
        origin = f"a/proposal/{number}"
        own = self.ledger.open_publication(
            P.APPROVED,
            route=ROUTE,
            origin_key=origin,
            target_instance="b",
            target_space=SPACE,
            marker=self.marker(number),
            title=f"Meer bomen {number}",
        )
        if state in _MADE:
            where = copy_columns("b", f"proposal/{number}", f"https://b.example/{number}", {})
            payload = payload_of(self.draft(number=number))
            columns = {**where, "sent_hash": hash_of(payload), "sent_payload": payload, **columns}
        self.ledger.update_publication(own, event="arranged", **columns)
        with self.engine.begin() as connection:
            connection.execute(text("UPDATE publication SET state = :s WHERE id = :i"), {"s": state, "i": own.id})
        return self.again(own)

    def operation(
        self, own: Publication, kind: OperationKind = K.CREATE, state: OperationState = W.APPROVED, **columns: Any
    ) -> Operation:
        """An operation in any state."""
        number, now = int(own.origin_key.rpartition("/")[2]), self.clock.now()
        payload = {"reason": "gone"} if kind is K.WITHDRAW else payload_of(self.draft(number=number))
        if LANES[kind] is not LANES[K.CREATE]:
            payload = payload_of(self.answer())
        row = {
            "publication_id": own.id,
            "route": own.route,
            "target_instance": own.target_instance,
            "kind": kind,
            "lane": LANES[kind],
            "open_lane": LANES[kind] if state in OPEN else None,
            "state": state,
            "payload": payload,
            "payload_hash": hash_of(payload),
            "attempts": 0,
            "reason_code": "",
            "error": "",
            "created_at": now,
            "changed_at": now,
            **columns,
        }
        with self.engine.begin() as connection:
            made = connection.execute(OPERATION.insert().returning(OPERATION.c.id), row).scalar_one()
        found = self.ledger.operation(made)
        assert found is not None
        return found

    def marker(self, number: int = 1) -> str:
        return str(self.signer.marker(f"a/proposal/{number}", "b", SPACE))

    def draft(self, body: str = "In de straat.", *, number: int = 1, title: str = "") -> Draft:
        """What a copy says."""
        plain = f"{body}\n\n{self.marker(number)}"
        html = f"<p>{body}</p><p>{self.marker(number)}</p>"
        return Draft("nl", {"nl": LocalText(title or f"Meer bomen {number}", html, plain)}, self.marker(number))

    def answer(self) -> AnswerDraft:
        marker = str(self.signer.marker("a/answer/1-1", "b", SPACE))
        words = LocalText("", f"<p>Ja. {marker}</p>", f"Ja. {marker}")
        return AnswerDraft(State.ACCEPTED, "nl", {"nl": words}, marker)

    # What is done with it ---------------------------------------------------------------------------------------------

    def planned(self, writer: Writer | None = None, *, room: int = 100, limits: Limits | None = None) -> Plan:
        """What the route would do now."""
        limits = limits or Limits(sends="plain", locales=("nl",))
        writer = writer or ScriptedWriter()
        return Planner(self.config, self.engine, self.ledger, self.signer, ROUTE, writer, limits).plan(room)

    def sender(self, writer: Writer, *, settle: float = 10, attempts: int = 5) -> Sender:
        return Sender(self.ledger, writer, settle=timedelta(seconds=settle), attempts=attempts)

    def job(
        self,
        kind: OperationKind = K.CREATE,
        state: OperationState = W.APPROVED,
        *,
        conflict: str = "manual",
        **more: Any,
    ) -> Job:
        """An operation that waits to be sent (or is in another state), with its publication."""
        where = {key: more.pop(key) for key in ("copy_print", "sent_payload") if key in more}
        own = self.publication(P(state.value) if kind is K.CREATE else P.SENT, **where)
        return Job(self.operation(own, kind, state, **more), own, SPACE, conflict)

    def now(self, job: Job) -> Job:
        """The same job as the ledger knows it by now."""
        found = self.ledger.operation(job.operation.id)
        assert found is not None
        return Job(found, self.again(job.publication), job.space, job.conflict)

    def again(self, own: Publication) -> Publication:
        found = self.ledger.publication(own.id)
        assert found is not None
        return found

    def told(self, own: Publication) -> list[str]:
        """What happened to it."""
        return [str(event["what"]) for event in self.ledger.events(own.id)]


def _new(row_class: Any, values: dict[str, Any]) -> Any:
    return table_of(row_class).insert().values(row_class(**values).model_dump())
