"""Trees of what citizens and platforms wrote."""

import warnings

import pytest

from civicsync.connectors.consul.pages import draft_on
from civicsync.core.markup import Unparsable, tree

BROKEN = "<![sjouwer["
"""What makes Python's own parser give up."""


@pytest.mark.parametrize("text", ["https://a.example/plan", "http://a.example/?b=1&amp;c=2", "verslag.html", ""])
def test_a_text_that_is_only_an_address_is_a_text(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tree(text).decode() == text


def test_markup_that_nobody_can_read_has_one_error() -> None:
    with pytest.raises(Unparsable):
        tree(BROKEN)


def test_a_page_that_nobody_can_read_tells_of_no_draft() -> None:
    assert draft_on(BROKEN, "1") is None
