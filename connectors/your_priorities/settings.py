"""What an admin may say about one Your Priorities instance; all of it is optional."""

from typing import Annotated

from pydantic import Field, SecretStr

from ..contract.settings import InstanceSettings

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
    """Its password. The account is best one that does nothing else: its votes are taken back on its own proposals."""
    private_marker: bool = False
    """Whether copies also carry their marker in a field that pages do not show (and the interface lists for anybody); only with
    the consent of whoever runs the groups, and never in one that plays the land-use game, which keeps its own things there."""
    answers_as_arguments: bool = False
    """Whether an official answer is told as an argument *for* where the account is no admin of the group. Arguments are the
    only way to say something that pages show, and every one of them is for or against; false: nothing is told there."""

    def limits(self) -> list[list[str]]:
        """`groups` and `communities` together are one choice, `spaces` another."""
        chosen = [f"group/{own}" for own in self.groups] + [f"community/{own}" for own in self.communities]
        return [*([chosen] if chosen else []), *super().limits()]
