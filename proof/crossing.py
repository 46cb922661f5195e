"""Publishing against the real sandboxes: what `make proof` shows at full size and the tests at a small one.

`Crossing` is one origin (a board in memory) and one target sandbox in this process; time does not pass by itself.
`killed_at_every_state` runs the program over the network in processes that kill themselves at a given change of state.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from civicsync.config.load import load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.fake import FakePlatform
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.sandbox.serve import running
from civicsync.core.clock import Clock, FakeClock
from civicsync.core.records import State
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.sync.publish.outcome import RouteOutcome
from civicsync.sync.publish.publisher import Publisher
from civicsync.sync.pull.run import Options, Puller
from proof.killing import fast_clock
from proof.patience import leases_run_out

KEY = {"KEY": "0123456789abcdef" * 4}
SPACES = {"consul": "section/proposals", "decidim": "component/1", "your-priorities": "group/1"}
WRITE_FAULTS = {
    "reset before send": "reset",
    "reset after store": "reset_after_store",
    "500 after store": "500_after_store",
    "timeout after store": "timeout_after_store",
    "429": "429_retry_after",
    "slow": "slow",
    "duplicate reply": "duplicate_reply",
}
UNLIMITED = {
    "max_per_run": 100_000,
    "max_per_day": 100_000,
    "halt_above_per_hour": 100_000,
    "halt_above_percent": 100,
    "edits_per_hour": 1000,
}
"""What asks a person before much is written has tests of its own."""
_ports = itertools.count(30_000)


class StaleReplies:
    """A network that now and then answers a write with the answer of the write before it."""

    def __init__(self, platform: Any, every: int) -> None:
        self.platform = platform
        self.every = every
        self.struck = 0
        self._dice = random.Random(1)
        self._last: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        messages: list[Any] = []
        body = b""
        more = True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Any) -> None:
            messages.append(message)

        await self.platform(scope, again, keep)
        if scope["method"] != "GET" and (scope["path"] not in {"/api", "/graphql"} or b"mutation" in body):
            if self._last and self._dice.random() < 1 / self.every:
                self.struck += 1
                messages, self._last = self._last, messages
            else:
                self._last = messages
        for message in messages:
            await send(message)


class Crossing:
    """Proposals of a board, copied to one sandbox."""

    def __init__(
        self,
        folder: Path,
        platform: str,
        version: str,
        *,
        count: int = 0,
        voice: str | None = None,
        city: Mapping[str, Any] | None = None,
        **route: Any,
    ) -> None:
        """`city`: further keys of the target instance; `route`: of the route."""
        self.clock = FakeClock()
        self.platform = platform
        connector = resolve(platform)
        assert connector.sandbox is not None

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)

        self.sandbox = connector.sandbox(version=version, size=10, seed=1, clock=self.clock.now, sleep=sleep)
        self.board = FakePlatform.at(f"http://127.0.0.1:{next(_ports)}", self.clock.now)
        for number in range(1, count + 1):
            self.board.write(
                f"Meer bomen in wijk {number:04}", f"In wijk {number:04} staan te weinig bomen. Dat moet anders."
            )
        self.backends: dict[str, Any] = {"city": self.sandbox}
        url = f"http://127.0.0.1:{next(_ports)}"
        to = {"instance": "city", "space": SPACES[platform], **({"as": voice} if voice else {})}
        whole: dict[str, Any] = {
            "civicsync": 1,
            "operator": {"name": "proof", "contact": "p@example.org"},
            "privacy": {"key": "${KEY}"},
            "safety": {"max_gone_percent": 100, "attempts": 20},
            "instances": {
                "board": {"platform": "civicsync.connectors.testing.fake:CONNECTOR", "url": self.board.url},
                "city": {**self.sandbox.instance_block(url), **(city or {})},
            },
            "routes": {
                "over": {
                    "from": {"instance": "board"},
                    "to": to,
                    "approval": "automatic",
                    "first_run": "send",
                    **UNLIMITED,
                    **route,
                }
            },
        }
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "civicsync.yaml"
        file.write_text(json.dumps(whole))
        self.config = load(file, KEY)
        self.engine = open_engine(parse_url("sqlite:///civicsync.db", folder))
        migrate(self.engine)

    def pull(self, *names: str) -> None:
        """Read both ends, twice."""
        for _ in range(2):
            self.clock.advance(61)
            puller = Puller(self.config, self.engine, self.clock, backends=self.backends)
            asyncio.run(puller.pull_all(list(names or ("board", "city")), Options(full=True, accept_missing=True)))

    def publish(self) -> RouteOutcome:
        """Run the route once."""
        self.clock.advance(61)
        publisher = Publisher(self.config, self.engine, self.clock, backends=self.backends)
        return asyncio.run(publisher.publish(["over"]))[0]

    def until_quiet(self, rounds: int = 40) -> RouteOutcome:
        """Run the route until nothing is left for it, as the scheduler does."""
        outcome = self.publish()
        for _ in range(rounds):
            if outcome.outcome == "done":
                break
            self.clock.advance(3600)
            outcome = self.publish()
        return outcome

    def arrive(self, gateway: Any) -> None:
        """Let arrive what a gateway holds back and is due by now."""
        asyncio.run(gateway.deliver())

    def copies(self) -> Counter[str]:
        """How often each title is public on the target."""
        rows = self.sandbox.truth()["proposals"]
        return Counter(row["title"] for row in rows if row["public"] and row["title"].startswith("Meer bomen in wijk"))

    def rows(self, sql: str) -> Sequence[Any]:
        """Ask the database."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def plant(self, fault: str, *, every: int) -> None:
        """Let every `every`-th write, on average, meet this fault."""
        kind = WRITE_FAULTS[fault]
        if kind == "duplicate_reply":
            self.backends["city"] = StaleReplies(self.sandbox, every)
            return
        writes = "^(POST|PATCH|PUT|DELETE) (?!/graphql|.*sign_in|.*login)"
        rule = Fault(kind=kind, match=writes, times=None, probability=1 / every, seconds=2.0, retry_after=2)
        self.sandbox.plant(rule)


@dataclass(frozen=True, slots=True)
class Once:
    """Whether there is exactly one copy of each (`problem` is empty then), how often the fault struck, how often a lookup told."""

    problem: str
    struck: int
    looked_up: int


def exactly_once(folder: Path, platform: str, version: str, fault: str, count: int, voice: str | None = None) -> Once:
    """Publish `count` proposals through a fault."""
    crossing = Crossing(folder, platform, version, count=count, voice=voice)
    crossing.plant(fault, every=5)
    return _through(crossing, count)


def dropping(folder: Path, count: int) -> Once:
    """Publish to a CONSUL that stores every proposal and drops the connection after every fifth."""
    crossing = Crossing(folder, "consul", "2.5.1", count=count, voice="official")
    match = "^POST /management/proposals$"
    crossing.sandbox.plant(
        *(Fault(kind="reset_after_store", match=match, after=after) for after in range(4, count - 3, 4))
    )
    return _through(crossing, count)


def _through(crossing: Crossing, count: int) -> Once:
    crossing.pull("board")
    outcome = crossing.until_quiet()
    copies = crossing.copies()
    states = dict(crossing.rows("SELECT state, count(*) FROM publications GROUP BY state"))
    lost, doubled = count - len(copies), sum(number > 1 for number in copies.values())
    looked_up = crossing.rows(
        "SELECT count(DISTINCT publication_id) FROM publication_event WHERE what = 'create: unknown'"
    )[0][0]
    crossing.engine.dispose()
    stale = crossing.backends["city"]
    struck = stale.struck if isinstance(stale, StaleReplies) else sum(crossing.sandbox.faults.fired.values())
    problem = ""
    if lost or doubled or states != {"sent": count}:
        problem = f"{lost} lost, {doubled} doubled, ledger {states}, {outcome.outcome}: {outcome.message}"
    return Once(problem, struck, looked_up)


def whole_life(folder: Path, platform: str, version: str, voice: str | None = None) -> dict[str, str]:
    """Create, edit, answer and withdraw one copy; what each ended in ("" is right)."""
    crossing = Crossing(folder, platform, version, count=2, voice=voice)
    crossing.pull("board")
    told = {"create": crossing.publish().message if crossing.copies().total() != 2 else ""}
    if crossing.copies().total() != 2:
        told["create"] = str(crossing.rows("SELECT state, reason FROM publications"))
        return told
    post = crossing.board.posts[1]
    post.body = "Er staan nu echt veel te weinig bomen. Dat moet heel anders."
    crossing.pull("board")
    crossing.until_quiet(3)
    told["edit"] = _ended(crossing, "edit")
    post.state, post.answer, post.answered_at = State.ACCEPTED, "Dit gaan we doen.", crossing.clock.now()
    crossing.pull("board")
    crossing.until_quiet(3)
    told["answer"] = _ended(crossing, "answer")
    crossing.board.posts[2].hidden = True
    crossing.pull("board")
    crossing.until_quiet(3)
    told["withdraw"] = _ended(crossing, "withdraw")
    crossing.engine.dispose()
    return told


def _ended(crossing: Crossing, kind: str) -> str:
    rows = crossing.rows(f"SELECT state, error FROM operation WHERE kind = '{kind}' ORDER BY id DESC")
    if not rows:
        return "never planned"
    state, error = rows[0]
    return "" if state == "sent" else f"{state}: {error}"


@dataclass(frozen=True, slots=True)
class Killed:
    """How many processes were killed, and what is wrong at the end ("" is right)."""

    kills: int
    problem: str


def killed_at_every_state(
    folder: Path, platform: str, version: str, *, count: int, voice: str | None, points: Sequence[int] | None = None
) -> Killed:
    """Publish `count` proposals with real processes over the network, killing one before and one after each change of state.

    `points`: only these changes of state, counted from 1 in every process; each process goes on where the one before was killed.
    """
    source, target = _served("consul", "2.5.1", count), _served(platform, version, 5)
    with running(source) as here, running(target) as there:
        folder.mkdir(parents=True, exist_ok=True)
        config = _two_cities(folder, source.instance_block(here), target.instance_block(there), platform, voice)
        asyncio.run(_pull_source(config))
        before = _public(target)
        kills = 0
        for at, after in itertools.product(points or range(1, 2 * count + 1), (False, True)):
            kills += _kill_child(config, at if points else 1 + (at - 1) % 2, after=after) < 0
        for _ in range(4):
            _kill_child(config, 1_000_000, after=False)
        engine = open_engine(parse_url("sqlite:///civicsync.db", folder))
        with engine.connect() as connection:
            # Where nobody wrote a text there is nothing to copy.
            wanted = "FROM publications WHERE id NOT IN (SELECT id FROM publication WHERE reason_code = 'no_text')"
            rows = connection.execute(text(f"SELECT state, count(*) {wanted} GROUP BY state")).all()
            states = {str(state): int(number) for state, number in rows}
            titles = connection.execute(text(f"SELECT title {wanted}")).scalars().all()
        engine.dispose()
    made = _public(target) - before
    problem = ""
    if made.total() != len(titles) or max(made.values(), default=0) > 1 or set(states) != {"sent"}:
        problem = f"made {dict(made)} of {titles}, {states}"
    return Killed(kills, problem)


def _public(target: Any) -> Counter[str]:
    return Counter(row["title"] for row in target.truth()["proposals"] if row["public"])


def _served(platform: str, version: str, size: int) -> Any:
    connector = resolve(platform)
    assert connector.sandbox is not None
    options = {"throttle": False} if platform == "decidim" else {}
    # A killed process signs in more often than platforms like in a minute.
    return connector.sandbox(version=version, size=size, seed=3, clock=fast_clock(), **options)


def _two_cities(folder: Path, source: dict[str, Any], target: dict[str, Any], platform: str, voice: str | None) -> Path:
    to = {"instance": "there", "space": SPACES[platform], **({"as": voice} if voice else {})}
    route = {
        "from": {"instance": "here", "space": "section/proposals"},
        "to": to,
        "approval": "automatic",
        "first_run": "send",
    }
    whole = {
        "civicsync": 1,
        "operator": {"name": "proof", "contact": "p@example.org"},
        "privacy": {"key": "${KEY}"},
        "safety": {"settle": "0s", "attempts": 100},
        "instances": {"here": source, "there": target},
        "routes": {"over": route},
    }
    file = folder / "civicsync.yaml"
    file.write_text(json.dumps(whole))
    return file


async def _pull_source(config: Path) -> None:
    engine = open_engine(parse_url("sqlite:///civicsync.db", config.parent))
    migrate(engine)
    await Puller(load(config, KEY), engine, Clock()).pull("here", Options())
    engine.dispose()


def _kill_child(config: Path, at: int, *, after: bool) -> int:
    command = [sys.executable, "-m", "proof.crossing", str(config), str(at), "after" if after else "before"]
    done = subprocess.run(
        command, env={**os.environ, **KEY}, cwd=Path(__file__).parent.parent, capture_output=True, check=False
    )
    leases_run_out(config.parent / "civicsync.db")
    return done.returncode


def _child(config: str, at: int, when: str) -> None:
    from civicsync.app.cli.main import app
    from civicsync.core.ledger.ledger import Ledger

    moves = itertools.count(1)
    move = Ledger.move

    def counted(self: Ledger, *args: Any, **kwargs: Any) -> Any:
        number = next(moves)
        if number == at and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = move(self, *args, **kwargs)
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    Ledger.move = counted
    app(["--config", config, "publish", "--json"])


if __name__ == "__main__":
    _child(sys.argv[1], int(sys.argv[2]), sys.argv[3])
