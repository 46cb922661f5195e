"""What the parts of one pull of Decidim share: the site, what is stored of it, and what was seen so far."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..contract.reading import PullRequest, Stored
from .api import Api
from .comments import Counted
from .dialects import Dialect
from .mapping import Mapper
from .open_data import OpenData


@dataclass(frozen=True, slots=True)
class PullState:
    """One pull, as its components see it."""

    api: Api
    request: PullRequest
    dialect: Dialect
    mapper: Mapper
    names: bool
    """Whether names of people are kept."""
    open_data: OpenData
    counted: Mapping[str, Counted]
    """What was seen of the rows of each kind, for their comments."""

    @property
    def stored(self) -> Stored:
        """What earlier runs left."""
        return self.request.stored
