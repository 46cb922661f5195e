"""Where an instance's records live: which kinds its platform has, by table of the unified schema. Data of the connector."""

from ..identity import Ref
from ..items import Kinds
from ..schema.tables import ROWS, Row


class KindTables:
    """Finds the table of a reference by its kind."""

    def __init__(self, kinds: Kinds) -> None:
        """Raises ValueError for a table that the unified schema does not have."""
        unknown = set(kinds) - set(ROWS)
        if unknown:
            raise ValueError(f"kinds: there is no table {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
        self._tables = {kind: ROWS[table] for table, listed in kinds.items() for kind in listed}
        self._else = ROWS["spaces"]

    def row_class(self, reference: Ref) -> type[Row]:
        """The table that a reference's row lives in."""
        return self._tables.get(reference.partition("/")[0], self._else)
