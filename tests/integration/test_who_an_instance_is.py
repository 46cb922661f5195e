"""Who an instance is, and what of it is kept: another city, another platform or another key stops; what is left out goes."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from civicsync.config.load import load
from civicsync.connectors.contract.errors import ConnectorError, NotThisPlatform
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.faults import Fault
from civicsync.core import journal
from civicsync.core.clock import FakeClock
from civicsync.core.fingerprints import OtherKey, check_fingerprint
from civicsync.core.instances import InstanceError, forget, known, rename, twins
from civicsync.core.leases import Lease
from civicsync.sync.pull.run import Options, Puller, PullOutcome

KEY = "0123456789abcdef" * 4
PLATFORMS = [("decidim", "0.32"), ("decidim", "0.28.6"), ("consul", "2.5.1"), ("your-priorities", "2026-07")]
each_platform = pytest.mark.parametrize(("platform", "version"), PLATFORMS, ids=["-".join(pair) for pair in PLATFORMS])


class City:
    """A sandbox, pulled in-process under a configuration that may change."""

    def __init__(self, platform: str, version: str, engine: Engine, clock: FakeClock, folder: Path) -> None:
        self.engine, self.clock, self.folder, self.platform, self.version = engine, clock, folder, platform, version
        self.sandbox: Any = self.made(5)

    def made(self, seed: int, platform: str = "", size: int = 40) -> Any:
        connector = resolve(platform or self.platform)
        assert connector.sandbox is not None

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)

        version = connector.versions[-1] if platform else self.version
        return connector.sandbox(version=version, size=size, seed=seed, clock=self.clock.now, sleep=sleep)

    async def pull(
        self, more: str = "", *, name: str = "toy", url: str = "http://127.0.0.1:9", **options: Any
    ) -> PullOutcome:
        self.clock.advance(60)
        file = self.folder / "civicsync.yaml"
        platform = options.pop("platform", self.platform)
        file.write_text(
            "civicsync: 1\noperator: {name: test, contact: t@example.org}\nprivacy: {key: '${KEY}'}\n"
            f"instances:\n  {name}: {{platform: {platform}, url: '{url}'{more}}}\n"
        )
        return await self.puller(name).pull(name, Options(**options))

    def puller(self, name: str = "toy") -> Puller:
        config = load(self.folder / "civicsync.yaml", {"KEY": KEY})
        return Puller(config, self.engine, self.clock, backends={name: self.sandbox})

    def rows(self, sql: str) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def proposals(self) -> set[tuple[str, str]]:
        return set(self.rows("SELECT key, title FROM proposals WHERE gone_at IS NULL"))


# Another city, another platform ---------------------------------------------------------------------------------------


@each_platform
async def test_another_address_under_the_same_name_stops_and_says_so(
    sqlite: Engine, clock: FakeClock, tmp_path: Path, platform: str, version: str
) -> None:
    city = City(platform, version, sqlite, clock, tmp_path)
    assert (await city.pull()).outcome == "done"
    before, site = city.proposals(), city.sandbox
    city.sandbox = city.made(77, size=30)
    other = await city.pull(url="http://localhost:8")
    assert other.outcome == "failed" and other.requests == 0
    assert "toy is stored from http://127.0.0.1:9, and the configuration says http://localhost:8" in other.message
    assert "civicsync instances moved toy" in other.message and "civicsync instances rename toy NEW" in other.message
    assert city.proposals() == before and city.rows("SELECT url FROM instances") == [("http://127.0.0.1:9",)]
    city.sandbox = site
    assert (await city.pull(url="https://127.0.0.1:9/")).outcome == "done", "a site that is encrypted now is the same"


@each_platform
async def test_a_city_that_moved_its_site_goes_on_once_it_is_recognised(
    sqlite: Engine, clock: FakeClock, tmp_path: Path, platform: str, version: str
) -> None:
    city = City(platform, version, sqlite, clock, tmp_path)
    assert (await city.pull()).outcome == "done"
    before = city.proposals()
    assert (await city.pull(url="http://localhost:8")).outcome == "failed"
    assert await city.puller().moved("toy") == "http://127.0.0.1:9"
    again = await city.pull(url="http://localhost:8")
    assert again.outcome == "done" and city.proposals() == before
    assert [row["full"] for row in journal.runs(sqlite, ["toy"], 1)] == [True]


@each_platform
async def test_another_city_is_not_recognised(
    sqlite: Engine, clock: FakeClock, tmp_path: Path, platform: str, version: str
) -> None:
    city = City(platform, version, sqlite, clock, tmp_path)
    assert (await city.pull()).outcome == "done"
    with sqlite.begin() as connection:
        connection.execute(
            text("UPDATE proposal SET created_at = :at, published_at = :at WHERE created_at IS NOT NULL"),
            {"at": "2019-01-01 00:00:00.000000"},
        )
    await city.pull(url="http://localhost:8")
    with pytest.raises(NotThisPlatform, match=r"at http://localhost:8 is another city.*other times"):
        await city.puller().moved("toy")
    assert city.rows("SELECT url FROM instances") == [("http://127.0.0.1:9",)]


async def test_another_platform_under_the_same_name_stops_before_it_is_asked(
    sqlite: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    city = City("consul", "2.5.1", sqlite, clock, tmp_path)
    assert (await city.pull()).outcome == "done"
    city.sandbox = city.made(5, "decidim")
    other = await city.pull(platform="decidim")
    assert other.outcome == "failed" and other.requests == 0
    assert "toy is stored as consul at" in other.message and "the configuration says decidim" in other.message


async def test_an_address_that_does_not_answer_is_not_believed_to_be_another_city(
    sqlite: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    city = City("consul", "2.5.1", sqlite, clock, tmp_path)
    assert (await city.pull()).outcome == "done"
    await city.pull(url="http://localhost:8")
    city.sandbox.plant(Fault(kind="500", times=None))
    with pytest.raises(ConnectorError) as caught:
        await city.puller().moved("toy")
    assert "another city" not in str(caught.value)
    assert city.rows("SELECT url FROM instances") == [("http://127.0.0.1:9",)]


def test_two_names_for_one_address_are_found() -> None:
    addresses = {
        "a": "https://X.example/",
        "b": "http://x.example:80",
        "c": "https://x.example/city",
        "d": "https://y.example",
    }
    assert twins(addresses) == [("a", "b")]


# The key ----------------------------------------------------------------------------------------------------------------


async def test_another_key_is_refused_once_there_are_pseudonyms(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    check_fingerprint(engine, "f" * 64)
    check_fingerprint(engine, KEY)  # nothing was made with the first one
    city = City("consul", "2.5.1", engine, clock, tmp_path)
    assert (await city.pull()).outcome == "done"
    check_fingerprint(engine, KEY)
    with pytest.raises(OtherKey, match="put the right key back") as caught:
        check_fingerprint(engine, "f" * 64)
    assert "f" * 64 not in str(caught.value) and KEY not in str(caught.value)
    assert KEY not in str(city.rows("SELECT * FROM schema_info"))


# Renaming and forgetting ------------------------------------------------------------------------------------------------


def everything(engine: Engine) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with engine.connect() as connection:
        for table in inspect(engine).get_table_names():
            found[table] = sorted(str(tuple(row)) for row in connection.execute(text(f'SELECT * FROM "{table}"')))
    return found


async def test_a_renamed_instance_is_the_same_in_every_key_and_goes_on(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    city = City("decidim", "0.32", engine, clock, tmp_path)
    assert (await city.pull()).outcome == "done"
    await city.pull(full=True)  # from here on nothing changes by itself
    authors = set(city.rows("SELECT key, author FROM proposals"))
    before = everything(engine)
    assert rename(engine, "toy", "city")[1] == "toy"
    after = everything(engine)
    word = re.compile(r"\btoy\b")
    mentioned = {
        table: rows for table, rows in after.items() if any(word.search(row.replace("'toy', '[", "")) for row in rows)
    }
    assert set(mentioned) <= {"instance", "run", "lease"}, mentioned
    assert {table: len(rows) for table, rows in before.items()} == {table: len(rows) for table, rows in after.items()}
    wrong = await city.pull(name="city")
    assert wrong.outcome == "failed" and "write `named_before: toy`" in wrong.message
    right = await city.pull(", named_before: toy", name="city", full=True)
    assert (right.outcome, right.written.created, right.written.changed, right.gone) == ("done", 0, 0, 0), right.message
    assert {
        (key.replace("city/", "toy/"), author) for key, author in city.rows("SELECT key, author FROM proposals")
    } == authors


async def test_a_name_that_is_taken_busy_or_in_markers_is_not_given(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    city = City("consul", "2.5.1", engine, clock, tmp_path)
    await city.pull()
    await city.pull(name="other")
    with pytest.raises(InstanceError, match="other is taken"):
        rename(engine, "toy", "other")
    with pytest.raises(InstanceError, match="nothing is stored of nobody; there is: other, toy"):
        rename(engine, "nobody", "new")
    lease = Lease(engine, "pull:toy")
    assert lease.take()
    for act in (lambda: rename(engine, "toy", "new"), lambda: forget(engine, "toy")):
        with pytest.raises(InstanceError, match="a process is at work on toy"):
            act()
    lease.release()
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO publication (id, route, origin_key, target_instance, target_space, state, reason_code, reason, title, marker, "
                "created_at, changed_at) VALUES ('1', 'r', 'toy/proposal/1', 'other', 's/1', 'sent', '', '', '', 'm', "
                "'2026-01-01 00:00:00', '2026-01-01 00:00:00')"
            )
        )
    for name in ("toy", "other"):
        with pytest.raises(InstanceError, match="the markers in their copies carry its name"):
            rename(engine, name, "new")


async def test_a_forgotten_instance_leaves_nothing(engine: Engine, clock: FakeClock, tmp_path: Path) -> None:
    city = City("consul", "2.5.1", engine, clock, tmp_path)
    await city.pull(name="stays")
    before = everything(engine)
    await city.pull()
    assert [each.name for each in known(engine)] == ["stays", "toy"]
    assert forget(engine, "toy") > 100
    after = everything(engine)
    after.pop("lease"), before.pop("lease")
    assert after == before
    with pytest.raises(InstanceError, match="nothing is stored of toy"):
        forget(engine, "toy")


# What the configuration leaves out -----------------------------------------------------------------------------------

LEFT_OUT = {
    "decidim-0.32": ", spaces: [assembly/1]",
    "decidim-0.28.6": ", spaces: [assembly/1]",
    "consul-2.5.1": ", spaces: [section/debates]",
    "your-priorities-2026-07": ", groups: [2]",
}


@each_platform
async def test_what_is_left_out_is_never_stored(
    sqlite: Engine, clock: FakeClock, tmp_path: Path, platform: str, version: str
) -> None:
    """A limited pull of an empty database holds the same as a whole one that is limited later."""
    limited = City(platform, version, sqlite, clock, tmp_path)
    outcome = await limited.pull(LEFT_OUT[f"{platform}-{version}"])
    assert outcome.outcome == "done", outcome.message
    kept = limited.proposals()
    assert kept
    forget(sqlite, "toy")
    assert (await limited.pull()).outcome == "done"
    whole = limited.proposals()
    assert kept < whole
    later = await limited.pull(LEFT_OUT[f"{platform}-{version}"])
    assert later.outcome == "done" and later.gone == len(whole - kept), later.notes
    assert any("leaves out now" in note for note in later.notes)
    assert limited.proposals() == kept
    assert limited.rows(
        "SELECT count(*) FROM comments c JOIN proposals p ON p.key = c.target_key "
        "WHERE p.gone_at IS NOT NULL AND c.gone_at IS NULL"
    ) == [(0,)]
    # By the usual rules: their texts go after the usual time, however the runs end.
    clock.advance(31 * 86_400)
    limited.sandbox.plant(Fault(kind="500", times=None))
    assert (await limited.pull(LEFT_OUT[f"{platform}-{version}"])).outcome == "failed"
    assert limited.rows("SELECT count(*) FROM proposals WHERE gone_at IS NOT NULL AND title <> ''") == [(0,)]
    limited.sandbox.plant()
    # And what is let in again comes back whole, whatever the gates say.
    back = await limited.pull()
    assert back.outcome == "done" and {own for own, _ in limited.proposals()} == {own for own, _ in whole}, back.notes


@each_platform
async def test_a_space_of_nothing_is_an_error(
    sqlite: Engine, clock: FakeClock, tmp_path: Path, platform: str, version: str
) -> None:
    city = City(platform, version, sqlite, clock, tmp_path)
    kind = {"decidim": "component", "consul": "budget", "your-priorities": "group"}[platform]
    for outcome in (await city.pull(spaces=(f"{kind}/987654",)), await city.pull(f", spaces: [{kind}/987654]")):
        assert outcome.outcome == "failed" and f"{kind}/987654" in outcome.message


@each_platform
async def test_no_option_reads_what_the_configuration_leaves_out(
    sqlite: Engine, clock: FakeClock, tmp_path: Path, platform: str, version: str
) -> None:
    city = City(platform, version, sqlite, clock, tmp_path)
    more = LEFT_OUT[f"{platform}-{version}"]
    await city.pull(more)
    other = {"decidim": "participatory_process/1", "consul": "section/proposals", "your-priorities": "group/1"}[
        platform
    ]
    kept = city.proposals()
    outcome = await city.pull(more, spaces=(other,))
    assert outcome.outcome == "failed" and "left out in the configuration" in outcome.message
    assert city.proposals() == kept


async def test_what_is_due_is_purged_however_a_run_ends(sqlite: Engine, clock: FakeClock, tmp_path: Path) -> None:
    city = City("consul", "2.5.1", sqlite, clock, tmp_path)
    await city.pull()
    with sqlite.begin() as connection:
        connection.execute(
            text("UPDATE proposal SET gone_at = :at WHERE key = (SELECT min(key) FROM proposal)"), {"at": clock.now()}
        )
    clock.advance(31 * 86_400)
    city.sandbox.plant(Fault(kind="reset", times=None))
    outcome = await city.pull()
    assert outcome.outcome == "failed"
    assert journal.runs(sqlite, ["toy"], 1)[0]["outcome"] == "failed"
    assert city.rows("SELECT title FROM proposal WHERE gone_at IS NOT NULL") == [("",)]
