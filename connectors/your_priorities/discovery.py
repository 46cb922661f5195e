"""Finding the groups that anybody may read: the configured ones, or site map, community pages and folders together.

No single source is complete (docs/platforms/your-priorities.md 3, R2 R3 R22): the start page leaves small communities out, the site
map is an hour old, community pages leave out what is in folders. Nothing here ever claims that something is gone.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.identity import Ref
from ..contract.errors import Malformed, NotAllowed, Unreachable
from ..contract.values import identity
from . import dialects
from .api import Api, Objects, objects, table
from .settings import YourPrioritiesSettings

_ENTRY = re.compile(r"<loc>[^<]*/(community|group)/(\d+)</loc>")


@dataclass
class Discovered:
    """What is there. `groups` are the numbers to pull, in order; `closed` what one may not read, by name."""

    domain: Mapping[str, Any]
    communities: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    groups: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """Number of a group to that of its community, None where it is not known yet."""
    nodes: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """The groups as their community page or folder shows them."""
    closed: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])
    broken: dict[Ref, str] = field(default_factory=dict[Ref, str])
    """Communities that the server fails on, with why."""
    holes: int = 0
    """Elements of the lists of groups that are none."""
    sitemap: bool | None = None
    """Whether the site map could be read; None where it was not needed."""


class GroupDiscovery:
    """Walks from the domain to its groups."""

    def __init__(self, api: Api, settings: YourPrioritiesSettings) -> None:
        self.api = api
        self.settings = settings

    async def find(self, boot: Mapping[str, Any]) -> Discovered:
        """Everything, from the answer of `/api/domains`."""
        found = Discovered(domain=boot["domain"])
        for own in self.settings.groups:
            found.groups[str(own)] = None
        communities = [str(own) for own in self.settings.communities]
        here = boot.get("community")
        if not communities and isinstance(here, dict) and identity(here) is not None:
            communities = [str(here["id"])]
        if self.settings.groups and not self.settings.communities:
            return found
        if not communities:
            mapped = await self._sitemap(found)
            communities = await self._communities(found, mapped["community"])
            await self.walk(found, communities)
            for own in mapped["group"]:
                found.groups.setdefault(own, None)
        else:
            await self.walk(found, communities)
        return found

    async def walk(self, found: Discovered, communities: Iterable[str]) -> None:
        """Read these communities, their folders and what is inside."""
        waiting = list(communities)
        while waiting:
            own = waiting.pop(0)
            if own in found.communities:
                continue
            inside: list[str] = []
            try:
                node = await self.api.asked(dialects.community(own))
                if node is not None:
                    inside = await self._community(found, own, table(node, f"community/{own}"))
            except (Malformed, NotAllowed, Unreachable) as error:
                # One that the server fails on hides no other; where nothing answers it is not this one.
                await self.api.alive(error)
                found.communities.pop(own, None)
                found.broken[f"community/{own}"] = error.message
                continue
            if node is None:
                found.refused.append(f"community/{own}")
                continue
            waiting += inside

    async def _community(self, found: Discovered, own: str, node: Mapping[str, Any]) -> list[str]:
        """Take a community's page with its groups; returns the communities that are in it."""
        if identity(node) != own:
            raise Malformed(f"community/{own}: another one was answered", status=200)
        found.communities[own] = node
        waiting: list[str] = []
        if node.get("is_community_folder"):
            inside = await self.api.maybe(dialects.community_folder(own))
            listed = objects(table(inside or {}, f"community/{own}").get("Communities", []), f"community/{own}")
            waiting += [str(one["id"]) for one in listed if one.get("access") == 0]
        await self._groups(found, own, objects(node.get("Groups", []), f"community/{own}"))
        return waiting

    async def _groups(self, found: Discovered, community: str, nodes: Objects) -> None:
        found.holes += nodes.holes
        for node in nodes:
            own = str(node.get("id"))
            access = node.get("access")
            if not isinstance(access, int) or access not in dialects.PUBLIC:
                found.closed.append(f"group/{own}")
                continue
            if own in found.nodes:
                continue
            found.groups[own] = community
            found.nodes[own] = node
            if node.get("is_group_folder"):
                inside = await self.api.maybe(dialects.group_folder(own))
                if inside is not None:
                    folder = table(table(inside, f"group/{own}").get("group") or {}, f"group/{own}")
                    await self._groups(found, community, objects(folder.get("Groups", []), f"group/{own}"))

    async def _sitemap(self, found: Discovered) -> dict[str, list[str]]:
        text = await self.api.text(dialects.SITEMAP)
        listed: dict[str, list[str]] = {"community": [], "group": []}
        found.sitemap = text is not None and text.rstrip().endswith("</urlset>")
        if text is not None and found.sitemap:
            for kind, own in _ENTRY.findall(text):
                if own not in listed[kind]:
                    listed[kind].append(own)
        return listed

    async def _communities(self, found: Discovered, listed: list[str]) -> list[str]:
        """Those of the site map, and those on the start page that it does not have yet."""
        own = str(found.domain["id"])
        node = await self.api.maybe(dialects.domain(own))
        shown = objects(table(node, f"domain/{own}").get("Communities", []), f"domain/{own}") if node else []
        fresh = [str(one["id"]) for one in shown if one.get("access") == 0]
        return list(dict.fromkeys([*listed, *fresh]))
