"""What one Decidim can do, in words for an admin: for reading by its dialect, for writing by the service account.

Every capability has its reason, every trap its way out. Signs in and opens pages; writes nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..contract.errors import CannotDo, NotDone
from ..contract.reading import Capability
from ..contract.writing import Standing
from .dialects import Dialect
from .places import Place, Places
from .settings import DecidimSettings

if TYPE_CHECKING:
    # Who only reads need not load what parses pages.
    from .account import ServiceAccount

_WINDOW = (
    "participants may edit for a few minutes only (each component's setting, five by default), and never after an answer: "
    "later changes of the original are flagged instead"
)


def capabilities(dialect: Dialect, settings: DecidimSettings) -> list[Capability]:
    """What can be read."""
    gate = (
        "tells when a component last changed"
        if dialect.timestamps
        else "from Decidim 0.32 on; before, a light sweep finds changes"
    )
    comments = settings.comments
    return [
        Capability("proposals", True),
        Capability("endorsements or likes", True, "as counts, never with names"),
        Capability("comments", comments, "" if comments else "off: `comments: true` reads them"),
        Capability("budgets and projects", True),
        Capability(
            "votes of projects", dialect.likes, "where the site shows them" if dialect.likes else "from Decidim 0.31 on"
        ),
        Capability("debates", True),
        Capability("individual votes", False, "the platform shows none"),
        Capability("cheap look for changes", dialect.timestamps, gate),
        Capability(
            "moderated proposals are left out",
            dialect.checked,
            "" if dialect.checked else "only by comparison with open data",
        ),
    ]


def strategy(dialect: Dialect, settings: DecidimSettings) -> list[str]:
    """How it is read."""
    if dialect.timestamps:
        lines = [
            "one request for all spaces tells which components changed; only these are read again, fifty proposals a page"
        ]
        lines.append("nothing that happens to projects shows there: budgets are read every time")
    else:
        lines = ["fifty proposals a page, counters only; then whole proposals of what changed"]
    lines.append(
        "what no date shows (likes, taxonomies, deleted accounts) is read again within `confirm_within`, a little in every run"
    )
    if settings.comments:
        single = dialect.release >= (0, 30) and settings.open_data
        lines.append(
            "comments where something moved; many at once from the site's open-data file, as far as that still speaks for them"
            if single
            else "comments where something moved"
        )
    lines.append("what is missing from a whole sweep is asked for one by one before it is believed gone")
    return lines


def warnings(dialect: Dialect, version: str | None, settings: DecidimSettings, offered: Sequence[str]) -> list[str]:
    """What an admin should know before reading it. `offered`: the languages of the names of its spaces."""
    found: list[str] = []
    if not dialect.checked:
        text = f"this release ({version or dialect.name}) still shows moderated proposals in its interface"
        found.append(
            f"{text}; they are left out by comparison with its open data"
            if settings.open_data
            else f"{text}, and `open_data` is off: they will be stored"
        )
    if settings.api_key is not None:
        found.append("API credentials are never used for reading: they would show private and unpublished spaces")
    foreign = [each for each in settings.locales if each not in offered] if offered else []
    if foreign:
        found.append(
            f"`locales` names {', '.join(foreign)}, and no space there has a name in it: the site has {', '.join(offered)}"
        )
    return found


async def standing(account: "ServiceAccount") -> Standing:
    """Look around.

    Raises:
        CannotDo: no or wrong credentials.
        NotDone: the site does not answer now.
    """
    places = account.known()
    own = await _own(account, places)
    place = next(iter(places.components.values()), None)
    participant = await _participant(account, places, place)
    official = await _official(account, places, place)
    answers, comments = await _answers(account, places, official), _comments(account, places)
    able = [participant, official]
    able.append(Capability("find after a lost answer", True, "by its marker among the newest, and among the drafts"))
    able.append(Capability("edit as participant", participant.available, participant.why or _WINDOW))
    able.append(Capability("edit official proposals", official.available, official.why))
    able.append(
        Capability(
            "withdraw", participant.available, "a participant's only, and not once it has votes; never an official one"
        )
    )
    able += [answers, comments]
    return Standing(own, able, _traps(account, places, place))


async def _own(account: "ServiceAccount", places: Places) -> str | None:
    if account.session.configured or (account.by_oauth and places.mutations):
        return await account.own()
    if account.answers_by_mutation(places):
        await account.api_user.token()
        return None
    return await account.session.ensure()


async def _participant(account: "ServiceAccount", places: Places, place: Place | None) -> Capability:
    name = "publish as participant"
    if place is None:
        return Capability(name, False, "the site has no public component of proposals")
    way = "by mutation, in one language" if places.mutations else "by the site's own form, in one language"
    if places.mutations and account.by_oauth:
        return Capability(name, True, f"{way}, with OAuth (X-JWT-AUD is sent with every call)")
    try:
        await account.participant_forms(places).limits(place)
    except (CannotDo, NotDone) as error:
        return Capability(name, False, f"component/{place.id}: {error}")
    return Capability(name, True, way)


async def _official(account: "ServiceAccount", places: Places, place: Place | None) -> Capability:
    name = "publish as official"
    if place is None:
        return Capability(name, False, "the site has no public component of proposals")
    if not account.session.configured:
        return Capability(
            name, False, "needs email and password of an administrator: no token opens the administration"
        )
    try:
        await account.admin_forms(places).limits(place)
    except (CannotDo, NotDone) as error:
        return Capability(name, False, f"component/{place.id}: {error}")
    return Capability(name, True, f"by the administrator's form, in {', '.join(places.locales)}")


async def _answers(account: "ServiceAccount", places: Places, official: Capability) -> Capability:
    name = "official answers"
    if account.answers_by_mutation(places):
        try:
            await account.api_user.token()
        except (CannotDo, NotDone) as error:
            return Capability(name, False, str(error))
        return Capability(name, True, "by mutation with API credentials")
    if official.available:
        return Capability(name, True, "by the administrator's form")
    needs = "needs API credentials (0.31 and later) or an administrator's email and password"
    told = "; answers follow as comments of the participant" if _comments(account, places).available else ""
    return Capability(name, False, f"{needs}{told}")


def _comments(account: "ServiceAccount", places: Places) -> Capability:
    able = account.session.configured or (account.by_oauth and places.dialect.release >= (0, 31))
    return Capability("comments", able, "as the participant" if able else "needs a participant's account")


def _traps(account: "ServiceAccount", places: Places, place: Place | None) -> list[str]:
    found: list[str] = []
    if account.api_user.configured:
        found.append(
            "API credentials only answer: an API user that creates gets an error and leaves an invisible draft; "
            "they are never used for reading, as they see private spaces"
            if places.dialect.release >= (0, 31)
            else "this release takes no API credentials (0.31 and later): they are not used"
        )
    if account.by_oauth and not places.mutations:
        found.append("this release takes no OAuth for writing (0.32 and later): email and password are used")
    if account.by_oauth and places.mutations and not account.session.configured:
        found.append(
            "without email and password a draft that a failed attempt left cannot be seen, nor a component's limits"
        )
    if account.session.configured and not places.mutations:
        found.append(
            "the account must be civicsync's own: its drafts are published or destroyed; five sign-ins a minute are the most"
        )
    if place is not None and len(places.components) > 1:
        found.append(
            f"what is said of publishing was tried in component/{place.id}; other components may have other rules"
        )
    return found
