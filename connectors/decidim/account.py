"""The service account on one Decidim: what it knows of the site, and by which ways it can speak there."""

from typing import cast
from urllib.parse import urlsplit

from ..contract.errors import CannotDo, MaybeDone
from ..contract.writing import WriteContext
from . import write_requests
from .admin_forms import AdminForms
from .api import Api
from .lookup import Lookup
from .mutations import ApiCaller, OAuthCaller, SessionCaller, perform
from .oauth import Grant
from .participant_forms import ParticipantForms
from .places import Places, learn
from .settings import DecidimSettings
from .web_session import WebSession


class ServiceAccount:
    """What every part of a writer shares: the site, the session, the tokens."""

    def __init__(self, context: WriteContext) -> None:
        self.settings = cast(DecidimSettings, context.reading.settings)
        self.clock = context.reading.clock
        anonymous = context.reading.transport
        self.api = Api(context.reading, self.settings)
        self.session = WebSession(context)
        # Tokens travel in headers over the transport that keeps no cookie, so that nothing of them stays.
        self.oauth = OAuthCaller(anonymous, Grant(anonymous, self.clock, self.settings))
        self.api_user = ApiCaller(anonymous, self.clock, self.settings, context.refusals)
        self.host = urlsplit(anonymous.url).netloc.lower()
        """The site's own, whose links it reads as its rows."""
        self._places: Places | None = None

    # What is known of the site

    async def places(self) -> Places:
        """The site's components and languages, learned at the first question."""
        if self._places is None:
            self._places = await learn(self.api)
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

    def participant_forms(self, places: Places) -> ParticipantForms:
        """The participant's forms."""
        return ParticipantForms(self.session, places)

    def admin_forms(self, places: Places) -> AdminForms:
        """The administrator's forms."""
        return AdminForms(self.session, places)

    def lookup(self, places: Places) -> Lookup:
        """Anonymous questions."""
        return Lookup(self.api, places)

    # Who speaks

    @property
    def by_oauth(self) -> bool:
        """Whether a participant's mutations go by OAuth."""
        return self.oauth.grant.configured

    def answers_by_mutation(self, places: Places) -> bool:
        """Whether official answers go by API credentials, which releases from 0.31 on take."""
        return places.dialect.release >= (0, 31) and self.api_user.configured

    def participant(self) -> SessionCaller | OAuthCaller:
        """Who speaks as the participant."""
        return self.oauth if self.by_oauth else SessionCaller(self.session)

    def commenter(self, places: Places) -> SessionCaller | OAuthCaller:
        """Who comments: OAuth tokens speak to the interface from 0.31 on; before, only a session does."""
        return self.participant() if places.dialect.release >= (0, 31) else SessionCaller(self.session)

    async def own(self) -> str:
        """The participant's user id."""
        if self.by_oauth and self.known().mutations and not self.session.configured:
            question = write_requests.request("query WhoAmI{session{user{id}}}", {})
            try:
                found = await perform(self.oauth, question, ["session", "user"], "asking who we are")
            except MaybeDone:
                raise CannotDo(
                    "the site does not know whom the OAuth token stands for", hint="is oauth_client_id the token's own?"
                ) from None
            return str(found.get("id"))
        return await self.session.ensure()
