"""Nothing a citizen typed can run anywhere, and nothing readable is lost."""

import html

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from civicsync.core.text import clean_html, html_to_plain, plain_title, plain_to_html, rich, simple

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href=" jAvAsCrIpT:alert(1)">x</a>',
    "<svg/onload=alert(1)>",
    "<iframe src=https://evil.example></iframe>",
    "<style>body{display:none}</style>",
    '<p style="position:fixed">x</p>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)>",
    "<!--<img src=x onerror=alert(1)>-->",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_html_is_made_safe(hostile: str) -> None:
    safe = clean_html(hostile)
    for word in ("<script", "onerror", "onload", "javascript:", "<iframe", "<style", "style=", "data:", "<svg", "<!--"):
        assert word not in safe.lower()


@given(st.text())
def test_plain_text_survives_as_html(typed: str) -> None:
    text = simple("nl", "t", typed)
    assert "<script" not in text.html
    assert html.unescape(text.html.replace("<p>", "").replace("</p>", "").replace("<br>", "")).replace(
        "\n", ""
    ).replace(" ", "") == text.plain.replace("\n", "").replace(" ", "")


@given(st.text())
@example(">\xa0")
def test_cleaning_twice_is_cleaning_once(typed: str) -> None:
    once = clean_html(typed)
    assert clean_html(once) == once


def test_deceiving_characters_are_removed() -> None:
    assert plain_title("Meer\u202e bomen\u200b \u2066x\u2069\x07") == "Meer bomen x"
    assert plain_title("👩‍👩‍👧 gezin") == "👩‍👩‍👧 gezin"


def test_plain_text_keeps_paragraphs() -> None:
    text = rich("nl", "Titel", "<p>Een <b>twee</b></p><ul><li>drie</li><li>vier</li></ul>vijf &amp; zes<br>zeven")
    assert text.plain == "Een twee\ndrie\nvier\nvijf & zes\nzeven"
    assert plain_to_html("a < b\n\nc\nd") == "<p>a &lt; b</p><p>c<br>d</p>"
    assert html_to_plain("<p>x</p>\n\n\n\n<p>y</p>") == "x\n\ny"


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ("Een tekst.<p>Van elders.</p>", "Een tekst.\nVan elders."),
        ("<p>Een.</p><p>Twee.</p>", "Een.\nTwee."),
        ("<p>Een.</p>\n<p>Twee.</p>", "Een.\n\nTwee."),
        ("Een<ul><li>twee</li><li>drie</li></ul>vier", "Een\ntwee\ndrie\nvier"),
        ('<a href="https://a.example">hier</a><p>en <b>nu</b></p>', "hier\nen nu"),
        ("Een<div><p>twee</p></div>", "Een\ntwee"),
    ],
)
def test_plain_text_breaks_where_a_block_begins_as_well_as_where_it_ends(html: str, plain: str) -> None:
    assert [line for line in html_to_plain(html).split("\n") if line or "\n\n" in plain] == plain.split("\n")
