"""What an admin may say about a CONSUL Democracy instance."""

from typing import Literal

from pydantic import SecretStr

from ..settings import InstanceSettings


class ConsulSettings(InstanceSettings):
    """A CONSUL Democracy installation."""

    platform: str = "consul"
    drafts: Literal["exclude", "include"] = "exclude"
    """The interface shows unpublished drafts too; `exclude` keeps a proposal out until it has a support or is in the public list."""
    tags: bool = True
    """Whether categories and tags are read; they double the cost of a new proposal for the platform."""
    basic_auth_user: SecretStr | None = None
    """User of the HTTP basic authentication that staging sites have."""
    basic_auth_password: SecretStr | None = None
    """Its password."""
    login: SecretStr | None = None
    """E-mail or user name of the account that publishes; reading never signs in."""
    password: SecretStr | None = None
    """Its password."""
