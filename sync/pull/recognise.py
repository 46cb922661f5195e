"""Whether what answers is still the city whose data is stored under a name; if not, the run stops before it reads anything.

No platform tells an identity of its own that stays. So an address that changed stops every run until a person says that the city moved
its site (`civicsync instances moved`), and even then it is believed only once proposals are there with the moments they were made at.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Engine, select

from ...connectors.contract.errors import NotThisPlatform
from ...connectors.contract.reading import Cursor, Item, Page, Probe, PullRequest, Reader
from ...connectors.contract.settings import InstanceSettings
from ...core.identity import Ref, key
from ...core.instances import holds_data, place_of_address
from ...core.records import Proposal
from ...core.schema.tables import ProposalRow, table_of
from ...core.store.bulk import chunks

_ENOUGH = 5
_MOST_PAGES = 200
_SAME = timedelta(hours=2)
"""Platforms round moments (to the hour, CONSUL) or change the zone they tell them in; another city's differ by days."""


class _Nothing:
    """Nothing is known yet: whoever is asked tells everything."""

    def cursor(self, scope: str) -> Cursor | None:
        return None

    def memory(self, name: str) -> Any:
        return None

    def pending(self, scope: str) -> Sequence[Ref]:
        return ()

    async def tokens(self, scope: str) -> Mapping[Ref, str]:
        return {}


def check_known(
    engine: Engine, name: str, row: Mapping[str, Any] | None, settings: InstanceSettings, *, moved: bool = False
) -> None:
    """Compare what the configuration says of an instance with what is stored of it. Blocks.

    `moved`: another address is no reason to stop; somebody says that it moved.

    Raises:
        NotThisPlatform: another platform, another address, or another name for its pseudonyms.
    """
    if row is None or not holds_data(engine, name):
        return
    if row["platform"] != settings.platform:
        raise NotThisPlatform(
            f"{name} is stored as {row['platform']} at {row['url']}, and the configuration says {settings.platform} at {settings.url}",
            hint=_hint(name),
        )
    was, now = row["pseudonyms_of"] or name, settings.named_before or name
    if was != now:
        say = f"write `named_before: {was}`" if was != name else "leave `named_before` out"
        raise NotThisPlatform(
            f"{name}: its pseudonyms were made under the name {was}, not {now}", hint=f"{say} in its block"
        )
    if not moved and place_of_address(row["url"]) != place_of_address(settings.url):
        raise NotThisPlatform(
            f"{name} is stored from {row['url']}, and the configuration says {settings.url}",
            hint=f"if its city moved the site, `civicsync instances moved {name}` compares and goes on; else {_hint(name)}",
        )


def _hint(name: str) -> str:
    frees = f"`civicsync instances rename {name} NEW` or `civicsync instances forget {name}` frees this one"
    return f"give the new one a name of its own; {frees}"


async def check_moved(
    engine: Engine, name: str, reader: Reader, probe: Probe, row: Mapping[str, Any], settings: InstanceSettings
) -> None:
    """At an address that changed: read there as if nothing were known, until enough proposals can be compared. Stores nothing.

    Raises:
        NotThisPlatform: the proposals are not there, or were made at other moments: another city.
        ConnectorError: they could not be asked for.
    """
    request = PullRequest(probe=probe, stored=_Nothing(), full=True)
    same = other = read = 0
    async with aclosing(cast(AsyncGenerator[Page], reader.pull(request))) as pages:
        async for page in pages:
            made = {item.ref: moments for item in page.items if (moments := _made(item))}
            stored = await asyncio.to_thread(_stored, engine, name, list(made))
            for ref, before in stored.items():
                agrees = any(abs(there - here) <= _SAME for there in made[ref] for here in before)
                same, other = same + agrees, other + (not agrees)
            read += 1
            if same + other >= _ENOUGH or read >= _MOST_PAGES:
                break
    if same and same > other:
        return
    why = "its proposals were made at other times" if other else "none of the stored proposals was found there"
    raise NotThisPlatform(
        f"{name} is stored from {row['url']}, and at {settings.url} is another city: {why}", hint=_hint(name)
    )


def _made(item: Item) -> list[datetime]:
    """When a proposal was made, as far as its page tells."""
    if item.build is None:
        return []
    try:
        records = item.build()
    except Exception:  # what cannot be understood proves nothing
        return []
    mine = [each for each in records if isinstance(each, Proposal) and each.ref == item.ref]
    return [moment for each in mine for moment in (each.created_at, each.published_at) if moment is not None]


def _stored(engine: Engine, name: str, refs: Sequence[Ref]) -> dict[Ref, list[datetime]]:
    table = table_of(ProposalRow)
    found: dict[Ref, list[datetime]] = {}
    with engine.connect() as connection:
        for part in chunks([key(name, each) for each in refs]):
            query = select(table.c.key, table.c.created_at, table.c.published_at).where(table.c.key.in_(part))
            for own, created, published in connection.execute(query):
                moments = [each for each in (created, published) if each is not None]
                if moments:
                    found[own.removeprefix(f"{name}/")] = moments
    return found
