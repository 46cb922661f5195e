"""What is there now, in numbers. `status` asks it each time, so it does without the models of all tables."""

from datetime import datetime

from sqlalchemy import Engine, bindparam, text

from ..items import Due
from ..schema.types import UTCMoment

SWEPT = ("space", "proposal", "comment", "answer", "category", "area", "vote")
"""The tables of what is swept (`core.schema.tables.ROWS`)."""
_THERE = "instance = :instance AND gone_at IS NULL"
_LATER = "CASE WHEN f.confirmed_at > COALESCE(t.confirmed_at, :never) THEN f.confirmed_at ELSE COALESCE(t.confirmed_at, :never) END"
_OLDEST = """
    SELECT {columns}, {later} AS at FROM {table} t
    LEFT JOIN scope_confirmation f ON f.instance = t.instance AND f.scope = t.scope
    WHERE t.instance = :instance AND t.gone_at IS NULL AND t.missing_runs = 0 AND t.scope <> '' ORDER BY at LIMIT 1"""
_NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def kinds(engine: Engine, instance: str) -> dict[str, int]:
    """How many of what is there now are proposals, debates, investments and what else the platform has, the most first."""
    query = text(
        f"SELECT kind, count(*) AS many FROM proposal WHERE {_THERE} GROUP BY kind ORDER BY count(*) DESC, kind"
    )
    with engine.connect() as connection:
        return {row.kind: row.many for row in connection.execute(query, {"instance": instance})}


def totals(engine: Engine, instance: str) -> dict[str, int]:
    """What is there now, for a table: spaces, proposals (of every kind), supports, comments, missing ones that wait for a verdict,
    in quarantine."""
    asked = {name: f"SELECT count(*) FROM {table} WHERE {_THERE}" for name, table in _COUNTED.items()}
    asked["supports"] = f"SELECT COALESCE(sum(supports), 0) FROM proposal WHERE {_THERE}"
    asked["waiting"] = " + ".join(
        f"(SELECT count(*) FROM {table} WHERE {_THERE} AND missing_runs > 0)" for table in SWEPT
    )
    asked["waiting"] = f"SELECT {asked['waiting']}"
    asked["quarantined"] = "SELECT count(*) FROM quarantine WHERE instance = :instance"
    sql = ", ".join(f"({query}) AS {name}" for name, query in asked.items())
    with engine.connect() as connection:
        row = connection.execute(text(f"SELECT {sql}"), {"instance": instance}).mappings().one()
    return {name: int(value) for name, value in row.items()}


_COUNTED = {"spaces": "space", "comments": "comment", "answers": "answer", "proposals": "proposal"}


def oldest(engine: Engine, instance: str) -> Due | None:
    """The live row that was confirmed longest ago; its `confirmed_at` is None where it never was."""
    found: list[Due] = []
    with engine.connect() as connection:
        for table in SWEPT:
            query = text(_OLDEST.format(columns="t.key, t.scope, t.token", table=table, later=_LATER))
            typed = query.bindparams(bindparam("never", type_=UTCMoment())).columns(at=UTCMoment())
            row = connection.execute(typed, {"instance": instance, "never": _NEVER}).first()
            if row is not None:
                at = row.at if row.at > _NEVER else None
                found.append(Due(row.key[len(instance) + 1 :], row.scope, at, token=row.token))
    return min(found, key=lambda each: each.confirmed_at or _NEVER, default=None)
