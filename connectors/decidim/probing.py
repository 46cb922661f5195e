"""What answers at an address: the release of a Decidim, its kinds of spaces, the spaces themselves. Asked anonymously."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .api import Api, missing_fields
from .dialects import PROBE, ROOT_PROBE, ROOTS, VERSION, Dialect, dialect_of, organization_name, spaces_document


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
    data, _ = await api.ask(spaces_document(dialect, roots, organization_name(dialect)))
    name = (data.get("organization") or {}).get("name")
    return Probed(dialect, version, _named(name, api.settings.locales), roots, {root: data.get(root) for root in roots})


def _named(name: Any, locales: Sequence[str]) -> str:
    """The organization's name: plain up to 0.28, then per language, and not in each; empty where the site tells none."""
    if not isinstance(name, dict):
        return str(name or "")
    rows = {str(row.get("locale")): str(row["text"]) for row in name.get("translations") or () if row.get("text")}
    return next((rows[each] for each in locales if each in rows), next(iter(rows.values()), ""))
