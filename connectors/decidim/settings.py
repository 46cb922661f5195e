"""What an admin may say about a Decidim instance."""

from typing import Annotated

from pydantic import Field, SecretStr

from ..contract.settings import InstanceSettings


class DecidimSettings(InstanceSettings):
    """A Decidim installation (one organization of it: the host name decides)."""

    platform: str = "decidim"
    comments: bool = True
    """Whether comments are read."""
    open_data: bool = True
    """Whether the site's own open-data files are used for what the interface hides: comments, amendments, hidden proposals."""
    sign_in: bool = False
    """Read with a participant's session (`email`, `password`); only for a site that forces everybody to sign in."""
    email: SecretStr | None = None
    """E-mail of the service account that publishes: a participant's for `as: participant`, an administrator's for `as: official`."""
    password: SecretStr | None = None
    """Its password."""
    api_key: SecretStr | None = None
    """Key of API credentials (0.31 and later); only for writing answers, never for reading: it would see private spaces."""
    api_secret: SecretStr | None = None
    """Secret of the API credentials."""
    oauth_client_id: str | None = None
    """Client id of an OAuth application (0.32) with the scopes `user api:read api:write`; `civicsync login` then asks for consent once."""
    oauth_client_secret: SecretStr | None = None
    """Its secret."""
    oauth_tokens: str | None = None
    """File in which `civicsync login` keeps the tokens, readable only by its owner."""
    write_locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z]{2,4})?$")] | None = None
    """Language under which a text is filed if the site does not have the text's own; unset: the site's main one."""
