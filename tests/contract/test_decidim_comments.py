"""Comments on everything that Decidim's people comment on, and what one deleted comment must not take with it."""

import pytest

from civicsync.connectors.contract.reading import PullRequest
from civicsync.connectors.decidim import CONNECTOR, VERSIONS
from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.decidim.sandbox.model import Proposal
from civicsync.connectors.decidim.sandbox.releases import is_checked
from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.memory import MemoryStore, pull
from civicsync.core.clock import FakeClock
from civicsync.core.records import Comment

CHECKED = [version for version in VERSIONS if is_checked(version)]


def city(version: str) -> tuple[DecidimSandbox, FakeClock]:
    clock = FakeClock()
    return DecidimSandbox(version=version, size=90, seed=3, clock=clock.now), clock


def on(sandbox: DecidimSandbox, kind: str) -> set[str]:
    """The public comments on the rows of a kind."""
    return {
        f"comment/{each['id']}"
        for each in sandbox.truth()["comments"]
        if each["public"] and each["target"].startswith(f"{kind}/")
    }


def held(store: MemoryStore, kind: str) -> set[str]:
    found = {ref: row.record for ref, row in store.alive("comment").items()}
    return {
        ref for ref, record in found.items() if isinstance(record, Comment) and record.target.startswith(f"{kind}/")
    }


def a_thread(sandbox: DecidimSandbox, kind: str) -> tuple[str, list[str]]:
    """A row with a comment, three replies below each other, and a comment beside; ids of the row and of these."""
    own = next(row.id for row in sandbox.database.proposals[kind].values() if sandbox.is_public(row) and row.count)
    ids = [sandbox.change("comment", id=own, body="Eerste", kind=kind)]
    for depth in range(3):
        ids.append(sandbox.change("reply", id=ids[-1], body=f"Antwoord {depth}"))
    return str(own), [*ids, sandbox.change("comment", id=own, body="Ernaast", kind=kind)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["debate", "project"])
@pytest.mark.parametrize("open_data", [True, False])
async def test_comments_are_followed_to_their_depth_and_go_when_they_are_hidden(
    version: str, kind: str, open_data: bool
) -> None:
    if kind == "project" and version == "0.28.6":
        pytest.skip("projects are for signed-in people only there")
    sandbox, clock = city(version)
    async with reading(CONNECTOR, sandbox, clock=clock, open_data=open_data) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        assert held(store, kind) == on(sandbox, kind) != set()
        clock.advance(600)
        _, ids = a_thread(sandbox, kind)
        sandbox.reset_stats()
        await pull(reader, store, probe=probe)
        assert sandbox.stats.requests <= 12
        assert held(store, kind) == on(sandbox, kind) >= {f"comment/{each}" for each in ids}
        replies = [store.rows[f"comment/{each}"].record for each in ids[:4]]
        assert [getattr(each, "parent", None) for each in replies] == [None, *(f"comment/{each}" for each in ids[:3])]
        clock.advance(600)
        sandbox.change("hide_comment", id=ids[-1])
        await pull(reader, store, probe=probe)
        assert held(store, kind) == on(sandbox, kind)
        writes = store.writes
        await pull(reader, store, probe=probe)
        assert store.writes == writes


@pytest.mark.parametrize("version", CHECKED)
@pytest.mark.parametrize("kind", ["proposal", "debate", "project"])
@pytest.mark.parametrize("which", [0, 1, 2, 3, 4])
async def test_a_deleted_comment_takes_neither_its_proposal_nor_other_comments_along(
    version: str, kind: str, which: int
) -> None:
    """Wherever in the tree it stood; what was said at the same time, and after, is read as well."""
    if kind == "project" and version == "0.28.6":
        pytest.skip("projects are for signed-in people only there")
    sandbox, clock = city(version)
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        own, ids = a_thread(sandbox, kind)
        await pull(reader, store, probe=probe)
        assert held(store, kind) == on(sandbox, kind)
        clock.advance(600)
        sandbox.change("delete_comment", id=ids[which])
        await pull(reader, store, probe=probe)
        clock.advance(600)
        # Below the first comment, or beside it where that one is gone; a list with a deleted one tells nothing of new ones in it.
        above = (
            ids[0]
            if which not in {0, 1}
            else next(str(c.id) for c in _row(sandbox, kind, own).comments if not c.hidden)
        )
        new = sandbox.change("reply", id=above, body="Later")
        await pull(reader, store, probe=probe)
        assert f"{kind}/{own}" in store.alive(kind)
        assert on(sandbox, kind) <= held(store, kind)
        assert f"comment/{new}" in held(store, kind)
        assert held(store, kind) == on(sandbox, kind)


@pytest.mark.parametrize("version", CHECKED)
@pytest.mark.parametrize("kind", ["proposal", "debate", "project"])
async def test_a_comment_beside_a_deleted_one_is_found_at_once(version: str, kind: str) -> None:
    """The list tells nothing any more; the public page, or the numbers above the highest known, do (docs/platforms/decidim.md 1.12)."""
    if kind == "project" and version == "0.28.6":
        pytest.skip("projects are for signed-in people only there")
    sandbox, clock = city(version)
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        own, ids = a_thread(sandbox, kind)
        await pull(reader, store, probe=probe)
        clock.advance(600)
        sandbox.change("delete_comment", id=ids[0])
        await pull(reader, store, probe=probe)
        assert held(store, kind) == on(sandbox, kind)
        clock.advance(600)
        new = sandbox.change("comment", id=own, body="Ernaast, later", kind=kind)
        await pull(reader, store, probe=probe)
        assert held(store, kind) == on(sandbox, kind) >= {f"comment/{new}"}


@pytest.mark.parametrize("version", ["0.30.9", "0.31", "0.32"])
async def test_a_file_speaks_only_for_threads_that_did_not_move_after_its_newest_row(version: str) -> None:
    """First contact after a moderation: the file, made once, still has what was hidden; nothing of that is stored."""
    sandbox, clock = city(version)
    clock.advance(86400 * 30)
    hidden = [c for c in sandbox.database.comments.values() if c.is_shown and sandbox.is_public(c.target)][:6]
    for comment in hidden:
        sandbox.change("hide_comment", id=comment.id)
    sandbox.change("export_open_data")
    assert str(hidden[0].id).encode() in sandbox.files["proposal_comments"], "the file was made anew"
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        await pull(reader, store, probe=await reader.probe())
        assert held(store, "proposal") == on(sandbox, "proposal")
        assert not held(store, "proposal") & {f"comment/{each.id}" for each in hidden}
        assert "open data of comments ends" in " ".join(store.notes), "nobody says how old the file is"


async def test_an_archive_that_died_brings_nothing_back() -> None:
    """One initiative lets the export of 0.28 fail for good, and the old archive stays (docs/platforms/decidim.md 5)."""
    sandbox, clock = city("0.28.6")
    sandbox.change("switch", dead_export=True)
    clock.advance(86400 * 30)
    hidden = [c for c in sandbox.database.comments.values() if c.is_shown and sandbox.is_public(c.target)][:6]
    for comment in hidden:
        sandbox.change("hide_comment", id=comment.id)
    new = sandbox.change("comment", id=hidden[0].target.id, body="Na het laatste archief")
    before = sandbox.files["proposal_comments"]
    sandbox.change("export_open_data")
    assert sandbox.files["proposal_comments"] is before, "the archive was made anew"
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        await pull(reader, store, probe=await reader.probe())
        assert held(store, "proposal") == on(sandbox, "proposal") >= {f"comment/{new}"}
        assert not held(store, "proposal") & {f"comment/{each.id}" for each in hidden}
        assert "open data of comments ends" in " ".join(store.notes), "nobody says how old the archive is"


async def test_a_whole_city_is_read_where_the_file_is_not_made_yet() -> None:
    """The first request for a file makes it, for whoever asks again (recordings 799, 799b)."""
    sandbox, clock = city("0.32")
    sandbox.change("switch", unmade_open_data=True)
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        await pull(reader, store, probe=await reader.probe())
        assert held(store, "proposal") == on(sandbox, "proposal")


@pytest.mark.parametrize("version", CHECKED)
async def test_what_one_source_does_not_tell_of_a_comment_stays(version: str) -> None:
    """The file tells the language, the interface does not; who wrote it both do, also beside a deleted account."""
    sandbox, clock = city(version)
    async with reading(CONNECTOR, sandbox, clock=clock) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        clock.advance(600)
        comment = next(c for c in sandbox.database.comments.values() if c.is_shown and sandbox.is_public(c.target))
        sandbox.change("erase_person", id=comment.author)
        sandbox.change("comment", id=comment.target.id)
        pages = [p async for p in reader.pull(PullRequest(probe, store))]
        items = {i.ref: i for p in pages if p.scope == "comments" for i in p.items}
        others = [i for ref, i in items.items() if ref != f"comment/{comment.id}"]
        assert all("locale" in item.untold and "author" not in item.untold for item in items.values())
        assert others and all(i.build and getattr(i.build()[0], "author", None) for i in others)
        build = items[f"comment/{comment.id}"].build
        assert build and getattr(build()[0], "author", "") is None


def _row(sandbox: DecidimSandbox, kind: str, own: str) -> Proposal:
    return sandbox.database.proposals[kind][int(own)]
