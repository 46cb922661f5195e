"""Nothing a citizen typed can run anywhere, and nothing readable is lost."""

import html
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from civicsync.core import text as core_text
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


_WORDS = st.text(st.sampled_from("aé \n\t👍\xad"), max_size=6) | st.sampled_from(
    ["&amp;", "&lt;", "&gt;", "&nbsp;", "<br>"]
)


@st.composite
def canonical(draw: st.DrawFn) -> str:
    """HTML as editors of the platforms make it, and as the sanitiser writes it."""

    def line(marked: bool = True) -> str:
        parts = [draw(_WORDS) for _ in range(draw(st.integers(0, 2)))]
        if marked and draw(st.booleans()):
            tag = draw(st.sampled_from(["strong", "em", "b", "i", "u", "s"]))
            parts.append(f"<{tag}>{line(False)}</{tag}>")
        return "".join(parts)

    def block() -> str:
        tag = draw(st.sampled_from(["", "p", "h2", "h3", "h4", "ul", "ol"]))
        if tag in {"ul", "ol"}:
            return f"<{tag}>\n{''.join(f'<li>{line()}</li> ' for _ in range(draw(st.integers(0, 2))))}</{tag}>"
        return f"<{tag}>{line()}</{tag}>" if tag else line()

    return "".join(block() for _ in range(draw(st.integers(1, 4))))


_TAGS = [f"<{slash}{tag}>" for tag in ("p", "ul", "li", "b", "strong", "h2", "pre", "table") for slash in ("", "/")]
_ODD = [
    "<b",
    "<br>",
    "<br/>",
    "<P>",
    "<a>",
    "<td>",
    "p>",
    "<script>",
    "<!--",
    "<p class='x'>",
    '<a href="https://a.example">',
]
_SIGNS = [
    "&amp;",
    "&nbsp;",
    "&quot;",
    "&lt",
    "&#x202E;",
    "&",
    "&amp;lt;",
    " ",
    "\n",
    "a",
    "\xa0",
    "\u202e",
    ">",
    "\x01",
]
_SOUP = st.lists(st.sampled_from([*_TAGS, *_ODD, *_SIGNS]), max_size=9).map("".join)


@settings(max_examples=600)
@given(
    _SOUP | canonical().flatmap(lambda typed: st.integers(0, len(typed)).map(lambda at: typed[:at] + typed[at + 1 :]))
)
@example("<b><b>a</b></b>")
@example("<p><p>a</p></p>")
@example("<ul>a<li>b</li></ul>")
@example("<p>a</ul>")
@example("<b>a")
@example("<p")
@example("<p>a>b</p>")
@example("<p>a>b</p")
@example("<p>a&lt b</p>")
@example("<p>a\xa0b</p>")
@example("<p><h2>a</h2></p>")
@example("<ul><li>a<li>b</li></ul>")
@example("<table>a</table>")
def test_no_html_gets_past_the_sanitiser_but_what_it_would_write_so_itself(typed: str) -> None:
    tidied = core_text.tidy(typed)
    expected = core_text.tidy(core_text._SANITISER.clean(tidied)) if "<" in typed or "&" in typed else clean_html(typed)
    assert clean_html(typed) == expected
    made = rich("nl", None, typed)
    assert (made.html, made.plain) == (expected, html_to_plain(expected))


@given(st.text(st.sampled_from("a \n\t\u200b\u200d\u202e\xa0\x00\x85é\ud800\u2028\r"), max_size=8))
def test_what_is_printable_throughout_holds_nothing_that_is_taken_out(typed: str) -> None:
    one = typed.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n")
    assert core_text.tidy(typed) == core_text._INVISIBLE.sub("", one)


@given(
    st.lists(
        st.sampled_from(
            [*_TAGS, '<a href="https://a.example" rel="b">', '<a title="x<p>y">', "</a>", "a", " ", "<", ">", '="']
        ),
        max_size=8,
    )
)
@example(['<a title="x<y">', "b", "</a>"])
@example(['<a title="<p>x">', "b", "</a>"])
def test_tags_with_attributes_are_cut_out_as_a_pattern_would(parts: list[str]) -> None:
    safe = clean_html('<a href="https://a.example">' + "".join(parts))
    expected = re.sub(r"<[^>]*>", "", re.sub(r"</?(?:p|ul|li|h2|pre|table)>|<br>", "\n", safe))
    assert "".join(html_to_plain(safe).split()) == "".join(html.unescape(expected).split())
