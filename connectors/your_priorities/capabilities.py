"""What one Your Priorities can do, in words for an admin: for reading by what was tried out, for writing by its account."""

from ..contract.reading import Capability
from ..contract.values import inside
from ..contract.writing import Standing
from .discovery import Discovered
from .web_session import WebSession


def capabilities(group: str | None, order: str, marks: bool, found: Discovered) -> list[Capability]:
    """What can be read; `group` is one that was tried out."""
    answers = "official texts come from the group's feed, which is written a little later than the text itself"
    return [
        Capability("proposals", group is not None, "" if group is not None else "no group that anybody may read"),
        Capability(
            "comments",
            group is not None,
            "comments on arguments, edits, blocks and votes on them: within `confirm_within`",
        ),
        Capability("answers", group is not None, answers),
        Capability("categories", True),
        Capability("names", True, "only where the group shows them; a named person has one pseudonym in all groups"),
        Capability("votes", False, "Your Priorities lists no single votes on proposals"),
        Capability(
            "cheap look for changes", False, "Your Priorities tells no date of change: lists are read and compared"
        ),
        Capability(
            "order",
            order == "oldest",
            "" if order == "oldest" else "this version cannot list oldest first; slower to be sure",
        ),
        Capability(
            "marks", marks, "" if marks else "publishers' marks cannot be listed here: copies are found by their text"
        ),
        Capability(
            "sitemap",
            found.sitemap is not False,
            "" if found.sitemap is not False else "no site map: only groups that pages of communities show are found",
        ),
    ]


def strategy(order: str) -> list[str]:
    """How it is read."""
    return [
        f"the group's page and its lists by official status, 20 posts a request, {order} first: new, edited and supported posts",
        "arguments of a post when their number changed; each post's again within `confirm_within`, as nothing tells of edits and blocks",
        "one request to the group's feed for new official texts; its whole history the first time",
        "a post that no list shows is asked for by its number before it counts as missing",
        "pauses as long as each answer took, and no more requests than politeness.requests_per_minute if that is set",
    ]


def warnings(found: Discovered) -> list[str]:
    """What an admin should know before reading it."""
    notes: list[str] = []
    if found.closed:
        notes.append(f"closed or secret groups are left out: {', '.join(sorted(found.closed)[:10])}")
    if found.refused:
        notes.append(f"not allowed to read: {', '.join(found.refused[:10])}")
    for own, node in found.nodes.items():
        configuration = node.get("configuration")
        if inside(configuration, "hideVoteCount") or inside(configuration, "hideVoteCountUntilVoteCompleted"):
            notes.append(f"group/{own} hides its vote counts from visitors: supports are left empty")
        if inside(configuration, "hideDebate"):
            notes.append(f"group/{own} hides its debate from visitors: arguments are left out")
    notes.append("Your Priorities does not tell the language of a text: it is und until somebody had it translated")
    return notes


async def standing(session: WebSession) -> Standing:
    """Sign in, and see what the account administers. Raises: NotLetIn, NotDone."""
    me = await session.me()
    official = "" if await session.any_group() else "the account is no admin of any group"
    told = bool(session.settings.answers_as_arguments)
    neutral = "" if told else "there are only arguments for and against; set `answers_as_arguments` to tell answers so"
    left = sum(vote.value != 0 for vote in me.votes.values())
    notes = [f"the account has {left} votes of its own: is it used by a person, too?"] if left else []
    return Standing(
        me.own,
        [
            Capability("publish as a participant", True),
            Capability("publish in the organisation's name", False, "every idea has a person's account as its author"),
            Capability("change and withdraw copies", True),
            Capability("official answers", not official, official),
            Capability("comments", told, neutral),
        ],
        notes,
    )
