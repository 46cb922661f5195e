"""The timetable: what an admin writes is done when it was meant, once, also when clocks change, machines sleep and work takes long."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from civicsync.connectors.contract.settings import InstanceSettings
from civicsync.core.clock import Clock
from civicsync.core.schedules import always_quiet, cron_line, quiet_hours, quiet_until
from civicsync.sync.schedule import LOOK, SPREAD, Timetable, Work, _Alarm, spread, turns

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
MINUTE = timedelta(minutes=1)
SPRING, AUTUMN = datetime(2026, 3, 28, 0, 0), datetime(2026, 10, 24, 0, 0)
"""Local midnights a day before the nights in which Amsterdam's clocks jump from 2 to 3, and go back from 3 to 2."""
JUMP = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


class Simulated(Clock):
    """A clock on which many can sleep at once; `go_on` moves it to whoever wakes first."""

    def __init__(self, start: datetime) -> None:
        self._start, self._elapsed = start, 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        waking = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._elapsed + max(0.0, seconds), waking))
        await waking

    def shift(self, by: timedelta) -> None:
        """The wall clock alone: a machine that slept, or a clock that was set."""
        self._start += by

    async def go_on(self, until: datetime) -> None:
        """Let everything happen until then."""
        while True:
            await asyncio.sleep(0)
            while asyncio.get_running_loop()._ready:  # type: ignore[attr-defined]  # until everybody who woke sleeps again
                await asyncio.sleep(0)
            self._sleepers = [each for each in self._sleepers if not each[1].done()]
            first = min(self._sleepers, key=lambda each: each[0], default=None)
            if first is None or self._start + timedelta(seconds=first[0]) > until:
                self._elapsed = max(self._elapsed, (until - self._start).total_seconds())
                return
            self._elapsed = max(self._elapsed, first[0])
            first[1].set_result(None)


class Desk:
    """A running timetable on a simulated clock, and when each job began."""

    def __init__(self, start: datetime, zone: str = "Europe/Amsterdam") -> None:
        self.clock, self.stop = Simulated(start), asyncio.Event()
        self.said: list[tuple[str, str]] = []
        self.table = Timetable(zone, say=lambda name, text: self.said.append((name, text)), clock=self.clock)
        self.began: dict[str, list[datetime]] = {}
        self._running: asyncio.Future[None] | None = None

    def job(self, name: str, every: str, lasting: float = 0.0, **options: object) -> None:
        self.began[name] = []

        async def work() -> str:
            self.began[name].append(self.clock.now())
            if lasting:
                await self.clock.sleep(lasting)
            return "done"

        self.table.add(name, every, work, **options)  # pyright: ignore[reportArgumentType]

    async def until(self, moment: datetime) -> None:
        if self._running is None:
            self._running = asyncio.ensure_future(self.table.run(self.stop, self.clock.now()))
        await self.clock.go_on(moment)

    async def end(self) -> None:
        assert self._running is not None
        self.stop.set()
        await self.clock.go_on(self.clock.now() + timedelta(days=1))
        await self._running


Meant = Callable[[datetime], bool]


def at(*times: str) -> Meant:
    return lambda local: f"{local:%H:%M}" in times


NAMED: dict[str, Meant] = {
    "0 2 * * *": at("02:00"),
    "30 2 * * *": at("02:30"),
    "15,45 2 * * *": at("02:15", "02:45"),
    "0 2,3 * * *": at("02:00", "03:00"),
    "0 1 * * *": at("01:00"),
    "59 1 * * *": at("01:59"),
    "0 3 * * *": at("03:00"),
    "30 3 * * mon-fri": lambda local: at("03:30")(local) and local.isoweekday() <= 5,
    "0 2 * * 1": lambda local: at("02:00")(local) and local.isoweekday() == 1,
    "0 2 * * 0": lambda local: at("02:00")(local) and local.isoweekday() == 7,
    "30 2 * * 7": lambda local: at("02:30")(local) and local.isoweekday() == 7,
    "30 2 * * sat,sun": lambda local: at("02:30")(local) and local.isoweekday() >= 6,
    "30 2 * * fri-mon": lambda local: at("02:30")(local) and local.isoweekday() in {5, 6, 7, 1},
    "0 22 * * 1-5": lambda local: at("22:00")(local) and local.isoweekday() <= 5,
    "@daily": at("00:00"),
    "@weekly": lambda local: at("00:00")(local) and local.isoweekday() == 7,
    "@monthly": lambda local: at("00:00")(local) and local.day == 1,
    "30 2 last * *": lambda _local: False,
    "30 2 25 10 *": lambda local: at("02:30")(local) and (local.month, local.day) == (10, 25),
    "30 2 29 3 1": lambda local: (
        at("02:30")(local) and local.month == 3 and (local.day == 29 or local.isoweekday() == 1)
    ),
    "0 */2 * * *": lambda local: local.minute == 0 and local.hour % 2 == 0,
    "0 0-23/6 * * *": lambda local: local.minute == 0 and local.hour % 6 == 0,
}
"""Times of a day: each once, whatever the clocks do."""
FLOWING: dict[str, Meant] = {
    "@hourly": lambda local: local.minute == 0,
    "30 * * * *": lambda local: local.minute == 30,
    "*/20 * * * *": lambda local: local.minute % 20 == 0,
    "*/15 2 * * *": lambda local: local.hour == 2 and local.minute % 15 == 0,
    "*/30 1-4 * * sun": lambda local: local.isoweekday() == 7 and 1 <= local.hour <= 4 and local.minute % 30 == 0,
    "5-59/27 * * * *": lambda local: local.minute in {5, 32, 59},
}
"""The time that passes."""
INTERVALS = {"15m": 900, "6h": 21_600}


def meant(every: str, begin: datetime) -> Iterator[datetime]:
    """The moments of 72 hours of the clock on the wall, from a person's reading of the schedule."""
    named = NAMED.get(every)
    local = begin + MINUTE  # the start itself is a turn of everything
    while local <= begin + timedelta(hours=72):
        first = local.replace(tzinfo=AMSTERDAM)
        there = first.astimezone(UTC).astimezone(AMSTERDAM).replace(tzinfo=None) == local
        says = named or FLOWING[every]
        if says(local):
            if there:
                yield first.astimezone(UTC)
                if named is None and first.replace(fold=1).utcoffset() != first.utcoffset():
                    yield first.replace(fold=1).astimezone(UTC)
            elif every not in {"30 * * * *", "5-59/27 * * * *"}:
                yield JUMP
        local += MINUTE


@pytest.mark.parametrize("begin", [SPRING, AUTUMN], ids=["spring", "autumn"])
async def test_72_hours_over_both_changes_of_the_clocks_with_30_schedules(begin: datetime) -> None:
    """Rule: every run when the admin meant it, once."""
    start = begin.replace(tzinfo=AMSTERDAM).astimezone(UTC)
    end = (begin + timedelta(hours=72)).replace(tzinfo=AMSTERDAM).astimezone(UTC) + MINUTE
    desk = Desk(start)
    for every in (*NAMED, *FLOWING, *INTERVALS):
        desk.job(every, every)
    assert len(desk.began) == 30
    await desk.until(end)
    await desk.end()
    for every in (*NAMED, *FLOWING):
        first, *rest = desk.began[every]
        assert first == start
        expected = sorted(set(meant(every, begin)))
        assert [moment - spread(every) for moment in rest] == expected, every
    for every, step in INTERVALS.items():
        rest = desk.began[every][1:]
        assert {(b - a).total_seconds() for a, b in itertools.pairwise(rest)} == {step}
        assert 0.5 * step <= (rest[0] - start).total_seconds() <= 1.5 * step
    hours = 71 if begin == SPRING else 73
    assert len(desk.began["@hourly"]) == 1 + hours
    assert [f"{moment.astimezone(AMSTERDAM):%d %H:%M}" for moment in desk.began["30 2 * * *"][1:]] == (
        ["28 02:30", "29 03:00", "30 02:30"] if begin == SPRING else ["24 02:30", "25 02:30", "26 02:30"]
    )


@pytest.mark.parametrize(
    ("zone", "every", "after", "expected"),
    [
        # Half an hour is there twice (Lord Howe), or midnight (Havana); midnight is not there (Cairo), or a whole day (Apia); what is there
        # twice begins in one hour and ends in the next (St. John's, until 2011).
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00+00:00", ["04-04T14:45", "04-05T15:15"]),
        ("Africa/Cairo", "@daily", "2026-04-23T00:00+00:00", ["04-23T22:00", "04-24T21:00"]),
        ("America/Havana", "30 0 * * *", "2026-11-01T00:00+00:00", ["11-01T04:30", "11-02T05:30"]),
        (
            "America/St_Johns",
            "*/15 * * * *",
            "2010-11-07T02:00+00:00",
            ["11-07T02:15", "11-07T02:30", "11-07T02:45", "11-07T03:00", "11-07T03:15"],
        ),
        ("Pacific/Apia", "0 12 30 12 *", "2011-12-29T00:00+00:00", ["12-30T10:00", "12-29T22:00"]),
    ],
)
def test_clocks_elsewhere_change_otherwise(zone: str, every: str, after: str, expected: list[str]) -> None:
    turn, moment, found = turns(every, zone), datetime.fromisoformat(after), []
    for _ in expected:
        moment = turn(moment)
        found.append(f"{moment:%m-%dT%H:%M}")
    assert found == expected


@pytest.mark.parametrize(
    ("days", "expected"), [("1", 0), ("mon", 0), ("0", 6), ("7", 6), ("1-5", 0), ("6,0", 5), ("0-2", 0), ("*", 0)]
)
def test_cron_week_days_are_counted_from_sunday_as_everywhere_else(days: str, expected: int) -> None:
    fires = turns(f"30 2 * * {days}", "Europe/Amsterdam")(MONDAY).astimezone(AMSTERDAM)
    assert (fires.weekday(), fires.hour, fires.minute) == (expected, 2, 30)


def test_a_day_of_the_month_or_one_of_the_week_is_enough_as_in_every_cron() -> None:
    turn, moment, found = turns("0 6 13 * fri", "UTC"), datetime(2026, 2, 1, tzinfo=UTC), []
    for _ in range(4):
        moment = turn(moment)
        found.append(moment.day)
    assert found == [6, 13, 20, 27]
    assert turns("0 6 last 2 *", "UTC")(MONDAY).date().isoformat() == "2027-02-28"
    assert turns("0 6 29 2 *", "UTC")(MONDAY).date().isoformat() == "2028-02-29"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("soon", "expected an interval"),
        ("* * *", "expected an interval"),
        ("0 0 2 * * *", "expected an interval"),
        ("5 parrots", "expected an interval"),
        ("@reboot", "expected an interval"),
        ("0s", "expected an interval"),
        ("61 * * * *", "'61' is no minute"),
        ("0 24 * * *", "'24' is no hour"),
        ("0 2 * * moon", "'moon' is no day of the week"),
        ("0 2 32 * *", "'32' is no day of the month"),
        ("0 2 * 13 *", "'13' is no month"),
        ("*/0 * * * *", "no step"),
        ("0 20-6 * * *", "ends before it begins"),
        ("0 2 30 2 *", "no such day"),
    ],
)
def test_what_is_neither_an_interval_nor_a_cron_line_is_refused(wrong: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        InstanceSettings(platform="consul", url="http://127.0.0.1", every=wrong)
    assert cron_line("15m") is None


@pytest.mark.parametrize(
    "wrong", ["7-19", "07:00-07:00", "25:00-26:00", "07:60-08:00", "moon 07:00-19:00", "always", "07:00-24:30"]
)
def test_quiet_hours_that_are_none_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="never_between"):
        InstanceSettings(platform="consul", url="http://127.0.0.1", never_between=[wrong])


def test_quiet_hours_leave_some_of_the_week() -> None:
    with pytest.raises(ValueError, match="no minute of the week"):
        InstanceSettings(platform="consul", url="http://127.0.0.1", never_between=["00:00-12:00", "12:00-24:00"])
    assert not always_quiet([quiet_hours("mon-sat 00:00-24:00")])


@pytest.mark.parametrize(
    ("quiet", "moment", "end"),
    [
        (["07:00-19:00"], "2026-03-02T07:00", "2026-03-02T19:00"),
        (["07:00-19:00"], "2026-03-02T19:00", None),
        (["22:30-06:00"], "2026-03-02T23:00", "2026-03-03T06:00"),
        (["fri 22:00-06:00"], "2026-03-07T05:59", "2026-03-07T06:00"),
        (["fri 22:00-06:00"], "2026-03-06T05:59", None),
        (["mon-fri 08:00-18:00"], "2026-03-07T12:00", None),
        (["08:00-12:00", "12:00-13:00"], "2026-03-02T09:30", "2026-03-02T13:00"),
        (["00:00-24:00"][:0], "2026-03-02T09:30", None),
        # In the night when clocks jump from 2 to 3: an end that is not there is the jump.
        (["01:00-02:30"], "2026-03-29T01:30", "2026-03-29T03:00"),
    ],
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall(quiet: list[str], moment: str, end: str | None) -> None:
    local = datetime.fromisoformat(moment).replace(tzinfo=AMSTERDAM)
    found = quiet_until([quiet_hours(each) for each in quiet], local, AMSTERDAM)
    assert (None if found is None else f"{found.astimezone(AMSTERDAM):%Y-%m-%dT%H:%M}") == end


async def test_in_quiet_hours_nothing_begins_and_each_missed_turn_comes_once_at_their_end() -> None:
    """Rule: `never_between` moves turns, it drops none and doubles none."""
    desk = Desk(datetime(2026, 3, 2, 5, 0, tzinfo=UTC), "UTC")
    quiet = ["07:00-19:00"]
    desk.job("often", "15m", never_between=quiet)
    desk.job("noon", "0 12 * * *", never_between=quiet)
    desk.job("night", "0 2 * * *", never_between=quiet)
    await desk.until(datetime(2026, 3, 3, 5, 0, tzinfo=UTC))
    await desk.end()
    assert not [each for began in desk.began.values() for each in began if 7 <= each.hour < 19]
    late = datetime(2026, 3, 2, 19, 0, tzinfo=UTC)
    for name in ("often", "noon"):
        assert [m for m in desk.began[name] if late <= m < late + timedelta(seconds=SPREAD + 1)] == [
            late + spread(name)
        ]
    assert len(desk.began["noon"]) == 2
    assert [m.hour for m in desk.began["night"]] == [5, 2]
    assert [text for name, text in desk.said if name == "noon" and "quiet" in text] == [
        "quiet hours; its turn comes after 19:00"
    ]


async def test_quiet_hours_end_the_work_at_hand() -> None:
    desk = Desk(datetime(2026, 3, 2, 6, 55, tzinfo=UTC), "UTC")
    ending, ended = asyncio.Event(), list[datetime]()

    async def work() -> str:
        await ending.wait()
        ended.append(desk.clock.now())
        return "stopped"

    desk.table.add("long", "1h", work, never_between=["07:00-19:00"], ending=ending)
    await desk.until(datetime(2026, 3, 2, 8, 0, tzinfo=UTC))
    assert ended
    assert ended[0] - datetime(2026, 3, 2, 7, 0, tzinfo=UTC) <= timedelta(seconds=LOOK)
    await desk.until(datetime(2026, 3, 2, 19, 1, tzinfo=UTC))
    assert not ending.is_set(), "the next turn begins with a fresh word"
    await desk.end()
    assert len(ended) == 2, "a stop ends it as well"


async def test_a_machine_that_slept_makes_up_for_what_it_missed_once_and_at_once() -> None:
    """A timer stands still while a machine sleeps: the wall clock is looked at."""
    desk = Desk(datetime(2026, 3, 2, 12, 0, tzinfo=UTC), "UTC")
    desk.job("often", "15m")
    desk.job("daily", "@daily")
    desk.job("weekly", "0 12 * * thu")
    await desk.until(datetime(2026, 3, 2, 12, 1, tzinfo=UTC))
    desk.clock.shift(timedelta(days=3))
    woke = desk.clock.now()
    await desk.until(woke + timedelta(minutes=1))
    assert [len(desk.began[name]) for name in ("often", "daily", "weekly")] == [2, 2, 2]
    assert all(began[1] - woke <= timedelta(seconds=LOOK) for began in desk.began.values())
    await desk.until(woke + timedelta(minutes=31))
    await desk.end()
    assert len(desk.began["often"]) in {3, 4}
    assert len(desk.began["daily"]) == 2


async def test_a_clock_that_was_wrong_and_is_put_back_does_not_silence_anything() -> None:
    desk = Desk(datetime(2026, 3, 2, 12, 0, tzinfo=UTC), "UTC")
    desk.job("daily", "@daily")
    desk.clock.shift(timedelta(days=365))
    await desk.until(desk.clock.now() + timedelta(minutes=5))
    desk.clock.shift(timedelta(days=-365))
    await desk.until(desk.clock.now() + timedelta(days=2))
    await desk.end()
    assert [f"{m:%Y %H:%M}" for m in desk.began["daily"][1:]] == ["2026 00:00", "2026 00:00"]


async def test_one_that_works_for_hours_starves_no_other_and_never_works_twice_at_once() -> None:
    desk = Desk(datetime(2026, 3, 2, 12, 0, tzinfo=UTC), "UTC")
    desk.job("endless", "1m", lasting=5 * 3600)
    desk.job("long", "15m", lasting=20 * 60)
    for number in range(28):
        desk.job(f"quick {number}", "15m")
    await desk.until(datetime(2026, 3, 2, 16, 0, tzinfo=UTC))
    assert {len(desk.began[f"quick {number}"]) for number in range(28)} <= {16, 17}
    assert len(desk.began["endless"]) == 1
    gaps = [b - a for a, b in itertools.pairwise(desk.began["long"])]
    assert set(gaps[1:]) == {timedelta(minutes=30)}, "its platform is left alone between two"
    await desk.end()


async def test_a_cron_turn_that_comes_while_it_works_is_made_up_for_by_one() -> None:
    desk = Desk(datetime(2026, 3, 2, 1, 30, tzinfo=UTC), "UTC")
    desk.job("nightly", "0,20,40 2 * * *", lasting=75 * 60)
    await desk.until(datetime(2026, 3, 2, 12, 0, tzinfo=UTC))
    await desk.end()
    assert [f"{m:%H:%M}" for m in desk.began["nightly"]] == ["01:30", "02:45"]


async def test_turns_of_one_moment_are_spread_and_the_same_in_every_process() -> None:
    moments = {turns("0 2 * * *", "UTC", f"pull city-{number}")(MONDAY) for number in range(200)}
    assert len(moments) > 20
    assert max(moments) - min(moments) <= timedelta(seconds=SPREAD)
    often = [turns("15m", "UTC", f"pull city-{number}")(MONDAY) for number in range(200)]
    per_minute = [sum(1 for each in often if (each - MONDAY) // MINUTE == number) for number in range(15)]
    assert max(per_minute) < 40, "not all in one minute"
    assert often == [turns("15m", "UTC", f"pull city-{number}")(MONDAY) for number in range(200)]


async def test_what_was_done_not_long_ago_waits_for_its_turn() -> None:
    start = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    desk = Desk(start, "UTC")
    desk.job("done", "@daily", done_at=start - timedelta(hours=1))
    desk.job("missed", "@daily", done_at=start - timedelta(hours=13))
    await desk.until(start + timedelta(hours=1))
    assert (len(desk.began["done"]), len(desk.began["missed"])) == (0, 1)
    await desk.end()


async def test_a_stop_waits_for_the_work_at_hand_and_one_failure_ends_nothing() -> None:
    stop, begun, may_end, said = asyncio.Event(), asyncio.Event(), asyncio.Event(), list[tuple[str, str]]()
    table = Timetable(say=lambda name, text: said.append((name, text)))

    async def long() -> str:
        begun.set()
        await may_end.wait()
        return "done"

    async def broken() -> str:
        raise RuntimeError("no")

    table.add("long", "1h", long)
    table.add("broken", "1h", broken)
    running = asyncio.ensure_future(table.run(stop, datetime.now(UTC)))
    await begun.wait()
    stop.set()
    await asyncio.sleep(0)
    assert not running.done()
    may_end.set()
    await running
    told = dict(said)
    assert told["long"] == "done"
    assert told["broken"].startswith("failed: broken: stopped by a mistake in civicsync (RuntimeError")


async def test_on_the_machine_s_own_clock_apscheduler_wakes_the_timetable() -> None:
    clock, stop = Clock(), asyncio.Event()
    table = Timetable(clock=clock)
    done: list[str] = []

    def work(name: str) -> Work:
        async def turn() -> str:
            done.append(name)
            if len(done) == 3:
                stop.set()
            return "done"

        return turn

    table.add("now", "1h", work("now"))
    # Due in a moment of its own: nothing but the alarm wakes the timetable then.
    table.add("soon", "1s", work("soon"), done_at=clock.now())
    await asyncio.wait_for(table.run(stop, clock.now()), 20)
    assert done[0] == "now"
    assert done[1:] == ["soon", "soon"]


async def test_the_alarm_rings_at_the_moment_that_was_asked_for_last() -> None:
    rung = asyncio.Event()
    alarm = _Alarm(rung)
    now = Clock().now()
    alarm.ring_at(now + timedelta(hours=1))
    alarm.ring_at(now)
    await asyncio.wait_for(rung.wait(), 10)
    rung.clear()
    alarm.ring_at(now + timedelta(hours=1))
    await alarm.close()
    assert not rung.is_set()
