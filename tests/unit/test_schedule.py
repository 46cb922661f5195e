"""The timetable: intervals, cron lines as people mean them, and a stop that waits for the work at hand."""

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from civicsync.connectors.contract.settings import InstanceSettings
from civicsync.core.durations import cron_fields
from civicsync.sync.schedule import Timetable, trigger_of

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "expected"), [("1", 0), ("mon", 0), ("0", 6), ("7", 6), ("1-5", 0), ("6,0", 5), ("0-2", 0), ("*", 0)]
)
def test_cron_week_days_are_counted_from_sunday_as_everywhere_else(days: str, expected: int) -> None:
    fires = trigger_of(f"30 2 * * {days}", "Europe/Amsterdam").get_next_fire_time(None, MONDAY)
    assert fires is not None
    assert (fires.weekday(), fires.hour, fires.minute) == (expected, 2, 30)
    assert fires.tzinfo == ZoneInfo("Europe/Amsterdam")


def test_what_is_neither_an_interval_nor_a_cron_line_is_refused() -> None:
    assert cron_fields("15m") is None
    for wrong in ("soon", "61 * * * *", "* * *", "5 parrots"):
        with pytest.raises(ValueError, match="cron"):
            InstanceSettings(platform="consul", url="http://127.0.0.1", every=wrong)


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
