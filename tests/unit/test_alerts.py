"""Each alert is right, opened once, told, told again after a day, and closed when it is over; what is told is in the outbox."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError, OperationalError

from civicsync.core.alerts import book as module
from civicsync.core.alerts.book import Book, Overview
from civicsync.core.alerts.conditions import Limits
from civicsync.core.alerts.kinds import AlertKind, What
from civicsync.core.alerts.overview import last_turns, overview
from civicsync.core.clock import FakeClock
from civicsync.core.leases import Lease
from civicsync.core.schedules import cron_line
from tests.support.alerts import HOUR, Town, limits

WEST = limits("west")


@pytest.fixture
def town(sqlite: Engine, clock: FakeClock) -> Town:
    return Town(sqlite, clock)


@pytest.fixture
def both(engine: Engine, clock: FakeClock) -> Town:
    """For what the two databases do in different ways."""
    return Town(engine, clock)


@pytest.fixture
def book(town: Town) -> Book:
    return Book(town.engine, town.clock)


def told(book: Book, limits: Limits = WEST, channels: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [(each.what, each.told["kind"]) for each in book.look(limits, channels)]


def test_an_instance_without_a_good_pull_is_told_once_and_again_after_a_day_and_closed(both: Town) -> None:
    book = Book(both.engine, both.clock)
    both.pulled()
    both.clock.advance(26 * 3600)
    assert told(book) == [], "not before its time"
    both.clock.advance(1)
    assert told(book) == [("opened", "no_good_pull")]
    for _ in range(20):
        both.clock.advance(60)
        assert told(book) == [], "not each time somebody looks"
    both.clock.advance(24 * 3600 - 20 * 60)
    assert told(book) == [("reminder", "no_good_pull")]
    both.clock.advance(60)
    assert told(book) == []
    both.pulled(outcome="failed")
    assert told(book) == [], "a pull that failed ends nothing"
    both.pulled()
    assert told(book) == [("closed", "no_good_pull")]
    assert told(book) == [] == book.open()
    both.clock.advance(27 * 3600)
    assert told(book) == [("opened", "no_good_pull")], "another one is another alert"
    assert both.rows("SELECT count(*), count(open_as) FROM alert") == [(2, 1)]


def test_one_that_was_never_read_is_late_when_it_has_been_watched_for_that_long(town: Town, book: Book) -> None:
    town.clock.advance(1000 * 3600)
    assert told(book) == [], "just configured"
    town.clock.advance(26 * 3600 + 1)
    assert told(book) == [("opened", "no_good_pull")]
    assert told(book, limits()) == [("closed", "no_good_pull")], "taken out of the configuration"
    town.clock.advance(100 * 3600)
    assert told(book) == [], "put back: it is watched anew"


def test_a_pull_that_asks_is_told_when_nobody_answers_for_long(both: Town) -> None:
    book = Book(both.engine, both.clock)
    both.pulled()
    both.pulled(outcome="undecided")
    for _ in range(24):
        both.clock.advance(3600)
        both.pulled(outcome="undecided")
        assert told(book) == []
    both.clock.advance(60)
    both.pulled(outcome="failed")
    assert told(book) == [("opened", "pull_asks")]
    both.pulled(outcome="done")
    assert told(book) == [("closed", "pull_asks")]


def test_a_halted_route_is_told_until_a_person_lets_it_go_on(town: Town, book: Book) -> None:
    town.halted()
    assert told(book, limits("west", routes=())) == [], "a route that is not in use"
    assert told(book) == [("opened", "route_halted")]
    town.halted(yes=False)
    assert told(book) == [("closed", "route_halted")]


def test_a_host_that_fails_is_over_when_it_takes_a_write_and_not_when_its_rest_is_over(town: Town, book: Book) -> None:
    town.ledger.count_failure("host.example", 2, HOUR)
    assert told(book) == [], "one failure is no trouble"
    town.ledger.count_failure("host.example", 2, HOUR)
    assert told(book) == [("opened", "host_left_alone")]
    town.clock.advance(2 * 3600)
    assert told(book) == [], "it may be written to again, and nobody knows yet"
    town.ledger.count_success("host.example")
    assert told(book) == [("closed", "host_left_alone")]
    town.ledger.count_failure("host.example", 1, HOUR)
    assert told(book) == [("opened", "host_left_alone")]
    town.clock.advance(26 * 3600)
    assert ("closed", "host_left_alone") in told(book), "nobody writes there any more"


def test_what_waits_for_a_person_for_long_is_told(town: Town, book: Book) -> None:
    town.publication("p-1", "held", title="Een burger schreef dit")
    town.clock.advance(24 * 3600)
    town.publication("p-2", "conflict")
    assert told(book) == []
    town.clock.advance(1)
    [notice] = book.look(WEST)
    assert (notice.what, notice.told["kind"]) == (What.OPENED, AlertKind.WAITS_FOR_PERSON)
    assert notice.told["alerts"] == [{"subject": "over", "since": "2026-03-01T12:00:00+00:00", "many": 2}]
    assert "burger" not in f"{notice}", "what a citizen typed is in no alert"
    town.publication("p-1", "rejected")
    assert told(book) == [("closed", "waits_for_person")], "what is left does not wait for that long yet"


def test_second_copies_are_told_and_more_of_them_at_once(town: Town, book: Book) -> None:
    town.publication("p-1", "sent", "twins")
    assert told(book) == [("opened", "two_copies")]
    town.publication("p-2", "sent", "twins")
    town.publication("p-3", "sent", "twins")
    [grown] = book.look(WEST)
    assert grown.what is What.GROWN and "3 publications" in grown.body
    town.publication("p-3", "sent")
    assert told(book) == [], "fewer is no news"
    town.publication("p-4", "sent", "twins")
    assert told(book) == [("grown", "two_copies")], "more than there were"
    for own in ("p-1", "p-2", "p-4"):
        town.publication(own, "sent")
    assert told(book) == [("closed", "two_copies")]


def test_many_at_once_are_one_notice_and_each_closes_for_itself(town: Town, book: Book) -> None:
    names = tuple(f"city-{number}" for number in range(40))
    for name in names:
        town.pulled(name)
    assert told(book, limits(*names)) == []
    town.clock.advance(27 * 3600)
    [notice] = book.look(limits(*names), ["webhook:chat"])
    assert notice.title == "no good pull of city-0, city-1, city-10 and 37 more"
    assert [each["subject"] for each in notice.told["alerts"]] == sorted(names)
    town.pulled("city-7")
    [closed] = book.look(limits(*names))
    assert (closed.what, closed.title) == (What.CLOSED, "pulls of city-7 are not late any more")
    assert closed.answers == [notice.uid]
    assert len(book.open()) == 39


def test_a_look_that_finds_nothing_new_writes_nothing(town: Town, book: Book) -> None:
    town.halted()
    book.look(WEST)
    statements = list[str]()
    event.listen(town.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert book.look(WEST) == []
    assert statements and all(each.lstrip().startswith(("SELECT", "PRAGMA")) for each in statements)


def test_alert_notice_and_deliveries_are_one_transaction(both: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between opening and telling: neither is there, and the next look does both."""
    book = Book(both.engine, both.clock)
    both.halted()
    real = module.Book._notice

    def dies(*given: object, **more: object) -> list[module.Notice]:
        real(*given, **more)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Book, "_notice", dies)
    with pytest.raises(KeyboardInterrupt):
        book.look(WEST, ["mail:a@b.example"])
    counts = "SELECT (SELECT count(*) FROM alert), (SELECT count(*) FROM alert_notice), (SELECT count(*) FROM alert_delivery)"
    assert both.rows(counts) == [(0, 0, 0)]
    monkeypatch.undo()
    both.clock.advance(200)
    assert told(book, channels=("mail:a@b.example", "webhook:chat")) == [("opened", "route_halted")]
    assert both.rows(counts) == [(1, 1, 2)]


def test_processes_that_look_at_the_same_moment_open_nothing_twice(both: Town) -> None:
    both.halted()
    both.publication("p-1", "sent", "twins")
    ready, notices = threading.Barrier(4), list[module.Notice]()

    def looks() -> None:
        own = Book(both.engine, both.clock)
        ready.wait()
        for _ in range(3):
            notices.extend(own.look(WEST, ["webhook:chat"]))

    threads = [threading.Thread(target=looks) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    Book(both.engine, both.clock).look(WEST, ["webhook:chat"])
    assert both.rows("SELECT kind, count(*) FROM alert GROUP BY kind ORDER BY kind") == [
        ("route_halted", 1),
        ("two_copies", 1),
    ]
    assert both.rows("SELECT count(*) FROM alert_delivery") == [(2,)]


def test_two_that_missed_each_other_still_open_it_once(both: Town) -> None:
    """The constraint holds what the lease should have."""
    book = Book(both.engine, both.clock)
    both.halted()
    changes = book._changes(WEST, lambda _since: None)
    with both.engine.begin() as connection:
        assert len(book._write(connection, changes, ["webhook:chat"])) == 1
    with both.engine.begin() as connection:
        assert book._write(connection, changes, ["webhook:chat"]) == [], "opened by the other one"
    assert len(book.open()) == 1
    row = {"kind": "k", "subject": "s", "open_as": book.open()[0]["open_as"], "many": 1, "opened_by": ""}
    row |= dict.fromkeys(("opened_at", "told_at"), both.clock.now())
    with pytest.raises(IntegrityError), both.engine.begin() as connection:
        connection.execute(module.ALERT.insert(), row)


def test_whoever_lost_the_lease_tells_nothing(town: Town, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    town.halted()
    real = Book._changes

    def slept(self: Book, *given: object) -> module._Changes:
        found = real(self, *given)  # type: ignore[arg-type]
        if Lease(town.engine, module.LEASE_NAME, town.clock).free_at() is not None:
            town.clock.advance(600)
            assert Lease(town.engine, module.LEASE_NAME, town.clock).take(), "somebody else took over"
        return found

    monkeypatch.setattr(Book, "_changes", slept)
    assert book.look(WEST, ["webhook:chat"]) == []
    assert town.rows("SELECT count(*) FROM alert") == [(0,)]


def test_while_another_process_tells_this_one_does_not(town: Town, book: Book) -> None:
    town.halted()
    other = Lease(town.engine, module.LEASE_NAME, town.clock)
    assert other.take()
    assert told(book) == []
    other.release()
    assert told(book) == [("opened", "route_halted")]


def test_a_database_that_is_away_says_so(town: Town, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception())

    monkeypatch.setattr(module, "standing", away)
    with pytest.raises(OperationalError):
        book.look(WEST)


def test_what_was_told_long_ago_is_let_go_and_what_waits_is_not(town: Town, book: Book) -> None:
    town.halted()
    book.look(WEST, ["webhook:chat", "webhook:slow"])
    town.halted(yes=False)
    book.look(WEST, ["webhook:slow"])
    with town.engine.begin() as connection:
        connection.execute(
            module.DELIVERY.update().where(module.DELIVERY.c.channel == "webhook:chat").values(state="delivered")
        )
        newest = module.DELIVERY.update().where(module.DELIVERY.c.notice_id == 2).values(state="delivered")
        connection.execute(newest)
    town.clock.advance(366 * 86_400)
    town.halted()
    book.look(limits())
    assert town.rows("SELECT id FROM alert_notice ORDER BY id") == [(1,), (3,)], (
        "the first was not delivered everywhere"
    )
    assert town.rows("SELECT count(*) FROM alert") == [(1,)]


# The daily overview -----------------------------------------------------------------------------------------------------


def test_the_turns_of_an_overview_are_those_of_its_line_in_its_zone() -> None:
    daily, zone = cron_line("0 8 * * *"), ZoneInfo("Europe/Amsterdam")
    assert daily is not None
    now = datetime(2026, 3, 29, 6, 0, tzinfo=UTC)  # the clocks have jumped that night: it is eight
    assert last_turns(daily, zone, now) == (now - timedelta(hours=23), now)
    assert last_turns(daily, zone, now - timedelta(seconds=1)) == (now - timedelta(hours=47), now - timedelta(hours=23))
    weekly = cron_line("0 8 * * mon")
    assert weekly is not None
    found = last_turns(weekly, zone, now)
    assert found is not None and found[1] - found[0] == timedelta(days=7)


def test_a_line_for_every_minute_costs_a_look_nothing() -> None:
    line, asked = cron_line("* * * * *"), list[datetime]()
    assert line is not None

    class Counted:
        def after(self, moment: datetime, zone: Any) -> datetime:
            asked.append(moment)
            return line.after(moment, zone)

    now = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
    found = last_turns(Counted(), ZoneInfo("UTC"), now)  # type: ignore[arg-type]
    assert found == (now.replace(minute=59, hour=11, second=0), now.replace(second=0))
    assert len(asked) < 10


def told_overviews(book: Book, clock: FakeClock, watched: list[datetime]) -> int:
    line = cron_line("0 8 * * *")
    assert line is not None

    def due(since: datetime) -> Overview | None:
        watched.append(since)
        turns = last_turns(line, UTC, clock.now())
        if turns is None or turns[1] < since:
            return None
        return Overview(turns[1], turns[0], lambda stands: overview(book, "Stad", ["west"], ["over"], turns, stands))

    return sum(each.what is What.OVERVIEW for each in book.look(WEST, ["mail:a@b.example"], due))


def test_an_overview_is_told_once_a_day_however_often_and_by_however_many(town: Town, book: Book) -> None:
    watched = list[datetime]()
    assert told_overviews(book, town.clock, watched) == 0
    days = 0
    for _ in range(24):
        town.clock.advance(3600)
        days += told_overviews(book, town.clock, watched)
        days += told_overviews(Book(town.engine, town.clock), town.clock, watched)  # another process, or a restart
    assert days == 1, "and none for a turn before anything was watched"
    town.clock.advance(3 * 86_400)
    town.halted()
    assert told_overviews(book, town.clock, watched) == 1, "one makes up for all that were missed"
    [newest] = [each for each in book.newest(1) if each.what is What.OVERVIEW]
    assert newest.title == "daily overview: 2 alerts open", "also what this very look found"
    assert town.rows("SELECT count(*), count(DISTINCT overview_of) FROM alert_notice WHERE what = 'overview'") == [
        (2, 2)
    ]


def test_an_overview_tells_what_was_done_and_what_stands_also_when_all_is_well(both: Town) -> None:
    book = Book(both.engine, both.clock)
    began = both.clock.now()
    both.pulled(created=3, changed=4, gone=1)
    both.pulled(created=2)
    both.publication("p-1", "sent", title="Een burger schreef dit")
    with both.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO operation (publication_id, route, target_instance, kind, lane, state, payload_hash, attempts, reason_code, error, "
            f"created_at, changed_at) VALUES ('p-1', 'over', 't', 'create', 'text', 'sent', '', 1, '', '', '{both.moment(began)}', "
            f"'{both.moment(began)}')"
        )
    both.clock.advance(3600)
    title, body, data = overview(book, "Stad", ["west", "new"], ["over"], (began, both.clock.now()), [])
    assert title == "daily overview: all is well" and "No alert is open." in body
    assert "- west: last good pull 2026-03-01 12:00; 2 runs, 5 new, 4 changed, 1 gone" in body
    assert "- new: last good pull never; 0 runs" in body
    assert "- over: 1 copies made; 1 copies stand" in body
    assert data["instances"]["west"]["created"] == 5 and data["routes"]["over"]["written"] == {"create": 1}
    assert "burger" not in title + body + str(data)
    later = overview(book, "Stad", ["west"], ["over"], (both.clock.now(), both.clock.now() + HOUR), [])
    assert later[2]["instances"]["west"]["runs"] == 0 and later[2]["routes"]["over"]["written"] == {}
    both.halted()
    book.look(WEST, ["webhook:chat"])
    title, body, data = overview(book, "Stad", ["west"], ["over"], (began, both.clock.now()), book.open())
    assert title == "daily overview: 1 alert open" and "- route_halted over, for 0 minutes" in body
    assert "- over: STOPPED; " in body and "1 deliveries of earlier notices did not arrive" in body
    assert data["open"] == [{"kind": "route_halted", "subject": "over", "opened": both.clock.now().isoformat()}]
