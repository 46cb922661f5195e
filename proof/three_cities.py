"""Three cities of three platforms, each copying to the two others, in this process; one or more deployments of civicsync on them.

What `make proof` shows of lost ledgers, of two deployments and of races; the tests run the same at a small size.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import text

from civicsync.config.load import load
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.faults import Fault
from civicsync.connectors.testing.messages import Request
from civicsync.core.clock import FakeClock
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.sync.publish.outcome import RouteOutcome
from civicsync.sync.publish.publisher import Publisher
from civicsync.sync.publish.rebuild_map import rebuild_map
from civicsync.sync.pull.run import Options, Puller
from proof.crossing import SPACES, UNLIMITED, WRITE_FAULTS, StaleReplies

_ports = itertools.count(40_000)
_WRITES = "^(POST|PATCH|PUT|DELETE) (?!/graphql|.*sign_in|.*login)"


class Counted:
    """A city that counts what is written to it; asking and signing in do not count."""

    def __init__(self, platform: Any) -> None:
        self.platform = platform
        self.writes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        asks = scope["method"] == "GET" or (scope["path"] in {"/api", "/graphql"} and b"mutation" not in body)
        self.writes += not asks and re.search(r"sign_in|login|session|document_verifications", scope["path"]) is None
        await self.platform(scope, again, send)


class Cities:
    """A CONSUL (plaza), a Decidim (west) and a Your Priorities (ideas) with a few proposals of their own, on one clock."""

    NAMES: Mapping[str, str] = {"plaza": "consul", "west": "decidim", "ideas": "your-priorities"}

    def __init__(self, size: int) -> None:
        self.clock = FakeClock()
        self.sandboxes: dict[str, Any] = {}
        self.urls = {name: f"http://127.0.0.1:{next(_ports)}" for name in self.NAMES}

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)

        for name, platform in self.NAMES.items():
            connector = resolve(platform)
            assert connector.sandbox is not None
            self.sandboxes[name] = connector.sandbox(size=size, seed=1, clock=self.clock.now, sleep=sleep)
            for own, title in self.public(name).items():
                self.sandboxes[name].change("edit", id=own, title=f"{title} uit {name}")
        self.counted = {name: Counted(sandbox) for name, sandbox in self.sandboxes.items()}
        self.originals = {name: set(self.public(name)) for name in self.NAMES}

    def public(self, name: str) -> dict[str, str]:
        """What a visitor of a city sees and nobody took back: titles by number."""
        rows = self.sandboxes[name].truth()["proposals"]
        shown = [row for row in rows if row["public"] and row["kind"] == "proposal" and row["state"] != "withdrawn"]
        return {row["id"]: row["title"] for row in shown}

    def copies(self, name: str) -> dict[str, str]:
        """What came from elsewhere."""
        return {own: title for own, title in self.public(name).items() if own not in self.originals[name]}

    @property
    def expected(self) -> int:
        """How many copies there are when each proposal is on the two other cities."""
        return 2 * sum(map(len, self.originals.values()))

    def writes(self) -> int:
        """All requests so far that store something."""
        return sum(each.writes for each in self.counted.values())

    def shown(self, name: str, own: str) -> str:
        """What browsers get of a proposal, as HTML: what a platform shows as text is escaped here as it does."""
        if name == "ideas":
            # Its pages show both as HTML (docs/platforms/your-priorities.md 10).
            post = self._ask(name, "GET", f"/api/posts/{own}")
            return f"{post['name']}\n{post['description']}"
        if name == "plaza":
            query = "query($id: ID!){ proposal(id: $id){ title summary description } }"
            found = self._ask(name, "POST", "/graphql", query=query, variables={"id": own})["data"]["proposal"]
            return f"{escape(found['title'])}\n{escape(found['summary'])}\n{found['description']}"
        texts = "title{ translations{ text } } body{ translations{ text } }"
        query = f"{{ component(id: 1){{ ... on Proposals {{ proposal(id: {own}){{ {texts} }} }} }} }}"
        found = self._ask(name, "POST", "/api", query=query)["data"]["component"]["proposal"]
        return "\n".join(each["text"] for part in ("title", "body") for each in found[part]["translations"])

    def _ask(self, name: str, method: str, path: str, **body: Any) -> Any:
        # Your Priorities takes programs that ask for anything else than JSON for robots.
        headers = [("Host", urlsplit(self.urls[name]).netloc), ("Content-Type", "application/json")]
        request = Request.of(method, path, headers=headers, body=msgspec.json.encode(body))
        return msgspec.json.decode(self.sandboxes[name].answer(request).body)


class Deployment:
    """One civicsync with its own key and database on these cities; `route` are keys that every route has."""

    def __init__(
        self,
        folder: Path,
        cities: Cities,
        key: str = "0123456789abcdef" * 4,
        peers: Mapping[str, Any] | None = None,
        **route: Any,
    ) -> None:
        self.cities, self.folder = cities, folder
        self.clock = cities.clock
        shared = {"approval": "automatic", "first_run": "send", **UNLIMITED, **route}
        whole: dict[str, Any] = {
            "civicsync": 1,
            "operator": {"name": "proof", "contact": "p@example.org"},
            "privacy": {"key": "${KEY}"},
            "safety": {"max_gone_percent": 100, "attempts": 20},
            "instances": {name: cities.sandboxes[name].instance_block(url) for name, url in cities.urls.items()},
            "peers": dict(peers or {}),
            "routes": {
                f"{one}-to-{other}": {
                    "from": {"instance": one, "where": {"kind": "proposal"}},
                    "to": {"instance": other, "space": SPACES[cities.NAMES[other]]},
                    **shared,
                }
                for one, other in itertools.permutations(cities.NAMES, 2)
            },
        }
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "civicsync.yaml"
        file.write_text(json.dumps(whole))
        self.config = load(file, {"KEY": key})
        self.start()

    def start(self) -> None:
        """Open the database; a missing one is made."""
        self.engine = open_engine(parse_url("sqlite:///civicsync.db", self.folder))
        migrate(self.engine)

    def lose_the_database(self) -> None:
        """Begin with an empty one, as after a broken disk without a backup."""
        self.engine.dispose()
        for file in self.folder.glob("civicsync.db*"):
            file.unlink()
        self.start()

    def pull(self) -> None:
        """Read the three cities, twice, so that absence is believed."""
        for _ in range(2):
            self.clock.advance(61)
            puller = Puller(self.config, self.engine, self.clock, backends=self.cities.counted)
            asyncio.run(puller.pull_all(list(self.cities.NAMES), Options(full=True, accept_missing=True)))

    def publish(self) -> list[RouteOutcome]:
        """Run all routes once."""
        self.clock.advance(61)
        publisher = Publisher(self.config, self.engine, self.clock, backends=self.cities.counted)
        return asyncio.run(publisher.publish(self.config.routes))

    def round(self) -> int:
        """Pull and publish until nothing is left; how many writes that took."""
        before = self.cities.writes()
        self.pull()
        for _ in range(10):
            outcomes = self.publish()
            if all(each.outcome not in {"partial", "waiting"} for each in outcomes):
                break
            self.clock.advance(3600)
        return self.cities.writes() - before

    def without_text(self) -> int:
        """How many copies are not made because nobody wrote a text."""
        asked = "SELECT count(*) FROM publication WHERE state = 'refused' AND reason_code = 'no_text'"
        return int(self.rows(asked)[0][0])

    def rebuild_map(self) -> int:
        """`rebuild-map` for all routes; how many copies it found."""
        self.clock.advance(61)
        names, backends = list(self.config.routes), self.cities.counted
        return sum(row.found for row in asyncio.run(rebuild_map(self.config, self.engine, names, self.clock, backends)))

    def rows(self, sql: str) -> Sequence[Any]:
        """Ask the database."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]


def lost(folder: Path, size: int, *, rebuild: bool) -> tuple[int, str]:
    """The database is deleted, the platforms stay; how many copies there were, and what is wrong afterwards ("" is right)."""
    cities = Cities(size)
    deployment = Deployment(folder, cities)
    deployment.round()
    before = {name: cities.copies(name) for name in cities.NAMES}
    count = sum(len(each) for each in before.values())
    expected = cities.expected - deployment.without_text()
    problem = "" if count == expected else f"; {expected} were to be made"
    deployment.lose_the_database()
    found = deployment.rebuild_map() if rebuild else 0
    if rebuild and found != count:
        problem += f"; rebuild-map found {found} of {count}"
    deployment.round()
    deployment.round()
    problem += _changed(before, {name: cities.copies(name) for name in cities.NAMES})
    if deployment.round():
        problem += "; a quiet round wrote"
    deployment.engine.dispose()
    return count, problem


def two(folder: Path, size: int, rounds: int) -> tuple[int, str]:
    """Two deployments with their own keys and databases; how many copies there are, and what is wrong after so many rounds."""
    cities = Cities(size)
    # They share their accounts, so each knows the other's copies; on the CONSUL these show no author.
    peers = {"other": {"accounts": {"plaza": ["official"]}}}
    deployments = [
        Deployment(folder / "one", cities, peers=peers),
        Deployment(folder / "two", cities, "fedcba9876543210" * 4, peers=peers),
    ]
    writes = [sum(each.round() for each in deployments) for _ in range(rounds)]
    count = sum(len(cities.copies(name)) for name in cities.NAMES)
    expected = cities.expected - deployments[0].without_text()
    problem = "" if count == expected else f"; {count - expected} too many"
    if any(writes[2:]):
        problem += f"; writes per round: {writes}"
    for each in deployments:
        each.engine.dispose()
    return count, problem


def races(folder: Path, sources: Iterable[str] = Cities.NAMES) -> dict[str, str]:
    """Withdrawn while the create is under way; edited, edited and withdrawn within a second; by target: what is wrong ("" is right)."""
    told: dict[str, str] = {}
    for name in sources:
        told[f"withdrawn while created, from {name}"] = _withdrawn_while_created(folder / f"{name}-1", name)
        told[f"edit, edit, withdraw, from {name}"] = _hasty(folder / f"{name}-2", name)
    return told


def _withdrawn_while_created(folder: Path, source: str) -> str:
    cities = Cities(3)
    deployment = Deployment(folder, cities)
    deployment.pull()
    own, title = sorted(cities.public(source).items())[0]
    # Whoever pulled it first still means to copy it; by the time of the first write it is gone.
    for name, sandbox in cities.sandboxes.items():
        if name != source:
            sandbox.plant(Fault(kind="reset_after_store", match=_WRITES, times=2, after=0))
    cities.sandboxes[source].change("hide", id=own)
    deployment.publish()
    if not _left(cities, source, title):
        return "nothing was made, so nothing was raced"
    for _ in range(3):
        deployment.round()
    deployment.engine.dispose()
    return _left(cities, source, title)


def _hasty(folder: Path, source: str) -> str:
    cities = Cities(3)
    deployment = Deployment(folder, cities)
    deployment.round()
    own, title = sorted(cities.public(source).items())[0]
    origin = cities.sandboxes[source]
    deployment.pull()
    origin.change("edit", id=own, description="<p>Nu anders dan eerst.</p>")
    deployment.pull()
    deployment.publish()
    origin.change("edit", id=own, description="<p>Toch weer anders dan net.</p>")
    origin.change("hide", id=own)
    for _ in range(3):
        deployment.round()
    deployment.engine.dispose()
    return _left(cities, source, title)


def following(folder: Path, fault: str) -> tuple[int, str]:
    """Edits and withdrawals of what was copied, through a fault; how many copies had to follow, and which did not in the end."""
    cities = Cities(8)
    # Or the faults would outlast the five minutes in which a participant may change a text there.
    cities.sandboxes["west"].change("configure", component=1, edit_minutes=None)
    deployment = Deployment(folder, cities)
    deployment.round()
    edited: list[tuple[str, str]] = []
    hidden: list[tuple[str, str]] = []
    for name, sandbox in cities.sandboxes.items():
        own = [each for each in sorted(cities.public(name)) if each in cities.originals[name]][:5]
        for each in own[:3]:
            sandbox.change("edit", id=each, description=f"<p>{_NEW.format(name, each)}</p>")
            edited.append((name, each))
        for each in own[3:]:
            sandbox.change("hide", id=each)
            hidden.append((name, each))
    for name, sandbox in cities.sandboxes.items():
        if WRITE_FAULTS[fault] == "duplicate_reply":
            cities.counted[name].platform = StaleReplies(sandbox, 4)
        else:
            kind = WRITE_FAULTS[fault]
            sandbox.plant(Fault(kind=kind, match=_WRITES, times=None, probability=0.3, seconds=2.0, retry_after=2))
    for _ in range(3):
        deployment.round()
    for name, sandbox in cities.sandboxes.items():
        sandbox.plant()
        cities.counted[name].platform = sandbox
    for _ in range(3):
        cities.clock.advance(3600)
        writes = deployment.round()
    wrong = [f"{writes} writes in a quiet round"] if writes else []
    wrong += [each for own in edited for each in _unlike(cities, deployment, own, _NEW.format(*own))]
    wrong += [each for own in hidden for each in _unlike(cities, deployment, own, None)]
    deployment.engine.dispose()
    return 2 * (len(edited) + len(hidden)), "; ".join(wrong)


_NEW = "Nu staat er iets heel anders, namelijk {}-{}. Dat is beter voor iedereen."


def _unlike(cities: Cities, deployment: Deployment, origin: tuple[str, str], wanted: str | None) -> Iterator[str]:
    """Copies of an origin that do not say what is wanted, or (None) that still stand."""
    name, own = origin
    sql = f"SELECT target_instance, remote_id FROM publication WHERE origin_key = '{name}/proposal/{own}'"
    copies = deployment.rows(sql)
    if len(copies) != len(cities.NAMES) - 1:
        yield f"{name} {own} has {len(copies)} copies"
    for there, copy in copies:
        standing = copy in cities.copies(there)
        if wanted is None and standing:
            yield f"{there} {copy} stands, and {name} {own} is gone"
        if wanted is not None and (not standing or wanted not in cities.shown(there, copy)):
            yield f"{there} {copy} does not say what {name} {own} says"


def _left(cities: Cities, source: str, title: str) -> str:
    """Which copies of an origin a visitor still sees."""
    seen = [
        f"{name}: {each}"
        for name in cities.NAMES
        if name != source
        for each in cities.copies(name).values()
        if each.startswith(title.partition(" uit ")[0]) and each.endswith(source)
    ]
    return "; ".join(seen)


def _changed(before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]) -> str:
    return "".join(
        f"; {name}: {len(after[name])} copies instead of {len(copies)}"
        for name, copies in before.items()
        if dict(after[name]) != dict(copies)
    )
