"""What an admin may say about one Your Priorities instance; all of it is optional."""

from typing import Annotated

from pydantic import Field, SecretStr

from ..settings import InstanceSettings

Ids = list[Annotated[int, Field(ge=1)]]


class YourPrioritiesSettings(InstanceSettings):
    """Reading needs no account: nobody is ever signed in for it (docs/platforms/your-priorities.md 3)."""

    platform: str = "your-priorities"
    groups: Ids = Field(default_factory=list)
    """Only these groups, by the number in their address; empty: all public groups of `communities`, or of the whole site."""
    communities: Ids = Field(default_factory=list)
    """Only the public groups of these communities, by number."""
    email: SecretStr | None = None
    """The account that publishes, in small letters; reading never signs in."""
    password: SecretStr | None = None
    """Its password."""
