"""HTML as a tree, where a pattern is not enough."""

from io import StringIO

from bs4 import BeautifulSoup
from bs4.builder import ParserRejectedMarkup

_HEAD = 4000
"""Characters at a page's start and end in which its outermost element begins and ends."""


class Unparsable(ValueError):
    """No parser can make sense of it."""


def page_tree(html: str) -> BeautifulSoup:
    """A whole page. What a proxy cut off proves nothing: neither what it shows of somebody, nor that something is missing on it.

    Raises:
        Unparsable: markup that no parser takes, or a page that ends before its `</html>`.
    """
    if "<html" in html[:_HEAD].lower() and "</html" not in html[-_HEAD:].lower():
        raise Unparsable("it ends in the middle")
    return tree(html)


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
