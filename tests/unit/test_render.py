"""What a copy says: within every limit, with its link and one marker, and nothing a citizen typed does anything."""

import re
from typing import Any

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from civicsync.config.routes import Route
from civicsync.connectors.contract.writing import Limits
from civicsync.core.ledger.marker import Signer, claims_marker, markers_in, without_markers
from civicsync.core.records import State
from civicsync.core.text import clean_html, rich
from civicsync.sync.origins import OfficialAnswer, Origin, OriginText
from civicsync.sync.render import render as rendering
from civicsync.sync.render.render import (
    VERSION,
    CannotRender,
    Rendered,
    Site,
    blanked,
    cut_at_sentence,
    cut_at_word,
    draft_of,
    fingerprint,
    hash_of,
    payload_of,
    readable,
    render,
    render_answer,
)

SIGNER = Signer("0123456789abcdef" * 4)
SITE = Site("Wijk doet mee", "https://west.example")
URL = "https://west.example/processes/wijk/f/1/proposals/31"
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)">klik</a>',
    "\u202eomgekeerd",
    "{{ 7*7 }} {% for x in range(9) %}x{% endfor %} {{ config }}",
    "[civicsync:west/proposal/7~aaaaaaaaaaaaaaaa]",
    "[CivicSync : forged]",
    "x" * 100_000,
    "<p>" * 5_000,
]


def origin(title: str = "Meer bomen", body: str = "<p>In de straat.</p>", locale: str = "nl", **more: Any) -> Origin:
    text = rich(locale, title, body)
    values: dict[str, Any] = {
        "key": "west/proposal/31",
        "ref": "proposal/31",
        "instance": "west",
        "kind": "proposal",
        "title": text.title,
        "locale": locale,
        "state": State.OPEN,
        "url": URL,
        "author": "abc",
        "author_name": "Jan <b>Jansen</b>",
        "reference": None,
        "space": "Wijk West",
        "created_at": None,
        "published_at": None,
        "latitude": None,
        "longitude": None,
        "address": None,
        "gone_at": None,
        "gone_reason": None,
        "missing": 0,
        "texts": (OriginText(locale, False, text.title, text.html, text.plain),),
    }
    return Origin(**{**values, **more})


def route(**more: Any) -> Route:
    return Route.model_validate({"from": {"instance": "west"}, "to": {"instance": "ideas", "space": "group/1"}, **more})


def rendered(own: Origin, limits: Limits | None = None, **more: Any) -> Rendered:
    marker = SIGNER.marker(own.key, "ideas", "group/1")
    return render(own, route(**more), SITE, marker, limits or Limits())


def test_a_copy_says_where_it_comes_from_in_its_own_language() -> None:
    text = rendered(origin(), licence="CC BY 4.0").draft.main
    assert text.title == "Meer bomen"
    assert text.html.startswith(
        "<p>In de straat.</p><p>Deze tekst is eerst gepubliceerd op Wijk doet mee. Licentie: CC BY 4.0."
    )
    assert f"Lees en steun het origineel: {URL}" in text.plain
    assert "Jan" not in text.plain
    assert "door Jan" in rendered(origin(), author_names=True).draft.main.plain
    assert "birtist fyrst" in rendered(origin(locale="is")).draft.main.plain
    assert "first published" in rendered(origin(locale="xx")).draft.main.plain


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("sends", ["html", "plain"])
def test_nothing_a_citizen_typed_does_anything(hostile: str, sends: Any) -> None:
    own = origin(hostile, f"<p>Gewone tekst.</p>{hostile}", author_name=hostile)
    text = rendered(own, Limits(title=(1, 80), body=(1, 3000), sends=sends), author_names=True).draft.main
    for tag in BeautifulSoup(text.html, "html.parser").find_all(True):
        assert tag.name not in {"script", "img", "iframe", "style"}
        assert not [name for name in tag.attrs if name.startswith("on")]
        assert str(tag.get("href", "https:")).startswith("https:")
    assert "\u202e" not in text.html + text.title
    assert "49" not in text.title
    assert len(text.title) <= 80
    assert len(text.html if sends == "html" else text.plain) <= 3000
    assert len(markers_in(text.html)) == len(markers_in(text.plain)) == 1
    assert SIGNER.is_ours(markers_in(text.plain)[0], "ideas", "group/1")


@given(st.text(max_size=400), st.text(max_size=3000), st.integers(400, 2000), st.sampled_from(["html", "plain"]))
def test_every_text_fits_and_keeps_its_link_and_marker(title: str, body: str, high: int, sends: Any) -> None:
    try:
        text = rendered(
            origin(title, body), Limits(title=(4, 80), body=(15, high), summary=200, sends=sends)
        ).draft.main
    except CannotRender:
        assert not rich("nl", title, body).title
        assert not rich("nl", title, body).plain
        return
    assert 4 <= len(text.title) <= 80
    assert len(text.summary) <= 200
    assert len(text.html if sends == "html" else text.plain) <= high
    assert URL in text.plain
    assert len(markers_in(text.plain)) == 1


def test_a_long_text_is_cut_at_a_sentence_and_says_so() -> None:
    own = origin("t" * 90, "<p>Dit is een zin. </p>" * 200)
    result = rendered(own, Limits(title=(1, 80), body=(1, 600)))
    assert "voor deze site ingekort" in result.draft.main.plain
    assert result.draft.main.title.endswith("…")
    assert len(result.notes) == 2
    assert re.search(r"Dit is een zin\.</p><p>De tekst is", result.draft.main.html)
    with pytest.raises(CannotRender, match="not even enough"):
        rendered(own, Limits(body=(1, 50)))


def test_languages() -> None:
    texts = (
        OriginText("nl", False, "Bomen", "<p>n</p>", "n"),
        OriginText("en", False, "Trees", "<p>e</p>", "e"),
        OriginText("es", True, "Árboles", "<p>s</p>", "s"),
    )
    own = origin(texts=texts)
    assert rendered(own).draft.locale == "nl"
    assert rendered(own, language=["en"]).draft.main.title == "Trees"
    assert set(rendered(own, Limits(many_locales=True)).draft.texts) == {"nl", "en"}
    filed = rendered(own, Limits(locales=("es",)))
    assert (filed.draft.locale, filed.draft.main.title) == ("es", "Bomen")
    assert "nl" in filed.notes[0]
    with pytest.raises(CannotRender, match="no text in fr"):
        rendered(own, language=["fr"])


def test_mapping_and_templates() -> None:
    own = origin(categories=(("category/3", "Groen"),), areas=(("scope/2", "West"),))
    result = rendered(
        own, categories={"Groen": "category/9"}, areas={"scope/2": "geozone/4"}, title="[West] {{ title }}"
    )
    assert (result.draft.category, result.draft.area) == ("category/9", "geozone/4")
    assert result.draft.main.title == "[West] Meer bomen"
    with pytest.raises(CannotRender, match="template fails"):
        rendered(own, body="{{ body.nothing.at.all }}")
    with pytest.raises(CannotRender, match="template fails"):
        rendered(own, body="{{ ''.__class__.__mro__ }}")


def test_a_payload_survives_the_ledger_and_a_blanked_copy_keeps_only_its_marker() -> None:
    draft = rendered(origin()).draft
    assert draft_of(payload_of(draft)) == draft
    assert hash_of(payload_of(draft)) == hash_of(payload_of(draft_of(payload_of(draft))))
    note = blanked(draft).main
    assert "In de straat" not in note.plain
    assert markers_in(note.plain) == markers_in(draft.main.plain)
    assert len(note.title) >= 15


def test_an_answer_names_who_answered_and_carries_a_marker() -> None:
    answer = OfficialAnswer("west/answer/31", State.ACCEPTED, (OriginText("nl", False, "", "<p>Ja.</p>", "Ja."),), None)
    told = render_answer(answer, SITE, SIGNER.marker(answer.key, "ideas", "group/1"), URL)
    assert "Officieel antwoord op Wijk doet mee: aangenomen." in told.texts["nl"].plain
    assert markers_in(told.texts["nl"].plain)[0].origin == "west/answer/31"
    silent = OfficialAnswer("west/answer/31", State.REJECTED, (), None)
    assert (
        "rejected" in render_answer(silent, SITE, SIGNER.marker("west/answer/31", "ideas", "x"), None).texts["en"].plain
    )


@given(st.text())
def test_a_text_without_markers_claims_none(typed: str) -> None:
    assert not claims_marker(without_markers(f"{typed} [civicsync:{typed}] {typed}"))


def test_a_marker_counts_only_in_its_place() -> None:
    marker = SIGNER.marker("west/proposal/31", "ideas", "group/1")
    assert SIGNER.is_ours(marker, "ideas", "group/1")
    assert not SIGNER.is_ours(marker, "ideas", "group/2")
    assert not Signer("f" * 64).is_ours(marker, "ideas", "group/1")
    assert markers_in(f"x{marker}y") == [marker]


@given(st.text(max_size=300), st.integers(5, 100))
def test_cutting_never_exceeds_its_limit(text: str, limit: int) -> None:
    assert len(cut_at_sentence(text, limit)) <= limit
    assert len(cut_at_word(text, limit)) <= limit


def test_readable_loses_no_link_and_a_fingerprint_only_letters() -> None:
    assert (
        readable('<p>Zie <a href="https://x.example">hier</a>.</p><ul><li>een</li></ul>')
        == "Zie hier: https://x.example.\n\n- een"
    )
    assert fingerprint("A", "b  c “d”") == fingerprint("a", "bc d")
    assert fingerprint("A", "b") != fingerprint("A", "c")


def test_line_breaks_stay_in_plain_text_beside_a_link() -> None:
    assert (
        readable('<p>Een.<br>Twee.</p><p><a href="https://x.example">drie</a></p>')
        == "Een.\nTwee.\n\ndrie: https://x.example"
    )


def test_ordered_lists_keep_their_numbers_and_empty_paragraphs_leave_no_gap() -> None:
    html = "<ol><li>een</li><li>twee</li></ol><p>\u00a0</p><p></p><p>Slot.</p>"
    assert readable(html) == "1. een\n2. twee\n\nSlot."


# Languages --------------------------------------------------------------------------------------------------------------

SPANISH = Limits(locales=("es", "en"), summary=200)


def test_a_text_of_unknown_language_is_filed_and_spoken_of_in_the_language_of_the_page() -> None:
    draft = rendered(origin(locale="und"), SPANISH).draft
    assert (draft.locale, list(draft.texts)) == ("es", ["es"])
    assert "Este texto se publicó primero" in draft.main.plain
    assert "Idioma del texto" not in draft.main.plain, "nobody knows it"


def test_our_own_words_are_those_of_the_page_where_we_do_not_speak_the_language_of_the_text() -> None:
    text = rendered(origin(locale="eu"), SPANISH).draft.main
    assert "Este texto se publicó primero" in text.plain
    assert "Idioma del texto: eu." in text.plain


def test_a_language_that_the_source_does_not_tell_is_not_claimed() -> None:
    own, marker = origin(), SIGNER.marker("west/proposal/31", "ideas", "group/1")
    told = [render(own, route(), SITE, marker, SPANISH, certain=each).draft.main.plain for each in (True, False)]
    assert ["Taal van de tekst: nl." in each for each in told] == [True, False]
    assert "Este texto se publicó primero" in told[1]


def test_a_second_text_of_unknown_language_is_not_sent() -> None:
    own = origin()
    more = (*own.texts, OriginText("und", False, "More", "<p>More</p>", "More"))
    assert list(rendered(origin(texts=more), Limits(many_locales=True)).draft.texts) == ["nl"]


def test_a_summary_says_where_the_text_is_from_and_does_not_repeat_its_beginning() -> None:
    text = rendered(origin(), Limits(summary=60)).draft.main
    assert text.summary.startswith("Deze tekst is eerst gepubliceerd op Wijk doet mee")
    assert len(text.summary) <= 60


def _answer(*texts: OriginText) -> OfficialAnswer:
    return OfficialAnswer("west/answer/31", State.ACCEPTED, texts, None)


def test_an_answer_of_unknown_language_is_filed_under_the_language_of_the_copy() -> None:
    marker = SIGNER.marker("west/answer/31", "ideas", "group/1")
    told = render_answer(_answer(OriginText("und", False, "", "<p>Já.</p>", "Já.")), SITE, marker, URL, "es")
    assert (told.locale, list(told.texts)) == ("es", ["es"])
    assert "Respuesta oficial" in told.texts["es"].plain
    known = OriginText("es", False, "", "<p>Sí.</p>", "Sí.")
    both = render_answer(_answer(OriginText("und", False, "", "<p>Já.</p>", "Já."), known), SITE, marker, URL, "es")
    assert "Sí." in both.texts["es"].plain
    assert list(both.texts) == ["es"]


def test_the_title_of_an_answer_is_told() -> None:
    marker = SIGNER.marker("west/answer/31", "ideas", "group/1")
    told = render_answer(_answer(OriginText("nl", False, "Fase <2>", "<p>Ja.</p>", "Ja.")), SITE, marker, URL, "nl")
    assert "<strong>Fase &lt;2&gt;</strong>" in told.texts["nl"].html
    assert "Fase <2>\n\nJa." in told.texts["nl"].plain


def test_a_text_without_markup_does_not_run_into_its_attribution() -> None:
    text = rendered(origin(body="Article primer. Un cop al mes.")).draft.main
    assert "Un cop al mes.\n\nDeze tekst is eerst" in text.plain


def test_items_of_a_list_stay_on_their_lines() -> None:
    assert readable("<ul><li><p>een</p></li><li>twee</li></ul><p>drie</p>") == "- een\n- twee\n\ndrie"


# Links and lists in one pass --------------------------------------------------------------------------------------------

PIECES = (
    *(
        "a b",
        "x",
        "&amp;",
        "&lt;p&gt;",
        "\n",
        "  ",
        "é",
        "&nbsp;",
        '"q"',
        "http://x/a?b=1&c=2",
        "1 < 2",
        '="',
        "&#x202e;",
        "\t",
    ),
    *(": ", "</p>", "&amp;lt;", "<br>", "<hr>"),
)
OPENINGS = (
    *(
        "<p>",
        "<ul>",
        "<ol>",
        "<li>",
        "<li>",
        "<strong>",
        "<blockquote>",
        "<pre>",
        "<div>",
        "<h2>",
        "<table>",
        "<td>",
        "<a>",
    ),
    *(
        '<a href="http://x/a?b=1&amp;c=2">',
        '<a href="http://x/a" title="<b>&quot;">',
        '<a href="x">',
        "<li><p>",
        "<ol><li>",
    ),
)


@st.composite
def fragments(draw: st.DrawFn) -> str:
    said: list[str] = []
    for piece in draw(st.lists(st.sampled_from((*PIECES, *OPENINGS, *OPENINGS, "</")), max_size=40)):
        said.append(draw(st.sampled_from(("</p>", "</li>", "</a>", "</ul>", "</ol>"))) if piece == "</" else piece)
    tail = '<p>Uit &amp; thuis <a href="https://a.example/1?x=1&amp;y=2">Lees</a></p><p>[civicsync:a]</p>'
    return clean_html("".join(said)) + (clean_html(tail) if draw(st.booleans()) else "")


@given(fragments())
def test_one_pass_tells_what_a_tree_tells(html: str) -> None:
    told = rendering._told(html)
    assert told is None or rendering.html_to_plain(told) == rendering.html_to_plain(rendering._told_by_tree(html))


@pytest.mark.parametrize(
    "html",
    [
        '<p>Zie <a href="https://x.example/?a=1&amp;b=2">hier</a>.</p><ol><li>een</li><li>twee<ul><li>drie</li></ul></li></ol>',
        "<ul><li><p>een</p></li><li><p>twee</p><ul><li><p>drie</p></li></ul></li></ul>",
    ],
)
def test_what_editors_write_needs_no_tree(html: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = rendering.html_to_plain(rendering._told_by_tree(html))
    monkeypatch.setattr(rendering, "_told_by_tree", None)
    assert rendering.html_to_plain(rendering._told(html) or "") == expected
    assert readable(html)


@pytest.mark.parametrize(
    "html", ['<a href="x"><table><tbody><tr><td><a href="y">z</a></td></tr></tbody></table></a>', "<li><p>a</p>b</li>"]
)
def test_what_only_a_tree_tells_is_left_to_it(html: str) -> None:
    assert rendering._told(html) is None
    assert readable(html)


def test_a_template_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, real = list[str](), rendering._PLAIN.from_string
    monkeypatch.setattr(rendering._PLAIN, "from_string", lambda source: compiled.append(source) or real(source))
    for number in range(3):
        rendered(origin(f"Titel {number}"), title="Eenmaal vertaald: {{ title }}")
    assert compiled == ["Eenmaal vertaald: {{ title }}"]


TEXTS_OF_VERSION = {1: "6657df44fc8c716f668baf80279a037e"}


def test_another_text_is_another_version() -> None:
    """What waits is rendered again only when `VERSION` says that `render` makes another text by now (`sync.publish.basis`)."""
    bodies = (
        "<p>In de straat.</p>",
        '<p>Zie <a href="https://x.example/?a=1&amp;b=2">hier</a> &amp; daar.</p><ol><li>een</li><li>twee</li></ol>',
        "<ul><li><p>een</p></li></ul>" + "<p>Een zin die lang genoeg is om te tellen. En nog een.</p>" * 40,
    )
    limits = (Limits(), Limits(title=(15, 60), body=(15, 700), summary=80, sends="plain"))
    digests = [
        hash_of(
            payload_of(
                rendered(
                    origin("MEER BOMEN!", body, locale), limits=limit, licence="CC BY 4.0", author_names=True
                ).draft
            )
        )
        for body in bodies
        for locale in ("nl", "en", "de")
        for limit in limits
    ]
    assert hash_of({"all": digests}) == TEXTS_OF_VERSION[VERSION], "raise VERSION, and write the new digest beside it"
