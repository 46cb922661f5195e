"""What answers at an address: the release of a Decidim, its kinds of spaces, the spaces themselves. Asked anonymously."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .api import Api, missing_fields
from .dialects import PROBE, ROOT_PROBE, ROOTS, VERSION, Dialect, dialect_of, spaces_document


@dataclass(frozen=True, slots=True)
class Probed:
    """One site, as it answered."""

    dialect: Dialect
    version: str | None
    """None: the site does not disclose it."""
    title: str
    roots: Sequence[str]
    """The root lists of spaces that its modules bring."""
    spaces: Mapping[str, Any]

    def locales(self) -> list[str]:
        """The languages of the names of its spaces, in their order."""
        seen: dict[str, None] = {}
        for rows in self.spaces.values():
            for space in rows or ():
                for row in ((space or {}).get("title") or {}).get("translations") or ():
                    seen.setdefault(str(row.get("locale")))
        return list(seen)


async def probe(api: Api) -> Probed:
    """Ask the site about itself: four requests.

    Raises:
        NotThisPlatform: no Decidim answers there.
        and whatever `Api.ask` raises.
    """
    data, _ = await api.identify(VERSION)
    about = (data or {}).get("decidim") or {}
    version = about.get("version")
    _, errors = await api.ask_raw(PROBE)
    dialect = dialect_of(missing_fields(errors), version)
    _, errors = await api.ask_raw(ROOT_PROBE)
    roots = [root for root in ROOTS if root not in missing_fields(errors)]
    spaces, _ = await api.ask(spaces_document(dialect, roots))
    title = str(about.get("applicationName") or "")
    return Probed(dialect, version, title, roots, spaces)
