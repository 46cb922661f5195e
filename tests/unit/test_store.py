"""One page, one transaction; only what changed is written; nothing that was said before is lost. On both databases."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from civicsync.connectors.contract.reading import KINDS
from civicsync.core.clock import FakeClock
from civicsync.core.items import Item, MappingError, Page
from civicsync.core.records import (
    Answer,
    Attachment,
    Author,
    Category,
    Comment,
    Counters,
    Proposal,
    Record,
    Space,
    State,
)
from civicsync.core.store.history import find_proposals, history_of
from civicsync.core.store.retention import purge
from civicsync.core.store.statistics import totals
from civicsync.core.store.store import InstanceStore
from civicsync.core.store.tombstones import Judgement, find_missing, record_judgement
from civicsync.core.text import rich

SCOPE = "proposals@component/1"


def proposal(own: int, title: str = "Meer bomen", **values: Any) -> list[Record]:
    texts = (rich("nl", title, "<p>Groen</p>"), rich("en", f"{title} (en)", "<p>Green</p>", machine=True))
    author = Author(id="f" * 32)
    category = Category(kind="category", id="7", names={"nl": "Groen"})
    given = {"space": "component/1", "texts": texts, "author": author.id, "categories": (category.ref,), **values}
    return [Proposal(id=str(own), **given), author, category]


def item(own: int, title: str = "Meer bomen", supports: int = 1, digest: bytes | None = None, **values: Any) -> Item:
    return Item(
        f"proposal/{own}",
        digest=digest or f"{own}{title}".encode().ljust(16)[:16],
        build=lambda: proposal(own, title, **values),
        counters=Counters(supports=supports, comments=0),
        token=f"{supports}",
        raw={"id": own},
    )


def store(engine: Engine, clock: FakeClock) -> InstanceStore:
    return InstanceStore(engine, "west", ["nl", "en"], clock, kinds=KINDS)


def rows(engine: Engine, sql: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def test_a_page_is_written_with_everything_that_belongs_to_it(engine: Engine, clock: FakeClock) -> None:
    answer = Answer(id="proposal-1", target="proposal/1", state=State.ACCEPTED, texts=(rich("nl", "", "<p>Ja</p>"),))
    file = Attachment(kind="document", id="9", owner="proposal/1", title="plan.pdf")
    built = [*proposal(1), answer, file]
    page = Page(SCOPE, [Item("proposal/1", b"1" * 16, lambda: built, Counters(supports=3))], complete=True)
    written = store(engine, clock).write(page)
    assert (written.created, written.tallies, written.quarantined) == (1, 1, 0)
    [row] = rows(engine, "SELECT key, title, state, supports, gone_at, locale FROM proposals")
    assert row == ("west/proposal/1", "Meer bomen", "open", 3, None, "nl")
    assert rows(engine, "SELECT locale, machine, body FROM proposal_texts ORDER BY 1") == [
        ("en", True, "Green"),
        ("nl", False, "Groen"),
    ] or (
        rows(engine, "SELECT locale, machine, body FROM proposal_texts ORDER BY 1")
        == [("en", 1, "Green"), ("nl", 0, "Groen")]
    )
    assert rows(engine, "SELECT target_key, state, body FROM answers") == [("west/proposal/1", "accepted", "Ja")]
    assert rows(engine, "SELECT name FROM proposal_categories") == [("Groen",)]
    assert rows(engine, "SELECT title FROM attachments") == [("plan.pdf",)]


def test_unchanged_rows_are_not_mapped_and_not_written(engine: Engine, clock: FakeClock) -> None:
    store(engine, clock).write(Page(SCOPE, [item(1), item(2)], complete=True))
    before = rows(engine, "SELECT * FROM proposal ORDER BY key")
    clock.advance(3600)

    def never() -> list[Record]:
        raise AssertionError("an unchanged record was mapped")

    same = Item("proposal/1", item(1).digest, never, Counters(supports=1, comments=0), "1")
    written = store(engine, clock).write(Page(SCOPE, [same, item(2)], complete=True))
    assert (written.created, written.changed, written.unchanged, written.tallies) == (0, 0, 2, 0)
    assert rows(engine, "SELECT * FROM proposal ORDER BY key") == before


def test_a_new_support_is_a_tally_and_not_a_version(engine: Engine, clock: FakeClock) -> None:
    store(engine, clock).write(Page(SCOPE, [item(1, supports=1)]))
    clock.advance(60)
    store(engine, clock).write(Page(SCOPE, [item(1, supports=2)]))
    assert rows(engine, "SELECT supports FROM supports_over_time ORDER BY seen_at") == [(1,), (2,)]
    assert rows(engine, "SELECT supports, version FROM proposals") == [(2, 1)]
    assert rows(engine, "SELECT count(*) FROM proposal_versions") == [(0,)]


def test_an_edit_keeps_the_earlier_version(engine: Engine, clock: FakeClock) -> None:
    store(engine, clock).write(Page(SCOPE, [item(1, "Eerst")]))
    clock.advance(60)
    store(engine, clock).write(
        Page(SCOPE, [item(1, "Daarna", state=State.ACCEPTED, native_state="accepted", categories=())])
    )
    assert rows(engine, "SELECT title, state, version FROM proposals") == [("Daarna", "accepted", 2)]
    [(state, texts)] = rows(engine, "SELECT state, texts FROM proposal_versions")
    assert state == "open" and "Eerst" in str(texts)
    assert rows(engine, "SELECT count(*) FROM proposal_texts") == [(2,)]
    assert rows(engine, "SELECT count(*) FROM proposal_categories") == [(0,)]


def test_a_bad_record_goes_to_quarantine_and_comes_back(engine: Engine, clock: FakeClock) -> None:
    def bad() -> list[Record]:
        raise MappingError("publishedAt", "not a time")

    broken = Item("proposal/2", b"x" * 16, bad, raw={"id": 2, "publishedAt": "gisteren"})
    invalid = Item("proposal/3", b"y" * 16, lambda: [Proposal(id="3", latitude=120.0)], raw={"id": 3})
    lying = Item("proposal/4", b"z" * 16, lambda: proposal(5), raw={"id": 4})
    written = store(engine, clock).write(Page(SCOPE, [item(1), broken, invalid, lying], complete=True))
    assert (written.created, written.quarantined) == (1, 3)
    found = rows(engine, "SELECT ref, field, times FROM quarantine ORDER BY ref")
    assert found == [("proposal/2", "publishedAt", 1), ("proposal/3", "latitude", 1), ("proposal/4", "record", 1)]
    store(engine, clock).write(Page(SCOPE, [broken]))
    assert rows(engine, "SELECT times FROM quarantine WHERE ref = 'proposal/2'") == [(2,)]
    store(engine, clock).write(Page(SCOPE, [item(2), item(3), item(4)]))
    assert rows(engine, "SELECT count(*) FROM quarantine") == [(0,)]
    assert rows(engine, "SELECT count(*) FROM proposals") == [(4,)]


def test_what_a_citizen_typed_is_not_in_the_reason(engine: Engine, clock: FakeClock) -> None:
    invalid = Item("proposal/3", b"y" * 16, lambda: [Proposal(id="3", latitude="mijn adres")], raw={"id": 3})  # pyright: ignore
    store(engine, clock).write(Page(SCOPE, [invalid]))
    assert "mijn adres" not in str(rows(engine, "SELECT * FROM quarantine"))


def test_page_and_checkpoint_commit_together(engine: Engine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store(engine, clock)
    first.write(Page(SCOPE, [item(1)], next={"after": 1}))
    monkeypatch.setattr(first.sweeps, "keep", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
    with pytest.raises(RuntimeError):
        first.write(Page(SCOPE, [item(2)], next={"after": 2}))
    again = store(engine, clock)
    assert again.cursor(SCOPE) == {"after": 1}
    assert rows(engine, "SELECT count(*) FROM proposals") == [(1,)]


def test_a_resumed_sweep_knows_what_the_killed_process_saw(engine: Engine, clock: FakeClock) -> None:
    store(engine, clock).write(Page(SCOPE, [item(1), item(2), item(3)], complete=True))
    fresh = store(engine, clock)
    fresh.write(Page(SCOPE, [item(1)], next={"after": 1}))
    resumed = store(engine, clock)
    assert resumed.cursor(SCOPE) == {"after": 1}
    resumed.write(Page(SCOPE, [item(2)], complete=True))
    assert set(find_missing(resumed, SCOPE).refs) == {"proposal/3"}


def test_the_run_that_continues_an_interrupted_one_is_told_what_is_done(engine: Engine, clock: FakeClock) -> None:
    interrupted = store(engine, clock)
    assert interrupted.sweeps.begin(clock.now(), continues=False) == []
    interrupted.write(Page(SCOPE, [item(1), item(2)], complete=True))
    interrupted.write(Page(SCOPE, [item(3)]))
    interrupted.write(Page("spaces", done=["walk"]))
    following = store(engine, clock)
    assert following.sweeps.begin(clock.now(), continues=True) == [SCOPE]
    assert following.sweeps.done == {SCOPE, "walk"}
    following.write(Page(SCOPE, [item(4)]))
    assert following.sweeps.seen(SCOPE) == {f"proposal/{own}" for own in (1, 2, 3, 4)}
    following.sweeps.end(SCOPE)
    judged = store(engine, clock)
    assert judged.sweeps.begin(clock.now(), continues=True) == []
    judged.write(Page(SCOPE, [item(5)]))
    assert store(engine, clock).sweeps.begin(clock.now(), continues=True) == [], "five alone are not what the sweep saw"


def test_the_history_of_a_proposal_is_alike_on_both_databases(engine: Engine, clock: FakeClock) -> None:
    mine = store(engine, clock)
    mine.write(Page(SCOPE, [item(1, created_at=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC))]))
    began = clock.now()
    clock.advance(60)
    mine.write(Page(SCOPE, [item(1, "Minder bomen", created_at=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC))]))
    story = history_of(engine, find_proposals(engine, "1")[0])
    assert story["proposal"]["created_at"] == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert story["proposal"]["official"] is False
    assert [(each["locale"], each["machine"], each["title"]) for each in story["texts"]] == [
        ("nl", False, "Minder bomen"),
        ("en", True, "Minder bomen (en)"),
    ]
    [version] = story["versions"]
    assert {each["title"] for each in version["texts"]} == {"Meer bomen", "Meer bomen (en)"}
    assert (version["seen_from"], version["seen_until"]) == (began, clock.now())
    assert story["tallies"][0]["seen_at"] == began
    assert story["instance"] is None and story["confirmed_by"] == "shown"


def test_what_a_sweep_saw_is_looked_up_again_after_each_page_and_forgotten_with_it(
    engine: Engine, clock: FakeClock
) -> None:
    mine = store(engine, clock)
    mine.write(Page(SCOPE, [item(1)], silent=["proposal/8"]))
    assert (set(mine.sweeps.seen(SCOPE)), set(mine.sweeps.silent(SCOPE))) == ({"proposal/1"}, {"proposal/8"})
    mine.write(Page(SCOPE, [item(2)], silent=["proposal/9"], complete=True))
    assert set(mine.sweeps.seen(SCOPE)) == {"proposal/1", "proposal/2"}, "seen"
    assert set(mine.sweeps.silent(SCOPE)) == {"proposal/8", "proposal/9"}, "silent"
    mine.sweeps.end(SCOPE)
    assert not mine.sweeps.seen(SCOPE), "ended"
    assert not mine.sweeps.silent(SCOPE), "ended"


@pytest.mark.parametrize(("hours", "continues"), [(0, False), (7, True)])
def test_what_was_read_long_ago_or_for_another_run_is_read_again(
    engine: Engine, clock: FakeClock, hours: int, continues: bool
) -> None:
    store(engine, clock).write(Page(SCOPE, [item(1)], complete=True))
    clock.advance(hours * 3600)
    following = store(engine, clock)
    assert following.sweeps.begin(clock.now(), continues=continues) == [SCOPE], "it is still to be judged"
    assert not following.sweeps.done
    following.write(Page(SCOPE, [item(2)]))
    assert following.sweeps.dropped == {SCOPE}, "not by a few pages"
    following.write(Page(SCOPE, [item(3)], complete=True))
    assert not following.sweeps.dropped


def test_a_sweep_that_begins_anew_forgets_the_old_one(engine: Engine, clock: FakeClock) -> None:
    store(engine, clock).write(Page(SCOPE, [item(1), item(2)], next={"after": 1}))
    fresh = store(engine, clock)
    fresh.write(Page(SCOPE, [item(1)], complete=True))
    assert set(find_missing(fresh, SCOPE).refs) == {"proposal/2"}


def test_tombstones_take_their_children_and_come_back(engine: Engine, clock: FakeClock) -> None:
    current = store(engine, clock)
    comment = Item(
        "comment/5", b"c" * 16, lambda: [Comment(id="5", target="proposal/1", text=rich("nl", None, "Eens"))]
    )
    current.write(Page(SCOPE, [item(1), item(2)], complete=True))
    current.write(Page("comments", [comment], complete=True))
    record_judgement(current, Judgement(gone={"proposal/1": "hidden"}))
    assert rows(engine, "SELECT remote_id FROM proposals WHERE gone_at IS NULL") == [("2",)]
    assert rows(engine, "SELECT count(*) FROM comments WHERE gone_at IS NULL") == [(0,)]
    back = store(engine, clock).write(Page(SCOPE, [item(1), item(2)], complete=True))
    assert back.changed == 1
    assert rows(engine, "SELECT title, gone_at, version FROM proposals WHERE remote_id = '1'") == [
        ("Meer bomen", None, 1)
    ]


def test_after_its_grace_period_only_key_date_and_reason_stay(engine: Engine, clock: FakeClock) -> None:
    from datetime import timedelta

    current = store(engine, clock)
    current.write(Page(SCOPE, [item(1, address="Dorpsstraat 1")], complete=True))
    record_judgement(current, Judgement(gone={"proposal/1": "hidden"}))
    assert purge(engine, "west", clock.now(), timedelta(days=30)) == 0
    clock.advance(31 * 86400)
    assert purge(engine, "west", clock.now(), timedelta(days=30)) == 1
    [row] = rows(engine, "SELECT key, title, author, address, gone_reason FROM proposals")
    assert row == ("west/proposal/1", "", None, None, "hidden")
    assert rows(engine, "SELECT count(*) FROM proposal_texts") == [(0,)]


def test_totals_and_spaces(engine: Engine, clock: FakeClock) -> None:
    current = store(engine, clock)
    space = Space(kind="component", id="1", names={"nl": "Voorstellen", "en": "Proposals"})
    current.write(Page("spaces", [Item(space.ref, b"s" * 16, lambda: [space])], complete=True))
    current.write(Page(SCOPE, [item(1, supports=4), item(2, supports=5)], complete=True))
    found = totals(engine, "west")
    assert (found["spaces"], found["proposals"], found["supports"], found["quarantined"]) == (1, 2, 9, 0)
    assert rows(engine, "SELECT DISTINCT space FROM proposals") == [("Voorstellen",)]


def test_times_come_back_aware_and_utc(engine: Engine, clock: FakeClock) -> None:
    when = datetime.fromisoformat("2026-03-01T12:00:00+02:00")
    current = store(engine, clock)
    current.write(Page(SCOPE, [item(1, created_at=when)], complete=True))
    from civicsync.core.store.page_writer import PROPOSAL

    with engine.connect() as connection:
        [found] = connection.execute(PROPOSAL.select()).mappings()
    assert found["created_at"] == when and found["created_at"].tzinfo == UTC


@pytest.mark.parametrize("count", [1, 19, 20, 2000])
def test_many_rows_at_once(engine: Engine, clock: FakeClock, count: int) -> None:
    current = store(engine, clock)
    current.write(Page(SCOPE, [item(i) for i in range(count)], complete=True))
    current.write(Page(SCOPE, [item(i, "Anders", 7) for i in range(count)], complete=True))
    assert rows(engine, "SELECT count(*), min(supports), min(version), max(version) FROM proposals") == [
        (count, 7, 2, 2)
    ]


def test_only_tables_that_may_hold_something_are_asked(sqlite: Engine, clock: FakeClock) -> None:
    names = lambda held: {row_class.__tablename__ for row_class in held}  # noqa: E731
    first = store(sqlite, clock)
    assert names(first.held()) == set()
    answer = Answer(id="proposal-1", target="proposal/1", state=State.ACCEPTED, texts=())
    built = [*proposal(1), answer]
    first.write(Page(SCOPE, [Item("proposal/1", b"1" * 16, lambda: built, Counters(supports=3))]))
    # What came inside something else is in a table as well.
    assert names(first.held()) == names(store(sqlite, clock).held()) == {"proposal", "category", "answer"}
    assert find_missing(first, SCOPE).alive == 1
