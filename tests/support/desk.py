"""A database that pulls are made into by hand, for whatever reads it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, text

from civicsync.connectors.contract.reading import KINDS
from civicsync.core import journal
from civicsync.core.clock import FakeClock
from civicsync.core.items import Item, Page
from civicsync.core.records import Comment, Counters, Proposal, Record, Space, Text
from civicsync.core.store.store import InstanceStore

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Desk:
    """A database that pulls are made into by hand."""

    def __init__(self, engine: Engine, name: str = "west") -> None:
        self.engine, self.clock, self.name = engine, FakeClock(START), name

    def pull(self, records: Sequence[Record], supports: int | None = 1, **counts: Any) -> None:
        """A run that brings these; each proposal with so many supports."""
        store = InstanceStore(
            self.engine,
            self.name,
            ["nl"],
            self.clock,
            kinds={**KINDS, "spaces": ("process", "component"), "areas": ("scope",)},
        )
        run = journal.start_run(self.engine, self.name, self.clock.now(), full=False)
        items = []
        for record in records:
            own = Counters(supports=supports) if record.table == "proposals" else None
            digest = f"{record!r}".encode()[-16:].rjust(16)
            items.append(Item(record.ref, digest, lambda record=record: [record], own))
        store.write(Page("all", items))
        ended: dict[str, Any] = {"created": len(records), **counts}
        with self.engine.begin() as connection:
            journal.close_run(connection, run, ended_at=self.clock.now(), outcome="done", **ended)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def do(self, sql: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql))


def proposal(own: int, space: str = "component/1", **values: Any) -> Proposal:
    title = values.pop("title", f"Voorstel {own}")
    given = {"texts": (Text(locale="nl", title=title),), "author": f"{own:032x}", **values}
    return Proposal(id=str(own), space=space, **given)


def comment(own: int, on: int, author: int, **values: Any) -> Comment:
    return Comment(
        id=str(own), target=f"proposal/{on}", author=f"{author:032x}", text=Text(locale="nl", plain="Ja"), **values
    )


TREE: list[Record] = [
    Space(kind="process", id="1", names={"nl": "Wijk"}),
    Space(kind="component", id="1", parent="process/1", names={"nl": "Ideeën"}),
    Space(kind="component", id="2", parent="process/1", names={"nl": "Meer ideeën"}),
]
