"""No notice is lost: each is brought to every channel, in order, whatever fails, dies or is away."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from civicsync.app.operations.alerts.alerter import Alerter, limits
from civicsync.config import Config, load
from civicsync.core import events
from civicsync.core.alerts.book import DELIVERY, Book, Notice
from civicsync.core.alerts.kinds import DeliveryState
from civicsync.core.alerts.outbox import CLAIM, GIVE_UP, Answer, Outbox, pause
from civicsync.core.clock import FakeClock
from tests.support.alerts import Town
from tests.support.alerts import limits as watched

HOOK, MAIL = "webhook:chat", "mail:a@b.example"
CONFIG = """civicsync: 1
operator: {name: Stad, contact: a@b.example}
privacy: {key: "${KEY}"}
alerts:
  webhooks: {chat: {url: "http://127.0.0.1:9/x", secret: "${SECRET}"}}
  mail: {host: 127.0.0.1, port: 9, tls: off, from: c@b.example, to: [a@b.example]}
  overview: off
"""
CITIES = """instances:
  west: {platform: decidim, url: "http://127.0.0.1:9"}
"""
SECRETS = {"KEY": "0123456789abcdef" * 4, "SECRET": "pl4nted-signing-secret"}


def configured(folder: Path, more: str = "", cities: str = CITIES) -> Config:
    file = folder / "civicsync.yaml"
    file.write_text(CONFIG + more + cities)
    return load(file, SECRETS)


def tell(town: Town, *channels: str, times: int = 1) -> None:
    """Something happens, that many times."""
    book = Book(town.engine, town.clock)
    for _ in range(times):
        before = len(book.open())
        town.halted(yes=not before)
        assert len(book.look(watched(), channels or (HOOK, MAIL))) == 1


@pytest.fixture
def town(sqlite: Engine, clock: FakeClock) -> Town:
    return Town(sqlite, clock)


@pytest.fixture
def both(engine: Engine, clock: FakeClock) -> Town:
    """For what the two databases do in different ways."""
    return Town(engine, clock)


class Receiver:
    """What a channel leads to: takes everything, unless told otherwise."""

    def __init__(self) -> None:
        self.got = list[str]()
        self.tried = list[str]()
        self.answers: dict[str, Answer] = {}
        self.answer = Answer(True)

    async def __call__(self, notice: Notice) -> Answer:
        self.tried.append(notice.uid)
        answer = self.answers.get(notice.uid, self.answer)
        if answer.delivered:
            self.got.append(notice.uid)
        return answer


def alerter(town: Town, folder: Path, monkeypatch: pytest.MonkeyPatch, **receivers: Any) -> Alerter:
    made = Alerter(configured(folder), town.engine, town.clock, folder)
    known = {HOOK: receivers.get("hook", Receiver()), MAIL: receivers.get("mail", Receiver())}
    monkeypatch.setattr(made, "sender", lambda channel: known[channel])
    return made


def uids(town: Town) -> list[str]:
    return [row[0] for row in town.rows("SELECT uid FROM alert_notice ORDER BY id")]


def states(town: Town, channel: str = HOOK) -> list[str]:
    with town.engine.connect() as connection:
        query = text("SELECT state FROM alert_delivery WHERE channel = :channel ORDER BY id")
        return list(connection.execute(query, {"channel": channel}).scalars())


async def test_a_receiver_that_is_away_for_two_days_gets_everything_in_order(
    both: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, mail = Receiver(), Receiver()
    made = alerter(both, tmp_path, monkeypatch, hook=hook, mail=mail)
    hook.answer = Answer(False, "nothing listens there")
    for _ in range(48):
        tell(both)
        await made.bring()
        both.clock.advance(3600)
    assert mail.got == uids(both), "one channel's trouble is not another's"
    assert hook.got == [] and set(hook.tried) == {uids(both)[0]}, "one at a time is tried, not all of them each hour"
    assert len(hook.tried) < 60
    hook.answer = Answer(True)
    both.clock.advance(3600)
    brought = await made.bring()
    assert hook.got == uids(both) and brought.states == {DeliveryState.DELIVERED: 48}
    assert await made.bring() == type(brought)()


async def test_pauses_grow_to_an_hour_and_a_receiver_that_asks_for_more_gets_it(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [pause(n).total_seconds() for n in (1, 2, 3, 7, 200)] == [60, 120, 240, 3600, 3600]
    hook = Receiver()
    made = alerter(town, tmp_path, monkeypatch, hook=hook)
    hook.answer = Answer(False, "slow down", wait=7200)
    tell(town, HOOK)
    await made.bring()
    town.clock.advance(7199)
    await made.bring()
    await made.bring(by_hand=True)
    assert len(hook.tried) == 1, "also when somebody asks by hand: the receiver said for how long"
    town.clock.advance(1)
    await made.bring()
    assert len(hook.tried) == 2


async def test_by_hand_each_is_tried_once_whatever_its_pause(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Receiver):
        async def __call__(self, notice: Notice) -> Answer:
            town.clock.advance(20)
            return await super().__call__(notice)

    hook = Slow()
    made = alerter(town, tmp_path, monkeypatch, hook=hook)
    hook.answer = Answer(False, "nothing listens there")
    tell(town, HOOK, times=3)
    for tries in (1, 2, 3):
        brought = await made.bring(by_hand=True)
        assert len(hook.tried) == tries
        assert brought.failed == {HOOK: "nothing listens there"}
        town.clock.advance(1)


async def test_one_that_is_refused_does_not_keep_what_comes_after_it_waiting(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Receiver()
    made = alerter(town, tmp_path, monkeypatch, hook=hook)
    tell(town, HOOK, times=3)
    first, second, third = uids(town)
    hook.answers[first] = Answer(False, "it refuses this notice (422)", refused=True)
    await made.bring()
    assert hook.got == [second, third] and states(town) == ["refused", "delivered", "delivered"]
    del hook.answers[first]
    town.clock.advance(60)
    await made.bring()
    assert hook.got == [second, third, first], "and it is tried again"


async def test_after_a_week_it_is_given_up_kept_told_and_taken_up_again(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Receiver()
    made = alerter(town, tmp_path, monkeypatch, hook=hook)
    hook.answer = Answer(False, "nothing listens there")
    tell(town, HOOK)
    while states(town) == ["waiting"]:
        town.clock.advance(1800)
        await made.bring()
    assert states(town) == ["given_up"]
    [row] = made.outbox.undelivered()
    assert (row["error"], row["title"]) == ("nothing listens there", "the route over has stopped")
    assert timedelta(0) <= town.clock.now() - row["at"] - GIVE_UP < timedelta(hours=2)
    hook.answer = Answer(True)
    await made.bring()
    assert hook.got == []
    assert made.outbox.take_up_again() == 1
    await made.bring()
    assert hook.got == uids(town) and made.outbox.undelivered() == []


async def test_a_receiver_that_is_gone_for_good_is_not_asked_again(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Receiver()
    made = alerter(town, tmp_path, monkeypatch, hook=hook)
    hook.answer = Answer(False, "gone", gone=True)
    tell(town, HOOK)
    await made.bring()
    town.clock.advance(86_400)
    await made.bring()
    assert len(hook.tried) == 1 and states(town) == ["given_up"]


def test_whoever_died_with_a_delivery_leaves_it_under_the_same_id(both: Town) -> None:
    tell(both, HOOK, times=2)
    outbox, other = Outbox(both.engine, both.clock), Outbox(both.engine, both.clock)
    first = outbox.claim(HOOK)
    assert first is not None and first.attempts == 1
    assert other.claim(HOOK) is None, "one at a time, so that they come in order"
    both.clock.advance(CLAIM.total_seconds() - 1)
    assert other.claim(HOOK) is None
    both.clock.advance(1)
    again = other.claim(HOOK)
    assert again is not None and again.attempts == 2
    assert again.notice == first.notice, "the same id, by which the receiver knows it"
    assert outbox.settle(first, Answer(False, "late")) is None, "the one that was thought dead has no say"
    assert other.settle(again, Answer(True)) is DeliveryState.DELIVERED
    assert outbox.settle(first, Answer(True)) is None
    following = outbox.claim(HOOK)
    assert following is not None and following.notice.id == first.notice.id + 1


def test_one_that_was_delivered_after_all_is_not_sent_a_third_time(town: Town) -> None:
    tell(town, HOOK)
    outbox = Outbox(town.engine, town.clock)
    first = outbox.claim(HOOK)
    assert first is not None
    town.clock.advance(CLAIM.total_seconds())
    second = outbox.claim(HOOK)
    assert second is not None
    assert outbox.settle(first, Answer(True)) is DeliveryState.DELIVERED, "it was slow, and the receiver has it"
    assert outbox.settle(second, Answer(False, "no answer")) is None
    assert states(town) == ["delivered"]


def test_of_many_that_claim_at_once_one_gets_it(both: Town) -> None:
    tell(both, HOOK)
    outbox = Outbox(both.engine, both.clock)
    real, taken = outbox._next, list[object]()

    def beaten(*given: Any) -> Any:
        found = real(*given)
        if not taken:
            taken.append(None)
            taken.append(Outbox(both.engine, both.clock).claim(HOOK))
        return found

    outbox._next = beaten  # type: ignore[method-assign]
    assert (outbox.claim(HOOK) is None) == (taken[1] is not None)
    assert both.rows("SELECT attempts FROM alert_delivery") == [(1,)]


async def test_a_stop_gives_a_delivery_back_at_once(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def hangs(_: Notice) -> Answer:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    made = alerter(town, tmp_path, monkeypatch, hook=hangs)
    tell(town, HOOK)
    made._bring_aside()
    await begun.wait()
    monkeypatch.setattr("civicsync.app.operations.alerts.alerter.PARTING", 0.01)
    await made._part()
    assert made._at_work == {}
    again = made.outbox.claim(HOOK)
    assert again is not None and again.attempts == 2, "nobody waits until the claim runs out"


async def test_a_mistake_in_one_channel_ends_nothing(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(_: Notice) -> Answer:
        raise RuntimeError(f"https://x.example/?token={SECRETS['SECRET']}")

    mail = Receiver()
    made = alerter(town, tmp_path, monkeypatch, hook=breaks, mail=mail)
    tell(town)
    heard = list[events.Event]()
    with events.listen(heard.append):
        brought = await made.bring()
    assert mail.got == uids(town) and states(town) == ["waiting"]
    assert brought.failed == {HOOK: "a mistake in civicsync (RuntimeError)"}
    assert SECRETS["SECRET"] not in f"{heard} {town.rows('SELECT error FROM alert_delivery')}"


async def test_no_secret_and_no_address_of_a_person_gets_into_the_table_or_the_events(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, mail = Receiver(), Receiver()
    said = list[str]()
    made = alerter(town, tmp_path, monkeypatch, hook=hook, mail=mail)
    made.say = lambda name, words: said.append(f"{name} {words}")
    hook.answer = mail.answer = Answer(False, f"it said {SECRETS['SECRET']} \x1b[2J" + "x" * 1000)
    tell(town)
    heard = list[events.Event]()
    with events.listen(heard.append):
        await made.bring()
    rows = town.rows("SELECT error FROM alert_delivery")
    assert all(len(words) <= 300 and "***" in words and "\x1b" not in words for (words,) in rows)
    assert SECRETS["SECRET"] not in f"{rows} {heard} {said}"
    assert "a@b.example" not in f"{heard} {said}", "the channel is called `mail` there"
    assert {each for each in heard if isinstance(each, events.DeliveryTried)} == {
        events.DeliveryTried("webhook:chat", "waiting", 1),
        events.DeliveryTried("mail", "waiting", 1),
    }


async def test_a_failing_channel_is_said_once_and_when_it_works_again(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, said = Receiver(), list[str]()
    made = alerter(town, tmp_path, monkeypatch, hook=hook)
    made.say = lambda _name, words: said.append(words)
    hook.answer = Answer(False, "nothing listens there")
    tell(town, HOOK)
    for _ in range(5):
        await made.bring()
        town.clock.advance(3600)
    hook.answer = Answer(True)
    await made.bring()
    assert said == ["webhook:chat: nothing listens there; it is tried again", "webhook:chat: notices arrive again"]


def test_what_waits_for_a_channel_that_is_gone_from_the_configuration_is_given_up_in_the_end(town: Town) -> None:
    tell(town, "webhook:old")
    outbox = Outbox(town.engine, town.clock)
    outbox.give_up_unknown([HOOK])
    assert states(town, "webhook:old") == ["waiting"], "it may be back tomorrow"
    town.clock.advance(GIVE_UP.total_seconds() + 1)
    outbox.give_up_unknown(["webhook:old"])
    assert states(town, "webhook:old") == ["waiting"]
    outbox.give_up_unknown([HOOK])
    assert states(town, "webhook:old") == ["given_up"]
    assert "no such channel" in outbox.undelivered()[0]["error"]


def test_a_notice_is_once_in_the_outbox_of_a_channel(town: Town) -> None:
    tell(town, HOOK, HOOK)
    assert states(town) == ["waiting"]
    row = {"notice_id": 1, "channel": HOOK, "state": "waiting", "attempts": 0, "due_at": town.clock.now(), "error": ""}
    with pytest.raises(Exception, match="UNIQUE"), town.engine.begin() as connection:
        connection.execute(DELIVERY.insert(), row)


# Looking, by a configuration --------------------------------------------------------------------------------------------


def test_late_is_what_the_schedule_and_the_limit_say(tmp_path: Path, clock: FakeClock) -> None:
    cities = """instances:
  west: {platform: decidim, url: "http://127.0.0.1:9", every: 15m}
  weekly: {platform: decidim, url: "http://127.0.0.1:9/w", every: "0 3 * * mon"}
  slow: {platform: decidim, url: "http://127.0.0.1:9/s", every: 15m}
  off: {platform: decidim, url: "http://127.0.0.1:9/o", every: 15m}
  nights: {platform: decidim, url: "http://127.0.0.1:9/n", every: 1h, never_between: ["mon-fri 00:00-23:59"]}
"""
    more = "  no_good_pull_for: 4h\n  no_good_pull_of: {slow: 3d, off: off}\n"
    found = limits(configured(tmp_path, more, cities)).late
    monday = clock.now().replace(day=2, hour=3, minute=1)
    hours = {name: (late(monday) - monday).total_seconds() / 3600 for name, late in found.items()}
    assert hours["west"] == 4 and hours["slow"] == 72 and "off" not in hours
    assert abs(hours["weekly"] - (7 * 24 + 4)) < 0.1, "from the turn that should have followed"
    assert hours["nights"] > 20, "quiet hours put its turn off"


def test_a_look_writes_the_feed_at_once_or_says_why_not(town: Town, tmp_path: Path) -> None:
    said = list[str]()
    config = configured(tmp_path, "  feed: news.atom\n")
    made = Alerter(config, town.engine, town.clock, tmp_path, lambda _name, words: said.append(words))
    made.look()
    feed = tmp_path / "news.atom"
    empty = feed.read_bytes()
    assert b"<entry>" not in empty
    town.clock.advance(600)
    made.look()
    assert feed.read_bytes() == empty, "it is touched where something is told"
    town.clock.advance(27 * 3600)
    made.look()
    assert feed.read_bytes().count(b"<entry>") == 1
    assert sorted(each.name for each in tmp_path.iterdir() if "atom" in each.name) == ["news.atom"]
    assert feed.stat().st_mode & 0o777 == 0o644, "whoever serves it may read it"
    lost = Alerter(configured(tmp_path, "  feed: none/news.atom\n"), town.engine, town.clock, tmp_path, made.say)
    lost.look()
    assert said == [
        f"the feed {tmp_path / 'none/news.atom'} cannot be written (No such file or directory); does its folder exist?"
    ]


def test_the_overview_of_a_configuration_comes_at_its_turn_and_not_for_one_before_it_was_watched(
    town: Town, tmp_path: Path
) -> None:
    config = configured(tmp_path)
    config = config.model_copy(update={"alerts": config.alerts.model_copy(update={"overview": "0 8 * * *"})})
    config = config.model_copy(update={"time_zone": "Europe/Amsterdam"})
    made = Alerter(config, town.engine, town.clock, tmp_path)  # it is noon
    town.pulled()
    for _ in range(19):
        assert made.look() == []
        town.clock.advance(3600)
        town.pulled()
    [notice] = made.look()
    assert (notice.what, notice.title) == ("overview", "daily overview: all is well")
    assert "Stad: 2026-03-01 08:00 to 2026-03-02 08:00 CET" in notice.body and "- west: last good pull" in notice.body
    assert states(town) == states(town, MAIL) == ["waiting"], "through every channel"
    assert made.look() == []
    off = Alerter(configured(tmp_path), town.engine, town.clock, tmp_path)
    town.clock.advance(86_400)
    town.pulled()
    assert off.look() == []


async def test_while_a_process_runs_it_looks_when_all_was_pulled_and_after_each_run(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, ends = list[int](), asyncio.Event()
    made = alerter(town, tmp_path, monkeypatch)
    monkeypatch.setattr(made, "look", lambda: looked.append(1))
    monkeypatch.setattr("civicsync.app.operations.alerts.alerter.SOON", 0.0)

    def ended(name: str) -> None:
        events.emit(events.RunEnded("pull", name, "done", 1.0))

    async def until(times: int) -> None:
        async with asyncio.timeout(20):
            while len(looked) < times:
                await asyncio.sleep(0)

    over = asyncio.Event()
    async with made.going(over, ["west", "east"]):
        ended("west")
        for _ in range(50):
            await asyncio.sleep(0)
        assert looked == [], "east was not read yet: what a machine that slept has missed is no news"
        ended("east")
        await until(1)
        ended("west")
        await until(2)
        ends.set()
    assert over.is_set()


async def test_a_database_that_is_away_ends_one_look_and_no_process(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    looked = list[int]()
    made = alerter(town, tmp_path, monkeypatch)

    def away() -> None:
        looked.append(1)
        raise OperationalError("SELECT", {}, Exception())

    monkeypatch.setattr(made, "look", away)
    monkeypatch.setattr("civicsync.app.operations.alerts.alerter.SOON", 0.0)
    monkeypatch.setattr("civicsync.app.operations.alerts.alerter.EVERY", 0.001)
    async with asyncio.timeout(20), made.going(asyncio.Event()):
        while len(looked) < 3:
            await asyncio.sleep(0)
