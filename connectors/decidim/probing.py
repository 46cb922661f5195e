"""What answers at an address: the release of a Decidim, its kinds of spaces, the spaces themselves. Asked anonymously."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..contract.values import flat, inside
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
            for space in flat(rows):
                for row in flat(inside(space, "title", "translations")):
                    locale = inside(row, "locale")
                    if isinstance(locale, str) and locale:
                        seen.setdefault(locale)
        return list(seen)


async def probe(api: Api) -> Probed:
    """Ask the site about itself: four requests.

    Raises:
        NotThisPlatform: no Decidim answers there.
        and whatever `Api.ask` raises.
    """
    data, _ = await api.identify(VERSION)
    told = inside(data, "decidim", "version")
    version = told if isinstance(told, str) else None
    _, errors = await api.ask_raw(PROBE)
    dialect = dialect_of(missing_fields(errors), version)
    _, errors = await api.ask_raw(ROOT_PROBE)
    roots = [root for root in ROOTS if root not in missing_fields(errors)]
    data, _ = await api.ask(spaces_document(dialect, roots, organization_name(dialect)))
    name = inside(data, "organization", "name")
    return Probed(dialect, version, _named(name, api.settings.locales), roots, {root: data.get(root) for root in roots})


def _named(name: Any, locales: Sequence[str]) -> str:
    """The organization's name: plain up to 0.28, then per language, and not in each; empty where the site tells none."""
    if not isinstance(name, dict):
        return str(name or "")
    rows = {
        str(inside(row, "locale")): str(inside(row, "text"))
        for row in flat(name.get("translations"))
        if inside(row, "text")
    }
    return next((rows[each] for each in locales if each in rows), next(iter(rows.values()), ""))
