"""What real CONSUL sites did to copies: lost look-ups, leftover drafts, odd languages, locked accounts, sites below a path."""

import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import pytest

from civicsync.connectors.consul import lookup
from civicsync.connectors.consul.sandbox.people import ADMINISTRATOR, ROBOT
from civicsync.connectors.consul.writer import SPACE
from civicsync.connectors.contract.errors import (
    CannotDo,
    MaybeDone,
    NotDone,
    NotLetIn,
    WrongCredentials,
)
from civicsync.connectors.contract.writing import AnswerDraft, LocalText
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.messages import Response
from tests.contract.test_consul_writer import MARKER, STEPS, VERSIONS, VOICES, City, a_draft, an_answer, city

Voice = Literal["participant", "official"]


def answering(there: City, method: str, pattern: str, answer: Response) -> None:
    """Let the site give this answer to a request, after doing what it was asked."""
    handle = there.sandbox.handle

    def instead(request: Any) -> Response:
        given = handle(request)
        return answer if request.method == method and request.path.startswith(pattern) else given

    there.sandbox.handle = instead  # type: ignore[method-assign]


def user(there: City, login: str) -> Any:
    return next(u for u in there.sandbox.database.tables["users"].rows if u["email"] == login)


# What the site accepted


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("kind", ["503", "html_200", "hang", "cut_connection", "500"])
async def test_a_look_up_that_fails_after_the_form_was_taken_is_maybe_done(voice: Voice, kind: str) -> None:
    """The site said 302: whatever goes wrong later, nothing says that nothing is stored."""
    async with city() as there:
        await there.writer.lookup.dialect()
        draft = there.writer.fit(SPACE, a_draft(voice)).draft
        there.sandbox.plant(Fault(kind, match="^POST /graphql", times=None))
        with pytest.raises(MaybeDone) as caught:
            await there.writer.create(SPACE, draft)
        assert caught.value.accepted
        assert len(there.copies()) == 1


@pytest.mark.parametrize("voice", VOICES)
async def test_a_copy_that_was_accepted_and_is_not_shown_is_maybe_done(voice: Voice) -> None:
    """A moderator may have been quicker, or a filter changed the text: it was made."""
    async with city() as there:
        draft = there.writer.fit(SPACE, a_draft(voice)).draft
        with pytest.raises(MaybeDone) as caught:
            await there.writer.create(SPACE, replace(draft, marker=MARKER.replace("/31", "/32")))
        assert caught.value.accepted and len(there.copies()) == 1


@pytest.mark.parametrize("status", [302, 403, 404, 500, 503])
async def test_a_publishing_page_that_fails_is_maybe_done(status: int) -> None:
    """The draft is made: its second page failing is not "nothing stored"."""
    async with city() as there:
        headers = [("Location", "http://127.0.0.1:9/"), ("Content-Type", "text/html")]
        answering(there, "GET", "/proposals/31/created", Response(status, headers, b""))
        with pytest.raises(MaybeDone) as caught:
            await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("participant")).draft)
        assert caught.value.accepted and there.only.id == 31


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("where", ["/", "/projects/3", "/participa/proposals/31-x/created"])
async def test_a_redirect_that_nobody_knows_is_no_refusal(voice: Voice, where: str) -> None:
    """Forks lead elsewhere after creating: only the redirects of a refusal mean that nothing is stored."""
    async with city() as there:
        path = "/proposals" if voice == "participant" else "/management/proposals"
        headers = [("Location", f"http://127.0.0.1:9{where}"), ("Content-Type", "text/html")]
        answering(there, "POST", path, Response(302, headers, b""))
        known = where == "/" and voice == "participant"
        with pytest.raises(NotDone if known else MaybeDone):
            await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft(voice)).draft)


@pytest.mark.parametrize("voice", VOICES)
async def test_a_page_that_no_parser_understands_is_maybe_done(voice: Voice) -> None:
    async with city() as there:
        path = "/proposals" if voice == "participant" else "/management/proposals"
        answering(there, "POST", path, Response.html("<![[[["))
        with pytest.raises(MaybeDone):
            await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft(voice)).draft)


async def test_a_refused_token_is_no_failure_of_the_site() -> None:
    async with city() as there:
        copy = await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("participant")).draft)
        answering(there, "POST", "/", Response(422, [("Content-Type", "text/html")], b"<h1>422</h1>"))
        there.writer.session.forget()
        for attempt in (
            there.writer.edit(SPACE, copy, a_draft("participant")),
            there.writer.answer("proposal/1", an_answer()),
            there.writer.comment("proposal/1", an_answer().texts["nl"]),
        ):
            with pytest.raises(NotDone) as caught:
                await attempt
            assert caught.value.status == 422


async def test_an_edit_that_led_to_another_proposal_is_not_believed() -> None:
    async with city() as there:
        copy = await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("participant")).draft)
        headers = [("Location", "http://127.0.0.1:9/proposals/3-anders"), ("Content-Type", "text/html")]
        answering(there, "POST", "/proposals/31", Response(302, headers, b""))
        for attempt in (
            there.writer.edit(SPACE, copy, a_draft("participant")),
            there.writer.withdraw(SPACE, copy, "weg"),
        ):
            with pytest.raises(MaybeDone):
                await attempt


async def test_the_second_language_of_an_edit_that_fails_is_maybe_done() -> None:
    async with city() as there:
        main = a_draft("participant")
        copy = await there.writer.create(SPACE, there.writer.fit(SPACE, main).draft)
        both = replace(main, texts={"nl": replace(main.main, title="Anders"), "es": replace(main.main, title="x" * 81)})
        there.sandbox.locale = "es"
        with pytest.raises(MaybeDone):
            await there.writer.edit(SPACE, copy, both)
        assert there.only.texts["nl"]["title"] == "Anders"


async def test_a_page_in_place_of_a_comments_answer_is_maybe_done() -> None:
    """Only its own script says that a comment was refused."""
    async with city() as there:
        answering(there, "POST", "/comments", Response.html("<html><h1>comment_1</h1></html>"))
        with pytest.raises(MaybeDone):
            await there.writer.comment("proposal/1", an_answer().texts["nl"])


# Languages


def told(there: City, own: int = 1) -> list[Any]:
    return there.sandbox.database.milestones_of.get(("proposal", own), [])


@pytest.mark.parametrize("locale", ["und", "is", "de"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_an_answer_in_a_language_that_the_site_lacks_can_be_read(version: str, locale: str) -> None:
    """CONSUL stores any language and shows nothing of one that it does not know: the marker could not be found either."""
    async with city(version) as there:
        text = LocalText("Antwoord", f"<p>Ja.</p><p>{MARKER}</p>", f"Ja.\n\n{MARKER}")
        answer = replace(an_answer(), locale=locale, texts={locale: text})
        await there.writer.session.as_administrator()
        await there.writer.session.browser.load("/", {"locale": "es"})  # the session's language is not the site's
        await there.writer.answer("proposal/1", answer)
        assert [list(row.texts) for row in told(there)] == [["nl"]]
        assert told(there)[0].texts["nl"]["title"] == "Antwoord"
        assert await there.writer.has_answer("proposal/1", answer)
        (request,) = there.writer.plan_answer("proposal/1", answer)
        assert "und" not in {value for _, value in request.form or ()}


async def test_an_answer_keeps_the_languages_that_the_site_offers() -> None:
    async with city() as there:
        base = an_answer().texts["nl"]
        texts = {"is": base, "ca": replace(base, title="Sí"), "nl": replace(base, title="Ja")}
        await there.writer.answer("proposal/1", AnswerDraft(an_answer().state, "is", texts, MARKER))
        assert {locale: each["title"] for locale, each in told(there)[0].texts.items()} == {"nl": "Ja", "ca": "Sí"}


async def test_a_milestone_in_an_unknown_language_is_blank_in_the_sandbox() -> None:
    """As the real one (recordings 706 to 707b): a date without a text; a language that it knows and the site lacks is shown."""
    async with city() as there:
        text = there.sandbox.interface.text
        await there.writer.answer("proposal/1", an_answer())
        row = told(there)[0]
        for locale, blank in (("und", True), ("is", True), ("de", False)):
            row.texts = {locale: {"title": "Ja", "description": MARKER}}
            assert (text(row, "description", "nl") is None) == blank
            assert (await there.writer.lookup.has_milestone("1", "nl", MARKER)) != blank


# Look-ups


async def twins(there: City, *, retired: bool = False) -> tuple[Any, Any]:
    """A public copy and a younger leftover draft with the same marker, as a late store leaves them."""
    draft = there.writer.fit(SPACE, a_draft("participant")).draft
    await there.writer.create(SPACE, draft)
    public = there.only
    there.sandbox.plant(Fault("reset", match=STEPS["participant", "publish"]))
    with pytest.raises(MaybeDone):
        await there.writer.create(SPACE, draft)
    left = next(row for row in there.copies() if row is not public)
    if retired:
        there.sandbox.change("retire", id=public.id)
    return public, left


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_public_copy_goes_before_a_leftover_draft(version: str) -> None:
    async with city(version) as there:
        since = there.clock.now()
        public, left = await twins(there)
        draft = there.writer.fit(SPACE, a_draft("participant")).draft
        found = await there.writer.find(SPACE, draft, since)
        assert found is not None and found.complete and found.ref == f"proposal/{public.id}"
        assert list(found.twins) == [f"proposal/{left.id}"]
        mine = [made.copy async for made in there.writer.authored(SPACE)]
        assert [(c.ref, c.complete, list(c.twins)) for c in mine] == [
            (f"proposal/{public.id}", True, [f"proposal/{left.id}"]),
            (f"proposal/{left.id}", False, [f"proposal/{public.id}"]),
        ]


async def test_what_the_public_list_shows_is_not_asked_for_one_by_one() -> None:
    async with city() as there:
        for i in range(30):
            await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("official", f"Titel {i}")).draft)
            there.clock.advance(5)  # the list has ties where times are equal
        there.copies()[3].values["published_at"] = None
        there.sandbox.stats.log.clear()
        mine = [made.copy async for made in there.writer.authored(SPACE)]
        assert [copy.ref for copy in mine if not copy.complete] == [f"proposal/{there.copies()[3].id}"]
        assert mine[-1].ref == f"proposal/{there.copies()[3].id}"
        assert sum("/created" in each for each in there.sandbox.stats.log) == 1


async def test_a_retired_copy_goes_last_and_says_so() -> None:
    async with city() as there:
        since = there.clock.now()
        public, left = await twins(there, retired=True)
        found = await there.writer.find(SPACE, a_draft("participant"), since)
        assert found is not None and found.ref == f"proposal/{left.id}" and not found.complete
        left.hidden = True
        found = await there.writer.find(SPACE, a_draft("participant"), since)
        assert found is not None and found.ref == f"proposal/{public.id}" and found.withdrawn
        assert await there.writer.create(SPACE, a_draft("participant"), found) == found
        mine = [made.copy async for made in there.writer.authored(SPACE)]
        assert [(c.ref, c.withdrawn) for c in mine] == [(f"proposal/{public.id}", True)]


async def test_a_leftover_draft_of_what_a_moderator_hid_is_not_published() -> None:
    async with city() as there:
        user(there, ROBOT["login"]).values["public_activity"] = True
        since = there.clock.now()
        public, left = await twins(there)
        there.sandbox.change("hide", id=public.id)
        found = await there.writer.find(SPACE, a_draft("participant"), since)
        assert found is not None and found.complete and found.ref == f"proposal/{public.id}"
        assert list(found.twins) == [f"proposal/{left.id}"]


async def test_a_draft_that_is_stored_while_it_is_looked_for_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway gave up on the form and hands it on late: between the list of what is ours and the interface, which shows drafts too."""

    async def read_a_moment_ago(*_: Any) -> AsyncGenerator[Any]:
        for nothing in ():
            yield nothing

    async with city() as there:
        user(there, ROBOT["login"]).values["public_activity"] = True
        since = there.clock.now()
        there.sandbox.plant(Fault("reset", match=STEPS["participant", "publish"]))
        with pytest.raises(MaybeDone):
            await there.writer.create(SPACE, a_draft("participant"))
        monkeypatch.setattr(there.writer.lookup, "own_list", read_a_moment_ago)
        found = await there.writer.find(SPACE, a_draft("participant"), since)
        assert found is not None and not found.complete
        [made] = [each.copy async for each in there.writer.authored(SPACE)]
        assert made.ref == found.ref and not made.complete
        await there.writer.create(SPACE, a_draft("participant"), found)
        assert there.only["published_at"] is not None


async def test_a_withdrawal_of_a_draft_is_no_success_while_the_public_one_stands() -> None:
    async with city() as there:
        public, left = await twins(there)
        copy = replace(await there.writer.find(SPACE, a_draft(), there.clock.now()), ref=f"proposal/{left.id}")
        with pytest.raises(CannotDo, match=f"proposal/{public.id}"):
            await there.writer.withdraw(SPACE, copy, "weg")
        there.sandbox.change("retire", id=public.id)
        await there.writer.withdraw(SPACE, copy, "weg")


async def test_two_official_copies_are_twins() -> None:
    async with city() as there:
        draft = there.writer.fit(SPACE, a_draft("official")).draft
        since = there.clock.now()
        for _ in range(2):
            await there.writer.create(SPACE, draft)
        first, second = there.copies()
        found = await there.writer.find(SPACE, draft, since)
        assert found is not None and found.ref == f"proposal/{first.id}"
        assert list(found.twins) == [f"proposal/{second.id}"]


async def test_a_marker_in_a_strangers_text_is_not_the_organisations() -> None:
    """Anybody can paste a marker that he has read; author and marker must both be ours."""
    async with city() as there:
        since = there.clock.now()
        draft = there.writer.fit(SPACE, a_draft("official")).draft
        pasted = there.sandbox.database.tables["proposals"].by_id[
            int(there.sandbox.change("add_proposal", title="Iets anders"))
        ]
        pasted.texts["nl"]["description"] = f"<p>{MARKER}</p>"
        user_1 = there.sandbox.database.tables["users"].by_id[1]
        user_1.values["public_activity"] = True
        with pytest.raises(NotDone):
            await there.writer.find(SPACE, draft, since)  # who the person of the document is nobody knows yet
        user(there, ROBOT["login"]).values["public_activity"] = True
        other = replace(draft, marker=MARKER.replace("/31", "/32"))
        html = other.main.html.replace("/31", "/32")
        await there.writer.create(SPACE, replace(other, texts={"nl": replace(other.main, html=html)}))
        assert await there.writer.find(SPACE, draft, since) is None


async def test_with_proposals_switched_off_an_empty_list_proves_nothing() -> None:
    """Then even one's own page lists none (recording 755j)."""
    async with city() as there:
        draft = there.writer.fit(SPACE, a_draft("participant")).draft
        await there.writer.create(SPACE, draft)
        there.sandbox.change("switch", proposals=False)
        with pytest.raises(NotDone, match="switched off"):
            await there.writer.find(SPACE, draft, there.clock.now())


# Taking back


async def test_a_closed_window_for_edits_is_told_and_retiring_works() -> None:
    async with city() as there:
        assert there.writer.keeps_text_when_withdrawn
        copy = await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("participant")).draft)
        there.sandbox.edit_limit = 3
        there.sandbox.change("support", id=there.only.id, times=4)
        with pytest.raises(CannotDo, match="more supports") as caught:
            await there.writer.edit(SPACE, copy, a_draft("participant"))
        assert "1,000" not in str(caught.value)
        await there.writer.withdraw(SPACE, copy, "weg")
        page = (await there.writer.session.browser.load(f"/proposals/{there.only.id}-meer-bomen")).answer.text
        assert "Meer bomen in de" in page, "a retired proposal stays readable whole"
        there.sandbox.edit_limit = 1000
        note = replace(
            a_draft("participant"), texts={"nl": LocalText("Ingetrokken", f"<p>{MARKER}</p>", MARKER, "Weg.")}
        )
        await there.writer.edit(SPACE, copy, there.writer.fit(SPACE, note).draft)
        there.only.author = 4
        with pytest.raises(CannotDo, match="only its author"):
            await there.writer.edit(SPACE, copy, a_draft("participant"))


# Accounts


async def test_management_alone_publishes_and_finds() -> None:
    person = {"document_type": "1", "document_number": ROBOT["document"]}
    office = {"login": "office@toy.example", "password": "toy-office", **person}
    async with city(login=None, password=None, administrator=None, management=office) as there:
        since = there.clock.now()
        standing = await there.writer.check()
        able = {each.name: each.available for each in standing.capabilities}
        assert able["publish in the organisation's name"] and not able["change and withdraw copies"]
        draft = there.writer.fit(SPACE, a_draft()).draft
        assert [made async for made in there.writer.authored(SPACE)] == []
        copy = await there.writer.create(SPACE, draft)
        found = await there.writer.find(SPACE, draft, since)
        assert found is not None and found.ref == copy.ref
        there.sandbox.change("add_proposal", title="Van een ander")
        mine = [made async for made in there.writer.authored(SPACE)]
        assert [(made.copy.ref, made.copy.complete) for made in mine] == [(copy.ref, True)]
        there.only.values["published_at"] = None
        there.writer._published.clear()
        assert [m.copy.complete async for m in there.writer.authored(SPACE)] == [False]


async def test_a_sweep_for_markers_that_is_more_than_one_answer_may_be_goes_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up to 2.2.0 a list has no pages: all proposals come at once, or more than may come."""
    monkeypatch.setattr(lookup, "_PART", 7)
    person = {"document_type": "1", "document_number": ROBOT["document"]}
    office = {"login": "office@toy.example", "password": "toy-office", **person}
    small = {"politeness": {"max_response_mb": 1}, "login": None, "password": None, "administrator": None}
    async with city("2.1.1", management=office, **small) as there:
        copy = await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft()).draft)
        handle, parts = there.sandbox.handle, list[str]()

        def at_once_too_much(request: Any) -> Response:
            document = re.sub(r"\s", "", request.body.decode())
            parts.extend([document] if "p0:proposals(first:7" in document else [])
            if "p0:proposals{" in document:
                return Response(200, [("Content-Type", "application/json")], b" " * 1_000_001)
            return handle(request)

        there.sandbox.handle = at_once_too_much  # type: ignore[method-assign]
        assert [made.copy.ref async for made in there.writer.authored(SPACE)] == [copy.ref]
        rows = len(there.sandbox.database.tables["proposals"].rows)
        assert len(parts) >= 2 * (rows // 7), "twice, for it has no order"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_site_below_a_path(version: str) -> None:
    """`RAILS_RELATIVE_URL_ROOT`: every link, form and redirect carries the prefix."""
    async with city(version, prefix="/participa") as there:
        since = there.clock.now()
        standing = await there.writer.check()
        assert standing.account == str(user(there, ROBOT["login"]).id)
        for voice in VOICES:
            marker = MARKER.replace("/31", f"/{len(voice)}")
            base = there.writer.fit(SPACE, a_draft(voice)).draft
            text = replace(base.main, html=base.main.html.replace(MARKER, marker))
            draft = replace(base, texts={"nl": text}, marker=marker)
            copy = await there.writer.create(SPACE, draft)
            (row,) = there.copies(marker)
            assert copy.url == f"http://127.0.0.1:9/participa/proposals/{row.id}" and row["published_at"] is not None
            found = await there.writer.find(SPACE, draft, since)
            assert found is not None and found.ref == copy.ref
            await there.writer.edit(SPACE, copy, replace(draft, texts={"nl": replace(text, title="Anders")}))
            assert row.texts["nl"]["title"] == "Anders"
            await there.writer.withdraw(SPACE, copy, "weg")
            assert row["retired_explanation"] == "weg"
        await there.writer.answer("proposal/1", an_answer())
        assert await there.writer.has_answer("proposal/1", an_answer())
        await there.writer.comment("proposal/2", an_answer().texts["nl"])
        assert len([made async for made in there.writer.authored(SPACE)]) == 2


async def test_a_locked_account_is_not_tried_again() -> None:
    """20 tries, one hour; tries go on being counted while it is locked, the right password too (recordings 770 to 771c)."""
    async with city() as there:
        there.sandbox.lockable = True
        robot = user(there, ROBOT["login"])
        robot.values.update(failed=20, locked_at=there.clock.now())
        for _ in range(3):
            with pytest.raises(WrongCredentials):
                await there.writer.create(SPACE, a_draft("participant"))
        assert robot["failed"] == 21
    async with city() as there:
        there.sandbox.lockable = True
        robot = user(there, ROBOT["login"])
        robot.values.update(failed=20, locked_at=there.clock.now() - timedelta(hours=1))
        await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("participant")).draft)
        assert robot["failed"] == 0


async def test_a_wrong_managers_password_is_no_wrong_password_of_the_author() -> None:
    """What is there already is changed and taken back by the account of `login`; only making copies needs a manager."""
    person = {"document_type": "1", "document_number": ROBOT["document"]}
    async with city(management={"login": "office@toy.example", "password": "changed", **person}) as there:
        there.sandbox.lockable = True
        for _ in range(2):
            with pytest.raises(NotLetIn, match="management") as caught:
                await there.writer.limits(SPACE, "official")
            assert not isinstance(caught.value, WrongCredentials), "that would be remembered for everything"
        assert user(there, "office@toy.example")["failed"] == 1
        copy = await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("participant")).draft)
        await there.writer.withdraw(SPACE, copy, "weg")
        assert there.only["retired_explanation"] == "weg"


async def test_a_page_in_place_of_the_answer_to_signing_in_is_no_wrong_password() -> None:
    async with city() as there:
        there.sandbox.plant(Fault("html_200", match="^POST /users/sign_in"))
        with pytest.raises(NotDone):
            await there.writer.create(SPACE, a_draft("participant"))
        await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft("participant")).draft)


async def test_a_password_that_must_be_changed_is_told() -> None:
    async with city() as there:
        user(there, ADMINISTRATOR["login"]).values["password_changed_at"] = there.clock.now() - timedelta(days=366)
        with pytest.raises(NotLetIn, match="change its password") as caught:
            await there.writer.answer("proposal/1", an_answer())
        assert not isinstance(caught.value, WrongCredentials)
        standing = await there.writer.check()
        (answers,) = (each for each in standing.capabilities if each.name == "official answers")
        assert not answers.available and "password" in answers.why
