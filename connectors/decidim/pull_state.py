"""What the parts of one pull of Decidim share: the site, what is stored of it, and what was seen so far."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ...core.identity import Ref
from ..contract.errors import ConnectorError
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
    alive: Callable[[ConnectorError], Awaitable[None]]
    """Raises an error again where the whole site does not answer, and not only a part of it."""
    whole_lists: set[str] = field(default_factory=set[str])
    """What was read whole of which component: `budget@ID`, `project@ID`."""
    shown: set[Ref] = field(default_factory=set[Ref])
    """The budgets and projects that those lists showed."""

    @property
    def stored(self) -> Stored:
        """What earlier runs left."""
        return self.request.stored
