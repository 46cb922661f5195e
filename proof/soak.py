"""Weeks of a city's life in minutes: many instances whose sources change, a network that fails, restarts, people who are away at weekends.

The timetable, pulls, routes and alerts are the product's own, on a clock that moves on when nothing works. `make proof` runs two weeks of
forty instances; a test runs two days of six.
"""

import asyncio
import itertools
import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from civicsync.app.doing import Doing, following, planned
from civicsync.app.operations.alerts.alerter import Alerter
from civicsync.config.load import load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.reader_checks import PASSING_FAULTS
from civicsync.core.alerts.kinds import AlertKind
from civicsync.core.clock import Clock, FakeClock
from civicsync.core.ledger.marker import markers_in
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.turns import Turns
from civicsync.sync.publish.publisher import Publisher
from civicsync.sync.publish.review import Reviewer
from civicsync.sync.pull.run import Puller
from civicsync.sync.schedule import Timetable, Unfinished
from proof.crossing import SPACES
from proof.row import Row
from proof.three_cities import Cities

KEY = "0123456789abcdef" * 4
EVERY = ("2h", "4h", "6h", "@daily", "30 2,14 * * *")
TROUBLE = (*PASSING_FAULTS, "hang")
CHANGES = (
    "support",
    "support",
    "support",
    "comment",
    "comment",
    "edit",
    "add_proposal",
    "answer",
    "hide",
    "withdraw",
    "retire",
)
PER_HOUR = 4
"""Changes of all sources together."""
SICK, SICK_FROM, SICK_FOR = "i05", timedelta(days=1), timedelta(hours=60)
"""An instance that answers nothing but 503 for a while."""
LIMIT = timedelta(hours=26)
WAITS = timedelta(hours=24)
REST = timedelta(hours=50)
"""At the end nothing changes any more, and light runs go on for longer than `confirm_within`, and than the 45 hours after which
Decidim 0.27 to 0.29 may tell what a moderator hid (docs/explanation/time-to-truth.md)."""
FLAT = 1.10
"""Resident memory at the end, as a multiple of what it was after a quarter of the time."""


class Quiet(Clock):
    """The timetable's clock: it moves the one that all share, and only while nothing works."""

    def __init__(self, shared: FakeClock, table: "Timetable | None" = None) -> None:
        self.shared, self.table = shared, table

    def now(self) -> datetime:
        return self.shared.now()

    def monotonic(self) -> float:
        return self.shared.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        while self.table is not None and any(job.running for job in self.table.jobs):
            await asyncio.sleep(0.003)  # what works does so in threads, which no simulated clock can see
        self.shared.advance(max(0.0, seconds))


@dataclass
class Told:
    """What came of it."""

    pulls: int = 0
    restarts: int = 0
    changes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    memory: list[float] = field(default_factory=list[float])
    """Resident megabytes, once a day."""
    differences: int = 0
    doubled: int = 0
    copies: int = 0
    alerts: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    struck: int = 0

    @property
    def growth(self) -> float:
        """Memory at the end beside that after a quarter of the time."""
        return self.memory[-1] / self.memory[len(self.memory) // 4]


class Town(Cities):
    """Three cities that copy to each other, and others that are only read."""

    def __init__(self, instances: int, size: int) -> None:
        super().__init__(size)
        self.kinds = dict(self.NAMES)
        dialects = [
            (name, version) for name in ("decidim", "consul", "your-priorities") for version in resolve(name).versions
        ]

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)

        for number, (platform, version) in zip(range(3, instances), itertools.cycle(dialects), strict=False):
            name = f"i{number:02}"
            connector = resolve(platform)
            assert connector.sandbox is not None
            self.kinds[name] = platform
            self.urls[name] = f"http://127.0.0.1:{50_000 + number}"
            self.sandboxes[name] = connector.sandbox(
                version=version, size=size, seed=number, clock=self.clock.now, sleep=sleep
            )

    def trouble(self, share: float) -> None:
        """Each request of every instance fails with this probability, in one of all ways."""
        for name, sandbox in self.sandboxes.items():
            if name not in self.sick:
                kinds = [kind for kind in TROUBLE if share]
                faults = [
                    Fault(kind=k, times=None, probability=share / len(kinds), seconds=1.0, retry_after=2) for k in kinds
                ]
                sandbox.plant(*faults)

    sick: frozenset[str] = frozenset()

    def fall_ill(self, name: str) -> None:
        """From now on it answers 503."""
        self.sick = frozenset({name})
        self.sandboxes[name].plant(Fault(kind="503", times=None))

    def recover(self) -> None:
        """All answer again."""
        names, self.sick = self.sick, frozenset()
        for name in names:
            self.sandboxes[name].plant()

    def change(self, dice: random.Random) -> bool:
        """Somebody does something somewhere; whether there is such a thing there."""
        name = dice.choice(sorted(self.sandboxes))
        sandbox, what = self.sandboxes[name], dice.choice(CHANGES)
        own = self.originals.get(name)
        rows = [
            r
            for r in sandbox.truth()["proposals"]
            if r["public"] and r["kind"] == "proposal" and r["state"] != "withdrawn"
        ]
        rows = [row for row in rows if own is None or row["id"] in own]
        if what not in sandbox.operations() or len(rows) < 6:
            return False
        values: dict[str, Any] = {"title": f"Nieuw plan {dice.randint(1, 10**6)}"}
        if what != "add_proposal":
            values = {
                "id": dice.choice(rows)["id"],
                **({"title": f"Anders {dice.randint(1, 10**6)}"} if what == "edit" else {}),
            }
        made = sandbox.change(what, **values)
        if what == "add_proposal" and own is not None:
            own.add(str(made))
        return True


class Soak:
    """One city's civicsync through the weeks."""

    def __init__(self, folder: Path, instances: int, size: int, seed: int = 1) -> None:
        self.folder, self.dice = folder, random.Random(seed)
        self.town = Town(instances, size)
        self.clock = self.town.clock
        self.start = self.clock.now()
        self.told = Told()
        self.good: dict[str, list[datetime]] = {name: [] for name in self.town.sandboxes}
        """When pulls of each came to their end, as the outcomes said."""
        self.waiting: dict[str, datetime] = {}
        self.expected: Counter[str] = Counter()
        self._late = set[str]()
        self._kept_waiting = set[str]()
        self.ended = False
        self._write_config()
        self.engine = self._open()

    def _write_config(self) -> None:
        routes = {
            f"{one}-to-{other}": {
                "from": {"instance": one, "where": {"kind": "proposal"}},
                "to": {"instance": other, "space": SPACES[self.town.kinds[other]]},
                "approval": "required" if one == "plaza" else "automatic",
                "first_run": "send",
                "max_per_run": 1000,
                "max_per_day": 1000,
                "halt_above_percent": 100,
            }
            for one, other in itertools.permutations(Cities.NAMES, 2)
        }
        instances = {
            name: {**self.town.sandboxes[name].instance_block(url), "every": EVERY[number % len(EVERY)]}
            for number, (name, url) in enumerate(self.town.urls.items())
        }
        whole: dict[str, Any] = {
            "civicsync": 1,
            "operator": {"name": "soak", "contact": "p@example.org"},
            "privacy": {"key": "${KEY}"},
            "safety": {"max_gone_percent": 100},
            "instances": instances,
            "routes": routes,
        }
        self.file = self.folder / "civicsync.yaml"
        self.file.write_text(json.dumps(whole))
        self.config = load(self.file, {"KEY": KEY})

    def _open(self) -> Engine:
        engine = open_engine(parse_url("sqlite:///civicsync.db", self.folder))
        migrate(engine)
        return engine

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    @property
    def passed(self) -> timedelta:
        """Simulated time so far."""
        return self.clock.now() - self.start

    # Working ------------------------------------------------------------------------------------------------------------

    async def live(self, until: timedelta) -> None:
        """Processes one after the other, each until it is restarted."""
        while self.passed < until:
            over = asyncio.Event()
            quiet = Quiet(self.clock)
            table = Timetable("Europe/Amsterdam", clock=quiet, turns=Turns(self.engine, self.clock))
            quiet.table = table
            doing = Doing(self.config, self.engine, self.clock, lambda _name, _text: None, over.set)
            for each in planned(self.config, list(self.config.instances)):
                ending = asyncio.Event()
                work = partial(self._pull, doing, each.name, ending)
                table.add(each.job, each.every, work, ending=ending, plan=each.plan)
            table.add("the hour", "1h", partial(self._hour, over, until))
            await table.run(over, self.clock.now())
            await doing.settled()
            self.told.restarts += 1
            self.engine.dispose()
            self.engine = self._open()

    async def _pull(self, doing: Doing, name: str, ending: asyncio.Event) -> str:
        puller = Puller(self.config, self.engine, self.clock, stop=ending, backends=self.town.counted | self._others())
        self.told.pulls += 1
        try:
            said = await doing.pull(name, ending, puller)
        except Unfinished as error:
            self.told.outcomes[str(error).partition(":")[0]] += 1
            raise
        outcome = said.partition(":")[0]
        self.told.outcomes[outcome] += 1
        if outcome == "done":
            self.good[name].append(self.clock.now())
        for route in following(self.config, list(self.config.instances), name):
            publisher = Publisher(self.config, self.engine, self.clock, stop=ending, backends=self.town.counted)
            await doing.publish(route, ending, publisher)
        return said

    def _others(self) -> Mapping[str, Any]:
        return {name: each for name, each in self.town.sandboxes.items() if name not in self.town.counted}

    # What happens meanwhile ---------------------------------------------------------------------------------------------

    async def _hour(self, over: asyncio.Event, until: timedelta) -> str:
        passed = self.passed
        if passed >= until:
            over.set()
            return "over"
        if not self.ended:
            self.told.changes += sum(self.town.change(self.dice) for _ in range(PER_HOUR))
        if SICK in self.town.sandboxes and not self.ended:
            if SICK_FROM <= passed < SICK_FROM + SICK_FOR:
                self.town.fall_ill(SICK)
            elif self.town.sick:
                self.town.recover()
        self._person()
        await asyncio.to_thread(self._alerts)
        if len(self.told.memory) < passed // timedelta(days=1) + 1:
            self.told.memory.append(_resident())
        if not self.ended and self.dice.random() < 0.08:
            over.set()  # a restart, in the middle of whatever is at work
        return "done"

    def _person(self) -> None:
        """Looks on working days at nine, and says yes to everything."""
        for own, state in self.rows("SELECT id, state FROM publication"):
            if state == "awaiting_approval":
                self.waiting.setdefault(own, self.clock.now())
            else:
                self.waiting.pop(own, None)
        now = self.clock.now()
        if now.weekday() < 5 and now.hour == 9:
            reviewer = Reviewer(self.config, self.engine, self.clock, "soak")
            for own in list(self.waiting):
                publication = reviewer.ledger.publication(own)
                if publication is not None:
                    reviewer.approve(publication)
                self.waiting.pop(own)

    def _alerts(self) -> None:
        Alerter(self.config, self.engine, self.clock, self.folder).look()
        now = self.clock.now()
        late = {
            n
            for n, times in self.good.items()
            if now - (times[-1] if times else self.start) > LIMIT + timedelta(hours=1)
        }
        for name in late - self._late:
            self.expected[f"{AlertKind.NO_GOOD_PULL} {name}"] += 1
        self._late = late

    # The end ------------------------------------------------------------------------------------------------------------

    async def run(self, length: timedelta) -> Told:
        """Live through it; then nothing changes or fails any more, and what there is is compared."""
        self.town.trouble(0.05)
        await self.live(length)
        self.told.struck = sum(sum(each.faults.fired.values()) for each in self.town.sandboxes.values())
        self.ended = True
        self.town.recover()
        for sandbox in self.town.sandboxes.values():
            sandbox.plant()
            # Somebody goes on writing. Releases that tell only by a file what is hidden tell it of everything older than the file's newest.
            if "add_proposal" in sandbox.operations():
                sandbox.change("add_proposal", title="Het leven gaat door")
        await self.live(length + REST)
        for name in self.town.sandboxes:
            self._compare(name)
        self._count_copies()
        self._judge_alerts()
        self.told.memory.append(_resident())
        self.engine.dispose()
        return self.told

    def _compare(self, name: str) -> None:
        truth = self.town.sandboxes[name].truth()
        expected = {
            (r["kind"], r["id"], r["title"], r["state"], r["supports"], r["comments"])
            for r in truth["proposals"]
            if r["public"]
        }
        sql = "SELECT kind, remote_id, title, state, supports, comments FROM all_proposals WHERE gone_at IS NULL AND instance = "
        found = set(self.rows(f"{sql}'{name}'"))
        comments = {(c["kind"], c["id"]) for c in truth["comments"] if c["public"]}
        held = set(self.rows(f"SELECT kind, remote_id FROM comments WHERE gone_at IS NULL AND instance = '{name}'"))
        sides = (("lacks", (expected - found) | (comments - held)), ("has", (found - expected) | (held - comments)))
        differ = [f"{what} {each}" for what, rows in sides for each in sorted(map(str, rows))]
        self.told.differences += len(differ)
        self.told.wrong += [f"{name}: {each}" for each in differ[:2]]

    def _count_copies(self) -> None:
        for name in Cities.NAMES:
            origins = Counter[str]()
            for own in self.town.copies(name):
                origins.update({marker.origin for marker in markers_in(self.town.shown(name, own))[:1]})
            self.told.copies += sum(origins.values())
            double = [origin for origin, many in origins.items() if many > 1]
            self.told.doubled += len(double)
            self.told.wrong += [f"{name} has two of {origin}" for origin in double[:2]]

    def _judge_alerts(self) -> None:
        for kind, subject in self.rows("SELECT kind, subject FROM alert"):
            self.told.alerts[f"{kind} {subject}"] += 1
        pulls = {each: many for each, many in self.told.alerts.items() if each.startswith(AlertKind.NO_GOOD_PULL)}
        if pulls != dict(self.expected):
            self.told.wrong.append(f"alerts of pulls {pulls}, expected {dict(self.expected)}")
        known = (AlertKind.NO_GOOD_PULL, AlertKind.WAITS_FOR_PERSON)
        strange = [each for each in self.told.alerts if not each.startswith(known)]
        self.told.wrong += [f"an alert for nothing: {each}" for each in strange]
        still = self.rows("SELECT kind, subject FROM alert WHERE closed_at IS NULL")
        self.told.wrong += [
            f"an alert that is over still stands: {each}" for each in still if each[0] == AlertKind.NO_GOOD_PULL
        ]


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def soak(folder: Path, *, instances: int, size: int, length: timedelta, seed: int = 1) -> Told:
    """Live through `length` of simulated time."""
    return asyncio.run(Soak(folder, instances, size, seed).run(length))


INSTANCES, SIZE, WEEKS = 40, 15, 2


def rows() -> list[Row]:
    """Two simulated weeks of forty instances."""
    with tempfile.TemporaryDirectory() as folder:
        told = soak(Path(folder), instances=INSTANCES, size=SIZE, length=timedelta(weeks=WEEKS))
    outcomes = ", ".join(f"{many} {outcome}" for outcome, many in told.outcomes.most_common())
    what = f"{WEEKS} simulated weeks, {INSTANCES} instances, {told.changes} changes, {told.struck} faults, {told.restarts} restarts"
    memory = f"{told.memory[len(told.memory) // 4]:.0f} MB after a quarter, {told.memory[-1]:.0f} MB at the end"
    alerts = ", ".join(f"{many} {alert}" for alert, many in sorted(told.alerts.items()))
    return [
        Row(
            what,
            "database equals the truth, nothing published twice",
            f"{told.pulls} pulls ({outcomes}): {told.differences} differences; {told.copies} copies, {told.doubled} doubled",
            not told.differences and not told.doubled,
        ),
        Row(f"{what}: alerts", "every one right, none false", "; ".join([alerts, *told.wrong]), not told.wrong),
        Row(f"{what}: memory", f"flat (within {FLAT - 1:.0%})", memory, told.growth <= FLAT),
    ]
