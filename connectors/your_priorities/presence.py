"""Whether single things are still public: asked of the thing itself, then of what holds it, and of what holds that.

A 401 means "not found, deleted, blocked or not allowed" (docs/platforms/your-priorities.md 0.2), so it says nothing alone. Beside a
group that answers, a post that does not is gone; beside a community that answers, a group that does not was closed or deleted by its
admin, and what it held is not public any more; where what is above refuses too, permission was lost, and nothing is judged (4.3).
"""

from typing import Any

from ...core.identity import Ref, split_ref
from ..contract.errors import Malformed, NotAllowed, Unreachable
from ..contract.values import identity, inside
from . import dialects
from .api import Api, Objects, objects, table
from .comments import points
from .feed import feed_of
from .group_state import Seen
from .mapping import Mapper, hides_debate


class Presence:
    """Asks. What was answered once is not asked again, so it is made anew for each batch of questions."""

    def __init__(self, api: Api, mapper: Mapper, seen: Seen) -> None:
        self.api = api
        self.mapper = mapper
        self.seen = seen
        self._pages: dict[str, Any] = {}
        self._held: dict[Ref, bool | None] = {}
        self._threads: dict[str, set[Ref] | bool | None] = {}
        self._holed: set[str] = set()
        """Threads with something in them that cannot be known: what they do not show may be that."""

    async def of(self, ref: Ref) -> bool | None:
        """True: there; False: gone for the public; None: cannot be told, also where the server fails on this one.

        Raises:
            ConnectorError: the platform answers nobody now.
        """
        kind, own = split_ref(ref)
        try:
            match kind:
                case "proposal":
                    return await self.post(own)
                case "point":
                    return await self._hanging(ref, self.seen.post_of.get(own), "points")
                case "status_change":
                    return await self._hanging(ref, self.seen.told_of.get(own), "feed")
                case "category":
                    return await self._category(own)
                case "group":
                    return await self.group(own)
                case "community":
                    return await self.community(own)
                case "domain":
                    return True if await self.api.asked(dialects.domain(own)) is not None else None
                case _:
                    return None
        except Unreachable as error:
            await self.api.alone(error)
            return None
        except (Malformed, NotAllowed):
            return None

    async def post(self, own: str) -> bool | None:
        """A post: gone where its group answers, or is gone itself."""
        there = await self.api.asked(dialects.post(own))
        if there is not None:
            return await self._shown_in(str(inside(there, "group_id")), own) if identity(there) == own else None
        group = self.seen.group_of.get(own)
        return None if group is None or await self.group(group) is None else False

    async def _shown_in(self, group: str, post: str) -> bool | None:
        """Whether a post that answers is public: a post answers whatever its community is, so one in another group is only if that is."""
        if group == self.seen.group_of.get(post):
            return True
        page = await self._page(group)
        return False if page is None else True if identity(inside(page, "group")) == group else None

    async def group(self, own: str) -> bool | None:
        """A group: gone where its community answers and it does not."""
        there = await self._page(own)
        if there is not None:
            return True if identity(inside(there, "group")) == own else None
        return await self.refused_group(own)

    async def refused_group(self, own: str) -> bool | None:
        """A group that has just refused: False or None."""
        community = self.seen.community_of.get(own)
        return False if community is not None and await self.community(community) else None

    async def community(self, own: str) -> bool | None:
        """A community: gone where the domain answers and does not list it as public."""
        ref = f"community/{own}"
        if ref not in self._held:
            there = await self.api.asked(dialects.community_basic(own))
            told = True if identity(there) == own else None
            self._held[ref] = told if there is not None else await self.refused_community(own)
        return self._held[ref]

    def answered(self, community: str) -> None:
        """This community was just read."""
        self._held[f"community/{community}"] = True

    async def refused_community(self, own: str) -> bool | None:
        """A community that has just refused: False or None."""
        ref = f"community/{own}"
        if ref not in self._held:
            above = None if self.seen.domain is None else await self.api.asked(dialects.domain(self.seen.domain))
            listed = (
                objects(table(above, "domain").get("Communities", []), "domain") if above is not None else Objects()
            )
            # Listed as public and refusing: that is no answer. Nor is a list with something in it that is no community.
            public = any(str(one.get("id")) == own and one.get("access") == 0 for one in listed)
            self._held[ref] = None if above is None or public or listed.holes else False
        return self._held[ref]

    async def _page(self, own: str) -> Any:
        if own not in self._pages:
            self._pages[own] = await self.api.asked(dialects.group(own))
        return self._pages[own]

    async def _category(self, own: str) -> bool | None:
        """A group's page lists all its categories; there is no other way to ask (R14)."""
        group = self.seen.group_of_category.get(own)
        if group is None:
            return None
        answer = await self._page(group)
        if answer is None:
            return await self.refused_group(group)
        listed = categories(answer, group)
        return any(str(one.get("id")) == own for one in listed) or (None if listed.holes else False)

    async def _hanging(self, ref: Ref, post: str | None, what: str) -> bool | None:
        """An argument or an official text: whether its post's list, read whole now, shows it."""
        if post is None:
            return None
        group = self.seen.group_of.get(post)
        if what == "points" and group is not None and hides_debate(self.seen.flags.get(group, {})):
            return False
        key = f"{what} {post}"
        if key not in self._threads:
            read = points(self.api, post) if what == "points" else feed_of(self.api, post)
            listed = await read
            if listed is None:
                there = await self.post(post)
                self._threads[key] = False if there is False else None
            elif what == "points":
                self._threads[key] = {f"point/{one.get('id')}" for one in listed}
            else:
                items = self.mapper.many("status_change", listed, self.mapper.status_change)
                self._threads[key] = {item.ref for item in items}
            if listed is not None and listed.holes:
                self._holed.add(key)
        found = self._threads[key]
        if isinstance(found, set):
            return True if ref in found else None if key in self._holed else False
        return None if found is None else False


def categories(answer: Any, group: str) -> Objects:
    """The categories that a group's page shows."""
    node = table(table(answer, f"group/{group}").get("group"), f"group/{group}")
    every = objects(node.get("Categories", []), f"group/{group}")
    found = Objects(one for one in every if not one.get("deleted"))
    found.holes = every.holes
    return found
