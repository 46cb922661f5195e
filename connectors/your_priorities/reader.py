"""Reading Your Priorities: four lists per group, arguments where their number changed, official texts from the feed.

Everything is read as an anonymous visitor. A 401 alone never proves that something is gone: only beside a group that still
answers 200 does it (docs/platforms/your-priorities.md 0.2, 4.3).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

from ...core.identity import Ref, split_ref
from ...core.records import Space
from ..contract.errors import Interface, Malformed, NotAllowed, NotFound, NotThisPlatform, Unreachable
from ..contract.reading import Context, Page, Probe, PullRequest
from . import dialects
from .api import Api, rows, table
from .capabilities import capabilities, strategy, warnings
from .comments import points
from .discovery import Discovered, GroupDiscovery
from .group_pull import GroupPull
from .group_state import GroupState, Seen
from .mapping import Mapper
from .settings import YourPrioritiesSettings

SPACES = "spaces"


class YourPrioritiesReader:
    """Reads one Your Priorities instance; implements `connectors.contract.Reader` and `Confirms`."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = cast(YourPrioritiesSettings, context.settings)
        self.api = Api(context.transport)
        self.mapper = Mapper(context)
        self.discovery = GroupDiscovery(self.api, self.settings)
        self.seen = Seen()
        self._found: Discovered | None = None

    async def probe(self) -> Probe:
        """What answers there. Costs about three requests and one per community and folder."""
        boot = await self._boot()
        found = self._found = await self.discovery.find(boot)
        group, order, marks = await self._try_out(found)
        language = boot["domain"].get("default_locale")
        return Probe(
            platform="your-priorities",
            version=None,
            dialect=dialects.VERSION,
            title=str(boot["domain"].get("name") or ""),
            locales=self.settings.locales or ([language] if isinstance(language, str) and language else []),
            capabilities=capabilities(group, order, marks, found),
            strategy=strategy(order),
            warnings=warnings(found),
            facts={
                "domain": found.domain.get("id"),
                "communities": list(found.communities),
                "groups": found.groups,
                "order": order,
                "asked": self._asked(),
            },
        )

    async def discover(self, probe: Probe) -> Sequence[Space]:
        """The domain, its communities and every group, folders too. Groups not shown on a page are asked for one by one."""
        found = self._found or await self.discovery.find(await self._boot())
        spaces = [self._built("domain", found.domain)]
        spaces += [self._built("community", node) for node in found.communities.values()]
        for own in found.groups:
            node = found.nodes.get(own) or ((await self.api.maybe(dialects.group(own))) or {}).get("group")
            if node is not None:
                spaces.append(self._built("group", node))
        return spaces

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        """Group after group; a group that may not be read is left alone and named at the end."""
        found = await self._targets(request.probe, walk=SPACES not in request.done)
        nodes = [("domain", found.domain), *(("community", node) for node in found.communities.values())]
        known = await request.stored.tokens(SPACES)
        refused = list(found.refused)
        note = (
            f"not allowed to read {', '.join(found.refused)}; what was read earlier is kept" if found.refused else None
        )
        yield Page(
            SPACES,
            [self.mapper.space(kind, node) for kind, node in nodes if node.get("id") is not None],
            note=note,
            done=() if refused else [SPACES],
        )
        configured = {f"group/{own}" for own in self.settings.groups}
        configured |= {f"community/{own}" for own in self.settings.communities}
        groups = self._chosen(request, found, known)
        everything = frozenset(found.groups) | {own for kind, own in map(split_ref, known) if kind == "group"}
        read = 0
        for own in groups:
            pull = GroupPull(GroupState(self.api, self.mapper, self.seen, request, own, everything))
            if f"group/{own}" in request.done:
                await pull.remember()
            else:
                async for page in pull.pages():
                    yield page
            read += pull.readable
            if not pull.readable:
                refused.append(f"group/{own}")
        if refused and (configured.intersection(refused) or not read):
            raise NotAllowed(
                f"not allowed to read {', '.join(refused)} (status 401)",
                hint="closed, deleted or never there; nothing of it was marked as gone. Everything else was read",
                status=401,
            )

    async def still_there(self, refs: Sequence[Ref]) -> Mapping[Ref, bool | None]:
        """Ask for single records (docs/platforms/your-priorities.md 4.3). A space can never be told gone from closed."""
        found: dict[Ref, bool | None] = {}
        groups: dict[str, bool] = {}
        shown: dict[str, set[str] | None] = {}
        for each in refs:
            kind, own = split_ref(each)
            if kind == "proposal":
                found[each] = await self._post_there(own, groups)
            elif kind == "point":
                found[each] = await self._point_there(own, shown)
            elif kind == "category":
                # The group page lists all of a group's categories and was read in this run; there is no other way to ask (R14).
                found[each] = own in self.seen.categories if self.seen.categories else None
            elif kind in {"group", "community", "domain"}:
                found[each] = True if await self.api.maybe(f"api/{_PLURAL[kind]}/{own}") is not None else None
            else:
                found[each] = None
        return found

    async def _post_there(self, own: str, groups: dict[str, bool]) -> bool | None:
        if await self.api.maybe(dialects.post(own)) is not None:
            return True
        group = self.seen.group_of.get(own)
        if group is None:
            return None
        if group not in groups:
            groups[group] = await self.api.maybe(dialects.group(group)) is not None
        return False if groups[group] else None

    async def _point_there(self, own: str, shown: dict[str, set[str] | None]) -> bool | None:
        post = self.seen.post_of.get(own)
        if post is None:
            return None
        if post not in shown:
            answer = await points(self.api, post)
            shown[post] = None if answer is None else {str(one.get("id")) for one in answer}
        listed = shown[post]
        return None if listed is None else own in listed

    async def _boot(self) -> dict[str, Any]:
        try:
            boot = await self.api.get(dialects.DOMAIN)
        except NotFound:
            raise NotThisPlatform(f"{self.context.transport.url}: no /api/domains, so not Your Priorities") from None
        except Unreachable as error:
            if error.status != 500:
                raise
            raise Unreachable(
                error.message,
                hint="Your Priorities answers 500 to a host name it does not know: is `url` the address people use?",
                status=500,
            ) from None
        if (
            not isinstance(boot, dict)
            or not isinstance(boot.get("domain"), dict)
            or "domain_name" not in boot["domain"]
        ):
            raise NotThisPlatform(f"{self.context.transport.url}: /api/domains is not that of Your Priorities")
        return boot

    async def _try_out(self, found: Discovered) -> tuple[str | None, str, bool]:
        """A group to try, the order of lists that works there, whether publishers' marks can be listed (11)."""
        for own in _likely(found):
            answer = await self.api.maybe(dialects.posts(own, "oldest", "open"))
            if answer is None:
                continue
            dates = [str(one.get("created_at")) for one in rows(table(answer, "posts").get("posts"), "posts")]
            # An instance from before 2020 does not know `oldest` and silently answers `top` (docs/platforms/your-priorities.md 11).
            order = "oldest" if dates == sorted(dates) else "newest"
            try:
                marks = isinstance(await self.api.maybe(dialects.marked(own)), list)
            except (Malformed, NotFound, Unreachable):
                marks = False
            return own, order, marks
        return None, "oldest", False

    async def _targets(self, probe: Probe, *, walk: bool) -> Discovered:
        """What the probe found; in a later run with the communities' pages of today (`walk`), for groups that are new since.

        Raises:
            Interface: other groups or communities are configured than when the instance was probed.
        """
        if self._found is not None:
            return self._found
        if probe.facts.get("asked") != self._asked():
            raise Interface("other groups or communities are configured than when the instance was probed")
        found = Discovered(domain={"id": None})
        if walk:
            await self.discovery.walk(found, [str(own) for own in probe.facts.get("communities") or ()])
        for own, community in (probe.facts.get("groups") or {}).items():
            found.groups.setdefault(str(own), community)
        return found

    def _asked(self) -> dict[str, list[int]]:
        return {"groups": list(self.settings.groups), "communities": list(self.settings.communities)}

    def _chosen(self, request: PullRequest, found: Discovered, known: Mapping[Ref, str]) -> list[str]:
        """The groups of this run. Without a configured choice a known group is asked for even when no page lists it any more."""
        groups = list(found.groups)
        if not self.settings.groups and not self.settings.communities:
            groups += [own for kind, own in map(split_ref, known) if kind == "group" and own not in found.groups]
        wanted = set(request.spaces) or set(self.settings.spaces)
        if not wanted or any(each.startswith("domain/") for each in wanted):
            return groups
        return [own for own in groups if f"group/{own}" in wanted or f"community/{found.groups.get(own)}" in wanted]

    def _built(self, kind: str, node: Mapping[str, Any]) -> Space:
        return self.mapper.build_space(self.mapper.space(kind, node).kept())


_PLURAL = {"group": "groups", "community": "communities", "domain": "domains"}


def _likely(found: Discovered) -> list[str]:
    """Groups with posts first, folders last: at most five are tried."""

    def rank(own: str) -> tuple[bool, bool]:
        node = found.nodes.get(own, {})
        return bool(node.get("is_group_folder")), not node.get("counter_posts")

    return sorted(found.groups, key=rank)[:5]
