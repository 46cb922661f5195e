"""What is there now, in numbers."""

from sqlalchemy import Engine, func, select

from ..schema.tables import ROWS, ProposalRow, QuarantineRow, table_of
from .rows import COUNTERS


def kinds(engine: Engine, instance: str) -> dict[str, int]:
    """How many of what is there now are proposals, debates, investments and what else the platform has, the most first."""
    proposal = table_of(ProposalRow)
    query = (
        select(proposal.c.kind, func.count().label("many"))
        .where(proposal.c.instance == instance, proposal.c.gone_at.is_(None))
        .group_by(proposal.c.kind)
        .order_by(func.count().desc(), proposal.c.kind)
    )
    with engine.connect() as connection:
        return {row.kind: row.many for row in connection.execute(query)}


def totals(engine: Engine, instance: str) -> dict[str, int]:
    """What is there now, for a table: spaces, proposals (of every kind), supports, comments, missing ones that wait for a verdict,
    in quarantine."""
    proposal, quarantine = table_of(ProposalRow), table_of(QuarantineRow)
    result: dict[str, int] = {}
    with engine.connect() as connection:
        for name in ("spaces", "comments", "answers"):
            table = table_of(ROWS[name])
            where = (table.c.instance == instance, table.c.gone_at.is_(None))
            result[name] = connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
        where = (proposal.c.instance == instance, proposal.c.gone_at.is_(None))
        row = connection.execute(select(func.count(), func.sum(proposal.c[COUNTERS[0]])).where(*where)).one()
        result["proposals"], result["supports"] = row[0], int(row[1] or 0)
        where = (quarantine.c.instance == instance,)
        waiting = 0
        for row_class in ROWS.values():
            table = table_of(row_class)
            missing = (table.c.instance == instance, table.c.gone_at.is_(None), table.c.missing_runs > 0)
            waiting += connection.execute(select(func.count()).select_from(table).where(*missing)).scalar_one()
        result["waiting"] = waiting
        result["quarantined"] = connection.execute(
            select(func.count()).select_from(quarantine).where(*where)
        ).scalar_one()
    return result
