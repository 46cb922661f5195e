"""The service account on one Decidim: what it knows of the site, and by which ways it can speak there."""

from typing import cast

from ..contract.errors import CannotDo, MaybeDone
from ..contract.writing import WriteContext
from . import write_requests
from .admin_forms import Office
from .api import Api
from .lookup import Looking
from .oauth import Grant
from .participant_forms import Wizard
from .places import Places, learn
from .settings import DecidimSettings
from .web_session import WebSession
from .write_requests import ApiCaller, OAuthCaller, SessionCaller


class ServiceAccount:
    """Everything a writer shares: the site, the session, the tokens."""

    def __init__(self, context: WriteContext) -> None:
        self.context = context
        self.settings = cast(DecidimSettings, context.reading.settings)
        anonymous, clock = context.reading.transport, context.reading.clock
        self.api = Api(context.reading, self.settings)
        self.session = WebSession(context, self.settings)
        # Tokens travel in headers over the transport that keeps no cookie, so that nothing of them stays.
        self.oauth = OAuthCaller(anonymous, Grant(anonymous, clock, self.settings))
        self.api_user = ApiCaller(anonymous, clock, self.settings)
        self._places: Places | None = None

    # What is known of the site

    async def places(self) -> Places:
        """The site's components and languages, learned at the first question."""
        if self._places is None:
            self._places = await learn(self.context.reading, self.api)
            self.session.before = f"/{self._places.locales[0]}" if self._places.prefixed else ""
        return self._places

    def known(self) -> Places:
        """The site, without asking.

        Raises:
            CannotDo: nothing is known of it yet.
        """
        if self._places is None:
            raise CannotDo("nothing is known of this site yet", hint="`check` or `limits` comes first")
        return self._places

    def wizard(self, places: Places) -> Wizard:
        """The participant's forms."""
        return Wizard(self.session, places)

    def office(self, places: Places) -> Office:
        """The administrator's forms."""
        return Office(self.session, places)

    def looking(self, places: Places) -> Looking:
        """Anonymous questions."""
        return Looking(self.api, places)

    @property
    def by_oauth(self) -> bool:
        """Whether a participant's mutations go by OAuth."""
        return self.oauth.grant.configured

    def participant(self) -> SessionCaller | OAuthCaller:
        """Who speaks as the participant."""
        return self.oauth if self.by_oauth else SessionCaller(self.session)

    async def account(self) -> str:
        """The participant's user id."""
        if self.by_oauth and self.known().mutations and not self.session.configured:
            question = write_requests.request("query WhoAmI{session{user{id}}}", {})
            try:
                found = await write_requests.perform(self.oauth, question, ["session", "user"], "asking who we are")
            except MaybeDone:
                raise CannotDo(
                    "the site does not know whom the OAuth token stands for", hint="is oauth_client_id the token's own?"
                ) from None
            return str(found.get("id"))
        return await self.session.ensure()
