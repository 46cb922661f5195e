"""A marker survives what platforms make of a text (docs/adr/0016-marker-form.md), and what earlier versions wrote is still believed."""

import html
import json
import re

import pytest
from bs4 import BeautifulSoup
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine

from civicsync.core.ledger.ledger import Publication
from civicsync.core.ledger.marker import Signer, carries, claims_marker, markers_in, without_markers
from civicsync.core.ledger.states import OperationKind, OperationState, PublicationState
from civicsync.core.text import clean_html, html_to_plain
from civicsync.sync.publish.decisions import Action
from civicsync.sync.render.render import fingerprint, hash_of
from tests.support.ledger import Desk

SIGNER = Signer("0123456789abcdef" * 4)
GID = "gid://decidim/Decidim::Proposals::Proposal/"
ORIGINS = st.builds(
    "{}/{}/{}".format,
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True),
    st.sampled_from(("proposal", "investment", "debate", "answer")),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,20}", fullmatch=True),
)


def decidim_reference(text: str) -> str:
    """docs/platforms/decidim.md 1.6: `~<digits>`, with whatever stands around glued to it; a link of the own host as well."""
    text = re.sub(r"https://own\.example/\S*/proposals/(\d+)", rf"{GID}\1", text)
    return re.sub(r"~(\d+)", rf"{GID}\1", text)


def decidim_028(text: str) -> str:
    """docs/platforms/decidim.md 1.6: hashtags at the start of a word and mentions of an existing person."""
    text = re.sub(r"(?<![^\s>])#(\w+)", r"gid://decidim/Decidim::Hashtag/7/\1", text)
    text = re.sub(r"@(\w+)", "gid://decidim/Decidim::User/3", text)
    return decidim_reference(text) + "\n\ngid://decidim/Decidim::Hashtag/3/_Buurt"


def decidim_serialiser(text: str) -> str:
    """docs/platforms/decidim.md 1.6: a text with `<` in it passes an HTML serialiser."""
    return str(BeautifulSoup(f"{text} <3", "html.parser"))


def consul(text: str) -> str:
    """docs/platforms/consul.md 10b: `&` written out, comments and most tags gone."""
    text = re.sub(r"<!--.*?-->|</?(?:span|br|img|hr|blockquote)[^>]*>", "", text.replace("&", "&amp;"))
    return "".join(line.strip() for line in text.splitlines())


def your_priorities(text: str) -> str:
    """docs/platforms/your-priorities.md 11: trimmed; `&amp;` turned back twice, `&quot;` too."""
    for _ in range(2):
        text = text.replace("&amp;", "&")
    return text.strip().replace("&quot;", '"')


def entities(text: str) -> str:
    """Sanitisers that write signs as numbers."""
    return "".join(f"&#{ord(sign)};" if sign in "/[]:." else sign for sign in text)


def page(text: str) -> str:
    """What is read of a page: plain text of what was sanitised."""
    return html_to_plain(clean_html(f"<p>{text}</p>"))


REWRITINGS = (
    decidim_reference,
    decidim_028,
    decidim_serialiser,
    consul,
    your_priorities,
    entities,
    page,
    clean_html,
    html.escape,
    str.strip,
)


@example("west/proposal/2", "group/31", [entities, consul, html.escape], "")
@given(
    ORIGINS,
    st.sampled_from(("group/31", "component/2", "proposals")),
    st.lists(st.sampled_from(REWRITINGS), max_size=4),
    st.text(st.characters(exclude_characters="<&", exclude_categories=("Cs",)), max_size=20),
)
def test_a_marker_survives_whatever_platforms_rewrite(
    origin: str, space: str, rewritings: list[object], around: str
) -> None:
    marker = SIGNER.marker(origin, "there", space)
    text = f"{without_markers(around)} {marker} {without_markers(around)}"
    for rewrite in rewritings:
        assert callable(rewrite)
        text = str(rewrite(text))
    assert carries(text, marker)
    assert marker in markers_in(text)


@given(ORIGINS, st.sampled_from(("group/31", "component/2", "proposals")))
def test_no_sign_of_a_marker_stands_before_a_number_of_its_signature(origin: str, space: str) -> None:
    assert re.search(r"\.[a-z][a-z2-7]{15}\]$", str(SIGNER.marker(origin, "there", space)))


def _digit() -> str:
    """An origin whose signature began with a digit in earlier versions."""
    found = (f"toy/proposal/{n}" for n in range(1, 500))
    return next(own for own in found if re.search(r"~[2-7][a-z]", SIGNER.before(own, "there", "board/1")))


@given(st.integers(1, 400).map("toy/proposal/{}".format))
def test_what_earlier_versions_wrote_is_believed_as_it_is_and_as_decidim_rewrote_it(origin: str) -> None:
    before, now = SIGNER.before(origin, "there", "board/1"), SIGNER.marker(origin, "there", "board/1")
    for text in (before, decidim_reference(before), decidim_028(before), page(decidim_reference(before))):
        [found] = markers_in(f"tekst {text} tekst")
        assert found == now
        assert SIGNER.is_ours(found, "there", "board/1")
        assert not SIGNER.is_ours(found, "there", "board/2")
        assert carries(text, now)
        assert carries(text, before), "a payload from before says it in the earlier form"
        assert carries(str(now), before)


def test_a_rewritten_marker_is_known_as_a_page_shows_it_only_with_the_rest_of_its_signature() -> None:
    own = _digit()
    before = SIGNER.before(own, "there", "board/1")
    tail = before.rpartition("~")[2][1:]
    shown = f'<p>[civicsync:{own}<a href="/processes/x/f/1/proposals/6">6 bomen</a>{tail}</p>'
    for text in (shown, BeautifulSoup(shown, "html.parser").get_text(" ")):
        assert carries(text, SIGNER.marker(own, "there", "board/1"))
        assert claims_marker(text)
        assert not claims_marker(without_markers(text))
        assert not carries(text.replace(tail[:4], "aaaa"), SIGNER.marker(own, "there", "board/1"))
        assert not carries(text, SIGNER.marker(own, "there", "board/2"))


@pytest.mark.parametrize(
    "mangled", ["[civicsync:toy/proposal/2gid://APP/Decidim::Proposals::Proposal/6pnc4k2fi5lwgjbz]"]
)
def test_the_rewritten_form_of_the_contract_is_a_marker(mangled: str) -> None:
    [found] = markers_in(mangled)
    assert (found.origin, str(found)) == ("toy/proposal/2", "[civicsync:toy/proposal/2.gpnc4k2fi5lwgjbz]")
    assert carries(mangled, "[civicsync:toy/proposal/2~6pnc4k2fi5lwgjbz]")
    assert not carries(mangled, "[civicsync:toy/proposal/2~6pnc4k2fi5lwgjbb]")


# What was published with the earlier form -------------------------------------------------------------------------------


def _copied_before(desk: Desk) -> Publication:
    """A copy that an earlier version made."""
    desk.origin(1)
    [made] = desk.planned().of(Action.CREATE)
    text = json.dumps(made.payload).replace(made.marker, desk.signer.before("a/proposal/1", "b", "board/1"))
    payload = json.loads(text)
    return desk.publication(PublicationState.SENT, 1, sent_hash=hash_of(payload), sent_payload=payload)


def test_nothing_is_edited_for_the_form_of_its_marker_alone(sqlite: Engine) -> None:
    desk = Desk(sqlite)
    own = _copied_before(desk)
    assert desk.planned().decisions == []
    desk.rewrite(own.origin_key, "Anders.")
    assert [each.action for each in desk.planned().decisions] == [Action.EDIT]


def test_no_answer_is_told_again_for_the_form_of_its_marker_alone(sqlite: Engine) -> None:
    desk = Desk(sqlite)
    own = _copied_before(desk)
    desk.answered(own.origin_key)
    [told] = desk.planned().of(Action.ANSWER)
    text = json.dumps(told.payload).replace(told.marker, desk.signer.before("a/answer/1-1", "b", "board/1"))
    desk.operation(own, OperationKind.ANSWER, OperationState.SENT, payload_hash=hash_of(json.loads(text)))
    assert desk.planned().decisions == []


def test_a_copy_with_a_rewritten_marker_is_compared_by_what_it_says() -> None:
    own = _digit()
    before, now = SIGNER.before(own, "there", "board/1"), str(SIGNER.marker(own, "there", "board/1"))
    assert fingerprint("Bomen", f"Tekst {decidim_reference(before)}") == fingerprint("Bomen", f"Tekst {now}")
    assert fingerprint("Bomen", "Tekst") != fingerprint("Bomen", f"Tekst {now}"), "without a marker it is another text"
