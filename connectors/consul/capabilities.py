"""What one CONSUL can do, in words for an admin: for reading by its dialect, for writing by its accounts. Writes nothing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..contract.errors import CannotDo
from ..contract.reading import Capability
from ..contract.writing import Standing
from .dialects import DIALECTS, Dialect
from .light_sweep import requests_for
from .settings import ConsulSettings

if TYPE_CHECKING:
    # Who only reads need not load what parses pages.
    from .admin_forms import AdminForms
    from .web_session import WebSession


def capabilities(dialect: Dialect, features: Mapping[str, Any], settings: ConsulSettings) -> list[Capability]:
    """What can be read."""
    new = dialect is DIALECTS["C"]
    old = "" if new else "the interface shows them from CONSUL 2.2.1 on"
    votes = dialect.name != "A"
    off = [name for name in ("proposals", "debates") if name in features and features[name] not in ("t", True)]
    return [
        Capability("proposals", True, "switched off on the site, still readable" if "proposals" in off else ""),
        Capability("debates", True, "switched off on the site, still readable" if "debates" in off else ""),
        Capability("comments", True),
        Capability("budgets and investments", new, old),
        Capability("milestones", new, old),
        Capability("supports of investments", False, "the interface does not show them"),
        Capability("selected investments and winners", False, "the interface does not show them"),
        Capability(
            "individual votes", votes, "" if settings.votes else "off; `votes: true` reads them, never with a person"
        ),
        Capability("exact times", False, "the platform cuts the time of creation to the hour"),
    ]


def strategy(dialect: Dialect) -> list[str]:
    """How it is read."""
    requests = requests_for(dialect, [5000])
    how = "in one request" if dialect.page is None else f"{dialect.light_pages} pages of {dialect.page} in one request"
    return [
        f"counters of every proposal and debate {how} ({requests} for 5,000), repeated until two sweeps saw the same",
        "whole texts of what is new or changed, and in every run of a few that were not read for longest: an edited text moves no counter",
        "comments of what has more or fewer of them than before, whole threads; single ones that were not read for longest",
        "what is missing is asked for one by one before it is believed gone",
        "proposals without supports are stored once a public list or their own page shows that they are no drafts",
    ]


def warnings(dialect: Dialect, budgets: Sequence[str], offered: Sequence[str], settings: ConsulSettings) -> list[str]:
    """What an admin should know before reading it. `offered`: the languages that the start page leads to."""
    found: list[str] = []
    if len(offered) > 1 and not settings.locales:
        found.append(
            f"the site offers {', '.join(offered)}: texts are read in the first language alone; name those to read in `locales`"
        )
    if len(budgets) > 1:
        found.append(
            f"{len(budgets)} budgets are published, and the interface does not tell which one an investment belongs to: "
            "investments are stored without their budget"
        )
    if dialect.name == "A":
        found.append("this release is old (1.4.1 or before): budgets, milestones and individual votes cannot be read")
    return found


async def standing(session: "WebSession", admin_forms: "AdminForms") -> Standing:
    """Sign in with every account that is configured, and see what it may do.

    Raises:
        CannotDo: the account that writes is not let in.
        NotDone: the site does not answer now.
    """
    settings = session.settings
    notes: list[str] = []
    # The account that will write comes last, so that it need not sign in again.
    answers = await _may(session.as_administrator)
    person = None
    if settings.login is not None or settings.management is None:
        person = await session.as_author()
        form = (await session.authors_page("/account")).form("edit_account") or {}
        if form.get("account[public_activity]") == "0":
            notes.append(
                "the account keeps its activity private: a copy that a moderator hid before its lost answer was looked up "
                "cannot be told from one that was never made; tick public activity in its account"
            )
    official = await _may(admin_forms.enter) if settings.management else "set `management`"
    if not official and settings.login is not None and settings.management is not None:
        notes.append(
            "copies in the organisation's name can be changed and withdrawn only if the document of `management` "
            "is that of the account of `login`"
        )
    participant = "" if settings.login is not None else "set `login` and `password`"
    return Standing(
        person[0] if person else None,
        [
            Capability("publish as a participant", not participant, participant),
            Capability("publish in the organisation's name", not official, official),
            Capability("change and withdraw copies", not participant, participant),
            Capability("official answers", not answers, answers),
            Capability("comments", not participant, participant),
        ],
        notes,
    )


async def _may(way: Callable[[], Awaitable[object]]) -> str:
    """Why a way is closed; empty: it is open."""
    try:
        await way()
    except CannotDo as error:
        return str(error)
    return ""
