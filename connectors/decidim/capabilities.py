"""What the service account may do on one Decidim, in words for an admin: every capability with its reason, every trap with its way out.

Signs in and opens pages; writes nothing.
"""

from typing import TYPE_CHECKING

from ..contract.errors import CannotDo, NotDone
from ..contract.reading import Capability
from ..contract.writing import Standing
from .places import Place, Places

if TYPE_CHECKING:
    from .writer import DecidimWriter

_WINDOW = (
    "participants may edit for a few minutes only (each component's setting, five by default), and never after an answer: "
    "later changes of the original are flagged instead"
)


async def standing(writer: "DecidimWriter") -> Standing:
    """Look around.

    Raises:
        CannotDo: no or wrong credentials.
        NotDone: the site does not answer now.
    """
    places = writer.known()
    account = await _account(writer, places)
    place = next(iter(places.components.values()), None)
    participant = await _participant(writer, places, place)
    official = await _official(writer, places, place)
    answers, comments = await _answers(writer, places, official), _comments(writer, places)
    capabilities = [participant, official]
    capabilities.append(
        Capability("find after a lost answer", True, "by its marker among the newest, and among the drafts")
    )
    capabilities.append(Capability("edit as participant", participant.available, participant.why or _WINDOW))
    capabilities.append(Capability("edit official proposals", official.available, official.why))
    capabilities.append(
        Capability(
            "withdraw", participant.available, "a participant's only, and not once it has votes; never an official one"
        )
    )
    capabilities += [answers, comments]
    return Standing(account, capabilities, _warnings(writer, places, place))


async def _account(writer: "DecidimWriter", places: Places) -> str | None:
    if writer.session.configured or (writer.by_oauth and places.mutations):
        return await writer.account()
    if writer.api_user.configured and places.dialect.likes:
        await writer.api_user.token()
        return None
    return await writer.session.ensure()


async def _participant(writer: "DecidimWriter", places: Places, place: Place | None) -> Capability:
    name = "publish as participant"
    if place is None:
        return Capability(name, False, "the site has no public component of proposals")
    way = "by mutation, in one language" if places.mutations else "by the site's own form, in one language"
    if places.mutations and writer.by_oauth:
        return Capability(name, True, f"{way}, with OAuth (X-JWT-AUD is sent with every call)")
    try:
        await writer.wizard(places).limits(place)
    except (CannotDo, NotDone) as error:
        return Capability(name, False, f"component/{place.id}: {error}")
    return Capability(name, True, way)


async def _official(writer: "DecidimWriter", places: Places, place: Place | None) -> Capability:
    name = "publish as official"
    if place is None:
        return Capability(name, False, "the site has no public component of proposals")
    if not writer.session.configured:
        return Capability(
            name, False, "needs email and password of an administrator: no token opens the administration"
        )
    try:
        await writer.office(places).limits(place)
    except (CannotDo, NotDone) as error:
        return Capability(name, False, f"component/{place.id}: {error}")
    return Capability(name, True, f"by the administrator's form, in {', '.join(places.locales)}")


async def _answers(writer: "DecidimWriter", places: Places, official: Capability) -> Capability:
    name = "official answers"
    if writer.api_user.configured and places.dialect.likes:
        try:
            await writer.api_user.token()
        except (CannotDo, NotDone) as error:
            return Capability(name, False, str(error))
        return Capability(name, True, "by mutation with API credentials")
    if official.available:
        return Capability(name, True, "by the administrator's form")
    return Capability(name, False, "needs API credentials (0.31 and later) or an administrator's account")


def _comments(writer: "DecidimWriter", places: Places) -> Capability:
    able = writer.session.configured or (writer.by_oauth and places.dialect.likes)
    return Capability("comments", able, "as the participant" if able else "needs a participant's account")


def _warnings(writer: "DecidimWriter", places: Places, place: Place | None) -> list[str]:
    found: list[str] = []
    if writer.api_user.configured:
        found.append(
            "API credentials only answer: an API user that creates gets an error and leaves an invisible draft; "
            "they are never used for reading, as they see private spaces"
            if places.dialect.likes
            else "this release takes no API credentials (0.31 and later): they are not used"
        )
    if writer.by_oauth and not places.mutations:
        found.append("this release takes no OAuth for writing (0.32 and later): email and password are used")
    if writer.by_oauth and places.mutations and not writer.session.configured:
        found.append(
            "without email and password a draft that a failed attempt left cannot be seen, nor a component's limits"
        )
    if writer.session.configured and not places.mutations:
        found.append(
            "the account must be civicsync's own: its drafts are published or destroyed; five sign-ins a minute are the most"
        )
    if place is not None and len(places.components) > 1:
        found.append(
            f"what is said of publishing was tried in component/{place.id}; other components may have other rules"
        )
    return found
