"""What an admin may say about a Decidim instance."""

from pydantic import SecretStr

from ..settings import InstanceSettings


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
    """E-mail of a participant's account."""
    password: SecretStr | None = None
    """Its password."""
    api_key: SecretStr | None = None
    """Key of API credentials (0.31 and later); only for writing answers, never for reading: it would see private spaces."""
    api_secret: SecretStr | None = None
    """Secret of the API credentials."""
