"""Trees of what citizens and platforms wrote."""

import warnings

import pytest

from civicsync.connectors.consul.pages import draft_on
from civicsync.connectors.decidim.thread_pages import is_cut
from civicsync.core.markup import Unparsable, page_tree, tree

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


PAGE = '<!DOCTYPE html><html><body><div id="proposal_5"></div><div id="proposal_5_votes">{}</div></body></html>'
DRAFT = PAGE.format('<div class="callout primary">Borrador</div>')


@pytest.mark.parametrize("end", range(20, len(DRAFT) - len("</html>"), 7))
def test_a_page_that_ends_in_the_middle_proves_nothing(end: int) -> None:
    with pytest.raises(Unparsable, match="middle"):
        page_tree(DRAFT[:end])
    assert draft_on(DRAFT[:end], "5") is None, "a draft whose word for it was cut off is no public proposal"


def test_a_whole_page_says_whether_it_shows_a_draft() -> None:
    assert draft_on(DRAFT, "5") is True
    assert draft_on(PAGE.format("3 apoyos"), "5") is False
    assert draft_on(DRAFT, "6") is None


def test_a_page_that_nobody_can_read_tells_of_no_draft() -> None:
    assert draft_on(BROKEN, "1") is None


DATED = '<time datetime=\\"2026-11-27T09:06:51+01:00\\"></time>'
SCRIPT = f'(function() {{\n  Decidim.addComments("<div id=\\"comment_7\\">{DATED}</div>");\n}})();'


@pytest.mark.parametrize("end", range(15, len(SCRIPT) - 2))
def test_a_thread_s_script_that_ends_in_the_middle_names_nothing(end: int) -> None:
    assert is_cut(SCRIPT[:end]), "a comment whose date was cut off would look withheld"


@pytest.mark.parametrize("script", [SCRIPT, SCRIPT + "\n", SCRIPT.replace("})();", "}());"), "comment_7"])
def test_a_thread_s_whole_script_is_believed(script: str) -> None:
    assert not is_cut(script)
