"""The outbox: every notice on its way through every channel, tried until it was delivered.

In order, per channel: what cannot be delivered now keeps what comes after it waiting, but for one that the receiver itself refuses. A
delivery is claimed before it goes out; who dies with it leaves it to be claimed again, under the same id, when the claim has run out. So a
receiver gets each notice at least once, and knows one that comes twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, or_, select, update

from ..clock import Clock
from .book import DELIVERY, NOTICE, Notice, notice_of
from .kinds import UNDELIVERED, DeliveryState

CLAIM = timedelta(minutes=3)
"""Longer than any channel may take for one delivery."""
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
GIVE_UP = timedelta(days=7)
"""For so long a notice is tried; then it is kept, and told by `civicsync alerts`, `status` and `doctor`."""
GONE = "the receiver says that it is gone for good (410)"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notice that this process is to bring through one channel; `attempts` is the number of this try."""

    id: int
    channel: str
    attempts: int
    notice: Notice


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a try. `words`: why it came to nothing; of our own and codes, never what the other side wrote."""

    delivered: bool
    words: str = ""
    refused: bool = False
    """The receiver will not have this notice; another one may pass."""
    gone: bool = False
    """The receiver will never have anything again."""
    wait: float = 0.0
    """Seconds for which the receiver asks to be left alone."""


class Outbox:
    """The deliveries of one database. Everything here blocks: call it outside the event loop."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine, self.clock = engine, clock

    def claim(self, channel: str, *, before: datetime | None = None) -> Delivery | None:
        """The next delivery of a channel, claimed; None where nothing is due, or another process is at it.

        `before`: what was last tried before then is due whatever its pause says (somebody asks by hand), unless the receiver
        itself asked for it.
        """
        now = self.clock.now()
        with self.engine.begin() as connection:
            row = self._next(connection, channel, now, before)
            if row is None:
                return None
            claimed = connection.execute(
                update(DELIVERY)
                .where(
                    DELIVERY.c.id == row["id"], DELIVERY.c.attempts == row["attempts"], DELIVERY.c.state == row["state"]
                )
                .values(claimed_until=now + CLAIM, attempts=DELIVERY.c.attempts + 1, tried_at=now)
            )
            if not claimed.rowcount:
                return None
            notice = connection.execute(select(NOTICE).where(NOTICE.c.id == row["notice_id"])).mappings().one()
        return Delivery(row["id"], channel, row["attempts"] + 1, notice_of(notice))

    def _next(
        self, connection: Connection, channel: str, now: datetime, before: datetime | None
    ) -> Mapping[Any, Any] | None:
        own = select(DELIVERY).where(DELIVERY.c.channel == channel)
        head = connection.execute(own.where(DELIVERY.c.state == DeliveryState.WAITING).order_by(DELIVERY.c.id).limit(1))
        first = head.mappings().first()
        if first is not None:
            if first["claimed_until"] is not None and first["claimed_until"] > now:
                return None  # one at a time, so that they come in order
            if _is_due(first, now, before):
                return first
        free = or_(DELIVERY.c.claimed_until.is_(None), DELIVERY.c.claimed_until <= now)
        refused = own.where(DELIVERY.c.state == DeliveryState.REFUSED, free).order_by(DELIVERY.c.due_at, DELIVERY.c.id)
        rows = connection.execute(refused).mappings()
        return next((row for row in rows if _is_due(row, now, before)), None)

    def settle(self, delivery: Delivery, answer: Answer) -> DeliveryState | None:
        """Keep what became of a claimed delivery; None where another process has settled it."""
        now = self.clock.now()
        values: dict[str, Any] = {"claimed_until": None, "error": answer.words}
        if answer.delivered:
            state = DeliveryState.DELIVERED
            values["delivered_at"] = now
        elif answer.gone or now - delivery.notice.at >= GIVE_UP:
            state = DeliveryState.GIVEN_UP
        else:
            state = DeliveryState.REFUSED if answer.refused else DeliveryState.WAITING
            values["due_at"] = now + max(pause(delivery.attempts), timedelta(seconds=answer.wait))
        mine = [DELIVERY.c.id == delivery.id, DELIVERY.c.state != DeliveryState.DELIVERED]
        if not answer.delivered:
            mine.append(DELIVERY.c.attempts == delivery.attempts)  # somebody else may have claimed it since
        with self.engine.begin() as connection:
            kept = connection.execute(update(DELIVERY).where(*mine).values(state=state.value, **values))
        return state if kept.rowcount else None

    def give_back(self, delivery: Delivery) -> None:
        """A try that was broken off: it is due at once, for whoever comes next."""
        mine = (DELIVERY.c.id == delivery.id, DELIVERY.c.attempts == delivery.attempts)
        with self.engine.begin() as connection:
            connection.execute(update(DELIVERY).where(*mine).values(claimed_until=None, due_at=self.clock.now()))

    def give_up_unknown(self, channels: Sequence[str]) -> None:
        """What waits for a channel that the configuration does not have any more, for as long as a delivery is tried."""
        too_old = select(NOTICE.c.id).where(NOTICE.c.at < self.clock.now() - GIVE_UP)
        lost = (DELIVERY.c.channel.not_in(list(channels)), DELIVERY.c.state.in_(UNDELIVERED))
        with self.engine.begin() as connection:
            if connection.execute(select(DELIVERY.c.id).where(*lost, DELIVERY.c.notice_id.in_(too_old))).first():
                words = "the configuration has no such channel any more"
                connection.execute(
                    update(DELIVERY)
                    .where(*lost, DELIVERY.c.notice_id.in_(too_old))
                    .values(state=DeliveryState.GIVEN_UP.value, error=words)
                )

    def take_up_again(self) -> int:
        """What was given up waits again, as if it were new; returns how many."""
        given_up = DELIVERY.c.state == DeliveryState.GIVEN_UP
        with self.engine.begin() as connection:
            again = update(DELIVERY).where(given_up).values(state=DeliveryState.REFUSED.value, due_at=self.clock.now())
            return connection.execute(again).rowcount

    def undelivered(self) -> list[dict[str, Any]]:
        """Everything that was not delivered, with its notice, the oldest first."""
        columns = (DELIVERY, NOTICE.c.uid, NOTICE.c.title, NOTICE.c.what, NOTICE.c.at)
        query = select(*columns).join(NOTICE, NOTICE.c.id == DELIVERY.c.notice_id)
        query = query.where(DELIVERY.c.state != DeliveryState.DELIVERED).order_by(DELIVERY.c.id)
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def pause(attempts: int) -> timedelta:
    """How long after so many tries the next one comes: a minute, then twice as long each time, an hour at most."""
    return min(FIRST_PAUSE * 2 ** min(attempts - 1, 10), LONGEST_PAUSE)


def _is_due(row: Mapping[Any, Any], now: datetime, before: datetime | None) -> bool:
    if row["due_at"] <= now:
        return True
    tried = row["tried_at"]
    if before is None or tried is None or tried >= before:
        return False
    # A receiver that asked to be left alone is; a try itself takes as long as a claim lasts, at most.
    return bool(row["due_at"] - tried <= pause(row["attempts"]) + CLAIM)
