"""What the CONSUL writer makes of texts, languages and refusals; see `test_consul_writer` for the rest."""

from dataclasses import replace
from typing import Literal

import pytest

from civicsync.connectors.consul.write_requests import COMMENT, shortened
from civicsync.connectors.consul.writer import SPACE
from civicsync.connectors.contract.errors import CannotDo, ContentRefused, MaybeDone
from civicsync.connectors.contract.writing import Draft, LocalText
from civicsync.connectors.testing.faults import Fault
from tests.contract.test_consul_writer import MARKER, STEPS, VERSIONS, VOICES, a_draft, an_answer, city


async def test_texts_that_do_not_fit() -> None:
    async with city() as there:
        text = LocalText("x" * 100, "<h1>Kop</h1><p>a<br>b</p><blockquote><b>c</b></blockquote>", "a b c", "s" * 300)
        fitted = there.writer.fit(SPACE, Draft("nl", {"nl": text}, MARKER))
        own = fitted.draft.main
        assert len(own.title) <= 80 and len(own.summary) <= 200 and len(fitted.changes) == 2
        assert own.html == "<h2>Kop</h2><p>a</p><p>b</p><p><strong>c</strong></p>"
        short = there.writer.fit(SPACE, Draft("nl", {"nl": LocalText("Bus", "", "")}, MARKER)).draft.main
        assert len(short.title) == 4 and short.summary
        with pytest.raises(CannotDo):
            there.writer.fit(SPACE, Draft("nl", {"nl": LocalText("Titel", "<p>" + "x" * 6000 + "</p>", "")}, MARKER))
        marked = replace(own, html=f"{own.html}<p>{MARKER}</p>")
        await there.writer.create(SPACE, replace(fitted.draft, texts={"nl": marked}))
        odd = LocalText("🚲 حديقة جديدة 新", f"<p>\x00{MARKER}</p>", "\x00", "😀")
        copy = await there.writer.create(SPACE, there.writer.fit(SPACE, Draft("nl", {"nl": odd}, MARKER)).draft)
        assert copy.ref == f"proposal/{there.copies()[-1].id}"
        assert len(there.copies()) == 2


async def test_what_the_site_refuses() -> None:
    async with city() as there:
        bad = replace(a_draft("participant"), texts={"nl": LocalText("x" * 81, "<p>y</p>", "y", "z")})
        with pytest.raises(ContentRefused):
            await there.writer.create(SPACE, bad)
        with pytest.raises(ContentRefused):
            await there.writer.create(SPACE, replace(bad, voice="official"))
        for space in ("section/debates", "budget/1"):
            with pytest.raises(CannotDo):
                await there.writer.limits(space)
        other = replace(a_draft("participant"), locale="fi", texts={"fi": a_draft().main})
        with pytest.raises(CannotDo):
            await there.writer.create(SPACE, other)
        there.sandbox.change("switch", graphql_off=True)
        with pytest.raises(CannotDo):
            await there.writer.__class__(there.writer.context).create(SPACE, a_draft("participant"))
        there.sandbox.change("switch", graphql_off=False, proposals=False)
        with pytest.raises(CannotDo):
            await there.writer.create(SPACE, a_draft("participant"))
        assert not there.copies()


async def test_who_may_not() -> None:
    async with city(management=None, administrator=None) as there:
        standing = await there.writer.check()
        able = {each.name: each.available for each in standing.capabilities}
        assert able["publish as a participant"] and not able["official answers"]
        assert not able["publish in the organisation's name"]
        with pytest.raises(CannotDo):
            await there.writer.create(SPACE, a_draft("official"))
        with pytest.raises(CannotDo):
            await there.writer.answer("proposal/1", an_answer())
        copy = await there.writer.create(SPACE, there.writer.fit(SPACE, a_draft()).draft)
        there.only.author = 3
        with pytest.raises(CannotDo):
            await there.writer.edit(SPACE, copy, a_draft("participant"))
        there.sandbox.change("hide", id=there.only.id)
        assert await there.writer.read(copy) is None
    async with city(login=None, password=None, management=None, administrator=None) as there:
        with pytest.raises(CannotDo):
            await there.writer.create(SPACE, a_draft())


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_a_moderator_hid_at_once_is_not_made_again(version: str) -> None:
    async with city(version) as there:
        robot = next(u for u in there.sandbox.database.tables["users"].rows if u["email"] == "robot@toy.example")
        robot.values["public_activity"] = True
        draft = there.writer.fit(SPACE, a_draft("participant")).draft
        there.sandbox.plant(Fault("timeout_after_store", match=STEPS["participant", "publish"]))
        with pytest.raises(MaybeDone):
            await there.writer.create(SPACE, draft)
        there.sandbox.change("hide", id=there.only.id)
        found = await there.writer.find(SPACE, draft, there.clock.now())
        assert found is not None and found.ref == f"proposal/{there.only.id}" and found.complete
        assert await there.writer.read(found) is None


async def test_a_draft_that_is_withdrawn_stays_one() -> None:
    async with city() as there:
        draft = there.writer.fit(SPACE, a_draft("participant")).draft
        there.sandbox.plant(Fault("reset", match=STEPS["participant", "publish"]))
        with pytest.raises(MaybeDone):
            await there.writer.create(SPACE, draft)
        found = await there.writer.find(SPACE, draft, there.clock.now())
        assert found is not None and not found.complete
        await there.writer.withdraw(SPACE, found, "weg")
        assert there.only["published_at"] is None and there.only["retired_at"] is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_sites_with_the_translation_interface_and_without_maps(version: str) -> None:
    """Every language has a block; which is the first says nothing (before 2.2 they stand by their codes)."""
    async with city(version) as there:
        there.sandbox.translation_interface, there.sandbox.maps = True, False
        draft = there.writer.fit(SPACE, a_draft("participant", latitude=52.0, longitude=4.0)).draft
        assert (await there.writer.limits(SPACE, "participant")).locales[0] == "nl"
        copy = await there.writer.create(SPACE, draft)
        await there.writer.edit(SPACE, copy, draft)
        assert list(there.only.texts) == ["nl"] and there.only["place"] is None
        await there.writer.withdraw(SPACE, replace(copy, how={}), "weg")
        assert there.only["retired_explanation"] == "weg" and len(there.only["translations"]) == 1


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("version", VERSIONS)
async def test_several_languages(version: str, voice: Literal["participant", "official"]) -> None:
    """All in one form when it is made; one form for each when it is changed, and no second row of any."""
    async with city(version) as there:
        assert (await there.writer.limits(SPACE, voice)).many_locales
        main = a_draft(voice)
        texts = {"nl": main.main, "es": replace(main.main, title="Más árboles")}
        draft = there.writer.fit(SPACE, replace(main, texts=texts)).draft
        copy = await there.writer.create(SPACE, draft)
        assert {locale: text["title"] for locale, text in there.only.texts.items()} == {
            "nl": "Meer bomen",
            "es": "Más árboles",
        }
        changed = {
            "nl": replace(main.main, title="Nog meer"),
            "es": texts["es"],
            "ca": replace(main.main, title="Més arbres"),
        }
        again = there.writer.fit(SPACE, replace(main, texts=changed)).draft
        await there.writer.edit(SPACE, copy, again)
        await there.writer.edit(SPACE, copy, again)
        assert {k: v["title"] for k, v in there.only.texts.items()} == {k: v.title for k, v in changed.items()}
        assert len(there.only["translations"]) == 3
        assert len(there.writer.plan_edit(SPACE, copy, again)) == 3
        with pytest.raises(CannotDo):
            await there.writer.create(SPACE, replace(draft, texts={**texts, "xx": main.main}))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("interface", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_language_that_the_origin_has_no_more_is_taken_away(version: str, interface: bool, known: bool) -> None:
    """Else its whole text stays readable, also after the withdrawal. Of copies from before nobody knows their languages."""
    async with city(version) as there:
        there.sandbox.translation_interface = interface
        main = a_draft("participant")
        draft = there.writer.fit(SPACE, replace(main, texts={"nl": main.main, "ca": main.main})).draft
        copy = await there.writer.create(SPACE, draft)
        assert set(there.only.texts) == {"nl", "ca"}
        copy = copy if known else replace(copy, how={"voice": "participant", "locale": "nl"})
        left = there.writer.fit(SPACE, main).draft
        assert len(there.writer.plan_edit(SPACE, copy, left)) == (2 if known else 1)
        again = await there.writer.edit(SPACE, copy, left)
        assert set(there.only.texts) == {"nl"} and len(there.only["translations"]) == 1
        again = await there.writer.edit(SPACE, again, left)
        assert set(there.only.texts) == {"nl"} and len(there.writer.plan_edit(SPACE, again, left)) == 1


def test_a_long_comment_keeps_its_end() -> None:
    plain = f"{'woord ' * 400}\n\nLees verder: https://west.example/p/31\n\n{MARKER}"
    cut = shortened(plain)
    assert len(cut) <= COMMENT and cut.endswith(f"https://west.example/p/31\n\n{MARKER}")
