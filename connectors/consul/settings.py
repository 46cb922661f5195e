"""What an admin may say about a CONSUL Democracy instance."""

from typing import Literal

from pydantic import SecretStr

from ..contract.settings import InstanceSettings, Settings


class ConsulAccount(Settings):
    """An account of this installation."""

    login: SecretStr
    """E-mail or user name."""
    password: SecretStr
    """Its password."""


class ConsulManagement(Settings):
    """How to publish in the organisation's name: no captcha, public at once, written as the person of a document."""

    login: SecretStr | None = None
    """E-mail or user name of a manager or administrator; unset: the account of `login`."""
    password: SecretStr | None = None
    """Its password."""
    document_type: Literal["1", "2", "3"] = "1"
    """What kind of document the person is known by there: 1 national identity document, 2 passport, 3 residence card."""
    document_number: SecretStr
    """Its number. The person must be verified there, and is best the account of `login` itself: only its author can change a proposal."""


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
    management: ConsulManagement | None = None
    """The management interface, for publishing in the organisation's name; unset: only as the participant of `login`."""
    administrator: ConsulAccount | None = None
    """The account that gives official answers (milestones); unset: the account of `login`, if it is an administrator."""

    def choices(self) -> list[list[str]]:
        """Whether drafts are let in, too."""
        return [*super().choices(), *([["drafts"]] if self.drafts == "include" else [])]
