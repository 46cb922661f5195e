"""What turns are made of, beside the pulls and routes themselves."""

import asyncio
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Engine

from civicsync.app import doing as module
from civicsync.app.cli import run
from civicsync.app.doing import Doing
from civicsync.config.load import load
from civicsync.config.model import Config
from civicsync.core.clock import FakeClock
from civicsync.core.leases import Lease
from civicsync.sync.pull.run import PullEnd, Puller, PullOutcome


class Quick:
    """Pulls at once."""

    async def pull(self, name: str, _: Any) -> PullOutcome:
        return PullOutcome(name, PullEnd.DONE)


def hands(engine: Engine, clock: FakeClock, said: list[str]) -> Doing:
    class Told:
        class privacy:  # noqa: N801 - as in the configuration
            k = 5

    return Doing(cast("Config", Told()), engine, clock, lambda name, text: said.append(f"{name}: {text}"), lambda: None)


async def test_a_turn_does_not_last_until_totals_are_free(
    sqlite: Engine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process died while it brought the totals up to date: pulls that end meanwhile are over, and are not counted as lasting on."""
    made: list[int] = []
    monkeypatch.setattr(module, "bring_up_to_date", lambda *_, **__: made.append(1))
    dead = Lease(sqlite, "totals")
    assert dead.take()
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await go_on.wait()

    monkeypatch.setattr(clock, "sleep", sleep)
    own = hands(sqlite, clock, [])
    for name in ("west", "east", "north"):
        assert (await own.pull(name, asyncio.Event(), cast("Puller", Quick()))).startswith("done")
    await waiting.wait()
    assert made == []
    dead.release()
    go_on.set()
    await own.settled()
    assert len(made) == 2, "once for the first, and once for all that ended while it waited"


async def test_what_totals_meet_is_told_and_ends_no_pull(
    sqlite: Engine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        assert threading.current_thread() is not threading.main_thread()
        raise ZeroDivisionError

    monkeypatch.setattr(module, "bring_up_to_date", broken)
    said: list[str] = []
    own = hands(sqlite, clock, said)
    await own.settled()
    assert (await own.pull("west", asyncio.Event(), cast("Puller", Quick()))).startswith("done")
    await own.settled()
    assert len(said) == 1 and said[0].startswith("west: ") and "ZeroDivisionError" in said[0]


async def test_run_ends_when_the_totals_of_its_last_pull_are_there(
    sqlite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def slowly(*_: Any, **__: Any) -> None:
        made.append("begun")
        begun.set()
        assert go_on.wait(20)
        made.append("ended")

    async def pulled(self: Puller, name: str, _: Any) -> PullOutcome:
        return PullOutcome(name, PullEnd.DONE)

    monkeypatch.setattr(module, "bring_up_to_date", slowly)
    monkeypatch.setattr(Puller, "pull", pulled)
    file = tmp_path / "civicsync.yaml"
    file.write_text(
        "civicsync: 1\noperator: {name: test, contact: t@example.org}\nprivacy: {key: '${KEY}'}\n"
        "instances:\n  toy: {platform: consul, url: 'http://127.0.0.1:9'}\n"
    )
    service = run._Service(load(file, {"KEY": "0123456789abcdef" * 4}), sqlite, (), file, lambda *_: None)
    stop, over = asyncio.Event(), asyncio.Event()
    working = asyncio.ensure_future(service.work(stop, over))
    assert await asyncio.to_thread(begun.wait, 20)
    over.set()
    asyncio.get_running_loop().call_later(0.1, go_on.set)
    await working
    assert made == ["begun", "ended"]
