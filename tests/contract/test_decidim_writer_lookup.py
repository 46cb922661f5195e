"""What Decidim's writer takes for its own copy, and what it never takes for absent."""

import pytest

from civicsync.connectors.contract.errors import NotDone
from civicsync.connectors.contract.writing import Voice
from civicsync.connectors.decidim import VERSIONS
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
