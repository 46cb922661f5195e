"""Reading Your Priorities: four lists per group, arguments where their number changed, official texts from the feed.

Everything is read as an anonymous visitor. A 401 alone never proves that something is gone: only beside a parent that
still answers 200 does it (docs/platforms/your-priorities.md 0.2, 4.3; `presence`).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

from ...core.identity import Ref, split_ref
from ...core.records import Space
from ..contract.errors import ConnectorError, Interface, Malformed, NotAllowed, NotFound, NotThisPlatform, Unreachable
from ..contract.reading import Context, Due, Page, Probe, PullRequest, Stored
from ..contract.values import identity, inside
from . import dialects
from .api import Api, objects, table
from .capabilities import capabilities, strategy, warnings
from .discovery import Discovered, GroupDiscovery
from .group_pull import GroupPull
from .group_state import GroupState, Seen
from .mapping import Mapper
from .presence import Presence
from .revisiting import Again
from .settings import YourPrioritiesSettings

SPACES = "spaces"


class YourPrioritiesReader:
    """Reads one Your Priorities instance; implements `connectors.contract.Reader`, `CanConfirm` and `CanRevisit`."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = cast(YourPrioritiesSettings, context.settings)
        self.api = Api(context.transport)
        self.mapper = Mapper(context)
        self.discovery = GroupDiscovery(self.api, self.settings)
        self.seen = Seen()
        self.stored: Stored | None = None
        """Of the run under way."""
        self.groups: frozenset[str] = frozenset()
        """Every group that is found or stored."""
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
                "communities": [*found.communities, *(split_ref(ref)[1] for ref in found.broken)],
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
            node = found.nodes.get(own) or inside(await self.api.maybe(dialects.group(own)), "group")
            if isinstance(node, dict):
                spaces.append(self._built("group", node))
        return spaces

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        """Group after group; one that may not be read or that the server fails on is left alone and named.

        Raises:
            NotAllowed: none may be read.
            ConnectorError: none can be read.
        """
        known = await request.stored.tokens(SPACES)
        found = await self._targets(request.probe, walk=SPACES not in request.done)
        if found.domain.get("id") is None and not any(ref.startswith("domain/") for ref in known):
            found.domain = (await self._boot())["domain"]
        self.stored = request.stored
        self.groups = frozenset(found.groups) | {own for kind, own in map(split_ref, known) if kind == "group"}
        self.seen.place(request.stored, found.groups, found.domain.get("id") or request.probe.facts.get("domain"))
        groups = self._chosen(request, found, known)
        presence = Presence(self.api, self.mapper, self.seen)
        async for page in self._spaces(found, known, presence):
            yield page
        self.seen.untold |= {f"group/{own}" for own in self.groups - set(groups)}
        refused, failed, read, in_a_row = list(found.refused), list[ConnectorError](), 0, 0
        for own in groups:
            ref = f"group/{own}"
            if ref in request.done:
                read += 1
                continue
            state = GroupState(self.api, self.mapper, self.seen, request, own, self.groups)
            pull = GroupPull(state, presence, known=ref in known, named=ref in self._named)
            try:
                async for page in pull.pages():
                    yield page
            except (Malformed, NotAllowed, NotFound, Unreachable) as error:
                in_a_row += 1
                failed.append(error)
                await self.api.alone(error, in_a_row)
                self.seen.untold.add(ref)
                yield Page(SPACES, failed=f"{ref} could not be read: {error.message}; what was read earlier is kept")
                continue
            in_a_row = 0
            read += pull.readable or pull.closed
            if not pull.readable and not pull.closed:
                refused.append(ref)
        self.mapper.missed("groups", found.holes)
        yield Page(SPACES, note=self.mapper.unread.note())
        if failed and not read:
            raise failed[0]
        if refused and not read:
            raise NotAllowed(
                f"not allowed to read {', '.join(refused)} (status 401)",
                hint="closed, deleted or never there; nothing of it was marked as gone",
                status=401,
            )

    async def _spaces(self, found: Discovered, known: Mapping[Ref, str], presence: Presence) -> AsyncIterator[Page]:
        """The domain and the communities; of one that refuses, whether it was closed."""
        for own in found.communities:
            presence.answered(own)
        asked = [own for own in found.refused if own in known]
        closed = [own for own in asked if await presence.refused_community(split_ref(own)[1]) is False]
        found.refused = [own for own in found.refused if own not in closed]
        self.seen.untold |= {*found.refused, *found.broken}
        notes: list[str] = []
        unnamed = [own for own in found.refused if own not in self._named]
        if unnamed:
            notes.append(f"not allowed to read {', '.join(unnamed)}; what was read earlier is kept")
        if closed:
            notes.append(f"{', '.join(closed)}: closed or deleted, and the domain is there: not public any more")
        broken = [f"{ref} could not be read: {why}; what was read earlier is kept" for ref, why in found.broken.items()]
        # One that the admin wants read makes the run incomplete, and hides no other.
        named = [own for own in found.refused if own in self._named]
        broken += [f"not allowed to read {ref} (status 401); what was read earlier is kept" for ref in named]
        items = self.mapper.spaces("domain", [found.domain] if found.domain.get("id") is not None else [])
        yield Page(
            SPACES,
            [*items, *self.mapper.spaces("community", found.communities.values())],
            absent=closed,
            note="; ".join(notes) or None,
            failed="; ".join(broken) or None,
            done=() if found.refused or found.broken else [SPACES],
        )

    async def revisit(self, request: PullRequest, due: Sequence[Due]) -> AsyncIterator[Page]:
        """What was confirmed longest ago, again: threads of arguments, feeds of posts, posts, pages of groups."""
        self.stored = request.stored
        async for page in Again(self.api, self.mapper, self.seen, self.groups).pages(due, request.stored):
            yield page

    async def still_there(self, refs: Sequence[Ref]) -> Mapping[Ref, bool | None]:
        """Ask for single records, at any time (docs/platforms/your-priorities.md 4.3)."""
        if self.stored is not None:
            await self.seen.recall(self.stored, self.groups)
        presence = Presence(self.api, self.mapper, self.seen)
        return {each: await presence.of(each) for each in refs}

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
            or identity(boot["domain"]) is None
        ):
            raise NotThisPlatform(f"{self.context.transport.url}: /api/domains is not that of Your Priorities")
        return boot

    async def _try_out(self, found: Discovered) -> tuple[str | None, str, bool]:
        """A group to try, the order of lists that works there, whether publishers' marks can be listed (11)."""
        for own in _likely(found):
            try:
                answer = await self.api.maybe(dialects.posts(own, "oldest", "open"))
                if answer is None:
                    continue
                listed = objects(table(answer, "posts").get("posts"), "posts")
            except (Malformed, NotAllowed, NotFound, Unreachable) as error:
                await self.api.alone(error)
                continue  # it is named when it is pulled; another one tells the order as well
            dates = [str(one.get("created_at")) for one in listed]
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

    @property
    def _named(self) -> set[Ref]:
        """What the configuration names."""
        return {f"group/{own}" for own in self.settings.groups} | {
            f"community/{own}" for own in self.settings.communities
        }

    def _asked(self) -> dict[str, list[int]]:
        return {"groups": list(self.settings.groups), "communities": list(self.settings.communities)}

    def _chosen(self, request: PullRequest, found: Discovered, known: Mapping[Ref, str]) -> list[str]:
        """The groups of this run. Without a configured choice a known group is asked for even when no page lists it any more."""
        groups = list(found.groups)
        if not self.settings.groups and not self.settings.communities:
            groups += [own for kind, own in map(split_ref, known) if kind == "group" and own not in found.groups]
        wanted = set(request.spaces) or set(self.settings.spaces)
        there = {f"group/{own}" for own in groups} | set(known) | {f"community/{own}" for own in found.communities}
        there |= {*found.refused, *found.broken, f"domain/{request.probe.facts.get('domain')}"}
        unknown = sorted(wanted - there)
        if unknown:
            raise NotFound(
                f"there is no {', '.join(unknown)} on this site", hint="`civicsync discover` lists its spaces"
            )
        if not wanted or any(each.startswith("domain/") for each in wanted):
            return groups
        return [own for own in groups if f"group/{own}" in wanted or f"community/{found.groups.get(own)}" in wanted]

    def _built(self, kind: str, node: Mapping[str, Any]) -> Space:
        return self.mapper.build_space(self.mapper.space(kind, node).kept())


def _likely(found: Discovered) -> list[str]:
    """Groups with posts first, folders last: at most five are tried."""

    def rank(own: str) -> tuple[bool, bool]:
        node = found.nodes.get(own, {})
        return bool(node.get("is_group_folder")), not node.get("counter_posts")

    return sorted(found.groups, key=rank)[:5]
