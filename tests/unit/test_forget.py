"""Forgetting somebody: nothing of the person is left anywhere, and nothing brings it back."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from civicsync.analysis.search.index import refresh, scrub
from civicsync.app.cli.main import app
from civicsync.connectors.contract.reading import KINDS
from civicsync.core import audit
from civicsync.core.clock import FakeClock
from civicsync.core.forgetting import ForgettingError, compact, forget
from civicsync.core.instances import forget as forget_instance
from civicsync.core.items import Item, MappingError, Page
from civicsync.core.leases import Lease
from civicsync.core.privacy import pseudonymiser
from civicsync.core.records import Author, Comment, Counters, Proposal, Record
from civicsync.core.schema.database import file_of
from civicsync.core.store.forgotten import mark_of
from civicsync.core.store.store import InstanceStore
from civicsync.core.text import rich
from proof.crossing import KEY, Crossing

ANNA, BERT = "a" * 32, "b" * 32
SAID = "Mijn buurman Kareltje parkeert elke nacht op het trottoir"
SCOPE = "posts"


def rows(engine: Engine, sql: str) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def store(engine: Engine, clock: FakeClock) -> InstanceStore:
    return InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS)


def proposal(own: int, body: str, author: str | None, digest: str = "") -> Item:
    def build() -> list[Record]:
        made = Proposal(
            id=str(own),
            texts=(rich("nl", f"Titel {own} van iemand", body),),
            author=author,
            url=f"https://x.example/{own}-titel",
            address="Dorpsstraat 1",
            latitude=52.0,
            longitude=5.0,
        )
        return [made, *([Author(id=author, name=f"Naam van {author[:4]}")] if author else [])]

    return Item(f"proposal/{own}", f"{body}{author}{digest}".encode()[:64], build, Counters(supports=own))


def comment(own: int, said: str, author: str | None, untold: bool = False) -> Item:
    def build() -> list[Record]:
        return [Comment(id=str(own), target="proposal/2", text=rich("nl", None, said), author=author)]

    more = frozenset({"author"}) if untold else frozenset[str]()
    return Item(f"comment/{own}", f"{said}{author}{untold}".encode()[:64], build, untold=more)


def bad(own: int, **raw: Any) -> Item:
    def build() -> list[Record]:
        raise MappingError("title", "not a text")

    return Item(f"proposal/{own}", b"bad", build, raw=raw)


def know(engine: Engine, *names: str) -> None:
    with engine.begin() as connection:
        for name in names:
            connection.execute(
                text("INSERT INTO instance (name, platform, url, title, dialect) VALUES (:n, 'fake', :u, '', '')"),
                {"n": name, "u": f"https://{name}.example"},
            )


def filled(engine: Engine, clock: FakeClock) -> None:
    """Anna's and Bert's proposals and comments, with an earlier version, a record in quarantine and the index for searching."""
    know(engine, "west")
    first = [proposal(1, "een eerdere tekst van Anna over Kareltje", ANNA), proposal(2, "Meer bomen in het park", BERT)]
    store(engine, clock).write(Page(SCOPE, [*first, bad(9, author=ANNA, body=SAID)], complete=True))
    clock.advance(60)
    page = [proposal(1, SAID, ANNA), proposal(2, "Meer bomen in het park", BERT)]
    page += [comment(1, "Kareltje weer, zegt Anna van hiernaast", ANNA), comment(2, "Goed plan, zegt Bert", BERT)]
    store(engine, clock).write(Page(SCOPE, page, complete=True))
    refresh(engine)


def whole(engine: Engine) -> str:
    """Everything that the database holds, as text."""
    with engine.connect() as connection:
        names = [
            row[0]
            for row in connection.execute(
                text(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
                    if engine.dialect.name == "sqlite"
                    else "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
                )
            )
        ]
        return "\n".join(str(list(connection.execute(text(f'SELECT * FROM "{name}"')))) for name in names)


def test_p9_nothing_is_left_but_the_keyed_mark(engine: Engine, clock: FakeClock) -> None:
    filled(engine, clock)
    assert "Kareltje" in whole(engine) and ANNA in whole(engine)
    plan = forget(engine, clock, "west", ANNA, dry_run=True)
    assert plan.found and "Kareltje" in whole(engine), "a dry run changes nothing"
    proof = forget(engine, clock, "west", ANNA, scrub=scrub, origin="case 12")
    assert proof.clean and proof.found == plan.found and proof.searched >= 3
    held = whole(engine)
    for trace in (
        ANNA,
        "Kareltje",
        "kareltje",
        "Naam van aaaa",
        "1-titel",
        "Dorpsstraat 1', 52.0, 5.0, None, None, None, None, 1",
    ):
        assert trace not in held, f"{trace} is still there"
    assert "Meer bomen" in held and BERT in held and "Goed plan" in held, "Bert stays"
    assert rows(engine, "SELECT mark FROM forgotten") == [(mark_of(ANNA),)]
    kept = rows(engine, "SELECT supports, gone_reason, title FROM proposal WHERE key = 'west/proposal/1'")
    assert kept == [(1, "erased", "")], "counters and keys stay"
    [entry] = audit.entries(engine)
    assert (entry.action, entry.object) == ("forget", f"west {mark_of(ANNA)}") and "case 12" in entry.result


def test_p9_not_a_byte_of_it_is_in_the_file(sqlite: Engine, clock: FakeClock) -> None:
    filled(sqlite, clock)
    compact(sqlite)
    file = file_of(sqlite)
    assert file is not None and b"Kareltje" in file.read_bytes()
    proof = forget(sqlite, clock, "west", ANNA, scrub=scrub)
    assert proof.bytes_searched and proof.traces == {}
    for each in (file, *file.parent.glob(f"{file.name}-*")):
        held = each.read_bytes()
        assert b"areltje" not in held.lower() and ANNA.encode() not in held, each.name


@pytest.mark.parametrize("again", ["the same", "changed", "without its author", "broken"])
def test_p9_no_pull_brings_it_back(engine: Engine, clock: FakeClock, again: str) -> None:
    filled(engine, clock)
    forget(engine, clock, "west", ANNA, scrub=scrub)
    before = rows(engine, "SELECT key, title, author, gone_at, gone_reason FROM proposal ORDER BY key")
    page = {
        "the same": [proposal(1, SAID, ANNA), comment(1, "Kareltje weer", ANNA)],
        "changed": [proposal(1, SAID, ANNA, "2"), proposal(7, f"Nieuw: {SAID}", ANNA), comment(7, "Kareltje", ANNA)],
        "without its author": [proposal(1, SAID, None), comment(1, "Kareltje weer", None, untold=True)],
        "broken": [bad(1, body=SAID, author=ANNA)],
    }[again]
    for _ in range(2):
        clock.advance(3600)
        store(engine, clock).write(Page(SCOPE, [*page, proposal(2, "Meer bomen in het park", BERT)], complete=True))
    assert "areltje" not in whole(engine) and ANNA not in whole(engine)
    assert rows(engine, "SELECT key, title, author, gone_at, gone_reason FROM proposal ORDER BY key") == before


def test_p9_what_others_typed_as_well_is_theirs(engine: Engine, clock: FakeClock) -> None:
    know(engine, "west")
    same = "Het fietspad langs de gracht moet breder worden"
    store(engine, clock).write(Page(SCOPE, [proposal(1, same, ANNA), proposal(2, same, BERT)], complete=True))
    proof = forget(engine, clock, "west", ANNA)
    assert proof.clean and same not in proof.terms and ANNA in proof.terms
    assert rows(engine, "SELECT plain FROM proposal_text") == [(same,)]


def test_p9_a_trace_that_is_left_is_told(sqlite: Engine, clock: FakeClock) -> None:
    filled(sqlite, clock)
    with sqlite.begin() as connection:
        told = f"a note that repeats: {SAID}"
        connection.execute(text("INSERT INTO schema_info VALUES ('note', :told)"), {"told": told})
    proof = forget(sqlite, clock, "west", ANNA, scrub=scrub)
    assert not proof.clean and proof.traces["schema_info.value"] == 1 and proof.traces["only.db"] >= 1


def test_the_mark_outlives_its_instance(sqlite: Engine, clock: FakeClock) -> None:
    filled(sqlite, clock)
    forget(sqlite, clock, "west", ANNA)
    forget_instance(sqlite, "west")
    store(sqlite, clock).write(Page(SCOPE, [proposal(1, SAID, ANNA), proposal(2, "Bomen", BERT)], complete=True))
    assert rows(sqlite, "SELECT key FROM proposal") == [("west/proposal/2",)]


def test_nobody_is_forgotten_while_a_pull_is_under_way(sqlite: Engine, clock: FakeClock) -> None:
    filled(sqlite, clock)
    lease = Lease(sqlite, "pull:west")
    assert lease.take()
    with pytest.raises(ForgettingError, match="a process is at work on west"):
        forget(sqlite, clock, "west", ANNA)
    lease.release()
    assert forget(sqlite, clock, "west", ANNA).clean


def test_our_own_account_is_not_forgotten(sqlite: Engine, clock: FakeClock) -> None:
    filled(sqlite, clock)
    with sqlite.begin() as connection:
        connection.execute(text("INSERT INTO service_account VALUES ('west', :own)"), {"own": ANNA})
    with pytest.raises(ForgettingError, match="account with which civicsync writes"):
        forget(sqlite, clock, "west", ANNA)


def test_somebody_of_whom_nothing_is_stored_yet_can_be_forgotten(sqlite: Engine, clock: FakeClock) -> None:
    know(sqlite, "west")
    assert forget(sqlite, clock, "west", ANNA).found == 0
    store(sqlite, clock).write(Page(SCOPE, [proposal(1, SAID, ANNA)], complete=True))
    assert rows(sqlite, "SELECT count(*) FROM proposal") == [(0,)]
    with pytest.raises(ForgettingError, match="nothing is stored of east"):
        forget(sqlite, clock, "east", ANNA)


class City(Crossing):
    """A board with two proposals of one person and three of others, copied to a Your Priorities."""

    def __init__(self, folder: Path, **route: Any) -> None:
        super().__init__(folder, "your-priorities", "2026-07", count=3, **route)
        for number in (1, 2):
            self.board.write(f"Kareltje parkeert weer {number}", f"{SAID} nummer {number}.", author="citizen-7")
        self.pseudonym = pseudonymiser(KEY["KEY"], "board")("citizen-7")


@pytest.fixture
def city(tmp_path: Path) -> City:
    made = City(tmp_path / "city")
    made.pull("board")
    made.until_quiet()
    made.pull()
    return made


def public(city: City) -> list[str]:
    return [
        each["title"] for each in city.sandbox.truth()["proposals"] if each["public"] and "areltje" in each["title"]
    ]


def test_p9_copies_are_taken_back_and_nothing_of_them_stays(city: City) -> None:
    # A third proposal of the same person waits in the queue.
    city.board.write("Kareltje in de wachtrij", f"{SAID} derde.", author="citizen-7")
    city.pull("board")
    assert len(public(city)) == 2 and "areltje" in whole(city.engine)
    proof = forget(city.engine, city.clock, "board", city.pseudonym, scrub=scrub)
    assert len(proof.copies) == 2 and proof.clean, proof
    assert "areltje" not in whole(city.engine)
    city.pull()  # the copies still stand there, and nothing of their text comes back
    assert "areltje" not in whole(city.engine) and len(public(city)) == 2
    city.until_quiet()
    assert public(city) == [], "the next publish takes the copies back"
    city.pull()
    city.until_quiet()
    assert "areltje" not in whole(city.engine) and public(city) == []
    assert len(city.copies()) == 3, "those of others stay"
    assert forget(city.engine, city.clock, "board", city.pseudonym).clean


def test_p9_a_copy_that_is_still_queued_is_never_made(tmp_path: Path) -> None:
    city = City(tmp_path / "city", approval="required")
    city.pull("board")
    city.publish()
    assert "areltje" in str(city.rows("SELECT payload FROM operation"))
    assert forget(city.engine, city.clock, "board", city.pseudonym).clean
    assert "areltje" not in whole(city.engine)
    city.pull()
    city.until_quiet()
    assert public(city) == [] and "areltje" not in whole(city.engine)


def test_on_the_command_line_with_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    (tmp_path / "civicsync.yaml").write_text(
        json.dumps(
            {
                "civicsync": 1,
                "operator": {"name": "test", "contact": "a@b.example"},
                "privacy": {"key": "${KEY}", "exports": ["exports"]},
                "instances": {
                    "board": {"platform": "civicsync.connectors.testing.fake:CONNECTOR", "url": "http://127.0.0.1:9931"}
                },
            }
        )
    )
    monkeypatch.setenv("KEY", KEY["KEY"])
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    assert run.invoke(app, ["sync"]).exit_code == 0
    pseudonym = pseudonymiser(KEY["KEY"], "board")("citizen-1")
    (exports / "a.csv").write_text(f"author\n{pseudonym}\n")
    (exports / "b.csv").write_text("author\nnobody\n")
    with zipfile.ZipFile(exports / "c.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sheet1.xml", f"<v>{pseudonym}</v>")
    (exports / "d.parquet").write_bytes(b"PAR1")
    planned = run.invoke(app, ["forget", "--instance", "board", "--user", "citizen-1", "--dry-run"])
    assert planned.exit_code == 0 and "would remove" in planned.output and len(list(exports.iterdir())) == 4
    done = run.invoke(app, ["forget", "--instance", "board", "--user", "citizen-1", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert "terms" not in told and "safe crossing" not in done.output, "what was looked for is the person's"
    assert told["clean"] is True and told["traces"] == {} and len(told["files"]) == 3
    assert [each.name for each in exports.iterdir()] == ["b.csv"]
    assert run.invoke(app, ["sync", "--full"]).exit_code == 0
    shown = run.invoke(app, ["query", "--json", "SELECT title FROM proposals"])
    assert "safe crossing" not in shown.output and "More trees" in shown.output
    for wrong in (["--user", "1", "--author", pseudonym], [], ["--author", "anna"]):
        assert run.invoke(app, ["forget", "--instance", "board", *wrong]).exit_code == 2
    assert run.invoke(app, ["forget", "--instance", "nowhere", "--user", "1"]).exit_code == 1
