"""HTML as a tree, where a pattern is not enough."""

from io import StringIO

from bs4 import BeautifulSoup
from bs4.builder import ParserRejectedMarkup


class Unparsable(ValueError):
    """No parser can make sense of it."""


def tree(html: str) -> BeautifulSoup:
    """The elements and texts of `html`, which may be a whole page, a piece of one or a text without any element.

    Raises:
        Unparsable: markup that no parser takes.
    """
    try:
        # A string that is one address is taken for a beginner's mistake and warned of; from a file it is what it is: a citizen's text.
        return BeautifulSoup(StringIO(html), "html.parser")
    except (ParserRejectedMarkup, AssertionError, RecursionError, ValueError) as error:
        raise Unparsable(type(error).__name__) from error
