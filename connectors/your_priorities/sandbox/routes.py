"""What all read routes of the sandbox share: the database, who asks, and Express' words for errors."""

from collections.abc import Callable
from datetime import datetime

from ...testing.messages import Response
from .model import Database, Rights, Row
from .views import Views

WORDS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}
PAGE = 20


def plain(status: int) -> Response:
    """Express' `sendStatus`."""
    return Response.text(WORDS[status], status)


class Routes:
    """`now` is the moment on the platform, `cached` a shared cache of a few seconds. `user` and `host` change per request."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], datetime],
        cached: Callable[[str, Callable[[], bytes]], bytes],
        charge: Callable[[float], None],
    ) -> None:
        self.db = database
        self.views = Views(database)
        self.rights = Rights(database)
        self.now = now
        self.cached = cached
        self.charge = charge
        self.user: int | None = None
        self.host: tuple[Row | None, Row | None] = (None, None)
        self.lists_empty = False

    def visible_group(self, own: str) -> Row | None:
        """A group that the asker may see."""
        row = self.db.groups.get(int(own))
        return row if row is not None and self.rights.group(row, self.user) else None

    # Spaces -----------------------------------------------------------------------------------------------------------

    def visible_post(self, own: str) -> Row | None:
        """A post that the asker may see."""
        row = self.db.posts.get(int(own))
        return row if self.rights.post(row, self.user) else None

    def non_open_posts(self, own: int) -> bool:
        """Whether one of the three other lists has anything."""
        return any(self.db.listed(own, "newest", None, status) for status in ("successful", "failed", "in_progress"))
