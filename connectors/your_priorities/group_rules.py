"""What a group takes: the rules that its pages follow and its server does not enforce (docs/platforms/your-priorities.md 5.2, 10).

Pure: the nodes of a group and its community in, a reason or limits out. They are ours to respect.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ...core.identity import Ref, split_ref
from ..contract.errors import CannotDo
from ..contract.writing import Draft, Limits
from . import dialects
from .mapping import flags
from .text_rules import TITLE

BODY = 1_000_000


@dataclass(frozen=True, slots=True)
class Group:
    """A group as its page and that of its community show it."""

    own: str
    node: Mapping[str, Any]
    community: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def settings(self) -> Mapping[str, Any]:
        """Its configuration."""
        return flags(self.node)

    @property
    def moderated(self) -> bool:
        """Whether a new post waits, invisible, for a moderator (5.2)."""
        return bool(self.settings.get("allPostsBlockedByDefault"))

    @property
    def identified(self) -> bool:
        """Whether people must sign in with an electronic identity to write; its admins need not (5.1)."""
        above = self.node.get("Community")
        return bool(self.settings.get("forceSecureSamlLogin") or flags(above).get("forceSecureSamlLogin"))

    @property
    def placed(self) -> bool:
        """Whether posts have a place."""
        return not self.settings.get("locationHidden")

    @property
    def categories(self) -> set[str]:
        """The numbers of its categories."""
        listed = self.node.get("Categories")
        rows = cast(list[Any], listed) if isinstance(listed, list) else []
        return {str(one.get("id")) for one in rows if isinstance(one, dict) and not one.get("deleted")}


def group_of(space: Ref) -> str:
    """The number of a group. Raises: CannotDo for any other space."""
    kind, slash, own = space.partition("/")
    if kind != "group" or not slash or not (own.isascii() and own.isdigit()):
        raise CannotDo(f"proposals are made in groups there, and {space} is none", hint="use group/NUMBER")
    return own


def refuse_closed(group: Group) -> None:
    """Raises: CannotDo where nobody can make a copy, and why."""
    why = _why(group)
    if why:
        raise CannotDo(f"group/{group.own}: {why[0]}", hint=why[1])


def refuse_outsider(group: Group) -> None:
    """Raises: CannotDo where only an admin of the group can make a copy, and the account is none."""
    why = ""
    if group.identified:
        why = "whoever writes must sign in with an electronic identity"
    elif group.moderated:
        why = "new ideas wait, invisible even for their author, for a moderator, so a copy could not be looked up"
    if why:
        raise CannotDo(f"group/{group.own}: {why}", hint="make the account an admin of the group")


def _why(group: Group) -> tuple[str, str] | None:
    node, settings = group.node, group.settings
    kind = dialects.group_type(node)
    above = node.get("Community")
    inside = cast(Mapping[str, Any], above) if isinstance(above, dict) else {}
    if kind != "ideas":
        return f"it is no group of ideas ({kind})", "choose another group"
    if node.get("access") not in dialects.PUBLIC or inside.get("access") not in {0, None}:
        return "it, or its community, is closed: nobody would see the copy", "choose a public group"
    if "archived" in {node.get("status"), group.community.get("status")}:
        return "it, or its community, is archived", "choose an active group"
    if settings.get("canAddNewPosts") is False or settings.get("hideNewPost"):
        return "it takes no new ideas", "its admins can let it take new ones"
    if settings.get("canVote") is not True:
        return (
            "voting is switched off, so the vote that the platform gives every new idea could not be taken back",
            "its admins can switch voting on",
        )
    if _asks(settings.get("structuredQuestionsJson")):
        return "it asks questions that must be answered with every idea", "its admins can make them optional"
    return None


def _asks(questions: Any) -> bool:
    listed = cast(list[Any], questions) if isinstance(questions, list) else []
    return any(isinstance(one, dict) and one.get("required") for one in listed)


def refuse_category(group: Group, draft: Draft) -> None:
    """Raises: CannotDo where the draft has no category and must have one, or one that the group does not have."""
    if draft.category is None:
        if group.settings.get("makeCategoryRequiredOnNewPost") and group.categories:
            raise CannotDo(
                f"group/{group.own}: every idea must have a category, and this one has none there",
                hint="map categories in the route",
            )
        return
    kind, own = split_ref(draft.category)
    # The server takes a category of any group, and answers 500 to one that there is not (5.2).
    if kind != "category" or own not in group.categories:
        raise CannotDo(
            f"group/{group.own} has no {draft.category}", hint="are the route's categories those of the group?"
        )


def limits(group: Group) -> Limits:
    """What it takes."""
    return Limits(
        title=(1, TITLE), body=(0, _number(group.settings.get("postDescriptionLimit")) or BODY), sends="plain"
    )


def argument_limit(group: Group) -> int | None:
    """Characters of an argument; None: any."""
    return _number(group.settings.get("pointCharLimit"))


def _number(value: Any) -> int | None:
    """A setting that the platform keeps as text."""
    try:
        found = int(value)
    except (TypeError, ValueError):
        return None
    return found if found > 0 else None
