"""One line of the table that `make proof` prints."""

from dataclasses import dataclass


@dataclass
class Row:
    """A figure beside its bar; `met` is None where there is no bar."""

    what: str
    bar: str
    figure: str
    met: bool | None
