"""What Decidim's writer takes for its own copy, and what it never takes for absent."""

from dataclasses import replace

import pytest

from civicsync.connectors.contract.errors import MaybeDone, NotDone
from civicsync.connectors.contract.writing import LocalText, Voice
from civicsync.connectors.decidim import VERSIONS
from civicsync.connectors.decidim.sandbox.releases import is_checked
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.messages import Request, Response
from tests.support.decidim_writing import BOTH, MARKER, SPACE, place, ready


@pytest.mark.parametrize(("version", "voice"), BOTH)
async def test_a_hidden_copy_among_the_newest_is_not_taken_for_absent(version: str, voice: Voice) -> None:
    async with place(version) as here:
        sent, began = await ready(here, voice), here.clock.now()
        here.sandbox.change("add_proposal", component=1)
        copy = await here.writer.create(SPACE, sent)
        here.sandbox.change("hide", id=copy.ref.partition("/")[2])
        try:
            found = await here.writer.find(SPACE, sent, began)
        except NotDone:
            return
        # Releases before the permission checks show hidden ones to everybody.
        assert found is not None
        assert found.ref == copy.ref


@pytest.mark.parametrize(("version", "voice"), BOTH)
async def test_a_hidden_copy_above_old_proposals_only_is_not_taken_for_absent(version: str, voice: Voice) -> None:
    async with place(version) as here:
        sent = await ready(here, voice)
        here.clock.advance(30 * 86_400)
        began = here.clock.now()
        copy = await here.writer.create(SPACE, sent)
        here.sandbox.change("hide", id=copy.ref.partition("/")[2])
        try:
            found = await here.writer.find(SPACE, sent, began)
        except NotDone:
            return
        assert found is not None
        assert found.ref == copy.ref


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_text_of_another_author_with_our_marker_is_no_copy_of_ours(version: str) -> None:
    async with place(version) as here:
        sent, began = await ready(here, "participant"), here.clock.now()
        own = here.sandbox.change("add_proposal", component=1)
        row = here.sandbox.database.proposals["proposal"][int(own)]
        row.body["nl"] = (f"<p>Overgenomen. {MARKER}</p>", False)
        assert here.copies() == [row]
        assert await here.writer.find(SPACE, sent, began) is None


@pytest.mark.parametrize("kind", ["500", "503", "reset", "429", "html_200"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_what_the_official_form_took_is_never_told_as_not_done(version: str, kind: str) -> None:
    """A form that was taken (302) is stored, whatever becomes of the question for its number: never sent again by itself."""
    async with place(version) as here:
        sent, began = await ready(here, "official"), here.clock.now()
        here.sandbox.plant(Fault(kind=kind, match=r"POST /api$", times=None, seconds=5.0))
        with pytest.raises(MaybeDone) as caught:
            await here.writer.create(SPACE, sent)
        assert caught.value.accepted
        assert len(here.copies()) == 1
        here.sandbox.plant()
        here.clock.advance(120)
        found = await here.writer.find(SPACE, sent, began)
        assert found is not None
        assert (found.complete, found.withdrawn, found.twins) == (True, False, ())


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_the_official_form_took_and_the_site_does_not_list_is_never_told_as_not_done(version: str) -> None:
    async with place(version) as here:
        sent = await ready(here, "official")
        here.sandbox.plant(Fault(kind="empty", match=r"POST /api$", times=None))
        with pytest.raises(MaybeDone, match="does not list it") as caught:
            await here.writer.create(SPACE, sent)
        assert caught.value.accepted


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_official_form_that_leads_elsewhere_was_taken(version: str) -> None:
    """A redirect is the site's word that it took the form, also where a fork of it leads to another page."""
    async with place(version) as here:
        sent, handle = await ready(here, "official"), here.sandbox.handle

        def elsewhere(request: Request) -> Response:
            answer = handle(request)
            if request.method != "POST" or answer.status != 302 or not request.path.endswith("/manage/proposals"):
                return answer
            headers = [(name, value.replace("/manage/proposals", "/manage/overview")) for name, value in answer.headers]
            return replace(answer, headers=headers)

        here.sandbox.handle = elsewhere
        with pytest.raises(MaybeDone) as caught:
            await here.writer.create(SPACE, sent)
        assert caught.value.accepted
        assert len(here.copies()) == 1


@pytest.mark.parametrize("version", [each for each in VERSIONS if is_checked(each)])
async def test_a_hidden_neighbour_of_a_taken_official_form_leaves_it_taken(version: str) -> None:
    async with place(version) as here:
        sent = await ready(here, "official")
        created = here.sandbox.writing.official

        def hidden(*given: object) -> object:
            row = created(*given)
            row.hidden = True
            return row

        here.sandbox.writing.official = hidden
        with pytest.raises(MaybeDone, match="hidden") as caught:
            await here.writer.create(SPACE, sent)
        assert caught.value.accepted
        assert caught.value.status is None


@pytest.mark.parametrize(("version", "voice"), BOTH)
async def test_a_standing_copy_goes_before_a_withdrawn_one_and_its_twins_are_named(version: str, voice: Voice) -> None:
    async with place(version) as here:
        sent, began = await ready(here, voice), here.clock.now()
        for _ in range(3):
            await here.writer.create(SPACE, sent)
        copies = [each.copy async for each in here.writer.authored(SPACE)][::-1]
        here.sandbox.change("withdraw", id=copies[2].ref.partition("/")[2])
        found = await here.writer.find(SPACE, sent, began)
        assert found is not None
        assert (found.ref, found.withdrawn) == (copies[0].ref, False), (
            "the one that was made first is the one people know"
        )
        assert list(found.twins) == [copies[1].ref, copies[2].ref]
        told = {each.copy.ref: each.copy async for each in here.writer.authored(SPACE)}
        assert list(told) == [copies[2].ref, copies[1].ref, copies[0].ref]
        assert [told[each.ref].withdrawn for each in copies] == [False, False, True]
        assert list(told[copies[0].ref].twins) == [copies[1].ref, copies[2].ref]
        here.sandbox.change("withdraw", id=copies[0].ref.partition("/")[2])
        found = await here.writer.find(SPACE, sent, began)
        assert found is not None
        assert (found.ref, found.withdrawn) == (copies[1].ref, False), "older, and taken back"
        here.sandbox.change("withdraw", id=copies[1].ref.partition("/")[2])
        found = await here.writer.find(SPACE, sent, began)
        assert found is not None
        assert found.withdrawn


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_draft_goes_before_a_withdrawn_copy(version: str) -> None:
    async with place(version) as here:
        sent, began = await ready(here, "participant"), here.clock.now()
        copy = await here.writer.create(SPACE, sent)
        here.sandbox.change("withdraw", id=copy.ref.partition("/")[2])
        robot, component = here.sandbox.accounts.people[9001], here.sandbox.database.components[1]
        left = here.sandbox.writing.create(component, robot, "nl", sent.main.title, sent.main.plain)
        found = await here.writer.find(SPACE, sent, began)
        assert found is not None
        assert (found.ref, found.complete) == (f"proposal/{left.id}", False)


@pytest.mark.parametrize("version", [each for each in VERSIONS if is_checked(each)])
async def test_a_comment_on_a_hidden_proposal_is_perhaps_stored(version: str) -> None:
    """The answer says no, and the comment is stored (recordings 275, 486): it is never told as refused."""
    async with place(version) as here:
        copy = await here.writer.create(SPACE, await ready(here, "participant"))
        here.sandbox.change("hide", id=copy.ref.partition("/")[2])
        with pytest.raises(MaybeDone):
            await here.writer.comment(copy.ref, LocalText("", "", f"Er is geantwoord. {MARKER}"))
        assert here.sandbox.writing.sent["commented"] == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["500", "reset", "html_200"])
async def test_an_edit_that_was_taken_is_never_told_as_not_done(version: str, kind: str) -> None:
    async with place(version) as here:
        sent = await ready(here, "official")
        copy = await here.writer.create(SPACE, sent)
        here.sandbox.plant(Fault(kind=kind, match=r"POST /api$", times=None))
        with pytest.raises(MaybeDone):
            await here.writer.edit(SPACE, copy, sent)
        assert here.copies()[0].versions == 2
