"""Who an instance is: its name, its platform, its address, the key its pseudonyms are made with. Renaming and forgetting one.

The name of an instance is the beginning of every key, so nothing here may be guessed: another city under a known name would be mixed into
what the first one said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine, delete, func, literal, or_, select, update

from .schema.analysis_tables import ErasedRecordRow, ForgottenRow, PublishedCellRow
from .schema.ledger_tables import METADATA, PublicationRow
from .schema.tables import InstanceRow, LeaseRow, ProposalRow, SchemaInfoRow, table_of

_INSTANCE, _PROPOSAL, _INFO, _LEASE = (table_of(each) for each in (InstanceRow, ProposalRow, SchemaInfoRow, LeaseRow))
_PUBLICATION, _CELL = table_of(PublicationRow), table_of(PublishedCellRow)


class InstanceError(Exception):
    """It cannot be renamed or forgotten; the text says why and what would help."""


def place_of_address(url: str) -> str:
    """An address as far as it tells one deployment from another: host, port where it is not the usual one, path."""
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port and parts.port != usual else ""
    return f"{(parts.hostname or '').rstrip('.').lower()}{port}{parts.path.rstrip('/')}"


def twins(addresses: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pairs of instances with one address."""
    seen: dict[str, str] = {}
    found: list[tuple[str, str]] = []
    for name, url in addresses.items():
        first = seen.setdefault(place_of_address(url), name)
        if first != name:
            found.append((first, name))
    return found


def holds_data(engine: Engine, name: str) -> bool:
    """Whether anything of an instance is stored, so that it matters who it is."""
    with engine.connect() as connection:
        query = select(_PROPOSAL.c.key).where(_PROPOSAL.c.instance == name).limit(1)
        return connection.execute(query).first() is not None


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored of an instance."""

    name: str
    platform: str
    url: str
    proposals: int
    publications: int


def known(engine: Engine) -> list[Known]:
    """All instances that this database holds something of."""
    found: list[Known] = []
    with engine.connect() as connection:
        rows = connection.execute(select(_INSTANCE.c.name, _INSTANCE.c.platform, _INSTANCE.c.url)).all()
        for name, platform, url in sorted(map(tuple, rows)):
            count = select(func.count()).select_from(_PROPOSAL).where(_PROPOSAL.c.instance == name)
            proposals = connection.execute(count).scalar_one()
            found.append(Known(name, platform, url, proposals, _publications(connection, name)))
    return found


def rename(engine: Engine, old: str, new: str) -> tuple[int, str]:
    """Give an instance another name, in every key; returns how many proposals it has, and the name its pseudonyms were made with.

    Pseudonyms are made anew for another name and cannot be turned into each other: `InstanceRow.pseudonyms_of` keeps the name that they
    were made with.

    Raises:
        InstanceError: there is none, the new name is taken, a process works on it, or copies on platforms carry the old name.
    """
    with engine.begin() as connection:
        row = _there(connection, old)
        if connection.execute(select(_INSTANCE.c.name).where(_INSTANCE.c.name == new)).first() or _stored(
            connection, new
        ):
            raise InstanceError(f"{new} is taken; `civicsync instances forget {new}` would remove what is stored of it")
        _idle(connection, old)
        copies = _publications(connection, old)
        if copies:
            raise InstanceError(
                f"{old} has {copies} publication(s): the markers in their copies carry its name, and under another one they would not be "
                "known as ours; keep the name"
            )
        # No wildcard may stand in a name, and none does (`config.model.InstanceName`).
        for table in METADATA.sorted_tables:
            for column in table.c:
                if column.name in _NAMES and not (table is _INSTANCE and column.name == "name"):
                    connection.execute(update(table).where(column == old).values({column.name: new}))
                elif _is_key(column.name):
                    moved = literal(f"{new}/") + func.substr(column, len(old) + 2)
                    connection.execute(
                        update(table).where(column.startswith(f"{old}/", autoescape=True)).values({column.name: moved})
                    )
        row_key = literal(f"{new}/") + func.substr(_CELL.c.row, len(old) + 2)
        moved = update(_CELL).where(_CELL.c.name == f"areas:{old}", _CELL.c.row.startswith(f"{old}/", autoescape=True))
        connection.execute(moved.values(row=row_key))
        connection.execute(update(_CELL).where(_CELL.c.name == f"areas:{old}").values(name=f"areas:{new}"))
        was = row["pseudonyms_of"] or old
        connection.execute(update(_INSTANCE).where(_INSTANCE.c.name == old).values(name=new, pseudonyms_of=was))
        count = select(func.count()).select_from(_PROPOSAL).where(_PROPOSAL.c.instance == new)
        return int(connection.execute(count).scalar_one()), str(was)


def forget(engine: Engine, name: str) -> int:
    """Remove everything of an instance; returns how many rows went.

    Raises:
        InstanceError: nothing is stored of it, or a process works on it.
    """
    with engine.begin() as connection:
        if not _stored(connection, name):
            _there(connection, name)
        _idle(connection, name)
        ours = or_(
            _PUBLICATION.c.target_instance == name, _PUBLICATION.c.origin_key.startswith(f"{name}/", autoescape=True)
        )
        publications = [str(own) for own in connection.execute(select(_PUBLICATION.c.id).where(ours)).scalars()]
        total = connection.execute(delete(_CELL).where(_CELL.c.name == f"areas:{name}")).rowcount
        for table in reversed(METADATA.sorted_tables):
            if table.name in _OUTLIVE:
                continue
            if "publication_id" in table.c:
                for part in (publications[n : n + 500] for n in range(0, len(publications), 500)):
                    total += connection.execute(delete(table).where(table.c.publication_id.in_(part))).rowcount
                continue
            where = [column == name for column in table.c if column.name in _NAMES]
            if table is _INSTANCE:
                where = [table.c.name == name]
            elif table is _PUBLICATION:
                where.append(ours)
            else:
                where += [
                    table.c[each.name].startswith(f"{name}/", autoescape=True)
                    for each in table.c
                    if each.name in {"proposal_key"}
                ]
            if where:
                total += connection.execute(delete(table).where(or_(*where))).rowcount
        return total


_NAMES = frozenset({"instance", "target_instance"})
_OUTLIVE = frozenset({ForgottenRow.__tablename__, ErasedRecordRow.__tablename__})
"""Who was forgotten is not to come back when the instance is read anew."""


def _is_key(name: str) -> bool:
    """Keys of records are called so in every table (`core.identity`), and nothing else is."""
    return name == "key" or name.endswith("_key")


def _there(connection: Connection, name: str) -> Mapping[str, Any]:
    row = connection.execute(select(_INSTANCE).where(_INSTANCE.c.name == name)).mappings().first()
    if row is None:
        names = connection.execute(select(_INSTANCE.c.name).order_by(_INSTANCE.c.name)).scalars()
        raise InstanceError(f"nothing is stored of {name}; there is: {', '.join(names) or 'nothing yet'}")
    return dict(row)


def _stored(connection: Connection, name: str) -> bool:
    return any(
        connection.execute(select(table.c.instance).where(table.c.instance == name).limit(1)).first() is not None
        for table in METADATA.sorted_tables
        if "instance" in table.c and table.name not in _OUTLIVE
    )


def _idle(connection: Connection, name: str) -> None:
    now = func.current_timestamp()
    busy = select(_LEASE.c.name).where(
        _LEASE.c.name.in_([f"pull:{name}", f"publish:{name}"]), _LEASE.c.holder != "", _LEASE.c.until > now
    )
    if connection.execute(busy).first() is not None:
        raise InstanceError(f"a process is at work on {name}; stop it first, or wait for its end")


def _publications(connection: Connection, name: str) -> int:
    where = or_(
        _PUBLICATION.c.target_instance == name, _PUBLICATION.c.origin_key.startswith(f"{name}/", autoescape=True)
    )
    return int(connection.execute(select(func.count()).select_from(_PUBLICATION).where(where)).scalar_one())
