"""After a pull: totals, frozen lists, what everybody may see, and the index of search, brought up to date for whoever reads next.

It is never the reason that a pull fails: what cannot be written (a read-only database, one that another process holds) is told, and the
figures then are those of before.
"""

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ..analysis.refresh import refresh
from ..analysis.search import SearchError
from ..analysis.search.index import is_made
from ..analysis.search.index import refresh as refresh_search
from ..core.clock import Clock
from ..core.schema.failures import DatabaseError, database_failure

SHARE = 0.1
"""Of a pull's own time that its totals may take."""


def bring_up_to_date(engine: Engine, k: int, clock: Clock | None = None, *, share: float | None = None) -> str | None:
    """Returns what went wrong, for people; None where nothing did. `k`: `privacy.k` of the configuration.

    `share`: of the time that a pull took (`analysis.refresh.refresh`); None for whoever is about to read. The index of search is made by
    the first search; before that nobody pays for it.
    """
    try:
        refresh(engine, clock or Clock(), k=k, share=share)
        with engine.connect() as connection:
            wanted = is_made(connection)
        if wanted:
            refresh_search(engine)
    except DatabaseError as error:  # the file was deleted meanwhile: whoever goes on is told by what goes on
        return f"the totals are those of before: {error}"
    except DBAPIError as error:
        return f"the totals are those of before: {database_failure(error)}"
    except SearchError as error:
        return f"the index of search is that of before: {error}"
    return None
