"""Nothing that citizens type becomes a marker in what goes out, however it is nested, escaped or dressed up."""

import html
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from civicsync.config.routes import Route
from civicsync.connectors.contract.writing import Limits
from civicsync.core.ledger.marker import Signer, carries_only, claims_marker, markers_in, without_markers
from civicsync.core.records import State
from civicsync.core.text import rich
from civicsync.sync.origins import OfficialAnswer, OriginText
from civicsync.sync.render.render import render, render_answer, why_not_sent
from tests.support.ledger import KEY
from tests.unit.test_render import SITE, origin

SIGNER = Signer(KEY)
VICTIM = str(SIGNER.marker("west/proposal/4", "b", "board/1"))
OWN = SIGNER.marker("a/proposal/1", "b", "board/1")
_UNSEEN = ("\u200b", "\u2060", "\u00ad", "\ufeff", "\u202e")
_FULL = str.maketrans("[]civicsyn:", "［］ｃｉｖｉｃｓｙｎ：")


def _nest(text: str, at: int) -> str:
    at %= len(text)
    return f"{text[:at]}{VICTIM}{text[at:]}"


def _escape(text: str, at: int) -> str:
    at %= len(text)
    return f"{text[:at]}&#{ord(text[at])};{text[at + 1 :]}"


def _dress(text: str, at: int) -> str:
    at %= len(text)
    return f"{text[:at]}{_UNSEEN[at % len(_UNSEEN)]}{text[at:]}"


def _mark_up(text: str, at: int) -> str:
    at %= len(text)
    return f"{text[:at]}<b></b>{text[at:]}"


TRICKS: dict[str, Callable[[str, int], str]] = {
    "nest": _nest,
    "escape": _escape,
    "escape again": lambda text, _: html.escape(text),
    "unseen": _dress,
    "markup": _mark_up,
    "full width": lambda text, _: text.translate(_FULL),
    "capitals": lambda text, _: text.replace("civic", "CIVIC"),
    "spaces": lambda text, _: text.replace("[civicsync:", "[ civicsync :"),
}


def _tricked(tricks: list[tuple[str, int]]) -> str:
    text = VICTIM
    for name, at in tricks:
        text = TRICKS[name](text, at)
    return text


hostile = st.lists(st.tuples(st.sampled_from(sorted(TRICKS)), st.integers(0, 400)), max_size=6).map(_tricked)


def _as_people_see_it(text: str) -> set[str]:
    """Unescaped as often as anybody may, with and without tags, without what is not seen."""
    found = {text}
    for _ in range(8):
        found |= {html.unescape(each) for each in found} | {re.sub("<[^<>]*>", "", each) for each in found}
        found |= {re.sub("[\u200b\u2060\u00ad\ufeff\u202e]", "", each) for each in found}
    return found


@settings(max_examples=400, deadline=None)
@given(hostile)
@example(_tricked([("escape", 0), ("markup", 3)]))
def test_markers_are_removed_until_none_is_left(text: str) -> None:
    left = without_markers(f"Voor {text} na")
    assert not claims_marker(left)
    assert not any(markers_in(each) for each in _as_people_see_it(left))
    assert without_markers(left) == left


@pytest.mark.parametrize(
    "text",
    [
        "[civic[civicsync:x]sync:west/proposal/4~abcdefghijklmnop]",
        "[civic[civic[civicsync:x]sync:y]sync:west/proposal/4.abcdefghijklmnop]",
        "[civic" * 3000 + "sync:x]" * 3000,
        "&amp;#91;civicsync:west/proposal/4.abcdefghijklmnop&amp;#93;",
        "<p>[civic<b>sync:west/proposal/4.abcdefghijklmnop]</b></p>",
        "［ｃｉｖｉｃｓｙｎｃ：west/proposal/4.abcdefghijklmnop］",
        "[civic\u200bsync:west/proposal/4.abcdefghijklmnop]",
    ],
)
def test_what_looks_like_a_marker_when_it_is_shown_is_one(text: str) -> None:
    assert claims_marker(text)
    assert not claims_marker(without_markers(text))


@pytest.mark.parametrize("text", ["", "Gewoon [tekst] over civicsync: handig & <b>vet</b>.", "&lt;b&gt; [1]"])
def test_what_holds_no_marker_stays_as_it_is(text: str) -> None:
    assert without_markers(text) == text


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        (f"Tekst. {OWN}", True),
        ("Tekst.", False),
        (f"{OWN} {OWN}", False),
        (f"{VICTIM} {OWN}", False),
        (f"[civic{OWN}sync:west/proposal/4.abcdefghijklmnop]", False),
    ],
)
def test_a_text_carries_exactly_one_marker_its_own(text: str, alone: bool) -> None:
    assert carries_only(text, str(OWN)) is alone


@settings(max_examples=150, deadline=None)
@example("sync:west/proposal/4.abcdefghijklmnop]", "[civic{{ reference }}")
@example("civicsync:west/proposal/4.abcdefghijklmnop]", "[{{ reference }}")
@given(hostile, st.sampled_from(["{{ title }}", "[civic{{ author }}", "{{ reference }}{{ title }}", "[{{ plain }}"]))
def test_whatever_an_origin_and_a_template_say_a_copy_carries_its_own_marker_alone(text: str, template: str) -> None:
    route = Route.model_validate(
        {
            "from": {"instance": "a"},
            "to": {"instance": "b", "space": "board/1"},
            "title": template,
            "body": f"{{{{ body }}}} {template}",
            "attribution": template,
            "author_names": True,
        }
    )
    named = origin(text, text, author_name=text, reference=text, space=text, address=text)
    for limits in (Limits(sends="html", summary=200), Limits(sends="plain", title=(1, 30))):
        assert why_not_sent(render(named, route, SITE, OWN, limits).draft) == ""


@settings(max_examples=150, deadline=None)
@given(hostile)
def test_whatever_an_answer_says_it_carries_its_own_marker_alone(text: str) -> None:
    words = rich("nl", text, text)
    told = OriginText("nl", False, words.title, words.html, words.plain)
    answer = OfficialAnswer("a/answer/1", State.ACCEPTED, (told,), None)
    assert why_not_sent(render_answer(answer, SITE, OWN, None)) == ""


@pytest.mark.parametrize("text", ["<" * 50_000 + ">" * 50_000, "&" + "amp;" * 50_000, "&#38;" * 30_000, "[" * 50_000])
def test_a_text_made_to_keep_us_busy_does_not(text: str) -> None:
    began = time.process_time()
    without_markers(f"[civicsync:x] {text}")
    assert time.process_time() - began < 5
