"""Whatever one instance sends and whatever a library makes of it ends that instance's run with a word, and no other."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pydantic
import pytest
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.connectors.contract.errors import NotAllowed, WrongCredentials
from civicsync.connectors.contract.reading import Page, PullRequest
from civicsync.connectors.testing.fake import FakeReader, FakeWriter
from civicsync.core import events, journal
from civicsync.core.leases import Lease
from civicsync.core.ledger.ledger import Ledger
from civicsync.core.store.store import InstanceStore
from civicsync.sync.credentials import Credentials
from civicsync.sync.pull.run import Options, Puller, PullOutcome
from tests.support.mesh import KEY, Mesh


class Panic(BaseException):
    """What a library in another language raises when it panics is no `Exception`."""


class _Shape(pydantic.BaseModel):
    number: int


def _invalid() -> BaseException:
    try:
        _Shape.model_validate({"number": "sesame@example.org"})
    except pydantic.ValidationError as error:
        return error
    raise AssertionError


SECRET = "sesame@example.org"
ERRORS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError(SECRET),
    "RecursionError": lambda: RecursionError(SECRET),
    "KeyError": lambda: KeyError(SECRET),
    "MemoryError": lambda: MemoryError(SECRET),
    "ValidationError": _invalid,
    "database": lambda: OperationalError(SECRET, {}, RuntimeError(SECRET)),
    "Panic": lambda: Panic(SECRET),
}
each_error = pytest.mark.parametrize("kind", list(ERRORS))
some_errors = pytest.mark.parametrize("kind", ["KeyError", "database", "Panic"])


def failing(kind: str) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise ERRORS[kind]()

    return fail


def mesh(folder: Path, names: str = "abc") -> Mesh:
    made = Mesh(folder, names)
    for world in made.worlds.values():
        world.write(f"Meer bomen {world.url}", "Dank u.")
    return made


def pull(world: Mesh) -> dict[str, PullOutcome]:
    world.clock.advance(60)
    puller = Puller(world.config, world.engine, world.clock)
    outcomes = asyncio.run(puller.pull_all(list(world.names), Options(full=True)))
    return {each.instance: each for each in outcomes}


def told(message: str, instance: str, kind: str) -> None:
    """A word that names the instance and the kind of error, and nothing of what was sent."""
    assert message.startswith(f"{instance}: ")
    assert ("the database failed" if kind == "database" else kind) in message
    assert SECRET not in message


# Pulling --------------------------------------------------------------------------------------------------------------


@each_error
@pytest.mark.parametrize("path", ["board", "posts"], ids=["probing", "reading"])
def test_what_a_reader_raises_ends_its_own_run_and_no_other(tmp_path: Path, kind: str, path: str) -> None:
    world = mesh(tmp_path)
    world.worlds["b"].gate = lambda asked: failing(kind)() if asked.path == path else ""
    outcomes = pull(world)
    assert {name: each.outcome for name, each in outcomes.items()} == {"a": "done", "b": "failed", "c": "done"}
    assert outcomes["b"].failed
    told(outcomes["b"].message, "b", kind)
    [run] = journal.runs(world.engine, ["b"])
    assert (run["outcome"], run["message"]) == ("failed", outcomes["b"].message)
    assert run["ended_at"] is not None
    if kind != "KeyError":
        return
    world.worlds["b"].gate = lambda _: ""
    assert pull(world)["b"].outcome == "done", "nothing of it is left in the way"


@some_errors
def test_what_a_confirmation_raises_ends_its_own_run_and_no_other(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path, "ab")
    pull(world)
    world.worlds["b"].posts[1].hidden = True
    monkeypatch.setattr(FakeReader, "still_there", failing(kind))
    outcomes = pull(world)
    assert (outcomes["a"].outcome, outcomes["b"].outcome) == ("done", "failed")
    assert world.rows("SELECT count(*) FROM proposals WHERE gone_at IS NOT NULL") == [(0,)]


@some_errors
@pytest.mark.parametrize("where", ["taking the lease", "opening the store", "writing a page"])
def test_what_the_database_does_to_one_run_ends_no_other(
    tmp_path: Path, kind: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path)
    owner, name = {
        "taking the lease": (Lease, "take"),
        "opening the store": (InstanceStore, "_load_pending"),
        "writing a page": (InstanceStore, "write"),
    }[where]
    real = getattr(owner, name)

    def sometimes(self: Any, *args: Any) -> Any:
        mine = getattr(self, "instance", None) == "b" or getattr(self, "name", None) == "pull:b"
        return failing(kind)() if mine else real(self, *args)

    monkeypatch.setattr(owner, name, sometimes)
    outcomes = pull(world)
    assert {name: each.outcome for name, each in outcomes.items()} == {"a": "done", "b": "failed", "c": "done"}
    told(outcomes["b"].message, "b", kind)
    assert world.rows("SELECT count(*) FROM run WHERE outcome = 'running'") == [(0,)]
    if kind == "KeyError":
        monkeypatch.undo()
        assert pull(world)["b"].outcome == "done"


@each_error
def test_sync_prints_its_json_and_says_that_something_failed(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path)
    world.engine.dispose()
    world.worlds["b"].gate = failing(kind)
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["sync", "--json"])
    assert done.exit_code == 1
    rows = {row["instance"]: row for row in json.loads(done.stdout)}
    assert {name: row["outcome"] for name, row in rows.items()} == {"a": "done", "b": "failed", "c": "done"}
    told(rows["b"]["message"], "b", kind)
    assert (rows["a"]["proposals"], rows["c"]["proposals"]) == (1, 1)


def test_a_run_that_is_cancelled_while_it_waits_for_its_platform_is_stopped_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second Ctrl-C."""
    world = mesh(tmp_path, "ab")
    reading = asyncio.Event()

    async def slow(self: FakeReader, request: PullRequest) -> AsyncIterator[Page]:
        yield Page("spaces")
        reading.set()
        await asyncio.sleep(3600)

    monkeypatch.setattr(FakeReader, "pull", slow)

    async def cancelled() -> PullOutcome:
        running = asyncio.ensure_future(Puller(world.config, world.engine, world.clock).pull("a", Options()))
        await reading.wait()
        running.cancel()
        return await running

    outcome = asyncio.run(cancelled())
    assert (outcome.outcome, outcome.message.partition(";")[0]) == ("stopped", "stopped")
    assert [run["outcome"] for run in journal.runs(world.engine, ["a"])] == ["stopped"]


# Publishing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "kind"),
    [*((step, "KeyError") for step in ("check", "limits", "fit", "read")), *(("create", kind) for kind in ERRORS)],
)
def test_what_a_writer_raises_ends_the_routes_to_its_target_and_no_other(
    tmp_path: Path, step: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path)
    world.pull()
    real = getattr(FakeWriter, step)

    def sometimes(self: FakeWriter, *args: Any) -> Any:
        return failing(kind)() if self.platform is world.worlds["b"] else real(self, *args)

    monkeypatch.setattr(FakeWriter, step, sometimes)
    outcomes = {each.route: each for each in world.publish()}
    failed = {"a-to-b", "c-to-b"}
    assert {name for name, each in outcomes.items() if each.outcome == "failed"} == failed
    assert {each.outcome for name, each in outcomes.items() if name not in failed} == {"done"}
    for name in failed:
        told(outcomes[name].message, "b", kind)
        assert outcomes[name].failed
    monkeypatch.undo()
    assert [len(world.worlds[name].copies()) for name in "ac"] == [2, 2]
    if kind != "KeyError":
        return
    # What was under way is looked up: one copy each, whatever broke in between.
    for _ in range(2):
        world.publish()
        world.clock.advance(3600)
    assert [len(world.worlds[name].copies()) for name in "abc"] == [2, 2, 2]
    assert world.states() == {"sent": 6}


@some_errors
@pytest.mark.parametrize("where", [(Lease, "take"), (Lease, "held_by"), (Ledger, "open_until")], ids=lambda w: w[1])
def test_what_the_database_does_to_one_target_ends_no_other(
    tmp_path: Path, kind: str, where: tuple[type, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path)
    world.pull()
    owner, name = where
    if name == "held_by":
        assert Lease(world.engine, "publish:b").take()
    real = getattr(owner, name)

    def sometimes(self: Any, *args: Any) -> Any:
        mine = getattr(self, "name", "") == "publish:b" or world.worlds["b"].url.endswith(str((args or ("-",))[0]))
        return failing(kind)() if mine else real(self, *args)

    monkeypatch.setattr(owner, name, sometimes)
    outcomes = {each.route: each for each in world.publish()}
    assert {name for name, each in outcomes.items() if each.outcome == "failed"} == {"a-to-b", "c-to-b"}
    told(outcomes["a-to-b"].message, "b", kind)
    assert [len(world.worlds[name].copies()) for name in "abc"] == [2, 0, 2]


def test_texts_that_could_not_be_forgotten_end_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = mesh(tmp_path)
    world.pull()
    monkeypatch.setattr(Ledger, "forget_texts", failing("database"))
    warned: list[events.Event] = []
    with events.listen(warned.append):
        assert {each.outcome for each in world.publish()} == {"done"}
    assert events.Warned("", "OperationalError") in warned


@some_errors
def test_publish_prints_its_json_and_says_that_something_failed(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = mesh(tmp_path)
    world.pull()
    world.engine.dispose()
    world.worlds["b"].gate = failing(kind)
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["publish", "--json"])
    assert done.exit_code == 1
    rows = {row["route"]: row for row in json.loads(done.stdout)}
    assert {name for name, row in rows.items() if row["outcome"] == "failed"} == {"a-to-b", "c-to-b"}
    told(rows["a-to-b"]["message"], "b", kind)
    assert [len(world.worlds[name].copies()) for name in "ac"] == [2, 2]


def test_a_pull_tries_a_wrong_password_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each further try counts towards a lock of the account; only where a pull has to sign in, and only for what it signs in for."""
    world = mesh(tmp_path, "ab")
    pull(world)
    tries: list[int] = []

    async def refused(self: FakeReader, request: object) -> AsyncIterator[Page]:
        if self.platform is world.worlds["a"]:
            tries.append(1)
            raise NotAllowed("signing in failed") from WrongCredentials("the site does not take this password")
        yield Page("spaces")

    monkeypatch.setattr(FakeReader, "pull", refused)
    assert pull(world)["a"].outcome == "failed"
    again = pull(world)
    assert (again["a"].outcome, again["b"].outcome, len(tries)) == ("failed", "done", 1)
    assert "civicsync check" in again["a"].message
    Credentials(world.config, Ledger(world.engine, world.clock)).forget("a")
    pull(world)
    assert len(tries) == 2
