"""Quarantine: records that could not be understood, kept without personal data until they can.

A bad record never stops a run and is never lost. Its raw form is what the connector allow-listed, without its author.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, delete, null, select, update

from ..expected import expected
from ..identity import Ref
from ..items import Item, MappingError
from ..schema.tables import QuarantineRow, table_of
from .bulk import chunks
from .intake import Intake


class Quarantine:
    """The quarantine of one instance during one run."""

    def __init__(self, engine: Engine, instance: str, intake: Intake | None = None) -> None:
        self.instance = instance
        self.intake = intake
        table = table_of(QuarantineRow)
        with engine.connect() as connection:
            mine = table.c.instance == instance
            self.refs = set(connection.execute(select(table.c.ref).where(mine)).scalars())
            self._bare = set(connection.execute(select(table.c.ref).where(mine, table.c.raw.is_(null()))).scalars())
            """What was kept for as long as the configuration says: it is not stored anew."""

    def write(
        self,
        connection: Connection,
        scope: str,
        failed: Sequence[tuple[Item, str, str]],
        items: Mapping[Ref, Item],
        now: datetime,
    ) -> None:
        """Note what failed, and drop what is understood now."""
        table = table_of(QuarantineRow)
        bad = {item.ref for item, _, _ in failed}
        for item, where, why in failed:
            raw = None if item.ref in self._bare else item.kept()
            if self.intake is not None:
                raw = self.intake.raw(raw)
            values = {"field": where, "reason": why, "raw": raw, "last_seen_at": now, "scope": scope}
            mine = (table.c.instance == self.instance, table.c.ref == item.ref)
            if item.ref in self.refs:
                connection.execute(update(table).where(*mine).values(times=table.c.times + 1, **values))
            else:
                row = {"instance": self.instance, "ref": item.ref, "first_seen_at": now, "times": 1, **values}
                connection.execute(table.insert(), [row])
        healed = [ref for ref in self.refs.intersection(items) if ref not in bad and items[ref].build is not None]
        for part in chunks(healed):
            connection.execute(delete(table).where(table.c.instance == self.instance, table.c.ref.in_(part)))
        self.refs.update(bad)
        self.refs.difference_update(healed)


def listed(engine: Engine, instance: str | None = None) -> list[dict[str, Any]]:
    """All records in quarantine, newest first."""
    table = table_of(QuarantineRow)
    query = select(table).order_by(table.c.last_seen_at.desc(), table.c.id)
    if instance is not None:
        query = query.where(table.c.instance == instance)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def reason_of(error: Exception) -> tuple[str, str]:
    """Field and reason, without the value: it may hold what a citizen typed."""
    if isinstance(error, MappingError):
        return error.field, error.reason
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        words = expected(first["type"], first.get("ctx") or {}) or "not what this field holds"
        return ".".join(str(part) for part in first["loc"]) or "record", words
    return "record", f"{type(error).__name__}: the answer has not the expected shape"
