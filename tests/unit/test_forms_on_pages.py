"""What the rooms of CONSUL and Decidim share: asking again, pages as a browser sees them, forms filled in when they are sent."""

import re
from collections.abc import Awaitable, Callable

import pytest

from civicsync.connectors.contract.errors import CannotDo, MaybeDone, NotDone
from civicsync.connectors.contract.exchange import Request, Response
from civicsync.connectors.http.html_page import HtmlPage
from civicsync.connectors.http.repeat import PATIENCE, PAUSES, ask_again
from civicsync.connectors.http.web_session import TOKEN, filled

FORM = """<html lang="nl"><head><meta name="csrf-token" content="page's own"></head><body>
<form id="new_thing" action="/nl/things"><input name="authenticity_token" value="the form's">
<input name="title" maxlength="80" value="Meer bomen"><textarea name="body">
tekst</textarea><input type="checkbox" name="unticked" value="1"><input type="checkbox" name="ticked" value="1" checked>
<select name="kind"><option value="a">A</option><option value="b" selected>B</option></select>
<input type="submit" name="commit" value="go"></form>
<a href="/users/7-robot?x=1">me</a><a href="/things/3/publish">publish</a>
<small class="wrong">te kort</small><small class="wrong">te kort</small></body></html>"""


def asked(*ends: Exception | str) -> tuple[Callable[[], Awaitable[str]], list[str]]:
    """Something that ends so the first time, so the second."""
    left, calls = list(ends), list[str]()

    async def ask() -> str:
        calls.append("asked")
        end = left.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    return ask, calls


class Waiting:
    """Notes how long was waited, and why."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float, why: str) -> None:
        assert why
        self.waits.append(seconds)


async def test_a_lost_answer_is_asked_for_again() -> None:
    pause = Waiting()
    ask, calls = asked(MaybeDone("lost"), MaybeDone("lost"), "yes")
    assert await ask_again(ask, pause) == "yes"
    assert len(calls) == 3 and pause.waits == list(PAUSES[:2])


async def test_what_stays_lost_is_not_done_because_nothing_could_be_stored() -> None:
    ask, calls = asked(*[MaybeDone("lost", status=502) for _ in range(9)])
    with pytest.raises(NotDone) as caught:
        await ask_again(ask, Waiting())
    assert caught.value.status == 502 and len(calls) == len(PAUSES) + 1


async def test_patience_is_given_as_asked_for_and_no_longer() -> None:
    pause = Waiting()
    ask, _ = asked(NotDone("slow down", wait=30.0), NotDone("slow down", status=429), NotDone("broken"), "yes")
    assert await ask_again(ask, pause) == "yes"
    assert pause.waits == [30.0, PATIENCE, PAUSES[2]]
    ask, calls = asked(NotDone("slow down", wait=PATIENCE + 1), "yes")
    with pytest.raises(NotDone):
        await ask_again(ask, pause)
    assert len(calls) == 1
    ask, calls = asked(NotDone("broken"), "yes")
    with pytest.raises(NotDone):
        await ask_again(ask, pause, patience=0.0)
    assert len(calls) == 1


async def test_a_refusal_is_an_answer_and_a_stop_is_obeyed() -> None:
    ask, calls = asked(CannotDo("wrong password"), "yes")
    with pytest.raises(CannotDo):
        await ask_again(ask, Waiting())
    assert len(calls) == 1
    for lost in (MaybeDone("lost"), NotDone("broken")):
        ask, calls = asked(lost, "yes")
        with pytest.raises(NotDone):
            await ask_again(ask, Waiting(), stopped=lambda: True)
        assert len(calls) == 1


def page(body: str = FORM, status: int = 200, **headers: str) -> HtmlPage:
    return HtmlPage(Response(status, headers, body.encode(), "", 0.0))


def test_a_form_holds_what_a_browser_would_send() -> None:
    assert page().form("new_thing") == {
        "authenticity_token": "the form's",
        "title": "Meer bomen",
        "body": "tekst",
        "ticked": "1",
        "kind": "b",
    }
    assert page().form("other") is None
    assert page().longest("title") == 80 and page().longest("body") is None
    assert page().has(re.compile("tit.e")) and page().values("kind") == ["b"]
    form = page().form_with("body")
    assert form is not None and form["action"] == "/nl/things" and page().form_with("nothing") is None


def test_the_token_of_the_page_fits_every_form_and_a_forms_own_only_that() -> None:
    assert page().token() == page().token("/elsewhere") == "page's own"
    bare = page(FORM.replace("csrf-token", "other"))
    assert bare.token("/nl/things/") == "the form's"
    assert bare.token("/elsewhere") is None and bare.token() is None


def test_where_a_page_leads_and_what_it_says() -> None:
    assert page(status=302, location="https://site.example/nl/things/3?locale=nl").redirect == "/nl/things/3"
    assert page(status=302, location="https://site.example").location == "/"
    assert page(status=200, location="/things").redirect is None and page().location == ""
    assert page().offers("/publish") and page().offers("/things") and not page().offers("/sign_out")
    assert page().texts("small.wrong") == ["te kort"] and page().language == "nl"


def test_placeholders_are_filled_in_only_when_a_form_is_sent() -> None:
    request = Request("POST", "/x", form=(("token", TOKEN), ("place[lat]", "1"), ("a", "b")), headers={"X": TOKEN})
    sent = filled(request, {TOKEN: "real"}, without="place")
    assert sent.form == (("token", "real"), ("a", "b")) and sent.headers == {"X": "real"}
    assert request.form is not None and request.form[0] == ("token", TOKEN)
