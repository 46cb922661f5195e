"""What an admin leaves out is not kept: what lies in spaces that the configuration no longer names is buried, and purged in its time."""

from collections.abc import Collection, Sequence

from sqlalchemy import Engine, select, update

from ..identity import Key, Ref, key
from ..leases import writing
from ..schema.tables import ProposalRow, SpaceRow, table_of
from .bulk import chunks
from .store import InstanceStore
from .tombstones import buried, bury_inside

LEFT_OUT = "its space is left out in the configuration"
_SPACE, _PROPOSAL = table_of(SpaceRow), table_of(ProposalRow)


def inside(engine: Engine, instance: str, named: Collection[Ref]) -> set[Key]:
    """The keys of these spaces and of all that is known to lie in them, however deep."""
    query = select(_SPACE.c.key, _SPACE.c.parent_key).where(_SPACE.c.instance == instance)
    below: dict[Key, list[Key]] = {}
    with engine.connect() as connection:
        for own, parent in connection.execute(query):
            if parent is not None:
                below.setdefault(parent, []).append(own)
    found, waiting = set[Key](), [key(instance, each) for each in named]
    while waiting:
        own = waiting.pop()
        if own not in found:
            found.add(own)
            waiting += below.get(own, ())
    return found


def known_spaces(engine: Engine, instance: str) -> set[Ref]:
    """The spaces that were ever seen of an instance."""
    query = select(_SPACE.c.key).where(_SPACE.c.instance == instance)
    with engine.connect() as connection:
        return {own.removeprefix(f"{instance}/") for own in connection.execute(query).scalars()}


def bury_left_out(store: InstanceStore, limits: Sequence[Collection[Ref]]) -> int:
    """Bury the proposals whose space none of these limits allows, with what hangs on them; returns how many proposals.

    A limit that names a space nobody knows buries nothing: it may be mistyped, and the reader says so.
    """
    known = known_spaces(store.engine, store.instance)
    allowed = [inside(store.engine, store.instance, limit) for limit in limits if limit and set(limit) <= known]
    if not allowed:
        return 0
    kept = set[Key].intersection(*allowed)
    alive = (_PROPOSAL.c.instance == store.instance, _PROPOSAL.c.gone_at.is_(None), _PROPOSAL.c.space_key.is_not(None))
    now = store.clock.now()
    with store.engine.connect() as connection:
        query = select(_PROPOSAL.c.key, _PROPOSAL.c.space_key).where(*alive)
        lost = [own for own, space in connection.execute(query) if space not in kept]
    if lost:
        with writing(store.engine, store.lease) as connection:
            for part in chunks(lost):
                connection.execute(update(_PROPOSAL).where(_PROPOSAL.c.key.in_(part)).values(**buried(now, LEFT_OUT)))
            bury_inside(connection, lost, now)
    return len(lost)
