"""What tests of alerts share: a database in which something stands, and limits that say so."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from civicsync.core import journal
from civicsync.core.alerts.conditions import Limits
from civicsync.core.clock import FakeClock
from civicsync.core.ledger.ledger import Ledger

HOUR = timedelta(hours=1)


def limits(*names: str, hours: int = 26, routes: tuple[str, ...] = ("over",)) -> Limits:
    late = {name: lambda last, hours=hours: last + hours * HOUR for name in names}
    return Limits(late, names, routes, 24 * HOUR)


class Town:
    """A database in which things go wrong."""

    def __init__(self, engine: Engine, clock: FakeClock) -> None:
        self.engine, self.clock = engine, clock
        self.ledger = Ledger(engine, clock)

    def pulled(self, name: str = "west", outcome: str = "done", **counts: int) -> None:
        """A pull came to its end now."""
        run = journal.start_run(self.engine, name, self.clock.now(), full=False)
        with self.engine.begin() as connection:
            journal.close_run(connection, run, ended_at=self.clock.now(), outcome=outcome, **counts)
        if outcome in {"done", "undecided"}:
            row = {"name": name, "platform": "p", "url": "u", "last_success_at": self.clock.now()}
            journal.save_instance(self.engine, row)

    def halted(self, *, yes: bool = True) -> None:
        at = self.clock.now() if yes else None
        self.ledger.save_route("over", fingerprint="f", planned_at=self.clock.now(), halted_at=at, halted_reason="")

    def publication(self, own: str, state: str, reason: str = "", title: str = "") -> None:
        row: dict[str, Any] = {
            "id": own,
            "route": "over",
            "origin_key": own,
            "target_instance": "t",
            "target_space": "s/1",
        }
        row |= {"state": state, "reason_code": reason, "reason": "", "title": title, "marker": own}
        row |= dict.fromkeys(("created_at", "changed_at"), self.moment(self.clock.now()))
        with self.engine.begin() as connection:
            connection.execute(text("DELETE FROM publication WHERE id = :id"), {"id": own})
            names = ", ".join(row)
            connection.execute(
                text(f"INSERT INTO publication ({names}) VALUES ({', '.join(':' + name for name in row)})"), row
            )

    def moment(self, at: datetime) -> str:
        return at.strftime("%Y-%m-%d %H:%M:%S.%f") + ("+00" if self.engine.dialect.name == "postgresql" else "")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]
