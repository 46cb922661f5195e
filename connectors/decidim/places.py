"""Where things are on one Decidim: its release, its languages, its components of proposals and their addresses.

Learned once per writer, anonymously, by the reader's own questions; knows no session and writes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.identity import Ref, split_ref
from ..contract.errors import CannotDo, nothing_stored
from ..contract.writing import LocalText
from .api import Api
from .dialects import ROOTS, Dialect
from .mapping import component_path
from .probing import probe

_OFFICES = {
    "process": "participatory_processes",
    "assembly": "assemblies",
    "conference": "conferences",
    "initiative": "initiatives",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A component of proposals. `public` and `office` are its addresses for participants and administrators, without language."""

    id: str
    public: str
    office: str

    @classmethod
    def of(cls, component: str, kind: str, slug: str) -> "Place | None":
        """The place of a component in a space; None where the space's kind has no known addresses."""
        path = component_path(kind, slug, component, "proposals")
        if path is None:
            return None
        office = f"/admin/{_OFFICES[kind]}/{slug}/components/{component}/manage/proposals"
        return cls(component, path.rstrip("/"), office)


@dataclass(slots=True)
class Places:
    """What was learned. `locales`: the main one first."""

    dialect: Dialect
    locales: list[str]
    components: dict[str, Place] = field(default_factory=dict[str, Place])
    others: dict[str, str] = field(default_factory=dict[str, str])
    """Components of another kind, to say why nothing can be proposed there."""
    rich: set[str] = field(default_factory=set[str])
    """Components whose participants write with an editor: their texts are HTML."""

    @property
    def prefixed(self) -> bool:
        """Whether addresses begin with the language (0.32); before, every request names it as a parameter."""
        return self.dialect.release >= (0, 32)

    @property
    def mutations(self) -> bool:
        """Whether participants write through the interface (0.32)."""
        return self.dialect.release >= (0, 32)

    def address(self, path: str, locale: str) -> str:
        """The address of a page or form in a language."""
        return f"/{locale}{path}" if self.prefixed else f"{path}?locale={locale}"

    def body(self, place: Place, text: LocalText) -> str:
        """What a participant's text is there: HTML where people write with an editor, else plain."""
        return text.html if place.id in self.rich else text.plain

    def place(self, space: Ref) -> Place:
        """The component of a reference.

        Raises:
            CannotDo: there is no such component of proposals.
        """
        kind, own = split_ref(space)
        if kind != "component":
            raise CannotDo(f"{space} is not a component", hint="name a component of proposals, such as component/12")
        found = self.components.get(own)
        if found is not None:
            return found
        if own in self.others:
            raise CannotDo(f"{space} is of kind {self.others[own]}", hint="proposals can only be made in Proposals")
        raise CannotDo(
            f"{space} is not among the public components", hint="is it published, and its space too? ask its manager"
        )


async def learn(api: Api) -> Places:
    """Ask the site about itself: five requests.

    Raises:
        NotDone: it does not answer now.
        CannotDo: it does not let us look.
    """
    async with nothing_stored():
        site = await probe(api)
        language = await api.language()
    own = [language] if language else []
    found = Places(site.dialect, list(dict.fromkeys([*api.settings.locales, *own, *site.locales()])))
    for root in site.roots:
        for space in site.spaces.get(root) or ():
            if space is not None:
                _add(found, ROOTS[root], space)
    return found


def _add(found: Places, kind: str, space: Mapping[str, Any]) -> None:
    slug = str(space.get("slug") or (f"i-{space['id']}" if kind == "initiative" else ""))
    for component in space.get("components") or ():
        if component is None:
            continue
        own, manifest = str(component["id"]), str(component.get("__typename"))
        place = Place.of(own, kind, slug) if manifest == "Proposals" else None
        if place is not None:
            found.components[own] = place
        else:
            found.others[own] = manifest
