"""What an admin may say about one Your Priorities instance; all of it is optional."""

from typing import Annotated

from pydantic import Field, SecretStr

from ..settings import InstanceSettings

Id = Annotated[int, Field(ge=1)]


class YourPrioritiesSettings(InstanceSettings):
    """Reading needs no account: nobody is ever signed in for it (docs/platforms/your-priorities.md 3)."""

    groups: list[Id] = []
    """Only these groups, by the number in their address; empty: all public groups of `communities`, or of the whole site."""
    communities: list[Id] = []
    """Only the public groups of these communities, by number."""
    email: str | None = None
    """The account that publishes; reading does not use it."""
    password: SecretStr | None = None
    """Its password."""
